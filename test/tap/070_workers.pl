# Ten workers do twenty thousand jobs, half of them with credits on hold, while
# clients are killed, sessions are cut off, workers go silent and come back, jobs
# are cancelled, and the server is killed once: each job ends exactly once, no
# credit is lost, attempts add up, and who lost a lease changes nothing.  Then
# claims go on, in order, over an old snapshot.
#
# SOAK_OPERATIONS  jobs, 20,000 without it; with fewer not everything happens that must
# SOAK_SEED        makes the same plans for the same jobs again and kills by the
#                  same dice; when, and who has which job, is left to the machine
#
# Pitfall: a killed psql is noticed only when the server has something to tell it,
# so client_connection_check_interval lets it look in the middle of a transaction.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerFarm;

my $workers = 10;
my $many = $ENV{SOAK_OPERATIONS} || 20000;
my $seed = $ENV{SOAK_SEED} || 1 + int rand 2**31 - 1;
my $patience = 120 + $many / 50;    # seconds
my $dir = PostgreSQL::Test::Utils::tempdir();
my $db = 'farm';
my %happened = map { $_ => 0 } qw(killed terminated);

diag("SOAK_SEED=$seed SOAK_OPERATIONS=$many");
srand $seed;

my $node = new_cluster('workers', 'fsync = on', 'synchronous_commit = on', 'full_page_writes = on',
	'client_connection_check_interval = 10ms', 'deadlock_timeout = 200ms', 'max_wal_size = 2GB',
	'log_min_messages = log', 'log_min_error_statement = panic');
prepare_database($node, $db);
my $begun = time();
query($node, $db, farm_sql($seed, $many));
note(sprintf '%d jobs made in %.1f s', $many, time() - $begun);

# --- clients ----------------------------------------------------------------------

my @clients;

# A psql in the background.
sub start_psql
{
	my ($db, $name, $file, @commands) = @_;
	local $ENV{PGOPTIONS} = '-c role=service_role';
	local $ENV{PGAPPNAME} = $name;

	return IPC::Run::start(
		[ 'psql', '-XqAt', '-v', 'SHOW_CONTEXT=never', '-h', $node->host, '-p', $node->port, '-d', $db, map { ('-c', $_) } @commands ],
		'<', '/dev/null', '>', '/dev/null', '2>', $file);
}

# One that calls a procedure of the farm with its own name.
sub start_client
{
	my ($what, $slot) = @_;
	my $name = "$what $slot." . scalar @clients;
	my %client = (what => $what, slot => $slot, name => $name, file => "$dir/" . @clients);

	$client{handle} = start_psql($db, $name, $client{file}, "CALL farm.$what('$name')");
	push @clients, \%client;
	return \%client;
}

sub start_all
{
	return ((map { start_client('work', $_) } 1 .. $workers), (map { start_client('reap', $_) } 1 .. 2), start_client('cancel', 1));
}

# Ends a client: its session, or the client itself, also where it has no session yet.
sub kill_one
{
	my ($client) = @_;
	my $cut_off = rand() < 0.5 && query($node, $db,
		"SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '$client->{name}'");

	$client->{handle}->kill_kill if !$cut_off;
	$happened{ $cut_off ? 'terminated' : 'killed' }++;
	$client->{handle}->finish;
	return;
}

sub ended
{
	return query($node, $db, 'SELECT count(*) FROM farm.ends');
}

# Kills one client after the other, and starts another in its place, until so
# many jobs have ended.
sub kill_until
{
	my ($wanted, $running) = @_;
	my $until = time() + $patience;

	while (ended() < $wanted && time() < $until)
	{
		sleep 0.1 + rand 0.3;
		my $victim = int rand @$running;
		my $client = $running->[$victim];
		kill_one($client);
		$running->[$victim] = start_client($client->{what}, $client->{slot});
	}
	return ended() >= $wanted;
}

# Waits for all clients to end by themselves.
sub all_end
{
	my ($db) = @_;

	return $node->poll_query_until($db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name ~ '^(work|reap|cancel|claim) '});
}

# What clients said besides what they have done.
sub errors_of_clients
{
	my $expected = qr/^INFO:|server\ closed\ the\ connection|terminated\ abnormally|before\ or\ while\ processing|
		connection\ to\ server\ was\ lost|terminating\ connection\ due\ to\ administrator\ command|^\s*$/x;

	return map { my $name = $_->{name}; map { "$name: $_" } grep { !/$expected/ } split /\n/, slurp_file($_->{file}) } @clients;
}

# Tells the database what its clients were told; how much that is.
sub note_acknowledged
{
	my @said = map { slurp_file($_->{file}) =~ /^INFO:  (\S{36} \S{36} \w+)$/mg } @clients;

	query($node, $db, join "\n", "COPY farm.said FROM stdin (DELIMITER ' ');", @said, '\.', '');
	return scalar @said;
}

# --- audits -------------------------------------------------------------------------

sub audits_ok
{
	my ($db, @audits) = @_;

	foreach my $audit (@audits)
	{
		my ($name, $sql) = @$audit;
		my @wrong = split /\n/, query($node, $db, "$sql;");

		is(join("\n", grep { defined } @wrong[ 0 .. 9 ]), '', $name) or diag(scalar(@wrong) . " rows, seed $seed");
	}
	return;
}

# Each way to ruin the result is seen by the audit that is there for it.
sub ruins_ok
{
	my ($db, $audits, @ruins) = @_;

	foreach my $ruin (@ruins)
	{
		my ($number, $damage) = @$ruin;
		my ($name, $sql) = @{ $audits->[$number] };
		my $seen = query($node, $db, "BEGIN; SET LOCAL studio_engine.maintenance = on; $damage; SELECT 'seen ' || EXISTS ($sql); ROLLBACK;");

		ok($seen =~ /^seen true$/m, "it would be seen if not: $name");
	}
	return;
}

# How often what happened, in the database and to the clients.
sub count_all
{
	my $counts = query($node, $db, q{
		SELECT what, count(*) FROM farm.happened GROUP BY 1
		UNION ALL SELECT outcome, count(*) FROM studio_engine.attempts GROUP BY 1
		UNION ALL SELECT by_whom, count(*) FROM (SELECT CASE WHEN by_whom LIKE 'token%' THEN 'ended by a worker'
			WHEN by_whom LIKE 'reap%' THEN 'ended by the reaper' WHEN by_whom LIKE 'cancel%' THEN 'ended by the canceller' END AS by_whom
			FROM farm.ends) e WHERE by_whom IS NOT NULL GROUP BY 1});

	return (%happened, map { split /\|/ } split /\n/, $counts);
}

# --- the work -----------------------------------------------------------------------

$begun = time();
my @running = start_all();
ok(kill_until(0.4 * $many, \@running), 'before the crash two fifths are done');
my $before = ended();
kill_server($node);
$_->{handle}->finish foreach @running;
$node->start;
ok(slurp_file($node->logfile) =~ /automatic recovery in progress/, 'the server was killed and recovered');
cmp_ok(ended(), '>=', $before, 'what had ended has ended');
note(sprintf '%d jobs ended before the crash, %.1f s', $before, time() - $begun);

@running = start_all();
ok(kill_until(0.97 * $many, \@running), 'after it, nearly all is done');
ok(all_end($db), 'the others end by themselves, since there is nothing left to do');
$_->{handle}->finish foreach @running;
note(sprintf 'all done after %.1f s', time() - $begun);

is(join("\n", errors_of_clients()), '', 'no client saw another error than that it was cut off');
my $said = note_acknowledged();
cmp_ok($said, '>', 0.9 * $many, "$said answers were acknowledged");
audits_ok($db, farm_audits());
ruins_ok($db, [ farm_audits() ], farm_ruins());
books_ok($node, $db, 'after all of it');
indexes_ok($node, $db, 'after all of it');

my %count = count_all();
note("$_: $count{$_}") foreach sort keys %count;
is(join(', ', grep { !$count{$_} } qw(completed failed retried expired cancelled snoozed released killed terminated silence release),
		'said again', 'ended by a worker', 'ended by the reaper', 'ended by the canceller',
		map { "refused $_" } qw(heartbeat advance complete retry fail snooze asset log)), '', 'everything happened');
is(query($node, 'postgres', "SELECT deadlocks FROM pg_stat_database WHERE datname = '$db'"), '0', 'no deadlock since the crash');
note(sprintf 'audited after %.1f s', time() - $begun);

# --- an old snapshot ------------------------------------------------------------------

my $over = 'old_snapshot';
prepare_database($node, $over);
query($node, $over, claims_sql(20000));

my $snapshot = q{SELECT backend_xmin FROM pg_stat_activity WHERE application_name = 'holder' AND wait_event = 'PgSleep'};
my $holder = start_psql($over, 'holder', "$dir/holder", 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM public.studio_jobs',
	'SELECT pg_sleep(3600)');
ok($node->poll_query_until($over, "SELECT EXISTS ($snapshot)"), 'somebody has a snapshot');
my $xmin = query($node, $over, $snapshot);

$begun = time();
query($node, $over, q{CALL claims.run('alone', 500)});
my @claimers = map { start_psql($over, "claim $_", "$dir/claim $_", "CALL claims.run('claimer $_', NULL)") } 1 .. 4;
ok(all_end($over), 'claims come to an end');
$_->finish foreach @claimers;
note(sprintf '20,000 claims took %.1f s; %s', time() - $begun, query($node, $over, q{
	SELECT string_agg(format('%s a second', round(count / seconds)), ', ' ORDER BY part) FROM (
		SELECT no / 4000 AS part, count(*), extract(epoch FROM max(at) - min(at)) AS seconds
		  FROM claims.got WHERE no < 20000 GROUP BY 1) p}));

is(join('', map { slurp_file("$dir/claim $_") } 1 .. 4), '', 'no claimer saw an error');
is(query($node, $over, $snapshot), $xmin, '... and the snapshot is still there');
is(query($node, $over, 'SELECT count(*) FROM claims.got'), '20001', 'all jobs were claimed');
audits_ok($over, claims_audits());
ruins_ok($over, [ claims_audits() ], claims_ruins());
query($node, $over, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'});
$holder->finish;

$node->stop;
done_testing();
