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
 * active jobs.  The functions of holds by reference, charges, voids and transfers
 * do not check their texts.
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
-- The entries of reversals, and the reversals that were undone before they came.
CREATE TABLE twin.reversals (
	entry_id uuid PRIMARY KEY REFERENCES twin.credit_ledger, first_id uuid NOT NULL, payment text NOT NULL, key text,
	undone boolean NOT NULL DEFAULT false);
CREATE TABLE twin.awaited (user_id uuid, key text, payment text, PRIMARY KEY (user_id, key));
-- What other keys were used for, and the answer; entries of these calls have their key, too.
CREATE TABLE twin.calls (
	user_id uuid, key text, kind text NOT NULL, about text, amount integer, answer integer NOT NULL, PRIMARY KEY (user_id, key));
-- Holds by reference; available is the balance when it was closed, what it held included.
CREATE TABLE twin.holds (
	id uuid PRIMARY KEY, user_id uuid NOT NULL, amount integer NOT NULL, reference text NOT NULL, expires_at timestamptz NOT NULL,
	closed boolean NOT NULL DEFAULT false, charged integer NOT NULL DEFAULT 0, available integer);
CREATE TABLE twin.transfers (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), from_user_id uuid NOT NULL, to_user_id uuid NOT NULL, kind text NOT NULL, amount integer NOT NULL);
CREATE INDEX credit_ledger_job ON twin.credit_ledger (job_id);
CREATE INDEX credit_ledger_reverses ON twin.credit_ledger (reverses) WHERE reverses IS NOT NULL;
CREATE INDEX credit_ledger_expires ON twin.credit_ledger (user_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX holds_open ON twin.holds (user_id, expires_at) WHERE NOT closed;
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
	p_reverses uuid DEFAULT NULL, p_reference text DEFAULT NULL, p_metadata jsonb DEFAULT NULL,
	p_priority integer DEFAULT NULL, p_transfer uuid DEFAULT NULL) RETURNS uuid
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
	                                entry_no, idempotency_key, expires_at, reverses, reference, metadata, priority, transfer_id)
	SELECT p_user_id, p_type, p_amount, account.balance, p_note, p_job_id, p_payment_id,
	       account.entries, p_key, p_expires_at, p_reverses, p_reference,
	       coalesce(p_metadata,
	                (SELECT jsonb_build_object('project_title', j.project_title) FROM twin.jobs j
	                  WHERE j.id = p_job_id AND j.project_title IS NOT NULL),
	                (SELECT h.metadata FROM twin.credit_ledger h WHERE h.id = p_reverses AND p_type = 'reserve')),
	       nullif(p_priority, 0), p_transfer
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
	credits integer,
	priority integer
);

CREATE TYPE twin.taking AS (
	hold uuid,
	lot twin.lot
);

-- Puts credit into a lot.  The lots are those with something left, in burn
-- order: smallest priority first, then earliest expiry, never expiring last, then
-- oldest.
CREATE FUNCTION twin.put(p_lots twin.lot[], p_lot twin.lot) RETURNS twin.lot[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	v_place integer := cardinality(p_lots) + 1;
BEGIN
	IF p_lot.credits = 0 THEN
		RETURN p_lots;
	END IF;
	WHILE v_place > 1
	  AND (p_lots[v_place - 1].priority, coalesce(p_lots[v_place - 1].expires_at, 'infinity'), p_lots[v_place - 1].entry_no)
	    > (p_lot.priority, coalesce(p_lot.expires_at, 'infinity'), p_lot.entry_no) LOOP
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
CREATE FUNCTION twin.replay(p_user_id uuid, OUT lots twin.lot[], OUT debt integer, OUT takings twin.taking[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_entry record;
	v_taken twin.lot[];
	v_rest integer;
BEGIN
	lots := '{}';
	debt := 0;
	takings := '{}';
	FOR v_entry IN
		SELECT l.id, l.type, l.amount, l.reverses, l.entry_no, l.expires_at, coalesce(l.priority, 0) AS priority,
		       l.transfer_id, o.entry_no AS lot_no, o.expires_at AS lot_expires_at, coalesce(o.priority, 0) AS lot_priority
		  FROM twin.credit_ledger l LEFT JOIN twin.credit_ledger o ON o.id = l.reverses
		 WHERE l.user_id = p_user_id ORDER BY l.entry_no
	LOOP
		IF v_entry.amount > 0 AND v_entry.type = 'reserve' THEN
			SELECT * INTO lots, takings, debt
			  FROM twin.give_back(lots, takings, debt, v_entry.reverses);
			CONTINUE;
		ELSIF v_entry.amount > 0 THEN
			v_rest := greatest(v_entry.amount - debt, 0);
			debt := greatest(debt - v_entry.amount, 0);
			-- a reinstatement goes back to the lot of the purchase
			lots := twin.put(lots, CASE WHEN v_entry.reverses IS NULL OR v_entry.transfer_id IS NOT NULL
				THEN ROW (v_entry.id, v_entry.entry_no, v_entry.expires_at, v_rest, v_entry.priority)::twin.lot
				ELSE ROW (v_entry.reverses, v_entry.lot_no, v_entry.lot_expires_at, v_rest, v_entry.lot_priority)::twin.lot END);
			CONTINUE;
		END IF;

		v_rest := -v_entry.amount;
		IF v_entry.reverses IS NOT NULL THEN
			SELECT * INTO lots, v_rest FROM twin.take(lots, v_entry.reverses, v_rest);
		END IF;
		SELECT * INTO lots, v_rest, v_taken FROM twin.burn(lots, v_rest);
		debt := debt + v_rest;
		IF v_entry.type = 'reserve' THEN
			takings := takings || ARRAY(SELECT ROW (v_entry.id, t)::twin.taking FROM unnest(v_taken) t);
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
	IF EXISTS (SELECT FROM twin.credit_ledger l WHERE l.user_id = p_user_id AND l.expires_at <= v_now AND l.amount > 0) THEN
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

-- Closes a hold by reference and charges a price.
CREATE FUNCTION twin.close_reference_hold(p_hold twin.holds, p_price integer, p_note text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.book(p_hold.user_id, 'reserve', p_hold.amount, p_note, p_reverses => p_hold.id, p_reference => p_hold.reference);
	UPDATE twin.holds h SET closed = true, charged = p_price, available = a.balance
	  FROM twin.credit_accounts a WHERE h.id = p_hold.id AND a.user_id = h.user_id;
	IF p_price > 0 THEN
		PERFORM twin.book(p_hold.user_id, 'usage', -p_price, 'Charged for hold', p_key => 'captures:' || p_hold.id,
		                  p_reference => p_hold.reference);
	END IF;
	PERFORM twin.sweep(p_hold.user_id);
END
$$;

-- Returns the holds of a user that have expired; their number.
CREATE FUNCTION twin.return_expired(p_user_id uuid) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_hold twin.holds;
	v_count integer := 0;
BEGIN
	FOR v_hold IN SELECT * FROM twin.holds h WHERE h.user_id = p_user_id AND NOT h.closed AND h.expires_at <= twin.now() ORDER BY h.expires_at LOOP
		PERFORM twin.close_reference_hold(v_hold, 0, 'Hold expired');
		v_count := v_count + 1;
	END LOOP;
	RETURN v_count;
END
$$;

-- Returns expired holds, where that leaves enough; otherwise nothing is written.
CREATE FUNCTION twin.prepare_with_holds(p_user_id uuid, p_amount integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.return_expired(p_user_id);
	PERFORM twin.sweep(p_user_id);
	IF (SELECT a.balance FROM twin.credit_accounts a WHERE a.user_id = p_user_id) < p_amount THEN
		RAISE EXCEPTION USING ERRCODE = 'TLESS', MESSAGE = 'undo it';
	END IF;
	RETURN true;
EXCEPTION WHEN SQLSTATE 'TLESS' THEN
	RETURN false;
END
$$;

-- Expires what has expired and, where too little is left, returns expired holds.
-- FALSE, nothing written, when it is too little even so.  Call it with the account
-- locked.
CREATE FUNCTION twin.prepare(p_user_id uuid, p_balance integer, p_amount integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	v_expired twin.lot[] := ARRAY(SELECT e FROM twin.expired_lots(p_user_id) e);
	v_spendable integer := p_balance - coalesce((SELECT sum(e.credits) FROM unnest(v_expired) e), 0);
BEGIN
	IF v_spendable >= p_amount THEN
		PERFORM twin.expire(p_user_id, v_expired);
		RETURN true;
	END IF;
	RETURN EXISTS (SELECT FROM twin.holds h WHERE h.user_id = p_user_id AND NOT h.closed AND h.expires_at <= twin.now())
	   AND twin.prepare_with_holds(p_user_id, p_amount);
END
$$;

CREATE FUNCTION twin.refuse_spending(p_user_id uuid, p_amount integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.refuse('PT402', 'not enough credits', format('User %s needs %s.', p_user_id, p_amount));
END
$$;

-- Takes credit, or returns FALSE.
CREATE FUNCTION twin.spend(
	p_account twin.credit_accounts, p_type text, p_amount integer, p_note text, p_job_id uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	IF NOT twin.prepare(p_account.user_id, p_account.balance, p_amount) THEN
		RETURN false;
	END IF;
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

-- The answer of the call that was made with this key, if it was the same; NULL when
-- the key is free.  Call it with the account locked.
CREATE FUNCTION twin.replayed(p_user_id uuid, p_key text, p_kind text, p_about text, p_amount integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_call twin.calls;
BEGIN
	SELECT * INTO v_call FROM twin.calls c WHERE c.user_id = p_user_id AND c.key = p_key;
	IF FOUND THEN
		IF (v_call.kind, v_call.about) IS DISTINCT FROM (p_kind, p_about) OR v_call.amount <> p_amount THEN
			PERFORM twin.refuse('PT409', 'key was used for something else');
		END IF;
		RETURN v_call.answer;
	END IF;
	IF twin.is_used(p_user_id, p_key) THEN
		PERFORM twin.refuse('PT409', 'key was used for something else');
	END IF;
	RETURN NULL;
END
$$;

CREATE FUNCTION twin.is_used(p_user_id uuid, p_key text) RETURNS boolean
LANGUAGE sql AS $$
	SELECT EXISTS (SELECT FROM twin.credit_ledger l WHERE l.user_id = p_user_id AND l.idempotency_key = p_key)
	    OR EXISTS (SELECT FROM twin.calls c WHERE c.user_id = p_user_id AND c.key = p_key)
	    OR EXISTS (SELECT FROM twin.awaited w WHERE w.user_id = p_user_id AND w.key = p_key)
$$;

CREATE FUNCTION twin.remember(p_user_id uuid, p_key text, p_kind text, p_about text, p_amount integer, p_answer integer) RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
	IF p_key IS NOT NULL THEN
		INSERT INTO twin.calls VALUES (p_user_id, p_key, p_kind, p_about, p_amount, p_answer);
	END IF;
	RETURN p_answer;
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
	IF EXISTS (SELECT FROM twin.calls c WHERE c.user_id = p_user_id AND c.key = p_key)
	   OR EXISTS (SELECT FROM twin.awaited w WHERE w.user_id = p_user_id AND w.key = p_key) THEN
		PERFORM twin.refuse('PT409', 'key was used for something else');
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
	p_expires_at timestamptz DEFAULT NULL, p_priority integer DEFAULT 0) RETURNS uuid
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
	RETURN twin.book(p_user_id, 'grant', p_amount, p_note, p_key => p_idempotency_key, p_expires_at => p_expires_at,
	                 p_priority => p_priority);
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

-- What closing a hold costs; what has expired is swept.
CREATE FUNCTION twin.overrun_price(p_user_id uuid, p_held integer, p_price integer, p_overrun text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_over bigint := p_price::bigint - p_held;
	v_account twin.credit_accounts;
BEGIN
	IF v_over <= 0 THEN
		RETURN p_price;
	ELSIF p_overrun = 'error' THEN
		PERFORM twin.refuse('PT409', 'price exceeds the hold', format('Price %s, held %s.', p_price, p_held));
	ELSIF p_overrun = 'cap' THEN
		RETURN p_held;
	END IF;
	v_account := twin.lock_account(p_user_id);
	IF v_account.balance < v_over THEN
		PERFORM twin.return_expired(p_user_id);
		v_account := twin.lock_account(p_user_id);
	END IF;
	IF p_overrun = 'charge' AND v_account.balance < v_over THEN
		PERFORM twin.refuse_spending(p_user_id, p_price);
	END IF;
	RETURN least(p_price, p_held::bigint + greatest(v_account.balance, 0));
END
$$;

-- What it would have cost, of one that is closed.
CREATE FUNCTION twin.replayed_price(p_held integer, p_price integer, p_overrun text, p_available integer) RETURNS integer
LANGUAGE sql AS $$
	SELECT CASE p_overrun WHEN 'cap' THEN least(coalesce(p_price, p_held), p_held)
	                      WHEN 'available' THEN least(coalesce(p_price, p_held), greatest(p_held, p_available))
	                      ELSE coalesce(p_price, p_held) END
$$;

CREATE FUNCTION twin.replay_settlement(p_hold_id uuid, p_taken integer, p_charged integer, p_final_cost integer, p_overrun text)
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_price integer := twin.replayed_price(p_taken, p_final_cost, p_overrun,
		(SELECT c.balance_after FROM twin.credit_ledger c WHERE c.reverses = p_hold_id AND c.type = 'reserve'));
BEGIN
	IF p_hold_id IS NULL AND coalesce(p_final_cost, 0) > 0 THEN
		PERFORM twin.refuse('PT409', 'job has no hold to settle');
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
	v_hold record;
BEGIN
	PERFORM twin.lock_account(p_job.user_id);
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
	END IF;
	price := twin.overrun_price(p_job.user_id, v_hold.open, price, p_overrun);
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
	IF p_final_cost < 0 OR p_overrun NOT IN ('error', 'charge', 'cap', 'available') THEN
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

-- A job's hold is open here only while it is active, so there are holds by reference only.
CREATE FUNCTION twin.sweep_stale_holds(p_limit integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_hold twin.holds;
	v_count integer := 0;
BEGIN
	FOR v_hold IN SELECT * FROM twin.holds h WHERE NOT h.closed AND h.expires_at <= twin.now() ORDER BY h.expires_at LIMIT p_limit LOOP
		PERFORM twin.lock_account(v_hold.user_id);
		PERFORM twin.close_reference_hold(v_hold, 0, 'Hold expired');
		v_count := v_count + 1;
	END LOOP;
	RETURN v_count;
END
$$;

--------------------------------------------------------------------------------
-- Charges, top-ups and holds by reference
--------------------------------------------------------------------------------

CREATE FUNCTION twin.charge_credits(
	p_user_id uuid, p_amount integer, p_idempotency_key text DEFAULT NULL, p_reference text DEFAULT NULL, p_note text DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_found integer;
BEGIN
	PERFORM twin.check_given(p_user_id);
	PERFORM twin.check_positive(p_amount);
	PERFORM twin.lock_account(p_user_id);
	v_found := twin.replayed(p_user_id, p_idempotency_key, 'charge', NULL, p_amount);
	IF v_found IS NOT NULL THEN
		RETURN v_found;
	END IF;
	IF NOT twin.prepare(p_user_id, (twin.lock_account(p_user_id)).balance, p_amount) THEN
		PERFORM twin.refuse_spending(p_user_id, p_amount);
	END IF;
	PERFORM twin.book(p_user_id, 'usage', -p_amount, p_note, p_key => p_idempotency_key, p_reference => p_reference);
	RETURN twin.remember(p_user_id, p_idempotency_key, 'charge', NULL, p_amount, (twin.lock_account(p_user_id)).balance);
END
$$;

CREATE FUNCTION twin.top_up_credits(
	p_user_id uuid, p_target integer, p_idempotency_key text DEFAULT NULL, p_expires_at timestamptz DEFAULT NULL,
	p_note text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_missing integer;
BEGIN
	PERFORM twin.check_given(p_user_id);
	PERFORM twin.check_positive(p_target);
	PERFORM twin.lock_account(p_user_id);
	v_missing := twin.replayed(p_user_id, p_idempotency_key, 'top_up', NULL, p_target);
	IF v_missing IS NOT NULL THEN
		RETURN v_missing;
	END IF;
	PERFORM twin.check_expiry(p_expires_at, false);
	PERFORM twin.sweep(p_user_id);
	v_missing := greatest(p_target - (twin.lock_account(p_user_id)).balance, 0);
	IF v_missing > 0 THEN
		PERFORM twin.book(p_user_id, 'grant', v_missing, p_note, p_key => p_idempotency_key, p_expires_at => p_expires_at,
		                  p_metadata => jsonb_build_object('top_up_to', p_target));
	END IF;
	RETURN twin.remember(p_user_id, p_idempotency_key, 'top_up', NULL, p_target, v_missing);
END
$$;

CREATE FUNCTION twin.hold_credits(
	p_user_id uuid, p_amount integer, p_reference text, p_note text DEFAULT NULL, p_expires interval DEFAULT '1 day',
	p_idempotency_key text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
	v_no integer;
	v_id uuid;
BEGIN
	PERFORM twin.check_given(p_user_id);
	PERFORM twin.check_positive(p_amount);
	PERFORM twin.lock_account(p_user_id);
	v_no := twin.replayed(p_user_id, p_idempotency_key, 'hold', NULL, p_amount);
	IF v_no IS NOT NULL THEN
		RETURN (SELECT l.id FROM twin.credit_ledger l WHERE l.user_id = p_user_id AND l.entry_no = v_no);
	END IF;
	IF NOT twin.prepare(p_user_id, (twin.lock_account(p_user_id)).balance, p_amount) THEN
		PERFORM twin.refuse_spending(p_user_id, p_amount);
	END IF;
	v_id := twin.book(p_user_id, 'reserve', -p_amount, p_note, p_key => p_idempotency_key, p_reference => p_reference,
	                  p_expires_at => twin.now() + p_expires);
	INSERT INTO twin.holds SELECT v_id, p_user_id, p_amount, p_reference, l.expires_at FROM twin.credit_ledger l WHERE l.id = v_id;
	PERFORM twin.remember(p_user_id, p_idempotency_key, 'hold', NULL, p_amount, (twin.lock_account(p_user_id)).entries::integer);
	RETURN v_id;
END
$$;

CREATE FUNCTION twin.find_hold(p_hold_id uuid) RETURNS twin.holds
LANGUAGE plpgsql AS $$
DECLARE
	v_hold twin.holds;
BEGIN
	PERFORM twin.check_given(p_hold_id);
	IF EXISTS (SELECT FROM twin.credit_ledger l WHERE l.id = p_hold_id AND l.type = 'reserve' AND l.amount < 0 AND l.reference IS NULL) THEN
		PERFORM twin.refuse('PT409', 'hold belongs to a job');
	END IF;
	SELECT * INTO v_hold FROM twin.holds h WHERE h.id = p_hold_id;
	IF NOT FOUND THEN
		PERFORM twin.refuse('PT404', 'not found', 'There is no such hold.');
	END IF;
	PERFORM twin.lock_account(v_hold.user_id);
	RETURN v_hold;
END
$$;

CREATE FUNCTION twin.capture_hold(p_hold_id uuid, p_amount integer DEFAULT NULL, p_overrun text DEFAULT 'error') RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_hold twin.holds := twin.find_hold(p_hold_id);
	v_price integer;
BEGIN
	IF v_hold.closed THEN
		v_price := twin.replayed_price(v_hold.amount, p_amount, p_overrun, v_hold.available);
		IF v_price <> v_hold.charged THEN
			PERFORM twin.refuse('PT409', 'hold was closed differently');
		END IF;
		RETURN v_price;
	END IF;
	IF p_amount IS DISTINCT FROM 0 THEN
		IF v_hold.expires_at <= twin.now() THEN
			PERFORM twin.refuse('PT409', 'hold has expired');
		END IF;
		PERFORM twin.sweep(v_hold.user_id);
	END IF;
	v_price := twin.overrun_price(v_hold.user_id, v_hold.amount, coalesce(p_amount, v_hold.amount), p_overrun);
	PERFORM twin.close_reference_hold(v_hold, v_price, CASE WHEN v_price > 0 THEN 'Hold captured' ELSE 'Hold released' END);
	RETURN v_price;
END
$$;

CREATE FUNCTION twin.release_hold(p_hold_id uuid) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_hold twin.holds := twin.find_hold(p_hold_id);
BEGIN
	IF v_hold.charged > 0 THEN
		PERFORM twin.refuse('PT409', 'hold was closed differently');
	END IF;
	IF NOT v_hold.closed THEN
		PERFORM twin.close_reference_hold(v_hold, 0, 'Hold released');
	END IF;
	RETURN v_hold.amount;
END
$$;

--------------------------------------------------------------------------------
-- Voids and transfers
--------------------------------------------------------------------------------

CREATE FUNCTION twin.void_credits(
	p_entry_id uuid, p_amount integer DEFAULT NULL, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_entry twin.credit_ledger;
	v_taken integer;
	v_left integer;
BEGIN
	PERFORM twin.check_given(p_entry_id);
	IF p_amount IS NOT NULL THEN
		PERFORM twin.check_positive(p_amount);
	END IF;
	SELECT * INTO v_entry FROM twin.credit_ledger l WHERE l.id = p_entry_id;
	IF NOT FOUND THEN
		PERFORM twin.refuse('PT404', 'not found', 'There is no such entry.');
	ELSIF v_entry.amount < 0 OR v_entry.type NOT IN ('grant', 'purchase', 'subscription')
	   OR v_entry.reverses IS NOT NULL AND v_entry.transfer_id IS NULL THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds', 'This is no lot that can be voided.');
	END IF;
	PERFORM twin.lock_account(v_entry.user_id);
	v_taken := twin.replayed(v_entry.user_id, p_idempotency_key, 'void', p_entry_id::text, p_amount);
	IF v_taken IS NOT NULL THEN
		RETURN v_taken;
	END IF;
	PERFORM twin.sweep(v_entry.user_id);
	v_left := coalesce((SELECT l.credits FROM twin.replay(v_entry.user_id) r, unnest(r.lots) l WHERE l.id = p_entry_id), 0);
	IF p_amount > v_left THEN
		PERFORM twin.refuse('PT409', 'void exceeds what is left', format('%s is left.', v_left));
	END IF;
	v_taken := coalesce(p_amount, v_left);
	IF v_taken > 0 THEN
		PERFORM twin.book(v_entry.user_id, v_entry.type, -v_taken, p_note, p_key => p_idempotency_key, p_reverses => p_entry_id,
		                  p_metadata => '{"void": true}');
	END IF;
	RETURN twin.remember(v_entry.user_id, p_idempotency_key, 'void', p_entry_id::text, v_taken, v_taken);
END
$$;

-- Moves credit of which enough is there, lot by lot.
CREATE FUNCTION twin.move(p_from uuid, p_to uuid, p_kind text, p_amount integer, p_key text, p_note text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	v_transfer uuid;
	v_lot record;
	v_rest integer := p_amount;
	v_out uuid;
	v_moved integer;
BEGIN
	INSERT INTO twin.transfers (from_user_id, to_user_id, kind, amount) VALUES (p_from, p_to, p_kind, p_amount) RETURNING id INTO v_transfer;
	FOR v_lot IN
		SELECT e.*, CASE l.type WHEN 'refund' THEN 'grant' ELSE l.type END AS type,
		       CASE WHEN l.type IN ('purchase', 'subscription') THEN l.stripe_payment_id END AS payment
		  FROM twin.replay(p_from) r, unnest(r.lots) WITH ORDINALITY e JOIN twin.credit_ledger l ON l.id = e.id
		 ORDER BY e.ordinality
	LOOP
		EXIT WHEN v_rest = 0;
		v_moved := least(v_rest, v_lot.credits);
		v_out := twin.book(p_from, v_lot.type, -v_moved, coalesce(p_note, 'Transferred to another user'),
		                   p_key => CASE WHEN v_rest = p_amount THEN p_key END, p_reverses => v_lot.id, p_transfer => v_transfer);
		PERFORM twin.book(p_to, v_lot.type, v_moved, coalesce(p_note, 'Transferred from another user'), p_payment_id => v_lot.payment,
		                  p_expires_at => v_lot.expires_at, p_priority => v_lot.priority, p_reverses => v_out, p_transfer => v_transfer);
		v_rest := v_rest - v_moved;
	END LOOP;
END
$$;

CREATE FUNCTION twin.lock_accounts(p_from uuid, p_to uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.check_given(p_from, p_to);
	IF p_from = p_to THEN
		PERFORM twin.refuse('22023', 'argument is out of bounds', 'Both users are the same.');
	END IF;
	PERFORM twin.lock_account(least(p_from, p_to));
	PERFORM twin.lock_account(greatest(p_from, p_to));
END
$$;

CREATE FUNCTION twin.transfer_credits(
	p_from_user_id uuid, p_to_user_id uuid, p_amount integer, p_idempotency_key text DEFAULT NULL, p_note text DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.check_positive(p_amount);
	PERFORM twin.lock_accounts(p_from_user_id, p_to_user_id);
	IF twin.replayed(p_from_user_id, p_idempotency_key, 'transfer', p_to_user_id::text, p_amount) IS NOT NULL THEN
		RETURN p_amount;
	END IF;
	PERFORM twin.check_capacity(twin.lock_account(p_to_user_id), p_amount);
	IF NOT twin.prepare(p_from_user_id, (twin.lock_account(p_from_user_id)).balance, p_amount) THEN
		PERFORM twin.refuse_spending(p_from_user_id, p_amount);
	END IF;
	PERFORM twin.move(p_from_user_id, p_to_user_id, 'transfer', p_amount, p_idempotency_key, p_note);
	RETURN twin.remember(p_from_user_id, p_idempotency_key, 'transfer', p_to_user_id::text, p_amount, p_amount);
END
$$;

CREATE FUNCTION twin.merge_accounts(p_from_user_id uuid, p_to_user_id uuid, p_idempotency_key text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_account twin.credit_accounts;
	v_moved integer;
BEGIN
	PERFORM twin.lock_accounts(p_from_user_id, p_to_user_id);
	v_moved := twin.replayed(p_from_user_id, p_idempotency_key, 'merge', p_to_user_id::text, NULL);
	IF v_moved IS NOT NULL THEN
		RETURN v_moved;
	END IF;
	PERFORM twin.return_expired(p_from_user_id);
	PERFORM twin.sweep(p_from_user_id);
	v_account := twin.lock_account(p_from_user_id);
	IF v_account.reserved > 0 OR v_account.balance < 0 THEN
		PERFORM twin.refuse('PT409', 'account has open holds, or a deficit');
	END IF;
	IF v_account.balance > 0 THEN
		PERFORM twin.move(p_from_user_id, p_to_user_id, 'merge', v_account.balance, p_idempotency_key, NULL);
	END IF;
	RETURN twin.remember(p_from_user_id, p_idempotency_key, 'merge', p_to_user_id::text, NULL, v_account.balance);
END
$$;

--------------------------------------------------------------------------------
-- Corrections
--------------------------------------------------------------------------------

-- What a plain INSERT of a usage entry without a job does.
CREATE FUNCTION twin.enter_usage(p_user_id uuid, p_amount integer, p_note text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	v_account twin.credit_accounts := twin.lock_account(p_user_id);
BEGIN
	-- a plain entry expires first, and returns holds then
	IF v_account.reserved > 0 THEN
		PERFORM twin.sweep(p_user_id);
		v_account := twin.lock_account(p_user_id);
	END IF;
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

-- The lots that have credit of a payment, and what is left of it in each, spent or not.
CREATE FUNCTION twin.parts(p_payment_id text)
RETURNS TABLE (id uuid, user_id uuid, type text, rest integer, unspent integer, nth bigint)
LANGUAGE sql AS $$
	SELECT p.id, p.user_id, p.type,
	       p.amount + coalesce((SELECT sum(t.amount) FROM twin.credit_ledger t WHERE t.reverses = p.id AND t.type <> 'expire'), 0)::integer,
	       coalesce((SELECT l.credits FROM twin.replay(p.user_id) r, unnest(r.lots) l WHERE l.id = p.id), 0),
	       row_number() OVER (ORDER BY p.reverses IS NOT NULL, p.created_at, p.user_id, p.entry_no)
	  FROM twin.credit_ledger p
	 WHERE p.stripe_payment_id = p_payment_id AND p.amount > 0 AND (p.reverses IS NULL OR p.transfer_id IS NOT NULL)
$$;

-- Locks the accounts that have credit of a payment; returns who paid.
CREATE FUNCTION twin.lock_payment(p_payment_id text) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
	v_user_id uuid;
BEGIN
	FOR v_user_id IN SELECT DISTINCT p.user_id FROM twin.parts(p_payment_id) p ORDER BY p.user_id LOOP
		PERFORM twin.lock_account(v_user_id);
	END LOOP;
	IF v_user_id IS NULL THEN
		PERFORM twin.refuse('PT404', 'not found', 'There is no such payment.');
	END IF;
	RETURN (SELECT p.user_id FROM twin.parts(p_payment_id) p WHERE p.nth = 1);
END
$$;

-- Was the reversal with this key undone before it came?  PT409 where one who has
-- credit of the payment has used the key for something else.
CREATE FUNCTION twin.is_awaited(p_user_id uuid, p_payment_id text, p_key text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM twin.awaited w WHERE w.user_id = p_user_id AND w.key = p_key AND w.payment = p_payment_id) THEN
		RETURN true;
	END IF;
	IF EXISTS (SELECT FROM twin.parts(p_payment_id) p WHERE twin.is_used(p.user_id, p_key)) THEN
		PERFORM twin.refuse('PT409', 'key was used for something else');
	END IF;
	RETURN false;
END
$$;

-- Takes from these lots: what is unspent first, in their order, then of each what
-- was spent of it.
CREATE FUNCTION twin.divide(p_payment_id text, p_amount integer) RETURNS TABLE (id uuid, user_id uuid, type text, taken integer)
LANGUAGE plpgsql AS $$
DECLARE
	v_part record;
	v_unspent integer;
	v_spent integer := p_amount - least(p_amount, (SELECT sum(greatest(least(p.unspent, p.rest), 0)) FROM twin.parts(p_payment_id) p));
	v_rest integer := p_amount - v_spent;
BEGIN
	FOR v_part IN SELECT * FROM twin.parts(p_payment_id) p ORDER BY p.nth LOOP
		v_unspent := greatest(least(v_part.unspent, v_part.rest, v_rest), 0);
		v_rest := v_rest - v_unspent;
		taken := greatest(least(v_part.rest - v_unspent, v_spent), 0);
		v_spent := v_spent - taken;
		taken := taken + v_unspent;
		id := v_part.id;
		user_id := v_part.user_id;
		type := v_part.type;
		RETURN NEXT;
	END LOOP;
END
$$;

CREATE FUNCTION twin.reverse_purchase(
	p_stripe_payment_id text, p_amount integer DEFAULT NULL, p_note text DEFAULT NULL,
	p_idempotency_key text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_user_id uuid;
	v_part record;
	v_first_id uuid;
	v_id uuid;
	v_left integer;
BEGIN
	PERFORM twin.check_given(p_stripe_payment_id);
	PERFORM twin.check_key(p_stripe_payment_id);
	IF p_amount IS NOT NULL THEN
		PERFORM twin.check_positive(p_amount);
	END IF;
	PERFORM twin.check_note(p_note);
	PERFORM twin.check_key(p_idempotency_key);

	v_user_id := twin.lock_payment(p_stripe_payment_id);
	-- without an amount any amount is the same content
	SELECT -sum(l.amount) INTO v_left FROM twin.reversals r JOIN twin.credit_ledger l ON l.id = r.entry_id
	 WHERE r.payment = p_stripe_payment_id AND r.key = p_idempotency_key;
	IF v_left IS NOT NULL THEN
		IF p_amount <> v_left THEN
			PERFORM twin.refuse('PT409', 'key was used for something else');
		END IF;
		RETURN v_left;
	END IF;
	IF twin.is_awaited(v_user_id, p_stripe_payment_id, p_idempotency_key) THEN
		RETURN 0;
	END IF;

	v_left := (SELECT sum(p.rest) FROM twin.parts(p_stripe_payment_id) p);
	IF p_amount > v_left THEN
		PERFORM twin.refuse('PT409', 'reversal exceeds the payment', format('%s is left of it.', v_left));
	END IF;
	p_amount := coalesce(p_amount, v_left);
	IF p_amount = 0 AND p_idempotency_key IS NOT NULL THEN
		PERFORM twin.refuse('PT409', 'payment is reversed already', 'Nothing is left that could be reversed under this key.');
	END IF;
	FOR v_part IN SELECT * FROM twin.divide(p_stripe_payment_id, p_amount) d WHERE d.taken > 0 LOOP
		v_id := twin.book(v_part.user_id, v_part.type, -v_part.taken, p_note, NULL, p_stripe_payment_id,
		                  CASE WHEN v_first_id IS NULL THEN p_idempotency_key END, NULL, v_part.id,
		                  p_metadata => CASE WHEN v_part.taken <> p_amount THEN jsonb_strip_nulls(jsonb_build_object(
		                    'total', p_amount, 'part_of', v_first_id, 'key', CASE WHEN v_first_id IS NOT NULL THEN p_idempotency_key END)) END);
		v_first_id := coalesce(v_first_id, v_id);
		INSERT INTO twin.reversals VALUES (v_id, v_first_id, p_stripe_payment_id, p_idempotency_key);
	END LOOP;
	RETURN p_amount;
END
$$;

CREATE FUNCTION twin.reinstate_purchase(
	p_stripe_payment_id text, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_user_id uuid;
	v_reversals uuid[];
	v_entry twin.credit_ledger;
BEGIN
	PERFORM twin.check_given(p_stripe_payment_id);
	PERFORM twin.check_key(p_stripe_payment_id);
	PERFORM twin.check_note(p_note);
	PERFORM twin.check_key(p_idempotency_key);

	v_user_id := twin.lock_payment(p_stripe_payment_id);
	v_reversals := ARRAY(SELECT DISTINCT r.first_id FROM twin.reversals r
	                      WHERE r.payment = p_stripe_payment_id
	                        AND CASE WHEN p_idempotency_key IS NULL THEN NOT r.undone ELSE r.key = p_idempotency_key END);
	IF cardinality(v_reversals) > 1 THEN
		PERFORM twin.refuse('PT409', 'payment has several reversals', 'Which one is not said.');
	ELSIF v_reversals = '{}' THEN
		IF p_idempotency_key IS NOT NULL AND NOT twin.is_awaited(v_user_id, p_stripe_payment_id, p_idempotency_key) THEN
			INSERT INTO twin.awaited VALUES (v_user_id, p_idempotency_key, p_stripe_payment_id);
		END IF;
		RETURN 0;
	END IF;

	FOR v_entry IN
		SELECT l.* FROM twin.reversals r JOIN twin.credit_ledger l ON l.id = r.entry_id
		 WHERE r.first_id = v_reversals[1] AND NOT r.undone ORDER BY l.created_at, l.user_id, l.entry_no
	LOOP
		PERFORM twin.check_capacity(twin.lock_account(v_entry.user_id), -v_entry.amount);
		PERFORM twin.book(v_entry.user_id, v_entry.type, -v_entry.amount, p_note, NULL, p_stripe_payment_id,
		                  'reinstates:' || v_entry.id, NULL, v_entry.reverses);
		UPDATE twin.reversals r SET undone = true WHERE r.entry_id = v_entry.id;
		PERFORM twin.sweep(v_entry.user_id);
	END LOOP;
	RETURN (SELECT -sum(l.amount) FROM twin.reversals r JOIN twin.credit_ledger l ON l.id = r.entry_id WHERE r.first_id = v_reversals[1]);
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
		  FROM (SELECT l.user_id FROM twin.credit_ledger l WHERE l.expires_at <= twin.now() AND l.amount > 0 LIMIT p_limit) e
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
		  FROM (SELECT coalesce(sum(amount) FILTER (WHERE type IN ('purchase', 'subscription') AND transfer_id IS NULL), 0) AS purchased,
		               coalesce(sum(amount) FILTER (WHERE type = 'grant' AND transfer_id IS NULL), 0) AS granted,
		               coalesce(-sum(amount) FILTER (WHERE type IN ('usage', 'refund')), 0) AS used
		          FROM twin.credit_ledger WHERE user_id = p_user_id) e,
		       (SELECT coalesce(sum(credits) FILTER (WHERE expires_at <= v_now), 0) AS expired,
		               coalesce(sum(credits) FILTER (WHERE expires_at > v_now
		                                               AND expires_at <= v_now + INTERVAL '7 days'), 0) AS expiring,
		               min(expires_at) FILTER (WHERE expires_at > v_now) AS next_expiry
		          FROM unnest(v_lots)) l);
END
$$;

CREATE FUNCTION twin.get_credit_lots(p_user_id uuid)
RETURNS TABLE (entry_id uuid, type text, amount integer, remaining integer, held integer, priority integer,
               expires_at timestamptz, note text, created_at timestamptz)
LANGUAGE sql STABLE AS $$
	SELECT l.id, l.type, l.amount, coalesce(e.credits, 0), coalesce(h.held, 0)::integer, coalesce(l.priority, 0), l.expires_at, l.note, l.created_at
	  FROM twin.replay(p_user_id) r
	 CROSS JOIN LATERAL unnest(r.lots) e
	  FULL JOIN (SELECT (t.lot).id, sum((t.lot).credits) AS held FROM twin.replay(p_user_id) s, unnest(s.takings) t GROUP BY (t.lot).id) h USING (id)
	  JOIN twin.credit_ledger l USING (id)
	 ORDER BY coalesce(l.priority, 0), l.expires_at NULLS LAST, l.entry_no
$$;
