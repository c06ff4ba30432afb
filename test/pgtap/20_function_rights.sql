-- Who may call what: every function of the API, as every kind of caller, with the
-- answer that SPEC section 1 and the COMMENT of the function promise.
-- A new function without cases fails the test.
-- The pitfall: pgTAP keeps its notes in temporary tables of the superuser, so no
-- assertion may run under SET ROLE.  pg_temp.outcome() steps into a role, runs one
-- statement and undoes role, claims and effects by raising in a subtransaction.
SET search_path = tap, public, pg_catalog;
SET client_min_messages = warning;

BEGIN;
SELECT plan(1220);

--------------------------------------------------------------------------------
-- People, and something of Alice's for every function to work on
--------------------------------------------------------------------------------

\set alice   '20000000-0000-4000-8000-00000000000a'
\set bob     '20000000-0000-4000-8000-00000000000b'
\set unknown '20000000-0000-4000-8000-00000000dead'

INSERT INTO auth.users (id) VALUES (:'alice'), (:'bob');
INSERT INTO projects (id, user_id, title, prompt_text, niche_preset)
VALUES ('20000000-0000-4000-8000-000000000001', :'alice', 'Of Alice', 'A film', 'facts');
SELECT create_job('20000000-0000-4000-8000-000000000001', 3) AS queued \gset
SELECT create_job('20000000-0000-4000-8000-000000000001', 1) AS failed \gset
SELECT create_job('20000000-0000-4000-8000-000000000001', 1) AS packing \gset
SELECT fail_job(:'failed', 'BROKEN') \g /dev/null
SELECT advance_job(:'packing', s) FROM unnest(
	'{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) AS t (s) \g /dev/null
INSERT INTO jobs (id, project_id, user_id)
VALUES ('20000000-0000-4000-8000-000000000002', '20000000-0000-4000-8000-000000000001', :'alice');
INSERT INTO jobs (id, project_id, user_id)
VALUES ('20000000-0000-4000-8000-000000000003', '20000000-0000-4000-8000-000000000001', :'alice');
SELECT reserve_credits(:'alice', '20000000-0000-4000-8000-000000000003', 2), settle_credits('20000000-0000-4000-8000-000000000003') \g /dev/null
SELECT purchase_credits(:'alice', 8, 'pi_of_alice'), reverse_purchase('pi_of_alice', 3) \g /dev/null
SELECT save_draft_prompt('rights-session-token', 'A film about rights') \g /dev/null

-- content of Alice's company: draft and rejected, a session with files, and what is made in it
INSERT INTO companies (id, name) VALUES ('20000000-0000-4000-8000-0000000000c1', 'Of Alice');
INSERT INTO employees (id, company_id, user_id, name)
VALUES ('20000000-0000-4000-8000-0000000000e1', '20000000-0000-4000-8000-0000000000c1', :'alice', 'Alice');
SELECT create_module_content('A module', p_company_id => '20000000-0000-4000-8000-0000000000c1') AS content \gset
SELECT store_quality_assessment(:'content', 2) AS assessment \gset
SELECT start_enhancement_session(:'content') AS enhancement \gset
SELECT create_course_plan('20000000-0000-4000-8000-0000000000e1') AS plan \gset
SELECT create_multimedia_session(:'content') AS session \gset
SELECT register_multimedia_asset(:'session', NULL, 'audio', 'a.mp3') AS asset \gset
SELECT create_audio_narration(:'session') AS narration \gset
SELECT create_slide_presentation(:'session') AS presentation \gset
SELECT create_script_generation(:'session') AS script \gset

-- What the names in the cases stand for: once with what is there, once with ids
-- that nobody ever gave out.
CREATE TEMPORARY TABLE known (placeholder text PRIMARY KEY, there text, nowhere text);
INSERT INTO known VALUES
	('{user}',    :'alice', :'unknown'),
	('{project}', '20000000-0000-4000-8000-000000000001', :'unknown'),
	('{queued}',  :'queued', :'unknown'),
	('{failed}',  :'failed', :'unknown'),
	('{packing}', :'packing', :'unknown'),
	('{pending}', '20000000-0000-4000-8000-000000000002', :'unknown'),
	('{charged}', '20000000-0000-4000-8000-000000000003', :'unknown'),
	('{payment}', 'pi_of_alice', 'pi_of_nobody'),
	('{company}', '20000000-0000-4000-8000-0000000000c1', :'unknown'),
	('{employee}', '20000000-0000-4000-8000-0000000000e1', :'unknown'),
	('{content}', :'content', :'unknown'),
	('{assessment}', :'assessment', :'unknown'),
	('{enhancement}', :'enhancement', :'unknown'),
	('{plan}', :'plan', :'unknown'),
	('{session}', :'session', :'unknown'),
	('{asset}', :'asset', :'unknown'),
	('{narration}', :'narration', :'unknown'),
	('{presentation}', :'presentation', :'unknown'),
	('{script}', :'script', :'unknown');

--------------------------------------------------------------------------------
-- Helpers
--------------------------------------------------------------------------------

CREATE FUNCTION pg_temp.resolve(p_text text, p_unknown boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v_known record;
BEGIN
	FOR v_known IN SELECT * FROM known LOOP
		p_text := replace(p_text, v_known.placeholder, CASE WHEN p_unknown THEN v_known.nowhere ELSE v_known.there END);
	END LOOP;
	RETURN p_text;
END $$;

-- All that a caller gets to see of an error; {"state": "ok"} when there was none.
CREATE FUNCTION pg_temp.answer(p_role text, p_sub text, p_statement text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
	v_state text; v_message text; v_detail text; v_hint text; v_constraint text;
BEGIN
	PERFORM set_config('request.jwt.claims', CASE WHEN p_sub IS NULL THEN ''
					   ELSE jsonb_build_object('sub', p_sub, 'role', p_role)::text END, true);
	PERFORM set_config('role', p_role, true);
	EXECUTE p_statement;
	RAISE EXCEPTION USING ERRCODE = 'UNDO0';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_state = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL,
							v_hint = PG_EXCEPTION_HINT, v_constraint = CONSTRAINT_NAME;
	IF v_state = 'UNDO0' THEN
		RETURN '{"state": "ok"}';
	END IF;
	RETURN jsonb_build_object('state', v_state, 'message', v_message, 'detail', v_detail,
							  'hint', v_hint, 'constraint', v_constraint);
END $$;

CREATE FUNCTION pg_temp.outcome(p_role text, p_sub text, p_statement text) RETURNS text
LANGUAGE sql AS $$ SELECT pg_temp.answer(p_role, p_sub, p_statement) ->> 'state' $$;

-- The call of a case; with p_position that one argument is replaced.
CREATE FUNCTION pg_temp.call(p_function text, p_args text[], p_position integer DEFAULT NULL, p_value text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT public.%I(%s)', p_function,
		(SELECT string_agg(CASE WHEN n = p_position THEN p_value ELSE arg END, ', ' ORDER BY n)
		 FROM unnest(p_args) WITH ORDINALITY AS a (arg, n)));
$$;

--------------------------------------------------------------------------------
-- The cases.  Alice's things are asked for by: nobody in particular (anon), Alice,
-- Bob, a signed-in role without an identity, a service; and ids that do not exist
-- by Alice and by a service.
--------------------------------------------------------------------------------

CREATE TEMPORARY TABLE function_case (
	name text PRIMARY KEY, args text[], anon text, self text, other text, nobody text, service text,
	unknown_user text, unknown_service text);
INSERT INTO function_case VALUES
-- anybody
('workflow_transitions', '{}',                    'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok'),
('workflow_diagram', ARRAY['''jobs'''],           'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok'),
('save_draft_prompt', ARRAY['''rights-another-token''', '''Text''', '''template''', '''{"a": 1}'''],
                                                  'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok'),
('get_draft_prompt', ARRAY['''rights-session-token'''],
                                                  'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok'),
-- the user and services; no account is a balance of 0 and no project an empty list
('get_credit_balance', ARRAY['''{user}'''],       '42501', 'ok', '42501', '42501', 'ok', '42501', 'ok'),
('get_credit_summary', ARRAY['''{user}'''],       '42501', 'ok', '42501', '42501', 'ok', '42501', 'ok'),
('get_dashboard', ARRAY['''{user}''', '20'],      '42501', 'ok', '42501', '42501', 'ok', '42501', 'ok'),
('ensure_profile', ARRAY['''{user}'''],           '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('claim_draft_prompt', ARRAY['''rights-session-token''', '''{user}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('cancel_job', ARRAY['''{queued}''', '''No more'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('retry_job', ARRAY['''{failed}'''],              '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
-- services
('reserve_credits', ARRAY['''{user}''', '''{pending}''', '2'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('settle_credits', ARRAY['''{queued}''', '2', '''error'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('release_credits', ARRAY['''{queued}''', '''Given back'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('grant_credits', ARRAY['''{user}''', '5', '''A gift''', '''rights-key''', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('purchase_credits', ARRAY['''{user}''', '5', '''pi_rights''', '''A purchase''', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('subscription_credits', ARRAY['''{user}''', '5', '''in_rights''', '''A month''', '''2999-01-01'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('refund_credits', ARRAY['''{charged}''', '1', '''Sorry''', '''rights-refund'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('reverse_purchase', ARRAY['''{payment}''', '2', '''Disputed''', '''rights-reversal'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('reinstate_purchase', ARRAY['''{payment}''', '''Dispute won'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('expire_credits', ARRAY['10'],                   '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('sweep_stale_holds', ARRAY['10'],                '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('verify_credit_ledger', ARRAY['''{user}'''],     '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('cleanup_expired_drafts', ARRAY['10'],           '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('create_job', ARRAY['''{project}''', '2'],       '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('create_job_steps', ARRAY['''{pending}''', '''["one", "two"]'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('update_job_step', ARRAY['''{queued}''', '''scripting''', '''started''', '10', '''Writing''', '''None'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('advance_job', ARRAY['''{queued}''', '''SCRIPTING''', '7', '''Writing'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('complete_job', ARRAY['''{packing}''', '''https://example.test/film''', '''{}''', '1'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('fail_job', ARRAY['''{queued}''', '''CODE''', '''Message''', '''scripting'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('record_asset', ARRAY['''{queued}''', '''video''', '''https://example.test/film''', '''films/1''', '99', '''video/mp4''', '''{}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('log_job', ARRAY['''{queued}''', '''info''', '''A line''', '''scripting''', '''{}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
-- content: users of its company may read, services write
('get_module_content', ARRAY['''{content}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('get_content_sections', ARRAY['''{content}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('get_latest_quality_assessment', ARRAY['''{content}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('get_session_statistics', ARRAY['''{session}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('get_content_statistics', ARRAY['''{company}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('search_module_content', ARRAY['''module''', '''{company}''', '20'],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('create_module_content', ARRAY['''A module''', '''Alice''', '''s''', '''{}''', '''{company}''', '''{}''', '''low'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('update_module_section', ARRAY['''{content}''', '''introduction''', '''Words'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('update_module_sections', ARRAY['''{content}''', '''{"introduction": "Words"}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('store_quality_assessment', ARRAY['''{content}''', '8', '''{"introduction": 8}''', 'true', '8', '8', '8', '8', '8', '''Good''', 'false', '''{introduction}''', '''{}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('start_enhancement_session', ARRAY['''{content}''', '''{assessment}''', '''rewrite''', '''{introduction}''', '''{assessments}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('complete_enhancement_session', ARRAY['''{enhancement}''', 'true', 'true', '''completed'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('create_course_plan', ARRAY['''{employee}''', '''Alice''', '''s''', '''{}''', '''A course''', '4', '3', '''{}''', '''{}''', '''{}''', '''{}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('store_research_results', ARRAY['''{plan}''', '''s''', '''{}''', '''{}''', '''{}''', '''{q}''', '''{s}''', '1', '1', '''completed'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('refresh_content_search', ARRAY['10'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('archive_module_content', ARRAY['''1 year''', '10'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('create_multimedia_session', ARRAY['''{content}''', '''A module''', '''Alice''', '''full_generation''', '''{}''', '''{introduction}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('update_session_status', ARRAY['''{session}''', '''processing''', '10', '''Voice''', '''None'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('register_multimedia_asset', ARRAY['''{session}''', '''{content}''', '''video''', '''/tmp/v.mp4''', '''v.mp4''', '''introduction''', '10', '10', '''video/mp4''', '''{}''', '''bucket''', '''video/v.mp4''', '''https://example.test/'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('register_multimedia_assets', ARRAY['''{session}''', '''[{"asset_type": "video", "file_path": "v.mp4"}]'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('create_audio_narration', ARRAY['''{session}''', '''All''', '''full_module''', '''introduction''', '''Text''', '''{}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('update_audio_narration', ARRAY['''{narration}''', '''completed''', '10', '''[]''', '''{asset}''', '''{{asset}}''', '''Text'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('create_slide_presentation', ARRAY['''{session}''', '''Deck''', '''full_module''', '3', '''[]''', '''dark''', '''{}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('update_slide_presentation', ARRAY['''{presentation}''', '''completed''', '3', '''[]''', '''{asset}''', '''{asset}''', '''{asset}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('create_script_generation', ARRAY['''{session}''', '''introduction''', '''narration''', '''{}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('update_script_generation', ARRAY['''{script}''', '''completed''', '''Text''', '''None'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('record_video_view', ARRAY['''{asset}''', '10', 'true'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('enqueue_rendering', ARRAY['''{session}''', '''{}''', '5', '''{user}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
-- trigger functions: nobody, not even services
('handle_new_user', '{}',                         '42501', '42501', '42501', '42501', '42501', '42501', '42501'),
('update_updated_at', '{}',                       '42501', '42501', '42501', '42501', '42501', '42501', '42501');

SELECT is(
	(SELECT array_agg(p.proname::text ORDER BY p.proname::text COLLATE "C")
	 FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	 JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'studio_engine'
	 WHERE p.pronamespace = e.extnamespace),
	(SELECT array_agg(name ORDER BY name COLLATE "C") FROM function_case),
	'every function of the extension has its cases, and every case its function');
SELECT is_empty(
	$$ SELECT c.name FROM function_case c JOIN pg_proc p ON p.proname = c.name AND p.pronamespace = 'public'::regnamespace
	   WHERE cardinality(c.args) <> p.pronargs $$,
	'every case gives all arguments');

CREATE TEMPORARY VIEW asked AS
	SELECT c.name, c.args, k.caller, k.role, k.sub, k.nowhere, k.expected, k.n
	FROM function_case c, LATERAL (VALUES
		(1, 'anon',                         'anon',          NULL,                                   false, c.anon),
		(2, 'the user',                     'authenticated', '20000000-0000-4000-8000-00000000000a', false, c.self),
		(3, 'another user',                 'authenticated', '20000000-0000-4000-8000-00000000000b', false, c.other),
		(4, 'a signed-in role without uid', 'authenticated', NULL,                                   false, c.nobody),
		(5, 'a service',                    'service_role',  NULL,                                   false, c.service),
		(6, 'a user with an unknown id',    'authenticated', '20000000-0000-4000-8000-00000000000a', true,  c.unknown_user),
		(7, 'a service with an unknown id', 'service_role',  NULL,                                   true,  c.unknown_service)
	) AS k (n, caller, role, sub, nowhere, expected);

SELECT is(pg_temp.outcome(role, sub, pg_temp.resolve(pg_temp.call(name, args), nowhere)), expected,
		  format('%s: %s: %s', name, caller, expected))
FROM asked ORDER BY name, n;

--------------------------------------------------------------------------------
-- One answer for "not yours" and "not there"
--------------------------------------------------------------------------------

SELECT is(pg_temp.answer('authenticated', :'bob', pg_temp.resolve(pg_temp.call(name, args))),
		  pg_temp.answer('authenticated', :'bob', pg_temp.resolve(pg_temp.call(name, args), true)),
		  name || ': a foreign and an unknown id get the same answer to the letter')
FROM function_case WHERE self = 'ok' AND other = '42501' ORDER BY name;
SELECT is(pg_temp.answer('authenticated', :'bob', pg_temp.resolve(pg_temp.call(name, args))),
		  pg_temp.answer('authenticated', NULL, pg_temp.resolve(pg_temp.call(name, args))),
		  name || ': ... as does a caller without an identity')
FROM function_case WHERE self = 'ok' AND other = '42501' ORDER BY name;
-- states of a foreign job must not shine through either
SELECT is(pg_temp.answer('authenticated', :'bob', pg_temp.resolve(format('SELECT %s(''{%s}'')', f, job))) ->> 'state', '42501',
		  format('%s: a foreign %s job is refused as foreign, not for its state', f, job))
FROM unnest('{cancel_job,retry_job}'::text[]) AS t (f), unnest('{pending,queued,failed,packing}'::text[]) AS j (job);
SELECT is(pg_temp.outcome('service_role', NULL, format('SELECT reserve_credits(%L, %L, 2)', :'bob', '20000000-0000-4000-8000-000000000002')),
		  '42501', 'reserve_credits: even a service cannot hold the credits of one user for the job of another');

-- A token outlives its user.
SELECT is(pg_temp.outcome('authenticated', :'unknown', statement), expected, 'a deleted user still signed in: ' || statement)
FROM (VALUES ('SELECT ensure_profile(auth.uid())', '42501'),
			 ('SELECT claim_draft_prompt(''rights-session-token'', auth.uid())', '42501'),
			 ('SELECT get_credit_balance(auth.uid())', 'ok'),
			 ('SELECT get_credit_summary(auth.uid())', 'ok'),
			 ('SELECT get_dashboard()', 'ok')) AS t (statement, expected);

--------------------------------------------------------------------------------
-- The second wall: with EXECUTE opened to everybody, as the default privileges of
-- the database would have done, the functions themselves refuse as before
--------------------------------------------------------------------------------

SAVEPOINT grants;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC, anon, authenticated, service_role;
SELECT is(pg_temp.outcome(role, sub, pg_temp.resolve(pg_temp.call(name, args), nowhere)), expected,
		  format('EXECUTE for all: %s: %s: %s', name, caller, expected))
FROM asked WHERE expected = '42501' AND name NOT IN ('handle_new_user', 'update_updated_at') ORDER BY name, n;
SELECT is(pg_temp.outcome(role, NULL, format('SELECT %s()', f)), '39P01',
		  format('EXECUTE for all: %s is no use to %s outside a trigger', f, role))
FROM unnest('{handle_new_user,update_updated_at}'::text[]) AS t (f), unnest('{anon,authenticated,service_role}'::text[]) AS r (role);

-- Who else counts as a service: whom row level security would not hold back.
CREATE ROLE rights_bypass BYPASSRLS;
CREATE ROLE rights_plain;
CREATE ROLE rights_owner NOLOGIN;
ALTER SCHEMA studio_engine OWNER TO rights_owner;
CREATE ROLE rights_member IN ROLE rights_owner;
CREATE ROLE rights_noinherit NOINHERIT IN ROLE rights_owner;
GRANT USAGE ON SCHEMA public, auth TO rights_bypass, rights_plain, rights_member, rights_noinherit;
GRANT ALL ON ALL TABLES IN SCHEMA public, studio_engine TO rights_owner;
GRANT ALL ON SCHEMA auth TO rights_owner;
SELECT is(pg_temp.outcome(role, NULL, pg_temp.resolve('SELECT get_credit_balance(''{user}'')')), expected, 'service: ' || label)
FROM (VALUES ('rights_bypass',       'ok',    'a role with BYPASSRLS'),
			 ('rights_member',       'ok',    'a member of the owner'),
			 ('rights_owner',        'ok',    'the owner'),
			 ('postgres',            'ok',    'a superuser'),
			 ('rights_plain',        '42501', 'not just any role'),
			 ('rights_noinherit',    '42501', 'not a member that must SET ROLE first'),
			 ('supabase_auth_admin', '42501', 'not the sign-up service'),
			 ('authenticator',       '42501', 'not the role that may become one')) AS t (role, expected, label);
-- current_user decides, not the claim and not the session user
SELECT is(pg_temp.outcome('authenticated', NULL, $$ SELECT set_config('request.jwt.claims', '{"role": "service_role"}', true);
														SELECT get_credit_balance('20000000-0000-4000-8000-00000000000a') $$),
		  '42501', 'the claim "role" makes nobody a service');
ROLLBACK TO grants;

--------------------------------------------------------------------------------
-- What is kept from everybody
--------------------------------------------------------------------------------

SELECT is_empty(
	$$ SELECT p.oid::regprocedure, r.role FROM pg_proc p, unnest('{public,anon,authenticated,service_role,authenticator,supabase_auth_admin}'::text[]) AS r (role)
	   WHERE p.pronamespace = 'studio_engine'::regnamespace AND has_function_privilege(r.role, p.oid, 'EXECUTE') $$,
	'no function of schema studio_engine is executable by an API role');
SELECT isnt_empty($$ SELECT FROM pg_proc WHERE pronamespace = 'studio_engine'::regnamespace $$, '... and there are some');
SELECT is_empty(
	$$ SELECT p.oid::regprocedure FROM pg_proc p
	   WHERE p.pronamespace = 'public'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE') $$,
	'nothing comes through PUBLIC');
SELECT is(pg_temp.outcome(role, NULL, statement), '42501', format('%s: %s', role, statement))
FROM unnest('{anon,authenticated,service_role}'::text[]) AS r (role),
	 unnest(ARRAY['SELECT studio_engine.restoring()', 'SELECT * FROM studio_engine.lint()',
				  'SELECT * FROM studio_engine.settings', 'SELECT * FROM studio_engine.expiring_credits',
				  'SELECT * FROM studio_engine.ledger_hashes', 'SELECT * FROM studio_engine.content_search']) AS s (statement);

-- The functions refuse by themselves what a wrong grant lets through (above), and
-- would hide it; hence the grants are looked at as well.
SELECT is(
	(SELECT string_agg(p.proname, ' ' ORDER BY p.proname::text COLLATE "C") FROM pg_proc p
	 WHERE p.pronamespace = 'public'::regnamespace AND has_function_privilege(r.role, p.oid, 'EXECUTE')),
	r.expected, r.role || ' may execute: ' || COALESCE(r.expected, 'nothing'))
FROM (VALUES
	('anon', 'get_draft_prompt save_draft_prompt workflow_diagram workflow_transitions'),
	('authenticated', 'cancel_job claim_draft_prompt ensure_profile get_content_sections get_content_statistics get_credit_balance '
                     'get_credit_summary get_dashboard get_draft_prompt get_latest_quality_assessment get_module_content '
                     'get_session_statistics retry_job save_draft_prompt search_module_content workflow_diagram workflow_transitions'),
	('service_role', 'advance_job archive_module_content cancel_job claim_draft_prompt cleanup_expired_drafts '
                     'complete_enhancement_session complete_job create_audio_narration create_course_plan create_job create_job_steps '
                     'create_module_content create_multimedia_session create_script_generation create_slide_presentation '
                     'enqueue_rendering ensure_profile expire_credits fail_job get_content_sections get_content_statistics '
                     'get_credit_balance get_credit_summary get_dashboard get_draft_prompt get_latest_quality_assessment '
                     'get_module_content get_session_statistics grant_credits log_job purchase_credits record_asset record_video_view '
                     'refresh_content_search refund_credits register_multimedia_asset register_multimedia_assets reinstate_purchase '
                     'release_credits reserve_credits retry_job reverse_purchase save_draft_prompt search_module_content '
                     'settle_credits start_enhancement_session store_quality_assessment store_research_results subscription_credits '
                     'sweep_stale_holds update_audio_narration update_job_step update_module_section update_module_sections '
                     'update_script_generation update_session_status update_slide_presentation verify_credit_ledger workflow_diagram '
                     'workflow_transitions'),
	('supabase_auth_admin', NULL),
	('authenticator', NULL)) AS r (role, expected);
SELECT is_empty(
	$$ SELECT p.oid::regprocedure, a.grantee::regrole FROM pg_proc p, LATERAL aclexplode(p.proacl) AS a
	   WHERE p.pronamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace)
		 AND a.is_grantable AND a.grantee IN ('anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole) $$,
	'no API role may pass its right on');

-- A control: in this database a function made now is open.
CREATE FUNCTION public.rights_probe() RETURNS integer LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON FUNCTION public.rights_probe() FROM PUBLIC;
SELECT is(pg_temp.outcome('anon', NULL, 'SELECT public.rights_probe()'), 'ok',
		  'control: default privileges open a new function to anon by name');

--------------------------------------------------------------------------------
-- NULL for each argument
--------------------------------------------------------------------------------

-- Arguments that may be NULL; every other one is refused with 22004.
CREATE TEMPORARY TABLE optional (name text, arg text);
INSERT INTO optional VALUES
	('settle_credits', 'p_final_cost'), ('release_credits', 'p_note'),
	('grant_credits', 'p_note'), ('grant_credits', 'p_idempotency_key'), ('grant_credits', 'p_expires_at'),
	('purchase_credits', 'p_note'), ('purchase_credits', 'p_expires_at'),
	('subscription_credits', 'p_note'), ('subscription_credits', 'p_expires_at'),
	('refund_credits', 'p_note'), ('refund_credits', 'p_idempotency_key'),
	('reverse_purchase', 'p_amount'), ('reverse_purchase', 'p_note'), ('reverse_purchase', 'p_idempotency_key'),
	('reinstate_purchase', 'p_note'), ('verify_credit_ledger', 'p_user_id'),
	('save_draft_prompt', 'p_template_id'), ('save_draft_prompt', 'p_options'),
	('create_job_steps', 'p_steps'),
	('update_job_step', 'p_progress_pct'), ('update_job_step', 'p_status_message'), ('update_job_step', 'p_error_message'),
	('advance_job', 'p_progress'), ('advance_job', 'p_status_message'),
	('complete_job', 'p_output_url'), ('complete_job', 'p_manifest'), ('complete_job', 'p_final_cost'),
	('fail_job', 'p_error_code'), ('fail_job', 'p_error_message'), ('fail_job', 'p_failed_step'),
	('cancel_job', 'p_reason'),
	('record_asset', 'p_size_bytes'), ('record_asset', 'p_mime_type'), ('record_asset', 'p_metadata'),
	('create_module_content', 'p_employee_name'), ('create_module_content', 'p_session_id'), ('create_module_content', 'p_module_spec'), ('create_module_content', 'p_company_id'), ('create_module_content', 'p_research_context'),
	('store_quality_assessment', 'p_section_scores'), ('store_quality_assessment', 'p_passed'), ('store_quality_assessment', 'p_accuracy_score'), ('store_quality_assessment', 'p_clarity_score'), ('store_quality_assessment', 'p_completeness_score'), ('store_quality_assessment', 'p_engagement_score'), ('store_quality_assessment', 'p_personalization_score'), ('store_quality_assessment', 'p_quality_feedback'), ('store_quality_assessment', 'p_requires_revision'), ('store_quality_assessment', 'p_sections_needing_work'), ('store_quality_assessment', 'p_critical_issues'),
	('start_enhancement_session', 'p_quality_assessment_id'), ('start_enhancement_session', 'p_sections_to_enhance'), ('start_enhancement_session', 'p_sections_preserved'),
	('complete_enhancement_session', 'p_research_conducted'), ('complete_enhancement_session', 'p_content_regenerated'),
	('create_course_plan', 'p_employee_name'), ('create_course_plan', 'p_session_id'), ('create_course_plan', 'p_course_structure'), ('create_course_plan', 'p_course_title'), ('create_course_plan', 'p_course_duration_weeks'), ('create_course_plan', 'p_total_modules'), ('create_course_plan', 'p_prioritized_gaps'), ('create_course_plan', 'p_research_strategy'), ('create_course_plan', 'p_learning_path'), ('create_course_plan', 'p_employee_profile'),
	('store_research_results', 'p_session_id'), ('store_research_results', 'p_research_findings'), ('store_research_results', 'p_content_library'), ('store_research_results', 'p_module_mappings'), ('store_research_results', 'p_search_queries'), ('store_research_results', 'p_sources_analyzed'), ('store_research_results', 'p_total_topics'), ('store_research_results', 'p_total_sources'),
	('search_module_content', 'p_company_id'),
	('get_content_statistics', 'p_company_id'),
	('create_multimedia_session', 'p_module_name'), ('create_multimedia_session', 'p_employee_name'), ('create_multimedia_session', 'p_generation_config'), ('create_multimedia_session', 'p_content_sections'),
	('update_session_status', 'p_progress_percentage'), ('update_session_status', 'p_current_stage'), ('update_session_status', 'p_error_message'),
	('register_multimedia_asset', 'p_content_id'), ('register_multimedia_asset', 'p_asset_name'), ('register_multimedia_asset', 'p_section_name'), ('register_multimedia_asset', 'p_duration_seconds'), ('register_multimedia_asset', 'p_file_size_bytes'), ('register_multimedia_asset', 'p_mime_type'), ('register_multimedia_asset', 'p_generation_config'), ('register_multimedia_asset', 'p_storage_bucket'), ('register_multimedia_asset', 'p_storage_path'), ('register_multimedia_asset', 'p_public_url'),
	('create_audio_narration', 'p_narration_name'), ('create_audio_narration', 'p_section_name'), ('create_audio_narration', 'p_script_content'), ('create_audio_narration', 'p_voice_config'),
	('update_audio_narration', 'p_status'), ('update_audio_narration', 'p_total_duration_seconds'), ('update_audio_narration', 'p_audio_segments'), ('update_audio_narration', 'p_master_audio_id'), ('update_audio_narration', 'p_segments_audio_ids'), ('update_audio_narration', 'p_script_content'),
	('create_slide_presentation', 'p_presentation_name'), ('create_slide_presentation', 'p_slide_order'), ('create_slide_presentation', 'p_template_used'), ('create_slide_presentation', 'p_theme_config'),
	('update_slide_presentation', 'p_status'), ('update_slide_presentation', 'p_total_slides'), ('update_slide_presentation', 'p_slide_order'), ('update_slide_presentation', 'p_pdf_asset_id'), ('update_slide_presentation', 'p_pptx_asset_id'), ('update_slide_presentation', 'p_html_asset_id'),
	('create_script_generation', 'p_section_name'), ('create_script_generation', 'p_generation_config'),
	('update_script_generation', 'p_status'), ('update_script_generation', 'p_script_content'), ('update_script_generation', 'p_error_message'),
	('enqueue_rendering', 'p_render_config'), ('enqueue_rendering', 'p_user_id'),
	('log_job', 'p_step_name'), ('log_job', 'p_metadata');

CREATE TEMPORARY VIEW argument AS
	SELECT c.name, c.args, a.arg, a.n::integer AS n, format_type(t.oid, NULL) AS type
	FROM function_case c JOIN pg_proc p ON p.proname = c.name AND p.pronamespace = 'public'::regnamespace,
		 LATERAL unnest(p.proargnames[1:p.pronargs], p.proargtypes::oid[]) WITH ORDINALITY AS a (arg, typeid, n)
	JOIN pg_type t ON t.oid = a.typeid
	WHERE p.pronargs > 0;

SELECT is(pg_temp.outcome('service_role', NULL, pg_temp.resolve(pg_temp.call(name, args, n, 'NULL::' || type))),
		  CASE WHEN EXISTS (SELECT FROM optional o WHERE (o.name, o.arg) = (a.name, a.arg)) THEN 'ok' ELSE '22004' END,
		  format('%s: %s is NULL', name, arg))
FROM argument a ORDER BY name, n;
SELECT is_empty($$ SELECT name, arg FROM optional EXCEPT SELECT name, arg FROM argument $$,
				'every optional argument exists');
SELECT is(pg_temp.outcome('authenticated', :'alice', 'SELECT get_dashboard(NULL, 5)'), 'ok',
		  'get_dashboard: a user need not name himself');

--------------------------------------------------------------------------------
-- Out of bounds
--------------------------------------------------------------------------------

CREATE TEMPORARY TABLE bad_value (n serial, name text, arg text, value text, expected text, label text);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, arg, value, '22023', value
FROM unnest('{reserve_credits.p_amount,grant_credits.p_amount,purchase_credits.p_amount,subscription_credits.p_amount,refund_credits.p_amount,reverse_purchase.p_amount,create_job.p_cost_credits}'::text[]) AS f (path),
	 LATERAL (SELECT split_part(path, '.', 1), split_part(path, '.', 2)) AS s (name, arg),
	 unnest('{0,-1,-2147483648}'::text[]) AS v (value);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_note', format('repeat(''ä'', %s)', n), CASE n WHEN 1000 THEN 'ok' ELSE '22023' END, n || ' characters'
FROM unnest('{release_credits,grant_credits,purchase_credits,subscription_credits,refund_credits,reverse_purchase,reinstate_purchase}'::text[]) AS f (name),
	 unnest('{1000,1001}'::integer[]) AS v (n);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_idempotency_key', value, expected, label
FROM unnest('{grant_credits,refund_credits,reverse_purchase}'::text[]) AS f (name),
	 (VALUES ('''''', '22023', 'empty'), ('repeat(''k'', 256)', '22023', '256 characters'),
			 ('repeat(''ä'', 255)', 'ok', '255 characters of two bytes'), ('''welcome''', 'PT409', 'the key of the welcome grant')) AS v (value, expected, label);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_stripe_payment_id', value, CASE WHEN expected = 'ok' AND name LIKE 're%' THEN 'PT404' ELSE expected END, label
FROM unnest('{purchase_credits,subscription_credits,reverse_purchase,reinstate_purchase}'::text[]) AS f (name),
	 (VALUES ('''''', '22023', 'empty'), ('repeat(''k'', 256)', '22023', '256 characters'),
			 ('repeat(''k'', 255)', 'ok', '255 characters')) AS v (value, expected, label);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_expires_at', value, expected, value
FROM unnest('{grant_credits,purchase_credits,subscription_credits}'::text[]) AS f (name),
	 (VALUES ('''infinity''', '22023'), ('''-infinity''', '22023'), ('now()', '22023'), ('''2001-01-01''', '22023'),
			 ('now() + interval ''1 day''', 'ok'), ('''294276-12-31 23:59:59''', 'ok')) AS v (value, expected);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_limit', value, expected, value
FROM unnest('{expire_credits,sweep_stale_holds,cleanup_expired_drafts}'::text[]) AS f (name),
	 (VALUES ('0', '22023'), ('-1', '22023'), ('1', 'ok'), ('100000', 'ok'), ('100001', '22023')) AS v (value, expected);
INSERT INTO bad_value (name, arg, value, expected, label) VALUES
	('subscription_credits', 'p_amount', '2147483647', '22003', 'more than an account can hold'),
	('subscription_credits', 'p_stripe_payment_id', '''pi_of_alice''', 'PT409', 'a payment that was booked as a purchase'),
	('refund_credits', 'p_amount', '2', 'ok', 'all that was charged'),
	('refund_credits', 'p_amount', '3', 'PT409', 'more than was charged'),
	('refund_credits', 'p_amount', '2147483647', 'PT409', 'the largest integer'),
	('refund_credits', 'p_job_id', '''{pending}''', 'PT409', 'was never charged'),
	('refund_credits', 'p_job_id', '''{queued}''', 'PT409', 'is held only'),
	('reverse_purchase', 'p_amount', '5', 'ok', 'all that is left'),
	('reverse_purchase', 'p_amount', '6', 'PT409', 'more than is left'),
	('reverse_purchase', 'p_amount', '2147483647', 'PT409', 'the largest integer'),
	('settle_credits', 'p_final_cost', '-1', '22023', 'negative'),
	('settle_credits', 'p_final_cost', '4', 'PT409', 'above the hold'),
	('settle_credits', 'p_final_cost', '2147483647', 'PT409', 'the largest integer'),
	('settle_credits', 'p_overrun', '''ERROR''', '22023', 'another case'),
	('settle_credits', 'p_overrun', '''''', '22023', 'empty'),
	('complete_job', 'p_final_cost', '-1', '22023', 'negative'),
	('complete_job', 'p_final_cost', '2', 'PT409', 'above the hold'),
	('reserve_credits', 'p_amount', '2147483647', 'ok', 'more than there is, which is FALSE and no error'),
	('create_job', 'p_cost_credits', '2147483647', 'PT402', 'more than there is'),
	('grant_credits', 'p_amount', '2147483647', '22003', 'more than an account can hold'),
	('purchase_credits', 'p_amount', '2147483647', '22003', 'more than an account can hold'),
	('save_draft_prompt', 'p_session_token', 'repeat(''t'', 15)', '22023', '15 characters'),
	('save_draft_prompt', 'p_session_token', 'repeat(''t'', 16)', 'ok', '16 characters'),
	('save_draft_prompt', 'p_session_token', 'repeat(''t'', 255)', 'ok', '255 characters'),
	('save_draft_prompt', 'p_session_token', 'repeat(''t'', 256)', '22023', '256 characters'),
	('save_draft_prompt', 'p_prompt_text', '''''', '22023', 'empty'),
	('save_draft_prompt', 'p_prompt_text', 'repeat(''ü'', 20000)', 'ok', '20000 characters of two bytes'),
	('save_draft_prompt', 'p_prompt_text', 'repeat(''x'', 20001)', '22023', '20001 characters'),
	('save_draft_prompt', 'p_prompt_text', 'repeat(''x'', 10000000)', '22023', 'ten megabytes'),
	('save_draft_prompt', 'p_template_id', 'repeat(''x'', 255)', 'ok', '255 characters'),
	('save_draft_prompt', 'p_template_id', 'repeat(''x'', 256)', '22023', '256 characters'),
	('save_draft_prompt', 'p_options', '''[]''', '22023', 'an array'),
	('save_draft_prompt', 'p_options', '''"x"''', '22023', 'a string'),
	('save_draft_prompt', 'p_options', '''null''', '22023', 'a JSON null'),
	('save_draft_prompt', 'p_options', 'jsonb_build_object(''x'', repeat(''x'', 17000))', '22023', '17 kB'),
	('save_draft_prompt', 'p_options', 'jsonb_build_object(''x'', repeat(''x'', 16000))', 'ok', '16000 bytes'),
	('get_dashboard', 'p_limit', '0', '22023', '0'),
	('get_dashboard', 'p_limit', '-1', '22023', '-1'),
	('get_dashboard', 'p_limit', '100', 'ok', '100'),
	('get_dashboard', 'p_limit', '101', '22023', '101'),
	('workflow_diagram', 'p_workflow', '''nothing''', '22023', 'unknown'),
	('workflow_diagram', 'p_workflow', '''''', '22023', 'empty'),
	('create_job_steps', 'p_steps', '''[]''', '22023', 'an empty array'),
	('create_job_steps', 'p_steps', '''{}''', '22023', 'an object'),
	('create_job_steps', 'p_steps', '''"one"''', '22023', 'a string'),
	('create_job_steps', 'p_steps', '''null''', '22023', 'a JSON null'),
	('create_job_steps', 'p_steps', '''["one", "one"]''', '22023', 'a name twice'),
	('create_job_steps', 'p_steps', '''["one", 2]''', '22023', 'a number'),
	('create_job_steps', 'p_steps', '''["one", null]''', '22023', 'a null in it'),
	('create_job_steps', 'p_steps', '''["one", ""]''', '22023', 'an empty name'),
	('create_job_steps', 'p_steps', '''["one", ["two"]]''', '22023', 'an array in it'),
	('create_job_steps', 'p_steps', 'jsonb_build_array(repeat(''x'', 101))', '22023', 'a name of 101 characters'),
	('create_job_steps', 'p_steps', '(SELECT jsonb_agg(n::text) FROM generate_series(1, 100) n)', 'ok', '100 names'),
	('create_job_steps', 'p_steps', '(SELECT jsonb_agg(n::text) FROM generate_series(1, 101) n)', '22023', '101 names'),
	('update_job_step', 'p_step_name', '''nothing''', 'PT404', 'unknown'),
	('update_job_step', 'p_state', '''STARTED''', '22023', 'another case'),
	('update_job_step', 'p_state', '''succeeded''', '23514', 'not the next'),
	('update_job_step', 'p_progress_pct', '-1', '22023', '-1'),
	('update_job_step', 'p_progress_pct', '101', '22023', '101'),
	('advance_job', 'p_status', '''scripting''', '22023', 'another case'),
	('advance_job', 'p_status', '''CANCELLED''', '22023', 'unknown'),
	('advance_job', 'p_status', '''READY''', '23514', 'not the next'),
	('advance_job', 'p_progress', '-1', '22023', '-1'),
	('advance_job', 'p_progress', '101', '22023', '101'),
	('complete_job', 'p_job_id', '''{queued}''', '23514', 'not in PACKAGING'),
	('cancel_job', 'p_reason', 'repeat(''x'', 1000)', 'ok', '1000 characters'),
	('cancel_job', 'p_reason', 'repeat(''x'', 1001)', '22023', '1001 characters'),
	('retry_job', 'p_job_id', '''{packing}''', '23514', 'did not fail'),
	('record_asset', 'p_type', '''film''', '22023', 'unknown'),
	('record_asset', 'p_size_bytes', '-1', '22023', '-1'),
	('record_asset', 'p_size_bytes', '9223372036854775807', 'ok', 'the largest bigint'),
	('log_job', 'p_level', '''fatal''', '22023', 'unknown'),
	('log_job', 'p_message', 'repeat(''x'', 1000000)', 'ok', 'a megabyte'),
	('create_module_content', 'p_module_name', '''''', '22023', 'empty'),
	('create_module_content', 'p_module_name', 'repeat(''ä'', 1000)', 'ok', '1000 characters'),
	('create_module_content', 'p_module_name', 'repeat(''x'', 1001)', '22023', '1001 characters'),
	('create_module_content', 'p_priority_level', '''urgent''', '22023', 'unknown'),
	('update_module_section', 'p_section_name', '''status''', '22023', 'another column'),
	('update_module_section', 'p_section_content', '''''', 'ok', 'empty'),
	('update_module_section', 'p_section_content', 'repeat(''word '', 200000)', 'ok', 'a megabyte'),
	('update_module_sections', 'p_sections', '''{"status": "approved"}''', '22023', 'another column'),
	('update_module_sections', 'p_sections', '''[]''', '22023', 'an array'),
	('store_quality_assessment', 'p_overall_score', '10.1', '22023', 'too much'),
	('store_quality_assessment', 'p_overall_score', '''NaN''', '22023', 'no number'),
	('store_quality_assessment', 'p_section_scores', '''{"status": 1}''', '22023', 'another column'),
	('store_quality_assessment', 'p_sections_needing_work', '''{status}''', '22023', 'another column'),
	('start_enhancement_session', 'p_sections_to_enhance', '''{status}''', '22023', 'another column'),
	('complete_enhancement_session', 'p_status', '''started''', '22023', 'not an end'),
	('create_course_plan', 'p_total_modules', '-1', '22023', '-1'),
	('store_research_results', 'p_status', '''done''', '22023', 'unknown'),
	('search_module_content', 'p_query', '''''', '22023', 'empty'),
	('search_module_content', 'p_query', 'repeat(''x'', 1001)', '22023', '1001 characters'),
	('search_module_content', 'p_limit', '1001', '22023', '1001'),
	('refresh_content_search', 'p_limit', '0', '22023', '0'),
	('archive_module_content', 'p_older_than', '''-1 day''', '22023', 'negative'),
	('create_multimedia_session', 'p_content_sections', '''{status}''', '22023', 'another column'),
	('create_multimedia_session', 'p_session_type', '''''', '22023', 'empty'),
	('update_session_status', 'p_status', '''done''', '22023', 'unknown'),
	('update_session_status', 'p_progress_percentage', '100.5', '22023', '100.5'),
	('register_multimedia_asset', 'p_asset_type', '''film''', '22023', 'unknown'),
	('register_multimedia_asset', 'p_file_path', '''''', '22023', 'empty'),
	('register_multimedia_asset', 'p_duration_seconds', '-0.1', '22023', 'negative'),
	('register_multimedia_asset', 'p_file_size_bytes', '-1', '22023', '-1'),
	('register_multimedia_asset', 'p_file_size_bytes', '9223372036854775807', 'ok', 'the largest bigint'),
	('register_multimedia_asset', 'p_storage_path', '''../v.mp4''', '22023', 'above'),
	('register_multimedia_assets', 'p_assets', '''[]''', '22023', 'empty'),
	('update_audio_narration', 'p_status', '''done''', '22023', 'unknown'),
	('update_audio_narration', 'p_segments_audio_ids', '''{NULL}''', '22023', 'a null in it'),
	('create_slide_presentation', 'p_total_slides', '-1', '22023', '-1'),
	('update_slide_presentation', 'p_status', '''pending''', '22023', 'of another table'),
	('update_script_generation', 'p_status', '''draft''', '22023', 'of another table'),
	('record_video_view', 'p_watch_seconds', '-1', '22023', '-1'),
	('enqueue_rendering', 'p_priority', '2147483647', 'ok', 'the largest integer'),
	('claim_draft_prompt', 'p_session_token', 'repeat(''x'', 1000000)', 'ok', 'a megabyte, which is no draft''s'),
	('get_draft_prompt', 'p_session_token', '''rights-nobodys-token''', 'ok', 'unknown, which is NULL');

SELECT is(pg_temp.outcome('service_role', NULL, pg_temp.resolve(pg_temp.call(b.name, a.args, a.n, b.value))), b.expected,
		  format('%s: %s %s: %s', b.name, b.arg, b.label, b.expected))
FROM bad_value b LEFT JOIN argument a ON (a.name, a.arg) = (b.name, b.arg) ORDER BY b.n;

-- Messages are constant and values stay out of them: PostgREST makes them header text.
SELECT is_empty(
	$$ SELECT b.name, b.arg, x.answer FROM bad_value b JOIN argument a ON (a.name, a.arg) = (b.name, b.arg),
		   LATERAL (SELECT pg_temp.answer('service_role', NULL, pg_temp.resolve(pg_temp.call(b.name, a.args, a.n, b.value)))) AS x (answer)
	   WHERE b.expected = '22023' AND x.answer ->> 'message' <> 'argument is out of bounds'
		  OR x.answer ->> 'message' ~ '[^ -~]' OR length(x.answer ->> 'detail') > 400 $$,
	'messages are constant ASCII text, and details do not repeat what was passed');

-- Nothing of all this stayed.
SELECT is((SELECT count(*)::integer FROM credit_ledger WHERE user_id = :'alice'), 10,
		  'the ledger has what the set-up made and nothing else');
SELECT is(get_credit_balance(:'alice'), 9, '... and so has the account');
SELECT is_empty('SELECT * FROM verify_credit_ledger()', '... and the books are sound');

SELECT * FROM finish();
ROLLBACK;
