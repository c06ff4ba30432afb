-- 340_refinement.sql
--
-- Studio jobs as the seeds' own clients see them, statement by statement; then
-- the functions with those clients' words: texts, prompts, priorities, limits.
-- Pitfall: create_studio_job() gives random ids, so jobs are told apart by the
-- path of their recording.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.studio WITH (security_invoker) AS
SELECT raw_audio_url AS audio, status, raw_transcript AS transcript, refined_text AS text, system_prompt_used AS prompt,
       processing_time_ms BETWEEN 0 AND 60000 AS timed, error_details AS error, enrichment_entities AS entities,
       model_version AS model, retry_count AS retries, priority
  FROM studio_jobs ORDER BY created_at, raw_audio_url;
GRANT SELECT ON t.studio TO PUBLIC;
CALL t.sign_up(1, 2);

-- The table as the seed has it: its ten columns come first
SELECT attname AS column, format_type(atttypid, atttypmod) AS type, attnotnull AS not_null, pg_get_expr(adbin, adrelid) AS "default"
  FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
 WHERE attrelid = 'studio_jobs'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
 WHERE conrelid = 'studio_jobs'::regclass AND contype IN ('p', 'f', 'c') ORDER BY conname;
SELECT indexdef FROM pg_indexes WHERE tablename = 'studio_jobs'
   AND indexname IN ('idx_studio_jobs_user_id', 'idx_studio_jobs_status', 'idx_studio_jobs_created_at') ORDER BY indexname;

-- Verification, as both seeds have it
SELECT * FROM studio_jobs LIMIT 1;
SELECT tablename, rowsecurity
FROM pg_tables
WHERE tablename = 'studio_jobs';
SELECT policyname, cmd
FROM pg_policies
WHERE tablename = 'studio_jobs' ORDER BY cmd;
SELECT cmd, roles, permissive, qual, with_check FROM pg_policies WHERE tablename = 'studio_jobs' ORDER BY cmd;

-- Seed 000, Python: create, update status, store transcript, complete; by the
-- orchestrator, and by the user's own client
CALL t.as_role('service_role');
INSERT INTO studio_jobs (user_id, status, raw_audio_url, system_prompt_used)
VALUES (t.id(1), 'NEW', 'audio/orchestrator.mp3', 'Brand Bible prompt') RETURNING job_id \gset
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = :'job_id';
UPDATE studio_jobs SET status = 'ENRICHING', raw_transcript = 'What was said' WHERE job_id = :'job_id';
UPDATE studio_jobs SET status = 'COMPLETE', refined_text = 'The final output' WHERE job_id = :'job_id'
RETURNING status, raw_transcript, refined_text, system_prompt_used, processing_time_ms BETWEEN 0 AND 60000 AS timed, error_details;
CALL t.as_user(t.id(1));
INSERT INTO studio_jobs (user_id, status, raw_audio_url, system_prompt_used)
VALUES (t.id(1), 'NEW', 'audio/own.mp3', 'Brand Bible prompt') RETURNING job_id AS own_id, status \gset
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = :'own_id' RETURNING status;
UPDATE studio_jobs SET status = 'ENRICHING', raw_transcript = 'What was said' WHERE job_id = :'own_id' RETURNING status;
UPDATE studio_jobs SET status = 'COMPLETE', refined_text = 'The final output' WHERE job_id = :'own_id' RETURNING status;
SELECT * FROM t.studio;
CALL t.as_admin();
SELECT * FROM t.queue();

-- Seed 001, Python: the orchestrator's client
CALL t.as_role('service_role');
SELECT create_studio_job(t.id(2), 'https://storage.supabase.co/a.mp3', 'Brand Bible prompt...') AS job \gset
SELECT :'job'::jsonb ->> 'job_id' AS job_id, :'job'::jsonb ->> 'status' AS status \gset
SELECT :'status' AS status, (:'job'::jsonb ->> 'user_id')::uuid = t.id(2) AS his, :'job'::jsonb ->> 'system_prompt_used' AS prompt,
       (SELECT array_agg(k) FROM jsonb_object_keys(:'job'::jsonb) k) = (SELECT array_agg(k) FROM jsonb_object_keys((SELECT to_jsonb(j) FROM studio_jobs j WHERE job_id = :'job_id')) k) AS a_row;
SELECT update_studio_job_status(:'job_id', 'TRANSCRIBING') ->> 'status' AS status;
SELECT j ->> 'status' AS status, j ->> 'raw_transcript' AS transcript FROM store_transcript(:'job_id', 'Raw transcript text...') j;
SELECT j ->> 'status' AS status, j ->> 'refined_text' AS text, j ->> 'processing_time_ms' IS NOT NULL AS timed
  FROM store_refined_text(:'job_id', 'Brand-compliant refined text...') j;
-- the same with the enrichment, as the flow of the seed has it
SELECT create_studio_job(t.id(2), 'audio/enriched.mp3') ->> 'job_id' AS job_id \gset
SELECT update_studio_job_status(:'job_id', 'TRANSCRIBING') ->> 'status' AS status;
SELECT store_transcript(:'job_id', 'Said') ->> 'status' AS status;
SELECT j ->> 'status' AS status, j -> 'enrichment_entities' AS entities FROM store_enrichment(:'job_id', '{"people": ["Ada"], "places": []}') j;
SELECT j ->> 'status' AS status, j ->> 'model_version' AS model FROM store_refined_text(:'job_id', 'Text', 'model-1') j;
-- the answer was lost, and the client asks again
SELECT t.quiet(format('SELECT store_refined_text(%L, ''Text'') ->> ''status''', :'job_id')) AS again,
       t.quiet(format('SELECT store_refined_text(%L, ''Text'', ''model-1'') ->> ''status''', :'job_id')) AS again;
SELECT t.quiet(format('SELECT store_refined_text(%L, ''Other'')', :'job_id')) AS other_text;
SELECT t.quiet(format('SELECT store_refined_text(%L, ''Text'', ''model-2'')', :'job_id')) AS other_model;
-- errors are stored, as the orchestrator's UPDATE and as function
SELECT create_studio_job(t.id(2), 'audio/error_1.mp3') IS NOT NULL AS made;
SELECT create_studio_job(t.id(2), 'audio/error_2.mp3') IS NOT NULL AS made;
UPDATE studio_jobs SET status = 'FAILED', error_details = '{"step": "whisper", "message": "no sound"}' WHERE raw_audio_url = 'audio/error_1.mp3';
SELECT fail_studio_job((SELECT job_id FROM studio_jobs WHERE raw_audio_url = 'audio/error_2.mp3'), '{"step": "whisper", "message": "noise"}') ->> 'status' AS status;
CALL t.as_admin();
SELECT * FROM t.queue();

-- Seed 001: statistics; a user sees those of his own jobs
SELECT status, COUNT(*)
FROM studio_jobs
GROUP BY status ORDER BY status;
SELECT AVG(processing_time_ms) BETWEEN 0 AND 60000 AS avg_ms
FROM studio_jobs
WHERE status = 'COMPLETE';
SELECT count(*) AS rows, count(*) FILTER (WHERE created_at >= before) AS out_of_order, array_agg(error_details ->> 'message') AS messages
  FROM (SELECT *, lag(created_at) OVER () AS before FROM (
          SELECT job_id, error_details, created_at
          FROM studio_jobs
          WHERE status = 'FAILED'
          ORDER BY created_at DESC
          LIMIT 10) seed) s;
CALL t.as_user(t.id(1));
SELECT status, COUNT(*)
FROM studio_jobs
GROUP BY status;
SELECT job_id, error_details, created_at
FROM studio_jobs
WHERE status = 'FAILED'
ORDER BY created_at DESC
LIMIT 10;

-- Seed 001, the frontend: own jobs, newest first; the text of one of them
SELECT raw_audio_url, status FROM studio_jobs WHERE user_id = t.id(1) ORDER BY created_at DESC;
SELECT raw_audio_url, status FROM studio_jobs WHERE user_id = t.id(2) ORDER BY created_at DESC;
SELECT refined_text, status FROM studio_jobs WHERE job_id = :'own_id';
SELECT count(*) AS all_that_there_are FROM studio_jobs;
CALL t.as_user(t.id(2));
SELECT raw_audio_url, status FROM studio_jobs WHERE user_id = t.id(2) ORDER BY created_at DESC;
SELECT refined_text, status FROM studio_jobs WHERE job_id = :'own_id';
SELECT refined_text, status FROM studio_jobs WHERE job_id = :'job_id';
UPDATE studio_jobs SET refined_text = 'mine now' WHERE job_id = :'own_id' RETURNING status;
UPDATE studio_jobs SET refined_text = 'mine now' WHERE job_id = :'job_id' RETURNING status;
SELECT left(t.try('DELETE FROM studio_jobs'), 5) AS users_do_not_delete, left(t.try('TRUNCATE studio_jobs'), 5) AS nor_truncate;
CALL t.as_role('authenticated');
SELECT count(*) AS seen_by_nobody FROM studio_jobs;
SELECT left(t.try('SELECT create_studio_job(t.id(1), ''a'')'), 5) AS nobody, left(t.try(format('SELECT cancel_studio_job(%L)', :'own_id')), 5) AS nobody;
CALL t.as_role('anon');
SELECT left(t.try('SELECT 1 FROM studio_jobs'), 5) AS read, left(t.try('UPDATE studio_jobs SET status = ''FAILED'''), 5) AS written,
       left(t.try('SELECT create_studio_job(t.id(1), ''a'')'), 5) AS called;
CALL t.as_admin();
-- "violates foreign key constraint": the user must exist
SELECT t.try($$INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (t.id(99), 'a')$$);
DELETE FROM studio_jobs;

-- Who may make jobs for whom
SELECT t.ask('SELECT create_studio_job(t.id(99), ''a'')') AS no_such_user, t.ask('SELECT create_studio_job(NULL, ''a'')') AS no_user;
CALL t.as_user(t.id(1));
SELECT t.ask('SELECT create_studio_job(t.id(1), ''own.mp3'') ->> ''status''') AS own,
       t.ask('SELECT create_studio_job(t.id(2), ''a'')') AS of_another, t.ask('SELECT create_studio_job(t.id(99), ''a'')') AS of_nobody,
       t.ask('SELECT create_studio_job(NULL, ''a'')') AS no_user;
CALL t.as_admin();
DELETE FROM studio_jobs;

-- The prompt: explicit, of the setting, and where the setting is gone; by
-- function, and by plain INSERT of a user
UPDATE studio_engine.settings SET value = 'Prompt of the setting: ü 漢字' WHERE name = 'default_system_prompt';
CALL t.as_user(t.id(1));
INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (t.id(1), 'plain');
INSERT INTO studio_jobs (user_id, raw_audio_url, system_prompt_used) VALUES (t.id(1), 'plain, NULL', NULL), (t.id(1), 'plain, explicit', 'Mine');
SELECT create_studio_job(t.id(1), 'function') IS NOT NULL AS made, create_studio_job(t.id(1), 'function, explicit', 'Mine') IS NOT NULL AS made;
SELECT audio, prompt FROM t.studio;
SELECT left(t.try('UPDATE studio_jobs SET system_prompt_used = NULL'), 5) AS never_null;
CALL t.as_admin();
DELETE FROM studio_jobs;
BEGIN;
DELETE FROM studio_engine.settings WHERE name = 'default_system_prompt';
SELECT create_studio_job(t.id(1), 'a') ->> 'system_prompt_used' AS without_the_setting;
ROLLBACK;
UPDATE studio_engine.settings SET value = 'Rewrite the transcript in the voice of the brand. Keep names, facts and numbers as they are.' WHERE name = 'default_system_prompt';

-- Texts: NULL, empty, of all scripts, of a megabyte, in every argument that is
-- one; what is stored is what came
CREATE TABLE t.texts (nr integer, kind text, text text);
INSERT INTO t.texts VALUES (1, 'null', NULL), (2, 'empty', ''), (3, 'blank', E' \n\t'),
  (4, 'scripts', E'Ünïcödé 漢字 עברית 🎙️ e\u0301 \u200b\U0010FFFF'), (5, 'long one', repeat('x', 500000)),
  (6, 'wide megabyte', repeat('🎙', 250000)), (7, 'quotes', E'''; DROP TABLE studio_jobs; -- $1 %s \\ "');
GRANT SELECT ON t.texts TO PUBLIC;
CREATE FUNCTION t.texts_in(p_status text, p_call text, p_column text)
RETURNS TABLE (kind text, answer text, as_it_came boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_text record;
BEGIN
  FOR v_text IN SELECT * FROM t.texts x ORDER BY x.nr LOOP
    CALL t.studio_job(1, 30, p_status);
    kind := v_text.kind;
    answer := left(t.try(format(p_call, v_text.text)), 5);
    EXECUTE format('SELECT %s IS NOT DISTINCT FROM $1 FROM public.studio_jobs', p_column) INTO as_it_came USING v_text.text;
    IF answer <> 'ok' THEN
      as_it_came := NULL;
    END IF;
    DELETE FROM public.studio_jobs;
    RETURN NEXT;
  END LOOP;
END
$$;
SELECT * FROM t.texts_in('TRANSCRIBING', 'SELECT store_transcript(t.id(30), %L)', 'raw_transcript');
SELECT * FROM t.texts_in('REFINING', 'SELECT store_refined_text(t.id(30), %L)', 'refined_text');
SELECT * FROM t.texts_in('REFINING', 'SELECT store_refined_text(t.id(30), ''text'', %L)', 'model_version');
SELECT * FROM t.texts_in('ENRICHING', 'SELECT store_enrichment(t.id(30), to_jsonb(%L::text))', 'enrichment_entities #>> ''{}''');
SELECT * FROM t.texts_in('ENRICHING', 'SELECT fail_studio_job(t.id(30), jsonb_build_object(''message'', %L))', 'error_details ->> ''message''');
SELECT * FROM t.texts_in('ENRICHING', 'SELECT cancel_studio_job(t.id(30), %L)', 'error_details ->> ''message''');
-- a job that the call itself makes
CREATE FUNCTION t.texts_of_new_job(p_call text, p_column text)
RETURNS TABLE (kind text, answer text, as_it_came boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_text record;
BEGIN
  FOR v_text IN SELECT * FROM t.texts x ORDER BY x.nr LOOP
    kind := v_text.kind;
    answer := left(t.try(format(p_call, v_text.text)), 5);
    as_it_came := NULL;
    EXECUTE format('SELECT %s IS NOT DISTINCT FROM $1 FROM public.studio_jobs', p_column) INTO as_it_came USING v_text.text;
    DELETE FROM public.studio_jobs;
    RETURN NEXT;
  END LOOP;
END
$$;
SELECT * FROM t.texts_of_new_job('SELECT create_studio_job(t.id(1), %L)', 'raw_audio_url');
SELECT * FROM t.texts_of_new_job('SELECT create_studio_job(t.id(1), ''a'', %L)', 'system_prompt_used');
SELECT * FROM t.texts_of_new_job('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (t.id(1), %L)', 'raw_audio_url');
-- bounds, in characters
SELECT t.ask(format('SELECT create_studio_job(t.id(1), %L) ->> ''status''', repeat('ü', 8192))) AS longest,
       t.ask(format('SELECT create_studio_job(t.id(1), %L)', repeat('ü', 8193))) AS too_long;
SELECT t.ask(format('SELECT create_studio_job(t.id(1), ''a'', %L) ->> ''status''', repeat('ü', 500000))) AS longest,
       t.ask(format('SELECT create_studio_job(t.id(1), ''a'', %L)', repeat('ü', 500001))) AS too_long;
CALL t.studio_job(1, 30);
SELECT t.ask(format('SELECT cancel_studio_job(t.id(30), %L)', repeat('ü', 1001))) AS too_long;
SELECT length(cancel_studio_job(t.id(30), repeat('ü', 1000)) -> 'error_details' ->> 'message') AS longest;
DELETE FROM studio_jobs;
-- errors that are no object, and none at all
SELECT t.try(format('CALL t.studio_job(1, %s)', 30 + n)) AS made FROM generate_series(1, 5) n;
SELECT fail_studio_job(t.id(31), '"text"') -> 'error_details' AS a_string, fail_studio_job(t.id(32), '[1, 2]') -> 'error_details' AS an_array,
       fail_studio_job(t.id(33), '{}') -> 'error_details' AS empty, fail_studio_job(t.id(34), 'null') -> 'error_details' AS json_null,
       fail_studio_job(t.id(35), NULL) ->> 'status' AS none;
SELECT t.try('SELECT fail_studio_job(NULL, ''{}'')') AS no_job, t.try('SELECT fail_studio_job(t.id(99), ''{}'')') AS unknown,
       t.try('SELECT fail_studio_job(t.id(31), ''{}'', NULL)') AS null_retryable;
SELECT t.try('SELECT store_transcript(NULL, ''x'')'), t.try('SELECT store_transcript(t.id(99), ''x'')');
SELECT t.try('SELECT store_enrichment(NULL, ''{}'')'), t.try('SELECT store_enrichment(t.id(99), ''{}'')');
SELECT t.try('SELECT store_refined_text(NULL, ''x'')'), t.try('SELECT store_refined_text(t.id(99), ''x'')');
DELETE FROM studio_jobs;
DROP TABLE t.texts;
DROP FUNCTION t.texts_in, t.texts_of_new_job;

-- Failing: the first error stays; without a lease nobody tries again
CALL t.studio_job(1, 30);
SELECT t.quiet('SELECT fail_studio_job(t.id(30), ''{"code": "E"}'', true)') AS retryable_without_a_lease;
SELECT fail_studio_job(t.id(30), '{"code": "E1"}') -> 'error_details' AS error;
SELECT t.quiet('SELECT fail_studio_job(t.id(30), ''{"code": "E2"}'') -> ''error_details''') AS first_error_stays;
SELECT t.quiet('SELECT cancel_studio_job(t.id(30), ''Changed my mind'') -> ''error_details''') AS first_error_stays;
-- cancelling: at once, since nobody works on it
CALL t.as_user(t.id(1));
SELECT retry_studio_job(t.id(30)) ->> 'status' AS status;
SELECT j ->> 'status' AS status, j -> 'error_details' AS error FROM cancel_studio_job(t.id(30), 'Changed my mind') j;
SELECT t.quiet('SELECT cancel_studio_job(t.id(30), ''Again'') -> ''error_details''') AS again;
SELECT j ->> 'status' AS status, j -> 'error_details' AS error, j -> 'retry_count' AS retries FROM retry_studio_job(t.id(30)) j;
SELECT t.quiet('SELECT retry_studio_job(t.id(30)) ->> ''status''') AS again;
SELECT j ->> 'status' AS status, j -> 'error_details' AS error FROM cancel_studio_job(t.id(30)) j;
CALL t.as_user(t.id(2));
SELECT t.try('SELECT cancel_studio_job(t.id(30))') AS of_another, t.try('SELECT retry_studio_job(t.id(30))') AS of_another,
       t.try('SELECT cancel_studio_job(NULL)') AS none, t.try('SELECT retry_studio_job(NULL)') AS none;
CALL t.as_role('service_role');
SELECT t.try('SELECT cancel_studio_job(t.id(99))') AS unknown, t.try('SELECT retry_studio_job(t.id(99))') AS unknown;
SELECT retry_studio_job(t.id(30)) ->> 'retry_count' AS by_a_service;
SELECT * FROM t.studio;
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- Priorities: a user up to the setting, downwards without bound
CALL t.as_user(t.id(1));
SELECT p AS priority, t.ask(format('SELECT create_studio_job(t.id(1), ''f'', NULL, %s) ->> ''priority''', p)) AS by_function,
       t.ask(format('INSERT INTO studio_jobs (user_id, raw_audio_url, priority) VALUES (t.id(1), ''p'', %s) RETURNING priority', p)) AS plain
  FROM unnest('{100,101,2147483647}'::integer[]) p;
SELECT t.ask('SELECT create_studio_job(t.id(1), ''f'', NULL, -2147483648) ->> ''priority''') AS lowest,
       t.ask('SELECT create_studio_job(t.id(1), ''f'', NULL, NULL)') AS null_priority,
       left(t.ask('INSERT INTO studio_jobs (user_id, raw_audio_url, priority) VALUES (t.id(1), ''p'', NULL)'), 5) AS null_priority;
SELECT t.ask('UPDATE studio_jobs SET priority = 100 WHERE priority < 0 RETURNING priority') AS up_to_the_setting,
       t.ask('UPDATE studio_jobs SET priority = 101 RETURNING priority') AS not_further;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_user_priority';
CALL t.as_user(t.id(2));
SELECT t.ask('SELECT create_studio_job(t.id(2), ''f'') ->> ''priority''') AS zero, t.ask('SELECT create_studio_job(t.id(2), ''f'', NULL, 1)') AS one,
       t.ask('SELECT create_studio_job(t.id(2), ''f'', NULL, -1) ->> ''priority''') AS below;
CALL t.as_role('service_role');
SELECT t.ask('SELECT create_studio_job(t.id(2), ''f'', NULL, 2147483647) ->> ''priority''') AS a_service_may;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '100' WHERE name = 'max_user_priority';
SELECT * FROM t.queue();
DELETE FROM studio_jobs;
-- at the limits of integer: highest first, then oldest
CALL t.as_role('service_role');
INSERT INTO studio_jobs (user_id, raw_audio_url, priority)
SELECT t.id(1 + n::integer % 2), format('%s: %s', n, p), p
  FROM unnest('{0,-2147483648,2147483647,-1,1,2147483646,-2147483647,0,2147483647,-2147483648}'::integer[]) WITH ORDINALITY q (p, n);
SELECT job ->> 'raw_audio_url' AS "number: priority" FROM claim_jobs('studio_jobs', 'w', 10);
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- Active jobs: five a user, however he makes them; the Video jobs have a limit
-- of their own
CALL t.as_user(t.id(1));
INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT t.id(1), 'plain ' || n FROM generate_series(1, 3) n;
SELECT create_studio_job(t.id(1), 'function ' || n) ->> 'status' AS status FROM generate_series(1, 2) n;
SELECT t.quiet('SELECT create_studio_job(t.id(1), ''sixth'')') AS sixth;
SELECT t.quiet('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (t.id(1), ''sixth'') RETURNING 1') AS sixth;
UPDATE studio_jobs SET status = 'FAILED' WHERE raw_audio_url = 'plain 1';
SELECT create_studio_job(t.id(1), 'instead') ->> 'status' AS status;
SELECT t.quiet('SELECT retry_studio_job((SELECT job_id FROM studio_jobs WHERE raw_audio_url = ''plain 1''))') AS retry_counts;
SELECT count(*) AS jobs, count(*) FILTER (WHERE status = 'NEW') AS active FROM studio_jobs;
CALL t.as_user(t.id(2));
SELECT t.quiet('INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT t.id(2), ''six at once'' FROM generate_series(1, 6) RETURNING 1') AS six_at_once;
SELECT t.ask('SELECT create_studio_job(t.id(2), ''another user'') ->> ''status''') AS another_user;
CALL t.as_role('service_role');
SELECT t.quiet('SELECT create_studio_job(t.id(1), ''sixth'')') AS by_a_service_in_his_name;
INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT t.id(1), 'import ' || n FROM generate_series(1, 3) n;
SELECT count(*) AS imports_are_not_limited FROM studio_jobs WHERE raw_audio_url LIKE 'import%';
CALL t.as_admin();
CALL t.project(1, 11);
SELECT create_job(t.id(11), 1) IS NOT NULL AS video_has_its_own_limit;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
SELECT count(create_studio_job(t.id(1), 'many')) AS without_limit FROM generate_series(1, 20);
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_jobs';
-- another row of his own is no new job: moving the surplus is no breach
CALL t.as_user(t.id(1));
SELECT t.try('UPDATE studio_jobs SET status = ''TRANSCRIBING'' WHERE raw_audio_url = ''many''') AS moving_is_no_breach;
CALL t.as_admin();
SELECT * FROM t.queue();
SELECT * FROM t.books();

DROP VIEW t.studio;
SELECT * FROM t.clean();
