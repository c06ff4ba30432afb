-- 360_repetitions.sql
--
-- A worker that lost the answer asks again: the second time no row is written,
-- so that nobody who listens hears of it twice.
-- Pitfall: a row that is written with the same values looks the same; its xmin
-- does not.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1);
CALL t.project(1, 11);
INSERT INTO jobs (id, project_id, user_id, status) VALUES (t.id(21), t.id(11), t.id(1), 'QUEUED');
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES (t.id(31), t.id(1), 'https://example.com/a.mp3');
INSERT INTO mm_rendering_queue (render_id, user_id) VALUES (t.id(41), t.id(1));

CREATE FUNCTION t.versions() RETURNS text
LANGUAGE sql AS $$
  SELECT concat_ws(' ', (SELECT xmin::text || ctid FROM jobs WHERE id = t.id(21)), (SELECT xmin::text || ctid FROM studio_jobs WHERE job_id = t.id(31)),
                   (SELECT xmin::text || ctid FROM mm_rendering_queue WHERE render_id = t.id(41)))
$$;
-- the same call twice: is it answered alike, and what does the second one write?
CREATE PROCEDURE t.repeat(p_call text)
LANGUAGE plpgsql AS $$
DECLARE
  v_first text;
  v_again text;
  v_versions text;
BEGIN
  EXECUTE p_call INTO v_first;
  COMMIT;
  v_versions := t.versions();
  EXECUTE p_call INTO v_again;
  COMMIT;
  RAISE NOTICE '%: % the same answer, % written', split_part(substr(p_call, 8), '(', 1),
    CASE WHEN v_first = v_again THEN 'twice' ELSE 'not' END, CASE WHEN v_versions = t.versions() THEN 'nothing' ELSE 'a row' END;
END
$$;

CALL t.repeat($$SELECT advance_job(t.id(21), 'SCRIPTING', 10, 'writing')$$);
CALL t.repeat($$SELECT advance_job(t.id(21), 'SCRIPTING')$$);
CALL t.repeat($$SELECT update_studio_job_status(t.id(31), 'TRANSCRIBING')$$);
CALL t.repeat($$SELECT update_rendering(t.id(41), 'rendering', 10)$$);
-- what does change is written
SELECT t.versions() AS before \gset
SELECT advance_job(t.id(21), 'SCRIPTING', 12) ->> 'progress' AS progress, update_rendering(t.id(41), 'rendering', 20) ->> 'progress' AS of_the_rendering;
SELECT t.versions() <> :'before' AS written;

DROP PROCEDURE t.repeat;
DROP FUNCTION t.versions;
DELETE FROM mm_rendering_queue;
SELECT * FROM t.books();
SELECT * FROM t.clean();
