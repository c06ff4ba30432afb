-- 650_pipeline_seed.sql
--
-- A client that knows nothing but the tables of the design document: it writes
-- and reads them with plain SQL, naming its columns only. And what the document
-- verifies: tables, columns, row level security, foreign keys.
-- Pitfall: such a client sets search_path to pipeline, where jobs is another table
-- than in public.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1);
SET search_path = pipeline;
CALL t.as_role('service_role');

INSERT INTO jobs (run_id, project_spec, owner_id) VALUES ('20241201-001', '{"name": "demo", "bots": ["planner", "coder"]}', t.id(1));
UPDATE jobs SET status = 'running', started_at = now() WHERE run_id = '20241201-001';
INSERT INTO job_events (run_id, bot_name, event_type, payload, owner_id)
VALUES ('20241201-001', 'planner', 'started', '{"step": 1}', t.id(1)), ('20241201-001', 'planner', 'finished', '{"step": 1}', t.id(1));
INSERT INTO artifacts (run_id, kind, url, meta, owner_id, file_size, content_type, checksum)
VALUES ('20241201-001', 'zip', 'https://example.com/a.zip', '{"files": 12}', t.id(1), 12345, 'application/zip', 'md5:1');
INSERT INTO prompts (id, category, context, prompt_text) VALUES ('planner.system', 'system', 'planner', 'You plan.');
UPDATE jobs SET status = 'completed', completed_at = now() WHERE run_id = '20241201-001';
INSERT INTO jobs (run_id, project_spec) VALUES ('20241201-002', '{}');
UPDATE jobs SET status = 'failed', error_message = 'Boom' WHERE run_id = '20241201-002';
UPDATE jobs SET status = 'cancelled' WHERE run_id = '20241201-002';

SELECT run_id, status, error_message, started_at <= completed_at AS in_order, updated_at >= created_at AS updated FROM jobs ORDER BY created_at, run_id;
SELECT j.run_id, j.status, count(DISTINCT e.id) AS events, count(DISTINCT a.id) AS artifacts
  FROM jobs j LEFT JOIN job_events e USING (run_id) LEFT JOIN artifacts a USING (run_id) GROUP BY j.run_id ORDER BY j.run_id;
SELECT bot_name, event_type, payload FROM job_events WHERE run_id = '20241201-001' ORDER BY seq;

-- the owner sees his own of all of this
CALL t.as_user(t.id(1));
SET search_path = pipeline;
SELECT run_id, status FROM jobs;
SELECT count(*) FROM job_events;
SELECT kind, url, file_size FROM artifacts;
SELECT prompt_text FROM prompts WHERE id = 'planner.system';
RESET search_path;
CALL t.as_admin();

-- 20241201000007_verify_setup: tables, row level security, policies, foreign keys
SELECT tablename, rowsecurity FROM pg_tables WHERE schemaname = 'pipeline' ORDER BY tablename;
SELECT tablename, policyname, roles, cmd FROM pg_policies WHERE schemaname = 'pipeline' ORDER BY tablename;
SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'pipeline'::regnamespace AND contype = 'f' ORDER BY conname;
SELECT table_name, string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) AS columns
  FROM information_schema.columns WHERE table_schema = 'pipeline' GROUP BY table_name ORDER BY table_name;

SELECT * FROM t.clean();
