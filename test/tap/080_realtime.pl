# What a subscriber of Supabase Realtime gets: the publication as enable_realtime()
# makes it, a slot read through wal2json with the options of Realtime, and the
# question that it asks for each change and subscriber (may the role read the
# table, and does it see the row with this primary key).
#
# Pitfalls: Realtime asks when it polls, not when the change was made, so rows are
# kept until they were asked for.  And the role of Realtime is no superuser: what
# a superuser polls proves nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run ();
use JSON::PP ();
use List::Util qw(any sum uniq);
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('realtime', 'max_prepared_transactions = 2');
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($alice, $bob) = (uuid_of('alice'), uuid_of('bob'));

# Minor releases of late 2026 load an output plugin only if it is listed.
if (query($node, 'postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'}) eq '1')
{
	query($node, 'postgres', 'ALTER SYSTEM SET output_plugin_libraries = pgoutput, wal2json; SELECT pg_reload_conf();');
	$node->poll_query_until('postgres', q{SELECT current_setting('output_plugin_libraries') ~ 'wal2json'}) or give_up('no wal2json');
}

# --- Realtime -----------------------------------------------------------------

my $tables_of_publication = q{
	SELECT format('%I.%I', t.schemaname, t.tablename)::regclass IS NOT NULL AS may, format('%s.%s', t.schemaname, t.tablename) AS name
	  FROM pg_publication_tables t WHERE t.pubname = 'supabase_realtime'};

# The changes that Realtime reads, or with a slot of the second kind all there are.
sub changes_sql
{
	my ($slot, @options) = @_;

	return sprintf q{SELECT c.data FROM (SELECT string_agg(name, ',' ORDER BY name) FILTER (WHERE may) AS names FROM (%s) t) p,
		pg_logical_slot_get_changes('%s', NULL, NULL, 'format-version', '2', 'include-transaction', 'false',
			'include-pk', 'true', 'include-timestamp', 'true', 'include-type-oids', 'true', 'actions', 'insert,update,delete'%s) c;},
	  $tables_of_publication, $slot, join '', map { ", $_" } @options;
}

my $poll = changes_sql('realtime', q{'add-tables'}, 'p.names');

sub poll
{
	my ($db) = @_;

	return map { JSON::PP::decode_json($_) } split /\n/, query($node, $db // 'studio', $poll, user => 'supabase_realtime_admin');
}

# What everybody in the database wrote, as text.
sub everything
{
	return query($node, 'studio', changes_sql('everything'));
}

sub table_of { my ($change) = @_; return "$change->{schema}.$change->{table}" }

# The values of a change by column: of the new row, for a DELETE of the key.
sub row_of
{
	my ($change) = @_;

	return { map { $_->{name} => $_->{value} } @{ $change->{columns} // $change->{identity} } };
}

# Which changes a subscriber gets who filters by one column; without a user he is
# signed in, but nobody.
sub delivered
{
	my ($user, $column, $value, @changes) = @_;
	my @passed = grep { !defined $column || (row_of($_)->{$column} // '') eq $value } @changes;
	my @asked = grep { $passed[$_]{action} ne 'D' } 0 .. $#passed;
	my $claims = JSON::PP->new->canonical->encode({ role => 'authenticated', $user ? (sub => $user) : () });
	my $sql = "SET ROLE authenticated; SELECT set_config('request.jwt.claims', '$claims', false) \\g /dev/null\n";

	foreach my $i (@asked)
	{
		my $change = $passed[$i];
		my $row = row_of($change);

		$sql .= sprintf "SELECT %d WHERE (SELECT count(*) FROM %s WHERE %s) = 1;\n", $i, table_of($change),
		  join ' AND ', map { "$_->{name} = '$row->{$_->{name}}'" } @{ $change->{pk} };
	}
	my %seen = map { $_ => 1 } split /\n/, query($node, 'studio', $sql, user => 'supabase_realtime_admin');
	return @passed[ grep { $seen{$_} || $passed[$_]{action} eq 'D' } 0 .. $#passed ];
}

# What an assertion says of a change.
my %shown = (
	'public.jobs' => [qw(status progress)],
	'public.job_steps' => [qw(step_name state progress_pct)],
	'public.assets' => [qw(type)],
	'public.credit_ledger' => [qw(type amount balance_after)],
	'public.studio_jobs' => [qw(status)],
	'public.cm_module_content' => [qw(status)],
	'public.mm_multimedia_sessions' => [qw(status progress_percentage)],
	'public.mm_rendering_queue' => [qw(status progress)],
	'pipeline.jobs' => [qw(status last_event_seq)],
	'pipeline.artifacts' => [qw(kind)]);

sub line_of
{
	my ($change) = @_;
	my $row = row_of($change);

	return join ' ', $change->{action}, table_of($change) =~ s/^public\.//r,
	  $change->{action} eq 'D' ? () : map { $row->{$_} // 'null' } @{ $shown{ table_of($change) } };
}

sub changes_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($changes, $expected, $name) = @_;

	is_deeply([ map { line_of($_) } @$changes ], $expected, $name) or diag(join "\n", map { line_of($_) } @$changes);
	return;
}

# --- the database -------------------------------------------------------------

query($node, 'postgres', 'CREATE ROLE supabase_realtime_admin LOGIN NOINHERIT REPLICATION');
prepare_database($node, 'studio');
query($node, 'studio', 'GRANT anon, authenticated TO supabase_realtime_admin');
is(query($node, 'studio', 'SELECT count(*) FROM enable_realtime() WHERE added'), '10', 'ten tables are published');
query($node, 'studio', qq{
	SELECT pg_create_logical_replication_slot('realtime', 'wal2json'), pg_create_logical_replication_slot('everything', 'wal2json');
	INSERT INTO auth.users (id, email) VALUES ('$alice', 'a\@example.com'), ('$bob', 'b\@example.com');
	INSERT INTO projects (id, user_id, title, prompt_text, niche_preset) VALUES ('$alice', '$alice', 'p', 'p', 'facts');
	SELECT save_draft_prompt('the-session-token', 'A draft');});

# What Realtime read since the last step, and what the step answered.
my @all;

sub changes_of
{
	my ($sql) = @_;
	my $out = query($node, 'studio', $sql);
	my @changes = poll();

	push @all, @changes;
	return ($out, @changes);
}

my ($out, @changes) = changes_of('SELECT 1');
changes_ok(\@changes, [ ('I credit_ledger grant 10 10') x 2 ], 'sign-up: the welcome credits of two users');
changes_ok([ delivered($alice, 'user_id', $alice, @changes) ], ['I credit_ledger grant 10 10'], '... and Alice gets her own');

# --- a video job: status, progress, ledger ------------------------------------

(undef, @changes) = changes_of("SELECT purchase_credits('$alice', 20, 'pi_of_alice'), grant_credits('$bob', 1, NULL, 'key-of-bob')");
changes_ok([ delivered($alice, 'user_id', $alice, @changes) ], ['I credit_ledger purchase 20 30'], 'a purchase: one entry, with the balance');
changes_ok([ delivered($bob, undef, undef, @changes) ], ['I credit_ledger grant 1 11'], '... and Bob, without a filter, his own');

my @stages = qw(SCRIPTING VOICE_GEN ALIGNMENT VISUAL_PLAN IMAGE_GEN TIMELINE RENDERING PACKAGING);
my @floors = (5, 15, 25, 40, 50, 70, 75, 95);
my @story;
(my $job, @changes) = changes_of("SELECT create_job('$alice', 3)");
push @story, @changes;
changes_ok([ delivered($alice, 'user_id', $alice, @changes) ],
	[ 'I jobs PENDING 0', (map { 'I job_steps ' . lc . ' pending 0' } @stages), 'I credit_ledger reserve -3 27', 'U jobs PENDING 0', 'U jobs QUEUED 0' ],
	'a job is made: by user_id the row, its steps, the hold, the price, in the queue');
changes_ok([ delivered($alice, 'job_id', $job, grep { $_->{table} eq 'job_steps' } @changes) ],
	[ map { 'I job_steps ' . lc . ' pending 0' } @stages ], '... and by job_id its steps');

($out, @changes) = changes_of("SELECT lease_token FROM claim_jobs('jobs', 'the-worker', 1, '1 hour')");
my @tokens = ($out);
changes_ok(\@changes, [], 'a claim is nobody\'s business');
(undef, @changes) = changes_of("SELECT heartbeat_job('$job', '$out') FROM generate_series(1, 100)");
changes_ok(\@changes, [], 'nor are 100 heartbeats');

sub beats { return join ';', map { "SELECT heartbeat_job('$job', '$tokens[0]', $_)" } @_ }

query($node, 'studio', q{UPDATE studio_engine.settings SET value = '3600000' WHERE name = 'progress_interval_ms'});
(undef, @changes) = changes_of(beats(1 .. 100));
push @story, @changes;
changes_ok(\@changes, ['U jobs QUEUED 1'], '100 heartbeats with progress in one interval: the first');
query($node, 'studio', q{UPDATE studio_engine.settings SET value = '0' WHERE name = 'progress_interval_ms'});
(undef, @changes) = changes_of(beats(2 .. 4));
changes_ok(\@changes, [ map { "U jobs QUEUED $_" } 2 .. 4 ], 'without an interval each one');

foreach my $i (0 .. $#stages)
{
	my $step = lc $stages[$i];

	(undef, @changes) = changes_of(qq{
		SELECT advance_job('$job', '$stages[$i]', NULL, NULL, '$tokens[0]');
		SELECT update_job_step('$job', '$step', s, NULL, NULL, NULL, '$tokens[0]') FROM unnest('{started,succeeded}'::text[]) s;});
	push @story, @changes;
	changes_ok(\@changes, [ "U jobs $stages[$i] $floors[$i]", "U job_steps $step started 0", "U job_steps $step succeeded 100" ],
		"$stages[$i]: one change of the job, two of its step");
}
(undef, @changes) = changes_of(qq{
	SELECT record_asset('$job', 'video', 'https://example.com/v', 'v.mp4', NULL, NULL, NULL, '$tokens[0]');
	SELECT log_job('$job', 'info', 'A line', NULL, NULL, '$tokens[0]');
	SELECT complete_job('$job', 'https://example.com/v', NULL, 2, '$tokens[0]');});
push @story, @changes;
changes_ok(\@changes, [ 'I assets video', 'U jobs READY 100', 'I credit_ledger reserve 3 30', 'I credit_ledger usage -2 28' ],
	'complete: the file, READY, the hold given back, the price');
is(row_of($changes[1])->{output_url}, 'https://example.com/v', '... READY has the address of the film');
is_deeply([ sort { $a cmp $b } keys %{ row_of($changes[1]) } ],
	[ split / /, query($node, 'studio', q{SELECT string_agg(attname, ' ' ORDER BY attname COLLATE "C") FROM pg_attribute
		WHERE attrelid = 'jobs'::regclass AND attnum > 0 AND has_column_privilege('authenticated', attrelid, attname, 'SELECT')}) ],
	'... and every column that a user may read');

# --- refinement, pipeline, content ----------------------------------------------

(my $studio, @changes) = changes_of("SELECT create_studio_job('$alice', 'a.mp3') ->> 'job_id'");
changes_ok(\@changes, ['I studio_jobs NEW'], 'a studio job is made');
($out, @changes) = changes_of(q{SELECT lease_token FROM claim_jobs('studio_jobs', 'the-worker', 1, '1 hour')});
push @tokens, $out;
my $transcript = q{(SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 1000) i)};
(undef, my @changed) = changes_of(qq{
	SELECT update_studio_job_status('$studio', 'TRANSCRIBING', '$out');
	SELECT heartbeat_job('$studio', '$out', 10, 'Listening') FROM generate_series(1, 100);
	SELECT store_transcript('$studio', $transcript, '$out');
	SELECT store_enrichment('$studio', '{"names": []}', '$out');
	SELECT store_refined_text('$studio', 'Refined', 'model', '$out');});
changes_ok([ delivered($alice, 'user_id', $alice, grep { $_->{action} eq 'U' && $_->{table} eq 'studio_jobs' } @changes, @changed) ],
	[ map { "U studio_jobs $_" } qw(TRANSCRIBING ENRICHING REFINING COMPLETE) ],
	'the subscription of the seed, UPDATE of studio_jobs with user_id=eq.: each status once');
is(length row_of($changed[1])->{raw_transcript}, 32999, '... a long text comes with the change that stored it');
ok(!(any { exists row_of($_)->{raw_transcript} } @changed[ 2, 3 ]), '... and with no later one');
is(row_of($changed[3])->{refined_text}, 'Refined', '... which has what is new');

(undef, @changes) = changes_of(qq{
	SELECT pipeline.create_job('run-1', '{}', '$alice');
	SELECT pipeline.set_job_status('run-1', 'running');
	SELECT pipeline.record_event('run-1', 'bot', 'e', '{}');
	SELECT pipeline.register_artifact('run-1', 'zip', 'https://example.com/z');
	SELECT pipeline.set_job_status('run-1', 'completed');});
my @runs = delivered($alice, 'owner_id', $alice, @changes);
is_deeply([ map { line_of($_) } grep { $_->{table} eq 'artifacts' } @runs ], ['I pipeline.artifacts zip'], 'the pipeline: an artifact');
is_deeply([ uniq map { row_of($_)->{status} } grep { $_->{table} eq 'jobs' } @runs ], [qw(pending running completed)], '... each status');
is_deeply([ uniq map { row_of($_)->{last_event_seq} } grep { $_->{table} eq 'jobs' } @runs ], [ 0 .. 4 ], '... the number of each event');
is(scalar @runs, scalar @changes, '... by owner_id all there is');

(undef, @changes) = changes_of(qq{
	INSERT INTO companies (id, name) VALUES ('$alice', 'c');
	INSERT INTO employees (company_id, user_id, name) VALUES ('$alice', '$alice', 'a');
	SELECT create_module_content('A module', p_company_id => '$alice') AS content \\gset
	SELECT update_module_section(:'content', 'introduction', 'Hello there');
	SELECT store_quality_assessment(:'content', 8);
	SELECT create_multimedia_session(:'content') AS session \\gset
	SELECT update_session_status(:'session', 'processing', 10);
	SELECT register_multimedia_asset(:'session', NULL, 'video', 'v.mp4');
	SELECT update_session_status(:'session', 'completed');
	SELECT enqueue_rendering(:'session') AS rendering \\gset
	SELECT lease_token AS token FROM claim_jobs('mm_rendering_queue', 'the-worker', 1, '1 hour') \\gset
	SELECT update_rendering(:'rendering', 'rendering', 5, :'token');
	SELECT heartbeat_job(:'rendering', :'token') FROM generate_series(1, 100);
	SELECT heartbeat_job(:'rendering', :'token', 20);
	SELECT complete_rendering(:'rendering', NULL, :'token');});
changes_ok([ delivered($alice, 'company_id', $alice, @changes) ],
	[
		'I cm_module_content draft', (map { "U cm_module_content $_" } qw(draft quality_check approved)),
		'I mm_multimedia_sessions started 0', ('U mm_multimedia_sessions processing 10') x 2, 'U mm_multimedia_sessions completed 100',
		'I mm_rendering_queue queued 0', (map { "U mm_rendering_queue rendering $_" } 5, 20), 'U mm_rendering_queue completed 100'
	],
	'content, by company_id: each status, and the counters of the session');

# --- who gets it, and what nobody gets ------------------------------------------

changes_ok([ delivered($bob, undef, undef, @all) ], [ 'I credit_ledger grant 10 10', 'I credit_ledger grant 1 11' ],
	'Bob, with no filter, gets his own two entries of ' . @all . ' changes');
changes_ok([ delivered($bob, 'user_id', $alice, @all) ], [], '... and none when he asks for those of Alice');
changes_ok([ delivered(undef, undef, undef, @all) ], [], 'who is signed in as nobody gets nothing');
@changes = delivered($alice, undef, undef, @all);
is(scalar @changes, @all - 2, 'a control: Alice gets all others');
is_deeply([ sort { $a cmp $b } uniq map { table_of($_) } @all ],
	[ sort { $a cmp $b } split /\n/, query($node, 'studio', 'SELECT * FROM studio_engine.realtime_tables()') ],
	'every published table had changes, and no other');

my $stream = JSON::PP->new->canonical->encode(\@all);
my $written = everything();
foreach my $secret (@tokens, 'the-session-token', 'the-worker', 'progress_interval_ms')
{
	ok(index($written, $secret) >= 0, "a control: $secret is in the log of the database");
	ok(index($stream, $secret) < 0, '... and not in what Realtime reads');
}
my $heartbeats = () = $written =~ /"action":"U",[^\n]*"table":"attempts"/g;
cmp_ok($heartbeats, '>=', 404, 'a control: heartbeats are in the log, as rows that are not published');

# --- DELETE: everybody, with the key only -----------------------------------------

(undef, @changes) = changes_of("DELETE FROM projects WHERE id = '$alice'; DELETE FROM auth.users WHERE id = '$alice'");
my @deleted = grep { $_->{action} eq 'D' } @changes;
is_deeply([ sort { $a cmp $b } uniq map { line_of($_) } @deleted ],
	[ map { "D $_" } qw(assets credit_ledger job_steps jobs pipeline.artifacts pipeline.jobs studio_jobs) ], 'a user is deleted, with all that is hers');
is_deeply([ sort { $a cmp $b } uniq map { join ' ', map { $_->{name} } @{ $_->{identity} } } @deleted ], [ 'id', 'job_id', 'run_id' ], '... of each row the key, and nothing else');
is_deeply([ delivered($bob, undef, undef, @changes) ], \@deleted, '... which Bob gets');
ok(!(any { JSON::PP->new->encode($_) =~ /\Q$alice\E/ } @deleted), '... and in which there is no word of her');
changes_ok([ delivered($bob, 'user_id', $bob, @deleted) ], [], '... and nothing with the filter that clients use');

# --- what it costs ------------------------------------------------------------------

# Three jobs one after the other; the first may write whole pages.
query($node, 'studio', qq{
	INSERT INTO projects (id, user_id, title, prompt_text, niche_preset) VALUES ('$bob', '$bob', 'p', 'p', 'facts');
	UPDATE studio_engine.settings SET value = '3600000' WHERE name = 'progress_interval_ms';});
foreach my $beats (0, 0, 100)
{
	poll();
	everything();
	my $all = query($node, 'studio', qq{
		SELECT pg_current_wal_insert_lsn() AS start \\gset
		SELECT create_job('$bob', 1) AS job \\gset
		SELECT lease_token AS token FROM claim_jobs('jobs', 'w', 1, '1 hour') \\gset
		SELECT advance_job(:'job', s, NULL, NULL, :'token') FROM unnest('{@{[ join ',', @stages ]}}'::text[]) s \\g /dev/null
		SELECT pg_current_wal_insert_lsn() AS before \\gset
		@{[ join '', map { "SELECT heartbeat_job(:'job', :'token', 95 + $_ % 5) \\g /dev/null\n" } 1 .. $beats ]}
		SELECT pg_current_wal_insert_lsn() AS after \\gset
		SELECT complete_job(:'job', 'https://example.com/v', NULL, NULL, :'token') \\g /dev/null
		SELECT pg_current_wal_insert_lsn() - :'start' || ' ' || (:'after'::pg_lsn - :'before'::pg_lsn);});
	my ($bytes, $of_beats) = split / /, $all;
	@changes = poll();
	my $read = sum map { length JSON::PP->new->encode($_) } @changes;
	my $rows = () = everything() =~ /"action"/g;

	diag("a job of 8 stages and steps, $beats heartbeats with progress: $bytes bytes of WAL, $of_beats of them for the heartbeats; "
		. "$rows rows written, " . @changes . " of them published, $read bytes of JSON");
	is(scalar @changes, $beats ? 24 : 23, "a job with $beats heartbeats with progress: so many changes are published");
}

# --- the poll, and what would end it --------------------------------------------------

my @ends = ([ 'REVOKE USAGE ON SCHEMA pipeline FROM supabase_realtime_admin', 'pipeline' ],
	[ 'ALTER PUBLICATION supabase_realtime ADD TABLE studio_engine.settings', 'studio_engine' ]);
foreach my $case (@ends)
{
	query($node, 'studio', $case->[0]);
	refused_ok($node, 'studio', $poll, '42501', [qr/schema $case->[1]/], "a control: no poll at all after $case->[0]", user => 'supabase_realtime_admin');
	query($node, 'studio', 'ALTER PUBLICATION supabase_realtime DROP TABLE studio_engine.settings') if $case->[1] eq 'studio_engine';
}
is(query($node, 'studio', 'SELECT count(*) FROM enable_realtime() WHERE added'), '0', 'enable_realtime() again adds nothing');
is(scalar poll(), 0, '... but lets Realtime use the schema');

query($node, 'studio', qq{
	SELECT pipeline.create_job('run-2', '{}', '$bob');
	SELECT studio_engine.partition_by_month('job_events', 1), studio_engine.partition_by_month('logs', 0), studio_engine.add_partitions('job_events', 2);});
poll();
(undef, @changes) = changes_of(q{SELECT pipeline.record_event('run-2', 'bot', 'e')});
changes_ok([ delivered($bob, 'owner_id', $bob, @changes) ], ['U pipeline.jobs pending 2'], 'with partitions, an event still rings');
query($node, 'studio', 'ALTER PUBLICATION supabase_realtime ADD TABLE pipeline.job_events');
refused_ok($node, 'studio', $poll, '42501', [qr/schema studio_engine/], 'a control: published partitions end the poll', user => 'supabase_realtime_admin');
refused_ok($node, 'studio', 'SELECT * FROM enable_realtime()', '55000', [qr/DETAIL: .*has table pipeline\.job_events\./], '... and enable_realtime() says so');
query($node, 'studio', 'ALTER PUBLICATION supabase_realtime DROP TABLE pipeline.job_events');

# --- dump, restore, install again -------------------------------------------------------

my $members = q{SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY 1) FROM (SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime' ORDER BY 1, 2) t;
	SELECT has_schema_privilege('supabase_realtime_admin', 'pipeline', 'USAGE')};
my $published = query($node, 'studio', $members);
query($node, 'postgres', 'CREATE DATABASE copy TEMPLATE template0');
$node->command_ok([ 'pg_dump', '-Fc', '-d', 'studio', '-f', "$dir/dump" ], 'pg_dump');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'copy', "$dir/dump" ], 'pg_restore');
is(query($node, 'copy', $members), $published, 'a copy publishes the same');
is(query($node, 'copy', 'SELECT count(*) FROM enable_realtime() WHERE added'), '0', '... so there is nothing to add');
sql_ok($node, 'copy', 'DROP EXTENSION studio_engine CASCADE; CREATE EXTENSION studio_engine', 'removed and installed again');
is(query($node, 'copy', $members), $published, '... it still does');

# --- at once, and beside a writer ----------------------------------------------------------

prepare_database($node, 'race');
query($node, 'race', 'DROP PUBLICATION supabase_realtime');
my @callers = map {
	my ($out, $err) = ('', '');
	[ IPC::Run::start([ 'psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', 'race', '-c', 'SELECT count(*) FILTER (WHERE added), count(*) FROM enable_realtime()' ],
			'>', \$out, '2>', \$err), \$out, \$err ]
} 1 .. 8;
$_->[0]->finish foreach @callers;
is_deeply([ sort { $a cmp $b } map { ${ $_->[1] } . ${ $_->[2] } } @callers ], [ ("0|10\n") x 7, "10|10\n" ], 'of eight callers at once one adds, and all are told');
query($node, 'race', q{
	DROP PUBLICATION supabase_realtime;
	BEGIN;
	INSERT INTO auth.users (id, email) VALUES (gen_random_uuid(), 'w@example.com');
	INSERT INTO studio_jobs (user_id, raw_audio_url) SELECT id, 'a' FROM auth.users;
	PREPARE TRANSACTION 'writer';});
sql_ok($node, 'race', q{SET lock_timeout = '5s'; SELECT * FROM enable_realtime()}, 'an open transaction that wrote does not hold it up');
query($node, 'race', q{COMMIT PREPARED 'writer'});

# --- an owner who is no superuser, another schema ---------------------------------------------

query($node, 'postgres', 'CREATE ROLE app LOGIN; CREATE ROLE stranger LOGIN; CREATE DATABASE owned;');
load_stub($node, 'owned');
query($node, 'owned', q{
	GRANT CREATE ON DATABASE owned TO app;
	CREATE SCHEMA studio;
	GRANT USAGE, CREATE ON SCHEMA studio TO app;
	GRANT USAGE ON SCHEMA auth TO app;
	GRANT TRIGGER, REFERENCES ON auth.users TO app;});
sql_ok($node, 'owned', 'CREATE EXTENSION studio_engine SCHEMA studio', 'an ordinary role installs', user => 'app');
query($node, 'owned', 'GRANT USAGE ON SCHEMA studio TO stranger');
refused_ok($node, 'owned', 'SELECT * FROM studio.enable_realtime()', '42501', [qr/permission denied for function/], 'another role may not publish', user => 'stranger');
my @lacks = (qr/DETAIL: .*Publication supabase_realtime belongs to postgres\./, qr/Role supabase_realtime_admin may not use schema studio, which belongs to postgres\./);
refused_ok($node, 'owned', 'SELECT * FROM studio.enable_realtime()', '42501', [ @lacks, qr/HINT: / ], 'the owner is told what he lacks', user => 'app');
is(query($node, 'owned', q{SELECT count(*) FROM pg_publication_tables}), '0', '... and nothing was done');
query($node, 'owned', 'DROP PUBLICATION supabase_realtime; ALTER SCHEMA studio OWNER TO app');
is(query($node, 'owned', 'SELECT count(*) FROM studio.enable_realtime() WHERE added', user => 'app'), '10', 'with the schema his he makes the publication');
is(query($node, 'owned', q{SELECT has_schema_privilege('supabase_realtime_admin', 'studio', 'USAGE'), has_schema_privilege('supabase_realtime_admin', 'pipeline', 'USAGE'),
	has_schema_privilege('supabase_realtime_admin', 'studio_engine', 'USAGE')}), 't|t|f', '... and opens its schemas to Realtime');
is(query($node, 'owned', 'SELECT count(*) FROM studio.enable_realtime() WHERE added'), '0', '... and for a superuser nothing is left to do');

$node->stop;
done_testing();
