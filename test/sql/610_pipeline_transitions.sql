-- 610_pipeline_transitions.sql
--
-- Every change of status there could be of a run, by UPDATE and by function,
-- against a matrix that is written out here; what each writes into the run and
-- into its events.
-- Pitfall: what is expected comes from the specification, not from
-- workflow_transitions().

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- x legal, = the same, r by pipeline.retry_job() only; columns in the order of rows
CREATE TABLE t.run_flow (position integer, status text, moves text);
INSERT INTO t.run_flow VALUES
  (1, 'pending',   '= x . x x'),
  (2, 'running',   '. = x x x'),
  (3, 'completed', '. . = . .'),
  (4, 'failed',    'r . . = .'),
  (5, 'cancelled', '. . . . =');
CREATE VIEW t.run_moves AS
SELECT f.position AS from_position, f.status AS from_status, g.position AS to_position, g.status AS to_status,
       split_part(f.moves, ' ', g.position) AS move
  FROM t.run_flow f CROSS JOIN t.run_flow g;
CREATE TABLE t.run_attempts (how text, from_position integer, to_position integer, answer text, status_after text, events bigint);
GRANT ALL ON t.run_flow, t.run_moves, t.run_attempts TO service_role;

-- p_sql: %1$s is the new status of run 'r', which a service inserted in the old one
CREATE FUNCTION t.run_attempt(p_how text, p_sql text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_move record;
  v_answer text;
BEGIN
  FOR v_move IN SELECT * FROM t.run_moves ORDER BY from_position, to_position LOOP
    DELETE FROM pipeline.jobs WHERE run_id = 'r';
    INSERT INTO pipeline.jobs (run_id, project_spec, status) VALUES ('r', '{}', v_move.from_status);
    v_answer := t.run(format(p_sql, v_move.to_status), false);
    INSERT INTO t.run_attempts
    SELECT p_how, v_move.from_position, v_move.to_position, v_answer, j.status,
           (SELECT count(*) FROM pipeline.job_events e WHERE e.run_id = 'r')
      FROM pipeline.jobs j WHERE j.run_id = 'r';
  END LOOP;
  DELETE FROM pipeline.jobs WHERE run_id = 'r';
END
$$;
SELECT t.run_attempt('update', $$UPDATE pipeline.jobs SET status = '%1$s' WHERE run_id = 'r'$$) \g /dev/null
CALL t.as_role('service_role');
SELECT t.run_attempt('service update', $$UPDATE pipeline.jobs SET status = '%1$s' WHERE run_id = 'r'$$) \g /dev/null
SELECT t.run_attempt('set_job_status', $$SELECT pipeline.set_job_status('r', '%1$s', 'A message')$$) \g /dev/null
SELECT t.run_attempt('upsert', $$INSERT INTO pipeline.jobs (run_id, project_spec) VALUES ('r', '{}') ON CONFLICT (run_id) DO UPDATE SET status = '%1$s'$$) \g /dev/null
CALL t.as_admin();

-- x passed with one event more, = passed without, . refused with 23514 and all as it was, ! anything else
CREATE VIEW t.run_seen AS
SELECT a.*, m.from_status, m.to_status, m.move,
       CASE WHEN a.answer = 'ok' AND a.status_after = m.to_status AND m.from_status <> m.to_status AND events = 2 THEN 'x'
            WHEN a.answer = 'ok' AND a.status_after = m.to_status AND m.from_status = m.to_status AND events = 1 THEN '='
            WHEN a.answer LIKE format('23514 illegal status transition [jobs_status_transition] | pipeline.jobs: from %s to %s; allowed: %%', m.from_status, m.to_status)
             AND a.status_after = m.from_status AND events = 1 THEN '.'
            ELSE '!' END AS seen
  FROM t.run_attempts a JOIN t.run_moves m USING (from_position, to_position);
SELECT how, from_status, string_agg(seen, ' ' ORDER BY to_position) AS to_the_states
  FROM t.run_seen GROUP BY how, from_position, from_status ORDER BY how, from_position;
SELECT how, count(*) AS tried, count(*) FILTER (WHERE seen <> translate(move, 'r', '.')) AS wrong
  FROM t.run_seen GROUP BY how ORDER BY how;
SELECT * FROM t.run_seen WHERE seen = '!' OR seen <> translate(move, 'r', '.');
SELECT DISTINCT from_position, substring(answer FROM 'allowed: .*') FROM t.run_seen WHERE seen = '.' ORDER BY 1;
TRUNCATE t.run_attempts;

-- the functions, from everywhere
CREATE FUNCTION t.run_from_everywhere(p_function text) RETURNS TABLE (from_status text, answer text, status_after text, events bigint)
LANGUAGE plpgsql AS $$
BEGIN
  FOR from_status IN SELECT f.status FROM t.run_flow f ORDER BY f.position LOOP
    INSERT INTO pipeline.jobs (run_id, project_spec, status) VALUES ('r', '{}', from_status);
    answer := left(t.try(format('SELECT pipeline.%s(%L)', p_function, 'r')), 5);
    SELECT j.status, (SELECT count(*) FROM pipeline.job_events e WHERE e.run_id = 'r') INTO status_after, events
      FROM pipeline.jobs j WHERE j.run_id = 'r';
    DELETE FROM pipeline.jobs WHERE run_id = 'r';
    RETURN NEXT;
  END LOOP;
END
$$;
SELECT * FROM t.run_from_everywhere('cancel_job');
SELECT * FROM t.run_from_everywhere('retry_job');

-- words that are none
INSERT INTO pipeline.jobs (run_id, project_spec) VALUES ('r', '{}');
SELECT t.try($$UPDATE pipeline.jobs SET status = NULL$$);
SELECT t.try($$UPDATE pipeline.jobs SET status = 'done'$$);
SELECT t.try($$INSERT INTO pipeline.jobs (run_id, project_spec, status) VALUES ('s', '{}', NULL)$$);
SELECT t.try($$INSERT INTO pipeline.jobs (run_id, project_spec, status) VALUES ('s', '{}', 'PENDING')$$);
SELECT t.try($$SELECT pipeline.set_job_status('r', 'Running')$$);
SELECT t.try($$SELECT pipeline.set_job_status('r', NULL)$$);
-- a user, were he granted it, starts at the first one
BEGIN;
GRANT INSERT ON pipeline.jobs TO authenticated;
GRANT SELECT ON t.run_flow TO authenticated;
CREATE POLICY test_insert ON pipeline.jobs FOR INSERT TO authenticated WITH CHECK (true);
CALL t.sign_up(1);
CALL t.as_user(t.id(1));
SELECT status, t.try(format($$INSERT INTO pipeline.jobs (run_id, project_spec, owner_id, status) VALUES ('u', '{}', auth.uid(), '%s')$$, status)) AS as_user
  FROM t.run_flow ORDER BY position;
ROLLBACK;
CALL t.as_admin();

-- many rows of which one may not: none
INSERT INTO pipeline.jobs (run_id, project_spec, status) VALUES ('s', '{}', 'completed');
SELECT t.try($$UPDATE pipeline.jobs SET status = 'running'$$);
SELECT run_id, status, last_event_seq FROM pipeline.jobs ORDER BY run_id;
-- the retry of one run opens nothing for another, nor for later
INSERT INTO pipeline.jobs (run_id, project_spec, status) VALUES ('f1', '{}', 'failed'), ('f2', '{}', 'failed');
SELECT pipeline.retry_job('f1') ->> 'status' AS status;
SELECT t.try($$UPDATE pipeline.jobs SET status = 'pending' WHERE run_id = 'f2'$$);
UPDATE pipeline.jobs SET status = 'failed' WHERE run_id = 'f1';
SELECT t.try($$UPDATE pipeline.jobs SET status = 'pending' WHERE run_id = 'f1'$$);

-- The stamps of two attempts.
CREATE VIEW t.run_stamps AS
SELECT status, started_at IS NOT NULL AS started, completed_at IS NOT NULL AS completed, started_at <= completed_at AS in_order,
       created_at <= updated_at AS updated, error_message AS error, last_event_seq AS events
  FROM pipeline.jobs WHERE run_id = 'r';
SELECT * FROM t.run_stamps;
SELECT pipeline.set_job_status('r', 'running') IS NOT NULL AS moved;
SELECT * FROM t.run_stamps;
SELECT started_at AS first_start FROM pipeline.jobs WHERE run_id = 'r' \gset
SELECT pipeline.set_job_status('r', 'running') IS NOT NULL AS moved;
SELECT started_at = :'first_start' AS same_start FROM pipeline.jobs WHERE run_id = 'r';
SELECT pipeline.set_job_status('r', 'failed', 'Out of paper') ->> 'error_message' AS error;
SELECT pipeline.set_job_status('r', 'failed', 'Another reason') ->> 'error_message' AS first_reason;
SELECT * FROM t.run_stamps;
SELECT pipeline.retry_job('r') ->> 'status' AS status;
SELECT * FROM t.run_stamps;
SELECT pipeline.retry_job('r') ->> 'last_event_seq' AS still_4;
UPDATE pipeline.jobs SET status = 'running' WHERE run_id = 'r';
SELECT started_at > :'first_start' AS anew FROM pipeline.jobs WHERE run_id = 'r';
UPDATE pipeline.jobs SET status = 'completed', completed_at = '2001-01-01 00:00+00' WHERE run_id = 'r' RETURNING completed_at = '2001-01-01 00:00+00' AS given_time_wins;
SELECT seq, bot_name, event_type, payload FROM pipeline.events_since('r');
-- a long message is kept, and cut in the event
INSERT INTO pipeline.jobs (run_id, project_spec) VALUES ('long', '{}');
SELECT length(pipeline.set_job_status('long', 'failed', repeat('ä', 20000)) ->> 'error_message') AS kept;
SELECT length(payload ->> 'error_message') AS cut FROM pipeline.events_since('long', 1);

\pset format unaligned
SELECT workflow_diagram('pipeline.jobs');
\pset format aligned

DROP FUNCTION t.run_attempt, t.run_from_everywhere;
DROP VIEW t.run_stamps, t.run_seen, t.run_moves;
DROP TABLE t.run_attempts, t.run_flow;
SELECT * FROM t.clean();
