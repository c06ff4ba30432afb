# kill -9 of the whole server, and of single sessions, in the middle of
# concurrent reserves, settles, releases, refunds, purchases, reversals and
# expiries: what was acknowledged is in the books, the books are sound, and work
# goes on.
#
# Pitfall: fsync is on here and nowhere else in the tests, since a server that
# does not flush has no promise to keep.  psql prints a result only when the
# server has said that the statement is committed: a printed line is an
# acknowledgement.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $db = 'crash';
my $clients = 6;
my $dir = PostgreSQL::Test::Utils::tempdir();
my @users = map { uuid_of('user', $_) } 1 .. 4;
my %project = map { $_ => uuid_of('project of', $_) } @users;

my $node = new_cluster('crash', 'fsync = on', 'synchronous_commit = on', 'full_page_writes = on');
prepare_database($node, $db);
query($node, $db, q{UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain'});
foreach my $user (@users)
{
	query($node, $db, qq{
		INSERT INTO auth.users (id, email) VALUES ('$user', '$user\@example.com');
		SELECT public.grant_credits('$user', 100000);
		INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset)
			VALUES ('$project{$user}', '$user', 'p', 'p', 'facts');});
}

# --- the invariants can fail ------------------------------------------------------

# Some of the ways to ruin a book, each undone again.
my %ruin = (
	'an amount was changed' => 'UPDATE public.credit_ledger SET amount = amount + 1 WHERE entry_no = 1',
	'an entry is gone' => 'DELETE FROM public.credit_ledger WHERE entry_no = 1',
	'a note was changed' => q{UPDATE public.credit_ledger SET note = 'x' WHERE entry_no = 1},
	'a hold was forgotten' => 'UPDATE public.credit_accounts SET reserved = reserved + 1');
foreach my $damage (sort keys %ruin)
{
	query($node, 'postgres', "CREATE DATABASE ruined TEMPLATE $db");
	query($node, 'ruined', "BEGIN; SET LOCAL studio_engine.maintenance = on; $ruin{$damage}; COMMIT;");
	ok(broken_invariants($node, 'ruined') > 0, "the invariants notice that $damage");
	query($node, 'postgres', 'DROP DATABASE ruined');
}

# Credit that expires in 50 milliseconds, or later, if the machine was too slow.
query($node, $db, q{
	CREATE SCHEMA soon;
	GRANT USAGE ON SCHEMA soon TO service_role;
	CREATE FUNCTION soon.grant_credits(p_user_id uuid, p_amount integer, p_key text) RETURNS uuid LANGUAGE plpgsql AS $$
	DECLARE
		v_wait interval := '50 milliseconds';
	BEGIN
		LOOP
			BEGIN
				RETURN public.grant_credits(p_user_id, p_amount, NULL, p_key, clock_timestamp() + v_wait);
			EXCEPTION WHEN invalid_parameter_value THEN
				v_wait := 2 * v_wait;
				ASSERT v_wait < INTERVAL '5 minutes', 'never in time';
			END;
		END LOOP;
	END $$;});

# --- work -------------------------------------------------------------------------

# What one client does, over and over: a job of its own for one of the users that
# all share, a hold, and its end; now and then a payment, its reversal, a refund,
# and credit that expires soon.  The first word of a line is what was asked, the
# last what was answered.
sub script_of
{
	my ($session, $rounds) = @_;
	my @lines = ('\set VERBOSITY sqlstate');

	foreach my $round (1 .. $rounds)
	{
		my $user = $users[ int rand @users ];
		my $job = uuid_of('job', $session, $round);
		my $hold = 2 + int rand 3;

		push @lines,
		  "INSERT INTO public.jobs (id, project_id, user_id) VALUES ('$job', '$project{$user}', '$user');",
		  "SELECT 'reserve', '$job', $hold, public.reserve_credits('$user', '$job', $hold);";
		my $end = int rand 4;
		push @lines, (
			"SELECT 'settle', '$job', 1, public.settle_credits('$job', 1);",
			"SELECT 'settle', '$job', $hold, public.settle_credits('$job');",
			"SELECT 'release', '$job', $hold, public.release_credits('$job');",
			'')[$end];
		push @lines, "SELECT 'refund', '$job', 1, public.refund_credits('$job', 1, NULL, 'refund $job');"
		  if $end < 2 && $round % 2 == 0;
		push @lines, "SELECT 'payment', 'pay $session $round', 1, public.purchase_credits('$user', 1, 'pay $session $round');"
		  if $round % 3 == 0;
		push @lines, "SELECT 'payment', 'month $session $round', 2, public.subscription_credits('$user', 2, 'month $session $round');",
		  "SELECT 'reverse', 'month $session $round', 1, public.reverse_purchase('month $session $round', 1);"
		  if $round % 5 == 0;
		push @lines, "SELECT 'grant', 'short $session $round', 20, soon.grant_credits('$user', 20, 'short $session $round');"
		  if $round % 7 == 0;
		push @lines, "SELECT 'expire', 'all', 0, public.expire_credits();" if $round % 11 == 0;
	}
	return join "\n", @lines, '';
}

# A client in the background.
sub start_client
{
	my ($session) = @_;
	my %client = (script => "$dir/$session.sql", out => "$dir/$session.out", err => "$dir/$session.err");

	append_to_file($client{script}, script_of($session, 4000));
	local $ENV{PGOPTIONS} = '-c role=service_role';
	$client{handle} = IPC::Run::start([ 'psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', $db, '-f', $client{script} ],
		'>', $client{out}, '2>', $client{err});
	return \%client;
}

# Wait for the end of clients; the number of those that were cut off.
sub finish_clients
{
	return scalar grep { !$_->{handle}->finish } @_;
}

sub acknowledged
{
	return map { split /\n/, slurp_file($_->{out}) } @_;
}

# Wait until the clients together have this many answers.
sub wait_for_answers
{
	my ($wanted, @of) = @_;
	my $until = time() + $PostgreSQL::Test::Utils::timeout_default;

	sleep 0.02 while acknowledged(@of) < $wanted && time() < $until;
	return scalar(acknowledged(@of)) >= $wanted;
}

# Every answer is in the books: one line for each that is not.
sub lost_answers
{
	my (@lines) = @_;

	return query($node, $db, join "\n",
		'CREATE TEMP TABLE said (what text, subject text, amount integer, answer text);',
		"COPY said FROM stdin (DELIMITER '|');", @lines, '\.',
		q{
		SELECT s.what, s.subject, s.amount, s.answer FROM said s
		 WHERE NOT CASE s.what
			WHEN 'reserve' THEN s.answer = 'f' OR (
				SELECT count(*) FROM public.credit_ledger l
				 WHERE l.job_id = s.subject::uuid AND l.type = 'reserve' AND l.amount = -s.amount) = 1
			WHEN 'settle' THEN s.answer = s.amount::text AND (
				SELECT count(*) FILTER (WHERE l.type = 'usage' AND l.amount = -s.amount) = 1
				   AND count(*) FILTER (WHERE l.type = 'reserve') = 2
				  FROM public.credit_ledger l WHERE l.job_id = s.subject::uuid)
			WHEN 'release' THEN s.answer = s.amount::text AND (
				SELECT count(*) FILTER (WHERE l.type = 'reserve' AND l.amount = s.amount) = 1 AND count(*) = 2
				  FROM public.credit_ledger l WHERE l.job_id = s.subject::uuid)
			WHEN 'refund' THEN s.answer = s.amount::text AND EXISTS (
				SELECT FROM public.credit_ledger l WHERE l.job_id = s.subject::uuid AND l.type = 'refund' AND l.amount = s.amount)
			WHEN 'payment' THEN EXISTS (
				SELECT FROM public.credit_ledger l
				 WHERE l.id = s.answer::uuid AND l.stripe_payment_id = s.subject AND l.amount = s.amount AND l.reverses IS NULL)
			WHEN 'reverse' THEN s.answer = s.amount::text AND EXISTS (
				SELECT FROM public.credit_ledger l JOIN public.credit_ledger p ON p.id = l.reverses
				 WHERE l.stripe_payment_id = s.subject AND p.stripe_payment_id = s.subject AND l.amount = -s.amount)
			WHEN 'grant' THEN EXISTS (
				SELECT FROM public.credit_ledger l
				 WHERE l.id = s.answer::uuid AND l.idempotency_key = s.subject AND l.amount = s.amount AND l.expires_at IS NOT NULL)
			WHEN 'expire' THEN s.answer::integer >= 0
			END;});
}

# Every call may find credit that has expired; who makes that entry is nobody's
# promise, so those are not counted.
my $entries = q{SELECT count(*) FROM public.credit_ledger WHERE type <> 'expire';};

# Entries that this many answers stand for, as each answer of ours is one or two.
sub entries_of
{
	my ($count) = 0;

	$count += /^settle/ ? 2 : /^reserve.*\|f$|^expire/ ? 0 : 1 foreach @_;
	return $count;
}

# The clients were told nothing but that the server is gone.
sub errors_of
{
	my $gone = qr/server\ closed\ the\ connection|terminated\ abnormally|before\ or\ while\ processing|
		connection\ to\ server\ was\ lost|no\ connection\ to\ the\ server|FATAL:\ \ 57P0[123]|^\s*$/x;

	return grep { !/$gone/ } map { split /\n/, slurp_file($_->{err}) } @_;
}

sub books_and_answers_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, $before, @of) = @_;
	my @lines = acknowledged(@of);
	my $new = query($node, $db, $entries) - $before;
	my $told = entries_of(@lines);

	is(join("\n", errors_of(@of)), '', "$name: clients saw no other error");
	books_ok($node, $db, $name);
	is(lost_answers(@lines), '', "$name: each of " . @lines . ' acknowledged calls is in the books');
	cmp_ok($new, '>=', $told, "$name: no entry is missing");
	cmp_ok($new, '<=', $told + 2 * @of, "$name: no more than the call in flight of each client is there besides");
	return;
}

# --- the server is killed -----------------------------------------------------------

foreach my $crash (1 .. 5)
{
	my $before = query($node, $db, $entries);
	my @running = map { start_client("crash $crash client $_") } 1 .. $clients;

	ok(wait_for_answers(150 * $crash, @running), "crash $crash: clients are at work");
	sleep rand 0.3;
	kill_server($node);
	is(finish_clients(@running), $clients, "crash $crash: all clients were cut off");
	$node->start;
	like(slurp_file($node->logfile), qr/(database system was not properly shut down; automatic recovery in progress.*){$crash}/s,
		"crash $crash: the server recovered");
	books_and_answers_ok("crash $crash", $before, @running);
	alive_ok($node, $db, "crash $crash");
}

# Work goes on where it stopped: the holds that are still open can be closed.
is(query($node, $db, q{
	SELECT count(*) > 0 AND bool_and(public.settle_credits(j.id) = j.cost_credits_reserved) FROM public.jobs j
	 WHERE (SELECT sum(l.amount) FROM public.credit_ledger l WHERE l.job_id = j.id AND l.type = 'reserve') < 0}),
	't', 'holds from before the crashes are settled');
is(query($node, $db, 'SELECT sum(reserved) FROM public.credit_accounts'), '0', '... and nothing is held any more');
query($node, $db, 'SELECT pg_sleep_until(max(expires_at)) FROM studio_engine.expiring_credits');
query($node, $db, 'SELECT public.expire_credits(100000)');
is(query($node, $db, 'SELECT count(*) FROM studio_engine.expiring_credits'), '0', '... nor is there credit left that expires');
is(query($node, $db, q{SELECT sum((public.get_credit_summary(user_id) ->> 'spendable')::integer - balance) FROM public.credit_accounts}),
	'0', '... so all of every balance can be spent');
cmp_ok(query($node, $db, q{SELECT count(*) FROM public.credit_ledger WHERE type = 'expire'}), '>', 10, '... and credit did expire');
is(query($node, $db, q{SELECT public.sweep_stale_holds()}), '0', '... and no hold is stale');
books_ok($node, $db, 'after settling');

# --- sessions are killed --------------------------------------------------------------

my $before = query($node, $db, $entries);
my @all = map { start_client("session $_") } 1 .. $clients;
my $terminated = 0;
wait_for_answers(100, @all);
my $until = time() + $PostgreSQL::Test::Utils::timeout_default;
while ($terminated < 25 && time() < $until)
{
	my $hit = query($node, $db, q{
		SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM (
			SELECT pid FROM pg_stat_activity WHERE datname = 'crash' AND backend_type = 'client backend'
			   AND state = 'active' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) x});
	$terminated += $hit;
	push @all, start_client("turn $terminated") if $hit;
	sleep 0.02;
}
wait_for_answers(1000, @all);
query($node, $db, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'crash' AND pid <> pg_backend_pid()});
is(finish_clients(@all), scalar @all, 'terminated: all clients were cut off');
is($terminated, 25, 'terminated: sessions in the middle of their work');
books_and_answers_ok('terminated', $before, @all);
alive_ok($node, $db, 'terminated');

$node->stop;
done_testing();
