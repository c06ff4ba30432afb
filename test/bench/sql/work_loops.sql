-- Loops of a worker of ours, as those of the PgQ row.

CREATE PROCEDURE bench.ours_each(p_worker integer, p_jobs integer)
LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..p_jobs LOOP
    PERFORM store_refined_text(c.job_id, 'A text.', 'm', c.lease_token) FROM claim_jobs('studio_jobs', 'worker ' || p_worker) c;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'there was no job left';
    END IF;
    COMMIT;
  END LOOP;
END
$$;

CREATE PROCEDURE bench.ours_batch(p_worker integer, p_jobs integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_count integer;
BEGIN
  FOR i IN 1..p_jobs / 500 LOOP
    PERFORM store_refined_text(c.job_id, 'A text.', 'm', c.lease_token) FROM claim_jobs('studio_jobs', 'worker ' || p_worker, 500) c;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count <> 500 THEN
      RAISE EXCEPTION 'there were no 500 jobs left';
    END IF;
    COMMIT;
  END LOOP;
END
$$;
