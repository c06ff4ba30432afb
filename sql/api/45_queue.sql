-- The worker engine: claim, heartbeat, snooze, release, reap; one for all tables
-- of jobs. How a job gets on and ends is in the files of its system.

CREATE FUNCTION studio_engine.keep_queue()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_queue'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.keep_queue() IS
'Trigger, AFTER INSERT, UPDATE or DELETE on a table of jobs, argument: the table. Keeps studio_engine.queue: a job that has work to do is in it, one that has ended is not, and whoever had it has it no more.';

CREATE FUNCTION studio_engine.keep_worked_on()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_worked_on'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.keep_worked_on() IS
'Trigger, BEFORE DELETE on a table of jobs, argument: the table. Refuses a user whom the owner lets delete jobs while a worker has the job, or it is in a stage between the first and the last (PT409); he may cancel it. Services, cascades and superusers pass.';

CREATE FUNCTION studio_engine.forget_queue()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'forget_queue'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.forget_queue() IS
'Trigger, AFTER TRUNCATE on a table of jobs, argument: the table. Empties the queue of it.';

CREATE FUNCTION @extschema@.claim_jobs(
    p_system text, p_worker text, p_limit integer DEFAULT 1, p_lease interval DEFAULT NULL)
  RETURNS TABLE (job_id uuid, lease_token uuid, attempt integer, lease_expires_at timestamptz,
    job jsonb)
  LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'claim_jobs'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.claim_jobs(text, text, integer, interval) IS
'Gives up to p_limit (1 to 1000) jobs of a table (p_system: studio_jobs, jobs, mm_rendering_queue) to a worker (p_worker: any name of 1 to 200 characters), by priority, then age; no job goes to two. Each comes with a lease token, which every write of the worker must carry, the number of the attempt, the end of the lease (p_lease: 1 second to 1 day; NULL: setting lease_seconds) and the row of the job (NULL where it is gone). Once their texts come to 32 MiB no more jobs are given, but one in any case. A job whose row cannot be shown is not given: it is FAILED with error code UNREADABLE_JOB, that attempt counts, and its hold is released. The status of the others stays. Call it at READ COMMITTED and in a transaction of its own: at other levels, claims that meet end with 40001. Services only; 22004, 22023.';

CREATE FUNCTION @extschema@.heartbeat_job(p_job_id uuid, p_lease_token uuid, p_progress integer DEFAULT NULL,
    p_status_message text DEFAULT NULL, p_lease interval DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'heartbeat_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.heartbeat_job(uuid, uuid, integer, text, interval) IS
'Prolongs a lease to p_lease from now (NULL: setting lease_seconds). Returns cancel, true when somebody wants the job to be cancelled and the worker should fail it, and lease_expires_at. Progress in percent and message (at most 1000 characters) go into the row of a video job, progress alone into that of a rendering, at most once in progress_interval_ms and never backwards; without them, and for studio jobs, only a narrow private row is written. Call it in a transaction of its own. Services only; 22004, 22023, PT409 lease lost or expired.';

CREATE FUNCTION @extschema@.snooze_job(p_job_id uuid, p_lease_token uuid, p_for interval)
  RETURNS timestamptz
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'snooze_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.snooze_job(uuid, uuid, interval) IS
'Gives a job back to be claimed again after p_for (0 seconds to 366 days). The attempt does not count. Where the job is to be cancelled, it is. Returns when it is due; NULL when it is not, being cancelled or claimed again. Services only; 22004, 22023, PT409 lease lost or expired.';

CREATE FUNCTION @extschema@.release_leases(p_worker text)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'release_leases'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.release_leases(text) IS
'Gives back all jobs that a worker has by good leases, as when it shuts down: they are claimed again from where they were in the queue, and those that are to be cancelled are. The attempts do not count. Jobs that somebody has locked at the moment are left out, and so are expired leases, which reap_expired_leases() takes. Returns how many. Services only; 22004.';

CREATE FUNCTION @extschema@.reap_expired_leases(p_limit integer DEFAULT 1000)
  RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'reap_expired_leases'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.reap_expired_leases(integer) IS
'Takes jobs from workers that went silent, at most p_limit (1 to 10000): they are tried again after a delay, as by fail_job(), or FAILED with error code LEASE_EXPIRED after the last attempt, or CANCELLED where that was asked for. Call it every minute or so, from a worker or from pg_cron. Jobs and accounts that somebody has locked at the moment are left for the next time; a job that cannot be written, because a trigger refuses, is warned of and left for a minute. Returns how many. Services only; 22004, 22023.';

CREATE FUNCTION @extschema@.get_job_attempts(p_job_id uuid)
  RETURNS TABLE (system text, attempt integer, worker text, started_at timestamptz,
    ended_at timestamptz, outcome text, error jsonb)
  LANGUAGE c STABLE ROWS 5 AS 'MODULE_PATHNAME', 'get_job_attempts'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_job_attempts(uuid) IS
'What came of the last 200 leases of a job (of studio_jobs, jobs or mm_rendering_queue), oldest first. error: cut where it takes more than 4000 bytes, as truncated says. outcome: completed, failed, retried (failed, to be tried again), expired (the worker went silent), cancelled, snoozed or released. A lease that goes on is not listed. Its owner, who does not see worker, or a service; 22004, 42501 not yours, PT404.';

CREATE FUNCTION @extschema@.get_job_statistics(p_system text, p_user_id uuid DEFAULT NULL, p_window interval DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_job_statistics'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_job_statistics(text, uuid, interval) IS
'Figures about the jobs of a table (p_system: studio_jobs, jobs, mm_rendering_queue) as a JSON object: count_by_status; completed and failed; average_ms, p50_ms, p95_ms from created_at to the end of completed jobs, in milliseconds; throughput_per_hour, jobs that were completed within p_window (NULL: the last 24 hours), an hour; waiting, delayed, leased and oldest_waiting_seconds of the queue; recent_failures, the 10 newest, where an error of more than 1000 bytes is cut to its code, message and step, with truncated true. All but count_by_status, throughput and the queue look at the jobs made within p_window (NULL: ever). p_user_id NULL: the caller, or for a service all users. Reads all jobs in question. The user or a service; 22004, 22023, 42501 not yours.';

CREATE FUNCTION studio_engine.open_jobs(
    OUT system text, OUT job_id uuid, OUT user_id uuid, OUT priority integer, OUT created_at timestamptz)
  RETURNS SETOF record
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'SET ROLE to the owner of schema studio_engine.';
  END IF;
  RETURN QUERY
    SELECT 'jobs', j.id, j.user_id, j.priority, j.created_at
      FROM @extschema@.jobs j WHERE j.status NOT IN ('PENDING', 'READY', 'FAILED')
    UNION ALL
    SELECT 'studio_jobs', j.job_id, j.user_id, j.priority, j.created_at
      FROM @extschema@.studio_jobs j WHERE j.status NOT IN ('COMPLETE', 'FAILED')
    UNION ALL
    SELECT 'mm_rendering_queue', r.render_id, r.user_id, r.priority, r.created_at
      FROM @extschema@.mm_rendering_queue r WHERE r.status IN ('queued', 'rendering');
END
$$;
COMMENT ON FUNCTION studio_engine.open_jobs() IS
'The jobs that have work to do, and so belong into studio_engine.queue. The owner of the data.';

CREATE FUNCTION studio_engine.rebuild_queue_as_owner() RETURNS integer
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  v_added integer;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call studio_engine.rebuild_queue().';
  END IF;
  LOCK TABLE @extschema@.jobs, @extschema@.studio_jobs, @extschema@.mm_rendering_queue IN SHARE ROW EXCLUSIVE MODE;

  DELETE FROM studio_engine.queue q
   WHERE NOT EXISTS (SELECT 1 FROM studio_engine.open_jobs() o
                      WHERE o.system = q.system::text AND o.job_id = q.job_id);

  DELETE FROM studio_engine.attempts t
   WHERE NOT EXISTS (SELECT 1 FROM @extschema@.jobs j WHERE t.system = 'jobs' AND j.id = t.job_id)
     AND NOT EXISTS (SELECT 1 FROM @extschema@.studio_jobs j WHERE t.system = 'studio_jobs' AND j.job_id = t.job_id)
     AND NOT EXISTS (SELECT 1 FROM @extschema@.mm_rendering_queue r
                      WHERE t.system = 'mm_rendering_queue' AND r.render_id = t.job_id);

  UPDATE studio_engine.queue q SET rank = ~o.priority, user_id = o.user_id
    FROM studio_engine.open_jobs() o
   WHERE o.system = q.system::text AND o.job_id = q.job_id
     AND (q.rank, q.user_id) IS DISTINCT FROM (~o.priority, o.user_id);

  INSERT INTO studio_engine.queue (system, rank, due_at, job_id, user_id, attempt, first_attempt)
  SELECT o.system::studio_engine.job_system, ~o.priority, least(o.created_at, clock_timestamp()), o.job_id, o.user_id,
         a.last, a.last + 1
    FROM studio_engine.open_jobs() o,
         LATERAL (SELECT coalesce(max(t.attempt), 0) AS last FROM studio_engine.attempts t
                   WHERE t.job_id = o.job_id AND t.system::text = o.system
                     AND t.outcome NOT IN ('snoozed', 'released')) a
  ON CONFLICT (job_id, system) DO NOTHING;
  GET DIAGNOSTICS v_added = ROW_COUNT;
  RETURN v_added;
END
$$;
COMMENT ON FUNCTION studio_engine.rebuild_queue_as_owner() IS
'What rebuild_queue() does once it runs as the owner of the data; refuses to run as anybody else (42501).';

CREATE FUNCTION studio_engine.rebuild_queue() RETURNS integer
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'rebuild_queue';
COMMENT ON FUNCTION studio_engine.rebuild_queue() IS
'Mends studio_engine.queue after the tables of jobs were changed with triggers off: removes what has ended, with its lease, and the attempts of jobs that are gone, corrects priorities and owners, adds what is missing, by its age and without a turn. Returns how many were added. Writers wait meanwhile. The owner of the data; 55P03 somebody wrote to a table of jobs, and did not end, for five seconds: repeat it.';
