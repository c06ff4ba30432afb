# Eight clients do everything at once that moves credits of fifty users and two
# hundred jobs, at each isolation level.  Each writes a journal in the same
# transactions; afterwards a model does the journal again and must come to the
# same answers, the same ledger and the same final state.  Then the same while the
# server is killed ten times, and while clients are cut off.
#
# SOAK_OPERATIONS  operations of all levels together, 20,000 without it; with
#                  fewer not everything happens that must
# SOAK_SEED        does the same operations again that a run with this seed did;
#                  how the clients interleave is left to the machine
#
# Pitfall: what a client does depends on its random numbers only, never on what
# it finds, or a seed would not mean anything.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use lib "$FindBin::RealBin/lib";
use CreditModel;
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;
use Time::HiRes qw(sleep);

my ($clients, $users, $jobs) = (8, 50, 200);
my @levels = ('read committed', 'repeatable read', 'serializable');
my $operations = $ENV{SOAK_OPERATIONS} || 20000;
my $seed = $ENV{SOAK_SEED} || 1 + int rand 2**31 - 1;
my $each = int(($operations + $clients * @levels - 1) / ($clients * @levels));

# What must have happened at least once, or the run says little.  "moved" made
# entries, "as before" is the answer of a repetition.
my @outcomes = map {
	my ($operation, @what) = split;
	map { "$operation $_" } @what
} split /\n/, <<'END';
reserve t f PT409 42501
settle moved PT402 PT409
release moved PT409
ready moved PT409 23514
failed moved 23514
retry moved PT402 23514
delete moved
create moved
grant moved PT409 22023
purchase moved PT409
subscription moved PT409
refund moved PT409
reverse moved awaited PT409 PT404
reinstate moved early PT404 PT409
usage done PT402
expire moved 0
stale 0
balance read
summary read
entry expire
END
s/^(create|delete) moved/$1 as before/ foreach @outcomes;

my $setup = q{
CREATE SCHEMA model;
CREATE SEQUENCE model.moments;
CREATE TABLE model.start AS SELECT clock_timestamp() AS at;
CREATE TABLE model.journal (
	client integer, number integer, operation text NOT NULL, "user" integer, job integer, amount integer,
	name text, extra text, expires bigint, result text NOT NULL, refused boolean NOT NULL, spans text,
	entries bigint, m0 bigint NOT NULL, m1 bigint NOT NULL, t0 bigint NOT NULL, t1 bigint NOT NULL,
	PRIMARY KEY (client, number));

CREATE FUNCTION model.id(p_kind integer, p_number integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT (lpad(p_kind::text, 8, '0') || '-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid $$;
CREATE FUNCTION model.number(p_id uuid) RETURNS integer LANGUAGE sql IMMUTABLE AS
	$$ SELECT right(p_id::text, 12)::integer $$;
CREATE FUNCTION model.micros(p_time timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS
	$$ SELECT (extract(epoch FROM p_time) * 1000000)::bigint $$;

-- Did this transaction make the row?  A row that is visible and whose
-- transaction is in progress is ours.
CREATE FUNCTION model.mine(p_xmin xid) RETURNS boolean LANGUAGE sql AS
	$$ SELECT pg_xact_status(p_xmin::text::xid8) = 'in progress' $$;

CREATE FUNCTION model.ready(p_job uuid, p_price integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_status public.job_status := (SELECT status FROM public.jobs WHERE id = p_job FOR NO KEY UPDATE);
BEGIN
	-- not there is not there, also when somebody makes it in this moment
	IF v_status IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'PT404', MESSAGE = 'not found';
	END IF;
	IF v_status = 'QUEUED' THEN
		PERFORM public.advance_job(p_job, s)
		   FROM unnest('{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
	END IF;
	RETURN public.complete_job(p_job, p_final_cost => p_price) ->> 'cost_credits_final';
END $$;

CREATE FUNCTION model.call(p_operation text, p_user integer, p_job integer, p_amount integer, p_name text, p_extra text,
	p_expires timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_user uuid := model.id(1, p_user);
	v_job uuid := model.id(3, p_job);
	v_entry uuid;
	v_rows bigint;
BEGIN
	CASE p_operation
	WHEN 'reserve' THEN RETURN CASE WHEN public.reserve_credits(v_user, v_job, p_amount) THEN 't' ELSE 'f' END;
	WHEN 'settle' THEN RETURN public.settle_credits(v_job, p_amount, p_extra);
	WHEN 'release' THEN RETURN public.release_credits(v_job);
	WHEN 'ready' THEN RETURN model.ready(v_job, p_amount);
	WHEN 'failed' THEN RETURN public.fail_job(v_job) ->> 'cost_credits_final';
	WHEN 'retry' THEN RETURN public.retry_job(v_job) ->> 'cost_credits_reserved';
	WHEN 'refund' THEN RETURN public.refund_credits(v_job, p_amount, NULL, p_name);
	WHEN 'reverse' THEN RETURN public.reverse_purchase(p_name, p_amount, NULL, p_extra);
	WHEN 'reinstate' THEN RETURN public.reinstate_purchase(p_name, NULL, p_extra);
	WHEN 'expire' THEN RETURN public.expire_credits();
	WHEN 'stale' THEN RETURN public.sweep_stale_holds();
	WHEN 'grant' THEN v_entry := public.grant_credits(v_user, p_amount, NULL, p_name, p_expires);
	WHEN 'purchase' THEN v_entry := public.purchase_credits(v_user, p_amount, p_name, NULL, p_expires);
	WHEN 'subscription' THEN v_entry := public.subscription_credits(v_user, p_amount, p_name, NULL, p_expires);
	WHEN 'usage' THEN
		INSERT INTO public.credit_ledger (user_id, type, amount) VALUES (v_user, 'usage', -p_amount);
		RETURN 'done';
	WHEN 'delete' THEN
		DELETE FROM public.jobs WHERE id = v_job;
		GET DIAGNOSTICS v_rows = ROW_COUNT;
		RETURN v_rows;
	WHEN 'create' THEN
		INSERT INTO public.jobs (id, project_id, user_id, status) VALUES (v_job, model.id(2, p_user), v_user, 'QUEUED')
			ON CONFLICT (id) DO NOTHING;
		GET DIAGNOSTICS v_rows = ROW_COUNT;
		RETURN v_rows;
	END CASE;
	RETURN (SELECT entry_no FROM public.credit_ledger WHERE id = v_entry);
END $$;

-- The entries that this transaction made: of this user, or of all of them.  It
-- also writes entries of others, when it deletes the job that they name.
CREATE FUNCTION model.spans(p_user uuid) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s:%s-%s', model.number(a.user_id), e.first, e.last), ',')
	  FROM public.credit_accounts a
	 CROSS JOIN LATERAL (SELECT min(l.entry_no) AS first, max(l.entry_no) AS last FROM public.credit_ledger l
	                      WHERE l.user_id = a.user_id AND l.entry_no > a.entries - 200
	                        AND l.created_at = now() AND model.mine(l.xmin)) e
	 WHERE (p_user IS NULL OR a.user_id = p_user) AND model.mine(a.xmin) AND e.first IS NOT NULL
$$;

-- One operation and its line in the journal.  40001 and 40P01 are not caught.
CREATE FUNCTION model.perform(p_client integer, p_number integer, p_operation text, p_user integer, p_job integer,
	p_amount integer, p_name text, p_extra text, p_expires timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_m0 bigint := nextval('model.moments');
	v_t0 timestamptz := clock_timestamp();
	v_user uuid := model.id(1, p_user);
	v_result text;
	v_refused boolean := false;
	v_spans text;
	v_entries bigint;
BEGIN
	IF p_operation = 'balance' THEN
		SELECT public.get_credit_balance(v_user), a.entries INTO v_result, v_entries
		  FROM public.credit_accounts a WHERE a.user_id = v_user;
	ELSIF p_operation = 'summary' THEN
		SELECT public.get_credit_summary(v_user), a.entries INTO v_result, v_entries
		  FROM public.credit_accounts a WHERE a.user_id = v_user;
	ELSE
		BEGIN
			v_result := coalesce(model.call(p_operation, p_user, p_job, p_amount, p_name, p_extra, p_expires), 'NULL');
		EXCEPTION WHEN SQLSTATE 'PT402' OR SQLSTATE 'PT404' OR SQLSTATE 'PT409' OR SQLSTATE 'PT429' OR SQLSTATE '23514'
			OR SQLSTATE '42501' OR SQLSTATE '22003' OR SQLSTATE '22004' OR SQLSTATE '22023' THEN
			v_result := SQLSTATE;
			v_refused := true;
		END;
		IF NOT v_refused THEN
			IF p_operation IN ('reverse', 'reinstate') THEN
				SELECT l.user_id INTO v_user FROM public.credit_ledger l
				 WHERE l.stripe_payment_id = p_name AND l.type IN ('purchase', 'subscription') AND l.reverses IS NULL;
			END IF;
			v_spans := model.spans(CASE WHEN p_operation <> 'expire' THEN v_user END);
		END IF;
	END IF;
	INSERT INTO model.journal VALUES (p_client, p_number, p_operation, p_user, p_job, p_amount, p_name, p_extra,
		model.micros(p_expires), v_result, v_refused, v_spans, v_entries, v_m0, nextval('model.moments'),
		model.micros(v_t0), model.micros(clock_timestamp()));
	RETURN v_result;
END $$;

-- a number below the limit, from a seed
CREATE FUNCTION model.below(p_seed text, p_limit integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
	$$ SELECT ('x' || left(md5(p_seed), 7))::bit(28)::integer % p_limit $$;

-- Draws an operation and its arguments.  Half of all is about six users.  Keys
-- and payments live for a while; each mostly comes with its own amount.
CREATE FUNCTION model.operate(p_client integer, p_number integer, p_seed integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_operations CONSTANT text[] := string_to_array(trim(regexp_replace('
		reserve reserve reserve reserve reserve reserve reserve reserve settle settle settle settle release release
		ready ready failed failed retry retry retry delete create create create grant grant grant
		purchase purchase subscription subscription refund refund refund reverse reverse reverse
		reinstate reinstate reinstate usage usage usage usage expire stale balance summary', '\s+', ' ', 'g')), ' ');
	v_seed text := p_seed::text;
	v_operation text := v_operations[1 + model.below(v_seed || 'o', cardinality(v_operations))];
	v_user integer := 1 + model.below(v_seed || 'u', CASE WHEN p_seed % 2 = 0 THEN 6 ELSE 50 END);
	v_job integer := v_user + 50 * model.below(v_seed || 'j', 4);
	v_small integer := 1 + model.below(v_seed || 'a', 9);
	v_usual boolean := model.below(v_seed || 's', 6) > 0;
	v_period integer := p_number / 100;
	v_name text := v_period || ' ' || model.below(v_seed || 'n', 40);
	v_old_name text := greatest(v_period - model.below(v_seed || 'p', 4), 0) || ' ' || model.below(v_seed || 'n', 40);
	v_amount integer := v_small;
	v_extra text;
	v_expires timestamptz;
BEGIN
	CASE
	WHEN v_operation = 'reserve' THEN
		v_amount := CASE WHEN v_usual THEN 4 + v_job % 9 ELSE v_small END;
		v_user := CASE WHEN model.below(v_seed || 'w', 40) = 0 THEN v_user % 50 + 1 ELSE v_user END;
	WHEN v_operation IN ('settle', 'ready') THEN
		v_amount := CASE WHEN v_small % 2 = 0 THEN v_small - 1 END;
		IF v_operation = 'settle' THEN
			v_extra := (ARRAY['error', 'charge', 'cap'])[1 + model.below(v_seed || 'x', 3)];
			v_amount := v_amount + CASE WHEN v_small > 4 THEN 30 ELSE 0 END;
		END IF;
	WHEN v_operation IN ('grant', 'refund') THEN
		v_name := CASE WHEN v_small > 5 THEN 'key ' || v_period || ' ' || v_small END;
		v_amount := CASE WHEN v_small > 5 AND v_usual THEN 1 + v_small % 3 ELSE 1 + v_small / 2 END;
	WHEN v_operation = 'reverse' THEN
		v_name := v_old_name;
		v_extra := CASE WHEN NOT v_usual THEN 'key ' || v_period || ' ' || v_small
		                WHEN v_small < 8 THEN 'reversal ' || v_small % 2 || ' of ' || v_name END;
		v_amount := CASE WHEN v_small < 6 THEN 1 + model.below(coalesce(v_extra, v_seed) || 'a', 4) END;
	WHEN v_operation = 'reinstate' THEN
		v_name := v_old_name;
		v_extra := CASE WHEN NOT v_usual THEN 'key ' || v_period || ' ' || v_small
		                WHEN v_small < 8 THEN 'reversal ' || v_small % 2 || ' of ' || v_name END;
	WHEN v_operation IN ('purchase', 'subscription') AND v_usual THEN
		v_user := 1 + model.below(v_name || 'u', CASE WHEN model.below(v_name, 2) = 0 THEN 6 ELSE 50 END);
		v_operation := CASE WHEN model.below(v_name || 't', 3) = 0 THEN 'subscription' ELSE 'purchase' END;
		v_amount := 1 + model.below(v_name || 'a', 12);
	ELSE
		NULL;
	END CASE;

	-- a fifth never expires, a fifth long after the run; what has a name has its expiry too
	IF v_operation IN ('grant', 'purchase', 'subscription') THEN
		v_expires := CASE model.below(coalesce(v_name, v_seed) || 'e', 5)
			WHEN 0 THEN '2190-01-01'
			WHEN 1 THEN NULL
			ELSE CASE WHEN v_name IS NULL THEN clock_timestamp() + (model.below(v_seed || 'l', 1000) - 100) * INTERVAL '1 ms'
			          ELSE (SELECT at FROM model.start) + (0.3 + 0.25 * v_period) * INTERVAL '1 s' END
			END;
	END IF;
	RETURN model.perform(p_client, p_number, v_operation, v_user,
		CASE WHEN v_operation IN ('reserve', 'settle', 'release', 'ready', 'failed', 'retry', 'delete', 'create', 'refund') THEN v_job END,
		v_amount,
		CASE WHEN v_operation IN ('grant', 'purchase', 'subscription', 'refund', 'reverse', 'reinstate') THEN v_name END,
		v_extra, v_expires);
END $$;

INSERT INTO auth.users (id, email) SELECT model.id(1, u), u || '@example.com' FROM generate_series(1, 50) u;
INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset)
	SELECT model.id(2, u), model.id(1, u), 'P', 'p', 'facts' FROM generate_series(1, 50) u;
INSERT INTO public.jobs (id, project_id, user_id, status)
	SELECT model.id(3, j), model.id(2, 1 + (j - 1) % 50), model.id(1, 1 + (j - 1) % 50), 'QUEUED' FROM generate_series(1, 200) j;
};

my $script = q{
\set n :n + 1
\set seed random(0, 2147483647)
SELECT model.operate(:client_id + :first, :n, :seed);
};

my $node = new_cluster('model', 'deadlock_timeout = 100ms', 'log_min_error_statement = fatal', 'log_min_messages = fatal');

# --- one level ---------------------------------------------------------------------

sub run_clients
{
	my ($level, $db) = @_;
	my $all = $clients * $each;
	local $ENV{PGOPTIONS} = '-c default_transaction_isolation=' . $level =~ s/ /\\ /gr;

	$node->pgbench("-n -c $clients -j 2 -t $each --max-tries=10000 -D n=0 -D first=0 --random-seed=$seed",
		0, [ qr{processed: $all/$all}, qr{number of failed transactions: 0 } ], [qr{^pgbench: setting random seed to $seed\s*$}],
		"$level: $all operations, seed $seed", { $db => $script }, $db);
	return $all;
}

# Lets all credit expire that soon will, and sweeps it.
sub sweep
{
	my ($db) = @_;

	query($node, $db, q{
		DO $$
		DECLARE
			v_last timestamptz := (SELECT max(expires_at) FROM public.credit_ledger WHERE expires_at < clock_timestamp() + INTERVAL '1 hour');
		BEGIN
			WHILE clock_timestamp() <= v_last LOOP
				PERFORM pg_sleep(0.05);
			END LOOP;
			FOR i IN 1..100 LOOP
				COMMIT;
				EXIT WHEN model.perform(1000, i, 'expire', NULL, NULL, NULL, NULL, NULL, NULL) = '0';
			END LOOP;
		END $$;});
	return;
}

# The rows of a query as hashes; the empty string is NULL.
sub rows
{
	my ($db, $sql, @columns) = @_;
	my @rows;

	foreach my $line (split /\n/, query($node, $db, $sql))
	{
		my %row;
		@row{@columns} = map { $_ eq '' ? undef : $_ } split /\|/, $line, -1;
		push @rows, \%row;
	}
	return @rows;
}

sub journal
{
	my ($db) = @_;
	my @columns = qw(client number operation user job amount name extra expires result refused spans entries m0 m1 t0 t1);

	return rows($db, 'SELECT ' . join(', ', map { qq("$_") } @columns) . q{,
		CASE WHEN operation = 'summary' THEN model.micros((result::jsonb ->> 'next_expiry')::timestamptz) END
		FROM model.journal ORDER BY m1}, @columns, 'next_expiry');
}

sub ledger
{
	my ($db) = @_;
	my %ledger = map { $_ => [] } 1 .. $users;

	push @{ $ledger{ $_->{user} } }, $_ foreach rows($db, q{
		SELECT model.number(l.user_id), l.entry_no, l.type, l.amount, l.balance_after, r.entry_no,
		       COALESCE('reinstates:' || u.entry_no, l.idempotency_key), l.stripe_payment_id, model.micros(l.expires_at)
		  FROM public.credit_ledger l LEFT JOIN public.credit_ledger r ON r.id = l.reverses AND r.user_id = l.user_id
		  LEFT JOIN public.credit_ledger u ON l.idempotency_key = 'reinstates:' || u.id AND u.user_id = l.user_id
		 ORDER BY l.user_id, l.entry_no}, qw(user no type amount balance_after reverses key payment expires));
	return \%ledger;
}

sub final_state
{
	my ($db) = @_;
	my %accounts = map { $_->{user} => [ @$_{qw(balance reserved entries)} ] } rows($db,
		'SELECT model.number(user_id), balance, reserved, entries FROM public.credit_accounts', qw(user balance reserved entries));
	my %jobs = map { $_->{job} => [ @$_{qw(user status reserved final)} ] } rows($db,
		'SELECT model.number(id), model.number(user_id), status, cost_credits_reserved, cost_credits_final FROM public.jobs',
		qw(job user status reserved final));

	return (\%accounts, \%jobs, query($node, $db, 'SELECT model.micros(clock_timestamp())'));
}

# What the model says to everything that the journal of a database tells.
sub check_history
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, $db, $journal) = @_;
	my $model = CreditModel->new(users => $users, jobs => $jobs, ledger => ledger($db));
	$model->run($journal);
	$model->check_end(final_state($db)) if !@{ $model->{problems} };
	is(join("\n", @{ $model->{problems} }), '', "$name: the answers and the ledger are the model's (seed $seed)");
	is(query($node, $db, 'SELECT * FROM public.verify_credit_ledger()'), '', "$name: the books are sound");
	indexes_ok($node, $db, $name);
	return $model;
}

# How often what happened, at all levels together.
my %happened;

sub run_level
{
	my ($level) = @_;
	my $db = $level =~ s/ /_/r;

	prepare_database($node, $db);
	query($node, $db, $setup);
	my $all = run_clients($level, $db);
	sweep($db);

	my @journal = journal($db);
	is(scalar(grep { $_->{client} < $clients } @journal), $all, "$level: each operation is in the journal");
	my $model = check_history($level, $db, \@journal);
	$happened{$_} += $model->{outcomes}{$_} foreach keys %{ $model->{outcomes} };
	note("$level: $_ $model->{outcomes}{$_}") foreach sort keys %{ $model->{outcomes} };
	return ($model, \@journal, $db);
}

diag("SOAK_SEED=$seed SOAK_OPERATIONS=$operations");
my ($model, $journal, $db) = run_level($levels[0]);

# no client locks in another order than the others
ok($node->poll_query_until('postgres', "SELECT xact_commit >= $each FROM pg_stat_database WHERE datname = '$db'"), 'the statistics have arrived');
is(query($node, 'postgres', "SELECT deadlocks FROM pg_stat_database WHERE datname = '$db'"), '0', "$levels[0]: no deadlock");

# the model sees a wrong answer and a wrong entry
my ($answer) = grep { $_->{operation} eq 'reserve' && $_->{result} eq 't' && $_->{spans} } @$journal;
my $wrong = CreditModel->new(users => $users, jobs => $jobs, ledger => ledger($db));
$wrong->run([ map { $_ == $answer ? { %$_, result => 'f' } : $_ } @$journal ]);
isnt("@{ $wrong->{problems} }", '', 'a wrong answer is seen');
my $ledger = ledger($db);
$ledger->{1}[-1]{amount}++;
$wrong = CreditModel->new(users => $users, jobs => $jobs, ledger => $ledger);
$wrong->run($journal);
isnt("@{ $wrong->{problems} }", '', 'a wrong entry is seen');

run_level($_) foreach @levels[ 1 .. $#levels ];
is(join(', ', grep { !$happened{$_} } @outcomes), '', 'everything happened');

# --- the server is killed, clients are cut off ---------------------------------------

# Clients in the background; in the journal each run has clients of its own.
sub start_clients
{
	my ($db, $run) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir_short() . '/clients.sql';

	append_to_file($file, $script);
	return IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', $clients, '-j', 2, '-T', 20,
			'-D', 'n=0', '-D', 'first=' . $run * 10, '--random-seed=' . ($seed + $run), '-f', $file, $db ],
		'>', \my $out, '2>', \my $err);
}

sub entries_of
{
	return query($node, $_[0], 'SELECT count(*) FROM public.credit_ledger');
}

# Waits until the clients have made some more entries, then some time at random.
sub wait_for_work
{
	my ($db, $before) = @_;

	$node->poll_query_until($db, 'SELECT count(*) > ' . ($before + 50) . ' FROM public.credit_ledger');
	sleep rand 0.3;
	return;
}

sub cut_off
{
	my ($db, $many) = @_;

	query($node, $db, qq{
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		 WHERE datname = '$db' AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT $many});
	return;
}

my $killed = 'killed';
prepare_database($node, $killed);
query($node, $killed, $setup);

foreach my $run (1 .. 10)
{
	my $before = entries_of($killed);
	my $running = start_clients($killed, $run);

	wait_for_work($killed, $before);
	kill_server($node);
	$running->finish;
	$node->start;
	cmp_ok(entries_of($killed), '>', $before, "killed for the ${run}th time while clients were at work");
}

foreach my $run (11 .. 15)
{
	my $before = entries_of($killed);
	my $running = start_clients($killed, $run);

	wait_for_work($killed, $before);
	cut_off($killed, 3);
	sleep 0.1;
	cut_off($killed, $clients);
	$running->finish;
	cmp_ok(entries_of($killed), '>', $before, 'clients were cut off at work');
}
sweep($killed);
check_history('after ten crashes', $killed, [ journal($killed) ]);

$node->stop;
done_testing();
