-- 258_transfers.sql
--
-- Credit that goes from one user to another: which lots, what they keep, keys,
-- and reversals of payments whose credit went elsewhere.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.entries AS
SELECT t.n(l.user_id) AS "user", l.entry_no AS no, l.type, l.amount, l.balance_after AS balance, l.priority, to_char(l.expires_at, 'YYYY') AS expires,
       l.stripe_payment_id AS payment, l.idempotency_key AS key, t.n(r.user_id) || '/' || r.entry_no AS reverses, l.note
  FROM credit_ledger l LEFT JOIN credit_ledger r ON r.id = l.reverses
 ORDER BY t.n(l.user_id), l.entry_no;
CREATE VIEW t.balances AS
SELECT string_agg(t.n(user_id) || ': ' || balance, ', ' ORDER BY t.n(user_id)) AS balances FROM credit_accounts;

CALL t.sign_up(1, 2, 3);
SELECT purchase_credits(t.id(1), 50, 'pi_1') \g /dev/null
SELECT grant_credits(t.id(1), 5, 'Soon', NULL, '2998-01-01') \g /dev/null
INSERT INTO credit_ledger (user_id, type, amount, priority) VALUES (t.id(1), 'grant', 7, -5);

-- burn order; expiry, priority and payment go with the lots
SELECT transfer_credits(t.id(1), t.id(2), 30, 'gift', 'A gift');
SELECT * FROM t.entries;
SELECT "user", sum(remaining) FROM (SELECT 1 AS "user", remaining FROM get_credit_lots(t.id(1)) UNION ALL SELECT 2, remaining FROM get_credit_lots(t.id(2))) l GROUP BY 1 ORDER BY 1;
SELECT t.n(from_user_id) AS "from", t.n(to_user_id) AS "to", kind, amount FROM studio_engine.transfers WHERE from_user_id IS NOT NULL;
SELECT * FROM t.books();
SELECT get_credit_summary(t.id(2)) - 'next_expiry' AS summary;

-- once per key; the key of something else, another receiver, amount or kind
SELECT transfer_credits(t.id(1), t.id(2), 30, 'gift', 'Another note') AS again;
SELECT grant_credits(t.id(1), 1, NULL, 'grant-1') \g /dev/null
SELECT t.quiet($$SELECT transfer_credits(t.id(1), t.id(2), 31, 'gift')$$) AS another_amount,
       t.quiet($$SELECT transfer_credits(t.id(1), t.id(3), 30, 'gift')$$) AS another_receiver,
       t.quiet($$SELECT merge_accounts(t.id(1), t.id(2), 'gift')$$) AS another_kind,
       t.quiet($$SELECT transfer_credits(t.id(1), t.id(2), 1, 'grant-1')$$) AS key_of_a_grant,
       t.quiet($$SELECT grant_credits(t.id(1), 30, NULL, 'gift')$$) AS grant_with_its_key;
SELECT transfer_credits(t.id(2), t.id(1), 30, 'gift') AS the_other_way;
SELECT * FROM t.balances;

-- refused
SELECT t.quiet('SELECT transfer_credits(t.id(1), t.id(1), 1)') AS same, t.quiet('SELECT transfer_credits(NULL, t.id(1), 1)') AS "null",
       t.quiet('SELECT transfer_credits(t.id(1), NULL, 1)') AS "null", t.quiet('SELECT transfer_credits(t.id(1), t.id(2), NULL)') AS "null";
SELECT t.quiet('SELECT transfer_credits(t.id(1), t.id(2), 0)') AS zero, t.quiet('SELECT transfer_credits(t.id(1), t.id(2), -1)') AS negative,
       t.quiet('SELECT transfer_credits(t.id(1), t.id(2), 74)') AS too_much, t.quiet('SELECT transfer_credits(t.id(1), t.id(2), 2147483647)') AS huge,
       t.quiet('SELECT transfer_credits(t.id(1), t.id(99), 1)') AS to_nobody, t.quiet('SELECT transfer_credits(t.id(99), t.id(1), 1)') AS from_nobody;
SELECT t.quiet($$SELECT transfer_credits(t.id(1), t.id(2), 1, '')$$) AS key, t.quiet($$SELECT transfer_credits(t.id(1), t.id(2), 1, NULL, repeat('x', 1001))$$) AS note,
       t.quiet('SELECT merge_accounts(t.id(1), t.id(1))') AS same, t.quiet('SELECT merge_accounts(t.id(1), NULL)') AS "null", t.quiet('SELECT merge_accounts(t.id(1), t.id(99))') AS to_nobody;
CALL t.as_user(t.id(1));
SELECT t.try('SELECT transfer_credits(t.id(1), t.id(2), 1)') AS by_the_user, t.try('SELECT merge_accounts(t.id(2), t.id(1))') AS by_the_user;
CALL t.as_admin();
SELECT grant_credits(t.id(3), 2147483600) \g /dev/null
SELECT t.quiet('SELECT transfer_credits(t.id(1), t.id(3), 60)') AS receiver_full, t.quiet('SELECT merge_accounts(t.id(1), t.id(3))') AS receiver_full;
SELECT * FROM t.books();
-- expired credit cannot be given away
SELECT grant_credits(t.id(2), 100, NULL, NULL, '2998-01-01') \g /dev/null
CALL t.expire(2);
SELECT t.quiet('SELECT transfer_credits(t.id(2), t.id(1), 11)') AS expired;
SELECT transfer_credits(t.id(2), t.id(1), 10), merge_accounts(t.id(2), t.id(1)) AS nothing;
SELECT * FROM t.balances;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- merging: all of it, once per key, also of nothing; not what is held, no debts
CALL t.sign_up(1, 2);
SELECT purchase_credits(t.id(1), 50, 'pi_2'), grant_credits(t.id(1), 5, NULL, NULL, '2998-01-01') \g /dev/null
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT reserve_credits(t.id(1), t.id(21), 5);
SELECT t.quiet('SELECT merge_accounts(t.id(1), t.id(2))') AS open_hold;
SELECT settle_credits(t.id(21), 3), refund_credits(t.id(21), 2);
SELECT merge_accounts(t.id(1), t.id(2), 'merge') AS moved, merge_accounts(t.id(1), t.id(2), 'merge') AS again, merge_accounts(t.id(1), t.id(2)) AS nothing,
       merge_accounts(t.id(1), t.id(2), 'empty') AS nothing, merge_accounts(t.id(1), t.id(2), 'empty') AS again;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5, NULL, 'empty')$$) AS key_of_nothing, t.quiet($$SELECT merge_accounts(t.id(1), t.id(2), 'no')$$) AS nothing;
SELECT grant_credits(t.id(1), 5) \g /dev/null
SELECT merge_accounts(t.id(1), t.id(2), 'empty') AS first_answer_stands, get_credit_balance(t.id(1)) AS balance;
SELECT * FROM t.entries WHERE "user" = '2';
SELECT get_credit_summary(t.id(1)) - 'next_expiry' AS gave, get_credit_summary(t.id(2)) - 'next_expiry' AS received;
SELECT * FROM t.books();

-- the payment is reversed where its credit is, and reinstated there
SELECT reverse_purchase('pi_2', 20, NULL, 're_1'), reverse_purchase('pi_2', 20, NULL, 're_1') AS again;
SELECT * FROM t.balances;
SELECT reinstate_purchase('pi_2', NULL, 're_1'), reinstate_purchase('pi_2', NULL, 're_1') AS again;
SELECT * FROM t.balances;
SELECT reverse_purchase('pi_2', NULL, NULL, 're_2');
SELECT * FROM t.balances;
SELECT t.quiet($$SELECT reverse_purchase('pi_2', 1)$$) AS too_much;
SELECT * FROM t.books();
SELECT t.quiet('SELECT merge_accounts(t.id(2), t.id(1))') AS with_credit;
SELECT reinstate_purchase('pi_2');
SELECT * FROM t.balances;
-- in debt
INSERT INTO credit_ledger (user_id, type, amount) SELECT t.id(2), 'usage', -balance FROM credit_accounts WHERE user_id = t.id(2);
SELECT reverse_purchase('pi_2', 10);
SELECT * FROM t.balances;
SELECT t.quiet('SELECT merge_accounts(t.id(2), t.id(1))') AS in_debt, t.quiet('SELECT transfer_credits(t.id(2), t.id(1), 1)') AS in_debt;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- a payment in several hands: what is unspent goes first, then each is good for
-- its part; a second lot of one user; transferred on
CALL t.sign_up(1, 2, 3);
INSERT INTO credit_ledger (user_id, type, amount) SELECT t.id(u), 'usage', -10 FROM generate_series(1, 3) u;
SELECT purchase_credits(t.id(1), 60, 'pi_3') \g /dev/null
SELECT transfer_credits(t.id(1), t.id(2), 20), transfer_credits(t.id(1), t.id(2), 10), transfer_credits(t.id(2), t.id(3), 15), transfer_credits(t.id(3), t.id(1), 5);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'usage', -35), (t.id(2), 'usage', -12);
SELECT * FROM t.balances;
SELECT * FROM t.entries WHERE payment = 'pi_3';
BEGIN;
SELECT reverse_purchase('pi_3', 13, NULL, 're_3'), reverse_purchase('pi_3', 13, NULL, 're_3') AS again, t.quiet($$SELECT reverse_purchase('pi_3', 12, NULL, 're_3')$$) AS another_amount;
SELECT * FROM t.balances;
SELECT reverse_purchase('pi_3', NULL, NULL, 're_4');
SELECT * FROM t.balances;
SELECT * FROM t.entries WHERE payment = 'pi_3' AND amount < 0;
SELECT t.quiet($$SELECT reinstate_purchase('pi_3')$$) AS which;
SELECT reinstate_purchase('pi_3', NULL, 're_3'), reinstate_purchase('pi_3', NULL, 're_3') AS again;
SELECT * FROM t.balances;
SELECT reinstate_purchase('pi_3') AS the_other;
SELECT * FROM t.balances;
SELECT * FROM t.books();
ROLLBACK;
-- a key that one of them has used for something else
SELECT grant_credits(t.id(3), 1, NULL, 're_5') \g /dev/null
SELECT t.quiet($$SELECT reverse_purchase('pi_3', 50, NULL, 're_5')$$) AS used_key, t.quiet($$SELECT reinstate_purchase('pi_3', NULL, 're_5')$$) AS used_key;
-- voided by one of them; the user who paid is deleted: what others have is reversed
SELECT void_credits(id, 2) FROM credit_ledger WHERE user_id = t.id(3) AND type = 'purchase' AND amount > 0;
DELETE FROM auth.users WHERE id = t.id(1);
SELECT t.n(from_user_id) AS "from", t.n(to_user_id) AS "to", amount FROM studio_engine.transfers WHERE from_user_id IS NOT NULL OR to_user_id IS NOT NULL ORDER BY amount DESC;
SELECT * FROM t.books();
SELECT reverse_purchase('pi_3', 55, NULL, 're_6') AS all_that_is_left, reverse_purchase('pi_3', 55, NULL, 're_6') AS again;
SELECT * FROM t.balances;
SELECT * FROM t.books();
DELETE FROM auth.users WHERE id IN (t.id(2), t.id(3));
SELECT t.quiet($$SELECT reverse_purchase('pi_3')$$) AS all_gone;
SELECT * FROM t.clean();

-- what comes to a lot that expires meanwhile expires with the receiver
CALL t.sign_up(1, 2);
SELECT purchase_credits(t.id(1), 30, 'pi_4', NULL, '2998-01-01') \g /dev/null
SELECT transfer_credits(t.id(1), t.id(2), 20);
SELECT reverse_purchase('pi_4', NULL, NULL, 're_7');
CALL t.expire(2);
SELECT expire_credits();
SELECT reinstate_purchase('pi_4', NULL, 're_7');
SELECT * FROM t.balances;
SELECT * FROM t.books();

-- forged: a side that is missing, another amount, an entry of no transfer
SELECT transfer_credits(t.id(1), t.id(2), 4, 'two sides');
CREATE PROCEDURE t.remove_last(p_user integer)
LANGUAGE sql SET studio_engine.maintenance = on AS $$
  UPDATE credit_accounts a SET balance = a.balance - l.amount, entries = a.entries - 1
    FROM credit_ledger l WHERE a.user_id = t.id(p_user) AND l.user_id = a.user_id AND l.entry_no = a.entries;
  DELETE FROM credit_ledger l USING credit_accounts a WHERE a.user_id = t.id(p_user) AND l.user_id = a.user_id AND l.entry_no > a.entries;
$$;
BEGIN;
CALL t.remove_last(2);
SELECT t.n(user_id) AS "user", problem, expected, actual FROM verify_credit_ledger() ORDER BY 1, 2, 3;
ROLLBACK;
BEGIN;
CALL t.remove_last(1);
SELECT t.n(user_id) AS "user", problem, expected, actual FROM verify_credit_ledger() ORDER BY 1, 2, 3;
ROLLBACK;
BEGIN;
UPDATE studio_engine.transfers SET amount = 5 WHERE amount = 4;
SELECT t.n(user_id) AS "user", problem, expected, actual FROM verify_credit_ledger() ORDER BY 1, 2, 3;
ROLLBACK;
BEGIN;
DELETE FROM studio_engine.transfers WHERE amount = 4;
SELECT t.n(user_id) AS "user", problem, expected, actual FROM verify_credit_ledger() ORDER BY 1, 2, 3;
ROLLBACK;

DROP PROCEDURE t.remove_last;
DROP VIEW t.entries, t.balances;
SELECT * FROM t.clean();
