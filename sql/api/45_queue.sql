-- The queue and its leases: claim, heartbeat, snooze, release and reap, which are
-- the same for all tables of jobs. The functions that move, complete and fail jobs
-- are in the files of their systems.

CREATE FUNCTION studio_engine.maintain_queue()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_queue'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.maintain_queue() IS
'Maintain studio_engine.queue as jobs are inserted, updated and deleted.

Trigger, AFTER INSERT, UPDATE OR DELETE on a table of jobs. Its argument names the table. A job that has work
to do has a row in the queue. A job that has ended has none, and the worker that held it loses its lease.';

CREATE FUNCTION studio_engine.forbid_delete_of_leased_job()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'forbid_delete_of_leased_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.forbid_delete_of_leased_job() IS
'Forbid users to delete a job that is in progress.

Trigger, BEFORE DELETE on a table of jobs. Its argument names the table. It binds users whom the owner of the
data lets delete jobs: they are refused (PT409) while a worker holds the job or it is in a stage between the
first and the last; cancelling the job ends it. Services, cascades and superusers pass.';

CREATE FUNCTION studio_engine.clear_queue()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'clear_queue'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.clear_queue() IS
'Empty the queue of a table of jobs that is truncated.

Trigger, AFTER TRUNCATE on a table of jobs. Its argument names the table.';

CREATE FUNCTION @extschema@.claim_jobs(
    p_system text, p_worker text, p_limit integer DEFAULT 1, p_lease interval DEFAULT NULL,
    p_stages text[] DEFAULT NULL, p_process_id text DEFAULT NULL)
  RETURNS TABLE (job_id uuid, lease_token uuid, attempt integer, lease_expires_at timestamptz,
    job jsonb)
  LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'claim_jobs'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.claim_jobs(text, text, integer, interval, text[], text) IS
'Lease jobs to a worker, by priority, then age.

No job is leased to two workers. The status of a job does not change.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_worker: any name, 1 to 200 characters.
- p_limit: at most how many jobs, 1 to 1000.
- p_lease: length of the lease, 1 second to 1 day; NULL: setting lease_seconds. At most setting max_run_seconds.
- p_stages: statuses with work to do; only jobs in one of them are leased. NULL: all.
- p_process_id: identifies this process among those that use the same name, at most 200 characters;
  release_leases() and recover_leases() tell them apart by it.

Returns for each job its lease_token, which every write of the worker must carry, the number of the attempt,
the end of the lease, and the row of the job (NULL where it does not exist). Once their texts come to 32 MiB
no more jobs are returned, but at least one is. A job whose row cannot be shown is not returned: it becomes
FAILED with error code UNREADABLE_JOB, the attempt counts, and its hold is released.
If there are fewer jobs than p_limit, up to 100 expired leases are ended as by reap_expired_leases().
Call it at READ COMMITTED and in a transaction of its own: at other isolation levels, concurrent claims end
with 40001.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 unknown system, or a value is out of bounds.';

CREATE FUNCTION @extschema@.finish_and_claim(
    p_system text, p_worker text, p_job_id uuid, p_lease_token uuid,
    p_result jsonb DEFAULT NULL, p_error jsonb DEFAULT NULL, p_retryable boolean DEFAULT false,
    p_retry_in interval DEFAULT NULL, p_limit integer DEFAULT 1, p_lease interval DEFAULT NULL,
    p_stages text[] DEFAULT NULL, p_process_id text DEFAULT NULL)
  RETURNS TABLE (job_id uuid, lease_token uuid, attempt integer, lease_expires_at timestamptz,
    job jsonb)
  LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'finish_and_claim'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.finish_and_claim(
  text, text, uuid, uuid, jsonb, jsonb, boolean, interval, integer, interval, text[], text) IS
'End the work on a job and lease the next ones, in one call and one commit.

With p_error, or with p_retryable, the job fails as by fail_job(); otherwise it is completed, or handed over to its
next stage.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_worker: any name, 1 to 200 characters.
- p_job_id: the job that ends; NULL only leases.
- p_lease_token: the token that the claim of it returned.
- p_result: what was made. studio_jobs: refined_text, with model_version or without, completes the job;
  raw_transcript (of a job at NEW, too) or enrichment_entities ends its stage and hands it over. jobs: status hands it over to this
  status, with status_message or without; output_url, manifest_json and cost_credits_final complete it.
  mm_rendering_queue: asset_id completes it. NULL is an empty object.
- p_error: why it failed. studio_jobs: any object of at most 256 KiB; jobs and mm_rendering_queue: code, message
  and step (jobs).
- p_retryable: true queues the job for a retry as long as attempts are left.
- p_retry_in: when a retry is due, 0 seconds to 366 days from now; NULL: after a delay as by fail_job().
- p_limit: at most how many jobs to lease, 0 to 1000.
- p_lease, p_stages, p_process_id: of the leases, as for claim_jobs().

Returns the leased jobs as claim_jobs() does. An error changes nothing: the job does not end and none is leased.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 unknown system, or a value is out of bounds; PT404 no such job;
PT409 the lease is lost or has expired, the job is to be cancelled, or it was completed differently; 23514
illegal transition.';

CREATE FUNCTION @extschema@.complete_jobs(p_system text, p_jobs jsonb)
  RETURNS TABLE (job_id uuid, done boolean, error_code text, error_message text)
  LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'complete_jobs'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.complete_jobs(text, jsonb) IS
'End the work on many jobs: complete each, or hand it over to its next stage.

What refuses one job does not stop the others.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_jobs: an array of at most 1000 objects with job_id, lease_token and result, which is as p_result of
  finish_and_claim().

Returns a row for each job: done, or the SQLSTATE and the message of the error that refused it. A late retry of
the call returns done for what was completed with the same result.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 unknown system, p_jobs is no such array or has a job twice.';

CREATE FUNCTION @extschema@.fail_jobs(p_system text, p_jobs jsonb)
  RETURNS TABLE (job_id uuid, done boolean, error_code text, error_message text)
  LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'fail_jobs'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.fail_jobs(text, jsonb) IS
'Fail many jobs, or queue retries of them.

What refuses one job does not stop the others.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_jobs: an array of at most 1000 objects with job_id, lease_token, error (as p_error of finish_and_claim()),
  retryable (true or false) and retry_in (an interval as text).

Returns a row for each job: done, or the SQLSTATE and the message of the error that refused it.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 unknown system, p_jobs is no such array or has a job twice.';

CREATE FUNCTION @extschema@.cancel_jobs(p_system text, p_job_ids uuid[], p_reason text DEFAULT NULL)
  RETURNS TABLE (job_id uuid, done boolean, error_code text, error_message text)
  LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'cancel_jobs'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.cancel_jobs(text, uuid[], text) IS
'Cancel many jobs, or request it from the workers that have them.

What refuses one job does not stop the others.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_job_ids: at most 1000 jobs.
- p_reason: at most 1000 characters.

Returns a row for each job: done, or the SQLSTATE and the message of the error that refused it.
Callers: services only.
Errors: 22004 p_system, p_job_ids or one of them is NULL; 22023 unknown system, too many jobs, or one twice.';

CREATE FUNCTION @extschema@.retry_failed_jobs(
    p_system text, p_error_code text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_limit integer DEFAULT 100)
  RETURNS TABLE (job_id uuid, done boolean, error_code text, error_message text)
  LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'retry_failed_jobs'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.retry_failed_jobs(text, text, timestamptz, integer) IS
'Queue failed jobs again, as after an outage.

Each is retried as by the function of its system: video jobs are paid again. What refuses one job, like the limit
of its user or too few credits, does not stop the others.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_error_code: only jobs that failed with this code; NULL: all that were not cancelled.
- p_since: only jobs that failed since; NULL: ever.
- p_limit: at most how many, the oldest first, 1 to 1000.

Returns a row for each job: done, or the SQLSTATE and the message of the error that refused it. Reads all failed jobs.
Callers: services only.
Errors: 22004 p_system or p_limit is NULL; 22023 unknown system, or a value is out of bounds.';

CREATE FUNCTION @extschema@.heartbeat_job(p_job_id uuid, p_lease_token uuid, p_progress integer DEFAULT NULL,
    p_status_message text DEFAULT NULL, p_lease interval DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'heartbeat_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.heartbeat_job(uuid, uuid, integer, text, interval) IS
'Renew the lease of a worker, and record the progress of its job.

- p_job_id: the job.
- p_lease_token: the token that claim_jobs() returned.
- p_progress: 0 to 100; it never decreases within an attempt.
- p_status_message: what the worker is doing, at most 1000 characters.
- p_lease: length of the lease from now on, 1 second to 1 day; NULL: as long as at the claim. A lease is never
  shortened. It ends at the latest setting max_run_seconds after the claim, and setting cancel_grace_seconds after
  the job was to be cancelled.

Returns lease_expires_at, and cancel: true if the job is to be cancelled and the worker should fail it.
Progress and message go into the row of a video job, progress alone into that of a rendering, at most once in
setting progress_interval_ms. Without them, and for studio jobs, only a narrow private row is written. Call it
in a transaction of its own.
Callers: services only.
Errors: 22004 p_job_id or p_lease_token is NULL; 22023 a value is out of bounds; PT409 the lease is lost or
has expired.';

CREATE FUNCTION @extschema@.snooze_job(p_job_id uuid, p_lease_token uuid, p_for interval)
  RETURNS timestamptz
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'snooze_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.snooze_job(uuid, uuid, interval) IS
'Release a leased job, to be claimed again after a delay.

The attempt does not count. A job that is to be cancelled is cancelled.

- p_job_id: the job.
- p_lease_token: the token that claim_jobs() returned.
- p_for: the delay, 0 seconds to 366 days.

Returns when the job is due; NULL where it is not delayed, having been cancelled or claimed again.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 p_for is out of bounds; PT409 the lease is lost or has expired.';

CREATE FUNCTION @extschema@.release_leases(
    p_worker text, p_process_id text DEFAULT NULL, p_lease_tokens uuid[] DEFAULT NULL)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'release_leases'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.release_leases(text, text, uuid[]) IS
'Release jobs that a worker holds, as when it shuts down.

The jobs keep their places in the queue, and the attempts do not count. Jobs that are to be cancelled are
cancelled.

- p_worker: the name that the worker gave to claim_jobs().
- p_process_id: the process that it gave; NULL: leases claimed without one.
- p_lease_tokens: only these leases, of any process if p_process_id is NULL; NULL: all.

Skips jobs that another session has locked, and expired leases, which reap_expired_leases() ends. Returns the
number of jobs released.
Callers: services only.
Errors: 22004 p_worker is NULL.';

CREATE FUNCTION @extschema@.recover_leases(p_worker text, p_process_id text DEFAULT NULL)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'recover_leases'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.recover_leases(text, text) IS
'End the leases of the processes of a worker that are gone, as at its start.

The attempts count, so that a job that brings its worker down is not tried for ever: it is retried at once, and
after the last attempt it becomes FAILED with error code WORKER_RESTARTED. Jobs that are to be cancelled are cancelled.

- p_worker: the name that the worker gave to claim_jobs().
- p_process_id: the process that is starting up, which keeps its leases; NULL: the worker has no leases any more.

Skips jobs that another session has locked. Returns the number of leases ended.
Callers: services only.
Errors: 22004 p_worker is NULL.';

CREATE FUNCTION @extschema@.reap_expired_leases(p_limit integer DEFAULT 1000)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'reap_expired_leases'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.reap_expired_leases(integer) IS
'End the expired leases of workers that stopped responding.

Their jobs are retried after a delay, as by fail_job(). After the last attempt they become FAILED with error
code LEASE_EXPIRED, and those that are to be cancelled are cancelled.

- p_limit: at most how many, 1 to 10000.

Delayed jobs that are due become waiting, and workers that LISTEN are told (setting notify_workers).
Call it every minute or so, from a worker or from pg_cron. Jobs and accounts that another session has locked
are skipped until the next call. A job that cannot be written, since a trigger refuses it, raises a warning
and is skipped for a minute. Returns the number of leases reaped.
Callers: services only.
Errors: 22004 p_limit is NULL; 22023 p_limit is out of bounds.';

CREATE FUNCTION @extschema@.pause_queue(p_system text, p_stage text DEFAULT NULL, p_reason text DEFAULT NULL)
  RETURNS void
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pause_queue'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.pause_queue(text, text, text) IS
'Let no jobs be claimed, of a table or of one stage.

Jobs that run go on: heartbeats, hand-overs and completions are not refused. Claims that begin after the pause
has committed return none of the jobs; a claim that is under way may.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_stage: a status with work to do; NULL: all.
- p_reason: why, for people, 1 to 1000 characters.

A pause that is there stays, with the new reason if one is given.
Callers: services only.
Errors: 22004 p_system is NULL; 22023 unknown system or stage, or p_reason is out of bounds.';

CREATE FUNCTION @extschema@.resume_queue(p_system text, p_stage text DEFAULT NULL)
  RETURNS boolean
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'resume_queue'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.resume_queue(text, text) IS
'End a pause.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_stage: the stage that was paused; NULL ends a pause of the table, not those of its stages.

Returns whether there was one.
Callers: services only.
Errors: 22004 p_system is NULL; 22023 unknown system or stage.';

CREATE FUNCTION @extschema@.limit_stage(p_system text, p_stage text, p_max_running integer)
  RETURNS void
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'limit_stage'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.limit_stage(text, text, integer) IS
'Limit how many jobs may run at a stage, for all users together.

Providers limit their callers so. What counts is the stage at which a job was claimed, until its lease ends. Claims keep the limit, under any
isolation level; jobs that run are not stopped. While a stage of a table is limited, claims from it wait for
each other.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_stage: a status with work to do.
- p_max_running: the limit; NULL or 0: none.

Callers: services only.
Errors: 22004 p_system or p_stage is NULL; 22023 unknown system or stage, or p_max_running is negative.';

CREATE FUNCTION @extschema@.get_queue_stages(p_system text)
  RETURNS TABLE (stage text, paused_at timestamptz, pause_reason text, max_running integer, running bigint,
    waiting bigint, delayed bigint, parked bigint, oldest_waiting_at timestamptz)
  LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME', 'get_queue_stages'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_queue_stages(text) IS
'Returns the stages of a table of jobs with what waits and runs there.

- p_system: studio_jobs, jobs or mm_rendering_queue.

The stages are in the order of the flow. running counts the leases by the stage at which they were claimed. parked jobs wait until their users have fewer that
run (setting max_running_jobs). Reads the whole queue of the table.
Callers: services only.
Errors: 22004 p_system is NULL; 22023 unknown system.';

CREATE FUNCTION @extschema@.get_running_jobs(p_system text DEFAULT NULL, p_limit integer DEFAULT 100)
  RETURNS TABLE (system text, job_id uuid, user_id uuid, stage text, worker text, process_id text, attempt integer,
    started_at timestamptz, lease_expires_at timestamptz, overdue boolean, cancel_requested_at timestamptz,
    cancel_reason text)
  LANGUAGE c STABLE ROWS 100 AS 'MODULE_PATHNAME', 'get_running_jobs'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_running_jobs(text, integer) IS
'Returns the jobs that workers have: who has which, since when and until when.

- p_system: studio_jobs, jobs or mm_rendering_queue; NULL: all.
- p_limit: at most how many, the longest first, 1 to 1000.

stage is the status at which the job was claimed; overdue is true for leases that have expired and that
reap_expired_leases(), or a claim that finds too little, will end.
Callers: services only.
Errors: 22004 p_limit is NULL; 22023 unknown system, or p_limit is out of bounds.';

CREATE FUNCTION @extschema@.get_job_attempts(p_job_id uuid)
  RETURNS TABLE (system text, attempt integer, worker text, started_at timestamptz,
    ended_at timestamptz, outcome text, error jsonb, stage text)
  LANGUAGE c STABLE ROWS 5 AS 'MODULE_PATHNAME', 'get_job_attempts'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_job_attempts(uuid) IS
'Returns the last 200 leases of a job and their outcomes, oldest first.

- p_job_id: a job of studio_jobs, jobs or mm_rendering_queue.

outcome is completed, handed_over (to the next stage), failed, retried (failed, with a retry queued), expired (the
worker stopped responding), cancelled, snoozed or released; of the current lease, which has no ended_at, it is
running. stage is the status of the job when it was claimed. An error of more than 4000 bytes is cut, with
truncated true. The owner does not see worker.
Callers: the owner of the job, or a service.
Errors: 22004 p_job_id is NULL; 42501 not a job of the caller; PT404 no such job.';

CREATE FUNCTION @extschema@.get_job_statistics(p_system text, p_user_id uuid DEFAULT NULL, p_window interval DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_job_statistics'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_job_statistics(text, uuid, interval) IS
'Returns figures about the jobs of a table.

- p_system: studio_jobs, jobs or mm_rendering_queue.
- p_user_id: the user; NULL is the caller, for a service all users.
- p_window: only jobs created within this time until now count, 1 second to 36525 days; NULL is all.
  Throughput takes the jobs completed within it, of the last 24 hours where it is NULL.

The result is a JSON object: count_by_status; completed and failed; average_ms, p50_ms and p95_ms from
created_at to the end of completed jobs, in milliseconds; throughput_per_hour, completed jobs an hour;
waiting, delayed, parked, leased and oldest_waiting_seconds of the queue; recent_failures, the 10 newest, where an
error of more than 1000 bytes is cut to its code, message and step, with truncated true. p_window does not
limit count_by_status and the queue. Reads all jobs in question.
Callers: the user, or a service.
Errors: 22004 p_system is NULL; 22023 unknown system, or p_window is out of bounds; 42501 not the caller.';

CREATE FUNCTION studio_engine.open_jobs(
    OUT system text, OUT job_id uuid, OUT user_id uuid, OUT priority integer, OUT created_at timestamptz,
    OUT stage text, OUT run_at timestamptz)
  RETURNS SETOF record
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'SET ROLE to the owner of schema studio_engine.';
  END IF;
  RETURN QUERY
    SELECT 'jobs', j.id, j.user_id, j.priority, j.created_at, j.status::text, j.run_at
      FROM @extschema@.jobs j WHERE j.status NOT IN ('PENDING', 'READY', 'FAILED')
    UNION ALL
    SELECT 'studio_jobs', j.job_id, j.user_id, j.priority, j.created_at, j.status, j.run_at
      FROM @extschema@.studio_jobs j WHERE j.status NOT IN ('COMPLETE', 'FAILED')
    UNION ALL
    SELECT 'mm_rendering_queue', r.render_id, r.user_id, r.priority, r.created_at, r.status, r.run_at
      FROM @extschema@.mm_rendering_queue r WHERE r.status IN ('queued', 'rendering');
END
$$;
COMMENT ON FUNCTION studio_engine.open_jobs() IS
'Returns the jobs that have not ended: they wait, or workers have them.

Callers: the owner of the data.
Errors: 42501 for all others.';

CREATE FUNCTION studio_engine.rebuild_queue_as_owner() RETURNS integer
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  v_added integer;
  v_ageing bigint; -- seconds of age that a step of priority is worth; the position is then in turn
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call studio_engine.rebuild_queue().';
  END IF;
  v_ageing := coalesce((SELECT s.value::bigint FROM studio_engine.settings s
                         WHERE s.name = 'priority_ageing_seconds'
                           AND NOT EXISTS (SELECT 1 FROM studio_engine.settings f WHERE f.name = 'fair_queue' AND f.value <> '0')), 0);
  LOCK TABLE @extschema@.jobs, @extschema@.studio_jobs, @extschema@.mm_rendering_queue IN SHARE ROW EXCLUSIVE MODE;

  DELETE FROM studio_engine.queue q
   WHERE NOT EXISTS (SELECT 1 FROM studio_engine.open_jobs() o
                      WHERE o.system = q.system::text AND o.job_id = q.job_id)
      OR EXISTS (SELECT 1 FROM studio_engine.attempts a
                  WHERE a.job_id = q.job_id AND a.system = q.system AND a.ended_at IS NULL);

  DELETE FROM studio_engine.attempts t
   WHERE NOT EXISTS (SELECT 1 FROM @extschema@.jobs j WHERE t.system = 'jobs' AND j.id = t.job_id)
     AND NOT EXISTS (SELECT 1 FROM @extschema@.studio_jobs j WHERE t.system = 'studio_jobs' AND j.job_id = t.job_id)
     AND NOT EXISTS (SELECT 1 FROM @extschema@.mm_rendering_queue r
                      WHERE t.system = 'mm_rendering_queue' AND r.render_id = t.job_id);

  UPDATE studio_engine.attempts a SET ended_at = clock_timestamp(), outcome = 'released'
   WHERE a.ended_at IS NULL
     AND NOT EXISTS (SELECT 1 FROM studio_engine.open_jobs() o
                      WHERE o.system = a.system::text AND o.job_id = a.job_id);

  UPDATE studio_engine.queue q
     SET rank = CASE WHEN v_ageing = 0 THEN ~o.priority ELSE q.rank END, user_id = o.user_id, stage = o.stage
    FROM studio_engine.open_jobs() o
   WHERE o.system = q.system::text AND o.job_id = q.job_id
     AND ((q.user_id, q.stage) IS DISTINCT FROM (o.user_id, o.stage) OR v_ageing = 0 AND q.rank <> ~o.priority);

  UPDATE studio_engine.attempts a SET user_id = o.user_id
    FROM studio_engine.open_jobs() o
   WHERE o.system = a.system::text AND o.job_id = a.job_id AND a.user_id IS DISTINCT FROM o.user_id;

  INSERT INTO studio_engine.queue (system, state, rank, turn, due_at, job_id, user_id, stage, attempt, first_attempt)
  SELECT o.system::studio_engine.job_system,
         CASE WHEN o.run_at > clock_timestamp() THEN 'delayed' ELSE 'waiting' END::studio_engine.queue_state,
         CASE WHEN v_ageing = 0 THEN ~o.priority ELSE -1 END,
         CASE WHEN v_ageing = 0 OR NOT isfinite(o.created_at) THEN 0
              ELSE ((extract(epoch FROM o.created_at) - 946684800) * 1000000 - o.priority::numeric * v_ageing * 1000000)::bigint END,
         CASE WHEN o.run_at > clock_timestamp() THEN o.run_at ELSE least(o.created_at, clock_timestamp()) END,
         o.job_id, o.user_id, o.stage, a.last, a.last + 1
    FROM studio_engine.open_jobs() o,
         LATERAL (SELECT coalesce(max(t.attempt), 0) AS last FROM studio_engine.attempts t
                   WHERE t.job_id = o.job_id AND t.system::text = o.system
                     AND t.outcome NOT IN ('snoozed', 'released')) a
   WHERE NOT EXISTS (SELECT 1 FROM studio_engine.attempts t
                      WHERE t.job_id = o.job_id AND t.system::text = o.system AND t.ended_at IS NULL)
  ON CONFLICT (job_id, system) DO NOTHING;
  GET DIAGNOSTICS v_added = ROW_COUNT;
  RETURN v_added;
END
$$;
COMMENT ON FUNCTION studio_engine.rebuild_queue_as_owner() IS
'Do the work of rebuild_queue() as the owner of the data.

Callers: the owner of the data, by way of rebuild_queue().
Errors: 42501 for all others.';

CREATE FUNCTION studio_engine.rebuild_queue() RETURNS integer
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'rebuild_queue';
COMMENT ON FUNCTION studio_engine.rebuild_queue() IS
'Repair studio_engine.queue after changes with the triggers off.

Deletes the rows of jobs that have ended, ends their leases, and deletes the attempts of jobs that do not exist;
corrects priorities, owners and stages; adds what is missing, in the order of age and without a turn. Writers wait
meanwhile.
Returns the number of rows added.
Callers: the owner of the data.
Errors: 55P03 another transaction wrote to a table of jobs for more than five seconds; retry.';
