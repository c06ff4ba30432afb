-- 620_pipeline_runs.sql
--
-- Runs as services and their owners see them: made, repeated, read, cancelled,
-- tried again, deleted with their user; the limit of a user.
-- Pitfall: a run id is in one name space for all users, so a user who names the
-- run of another must be told the same as for one that is not there.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2);
CREATE VIEW t.runs WITH (security_invoker) AS
SELECT run_id, t.n(owner_id) AS owner, status, project_spec AS spec, last_event_seq AS events FROM pipeline.jobs ORDER BY run_id COLLATE "C";
GRANT SELECT ON t.runs TO service_role, authenticated;

-- a service: for a user, for nobody, and with an id that is made up
CALL t.as_role('service_role');
SELECT key, CASE WHEN key LIKE '%\_at' AND value <> 'null' THEN 'a time' ELSE t.masked(value::text) END AS value
  FROM jsonb_each(pipeline.create_job('run-1', '{"title": "Vasa"}', t.id(1))) ORDER BY key COLLATE "C";
SELECT pipeline.create_job('run-2', '[1, "ü"]') ->> 'owner_id' IS NULL AS nobodys;
SELECT pipeline.create_job(NULL, '{}', t.id(2)) ->> 'run_id' ~ '^[0-9a-f-]{36}$' AS made_up;
SELECT t.masked(run_id) AS run, owner, status, spec, events FROM t.runs ORDER BY spec::text;
-- again: the run as it is; other content is refused
SELECT t.quiet($$SELECT pipeline.create_job('run-1', '{"title": "Vasa"}', t.id(1)) ->> 'run_id'$$);
SELECT t.quiet($$SELECT pipeline.create_job('run-1', '{  "title" : "Vasa" }', t.id(1)) ->> 'run_id'$$);
SELECT t.quiet($$SELECT pipeline.create_job('run-1', '{"title": "Vasa"}')$$) AS nobody_is_another;
SELECT t.quiet($$SELECT pipeline.create_job('run-1', '{"title": "Wasa"}', t.id(1))$$);
SELECT t.quiet($$SELECT pipeline.create_job('run-1', '{"title": "Vasa"}', t.id(2))$$);
SELECT t.quiet($$SELECT pipeline.create_job('run-2', '[1, "ü"]', t.id(1))$$);
SELECT pipeline.set_job_status('run-1', 'running') ->> 'status' AS status;
SELECT pipeline.create_job('run-1', '{"title": "Vasa"}', t.id(1)) ->> 'status' AS as_it_is_now;
-- bounds
SELECT t.quiet($$SELECT pipeline.create_job('run-3', NULL)$$);
SELECT t.quiet($$SELECT pipeline.create_job('', '{}')$$);
SELECT t.quiet($$SELECT pipeline.create_job('run-3', '{}', t.id(99))$$);
SELECT t.quiet($$SELECT pipeline.create_job(repeat('x', 256), '{}')$$);
SELECT t.quiet($$SELECT pipeline.create_job('run-3', jsonb_build_object('x', repeat('x', 1100000)))$$);
SELECT length(pipeline.create_job('run-3', jsonb_build_object('x', repeat('ä', 500000))) #>> '{project_spec,x}') AS big;
SELECT t.ask($$SELECT pipeline.create_job(E'\u8239 \U0001F6A2 \n''"\\', '{"\u8239": [null]}') ->> 'run_id' = E'\u8239 \U0001F6A2 \n''"\\'$$) AS any_text;
SELECT t.ask($$SELECT pipeline.get_job(E'\u8239 \U0001F6A2 \n''"\\') ->> 'project_spec'$$) AS any_text;
SELECT t.quiet($$SELECT pipeline.get_job('run-0')$$);
SELECT t.quiet($$SELECT pipeline.get_job(NULL)$$);
SELECT t.quiet($$SELECT pipeline.set_job_status('run-0', 'running')$$);
SELECT t.quiet($$SELECT pipeline.cancel_job('run-0')$$);
SELECT t.quiet($$SELECT pipeline.retry_job('run-0')$$);

-- a user: for himself only
CALL t.as_user(t.id(1));
SELECT pipeline.create_job('mine', '{"a": 1}') ->> 'owner_id' = t.id(1)::text AS mine;
SELECT pipeline.create_job('mine', '{"a": 1}', t.id(1)) ->> 'status' AS again;
SELECT t.try($$SELECT pipeline.create_job('mine', '{"a": 2}')$$) AS other_content;
SELECT t.try($$SELECT pipeline.create_job('hers', '{}', t.id(2))$$) AS for_another;
SELECT t.try($$SELECT pipeline.create_job('run-2', '[1, "ü"]')$$) AS nobodys;
SELECT t.try($$SELECT pipeline.get_job('run-2')$$) AS nobodys;
SELECT t.try($$SELECT pipeline.get_job('run-0')$$) AS unknown;
SELECT pipeline.get_job('run-1') ->> 'status' AS status;
SELECT run_id, owner FROM t.runs WHERE owner <> '1' OR owner IS NULL;
SELECT run_id FROM pipeline.jobs ORDER BY run_id;
SELECT t.try($$SELECT pipeline.set_job_status('mine', 'running')$$);
SELECT t.try($$SELECT pipeline.record_event('mine', 'b', 'e')$$);
SELECT t.try($$SELECT pipeline.register_artifact('mine', 'zip', 'u')$$);
SELECT t.try($$SELECT pipeline.delete_old_events('1 day')$$);
SELECT t.try($$INSERT INTO pipeline.jobs (run_id, project_spec, owner_id) VALUES ('x', '{}', auth.uid())$$);
SELECT t.try($$UPDATE pipeline.jobs SET last_event_seq = 0$$);
CALL t.as_user(t.id(2));
SELECT t.try($$SELECT pipeline.create_job('mine', '{"a": 1}')$$) AS foreign_run;
SELECT t.try($$SELECT pipeline.get_job('mine')$$) AS foreign_run;
SELECT t.try($$SELECT pipeline.cancel_job('mine')$$) AS foreign_run;
SELECT t.try($$SELECT pipeline.retry_job('mine')$$) AS foreign_run;
SELECT t.try($$SELECT * FROM pipeline.events_since('mine')$$) AS foreign_run;
CALL t.as_user(NULL);
SELECT t.try($$SELECT pipeline.create_job('nobodys', '{}')$$) AS nobody;
SELECT t.try($$SELECT pipeline.get_job('mine')$$) AS nobody;
CALL t.as_role('anon');
SELECT t.try($$SELECT pipeline.get_job('mine')$$) AS anon;

-- whoever was there first with an id: nobody else gets the run, and no word goes into it
CALL t.as_admin();
CREATE TABLE t.squat (run text, asks integer, who text, answer text);
DO $$
DECLARE
  v_run record;
  v_asker record;
BEGIN
  INSERT INTO pipeline.jobs (run_id, project_spec, owner_id, status)
    VALUES ('of nobody', '{}', NULL, 'completed'), ('of 1', '{}', t.id(1), 'completed'), ('of 2', '{}', t.id(2), 'completed');
  FOR v_run IN SELECT run_id FROM pipeline.jobs WHERE run_id LIKE 'of %' LOOP
    FOR v_asker IN SELECT * FROM (VALUES ('service', NULL), ('service', 1), ('service', 2), ('user', 1), ('user', 2)) a (who, asks) LOOP
      IF v_asker.who = 'service' THEN CALL t.as_role('service_role'); ELSE CALL t.as_user(t.id(v_asker.asks)); END IF;
      BEGIN
        PERFORM pipeline.create_job(v_run.run_id, '{}', t.id(v_asker.asks));
        v_asker.who := v_asker.who || ': the run';
      EXCEPTION WHEN OTHERS THEN
        v_asker.who := v_asker.who || ': ' || SQLSTATE || ' ' || SQLERRM;
      END;
      CALL t.as_admin();
      INSERT INTO t.squat VALUES (v_run.run_id, v_asker.asks, split_part(v_asker.who, ': ', 1), split_part(v_asker.who, ': ', 2));
    END LOOP;
  END LOOP;
END
$$;
SELECT run, who, asks AS "for", answer FROM t.squat ORDER BY 1, 2, 3;
SELECT run_id, t.n(owner_id) AS owner, status, last_event_seq AS events FROM pipeline.jobs WHERE run_id LIKE 'of %' ORDER BY 1;
DROP TABLE t.squat;
DELETE FROM pipeline.jobs WHERE run_id LIKE 'of %';

-- he may cancel it; what failed he may try again
CALL t.as_user(t.id(1));
SELECT pipeline.cancel_job('mine') ->> 'status' AS status;
SELECT pipeline.cancel_job('mine') ->> 'last_event_seq' AS still_2;
SELECT t.try($$SELECT pipeline.retry_job('mine')$$);
CALL t.as_role('service_role');
SELECT pipeline.set_job_status('run-1', 'failed', 'No paper') ->> 'error_message' AS error;
CALL t.as_user(t.id(1));
SELECT t.try($$SELECT pipeline.cancel_job('run-1')$$) AS failed_already;
SELECT pipeline.retry_job('run-1') ->> 'error_message' IS NULL AS tried_again;

-- the limit: users only, counting what is pending or running, whoever made it
SELECT run_id, status FROM pipeline.jobs WHERE status IN ('pending', 'running') ORDER BY run_id;
SELECT t.try(format('SELECT pipeline.create_job(%L, %L)', 'more-' || n, '{}')) FROM generate_series(2, 6) n;
SELECT t.try($$SELECT pipeline.create_job('more-2', '{}')$$) AS there_already;
SELECT pipeline.cancel_job('more-2') ->> 'status' AS status;
SELECT t.try($$SELECT pipeline.create_job('more-6', '{}')$$) AS room_again;
CALL t.as_role('service_role');
SELECT t.try($$SELECT pipeline.create_job('more-7', '{}', t.id(1))$$) AS a_service_may;
SELECT pipeline.set_job_status('more-7', 'failed') ->> 'status' AS status;
CALL t.as_user(t.id(1));
SELECT t.try($$SELECT pipeline.retry_job('more-7')$$) AS full;
SELECT pipeline.get_job('more-7') ->> 'status' AS still;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '6' WHERE name = 'max_active_runs';
CALL t.as_user(t.id(1));
SELECT t.try($$SELECT pipeline.retry_job('more-7')$$) AS one_more;
SELECT t.try($$SELECT pipeline.create_job('more-8', '{}')$$) AS full;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_runs';
CALL t.as_user(t.id(1));
SELECT t.try($$SELECT pipeline.create_job('more-8', '{}')$$) AS no_limit;
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '5' WHERE name = 'max_active_runs';

-- a trigger of the owner that drops rows is named, and nothing goes on forever
BEGIN;
CREATE FUNCTION t.drop_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER zz_drop BEFORE INSERT ON pipeline.jobs FOR EACH ROW EXECUTE FUNCTION t.drop_run();
SELECT t.quiet($$SELECT pipeline.create_job('dropped', '{}')$$);
DROP TRIGGER zz_drop ON pipeline.jobs;
CREATE TRIGGER zz_drop BEFORE INSERT ON pipeline.job_events FOR EACH ROW EXECUTE FUNCTION t.drop_run();
SELECT t.quiet($$SELECT pipeline.record_event('mine', 'b', 'e')$$);
DROP TRIGGER zz_drop ON pipeline.job_events;
SELECT pipeline.record_event('mine', 'b', 'e') AS no_gap;
ROLLBACK;

-- everything of a run goes with it, and a run with its user
INSERT INTO pipeline.artifacts (run_id, kind) SELECT run_id, 'zip' FROM pipeline.jobs;
DELETE FROM pipeline.jobs WHERE run_id = 'more-3';
SELECT (SELECT count(*) FROM pipeline.job_events WHERE run_id = 'more-3') AS events, (SELECT count(*) FROM pipeline.artifacts WHERE run_id = 'more-3') AS artifacts;
DELETE FROM auth.users WHERE id = t.id(1);
SELECT count(*) FILTER (WHERE owner = '1') AS of_1, count(*) FILTER (WHERE owner = '2') AS of_2, count(*) FILTER (WHERE owner IS NULL) AS of_nobody FROM t.runs;
SELECT (SELECT count(*) FROM pipeline.job_events) AS events, (SELECT count(*) FROM pipeline.artifacts) AS artifacts;

DROP VIEW t.runs;
SELECT * FROM t.clean();
