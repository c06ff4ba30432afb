-- Loops of a worker of ours, as those of the PgQ row: 500 jobs are claimed at once.

-- Each result is committed by itself.
CREATE PROCEDURE bench.ours_each(p_worker integer, p_jobs integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_job record;
  v_done integer := 0;
BEGIN
  WHILE v_done < p_jobs LOOP
    FOR v_job IN SELECT c.job_id, c.lease_token FROM claim_jobs('studio_jobs', 'worker ' || p_worker, least(500, p_jobs - v_done)) c LOOP
      PERFORM store_refined_text(v_job.job_id, 'A text.', 'm', v_job.lease_token);
      v_done := v_done + 1;
      COMMIT;
    END LOOP;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'there was no job left';
    END IF;
  END LOOP;
END
$$;

-- All results of a batch are one transaction.
CREATE PROCEDURE bench.ours_batch(p_worker integer, p_jobs integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_claimed jsonb;
  v_count integer;
BEGIN
  FOR i IN 1..p_jobs / 500 LOOP
    SELECT jsonb_agg(jsonb_build_object('job_id', c.job_id, 'lease_token', c.lease_token,
                                        'result', '{"refined_text": "A text.", "model_version": "m"}'::jsonb))
      INTO v_claimed FROM claim_jobs('studio_jobs', 'worker ' || p_worker, 500) c;
    SELECT count(*) INTO v_count FROM complete_jobs('studio_jobs', v_claimed) c WHERE c.done;
    IF v_count <> 500 THEN
      RAISE EXCEPTION '% jobs of 500 were done', v_count;
    END IF;
    COMMIT;
  END LOOP;
END
$$;
