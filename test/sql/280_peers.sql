-- 280_peers.sql
--
-- What went wrong with credits elsewhere, numbers 1 to 15 of our list of traps.
-- What needs two sessions is in test/isolation/specs; here each number has what
-- one session can show, and names the specs.
-- Pitfall: a refused call proves little by its error.  t.quiet() tells whether
-- it left something behind.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
CALL t.job(11, 101, 'PACKAGING');
CALL t.job(11, 102, 'PACKAGING');
CALL t.job(11, 103, 'READY');
CALL t.job(11, 104, 'FAILED');
CALL t.job(12, 201, 'PACKAGING');
CALL t.as_role('service_role');

-- 1: two reserves for the last credits: reserve_last_credits.spec,
-- insert_reserve.spec, expire_reserve.spec, reverse_reserve.spec; in one
-- session, at each level, the second finds what the first took
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT reserve_credits(t.id(1), t.id(101), 6), reserve_credits(t.id(1), t.id(102), 6);
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT reserve_credits(t.id(1), t.id(101), 6), reserve_credits(t.id(1), t.id(102), 6);
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT reserve_credits(t.id(1), t.id(101), 6), reserve_credits(t.id(1), t.id(102), 6);
ROLLBACK;

-- 2: amounts that are none, in every function that takes one
SELECT f, a, t.quiet(format(f, a)) AS answer
  FROM unnest(ARRAY['SELECT reserve_credits(t.id(1), t.id(101), %s)', 'SELECT grant_credits(t.id(1), %s)',
                    'SELECT purchase_credits(t.id(1), %s, ''pi_0'')', 'SELECT subscription_credits(t.id(1), %s, ''in_0'')',
                    'SELECT refund_credits(t.id(101), %s)', 'SELECT create_job(t.id(11), %s)']) WITH ORDINALITY x (f, i),
       unnest(ARRAY['NULL', '0', '-1', '-2147483648', '2147483647']) WITH ORDINALITY y (a, k)
 ORDER BY i, k;
SELECT f, a, split_part(t.ask(format(f, a)), ' | ', 1) AS answer
  FROM unnest(ARRAY['SELECT reserve_credits(t.id(1), t.id(101), %s)', 'SELECT grant_credits(t.id(1), %s)']) f,
       unnest(ARRAY['2147483648', '''NaN''', '1.5::numeric']) a
 ORDER BY f, a;

-- 3: reserve twice, the same and another amount
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(101), 4)'),
       t.quiet('SELECT reserve_credits(t.id(1), t.id(101), 4)') AS same,
       t.quiet('SELECT reserve_credits(t.id(1), t.id(101), 3)') AS less,
       t.quiet('SELECT reserve_credits(t.id(1), t.id(101), 5)') AS more;

-- 4: a job of somebody else, one that ended, one that is not there; who is no
-- service gets one answer to all of them
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(201), 1)') AS of_another,
       t.quiet('SELECT reserve_credits(t.id(1), t.id(103), 1)') AS ready,
       t.quiet('SELECT reserve_credits(t.id(1), t.id(104), 1)') AS failed,
       t.quiet('SELECT reserve_credits(t.id(1), t.id(999), 1)') AS unknown;
CALL t.as_user(t.id(1));
SELECT j, t.quiet(format('SELECT cancel_job(t.id(%s))', j)) AS cancel, t.quiet(format('SELECT retry_job(t.id(%s))', j)) AS retry
  FROM unnest(ARRAY[201, 999]) j;
CALL t.as_role('service_role');

-- 5: closing twice, in every order; races: settle_settle.spec,
-- settle_release.spec, sweep_settle.spec
SELECT t.quiet('SELECT settle_credits(t.id(101), 4)'),
       t.quiet('SELECT settle_credits(t.id(101), 4)') AS settle_again,
       t.quiet('SELECT settle_credits(t.id(101), 1)') AS settle_otherwise,
       t.quiet('SELECT release_credits(t.id(101))') AS then_release,
       t.quiet('SELECT sweep_stale_holds()') AS then_sweep;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(102), 3)'),
       t.quiet('SELECT release_credits(t.id(102))'),
       t.quiet('SELECT release_credits(t.id(102))') AS release_again,
       t.quiet('SELECT settle_credits(t.id(102), 3)') AS then_settle,
       t.quiet('SELECT settle_credits(t.id(102))') AS then_settle;

-- 6: the price is nothing, the hold, above the hold; for each policy
CALL t.as_admin();
SELECT grant_credits(t.id(2), 100) \g /dev/null
CALL t.job(12, 211);
CALL t.job(12, 212);
CALL t.job(12, 213);
CALL t.job(12, 214);
CALL t.job(12, 215);
SELECT count(*) FILTER (WHERE reserve_credits(t.id(2), t.id(j), 10)) AS held FROM generate_series(211, 215) j;
CALL t.as_role('service_role');
SELECT t.quiet('SELECT settle_credits(t.id(211), 0)') AS nothing,
       t.quiet('SELECT settle_credits(t.id(212), 10)') AS the_hold,
       t.quiet('SELECT settle_credits(t.id(213), 11)') AS above,
       t.quiet($$SELECT settle_credits(t.id(213), 11, 'error')$$) AS error;
SELECT t.quiet($$SELECT settle_credits(t.id(213), 11, 'charge')$$) AS charge,
       t.quiet($$SELECT settle_credits(t.id(214), 1000, 'charge')$$) AS not_covered,
       t.quiet($$SELECT settle_credits(t.id(214), 1000, 'cap')$$) AS cap,
       t.quiet($$SELECT settle_credits(t.id(215), 0, 'cap')$$) AS cap_at_nothing;
SELECT amount, t.n(job_id) AS job FROM credit_ledger WHERE user_id = t.id(2) AND type = 'usage' ORDER BY entry_no;

-- 7: one payment again: the same, another amount, another user, another kind;
-- races, and a first one that rolls back: purchase_same_user.spec,
-- purchase_two_users.spec, payment_kinds.spec, grant_key_rollback.spec
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 50, 'pi_1')$$),
       t.quiet($$SELECT purchase_credits(t.id(1), 50, 'pi_1')$$) AS same,
       t.quiet($$SELECT purchase_credits(t.id(1), 49, 'pi_1')$$) AS other_amount;
SELECT t.quiet($$SELECT purchase_credits(t.id(2), 50, 'pi_1')$$) AS other_user,
       t.quiet($$SELECT subscription_credits(t.id(1), 50, 'pi_1')$$) AS other_kind,
       t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, stripe_payment_id) VALUES (t.id(1), 'purchase', 50, 'pi_1') RETURNING 1$$) AS plain;
BEGIN;
SELECT purchase_credits(t.id(1), 50, 'pi_2') IS NOT NULL AS bought;
ROLLBACK;
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 50, 'pi_2')$$) AS after_a_rollback;

-- 8: refunds: above the charge, of a refund, twice; race: refund_refund.spec
SELECT t.quiet('SELECT refund_credits(t.id(101), 5)') AS above,
       t.quiet($$SELECT refund_credits(t.id(101), 3, NULL, 'r1')$$) AS three,
       t.quiet($$SELECT refund_credits(t.id(101), 3, NULL, 'r1')$$) AS replay;
SELECT t.quiet('SELECT refund_credits(t.id(101), 3)') AS what_was_refunded_is_no_charge,
       t.quiet('SELECT refund_credits(t.id(102), 1)') AS released;

-- 9: disputes: lost, won, refund after won, replays, in any order; race:
-- reverse_reverse.spec; all orders of events: 255_payment_permutations.sql
SELECT t.quiet($$SELECT reverse_purchase('pi_1', NULL, 'opened', 'dp_1')$$) AS opened,
       t.quiet($$SELECT reverse_purchase('pi_1', NULL, 'opened', 'dp_1')$$) AS replay,
       t.quiet($$SELECT reverse_purchase('pi_1')$$) AS lost;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1')$$) AS won,
       t.quiet($$SELECT reinstate_purchase('pi_1')$$) AS replay,
       t.quiet($$SELECT reinstate_purchase('pi_1', NULL, 'dp_1')$$) AS replay_with_key,
       t.quiet($$SELECT reverse_purchase('pi_1', NULL, 'opened', 'dp_1')$$) AS late_replay;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 20, 'refund after won', 're_1')$$) AS refund,
       t.quiet($$SELECT reverse_purchase('pi_1', 20, 'refund after won', 're_1')$$) AS replay,
       t.quiet($$SELECT reverse_purchase('pi_1', 31)$$) AS more_than_is_left;
SELECT t.quiet($$SELECT reinstate_purchase('pi_9')$$) AS of_nothing;
SELECT sum(amount) AS left_of_the_payment FROM credit_ledger WHERE stripe_payment_id = 'pi_1';

-- 10: expiry: not swept is not spendable, only its own lot, expired while it
-- was held; at length in 240_credit_lots; races: expire_reserve.spec,
-- expire_expire.spec
CALL t.as_admin();
CALL t.sign_up(3);
CALL t.project(3, 13);
CALL t.job(13, 301);
CALL t.job(13, 302);
SELECT grant_credits(t.id(3), 5, NULL, NULL, '2999-01-01') \g /dev/null
SELECT reserve_credits(t.id(3), t.id(301), 2);
CALL t.expire(3);
SELECT t.quiet('SELECT reserve_credits(t.id(3), t.id(302), 11)') AS not_spendable,
       t.quiet('SELECT expire_credits()') AS its_own_lot,
       t.quiet('SELECT release_credits(t.id(301))') AS expires_as_it_comes_back;
SELECT type, amount, balance FROM t.ledger WHERE "user" = '3';

-- 11: the ledger itself, for everybody
CREATE FUNCTION t.attacks() RETURNS TABLE (attack text, answer text)
LANGUAGE sql AS $$
  SELECT a, left(t.quiet(a), 100)
    FROM unnest(ARRAY[
      'UPDATE credit_ledger SET amount = 1000 WHERE amount > 0 RETURNING 1',
      'UPDATE credit_ledger SET note = note RETURNING 1',
      'DELETE FROM credit_ledger RETURNING 1',
      'UPDATE credit_accounts SET balance = 1000 RETURNING 1',
      'DELETE FROM credit_accounts RETURNING 1',
      'INSERT INTO credit_accounts (user_id, balance) VALUES (t.id(1), 5) ON CONFLICT (user_id) DO UPDATE SET balance = 5 RETURNING 1']) a
$$;
SELECT * FROM t.attacks();
CALL t.as_role('service_role');
SELECT * FROM t.attacks();
CALL t.as_user(t.id(1));
SELECT * FROM t.attacks();
CALL t.as_role('anon');
SELECT * FROM t.attacks();
\copy public.credit_ledger (user_id, type, amount) FROM 'test/sql/include/grant.copy'
CALL t.as_admin();
SET client_min_messages = warning;
SELECT t.try('TRUNCATE credit_ledger'), t.try('TRUNCATE credit_accounts CASCADE');
RESET client_min_messages;
-- COPY is an INSERT: the rules hold
\copy credit_ledger (user_id, type, amount) FROM 'test/sql/include/overspend.copy'
SELECT * FROM t.books();

-- 12: job, project and user go, with holds open and closed
CALL t.job(11, 105);
CALL t.job(11, 106);
SELECT reserve_credits(t.id(1), t.id(105), 2), reserve_credits(t.id(1), t.id(106), 3), reserve_credits(t.id(2), t.id(201), 4);
SELECT balance, reserved FROM t.accounts WHERE "user" = '1';
DELETE FROM jobs WHERE id IN (t.id(101), t.id(105));
SELECT balance, reserved FROM t.accounts WHERE "user" = '1';
DELETE FROM projects WHERE id = t.id(11);
SELECT balance, reserved FROM t.accounts WHERE "user" = '1';
SELECT * FROM verify_credit_ledger();
DELETE FROM auth.users WHERE id = t.id(2);
SELECT count(*) AS rows_left FROM credit_ledger WHERE user_id = t.id(2);
SELECT * FROM t.books();

-- 13: nobody and anybody on every function that moves credit; the matrix of
-- rights is in test/pgtap/20_function_rights.sql
CREATE FUNCTION t.calls() RETURNS TABLE (call text, answer text)
LANGUAGE sql AS $$
  SELECT c, t.ask(c)
    FROM unnest(ARRAY[
      'SELECT reserve_credits(t.id(1), t.id(102), 1)', 'SELECT settle_credits(t.id(102))', 'SELECT release_credits(t.id(102))',
      'SELECT grant_credits(t.id(1), 1)', 'SELECT purchase_credits(t.id(1), 1, ''x'')', 'SELECT subscription_credits(t.id(1), 1, ''x'')',
      'SELECT refund_credits(t.id(102), 1)', 'SELECT reverse_purchase(''pi_1'')', 'SELECT reinstate_purchase(''pi_1'')',
      'SELECT expire_credits()', 'SELECT sweep_stale_holds()', 'SELECT count(*) FROM verify_credit_ledger()',
      'SELECT get_credit_balance(t.id(1))', 'SELECT get_credit_summary(t.id(1))']) c
$$;
CALL t.as_role('anon');
SELECT * FROM t.calls();
-- a signed-in session without an id, and one that is somebody else
CALL t.as_role('authenticated');
SELECT * FROM t.calls();
CALL t.as_user(t.id(3));
SELECT * FROM t.calls();
CALL t.as_admin();
-- with the rights of another's mistake: granted to everybody, still refused
BEGIN;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO anon, authenticated;
CALL t.as_role('anon');
SELECT * FROM t.calls();
CALL t.as_user(t.id(3));
SELECT * FROM t.calls();
CALL t.as_admin();
ROLLBACK;
SELECT * FROM t.books();

-- 14: job before account, everywhere: test/tap/040_concurrency.pl runs a mixed
-- load that must not deadlock; reserve_delete_project.spec,
-- settle_delete_project.spec and sweep_settle.spec have the pairs.
-- 15: a serialization failure reaches the caller as 40001, unchanged: every
-- spec at REPEATABLE READ and SERIALIZABLE; in one session a handler sees it.
CREATE FUNCTION t.raise_40001() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'could not serialize access'; END $$;
BEGIN;
CREATE TRIGGER z_40001 BEFORE INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.raise_40001();
SELECT c, left(t.ask(c), 34) AS answer
  FROM unnest(ARRAY['SELECT grant_credits(t.id(1), 1)', 'SELECT purchase_credits(t.id(1), 1, ''pi_40'')',
                    'SELECT subscription_credits(t.id(1), 1, ''pi_40'')', 'SELECT reverse_purchase(''pi_1'', 1)',
                    'SELECT reinstate_purchase(''pi_1'')', 'SELECT reserve_credits(t.id(3), t.id(301), 1)',
                    'SELECT create_job(t.id(13), 1)']) c;
ROLLBACK;

DROP FUNCTION t.attacks, t.calls, t.raise_40001;
SELECT * FROM t.books();
SELECT * FROM t.clean();
