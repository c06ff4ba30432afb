# pg_dump and restore without flags: the copy has the rows, policies, triggers,
# grants and sums of the source, and goes on working; and nobody but an
# administrator can have the triggers skipped as a restore does.
#
# Pitfall: a dump names the roles, so all copies live in the cluster of the
# source.  Rows are compared by checksum, since a copy that was loaded table by
# table is equal in content before it is equal in the order of its rows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('dump');
my $dir = PostgreSQL::Test::Utils::tempdir();

# --- the source ---------------------------------------------------------------

# Twelve users with what a life leaves: job n of each has had another fate.
my $history = q{
	UPDATE studio_engine.settings SET value = '12' WHERE name = 'welcome_credits';
	UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain';
	UPDATE studio_engine.settings SET value = '0', description = 'Mine' WHERE name = 'max_active_jobs';
	INSERT INTO studio_engine.settings VALUES ('my_setting', 'x', NULL);
	DELETE FROM studio_engine.settings WHERE name = 'draft_lifetime_days';
	INSERT INTO studio_engine.settings VALUES ('draft_lifetime_days', '9', 'Days');

	INSERT INTO auth.users (id, email, raw_user_meta_data)
		SELECT md5('user ' || i)::uuid, i || '@example.com', jsonb_build_object('name', E'N\u00e4me\t"' || i)
		  FROM generate_series(1, 12) i;
	UPDATE public.profiles SET stripe_customer_id = 'cus_' || display_name, avatar_url = E'https://example.com/\\\\n\\N';
	SELECT public.save_draft_prompt('token of draft number ' || i, E'line one\nline two', 't' || i, '{"k": [1, null]}')
	  FROM generate_series(1, 6) i;
	SELECT public.claim_draft_prompt('token of draft number ' || i, md5('user ' || i)::uuid) FROM generate_series(1, 4) i;
	UPDATE public.draft_prompts SET expires_at = '2001-01-01' WHERE session_token LIKE '%6';
	SELECT public.grant_credits(id, 50, 'a gift', 'gift'), public.purchase_credits(id, 30, 'pay_' || email)
	  FROM auth.users;
	INSERT INTO public.credit_ledger (user_id, type, amount, note) SELECT id, 'usage', -1, 'by hand' FROM auth.users;
	SELECT public.subscription_credits(id, 20, 'month_' || email, NULL, '2999-01-01'), public.reverse_purchase('pay_' || email, 10),
		   public.reverse_purchase('month_' || email, 5, 'disputed', 'dispute') FROM auth.users;
	SELECT public.reinstate_purchase('month_' || email, NULL, 'dispute') FROM auth.users WHERE email < '2';
	SELECT public.reinstate_purchase('pay_' || email, NULL, 'early') FROM auth.users;

	INSERT INTO public.projects (user_id, title, prompt_text, niche_preset, transcript_mode)
		SELECT u.id, 'project ' || i, 'p', 'history', (ARRAY['auto', 'manual'])[i]
		  FROM auth.users u, generate_series(1, 2) i;
	CREATE TEMP TABLE fates AS SELECT p.id AS project_id, n, public.create_job(p.id, n) AS id
		FROM public.projects p, generate_series(1, 7) n;
	SELECT public.advance_job(f.id, s.status) FROM fates f
		JOIN public.projects p ON p.id = f.project_id,
		unnest('{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[])
			WITH ORDINALITY s (status, no)
	 WHERE f.n IN (2, 3) AND (p.transcript_mode = 'auto' OR s.status <> 'SCRIPTING') ORDER BY f.id, s.no;
	SELECT public.complete_job(id, 'https://example.com/out', '{"scenes": 3}', 1) FROM fates WHERE n = 2;
	SELECT public.update_job_step(id, 'alignment', 'started', 40, 'half way') FROM fates WHERE n = 3;
	SELECT public.release_credits(id, 'stale') FROM fates WHERE n = 4;
	SELECT public.fail_job(id, 'E1', 'It broke.', 'scripting') FROM fates WHERE n IN (5, 6);
	SELECT public.retry_job(id) FROM fates WHERE n = 6;
	SELECT public.cancel_job(f.id, 'no more') FROM fates f JOIN public.projects p ON p.id = f.project_id
	 WHERE f.n = 7 AND p.transcript_mode = 'auto';
	DELETE FROM public.jobs WHERE id IN (SELECT f.id FROM fates f JOIN public.projects p ON p.id = f.project_id
		WHERE f.n = 7 AND p.transcript_mode = 'manual');
	SELECT public.record_asset(id, 'video', 'https://example.com/v', 'video/' || id, 5000000000, 'video/mp4', '{"w": 1}'),
		   public.log_job(id, 'debug', 'a line', 'rendering', '{"ms": 5}') FROM fates WHERE n IN (2, 3);
	DELETE FROM public.projects WHERE id IN
		(SELECT p.id FROM public.projects p WHERE p.user_id = md5('user 11')::uuid AND p.transcript_mode = 'manual');
	DELETE FROM auth.users WHERE id = md5('user 12')::uuid;
	SELECT public.refund_credits(j.id, 1, 'sorry', 'sorry ' || j.id) FROM public.jobs j JOIN fates f USING (id) WHERE f.n = 2;

	-- credit that expires while a hold has all of it, for users 1 to 5, or a part
	CREATE TEMP TABLE held AS SELECT public.create_job(p.id, 1) AS id, p.user_id FROM public.projects p WHERE p.transcript_mode = 'auto';
	SELECT public.release_credits(id) FROM held;
	DO $$
	DECLARE
		v_wait interval := '1 second';
		v_at timestamptz;
	BEGIN
		-- longer, if the machine was too slow
		LOOP
			BEGIN
				v_at := clock_timestamp() + v_wait;
				PERFORM public.grant_credits(user_id, 4, 'short', 'short', v_at) FROM held;
				PERFORM public.reserve_credits(user_id, id, 6) FROM held WHERE user_id IN (SELECT md5('user ' || i)::uuid FROM generate_series(1, 5) i);
				PERFORM public.reserve_credits(user_id, id, 3) FROM held WHERE user_id NOT IN (SELECT md5('user ' || i)::uuid FROM generate_series(1, 5) i);
				IF clock_timestamp() < v_at THEN
					EXIT;
				END IF;
				RAISE invalid_parameter_value;
			EXCEPTION WHEN invalid_parameter_value THEN
				v_wait := 2 * v_wait;
				ASSERT v_wait < INTERVAL '5 minutes', 'never in time';
			END;
		END LOOP;
		PERFORM pg_sleep_until(v_at);
	END $$;
	DO $$
	BEGIN
		ASSERT (SELECT count(*) FROM studio_engine.expiring_credits WHERE expires_at < now()) = 11, 'eleven have expired';
		ASSERT public.expire_credits() = 6, 'six had something left';
	END $$;
	-- a user who owes: the payment was reversed after the credits were used
	SELECT public.purchase_credits(md5('user 3')::uuid, 500, 'pay_debt');
	INSERT INTO public.credit_ledger (user_id, type, amount) VALUES (md5('user 3')::uuid, 'usage', -500);
	SELECT public.reverse_purchase('pay_debt');
	-- runs in every status, one handed over, one without an owner, events that were deleted
	SELECT pipeline.create_job('run ' || i, jsonb_build_object('title', E'T\u00e4tel\t"' || i), md5('user ' || i)::uuid) FROM generate_series(1, 8) i;
	SELECT pipeline.create_job('run of nobody', '[]');
	SELECT pipeline.set_job_status('run ' || i, 'running'), pipeline.record_event('run ' || i, 'bot', E'line one\nline two', '{"k": [1, null]}') FROM generate_series(1, 6) i;
	SELECT pipeline.set_job_status('run 1', 'completed'), pipeline.set_job_status('run 2', 'failed', E'It broke\\n.'), pipeline.set_job_status('run 3', 'failed'),
		   pipeline.retry_job('run 3'), pipeline.cancel_job('run 4');
	SELECT pipeline.register_artifact(run_id, 'zip', 'https://example.com/z', '{"n": 1}', 5000000000, 'application/zip', md5(run_id)),
		   pipeline.register_artifact(run_id, 'page', 'https://example.com/p') FROM pipeline.jobs;
	UPDATE pipeline.jobs SET owner_id = md5('user 7')::uuid WHERE run_id = 'run 5';
	SELECT pipeline.upsert_prompt('prompt ' || i, 'copy', 'home', E'Hello\t\u8239') FROM generate_series(1, 3) i;
	-- credit that has expired and that nobody has looked at
	INSERT INTO public.credit_ledger (user_id, type, amount, note, expires_at)
		SELECT id, 'grant', 3, 'late', clock_timestamp() + INTERVAL '0.5 seconds' FROM auth.users;
	SELECT pg_sleep(0.6);
};

# Studio jobs in every status, and jobs of both kinds in every situation of the
# queue.  What is due at a time of chance is put off, so that copies that are
# looked at later are in the same situation.
$history .= q{
	UPDATE studio_engine.settings SET value = '86400' WHERE name IN ('retry_base_seconds', 'retry_cap_seconds');
	UPDATE studio_engine.settings SET value = '0' WHERE name = 'cancel_grace_seconds';
	INSERT INTO public.studio_jobs (user_id, status, raw_audio_url, raw_transcript, refined_text, priority, error_details, enrichment_entities,
									model_version, retry_count, processing_time_ms)
		SELECT u.id, s, E'audio\t"' || u.email, E'line one\nline two \\N', E'\u00fc', n, '{"code": "E", "k": [1, null]}', '{"names": ["\u00e9"]}',
			   'model', n, 2147483647
		  FROM auth.users u, unnest('{NEW,TRANSCRIBING,ENRICHING,REFINING,COMPLETE,FAILED}'::text[]) WITH ORDINALITY x (s, n);
	SELECT public.create_studio_job(id, 'quick', E'prompt\nof mine', 1000) FROM auth.users;
	CREATE TEMP TABLE quick AS SELECT row_number() OVER () AS no, * FROM public.claim_jobs('studio_jobs', 'quick', 11, '1 day');
	SELECT public.update_studio_job_status(job_id, 'TRANSCRIBING', lease_token) FROM quick;
	SELECT public.store_transcript(job_id, 'T', lease_token), public.store_refined_text(job_id, 'R', 'model', lease_token) FROM quick WHERE no IN (1, 2);
	SELECT public.fail_studio_job(job_id, '{"code": "E"}', false, lease_token) FROM quick WHERE no = 3;
	SELECT public.fail_studio_job(job_id, '{"code": "E"}', true, lease_token) FROM quick WHERE no IN (4, 5);
	SELECT public.snooze_job(job_id, lease_token, '300 days') FROM quick WHERE no = 6;
	SELECT public.cancel_studio_job(job_id, 'no more'), public.fail_studio_job(job_id, NULL, true, lease_token) FROM quick WHERE no = 7;
	SELECT public.release_leases('quick');
	UPDATE studio_engine.queue SET due_at = '2999-01-01' WHERE state = 'delayed';
	SELECT count(*) FROM public.claim_jobs('studio_jobs', E'worker \u00e9\t"1"', 4, '1 day');
	SELECT public.cancel_studio_job(job_id, 'while it runs') FROM studio_engine.attempts WHERE ended_at IS NULL ORDER BY job_id LIMIT 1;
	SELECT count(*) FROM public.claim_jobs('jobs', 'camera', 6, '1 day');
	SELECT count(public.heartbeat_job(job_id, lease_token, 4, 'at work', '1 day')) FROM studio_engine.attempts WHERE worker = 'camera' AND ended_at IS NULL;
	SELECT public.cancel_job(job_id) FROM studio_engine.attempts WHERE worker = 'camera' AND ended_at IS NULL ORDER BY job_id LIMIT 1;
	SELECT public.fail_job(job_id, 'E1', 'It broke.', 'scripting', true, lease_token) FROM studio_engine.attempts
	 WHERE worker = 'camera' AND ended_at IS NULL AND cancel_requested_at IS NULL ORDER BY job_id LIMIT 1;
	UPDATE studio_engine.queue SET due_at = '2999-01-01' WHERE state = 'delayed' AND system = 'jobs';
	UPDATE studio_engine.settings SET value = '1' WHERE name = 'fair_queue';
	SELECT public.create_studio_job(id, 'in turn', NULL, 500) FROM auth.users, generate_series(1, 2);
	UPDATE studio_engine.settings SET value = '0' WHERE name = 'fair_queue';
	-- workers that went silent: one was reaped, others were not
	SELECT count(*) FROM public.claim_jobs('studio_jobs', 'silent', 1, '1 second');
	SELECT pg_sleep(1.1);
	SELECT public.reap_expired_leases();
	UPDATE studio_engine.queue SET due_at = '2999-01-01' WHERE state = 'delayed' AND due_at > now() AND due_at < '2998-01-01';
	SELECT count(*) FROM public.claim_jobs('studio_jobs', 'silent', 3, '1 second') s, public.claim_jobs('jobs', 'silent', 2, '1 second') j;
	SELECT pg_sleep(1.1);
	UPDATE studio_engine.queue SET due_at = '2001-01-01' WHERE job_id = (SELECT job_id FROM quick WHERE no = 4);
	SELECT public.create_studio_job(id, 'later', p_run_at => now() + '300 days', p_idempotency_key => E'k\t\u00e9', p_max_attempts => 2) FROM auth.users;
};

# Content and multimedia: rows in every table, in several states, one of them older than its words.
$history .= q{
	UPDATE studio_engine.settings SET value = '6' WHERE name = 'quality_pass_score';
	INSERT INTO public.companies (id, name) SELECT md5('company ' || i)::uuid, E'C\u00f6mpany\t' || i FROM generate_series(1, 3) i;
	INSERT INTO public.employees (id, company_id, user_id, name, email)
		SELECT md5('employee ' || i)::uuid, md5('company ' || i % 3 + 1)::uuid, u.id, 'Employee ' || i, u.email
		  FROM generate_series(1, 13) i LEFT JOIN auth.users u ON u.id = md5('user ' || i)::uuid;
	CREATE TEMP TABLE modules AS SELECT i, public.create_module_content('Module ' || i, 'Employee', 'session ' || i,
		p_company_id => CASE WHEN i < 7 THEN md5('company ' || i % 3 + 1)::uuid END) AS id FROM generate_series(1, 7) i;
	SELECT public.update_module_sections(id, jsonb_build_object('introduction', E'Kept words\n\\N ' || i, 'case_studies', repeat('long words ', 10000))) FROM modules;
	SELECT public.store_quality_assessment(id, i, p_sections_needing_work => '{introduction}', p_critical_issues => '{"a,b"}', p_passed => i > 3)
	  FROM modules WHERE i > 1;
	SELECT public.start_enhancement_session(id, (public.get_latest_quality_assessment(id) ->> 'assessment_id')::uuid) FROM modules WHERE i BETWEEN 2 AND 4;
	SELECT public.complete_enhancement_session(session_id) FROM public.cm_enhancement_sessions LIMIT 1;
	UPDATE public.cm_module_content SET status = 'quality_check' WHERE content_id = (SELECT id FROM modules WHERE i = 2);
	SELECT public.archive_module_content('0', 1);
	UPDATE studio_engine.settings SET value = 'simple' WHERE name = 'search_configuration';
	SELECT public.refresh_content_search(3);
	SELECT public.store_research_results(public.create_course_plan(id, name), p_search_queries => ARRAY['a,"b"', NULL]) FROM public.employees;
	CREATE TEMP TABLE runs AS SELECT i, public.create_multimedia_session(id) AS id FROM modules;
	SELECT public.register_multimedia_assets(id, (SELECT jsonb_agg(jsonb_build_object('asset_type', y, 'file_path', y || n))
		FROM generate_series(1, runs.i) n, unnest('{video,audio,slide,document}'::text[]) y)) FROM runs;
	SELECT public.update_session_status(id, s.status, 30.5, s.status) FROM runs JOIN (VALUES (1, 'completed'), (2, 'failed'), (3, 'processing')) s (i, status) USING (i);
	UPDATE public.mm_multimedia_assets SET status = 'processed' WHERE asset_type = 'video';
	SELECT public.update_audio_narration(public.create_audio_narration(id), 'completed', 1.5, '[1]',
		p_segments_audio_ids => ARRAY(SELECT asset_id FROM public.mm_multimedia_assets a WHERE a.session_id = runs.id AND asset_type = 'audio')) FROM runs;
	SELECT public.update_slide_presentation(public.create_slide_presentation(id, 'Deck'), 'generating') FROM runs;
	SELECT public.update_script_generation(public.create_script_generation(id), 'completed', 'Some words') FROM runs;
	SELECT public.record_video_view(asset_id, 2.5, true) FROM public.mm_multimedia_assets WHERE asset_type = 'video';
	SELECT public.enqueue_rendering(id, p_user_id => md5('user 1')::uuid, p_run_at => now() + '300 days', p_idempotency_key => 'k' || i, p_max_attempts => 9) FROM runs;
	UPDATE public.mm_rendering_queue SET status = 'rendering', progress = 40 WHERE session_id = (SELECT id FROM runs WHERE i = 1);
	SELECT public.register_multimedia_asset(id, NULL, 'document', 'gone.pdf', p_storage_path => 'gone.pdf') FROM runs WHERE i = 1;
	DELETE FROM public.mm_multimedia_assets WHERE storage_path = 'gone.pdf';
	UPDATE studio_engine.settings SET value = 'https://example.com/public' WHERE name = 'storage_public_url';
};

# What the owner of a database adds to tables of ours.
my $customs = q{
	ALTER TABLE public.profiles ADD COLUMN nickname text DEFAULT 'none';
	UPDATE public.profiles SET nickname = display_name || '!';
	CREATE INDEX my_index ON public.projects (lower(title));
	ALTER TABLE public.projects ADD CONSTRAINT my_check CHECK (title <> '');
	CREATE POLICY my_policy ON public.assets FOR SELECT TO reader USING (type = 'video');
	GRANT SELECT ON public.assets TO reader;
	GRANT SELECT (id, title), UPDATE (title) ON public.projects TO reader;
	REVOKE SELECT ON public.logs FROM authenticated;
	GRANT EXECUTE ON FUNCTION public.get_credit_balance(uuid) TO reader;
	CREATE FUNCTION public.my_function() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE TRIGGER my_trigger BEFORE UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION public.my_function();
	CREATE TRIGGER my_sleeper BEFORE UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION public.my_function();
	ALTER TABLE public.jobs DISABLE TRIGGER my_sleeper;
	COMMENT ON TABLE public.jobs IS 'our jobs';
	COMMENT ON COLUMN public.jobs.status IS 'how far';
	ALTER TABLE public.jobs REPLICA IDENTITY FULL;
	ALTER TYPE public.job_status ADD VALUE 'ARCHIVED';
	ALTER TABLE pipeline.jobs ADD COLUMN stage text DEFAULT 'none';
	UPDATE pipeline.jobs SET stage = run_id || '!';
	CREATE POLICY my_policy ON pipeline.job_events FOR SELECT TO reader USING (event_type = 'status_changed');
	GRANT SELECT ON pipeline.job_events TO reader;
	GRANT USAGE ON SCHEMA pipeline TO reader;
	REVOKE SELECT ON pipeline.prompts FROM authenticated;
	CREATE TABLE pipeline.my_table (run_id text REFERENCES pipeline.jobs);
	INSERT INTO pipeline.my_table SELECT run_id FROM pipeline.jobs WHERE run_id = 'run 1';
	GRANT SELECT ON pipeline.my_table TO reader;
	CREATE VIEW public.my_view AS SELECT id, status, nickname FROM public.jobs JOIN public.profiles USING (id);
};
my $publish = 'ALTER PUBLICATION supabase_realtime ADD TABLE public.jobs, public.job_steps, pipeline.jobs, pipeline.job_events;';

# Checksums of all tables; the columns by name, as their order may differ.
sub state_of
{
	my ($db) = @_;
	my $tables = query($node, $db, q{
		SELECT format('SELECT %L, count(*), md5(string_agg(r, chr(10) ORDER BY r)) FROM (SELECT to_jsonb(t)::text AS r FROM %s t) x;',
					  c.oid::regclass, c.oid::regclass)
		  FROM pg_class c
		 WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text IN ('public', 'pipeline', 'studio_engine', 'auth')
		 ORDER BY c.oid::regclass::text});

	return query($node, $db, $tables);
}

# What the catalogue knows of the tables in our schemas and of auth.users.
sub catalogue_of
{
	my ($db) = @_;

	return query($node, $db, q{
	WITH t AS (SELECT oid::regclass AS name, pg_class.* FROM pg_class
				WHERE relkind = 'r' AND (relnamespace::regnamespace::text IN ('public', 'pipeline', 'studio_engine') OR oid = 'auth.users'::regclass))
	SELECT line FROM (
		SELECT format('table %s owner %s rls %s identity %s comment %s', name, relowner::regrole, relrowsecurity,
					  relreplident, obj_description(oid, 'pg_class')) FROM t
		UNION ALL
		SELECT format('acl %s %s %s', t.name, a.grantee::regrole, string_agg(a.privilege_type, ',' ORDER BY a.privilege_type))
		  FROM t, aclexplode(coalesce(relacl, acldefault('r', relowner))) a GROUP BY t.name, a.grantee
		UNION ALL
		SELECT format('acl %s.%s %s %s', t.name, c.attname, a.grantee::regrole, string_agg(a.privilege_type, ',' ORDER BY a.privilege_type))
		  FROM t JOIN pg_attribute c ON c.attrelid = t.oid, aclexplode(c.attacl) a GROUP BY t.name, c.attname, a.grantee
		UNION ALL
		SELECT format('policy %s %s %s %s %s %s %s', t.name, polname, polcmd, polpermissive, polroles::regrole[],
					  pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
		  FROM t JOIN pg_policy ON polrelid = t.oid
		UNION ALL
		SELECT format('trigger %s enabled %s', pg_get_triggerdef(g.oid), tgenabled)
		  FROM t JOIN pg_trigger g ON tgrelid = t.oid WHERE NOT tgisinternal
		UNION ALL
		SELECT pg_get_indexdef(indexrelid) FROM t JOIN pg_index ON indrelid = t.oid
		UNION ALL
		SELECT format('constraint %s %s %s valid %s', t.name, conname, pg_get_constraintdef(k.oid), convalidated)
		  FROM t JOIN pg_constraint k ON conrelid = t.oid
		UNION ALL
		SELECT format('published %s.%s', schemaname, tablename) FROM pg_publication_tables WHERE pubname = 'supabase_realtime'
		UNION ALL
		SELECT format('function %s %s %s', p.oid::regprocedure, a.grantee::regrole, a.privilege_type)
		  FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
		 WHERE pronamespace::regnamespace::text IN ('public', 'pipeline', 'studio_engine') AND p.proname <> 'my_function'
		UNION ALL
		SELECT format('schema %s owner %s %s %s', n.nspname, n.nspowner::regrole, a.grantee::regrole, a.privilege_type)
		  FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE n.nspname IN ('pipeline', 'studio_engine')
	) x (line) ORDER BY line;});
}

# What the source is; copies are compared with it.
my %source;

sub remember_source
{
	my ($db) = @_;

	%source = (
		state => state_of($db), catalogue => catalogue_of($db), text => dump_text($node, $db),
		due => due_in($db), work => work_in($db));
	return;
}

# What expires when somebody looks, and then when open holds are given back;
# nothing of it stays.
sub due_in
{
	my ($db) = @_;

	return query($node, $db, q{
		BEGIN;
		SELECT public.expire_credits();
		SELECT sum(public.release_credits(id)) FROM public.jobs j
		 WHERE EXISTS (SELECT FROM public.credit_ledger l WHERE l.job_id = j.id AND l.type = 'reserve' GROUP BY l.job_id HAVING sum(l.amount) < 0);
		SELECT user_id, count(*), sum(amount) FROM public.credit_ledger WHERE type = 'expire' GROUP BY user_id ORDER BY user_id;
		SELECT count(*) FROM studio_engine.expiring_credits WHERE expires_at < now();
		SELECT * FROM public.verify_credit_ledger();
		ROLLBACK;});
}

# What workers find when they go on where the dump was made, with the tokens
# that they had; nothing of it stays.
sub work_in
{
	my ($db) = @_;

	return query($node, $db, q{
		BEGIN;
		CREATE TEMP TABLE lease ON COMMIT DROP AS SELECT system, job_id, lease_token, worker, expires_at > clock_timestamp() AS live,
			cancel_requested_at IS NOT NULL AS cancelled FROM studio_engine.attempts WHERE ended_at IS NULL;
		CREATE FUNCTION pg_temp.answer(p_call text) RETURNS text LANGUAGE plpgsql AS $$
		DECLARE
			v_answer text;
		BEGIN
			EXECUTE 'SELECT ' || p_call INTO v_answer;
			RETURN v_answer;
		EXCEPTION WHEN OTHERS THEN
			RETURN SQLSTATE || ' ' || SQLERRM;
		END $$;
		SELECT 'heartbeat', system, live, worker, pg_temp.answer(format('public.heartbeat_job(%L, %L) ->> %L', job_id, lease_token, 'cancel')), count(*)
		  FROM lease GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5;
		SELECT 'no token', system, live, pg_temp.answer(CASE system WHEN 'jobs' THEN format('public.advance_job(%L, %L)', job_id, 'FAILED')
			ELSE format('public.update_studio_job_status(%L, %L)', job_id, 'FAILED') END) AS answer
		  FROM lease WHERE live ORDER BY job_id;
		SELECT 'go on', job_id, pg_temp.answer(format('public.update_studio_job_status(%L, (SELECT status FROM public.studio_jobs WHERE job_id = %1$L), %L) ->> %L',
			job_id, lease_token, 'status')) FROM lease WHERE system = 'studio_jobs' ORDER BY job_id;
		SELECT 'go on', job_id, pg_temp.answer(format('public.advance_job(%L, %L, 5, NULL, %L) ->> %L', job_id, 'SCRIPTING', lease_token, 'status'))
		  FROM lease WHERE system = 'jobs' ORDER BY job_id;
		SELECT 'fail', job_id, pg_temp.answer(format('public.fail_studio_job(%L, %L, false, %L) ->> %L', job_id, '{"code": "X"}', lease_token, 'error_details'))
		  FROM lease WHERE system = 'studio_jobs' AND worker <> 'silent' ORDER BY job_id;
		SELECT 'complete again', pg_temp.answer(format('public.store_refined_text(%L, %L, %L, %L) ->> %L', job_id, 'R', 'model', lease_token, 'status'))
		  FROM studio_engine.attempts WHERE outcome = 'completed' ORDER BY job_id;
		SELECT 'reap', public.reap_expired_leases();
		SELECT 'attempts', job_id, attempt, worker, outcome, error, started_at FROM studio_engine.attempts ORDER BY job_id, started_at;
		SELECT 'released', public.release_leases('camera');
		SELECT 'claim', n, job_id, attempt, job ->> 'status' FROM public.claim_jobs('studio_jobs', 'next', 1000) WITH ORDINALITY AS c (job_id, t, attempt, e, job, n);
		SELECT 'claim', n, job_id, attempt, job ->> 'status' FROM public.claim_jobs('jobs', 'next', 1000) WITH ORDINALITY AS c (job_id, t, attempt, e, job, n);
		SELECT 'figures', jsonb_pretty(public.get_job_statistics(s) - 'oldest_waiting_seconds' - 'throughput_per_hour') FROM unnest('{jobs,studio_jobs}'::text[]) s;
		SELECT 'rebuilt', studio_engine.rebuild_queue();
		ROLLBACK;});
}

sub new_database
{
	my ($db, %options) = @_;

	query($node, 'postgres', qq(DROP DATABASE IF EXISTS "$db" WITH (FORCE)));
	query($node, 'postgres', qq(CREATE DATABASE "$db" OWNER ) . ($options{owner} // 'postgres'));
	return;
}

# Runs a client program; its messages are returned, and a failure is a failed test
# unless the caller looks at the messages itself.
sub client
{
	my ($program, $db, @arguments) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ $program, '-h', $node->host, '-p', $node->port, '-d', $db, @arguments ], '>', \$out, '2>', \$err);
	return ($? >> 8, $err);
}

sub client_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, @command) = @_;
	my ($status, $err) = client(@command);

	ok($status == 0 && $err eq '', $name) or diag("status $status: $err");
	return;
}

my @psql_strict = ('-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f');

# What content needs besides its rows: counters that go on counting, words that are
# found, flows and companies.  Nothing of it stays.
sub content_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name) = @_;

	sql_ok($node, $db, q{
		BEGIN;
		DO $$
		DECLARE
			v_run uuid := (SELECT session_id FROM public.mm_multimedia_sessions WHERE status = 'started' ORDER BY total_assets_generated DESC LIMIT 1);
			v_content uuid := (SELECT content_id FROM public.mm_multimedia_sessions WHERE session_id = v_run);
		BEGIN
			ASSERT (SELECT count(*) FROM public.mm_multimedia_sessions) = 7;
			ASSERT NOT EXISTS (SELECT FROM public.mm_multimedia_sessions s WHERE s.total_assets_generated <>
				(SELECT count(*) FROM public.mm_multimedia_assets a WHERE a.session_id = s.session_id)), 'counters';
			PERFORM public.register_multimedia_asset(v_run, NULL, 'video', 'more.mp4');
			ASSERT EXISTS (SELECT FROM public.list_removed_files() WHERE path = 'gone.pdf'), 'files to delete';
			ASSERT (SELECT count(public_url) = 1 FROM public.mm_multimedia_assets), 'URLs as they were, and of new assets';
			ASSERT (SELECT total_assets_generated = 29 AND video_files_generated = 8 FROM public.mm_multimedia_sessions WHERE session_id = v_run), 'counters go on';
			ASSERT (SELECT count(*) FROM public.search_module_content('kept', p_limit => 100)) = 6, 'search';
			ASSERT public.refresh_content_search() = 3, 'what was stale is stale';
			ASSERT public.update_module_section(v_content, 'core_content', 'three more words') = 3, 'words';
			ASSERT (SELECT count(*) FROM public.search_module_content('"three more"')) = 1, 'search goes on';
			UPDATE public.cm_module_content SET company_id = md5('company 1')::uuid WHERE content_id = v_content;
			ASSERT (SELECT bool_and(company_id = md5('company 1')::uuid) FROM public.mm_multimedia_assets WHERE session_id = v_run), 'companies';
			BEGIN
				UPDATE public.mm_multimedia_sessions SET status = 'started' WHERE status = 'completed';
				RAISE EXCEPTION 'an illegal transition passed';
			EXCEPTION WHEN check_violation THEN NULL;
			END;
		END $$;
		ROLLBACK;}, "$name: content is searched, counted and guarded as before");
	my $user = uuid_of('user 1');
	is(query($node, $db, qq{
		SET request.jwt.claims = '{"sub": "$user", "role": "authenticated"}';
		SET ROLE authenticated;
		SELECT count(*), count(DISTINCT company_id), (SELECT count(*) FROM public.mm_multimedia_assets) FROM public.cm_module_content;}),
		'2|1|20', "$name: a user sees his company");
	return;
}

# The copy is the source again, and alive.  Where the target was empty
# (was_empty), the dump of the copy is the dump of the source.
sub copy_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name, %options) = @_;

	same_text(state_of($db), $source{state}, "$name: the rows of every table");
	same_text(catalogue_of($db), $source{catalogue},
		"$name: owners, grants, policies, triggers, indexes, constraints, publication");
	same_text(dump_text($node, $db), $source{text}, "$name: pg_dump says the same of the copy")
	  if $options{was_empty};
	books_ok($node, $db, $name);
	content_ok($db, $name);
	is(query($node, $db, 'SELECT count(*) FROM studio_engine.lint()'), '0', "$name: lint() finds nothing");
	is(due_in($db), $source{due}, "$name: the same credit expires, and what holds give back");
	same_text(work_in($db), $source{work}, "$name: workers go on with their leases, reap, and claim the same jobs in the same order");
	alive_ok($node, $db, $name);
	return;
}

query($node, 'postgres', 'CREATE ROLE reader; CREATE ROLE studio_owner LOGIN CREATEDB;');
prepare_database($node, 'source');
query($node, 'source', $history);
query($node, 'source', $customs);
query($node, 'source', $publish);
books_ok($node, 'source', 'the source');
is(query($node, 'source', q{
	SELECT string_agg(DISTINCT status::text, ' ' ORDER BY status::text), count(*) > 100,
		   (SELECT count(DISTINCT type) FROM public.credit_ledger),
		   (SELECT count(*) > 10 FROM public.credit_ledger WHERE job_id IS NULL AND type = 'reserve'),
		   (SELECT count(*) > 0 FROM public.credit_accounts WHERE reserved > 0)
	  FROM public.jobs}),
	'FAILED PACKAGING QUEUED READY|t|7|t|t', 'the source has jobs in every situation');
is(query($node, 'source', q{
	SELECT count(*) FILTER (WHERE held_back) > 0, count(*) FILTER (WHERE NOT held_back AND expires_at < now()) > 0,
		   count(*) FILTER (WHERE expires_at > now()) > 0,
		   (SELECT count(*) FROM studio_engine.ledger_hashes) = (SELECT count(*) FROM public.credit_ledger),
		   (SELECT count(*) > 0 FROM public.credit_accounts WHERE balance < 0)
	  FROM studio_engine.expiring_credits}),
	't|t|t|t|t', '... credit that expires, has expired and is held, hashes and a deficit');
is(query($node, 'source', q{
	SELECT string_agg(DISTINCT status, ' ' ORDER BY status) FROM public.studio_jobs}),
	'COMPLETE ENRICHING FAILED NEW REFINING TRANSCRIBING', '... studio jobs in every status');
is(query($node, 'source', q{
	SELECT string_agg(DISTINCT concat_ws(' ', system, state, CASE WHEN state = 'leased' THEN CASE WHEN expires_at > now() THEN 'live' ELSE 'expired' END
		WHEN state = 'delayed' THEN CASE WHEN due_at > now() THEN 'later' ELSE 'due' END END,
		CASE WHEN cancel_requested_at IS NOT NULL THEN 'to be cancelled' END, CASE WHEN turn > 0 THEN 'in turn' END), ', ')
	  FROM (SELECT system, state::text, due_at, turn, NULL::timestamptz AS expires_at, NULL::timestamptz AS cancel_requested_at FROM studio_engine.queue
	        UNION ALL SELECT system, 'leased', due_at, turn, expires_at, cancel_requested_at FROM studio_engine.attempts WHERE ended_at IS NULL) q}),
	'jobs delayed later, jobs leased expired, jobs leased live, jobs leased live to be cancelled, jobs waiting, mm_rendering_queue delayed later, '
	. 'studio_jobs delayed due, studio_jobs delayed later, studio_jobs leased expired in turn, '
	. 'studio_jobs leased live, studio_jobs leased live to be cancelled, studio_jobs waiting, studio_jobs waiting in turn',
	'... in every situation of the queue');
is(query($node, 'source', q{SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM studio_engine.attempts}),
	'cancelled completed expired failed released retried snoozed', '... with attempts of every outcome');
alive_ok($node, 'source', 'the source');
content_ok('source', 'the source');
is(query($node, 'source', q{
	SELECT string_agg(c.relname, ' ') FROM pg_class c WHERE c.relkind = 'r' AND c.relname ~ '^(cm|mm)_'
	   AND (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM public.%I', c.relname), false, true, '')))[1]::text = '0'}),
	'', '... and rows in all tables of content and multimedia');
remember_source('source');

my %archive = (
	plain => [ '-f', "$dir/plain.sql" ],
	inserts => [ '--inserts', '-f', "$dir/inserts.sql" ],
	custom => [ '-Fc', '-f', "$dir/custom" ],
	directory => [ '-Fd', '-j4', '-f', "$dir/directory" ],
	schema => [ '--schema-only', '-f', "$dir/schema.sql" ],
	data => [ '--data-only', '-f', "$dir/data.sql" ],
	data_inserts => [ '--data-only', '--inserts', '-f', "$dir/data_inserts.sql" ],
	users => [ '--data-only', '-t', 'auth.users', '-f', "$dir/users.sql" ],
	without_auth => [ '-N', 'auth', '-f', "$dir/without_auth.sql" ],
	without_auth_custom => [ '-N', 'auth', '-Fc', '-f', "$dir/without_auth" ],
);
client_ok("pg_dump: $_", 'pg_dump', 'source', @{ $archive{$_} }) foreach sort keys %archive;

# --- into an empty database ------------------------------------------------------

new_database('copy');
client_ok('plain: loads', 'psql', 'copy', @psql_strict, "$dir/plain.sql");
copy_ok('copy', 'plain', was_empty => 1);

client_ok('--clean over a copy: loads', 'pg_restore', 'copy', '--clean', '--if-exists', '--exit-on-error', "$dir/custom");
copy_ok('copy', '--clean', was_empty => 1);

new_database('copy');
client_ok('custom: loads', 'pg_restore', 'copy', '--exit-on-error', "$dir/custom");
copy_ok('copy', 'custom', was_empty => 1);

new_database('copy');
client_ok('one transaction: loads', 'pg_restore', 'copy', '--single-transaction', "$dir/custom");
copy_ok('copy', 'one transaction', was_empty => 1);

foreach my $run (1 .. 3)
{
	new_database('copy');
	client_ok("directory with four jobs, run $run: loads", 'pg_restore', 'copy', '--exit-on-error', '-j4', "$dir/directory");
}
copy_ok('copy', 'four jobs', was_empty => 1);

new_database('copy');
client_ok("section $_: loads", 'pg_restore', 'copy', '--exit-on-error', "--section=$_", "$dir/custom")
  foreach 'pre-data', 'data', 'post-data';
copy_ok('copy', 'sections', was_empty => 1);

new_database('copy');
client_ok('--inserts: loads', 'psql', 'copy', @psql_strict, "$dir/inserts.sql");
copy_ok('copy', '--inserts', was_empty => 1);

new_database('copy');
client_ok('--schema-only: loads', 'psql', 'copy', @psql_strict, "$dir/schema.sql");
client_ok('--data-only after it, all triggers live: loads', 'psql', 'copy', @psql_strict, "$dir/data.sql");
copy_ok('copy', 'schema, then data', was_empty => 1);

new_database('copy');
client_ok('--schema-only: loads', 'psql', 'copy', @psql_strict, "$dir/schema.sql");
{
	local $ENV{PGOPTIONS} = '-c studio_engine.maintenance=on';
	client_ok('--data-only --inserts in maintenance mode: loads', 'psql', 'copy', @psql_strict, "$dir/data_inserts.sql");
}
copy_ok('copy', 'schema, then inserts', was_empty => 1);

new_database('copy');
client_ok('the copy is dumped', 'pg_dump', 'source', '-Fc', '-f', "$dir/generation1");
client_ok('... and loaded', 'pg_restore', 'copy', '--exit-on-error', "$dir/generation1");
client_ok('... and dumped again', 'pg_dump', 'copy', '-Fc', '-f', "$dir/generation2");
new_database('copy');
client_ok('... and loaded again', 'pg_restore', 'copy', '--exit-on-error', "$dir/generation2");
copy_ok('copy', 'second generation', was_empty => 1);

# --- into a database that is a Supabase already -----------------------------------

# Nothing but objects that are there already is complained about.
sub only_existing_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($err, $expected, $name) = @_;
	my @errors = grep { /ERROR: / } split /\n/, $err;
	my @others = grep { !/$expected/ } @errors;

	ok(@errors > 0 && @others == 0, "$name: only what is there already is complained about")
	  or diag(@errors ? join("\n", @others) : "no errors: $err");
	return;
}

my $existing_auth = qr{(
	schema\ "auth" | relation\ "(users|users_email_partial_key|users_phone_key|users_pkey)" | function\ "\w+" |
	publication\ "supabase_realtime" | trigger\ "on_auth_user_(created|deleted)"[^:]*
	)\ already\ exists | multiple\ primary\ keys\ for\ table\ "users"}x;
my $existing_publication = qr/publication "supabase_realtime" already exists/;

sub supabase
{
	my ($db, %options) = @_;

	new_database($db, %options);
	load_stub($node, $db);
	query($node, $db, 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, authenticated, service_role');
	return;
}

# The default privileges of the target are open ...
supabase('copy');
query($node, 'copy', 'CREATE TABLE public.probe (x int)');
is(query($node, 'copy', q{SELECT has_table_privilege('anon', 'public.probe', 'SELECT')}), 't',
	'in the target a new table is open to anon');
query($node, 'copy', 'DROP TABLE public.probe');

# ... and our tables are not.
my (undef, $said) = client('psql', 'copy', '-X', '-q', '-o', '/dev/null', '-f', "$dir/plain.sql");
only_existing_ok($said, $existing_auth, 'plain over auth');
copy_ok('copy', 'plain over auth');

supabase('copy');
client_ok('the users: load', 'psql', 'copy', @psql_strict, "$dir/users.sql");
(undef, $said) = client('psql', 'copy', '-X', '-q', '-o', '/dev/null', '-f', "$dir/plain.sql");
only_existing_ok($said, qr/$existing_auth|duplicate key value violates unique constraint "users_pkey"/, 'plain over users');
copy_ok('copy', 'plain over users');

supabase('copy');
(undef, $said) = client('pg_restore', 'copy', "$dir/custom");
only_existing_ok($said, $existing_auth, 'custom over auth');
copy_ok('copy', 'custom over auth');

supabase('copy');
(undef, $said) = client('pg_restore', 'copy', '-j4', "$dir/directory");
only_existing_ok($said, $existing_auth, 'four jobs over auth');
copy_ok('copy', 'four jobs over auth');

supabase('copy');
client_ok('the users: load', 'psql', 'copy', @psql_strict, "$dir/users.sql");
(undef, $said) = client('psql', 'copy', '-X', '-q', '-o', '/dev/null', '-f', "$dir/without_auth.sql");
only_existing_ok($said, $existing_publication, 'plain without auth over users');
copy_ok('copy', 'plain without auth over users');

supabase('copy');
client_ok('the users: load', 'psql', 'copy', @psql_strict, "$dir/users.sql");
(undef, $said) = client('pg_restore', 'copy', '-j4', "$dir/without_auth");
only_existing_ok($said, $existing_publication, 'custom without auth over users');
copy_ok('copy', 'custom without auth over users');

# A dump of the data alone into a fresh installation: its rows win.
prepare_database($node, 'fresh');
query($node, 'fresh', $customs);
query($node, 'fresh', $publish);
client_ok('data into a fresh installation: loads', 'psql', 'fresh', @psql_strict, "$dir/data.sql");
same_text(state_of('fresh'), $source{state}, 'data into a fresh installation: the rows of every table');
books_ok($node, 'fresh', 'data into a fresh installation');
same_text(work_in('fresh'), $source{work}, 'data into a fresh installation: workers go on');
alive_ok($node, 'fresh', 'data into a fresh installation');

# --- by a role that is no superuser -------------------------------------------------

# On Supabase the role that installs is none; it has all rights on auth.users.
# This one does not pass row level security, so it cannot see the users' rows.
sub owned_supabase
{
	my ($db) = @_;

	supabase($db, owner => 'studio_owner');
	query($node, $db, q{
		DROP PUBLICATION supabase_realtime;
		GRANT USAGE ON SCHEMA auth TO studio_owner;
		GRANT ALL ON auth.users TO studio_owner;
		ALTER DEFAULT PRIVILEGES FOR ROLE studio_owner IN SCHEMA public
			GRANT ALL ON TABLES TO anon, authenticated, service_role;});
	query($node, $db, 'CREATE PUBLICATION supabase_realtime', user => 'studio_owner');
	return;
}

owned_supabase('owned');
sql_ok($node, 'owned', 'CREATE EXTENSION studio_engine', 'an ordinary role installs', user => 'studio_owner');
sql_ok($node, 'owned', $history, '... and has users');
sql_ok($node, 'owned', $customs, '... and adds what it likes', user => 'studio_owner');
sql_ok($node, 'owned', $publish, '... and publishes', user => 'studio_owner');
remember_source('owned');
{
	local $ENV{PGUSER} = 'studio_owner';
	client_ok('... and dumps', 'pg_dump', 'owned', '-N', 'auth', '-Fc', '-f', "$dir/owned");
}
client_ok('... a superuser dumps its users', 'pg_dump', 'owned', '--data-only', '-t', 'auth.users',
	'-f', "$dir/owned_users.sql");

# Default privileges of other roles and the publication are the target's own.
sub errors_of_ours
{
	my ($err) = @_;

	return grep { /ERROR: / && !/Command was: ALTER DEFAULT PRIVILEGES|$existing_publication/ }
	  split /(?=pg_restore: error)/, $err;
}

foreach my $role ('studio_owner', 'postgres')
{
	owned_supabase('copy');
	client_ok("$role: the users load", 'psql', 'copy', @psql_strict, "$dir/owned_users.sql");
	local $ENV{PGUSER} = $role;
	(undef, $said) = client('pg_restore', 'copy', "$dir/owned");
	is(join('', errors_of_ours($said)), '', "$role loads the dump");
	local $ENV{PGUSER} = 'postgres';
	copy_ok('copy', "owned by an ordinary role, loaded by $role");
}

# --- who may have triggers skipped -----------------------------------------------------

# Everything that a dump says before its rows; the intruder has the switch besides.
my $pretence = q{
	SET row_security = off;
	SET check_function_bodies = off;};
my @as_intruder = (user => 'intruder', options => '-c studio_engine.maintenance=on');

new_database('copy');
client_ok('a copy to attack: loads', 'pg_restore', 'copy', '--exit-on-error', "$dir/custom");
query($node, 'copy', q{
	CREATE ROLE intruder LOGIN BYPASSRLS;
	GRANT USAGE ON SCHEMA studio_engine, pipeline, auth TO intruder;
	GRANT EXECUTE ON FUNCTION studio_engine.restoring() TO intruder;
	GRANT ALL ON ALL TABLES IN SCHEMA public, pipeline, studio_engine TO intruder;
	GRANT ALL ON auth.users TO intruder;
	SELECT public.expire_credits();});
my $victim = query($node, 'copy', q{SELECT id FROM auth.users ORDER BY email LIMIT 1});
my $balance = "SELECT balance FROM public.credit_accounts WHERE user_id = '$victim'";
my $had = query($node, 'copy', $balance);
my $account = uuid_of('a user without an account');

is(query($node, 'copy', "$pretence SELECT studio_engine.restoring();", @as_intruder), 'f',
	'restoring() is false for an ordinary role');
refused_ok($node, 'copy', "$pretence $_", '42501', [qr/the ledger is append-only/],
	'an ordinary role is refused: ' . (split /\n/)[0], @as_intruder)
  foreach "UPDATE public.credit_ledger SET amount = 99 WHERE user_id = '$victim'",
  "DELETE FROM public.credit_ledger WHERE user_id = '$victim'",
  'TRUNCATE public.credit_ledger',
  "UPDATE public.credit_accounts SET balance = 99 WHERE user_id = '$victim'",
  "DELETE FROM public.credit_accounts WHERE user_id = '$victim'",
  'TRUNCATE public.credit_accounts CASCADE',
  "COPY public.credit_accounts (user_id, balance) FROM stdin;\n$account\t99\n\\.\n";
refused_ok($node, 'copy', "$pretence COPY public.credit_ledger (user_id, type, amount) FROM stdin;\n$victim\tgrant\t-5\n\\.\n",
	'22023', [qr/not a valid ledger entry/], 'COPY of a false entry is refused', @as_intruder);
sql_ok($node, 'copy',
	"$pretence COPY public.credit_ledger (user_id, type, amount, balance_after, entry_no) FROM stdin;\n$victim\tgrant\t5\t1000\t1\n\\.\n",
	'COPY of an entry is booked like an INSERT', @as_intruder);
is(query($node, 'copy', $balance), $had + 5, '... with its amount and no more');
refused_ok($node, 'copy', "$pretence UPDATE public.jobs SET status = 'READY' WHERE status = 'QUEUED'", '23514',
	[qr/illegal status transition/], 'an ordinary role makes no illegal transition', @as_intruder);
sql_ok($node, 'copy', "$pretence COPY pipeline.job_events (run_id, bot_name, event_type, seq, owner_id) FROM stdin;\nrun 1\tintruder\tx\t999\t$account\n\\.\n",
	'an event that an ordinary role copies in', @as_intruder);
is(query($node, 'copy', q{SELECT e.seq = j.last_event_seq AND e.owner_id = j.owner_id FROM pipeline.job_events e JOIN pipeline.jobs j USING (run_id) WHERE bot_name = 'intruder'}),
	't', '... is numbered and owned like any other');
sql_ok($node, 'copy', "$pretence COPY auth.users (id, email) FROM stdin;\n$account\tcopied\@example.com\n\\.\n",
	'users that an ordinary role copies in', @as_intruder);
is(query($node, 'copy', "SELECT count(*) FROM public.credit_ledger WHERE user_id = '$account'"), '1',
	'... get their welcome grant');
sql_ok($node, 'copy', "$pretence COPY public.studio_jobs (job_id, user_id, raw_audio_url) FROM stdin;\n$account\t$victim\tcopied\n\\.\n",
	'a studio job that an ordinary role copies in', @as_intruder);
is(query($node, 'copy', "SELECT system, state FROM studio_engine.queue WHERE job_id = '$account'"), 'studio_jobs|waiting',
	'... gets into the queue');
refused_ok($node, 'copy', "$pretence UPDATE public.studio_jobs SET status = 'COMPLETE' WHERE job_id = '$account'", '23514',
	[qr/illegal status transition/], '... and is not completed out of turn', @as_intruder);
sql_ok($node, 'copy', "$pretence DELETE FROM public.studio_jobs WHERE job_id = '$account'", '... nor deleted', @as_intruder);
is(query($node, 'copy', "SELECT count(*) FROM studio_engine.queue WHERE job_id = '$account'"), '0', '... without leaving the queue');
books_ok($node, 'copy', 'after the attack');

# SET ROLE neither gives nor takes the right: the session counts.
is(query($node, 'copy', "$pretence BEGIN; SET LOCAL studio_engine.maintenance = on; SET SESSION AUTHORIZATION intruder; SELECT studio_engine.restoring();"), 'f',
	'a session that became an ordinary role cannot');
is(query($node, 'copy', "BEGIN; SET LOCAL studio_engine.maintenance = on; SELECT studio_engine.restoring();"), 't',
	'a superuser in maintenance mode can');
sql_ok($node, 'copy', qq{
	BEGIN;
	SET studio_engine.maintenance = on;
	UPDATE public.credit_ledger SET note = 'corrected' WHERE user_id = '$victim';
	UPDATE public.jobs SET status = 'READY' WHERE status = 'QUEUED';
	SET studio_engine.maintenance = off;
	DO \$\$
	BEGIN
		ASSERT (SELECT bool_and(note = 'corrected') FROM public.credit_ledger WHERE user_id = '$victim');
		ASSERT NOT EXISTS (SELECT FROM public.jobs WHERE status = 'QUEUED');
	END \$\$;
	ROLLBACK;}, '... and changes what nobody else can');
refused_ok($node, 'copy', "SET row_security = off; SET check_function_bodies = off; DELETE FROM public.credit_ledger", '42501',
	[qr/append-only/], 'a superuser without it cannot, whatever a dump left set');

$node->stop;
done_testing();
