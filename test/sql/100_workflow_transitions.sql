-- 100_workflow_transitions.sql
--
-- Every change of state there could be, of jobs and of job_steps, by UPDATE,
-- by INSERT and by function, against matrices that are written out here.
-- Pitfall: what is expected comes from the specification.  Taken from
-- workflow_transitions() it would agree with the code whatever the code says.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- A row per state, a column per new state in the same order:
-- x legal, = the same, m only with a manual transcript, r by retry_job() only.
CREATE TABLE t.flow (workflow text, position integer, state text, moves text);
INSERT INTO t.flow VALUES
  ('jobs',  1, 'PENDING',     '= x . . . . . . . . . x'),
  ('jobs',  2, 'QUEUED',      '. = x m . . . . . . . x'),
  ('jobs',  3, 'SCRIPTING',   '. . = x . . . . . . . x'),
  ('jobs',  4, 'VOICE_GEN',   '. . . = x . . . . . . x'),
  ('jobs',  5, 'ALIGNMENT',   '. . . . = x . . . . . x'),
  ('jobs',  6, 'VISUAL_PLAN', '. . . . . = x . . . . x'),
  ('jobs',  7, 'IMAGE_GEN',   '. . . . . . = x . . . x'),
  ('jobs',  8, 'TIMELINE',    '. . . . . . . = x . . x'),
  ('jobs',  9, 'RENDERING',   '. . . . . . . . = x . x'),
  ('jobs', 10, 'PACKAGING',   '. . . . . . . . . = x x'),
  ('jobs', 11, 'READY',       '. . . . . . . . . . = .'),
  ('jobs', 12, 'FAILED',      '. r . . . . . . . . . ='),
  ('job_steps', 1, 'pending',   '= x . .'),
  ('job_steps', 2, 'started',   'r = x x'),
  ('job_steps', 3, 'succeeded', 'r . = .'),
  ('job_steps', 4, 'failed',    'r x . =');

CREATE VIEW t.moves AS
SELECT f.workflow, f.position AS from_position, f.state AS from_state,
       g.position AS to_position, g.state AS to_state,
       split_part(f.moves, ' ', g.position) AS move
  FROM t.flow f JOIN t.flow g USING (workflow);

-- What must happen: true where the change passes.
CREATE FUNCTION t.passes(p_move text, p_mode text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE p_move WHEN 'x' THEN true WHEN '=' THEN true WHEN 'm' THEN p_mode = 'manual' ELSE false END
$$;

-- Tries every change from every state.  p_how is the statement, with %1$s for
-- the new state; the row that it works on is job 30 or its step 'a', put into
-- the old state by a service's INSERT, which may start anywhere.
CREATE TABLE t.attempts (
  workflow text, how text, mode text, from_position integer, to_position integer,
  answer text, state_after text
);
GRANT ALL ON t.attempts, t.flow, t.moves TO service_role;

CREATE FUNCTION t.attempt(p_workflow text, p_how text, p_mode text, p_sql text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_move record;
  v_answer text;
  v_after text;
BEGIN
  FOR v_move IN SELECT * FROM t.moves WHERE workflow = p_workflow ORDER BY from_position, to_position LOOP
    DELETE FROM public.jobs WHERE id = t.id(30);
    IF p_workflow = 'jobs' THEN
      CALL t.job(CASE p_mode WHEN 'manual' THEN 12 ELSE 11 END, 30, v_move.from_state);
    ELSE
      CALL t.job(11, 30, 'RENDERING');
      INSERT INTO public.job_steps (job_id, step_name, step_order, state)
      VALUES (t.id(30), 'a', 1, v_move.from_state::public.step_status);
    END IF;
    v_answer := t.run(format(p_sql, v_move.to_state), false);
    IF p_workflow = 'jobs' THEN
      SELECT status INTO v_after FROM public.jobs WHERE id = t.id(30);
    ELSE
      SELECT state INTO v_after FROM public.job_steps WHERE job_id = t.id(30);
    END IF;
    INSERT INTO t.attempts
    VALUES (p_workflow, p_how, p_mode, v_move.from_position, v_move.to_position, v_answer, v_after);
  END LOOP;
  DELETE FROM public.jobs WHERE id = t.id(30);
END
$$;

CALL t.sign_up(1);
CALL t.project(1, 11, 'auto');
CALL t.project(1, 12, 'manual');

-- jobs: 12 x 12 changes, two ways, both kinds of project; as a superuser, and
-- as the role that workers have
SELECT t.attempt('jobs', 'update', 'auto', $$UPDATE public.jobs SET status = '%1$s' WHERE id = t.id(30)$$) \g /dev/null
SELECT t.attempt('jobs', 'update', 'manual', $$UPDATE public.jobs SET status = '%1$s' WHERE id = t.id(30)$$) \g /dev/null
CALL t.as_role('service_role');
SELECT t.attempt('jobs', 'service update', 'auto', $$UPDATE public.jobs SET status = '%1$s' WHERE id = t.id(30)$$) \g /dev/null
SELECT t.attempt('jobs', 'advance_job', 'auto', $$SELECT public.advance_job(t.id(30), '%1$s')$$) \g /dev/null
SELECT t.attempt('jobs', 'advance_job', 'manual', $$SELECT public.advance_job(t.id(30), '%1$s')$$) \g /dev/null
SELECT t.attempt('job_steps', 'update_job_step', 'auto', $$SELECT public.update_job_step(t.id(30), 'a', '%1$s')$$) \g /dev/null
CALL t.as_admin();
SELECT t.attempt('job_steps', 'update', 'auto', $$UPDATE public.job_steps SET state = '%1$s' WHERE job_id = t.id(30)$$) \g /dev/null

-- what happened, as a matrix: x passed, = the same passed, . refused with
-- 23514 and the row left as it was, ! anything else
CREATE VIEW t.seen AS
SELECT a.*, m.from_state, m.to_state, m.move,
       CASE WHEN a.answer = 'ok' AND a.state_after = m.to_state
              THEN CASE WHEN m.from_state = m.to_state THEN '=' ELSE 'x' END
            WHEN a.answer LIKE '23514 illegal status transition [' || a.workflow || '_status_transition] | %'
             AND a.state_after = m.from_state
              THEN '.'
            ELSE '!' END AS seen
  FROM t.attempts a JOIN t.moves m USING (workflow, from_position, to_position);

SELECT workflow, how, mode, from_state, string_agg(seen, ' ' ORDER BY to_position) AS to_the_states
  FROM t.seen
 GROUP BY workflow, how, mode, from_position, from_state
 ORDER BY workflow, how, mode, from_position;

SELECT workflow, how, mode, count(*) AS tried, count(*) FILTER (WHERE seen IN ('x', '=')) AS passed,
       count(*) FILTER (WHERE (seen IN ('x', '=')) IS DISTINCT FROM t.passes(move, mode)) AS wrong
  FROM t.seen GROUP BY workflow, how, mode ORDER BY workflow, how, mode;

SELECT * FROM t.seen
 WHERE seen = '!' OR (seen IN ('x', '=')) IS DISTINCT FROM t.passes(move, mode);

-- DETAIL says from, to and what is allowed: every change that any update may
-- make is named, and the refused one is not named as allowed
CREATE VIEW t.refusals AS
SELECT s.*, substring(answer FROM ' \| (.*)$') AS detail,
       regexp_split_to_array(substring(answer FROM 'allowed: (.*)\.$'), ', ') AS allowed,
       coalesce((SELECT array_agg(m.to_state ORDER BY m.to_position) FROM t.moves m
                  WHERE m.workflow = s.workflow AND m.from_state = s.from_state AND m.move = 'x'),
                '{}') AS legal
  FROM t.seen s WHERE s.seen = '.';
SELECT workflow, count(*) AS refused,
       count(*) FILTER (WHERE detail NOT LIKE format('%s: from %s to %s; allowed: %%', workflow, from_state, to_state)) AS badly_worded,
       count(*) FILTER (WHERE NOT allowed @> legal) AS incomplete,
       count(*) FILTER (WHERE to_state = ANY (allowed)) AS contradicting_themselves
  FROM t.refusals GROUP BY workflow ORDER BY workflow;
SELECT DISTINCT workflow, mode, from_state, to_state, allowed FROM t.refusals
 WHERE to_state = ANY (allowed) ORDER BY 1, 2, 3, 4;
SELECT DISTINCT from_position, detail FROM t.refusals
 WHERE workflow = 'jobs' AND to_state = 'PENDING' AND from_state IN ('SCRIPTING', 'RENDERING', 'READY') ORDER BY from_position;
TRUNCATE t.attempts;

-- The functions that end a job, or begin it again, from each of its states.
-- complete_job(): from PACKAGING, and again from READY; fail_job() and
-- cancel_job(): from all but READY, FAILED stays; retry_job(): from FAILED,
-- QUEUED stays.
CREATE FUNCTION t.from_everywhere(p_function text)
RETURNS TABLE (from_state text, answer text, state_after text)
LANGUAGE plpgsql AS $$
BEGIN
  FOR from_state IN SELECT f.state FROM t.flow f WHERE f.workflow = 'jobs' ORDER BY f.position LOOP
    CALL t.job(11, 30, from_state);
    answer := left(t.try(format('SELECT public.%s(t.id(30))', p_function)), 5);
    SELECT status INTO state_after FROM public.jobs WHERE id = t.id(30);
    DELETE FROM public.jobs WHERE id = t.id(30);
    RETURN NEXT;
  END LOOP;
END
$$;
SELECT * FROM t.from_everywhere('complete_job');
SELECT * FROM t.from_everywhere('fail_job');
SELECT * FROM t.from_everywhere('cancel_job');
SELECT * FROM t.from_everywhere('retry_job');

-- INSERT: a service may start anywhere
SELECT f.workflow, f.state, t.try(CASE f.workflow
         WHEN 'jobs' THEN format($$INSERT INTO public.jobs (project_id, user_id, status) VALUES (t.id(11), t.id(1), '%s')$$, f.state)
         ELSE format($$INSERT INTO public.job_steps (job_id, step_name, step_order, state)
                       SELECT id, '%1$s', 1, '%1$s' FROM public.jobs ORDER BY created_at LIMIT 1$$, f.state) END) AS as_superuser
  FROM t.flow f ORDER BY f.workflow DESC, f.position;
DELETE FROM jobs;
CALL t.as_role('service_role');
SELECT f.state, t.try(format($$INSERT INTO public.jobs (project_id, user_id, status) VALUES (t.id(11), t.id(1), '%s')$$, f.state)) AS as_service_role
  FROM t.flow f WHERE f.workflow = 'jobs' ORDER BY f.position;
CALL t.as_admin();
SELECT status, count(*) FROM jobs GROUP BY status ORDER BY status;
DELETE FROM jobs;

-- INSERT: a user, were he granted it, starts at the first state
CALL t.job(11, 30);
BEGIN;
GRANT INSERT ON jobs, job_steps TO authenticated;
GRANT SELECT ON t.flow TO authenticated;
CREATE POLICY test_insert ON jobs FOR INSERT TO authenticated WITH CHECK (user_id = auth.uid());
CREATE POLICY test_insert ON job_steps FOR INSERT TO authenticated WITH CHECK (true);
CALL t.as_user(t.id(1));
SELECT f.workflow, f.state, t.try(CASE f.workflow
         WHEN 'jobs' THEN format($$INSERT INTO public.jobs (project_id, user_id, status) VALUES (t.id(11), t.id(1), '%s')$$, f.state)
         ELSE format($$INSERT INTO public.job_steps (job_id, step_name, step_order, state)
                       VALUES (t.id(30), '%1$s', 1, '%1$s')$$, f.state) END) AS as_user
  FROM t.flow f ORDER BY f.workflow DESC, f.position;
SELECT t.try($$INSERT INTO jobs (project_id, user_id) VALUES (t.id(11), t.id(1))$$) AS without_a_status;
SELECT t.try($$INSERT INTO jobs (project_id, user_id, status) VALUES (t.id(11), t.id(1), NULL)$$) AS null_status;
SELECT t.try($$INSERT INTO job_steps (job_id, step_name, step_order) VALUES (t.id(30), 'x', 1)$$) AS without_a_state;
ROLLBACK;
CALL t.as_admin();

-- no state at all, and words that are no state
INSERT INTO job_steps (job_id, step_name, step_order) VALUES (t.id(30), 'a', 1);
SELECT t.try($$UPDATE jobs SET status = NULL WHERE id = t.id(30)$$);
SELECT t.try($$UPDATE job_steps SET state = NULL WHERE job_id = t.id(30)$$);
SELECT t.try($$INSERT INTO jobs (project_id, user_id, status) VALUES (t.id(11), t.id(1), NULL)$$);
SELECT t.try($$INSERT INTO job_steps (job_id, step_name, step_order, state) VALUES (t.id(30), 'b', 2, NULL)$$);
SELECT t.try($$SELECT advance_job(t.id(30), NULL)$$);
SELECT t.try($$SELECT advance_job(t.id(30), 'queued')$$);
SELECT t.try($$SELECT advance_job(t.id(30), '')$$);
SELECT t.try($$SELECT update_job_step(t.id(30), 'a', NULL)$$);
SELECT t.try($$SELECT update_job_step(t.id(30), 'a', 'STARTED')$$);
SELECT t.try($$UPDATE jobs SET status = 'DONE' WHERE id = t.id(30)$$);
-- a step without a state, as old data may hold it: the same stays legal, and
-- whatever else is changed does not fail for it
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE job_steps SET state = NULL WHERE job_id = t.id(30);
SET LOCAL studio_engine.maintenance = off;
SELECT t.try($$UPDATE job_steps SET status_message = 'm' WHERE job_id = t.id(30)$$);
ROLLBACK;

-- an UPDATE of many rows of which one may not: none
CALL t.job(11, 31, 'READY');
SELECT t.try($$UPDATE jobs SET status = 'QUEUED'$$);
SELECT t.n(id) AS job, status FROM jobs ORDER BY id;
-- INSERT ... ON CONFLICT DO UPDATE is an UPDATE
SELECT t.try($$INSERT INTO jobs (id, project_id, user_id) VALUES (t.id(31), t.id(11), t.id(1))
               ON CONFLICT (id) DO UPDATE SET status = 'PENDING'$$);
-- the retry of one job opens nothing for another one, nor for later
CALL t.job(11, 32, 'FAILED');
CALL t.job(11, 33, 'FAILED');
SELECT retry_job(t.id(32)) ->> 'status';
SELECT t.try($$UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(33)$$);
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(32);
SELECT t.try($$UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(32)$$);
-- an error in the middle of a retry closes what the retry had opened
UPDATE jobs SET cost_credits_reserved = 1000 WHERE id = t.id(33);
SELECT t.try($$SELECT retry_job(t.id(33))$$);
SELECT t.try($$UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(33)$$);
-- the project's transcript mode counts at the moment of the change
CALL t.job(11, 34, 'QUEUED');
SELECT t.try($$UPDATE jobs SET status = 'VOICE_GEN' WHERE id = t.id(34)$$);
UPDATE projects SET transcript_mode = 'manual' WHERE id = t.id(11);
SELECT t.try($$UPDATE jobs SET status = 'VOICE_GEN' WHERE id = t.id(34)$$);
UPDATE projects SET transcript_mode = NULL WHERE id = t.id(11);
CALL t.job(11, 35, 'QUEUED');
SELECT t.try($$UPDATE jobs SET status = 'VOICE_GEN' WHERE id = t.id(35)$$);

-- The flows as a table.  Every row is in the matrices above and the reverse.
-- Those of content and multimedia are in 720_content_flows.
SELECT * FROM workflow_transitions() WHERE workflow !~ '^(cm|mm)_';
SELECT m.workflow, m.from_state, m.to_state, m.move, w.via, w.condition
  FROM (SELECT * FROM t.moves WHERE move IN ('x', 'm', 'r')) m
  FULL JOIN (SELECT * FROM workflow_transitions() WHERE workflow !~ '^(pipeline\.|(cm|mm)_)') w
    ON (w.workflow, w.from_status, w.to_status) = (m.workflow, m.from_state, m.to_state)
 WHERE m.move IS NULL OR w.workflow IS NULL
    OR (m.move = 'r') IS DISTINCT FROM (w.via = 'retry_job' IS TRUE)
    OR (m.move = 'm') IS DISTINCT FROM (w.condition IS NOT NULL)
 ORDER BY w.via;
\pset format unaligned
SELECT workflow_diagram('jobs');
SELECT workflow_diagram('job_steps');
\pset format aligned
SELECT t.try($$SELECT workflow_diagram(NULL)$$);
SELECT t.try($$SELECT workflow_diagram('projects')$$);
CALL t.as_role('anon');
SELECT count(*) > 0 AS seen_by_anon, length(workflow_diagram('jobs')) > 0 AS drawn FROM workflow_transitions();
CALL t.as_admin();

DROP VIEW t.refusals, t.seen, t.moves;
DROP TABLE t.attempts, t.flow;
SELECT * FROM t.books();
SELECT * FROM t.clean();
