-- 510_credit_twin.sql
--
-- 3,000 random operations on 10 users and 30 jobs, done by the PL/pgSQL twin
-- and by ours: after each of them both gave the same answer and left the same
-- accounts and jobs, and at the end the ledgers are equal, ids and times aside.
-- Pitfall: nobody can shift our clock.  So there are 50 rounds; credit that
-- expires soon expires between its round and the next.  A round that took too
-- long for that is undone and done again with the same numbers and more time.

\set VERBOSITY terse
\set SHOW_CONTEXT never

\getenv tests PG_ABS_SRCDIR
\set twin :tests /twin/credits.sql
\set ECHO none
\i :twin
\set ECHO all

-- what was called: of ours, of the twin, and what both answered
CREATE TABLE t.operations (
  nr integer PRIMARY KEY, operation text, call text, twin_call text, answer text, twin_answer text,
  written bigint, differences bigint);
CREATE TABLE t.slots (slot integer PRIMARY KEY, user_id uuid, job_id uuid);
CREATE TABLE t.rounds (round integer, soon timestamptz);

CREATE FUNCTION t.below(p_limit bigint) RETURNS integer
LANGUAGE sql VOLATILE AS $$ SELECT floor(random() * p_limit)::integer $$;
CREATE FUNCTION t.one_of(VARIADIC p_values text[]) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT p_values[1 + t.below(cardinality(p_values))] $$;

-- The answer of a call: its value, an entry as its number, an error as its SQLSTATE.
CREATE FUNCTION t.answer(p_call text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_answer text;
BEGIN
  EXECUTE p_call INTO v_answer;
  IF v_answer ~ '^[0-9a-f]{8}-' THEN
    SELECT format('entry %s of %s', l.entry_no, t.n(l.user_id)) INTO v_answer
      FROM (SELECT id, user_id, entry_no FROM public.credit_ledger
            UNION ALL SELECT id, user_id, entry_no FROM twin.credit_ledger) l
     WHERE l.id = v_answer::uuid;
  END IF;
  RETURN coalesce(v_answer, 'NULL');
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END
$$;

CREATE FUNCTION t.complete(p_job_id uuid, p_final_cost integer) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT status = 'QUEUED' FROM public.jobs WHERE id = p_job_id) THEN
    PERFORM public.advance_job(p_job_id, s)
       FROM unnest('{SCRIPTING,VOICE_GEN,ALIGNMENT,VISUAL_PLAN,IMAGE_GEN,TIMELINE,RENDERING,PACKAGING}'::text[]) s;
  END IF;
  RETURN public.complete_job(p_job_id, p_final_cost => p_final_cost) ->> 'cost_credits_final';
END
$$;

CREATE PROCEDURE t.new_job(p_slot integer, p_job integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_user_id uuid := (SELECT user_id FROM t.slots WHERE slot = p_slot);
BEGIN
  INSERT INTO public.jobs (id, project_id, user_id, status) VALUES (t.id(p_job), v_user_id, v_user_id, 'QUEUED');
  INSERT INTO twin.jobs (id, user_id, project_title) VALUES (t.id(p_job), v_user_id, 'P');
  UPDATE t.slots SET job_id = t.id(p_job) WHERE slot = p_slot;
END
$$;

-- Users, entries and jobs that are not the same in both.
CREATE FUNCTION t.differences() RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT (SELECT count(*) FROM public.credit_accounts o FULL JOIN twin.credit_accounts s USING (user_id)
           WHERE (o.balance, o.reserved, o.entries) IS DISTINCT FROM (s.balance, s.reserved, s.entries))
       + (SELECT count(*) FROM public.jobs o FULL JOIN twin.jobs s USING (id)
           WHERE (o.user_id, o.status::text, o.cost_credits_reserved, o.cost_credits_final)
                 IS DISTINCT FROM (s.user_id, s.status, s.cost_credits_reserved, s.cost_credits_final))
$$;
CREATE FUNCTION t.written() RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT sum(entries)::bigint FROM twin.credit_accounts $$;

-- A call with arguments at random; % stands for the schema.
CREATE FUNCTION t.compose(p_operation text, p_round integer, p_soon timestamptz, OUT call text, OUT twin_call text)
LANGUAGE plpgsql AS $$
DECLARE
  v_user uuid := t.id(1 + t.below(10));
  v_job t.slots;
  v_amount integer := 1 + t.below(12);
  v_slot integer := 1 + t.below(30);
  v_price integer := CASE WHEN t.below(3) > 0 THEN t.below(13) END;
  v_overrun text := t.one_of('error', 'charge', 'cap', 'available');
  v_key text := CASE WHEN t.below(3) = 0 THEN 'k' || t.below(4 + p_round) END;
  v_payment text := 'pi_' || t.below(10 + 5 * p_round);
  v_expires timestamptz;
  v_reversal_key text;
  v_some integer := 1 + t.below(3);
  v_sensible boolean;
  v_other uuid := t.id(1 + t.below(10));
  v_entry text;
BEGIN
  -- often what gives more than a refusal: a job without or with a hold, a charged job, a known payment
  v_sensible := v_some > 1;
  SELECT s.* INTO v_job FROM t.slots s JOIN twin.jobs j ON j.id = s.job_id
   ORDER BY NOT (v_sensible AND CASE
              WHEN p_operation = 'reserve'
                THEN j.status = 'QUEUED' AND j.cost_credits_reserved = 0
              WHEN p_operation IN ('settle', 'settle all', 'release', 'READY', 'FAILED') AND v_amount > 8
                THEN j.status = 'QUEUED' AND j.cost_credits_reserved > 0 AND j.cost_credits_final IS NULL
              WHEN p_operation = 'refund' THEN coalesce(j.cost_credits_final > 0, false)
              ELSE false END), (s.slot + v_slot) % 30 LIMIT 1;
  IF v_sensible AND p_operation IN ('reverse', 'reinstate') THEN
    SELECT coalesce(min(p.id), v_payment) INTO v_payment
      FROM (SELECT l.stripe_payment_id AS id FROM twin.credit_ledger l
             WHERE l.stripe_payment_id IS NOT NULL AND l.user_id = v_user
             ORDER BY l.entry_no DESC LIMIT 1 OFFSET t.below(4)) p;
  END IF;
  v_reversal_key := CASE t.below(4) WHEN 0 THEN NULL WHEN 1 THEN v_key ELSE 'reversal ' || v_amount % 2 || ' of ' || v_payment END;
  v_expires := CASE t.one_of('never', 'never', 'soon', 'soon', 'this week', 'later', 'past')
               WHEN 'soon' THEN p_soon + v_some * INTERVAL '1 millisecond'
               WHEN 'this week' THEN date_trunc('day', p_soon) + (v_some + 1) * INTERVAL '1 day'
               WHEN 'later' THEN '2190-01-01'::timestamptz + v_some * INTERVAL '1 day'
               WHEN 'past' THEN CASE WHEN v_some = 1 THEN '2001-01-01'::timestamptz END
               END;
  CASE p_operation
  WHEN 'get_credit_balance', 'get_credit_summary' THEN
    call := format('SELECT %%I.%s(%L)', p_operation, v_user);
  WHEN 'reserve' THEN
    -- mostly the same amount for the same job
    call := format('SELECT %%I.reserve_credits(%L, %L, %s)', v_job.user_id, v_job.job_id,
                   CASE WHEN v_some = 1 THEN v_amount ELSE 3 + v_slot % 10 END);
  WHEN 'settle' THEN
    call := format('SELECT %%I.settle_credits(%L, %L, %L)', v_job.job_id,
                   v_price + CASE WHEN v_amount > 8 THEN 8 ELSE 0 END, v_overrun);
  WHEN 'settle all' THEN
    call := format('SELECT %%I.settle_credits(%L)', v_job.job_id);
  WHEN 'release' THEN
    call := format('SELECT %%I.release_credits(%L)', v_job.job_id);
  WHEN 'grant' THEN
    call := format('SELECT %%I.grant_credits(%L, %s, %L, %L, %L, %s)', v_user, 2 * v_some, v_key, v_key, v_expires, t.one_of('NULL', '0', '-1', '3'));
  WHEN 'purchase', 'subscription' THEN
    call := format('SELECT %%I.%s_credits(%L, %s, %L, NULL, %L)', p_operation, v_user, 4 * v_some, v_payment, v_expires);
  WHEN 'refund' THEN
    call := format('SELECT %%I.refund_credits(%L, %s, NULL, %L)', v_job.job_id, v_some, v_key);
  WHEN 'reverse' THEN
    call := format('SELECT %%I.reverse_purchase(%L, %L, NULL, %L)', v_payment,
                   CASE WHEN v_price < 6 THEN v_some END, coalesce(v_reversal_key, v_key));
  WHEN 'reinstate' THEN
    call := format('SELECT %%I.reinstate_purchase(%L, NULL, %L)', v_payment, v_reversal_key);
  WHEN 'get_credit_lots' THEN
    call := format('SELECT string_agg(concat_ws('' '', l.entry_no, g.type, g.amount, g.remaining, g.held, g.priority, g.expires_at), '', '' ORDER BY g.ordinality)'
                   ' FROM %%1$I.get_credit_lots(%L) WITH ORDINALITY g JOIN %%1$I.credit_ledger l ON l.id = g.entry_id', v_user);
  WHEN 'charge' THEN
    call := format('SELECT %%I.charge_credits(%L, %s, %L, %L)', v_user, v_amount, v_key, 'chat ' || v_some);
  WHEN 'top_up' THEN
    call := format('SELECT %%I.top_up_credits(%L, %s, %L, %L)', v_user, 3 * v_amount, v_key, v_expires);
  WHEN 'hold' THEN
    -- one that has expired at once, or will not
    call := format('SELECT %%I.hold_credits(%L, %s, %L, NULL, %L, %L)', v_user, v_amount, 'chat ' || v_some,
                   t.one_of('1 day', '1 day', '1 microsecond'), v_key);
  WHEN 'capture', 'release_hold' THEN
    SELECT format('(SELECT l.id FROM %%1$I.credit_ledger l WHERE l.user_id = %L AND l.entry_no = %s)', h.user_id, l.entry_no) INTO v_entry
      FROM twin.holds h JOIN twin.credit_ledger l ON l.id = h.id
     ORDER BY h.closed <> (v_amount > 10), (l.entry_no + v_slot) % 7, h.user_id, l.entry_no LIMIT 1;
    v_entry := coalesce(v_entry, quote_literal(t.id(998)));
    call := CASE p_operation WHEN 'capture' THEN format('SELECT %%1$I.capture_hold(%s, %L, %L)', v_entry, v_price + CASE WHEN v_amount > 8 THEN 8 ELSE 0 END, v_overrun)
            ELSE format('SELECT %%1$I.release_hold(%s)', v_entry) END;
  WHEN 'void' THEN
    SELECT format('(SELECT l.id FROM %%1$I.credit_ledger l WHERE l.user_id = %L AND l.entry_no = %s)', l.user_id, l.entry_no) INTO v_entry
      FROM twin.credit_ledger l WHERE l.user_id = v_user AND (l.amount > 0 AND l.type IN ('grant', 'purchase', 'subscription') OR NOT v_sensible)
     ORDER BY l.entry_no DESC LIMIT 1 OFFSET t.below(6);
    call := format('SELECT %%1$I.void_credits(%s, %L, NULL, %L)', coalesce(v_entry, quote_literal(t.id(998))), CASE WHEN v_price < 6 THEN v_some END,
                   CASE WHEN v_amount > 6 THEN v_key ELSE v_reversal_key END);
  WHEN 'transfer' THEN
    call := format('SELECT %%I.transfer_credits(%L, %L, %s, %L)', v_user, v_other, v_amount, v_key);
  WHEN 'merge' THEN
    call := format('SELECT %%I.merge_accounts(%L, %L, %L)', v_user, v_other, v_key);
  WHEN 'expire', 'sweep_stale_holds' THEN
    call := format('SELECT %%I.%s()', CASE p_operation WHEN 'expire' THEN 'expire_credits' ELSE p_operation END);
  WHEN 'usage' THEN
    call := format('INSERT INTO public.credit_ledger (user_id, type, amount) VALUES (%L, ''usage'', %s) RETURNING amount', v_user, -v_amount);
    twin_call := format('SELECT %s FROM twin.enter_usage(%L, %s)', -v_amount, v_user, v_amount);
  WHEN 'READY' THEN
    call := format('SELECT t.complete(%L, %L)', v_job.job_id, CASE WHEN v_price < 6 THEN v_price END);
    twin_call := format('SELECT twin.end_job(%L, ''READY'', %L)', v_job.job_id, CASE WHEN v_price < 6 THEN v_price END);
  WHEN 'FAILED' THEN
    call := format('SELECT public.fail_job(%L) ->> ''cost_credits_final''', v_job.job_id);
    twin_call := format('SELECT twin.end_job(%L, ''FAILED'')', v_job.job_id);
  WHEN 'retry' THEN
    call := format('SELECT public.retry_job(%L) ->> ''cost_credits_reserved''', v_job.job_id);
    twin_call := format('SELECT twin.retry(%L)', v_job.job_id);
  WHEN 'delete' THEN
    call := format('DELETE FROM public.jobs WHERE id = %L RETURNING 1', v_job.job_id);
    twin_call := format('SELECT 1 FROM twin.delete_job(%L)', v_job.job_id);
  WHEN 'wrong' THEN
    call := format(t.one_of(
      'SELECT %%I.reserve_credits(%1$L, %2$L, 0)', 'SELECT %%I.reserve_credits(%1$L, %2$L, NULL)',
      'SELECT %%I.reserve_credits(%4$L, %2$L, 3)', 'SELECT %%I.reserve_credits(%1$L, %3$L, 3)',
      'SELECT %%I.settle_credits(%2$L, -1)', 'SELECT %%I.settle_credits(%2$L, 1, ''all'')',
      'SELECT %%I.settle_credits(%2$L, 1, NULL)', 'SELECT %%I.settle_credits(%3$L)',
      'SELECT %%I.release_credits(%3$L)', 'SELECT %%I.release_credits(%2$L, repeat(''x'', 1001))',
      'SELECT %%I.grant_credits(%1$L, -1)', 'SELECT %%I.grant_credits(%3$L, 1)',
      'SELECT %%I.grant_credits(%1$L, 1, NULL, '''')', 'SELECT %%I.grant_credits(%1$L, 1, NULL, NULL, ''infinity'')',
      'SELECT %%I.grant_credits(%1$L, 2147483647)', 'SELECT %%I.purchase_credits(%1$L, 1, NULL)',
      'SELECT %%I.purchase_credits(%1$L, 1, repeat(''x'', 256))', 'SELECT %%I.subscription_credits(%1$L, 0, ''pi'')',
      'SELECT %%I.refund_credits(%3$L, 1)', 'SELECT %%I.refund_credits(%2$L, 0)',
      'SELECT %%I.refund_credits(%2$L, 2147483647)', 'SELECT %%I.reverse_purchase(''unknown'')',
      'SELECT %%I.reverse_purchase(''pi_1'', 0)', 'SELECT %%I.reverse_purchase(NULL)',
      'SELECT %%I.reinstate_purchase(''unknown'')', 'SELECT %%I.reinstate_purchase(''pi_1'', NULL, '''')', 'SELECT %%I.expire_credits(0)', 'SELECT %%I.expire_credits(NULL)'),
      v_job.user_id, v_job.job_id, t.id(999), t.id(v_slot % 10 + 1));
  WHEN 'again' THEN
    -- whatever was called before, most of it long ago
    SELECT o.call, o.twin_call INTO call, twin_call FROM t.operations o
     WHERE o.operation <> 'delete' AND o.nr >= 1 + t.below((SELECT max(nr) FROM t.operations)) ORDER BY o.nr LIMIT 1;
  END CASE;
  IF twin_call IS NULL THEN
    twin_call := format(call, 'twin');
    call := format(call, 'public');
  END IF;
END
$$;

CREATE PROCEDURE t.play_round(p_round integer, p_soon timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
  v_operations CONSTANT text[] := ARRAY[
    'get_credit_balance', 'get_credit_summary', 'get_credit_summary', 'reserve', 'reserve', 'reserve', 'reserve',
    'reserve', 'reserve', 'reserve', 'reserve', 'reserve', 'settle', 'settle', 'settle all', 'release',
    'grant', 'grant', 'grant', 'purchase', 'purchase', 'subscription', 'refund', 'refund',
    'reverse', 'reverse', 'reverse', 'reinstate', 'reinstate', 'expire', 'usage', 'READY', 'FAILED', 'retry', 'retry', 'delete', 'delete',
    'wrong', 'wrong', 'sweep_stale_holds', 'again', 'again', 'again', 'again', 'get_credit_lots', 'get_credit_lots',
    'charge', 'charge', 'top_up', 'top_up', 'hold', 'hold', 'hold', 'capture', 'capture', 'release_hold',
    'void', 'void', 'void', 'transfer', 'transfer', 'transfer', 'transfer', 'merge'];
  v_nr integer;
  v_operation text;
  v_calls record;
  v_slot integer;
  v_before bigint;
BEGIN
  FOR i IN 1..60 LOOP
    v_nr := 60 * (p_round - 1) + i;
    -- a round begins with settlements, while what expired before it is not swept yet
    v_operation := CASE WHEN v_nr = 1 THEN 'grant' WHEN i <= 4 THEN 'settle' ELSE v_operations[1 + t.below(cardinality(v_operations))] END;
    SELECT * INTO v_calls FROM t.compose(v_operation, p_round, p_soon);
    v_before := t.written();
    INSERT INTO t.operations (nr, operation, call, twin_call, answer, twin_answer)
    VALUES (v_nr, v_operation, v_calls.call, v_calls.twin_call, t.answer(v_calls.call), t.answer(v_calls.twin_call));
    IF v_operation = 'delete' THEN
      SELECT slot INTO STRICT v_slot FROM t.slots WHERE v_calls.call LIKE '%' || job_id || '%';
      CALL t.new_job(v_slot, 1000 + v_nr);
    END IF;
    UPDATE t.operations SET written = t.written() - v_before, differences = t.differences() WHERE nr = v_nr;
  END LOOP;
END
$$;

CREATE PROCEDURE t.play(p_rounds integer)
LANGUAGE plpgsql AS $$
DECLARE
  v_window interval := '100 milliseconds';
  v_round integer := 1;
  v_soon timestamptz;
BEGIN
  WHILE v_round <= p_rounds LOOP
    v_soon := date_trunc('milliseconds', clock_timestamp()) + v_window;
    PERFORM setseed(v_round / 1000.0);
    BEGIN
      CALL t.play_round(v_round, v_soon);
      IF clock_timestamp() >= v_soon THEN
        RAISE EXCEPTION USING ERRCODE = 'TSLOW', MESSAGE = 'round took too long';
      END IF;
      INSERT INTO t.rounds VALUES (v_round, v_soon);
      v_round := v_round + 1;
    EXCEPTION WHEN SQLSTATE 'TSLOW' THEN
      v_window := 1.5 * v_window;
      v_soon := '-infinity';
    END;
    COMMIT;
    WHILE clock_timestamp() < v_soon + INTERVAL '4 milliseconds' LOOP
      PERFORM pg_sleep(0.004);
    END LOOP;
  END LOOP;
END
$$;

CALL t.sign_up(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
INSERT INTO public.projects (id, user_id, title, prompt_text, niche_preset)
SELECT t.id(u), t.id(u), 'P', 'p', 'facts' FROM generate_series(1, 10) u;
SELECT count(twin.sign_up(t.id(u))) FROM generate_series(1, 10) u;
INSERT INTO t.slots (slot, user_id) SELECT s, t.id(1 + (s - 1) % 10) FROM generate_series(1, 30) s;
DO $$ BEGIN FOR i IN 1..30 LOOP CALL t.new_job(i, 100 + i); END LOOP; END $$;
CALL t.play(50);

-- what was done, with which answers of the twin: each kind many times
SELECT operation, outcome, written, count(*) AS times
  FROM (SELECT operation,
               CASE WHEN twin_answer ~ '^[0-9A-Z]{5}$' AND twin_answer !~ '^[0-9]{1,3}$' THEN twin_answer
                    WHEN twin_answer ~ '^entry' THEN 'an entry'
                    WHEN twin_answer ~ '^-?[1-9]' THEN 'credits'
                    WHEN twin_answer ~ '^\{' THEN 'a summary'
                    ELSE twin_answer END AS outcome,
               CASE WHEN written > 0 THEN 'yes' ELSE 'no' END AS written
          FROM t.operations WHERE operation NOT IN ('again', 'wrong')) o
 GROUP BY operation, outcome, written ORDER BY operation, outcome COLLATE "C", written;
SELECT twin_answer, count(*) AS times FROM t.operations WHERE operation = 'wrong'
 GROUP BY twin_answer ORDER BY twin_answer COLLATE "C";
SELECT operation, count(*) FILTER (WHERE written > 1) AS several_entries, max(written) AS most
  FROM t.operations GROUP BY operation HAVING max(written) > 1 ORDER BY operation;

SELECT count(*) AS operations, count(*) FILTER (WHERE answer IS DISTINCT FROM twin_answer) AS other_answers,
       count(*) FILTER (WHERE differences <> 0) AS other_books
  FROM t.operations;
SELECT nr, operation, call, answer, twin_answer, differences FROM t.operations
 WHERE answer IS DISTINCT FROM twin_answer OR differences <> 0 ORDER BY nr LIMIT 5;

-- the ledgers, entry by entry
CREATE TABLE t.ledgers AS
  WITH entries AS (
    SELECT 'ours' AS whose, * FROM public.credit_ledger
    UNION ALL SELECT 'the twin', * FROM twin.credit_ledger
  )
  SELECT l.whose, l.type, l.amount,
         to_jsonb(l) - '{whose,id,created_at,reverses,transfer_id}'::text[]
           || jsonb_build_object('reverses', CASE WHEN r.user_id <> l.user_id THEN t.n(r.user_id) || '/' ELSE '' END || r.entry_no,
                                 'moves', l.transfer_id IS NOT NULL, 'metadata', l.metadata - 'part_of')
           || CASE WHEN l.type = 'reserve' THEN jsonb_build_object('expires_at', l.expires_at IS NOT NULL) ELSE '{}' END
           || CASE WHEN u.id IS NULL THEN '{}'
                   ELSE jsonb_build_object('idempotency_key', split_part(l.idempotency_key, ':', 1) || ':' || u.entry_no) END AS entry
    FROM entries l LEFT JOIN entries r ON r.id = l.reverses AND r.whose = l.whose
    LEFT JOIN entries u ON u.id::text = substring(l.idempotency_key FROM '^(?:reinstates|captures):(.*)') AND u.user_id = l.user_id AND u.whose = l.whose;
SELECT type, CASE WHEN amount < 0 THEN '-' ELSE '+' END AS sign, count(*) AS entries,
       count(entry ->> 'expires_at') AS with_expiry, count(entry ->> 'reverses') AS that_reverse
  FROM t.ledgers WHERE whose = 'ours' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT whose, t.masked(entry::text) AS entry
  FROM (SELECT min(whose) AS whose, entry FROM t.ledgers GROUP BY entry HAVING count(*) <> 2) e
 ORDER BY (entry ->> 'entry_no')::integer, entry ->> 'user_id', whose LIMIT 6;

-- both books are sound
SELECT * FROM t.books();
SELECT * FROM verify_credit_ledger();
SELECT t.n(a.user_id) AS "user", a.balance, r.debt
  FROM twin.credit_accounts a, twin.replay(a.user_id) r
 WHERE a.balance <> (SELECT coalesce(sum(l.credits), 0) FROM unnest(r.lots) l) - r.debt;
SELECT count(*) > 0 AS debts FROM twin.credit_ledger WHERE balance_after < 0;

-- the comparison sees a difference
SELECT twin.grant_credits(t.id(1), 1) IS NOT NULL AS granted;
SELECT t.differences();

SET client_min_messages = warning;
DROP SCHEMA twin CASCADE;
RESET client_min_messages;
DROP FUNCTION t.answer, t.below, t.one_of, t.complete, t.compose, t.differences, t.written;
DROP PROCEDURE t.new_job, t.play_round, t.play;
DROP TABLE t.operations, t.slots, t.rounds, t.ledgers;
SELECT * FROM t.clean();
