-- 330_queue.sql
--
-- The worker engine: claims, leases and their tokens, heartbeats, failures that
-- are tried again, snoozing, giving back, reaping, cancelling; and the queue,
-- which says what the jobs say after everything that can be done to them.
-- Pitfall: time is made to pass by writing into the queue and attempts what the
-- clock would have brought; tokens are random and stay in t.leases.  A session
-- that met many dead entries looks from the start of the queue only now and
-- then, so the sections after large ones begin with a clean table and session.

\set VERBOSITY terse
\set SHOW_CONTEXT never

\i test/sql/include/leases.sql

CREATE VIEW t.queued AS
SELECT system, t.n(job_id) AS job, t.n(user_id) AS "user", state, attempt, first_attempt AS first, worker,
       cancel_requested_at IS NOT NULL AS cancel
  FROM t.open_jobs ORDER BY system DESC, job_id;
CREATE VIEW t.tried AS
SELECT t.n(job_id) AS job, attempt, worker, outcome, error FROM studio_engine.attempts
 WHERE ended_at IS NOT NULL ORDER BY job_id, started_at, ended_at;
CREATE VIEW t.both WITH (security_invoker) AS
SELECT t.n(job_id) AS job, status, error_details AS error, retry_count AS retries FROM studio_jobs
UNION ALL
SELECT t.n(id), status::text, jsonb_strip_nulls(jsonb_build_object('code', error_code, 'message', error_message, 'step', failed_step)), NULL FROM jobs
ORDER BY job;
GRANT SELECT ON t.queued, t.tried, t.both TO PUBLIC;

-- Claims, remembers the tokens, and tells the jobs.
CREATE FUNCTION t.claim(p_system text, p_worker text DEFAULT 'w', p_limit integer DEFAULT 1, p_lease interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_claim record;
  v_jobs text;
BEGIN
  FOR v_claim IN SELECT * FROM public.claim_jobs(p_system, p_worker, p_limit, p_lease) LOOP
    v_jobs := concat_ws(' ', v_jobs, t.n(v_claim.job_id));
    INSERT INTO t.leases (job, token, lease_until)
    VALUES (right(v_claim.job_id::text, 12)::integer, v_claim.lease_token, v_claim.lease_expires_at);
  END LOOP;
  RETURN v_jobs;
END
$$;
CREATE PROCEDURE t.paid_job(p_project integer, p_job integer, p_cost integer)
LANGUAGE sql AS $$
  CALL t.job(p_project, p_job);
  SELECT public.reserve_credits((SELECT j.user_id FROM public.jobs j WHERE j.id = t.id(p_job)), t.id(p_job), p_cost);
  UPDATE public.jobs SET status = 'QUEUED' WHERE id = t.id(p_job);
$$;

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
VACUUM studio_engine.queue;
\c -

-- ------------------------------------------------------------------------
-- Claiming: arguments
CALL t.as_user(t.id(1));
SELECT left(t.try(call), 5) AS not_for_users
  FROM unnest(ARRAY['SELECT claim_jobs(''studio_jobs'', ''w'')', 'SELECT heartbeat_job(t.id(30), t.id(1))', 'SELECT snooze_job(t.id(30), t.id(1), ''0 s'')',
                    'SELECT release_leases(''w'')', 'SELECT reap_expired_leases()', 'SELECT studio_engine.rebuild_queue()',
                    'SELECT 1 FROM studio_engine.queue', 'SELECT 1 FROM studio_engine.attempts']) call;
CALL t.as_role('service_role');
SELECT left(t.try('SELECT 1 FROM studio_engine.queue'), 5) AS private, left(t.try('SELECT studio_engine.rebuild_queue()'), 5) AS private;
SELECT s AS system, t.ask(format('SELECT count(*) FROM claim_jobs(%L, ''w'')', s)) AS answer
  FROM unnest('{studio_jobs,jobs,profiles,Jobs,"",NULL}'::text[]) s;
SELECT l AS "limit", t.ask(format('SELECT count(*) FROM claim_jobs(''jobs'', ''w'', %s)', coalesce(l::text, 'NULL'))) AS answer
  FROM unnest('{1,1000,0,-1,1001,2147483647,NULL}'::integer[]) l;
SELECT length(w) AS worker, t.ask(format('SELECT count(*) FROM claim_jobs(''jobs'', %L)', w)) AS answer
  FROM unnest(ARRAY['w', '', NULL, repeat('ü', 200), repeat('ü', 201)]) w;
SELECT l AS lease, t.ask(format('SELECT count(*) FROM claim_jobs(''jobs'', ''w'', 1, %L)', l)) AS answer
  FROM unnest('{1 second,24 hours,0,-1 second,0.999 seconds,24 hours 0.001 seconds,2 days,1 month,10000 years}'::text[]) l;
-- what no timestamp reaches, and no interval before PostgreSQL 17
SELECT l AS lease, left(t.ask(format('SELECT count(*) FROM claim_jobs(''jobs'', ''w'', 1, %L)', l)), 2) AS class
  FROM unnest('{178000000 years,infinity,-infinity}'::text[]) l;
-- how long a lease lasts
CALL t.as_admin();
CREATE FUNCTION t.lasts(p_lease interval, p_expected interval) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  v_before timestamptz := clock_timestamp();
  v_until timestamptz;
BEGIN
  CALL t.studio_job(1, 30);
  SELECT lease_expires_at INTO v_until FROM public.claim_jobs('studio_jobs', 'w', 1, p_lease);
  DELETE FROM public.studio_jobs WHERE job_id = t.id(30);
  RETURN v_until BETWEEN v_before + p_expected AND clock_timestamp() + p_expected;
END
$$;
SELECT t.lasts('1 second', '1 second') AS second, t.lasts('90 seconds', '90 seconds') AS ninety,
       t.lasts('24 hours', '24 hours') AS day, t.lasts(NULL, '60 seconds') AS setting;
UPDATE studio_engine.settings SET value = '7' WHERE name = 'lease_seconds';
SELECT t.lasts(NULL, '7 seconds') AS other_setting;
SELECT t.force_setting('lease_seconds', '2147483647');
SELECT t.lasts(NULL, '24 hours') AS at_most_a_day;
UPDATE studio_engine.settings SET value = '60' WHERE name = 'lease_seconds';
DROP FUNCTION t.lasts;
SELECT * FROM t.queue();

-- a session sees what comes first from its second claim on, too
\c -
CALL t.studio_job(1, 30);
SELECT t.claim('studio_jobs') AS claimed;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, priority) VALUES (t.id(31), t.id(1), 'a', 5);
SELECT t.claim('studio_jobs') AS urgent;
SELECT snooze_job(t.id(30), t.token(30), '0 s') IS NOT NULL AS snoozed;
SELECT t.claim('studio_jobs') AS due;
DELETE FROM studio_jobs;
VACUUM studio_engine.queue;
\c -

-- Claiming: order.  Rows of one statement and of one transaction in their
-- order, older ones first, higher priorities before that; systems apart.
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(200 - n), t.id(1), 'a' FROM generate_series(1, 12) n;
BEGIN;
CALL t.studio_job(2, 150);
CALL t.studio_job(1, 140);
CALL t.studio_job(2, 145);
COMMIT;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, created_at)
VALUES (t.id(101), t.id(1), 'a', now() - INTERVAL '1 day'), (t.id(102), t.id(1), 'a', now() - INTERVAL '2 days'),
       (t.id(104), t.id(1), 'a', '-infinity'), (t.id(103), t.id(1), 'a', now() + INTERVAL '1 day'), (t.id(105), t.id(1), 'a', 'infinity');
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, priority)
VALUES (t.id(120), t.id(1), 'a', -1), (t.id(121), t.id(1), 'a', 1), (t.id(122), t.id(1), 'a', 1), (t.id(123), t.id(1), 'a', 5);
CALL t.paid_job(11, 21, 1);
CALL t.paid_job(11, 22, 1);
UPDATE jobs SET priority = 3 WHERE id = t.id(22);
CALL t.as_role('service_role');
SELECT t.claim('studio_jobs', 'w1', 5) AS the_first_five, t.claim('studio_jobs', 'w2', 5) AS the_next, t.claim('studio_jobs', 'w3', 1000) AS the_rest;
SELECT t.claim('studio_jobs') AS nothing_left, t.claim('jobs', 'w1', 9) AS other_system;
CALL t.as_admin();
SELECT worker, count(*), array_agg(DISTINCT state) AS states, array_agg(DISTINCT attempt) AS attempts, count(DISTINCT lease_token) AS tokens
  FROM t.open_jobs GROUP BY worker ORDER BY worker;
SELECT status, count(*) FROM studio_jobs GROUP BY status;
SELECT * FROM t.queue();
DELETE FROM studio_jobs;
DELETE FROM jobs;
VACUUM studio_engine.queue;
\c -
-- a job that failed and is tried again queues up at the end
SELECT t.try(format('CALL t.studio_job(1, %s)', n)) AS made FROM generate_series(31, 34) n;
SELECT fail_studio_job(t.id(31), '{}') ->> 'status' AS status, retry_studio_job(t.id(31)) ->> 'status' AS status;
-- what a claim gives
SELECT j.job = (SELECT to_jsonb(s) FROM studio_jobs s WHERE s.job_id = j.job_id) AS the_row, attempt, j.job ->> 'status' AS status,
       j.lease_token AS token, j.lease_expires_at AS until
  FROM claim_jobs('studio_jobs', 'w') j \gset
SELECT :'the_row' AS the_row, :'attempt' AS attempt, :'status' AS status, (worker, expires_at) = ('w', :'until') AS leased
  FROM t.open_jobs WHERE lease_token = :'token';
SELECT t.claim('studio_jobs', 'w', 9) AS then;
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- Tokens.  Job 30 was lost by its first worker; nothing but the token of the
-- second one opens it, and not after it has expired.
CALL t.studio_job(1, 30, 'TRANSCRIBING');
SELECT t.claim('studio_jobs', 'w1') AS claimed;
SELECT t.time_comes(30) \g /dev/null
SELECT reap_expired_leases() AS reaped;
SELECT t.time_comes(30) \g /dev/null
CALL t.studio_job(2, 31);
CALL t.as_role('service_role');
SELECT t.claim('studio_jobs', 'w2', 2) AS claimed;
SELECT * FROM t.refusals('SELECT update_studio_job_status(t.id(30), ''ENRICHING'', %s)');
SELECT * FROM t.refusals('SELECT store_transcript(t.id(30), ''said'', %s)');
SELECT * FROM t.refusals('SELECT store_enrichment(t.id(30), ''{}'', %s)');
SELECT * FROM t.refusals('SELECT store_refined_text(t.id(30), ''text'', NULL, %s)');
SELECT * FROM t.refusals('SELECT fail_studio_job(t.id(30), ''{}'', false, %s)');
SELECT * FROM t.refusals('SELECT fail_studio_job(t.id(30), ''{}'', true, %s)');
SELECT * FROM t.refusals('SELECT heartbeat_job(t.id(30), %s)');
SELECT * FROM t.refusals('SELECT heartbeat_job(t.id(30), %s, 50, ''half'')');
SELECT * FROM t.refusals('SELECT snooze_job(t.id(30), %s, ''1 minute'')');
SELECT t.quiet('SELECT heartbeat_job(t.id(99), t.token(30))') AS unknown, t.quiet('SELECT snooze_job(t.id(99), t.token(30), ''0 s'')') AS unknown,
       t.quiet('SELECT heartbeat_job(NULL, t.token(30))') AS none, t.quiet('SELECT snooze_job(NULL, t.token(30), ''0 s'')') AS none,
       t.quiet('SELECT snooze_job(t.id(30), t.token(30), NULL)') AS none;
SELECT * FROM t.tried;
-- the right one does all of it; lost tokens end up where the calls did
SELECT store_transcript(t.id(30), 'said', t.token(30)) ->> 'status' AS status;
SELECT store_enrichment(t.id(30), '{}', t.token(30)) ->> 'status' AS status;
SELECT t.quiet('SELECT store_enrichment(t.id(30), ''{}'', t.token(30, 1))') AS lost;
SELECT j ->> 'status' AS status, j ->> 'refined_text' AS text FROM store_refined_text(t.id(30), 'text', 'model', t.token(30)) j;
-- again: the same answer; another: PT409; and from the worker that lost it
SELECT t.quiet('SELECT store_refined_text(t.id(30), ''text'', ''model'', t.token(30)) ->> ''status''') AS again,
       t.quiet('SELECT store_refined_text(t.id(30), ''text'', NULL, t.token(30)) ->> ''status''') AS again;
SELECT t.quiet('SELECT store_refined_text(t.id(30), ''other'', ''model'', t.token(30))') AS other_text;
SELECT t.quiet('SELECT store_refined_text(t.id(30), ''text'', ''other'', t.token(30))') AS other_model;
SELECT t.quiet('SELECT store_refined_text(t.id(30), ''text'', ''model'', t.token(30, 1))') AS lost;
SELECT t.quiet('SELECT store_transcript(t.id(30), ''said'', t.token(30))') AS other_call;
SELECT t.quiet('SELECT fail_studio_job(t.id(30), ''{}'', false, t.token(30))') AS other_call;
SELECT t.quiet('SELECT snooze_job(t.id(30), t.token(30), ''0 s'')') AS other_call;
SELECT t.quiet('SELECT heartbeat_job(t.id(30), t.token(30))') AS other_call;
-- a lease that expired is over, but without a token nobody is in the way
SELECT t.time_comes(31) \g /dev/null
SELECT update_studio_job_status(t.id(31), 'TRANSCRIBING') ->> 'status' AS by_an_orchestrator;
SELECT fail_studio_job(t.id(31), '{"code": "E"}') ->> 'status' AS by_an_orchestrator;
SELECT * FROM t.both;
SELECT * FROM t.tried;
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- the same for the Video functions
CALL t.paid_job(11, 30, 4);
SELECT create_job_steps(t.id(30));
SELECT t.claim('jobs', 'w1') AS claimed;
SELECT t.time_comes(30) \g /dev/null
SELECT reap_expired_leases() AS reaped;
SELECT t.time_comes(30) \g /dev/null
CALL t.paid_job(12, 31, 1);
CALL t.as_role('service_role');
SELECT t.claim('jobs', 'w2', 2) AS claimed;
SELECT * FROM t.refusals('SELECT advance_job(t.id(30), ''SCRIPTING'', 10, ''m'', %s)');
SELECT * FROM t.refusals('SELECT complete_job(t.id(30), ''u'', NULL, 1, %s)');
SELECT * FROM t.refusals('SELECT fail_job(t.id(30), ''E'', ''m'', ''s'', false, %s)');
SELECT * FROM t.refusals('SELECT fail_job(t.id(30), ''E'', ''m'', ''s'', true, %s)');
SELECT * FROM t.refusals('SELECT update_job_step(t.id(30), ''scripting'', ''started'', 1, ''m'', NULL, %s)');
SELECT * FROM t.refusals('SELECT record_asset(t.id(30), ''video'', ''u'', ''p'', 1, NULL, NULL, %s)');
SELECT * FROM t.refusals('SELECT heartbeat_job(t.id(30), %s, 50, ''half'')');
SELECT * FROM t.refusals('SELECT snooze_job(t.id(30), %s, ''1 minute'')');
SELECT (SELECT count(*) FROM job_steps WHERE state <> 'pending') AS steps_moved, (SELECT count(*) FROM assets) AS assets;
-- a log line needs no token, but no wrong one either
SELECT token, regexp_replace(answer, '^<id>.*', 'logged') AS answer FROM t.refusals('SELECT log_job(t.id(30), ''info'', ''m'', NULL, NULL, %s)');
SELECT count(*) AS lines FROM logs;
-- with the token
SELECT update_job_step(t.id(30), 'scripting', 'started', NULL, NULL, NULL, t.token(30)) ->> 'state' AS state;
SELECT record_asset(t.id(30), 'video', 'u', 'p', 1, NULL, NULL, t.token(30)) IS NOT NULL AS recorded, log_job(t.id(30), 'info', 'm', NULL, NULL, t.token(30)) IS NOT NULL AS logged;
SELECT advance_job(t.id(30), s, NULL, NULL, t.token(30)) ->> 'status' AS status
  FROM unnest('{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
SELECT complete_job(t.id(30), 'u', NULL, 2, t.token(30)) ->> 'cost_credits_final' AS charged;
SELECT t.quiet('SELECT complete_job(t.id(30), ''u'', NULL, 2, t.token(30)) ->> ''status''') AS again, t.quiet('SELECT complete_job(t.id(30), ''u'', NULL, 2) ->> ''status''') AS again;
SELECT t.quiet('SELECT complete_job(t.id(30), ''other'', NULL, 2, t.token(30))') AS other_address;
SELECT t.quiet('SELECT complete_job(t.id(30), ''u'', NULL, 3, t.token(30))') AS other_price;
SELECT t.quiet('SELECT complete_job(t.id(30), ''u'', NULL, 2, t.token(30, 1))') AS lost;
SELECT t.quiet('SELECT fail_job(t.id(30), ''E'', ''m'', ''s'', false, t.token(30))') AS other_call;
SELECT t.quiet('SELECT log_job(t.id(30), ''info'', ''m'', NULL, NULL, t.token(30))') AS other_call;
-- failing twice, with and without the retry that is meant
SELECT fail_job(t.id(31), 'E1', 'no voice', 'voice_gen', false, t.token(31)) ->> 'error_code' AS failed;
SELECT t.quiet('SELECT fail_job(t.id(31), ''E1'', ''no voice'', ''voice_gen'', false, t.token(31)) ->> ''error_code''') AS again;
SELECT t.quiet('SELECT complete_job(t.id(31), ''u'', NULL, NULL, t.token(31))') AS other_call;
SELECT * FROM t.tried;
SELECT * FROM t.both;
CALL t.as_admin();
SELECT * FROM t.queue();
SELECT * FROM t.books();
DELETE FROM jobs;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Heartbeats: one narrow row, and progress into the row of a Video job at most
-- once in a while and never backwards
CREATE VIEW t.rows AS SELECT t.n(id) AS job, concat(ctid, xmin) AS version, progress, status_message AS message FROM jobs
  UNION ALL SELECT t.n(job_id), concat(ctid, xmin), NULL, NULL FROM studio_jobs;
CREATE FUNCTION t.beat(p_job integer, p_progress integer DEFAULT NULL, p_message text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_before text := (SELECT version FROM t.rows WHERE job = p_job::text);
  v_answer jsonb := public.heartbeat_job(t.id(p_job), t.token(p_job), p_progress, p_message);
BEGIN
  RETURN (SELECT concat_ws(', ', CASE WHEN version = v_before THEN 'untouched' ELSE 'written' END, progress, message,
                           CASE WHEN v_answer = '{}' THEN 'no answer' END, CASE WHEN (v_answer ->> 'cancel')::boolean THEN 'cancel' END)
            FROM t.rows WHERE job = p_job::text);
END
$$;
-- lets the interval pass
CREATE FUNCTION t.interval_passes(p_job integer) RETURNS void
LANGUAGE sql AS $$ UPDATE studio_engine.attempts SET shown_at = shown_at - INTERVAL '2 seconds' WHERE job_id = t.id(p_job) $$;
CALL t.paid_job(11, 30, 1);
CALL t.studio_job(1, 31);
SELECT t.claim('jobs', 'w', 1, '20 seconds'), t.claim('studio_jobs', 'w', 1, '20 seconds');
SELECT heartbeat_job(t.id(30), t.token(30)) AS answer \gset
SELECT :'answer'::jsonb - 'lease_expires_at' AS answer, expires_at = (:'answer'::jsonb ->> 'lease_expires_at')::timestamptz AS kept,
       expires_at - clock_timestamp() BETWEEN INTERVAL '10 seconds' AND INTERVAL '20 seconds' AS as_long_as_before, due_at < expires_at AS due_at_lags
  FROM t.open_jobs WHERE job_id = t.id(30);
SELECT (heartbeat_job(t.id(30), t.token(30), NULL, NULL, '2 hours') ->> 'lease_expires_at')::timestamptz - clock_timestamp() BETWEEN INTERVAL '1 hour 59 minutes' AND INTERVAL '2 hours' AS two_hours;
SELECT t.beat(30) AS without_progress, t.beat(31) AS without_progress, t.beat(31, 50, 'm') AS studio_job_with_progress;
SELECT t.beat(30, 10, 'ten') AS first_progress, t.beat(30, 20, 'twenty') AS too_soon;
SELECT t.interval_passes(30) \g /dev/null
SELECT t.beat(30, 30) AS later, t.beat(30, 40) AS too_soon;
SELECT t.interval_passes(30) \g /dev/null
SELECT t.beat(30, 5) AS backwards;
SELECT t.interval_passes(30) \g /dev/null
SELECT t.beat(30, 5, 'backwards') AS backwards_with_news;
SELECT t.interval_passes(30) \g /dev/null
SELECT t.beat(30, 30, 'backwards') AS nothing_new;
SELECT t.interval_passes(30) \g /dev/null
SELECT t.beat(30, NULL, '漢字') AS message_alone;
SELECT t.interval_passes(30) \g /dev/null
SELECT t.beat(30, 100) AS all_of_it;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'progress_interval_ms';
SELECT t.beat(30, 100, 'a') AS without_interval, t.beat(30, 100, 'b') AS without_interval;
UPDATE studio_engine.settings SET value = '1000' WHERE name = 'progress_interval_ms';
-- the progress of a lease belongs to it: the next worker reports at once
SELECT release_leases('w') AS released, t.claim('jobs') AS claimed, t.beat(30, 100, 'next worker') AS at_once;
SELECT p AS progress, t.quiet(format('SELECT heartbeat_job(t.id(30), t.token(30), %s)', p)) AS answer FROM unnest('{-1,101}'::integer[]) p;
SELECT t.quiet(format('SELECT heartbeat_job(t.id(30), t.token(30), NULL, %L)', repeat('ü', 1001))) AS too_long,
       left(t.ask(format('SELECT heartbeat_job(t.id(30), t.token(30), NULL, %L)', repeat('ü', 1000))), 20) AS longest;
SELECT l AS lease, left(t.quiet(format('SELECT heartbeat_job(t.id(30), t.token(30), NULL, NULL, %L)', l)), 32) AS answer
  FROM unnest('{0,-1 second,24 hours 0.001 seconds,1 month,1 second,24 hours}'::text[]) l;
SELECT * FROM t.queue();
DROP FUNCTION t.beat, t.interval_passes;
DROP VIEW t.rows;
DELETE FROM jobs;
DELETE FROM studio_jobs;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Failures that are tried again: counted, delayed, in the end final
CALL t.paid_job(11, 30, 4);
CALL t.studio_job(1, 31);
CALL t.as_role('service_role');
SELECT t.claim('jobs', 'w1') AS claimed, t.claim('studio_jobs', 'w1') AS claimed;
SELECT advance_job(t.id(30), 'SCRIPTING', NULL, NULL, t.token(30)) ->> 'status' AS status;
SELECT j ->> 'status' AS status, j -> 'error_code' AS code FROM fail_job(t.id(30), 'E1', 'first', 'scripting', true, t.token(30)) j;
SELECT j ->> 'status' AS status, j -> 'error_details' AS error, j ->> 'retry_count' AS retries FROM fail_studio_job(t.id(31), '{"code": "E1"}', true, t.token(31)) j;
SELECT t.quiet('SELECT fail_job(t.id(30), ''E1'', ''first'', ''scripting'', true, t.token(30)) ->> ''status''') AS again,
       t.quiet('SELECT fail_studio_job(t.id(31), ''{"code": "E1"}'', true, t.token(31)) ->> ''retry_count''') AS again;
SELECT t.claim('jobs', 'w1') AS not_yet, t.claim('studio_jobs', 'w1') AS not_yet;
SELECT t.quiet('SELECT heartbeat_job(t.id(30), t.token(30))') AS over, t.quiet('SELECT complete_job(t.id(30), NULL, NULL, NULL, t.token(30))') AS over;
SELECT * FROM t.queued;
SELECT * FROM t.both;
SELECT t.time_comes(30, 31) \g /dev/null
SELECT t.claim('jobs', 'w2') AS due, t.claim('studio_jobs', 'w2') AS due;
SELECT status AS stays_in_its_stage FROM jobs;
-- the first worker once more, late: nothing happens to the second one's lease
SELECT t.quiet('SELECT fail_job(t.id(30), ''E1'', ''first'', ''scripting'', true, t.token(30, 1)) ->> ''status''') AS late,
       t.quiet('SELECT fail_studio_job(t.id(31), ''{"code": "E1"}'', true, t.token(31, 1)) ->> ''status''') AS late;
SELECT fail_job(t.id(30), 'E2', 'second', 'scripting', true, t.token(30)) ->> 'status' AS status, fail_studio_job(t.id(31), '{"code": "E2"}', true, t.token(31)) ->> 'status' AS status;
SELECT t.time_comes(30, 31) \g /dev/null
SELECT t.claim('jobs', 'w3') AS due, t.claim('studio_jobs', 'w3') AS due;
SELECT * FROM t.queued;
SELECT get_credit_balance(t.id(1)) AS held;
SELECT j ->> 'status' AS status, j ->> 'error_code' AS code, j ->> 'error_message' AS message, j ->> 'failed_step' AS step
  FROM fail_job(t.id(30), 'E3', 'last', 'voice_gen', true, t.token(30)) j;
SELECT j ->> 'status' AS status, j -> 'error_details' AS error, j ->> 'retry_count' AS retries FROM fail_studio_job(t.id(31), '{"code": "E3"}', true, t.token(31)) j;
SELECT t.quiet('SELECT fail_job(t.id(30), ''E3'', ''last'', ''voice_gen'', true, t.token(30)) ->> ''error_code''') AS again,
       t.quiet('SELECT fail_studio_job(t.id(31), ''{"code": "E3"}'', true, t.token(31)) -> ''error_details''') AS again;
SELECT get_credit_balance(t.id(1)) AS given_back;
SELECT * FROM t.tried;
CALL t.as_admin();
SELECT * FROM t.queue();
SELECT * FROM t.books();
-- a retry by hand has all attempts again; numbers go on; Video pays again
SELECT retry_job(t.id(30)) ->> 'status' AS status, retry_studio_job(t.id(31)) ->> 'retry_count' AS retries;
SELECT * FROM t.queued;
SELECT t.claim('jobs', 'w4') AS claimed, t.claim('studio_jobs', 'w4') AS claimed;
SELECT fail_job(t.id(30), 'E4', NULL, NULL, true, t.token(30)) ->> 'status' AS status, fail_studio_job(t.id(31), NULL, true, t.token(31)) ->> 'status' AS status;
SELECT * FROM t.queued;
SELECT get_credit_balance(t.id(1)) AS held_again;
SELECT attempt, outcome, error FROM t.tried WHERE attempt > 3;
SELECT * FROM t.queue();
SELECT * FROM t.books();
DELETE FROM jobs;
DELETE FROM studio_jobs;
DELETE FROM t.leases;

-- no limit, one attempt only, and a limit that is lowered meanwhile
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_attempts';
CALL t.studio_job(1, 30);
CREATE FUNCTION t.try_and_fail(p_times integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_status text;
BEGIN
  FOR i IN 1..p_times LOOP
    PERFORM t.time_comes(30), t.claim('studio_jobs');
    v_status := concat_ws(' ', v_status, public.fail_studio_job(t.id(30), '{"code": "E"}', true, t.token(30)) ->> 'status');
  END LOOP;
  RETURN v_status;
END
$$;
SELECT t.try_and_fail(8) AS without_limit;
SELECT * FROM t.queued;
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_attempts';
SELECT t.try_and_fail(1) AS lowered_meanwhile;
DELETE FROM studio_jobs;
UPDATE studio_engine.settings SET value = '1' WHERE name = 'max_attempts';
CALL t.studio_job(1, 30);
SELECT t.try_and_fail(1) AS one_attempt;
SELECT * FROM t.both;
UPDATE studio_engine.settings SET value = '3' WHERE name = 'max_attempts';
DROP FUNCTION t.try_and_fail;
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- the delay: anything from 0 to base * 2^(attempt - 1), at most the cap
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
UPDATE studio_engine.settings SET value = '100' WHERE name = 'max_attempts';
CREATE FUNCTION t.delays(p_base integer, p_cap bigint, p_attempt integer, OUT beyond bigint, OUT different boolean, OUT low boolean, OUT high boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_longest float8 := least(p_base * 2.0 ^ (p_attempt - 1), p_cap);
  v_before timestamptz;
  v_after timestamptz;
BEGIN
  UPDATE studio_engine.settings SET value = p_base WHERE name = 'retry_base_seconds';
  UPDATE studio_engine.settings SET value = p_cap WHERE name = 'retry_cap_seconds';
  INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(1), 'a' FROM generate_series(1001, 1064) n;
  UPDATE studio_engine.queue SET attempt = p_attempt - 1;
  v_before := clock_timestamp();
  PERFORM public.fail_studio_job(job_id, '{}', true, lease_token) FROM public.claim_jobs('studio_jobs', 'w', 64);
  v_after := clock_timestamp();
  SELECT count(*) FILTER (WHERE due_at < v_before OR due_at > v_after + make_interval(secs => v_longest)),
         count(DISTINCT due_at) > 32, min(due_at) < v_before + make_interval(secs => v_longest / 2), max(due_at) > v_after + make_interval(secs => v_longest / 2)
    INTO beyond, different, low, high FROM studio_engine.queue WHERE state = 'delayed';
  DELETE FROM public.studio_jobs;
END
$$;
SELECT base, cap, attempt, d.*
  FROM (VALUES (100, 1000000::bigint, 1), (100, 1000000, 2), (100, 1000000, 5), (100, 300, 3), (100, 50, 1), (100, 1000000, 60), (2147483647, 2147483647, 70)) s (base, cap, attempt),
       t.delays(base, cap, attempt) d;
SELECT beyond FROM t.delays(0, 3600, 1);
SELECT beyond FROM t.delays(5, 0, 1);
DROP FUNCTION t.delays;
UPDATE studio_engine.settings SET value = '5' WHERE name IN ('retry_base_seconds', 'max_active_jobs');
UPDATE studio_engine.settings SET value = '3600' WHERE name = 'retry_cap_seconds';
UPDATE studio_engine.settings SET value = '3' WHERE name = 'max_attempts';
SELECT * FROM t.queue();
VACUUM studio_engine.queue;
\c -

-- ------------------------------------------------------------------------
-- Snoozing: later, and the attempt does not count
CALL t.studio_job(1, 30);
CALL t.paid_job(11, 31, 2);
CALL t.as_role('service_role');
SELECT left(t.quiet('SELECT snooze_job(t.id(30), gen_random_uuid(), ''1 hour'')'), 5) AS without_a_lease;
SELECT t.claim('studio_jobs'), t.claim('jobs');
SELECT f AS for, t.quiet(format('SELECT snooze_job(t.id(30), t.token(30), %L)', f)) AS answer
  FROM unnest('{-1 second,367 days,10000 years}'::text[]) f;
SELECT snooze_job(t.id(30), t.token(30), '1 hour') AS due_at \gset
SELECT :'due_at'::timestamptz - clock_timestamp() BETWEEN INTERVAL '59 minutes' AND INTERVAL '1 hour' AS in_an_hour;
SELECT snooze_job(t.id(31), t.token(31), '366 days') - clock_timestamp() BETWEEN INTERVAL '365 days 23 hours' AND INTERVAL '366 days' AS in_a_year;
SELECT * FROM t.queued;
SELECT * FROM t.tried;
SELECT t.claim('studio_jobs') AS not_yet, t.claim('jobs') AS not_yet;
-- again: the same answer, and nothing happens
SELECT t.quiet(format('SELECT snooze_job(t.id(30), t.token(30), ''1 hour'') = %L', :'due_at')) AS again;
SELECT t.quiet('SELECT heartbeat_job(t.id(30), t.token(30))') AS over, t.quiet('SELECT store_refined_text(t.id(30), ''t'', NULL, t.token(30))') AS over;
SELECT t.time_comes(30, 31) \g /dev/null
SELECT t.claim('studio_jobs') AS due, t.claim('jobs') AS due;
SELECT t.quiet('SELECT snooze_job(t.id(30), t.token(30, 1), ''1 hour'')') AS claimed_again;
SELECT snooze_job(t.id(30), t.token(30), '0 seconds') - clock_timestamp() BETWEEN INTERVAL '-1 minute' AND INTERVAL '0' AS at_once;
SELECT t.claim('studio_jobs') AS due;
-- as often as one likes
DO $$
BEGIN
  FOR i IN 1..10 LOOP
    PERFORM snooze_job(t.id(30), t.token(30), '0 s');
    PERFORM t.claim('studio_jobs');
  END LOOP;
END
$$;
SELECT * FROM t.queued;
SELECT outcome, array_agg(DISTINCT attempt) AS attempts, count(*) FROM t.tried GROUP BY outcome;
SELECT fail_studio_job(t.id(30), '{}', true, t.token(30)) ->> 'status' AS still_retried;
SELECT * FROM t.books();
CALL t.as_admin();
SELECT * FROM t.queue();
-- due ones come before younger ones that wait
DELETE FROM studio_jobs;
CALL t.studio_job(1, 40);
SELECT t.claim('studio_jobs');
SELECT snooze_job(t.id(40), t.token(40), '0 s') IS NOT NULL AS snoozed;
CALL t.studio_job(1, 41);
SELECT t.claim('studio_jobs', 'w', 2) AS in_order;
DELETE FROM studio_jobs;
-- the number of a snoozed attempt is given again, also after a retry by hand
CALL t.studio_job(1, 42);
SELECT t.claim('studio_jobs');
SELECT snooze_job(t.id(42), t.token(42), '0 s') IS NOT NULL AS snoozed;
SELECT cancel_studio_job(t.id(42)) ->> 'status' AS status, retry_studio_job(t.id(42)) ->> 'status' AS status;
SELECT attempt FROM claim_jobs('studio_jobs', 'w');
SELECT * FROM t.queue();
DELETE FROM studio_jobs;
DELETE FROM jobs;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Giving back: what one worker has by good leases, from where it was in the
-- queue
SELECT t.try(format('CALL t.studio_job(1, %s)', n)) AS made FROM generate_series(30, 34) n;
CALL t.paid_job(11, 35, 2);
CALL t.as_role('service_role');
SELECT t.claim('studio_jobs', 'w1', 3), t.claim('studio_jobs', 'w2', 1), t.claim('jobs', 'w1', 1);
SELECT t.time_comes(32) \g /dev/null
SELECT release_leases('w1') AS released, release_leases('w1') AS again, release_leases('unknown') AS unknown, release_leases('') AS empty;
SELECT t.try('SELECT release_leases(NULL)');
SELECT * FROM t.queued;
SELECT * FROM t.tried;
SELECT t.quiet('SELECT heartbeat_job(t.id(30), t.token(30))') AS over;
SELECT t.claim('studio_jobs', 'w3', 2) AS from_where_they_were, t.claim('studio_jobs', 'w3', 2) AS the_others, t.claim('jobs', 'w3', 1) AS claimed;
SELECT DISTINCT attempt FROM t.queued;
CALL t.as_admin();
SELECT * FROM t.queue();
SELECT * FROM t.books();
DELETE FROM studio_jobs;
DELETE FROM jobs;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Reaping: workers that went silent
CALL t.paid_job(11, 30, 4);
SELECT t.try(format('CALL t.studio_job(2, %s)', n)) AS made FROM generate_series(31, 35) n;
CALL t.as_role('service_role');
SELECT l AS "limit", t.ask(format('SELECT reap_expired_leases(%s)', coalesce(l::text, 'NULL'))) AS answer FROM unnest('{1,10000,0,-1,10001,NULL}'::integer[]) l;
SELECT t.claim('jobs', 'w1'), t.claim('studio_jobs', 'w1', 5);
SELECT t.quiet('SELECT reap_expired_leases()') AS none_has_expired;
SELECT t.time_comes(30, 31, 32, 33, 34, 35) \g /dev/null
SELECT t.ask('SELECT heartbeat_job(t.id(31), t.token(31))') AS too_late;
-- one was prolonged in time: due_at lags behind
SELECT t.renew(32) \g /dev/null
SELECT reap_expired_leases(2) AS two, reap_expired_leases(2) AS two_more, reap_expired_leases() AS the_rest, reap_expired_leases() AS none;
SELECT * FROM t.queued;
SELECT * FROM t.tried;
SELECT * FROM t.both;
SELECT heartbeat_job(t.id(32), t.token(32)) -> 'cancel' AS still_has_it;
SELECT get_credit_balance(t.id(1)) AS held;
-- prolonged ones do not use up the limit
SELECT t.time_comes(30, 31, 33, 34, 35) \g /dev/null
SELECT t.claim('studio_jobs', 'w2', 9), t.claim('jobs', 'w2');
SELECT t.time_comes(31, 32, 33, 34, 35) \g /dev/null
SELECT t.renew(32), t.renew(33), t.renew(31) \g /dev/null
CALL t.as_admin();
UPDATE studio_engine.queue SET due_at = due_at - INTERVAL '1 minute' WHERE job_id IN (t.id(31), t.id(32), t.id(33));
CALL t.as_role('service_role');
SELECT reap_expired_leases(1) AS one, reap_expired_leases(1) AS another;
SELECT state, array_agg(job ORDER BY job) AS jobs FROM t.queued GROUP BY state ORDER BY state;
-- the last attempt: FAILED, and the credits come back
SELECT t.time_comes(30) \g /dev/null
SELECT reap_expired_leases() AS second_attempt;
SELECT t.time_comes(30) \g /dev/null
SELECT t.claim('jobs', 'w3');
SELECT t.time_comes(30) \g /dev/null
SELECT reap_expired_leases() AS third_attempt;
SELECT * FROM t.both WHERE job = '30';
SELECT get_credit_balance(t.id(1)) AS given_back;
SELECT attempt, worker, outcome, error FROM t.tried WHERE job = '30';
SELECT t.quiet('SELECT fail_job(t.id(30), ''E'', NULL, NULL, false, t.token(30))') AS lost, t.quiet('SELECT complete_job(t.id(30), NULL, NULL, NULL, t.token(30))') AS lost;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '1' WHERE name = 'max_attempts';
SELECT t.time_comes(31) \g /dev/null
SELECT reap_expired_leases() AS one_attempt_only;
SELECT * FROM t.both WHERE job = '31';
UPDATE studio_engine.settings SET value = '3' WHERE name = 'max_attempts';
SELECT * FROM t.queue();
SELECT * FROM t.books();
DELETE FROM studio_jobs;
DELETE FROM jobs;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Cancelling: at once where nobody works on it
CALL t.paid_job(11, 30, 4);
CALL t.studio_job(1, 31);
CALL t.studio_job(1, 32);
SELECT t.claim('studio_jobs', 'w', 2), t.claim('jobs');
SELECT snooze_job(t.id(31), t.token(31), '1 hour') IS NOT NULL AS snoozed;
SELECT t.time_comes(30, 32) \g /dev/null
CALL t.as_user(t.id(1));
SELECT cancel_studio_job(t.id(31), 'delayed') ->> 'status' AS delayed, cancel_studio_job(t.id(32), 'expired') ->> 'status' AS expired, cancel_job(t.id(30), 'expired') ->> 'status' AS expired;
SELECT get_credit_balance(t.id(1)) AS given_back;
CALL t.as_admin();
SELECT * FROM t.both;
SELECT * FROM t.tried;
SELECT t.quiet('SELECT heartbeat_job(t.id(30), t.token(30))') AS over, t.quiet('SELECT complete_job(t.id(30), NULL, NULL, NULL, t.token(30))') AS over;
SELECT * FROM t.queue();
SELECT * FROM t.books();
DELETE FROM studio_jobs;
DELETE FROM jobs;
DELETE FROM t.leases;

-- while a worker has it: told by heartbeat, moving on is refused
CALL t.paid_job(11, 30, 4);
SELECT create_job_steps(t.id(30));
CALL t.studio_job(1, 31, 'TRANSCRIBING');
SELECT t.claim('jobs'), t.claim('studio_jobs');
CALL t.as_user(t.id(1));
SELECT j ->> 'status' AS goes_on, j -> 'error_code' AS code FROM cancel_job(t.id(30), 'First reason') j;
SELECT cancel_job(t.id(30), 'Second reason') ->> 'status' AS goes_on;
SELECT j ->> 'status' AS goes_on, j -> 'error_details' AS error FROM cancel_studio_job(t.id(31), 'First reason') j;
SELECT get_credit_balance(t.id(1)) AS still_held;
CALL t.as_role('service_role');
SELECT * FROM t.queued;
SELECT heartbeat_job(t.id(30), t.token(30)) -> 'cancel' AS cancel, heartbeat_job(t.id(31), t.token(31), 5, 'm') -> 'cancel' AS cancel;
SELECT call, t.quiet(format('SELECT %s', call)) AS answer
  FROM unnest(ARRAY['advance_job(t.id(30), ''SCRIPTING'', NULL, NULL, t.token(30))', 'update_job_step(t.id(30), ''scripting'', ''started'', NULL, NULL, NULL, t.token(30))',
                    'record_asset(t.id(30), ''video'', ''u'', ''p'', NULL, NULL, NULL, t.token(30))',
                    'update_studio_job_status(t.id(31), ''ENRICHING'', t.token(31))', 'store_transcript(t.id(31), ''said'', t.token(31))',
                    'store_enrichment(t.id(31), ''{}'', t.token(31))']) call;
SELECT log_job(t.id(30), 'info', 'stopping', NULL, NULL, t.token(30)) IS NOT NULL AS logged;
-- failing confirms it, a retryable failure too
SELECT j ->> 'status' AS status, j ->> 'error_code' AS code, j ->> 'error_message' AS message FROM fail_job(t.id(30), 'E', 'm', 's', true, t.token(30)) j;
SELECT j ->> 'status' AS status, j -> 'error_details' AS error FROM fail_studio_job(t.id(31), '{"code": "E"}', true, t.token(31)) j;
SELECT t.quiet('SELECT fail_job(t.id(30), ''E'', ''m'', ''s'', true, t.token(30)) ->> ''error_code''') AS again;
SELECT get_credit_balance(t.id(1)) AS given_back;
SELECT * FROM t.tried;
CALL t.as_admin();
SELECT * FROM t.queue();
SELECT * FROM t.books();
DELETE FROM studio_jobs;
DELETE FROM jobs;
DELETE FROM t.leases;

-- completing wins; snoozing, giving back and expiring end it as cancelled
CALL t.paid_job(11, 30, 4);
SELECT t.try(format('CALL t.studio_job(1, %s, ''REFINING'')', n)) AS made FROM generate_series(31, 35) n;
SELECT t.claim('jobs', 'w1'), t.claim('studio_jobs', 'w1', 5);
UPDATE jobs SET status = 'SCRIPTING';
SELECT advance_job(t.id(30), s, NULL, NULL, t.token(30)) ->> 'progress' AS progress
  FROM unnest('{VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
SELECT cancel_job(t.id(30)) ->> 'status' AS goes_on;
SELECT cancel_studio_job(t.id(n), 'Enough ' || n) ->> 'status' AS goes_on FROM generate_series(31, 35) n;
SELECT complete_job(t.id(30), 'u', NULL, 3, t.token(30)) ->> 'status' AS won, store_refined_text(t.id(31), 'text', NULL, t.token(31)) ->> 'status' AS won;
SELECT left(t.try('SELECT cancel_job(t.id(30))'), 5) AS too_late, left(t.try('SELECT cancel_studio_job(t.id(31))'), 5) AS too_late;
SELECT snooze_job(t.id(32), t.token(32), '1 hour') AS not_due_any_more;
SELECT t.quiet('SELECT snooze_job(t.id(32), t.token(32), ''1 hour'')') AS again;
SELECT t.time_comes(33) \g /dev/null
SELECT reap_expired_leases() AS reaped;
SELECT release_leases('w1') AS released;
SELECT * FROM t.both;
SELECT * FROM t.tried;
-- a retry begins without the wish to cancel
SELECT retry_studio_job(t.id(32)) ->> 'status' AS status;
SELECT t.claim('studio_jobs');
SELECT heartbeat_job(t.id(32), t.token(32)) -> 'cancel' AS cancel;
SELECT * FROM t.queue();
SELECT * FROM t.books();
DELETE FROM studio_jobs;
DELETE FROM jobs;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- The attempts, for the owner and for services
CALL t.studio_job(1, 30, 'REFINING');
CALL t.paid_job(11, 31, 1);
SELECT t.claim('studio_jobs', 'w1'), t.claim('jobs', 'w1');
SELECT fail_studio_job(t.id(30), '{"code": "E", "message": "Ünï 漢字"}', true, t.token(30)) ->> 'status' AS status;
SELECT fail_job(t.id(31), 'E', 'm', 's', false, t.token(31)) ->> 'status' AS status;
SELECT t.time_comes(30) \g /dev/null
SELECT t.claim('studio_jobs', 'w2');
CALL t.as_role('service_role');
SELECT system, attempt, worker, started_at <= ended_at AS in_order, outcome, error FROM get_job_attempts(t.id(30));
SELECT store_refined_text(t.id(30), 'text', NULL, t.token(30)) ->> 'status' AS status;
SELECT system, attempt, worker, started_at <= ended_at AS in_order, outcome, error FROM get_job_attempts(t.id(30));
SELECT system, attempt, worker, outcome, error FROM get_job_attempts(t.id(31));
SELECT t.try('SELECT get_job_attempts(t.id(99))') AS unknown, t.try('SELECT get_job_attempts(NULL)') AS none;
CALL t.as_user(t.id(1));
SELECT system, attempt, worker, outcome, error FROM get_job_attempts(t.id(30));
SELECT system, attempt, worker, outcome, error FROM get_job_attempts(t.id(31));
SELECT t.try('SELECT get_job_attempts(t.id(99))') AS unknown, t.try('SELECT get_job_attempts(NULL)') AS none;
CALL t.as_user(t.id(2));
SELECT t.try('SELECT get_job_attempts(t.id(30))') AS of_another, t.try('SELECT get_job_attempts(t.id(31))') AS of_another;
CALL t.as_role('authenticated');
SELECT t.try('SELECT get_job_attempts(t.id(30))') AS nobody;
CALL t.as_role('anon');
SELECT left(t.try('SELECT get_job_attempts(t.id(30))'), 5) AS anon;
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM studio_jobs;
DELETE FROM jobs;
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- Plain SQL by an orchestrator: the queue keeps in step
CALL t.as_role('service_role');
CALL t.job(11, 30);
CALL t.studio_job(1, 31);
CALL t.studio_job(1, 32, 'COMPLETE');
CALL t.studio_job(1, 33, 'FAILED');
CALL t.job(11, 34, 'RENDERING');
CALL t.job(11, 35, 'READY');
SELECT * FROM t.queued;
UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(30);
SELECT * FROM t.queued WHERE job = '30';
UPDATE jobs SET status = 'SCRIPTING' WHERE id = t.id(30);
UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE job_id = t.id(31);
UPDATE jobs SET priority = 7 WHERE id = t.id(30);
UPDATE studio_jobs SET priority = -2147483648 WHERE job_id = t.id(31);
UPDATE jobs SET user_id = t.id(2), project_id = t.id(12) WHERE id = t.id(34);
UPDATE studio_jobs SET user_id = t.id(2), job_id = t.id(36) WHERE job_id = t.id(31);
SELECT * FROM t.queued;
SELECT * FROM t.queue();
-- a priority that changes re-ranks
CALL t.studio_job(1, 37);
CALL t.studio_job(1, 38);
UPDATE studio_jobs SET priority = 2147483647 WHERE job_id = t.id(38);
SELECT t.claim('studio_jobs', 'w1', 3) AS in_order, t.claim('jobs', 'w1', 2) AS in_order;
-- while a worker has the job, the lease stays
UPDATE studio_jobs SET priority = 5, status = 'TRANSCRIBING' WHERE job_id = t.id(37);
SELECT heartbeat_job(t.id(37), t.token(37)) -> 'cancel' AS still_his, store_transcript(t.id(37), 'said', t.token(37)) ->> 'status' AS status;
-- what ends a job ends the lease, and leaves an attempt
UPDATE studio_jobs SET status = 'COMPLETE', refined_text = 'text' WHERE job_id = t.id(37);
UPDATE studio_jobs SET status = 'FAILED', error_details = '{"code": "BY_HAND"}' WHERE job_id = t.id(38);
UPDATE jobs SET status = 'FAILED', error_code = 'CANCELLED', error_message = 'By hand' WHERE id = t.id(30);
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(34);
SELECT * FROM t.tried;
SELECT t.quiet('SELECT heartbeat_job(t.id(37), t.token(37))') AS over, t.quiet('SELECT advance_job(t.id(30), ''VOICE_GEN'', NULL, NULL, t.token(30))') AS over;
SELECT t.quiet('SELECT store_refined_text(t.id(37), ''text'', NULL, t.token(37)) ->> ''status''') AS the_same_answer;
SELECT * FROM t.queued;
-- a user ends his own job by plain SQL while a worker has it
CALL t.as_user(t.id(2));
UPDATE studio_jobs SET raw_transcript = 'by hand', priority = 1 WHERE job_id = t.id(36);
CALL t.as_role('service_role');
SELECT heartbeat_job(t.id(36), t.token(36)) -> 'cancel' AS still_his;
CALL t.as_user(t.id(2));
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(36);
SELECT retry_studio_job(t.id(36)) ->> 'status' AS status;
CALL t.as_role('service_role');
SELECT t.quiet('SELECT store_transcript(t.id(36), ''x'', t.token(36))') AS over;
SELECT t.claim('studio_jobs', 'w2') AS claimed;
SELECT * FROM t.queued;
SELECT attempt, outcome, error FROM t.tried WHERE job = '36';
-- UPDATEs of everything at once, and rows that come and go in one transaction
CALL t.as_admin();
UPDATE studio_jobs SET priority = 3;
BEGIN;
CALL t.studio_job(1, 39);
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(39);
DELETE FROM studio_jobs WHERE job_id = t.id(39);
CALL t.studio_job(2, 39);
COMMIT;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES (t.id(39), t.id(2), 'b')
ON CONFLICT (job_id) DO UPDATE SET status = 'TRANSCRIBING', priority = 9;
SELECT * FROM t.queued;
SELECT * FROM t.queue();
BEGIN;
SAVEPOINT s;
CALL t.studio_job(2, 50);
ROLLBACK TO s;
COMMIT;
SELECT * FROM t.queue();

-- TRUNCATE, DELETE of a job, of its project, of its user
CALL t.paid_job(11, 51, 1);
CALL t.paid_job(12, 52, 1);
SELECT t.claim('studio_jobs', 'w', 99) IS NOT NULL AS claimed, t.claim('jobs', 'w', 99) IS NOT NULL AS claimed;
SELECT fail_job(t.id(51), 'E', NULL, NULL, true, t.token(51)) ->> 'status' AS status, fail_job(t.id(52), 'E', NULL, NULL, true, t.token(52)) ->> 'status' AS status;
CALL t.as_role('service_role');
TRUNCATE studio_jobs;
SELECT system, count(*) FROM t.queued GROUP BY system;
CALL t.as_admin();
SELECT count(*) AS attempts_left FROM studio_engine.attempts WHERE system = 'studio_jobs';
SELECT * FROM t.queue();
SELECT left(t.try('TRUNCATE jobs'), 5) AS has_references, left(t.try('TRUNCATE jobs CASCADE'), 5) AS the_ledger_refuses;
SELECT * FROM t.queue();
DELETE FROM jobs WHERE id = t.id(30);
SELECT * FROM t.queue();
DELETE FROM projects WHERE id = t.id(11);
SELECT * FROM t.queue();
CALL t.studio_job(2, 60);
CALL t.studio_job(2, 61);
SELECT t.claim('studio_jobs', 'w', 2);
DELETE FROM studio_jobs WHERE job_id = t.id(61);
SELECT t.quiet('SELECT heartbeat_job(t.id(61), t.token(61))') AS gone, t.quiet('SELECT store_transcript(t.id(61), ''x'', t.token(61))') AS gone,
       t.quiet('SELECT snooze_job(t.id(61), t.token(61), ''0 s'')') AS gone, t.quiet('SELECT get_job_attempts(t.id(61))') AS gone;
DELETE FROM auth.users WHERE id = t.id(2);
SELECT * FROM t.queued;
SELECT * FROM t.tried;
SELECT * FROM t.queue();
SELECT * FROM t.books();
SELECT * FROM t.clean();
DELETE FROM t.leases;

-- ------------------------------------------------------------------------
-- rebuild_queue() mends what was done with the triggers off
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.studio_job(1, 30);
CALL t.studio_job(1, 31);
CALL t.studio_job(1, 32);
CALL t.studio_job(1, 33, 'FAILED');
CALL t.studio_job(1, 34);
CALL t.job(11, 40, 'QUEUED');
CALL t.job(11, 41);
CALL t.job(11, 42, 'QUEUED');
SELECT studio_engine.rebuild_queue() AS nothing_to_mend;
SELECT t.claim('studio_jobs', 'w', 4);
SELECT fail_studio_job(t.id(32), '{"code": "E"}', true, t.token(32)) ->> 'status' AS status;
SELECT fail_studio_job(t.id(34), '{"code": "E"}', false, t.token(34)) ->> 'status' AS status;
SELECT t.quiet('SELECT studio_engine.rebuild_queue()') AS leases_stay;
SET session_replication_role = replica;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, system_prompt_used, priority) VALUES (t.id(35), t.id(2), 'a', 'p', 9);
UPDATE studio_jobs SET status = 'COMPLETE' WHERE job_id = t.id(30);
DELETE FROM studio_jobs WHERE job_id = t.id(32);
UPDATE studio_jobs SET status = 'NEW' WHERE job_id IN (t.id(33), t.id(34));
UPDATE jobs SET status = 'READY' WHERE id = t.id(40);
UPDATE jobs SET status = 'SCRIPTING' WHERE id = t.id(41);
RESET session_replication_role;
SELECT * FROM t.queue() AS problem ORDER BY problem COLLATE "C";
SELECT studio_engine.rebuild_queue() AS added;
SELECT * FROM t.queue();
SELECT * FROM t.queued;
-- other users and other priorities
SET session_replication_role = replica;
UPDATE studio_jobs SET priority = 4 WHERE job_id = t.id(35);
UPDATE studio_jobs SET user_id = t.id(2) WHERE job_id = t.id(33);
RESET session_replication_role;
SELECT studio_engine.rebuild_queue() AS added;
SELECT * FROM t.queue();
-- all of it lost
DELETE FROM studio_jobs;
DELETE FROM jobs;
CALL t.studio_job(1, 30);
CALL t.studio_job(2, 31);
CALL t.job(11, 40, 'QUEUED');
TRUNCATE studio_engine.queue;
SELECT studio_engine.rebuild_queue() AS added, studio_engine.rebuild_queue() AS again;
SELECT t.claim('studio_jobs', 'w', 9), t.claim('jobs', 'w', 9);
SELECT * FROM t.queue();
DELETE FROM studio_jobs;
DELETE FROM jobs;

-- ------------------------------------------------------------------------
-- Fairness, by setting: one user's thousand jobs do not starve another's two
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(1), 'a' FROM generate_series(1001, 2000) n;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES (t.id(3001), t.id(2), 'a'), (t.id(3002), t.id(2), 'a');
SELECT t.claim('studio_jobs', 'w', 5) AS without_it;
DELETE FROM studio_jobs;
UPDATE studio_engine.settings SET value = '1' WHERE name = 'fair_queue';
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(1), 'a' FROM generate_series(1001, 2000) n;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES (t.id(3001), t.id(2), 'a'), (t.id(3002), t.id(2), 'a');
CREATE TABLE t.claims (nr integer GENERATED ALWAYS AS IDENTITY, job uuid);
INSERT INTO t.claims (job) SELECT job_id FROM claim_jobs('studio_jobs', 'w', 1000);
INSERT INTO t.claims (job) SELECT job_id FROM claim_jobs('studio_jobs', 'w', 1000);
SELECT max(nr) FILTER (WHERE t.n(job) > '3') <= 6 AS the_two_are_among_the_first, count(*) AS claimed,
       (SELECT count(*) FROM (SELECT job < lag(job) OVER (ORDER BY nr) AS back FROM t.claims WHERE t.n(job) < '3') o WHERE back) AS out_of_order
  FROM t.claims;
DELETE FROM studio_jobs;
VACUUM studio_engine.queue;
\c -
-- one after the other while both wait; priority comes first; turns are taken
-- by who is waiting, not by who once was
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(1), 'a' FROM generate_series(101, 104) n;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(2), 'a' FROM generate_series(201, 204) n;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, priority) VALUES (t.id(105), t.id(1), 'a', 1);
SELECT t.claim('studio_jobs', 'w', 9) AS users_alternate;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(1), 'a' FROM generate_series(111, 113) n;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(2), 'a' FROM generate_series(211, 213) n;
SELECT t.claim('studio_jobs', 'w', 9) AS from_the_start;
SELECT * FROM t.queue();
UPDATE studio_engine.settings SET value = '0' WHERE name = 'fair_queue';
DROP TABLE t.claims;
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- Waking up, by setting: one NOTIFY for each transaction and table with new work.
-- psql prints what it hears, with a process id that is left out here.
\c -
LISTEN studio_engine;
CALL t.studio_job(1, 30);
SELECT 1 AS heard_nothing;
UPDATE studio_engine.settings SET value = '1' WHERE name = 'notify_workers';
\o | sed 's/PID [0-9]*/PID <n>/'
BEGIN;
CALL t.studio_job(1, 29);
ROLLBACK;
SELECT 1 AS heard_nothing;
INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT t.id(1), 'a' FROM generate_series(1, 5);
SELECT 1 AS heard_it_once;
CALL t.studio_job(1, 31);
SELECT 1 AS heard_it_again;
CALL t.studio_job(1, 32);
SELECT 1 AS heard_it_again;
-- both tables, in a savepoint or not
BEGIN;
CALL t.studio_job(1, 33);
SAVEPOINT a;
CALL t.job(11, 40, 'QUEUED');
RELEASE a;
CALL t.job(11, 41, 'QUEUED');
SELECT 1 AS heard_nothing_yet;
COMMIT;
SELECT 1 AS heard_of_both_tables;
-- nothing is left over of one that was rolled back
BEGIN;
CALL t.studio_job(1, 34);
ROLLBACK;
CALL t.job(11, 42, 'QUEUED');
SELECT 1 AS heard_of_one_table;
\o
-- a prepared transaction may make jobs, and announces none
BEGIN;
CALL t.studio_job(1, 35);
PREPARE TRANSACTION 'with a job';
COMMIT PREPARED 'with a job';
SELECT 1 AS heard_nothing;
BEGIN;
CALL t.studio_job(1, 36);
PREPARE TRANSACTION 'with a job';
ROLLBACK PREPARED 'with a job';
SELECT 1 AS heard_nothing;
SELECT count(*) FILTER (WHERE job_id = t.id(35)) AS committed, count(*) FILTER (WHERE job_id = t.id(36)) AS rolled_back FROM studio_engine.queue;
-- released, handed over, snoozed for no time; and due after a snooze, once somebody looks
\o | sed 's/PID [0-9]*/PID <n>/'
DELETE FROM studio_jobs;
CALL t.studio_job(1, 51);
CALL t.studio_job(1, 52);
SELECT 1 AS heard_it_twice;
\o
SELECT t.claim('studio_jobs', 'w') AS claimed \gset
SELECT t.claim('studio_jobs', 'w2') AS other \gset
\o | sed 's/PID [0-9]*/PID <n>/'
SELECT release_leases('w') AS released;
SELECT 1 AS heard_it;
SELECT snooze_job(t.id(:other), t.token(:other), '0 s') IS NOT NULL AS snoozed;
SELECT 1 AS heard_it;
\o
SELECT t.claim('studio_jobs', 'w') AS claimed \gset
\o | sed 's/PID [0-9]*/PID <n>/'
SELECT update_studio_job_status(t.id(:claimed), 'TRANSCRIBING', t.token(:claimed), true) ->> 'status' AS handed_over;
SELECT 1 AS heard_it;
\o
SELECT t.claim('studio_jobs', 'w') AS claimed \gset
\o | sed 's/PID [0-9]*/PID <n>/'
SELECT snooze_job(t.id(:claimed), t.token(:claimed), '1 hour') IS NOT NULL AS snoozed;
SELECT 1 AS heard_nothing;
SELECT t.time_comes(:claimed) IS NULL AS due;
SELECT reap_expired_leases() AS reaped;
SELECT 1 AS heard_it;
\o
UPDATE studio_engine.settings SET value = '0' WHERE name = 'notify_workers';
CALL t.studio_job(1, 37);
SELECT 1 AS heard_nothing;
-- the former name of the setting
UPDATE studio_engine.settings SET value = '1000' WHERE name = 'notify_interval_ms';
\o | sed 's/PID [0-9]*/PID <n>/'
CALL t.studio_job(1, 38);
SELECT 1 AS heard_it;
\o
UPDATE studio_engine.settings SET value = '0' WHERE name = 'notify_interval_ms';
UNLISTEN studio_engine;
SELECT * FROM t.queue();

DROP FUNCTION t.claim, t.token, t.time_comes, t.refusals, t.renew;
DROP PROCEDURE t.paid_job;
DROP VIEW t.queued, t.tried, t.both;
DROP TABLE t.leases;
SELECT * FROM t.books();
SELECT * FROM t.clean();
