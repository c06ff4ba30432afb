-- Queues of PgQ for four workers, :events events each, and loops of workers, for
-- PgQ and for ours.  Results go into a table, since PgQ keeps none.
-- Pitfall: a consumer of PgQ gets what lies between two ticks, in its order, and
-- the next only when it has finished that.  So each worker has a queue of its
-- own, and ticks come after 500 events, which is what ticker_max_count says.

CREATE EXTENSION pgq;
CREATE TABLE bench.results (job_id uuid PRIMARY KEY, result text NOT NULL, done_at timestamptz NOT NULL DEFAULT clock_timestamp());

CREATE PROCEDURE bench.fill_queue(p_worker integer, p_events integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_queue text := 'refine' || p_worker;
BEGIN
  PERFORM pgq.create_queue(v_queue);
  PERFORM pgq.register_consumer(v_queue, 'worker');
  COMMIT;
  FOR i IN 1..p_events LOOP
    PERFORM pgq.insert_event(v_queue, 'refine', format('{"job_id": "%s", "audio": "audio/%s.mp3"}', gen_random_uuid(), i));
    IF i % 500 = 0 THEN
      COMMIT;
      PERFORM pgq.ticker(v_queue);
      COMMIT;
    END IF;
  END LOOP;
END
$$;

-- Each result is committed by itself, the batch when it is done.
CREATE PROCEDURE bench.pgq_each(p_worker integer, p_events integer)
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
      INSERT INTO bench.results (job_id, result) VALUES ((v_event.ev_data::jsonb ->> 'job_id')::uuid, 'A text.');
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
CREATE PROCEDURE bench.pgq_batch(p_worker integer, p_events integer)
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
    INSERT INTO bench.results (job_id, result)
    SELECT (e.ev_data::jsonb ->> 'job_id')::uuid, 'A text.' FROM pgq.get_batch_events(v_batch) e;
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
