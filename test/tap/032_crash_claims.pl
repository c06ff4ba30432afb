# kill -9 of the whole server after claims, with setting asynchronous_claims on and
# off: claims that did not reach the disk are as if they had never been made, and
# their tokens are good for nothing; what else was acknowledged is there; no job is
# lost, and none is done twice with success.
#
# Pitfall: fsync is on, since a server that does not flush has no promise to keep.
# The walwriter sleeps for ten seconds here, so that it is nearly always the crash
# that comes first; where it was not, the crash is tried again.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $db = 'crash_claims';
my $dir = PostgreSQL::Test::Utils::tempdir();
my $rounds = 1000;
my $clients = 4;
my @clients;

my $node = new_cluster('crash_claims', 'fsync = on', 'synchronous_commit = on', 'full_page_writes = on', 'wal_writer_delay = 10s');
prepare_database($node, $db);
query($node, $db, qq{
	UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
	INSERT INTO auth.users (id, email) VALUES ('@{[uuid_of('user')]}', 'user\@example.com');
	CREATE TABLE done (job_id uuid NOT NULL, lease_token uuid NOT NULL);
	CREATE TABLE written (no integer);
	GRANT ALL ON done TO service_role;});

sub set_asynchronous
{
	my ($value) = @_;

	query($node, $db, "UPDATE studio_engine.settings SET value = '$value' WHERE name = 'asynchronous_claims'");
	return;
}

sub make_jobs
{
	my ($many) = @_;

	query($node, $db, qq{
		INSERT INTO public.studio_jobs (user_id, raw_audio_url, status, created_at)
		SELECT '@{[uuid_of('user')]}', 'a/' || n, 'ENRICHING', now() - INTERVAL '1 hour' + n * INTERVAL '1 ms' FROM generate_series(1, $many) n;});
	return;
}

# Claims so many jobs, a commit each; what was acknowledged, in order.
sub claim_some
{
	my ($many) = @_;

	return split /\n/, query($node, $db, join "\n", ("SELECT job_id, lease_token FROM public.claim_jobs('studio_jobs', 'worker');") x $many);
}

sub crash
{
	kill_server($node);
	$node->start;
	return;
}

# Which of the claims are still there after a crash: 1 or 0 for each, in order.
sub survivors
{
	my (@claims) = @_;
	my @rows = map { [ split /\|/ ] } @claims;
	my $values = join ', ', map { "($_, '$rows[$_][0]'::uuid, '$rows[$_][1]'::uuid)" } 0 .. $#rows;

	return query($node, $db, qq{
		SELECT string_agg((a.lease_token IS NOT NULL)::integer::text, '' ORDER BY c.no)
		  FROM (VALUES $values) c (no, job_id, lease_token)
		  LEFT JOIN studio_engine.attempts a ON a.job_id = c.job_id AND a.lease_token = c.lease_token AND a.ended_at IS NULL});
}

# A job waits, or a worker has it, or it has ended: one of these.
sub none_lost_ok
{
	my ($name) = @_;

	is(query($node, $db, q{
		SELECT j.job_id, j.status, q.state, a.open, a.completed FROM public.studio_jobs j LEFT JOIN studio_engine.queue q USING (job_id)
		 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE ended_at IS NULL) AS open, count(*) FILTER (WHERE outcome = 'completed') AS completed
		                       FROM studio_engine.attempts a WHERE a.job_id = j.job_id) a
		 WHERE (q.job_id IS NOT NULL)::integer + a.open <> (j.status <> 'COMPLETE')::integer OR a.completed <> (j.status = 'COMPLETE')::integer
		 LIMIT 5}), '', "$name: every job waits, is worked on, or has ended");
	return;
}

# --- what a crash leaves of claims ---------------------------------------------------

set_asynchronous(0);
make_jobs(20);
my @claims = claim_some(20);
crash();
is(survivors(@claims), '1' x 20, 'claims that were waited for are there after a crash');
none_lost_ok('with the setting off');
is(query($node, $db, q{SELECT public.release_leases('worker')}), '20', '... and can be released');

set_asynchronous(1);
my $survived = '';
foreach my $try (1 .. 5)
{
	query($node, $db, 'CHECKPOINT');
	@claims = claim_some(20);
	crash();
	$survived = survivors(@claims);
	none_lost_ok('with the setting on');
	last if $survived =~ /0$/;
	query($node, $db, q{SELECT public.release_leases('worker')});
}
like($survived, qr/^1*0+$/, 'claims that were not waited for are not there, from one on');
my ($lost_job, $lost_token) = split /\|/, $claims[-1];
refused_ok($node, $db, "SELECT public.store_refined_text('$lost_job', 'A text.', NULL, '$lost_token')", 'PT409', [], 'their tokens are refused');
query($node, $db, q{SELECT public.release_leases('worker')});
is(join(' ', map { (split /\|/)[0] } claim_some(20)), join(' ', map { (split /\|/)[0] } @claims), '... and the same jobs are claimed again, in the same order');
query($node, $db, q{SELECT public.release_leases('worker')});

@claims = claim_some(10);
query($node, $db, 'INSERT INTO written VALUES (1)');
crash();
is(survivors(@claims), '1' x 10, 'what is waited for afterwards takes the claims before it to the disk');
query($node, $db, q{SELECT public.release_leases('worker')});

@claims = split /\n/, query($node, $db, q{
	BEGIN;
	INSERT INTO written VALUES (2);
	SELECT job_id, lease_token FROM public.claim_jobs('studio_jobs', 'worker', 3);
	COMMIT;
	BEGIN;
	SELECT job_id, lease_token FROM public.claim_jobs('studio_jobs', 'worker', 3);
	INSERT INTO written VALUES (3);
	COMMIT;});
crash();
is(survivors(@claims), '1' x 6, 'a transaction that writes anything else is waited for, whatever comes first');
is(query($node, $db, 'SELECT string_agg(no::text, ' . q{' ' ORDER BY no) FROM written}), '1 2 3', '... and all that it wrote is there');
query($node, $db, q{SELECT public.release_leases('worker')});

# --- work while the server is killed --------------------------------------------------

# A client in the background that claims and completes jobs; a line is an acknowledgement.
sub start_worker
{
	my ($name) = @_;
	my %client = (out => "$dir/$name.out", err => "$dir/$name.err");
	my $round = q{
SELECT job_id, lease_token FROM public.claim_jobs('studio_jobs', :'worker') \gset
\echo claimed :job_id :lease_token
BEGIN;
SELECT FROM public.store_refined_text(:'job_id', 'by ' || :'lease_token', NULL, :'lease_token');
INSERT INTO done VALUES (:'job_id', :'lease_token');
COMMIT;
\echo done :job_id :lease_token
};

	append_to_file("$dir/$name.sql", "\\set VERBOSITY sqlstate\n\\set ON_ERROR_STOP 1\n\\set worker '$name'\n" . $round x $rounds);
	local $ENV{PGOPTIONS} = '-c role=service_role';
	$client{handle} = IPC::Run::start([ 'psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', $db, '-f', "$dir/$name.sql" ],
		'>', $client{out}, '2>', $client{err});
	push @clients, \%client;
	return \%client;
}

sub said
{
	my ($what) = @_;

	return map { /^$what (\S+ \S+)$/mg } map { slurp_file($_->{out}) } @clients;
}

# Every completion that a client was told of is there.
sub acknowledged_ok
{
	my ($name) = @_;
	my @done = said('done');

	is(query($node, $db, join "\n", 'CREATE TEMP TABLE told (job_id uuid, lease_token uuid);', q{COPY told FROM stdin (DELIMITER ' ');}, @done, '\.', q{
		SELECT t.* FROM told t LEFT JOIN done d USING (job_id, lease_token) LEFT JOIN public.studio_jobs j USING (job_id)
		 WHERE d.job_id IS NULL OR j.refined_text IS DISTINCT FROM 'by ' || t.lease_token LIMIT 5;}), '',
		"$name: each of " . @done . ' acknowledged completions is there');
	return;
}

sub crash_of_workers
{
	my ($crash, @running) = @_;

	kill_server($node);
	is(scalar(grep { !$_->{handle}->finish } @running), $clients, "crash $crash: all workers were cut off");
	$node->start;
	none_lost_ok("crash $crash");
	acknowledged_ok("crash $crash");
	return;
}

foreach my $crash (1 .. 3)
{
	# more than they can do before the server is killed
	make_jobs($clients * $rounds);
	my @running = map { start_worker("crash $crash client $_") } 1 .. $clients;
	my $wanted = said('done') + 50;
	my $until = time() + $PostgreSQL::Test::Utils::timeout_default;

	sleep 0.02 while said('done') < $wanted && time() < $until;
	sleep rand 0.2;
	crash_of_workers($crash, @running);
}

# Those that were worked on when the server was killed are ended by the next life of their workers.
query($node, $db, q{SELECT sum(public.recover_leases(worker)) FROM (SELECT DISTINCT worker FROM studio_engine.attempts WHERE ended_at IS NULL) w});
query($node, $db, q{
	DO $$
	DECLARE
		v_job record;
	BEGIN
		LOOP
			SELECT * INTO v_job FROM public.claim_jobs('studio_jobs', 'last');
			EXIT WHEN NOT FOUND;
			PERFORM public.store_refined_text(v_job.job_id, 'by ' || v_job.lease_token, NULL, v_job.lease_token);
			INSERT INTO done VALUES (v_job.job_id, v_job.lease_token);
		END LOOP;
	END $$});
none_lost_ok('at the end');
acknowledged_ok('at the end');
is(query($node, $db, q{SELECT count(*) FROM public.studio_jobs WHERE status <> 'COMPLETE'}), '0', 'all jobs are complete');
is(query($node, $db, q{
	SELECT job_id, count(d.*) FROM public.studio_jobs j LEFT JOIN done d USING (job_id) GROUP BY job_id HAVING count(d.*) <> 1 LIMIT 5}), '',
	'each was done once');
cmp_ok(scalar(said('claimed')), '>', scalar(said('done')), 'some were claimed and not done when the server was killed');
is(join("\n", grep { !/server closed|terminated abnormally|before or while|connection to server was lost|57P0|no connection to the server|^\s*$/ }
		map { split /\n/, slurp_file($_->{err}) } @clients), '', 'the workers saw no other error');
books_ok($node, $db, 'after all of it');
indexes_ok($node, $db, 'after all of it');

$node->stop;
done_testing();
