-- 336_new_jobs.sql
--
-- What a client may say of a new job besides its work: the key under which it is
-- made once, when it may begin, how often it is tried; by function and by plain
-- SQL; and that the row of a job says that its worker was asked to stop.
-- Pitfall: ids are random where the product makes them, so an answer is compared
-- with the first one.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(1, 12, 'manual');
CALL t.project(2, 13);
INSERT INTO companies (id, name) VALUES (t.id(3), 'One'), (t.id(4), 'Two');
INSERT INTO cm_module_content (content_id, company_id, module_name) VALUES (t.id(5), t.id(3), 'm'), (t.id(6), t.id(4), 'm'), (t.id(7), NULL, 'm');
INSERT INTO mm_multimedia_sessions (session_id, content_id)
VALUES (t.id(51), t.id(5)), (t.id(52), t.id(5)), (t.id(61), t.id(6)), (t.id(71), t.id(7)), (t.id(72), t.id(7));

-- One call, as all the others here are compared with it: its arguments, and whether it gave the first job.
CREATE FUNCTION t.studio(p_arguments text) RETURNS text
LANGUAGE sql AS $$
  SELECT t.quiet(format('SELECT concat_ws('' '', j ->> ''status'', j ->> ''job_id'' = current_setting(''t.first'')) FROM create_studio_job(%s) j', p_arguments))
$$;

-- ------------------------------------------------------------------------
-- Keys of studio jobs
UPDATE studio_engine.settings SET value = '1' WHERE name = 'price_studio_job';
CALL t.as_user(t.id(1));
SELECT set_config('t.first', j ->> 'job_id', false) IS NOT NULL AS made, j ->> 'status' AS status, j ->> 'idempotency_key' AS key, j -> 'run_at' AS run_at,
       j -> 'max_attempts' AS attempts, j -> 'cancel_requested_at' AS cancelled
  FROM create_studio_job(t.id(1), 'a.mp3', 'My prompt', 4, p_idempotency_key => 'k') j;
RESET ROLE;
-- the same again, and what is no content
SELECT a AS arguments, t.studio(a) AS answer
  FROM unnest(ARRAY[
    $$t.id(1), 'a.mp3', 'My prompt', 4, NULL, 'k'$$,
    $$t.id(1), 'a.mp3', p_idempotency_key => 'k'$$,
    $$t.id(1), 'a.mp3', 'My prompt', 7, now() + '1 day', 'k', 2$$,
    -- other content
    $$t.id(1), 'b.mp3', 'My prompt', 4, NULL, 'k'$$,
    $$t.id(1), 'a.mp3', 'My Prompt', 4, NULL, 'k'$$,
    -- no keys
    $$t.id(1), 'a.mp3', p_idempotency_key => ''$$,
    $$t.id(1), 'a.mp3', p_idempotency_key => repeat('x', 201)$$,
    $$t.id(99), 'a.mp3', p_idempotency_key => 'k'$$]) a;
-- it is refused before the key is looked up, since who asks must learn nothing
CALL t.as_user(t.id(2));
SELECT t.ask($$SELECT create_studio_job(t.id(1), 'a.mp3', p_idempotency_key => 'k')$$) AS of_another_user;
SELECT j ->> 'status' AS same_key_of_another_user, j ->> 'job_id' <> current_setting('t.first') AS other
  FROM create_studio_job(t.id(2), 'a.mp3', p_idempotency_key => 'k') j;
CALL t.as_admin();
-- whatever became of it
SELECT claim_jobs('studio_jobs', 'w', 10) IS NOT NULL AS claimed;
SELECT t.studio($$t.id(1), 'a.mp3', p_idempotency_key => 'k'$$) AS claimed;
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = current_setting('t.first')::uuid;
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = current_setting('t.first')::uuid;
SELECT t.studio($$t.id(1), 'a.mp3', p_idempotency_key => 'k'$$) AS failed;
SELECT retry_studio_job(current_setting('t.first')::uuid) ->> 'status' AS retried;
SELECT t.studio($$t.id(1), 'a.mp3', p_idempotency_key => 'k'$$) AS retried;
-- no key is no key: two jobs; 200 characters of four bytes, and those that look alike, are keys
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
SELECT count(DISTINCT create_studio_job(t.id(1), 'a.mp3', p_idempotency_key => k) ->> 'job_id')
  FROM unnest(ARRAY[NULL, NULL, repeat(U&'\+01F600', 200), 'k ', 'K', U&'\00E9', U&'e\0301']) k;
-- at the limit: the first job comes, a new one does not
UPDATE studio_engine.settings SET value = '8' WHERE name = 'max_active_jobs';
SELECT t.ask($$SELECT create_studio_job(t.id(1), 'z.mp3', p_idempotency_key => 'new') ->> 'status'$$) AS one_more;
SELECT t.studio($$t.id(1), 'a.mp3', p_idempotency_key => 'k'$$) AS the_first;
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_jobs';
-- one price for one job
SELECT type, amount, note, count(*) FROM t.ledger GROUP BY "user", 1, 2, 3 ORDER BY "user", 1, 2;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'price_studio_job';
-- a deleted job gives its key back
DELETE FROM studio_jobs WHERE user_id = t.id(2);
SELECT create_studio_job(t.id(2), 'c.mp3', p_idempotency_key => 'k') ->> 'raw_audio_url' AS made;
-- the prompt was changed since
UPDATE studio_jobs SET system_prompt_used = 'Another' WHERE user_id = t.id(2);
SELECT t.ask($$SELECT create_studio_job(t.id(2), 'c.mp3', 'Another', p_idempotency_key => 'k') ->> 'system_prompt_used'$$) AS changed;
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- Keys of video jobs
CALL t.as_role('service_role');
SELECT create_job(t.id(11), 3, 1, p_idempotency_key => 'k') AS job \gset
CALL t.as_admin();
SELECT a AS arguments, t.quiet(format('SELECT create_job(%s) = %L', a, :'job')) AS answer
  FROM unnest(ARRAY[
    $$t.id(11), 3, 1, NULL, 'k'$$,
    $$t.id(11), 3, 9, now() + '1 day', 'k', 7$$,
    $$t.id(11), 4, 1, NULL, 'k'$$,
    $$t.id(12), 3, 1, NULL, 'k'$$,
    $$t.id(99), 3, 1, NULL, 'k'$$,
    $$t.id(11), 0, 1, NULL, 'k'$$,
    $$t.id(11), 3, 1, NULL, ''$$,
    $$t.id(11), 3, 1, NULL, repeat('x', 201)$$]) a;
SELECT create_job(t.id(13), 3, p_idempotency_key => 'k') <> :'job' AS of_another_user;
SELECT (SELECT count(*) FROM jobs) AS jobs, (SELECT count(*) FROM job_steps WHERE job_id = :'job') AS steps, (SELECT count(*) FROM t.ledger WHERE job <> '' AND "user" = '1') AS holds;
-- credits are used up, the limit is reached: the first job comes, a new one does not
SELECT charge_credits(t.id(1), 7) AS balance;
SELECT t.quiet(format('SELECT create_job(t.id(11), 3, p_idempotency_key => ''k'') = %L', :'job')) AS the_first,
       t.quiet($$SELECT create_job(t.id(11), 3, p_idempotency_key => 'other')$$) AS a_new_one;
-- the price is that of the call, whatever was held or charged since
SELECT release_credits(:'job'), reserve_credits(t.id(1), :'job', 2), settle_credits(:'job', 1);
SELECT t.quiet(format('SELECT create_job(t.id(11), 3, p_idempotency_key => ''k'') = %L', :'job')) AS of_3,
       t.quiet(format('SELECT create_job(t.id(11), 2, p_idempotency_key => ''k'') = %L', :'job')) AS of_2;
SELECT fail_job(:'job') ->> 'status' AS status;
SELECT t.quiet(format('SELECT create_job(t.id(11), 3, p_idempotency_key => ''k'') = %L', :'job')) AS failed;
-- a job that a service inserted has no price that could be the same
INSERT INTO jobs (project_id, user_id, idempotency_key) VALUES (t.id(11), t.id(1), 'plain');
SELECT t.quiet($$SELECT create_job(t.id(11), 1, p_idempotency_key => 'plain')$$) AS plain;
SELECT t.try($$INSERT INTO jobs (project_id, user_id, idempotency_key) VALUES (t.id(11), t.id(1), 'plain')$$) AS twice;
SELECT * FROM t.books();
DELETE FROM jobs;

-- ------------------------------------------------------------------------
-- Keys of renderings are those of the company
UPDATE studio_engine.settings SET value = '2' WHERE name = 'price_rendering';
SELECT grant_credits(t.id(1), 10, p_idempotency_key => 'more') IS NOT NULL AS granted;
CALL t.as_role('service_role');
SELECT enqueue_rendering(t.id(51), '{"fps": 30}', 1, t.id(1), p_idempotency_key => 'k') AS render \gset
CALL t.as_admin();
SELECT a AS arguments, t.quiet(format('SELECT enqueue_rendering(%s) = %L', a, :'render')) AS answer
  FROM unnest(ARRAY[
    $$t.id(51), '{"fps":30.0}', 1, t.id(1), NULL, 'k'$$,
    $$t.id(51), '{"fps": 30}', 2, t.id(1), now() + '1 day', 'k', 9$$,
    $$t.id(51), '{"fps": 31}', 1, t.id(1), NULL, 'k'$$,
    $$t.id(51), NULL, 1, t.id(1), NULL, 'k'$$,
    $$t.id(51), '{"fps": 30}', 1, t.id(2), NULL, 'k'$$,
    $$t.id(51), '{"fps": 30}', 1, NULL, NULL, 'k'$$,
    $$t.id(52), '{"fps": 30}', 1, t.id(1), NULL, 'k'$$,
    $$t.id(99), '{"fps": 30}', 1, t.id(1), NULL, 'k'$$,
    $$t.id(51), '{"fps": 30}', 1, t.id(99), NULL, 'k'$$,
    $$t.id(51), '{"fps": 30}', 1, t.id(1), NULL, ''$$]) a;
-- another company, and what has none
SELECT enqueue_rendering(t.id(61), '{"fps": 30}', 1, t.id(1), p_idempotency_key => 'k') <> :'render' AS of_another_company;
SELECT enqueue_rendering(t.id(71), p_idempotency_key => 'k') AS alone \gset
SELECT :'alone' <> :'render' AS of_none, t.quiet(format('SELECT enqueue_rendering(t.id(71), NULL, p_idempotency_key => ''k'') = %L', :'alone')) AS again,
       t.quiet($$SELECT enqueue_rendering(t.id(72), p_idempotency_key => 'k')$$) AS of_another_session;
SELECT t.try($$INSERT INTO mm_rendering_queue (session_id, idempotency_key) VALUES (t.id(72), 'k')$$) AS twice_for_none;
SELECT type, amount, note FROM t.ledger WHERE "user" = '1' AND note ~ 'rendering';
UPDATE studio_engine.settings SET value = '0' WHERE name = 'price_rendering';
DELETE FROM mm_rendering_queue;

-- ------------------------------------------------------------------------
-- When a job runs, and how often: by function
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
SELECT grant_credits(t.id(1), 10, p_idempotency_key => 'even more') IS NOT NULL AS granted;
SELECT r AS run_at, t.ask(format('SELECT create_studio_job(t.id(1), ''a'', p_run_at => %s) -> ''run_at'' IS NOT NULL', r)) AS studio,
       t.ask(format('SELECT create_job(t.id(11), 1, p_run_at => %s) IS NOT NULL', r)) AS video,
       t.ask(format('SELECT enqueue_rendering(t.id(51), p_run_at => %s) IS NOT NULL', r)) AS rendering
  FROM unnest(ARRAY['NULL', $$'2001-01-01'$$, $$now() + '366 days' - '1 minute'::interval$$, $$now() + '366 days 1 minute'$$, $$'infinity'$$, $$'-infinity'$$]) r;
SELECT m AS attempts, t.ask(format('SELECT create_studio_job(t.id(1), ''a'', p_max_attempts => %s) -> ''max_attempts''', m)) AS studio,
       t.ask(format('SELECT create_job(t.id(12), 1, p_max_attempts => %s) IS NOT NULL', m)) AS video,
       t.ask(format('SELECT enqueue_rendering(t.id(51), p_max_attempts => %s) IS NOT NULL', m)) AS rendering
  FROM unnest('{"NULL",0,-1,1,3,4,1000,1001}'::text[]) m;
SELECT raw_audio_url AS url, run_at, max_attempts FROM studio_jobs WHERE run_at < now() OR max_attempts > 4 ORDER BY run_at;
SELECT status, priority, run_at, max_attempts FROM jobs WHERE run_at < now() OR max_attempts = 4 ORDER BY run_at;
SELECT status, priority, run_at, max_attempts FROM mm_rendering_queue WHERE run_at < now() OR max_attempts = 4 ORDER BY run_at;
DELETE FROM studio_jobs;
-- users: as many attempts as the setting gives; none is no limit
CALL t.as_user(t.id(1));
SELECT m AS attempts, t.ask(format('SELECT create_studio_job(t.id(1), ''a'', p_max_attempts => %s) -> ''max_attempts''', m)) AS answer FROM unnest('{1,3,4,1000}'::text[]) m;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_attempts';
CALL t.as_user(t.id(1));
SELECT m AS attempts, t.ask(format('SELECT create_studio_job(t.id(1), ''a'', p_max_attempts => %s) -> ''max_attempts''', m)) AS answer FROM unnest('{0,1000,1001}'::text[]) m;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '3' WHERE name = 'max_attempts';
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- By plain SQL: users
CALL t.as_user(t.id(1));
SELECT column_name, value, t.try(format('INSERT INTO studio_jobs (user_id, raw_audio_url, %I) VALUES (auth.uid(), ''a'', %s)', column_name, value)) AS answer
  FROM (VALUES ('run_at', $$now() + '365 days'$$), ('run_at', $$'2001-01-01'$$), ('run_at', $$now() + '367 days'$$), ('run_at', $$'infinity'$$), ('run_at', $$'-infinity'$$),
               ('idempotency_key', $$'mine'$$), ('idempotency_key', $$'mine'$$), ('idempotency_key', $$''$$), ('idempotency_key', $$repeat('x', 201)$$),
               ('max_attempts', '3'), ('max_attempts', '4'), ('max_attempts', '0'), ('max_attempts', 'NULL'),
               ('cancel_requested_at', 'NULL'), ('cancel_requested_at', 'now()')) v (column_name, value);
SELECT count(*) AS jobs FROM studio_jobs;
-- what was inserted is there for the function too
SELECT j ->> 'idempotency_key' AS key FROM create_studio_job(t.id(1), 'a', p_idempotency_key => 'mine') j;
SELECT t.ask($$SELECT create_studio_job(t.id(1), 'b', p_idempotency_key => 'mine')$$) AS other_content;
-- a key is given once; whole rows may come back
SELECT change, t.try(format('UPDATE studio_jobs SET %s WHERE idempotency_key = ''mine''', change)) AS answer
  FROM unnest(ARRAY[$$run_at = now()$$, $$run_at = run_at$$, $$run_at = NULL$$, $$idempotency_key = 'other'$$, $$idempotency_key = NULL$$, $$idempotency_key = 'mine'$$,
                    $$max_attempts = 2$$, $$max_attempts = 4$$, $$max_attempts = 0$$, $$max_attempts = NULL$$, $$cancel_requested_at = now()$$, $$cancel_requested_at = NULL$$,
                    $$raw_transcript = 'T', priority = 3, run_at = NULL, idempotency_key = 'mine', max_attempts = 1, cancel_requested_at = NULL$$]) change;
CALL t.as_admin();
-- more attempts, that a service gave, stay or become fewer
UPDATE studio_jobs SET max_attempts = 50 WHERE idempotency_key = 'mine';
CALL t.as_user(t.id(1));
SELECT m AS attempts, t.try(format('UPDATE studio_jobs SET max_attempts = %s WHERE idempotency_key = ''mine''', m)) AS answer FROM unnest('{50,51,40,3,4}'::text[]) m;
-- nor by other tables
SELECT t.try($$INSERT INTO jobs (project_id, user_id, run_at) VALUES (t.id(11), auth.uid(), now())$$) AS video,
       t.try($$INSERT INTO mm_rendering_queue (session_id, run_at) VALUES (t.id(51), now())$$) AS rendering;
CALL t.as_admin();
-- services: whatever the checks allow
SELECT tab AS "table", change, t.try(format('UPDATE %s SET %s', tab, change)) AS answer
  FROM unnest(ARRAY['studio_jobs', 'jobs', 'mm_rendering_queue']) tab,
       unnest(ARRAY[$$run_at = now() + '10 years'$$, $$run_at = 'infinity'$$, $$run_at = '-infinity'$$, $$max_attempts = 1000$$, $$max_attempts = 1001$$, $$max_attempts = 0$$,
                    $$cancel_requested_at = now()$$, $$idempotency_key = ''$$]) change;
SELECT tab AS "table", t.try(format('UPDATE %s SET idempotency_key = repeat(''x'', 201)', tab)) AS answer FROM unnest(ARRAY['studio_jobs', 'jobs', 'mm_rendering_queue']) tab;
DELETE FROM studio_jobs;
DELETE FROM jobs;
DELETE FROM mm_rendering_queue;

-- ------------------------------------------------------------------------
-- A retried job runs now, whatever it was to wait for
CALL t.studio_job(1, 31);
CALL t.job(11, 21, 'QUEUED');
CALL t.rendering(1, 41, 'queued', 51);
CREATE VIEW t.said AS
  SELECT 'studio_jobs' AS system, job_id AS id, status, run_at, max_attempts AS attempts, idempotency_key AS key, cancel_requested_at FROM studio_jobs
  UNION ALL SELECT 'jobs', id, status::text, run_at, max_attempts, idempotency_key, cancel_requested_at FROM jobs
  UNION ALL SELECT 'mm_rendering_queue', render_id, status, run_at, max_attempts, idempotency_key, cancel_requested_at FROM mm_rendering_queue;
-- a worker has each; its cancellation is requested, and the row says so, once
SELECT system, t.n(c.job_id) AS job FROM unnest('{studio_jobs,jobs,mm_rendering_queue}'::text[]) system, claim_jobs(system, 'w') c;
CALL t.as_user(t.id(1));
SELECT j ? 'cancel_requested' AS asked, j -> 'cancel_requested_at' <> 'null' AS written FROM cancel_studio_job(t.id(31), 'no more') j;
SELECT j ? 'cancel_requested' AS asked, j -> 'cancel_requested_at' <> 'null' AS written FROM cancel_job(t.id(21), 'no more') j;
SELECT d -> 'job' -> 'cancel_requested_at' <> 'null' AS on_the_dashboard FROM jsonb_array_elements(get_dashboard(t.id(1), 5)) d WHERE d ->> 'id' = t.id(11)::text;
CALL t.as_role('service_role');
SELECT j ? 'cancel_requested' AS asked, j -> 'cancel_requested_at' <> 'null' AS written FROM cancel_rendering(t.id(41), 'no more') j;
CALL t.as_admin();
SELECT system, t.n(id) AS job, status, cancel_requested_at BETWEEN now() - interval '1 minute' AND clock_timestamp() AS requested FROM t.said ORDER BY system;
CREATE TEMP TABLE before AS SELECT id, cancel_requested_at FROM t.said;
SELECT cancel_studio_job(t.id(31)) IS NOT NULL, cancel_job(t.id(21)) IS NOT NULL, cancel_rendering(t.id(41)) IS NOT NULL;
SELECT count(*) AS as_before FROM t.said JOIN before USING (id, cancel_requested_at);
SELECT release_leases('w');
UPDATE studio_jobs SET run_at = now() + interval '1 day', max_attempts = 7, idempotency_key = 'kept';
UPDATE jobs SET run_at = now() + interval '1 day', max_attempts = 7, idempotency_key = 'kept';
UPDATE mm_rendering_queue SET run_at = now() + interval '1 day', max_attempts = 7, idempotency_key = 'kept' WHERE render_id = t.id(41);
SELECT system, status, run_at IS NOT NULL AS waits, attempts, key, cancel_requested_at IS NOT NULL AS requested FROM t.said ORDER BY system;
UPDATE mm_rendering_queue SET status = 'failed' WHERE status <> 'cancelled';
SELECT j ->> 'status' AS status, j -> 'run_at' AS run_at, j -> 'cancel_requested_at' AS requested FROM retry_studio_job(t.id(31)) j;
SELECT j ->> 'status' AS status, j -> 'run_at' AS run_at, j -> 'cancel_requested_at' AS requested FROM retry_job(t.id(21)) j;
CALL t.rendering(1, 42, 'failed', 51);
UPDATE mm_rendering_queue SET run_at = now() + interval '1 day', cancel_requested_at = now() WHERE render_id = t.id(42);
SELECT j ->> 'status' AS status, j -> 'run_at' AS run_at, j -> 'cancel_requested_at' AS requested FROM retry_rendering(t.id(42)) j;
SELECT system, status, run_at, attempts, key, cancel_requested_at IS NULL AS not_requested FROM t.said WHERE id <> t.id(41) ORDER BY system;
-- what no worker has ends at once: nothing was requested
SELECT j ->> 'status' AS status, j ? 'cancel_requested' AS asked, j -> 'cancel_requested_at' AS requested FROM cancel_studio_job(t.id(31)) j;

-- ------------------------------------------------------------------------
-- A row that is not stored is not taken for one that is there
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_jobs';
CREATE FUNCTION t.drop_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER drop_row BEFORE INSERT ON studio_jobs FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.ask($$SELECT create_studio_job(t.id(1), 'a', p_idempotency_key => 'lost')$$) AS with_a_key, t.ask($$SELECT create_studio_job(t.id(1), 'a')$$) AS without;
DROP TRIGGER drop_row ON studio_jobs;
DROP FUNCTION t.drop_row();
DROP VIEW t.said;
DROP FUNCTION t.studio(text);
SELECT * FROM t.books();
SELECT * FROM t.clean();
