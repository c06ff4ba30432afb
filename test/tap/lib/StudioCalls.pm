# Every function of the extension with a call that gets all the way, and the rows that such calls need.
#
# Pitfall: a call that is refused at its first argument shows nothing.  So calls_left_out() names functions that have
# no call here, and whoever uses the calls first sees all of them succeed.

package StudioCalls;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils qw(slurp_file);
use StudioTest;

our @EXPORT = qw(fixture broadcast_fixture function_calls calls_refused_to calls_left_out unused_triggers in_uuids);

# {a1} is a uuid that ends so.
sub in_uuids
{
	my ($sql) = @_;

	$sql =~ s/\{([0-9a-f]{2})\}/'00000000-0000-4000-8000-0000000000$1'::pg_catalog.uuid/g;
	return $sql;
}

# The rows: user a1 has project b1, jobs c1..c6, studio jobs d1..d5, company e1, content f1 and what belongs to it.
# The worker has job c6, studio job d5 and rendering fb, each by lease 01.
sub fixture
{
	return in_uuids(q{
		UPDATE studio_engine.settings SET value = CASE name WHEN 'max_active_jobs' THEN '0' ELSE '1' END WHERE name IN ('max_active_jobs', 'ledger_hash_chain');
		INSERT INTO auth.users (id, email, raw_user_meta_data) VALUES ({a1}, 'a1@example.com', '{"name": "A"}'), ({a2}, 'a2@example.com', NULL);
		SELECT public.grant_credits({a1}, 1000, NULL, 'once', pg_catalog.now() + '3 days');
		SELECT public.purchase_credits({a1}, 100, 'paid'), public.purchase_credits({a1}, 100, 'reversed'), public.reverse_purchase('reversed', 10),
			public.reinstate_purchase('paid', NULL, 'early');
		SELECT public.hold_credits({a1}, 5, 'a chat'), public.transfer_credits({a1}, {a2}, 1);
		INSERT INTO public.credit_ledger (id, user_id, type, amount) VALUES ({a3}, {a1}, 'grant', 5);
		INSERT INTO studio_engine.lot_checkpoints (user_id, entry_no, state) VALUES ({a1}, 0, '{"deficit": 0, "lots": [], "holds": []}');
		SET session_replication_role = replica;
		UPDATE studio_engine.expiring_holds SET hold_id = {a4} WHERE user_id = {a1};
		UPDATE public.credit_ledger SET id = {a4} WHERE reference = 'a chat';
		RESET session_replication_role;
		INSERT INTO studio_engine.payment_digests (digest) VALUES ('of a deleted user');
		SELECT public.apply_stripe_event('{"id": "evt_1", "type": "refund.created", "created": 1, "data": {"object": {"id": "re_1", "object": "refund", "created": 1, "amount": 4, "payment_intent": "reversed"}}}');
		SELECT public.save_draft_prompt('a token of the trap', 'a film');
		INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset) VALUES ({b1}, {a1}, 't', 'p', 'facts');
		INSERT INTO public.jobs (id, project_id, user_id, status, priority) VALUES ({c1}, {b1}, {a1}, 'QUEUED', 1),
			({c2}, {b1}, {a1}, 'QUEUED', 2), ({c3}, {b1}, {a1}, 'QUEUED', 3), ({c4}, {b1}, {a1}, 'QUEUED', 4),
			({c5}, {b1}, {a1}, 'QUEUED', 5), ({c6}, {b1}, {a1}, 'QUEUED', 6);
		SELECT public.reserve_credits({a1}, id, 5) FROM public.jobs WHERE id <> {c1};
		SELECT public.create_job_steps({c6}, '["scripting"]');
		SELECT public.advance_job({c3}, s)
		  FROM unnest('{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
		SELECT public.fail_job({c4}, 'BROKEN', 'It broke.', 'scripting'), public.settle_credits({c5}, 4);
		SELECT public.log_job({c2}, 'info', 'words'), public.record_asset({c2}, 'video', 'https://example.com/v', 'v');
		INSERT INTO public.studio_jobs (job_id, user_id, raw_audio_url, system_prompt_used, status, priority) VALUES
			({d1}, {a1}, 'u', 'p', 'NEW', 1), ({d2}, {a1}, 'u', 'p', 'TRANSCRIBING', 2), ({d3}, {a1}, 'u', 'p', 'ENRICHING', 3),
			({d4}, {a1}, 'u', 'p', 'FAILED', 4),
			({d5}, {a1}, 'u', 'p', 'NEW', 5), ({d6}, {a1}, 'u', 'p', 'REFINING', 2);
		SELECT pipeline.create_job('a run', '{"a": 1}', {a1}), pipeline.create_job('a failed run', '{"a": 1}', {a1});
		SELECT pipeline.set_job_status('a failed run', 'failed', 'It broke.');
		SELECT pipeline.record_event('a failed run', 'bot', 'x'), pipeline.register_artifact('a failed run', 'zip', 'u'),
			pipeline.upsert_prompt('a prompt', 'c', 'x', 't');
		INSERT INTO studio_engine.failed_sign_ups (user_id, part, sqlstate, message) VALUES ({a1}, 'profile', '23514', 'm');
		INSERT INTO public.companies (id, name) VALUES ({e1}, 'c');
		INSERT INTO public.employees (id, company_id, user_id, name) VALUES ({e2}, {e1}, {a1}, 'e');
		INSERT INTO public.cm_module_content (content_id, company_id, module_name, introduction) VALUES
			({f1}, {e1}, 'm', 'words of a module'), ({f2}, {e1}, 'm', 'words of a module');
		UPDATE public.cm_module_content SET status = 'quality_check' WHERE content_id = {f2};
		INSERT INTO public.cm_quality_assessments (assessment_id, content_id, overall_score) VALUES ({f3}, {f2}, 5);
		INSERT INTO public.cm_course_plans (plan_id, employee_id, employee_name) VALUES ({f4}, {e2}, 'e');
		INSERT INTO public.cm_enhancement_sessions (session_id, content_id) VALUES ({f5}, {f1});
		INSERT INTO public.cm_research_results (plan_id) VALUES ({f4});
		INSERT INTO public.mm_multimedia_sessions (session_id, content_id) VALUES ({f6}, {f1});
		INSERT INTO public.mm_multimedia_assets (asset_id, session_id, asset_type, file_path, asset_name) VALUES ({f7}, {f6}, 'video', '/v', 'v');
		INSERT INTO public.mm_audio_narrations (narration_id, session_id) VALUES ({f8}, {f6});
		INSERT INTO public.mm_slide_presentations (presentation_id, session_id) VALUES ({f9}, {f6});
		INSERT INTO public.mm_script_generations (script_id, session_id) VALUES ({fa}, {f6});
		INSERT INTO public.mm_rendering_queue (render_id, session_id, user_id, render_config, priority, status) VALUES
			({fb}, {f6}, {a1}, '{}', 9, 'queued'), ({fc}, {f6}, {a1}, '{}', 1, 'failed'), ({fd}, {f6}, {a1}, '{}', 2, 'queued');
		SELECT public.record_video_view({f7}, 3, true);
		INSERT INTO studio_engine.removed_files (path) VALUES ('a path');
		SELECT public.limit_stage('jobs', 'PACKAGING', 5);
		SELECT count(*) FROM public.claim_jobs('jobs', 'early', 1);
		SELECT public.release_leases('early');
		SELECT count(*) FROM unnest('{jobs,studio_jobs,mm_rendering_queue}'::text[]) s, LATERAL public.claim_jobs(s, 'worker', 1, '1 day');
		UPDATE studio_engine.attempts SET lease_token = {01} WHERE ended_at IS NULL;
	
		-- the next entry of the user is one after which his lots are kept
		INSERT INTO public.credit_ledger (user_id, type, amount)
			SELECT {a1}, 'grant', 1 FROM generate_series(17, 999);
	});
}

# Schema realtime, whose messages the owner of the data may send, and the triggers of enable_broadcast().
sub broadcast_fixture
{
	my ($owner) = @_;

	return slurp_file("$FindBin::RealBin/../sql/include/realtime_stub.sql") . qq{
		GRANT supabase_realtime_admin TO $owner;
		SELECT * FROM public.enable_broadcast();};
}

# Function => its arguments, what a superuser does before, and who alone may call it: the owner of the data, or nobody.
my %calls = (
	'workflow_transitions()' => [],
	'workflow_diagram(text)' => [q{'jobs'}],
	'studio_engine.restoring()' => [],
	'studio_engine.table_names()' => [],
	'studio_engine.direct_tables()' => [],
	'studio_engine.lint()' => [],
	'studio_engine.missing_hooks()' => [],
	'studio_engine.value_limits()' => [],
	'studio_engine.brief_error(jsonb,integer)' => [q{'{"code": "X"}', 100}],
	'ensure_profile(uuid)' => [ '{a1}', 'DELETE FROM public.profiles WHERE id = {a1};' ],
	'save_draft_prompt(text,text,text,jsonb)' => [q{'another token of the trap', 'p', 't', '{}'}],
	'get_draft_prompt(text)' => [q{'a token of the trap'}],
	'claim_draft_prompt(text,uuid)' => [q{'a token of the trap', {a1}}],
	'cleanup_expired_drafts(integer)' => [ '10', q{UPDATE public.draft_prompts SET expires_at = '2001-01-01' WHERE true;} ],
	'create_job(uuid,integer,integer,timestamp with time zone,text,integer)' => [q{{b1}, 3, 1, '2001-01-01', 'k', 2}],
	'create_job_steps(uuid,jsonb,uuid)' => [q{{c6}, '["a", "b"]', {01}}],
	'update_job_step(uuid,text,text,integer,text,text,uuid)' => [q{{c6}, 'scripting', 'started', 3, 'm', 'e', {01}}],
	'advance_job(uuid,text,integer,text,uuid,boolean)' => [q{{c6}, 'SCRIPTING', 6, 'm', {01}, true}],
	'complete_job(uuid,text,jsonb,integer,uuid)' => [q{{c3}, 'u', '{}', 4, NULL}],
	'fail_job(uuid,text,text,text,boolean,uuid,interval)' => [q{{c6}, 'E', 'm', 'scripting', true, {01}, '1 hour'}],
	'cancel_job(uuid,text)' => [q{{c2}, 'm'}],
	'retry_job(uuid)' => ['{c4}'],
	'record_asset(uuid,text,text,text,bigint,text,jsonb,uuid)' => [q{{c6}, 'video', 'u', 'v', 5, 'video/mp4', '{}', {01}}],
	'log_job(uuid,text,text,text,jsonb,uuid)' => [q{{c6}, 'info', 'm', 'scripting', '{}', {01}}],
	'get_dashboard(uuid,integer)' => ['{a1}, 5'],
	'get_credit_balance(uuid)' => ['{a1}'],
	'reserve_credits(uuid,uuid,integer)' => ['{a1}, {c1}, 5'],
	'settle_credits(uuid,integer,text)' => [q{{c2}, 4, 'error'}],
	'release_credits(uuid,text)' => [q{{c2}, 'm'}],
	'grant_credits(uuid,integer,text,text,timestamp with time zone,integer)' => [q{{a1}, 5, 'm', 'k', '2999-01-01', 3}],
	'top_up_credits(uuid,integer,text,timestamp with time zone,text)' => [q{{a1}, 5000, 'k', '2999-01-01', 'm'}],
	'charge_credits(uuid,integer,text,text,text)' => [q{{a1}, 5, 'k', 'r', 'm'}],
	'hold_credits(uuid,integer,text,text,interval,text)' => [q{{a1}, 5, 'r', 'm', '1 hour', 'k'}],
	'capture_hold(uuid,integer,text)' => [q{{a4}, 4, 'error'}],
	'release_hold(uuid)' => ['{a4}'],
	'purchase_credits(uuid,integer,text,text,timestamp with time zone)' => [q{{a1}, 5, 'p', 'm'}],
	'subscription_credits(uuid,integer,text,text,timestamp with time zone)' => [q{{a1}, 5, 's', 'm', '2999-01-01'}],
	'refund_credits(uuid,integer,text,text)' => [q{{c5}, 2, 'm', 'k'}],
	'reverse_purchase(text,integer,text,text)' => [q{'paid', 5, 'm', 'k'}],
	'reinstate_purchase(text,text,text)' => [q{'reversed', 'm', 'k'}],
	'void_credits(uuid,integer,text,text)' => [q{{a3}, 2, 'm', 'k'}],
	'transfer_credits(uuid,uuid,integer,text,text)' => [q{{a1}, {a2}, 5, 'k', 'm'}],
	'merge_accounts(uuid,uuid,text)' => [q{{a2}, {a1}, 'k'}],
	'get_credit_lots(uuid)' => ['{a1}'],
	'apply_stripe_event(jsonb)' => [q{'{"id": "evt_2", "type": "charge.refunded", "created": 2, "data": {"object": {"id": "ch_1", "object": "charge", "created": 1, "amount": 10, "amount_refunded": 5, "payment_intent": "reversed"}}}'}],
	'expire_credits(integer)' => [ '100', q{UPDATE studio_engine.expiring_credits SET expires_at = '2001-01-01' WHERE true;} ],
	'sweep_stale_holds(integer)' => [ '100', q{SET LOCAL session_replication_role = replica; UPDATE public.jobs SET status = 'FAILED' WHERE id = {c2}; SET LOCAL session_replication_role = origin;} ],
	'get_credit_summary(uuid)' => ['{a1}'],
	'verify_credit_ledger(uuid)' => ['{a1}'],
	'claim_jobs(text,text,integer,interval,text[],text)' => [ q{'jobs', 'w', 9, NULL, '{QUEUED,SCRIPTING}', 'p'}, q{UPDATE studio_engine.attempts SET due_at = '2001-01-01', expires_at = '2001-01-01' WHERE ended_at IS NULL;} ],
	'finish_and_claim(text,text,uuid,uuid,jsonb,jsonb,boolean,interval,integer,interval,text[],text)' =>
		[q{'jobs', 'w', {c6}, {01}, '{"status": "SCRIPTING"}', NULL, false, NULL, 9}],
	'complete_jobs(text,jsonb)' =>
		[q{'studio_jobs', pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('job_id', {d5}, 'lease_token', {01}, 'result', '{"raw_transcript": "t"}'::pg_catalog.jsonb))}],
	'fail_jobs(text,jsonb)' =>
		[q{'jobs', pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('job_id', {c6}, 'lease_token', {01}, 'retryable', true, 'retry_in', '1 hour'))}],
	'pause_queue(text,text,text)' => [q{'jobs', 'RENDERING', 'm'}],
	'resume_queue(text,text)' => [ q{'jobs', 'RENDERING'}, q{SELECT public.pause_queue('jobs', 'RENDERING');} ],
	'limit_stage(text,text,integer)' => [q{'jobs', 'QUEUED', 9}],
	'get_queue_stages(text)' => [q{'jobs'}],
	'get_settings()' => [''],
	'set_setting(text,text)' => [q{'max_attempts', '4'}],
	'repair_sign_ups(integer)' => ['100'],
	'verify_setup()' => [''],
	'studio_engine.verify_setup_as_owner()' => [ '', '', 'owner' ],
	'studio_engine.setting_problem(text,text)' => [q{'max_attempts', 'x'}],
	'get_running_jobs(text,integer)' => [q{'jobs', 10}],
	'cancel_jobs(text,uuid[],text)' => [q{'jobs', ARRAY[{c2}, {c6}], 'm'}],
	'retry_failed_jobs(text,text,timestamp with time zone,integer)' => [q{'studio_jobs', NULL, '2001-01-01', 10}],
	'heartbeat_job(uuid,uuid,integer,text,interval)' => [q{{c6}, {01}, 50, 'm', '1 hour'}],
	'snooze_job(uuid,uuid,interval)' => [q{{c6}, {01}, '1 hour'}],
	'release_leases(text,text,uuid[])' => [q{'worker'}],
	'recover_leases(text,text)' => [q{'worker', 'p'}],
	'reap_expired_leases(integer)' => [ '100', q{UPDATE studio_engine.attempts SET due_at = '2001-01-01', expires_at = '2001-01-01' WHERE ended_at IS NULL;} ],
	'get_job_attempts(uuid)' => ['{c6}'],
	'get_job_statistics(text,uuid,interval)' => [q{'jobs', {a1}, '1 day'}],
	'studio_engine.open_jobs()' => [ '', '', 'owner' ],
	'studio_engine.run_as_data_owner(text)' => [ q{'DO $$ BEGIN END $$'}, '', 'nobody' ],
	'studio_engine.rebuild_queue_as_owner()' => [ '', q{DELETE FROM studio_engine.queue WHERE state = 'waiting';}, 'owner' ],
	'studio_engine.rebuild_queue()' => [ '', q{DELETE FROM studio_engine.queue WHERE state = 'waiting';} ],
	'create_studio_job(uuid,text,text,integer,timestamp with time zone,text,integer)' => [q{{a1}, 'u', 'p', 1, '2001-01-01', 'k', 2}],
	'update_studio_job_status(uuid,text,uuid,boolean)' => [q{{d5}, 'TRANSCRIBING', {01}, true}],
	'store_transcript(uuid,text,uuid,boolean)' => [q{{d2}, 't', NULL}],
	'store_enrichment(uuid,jsonb,uuid,boolean)' => [q{{d3}, '{}', NULL}],
	'store_refined_text(uuid,text,text,uuid)' => [q{{d6}, 't', 'm', NULL}],
	'fail_studio_job(uuid,jsonb,boolean,uuid,interval)' => [q{{d5}, '{}', true, {01}, '1 hour'}],
	'cancel_studio_job(uuid,text)' => [q{{d1}, 'm'}],
	'retry_studio_job(uuid)' => ['{d4}'],
	'studio_engine.count_words(text)' => [q{'two words'}],
	'pipeline.create_job(text,jsonb,uuid)' => [q{'another run', '{"a": 2}', {a1}}],
	'pipeline.get_job(text)' => [q{'a run'}],
	'pipeline.set_job_status(text,text,text)' => [q{'a run', 'running', NULL}],
	'pipeline.cancel_job(text)' => [q{'a run'}],
	'pipeline.retry_job(text)' => [q{'a failed run'}],
	'pipeline.record_event(text,text,text,jsonb)' => [q{'a run', 'bot', 'x', '{}'}],
	'pipeline.events_since(text,bigint,integer)' => [q{'a failed run', 0, 10}],
	'pipeline.register_artifact(text,text,text,jsonb,bigint,text,text)' => [q{'a run', 'zip', 'u', '{}', 1, 't', 'c'}],
	'pipeline.upsert_prompt(text,text,text,text)' => [q{'a prompt', 'c', 'x', 'other'}],
	'pipeline.get_prompt(text)' => [q{'a prompt'}],
	'pipeline.delete_old_events(interval,integer)' => [
		q{'1 day', 100}, q{SET LOCAL session_replication_role = replica; UPDATE pipeline.job_events SET created_at = '2020-02-02' WHERE run_id = 'a failed run'; SET LOCAL session_replication_role = origin;} ],
	'studio_engine.partitionable(text)' => [q{'logs'}],
	'studio_engine.partition_obstacles(text)' => [q{'logs'}],
	'studio_engine.table_belongings(text)' => [q{'logs'}],
	'studio_engine.add_partitions(text,integer)' => [ q{'logs', 1}, q{SELECT studio_engine.partition_by_month('logs', 0);} ],
	'studio_engine.detach_partitions(text,interval,integer)' => [ q{'logs', '1 second', 10}, q{SELECT studio_engine.partition_by_month('logs', 0);} ],
	'studio_engine.add_partitions_as_owner(text,integer)' => [ q{'logs', 1}, q{SELECT studio_engine.partition_by_month('logs', 0);}, 'owner' ],
	'studio_engine.detach_partitions_as_owner(text,interval,integer)' => [ q{'logs', '1 second', 10}, q{SELECT studio_engine.partition_by_month('logs', 0);}, 'owner' ],
	'studio_engine.partition_by_month_as_owner(text,integer)' => [ q{'job_events', 1}, '', 'owner' ],
	'studio_engine.partition_by_month(text,integer)' => [q{'job_events', 1}],
	'create_module_content(text,text,text,jsonb,uuid,jsonb,text)' => [q{'m', 'e', 's', '{}', {e1}, '{}', 'high'}],
	'update_module_section(uuid,text,text)' => [q{{f1}, 'introduction', 'other words'}],
	'update_module_sections(uuid,jsonb)' => [q{{f1}, '{"introduction": "other words"}'}],
	'get_module_content(uuid)' => ['{f1}'],
	'get_content_sections(uuid)' => ['{f1}'],
	'store_quality_assessment(uuid,numeric,jsonb,boolean,numeric,numeric,numeric,numeric,numeric,text,boolean,text[],text[])' =>
		[q{{f2}, 7, '{}', true, 7, 7, 7, 7, 7, 'm', false, '{}', '{}'}],
	'get_latest_quality_assessment(uuid)' => ['{f2}'],
	'start_enhancement_session(uuid,uuid,text,text[],text[])' => [q{{f2}, {f3}, 't', '{introduction}', '{}'}],
	'complete_enhancement_session(uuid,boolean,boolean,text)' => [q{{f5}, true, true, 'completed'}],
	'create_course_plan(uuid,text,text,jsonb,text,integer,integer,jsonb,jsonb,jsonb,jsonb)' => [q{{e2}, 'e', 's', '{}', 't', 1, 1, '{}', '{}', '{}', '{}'}],
	'store_research_results(uuid,text,jsonb,jsonb,jsonb,text[],text[],integer,integer,text)' => [q{{f4}, 's', '{}', '{}', '{}', '{}', '{}', 1, 1, 'completed'}],
	'search_module_content(text,uuid,integer)' => [q{'module', {e1}, 5}],
	'refresh_content_search(integer)' => [ '10', 'DELETE FROM studio_engine.content_search WHERE true;' ],
	'archive_module_content(interval,integer)' => [
		q{'1 day', 10}, q{SET LOCAL session_replication_role = replica; UPDATE public.cm_module_content SET status = 'approved', updated_at = '2001-01-01' WHERE content_id = {f2}; SET LOCAL session_replication_role = origin;} ],
	'get_content_statistics(uuid)' => ['{e1}'],
	'create_multimedia_session(uuid,text,text,text,jsonb,text[])' => [q{{f1}, 'm', 'e', 'video', '{}', '{introduction}'}],
	'update_session_status(uuid,text,numeric,text,text)' => [q{{f6}, 'processing', 5, 'm', NULL}],
	'register_multimedia_asset(uuid,uuid,text,text,text,text,numeric,bigint,text,jsonb,text,text,text)' =>
		[q{{f6}, {f1}, 'video', '/w', 'w', 'introduction', 3, 5, 'video/mp4', '{}', 'b', 'p', 'u'}],
	'register_multimedia_assets(uuid,jsonb)' => [q{{f6}, '[{"asset_type": "video", "file_path": "/x", "asset_name": "x"}]'}],
	'get_session_statistics(uuid)' => ['{f6}'],
	'create_audio_narration(uuid,text,text,text,text,jsonb)' => [q{{f6}, 'n', 'main', 'introduction', 't', '{}'}],
	'update_audio_narration(uuid,text,numeric,jsonb,uuid,uuid[],text)' => [q{{f8}, NULL, 3, '[]', NULL, NULL, 't'}],
	'create_slide_presentation(uuid,text,text,integer,jsonb,text,jsonb)' => [q{{f6}, 'n', 'main', 3, '[]', 't', '{}'}],
	'update_slide_presentation(uuid,text,integer,jsonb,uuid,uuid,uuid)' => [q{{f9}, NULL, 3, '[]', NULL, NULL, NULL}],
	'create_script_generation(uuid,text,text,jsonb)' => [q{{f6}, 'introduction', 'video', '{}'}],
	'update_script_generation(uuid,text,text,text)' => [q{{fa}, NULL, 't', NULL}],
	'record_video_view(uuid,numeric,boolean)' => ['{f7}, 3, true'],
	'enqueue_rendering(uuid,jsonb,integer,uuid,timestamp with time zone,text,integer)' => [q{{f6}, '{}', 1, {a1}, '2001-01-01', 'k', 2}],
	'update_rendering(uuid,text,integer,uuid,boolean)' => [q{{fb}, 'rendering', 5, {01}, true}],
	'complete_rendering(uuid,uuid,uuid)' => [ q{{fb}, {f7}, {01}}, q{SELECT public.update_rendering({fb}, 'rendering', 5, {01});} ],
	'fail_rendering(uuid,text,text,boolean,uuid,interval)' => [q{{fb}, 'E', 'm', true, {01}, '1 hour'}],
	'cancel_rendering(uuid,text)' => [q{{fd}, 'm'}],
	'retry_rendering(uuid)' => ['{fc}'],
	'studio_engine.realtime_tables()' => [],
	'studio_engine.realtime_rights_missing()' => [],
	'studio_engine.realtime_obstacles()' => [],
	'enable_realtime()' => [],
	'studio_engine.storage_obstacles()' => [],
	'studio_engine.storage_rights_missing()' => [],
	'studio_engine.storage_traps()' => [],
	'enable_storage()' => [],
	'studio_engine.enable_storage_as_owner()' => [ '', '', 'owner' ],
	'list_removed_files(integer)' => ['10'],
	'forget_removed_files(uuid[])' => [ '(SELECT array_agg(file_id) FROM public.list_removed_files(10))' ],
	'studio_engine.enable_realtime_as_owner()' => [ '', '', 'owner' ],
	'studio_engine.broadcast_obstacle()' => [],
	'enable_broadcast()' => [],
	'disable_broadcast()' => [],
	'studio_engine.enable_broadcast_as_owner()' => [ '', '', 'owner' ],
	'studio_engine.disable_broadcast_as_owner()' => [ '', '', 'owner' ],
);

# [ function, the call, what a superuser does before ]: those that somebody calls, in the order of their names.
sub function_calls
{
	return map {
		my ($name) = /^([^(]+)\(/;
		my ($args, $before) = @{ $calls{$_} };
		my $qualified = $name =~ /\./ ? $name : "public.$name";

		[ $name, 'SELECT * FROM ' . $qualified . '(' . in_uuids($args // '') . ') AS called;', in_uuids($before // '') ];
	} sort keys %calls;
}

# The functions that are for the owner of the data alone, or for nobody, and so are refused to this role.
sub calls_refused_to
{
	my ($role) = @_;

	return map { /^([^(]+)\(/ } grep { ($calls{$_}[2] // $role) ne $role } sort keys %calls;
}

# The functions of the extension in this database that have no call here, or a call and are not there.
sub calls_left_out
{
	my ($node, $db) = @_;
	my %there = map { $_ => 1 } split /\n/, query($node, $db, q{
		SELECT p.oid::regprocedure FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
		 WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
		   AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'studio_engine')
		   AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype);});

	return ((grep { !$calls{$_} } sort keys %there), (grep { !$there{$_} } sort keys %calls));
}

# The trigger functions of the extension that no trigger calls: they would not be tried.
sub unused_triggers
{
	my ($node, $db) = @_;

	return split /\n/, query($node, $db, q{
		SELECT p.oid::regprocedure FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
		 WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
		   AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'studio_engine')
		   AND p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype)
		   AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid)
		   AND NOT EXISTS (SELECT FROM pg_event_trigger t WHERE t.evtfoid = p.oid);});
}

1;
