-- 350_job_statistics.sql
--
-- get_job_statistics() against the same figures, computed in the plainest way.
-- Pitfall: what depends on the clock is compared within one transaction, and
-- the generated jobs stay clear of the edges of the windows; those are in hours,
-- as a day may have 23.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- The figures of a list of jobs, one by one.  Percentiles by their definition:
-- the place between the two nearest values.
CREATE VIEW t.all_jobs AS
SELECT 'studio_jobs' AS system, job_id, user_id, status, created_at, processing_time_ms::numeric AS ms,
       status = 'COMPLETE' AS done, created_at + make_interval(secs => processing_time_ms / 1000.0) AS ended_at, error_details AS error
  FROM public.studio_jobs
UNION ALL
SELECT 'jobs', id, user_id, status::text, created_at, extract(epoch FROM finished_at - created_at) * 1000,
       status = 'READY', finished_at, jsonb_strip_nulls(jsonb_build_object('code', error_code, 'message', error_message, 'step', failed_step))
  FROM public.jobs;
CREATE FUNCTION t.percentile(p_values numeric[], p_share numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
  SELECT p_values[1 + floor(place)] + (place - floor(place)) * (p_values[least(2 + floor(place), n)] - p_values[1 + floor(place)])
    FROM (SELECT p_share * (cardinality(p_values) - 1) AS place, cardinality(p_values) AS n) p
$$;
CREATE FUNCTION t.expected(p_system text, p_user uuid, p_window interval) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  v_job record;
  v_from timestamptz := coalesce(now() - p_window, '-infinity');
  v_hours numeric := extract(epoch FROM coalesce(p_window, INTERVAL '24 hours')) / 3600;
  v_counts jsonb := '{}';
  v_completed integer := 0;
  v_failed integer := 0;
  v_lately integer := 0;
  v_times numeric[] := '{}';
  v_failures jsonb := '[]';
  v_result jsonb;
BEGIN
  FOR v_job IN SELECT * FROM t.all_jobs a WHERE a.system = p_system AND (p_user IS NULL OR a.user_id = p_user)
                ORDER BY created_at DESC, job_id LOOP
    v_counts := v_counts || jsonb_build_object(v_job.status, coalesce((v_counts ->> v_job.status)::integer, 0) + 1);
    IF v_job.done AND v_job.ended_at >= now() - coalesce(p_window, INTERVAL '24 hours') THEN
      v_lately := v_lately + 1;
    END IF;
    CONTINUE WHEN v_job.created_at < v_from;
    IF v_job.done THEN
      v_completed := v_completed + 1;
      v_times := v_times || v_job.ms;
    ELSIF v_job.status = 'FAILED' THEN
      v_failed := v_failed + 1;
      IF v_failed <= 10 THEN
        v_failures := v_failures || jsonb_build_object('job_id', v_job.job_id, 'error', v_job.error, 'created_at', v_job.created_at);
      END IF;
    END IF;
  END LOOP;
  SELECT array_agg(v ORDER BY v) INTO v_times FROM unnest(v_times) v;
  SELECT jsonb_build_object('waiting', count(*) FILTER (WHERE state = 'waiting'), 'delayed', count(*) FILTER (WHERE state = 'delayed'),
                            'parked', count(*) FILTER (WHERE state = 'parked'), 'leased', count(*) FILTER (WHERE state = 'leased'),
                            'oldest_waiting_seconds', date_part('epoch', clock_timestamp() - min(due_at) FILTER (WHERE state = 'waiting')))
    INTO v_result FROM t.open_jobs WHERE system::text = p_system AND (p_user IS NULL OR user_id = p_user);
  RETURN v_result || jsonb_build_object('system', p_system, 'count_by_status', v_counts, 'completed', v_completed, 'failed', v_failed,
    'average_ms', (SELECT avg(v) FROM unnest(v_times) v), 'p50_ms', t.percentile(v_times, 0.5), 'p95_ms', t.percentile(v_times, 0.95),
    'throughput_per_hour', v_lately / v_hours, 'recent_failures', v_failures);
END
$$;
-- The figures that differ, numbers by more than what rounding does, seconds by
-- more than a minute.
CREATE FUNCTION t.differences(p_system text, p_user uuid DEFAULT NULL, p_window interval DEFAULT NULL, p_whose uuid DEFAULT NULL)
RETURNS TABLE (figure text, is jsonb, expected jsonb)
LANGUAGE sql AS $$
  SELECT coalesce(i.key, e.key), i.value, e.value
    FROM jsonb_each(public.get_job_statistics(p_system, p_user, p_window)) i
    FULL JOIN jsonb_each(t.expected(p_system, coalesce(p_user, p_whose), p_window)) e USING (key)
   WHERE CASE WHEN jsonb_typeof(i.value) = 'number' AND jsonb_typeof(e.value) = 'number'
              THEN abs((i.value #>> '{}')::numeric - (e.value #>> '{}')::numeric) > CASE i.key WHEN 'oldest_waiting_seconds' THEN 60 ELSE 0.006 END
              ELSE i.value IS DISTINCT FROM e.value END
$$;

CALL t.sign_up(1, 2, 3);
CALL t.project(1, 11);
CALL t.project(2, 12);

-- none at all
SELECT jsonb_pretty(get_job_statistics('studio_jobs'));
SELECT jsonb_pretty(get_job_statistics('jobs', t.id(1), '1 hour'));
SELECT * FROM t.differences('studio_jobs');
SELECT * FROM t.differences('jobs');

-- 600 jobs of each kind over two weeks, two of three of the first user
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, created_at, status, processing_time_ms, error_details, priority)
SELECT t.id(n), t.id(CASE WHEN n % 3 = 0 THEN 2 ELSE 1 END), 'a', now() - n * INTERVAL '34 minutes',
       CASE WHEN n % 4 = 0 THEN 'FAILED' WHEN n % 10 = 1 THEN 'NEW' WHEN n % 10 = 3 THEN 'REFINING' ELSE 'COMPLETE' END,
       CASE WHEN n % 4 <> 0 AND n % 10 NOT IN (1, 3) THEN (n * 7919) % 90001 END,
       CASE WHEN n % 8 = 0 THEN jsonb_build_object('code', 'E' || n, 'message', 'Ünï ' || n) END, n % 5
  FROM generate_series(1, 600) n;
INSERT INTO jobs (id, project_id, user_id, created_at, status, finished_at, error_code, error_message)
SELECT t.id(1000 + n), t.id(CASE WHEN n % 3 = 0 THEN 12 ELSE 11 END), t.id(CASE WHEN n % 3 = 0 THEN 2 ELSE 1 END), now() - n * INTERVAL '34 minutes',
       CASE WHEN n % 4 = 0 THEN 'FAILED' WHEN n % 10 = 1 THEN 'QUEUED' WHEN n % 10 = 3 THEN 'RENDERING' WHEN n % 10 = 7 THEN 'PENDING' ELSE 'READY' END::job_status,
       CASE WHEN n % 10 NOT IN (1, 3, 7) THEN now() - n * INTERVAL '34 minutes' + ((n * 7919) % 90001) * INTERVAL '1.037 milliseconds' END,
       CASE WHEN n % 8 = 0 THEN 'E' || n END, CASE WHEN n % 12 = 0 THEN 'Ünï ' || n END
  FROM generate_series(1, 600) n;
-- failures of one moment, in the order of their ids
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, created_at, status)
SELECT t.id(2000 - n), t.id(1), 'a', now() - INTERVAL '17 minutes', 'FAILED' FROM generate_series(1, 12) n;
-- workers have some, some are delayed
SELECT count(*) AS claimed FROM claim_jobs('studio_jobs', 'w', 20);
SELECT count(*) AS claimed FROM claim_jobs('jobs', 'w', 20);
SELECT count(fail_studio_job(job_id, '{"code": "E"}', true, lease_token)) AS retried FROM (SELECT * FROM t.open_jobs WHERE system = 'studio_jobs' AND state = 'leased' ORDER BY job_id LIMIT 6) q;
SELECT count(snooze_job(job_id, lease_token, '1 hour')) AS snoozed FROM (SELECT * FROM t.open_jobs WHERE system = 'jobs' AND state = 'leased' ORDER BY job_id LIMIT 7) q;

-- a service, for all and for one, ever and in windows
CALL t.as_role('service_role');
SELECT s AS system, s.figures ->> 'completed' AS completed, s.figures ->> 'failed' AS failed, s.figures -> 'count_by_status' AS by_status,
       s.figures ->> 'waiting' AS waiting, s.figures ->> 'delayed' AS delayed, s.figures ->> 'leased' AS leased,
       jsonb_array_length(s.figures -> 'recent_failures') AS failures
  FROM (SELECT n, get_job_statistics(n) FROM unnest('{studio_jobs,jobs}'::text[]) n) s (s, figures);
SELECT s AS system, u AS "user", w AS window, d.*
  FROM unnest('{studio_jobs,jobs}'::text[]) s, unnest('{NULL,1,2,3}'::integer[]) u,
       unnest('{NULL,1 second,50 minutes,10 hours,72 hours,168 hours,2400 hours,876600 hours}'::text[]) w,
       t.differences(s, t.id(u), w::interval) d;
SELECT get_job_statistics('studio_jobs', t.id(3)) - 'recent_failures' AS of_a_user_without_jobs;
SELECT get_job_statistics('studio_jobs', t.id(99)) = get_job_statistics('studio_jobs', t.id(3)) AS of_nobody;
SELECT (get_job_statistics('studio_jobs', NULL, '50 minutes') -> 'recent_failures' -> 0 ->> 'job_id')::uuid = t.id(1988) AS first_of_one_moment,
       (SELECT array_agg(DISTINCT k ORDER BY k) FROM jsonb_array_elements(get_job_statistics('studio_jobs') -> 'recent_failures') f, jsonb_object_keys(f) k) AS columns;
-- the statistics of the seed, with the same results
SELECT (SELECT jsonb_object_agg(status, count) FROM (SELECT status, COUNT(*) FROM studio_jobs GROUP BY status) c) = g -> 'count_by_status' AS by_status,
       (SELECT round(AVG(processing_time_ms), 2) FROM studio_jobs WHERE status = 'COMPLETE') = (g ->> 'average_ms')::numeric AS average,
       (SELECT array_agg(created_at) FROM (SELECT job_id, error_details, created_at FROM studio_jobs WHERE status = 'FAILED' ORDER BY created_at DESC LIMIT 10) f)
       = (SELECT array_agg((f ->> 'created_at')::timestamptz) FROM jsonb_array_elements(g -> 'recent_failures') f) AS recent_failures
  FROM get_job_statistics('studio_jobs') g;

-- a user, for himself
CALL t.as_user(t.id(2));
SELECT s AS system, w AS window, d.*
  FROM unnest('{studio_jobs,jobs}'::text[]) s, unnest('{NULL,10 hours,168 hours}'::text[]) w, t.differences(s, NULL, w::interval, t.id(2)) d;
SELECT get_job_statistics('jobs') = get_job_statistics('jobs', t.id(2)) AS his_own, (get_job_statistics('jobs') ->> 'completed')::integer AS completed;
SELECT t.ask('SELECT get_job_statistics(''jobs'', t.id(1))') AS of_another, t.ask('SELECT get_job_statistics(''jobs'', t.id(99))') AS of_nobody;
CALL t.as_role('authenticated');
SELECT t.ask('SELECT get_job_statistics(''jobs'')') AS nobody, t.ask('SELECT get_job_statistics(''jobs'', t.id(1))') AS nobody;
CALL t.as_role('anon');
SELECT left(t.ask('SELECT get_job_statistics(''jobs'')'), 5) AS anon;

-- bounds
CALL t.as_role('service_role');
SELECT s AS system, t.try(format('SELECT get_job_statistics(%L)', s)) AS answer FROM unnest('{studio_jobs,jobs,profiles,"",NULL}'::text[]) s;
SELECT w AS window, t.try(format('SELECT get_job_statistics(''jobs'', NULL, %L)', w)) AS answer
  FROM unnest('{1 second,876600 hours,0,-1 second,0.999 seconds,876600 hours 0.001 seconds,10000 years}'::text[]) w;
SELECT left(t.try('SELECT get_job_statistics(''jobs'', NULL, ''infinity'')'), 2) AS an_error_of_class_22;

-- a month is 30 days, whatever the length of the last
CALL t.as_admin();
INSERT INTO studio_jobs (user_id, raw_audio_url, status, created_at)
VALUES (t.id(3), 'a', 'COMPLETE', now() - INTERVAL '719 hours'), (t.id(3), 'a', 'COMPLETE', now() - INTERVAL '721 hours');
SELECT get_job_statistics('studio_jobs', t.id(3), '1 month') ->> 'completed' AS completed;

-- times that are far away, of imports and clocks that went wrong
CALL t.as_admin();
DELETE FROM jobs;
DELETE FROM studio_jobs;
INSERT INTO studio_jobs (user_id, raw_audio_url, status, created_at, processing_time_ms)
SELECT t.id(1), 'a', s, c::timestamptz, CASE s WHEN 'COMPLETE' THEN 2147483647 END
  FROM unnest('{NEW,COMPLETE,FAILED}'::text[]) s, unnest('{4714-11-24 00:00:00+00 BC,294276-01-01 00:00:00+00}'::text[]) c;
SELECT g - 'recent_failures' - 'oldest_waiting_seconds' - 'throughput_per_hour' AS figures, (g ->> 'oldest_waiting_seconds')::bigint > 2e11 AS oldest
  FROM get_job_statistics('studio_jobs') g;
DELETE FROM studio_jobs;
INSERT INTO studio_jobs (user_id, raw_audio_url, status, created_at)
SELECT t.id(1), 'a', s, c::timestamptz FROM unnest('{NEW,COMPLETE,FAILED}'::text[]) s, unnest('{infinity,-infinity}'::text[]) c;
SELECT t.try('SELECT get_job_statistics(''studio_jobs'')') AS answer;
SELECT t.try('SELECT get_job_statistics(''studio_jobs'', t.id(1), ''1 day'')') AS answer;
CALL t.job(11, 30, 'READY');
UPDATE jobs SET created_at = '-infinity', finished_at = now();
SELECT t.try('SELECT get_job_statistics(''jobs'')') AS answer;

DROP FUNCTION t.differences, t.expected, t.percentile;
DROP VIEW t.all_jobs;
SELECT * FROM t.queue();
SELECT * FROM t.clean();
