-- 250_refunds_reversals.sql
--
-- Refunds of jobs, reversed and reinstated payments; and the credits of a
-- subscription.  Line by line.
-- Pitfall: t.quiet() tells whether anything was written; a limit that is checked
-- after the entry was made would show the same error.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.entries AS
SELECT t.n(l.user_id) AS "user", l.entry_no AS no, l.type, l.amount, l.balance_after AS balance, t.n(l.job_id) AS job,
       l.stripe_payment_id AS payment, l.idempotency_key AS key, r.entry_no AS of_no, l.note
  FROM credit_ledger l LEFT JOIN credit_ledger r ON r.id = l.reverses
 ORDER BY l.user_id, l.entry_no;
GRANT SELECT ON t.entries TO service_role;

-- refund_credits: at most what was charged and not refunded
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
CALL t.job(11, 21, 'PACKAGING');
CALL t.job(11, 22);
CALL t.job(11, 23);
CALL t.job(12, 24);
CALL t.as_role('service_role');
SELECT reserve_credits(t.id(1), t.id(21), 6);
SELECT t.quiet('SELECT refund_credits(t.id(21), 1)') AS held_not_charged;
SELECT settle_credits(t.id(21), 5);
SELECT t.quiet('SELECT refund_credits(t.id(21), 6)') AS one_too_much;
SELECT t.quiet('SELECT refund_credits(t.id(21), 2147483647)') AS far_too_much;
SELECT t.quiet('SELECT refund_credits(t.id(21), 2)') AS a_part;
SELECT t.quiet('SELECT refund_credits(t.id(21), 2)') AS no_key_no_replay;
SELECT t.quiet('SELECT refund_credits(t.id(21), 2)') AS more_than_is_left;
SELECT t.quiet($$SELECT refund_credits(t.id(21), 1, 'The last', 'refund-1')$$) AS the_rest;
SELECT t.quiet($$SELECT refund_credits(t.id(21), 1)$$) AS nothing_left;
-- the key decides before the limit; the note is not content
SELECT t.quiet($$SELECT refund_credits(t.id(21), 1, 'The last', 'refund-1')$$) AS replay;
SELECT t.quiet($$SELECT refund_credits(t.id(21), 1, 'Another note', 'refund-1')$$) AS replay;
SELECT t.quiet($$SELECT refund_credits(t.id(21), 2, 'The last', 'refund-1')$$) AS other_amount;
SELECT t.quiet($$SELECT refund_credits(t.id(22), 1, 'The last', 'refund-1')$$) AS other_job;
SELECT t.quiet($$SELECT refund_credits(t.id(21), 10, NULL, 'welcome')$$) AS key_of_a_grant;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, NULL, 'refund-1')$$) AS key_of_a_refund;
SELECT t.quiet($$SELECT refund_credits(t.id(24), 1, NULL, 'refund-1')$$) AS key_of_another_user_and_no_charge;
-- never charged: no hold, an open one, a released one, a free settlement
SELECT t.quiet('SELECT refund_credits(t.id(22), 1)') AS no_hold;
SELECT reserve_credits(t.id(1), t.id(22), 2), release_credits(t.id(22));
SELECT t.quiet('SELECT refund_credits(t.id(22), 1)') AS released;
SELECT reserve_credits(t.id(1), t.id(23), 2), settle_credits(t.id(23), 0);
SELECT t.quiet('SELECT refund_credits(t.id(23), 1)') AS free;
-- what a job costs is what it was charged, refunded or not
SELECT t.n(id) AS job, cost_credits_reserved, cost_credits_final FROM jobs WHERE user_id = t.id(1) ORDER BY id;
SELECT t.quiet('SELECT settle_credits(t.id(21), 5)') AS settling_again;
SELECT t.quiet('SELECT release_credits(t.id(21))') AS releasing;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(21), 6)') AS reserving_again;
-- a job that ended, READY and FAILED; charged twice, refunded over both
CALL t.as_admin();
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(21);
SELECT retry_job(t.id(21)) \g /dev/null
SELECT settle_credits(t.id(21), 4);
CALL t.as_role('service_role');
SELECT t.quiet('SELECT refund_credits(t.id(21), 5)') AS one_too_much;
SELECT t.quiet('SELECT refund_credits(t.id(21), 4)') AS all;
SELECT * FROM t.entries WHERE job = '21';
-- arguments
SELECT t.quiet('SELECT refund_credits(NULL, 1)');
SELECT t.quiet('SELECT refund_credits(t.id(98), 1)');
SELECT t.quiet('SELECT refund_credits(t.id(21), NULL)');
SELECT t.quiet('SELECT refund_credits(t.id(21), 0)');
SELECT t.quiet('SELECT refund_credits(t.id(21), -1)');
SELECT t.quiet('SELECT refund_credits(t.id(21), -2147483648)');
SELECT t.quiet($$SELECT refund_credits(t.id(21), 1, repeat('n', 1001))$$);
SELECT t.quiet($$SELECT refund_credits(t.id(21), 1, NULL, '')$$);
SELECT t.quiet($$SELECT refund_credits(t.id(21), 1, NULL, repeat('k', 256))$$);
-- charged and refunded by plain SQL counts too, and obeys the same limit
CALL t.as_admin();
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(2), 'usage', -3, t.id(24)) RETURNING 1$$) AS charged;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(2), 'refund', 1, t.id(24)) RETURNING 1$$) AS refunded;
SELECT t.quiet('SELECT refund_credits(t.id(24), 3)') AS one_too_much;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(2), 'refund', 3, t.id(24)) RETURNING 1$$) AS one_too_much;
SELECT t.quiet('SELECT refund_credits(t.id(24), 2)') AS the_rest;
SELECT t.quiet('SELECT refund_credits(t.id(24), 1)') AS a_refund_is_no_charge;
-- a deleted job cannot be refunded any more; grant_credits can
DELETE FROM jobs WHERE id = t.id(21);
SELECT t.quiet($$SELECT refund_credits(t.id(21), 1, 'The last', 'refund-1')$$) AS deleted;
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- subscription_credits: as purchase_credits; one payment is booked once, as
-- either, for one user
CALL t.sign_up(1, 2);
CALL t.as_role('service_role');
SELECT subscription_credits(t.id(1), 100, 'in_1', 'January', '2999-02-01') AS first \gset
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 100, 'in_1', 'January', '2999-02-01')$$) AS replay;
SELECT subscription_credits(t.id(1), 100, 'in_1', 'Other note', '2999-02-01') = :'first' AS same_id;
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 50, 'in_1', 'January', '2999-02-01')$$) AS other_amount;
SELECT t.quiet($$SELECT subscription_credits(t.id(2), 100, 'in_1', 'January', '2999-02-01')$$) AS other_user;
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 100, 'in_1', 'January', '2999-02-02')$$) AS other_expiry;
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 100, 'in_1', 'January')$$) AS other_expiry;
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 100, 'in_1', 'January', '2999-02-01')$$) AS as_a_purchase;
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 100, 'pi_1', 'Pack')$$) AS a_purchase;
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 100, 'pi_1', 'Pack')$$) AS as_a_subscription;
SELECT t.quiet($$SELECT subscription_credits(t.id(2), 100, 'in_2')$$) AS never_expires;
SELECT t.quiet($$SELECT subscription_credits(NULL, 1, 'in_3')$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(99), 1, 'in_3')$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(1), NULL, 'in_3')$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 0, 'in_3')$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(1), -1, 'in_3')$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 1, NULL)$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 1, '')$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 1, repeat('p', 256))$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 1, 'in_3', repeat('n', 1001))$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 2147483647, 'in_3')$$) AS overflow;
SELECT t.quiet($$SELECT reverse_purchase('in_1', 40)$$) AS reversed_as_a_purchase_is;
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 100, 'in_1', 'January', '2999-02-01')$$) AS replay_when_reversed;
SELECT * FROM t.entries;
CALL t.as_admin();
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- reverse_purchase: never more than was booked, over all calls
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.job(11, 21);
CALL t.job(11, 22);
CALL t.as_role('service_role');
SELECT purchase_credits(t.id(1), 50, 'pi_1') IS NOT NULL AS bought, purchase_credits(t.id(2), 50, 'pi_2') IS NOT NULL AS bought;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 51)$$) AS one_too_much;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 20, 'Half of it')$$) AS a_part;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 31)$$) AS one_too_much;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 20, NULL, 're_1')$$) AS a_part;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 20, NULL, 're_1')$$) AS replay;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 20, 'Other note', 're_1')$$) AS replay;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', NULL, NULL, 're_1')$$) AS null_matches_any;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 10, NULL, 're_1')$$) AS other_amount;
SELECT t.quiet($$SELECT reverse_purchase('pi_2', 20, NULL, 're_1')$$) AS key_of_another_user;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 10, NULL, 'welcome')$$) AS key_of_a_grant;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', NULL, NULL, 'welcome')$$) AS key_of_a_grant;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', NULL, NULL, 're_2')$$) AS the_rest;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', NULL, NULL, 're_2')$$) AS replay;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', NULL, NULL, 're_1')$$) AS replay_of_the_first;
SELECT t.quiet($$SELECT reverse_purchase('pi_1')$$) AS nothing_left;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 1)$$) AS nothing_left;
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 50, 'pi_1')$$) AS replay_of_the_purchase;
-- arguments
SELECT t.quiet($$SELECT reverse_purchase('pi_3')$$);
SELECT t.quiet($$SELECT reverse_purchase('PI_2')$$);
SELECT t.quiet($$SELECT reverse_purchase(NULL)$$);
SELECT t.quiet($$SELECT reverse_purchase('')$$);
SELECT t.quiet($$SELECT reverse_purchase(repeat('p', 256))$$);
SELECT t.quiet($$SELECT reverse_purchase('pi_2', 0)$$);
SELECT t.quiet($$SELECT reverse_purchase('pi_2', -1)$$);
SELECT t.quiet($$SELECT reverse_purchase('pi_2', -2147483648)$$);
SELECT t.quiet($$SELECT reverse_purchase('pi_2', 2147483647)$$);
SELECT t.quiet($$SELECT reverse_purchase('pi_2', 1, repeat('n', 1001))$$);
SELECT t.quiet($$SELECT reverse_purchase('pi_2', 1, NULL, '')$$);
SELECT t.quiet($$SELECT reverse_purchase('pi_2', 1, NULL, repeat('k', 256))$$);

-- reinstate_purchase: one reversal, once
SELECT t.quiet($$SELECT reinstate_purchase('pi_2')$$) AS nothing_is_reversed;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1')$$) AS which_one;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1', 'Dispute won', 're_1')$$) AS one_of_three;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1', 'Dispute won', 're_1')$$) AS again;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1')$$) AS which_of_two;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1', 'Dispute won', 're_2')$$) AS another;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1')$$) AS the_last;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1')$$) AS again;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1', NULL, 're_1')$$) AS again_the_first_answer;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 20, NULL, 're_1')$$) AS an_old_key_moves_nothing;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 51)$$) AS one_too_much;
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 30)$$) AS reversed_again;
SELECT t.quiet($$SELECT reinstate_purchase('pi_1')$$) AS just_that;
SELECT t.quiet($$SELECT reverse_purchase('pi_1')$$) AS all_of_it;
SELECT t.quiet($$SELECT reinstate_purchase('pi_3')$$);
SELECT t.quiet($$SELECT reinstate_purchase(NULL)$$);
SELECT t.quiet($$SELECT reinstate_purchase('')$$);
SELECT t.quiet($$SELECT reinstate_purchase(repeat('p', 256))$$);
SELECT t.quiet($$SELECT reinstate_purchase('pi_1', repeat('n', 1001))$$);
SELECT t.quiet($$SELECT reinstate_purchase('pi_1', NULL, '')$$);
SELECT t.quiet($$SELECT reinstate_purchase('pi_1', NULL, repeat('k', 256))$$);
SELECT t.quiet($$SELECT reinstate_purchase('pi_3', NULL, 're_1')$$);
SELECT t.quiet($$SELECT reinstate_purchase('pi_1', NULL, 'welcome')$$) AS key_of_a_grant;
SELECT t.quiet($$SELECT reinstate_purchase('pi_2', NULL, 're_1')$$) AS key_of_another_user;
SELECT no, type, amount, balance, payment, regexp_replace(key, '[0-9a-f-]{36}', (SELECT r.entry_no::text FROM credit_ledger r WHERE key LIKE '%' || r.id)) AS key,
       of_no, note FROM t.entries WHERE "user" = '1';
CALL t.as_admin();
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();

-- two reversals of one payment: the dispute that was won gives back what it took
CALL t.sign_up(3);
CALL t.as_role('service_role');
SELECT purchase_credits(t.id(3), 50, 'pi_5') IS NOT NULL AS bought, purchase_credits(t.id(3), 50, 'pi_6') IS NOT NULL AS bought;
SELECT t.quiet($$SELECT reverse_purchase('pi_5', 20, p_idempotency_key => 're_5')$$) AS refunded,
       t.quiet($$SELECT reverse_purchase('pi_5', 30, p_idempotency_key => 'dp_5')$$) AS disputed;
\set VERBOSITY default
SELECT reinstate_purchase('pi_5');
\set VERBOSITY terse
SELECT t.quiet($$SELECT reinstate_purchase('pi_5', p_idempotency_key => 'dp_5')$$) AS won,
       t.quiet($$SELECT reinstate_purchase('pi_5', p_idempotency_key => 'dp_5')$$) AS replay,
       t.quiet($$SELECT reverse_purchase('pi_5', 30, p_idempotency_key => 'dp_5')$$) AS late_dispute;
SELECT sum(amount) AS left_of_the_payment FROM credit_ledger WHERE stripe_payment_id = 'pi_5';
-- the other one is the only one now
SELECT t.quiet($$SELECT reinstate_purchase('pi_5')$$) AS the_refund,
       t.quiet($$SELECT reinstate_purchase('pi_5', p_idempotency_key => 're_5')$$) AS replay;
-- before its reversal: that takes nothing, whenever and however often it comes; others do
SELECT t.quiet($$SELECT reinstate_purchase('pi_5', p_idempotency_key => 'dp_6')$$) AS early,
       t.quiet($$SELECT reinstate_purchase('pi_5', p_idempotency_key => 'dp_6')$$) AS replay,
       t.quiet($$SELECT reverse_purchase('pi_5', 5, p_idempotency_key => 'dp_7')$$) AS another,
       t.quiet($$SELECT reverse_purchase('pi_5', 30, p_idempotency_key => 'dp_6')$$) AS takes_nothing,
       t.quiet($$SELECT reverse_purchase('pi_5', p_idempotency_key => 'dp_6')$$) AS replay,
       t.quiet($$SELECT reinstate_purchase('pi_5', p_idempotency_key => 'dp_6')$$) AS late_replay;
SELECT t.quiet($$SELECT reverse_purchase('pi_5', 46)$$) AS one_too_much, t.quiet($$SELECT reverse_purchase('pi_5', 45)$$) AS what_is_left;
SELECT t.quiet($$SELECT reinstate_purchase('pi_6', p_idempotency_key => 'dp_6')$$) AS of_another_payment,
       t.quiet($$SELECT reverse_purchase('pi_6', 1, p_idempotency_key => 'dp_6')$$) AS of_another_payment,
       t.quiet($$SELECT reinstate_purchase('pi_6', p_idempotency_key => 'dp_7')$$) AS of_another_payment,
       t.quiet($$SELECT reinstate_purchase('pi_2', p_idempotency_key => 'dp_6')$$) AS of_another_user;
-- rolled back it is not remembered
BEGIN;
SELECT reinstate_purchase('pi_6', NULL, 'dp_8');
ROLLBACK;
SELECT t.quiet($$SELECT reverse_purchase('pi_6', 1, NULL, 'dp_8')$$) AS one;
-- the key of a reinstatement is no key of a caller's; where he takes one, its reversal stands
CALL t.as_admin();
SELECT idempotency_key AS tie FROM credit_ledger WHERE user_id = t.id(3) AND idempotency_key LIKE 'reinstates:%' ORDER BY entry_no LIMIT 1 \gset
SELECT 'reinstates:' || id AS tie_to_be FROM credit_ledger WHERE user_id = t.id(3) AND idempotency_key = 'dp_8' \gset
SELECT t.quiet(format('SELECT reverse_purchase(''pi_5'', p_idempotency_key => %L)', :'tie')) AS reverse,
       t.quiet(format('SELECT reinstate_purchase(''pi_5'', p_idempotency_key => %L)', :'tie')) AS reinstate,
       t.quiet(format('SELECT grant_credits(t.id(3), 30, NULL, %L)', :'tie')) AS "grant";
BEGIN;
SELECT grant_credits(t.id(3), 1, NULL, :'tie_to_be') IS NOT NULL AS granted;
SELECT t.quiet($$SELECT reinstate_purchase('pi_6')$$) AS refused;
ROLLBACK;
BEGIN;
SELECT reverse_purchase('pi_6', 1, NULL, :'tie_to_be');
SELECT t.quiet($$SELECT reinstate_purchase('pi_6', NULL, 'dp_8')$$) AS refused;
ROLLBACK;
-- a reinstatement as it was before there were keys: it undid all before it
BEGIN;
SELECT reverse_purchase('pi_6', 9);
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_accounts SET balance = balance + 10, entries = entries + 1 WHERE user_id = t.id(3);
INSERT INTO credit_ledger (user_id, type, amount, balance_after, entry_no, stripe_payment_id, reverses)
SELECT a.user_id, 'purchase', 10, a.balance, a.entries, 'pi_6', (SELECT id FROM credit_ledger WHERE stripe_payment_id = 'pi_6' AND reverses IS NULL)
  FROM credit_accounts a WHERE a.user_id = t.id(3);
SET LOCAL studio_engine.maintenance = off;
SELECT t.quiet($$SELECT reinstate_purchase('pi_6')$$) AS nothing_stands,
       t.quiet($$SELECT reinstate_purchase('pi_6', NULL, 'dp_8')$$) AS as_it_was;
SELECT reverse_purchase('pi_6', 50);
SELECT t.quiet($$SELECT reinstate_purchase('pi_6')$$) AS the_one_after_it;
SELECT * FROM verify_credit_ledger();
ROLLBACK;
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();
DELETE FROM auth.users WHERE id = t.id(3);
SELECT count(*) AS remembered FROM studio_engine.credit_keys;

-- below zero: blocks spending until it is covered; what is held can be settled
SELECT reserve_credits(t.id(1), t.id(21), 7);
SELECT purchase_credits(t.id(1), 20, 'pi_4') IS NOT NULL AS bought;
SELECT t.quiet($$SELECT reverse_purchase('pi_4', 20, NULL, 're_1')$$) AS key_of_another_payment;
SELECT t.quiet($$SELECT reverse_purchase('pi_4', NULL, NULL, 're_1')$$) AS key_of_another_payment;
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'usage', -23);
SELECT t.quiet($$SELECT reverse_purchase('pi_4')$$) AS below_zero;
SELECT * FROM t.accounts WHERE "user" = '1';
SELECT t.quiet('SELECT get_credit_balance(t.id(1))') AS balance;
SELECT get_credit_summary(t.id(1)) ->> 'spendable' AS spendable;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(22), 1)') AS blocked;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'usage', -1) RETURNING 1$$) AS blocked;
SELECT t.quiet('SELECT create_job(t.id(11), 1)') AS blocked;
SELECT t.quiet($$SELECT settle_credits(t.id(21), 8, 'charge')$$) AS above_the_hold;
SELECT t.quiet('SELECT settle_credits(t.id(21), 3)') AS what_is_held;
SELECT t.quiet('SELECT grant_credits(t.id(1), 16)') AS covers_all_of_it;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(22), 1)') AS still_nothing;
SELECT t.quiet('SELECT grant_credits(t.id(1), 1)') AS one_more;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(22), 1)') AS one;
SELECT t.quiet($$SELECT reinstate_purchase('pi_4')$$) AS dispute_won;
SELECT * FROM t.accounts WHERE "user" = '1';
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- a payment of a deleted user is deleted with him
CALL t.sign_up(1);
SELECT purchase_credits(t.id(1), 50, 'pi_1') IS NOT NULL AS bought;
DELETE FROM auth.users WHERE id = t.id(1);
SELECT t.quiet($$SELECT reverse_purchase('pi_1')$$);

-- integer overflow, above and below
CALL t.sign_up(2);
CALL t.project(2, 12);
CALL t.job(12, 23);
SELECT purchase_credits(t.id(2), 2147483637, 'pi_max') IS NOT NULL AS bought;
SELECT reserve_credits(t.id(2), t.id(23), 2147483647), settle_credits(t.id(23));
SELECT grant_credits(t.id(2), 1) IS NOT NULL AS granted;
SELECT t.quiet('SELECT refund_credits(t.id(23), 2147483647)') AS too_much;
SELECT t.quiet('SELECT refund_credits(t.id(23), 2147483646)') AS to_the_brim;
SELECT t.quiet('SELECT refund_credits(t.id(23), 1)') AS one_too_many;
SELECT t.quiet($$SELECT reverse_purchase('pi_max', 1)$$), t.quiet('SELECT grant_credits(t.id(2), 1)');
SELECT t.quiet($$SELECT reinstate_purchase('pi_max')$$) AS no_room;
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(2), 'usage', -2147483647);
SELECT t.quiet($$SELECT reinstate_purchase('pi_max')$$), t.quiet($$SELECT reverse_purchase('pi_max')$$);
SELECT purchase_credits(t.id(2), 100, 'pi_small') IS NOT NULL AS bought, grant_credits(t.id(2), 2147483647) IS NOT NULL AS granted;
INSERT INTO credit_ledger (user_id, type, amount) SELECT t.id(2), 'usage', -balance FROM credit_accounts WHERE user_id = t.id(2);
SELECT purchase_credits(t.id(2), 2147483647, 'pi_max_2') IS NOT NULL AS bought;
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(2), 'usage', -2147483647);
SELECT t.quiet($$SELECT reverse_purchase('pi_max_2')$$) AS down_to_the_last;
SELECT t.quiet($$SELECT reverse_purchase('pi_small')$$) AS too_much;
SELECT t.quiet($$SELECT reverse_purchase('pi_small', 2)$$) AS one_too_much;
SELECT t.quiet($$SELECT reverse_purchase('pi_small', 1)$$) AS the_very_last;
SELECT t.quiet($$SELECT reverse_purchase('pi_small', 1)$$) AS one_too_much;
SELECT balance, reserved FROM t.accounts;
SELECT t.quiet('SELECT get_credit_balance(t.id(2))');
SELECT get_credit_summary(t.id(2));
SELECT t.quiet('SELECT expire_credits()'), t.quiet('SELECT sweep_stale_holds()');
SELECT t.quiet($$SELECT reinstate_purchase('pi_max_2')$$) AS back;
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();

-- for services only
CALL t.as_user(t.id(2));
SELECT t.ask('SELECT refund_credits(t.id(23), 1)');
SELECT t.ask($$SELECT reverse_purchase('pi_small')$$);
SELECT t.ask($$SELECT reinstate_purchase('pi_small')$$);
SELECT t.ask($$SELECT reinstate_purchase('pi_small', NULL, 'dp_1')$$);
SELECT t.ask($$SELECT subscription_credits(t.id(2), 1, 'in_9')$$);
CALL t.as_admin();
DROP VIEW t.entries;
SELECT * FROM t.clean();
