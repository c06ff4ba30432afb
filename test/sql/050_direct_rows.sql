-- 050_direct_rows.sql
--
-- The fast path and the statements do the same, whatever was done to the
-- tables: one story is played both ways, before and after each change of a
-- table, and all results and all rows are compared.
-- Pitfall: both ways are played in subtransactions that are rolled back, with
-- direct_rows set by the test itself; what is printed of an answer is only what
-- differs from the undisturbed story, so silence means that nothing changed.
-- It runs early, since tests that change the tables may leave one not eligible for good.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE SCHEMA fastpath;
GRANT USAGE ON SCHEMA fastpath TO PUBLIC;
-- what triggers and functions of users have to say
CREATE TABLE fastpath.log (nr bigint, what text);
CREATE FUNCTION fastpath.note(p_what text) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO fastpath.log SELECT 1 + count(*), p_what FROM fastpath.log $$;

-- Identifiers and times of this century but for its first years are not the same twice.
CREATE FUNCTION fastpath.masked(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT regexp_replace(regexp_replace(t.masked(p_text),
    '20[2-9]\d-\d\d-\d\d[ T]\d\d:\d\d:[\d.]+[-+][\d:]+', '<time>', 'g'),
    '\w{3} \w{3} \d\d \d\d:\d\d:[\d.]+ \d{4} \w+', '<time>', 'g')
$$;

-- The value of a query, or all that is said of its error.
CREATE FUNCTION fastpath.said(p_sql text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_value text := 'ok';
  v_state text; v_message text; v_detail text; v_hint text; v_schema text; v_table text; v_column text; v_constraint text;
BEGIN
  IF p_sql !~ '^SELECT' THEN
    EXECUTE p_sql;
    RETURN 'done';
  END IF;
  EXECUTE p_sql INTO v_value;
  RETURN fastpath.masked(coalesce(v_value, 'NULL'));
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS v_state = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT,
    v_schema = SCHEMA_NAME, v_table = TABLE_NAME, v_column = COLUMN_NAME, v_constraint = CONSTRAINT_NAME;
  RETURN fastpath.masked(concat_ws(' | ', v_state || ' ' || v_message, nullif(v_constraint, ''), nullif(v_detail, ''), nullif(v_hint, ''),
                               nullif(v_schema, ''), nullif(v_table, ''), nullif(v_column, '')));
END
$$;
-- An error as it is printed, the same in all versions of PostgreSQL.
CREATE FUNCTION fastpath.short(p_answer text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT regexp_replace(regexp_replace(p_answer, ' \| (Failing row|Worker|Buy|Drop|Look|Key) .*|; allowed: .*', ''),
                        '^42809 ("attempts" is an? (composite type|index)|cannot open relation "attempts").*', '42809 no table')
$$;

-- Every row, without what cannot be the same twice; all columns of those that are there.
CREATE FUNCTION fastpath.rows() RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY '{public.jobs,public.credit_accounts,public.credit_ledger,studio_engine.expiring_credits,studio_engine.queue,studio_engine.attempts,fastpath.log}'::text[] LOOP
    IF (SELECT relkind IN ('r', 'p', 'v', 'm') FROM pg_class WHERE oid = to_regclass(v_table)) THEN
      RETURN QUERY EXECUTE format('SELECT x FROM (SELECT %L || '' '' || fastpath.masked(to_jsonb(r)::text) FROM %s r) AS x (x) ORDER BY x COLLATE "C"', v_table, v_table);
    END IF;
  END LOOP;
END
$$;

-- The answers to all these steps, then the rows that there are afterwards, of a
-- play that never happened.
CREATE FUNCTION fastpath.played(p_fast_path boolean, p_steps text[], OUT answers text[], OUT rows text[])
LANGUAGE plpgsql AS $$
DECLARE
  v_step text;
BEGIN
  PERFORM set_config('studio_engine.direct_rows', p_fast_path::text, true);
  FOREACH v_step IN ARRAY p_steps LOOP
    answers := answers || fastpath.said(v_step);
  END LOOP;
  rows := ARRAY(SELECT fastpath.rows());
  RAISE SQLSTATE 'RB000';
EXCEPTION WHEN SQLSTATE 'RB000' THEN
  NULL;
END
$$;

-- Steps of the story.
CREATE FUNCTION fastpath.claim(p_worker text, p_limit integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_claim record;
  v_jobs text;
BEGIN
  FOR v_claim IN SELECT * FROM public.claim_jobs('jobs', p_worker, p_limit) LOOP
    v_jobs := concat_ws(' ', v_jobs, t.n(v_claim.job_id) || '/' || v_claim.attempt);
    PERFORM set_config('fastpath.token_' || t.n(v_claim.job_id), v_claim.lease_token::text, true);
  END LOOP;
  RETURN v_jobs;
END
$$;
CREATE FUNCTION fastpath.token(p_job integer) RETURNS uuid
LANGUAGE sql AS $$ SELECT nullif(current_setting('fastpath.token_' || p_job, true), '')::uuid $$;
CREATE FUNCTION fastpath.advance(p_job integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_status text;
  v_job jsonb;
BEGIN
  FOREACH v_status IN ARRAY '{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[] LOOP
    v_job := public.advance_job(t.id(p_job), v_status, 50, 'at ' || v_status, fastpath.token(p_job));
  END LOOP;
  RETURN v_job ->> 'status';
END
$$;
CREATE FUNCTION fastpath.story() RETURNS text[]
LANGUAGE sql AS $$ SELECT ARRAY[
  'SELECT public.reserve_credits(t.id(1), t.id(21), 3)',
  'SELECT public.reserve_credits(t.id(1), t.id(22), 4)',
  'SELECT public.reserve_credits(t.id(1), t.id(21), 5)',
  'SELECT public.reserve_credits(t.id(1), t.id(23), 9)',
  'SELECT public.settle_credits(t.id(22), 2)',
  'SELECT public.reserve_credits(t.id(1), t.id(23), 1)',
  'SELECT public.release_credits(t.id(23))',
  $s$SELECT public.grant_credits(t.id(1), 5, 'a gift', 'the key') IS NOT NULL$s$,
  'SELECT public.get_credit_balance(t.id(1))',
  $s$SELECT fastpath.claim('w', 2)$s$,
  $s$SELECT public.advance_job(t.id(21), 'RENDERING', NULL, NULL, fastpath.token(21))$s$,
  'SELECT fastpath.advance(21)',
  $s$SELECT public.complete_job(t.id(21), 'https://example.com/v', '{"a": 1}', 2, fastpath.token(21))$s$,
  $s$SELECT public.complete_job(t.id(21), 'https://example.com/v', '{"a": 1}', 2, fastpath.token(21))$s$,
  $s$SELECT public.advance_job(t.id(22), 'SCRIPTING', 101, NULL, fastpath.token(22))$s$,
  $s$SELECT public.fail_job(t.id(22), 'BROKEN', 'it broke', 'script', false, fastpath.token(22)) ->> 'status'$s$,
  $s$SELECT fastpath.claim('v', 1)$s$,
  'SELECT fastpath.advance(23)',
  'SELECT public.complete_job(t.id(23), p_lease_token => gen_random_uuid())',
  $s$SELECT public.complete_job(t.id(23), p_lease_token => fastpath.token(23)) ->> 'status'$s$,
  $s$SELECT fastpath.claim('v', 1)$s$,
  $s$SELECT public.heartbeat_job(t.id(24), fastpath.token(24), p_lease => '1 hour') ->> 'cancel'$s$,
  $s$SELECT public.snooze_job(t.id(24), fastpath.token(24), '1 hour') IS NOT NULL$s$,
  $s$SELECT string_agg(x, '; ') FROM t.books() x$s$,
  $s$SELECT string_agg(x, '; ') FROM t.queue() x$s$]
$$;
CREATE TABLE fastpath.told AS SELECT * FROM unnest(fastpath.story()) WITH ORDINALITY AS s (step, nr);
ALTER TABLE fastpath.told ADD COLUMN answer text;

-- After a claim that took long a session looks from the start only now and then.  It forgets that when it has claimed
-- from many sets of stages.
CREATE PROCEDURE fastpath.forget()
LANGUAGE plpgsql AS $$
DECLARE
  v_stages CONSTANT text[] := '{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}';
BEGIN
  IF current_setting('fastpath.forgets', true) = 'on' THEN
    PERFORM public.claim_jobs('jobs', 'w', 1, NULL, CASE WHEN a = b THEN ARRAY[a] ELSE ARRAY[a, b] END)
       FROM unnest(v_stages) a, unnest(v_stages) b WHERE a <= b;
  END IF;
END
$$;

-- What is different, between the fast path and the statement or from the undisturbed story.
CREATE FUNCTION fastpath.compared(p_steps text[]) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
  v_direct record;
  v_statement record;
BEGIN
  CALL fastpath.forget();
  v_direct := fastpath.played(true, p_steps);
  CALL fastpath.forget();
  v_statement := fastpath.played(false, p_steps);
  RETURN QUERY
    SELECT format('DIFFERENT: %s -- fast path: %s -- statement: %s', p, d, s)
      FROM unnest(p_steps, v_direct.answers, v_statement.answers) AS x (p, d, s) WHERE d <> s;
  RETURN QUERY
    SELECT concat((array_agg(coalesce(substring(p FROM '(?:public|fastpath)\.(.*)'), p) ORDER BY nr))[1], ' -- ', left(fastpath.short(s), 130), ' (' || nullif(count(*), 1) || ' times)')
      FROM unnest(p_steps, v_statement.answers) WITH ORDINALITY AS x (p, s, nr)
     WHERE NOT EXISTS (SELECT FROM fastpath.told o WHERE o.step = p AND o.answer = s) AND (p ~ '^SELECT' OR s <> 'done')
     GROUP BY fastpath.short(s) ORDER BY min(nr);
  IF v_direct.rows <> v_statement.rows THEN
    RETURN NEXT format('ROWS DIFFER: fast path %s -- statement %s',
                       (SELECT min(left(x, 300)) FROM unnest(v_direct.rows) x WHERE x <> ALL (v_statement.rows)),
                       (SELECT min(left(x, 300)) FROM unnest(v_statement.rows) x WHERE x <> ALL (v_direct.rows)));
  END IF;
END
$$;

CREATE FUNCTION fastpath.not_eligible() RETURNS text
LANGUAGE sql AS $$
  SELECT coalesce(string_agg(table_name || ': ' || reason, '; ' ORDER BY table_name), 'nothing')
    FROM studio_engine.direct_tables() WHERE reason IS NOT NULL
$$;
CREATE PROCEDURE fastpath.tell(p_what text)
LANGUAGE plpgsql AS $$ BEGIN RAISE INFO '%', p_what; END $$;
-- only what depends on the path
CREATE PROCEDURE fastpath.tell_differences(p_when text, p_steps text[])
LANGUAGE plpgsql AS $$
DECLARE
  v_line text;
BEGIN
  FOR v_line IN SELECT x FROM fastpath.compared(p_steps) x WHERE x ~ 'DIFFER' LOOP
    RAISE INFO '  %: %', p_when, v_line;
  END LOOP;
END
$$;
CREATE PROCEDURE fastpath.tell_compared(p_when text, p_steps text[])
LANGUAGE plpgsql AS $$
DECLARE
  v_line text;
BEGIN
  FOR v_line IN SELECT fastpath.compared(p_steps) LOOP
    RAISE INFO '  %: %', p_when, v_line;
  END LOOP;
END
$$;

-- What a change of a table does to its eligibility and to the story, and to a story
-- that has begun before it.  With a statement that undoes it the change is committed,
-- and afterwards the table is eligible again.  Without one it is rolled back.  All of
-- it runs in one session, with what that has cached of the tables.
CREATE PROCEDURE fastpath.try_changed(p_change text, p_steps text[])
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE p_change;
  RAISE INFO '  not eligible: %', fastpath.not_eligible();
  CALL fastpath.tell_compared('then', p_steps);
  RAISE SQLSTATE 'RB001';
EXCEPTION WHEN SQLSTATE 'RB001' THEN
  NULL;
END
$$;
CREATE PROCEDURE fastpath.hazard(p_what text, p_change text, p_undo text DEFAULT NULL, p_more text[] DEFAULT '{}')
LANGUAGE plpgsql AS $$
DECLARE
  v_story text[] := fastpath.story() || p_more;
BEGIN
  RAISE INFO '%', p_what;
  PERFORM set_config('fastpath.forgets', CASE WHEN p_what LIKE '%calls us, on studio_engine.%' THEN 'on' ELSE 'off' END, false);
  -- without what former plays left, claims look from the start
  CLUSTER studio_engine.queue USING queue_pkey;
  COMMIT;
  IF p_undo IS NULL THEN
    CALL fastpath.try_changed(p_change, v_story);
  ELSE
    EXECUTE p_change;
    COMMIT;
    RAISE INFO '  not eligible: %', fastpath.not_eligible();
    CALL fastpath.tell_compared('then', v_story);
    EXECUTE p_undo;
    COMMIT;
  END IF;
  IF fastpath.not_eligible() <> 'nothing' THEN
    RAISE INFO '  still not eligible: %', fastpath.not_eligible();
  END IF;
  CALL fastpath.tell_differences('meanwhile', v_story[:13] || p_change || v_story[14:]);
END
$$;

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
CALL t.job(11, 21, 'QUEUED');
CALL t.job(11, 22, 'QUEUED');
CALL t.job(11, 23, 'QUEUED');
CALL t.job(12, 24, 'QUEUED');

--
-- The story
--

SELECT * FROM studio_engine.direct_tables();
UPDATE fastpath.told o SET answer = p.answers[o.nr] FROM fastpath.played(false, fastpath.story()) p;
SELECT nr, regexp_replace(step, '^SELECT |public\.|fastpath\.', '', 'g') AS step, left(fastpath.short(answer), 120) AS answer FROM fastpath.told ORDER BY nr;
SELECT fastpath.compared(fastpath.story());
-- it writes
SELECT cardinality(d.rows) AS rows, d.rows = s.rows AS same FROM fastpath.played(true, fastpath.story()) d, fastpath.played(false, fastpath.story()) s;
-- a difference would be seen
SELECT left(x, 78) AS compared FROM fastpath.compared(ARRAY['SELECT current_setting(''studio_engine.direct_rows'')',
                           'DO $$ BEGIN IF current_setting(''studio_engine.direct_rows'')::boolean THEN UPDATE public.jobs SET progress = 7 WHERE id = t.id(24); END IF; END $$']) x;

--
-- Columns
--

VACUUM studio_engine.queue;
CALL fastpath.hazard('a column of a user', 'ALTER TABLE public.jobs ADD COLUMN theirs text');
CALL fastpath.hazard('a column with a default', 'ALTER TABLE public.credit_ledger ADD COLUMN theirs text DEFAULT ''d''');
CALL fastpath.hazard('a column with a volatile default', 'ALTER TABLE public.credit_ledger ADD COLUMN theirs integer DEFAULT 1 + 0 * random()');
CALL fastpath.hazard('a generated column', 'ALTER TABLE public.credit_accounts ADD COLUMN theirs integer GENERATED ALWAYS AS (balance + reserved) STORED');
CALL fastpath.hazard('a column that must be given', 'DELETE FROM studio_engine.attempts; ALTER TABLE studio_engine.attempts ADD COLUMN theirs text NOT NULL');
CALL fastpath.hazard('a column of the queue', 'ALTER TABLE studio_engine.queue ADD COLUMN theirs text DEFAULT ''d''');
CALL fastpath.hazard('a column that was dropped', 'ALTER TABLE public.jobs ADD COLUMN theirs text; ALTER TABLE public.jobs DROP COLUMN theirs');
CALL fastpath.hazard('columns in another order', 'ALTER TABLE studio_engine.attempts DROP COLUMN shown_at; ALTER TABLE studio_engine.attempts ADD COLUMN shown_at timestamptz');
CALL fastpath.hazard('a column that is renamed', 'ALTER TABLE public.jobs RENAME COLUMN output_url TO url', 'ALTER TABLE public.jobs RENAME COLUMN url TO output_url');
CALL fastpath.hazard('a column of another type', 'ALTER TABLE public.jobs ALTER status_message TYPE varchar(200)', 'ALTER TABLE public.jobs ALTER status_message TYPE text');
CALL fastpath.hazard('a column of a wider type', 'ALTER TABLE public.jobs ALTER cost_credits_reserved TYPE bigint', 'ALTER TABLE public.jobs ALTER cost_credits_reserved TYPE integer');
CREATE DOMAIN fastpath.short_text AS text CHECK (length(VALUE) < 15);
CALL fastpath.hazard('a column of a domain', 'ALTER TABLE public.jobs ALTER output_url TYPE fastpath.short_text', 'ALTER TABLE public.jobs ALTER output_url TYPE text');
VACUUM studio_engine.queue;
CALL fastpath.hazard('a column of another collation', 'ALTER TABLE public.jobs ALTER status_message TYPE text COLLATE "C"', 'ALTER TABLE public.jobs ALTER status_message TYPE text COLLATE "default"');
-- where texts that differ are equal, a column changes or does not
CREATE COLLATION fastpath.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CALL fastpath.hazard('a column of a collation without case', 'ALTER TABLE public.jobs ALTER status_message TYPE text COLLATE fastpath.caseless', 'ALTER TABLE public.jobs ALTER status_message TYPE text COLLATE "default"');
CALL fastpath.tell_compared('without case', ARRAY['SELECT fastpath.claim(''w'', 1)', 'ALTER TABLE public.jobs ALTER status_message TYPE text COLLATE fastpath.caseless',
  'SELECT public.advance_job(t.id(21), ''SCRIPTING'', 5, ''begun'', fastpath.token(21)) ->> ''status_message''', 'SELECT public.advance_job(t.id(21), ''SCRIPTING'', 5, ''BEGUN'', fastpath.token(21)) ->> ''status_message''']);
CALL fastpath.hazard('a column that must not be null', 'ALTER TABLE studio_engine.attempts ALTER error SET NOT NULL', 'ALTER TABLE studio_engine.attempts ALTER error DROP NOT NULL');
CALL fastpath.hazard('columns stored otherwise', 'ALTER TABLE public.jobs ALTER manifest_json SET STORAGE EXTERNAL, ALTER manifest_json SET STATISTICS 7', 'ALTER TABLE public.jobs ALTER manifest_json SET STORAGE EXTENDED, ALTER manifest_json SET STATISTICS -1');
-- what people add to the tables that are only updated goes along
CALL fastpath.hazard('a column that must be given, with a default', 'ALTER TABLE public.credit_accounts ADD COLUMN theirs text NOT NULL DEFAULT ''d''');
CALL fastpath.hazard('a column with a check', 'ALTER TABLE public.jobs ADD COLUMN theirs integer DEFAULT 1 CHECK (theirs > 0)');
CALL fastpath.hazard('a column with a check of ours too', 'ALTER TABLE public.jobs ADD COLUMN theirs integer DEFAULT 50, ADD CONSTRAINT theirs CHECK (progress <= theirs)');
CALL fastpath.hazard('an added column of a domain', 'ALTER TABLE public.jobs ADD COLUMN theirs fastpath.short_text DEFAULT ''d''');
VACUUM studio_engine.queue;
CALL fastpath.hazard('an added column of a domain where rows are inserted', 'ALTER TABLE public.credit_ledger ADD COLUMN theirs fastpath.short_text');
CALL fastpath.hazard('an added column of a composite type', 'CREATE TYPE fastpath.pair AS (a integer, b text); ALTER TABLE public.jobs ADD COLUMN theirs fastpath.pair DEFAULT ROW(1, ''d'')');
CALL fastpath.hazard('an array', 'ALTER TABLE public.credit_accounts ADD COLUMN theirs text[] DEFAULT ''{a,b}''');
CALL fastpath.hazard('an added column that is toasted', 'ALTER TABLE public.jobs ADD COLUMN theirs text; ALTER TABLE public.jobs ALTER theirs SET STORAGE EXTERNAL; UPDATE public.jobs SET theirs = repeat(''long'', 5000)');
CALL fastpath.hazard('an identity', 'ALTER TABLE public.jobs ADD COLUMN theirs integer GENERATED ALWAYS AS IDENTITY');
CALL fastpath.hazard('a plain column where rows are inserted', 'ALTER TABLE public.credit_ledger ADD COLUMN theirs text');
CALL fastpath.hazard('a generated column of jobs', 'ALTER TABLE public.jobs ADD COLUMN theirs text GENERATED ALWAYS AS (coalesce(status_message, '''') || ''!'') STORED');
CALL fastpath.hazard('a unique column', 'ALTER TABLE public.jobs ADD COLUMN theirs uuid DEFAULT gen_random_uuid() UNIQUE');
CALL fastpath.hazard('a unique column, deferrable', 'ALTER TABLE public.jobs ADD COLUMN theirs uuid DEFAULT gen_random_uuid() UNIQUE DEFERRABLE');
CALL fastpath.hazard('unique for each user', 'ALTER TABLE public.jobs ADD COLUMN theirs uuid DEFAULT gen_random_uuid(); CREATE UNIQUE INDEX theirs ON public.jobs (user_id, theirs)');
CALL fastpath.hazard('unique with what is written', 'ALTER TABLE public.jobs ADD COLUMN theirs uuid DEFAULT gen_random_uuid(); CREATE UNIQUE INDEX theirs ON public.jobs (theirs, cost_credits_final)');
CALL fastpath.hazard('a column that refers to another table', 'CREATE TABLE fastpath.campaigns (id integer PRIMARY KEY); INSERT INTO fastpath.campaigns VALUES (1); ALTER TABLE public.jobs ADD COLUMN theirs integer DEFAULT 1 REFERENCES fastpath.campaigns ON DELETE SET NULL');
CALL fastpath.hazard('a column that refers to another table where rows are inserted', 'CREATE TABLE fastpath.campaigns (id integer PRIMARY KEY); ALTER TABLE public.credit_ledger ADD COLUMN theirs integer REFERENCES fastpath.campaigns');
VACUUM studio_engine.queue;
CALL fastpath.hazard('a column that refers, with one of ours', 'CREATE TABLE fastpath.campaigns (id integer, user_id uuid, PRIMARY KEY (id, user_id)); ALTER TABLE public.jobs ADD COLUMN theirs integer, ADD FOREIGN KEY (theirs, user_id) REFERENCES fastpath.campaigns');
-- what refers nowhere is refused, also if we are called before it is checked
SELECT format('CALL fastpath.hazard(%L, %L, NULL, ARRAY[%L])', 'a column of ' || of || ' that refers to another table',
              format('CREATE TABLE fastpath.campaigns (id integer PRIMARY KEY); INSERT INTO fastpath.campaigns VALUES (1); ALTER TABLE %s ADD COLUMN theirs integer DEFAULT 1 REFERENCES fastpath.campaigns', of),
              format('WITH u AS (UPDATE %s SET theirs = 99 WHERE %s RETURNING %s) SELECT * FROM u', of, row, calls)) AS call
  FROM (VALUES ('public.jobs', 'id = t.id(24)', 'public.reserve_credits(t.id(2), id, 1)'),
               ('studio_engine.queue', 'job_id = t.id(24)', 'fastpath.claim(''w'', 1)')) AS c (of, row, calls) \gexec
-- ... by a trigger of the other table, after that has changed the column
CREATE FUNCTION fastpath.reserve() RETURNS trigger
LANGUAGE plpgsql AS $$ BEGIN PERFORM public.reserve_credits(t.id(1), t.id(22), 2); RETURN NULL; END $$;
CALL fastpath.hazard('a default that refers to another table', 'CREATE TABLE fastpath.campaigns (id integer PRIMARY KEY); INSERT INTO fastpath.campaigns VALUES (1); ALTER TABLE public.jobs ADD COLUMN theirs integer DEFAULT 1 REFERENCES fastpath.campaigns ON DELETE SET DEFAULT');
CALL fastpath.tell_compared('a default that refers nowhere', ARRAY['CREATE TABLE fastpath.campaigns (id integer PRIMARY KEY)', 'INSERT INTO fastpath.campaigns VALUES (1), (2)',
  'ALTER TABLE public.jobs ADD COLUMN theirs integer DEFAULT 2 REFERENCES fastpath.campaigns ON DELETE SET DEFAULT', 'ALTER TABLE public.jobs ALTER theirs SET DEFAULT 99', 'UPDATE public.jobs SET theirs = 1 WHERE id = t.id(22)',
  'CREATE TRIGGER zz AFTER DELETE ON fastpath.campaigns FOR EACH ROW EXECUTE FUNCTION fastpath.reserve()', 'DELETE FROM fastpath.campaigns WHERE id = 1', 'SELECT string_agg(theirs::text, '' '' ORDER BY id) FROM public.jobs']);
CALL fastpath.hazard('another table refers to a column', 'ALTER TABLE public.jobs ADD COLUMN theirs integer GENERATED ALWAYS AS IDENTITY UNIQUE; CREATE TABLE fastpath.reviews (job integer REFERENCES public.jobs (theirs)); INSERT INTO fastpath.reviews SELECT theirs FROM public.jobs');
VACUUM studio_engine.queue;
CALL fastpath.hazard('other defaults', 'ALTER TABLE public.jobs ALTER priority SET DEFAULT 5; ALTER TABLE public.credit_accounts ALTER balance SET DEFAULT 1', 'ALTER TABLE public.jobs ALTER priority SET DEFAULT 0; ALTER TABLE public.credit_accounts ALTER balance SET DEFAULT 0');
-- defaults that the fast path fills in
CALL fastpath.hazard('no default of the id', 'ALTER TABLE public.credit_ledger ALTER id DROP DEFAULT', 'ALTER TABLE public.credit_ledger ALTER id SET DEFAULT gen_random_uuid()');
CREATE FUNCTION fastpath.next_id() RETURNS uuid
LANGUAGE sql AS $$ SELECT t.id(100 + count(*)::integer) FROM public.credit_ledger $$;
CALL fastpath.hazard('another default of the id', 'ALTER TABLE public.credit_ledger ALTER id SET DEFAULT fastpath.next_id()', 'ALTER TABLE public.credit_ledger ALTER id SET DEFAULT gen_random_uuid()');
CALL fastpath.hazard('another default of the time', 'ALTER TABLE public.credit_ledger ALTER created_at SET DEFAULT ''2001-01-01''', 'ALTER TABLE public.credit_ledger ALTER created_at SET DEFAULT now()');
CALL fastpath.hazard('another default of the end', 'ALTER TABLE studio_engine.attempts ALTER ended_at SET DEFAULT ''2001-01-01''', 'ALTER TABLE studio_engine.attempts ALTER ended_at DROP DEFAULT');
-- and those that nobody needs
CALL fastpath.hazard('other defaults', 'ALTER TABLE public.credit_ledger ALTER note SET DEFAULT ''n''; ALTER TABLE public.credit_accounts ALTER balance SET DEFAULT 7; ALTER TABLE studio_engine.queue ALTER rank SET DEFAULT 5',
  'ALTER TABLE public.credit_ledger ALTER note DROP DEFAULT; ALTER TABLE public.credit_accounts ALTER balance SET DEFAULT 0; ALTER TABLE studio_engine.queue ALTER rank SET DEFAULT -1');

--
-- Triggers
--

CREATE FUNCTION fastpath.notice() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM fastpath.note(concat_ws(' ', TG_TABLE_NAME, TG_WHEN, TG_LEVEL, TG_OP, 'depth', pg_trigger_depth(), 'as', current_user));
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE FUNCTION fastpath.change() RETURNS trigger
LANGUAGE plpgsql AS $$ BEGIN NEW.status_message := 'theirs'; NEW.priority := 9; RETURN NEW; END $$;
CREATE FUNCTION fastpath.drop_row() RETURNS trigger
LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
-- each table, timing, level and event
CREATE FUNCTION fastpath.event_of(p_table text) RETURNS text
LANGUAGE sql AS $$ SELECT CASE p_table WHEN 'public.credit_ledger' THEN 'INSERT' WHEN 'studio_engine.attempts' THEN 'INSERT OR UPDATE' WHEN 'studio_engine.queue' THEN 'INSERT OR DELETE' ELSE 'UPDATE' END $$;
VACUUM studio_engine.queue;
SELECT format('CALL fastpath.hazard(%L, %L, %L)', x, format('CREATE TRIGGER theirs %s %s ON %s FOR EACH %s EXECUTE FUNCTION fastpath.notice()', w, fastpath.event_of(r), r, l),
              format('DROP TRIGGER theirs ON %s', r)) AS call
  FROM unnest('{public.jobs,public.credit_accounts,public.credit_ledger,studio_engine.queue,studio_engine.attempts}'::text[]) WITH ORDINALITY AS r (r, i),
       unnest('{BEFORE,AFTER}'::text[]) w, unnest('{ROW,STATEMENT}'::text[]) l, LATERAL (SELECT concat_ws(' ', w, l, 'trigger of', r)) x (x)
 ORDER BY i, w DESC, l \gexec
CALL fastpath.hazard('a trigger on the list of expiries', 'CREATE TRIGGER theirs AFTER INSERT ON studio_engine.expiring_credits FOR EACH ROW EXECUTE FUNCTION fastpath.notice()', 'DROP TRIGGER theirs ON studio_engine.expiring_credits');
CALL fastpath.hazard('a trigger that changes rows', 'CREATE TRIGGER a BEFORE UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION fastpath.change()', 'DROP TRIGGER a ON public.jobs');
CALL fastpath.hazard('a trigger that changes rows last', 'CREATE TRIGGER zz BEFORE UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION fastpath.change()', 'DROP TRIGGER zz ON public.jobs');
CALL fastpath.hazard('a trigger that drops rows', 'CREATE TRIGGER zz BEFORE INSERT ON studio_engine.attempts FOR EACH ROW EXECUTE FUNCTION fastpath.drop_row()', 'DROP TRIGGER zz ON studio_engine.attempts');
CALL fastpath.hazard('a trigger that drops changes of accounts', 'CREATE TRIGGER zz BEFORE UPDATE ON public.credit_accounts FOR EACH ROW EXECUTE FUNCTION fastpath.drop_row()', 'DROP TRIGGER zz ON public.credit_accounts');
CALL fastpath.hazard('a trigger with a condition', 'CREATE TRIGGER theirs BEFORE UPDATE OF progress ON public.jobs FOR EACH ROW WHEN (new.progress = 100) EXECUTE FUNCTION fastpath.notice()', 'DROP TRIGGER theirs ON public.jobs');
CALL fastpath.hazard('a trigger that nests once only', 'CREATE TRIGGER theirs AFTER UPDATE ON public.credit_accounts FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION fastpath.notice()', 'DROP TRIGGER theirs ON public.credit_accounts');
CALL fastpath.hazard('a constraint trigger', 'CREATE CONSTRAINT TRIGGER theirs AFTER INSERT ON public.credit_ledger DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fastpath.notice()', 'DROP TRIGGER theirs ON public.credit_ledger');
CREATE FUNCTION fastpath.transition() RETURNS trigger
LANGUAGE plpgsql AS $$ BEGIN PERFORM fastpath.note('changed to ' || status) FROM changed; RETURN NULL; END $$;
VACUUM studio_engine.queue;
CALL fastpath.hazard('a trigger with a transition table', 'CREATE TRIGGER theirs AFTER UPDATE ON public.jobs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION fastpath.transition()', 'DROP TRIGGER theirs ON public.jobs');
CALL fastpath.hazard('a trigger of theirs that is disabled', 'CREATE TRIGGER theirs AFTER UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION fastpath.notice(); ALTER TABLE public.jobs DISABLE TRIGGER theirs', 'DROP TRIGGER theirs ON public.jobs');
CALL fastpath.hazard('a trigger for replicas', 'CREATE TRIGGER theirs AFTER UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION fastpath.notice(); ALTER TABLE public.jobs ENABLE REPLICA TRIGGER theirs', 'DROP TRIGGER theirs ON public.jobs');

-- a trigger that calls us and gets errors: what was found before it is not mixed up with what was found after
CREATE FUNCTION fastpath.nested() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('fastpath.nested', true) = 'on' THEN
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
  END IF;
  PERFORM set_config('fastpath.nested', 'on', true);
  BEGIN
    PERFORM public.reserve_credits(t.id(1), t.id(24), 1);
  EXCEPTION WHEN OTHERS THEN
    PERFORM fastpath.note(SQLERRM);
  END;
  BEGIN
    PERFORM public.reserve_credits(t.id(2), t.id(24), 1);
    RAISE SQLSTATE 'XX001' USING MESSAGE = 'it was done';
  EXCEPTION WHEN SQLSTATE 'XX001' THEN
    PERFORM fastpath.note(SQLERRM);
  END;
  PERFORM fastpath.note(public.get_credit_balance(t.id(2))::text);
  PERFORM set_config('fastpath.nested', 'off', true);
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
VACUUM studio_engine.queue;
SELECT format('CALL fastpath.hazard(%L, %L, %L)', x, format('CREATE TRIGGER zz %s %s ON %s FOR EACH ROW EXECUTE FUNCTION fastpath.nested()', w, fastpath.event_of(r), r),
              format('DROP TRIGGER zz ON %s', r)) AS call
  FROM unnest('{public.jobs,public.credit_accounts,public.credit_ledger,studio_engine.queue,studio_engine.attempts}'::text[]) WITH ORDINALITY AS r (r, i),
       unnest('{BEFORE,AFTER}'::text[]) w, LATERAL (SELECT concat_ws(' ', w, 'trigger that calls us, on', r)) x (x)
 ORDER BY i, w DESC \gexec

-- our triggers, not as they were
SELECT format('CALL fastpath.hazard(%L, %L, %L)', format('%s of %s disabled', tgname, tgrelid::regclass), format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname),
              format('ALTER TABLE %s ENABLE TRIGGER %I', tgrelid::regclass, tgname)) AS call
  FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN ('public.jobs'::regclass, 'public.credit_accounts'::regclass, 'public.credit_ledger'::regclass)
 ORDER BY tgrelid::regclass::text, tgname COLLATE "C" \gexec
CALL fastpath.hazard('all triggers disabled', 'ALTER TABLE public.credit_ledger DISABLE TRIGGER ALL', 'ALTER TABLE public.credit_ledger ENABLE TRIGGER ALL');
CALL fastpath.hazard('a trigger that always fires', 'ALTER TABLE public.jobs ENABLE ALWAYS TRIGGER tr_jobs_workflow', 'ALTER TABLE public.jobs ENABLE TRIGGER tr_jobs_workflow');
VACUUM studio_engine.queue;
CALL fastpath.hazard('a trigger dropped', 'DROP TRIGGER tr_jobs_close_hold ON public.jobs');
CALL fastpath.hazard('a trigger renamed', 'ALTER TRIGGER tr_jobs_price ON public.jobs RENAME TO zz_jobs_price', 'ALTER TRIGGER zz_jobs_price ON public.jobs RENAME TO tr_jobs_price');
CALL fastpath.hazard('a trigger of another function', 'DROP TRIGGER tr_jobs_price ON public.jobs; CREATE TRIGGER tr_jobs_price BEFORE UPDATE OF status ON public.jobs FOR EACH ROW WHEN (old.status <> new.status AND new.status IN (''READY'', ''FAILED'')) EXECUTE FUNCTION fastpath.notice()');
CALL fastpath.hazard('a trigger of the same function name', 'CREATE FUNCTION fastpath.guard_account() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NULL; END $f$; CREATE OR REPLACE TRIGGER tr_credit_accounts_guard BEFORE INSERT OR UPDATE OR DELETE ON public.credit_accounts FOR EACH ROW EXECUTE FUNCTION fastpath.guard_account()');
CALL fastpath.hazard('a trigger at another event', 'CREATE OR REPLACE TRIGGER tr_credit_ledger_enter BEFORE INSERT OR UPDATE ON public.credit_ledger FOR EACH ROW EXECUTE FUNCTION studio_engine.enter_in_ledger()');
CALL fastpath.hazard('a trigger with another condition', 'CREATE OR REPLACE TRIGGER tr_jobs_price BEFORE UPDATE OF status ON public.jobs FOR EACH ROW WHEN (new.status = ''FAILED'') EXECUTE FUNCTION studio_engine.price_ended_job()');
CALL fastpath.hazard('a trigger with a condition that is never true', 'CREATE OR REPLACE TRIGGER tr_jobs_close_hold AFTER UPDATE ON public.jobs FOR EACH ROW WHEN (false) EXECUTE FUNCTION studio_engine.close_hold_of_ended_job()');
CALL fastpath.hazard('a trigger of another column', 'CREATE OR REPLACE TRIGGER tr_jobs_price BEFORE UPDATE OF priority ON public.jobs FOR EACH ROW WHEN (old.status <> new.status AND new.status IN (''READY'', ''FAILED'')) EXECUTE FUNCTION studio_engine.price_ended_job()');
CALL fastpath.hazard('a trigger with another argument', 'CREATE OR REPLACE TRIGGER tr_jobs_workflow BEFORE INSERT OR UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow(''job_steps'')');
CALL fastpath.hazard('a trigger replaced by the same', 'CREATE OR REPLACE TRIGGER tr_jobs_workflow BEFORE INSERT OR UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow(''jobs'')');

--
-- Checks
--

VACUUM studio_engine.queue;
CALL fastpath.hazard('a check that is satisfied', 'ALTER TABLE public.jobs ADD CONSTRAINT theirs CHECK (progress >= 0 AND id IS NOT NULL)', 'ALTER TABLE public.jobs DROP CONSTRAINT theirs');
CALL fastpath.hazard('a check of jobs', 'ALTER TABLE public.jobs ADD CONSTRAINT theirs CHECK (cost_credits_reserved < 4)', 'ALTER TABLE public.jobs DROP CONSTRAINT theirs');
CALL fastpath.hazard('a check of what triggers write', 'ALTER TABLE public.jobs ADD CONSTRAINT theirs CHECK (finished_at IS NULL)', 'ALTER TABLE public.jobs DROP CONSTRAINT theirs');
CALL fastpath.hazard('a check of accounts', 'ALTER TABLE public.credit_accounts ADD CONSTRAINT theirs CHECK (balance >= 5)', 'ALTER TABLE public.credit_accounts DROP CONSTRAINT theirs');
CALL fastpath.hazard('a check of entries', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs CHECK (note !~ ''^Charged'')', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs');
CALL fastpath.hazard('a check of the queue', 'ALTER TABLE studio_engine.queue ADD CONSTRAINT theirs CHECK (attempt >= 0 AND state <> ''delayed'')', 'ALTER TABLE studio_engine.queue DROP CONSTRAINT theirs');
CALL fastpath.hazard('a check of attempts', 'ALTER TABLE studio_engine.attempts ADD CONSTRAINT theirs CHECK (worker <> ''w'')', 'ALTER TABLE studio_engine.attempts DROP CONSTRAINT theirs');
CALL fastpath.hazard('two checks', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT their_second CHECK (amount > -4), ADD CONSTRAINT their_first CHECK (note !~ ''^Reserved'')  NOT VALID', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT their_second, DROP CONSTRAINT their_first');
CALL fastpath.hazard('a check that was not validated', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs CHECK (amount < 0) NOT VALID', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs');
CALL fastpath.hazard('a check that fails', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs CHECK (1 / (amount + 3) IS NOT NULL)', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs');
-- from 18 on; before, nothing is changed
SELECT CASE WHEN new THEN 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs CHECK (1 / (amount + 3) > 0) NOT ENFORCED' ELSE 'SELECT' END AS adds,
       CASE WHEN new THEN 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs' ELSE 'SELECT' END AS drops
  FROM (SELECT current_setting('server_version_num')::integer >= 180000) v (new) \gset
CALL fastpath.hazard('a check that is not enforced', :'adds', :'drops');
VACUUM studio_engine.queue;
CALL fastpath.hazard('a check of the whole row', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs CHECK (credit_ledger IS NOT NULL OR tableoid <> 0 AND length(credit_ledger::text) > 9)', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs');
CREATE FUNCTION fastpath.is_fine(p_what text) RETURNS boolean
LANGUAGE plpgsql AS $$ BEGIN PERFORM fastpath.note('is it fine? ' || p_what); RETURN p_what <> 'Hold released'; END $$;
CALL fastpath.hazard('a check that asks a function of a user', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs CHECK (fastpath.is_fine(note))', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs');
CREATE DOMAIN fastpath.note AS text;
CALL fastpath.hazard('a check with a domain', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs CHECK (note::fastpath.note IS NOT NULL)', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs',
  ARRAY['ALTER DOMAIN fastpath.note ADD CONSTRAINT no_gifts CHECK (VALUE <> ''another gift'')', 'SELECT public.grant_credits(t.id(1), 1, ''another gift'') IS NOT NULL']);

--
-- Indexes
--

-- Every row is in every index that it belongs in.  What is in a partial index
-- that does not belong there is counted by reading it.
CREATE EXTENSION amcheck SCHEMA fastpath;
CREATE FUNCTION fastpath.indexed() RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_index record;
  v_counted text;
BEGIN
  FOR v_index IN
    SELECT i.indexrelid, i.indexrelid::regclass AS name, i.indrelid::regclass AS of, pg_get_expr(i.indpred, i.indrelid) AS predicate, pg_get_indexdef(i.indexrelid, 1, false) AS first
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
     WHERE a.amname = 'btree' AND i.indisvalid AND i.indrelid IN ('public.jobs'::regclass, 'public.credit_accounts'::regclass, 'public.credit_ledger'::regclass, 'studio_engine.queue'::regclass, 'studio_engine.attempts'::regclass)
  LOOP
    PERFORM fastpath.bt_index_check(v_index.indexrelid, true);
    IF v_index.name::text LIKE '%theirs' AND v_index.predicate IS NOT NULL THEN
      PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true);
      EXECUTE format('SELECT string_agg(x, '','') FROM (SELECT %s::text FROM %s WHERE %s ORDER BY %s) AS x (x)', v_index.first, v_index.of, v_index.predicate, v_index.first) INTO v_counted;
      PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true), set_config('enable_sort', 'on', true);
    END IF;
  END LOOP;
  IF fastpath.found(true) IS DISTINCT FROM fastpath.found(false) THEN
    RETURN format('found %s -- and without indexes %s', fastpath.found(true), fastpath.found(false));
  END IF;
  RETURN coalesce(v_counted, 'sound');
END
$$;
-- other indexes find what is found without them
CREATE FUNCTION fastpath.found(p_by_index boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_found text;
BEGIN
  PERFORM set_config('enable_seqscan', CASE WHEN p_by_index THEN 'off' ELSE 'on' END, true),
          set_config('enable_indexscan', CASE WHEN p_by_index THEN 'on' ELSE 'off' END, true),
          set_config('enable_bitmapscan', CASE WHEN p_by_index THEN 'on' ELSE 'off' END, true);
  SELECT string_agg(x, ',' ORDER BY x) INTO v_found
    FROM (SELECT 'status ' || j.id FROM public.jobs j, unnest(enum_range(NULL::job_status)) s WHERE j.status = s
          UNION ALL SELECT 'progress ' || j.id FROM public.jobs j, generate_series(0, 100) p WHERE j.progress = p
          UNION ALL SELECT 'manifest ' || j.id FROM public.jobs j WHERE j.manifest_json @> '{"a": 1}'
          UNION ALL SELECT 'balance ' || a.user_id FROM public.credit_accounts a, generate_series(0, 200) b WHERE a.balance = b) AS f (x);
  PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'on', true), set_config('enable_bitmapscan', 'on', true);
  RETURN v_found;
END
$$;
SELECT fastpath.indexed();
CREATE FUNCTION fastpath.is_small(p_amount integer) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN p_amount < 0; END $$;
SELECT format('CALL fastpath.hazard(%L, %L, %L, ARRAY[''SELECT fastpath.indexed()''])', what, 'CREATE ' || definition, 'DROP INDEX IF EXISTS public.theirs, studio_engine.theirs') AS call
  FROM (VALUES ('an index of jobs', 'INDEX theirs ON public.jobs (cost_credits_final, progress)'),
               ('an index of accounts', 'INDEX theirs ON public.credit_accounts (balance DESC NULLS LAST) INCLUDE (reserved)'),
               ('an index of entries', 'INDEX theirs ON public.credit_ledger (note text_pattern_ops, amount)'),
               ('an index of the queue', 'INDEX theirs ON studio_engine.queue (attempt, stage)'),
               ('an index of attempts', 'INDEX theirs ON studio_engine.attempts (ended_at DESC)'),
               ('a partial index of jobs', $i$INDEX theirs ON public.jobs (progress) WHERE status = 'PACKAGING' OR progress > 40$i$),
               ('a partial index of accounts', 'INDEX theirs ON public.credit_accounts (balance) WHERE reserved > 0'),
               ('a partial index of entries', 'INDEX theirs ON public.credit_ledger (note) WHERE amount < 0'),
               ('a partial index of the queue', $i$INDEX theirs ON studio_engine.queue (attempt) WHERE state = 'delayed'$i$),
               ('a partial index of attempts', $i$INDEX theirs ON studio_engine.attempts (worker) WHERE outcome = 'failed'$i$),
               ('a partial index by a function of a user', 'INDEX theirs ON public.credit_ledger (note) WHERE fastpath.is_small(amount)'),
               ('an index of an expression', 'INDEX theirs ON public.credit_ledger (upper(note))'),
               ('an index of an expression that fails', 'INDEX theirs ON public.jobs ((1 / (cost_credits_reserved - 4)))'),
               ('an index of an expression with a condition', 'INDEX theirs ON public.credit_ledger (upper(note)) WHERE amount < 0'),
               ('an index of a function of a user', 'INDEX theirs ON public.credit_accounts (fastpath.is_small(balance))'),
               ('a unique index of entries', 'UNIQUE INDEX theirs ON public.credit_ledger (user_id, note, amount)'),
               ('a unique index of entries, with a condition', $i$UNIQUE INDEX theirs ON public.credit_ledger (user_id) WHERE type = 'usage'$i$),
               ('a unique index of jobs', 'UNIQUE INDEX theirs ON public.jobs (cost_credits_reserved) WHERE cost_credits_reserved > 0'),
               ('a unique index of jobs that nothing violates', 'UNIQUE INDEX theirs ON public.jobs (id, status)'),
               ('a unique index of attempts', 'UNIQUE INDEX theirs ON studio_engine.attempts (worker)'),
               ('a unique index without two nulls', 'UNIQUE INDEX theirs ON public.credit_ledger (user_id, idempotency_key) NULLS NOT DISTINCT WHERE type = ''usage'''),
               ('a hash index', 'INDEX theirs ON public.jobs USING hash (status)'),
               ('a BRIN index', 'INDEX theirs ON public.credit_ledger USING brin (created_at)'),
               ('a BRIN index of jobs', 'INDEX theirs ON public.jobs USING brin (progress, status_message)'),
               ('a hash index of what is written', 'INDEX theirs ON public.credit_accounts USING hash (balance)'),
               ('a GIN index', 'INDEX theirs ON public.jobs USING gin (manifest_json)')) AS i (what, definition) \gexec
CALL fastpath.hazard('a deferrable unique constraint', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs UNIQUE (user_id, note, amount) DEFERRABLE INITIALLY DEFERRED', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs');
VACUUM studio_engine.queue;
CALL fastpath.hazard('an exclusion constraint', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs EXCLUDE USING btree (id WITH =)', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs');
-- the indexes by which rows are found
CALL fastpath.hazard('no index of the jobs of entries', 'DROP INDEX public.idx_credit_job', 'CREATE INDEX idx_credit_job ON public.credit_ledger (job_id)');
CALL fastpath.hazard('an index of some of the entries', 'DROP INDEX public.idx_credit_job; CREATE INDEX idx_credit_job ON public.credit_ledger (job_id) WHERE type = ''reserve''',
  'DROP INDEX public.idx_credit_job; CREATE INDEX idx_credit_job ON public.credit_ledger (job_id)');
CALL fastpath.hazard('an index of other columns', 'DROP INDEX public.idx_credit_job; CREATE INDEX idx_credit_job ON public.credit_ledger (reverses)',
  'DROP INDEX public.idx_credit_job; CREATE INDEX idx_credit_job ON public.credit_ledger (job_id)');
CALL fastpath.hazard('an index of more columns', 'DROP INDEX public.idx_credit_job; CREATE INDEX idx_credit_job ON public.credit_ledger (job_id, type)',
  'DROP INDEX public.idx_credit_job; CREATE INDEX idx_credit_job ON public.credit_ledger (job_id)');
CALL fastpath.hazard('an index with more columns in it', 'DROP INDEX public.idx_credit_job; CREATE INDEX idx_credit_job ON public.credit_ledger (job_id) INCLUDE (amount)',
  'DROP INDEX public.idx_credit_job; CREATE INDEX idx_credit_job ON public.credit_ledger (job_id)');
CALL fastpath.hazard('an index of the whole queue', 'DROP INDEX studio_engine.idx_queue_waiting; CREATE INDEX idx_queue_waiting ON studio_engine.queue (system, rank, turn, due_at, job_id)',
  'DROP INDEX studio_engine.idx_queue_waiting; CREATE INDEX idx_queue_waiting ON studio_engine.queue (system, rank, turn, due_at, job_id) WHERE state = ''waiting''');
CALL fastpath.hazard('an index of those that are parked', 'DROP INDEX studio_engine.idx_queue_waiting; CREATE INDEX idx_queue_waiting ON studio_engine.queue (system, rank, turn, due_at, job_id) WHERE state = ''parked''',
  'DROP INDEX studio_engine.idx_queue_waiting; CREATE INDEX idx_queue_waiting ON studio_engine.queue (system, rank, turn, due_at, job_id) WHERE state = ''waiting''');
CALL fastpath.hazard('an index in another order', 'DROP INDEX studio_engine.idx_queue_waiting; CREATE INDEX idx_queue_waiting ON studio_engine.queue (system, rank DESC, turn, due_at DESC, job_id DESC) WHERE state = ''waiting''',
  'DROP INDEX studio_engine.idx_queue_waiting; CREATE INDEX idx_queue_waiting ON studio_engine.queue (system, rank, turn, due_at, job_id) WHERE state = ''waiting''');
CALL fastpath.hazard('an index of delayed jobs that has none', 'DROP INDEX studio_engine.idx_queue_delayed; CREATE INDEX idx_queue_delayed ON studio_engine.queue (system, due_at) WHERE state = ''delayed'' AND false; UPDATE studio_engine.queue SET state = ''delayed'' WHERE job_id IN (t.id(21), t.id(22))',
  'DROP INDEX studio_engine.idx_queue_delayed; CREATE INDEX idx_queue_delayed ON studio_engine.queue (system, due_at) WHERE state = ''delayed''; UPDATE studio_engine.queue SET state = ''waiting''');
ALTER INDEX studio_engine.idx_queue_waiting RENAME TO theirs;
CALL fastpath.tell_compared('an index renamed', fastpath.story());
ALTER INDEX studio_engine.theirs RENAME TO idx_queue_waiting;
CALL fastpath.tell_compared('... and again', fastpath.story());
VACUUM studio_engine.queue;
CALL fastpath.hazard('indexes that nobody needs are gone', 'DROP INDEX public.idx_jobs_status, public.idx_credit_created, studio_engine.idx_attempts_counted',
  'CREATE INDEX idx_jobs_status ON public.jobs (status); CREATE INDEX idx_credit_created ON public.credit_ledger (created_at DESC); CREATE INDEX idx_attempts_counted ON studio_engine.attempts (system, stage, user_id) WHERE ended_at IS NULL AND counted');
-- indexes are made, and fail, while others may write
CREATE INDEX CONCURRENTLY theirs ON public.credit_ledger (note, amount);
CREATE UNIQUE INDEX CONCURRENTLY their_broken ON public.jobs (user_id);
SELECT fastpath.not_eligible();
CALL fastpath.tell_compared('then', fastpath.story() || ARRAY['SELECT fastpath.indexed()']);
DROP INDEX CONCURRENTLY public.their_broken;
SELECT fastpath.not_eligible();
CALL fastpath.tell_compared('then', fastpath.story() || ARRAY['SELECT fastpath.indexed()']);
REINDEX INDEX CONCURRENTLY public.idx_credit_job;
REINDEX TABLE CONCURRENTLY studio_engine.queue;
REINDEX TABLE public.jobs;
SELECT fastpath.not_eligible();
CALL fastpath.tell_compared('then', fastpath.story() || ARRAY['SELECT fastpath.indexed()']);
DROP INDEX CONCURRENTLY public.theirs;

--
-- Foreign keys
--

CREATE TABLE fastpath.staff (id uuid PRIMARY KEY);
INSERT INTO fastpath.staff VALUES (t.id(2));
VACUUM studio_engine.queue;
CALL fastpath.hazard('another parent of the users of entries', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs FOREIGN KEY (user_id) REFERENCES fastpath.staff NOT VALID', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs');
CALL fastpath.hazard('another parent of the jobs of entries', 'ALTER TABLE public.credit_ledger ADD CONSTRAINT theirs FOREIGN KEY (job_id) REFERENCES fastpath.staff', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT theirs');
CALL fastpath.hazard('another parent of attempts', 'ALTER TABLE studio_engine.attempts ADD CONSTRAINT theirs FOREIGN KEY (job_id) REFERENCES fastpath.staff', 'ALTER TABLE studio_engine.attempts DROP CONSTRAINT theirs');
CALL fastpath.hazard('another parent of jobs', 'ALTER TABLE public.jobs ADD CONSTRAINT theirs FOREIGN KEY (user_id) REFERENCES fastpath.staff NOT VALID', 'ALTER TABLE public.jobs DROP CONSTRAINT theirs');
CALL fastpath.hazard('another parent of the costs of jobs', 'CREATE TABLE fastpath.costs (cost integer PRIMARY KEY); INSERT INTO fastpath.costs VALUES (0), (3); ALTER TABLE public.jobs ADD CONSTRAINT theirs FOREIGN KEY (cost_credits_reserved) REFERENCES fastpath.costs',
  'ALTER TABLE public.jobs DROP CONSTRAINT theirs; DROP TABLE fastpath.costs');
CALL fastpath.hazard('a parent that is checked later', 'ALTER TABLE public.credit_ledger ALTER CONSTRAINT credit_ledger_job_id_fkey DEFERRABLE INITIALLY DEFERRED', 'ALTER TABLE public.credit_ledger ALTER CONSTRAINT credit_ledger_job_id_fkey NOT DEFERRABLE');
CALL fastpath.hazard('no parent', 'ALTER TABLE public.credit_ledger DROP CONSTRAINT credit_ledger_job_id_fkey',
  'ALTER TABLE public.credit_ledger ADD CONSTRAINT credit_ledger_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs (id) ON DELETE SET NULL');
CALL fastpath.hazard('a child of jobs', 'CREATE TABLE fastpath.child (job_id uuid REFERENCES public.jobs ON UPDATE CASCADE ON DELETE CASCADE); INSERT INTO fastpath.child VALUES (t.id(21))', 'DROP TABLE fastpath.child');
CALL fastpath.hazard('a child of the queue', 'CREATE TABLE fastpath.child (job_id uuid, system studio_engine.job_system, FOREIGN KEY (job_id, system) REFERENCES studio_engine.queue); INSERT INTO fastpath.child VALUES (t.id(21), ''jobs'')', 'DROP TABLE fastpath.child');
CALL fastpath.hazard('a child of the queue that goes with it', 'CREATE TABLE fastpath.child (job_id uuid, system studio_engine.job_system, FOREIGN KEY (job_id, system) REFERENCES studio_engine.queue ON DELETE CASCADE); INSERT INTO fastpath.child VALUES (t.id(21), ''jobs'')', 'DROP TABLE fastpath.child',
  ARRAY['SELECT count(*) FROM fastpath.child']);
CALL fastpath.hazard('a child by another key', 'CREATE UNIQUE INDEX theirs ON public.jobs (id, progress); CREATE TABLE fastpath.child (job_id uuid, progress integer, FOREIGN KEY (job_id, progress) REFERENCES public.jobs (id, progress) ON UPDATE CASCADE); INSERT INTO fastpath.child VALUES (t.id(21), 0)', 'DROP TABLE fastpath.child; DROP INDEX theirs',
  ARRAY['SELECT progress FROM fastpath.child']);

--
-- Kinds of tables, rules, row level security
--

VACUUM studio_engine.queue;
CALL fastpath.hazard('a rule instead', 'CREATE RULE theirs AS ON UPDATE TO public.credit_accounts DO INSTEAD NOTHING', 'DROP RULE theirs ON public.credit_accounts');
CALL fastpath.hazard('a rule beside', 'CREATE RULE theirs AS ON INSERT TO public.credit_ledger DO ALSO SELECT fastpath.note(''an entry of '' || NEW.type)', 'DROP RULE theirs ON public.credit_ledger');
CALL fastpath.hazard('a child', 'CREATE TABLE fastpath.more () INHERITS (studio_engine.attempts)', 'DROP TABLE fastpath.more; ANALYZE studio_engine.attempts');
CALL fastpath.hazard('a child with rows', 'CREATE TABLE fastpath.more () INHERITS (public.credit_accounts); INSERT INTO fastpath.more SELECT t.id(1), 1000, 0, 1');
CALL fastpath.hazard('a parent table', 'CREATE TABLE fastpath.base (system studio_engine.job_system NOT NULL); ALTER TABLE studio_engine.attempts INHERIT fastpath.base', 'ALTER TABLE studio_engine.attempts NO INHERIT fastpath.base; DROP TABLE fastpath.base');
CALL fastpath.hazard('partitions', 'ALTER TABLE studio_engine.attempts RENAME TO old_attempts; CREATE TABLE studio_engine.attempts (LIKE studio_engine.old_attempts INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY LIST (system); CREATE TABLE studio_engine.some_attempts PARTITION OF studio_engine.attempts DEFAULT');
CALL fastpath.hazard('a partition', 'CREATE TABLE fastpath.all_attempts (LIKE studio_engine.attempts) PARTITION BY LIST (worker); ALTER TABLE fastpath.all_attempts ATTACH PARTITION studio_engine.attempts FOR VALUES IN (''w'')');
CALL fastpath.hazard('a view in the place of the table', 'ALTER TABLE studio_engine.attempts RENAME TO old_attempts; CREATE VIEW studio_engine.attempts AS SELECT * FROM studio_engine.old_attempts');
CALL fastpath.hazard('a materialized view in the place of the table', 'ALTER TABLE studio_engine.attempts RENAME TO old_attempts; CREATE MATERIALIZED VIEW studio_engine.attempts AS SELECT * FROM studio_engine.old_attempts');
CALL fastpath.hazard('a type in the place of the table', 'ALTER TABLE studio_engine.attempts RENAME TO old_attempts; CREATE TYPE studio_engine.attempts AS (a integer)');
CALL fastpath.hazard('an index in the place of the table', 'ALTER TABLE studio_engine.attempts RENAME TO old_attempts; CREATE INDEX attempts ON studio_engine.old_attempts (worker)');
CALL fastpath.hazard('no table', 'ALTER TABLE studio_engine.attempts RENAME TO old_attempts');
CALL fastpath.hazard('a copy in the place of the table', 'ALTER TABLE studio_engine.attempts RENAME TO old_attempts; CREATE TABLE studio_engine.attempts (LIKE studio_engine.old_attempts INCLUDING ALL)');
VACUUM studio_engine.queue;
CALL fastpath.hazard('a bare copy in the place of the table', 'ALTER TABLE public.credit_accounts RENAME TO old_accounts; CREATE TABLE public.credit_accounts AS TABLE public.old_accounts');
CALL fastpath.hazard('a table that was dropped', 'DROP TABLE studio_engine.attempts CASCADE');
CALL fastpath.hazard('a table in another schema', 'ALTER TABLE public.jobs SET SCHEMA fastpath', 'ALTER TABLE fastpath.jobs SET SCHEMA public');
CALL fastpath.hazard('a schema renamed', 'ALTER SCHEMA public RENAME TO studio', 'ALTER SCHEMA studio RENAME TO public');
CALL fastpath.tell_compared('another schema in the place of ours', ARRAY['SELECT public.reserve_credits(t.id(1), t.id(21), 3)', 'ALTER SCHEMA studio_engine RENAME TO old_engine', 'CREATE SCHEMA studio_engine',
  'SELECT public.reserve_credits(t.id(1), t.id(22), 4)', 'SELECT fastpath.claim(''w'', 1)', 'DROP SCHEMA studio_engine', 'ALTER SCHEMA old_engine RENAME TO studio_engine', 'SELECT public.settle_credits(t.id(21), 2)']);
CALL fastpath.hazard('row level security is forced', 'ALTER TABLE public.credit_ledger FORCE ROW LEVEL SECURITY', 'ALTER TABLE public.credit_ledger NO FORCE ROW LEVEL SECURITY');
CALL fastpath.hazard('row level security is forced and allows nothing', 'ALTER TABLE public.credit_ledger FORCE ROW LEVEL SECURITY; CREATE POLICY theirs ON public.credit_ledger AS RESTRICTIVE FOR ALL USING (false) WITH CHECK (false)', 'ALTER TABLE public.credit_ledger NO FORCE ROW LEVEL SECURITY; DROP POLICY theirs ON public.credit_ledger');
CALL fastpath.hazard('a policy that allows nothing to others than the owner', 'CREATE POLICY theirs ON public.credit_ledger AS RESTRICTIVE FOR INSERT WITH CHECK (false)', 'DROP POLICY theirs ON public.credit_ledger');
CALL fastpath.hazard('no row level security', 'ALTER TABLE public.credit_ledger DISABLE ROW LEVEL SECURITY', 'ALTER TABLE public.credit_ledger ENABLE ROW LEVEL SECURITY');
CALL fastpath.hazard('a table that is not logged', 'ALTER TABLE studio_engine.attempts SET UNLOGGED', 'ALTER TABLE studio_engine.attempts SET LOGGED');
CALL fastpath.hazard('other settings of a table', 'ALTER TABLE studio_engine.queue SET (fillfactor = 50, autovacuum_enabled = off)', 'ALTER TABLE studio_engine.queue SET (fillfactor = 90); ALTER TABLE studio_engine.queue RESET (autovacuum_enabled)');

--
-- Rights
--

CREATE ROLE regress_fastpath_owner;
CREATE FUNCTION fastpath.give(p_to text) RETURNS text
LANGUAGE sql AS $$
  SELECT string_agg(format('ALTER TABLE %s OWNER TO %I', x, p_to), '; ')
    FROM unnest('{public.projects,public.jobs,public.studio_jobs,public.credit_accounts,public.credit_ledger,studio_engine.expiring_credits,studio_engine.queue,studio_engine.attempts}'::text[]) x
$$;
VACUUM studio_engine.queue;
CALL fastpath.hazard('another owner of a table', 'ALTER TABLE public.credit_accounts OWNER TO regress_fastpath_owner', 'ALTER TABLE public.credit_accounts OWNER TO postgres');
-- not a superuser, so that rights count: first all are there, then one is missing
SELECT current_user AS me \gset
DO $$
DECLARE
  v_schema text;
BEGIN
  FOREACH v_schema IN ARRAY '{public,studio_engine,auth,pipeline}'::text[] LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO regress_fastpath_owner; GRANT ALL ON ALL TABLES IN SCHEMA %I TO regress_fastpath_owner', v_schema, v_schema);
  END LOOP;
  EXECUTE fastpath.give('regress_fastpath_owner');
  ALTER SCHEMA studio_engine OWNER TO regress_fastpath_owner;
  ALTER TABLE studio_engine.settings OWNER TO regress_fastpath_owner;
END
$$;
GRANT USAGE ON SCHEMA fastpath TO regress_fastpath_owner;
SELECT fastpath.not_eligible();
CALL fastpath.tell_compared('another owner of all', fastpath.story());
VACUUM studio_engine.queue;
CALL fastpath.hazard('an owner who may not insert entries', 'REVOKE INSERT ON public.credit_ledger FROM regress_fastpath_owner', 'GRANT INSERT ON public.credit_ledger TO regress_fastpath_owner');
CALL fastpath.hazard('an owner who may not update accounts', 'REVOKE UPDATE ON public.credit_accounts FROM regress_fastpath_owner', 'GRANT UPDATE ON public.credit_accounts TO regress_fastpath_owner');
CALL fastpath.hazard('an owner who may not read jobs', 'REVOKE SELECT ON public.jobs FROM regress_fastpath_owner', 'GRANT SELECT ON public.jobs TO regress_fastpath_owner');
CALL fastpath.hazard('an owner who may not delete from the queue', 'REVOKE DELETE ON studio_engine.queue FROM regress_fastpath_owner', 'GRANT DELETE ON studio_engine.queue TO regress_fastpath_owner');
CALL fastpath.hazard('an owner who may not insert attempts', 'REVOKE INSERT ON studio_engine.attempts FROM regress_fastpath_owner', 'GRANT INSERT ON studio_engine.attempts TO regress_fastpath_owner');
CALL fastpath.hazard('an owner who may not use the schema', 'REVOKE USAGE ON SCHEMA studio_engine FROM regress_fastpath_owner', 'GRANT USAGE ON SCHEMA studio_engine TO regress_fastpath_owner');
CALL fastpath.hazard('an owner who may use the type no more, and nobody else either', 'REVOKE USAGE ON TYPE public.job_status FROM PUBLIC', 'GRANT USAGE ON TYPE public.job_status TO PUBLIC');
CALL fastpath.hazard('an owner to whom row level security applies', 'ALTER TABLE public.credit_ledger FORCE ROW LEVEL SECURITY; CREATE POLICY theirs ON public.credit_ledger AS RESTRICTIVE FOR ALL USING (false) WITH CHECK (false)', 'ALTER TABLE public.credit_ledger NO FORCE ROW LEVEL SECURITY; DROP POLICY theirs ON public.credit_ledger');
-- the rights of a superuser go unnoticed when they are taken away
ALTER ROLE regress_fastpath_owner SUPERUSER;
REVOKE INSERT ON public.credit_ledger FROM regress_fastpath_owner;
CALL fastpath.tell_compared('an owner who is a superuser', fastpath.story());
ALTER ROLE regress_fastpath_owner NOSUPERUSER;
CALL fastpath.tell_compared('... and is none any more', fastpath.story());
GRANT INSERT ON public.credit_ledger TO regress_fastpath_owner;
ALTER SCHEMA studio_engine OWNER TO :"me";
ALTER TABLE studio_engine.settings OWNER TO :"me";
SELECT fastpath.give(:'me') AS gives \gexec
DROP OWNED BY regress_fastpath_owner;
DROP ROLE regress_fastpath_owner;
SELECT fastpath.not_eligible();

--
-- Tables that are written anew, in the same session and in the middle of a transaction
--

VACUUM studio_engine.queue;
CALL fastpath.hazard('a table clustered', 'CLUSTER public.jobs USING jobs_pkey', 'ALTER TABLE public.jobs SET WITHOUT CLUSTER', ARRAY['SELECT fastpath.indexed()']);
CALL fastpath.hazard('tables rewritten', 'ALTER TABLE public.jobs ALTER progress TYPE integer USING progress + 0 * priority, ALTER output_url TYPE text COLLATE "C"; ALTER TABLE studio_engine.queue ALTER attempt TYPE integer USING attempt + 0 * rank',
  'ALTER TABLE public.jobs ALTER output_url TYPE text COLLATE "default"', ARRAY['SELECT fastpath.indexed()']);
CALL fastpath.hazard('indexes made anew', 'REINDEX TABLE public.credit_ledger; REINDEX TABLE public.credit_accounts; REINDEX INDEX studio_engine.idx_queue_waiting', 'REINDEX TABLE public.jobs', ARRAY['SELECT fastpath.indexed()']);
CALL fastpath.hazard('a table emptied', 'TRUNCATE studio_engine.queue, studio_engine.attempts');
VACUUM FULL public.jobs, public.credit_accounts, public.credit_ledger, studio_engine.queue, studio_engine.attempts;
CALL fastpath.tell_compared('after VACUUM FULL', fastpath.story() || ARRAY['SELECT fastpath.indexed()']);
VACUUM (FREEZE, ANALYZE) public.jobs, public.credit_accounts, public.credit_ledger, studio_engine.queue, studio_engine.attempts;
CALL fastpath.tell_compared('after VACUUM FREEZE', fastpath.story() || ARRAY['SELECT fastpath.indexed()']);

--
-- Transactions
--

CALL fastpath.tell_compared('replica', ARRAY['SET LOCAL session_replication_role = replica'] || fastpath.story());
CALL fastpath.tell_compared('local', ARRAY['SET LOCAL session_replication_role = local'] || fastpath.story());
CALL fastpath.tell_compared('maintenance', ARRAY['SET LOCAL studio_engine.maintenance = on'] || fastpath.story());
-- both ways, one after the other, and each undone
\set both 'SELECT ''on'' AS mode UNION ALL SELECT ''off'' ORDER BY 1 DESC'
SELECT format('BEGIN READ ONLY; SET LOCAL studio_engine.direct_rows = %s; SELECT t.ask(x) FROM unnest(fastpath.story()) x; ROLLBACK', mode) AS begin FROM (:both) m \gexec
SELECT format('BEGIN ISOLATION LEVEL %s; SET LOCAL studio_engine.direct_rows = %s; CALL fastpath.tell_compared(%L, fastpath.story()); ROLLBACK', level, 'on', level) AS begin
  FROM unnest('{REPEATABLE READ,SERIALIZABLE}'::text[]) level \gexec
-- a savepoint takes account, entry and job back together
CREATE FUNCTION fastpath.books() RETURNS text
LANGUAGE sql AS $$
  SELECT concat_ws(', ', (SELECT format('%s held %s in %s', balance, reserved, entries) FROM public.credit_accounts WHERE user_id = t.id(1)),
                   (SELECT string_agg(type || amount, ' ' ORDER BY entry_no) FROM public.credit_ledger WHERE user_id = t.id(1)),
                   (SELECT string_agg(concat_ws('/', status, cost_credits_reserved, cost_credits_final), ' ' ORDER BY id) FROM public.jobs WHERE user_id = t.id(1)),
                   (SELECT string_agg(state || '/' || attempt, ' ' ORDER BY job_id) FROM t.open_jobs WHERE user_id = t.id(1)),
                   (SELECT count(*) || ' attempts' FROM studio_engine.attempts WHERE ended_at IS NOT NULL))
$$;
VACUUM studio_engine.queue;
SELECT format('BEGIN; SET LOCAL studio_engine.direct_rows = %s', mode) AS begin,
       'SELECT public.reserve_credits(t.id(1), t.id(21), 3), fastpath.claim(''w'', 1); SAVEPOINT a; SELECT public.settle_credits(t.id(21), 2), public.reserve_credits(t.id(1), t.id(22), 4), fastpath.advance(21);
        SAVEPOINT b; SELECT public.complete_job(t.id(21), NULL, NULL, NULL, fastpath.token(21)) ->> ''status'', fastpath.books(); ROLLBACK TO b; SELECT fastpath.books(); ROLLBACK TO a; SELECT fastpath.books();
        SELECT public.release_credits(t.id(21)), fastpath.claim(''w'', 1), fastpath.books(); SELECT * FROM t.books(); SELECT * FROM t.queue(); SELECT fastpath.indexed(); ROLLBACK' AS play
  FROM (:both) m \gexec
SELECT fastpath.books();
-- a cursor shows what there was when it was opened
SELECT format('BEGIN; SET LOCAL studio_engine.direct_rows = %s', mode) AS begin,
       'DECLARE old CURSOR FOR SELECT fastpath.books() FROM generate_series(1, 1); DECLARE balances SCROLL CURSOR FOR SELECT balance, reserved FROM public.credit_accounts WHERE user_id = t.id(1);
        DECLARE waiting CURSOR FOR SELECT t.n(job_id) AS job, state FROM studio_engine.queue ORDER BY job_id; DECLARE kept CURSOR WITH HOLD FOR SELECT t.n(id) AS job, status FROM public.jobs WHERE id = t.id(21);
        FETCH 1 FROM waiting; SELECT public.reserve_credits(t.id(1), t.id(21), 3), fastpath.claim(''w'', 3); FETCH 9 FROM waiting; FETCH 1 FROM balances; FETCH 1 FROM kept; FETCH 1 FROM old; ROLLBACK' AS play
  FROM (:both) m \gexec
-- a cursor for update, and the rows at its hand
SELECT format('BEGIN; SET LOCAL studio_engine.direct_rows = %s', mode) AS begin,
       'DECLARE mine CURSOR FOR SELECT t.n(id) FROM public.jobs WHERE user_id = t.id(1) ORDER BY id FOR UPDATE; FETCH 1 FROM mine; SELECT t.ask(''SELECT public.reserve_credits(t.id(1), t.id(21), 3)'');
        SELECT t.try(''UPDATE public.jobs SET progress = 5 WHERE CURRENT OF mine''); SELECT progress, cost_credits_reserved FROM public.jobs WHERE id = t.id(21); ROLLBACK' AS play
  FROM (:both) m \gexec

-- inside of queries and blocks: each a step of a story
CREATE FUNCTION fastpath.caught(p_job integer, p_amount integer) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM public.reserve_credits(t.id(1), t.id(p_job), p_amount);
  RAISE EXCEPTION 'undone';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLERRM || ', ' || public.get_credit_balance(t.id(1));
END
$$;
CREATE FUNCTION fastpath.balance() RETURNS integer LANGUAGE sql STABLE AS $$ SELECT public.get_credit_balance(t.id(1)) $$;
CALL fastpath.tell_compared('nested', ARRAY[
  'SELECT fastpath.caught(21, 3)', 'SELECT fastpath.books()',
  'SELECT string_agg(public.reserve_credits(user_id, id, 1)::text, '' '') FROM public.jobs WHERE user_id = t.id(1)', 'SELECT fastpath.books()',
  'WITH u AS (UPDATE public.jobs SET progress = 9 WHERE user_id = t.id(1) RETURNING id) SELECT string_agg(public.settle_credits(id, 1)::text, '' '') FROM u', 'SELECT fastpath.books()',
  'UPDATE public.jobs SET progress = public.reserve_credits(user_id, id, 1)::integer WHERE id = t.id(22)', 'SELECT fastpath.books()',
  'UPDATE public.jobs SET progress = 12 WHERE id = t.id(23) AND public.reserve_credits(user_id, id, 2)', 'SELECT fastpath.books()',
  'DELETE FROM public.jobs WHERE id = t.id(23) AND public.release_credits(id) = 2', 'SELECT fastpath.books()',
  'SELECT string_agg(public.get_credit_balance(t.id(1)) || ''/'' || fastpath.balance() || ''/'' || public.reserve_credits(t.id(1), id, 3), '' '' ORDER BY id) FROM public.jobs WHERE user_id = t.id(1)', 'SELECT fastpath.books()',
  'SELECT fastpath.claim(''w'', 1) || '' '' || fastpath.claim(''w'', 1) FROM public.jobs WHERE id = t.id(22)',
  'UPDATE studio_engine.queue SET attempt = length(fastpath.claim(''x'', 1)) WHERE job_id = t.id(24)', 'UPDATE studio_engine.attempts SET worker = fastpath.claim(''x'', 1) WHERE job_id = t.id(22)', 'SELECT fastpath.books()',
  'DELETE FROM public.jobs WHERE id = t.id(22) RETURNING public.reserve_credits(user_id, id, 1)', 'SELECT fastpath.books()',
  'SELECT public.reserve_credits(t.id(1), t.id(22), 1)',
  'INSERT INTO public.credit_ledger (user_id, type, amount) SELECT t.id(1), ''grant'', 1 + public.settle_credits(t.id(21), 0)', 'SELECT fastpath.books()',
  'SELECT fastpath.indexed()']);

-- wide values: written, kept while other columns change, taken from another table where they are stored aside
CREATE TABLE fastpath.wide (manifest jsonb, note text);
ALTER TABLE fastpath.wide ALTER manifest SET STORAGE EXTERNAL, ALTER note SET STORAGE EXTERNAL;
INSERT INTO fastpath.wide SELECT jsonb_build_object('text', string_agg(md5(i::text), '')), left(string_agg(md5(i::text), ''), 8192) FROM generate_series(1, 32767) i;
SELECT pg_column_size(manifest), pg_column_size(note) FROM fastpath.wide;
CALL fastpath.tell_compared('wide', (fastpath.story())[:12] || ARRAY[
  'SELECT md5(public.complete_job(t.id(21), repeat(''u'', 8192), manifest, 2, fastpath.token(21))::text) IS NOT NULL FROM fastpath.wide',
  'SELECT concat(md5(manifest_json::text) = md5(manifest::text), '' '', length(output_url)) FROM public.jobs, fastpath.wide WHERE id = t.id(21)',
  'SELECT t.ask($s$SELECT public.advance_job(t.id(22), ''SCRIPTING'', 1, repeat(note, 1), fastpath.token(22)) FROM fastpath.wide$s$)',
  'SELECT t.ask($s$SELECT public.advance_job(t.id(22), ''SCRIPTING'', 1, note || ''x'', fastpath.token(22)) FROM fastpath.wide$s$)',
  'SELECT t.ask($s$SELECT public.complete_job(t.id(22), NULL, manifest || jsonb_build_object(''more'', note), NULL, fastpath.token(22)) FROM fastpath.wide$s$)',
  'SELECT t.ask($s$SELECT public.complete_job(t.id(22), NULL, ''[1e131071]'', NULL, fastpath.token(22))$s$)',
  'SELECT t.ask($s$SELECT public.complete_job(t.id(22), note || ''x'', NULL, NULL, fastpath.token(22)) FROM fastpath.wide$s$)',
  'UPDATE public.jobs SET manifest_json = manifest, status_message = note FROM fastpath.wide WHERE id IN (t.id(22), t.id(23))',
  'SELECT public.reserve_credits(t.id(1), t.id(22), 1)',
  'SELECT public.advance_job(t.id(22), ''SCRIPTING'', 1, NULL, fastpath.token(22)) ->> ''status''',
  'SELECT public.settle_credits(t.id(22), 1)',
  'SELECT string_agg(concat(md5(manifest_json::text) = md5(manifest::text), '' '', status_message = note), '', '') FROM public.jobs, fastpath.wide WHERE id IN (t.id(22), t.id(23))',
  'SELECT public.fail_job(t.id(22), ''BROKEN'', ''it broke'', NULL, false, fastpath.token(22)) ->> ''status''',
  'SELECT string_agg(concat(md5(manifest_json::text) = md5(manifest::text), '' '', status_message = note), '', '') FROM public.jobs, fastpath.wide WHERE id IN (t.id(22), t.id(23))',
  'SELECT t.ask($s$SELECT public.release_credits(t.id(23), note) FROM fastpath.wide$s$)',
  'SELECT fastpath.indexed()']);

-- a table that publishes its changes and has nothing to tell its rows by
CREATE PUBLICATION theirs FOR TABLE public.jobs, public.credit_accounts WITH (publish = 'insert, update, delete');
-- statements look whether delayed jobs are to be updated, before a claim deletes
CREATE PUBLICATION their_queue FOR TABLE studio_engine.queue WITH (publish = 'insert, delete');
VACUUM studio_engine.queue;
CALL fastpath.hazard('published', 'SELECT', 'SELECT');
CALL fastpath.hazard('published jobs without identity', 'ALTER TABLE public.jobs REPLICA IDENTITY NOTHING', 'ALTER TABLE public.jobs REPLICA IDENTITY DEFAULT');
CALL fastpath.hazard('published accounts without identity', 'ALTER TABLE public.credit_accounts REPLICA IDENTITY NOTHING', 'ALTER TABLE public.credit_accounts REPLICA IDENTITY DEFAULT');
CALL fastpath.hazard('a published queue without identity', 'ALTER TABLE studio_engine.queue REPLICA IDENTITY NOTHING', 'ALTER TABLE studio_engine.queue REPLICA IDENTITY DEFAULT');
CALL fastpath.tell_compared('an empty queue', ARRAY['SELECT fastpath.claim(''w'', 1)', 'SELECT fastpath.advance(21)', 'DELETE FROM studio_engine.queue', 'ALTER TABLE studio_engine.queue REPLICA IDENTITY NOTHING',
  'SELECT fastpath.claim(''w'', 1)']);
ALTER PUBLICATION theirs SET TABLE public.jobs WHERE (progress > 0);
CALL fastpath.hazard('published by another column than the key', 'SELECT', 'SELECT');
CALL fastpath.hazard('... which is part of the identity', 'ALTER TABLE public.jobs REPLICA IDENTITY FULL', 'ALTER TABLE public.jobs REPLICA IDENTITY DEFAULT');
DROP PUBLICATION theirs, their_queue;

-- prepared: what the fast path did is done, or is not, when it is said, and locked until then
SELECT format('SET studio_engine.direct_rows = %s', mode) AS set, 'BEGIN' AS begin,
       'SELECT public.reserve_credits(t.id(1), t.id(21), 3), fastpath.claim(''w'', 1), public.settle_credits(t.id(21), 1); PREPARE TRANSACTION ''p''' AS play,
       'SELECT fastpath.books()' AS before, 'SET lock_timeout = ''10ms''; SELECT t.ask(''SELECT public.reserve_credits(t.id(1), t.id(21), 3)''), t.ask(''SELECT public.reserve_credits(t.id(1), t.id(22), 3)'');
        SELECT fastpath.claim(''v'', 1), t.n(job_id), state FROM studio_engine.queue WHERE job_id = t.id(22); RESET lock_timeout' AS locked,
       'ROLLBACK PREPARED ''p''' AS ends, 'SELECT fastpath.books()' AS after, 'WITH gone AS (DELETE FROM studio_engine.attempts RETURNING *) INSERT INTO studio_engine.queue (due_at, system, job_id, user_id, stage) SELECT since, system, job_id, user_id, stage FROM gone' AS again
  FROM (:both) m \gexec
SET studio_engine.direct_rows = on;
BEGIN;
SELECT public.reserve_credits(t.id(1), t.id(21), 3), fastpath.claim('w', 1), public.settle_credits(t.id(21), 1);
PREPARE TRANSACTION 'p';
SELECT fastpath.books();
COMMIT PREPARED 'p';
SELECT fastpath.books();
SELECT * FROM t.books();
SELECT * FROM t.queue();
-- another one, and one that was committed otherwise, in the same session
SELECT public.reserve_credits(t.id(1), t.id(22), 2), public.settle_credits(t.id(22), 1);
SELECT fastpath.books();
SELECT fastpath.indexed();

RESET studio_engine.direct_rows;
DROP EXTENSION amcheck;
SET client_min_messages = warning;
DROP SCHEMA fastpath CASCADE;
RESET client_min_messages;
SELECT * FROM studio_engine.direct_tables();
SELECT * FROM t.clean();
