/*
 * studio_engine_import_seed.sql
 *
 * Takes over a database that runs systems of the studio by their design
 * documents alone, one of them or several: the tables, types, functions, triggers
 * and policies that studio_engine has too.
 *
 *   Video       profiles, draft_prompts, projects, jobs, job_steps, assets,
 *               credit_ledger, in schema public
 *   Refinement  studio_jobs, in schema public
 *   Pipeline    jobs, job_events, artifacts, prompts, in schema public or pipeline
 *   Content     cm_module_content, cm_course_plans, cm_research_results,
 *               cm_quality_assessments, cm_enhancement_sessions,
 *               mm_multimedia_sessions, mm_multimedia_assets, mm_audio_narrations,
 *               mm_slide_presentations, in schema public; companies and employees
 *               stay where they are and go on being used
 *
 * All rows come along; the ledger is numbered, balanced and mended on the way,
 * and a report says what was wrong.  In the other systems a value that the new
 * tables do not take is replaced, and a row without the user, run or module that
 * it needs stays behind; the report names each, and the backup has it as it was.
 * Counts of words, files and events, and the companies and owners of what belongs
 * to something else, are derived anew.
 *
 * How to run it, once, as the owner of the tables, while nobody works with the
 * database; as a superuser only where they belong to one, since their triggers,
 * defaults and index expressions run as whoever runs the script:
 *
 *     psql -d mydb -v ON_ERROR_STOP=1 -1 -f "$(pg_config --sharedir)/extension/studio_engine_import_seed.sql"
 *
 * A READY job whose reservation was never closed: the reservation is given
 * back, like that of a FAILED job.  Where the application took it for the price
 * of the video, add -v ready_holds=settle, and it is charged.
 *
 * Nothing is dropped.  The tables, types and functions of before move to schema
 * seed_backup, those of Pipeline to seed_backup_pipeline, with their indexes,
 * triggers and policies; the report is there too (seed_backup.import_report,
 * seed_backup.import_summary).  When all is well: DROP SCHEMA seed_backup,
 * seed_backup_pipeline CASCADE.
 *
 * The pitfall: it is all or nothing, so everything must be in one transaction.
 * The script refuses to run without -1.
 */
\set ON_ERROR_STOP on
\if :{?ready_holds}
\else
	\set ready_holds release
\endif

SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL studio_import.ready_holds = :'ready_holds';

DO $run$
BEGIN
	-- outside of a transaction the setting is gone by now
	IF coalesce(current_setting('studio_import.ready_holds', true), '') = '' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'no_active_sql_transaction',
			MESSAGE = 'the import must be one transaction',
			HINT = 'Run psql with -1 (--single-transaction).';
	END IF;
	IF current_setting('studio_import.ready_holds') NOT IN ('release', 'settle') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'ready_holds must be release or settle';
	END IF;
END
$run$;

SELECT to_regnamespace('studio_engine') IS NOT NULL
	   AND NOT EXISTS (SELECT FROM pg_attribute a
						WHERE a.attrelid = to_regclass('public.credit_ledger') AND a.attname = 'balance_after'
						  AND NOT EXISTS (SELECT FROM pg_attribute n
										   WHERE n.attrelid = a.attrelid AND n.attname = 'entry_no')) AS nothing_to_import
\gset
\if :nothing_to_import
	\echo 'Nothing to import: this database has the tables of studio_engine already.'
	\quit
\endif

--------------------------------------------------------------------------------
-- What is there, and do we understand it?
--------------------------------------------------------------------------------

CREATE FUNCTION pg_temp.spelled_out(p_column text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT split_part(p_column, ' ', 1) || ' ' || CASE substr(p_column, strpos(p_column, ' ') + 1)
		WHEN 'TIME' THEN 'timestamp with time zone|timestamp without time zone'
		WHEN 'JSON' THEN 'jsonb|json'
		WHEN 'INTEGER' THEN 'integer|bigint|smallint'
		WHEN 'NUMBER' THEN 'numeric|double precision|real|integer|bigint'
		WHEN 'TEXTS' THEN 'text[]|character varying[]'
		ELSE substr(p_column, strpos(p_column, ' ') + 1) END
$$;

CREATE FUNCTION pg_temp.is_run_table(p_table text) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT coalesce(bool_or(a.attname = 'run_id') AND NOT bool_or(a.attname = 'project_id'), false)
	  FROM pg_attribute a WHERE a.attrelid = to_regclass(p_table) AND a.attnum > 0 AND NOT a.attisdropped
$$;

-- columns are those of the design documents, each with the types that it may have;
-- optional ones came with later migrations.  The install script knows the tables
-- from here: names.awk.
CREATE TEMP TABLE seed_table (
	system text, name text, required boolean, copied boolean, columns text[], optional text[],
	relid regclass, backup text, target text,
	PRIMARY KEY (system, name)
) ON COMMIT DROP;
INSERT INTO pg_temp.seed_table (system, name, required, copied, columns, optional) VALUES
	('video', 'profiles', true, true, ARRAY['id uuid', 'display_name text', 'avatar_url text', 'notification_prefs jsonb',
		'stripe_customer_id text', 'created_at timestamp with time zone', 'updated_at timestamp with time zone'], NULL),
	('video', 'draft_prompts', false, true, ARRAY['id uuid', 'session_token text', 'user_id uuid', 'prompt_text text',
		'template_id text', 'options jsonb', 'created_at timestamp with time zone',
		'updated_at timestamp with time zone', 'expires_at timestamp with time zone'], NULL),
	('video', 'projects', true, true, ARRAY['id uuid', 'user_id uuid', 'title text', 'prompt_text text', 'niche_preset text',
		'target_minutes integer', 'voice_profile_id uuid', 'transcript_mode text', 'transcript_text text',
		'settings jsonb', 'created_at timestamp with time zone', 'updated_at timestamp with time zone'], NULL),
	('video', 'jobs', true, true, ARRAY['id uuid', 'project_id uuid', 'user_id uuid', 'status job_status', 'progress integer',
		'status_message text', 'cost_credits_reserved integer', 'cost_credits_final integer', 'failed_step text',
		'error_code text', 'error_message text', 'output_url text', 'manifest_json jsonb',
		'created_at timestamp with time zone', 'started_at timestamp with time zone',
		'finished_at timestamp with time zone'], NULL),
	('video', 'job_steps', false, true, ARRAY['id uuid', 'job_id uuid', 'step_name text', 'step_order integer',
		'state step_status', 'progress_pct integer', 'status_message text', 'error_message text', 'logs_url text',
		'artifacts_json jsonb', 'started_at timestamp with time zone', 'finished_at timestamp with time zone'], NULL),
	('video', 'assets', false, true, ARRAY['id uuid', 'job_id uuid', 'type text', 'url text', 'storage_path text',
		'size_bytes bigint', 'mime_type text', 'metadata_json jsonb', 'created_at timestamp with time zone'], NULL),
	('video', 'credit_ledger', true, false, ARRAY['id uuid', 'user_id uuid', 'type text', 'amount integer',
		'balance_after integer', 'note text', 'job_id uuid', 'stripe_payment_id text',
		'created_at timestamp with time zone'], NULL),
	-- the documents name these without a definition: they step aside
	('video', 'logs', false, false, NULL, NULL),
	('video', 'credit_accounts', false, false, NULL, NULL),
	('content', 'mm_script_generations', false, false, NULL, NULL),
	('content', 'mm_video_analytics', false, false, NULL, NULL),
	('content', 'mm_rendering_queue', false, false, NULL, NULL),

	('refinement', 'studio_jobs', true, true, ARRAY['job_id uuid', 'created_at TIME', 'status text', 'user_id uuid', 'raw_audio_url text',
		'raw_transcript text', 'refined_text text', 'system_prompt_used text', 'processing_time_ms INTEGER', 'error_details JSON'],
		ARRAY['enrichment_entities JSON', 'model_version text', 'retry_count INTEGER', 'priority INTEGER']),

	('pipeline', 'jobs', true, true, ARRAY['run_id text', 'project_spec JSON', 'created_at TIME'],
		ARRAY['owner_id uuid', 'status text', 'started_at TIME', 'completed_at TIME', 'error_message text', 'updated_at TIME']),
	('pipeline', 'job_events', false, true, ARRAY['id uuid', 'run_id text', 'bot_name text', 'event_type text', 'payload JSON', 'created_at TIME'],
		ARRAY['owner_id uuid']),
	('pipeline', 'artifacts', false, true, ARRAY['id uuid', 'run_id text', 'kind text', 'url text', 'meta JSON', 'created_at TIME'],
		ARRAY['owner_id uuid', 'file_size bigint|integer', 'content_type text', 'checksum text']),
	('pipeline', 'prompts', false, true, ARRAY['id text', 'category text', 'context text', 'prompt_text text', 'created_at TIME'],
		ARRAY['updated_at TIME']),

	('content', 'cm_module_content', false, true, ARRAY['content_id uuid', 'company_id uuid', 'module_name text', 'employee_name text',
		'session_id text|uuid', 'introduction text', 'core_content text', 'practical_applications text', 'case_studies text',
		'assessments text', 'module_spec JSON', 'research_context JSON', 'total_word_count INTEGER', 'section_word_counts JSON',
		'status text', 'priority_level text', 'revision_count INTEGER', 'created_at TIME', 'updated_at TIME'], NULL),
	('content', 'cm_course_plans', false, true, ARRAY['plan_id uuid', 'employee_id uuid', 'employee_name text', 'session_id text|uuid',
		'course_structure JSON', 'prioritized_gaps JSON', 'research_strategy JSON', 'learning_path JSON', 'employee_profile JSON',
		'total_modules INTEGER', 'course_duration_weeks INTEGER', 'course_title text', 'status text', 'created_at TIME'],
		ARRAY['updated_at TIME']),
	('content', 'cm_research_results', false, true, ARRAY['research_id uuid', 'plan_id uuid', 'session_id text|uuid', 'research_findings JSON',
		'content_library JSON', 'module_mappings JSON', 'total_topics INTEGER', 'total_sources INTEGER', 'search_queries TEXTS',
		'sources_analyzed TEXTS', 'status text', 'created_at TIME'], ARRAY['updated_at TIME']),
	('content', 'cm_quality_assessments', false, true, ARRAY['assessment_id uuid', 'content_id uuid', 'overall_score NUMBER',
		'section_scores JSON', 'accuracy_score NUMBER', 'clarity_score NUMBER', 'completeness_score NUMBER', 'engagement_score NUMBER',
		'personalization_score NUMBER', 'quality_feedback text', 'passed boolean', 'requires_revision boolean',
		'sections_needing_work TEXTS', 'critical_issues TEXTS', 'assessed_at TIME'], NULL),
	('content', 'cm_enhancement_sessions', false, true, ARRAY['session_id uuid', 'content_id uuid', 'quality_assessment_id uuid',
		'enhancement_type text', 'sections_to_enhance TEXTS', 'sections_preserved TEXTS', 'research_conducted boolean',
		'content_regenerated boolean', 'status text', 'created_at TIME', 'completed_at TIME'], ARRAY['updated_at TIME']),
	('content', 'mm_multimedia_sessions', false, true, ARRAY['session_id uuid', 'content_id uuid', 'company_id uuid', 'session_type text',
		'module_name text', 'employee_name text', 'generation_config JSON', 'content_sections TEXTS', 'status text', 'current_stage text',
		'progress_percentage NUMBER', 'total_assets_generated INTEGER', 'slides_generated INTEGER', 'audio_files_generated INTEGER',
		'video_files_generated INTEGER', 'processing_duration_seconds NUMBER', 'started_at TIME', 'completed_at TIME'],
		ARRAY['error_message text', 'updated_at TIME']),
	('content', 'mm_multimedia_assets', false, true, ARRAY['asset_id uuid', 'session_id uuid', 'content_id uuid', 'company_id uuid',
		'asset_type text', 'asset_name text', 'file_path text', 'file_size_bytes INTEGER', 'mime_type text', 'section_name text',
		'duration_seconds NUMBER', 'generation_config JSON', 'status text', 'storage_bucket text', 'storage_path text', 'public_url text',
		'created_at TIME'], ARRAY['updated_at TIME']),
	('content', 'mm_audio_narrations', false, true, ARRAY['narration_id uuid', 'session_id uuid', 'content_id uuid', 'narration_name text',
		'narration_type text', 'section_name text', 'total_duration_seconds NUMBER', 'audio_segments JSON', 'voice_config JSON',
		'script_content text', 'master_audio_id uuid', 'segments_audio_ids uuid[]', 'synthesis_completed boolean', 'status text'],
		ARRAY['created_at TIME', 'updated_at TIME']),
	('content', 'mm_slide_presentations', false, true, ARRAY['presentation_id uuid', 'session_id uuid', 'content_id uuid',
		'presentation_name text', 'presentation_type text', 'total_slides INTEGER', 'slide_order JSON', 'template_used text',
		'theme_config JSON', 'pdf_generated boolean', 'pptx_generated boolean', 'html_generated boolean', 'pdf_asset_id uuid',
		'pptx_asset_id uuid', 'html_asset_id uuid', 'status text'], ARRAY['created_at TIME', 'updated_at TIME']);

-- the documents say what kind of type, and databases differ in which
UPDATE pg_temp.seed_table s
   SET columns = ARRAY(SELECT pg_temp.spelled_out(c) FROM unnest(s.columns) WITH ORDINALITY u (c, n) ORDER BY n),
	   optional = ARRAY(SELECT pg_temp.spelled_out(c) FROM unnest(s.optional) WITH ORDINALITY u (c, n) ORDER BY n)
 WHERE s.columns IS NOT NULL;

-- Where each is.  Both Video and Pipeline have a table jobs: the columns tell.
UPDATE pg_temp.seed_table s
   SET backup = CASE s.system WHEN 'pipeline' THEN 'seed_backup_pipeline' ELSE 'seed_backup' END,
	   target = CASE s.system WHEN 'pipeline' THEN 'pipeline' ELSE 'public' END,
	   relid = CASE
		WHEN s.system = 'pipeline' AND (to_regclass('pipeline.jobs') IS NOT NULL) THEN to_regclass('pipeline.' || s.name)
		WHEN s.system = 'pipeline' AND NOT pg_temp.is_run_table('public.jobs') THEN NULL
		WHEN s.system = 'video' AND s.name = 'jobs' AND pg_temp.is_run_table('public.jobs') THEN NULL
		ELSE to_regclass('public.' || s.name) END;

-- a system of which nothing is there is left out; Video is asked for where nothing is there at all
DELETE FROM pg_temp.seed_table s
 WHERE s.system NOT IN (SELECT t.system FROM pg_temp.seed_table t WHERE t.relid IS NOT NULL)
   AND (s.system <> 'video' OR EXISTS (SELECT FROM pg_temp.seed_table t WHERE t.relid IS NOT NULL));

-- the functions of the document, their bodies without comments and blanks
CREATE TEMP TABLE seed_function (signature text PRIMARY KEY, body text) ON COMMIT DROP;
INSERT INTO pg_temp.seed_function VALUES
	('public.get_credit_balance(uuid)',
	 'selectcoalesce(sum(amount),0)::integerfromcredit_ledgerwhereuser_id=p_user_id;'),
	('public.reserve_credits(uuid,uuid,integer)',
	 'declarev_balanceinteger;beginselectget_credit_balance(p_user_id)intov_balance;ifv_balance<p_amountthen'
	 || 'returnfalse;endif;insertintocredit_ledger(user_id,type,amount,job_id,note)'
	 || 'values(p_user_id,''reserve'',-p_amount,p_job_id,''reservedforjob'');returntrue;end;'),
	('public.claim_draft_prompt(text,uuid)',
	 'declarev_draft_iduuid;beginupdatedraft_promptssetuser_id=p_user_id,updated_at=now()'
	 || 'wheresession_token=p_session_tokenanduser_idisnullandexpires_at>now()returningidintov_draft_id;'
	 || 'returnv_draft_id;end;'),
	('public.handle_new_user()',
	 'begininsertintoprofiles(id,display_name)values(new.id,new.raw_user_meta_data->>''name'');'
	 || 'insertintocredit_ledger(user_id,type,amount,note)'
	 || 'values(new.id,''grant'',10,''welcomebonus:1freevideotrial'');returnnew;end;'),
	('public.update_updated_at()', 'beginnew.updated_at=now();returnnew;end;');

-- a sign-up in the middle would meet half of each world
DO $lock$
DECLARE
	v_table text;
BEGIN
	IF to_regclass('auth.users') IS NOT NULL AND has_table_privilege('auth.users', 'UPDATE, DELETE, TRUNCATE') THEN
		LOCK TABLE auth.users IN ACCESS EXCLUSIVE MODE;
	END IF;
	FOR v_table IN SELECT s.relid FROM pg_temp.seed_table s WHERE s.relid IS NOT NULL LOOP
		EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', v_table);
	END LOOP;
END
$lock$;

-- Problems that are found before anything is touched, all of them at once.
CREATE TEMP TABLE seed_obstacle (problem text) ON COMMIT DROP;

INSERT INTO pg_temp.seed_obstacle
	SELECT format('table %s.%s is missing', s.target, s.name)
	  FROM pg_temp.seed_table s
	 WHERE s.required AND s.relid IS NULL
	UNION ALL
	SELECT format('%s is not an ordinary table', s.relid)
	  FROM pg_temp.seed_table s JOIN pg_class c ON c.oid = s.relid
	 WHERE c.relkind <> 'r' OR c.relispartition OR c.relhassubclass
	UNION ALL
	SELECT format('%s belongs to %s', s.relid, c.relowner::regrole)
	  FROM pg_temp.seed_table s JOIN pg_class c ON c.oid = s.relid
	 WHERE NOT pg_has_role(c.relowner, 'USAGE')
		OR (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)
		   AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = c.relowner)
	UNION ALL
	SELECT format('function %s belongs to %s', f.signature, p.proowner::regrole)
	  FROM pg_temp.seed_function f JOIN pg_proc p ON p.oid = to_regprocedure(f.signature)
	 WHERE NOT pg_has_role(p.proowner, 'USAGE')
	UNION ALL
	SELECT DISTINCT format('schema %s exists already', b) FROM (SELECT s.backup FROM pg_temp.seed_table s UNION SELECT 'seed_backup') x (b)
	 WHERE to_regnamespace(b) IS NOT NULL
	UNION ALL
	SELECT 'studio_engine is installed, and beside it are tables that are not its own'
	 WHERE to_regnamespace('studio_engine') IS NOT NULL;

INSERT INTO pg_temp.seed_obstacle
	SELECT CASE WHEN a.attname IS NULL THEN format('column %s.%s is missing', s.name, w.column_name)
				ELSE format('column %s.%s is %s, not %s', s.name, w.column_name,
							format_type(a.atttypid, a.atttypmod), replace(w.type, '|', ' or ')) END
	  FROM pg_temp.seed_table s,
		   LATERAL (SELECT split_part(c, ' ', 1) AS column_name, substr(c, strpos(c, ' ') + 1) AS type, false AS optional
					  FROM unnest(s.columns) c
					UNION ALL
					SELECT split_part(c, ' ', 1), substr(c, strpos(c, ' ') + 1), true FROM unnest(s.optional) c) w
	  LEFT JOIN LATERAL (SELECT p.*, t.typtype FROM pg_attribute p JOIN pg_type t ON t.oid = p.atttypid
						  WHERE p.attrelid = s.relid AND p.attname = w.column_name AND NOT p.attisdropped) a ON true
	 WHERE s.relid IS NOT NULL
	   AND (a.attname IS NULL AND NOT w.optional
			OR format_type(a.atttypid, NULL) <> ALL (string_to_array(w.type, '|'))
			   AND a.atttypid <> coalesce(to_regtype('public.' || quote_ident(w.type)), 0)
			   AND NOT (w.type IN ('text', 'job_status', 'step_status')
						AND a.atttypid IN ('text'::regtype, 'varchar'::regtype))
			   -- elsewhere a word may be of an enum
			   AND NOT (s.system <> 'video' AND w.type = 'text' AND a.typtype = 'e'));

-- whether a user is there is asked where no foreign key has seen to it
INSERT INTO pg_temp.seed_obstacle
	SELECT format('rows of auth.users are hidden from %s, and %s of %s is no foreign key to it', current_user, a.attname, s.relid)
	  FROM pg_temp.seed_table s
	  JOIN pg_attribute a ON a.attrelid = s.relid AND a.attname IN ('user_id', 'owner_id') AND NOT a.attisdropped
	 WHERE (s.system = 'refinement' OR s.system = 'pipeline' AND s.name = 'jobs') AND to_regclass('auth.users') IS NOT NULL
	   AND (NOT has_table_privilege('auth.users', 'SELECT') OR row_security_active('auth.users'))
	   AND NOT EXISTS (SELECT FROM pg_constraint k
						WHERE k.conrelid = s.relid AND k.contype = 'f' AND k.convalidated AND k.confrelid = to_regclass('auth.users') AND k.conkey = ARRAY[a.attnum]);

-- What hangs on the tables and types would move away with them: views would
-- show the backup, foreign keys would guard it.
CREATE TEMP TABLE seed_dependent ON COMMIT DROP AS
	WITH tables AS (
		SELECT c.oid, c.reltype FROM pg_temp.seed_table s JOIN pg_class c ON c.oid = s.relid
	), types AS (
		SELECT t.oid FROM pg_type t
		 WHERE t.oid IN (SELECT reltype FROM tables)
			OR t.oid IN (to_regtype('public.job_status'), to_regtype('public.step_status'))
			OR t.typelem IN (SELECT reltype FROM tables) AND t.typcategory = 'A'
			OR t.typelem IN (to_regtype('public.job_status'), to_regtype('public.step_status')) AND t.typcategory = 'A'
	), functions AS (
		SELECT to_regprocedure(f.signature)::oid AS oid FROM pg_temp.seed_function f
		 WHERE to_regprocedure(f.signature) IS NOT NULL
	), dependents AS (
		SELECT d.*, CASE d.classid
				 WHEN 'pg_class'::regclass THEN coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = d.objid), d.objid)
				 WHEN 'pg_constraint'::regclass THEN (SELECT c.conrelid FROM pg_constraint c WHERE c.oid = d.objid)
				 WHEN 'pg_policy'::regclass THEN (SELECT p.polrelid FROM pg_policy p WHERE p.oid = d.objid)
				 WHEN 'pg_rewrite'::regclass THEN (SELECT r.ev_class FROM pg_rewrite r WHERE r.oid = d.objid)
				 WHEN 'pg_attrdef'::regclass THEN (SELECT f.adrelid FROM pg_attrdef f WHERE f.oid = d.objid)
				 WHEN 'pg_trigger'::regclass THEN (SELECT t.tgrelid FROM pg_trigger t WHERE t.oid = d.objid)
				 WHEN 'pg_statistic_ext'::regclass THEN (SELECT x.stxrelid FROM pg_statistic_ext x WHERE x.oid = d.objid)
			   END AS home
		  FROM pg_depend d
		 WHERE d.deptype = 'n'
		   AND (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM tables)
				OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT oid FROM types)
				OR d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM functions))
	)
	SELECT DISTINCT d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid, t.tgname AS trigger_name, d.home
	  FROM dependents d
	  LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
	 WHERE (d.home IS NULL OR d.home NOT IN (SELECT oid FROM tables))
	   AND NOT (d.classid = 'pg_proc'::regclass AND d.objid IN (SELECT oid FROM functions))
	   AND NOT (d.classid = 'pg_type'::regclass AND d.objid IN (SELECT oid FROM types))
	   AND NOT coalesce(t.tgisinternal, false);

-- triggers of other tables may keep update_updated_at(); the extension replaces
-- the trigger of the document on auth.users
INSERT INTO pg_temp.seed_obstacle
	SELECT DISTINCT format('%s depends on %s', pg_describe_object(d.classid, d.objid, d.objsubid),
						   pg_describe_object(d.refclassid, d.refobjid, 0))
	  FROM pg_temp.seed_dependent d
	 WHERE NOT (d.refclassid = 'pg_proc'::regclass AND d.classid = 'pg_trigger'::regclass
				AND (d.refobjid = to_regprocedure('public.update_updated_at()')
					 OR d.refobjid = to_regprocedure('public.handle_new_user()')
						AND d.trigger_name = 'on_auth_user_created' AND d.home = to_regclass('auth.users')));

DO $refuse$
DECLARE
	v_problems text := (SELECT string_agg(o.problem, '; ' ORDER BY o.problem) FROM pg_temp.seed_obstacle o);
BEGIN
	IF v_problems IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'this database cannot be imported as it is',
			DETAIL = v_problems || '.',
			HINT = 'Nothing was changed. Mend or drop what is named, and create it again after the import.';
	END IF;
END
$refuse$;

--------------------------------------------------------------------------------
-- Out of the way, and CREATE EXTENSION
--------------------------------------------------------------------------------

CREATE SCHEMA seed_backup;
COMMENT ON SCHEMA seed_backup IS 'What studio_engine_import_seed.sql found before it installed studio_engine, and its report; not used by anything';
DO $closed$
DECLARE
	v_schema text;
BEGIN
	IF EXISTS (SELECT FROM pg_temp.seed_table s WHERE s.system = 'pipeline') THEN
		CREATE SCHEMA seed_backup_pipeline;
		COMMENT ON SCHEMA seed_backup_pipeline IS 'Tables of Pipeline that studio_engine_import_seed.sql found before it installed studio_engine; not used by anything';
	END IF;
	FOR v_schema IN SELECT n.nspname FROM pg_namespace n WHERE n.nspname IN ('seed_backup', 'seed_backup_pipeline') LOOP
		EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', v_schema) || coalesce((
			SELECT string_agg(format(', %I', r.rolname), '') FROM pg_roles r
			 WHERE r.rolname IN ('anon', 'authenticated', 'service_role')), '');
	END LOOP;
END
$closed$;

CREATE TABLE seed_backup.import_report (
	no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id uuid,
	damage text NOT NULL,
	entry_id uuid,
	amount bigint,
	done text NOT NULL
);
COMMENT ON TABLE seed_backup.import_report IS 'What was wrong, or could not be taken over, and what was done about it';
CREATE TABLE seed_backup.import_summary (
	no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind text NOT NULL,
	rows_before bigint,
	rows_after bigint,
	credits_before bigint,
	credits_after bigint
);
COMMENT ON TABLE seed_backup.import_summary IS 'Rows and credits before and after the import';

-- what is not the document's is reported while it still has its name
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own column', format('%s.%s (%s) was not copied; it is in %s.%s', s.name, a.attname,
								format_type(a.atttypid, a.atttypmod), s.backup, s.name)
	  FROM pg_temp.seed_table s JOIN pg_attribute a ON a.attrelid = s.relid
	 WHERE s.columns IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped
	   AND NOT EXISTS (SELECT FROM unnest(s.columns || s.optional) c WHERE split_part(c, ' ', 1) = a.attname)
	 ORDER BY s.name, a.attnum;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own table', format('public.%s is not of the document; its rows were not copied, they are in seed_backup.%1$s', s.name)
	  FROM pg_temp.seed_table s WHERE s.columns IS NULL AND s.relid IS NOT NULL
	 ORDER BY s.name;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own trigger', format('trigger %s on %s stayed with %s.%2$s', t.tgname, s.name, s.backup)
	  FROM pg_temp.seed_table s JOIN pg_trigger t ON t.tgrelid = s.relid
	 WHERE NOT t.tgisinternal AND t.tgname NOT IN ('tr_profiles_updated', 'tr_projects_updated')
	 ORDER BY s.name, t.tgname;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own policy', format('policy %s on %s stayed with %s.%2$s', p.polname, s.name, s.backup)
	  FROM pg_temp.seed_table s JOIN pg_policy p ON p.polrelid = s.relid
	 WHERE p.polname NOT IN ('profiles_select', 'profiles_update', 'projects_all', 'jobs_select', 'credit_select')
	 ORDER BY s.name, p.polname;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own grant', format('%s on %s to %s is not on the new table', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type),
							   s.name, a.grantee::regrole)
	  FROM pg_temp.seed_table s
	  JOIN pg_class c ON c.oid = s.relid, LATERAL aclexplode(c.relacl) a
	 WHERE a.grantee NOT IN (0, c.relowner)
	   AND a.grantee <> ALL (ARRAY[to_regrole('anon'), to_regrole('authenticated'), to_regrole('service_role')]::oid[])
	 GROUP BY s.name, a.grantee ORDER BY s.name, a.grantee::regrole::text;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own function', format('%s differs from the document; it is in seed_backup, and the function of the extension works now', f.signature)
	  FROM pg_temp.seed_function f JOIN pg_proc p ON p.oid = to_regprocedure(f.signature)
	 WHERE lower(regexp_replace(regexp_replace(p.prosrc, '--[^\n]*', '', 'g'), '\s', '', 'g')) <> f.body
	 ORDER BY f.signature;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own trigger', format('%s goes on with seed_backup.update_updated_at()', pg_describe_object(d.classid, d.objid, 0))
	  FROM pg_temp.seed_dependent d WHERE d.refobjid = to_regprocedure('public.update_updated_at()')
	 ORDER BY 2;

-- changes of these tables are sent to subscribers, as by Realtime
CREATE TEMP TABLE seed_published ON COMMIT DROP AS
	SELECT p.pubname, p.pubowner, s.name, s.backup, s.target
	  FROM pg_temp.seed_table s
	  JOIN pg_publication_rel r ON r.prrelid = s.relid
	  JOIN pg_publication p ON p.oid = r.prpubid
	 WHERE s.columns IS NOT NULL;

DO $move$
DECLARE
	v_name text;
	v_table record;
	v_key record;
BEGIN
	FOR v_table IN SELECT s.relid, s.backup FROM pg_temp.seed_table s WHERE s.relid IS NOT NULL LOOP
		EXECUTE format('ALTER TABLE %s SET SCHEMA %I', v_table.relid, v_table.backup);
		EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', v_table.relid);
	END LOOP;
	-- the backup keeps nobody from deleting what goes on living: neither by itself, nor where a user's row is referred to
	-- by a row of another, both in the backup
	FOR v_key IN
		SELECT k.conrelid::regclass AS home, k.conname, k.confrelid::regclass AS parent,
			k.confrelid IN (SELECT s.relid FROM pg_temp.seed_table s WHERE s.relid IS NOT NULL) AS in_backup
		  FROM pg_constraint k
		 WHERE k.contype = 'f' AND k.confdeltype IN ('a', 'r')
		   AND k.conrelid IN (SELECT s.relid FROM pg_temp.seed_table s)
		 ORDER BY 1, 2
	LOOP
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', v_key.home, v_key.conname);
		-- that of the document is no news
		CONTINUE WHEN v_key.in_backup;
		INSERT INTO seed_backup.import_report (damage, done)
			VALUES ('foreign key', format('%s was dropped from %s, where it would keep rows of %s from being deleted', v_key.conname, v_key.home, v_key.parent));
	END LOOP;
	FOREACH v_name IN ARRAY ARRAY['job_status', 'step_status'] LOOP
		IF to_regtype('public.' || v_name) IS NOT NULL THEN
			EXECUTE format('ALTER TYPE public.%I SET SCHEMA seed_backup', v_name);
		END IF;
	END LOOP;
	FOR v_name IN SELECT f.signature FROM pg_temp.seed_function f WHERE to_regprocedure(f.signature) IS NOT NULL LOOP
		EXECUTE format('ALTER FUNCTION %s SET SCHEMA seed_backup', v_name);
	END LOOP;
END
$move$;

CREATE EXTENSION studio_engine SCHEMA public;

-- The trigger of the document is there and runs what is in the backup, so that ours
-- has another name: it takes its place, which makes the other one go.
DO $hook$
BEGIN
	IF EXISTS (SELECT FROM pg_trigger t
				WHERE t.tgrelid = to_regclass('auth.users') AND t.tgname = 'on_auth_user_created'
				  AND t.tgfoid = to_regprocedure('seed_backup.handle_new_user()')) THEN
		CREATE OR REPLACE TRIGGER on_auth_user_created AFTER INSERT ON auth.users
			FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
	END IF;
END
$hook$;

-- a row that a policy hides from us is an error, not a row less
SET LOCAL row_security = off;

DO $overloads$
DECLARE
	v_functions text;
BEGIN
	WITH members AS (
		SELECT d.objid FROM pg_depend d
		 WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
		   AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'studio_engine')
	)
	SELECT string_agg(p.oid::regprocedure::text, ', ') INTO v_functions
	  FROM pg_proc p
	 WHERE p.pronamespace = 'public'::regnamespace AND p.oid NOT IN (SELECT objid FROM members)
	   AND p.proname IN (SELECT m.proname FROM pg_proc m
						  WHERE m.oid IN (SELECT objid FROM members) AND m.pronamespace = p.pronamespace);
	IF v_functions IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_function',
			MESSAGE = 'functions of this database have the names of functions of studio_engine',
			DETAIL = v_functions,
			HINT = 'Nothing was changed. Rename or drop these functions.';
	END IF;
END
$overloads$;

DO $publish$
DECLARE
	v_published record;
BEGIN
	FOR v_published IN SELECT * FROM pg_temp.seed_published p ORDER BY p.pubname, p.name LOOP
		IF pg_has_role(v_published.pubowner, 'USAGE') THEN
			EXECUTE format('ALTER PUBLICATION %I DROP TABLE %I.%I', v_published.pubname, v_published.backup, v_published.name);
			EXECUTE format('ALTER PUBLICATION %I ADD TABLE %I.%I', v_published.pubname, v_published.target, v_published.name);
		ELSE
			INSERT INTO seed_backup.import_report (damage, done)
				VALUES ('publication', format('to do: ALTER PUBLICATION %I ADD TABLE %I.%I', v_published.pubname, v_published.target, v_published.name));
		END IF;
	END LOOP;
END
$publish$;

--------------------------------------------------------------------------------
-- All rows of Video but the ledger
--------------------------------------------------------------------------------

SET LOCAL studio_engine.maintenance = on;

DO $copy$
DECLARE
	v_table record;
	v_rows bigint;
	v_before bigint;
BEGIN
	IF NOT studio_engine.restoring() THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'this session may not load data into studio_engine',
			HINT = 'Log in as the owner of the tables.';
	END IF;

	FOR v_table IN
		SELECT s.name, w.columns, w.values
		  FROM pg_temp.seed_table s,
			   LATERAL (SELECT string_agg(split_part(c, ' ', 1), ', ') AS columns,
							   -- by its text, whatever casts the old type has
							   string_agg(CASE WHEN c LIKE '% job_status' OR c LIKE '% step_status'
											   THEN format('nullif(format(''%%s'', %s), '''')::public.%s',
														   split_part(c, ' ', 1), split_part(c, ' ', 2))
											   ELSE split_part(c, ' ', 1) END, ', ') AS values
						  FROM unnest(s.columns) c) w
		 WHERE s.system = 'video' AND s.copied AND s.relid IS NOT NULL
		 ORDER BY array_position(ARRAY['profiles', 'draft_prompts', 'projects', 'jobs', 'job_steps', 'assets'], s.name)
	LOOP
		-- what belongs to a job has its user here
		EXECUTE format('INSERT INTO public.%I (%s) SELECT %s FROM seed_backup.%1$I AS seed', v_table.name,
					   v_table.columns || CASE WHEN v_table.name IN ('job_steps', 'assets') THEN ', user_id' ELSE '' END,
					   v_table.values || CASE WHEN v_table.name IN ('job_steps', 'assets')
											  THEN ', (SELECT j.user_id FROM public.jobs j WHERE j.id = seed.job_id)' ELSE '' END);
		GET DIAGNOSTICS v_rows = ROW_COUNT;
		EXECUTE format('SELECT count(*) FROM seed_backup.%I', v_table.name) INTO v_before;
		IF v_rows <> v_before THEN
			RAISE EXCEPTION 'rows were lost' USING DETAIL = format('Table %s: %s of %s.', v_table.name, v_rows, v_before);
		END IF;
		INSERT INTO seed_backup.import_summary (kind, rows_before, rows_after) VALUES (v_table.name, v_before, v_rows);
	END LOOP;
END
$copy$;

--------------------------------------------------------------------------------
-- All rows of the other systems
--------------------------------------------------------------------------------

-- The rows of one table on their way, without its constraints: a table candidate
-- with the columns of the new one.  What the constraints would not take is
-- replaced there, each time with a line in the report.
CREATE FUNCTION pg_temp.mend(p_table text, p_key text, p_user text, p_damage text, p_column text, p_value text, p_where text, p_done text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v_rows bigint;
BEGIN
	-- without a column the row stays behind
	EXECUTE format('WITH odd AS (SELECT c.ctid AS at, c.%1$I::text AS key, %2$s AS user_id, left(c.%3$I::text, 200) AS was FROM pg_temp.candidate c WHERE %4$s),
		mended AS (%5$s)
		INSERT INTO seed_backup.import_report (user_id, damage, done)
			SELECT o.user_id, %6$L, format(%7$L, %8$L || '' '' || coalesce(o.key, ''without a key''), coalesce(quote_literal(o.was), ''NULL''))
			  FROM odd o, (SELECT count(*) FROM mended) m ORDER BY o.key',
		p_key, CASE WHEN p_user IS NULL THEN 'NULL::uuid' ELSE format('c.%I', p_user) END, coalesce(p_column, p_key), p_where,
		CASE WHEN p_value IS NULL THEN 'DELETE FROM pg_temp.candidate d USING odd o WHERE d.ctid = o.at RETURNING 1'
			 ELSE format('UPDATE pg_temp.candidate d SET %I = %s FROM odd o WHERE d.ctid = o.at RETURNING 1', p_column, p_value) END,
		p_damage, p_done, p_table);
	GET DIAGNOSTICS v_rows = ROW_COUNT;
	RETURN CASE WHEN p_value IS NULL THEN v_rows ELSE 0 END;
END
$$;

-- companies and owners of what belongs to something else are that thing's
CREATE FUNCTION pg_temp.inherit(p_table text, p_key text, p_column text, p_from text, p_join text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO seed_backup.import_report (damage, done)
			SELECT ''other owner'', format(''%%s %%s: %%s was %%s, and is %%s as above it'', %1$L, c.%2$I, %3$L, c.%3$I, coalesce(p.%3$I::text, ''NULL''))
			  FROM pg_temp.candidate c JOIN %4$s p ON %5$s WHERE c.%3$I <> p.%3$I OR c.%3$I IS NOT NULL AND p.%3$I IS NULL ORDER BY c.%2$I',
		p_table, p_key, p_column, p_from, p_join);
	EXECUTE format('UPDATE pg_temp.candidate c SET %1$I = p.%1$I FROM %2$s p WHERE %3$s', p_column, p_from, p_join);
END
$$;

DO $others$
DECLARE
	v_table record;
	v_rule record;
	v_key text;
	v_user text;
	v_columns text[];
	v_words text[];
	v_fallback text;
	v_before bigint;
	v_rows bigint;
	v_behind bigint;
BEGIN
	IF NOT studio_engine.restoring() THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'this session may not load data into studio_engine',
			HINT = 'Log in as the owner of the tables.';
	END IF;

	FOR v_table IN
		SELECT s.name, s.system, s.relid, s.columns, s.optional, format('%I.%I', s.target, s.name)::regclass AS target,
			   CASE s.system WHEN 'pipeline' THEN 'pipeline.' ELSE '' END || s.name AS label
		  FROM pg_temp.seed_table s
		 WHERE s.system <> 'video' AND s.copied AND s.relid IS NOT NULL
		 ORDER BY array_position(ARRAY['studio_jobs', 'jobs', 'job_events', 'artifacts', 'prompts', 'cm_module_content', 'cm_course_plans',
			'cm_research_results', 'cm_quality_assessments', 'cm_enhancement_sessions', 'mm_multimedia_sessions', 'mm_multimedia_assets',
			'mm_audio_narrations', 'mm_slide_presentations'], s.name)
	LOOP
		v_behind := 0;
		v_columns := ARRAY(
			SELECT split_part(c, ' ', 1)
			  FROM unnest(v_table.columns || v_table.optional) WITH ORDINALITY u (c, n)
			 WHERE EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = v_table.relid AND a.attname = split_part(c, ' ', 1) AND NOT a.attisdropped)
			 ORDER BY n);
		v_key := v_columns[1];
		v_user := (SELECT c FROM unnest(v_columns) c WHERE c IN ('user_id', 'owner_id'));
		EXECUTE format('CREATE TEMP TABLE candidate ON COMMIT DROP AS TABLE %s WITH NO DATA', v_table.target);
		-- by its text, whatever casts the old type has
		EXECUTE format('INSERT INTO pg_temp.candidate (%s) SELECT %s FROM %s s',
			(SELECT string_agg(quote_ident(c), ', ' ORDER BY n) FROM unnest(v_columns) WITH ORDINALITY u (c, n)),
			(SELECT string_agg(CASE WHEN y.typtype = 'e' THEN format('s.%I::text', c) ELSE format('s.%I::%s', c, format_type(t.atttypid, t.atttypmod)) END, ', ' ORDER BY n)
			   FROM unnest(v_columns) WITH ORDINALITY u (c, n)
			   JOIN pg_attribute t ON t.attrelid = v_table.target AND t.attname = c
			   JOIN pg_attribute o ON o.attrelid = v_table.relid AND o.attname = c
			   JOIN pg_type y ON y.oid = o.atttypid),
			v_table.relid);
		GET DIAGNOSTICS v_before = ROW_COUNT;

		-- references: what names nothing is no reference, and a row that needs one stays behind
		FOR v_rule IN
			SELECT a.attname, a.attnotnull, k.confrelid::regclass AS parent, p.attname AS parent_column,
				   EXISTS (SELECT FROM pg_constraint o
							WHERE o.conrelid = v_table.relid AND o.contype = 'f' AND o.convalidated AND o.confrelid = k.confrelid
							  AND o.conkey = ARRAY[(SELECT b.attnum FROM pg_attribute b WHERE b.attrelid = o.conrelid AND b.attname = a.attname)]) AS known
			  FROM pg_constraint k
			  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
			  JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = k.confkey[1]
			 WHERE k.conrelid = v_table.target AND k.contype = 'f' AND a.attname = ANY (v_columns)
			 ORDER BY a.attnum
		LOOP
			IF v_rule.attnotnull THEN
				v_behind := v_behind + pg_temp.mend(v_table.label, v_key, v_user, 'row left behind', NULL, NULL,
					format('c.%I IS NULL', v_rule.attname), format('%%s has no %s', v_rule.attname));
			END IF;
			CONTINUE WHEN v_rule.known;
			v_behind := v_behind + pg_temp.mend(v_table.label, v_key, CASE WHEN v_user IS DISTINCT FROM v_rule.attname THEN v_user END,
				CASE WHEN v_rule.attnotnull THEN 'row left behind' ELSE 'orphan' END,
				CASE WHEN NOT v_rule.attnotnull THEN v_rule.attname END, CASE WHEN NOT v_rule.attnotnull THEN 'NULL' END,
				format('c.%I IS NOT NULL AND NOT EXISTS (SELECT FROM %s p WHERE p.%I = c.%1$I)', v_rule.attname, v_rule.parent, v_rule.parent_column),
				CASE WHEN v_rule.attnotnull THEN format('%%s: there is no row of %s with its %s', v_rule.parent, v_rule.attname)
					 ELSE format('%%s: %s was %%s, which is not in %s, and is NULL', v_rule.attname, v_rule.parent) END);
		END LOOP;

		-- values that must be there
		FOR v_rule IN
			SELECT a.attname, coalesce(pg_get_expr(d.adbin, d.adrelid), CASE a.atttypid WHEN 'text'::regtype THEN '''''' WHEN 'jsonb'::regtype THEN '''{}''' END) AS value
			  FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			 WHERE a.attrelid = v_table.target AND a.attnotnull AND a.attname = ANY (v_columns) AND a.attname <> v_key
			   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND k.conkey[1] = a.attnum)
			   AND a.attname <> 'status'
			 ORDER BY a.attnum
		LOOP
			PERFORM pg_temp.mend(v_table.label, v_key, v_user, 'odd value', v_rule.attname, v_rule.value,
				format('c.%I IS NULL', v_rule.attname), format('%%s: %s was %%s, and is %s', v_rule.attname, replace(v_rule.value, '%', '%%')));
		END LOOP;

		-- values that are checked: words in another spelling, unknown ones, and what is out of bounds
		FOR v_rule IN
			SELECT pg_get_expr(k.conbin, k.conrelid) AS condition, a.attname, a.attnotnull, cardinality(k.conkey) AS columns,
				   pg_get_expr(d.adbin, d.adrelid) AS value, a.atttypid = 'text'::regtype AS is_text
			  FROM pg_constraint k
			 CROSS JOIN unnest(k.conkey) u (attnum)
			  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
			  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			 WHERE k.conrelid = v_table.target AND k.contype = 'c' AND a.attname = ANY (v_columns)
			 ORDER BY k.conname, a.attnum
		LOOP
			v_words := ARRAY(SELECT m[1] FROM regexp_matches(v_rule.condition, '''(\w+)''::text', 'g') WITH ORDINALITY r (m, n) ORDER BY n);
			IF v_rule.is_text AND v_rule.columns = 1 AND cardinality(v_words) > 0 THEN
				PERFORM pg_temp.mend(v_table.label, v_key, v_user, 'odd value', v_rule.attname,
					format('(SELECT w FROM unnest(%L::text[]) w WHERE lower(w) = lower(btrim(d.%I)))', v_words, v_rule.attname),
					format('c.%1$I <> ALL (%2$L) AND EXISTS (SELECT FROM unnest(%2$L::text[]) w WHERE lower(w) = lower(btrim(c.%1$I)))', v_rule.attname, v_words),
					format('%%s: %s was %%s, and is in the spelling of the document', v_rule.attname));
				v_fallback := coalesce((SELECT quote_literal(w) FROM unnest(v_words) w WHERE v_rule.attname = 'status' AND lower(w) = 'failed'),
					v_rule.value, quote_literal(v_words[cardinality(v_words)]));
				PERFORM pg_temp.mend(v_table.label, v_key, v_user, 'odd value', v_rule.attname, v_fallback,
					format('(c.%1$I = ANY (%2$L)) IS NOT TRUE AND (c.%1$I IS NOT NULL OR %3$L)', v_rule.attname, v_words, v_rule.attnotnull OR v_rule.attname = 'status'),
					format('%%s: %s was %%s, and is %s', v_rule.attname, v_fallback));
			ELSE
				PERFORM pg_temp.mend(v_table.label, v_key, v_user, 'odd value', v_rule.attname, coalesce(v_rule.value, 'NULL'),
					format('NOT (%s)', v_rule.condition), format('%%s: %s was %%s, and is %s', v_rule.attname, coalesce(v_rule.value, 'NULL')));
			END IF;
		END LOOP;

		-- a btree takes keys of a limited length
		FOR v_rule IN
			SELECT DISTINCT l.column_name, l.max_bytes
			  FROM studio_engine.value_limits() l
			  JOIN pg_attribute a ON a.attrelid = v_table.target AND a.attname = l.column_name AND a.atttypid = 'text'::regtype
			  JOIN pg_index i ON i.indrelid = a.attrelid AND a.attnum = ANY (i.indkey) AND NOT i.indisprimary
			  JOIN pg_class x ON x.oid = i.indexrelid
			  JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
			 WHERE l.table_name = v_table.label AND l.column_name = ANY (v_columns)
			   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND k.conkey[1] = a.attnum)
			 ORDER BY 1
		LOOP
			PERFORM pg_temp.mend(v_table.label, v_key, v_user, 'over the limit', v_rule.column_name, format('left(d.%I, %s)', v_rule.column_name, v_rule.max_bytes / 4),
				format('octet_length(c.%I) > %s', v_rule.column_name, v_rule.max_bytes), format('%%s: %s is longer than %s bytes and was cut: %%s...', v_rule.column_name, v_rule.max_bytes));
		END LOOP;

		-- what the triggers of the new tables derive
		IF v_table.label = 'pipeline.job_events' THEN
			PERFORM pg_temp.inherit(v_table.label, v_key, 'owner_id', 'pipeline.jobs', 'p.run_id = c.run_id');
			UPDATE pg_temp.candidate c SET seq = n.seq
			  FROM (SELECT e.id, row_number() OVER (PARTITION BY e.run_id ORDER BY e.created_at NULLS FIRST, e.id) AS seq FROM pg_temp.candidate e) n
			 WHERE n.id = c.id;
			v_columns := v_columns || CASE WHEN v_user IS NULL THEN ARRAY['owner_id', 'seq'] ELSE ARRAY['seq'] END;
		ELSIF v_table.label = 'pipeline.artifacts' THEN
			PERFORM pg_temp.inherit(v_table.label, v_key, 'owner_id', 'pipeline.jobs', 'p.run_id = c.run_id');
			PERFORM pg_temp.mend(v_table.label, v_key, 'owner_id', 'duplicate', 'checksum', 'NULL',
				'EXISTS (SELECT FROM pg_temp.candidate e WHERE e.run_id = c.run_id AND e.kind = c.kind AND e.checksum = c.checksum AND (e.created_at, e.id) < (c.created_at, c.id))',
				'%s: an artifact of this kind and run has checksum %s already, and is NULL');
			v_columns := v_columns || CASE WHEN v_user IS NULL THEN ARRAY['owner_id'] ELSE '{}' END;
		ELSIF v_table.name = 'cm_module_content' THEN
			UPDATE pg_temp.candidate c
			   SET section_word_counts = w.counts, total_word_count = w.total
			  FROM (SELECT m.content_id, jsonb_object_agg(x.section, x.words) AS counts, sum(x.words) AS total
					  FROM pg_temp.candidate m, LATERAL (
						SELECT v.section, coalesce(studio_engine.count_words(v.body), 0) AS words
						  FROM (VALUES ('introduction', m.introduction), ('core_content', m.core_content), ('practical_applications', m.practical_applications),
									   ('case_studies', m.case_studies), ('assessments', m.assessments)) v (section, body)) x
					 GROUP BY m.content_id) w
			 WHERE w.content_id = c.content_id;
		ELSIF v_table.name = 'cm_course_plans' THEN
			PERFORM pg_temp.inherit(v_table.label, v_key, 'company_id', 'public.employees', 'p.id = c.employee_id');
			v_columns := v_columns || 'company_id'::text;
		ELSIF v_table.name = 'cm_research_results' THEN
			PERFORM pg_temp.inherit(v_table.label, v_key, 'company_id', 'public.cm_course_plans', 'p.plan_id = c.plan_id');
			v_columns := v_columns || 'company_id'::text;
		ELSIF v_table.name IN ('cm_quality_assessments', 'cm_enhancement_sessions') THEN
			PERFORM pg_temp.inherit(v_table.label, v_key, 'company_id', 'public.cm_module_content', 'p.content_id = c.content_id');
			v_columns := v_columns || 'company_id'::text;
		ELSIF v_table.name = 'mm_multimedia_sessions' THEN
			PERFORM pg_temp.inherit(v_table.label, v_key, 'company_id', 'public.cm_module_content', 'p.content_id = c.content_id');
		ELSIF v_table.name LIKE 'mm\_%' THEN
			PERFORM pg_temp.inherit(v_table.label, v_key, 'content_id', 'public.mm_multimedia_sessions', 'p.session_id = c.session_id AND p.content_id IS NOT NULL');
			PERFORM pg_temp.inherit(v_table.label, v_key, 'company_id', 'public.mm_multimedia_sessions', 'p.session_id = c.session_id');
			PERFORM pg_temp.inherit(v_table.label, v_key, 'company_id', 'public.cm_module_content', 'p.content_id = c.content_id AND c.session_id IS NULL');
			v_columns := v_columns || CASE WHEN 'company_id' = ANY (v_columns) THEN '{}' ELSE ARRAY['company_id'] END;
		END IF;

		EXECUTE format('INSERT INTO %s (%s) SELECT %2$s FROM pg_temp.candidate', v_table.target,
			(SELECT string_agg(quote_ident(c), ', ') FROM unnest(v_columns) c));
		GET DIAGNOSTICS v_rows = ROW_COUNT;
		IF v_rows + v_behind <> v_before THEN
			RAISE EXCEPTION 'rows were lost' USING DETAIL = format('Table %s: %s of %s, %s left behind.', v_table.label, v_rows, v_before, v_behind);
		END IF;
		INSERT INTO seed_backup.import_summary (kind, rows_before, rows_after) VALUES (v_table.label, v_before, v_rows);
		DROP TABLE pg_temp.candidate;
	END LOOP;
END
$others$;

UPDATE pipeline.jobs j SET last_event_seq = e.last
  FROM (SELECT run_id, max(seq) AS last FROM pipeline.job_events GROUP BY run_id) e
 WHERE e.run_id = j.run_id AND EXISTS (SELECT FROM pg_temp.seed_table s WHERE s.system = 'pipeline');

-- the counters of a session count its files
WITH counted AS (
	SELECT s.session_id, count(a.asset_id) AS total, count(*) FILTER (WHERE a.asset_type = 'slide') AS slides,
		   count(*) FILTER (WHERE a.asset_type = 'audio') AS audio, count(*) FILTER (WHERE a.asset_type = 'video') AS videos
	  FROM public.mm_multimedia_sessions s LEFT JOIN public.mm_multimedia_assets a USING (session_id)
	 GROUP BY s.session_id
), changed AS (
	UPDATE public.mm_multimedia_sessions s
	   SET total_assets_generated = c.total, slides_generated = c.slides, audio_files_generated = c.audio, video_files_generated = c.videos
	  FROM counted c, public.mm_multimedia_sessions o
	 WHERE c.session_id = s.session_id AND o.session_id = s.session_id
	   AND (s.total_assets_generated, s.slides_generated, s.audio_files_generated, s.video_files_generated)
		   IS DISTINCT FROM (c.total, c.slides, c.audio, c.videos)
	RETURNING s.session_id, format('%s files (%s slides, %s audio, %s video)', o.total_assets_generated, o.slides_generated, o.audio_files_generated, o.video_files_generated) AS was, c.total
)
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'counter', format('mm_multimedia_sessions %s said %s, and has %s', c.session_id, c.was, c.total) FROM changed c ORDER BY c.session_id;

-- Values that no client could write any more are kept, and named.
DO $limits$
DECLARE
	v_limit record;
BEGIN
	FOR v_limit IN
		SELECT l.table_name, l.column_name, l.max_bytes, s.key, s.target
		  FROM studio_engine.value_limits() l
		  JOIN (SELECT CASE t.system WHEN 'pipeline' THEN 'pipeline.' ELSE '' END || t.name AS label, format('%I.%I', t.target, t.name)::regclass AS target,
					   split_part(t.columns[1], ' ', 1) AS key
				  FROM pg_temp.seed_table t WHERE t.copied AND t.relid IS NOT NULL) s ON s.label = l.table_name
		  JOIN pg_attribute a ON a.attrelid = s.target AND a.attname = l.column_name AND a.atttypid IN ('text'::regtype, 'jsonb'::regtype)
		 ORDER BY l.table_name, l.column_name
	LOOP
		EXECUTE format('INSERT INTO seed_backup.import_report (damage, amount, done)
				SELECT ''over the limit'', octet_length(t.%1$I::text), format(''%%s %%s: %%s has more than %%s bytes, kept'', %2$L, t.%3$I, %1$L, %4$s)
				  FROM %5$s t WHERE octet_length(t.%1$I::text) > %4$s ORDER BY t.%3$I',
			v_limit.column_name, v_limit.table_name, v_limit.key, v_limit.max_bytes, v_limit.target);
	END LOOP;
END
$limits$;

SELECT EXISTS (SELECT FROM pg_temp.seed_table s WHERE s.system = 'video') AS has_video
\gset
\if :has_video
--------------------------------------------------------------------------------
-- The ledger: order, and what each entry is
--------------------------------------------------------------------------------

-- Entries of one transaction have one time.  Among them what adds comes before
-- what takes, or a settlement would overdraw; but a hold comes before the entry
-- that closes it.
CREATE TEMP TABLE import_entry ON COMMIT DROP AS
	SELECT e.id, e.user_id, e.type, e.amount, e.note, e.job_id, e.stripe_payment_id, e.created_at,
		   NULL::text AS idempotency_key, NULL::uuid AS reverses,
		   e.type AS seed_type, e.job_id AS seed_job_id,
		   row_number() OVER (ORDER BY e.user_id, e.created_at NULLS FIRST, e.position, e.id) AS seq
	  FROM (SELECT l.*, CASE
					WHEN l.amount > 0 AND l.type NOT IN ('reserve', 'refund') THEN 1
					WHEN l.type = 'reserve' AND l.amount < 0
						 AND bool_or(l.type IN ('reserve', 'refund') AND l.amount > 0)
							 OVER (PARTITION BY l.user_id, l.job_id, l.created_at, abs(l.amount::bigint)) THEN 2
					WHEN l.amount > 0 THEN 3
					ELSE 4 END AS position
			  FROM seed_backup.credit_ledger l) e;
CREATE TEMP SEQUENCE import_seq;
SELECT setval('pg_temp.import_seq', count(*) + 1) AS first_new_seq FROM pg_temp.import_entry
\gset
CREATE UNIQUE INDEX ON pg_temp.import_entry (id);
CREATE INDEX ON pg_temp.import_entry (user_id, seed_job_id);
CREATE INDEX ON pg_temp.import_entry (stripe_payment_id) WHERE stripe_payment_id IS NOT NULL;
CREATE INDEX ON pg_temp.import_entry (reverses) WHERE reverses IS NOT NULL;
ANALYZE pg_temp.import_entry;

CREATE FUNCTION pg_temp.report(p_entry_id uuid, p_damage text, p_done text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO seed_backup.import_report (user_id, damage, entry_id, amount, done)
		SELECT e.user_id, p_damage, e.id, e.amount, p_done FROM pg_temp.import_entry e WHERE e.id = p_entry_id
$$;

-- what was changed is also said in the note of the entry
CREATE FUNCTION pg_temp.amended(p_note text, p_remark text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(nullif(p_note, '') || ' ', '') || '[import: ' || p_remark || ']'
$$;

-- types that the document does not have
WITH changed AS (
	UPDATE pg_temp.import_entry e
	   SET type = CASE WHEN e.amount < 0 THEN 'usage' ELSE 'grant' END,
		   note = pg_temp.amended(e.note, 'was type ' || e.seed_type)
	 WHERE e.type NOT IN ('purchase', 'usage', 'refund', 'grant', 'expire', 'reserve', 'subscription')
	RETURNING e.*
)
INSERT INTO seed_backup.import_report (user_id, damage, entry_id, amount, done)
	SELECT c.user_id, 'odd entry', c.id, c.amount, format('unknown type %s became %s', c.seed_type, c.type)
	  FROM changed c ORDER BY c.seq;

-- a reservation of one user for the job of another
WITH changed AS (
	UPDATE pg_temp.import_entry e
	   SET job_id = NULL, note = pg_temp.amended(e.note, format('job %s is of another user', e.job_id))
	  FROM public.jobs j
	 WHERE j.id = e.job_id AND j.user_id <> e.user_id
	RETURNING e.*
)
INSERT INTO seed_backup.import_report (user_id, damage, entry_id, amount, done)
	SELECT c.user_id, 'odd entry', c.id, c.amount, 'the job is of another user; the entry names none now'
	  FROM changed c ORDER BY c.seq;

-- Stripe refunds and disputes, where they were booked as negative payments
DO $reversals$
DECLARE
	v_entry record;
	v_payment record;
BEGIN
	FOR v_entry IN
		SELECT * FROM pg_temp.import_entry e
		 WHERE e.type IN ('purchase', 'subscription') AND e.amount < 0 AND e.stripe_payment_id IS NOT NULL
		 ORDER BY e.seq
	LOOP
		SELECT p.* INTO v_payment FROM pg_temp.import_entry p
		 WHERE p.stripe_payment_id = v_entry.stripe_payment_id AND p.type = v_entry.type
		   AND p.user_id = v_entry.user_id AND p.amount > 0 AND p.seq < v_entry.seq
		 ORDER BY p.seq LIMIT 1;
		IF FOUND AND v_payment.amount >= -v_entry.amount::bigint - (
			SELECT coalesce(sum(r.amount), 0) FROM pg_temp.import_entry r WHERE r.reverses = v_payment.id)
		THEN
			UPDATE pg_temp.import_entry SET reverses = v_payment.id WHERE id = v_entry.id;
		ELSE
			UPDATE pg_temp.import_entry
			   SET stripe_payment_id = NULL,
				   note = pg_temp.amended(note, 'takes back more than payment ' || v_entry.stripe_payment_id || ' gave')
			 WHERE id = v_entry.id;
			PERFORM pg_temp.report(v_entry.id, 'odd entry', 'takes back what its payment did not give; kept without the payment');
		END IF;
	END LOOP;
END
$reversals$;

-- a payment grants credits once
WITH changed AS (
	UPDATE pg_temp.import_entry e
	   SET stripe_payment_id = NULL,
		   note = CASE WHEN e.stripe_payment_id = '' THEN e.note
					   ELSE pg_temp.amended(e.note, 'payment ' || e.stripe_payment_id || ' was booked before') END
	  FROM (SELECT p.id, p.stripe_payment_id,
				   row_number() OVER (PARTITION BY p.stripe_payment_id ORDER BY p.created_at NULLS FIRST, p.seq) AS nth
			  FROM pg_temp.import_entry p
			 WHERE p.type IN ('purchase', 'subscription') AND p.reverses IS NULL AND p.stripe_payment_id IS NOT NULL) n
	 WHERE n.id = e.id AND (n.nth > 1 OR e.stripe_payment_id = '')
	RETURNING e.*, n.stripe_payment_id AS payment
)
INSERT INTO seed_backup.import_report (user_id, damage, entry_id, amount, done)
	SELECT c.user_id, CASE WHEN c.payment = '' THEN 'odd entry' ELSE 'duplicate payment' END, c.id, c.amount,
		   CASE WHEN c.payment = '' THEN 'the empty payment id became NULL'
				ELSE format('payment %s stays with its first entry; these credits stay, without it', c.payment) END
	  FROM changed c ORDER BY c.seq;

-- the welcome grant is known by its note; under its key it is made once
WITH welcome AS (
	SELECT e.id, row_number() OVER (PARTITION BY e.user_id ORDER BY e.seq) AS nth
	  FROM pg_temp.import_entry e
	 WHERE e.type = 'grant' AND e.note = 'Welcome bonus: 1 free video trial'
), keyed AS (
	UPDATE pg_temp.import_entry e SET idempotency_key = 'welcome' FROM welcome w WHERE w.id = e.id AND w.nth = 1
)
SELECT count(pg_temp.report(w.id, 'odd entry', 'a further welcome grant, kept')) AS further_welcome_grants
  FROM welcome w WHERE w.nth > 1
\gset

-- signs that no function of ours would book; the sum counts them, so they stay
INSERT INTO seed_backup.import_report (user_id, damage, entry_id, amount, done)
	SELECT e.user_id, 'odd entry', e.id, e.amount,
		   format('%s of %s, kept', e.type, CASE WHEN e.amount = 0 THEN 'nothing' WHEN e.amount < 0 THEN 'a negative amount' ELSE 'a positive amount' END)
	  FROM pg_temp.import_entry e
	 WHERE e.amount = 0
		OR e.amount < 0 AND e.type IN ('purchase', 'subscription', 'grant', 'refund') AND e.reverses IS NULL
		   AND e.stripe_payment_id IS NOT DISTINCT FROM (SELECT l.stripe_payment_id FROM seed_backup.credit_ledger l WHERE l.id = e.id)
		OR e.amount > 0 AND e.type IN ('usage', 'expire')
	 ORDER BY e.seq;

-- the oldest open reservation of the job with just this amount
CREATE FUNCTION pg_temp.hold_closed_by(p_entry pg_temp.import_entry) RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT h.id FROM pg_temp.import_entry h
	 WHERE h.user_id = p_entry.user_id AND h.seed_job_id IS NOT DISTINCT FROM p_entry.seed_job_id
	   AND h.type = 'reserve' AND h.amount = -p_entry.amount AND h.seq < p_entry.seq
	   AND NOT EXISTS (SELECT FROM pg_temp.import_entry c WHERE c.reverses = h.id)
	 ORDER BY h.seq LIMIT 1
$$;

-- A positive reserve closes a reservation, or it is credit out of nothing: that
-- is what reserve_credits() made of a negative amount.  A refund beyond what
-- the job was charged is how some applications gave a reservation back.
DO $closings$
DECLARE
	v_entry pg_temp.import_entry;
	v_hold uuid;
	v_charged bigint;
BEGIN
	FOR v_entry IN
		SELECT * FROM pg_temp.import_entry e
		 WHERE e.amount > 0 AND (e.type = 'reserve' OR e.type = 'refund' AND e.job_id IS NOT NULL)
		 ORDER BY e.seq
	LOOP
		IF v_entry.type = 'refund' THEN
			SELECT -coalesce(sum(o.amount), 0) INTO v_charged FROM pg_temp.import_entry o
			 WHERE o.user_id = v_entry.user_id AND o.seed_job_id = v_entry.seed_job_id
			   AND (o.type = 'usage' OR o.type = 'refund' AND o.seq < v_entry.seq);
			CONTINUE WHEN v_entry.amount <= v_charged;
		END IF;

		v_hold := pg_temp.hold_closed_by(v_entry);
		UPDATE pg_temp.import_entry
		   SET type = CASE WHEN v_hold IS NULL THEN 'grant' ELSE 'reserve' END,
			   reverses = v_hold,
			   note = CASE WHEN v_hold IS NOT NULL AND v_entry.type = 'reserve' THEN note
						   WHEN v_hold IS NOT NULL THEN pg_temp.amended(note, 'was a refund, closes the reservation')
						   ELSE pg_temp.amended(note, format('was a %s that closes no reservation', v_entry.type)) END
		 WHERE id = v_entry.id;
		IF v_hold IS NULL AND v_entry.type = 'reserve' THEN
			PERFORM pg_temp.report(v_entry.id, 'negative reservation', 'it closes no reservation, so it became a grant');
		ELSIF v_hold IS NULL THEN
			PERFORM pg_temp.report(v_entry.id, 'odd entry', 'a refund above the charge became a grant');
		ELSIF v_entry.type = 'refund' THEN
			PERFORM pg_temp.report(v_entry.id, 'odd entry', 'a refund without a charge became the end of the reservation');
		END IF;
	END LOOP;
END
$closings$;

--------------------------------------------------------------------------------
-- Reservations that nobody closed
--------------------------------------------------------------------------------

CREATE TEMP TABLE open_hold ON COMMIT DROP AS
	SELECT h.id, h.user_id, h.job_id, h.amount, h.seq, j.status, j.cost_credits_final,
		   CASE WHEN h.job_id IS NOT NULL
				THEN row_number() OVER (PARTITION BY h.job_id ORDER BY h.seq DESC) ELSE 1 END AS age,
		   NOT EXISTS (SELECT FROM pg_temp.import_entry n
						WHERE n.user_id = h.user_id AND n.job_id = h.job_id AND n.type = 'reserve'
						  AND n.amount < 0 AND n.seq > h.seq) AS is_last,
		   EXISTS (SELECT FROM pg_temp.import_entry u
					WHERE u.user_id = h.user_id AND u.seed_job_id = h.job_id AND u.type = 'usage') AS charged
	  FROM pg_temp.import_entry h
	  LEFT JOIN public.jobs j ON j.id = h.job_id
	 WHERE h.type = 'reserve' AND h.amount < 0
	   AND NOT EXISTS (SELECT FROM pg_temp.import_entry c WHERE c.reverses = h.id);

SELECT count(pg_temp.report(h.id, 'two reservations of one job', 'given back; the last one stays')) AS further_reservations
  FROM (SELECT * FROM pg_temp.open_hold o WHERE o.age > 1 ORDER BY o.seq) h
\gset

CREATE FUNCTION pg_temp.add_entry(p_hold pg_temp.open_hold, p_type text, p_amount integer, p_reverses uuid, p_note text)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO pg_temp.import_entry (id, user_id, type, amount, note, job_id, created_at, reverses, seq)
		SELECT gen_random_uuid(), p_hold.user_id, p_type, p_amount, p_note, p_hold.job_id, now(), p_reverses,
			   nextval('pg_temp.import_seq')
$$;

-- What a job holds is its last reservation.  Where that was closed and an older
-- one was not, the older one is closed too, and made anew for a job that runs.
DO $holds$
DECLARE
	v_hold pg_temp.open_hold;
	v_settle boolean;
	v_price integer;
BEGIN
	FOR v_hold IN SELECT * FROM pg_temp.open_hold h ORDER BY h.seq LOOP
		v_settle := v_hold.status = 'READY' AND v_hold.age = 1 AND NOT v_hold.charged
			AND current_setting('studio_import.ready_holds') = 'settle';
		v_price := CASE WHEN v_hold.cost_credits_final BETWEEN 0 AND -v_hold.amount THEN v_hold.cost_credits_final
						ELSE -v_hold.amount END;
		IF v_hold.age > 1 THEN
			PERFORM pg_temp.add_entry(v_hold, 'reserve', -v_hold.amount, v_hold.id, '[import: the job has a later reservation]');
		ELSIF v_settle THEN
			PERFORM pg_temp.add_entry(v_hold, 'reserve', -v_hold.amount, v_hold.id, '[import: the job is READY]');
			IF v_price > 0 THEN
				PERFORM pg_temp.add_entry(v_hold, 'usage', -v_price, NULL, '[import: charged for the READY job]');
			END IF;
			PERFORM pg_temp.report(v_hold.id, 'reservation of a dead job', format('the job is READY: charged %s', v_price));
		ELSIF v_hold.job_id IS NULL THEN
			PERFORM pg_temp.report(v_hold.id, 'odd entry', 'a reservation without a job: given back');
		ELSIF v_hold.status IN ('READY', 'FAILED') THEN
			IF NOT v_hold.is_last THEN
				PERFORM pg_temp.add_entry(v_hold, 'reserve', -v_hold.amount, v_hold.id, format('[import: the job is %s]', v_hold.status));
			END IF;
			PERFORM pg_temp.report(v_hold.id, 'reservation of a dead job', format('the job is %s: given back', v_hold.status));
		ELSIF NOT v_hold.is_last THEN
			PERFORM pg_temp.add_entry(v_hold, 'reserve', -v_hold.amount, v_hold.id, '[import: a later reservation of the job was closed]');
			PERFORM pg_temp.add_entry(v_hold, 'reserve', v_hold.amount, NULL, '[import: made anew, as the last one of the job]');
			PERFORM pg_temp.report(v_hold.id, 'two reservations of one job', 'the later one was closed; this one was made anew');
		END IF;
	END LOOP;
END
$holds$;

--------------------------------------------------------------------------------
-- Into the ledger
--------------------------------------------------------------------------------

CREATE TEMP TABLE numbered_entry ON COMMIT DROP AS
	SELECT e.*, row_number() OVER (PARTITION BY e.user_id ORDER BY e.seq) AS entry_no,
		   sum(e.amount) OVER (PARTITION BY e.user_id ORDER BY e.seq) AS balance
	  FROM pg_temp.import_entry e;

DO $range$
DECLARE
	v_users text;
BEGIN
	SELECT string_agg(DISTINCT b.user_id::text, ', ') INTO v_users
	  FROM (SELECT n.user_id FROM pg_temp.numbered_entry n WHERE n.balance NOT BETWEEN -2147483648 AND 2147483647
			UNION ALL
			SELECT n.user_id FROM pg_temp.numbered_entry n GROUP BY n.user_id
			HAVING sum(n.amount) - coalesce(sum(n.amount) FILTER (WHERE n.type = 'reserve'), 0) > 2147483647) b;
	IF v_users IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'numeric_value_out_of_range',
			MESSAGE = 'balances are out of the range of integer',
			DETAIL = format('Users %s.', v_users),
			HINT = 'Nothing was changed. Book an entry that brings them back into range.';
	END IF;
END
$range$;

INSERT INTO seed_backup.import_report (user_id, damage, entry_id, amount, done)
	SELECT o.user_id, 'overdrawn balance', (array_agg(o.id ORDER BY o.entry_no))[1], min(o.balance),
		   'history is kept as it was, from this entry on down to this balance; verify_credit_ledger() goes on naming it'
	  FROM pg_temp.numbered_entry o
	 WHERE o.balance < 0
	   AND NOT EXISTS (SELECT FROM pg_temp.numbered_entry r
						WHERE r.user_id = o.user_id AND r.entry_no <= o.entry_no AND r.amount < 0
						  AND r.reverses IS NOT NULL AND r.type IN ('purchase', 'subscription'))
	 GROUP BY o.user_id ORDER BY o.user_id;

INSERT INTO public.credit_accounts (user_id, balance, reserved, entries)
	SELECT n.user_id, sum(n.amount), -coalesce(sum(n.amount) FILTER (WHERE n.type = 'reserve'), 0), count(*)
	  FROM pg_temp.numbered_entry n GROUP BY n.user_id;
INSERT INTO public.credit_ledger (id, user_id, type, amount, balance_after, note, job_id, stripe_payment_id, created_at,
								  entry_no, idempotency_key, reverses)
	SELECT n.id, n.user_id, n.type, n.amount, n.balance, n.note, n.job_id, n.stripe_payment_id, n.created_at,
		   n.entry_no, n.idempotency_key, n.reverses
	  FROM pg_temp.numbered_entry n ORDER BY n.seq;

-- jobs say what is held for them, and where nothing is, what they cost
UPDATE public.jobs j SET cost_credits_reserved = h.held
  FROM (SELECT l.job_id, -sum(l.amount) AS held FROM public.credit_ledger l
		 WHERE l.type = 'reserve' AND l.job_id IS NOT NULL GROUP BY l.job_id HAVING sum(l.amount) < 0) h
 WHERE h.job_id = j.id AND j.cost_credits_reserved IS DISTINCT FROM h.held;
UPDATE public.jobs j SET cost_credits_final = h.charged
  FROM (SELECT l.job_id, max(l.entry_no) FILTER (WHERE l.amount < 0) AS last_hold, sum(l.amount) AS held
		  FROM public.credit_ledger l WHERE l.type = 'reserve' AND l.job_id IS NOT NULL GROUP BY l.job_id) o
 CROSS JOIN LATERAL (SELECT -coalesce(sum(u.amount), 0) AS charged FROM public.credit_ledger u
					  WHERE u.job_id = o.job_id AND u.type = 'usage' AND u.entry_no > o.last_hold) h
 WHERE o.job_id = j.id AND o.last_hold IS NOT NULL AND j.cost_credits_final IS NULL
   AND (o.held = 0 OR j.status IN ('READY', 'FAILED'));

\endif

SET LOCAL studio_engine.maintenance = off;

-- from here on the rules hold, and the functions of the extension work
DO $sweep$
BEGIN
	WHILE public.sweep_stale_holds(100000) > 0 LOOP
		NULL;
	END LOOP;
	PERFORM studio_engine.rebuild_queue();
	WHILE public.refresh_content_search(1000) > 0 LOOP
		NULL;
	END LOOP;
END
$sweep$;

--------------------------------------------------------------------------------
-- Proof and report
--------------------------------------------------------------------------------

\if :has_video
INSERT INTO seed_backup.import_summary (kind, rows_before, rows_after, credits_before, credits_after)
	SELECT 'credit_ledger ' || coalesce(b.type, a.type), coalesce(b.n, 0), coalesce(a.n, 0), coalesce(b.s, 0), coalesce(a.s, 0)
	  FROM (SELECT l.type, count(*) AS n, sum(l.amount) AS s FROM seed_backup.credit_ledger l GROUP BY l.type) b
	  FULL JOIN (SELECT l.type, count(*) AS n, sum(l.amount) AS s FROM public.credit_ledger l GROUP BY l.type) a USING (type)
	 ORDER BY coalesce(b.type, a.type);
INSERT INTO seed_backup.import_summary (kind, rows_before, rows_after, credits_before, credits_after)
	SELECT 'credit_ledger', b.n, a.n, b.s, a.s
	  FROM (SELECT count(*) AS n, coalesce(sum(l.amount), 0) AS s FROM seed_backup.credit_ledger l) b,
		   (SELECT count(*) AS n, coalesce(sum(l.amount), 0) AS s FROM public.credit_ledger l) a;
INSERT INTO seed_backup.import_summary (kind, rows_before, rows_after, credits_before, credits_after)
	SELECT 'credit_accounts', NULL, count(*), NULL, sum(a.balance) FROM public.credit_accounts a;

-- Every entry of before is there with its user, amount and time, and a sum
-- differs by what was added alone.
DO $proof$
DECLARE
	v_problem text;
BEGIN
	SELECT string_agg(DISTINCT l.user_id::text, ', ') INTO v_problem
	  FROM seed_backup.credit_ledger l LEFT JOIN public.credit_ledger n USING (id)
	 WHERE (l.user_id, l.amount, l.created_at) IS DISTINCT FROM (n.user_id, n.amount, n.created_at);
	IF v_problem IS NOT NULL THEN
		RAISE EXCEPTION 'entries were lost' USING DETAIL = format('Users %s.', v_problem);
	END IF;

	SELECT string_agg(format('%s: user %s, expected %s, actual %s, entry %s', v.problem, v.user_id, v.expected, v.actual, v.entry_id), '; ')
	  INTO v_problem
	  FROM public.verify_credit_ledger() v
	 WHERE v.problem <> 'overdrawn without a reversal'
		OR v.user_id NOT IN (SELECT r.user_id FROM seed_backup.import_report r WHERE r.damage = 'overdrawn balance');
	IF v_problem IS NOT NULL THEN
		RAISE EXCEPTION 'the imported ledger is not sound' USING DETAIL = v_problem;
	END IF;
END
$proof$;
\endif

\echo
\echo 'Rows and credits before and after (seed_backup.import_summary)'
SELECT s.kind, s.rows_before, s.rows_after, s.credits_before, s.credits_after
  FROM seed_backup.import_summary s ORDER BY s.no;
\echo 'What was wrong, and what was done (seed_backup.import_report)'
SELECT r.user_id, r.damage, r.entry_id, r.amount, r.done
  FROM seed_backup.import_report r ORDER BY r.user_id NULLS FIRST, r.no;
\echo 'What verify_credit_ledger() goes on naming: history that was overdrawn'
SELECT v.* FROM public.verify_credit_ledger() v;
