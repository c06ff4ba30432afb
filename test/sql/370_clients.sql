-- 370_clients.sql
--
-- Clients send whole rows: what they may mention and what they may not change, for
-- every table that a user may write, found in the catalogue.  So a table or a column
-- that is added is tried as well.
-- Pitfall: values go as JSON and come back from it, as they do in PostgREST.  What is
-- printed of the calls that must work is only those that do not.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2);
-- rows of users 1 and 2, of last week
CALL t.project(1, 11); CALL t.project(2, 12);
CALL t.studio_job(1, 21); CALL t.studio_job(2, 22);
UPDATE profiles SET created_at = now() - interval '7.5 days', updated_at = now() - interval '7 days';
UPDATE projects SET created_at = now() - interval '7.5 days';
UPDATE studio_jobs SET created_at = now() - interval '7.5 days';

-- as many as they want
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';

-- The columns of the tables that users may write, and what they are to their row.
CREATE VIEW t.columns AS
SELECT c.oid::regclass AS tbl, a.attname::text AS col, a.attnum,
       has_column_privilege('authenticated', c.oid, a.attnum, 'INSERT') AS may_insert,
       has_column_privilege('authenticated', c.oid, a.attnum, 'UPDATE') AS may_update,
       a.attnotnull AND NOT a.atthasdef AS needed,
       k.key, o.owner, a.attname IN ('created_at', 'updated_at') AS "time"
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped,
  LATERAL (SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))) AS k (key),
  LATERAL (SELECT EXISTS (SELECT FROM pg_constraint f
                           WHERE f.conrelid = c.oid AND f.confrelid = 'auth.users'::regclass AND f.conkey = ARRAY[a.attnum])) AS o (owner)
 WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
   AND (has_any_column_privilege('authenticated', c.oid, 'INSERT') OR has_any_column_privilege('authenticated', c.oid, 'UPDATE'));
GRANT SELECT ON t.columns TO PUBLIC;
SELECT tbl, string_agg(col, ' ' ORDER BY attnum) FILTER (WHERE key) AS key, string_agg(col, ' ' ORDER BY attnum) FILTER (WHERE owner) AS owner,
       string_agg(col, ' ' ORDER BY attnum) FILTER (WHERE "time") AS times, bool_or(may_insert) AS inserts, bool_or(may_update) AS updates,
       string_agg(col, ' ' ORDER BY attnum) FILTER (WHERE NOT may_update) AS never_named
  FROM t.columns GROUP BY tbl ORDER BY tbl::text;

-- The row of a user in such a table, as it is stored, and as its owner reads it.
CREATE FUNCTION t.stored(p_table regclass, p_user integer) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  v_row jsonb;
BEGIN
  EXECUTE format('SELECT to_jsonb(r) FROM %s r WHERE r.%I = $1 ORDER BY created_at LIMIT 1', p_table,
                 (SELECT col FROM t.columns WHERE tbl = p_table AND owner)) INTO v_row USING t.id(p_user);
  RETURN v_row;
END
$$;

-- What PostgREST makes of a request with this body: its answer, undone unless it is to stay.
CREATE FUNCTION t.request(p_verb text, p_table regclass, p_body jsonb, p_key text DEFAULT NULL, p_keep boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_key text := (SELECT col FROM t.columns WHERE tbl = p_table AND key);
  v_names text := (SELECT string_agg(quote_ident(n), ', ') FROM jsonb_object_keys(p_body) n);
  v_set text := (SELECT string_agg(format('%1$I = %2$s.%1$I', n, CASE p_verb WHEN 'update' THEN 'b' ELSE 'excluded' END), ', ')
                   FROM jsonb_object_keys(p_body) n);
  v_from text := format('json_populate_record(NULL::%s, %L) b', p_table, p_body);
  v_rows bigint;
  v_answer text;
BEGIN
  v_answer := t.ask(CASE p_verb
    WHEN 'update' THEN format('WITH w AS (UPDATE %s t SET %s FROM %s WHERE t.%I = %L RETURNING 1) SELECT count(*) FROM w',
                              p_table, v_set, v_from, v_key, p_key)
    ELSE format('WITH w AS (INSERT INTO %s (%s) SELECT %s FROM %s %s RETURNING 1) SELECT count(*) FROM w', p_table, v_names, v_names, v_from,
                CASE p_verb WHEN 'upsert' THEN format('ON CONFLICT (%I) DO UPDATE SET %s', v_key, v_set)
                            WHEN 'ignore' THEN format('ON CONFLICT (%I) DO NOTHING', v_key) ELSE '' END) END);
  IF p_keep THEN
    RETURN v_answer;
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'UNDO0', MESSAGE = v_answer;
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
  RETURN SQLERRM;
END
$$;

-- Part of an object.
CREATE FUNCTION t.pick(p_object jsonb, p_keys text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(p_object) WHERE key = ANY (p_keys) $$;
-- All subsets.
CREATE FUNCTION t.subsets(p_items text[]) RETURNS SETOF text[]
LANGUAGE sql IMMUTABLE AS $$
  SELECT ARRAY(SELECT item FROM unnest(p_items) WITH ORDINALITY AS i (item, n) WHERE mask & (1 << (n::integer - 1)) <> 0)
    FROM generate_series(0, (1 << cardinality(p_items)) - 1) mask
$$;

-- What clients send of a row that they read: the changed column alone, beside any other one, and in the whole row, each with
-- every choice of identifier, owner and times.  An upsert has the key and what is needed too; a new row has an id of its own.
CREATE FUNCTION t.bodies(p_verb text, p_table regclass, p_row jsonb, p_changed text, p_value text) RETURNS SETOF jsonb
LANGUAGE sql STABLE AS $$
  WITH cols AS (
    SELECT *, CASE p_verb WHEN 'update' THEN may_update WHEN 'insert' THEN may_insert ELSE may_insert AND may_update END AS may FROM t.columns WHERE tbl = p_table
  ), choices AS (
    SELECT subset FROM t.subsets(ARRAY(SELECT col FROM cols WHERE may AND (key OR owner OR "time"))) AS subset
  ), others AS (
    SELECT ARRAY[col] AS list FROM cols WHERE may AND NOT (key OR owner OR "time")
    UNION ALL
    SELECT array_agg(col) FROM cols WHERE may
  ), sent AS (
    SELECT t.pick(p_row, subset || list || ARRAY(SELECT col FROM cols WHERE p_verb <> 'update' AND (needed AND NOT key OR owner OR key AND p_verb = 'upsert')))
           || jsonb_build_object(p_changed, p_value) AS body
      FROM choices, others
  )
  SELECT DISTINCT body FROM sent
$$;

-- The calls that must work, and do not: a good answer, the change, the time of the change, and all else as it was or as sent.
CREATE FUNCTION t.calls(p_verb text, p_table regclass, p_changed text) RETURNS TABLE (body jsonb, problem text)
LANGUAGE plpgsql AS $$
DECLARE
  v_times text[] := '{created_at,updated_at}';
  v_now text := to_jsonb(now()) #>> '{}';
  v_key text := (SELECT col FROM t.columns WHERE tbl = p_table AND key);
  v_row jsonb := t.stored(p_table, 1);
  v_answer text;
  v_wanted jsonb;
  v_is jsonb;
BEGIN
  IF p_verb = 'insert' THEN
    v_row := v_row || jsonb_build_object(v_key, t.id(99), 'created_at', date_trunc('milliseconds', clock_timestamp()));
  END IF;
  FOR body IN SELECT b FROM t.bodies(p_verb, p_table, v_row, p_changed, 'changed') b LOOP
    BEGIN
      v_answer := t.request(p_verb, p_table, body, v_row ->> v_key, true);
      EXECUTE format('SELECT to_jsonb(r) FROM %s r WHERE %I = ''changed''', p_table, p_changed) INTO v_is;
      RAISE EXCEPTION USING ERRCODE = 'UNDO0';
    EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
    END;
    v_wanted := (CASE p_verb WHEN 'insert' THEN body ELSE v_row || body END) - v_times;
    problem := CASE
      WHEN v_answer <> '1' THEN v_answer
      WHEN t.pick(v_is, ARRAY(SELECT jsonb_object_keys(v_wanted))) IS DISTINCT FROM v_wanted THEN 'another row'
      WHEN v_is ->> 'created_at' IS DISTINCT FROM CASE p_verb WHEN 'insert' THEN v_now ELSE v_row ->> 'created_at' END THEN 'another created_at'
      WHEN v_row ? 'updated_at' AND v_is ->> 'updated_at' IS DISTINCT FROM v_now THEN 'another updated_at' END;
    RETURN NEXT;
  END LOOP;
END
$$;

-- a column in which any text is allowed, for each of the tables; a new table wants its own
CREATE TABLE t.changed (tbl regclass PRIMARY KEY, col text);
INSERT INTO t.changed VALUES ('profiles', 'display_name'), ('projects', 'title'), ('studio_jobs', 'raw_audio_url');
GRANT SELECT ON t.changed TO PUBLIC;
SELECT DISTINCT tbl AS untried FROM t.columns WHERE tbl NOT IN (SELECT tbl FROM t.changed);

CALL t.as_user(t.id(1));
SELECT c.tbl, verb, count(*) AS calls, count(problem) AS problems, min(problem || ' ' || t.masked(body::text)) AS first
  FROM t.changed c, unnest('{insert,update,upsert}'::text[]) verb, t.calls(verb, c.tbl, c.col)
 WHERE verb = 'update' OR (SELECT bool_or(may_insert) FROM t.columns o WHERE o.tbl = c.tbl)
 GROUP BY c.tbl, verb ORDER BY c.tbl::text, verb;
CALL t.as_admin();

-- What the same calls may not change: every identifier, owner and creation time, to another user's, to what nobody has and
-- so on, alone and in the whole row.
CREATE FUNCTION t.values_of(p_table regclass, p_col text) RETURNS TABLE (what text, value text)
LANGUAGE sql STABLE AS $$
  SELECT v.what, v.value
    FROM t.columns c, t.stored(p_table, 2) AS other (r),
         LATERAL (VALUES ('another''s', other.r ->> p_col), ('nobody''s', t.id(77)::text), ('NULL', NULL)) AS v (what, value)
   WHERE c.tbl = p_table AND c.col = p_col AND (c.key OR c.owner)
  UNION ALL
  SELECT what, value
    FROM (VALUES ('long ago', '2001-01-01'), ('infinity', 'infinity'), ('-infinity', '-infinity'), ('NULL', NULL), ('now', now()::text),
                 ('a second before', (now() - interval '7.5 days 1 second')::text)) AS v (what, value)
   WHERE p_col = 'created_at'
$$;
CREATE FUNCTION t.changes() RETURNS TABLE (verb text, tbl regclass, col text, value text, answer text, in_whole_row text, left_alone boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_key text;
  v_value text;
  v_row jsonb;
  v_new jsonb;
  v_needed text[];
  v_nameable text[];
BEGIN
  FOR verb, tbl, v_key, col, value, v_value IN
    SELECT w.verb, c.tbl, k.col, c.col, v.what, v.value
      FROM t.columns c JOIN t.columns k ON k.tbl = c.tbl AND k.key,
           LATERAL t.values_of(c.tbl, c.col) v, unnest('{update,upsert,insert}'::text[]) WITH ORDINALITY AS w (verb, n)
     WHERE (w.verb = 'update' OR c.may_insert AND NOT c.key)
       -- a new row may be created now
       AND NOT (w.verb = 'insert' AND c.col = 'created_at' AND v.what IN ('NULL', 'now'))
     ORDER BY w.n, c.tbl::text, c.attnum, v.what COLLATE "C"
  LOOP
    v_row := t.stored(tbl, 1);
    v_needed := ARRAY(SELECT c.col FROM t.columns c WHERE c.tbl = changes.tbl AND (c.needed OR c.key));
    v_nameable := ARRAY(SELECT c.col FROM t.columns c WHERE c.tbl = changes.tbl AND c.may_update);
    v_new := CASE verb WHEN 'insert' THEN jsonb_build_object(v_key, t.id(99)) ELSE '{}' END || jsonb_build_object(col, v_value);
    answer := t.request(verb, tbl, CASE verb WHEN 'update' THEN '{}' ELSE t.pick(v_row, v_needed) END || v_new, v_row ->> v_key);
    in_whole_row := t.request(verb, tbl, t.pick(v_row, v_nameable) || v_new, v_row ->> v_key);
    in_whole_row := CASE WHEN in_whole_row = answer THEN 'the same' ELSE in_whole_row END;
    left_alone := t.stored(tbl, 1) = v_row;
    RETURN NEXT;
  END LOOP;
END
$$;
CALL t.as_user(t.id(1));
SELECT * FROM t.changes();

-- what is never named, not even with the value that the row has
SELECT c.tbl, c.col, t.request('update', c.tbl, jsonb_build_object(c.col, t.stored(c.tbl, 1) -> c.col), t.stored(c.tbl, 1) ->> k.col) AS update,
       CASE WHEN k.may_insert THEN t.request('upsert', c.tbl, t.stored(c.tbl, 1)) END AS whole_row
  FROM t.columns c JOIN t.columns k ON k.tbl = c.tbl AND k.key
 WHERE NOT c.may_update ORDER BY c.tbl::text, c.attnum;

-- rows of others: an update does not tell them from none, and an upsert does not say what is there
SELECT c.tbl, t.request('update', c.tbl, jsonb_build_object(h.col, 'x'), t.stored(c.tbl, 2) ->> c.col) AS anothers,
       t.request('update', c.tbl, jsonb_build_object(h.col, 'x'), t.id(77)::text) AS nobodys
  FROM t.columns c JOIN t.changed h USING (tbl) WHERE c.key ORDER BY c.tbl::text;
SELECT c.tbl, t.request('upsert', c.tbl, theirs.r) AS as_it_is, t.request('upsert', c.tbl, theirs.r || mine.r) AS as_own,
       t.request('ignore', c.tbl, theirs.r || mine.r) AS or_nothing
  FROM t.columns c,
       LATERAL (SELECT t.pick(t.stored(c.tbl, 2), array_agg(o.col)) FROM t.columns o WHERE o.tbl = c.tbl AND o.may_update) AS theirs (r),
       LATERAL (SELECT jsonb_build_object('user_id', t.id(1), 'created_at', now())) AS mine (r)
 WHERE c.key AND c.may_insert ORDER BY c.tbl::text;
CALL t.as_user(NULL);
SELECT t.request('insert', 'projects', t.stored('projects', 1) || jsonb_build_object('id', t.id(99))) AS nobody_inserts,
       t.request('upsert', 'projects', t.stored('projects', 1)) AS upserts,
       t.request('update', 'projects', t.stored('projects', 1), t.id(11)::text) AS updates;
CALL t.as_role('anon');
SELECT t.request('insert', 'projects', t.stored('projects', 1)) AS anon_inserts, t.request('update', 'projects', '{"title": "x"}', t.id(11)::text) AS updates;
CALL t.as_admin();

-- times that lost something on their way through a client, and those of a row that was made a moment ago
CALL t.project(1, 13);
UPDATE projects SET created_at = now() - interval '1 minute 3.141592 seconds' WHERE id = t.id(13);
UPDATE projects SET created_at = '2026-01-01 00:00:00.123456+00' WHERE id = t.id(11);
UPDATE studio_jobs SET run_at = '2026-01-01 00:00:00.000999+00' WHERE job_id = t.id(21);
CREATE FUNCTION t.sent(p_verb text, p_table regclass, p_key integer, p_change jsonb DEFAULT '{}', p_unit text DEFAULT 'microseconds') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_key text := (SELECT col FROM t.columns WHERE tbl = p_table AND key);
  v_row jsonb;
  v_before jsonb;
  v_after jsonb;
  v_answer text;
BEGIN
  EXECUTE format('SELECT to_jsonb(r) FROM %s r WHERE %I = %L', p_table, v_key, t.id(p_key)) INTO v_before;
  SELECT jsonb_object_agg(k, CASE WHEN k IN ('created_at', 'run_at') AND v <> 'null'
                                  THEN to_jsonb(date_trunc(p_unit, (v #>> '{}')::timestamptz)) ELSE v END)
    INTO v_row FROM jsonb_each(v_before || p_change) AS e (k, v) WHERE k IN (SELECT col FROM t.columns WHERE tbl = p_table AND may_update);
  v_answer := t.request(p_verb, p_table, v_row, t.id(p_key)::text, true);
  EXECUTE format('SELECT to_jsonb(r) FROM %s r WHERE %I = %L', p_table, v_key, t.id(p_key)) INTO v_after;
  RETURN v_answer || CASE WHEN v_before - 'updated_at' = v_after - 'updated_at' THEN '' ELSE ', CHANGED' END;
END
$$;
CALL t.as_user(t.id(1));
SELECT verb, tbl, t.sent(verb, tbl, key, '{}', 'milliseconds') AS milliseconds, t.sent(verb, tbl, key, '{}', 'seconds') AS seconds
  FROM (VALUES ('projects'::regclass, 11), ('studio_jobs', 21)) AS r (tbl, key), unnest('{update,upsert}'::text[]) verb
 ORDER BY verb, tbl::text;
SELECT verb, t.sent(verb, 'projects', 13) AS recent_row,
       t.sent(verb, 'projects', 13, jsonb_build_object('created_at', now() - interval '2 minutes')) AS two_minutes_ago,
       t.sent(verb, 'projects', 13, '{"created_at": null}') AS no_time,
       t.sent(verb, 'projects', 13, jsonb_build_object('created_at', now() - interval '6 minutes')) AS six_minutes_ago
  FROM unnest('{update,upsert}'::text[]) verb;

-- what clients send of new rows: the present time by their own clock, or no time at all; nobody dates his rows
SELECT what, tbl, t.request('insert', tbl, body || jsonb_build_object('created_at', sent), NULL, true) AS answer
  FROM (VALUES ('projects'::regclass, jsonb_build_object('user_id', t.id(1), 'title', 'new', 'prompt_text', 'p', 'niche_preset', 'facts', 'updated_at', '2099-01-01')),
               ('studio_jobs', jsonb_build_object('user_id', t.id(1), 'raw_audio_url', 'new'))) AS r (tbl, body),
       (VALUES ('now', clock_timestamp()), ('a slow clock', now() - interval '4 minutes'), ('a fast clock', now() + interval '4 minutes'),
               ('no time', NULL), ('six minutes ago', now() - interval '6 minutes'), ('in six minutes', now() + interval '6 minutes')) AS v (what, sent)
 ORDER BY what COLLATE "C", tbl::text;
BEGIN;
SELECT t.request('insert', 'projects', jsonb_build_object('user_id', t.id(1), 'title', 'dated', 'prompt_text', 'p', 'niche_preset', 'facts',
                 'created_at', now() - interval '3 minutes', 'updated_at', '2099-01-01'), NULL, true);
SELECT created_at = now() AS created, updated_at = now() AS updated FROM projects WHERE title = 'dated';
ROLLBACK;
SELECT count(*) FILTER (WHERE created_at > now() - interval '1 minute') AS new, count(*) FROM projects WHERE title = 'new';
SELECT count(*) FILTER (WHERE created_at > now() - interval '1 minute') AS new, count(*) FROM studio_jobs WHERE raw_audio_url = 'new';
-- a row that was deleted does not come back as old as it was
DELETE FROM projects WHERE id = t.id(13);
SELECT t.request('upsert', 'projects', jsonb_build_object('id', t.id(13), 'user_id', t.id(1), 'title', 'again', 'prompt_text', 'p', 'niche_preset', 'facts',
                 'created_at', '2026-01-01')) AS as_it_was,
       t.request('upsert', 'projects', jsonb_build_object('id', t.id(13), 'user_id', t.id(1), 'title', 'again', 'prompt_text', 'p', 'niche_preset', 'facts')) AS as_new;
CALL t.as_admin();
DELETE FROM studio_jobs WHERE raw_audio_url = 'new';

-- studio jobs that went on, and what services gave them: as they were read they go back, and new ones are held to the rules
UPDATE studio_jobs SET status = 'TRANSCRIBING', priority = 1000, max_attempts = 1000, run_at = now() + interval '1000 days',
                       cancel_requested_at = now(), idempotency_key = 'key' WHERE job_id = t.id(21);
CALL t.as_user(t.id(1));
SELECT verb, t.sent(verb, 'studio_jobs', 21) AS as_read, t.sent(verb, 'studio_jobs', 21, '{"priority": 1001}') AS priority,
       t.sent(verb, 'studio_jobs', 21, '{"max_attempts": 1001}') AS max_attempts, t.sent(verb, 'studio_jobs', 21, '{"run_at": null}') AS run_at,
       t.sent(verb, 'studio_jobs', 21, '{"cancel_requested_at": null}') AS cancel, t.sent(verb, 'studio_jobs', 21, '{"idempotency_key": "other"}') AS key,
       t.sent(verb, 'studio_jobs', 21, '{"status": "REFINING"}') AS jumps
  FROM unnest('{update,upsert}'::text[]) verb;
SELECT given, t.request('insert', 'studio_jobs', jsonb_build_object('user_id', t.id(1), 'raw_audio_url', 'x') || given) AS inserts,
       t.request('upsert', 'studio_jobs', jsonb_build_object('job_id', t.id(99), 'user_id', t.id(1), 'raw_audio_url', 'x') || given) AS upserts
  FROM unnest('{"{\"status\": \"NEW\", \"priority\": 100}", "{\"status\": \"TRANSCRIBING\"}", "{\"status\": \"COMPLETE\"}", "{\"status\": \"new\"}", "{\"priority\": 1000}",
                "{\"max_attempts\": 1000}", "{\"max_attempts\": 0}", "{\"run_at\": \"2999-01-01\"}", "{\"run_at\": \"infinity\"}", "{\"cancel_requested_at\": \"2026-01-01\"}"}'::jsonb[]) given;
CALL t.as_admin();
UPDATE studio_jobs SET status = 'ENRICHING' WHERE job_id = t.id(21);
UPDATE studio_jobs SET status = 'COMPLETE' WHERE job_id = t.id(21);
CALL t.as_user(t.id(1));
SELECT t.sent('update', 'studio_jobs', 21) AS complete, t.sent('upsert', 'studio_jobs', 21) AS upserted,
       t.sent('upsert', 'studio_jobs', 21, '{"status": "NEW"}') AS again;
-- a batch: a new row beside one that is there; one that is not allowed stops all of it
SELECT t.try(format($$INSERT INTO projects (id, user_id, title, prompt_text, niche_preset, created_at)
  VALUES (%L, auth.uid(), 'batch', 'p', 'facts', now()), (%L, auth.uid(), 'batch', 'p', 'facts', '2026-01-01 00:00:00.123456+00')
  ON CONFLICT (id) DO UPDATE SET id = excluded.id, user_id = excluded.user_id, title = excluded.title, created_at = excluded.created_at$$, t.id(14), t.id(11)));
SELECT t.try(format($$INSERT INTO projects (id, user_id, title, prompt_text, niche_preset, created_at)
  VALUES (%L, auth.uid(), 'dated', 'p', 'facts', '2001-01-01'), (%L, auth.uid(), 'dated', 'p', 'facts', '2026-01-01 00:00:00.123456+00')
  ON CONFLICT (id) DO UPDATE SET id = excluded.id, user_id = excluded.user_id, title = excluded.title, created_at = excluded.created_at$$, t.id(15), t.id(11)));
SELECT t.n(id) AS project, title, created_at > now() - interval '1 minute' AS new FROM projects WHERE title IN ('batch', 'dated') ORDER BY id;

-- MERGE is an UPDATE or an INSERT
SELECT change, t.try(format('MERGE INTO projects p USING (SELECT %L::uuid AS id) s ON p.id = s.id WHEN MATCHED THEN UPDATE SET %s', t.id(11), change)) AS merge
  FROM unnest('{title = ''merged'',id = p.id,id = t.id(77),user_id = t.id(2),created_at = now()}'::text[]) change;
SELECT t.try(format($$MERGE INTO projects p USING (SELECT %L::uuid AS id) s ON p.id = s.id WHEN NOT MATCHED THEN
  INSERT (id, user_id, title, prompt_text, niche_preset, created_at) VALUES (s.id, auth.uid(), 'merged', 'p', 'facts', '2001-01-01')$$, t.id(18)));

-- services, the owner of the data and his functions write what they want; so does who loads a dump
CALL t.as_role('service_role');
SELECT t.try(format($$INSERT INTO projects (id, user_id, title, prompt_text, niche_preset, created_at, updated_at)
                      VALUES (%L, %L, 'imported', 'p', 'facts', '2001-01-01', '2002-01-01')$$, t.id(16), t.id(2))) AS inserts,
       t.try(format($$UPDATE projects SET id = %L, user_id = %L, created_at = '2003-01-01' WHERE id = %L$$, t.id(17), t.id(1), t.id(16))) AS changes,
       t.try(format($$UPDATE studio_jobs SET user_id = %L, created_at = '2003-01-01' WHERE job_id = %L$$, t.id(2), t.id(21))) AS passes_on;
CALL t.as_admin();
SELECT t.n(id) AS project, t.n(user_id) AS "user", extract(year FROM created_at) AS year FROM projects WHERE title = 'imported';
SELECT extract(year FROM created_at) AS year, t.n(user_id) AS "user" FROM studio_jobs WHERE job_id = t.id(21);

-- drafts: whole rows, with the token, for the user who claimed them and for no other
SELECT save_draft_prompt('session-token-0001', 'A film') IS NOT NULL AS saved, save_draft_prompt('session-token-0002', 'Not claimed') IS NOT NULL AS another;
CALL t.as_user(t.id(1));
SELECT claim_draft_prompt('session-token-0001', t.id(1)) IS NOT NULL AS claimed;
SELECT session_token, t.n(user_id) AS "user", prompt_text FROM (SELECT * FROM draft_prompts) d;
CALL t.as_user(t.id(2));
SELECT count(*) FROM draft_prompts WHERE session_token IN ('session-token-0001', 'session-token-0002');
SELECT t.try('UPDATE draft_prompts SET prompt_text = prompt_text') AS changes;
CALL t.as_role('anon');
SELECT t.try('SELECT * FROM draft_prompts') AS anon;
CALL t.as_admin();

UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_jobs';
DROP FUNCTION t.sent, t.changes, t.values_of, t.calls, t.bodies, t.subsets, t.pick, t.request, t.stored;
DROP VIEW t.columns;
DROP TABLE t.changed;
SELECT * FROM t.clean();
