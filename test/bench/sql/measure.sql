-- What the rows call, in schema bench.  p_side: ours or twin.
-- Pitfall: time is taken around the calls alone; each is a transaction, whose
-- commit is left out.  So is what a session has to learn first: its first calls.
-- Of the others the median counts, since other programs get in between.

CREATE SCHEMA bench;

CREATE FUNCTION bench.us(p_since timestamptz) RETURNS double precision
LANGUAGE sql VOLATILE AS $$ SELECT extract(epoch FROM clock_timestamp() - p_since) * 1e6 $$;

-- Microseconds that the processor has worked for this session, in user and
-- system mode: what others do meanwhile does not count.
CREATE FUNCTION bench.cpu() RETURNS double precision
LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(split_part(pg_read_file('/proc/self/schedstat', 0, 1000, true), ' ', 1)::double precision / 1000,
                  (SELECT (f[12]::double precision + f[13]::double precision) * 10000
                     FROM string_to_array(split_part(pg_read_file('/proc/self/stat', 0, 4000), ') ', 2), ' ') f))
$$;

CREATE FUNCTION bench.median(p_values double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$ SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM unnest(p_values) v $$;

-- What EXPLAIN measures of a query, all that its functions did included.
CREATE FUNCTION bench.explain(p_query text, OUT us double precision, OUT pages bigint)
LANGUAGE plpgsql AS $$
DECLARE
  v_plan json;
BEGIN
  EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || p_query INTO v_plan;
  us := (v_plan -> 0 ->> 'Execution Time')::double precision * 1000;
  pages := (v_plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (v_plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
END
$$;

-- What claims of a session touch has been touched by it before: a session that
-- has served for a while, whatever the number of jobs.
CREATE EXTENSION pg_prewarm SCHEMA bench;
CREATE EXTENSION pgstattuple SCHEMA bench;
CREATE PROCEDURE bench.warm(p_system text)
LANGUAGE plpgsql AS $$
DECLARE
  v_relation regclass;
BEGIN
  FOREACH v_relation IN ARRAY ARRAY['studio_engine.queue', 'studio_engine.attempts', 'public.' || p_system]::regclass[] LOOP
    PERFORM bench.pg_prewarm(v_relation);
    EXECUTE format('SELECT count(*) FROM %s', v_relation);
    PERFORM bench.pg_prewarm(i.indexrelid), bench.pgstatindex(i.indexrelid) FROM pg_index i WHERE i.indrelid = v_relation;
  END LOOP;
  COMMIT;
END
$$;

-- Claims of one job each by a warm session: microseconds and pages of one.
CREATE PROCEDURE bench.claims(p_system text, p_stages text[], p_claims integer, INOUT us double precision, INOUT pages double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_from timestamptz;
  v_us double precision[];
BEGIN
  CALL bench.warm(p_system);
  pages := 0;
  FOR i IN -19..p_claims LOOP
    v_from := clock_timestamp();
    PERFORM FROM public.claim_jobs(p_system, 'bench', p_stages => p_stages);
    IF i > 0 THEN
      v_us[i] := bench.us(v_from);
    END IF;
    COMMIT;
  END LOOP;
  FOR i IN 1..20 LOOP
    pages := pages + (SELECT e.pages FROM bench.explain(format('SELECT * FROM public.claim_jobs(%L, ''bench'', p_stages => %L)',
                      p_system, p_stages)) e);
    COMMIT;
  END LOOP;
  us := bench.median(v_us);
  pages := pages / 20;
END
$$;

-- 100 leases that are over, taken away: microseconds and pages of one.  Undone.
CREATE PROCEDURE bench.reap(p_side text, INOUT us double precision, INOUT pages double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_schema text := CASE p_side WHEN 'twin' THEN 'twin' ELSE 'public' END;
  v_private text := CASE p_side WHEN 'twin' THEN 'twin' ELSE 'studio_engine' END;
  v_measured record;
  v_us double precision[];
BEGIN
  FOR i IN -1..5 LOOP
    EXECUTE format('SELECT count(*) FROM %I.claim_jobs(''studio_jobs'', ''silent'', 100)', v_schema);
    EXECUTE format('UPDATE %I.attempts SET due_at = now() - INTERVAL ''1 minute'', expires_at = now() - INTERVAL ''1 minute''
                     WHERE ended_at IS NULL AND worker = ''silent''', v_private);
    SELECT * INTO v_measured FROM bench.explain(format('SELECT %I.reap_expired_leases(1000)', v_schema));
    EXECUTE format('SELECT 1 / (count(*) = 100)::integer FROM %I.queue WHERE state = ''delayed''', v_private);
    ROLLBACK;
    IF i > 0 THEN
      v_us[i] := v_measured.us;
    END IF;
  END LOOP;
  us := bench.median(v_us) / 100;
  pages := v_measured.pages / 100.0;
END
$$;

-- Claim and completion of one job after the other: microseconds of one.
CREATE PROCEDURE bench.work(p_side text, p_jobs integer, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_from timestamptz;
  v_job record;
  v_us double precision[];
BEGIN
  FOR i IN -19..p_jobs LOOP
    v_from := clock_timestamp();
    IF p_side = 'twin' THEN
      SELECT c.job_id, c.lease_token INTO STRICT v_job FROM twin.claim_jobs('studio_jobs', 'bench') c;
      PERFORM twin.store_refined_text(v_job.job_id, 'A text.', 'm', v_job.lease_token);
    ELSE
      SELECT c.job_id, c.lease_token INTO STRICT v_job FROM public.claim_jobs('studio_jobs', 'bench') c;
      PERFORM public.store_refined_text(v_job.job_id, 'A text.', 'm', v_job.lease_token);
    END IF;
    IF i > 0 THEN
      v_us[i] := bench.us(v_from);
    END IF;
    COMMIT;
  END LOOP;
  us := bench.median(v_us);
END
$$;

-- Heartbeats of 100 leases in turn: microseconds of one.
CREATE PROCEDURE bench.heartbeats(p_side text, p_calls integer, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_from timestamptz;
  v_jobs uuid[];
  v_tokens uuid[];
  v_job uuid;
  v_token uuid;
  v_us double precision[];
BEGIN
  IF p_side = 'twin' THEN
    SELECT array_agg(c.job_id), array_agg(c.lease_token) INTO v_jobs, v_tokens FROM twin.claim_jobs('studio_jobs', 'beating', 100) c;
  ELSE
    SELECT array_agg(c.job_id), array_agg(c.lease_token) INTO v_jobs, v_tokens FROM public.claim_jobs('studio_jobs', 'beating', 100) c;
  END IF;
  COMMIT;
  FOR i IN -199..p_calls LOOP
    v_job := v_jobs[1 + abs(i) % 100];
    v_token := v_tokens[1 + abs(i) % 100];
    v_from := clock_timestamp();
    IF p_side = 'twin' THEN
      PERFORM twin.heartbeat_job(v_job, v_token);
    ELSE
      PERFORM public.heartbeat_job(v_job, v_token);
    END IF;
    IF i > 0 THEN
      v_us[i] := bench.us(v_from);
    END IF;
    COMMIT;
  END LOOP;
  us := bench.median(v_us);
END
$$;
