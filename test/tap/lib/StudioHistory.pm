# A database with a history: rows in every table and state, what its owner added,
# and what must be the same in a copy of it.
#
# Pitfall: rows are compared by checksum, since a copy that was loaded table by
# table is equal in content before it is equal in the order of its rows.

package StudioHistory;

use strict;
use warnings;

use Exporter 'import';
use StudioTest;
use Test::More;

our @EXPORT = qw(history_of_studio customs_of_owner state_of due_in work_in content_ok);

# Twelve users with what a life leaves: job n of each has had another fate.
my $history = q{
	UPDATE studio_engine.settings SET value = '12' WHERE name = 'welcome_credits';
	UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain';
	UPDATE studio_engine.settings SET value = '0', description = 'Mine' WHERE name = 'max_active_jobs';
	-- of another version
	BEGIN;
	SET LOCAL studio_engine.maintenance = on;
	INSERT INTO studio_engine.settings VALUES ('my_setting', 'x', NULL);
	COMMIT;
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
sub history_of_studio
{
	return $history;
}

sub customs_of_owner
{
	return $customs;
}

# Checksums of all tables; the columns by name, as their order may differ.
sub state_of
{
	my ($node, $db) = @_;
	my $tables = query($node, $db, q{
		SELECT format('SELECT %L, count(*), md5(string_agg(r, chr(10) ORDER BY r)) FROM (SELECT to_jsonb(t)::text AS r FROM %s t) x;',
					  c.oid::regclass, c.oid::regclass)
		  FROM pg_class c
		 WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text IN ('public', 'pipeline', 'studio_engine', 'auth')
		 ORDER BY c.oid::regclass::text});

	return query($node, $db, $tables);
}

# What expires when somebody looks, and then when open holds are given back;
# nothing of it stays.
sub due_in
{
	my ($node, $db) = @_;

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
	my ($node, $db) = @_;

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

# What content needs besides its rows: counters that go on counting, words that are
# found, flows and companies.  Nothing of it stays.
sub content_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $db, $name) = @_;

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

1;
