-- 331_worker_engine.sql
--
-- What workers share: claims by stage, hand-overs, finish_and_claim(), sets of jobs,
-- processes of one name, attempts and delays of a job's own, the end of a lease that
-- is too long or cancelled, jobs for later, and what heals without a scheduler.

\set VERBOSITY terse
\set SHOW_CONTEXT never

\i test/sql/include/leases.sql

CREATE FUNCTION t.claim(p_stages text[] DEFAULT NULL, p_limit integer DEFAULT 1, p_worker text DEFAULT 'w', p_process text DEFAULT NULL,
    p_system text DEFAULT 'studio_jobs') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_claim record;
  v_jobs text;
BEGIN
  FOR v_claim IN SELECT * FROM public.claim_jobs(p_system, p_worker, p_limit, NULL, p_stages, p_process) LOOP
    v_jobs := concat_ws(' ', v_jobs, t.n(v_claim.job_id) || '/' || v_claim.attempt);
    INSERT INTO t.leases (job, token, lease_until)
    VALUES (right(v_claim.job_id::text, 12)::integer, v_claim.lease_token, v_claim.lease_expires_at);
  END LOOP;
  RETURN v_jobs;
END
$$;
CREATE FUNCTION t.items(p_jobs integer[], p_more jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql AS $$ SELECT jsonb_agg(jsonb_build_object('job_id', t.id(j), 'lease_token', coalesce(t.token(j), t.id(9))) || p_more) FROM unnest(p_jobs) j $$;
CREATE VIEW t.seen AS
SELECT t.n(job_id) AS job, state, stage, attempt, first_attempt AS first, worker, process_id AS process FROM t.open_jobs ORDER BY job_id;
CREATE VIEW t.tried AS
SELECT t.n(job_id) AS job, stage, attempt, outcome, error FROM studio_engine.attempts ORDER BY started_at, job_id;
GRANT SELECT ON t.seen, t.tried TO PUBLIC;
CREATE PROCEDURE t.set(p_name text, p_value text)
LANGUAGE sql SECURITY DEFINER AS $$ UPDATE studio_engine.settings SET value = p_value WHERE name = p_name $$;

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';

-- ------------------------------------------------------------------------
-- Stages
CALL t.as_role('service_role');
SELECT s AS stages, t.ask(format('SELECT count(*) FROM claim_jobs(''studio_jobs'', ''w'', p_stages => %L)', s)) AS answer
  FROM unnest(ARRAY['{NEW}', '{NEW,REFINING}', '{}', '{COMPLETE}', '{FAILED}', '{new}', '{NEW,NEW}', '{NULL}', '{QUEUED}', NULL]) s;
SELECT t.ask($$SELECT count(*) FROM claim_jobs('jobs', 'w', p_stages => '{PENDING}')$$) AS before_work,
       t.ask($$SELECT count(*) FROM claim_jobs('jobs', 'w', p_stages => '{QUEUED,RENDERING}')$$) AS stages_of_another,
       length(p) AS process, t.ask(format('SELECT count(*) FROM claim_jobs(''jobs'', ''w'', p_process_id => %L)', p)) AS answer
  FROM unnest(ARRAY['', 'p', repeat('ü', 200), repeat('ü', 201)]) p;
CALL t.as_admin();
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, status, created_at, priority)
SELECT t.id(20 + n), t.id(1), 'a', (ARRAY['NEW', 'TRANSCRIBING', 'ENRICHING', 'REFINING'])[n % 4 + 1], now() - make_interval(mins => 20 - n), n / 8
  FROM generate_series(1, 10) n;
CALL t.as_role('service_role');
SELECT t.claim('{REFINING}', 1) AS refiner, t.claim('{ENRICHING,REFINING}', 2) AS both, t.claim('{TRANSCRIBING,NEW}', 99) AS first_two, t.claim(NULL, 99) AS rest;
SELECT t.claim('{NEW}', 9) AS none_left;
SELECT DISTINCT stage FROM t.seen ORDER BY stage;
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- a status that moves while the job waits, by an orchestrator without leases
CALL t.studio_job(1, 30);
UPDATE studio_jobs SET status = 'TRANSCRIBING';
CALL t.as_role('service_role');
SELECT t.claim('{NEW}') AS not_new_any_more;
SELECT store_transcript(t.id(30), 'said') ->> 'status' AS status;
SELECT t.claim('{TRANSCRIBING}') AS transcribed_already, t.claim('{ENRICHING}') AS to_be_enriched;
CALL t.as_admin();
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- Hand-overs: one service after the other
CALL t.studio_job(1, 30);
CALL t.as_role('service_role');
SELECT t.claim('{NEW}') AS transcriber;
SELECT update_studio_job_status(t.id(30), 'TRANSCRIBING', t.token(30)) ->> 'status' AS status;
SELECT t.ask($$SELECT store_transcript(t.id(30), 'said', t.token(30), NULL)$$) AS hand_over;
SELECT fail_studio_job(t.id(30), '{"code": "E"}', true, t.token(30), '0 s') ->> 'status' AS failed_once;
SELECT t.claim('{NEW}') AS is_not_new, t.claim('{TRANSCRIBING}') AS second_attempt;
SELECT store_transcript(t.id(30), 'said', t.token(30), true) ->> 'status' AS handed_over;
SELECT * FROM t.seen;
-- again, with the same and with another result; and what the lease is good for now
SELECT t.quiet('SELECT store_transcript(t.id(30), ''said'', t.token(30), true) ->> ''status''') AS again,
       t.quiet('SELECT store_transcript(t.id(30), ''other'', t.token(30), true)') AS other,
       t.quiet('SELECT store_transcript(t.id(30), ''said'', t.token(30))') AS without,
       t.quiet('SELECT heartbeat_job(t.id(30), t.token(30))') AS heartbeat,
       t.quiet('SELECT store_enrichment(t.id(30), ''{}'', t.token(30), true)') AS next_stage;
SELECT t.claim('{NEW,TRANSCRIBING}') AS transcriber, t.claim('{ENRICHING}') AS enricher;
SELECT store_enrichment(t.id(30), '{}', t.token(30), true) ->> 'status' AS status;
SELECT t.claim('{ENRICHING}') AS enricher, t.claim('{REFINING}') AS refiner;
SELECT store_refined_text(t.id(30), 'text', NULL, t.token(30)) ->> 'status' AS status;
SELECT * FROM t.seen;
CALL t.as_admin();
SELECT * FROM t.tried;
SELECT stage, attempt, outcome FROM get_job_attempts(t.id(30));
SELECT * FROM t.queue() WHERE queue NOT LIKE 'the number of the attempt%';
DELETE FROM studio_jobs;
-- the same for videos, and without a lease
CALL t.job(11, 40, 'QUEUED');
CALL t.as_role('service_role');
SELECT t.claim('{QUEUED}', p_system => 'jobs') AS writer;
SELECT advance_job(t.id(40), 'SCRIPTING', NULL, 'writing', t.token(40)) ->> 'status' AS goes_on, advance_job(t.id(40), 'VOICE_GEN', NULL, NULL, t.token(40), true) ->> 'status' AS handed_over;
SELECT t.quiet('SELECT advance_job(t.id(40), ''VOICE_GEN'', NULL, NULL, t.token(40), true) ->> ''status''') AS again;
SELECT advance_job(t.id(40), 'ALIGNMENT', NULL, NULL, NULL, true) ->> 'status' AS without_lease;
SELECT t.claim('{VOICE_GEN}', p_system => 'jobs') AS none, t.claim('{ALIGNMENT}', p_system => 'jobs') AS aligner;
SELECT advance_job(t.id(40), 'FAILED', NULL, NULL, t.token(40), true) ->> 'status' AS ends;
CALL t.as_admin();
SELECT * FROM t.seen;
SELECT * FROM t.queue() WHERE queue NOT LIKE 'the number of the attempt%';
DELETE FROM jobs;

-- ------------------------------------------------------------------------
-- finish_and_claim()
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, status) SELECT t.id(n), t.id(1), 'a', CASE WHEN n < 34 THEN 'REFINING' ELSE 'NEW' END FROM generate_series(31, 35) n;
CALL t.as_user(t.id(1));
SELECT left(t.try(call), 5) AS not_for_users
  FROM unnest(ARRAY['SELECT finish_and_claim(''studio_jobs'', ''w'', NULL, NULL)', 'SELECT complete_jobs(''studio_jobs'', ''[]'')', 'SELECT fail_jobs(''studio_jobs'', ''[]'')',
                    'SELECT cancel_jobs(''studio_jobs'', ''{}'')', 'SELECT retry_failed_jobs(''studio_jobs'')', 'SELECT recover_leases(''w'')']) call;
CALL t.as_role('service_role');
CREATE TEMP TABLE c AS SELECT * FROM finish_and_claim('studio_jobs', 'w', NULL, NULL, p_stages => '{REFINING}');
SELECT t.n(job_id) AS first, attempt FROM c;
CREATE TEMP TABLE d AS
SELECT f.* FROM c, finish_and_claim('studio_jobs', 'w', c.job_id, c.lease_token, '{"refined_text": "text", "model_version": "m"}', p_stages => '{REFINING}') f;
SELECT t.n(job_id) AS next, attempt, job ->> 'status' AS status FROM d;
SELECT status, refined_text, model_version, processing_time_ms IS NOT NULL AS timed FROM studio_jobs WHERE job_id = t.id(31);
-- twice: the completion is repeated, and the next one claimed
SELECT t.n(f.job_id) AS next FROM c, finish_and_claim('studio_jobs', 'w', c.job_id, c.lease_token, '{"refined_text": "text", "model_version": "m"}', p_stages => '{REFINING}') f;
SELECT t.quiet('SELECT finish_and_claim(''studio_jobs'', ''w'', job_id, lease_token, ''{"refined_text": "other"}'') FROM c') AS other;
SELECT t.quiet(format('SELECT finish_and_claim(''studio_jobs'', ''w'', job_id, lease_token, %L) FROM d', r)) AS refused
  FROM unnest(ARRAY['{}', '[]', '"text"', '{"refined_text": 7}', '{"refined_text": null}', '{"refined_text": "t", "model_version": 7}', NULL]) r;
SELECT t.quiet('SELECT finish_and_claim(''studio_jobs'', ''w'', job_id, NULL, ''{"refined_text": "t"}'') FROM d') AS no_token,
       t.quiet('SELECT finish_and_claim(''studio_jobs'', ''w'', job_id, gen_random_uuid(), ''{"refined_text": "t"}'') FROM d') AS wrong_token,
       t.quiet('SELECT finish_and_claim(''studio_jobs'', ''w'', job_id, lease_token, ''{"refined_text": "t"}'', ''{}'') FROM d') AS both,
       t.quiet('SELECT finish_and_claim(''studio_jobs'', ''w'', job_id, lease_token, NULL, ''{}'', NULL) FROM d') AS maybe,
       t.quiet('SELECT finish_and_claim(''jobs'', ''w'', job_id, lease_token) FROM d') AS other_system,
       t.quiet('SELECT finish_and_claim(''studio_jobs'', ''w'', job_id, lease_token, ''{"refined_text": "t"}'', p_limit => -1) FROM d') AS limit;
-- a failure, with a delay of its own
SELECT t.n(f.job_id) AS next FROM d, finish_and_claim('studio_jobs', 'w', d.job_id, d.lease_token, NULL, '{"code": "RATE"}', true, '1 hour', p_limit => 0) f;
SELECT state, due_at - now() BETWEEN INTERVAL '59 minutes' AND INTERVAL '60 minutes' AS in_an_hour FROM t.open_jobs WHERE job_id = (SELECT job_id FROM d);
SELECT t.quiet('SELECT finish_and_claim(''studio_jobs'', ''w'', job_id, lease_token, NULL, ''{"code": "RATE"}'', true, p_limit => 0) FROM d') AS again;
-- the stages of a job, each by one call
SELECT t.claim('{NEW}') AS claimed \gset
SELECT (SELECT count(*) FROM finish_and_claim('studio_jobs', 'w', t.id(34), t.token(34), '{"raw_transcript": "said"}', p_limit => 0)) AS none;
SELECT t.quiet('SELECT count(*) FROM finish_and_claim(''studio_jobs'', ''w'', t.id(34), t.token(34), ''{"raw_transcript": "said"}'', p_limit => 0)') AS again,
       t.quiet('SELECT count(*) FROM finish_and_claim(''studio_jobs'', ''w'', t.id(34), t.token(34), ''{"raw_transcript": "other"}'', p_limit => 0)') AS other;
SELECT stage, state FROM t.open_jobs WHERE job_id = t.id(34);
CALL t.as_admin();
SELECT * FROM t.queue() WHERE queue NOT LIKE 'the number of the attempt%';
DELETE FROM studio_jobs;
DROP TABLE c, d;

-- ------------------------------------------------------------------------
-- Sets: each job for itself
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, status) SELECT t.id(n), t.id(1), 'a', 'REFINING' FROM generate_series(31, 38) n;
CALL t.as_role('service_role');
SELECT t.claim(NULL, 6) AS claimed;
SELECT t.ask(format('SELECT count(*) FROM complete_jobs(''studio_jobs'', %L)', j)) AS refused
  FROM unnest(ARRAY[NULL, '{}', '7', '[7]', '[{}]', '[{"job_id": "x"}]', format('[{"job_id": "%s"}]', t.id(31)),
                    format('[{"job_id": "%s", "lease_token": 1}]', t.id(31)),
                    format('[{"job_id": "%1$s", "lease_token": "%1$s"}, {"job_id": "%1$s", "lease_token": "%1$s"}]', t.id(31)), '[]']) j;
SELECT t.n(job_id) AS job, done, error_code, error_message
  FROM complete_jobs('studio_jobs', t.items('{36,31,32,37,99}', '{"result": {"refined_text": "text"}}')) ORDER BY 1;
SELECT t.n(job_id) AS job, done, error_code, error_message
  FROM complete_jobs('studio_jobs', t.items('{31,33}', '{"result": {"refined_text": "other"}}')) ORDER BY 1;
SELECT t.n(job_id) AS job, done, error_code, error_message
  FROM complete_jobs('studio_jobs', t.items('{31,34}') || t.items('{33}', '{"result": {"refined_text": "other"}}')) ORDER BY 1;
SELECT t.n(job_id) AS job, done, error_code, error_message
  FROM fail_jobs('studio_jobs', t.items('{34}', '{"error": {"code": "E"}, "retryable": true, "retry_in": "2 hours"}')
                                || t.items('{35}', '{"error": {"code": "E"}}') || t.items('{31}', '{"error": {"code": "E"}}') || t.items('{37}', '{"retryable": 1}')) ORDER BY 1;
SELECT t.n(job_id) AS job, status, error_details FROM studio_jobs ORDER BY 1;
SELECT job, state, stage, attempt FROM t.seen;
SELECT t.n(job_id) AS job, done, error_code, error_message FROM cancel_jobs('studio_jobs', ARRAY[t.id(31), t.id(34), t.id(37), t.id(99)], 'enough') ORDER BY 1;
SELECT t.ask('SELECT count(*) FROM cancel_jobs(''studio_jobs'', ARRAY[t.id(31), t.id(31)])') AS twice, t.ask('SELECT count(*) FROM cancel_jobs(''studio_jobs'', ''{NULL}'')') AS nobody,
       t.ask('SELECT count(*) FROM cancel_jobs(''studio_jobs'', NULL)') AS null;
CALL t.as_admin();
SELECT * FROM t.queue();
-- twice, with a job of another user between them
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES (t.id(43), t.id(2), 'a'), (t.id(44), t.id(1), 'a');
SELECT t.ask('SELECT count(*) FROM cancel_jobs(''studio_jobs'', ARRAY[t.id(43), t.id(44), t.id(43)])') AS twice;
-- one user over his limit does not hold up the others
DELETE FROM studio_jobs;
CALL t.set('max_active_jobs', '2');
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, status, error_details, created_at)
SELECT t.id(30 + n), t.id(1 + n % 2), 'a', 'FAILED', jsonb_build_object('code', CASE WHEN n = 8 THEN 'CANCELLED' ELSE 'OUTAGE' END), now() - make_interval(mins => 20 - n)
  FROM generate_series(1, 8) n;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES (t.id(41), t.id(1), 'a'), (t.id(42), t.id(1), 'a');
CALL t.as_role('service_role');
SELECT count(*) AS of_no_such_error FROM retry_failed_jobs('studio_jobs', 'OTHER');
SELECT count(*) AS since_then FROM retry_failed_jobs('studio_jobs', NULL, now());
SELECT t.n(job_id) AS job, done, error_code, error_message FROM retry_failed_jobs('studio_jobs', 'OUTAGE', now() - INTERVAL '1 hour') ORDER BY 1;
SELECT t.n(job_id) AS job, status FROM studio_jobs ORDER BY 1;
SELECT l AS "limit", t.ask(format('SELECT count(*) FROM retry_failed_jobs(''jobs'', p_limit => %L)', l)) AS answer FROM unnest('{1,1000,0,1001,NULL}'::integer[]) l;
CALL t.as_admin();
CALL t.set('max_active_jobs', '0');
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- Processes of one name
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) SELECT t.id(n), t.id(1), 'a' FROM generate_series(31, 36) n;
CALL t.as_role('service_role');
SELECT t.claim(NULL, 2, 'worker-0', 'old') AS old, t.claim(NULL, 2, 'worker-0', 'new') AS new, t.claim(NULL, 1, 'worker-0') AS without;
SELECT release_leases('worker-0') AS without, release_leases('worker-0') AS again;
SELECT release_leases('worker-0', NULL, ARRAY[t.token(31)]) AS by_token, release_leases('worker-0', 'new', ARRAY[t.token(32)]) AS of_another, release_leases('other', NULL, ARRAY[t.token(32)]) AS of_another;
SELECT release_leases('worker-0', 'old') AS by_process;
SELECT * FROM t.seen;
SELECT t.claim(NULL, 2, 'worker-0', 'old') AS old;
-- start-up counts: after three of them a job is given up
SELECT recover_leases('worker-0', 'new') AS recovered;
SELECT job, state, attempt, process FROM t.seen;
SELECT t.claim(NULL, 1, 'worker-0', 'newer') AS second, recover_leases('worker-0', 'newest') AS recovered;
CALL t.as_admin();
SELECT * FROM t.tried WHERE outcome = 'expired';
UPDATE studio_engine.settings SET value = '1' WHERE name = 'max_attempts';
SELECT t.claim(NULL, 1, 'worker-1') AS last, recover_leases('worker-1') AS recovered;
SELECT status, error_details FROM studio_jobs WHERE status = 'FAILED';
UPDATE studio_engine.settings SET value = '3' WHERE name = 'max_attempts';
SELECT * FROM t.queue();
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- Attempts of a job's own, and delays
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, max_attempts) VALUES (t.id(30), t.id(1), 'a', 1), (t.id(31), t.id(1), 'a', 5);
CALL t.as_role('service_role');
SELECT t.claim(NULL, 2) AS claimed;
SELECT fail_studio_job(t.id(30), '{}', true, t.token(30)) ->> 'status' AS only_one, fail_studio_job(t.id(31), '{}', true, t.token(31), '0 s') ->> 'status' AS five;
SELECT t.claim() AS second, fail_studio_job(t.id(31), '{}', true, t.token(31), '0 s') ->> 'status' AS status;
SELECT t.claim() AS third, fail_studio_job(t.id(31), '{}', true, t.token(31), '0 s') ->> 'status' AS status;
SELECT t.claim() AS fourth, fail_studio_job(t.id(31), '{}', true, t.token(31), '0 s') ->> 'status' AS status;
SELECT t.claim() AS fifth, fail_studio_job(t.id(31), '{}', true, t.token(31), '0 s') ->> 'status' AS status;
SELECT r AS retry_in, t.ask(format('SELECT fail_studio_job(t.id(30), ''{}'', true, t.id(9), %L)', r)) AS answer FROM unnest('{-1 second,366 days,367 days,infinity}'::text[]) r WHERE r <> 'infinity';
SELECT t.ask('SELECT fail_studio_job(t.id(30), ''{}'', false, t.id(9), ''1 hour'')') AS not_retryable;
CALL t.as_admin();
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- Jobs for later
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, run_at) VALUES (t.id(30), t.id(1), 'a', now() + INTERVAL '1 hour'), (t.id(31), t.id(1), 'a', now() - INTERVAL '1 hour');
SELECT job, state FROM t.seen;
SELECT t.claim(NULL, 9) AS not_yet;
SELECT t.time_comes(30) \g /dev/null
SELECT t.claim(NULL, 9) AS now;
SELECT * FROM t.queue();
DELETE FROM studio_jobs;
-- of many that are due, those of high priority come first
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, run_at) SELECT t.id(n), t.id(1), 'a', now() + INTERVAL '1 hour' FROM generate_series(1001, 1400) n;
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, run_at, priority) VALUES (t.id(30), t.id(1), 'a', now() + INTERVAL '1 hour', 100), (t.id(31), t.id(1), 'a', now() + INTERVAL '1 hour', 7);
UPDATE studio_engine.queue SET due_at = now() - INTERVAL '1 minute' WHERE job_id NOT IN (t.id(30), t.id(31));
UPDATE studio_engine.queue SET due_at = now() - INTERVAL '1 second' WHERE job_id IN (t.id(30), t.id(31));
SELECT t.claim(NULL, 3) AS first;
DELETE FROM studio_jobs;
VACUUM studio_engine.queue;
\c -
-- age, by setting: a step of priority is worth a minute
CALL t.set('priority_ageing_seconds', '60');
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, priority, created_at)
VALUES (t.id(31), t.id(1), 'a', 0, now() - INTERVAL '10 minutes'), (t.id(32), t.id(1), 'a', 5, now()), (t.id(33), t.id(1), 'a', 20, now()), (t.id(34), t.id(1), 'a', -100, now() - INTERVAL '3 hours'),
       (t.id(35), t.id(1), 'a', 100, '-infinity'), (t.id(36), t.id(1), 'a', -2147483648, now());
SELECT t.claim(NULL, 9) AS by_age_and_priority;
CALL t.set('priority_ageing_seconds', '0');
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- The end of a lease: the longest time of a run, the grace of a cancellation
CALL t.set('max_run_seconds', '100');
CALL t.studio_job(1, 30);
SELECT t.claim() AS claimed;
SELECT (heartbeat_job(t.id(30), t.token(30), NULL, NULL, '1 hour') ->> 'lease_expires_at')::timestamptz - now() BETWEEN INTERVAL '95 s' AND INTERVAL '100 s' AS no_longer;
SELECT claim_jobs('studio_jobs', 'w', 1, '1 day') IS NULL AS none_left \g /dev/null
UPDATE studio_engine.attempts SET started_at = started_at - INTERVAL '99 s', expires_at = started_at + INTERVAL '1 s', due_at = started_at;
SELECT pg_sleep(1.1) \g /dev/null
SELECT t.quiet('SELECT heartbeat_job(t.id(30), t.token(30))') AS too_late, reap_expired_leases() AS reaped;
SELECT stage, outcome, error FROM t.tried;
CALL t.set('max_run_seconds', '0');
DELETE FROM studio_jobs;
CALL t.set('cancel_grace_seconds', '1');
CALL t.studio_job(1, 30);
SELECT t.claim() AS claimed;
SELECT cancel_studio_job(t.id(30), 'why') -> 'cancel_requested' AS requested;
SELECT heartbeat_job(t.id(30), t.token(30), NULL, NULL, '1 hour') -> 'cancel' AS cancel, expires_at <= cancel_requested_at + INTERVAL '1 s' AS for_a_second FROM t.open_jobs;
SELECT pg_sleep(1.1) \g /dev/null
SELECT t.claim() AS none;
SELECT status, error_details FROM studio_jobs;
SELECT stage, outcome FROM t.tried;
CALL t.set('cancel_grace_seconds', '60');
DELETE FROM studio_jobs;
-- a claim heals what a dead worker left
CALL t.set('retry_base_seconds', '0');
CALL t.studio_job(1, 30);
SELECT t.claim() AS claimed, t.time_comes(30) IS NOT NULL AS dies;
SELECT t.claim() AS healed;
CALL t.set('retry_base_seconds', '5');
SELECT * FROM t.queue();

CALL t.as_admin();
SELECT * FROM t.clean();
DROP FUNCTION t.claim, t.items;
DROP PROCEDURE t.set;
DROP VIEW t.seen, t.tried;
DROP FUNCTION t.token, t.time_comes, t.renew, t.refusals;
DROP TABLE t.leases;
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_jobs';
