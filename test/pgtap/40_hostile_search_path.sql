-- A hostile role puts traps before pg_catalog on the search_path of every caller:
-- tables of our names (also temporary ones), functions, aggregates, operators and
-- types.  The whole story of the product is then played; no trap may snap.
-- The pitfall: an exception would be lost where an error is swallowed (sign-up) or
-- rolled back, so a trap counts on a sequence, which no rollback takes back; and
-- statements are planned once per session, so nothing of ours runs before the traps.
SET search_path = tap, public, pg_catalog;
SET client_min_messages = warning;

BEGIN;
SELECT plan(563);

\set user_one '40000000-0000-4000-8000-00000000000a'
\set user_two '40000000-0000-4000-8000-00000000000b'

CREATE ROLE hostile;
CREATE SCHEMA evil AUTHORIZATION hostile;
GRANT USAGE ON SCHEMA evil TO PUBLIC;

-- Somebody who is no service and writes by plain SQL.  Users do so under policies that
-- ask auth.uid(), which the platform does not protect against such a search_path.
CREATE ROLE plain_writer;
GRANT USAGE ON SCHEMA public TO plain_writer;
GRANT SELECT, INSERT, UPDATE ON public.studio_jobs TO plain_writer;
CREATE POLICY plain_writer ON public.studio_jobs TO plain_writer USING (true);

--------------------------------------------------------------------------------
-- Tables of our names, with rows that would make us rich
--------------------------------------------------------------------------------

SELECT format('CREATE TABLE evil.%1$I (LIKE %2$s.%1$I INCLUDING DEFAULTS); CREATE TEMPORARY TABLE %1$I (LIKE %2$s.%1$I INCLUDING DEFAULTS)', name, schema)
FROM (VALUES ('profiles', 'public'), ('draft_prompts', 'public'), ('projects', 'public'), ('jobs', 'public'),
			 ('job_steps', 'public'), ('assets', 'public'), ('logs', 'public'), ('credit_accounts', 'public'),
			 ('credit_ledger', 'public'), ('settings', 'studio_engine'), ('meta', 'studio_engine'),
			 ('companies', 'public'), ('employees', 'public'), ('cm_module_content', 'public'),
			 ('cm_course_plans', 'public'), ('cm_research_results', 'public'), ('cm_quality_assessments', 'public'),
			 ('cm_enhancement_sessions', 'public'), ('mm_multimedia_sessions', 'public'),
			 ('mm_multimedia_assets', 'public'), ('mm_audio_narrations', 'public'),
			 ('mm_slide_presentations', 'public'), ('mm_script_generations', 'public'),
			 ('mm_video_analytics', 'public'), ('mm_rendering_queue', 'public'),
			 ('content_search', 'studio_engine'),
			 ('expiring_credits', 'studio_engine'), ('ledger_hashes', 'studio_engine'), ('credit_keys', 'studio_engine'), ('expiring_holds', 'studio_engine'), ('lot_checkpoints', 'studio_engine'),
			 ('transfers', 'studio_engine'), ('failed_sign_ups', 'studio_engine'), ('studio_jobs', 'public'),
			 ('welcomed', 'studio_engine'), ('payment_digests', 'studio_engine'),
			 ('stripe_objects', 'studio_engine'), ('stripe_facts', 'studio_engine'), ('stripe_events', 'studio_engine'),
			 ('queue', 'studio_engine'), ('queue_stages', 'studio_engine'), ('attempts', 'studio_engine'), ('removed_files', 'studio_engine'),
			 ('job_events', 'pipeline'), ('artifacts', 'pipeline'), ('prompts', 'pipeline')) AS t (name, schema) \gexec
CREATE TABLE evil.users (id pg_catalog.uuid, raw_user_meta_data pg_catalog.jsonb);
CREATE TEMPORARY TABLE users (id pg_catalog.uuid, raw_user_meta_data pg_catalog.jsonb);

CREATE TEMPORARY TABLE trap_table AS
	SELECT c.oid, c.oid::regclass::text AS name FROM pg_class c
	WHERE c.relkind = 'r' AND (c.relnamespace = 'evil'::regnamespace OR c.relnamespace = pg_my_temp_schema() AND c.relname !~ '^_');
DELETE FROM trap_table WHERE oid = 'trap_table'::regclass;
SELECT format($$INSERT INTO %1$s.settings VALUES ('welcome_credits', '999', ''), ('max_active_jobs', '0', ''), ('draft_lifetime_days', '0', ''), ('ledger_hash_chain', '0', ''), ('max_active_runs', '1', ''),
					('lease_seconds', '0', ''), ('max_attempts', '1', ''), ('retry_base_seconds', '9999', ''), ('retry_cap_seconds', '9999', ''),
					('max_user_priority', '-100', ''), ('default_system_prompt', 'Evil', ''), ('fair_queue', '1', ''), ('progress_interval_ms', '99999', '');
				INSERT INTO %1$s.credit_accounts (user_id, balance) VALUES (%2$L, 1000000), (%3$L, 1000000);
				INSERT INTO %1$s.queue (system, rank, job_id, user_id, stage) VALUES ('studio_jobs', -2147483648, %2$L, %2$L, 'NEW'), ('jobs', -2147483648, %3$L, %3$L, 'QUEUED');
				INSERT INTO %1$s.users VALUES (%2$L, '{"name": "Evil"}'), (%3$L, '{"name": "Evil"}')$$, s.schema, :'user_one', :'user_two')
FROM unnest('{evil,pg_temp}'::text[]) AS s (schema) \gexec

--------------------------------------------------------------------------------
-- Traps
--------------------------------------------------------------------------------

CREATE SEQUENCE evil.trips;
GRANT ALL ON SEQUENCE evil.trips TO PUBLIC;
ALTER SEQUENCE evil.trips OWNER TO hostile;
SELECT format('ALTER TABLE %s OWNER TO hostile', name) FROM trap_table WHERE name LIKE 'evil.%' \gexec
SELECT format('GRANT ALL ON %s TO PUBLIC', name) FROM trap_table \gexec

SET LOCAL ROLE hostile;
CREATE FUNCTION evil.snap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_catalog.nextval('evil.trips');
	RAISE EXCEPTION 'trap: table %', TG_TABLE_NAME USING ERRCODE = 'EVIL1';
END $$;
RESET ROLE;
SELECT format('CREATE TRIGGER snap BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION evil.snap()', name)
FROM trap_table \gexec
-- the names of our private types are needed to lay traps for them
GRANT USAGE ON SCHEMA studio_engine TO hostile;
GRANT USAGE ON TYPE public.job_status, public.step_status, studio_engine.job_system, studio_engine.queue_state TO hostile;
SET LOCAL ROLE hostile;

-- Every operator of the types that we use, and those of our enums.
DO $traps$
DECLARE
	v_body CONSTANT text := $$ BEGIN PERFORM pg_catalog.nextval('evil.trips'); RAISE EXCEPTION USING MESSAGE = 'trap: %s', ERRCODE = 'EVIL1'; END $$;
	v_types CONSTANT regtype[] := '{uuid,text,integer,bigint,boolean,jsonb,timestamptz,interval,text[],bytea,numeric,double precision}';
	v_op record;
	v_trap text;
BEGIN
	FOR v_op IN
		SELECT row_number() OVER () AS n, o.*
		FROM (SELECT oprname::text AS name, oprleft::regtype AS l, oprright::regtype AS r, oprresult::regtype AS res FROM pg_operator
			  WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprright = ANY (v_types) AND (oprleft = ANY (v_types) OR oprleft = 0)
			  UNION ALL
			  SELECT op, t, t, 'boolean' FROM unnest('{=,<>,<,>,<=,>=}'::text[]) AS o (op),
				   unnest('{public.job_status,public.step_status,studio_engine.job_system,studio_engine.queue_state}'::regtype[]) AS e (t)
			  UNION ALL SELECT '||', 'text', 'anynonarray', 'text'
			  UNION ALL SELECT '||', 'anynonarray', 'text', 'text') AS o
	LOOP
		v_trap := 'operator_' || v_op.n;
		EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', v_trap,
			concat_ws(', ', CASE WHEN v_op.l <> 0::regtype THEN v_op.l::text END, v_op.r::text), v_op.res,
			format(v_body, 'operator ' || v_op.name));
		EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.%I, %s RIGHTARG = %s)', v_op.name, v_trap,
			CASE WHEN v_op.l <> 0::regtype THEN format('LEFTARG = %s,', v_op.l) ELSE '' END, v_op.r);
	END LOOP;
END $traps$;

DO $traps$
DECLARE
	v_body CONSTANT text := $$ BEGIN PERFORM pg_catalog.nextval('evil.trips'); RAISE EXCEPTION USING MESSAGE = 'trap: %s', ERRCODE = 'EVIL1'; END $$;
	v_trap record;
BEGIN
	FOR v_trap IN SELECT * FROM (VALUES
		('now()', 'timestamptz'), ('clock_timestamp()', 'timestamptz'), ('transaction_timestamp()', 'timestamptz'),
		('statement_timestamp()', 'timestamptz'), ('gen_random_uuid()', 'uuid'), ('uid()', 'uuid'), ('role()', 'text'),
		('to_jsonb(anyelement)', 'jsonb'), ('jsonb_build_object(VARIADIC text[])', 'jsonb'), ('jsonb_typeof(jsonb)', 'text'),
		('jsonb_array_elements(jsonb)', 'SETOF jsonb'), ('jsonb_array_elements_text(jsonb)', 'SETOF text'),
		('length(text)', 'integer'), ('left(text, integer)', 'text'), ('create_job(text, jsonb)', 'jsonb'), ('events_since(text)', 'jsonb'), ('lower(text)', 'text'), ('hashtextextended(text, bigint)', 'bigint'),
		('hashtext(text)', 'integer'), ('pg_advisory_xact_lock(bigint)', 'void'), ('make_interval(days integer)', 'interval'),
		('current_setting(text)', 'text'), ('current_setting(text, boolean)', 'text'), ('set_config(text, text, boolean)', 'text'),
		('sha256(bytea)', 'bytea'), ('convert_to(text, name)', 'bytea'), ('encode(bytea, text)', 'text'),
		('timestamptz_send(timestamptz)', 'bytea'), ('jsonb_build_array(VARIADIC text[])', 'jsonb'), ('concat(VARIADIC text[])', 'text'),
		('row_number()', 'bigint'), ('lag(integer)', 'integer'), ('big_sum_step(numeric, bigint)', 'numeric'), ('ids_step(uuid[], uuid)', 'uuid[]'),
		('get_credit_summary(uuid)', 'jsonb'), ('expire_credits(integer)', 'integer'), ('verify_credit_ledger(uuid)', 'text'),
		('update_updated_at()', 'text'), ('get_credit_balance(uuid)', 'integer'), ('reserve_credits(uuid, uuid, integer)', 'boolean'),
		('jsonb_strip_nulls(jsonb)', 'jsonb'), ('floor(double precision)', 'double precision'), ('floor(numeric)', 'numeric'),
		('round(numeric, integer)', 'numeric'), ('min_time_step(timestamptz, timestamptz)', 'timestamptz'),
		('avg_step(bigint, integer)', 'bigint'), ('object_step(jsonb, text, bigint)', 'jsonb'), ('count_id_step(bigint, uuid)', 'bigint'),
		('percentile_step(double precision, double precision)', 'double precision'), ('percentile_end(double precision, double precision)', 'double precision'),
		('claim_jobs(text, text, integer, interval, text[], text)', 'text'), ('create_studio_job(uuid, text, text, integer, timestamptz, text, integer)', 'jsonb'),
		('enforce_workflow()', 'text'), ('maintain_queue()', 'text'), ('default_studio_job()', 'text'), ('num_nulls(VARIADIC text[])', 'integer'),
		('sum_step(bigint, integer)', 'bigint'), ('max_step(bigint, bigint)', 'bigint'), ('max4_step(integer, integer)', 'integer'),
		('count_step(bigint)', 'bigint'), ('bool_step(boolean, boolean)', 'boolean'), ('array_step(integer[], integer)', 'integer[]'),
		('jsonb_step(jsonb, jsonb)', 'jsonb'), ('check_step()', 'boolean')) AS t (signature, result)
	LOOP
		EXECUTE format('CREATE FUNCTION evil.%s RETURNS %s LANGUAGE plpgsql AS %L', v_trap.signature, v_trap.result,
			format(v_body, 'function ' || v_trap.signature));
	END LOOP;
	FOR v_trap IN SELECT * FROM unnest('{uuid,int4,int8,bool,jsonb,timestamptz,interval,bytea,numeric,job_status,step_status,job_system,queue_state}'::text[]) AS t (name) LOOP
		EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.text CHECK (evil.check_step())', v_trap.name);
	END LOOP;
END $traps$;
CREATE AGGREGATE evil.sum(pg_catalog.int4) (SFUNC = evil.sum_step, STYPE = pg_catalog.int8, INITCOND = '0');
CREATE AGGREGATE evil.sum(pg_catalog.int8) (SFUNC = evil.big_sum_step, STYPE = pg_catalog.numeric, INITCOND = '0');
CREATE AGGREGATE evil.array_agg(pg_catalog.uuid) (SFUNC = evil.ids_step, STYPE = pg_catalog.uuid[], INITCOND = '{}');
CREATE AGGREGATE evil.max(pg_catalog.int8) (SFUNC = evil.max_step, STYPE = pg_catalog.int8, INITCOND = '0');
CREATE AGGREGATE evil.max(pg_catalog.int4) (SFUNC = evil.max4_step, STYPE = pg_catalog.int4, INITCOND = '0');
CREATE AGGREGATE evil.count(*) (SFUNC = evil.count_step, STYPE = pg_catalog.int8, INITCOND = '0');
CREATE AGGREGATE evil.min(pg_catalog.timestamptz) (SFUNC = evil.min_time_step, STYPE = pg_catalog.timestamptz, INITCOND = '2001-01-01');
CREATE AGGREGATE evil.avg(pg_catalog.int4) (SFUNC = evil.avg_step, STYPE = pg_catalog.int8, INITCOND = '0');
CREATE AGGREGATE evil.count(pg_catalog.uuid) (SFUNC = evil.count_id_step, STYPE = pg_catalog.int8, INITCOND = '0');
CREATE AGGREGATE evil.jsonb_object_agg(pg_catalog.text, pg_catalog.int8) (SFUNC = evil.object_step, STYPE = pg_catalog.jsonb, INITCOND = '{}');
CREATE AGGREGATE evil.percentile_cont(pg_catalog.float8 ORDER BY pg_catalog.float8)
	(SFUNC = evil.percentile_step, STYPE = pg_catalog.float8, FINALFUNC = evil.percentile_end, INITCOND = '0');
CREATE AGGREGATE evil.bool_and(pg_catalog.bool) (SFUNC = evil.bool_step, STYPE = pg_catalog.bool, INITCOND = 'true');
CREATE AGGREGATE evil.array_agg(pg_catalog.int4) (SFUNC = evil.array_step, STYPE = pg_catalog.int4[], INITCOND = '{}');
CREATE AGGREGATE evil.jsonb_agg(pg_catalog.jsonb) (SFUNC = evil.jsonb_step, STYPE = pg_catalog.jsonb, INITCOND = '[]');
RESET ROLE;
REVOKE USAGE ON SCHEMA studio_engine FROM hostile;

--------------------------------------------------------------------------------
-- Helpers
--------------------------------------------------------------------------------

-- Runs one statement as a role, with a search_path, and returns its value as text.
-- What stands between the two changes of search_path is resolved by the traps, so
-- it names no operator and no function without its schema.
-- Credits are transferred to somebody who has none.
INSERT INTO auth.users (id) VALUES ('40000000-0000-4000-8000-0000000000fe');
SELECT void_credits(id) FROM public.credit_ledger WHERE user_id = '40000000-0000-4000-8000-0000000000fe' \g /dev/null

CREATE FUNCTION pg_temp.attack(p_path text, p_role text, p_sub text, p_statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v_old text := current_setting('search_path');
	v_claims text := CASE WHEN p_sub IS NULL THEN '' ELSE jsonb_build_object('sub', p_sub, 'role', p_role)::text END;
	v_result text;
BEGIN
	PERFORM set_config('request.jwt.claims', v_claims, true);
	PERFORM set_config('role', p_role, true);
	PERFORM set_config('search_path', p_path, true);
	EXECUTE p_statement INTO v_result;
	PERFORM pg_catalog.set_config('search_path', v_old, true);
	PERFORM pg_catalog.set_config('role', 'none', true);
	RETURN v_result;
EXCEPTION WHEN OTHERS THEN
	RETURN format('%s: %s', SQLSTATE, SQLERRM);
END $$;

CREATE FUNCTION pg_temp.trips() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM evil.trips);
END $$;

-- All rows of all decoys.
CREATE FUNCTION pg_temp.decoys() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_table record;
	v_rows text;
	v_all text := '';
BEGIN
	FOR v_table IN SELECT name FROM trap_table ORDER BY oid LOOP
		EXECUTE format('SELECT string_agg(t::text, '';'' ORDER BY t::text) FROM %s t', v_table.name) INTO v_rows;
		v_all := v_all || v_table.name || ':' || COALESCE(v_rows, '') || E'\n';
	END LOOP;
	RETURN v_all;
END $$;
CREATE TEMPORARY TABLE decoys_before AS SELECT pg_temp.decoys() AS rows;

--------------------------------------------------------------------------------
-- Controls: the traps are armed
--------------------------------------------------------------------------------

SELECT matches(pg_temp.attack('evil, pg_catalog, public', role, NULL, statement), '^EVIL1', format('control: %s trips over: %s', role, statement))
FROM unnest('{anon,authenticated,service_role,supabase_auth_admin}'::text[]) AS r (role),
	 unnest(ARRAY['SELECT 1 = 1', 'SELECT now()', 'SELECT sum(1)', 'SELECT uid()',
				  'INSERT INTO jobs DEFAULT VALUES RETURNING id', 'SELECT ''x''::job_status', 'SELECT min(now())', 'SELECT avg(1)',
				  'DELETE FROM studio_jobs RETURNING job_id', 'UPDATE queue SET rank = 1 RETURNING job_id',
				  'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY 1::pg_catalog.float8)', 'SELECT ''x''::queue_state']) AS s (statement);
SELECT matches(pg_temp.attack('pg_temp, evil, pg_catalog, public', 'anon', NULL, 'DELETE FROM logs RETURNING id'), '^EVIL1',
			   'control: so it does with the temporary tables first');
SELECT is(pg_temp.attack('evil, pg_catalog, public', 'anon', NULL, 'SELECT balance FROM credit_accounts LIMIT 1'), '1000000',
		  'control: a table without a schema is the hostile one');
SELECT cmp_ok(pg_temp.trips(), '>=', 48::bigint, 'control: the trap counter survives the rollback of the trap');
SELECT setval('evil.trips', 1, false) \g /dev/null

--------------------------------------------------------------------------------
-- The story, once for each path and user
--------------------------------------------------------------------------------

CREATE TEMPORARY TABLE path (n integer, path text, sub text);
INSERT INTO path VALUES (1, 'evil, pg_catalog, public', :'user_one'),
						(2, 'pg_temp, evil, pg_catalog, public', :'user_two');

-- {u}: the user; {p}: the project; {j1}, {j2}, {j3}: jobs in the order they are made; {s1}, {s2}: studio
-- jobs; {t}: the token of the lease that the user's job has now.
CREATE TEMPORARY TABLE story (n serial, role text, statement text, expected text);
INSERT INTO story (role, statement, expected) VALUES
	('postgres', $$UPDATE studio_engine.settings SET value = '1' WHERE name OPERATOR(pg_catalog.=) 'ledger_hash_chain' RETURNING value$$, '1'),
	('supabase_auth_admin', $$INSERT INTO auth.users (id, raw_user_meta_data) VALUES ('{u}', '{"name": "Victim"}') RETURNING id IS NOT NULL$$, 'true'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '10'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.ensure_profile('{u}'), 'display_name')$$, 'Victim'),
	('anon', $$SELECT public.save_draft_prompt('hostile-token-{u}', 'A film') IS NOT NULL$$, 'true'),
	('anon', $$SELECT public.save_draft_prompt('hostile-token-{u}', 'A better film', NULL, '{"a": 1}') IS NOT NULL$$, 'true'),
	('anon', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_draft_prompt('hostile-token-{u}'), 'prompt_text')$$, 'A better film'),
	('authenticated', $$SELECT public.claim_draft_prompt('hostile-token-{u}', '{u}') IS NOT NULL$$, 'true'),
	('authenticated', $$SELECT public.claim_draft_prompt('hostile-token-{u}', '{u}') IS NULL$$, 'true'),
	('service_role', $$SELECT public.cleanup_expired_drafts(10)$$, '0'),
	('service_role', $$INSERT INTO public.projects (user_id, title, prompt_text, niche_preset) VALUES ('{u}', 'T', 'P', 'facts') RETURNING id IS NOT NULL$$, 'true'),
	('service_role', $$UPDATE public.projects SET title = 'U' WHERE user_id OPERATOR(pg_catalog.=) '{u}' RETURNING title$$, 'U'),
	('service_role', $$UPDATE public.profiles SET avatar_url = 'U' WHERE id OPERATOR(pg_catalog.=) '{u}' RETURNING avatar_url$$, 'U'),
	-- a job to the end, half of the way by plain UPDATE
	('service_role', $$SELECT public.create_job('{p}', 3) IS NOT NULL$$, 'true'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '7'),
	('service_role', $$SELECT public.create_job_steps('{j1}', '["extra"]')$$, '1'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.update_job_step('{j1}', 'scripting', 'started', 10), 'state')$$, 'started'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.update_job_step('{j1}', 'scripting', 'succeeded'), 'progress_pct')$$, '100'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.advance_job('{j1}', 'SCRIPTING'), 'progress')$$, '5'),
	('service_role', $$UPDATE public.jobs SET status = 'VOICE_GEN' WHERE id OPERATOR(pg_catalog.=) '{j1}' RETURNING progress$$, '15'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.advance_job('{j1}', 'ALIGNMENT'), 'progress')$$, '25'),
	('service_role', $$UPDATE public.jobs SET status = 'VISUAL_PLAN' WHERE id OPERATOR(pg_catalog.=) '{j1}' RETURNING progress$$, '40'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.advance_job('{j1}', 'IMAGE_GEN', 60, 'Painting'), 'progress')$$, '60'),
	('service_role', $$UPDATE public.jobs SET status = 'TIMELINE' WHERE id OPERATOR(pg_catalog.=) '{j1}' RETURNING progress$$, '70'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.advance_job('{j1}', 'RENDERING'), 'progress')$$, '75'),
	('service_role', $$UPDATE public.jobs SET status = 'PACKAGING' WHERE id OPERATOR(pg_catalog.=) '{j1}' RETURNING progress$$, '95'),
	('service_role', $$SELECT public.log_job('{j1}', 'info', 'A line') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.record_asset('{j1}', 'video', 'U', 'P') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.record_asset('{j1}', 'video', 'V', 'P', 1) IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.complete_job('{j1}', 'U', '{}', 2), 'status')$$, 'READY'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.complete_job('{j1}', 'U', '{}', 2), 'cost_credits_final')$$, '2'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '8'),
	-- a job that fails, is tried again and cancelled
	('service_role', $$SELECT public.create_job('{p}', 4) IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.fail_job('{j2}', 'CODE', 'M', 'S'), 'status')$$, 'FAILED'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '8'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.retry_job('{j2}'), 'status')$$, 'QUEUED'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '4'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.cancel_job('{j2}', 'R'), 'error_code')$$, 'CANCELLED'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '8'),
	-- money by hand
	('service_role', $$INSERT INTO public.jobs (project_id, user_id) VALUES ('{p}', '{u}') RETURNING status$$, 'PENDING'),
	('service_role', $$SELECT public.reserve_credits('{u}', '{j3}', 1000)$$, 'false'),
	('service_role', $$SELECT public.reserve_credits('{u}', '{j3}', 5)$$, 'true'),
	('service_role', $$SELECT public.release_credits('{j3}')$$, '5'),
	('service_role', $$SELECT public.reserve_credits('{u}', '{j3}', 5)$$, 'true'),
	('service_role', $$SELECT public.settle_credits('{j3}', 6, 'charge')$$, '6'),
	('service_role', $$SELECT public.grant_credits('{u}', 5, 'N', 'K') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.grant_credits('{u}', 5, 'N', 'K') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.purchase_credits('{u}', 20, 'pi_{u}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.purchase_credits('{u}', 20, 'pi_{u}') IS NOT NULL$$, 'true'),
	('service_role', $$INSERT INTO public.credit_ledger (user_id, type, amount) VALUES ('{u}', 'refund', 1) RETURNING balance_after$$, '28'),
	('service_role', $$UPDATE public.credit_ledger SET amount = 1 RETURNING id$$, '42501: permission denied for table credit_ledger'),
	('postgres', $$DELETE FROM public.credit_ledger RETURNING id$$, '42501: the ledger is append-only'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '28'),
	('authenticated', $$SELECT pg_catalog.jsonb_array_length(public.get_dashboard())$$, '1'),
	('anon', $$SELECT workflow FROM public.workflow_transitions() LIMIT 1$$, 'jobs'),
	('anon', $$SELECT public.workflow_diagram('jobs') IS NOT NULL$$, 'true'),
	('authenticated', $$SELECT public.get_credit_balance('40000000-0000-4000-8000-0000000000ff')$$, '42501: not allowed'),
	('anon', $$SELECT public.get_credit_balance('{u}')$$, '42501: permission denied for function get_credit_balance'),
	('postgres', $$SELECT problem FROM studio_engine.lint()$$, NULL),
	('postgres', $$SELECT studio_engine.restoring()$$, 'false'),
	('postgres', $$SELECT reason FROM studio_engine.direct_tables() LIMIT 1$$, NULL),
	('postgres', $$SELECT pg_catalog.count(e.table_name) FROM public.enable_realtime() e$$, '10'),
	-- credit that expires, payments that are taken back, and the proof
	('postgres', $$SELECT problem FROM public.verify_credit_ledger()$$, NULL),
	('postgres', $$UPDATE studio_engine.settings SET value = '0' WHERE name OPERATOR(pg_catalog.=) 'ledger_hash_chain' RETURNING value$$, '0'),
	('service_role', $$SELECT public.grant_credits('{u}', 6, 'N', 'X', '2998-01-01') IS NOT NULL$$, 'true'),
	('postgres', $$SELECT pg_catalog.set_config('studio_engine.maintenance', 'on', true)$$, 'on'),
	('postgres', $$UPDATE public.credit_ledger SET expires_at = '2020-01-01' WHERE idempotency_key OPERATOR(pg_catalog.=) 'X' AND user_id OPERATOR(pg_catalog.=) '{u}' RETURNING type$$, 'grant'),
	('postgres', $$UPDATE studio_engine.expiring_credits SET expires_at = '2020-01-01' WHERE user_id OPERATOR(pg_catalog.=) '{u}' AND expires_at OPERATOR(pg_catalog.=) '2998-01-01' RETURNING held_back$$, 'false'),
	('postgres', $$SELECT pg_catalog.set_config('studio_engine.maintenance', 'off', true)$$, 'off'),
	('postgres', $$UPDATE studio_engine.settings SET value = '1' WHERE name OPERATOR(pg_catalog.=) 'ledger_hash_chain' RETURNING value$$, '1'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '34'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_credit_summary('{u}'), 'spendable')$$, '28'),
	('service_role', $$SELECT public.expire_credits(10)$$, '1'),
	('service_role', $$SELECT public.expire_credits()$$, '0'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '28'),
	('service_role', $$SELECT public.subscription_credits('{u}', 10, 'in_{u}', 'N', '2999-01-01') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.subscription_credits('{u}', 10, 'in_{u}', 'N', '2999-01-01') IS NOT NULL$$, 'true'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_credit_summary('{u}'), 'lifetime_purchased')$$, '30'),
	('service_role', $$SELECT public.reverse_purchase('in_{u}', 4, 'N', 'R')$$, '4'),
	('service_role', $$SELECT public.reverse_purchase('in_{u}', 4, 'N', 'R')$$, '4'),
	('service_role', $$SELECT public.reverse_purchase('in_{u}')$$, '6'),
	('service_role', $$SELECT public.reinstate_purchase('in_{u}', 'N', 'R')$$, '4'),
	('service_role', $$SELECT public.reinstate_purchase('in_{u}', 'N', 'R')$$, '4'),
	('service_role', $$SELECT public.reinstate_purchase('in_{u}')$$, '6'),
	('service_role', $$SELECT public.reinstate_purchase('in_{u}', 'N', 'E')$$, '0'),
	('service_role', $$SELECT public.reinstate_purchase('in_{u}', 'N', 'E')$$, '0'),
	('service_role', $$SELECT public.reverse_purchase('in_{u}', 4, 'N', 'E')$$, '0'),
	('service_role', $$SELECT public.reinstate_purchase('in_{u}')$$, '0'),
	('service_role', $$SELECT public.apply_stripe_event('{"id": "evt_{u}", "type": "payment_intent.succeeded", "created": 1, "data": {"object": {"id": "pi2_{u}", "object": "payment_intent", "created": 1, "amount_received": 10, "metadata": {"credits": "5", "user_id": "{u}"}}}}') OPERATOR(pg_catalog.->>) 'credits_booked'$$, '5'),
	('service_role', $$SELECT public.apply_stripe_event('{"id": "evt2_{u}", "type": "refund.created", "created": 1, "data": {"object": {"id": "re_{u}", "object": "refund", "created": 1, "amount": 10, "payment_intent": "pi2_{u}"}}}') OPERATOR(pg_catalog.->>) 'credits_reversed'$$, '5'),
	('service_role', $$SELECT public.refund_credits('{j3}', 2, 'N', 'F')$$, '2'),
	('service_role', $$SELECT public.refund_credits('{j3}', 2, 'N', 'F')$$, '2'),
	('service_role', $$INSERT INTO public.jobs (project_id, user_id) VALUES ('{p}', '{u}') RETURNING status$$, 'PENDING'),
	-- the short lot is held when it expires, and comes back to nothing
	('postgres', $$UPDATE studio_engine.settings SET value = '0' WHERE name OPERATOR(pg_catalog.=) 'ledger_hash_chain' RETURNING value$$, '0'),
	('service_role', $$SELECT public.grant_credits('{u}', 2, 'N', 'Y', '2998-01-01') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.reserve_credits('{u}', '{j4}', 3)$$, 'true'),
	('postgres', $$SELECT pg_catalog.set_config('studio_engine.maintenance', 'on', true)$$, 'on'),
	('postgres', $$UPDATE public.credit_ledger SET expires_at = '2020-01-01' WHERE idempotency_key OPERATOR(pg_catalog.=) 'Y' AND user_id OPERATOR(pg_catalog.=) '{u}' RETURNING type$$, 'grant'),
	('postgres', $$UPDATE studio_engine.expiring_credits SET expires_at = '2020-01-01' WHERE user_id OPERATOR(pg_catalog.=) '{u}' AND expires_at OPERATOR(pg_catalog.=) '2998-01-01' RETURNING held_back$$, 'false'),
	('postgres', $$SELECT pg_catalog.set_config('studio_engine.maintenance', 'off', true)$$, 'off'),
	('postgres', $$UPDATE studio_engine.settings SET value = '1' WHERE name OPERATOR(pg_catalog.=) 'ledger_hash_chain' RETURNING value$$, '1'),
	('service_role', $$SELECT public.expire_credits()$$, '0'),
	('postgres', $$SELECT pg_catalog.set_config('studio_engine.maintenance', 'on', true)$$, 'on'),
	('postgres', $$UPDATE public.jobs SET status = 'FAILED' WHERE id OPERATOR(pg_catalog.=) '{j4}' RETURNING status$$, 'FAILED'),
	('postgres', $$SELECT pg_catalog.set_config('studio_engine.maintenance', 'off', true)$$, 'off'),
	('service_role', $$SELECT problem FROM public.verify_credit_ledger('{u}')$$, 'hold of an ended job'),
	('service_role', $$SELECT public.sweep_stale_holds()$$, '1'),
	('service_role', $$SELECT public.sweep_stale_holds(10)$$, '0'),
	('service_role', $$SELECT problem FROM public.verify_credit_ledger('{u}')$$, NULL),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '40'),
	-- lots: a list, a void, and to another user and back
	('authenticated', $$SELECT type FROM public.get_credit_lots('{u}') LIMIT 1$$, 'subscription'),
	('service_role', $$SELECT public.void_credits(entry_id, 1, 'N', 'V') FROM public.get_credit_lots('{u}') LIMIT 1$$, '1'),
	('service_role', $$SELECT public.void_credits(public.grant_credits('{u}', 3))$$, '3'),
	('service_role', $$SELECT public.transfer_credits('{u}', '40000000-0000-4000-8000-0000000000fe', 39, 'T', 'N')$$, '39'),
	('service_role', $$SELECT public.transfer_credits('{u}', '40000000-0000-4000-8000-0000000000fe', 39, 'T', 'N')$$, '39'),
	('service_role', $$SELECT public.reverse_purchase('in_{u}', 4, 'N', 'L{u}')$$, '4'),
	('service_role', $$SELECT public.reinstate_purchase('in_{u}', 'N', 'L{u}')$$, '4'),
	('service_role', $$SELECT public.merge_accounts('40000000-0000-4000-8000-0000000000fe', '{u}', 'M{u}')$$, '39'),
	('service_role', $$SELECT public.merge_accounts('40000000-0000-4000-8000-0000000000fe', '{u}', 'M{u}')$$, '39'),
	('service_role', $$SELECT public.grant_credits('{u}', 1) IS NOT NULL$$, 'true'),
	('service_role', $$SELECT problem FROM public.verify_credit_ledger()$$, NULL),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '40'),
	-- workers: a studio job to the end, half of the way by plain UPDATE, with figures
	('postgres', $$UPDATE studio_engine.settings SET value = '0' WHERE name OPERATOR(pg_catalog.=) 'retry_base_seconds' RETURNING value$$, '0'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.create_studio_job('{u}', 'A', NULL, 100), 'status')$$, 'NEW'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(job, 'system_prompt_used') FROM public.claim_jobs('studio_jobs', 'w', 1)$$,
		'Rewrite the transcript in the voice of the brand. Keep names, facts and numbers as they are.'),
	('service_role', $$SELECT job_id FROM public.claim_jobs('studio_jobs', 'w', 10)$$, NULL),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.heartbeat_job('{s1}', '{t}', 5, 'M'), 'cancel')$$, 'false'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_job_statistics('studio_jobs'), 'leased')$$, '1'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.update_studio_job_status('{s1}', 'TRANSCRIBING', '{t}'), 'status')$$, 'TRANSCRIBING'),
	('plain_writer', $$UPDATE public.studio_jobs SET priority = 7 WHERE job_id OPERATOR(pg_catalog.=) '{s1}' RETURNING priority$$, '7'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.store_transcript('{s1}', 'T', '{t}'), 'status')$$, 'ENRICHING'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.store_enrichment('{s1}', '{}', '{t}'), 'status')$$, 'REFINING'),
	('service_role', $$SELECT public.release_leases('w')$$, '1'),
	('service_role', $$SELECT attempt FROM public.claim_jobs('studio_jobs', 'w')$$, '1'),
	('service_role', $$SELECT public.snooze_job('{s1}', '{t}', '0') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT attempt FROM public.claim_jobs('studio_jobs', 'w')$$, '1'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.fail_studio_job('{s1}', '{"code": "C"}', true, '{t}'), 'retry_count')$$, '1'),
	('service_role', $$SELECT attempt FROM public.claim_jobs('studio_jobs', 'w')$$, '2'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.store_refined_text('{s1}', 'R', 'M', '{t}'), 'status')$$, 'COMPLETE'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.store_refined_text('{s1}', 'R', 'M'), 'status')$$, 'COMPLETE'),
	('authenticated', $$SELECT outcome FROM public.get_job_attempts('{s1}') LIMIT 1$$, 'released'),
	('service_role', $$SELECT pg_catalog.count(*) FROM public.get_job_attempts('{s1}')$$, '4'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_job_statistics('studio_jobs', '{u}', '1 day'), 'completed')$$, '1'),
	-- one that a silent worker had, and that is cancelled in the hands of another; and by plain SQL
	('plain_writer', $$INSERT INTO public.studio_jobs (user_id, raw_audio_url) VALUES ('{u}', 'A') RETURNING system_prompt_used$$,
		'Rewrite the transcript in the voice of the brand. Keep names, facts and numbers as they are.'),
	('plain_writer', $$UPDATE public.studio_jobs SET status = 'TRANSCRIBING' WHERE job_id OPERATOR(pg_catalog.=) '{s2}' RETURNING status$$, 'TRANSCRIBING'),
	('plain_writer', $$UPDATE public.studio_jobs SET priority = 101 WHERE job_id OPERATOR(pg_catalog.=) '{s2}' RETURNING status$$, '22023: argument is out of bounds'),
	('service_role', $$SELECT attempt FROM public.claim_jobs('studio_jobs', 'w', 1, '1 hour')$$, '1'),
	('service_role', $$SELECT public.reap_expired_leases(10)$$, '0'),
	('postgres', $$UPDATE studio_engine.attempts SET expires_at = pg_catalog.clock_timestamp(), due_at = pg_catalog.clock_timestamp() WHERE job_id OPERATOR(pg_catalog.=) '{s2}' RETURNING stage$$, 'TRANSCRIBING'),
	('service_role', $$SELECT public.heartbeat_job('{s2}', '{t}')$$, 'PT409: lease was lost or has expired'),
	('service_role', $$SELECT public.reap_expired_leases()$$, '1'),
	('service_role', $$SELECT attempt FROM public.claim_jobs('studio_jobs', 'w')$$, '2'),
	('service_role', $$SELECT public.recover_leases('w', 'p')$$, '1'),
	('service_role', $$SELECT attempt FROM public.claim_jobs('studio_jobs', 'w', 1, NULL, '{NEW,TRANSCRIBING}', 'p')$$, '3'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.cancel_studio_job('{s2}', 'R'), 'status')$$, 'TRANSCRIBING'),
	('service_role', $$SELECT public.store_transcript('{s2}', 'T', '{t}')$$, 'PT409: job is to be cancelled'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.fail_studio_job('{s2}', NULL, true, '{t}'), 'error_details', 'code')$$, 'CANCELLED'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.retry_studio_job('{s2}'), 'retry_count')$$, '3'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.cancel_studio_job('{s2}'), 'status')$$, 'FAILED'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_job_statistics('studio_jobs', '{u}'), 'recent_failures', '0', 'error', 'code')$$, 'CANCELLED'),
	-- a video job through the hands of a worker, with turns
	('postgres', $$UPDATE studio_engine.settings SET value = '1' WHERE name OPERATOR(pg_catalog.=) 'fair_queue' RETURNING value$$, '1'),
	('service_role', $$SELECT public.create_job('{p}', 1, 9) IS NOT NULL$$, 'true'),
	('service_role', $$SELECT attempt FROM public.claim_jobs('jobs', 'w', 1)$$, '1'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.heartbeat_job('{j5}', '{t}', 3, 'M'), 'cancel')$$, 'false'),
	('service_role', $$SELECT status_message FROM public.jobs WHERE id OPERATOR(pg_catalog.=) '{j5}'$$, 'M'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.advance_job('{j5}', 'SCRIPTING', NULL, NULL, '{t}'), 'status')$$, 'SCRIPTING'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.fail_job('{j5}', 'C', 'M', 'S', true, '{t}'), 'status')$$, 'SCRIPTING'),
	('service_role', $$SELECT attempt FROM public.claim_jobs('jobs', 'w', 1)$$, '2'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.fail_job('{j5}', 'C', 'M', 'S', false, '{t}'), 'status')$$, 'FAILED'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_job_statistics('jobs'), 'count_by_status', 'FAILED')$$, '3'),
	('postgres', $$SELECT studio_engine.rebuild_queue()$$, '0'),
	('postgres', $$TRUNCATE public.studio_jobs; SELECT pg_catalog.count(*) FROM studio_engine.attempts WHERE system OPERATOR(pg_catalog.=) 'studio_jobs'$$, '0'),
	-- a run of the pipeline
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(pipeline.create_job('run {u}', '{"a": 1}'), 'owner_id')$$, '{u}'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(pipeline.create_job('run {u}', '{"a": 1}'), 'status')$$, 'pending'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(pipeline.create_job(NULL, '{"a": 2}'), 'status')$$, 'pending'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(pipeline.set_job_status('run {u}', 'running'), 'status')$$, 'running'),
	('service_role', $$SELECT pipeline.record_event('run {u}', 'bot', 'began', '{}')$$, '3'),
	('service_role', $$INSERT INTO pipeline.job_events (run_id, bot_name, event_type) VALUES ('run {u}', 'b', 'e') RETURNING seq$$, '4'),
	('service_role', $$UPDATE pipeline.job_events SET payload = '{}' WHERE run_id OPERATOR(pg_catalog.=) 'run {u}' AND seq OPERATOR(pg_catalog.=) 4 RETURNING owner_id$$, '{u}'),
	('service_role', $$SELECT pipeline.register_artifact('run {u}', 'zip', 'U', '{"a": 1}', 1, 'T', 'S') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pipeline.register_artifact('run {u}', 'zip', 'V', '{"b": 1}', 1, 'T', 'S') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pipeline.register_artifact('run {u}', 'zip', 'W') IS NOT NULL$$, 'true'),
	('service_role', $$UPDATE pipeline.artifacts SET kind = 'file' WHERE run_id OPERATOR(pg_catalog.=) 'run {u}' AND url OPERATOR(pg_catalog.=) 'W' RETURNING owner_id$$, '{u}'),
	('service_role', $$UPDATE pipeline.jobs SET owner_id = NULL WHERE run_id OPERATOR(pg_catalog.=) 'run {u}' RETURNING last_event_seq$$, '4'),
	('service_role', $$UPDATE pipeline.jobs SET owner_id = '{u}' WHERE run_id OPERATOR(pg_catalog.=) 'run {u}' RETURNING last_event_seq$$, '4'),
	('service_role', $$UPDATE pipeline.jobs SET status = 'failed', error_message = 'M' WHERE run_id OPERATOR(pg_catalog.=) 'run {u}' RETURNING status$$, 'failed'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(pipeline.retry_job('run {u}'), 'status')$$, 'pending'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(pipeline.cancel_job('run {u}'), 'last_event_seq')$$, '7'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(pipeline.get_job('run {u}'), 'status')$$, 'cancelled'),
	('authenticated', $$SELECT event_type FROM pipeline.events_since('run {u}', 2, 1)$$, 'began'),
	('service_role', $$SELECT pipeline.delete_old_events('1 year')$$, '0'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(pipeline.upsert_prompt('P', 'C', 'X', 'T {u}'), 'context')$$, 'X'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(pipeline.get_prompt('P'), 'prompt_text')$$, 'T {u}'),
	-- content and multimedia
	('service_role', $$INSERT INTO public.companies (id, name) VALUES ('{u}', 'C') RETURNING name$$, 'C'),
	('service_role', $$INSERT INTO public.employees (id, company_id, user_id, name) VALUES ('{u}', '{u}', '{u}', 'E') RETURNING name$$, 'E'),
	('service_role', $$SELECT public.create_module_content('Module', p_session_id => '{u}', p_company_id => '{u}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.update_module_section('{content}', 'introduction', 'Words of a film')$$, '4'),
	('service_role', $$SELECT public.update_module_sections('{content}', '{"assessments": "One more"}')$$, '6'),
	('service_role', $$UPDATE public.cm_module_content SET core_content = 'plain' WHERE content_id OPERATOR(pg_catalog.=) '{content}' RETURNING total_word_count$$, '7'),
	('service_role', $$SELECT public.store_quality_assessment('{content}', 5.5, '{"introduction": 5}', p_sections_needing_work => '{introduction}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.start_enhancement_session('{content}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.complete_enhancement_session('{enhancement}'), 'status')$$, 'completed'),
	('service_role', $$SELECT public.store_quality_assessment('{content}', 9) IS NOT NULL$$, 'true'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_module_content('{content}'), 'status')$$, 'approved'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_content_sections('{content}'), 'assessments')$$, 'One more'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_latest_quality_assessment('{content}'), 'overall_score')$$, '9'),
	('authenticated', $$SELECT headline FROM public.search_module_content('films')$$, 'Words of a <b>film</b>'),
	('service_role', $$SELECT public.refresh_content_search()$$, '0'),
	('service_role', $$SELECT public.create_course_plan('{u}', p_course_structure => '{"modules": [1]}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.store_research_results('{plan}', p_sources_analyzed => '{a,b}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT total_sources FROM public.cm_research_results$$, '2'),
	('service_role', $$SELECT public.create_multimedia_session('{content}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT public.register_multimedia_asset('{session}', NULL, 'audio', '/tmp/a b.mp3', p_duration_seconds => 1.5) IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pg_catalog.jsonb_array_length(public.register_multimedia_assets('{session}', '[{"asset_type": "video", "file_path": "v.mp4"}]'))$$, '1'),
	('service_role', $$INSERT INTO public.mm_multimedia_assets (session_id, asset_type) VALUES ('{session}', 'slide') RETURNING company_id$$, '{u}'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.update_session_status('{session}', 'completed', 50.5), 'total_assets_generated')$$, '3'),
	('service_role', $$SELECT public.create_audio_narration('{session}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.update_audio_narration('{narration}', 'completed', 2.5, NULL, '{audio}', '{{audio}}'), 'synthesis_completed')$$, 'true'),
	('service_role', $$SELECT public.create_slide_presentation('{session}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.update_slide_presentation('{presentation}', p_pdf_asset_id => '{audio}'), 'pdf_generated')$$, 'true'),
	('service_role', $$SELECT public.create_script_generation('{session}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.update_script_generation('{script}', 'completed', 'Three short words'), 'word_count')$$, '3'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.record_video_view('{audio}', 2.5, true), 'view_count')$$, '1'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.record_video_view('{audio}', 2.5), 'watch_seconds')$$, '5.0'),
	('service_role', $$SELECT public.enqueue_rendering('{session}') IS NOT NULL$$, 'true'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(job, 'status') FROM public.claim_jobs('mm_rendering_queue', 'r')$$, 'queued'),
	('service_role', $$SELECT public.release_leases('r')$$, '1'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.fail_rendering(render_id, 'C', 'M'), 'error_code') FROM public.mm_rendering_queue$$, 'C'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.retry_rendering(render_id), 'retry_count') FROM public.mm_rendering_queue$$, '1'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.update_rendering(render_id, 'rendering', 5), 'progress') FROM public.mm_rendering_queue$$, '5'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.complete_rendering(render_id, '{audio}'), 'status') FROM public.mm_rendering_queue$$, 'completed'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.cancel_rendering(public.enqueue_rendering('{session}'), 'R'), 'status')$$, 'cancelled'),
	('service_role', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_job_statistics('mm_rendering_queue'), 'completed')$$, '1'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_session_statistics('{session}'), 'assets')$$, '3'),
	('authenticated', $$SELECT pg_catalog.jsonb_extract_path_text(public.get_content_statistics(), 'views', 'total')$$, '2'),
	('service_role', $$UPDATE public.cm_module_content SET company_id = NULL WHERE content_id OPERATOR(pg_catalog.=) '{content}' RETURNING status$$, 'approved'),
	('service_role', $$SELECT asset_id FROM public.mm_multimedia_assets WHERE company_id IS NOT NULL$$, NULL),
	('service_role', $$DELETE FROM public.mm_multimedia_assets WHERE session_id OPERATOR(pg_catalog.=) '{session}' AND asset_type OPERATOR(pg_catalog.=) 'video' RETURNING asset_type$$, 'video'),
	('service_role', $$SELECT bucket FROM public.list_removed_files()$$, 'multimedia-assets'),
	('service_role', $$SELECT public.forget_removed_files(ARRAY(SELECT file_id FROM public.list_removed_files())) OPERATOR(pg_catalog.>) 0$$, 'true'),
	('service_role', $$SELECT slides_generated FROM public.mm_multimedia_sessions WHERE session_id OPERATOR(pg_catalog.=) '{session}'$$, '1'),
	('service_role', $$SELECT public.archive_module_content('0')$$, '0'),
	('service_role', $$DELETE FROM public.companies WHERE id OPERATOR(pg_catalog.=) '{u}' RETURNING name$$, 'C'),
	('service_role', $$DELETE FROM public.cm_module_content WHERE content_id OPERATOR(pg_catalog.=) '{content}' RETURNING module_name$$, 'Module'),
	-- the end, with a hold open
	('service_role', $$SELECT public.create_job('{p}', 8) IS NOT NULL$$, 'true'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '32'),
	('service_role', $$DELETE FROM public.projects WHERE id OPERATOR(pg_catalog.=) '{p}' RETURNING title$$, 'U'),
	('authenticated', $$SELECT public.get_credit_balance('{u}')$$, '40');

-- Ids that the steps before made.
CREATE FUNCTION pg_temp.fill_in(p_statement text, p_sub text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_job record;
BEGIN
	p_statement := replace(p_statement, '{u}', p_sub);
	p_statement := replace(p_statement, '{p}', COALESCE((SELECT id::text FROM public.projects WHERE user_id = p_sub::uuid), 'none'));
	IF p_statement ~ '\{[a-z]{3,}\}' THEN
		SELECT replace(replace(replace(replace(replace(replace(replace(replace(p_statement,
			'{content}', COALESCE(c.content_id::text, '')), '{session}', COALESCE(s.session_id::text, '')),
			'{audio}', COALESCE((SELECT asset_id::text FROM public.mm_multimedia_assets a WHERE a.session_id = s.session_id AND asset_type = 'audio'), '')),
			'{enhancement}', COALESCE((SELECT session_id::text FROM public.cm_enhancement_sessions e WHERE e.content_id = c.content_id), '')),
			'{plan}', COALESCE((SELECT plan_id::text FROM public.cm_course_plans WHERE employee_id = p_sub::uuid), '')),
			'{narration}', COALESCE((SELECT narration_id::text FROM public.mm_audio_narrations n WHERE n.session_id = s.session_id), '')),
			'{presentation}', COALESCE((SELECT presentation_id::text FROM public.mm_slide_presentations n WHERE n.session_id = s.session_id), '')),
			'{script}', COALESCE((SELECT script_id::text FROM public.mm_script_generations n WHERE n.session_id = s.session_id), ''))
		  INTO p_statement
		  FROM public.cm_module_content c LEFT JOIN public.mm_multimedia_sessions s ON s.content_id = c.content_id
		 WHERE c.session_id = p_sub;
	END IF;
	FOR v_job IN SELECT id, row_number() OVER (ORDER BY c.position) AS n FROM made_job c WHERE sub = p_sub LOOP
		p_statement := replace(p_statement, '{j' || v_job.n || '}', v_job.id::text);
	END LOOP;
	FOR v_job IN SELECT s.job_id AS id, row_number() OVER (ORDER BY s.created_at, s.priority DESC) AS n FROM public.studio_jobs s
				 WHERE s.user_id = p_sub::uuid LOOP
		p_statement := replace(p_statement, '{s' || v_job.n || '}', v_job.id::text);
	END LOOP;
	p_statement := replace(p_statement, '{t}', COALESCE((SELECT lease_token::text FROM studio_engine.attempts
		WHERE user_id = p_sub::uuid AND ended_at IS NULL), 'none'));
	RETURN p_statement;
END $$;

-- All rows of a story have one created_at, hence the order is noted while it goes on.
CREATE TEMPORARY TABLE made_job (position serial, id pg_catalog.uuid, sub text);
CREATE TEMPORARY TABLE told (path text, n integer, role text, statement text, expected text, answer text, trips bigint);
DO $tell$
DECLARE
	v_path record;
	v_step record;
	v_answer text;
BEGIN
	FOR v_path IN SELECT * FROM path ORDER BY n LOOP
		FOR v_step IN SELECT * FROM story ORDER BY n LOOP
			v_answer := pg_temp.attack(v_path.path, v_step.role, CASE WHEN v_step.role = 'authenticated' THEN v_path.sub END,
									   pg_temp.fill_in(v_step.statement, v_path.sub));
			INSERT INTO made_job (id, sub) SELECT j.id, v_path.sub FROM public.jobs j
			WHERE j.user_id = v_path.sub::uuid AND NOT EXISTS (SELECT FROM made_job m WHERE m.id = j.id);
			INSERT INTO told VALUES (v_path.path, v_step.n, v_step.role, v_step.statement, v_step.expected,
				CASE v_answer WHEN 't' THEN 'true' WHEN 'f' THEN 'false' ELSE v_answer END, pg_temp.trips());
		END LOOP;
	END LOOP;
END $tell$;

SELECT is(answer, replace(expected, '{u}', sub), format('%s, path %s: %s', role, path, statement)) FROM told JOIN path USING (path) ORDER BY path, told.n;
SELECT is((SELECT count(*)::integer FROM told), 2 * (SELECT count(*)::integer FROM story), 'the story was told to the end, twice');

--------------------------------------------------------------------------------
-- Nothing hostile was touched, and the books are right
--------------------------------------------------------------------------------

SELECT is((SELECT format('%s: %s', path, statement) FROM told WHERE trips > 0 ORDER BY path, n LIMIT 1), NULL,
		  'no step tripped over anything');
SELECT is(pg_temp.trips(), 0::bigint, 'no trap snapped');
SELECT is(pg_temp.decoys(), (SELECT rows FROM decoys_before), 'the hostile tables are as they were');
SELECT is((SELECT string_agg(format('%s %s', type, amount), ', ' ORDER BY entry_no) FROM public.credit_ledger WHERE user_id = sub::pg_catalog.uuid),
		  'grant 10, reserve -3, reserve 3, usage -2, reserve -4, reserve 4, reserve -4, reserve 4, '
		  'reserve -5, reserve 5, reserve -5, reserve 5, usage -6, grant 5, purchase 20, refund 1, '
		  'grant 6, expire -6, subscription 10, subscription -4, subscription -6, subscription 4, subscription 6, purchase 5, purchase -5, refund 2, '
		  'grant 2, reserve -3, reserve 3, expire -2, subscription -1, grant 3, grant -3, subscription -9, grant -2, grant -5, '
		  'purchase -20, grant -1, grant -2, subscription 9, grant 2, grant 5, purchase 20, grant 1, grant 2, grant 1, '
		  'reserve -1, reserve 1, reserve -8, reserve 8',
		  'the ledger, path ' || path)
FROM path ORDER BY n;
SELECT is((SELECT format('%s %s %s', balance, reserved, entries) FROM public.credit_accounts WHERE user_id = sub::pg_catalog.uuid),
		  '40 0 50', 'the account, path ' || path)
FROM path ORDER BY n;
SELECT is((SELECT count(*)::integer FROM studio_engine.ledger_hashes WHERE user_id = sub::pg_catalog.uuid), 50,
		  'every entry is in the hash chain, path ' || path)
FROM path ORDER BY n;
SELECT is_empty('SELECT * FROM public.verify_credit_ledger()', 'the books are sound');

SELECT is(pg_temp.attack(path, 'supabase_auth_admin', NULL,
						 format('DELETE FROM auth.users WHERE id OPERATOR(pg_catalog.=) %L RETURNING id', sub)),
		  sub, 'the user is deleted, path ' || path)
FROM path ORDER BY n;
DELETE FROM auth.users WHERE id = '40000000-0000-4000-8000-0000000000fe';
SELECT is_empty('SELECT user_id FROM public.credit_accounts UNION ALL SELECT user_id FROM public.credit_ledger'
				' UNION ALL SELECT user_id FROM studio_engine.expiring_credits UNION ALL SELECT user_id FROM studio_engine.ledger_hashes UNION ALL SELECT user_id FROM studio_engine.credit_keys'
				' UNION ALL SELECT user_id FROM studio_engine.expiring_holds UNION ALL SELECT user_id FROM studio_engine.lot_checkpoints'
				' UNION ALL SELECT coalesce(from_user_id, to_user_id) FROM studio_engine.transfers WHERE from_user_id IS NOT NULL OR to_user_id IS NOT NULL'
				' UNION ALL SELECT user_id FROM studio_engine.stripe_objects'
				' UNION ALL SELECT user_id FROM public.studio_jobs UNION ALL SELECT user_id FROM studio_engine.queue UNION ALL SELECT job_id FROM studio_engine.attempts'
				' UNION ALL SELECT id FROM public.profiles UNION ALL SELECT user_id FROM public.draft_prompts'
				' UNION ALL SELECT owner_id FROM pipeline.jobs UNION ALL SELECT owner_id FROM pipeline.job_events UNION ALL SELECT owner_id FROM pipeline.artifacts',
				'... and leaves nothing');
SELECT is(pg_temp.trips(), 0::bigint, '... nor did a trap snap');
SELECT is(pg_temp.decoys(), (SELECT rows FROM decoys_before), '... and the hostile tables are as they were');

SELECT * FROM finish();
ROLLBACK;
