-- Who may call what: every function of the API, as every kind of caller, with the
-- answer that SPEC section 1 and the COMMENT of the function promise.
-- A new function without cases fails the test.
-- The pitfall: pgTAP keeps its notes in temporary tables of the superuser, so no
-- assertion may run under SET ROLE.  pg_temp.outcome() steps into a role, runs one
-- statement and undoes role, claims and effects by raising in a subtransaction.
SET search_path = tap, public, pg_catalog;
SET client_min_messages = warning;

BEGIN;
SELECT plan(2777);

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
SELECT purchase_credits(:'alice', 8, 'pi_of_alice') AS bought, reverse_purchase('pi_of_alice', 3) \gset
SELECT hold_credits(:'alice', 1, 'a chat') AS hold \gset
SELECT save_draft_prompt('rights-session-token', 'A film about rights') \g /dev/null
SELECT pipeline.create_job('rights-run', '{"title": "T"}', :'alice'), pipeline.create_job('rights-failed', '{}', :'alice'),
	   pipeline.set_job_status('rights-failed', 'failed', 'It broke'), pipeline.upsert_prompt('rights-prompt', 'C', 'X', 'T') \g /dev/null

-- Studio jobs: one in each situation, one of them in the hands of a worker.
INSERT INTO studio_jobs (job_id, user_id, status, raw_audio_url)
VALUES ('20000000-0000-4000-8000-000000000011', :'alice', 'NEW', 'a'), ('20000000-0000-4000-8000-000000000012', :'alice', 'TRANSCRIBING', 'a'),
	   ('20000000-0000-4000-8000-000000000013', :'alice', 'ENRICHING', 'a');
INSERT INTO studio_jobs (job_id, user_id, raw_audio_url, priority)
VALUES ('20000000-0000-4000-8000-000000000014', :'alice', 'a', 2), ('20000000-0000-4000-8000-000000000015', :'alice', 'a', 1);
SELECT lease_token AS failing FROM claim_jobs('studio_jobs', 'rights', 1) \gset
SELECT fail_studio_job('20000000-0000-4000-8000-000000000014', '{"code": "BROKEN"}', false, :'failing') \g /dev/null
SELECT lease_token AS token FROM claim_jobs('studio_jobs', 'rights', 1, '1 hour') \gset

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
-- renderings: queued, going on, failed, and another worker's, who has the queued one of the highest priority
SELECT enqueue_rendering(:'session', p_user_id => :'alice') AS rendering, enqueue_rendering(:'session') AS rendered,
	   enqueue_rendering(:'session') AS failedrendering, enqueue_rendering(:'session', p_priority => 1) AS leasedrendering \gset
SELECT update_rendering(:'rendered', 'rendering'), fail_rendering(:'failedrendering', 'BROKEN') \g /dev/null
SELECT lease_token AS rendering_token FROM claim_jobs('mm_rendering_queue', 'rendering', 1, '1 hour') \gset

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
	('{hold}', :'hold', :'unknown'),
	('{lot}', :'bought', :'unknown'),
	('{receiver}', :'bob', :'bob'),
	('{studio}',       '20000000-0000-4000-8000-000000000011', :'unknown'),
	('{transcribing}', '20000000-0000-4000-8000-000000000012', :'unknown'),
	('{enriching}',    '20000000-0000-4000-8000-000000000013', :'unknown'),
	('{broken}',       '20000000-0000-4000-8000-000000000014', :'unknown'),
	('{leased}',       '20000000-0000-4000-8000-000000000015', :'unknown'),
	('{token}',        :'token', :'unknown'),
	('{run}', 'rights-run', 'rights-nowhere'),
	('{failedrun}', 'rights-failed', 'rights-nowhere'),
	('{prompt}', 'rights-prompt', 'rights-nowhere'),
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
	('{script}', :'script', :'unknown'),
	('{rendering}', :'rendering', :'unknown'),
	('{rendered}', :'rendered', :'unknown'),
	('{failedrendering}', :'failedrendering', :'unknown'),
	('{leasedrendering}', :'leasedrendering', :'unknown');

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

-- The name of a case is that of a function of the extension's schema, or has a schema.
CREATE FUNCTION pg_temp.qualified(p_name text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN p_name LIKE '%.%' THEN p_name ELSE 'public.' || p_name END
$$;

-- The call of a case; with p_position that one argument is replaced.
CREATE FUNCTION pg_temp.call(p_function text, p_args text[], p_position integer DEFAULT NULL, p_value text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT %s(%s)', pg_temp.qualified(p_function),
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
('get_credit_lots', ARRAY['''{user}'''],          '42501', 'ok', '42501', '42501', 'ok', '42501', 'ok'),
('get_dashboard', ARRAY['''{user}''', '20'],      '42501', 'ok', '42501', '42501', 'ok', '42501', 'ok'),
('ensure_profile', ARRAY['''{user}'''],           '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('claim_draft_prompt', ARRAY['''rights-session-token''', '''{user}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('cancel_job', ARRAY['''{queued}''', '''No more'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('retry_job', ARRAY['''{failed}'''],              '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('create_studio_job', ARRAY['''{user}''', '''https://example.test/a''', '''A prompt''', '5', '''2001-01-01''', '''rights-studio''', '2'],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('cancel_studio_job', ARRAY['''{studio}''', '''No more'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('retry_studio_job', ARRAY['''{broken}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('get_job_attempts', ARRAY['''{broken}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('get_job_statistics', ARRAY['''studio_jobs''', '''{user}''', '''1 day'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'ok'),
-- services
('reserve_credits', ARRAY['''{user}''', '''{pending}''', '2'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('settle_credits', ARRAY['''{queued}''', '2', '''error'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('release_credits', ARRAY['''{queued}''', '''Given back'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('grant_credits', ARRAY['''{user}''', '5', '''A gift''', '''rights-key''', 'NULL', '1'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('top_up_credits', ARRAY['''{user}''', '50', '''rights-top-up''', 'NULL', '''A month'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('charge_credits', ARRAY['''{user}''', '1', '''rights-charge''', '''a chat''', '''An answer'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('hold_credits', ARRAY['''{user}''', '1', '''a chat''', '''An answer''', '''1 hour''', '''rights-hold'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('capture_hold', ARRAY['''{hold}''', '1', '''error'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('release_hold', ARRAY['''{hold}'''],             '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('void_credits', ARRAY['''{lot}''', '1', '''A mistake''', '''rights-void'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('transfer_credits', ARRAY['''{user}''', '''{receiver}''', '1', '''rights-transfer''', '''A gift'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('merge_accounts', ARRAY['''{receiver}''', '''{user}''', '''rights-merge'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('purchase_credits', ARRAY['''{user}''', '5', '''pi_rights''', '''A purchase''', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('subscription_credits', ARRAY['''{user}''', '5', '''in_rights''', '''A month''', '''2999-01-01'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('refund_credits', ARRAY['''{charged}''', '1', '''Sorry''', '''rights-refund'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('reverse_purchase', ARRAY['''{payment}''', '2', '''Disputed''', '''rights-reversal'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('reinstate_purchase', ARRAY['''{payment}''', '''Dispute won''', '''rights-dispute'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('apply_stripe_event', ARRAY['''{"id": "evt_1", "type": "payment_intent.succeeded", "created": 1, "data": {"object": {"id": "pi_rights", "object": "payment_intent", "created": 1, "amount_received": 10, "metadata": {"credits": "5", "user_id": "{user}"}}}}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('expire_credits', ARRAY['10'],                   '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('sweep_stale_holds', ARRAY['10'],                '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('verify_credit_ledger', ARRAY['''{user}'''],     '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('list_removed_files', ARRAY['10'],               '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('forget_removed_files', ARRAY['ARRAY[''{user}''::uuid]'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('cleanup_expired_drafts', ARRAY['10'],           '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('create_job', ARRAY['''{project}''', '2', '7', '''2001-01-01''', '''rights-job''', '2'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('create_job_steps', ARRAY['''{pending}''', '''["one", "two"]''', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('update_job_step', ARRAY['''{queued}''', '''scripting''', '''started''', '10', '''Writing''', '''None''', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('advance_job', ARRAY['''{queued}''', '''SCRIPTING''', '7', '''Writing''', 'NULL', 'false'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('complete_job', ARRAY['''{packing}''', '''https://example.test/film''', '''{}''', '1', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('fail_job', ARRAY['''{queued}''', '''CODE''', '''Message''', '''scripting''', 'false', 'NULL', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('record_asset', ARRAY['''{queued}''', '''video''', '''https://example.test/film''', '''films/1''', '99', '''video/mp4''', '''{}''', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('log_job', ARRAY['''{queued}''', '''info''', '''A line''', '''scripting''', '''{}''', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('claim_jobs', ARRAY['''studio_jobs''', '''rights''', '1', '''1 minute''', '''{NEW}''', '''1'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('heartbeat_job', ARRAY['''{leased}''', '''{token}''', '10', '''Going on''', '''1 minute'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT409'),
('snooze_job', ARRAY['''{leased}''', '''{token}''', '''1 minute'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT409'),
('release_leases', ARRAY['''rights''', 'NULL', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('finish_and_claim', ARRAY['''studio_jobs''', '''rights''', '''{leased}''', '''{token}''', '''{"raw_transcript": "A text"}''', 'NULL', 'false', 'NULL', '1', '''1 minute''', '''{NEW}''', '''1'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('complete_jobs', ARRAY['''studio_jobs''', '''[{"job_id": "{leased}", "lease_token": "{token}", "result": {"raw_transcript": "A text"}}]'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('fail_jobs', ARRAY['''studio_jobs''', '''[{"job_id": "{leased}", "lease_token": "{token}", "error": {"code": "X"}}]'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('cancel_jobs', ARRAY['''studio_jobs''', 'ARRAY[''{studio}'']::uuid[]', '''No more'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('retry_failed_jobs', ARRAY['''studio_jobs''', '''BROKEN''', '''2001-01-01''', '10'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('pause_queue', ARRAY['''studio_jobs''', '''NEW''', '''An outage'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('resume_queue', ARRAY['''studio_jobs''', '''NEW'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('limit_stage', ARRAY['''studio_jobs''', '''NEW''', '5'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('get_settings', '{}',                            '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('set_setting', ARRAY['''max_attempts''', '''3'''], '42501', '42501', '42501', '42501', '42501', '42501', '42501'),
('repair_sign_ups', ARRAY['100'],                 '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('verify_setup', '{}',                            '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('get_queue_stages', ARRAY['''studio_jobs'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('get_running_jobs', ARRAY['''studio_jobs''', '10'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('recover_leases', ARRAY['''rights''', '''1'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('reap_expired_leases', ARRAY['10'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('update_studio_job_status', ARRAY['''{studio}''', '''TRANSCRIBING''', 'NULL', 'false'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('store_transcript', ARRAY['''{transcribing}''', '''What was said''', 'NULL', 'false'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('store_enrichment', ARRAY['''{enriching}''', '''{"names": []}''', 'NULL', 'false'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('store_refined_text', ARRAY['''{enriching}''', '''What is meant''', '''model 1''', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('fail_studio_job', ARRAY['''{studio}''', '''{"code": "X"}''', 'false', 'NULL', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
-- the pipeline
('pipeline.create_job', ARRAY['''{run}''', '''{"title": "T"}''', '''{user}'''],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('pipeline.get_job', ARRAY['''{run}'''],          '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('pipeline.cancel_job', ARRAY['''{run}'''],       '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('pipeline.retry_job', ARRAY['''{failedrun}'''],  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('pipeline.events_since', ARRAY['''{run}''', '0', '10'],
                                                  '42501', 'ok', '42501', '42501', 'ok', '42501', 'PT404'),
('pipeline.get_prompt', ARRAY['''{prompt}'''],    '42501', 'ok', 'ok', '42501', 'ok', '42501', 'PT404'),
('pipeline.set_job_status', ARRAY['''{run}''', '''failed''', '''It broke'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('pipeline.record_event', ARRAY['''{run}''', '''bot''', '''started''', '''{"a": 1}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('pipeline.register_artifact', ARRAY['''{run}''', '''zip''', '''https://example.test/zip''', '''{}''', '99', '''application/zip''', '''sum'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('pipeline.upsert_prompt', ARRAY['''{prompt}''', '''C''', '''X''', '''T2'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
('pipeline.delete_old_events', ARRAY['''1 year''', '10'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'ok'),
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
('enqueue_rendering', ARRAY['''{session}''', '''{}''', '5', '''{user}''', '''2001-01-01''', '''rights-render''', '2'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('update_rendering', ARRAY['''{rendering}''', '''rendering''', '10', 'NULL', 'false'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('complete_rendering', ARRAY['''{rendered}''', '''{asset}''', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('fail_rendering', ARRAY['''{rendered}''', '''X''', '''Out of memory''', 'false', 'NULL', 'NULL'],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('cancel_rendering', ARRAY['''{rendering}''', '''No more'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
('retry_rendering', ARRAY['''{failedrendering}'''],
                                                  '42501', '42501', '42501', '42501', 'ok', '42501', 'PT404'),
-- the owner of the data only
('enable_realtime', '{}',                         '42501', '42501', '42501', '42501', '42501', '42501', '42501'),
('enable_storage', '{}',                          '42501', '42501', '42501', '42501', '42501', '42501', '42501'),
('enable_broadcast', '{}',                        '42501', '42501', '42501', '42501', '42501', '42501', '42501'),
('disable_broadcast', '{}',                       '42501', '42501', '42501', '42501', '42501', '42501', '42501'),
-- trigger functions: nobody, not even services
('handle_new_user', '{}',                         '42501', '42501', '42501', '42501', '42501', '42501', '42501'),
('update_updated_at', '{}',                       '42501', '42501', '42501', '42501', '42501', '42501', '42501');

SELECT is(
	(SELECT array_agg(x.name ORDER BY x.name COLLATE "C")
	 FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	 JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'studio_engine'
	 CROSS JOIN LATERAL (SELECT CASE WHEN p.pronamespace = e.extnamespace THEN '' ELSE 'pipeline.' END || p.proname) AS x (name)
	 WHERE p.pronamespace IN (e.extnamespace, 'pipeline'::regnamespace)),
	(SELECT array_agg(name ORDER BY name COLLATE "C") FROM function_case),
	'every function of the extension has its cases, and every case its function');
SELECT is_empty(
	$$ SELECT c.name FROM function_case c JOIN pg_proc p ON p.oid = pg_temp.qualified(c.name)::regproc
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
FROM (VALUES ('{cancel_job,retry_job,get_job_attempts}'::text[], '{pending,queued,failed,packing}'::text[]),
			 ('{cancel_studio_job,retry_studio_job,get_job_attempts}', '{studio,transcribing,enriching,broken,leased}')) AS t (functions, jobs),
	 unnest(functions) AS f, unnest(jobs) AS job;
-- the list of attempts is that of the job, but the name of the worker is for services
SELECT is(pg_temp.outcome(role, sub, pg_temp.resolve($$ DO $x$ BEGIN
	IF (SELECT string_agg(concat_ws(' ', system, attempt, COALESCE(worker, 'hidden'), outcome, error ->> 'code'), ',')
		FROM public.get_job_attempts('{broken}')) = '$$ || expected || $$' THEN RETURN; END IF;
	RAISE EXCEPTION USING ERRCODE = 'DIFFR'; END $x$ $$)), 'ok', format('get_job_attempts: %s sees %s', role, expected))
FROM (VALUES ('authenticated', :'alice', 'studio_jobs 1 hidden failed BROKEN'),
			 ('service_role', NULL, 'studio_jobs 1 rights failed BROKEN')) AS t (role, sub, expected);
-- Two tables may have jobs of one id, as services choose ids; each owner sees his own attempts.
SAVEPOINT one_id;
INSERT INTO projects (id, user_id, title, prompt_text, niche_preset)
VALUES ('20000000-0000-4000-8000-0000000000b1', :'bob', 'Of Bob', 'A film', 'facts');
INSERT INTO jobs (id, project_id, user_id)
VALUES ('20000000-0000-4000-8000-000000000014', '20000000-0000-4000-8000-0000000000b1', :'bob');
SELECT is(pg_temp.outcome('authenticated', sub, pg_temp.resolve($$ DO $x$ BEGIN
	IF (SELECT count(*) FROM public.get_job_attempts('{broken}')) <> $$ || expected || $$ THEN RAISE EXCEPTION USING ERRCODE = 'DIFFR'; END IF; END $x$ $$)),
	'ok', format('get_job_attempts: %s attempts for the owner of the %s of that id', expected, label))
FROM (VALUES (:'alice', 1, 'studio job'), (:'bob', 0, 'video job')) AS t (sub, expected, label);
ROLLBACK TO one_id;
-- figures without a name are one's own, for a service those of all
SELECT is(pg_temp.outcome(role, sub, $$ DO $x$ BEGIN
	IF (public.get_job_statistics('studio_jobs') #>> '{count_by_status,NEW}') IS NOT DISTINCT FROM $$ || expected || $$ THEN RETURN; END IF;
	RAISE EXCEPTION USING ERRCODE = 'DIFFR'; END $x$ $$), 'ok', format('get_job_statistics: NEW jobs for %s %s: %s', role, sub, expected))
FROM (VALUES ('authenticated', :'alice', '''2'''), ('authenticated', :'bob', 'NULL'), ('service_role', NULL, '''2''')) AS t (role, sub, expected);
SELECT is(pg_temp.outcome('service_role', NULL, format('SELECT reserve_credits(%L, %L, 2)', :'bob', '20000000-0000-4000-8000-000000000002')),
		  '42501', 'reserve_credits: even a service cannot hold the credits of one user for the job of another');

-- A token outlives its user.
SELECT is(pg_temp.outcome('authenticated', :'unknown', statement), expected, 'a deleted user still signed in: ' || statement)
FROM (VALUES ('SELECT ensure_profile(auth.uid())', '42501'),
			 ('SELECT claim_draft_prompt(''rights-session-token'', auth.uid())', '42501'),
			 ('SELECT get_credit_balance(auth.uid())', 'ok'),
			 ('SELECT get_credit_summary(auth.uid())', 'ok'),
			 ('SELECT get_credit_lots(auth.uid())', 'ok'),
			 ('SELECT create_studio_job(auth.uid(), ''a'')', '42501'),
			 ('INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (auth.uid(), ''a'')', '23503'),
			 ('SELECT get_job_statistics(''jobs'')', 'ok'),
			 ('SELECT get_dashboard()', 'ok')) AS t (statement, expected);

--------------------------------------------------------------------------------
-- Leases: the token, the whole token and nothing but the token
--------------------------------------------------------------------------------

-- A video job of the worker as well, beyond the limit of active jobs.
SAVEPOINT leases;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
SELECT create_job('20000000-0000-4000-8000-000000000001', 1, 1000) AS film \gset
SELECT advance_job(:'film', s) FROM unnest(
	'{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) AS t (s) \g /dev/null
SELECT lease_token AS film_token FROM claim_jobs('jobs', 'rights', 1, '1 hour') WHERE job_id = :'film' \gset
CREATE TEMPORARY TABLE lease_case (n serial, job text, token text, path text[], statement text, without text);
INSERT INTO lease_case (job, token, path, statement, without) VALUES
	('{leased}', :'token', '{}', 'SELECT update_studio_job_status(%s, ''TRANSCRIBING'', %s)', 'PT409'),
	('{leased}', :'token', '{TRANSCRIBING}', 'SELECT store_transcript(%s, ''A text'', %s)', 'PT409'),
	('{leased}', :'token', '{TRANSCRIBING,ENRICHING}', 'SELECT store_enrichment(%s, ''{}'', %s)', 'PT409'),
	('{leased}', :'token', '{TRANSCRIBING,ENRICHING,REFINING}', 'SELECT store_refined_text(%s, ''A text'', NULL, %s)', 'PT409'),
	('{leased}', :'token', '{}', 'SELECT fail_studio_job(%s, ''{}'', false, %s)', 'PT409'),
	('{leased}', :'token', '{}', 'SELECT fail_studio_job(%s, ''{}'', true, %s)', '22023, PT409'),
	('{leased}', :'token', '{}', 'SELECT heartbeat_job(%s, %s)', '22004'),
	('{leased}', :'token', '{}', 'SELECT snooze_job(%s, %s, ''1 hour'')', '22004'),
	(:'film', :'film_token', '{}', 'SELECT heartbeat_job(%s, %s, 99, ''Nearly'')', '22004'),
	(:'film', :'film_token', '{}', 'SELECT snooze_job(%s, %s, ''1 hour'')', '22004'),
	(:'film', :'film_token', '{}', 'SELECT advance_job(%s, ''PACKAGING'', 99, NULL, %s)', 'PT409'),
	(:'film', :'film_token', '{}', 'SELECT create_job_steps(%s, ''["one"]'', %s)', 'PT409'),
	(:'film', :'film_token', '{}', 'SELECT update_job_step(%s, ''scripting'', ''started'', NULL, NULL, NULL, %s)', 'PT409'),
	(:'film', :'film_token', '{}', 'SELECT record_asset(%s, ''video'', ''u'', ''p'', NULL, NULL, NULL, %s)', 'PT409'),
	(:'film', :'film_token', '{}', 'SELECT complete_job(%s, NULL, NULL, NULL, %s)', 'PT409'),
	(:'film', :'film_token', '{}', 'SELECT fail_job(%s, NULL, NULL, NULL, false, %s)', 'PT409'),
	(:'film', :'film_token', '{}', 'SELECT fail_job(%s, NULL, NULL, NULL, true, %s)', '22023, PT409'),
	(:'leasedrendering', :'rendering_token', '{}', 'SELECT heartbeat_job(%s, %s, 99)', '22004'),
	(:'leasedrendering', :'rendering_token', '{}', 'SELECT snooze_job(%s, %s, ''1 hour'')', '22004'),
	(:'leasedrendering', :'rendering_token', '{}', 'SELECT update_rendering(%s, ''rendering'', 10, %s)', 'PT409'),
	(:'leasedrendering', :'rendering_token', '{rendering}', 'SELECT complete_rendering(%s, NULL, %s)', 'PT409'),
	(:'leasedrendering', :'rendering_token', '{}', 'SELECT fail_rendering(%s, NULL, NULL, false, %s)', 'PT409'),
	(:'leasedrendering', :'rendering_token', '{}', 'SELECT fail_rendering(%s, NULL, NULL, true, %s)', '22023, PT409'),
	('{leased}', :'token', '{}', 'SELECT finish_and_claim(''studio_jobs'', ''rights'', %s, %s, ''{"raw_transcript": "A text"}'', p_limit => 0)', '22004'),
	('{leased}', :'token', '{}', 'SELECT finish_and_claim(''studio_jobs'', ''rights'', %s, %s, p_retryable => true, p_limit => 0)', '22004'),
	-- a line in the log may come from anybody who serves the job
	(:'film', :'film_token', '{}', 'SELECT log_job(%s, ''info'', ''A line'', NULL, NULL, %s)', 'ok');
SELECT is_empty(
	$$ SELECT proname FROM pg_proc
	   WHERE pronamespace = 'public'::regnamespace AND 'p_lease_token' = ANY (proargnames[1:pronargs])
		 AND NOT EXISTS (SELECT FROM lease_case WHERE statement LIKE '%' || proname || '(%') $$,
	'every function that takes a lease token has its case');

-- The job is brought to where the function may be called, by plain UPDATE, which needs no token.
CREATE FUNCTION pg_temp.with_token(p_case lease_case, p_token text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.outcome('service_role', NULL, pg_temp.resolve(
		(SELECT COALESCE(string_agg(format(CASE WHEN s = 'rendering' THEN 'UPDATE mm_rendering_queue SET status = %L WHERE render_id = %L;'
									   ELSE 'UPDATE studio_jobs SET status = %L WHERE job_id = %L;' END, s, p_case.job), ' ' ORDER BY n), '')
		 FROM unnest(p_case.path) WITH ORDINALITY AS p (s, n))
		|| format(p_case.statement, quote_literal(p_case.job), quote_nullable(p_token) || '::uuid')))
$$;
SELECT matches(k.expected, pg_temp.with_token(c, k.token), format('%s: %s: %s', statement, k.label, k.expected))
FROM lease_case c,
	 LATERAL (VALUES (1, 'its token', c.token, 'ok'),
					 (2, 'no token', NULL, c.without),
					 (3, 'a token that nobody has', :'unknown', 'PT409'),
					 (4, 'the token of another job', CASE c.token WHEN :'token' THEN :'film_token' ELSE :'token' END, 'PT409'),
					 (5, 'a token that is over, of another job', :'failing', 'PT409')) AS k (n, label, token, expected)
ORDER BY c.n, k.n;
UPDATE studio_engine.attempts SET expires_at = clock_timestamp() WHERE ended_at IS NULL;
SELECT is(pg_temp.with_token(c, token), 'PT409', format('%s: its token, but it is late: PT409', statement))
FROM lease_case c ORDER BY n;
-- Nobody has the job any more, and an orchestrator without a lease may go on.
SELECT is(pg_temp.with_token(c, NULL), CASE WHEN without LIKE '%, PT409' THEN '22023' WHEN without = '22004' THEN '22004' ELSE 'ok' END,
		  format('%s: no token after the lease', statement))
FROM lease_case c ORDER BY n;
ROLLBACK TO leases;

--------------------------------------------------------------------------------
-- The second wall: with EXECUTE opened to everybody, as the default privileges of
-- the database would have done, the functions themselves refuse as before
--------------------------------------------------------------------------------

SAVEPOINT grants;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public, pipeline TO PUBLIC, anon, authenticated, service_role;
GRANT USAGE ON SCHEMA pipeline TO anon;
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
	   WHERE p.pronamespace IN ('public'::regnamespace, 'pipeline'::regnamespace) AND has_function_privilege('public', p.oid, 'EXECUTE') $$,
	'nothing comes through PUBLIC');
SELECT is(pg_temp.outcome(role, NULL, statement), '42501', format('%s: %s', role, statement))
FROM unnest('{anon,authenticated,service_role}'::text[]) AS r (role),
	 unnest(ARRAY['SELECT studio_engine.restoring()', 'SELECT * FROM studio_engine.lint()',
				  'SELECT * FROM studio_engine.settings', 'SELECT * FROM studio_engine.expiring_credits',
				  'SELECT * FROM studio_engine.ledger_hashes', 'SELECT * FROM studio_engine.credit_keys', 'SELECT * FROM studio_engine.welcomed', 'SELECT * FROM studio_engine.payment_digests',
				  'SELECT * FROM studio_engine.expiring_holds', 'SELECT * FROM studio_engine.lot_checkpoints', 'SELECT * FROM studio_engine.transfers', 'SELECT * FROM studio_engine.failed_sign_ups',
				  'SELECT * FROM studio_engine.stripe_objects', 'SELECT * FROM studio_engine.stripe_facts', 'SELECT * FROM studio_engine.stripe_events', 'SELECT * FROM studio_engine.content_search', 'SELECT * FROM studio_engine.queue',
				  'SELECT * FROM studio_engine.attempts', 'SELECT * FROM studio_engine.queue_stages', 'SELECT * FROM studio_engine.removed_files', 'SELECT studio_engine.rebuild_queue()',
				  'SELECT * FROM studio_engine.direct_tables()']) AS s (statement);

-- The functions refuse by themselves what a wrong grant lets through (above), and
-- would hide it; hence the grants are looked at as well.
SELECT is(
	(SELECT string_agg(p.proname, ' ' ORDER BY p.proname::text COLLATE "C") FROM pg_proc p
	 WHERE p.pronamespace = 'public'::regnamespace AND has_function_privilege(r.role, p.oid, 'EXECUTE')),
	r.expected, r.role || ' may execute: ' || COALESCE(r.expected, 'nothing'))
FROM (VALUES
	('anon', 'get_draft_prompt save_draft_prompt workflow_diagram workflow_transitions'),
	('authenticated', 'cancel_job cancel_studio_job claim_draft_prompt create_studio_job ensure_profile get_content_sections '
					 'get_content_statistics get_credit_balance get_credit_lots get_credit_summary get_dashboard get_draft_prompt get_job_attempts '
					 'get_job_statistics get_latest_quality_assessment get_module_content get_session_statistics retry_job '
					 'retry_studio_job save_draft_prompt search_module_content workflow_diagram workflow_transitions'),
	('service_role', 'advance_job apply_stripe_event archive_module_content cancel_job cancel_jobs cancel_rendering cancel_studio_job capture_hold charge_credits claim_draft_prompt '
					 'claim_jobs cleanup_expired_drafts complete_enhancement_session complete_job complete_jobs complete_rendering '
					 'create_audio_narration create_course_plan '
					 'create_job create_job_steps create_module_content create_multimedia_session create_script_generation '
					 'create_slide_presentation create_studio_job enqueue_rendering ensure_profile expire_credits fail_job fail_jobs '
					 'fail_rendering fail_studio_job finish_and_claim forget_removed_files get_content_sections get_content_statistics get_credit_balance get_credit_lots get_credit_summary '
					 'get_dashboard get_draft_prompt get_job_attempts get_job_statistics get_latest_quality_assessment '
					 'get_module_content get_queue_stages get_running_jobs get_session_statistics get_settings grant_credits heartbeat_job hold_credits '
					 'limit_stage list_removed_files log_job merge_accounts pause_queue purchase_credits '
					 'reap_expired_leases record_asset record_video_view recover_leases refresh_content_search refund_credits '
					 'register_multimedia_asset register_multimedia_assets reinstate_purchase release_credits release_hold release_leases '
					 'repair_sign_ups reserve_credits resume_queue retry_failed_jobs retry_job retry_rendering retry_studio_job reverse_purchase save_draft_prompt search_module_content '
					 'settle_credits snooze_job start_enhancement_session store_enrichment store_quality_assessment '
					 'store_refined_text store_research_results store_transcript subscription_credits sweep_stale_holds top_up_credits transfer_credits '
					 'update_audio_narration update_job_step update_module_section update_module_sections update_rendering update_script_generation '
					 'update_session_status update_slide_presentation update_studio_job_status verify_credit_ledger verify_setup void_credits '
					 'workflow_diagram workflow_transitions'),
	('supabase_auth_admin', NULL),
	('authenticator', NULL)) AS r (role, expected);
SELECT is(
	(SELECT string_agg(p.proname, ' ' ORDER BY p.proname::text COLLATE "C") FROM pg_proc p
	 WHERE p.pronamespace = 'pipeline'::regnamespace AND has_function_privilege(r.role, p.oid, 'EXECUTE')),
	r.expected, r.role || ' may execute of schema pipeline: ' || COALESCE(r.expected, 'nothing'))
FROM (VALUES
	('anon', NULL),
	('authenticated', 'cancel_job create_job events_since get_job get_prompt retry_job'),
	('service_role', 'cancel_job create_job delete_old_events events_since get_job get_prompt record_event register_artifact '
					 'retry_job set_job_status upsert_prompt'),
	('supabase_auth_admin', NULL),
	('authenticator', NULL)) AS r (role, expected);
SELECT is_empty(
	$$ SELECT p.oid::regprocedure, a.grantee::regrole FROM pg_proc p, LATERAL aclexplode(p.proacl) AS a
	   WHERE p.pronamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
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
	('grant_credits', 'p_priority'), ('top_up_credits', 'p_idempotency_key'), ('top_up_credits', 'p_expires_at'), ('top_up_credits', 'p_note'),
	('charge_credits', 'p_idempotency_key'), ('charge_credits', 'p_reference'), ('charge_credits', 'p_note'),
	('hold_credits', 'p_note'), ('hold_credits', 'p_idempotency_key'), ('capture_hold', 'p_amount'),
	('void_credits', 'p_amount'), ('void_credits', 'p_note'), ('void_credits', 'p_idempotency_key'),
	('transfer_credits', 'p_idempotency_key'), ('transfer_credits', 'p_note'), ('merge_accounts', 'p_idempotency_key'),
	('purchase_credits', 'p_note'), ('purchase_credits', 'p_expires_at'),
	('subscription_credits', 'p_note'), ('subscription_credits', 'p_expires_at'),
	('refund_credits', 'p_note'), ('refund_credits', 'p_idempotency_key'),
	('reverse_purchase', 'p_amount'), ('reverse_purchase', 'p_note'), ('reverse_purchase', 'p_idempotency_key'),
	('reinstate_purchase', 'p_note'), ('reinstate_purchase', 'p_idempotency_key'), ('verify_credit_ledger', 'p_user_id'),
	('save_draft_prompt', 'p_template_id'), ('save_draft_prompt', 'p_options'),
	('create_job_steps', 'p_steps'), ('create_job_steps', 'p_lease_token'),
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
	('create_studio_job', 'p_run_at'), ('create_studio_job', 'p_idempotency_key'), ('create_studio_job', 'p_max_attempts'),
	('create_job', 'p_run_at'), ('create_job', 'p_idempotency_key'), ('create_job', 'p_max_attempts'),
	('enqueue_rendering', 'p_run_at'), ('enqueue_rendering', 'p_idempotency_key'), ('enqueue_rendering', 'p_max_attempts'),
	('update_rendering', 'p_progress'), ('update_rendering', 'p_lease_token'),
	('complete_rendering', 'p_asset_id'), ('complete_rendering', 'p_lease_token'),
	('fail_rendering', 'p_error_code'), ('fail_rendering', 'p_error_message'), ('fail_rendering', 'p_lease_token'),
	('cancel_rendering', 'p_reason'),
	('log_job', 'p_step_name'), ('log_job', 'p_metadata'),
	('create_job_steps', 'p_lease_token'), ('advance_job', 'p_lease_token'), ('update_job_step', 'p_lease_token'), ('complete_job', 'p_lease_token'),
	('fail_job', 'p_lease_token'), ('record_asset', 'p_lease_token'), ('log_job', 'p_lease_token'),
	('claim_jobs', 'p_lease'), ('claim_jobs', 'p_stages'), ('claim_jobs', 'p_process_id'), ('release_leases', 'p_process_id'), ('release_leases', 'p_lease_tokens'),
	('recover_leases', 'p_process_id'), ('finish_and_claim', 'p_job_id'), ('finish_and_claim', 'p_error'),
	('finish_and_claim', 'p_retry_in'), ('finish_and_claim', 'p_lease'), ('finish_and_claim', 'p_stages'), ('finish_and_claim', 'p_process_id'),
	('pause_queue', 'p_stage'), ('pause_queue', 'p_reason'), ('resume_queue', 'p_stage'), ('limit_stage', 'p_max_running'), ('get_running_jobs', 'p_system'),
	('cancel_jobs', 'p_reason'), ('retry_failed_jobs', 'p_error_code'), ('retry_failed_jobs', 'p_since'), ('fail_job', 'p_retry_in'), ('fail_studio_job', 'p_retry_in'), ('fail_rendering', 'p_retry_in'),
	('heartbeat_job', 'p_progress'), ('heartbeat_job', 'p_status_message'), ('heartbeat_job', 'p_lease'),
	('get_job_statistics', 'p_user_id'), ('get_job_statistics', 'p_window'),
	('create_studio_job', 'p_system_prompt'), ('cancel_studio_job', 'p_reason'),
	('update_studio_job_status', 'p_lease_token'), ('store_transcript', 'p_lease_token'), ('store_enrichment', 'p_lease_token'),
	('store_refined_text', 'p_model_version'), ('store_refined_text', 'p_lease_token'),
	('fail_studio_job', 'p_error'), ('fail_studio_job', 'p_lease_token'),
	('pipeline.create_job', 'p_run_id'), ('pipeline.create_job', 'p_owner_id'), ('pipeline.set_job_status', 'p_error_message'),
	('pipeline.record_event', 'p_payload'), ('pipeline.register_artifact', 'p_meta'), ('pipeline.register_artifact', 'p_file_size'),
	('pipeline.register_artifact', 'p_content_type'), ('pipeline.register_artifact', 'p_checksum');

CREATE TEMPORARY VIEW argument AS
	SELECT c.name, c.args, a.arg, a.n::integer AS n, format_type(t.oid, NULL) AS type
	FROM function_case c JOIN pg_proc p ON p.oid = pg_temp.qualified(c.name)::regproc,
		 LATERAL unnest(p.proargnames[1:p.pronargs], p.proargtypes::oid[]) WITH ORDINALITY AS a (arg, typeid, n)
	JOIN pg_type t ON t.oid = a.typeid
	WHERE p.pronargs > 0;

SELECT is(pg_temp.outcome('service_role', NULL, pg_temp.resolve(pg_temp.call(name, args, n, 'NULL::' || type))),
		  -- nobody's run is not hers
		  CASE WHEN (name, arg) = ('pipeline.create_job', 'p_owner_id') THEN 'PT409'
			   -- not for services
			   WHEN name = 'set_setting' THEN '42501'
			   -- nothing was made
			   WHEN (name, arg) = ('finish_and_claim', 'p_result') THEN '22023'
			   WHEN EXISTS (SELECT FROM optional o WHERE (o.name, o.arg) = (a.name, a.arg)) THEN 'ok' ELSE '22004' END,
		  format('%s: %s is NULL', name, arg))
FROM argument a ORDER BY name, n;
SELECT is_empty($$ SELECT name, arg FROM optional EXCEPT SELECT name, arg FROM argument $$,
				'every optional argument exists');
SELECT is(pg_temp.outcome('authenticated', :'alice', 'SELECT get_dashboard(NULL, 5)'), 'ok',
		  'get_dashboard: a user need not name himself');
SELECT is(pg_temp.outcome('authenticated', sub, format('SELECT create_studio_job(%L, ''a'', NULL, %s)', :'alice', priority)), expected,
		  format('create_studio_job: %s with priority %s: %s', label, priority, expected))
FROM (VALUES (:'alice', 'the user', '100', 'ok'), (:'alice', 'the user', '101', '22023'), (:'alice', 'the user', '2147483647', '22023'),
			 (:'alice', 'the user', '-2147483648', 'ok'), (:'bob', 'another user', '2147483647', '42501')) AS t (sub, label, priority, expected);
SELECT is(pg_temp.outcome('authenticated', sub, format('SELECT create_studio_job(%L, ''a'', p_max_attempts => %s)', :'alice', attempts)), expected,
		  format('create_studio_job: %s with %s attempts: %s', label, attempts, expected))
FROM (VALUES (:'alice', 'the user', '3', 'ok'), (:'alice', 'the user', '4', '22023'), (:'bob', 'another user', '4', '42501')) AS t (sub, label, attempts, expected);

--------------------------------------------------------------------------------
-- Out of bounds
--------------------------------------------------------------------------------

CREATE TEMPORARY TABLE bad_value (n serial, name text, arg text, value text, expected text, label text);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, arg, value, '22023', value
FROM unnest('{reserve_credits.p_amount,grant_credits.p_amount,purchase_credits.p_amount,subscription_credits.p_amount,refund_credits.p_amount,reverse_purchase.p_amount,void_credits.p_amount,transfer_credits.p_amount,top_up_credits.p_target,charge_credits.p_amount,hold_credits.p_amount,create_job.p_cost_credits}'::text[]) AS f (path),
	 LATERAL (SELECT split_part(path, '.', 1), split_part(path, '.', 2)) AS s (name, arg),
	 unnest('{0,-1,-2147483648}'::text[]) AS v (value);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_note', format('repeat(''ä'', %s)', n), CASE n WHEN 1000 THEN 'ok' ELSE '22023' END, n || ' characters'
FROM unnest('{release_credits,top_up_credits,charge_credits,hold_credits,grant_credits,purchase_credits,subscription_credits,refund_credits,reverse_purchase,reinstate_purchase,void_credits,transfer_credits}'::text[]) AS f (name),
	 unnest('{1000,1001}'::integer[]) AS v (n);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_idempotency_key', value, expected, label
FROM unnest('{grant_credits,top_up_credits,charge_credits,hold_credits,refund_credits,reverse_purchase,reinstate_purchase,void_credits,transfer_credits,merge_accounts}'::text[]) AS f (name),
	 (VALUES ('''''', '22023', 'empty'), ('repeat(''k'', 256)', '22023', '256 characters'),
			 ('repeat(''ä'', 255)', 'ok', '255 characters of two bytes'), ('''welcome''', 'PT409', 'the key of the welcome grant')) AS v (value, expected, label);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_stripe_payment_id', value, CASE WHEN expected = 'ok' AND name LIKE 're%' THEN 'PT404' ELSE expected END, label
FROM unnest('{purchase_credits,subscription_credits,reverse_purchase,reinstate_purchase}'::text[]) AS f (name),
	 (VALUES ('''''', '22023', 'empty'), ('repeat(''k'', 256)', '22023', '256 characters'),
			 ('repeat(''k'', 255)', 'ok', '255 characters')) AS v (value, expected, label);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_expires_at', value, CASE WHEN finite AND name NOT IN ('grant_credits', 'top_up_credits') THEN 'ok' ELSE expected END, value
FROM unnest('{grant_credits,top_up_credits,purchase_credits,subscription_credits}'::text[]) AS f (name),
	 (VALUES ('''infinity''', '22023', false), ('''-infinity''', '22023', false), ('now()', '22023', true), ('''2001-01-01''', '22023', true),
			 ('now() + interval ''1 day''', 'ok', true), ('''294276-12-31 23:59:59''', 'ok', true)) AS v (value, expected, finite);
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
	('charge_credits', 'p_amount', '2147483647', 'PT402', 'more than there is'),
	('charge_credits', 'p_idempotency_key', '''captures:1''', '22023', 'a key of captures'),
	('charge_credits', 'p_reference', '''''', '22023', 'empty'),
	('charge_credits', 'p_reference', 'repeat(''ä'', 255)', 'ok', '255 characters of two bytes'),
	('charge_credits', 'p_reference', 'repeat(''x'', 256)', '22023', '256 characters'),
	('hold_credits', 'p_amount', '2147483647', 'PT402', 'more than there is'),
	('hold_credits', 'p_reference', '''''', '22023', 'empty'),
	('hold_credits', 'p_reference', 'repeat(''ä'', 255)', 'ok', '255 characters of two bytes'),
	('hold_credits', 'p_reference', 'repeat(''x'', 256)', '22023', '256 characters'),
	('hold_credits', 'p_expires', '''0''', '22023', 'no time'),
	('hold_credits', 'p_expires', '''-1 day''', '22023', 'negative'),
	('hold_credits', 'p_expires', '''1 year''', 'ok', 'a year'),
	('hold_credits', 'p_expires', '''366 days 1 second''', '22023', 'longer than a year'),
	('hold_credits', 'p_expires', '''100000000 years''', '22023', 'far longer'),
	('void_credits', 'p_amount', '5', 'ok', 'all that is left'),
	('void_credits', 'p_amount', '6', 'PT409', 'more than is left'),
	('void_credits', 'p_amount', '2147483647', 'PT409', 'the largest integer'),
	('void_credits', 'p_entry_id', '''{hold}''', '22023', 'an entry that is no lot'),
	('transfer_credits', 'p_to_user_id', '''{user}''', '22023', 'the same user'),
	('transfer_credits', 'p_amount', '1000', 'PT402', 'more than there is'),
	('transfer_credits', 'p_amount', '2147483647', '22003', 'more than an account can hold'),
	('merge_accounts', 'p_to_user_id', '''{receiver}''', '22023', 'the same user'),
	('capture_hold', 'p_amount', '0', 'ok', 'nothing'),
	('capture_hold', 'p_amount', '-1', '22023', 'negative'),
	('capture_hold', 'p_amount', '2', 'PT409', 'above the hold'),
	('capture_hold', 'p_amount', '2147483647', 'PT409', 'the largest integer'),
	('capture_hold', 'p_overrun', '''ERROR''', '22023', 'another case'),
	('capture_hold', 'p_hold_id', '''{queued}''', 'PT404', 'the id of a job'),
	('release_hold', 'p_hold_id', '''{queued}''', 'PT404', 'the id of a job'),
	('top_up_credits', 'p_target', '1', 'ok', 'less than there is'),
	('top_up_credits', 'p_target', '2147483647', '22003', 'more than an account can hold, with what is in holds'),
	('grant_credits', 'p_priority', '-2147483648', 'ok', 'the smallest integer'),
	('grant_credits', 'p_priority', '2147483647', 'ok', 'the largest integer'),
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
	('log_job', 'p_message', 'repeat(''x'', 65536)', 'ok', '64 kB'),
	('log_job', 'p_message', 'repeat(''x'', 65537)', '22023', 'more than 64 kB'),
	('pipeline.create_job', 'p_run_id', '''''', '22023', 'empty'),
	('pipeline.create_job', 'p_run_id', 'repeat(''ä'', 255)', 'ok', '255 characters of two bytes'),
	('pipeline.create_job', 'p_run_id', 'repeat(''x'', 256)', '22023', '256 characters'),
	('pipeline.create_job', 'p_run_id', '''{failedrun}''', 'PT409', 'is there with other content'),
	('pipeline.create_job', 'p_project_spec', '''{"title": "U"}''', 'PT409', 'other content'),
	('pipeline.create_job', 'p_project_spec', 'jsonb_build_object(''x'', repeat(''x'', 1048577))', '22023', 'more than a megabyte'),
	('pipeline.create_job', 'p_owner_id', '''20000000-0000-4000-8000-00000000000b''', 'PT409', 'another owner'),
	('pipeline.get_job', 'p_run_id', 'repeat(''x'', 1000000)', '22023', 'a megabyte'),
	('pipeline.get_job', 'p_run_id', '''rights-RUN''', 'PT404', 'another case'),
	('pipeline.set_job_status', 'p_status', '''FAILED''', '22023', 'another case'),
	('pipeline.set_job_status', 'p_status', '''''', '22023', 'empty'),
	('pipeline.set_job_status', 'p_status', '''completed''', '23514', 'not the next'),
	('pipeline.set_job_status', 'p_error_message', 'repeat(''ä'', 1000000)', 'ok', 'two megabytes'),
	('pipeline.cancel_job', 'p_run_id', '''{failedrun}''', '23514', 'has failed'),
	('pipeline.retry_job', 'p_run_id', '''{run}''', 'ok', 'is pending already'),
	('pipeline.record_event', 'p_bot_name', '''''', '22023', 'empty'),
	('pipeline.record_event', 'p_bot_name', 'repeat(''x'', 256)', '22023', '256 characters'),
	('pipeline.record_event', 'p_event_type', '''''', '22023', 'empty'),
	('pipeline.record_event', 'p_event_type', 'repeat(''ü'', 255)', 'ok', '255 characters of two bytes'),
	('pipeline.record_event', 'p_payload', '''[1, null]''', 'ok', 'an array'),
	('pipeline.record_event', 'p_payload', 'jsonb_build_object(''x'', repeat(''x'', 1000000))', 'ok', 'a million characters'),
	('pipeline.record_event', 'p_payload', 'jsonb_build_object(''x'', repeat(''x'', 1048577))', '22023', 'more than a megabyte'),
	('pipeline.events_since', 'p_after', '-1', '22023', '-1'),
	('pipeline.events_since', 'p_after', '9223372036854775807', 'ok', 'the largest bigint'),
	('pipeline.events_since', 'p_limit', '0', '22023', '0'),
	('pipeline.events_since', 'p_limit', '1000', 'ok', '1000'),
	('pipeline.events_since', 'p_limit', '1001', '22023', '1001'),
	('pipeline.register_artifact', 'p_kind', '''''', '22023', 'empty'),
	('pipeline.register_artifact', 'p_kind', 'repeat(''x'', 101)', '22023', '101 characters'),
	('pipeline.register_artifact', 'p_url', '''''', '22023', 'empty'),
	('pipeline.register_artifact', 'p_url', 'repeat(''x'', 1000000)', 'ok', 'a megabyte'),
	('pipeline.register_artifact', 'p_meta', '''[]''', '22023', 'an array'),
	('pipeline.register_artifact', 'p_meta', '''null''', '22023', 'a JSON null'),
	('pipeline.register_artifact', 'p_meta', 'jsonb_build_object(''x'', repeat(''x'', 1048577))', '22023', 'more than a megabyte'),
	('pipeline.register_artifact', 'p_file_size', '-1', '22023', '-1'),
	('pipeline.register_artifact', 'p_file_size', '9223372036854775807', 'ok', 'the largest bigint'),
	('pipeline.register_artifact', 'p_content_type', '''''', '22023', 'empty'),
	('pipeline.register_artifact', 'p_content_type', 'repeat(''x'', 256)', '22023', '256 characters'),
	('pipeline.register_artifact', 'p_checksum', '''''', '22023', 'empty'),
	('pipeline.register_artifact', 'p_checksum', 'repeat(''ä'', 255)', 'ok', '255 characters of two bytes'),
	('pipeline.register_artifact', 'p_checksum', 'repeat(''x'', 256)', '22023', '256 characters'),
	('pipeline.upsert_prompt', 'p_id', '''''', '22023', 'empty'),
	('pipeline.upsert_prompt', 'p_id', 'repeat(''x'', 256)', '22023', '256 characters'),
	('pipeline.upsert_prompt', 'p_category', 'repeat(''x'', 256)', '22023', '256 characters'),
	('pipeline.upsert_prompt', 'p_context', '''''', '22023', 'empty'),
	('pipeline.upsert_prompt', 'p_prompt_text', '''''', '22023', 'empty'),
	('pipeline.upsert_prompt', 'p_prompt_text', 'repeat(''ü'', 1000000)', 'ok', 'two megabytes'),
	('pipeline.get_prompt', 'p_id', 'repeat(''x'', 256)', '22023', '256 characters'),
	('pipeline.delete_old_events', 'p_older_than', '''0''', '22023', 'nothing'),
	('pipeline.delete_old_events', 'p_older_than', '''-1 day''', '22023', 'the future'),
	('pipeline.delete_old_events', 'p_older_than', '''1000 years''', 'ok', '1000 years'),
	('pipeline.delete_old_events', 'p_older_than', '''100000000 years''', '22023', 'more than there is'),
	('pipeline.delete_old_events', 'p_limit', '0', '22023', '0'),
	('pipeline.delete_old_events', 'p_limit', '100000', 'ok', '100000'),
	('pipeline.delete_old_events', 'p_limit', '100001', '22023', '100001'),
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
	('enqueue_rendering', 'p_priority', '-2147483648', 'ok', 'the smallest integer'),
	('update_rendering', 'p_status', '''RENDERING''', '22023', 'another case'),
	('update_rendering', 'p_status', '''''', '22023', 'empty'),
	('update_rendering', 'p_status', '''queued''', 'ok', 'what it is'),
	('update_rendering', 'p_status', '''completed''', '23514', 'not the next'),
	('update_rendering', 'p_progress', '-1', '22023', '-1'),
	('update_rendering', 'p_progress', '100', 'ok', '100'),
	('update_rendering', 'p_progress', '101', '22023', '101'),
	('update_rendering', 'p_render_id', '''{leasedrendering}''', 'PT409', 'a worker has it'),
	('complete_rendering', 'p_render_id', '''{rendering}''', '23514', 'queued'),
	('complete_rendering', 'p_render_id', '''{failedrendering}''', '23514', 'failed'),
	('complete_rendering', 'p_asset_id', '''{user}''', '22023', 'no file'),
	('fail_rendering', 'p_retryable', 'true', '22023', 'without a lease'),
	('fail_rendering', 'p_render_id', '''{failedrendering}''', 'ok', 'failed already'),
	('cancel_rendering', 'p_reason', 'repeat(''ü'', 1000)', 'ok', '1000 characters of two bytes'),
	('cancel_rendering', 'p_reason', 'repeat(''x'', 1001)', '22023', '1001 characters'),
	('cancel_rendering', 'p_render_id', '''{leasedrendering}''', 'ok', 'in the hands of a worker'),
	('cancel_rendering', 'p_render_id', '''{failedrendering}''', 'ok', 'failed already'),
	('retry_rendering', 'p_render_id', '''{rendering}''', 'ok', 'queued already'),
	('retry_rendering', 'p_render_id', '''{rendered}''', '23514', 'did not fail'),
	('claim_draft_prompt', 'p_session_token', 'repeat(''x'', 1000000)', 'ok', 'a megabyte, which is no draft''s'),
	('get_draft_prompt', 'p_session_token', '''rights-nobodys-token''', 'ok', 'unknown, which is NULL');
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_lease', value, expected, value
FROM unnest('{claim_jobs,heartbeat_job}'::text[]) AS f (name),
	 (VALUES ('''0''', '22023'), ('''-1 second''', '22023'), ('''0.999 seconds''', '22023'), ('''1 second''', 'ok'), ('''24 hours''', 'ok'),
			 ('''24 hours 1 second''', '22023'), ('''200000 years''', '22023'), ('''300000 years''', '22023'), ('''-178000000 years''', '22023')) AS v (value, expected);
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT proname, 'p_lease_token', '''{user}''', 'PT409', 'a token that is none'
FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND 'p_lease_token' = ANY (proargnames[1:pronargs]) ORDER BY 1;
INSERT INTO bad_value (name, arg, value, expected, label)
SELECT name, 'p_system', value, '22023', value
FROM unnest('{claim_jobs,get_job_statistics}'::text[]) AS f (name), unnest('{"''''","''nothing''","''JOBS''","''public.jobs''","''job_steps''"}'::text[]) AS v (value);
INSERT INTO bad_value (name, arg, value, expected, label) VALUES
	('claim_jobs', 'p_worker', '''''', '22023', 'empty'),
	('claim_jobs', 'p_worker', 'repeat(''ä'', 200)', 'ok', '200 characters of two bytes'),
	('claim_jobs', 'p_worker', 'repeat(''x'', 201)', '22023', '201 characters'),
	('claim_jobs', 'p_limit', '0', '22023', '0'),
	('claim_jobs', 'p_limit', '-2147483648', '22023', 'the smallest integer'),
	('claim_jobs', 'p_limit', '1000', 'ok', '1000'),
	('claim_jobs', 'p_limit', '1001', '22023', '1001'),
	('heartbeat_job', 'p_progress', '-1', '22023', '-1'),
	('heartbeat_job', 'p_progress', '0', 'ok', '0'),
	('heartbeat_job', 'p_progress', '100', 'ok', '100'),
	('heartbeat_job', 'p_progress', '101', '22023', '101'),
	('heartbeat_job', 'p_status_message', 'repeat(''x'', 1000)', 'ok', '1000 characters'),
	('heartbeat_job', 'p_status_message', 'repeat(''x'', 1001)', '22023', '1001 characters'),
	('snooze_job', 'p_for', '''0''', 'ok', 'no time'),
	('snooze_job', 'p_for', '''-0.000001 seconds''', '22023', 'a moment ago'),
	('snooze_job', 'p_for', '''366 days''', 'ok', '366 days'),
	('snooze_job', 'p_for', '''367 days''', '22023', '367 days'),
	('snooze_job', 'p_for', '''300000 years''', '22023', 'beyond time'),
	('claim_jobs', 'p_stages', '''{}''', '22023', 'none'),
	('claim_jobs', 'p_stages', '''{NEW,COMPLETE}''', '22023', 'one without work to do'),
	('claim_jobs', 'p_stages', '''{NEW,new}''', '22023', 'one that is unknown'),
	('claim_jobs', 'p_stages', '''{NEW,REFINING,NEW}''', '22023', 'one twice'),
	('claim_jobs', 'p_stages', '''{NEW,NULL}''', '22023', 'NULL'),
	('claim_jobs', 'p_stages', '''{NEW,TRANSCRIBING,ENRICHING,REFINING}''', 'ok', 'all'),
	('claim_jobs', 'p_process_id', 'repeat(''ä'', 200)', 'ok', '200 characters of two bytes'),
	('claim_jobs', 'p_process_id', 'repeat(''x'', 201)', '22023', '201 characters'),
	('fail_job', 'p_retry_in', '''1 minute''', '22023', 'without p_retryable'),
	('fail_studio_job', 'p_retry_in', '''1 minute''', '22023', 'without p_retryable'),
	('fail_rendering', 'p_retry_in', '''1 minute''', '22023', 'without p_retryable'),
	('recover_leases', 'p_worker', '''nobody''', 'ok', 'unknown'),
	('pause_queue', 'p_stage', '''COMPLETE''', '22023', 'without work to do'),
	('pause_queue', 'p_reason', '''''', '22023', 'empty'),
	('pause_queue', 'p_reason', 'repeat(''x'', 1001)', '22023', '1001 characters'),
	('limit_stage', 'p_stage', '''new''', '22023', 'unknown'),
	('limit_stage', 'p_max_running', '0', 'ok', 'no limit'),
	('limit_stage', 'p_max_running', '-1', '22023', 'negative'),
	('get_running_jobs', 'p_limit', '0', '22023', '0'),
	('get_running_jobs', 'p_limit', '1001', '22023', '1001'),
	('release_leases', 'p_lease_tokens', '''{}''', 'ok', 'none'),
	('release_leases', 'p_worker', '''nobody''', 'ok', 'unknown'),
	('reap_expired_leases', 'p_limit', '0', '22023', '0'),
	('reap_expired_leases', 'p_limit', '-1', '22023', '-1'),
	('reap_expired_leases', 'p_limit', '10000', 'ok', '10000'),
	('reap_expired_leases', 'p_limit', '10001', '22023', '10001'),
	('get_job_statistics', 'p_window', '''0''', '22023', 'no time'),
	('get_job_statistics', 'p_window', '''-1 day''', '22023', 'negative'),
	('get_job_statistics', 'p_window', '''1 second''', 'ok', '1 second'),
	('get_job_statistics', 'p_window', '''36525 days''', 'ok', '36525 days'),
	('get_job_statistics', 'p_window', '''36527 days''', '22023', '36527 days'),
	('get_job_statistics', 'p_window', '''300000 years''', '22023', 'beyond time'),
	('create_job', 'p_priority', '2147483647', 'ok', 'the largest integer'),
	('create_studio_job', 'p_run_at', '''infinity''', '22023', 'never'),
	('create_studio_job', 'p_run_at', '''-infinity''', '22023', 'before all times'),
	('create_studio_job', 'p_run_at', 'now() + ''366 days''', 'ok', '366 days ahead'),
	('create_studio_job', 'p_run_at', 'now() + ''367 days''', '22023', '367 days ahead'),
	('create_studio_job', 'p_idempotency_key', '''''', '22023', 'empty'),
	('create_studio_job', 'p_idempotency_key', 'repeat(''ü'', 200)', 'ok', '200 characters of two bytes'),
	('create_studio_job', 'p_idempotency_key', 'repeat(''x'', 201)', '22023', '201 characters'),
	('create_studio_job', 'p_max_attempts', '0', '22023', '0'),
	('create_studio_job', 'p_max_attempts', '1000', 'ok', '1000'),
	('create_studio_job', 'p_max_attempts', '1001', '22023', '1001'),
	('create_job', 'p_run_at', '''infinity''', '22023', 'never'),
	('create_job', 'p_run_at', '''-infinity''', '22023', 'before all times'),
	('create_job', 'p_run_at', 'now() + ''366 days''', 'ok', '366 days ahead'),
	('create_job', 'p_run_at', 'now() + ''367 days''', '22023', '367 days ahead'),
	('create_job', 'p_idempotency_key', '''''', '22023', 'empty'),
	('create_job', 'p_idempotency_key', 'repeat(''ü'', 200)', 'ok', '200 characters of two bytes'),
	('create_job', 'p_idempotency_key', 'repeat(''x'', 201)', '22023', '201 characters'),
	('create_job', 'p_max_attempts', '0', '22023', '0'),
	('create_job', 'p_max_attempts', '1000', 'ok', '1000'),
	('create_job', 'p_max_attempts', '1001', '22023', '1001'),
	('enqueue_rendering', 'p_run_at', '''infinity''', '22023', 'never'),
	('enqueue_rendering', 'p_run_at', '''-infinity''', '22023', 'before all times'),
	('enqueue_rendering', 'p_run_at', 'now() + ''366 days''', 'ok', '366 days ahead'),
	('enqueue_rendering', 'p_run_at', 'now() + ''367 days''', '22023', '367 days ahead'),
	('enqueue_rendering', 'p_idempotency_key', '''''', '22023', 'empty'),
	('enqueue_rendering', 'p_idempotency_key', 'repeat(''ü'', 200)', 'ok', '200 characters of two bytes'),
	('enqueue_rendering', 'p_idempotency_key', 'repeat(''x'', 201)', '22023', '201 characters'),
	('enqueue_rendering', 'p_max_attempts', '0', '22023', '0'),
	('enqueue_rendering', 'p_max_attempts', '1000', 'ok', '1000'),
	('enqueue_rendering', 'p_max_attempts', '1001', '22023', '1001'),
	('create_job', 'p_priority', '-2147483648', 'ok', 'the smallest integer'),
	('create_studio_job', 'p_priority', '2147483647', 'ok', 'the largest integer'),
	('create_studio_job', 'p_priority', '-2147483648', 'ok', 'the smallest integer'),
	('create_studio_job', 'p_raw_audio_url', '''''', '22023', 'empty'),
	('create_studio_job', 'p_raw_audio_url', 'repeat(''ü'', 8192)', 'ok', '8192 characters of two bytes'),
	('create_studio_job', 'p_raw_audio_url', 'repeat(''x'', 8193)', '22023', '8193 characters'),
	('create_studio_job', 'p_system_prompt', 'repeat(''x'', 100000)', 'ok', '100000 characters'),
	('update_studio_job_status', 'p_status', '''transcribing''', '22023', 'another case'),
	('update_studio_job_status', 'p_status', '''CANCELLED''', '22023', 'unknown'),
	('update_studio_job_status', 'p_status', '''''', '22023', 'empty'),
	('update_studio_job_status', 'p_status', '''NEW''', 'ok', 'what it is'),
	('update_studio_job_status', 'p_status', '''COMPLETE''', '23514', 'not the next'),
	('update_studio_job_status', 'p_job_id', '''{leased}''', 'PT409', 'a worker has it'),
	('store_transcript', 'p_job_id', '''{studio}''', '23514', 'NEW'),
	('store_transcript', 'p_transcript', 'repeat(''x'', 1048576)', 'ok', 'a megabyte'),
	('store_transcript', 'p_transcript', 'repeat(''x'', 10000000)', '22023', 'ten megabytes'),
	('store_enrichment', 'p_job_id', '''{studio}''', '23514', 'NEW'),
	('store_enrichment', 'p_entities', '''null''', 'ok', 'a JSON null'),
	('store_refined_text', 'p_job_id', '''{studio}''', '23514', 'NEW'),
	('fail_job', 'p_retryable', 'true', '22023', 'without a lease'),
	('fail_studio_job', 'p_retryable', 'true', '22023', 'without a lease'),
	('fail_studio_job', 'p_job_id', '''{broken}''', 'ok', 'failed already'),
	('cancel_studio_job', 'p_reason', 'repeat(''x'', 1000)', 'ok', '1000 characters'),
	('cancel_studio_job', 'p_reason', 'repeat(''x'', 1001)', '22023', '1001 characters'),
	('cancel_studio_job', 'p_job_id', '''{leased}''', 'ok', 'in the hands of a worker'),
	('retry_studio_job', 'p_job_id', '''{studio}''', 'ok', 'NEW already'),
	('retry_studio_job', 'p_job_id', '''{transcribing}''', '23514', 'did not fail');

SELECT is(pg_temp.outcome('service_role', NULL, pg_temp.resolve(pg_temp.call(b.name, a.args, a.n, b.value))), b.expected,
		  format('%s: %s %s: %s', b.name, b.arg, b.label, b.expected))
FROM bad_value b LEFT JOIN argument a ON (a.name, a.arg) = (b.name, b.arg) ORDER BY b.n;

-- Messages are constant and values stay out of them: PostgREST makes them header text.
SELECT is_empty(
	$$ SELECT b.name, b.arg, x.answer FROM bad_value b JOIN argument a ON (a.name, a.arg) = (b.name, b.arg),
		   LATERAL (SELECT pg_temp.answer('service_role', NULL, pg_temp.resolve(pg_temp.call(b.name, a.args, a.n, b.value)))) AS x (answer)
	   WHERE b.expected = '22023' AND x.answer ->> 'message' NOT IN ('argument is out of bounds', 'value is too large')
		  OR x.answer ->> 'message' ~ '[^ -~]' OR length(x.answer ->> 'detail') > 400 $$,
	'messages are constant ASCII text, and details do not repeat what was passed');

-- Nothing of all this stayed.
SELECT is((SELECT string_agg(format('%s %s %s', run_id, status, last_event_seq), ', ' ORDER BY run_id) FROM pipeline.jobs),
		  'rights-failed failed 2, rights-run pending 1', 'runs are as they were');
SELECT is((SELECT count(*)::integer FROM credit_ledger WHERE user_id = :'alice'), 11,
		  'the ledger has what the set-up made and nothing else');
SELECT is(get_credit_balance(:'alice'), 8, '... and so has the account');
SELECT is_empty('SELECT * FROM verify_credit_ledger()', '... and the books are sound');
SELECT is((SELECT string_agg(status, ' ' ORDER BY job_id) FROM studio_jobs WHERE user_id = :'alice'), 'NEW TRANSCRIBING ENRICHING FAILED NEW',
		  'the studio jobs are what they were');
CREATE TEMPORARY VIEW open_job AS
SELECT system, job_id, user_id, state::text FROM studio_engine.queue
UNION ALL SELECT system, job_id, user_id, 'leased' FROM studio_engine.attempts WHERE ended_at IS NULL;
SELECT is((SELECT string_agg(state, ' ' ORDER BY job_id) FROM open_job WHERE user_id = :'alice' AND system = 'studio_jobs'),
		  'waiting waiting waiting leased', '... as is the queue');
SELECT is((SELECT string_agg(r.status || COALESCE(' ' || q.state, ''), ', ' ORDER BY r.status, q.state DESC)
			 FROM mm_rendering_queue r LEFT JOIN open_job q ON q.system = 'mm_rendering_queue' AND q.job_id = r.render_id),
		  'failed, queued waiting, queued leased, rendering waiting', '... and the renderings');

SELECT * FROM finish();
ROLLBACK;
