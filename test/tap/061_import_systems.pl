# Databases that run Refinement, Pipeline and Content by their design documents are
# taken over by studio_engine_import_seed.sql: every row, or a line of the report that
# says why not, and a product that works on.
#
# Pitfall: Video and Pipeline both have a table jobs.  Rows are made as the documents
# allow them, without the constraints that only our tables have.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('import_systems');

# --- the documents ----------------------------------------------------------------------

my $refinement = q{
	CREATE TABLE studio_jobs (
		job_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), created_at timestamptz NOT NULL DEFAULT now(), status text NOT NULL,
		user_id uuid NOT NULL REFERENCES auth.users (id), raw_audio_url text NOT NULL, raw_transcript text, refined_text text,
		system_prompt_used text NOT NULL, processing_time_ms integer, error_details jsonb);
	CREATE INDEX idx_studio_jobs_user_id ON studio_jobs (user_id);
	ALTER TABLE studio_jobs ENABLE ROW LEVEL SECURITY;
	CREATE POLICY "Users can view own jobs" ON studio_jobs FOR SELECT USING (auth.uid() = user_id);};

# in the schema of the search_path
my $pipeline = q{
	CREATE TABLE jobs (
		run_id text PRIMARY KEY, project_spec jsonb NOT NULL, owner_id uuid, status text DEFAULT 'pending', started_at timestamptz,
		completed_at timestamptz, error_message text, created_at timestamptz DEFAULT now(), updated_at timestamptz);
	CREATE INDEX idx_jobs_status ON jobs (status);
	CREATE TABLE job_events (
		id uuid PRIMARY KEY DEFAULT gen_random_uuid(), run_id text NOT NULL REFERENCES jobs (run_id), bot_name text NOT NULL,
		event_type text NOT NULL, payload jsonb, owner_id uuid, created_at timestamptz DEFAULT now());
	CREATE TABLE artifacts (
		id uuid PRIMARY KEY DEFAULT gen_random_uuid(), run_id text NOT NULL REFERENCES jobs (run_id), kind text NOT NULL, url text,
		meta jsonb, owner_id uuid, file_size bigint, content_type text, checksum text, created_at timestamptz DEFAULT now());
	CREATE TABLE prompts (
		id text PRIMARY KEY, category text NOT NULL, context text NOT NULL, prompt_text text NOT NULL,
		created_at timestamptz DEFAULT now(), updated_at timestamptz);};

my $companies = q{
	CREATE TABLE companies (id uuid PRIMARY KEY, name text);
	CREATE TABLE employees (id uuid PRIMARY KEY, company_id uuid REFERENCES companies, user_id uuid);
	GRANT SELECT ON employees TO authenticated;};
my $content = q{
	CREATE TABLE cm_module_content (
		content_id uuid PRIMARY KEY, company_id uuid, module_name text, employee_name text, session_id text, introduction text, core_content text,
		practical_applications text, case_studies text, assessments text, module_spec jsonb, research_context jsonb, total_word_count integer,
		section_word_counts jsonb, status text, priority_level text, revision_count integer, created_at timestamp, updated_at timestamp);
	CREATE TABLE cm_course_plans (
		plan_id uuid PRIMARY KEY, employee_id uuid, employee_name text, session_id text, course_structure jsonb, prioritized_gaps jsonb,
		research_strategy jsonb, learning_path jsonb, employee_profile jsonb, total_modules integer, course_duration_weeks integer,
		course_title text, status text, created_at timestamp);
	CREATE TABLE cm_research_results (
		research_id uuid PRIMARY KEY, plan_id uuid, session_id text, research_findings jsonb, content_library jsonb, module_mappings jsonb,
		total_topics integer, total_sources integer, search_queries text[], sources_analyzed text[], status text, created_at timestamp);
	CREATE TABLE cm_quality_assessments (
		assessment_id uuid PRIMARY KEY, content_id uuid, overall_score float, section_scores jsonb, accuracy_score float, clarity_score float,
		completeness_score float, engagement_score float, personalization_score float, quality_feedback text, passed boolean,
		requires_revision boolean, sections_needing_work text[], critical_issues text[], assessed_at timestamp);
	CREATE TABLE cm_enhancement_sessions (
		session_id uuid PRIMARY KEY, content_id uuid, quality_assessment_id uuid, enhancement_type text, sections_to_enhance text[],
		sections_preserved text[], research_conducted boolean, content_regenerated boolean, status text, created_at timestamp, completed_at timestamp);
	CREATE TABLE mm_multimedia_sessions (
		session_id uuid PRIMARY KEY, content_id uuid, company_id uuid, session_type text, module_name text, employee_name text,
		generation_config jsonb, content_sections text[], status text, current_stage text, progress_percentage numeric,
		total_assets_generated integer, slides_generated integer, audio_files_generated integer, video_files_generated integer,
		processing_duration_seconds integer, started_at timestamp, completed_at timestamp);
	CREATE TABLE mm_multimedia_assets (
		asset_id uuid PRIMARY KEY, session_id uuid, content_id uuid, company_id uuid, asset_type text, asset_name text, file_path text,
		file_size_bytes integer, mime_type text, section_name text, duration_seconds numeric, generation_config jsonb, status text,
		storage_bucket text, storage_path text, public_url text, created_at timestamp);
	CREATE TABLE mm_audio_narrations (
		narration_id uuid PRIMARY KEY, session_id uuid, content_id uuid, narration_name text, narration_type text, section_name text,
		total_duration_seconds numeric, audio_segments jsonb, voice_config jsonb, script_content text, master_audio_id uuid,
		segments_audio_ids uuid[], synthesis_completed boolean, status text);
	CREATE TABLE mm_slide_presentations (
		presentation_id uuid PRIMARY KEY, session_id uuid, content_id uuid, presentation_name text, presentation_type text, total_slides integer,
		slide_order jsonb, template_used text, theme_config jsonb, pdf_generated boolean, pptx_generated boolean, html_generated boolean,
		pdf_asset_id uuid, pptx_asset_id uuid, html_asset_id uuid, status text);};

# --- their rows ----------------------------------------------------------------------------

sub id { return uuid_of(@_) }

# Words in <> stand for ids.
sub with_ids
{
	my ($sql) = @_;

	return $sql =~ s/<(\w+)>/"'" . id($1) . "'"/ger;
}

my $users = with_ids(q{INSERT INTO auth.users (id, email) VALUES (<ada>, 'ada@example.com'), (<bob>, 'bob@example.com');});
my %good = (
	refinement => with_ids(q{
		INSERT INTO studio_jobs (job_id, status, user_id, raw_audio_url, raw_transcript, refined_text, system_prompt_used, processing_time_ms, error_details, created_at)
			SELECT md5('studio ' || s)::uuid, s, <ada>, 'audio ' || s, E't\u00e4xt', CASE s WHEN 'COMPLETE' THEN 'fine' END, 'p', 5, '{"a": [1, null]}',
				   '2025-01-01'::timestamptz + n * interval '1 hour'
			  FROM unnest('{NEW,TRANSCRIBING,ENRICHING,REFINING,COMPLETE,FAILED}'::text[]) WITH ORDINALITY u (s, n);}),
	pipeline => with_ids(q{
		INSERT INTO jobs (run_id, project_spec, owner_id, status, error_message, created_at, updated_at)
			SELECT 'run ' || s, '{"title": "x"}', <ada>, s, CASE s WHEN 'failed' THEN 'It broke.' END, '2025-01-01', '2025-01-02'
			  FROM unnest('{pending,running,completed,failed,cancelled}'::text[]) s;
		INSERT INTO jobs (run_id, project_spec, created_at) VALUES ('run of nobody', '[]', '2025-01-01');
		INSERT INTO job_events (id, run_id, bot_name, event_type, payload, owner_id, created_at)
			SELECT md5(run_id || n)::uuid, run_id, 'bot', 'e' || n, '{"n": 1}', owner_id, '2025-01-01'::timestamptz + n * interval '1 minute'
			  FROM jobs, generate_series(1, 3) n;
		INSERT INTO artifacts (id, run_id, kind, url, owner_id, file_size, checksum, created_at)
			SELECT md5(run_id)::uuid, run_id, 'zip', 'https://example.com/z', owner_id, 5000000000, md5(run_id), '2025-01-01' FROM jobs;
		INSERT INTO prompts (id, category, context, prompt_text, created_at) VALUES ('p1', 'copy', 'home', 'Hello', '2025-01-01');}),
	content => with_ids(q{
		INSERT INTO cm_module_content (content_id, company_id, module_name, session_id, introduction, core_content, module_spec, total_word_count, section_word_counts,
									   status, priority_level, revision_count, created_at, updated_at)
			SELECT md5('module ' || s)::uuid, <acme>, 'Module ' || s, 's1', 'Three good words', 'zebra crossing', '{"k": 1}', 5,
				   '{"introduction": 3, "core_content": 2, "practical_applications": 0, "case_studies": 0, "assessments": 0}', s, 'high', 1, '2025-01-01', '2025-01-02'
			  FROM unnest('{draft,quality_check,approved,revision,failed}'::text[]) s;
		INSERT INTO cm_course_plans (plan_id, employee_id, course_title, total_modules, status, created_at)
			SELECT md5('plan ' || s)::uuid, <worker>, 'Course', 2, s, '2025-01-01' FROM unnest('{draft,active,completed,failed}'::text[]) s;
		INSERT INTO cm_research_results (research_id, plan_id, total_topics, search_queries, status, created_at)
			SELECT md5('research ' || s)::uuid, md5('plan active')::uuid, 3, '{"a,b",c}', s, '2025-01-01' FROM unnest('{pending,in_progress,completed,failed}'::text[]) s;
		INSERT INTO cm_quality_assessments (assessment_id, content_id, overall_score, passed, sections_needing_work, critical_issues, assessed_at)
			VALUES (<assessment>, md5('module approved')::uuid, 8.5, true, '{introduction}', '{x}', '2025-01-01');
		INSERT INTO cm_enhancement_sessions (session_id, content_id, quality_assessment_id, sections_to_enhance, status, created_at)
			SELECT md5('enhancement ' || s)::uuid, md5('module approved')::uuid, <assessment>, '{case_studies}', s, '2025-01-01'
			  FROM unnest('{started,processing,completed,failed}'::text[]) s;
		INSERT INTO mm_multimedia_sessions (session_id, content_id, company_id, session_type, status, progress_percentage, total_assets_generated, slides_generated,
											audio_files_generated, video_files_generated, started_at)
			SELECT md5('session ' || s)::uuid, md5('module approved')::uuid, <acme>, 'full_generation', s, 30.5, CASE s WHEN 'started' THEN 3 ELSE 0 END,
				   0, CASE s WHEN 'started' THEN 1 ELSE 0 END, CASE s WHEN 'started' THEN 1 ELSE 0 END, '2025-01-01'
			  FROM unnest('{started,processing,completed,failed}'::text[]) s;
		INSERT INTO mm_multimedia_assets (asset_id, session_id, content_id, company_id, asset_type, asset_name, file_size_bytes, duration_seconds, status, storage_bucket, created_at)
			SELECT md5('asset ' || s)::uuid, md5('session started')::uuid, md5('module approved')::uuid, <acme>, y, 'a.bin', 100, 1.5, s, 'multimedia-assets', '2025-01-01'
			  FROM unnest('{generated,processed,failed}'::text[], '{video,audio,thumbnail}'::text[]) u (s, y);
		INSERT INTO mm_audio_narrations (narration_id, session_id, content_id, narration_type, total_duration_seconds, master_audio_id, segments_audio_ids, synthesis_completed, status)
			SELECT md5('narration ' || s)::uuid, md5('session started')::uuid, md5('module approved')::uuid, 'section', 3, md5('asset processed')::uuid, ARRAY[md5('asset processed')::uuid],
				   s = 'completed', s FROM unnest('{pending,synthesizing,completed,failed}'::text[]) s;
		INSERT INTO mm_slide_presentations (presentation_id, session_id, content_id, presentation_type, total_slides, pdf_generated, pptx_generated, html_generated, status)
			SELECT md5('deck ' || s)::uuid, md5('session started')::uuid, md5('module approved')::uuid, 'section', 4, false, false, false, s
			  FROM unnest('{draft,generating,completed,failed}'::text[]) s;}),
);
my $staff = with_ids(q{
	INSERT INTO companies VALUES (<acme>, 'Acme'), (<other>, 'Other');
	INSERT INTO employees VALUES (<worker>, <acme>, <ada>);});

my %key = (studio_jobs => 'job_id', jobs => 'run_id', job_events => 'id', artifacts => 'id', prompts => 'id', cm_module_content => 'content_id',
	cm_course_plans => 'plan_id', cm_research_results => 'research_id', cm_quality_assessments => 'assessment_id', cm_enhancement_sessions => 'session_id',
	mm_multimedia_sessions => 'session_id', mm_multimedia_assets => 'asset_id', mm_audio_narrations => 'narration_id', mm_slide_presentations => 'presentation_id');
my %tables = (refinement => [qw(studio_jobs)], pipeline => [qw(jobs job_events artifacts prompts)], content => [ sort grep { /^(cm|mm)_/ } keys %key ]);

# --- players ----------------------------------------------------------------------------------

my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);

sub import_into
{
	my ($db, %options) = @_;
	my ($out, $err) = ('', '');
	local $ENV{PGUSER} = $options{user} // $ENV{PGUSER};

	IPC::Run::run([ 'psql', '-XqAt', '-1', '-h', $node->host, '-p', $node->port, '-d', $db, '-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=1',
			'-f', "$sharedir/extension/studio_engine_import_seed.sql" ], '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub import_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($db, $name, %options) = @_;
	my ($status, $out, $err) = import_into($db, %options);

	ok($status == 0, $name) or diag($err);
	unlike($err, qr/WARNING|ERROR/, '... without a warning');
	return $out;
}

# A database of a role that is no superuser.
sub database
{
	my ($db, @sql) = @_;

	query($node, 'postgres', qq(DROP DATABASE IF EXISTS "$db"));
	query($node, 'postgres', qq(CREATE DATABASE "$db" OWNER keeper));
	load_stub($node, $db);
	query($node, $db, q{
		ALTER SCHEMA public OWNER TO keeper;
		GRANT USAGE ON SCHEMA auth TO keeper;
		GRANT ALL ON auth.users TO keeper;});
	query($node, $db, $_, user => 'keeper') foreach @sql;
	return;
}

# The rows of a table of before, by the columns that it has there.
sub rows_of
{
	my ($db, $schema, $table, $columns) = @_;
	my $list = $columns // '*';

	return query($node, $db, "SELECT to_jsonb(x) FROM (SELECT $list FROM $schema.$table) x ORDER BY $key{$table}::text COLLATE \"C\";");
}

sub report { return query($node, shift, 'SELECT damage, done FROM seed_backup.import_report ORDER BY no;') }

# as the role postgres of the platform
query($node, 'postgres', 'CREATE ROLE keeper LOGIN BYPASSRLS;');

# --- each system alone, sound ------------------------------------------------------------------

foreach my $system (qw(refinement pipeline content))
{
	my $schema = { refinement => $refinement, pipeline => $pipeline, content => $companies . $content }->{$system};
	my $backup = $system eq 'pipeline' ? 'seed_backup_pipeline' : 'seed_backup';
	my $target = $system eq 'pipeline' ? 'pipeline' : 'public';
	my (%before, %columns);

	database('sound', $schema, $users, $system eq 'content' ? $staff : (), $good{$system});
	foreach my $table (@{ $tables{$system} })
	{
		$columns{$table} = query($node, 'sound', "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'public.$table'::regclass AND attnum > 0");
		# a time of the documents has no zone, and becomes one of the session's
		$columns{$table} =~ s/\b(created_at|updated_at|assessed_at|started_at|completed_at)\b/$1\::timestamptz/g;
		$before{$table} = rows_of('sound', 'public', $table, $columns{$table});
		isnt($before{$table}, '', "$system: there are rows of $table");
	}
	import_ok('sound', "$system: a sound database is imported", user => 'keeper');
	is(rows_of('sound', $target, $_, $columns{$_}), $before{$_}, "$system: all rows of $_ are there, unchanged") foreach @{ $tables{$system} };
	is(rows_of('sound', $backup, $_, $columns{$_}), $before{$_}, "$system: ... and in the backup") foreach @{ $tables{$system} };
	unlike(report('sound'), qr/odd|orphan|behind|counter|limit|duplicate|owner/, "$system: no row is reported");
	is(query($node, 'sound', 'SELECT count(*) FROM seed_backup.import_summary WHERE rows_before = rows_after'), scalar(@{ $tables{$system} }), "$system: the summary has each table");
	is(query($node, 'sound', 'SELECT count(*) FROM studio_engine.lint()'), '0', "$system: lint() finds nothing");
	is(query($node, 'sound', 'SELECT count(*) FROM studio_engine.missing_hooks()'), '0', "$system: no hook is missing");
	query($node, 'sound', q{SELECT public.ensure_profile(id) FROM auth.users});
	alive_ok($node, 'sound', $system) if $system ne 'content';

	if ($system eq 'refinement')
	{
		is(query($node, 'sound', q{SELECT string_agg(job ->> 'raw_audio_url', ', ') FROM public.claim_jobs('studio_jobs', 'w', 10)}),
			'audio NEW, audio TRANSCRIBING, audio ENRICHING, audio REFINING', 'open jobs are claimed, the oldest first');
	}
	elsif ($system eq 'pipeline')
	{
		is(query($node, 'sound', q{SELECT string_agg(seq || ' ' || event_type, ', ') FROM pipeline.events_since('run running')}), '1 e1, 2 e2, 3 e3', 'events are numbered');
		is(query($node, 'sound', q{SELECT pipeline.record_event('run running', 'bot', 'next'); SELECT pipeline.set_job_status('run running', 'completed') ->> 'status'}), "4\ncompleted", '... and go on');
	}
	else
	{
		is(query($node, 'sound', q{SELECT count(*) FROM public.search_module_content('zebra')}), '5', 'modules are found by their words');
		is(query($node, 'sound', with_ids(q{SELECT bool_and(company_id = <acme>) FROM (SELECT company_id FROM public.cm_course_plans UNION ALL SELECT company_id FROM public.cm_research_results
			UNION ALL SELECT company_id FROM public.cm_quality_assessments UNION ALL SELECT company_id FROM public.cm_enhancement_sessions UNION ALL SELECT company_id FROM public.mm_audio_narrations
			UNION ALL SELECT company_id FROM public.mm_slide_presentations) x})), 't', 'what belongs to a company has it');
		is(query($node, 'sound', q{SELECT public.register_multimedia_asset(md5('session started')::uuid, NULL, 'video', 'b.mp4') IS NOT NULL;
			SELECT total_assets_generated, video_files_generated FROM public.mm_multimedia_sessions WHERE session_id = md5('session started')::uuid}), "t\n4|2", 'counters go on');
	}
	is(query($node, 'sound', with_ids(q{DELETE FROM auth.users WHERE id IN (<ada>, <bob>); SELECT count(*) FROM auth.users})), '0', "$system: a user of before can be deleted");
	my ($status, $out) = import_into('sound', user => 'keeper');
	like("$status $out", qr/\A0 Nothing to import/, "$system: a second run finds nothing");
}

# --- odd rows ---------------------------------------------------------------------------------------

my %loose = (refinement => $refinement =~ s/ REFERENCES auth\.users \(id\)//r =~ s/NOT NULL/ /gr, pipeline => $pipeline =~ s/ REFERENCES jobs \(run_id\)//gr =~ s/NOT NULL/ /gr,
	content => $companies . $content);
database('odd', $loose{refinement} . $loose{pipeline} . $loose{content}, $users, $staff, $good{refinement}, $good{pipeline}, $good{content}, with_ids(q{
	INSERT INTO studio_jobs (job_id, status, user_id, raw_audio_url, system_prompt_used) VALUES
		(<s1>, 'complete ', <ada>, 'u', 'p'), (<s2>, 'LOST', <ada>, 'u', 'p'), (<s3>, NULL, <ada>, 'u', 'p'), (<s4>, 'NEW', <ghost>, 'u', 'p'),
		(<s5>, 'NEW', NULL, 'u', 'p'), (<s6>, 'COMPLETE', <ada>, NULL, NULL), (<s7>, 'COMPLETE', <ada>, repeat('x', 100000), 'p');
	INSERT INTO jobs (run_id, project_spec, owner_id, status) VALUES ('odd 1', '{}', <ghost>, 'Done'), ('odd 2', NULL, <bob>, NULL), ('odd 3', '{}', <bob>, 'PENDING');
	INSERT INTO job_events (id, run_id, bot_name, event_type, owner_id) VALUES (<e1>, 'no run', 'b', 'e', NULL), (<e2>, NULL, 'b', 'e', NULL), (<e3>, 'odd 3', NULL, 'e', <ada>);
	INSERT INTO artifacts (id, run_id, kind, checksum, created_at) VALUES (<a1>, 'odd 3', 'zip', 'same', '2025-01-01'), (<a2>, 'odd 3', 'zip', 'same', '2025-01-02'), (<a3>, 'no run', 'zip', NULL, NULL);
	INSERT INTO cm_module_content (content_id, company_id, module_name, session_id, status, priority_level, revision_count, introduction, total_word_count) VALUES
		(<m1>, <nowhere>, 'm', repeat('long ', 2000), 'published', 'urgent', -1, 'two words', 99), (<m2>, <other>, NULL, 's', 'Approved', NULL, NULL, NULL, NULL);
	INSERT INTO cm_course_plans (plan_id, employee_id, total_modules, status) VALUES (<p1>, <nobody>, -3, 'old');
	INSERT INTO cm_quality_assessments (assessment_id, content_id, overall_score, sections_needing_work) VALUES
		(<q1>, <m1>, 85, '{summary}'), (<q2>, <nowhere>, 5, NULL), (<q3>, NULL, 5, NULL);
	INSERT INTO mm_multimedia_sessions (session_id, content_id, company_id, status, progress_percentage, total_assets_generated) VALUES (<x1>, <m2>, <acme>, 'running', 130, 7);
	INSERT INTO mm_multimedia_assets (asset_id, session_id, content_id, company_id, asset_type, status, file_size_bytes) VALUES
		(<y1>, <x1>, <m1>, NULL, 'hologram', 'generated', -1), (<y2>, <nowhere>, <m2>, <other>, 'Video', 'lost', 1);
	INSERT INTO mm_audio_narrations (narration_id, session_id, master_audio_id, status) VALUES (<n1>, <x1>, <nowhere>, 'x');}));
query($node, 'odd', 'CREATE TABLE mm_rendering_queue (id integer); INSERT INTO mm_rendering_queue VALUES (1)', user => 'keeper');
my $printed = import_ok('odd', 'a database with odd rows of three systems is imported', user => 'keeper');
my %name_of = map { id($_) => $_ } qw(s1 s2 s3 s4 s5 s6 s7 e1 e2 e3 a1 a2 a3 m1 m2 p1 q1 q2 q3 x1 y1 y2 n1 ghost nowhere nobody acme other ada bob);
my $told = report('odd') =~ s/([0-9a-f]{8}-[-0-9a-f]{27})/$name_of{$1} \/\/ $1/ger;
my @expected = grep { /\S/ } split /\n/, <<'END';
odd value|studio_jobs s1: status was 'complete ', and is in the spelling of the document
odd value|studio_jobs s2: status was 'LOST', and is 'FAILED'
odd value|studio_jobs s3: status was NULL, and is 'FAILED'
row left behind|studio_jobs s4: there is no row of auth.users with its user_id
row left behind|studio_jobs s5 has no user_id
odd value|studio_jobs s6: raw_audio_url was NULL, and is ''
odd value|studio_jobs s6: system_prompt_used was NULL, and is ''
over the limit|studio_jobs s7: raw_audio_url has more than
orphan|pipeline.jobs odd 1: owner_id was 'ghost', which is not in auth.users, and is NULL
odd value|pipeline.jobs odd 1: status was 'Done', and is 'failed'
odd value|pipeline.jobs odd 2: project_spec was NULL, and is '{}'
odd value|pipeline.jobs odd 2: status was NULL, and is 'failed'
odd value|pipeline.jobs odd 3: status was 'PENDING', and is in the spelling of the document
row left behind|pipeline.job_events e1: there is no row of pipeline.jobs with its run_id
row left behind|pipeline.job_events e2 has no run_id
odd value|pipeline.job_events e3: bot_name was NULL, and is ''
other owner|pipeline.job_events e3: owner_id was ada, and is bob as above it
duplicate|pipeline.artifacts a2: an artifact of this kind and run has checksum 'same' already, and is NULL
row left behind|pipeline.artifacts a3: there is no row of pipeline.jobs with its run_id
orphan|cm_module_content m1: company_id was 'nowhere', which is not in public.companies, and is NULL
odd value|cm_module_content m1: status was 'published', and is 'failed'
odd value|cm_module_content m1: priority_level was 'urgent', and is 'medium'
odd value|cm_module_content m1: revision_count was '-1', and is 0
over the limit|cm_module_content m1: session_id is longer than
odd value|cm_module_content m2: module_name was NULL, and is ''
odd value|cm_module_content m2: status was 'Approved', and is in the spelling of the document
odd value|cm_module_content m2: revision_count was NULL, and is 0
orphan|cm_course_plans p1: employee_id was 'nobody', which is not in public.employees, and is NULL
odd value|cm_course_plans p1: total_modules was '-3', and is 0
odd value|cm_course_plans p1: status was 'old', and is 'failed'
odd value|cm_quality_assessments q1: overall_score was '85', and is NULL
odd value|cm_quality_assessments q1: sections_needing_work was '{summary}', and is '{}'
row left behind|cm_quality_assessments q2: there is no row of public.cm_module_content with its content_id
row left behind|cm_quality_assessments q3 has no content_id
odd value|mm_multimedia_sessions x1: status was 'running', and is 'failed'
odd value|mm_multimedia_sessions x1: progress_percentage was '130', and is 0
other owner|mm_multimedia_sessions x1: company_id was acme, and is other as above it
counter|mm_multimedia_sessions x1 said 7 files (0 slides, 0 audio, 0 video), and has 1
odd value|mm_multimedia_assets y1: asset_type was 'hologram', and is 'document'
odd value|mm_multimedia_assets y1: file_size_bytes was '-1', and is NULL
other owner|mm_multimedia_assets y1: content_id was m1, and is m2 as above it
orphan|mm_multimedia_assets y2: session_id was 'nowhere', which is not in public.mm_multimedia_sessions, and is NULL
odd value|mm_multimedia_assets y2: asset_type was 'Video', and is in the spelling of the document
odd value|mm_multimedia_assets y2: status was 'lost', and is 'failed'
orphan|mm_audio_narrations n1: master_audio_id was 'nowhere', which is not in public.mm_multimedia_assets, and is NULL
odd value|mm_audio_narrations n1: status was 'x', and is 'failed'
own table|public.mm_rendering_queue is not of the document
END
foreach my $line (@expected)
{
	ok((grep { index($_, $line) == 0 } split /\n/, $told) == 1, "reported: $line") or diag($told);
}
is(query($node, 'odd', q{SELECT sum(rows_before - rows_after) FROM seed_backup.import_summary}), '7', 'as many rows stay behind as the report says');
is(query($node, 'odd', q{SELECT count(*) FROM seed_backup.import_report WHERE damage = 'row left behind'}), '7', '... a line for each');
is(query($node, 'odd', with_ids(q{SELECT raw_audio_url = repeat('x', 100000) FROM studio_jobs WHERE job_id = <s7>})), 't', 'what is over the limit is whole');
is(query($node, 'odd', with_ids(q{SELECT total_word_count FROM cm_module_content WHERE content_id = <m1>})), '2', 'words are counted anew');
is(query($node, 'odd', 'SELECT count(*) FROM studio_engine.lint()'), '0', 'lint() finds nothing');
like($printed, qr/studio_jobs.*became|row left behind/s, 'the report is printed');

# --- beside each other, and what is refused ------------------------------------------------------------

# Pipeline in a schema of its own, as it must be where Video has a table jobs
database('apart', 'CREATE SCHEMA pipeline; SET search_path = pipeline;' . $pipeline . $good{pipeline}, $users, $refinement, $good{refinement});
import_ok('apart', 'Pipeline in schema pipeline, beside Refinement', user => 'keeper');
is(query($node, 'apart', 'SELECT (SELECT count(*) FROM pipeline.jobs), (SELECT count(*) FROM seed_backup_pipeline.jobs), (SELECT count(*) FROM public.studio_jobs), (SELECT count(*) FROM public.jobs)'),
	'6|6|6|0', '... each in its place');

# tables that only have the names of those of Pipeline stay
database('apart', $refinement, $users, $good{refinement}, 'CREATE TABLE prompts (id integer); CREATE TABLE artifacts (id integer);');
import_ok('apart', 'other tables prompts and artifacts in public', user => 'keeper');
is(query($node, 'apart', q{SELECT to_regclass('public.prompts') IS NOT NULL, to_regclass('pipeline.prompts') IS NOT NULL, to_regnamespace('seed_backup_pipeline') IS NULL}), 't|t|t', '... stay');

foreach my $case (
	[ 'a missing column', 'ALTER TABLE studio_jobs DROP COLUMN raw_audio_url', qr/column studio_jobs\.raw_audio_url is missing/ ],
	[ 'another type', 'ALTER TABLE studio_jobs ALTER job_id DROP DEFAULT, ALTER job_id TYPE text', qr/column studio_jobs\.job_id is text, not uuid/ ],
	[ 'a foreign key to it', 'CREATE TABLE likes (job_id uuid REFERENCES studio_jobs)', qr/constraint likes_job_id_fkey/ ],
	[ 'a backup', 'CREATE SCHEMA seed_backup', qr/schema seed_backup exists already/ ],
	[ 'a role that does not see the users', 'ALTER TABLE studio_jobs DROP CONSTRAINT studio_jobs_user_id_fkey; ALTER ROLE keeper NOBYPASSRLS',
		qr/rows of auth\.users are hidden from keeper, and user_id of public\.studio_jobs is no foreign key to it/ ],
	[ 'another name of ours', 'CREATE TABLE credit_accounts (id integer); DROP TABLE studio_jobs', qr/table public\.credit_ledger is missing/ ])
{
	my ($name, $change, $expected) = @$case;

	database('refused', $refinement);
	query($node, 'refused', $_, user => /ALTER ROLE/ ? 'postgres' : 'keeper') foreach split /; (?=ALTER ROLE)/, $change;
	my $dump = dump_text($node, 'refused');
	my ($status, undef, $err) = import_into('refused', user => 'keeper');
	ok($status != 0 && $err =~ /ERROR:  55000/ && $err =~ $expected, "$name is refused") or diag("$status: $err");
	same_text(dump_text($node, 'refused'), $dump, '... and nothing has changed');
	query($node, 'refused', 'ALTER ROLE keeper BYPASSRLS');
}

$node->stop;
done_testing();
