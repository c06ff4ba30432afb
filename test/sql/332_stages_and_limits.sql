-- 332_stages_and_limits.sql
--
-- Stages that are paused or limited, users with a limit of running jobs, and what
-- operators see of both.

\set VERBOSITY terse
\set SHOW_CONTEXT never

\i test/sql/include/leases.sql

CREATE FUNCTION t.claim(p_stages text[] DEFAULT NULL, p_limit integer DEFAULT 1, p_system text DEFAULT 'studio_jobs') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_claim record;
  v_jobs text;
BEGIN
  FOR v_claim IN SELECT * FROM public.claim_jobs(p_system, 'w', p_limit, NULL, p_stages) LOOP
    v_jobs := concat_ws(' ', v_jobs, t.n(v_claim.job_id));
    INSERT INTO t.leases (job, token, lease_until)
    VALUES (right(v_claim.job_id::text, 12)::integer, v_claim.lease_token, v_claim.lease_expires_at);
  END LOOP;
  RETURN v_jobs;
END
$$;
CREATE FUNCTION t.complete(VARIADIC p_jobs integer[]) RETURNS bigint
LANGUAGE sql AS $$
  SELECT count(*) FILTER (WHERE c.done)
    FROM public.complete_jobs('studio_jobs', (SELECT jsonb_agg(jsonb_build_object('job_id', t.id(j), 'lease_token', t.token(j), 'result', jsonb_build_object('refined_text', 'text'))) FROM unnest(p_jobs) j)) c
$$;
CREATE PROCEDURE t.set(p_name text, p_value text)
LANGUAGE sql SECURITY DEFINER AS $$ UPDATE studio_engine.settings SET value = p_value WHERE name = p_name $$;
-- jobs of a user, at REFINING if nothing else is said
CREATE PROCEDURE t.jobs(p_user integer, p_from integer, p_to integer, p_status text DEFAULT 'REFINING', p_priority integer DEFAULT 0)
LANGUAGE sql SECURITY DEFINER AS $$
  INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url, status, priority)
  SELECT t.id(n), t.id(p_user), 'a', p_status, p_priority FROM generate_series(p_from, p_to) n
$$;
CREATE VIEW t.states AS
SELECT t.n(user_id) AS "user", state, count(*) AS jobs FROM t.open_jobs GROUP BY user_id, state ORDER BY 1, 2;
GRANT SELECT ON t.states TO PUBLIC;

CALL t.sign_up(1, 2, 3);
CALL t.set('max_active_jobs', '0');

-- ------------------------------------------------------------------------
-- Pauses
CALL t.as_user(t.id(1));
SELECT left(t.try(call), 5) AS not_for_users
  FROM unnest(ARRAY['SELECT pause_queue(''jobs'')', 'SELECT resume_queue(''jobs'')', 'SELECT limit_stage(''jobs'', ''QUEUED'', 1)',
                    'SELECT get_queue_stages(''jobs'')', 'SELECT get_running_jobs()', 'SELECT 1 FROM studio_engine.queue_stages']) call;
CALL t.as_role('service_role');
SELECT left(t.try('SELECT 1 FROM studio_engine.queue_stages'), 5) AS private;
SELECT s AS stage, t.ask(format('SELECT pause_queue(''studio_jobs'', %L)', s)) AS pause, t.ask(format('SELECT limit_stage(''studio_jobs'', %L, 0)', s)) AS limit
  FROM unnest('{NEW,REFINING,COMPLETE,FAILED,new,QUEUED,"",NULL}'::text[]) s;
SELECT resume_queue('studio_jobs') AS all, resume_queue('studio_jobs') AS again, resume_queue('studio_jobs', 'NEW') AS new, resume_queue('studio_jobs', 'REFINING') AS refining;
SELECT l AS "limit", t.ask(format('SELECT limit_stage(''studio_jobs'', ''NEW'', %s)', coalesce(l::text, 'NULL'))) AS answer FROM unnest('{1,2147483647,-1,0,NULL}'::integer[]) l;
SELECT length(r) AS reason, t.ask(format('SELECT pause_queue(''studio_jobs'', ''NEW'', %L)', r)) AS answer FROM unnest(ARRAY['', 'why', repeat('ü', 1000), repeat('ü', 1001)]) r;
SELECT resume_queue('studio_jobs', 'NEW') AS resumed;
CALL t.jobs(1, 31, 32, 'NEW');
CALL t.jobs(1, 33, 34, 'ENRICHING', 5);
CALL t.jobs(1, 35, 36);
SELECT pause_queue('studio_jobs', 'ENRICHING', 'the provider is down') \g /dev/null
SELECT t.claim('{ENRICHING}', 9) AS paused, t.claim(NULL, 2) AS others, t.claim('{ENRICHING,REFINING}', 1) AS the_other;
SELECT stage, paused_at IS NOT NULL AS paused, pause_reason, max_running, running, waiting, delayed, parked, oldest_waiting_at IS NOT NULL AS oldest FROM get_queue_stages('studio_jobs');
SELECT pause_queue('studio_jobs') \g /dev/null
SELECT t.claim(NULL, 9) AS all_paused, t.complete(35) AS completed;
SELECT heartbeat_job(t.id(31), t.token(31)) -> 'cancel' AS heartbeat;
SELECT stage, paused_at IS NOT NULL AS paused, pause_reason FROM get_queue_stages('studio_jobs');
SELECT resume_queue('studio_jobs') AS resumed, t.claim(NULL, 9) AS stage_still_paused;
SELECT resume_queue('studio_jobs', 'ENRICHING') AS resumed, t.claim(NULL, 9) AS rest;
-- what is paused is not known to be so by another session only
CALL t.as_admin();
DELETE FROM studio_jobs;
INSERT INTO studio_engine.queue_stages (system, stage, paused_at) VALUES ('studio_jobs', 'no such stage', now()), ('jobs', '', now());
CALL t.jobs(1, 31, 31);
SELECT t.claim() AS not_of_another_system;
DELETE FROM studio_engine.queue_stages;
DELETE FROM studio_jobs;

-- ------------------------------------------------------------------------
-- Limits of stages
CALL t.jobs(1, 31, 40, 'NEW');
CALL t.jobs(2, 41, 44);
CALL t.as_role('service_role');
SELECT t.claim('{NEW}', 1) AS before;
SELECT limit_stage('studio_jobs', 'NEW', 3) \g /dev/null
SELECT t.claim(NULL, 5) AS two_of_new_and_others;
SELECT t.claim('{NEW}', 5) AS at_the_limit, t.claim(NULL, 5) AS others;
SELECT stage, max_running, running, waiting FROM get_queue_stages('studio_jobs') WHERE running > 0;
SELECT release_leases('w', NULL, ARRAY[t.token(31)]) AS released, t.claim(NULL, 5) AS the_next;
SELECT t.claim('{NEW}') AS at_the_limit;
SELECT update_studio_job_status(t.id(32), 'TRANSCRIBING', t.token(32), true) ->> 'status' AS handed_over, t.claim('{NEW}', 5) AS the_next;
SELECT limit_stage('studio_jobs', 'NEW', 5) \g /dev/null
SELECT t.claim('{NEW}', 9) AS two_more;
SELECT limit_stage('studio_jobs', 'NEW', 1) \g /dev/null
SELECT t.claim('{NEW}') AS over_the_limit, stage, max_running, running FROM get_queue_stages('studio_jobs') WHERE stage = 'NEW';
SELECT limit_stage('studio_jobs', 'NEW', NULL) \g /dev/null
SELECT t.claim('{NEW}', 9) AS rest;
CALL t.as_admin();
SELECT * FROM t.queue() WHERE queue NOT LIKE 'the number of the attempt%';
DELETE FROM studio_jobs;
DELETE FROM studio_engine.queue_stages;

-- ------------------------------------------------------------------------
-- Limits of users: one user's jobs stand in front, and do not hold up the others
CALL t.set('max_running_jobs', '2');
CALL t.jobs(1, 1001, 1100, 'REFINING', 9);
CALL t.jobs(2, 41, 43);
SELECT * FROM t.states;
CALL t.as_role('service_role');
SELECT t.claim(NULL, 9) AS claimed;
SELECT * FROM t.states;
SELECT t.claim(NULL, 9) AS all_at_their_limits;
SELECT t.complete(1001) AS completed, t.claim(NULL, 9) AS the_next;
SELECT fail_studio_job(t.id(1002), '{}', true, t.token(1002), '1 hour') ->> 'status' AS retried, t.claim(NULL, 9) AS the_next;
SELECT cancel_studio_job(t.id(1050)) ->> 'status' AS parked_one;
SELECT release_leases('w', NULL, ARRAY[t.token(41)]) AS released, t.claim(NULL, 9) AS it_again;
CALL t.as_admin();
SELECT * FROM t.states;
SELECT * FROM t.queue() WHERE queue NOT LIKE 'the number of the attempt%';
-- rows of an orchestrator, deletions
UPDATE studio_jobs SET status = 'FAILED' WHERE job_id = t.id(1003);
SELECT t.claim(NULL, 9) AS the_next;
DELETE FROM studio_jobs WHERE job_id = t.id(1004);
SELECT t.claim(NULL, 9) AS the_next;
-- a parked job that was forgotten is found by a claim that finds too little
DELETE FROM studio_jobs;
CALL t.jobs(1, 31, 35);
UPDATE studio_engine.queue SET state = 'parked';
SELECT t.claim(NULL, 9) AS healed;
-- a limit that comes when the jobs are there, and the leases
DELETE FROM studio_jobs;
CALL t.set('max_running_jobs', '0');
CALL t.jobs(1, 1001, 1300, 'REFINING', 9);
CALL t.jobs(2, 41, 43);
CALL t.jobs(3, 51, 51);
\c -
SELECT t.claim(NULL, 3) AS unlimited;
CALL t.set('max_running_jobs', '2');
BEGIN;
SELECT t.claim(NULL, 9) AS taken_back;
ROLLBACK;
SELECT t.claim(NULL, 9) AS others_and_none_of_his;
SELECT * FROM t.states;
SELECT t.complete(1001) AS completed, t.claim(NULL, 9) AS still_two;
SELECT t.complete(1002) AS completed, t.claim(NULL, 9) AS the_next;
SELECT studio_engine.rebuild_queue() AS added;
SELECT * FROM t.states;
SELECT * FROM t.queue();
-- without it again
CALL t.set('max_running_jobs', '0');
SELECT t.claim(NULL, 200) IS NOT NULL AS claimed;
SELECT * FROM t.states;
-- what one limit does not admit leaves its place at the other
DELETE FROM studio_jobs;
CALL t.set('max_running_jobs', '1');
CALL t.set('retry_base_seconds', '3600');
SELECT limit_stage('studio_jobs', 'REFINING', 2) \g /dev/null
CALL t.jobs(1, 31, 32);
CALL t.jobs(2, 41, 41);
UPDATE studio_engine.queue SET state = 'waiting';
SELECT t.claim(NULL, 1) AS first;
SELECT t.claim(NULL, 1) AS of_another;
-- a lease that the claim ends itself makes room
UPDATE studio_engine.attempts SET expires_at = now(), due_at = now() WHERE job_id = t.id(31) AND ended_at IS NULL;
SELECT t.claim(NULL, 1) AS in_its_place;
-- ... and no more than that
DELETE FROM studio_jobs;
CALL t.set('max_running_jobs', '0');
SELECT limit_stage('studio_jobs', 'REFINING', 3) \g /dev/null
CALL t.jobs(1, 31, 38);
SELECT t.claim(NULL, 1) AS first;
UPDATE studio_engine.attempts SET expires_at = now(), due_at = now() WHERE job_id = t.id(31) AND ended_at IS NULL;
SELECT t.claim(NULL, 9) AS three;
-- the same for a user
DELETE FROM studio_jobs;
SELECT limit_stage('studio_jobs', 'REFINING', 0) \g /dev/null
CALL t.set('max_running_jobs', '3');
CALL t.jobs(1, 31, 38);
CALL t.jobs(2, 41, 41);
SELECT t.claim(NULL, 1) AS first;
UPDATE studio_engine.attempts SET expires_at = now(), due_at = now() WHERE job_id = t.id(31) AND ended_at IS NULL;
SELECT t.claim(NULL, 9) AS three_and_of_another;
-- a job that cannot be written does not keep others from being given back
CREATE FUNCTION t.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$;
CREATE TRIGGER poison BEFORE UPDATE ON studio_jobs FOR EACH ROW WHEN (OLD.job_id = '00000000-0000-4000-8000-000000000041') EXECUTE FUNCTION t.refuse();
SELECT t.id(41) = '00000000-0000-4000-8000-000000000041' AS this_one, recover_leases('w') AS recovered;
SELECT t.n(job_id) AS job, ended_at IS NULL AS goes_on FROM studio_engine.attempts ORDER BY job_id;
DROP TRIGGER poison ON studio_jobs;
SELECT recover_leases('w') AS recovered;
DELETE FROM studio_jobs;
CALL t.set('retry_base_seconds', '5');
CALL t.set('max_running_jobs', '0');
SELECT limit_stage('studio_jobs', 'REFINING', 0) \g /dev/null
SELECT * FROM t.queue();
-- together with a limit of the stage, and fair turns
DELETE FROM studio_jobs;
CALL t.set('max_running_jobs', '2');
CALL t.set('fair_queue', '1');
CALL t.jobs(1, 31, 35);
CALL t.jobs(2, 41, 45);
CALL t.jobs(3, 51, 55);
SELECT limit_stage('studio_jobs', 'REFINING', 5) \g /dev/null
SELECT t.claim(NULL, 99) AS five;
SELECT t.complete(31) AS completed, t.claim(NULL, 99) AS one;
CALL t.set('fair_queue', '0');
CALL t.set('max_running_jobs', '0');
SELECT limit_stage('studio_jobs', 'REFINING', 0) \g /dev/null
SELECT * FROM t.queue();

-- ------------------------------------------------------------------------
-- Who has what
SELECT t.ask(format('SELECT count(*) FROM get_running_jobs(%L, %s)', s, l)) AS answer
  FROM (VALUES (NULL, '100'), ('jobs', '100'), ('studio_jobs', '2'), ('nothing', '1'), ('jobs', '0'), ('jobs', '1001'), ('jobs', 'NULL')) c (s, l);
UPDATE studio_engine.attempts SET expires_at = now(), due_at = now() WHERE job_id = t.id(41);
SELECT cancel_studio_job(t.id(32), 'enough') IS NOT NULL AS requested;
SELECT system, t.n(job_id) AS job, t.n(user_id) AS "user", stage, worker, process_id, attempt, started_at < now() AS started, overdue, cancel_requested_at IS NOT NULL AS cancel, cancel_reason
  FROM get_running_jobs('studio_jobs') ORDER BY job;

DELETE FROM studio_jobs;
CALL t.set('max_active_jobs', '5');
DELETE FROM studio_engine.queue_stages;
SELECT * FROM t.clean();
DROP FUNCTION t.claim, t.complete, t.token, t.time_comes, t.refusals, t.renew;
DROP PROCEDURE t.set, t.jobs;
DROP VIEW t.states;
DROP TABLE t.leases;
