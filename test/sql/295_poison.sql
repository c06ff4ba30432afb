-- 295_poison.sql
--
-- One row of one user stops nobody else: rows as large as every command lets them
-- in, and rows beyond that, loaded with triggers off, times the functions that
-- read rows of several users; and whatever ends such a job still ends it.
-- Pitfall: user 1 is the poisoner, with the highest priorities; what is claimed
-- of user 2 is counted.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
SELECT count(grant_credits(t.id(u), 1000)) FROM generate_series(1, 2) u;

-- Values that to_jsonb() or a client cannot read: nobody can show them.
CREATE TYPE t.bad AS ENUM ('bad');
CREATE FUNCTION t.raise(t.bad) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE division_by_zero; END $$;
CREATE CAST (t.bad AS json) WITH FUNCTION t.raise(t.bad);
-- the long ones are made once
CREATE TABLE t.long AS SELECT repeat('x', 270000000) AS text, repeat(E'\x01', 15000000) AS escaped;
CREATE TABLE t.poisons (kind text, sql text);
INSERT INTO t.poisons VALUES
  ('a text that jsonb cannot hold', $$(SELECT text FROM t.long)$$),
  ('a text that a response cannot hold', $$(SELECT escaped FROM t.long)$$),
  ('a deep value', $$(repeat('[', 5000) || repeat(']', 5000))::jsonb$$),
  ('many digits', $$'{"n": 1e131071}'::jsonb$$),
  ('a value whose cast fails', $$'bad'::t.bad$$);

-- One job of user 1 with this in it, at the head of the queue, and two of user 2.
CREATE PROCEDURE t.poisoned(p_system text, p_poison text)
LANGUAGE plpgsql AS $$
DECLARE
  v_column text := CASE WHEN p_poison ~ 'jsonb$' THEN '{"studio_jobs": "enrichment_entities", "jobs": "manifest_json", "mm_rendering_queue": "render_config"}'::jsonb ->> p_system
                        WHEN p_poison ~ 'bad' THEN 'bad'
                        ELSE '{"studio_jobs": "raw_transcript", "jobs": "error_message", "mm_rendering_queue": "error_message"}'::jsonb ->> p_system END;
BEGIN
  DELETE FROM studio_jobs;
  DELETE FROM jobs;
  DELETE FROM mm_rendering_queue;
  IF p_system = 'studio_jobs' THEN
    INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, priority)
    VALUES (t.id(31), t.id(1), 'x', 100), (t.id(32), t.id(2), 'x', 1), (t.id(33), t.id(2), 'x', 0);
  ELSIF p_system = 'jobs' THEN
    INSERT INTO jobs (id, project_id, user_id, priority)
    VALUES (t.id(31), t.id(11), t.id(1), 100), (t.id(32), t.id(12), t.id(2), 1), (t.id(33), t.id(12), t.id(2), 0);
    PERFORM reserve_credits(j.user_id, j.id, 7) FROM jobs j;
    UPDATE jobs SET status = 'QUEUED';
  ELSE
    INSERT INTO mm_rendering_queue (render_id, user_id, priority)
    VALUES (t.id(31), t.id(1), 100), (t.id(32), t.id(2), 1), (t.id(33), t.id(2), 0);
  END IF;
  SET LOCAL session_replication_role = replica;
  EXECUTE format('UPDATE %I SET %I = %s WHERE %I = t.id(31)', p_system, v_column, p_poison,
                 '{"studio_jobs": "job_id", "jobs": "id", "mm_rendering_queue": "render_id"}'::jsonb ->> p_system);
  SET LOCAL session_replication_role = origin;
END
$$;
-- What the poisoned job says of itself, and what of it is left open.
CREATE FUNCTION t.state_of(p_system text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_state text;
BEGIN
  EXECUTE CASE p_system
    WHEN 'studio_jobs' THEN $s$SELECT status || ' ' || coalesce(error_details ->> 'code', '') FROM studio_jobs WHERE job_id = t.id(31)$s$
    WHEN 'jobs' THEN $s$SELECT status || ' ' || coalesce(error_code, '') || ', holds ' || (SELECT reserved FROM credit_accounts WHERE user_id = t.id(1)) FROM jobs WHERE id = t.id(31)$s$
    ELSE $s$SELECT status || ' ' || coalesce(error_code, '') FROM mm_rendering_queue WHERE render_id = t.id(31)$s$ END INTO v_state;
  RETURN concat(v_state, '; attempts: ' || (SELECT string_agg(a.attempt || ' ' || a.outcome || coalesce(' ' || (a.error ->> 'code'), ''), ', ' ORDER BY a.started_at, a.ended_at) FROM studio_engine.attempts a WHERE a.job_id = t.id(31) AND a.ended_at IS NOT NULL),
                '; in the queue: ' || (SELECT o.state FROM t.open_jobs o WHERE o.job_id = t.id(31)));
END
$$;
CREATE FUNCTION t.invariants() RETURNS text
LANGUAGE sql AS $$ SELECT string_agg(x, '; ') FROM (SELECT * FROM t.books() UNION ALL SELECT * FROM t.queue()) x (x) $$;
-- Every function that touches a job of this system, on the poisoned one: the
-- first word of the answer, or the error.
CREATE FUNCTION t.calls(p_system text) RETURNS TABLE (nr integer, call text)
LANGUAGE sql AS $$
  SELECT (row_number() OVER ())::integer, replace(c, '$1', 't.id(31)')
    FROM (VALUES ('*', 'SELECT string_agg(t.n(c.job_id), '' '') FROM claim_jobs(@system, ''w'', 1) c'),
      ('*', 'SELECT string_agg(t.n(c.job_id), '' '') FROM claim_jobs(@system, ''w'', 10) c'),
      ('*', 'SELECT get_job_statistics(@system) ->> ''system'''),
      ('*', 'SELECT count(*) FROM get_job_attempts($1)'),
      ('studio_jobs', 'SELECT cancel_studio_job($1) ->> ''status'''), ('jobs', 'SELECT cancel_job($1) ->> ''status'''), ('mm_rendering_queue', 'SELECT cancel_rendering($1) ->> ''status'''),
      ('studio_jobs', 'SELECT fail_studio_job($1, NULL) ->> ''status'''), ('jobs', 'SELECT fail_job($1, ''c'') ->> ''status'''), ('mm_rendering_queue', 'SELECT fail_rendering($1, ''c'') ->> ''status'''),
      ('studio_jobs', 'SELECT update_studio_job_status($1, ''TRANSCRIBING'') -> ''truncated'''), ('jobs', 'SELECT advance_job($1, ''SCRIPTING'') -> ''truncated'''), ('mm_rendering_queue', 'SELECT update_rendering($1, ''rendering'') -> ''truncated'''),
      ('studio_jobs', 'SELECT retry_studio_job($1) ->> ''status'''), ('jobs', 'SELECT retry_job($1) ->> ''status'''), ('mm_rendering_queue', 'SELECT retry_rendering($1) ->> ''status'''),
      ('studio_jobs', 'UPDATE studio_jobs SET status = ''FAILED'' WHERE job_id = $1 RETURNING status'), ('jobs', 'UPDATE jobs SET status = ''FAILED'' WHERE id = $1 RETURNING status'),
      ('mm_rendering_queue', 'UPDATE mm_rendering_queue SET status = ''failed'' WHERE render_id = $1 RETURNING status'),
      ('studio_jobs', 'DELETE FROM studio_jobs WHERE job_id = $1 RETURNING 1'), ('jobs', 'DELETE FROM jobs WHERE id = $1 RETURNING 1'),
      ('mm_rendering_queue', 'DELETE FROM mm_rendering_queue WHERE render_id = $1 RETURNING 1')) v (system, c)
   WHERE system IN ('*', p_system)
$$;
CREATE FUNCTION t.tried(p_system text, p_direct boolean, p_call text) RETURNS TABLE (answer text, state text)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('studio_engine.direct_rows', p_direct::text, true);
  BEGIN
    answer := t.ask(replace(p_call, '@system', quote_literal(p_system)));
    state := t.state_of(p_system);
    IF t.invariants() IS NOT NULL THEN
      state := state || '; ' || t.invariants();
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'P0001';
  EXCEPTION WHEN raise_exception THEN NULL;
  END;
  RETURN NEXT;
END
$$;
ALTER TABLE studio_jobs ADD COLUMN bad t.bad;
ALTER TABLE jobs ADD COLUMN bad t.bad;
ALTER TABLE mm_rendering_queue ADD COLUMN bad t.bad;
CREATE TABLE t.told (system text, kind text, direct boolean, nr integer, call text, answer text, state text);
CREATE PROCEDURE t.tell(p_only text)
LANGUAGE plpgsql AS $$
DECLARE
  v record;
BEGIN
  FOR v IN SELECT s.system, p.kind, p.sql FROM unnest('{studio_jobs,jobs,mm_rendering_queue}'::text[]) s (system), t.poisons p WHERE p.kind ~ p_only LOOP
    CALL t.poisoned(v.system, v.sql);
    INSERT INTO t.told
    SELECT v.system, v.kind, d.direct, c.nr, c.call, x.answer, x.state
      FROM unnest('{true,false}'::boolean[]) d (direct), t.calls(v.system) c, t.tried(v.system, d.direct, c.call) x;
  END LOOP;
END
$$;
CALL t.tell('.*');
ALTER TABLE studio_jobs DROP COLUMN bad;
ALTER TABLE jobs DROP COLUMN bad;
ALTER TABLE mm_rendering_queue DROP COLUMN bad;
-- the same once more where the tables are as they were installed
UPDATE t.told SET kind = kind || ', with a column of the owner''s';
CALL t.tell('jsonb|deep|digits');
-- none of it fails; the fast path and the statements agree; all poisons have one result
SELECT system, call, answer FROM t.told WHERE answer ~ '^[0-9A-Z]{5} ';
SELECT a.system, a.kind, a.call, a.answer, b.answer, a.state, b.state FROM t.told a JOIN t.told b USING (system, kind, nr)
 WHERE a.direct AND NOT b.direct AND (a.answer, a.state) IS DISTINCT FROM (b.answer, b.state);
SELECT system, regexp_replace(call, '00000000-0000-4000-8000-0*', '#') AS call, regexp_replace(answer, '\["[a-z_]+"\]', '[...]') AS answer, state, count(*)
  FROM t.told GROUP BY system, nr, call, 3, state ORDER BY system, nr, count(*) DESC;

-- a worker has the jobs of the queue, or one of them
CREATE PROCEDURE t.leased(p_attempt integer, p_until timestamptz, p_job uuid DEFAULT NULL)
LANGUAGE sql AS $$
  WITH taken AS (DELETE FROM studio_engine.queue WHERE p_job IS NULL OR job_id = p_job RETURNING *)
  INSERT INTO studio_engine.attempts (started_at, due_at, expires_at, since, system, attempt, first_attempt, lease_ms, job_id, lease_token, user_id, stage, worker)
  SELECT now(), p_until, p_until, due_at, system, p_attempt, first_attempt, 60000, job_id, gen_random_uuid(), user_id, stage, 'w' FROM taken
$$;

-- leases of poisoned jobs run out, and of the others beside them
CALL t.poisoned('studio_jobs', $$(SELECT text FROM t.long)$$);
SELECT t.n(job_id) AS job FROM claim_jobs('studio_jobs', 'w', 2, '1 hour');
CALL t.poisoned('jobs', $$(repeat('[', 5000) || repeat(']', 5000))::jsonb$$);
CALL t.leased(3, now() - interval '1 minute');
SELECT reap_expired_leases(10), t.state_of('jobs') AS state;
SELECT t.invariants();
-- a worker shuts down
CALL t.poisoned('mm_rendering_queue', $$'{"n": 1e131071}'::jsonb$$);
CALL t.leased(1, now() + interval '1 minute', t.id(31));
UPDATE studio_engine.attempts SET cancel_requested_at = now() WHERE job_id = t.id(31);
SELECT release_leases('w'), t.state_of('mm_rendering_queue') AS state;

-- a job that cannot be failed either waits, and the others go on
CREATE FUNCTION t.stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
CREATE TRIGGER stop BEFORE UPDATE ON studio_jobs FOR EACH ROW EXECUTE FUNCTION t.stop();
CALL t.poisoned('jobs', $$(SELECT text FROM t.long)$$);
DROP TRIGGER stop ON studio_jobs;
CALL t.poisoned('studio_jobs', $$(SELECT text FROM t.long)$$);
CREATE TRIGGER stop BEFORE UPDATE ON studio_jobs FOR EACH ROW EXECUTE FUNCTION t.stop();
SELECT t.n(job_id) AS job FROM claim_jobs('studio_jobs', 'w', 1);
SELECT t.state_of('studio_jobs') AS state;
SELECT t.n(job_id) AS job FROM claim_jobs('studio_jobs', 'w', 10);
DROP TRIGGER stop ON studio_jobs;
DROP FUNCTION t.stop;
UPDATE studio_engine.queue SET due_at = now() WHERE state = 'delayed';
SELECT count(*) FROM claim_jobs('studio_jobs', 'w', 10);
SELECT t.state_of('studio_jobs') AS state;
-- mended, it is worked on
UPDATE studio_jobs SET raw_transcript = NULL WHERE job_id = t.id(31);
SELECT retry_studio_job(t.id(31)) ->> 'status' AS status;
SELECT t.n(job_id) AS job, job ->> 'retry_count' AS retries FROM claim_jobs('studio_jobs', 'w', 10);

-- Failures: cut, whatever they were.
CALL t.poisoned('studio_jobs', $$NULL$$);
SET session_replication_role = replica;
UPDATE studio_jobs SET status = 'FAILED', error_details = CASE job_id
  WHEN t.id(31) THEN jsonb_build_object('code', repeat('c', 2000), 'message', repeat('ü', 5000000), 'step', 7, 'other', 1)
  WHEN t.id(32) THEN '{"n": 1e131071, "message": "short"}' ELSE (repeat('[', 5000) || repeat(']', 5000))::jsonb END;
RESET session_replication_role;
SELECT t.n((f ->> 'job_id')::uuid) AS job, regexp_replace(f ->> 'error', '(.)\1{9,}', '\1...', 'g') AS error, octet_length(f ->> 'error') AS bytes
  FROM jsonb_array_elements(get_job_statistics('studio_jobs') -> 'recent_failures') f ORDER BY 1;
UPDATE studio_jobs SET error_details = jsonb_build_object('message', repeat('x', n)) FROM (VALUES (31, 900), (32, 990), (33, 100000)) v (id, n) WHERE job_id = t.id(id);
SELECT t.n((f ->> 'job_id')::uuid) AS job, length(f -> 'error' ->> 'message') AS message, f -> 'error' -> 'truncated' AS truncated
  FROM jsonb_array_elements(get_job_statistics('studio_jobs') -> 'recent_failures') f ORDER BY 1;
CALL t.poisoned('jobs', $$repeat('ü', 20000000)$$);
SET session_replication_role = replica;
UPDATE jobs SET status = 'FAILED';
RESET session_replication_role;
SELECT t.n((f ->> 'job_id')::uuid) AS job, octet_length(f -> 'error' ->> 'message') AS bytes, right(f -> 'error' ->> 'message', 1) AS ends, f -> 'error' -> 'truncated' AS truncated
  FROM jsonb_array_elements(get_job_statistics('jobs') -> 'recent_failures') f ORDER BY 1;
CALL t.as_user(t.id(2));
SELECT jsonb_array_length(get_job_statistics('jobs') -> 'recent_failures') AS of_the_other;
CALL t.as_admin();
INSERT INTO studio_engine.attempts (system, job_id, attempt, first_attempt, lease_token, worker, stage, started_at, due_at, expires_at, since, lease_ms, ended_at, outcome, error)
SELECT 'jobs', t.id(31), n, 1, t.id(n), 'w', 'QUEUED', now(), now(), now(), now(), 1, now(), 'failed', error
  FROM (VALUES (1, jsonb_build_object('code', 'c', 'message', repeat('x', 900000))), (2, '{"n": 1e131071}')) v (n, error);
SELECT attempt, octet_length(error ->> 'message') AS bytes, error -> 'truncated' AS truncated FROM get_job_attempts(t.id(31));

-- What everybody may write at most: the largest rows of every table at once,
-- by a user where he may; all is shown, and a claim hands out what a response
-- can hold.
DELETE FROM jobs;
DELETE FROM studio_jobs;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
CALL t.as_user(t.id(1));
INSERT INTO studio_jobs (user_id, raw_audio_url, raw_transcript, refined_text, system_prompt_used, error_details, enrichment_entities, model_version, priority)
SELECT auth.uid(), repeat('ü', 8192), repeat(E'\x01', 1048576), repeat('"', 1048576), repeat(E'\n', 2000000),
       (repeat('[', 64) || '"' || repeat('x', 260000) || '"' || repeat(']', 64))::jsonb,
       (SELECT jsonb_agg(('1e' || (390 + i % 10))::numeric) FROM generate_series(1, 2500) i), 'm', 100
  FROM generate_series(1, 6);
CALL t.as_user(t.id(2));
INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT auth.uid(), 'x' FROM generate_series(1, 5);
CALL t.as_role('service_role');
CREATE TEMP TABLE claimed AS SELECT * FROM claim_jobs('studio_jobs', 'w', 100);
SELECT count(*) AS jobs, sum(octet_length(job::text)) / 1048576 AS mebibytes, bool_or(job ? 'truncated') AS truncated FROM claimed;
CREATE TEMP TABLE claimed_next AS SELECT * FROM claim_jobs('studio_jobs', 'w', 100);
SELECT count(*) AS jobs, sum(octet_length(job::text)) / 1048576 AS mebibytes, min(attempt) FILTER (WHERE octet_length(job::text) > 100000) AS attempt FROM claimed_next;
SELECT count(*) AS left_to_claim FROM claim_jobs('studio_jobs', 'w', 100);
CALL t.as_admin();
SELECT t.invariants();
SELECT outcome, count(*) FROM studio_engine.attempts WHERE ended_at IS NOT NULL GROUP BY 1;
SELECT count(cancel_studio_job(job_id) ->> 'status') AS cancelled FROM studio_jobs;
DROP TABLE claimed, claimed_next;
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_jobs';
-- a claim that returns jobs, by the fast path and by statements
DELETE FROM studio_jobs;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, raw_transcript, system_prompt_used, priority)
SELECT t.id(100 + i), t.id(1), 'x', repeat(E'\x01', 1048576), repeat(E'\x01', 2000000), -i FROM generate_series(1, 4) i;
CREATE FUNCTION t.given_back(p_direct boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_answer text;
BEGIN
  PERFORM set_config('studio_engine.direct_rows', p_direct::text, true);
  BEGIN
    v_answer := (SELECT string_agg(t.n(job_id), ' ') FROM claim_jobs('studio_jobs', 'w', 4));
    v_answer := concat(v_answer, '; then ', (SELECT string_agg(t.n(job_id) || ' at attempt ' || attempt, ' ') FROM claim_jobs('studio_jobs', 'w', 4)), '; ', t.invariants());
    RAISE EXCEPTION USING ERRCODE = 'P0001';
  EXCEPTION WHEN raise_exception THEN NULL;
  END;
  RETURN v_answer;
END
$$;
SELECT t.given_back(true) AS fastpath, t.given_back(false) AS by_statement;

-- The books and the content of others, beside rows that nobody can show.
SET session_replication_role = replica;
INSERT INTO credit_ledger (user_id, type, amount, balance_after, entry_no, note)
SELECT user_id, 'grant', 1, balance + 1, entries + 1, (SELECT text FROM t.long) FROM credit_accounts WHERE user_id = t.id(1);
RESET session_replication_role;
SELECT t.n(user_id) AS "user", problem, left(expected, 20) AS expected, left(actual, 20) AS actual FROM verify_credit_ledger();
UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain';
SELECT t.try('SELECT grant_credits(t.id(2), 1)') AS other_user;
SELECT t.n(user_id) AS "user", problem FROM verify_credit_ledger();
SET session_replication_role = replica;
INSERT INTO studio_engine.ledger_hashes (entry_id, user_id, entry_no, hash) SELECT id, user_id, entry_no, '\x00' FROM credit_ledger WHERE user_id = t.id(1);
RESET session_replication_role;
SELECT t.n(user_id) AS "user", problem, count(*) FROM verify_credit_ledger() GROUP BY 1, 2 ORDER BY 1, 2;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'ledger_hash_chain';

DROP TABLE t.poisons, t.told, t.long;
DROP PROCEDURE t.poisoned, t.tell, t.leased;
DROP FUNCTION t.state_of, t.invariants, t.calls, t.tried, t.given_back;
DROP TYPE t.bad CASCADE;
SELECT * FROM t.clean();
