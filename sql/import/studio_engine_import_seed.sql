/*
 * studio_engine_import_seed.sql
 *
 * Takes over a database that runs the video studio by its design document
 * alone: the tables, types, functions, triggers and policies in schema public
 * that studio_engine has too.  All rows come along; the ledger is numbered,
 * balanced and mended on the way, and a report says what was wrong.
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
 * seed_backup, with their indexes, triggers and policies; the report is there
 * too (seed_backup.import_report, seed_backup.import_summary).  When all is
 * well: DROP SCHEMA seed_backup CASCADE.
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

CREATE TEMP TABLE seed_table (name text PRIMARY KEY, required boolean, copied boolean, columns text[]) ON COMMIT DROP;
INSERT INTO pg_temp.seed_table VALUES
	('profiles', true, true, ARRAY['id uuid', 'display_name text', 'avatar_url text', 'notification_prefs jsonb',
		'stripe_customer_id text', 'created_at timestamp with time zone', 'updated_at timestamp with time zone']),
	('draft_prompts', false, true, ARRAY['id uuid', 'session_token text', 'user_id uuid', 'prompt_text text',
		'template_id text', 'options jsonb', 'created_at timestamp with time zone',
		'updated_at timestamp with time zone', 'expires_at timestamp with time zone']),
	('projects', true, true, ARRAY['id uuid', 'user_id uuid', 'title text', 'prompt_text text', 'niche_preset text',
		'target_minutes integer', 'voice_profile_id uuid', 'transcript_mode text', 'transcript_text text',
		'settings jsonb', 'created_at timestamp with time zone', 'updated_at timestamp with time zone']),
	('jobs', true, true, ARRAY['id uuid', 'project_id uuid', 'user_id uuid', 'status job_status', 'progress integer',
		'status_message text', 'cost_credits_reserved integer', 'cost_credits_final integer', 'failed_step text',
		'error_code text', 'error_message text', 'output_url text', 'manifest_json jsonb',
		'created_at timestamp with time zone', 'started_at timestamp with time zone',
		'finished_at timestamp with time zone']),
	('job_steps', false, true, ARRAY['id uuid', 'job_id uuid', 'step_name text', 'step_order integer',
		'state step_status', 'progress_pct integer', 'status_message text', 'error_message text', 'logs_url text',
		'artifacts_json jsonb', 'started_at timestamp with time zone', 'finished_at timestamp with time zone']),
	('assets', false, true, ARRAY['id uuid', 'job_id uuid', 'type text', 'url text', 'storage_path text',
		'size_bytes bigint', 'mime_type text', 'metadata_json jsonb', 'created_at timestamp with time zone']),
	('credit_ledger', true, false, ARRAY['id uuid', 'user_id uuid', 'type text', 'amount integer',
		'balance_after integer', 'note text', 'job_id uuid', 'stripe_payment_id text',
		'created_at timestamp with time zone']),
	-- the document names these without a definition: they step aside
	('logs', false, false, NULL),
	('credit_accounts', false, false, NULL);

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
	FOR v_table IN SELECT s.name FROM pg_temp.seed_table s
					WHERE to_regclass(format('public.%I', s.name)) IS NOT NULL
	LOOP
		EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', v_table);
	END LOOP;
END
$lock$;

-- Problems that are found before anything is touched, all of them at once.
CREATE TEMP TABLE seed_obstacle (problem text) ON COMMIT DROP;

INSERT INTO pg_temp.seed_obstacle
	SELECT format('table public.%s is missing', s.name)
	  FROM pg_temp.seed_table s
	 WHERE s.required AND to_regclass('public.' || s.name) IS NULL
	UNION ALL
	SELECT format('public.%s is not an ordinary table', s.name)
	  FROM pg_temp.seed_table s JOIN pg_class c ON c.oid = to_regclass('public.' || s.name)
	 WHERE c.relkind <> 'r' OR c.relispartition OR c.relhassubclass
	UNION ALL
	SELECT format('public.%s belongs to %s', s.name, c.relowner::regrole)
	  FROM pg_temp.seed_table s JOIN pg_class c ON c.oid = to_regclass('public.' || s.name)
	 WHERE NOT pg_has_role(c.relowner, 'USAGE')
		OR (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)
		   AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = c.relowner)
	UNION ALL
	SELECT format('function %s belongs to %s', f.signature, p.proowner::regrole)
	  FROM pg_temp.seed_function f JOIN pg_proc p ON p.oid = to_regprocedure(f.signature)
	 WHERE NOT pg_has_role(p.proowner, 'USAGE')
	UNION ALL
	SELECT 'schema seed_backup exists already' WHERE to_regnamespace('seed_backup') IS NOT NULL
	UNION ALL
	SELECT 'studio_engine is installed, and beside it are tables that are not its own'
	 WHERE to_regnamespace('studio_engine') IS NOT NULL;

INSERT INTO pg_temp.seed_obstacle
	SELECT CASE WHEN a.attname IS NULL THEN format('column %s.%s is missing', s.name, w.column_name)
				ELSE format('column %s.%s is %s, not %s', s.name, w.column_name,
							format_type(a.atttypid, a.atttypmod), w.type) END
	  FROM pg_temp.seed_table s,
		   LATERAL (SELECT split_part(c, ' ', 1) AS column_name, substr(c, strpos(c, ' ') + 1) AS type
					  FROM unnest(s.columns) c) w
	  LEFT JOIN LATERAL (SELECT * FROM pg_attribute p
						  WHERE p.attrelid = to_regclass('public.' || s.name) AND p.attname = w.column_name
							AND NOT p.attisdropped) a ON true
	 WHERE to_regclass('public.' || s.name) IS NOT NULL
	   AND (a.attname IS NULL
			OR format_type(a.atttypid, a.atttypmod) <> w.type
			   AND a.atttypid <> coalesce(to_regtype('public.' || quote_ident(w.type)), 0)
			   AND NOT (w.type IN ('text', 'job_status', 'step_status')
						AND a.atttypid IN ('text'::regtype, 'varchar'::regtype)));

-- What hangs on the tables and types would move away with them: views would
-- show the backup, foreign keys would guard it.
CREATE TEMP TABLE seed_dependent ON COMMIT DROP AS
	WITH tables AS (
		SELECT c.oid, c.reltype FROM pg_temp.seed_table s JOIN pg_class c ON c.oid = to_regclass('public.' || s.name)
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
BEGIN
	EXECUTE 'REVOKE ALL ON SCHEMA seed_backup FROM PUBLIC' || coalesce((
		SELECT string_agg(format(', %I', r.rolname), '') FROM pg_roles r
		 WHERE r.rolname IN ('anon', 'authenticated', 'service_role')), '');
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
	SELECT 'own column', format('%s.%s (%s) was not copied; it is in seed_backup.%s', s.name, a.attname,
								format_type(a.atttypid, a.atttypmod), s.name)
	  FROM pg_temp.seed_table s JOIN pg_attribute a ON a.attrelid = to_regclass('public.' || s.name)
	 WHERE s.columns IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped
	   AND NOT EXISTS (SELECT FROM unnest(s.columns) c WHERE split_part(c, ' ', 1) = a.attname)
	 ORDER BY s.name, a.attnum;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own table', format('public.%s is not of the document; its rows were not copied, they are in seed_backup.%1$s', s.name)
	  FROM pg_temp.seed_table s WHERE s.columns IS NULL AND to_regclass('public.' || s.name) IS NOT NULL
	 ORDER BY s.name;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own trigger', format('trigger %s on %s stayed with seed_backup.%2$s', t.tgname, s.name)
	  FROM pg_temp.seed_table s JOIN pg_trigger t ON t.tgrelid = to_regclass('public.' || s.name)
	 WHERE NOT t.tgisinternal AND t.tgname NOT IN ('tr_profiles_updated', 'tr_projects_updated')
	 ORDER BY s.name, t.tgname;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own policy', format('policy %s on %s stayed with seed_backup.%2$s', p.polname, s.name)
	  FROM pg_temp.seed_table s JOIN pg_policy p ON p.polrelid = to_regclass('public.' || s.name)
	 WHERE p.polname NOT IN ('profiles_select', 'profiles_update', 'projects_all', 'jobs_select', 'credit_select')
	 ORDER BY s.name, p.polname;
INSERT INTO seed_backup.import_report (damage, done)
	SELECT 'own grant', format('%s on %s to %s is not on the new table', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type),
							   s.name, a.grantee::regrole)
	  FROM pg_temp.seed_table s
	  JOIN pg_class c ON c.oid = to_regclass('public.' || s.name), LATERAL aclexplode(c.relacl) a
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
	SELECT p.pubname, p.pubowner, s.name
	  FROM pg_temp.seed_table s
	  JOIN pg_publication_rel r ON r.prrelid = to_regclass('public.' || s.name)
	  JOIN pg_publication p ON p.oid = r.prpubid
	 WHERE s.columns IS NOT NULL;

DO $move$
DECLARE
	v_name text;
BEGIN
	FOR v_name IN SELECT s.name FROM pg_temp.seed_table s WHERE to_regclass('public.' || s.name) IS NOT NULL LOOP
		EXECUTE format('ALTER TABLE public.%I SET SCHEMA seed_backup', v_name);
		EXECUTE format('ALTER TABLE seed_backup.%I ENABLE ROW LEVEL SECURITY', v_name);
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
			EXECUTE format('ALTER PUBLICATION %I DROP TABLE seed_backup.%I', v_published.pubname, v_published.name);
			EXECUTE format('ALTER PUBLICATION %I ADD TABLE public.%I', v_published.pubname, v_published.name);
		ELSE
			INSERT INTO seed_backup.import_report (damage, done)
				VALUES ('publication', format('to do: ALTER PUBLICATION %I ADD TABLE public.%I', v_published.pubname, v_published.name));
		END IF;
	END LOOP;
END
$publish$;

--------------------------------------------------------------------------------
-- All rows but the ledger
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
		 WHERE s.copied AND to_regclass('seed_backup.' || s.name) IS NOT NULL
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

SET LOCAL studio_engine.maintenance = off;

-- from here on the rules hold, and the functions of the extension work
DO $sweep$
BEGIN
	WHILE public.sweep_stale_holds(100000) > 0 LOOP
		NULL;
	END LOOP;
	PERFORM studio_engine.rebuild_queue();
END
$sweep$;

--------------------------------------------------------------------------------
-- Proof and report
--------------------------------------------------------------------------------

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

\echo
\echo 'Rows and credits before and after (seed_backup.import_summary)'
SELECT s.kind, s.rows_before, s.rows_after, s.credits_before, s.credits_after
  FROM seed_backup.import_summary s ORDER BY s.no;
\echo 'What was wrong, and what was done (seed_backup.import_report)'
SELECT r.user_id, r.damage, r.entry_id, r.amount, r.done
  FROM seed_backup.import_report r ORDER BY r.user_id NULLS FIRST, r.no;
\echo 'What verify_credit_ledger() goes on naming: history that was overdrawn'
SELECT v.* FROM public.verify_credit_ledger() v;
