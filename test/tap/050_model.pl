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
# entries, "again" is the answer of a repetition.
my @outcomes = map {
	my ($operation, @what) = split;
	map { "$operation $_" } @what
} split /\n/, <<'END';
reserve t f PT409 42501 returned
settle moved PT402 PT409
release moved PT409
ready moved PT409 23514
failed moved 23514
retry moved PT402 23514
delete again
create again
grant moved PT409 22023
purchase moved PT409
subscription moved PT409
refund moved PT409
reverse moved awaited several PT409 PT404
reinstate moved early PT404 PT409
usage done PT402
charge moved again PT402 PT409
top_up moved again 0 PT409
hold moved again PT402 PT409
capture moved again PT402 PT404 PT409
release_hold moved again PT404 PT409
void moved again 0 22023 PT404 PT409
transfer moved again several 22023 PT402 PT409
merge moved 0 22023 PT409
expire moved 0
stale moved 0
balance read
summary read
lots read
entry expire
END

my $setup = q{
CREATE SCHEMA model;
CREATE SEQUENCE model.moments;
CREATE TABLE model.start AS SELECT clock_timestamp() AS at;
CREATE TABLE model.journal (
	client integer, number integer, operation text NOT NULL, "user" integer, job integer, amount integer,
	name text, extra text, expires bigint, other integer, priority integer, lasts bigint, result text NOT NULL, refused boolean NOT NULL, spans text,
	entries bigint, m0 bigint NOT NULL, m1 bigint NOT NULL, t0 bigint NOT NULL, t1 bigint NOT NULL,
	PRIMARY KEY (client, number));

CREATE FUNCTION model.id(p_kind integer, p_number integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT (lpad(p_kind::text, 8, '0') || '-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid $$;
CREATE FUNCTION model.number(p_id uuid) RETURNS integer LANGUAGE sql IMMUTABLE AS
	$$ SELECT right(p_id::text, 12)::integer $$;
CREATE FUNCTION model.micros(p_time timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS
	$$ SELECT (extract(epoch FROM p_time) * 1000000)::bigint $$;

-- Operations name what they are about by its payment or key, as its id is random; what is not there has an
-- id that nothing has.
CREATE FUNCTION model.entry(p_user uuid, p_name text) RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT COALESCE((SELECT l.id FROM public.credit_ledger l
	                  WHERE l.user_id = p_user
	                    AND (l.idempotency_key = p_name
	                         OR l.stripe_payment_id = p_name AND l.amount > 0 AND (l.reverses IS NULL OR l.transfer_id IS NOT NULL))
	                  ORDER BY l.entry_no LIMIT 1), model.id(9, 0))
$$;

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

CREATE FUNCTION model.call(p_operation text, p_user integer, p_other integer, p_job integer, p_amount integer, p_name text,
	p_extra text, p_expires timestamptz, p_priority integer, p_lasts interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_user uuid := model.id(1, p_user);
	v_other uuid := model.id(1, p_other);
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
	WHEN 'grant' THEN v_entry := public.grant_credits(v_user, p_amount, NULL, p_name, p_expires, p_priority);
	WHEN 'purchase' THEN v_entry := public.purchase_credits(v_user, p_amount, p_name, NULL, p_expires);
	WHEN 'subscription' THEN v_entry := public.subscription_credits(v_user, p_amount, p_name, NULL, p_expires);
	WHEN 'charge' THEN RETURN public.charge_credits(v_user, p_amount, p_name, p_extra);
	WHEN 'top_up' THEN RETURN public.top_up_credits(v_user, p_amount, p_name, p_expires);
	WHEN 'hold' THEN v_entry := public.hold_credits(v_user, p_amount, p_extra, NULL, p_lasts, p_name);
	WHEN 'capture' THEN RETURN public.capture_hold(model.entry(v_user, p_name), p_amount, p_extra);
	WHEN 'release_hold' THEN RETURN public.release_hold(model.entry(v_user, p_name));
	WHEN 'void' THEN RETURN public.void_credits(model.entry(v_user, p_name), p_amount, NULL, p_extra);
	WHEN 'transfer' THEN RETURN public.transfer_credits(v_user, v_other, p_amount, p_name);
	WHEN 'merge' THEN RETURN public.merge_accounts(v_user, v_other, p_name);
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

-- The entries that this transaction made: of these users, or of all of them.  It
-- also writes entries of others, when it deletes the job that they name.
CREATE FUNCTION model.spans(p_users uuid[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s:%s-%s', model.number(a.user_id), e.first, e.last), ',')
	  FROM public.credit_accounts a
	 CROSS JOIN LATERAL (SELECT min(l.entry_no) AS first, max(l.entry_no) AS last FROM public.credit_ledger l
	                      WHERE l.user_id = a.user_id AND l.entry_no > a.entries - 200
	                        AND l.created_at = now() AND model.mine(l.xmin)) e
	 WHERE (p_users IS NULL OR a.user_id = ANY (p_users)) AND model.mine(a.xmin) AND e.first IS NOT NULL
$$;

-- Whose entries an operation can have made; NULL is anybody's.
CREATE FUNCTION model.concerned(p_operation text, p_user integer, p_other integer, p_name text) RETURNS uuid[] LANGUAGE sql AS $$
	SELECT CASE
	       WHEN p_operation IN ('reverse', 'reinstate')
	       THEN ARRAY(SELECT DISTINCT l.user_id FROM public.credit_ledger l WHERE l.stripe_payment_id = p_name)
	       WHEN p_operation NOT IN ('expire', 'stale') THEN ARRAY[model.id(1, p_user), model.id(1, p_other)] END
$$;

-- What get_credit_lots() says.
CREATE FUNCTION model.lots(p_user uuid) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT string_agg(format('%s %s %s: %s and %s held, %s, %s', l.entry_no, g.type, g.amount, g.remaining, g.held, g.priority,
	                         COALESCE(model.micros(g.expires_at)::text, 'never')), ', ' ORDER BY g.ordinality)
	  FROM public.get_credit_lots(p_user) WITH ORDINALITY g JOIN public.credit_ledger l ON l.id = g.entry_id
$$;

-- One operation and its line in the journal.  40001 and 40P01 are not caught.
CREATE FUNCTION model.perform(p_client integer, p_number integer, p_operation text, p_user integer, p_job integer,
	p_amount integer, p_name text, p_extra text, p_expires timestamptz, p_other integer DEFAULT NULL,
	p_priority integer DEFAULT NULL, p_lasts interval DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
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
	ELSIF p_operation = 'lots' THEN
		SELECT COALESCE(model.lots(v_user), ''), a.entries INTO v_result, v_entries
		  FROM public.credit_accounts a WHERE a.user_id = v_user;
	ELSE
		BEGIN
			v_result := coalesce(model.call(p_operation, p_user, p_other, p_job, p_amount, p_name, p_extra, p_expires, p_priority, p_lasts), 'NULL');
		EXCEPTION WHEN SQLSTATE 'PT402' OR SQLSTATE 'PT404' OR SQLSTATE 'PT409' OR SQLSTATE 'PT429' OR SQLSTATE '23514'
			OR SQLSTATE '42501' OR SQLSTATE '22003' OR SQLSTATE '22004' OR SQLSTATE '22023' THEN
			v_result := SQLSTATE;
			v_refused := true;
		END;
		IF NOT v_refused THEN
			v_spans := model.spans(model.concerned(p_operation, p_user, p_other, p_name));
		END IF;
	END IF;
	INSERT INTO model.journal VALUES (p_client, p_number, p_operation, p_user, p_job, p_amount, p_name, p_extra,
		model.micros(p_expires), p_other, p_priority, extract(epoch FROM p_lasts) * 1000000,
		v_result, v_refused, v_spans, v_entries, v_m0, nextval('model.moments'),
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
		reinstate reinstate reinstate usage usage usage usage expire stale stale balance summary lots
		charge charge charge top_up top_up top_up hold hold hold hold hold hold capture capture capture capture capture
		release_hold void void void transfer transfer transfer transfer transfer merge merge', '\s+', ' ', 'g')), ' ');
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
	v_other integer;
	v_priority integer;
	v_lasts interval;
BEGIN
	CASE
	WHEN v_operation = 'reserve' THEN
		v_amount := CASE WHEN v_usual THEN 4 + v_job % 9 ELSE v_small END;
		v_user := CASE WHEN model.below(v_seed || 'w', 40) = 0 THEN v_user % 50 + 1 ELSE v_user END;
	WHEN v_operation IN ('settle', 'ready') THEN
		v_amount := CASE WHEN v_small % 2 = 0 THEN v_small - 1 END;
		IF v_operation = 'settle' THEN
			v_extra := (ARRAY['error', 'charge', 'cap', 'available'])[1 + model.below(v_seed || 'x', 4)];
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
	WHEN v_operation IN ('hold', 'capture', 'release_hold') THEN
		v_name := 'hold ' || greatest(v_period - model.below(v_seed || 'h', 2), 0) || ' ' || v_small % 5;
		IF v_operation = 'hold' THEN
			v_amount := CASE WHEN v_usual THEN 1 + model.below(v_name || 'a', 7) ELSE v_small END;
			v_name := CASE WHEN v_small < 8 THEN v_name END;
			v_extra := 'chat ' || v_small;
			v_lasts := CASE WHEN v_small % 2 = 0 THEN INTERVAL '1 day' ELSE (20 + model.below(v_seed || 'l', 400)) * INTERVAL '1 ms' END;
		ELSE
			v_extra := (ARRAY['error', 'charge', 'cap', 'available'])[1 + model.below(v_seed || 'x', 4)];
			v_amount := CASE WHEN v_small > 2 THEN v_small - 3 + CASE WHEN v_small > 6 THEN 25 ELSE 0 END END;
		END IF;
	WHEN v_operation = 'charge' THEN
		v_extra := 'chat ' || v_small;
		v_name := CASE WHEN v_small > 5 THEN CASE WHEN v_usual THEN 'charge ' ELSE 'key ' END || v_period || ' ' || v_small END;
		v_amount := CASE WHEN v_small > 5 AND v_usual THEN v_small - 4 ELSE v_small END;
	WHEN v_operation = 'top_up' THEN
		v_name := CASE WHEN v_small > 3 THEN CASE WHEN v_usual THEN 'month ' ELSE 'key ' END || v_period || ' ' || v_small END;
		v_amount := CASE WHEN model.below(v_seed || 'x', 6) = 0 THEN 9 ELSE 2 * v_small END;
	WHEN v_operation = 'void' THEN
		IF v_small % 3 = 0 THEN
			v_name := 'key ' || greatest(v_period - model.below(v_seed || 'h', 2), 0) || ' ' || 6 + model.below(v_seed || 'k', 4);
		ELSE
			v_name := regexp_replace(v_old_name, '\d+$', model.below(v_seed || 'n', 8)::text);
			v_user := CASE WHEN v_usual THEN 1 + model.below(v_name || 'u', CASE WHEN model.below(v_name, 2) = 0 THEN 6 ELSE 50 END) ELSE v_user END;
		END IF;
		v_extra := CASE WHEN v_small % 2 = 0 THEN 'void of ' || v_name WHEN v_small % 4 = 1 THEN CASE WHEN v_usual THEN 'reversal 1 of ' || v_name ELSE 'move ' || v_period || ' ' || v_small END END;
		v_amount := CASE WHEN v_small > 5 THEN 1 + model.below(coalesce(v_extra, v_seed) || 'a', 3) END;
	WHEN v_operation IN ('transfer', 'merge') THEN
		v_name := CASE WHEN v_small > 4 THEN CASE WHEN v_usual THEN 'move ' ELSE 'key ' END || v_period || ' ' || v_small END;
		v_other := 1 + model.below(coalesce(v_name || v_user, v_seed) || 't', CASE WHEN v_small % 2 = 0 THEN 6 ELSE 50 END);
		v_amount := CASE WHEN v_operation = 'transfer' THEN v_small + CASE WHEN v_small = 7 THEN 20 ELSE 0 END END;
	ELSE
		NULL;
	END CASE;

	-- a fifth never expires, a fifth long after the run; what has a name has its expiry too
	IF v_operation IN ('grant', 'purchase', 'subscription', 'top_up') THEN
		v_expires := CASE model.below(coalesce(v_name, v_seed) || 'e', 5)
			WHEN 0 THEN '2190-01-01'
			WHEN 1 THEN NULL
			ELSE CASE WHEN v_name IS NULL THEN clock_timestamp() + (model.below(v_seed || 'l', 1000) - 100) * INTERVAL '1 ms'
			          ELSE (SELECT at FROM model.start) + (0.3 + 0.25 * v_period) * INTERVAL '1 s' END
			END;
	END IF;
	IF v_operation = 'grant' THEN
		v_priority := (ARRAY[NULL, 0, -1, 2])[1 + model.below(coalesce(v_name, v_seed) || 'q', 4)];
	END IF;
	RETURN model.perform(p_client, p_number, v_operation, v_user,
		CASE WHEN v_operation IN ('reserve', 'settle', 'release', 'ready', 'failed', 'retry', 'delete', 'create', 'refund') THEN v_job END,
		v_amount,
		CASE WHEN v_operation IN ('grant', 'purchase', 'subscription', 'refund', 'reverse', 'reinstate', 'charge', 'top_up',
			'hold', 'capture', 'release_hold', 'void', 'transfer', 'merge') THEN v_name END,
		v_extra, v_expires, v_other, v_priority, v_lasts);
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

# Lets all credit and holds expire that soon will, and sweeps them.
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
				EXIT WHEN model.perform(1000, 2 * i, 'stale', NULL, NULL, NULL, NULL, NULL, NULL) = '0'
				      AND model.perform(1000, 2 * i + 1, 'expire', NULL, NULL, NULL, NULL, NULL, NULL) = '0';
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
	my @columns = qw(client number operation user job amount name extra expires other priority lasts result refused spans entries m0 m1 t0 t1);

	return rows($db, 'SELECT ' . join(', ', map { qq("$_") } @columns) . q{,
		CASE WHEN operation = 'summary' THEN model.micros((result::jsonb ->> 'next_expiry')::timestamptz) END
		FROM model.journal ORDER BY m1}, @columns, 'next_expiry');
}

sub ledger
{
	my ($db) = @_;
	my %ledger = map { $_ => [] } 1 .. $users;

	push @{ $ledger{ $_->{user} } }, $_ foreach rows($db, q{
		SELECT model.number(l.user_id), l.entry_no, l.type, l.amount, l.balance_after,
		       CASE WHEN r.user_id <> l.user_id THEN model.number(r.user_id) || ':' ELSE '' END || r.entry_no,
		       COALESCE(split_part(l.idempotency_key, ':', 1) || ':' || u.entry_no, l.idempotency_key), l.stripe_payment_id,
		       model.micros(l.expires_at), COALESCE(l.priority, 0), l.reference,
		       t.kind || ' ' || model.number(t.from_user_id) || '>' || model.number(t.to_user_id) || ' ' || t.amount,
		       model.micros(l.created_at)
		  FROM public.credit_ledger l LEFT JOIN public.credit_ledger r ON r.id = l.reverses
		  LEFT JOIN public.credit_ledger u ON substring(l.idempotency_key FROM '^(?:reinstates|captures):(.*)') = u.id::text AND u.user_id = l.user_id
		  LEFT JOIN studio_engine.transfers t ON t.id = l.transfer_id
		 ORDER BY l.user_id, l.entry_no}, qw(user no type amount balance_after reverses key payment expires priority reference transfer created));
	return \%ledger;
}

sub final_state
{
	my ($db) = @_;
	my @columns = qw(balance reserved entries lots holds keys);
	my %accounts = map { $_->{user} => [ @$_{@columns} ] } rows($db, q{
		SELECT model.number(a.user_id), a.balance, a.reserved, a.entries, model.lots(a.user_id),
		       (SELECT string_agg(l.entry_no::text, ' ' ORDER BY l.entry_no)
		          FROM studio_engine.expiring_holds h JOIN public.credit_ledger l ON l.id = h.hold_id WHERE h.user_id = a.user_id),
		       (SELECT string_agg(k.idempotency_key, ', ' ORDER BY k.idempotency_key COLLATE "C")
		          FROM studio_engine.credit_keys k WHERE k.user_id = a.user_id)
		  FROM public.credit_accounts a}, 'user', @columns);
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
	books_ok($node, $db, $name);
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
