# Clients behind PgBouncer in transaction mode, where a session belongs to
# whoever has a transaction: nothing of one client's is heeded for the next, and
# many clients share few sessions and each job is claimed once.
#
# Pitfall: a leak shows only where the next client gets the same session, so the
# first half has a pool of one, and each test of it looks that it was the same.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;
use Time::HiRes qw(sleep time);

my ($clients, $sessions, $jobs) = (60, 8, 2000);
my $db = 'pooled';
my ($ann, $ben) = (uuid_of('ann'), uuid_of('ben'));
my $dir = PostgreSQL::Test::Utils::tempdir();
my $socket = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my ($version) = run_output('pgbouncer', '--version') =~ /^PgBouncer (\d+\.\d+)/;
my $keeps_statements = sprintf('%d%03d', split /\./, $version) >= 1021;

my $node = new_cluster('pooler');
prepare_database($node, $db);
query($node, $db, qq{
	UPDATE studio_engine.settings SET value = '0' WHERE name = 'max_active_jobs';
	INSERT INTO auth.users (id, email) VALUES ('$ann', 'ann\@example.com'), ('$ben', 'ben\@example.com');
	CREATE TABLE claimed (job_id uuid PRIMARY KEY, token uuid NOT NULL, client integer NOT NULL, ended boolean NOT NULL DEFAULT false);
	CREATE INDEX ON claimed (client) WHERE NOT ended;
	CREATE TABLE people AS SELECT client, gen_random_uuid() AS id FROM generate_series(0, $clients - 1) client;
	GRANT SELECT ON people TO authenticated;
	INSERT INTO auth.users (id, email) SELECT id, client || '\@example.com' FROM people;
	SELECT count(public.grant_credits(id, 100 + client)) FROM people;
	CREATE FUNCTION no_other(p_said integer, p_client integer) RETURNS void LANGUAGE plpgsql AS
	  'BEGIN ASSERT p_said = 110 + p_client, format(''client %s has %s'', p_client, p_said); END';});

sub run_output
{
	my (@command) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(\@command, '>', \$out, '2>', \$err) or give_up("@command: $err");
	return $out;
}

# --- the pooler -------------------------------------------------------------------------

append_to_file("$dir/users", qq("postgres" ""\n));
append_to_file("$dir/pgbouncer.ini", join "\n",
	'[databases]',
	"one = host=@{[ $node->host ]} port=@{[ $node->port ]} dbname=$db pool_size=1",
	"few = host=@{[ $node->host ]} port=@{[ $node->port ]} dbname=$db pool_size=$sessions",
	'[pgbouncer]',
	'pool_mode = transaction', "unix_socket_dir = $socket", "listen_port = $port",
	'auth_type = trust', "auth_file = $dir/users", 'max_client_conn = 200',
	'ignore_startup_parameters = extra_float_digits,options', 'server_fast_close = 1',
	($keeps_statements ? 'max_prepared_statements = 100' : ()), '');
my $bouncer = IPC::Run::start([ 'pgbouncer', "$dir/pgbouncer.ini" ], '<', '/dev/null', '>', "$dir/log", '2>&1');
END { $bouncer->kill_kill if $bouncer; }

# What psql says as a client of the pooler: exit status, output, messages.  The SQL is in a file, since psql does not
# read it where it cannot connect, and writing to it would end the test.
sub pooled
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');

	unlink "$dir/said.sql";
	append_to_file("$dir/said.sql", $sql);
	IPC::Run::run([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=sqlstate', '-h', $socket, '-p', $port, '-d', 'one', '-f', "$dir/said.sql" ],
		'<', '/dev/null', '>', \$out, '2>', \$err);
	chomp($out, $err);
	return ($? >> 8, $out, $err);
}

sub up
{
	my $until = time() + $PostgreSQL::Test::Utils::timeout_default;

	while ((pooled('SELECT 1'))[0] != 0)
	{
		give_up("pgbouncer: " . slurp_file("$dir/log")) if time() > $until;
		sleep 0.1;
	}
	return;
}

up();

# One client, then another: what the second gets, in the session of the first.
sub next_client_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($first, $then, $expected, $name) = @_;
	my ($status, $session, $said) = pooled("SELECT pg_backend_pid();\n$first");
	my (undef, $out, $err) = pooled("SELECT pg_backend_pid();\n$then");

	$session =~ s/\n.*//s;
	ok($status == 0, "$name: the first client") or diag($said);
	like("$out $err", qr/^$session\b\s*$expected/, "$name: the next");
	return;
}

# --- nothing leaks --------------------------------------------------------------------------

my $write = "UPDATE public.credit_accounts SET balance = 1000 WHERE user_id = '$ann'";
my $local = 'SET LOCAL studio_engine.maintenance = on';

next_client_ok('SET studio_engine.maintenance = on', "SHOW studio_engine.maintenance; SELECT studio_engine.restoring(); $write;",
	qr/on\nf .*ERROR:  42501/s, 'maintenance that was left on is there and does nothing');
next_client_ok('RESET studio_engine.maintenance', 'SHOW studio_engine.maintenance', qr/off $/, '... and can be reset');
next_client_ok("BEGIN; $local; UPDATE public.credit_ledger SET note = 'set right' WHERE user_id = '$ann'; COMMIT;",
	"SELECT note FROM public.credit_ledger WHERE user_id = '$ann'; $write;", qr/set right .*ERROR:  42501/s,
	'repairs are made in a transaction');
next_client_ok("BEGIN; SET studio_engine.maintenance = on; COMMIT;", "BEGIN; $write; COMMIT;", qr/.*ERROR:  42501/s,
	'a SET in a transaction');
next_client_ok("SELECT set_config('studio_engine.maintenance', 'on', false)", "RESET studio_engine.direct_rows; $write;", qr/.*ERROR:  42501/s,
	'set_config()');
{
	local $ENV{PGOPTIONS} = '-c studio_engine.maintenance=on';
	next_client_ok('RESET studio_engine.maintenance', 'SELECT studio_engine.restoring()', qr/f $/, 'the options of a connection stay with its client');
}

my $claims = qq{SELECT set_config('request.jwt.claims', '{"sub": "$ann", "role": "authenticated"}', true) \\g /dev/null\n};
next_client_ok("BEGIN; $claims SET LOCAL ROLE authenticated; SELECT public.get_credit_balance('$ann'); COMMIT;",
	"SELECT current_user; BEGIN; SET LOCAL ROLE authenticated; SELECT public.get_credit_balance('$ann');",
	qr/postgres .*ERROR:  42501/s, 'claims');
next_client_ok("BEGIN; $claims SET LOCAL ROLE authenticated;\n\\set ON_ERROR_STOP 0\nSELECT public.get_credit_balance('$ben'); COMMIT;",
	"BEGIN; SET LOCAL ROLE authenticated; SELECT public.get_credit_balance('$ann');", qr/.*ERROR:  42501/s, 'claims of a transaction that failed');
books_ok($node, $db, 'after the leaks');

# A claim, its lease and its locks are in the database, not in the session.
query($node, $db, qq{INSERT INTO public.studio_jobs (user_id, raw_audio_url) VALUES ('$ann', 'a/0')});
next_client_ok(q{INSERT INTO claimed SELECT job_id, lease_token, -1 FROM public.claim_jobs('studio_jobs', 'first', 1)},
	q{SELECT count(*) FROM public.claim_jobs('studio_jobs', 'second', 1);
	  SELECT public.fail_studio_job(job_id, '{"code": "X"}', false, token) ->> 'status' FROM claimed WHERE client = -1;
	  SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory';},
	qr/0\nFAILED\n0 $/, 'a claim is gone on with by another client');
query($node, $db, 'DELETE FROM claimed');

# --- many clients, few sessions -----------------------------------------------------------------

my $scripts = 0;

# pgbench as so many clients; its exit status and messages.
sub bench
{
	my ($where, $mode, $number, $times, $script) = @_;
	my ($out, $err) = ('', '');
	my $file = "$dir/script " . ++$scripts;

	append_to_file($file, $script);
	IPC::Run::run([ 'pgbench', '-n', '-h', $socket, '-p', $port, '-M', $mode, '-c', $number, '-j', 2, '-t', $times, '-f', $file, $where ],
		'>', \$out, '2>', \$err);
	return ($? >> 8, $err);
}

my $work = q{
INSERT INTO claimed SELECT job_id, lease_token, :client_id FROM public.claim_jobs('studio_jobs', 'worker', 1);
WITH mine AS (UPDATE claimed SET ended = true WHERE client = :client_id AND NOT ended RETURNING job_id, token)
SELECT public.fail_studio_job(m.job_id, '{"code": "X"}', false, m.token) FROM mine m;
};
my $ask = q{
BEGIN;
SELECT set_config('request.jwt.claims', json_build_object('sub', p.id, 'role', 'authenticated')::text, true) FROM people p WHERE p.client = :client_id;
SET LOCAL ROLE authenticated;
SELECT no_other(public.get_credit_balance(p.id), p.client) FROM people p WHERE p.client = :client_id;
COMMIT;
};
my @modes = ('simple', 'extended', $keeps_statements ? 'prepared' : ());

foreach my $mode (@modes)
{
	query($node, $db, qq{
		TRUNCATE claimed;
		INSERT INTO public.studio_jobs (user_id, raw_audio_url) SELECT '$ann', '$mode/' || i FROM generate_series(1, $jobs) i;});
	my $begun = time();
	my ($status, $err) = bench('few', $mode, $clients, int($jobs / $clients * 1.3), $work);
	ok($status == 0 && $err !~ /ERROR/, "$mode: $clients clients over $sessions sessions claim and end jobs") or diag($err);
	note(sprintf '%s: %.1f s', $mode, time() - $begun);
	is(query($node, $db, q{SELECT count(*), bool_and(ended), count(DISTINCT client) > 10 FROM claimed}), "$jobs|t|t", "$mode: each of $jobs jobs once");
	is(query($node, $db, qq{
		SELECT j.status, count(*), count(DISTINCT a.job_id) FROM public.studio_jobs j LEFT JOIN studio_engine.attempts a USING (job_id)
		 WHERE j.raw_audio_url LIKE '$mode/%' GROUP BY 1}), "FAILED|$jobs|$jobs",
		"$mode: ... and each has ended, after one attempt");
	is(query($node, $db, 'SELECT count(*) FROM studio_engine.queue'), '0', "$mode: ... and has left the queue");
	($status, $err) = bench('few', $mode, $clients, 20, $ask);
	ok($status == 0 && $err !~ /ERROR/, "$mode: each client sees what is its own") or diag($err);
}
cmp_ok(query($node, $db, q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'pooled' AND application_name = 'pgbench'}), '<=', $sessions,
	"there were no more than $sessions sessions");

# The statements that a client prepared are looked for in the session of another.
my ($status, $err) = bench('one', 'prepared', 2, 5, "SELECT public.get_credit_balance('$ann');");
if ($keeps_statements)
{
	is($status, 0, "PgBouncer $version prepares what a session lacks") or diag($err);
}
else
{
	like($err, qr/prepared statement "P\w+" (already exists|does not exist)/, "with PgBouncer $version clients must not prepare statements");
}
books_ok($node, $db, 'in the end');

$bouncer->kill_kill;
undef $bouncer;
$node->stop;
done_testing();
