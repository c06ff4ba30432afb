-- What test/bench/compare.sh measures: microseconds of one of so many calls, in one
-- session.
-- Pitfall: a machine is never quiet, and the first calls teach the session much.  So
-- ten calls are timed at once, and the median of the tens counts; the first 200 calls
-- do not.

-- Holds, a user each, with p_settle settled, too.  Undone.
CREATE PROCEDURE bench.compare_credits(p_calls integer, p_settle boolean, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_call text := 'SELECT count(*) FILTER (WHERE public.reserve_credits(user_id, job_id, 3)'
                 || CASE WHEN p_settle THEN ' AND public.settle_credits(job_id, 2) IS NOT NULL' ELSE '' END
                 || ') FROM bench.pairs WHERE n >= $1 AND n < $1 + 10';
  v_from timestamptz;
  v_done bigint;
  v_us double precision[];
BEGIN
  FOR i IN -20 .. p_calls / 10 - 1 LOOP
    v_from := clock_timestamp();
    EXECUTE v_call INTO STRICT v_done USING 200 + 10 * i;
    IF i >= 0 THEN
      v_us := v_us || bench.us(v_from) / 10;
    END IF;
    IF v_done <> 10 THEN
      RAISE EXCEPTION 'of 10 calls % did what they should', v_done;
    END IF;
  END LOOP;
  us := bench.median(v_us);
  ROLLBACK;
END
$$;

-- Jobs that are inserted one by one and wait, with all that triggers do.  Undone.
CREATE PROCEDURE bench.compare_inserts(p_calls integer, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_projects uuid[] := ARRAY(SELECT user_id FROM bench.pairs WHERE n < 10000 ORDER BY n);
  v_from timestamptz;
  v_us double precision[];
BEGIN
  FOR i IN -20 .. p_calls / 10 - 1 LOOP
    v_from := clock_timestamp();
    FOR j IN 1 .. 10 LOOP
      INSERT INTO public.jobs (project_id, user_id, status)
      VALUES (v_projects[200 + 10 * i + j], v_projects[200 + 10 * i + j], 'QUEUED');
    END LOOP;
    IF i >= 0 THEN
      v_us := v_us || bench.us(v_from) / 10;
    END IF;
  END LOOP;
  us := bench.median(v_us);
  ROLLBACK;
END
$$;

-- Claims of one job each, with p_complete completed, too; a transaction each, with its commit.
CREATE PROCEDURE bench.compare_claims(p_calls integer, p_complete boolean, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_from timestamptz;
  v_job record;
  v_us double precision[];
BEGIN
  FOR i IN -20 .. p_calls / 10 - 1 LOOP
    v_from := clock_timestamp();
    FOR j IN 1 .. 10 LOOP
      SELECT c.job_id, c.lease_token INTO STRICT v_job FROM public.claim_jobs('studio_jobs', 'bench') c;
      IF p_complete THEN
        PERFORM public.store_refined_text(v_job.job_id, 'A text.', 'm', v_job.lease_token);
      END IF;
      COMMIT;
    END LOOP;
    IF i >= 0 THEN
      v_us := v_us || bench.us(v_from) / 10;
    END IF;
  END LOOP;
  us := bench.median(v_us);
END
$$;
