# What users may call costs what it shows: for every function that anon or a
# signed-in user may execute, the worst input that the limits allow on the worst
# rows that the limits allow, asked as PostgREST asks.  The process takes less
# than 200 MB and the statement less than 5 s, which statement_timeout keeps; the
# figures are printed.
#
# Which functions these are is asked of the catalogue: a new one fails here until
# it has a case.
#
# Pitfall: rows are written with the triggers off, as what is not looked at here
# would take minutes to store; so nothing below depends on what triggers do.
#
# Pitfall: the peak is VmHWM, which counts shared memory that was touched too, so
# there is little of it; what the process had before is subtracted, and a session
# makes one call.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $most_memory = 200;    # MB
my $most_time = '5s';
my $db = 'costs';
my $node = new_cluster('costs', 'shared_buffers = 4MB', 'autovacuum = off', 'jit = off', 'max_wal_size = 4GB');

prepare_database($node, $db);

# Worst values: a character that JSON shows as six bytes; jsonb of many members, and of long numbers.
query($node, $db, q{
	CREATE SCHEMA costs;
	CREATE FUNCTION costs.id(p_number integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
		$$ SELECT ('00000000-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid $$;
	CREATE FUNCTION costs.text(p_bytes integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT repeat(chr(1), p_bytes) $$;
	CREATE FUNCTION costs.wide(p_bytes integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
		$$ SELECT jsonb_build_object('a', jsonb_agg(i % 10)) FROM generate_series(1, p_bytes / 13) i $$;
	CREATE FUNCTION costs.long(p_bytes integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
		$$ SELECT jsonb_build_object('a', jsonb_agg(1e399::numeric)) FROM generate_series(1, p_bytes / 410) i $$;
	GRANT USAGE ON SCHEMA costs TO PUBLIC;

	INSERT INTO auth.users (id, email) VALUES (costs.id(1), 'a@example.org');
	SET session_replication_role = replica;
	INSERT INTO public.companies (id, name) VALUES (costs.id(1), 'c');
	INSERT INTO public.employees (company_id, user_id, name) VALUES (costs.id(1), costs.id(1), 'e');
});

# Video: a hundred projects with long texts, one with the worst job, and a hundred thousand jobs.
query($node, $db, q{
	SET session_replication_role = replica;
	INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset, transcript_text, settings)
		SELECT costs.id(i), costs.id(1), costs.text(8192), costs.text(65536), 'facts', costs.text(1048576), costs.wide(1048576) FROM generate_series(1, 100) i;
	INSERT INTO public.jobs (id, project_id, user_id, status, status_message, failed_step, error_code, error_message, output_url, manifest_json, finished_at)
		SELECT costs.id(i), costs.id(i), costs.id(1), CASE WHEN i = 1 THEN 'RENDERING' ELSE 'FAILED' END::public.job_status,
			costs.text(8192), costs.text(8192), costs.text(8192), costs.text(65536), costs.text(8192), costs.long(1048576), now()
		  FROM generate_series(1, 100) i;
	INSERT INTO public.jobs (project_id, user_id, status, error_message, created_at, finished_at)
		SELECT costs.id(1), costs.id(1), CASE WHEN i % 2 = 0 THEN 'READY' ELSE 'FAILED' END::public.job_status, 'no', '2026-01-01', now() FROM generate_series(1, 100000) i;
});

# Refinement: the worst job, alive and failed, a hundred thousand others, and as many attempts at one.
query($node, $db, q{
	SET session_replication_role = replica;
	INSERT INTO public.studio_jobs (job_id, user_id, status, raw_audio_url, raw_transcript, refined_text, system_prompt_used, error_details, enrichment_entities, model_version)
		SELECT costs.id(i), costs.id(1), CASE WHEN i = 1 THEN 'REFINING' ELSE 'FAILED' END, costs.text(32768), costs.text(1048576), costs.text(1048576), costs.text(2000000),
			costs.wide(1048576), costs.long(1048576), costs.text(8192) FROM generate_series(1, 12) i;
	INSERT INTO public.studio_jobs (user_id, status, raw_audio_url, system_prompt_used, processing_time_ms)
		SELECT costs.id(1), CASE WHEN i % 2 = 0 THEN 'COMPLETE' ELSE 'FAILED' END, 'a', 'p', i FROM generate_series(1, 100000) i;
	INSERT INTO studio_engine.attempts (system, job_id, attempt, first_attempt, lease_token, worker, stage, started_at, due_at, expires_at, since, lease_ms, ended_at, outcome, error)
		SELECT 'studio_jobs', costs.id(2), i, 1, costs.id(i), costs.text(200), 'REFINING', now(), now(), now(), now(), 1, now(), 'failed', jsonb_build_object('message', costs.text(200000)) FROM generate_series(1, 300) i;
});

# Credits: a hundred thousand entries, most of them lots that expire; hundreds of drafts of one token.
query($node, $db, q{
	SET session_replication_role = replica;
	INSERT INTO public.credit_ledger (user_id, type, amount, balance_after, note, created_at, entry_no, expires_at)
		SELECT costs.id(1), CASE WHEN i % 3 = 0 THEN 'usage' ELSE 'grant' END, CASE WHEN i % 3 = 0 THEN -1 ELSE 1 END, 10, costs.text(1000), now(), i,
			CASE WHEN i % 3 > 0 THEN now() + i * INTERVAL '1 minute' END FROM generate_series(2, 100000) i;
	INSERT INTO studio_engine.expiring_credits (entry_id, user_id, expires_at) SELECT l.id, l.user_id, l.expires_at FROM public.credit_ledger l WHERE l.expires_at IS NOT NULL;
	UPDATE public.credit_accounts SET entries = 100000, balance = (SELECT sum(l.amount) FROM public.credit_ledger l) WHERE user_id = costs.id(1);
	INSERT INTO public.draft_prompts (session_token, prompt_text, template_id, options)
		SELECT 'session-token-0001', costs.text(65536), costs.text(255), costs.long(16384) FROM generate_series(1, 1000);
});

# Pipeline: the worst run, with a thousand events of the worst kind; prompts.
query($node, $db, q{
	SET session_replication_role = replica;
	INSERT INTO pipeline.jobs (run_id, project_spec, owner_id, status, error_message, last_event_seq)
		SELECT r, costs.long(1048576), costs.id(1), s, costs.text(65536), 1000 FROM (VALUES ('running', 'running'), ('failed', 'failed')) v (r, s);
	INSERT INTO pipeline.job_events (run_id, bot_name, event_type, payload, owner_id, seq)
		SELECT 'running', costs.text(255), costs.text(255), p.payload, costs.id(1), i
		  FROM (SELECT jsonb_build_object('a', costs.text(170000)) AS payload) p, generate_series(1, 200) i;
	INSERT INTO pipeline.prompts (id, category, context, prompt_text) VALUES ('long', 'c', costs.text(1000000), costs.text(1000000));
});

# Content: the worst module, seven thousand parts with the same words at many places, a hundred thousand small modules, and figures of them.
query($node, $db, q{
	SET session_replication_role = replica;
	INSERT INTO public.cm_module_content (content_id, company_id, module_name, introduction, core_content, practical_applications, case_studies, assessments, module_spec, research_context)
		SELECT costs.id(n), costs.id(1), costs.text(8192), t, t, t, t, t, costs.wide(1048576), costs.long(1048576)
		  FROM (VALUES (1, repeat('"', 1048576)), (2, costs.text(1048576))) v (n, t);
	CREATE TABLE costs.words AS
		SELECT repeat((SELECT string_agg('w' || i, ' ') FROM generate_series(1, 60) i) || E'\n', 5500) AS text,
			to_tsvector('english', left(repeat((SELECT string_agg('w' || i, ' ') FROM generate_series(1, 60) i) || E'\n', 180), 30000)) AS words;
	INSERT INTO public.cm_module_content (content_id, company_id, module_name, core_content)
		SELECT costs.id(i), costs.id(1), repeat('n', 8192), left(w.text, 1048576) FROM costs.words w, generate_series(1001, 1200) i;
	INSERT INTO studio_engine.content_search (content_id, section, part, configuration, words)
		SELECT costs.id(i), 'core_content', p, 'english', w.words FROM costs.words w, generate_series(1001, 1200) i, generate_series(0, 34) p;
	INSERT INTO public.cm_module_content (content_id, company_id, module_name, introduction)
		SELECT costs.id(i), costs.id(1), 'Small', CASE WHEN i <= 3000 THEN repeat('1e@', 10) || ' ' || repeat(repeat('1e@', 9) || ' ', 1000) || ' small' ELSE 'small' END FROM generate_series(2001, 102000) i;
	INSERT INTO studio_engine.content_search (content_id, section, part, configuration, words)
		SELECT c.content_id, 'introduction', 0, 'english', to_tsvector('english', 'small 1e') FROM public.cm_module_content c WHERE c.module_name = 'Small';
	INSERT INTO public.cm_quality_assessments (content_id, company_id, overall_score, section_scores, quality_feedback, passed, critical_issues)
		SELECT costs.id(1), costs.id(1), 7, costs.wide(1048576), costs.text(1048576), true, ARRAY[costs.text(65536)];
	INSERT INTO public.cm_quality_assessments (content_id, company_id, overall_score, passed, assessed_at)
		SELECT costs.id(1), costs.id(1), 7, true, '2026-01-01' FROM generate_series(1, 100000) i;
	INSERT INTO public.mm_multimedia_sessions (session_id, content_id, company_id, status, processing_duration_seconds, generation_config, error_message)
		SELECT costs.id(i), costs.id(1), costs.id(1), 'completed', i, jsonb_build_object('a', repeat('y', 1500)), repeat('e', 300) FROM generate_series(1, 50000) i;
	INSERT INTO public.mm_multimedia_assets (asset_id, session_id, content_id, company_id, asset_type, asset_name, file_size_bytes, duration_seconds)
		SELECT costs.id(i), costs.id(1), costs.id(1), costs.id(1), (ARRAY['video', 'audio', 'slide', 'image'])[1 + i % 4], 'n', 9e15::bigint, 1e9 FROM generate_series(1, 100000) i;
	ANALYZE;
});

# What is asked, by function: arguments in SQL, and the SQLSTATE that they are refused with, if they are.
my $huge = q{repeat('x', 20000000)};
my $huge_json = q{jsonb_build_object('a', repeat('x', 20000000))};
my $phrases = q{(SELECT string_agg('"w1 w2"', ' or ') FROM generate_series(1, 32))};
my $words = q{(SELECT string_agg('w' || i, ' ') FROM generate_series(1, 60) i)};

my $refused = '22023';

my %cases = (
	'workflow_transitions()' => [['']],
	'workflow_diagram(text)' => [[q{'jobs'}], [$huge, $refused]],
	'save_draft_prompt(text,text,text,jsonb)' => [
		[q{'session-token-0002', repeat(chr(128512), 20000), repeat(chr(128512), 255), costs.long(16384)}],
		[qq{'session-token-0002', $huge}, $refused], [qq{$huge, 'p'}, $refused],
		[qq{'session-token-0002', 'p', $huge}, $refused], [qq{'session-token-0002', 'p', NULL, $huge_json}, $refused],
		[q{'session-token-0002', 'p', NULL, '{"a": 1e131071}'}, $refused]],
	'get_draft_prompt(text)' => [[q{'session-token-0001'}], [$huge, $refused]],
	'claim_draft_prompt(text,uuid)' => [[q{'session-token-0001', costs.id(1)}], [qq{$huge, costs.id(1)}]],
	'get_credit_balance(uuid)' => [[q{costs.id(1)}]],
	'get_credit_summary(uuid)' => [[q{costs.id(1)}]],
	'get_credit_lots(uuid)' => [[q{costs.id(1)}]],
	'ensure_profile(uuid)' => [[q{costs.id(1)}]],
	'cancel_job(uuid,text)' => [[q{costs.id(1), repeat(chr(1), 1000)}], [qq{costs.id(3), $huge}, $refused]],
	'retry_job(uuid)' => [[q{costs.id(2)}]],
	'get_dashboard(uuid,integer)' => [[q{costs.id(1), 100}]],
	'create_studio_job(uuid,text,text,integer,timestamp with time zone,text,integer)' => [
		[q{costs.id(1), repeat(chr(1), 8192), repeat(chr(1), 65536), 100}], [qq{costs.id(1), $huge}, $refused], [qq{costs.id(1), 'a', $huge}, $refused]],
	'cancel_studio_job(uuid,text)' => [[q{costs.id(1), repeat(chr(1), 1000)}], [qq{costs.id(1), $huge}, $refused]],
	'retry_studio_job(uuid)' => [[q{costs.id(2)}]],
	'get_job_attempts(uuid)' => [[q{costs.id(2)}]],
	'get_job_statistics(text,uuid,interval)' => [
		[q{'studio_jobs', costs.id(1), '100 years'}], [q{'jobs', costs.id(1), NULL}], [q{'mm_rendering_queue', costs.id(1), '1 second'}],
		[q{'jobs', costs.id(1), '178000000 years'}, $refused], [qq{$huge, costs.id(1), NULL}, $refused]],
	'pipeline.create_job(text,jsonb,uuid)' => [
		[q{'new', costs.long(1048576)}], [q{'wide', costs.wide(1048576)}],
		[q{'deep', (repeat('{"a":', 6000) || '1' || repeat('}', 6000))::jsonb}, $refused],
		[qq{$huge, '{}'}, $refused], [qq{'huge', $huge_json}, $refused]],
	'pipeline.get_job(text)' => [[q{'running'}], [$huge, $refused]],
	'pipeline.cancel_job(text)' => [[q{'running'}], [$huge, $refused]],
	'pipeline.retry_job(text)' => [[q{'failed'}], [$huge, $refused]],
	'pipeline.events_since(text,bigint,integer)' => [[q{'running', 0, 1000}], [qq{$huge, 0, 1000}, $refused]],
	'pipeline.get_prompt(text)' => [[q{'long'}], [$huge, $refused]],
	'get_module_content(uuid)' => [[q{costs.id(1)}], [q{costs.id(2)}, '54000']],
	'get_content_sections(uuid)' => [[q{costs.id(1)}], [q{costs.id(2)}, '54000']],
	'get_latest_quality_assessment(uuid)' => [[q{costs.id(1)}]],
	'search_module_content(text,uuid,integer)' => [
		(map { ["$_, NULL, 1000"] } $phrases, $words, qq{'"' || $words || '"'}, q{'w1 -"w2 w1"'}, q{'-w1'}, q{'-"w1 w2"'}, q{'"w2 w1" or small'},
			q{(SELECT string_agg('w' || i, ' or ') FROM generate_series(1, 60) i)}, q{'1e'}, q{'"small small"'}, q{repeat('a_', 500)}),
		(map { ["$_, NULL, 1000", $refused] } q{repeat('"ship gun" or ', 70)}, q{repeat('1e@', 333)}, $huge),
		[q{'w1', costs.id(1), 1}]],
	'get_content_statistics(uuid)' => [[q{costs.id(1)}], ['NULL']],
	'get_session_statistics(uuid)' => [[q{costs.id(1)}]]);

# Which functions are there?
my $callable = query($node, $db, q{
	SELECT p.oid::regprocedure FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	 WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
	   AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'studio_engine')
	   AND (has_function_privilege('anon', p.oid, 'EXECUTE') OR has_function_privilege('authenticated', p.oid, 'EXECUTE'))
	 ORDER BY 1});
is(join("\n", sort keys %cases), join("\n", sort split /\n/, $callable), 'every function that users may call has a case');

# Makes the call of PostgREST; returns the peak in MB, the time in ms, and the SQLSTATE.
sub cost
{
	my ($function, $arguments) = @_;
	my ($name) = $function =~ /^([^(]+)/;
	my $status = q{SELECT '%s', substring(pg_read_file('/proc/self/status') FROM '%s:\s+(\d+) kB');};
	my ($exit, $out, $err) = run_sql($node, $db, join "\n",
		'\set ON_ERROR_STOP off',
		"SET statement_timeout = '$most_time';",
		q{SELECT set_config('request.jwt.claims', json_build_object('sub', costs.id(1), 'role', 'authenticated')::text, false);},
		sprintf($status, 'before', 'VmRSS'),
		'SET ROLE authenticated;', '\timing on', '\o /dev/null',
		"SELECT coalesce((json_agg(_postgrest_t)), '[]')::character varying AS body FROM (SELECT * FROM $name($arguments)) _postgrest_t;",
		'\o', '\timing off', 'RESET ROLE;',
		sprintf($status, 'after', 'VmHWM'));
	my ($before) = $out =~ /before\|(\d+)/;
	my ($after) = $out =~ /after\|(\d+)/;
	my ($time) = $out =~ /Time: ([\d.]+) ms/;
	my ($error) = $err =~ /ERROR:  (\w{5}):/;

	return (($after - $before) / 1024, $time, $error // '');
}

for my $function (sort keys %cases)
{
	for my $case (@{ $cases{$function} })
	{
		my ($arguments, $expected) = @$case;
		my ($memory, $time, $error) = cost($function, $arguments);
		my $figures = sprintf('%s(%s): %d MB, %d ms %s', $function, $arguments, $memory, $time, $error);

		ok($memory < $most_memory && $error eq ($expected // ''), "$function: $arguments");
		$memory < $most_memory && $error eq ($expected // '') ? note($figures) : diag($figures);
	}
}

$node->stop;
done_testing();
