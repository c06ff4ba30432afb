# Broadcast in the life of a database: what a job sends and costs next to Postgres Changes, a dump and its
# restoration where Realtime is not there yet, sessions that are open while it goes.
#
# Pitfall: the stand-in for schema realtime is that of test/sql.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $node = new_cluster('broadcast', 'wal_level = replica');
my $alice = uuid_of('alice');
my $stub = slurp_file("$FindBin::RealBin/../sql/include/realtime_stub.sql");

prepare_database($node, 'studio');
query($node, 'studio', qq{
	INSERT INTO auth.users (id, email) VALUES ('$alice', 'a\@example.com');
	INSERT INTO projects (id, user_id, title, prompt_text, niche_preset) VALUES ('$alice', '$alice', 'p', 'p', 'facts');
	SELECT grant_credits('$alice', 100, NULL, 'once', NULL);});

# --- a video job, each call a transaction ---------------------------------------------

my @stages = qw(SCRIPTING VOICE_GEN ALIGNMENT VISUAL_PLAN IMAGE_GEN TIMELINE RENDERING PACKAGING);

# Returns the job and the bytes of WAL.
sub video_job
{
	my ($db, $beats) = @_;
	my $work = join '', map {
		my $step = lc;
		"SELECT advance_job(:'job', '$_', p_lease_token => :'token') \\g /dev/null\n"
		  . join '', map { "SELECT update_job_step(:'job', '$step', '$_', p_lease_token => :'token') \\g /dev/null\n" } qw(started succeeded);
	} @stages;

	return split / /, query($node, $db, qq{
		SELECT pg_current_wal_insert_lsn() AS start \\gset
		SELECT create_job('$alice', 1) AS job \\gset
		SELECT lease_token AS token FROM claim_jobs('jobs', 'w', 1, '1 hour') \\gset
		$work
		@{[ join '', map { "SELECT heartbeat_job(:'job', :'token', 95 + $_ % 5) \\g /dev/null\n" } 1 .. $beats ]}
		SELECT record_asset(:'job', 'video', 'https://example.com/v', 'v.mp4', p_lease_token => :'token') \\g /dev/null
		SELECT complete_job(:'job', 'https://example.com/v', p_lease_token => :'token') \\g /dev/null
		SELECT :'job' || ' ' || (pg_current_wal_insert_lsn() - :'start');});
}

sub messages { my ($db) = @_; return query($node, $db, q{SELECT count(*) || ' ' || coalesce(sum(length(payload::text)), 0) FROM realtime.messages}) }

video_job('studio', 0) for 1 .. 2;
my (undef, $without) = video_job('studio', 0);

query($node, 'studio', $stub);
is(query($node, 'studio', 'SELECT count(*) FROM enable_broadcast() WHERE added'), '10', 'ten tables tell of their changes');
is(query($node, 'studio', 'SELECT count(*) FROM studio_engine.direct_tables() WHERE reason IS NOT NULL'), '0', '... by the fast path, too');
video_job('studio', 0);
foreach my $beats (0, 100)
{
	query($node, 'studio', 'TRUNCATE realtime.messages');
	my ($job, $with) = video_job('studio', $beats);
	my ($count, $bytes) = split / /, messages('studio');

	diag("a job of 8 stages and steps, $beats heartbeats with progress: $count messages, $bytes bytes; $with bytes of WAL, without $without");
	is($count, $beats ? 39 : 38, "a job with $beats heartbeats with progress: so many messages, as many as changes that Postgres Changes publishes, but one a transaction");
	cmp_ok($bytes / $count, '<', 250, '... each small');
	is(query($node, 'studio', "SELECT count(*) FROM realtime.messages WHERE topic <> 'user:$alice' OR NOT private"), '0', '... to the user alone');
}

# --- a session that is open while Realtime comes and goes ---------------------------------

my $session = $node->background_psql('studio', on_error_stop => 0);
$session->query("SELECT create_studio_job('$alice', 'a.mp3')");
query($node, 'studio', 'ALTER SCHEMA realtime RENAME TO realtime_gone');
$session->query("SELECT create_studio_job('$alice', 'b.mp3')");
query($node, 'studio', 'ALTER SCHEMA realtime_gone RENAME TO realtime');
$session->query("SELECT create_studio_job('$alice', 'c.mp3')");
is($session->{stderr} // '', '', 'an open session goes on without schema realtime, and says nothing');
$session->quit;
is(query($node, 'studio', q{SELECT count(*) FROM realtime.messages WHERE event = 'studio_jobs'}), '2', '... and what it did meanwhile is not told');

# --- a lock on the table of messages, and a slow one -------------------------------------------

query($node, 'studio', 'TRUNCATE realtime.messages');
my $locker = $node->background_psql('studio');
$locker->query_safe('BEGIN; LOCK TABLE realtime.messages_of_today IN SHARE MODE');
my ($status, undef, $warning) = $node->psql('studio', "SET lock_timeout = '10s'; SELECT create_studio_job('$alice', 'l.mp3'); SELECT create_studio_job('$alice', 'l.mp3')");
is($status, 0, 'a commit does not wait for a lock on the messages');
is(() = $warning =~ /Table realtime.messages is locked/g, 1, '... and warns once a session');
$locker->query_safe('COMMIT');
$locker->quit;
like(messages('studio'), qr/^0 /, '... nothing is sent');

# --- many at once ---------------------------------------------------------------------------

query($node, 'studio', q{UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs'; TRUNCATE realtime.messages;});
my $script = "$node->{_basedir}/many.sql";
append_to_file($script, "BEGIN; SELECT create_studio_job('$alice', 'm.mp3'); SAVEPOINT a; SELECT create_studio_job('$alice', 'n.mp3'); ROLLBACK TO a; COMMIT;\n");
$node->command_ok([ 'pgbench', '-n', '-f', $script, '-c', 4, '-t', 50, 'studio' ], 'four sessions at once');
is(query($node, 'studio', q{SELECT count(*) || ' ' || count(DISTINCT payload ->> 'id') FROM realtime.messages}), '200 200', '... each job that was made is told once');

# --- dump and restore -----------------------------------------------------------------------

my $dump = PostgreSQL::Test::Utils::tempdir() . '/studio.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '--exclude-schema=realtime', '-d', 'studio' ], 'a dump without the schema of the platform');
query($node, 'postgres', 'CREATE DATABASE copy TEMPLATE template0');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', 'copy', '-f', $dump ], '... is restored where Realtime is not there yet');
video_job('copy', 0);
pass('... where jobs work');
query($node, 'copy', $stub);
video_job('copy', 0);
like(messages('copy'), qr/^0 /, '... and tell nothing in a schema realtime without our policies, where others could hear');
is(query($node, 'copy', 'SELECT count(*) FROM enable_broadcast() WHERE added'), '0', '... the triggers came with the dump');
is(query($node, 'copy', q{SELECT count(*) FROM pg_policy WHERE polrelid = 'realtime.messages'::regclass}), '4', '... and enable_broadcast() makes the policies');
video_job('copy', 0);
like(messages('copy'), qr/^38 /, '... with which it tells');
is(query($node, 'copy', 'SELECT count(*) FROM disable_broadcast() WHERE removed'), '10', 'an end of it');
query($node, 'copy', 'DROP EXTENSION studio_engine CASCADE');
query($node, 'copy', 'CREATE EXTENSION studio_engine');
is(query($node, 'copy', 'SELECT count(*) FROM enable_broadcast() WHERE added'), '10', 'a data layer that is adopted can tell again');

books_ok($node, $_) for qw(studio copy);
done_testing();
