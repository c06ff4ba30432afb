-- 110_workflow_stamps.sql
--
-- What the flow's trigger writes besides checking: times and progress.
-- Pitfall: times differ from run to run, so only what is set, kept or renewed
-- is printed, never a time.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.stamps AS
SELECT t.n(id) AS job, status, progress, started_at IS NOT NULL AS started, finished_at IS NOT NULL AS finished,
       started_at <= finished_at AS in_order
  FROM jobs ORDER BY id;
CREATE VIEW t.step_stamps AS
SELECT step_name AS step, state, progress_pct AS pct, error_message AS error,
       started_at IS NOT NULL AS started, finished_at IS NOT NULL AS finished, started_at <= finished_at AS in_order
  FROM job_steps ORDER BY step_order, step_name;

-- The stamps of a walk through all the stages, by plain UPDATE.
CREATE FUNCTION t.walk(p_job integer, VARIADIC p_statuses text[]) RETURNS SETOF t.stamps
LANGUAGE plpgsql AS $$
DECLARE
  v_status text;
BEGIN
  FOREACH v_status IN ARRAY p_statuses LOOP
    UPDATE jobs SET status = v_status::job_status WHERE id = t.id(p_job);
    RETURN QUERY SELECT * FROM t.stamps WHERE job = p_job::text;
  END LOOP;
END
$$;

CALL t.sign_up(1);
CALL t.project(1, 11);
CALL t.project(1, 12, 'manual');

-- floors: SCRIPTING 5, VOICE_GEN 15, ALIGNMENT 25, VISUAL_PLAN 40, IMAGE_GEN 50,
-- TIMELINE 70, RENDERING 75, PACKAGING 95, READY 100; started_at with the first
-- stage after QUEUED, finished_at with the end
CALL t.job(11, 21);
SELECT * FROM t.stamps;
SELECT * FROM t.walk(21, 'QUEUED', 'SCRIPTING', 'VOICE_GEN', 'ALIGNMENT', 'VISUAL_PLAN', 'IMAGE_GEN',
                     'TIMELINE', 'RENDERING', 'PACKAGING', 'READY');
SELECT started_at AS first_start, finished_at AS first_finish FROM jobs WHERE id = t.id(21) \gset

-- nothing that comes later moves the times or takes the progress back
UPDATE jobs SET status = 'READY', progress = 3, status_message = 'done' WHERE id = t.id(21);
UPDATE jobs SET progress = NULL WHERE id = t.id(21);
SELECT status, progress, status_message, started_at = :'first_start' AS same_start, finished_at = :'first_finish' AS same_finish
  FROM jobs WHERE id = t.id(21);

-- the manual flow starts with VOICE_GEN
CALL t.job(12, 22);
SELECT * FROM t.walk(22, 'QUEUED', 'VOICE_GEN');

-- progress within a stage: the largest so far; a floor does not lower it;
-- NULL counts as saying nothing; beyond the bounds is refused
CALL t.job(11, 23, 'SCRIPTING');
UPDATE jobs SET progress = 12 WHERE id = t.id(23);
UPDATE jobs SET progress = 8 WHERE id = t.id(23);
SELECT progress AS still_12 FROM jobs WHERE id = t.id(23);
UPDATE jobs SET progress = NULL WHERE id = t.id(23);
SELECT progress AS still_12 FROM jobs WHERE id = t.id(23);
UPDATE jobs SET progress = 33 WHERE id = t.id(23);
SELECT * FROM t.walk(23, 'VOICE_GEN', 'ALIGNMENT', 'VISUAL_PLAN');
UPDATE jobs SET status = 'IMAGE_GEN', progress = 20 WHERE id = t.id(23);
SELECT progress AS floor_of_image_gen FROM jobs WHERE id = t.id(23);
UPDATE jobs SET status = 'TIMELINE', progress = NULL WHERE id = t.id(23);
SELECT progress AS floor_of_timeline FROM jobs WHERE id = t.id(23);
UPDATE jobs SET status = 'RENDERING', progress = 90 WHERE id = t.id(23);
SELECT progress AS told_90 FROM jobs WHERE id = t.id(23);
SELECT t.try('UPDATE jobs SET progress = 101 WHERE id = t.id(23)');
SELECT t.try('UPDATE jobs SET progress = -1 WHERE id = t.id(23)') AS lower_than_before_is_ignored;
SELECT t.ask('SELECT advance_job(t.id(23), ''RENDERING'', 101)');
SELECT t.ask('SELECT advance_job(t.id(23), ''RENDERING'', -1)');
SELECT advance_job(t.id(23), 'RENDERING', 92, 'half way') ->> 'progress' AS progress;
SELECT advance_job(t.id(23), 'RENDERING', 50) ->> 'progress' AS progress;
SELECT advance_job(t.id(23), 'PACKAGING') ->> 'progress' AS progress;
SELECT status_message FROM jobs WHERE id = t.id(23);

-- the same status again changes nothing, in a row that a start time stands in
SELECT to_jsonb(j) AS before FROM jobs j WHERE id = t.id(23) \gset
UPDATE jobs SET status = status WHERE id = t.id(23);
SELECT advance_job(t.id(23), 'PACKAGING') = :'before'::jsonb AS answer_is_the_row;
SELECT to_jsonb(j) = :'before'::jsonb AS nothing_changed FROM jobs j WHERE id = t.id(23);

-- failing: progress stays, finished_at comes; without a start before QUEUED ends
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(23);
CALL t.job(11, 24);
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(24);
CALL t.job(11, 25, 'QUEUED');
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(25);
SELECT * FROM t.stamps WHERE status = 'FAILED';

-- a retry begins a new attempt: progress 0, no times, no error, steps over
CALL t.job(11, 26);
SELECT create_job_steps(t.id(26), '["a", "b", "c", "d"]');
SELECT advance_job(t.id(26), 'QUEUED') ->> 'status', advance_job(t.id(26), 'SCRIPTING', 10, 'working') ->> 'status';
SELECT started_at AS first_start FROM jobs WHERE id = t.id(26) \gset
SELECT update_job_step(t.id(26), s, 'started', 30, 'at it') ->> 'state' FROM unnest('{a,b,c}'::text[]) s;
SELECT update_job_step(t.id(26), 'a', 'succeeded') ->> 'state', update_job_step(t.id(26), 'b', 'failed', NULL, NULL, 'no voice') ->> 'state';
SELECT * FROM t.step_stamps;
SELECT fail_job(t.id(26), 'TTS', 'no voice', 'b') ->> 'error_code' AS error_code;
SELECT * FROM t.stamps WHERE job = '26';
SELECT j ->> 'status' AS status, j ->> 'progress' AS progress, j - 'id' - 'project_id' - 'user_id' - 'created_at' AS rest
  FROM retry_job(t.id(26)) j;
SELECT * FROM t.step_stamps;
SELECT count(*) AS steps_with_messages FROM job_steps WHERE status_message IS NOT NULL;
SELECT * FROM t.walk(26, 'SCRIPTING');
SELECT started_at > :'first_start' AS started_anew FROM jobs WHERE id = t.id(26);
DELETE FROM jobs;

-- steps by plain UPDATE
CALL t.job(11, 27, 'RENDERING');
INSERT INTO job_steps (job_id, step_name, step_order) VALUES (t.id(27), 'a', 1), (t.id(27), 'b', 2);
SELECT * FROM t.step_stamps;
UPDATE job_steps SET state = 'started' WHERE step_name = 'a';
SELECT started_at AS first_start FROM job_steps WHERE step_name = 'a' \gset
UPDATE job_steps SET progress_pct = 40 WHERE step_name = 'a';
UPDATE job_steps SET state = 'started', progress_pct = 20 WHERE step_name = 'a';
UPDATE job_steps SET progress_pct = NULL WHERE step_name = 'a';
SELECT s.*, started_at = :'first_start' AS same_start FROM t.step_stamps s JOIN job_steps j ON j.step_name = s.step WHERE s.step = 'a';
UPDATE job_steps SET state = 'failed', error_message = 'oops' WHERE step_name = 'a';
SELECT * FROM t.step_stamps WHERE step = 'a';
UPDATE job_steps SET state = 'failed' WHERE step_name = 'a';
UPDATE job_steps SET state = 'started' WHERE step_name = 'a';
SELECT s.*, started_at > :'first_start' AS started_anew FROM t.step_stamps s JOIN job_steps j ON j.step_name = s.step WHERE s.step = 'a';
UPDATE job_steps SET state = 'succeeded' WHERE step_name = 'a';
SELECT * FROM t.step_stamps WHERE step = 'a';
SELECT finished_at AS first_finish FROM job_steps WHERE step_name = 'a' \gset
UPDATE job_steps SET state = 'succeeded', status_message = 'again' WHERE step_name = 'a';
SELECT finished_at = :'first_finish' AS same_finish FROM job_steps WHERE step_name = 'a';
SELECT update_job_step(t.id(27), 'b', 'started', 50, 'm', NULL) - 'id' - 'started_at' AS step;
SELECT update_job_step(t.id(27), 'b', 'started', NULL, NULL, NULL) - 'id' - 'started_at' AS step;
SELECT update_job_step(t.id(27), 'b', 'started', 10, 'n', 'e') - 'id' - 'started_at' AS step;

-- updated_at: the time of the transaction, whatever the statement says
UPDATE projects SET updated_at = '2000-01-01' WHERE id = t.id(11);
UPDATE profiles SET updated_at = NULL WHERE id = t.id(1);
SELECT updated_at > now() - INTERVAL '1 minute' AS fresh FROM projects WHERE id = t.id(11);
SELECT updated_at > now() - INTERVAL '1 minute' AS fresh FROM profiles WHERE id = t.id(1);
BEGIN;
UPDATE projects SET title = 'x';
SELECT DISTINCT updated_at = now() AS time_of_the_transaction FROM projects;
COMMIT;

-- columns of the user's own, dropped and new, do not confuse the triggers
BEGIN;
ALTER TABLE jobs ADD COLUMN mine text, ADD COLUMN gone integer;
ALTER TABLE jobs DROP COLUMN gone;
UPDATE jobs SET status = 'PACKAGING', mine = 'x' WHERE id = t.id(27);
SELECT status, progress, mine FROM jobs WHERE id = t.id(27);
ROLLBACK;

DROP FUNCTION t.walk;
DROP VIEW t.stamps, t.step_stamps;
SELECT * FROM t.books();
SELECT * FROM t.clean();
