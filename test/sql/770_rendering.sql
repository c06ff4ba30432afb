-- 770_rendering.sql
--
-- The queue of the renderer on the worker engine: claims, leases, progress,
-- completion with a file of the session, failures, cancelling, retries; and the
-- queue, which says what mm_rendering_queue says after everything that can be
-- done to it.  What all systems share is in 330_queue.
-- Pitfall: time is made to pass by writing into the queue and attempts what the
-- clock would have brought; tokens are random and stay in t.leases.

\set VERBOSITY terse
\set SHOW_CONTEXT never

\i test/sql/include/leases.sql

CREATE VIEW t.queued AS
SELECT t.n(job_id) AS job, t.n(user_id) AS "user", ~coalesce(rank, (SELECT ~r.priority FROM mm_rendering_queue r WHERE r.render_id = job_id)) AS priority, state, attempt, first_attempt AS first, worker,
       cancel_requested_at IS NOT NULL AS cancel
  FROM t.open_jobs WHERE system = 'mm_rendering_queue' ORDER BY job_id;
CREATE VIEW t.tried AS
SELECT t.n(job_id) AS job, attempt, worker, outcome, error FROM studio_engine.attempts
 WHERE system = 'mm_rendering_queue' AND ended_at IS NOT NULL ORDER BY job_id, started_at, ended_at;
CREATE VIEW t.renderings WITH (security_invoker) AS
SELECT t.n(render_id) AS job, status, progress, retry_count AS retries, error_code AS code, error_message AS message, t.n(asset_id) AS asset,
       started_at IS NOT NULL AS started, finished_at IS NOT NULL AS finished
  FROM mm_rendering_queue ORDER BY render_id;
GRANT SELECT ON t.queued, t.tried, t.renderings TO PUBLIC;

-- Claims, remembers the tokens, and tells the jobs.
CREATE FUNCTION t.claim(p_worker text DEFAULT 'w', p_limit integer DEFAULT 1, p_lease interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_claim record;
  v_jobs text;
BEGIN
  FOR v_claim IN SELECT * FROM public.claim_jobs('mm_rendering_queue', p_worker, p_limit, p_lease) LOOP
    v_jobs := concat_ws(' ', v_jobs, t.n(v_claim.job_id));
    INSERT INTO t.leases (job, token) VALUES (right(v_claim.job_id::text, 12)::integer, v_claim.lease_token);
  END LOOP;
  RETURN v_jobs;
END
$$;
CREATE FUNCTION t.interval_passes(p_job integer) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  UPDATE studio_engine.attempts SET shown_at = shown_at - INTERVAL '1 hour' WHERE job_id = t.id(p_job);
$$;

CALL t.sign_up(1, 2);
INSERT INTO companies (id, name) VALUES (t.id(3), 'One'), (t.id(4), 'Two');
INSERT INTO employees (id, company_id, user_id, name) VALUES (t.id(5), t.id(3), t.id(1), 'One'), (t.id(6), t.id(3), t.id(2), 'Two');
INSERT INTO cm_module_content (content_id, company_id, module_name) VALUES (t.id(7), t.id(3), 'm'), (t.id(8), t.id(4), 'm');
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(11), t.id(7)), (t.id(12), t.id(8));
INSERT INTO mm_multimedia_assets (asset_id, session_id, asset_type)
VALUES (t.id(21), t.id(11), 'video'), (t.id(22), t.id(11), 'video'), (t.id(23), t.id(12), 'video');

-- ------------------------------------------------------------------------
-- Into the queue
CALL t.as_role('service_role');
SELECT enqueue_rendering(t.id(11), '{"fps": 30}', 5, t.id(1)) AS render_id \gset
SELECT t.ask(format('SELECT enqueue_rendering(%s)', a)) AS answer
  FROM unnest('{NULL::uuid,t.id(99),"t.id(11), NULL, 0, t.id(99)","t.id(11), NULL, NULL"}'::text[]) a;
SELECT status, priority, progress, render_config, t.n(user_id) AS "user", t.n(company_id) AS company FROM mm_rendering_queue;
CALL t.as_admin();
SELECT * FROM t.queued;
SELECT * FROM t.queue();
CALL t.as_role('service_role');
-- what a claim gives
SELECT j.job = (SELECT to_jsonb(r) FROM mm_rendering_queue r WHERE r.render_id = j.job_id) AS the_row, j.job_id = :'render_id' AS the_id, attempt, j.job ->> 'status' AS status
  FROM claim_jobs('mm_rendering_queue', 'w') j;
TRUNCATE mm_rendering_queue;
-- by priority, then by age, with or without a user; systems apart
CALL t.rendering(1, 31);
CALL t.rendering(NULL, 32);
CALL t.rendering(2, 33);
INSERT INTO mm_rendering_queue (render_id, user_id, priority) VALUES (t.id(34), NULL, 1), (t.id(35), t.id(1), 1), (t.id(36), t.id(2), -1), (t.id(37), t.id(2), 2147483647);
INSERT INTO mm_rendering_queue (render_id, created_at) VALUES (t.id(38), now() - INTERVAL '1 day'), (t.id(39), 'infinity');
CALL t.rendering(1, 40, 'rendering');
CALL t.rendering(1, 41, 'completed');
CALL t.rendering(1, 42, 'failed');
CALL t.rendering(1, 43, 'cancelled');
CALL t.studio_job(1, 44);
CALL t.as_admin();
SELECT * FROM t.queue();
CALL t.as_role('service_role');
SELECT t.claim('w1', 4) AS first_four, t.claim('w2', 1000) AS the_rest, t.claim('w3') AS nothing_left;
SELECT status, count(*) FROM mm_rendering_queue GROUP BY status ORDER BY status;
SELECT count(*) AS other_system FROM claim_jobs('studio_jobs', 'w', 9);
DELETE FROM mm_rendering_queue;
DELETE FROM studio_jobs;
-- users take turns by setting; what nobody asked for waits for no turn
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '1' WHERE name = 'fair_queue';
INSERT INTO mm_rendering_queue (render_id, user_id) SELECT t.id(n), t.id(1) FROM generate_series(101, 103) n;
INSERT INTO mm_rendering_queue (render_id, user_id) SELECT t.id(n), t.id(2) FROM generate_series(201, 203) n;
INSERT INTO mm_rendering_queue (render_id) SELECT t.id(n) FROM generate_series(301, 303) n;
SELECT t.claim('w', 20) AS in_turns;
SELECT * FROM t.queue();
UPDATE studio_engine.settings SET value = '0' WHERE name = 'fair_queue';
DELETE FROM mm_rendering_queue;

-- ------------------------------------------------------------------------
-- Tokens.  Job 30 was lost by its first worker.
CALL t.rendering(1, 30, 'rendering', 11);
SELECT t.claim('w1') AS claimed;
SELECT t.time_comes(30) \g /dev/null
SELECT reap_expired_leases() AS reaped;
SELECT t.time_comes(30) \g /dev/null
CALL t.rendering(NULL, 31, 'queued', 11);
CALL t.as_role('service_role');
SELECT t.claim('w2', 2) AS claimed;
SELECT * FROM t.refusals('SELECT update_rendering(t.id(30), ''rendering'', 50, %s)');
SELECT * FROM t.refusals('SELECT complete_rendering(t.id(30), t.id(21), %s)');
SELECT * FROM t.refusals('SELECT fail_rendering(t.id(30), ''E'', ''m'', false, %s)');
SELECT * FROM t.refusals('SELECT fail_rendering(t.id(30), ''E'', ''m'', true, %s)');
SELECT * FROM t.refusals('SELECT heartbeat_job(t.id(30), %s, 50)');
SELECT * FROM t.refusals('SELECT snooze_job(t.id(30), %s, ''1 minute'')');
SELECT * FROM t.renderings;
SELECT * FROM t.tried;
-- NULL and unknown ids
SELECT call, t.quiet('SELECT ' || replace(call, '%', 'NULL')) AS none, t.quiet('SELECT ' || replace(call, '%', 't.id(99)')) AS unknown
  FROM unnest(ARRAY['update_rendering(%, ''rendering'')', 'complete_rendering(%)', 'fail_rendering(%)', 'cancel_rendering(%)', 'retry_rendering(%)',
                    'get_job_attempts(%)']) call;
SELECT s AS status, t.quiet(format('SELECT update_rendering(t.id(30), %L, NULL, t.token(30))', s)) AS answer FROM unnest('{RENDERING,done,"",NULL}'::text[]) s;
SELECT p AS progress, t.quiet(format('SELECT update_rendering(t.id(30), ''rendering'', %s, t.token(30))', p)) AS answer FROM unnest('{-1,101,2147483647}'::integer[]) p;

-- ------------------------------------------------------------------------
-- A rendering from start to end
SELECT j ->> 'status' AS status, j ->> 'progress' AS progress, j ->> 'started_at' IS NOT NULL AS started FROM update_rendering(t.id(31), 'rendering', NULL, t.token(31)) j;
SELECT update_rendering(t.id(31), 'rendering', 20, t.token(31)) ->> 'progress' AS progress, update_rendering(t.id(31), 'rendering', 10, t.token(31)) ->> 'progress' AS never_back,
       update_rendering(t.id(31), 'rendering', NULL, t.token(31)) ->> 'progress' AS kept;
-- progress by heartbeat, at most once in a while and never backwards; no message
SELECT heartbeat_job(t.id(31), t.token(31), 30, 'not shown') -> 'cancel' AS cancel;
SELECT progress FROM t.renderings WHERE job = '31';
SELECT heartbeat_job(t.id(31), t.token(31), 40) -> 'cancel' AS too_soon;
SELECT progress FROM t.renderings WHERE job = '31';
SELECT t.interval_passes(31) \g /dev/null
SELECT heartbeat_job(t.id(31), t.token(31), 40) -> 'cancel' AS later;
SELECT progress FROM t.renderings WHERE job = '31';
SELECT t.interval_passes(31) \g /dev/null
SELECT heartbeat_job(t.id(31), t.token(31), 5) -> 'cancel' AS backwards;
SELECT t.interval_passes(31) \g /dev/null
SELECT heartbeat_job(t.id(31), t.token(31), NULL, 'a message alone') -> 'cancel' AS message;
SELECT progress FROM t.renderings WHERE job = '31';
-- the file: of the session, known, and given at most once
SELECT t.quiet('SELECT complete_rendering(t.id(31), t.id(23), t.token(31))') AS of_another_session, t.quiet('SELECT complete_rendering(t.id(31), t.id(99), t.token(31))') AS unknown;
SELECT j ->> 'status' AS status, j ->> 'progress' AS progress, t.n((j ->> 'asset_id')::uuid) AS asset, j ->> 'finished_at' IS NOT NULL AS finished
  FROM complete_rendering(t.id(31), t.id(21), t.token(31)) j;
SELECT t.quiet('SELECT complete_rendering(t.id(31), t.id(21), t.token(31)) ->> ''status''') AS again, t.quiet('SELECT complete_rendering(t.id(31), NULL, t.token(31)) ->> ''status''') AS again,
       t.quiet('SELECT complete_rendering(t.id(31), t.id(21)) ->> ''status''') AS without_token;
SELECT t.quiet('SELECT complete_rendering(t.id(31), t.id(22), t.token(31))') AS other_file, t.quiet('SELECT complete_rendering(t.id(31), t.id(99))') AS other_file;
SELECT t.quiet('SELECT complete_rendering(t.id(31), t.id(21), gen_random_uuid())') AS wrong_token, t.quiet('SELECT fail_rendering(t.id(31), ''E'', ''m'', false, t.token(31))') AS other_call,
       t.quiet('SELECT heartbeat_job(t.id(31), t.token(31))') AS over;
SELECT t.quiet('SELECT fail_rendering(t.id(31))') AS ended, t.quiet('SELECT cancel_rendering(t.id(31))') AS ended, t.quiet('SELECT retry_rendering(t.id(31))') AS ended;
-- the lease of job 30 expires, and an orchestrator completes it, without a file
SELECT t.time_comes(30) \g /dev/null
SELECT complete_rendering(t.id(30)) ->> 'status' AS status;
SELECT t.quiet('SELECT complete_rendering(t.id(30), t.id(21))') AS with_a_file_after_all;
-- a rendering without a session has no files; one that is queued is not complete
CALL t.rendering(1, 32, 'rendering');
CALL t.rendering(1, 33, 'queued', 11);
SELECT t.quiet('SELECT complete_rendering(t.id(32), t.id(21))') AS no_session, t.quiet('SELECT complete_rendering(t.id(33), t.id(21))') AS queued;
SELECT complete_rendering(t.id(32)) ->> 'status' AS status;
-- the end by update_rendering ends the lease too
SELECT t.claim() AS claimed;
SELECT update_rendering(t.id(33), s, NULL, t.token(33)) ->> 'status' AS status FROM unnest('{rendering,completed}'::text[]) s;
SELECT t.quiet('SELECT complete_rendering(t.id(33), NULL, t.token(33)) ->> ''status''') AS the_same;
SELECT * FROM t.renderings;
SELECT * FROM t.tried;
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM mm_rendering_queue;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Failures that are tried again: counted, delayed, in the end final
CALL t.rendering(NULL, 30, 'queued', 11);
CALL t.as_role('service_role');
SELECT t.claim('w1') AS claimed, update_rendering(t.id(30), 'rendering', 60, t.token(30)) ->> 'status' AS status;
SELECT t.quiet('SELECT fail_rendering(t.id(30), ''E1'', ''first'', true)') AS without_a_lease;
SELECT j ->> 'status' AS status, j ->> 'retry_count' AS retries, j -> 'error_code' AS code FROM fail_rendering(t.id(30), 'E1', 'first', true, t.token(30)) j;
SELECT t.quiet('SELECT fail_rendering(t.id(30), ''E1'', ''first'', true, t.token(30)) ->> ''retry_count''') AS again, t.claim('w1') AS not_yet;
SELECT * FROM t.queued;
SELECT t.time_comes(30) \g /dev/null
SELECT t.claim('w2') AS due;
SELECT fail_rendering(t.id(30), 'E2', NULL, true, t.token(30)) ->> 'status' AS status;
SELECT t.time_comes(30) \g /dev/null
SELECT t.claim('w3') AS due;
SELECT j ->> 'status' AS status, j ->> 'retry_count' AS retries, j ->> 'error_code' AS code, j ->> 'error_message' AS message FROM fail_rendering(t.id(30), 'E3', 'last', true, t.token(30)) j;
SELECT t.quiet('SELECT fail_rendering(t.id(30), ''E3'', ''last'', true, t.token(30)) ->> ''error_code''') AS again, t.quiet('SELECT fail_rendering(t.id(30), ''E9'') ->> ''error_code''') AS failed_already,
       t.quiet('SELECT cancel_rendering(t.id(30)) ->> ''status''') AS failed_already;
SELECT * FROM t.queued;
SELECT * FROM t.tried;
-- from failed to queued by retry_rendering only; it has all attempts again, at the end of the queue
SELECT t.try('UPDATE mm_rendering_queue SET status = ''queued''') AS plain_sql, t.quiet('SELECT update_rendering(t.id(30), ''queued'')') AS by_update;
CALL t.rendering(1, 31);
SELECT j ->> 'status' AS status, j ->> 'retry_count' AS retries, j ->> 'progress' AS progress, j -> 'error_code' AS code, j -> 'error_message' AS message, j -> 'finished_at' AS finished
  FROM retry_rendering(t.id(30)) j;
SELECT t.quiet('SELECT retry_rendering(t.id(30)) ->> ''retry_count''') AS again;
SELECT * FROM t.queued;
SELECT t.claim('w4', 9) AS in_order;
SELECT t.quiet('SELECT retry_rendering(t.id(30)) ->> ''status''') AS claimed_already;
SELECT update_rendering(t.id(30), 'rendering', NULL, t.token(30)) ->> 'status' AS status, t.quiet('SELECT retry_rendering(t.id(30))') AS going_on;
-- for good at once, from queued and from rendering
SELECT fail_rendering(t.id(30), 'BAD_CONFIG', 'No such font', false, t.token(30)) ->> 'status' AS status, fail_rendering(t.id(31), NULL, NULL, false, t.token(31)) ->> 'status' AS status;
SELECT * FROM t.renderings;
SELECT job, attempt, worker, outcome, error FROM t.tried WHERE worker = 'w4';
SELECT retry_rendering(t.id(31)) ->> 'status' AS status;
SELECT system, attempt, worker, outcome, error FROM get_job_attempts(t.id(30));
-- the one who asked sees his attempts without workers, colleagues do not
CALL t.as_user(t.id(1));
SELECT attempt, worker, outcome FROM get_job_attempts(t.id(31));
SELECT t.ask('SELECT count(*) FROM get_job_attempts(t.id(30))') AS of_nobody;
CALL t.as_user(t.id(2));
SELECT t.ask('SELECT count(*) FROM get_job_attempts(t.id(31))') AS of_a_colleague;
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM mm_rendering_queue;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Cancelling: at once when nobody has it, else when its worker lets go
CALL t.as_role('service_role');
CALL t.rendering(1, 30);
CALL t.rendering(1, 31, 'rendering');
SELECT cancel_rendering(t.id(30), 'No more') ->> 'status' AS queued, cancel_rendering(t.id(31)) ->> 'status' AS rendering;
SELECT t.quiet('SELECT cancel_rendering(t.id(30), ''Other'') ->> ''error_message''') AS again;
SELECT t.quiet('SELECT cancel_rendering(t.id(30), repeat(''x'', 1001))') AS too_long;
SELECT t.quiet('SELECT retry_rendering(t.id(30))') AS for_good, t.quiet('SELECT complete_rendering(t.id(30))') AS for_good, t.quiet('SELECT update_rendering(t.id(30), ''queued'')') AS for_good,
       t.quiet('SELECT fail_rendering(t.id(30)) ->> ''status''') AS stays;
SELECT t.try(format('CALL t.rendering(1, %s)', n)) AS made FROM generate_series(32, 38) n;
SELECT t.claim('w', 9) AS claimed;
SELECT update_rendering(t.id(n), 'rendering', NULL, t.token(n)) ->> 'status' AS status FROM generate_series(32, 36) n;
SELECT j ->> 'status' AS status, j -> 'cancel_requested' AS cancel_requested FROM generate_series(32, 38) n, cancel_rendering(t.id(n), 'Reason ' || n) j;
SELECT heartbeat_job(t.id(32), t.token(32)) -> 'cancel' AS cancel;
SELECT t.quiet('SELECT update_rendering(t.id(32), ''rendering'', 90, t.token(32))') AS moving_on;
SELECT fail_rendering(t.id(32), 'E', 'm', true, t.token(32)) ->> 'status' AS given_up;
SELECT t.quiet('SELECT fail_rendering(t.id(32), ''E'', ''m'', true, t.token(32)) ->> ''status''') AS again;
SELECT complete_rendering(t.id(33), NULL, t.token(33)) ->> 'status' AS completed_after_all;
SELECT snooze_job(t.id(34), t.token(34), '1 hour') IS NOT NULL AS snoozed;
SELECT t.time_comes(35) \g /dev/null
SELECT reap_expired_leases() AS reaped;
CALL t.as_admin();
UPDATE mm_rendering_queue SET status = 'cancelled' WHERE render_id = t.id(36);
CALL t.as_role('service_role');
SELECT release_leases('w') AS released;
SELECT * FROM t.renderings;
SELECT * FROM t.tried;
SELECT * FROM t.queued;
-- a lease that was over when it was cancelled
CALL t.rendering(NULL, 39);
SELECT t.claim() AS claimed;
SELECT t.time_comes(39) \g /dev/null
SELECT j ->> 'status' AS status, j -> 'cancel_requested' AS cancel_requested FROM cancel_rendering(t.id(39)) j;
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM mm_rendering_queue;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Snoozed, given back, taken away: with and without a user
CALL t.rendering(1, 30);
CALL t.rendering(NULL, 31);
CALL t.as_role('service_role');
SELECT t.claim('w1', 2) AS claimed;
SELECT count(snooze_job(t.id(n), t.token(n), '1 hour')) AS snoozed FROM generate_series(30, 31) n;
SELECT t.claim() AS not_yet;
SELECT t.time_comes(30, 31) \g /dev/null
SELECT t.claim('w2', 2) AS due;
SELECT release_leases('w2') AS released;
SELECT t.claim('w3', 2) AS again;
SELECT * FROM t.queued;
SELECT t.time_comes(30, 31) \g /dev/null
SELECT reap_expired_leases() AS reaped;
SELECT * FROM t.queued;
SELECT retries FROM t.renderings;
SELECT t.time_comes(30, 31) \g /dev/null
SELECT t.claim('w4', 2) AS due;
SELECT t.time_comes(30, 31) \g /dev/null
SELECT reap_expired_leases() AS reaped;
SELECT t.time_comes(30, 31) \g /dev/null
SELECT t.claim('w5', 2) AS the_last_time;
SELECT t.time_comes(30, 31) \g /dev/null
SELECT reap_expired_leases() AS reaped;
SELECT * FROM t.renderings;
SELECT * FROM t.tried;
SELECT * FROM t.queued;
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM mm_rendering_queue;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Plain SQL: the queue keeps in step
CALL t.as_role('service_role');
SELECT t.try(format('CALL t.rendering(%s, %s, %L, 11)', CASE WHEN n < 35 THEN '1' ELSE 'NULL' END, n, s)) AS made
  FROM unnest('{queued,rendering,completed,failed,cancelled,queued,queued,queued}'::text[]) WITH ORDINALITY AS x (s, o), LATERAL (SELECT 29 + o) y (n);
UPDATE mm_rendering_queue SET priority = 7 WHERE render_id = t.id(31);
UPDATE mm_rendering_queue SET user_id = t.id(2) WHERE render_id IN (t.id(30), t.id(35));
UPDATE mm_rendering_queue SET render_id = t.id(40), user_id = t.id(1), priority = 3 WHERE render_id = t.id(36);
UPDATE mm_rendering_queue SET render_config = '{"fps": 60}', progress = 1 WHERE render_id = t.id(37);
SELECT * FROM t.queued;
CALL t.as_admin();
SELECT * FROM t.queue();
CALL t.as_role('service_role');
-- while a worker has it, the lease stays; what ends it ends the lease
SELECT t.claim('w', 9) AS in_order;
UPDATE mm_rendering_queue SET priority = 5, user_id = NULL WHERE render_id IN (t.id(30), t.id(31));
UPDATE mm_rendering_queue SET status = 'queued' WHERE render_id = t.id(31);
SELECT heartbeat_job(t.id(31), t.token(31)) -> 'cancel' AS still_his;
UPDATE mm_rendering_queue SET status = 'rendering' WHERE render_id IN (t.id(31), t.id(35));
UPDATE mm_rendering_queue SET status = 'completed' WHERE render_id = t.id(31);
UPDATE mm_rendering_queue SET status = 'cancelled' WHERE render_id = t.id(35);
UPDATE mm_rendering_queue SET status = 'failed', error_code = 'BY_HAND' WHERE render_id = t.id(37);
SELECT t.quiet('SELECT heartbeat_job(t.id(31), t.token(31))') AS over;
SELECT * FROM t.renderings;
SELECT * FROM t.tried;
SELECT * FROM t.queued;
CALL t.as_admin();
SELECT * FROM t.queue();
-- a worker goes back to queued and keeps its lease
SELECT update_rendering(t.id(40), s, NULL, t.token(40)) ->> 'retry_count' AS retries FROM unnest('{rendering,queued}'::text[]) s;
SELECT job, state, worker FROM t.queued WHERE job = '40';
-- figures
SELECT g - 'average_ms' - 'p50_ms' - 'p95_ms' - 'oldest_waiting_seconds' - 'recent_failures' - 'throughput_per_hour' AS figures,
       g ->> 'average_ms' IS NOT NULL AS timed, jsonb_array_length(g -> 'recent_failures') AS failures
  FROM (SELECT get_job_statistics('mm_rendering_queue') UNION ALL SELECT get_job_statistics('mm_rendering_queue', t.id(1), '1 hour')) s (g);
UPDATE mm_rendering_queue SET created_at = '2001-01-01 00:00:00Z', finished_at = '2001-01-01 00:00:02Z' WHERE status = 'completed';
SELECT g -> 'completed' AS completed, g -> 'average_ms' AS average, g -> 'p50_ms' AS p50, g -> 'p95_ms' AS p95, g -> 'recent_failures' -> 0 -> 'error' AS error,
       t.n((g -> 'recent_failures' -> 0 ->> 'job_id')::uuid) AS job
  FROM get_job_statistics('mm_rendering_queue') g;
UPDATE mm_rendering_queue SET created_at = '-infinity', finished_at = 'infinity' WHERE status = 'completed';
SELECT g -> 'completed' AS completed, g -> 'average_ms' AS average FROM get_job_statistics('mm_rendering_queue') g;
CALL t.as_user(t.id(2));
SELECT g -> 'count_by_status' AS of_himself FROM get_job_statistics('mm_rendering_queue') g;
SELECT t.ask('SELECT get_job_statistics(''mm_rendering_queue'', t.id(1))') AS of_another;
CALL t.as_admin();
-- the triggers were off
SET session_replication_role = replica;
UPDATE mm_rendering_queue SET status = 'completed' WHERE render_id = t.id(30);
UPDATE mm_rendering_queue SET status = 'queued' WHERE render_id = t.id(33);
DELETE FROM mm_rendering_queue WHERE render_id IN (t.id(40), t.id(35));
RESET session_replication_role;
SELECT * FROM t.queue() AS problem ORDER BY problem COLLATE "C";
SELECT count(*) AS open FROM studio_engine.open_jobs();
SELECT studio_engine.rebuild_queue() AS added, studio_engine.rebuild_queue() AS again;
SELECT * FROM t.queue();
SELECT * FROM t.queued;
DELETE FROM mm_rendering_queue;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Users, sessions, files, companies and modules go, and TRUNCATE
CALL t.rendering(2, 30, 'queued', 11);
CALL t.rendering(2, 31, 'queued', 11);
CALL t.rendering(2, 32, 'rendering', 12);
CALL t.rendering(2, 33);
SELECT t.claim('w', 3) AS claimed;
SELECT fail_rendering(t.id(32), 'E', NULL, true, t.token(32)) ->> 'status' AS status;
DELETE FROM auth.users WHERE id = t.id(2);
SELECT * FROM t.queued;
SELECT * FROM t.queue();
SELECT heartbeat_job(t.id(30), t.token(30)) -> 'cancel' AS still_his;
SELECT update_rendering(t.id(30), 'rendering', NULL, t.token(30)) ->> 'status' AS status, complete_rendering(t.id(30), t.id(22), t.token(30)) ->> 'status' AS status;
DELETE FROM mm_multimedia_assets WHERE asset_id = t.id(22);
SELECT job, status, asset FROM t.renderings;
SELECT t.quiet('SELECT complete_rendering(t.id(30), t.id(22), t.token(30))') AS the_file_is_gone;
DELETE FROM mm_multimedia_sessions WHERE session_id = t.id(11);
SELECT t.quiet('SELECT heartbeat_job(t.id(31), t.token(31))') AS gone, t.quiet('SELECT complete_rendering(t.id(31), NULL, t.token(31))') AS gone, t.quiet('SELECT get_job_attempts(t.id(30))') AS gone;
SELECT * FROM t.queued;
SELECT * FROM t.queue();
DELETE FROM companies WHERE id = t.id(4);
SELECT * FROM t.queued;
SELECT * FROM t.tried;
SELECT * FROM t.queue();
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(13), t.id(7));
CALL t.rendering(1, 34, 'queued', 13);
SELECT t.claim('w', 9) AS claimed;
SELECT fail_rendering(t.id(34), 'E', NULL, true, t.token(34)) ->> 'status' AS status;
DELETE FROM cm_module_content WHERE content_id = t.id(7);
SELECT * FROM t.queued;
SELECT * FROM t.tried;
CALL t.studio_job(1, 35);
CALL t.rendering(1, 36);
SELECT release_leases('w') AS released;
CALL t.as_role('service_role');
TRUNCATE mm_rendering_queue;
CALL t.as_admin();
SELECT system, count(*) FROM t.open_jobs GROUP BY system;
SELECT count(*) AS attempts FROM studio_engine.attempts;
SELECT * FROM t.queue();

-- what was said to the sleeping: the payload is the table
UPDATE studio_engine.settings SET value = '1' WHERE name = 'notify_workers';
LISTEN studio_engine;
\o | sed 's/PID [0-9]*/PID <n>/'
CALL t.rendering(NULL, 37);
SELECT 1 AS heard_of_the_renderings;
\o
UNLISTEN studio_engine;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'notify_workers';

DROP FUNCTION t.claim, t.token, t.time_comes, t.interval_passes, t.renew, t.refusals;
DROP VIEW t.queued, t.tried, t.renderings;
DROP TABLE t.leases;
SELECT * FROM t.queue();
SELECT * FROM t.books();
SELECT * FROM t.clean();
