# Services for each stage of studio jobs, in processes of their own, that hand jobs
# on to each other: they are killed and started again, stages are paused, limited
# and resumed, users have a limit, jobs fail, are cancelled and tried again in bulk.
# Each stage of each job is done once, no limit is exceeded, no stage starves, no
# credit is lost, and every claim is accounted for.
#
# FARM_JOBS  how many, 3,000 without it, which takes less than a minute; FARM_JOBS=20000
#            is the long run, and with less than 2,000 there is too little to do
# FARM_SEED  makes the same plans for the same jobs again and kills by the same dice;
#            when, and who has which job, is left to the machine
#
# Pitfall: a killed psql is noticed only when the server has something to tell it,
# so client_connection_check_interval lets it look in the middle of a transaction.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StageFarm;
use StudioTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $many = $ENV{FARM_JOBS} || 3000;
my $seed = $ENV{FARM_SEED} || 1 + int rand 2**31 - 1;
my $patience = 120 + $many / 20;    # seconds
my $waiting = 300;    # jobs that are there at a time, so that every stage has work until the end
my $dir = PostgreSQL::Test::Utils::tempdir();
my $db = 'farm';
my %services = (transcriber => 2, enricher => 4, refiner => 2);
my %killed = (killed => 0, terminated => 0);
my (@clients, @running);

diag("FARM_SEED=$seed FARM_JOBS=$many");
srand $seed;

my $node = new_cluster('farm', 'client_connection_check_interval = 10ms', 'deadlock_timeout = 200ms', 'max_wal_size = 2GB',
	'log_min_messages = log', 'log_min_error_statement = panic');
prepare_database($node, $db);
query($node, $db, stage_farm_sql($seed));

# --- clients ------------------------------------------------------------------------

# A psql in the background that calls a procedure of the farm.  SLOT is a worker, NAME a process, which is good for one life.
sub start_client
{
	my ($slot, $role, $call) = @_;
	my $name = "$slot." . @clients;
	my %client = (slot => $slot, role => $role, call => $call, name => $name, file => "$dir/" . @clients);
	my $procedure = $call =~ s/SLOT/$slot/r =~ s/NAME/$name/r;
	local $ENV{PGOPTIONS} = $role ? "-c role=$role" : '';
	local $ENV{PGAPPNAME} = "farm $name";

	$client{handle} = IPC::Run::start(
		[ 'psql', '-XqAt', '-v', 'SHOW_CONTEXT=never', '-h', $node->host, '-p', $node->port, '-d', $db, '-c', "CALL farm.$procedure" ],
		'<', '/dev/null', '>', '/dev/null', '2>', $client{file});
	push @clients, \%client;
	return \%client;
}

# All of them; those that only look or are users are never killed.
sub start_all
{
	foreach my $service (sort keys %services)
	{
		push @running, map { start_client("$service $_", 'service_role', "serve('$service', 'SLOT', 'NAME')") } 1 .. $services{$service};
	}
	push @running, start_client('producer', 'service_role', "produce($many, $waiting)"), start_client('retrier', 'service_role', 'retry()');
	start_client('canceller', undef, 'cancel()');
	start_client('watcher', undef, 'watch()');
	return;
}

# Ends one and starts it again: the client is killed, or its session is cut off.
sub kill_one
{
	my $victim = int rand @running;
	my $client = $running[$victim];
	my $cut_off = rand() < 0.3 && query($node, $db,
		"SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'farm $client->{name}'");

	$client->{handle}->signal('KILL') if !$cut_off;
	$killed{ $cut_off ? 'terminated' : 'killed' }++;
	$client->{handle}->finish;
	$running[$victim] = start_client($client->{slot}, $client->{role}, $client->{call});
	return;
}

# Waits until a query says true, and kills now and then meanwhile.
sub kill_until
{
	my ($sql, $seconds) = @_;
	my $until = time() + ($seconds // $patience);

	while (time() < $until)
	{
		return 1 if query($node, $db, $sql) eq 't';
		kill_one() if rand() < 0.5;
		sleep 0.05 + rand 0.15;
	}
	diag("not in time: $sql");
	return 0;
}

sub kill_until_done
{
	my ($part) = @_;
	my $wanted = int $part * $many;

	return kill_until("SELECT count(*) >= $wanted FROM farm.done WHERE stage = 'refined'");
}

# What clients said besides that they were cut off.
sub errors_of_clients
{
	my $expected = qr/server\ closed\ the\ connection|terminated\ abnormally|before\ or\ while\ processing|
		connection\ to\ server\ was\ lost|terminating\ connection\ due\ to\ administrator\ command|^\s*$/x;

	return map { my $name = $_->{name}; map { "$name: $_" } grep { !/$expected/ } split /\n/, slurp_file($_->{file}) } @clients;
}

# --- pauses and limits ----------------------------------------------------------------

# No call that begins after pause_queue() has returned claims from a stage, or at all.
sub paused_ok
{
	my ($stage) = @_;
	my ($argument, $of) = defined $stage ? ("'$stage'", "stage = '$stage'") : ('NULL', 'true');
	my $name = $stage // 'all stages';

	query($node, $db, "SELECT public.pause_queue('studio_jobs', $argument, 'by the test')");
	my $paused_at = query($node, $db, 'SELECT clock_timestamp()');
	my $claimed = "SELECT count(*) FROM farm.claims WHERE $of AND began > '$paused_at'";
	my $until = time() + 1;
	while (time() < $until)
	{
		kill_one();
		sleep 0.1;
	}
	is(query($node, $db, $claimed), '0', "$name: no claim begins during a pause");
	ok(kill_until("SELECT EXISTS (SELECT FROM studio_engine.queue WHERE $of)", 20), "$name: ... though there are jobs");
	is(query($node, $db, $claimed), '0', "$name: ... nor later");
	return ($argument, $claimed, $name);
}

sub resumed_ok
{
	my ($argument, $claimed, $name) = @_;

	query($node, $db, "SELECT public.resume_queue('studio_jobs', $argument)");
	ok(kill_until("SELECT ($claimed) > 0", 20), "$name: work goes on after it");
	return;
}

# A limit that is lowered binds claims, not those who work already: so nobody does.
sub lower_limit
{
	my ($stage, $max) = @_;

	kill_until("SELECT NOT EXISTS (SELECT FROM studio_engine.attempts WHERE ended_at IS NULL AND stage = '$stage')");
	query($node, $db, "SELECT public.limit_stage('studio_jobs', '$stage', $max); UPDATE farm.stage_limit SET max_running = $max");
	return;
}

# --- the run --------------------------------------------------------------------------

my $begun = time();
start_all();
ok(kill_until_done(0.15), 'the services have begun');
resumed_ok(paused_ok('ENRICHING'));
ok(kill_until_done(0.3), 'nearly a third is done');
query($node, $db, "UPDATE farm.stage_limit SET max_running = 3; SELECT public.limit_stage('studio_jobs', 'ENRICHING', 3)");
ok(kill_until_done(0.5), 'a half is done');
resumed_ok(paused_ok(undef));
ok(kill_until_done(0.6), 'nearly two thirds are done');
my @pause = paused_ok('ENRICHING');
lower_limit('ENRICHING', 1);
resumed_ok(@pause);
ok(kill_until_done(0.75), 'three quarters are done');
resumed_ok(paused_ok('NEW'));
ok(kill_until("SELECT farm.left_over($many) = 0"), 'all is done');
query($node, $db, 'INSERT INTO farm.stopped VALUES (now())');
ok($node->poll_query_until($db, q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name ~ '^farm ')}), 'the services stop');
$_->{handle}->finish foreach @running, grep { $_->{slot} =~ /canceller|watcher/ } @clients;
note(sprintf '%d jobs in %.1f s', $many, time() - $begun);

# --- audits ---------------------------------------------------------------------------

is(join("\n", errors_of_clients()), '', 'no client saw another error than that it was cut off');
is(query($node, $db, 'SELECT count(*) FROM farm.jobs'), $many, 'all jobs were made');
foreach my $audit (stage_farm_audits())
{
	my ($name, $sql) = @$audit;
	my @wrong = split /\n/, query($node, $db, "$sql;");

	is(join("\n", grep { defined } @wrong[ 0 .. 9 ]), '', $name) or diag(scalar(@wrong) . " rows, seed $seed");
}
foreach my $ruin (stage_farm_ruins())
{
	my ($name, $sql) = @{ (stage_farm_audits())[ $ruin->[0] ] };
	my $seen = query($node, $db, "BEGIN; SET LOCAL studio_engine.maintenance = on; $ruin->[1]; SELECT 'seen ' || EXISTS ($sql); ROLLBACK;");

	ok($seen =~ /^seen true$/m, "it would be seen if not: $name");
}
books_ok($node, $db, 'after all of it');
indexes_ok($node, $db, 'after all of it');

my %count = (%killed, map { split /\|/ } split /\n/, query($node, $db, q{
	SELECT what, count(*) FROM farm.happened GROUP BY 1
	UNION ALL SELECT outcome, count(*) FROM studio_engine.attempts GROUP BY 1
	UNION ALL SELECT 'tried again: ' || code, count(*) FROM farm.retries GROUP BY 1}));
note("$_: $count{$_}") foreach sort keys %count;
# whether a cancellation meets a worker is a matter of chance; in a long run it does
my @rare = $many < 20000 ? () : ('gave in', 'cancelled');
is(join(', ', grep { !$count{$_} } 'killed', 'terminated', 'recovered', 'full: users', 'full: stage', 'tried again: BROKEN',
		qw(completed handed_over failed retried expired), @rare), '', 'everything happened');
is(query($node, 'postgres', "SELECT deadlocks FROM pg_stat_database WHERE datname = '$db'"), '0', 'no deadlock');

$node->stop;
done_testing();
