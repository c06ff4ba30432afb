-- 900_readme.sql
--
-- The examples of README.md: every block of SQL there stands here, in the same
-- order. test/lint/readme_examples.sh compares the two, and what README.md
-- shows as output with expected/900_readme.out.
-- Pitfall: the blocks are one session, as for somebody who pastes them all.

-- README: Try it
INSERT INTO auth.users (id, email, raw_user_meta_data)
VALUES ('a11ce000-0000-4000-8000-000000000001', 'alice@example.com', '{"name": "Alice"}');

INSERT INTO projects (user_id, title, prompt_text, niche_preset)
VALUES ('a11ce000-0000-4000-8000-000000000001', 'Vasa', 'Why the Vasa sank in 1628', 'history')
RETURNING id AS project_id \gset

SELECT create_job(:'project_id', 3) AS job_id \gset

SELECT status, progress, cost_credits_reserved FROM jobs;
SELECT entry_no, type, amount, balance_after, note FROM credit_ledger;

-- README: Sign-up
SELECT p.display_name, a.balance, a.reserved
  FROM profiles p
  JOIN credit_accounts a ON a.user_id = p.id;

SELECT ensure_profile('a11ce000-0000-4000-8000-000000000001') ->> 'display_name' AS name;
SELECT repair_sign_ups() AS repaired;
SELECT name, ok, remedy FROM verify_setup() WHERE name = 'failed_sign_ups';

-- README: Drafts
SET ROLE anon;
SELECT save_draft_prompt('a-long-random-session-token', 'How the Mary Rose was raised') IS NOT NULL AS saved;
SELECT get_draft_prompt('a-long-random-session-token') ->> 'prompt_text' AS draft;
RESET ROLE;

SET ROLE authenticated;
SET request.jwt.claims = '{"sub": "a11ce000-0000-4000-8000-000000000001", "role": "authenticated"}';
SELECT claim_draft_prompt('a-long-random-session-token', auth.uid()) AS draft_id \gset
SELECT prompt_text, user_id = auth.uid() AS mine FROM draft_prompts WHERE id = :'draft_id';
SELECT claim_draft_prompt('a-long-random-session-token', auth.uid()) IS NULL AS claimed_already;
RESET ROLE;

SET ROLE service_role;
SELECT cleanup_expired_drafts();
RESET ROLE;

-- README: Projects and jobs
SET ROLE service_role;
SELECT advance_job(:'job_id', 'SCRIPTING', 10, 'Writing the script') ->> 'progress' AS progress;
SELECT update_job_step(:'job_id', 'scripting', 'started') ->> 'state' AS state;
SELECT log_job(:'job_id', 'info', '212 words', 'scripting') IS NOT NULL AS logged;
SELECT update_job_step(:'job_id', 'scripting', 'succeeded') ->> 'progress_pct' AS percent;

SELECT stage, advance_job(:'job_id', stage) ->> 'progress' AS progress
  FROM unnest('{VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) AS stage;

SELECT record_asset(:'job_id', 'video', 'https://cdn.example.com/vasa.mp4', 'video/vasa.mp4') IS NOT NULL AS recorded;
SELECT complete_job(:'job_id', 'https://cdn.example.com/vasa.mp4', p_final_cost => 2) ->> 'status' AS status;

SELECT create_job(:'project_id', 3) AS second_id \gset
SELECT fail_job(:'second_id', 'PROVIDER_TIMEOUT', 'No answer in 60 s.', 'voice_gen') ->> 'status' AS status;
RESET ROLE;

SET ROLE authenticated;
SELECT retry_job(:'second_id') ->> 'status' AS status;
SELECT cancel_job(:'second_id', 'Changed my mind') ->> 'error_code' AS error;
SELECT entry ->> 'title' AS title, entry ->> 'status' AS status, entry #>> '{job,error_code}' AS error
  FROM jsonb_array_elements(get_dashboard(p_limit => 10)) AS entry;
RESET ROLE;

SELECT from_status, to_status, via, condition
  FROM workflow_transitions()
 WHERE workflow = 'jobs' AND from_status IN ('QUEUED', 'FAILED');

-- README: Refinement
SET ROLE authenticated;
INSERT INTO studio_jobs (user_id, raw_audio_url) VALUES (auth.uid(), 'recordings/first.mp3')
RETURNING status, system_prompt_used <> '' AS has_prompt;
SELECT create_studio_job(auth.uid(), 'recordings/second.mp3', p_priority => 5) ->> 'job_id' AS studio_id \gset
RESET ROLE;

SET ROLE service_role;
SELECT update_studio_job_status(:'studio_id', 'TRANSCRIBING') ->> 'status' AS status;
SELECT store_transcript(:'studio_id', 'so um the vasa sank') ->> 'status' AS status;
SELECT store_enrichment(:'studio_id', '{"ships": ["Vasa"]}') ->> 'status' AS status;
SELECT store_refined_text(:'studio_id', 'The Vasa sank.') ->> 'status' AS status;
SELECT refined_text, processing_time_ms IS NOT NULL AS timed FROM studio_jobs WHERE job_id = :'studio_id';
RESET ROLE;

-- README: Workers
SET ROLE service_role;
SELECT job_id AS claimed_id, lease_token, job ->> 'raw_audio_url' AS audio
  FROM claim_jobs('studio_jobs', 'worker-1', p_lease => '2 minutes') \gset
SELECT heartbeat_job(:'claimed_id', :'lease_token') ->> 'cancel' AS cancel;
SELECT update_studio_job_status(:'claimed_id', 'TRANSCRIBING', :'lease_token') ->> 'status' AS status;
SELECT fail_studio_job(:'claimed_id', '{"code": "NO_SPEECH"}', p_retryable => true,
                       p_lease_token => :'lease_token') ->> 'status' AS status;
SELECT attempt, worker, outcome, error FROM get_job_attempts(:'claimed_id');

SELECT reap_expired_leases();

SELECT f.key, f.value
  FROM jsonb_each(get_job_statistics('studio_jobs', p_window => '1 hour')) AS f
 WHERE f.key IN ('completed', 'count_by_status', 'delayed', 'waiting');
RESET ROLE;

SET ROLE service_role;
SELECT create_studio_job(j.user_id, 'recordings/' || n || '.mp3') IS NOT NULL AS made
  FROM studio_jobs j, generate_series(1, 2) n WHERE j.job_id = :'claimed_id';
SELECT job_id AS one_id, lease_token AS one_token, job ->> 'status' AS stage
  FROM claim_jobs('studio_jobs', 'transcriber', p_stages => '{NEW,TRANSCRIBING}', p_process_id => 'host-7:4711') \gset
SELECT job_id AS next_id, lease_token AS next_token, job ->> 'status' AS stage
  FROM finish_and_claim('studio_jobs', 'transcriber', :'one_id', :'one_token', '{"raw_transcript": "What was said."}',
                        p_stages => '{NEW,TRANSCRIBING}', p_process_id => 'host-7:4711') \gset
SELECT stage, attempt, outcome FROM get_job_attempts(:'one_id');

SELECT j.job_id AS batch_id, j.lease_token AS batch_token FROM claim_jobs('studio_jobs', 'enricher', 100, p_stages => '{ENRICHING}') j \gset
SELECT done, error_code, error_message
  FROM complete_jobs('studio_jobs', jsonb_build_array(jsonb_build_object(
         'job_id', :'batch_id', 'lease_token', :'batch_token', 'result', '{"enrichment_entities": {"ship": "Vasa"}}'::jsonb)));
SELECT count(*) FILTER (WHERE done) AS queued_again FROM retry_failed_jobs('studio_jobs', 'NO_SPEECH', now() - interval '1 hour');

SELECT pause_queue('studio_jobs', 'ENRICHING', 'the provider is down');
SELECT limit_stage('studio_jobs', 'REFINING', 20);
SELECT stage, paused_at IS NOT NULL AS paused, max_running, running, waiting FROM get_queue_stages('studio_jobs');
SELECT resume_queue('studio_jobs', 'ENRICHING');
SELECT worker, process_id, stage, overdue, cancel_requested_at IS NOT NULL AS to_stop FROM get_running_jobs('studio_jobs');
RESET ROLE;

SET ROLE authenticated;
SELECT create_studio_job(auth.uid(), 'recordings/third.mp3', p_run_at => now() + interval '1 day',
                         p_idempotency_key => 'upload-3', p_max_attempts => 2) ->> 'job_id' AS later_id \gset
SELECT create_studio_job(auth.uid(), 'recordings/third.mp3',
                         p_idempotency_key => 'upload-3') ->> 'job_id' = :'later_id' AS same;
RESET ROLE;

-- README: Content
SET ROLE service_role;
INSERT INTO companies (id, name) VALUES ('c0ffee00-0000-4000-8000-000000000001', 'Vasa Museum');
INSERT INTO employees (company_id, user_id, name)
VALUES ('c0ffee00-0000-4000-8000-000000000001', 'a11ce000-0000-4000-8000-000000000001', 'Alice');

SELECT create_module_content(
  p_module_name => 'Why ships sink', p_employee_name => 'Alice',
  p_company_id => 'c0ffee00-0000-4000-8000-000000000001') AS content_id \gset

SELECT update_module_sections(:'content_id', '{
  "introduction": "The Vasa sank on her maiden voyage.",
  "core_content": "She was top-heavy: too many guns, too little ballast."}') AS words;
SELECT store_quality_assessment(:'content_id', 8.5) IS NOT NULL AS assessed;
SELECT status, total_word_count, section_word_counts ->> 'core_content' AS core_content FROM cm_module_content;

SELECT create_multimedia_session(p_content_id => :'content_id') AS session_id \gset
SELECT jsonb_array_length(register_multimedia_assets(:'session_id', '[
  {"asset_type": "slide", "file_path": "/tmp/1.png", "section_name": "introduction"},
  {"asset_type": "slide", "file_path": "/tmp/2.png", "section_name": "core_content"},
  {"asset_type": "video", "file_path": "/tmp/vasa.mp4", "duration_seconds": 95}]')) AS registered;
SELECT update_session_status(:'session_id', 'completed') ->> 'progress_percentage' AS progress;
SELECT total_assets_generated, slides_generated, video_files_generated FROM mm_multimedia_sessions;
RESET ROLE;

SET ROLE authenticated;
SELECT module_name, section, headline FROM search_module_content('gun ballast');
SELECT get_content_statistics() #>> '{assets,by_type}' AS files;
RESET ROLE;

-- README: Credits
SELECT entry_no, type, amount, balance_after, note FROM credit_ledger ORDER BY entry_no;

SET ROLE service_role;
INSERT INTO jobs (project_id, user_id)
VALUES (:'project_id', 'a11ce000-0000-4000-8000-000000000001')
RETURNING id AS third_id \gset
SELECT reserve_credits('a11ce000-0000-4000-8000-000000000001', :'third_id', 9) AS too_much;
SELECT reserve_credits('a11ce000-0000-4000-8000-000000000001', :'third_id', 5) AS held;
SELECT settle_credits(:'third_id', 4) AS charged;

SELECT grant_credits('a11ce000-0000-4000-8000-000000000001', 5, 'Sorry', 'ticket-1') IS NOT NULL AS granted;
SELECT purchase_credits('a11ce000-0000-4000-8000-000000000001', 50, 'pi_1')
     = purchase_credits('a11ce000-0000-4000-8000-000000000001', 50, 'pi_1') AS booked_once;
SELECT get_credit_balance('a11ce000-0000-4000-8000-000000000001') AS balance;
RESET ROLE;

SET ROLE service_role;
SELECT subscription_credits('a11ce000-0000-4000-8000-000000000001', 20, 'in_1', 'April',
                            now() + INTERVAL '3 days') IS NOT NULL AS booked;
SELECT refund_credits(:'third_id', 1, 'Sorry', 'ticket-2') AS refunded;
RESET ROLE;

SET ROLE service_role;
SELECT reverse_purchase('pi_1', 50, 'Disputed', 'dispute-1') AS taken;
SELECT reinstate_purchase('pi_1', 'Dispute won', 'dispute-1') AS given_back;
RESET ROLE;

SET ROLE authenticated;
SELECT s.key, s.value
  FROM jsonb_each(get_credit_summary('a11ce000-0000-4000-8000-000000000001')) AS s
 WHERE s.key <> 'next_expiry';
RESET ROLE;

BEGIN;
SET ROLE service_role;
SELECT grant_credits('a11ce000-0000-4000-8000-000000000001', 500, 'Sorry', 'ticket-3', p_priority => -1) AS lot_id \gset
SELECT void_credits(:'lot_id', 495, 'Five were meant', 'ticket-4') AS taken_back;
RESET ROLE;
SET ROLE authenticated;
SELECT type, amount, remaining, held, priority, note FROM get_credit_lots('a11ce000-0000-4000-8000-000000000001');
RESET ROLE;

INSERT INTO auth.users (id) VALUES ('b0b00000-0000-4000-8000-000000000002');
SET ROLE service_role;
SELECT transfer_credits('a11ce000-0000-4000-8000-000000000001', 'b0b00000-0000-4000-8000-000000000002', 30, 'gift-1') AS moved;
SELECT merge_accounts('b0b00000-0000-4000-8000-000000000002', 'a11ce000-0000-4000-8000-000000000001', 'merge-1') AS merged;
RESET ROLE;
ROLLBACK;

SET ROLE service_role;
SELECT hold_credits('a11ce000-0000-4000-8000-000000000001', 3, 'chats:17', p_expires => '10 minutes') AS hold_id \gset
SELECT capture_hold(:'hold_id', 2) AS charged;
SELECT charge_credits('a11ce000-0000-4000-8000-000000000001', 1, 'answer-5', 'chats:17') AS balance;
SELECT top_up_credits('a11ce000-0000-4000-8000-000000000001', 1000, 'May', now() + interval '1 month') > 0 AS topped_up;
RESET ROLE;

SET ROLE service_role;
SELECT apply_stripe_event('{"id": "evt_1", "type": "checkout.session.completed", "created": 1750000000, "data": {"object": {
  "id": "cs_1", "object": "checkout.session", "created": 1750000000, "mode": "payment", "payment_status": "paid",
  "amount_total": 900, "currency": "eur", "payment_intent": "pi_9",
  "metadata": {"credits": "90", "user_id": "a11ce000-0000-4000-8000-000000000001"}}}}') ->> 'credits_booked' AS booked;
SELECT apply_stripe_event('{"id": "evt_2", "type": "charge.refunded", "created": 1750000060, "data": {"object": {
  "id": "ch_9", "object": "charge", "created": 1750000000, "amount": 900, "amount_refunded": 900, "currency": "eur",
  "payment_intent": "pi_9"}}}') ->> 'credits_reversed' AS taken;
RESET ROLE;

SET ROLE service_role;
SELECT expire_credits() AS expired, sweep_stale_holds() AS given_back, cleanup_expired_drafts() AS deleted;
SELECT * FROM verify_credit_ledger();
RESET ROLE;

-- README: Pipeline
SET ROLE authenticated;
SELECT pipeline.create_job('run-1', '{"title": "Vasa"}') ->> 'status' AS status;
RESET ROLE;

SET ROLE service_role;
SELECT pipeline.set_job_status('run-1', 'running') ->> 'status' AS status;
SELECT pipeline.record_event('run-1', 'painter', 'sketched', '{"pages": 3}') AS seq;
SELECT pipeline.register_artifact('run-1', 'zip', 'https://cdn.example.com/a.zip', p_checksum => 'sha256:1f')
     = pipeline.register_artifact('run-1', 'zip', 'https://cdn.example.com/b.zip', p_checksum => 'sha256:1f') AS once;
SELECT pipeline.set_job_status('run-1', 'failed', 'Out of paper') ->> 'status' AS status;
RESET ROLE;

SET ROLE authenticated;
SELECT seq, bot_name, event_type, payload FROM pipeline.events_since('run-1', 2);
SELECT pipeline.retry_job('run-1') ->> 'status' AS status;
SELECT pipeline.cancel_job('run-1') ->> 'status' AS status;
RESET ROLE;

SET ROLE service_role;
SELECT pipeline.upsert_prompt('painter.system', 'system', 'painter', 'You paint ships.') ->> 'id' AS id;
SELECT pipeline.delete_old_events(INTERVAL '90 days') AS deleted;
RESET ROLE;

-- README: Partitions
BEGIN;
SELECT studio_engine.partition_by_month('job_events') AS months_ahead;
ROLLBACK;

-- README: Live updates
\set ECHO none
\i test/sql/include/realtime_stub.sql
\set ECHO all
SELECT count(*) AS tables FROM enable_broadcast();
SELECT count(*) AS published FROM enable_realtime();

-- README: Storage, with a stand-in for it
BEGIN;
\set ECHO none
\i test/sql/include/storage_stub.sql
\set ECHO all
SELECT object_name, added FROM enable_storage();
ROLLBACK;

UPDATE studio_engine.settings SET value = 'https://example.supabase.co/storage/v1/object/public' WHERE name = 'storage_public_url';
UPDATE mm_multimedia_assets SET storage_path = storage_path WHERE public_url IS NULL;
SELECT asset_name, regexp_replace(public_url, '[0-9]{8}T[0-9]+', '(time)') AS public_url
  FROM mm_multimedia_assets WHERE asset_type = 'video';
-- not in README: as it was
UPDATE studio_engine.settings SET value = '' WHERE name = 'storage_public_url';

DELETE FROM mm_multimedia_assets WHERE asset_type = 'slide';
SET ROLE service_role;
SELECT count(*) AS left_behind FROM list_removed_files();
SELECT forget_removed_files(ARRAY(SELECT file_id FROM list_removed_files())) AS forgotten;
RESET ROLE;

-- README: Errors
UPDATE jobs SET status = 'READY' WHERE id = :'third_id';

-- README: Roles and rights
CREATE POLICY no_anonymous ON studio_jobs AS RESTRICTIVE TO authenticated
  USING ((auth.jwt() ->> 'is_anonymous')::boolean IS NOT TRUE);

-- README: Settings
SELECT name, value, description FROM get_settings() WHERE name <> 'default_system_prompt' ORDER BY name;
SELECT set_setting('welcome_credits', '25');
SELECT max_bytes AS bytes, table_name, string_agg(column_name, ', ' ORDER BY column_name) AS columns
  FROM studio_engine.value_limits() WHERE max_bytes > 8192
 GROUP BY max_bytes, table_name ORDER BY max_bytes DESC, table_name;

-- README: Delete a user
DELETE FROM auth.users WHERE id = 'a11ce000-0000-4000-8000-000000000001';
SELECT (SELECT count(*) FROM jobs) AS jobs, (SELECT count(*) FROM credit_ledger) AS entries;

-- README: With the Supabase CLI
BEGIN;
-- a later migration
ALTER TABLE public.projects ADD COLUMN campaign text;
CREATE POLICY "no anonymous users" ON public.projects AS RESTRICTIVE FOR INSERT TO authenticated
  WITH CHECK ((auth.jwt() ->> 'is_anonymous')::boolean IS NOT TRUE);
UPDATE studio_engine.settings SET value = '5' WHERE name = 'welcome_credits';
ROLLBACK;

-- What the examples changed for the tests that follow.
SELECT bool_and(removed) AS all_removed FROM disable_broadcast();
DROP SCHEMA realtime CASCADE;
DROP OWNED BY supabase_realtime_admin;
DROP ROLE supabase_realtime_admin;
DROP POLICY no_anonymous ON studio_jobs;
SELECT set_setting('welcome_credits', NULL);
DELETE FROM pipeline.prompts;
DELETE FROM companies;
RESET request.jwt.claims;
