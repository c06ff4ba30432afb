-- Queues of PgQ for four workers, an event for each row of bench.results, and loops
-- of workers.  PgQ keeps no result, so it goes into bench.results, which is like
-- studio_jobs; or into a narrow table, bench.bare.
-- Pitfall: a consumer of PgQ gets what lies between two ticks, in its order, and
-- the next only when it has finished that.  So each worker has a queue of its
-- own, and ticks come after 500 events, which is what ticker_max_count says.

CREATE EXTENSION pgq;
CREATE TABLE bench.bare (job_id uuid PRIMARY KEY, result text NOT NULL, done_at timestamptz NOT NULL DEFAULT clock_timestamp());

-- The worker's share of the jobs, the oldest first.
CREATE PROCEDURE bench.fill_queue(p_worker integer, p_events integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_queue text := 'refine' || p_worker;
  v_jobs uuid[] := ARRAY(SELECT job_id FROM bench.results ORDER BY created_at OFFSET p_worker * p_events LIMIT p_events);
BEGIN
  PERFORM pgq.create_queue(v_queue);
  PERFORM pgq.register_consumer(v_queue, 'worker');
  COMMIT;
  FOR i IN 1..p_events LOOP
    PERFORM pgq.insert_event(v_queue, 'refine', format('{"job_id": "%s", "audio": "audio/%s.mp3"}', v_jobs[i], i));
    IF i % 500 = 0 THEN
      COMMIT;
      PERFORM pgq.ticker(v_queue);
      COMMIT;
    END IF;
  END LOOP;
END
$$;

-- Each result is committed by itself, the batch when it is done.
CREATE PROCEDURE bench.consume_each(p_worker integer, p_events integer, p_bare boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_queue text := 'refine' || p_worker;
  v_batch bigint;
  v_event record;
  v_done integer := 0;
BEGIN
  LOOP
    v_batch := pgq.next_batch(v_queue, 'worker');
    EXIT WHEN v_batch IS NULL;
    FOR v_event IN SELECT ev_data FROM pgq.get_batch_events(v_batch) LOOP
      IF p_bare THEN
        INSERT INTO bench.bare (job_id, result) VALUES ((v_event.ev_data::jsonb ->> 'job_id')::uuid, 'A text.');
      ELSE
        UPDATE bench.results
           SET status = 'COMPLETE', refined_text = 'A text.', model_version = 'm',
               processing_time_ms = extract(epoch FROM clock_timestamp() - created_at) * 1000
         WHERE job_id = (v_event.ev_data::jsonb ->> 'job_id')::uuid;
      END IF;
      v_done := v_done + 1;
      COMMIT;
    END LOOP;
    PERFORM pgq.finish_batch(v_batch);
    COMMIT;
  END LOOP;
  IF v_done <> p_events THEN
    RAISE EXCEPTION '% events were done', v_done;
  END IF;
END
$$;

-- All results of a batch and its end are one transaction.
CREATE PROCEDURE bench.consume_batches(p_worker integer, p_events integer, p_bare boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_queue text := 'refine' || p_worker;
  v_batch bigint;
  v_count integer;
  v_done integer := 0;
BEGIN
  LOOP
    v_batch := pgq.next_batch(v_queue, 'worker');
    EXIT WHEN v_batch IS NULL;
    IF p_bare THEN
      INSERT INTO bench.bare (job_id, result)
      SELECT (e.ev_data::jsonb ->> 'job_id')::uuid, 'A text.' FROM pgq.get_batch_events(v_batch) e;
    ELSE
      UPDATE bench.results r
         SET status = 'COMPLETE', refined_text = 'A text.', model_version = 'm',
             processing_time_ms = extract(epoch FROM clock_timestamp() - r.created_at) * 1000
        FROM pgq.get_batch_events(v_batch) e
       WHERE r.job_id = (e.ev_data::jsonb ->> 'job_id')::uuid;
    END IF;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_done := v_done + v_count;
    PERFORM pgq.finish_batch(v_batch);
    COMMIT;
  END LOOP;
  IF v_done <> p_events THEN
    RAISE EXCEPTION '% events were done', v_done;
  END IF;
END
$$;

-- What the row calls: PgQ with the results stored, and bare.
CREATE PROCEDURE bench.pgq_each(p_worker integer, p_events integer) LANGUAGE plpgsql AS $$ BEGIN CALL bench.consume_each(p_worker, p_events, false); END $$;
CREATE PROCEDURE bench.pgq_batch(p_worker integer, p_events integer) LANGUAGE plpgsql AS $$ BEGIN CALL bench.consume_batches(p_worker, p_events, false); END $$;
CREATE PROCEDURE bench.bare_each(p_worker integer, p_events integer) LANGUAGE plpgsql AS $$ BEGIN CALL bench.consume_each(p_worker, p_events, true); END $$;
CREATE PROCEDURE bench.bare_batch(p_worker integer, p_events integer) LANGUAGE plpgsql AS $$ BEGIN CALL bench.consume_batches(p_worker, p_events, true); END $$;
