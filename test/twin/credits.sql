/*
 * credits.sql
 *
 * The credit API once more in PL/pgSQL, in a schema of its own: the oracle of the
 * tests and the baseline of the measurements.  Load it into a throwaway database.
 *
 * Names, arguments, answers, SQLSTATEs and ledger entries are those of the
 * extension; row level security and the checks of the caller are left out.
 * twin.enter_usage(), twin.sign_up(), twin.end_job(), twin.retry() and
 * twin.delete_job() stand for what the extension does in triggers or in the job
 * functions.  A user exists when he has an account.  retry() knows no limit of
 * active jobs.
 *
 * Lots are no table: what is left of them is replayed from the ledger, and only
 * for users who ever got credit that expires.  The state of the replay is the
 * lots with something left, in burn order, what every open hold took from which
 * lot, and the debt.
 *
 * The pitfall: every function locks the job, where there is one, then the
 * account, and reads the ledger after that in a statement of its own.
 */
CREATE SCHEMA twin;

CREATE TABLE twin.credit_accounts (
	user_id uuid PRIMARY KEY,
	balance integer NOT NULL DEFAULT 0,
	reserved integer NOT NULL DEFAULT 0 CHECK (reserved >= 0),
	entries bigint NOT NULL DEFAULT 0,
	updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE twin.jobs (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id uuid NOT NULL REFERENCES twin.credit_accounts,
	status text NOT NULL DEFAULT 'QUEUED' CHECK (status IN ('QUEUED', 'READY', 'FAILED')),
	cost_credits_reserved integer DEFAULT 0,
	cost_credits_final integer,
	project_title text
);

CREATE TABLE twin.credit_ledger (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id uuid NOT NULL REFERENCES twin.credit_accounts,
	type text NOT NULL CHECK (type IN (
		'purchase', 'usage', 'refund', 'grant', 'expire', 'reserve', 'subscription'
	)),
	amount integer NOT NULL,
	balance_after integer,
	note text,
	job_id uuid REFERENCES twin.jobs ON DELETE SET NULL,
	stripe_payment_id text,
	created_at timestamptz DEFAULT now(),
	entry_no bigint NOT NULL,
	idempotency_key text,
	expires_at timestamptz,
	reverses uuid,
	reference text,
	metadata jsonb,
	priority integer,
	transfer_id uuid
);
-- Which entry undid which reversal, and the reversals that were undone before they came.
CREATE TABLE twin.undone (reversal_id uuid PRIMARY KEY REFERENCES twin.credit_ledger, amount integer NOT NULL);
CREATE TABLE twin.awaited (user_id uuid, key text, purchase_id uuid, PRIMARY KEY (user_id, key));
CREATE INDEX credit_ledger_job ON twin.credit_ledger (job_id);
CREATE INDEX credit_ledger_reverses ON twin.credit_ledger (reverses) WHERE reverses IS NOT NULL;
CREATE INDEX credit_ledger_expires ON twin.credit_ledger (user_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX credit_ledger_entry_no ON twin.credit_ledger (user_id, entry_no);
CREATE UNIQUE INDEX credit_ledger_key ON twin.credit_ledger (user_id, idempotency_key)
	WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX credit_ledger_payment ON twin.credit_ledger (stripe_payment_id)
	WHERE stripe_payment_id IS NOT NULL AND reverses IS NULL;

--------------------------------------------------------------------------------
-- Clock, refusals, checks of arguments
--------------------------------------------------------------------------------

-- SET twin.clock_offset = '8 days' lets time pass for these functions.
CREATE FUNCTION twin.now() RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$
	SELECT clock_timestamp() + coalesce(nullif(current_setting('twin.clock_offset', true), ''), '0')::interval
$$;

CREATE FUNCTION twin.refuse(p_sqlstate text, p_message text, p_detail text DEFAULT '') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = p_sqlstate, MESSAGE = p_message, DETAIL = p_detail;
END
$$;

CREATE FUNCTION twin.check_given(VARIADIC p_values anyarray) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	IF num_nulls(VARIADIC p_values) > 0 THEN
		PERFORM twin.refuse('22004', 'argument must not be null');
	END IF;
END
$$;

CREATE FUNCTION twin.check_positive(p_amount integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.check_given(p_amount);
	IF p_amount <= 0 THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds', 'An amount must be positive.');
	END IF;
END
$$;

CREATE FUNCTION twin.check_note(p_note text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	IF length(p_note) > 1000 THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds', 'A note has at most 1000 characters.');
	END IF;
END
$$;

CREATE FUNCTION twin.check_key(p_key text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	IF length(p_key) NOT BETWEEN 1 AND 255 THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds', 'A key has 1 to 255 characters.');
	END IF;
END
$$;

-- The period of a payment may be over when its event arrives.
CREATE FUNCTION twin.check_expiry(p_expires_at timestamptz, p_paid boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	IF NOT isfinite(p_expires_at) OR (NOT p_paid AND p_expires_at <= twin.now()) THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds', 'Credit expires at some time, granted credit in the future.');
	END IF;
END
$$;

CREATE FUNCTION twin.check_capacity(p_account twin.credit_accounts, p_amount integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	IF p_account.balance::bigint + p_account.reserved + p_amount > 2147483647 THEN
		PERFORM twin.refuse('22003', 'balance out of range');
	END IF;
END
$$;

--------------------------------------------------------------------------------
-- Locks and entries
--------------------------------------------------------------------------------

CREATE FUNCTION twin.lock_job(p_job_id uuid) RETURNS twin.jobs
LANGUAGE plpgsql AS $$
DECLARE
	v_job twin.jobs;
BEGIN
	SELECT * INTO v_job FROM twin.jobs WHERE id = p_job_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM twin.refuse('PT404', 'not found', format('There is no job %s.', p_job_id));
	END IF;
	RETURN v_job;
END
$$;

CREATE FUNCTION twin.lock_account(p_user_id uuid) RETURNS twin.credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
	v_account twin.credit_accounts;
BEGIN
	SELECT * INTO v_account FROM twin.credit_accounts WHERE user_id = p_user_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM twin.refuse('PT404', 'not found', format('There is no user %s.', p_user_id));
	END IF;
	RETURN v_account;
END
$$;

-- The one way into the ledger; call it with the account locked.
CREATE FUNCTION twin.book(
	p_user_id uuid, p_type text, p_amount integer, p_note text DEFAULT NULL, p_job_id uuid DEFAULT NULL,
	p_payment_id text DEFAULT NULL, p_key text DEFAULT NULL, p_expires_at timestamptz DEFAULT NULL,
	p_reverses uuid DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
	v_id uuid;
BEGIN
	WITH account AS (
		UPDATE twin.credit_accounts a
		   SET balance = a.balance + p_amount,
		       reserved = a.reserved - CASE WHEN p_type = 'reserve' THEN p_amount ELSE 0 END,
		       entries = a.entries + 1, updated_at = clock_timestamp()
		 WHERE a.user_id = p_user_id
		RETURNING a.balance, a.entries
	)
	INSERT INTO twin.credit_ledger (user_id, type, amount, balance_after, note, job_id, stripe_payment_id,
	                                entry_no, idempotency_key, expires_at, reverses, metadata)
	SELECT p_user_id, p_type, p_amount, account.balance, p_note, p_job_id, p_payment_id,
	       account.entries, p_key, p_expires_at, p_reverses,
	       coalesce((SELECT jsonb_build_object('project_title', j.project_title) FROM twin.jobs j
	                  WHERE j.id = p_job_id AND j.project_title IS NOT NULL),
	                (SELECT h.metadata FROM twin.credit_ledger h WHERE h.id = p_reverses AND p_type = 'reserve'))
	  FROM account
	RETURNING id INTO STRICT v_id;
	RETURN v_id;
END
$$;

--------------------------------------------------------------------------------
-- Lots
--------------------------------------------------------------------------------

-- what is left of a lot, or what a hold took from it
CREATE TYPE twin.lot AS (
	id uuid,
	entry_no bigint,
	expires_at timestamptz,
	credits integer
);

CREATE TYPE twin.taking AS (
	hold uuid,
	lot twin.lot
);

-- Puts credit into a lot.  The lots are those with something left, in burn
-- order: earliest expiry first, never expiring last, then oldest.
CREATE FUNCTION twin.put(p_lots twin.lot[], p_lot twin.lot) RETURNS twin.lot[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	v_place integer := cardinality(p_lots) + 1;
BEGIN
	IF p_lot.credits = 0 THEN
		RETURN p_lots;
	END IF;
	WHILE v_place > 1
	  AND (coalesce(p_lots[v_place - 1].expires_at, 'infinity'), p_lots[v_place - 1].entry_no)
	    > (coalesce(p_lot.expires_at, 'infinity'), p_lot.entry_no) LOOP
		v_place := v_place - 1;
	END LOOP;
	IF v_place > 1 AND p_lots[v_place - 1].entry_no = p_lot.entry_no THEN
		p_lots[v_place - 1].credits := p_lots[v_place - 1].credits + p_lot.credits;
		RETURN p_lots;
	END IF;
	RETURN p_lots[:v_place - 1] || p_lot || p_lots[v_place:];
END
$$;

-- Takes credit from one lot, as far as it goes; rest is what it could not give.
CREATE FUNCTION twin.take(INOUT lots twin.lot[], p_lot uuid, INOUT rest integer)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	v_taken integer;
BEGIN
	FOR i IN 1..cardinality(lots) LOOP
		CONTINUE WHEN lots[i].id <> p_lot;
		v_taken := least(lots[i].credits, rest);
		rest := rest - v_taken;
		lots[i].credits := lots[i].credits - v_taken;
		IF lots[i].credits = 0 THEN
			lots := lots[:i - 1] || lots[i + 1:];
		END IF;
		RETURN;
	END LOOP;
END
$$;

-- Takes credit from all lots in order; rest is what they could not give.
CREATE FUNCTION twin.burn(INOUT lots twin.lot[], INOUT rest integer, OUT taken twin.lot[])
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	v_lot twin.lot;
BEGIN
	taken := '{}';
	WHILE rest > 0 AND cardinality(lots) > 0 LOOP
		v_lot := lots[1];
		IF v_lot.credits > rest THEN
			lots[1].credits := v_lot.credits - rest;
			v_lot.credits := rest;
		ELSE
			lots := lots[2:];
		END IF;
		rest := rest - v_lot.credits;
		taken := taken || v_lot;
	END LOOP;
END
$$;

-- Gives back to the lots what a hold took, as much of it as the debt left over.
CREATE FUNCTION twin.give_back(
	INOUT lots twin.lot[], INOUT takings twin.taking[], INOUT debt integer, p_hold uuid)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	v_taking twin.taking;
	v_lot twin.lot;
	v_others twin.taking[] := '{}';
	v_covered integer;
BEGIN
	FOREACH v_taking IN ARRAY takings LOOP
		IF v_taking.hold <> p_hold THEN
			v_others := v_others || v_taking;
			CONTINUE;
		END IF;
		v_lot := v_taking.lot;
		v_covered := least(debt, v_lot.credits);
		debt := debt - v_covered;
		v_lot.credits := v_lot.credits - v_covered;
		lots := twin.put(lots, v_lot);
	END LOOP;
	takings := v_others;
END
$$;

-- Replays the ledger of a user; debt is what was taken beyond all lots.
CREATE FUNCTION twin.replay(p_user_id uuid, OUT lots twin.lot[], OUT debt integer)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_entry record;
	v_takings twin.taking[] := '{}';
	v_taken twin.lot[];
	v_rest integer;
BEGIN
	lots := '{}';
	debt := 0;
	FOR v_entry IN
		SELECT l.id, l.type, l.amount, l.reverses, l.entry_no, l.expires_at,
		       o.entry_no AS lot_no, o.expires_at AS lot_expires_at
		  FROM twin.credit_ledger l LEFT JOIN twin.credit_ledger o ON o.id = l.reverses
		 WHERE l.user_id = p_user_id ORDER BY l.entry_no
	LOOP
		IF v_entry.amount > 0 AND v_entry.type = 'reserve' THEN
			SELECT * INTO lots, v_takings, debt
			  FROM twin.give_back(lots, v_takings, debt, v_entry.reverses);
			CONTINUE;
		ELSIF v_entry.amount > 0 THEN
			v_rest := greatest(v_entry.amount - debt, 0);
			debt := greatest(debt - v_entry.amount, 0);
			-- a reinstatement goes back to the lot of the purchase
			lots := twin.put(lots, CASE WHEN v_entry.reverses IS NULL
				THEN ROW (v_entry.id, v_entry.entry_no, v_entry.expires_at, v_rest)::twin.lot
				ELSE ROW (v_entry.reverses, v_entry.lot_no, v_entry.lot_expires_at, v_rest)::twin.lot END);
			CONTINUE;
		END IF;

		v_rest := -v_entry.amount;
		IF v_entry.reverses IS NOT NULL THEN
			SELECT * INTO lots, v_rest FROM twin.take(lots, v_entry.reverses, v_rest);
		END IF;
		SELECT * INTO lots, v_rest, v_taken FROM twin.burn(lots, v_rest);
		debt := debt + v_rest;
		IF v_entry.type = 'reserve' THEN
			v_takings := v_takings || ARRAY(SELECT ROW (v_entry.id, t)::twin.taking FROM unnest(v_taken) t);
		END IF;
	END LOOP;
END
$$;

-- The lots that expired with something left, in burn order.
CREATE FUNCTION twin.expired_lots(p_user_id uuid) RETURNS SETOF twin.lot
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := twin.now();
BEGIN
	IF EXISTS (SELECT FROM twin.credit_ledger l WHERE l.user_id = p_user_id AND l.expires_at <= v_now) THEN
		RETURN QUERY SELECT e.* FROM twin.replay(p_user_id) r, unnest(r.lots) e WHERE e.expires_at <= v_now;
	END IF;
END
$$;

-- Takes what is left in these lots out of the account.
CREATE FUNCTION twin.expire(p_user_id uuid, p_lots twin.lot[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_lot twin.lot;
BEGIN
	FOREACH v_lot IN ARRAY p_lots LOOP
		PERFORM twin.book(p_user_id, 'expire', -v_lot.credits, 'Expired', p_reverses => v_lot.id);
	END LOOP;
	RETURN cardinality(p_lots);
END
$$;

CREATE FUNCTION twin.sweep(p_user_id uuid) RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
	RETURN twin.expire(p_user_id, ARRAY(SELECT e FROM twin.expired_lots(p_user_id) e));
END
$$;

-- Takes credit: expired lots go first.  FALSE, nothing written, when the rest
-- is too little.  Call it with the account locked.
CREATE FUNCTION twin.spend(
	p_account twin.credit_accounts, p_type text, p_amount integer, p_note text, p_job_id uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	v_expired twin.lot[] := ARRAY(SELECT e FROM twin.expired_lots(p_account.user_id) e);
	v_spendable integer := p_account.balance - coalesce((SELECT sum(e.credits) FROM unnest(v_expired) e), 0);
BEGIN
	IF v_spendable < p_amount THEN
		RETURN false;
	END IF;
	PERFORM twin.expire(p_account.user_id, v_expired);
	PERFORM twin.book(p_account.user_id, p_type, -p_amount, p_note, p_job_id);
	RETURN true;
END
$$;

--------------------------------------------------------------------------------
-- Credits in
--------------------------------------------------------------------------------

CREATE FUNCTION twin.sign_up(p_user_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO twin.credit_accounts (user_id) VALUES (p_user_id);
	PERFORM twin.book(p_user_id, 'grant', 10, 'Welcome bonus: 1 free video trial', p_key => 'welcome');
END
$$;

-- The entry with this key, if it has this content; call it with the account locked.
CREATE FUNCTION twin.find_by_key(
	p_user_id uuid, p_key text, p_type text, p_amount integer, p_job_id uuid DEFAULT NULL,
	p_reverses uuid DEFAULT NULL) RETURNS twin.credit_ledger
LANGUAGE plpgsql AS $$
DECLARE
	v_entry twin.credit_ledger;
BEGIN
	IF p_key IS NULL THEN
		RETURN NULL;
	END IF;
	SELECT * INTO v_entry FROM twin.credit_ledger WHERE user_id = p_user_id AND idempotency_key = p_key;
	IF FOUND AND (v_entry.type, v_entry.amount, v_entry.job_id, v_entry.reverses)
	             IS DISTINCT FROM (p_type, p_amount, p_job_id, p_reverses) THEN
		PERFORM twin.refuse('PT409', 'key was used for something else', format('Entry %s.', v_entry.id));
	END IF;
	RETURN v_entry;
END
$$;

CREATE FUNCTION twin.grant_credits(
	p_user_id uuid, p_amount integer, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL,
	p_expires_at timestamptz DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
	v_account twin.credit_accounts;
	v_found twin.credit_ledger;
BEGIN
	PERFORM twin.check_given(p_user_id);
	PERFORM twin.check_positive(p_amount);
	PERFORM twin.check_note(p_note);
	PERFORM twin.check_key(p_idempotency_key);

	v_account := twin.lock_account(p_user_id);
	v_found := twin.find_by_key(p_user_id, p_idempotency_key, 'grant', p_amount);
	IF v_found.id IS NOT NULL THEN
		RETURN v_found.id;
	END IF;
	PERFORM twin.check_expiry(p_expires_at, false);
	PERFORM twin.check_capacity(v_account, p_amount);
	RETURN twin.book(p_user_id, 'grant', p_amount, p_note, p_key => p_idempotency_key, p_expires_at => p_expires_at);
END
$$;

-- The payment is unique over all users, and two users' accounts do not exclude
-- each other: the index may be what notices.
CREATE FUNCTION twin.book_payment(
	p_type text, p_user_id uuid, p_amount integer, p_payment_id text, p_note text, p_expires_at timestamptz) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
	v_account twin.credit_accounts;
	v_found twin.credit_ledger;
	v_id uuid;
BEGIN
	PERFORM twin.check_given(p_user_id);
	PERFORM twin.check_positive(p_amount);
	PERFORM twin.check_given(p_payment_id);
	PERFORM twin.check_key(p_payment_id);
	PERFORM twin.check_note(p_note);

	v_account := twin.lock_account(p_user_id);
	SELECT * INTO v_found FROM twin.credit_ledger WHERE stripe_payment_id = p_payment_id AND reverses IS NULL;
	IF FOUND THEN
		IF (v_found.user_id, v_found.type, v_found.amount) IS DISTINCT FROM (p_user_id, p_type, p_amount) THEN
			PERFORM twin.refuse('PT409', 'key was used for something else', format('Entry %s.', v_found.id));
		END IF;
		RETURN v_found.id;
	END IF;
	PERFORM twin.check_expiry(p_expires_at, true);
	PERFORM twin.check_capacity(v_account, p_amount);
	v_id := twin.book(p_user_id, p_type, p_amount, p_note, p_payment_id => p_payment_id, p_expires_at => p_expires_at);
	IF p_expires_at <= twin.now() THEN
		PERFORM twin.expire(p_user_id, ARRAY(SELECT e FROM twin.expired_lots(p_user_id) e));
	END IF;
	RETURN v_id;
EXCEPTION WHEN unique_violation THEN
	PERFORM twin.refuse('PT409', 'key was used for something else', 'The payment was booked for another user.');
END
$$;

CREATE FUNCTION twin.purchase_credits(
	p_user_id uuid, p_amount integer, p_stripe_payment_id text, p_note text DEFAULT NULL,
	p_expires_at timestamptz DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql AS $$
BEGIN
	RETURN twin.book_payment('purchase', p_user_id, p_amount, p_stripe_payment_id, p_note, p_expires_at);
END
$$;

CREATE FUNCTION twin.subscription_credits(
	p_user_id uuid, p_amount integer, p_stripe_payment_id text, p_note text DEFAULT NULL,
	p_expires_at timestamptz DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql AS $$
BEGIN
	RETURN twin.book_payment('subscription', p_user_id, p_amount, p_stripe_payment_id, p_note, p_expires_at);
END
$$;

--------------------------------------------------------------------------------
-- Holds
--------------------------------------------------------------------------------

-- The last hold of a job from its entries; call it with the job locked.
CREATE FUNCTION twin.read_hold(p_job_id uuid, OUT id uuid, OUT open integer, OUT taken integer, OUT charged integer)
LANGUAGE plpgsql AS $$
DECLARE
	v_entry_no bigint;
BEGIN
	open := 0;
	taken := 0;
	charged := 0;
	SELECT l.id, l.entry_no, -l.amount INTO id, v_entry_no, taken
	  FROM twin.credit_ledger l
	 WHERE l.job_id = p_job_id AND l.type = 'reserve' AND l.amount < 0
	 ORDER BY l.entry_no DESC LIMIT 1;
	IF NOT FOUND THEN
		taken := 0;
		RETURN;
	END IF;
	SELECT coalesce(-sum(l.amount) FILTER (WHERE l.type = 'usage'), 0),
	       CASE WHEN count(*) FILTER (WHERE l.type = 'reserve') = 1 THEN taken ELSE 0 END
	  INTO charged, open
	  FROM twin.credit_ledger l
	 WHERE l.job_id = p_job_id AND l.entry_no >= v_entry_no;
END
$$;

CREATE FUNCTION twin.reserve_credits(p_user_id uuid, p_job_id uuid, p_amount integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	v_job twin.jobs;
	v_account twin.credit_accounts;
	v_hold record;
BEGIN
	PERFORM twin.check_given(p_user_id, p_job_id);
	PERFORM twin.check_positive(p_amount);

	v_job := twin.lock_job(p_job_id);
	IF v_job.user_id <> p_user_id THEN
		PERFORM twin.refuse('42501', 'not allowed');
	END IF;
	IF v_job.status IN ('READY', 'FAILED') THEN
		PERFORM twin.refuse('PT409', 'job has ended', format('Job %s.', p_job_id));
	END IF;

	v_account := twin.lock_account(p_user_id);
	SELECT * INTO v_hold FROM twin.read_hold(p_job_id);
	IF v_hold.open > 0 OR v_hold.charged > 0 THEN
		IF v_hold.taken <> p_amount THEN
			PERFORM twin.refuse('PT409', 'credits are held differently', format('Job %s, %s credits.', p_job_id, v_hold.taken));
		END IF;
		RETURN true;
	END IF;
	IF NOT twin.spend(v_account, 'reserve', p_amount, 'Reserved for job', p_job_id) THEN
		RETURN false;
	END IF;
	UPDATE twin.jobs SET cost_credits_reserved = p_amount, cost_credits_final = NULL WHERE id = p_job_id;
	RETURN true;
END
$$;

-- Gives a hold back and charges a price, then whatever went back to an expired
-- lot expires.  Call it with the account locked.
CREATE FUNCTION twin.close_hold(p_user_id uuid, p_job_id uuid, p_hold uuid, p_held integer, p_price integer, p_note text)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.book(p_user_id, 'reserve', p_held, p_note, p_job_id, p_reverses => p_hold);
	IF p_price > 0 THEN
		PERFORM twin.book(p_user_id, 'usage', -p_price, 'Charged for job', p_job_id);
	END IF;
	PERFORM twin.sweep(p_user_id);
END
$$;

CREATE FUNCTION twin.replay_settlement(p_hold_id uuid, p_taken integer, p_charged integer, p_final_cost integer, p_overrun text)
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_price integer := coalesce(p_final_cost, p_taken);
BEGIN
	IF p_hold_id IS NULL AND v_price > 0 THEN
		PERFORM twin.refuse('PT409', 'job has no hold to settle');
	END IF;
	IF p_overrun = 'cap' THEN
		v_price := least(v_price, p_taken);
	END IF;
	IF v_price <> p_charged THEN
		PERFORM twin.refuse('PT409', 'hold was closed differently', format('%s charged, not %s.', p_charged, v_price));
	END IF;
	RETURN v_price;
END
$$;

-- Settles the hold of a locked job.
CREATE FUNCTION twin.settle(p_job twin.jobs, p_final_cost integer, p_overrun text, OUT price integer, OUT closed boolean)
LANGUAGE plpgsql AS $$
DECLARE
	v_account twin.credit_accounts := twin.lock_account(p_job.user_id);
	v_hold record;
BEGIN
	closed := false;
	SELECT * INTO v_hold FROM twin.read_hold(p_job.id);
	IF v_hold.open = 0 THEN
		price := twin.replay_settlement(v_hold.id, v_hold.taken, v_hold.charged, p_final_cost, p_overrun);
		RETURN;
	END IF;

	-- what has expired must not be charged in the place of what was held
	price := coalesce(p_final_cost, v_hold.open);
	IF price > 0 THEN
		PERFORM twin.sweep(p_job.user_id);
		v_account := twin.lock_account(p_job.user_id);
	END IF;
	IF price > v_hold.open AND p_overrun = 'error' THEN
		PERFORM twin.refuse('PT409', 'price exceeds the hold', format('Price %s, held %s.', price, v_hold.open));
	ELSIF price > v_hold.open AND p_overrun = 'cap' THEN
		price := v_hold.open;
	ELSIF price > v_hold.open THEN
		IF v_account.balance::bigint + v_hold.open < price THEN
			PERFORM twin.refuse('PT402', 'not enough credits', format('Balance %s, needed %s.', v_account.balance, price - v_hold.open));
		END IF;
	END IF;

	PERFORM twin.close_hold(p_job.user_id, p_job.id, v_hold.id, v_hold.open, price,
	                        CASE WHEN price > 0 THEN 'Hold settled' ELSE 'Hold released' END);
	closed := true;
END
$$;

CREATE FUNCTION twin.settle_credits(p_job_id uuid, p_final_cost integer DEFAULT NULL, p_overrun text DEFAULT 'error')
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_job twin.jobs;
	v_price integer;
	v_closed boolean;
BEGIN
	PERFORM twin.check_given(p_job_id);
	PERFORM twin.check_given(p_overrun);
	IF p_final_cost < 0 OR p_overrun NOT IN ('error', 'charge', 'cap') THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds');
	END IF;

	v_job := twin.lock_job(p_job_id);
	SELECT * INTO v_price, v_closed FROM twin.settle(v_job, p_final_cost, p_overrun);
	IF v_closed THEN
		UPDATE twin.jobs SET cost_credits_final = v_price WHERE id = p_job_id;
	END IF;
	RETURN v_price;
END
$$;

CREATE FUNCTION twin.release_credits(p_job_id uuid, p_note text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_job twin.jobs;
	v_hold record;
BEGIN
	PERFORM twin.check_given(p_job_id);
	PERFORM twin.check_note(p_note);

	v_job := twin.lock_job(p_job_id);
	PERFORM twin.lock_account(v_job.user_id);
	SELECT * INTO v_hold FROM twin.read_hold(p_job_id);
	IF v_hold.charged > 0 THEN
		PERFORM twin.refuse('PT409', 'hold was closed differently', format('%s charged.', v_hold.charged));
	END IF;
	IF v_hold.open > 0 THEN
		PERFORM twin.close_hold(v_job.user_id, p_job_id, v_hold.id, v_hold.open, 0, coalesce(p_note, 'Hold released'));
		UPDATE twin.jobs SET cost_credits_final = 0 WHERE id = p_job_id;
	END IF;
	RETURN v_hold.taken;
END
$$;

--------------------------------------------------------------------------------
-- Jobs
--------------------------------------------------------------------------------

-- What complete_job() and fail_job() do: READY settles, FAILED releases.
-- Returns what the job costs in the end.
CREATE FUNCTION twin.end_job(p_job_id uuid, p_status text, p_final_cost integer DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_job twin.jobs := twin.lock_job(p_job_id);
	v_price integer := coalesce(p_final_cost, v_job.cost_credits_final);
	v_hold record;
BEGIN
	IF v_job.status = p_status THEN
		IF p_final_cost <> v_job.cost_credits_final THEN
			PERFORM twin.refuse('PT409', 'job was completed differently', format('Job %s.', p_job_id));
		END IF;
		RETURN v_job.cost_credits_final;
	END IF;
	IF v_job.status IN ('READY', 'FAILED') THEN
		PERFORM twin.refuse('23514', 'illegal status transition', format('From %s to %s.', v_job.status, p_status));
	END IF;

	SELECT * INTO v_hold FROM twin.read_hold(p_job_id);
	IF v_hold.open > 0 AND p_status = 'FAILED' THEN
		v_price := 0;
	ELSIF v_hold.id IS NOT NULL THEN
		v_price := coalesce(v_price, CASE WHEN v_hold.open > 0 THEN v_hold.open ELSE v_hold.charged END);
	END IF;
	UPDATE twin.jobs SET status = p_status, cost_credits_final = v_price WHERE id = p_job_id;
	IF p_status = 'READY' OR v_hold.open > 0 THEN
		PERFORM twin.settle(v_job, v_price, 'error');
	END IF;
	RETURN v_price;
END
$$;

-- What retry_job() does: a failed job is queued again and pays again.
CREATE FUNCTION twin.retry(p_job_id uuid) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_job twin.jobs := twin.lock_job(p_job_id);
	v_account twin.credit_accounts;
	v_price integer;
BEGIN
	IF v_job.status = 'QUEUED' THEN
		RETURN v_job.cost_credits_reserved;
	ELSIF v_job.status = 'READY' THEN
		PERFORM twin.refuse('23514', 'illegal status transition', 'From READY to QUEUED.');
	END IF;
	v_price := greatest(v_job.cost_credits_reserved, (SELECT h.taken FROM twin.read_hold(p_job_id) h));
	v_account := twin.lock_account(v_job.user_id);
	IF v_price > 0 AND NOT twin.spend(v_account, 'reserve', v_price, 'Reserved for job', p_job_id) THEN
		PERFORM twin.refuse('PT402', 'not enough credits', format('Balance %s, needed %s.', v_account.balance, v_price));
	END IF;
	UPDATE twin.jobs SET status = 'QUEUED', cost_credits_reserved = v_price, cost_credits_final = NULL WHERE id = p_job_id;
	RETURN v_price;
END
$$;

-- What a deleted job holds goes back; the entry cannot name the job any more.
CREATE FUNCTION twin.delete_job(p_job_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	v_job twin.jobs := twin.lock_job(p_job_id);
	v_hold record;
BEGIN
	PERFORM twin.lock_account(v_job.user_id);
	SELECT * INTO v_hold FROM twin.read_hold(p_job_id);
	IF v_hold.open > 0 THEN
		PERFORM twin.close_hold(v_job.user_id, NULL, v_hold.id, v_hold.open, 0, 'Job deleted');
	END IF;
	DELETE FROM twin.jobs WHERE id = p_job_id;
END
$$;

-- A hold is open here only while its job is active, so there is nothing to close.
CREATE FUNCTION twin.sweep_stale_holds(p_limit integer DEFAULT 500) RETURNS integer
LANGUAGE sql VOLATILE AS $$ SELECT 0 $$;

--------------------------------------------------------------------------------
-- Corrections
--------------------------------------------------------------------------------

-- What a plain INSERT of a usage entry without a job does.
CREATE FUNCTION twin.enter_usage(p_user_id uuid, p_amount integer, p_note text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	v_account twin.credit_accounts := twin.lock_account(p_user_id);
BEGIN
	IF NOT twin.spend(v_account, 'usage', p_amount, p_note, NULL) THEN
		PERFORM twin.refuse('PT402', 'not enough credits', format('Balance %s, needed %s.', v_account.balance, p_amount));
	END IF;
END
$$;

CREATE FUNCTION twin.refund_credits(
	p_job_id uuid, p_amount integer, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_job twin.jobs;
	v_account twin.credit_accounts;
	v_found twin.credit_ledger;
	v_charged bigint;
BEGIN
	PERFORM twin.check_given(p_job_id);
	PERFORM twin.check_positive(p_amount);
	PERFORM twin.check_note(p_note);
	PERFORM twin.check_key(p_idempotency_key);

	v_job := twin.lock_job(p_job_id);
	v_account := twin.lock_account(v_job.user_id);
	v_found := twin.find_by_key(v_job.user_id, p_idempotency_key, 'refund', p_amount, p_job_id);
	IF v_found.id IS NOT NULL THEN
		RETURN p_amount;
	END IF;
	SELECT -sum(l.amount) INTO v_charged
	  FROM twin.credit_ledger l WHERE l.job_id = p_job_id AND l.type IN ('usage', 'refund');
	IF p_amount > coalesce(v_charged, 0) THEN
		PERFORM twin.refuse('PT409', 'refund exceeds the charge', format('%s is left of the charge.', coalesce(v_charged, 0)));
	END IF;
	PERFORM twin.check_capacity(v_account, p_amount);
	PERFORM twin.book(v_job.user_id, 'refund', p_amount, p_note, p_job_id, p_key => p_idempotency_key);
	RETURN p_amount;
END
$$;

CREATE FUNCTION twin.find_purchase(p_payment_id text) RETURNS twin.credit_ledger
LANGUAGE plpgsql AS $$
DECLARE
	v_purchase twin.credit_ledger;
BEGIN
	SELECT * INTO v_purchase FROM twin.credit_ledger l WHERE l.stripe_payment_id = p_payment_id AND l.reverses IS NULL;
	IF NOT FOUND THEN
		PERFORM twin.refuse('PT404', 'not found', 'There is no such payment.');
	END IF;
	RETURN v_purchase;
END
$$;

-- What was taken back of a purchase, reinstatements taken off; call it with the
-- account locked.  Expiry of its lot is something else.
CREATE FUNCTION twin.reversed(p_purchase twin.credit_ledger) RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT coalesce(-sum(l.amount), 0) FROM twin.credit_ledger l
	         WHERE l.reverses = p_purchase.id AND l.type = p_purchase.type);
END
$$;

-- Was the reversal with this key undone before it came?
CREATE FUNCTION twin.is_awaited(p_purchase twin.credit_ledger, p_key text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	v_purchase_id uuid := (SELECT w.purchase_id FROM twin.awaited w WHERE w.user_id = p_purchase.user_id AND w.key = p_key);
BEGIN
	IF v_purchase_id <> p_purchase.id THEN
		PERFORM twin.refuse('PT409', 'key was used for something else', format('Entry %s.', v_purchase_id));
	END IF;
	RETURN v_purchase_id IS NOT NULL;
END
$$;

CREATE FUNCTION twin.reverse_purchase(
	p_stripe_payment_id text, p_amount integer DEFAULT NULL, p_note text DEFAULT NULL,
	p_idempotency_key text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_purchase twin.credit_ledger;
	v_found twin.credit_ledger;
	v_left integer;
BEGIN
	PERFORM twin.check_given(p_stripe_payment_id);
	PERFORM twin.check_key(p_stripe_payment_id);
	IF p_amount IS NOT NULL THEN
		PERFORM twin.check_positive(p_amount);
	END IF;
	PERFORM twin.check_note(p_note);
	PERFORM twin.check_key(p_idempotency_key);

	v_purchase := twin.find_purchase(p_stripe_payment_id);
	PERFORM twin.lock_account(v_purchase.user_id);
	-- without an amount any amount is the same content
	v_found := twin.find_by_key(v_purchase.user_id, p_idempotency_key, v_purchase.type,
		coalesce(-p_amount, (SELECT l.amount FROM twin.credit_ledger l
		                      WHERE l.user_id = v_purchase.user_id AND l.idempotency_key = p_idempotency_key)),
		p_reverses => v_purchase.id);
	IF v_found.id IS NOT NULL THEN
		IF v_found.amount > 0 THEN
			PERFORM twin.refuse('PT409', 'key was used for something else', format('Entry %s.', v_found.id));
		END IF;
		RETURN -v_found.amount;
	END IF;
	IF twin.is_awaited(v_purchase, p_idempotency_key) THEN
		RETURN 0;
	END IF;

	v_left := v_purchase.amount - twin.reversed(v_purchase);
	IF p_amount > v_left THEN
		PERFORM twin.refuse('PT409', 'reversal exceeds the purchase', format('%s is left of the purchase.', v_left));
	END IF;
	p_amount := coalesce(p_amount, v_left);
	IF p_amount = 0 AND p_idempotency_key IS NOT NULL THEN
		PERFORM twin.refuse('PT409', 'payment is reversed already', 'Nothing is left that could be reversed under this key.');
	END IF;
	IF p_amount > 0 THEN
		PERFORM twin.book(v_purchase.user_id, v_purchase.type, -p_amount, p_note, NULL, p_stripe_payment_id,
		                  p_idempotency_key, NULL, v_purchase.id);
	END IF;
	RETURN p_amount;
END
$$;

CREATE FUNCTION twin.reinstate_purchase(
	p_stripe_payment_id text, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_purchase twin.credit_ledger;
	v_account twin.credit_accounts;
	v_reversal twin.credit_ledger;
	v_standing twin.credit_ledger[];
BEGIN
	PERFORM twin.check_given(p_stripe_payment_id);
	PERFORM twin.check_key(p_stripe_payment_id);
	PERFORM twin.check_note(p_note);
	PERFORM twin.check_key(p_idempotency_key);

	v_purchase := twin.find_purchase(p_stripe_payment_id);
	v_account := twin.lock_account(v_purchase.user_id);
	SELECT array_agg(l) INTO v_standing FROM twin.credit_ledger l
	 WHERE l.reverses = v_purchase.id AND l.type = v_purchase.type AND l.amount < 0
	   AND l.id NOT IN (SELECT u.reversal_id FROM twin.undone u);
	IF p_idempotency_key IS NULL THEN
		IF cardinality(v_standing) > 1 THEN
			PERFORM twin.refuse('PT409', 'payment has several reversals', 'Which one is not said.');
		ELSIF v_standing IS NULL THEN
			RETURN 0;
		END IF;
		v_reversal := v_standing[1];
	ELSE
		SELECT * INTO v_reversal FROM twin.credit_ledger l
		 WHERE l.user_id = v_purchase.user_id AND l.idempotency_key = p_idempotency_key;
		IF NOT FOUND THEN
			IF NOT twin.is_awaited(v_purchase, p_idempotency_key) THEN
				INSERT INTO twin.awaited VALUES (v_purchase.user_id, p_idempotency_key, v_purchase.id);
			END IF;
			RETURN 0;
		END IF;
		IF v_reversal.reverses IS DISTINCT FROM v_purchase.id OR v_reversal.amount > 0 THEN
			PERFORM twin.refuse('PT409', 'key was used for something else', format('Entry %s.', v_reversal.id));
		END IF;
	END IF;
	IF v_reversal.id IN (SELECT u.reversal_id FROM twin.undone u) THEN
		RETURN (SELECT u.amount FROM twin.undone u WHERE u.reversal_id = v_reversal.id);
	END IF;

	PERFORM twin.check_capacity(v_account, -v_reversal.amount);
	PERFORM twin.book(v_purchase.user_id, v_purchase.type, -v_reversal.amount, p_note, NULL, p_stripe_payment_id,
	                  'reinstates:' || v_reversal.id, NULL, v_purchase.id);
	INSERT INTO twin.undone VALUES (v_reversal.id, -v_reversal.amount);
	PERFORM twin.sweep(v_purchase.user_id);
	RETURN -v_reversal.amount;
END
$$;

-- User by user; accounts that are busy are left for the next time.
CREATE FUNCTION twin.expire_credits(p_limit integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_user_id uuid;
	v_expired integer := 0;
BEGIN
	PERFORM twin.check_given(p_limit);
	IF p_limit NOT BETWEEN 1 AND 100000 THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds', 'A limit is 1 to 100000.');
	END IF;
	FOR v_user_id IN
		SELECT DISTINCT e.user_id
		  FROM (SELECT l.user_id FROM twin.credit_ledger l WHERE l.expires_at <= twin.now() LIMIT p_limit) e
		 ORDER BY e.user_id
	LOOP
		PERFORM FROM twin.credit_accounts a WHERE a.user_id = v_user_id FOR NO KEY UPDATE SKIP LOCKED;
		IF FOUND THEN
			v_expired := v_expired + twin.sweep(v_user_id);
		END IF;
	END LOOP;
	RETURN v_expired;
END
$$;

--------------------------------------------------------------------------------
-- Reading
--------------------------------------------------------------------------------

CREATE FUNCTION twin.get_credit_balance(p_user_id uuid) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
BEGIN
	PERFORM twin.check_given(p_user_id);
	RETURN coalesce((SELECT a.balance FROM twin.credit_accounts a WHERE a.user_id = p_user_id), 0);
END
$$;

CREATE FUNCTION twin.get_credit_summary(p_user_id uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_account twin.credit_accounts;
	v_now timestamptz := twin.now();
	v_lots twin.lot[] := '{}';
BEGIN
	PERFORM twin.check_given(p_user_id);
	SELECT * INTO v_account FROM twin.credit_accounts a WHERE a.user_id = p_user_id;
	IF EXISTS (SELECT FROM twin.credit_ledger l WHERE l.user_id = p_user_id AND l.expires_at IS NOT NULL) THEN
		SELECT r.lots INTO v_lots FROM twin.replay(p_user_id) r;
	END IF;
	RETURN (
		SELECT jsonb_build_object(
		       'balance', coalesce(v_account.balance, 0),
		       'reserved', coalesce(v_account.reserved, 0),
		       'spendable', greatest(coalesce(v_account.balance, 0) - l.expired, 0),
		       'lifetime_purchased', e.purchased, 'lifetime_granted', e.granted, 'lifetime_used', e.used,
		       'expiring_in_7_days', l.expiring, 'next_expiry', l.next_expiry)
		  FROM (SELECT coalesce(sum(amount) FILTER (WHERE type IN ('purchase', 'subscription')), 0) AS purchased,
		               coalesce(sum(amount) FILTER (WHERE type = 'grant'), 0) AS granted,
		               coalesce(-sum(amount) FILTER (WHERE type IN ('usage', 'refund')), 0) AS used
		          FROM twin.credit_ledger WHERE user_id = p_user_id) e,
		       (SELECT coalesce(sum(credits) FILTER (WHERE expires_at <= v_now), 0) AS expired,
		               coalesce(sum(credits) FILTER (WHERE expires_at > v_now
		                                               AND expires_at <= v_now + INTERVAL '7 days'), 0) AS expiring,
		               min(expires_at) FILTER (WHERE expires_at > v_now) AS next_expiry
		          FROM unnest(v_lots)) l);
END
$$;
