-- The catalogue facts that SPEC section 1 demands of every table and function, and
-- seeds 000 and 003 to the letter: names, types, defaults, checks, indexes, policies, labels.
-- Wants a database in which schemas public, pipeline and studio_engine hold nothing but ours.
-- The pitfall: expectations are literals copied from the seeds, never computed from
-- the installation, which would agree with itself whatever it is.
SET search_path = tap, public, pg_catalog;
SET client_min_messages = warning;

BEGIN;
SELECT plan(203);

--------------------------------------------------------------------------------
-- Helpers: comparing, and what there is to look at
--------------------------------------------------------------------------------

-- Rows of two queries as text, in no order: names and literals differ in collation,
-- which results_eq() does not forgive.  A failure shows the difference only.
CREATE FUNCTION pg_temp.lines(p_query text) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
	v_lines text[];
BEGIN
	EXECUTE format('SELECT array_agg(q::text) FROM (%s) q', p_query) INTO v_lines;
	RETURN v_lines;
END $$;

CREATE FUNCTION pg_temp.beyond(p_lines text[], p_others text[]) RETURNS text
LANGUAGE sql AS $$
	SELECT COALESCE(string_agg(line, E'\n' ORDER BY line COLLATE "C"), 'nothing more')
	FROM (SELECT unnest(p_lines) EXCEPT ALL SELECT unnest(p_others)) AS t (line);
$$;

CREATE FUNCTION pg_temp.same_rows(p_query text, p_expected text, p_description text) RETURNS text
LANGUAGE sql AS $$
	SELECT is('there is ' || pg_temp.beyond(pg_temp.lines(p_query), pg_temp.lines(p_expected))
			  || E'\nwanted is ' || pg_temp.beyond(pg_temp.lines(p_expected), pg_temp.lines(p_query)),
			  E'there is nothing more\nwanted is nothing more', p_description);
$$;

CREATE TEMPORARY VIEW our_tables AS
	SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relrowsecurity, c.relowner
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname IN ('public', 'pipeline', 'studio_engine') AND c.relkind IN ('r', 'p');

-- Seed 004 has a test of its own, 15_content_catalogue.sql.
CREATE TEMPORARY VIEW content_tables AS
	SELECT name FROM our_tables WHERE name ~ '^(cm|mm)_' OR name IN ('companies', 'employees', 'content_search');

CREATE TEMPORARY VIEW our_functions AS
	SELECT p.*, n.nspname AS schema, p.oid::regprocedure::text AS signature
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname IN ('public', 'pipeline', 'studio_engine');

CREATE TEMPORARY VIEW our_members AS
	SELECT d.classid, d.objid
	FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'studio_engine' AND d.deptype = 'e';

-- A policy FOR ALL counts for each of the four commands.
CREATE TEMPORARY VIEW our_policies AS
	SELECT t.oid::regclass::text AS tbl, p.polname, p.polpermissive, p.polroles, cmd.letter AS command,
		   pg_get_expr(p.polqual, p.polrelid) AS using_text,
		   pg_get_expr(p.polwithcheck, p.polrelid) AS check_text, p.oid, p.polrelid
	FROM pg_policy p JOIN our_tables t ON t.oid = p.polrelid
	JOIN unnest('{r,a,w,d}'::text[]) AS cmd (letter) ON p.polcmd::text IN ('*', cmd.letter);

--------------------------------------------------------------------------------
-- Tables
--------------------------------------------------------------------------------

SELECT pg_temp.same_rows(
	$$ SELECT schema::text, name::text FROM our_tables $$,
	$$ VALUES ('public', 'assets'), ('public', 'credit_accounts'), ('public', 'credit_ledger'),
			  ('public', 'draft_prompts'), ('public', 'job_steps'), ('public', 'jobs'), ('public', 'logs'),
			  ('public', 'profiles'), ('public', 'projects'), ('public', 'studio_jobs'),
			  ('public', 'companies'), ('public', 'employees'), ('public', 'cm_module_content'),
			  ('public', 'cm_course_plans'), ('public', 'cm_research_results'),
			  ('public', 'cm_quality_assessments'), ('public', 'cm_enhancement_sessions'),
			  ('public', 'mm_multimedia_sessions'), ('public', 'mm_multimedia_assets'),
			  ('public', 'mm_audio_narrations'), ('public', 'mm_slide_presentations'),
			  ('public', 'mm_script_generations'), ('public', 'mm_video_analytics'),
			  ('public', 'mm_rendering_queue'),
			  ('pipeline', 'artifacts'), ('pipeline', 'job_events'), ('pipeline', 'jobs'), ('pipeline', 'prompts'),
			  ('studio_engine', 'attempts'), ('studio_engine', 'credit_keys'), ('studio_engine', 'content_search'), ('studio_engine', 'expiring_credits'), ('studio_engine', 'ledger_hashes'),
			  ('studio_engine', 'expiring_holds'), ('studio_engine', 'failed_sign_ups'), ('studio_engine', 'lot_checkpoints'), ('studio_engine', 'transfers'),
			  ('studio_engine', 'meta'), ('studio_engine', 'payment_digests'), ('studio_engine', 'queue'), ('studio_engine', 'queue_stages'), ('studio_engine', 'removed_files'), ('studio_engine', 'settings'), ('studio_engine', 'welcomed'),
			  ('studio_engine', 'stripe_events'), ('studio_engine', 'stripe_facts'), ('studio_engine', 'stripe_objects') $$,
	'these tables and no others');
SELECT is_empty(
	$$ SELECT c.oid::regclass, c.relkind FROM pg_class c
	   WHERE c.relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
		 AND c.relkind NOT IN ('r', 'i') $$,
	'nothing but tables and indexes: no view or sequence that would need rights of its own');
SELECT is_empty($$ SELECT oid::regclass FROM our_tables WHERE NOT relrowsecurity $$,
				'row level security is on for every table');
SELECT is_empty($$ SELECT oid::regclass FROM our_tables WHERE obj_description(oid, 'pg_class') IS NULL $$,
				'every table has a comment');
SELECT is_empty(
	$$ SELECT t.oid::regclass, a.attname FROM our_tables t JOIN pg_attribute a ON a.attrelid = t.oid
	   WHERE a.attnum > 0 AND NOT a.attisdropped AND col_description(t.oid, a.attnum) IS NULL $$,
	'every column has a comment');
SELECT is_empty(
	$$ SELECT ty.oid::regtype FROM pg_type ty
	   WHERE ty.typnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace, 'studio_engine'::regnamespace)
		 AND ty.typtype IN ('e', 'd', 'r', 'm')
		 AND obj_description(ty.oid, 'pg_type') IS NULL $$,
	'every type has a comment');
SELECT isnt(obj_description('studio_engine'::regnamespace, 'pg_namespace'), NULL, 'the private schema has a comment');
SELECT isnt(obj_description('pipeline'::regnamespace, 'pg_namespace'), NULL, '... and so has schema pipeline');
SELECT is_empty(
	$$ SELECT t.oid::regclass FROM our_tables t
	   WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'p') $$,
	'every table has a primary key');

-- The leading column counts; a partial index does not help to find all children.
SELECT is_empty(
	$$ SELECT c.conrelid::regclass, c.conname FROM pg_constraint c JOIN our_tables t ON t.oid = c.conrelid
	   WHERE c.contype = 'f'
		 AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indpred IS NULL
						 AND i.indisvalid AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] = c.conkey) $$,
	'every foreign key has an index');
SELECT is_empty(
	$$ SELECT c.conname FROM pg_constraint c JOIN our_tables t ON t.oid = c.conrelid WHERE NOT c.convalidated $$,
	'every constraint is validated');

--------------------------------------------------------------------------------
-- Policies
--------------------------------------------------------------------------------

SELECT pg_temp.same_rows(
	$$ SELECT CASE schemaname WHEN 'pipeline' THEN 'pipeline.' ELSE '' END || tablename, policyname::text, cmd FROM pg_policies
	   WHERE schemaname IN ('public', 'pipeline', 'studio_engine') $$,
	$$ VALUES ('assets', 'assets_select', 'SELECT'),
			  ('credit_accounts', 'credit_accounts_select', 'SELECT'),
			  ('credit_ledger', 'credit_select', 'SELECT'),
			  ('draft_prompts', 'drafts_select', 'SELECT'),
			  ('job_steps', 'job_steps_select', 'SELECT'),
			  ('jobs', 'jobs_select', 'SELECT'),
			  ('logs', 'logs_select', 'SELECT'),
			  ('pipeline.artifacts', 'artifacts_select', 'SELECT'),
			  ('pipeline.job_events', 'job_events_select', 'SELECT'),
			  ('pipeline.jobs', 'jobs_select', 'SELECT'),
			  ('pipeline.prompts', 'prompts_select', 'SELECT'),
			  ('profiles', 'profiles_select', 'SELECT'),
			  ('profiles', 'profiles_update', 'UPDATE'),
			  ('projects', 'projects_all', 'ALL'),
			  ('studio_jobs', 'studio_jobs_insert', 'INSERT'),
			  ('studio_jobs', 'studio_jobs_select', 'SELECT'),
			  ('studio_jobs', 'studio_jobs_update', 'UPDATE'),
			  ('companies', 'companies_select', 'SELECT'), ('employees', 'employees_select', 'SELECT'),
			  ('cm_module_content', 'cm_module_content_select', 'SELECT'),
			  ('cm_course_plans', 'cm_course_plans_select', 'SELECT'),
			  ('cm_research_results', 'cm_research_results_select', 'SELECT'),
			  ('cm_quality_assessments', 'cm_quality_assessments_select', 'SELECT'),
			  ('cm_enhancement_sessions', 'cm_enhancement_sessions_select', 'SELECT'),
			  ('mm_multimedia_sessions', 'mm_multimedia_sessions_select', 'SELECT'),
			  ('mm_multimedia_assets', 'mm_multimedia_assets_select', 'SELECT'),
			  ('mm_audio_narrations', 'mm_audio_narrations_select', 'SELECT'),
			  ('mm_slide_presentations', 'mm_slide_presentations_select', 'SELECT'),
			  ('mm_script_generations', 'mm_script_generations_select', 'SELECT'),
			  ('mm_video_analytics', 'mm_video_analytics_select', 'SELECT'),
			  ('mm_rendering_queue', 'mm_rendering_queue_select', 'SELECT') $$,
	'these policies, those of seed 003 under its names');
-- Seed 000 gives its policies no names, but their conditions.
SELECT pg_temp.same_rows(
	$$ SELECT cmd, permissive, regexp_replace(qual, '\s+', '', 'g'), regexp_replace(with_check, '\s+', '', 'g')
	   FROM pg_policies WHERE schemaname = 'public' AND tablename = 'studio_jobs' $$,
	$$ VALUES ('SELECT', 'PERMISSIVE', '((SELECTauth.uid()ASuid)=user_id)', NULL),
			  ('INSERT', 'PERMISSIVE', NULL, '((SELECTauth.uid()ASuid)=user_id)'),
			  ('UPDATE', 'PERMISSIVE', '((SELECTauth.uid()ASuid)=user_id)', '((SELECTauth.uid()ASuid)=user_id)') $$,
	'studio_jobs: the three policies of the seed: auth.uid() = user_id, before and after an UPDATE');
SELECT is_empty(
	$$ SELECT tbl, polname FROM our_policies WHERE polroles <> ARRAY['authenticated'::regrole::oid] $$,
	'every policy is TO authenticated');
SELECT is_empty(
	$$ SELECT tbl, command, count(*) FROM our_policies WHERE polpermissive GROUP BY 1, 2, polroles HAVING count(*) > 1 $$,
	'one permissive policy per role and command');
SELECT is_empty(
	$$ SELECT tbl, polname FROM our_policies
	   WHERE COALESCE(using_text, check_text) !~ '\(\s*SELECT auth\.uid\(\) AS uid\)'
		  OR regexp_replace(concat(using_text, check_text), '\(\s*SELECT auth\.uid\(\) AS uid\)', '', 'g') ~ 'uid\(' $$,
	'every policy asks (SELECT auth.uid()), once per statement and not per row');
SELECT is_empty(
	$$ SELECT DISTINCT p.tbl, p.polname, a.attname
	   FROM our_policies p
	   JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
					   AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
	   JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
	   WHERE (d.refobjid::regclass::text, a.attname) <> ('logs', 'level')
		 AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = d.refobjid AND i.indpred IS NULL
						 AND i.indkey[0] = d.refobjsubid) $$,
	'every policy column has an index (but logs.level, which only filters what user_id found)');

--------------------------------------------------------------------------------
-- Functions
--------------------------------------------------------------------------------

SELECT is_empty($$ SELECT signature FROM our_functions WHERE obj_description(oid, 'pg_proc') IS NULL $$,
				'every function has a comment');
SELECT is_empty(
	$$ SELECT signature FROM our_functions
	   WHERE NOT EXISTS (SELECT FROM our_members m WHERE m.classid = 'pg_proc'::regclass AND m.objid = oid) $$,
	'every function is a member of the extension');
SELECT is_empty(
	$$ SELECT m.objid::regprocedure FROM our_members m
	   WHERE m.classid = 'pg_proc'::regclass AND NOT EXISTS (SELECT FROM our_functions f WHERE f.oid = m.objid) $$,
	'... and every member function is in one of the three schemas');
SELECT is_empty(
	$$ SELECT signature, proconfig FROM our_functions
	   WHERE ('search_path=pg_catalog, pg_temp' = ANY (proconfig)) IS NOT TRUE
	     AND signature NOT IN ('studio_engine.enforce_workflow()', 'studio_engine.keep_hooks()', 'studio_engine.limit_values()', 'update_updated_at()') $$,
	'every function sets search_path, with the temporary schema last, but four that C does without or sets by itself');
SELECT is_empty(
	$$ SELECT proname::text, c FROM our_functions, unnest(proconfig) AS c
	   WHERE c NOT LIKE 'search_path=%' AND NOT (c = 'lock_timeout=5s' AND proname LIKE '%\_as\_owner')
	     AND (proname, c) <> ('search_module_content', 'enable_seqscan=off') $$,
	'... and nothing else, but where locks of whole tables do not wait for ever and a search uses its index');
SELECT is_empty($$ SELECT signature FROM our_functions WHERE prosecdef $$, 'no function is SECURITY DEFINER');
SELECT set_eq($$ SELECT signature FROM our_functions WHERE proisstrict $$,
			  ARRAY['studio_engine.count_words(text)'],
			  'no function is STRICT, a NULL is refused by name and not answered by NULL, but in arithmetic');
SELECT is_empty($$ SELECT signature FROM our_functions WHERE proleakproof $$, 'no function claims to be leakproof');
SELECT is_empty(
	$$ SELECT signature FROM our_functions
	   WHERE (SELECT rolsuper FROM pg_roles WHERE oid = proowner) IS NOT TRUE $$,
	'functions belong to a superuser, so that nobody else can replace their body');
SELECT is_empty(
	$$ SELECT f.signature, a.name FROM our_functions f,
		   LATERAL unnest(COALESCE(f.proargnames[1:f.pronargs], array_fill(''::text, ARRAY[f.pronargs::int]))) AS a (name)
	   WHERE f.pronargs > 0 AND a.name !~ '^p_[a-z_]+$' $$,
	'every argument has a name that begins with p_');
SELECT is_empty(
	$$ SELECT f.signature, t.oid::regtype FROM our_functions f,
		   LATERAL unnest(COALESCE(f.proallargtypes, f.proargtypes::oid[]) || f.prorettype) AS t (oid)
	   WHERE t.oid::regtype::text <> ALL ('{uuid,text,jsonb,integer,bigint,boolean,"timestamp with time zone",interval,numeric,real,record,trigger,event_trigger,void,text[],uuid[]}'::text[]) $$,
	'signatures name base types only');
SELECT is_empty(
	$$ SELECT f.signature FROM our_functions f
	   WHERE f.prorettype = 'record'::regtype AND (f.proallargtypes IS NULL OR NOT f.proretset) $$,
	'a record is returned by sets with named columns only');
SELECT is_empty($$ SELECT schema, proname FROM our_functions GROUP BY 1, 2 HAVING count(*) > 1 $$,
				'no function is overloaded');
SELECT is_empty(
	$$ SELECT signature FROM our_functions
	   WHERE proparallel <> CASE WHEN provolatile = 'i' THEN 's' ELSE 'u' END $$,
	'only what reads no table runs in parallel workers, where a caller check would be asked again');

CREATE TEMPORARY TABLE expected_function (signature text, result text, volatility text);
INSERT INTO expected_function VALUES
	('public.advance_job(p_job_id uuid, p_status text, p_progress integer DEFAULT NULL::integer, p_status_message text DEFAULT NULL::text, p_lease_token uuid DEFAULT NULL::uuid, p_hand_over boolean DEFAULT false)', 'jsonb', 'v'),
	('public.cancel_job(p_job_id uuid, p_reason text DEFAULT NULL::text)', 'jsonb', 'v'),
	('public.cancel_studio_job(p_job_id uuid, p_reason text DEFAULT NULL::text)', 'jsonb', 'v'),
	('public.claim_draft_prompt(p_session_token text, p_user_id uuid)', 'uuid', 'v'),
	('public.claim_jobs(p_system text, p_worker text, p_limit integer DEFAULT 1, p_lease interval DEFAULT NULL::interval, p_stages text[] DEFAULT NULL::text[], p_process_id text DEFAULT NULL::text)', 'TABLE(job_id uuid, lease_token uuid, attempt integer, lease_expires_at timestamp with time zone, job jsonb)', 'v'),
	('public.cleanup_expired_drafts(p_limit integer DEFAULT 1000)', 'integer', 'v'),
	('public.complete_job(p_job_id uuid, p_output_url text DEFAULT NULL::text, p_manifest jsonb DEFAULT NULL::jsonb, p_final_cost integer DEFAULT NULL::integer, p_lease_token uuid DEFAULT NULL::uuid)', 'jsonb', 'v'),
	('public.create_job(p_project_id uuid, p_cost_credits integer, p_priority integer DEFAULT 0, p_run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, p_idempotency_key text DEFAULT NULL::text, p_max_attempts integer DEFAULT NULL::integer)', 'uuid', 'v'),
	('public.create_job_steps(p_job_id uuid, p_steps jsonb DEFAULT NULL::jsonb, p_lease_token uuid DEFAULT NULL::uuid)', 'integer', 'v'),
	('public.create_studio_job(p_user_id uuid, p_raw_audio_url text, p_system_prompt text DEFAULT NULL::text, p_priority integer DEFAULT 0, p_run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, p_idempotency_key text DEFAULT NULL::text, p_max_attempts integer DEFAULT NULL::integer)', 'jsonb', 'v'),
	('public.ensure_profile(p_user_id uuid)', 'jsonb', 'v'),
	('public.expire_credits(p_limit integer DEFAULT 1000)', 'integer', 'v'),
	('public.fail_job(p_job_id uuid, p_error_code text DEFAULT NULL::text, p_error_message text DEFAULT NULL::text, p_failed_step text DEFAULT NULL::text, p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL::uuid, p_retry_in interval DEFAULT NULL::interval)', 'jsonb', 'v'),
	('public.fail_studio_job(p_job_id uuid, p_error jsonb, p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL::uuid, p_retry_in interval DEFAULT NULL::interval)', 'jsonb', 'v'),
	('public.get_credit_balance(p_user_id uuid)', 'integer', 's'),
	('public.get_credit_summary(p_user_id uuid)', 'jsonb', 's'),
	('public.get_credit_lots(p_user_id uuid)', 'TABLE(entry_id uuid, type text, amount integer, remaining integer, held integer, priority integer, expires_at timestamp with time zone, note text, created_at timestamp with time zone)', 's'),
	('public.void_credits(p_entry_id uuid, p_amount integer DEFAULT NULL::integer, p_note text DEFAULT NULL::text, p_idempotency_key text DEFAULT NULL::text)', 'integer', 'v'),
	('public.transfer_credits(p_from_user_id uuid, p_to_user_id uuid, p_amount integer, p_idempotency_key text DEFAULT NULL::text, p_note text DEFAULT NULL::text)', 'integer', 'v'),
	('public.merge_accounts(p_from_user_id uuid, p_to_user_id uuid, p_idempotency_key text DEFAULT NULL::text)', 'integer', 'v'),
	('public.get_dashboard(p_user_id uuid DEFAULT NULL::uuid, p_limit integer DEFAULT 20)', 'jsonb', 's'),
	('public.get_draft_prompt(p_session_token text)', 'jsonb', 's'),
	('public.get_job_attempts(p_job_id uuid)', 'TABLE(system text, attempt integer, worker text, started_at timestamp with time zone, ended_at timestamp with time zone, outcome text, error jsonb, stage text)', 's'),
	('public.get_job_statistics(p_system text, p_user_id uuid DEFAULT NULL::uuid, p_window interval DEFAULT NULL::interval)', 'jsonb', 's'),
	('public.grant_credits(p_user_id uuid, p_amount integer, p_note text DEFAULT NULL::text, p_idempotency_key text DEFAULT NULL::text, p_expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, p_priority integer DEFAULT 0)', 'uuid', 'v'),
	('public.hold_credits(p_user_id uuid, p_amount integer, p_reference text, p_note text DEFAULT NULL::text, p_expires interval DEFAULT ''1 day''::interval, p_idempotency_key text DEFAULT NULL::text)', 'uuid', 'v'),
	('public.capture_hold(p_hold_id uuid, p_amount integer DEFAULT NULL::integer, p_overrun text DEFAULT ''error''::text)', 'integer', 'v'),
	('public.release_hold(p_hold_id uuid)', 'integer', 'v'),
	('public.charge_credits(p_user_id uuid, p_amount integer, p_idempotency_key text DEFAULT NULL::text, p_reference text DEFAULT NULL::text, p_note text DEFAULT NULL::text)', 'integer', 'v'),
	('public.top_up_credits(p_user_id uuid, p_target integer, p_idempotency_key text DEFAULT NULL::text, p_expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, p_note text DEFAULT NULL::text)', 'integer', 'v'),
	('public.handle_new_user()', 'trigger', 'v'),
	('public.heartbeat_job(p_job_id uuid, p_lease_token uuid, p_progress integer DEFAULT NULL::integer, p_status_message text DEFAULT NULL::text, p_lease interval DEFAULT NULL::interval)', 'jsonb', 'v'),
	('public.log_job(p_job_id uuid, p_level text, p_message text, p_step_name text DEFAULT NULL::text, p_metadata jsonb DEFAULT NULL::jsonb, p_lease_token uuid DEFAULT NULL::uuid)', 'uuid', 'v'),
	('public.purchase_credits(p_user_id uuid, p_amount integer, p_stripe_payment_id text, p_note text DEFAULT NULL::text, p_expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone)', 'uuid', 'v'),
	('public.reap_expired_leases(p_limit integer DEFAULT 1000)', 'integer', 'v'),
	('public.record_asset(p_job_id uuid, p_type text, p_url text, p_storage_path text, p_size_bytes bigint DEFAULT NULL::bigint, p_mime_type text DEFAULT NULL::text, p_metadata jsonb DEFAULT NULL::jsonb, p_lease_token uuid DEFAULT NULL::uuid)', 'uuid', 'v'),
	('public.refund_credits(p_job_id uuid, p_amount integer, p_note text DEFAULT NULL::text, p_idempotency_key text DEFAULT NULL::text)', 'integer', 'v'),
	('public.apply_stripe_event(p_event jsonb)', 'jsonb', 'v'),
	('public.reinstate_purchase(p_stripe_payment_id text, p_note text DEFAULT NULL::text, p_idempotency_key text DEFAULT NULL::text)', 'integer', 'v'),
	('public.release_credits(p_job_id uuid, p_note text DEFAULT NULL::text)', 'integer', 'v'),
	('public.release_leases(p_worker text, p_process_id text DEFAULT NULL::text, p_lease_tokens uuid[] DEFAULT NULL::uuid[])', 'integer', 'v'),
	('public.finish_and_claim(p_system text, p_worker text, p_job_id uuid, p_lease_token uuid, p_result jsonb DEFAULT NULL::jsonb, p_error jsonb DEFAULT NULL::jsonb, p_retryable boolean DEFAULT false, p_retry_in interval DEFAULT NULL::interval, p_limit integer DEFAULT 1, p_lease interval DEFAULT NULL::interval, p_stages text[] DEFAULT NULL::text[], p_process_id text DEFAULT NULL::text)', 'TABLE(job_id uuid, lease_token uuid, attempt integer, lease_expires_at timestamp with time zone, job jsonb)', 'v'),
	('public.complete_jobs(p_system text, p_jobs jsonb)', 'TABLE(job_id uuid, done boolean, error_code text, error_message text)', 'v'),
	('public.fail_jobs(p_system text, p_jobs jsonb)', 'TABLE(job_id uuid, done boolean, error_code text, error_message text)', 'v'),
	('public.cancel_jobs(p_system text, p_job_ids uuid[], p_reason text DEFAULT NULL::text)', 'TABLE(job_id uuid, done boolean, error_code text, error_message text)', 'v'),
	('public.retry_failed_jobs(p_system text, p_error_code text DEFAULT NULL::text, p_since timestamp with time zone DEFAULT NULL::timestamp with time zone, p_limit integer DEFAULT 100)', 'TABLE(job_id uuid, done boolean, error_code text, error_message text)', 'v'),
	('public.pause_queue(p_system text, p_stage text DEFAULT NULL::text, p_reason text DEFAULT NULL::text)', 'void', 'v'),
	('public.resume_queue(p_system text, p_stage text DEFAULT NULL::text)', 'boolean', 'v'),
	('public.limit_stage(p_system text, p_stage text, p_max_running integer)', 'void', 'v'),
	('public.get_queue_stages(p_system text)', 'TABLE(stage text, paused_at timestamp with time zone, pause_reason text, max_running integer, running bigint, waiting bigint, delayed bigint, parked bigint, oldest_waiting_at timestamp with time zone)', 's'),
	('public.get_running_jobs(p_system text DEFAULT NULL::text, p_limit integer DEFAULT 100)', 'TABLE(system text, job_id uuid, user_id uuid, stage text, worker text, process_id text, attempt integer, started_at timestamp with time zone, lease_expires_at timestamp with time zone, overdue boolean, cancel_requested_at timestamp with time zone, cancel_reason text)', 's'),
	('public.recover_leases(p_worker text, p_process_id text DEFAULT NULL::text)', 'integer', 'v'),
	('public.reserve_credits(p_user_id uuid, p_job_id uuid, p_amount integer)', 'boolean', 'v'),
	('public.retry_job(p_job_id uuid)', 'jsonb', 'v'),
	('public.retry_studio_job(p_job_id uuid)', 'jsonb', 'v'),
	('public.reverse_purchase(p_stripe_payment_id text, p_amount integer DEFAULT NULL::integer, p_note text DEFAULT NULL::text, p_idempotency_key text DEFAULT NULL::text)', 'integer', 'v'),
	('public.save_draft_prompt(p_session_token text, p_prompt_text text, p_template_id text DEFAULT NULL::text, p_options jsonb DEFAULT ''{}''::jsonb)', 'uuid', 'v'),
	('public.settle_credits(p_job_id uuid, p_final_cost integer DEFAULT NULL::integer, p_overrun text DEFAULT ''error''::text)', 'integer', 'v'),
	('public.snooze_job(p_job_id uuid, p_lease_token uuid, p_for interval)', 'timestamp with time zone', 'v'),
	('public.store_enrichment(p_job_id uuid, p_entities jsonb, p_lease_token uuid DEFAULT NULL::uuid, p_hand_over boolean DEFAULT false)', 'jsonb', 'v'),
	('public.store_refined_text(p_job_id uuid, p_text text, p_model_version text DEFAULT NULL::text, p_lease_token uuid DEFAULT NULL::uuid)', 'jsonb', 'v'),
	('public.store_transcript(p_job_id uuid, p_transcript text, p_lease_token uuid DEFAULT NULL::uuid, p_hand_over boolean DEFAULT false)', 'jsonb', 'v'),
	('public.subscription_credits(p_user_id uuid, p_amount integer, p_stripe_payment_id text, p_note text DEFAULT NULL::text, p_expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone)', 'uuid', 'v'),
	('public.sweep_stale_holds(p_limit integer DEFAULT 500)', 'integer', 'v'),
	('public.update_job_step(p_job_id uuid, p_step_name text, p_state text, p_progress_pct integer DEFAULT NULL::integer, p_status_message text DEFAULT NULL::text, p_error_message text DEFAULT NULL::text, p_lease_token uuid DEFAULT NULL::uuid)', 'jsonb', 'v'),
	('public.update_studio_job_status(p_job_id uuid, p_status text, p_lease_token uuid DEFAULT NULL::uuid, p_hand_over boolean DEFAULT false)', 'jsonb', 'v'),
	('public.update_updated_at()', 'trigger', 'v'),
	('public.verify_credit_ledger(p_user_id uuid DEFAULT NULL::uuid)', 'TABLE(user_id uuid, problem text, expected text, actual text, entry_id uuid)', 's'),
	('public.enable_realtime()', 'TABLE(table_name text, added boolean)', 'v'),
	('public.enable_storage()', 'TABLE(object_name text, added boolean)', 'v'),
	('public.list_removed_files(p_limit integer DEFAULT 1000)', 'TABLE(file_id uuid, bucket text, path text, removed_at timestamp with time zone)', 's'),
	('public.forget_removed_files(p_file_ids uuid[])', 'integer', 'v'),
	('public.enable_broadcast()', 'TABLE(table_name text, added boolean)', 'v'),
	('public.disable_broadcast()', 'TABLE(table_name text, removed boolean)', 'v'),
	('public.workflow_diagram(p_workflow text)', 'text', 'i'),
	('public.workflow_transitions()', 'TABLE(workflow text, from_status text, to_status text, via text, condition text)', 'i'),
	('pipeline.cancel_job(p_run_id text)', 'jsonb', 'v'),
	('pipeline.create_job(p_run_id text, p_project_spec jsonb, p_owner_id uuid DEFAULT NULL::uuid)', 'jsonb', 'v'),
	('pipeline.delete_old_events(p_older_than interval, p_limit integer DEFAULT 1000)', 'integer', 'v'),
	('pipeline.events_since(p_run_id text, p_after bigint DEFAULT 0, p_limit integer DEFAULT 100)', 'TABLE(id uuid, run_id text, bot_name text, event_type text, payload jsonb, owner_id uuid, created_at timestamp with time zone, seq bigint)', 's'),
	('pipeline.get_job(p_run_id text)', 'jsonb', 's'),
	('pipeline.get_prompt(p_id text)', 'jsonb', 's'),
	('pipeline.record_event(p_run_id text, p_bot_name text, p_event_type text, p_payload jsonb DEFAULT ''{}''::jsonb)', 'bigint', 'v'),
	('pipeline.register_artifact(p_run_id text, p_kind text, p_url text, p_meta jsonb DEFAULT ''{}''::jsonb, p_file_size bigint DEFAULT NULL::bigint, p_content_type text DEFAULT NULL::text, p_checksum text DEFAULT NULL::text)', 'uuid', 'v'),
	('pipeline.retry_job(p_run_id text)', 'jsonb', 'v'),
	('pipeline.set_job_status(p_run_id text, p_status text, p_error_message text DEFAULT NULL::text)', 'jsonb', 'v'),
	('pipeline.upsert_prompt(p_id text, p_category text, p_context text, p_prompt_text text)', 'jsonb', 'v'),
	('public.archive_module_content(p_older_than interval, p_limit integer DEFAULT 1000)', 'integer', 'v'),
	('public.complete_enhancement_session(p_session_id uuid, p_research_conducted boolean DEFAULT NULL::boolean, p_content_regenerated boolean DEFAULT NULL::boolean, p_status text DEFAULT ''completed''::text)', 'jsonb', 'v'),
	('public.create_audio_narration(p_session_id uuid, p_narration_name text DEFAULT NULL::text, p_narration_type text DEFAULT ''full_module''::text, p_section_name text DEFAULT NULL::text, p_script_content text DEFAULT NULL::text, p_voice_config jsonb DEFAULT ''{}''::jsonb)', 'uuid', 'v'),
	('public.create_course_plan(p_employee_id uuid, p_employee_name text DEFAULT NULL::text, p_session_id text DEFAULT NULL::text, p_course_structure jsonb DEFAULT ''{}''::jsonb, p_course_title text DEFAULT NULL::text, p_course_duration_weeks integer DEFAULT NULL::integer, p_total_modules integer DEFAULT NULL::integer, p_prioritized_gaps jsonb DEFAULT ''{}''::jsonb, p_research_strategy jsonb DEFAULT ''{}''::jsonb, p_learning_path jsonb DEFAULT ''{}''::jsonb, p_employee_profile jsonb DEFAULT ''{}''::jsonb)', 'uuid', 'v'),
	('public.create_module_content(p_module_name text, p_employee_name text DEFAULT NULL::text, p_session_id text DEFAULT NULL::text, p_module_spec jsonb DEFAULT ''{}''::jsonb, p_company_id uuid DEFAULT NULL::uuid, p_research_context jsonb DEFAULT ''{}''::jsonb, p_priority_level text DEFAULT ''medium''::text)', 'uuid', 'v'),
	('public.create_multimedia_session(p_content_id uuid, p_module_name text DEFAULT NULL::text, p_employee_name text DEFAULT NULL::text, p_session_type text DEFAULT ''full_generation''::text, p_generation_config jsonb DEFAULT ''{}''::jsonb, p_content_sections text[] DEFAULT ''{}''::text[])', 'uuid', 'v'),
	('public.create_script_generation(p_session_id uuid, p_section_name text DEFAULT NULL::text, p_script_type text DEFAULT ''narration''::text, p_generation_config jsonb DEFAULT ''{}''::jsonb)', 'uuid', 'v'),
	('public.create_slide_presentation(p_session_id uuid, p_presentation_name text DEFAULT NULL::text, p_presentation_type text DEFAULT ''full_module''::text, p_total_slides integer DEFAULT 0, p_slide_order jsonb DEFAULT ''[]''::jsonb, p_template_used text DEFAULT NULL::text, p_theme_config jsonb DEFAULT ''{}''::jsonb)', 'uuid', 'v'),
	('public.cancel_rendering(p_render_id uuid, p_reason text DEFAULT NULL::text)', 'jsonb', 'v'),
	('public.complete_rendering(p_render_id uuid, p_asset_id uuid DEFAULT NULL::uuid, p_lease_token uuid DEFAULT NULL::uuid)', 'jsonb', 'v'),
	('public.fail_rendering(p_render_id uuid, p_error_code text DEFAULT NULL::text, p_error_message text DEFAULT NULL::text, p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL::uuid, p_retry_in interval DEFAULT NULL::interval)', 'jsonb', 'v'),
	('public.retry_rendering(p_render_id uuid)', 'jsonb', 'v'),
	('public.update_rendering(p_render_id uuid, p_status text, p_progress integer DEFAULT NULL::integer, p_lease_token uuid DEFAULT NULL::uuid, p_hand_over boolean DEFAULT false)', 'jsonb', 'v'),
	('public.enqueue_rendering(p_session_id uuid, p_render_config jsonb DEFAULT ''{}''::jsonb, p_priority integer DEFAULT 0, p_user_id uuid DEFAULT NULL::uuid, p_run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, p_idempotency_key text DEFAULT NULL::text, p_max_attempts integer DEFAULT NULL::integer)', 'uuid', 'v'),
	('public.get_content_sections(p_content_id uuid)', 'jsonb', 's'),
	('public.get_content_statistics(p_company_id uuid DEFAULT NULL::uuid)', 'jsonb', 's'),
	('public.get_latest_quality_assessment(p_content_id uuid)', 'jsonb', 's'),
	('public.get_module_content(p_content_id uuid)', 'jsonb', 's'),
	('public.get_session_statistics(p_session_id uuid)', 'jsonb', 's'),
	('public.record_video_view(p_asset_id uuid, p_watch_seconds numeric DEFAULT 0, p_completed boolean DEFAULT false)', 'jsonb', 'v'),
	('public.refresh_content_search(p_limit integer DEFAULT 1000)', 'integer', 'v'),
	('public.register_multimedia_asset(p_session_id uuid, p_content_id uuid, p_asset_type text, p_file_path text, p_asset_name text DEFAULT NULL::text, p_section_name text DEFAULT NULL::text, p_duration_seconds numeric DEFAULT NULL::numeric, p_file_size_bytes bigint DEFAULT NULL::bigint, p_mime_type text DEFAULT NULL::text, p_generation_config jsonb DEFAULT ''{}''::jsonb, p_storage_bucket text DEFAULT ''multimedia-assets''::text, p_storage_path text DEFAULT NULL::text, p_public_url text DEFAULT NULL::text)', 'uuid', 'v'),
	('public.register_multimedia_assets(p_session_id uuid, p_assets jsonb)', 'jsonb', 'v'),
	('public.search_module_content(p_query text, p_company_id uuid DEFAULT NULL::uuid, p_limit integer DEFAULT 20)', 'TABLE(content_id uuid, module_name text, section text, rank real, headline text)', 's'),
	('public.start_enhancement_session(p_content_id uuid, p_quality_assessment_id uuid DEFAULT NULL::uuid, p_enhancement_type text DEFAULT ''quality_improvement''::text, p_sections_to_enhance text[] DEFAULT NULL::text[], p_sections_preserved text[] DEFAULT NULL::text[])', 'uuid', 'v'),
	('public.store_quality_assessment(p_content_id uuid, p_overall_score numeric, p_section_scores jsonb DEFAULT ''{}''::jsonb, p_passed boolean DEFAULT NULL::boolean, p_accuracy_score numeric DEFAULT NULL::numeric, p_clarity_score numeric DEFAULT NULL::numeric, p_completeness_score numeric DEFAULT NULL::numeric, p_engagement_score numeric DEFAULT NULL::numeric, p_personalization_score numeric DEFAULT NULL::numeric, p_quality_feedback text DEFAULT NULL::text, p_requires_revision boolean DEFAULT NULL::boolean, p_sections_needing_work text[] DEFAULT ''{}''::text[], p_critical_issues text[] DEFAULT ''{}''::text[])', 'uuid', 'v'),
	('public.store_research_results(p_plan_id uuid, p_session_id text DEFAULT NULL::text, p_research_findings jsonb DEFAULT ''{}''::jsonb, p_content_library jsonb DEFAULT ''{}''::jsonb, p_module_mappings jsonb DEFAULT ''{}''::jsonb, p_search_queries text[] DEFAULT ''{}''::text[], p_sources_analyzed text[] DEFAULT ''{}''::text[], p_total_topics integer DEFAULT NULL::integer, p_total_sources integer DEFAULT NULL::integer, p_status text DEFAULT ''completed''::text)', 'uuid', 'v'),
	('public.update_audio_narration(p_narration_id uuid, p_status text DEFAULT NULL::text, p_total_duration_seconds numeric DEFAULT NULL::numeric, p_audio_segments jsonb DEFAULT NULL::jsonb, p_master_audio_id uuid DEFAULT NULL::uuid, p_segments_audio_ids uuid[] DEFAULT NULL::uuid[], p_script_content text DEFAULT NULL::text)', 'jsonb', 'v'),
	('public.update_module_section(p_content_id uuid, p_section_name text, p_section_content text)', 'integer', 'v'),
	('public.update_module_sections(p_content_id uuid, p_sections jsonb)', 'integer', 'v'),
	('public.update_script_generation(p_script_id uuid, p_status text DEFAULT NULL::text, p_script_content text DEFAULT NULL::text, p_error_message text DEFAULT NULL::text)', 'jsonb', 'v'),
	('public.update_session_status(p_session_id uuid, p_status text, p_progress_percentage numeric DEFAULT NULL::numeric, p_current_stage text DEFAULT NULL::text, p_error_message text DEFAULT NULL::text)', 'jsonb', 'v'),
	('public.update_slide_presentation(p_presentation_id uuid, p_status text DEFAULT NULL::text, p_total_slides integer DEFAULT NULL::integer, p_slide_order jsonb DEFAULT NULL::jsonb, p_pdf_asset_id uuid DEFAULT NULL::uuid, p_pptx_asset_id uuid DEFAULT NULL::uuid, p_html_asset_id uuid DEFAULT NULL::uuid)', 'jsonb', 'v'),
	('studio_engine.add_partitions(p_table text, p_ahead integer DEFAULT 3)', 'integer', 'v'),
	('studio_engine.add_partitions_as_owner(p_table text, p_ahead integer)', 'integer', 'v'),
	('studio_engine.count_assets()', 'trigger', 'v'),
	('studio_engine.count_script_words()', 'trigger', 'v'),
	('studio_engine.count_section_words()', 'trigger', 'v'),
	('studio_engine.index_content()', 'trigger', 'v'),
	('studio_engine.keep_hooks()', 'event_trigger', 'v'),
	('studio_engine.missing_hooks(OUT hook text, OUT detail text, OUT remedy text)', 'SETOF record', 's'),
	('studio_engine.inherit_company()', 'trigger', 'v'),
	('studio_engine.protect_session_counters()', 'trigger', 'v'),
	('studio_engine.pass_company_on()', 'trigger', 'v'),
	('studio_engine.chain_entry()', 'trigger', 'v'),
	('studio_engine.close_hold_of_ended_job()', 'trigger', 'v'),
	('studio_engine.close_created_table()', 'event_trigger', 'v'),
	('studio_engine.count_event()', 'trigger', 'v'),
	('studio_engine.check_new_own_row()', 'trigger', 'v'),
	('studio_engine.default_studio_job()', 'trigger', 'v'),
	('studio_engine.keep_own_row()', 'trigger', 'v'),
	('studio_engine.detach_partitions(p_table text, p_older_than interval, p_limit integer DEFAULT 1)', 'integer', 'v'),
	('studio_engine.detach_partitions_as_owner(p_table text, p_older_than interval, p_limit integer)', 'integer', 'v'),
	('studio_engine.enable_realtime_as_owner()', 'TABLE(table_name text, added boolean)', 'v'),
	('studio_engine.enable_storage_as_owner()', 'TABLE(object_name text, added boolean)', 'v'),
	('studio_engine.storage_obstacles()', 'SETOF text', 's'),
	('studio_engine.storage_rights_missing()', 'SETOF text', 's'),
	('studio_engine.storage_traps()', 'SETOF text', 's'),
	('studio_engine.fill_public_url()', 'trigger', 'v'),
	('studio_engine.track_file()', 'trigger', 'v'),
	('studio_engine.enable_broadcast_as_owner()', 'TABLE(table_name text, added boolean)', 'v'),
	('studio_engine.disable_broadcast_as_owner()', 'TABLE(table_name text, removed boolean)', 'v'),
	('studio_engine.broadcast_obstacle()', 'text', 's'),
	('studio_engine.broadcast_change()', 'trigger', 'v'),
	('studio_engine.enter_artifact()', 'trigger', 'v'),
	('studio_engine.enter_event()', 'trigger', 'v'),
	('studio_engine.guard_run()', 'trigger', 'v'),
	('studio_engine.forbid_artifact_change()', 'trigger', 'v'),
	('studio_engine.forbid_event_change()', 'trigger', 'v'),
	('studio_engine.partition_by_month(p_table text, p_ahead integer DEFAULT 3)', 'integer', 'v'),
	('studio_engine.partition_by_month_as_owner(p_table text, p_ahead integer)', 'integer', 'v'),
	('studio_engine.partition_obstacles(p_table text, OUT obstacle text)', 'SETOF text', 's'),
	('studio_engine.partitionable(p_table text)', 'text', 's'),
	('studio_engine.pass_owner_on()', 'trigger', 'v'),
	('studio_engine.record_transition()', 'trigger', 'v'),
	('studio_engine.count_words(p_text text)', 'integer', 'i'),
	('studio_engine.brief_error(p_error jsonb, p_bytes integer)', 'jsonb', 'i'),
	('studio_engine.enforce_workflow()', 'trigger', 'v'),
	('studio_engine.limit_values()', 'trigger', 'v'),
	('studio_engine.value_limits()', 'TABLE(table_name text, column_name text, max_bytes integer, max_depth integer, max_digits integer, max_elements integer)', 's'),
	('studio_engine.enter_in_ledger()', 'trigger', 'v'),
	('studio_engine.direct_tables(OUT table_name text, OUT reason text)', 'SETOF record', 'v'),
	('studio_engine.clear_queue()', 'trigger', 'v'),
	('studio_engine.guard_account()', 'trigger', 'v'),
	('studio_engine.guard_ledger()', 'trigger', 'v'),
	('studio_engine.forbid_owner_change_of_hold()', 'trigger', 'v'),
	('studio_engine.take_owner_of_job()', 'trigger', 'v'),
	('studio_engine.lock_job_for_new_owner()', 'trigger', 'v'),
	('studio_engine.pass_job_owner_on()', 'trigger', 'v'),
	('studio_engine.maintain_queue()', 'trigger', 'v'),
	('studio_engine.forbid_delete_of_leased_renderings()', 'trigger', 'v'),
	('studio_engine.forbid_delete_of_leased_job()', 'trigger', 'v'),
	('studio_engine.limit_studio_jobs()', 'trigger', 'v'),
	('studio_engine.handle_user_change()', 'trigger', 'v'),
	('studio_engine.price_new_job()', 'trigger', 'v'),
	('studio_engine.keep_price()', 'trigger', 'v'),
	('studio_engine.lint(OUT problem text, OUT type text, OUT identity text)', 'SETOF record', 's'),
	('studio_engine.lock_jobs_of_project()', 'trigger', 'v'),
	('studio_engine.lock_jobs_of_user()', 'trigger', 'v'),
	('studio_engine.invalidate_settings()', 'trigger', 'v'),
	('studio_engine.check_setting()', 'trigger', 'v'),
	('studio_engine.setting_problem(p_name text, p_value text)', 'text', 's'),
	('studio_engine.verify_setup_as_owner()', 'TABLE(name text, ok boolean, detail text, remedy text)', 's'),
	('public.verify_setup()', 'TABLE(name text, ok boolean, detail text, remedy text)', 's'),
	('public.set_setting(p_name text, p_value text)', 'text', 'v'),
	('public.get_settings()', 'TABLE(name text, value text, default_value text, type text, min_value integer, max_value integer, description text)', 's'),
	('public.repair_sign_ups(p_limit integer DEFAULT 100)', 'integer', 'v'),
	('studio_engine.price_ended_job()', 'trigger', 'v'),
	('studio_engine.open_jobs(OUT system text, OUT job_id uuid, OUT user_id uuid, OUT priority integer, OUT created_at timestamp with time zone, OUT stage text, OUT run_at timestamp with time zone)', 'SETOF record', 's'),
	('studio_engine.rebuild_queue()', 'integer', 'v'),
	('studio_engine.rebuild_queue_as_owner()', 'integer', 'v'),
	('studio_engine.run_as_data_owner(p_script text)', 'void', 'v'),
	('studio_engine.realtime_obstacles()', 'SETOF text', 's'),
	('studio_engine.realtime_rights_missing()', 'SETOF text', 's'),
	('studio_engine.realtime_tables()', 'SETOF text', 's'),
	('studio_engine.restoring()', 'boolean', 's'),
	('studio_engine.return_hold_of_deleted_job()', 'trigger', 'v'),
	('studio_engine.table_belongings(p_table text, OUT step integer, OUT statement text, OUT undo text)', 'SETOF record', 's'),
	('studio_engine.table_names()', 'text[]', 'i'),
	('studio_engine.verify_inserted_entries()', 'trigger', 'v'),
	('studio_engine.yield_to_restored_row()', 'trigger', 'v');
SELECT pg_temp.same_rows(
	$$ SELECT format('%s.%s(%s)', schema, proname, pg_get_function_arguments(oid)),
			  pg_get_function_result(oid), provolatile::text
	   FROM our_functions $$,
	$$ SELECT signature, result, volatility FROM expected_function $$,
	'every function has the signature, defaults and volatility of the contract');

--------------------------------------------------------------------------------
-- The data layer is not a member, and belongs to whoever installed
--------------------------------------------------------------------------------

SELECT is_empty($$ SELECT * FROM studio_engine.lint() $$, 'lint() finds nothing');
SELECT is_empty(
	$$ SELECT pg_describe_object(classid, objid, 0) FROM our_members
	   WHERE classid NOT IN ('pg_proc'::regclass, 'pg_event_trigger'::regclass) $$,
	'nothing but functions and the event trigger is a member');
SELECT is_empty(
	$$ SELECT pg_describe_object(p.classoid, p.objoid, p.objsubid)
	   FROM pg_init_privs p
	   WHERE p.privtype = 'e' AND p.classoid = 'pg_class'::regclass AND p.objoid IN (SELECT oid FROM our_tables) $$,
	'no grant of a table is noted as initial: pg_dump writes all of them');
SELECT is_empty(
	$$ SELECT oid::regclass FROM our_tables
	   WHERE relowner <> (SELECT extowner FROM pg_extension WHERE extname = 'studio_engine')
	   UNION ALL
	   SELECT oid::regtype::text::regclass FROM pg_type
	   WHERE typnamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace) AND typtype = 'e'
		 AND typowner <> (SELECT extowner FROM pg_extension WHERE extname = 'studio_engine') $$,
	'tables and types belong to the role that installed');

-- A control for lint(): what it must notice, it notices.
SAVEPOINT before_mistake;
ALTER EXTENSION studio_engine ADD TABLE public.assets;
SELECT isnt_empty($$ SELECT * FROM studio_engine.lint() WHERE identity = 'public.assets' $$,
				  'lint() names a table that became a member');
ROLLBACK TO before_mistake;

--------------------------------------------------------------------------------
-- Seeds 003 and 000: columns
--------------------------------------------------------------------------------

CREATE TEMPORARY TABLE expected_column (
	tbl text, pos integer, name text, type text, not_null boolean, default_text text);
INSERT INTO expected_column VALUES
	('profiles', 1, 'id', 'uuid', true, NULL),
	('profiles', 2, 'display_name', 'text', false, NULL),
	('profiles', 3, 'avatar_url', 'text', false, NULL),
	('profiles', 4, 'notification_prefs', 'jsonb', false, '''{"job_failed": true, "job_complete": true}''::jsonb'),
	('profiles', 5, 'stripe_customer_id', 'text', false, NULL),
	('profiles', 6, 'created_at', 'timestamp with time zone', false, 'now()'),
	('profiles', 7, 'updated_at', 'timestamp with time zone', false, 'now()'),

	('draft_prompts', 1, 'id', 'uuid', true, 'gen_random_uuid()'),
	('draft_prompts', 2, 'session_token', 'text', true, NULL),
	('draft_prompts', 3, 'user_id', 'uuid', false, NULL),
	('draft_prompts', 4, 'prompt_text', 'text', true, NULL),
	('draft_prompts', 5, 'template_id', 'text', false, NULL),
	('draft_prompts', 6, 'options', 'jsonb', false, '''{}''::jsonb'),
	('draft_prompts', 7, 'created_at', 'timestamp with time zone', false, 'now()'),
	('draft_prompts', 8, 'updated_at', 'timestamp with time zone', false, 'now()'),
	('draft_prompts', 9, 'expires_at', 'timestamp with time zone', false, '(now() + ''7 days''::interval)'),

	('projects', 1, 'id', 'uuid', true, 'gen_random_uuid()'),
	('projects', 2, 'user_id', 'uuid', true, NULL),
	('projects', 3, 'title', 'text', true, NULL),
	('projects', 4, 'prompt_text', 'text', true, NULL),
	('projects', 5, 'niche_preset', 'text', true, NULL),
	('projects', 6, 'target_minutes', 'integer', true, '1'),
	('projects', 7, 'voice_profile_id', 'uuid', false, NULL),
	('projects', 8, 'transcript_mode', 'text', false, '''auto''::text'),
	('projects', 9, 'transcript_text', 'text', false, NULL),
	('projects', 10, 'settings', 'jsonb', false, '''{}''::jsonb'),
	('projects', 11, 'created_at', 'timestamp with time zone', false, 'now()'),
	('projects', 12, 'updated_at', 'timestamp with time zone', false, 'now()'),

	('jobs', 1, 'id', 'uuid', true, 'gen_random_uuid()'),
	('jobs', 2, 'project_id', 'uuid', true, NULL),
	('jobs', 3, 'user_id', 'uuid', true, NULL),
	('jobs', 4, 'status', 'job_status', true, '''PENDING''::job_status'),
	('jobs', 5, 'progress', 'integer', false, '0'),
	('jobs', 6, 'status_message', 'text', false, NULL),
	('jobs', 7, 'cost_credits_reserved', 'integer', false, '0'),
	('jobs', 8, 'cost_credits_final', 'integer', false, NULL),
	('jobs', 9, 'failed_step', 'text', false, NULL),
	('jobs', 10, 'error_code', 'text', false, NULL),
	('jobs', 11, 'error_message', 'text', false, NULL),
	('jobs', 12, 'output_url', 'text', false, NULL),
	('jobs', 13, 'manifest_json', 'jsonb', false, NULL),
	('jobs', 14, 'created_at', 'timestamp with time zone', false, 'now()'),
	('jobs', 15, 'started_at', 'timestamp with time zone', false, NULL),
	('jobs', 16, 'finished_at', 'timestamp with time zone', false, NULL),
	-- what the queue adds at the end
	('jobs', 17, 'priority', 'integer', true, '0'),
	('jobs', 18, 'run_at', 'timestamp with time zone', false, NULL),
	('jobs', 19, 'idempotency_key', 'text', false, NULL),
	('jobs', 20, 'max_attempts', 'integer', false, NULL),
	('jobs', 21, 'cancel_requested_at', 'timestamp with time zone', false, NULL),

	('job_steps', 1, 'id', 'uuid', true, 'gen_random_uuid()'),
	('job_steps', 2, 'job_id', 'uuid', true, NULL),
	('job_steps', 3, 'step_name', 'text', true, NULL),
	('job_steps', 4, 'step_order', 'integer', true, NULL),
	('job_steps', 5, 'state', 'step_status', false, '''pending''::step_status'),
	('job_steps', 6, 'progress_pct', 'integer', false, '0'),
	('job_steps', 7, 'status_message', 'text', false, NULL),
	('job_steps', 8, 'error_message', 'text', false, NULL),
	('job_steps', 9, 'logs_url', 'text', false, NULL),
	('job_steps', 10, 'artifacts_json', 'jsonb', false, '''{}''::jsonb'),
	('job_steps', 11, 'started_at', 'timestamp with time zone', false, NULL),
	('job_steps', 12, 'finished_at', 'timestamp with time zone', false, NULL),
	-- what SPEC section 8 adds at the end
	('job_steps', 13, 'user_id', 'uuid', true, NULL),

	('credit_ledger', 1, 'id', 'uuid', true, 'gen_random_uuid()'),
	('credit_ledger', 2, 'user_id', 'uuid', true, NULL),
	('credit_ledger', 3, 'type', 'text', true, NULL),
	('credit_ledger', 4, 'amount', 'integer', true, NULL),
	('credit_ledger', 5, 'balance_after', 'integer', false, NULL),
	('credit_ledger', 6, 'note', 'text', false, NULL),
	('credit_ledger', 7, 'job_id', 'uuid', false, NULL),
	('credit_ledger', 8, 'stripe_payment_id', 'text', false, NULL),
	('credit_ledger', 9, 'created_at', 'timestamp with time zone', false, 'now()'),
	-- what SPEC section 3 adds at the end
	('credit_ledger', 10, 'entry_no', 'bigint', true, NULL),
	('credit_ledger', 11, 'idempotency_key', 'text', false, NULL),
	('credit_ledger', 12, 'expires_at', 'timestamp with time zone', false, NULL),
	('credit_ledger', 13, 'reverses', 'uuid', false, NULL),
	('credit_ledger', 14, 'reference', 'text', false, NULL),
	('credit_ledger', 15, 'metadata', 'jsonb', false, NULL),
	('credit_ledger', 16, 'priority', 'integer', false, NULL),
	('credit_ledger', 17, 'transfer_id', 'uuid', false, NULL),

	('assets', 1, 'id', 'uuid', true, 'gen_random_uuid()'),
	('assets', 2, 'job_id', 'uuid', true, NULL),
	('assets', 3, 'type', 'text', true, NULL),
	('assets', 4, 'url', 'text', true, NULL),
	('assets', 5, 'storage_path', 'text', true, NULL),
	('assets', 6, 'size_bytes', 'bigint', false, NULL),
	('assets', 7, 'mime_type', 'text', false, NULL),
	('assets', 8, 'metadata_json', 'jsonb', false, '''{}''::jsonb'),
	('assets', 9, 'created_at', 'timestamp with time zone', false, 'now()'),
	('assets', 10, 'user_id', 'uuid', true, NULL),

	('studio_jobs', 1, 'job_id', 'uuid', true, 'gen_random_uuid()'),
	('studio_jobs', 2, 'created_at', 'timestamp with time zone', true, 'now()'),
	('studio_jobs', 3, 'status', 'text', true, '''NEW''::text'),
	('studio_jobs', 4, 'user_id', 'uuid', true, NULL),
	('studio_jobs', 5, 'raw_audio_url', 'text', true, NULL),
	('studio_jobs', 6, 'raw_transcript', 'text', false, NULL),
	('studio_jobs', 7, 'refined_text', 'text', false, NULL),
	('studio_jobs', 8, 'system_prompt_used', 'text', true, NULL),
	('studio_jobs', 9, 'processing_time_ms', 'integer', false, NULL),
	('studio_jobs', 10, 'error_details', 'jsonb', false, NULL),
	-- what the seed plans, under its names
	('studio_jobs', 11, 'enrichment_entities', 'jsonb', false, NULL),
	('studio_jobs', 12, 'model_version', 'text', false, NULL),
	('studio_jobs', 13, 'retry_count', 'integer', true, '0'),
	('studio_jobs', 14, 'priority', 'integer', true, '0'),
	('studio_jobs', 15, 'cost_credits_reserved', 'integer', true, '0'),
	('studio_jobs', 16, 'run_at', 'timestamp with time zone', false, NULL),
	('studio_jobs', 17, 'idempotency_key', 'text', false, NULL),
	('studio_jobs', 18, 'max_attempts', 'integer', false, NULL),
	('studio_jobs', 19, 'cancel_requested_at', 'timestamp with time zone', false, NULL);

SELECT pg_temp.same_rows(
	format($$ SELECT a.attnum::integer, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
					 pg_get_expr(d.adbin, d.adrelid)
			  FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			  WHERE a.attrelid = 'public.%I'::regclass AND a.attnum > 0 $$, t.name),
	format($$ SELECT pos, name, type, not_null, default_text FROM expected_column WHERE tbl = %L $$, t.name),
	t.name || ': columns, types, NOT NULL and defaults of the seed in its order')
FROM unnest('{profiles,draft_prompts,projects,jobs,job_steps,credit_ledger,assets,studio_jobs}'::text[]) AS t (name);

SELECT pg_temp.same_rows(
	$$ SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
	   WHERE a.attrelid = 'public.credit_accounts'::regclass AND a.attnum > 0 $$,
	$$ VALUES ('user_id', 'uuid'), ('balance', 'integer'), ('reserved', 'integer'), ('entries', 'bigint'),
			  ('updated_at', 'timestamp with time zone') $$,
	'credit_accounts: the columns of the specification');
SELECT pg_temp.same_rows(
	format($$ SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a
			  WHERE a.attrelid = 'studio_engine.%I'::regclass AND a.attnum > 0 $$, t.name),
	t.columns, t.name || ': its columns')
FROM (VALUES
	('expiring_credits', $$ VALUES ('entry_id', 'uuid', true), ('user_id', 'uuid', true),
		('expires_at', 'timestamp with time zone', true), ('held_back', 'boolean', true) $$),
	('ledger_hashes', $$ VALUES ('entry_id', 'uuid', true), ('user_id', 'uuid', true), ('entry_no', 'bigint', true),
		('hash', 'bytea', true) $$),
	('credit_keys', $$ VALUES ('user_id', 'uuid', true), ('idempotency_key', 'text', true), ('kind', 'text', true), ('entry_id', 'uuid', false),
		('amount', 'integer', false) $$),
	('expiring_holds', $$ VALUES ('hold_id', 'uuid', true), ('user_id', 'uuid', true), ('expires_at', 'timestamp with time zone', true) $$),
	('lot_checkpoints', $$ VALUES ('user_id', 'uuid', true), ('entry_no', 'bigint', true), ('state', 'jsonb', true) $$),
	('failed_sign_ups', $$ VALUES ('user_id', 'uuid', true), ('part', 'text', true), ('failed_at', 'timestamp with time zone', true), ('tries', 'integer', true),
		('sqlstate', 'text', true), ('message', 'text', true) $$),
	('transfers', $$ VALUES ('id', 'uuid', true), ('from_user_id', 'uuid', false), ('to_user_id', 'uuid', false),
		('kind', 'text', true), ('amount', 'integer', true) $$),
	('welcomed', $$ VALUES ('digest', 'bytea', true) $$),
	('payment_digests', $$ VALUES ('digest', 'bytea', true) $$),
	('stripe_objects', $$ VALUES ('object_id', 'text', true), ('kind', 'text', true), ('merged_into', 'text', false), ('user_id', 'uuid', false),
		('credits', 'integer', false), ('subscription', 'boolean', true), ('paid', 'boolean', true), ('total', 'bigint', false),
		('currency', 'text', false), ('expires_at', 'timestamp with time zone', false), ('changed_at', 'timestamp with time zone', true) $$),
	('stripe_facts', $$ VALUES ('fact_id', 'text', true), ('object_id', 'text', true), ('kind', 'text', true), ('amount', 'bigint', true),
		('currency', 'text', false), ('phase', 'smallint', true), ('stands', 'boolean', true), ('at', 'bigint', true), ('made_at', 'bigint', true) $$),
	('stripe_events', $$ VALUES ('event_id', 'text', true), ('type', 'text', true), ('object_id', 'text', true), ('tied_to', 'text', true),
		('answer', 'jsonb', true), ('created_at', 'timestamp with time zone', true) $$),
	('removed_files', $$ VALUES ('file_id', 'uuid', true), ('bucket', 'text', false), ('path', 'text', true),
		('removed_at', 'timestamp with time zone', true) $$),
	('queue', $$ VALUES ('due_at', 'timestamp with time zone', true), ('turn', 'bigint', true), ('system', 'studio_engine.job_system', true),
		('state', 'studio_engine.queue_state', true), ('rank', 'integer', true), ('attempt', 'integer', true), ('first_attempt', 'integer', true),
		('job_id', 'uuid', true), ('user_id', 'uuid', false), ('stage', 'text', true), ('limited', 'boolean', true) $$),
	('queue_stages', $$ VALUES ('system', 'studio_engine.job_system', true), ('stage', 'text', true), ('paused_at', 'timestamp with time zone', false),
		('pause_reason', 'text', false), ('max_running', 'integer', false) $$),
	('attempts', $$ VALUES ('started_at', 'timestamp with time zone', true), ('due_at', 'timestamp with time zone', true), ('expires_at', 'timestamp with time zone', true),
		('since', 'timestamp with time zone', true), ('system', 'studio_engine.job_system', true), ('attempt', 'integer', true), ('first_attempt', 'integer', true),
		('lease_ms', 'integer', true), ('job_id', 'uuid', true), ('lease_token', 'uuid', true), ('user_id', 'uuid', false), ('stage', 'text', true),
		('worker', 'text', true), ('ended_at', 'timestamp with time zone', false), ('outcome', 'text', false), ('error', 'jsonb', false), ('turn', 'bigint', false),
		('counted', 'boolean', true), ('shown_at', 'timestamp with time zone', false), ('cancel_requested_at', 'timestamp with time zone', false),
		('cancel_reason', 'text', false), ('process_id', 'text', false) $$)) AS t (name, columns);
SELECT has_table('public', 'logs', 'there is a table logs');

--------------------------------------------------------------------------------
-- Seed 002: columns, keys, indexes
--------------------------------------------------------------------------------

CREATE TEMPORARY TABLE expected_pipeline_column (tbl text, pos integer, name text, type text, not_null boolean, default_text text);
INSERT INTO expected_pipeline_column VALUES
	('jobs', 1, 'run_id', 'text', true, NULL),
	('jobs', 2, 'project_spec', 'jsonb', true, NULL),
	('jobs', 3, 'owner_id', 'uuid', false, NULL),
	('jobs', 4, 'status', 'text', false, '''pending''::text'),
	('jobs', 5, 'started_at', 'timestamp with time zone', false, NULL),
	('jobs', 6, 'completed_at', 'timestamp with time zone', false, NULL),
	('jobs', 7, 'error_message', 'text', false, NULL),
	('jobs', 8, 'created_at', 'timestamp with time zone', false, 'now()'),
	('jobs', 9, 'updated_at', 'timestamp with time zone', false, 'now()'),
	-- the counter that events are numbered with
	('jobs', 10, 'last_event_seq', 'bigint', true, '0'),

	('job_events', 1, 'id', 'uuid', true, 'gen_random_uuid()'),
	('job_events', 2, 'run_id', 'text', true, NULL),
	('job_events', 3, 'bot_name', 'text', true, NULL),
	('job_events', 4, 'event_type', 'text', true, NULL),
	('job_events', 5, 'payload', 'jsonb', false, NULL),
	('job_events', 6, 'owner_id', 'uuid', false, NULL),
	('job_events', 7, 'created_at', 'timestamp with time zone', false, 'now()'),
	-- the number in the run
	('job_events', 8, 'seq', 'bigint', true, NULL),

	('artifacts', 1, 'id', 'uuid', true, 'gen_random_uuid()'),
	('artifacts', 2, 'run_id', 'text', true, NULL),
	('artifacts', 3, 'kind', 'text', true, NULL),
	('artifacts', 4, 'url', 'text', false, NULL),
	('artifacts', 5, 'meta', 'jsonb', false, NULL),
	('artifacts', 6, 'owner_id', 'uuid', false, NULL),
	('artifacts', 7, 'file_size', 'bigint', false, NULL),
	('artifacts', 8, 'content_type', 'text', false, NULL),
	('artifacts', 9, 'checksum', 'text', false, NULL),
	('artifacts', 10, 'created_at', 'timestamp with time zone', false, 'now()'),

	('prompts', 1, 'id', 'text', true, NULL),
	('prompts', 2, 'category', 'text', true, NULL),
	('prompts', 3, 'context', 'text', true, NULL),
	('prompts', 4, 'prompt_text', 'text', true, NULL),
	('prompts', 5, 'created_at', 'timestamp with time zone', false, 'now()'),
	('prompts', 6, 'updated_at', 'timestamp with time zone', false, 'now()');
SELECT pg_temp.same_rows(
	format($$ SELECT a.attnum::integer, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
					 pg_get_expr(d.adbin, d.adrelid)
			  FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			  WHERE a.attrelid = 'pipeline.%I'::regclass AND a.attnum > 0 $$, t.name),
	format($$ SELECT pos, name, type, not_null, default_text FROM expected_pipeline_column WHERE tbl = %L $$, t.name),
	'pipeline.' || t.name || ': columns, types, NOT NULL and defaults of the seed in its order')
FROM unnest('{jobs,job_events,artifacts,prompts}'::text[]) AS t (name);
SELECT col_is_pk('pipeline', t.name, t.key, format('pipeline.%s: primary key %s', t.name, t.key))
FROM (VALUES ('jobs'::name, 'run_id'::name), ('job_events', 'id'), ('artifacts', 'id'), ('prompts', 'id')) AS t (name, key);
SELECT pg_temp.same_rows(
	$$ SELECT regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX (\S+) ON pipeline\.(\S+) USING ', '\2: \1\3 ')
	   FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE c.relnamespace = 'pipeline'::regnamespace AND NOT indisprimary $$,
	$$ VALUES
		('idx_artifacts_checksum: UNIQUE artifacts btree (run_id, kind, checksum) WHERE (checksum IS NOT NULL)'),
		('idx_artifacts_owner: artifacts btree (owner_id)'),
		('idx_artifacts_run: artifacts btree (run_id)'),
		('idx_artifacts_url: artifacts hash (url) WHERE (checksum IS NULL)'),
		('idx_job_events_created: job_events btree (created_at)'),
		('idx_job_events_owner: job_events btree (owner_id)'),
		('idx_job_events_seq: UNIQUE job_events btree (run_id, seq)'),
		('idx_jobs_created: jobs btree (created_at DESC)'),
		('idx_jobs_owner: jobs btree (owner_id)'),
		('idx_jobs_owner_active: jobs btree (owner_id) WHERE (status = ANY (ARRAY[''pending''::text, ''running''::text]))'),
		('idx_jobs_status: jobs btree (status)'),
		('idx_prompts_category: prompts btree (category)') $$,
	'the indexes of schema pipeline');
SELECT is(has_schema_privilege(r.role, 'pipeline', p.privilege), p.privilege = 'USAGE' AND r.may,
		  format('%s %s %s on schema pipeline', r.role, CASE WHEN p.privilege = 'USAGE' AND r.may THEN 'has' ELSE 'has no' END, p.privilege))
FROM (VALUES ('public', false), ('anon', false), ('authenticated', true), ('service_role', true)) AS r (role, may),
	 unnest('{USAGE,CREATE}'::text[]) AS p (privilege);

--------------------------------------------------------------------------------
-- Seeds 003 and 000: enums, constraints, indexes, triggers
--------------------------------------------------------------------------------

SELECT enum_has_labels('public', 'job_status',
	'{PENDING,QUEUED,SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING,READY,FAILED}'::name[],
	'job_status: the labels of the seed in their order');
SELECT enum_has_labels('public', 'step_status', '{pending,started,succeeded,failed}'::name[],
	'step_status: the labels of the seed in their order');
SELECT enum_has_labels('studio_engine', 'job_system', '{studio_jobs,jobs,mm_rendering_queue}'::name[], 'job_system: the tables that have a queue');
SELECT enum_has_labels('studio_engine', 'queue_state', '{waiting,delayed,parked}'::name[], 'queue_state: its labels');

SELECT pg_temp.same_rows(
	$$ SELECT c.conrelid::regclass::text || ' ' || c.conname, pg_get_constraintdef(c.oid)
	   FROM pg_constraint c JOIN our_tables t ON t.oid = c.conrelid
	   WHERE c.contype = 'c' AND t.name NOT IN ('credit_accounts', 'logs', 'queue', 'attempts')
		 AND t.name NOT IN (SELECT name FROM content_tables) $$,
	$$ VALUES
		('assets assets_type_check', $c$CHECK ((type = ANY (ARRAY['video'::text, 'audio'::text, 'image'::text, 'captions'::text, 'manifest'::text, 'zip'::text])))$c$),
		('credit_ledger credit_ledger_type_check', $c$CHECK ((type = ANY (ARRAY['purchase'::text, 'usage'::text, 'refund'::text, 'grant'::text, 'expire'::text, 'reserve'::text, 'subscription'::text])))$c$),
		('pipeline.jobs jobs_status_check', $c$CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))$c$),
		('jobs jobs_idempotency_key_check', $c$CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 200)))$c$),
		('jobs jobs_max_attempts_check', $c$CHECK (((max_attempts >= 1) AND (max_attempts <= 1000)))$c$),
		('jobs jobs_run_at_check', $c$CHECK (isfinite(run_at))$c$),
		('jobs jobs_progress_check', $c$CHECK (((progress >= 0) AND (progress <= 100)))$c$),
		('projects projects_niche_preset_check', $c$CHECK ((niche_preset = ANY (ARRAY['motivation'::text, 'explainer'::text, 'facts'::text, 'history'::text, 'finance'::text, 'science'::text])))$c$),
		('projects projects_target_minutes_check', $c$CHECK (((target_minutes >= 1) AND (target_minutes <= 10)))$c$),
		('projects projects_transcript_mode_check', $c$CHECK ((transcript_mode = ANY (ARRAY['auto'::text, 'manual'::text])))$c$),
		('studio_jobs studio_jobs_cost_credits_reserved_check', $c$CHECK ((cost_credits_reserved >= 0))$c$),
		('studio_jobs studio_jobs_idempotency_key_check', $c$CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 200)))$c$),
		('studio_jobs studio_jobs_max_attempts_check', $c$CHECK (((max_attempts >= 1) AND (max_attempts <= 1000)))$c$),
		('studio_jobs studio_jobs_run_at_check', $c$CHECK (isfinite(run_at))$c$),
		('studio_jobs studio_jobs_status_check', $c$CHECK ((status = ANY (ARRAY['NEW'::text, 'TRANSCRIBING'::text, 'ENRICHING'::text, 'REFINING'::text, 'COMPLETE'::text, 'FAILED'::text])))$c$),
		('studio_engine.queue_stages queue_stages_max_running_check', $c$CHECK ((max_running > 0))$c$),
		('studio_engine.stripe_facts stripe_facts_kind_check', $c$CHECK ((kind = ANY (ARRAY['charge'::text, 'refund'::text, 'dispute'::text])))$c$),
		('studio_engine.failed_sign_ups failed_sign_ups_part_check', $c$CHECK ((part = ANY (ARRAY['profile'::text, 'account'::text])))$c$),
		('studio_engine.stripe_objects stripe_objects_kind_check', $c$CHECK ((kind = ANY (ARRAY['payment_intent'::text, 'invoice'::text, 'session'::text, 'charge'::text])))$c$) $$,
	'the check constraints of the seeds, and of payments at Stripe');
-- The ledger refers to the account instead of auth.users (SPEC section 3) and
-- outlives its jobs; all else is the seed's.
SELECT pg_temp.same_rows(
	$$ SELECT c.conrelid::regclass::text || ' ' || c.conname, pg_get_constraintdef(c.oid)
	   FROM pg_constraint c JOIN our_tables t ON t.oid = c.conrelid
	   WHERE c.contype = 'f' AND t.name NOT IN ('credit_accounts', 'logs')
		 AND t.name NOT IN (SELECT name FROM content_tables) $$,
	$$ VALUES
		('assets assets_job_id_fkey', 'FOREIGN KEY (job_id) REFERENCES jobs(id) ON DELETE CASCADE'),
		('credit_ledger credit_ledger_job_id_fkey', 'FOREIGN KEY (job_id) REFERENCES jobs(id) ON DELETE SET NULL'),
		('credit_ledger credit_ledger_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES credit_accounts(user_id) ON DELETE CASCADE'),
		('draft_prompts draft_prompts_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE'),
		('job_steps job_steps_job_id_fkey', 'FOREIGN KEY (job_id) REFERENCES jobs(id) ON DELETE CASCADE'),
		('jobs jobs_project_id_fkey', 'FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE'),
		('jobs jobs_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE'),
		('pipeline.artifacts artifacts_run_id_fkey', 'FOREIGN KEY (run_id) REFERENCES pipeline.jobs(run_id) ON DELETE CASCADE'),
		('pipeline.job_events job_events_run_id_fkey', 'FOREIGN KEY (run_id) REFERENCES pipeline.jobs(run_id) ON DELETE CASCADE'),
		('pipeline.jobs jobs_owner_id_fkey', 'FOREIGN KEY (owner_id) REFERENCES auth.users(id) ON DELETE CASCADE'),
		('profiles profiles_id_fkey', 'FOREIGN KEY (id) REFERENCES auth.users(id) ON DELETE CASCADE'),
		('projects projects_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE'),
		('studio_jobs studio_jobs_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE'),
		('studio_engine.credit_keys credit_keys_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES credit_accounts(user_id) ON DELETE CASCADE'),
		('studio_engine.expiring_credits expiring_credits_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES credit_accounts(user_id) ON DELETE CASCADE'),
		('studio_engine.expiring_holds expiring_holds_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES credit_accounts(user_id) ON DELETE CASCADE'),
		('studio_engine.lot_checkpoints lot_checkpoints_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES credit_accounts(user_id) ON DELETE CASCADE'),
		('studio_engine.failed_sign_ups failed_sign_ups_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE'),
		('studio_engine.transfers transfers_from_user_id_fkey', 'FOREIGN KEY (from_user_id) REFERENCES credit_accounts(user_id) ON DELETE SET NULL'),
		('studio_engine.transfers transfers_to_user_id_fkey', 'FOREIGN KEY (to_user_id) REFERENCES credit_accounts(user_id) ON DELETE SET NULL'),
		('studio_engine.ledger_hashes ledger_hashes_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES credit_accounts(user_id) ON DELETE CASCADE'),
		('studio_engine.stripe_events stripe_events_tied_to_fkey', 'FOREIGN KEY (tied_to) REFERENCES studio_engine.stripe_objects(object_id) ON DELETE CASCADE'),
		('studio_engine.stripe_facts stripe_facts_object_id_fkey', 'FOREIGN KEY (object_id) REFERENCES studio_engine.stripe_objects(object_id) ON DELETE CASCADE'),
		('studio_engine.stripe_objects stripe_objects_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES credit_accounts(user_id) ON DELETE CASCADE') $$,
	'the foreign keys of the seeds, and those of the private tables');
SELECT is(pg_get_constraintdef(oid), def, name || ' is ' || def)
FROM (VALUES ('credit_accounts_user_id_fkey', 'FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE'),
			 ('logs_job_id_fkey', 'FOREIGN KEY (job_id) REFERENCES jobs(id) ON DELETE CASCADE'),
			 ('credit_accounts_pkey', 'PRIMARY KEY (user_id)'),
			 ('expiring_credits_pkey', 'PRIMARY KEY (entry_id)'),
			 ('ledger_hashes_pkey', 'PRIMARY KEY (entry_id)'),
			 ('credit_keys_pkey', 'PRIMARY KEY (user_id, idempotency_key)'),
			 ('expiring_holds_pkey', 'PRIMARY KEY (hold_id)'),
			 ('lot_checkpoints_pkey', 'PRIMARY KEY (user_id)'),
			 ('failed_sign_ups_pkey', 'PRIMARY KEY (user_id, part)'),
			 ('transfers_pkey', 'PRIMARY KEY (id)'),
			 ('welcomed_pkey', 'PRIMARY KEY (digest)'),
			 ('payment_digests_pkey', 'PRIMARY KEY (digest)'),
			 ('stripe_objects_pkey', 'PRIMARY KEY (object_id)'),
			 ('stripe_facts_pkey', 'PRIMARY KEY (fact_id)'),
			 ('stripe_events_pkey', 'PRIMARY KEY (event_id)'),
			 ('removed_files_pkey', 'PRIMARY KEY (file_id)'),
			 ('studio_jobs_pkey', 'PRIMARY KEY (job_id)'),
			 ('queue_pkey', 'PRIMARY KEY (job_id, system)'),
			 ('queue_stages_pkey', 'PRIMARY KEY (system, stage)'),
			 ('attempts_pkey', 'PRIMARY KEY (job_id, lease_token)')) AS e (name, def)
LEFT JOIN pg_constraint c ON c.conname = e.name;
SELECT col_is_pk('public', t.name, 'id'::name, t.name || ': primary key id')
FROM unnest('{profiles,draft_prompts,projects,jobs,job_steps,credit_ledger,assets,logs}'::name[]) AS t (name);

SELECT is((SELECT regexp_replace(pg_get_indexdef(c.oid), '^CREATE (UNIQUE )?INDEX \S+ ON (?:public\.)?(\S+) USING (?:btree|hash) ', '\1\2 ')
		   FROM pg_class c WHERE c.relname = e.name AND c.relkind = 'i'
			 AND c.relnamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace)),
		  e.def, 'index ' || e.name || ' on ' || e.def)
FROM (VALUES
	-- the seed's
	('idx_profiles_stripe', 'profiles (stripe_customer_id)'),
	('idx_draft_session', 'draft_prompts (session_token)'),
	('idx_draft_user', 'draft_prompts (user_id)'),
	('idx_draft_expires', 'draft_prompts (expires_at)'),
	('idx_projects_user', 'projects (user_id)'),
	('idx_projects_created', 'projects (created_at DESC)'),
	('idx_jobs_user', 'jobs (user_id)'),
	('idx_jobs_project', 'jobs (project_id)'),
	('idx_jobs_status', 'jobs (status)'),
	('idx_jobs_created', 'jobs (created_at DESC)'),
	('idx_job_steps_job', 'job_steps (job_id)'),
	('idx_job_steps_unique', 'UNIQUE job_steps (job_id, step_name)'),
	('idx_job_steps_user', 'job_steps (user_id)'),
	('idx_assets_user', 'assets (user_id)'),
	('idx_logs_user', 'logs (user_id)'),
	('idx_credit_user', 'credit_ledger (user_id)'),
	('idx_credit_job', 'credit_ledger (job_id)'),
	('idx_credit_created', 'credit_ledger (created_at DESC)'),
	('idx_assets_job', 'assets (job_id)'),
	('idx_assets_type', 'assets (type)'),
	('idx_studio_jobs_user_id', 'studio_jobs (user_id)'),
	('idx_studio_jobs_status', 'studio_jobs (status)'),
	('idx_studio_jobs_created_at', 'studio_jobs (created_at DESC)'),
	-- counting the active jobs of one user
	('idx_studio_jobs_user_active', 'studio_jobs (user_id) WHERE (status <> ALL (ARRAY[''COMPLETE''::text, ''FAILED''::text]))'),
	-- one job for a key
	('idx_studio_jobs_idempotency_key', 'UNIQUE studio_jobs (user_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)'),
	('idx_jobs_idempotency_key', 'UNIQUE jobs (user_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)'),
	('idx_mm_rendering_queue_idempotency_key', 'UNIQUE mm_rendering_queue (company_id, idempotency_key) NULLS NOT DISTINCT WHERE (idempotency_key IS NOT NULL)'),
	-- the dashboard query and the ledger's rules
	('idx_jobs_project_user_created', 'jobs (project_id, user_id, created_at DESC)'),
	('idx_credit_entry_no', 'UNIQUE credit_ledger (user_id, entry_no)'),
	('idx_credit_idempotency', 'UNIQUE credit_ledger (user_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)'),
	-- a payment is booked once; what reverses it names it again
	('idx_credit_payment', 'UNIQUE credit_ledger (stripe_payment_id) WHERE ((stripe_payment_id IS NOT NULL) AND (type = ANY (ARRAY[''purchase''::text, ''subscription''::text])) AND (reverses IS NULL))'),
	('idx_credit_reverses', 'credit_ledger (reverses) WHERE (reverses IS NOT NULL)'),
	('idx_credit_payment_parts', 'credit_ledger (stripe_payment_id) WHERE ((stripe_payment_id IS NOT NULL) AND (reverses IS NOT NULL))'),
	('idx_credit_reference', 'credit_ledger (user_id, reference) WHERE (reference IS NOT NULL)'),
	('idx_expiring_holds_user', 'studio_engine.expiring_holds (user_id)'),
	('idx_expiring_holds_due', 'studio_engine.expiring_holds (expires_at)'),
	('idx_transfers_from', 'studio_engine.transfers (from_user_id)'),
	('idx_transfers_to', 'studio_engine.transfers (to_user_id)'),
	-- expiry costs nothing where nothing is due
	('idx_expiring_credits_user', 'studio_engine.expiring_credits (user_id)'),
	('idx_expiring_credits_due', 'studio_engine.expiring_credits (expires_at) WHERE (NOT held_back)'),
	('idx_ledger_hashes_user', 'UNIQUE studio_engine.ledger_hashes (user_id, entry_no)'),
	('idx_stripe_objects_merged', 'studio_engine.stripe_objects (merged_into)'),
	('idx_stripe_objects_user', 'studio_engine.stripe_objects (user_id)'),
	('idx_stripe_facts_object', 'studio_engine.stripe_facts (object_id)'),
	('idx_stripe_events_tied', 'studio_engine.stripe_events (tied_to)'),
	-- whether an asset has a file that is listed as removed; paths may be too long for a B-tree
	('idx_removed_files_removed', 'studio_engine.removed_files (removed_at, file_id)'),
	('idx_removed_files_path', 'studio_engine.removed_files (path)'),
	('idx_assets_storage_path', 'assets (storage_path)'),
	('idx_mm_multimedia_assets_storage_path', 'mm_multimedia_assets (storage_path)'),
	-- a claim and a reap cost what they find; expires_at, which heartbeats move, is in no index
	('idx_queue_waiting', 'studio_engine.queue (system, rank, turn, due_at, job_id) WHERE (state = ''waiting''::studio_engine.queue_state)'),
	('idx_queue_turn', 'studio_engine.queue (user_id, system, rank, turn) WHERE ((state = ''waiting''::studio_engine.queue_state) AND (turn > 0))'),
	('idx_queue_delayed', 'studio_engine.queue (system, due_at) WHERE (state = ''delayed''::studio_engine.queue_state)'),
	('idx_queue_stage', 'studio_engine.queue (system, stage, rank, turn, due_at, job_id) WHERE (state = ''waiting''::studio_engine.queue_state)'),
	('idx_queue_delayed_rank', 'studio_engine.queue (system, rank, due_at) WHERE (state = ''delayed''::studio_engine.queue_state)'),
	('idx_queue_limited', 'studio_engine.queue (user_id, system, state, rank, turn, due_at) WHERE limited'),
	('idx_attempts_due', 'studio_engine.attempts (due_at) WHERE (ended_at IS NULL)'),
	('idx_attempts_counted', 'studio_engine.attempts (system, stage, user_id) WHERE ((ended_at IS NULL) AND counted)')) AS e (name, def);
SELECT is_empty(
	$$ SELECT i.indexrelid::regclass, a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid
	   WHERE i.indrelid = 'studio_engine.attempts'::regclass AND a.attname IN ('expires_at', 'shown_at', 'cancel_requested_at') $$,
	'what a heartbeat writes is in no index of attempts');
SELECT isnt_empty(
	format($$ SELECT FROM pg_index i WHERE i.indrelid = 'public.credit_ledger'::regclass AND i.indisunique
			  AND pg_get_indexdef(i.indexrelid) LIKE '%%(%s)%%' $$, c.columns),
	'a unique index keeps ' || c.columns || ' from being used twice')
FROM (VALUES ('user_id, idempotency_key'), ('stripe_payment_id')) AS c (columns);

SELECT pg_temp.same_rows(
	$$ SELECT t.tgrelid::regclass::text || ' ' || t.tgname, t.tgfoid::regproc::text, t.tgenabled::text,
			  CASE WHEN t.tgtype & 2 <> 0 THEN 'BEFORE' ELSE 'AFTER' END
			  || CASE WHEN t.tgtype & 4 <> 0 THEN ' INSERT' ELSE '' END
			  || CASE WHEN t.tgtype & 16 <> 0 THEN ' UPDATE' ELSE '' END
			  || CASE WHEN t.tgtype & 8 <> 0 THEN ' DELETE' ELSE '' END
			  || CASE WHEN t.tgtype & 32 <> 0 THEN ' TRUNCATE' ELSE '' END
			  || CASE WHEN t.tgtype & 1 <> 0 THEN ' row' ELSE ' statement' END
	   FROM pg_trigger t
	   WHERE NOT t.tgisinternal
		 AND (t.tgrelid = 'auth.users'::regclass OR t.tgrelid IN (SELECT oid FROM our_tables WHERE name NOT IN (SELECT name FROM content_tables))) $$,
	$$ VALUES
		('auth.users on_auth_user_created', 'handle_new_user', 'O', 'AFTER INSERT row'),
		('assets tr_assets_owner', 'studio_engine.take_owner_of_job', 'O', 'BEFORE INSERT UPDATE row'),
		('job_steps tr_job_steps_owner', 'studio_engine.take_owner_of_job', 'O', 'BEFORE INSERT UPDATE row'),
		('logs tr_logs_owner', 'studio_engine.take_owner_of_job', 'O', 'BEFORE INSERT UPDATE row'),
		('jobs tr_jobs_lock_owner', 'studio_engine.lock_job_for_new_owner', 'O', 'BEFORE UPDATE row'),
		('jobs tr_jobs_pass_owner', 'studio_engine.pass_job_owner_on', 'O', 'AFTER UPDATE row'),
		('assets 00_assets_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('assets tr_assets_files', 'studio_engine.track_file', 'O', 'AFTER INSERT DELETE row'),
		('assets tr_assets_files_update', 'studio_engine.track_file', 'O', 'AFTER UPDATE row'),
		('credit_ledger 00_credit_ledger_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('draft_prompts 00_draft_prompts_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('job_steps 00_job_steps_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('jobs 00_jobs_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('logs 00_logs_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('pipeline.artifacts 00_artifacts_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('pipeline.job_events 00_job_events_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('pipeline.jobs 00_jobs_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('pipeline.prompts 00_prompts_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('profiles 00_profiles_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('projects 00_projects_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('studio_engine.settings 00_settings_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('studio_jobs 00_studio_jobs_limits', 'studio_engine.limit_values', 'O', 'BEFORE INSERT UPDATE row'),
		('auth.users on_auth_user_updated', 'studio_engine.handle_user_change', 'O', 'AFTER UPDATE row'),
		('auth.users on_auth_user_deleted', 'studio_engine.lock_jobs_of_user', 'O', 'BEFORE DELETE row'),
		('credit_accounts tr_credit_accounts_guard', 'studio_engine.guard_account', 'O', 'BEFORE INSERT UPDATE DELETE row'),
		('credit_accounts tr_credit_accounts_truncate', 'studio_engine.guard_account', 'O', 'BEFORE TRUNCATE statement'),
		('credit_ledger tr_credit_ledger_chain', 'studio_engine.chain_entry', 'O', 'AFTER INSERT row'),
		('credit_ledger tr_credit_ledger_enter', 'studio_engine.enter_in_ledger', 'O', 'BEFORE INSERT row'),
		('credit_ledger tr_credit_ledger_guard', 'studio_engine.guard_ledger', 'O', 'BEFORE UPDATE DELETE row'),
		('credit_ledger tr_credit_ledger_truncate', 'studio_engine.guard_ledger', 'O', 'BEFORE TRUNCATE statement'),
		('credit_ledger tr_credit_ledger_verify', 'studio_engine.verify_inserted_entries', 'O', 'AFTER INSERT statement'),
		('job_steps tr_job_steps_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('jobs 00_jobs_return_hold', 'studio_engine.return_hold_of_deleted_job', 'O', 'AFTER DELETE row'),
		('jobs tr_jobs_close_hold', 'studio_engine.close_hold_of_ended_job', 'O', 'AFTER UPDATE row'),
		('jobs tr_jobs_keep_owner', 'studio_engine.forbid_owner_change_of_hold', 'O', 'BEFORE UPDATE row'),
		('jobs tr_jobs_keep_worked_on', 'studio_engine.forbid_delete_of_leased_job', 'O', 'BEFORE DELETE row'),
		('jobs 00_jobs_queue', 'studio_engine.maintain_queue', 'O', 'AFTER INSERT DELETE row'),
		('jobs 00_jobs_queue_truncate', 'studio_engine.clear_queue', 'O', 'AFTER TRUNCATE statement'),
		('jobs 00_jobs_queue_update', 'studio_engine.maintain_queue', 'O', 'AFTER UPDATE row'),
		('studio_jobs tr_studio_jobs_defaults', 'studio_engine.default_studio_job', 'O', 'BEFORE INSERT UPDATE row'),
		('studio_jobs tr_studio_jobs_keep_worked_on', 'studio_engine.forbid_delete_of_leased_job', 'O', 'BEFORE DELETE row'),
		('studio_jobs tr_studio_jobs_limit', 'studio_engine.limit_studio_jobs', 'O', 'AFTER INSERT row'),
		('studio_jobs tr_studio_jobs_own', 'studio_engine.keep_own_row', 'O', 'BEFORE INSERT UPDATE row'),
		('studio_jobs tr_studio_jobs_own_new', 'studio_engine.check_new_own_row', 'O', 'AFTER INSERT row'),
		('studio_jobs tr_studio_jobs_price', 'studio_engine.price_new_job', 'O', 'BEFORE INSERT row'),
		('studio_jobs tr_studio_jobs_hold_price', 'studio_engine.keep_price', 'O', 'AFTER INSERT row'),
		('studio_jobs tr_studio_jobs_keep_price', 'studio_engine.keep_price', 'O', 'AFTER UPDATE row'),
		('studio_jobs tr_studio_jobs_return_price', 'studio_engine.keep_price', 'O', 'AFTER DELETE row'),
		('studio_jobs 00_studio_jobs_queue', 'studio_engine.maintain_queue', 'O', 'AFTER INSERT DELETE row'),
		('studio_jobs 00_studio_jobs_queue_truncate', 'studio_engine.clear_queue', 'O', 'AFTER TRUNCATE statement'),
		('studio_jobs 00_studio_jobs_queue_update', 'studio_engine.maintain_queue', 'O', 'AFTER UPDATE row'),
		('studio_jobs tr_studio_jobs_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('jobs tr_jobs_price', 'studio_engine.price_ended_job', 'O', 'BEFORE UPDATE row'),
		('jobs tr_jobs_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('pipeline.artifacts tr_artifacts_enter', 'studio_engine.enter_artifact', 'O', 'BEFORE INSERT row'),
		('pipeline.artifacts tr_artifacts_keep', 'studio_engine.forbid_artifact_change', 'O', 'BEFORE UPDATE row'),
		('pipeline.job_events tr_job_events_count', 'studio_engine.count_event', 'O', 'AFTER INSERT row'),
		('pipeline.job_events tr_job_events_enter', 'studio_engine.enter_event', 'O', 'BEFORE INSERT row'),
		('pipeline.job_events tr_job_events_keep', 'studio_engine.forbid_event_change', 'O', 'BEFORE UPDATE row'),
		('pipeline.jobs tr_jobs_created', 'studio_engine.record_transition', 'O', 'AFTER INSERT row'),
		('pipeline.jobs tr_jobs_guard', 'studio_engine.guard_run', 'O', 'BEFORE INSERT UPDATE row'),
		('pipeline.jobs tr_jobs_owner', 'studio_engine.pass_owner_on', 'O', 'AFTER UPDATE row'),
		('pipeline.jobs tr_jobs_transition', 'studio_engine.record_transition', 'O', 'AFTER UPDATE row'),
		('pipeline.jobs tr_jobs_workflow', 'studio_engine.enforce_workflow', 'O', 'BEFORE INSERT UPDATE row'),
		('pipeline.prompts tr_prompts_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('profiles tr_profiles_own', 'studio_engine.keep_own_row', 'O', 'BEFORE UPDATE row'),
		('profiles tr_profiles_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('projects tr_projects_lock_jobs', 'studio_engine.lock_jobs_of_project', 'O', 'BEFORE DELETE row'),
		('projects tr_projects_own', 'studio_engine.keep_own_row', 'O', 'BEFORE INSERT UPDATE row'),
		('projects tr_projects_own_new', 'studio_engine.check_new_own_row', 'O', 'AFTER INSERT row'),
		('projects tr_projects_updated', 'update_updated_at', 'O', 'BEFORE UPDATE row'),
		('studio_engine.meta tr_meta_yield', 'studio_engine.yield_to_restored_row', 'A', 'BEFORE INSERT row'),
		('studio_engine.queue_stages tr_queue_stages_changed', 'studio_engine.invalidate_settings', 'A', 'AFTER INSERT UPDATE DELETE row'),
		('studio_engine.queue_stages tr_queue_stages_truncated', 'studio_engine.invalidate_settings', 'A', 'AFTER TRUNCATE statement'),
		('studio_engine.settings tr_settings_changed', 'studio_engine.invalidate_settings', 'A', 'AFTER INSERT UPDATE DELETE row'),
		('studio_engine.settings tr_settings_check', 'studio_engine.check_setting', 'O', 'BEFORE INSERT UPDATE row'),
		('studio_engine.settings tr_settings_truncated', 'studio_engine.invalidate_settings', 'A', 'AFTER TRUNCATE statement'),
		('studio_engine.settings tr_settings_yield', 'studio_engine.yield_to_restored_row', 'A', 'BEFORE INSERT row') $$,
	'the triggers, those of the seed under its names');
-- The argument says which table a shared function serves.
SELECT pg_temp.same_rows(
	$$ SELECT t.tgrelid::regclass::text, t.tgname::text, encode(t.tgargs, 'escape') FROM pg_trigger t
	   WHERE NOT t.tgisinternal AND t.tgnargs > 0 AND t.tgrelid IN (SELECT oid FROM our_tables) $$,
	$$ SELECT t, n.prefix || t || n.suffix, t || '\000' FROM unnest('{jobs,studio_jobs}'::text[]) AS t,
			  (VALUES ('tr_', '_workflow'), ('00_', '_queue'), ('00_', '_queue_update'), ('00_', '_queue_truncate')) AS n (prefix, suffix)
	   UNION ALL SELECT 'mm_rendering_queue', '00_mm_rendering_queue_' || n, 'mm_rendering_queue\000'
				   FROM unnest('{queue,queue_update,queue_truncate}'::text[]) AS n
	   UNION ALL VALUES ('profiles', 'tr_profiles_own', 'id\000id\000'),
						('projects', 'tr_projects_own', 'id\000user_id\000'),
						('studio_jobs', 'tr_studio_jobs_own', 'job_id\000user_id\000'),
						('job_steps', 'tr_job_steps_workflow', 'job_steps\000'),
						('pipeline.jobs', 'tr_jobs_workflow', 'pipeline.jobs\000')
	   -- which tables have this one is said above
	   UNION ALL SELECT DISTINCT g.tgrelid::regclass::text, '00_' || c.relname || '_limits',
						replace(g.tgrelid::regclass::text, 'studio_engine.', '') || '\000'
				   FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
				  WHERE g.tgfoid = 'studio_engine.limit_values'::regproc AND g.tgrelid IN (SELECT oid FROM our_tables)
	   UNION ALL SELECT t, 'tr_' || t || '_workflow', t || '\000'
				   FROM unnest('{cm_module_content,cm_course_plans,cm_research_results,cm_enhancement_sessions,mm_multimedia_sessions,
								 mm_multimedia_assets,mm_audio_narrations,mm_slide_presentations,mm_script_generations,mm_rendering_queue}'::text[]) AS t
	   UNION ALL SELECT t, 'tr_' || t || '_company', parent || '\000'
				   FROM (VALUES ('cm_course_plans', 'employee'), ('mm_multimedia_sessions', 'content'), ('mm_multimedia_assets', 'session'),
								('mm_audio_narrations', 'session'), ('mm_slide_presentations', 'session'), ('mm_script_generations', 'session'),
								('mm_rendering_queue', 'session'), ('mm_video_analytics', 'asset'), ('cm_research_results', 'plan'),
								('cm_quality_assessments', 'content'), ('cm_enhancement_sessions', 'content')) AS c (t, parent)
	   UNION ALL SELECT t, 'tr_' || t || '_pass_on', self || '\000'
				   FROM (VALUES ('cm_module_content', 'content'), ('mm_multimedia_sessions', 'session'), ('mm_multimedia_assets', 'asset'),
								('cm_course_plans', 'plan')) AS p (t, self)
	   UNION ALL SELECT t, 'tr_' || t || '_' || n, t || '\000'
				   FROM unnest('{studio_jobs,mm_rendering_queue}'::text[]) AS t, unnest('{price,hold_price,keep_price,return_price}'::text[]) AS n
	   UNION ALL SELECT t, 'tr_' || t || n, t || '\000' FROM unnest('{assets,mm_multimedia_assets}'::text[]) AS t, unnest('{_files,_files_update}'::text[]) AS n
	   UNION ALL SELECT t, 'tr_' || t || '_keep_worked_on', t || '\000' FROM unnest('{jobs,studio_jobs,mm_rendering_queue}'::text[]) AS t
	   UNION ALL SELECT t, 'tr_' || t || '_keep_renderings', self || '\000'
				   FROM (VALUES ('companies', 'company'), ('cm_module_content', 'content'), ('mm_multimedia_sessions', 'session')) AS p (t, self) $$,
	'... and their arguments: each its own table, or what has the company');
-- Foreign keys are triggers too; those of one event fire in the order of names.
SELECT is((SELECT array_agg(f.tgname ORDER BY f.tgname COLLATE "C")
			 FROM (SELECT t.tgname::text FROM pg_trigger t
					WHERE t.tgrelid = 'public.jobs'::regclass AND t.tgtype & 8 <> 0 AND t.tgtype & 2 = 0
					ORDER BY t.tgname COLLATE "C" LIMIT 2) AS f),
		  '{00_jobs_queue,00_jobs_return_hold}'::text[],
		  'a deleted job leaves the queue, then returns its hold, before foreign keys empty the ledger''s job_id');
SELECT is((SELECT evtevent || ' ' || evtenabled::text FROM pg_event_trigger WHERE evtname = 'studio_engine_close_created_table'),
		  'ddl_command_end A', 'the event trigger that closes tables made elsewhere is on, while dumps are loaded too');
SELECT set_eq($$ SELECT evtname || ' ' || evtevent || ' ' || evtenabled::text FROM pg_event_trigger WHERE evtfoid = 'studio_engine.keep_hooks()'::regprocedure $$,
		  $$ VALUES ('studio_engine_make_way ddl_command_start A'), ('studio_engine_keep_hooks ddl_command_end A') $$, '... and those that keep the hooks on auth.users');

--------------------------------------------------------------------------------
-- Private schema and settings
--------------------------------------------------------------------------------

SELECT is(has_schema_privilege(r.role, 'studio_engine', p.privilege), false, r.role || ' has no ' || p.privilege || ' on studio_engine')
FROM unnest('{public,anon,authenticated,service_role}'::text[]) AS r (role),
	 unnest('{USAGE,CREATE}'::text[]) AS p (privilege);
SELECT pg_temp.same_rows(
	$$ SELECT name, value FROM studio_engine.settings $$,
	$$ VALUES ('draft_lifetime_days', '7'), ('ledger_hash_chain', '0'), ('max_active_jobs', '5'), ('max_active_runs', '5'), ('welcome_credits', '10'),
			  ('welcome_once_per_email', '1'), ('welcome_anonymous', '0'),
			  ('lease_seconds', '60'), ('max_attempts', '3'), ('retry_base_seconds', '5'), ('retry_cap_seconds', '3600'),
			  ('progress_interval_ms', '1000'), ('fair_queue', '0'), ('notify_workers', '0'), ('notify_interval_ms', '0'), ('max_user_priority', '100'),
			  ('default_system_prompt', 'Rewrite the transcript in the voice of the brand. Keep names, facts and numbers as they are.'),
			  ('quality_pass_score', '7'), ('search_configuration', 'english'), ('stripe_prices', '{}'), ('stripe_subscription_expiry', '0'),
			  ('price_studio_job', '0'), ('price_rendering', '0'),
			  ('priority_ageing_seconds', '0'), ('max_running_jobs', '0'), ('max_run_seconds', '0'), ('cancel_grace_seconds', '60'), ('asynchronous_claims', '0'),
			  ('storage_public_url', '') $$,
	'settings have the defaults of the specification');
SELECT is_empty('SELECT name FROM studio_engine.settings WHERE description IS NULL', 'every setting has a description');

--------------------------------------------------------------------------------
-- The same installed by a role that is no superuser
--------------------------------------------------------------------------------

DROP EXTENSION studio_engine CASCADE;
DROP SCHEMA studio_engine, pipeline CASCADE;
DROP TABLE public.assets, public.logs, public.job_steps, public.credit_ledger, public.credit_accounts,
	public.jobs, public.projects, public.draft_prompts, public.profiles, public.studio_jobs,
	public.companies, public.employees, public.cm_module_content, public.cm_course_plans,
	public.cm_research_results, public.cm_quality_assessments, public.cm_enhancement_sessions,
	public.mm_multimedia_sessions, public.mm_multimedia_assets, public.mm_audio_narrations,
	public.mm_slide_presentations, public.mm_script_generations, public.mm_video_analytics,
	public.mm_rendering_queue;
DROP TYPE public.job_status, public.step_status;
CREATE ROLE catalogue_installer;
SELECT format('GRANT CREATE ON DATABASE %I TO catalogue_installer', current_database()) \gexec
GRANT CREATE, USAGE ON SCHEMA public TO catalogue_installer;
SELECT throws_ok($$ DO $x$ BEGIN SET LOCAL ROLE catalogue_installer; CREATE EXTENSION studio_engine SCHEMA public; END $x$ $$,
				 '42501', NULL, 'installed by a role without rights on auth.users: refused');
SELECT is(to_regnamespace('studio_engine'), NULL, '... and nothing is left');
GRANT USAGE ON SCHEMA auth TO catalogue_installer;
GRANT TRIGGER, REFERENCES ON auth.users TO catalogue_installer;
SET LOCAL ROLE catalogue_installer;
CREATE EXTENSION studio_engine SCHEMA public;
RESET ROLE;

SELECT is_empty($$ SELECT oid::regclass FROM our_tables WHERE relowner <> 'catalogue_installer'::regrole $$,
				'installed by a lesser role: the tables are its own');
SELECT is((SELECT count(*)::integer FROM our_tables), 47, '... all of them');
SELECT is_empty(
	$$ SELECT oid::regtype FROM pg_type
	   WHERE typnamespace IN ('public'::regnamespace, 'studio_engine'::regnamespace) AND typtype = 'e' AND typowner <> 'catalogue_installer'::regrole $$,
	'... the types as well');
SELECT is((SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'studio_engine'), 'catalogue_installer',
		  '... and the private schema');
SELECT is((SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'pipeline'), 'catalogue_installer',
		  '... and schema pipeline');
SELECT is_empty($$ SELECT signature FROM our_functions WHERE NOT (SELECT rolsuper FROM pg_roles WHERE oid = proowner) $$,
				'... but the functions still belong to a superuser');
SELECT is_empty(
	$$ SELECT f.signature, r.role FROM our_functions f, unnest('{public,anon}'::text[]) AS r (role)
	   WHERE has_function_privilege(r.role, f.oid, 'EXECUTE')
		 AND (r.role = 'public' OR f.proname NOT IN ('save_draft_prompt', 'get_draft_prompt', 'workflow_transitions', 'workflow_diagram')) $$,
	'... and default privileges of the superuser opened none of them');
SELECT is_empty(
	$$ SELECT oid::regclass FROM our_tables WHERE has_table_privilege('anon', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') $$,
	'... nor any table');
SELECT is_empty($$ SELECT * FROM studio_engine.lint() $$, '... and lint() finds nothing');
INSERT INTO auth.users (id, raw_user_meta_data)
VALUES ('10000000-0000-4000-8000-00000000ca7a', '{"name": "Catalogue"}');
SELECT is(get_credit_balance('10000000-0000-4000-8000-00000000ca7a'), 10, '... and a sign-up is welcomed');
SELECT is_empty('SELECT * FROM verify_credit_ledger()', '... with books that are sound');
SELECT create_studio_job('10000000-0000-4000-8000-00000000ca7a', 'https://example.test/a') \g /dev/null
SELECT is((SELECT count(*)::integer FROM claim_jobs('studio_jobs', 'catalogue')), 1, '... and a worker gets a job');

SELECT * FROM finish();
ROLLBACK;
