-- What policies and functions make of odd claims, and what Realtime needs of them:
-- Realtime asks each policy once per subscriber, and an error would end the stream.
-- The pitfall: malformed claims do raise, in auth.uid() of the platform and not in
-- ours; no row may be shown before they do.
SET search_path = tap, public, pg_catalog;
SET client_min_messages = warning;

BEGIN;
SELECT plan(331);

\set alice '50000000-0000-4000-8000-00000000000a'

INSERT INTO auth.users (id) VALUES (:'alice');
INSERT INTO projects (id, user_id, title, prompt_text, niche_preset)
VALUES ('50000000-0000-4000-8000-000000000001', :'alice', 'Of Alice', 'A film', 'facts');
SELECT create_job('50000000-0000-4000-8000-000000000001', 1) AS job \gset
SELECT log_job(:'job', 'info', 'A line') \g /dev/null
SELECT record_asset(:'job', 'video', 'https://example.test/', 'films/1') \g /dev/null
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url) VALUES ('50000000-0000-4000-8000-000000000002', :'alice', 'a');
INSERT INTO draft_prompts (session_token, user_id, prompt_text) VALUES ('realtime-claimed', :'alice', 'Claimed'), ('realtime-unclaimed', NULL, 'Free');

SELECT pipeline.create_job('realtime-run', '{}', :'alice'), pipeline.register_artifact('realtime-run', 'zip', 'X'),
	   pipeline.upsert_prompt('realtime-prompt', 'C', 'X', 'T') \g /dev/null

INSERT INTO companies (id, name) VALUES ('50000000-0000-4000-8000-0000000000c1', 'Of Alice');
INSERT INTO employees (company_id, user_id, name) VALUES ('50000000-0000-4000-8000-0000000000c1', :'alice', 'Alice');
SELECT create_module_content('Of Alice', p_company_id => '50000000-0000-4000-8000-0000000000c1') AS content \gset
SELECT store_quality_assessment(:'content', 8), create_multimedia_session(:'content') AS session \gset
SELECT register_multimedia_asset(:'session', NULL, 'video', 'v.mp4'), enqueue_rendering(:'session') \g /dev/null

CREATE TEMPORARY TABLE readable (tbl text, col text);
INSERT INTO readable VALUES ('profiles', 'id'), ('draft_prompts', 'id'), ('projects', 'id'), ('jobs', 'id'), ('job_steps', 'id'),
	('assets', 'id'), ('logs', 'id'), ('credit_accounts', 'user_id'), ('credit_ledger', 'id'), ('studio_jobs', 'job_id'),
	('pipeline.jobs', 'run_id'), ('pipeline.job_events', 'id'), ('pipeline.artifacts', 'id'), ('pipeline.prompts', 'id'),
	('companies', 'id'), ('employees', 'id'), ('cm_module_content', 'content_id'), ('cm_quality_assessments', 'assessment_id'),
	('mm_multimedia_sessions', 'session_id'), ('mm_multimedia_assets', 'asset_id'),
	('mm_rendering_queue', 'render_id');

-- Rows, or the SQLSTATE, with claims given as they are; NULL leaves the setting empty.
CREATE FUNCTION pg_temp.outcome(p_claims text, p_statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v_rows bigint;
BEGIN
	PERFORM set_config('request.jwt.claims', COALESCE(p_claims, ''), true);
	PERFORM set_config('role', 'authenticated', true);
	EXECUTE p_statement;
	GET DIAGNOSTICS v_rows = ROW_COUNT;
	RAISE EXCEPTION USING ERRCODE = 'UNDO0', MESSAGE = v_rows::text;
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN SQLERRM;
WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

CREATE TEMPORARY TABLE claim (n serial, claims text, label text);
INSERT INTO claim (claims, label) VALUES
	(NULL, 'no claims'),
	('{}', 'claims without sub'),
	('{"sub": null}', 'sub null'),
	('{"role": "service_role"}', 'a role that claims to be a service'),
	('null', 'a JSON null'),
	('[]', 'an array'),
	('"50000000-0000-4000-8000-00000000000a"', 'a bare string'),
	('{"SUB": "50000000-0000-4000-8000-00000000000a"}', 'sub in capitals'),
	('{"claims": {"sub": "50000000-0000-4000-8000-00000000000a"}}', 'sub one level down');

SELECT is(pg_temp.outcome(claims, format('SELECT %I FROM %s', col, tbl)), '0', format('%s: no row of %s and no error', label, tbl))
FROM claim, readable ORDER BY n, tbl;
SELECT is(pg_temp.outcome(c.claims, s.statement), s.expected, format('%s: %s: %s', c.label, s.statement, s.expected))
FROM (SELECT * FROM claim WHERE n <= 4) AS c,
	 (VALUES (1, 'SELECT get_dashboard()', '42501'),
			 (2, 'SELECT get_credit_balance(NULL)', '42501'),
			 (3, 'UPDATE projects SET title = ''X''', '0'),
			 (4, 'SELECT get_credit_summary(NULL)', '42501'),
			 (5, 'SELECT get_credit_summary(''50000000-0000-4000-8000-00000000000a'')', '42501'),
			 (6, 'UPDATE studio_jobs SET raw_transcript = ''X''', '0'),
			 (7, 'INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (''50000000-0000-4000-8000-00000000000a'', ''X'')', '42501'),
			 (8, 'INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (auth.uid(), ''X'')', '42501'),
			 (9, 'SELECT create_studio_job(''50000000-0000-4000-8000-00000000000a'', ''X'')', '42501'),
			 (10, 'SELECT create_studio_job(NULL, ''X'')', '42501'),
			 (11, 'SELECT cancel_studio_job(''50000000-0000-4000-8000-000000000002'')', '42501'),
			 (12, 'SELECT retry_studio_job(NULL)', '42501'),
			 (13, 'SELECT get_job_attempts(''50000000-0000-4000-8000-000000000002'')', '42501'),
			 (14, 'SELECT get_job_statistics(''studio_jobs'')', '42501'),
			 (15, 'SELECT get_job_statistics(''studio_jobs'', ''50000000-0000-4000-8000-00000000000a'')', '42501'),
			 (16, 'SELECT get_content_statistics()', '42501'),
			 (17, 'SELECT search_module_content(''alice'')', '42501'),
			 (18, 'SELECT get_credit_lots(NULL)', '42501'),
			 (19, 'SELECT get_credit_lots(''50000000-0000-4000-8000-00000000000a'')', '42501')) AS s (n, statement, expected)
ORDER BY c.n, s.n;

SELECT is(pg_temp.outcome(claims, statement), '22P02', format('refused by auth.uid() itself: %s: %s', statement, label))
FROM unnest(ARRAY['SELECT id FROM projects', 'SELECT job_id FROM studio_jobs', 'UPDATE studio_jobs SET raw_transcript = ''X''']) AS s (statement),
	 (VALUES ('{"sub": ""}', 'sub empty'), ('{"sub": "service"}', 'sub a word'), ('{"sub": ', 'malformed JSON')) AS t (claims, label);
SELECT is(pg_temp.outcome(claims, statement), '22P02', format('a function refuses as well: %s: %s', statement, label))
FROM (VALUES ('{"sub": ""}', 'sub empty'), ('{"sub": "service"}', 'sub a word'), ('{"sub": ', 'malformed JSON')) AS t (claims, label),
	 unnest(ARRAY['SELECT get_dashboard()', 'SELECT get_credit_summary(''50000000-0000-4000-8000-00000000000a'')',
				  'SELECT get_credit_lots(''50000000-0000-4000-8000-00000000000a'')',
				  'SELECT create_studio_job(''50000000-0000-4000-8000-00000000000a'', ''X'')', 'SELECT get_job_statistics(''jobs'')',
				  'SELECT get_job_attempts(''50000000-0000-4000-8000-000000000002'')', 'SELECT cancel_studio_job(''50000000-0000-4000-8000-000000000002'')']) AS s (statement);

-- A control: with the right sub every table shows a row.
SELECT isnt(pg_temp.outcome('{"sub": "50000000-0000-4000-8000-00000000000a"}', format('SELECT %I FROM %s', col, tbl)), '0',
			'control: Alice sees a row of ' || tbl)
FROM readable ORDER BY tbl;
SELECT is(pg_temp.outcome('{"sub": "50000000-0000-4000-8000-00000000000a"}', 'SELECT get_credit_summary(auth.uid())'), '1',
		  'control: Alice sees her credits');
SELECT is(pg_temp.outcome('{"sub": "50000000-0000-4000-8000-00000000000a"}', 'SELECT get_credit_lots(auth.uid())'), '1',
		  'control: Alice sees her lot');
SELECT is(pg_temp.outcome('{"sub": "50000000-0000-4000-8000-00000000000a"}', statement), '1', 'control: Alice may: ' || statement)
FROM unnest(ARRAY['UPDATE studio_jobs SET raw_transcript = ''X''', 'SELECT create_studio_job(auth.uid(), ''X'')', 'SELECT get_job_statistics(''jobs'')',
				  'SELECT cancel_studio_job(''50000000-0000-4000-8000-000000000002'')',
				  'INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (auth.uid(), ''X'')']) AS s (statement);
SELECT is((SELECT count(*)::integer FROM readable WHERE NOT has_column_privilege('authenticated', tbl, col, 'SELECT')), 0,
		  'control: the columns asked for are readable');

-- Realtime looks a changed row up by its primary key, as the subscriber, and sends
-- him the columns that he may read.  080_realtime.pl shows what comes of it.
SELECT is_empty(
	$$ SELECT c.relname FROM pg_class c
	   WHERE c.relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace) AND c.relkind = 'r' AND c.relreplident <> 'd' $$,
	'replica identity is the primary key everywhere: an UPDATE sends no old secrets');
SELECT is_empty($$ SELECT tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime' $$,
				'nothing is published by itself');
CREATE TEMPORARY TABLE published AS
	SELECT e.table_name::regclass AS oid, e.added FROM enable_realtime() e;
SELECT is(
	(SELECT string_agg(oid::text, ' ' ORDER BY oid::text COLLATE "C") FROM published WHERE added),
	'assets cm_module_content credit_ledger job_steps jobs mm_multimedia_sessions mm_rendering_queue pipeline.artifacts pipeline.jobs studio_jobs',
	'enable_realtime() publishes what clients wait on');
SELECT is_empty(
	$$ SELECT oid FROM published
	   EXCEPT SELECT format('%I.%I', schemaname, tablename)::regclass::oid FROM pg_publication_tables WHERE pubname = 'supabase_realtime' $$,
	'... which then is in the publication');
SELECT is_empty(
	$$ SELECT p.oid, a.attname FROM published p JOIN pg_index i ON i.indrelid = p.oid AND i.indisprimary
	   JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = ANY (i.indkey)
	   WHERE a.atttypid <> 'uuid'::regtype AND (p.oid, a.attname) <> ('pipeline.jobs'::regclass, 'run_id')
		  OR EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = p.oid AND f.contype = 'f' AND a.attnum = ANY (f.conkey))
		  OR NOT has_column_privilege('authenticated', p.oid, a.attname, 'SELECT') $$,
	'their keys, which a DELETE tells everybody, are random and name nothing else, and subscribers may read them');
SELECT is_empty(
	$$ SELECT p.oid FROM published p JOIN pg_class c ON c.oid = p.oid
	   WHERE NOT c.relrowsecurity
		  OR NOT EXISTS (SELECT FROM pg_policy l WHERE l.polrelid = p.oid AND l.polcmd IN ('r', '*'))
		  OR NOT has_schema_privilege('authenticated', c.relnamespace, 'USAGE')
		  OR NOT EXISTS (SELECT FROM readable r WHERE r.tbl::regclass = p.oid) $$,
	'all of them have row level security and a policy, and were asked above under odd claims');
SELECT is_empty(
	$$ SELECT p.oid, a.attname FROM published p JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped
	   WHERE a.attname ~ 'token|secret|password|lease|worker' $$,
	'no column of theirs is a secret');

SELECT * FROM finish();
ROLLBACK;
