# Eight clients do everything with the credits and jobs of twenty users at once,
# at each isolation level: only expected refusals, no deadlock, sound books.
#
# Pitfall: a test of this kind passes by itself when every call is refused.  So
# each kind of call counts, in sequences that no rollback takes back, how often
# it was done and how often it was refused with which SQLSTATE.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $clients = 8;
my $transactions = 600;    # of each client

# --- the calls -------------------------------------------------------------------

# What is called, and the SQLSTATEs that may refuse it.  v_job and v_user are a
# job and its user, v_n is a small number.
my %calls = (
	reserve => [ 'v_done := public.reserve_credits(v_user, v_job, v_n)', 'PT409' ],
	settle => [ 'PERFORM public.settle_credits(v_job, v_n - 1)', 'PT409' ],
	settle_charge => [ q{PERFORM public.settle_credits(v_job, v_n + 1, 'charge')}, 'PT402', 'PT409' ],
	settle_cap => [ q{PERFORM public.settle_credits(v_job, 3, 'cap')}, 'PT409' ],
	release => [ 'PERFORM public.release_credits(v_job)', 'PT409' ],
	advance => [ 'PERFORM public.advance_job(v_job, stress.next_status(v_job))', '23514', 'PT409' ],
	complete => [ q{PERFORM public.complete_job(v_job, 'https://example.com/' || v_n, NULL, v_n - 1)}, '23514', 'PT409' ],
	fail => [ q{PERFORM public.fail_job(v_job, 'E', 'It broke.')}, '23514' ],
	cancel => [ 'PERFORM public.cancel_job(v_job)', '23514' ],
	retry => [ 'PERFORM public.retry_job(v_job)', '23514', 'PT402', 'PT409', 'PT429' ],
	create => [ 'PERFORM public.create_job(j.project_id, v_n) FROM public.jobs j WHERE j.id = v_job', 'PT402', 'PT429' ],
	grant => [ q{PERFORM public.grant_credits(v_user, v_n, NULL, 'key ' || (random() * 30)::integer)}, 'PT409' ],
	purchase => [ q{PERFORM public.purchase_credits(v_user, v_n, 'pay ' || (random() * 60)::integer)}, 'PT409' ],
	subscribe => [ q{PERFORM public.subscription_credits(v_user, v_n, 'pay ' || (random() * 90)::integer)}, 'PT409' ],
	give_short => [ q{PERFORM public.grant_credits(v_user, v_n, NULL, NULL, clock_timestamp() + (0.2 + random() * 0.3) * INTERVAL '1 second')}, '22023' ],
	refund => [ q{PERFORM public.refund_credits(v_job, 1, NULL, 'refund ' || v_job || (random() * 3)::integer)}, 'PT409' ],
	reverse => [ q{PERFORM public.reverse_purchase('pay ' || (random() * 90)::integer, v_n)}, 'PT409' ],
	reverse_all => [ q{PERFORM public.reverse_purchase('pay ' || (random() * 90)::integer, NULL, NULL, 'all ' || (random() * 30)::integer)}, 'PT409' ],
	reinstate => [ q{PERFORM public.reinstate_purchase('pay ' || (random() * 90)::integer, NULL, CASE WHEN v_n > 2 THEN 'all ' || (random() * 30)::integer END)}, 'PT409' ],
	expire => [ 'v_done := public.expire_credits(5) > 0' ],
	sweep => [ 'v_done := public.sweep_stale_holds() = 0' ],
	summary => [ q{v_done := (public.get_credit_summary(v_user) ->> 'spendable')::integer >= 0} ],
	verify => [ 'v_done := NOT EXISTS (SELECT FROM public.verify_credit_ledger(v_user))' ],
	insert => [ q{INSERT INTO public.credit_ledger (user_id, type, amount) VALUES (v_user, 'usage', -v_n)}, 'PT402' ],
	delete => [ 'DELETE FROM public.jobs WHERE id = v_job AND created_at > stress.start()' ],
);

# Weights: what ends a job is rarer than what keeps it going.
my %weight = (reserve => 6, settle => 3, release => 3, advance => 40, complete => 8, create => 4, retry => 5, grant => 3,
	give_short => 3, expire => 2, refund => 2);

# SQL of a procedure that does one call and counts it.  Only the listed errors
# are caught, and PT404 as jobs are deleted meanwhile: 40001 and 40P01 are for
# pgbench to try again, others end the test.
sub call_sql
{
	my ($name) = @_;
	my ($call, @refusals) = (@{ $calls{$name} }, 'PT404');
	my $conditions = join ' OR ', map { "SQLSTATE '$_'" } @refusals;
	my $sequences = join "\n", map { "CREATE SEQUENCE stress.${name}_" . lc . ';' } 'done', 'no', @refusals;

	return qq{
	$sequences
	CREATE FUNCTION stress.do_$name(v_n integer) RETURNS void LANGUAGE plpgsql AS \$\$
	DECLARE
		v_job uuid;
		v_user uuid;
		v_done boolean := true;
	BEGIN
		SELECT id, user_id INTO v_job, v_user FROM stress.some_job();
		$call;
		PERFORM nextval(CASE WHEN v_done THEN 'stress.${name}_done' ELSE 'stress.${name}_no' END);
	EXCEPTION WHEN $conditions THEN
		PERFORM nextval('stress.${name}_' || lower(SQLSTATE));
	END \$\$;};
}

my $setup = q{
	CREATE SCHEMA stress;
	CREATE FUNCTION stress.start() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT '2020-01-01'::timestamptz $$;
	CREATE FUNCTION stress.some_job() RETURNS TABLE (id uuid, user_id uuid) LANGUAGE sql AS
		$$ SELECT j.id, j.user_id FROM public.jobs j ORDER BY random() LIMIT 1 $$;
	CREATE FUNCTION stress.next_status(p_job uuid) RETURNS text LANGUAGE sql AS $$
		SELECT COALESCE((SELECT t.to_status FROM public.jobs j
			JOIN public.workflow_transitions() t ON t.workflow = 'jobs' AND t.from_status = j.status::text
			 WHERE j.id = p_job AND t.to_status <> 'FAILED' AND t.via IS NULL AND t.condition IS NULL), 'PENDING') $$;
	UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain';
	INSERT INTO auth.users (id, email) SELECT md5('user ' || i)::uuid, i || '@example.com' FROM generate_series(1, 20) i;
	INSERT INTO public.projects (user_id, title, prompt_text, niche_preset) SELECT id, 'p', 'p', 'facts' FROM auth.users;
	INSERT INTO public.jobs (project_id, user_id, created_at)
		SELECT id, user_id, '2019-01-01' FROM public.projects, generate_series(1, 2);
	}
  . join("\n", map { call_sql($_) } sort keys %calls)
  . q{
	GRANT USAGE ON SCHEMA stress TO service_role;
	GRANT ALL ON ALL SEQUENCES IN SCHEMA stress TO service_role;};

# The rush: two users with credits for two holds each and eight jobs that want one.
my $rush_setup = q{
	INSERT INTO auth.users (id, email) SELECT md5('rush ' || i)::uuid, 'rush' || i FROM generate_series(1, 2) i;
	INSERT INTO public.projects (user_id, title, prompt_text, niche_preset)
		SELECT md5('rush ' || i)::uuid, 'rush', 'p', 'facts' FROM generate_series(1, 2) i;
	INSERT INTO public.jobs (id, project_id, user_id)
		SELECT md5('rush job ' || row_number() OVER ())::uuid, id, user_id
		  FROM public.projects, generate_series(1, 8) WHERE title = 'rush';
	CREATE SEQUENCE stress.rush_false;
	GRANT ALL ON SEQUENCE stress.rush_false TO service_role;};
my $rush = q{
	\set job random(1, 16)
	\set take random(0, 1)
	\if :take
	SELECT CASE WHEN NOT public.reserve_credits(j.user_id, j.id, 5) THEN nextval('stress.rush_false') END
		FROM public.jobs j WHERE j.id = md5('rush job ' || :job)::uuid;
	\else
	SELECT public.release_credits(j.id) FROM public.jobs j WHERE j.id = md5('rush job ' || :job)::uuid;
	\endif
};

# --- one level ---------------------------------------------------------------------

my $node = new_cluster('concurrency', 'deadlock_timeout = 100ms', 'log_min_error_statement = error');

# The value of each counter by its name.
sub counters
{
	my ($db) = @_;
	my $rows = query($node, $db, q{SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = 'stress' ORDER BY 1});

	return map { split /\|/ } split /\n/, $rows;
}

# Eight clients run these scripts, by weight, as a service.
sub load
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($level, $db, $name, $scripts) = @_;
	my $all = $clients * $transactions;
	local $ENV{PGUSER} = 'authenticator';
	local $ENV{PGOPTIONS} = '-c role=service_role -c default_transaction_isolation=' . $level =~ s/ /\\ /gr;

	$node->pgbench("-n -c $clients -j 2 -t $transactions --max-tries=1000",
		0, [ qr{processed: $all/$all}, qr{number of failed transactions: 0 } ],
		[qr{^$}], "$level: $name", $scripts, $db);
	return;
}

# At all levels together: how often each call was done, and how often something
# was refused, by SQLSTATE.
my %done = map { $_ => 0 } keys %calls;
my %refused = (pt402 => 0, pt409 => 0, 23514 => 0);

sub run_level
{
	my ($level, $db) = @_;
	my %script = map { ("${db}_$_\@" . ($weight{$_} // 1) => "\\set n random(1, 4)\nSELECT stress.do_$_(:n);\n") } keys %calls;
	my $log_start = -s $node->logfile;

	prepare_database($node, $db);
	query($node, $db, $setup);
	refused_ok($node, $db, q{
		BEGIN;
		SELECT public.reserve_credits(user_id, id, 2) FROM public.jobs ORDER BY id LIMIT 1;
		SELECT public.retry_job(id) FROM public.jobs ORDER BY id LIMIT 1;}, '23514', [],
		"$level: a job that waits with its hold is not retried, which would pay twice");
	load($level, $db, 'every call was done or refused as expected', \%script);

	my %count = counters($db);
	$done{$_} += $count{"${_}_done"} foreach keys %calls;
	is($count{sweep_no}, 0, "$level: sweep_stale_holds() never closed a hold");
	is($count{verify_no}, 0, "$level: in the middle of all that verify_credit_ledger() found nothing, $count{verify_done} times");
	is($count{summary_no}, 0, "$level: nothing spendable is negative");
	foreach my $refusal ('pt402', 'pt409', '23514')
	{
		$refused{$refusal} += $count{$_} foreach grep { /_$refusal$/ } keys %count;
	}

	books_ok($node, $db, $level);
	is(query($node, $db, q{
		SELECT user_id, count(*) FROM public.jobs WHERE status NOT IN ('READY', 'FAILED') GROUP BY user_id HAVING count(*) > 5}),
		'', "$level: nobody has more active jobs than allowed");

	query($node, $db, $rush_setup);
	load($level, $db, 'a rush for the last credits', { "${db}_rush" => $rush });
	books_ok($node, $db, "$level, after the rush");
	cmp_ok(query($node, $db, q{SELECT count(*) FROM public.credit_ledger
		WHERE user_id IN (md5('rush 1')::uuid, md5('rush 2')::uuid)}), '>', 100, "$level: there was a rush");

	my %rush_count = counters($db);
	cmp_ok($rush_count{rush_false}, '>', 100, "$level: reserve_credits found too little $rush_count{rush_false} times");

	unlike(substr(slurp_file($node->logfile), $log_start), qr/PANIC|TRAP|server process .* was terminated/, "$level: no process broke");
	alive_ok($node, $db, $level);
	return $log_start;
}

my $start = run_level('read committed', 'read_committed');
ok($node->poll_query_until('postgres', q{SELECT xact_commit > 3000 FROM pg_stat_database WHERE datname = 'read_committed'}),
	'read committed: the statistics have arrived');
is(query($node, 'postgres', q{SELECT deadlocks FROM pg_stat_database WHERE datname = 'read_committed'}), '0',
	'read committed: no deadlock was counted');
unlike(substr(slurp_file($node->logfile), $start), qr/deadlock detected|could not serialize/, 'read committed: none was logged');

run_level('repeatable read', 'repeatable_read');
run_level('serializable', 'serializable');
cmp_ok($done{$_}, '>', 0, "$_ was done $done{$_} times") foreach sort keys %done;
cmp_ok($refused{$_}, '>', 0, "something was refused with $_ $refused{$_} times") foreach sort keys %refused;

$node->stop;
done_testing();
