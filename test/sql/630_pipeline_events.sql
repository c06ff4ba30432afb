-- 630_pipeline_events.sql
--
-- Events: their numbers, whoever inserts them and however; their owners; polling;
-- retention.
-- Pitfall: a number may be taken only by a row that stays, or a poller would wait
-- for it.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2);
CREATE VIEW t.events AS
SELECT run_id AS run, seq, bot_name AS bot, event_type AS type, payload, t.n(owner_id) AS owner
  FROM pipeline.job_events ORDER BY run_id COLLATE "C", seq;
GRANT SELECT ON t.events TO service_role, authenticated;
-- a run whose numbers are not 1, 2, 3 up to its counter
CREATE FUNCTION t.gaps() RETURNS SETOF text LANGUAGE sql AS $$
  SELECT format('%s: counter %s, events %s', j.run_id, j.last_event_seq, (SELECT string_agg(e.seq::text, ' ' ORDER BY e.seq) FROM pipeline.job_events e WHERE e.run_id = j.run_id))
    FROM pipeline.jobs j
   WHERE j.last_event_seq <> (SELECT count(*) FROM pipeline.job_events e WHERE e.run_id = j.run_id)
      OR j.last_event_seq <> (SELECT coalesce(max(e.seq), 0) FROM pipeline.job_events e WHERE e.run_id = j.run_id)
$$;

CALL t.as_role('service_role');
SELECT pipeline.create_job('a', '{}', t.id(1)) ->> 'last_event_seq' AS seq;
SELECT pipeline.create_job('b', '{}') ->> 'last_event_seq' AS seq;
SELECT pipeline.record_event('a', 'bot', 'started') AS seq;
SELECT pipeline.record_event('a', 'bot', 'progress', '{"percent": 50}') AS seq;
SELECT pipeline.record_event('a', 'bot', 'done', NULL) AS seq;
SELECT t.quiet($$SELECT pipeline.record_event('b', 'bot', '', '{}')$$);
SELECT pipeline.record_event('b', E'b\u00f6t \U0001F916', E'\u5b8c\u4e86', '["\u5b8c", null]') AS seq;
SELECT t.quiet($$SELECT pipeline.record_event('none', 'bot', 'x')$$);
SELECT t.quiet($$SELECT pipeline.record_event(NULL, 'bot', 'x')$$);
SELECT t.quiet($$SELECT pipeline.record_event('a', NULL, 'x')$$);
SELECT t.quiet($$SELECT pipeline.record_event('a', 'bot', NULL)$$);
SELECT t.quiet($$SELECT pipeline.record_event('a', 'bot', 'x', jsonb_build_object('x', repeat('x', 1100000)))$$);
SELECT * FROM t.events;

-- plain INSERTs: number and owner are ours, whatever is written
INSERT INTO pipeline.job_events (run_id, bot_name, event_type, seq, owner_id) VALUES ('a', 'plain', 'one', 99, t.id(2)) RETURNING seq, t.n(owner_id) AS owner;
INSERT INTO pipeline.job_events (run_id, bot_name, event_type)
SELECT CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END, 'many', n::text FROM generate_series(1, 6) n RETURNING run_id, event_type, seq;
WITH one AS (INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('a', 'with', 'one') RETURNING seq),
     two AS (INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('a', 'with', 'two') RETURNING seq)
SELECT count(DISTINCT seq) AS different FROM (SELECT * FROM one UNION ALL SELECT * FROM two) x;
-- rows that do not stay leave no gap
INSERT INTO pipeline.job_events (id, run_id, bot_name, event_type) VALUES (t.id(70), 'a', 'once', 'x');
INSERT INTO pipeline.job_events (id, run_id, bot_name, event_type)
VALUES (t.id(70), 'a', 'twice', 'x'), (t.id(71), 'a', 'once', 'y'), (t.id(71), 'a', 'twice', 'y') ON CONFLICT (id) DO NOTHING RETURNING seq;
INSERT INTO pipeline.job_events (id, run_id, bot_name, event_type) VALUES (t.id(70), 'a', 'once', 'z')
ON CONFLICT (id) DO UPDATE SET event_type = EXCLUDED.event_type RETURNING seq, event_type;
SELECT t.try($$INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('a', 'bad', 'x'), ('a', 'bad', NULL)$$);
SELECT t.try($$INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('none', 'bad', 'x')$$);
SELECT t.try($$INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES (NULL, 'bad', 'x')$$);
BEGIN;
SAVEPOINT s;
SELECT pipeline.record_event('a', 'rolled', 'back') AS seq;
ROLLBACK TO s;
SELECT pipeline.record_event('a', 'instead', 'of it') AS seq;
COMMIT;
COPY pipeline.job_events (run_id, bot_name, event_type) FROM stdin;
a	copy	one
b	copy	two
a	copy	three
\.
CALL t.as_admin();
SELECT * FROM t.gaps();
-- a trigger of the owner that writes an event for an event
CREATE FUNCTION t.echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.bot_name <> 'echo' THEN
    INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES (NEW.run_id, 'echo', NEW.event_type);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER a_echo BEFORE INSERT ON pipeline.job_events FOR EACH ROW EXECUTE FUNCTION t.echo();
SELECT pipeline.record_event('a', 'first', 'x') AS seq;
DROP TRIGGER a_echo ON pipeline.job_events;
CREATE TRIGGER zz_echo BEFORE INSERT ON pipeline.job_events FOR EACH ROW EXECUTE FUNCTION t.echo();
SELECT t.try($$SELECT pipeline.record_event('a', 'second', 'x')$$) LIKE '23505 %idx_job_events_seq%' AS refused_between;
DROP TRIGGER zz_echo ON pipeline.job_events;
CREATE TRIGGER echo AFTER INSERT ON pipeline.job_events FOR EACH ROW EXECUTE FUNCTION t.echo();
INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('a', 'third', 'x'), ('a', 'third', 'y');
DROP TRIGGER echo ON pipeline.job_events;
SELECT * FROM t.gaps();
SELECT run, count(*), max(seq), count(DISTINCT owner) AS owners FROM t.events GROUP BY run ORDER BY run;

-- the counter is nobody's to write, and events stay where they are
CALL t.as_role('service_role');
UPDATE pipeline.jobs SET last_event_seq = 0 WHERE run_id = 'a' RETURNING last_event_seq;
INSERT INTO pipeline.jobs (run_id, project_spec, last_event_seq) VALUES ('c', '{}', 50) RETURNING last_event_seq;
SELECT last_event_seq FROM pipeline.jobs WHERE run_id = 'c';
SELECT t.try($$UPDATE pipeline.job_events SET seq = 100 WHERE run_id = 'c'$$);
SELECT t.try($$UPDATE pipeline.job_events SET run_id = 'b' WHERE run_id = 'c'$$);
SELECT t.try($$UPDATE pipeline.job_events SET created_at = '2001-01-01' WHERE run_id = 'c'$$);
SELECT t.try($$UPDATE pipeline.job_events SET created_at = NULL WHERE run_id = 'c'$$);
UPDATE pipeline.job_events SET run_id = run_id, seq = seq, created_at = created_at, payload = '{"note": 1}', owner_id = t.id(2) WHERE run_id = 'c'
RETURNING payload, t.n(owner_id) AS owner;
SELECT t.try($$UPDATE pipeline.jobs SET run_id = 'd' WHERE run_id = 'c'$$) LIKE '23503%' AS a_run_keeps_its_id;
DELETE FROM pipeline.jobs WHERE run_id = 'c';

-- the owner follows the run
UPDATE pipeline.jobs SET owner_id = t.id(2) WHERE run_id = 'a';
SELECT run, owner, count(*) FROM t.events GROUP BY run, owner ORDER BY run;
CALL t.as_user(t.id(1));
SELECT count(*) AS of_1 FROM pipeline.job_events;
CALL t.as_user(t.id(2));
SELECT count(*) > 20 AS of_2 FROM pipeline.job_events;
CALL t.as_role('service_role');
UPDATE pipeline.jobs SET owner_id = NULL;
SELECT count(*) FILTER (WHERE owner IS NOT NULL) AS owned FROM t.events;
UPDATE pipeline.jobs SET owner_id = t.id(1) WHERE run_id = 'b';
SELECT run, owner, count(*) FROM t.events GROUP BY run, owner ORDER BY run;
SELECT t.try($$UPDATE pipeline.jobs SET owner_id = t.id(99) WHERE run_id = 'b'$$) LIKE '23503%' AS unknown_user;

-- polling: everything once, in order, with any step
CALL t.as_admin();
CREATE FUNCTION t.poll(p_run text, p_step integer) RETURNS TABLE (calls integer, seqs text) LANGUAGE plpgsql AS $$
DECLARE
  v_after bigint := 0;
  v_got bigint[];
BEGIN
  calls := 0;
  LOOP
    SELECT array_agg(e.seq) INTO v_got FROM pipeline.events_since(p_run, v_after, p_step) e;
    calls := calls + 1;
    EXIT WHEN v_got IS NULL;
    seqs := concat_ws(' ', seqs, array_to_string(v_got, ' '));
    v_after := v_got[cardinality(v_got)];
  END LOOP;
  RETURN NEXT;
END $$;
CALL t.as_user(t.id(1));
SELECT * FROM t.poll('b', 1);
SELECT * FROM t.poll('b', 3);
SELECT * FROM t.poll('b', 1000);
SELECT id IS NOT NULL AS id, run_id, bot_name, event_type, payload, t.n(owner_id) AS owner, created_at <= now() AS at, seq FROM pipeline.events_since('b', 0, 2);
SELECT count(*) AS none FROM pipeline.events_since('b', 9223372036854775807);
SELECT t.try($$SELECT * FROM pipeline.events_since('b', -1)$$);
SELECT t.try($$SELECT * FROM pipeline.events_since('b', NULL)$$);
SELECT t.try($$SELECT * FROM pipeline.events_since('b', 0, 0)$$);
SELECT t.try($$SELECT * FROM pipeline.events_since('b', 0, 1001)$$);
SELECT t.try($$SELECT * FROM pipeline.events_since('b', 0, NULL)$$);
SELECT t.try($$SELECT * FROM pipeline.events_since('a')$$) AS nobodys;
SELECT t.try($$SELECT * FROM pipeline.events_since('none')$$) AS unknown;
SELECT t.try($$SELECT * FROM pipeline.events_since(NULL)$$);
CALL t.as_role('service_role');
SELECT t.try($$SELECT * FROM pipeline.events_since('none')$$) AS unknown;
SELECT r.run_id, count(e) > 5 AS joined FROM pipeline.jobs r, LATERAL pipeline.events_since(r.run_id) e GROUP BY 1 ORDER BY 1;

-- many at once, then more than one call returns
INSERT INTO pipeline.jobs (run_id, project_spec) VALUES ('bulk', '{}');
INSERT INTO pipeline.job_events (run_id, bot_name, event_type) SELECT 'bulk', 'b', 'e' FROM generate_series(1, 5000);
SELECT calls FROM t.poll('bulk', 1000);
CALL t.as_admin();
SELECT * FROM t.gaps();

-- retention: of ended runs, the oldest first, bounded; numbers are not used again
CALL t.as_admin();
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE pipeline.job_events SET created_at = now() - INTERVAL '40 days' WHERE run_id IN ('a', 'bulk') AND (seq < 10 OR run_id = 'a');
COMMIT;
CALL t.as_role('service_role');
SELECT t.quiet($$SELECT pipeline.delete_old_events('30 days')$$) AS none_has_ended;
SELECT pipeline.set_job_status('bulk', 'failed') ->> 'last_event_seq' AS seq;
SELECT pipeline.delete_old_events('30 days', 4) AS four;
SELECT min(seq) FROM pipeline.events_since('bulk', 0, 1000);
SELECT pipeline.delete_old_events('30 days', 1000) AS five;
SELECT pipeline.delete_old_events('30 days') AS none;
UPDATE pipeline.jobs SET status = 'cancelled' WHERE run_id = 'a';
SELECT pipeline.delete_old_events('30 days') > 20 AS many;
SELECT seq - (SELECT last_event_seq FROM pipeline.jobs WHERE run_id = 'a') AS the_last, event_type FROM pipeline.events_since('a');
DELETE FROM pipeline.job_events WHERE run_id = 'a';
SELECT pipeline.record_event('a', 'b', 'after all') > 20 AS goes_on;
SELECT t.try($$SELECT pipeline.delete_old_events(NULL)$$);
SELECT t.try($$SELECT pipeline.delete_old_events('0')$$);
SELECT t.try($$SELECT pipeline.delete_old_events('-1 hour')$$);
SELECT t.try($$SELECT pipeline.delete_old_events('1 month', 0)$$);
SELECT t.try($$SELECT pipeline.delete_old_events('1 month', NULL)$$);
TRUNCATE pipeline.job_events;
SELECT pipeline.record_event('bulk', 'b', 'e') > 5000 AS not_again;

CALL t.as_admin();
DROP FUNCTION t.poll, t.gaps, t.echo;
DROP VIEW t.events;
SELECT * FROM t.clean();
