-- 720_content_flows.sql
--
-- Every change of status there could be in the tables of content and
-- multimedia, by UPDATE and by INSERT, against matrices that are written out
-- here, and what a change writes besides.
-- Pitfall: as in 100_workflow_transitions what is expected is not asked of the
-- code.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- A row per state, a column per new state in the same order: x legal, = the same.
CREATE TABLE t.flow (workflow text, key text, needs text, position integer, state text, moves text);
INSERT INTO t.flow VALUES
  ('cm_module_content', 'content_id', 'module_name', 1, 'draft',         '= x . . .'),
  ('cm_module_content', 'content_id', 'module_name', 2, 'quality_check', '. = x x x'),
  ('cm_module_content', 'content_id', 'module_name', 3, 'approved',      '. . = x .'),
  ('cm_module_content', 'content_id', 'module_name', 4, 'revision',      '. x . = .'),
  ('cm_module_content', 'content_id', 'module_name', 5, 'failed',        'x . . . ='),
  ('cm_course_plans', 'plan_id', NULL, 1, 'draft',     '= x . x'),
  ('cm_course_plans', 'plan_id', NULL, 2, 'active',    'x = x x'),
  ('cm_course_plans', 'plan_id', NULL, 3, 'completed', '. . = .'),
  ('cm_course_plans', 'plan_id', NULL, 4, 'failed',    'x . . ='),
  ('cm_research_results', 'research_id', NULL, 1, 'pending',     '= x x x'),
  ('cm_research_results', 'research_id', NULL, 2, 'in_progress', '. = x x'),
  ('cm_research_results', 'research_id', NULL, 3, 'completed',   '. . = .'),
  ('cm_research_results', 'research_id', NULL, 4, 'failed',      'x . . ='),
  ('cm_enhancement_sessions', 'session_id', 'content_id', 1, 'started',    '= x x x'),
  ('cm_enhancement_sessions', 'session_id', 'content_id', 2, 'processing', '. = x x'),
  ('cm_enhancement_sessions', 'session_id', 'content_id', 3, 'completed',  '. . = .'),
  ('cm_enhancement_sessions', 'session_id', 'content_id', 4, 'failed',     'x . . ='),
  ('mm_multimedia_sessions', 'session_id', NULL, 1, 'started',    '= x x x'),
  ('mm_multimedia_sessions', 'session_id', NULL, 2, 'processing', '. = x x'),
  ('mm_multimedia_sessions', 'session_id', NULL, 3, 'completed',  '. . = .'),
  ('mm_multimedia_sessions', 'session_id', NULL, 4, 'failed',     'x . . ='),
  ('mm_multimedia_assets', 'asset_id', 'asset_type', 1, 'generated', '= x x'),
  ('mm_multimedia_assets', 'asset_id', 'asset_type', 2, 'processed', '. = x'),
  ('mm_multimedia_assets', 'asset_id', 'asset_type', 3, 'failed',    'x . ='),
  ('mm_audio_narrations', 'narration_id', NULL, 1, 'pending',      '= x x x'),
  ('mm_audio_narrations', 'narration_id', NULL, 2, 'synthesizing', '. = x x'),
  ('mm_audio_narrations', 'narration_id', NULL, 3, 'completed',    '. . = .'),
  ('mm_audio_narrations', 'narration_id', NULL, 4, 'failed',       'x . . ='),
  ('mm_slide_presentations', 'presentation_id', NULL, 1, 'draft',      '= x x x'),
  ('mm_slide_presentations', 'presentation_id', NULL, 2, 'generating', '. = x x'),
  ('mm_slide_presentations', 'presentation_id', NULL, 3, 'completed',  '. . = .'),
  ('mm_slide_presentations', 'presentation_id', NULL, 4, 'failed',     'x . . ='),
  ('mm_script_generations', 'script_id', NULL, 1, 'pending',    '= x x x'),
  ('mm_script_generations', 'script_id', NULL, 2, 'generating', '. = x x'),
  ('mm_script_generations', 'script_id', NULL, 3, 'completed',  '. . = .'),
  ('mm_script_generations', 'script_id', NULL, 4, 'failed',     'x . . ='),
  ('mm_rendering_queue', 'render_id', NULL, 1, 'queued',    '= x . x x'),
  ('mm_rendering_queue', 'render_id', NULL, 2, 'rendering', 'x = x x x'),
  ('mm_rendering_queue', 'render_id', NULL, 3, 'completed', '. . = . .'),
  ('mm_rendering_queue', 'render_id', NULL, 4, 'failed',    '. . . = .'),
  ('mm_rendering_queue', 'render_id', NULL, 5, 'cancelled', '. . . . =');

INSERT INTO cm_module_content (content_id, module_name) VALUES (t.id(1), 'm');

-- A row in a state, put there by a service's INSERT.
CREATE FUNCTION t.row_in(p_flow t.flow, p_state text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('DELETE FROM public.%I WHERE %I = t.id(30)', p_flow.workflow, p_flow.key);
  EXECUTE format('INSERT INTO public.%I (%s) VALUES (%s)', p_flow.workflow, concat_ws(', ', p_flow.key, 'status', p_flow.needs),
    concat_ws(', ', 't.id(30)', quote_nullable(p_state),
              CASE p_flow.needs WHEN 'module_name' THEN '''m''' WHEN 'content_id' THEN 't.id(1)' WHEN 'asset_type' THEN '''video''' END));
END
$$;
CREATE FUNCTION t.state_of(p_flow t.flow) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_state text;
BEGIN
  EXECUTE format('SELECT status FROM public.%I WHERE %I = t.id(30)', p_flow.workflow, p_flow.key) INTO v_state;
  RETURN v_state;
END
$$;
CREATE TABLE t.attempts AS
SELECT f.workflow, f.position AS from_position, f.state AS from_state, g.position AS to_position, g.state AS to_state,
       split_part(f.moves, ' ', g.position) AS move, NULL::text AS answer, NULL::text AS state_after
  FROM t.flow f JOIN t.flow g USING (workflow);
DO $$
DECLARE
  v record;
  v_flow t.flow;
BEGIN
  FOR v IN SELECT a.ctid, a.* FROM t.attempts a ORDER BY workflow, from_position, to_position LOOP
    SELECT * INTO v_flow FROM t.flow f WHERE f.workflow = v.workflow AND f.state = v.from_state;
    PERFORM t.row_in(v_flow, v.from_state);
    UPDATE t.attempts a
       SET answer = t.run(format('UPDATE public.%I SET status = %L WHERE %I = t.id(30)', v.workflow, v.to_state, v_flow.key), false)
     WHERE a.workflow = v.workflow AND a.from_position = v.from_position AND a.to_position = v.to_position;
    UPDATE t.attempts a SET state_after = t.state_of(v_flow)
     WHERE a.workflow = v.workflow AND a.from_position = v.from_position AND a.to_position = v.to_position;
  END LOOP;
END
$$;
-- x passed, = the same passed, . refused with 23514 and the row left as it was, ! anything else
CREATE VIEW t.outcome AS
SELECT a.*, CASE WHEN answer = 'ok' AND state_after = to_state THEN CASE WHEN from_state = to_state THEN '=' ELSE 'x' END
                 WHEN answer LIKE '23514 illegal status transition [' || workflow || '_status_transition] | '
                                  || workflow || ': from ' || from_state || ' to ' || to_state || '; allowed: %' AND state_after = from_state THEN '.'
                 ELSE '!' END AS outcome
  FROM t.attempts a;
SELECT workflow, from_state, string_agg(outcome, ' ' ORDER BY to_position) AS to_the_states
  FROM t.outcome GROUP BY workflow, from_position, from_state ORDER BY workflow, from_position;
SELECT count(*) AS tried, count(*) FILTER (WHERE outcome <> move) AS wrong FROM t.outcome;
SELECT * FROM t.outcome WHERE outcome <> move;
-- the same flows are told
SELECT a.workflow, a.from_state, a.to_state, w.* FROM (SELECT * FROM t.attempts WHERE move = 'x') a
  FULL JOIN (SELECT * FROM workflow_transitions() WHERE workflow ~ '^(cm|mm)_') w
    ON (w.workflow, w.from_status, w.to_status) = (a.workflow, a.from_state, a.to_state)
 WHERE a.workflow IS NULL OR w.workflow IS NULL OR w.via IS NOT NULL OR w.condition IS NOT NULL;
SELECT workflow, length(workflow_diagram(workflow)) > 0 AS drawn FROM (SELECT DISTINCT workflow FROM t.flow) f ORDER BY workflow;

-- INSERT: a service may start anywhere, in no unknown state and not without one; unknown states are refused later too
SELECT workflow, string_agg(t.try(format('SELECT t.row_in(f, %L) FROM t.flow f WHERE f.workflow = %L AND f.position = 1', state, workflow)), ' ' ORDER BY position) AS as_service
  FROM t.flow GROUP BY workflow ORDER BY workflow;
SELECT workflow, t.try(format('SELECT t.row_in(f, ''done'') FROM t.flow f WHERE f.workflow = %L AND f.position = 1', workflow)) AS unknown,
       t.try(format('SELECT t.row_in(f, NULL) FROM t.flow f WHERE f.workflow = %L AND f.position = 1', workflow)) AS without,
       regexp_replace(t.try(format('UPDATE public.%I SET status = ''done'' WHERE %I = t.id(30)', workflow, key)), 'from \w+ to', 'from whatever to') AS later
  FROM t.flow WHERE position = 1 ORDER BY workflow;
-- a user, were he granted it, starts at the first state
BEGIN;
GRANT USAGE ON SCHEMA t TO authenticated;
GRANT INSERT ON cm_module_content, mm_rendering_queue TO authenticated;
CREATE POLICY test_insert ON cm_module_content FOR INSERT TO authenticated WITH CHECK (true);
CREATE POLICY test_insert ON mm_rendering_queue FOR INSERT TO authenticated WITH CHECK (true);
CALL t.as_user(t.id(1));
SELECT s, t.try(format('INSERT INTO public.cm_module_content (module_name, status) VALUES (''m'', %L)', s)) AS answer FROM unnest('{draft,approved}'::text[]) s;
SELECT s, t.try(format('INSERT INTO public.mm_rendering_queue (status) VALUES (%L)', s)) AS answer FROM unnest('{queued,rendering}'::text[]) s;
ROLLBACK;
CALL t.as_admin();
DROP VIEW t.outcome;
DROP TABLE t.attempts;
DROP FUNCTION t.row_in, t.state_of;
DROP TABLE t.flow;
DELETE FROM mm_multimedia_sessions; DELETE FROM mm_multimedia_assets; DELETE FROM mm_audio_narrations; DELETE FROM mm_slide_presentations;
DELETE FROM mm_script_generations; DELETE FROM mm_rendering_queue; DELETE FROM cm_course_plans; DELETE FROM cm_research_results;
DELETE FROM cm_enhancement_sessions; DELETE FROM cm_module_content WHERE content_id = t.id(30);

--
-- Sessions: progress, times, attempts
--

INSERT INTO mm_multimedia_sessions (session_id, started_at) VALUES (t.id(1), now() - INTERVAL '90 minutes 30 seconds');
CREATE VIEW t.session AS
SELECT status, progress_percentage AS progress, current_stage AS stage, error_message AS error, processing_duration_seconds / 60 AS minutes,
       completed_at IS NOT NULL AS completed FROM mm_multimedia_sessions WHERE session_id = t.id(1);
SELECT * FROM t.session;
SELECT p, update_session_status(t.id(1), 'processing', p, 'at ' || p) ->> 'progress_percentage' AS progress
  FROM unnest('{10,30.5,20,30.4,NULL,99.99,0}'::numeric[]) p;
SELECT * FROM t.session;
SELECT t.try('UPDATE mm_multimedia_sessions SET progress_percentage = 5') AS lower_is_ignored,
       t.try('UPDATE mm_multimedia_sessions SET progress_percentage = NULL') AS so_is_null,
       t.try('UPDATE mm_multimedia_sessions SET progress_percentage = 100.01') AS too_much,
       t.try('UPDATE mm_multimedia_sessions SET progress_percentage = ''NaN''') AS no_number;
SELECT t.ask('SELECT update_session_status(t.id(1), ''processing'', ' || p || ')') AS answer FROM unnest('{-1,100.5,''NaN'',''Infinity''}'::text[]) p;
SELECT t.ask('SELECT update_session_status(t.id(1), ''done'')') AS unknown, t.ask('SELECT update_session_status(t.id(1), NULL)') AS no_status,
       t.ask('SELECT update_session_status(t.id(9), ''failed'')') AS no_session, t.ask('SELECT update_session_status(t.id(1), ''started'')') AS backwards;
SELECT * FROM t.session;
-- it fails, and starts again
SELECT update_session_status(t.id(1), 'failed', p_error_message => 'no voice') ->> 'error_message' AS error;
SELECT * FROM t.session;
SELECT update_session_status(t.id(1), 'started') ->> 'status' AS status;
SELECT s.*, started_at > now() - INTERVAL '10 minutes' AS started_anew FROM t.session s, mm_multimedia_sessions m;
UPDATE mm_multimedia_sessions SET started_at = now() - INTERVAL '5 minutes 30 seconds';
SELECT update_session_status(t.id(1), 'completed', 40) ->> 'progress_percentage' AS progress;
SELECT * FROM t.session;
SELECT completed_at AS first FROM mm_multimedia_sessions \gset
SELECT update_session_status(t.id(1), 'completed', 10, 'again') ->> 'progress_percentage' AS progress;
SELECT s.*, completed_at = :'first' AS same_time FROM t.session s, mm_multimedia_sessions m;
-- the duration is never negative and never more than an integer; times of the statement itself win
CREATE FUNCTION pg_temp.lasted(p_started timestamptz, p_completed timestamptz) RETURNS integer LANGUAGE sql AS $$
  INSERT INTO public.mm_multimedia_sessions (session_id, started_at) VALUES (t.id(2), p_started);
  UPDATE public.mm_multimedia_sessions SET status = 'completed', completed_at = p_completed WHERE session_id = t.id(2);
  WITH gone AS (DELETE FROM public.mm_multimedia_sessions WHERE session_id = t.id(2) RETURNING processing_duration_seconds)
  SELECT processing_duration_seconds FROM gone $$;
SELECT pg_temp.lasted('2026-01-01 00:00', '2026-01-01 01:00') AS hour;
SELECT pg_temp.lasted('2026-01-01', '2025-01-01') AS backwards;
SELECT pg_temp.lasted('infinity', NULL) AS never_started;
SELECT pg_temp.lasted('-infinity', NULL) AS always;
SELECT pg_temp.lasted('0001-01-01', '9999-01-01') AS ages;
SELECT pg_temp.lasted(NULL, NULL) IS NULL AS unknown;
-- imports keep what they bring
INSERT INTO mm_multimedia_sessions (session_id, status, progress_percentage, completed_at, processing_duration_seconds)
VALUES (t.id(3), 'completed', 50, '2001-01-01', 7), (t.id(4), 'processing', 40, NULL, NULL), (t.id(5), 'started', NULL, NULL, NULL);
SELECT t.n(session_id) AS session, status, progress_percentage, completed_at IS NOT NULL AS completed, processing_duration_seconds
  FROM mm_multimedia_sessions WHERE session_id IN (t.id(3), t.id(4), t.id(5)) ORDER BY session_id;
DROP VIEW t.session;
DELETE FROM mm_multimedia_sessions;

--
-- The others
--

INSERT INTO mm_rendering_queue (render_id) VALUES (t.id(1));
CREATE VIEW t.rendering AS
SELECT status, progress, retry_count AS retries, error_code AS error, started_at IS NOT NULL AS started, finished_at IS NOT NULL AS finished FROM mm_rendering_queue;
UPDATE mm_rendering_queue SET status = 'rendering', progress = 30;
UPDATE mm_rendering_queue SET progress = 20;
SELECT * FROM t.rendering;
UPDATE mm_rendering_queue SET status = 'queued';
SELECT * FROM t.rendering;
UPDATE mm_rendering_queue SET status = 'rendering';
UPDATE mm_rendering_queue SET status = 'failed', error_code = 'GPU';
SELECT * FROM t.rendering;
SELECT retry_rendering(t.id(1)) ->> 'status' AS status;
SELECT * FROM t.rendering;
UPDATE mm_rendering_queue SET status = 'rendering';
UPDATE mm_rendering_queue SET status = 'completed';
SELECT * FROM t.rendering;
DROP VIEW t.rendering;
INSERT INTO cm_enhancement_sessions (session_id, content_id) VALUES (t.id(1), t.id(1));
UPDATE cm_enhancement_sessions SET status = 'failed';
SELECT completed_at FROM cm_enhancement_sessions;
UPDATE cm_enhancement_sessions SET status = 'started';
UPDATE cm_enhancement_sessions SET status = 'completed';
SELECT completed_at IS NOT NULL AS completed FROM cm_enhancement_sessions;
INSERT INTO mm_audio_narrations (synthesis_completed) VALUES (true);
SELECT status, synthesis_completed FROM mm_audio_narrations;
UPDATE mm_audio_narrations SET status = 'completed';
UPDATE mm_audio_narrations SET synthesis_completed = false;
SELECT status, synthesis_completed FROM mm_audio_narrations;
-- updated_at is the time of the transaction everywhere
BEGIN;
UPDATE cm_module_content SET updated_at = '2001-01-01';
UPDATE mm_audio_narrations SET updated_at = '2001-01-01';
SELECT (SELECT updated_at = now() FROM cm_module_content) AS content, (SELECT updated_at = now() FROM mm_audio_narrations) AS narration;
ROLLBACK;
-- revision_count: what the statement says wins
UPDATE cm_module_content SET status = 'quality_check';
UPDATE cm_module_content SET status = 'revision';
UPDATE cm_module_content SET status = 'quality_check', revision_count = 40;
SELECT revision_count FROM cm_module_content;
DELETE FROM mm_audio_narrations; DELETE FROM mm_rendering_queue;
SELECT * FROM t.clean();
