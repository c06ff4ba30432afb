-- Who may do what with the tables: every table, every command, every kind of caller,
-- against a real row of Alice's; then columns, and what nobody may do to the ledger.
-- Runs under Supabase's default privileges, which open every new table to anon.
-- The pitfall: "no row" and "refused" are different answers, and both are asserted:
-- row level security hides, grants refuse.
SET search_path = tap, public, pg_catalog;
SET client_min_messages = warning;

BEGIN;
SELECT plan(1642);

--------------------------------------------------------------------------------
-- People and rows: one row of Alice's in every table, and Bob who has none of them
--------------------------------------------------------------------------------

\set alice '30000000-0000-4000-8000-00000000000a'
\set bob   '30000000-0000-4000-8000-00000000000b'
\set carol '30000000-0000-4000-8000-00000000000c'

INSERT INTO auth.users (id) VALUES (:'alice'), (:'bob'), (:'carol');
INSERT INTO projects (id, user_id, title, prompt_text, niche_preset)
VALUES ('30000000-0000-4000-8000-000000000001', :'alice', 'Of Alice', 'A film', 'facts'),
	   ('30000000-0000-4000-8000-0000000000b1', :'bob', 'Of Bob', 'Another film', 'facts');
INSERT INTO jobs (id, project_id, user_id)
VALUES ('30000000-0000-4000-8000-000000000002', '30000000-0000-4000-8000-000000000001', :'alice'),
	   ('30000000-0000-4000-8000-0000000000b2', '30000000-0000-4000-8000-0000000000b1', :'bob');
INSERT INTO job_steps (id, job_id, step_name, step_order)
VALUES ('30000000-0000-4000-8000-000000000003', '30000000-0000-4000-8000-000000000002', 'scripting', 1);
INSERT INTO assets (id, job_id, type, url, storage_path)
VALUES ('30000000-0000-4000-8000-000000000004', '30000000-0000-4000-8000-000000000002', 'video', 'https://example.test/', 'films/1');
INSERT INTO logs (id, job_id, level, message)
VALUES ('30000000-0000-4000-8000-000000000005', '30000000-0000-4000-8000-000000000002', 'info', 'A line'),
	   ('30000000-0000-4000-8000-000000000006', '30000000-0000-4000-8000-000000000002', 'debug', 'A secret line');
INSERT INTO draft_prompts (id, session_token, user_id, prompt_text)
VALUES ('30000000-0000-4000-8000-000000000007', 'tables-claimed-token', :'alice', 'Claimed'),
	   ('30000000-0000-4000-8000-000000000008', 'tables-unclaimed-token', NULL, 'Unclaimed');
-- Alice's company has one row in every content table, Bob's has none
INSERT INTO companies (id, name) VALUES ('30000000-0000-4000-8000-0000000000c1', 'Of Alice'), ('30000000-0000-4000-8000-0000000000c2', 'Of Bob');
INSERT INTO employees (id, company_id, user_id, name)
VALUES ('30000000-0000-4000-8000-0000000000e1', '30000000-0000-4000-8000-0000000000c1', :'alice', 'Alice'),
	   ('30000000-0000-4000-8000-0000000000e2', '30000000-0000-4000-8000-0000000000c2', :'bob', 'Bob');
INSERT INTO cm_module_content (content_id, company_id, module_name)
VALUES ('30000000-0000-4000-8000-0000000000a1', '30000000-0000-4000-8000-0000000000c1', 'Of Alice');
INSERT INTO cm_course_plans (plan_id, employee_id) VALUES ('30000000-0000-4000-8000-0000000000a2', '30000000-0000-4000-8000-0000000000e1');
INSERT INTO cm_research_results (plan_id) VALUES ('30000000-0000-4000-8000-0000000000a2');
INSERT INTO cm_quality_assessments (content_id) VALUES ('30000000-0000-4000-8000-0000000000a1');
INSERT INTO cm_enhancement_sessions (content_id) VALUES ('30000000-0000-4000-8000-0000000000a1');
INSERT INTO mm_multimedia_sessions (session_id, content_id)
VALUES ('30000000-0000-4000-8000-0000000000a3', '30000000-0000-4000-8000-0000000000a1');
INSERT INTO mm_multimedia_assets (asset_id, session_id, asset_type)
VALUES ('30000000-0000-4000-8000-0000000000a4', '30000000-0000-4000-8000-0000000000a3', 'video');
INSERT INTO mm_audio_narrations (session_id) VALUES ('30000000-0000-4000-8000-0000000000a3');
INSERT INTO mm_slide_presentations (session_id) VALUES ('30000000-0000-4000-8000-0000000000a3');
INSERT INTO mm_script_generations (session_id) VALUES ('30000000-0000-4000-8000-0000000000a3');
INSERT INTO mm_rendering_queue (session_id) VALUES ('30000000-0000-4000-8000-0000000000a3');
INSERT INTO mm_video_analytics (asset_id, view_date) VALUES ('30000000-0000-4000-8000-0000000000a4', '2026-01-01');
SELECT pipeline.create_job('tables-run', '{}', :'alice'), pipeline.register_artifact('tables-run', 'zip', 'https://example.test/zip'),
	   pipeline.upsert_prompt('tables-prompt', 'C', 'X', 'T') \g /dev/null
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url)
VALUES ('30000000-0000-4000-8000-000000000009', :'alice', 'https://example.test/a'),
	   ('30000000-0000-4000-8000-0000000000b9', :'bob', 'https://example.test/b');
-- the private tables have a row of Bob's; his studio job is in the queue
INSERT INTO studio_engine.attempts (system, job_id, attempt, first_attempt, lease_token, worker, stage, started_at, due_at, expires_at, since, lease_ms, ended_at, outcome)
VALUES ('studio_jobs', '30000000-0000-4000-8000-0000000000b9', 1, 1, '30000000-0000-4000-8000-0000000000ba', 'a worker', 'NEW', now(), now(), now(), now(), 1, now(), 'snoozed');
SELECT limit_stage('jobs', 'RENDERING', 5) \g /dev/null
UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain';
SELECT grant_credits(:'bob', 1, 'For a while', 'tables-key', '2999-01-01') \g /dev/null
UPDATE studio_engine.settings SET value = '0' WHERE name = 'ledger_hash_chain';
INSERT INTO studio_engine.credit_keys (user_id, idempotency_key, kind, entry_id)
VALUES (:'bob', 'tables-key', 'reverse', '30000000-0000-4000-8000-0000000000bb');
INSERT INTO studio_engine.expiring_holds VALUES ('30000000-0000-4000-8000-0000000000bc', :'bob', '2999-01-01');
INSERT INTO studio_engine.lot_checkpoints VALUES (:'bob', 0, '{}');
INSERT INTO studio_engine.transfers (from_user_id, kind, amount) VALUES (:'bob', 'transfer', 1);
INSERT INTO studio_engine.failed_sign_ups (user_id, part, sqlstate, message) VALUES (:'bob', 'profile', '23514', 'M');
-- one digest each, of whatever
DELETE FROM studio_engine.welcomed;
INSERT INTO studio_engine.welcomed VALUES ('a digest');
INSERT INTO studio_engine.payment_digests VALUES ('a digest');
INSERT INTO studio_engine.stripe_objects (object_id, kind, user_id) VALUES ('pi_b', 'payment_intent', :'bob');
INSERT INTO studio_engine.removed_files (path) VALUES ('a path');
INSERT INTO studio_engine.stripe_facts (fact_id, object_id, kind, amount, phase, stands, at, made_at) VALUES ('re_b', 'pi_b', 'refund', 1, 0, true, 1, 1);
INSERT INTO studio_engine.stripe_events (event_id, type, object_id, tied_to, answer) VALUES ('evt_b', 'refund.created', 're_b', 'pi_b', '{}');

--------------------------------------------------------------------------------
-- Helpers
--------------------------------------------------------------------------------

-- Rows seen or changed, or the SQLSTATE; the effects are undone.
CREATE FUNCTION pg_temp.outcome(p_role text, p_sub text, p_statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v_rows bigint;
BEGIN
	PERFORM set_config('request.jwt.claims', CASE WHEN p_sub IS NULL THEN ''
					   ELSE jsonb_build_object('sub', p_sub, 'role', p_role)::text END, true);
	PERFORM set_config('role', p_role, true);
	EXECUTE p_statement;
	GET DIAGNOSTICS v_rows = ROW_COUNT;
	RAISE EXCEPTION USING ERRCODE = 'UNDO0', MESSAGE = v_rows::text;
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN SQLERRM;
WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

CREATE FUNCTION pg_temp.as_alice(p_statement text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.outcome('authenticated', '30000000-0000-4000-8000-00000000000a', p_statement)
$$;
CREATE FUNCTION pg_temp.as_service(p_statement text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.outcome('service_role', NULL, p_statement)
$$;

--------------------------------------------------------------------------------
-- The cases: table x command x caller.  Statements are about Alice's row.
--------------------------------------------------------------------------------

-- The callers: anon; Alice; Bob; a signed-in role without an identity; a service; a
-- superuser, who here also is the owner of the tables.
CREATE TEMPORARY TABLE table_case (
	tbl text, command text, statement text,
	anon text, self text, other text, nobody text, service text, super text);
INSERT INTO table_case VALUES
('profiles', 'SELECT', $$SELECT * FROM profiles WHERE id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('profiles', 'INSERT', $$INSERT INTO profiles (id) VALUES ('{free}')$$, '42501', '42501', '42501', '42501', '1', '1'),
('profiles', 'UPDATE', $$UPDATE profiles SET display_name = 'X' WHERE id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('profiles', 'DELETE', $$DELETE FROM profiles WHERE id = '{alice}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('profiles', 'TRUNCATE', $$TRUNCATE profiles$$, '42501', '42501', '42501', '42501', '0', '0'),

('draft_prompts', 'SELECT', $$SELECT * FROM draft_prompts WHERE user_id = '{alice}'$$,
	'42501', '1', '0', '0', '1', '1'),
('draft_prompts', 'INSERT', $$INSERT INTO draft_prompts (session_token, user_id, prompt_text) VALUES ('tables-new-token', '{alice}', 'X')$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('draft_prompts', 'UPDATE', $$UPDATE draft_prompts SET prompt_text = 'X' WHERE user_id = '{alice}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('draft_prompts', 'DELETE', $$DELETE FROM draft_prompts WHERE user_id = '{alice}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('draft_prompts', 'TRUNCATE', $$TRUNCATE draft_prompts$$, '42501', '42501', '42501', '42501', '0', '0'),

('projects', 'SELECT', $$SELECT * FROM projects WHERE user_id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('projects', 'INSERT', $$INSERT INTO projects (user_id, title, prompt_text, niche_preset) VALUES ('{alice}', 'X', 'X', 'facts')$$,
	'42501', '1', '42501', '42501', '1', '1'),
('projects', 'UPDATE', $$UPDATE projects SET title = 'X' WHERE user_id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('projects', 'DELETE', $$DELETE FROM projects WHERE user_id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('projects', 'TRUNCATE', $$TRUNCATE projects$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('jobs', 'SELECT', $$SELECT * FROM jobs WHERE user_id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('jobs', 'INSERT', $$INSERT INTO jobs (project_id, user_id) VALUES ('30000000-0000-4000-8000-000000000001', '{alice}')$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('jobs', 'UPDATE', $$UPDATE jobs SET status_message = 'X' WHERE user_id = '{alice}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('jobs', 'DELETE', $$DELETE FROM jobs WHERE user_id = '{alice}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('jobs', 'TRUNCATE', $$TRUNCATE jobs$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('job_steps', 'SELECT', $$SELECT * FROM job_steps WHERE job_id = '{job}'$$, '42501', '1', '0', '0', '1', '1'),
('job_steps', 'INSERT', $$INSERT INTO job_steps (job_id, step_name, step_order) VALUES ('{job}', 'more', 2)$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('job_steps', 'UPDATE', $$UPDATE job_steps SET status_message = 'X' WHERE job_id = '{job}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('job_steps', 'DELETE', $$DELETE FROM job_steps WHERE job_id = '{job}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('job_steps', 'TRUNCATE', $$TRUNCATE job_steps$$, '42501', '42501', '42501', '42501', '0', '0'),

('assets', 'SELECT', $$SELECT * FROM assets WHERE job_id = '{job}'$$, '42501', '1', '0', '0', '1', '1'),
('assets', 'INSERT', $$INSERT INTO assets (job_id, type, url, storage_path) VALUES ('{job}', 'zip', 'X', 'X')$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('assets', 'UPDATE', $$UPDATE assets SET url = 'X' WHERE job_id = '{job}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('assets', 'DELETE', $$DELETE FROM assets WHERE job_id = '{job}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('assets', 'TRUNCATE', $$TRUNCATE assets$$, '42501', '42501', '42501', '42501', '0', '0'),

('logs', 'SELECT', $$SELECT * FROM logs WHERE job_id = '{job}'$$, '42501', '1', '0', '0', '2', '2'),
('logs', 'INSERT', $$INSERT INTO logs (job_id, message) VALUES ('{job}', 'X')$$, '42501', '42501', '42501', '42501', '1', '1'),
('logs', 'UPDATE', $$UPDATE logs SET message = 'X' WHERE job_id = '{job}'$$, '42501', '42501', '42501', '42501', '2', '2'),
('logs', 'DELETE', $$DELETE FROM logs WHERE job_id = '{job}'$$, '42501', '42501', '42501', '42501', '2', '2'),
('logs', 'TRUNCATE', $$TRUNCATE logs$$, '42501', '42501', '42501', '42501', '0', '0'),

('studio_jobs', 'SELECT', $$SELECT * FROM studio_jobs WHERE user_id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('studio_jobs', 'INSERT', $$INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES ('{alice}', 'X')$$,
	'42501', '1', '42501', '42501', '1', '1'),
('studio_jobs', 'UPDATE', $$UPDATE studio_jobs SET status = 'TRANSCRIBING' WHERE user_id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('studio_jobs', 'DELETE', $$DELETE FROM studio_jobs WHERE user_id = '{alice}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('studio_jobs', 'TRUNCATE', $$TRUNCATE studio_jobs$$, '42501', '42501', '42501', '42501', '0', '0'),

('credit_accounts', 'SELECT', $$SELECT * FROM credit_accounts WHERE user_id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('credit_accounts', 'INSERT', $$INSERT INTO credit_accounts (user_id, balance) VALUES ('{free}', 100)$$,
	'42501', '42501', '42501', '42501', '42501', '42501'),
('credit_accounts', 'UPDATE', $$UPDATE credit_accounts SET balance = balance + 1 WHERE user_id = '{alice}'$$,
	'42501', '42501', '42501', '42501', '42501', '42501'),
('credit_accounts', 'DELETE', $$DELETE FROM credit_accounts WHERE user_id = '{alice}'$$, '42501', '42501', '42501', '42501', '42501', '42501'),
('credit_accounts', 'TRUNCATE', $$TRUNCATE credit_accounts CASCADE$$, '42501', '42501', '42501', '42501', '42501', '42501'),

('credit_ledger', 'SELECT', $$SELECT * FROM credit_ledger WHERE user_id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('credit_ledger', 'INSERT', $$INSERT INTO credit_ledger (user_id, type, amount) VALUES ('{alice}', 'grant', 1)$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('credit_ledger', 'UPDATE', $$UPDATE credit_ledger SET amount = amount + 1 WHERE user_id = '{alice}'$$,
	'42501', '42501', '42501', '42501', '42501', '42501'),
('credit_ledger', 'DELETE', $$DELETE FROM credit_ledger WHERE user_id = '{alice}'$$, '42501', '42501', '42501', '42501', '42501', '42501'),
('credit_ledger', 'TRUNCATE', $$TRUNCATE credit_ledger$$, '42501', '42501', '42501', '42501', '42501', '42501'),

('pipeline.jobs', 'SELECT', $$SELECT * FROM pipeline.jobs WHERE run_id = 'tables-run'$$, '42501', '1', '0', '0', '1', '1'),
('pipeline.jobs', 'INSERT', $$INSERT INTO pipeline.jobs (run_id, project_spec, owner_id) VALUES ('tables-new', '{}', '{alice}')$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('pipeline.jobs', 'UPDATE', $$UPDATE pipeline.jobs SET error_message = 'X' WHERE run_id = 'tables-run'$$, '42501', '42501', '42501', '42501', '1', '1'),
('pipeline.jobs', 'DELETE', $$DELETE FROM pipeline.jobs WHERE run_id = 'tables-run'$$, '42501', '42501', '42501', '42501', '1', '1'),
('pipeline.jobs', 'TRUNCATE', $$TRUNCATE pipeline.jobs$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('pipeline.job_events', 'SELECT', $$SELECT * FROM pipeline.job_events WHERE run_id = 'tables-run'$$, '42501', '1', '0', '0', '1', '1'),
('pipeline.job_events', 'INSERT', $$INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('tables-run', 'X', 'X')$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('pipeline.job_events', 'UPDATE', $$UPDATE pipeline.job_events SET payload = 'null' WHERE run_id = 'tables-run'$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('pipeline.job_events', 'DELETE', $$DELETE FROM pipeline.job_events WHERE run_id = 'tables-run'$$, '42501', '42501', '42501', '42501', '1', '1'),
('pipeline.job_events', 'TRUNCATE', $$TRUNCATE pipeline.job_events$$, '42501', '42501', '42501', '42501', '0', '0'),

('pipeline.artifacts', 'SELECT', $$SELECT * FROM pipeline.artifacts WHERE run_id = 'tables-run'$$, '42501', '1', '0', '0', '1', '1'),
('pipeline.artifacts', 'INSERT', $$INSERT INTO pipeline.artifacts (run_id, kind) VALUES ('tables-run', 'X')$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('pipeline.artifacts', 'UPDATE', $$UPDATE pipeline.artifacts SET url = 'X' WHERE run_id = 'tables-run'$$, '42501', '42501', '42501', '42501', '1', '1'),
('pipeline.artifacts', 'DELETE', $$DELETE FROM pipeline.artifacts WHERE run_id = 'tables-run'$$, '42501', '42501', '42501', '42501', '1', '1'),
('pipeline.artifacts', 'TRUNCATE', $$TRUNCATE pipeline.artifacts$$, '42501', '42501', '42501', '42501', '0', '0'),

('pipeline.prompts', 'SELECT', $$SELECT * FROM pipeline.prompts WHERE id = 'tables-prompt'$$, '42501', '1', '1', '0', '1', '1'),
('pipeline.prompts', 'INSERT', $$INSERT INTO pipeline.prompts VALUES ('X', 'X', 'X', 'X')$$, '42501', '42501', '42501', '42501', '1', '1'),
('pipeline.prompts', 'UPDATE', $$UPDATE pipeline.prompts SET prompt_text = 'X' WHERE id = 'tables-prompt'$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('pipeline.prompts', 'DELETE', $$DELETE FROM pipeline.prompts WHERE id = 'tables-prompt'$$, '42501', '42501', '42501', '42501', '1', '1'),
('pipeline.prompts', 'TRUNCATE', $$TRUNCATE pipeline.prompts$$, '42501', '42501', '42501', '42501', '0', '0'),

('cm_module_content', 'SELECT', $$SELECT * FROM cm_module_content$$, '42501', '1', '0', '0', '1', '1'),
('cm_module_content', 'INSERT', $$INSERT INTO cm_module_content (module_name) VALUES ('X')$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_module_content', 'UPDATE', $$UPDATE cm_module_content SET employee_name = 'X'$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_module_content', 'DELETE', $$DELETE FROM cm_module_content$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_module_content', 'TRUNCATE', $$TRUNCATE cm_module_content$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('cm_course_plans', 'SELECT', $$SELECT * FROM cm_course_plans$$, '42501', '1', '0', '0', '1', '1'),
('cm_course_plans', 'INSERT', $$INSERT INTO cm_course_plans (employee_id) VALUES ('30000000-0000-4000-8000-0000000000e1')$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_course_plans', 'UPDATE', $$UPDATE cm_course_plans SET updated_at = now()$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_course_plans', 'DELETE', $$DELETE FROM cm_course_plans$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_course_plans', 'TRUNCATE', $$TRUNCATE cm_course_plans$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('cm_research_results', 'SELECT', $$SELECT * FROM cm_research_results$$, '42501', '1', '0', '0', '1', '1'),
('cm_research_results', 'INSERT', $$INSERT INTO cm_research_results (plan_id) VALUES ('30000000-0000-4000-8000-0000000000a2')$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_research_results', 'UPDATE', $$UPDATE cm_research_results SET updated_at = now()$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_research_results', 'DELETE', $$DELETE FROM cm_research_results$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_research_results', 'TRUNCATE', $$TRUNCATE cm_research_results$$, '42501', '42501', '42501', '42501', '0', '0'),

('cm_quality_assessments', 'SELECT', $$SELECT * FROM cm_quality_assessments$$, '42501', '1', '0', '0', '1', '1'),
('cm_quality_assessments', 'INSERT', $$INSERT INTO cm_quality_assessments (content_id) VALUES ('30000000-0000-4000-8000-0000000000a1')$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_quality_assessments', 'UPDATE', $$UPDATE cm_quality_assessments SET quality_feedback = 'X'$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_quality_assessments', 'DELETE', $$DELETE FROM cm_quality_assessments$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_quality_assessments', 'TRUNCATE', $$TRUNCATE cm_quality_assessments$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('cm_enhancement_sessions', 'SELECT', $$SELECT * FROM cm_enhancement_sessions$$, '42501', '1', '0', '0', '1', '1'),
('cm_enhancement_sessions', 'INSERT', $$INSERT INTO cm_enhancement_sessions (content_id) VALUES ('30000000-0000-4000-8000-0000000000a1')$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_enhancement_sessions', 'UPDATE', $$UPDATE cm_enhancement_sessions SET updated_at = now()$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_enhancement_sessions', 'DELETE', $$DELETE FROM cm_enhancement_sessions$$, '42501', '42501', '42501', '42501', '1', '1'),
('cm_enhancement_sessions', 'TRUNCATE', $$TRUNCATE cm_enhancement_sessions$$, '42501', '42501', '42501', '42501', '0', '0'),

('mm_multimedia_sessions', 'SELECT', $$SELECT * FROM mm_multimedia_sessions$$, '42501', '1', '0', '0', '1', '1'),
('mm_multimedia_sessions', 'INSERT', $$INSERT INTO mm_multimedia_sessions (content_id) VALUES ('30000000-0000-4000-8000-0000000000a1')$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_multimedia_sessions', 'UPDATE', $$UPDATE mm_multimedia_sessions SET updated_at = now()$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_multimedia_sessions', 'DELETE', $$DELETE FROM mm_multimedia_sessions$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_multimedia_sessions', 'TRUNCATE', $$TRUNCATE mm_multimedia_sessions$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('mm_multimedia_assets', 'SELECT', $$SELECT * FROM mm_multimedia_assets$$, '42501', '1', '0', '0', '1', '1'),
('mm_multimedia_assets', 'INSERT', $$INSERT INTO mm_multimedia_assets (session_id, asset_type) VALUES ('30000000-0000-4000-8000-0000000000a3', 'audio')$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_multimedia_assets', 'UPDATE', $$UPDATE mm_multimedia_assets SET updated_at = now()$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_multimedia_assets', 'DELETE', $$DELETE FROM mm_multimedia_assets$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_multimedia_assets', 'TRUNCATE', $$TRUNCATE mm_multimedia_assets$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('mm_audio_narrations', 'SELECT', $$SELECT * FROM mm_audio_narrations$$, '42501', '1', '0', '0', '1', '1'),
('mm_audio_narrations', 'INSERT', $$INSERT INTO mm_audio_narrations (session_id) VALUES ('30000000-0000-4000-8000-0000000000a3')$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_audio_narrations', 'UPDATE', $$UPDATE mm_audio_narrations SET updated_at = now()$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_audio_narrations', 'DELETE', $$DELETE FROM mm_audio_narrations$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_audio_narrations', 'TRUNCATE', $$TRUNCATE mm_audio_narrations$$, '42501', '42501', '42501', '42501', '0', '0'),

('mm_slide_presentations', 'SELECT', $$SELECT * FROM mm_slide_presentations$$, '42501', '1', '0', '0', '1', '1'),
('mm_slide_presentations', 'INSERT', $$INSERT INTO mm_slide_presentations (session_id) VALUES ('30000000-0000-4000-8000-0000000000a3')$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_slide_presentations', 'UPDATE', $$UPDATE mm_slide_presentations SET updated_at = now()$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_slide_presentations', 'DELETE', $$DELETE FROM mm_slide_presentations$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_slide_presentations', 'TRUNCATE', $$TRUNCATE mm_slide_presentations$$, '42501', '42501', '42501', '42501', '0', '0'),

('mm_script_generations', 'SELECT', $$SELECT * FROM mm_script_generations$$, '42501', '1', '0', '0', '1', '1'),
('mm_script_generations', 'INSERT', $$INSERT INTO mm_script_generations (session_id) VALUES ('30000000-0000-4000-8000-0000000000a3')$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_script_generations', 'UPDATE', $$UPDATE mm_script_generations SET updated_at = now()$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_script_generations', 'DELETE', $$DELETE FROM mm_script_generations$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_script_generations', 'TRUNCATE', $$TRUNCATE mm_script_generations$$, '42501', '42501', '42501', '42501', '0', '0'),

('mm_rendering_queue', 'SELECT', $$SELECT * FROM mm_rendering_queue$$, '42501', '1', '0', '0', '1', '1'),
('mm_rendering_queue', 'INSERT', $$INSERT INTO mm_rendering_queue (session_id) VALUES ('30000000-0000-4000-8000-0000000000a3')$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_rendering_queue', 'UPDATE', $$UPDATE mm_rendering_queue SET updated_at = now()$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_rendering_queue', 'DELETE', $$DELETE FROM mm_rendering_queue$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_rendering_queue', 'TRUNCATE', $$TRUNCATE mm_rendering_queue$$, '42501', '42501', '42501', '42501', '0', '0'),

('mm_video_analytics', 'SELECT', $$SELECT * FROM mm_video_analytics$$, '42501', '1', '0', '0', '1', '1'),
('mm_video_analytics', 'INSERT', $$INSERT INTO mm_video_analytics (asset_id, view_date) VALUES ('30000000-0000-4000-8000-0000000000a4', '2026-01-02')$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_video_analytics', 'UPDATE', $$UPDATE mm_video_analytics SET watch_seconds = 1$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_video_analytics', 'DELETE', $$DELETE FROM mm_video_analytics$$, '42501', '42501', '42501', '42501', '1', '1'),
('mm_video_analytics', 'TRUNCATE', $$TRUNCATE mm_video_analytics$$, '42501', '42501', '42501', '42501', '0', '0'),

('companies', 'SELECT', $$SELECT * FROM companies WHERE name = 'Of Alice'$$, '42501', '1', '0', '0', '1', '1'),
('companies', 'INSERT', $$INSERT INTO companies (name) VALUES ('X')$$, '42501', '42501', '42501', '42501', '1', '1'),
('companies', 'UPDATE', $$UPDATE companies SET name = 'X' WHERE name = 'Of Alice'$$, '42501', '42501', '42501', '42501', '1', '1'),
('companies', 'DELETE', $$DELETE FROM companies WHERE name = 'Of Alice'$$, '42501', '42501', '42501', '42501', '1', '1'),
('companies', 'TRUNCATE', $$TRUNCATE companies$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('employees', 'SELECT', $$SELECT * FROM employees WHERE user_id = '{alice}'$$, '42501', '1', '0', '0', '1', '1'),
('employees', 'INSERT', $$INSERT INTO employees (company_id, user_id, name) VALUES ('30000000-0000-4000-8000-0000000000c1', '{bob}', 'X')$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('employees', 'UPDATE', $$UPDATE employees SET company_id = '30000000-0000-4000-8000-0000000000c2' WHERE user_id = '{alice}'$$,
	'42501', '42501', '42501', '42501', '1', '1'),
('employees', 'DELETE', $$DELETE FROM employees WHERE user_id = '{alice}'$$, '42501', '42501', '42501', '42501', '1', '1'),
('employees', 'TRUNCATE', $$TRUNCATE employees$$, '42501', '42501', '42501', '42501', '0A000', '0A000'),

('content_search', 'SELECT', $$SELECT * FROM studio_engine.content_search$$, '42501', '42501', '42501', '42501', '42501', '1'),
('content_search', 'INSERT', $$INSERT INTO studio_engine.content_search VALUES ('30000000-0000-4000-8000-0000000000a1', 'introduction', 0, 'simple', '')$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('content_search', 'UPDATE', $$UPDATE studio_engine.content_search SET words = ''$$, '42501', '42501', '42501', '42501', '42501', '1'),
('content_search', 'DELETE', $$DELETE FROM studio_engine.content_search$$, '42501', '42501', '42501', '42501', '42501', '1'),
('content_search', 'TRUNCATE', $$TRUNCATE studio_engine.content_search$$, '42501', '42501', '42501', '42501', '42501', '0'),

('meta', 'SELECT', $$SELECT * FROM studio_engine.meta WHERE name = 'schema_version'$$, '42501', '42501', '42501', '42501', '42501', '1'),
('meta', 'INSERT', $$INSERT INTO studio_engine.meta VALUES ('X', 'X')$$, '42501', '42501', '42501', '42501', '42501', '1'),
('meta', 'UPDATE', $$UPDATE studio_engine.meta SET value = 'X' WHERE name = 'schema_version'$$, '42501', '42501', '42501', '42501', '42501', '1'),
('meta', 'DELETE', $$DELETE FROM studio_engine.meta WHERE name = 'schema_version'$$, '42501', '42501', '42501', '42501', '42501', '1'),
('meta', 'TRUNCATE', $$TRUNCATE studio_engine.meta$$, '42501', '42501', '42501', '42501', '42501', '0'),

('settings', 'SELECT', $$SELECT * FROM studio_engine.settings WHERE name = 'welcome_credits'$$, '42501', '42501', '42501', '42501', '42501', '1'),
('settings', 'INSERT', $$INSERT INTO studio_engine.settings VALUES ('X', '1')$$, '42501', '42501', '42501', '42501', '42501', '22023'),
('settings', 'UPDATE', $$UPDATE studio_engine.settings SET value = '99' WHERE name = 'welcome_credits'$$, '42501', '42501', '42501', '42501', '42501', '1'),
('settings', 'DELETE', $$DELETE FROM studio_engine.settings WHERE name = 'welcome_credits'$$, '42501', '42501', '42501', '42501', '42501', '1'),
('settings', 'TRUNCATE', $$TRUNCATE studio_engine.settings$$, '42501', '42501', '42501', '42501', '42501', '0'),

('expiring_credits', 'SELECT', $$SELECT * FROM studio_engine.expiring_credits WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('expiring_credits', 'INSERT', $$INSERT INTO studio_engine.expiring_credits VALUES ('{free}', '{bob}', now())$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('expiring_credits', 'UPDATE', $$UPDATE studio_engine.expiring_credits SET held_back = true WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('expiring_credits', 'DELETE', $$DELETE FROM studio_engine.expiring_credits WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('expiring_credits', 'TRUNCATE', $$TRUNCATE studio_engine.expiring_credits$$,
	'42501', '42501', '42501', '42501', '42501', '0'),

('ledger_hashes', 'SELECT', $$SELECT * FROM studio_engine.ledger_hashes WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('ledger_hashes', 'INSERT', $$INSERT INTO studio_engine.ledger_hashes VALUES ('{free}', '{bob}', 99, '')$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('ledger_hashes', 'UPDATE', $$UPDATE studio_engine.ledger_hashes SET hash = '' WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('ledger_hashes', 'DELETE', $$DELETE FROM studio_engine.ledger_hashes WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('ledger_hashes', 'TRUNCATE', $$TRUNCATE studio_engine.ledger_hashes$$,
	'42501', '42501', '42501', '42501', '42501', '0'),
('credit_keys', 'SELECT', $$SELECT * FROM studio_engine.credit_keys WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('credit_keys', 'INSERT', $$INSERT INTO studio_engine.credit_keys VALUES ('{bob}', 'another', 'reverse', '{free}')$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('credit_keys', 'UPDATE', $$UPDATE studio_engine.credit_keys SET idempotency_key = 'other' WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('credit_keys', 'DELETE', $$DELETE FROM studio_engine.credit_keys WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('credit_keys', 'TRUNCATE', $$TRUNCATE studio_engine.credit_keys$$,
	'42501', '42501', '42501', '42501', '42501', '0'),
('expiring_holds', 'SELECT', $$SELECT * FROM studio_engine.expiring_holds WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('expiring_holds', 'INSERT', $$INSERT INTO studio_engine.expiring_holds VALUES ('{free}', '{bob}', '2999-01-01')$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('expiring_holds', 'UPDATE', $$UPDATE studio_engine.expiring_holds SET expires_at = now() WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('expiring_holds', 'DELETE', $$DELETE FROM studio_engine.expiring_holds WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('expiring_holds', 'TRUNCATE', $$TRUNCATE studio_engine.expiring_holds$$,
	'42501', '42501', '42501', '42501', '42501', '0'),
('lot_checkpoints', 'SELECT', $$SELECT * FROM studio_engine.lot_checkpoints WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('lot_checkpoints', 'INSERT', $$INSERT INTO studio_engine.lot_checkpoints VALUES ('{alice}', 0, '{}')$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('lot_checkpoints', 'UPDATE', $$UPDATE studio_engine.lot_checkpoints SET entry_no = 1 WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('lot_checkpoints', 'DELETE', $$DELETE FROM studio_engine.lot_checkpoints WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('lot_checkpoints', 'TRUNCATE', $$TRUNCATE studio_engine.lot_checkpoints$$,
	'42501', '42501', '42501', '42501', '42501', '0'),
('transfers', 'SELECT', $$SELECT * FROM studio_engine.transfers WHERE from_user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('transfers', 'INSERT', $$INSERT INTO studio_engine.transfers (from_user_id, kind, amount) VALUES ('{bob}', 'merge', 1)$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('transfers', 'UPDATE', $$UPDATE studio_engine.transfers SET amount = 2 WHERE from_user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('transfers', 'DELETE', $$DELETE FROM studio_engine.transfers WHERE from_user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('transfers', 'TRUNCATE', $$TRUNCATE studio_engine.transfers$$,
	'42501', '42501', '42501', '42501', '42501', '0'),
('failed_sign_ups', 'SELECT', $$SELECT * FROM studio_engine.failed_sign_ups WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('failed_sign_ups', 'INSERT', $$INSERT INTO studio_engine.failed_sign_ups (user_id, part, sqlstate, message) VALUES ('{bob}', 'account', '22023', 'M')$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('failed_sign_ups', 'UPDATE', $$UPDATE studio_engine.failed_sign_ups SET tries = 2 WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('failed_sign_ups', 'DELETE', $$DELETE FROM studio_engine.failed_sign_ups WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('failed_sign_ups', 'TRUNCATE', $$TRUNCATE studio_engine.failed_sign_ups$$,
	'42501', '42501', '42501', '42501', '42501', '0'),
('welcomed', 'SELECT', $$SELECT * FROM studio_engine.welcomed$$, '42501', '42501', '42501', '42501', '42501', '1'),
('welcomed', 'INSERT', $$INSERT INTO studio_engine.welcomed VALUES ('another')$$, '42501', '42501', '42501', '42501', '42501', '1'),
('welcomed', 'UPDATE', $$UPDATE studio_engine.welcomed SET digest = 'other'$$, '42501', '42501', '42501', '42501', '42501', '1'),
('welcomed', 'DELETE', $$DELETE FROM studio_engine.welcomed$$, '42501', '42501', '42501', '42501', '42501', '1'),
('welcomed', 'TRUNCATE', $$TRUNCATE studio_engine.welcomed$$, '42501', '42501', '42501', '42501', '42501', '0'),
('payment_digests', 'SELECT', $$SELECT * FROM studio_engine.payment_digests$$, '42501', '42501', '42501', '42501', '42501', '1'),
('payment_digests', 'INSERT', $$INSERT INTO studio_engine.payment_digests VALUES ('another')$$, '42501', '42501', '42501', '42501', '42501', '1'),
('payment_digests', 'UPDATE', $$UPDATE studio_engine.payment_digests SET digest = 'other'$$, '42501', '42501', '42501', '42501', '42501', '1'),
('payment_digests', 'DELETE', $$DELETE FROM studio_engine.payment_digests$$, '42501', '42501', '42501', '42501', '42501', '1'),
('payment_digests', 'TRUNCATE', $$TRUNCATE studio_engine.payment_digests$$, '42501', '42501', '42501', '42501', '42501', '0'),
('stripe_objects', 'SELECT', $$SELECT * FROM studio_engine.stripe_objects$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_objects', 'INSERT', $$INSERT INTO studio_engine.stripe_objects (object_id, kind) VALUES ('another', 'invoice')$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_objects', 'UPDATE', $$UPDATE studio_engine.stripe_objects SET paid = true$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_objects', 'DELETE', $$DELETE FROM studio_engine.stripe_objects$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_objects', 'TRUNCATE', $$TRUNCATE studio_engine.stripe_objects CASCADE$$,
	'42501', '42501', '42501', '42501', '42501', '0'),
('stripe_facts', 'SELECT', $$SELECT * FROM studio_engine.stripe_facts$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_facts', 'INSERT', $$INSERT INTO studio_engine.stripe_facts VALUES ('another', 'pi_b', 'refund', 1, NULL, 0, true, 1, 1)$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_facts', 'UPDATE', $$UPDATE studio_engine.stripe_facts SET amount = 2$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_facts', 'DELETE', $$DELETE FROM studio_engine.stripe_facts$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_facts', 'TRUNCATE', $$TRUNCATE studio_engine.stripe_facts$$,
	'42501', '42501', '42501', '42501', '42501', '0'),
('stripe_events', 'SELECT', $$SELECT * FROM studio_engine.stripe_events$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_events', 'INSERT', $$INSERT INTO studio_engine.stripe_events VALUES ('another', 'x', 'x', 'pi_b', '{}')$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_events', 'UPDATE', $$UPDATE studio_engine.stripe_events SET answer = '[]'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_events', 'DELETE', $$DELETE FROM studio_engine.stripe_events$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('stripe_events', 'TRUNCATE', $$TRUNCATE studio_engine.stripe_events$$,
	'42501', '42501', '42501', '42501', '42501', '0'),
('removed_files', 'SELECT', $$SELECT * FROM studio_engine.removed_files$$, '42501', '42501', '42501', '42501', '42501', '1'),
('removed_files', 'INSERT', $$INSERT INTO studio_engine.removed_files (path) VALUES ('another')$$, '42501', '42501', '42501', '42501', '42501', '1'),
('removed_files', 'UPDATE', $$UPDATE studio_engine.removed_files SET path = 'x'$$, '42501', '42501', '42501', '42501', '42501', '1'),
('removed_files', 'DELETE', $$DELETE FROM studio_engine.removed_files$$, '42501', '42501', '42501', '42501', '42501', '1'),
('removed_files', 'TRUNCATE', $$TRUNCATE studio_engine.removed_files$$, '42501', '42501', '42501', '42501', '42501', '0'),
('queue', 'SELECT', $$SELECT * FROM studio_engine.queue WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('queue', 'INSERT', $$INSERT INTO studio_engine.queue (system, job_id, user_id, stage) VALUES ('jobs', '{job}', '{alice}', 'QUEUED')$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('queue', 'UPDATE', $$UPDATE studio_engine.queue SET rank = -100 WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('queue', 'DELETE', $$DELETE FROM studio_engine.queue WHERE user_id = '{bob}'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('queue', 'TRUNCATE', $$TRUNCATE studio_engine.queue$$,
	'42501', '42501', '42501', '42501', '42501', '0'),

('queue_stages', 'SELECT', $$SELECT * FROM studio_engine.queue_stages$$, '42501', '42501', '42501', '42501', '42501', '1'),
('queue_stages', 'INSERT', $$INSERT INTO studio_engine.queue_stages (system, stage, max_running) VALUES ('jobs', 'PACKAGING', 1)$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('queue_stages', 'UPDATE', $$UPDATE studio_engine.queue_stages SET max_running = 1$$, '42501', '42501', '42501', '42501', '42501', '1'),
('queue_stages', 'DELETE', $$DELETE FROM studio_engine.queue_stages$$, '42501', '42501', '42501', '42501', '42501', '1'),
('queue_stages', 'TRUNCATE', $$TRUNCATE studio_engine.queue_stages$$, '42501', '42501', '42501', '42501', '42501', '0'),

('attempts', 'SELECT', $$SELECT * FROM studio_engine.attempts WHERE job_id = '30000000-0000-4000-8000-0000000000b9'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('attempts', 'INSERT', $$INSERT INTO studio_engine.attempts (system, job_id, attempt, first_attempt, lease_token, worker, stage, started_at, due_at, expires_at, since, lease_ms) VALUES ('jobs', '{job}', 1, 1, '{free}', 'X', 'QUEUED', now(), now(), now(), now(), 1)$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('attempts', 'UPDATE', $$UPDATE studio_engine.attempts SET outcome = 'completed' WHERE job_id = '30000000-0000-4000-8000-0000000000b9'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('attempts', 'DELETE', $$DELETE FROM studio_engine.attempts WHERE job_id = '30000000-0000-4000-8000-0000000000b9'$$,
	'42501', '42501', '42501', '42501', '42501', '1'),
('attempts', 'TRUNCATE', $$TRUNCATE studio_engine.attempts$$,
	'42501', '42501', '42501', '42501', '42501', '0');

SELECT is(
	(SELECT string_agg(x.name || ' ' || cmd, ', ' ORDER BY x.name COLLATE "C", cmd)
	 FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) AS cmd,
		  LATERAL (SELECT CASE WHEN c.relnamespace = 'pipeline'::regnamespace THEN 'pipeline.' ELSE '' END || c.relname) AS x (name)
	 WHERE c.relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')),
	(SELECT string_agg(tbl || ' ' || command, ', ' ORDER BY tbl COLLATE "C", command) FROM table_case),
	'every table has its cases for every command, and every case its table');

-- A user who has neither profile nor account, for the INSERTs.
SET LOCAL session_replication_role = replica;
INSERT INTO auth.users (id) VALUES ('30000000-0000-4000-8000-0000000000ff');
RESET session_replication_role;

SELECT is(pg_temp.outcome(role, sub, replace(replace(replace(replace(statement, '{alice}', :'alice'), '{bob}', :'bob'),
				'{job}', '30000000-0000-4000-8000-000000000002'), '{free}', '30000000-0000-4000-8000-0000000000ff')),
		  expected, format('%s %s: %s: %s', command, tbl, caller, expected))
FROM table_case c, LATERAL (VALUES
		(1, 'anon',                         'anon',          NULL,     c.anon),
		(2, 'the user',                     'authenticated', :'alice', c.self),
		(3, 'another user',                 'authenticated', :'bob',   c.other),
		(4, 'a signed-in role without uid', 'authenticated', NULL,     c.nobody),
		(5, 'a service',                    'service_role',  NULL,     c.service),
		(6, 'a superuser',                  'postgres',      NULL,     c.super)) AS k (n, caller, role, sub, expected)
ORDER BY tbl, command, n;

--------------------------------------------------------------------------------
-- Whole tables: without a WHERE everybody sees and touches his own only
--------------------------------------------------------------------------------

SELECT is(pg_temp.as_alice('SELECT id FROM ' || tbl), rows, format('a user sees %s row of %s', rows, tbl))
FROM (VALUES ('profiles', '1'), ('projects', '1'), ('jobs', '1'), ('job_steps', '1'), ('assets', '1'),
			 ('logs', '1'), ('draft_prompts', '1'), ('credit_ledger', '1'), ('pipeline.job_events', '1'),
			 ('pipeline.artifacts', '1'), ('pipeline.prompts', '1')) AS t (tbl, rows);
SELECT is(pg_temp.as_alice('SELECT run_id FROM pipeline.jobs'), '1', 'a user sees 1 row of pipeline.jobs');
SELECT is(pg_temp.as_alice('SELECT user_id FROM credit_accounts'), '1', 'a user sees 1 row of credit_accounts');
SELECT is(pg_temp.as_alice('SELECT job_id FROM studio_jobs'), '1', 'a user sees 1 row of studio_jobs');
SELECT is(pg_temp.as_alice('UPDATE studio_jobs SET status = ''TRANSCRIBING'''), '1', 'an UPDATE without WHERE touches the user''s studio jobs only');
SELECT is(pg_temp.as_alice('UPDATE projects SET title = ''X'''), '1', 'an UPDATE without WHERE touches the user''s projects only');
SELECT is(pg_temp.as_alice('DELETE FROM projects'), '1', '... and so does a DELETE');
SELECT is(pg_temp.as_alice('UPDATE profiles SET display_name = ''X'''), '1', '... and an UPDATE of profiles');

--------------------------------------------------------------------------------
-- Columns
--------------------------------------------------------------------------------

-- All that anon and authenticated may do, column by column: this and no more.
SELECT is(
	(SELECT string_agg(format('%s %s %s(%s)', r.role, p.privilege, c.oid::regclass, cols.list), E'\n'
					   ORDER BY format('%s %s %s', r.role, p.privilege, c.oid::regclass) COLLATE "C")
	 FROM pg_class c, unnest('{public,anon,authenticated}'::text[]) AS r (role),
		  unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS p (privilege),
		  LATERAL (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
				   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
					 AND has_column_privilege(r.role, c.oid, a.attnum, p.privilege)) AS cols (list)
	 WHERE c.relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace) AND c.relkind IN ('r', 'p', 'v')
	   AND cols.list IS NOT NULL),
	'authenticated INSERT projects(id, user_id, title, prompt_text, niche_preset, target_minutes, voice_profile_id, transcript_mode, transcript_text, settings, created_at, updated_at)
authenticated INSERT studio_jobs(job_id, created_at, status, user_id, raw_audio_url, raw_transcript, refined_text, system_prompt_used, error_details, enrichment_entities, model_version, priority, run_at, idempotency_key, max_attempts, cancel_requested_at)
authenticated SELECT assets(id, job_id, type, url, storage_path, size_bytes, mime_type, metadata_json, created_at, user_id)
authenticated SELECT cm_course_plans(plan_id, employee_id, employee_name, session_id, course_structure, prioritized_gaps, research_strategy, learning_path, employee_profile, total_modules, course_duration_weeks, course_title, status, created_at, company_id, updated_at)
authenticated SELECT cm_enhancement_sessions(session_id, content_id, quality_assessment_id, enhancement_type, sections_to_enhance, sections_preserved, research_conducted, content_regenerated, status, created_at, completed_at, updated_at, company_id)
authenticated SELECT cm_module_content(content_id, company_id, module_name, employee_name, session_id, introduction, core_content, practical_applications, case_studies, assessments, module_spec, research_context, total_word_count, section_word_counts, status, priority_level, revision_count, created_at, updated_at, archived_at)
authenticated SELECT cm_quality_assessments(assessment_id, content_id, overall_score, section_scores, accuracy_score, clarity_score, completeness_score, engagement_score, personalization_score, quality_feedback, passed, requires_revision, sections_needing_work, critical_issues, assessed_at, company_id)
authenticated SELECT cm_research_results(research_id, plan_id, session_id, research_findings, content_library, module_mappings, total_topics, total_sources, search_queries, sources_analyzed, status, created_at, updated_at, company_id)
authenticated SELECT companies(id, name, created_at)
authenticated SELECT credit_accounts(user_id, balance, reserved, entries, updated_at)
authenticated SELECT credit_ledger(id, user_id, type, amount, balance_after, note, job_id, stripe_payment_id, created_at, entry_no, idempotency_key, expires_at, reverses, reference, metadata, priority, transfer_id)
authenticated SELECT draft_prompts(id, session_token, user_id, prompt_text, template_id, options, created_at, updated_at, expires_at)
authenticated SELECT employees(id, company_id, user_id, name, email, created_at)
authenticated SELECT job_steps(id, job_id, step_name, step_order, state, progress_pct, status_message, error_message, logs_url, artifacts_json, started_at, finished_at, user_id)
authenticated SELECT jobs(id, project_id, user_id, status, progress, status_message, cost_credits_reserved, cost_credits_final, failed_step, error_code, error_message, output_url, manifest_json, created_at, started_at, finished_at, priority, run_at, idempotency_key, max_attempts, cancel_requested_at)
authenticated SELECT logs(id, job_id, level, step_name, message, metadata_json, created_at, user_id)
authenticated SELECT mm_audio_narrations(narration_id, session_id, content_id, narration_name, narration_type, section_name, total_duration_seconds, audio_segments, voice_config, script_content, master_audio_id, segments_audio_ids, synthesis_completed, status, company_id, created_at, updated_at)
authenticated SELECT mm_multimedia_assets(asset_id, session_id, content_id, company_id, asset_type, asset_name, file_path, file_size_bytes, mime_type, section_name, duration_seconds, generation_config, status, storage_bucket, storage_path, public_url, created_at, updated_at)
authenticated SELECT mm_multimedia_sessions(session_id, content_id, company_id, session_type, module_name, employee_name, generation_config, content_sections, status, current_stage, progress_percentage, total_assets_generated, slides_generated, audio_files_generated, video_files_generated, processing_duration_seconds, started_at, completed_at, error_message, updated_at)
authenticated SELECT mm_rendering_queue(render_id, session_id, content_id, company_id, user_id, asset_id, render_config, status, priority, progress, retry_count, error_code, error_message, created_at, updated_at, started_at, finished_at, cost_credits_reserved, run_at, idempotency_key, max_attempts, cancel_requested_at)
authenticated SELECT mm_script_generations(script_id, session_id, content_id, company_id, section_name, script_type, script_content, word_count, generation_config, status, error_message, created_at, updated_at, completed_at)
authenticated SELECT mm_slide_presentations(presentation_id, session_id, content_id, presentation_name, presentation_type, total_slides, slide_order, template_used, theme_config, pdf_generated, pptx_generated, html_generated, pdf_asset_id, pptx_asset_id, html_asset_id, status, company_id, created_at, updated_at)
authenticated SELECT mm_video_analytics(analytics_id, asset_id, content_id, company_id, view_date, view_count, completed_count, watch_seconds, last_viewed_at)
authenticated SELECT pipeline.artifacts(id, run_id, kind, url, meta, owner_id, file_size, content_type, checksum, created_at)
authenticated SELECT pipeline.job_events(id, run_id, bot_name, event_type, payload, owner_id, created_at, seq)
authenticated SELECT pipeline.jobs(run_id, project_spec, owner_id, status, started_at, completed_at, error_message, created_at, updated_at, last_event_seq)
authenticated SELECT pipeline.prompts(id, category, context, prompt_text, created_at, updated_at)
authenticated SELECT profiles(id, display_name, avatar_url, notification_prefs, stripe_customer_id, created_at, updated_at)
authenticated SELECT projects(id, user_id, title, prompt_text, niche_preset, target_minutes, voice_profile_id, transcript_mode, transcript_text, settings, created_at, updated_at)
authenticated SELECT studio_jobs(job_id, created_at, status, user_id, raw_audio_url, raw_transcript, refined_text, system_prompt_used, processing_time_ms, error_details, enrichment_entities, model_version, retry_count, priority, cost_credits_reserved, run_at, idempotency_key, max_attempts, cancel_requested_at)
authenticated UPDATE profiles(id, display_name, avatar_url, notification_prefs, created_at, updated_at)
authenticated UPDATE projects(id, user_id, title, prompt_text, niche_preset, target_minutes, voice_profile_id, transcript_mode, transcript_text, settings, created_at, updated_at)
authenticated UPDATE studio_jobs(job_id, created_at, status, user_id, raw_audio_url, raw_transcript, refined_text, system_prompt_used, error_details, enrichment_entities, model_version, priority, run_at, idempotency_key, max_attempts, cancel_requested_at)',
	'column by column: what PUBLIC, anon and authenticated may read and write');
SELECT is(
	(SELECT string_agg(format('%s %s', c.relname, p.privilege), ', ' ORDER BY c.relname::text COLLATE "C", p.privilege)
	 FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p (privilege)
	 WHERE c.relnamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace) AND c.relkind IN ('r', 'p', 'v')
	   AND (c.relname IN ('credit_accounts', 'credit_ledger') OR c.relnamespace = 'studio_engine'::regnamespace)
	   AND has_table_privilege('service_role', c.oid, p.privilege)),
	'credit_accounts SELECT, credit_ledger INSERT, credit_ledger SELECT',
	'service_role: what it may do with the books and the private tables');
SELECT is_empty(
	$$ SELECT c.relname, p.privilege
	   FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p (privilege)
	   WHERE c.relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace) AND c.relkind = 'r'
		 AND c.relname NOT IN ('credit_accounts', 'credit_ledger')
		 AND has_table_privilege('service_role', c.oid, p.privilege) <> (p.privilege NOT IN ('TRIGGER', 'REFERENCES')) $$,
	'service_role: everything with all others, but no triggers and no foreign keys, whose casts run as the owner');
SELECT is_empty(
	$$ SELECT c.relname, r.role, p.privilege
	   FROM pg_class c, unnest('{public,anon,authenticated}'::text[]) AS r (role),
			unnest('{TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p (privilege)
	   WHERE c.relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace) AND c.relkind = 'r'
		 AND has_table_privilege(r.role, c.oid, p.privilege) $$,
	'users may not TRUNCATE, refer to or put triggers on any table');

SELECT is(pg_temp.as_alice(statement), expected, statement || ': ' || expected)
FROM (VALUES
	('UPDATE profiles SET stripe_customer_id = ''cus_other''', '42501'),
	('UPDATE profiles SET id = ''30000000-0000-4000-8000-0000000000ff''', '42501'),
	('UPDATE profiles SET created_at = ''2001-01-01''', '42501'),
	('UPDATE profiles SET id = id, created_at = created_at, updated_at = ''2001-01-01''', '1'),
	('UPDATE profiles SET stripe_customer_id = stripe_customer_id', '42501'),
	('UPDATE profiles SET notification_prefs = ''{}'', avatar_url = ''X''', '1'),
	('UPDATE projects SET user_id = ''30000000-0000-4000-8000-00000000000b''', '42501'),
	('UPDATE projects SET id = gen_random_uuid()', '42501'),
	('UPDATE projects SET created_at = ''2001-01-01''', '42501'),
	('UPDATE projects SET id = id, user_id = auth.uid(), created_at = created_at, updated_at = ''2001-01-01''', '1'),
	('UPDATE projects SET settings = ''{"a": 1}'', target_minutes = 2', '1'),
	('UPDATE projects SET target_minutes = 11', '23514'),
	('INSERT INTO projects (user_id, title, prompt_text, niche_preset) VALUES (''30000000-0000-4000-8000-00000000000b'', ''X'', ''X'', ''facts'')', '42501'),
	('INSERT INTO projects (id, user_id, title, prompt_text, niche_preset) VALUES (gen_random_uuid(), auth.uid(), ''X'', ''X'', ''facts'')', '1'),
	('INSERT INTO projects (id, user_id, title, prompt_text, niche_preset) VALUES (''30000000-0000-4000-8000-0000000000b1'', auth.uid(), ''X'', ''X'', ''facts'') ON CONFLICT (id) DO UPDATE SET title = excluded.title', '42501'),
	('INSERT INTO projects (user_id, title, prompt_text, niche_preset, created_at) VALUES (auth.uid(), ''X'', ''X'', ''facts'', now())', '1'),
	('INSERT INTO projects (user_id, title, prompt_text, niche_preset, created_at) VALUES (auth.uid(), ''X'', ''X'', ''facts'', ''2001-01-01'')', '42501'),
	('INSERT INTO projects (user_id, title, prompt_text, niche_preset) VALUES (auth.uid(), ''X'', ''X'', ''facts'') ON CONFLICT (id) DO UPDATE SET title = ''Y''', '1'),
	('SELECT session_token FROM draft_prompts', '1'),
	('SELECT * FROM draft_prompts', '1'),
	('SELECT d FROM draft_prompts d', '1'),
	('SELECT id FROM draft_prompts WHERE session_token = ''tables-claimed-token''', '1'),
	('SELECT id FROM draft_prompts WHERE session_token = ''tables-unclaimed-token''', '0'),
	('SELECT id FROM draft_prompts WHERE user_id IS NULL', '0'),
	('SELECT id FROM logs WHERE level = ''debug''', '0'),
	('UPDATE jobs SET cost_credits_reserved = 0', '42501'),
	('UPDATE jobs SET cost_credits_final = 0', '42501'),
	('UPDATE jobs SET status = ''READY''', '42501'),
	('UPDATE jobs SET priority = 1', '42501'),
	('COPY projects TO PROGRAM ''true''', '42501'),
	('SELECT id FROM jobs FOR UPDATE', '42501'),
	('SELECT id FROM projects FOR UPDATE', '1'),
	('LOCK TABLE credit_accounts IN EXCLUSIVE MODE', '42501'),
	('ALTER TABLE projects DISABLE ROW LEVEL SECURITY', '42501'),
	('SET LOCAL session_replication_role = replica', '42501')) AS t (statement, expected);

-- Studio jobs are the users' own to insert and to move, but for what the engine keeps.
CREATE TEMPORARY TABLE studio_column (col text, value text, on_insert text, on_update text);
INSERT INTO studio_column VALUES
	('job_id', '''30000000-0000-4000-8000-0000000000ff''', '1', '42501'),
	('created_at', '''2001-01-01''', '42501', '42501'),
	('status', '''NEW''', '1', '1'),
	('user_id', 'auth.uid()', '1', '1'),
	('raw_audio_url', '''X''', '1', '1'),
	('raw_transcript', '''X''', '1', '1'),
	('refined_text', '''X''', '1', '1'),
	('system_prompt_used', '''X''', '1', '1'),
	('processing_time_ms', '1', '42501', '42501'),
	('error_details', '''{}''', '1', '1'),
	('enrichment_entities', '''{}''', '1', '1'),
	('model_version', '''X''', '1', '1'),
	('retry_count', '0', '42501', '42501'),
	('priority', '100', '1', '1'),
	('cost_credits_reserved', '0', '42501', '42501'),
	('run_at', 'now()', '1', '42501'),
	('idempotency_key', '''X''', '1', '42501'),
	('max_attempts', '1', '1', '1'),
	('cancel_requested_at', 'now()', '42501', '42501');
SELECT is((SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
		   WHERE attrelid = 'studio_jobs'::regclass AND attnum > 0 AND NOT attisdropped),
		  (SELECT array_agg(col) FROM studio_column), 'every column of studio_jobs is tried');
SELECT is(pg_temp.as_alice(CASE col WHEN 'user_id' THEN format('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (%s, ''a'')', value)
								WHEN 'raw_audio_url' THEN format('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (auth.uid(), %s)', value)
								ELSE format('INSERT INTO studio_jobs (user_id, raw_audio_url, %I) VALUES (auth.uid(), ''a'', %s)', col, value) END),
		  on_insert, format('a user gives studio_jobs.%s: %s', col, on_insert))
FROM studio_column;
SELECT is(pg_temp.as_alice(format('UPDATE studio_jobs SET %I = %s', col, value)), on_update,
		  format('a user changes studio_jobs.%s: %s', col, on_update))
FROM studio_column;
-- four she may name, with the value that the row has
SELECT is(pg_temp.as_alice(format('UPDATE studio_jobs SET %I = DEFAULT', col)), may, format('... and to its default: %s: %s', col, may))
FROM studio_column, LATERAL (SELECT CASE WHEN col IN ('created_at', 'run_at', 'idempotency_key', 'cancel_requested_at') THEN '1' ELSE on_update END) AS d (may)
WHERE on_update = '42501';
-- the right to UPDATE one column gives none to write others beside it
SELECT is(pg_temp.as_alice(format('UPDATE studio_jobs SET status = ''TRANSCRIBING'', %I = %s', col, value)), '42501',
		  format('... nor together with another: %s', col))
FROM studio_column WHERE on_update = '42501';

SELECT is(pg_temp.as_alice(statement), expected, statement || ': ' || expected)
FROM (VALUES
	('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (''30000000-0000-4000-8000-00000000000b'', ''X'')', '42501'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (auth.uid(), ''X''), (''30000000-0000-4000-8000-00000000000b'', ''X'')', '42501'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (NULL, ''X'')', '42501'),
	('INSERT INTO studio_jobs (user_id) VALUES (auth.uid())', '23502'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url, system_prompt_used) VALUES (auth.uid(), ''X'', NULL)', '1'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url, status) VALUES (auth.uid(), ''X'', ''TRANSCRIBING'')', '23514'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url, status) VALUES (auth.uid(), ''X'', ''COMPLETE'')', '23514'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url, status) VALUES (auth.uid(), ''X'', ''new'')', '23514'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url, status) VALUES (auth.uid(), ''X'', NULL)', '23514'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url, priority) VALUES (auth.uid(), ''X'', 101)', '22023'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url, priority) VALUES (auth.uid(), ''X'', -2147483648)', '1'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url, priority) VALUES (auth.uid(), ''X'', NULL)', '23502'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (auth.uid(), ''X'') ON CONFLICT (job_id) DO UPDATE SET raw_audio_url = ''Y''', '1'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (auth.uid(), ''X'') ON CONFLICT (job_id) DO UPDATE SET retry_count = 9', '42501'),
	-- five at a time, one of which is there
	('INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT auth.uid(), n::text FROM generate_series(1, 4) n', '4'),
	('INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT auth.uid(), n::text FROM generate_series(1, 5) n', 'PT429'),
	('WITH ended AS (UPDATE studio_jobs SET status = ''FAILED'' RETURNING 1) SELECT * FROM ended', '1'),
	('UPDATE studio_jobs SET priority = 101', '22023'),
	('UPDATE studio_jobs SET status = ''ENRICHING''', '23514'),
	('UPDATE studio_jobs SET status = ''COMPLETE''', '23514'),
	('UPDATE studio_jobs SET status = ''DONE''', '23514'),
	('UPDATE studio_jobs SET status = ''FAILED'', error_details = ''{"code": "X"}''', '1'),
	('UPDATE studio_jobs SET status = ''FAILED''; UPDATE studio_jobs SET status = ''NEW''', '23514'),
	('UPDATE studio_jobs SET status = ''TRANSCRIBING''; UPDATE studio_jobs SET status = ''ENRICHING'', raw_transcript = ''T''; UPDATE studio_jobs SET status = ''COMPLETE'', refined_text = ''R''', '1'),
	('UPDATE studio_jobs SET raw_transcript = ''X'' WHERE job_id = ''30000000-0000-4000-8000-0000000000b9''', '0'),
	('SELECT job_id FROM studio_jobs FOR UPDATE', '1'),
	('SELECT job_id FROM studio_jobs WHERE user_id <> auth.uid()', '0'),
	('DELETE FROM studio_jobs', '42501'),
	('TRUNCATE studio_jobs', '42501'),
	('SELECT * FROM studio_engine.queue', '42501'),
	('SELECT * FROM studio_engine.attempts', '42501'),
	('SELECT ''jobs''::studio_engine.job_system', '42501')) AS t (statement, expected);
SELECT is(pg_temp.outcome('authenticated', :'bob', statement), expected, 'another user: ' || statement || ': ' || expected)
FROM (VALUES ('UPDATE studio_jobs SET raw_transcript = ''X'' WHERE job_id = ''30000000-0000-4000-8000-000000000009''', '0'),
			 ('UPDATE studio_jobs SET raw_transcript = ''X''', '1'),
			 ('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (''30000000-0000-4000-8000-00000000000a'', ''X'')', '42501'),
			 ('SELECT job_id FROM studio_jobs', '1')) AS t (statement, expected);
-- services are held to none of the limits of users
SELECT is(pg_temp.as_service(format(statement, :'alice')), expected, 'a service: ' || statement || ': ' || expected)
FROM (VALUES ('INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT %L, n::text FROM generate_series(1, 6) n', '6'),
			 ('INSERT INTO studio_jobs (user_id, raw_audio_url, priority, status, retry_count, created_at, processing_time_ms) VALUES (%L, ''X'', 2147483647, ''COMPLETE'', 3, ''2001-01-01'', 5)', '1'),
			 ('UPDATE studio_jobs SET priority = 2147483647 WHERE user_id = %L', '1'),
			 ('INSERT INTO studio_jobs (user_id, raw_audio_url, status) VALUES (%L, ''X'', ''new'')', '23514')) AS t (statement, expected);
-- at COMPLETE the engine writes what the user may not
SELECT is(pg_temp.outcome('authenticated', :'alice', $$ DO $x$ BEGIN
			UPDATE public.studio_jobs SET status = 'TRANSCRIBING'; UPDATE public.studio_jobs SET status = 'ENRICHING';
			UPDATE public.studio_jobs SET status = 'COMPLETE';
			IF NOT EXISTS (SELECT FROM public.studio_jobs WHERE processing_time_ms >= 0) THEN RAISE EXCEPTION USING ERRCODE = 'DIFFR'; END IF; END $x$ $$),
		  '0', 'processing_time_ms is stamped for a user''s plain UPDATE');

-- Row security that is switched off by the caller refuses instead of showing all.
SELECT is(pg_temp.as_alice('DO $x$ BEGIN PERFORM set_config(''row_security'', ''off'', true); PERFORM FROM public.projects; END $x$'),
		  '42501', 'SET row_security = off opens nothing to a user');
SELECT is(pg_temp.outcome('authenticated', :'bob', statement), '0', 'another user: ' || statement)
FROM (VALUES ('SELECT s.id FROM job_steps s JOIN jobs j ON j.id = s.job_id'),
			 ('SELECT id FROM logs'), ('SELECT id FROM assets'), ('SELECT id FROM draft_prompts'),
			 ('SELECT job_id FROM studio_jobs WHERE user_id <> auth.uid()'),
			 ('SELECT * FROM credit_ledger WHERE user_id <> auth.uid()'),
			 ('SELECT * FROM credit_accounts WHERE user_id <> auth.uid()')) AS t (statement);

-- A condition that tells what it is given never sees a row that the policy hides.
CREATE FUNCTION public.tables_leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001
AS $$ BEGIN RAISE EXCEPTION 'saw %', $1 USING ERRCODE = 'LEAK0'; END $$;
SELECT is(pg_temp.outcome('authenticated', :'carol', 'SELECT id FROM projects WHERE tables_leak(title)'),
		  '0', 'a cheap function in WHERE does not see rows before the policy does');
SELECT is(pg_temp.outcome('authenticated', :'carol', statement), '0', '... nor in ' || statement)
FROM unnest(ARRAY['SELECT job_id FROM studio_jobs WHERE tables_leak(raw_audio_url)',
				  'UPDATE studio_jobs SET model_version = ''X'' WHERE tables_leak(raw_audio_url)']) AS t (statement);
SELECT is(pg_temp.as_alice('SELECT job_id FROM studio_jobs WHERE tables_leak(raw_audio_url)'), 'LEAK0', 'control: one''s own');
SELECT is(pg_temp.as_alice('SELECT id FROM projects WHERE tables_leak(title)'), 'LEAK0', 'control: it sees one''s own');

--------------------------------------------------------------------------------
-- The ledger is append-only for everybody
--------------------------------------------------------------------------------

SELECT is(pg_temp.outcome(role, NULL, statement), '42501', format('%s: %s', role, statement))
FROM unnest('{service_role,postgres}'::text[]) AS r (role),
	 unnest(ARRAY[
		'UPDATE credit_ledger SET note = ''X''',
		'UPDATE credit_ledger SET note = note',
		'UPDATE credit_ledger SET balance_after = 0',
		'UPDATE credit_ledger SET created_at = now()',
		'UPDATE credit_ledger SET user_id = ''30000000-0000-4000-8000-00000000000b''',
		'DELETE FROM credit_ledger',
		'TRUNCATE credit_ledger',
		'TRUNCATE projects CASCADE',
		'TRUNCATE jobs CASCADE',
		'TRUNCATE auth.users CASCADE',
		'UPDATE credit_accounts SET balance = balance',
		'UPDATE credit_accounts SET reserved = 0',
		'DELETE FROM credit_accounts',
		'INSERT INTO credit_ledger (id, user_id, type, amount) SELECT id, user_id, type, amount FROM credit_ledger ON CONFLICT (id) DO UPDATE SET amount = 100'
	 ]) AS s (statement);
-- the owner of the tables need not be a superuser
CREATE ROLE tables_owner;
GRANT CREATE, USAGE ON SCHEMA public TO tables_owner;
GRANT USAGE ON SCHEMA auth TO tables_owner;
SAVEPOINT another_owner;
ALTER SCHEMA studio_engine OWNER TO tables_owner;
ALTER TABLE credit_ledger OWNER TO tables_owner;
ALTER TABLE credit_accounts OWNER TO tables_owner;
ALTER TABLE studio_engine.expiring_credits OWNER TO tables_owner;
ALTER TABLE studio_engine.ledger_hashes OWNER TO tables_owner;
ALTER TABLE studio_engine.credit_keys OWNER TO tables_owner;
ALTER TABLE studio_engine.expiring_holds OWNER TO tables_owner;
ALTER TABLE studio_engine.lot_checkpoints OWNER TO tables_owner;
ALTER TABLE studio_engine.transfers OWNER TO tables_owner;
ALTER TABLE studio_engine.welcomed OWNER TO tables_owner;
ALTER TABLE studio_engine.payment_digests OWNER TO tables_owner;
ALTER TABLE studio_engine.stripe_objects OWNER TO tables_owner;
ALTER TABLE studio_engine.stripe_facts OWNER TO tables_owner;
ALTER TABLE studio_engine.stripe_events OWNER TO tables_owner;
SELECT is(pg_temp.outcome('tables_owner', NULL, statement), '42501', 'the owner: ' || statement)
FROM unnest(ARRAY['UPDATE credit_ledger SET note = ''X''', 'DELETE FROM credit_ledger', 'TRUNCATE credit_ledger',
				  'UPDATE credit_accounts SET balance = 0', 'DELETE FROM credit_accounts',
				  'TRUNCATE credit_accounts CASCADE',
				  'TRUNCATE credit_accounts, credit_ledger, studio_engine.expiring_credits, studio_engine.ledger_hashes, studio_engine.credit_keys, studio_engine.expiring_holds, studio_engine.lot_checkpoints, studio_engine.transfers, studio_engine.stripe_objects, studio_engine.stripe_facts, studio_engine.stripe_events']) AS s (statement);
ROLLBACK TO another_owner;
-- what settings of a restore look like opens nothing
SELECT is(pg_temp.outcome('postgres', NULL, $$ DO $x$ BEGIN
			SET LOCAL row_security = off; SET LOCAL check_function_bodies = off; DELETE FROM public.credit_ledger; END $x$ $$),
		  '42501', 'the settings of pg_restore alone do not open the ledger');

-- What a service may enter by plain INSERT obeys the rules of the functions.
SELECT is(pg_temp.as_service(format('INSERT INTO credit_ledger (user_id, %s) VALUES (%L, %s)', cols, :'alice', vals)), expected,
		  format('plain INSERT (%s) VALUES (%s): %s', cols, vals, expected))
FROM (VALUES
	('type, amount', '''grant'', -1', '22023'),
	('type, amount', '''purchase'', 0', '22023'),
	('type, amount', '''usage'', 1', '22023'),
	('type, amount', '''usage'', -11', 'PT402'),
	('type, amount', '''grant'', 2147483647', '22003'),
	('type, amount', '''gift'', 1', '23514'),
	('type, amount', '''reserve'', -1', '22023'),
	('type, amount, job_id', '''reserve'', -3, ''30000000-0000-4000-8000-000000000002''', '1'),
	('type, amount, job_id', '''reserve'', 3, ''30000000-0000-4000-8000-000000000002''', 'PT409'),
	('type, amount, job_id', '''reserve'', -1, ''30000000-0000-4000-8000-0000000000b2''', '42501'),
	('type, amount, job_id', '''usage'', -1, ''30000000-0000-4000-8000-00000000dead''', 'PT404'),
	('type, amount, expires_at', '''grant'', 1, ''2999-01-01''', '1'),
	('type, amount, expires_at', '''purchase'', 1, ''2001-01-01''', '1'),
	('type, amount, expires_at', '''subscription'', 1, ''infinity''', '22023'),
	('type, amount, expires_at', '''refund'', 1, ''2999-01-01''', '22023'),
	('type, amount, expires_at', '''usage'', -1, ''2999-01-01''', '22023'),
	('type, amount, reverses', '''purchase'', -1, (SELECT id FROM credit_ledger LIMIT 1)', '22023'),
	('type, amount, reverses', '''expire'', -1, (SELECT id FROM credit_ledger LIMIT 1)', '22023'),
	('type, amount', 'NULL, 1', '22004'),
	('type, amount', '''grant'', NULL', '22004'),
	('type, amount, entry_no, balance_after', '''grant'', 1, 77, 1000', '1')) AS t (cols, vals, expected);
SELECT is(pg_temp.as_service(format('SELECT reserve_credits(%L, id, 2) FROM jobs WHERE user_id = %1$L; UPDATE jobs SET user_id = %L WHERE user_id = %1$L', :'alice', :'bob')),
		  'PT409', 'a job that holds credits of one user is not handed to another');
INSERT INTO credit_ledger (user_id, type, amount, entry_no, balance_after) VALUES (:'carol', 'grant', 1, 77, 1000);
SELECT is((SELECT array_agg(entry_no || ' ' || balance_after ORDER BY entry_no) FROM credit_ledger WHERE user_id = :'carol'),
		  '{"1 10","2 11"}'::text[], 'the number and the balance of an entry are the trigger''s, whatever was given');
SELECT is((SELECT array_agg(format('%s %s', balance, entries)) FROM credit_accounts WHERE user_id = :'carol'),
		  '{"11 2"}'::text[], '... and the account says the same');

--------------------------------------------------------------------------------
-- Default privileges: a control, without which the above proves little
--------------------------------------------------------------------------------

CREATE TABLE public.tables_probe (id integer);
SELECT is(has_table_privilege(role, 'public.tables_probe', 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE'), true,
		  'control: a table made now is open to ' || role)
FROM unnest('{anon,authenticated,service_role}'::text[]) AS r (role);
SELECT is(pg_temp.outcome('anon', NULL, 'INSERT INTO public.tables_probe VALUES (1)'), '1', 'control: anon writes into it');
SELECT is((SELECT relowner FROM pg_class WHERE oid = 'public.tables_probe'::regclass),
		  (SELECT relowner FROM pg_class WHERE oid = 'public.credit_ledger'::regclass), 'control: it has the owner that ours have');

SELECT * FROM finish();
ROLLBACK;
