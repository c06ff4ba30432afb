-- 245_lots.sql
--
-- Which credit is left: the list of lots and its order, priorities, voids, and
-- replays that begin at a checkpoint.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.lots AS
SELECT t.n(a.user_id) AS "user", l.entry_no AS no, g.type, g.amount, g.remaining, g.held, g.priority,
       to_char(g.expires_at, 'YYYY') AS expires, g.note
  FROM credit_accounts a, LATERAL get_credit_lots(a.user_id) WITH ORDINALITY g
  JOIN credit_ledger l ON l.id = g.entry_id
 ORDER BY t.n(a.user_id), g.ordinality;
CREATE FUNCTION t.entry(p_user integer, p_no integer) RETURNS uuid
LANGUAGE sql AS $$ SELECT id FROM credit_ledger WHERE user_id = t.id(p_user) AND entry_no = p_no $$;

-- the burn order: priority, expiry, age
CALL t.sign_up(1, 2);
INSERT INTO credit_ledger (user_id, type, amount, priority, expires_at, note) VALUES
  (t.id(1), 'grant', 5, NULL, '2998-01-01', 'of 2998'),
  (t.id(1), 'grant', 6, 0, '2997-01-01', 'of 2997'),
  (t.id(1), 'grant', 7, 1, '2996-01-01', 'after the others'),
  (t.id(1), 'purchase', 8, -1, NULL, 'before the others'),
  (t.id(1), 'subscription', 9, -2147483648, '2999-01-01', 'first of all'),
  (t.id(1), 'refund', 3, 2147483647, NULL, 'last of all');
SELECT * FROM t.lots;
SELECT sum(remaining) AS remaining, get_credit_balance(t.id(1)) AS balance FROM get_credit_lots(t.id(1));
-- used in this order, held in this order, and returned to where it came from
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'usage', -10);
CALL t.project(1, 11);
CALL t.job(11, 21);
SELECT reserve_credits(t.id(1), t.id(21), 15);
SELECT * FROM t.lots;
SELECT settle_credits(t.id(21), 12);
SELECT * FROM t.lots;
SELECT * FROM t.books();
-- a priority is for credit that is added
SELECT v.type, v.amount, t.quiet(format('INSERT INTO credit_ledger (user_id, type, amount, priority, job_id) VALUES (t.id(1), %L, %s, 1, %s)',
                              v.type, v.amount, v.job))
  FROM (VALUES ('usage', -1, 'NULL'), ('expire', -1, 'NULL'), ('reserve', -1, 't.id(21)'), ('reserve', 1, 't.id(21)')) v (type, amount, job);
SELECT t.quiet(format('INSERT INTO credit_ledger (user_id, type, amount, transfer_id) VALUES (t.id(1), ''grant'', 1, %L)', gen_random_uuid()));

-- who may look: the user, a service; nobody has no lots
CALL t.as_user(t.id(1));
SELECT count(*) FROM get_credit_lots(t.id(1));
SELECT t.try('SELECT count(*) FROM get_credit_lots(t.id(2))') AS of_another, t.try('SELECT count(*) FROM get_credit_lots(gen_random_uuid())') AS of_nobody,
       t.try('SELECT count(*) FROM get_credit_lots(NULL)') AS of_null;
SELECT t.try('SELECT void_credits(gen_random_uuid())') AS void;
CALL t.as_admin();
SELECT count(*) FROM get_credit_lots(gen_random_uuid());

-- voids: what is left of one lot, and nothing else
SELECT void_credits(t.entry(1, 2), 2, 'Mistyped', 'void-1') AS two, void_credits(t.entry(1, 2), 2, NULL, 'void-1') AS again;
SELECT * FROM t.lots;
SELECT t.quiet(format('SELECT void_credits(%L, 4)', t.entry(1, 2))) AS more_than_left,
       t.quiet(format('SELECT void_credits(%L, 1, NULL, %L)', t.entry(1, 2), 'void-1')) AS another_amount,
       t.quiet(format('SELECT void_credits(%L, 2, NULL, %L)', t.entry(1, 3), 'void-1')) AS another_lot;
SELECT void_credits(t.entry(1, 2), NULL, NULL, 'void-2') AS the_rest, void_credits(t.entry(1, 2), NULL, NULL, 'void-2') AS again,
       void_credits(t.entry(1, 2)) AS nothing, void_credits(t.entry(1, 2), NULL, NULL, 'void-3') AS nothing, void_credits(t.entry(1, 2), NULL, NULL, 'void-3') AS again;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5, NULL, 'void-3')$$) AS key_of_nothing,
       t.quiet(format('SELECT void_credits(%L, NULL, NULL, %L)', t.entry(1, 3), 'void-3')) AS of_another_lot,
       t.quiet(format('SELECT void_credits(%L, NULL, NULL, %L)', t.entry(1, 1), 'welcome')) AS key_of_a_grant;
-- what was spent and what is held stays
CALL t.job(11, 22);
SELECT reserve_credits(t.id(1), t.id(22), 4);
SELECT * FROM t.lots;
SELECT void_credits(t.entry(1, 3)) AS of_what_is_left;
SELECT release_credits(t.id(22));
SELECT * FROM t.lots;
SELECT * FROM t.books();
-- nothing that is no lot
SELECT l.type, l.amount > 0 AS adds, t.quiet(format('SELECT void_credits(%L)', l.id))
  FROM (SELECT DISTINCT ON (type, amount > 0) * FROM credit_ledger WHERE user_id = t.id(1) AND (type <> 'grant' OR amount < 0) AND type NOT IN ('purchase', 'subscription')
         ORDER BY type, amount > 0, entry_no) l ORDER BY l.type, l.amount;
SELECT t.quiet('SELECT void_credits(NULL)') AS "null", t.quiet('SELECT void_credits(gen_random_uuid())') AS unknown,
       t.quiet(format('SELECT void_credits(%L, 0)', t.entry(1, 5))) AS zero, t.quiet(format('SELECT void_credits(%L, -1)', t.entry(1, 5))) AS negative,
       t.quiet(format('SELECT void_credits(%L, 2147483647)', t.entry(1, 5))) AS huge,
       t.quiet(format('SELECT void_credits(%L, 1, repeat(%L, 1001))', t.entry(1, 5), 'x')) AS note,
       t.quiet(format('SELECT void_credits(%L, 1, NULL, %L)', t.entry(1, 5), '')) AS key;
-- a void is no reversal: the payment can be reversed by what is left of it only
SELECT purchase_credits(t.id(2), 20, 'pi_void') AS purchase \gset
SELECT void_credits(:'purchase', 5);
SELECT t.quiet($$SELECT reverse_purchase('pi_void', 16)$$) AS too_much, reverse_purchase('pi_void', 6, NULL, 're_1') AS six,
       t.quiet($$SELECT reinstate_purchase('pi_void', NULL, 're_2')$$) AS not_yet, reinstate_purchase('pi_void', NULL, 're_1') AS six, reverse_purchase('pi_void') AS the_rest;
SELECT * FROM t.lots WHERE "user" = '2';
SELECT t.quiet(format('SELECT void_credits(%L)', l.id)) AS of_a_reversal FROM credit_ledger l WHERE l.stripe_payment_id = 'pi_void' AND l.amount = -6;
SELECT * FROM t.books();
SELECT get_credit_summary(t.id(2)) ->> 'lifetime_purchased' AS lifetime_purchased;
-- a void has no key of a reversal or a transfer from the same lot
SELECT purchase_credits(t.id(2), 20, 'pi_void 2') AS purchase \gset
SELECT reverse_purchase('pi_void 2', 3, NULL, 're_3') AS reversed,
       t.quiet(format('SELECT void_credits(%L, 3, NULL, ''re_3'')', :'purchase')) AS void, t.quiet(format('SELECT void_credits(%L, NULL, NULL, ''re_3'')', :'purchase')) AS void;
BEGIN;
INSERT INTO credit_ledger (user_id, type, amount, priority) VALUES (t.id(2), 'grant', 4, -5) RETURNING id AS first \gset
SELECT transfer_credits(t.id(2), t.id(1), 3, 'gift'), t.quiet(format('SELECT void_credits(%L, 3, NULL, ''gift'')', :'first')) AS void,
       t.quiet(format('SELECT void_credits(%L, NULL, NULL, ''gift'')', :'first')) AS void;
ROLLBACK;
SELECT * FROM t.books();
-- forged: a void above its lot, where other credit covers it
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET amount = amount - 1, balance_after = balance_after - 1 WHERE user_id = t.id(1) AND idempotency_key = 'void-2';
UPDATE credit_ledger SET balance_after = balance_after - 1
 WHERE user_id = t.id(1) AND entry_no > (SELECT entry_no FROM credit_ledger WHERE user_id = t.id(1) AND idempotency_key = 'void-2');
UPDATE credit_accounts SET balance = balance - 1 WHERE user_id = t.id(1);
SELECT problem, expected, actual, (SELECT idempotency_key FROM credit_ledger WHERE id = v.entry_id) FROM verify_credit_ledger(t.id(1)) v;
ROLLBACK;

-- A long ledger is not replayed whole: the checkpoint has what the entries give,
-- with lots that are held, empty, reinstated and expired after it.
CALL t.sign_up(3);
CALL t.project(3, 13);
CALL t.job(13, 23);
SELECT count(grant_credits(t.id(3), 10 + g % 3, NULL, NULL, '2990-01-01'::timestamptz + make_interval(days => g % 17))) FROM generate_series(1, 30) g;
SELECT purchase_credits(t.id(3), 40, 'pi_long', NULL, '2989-01-01') AS bought \gset
SELECT reserve_credits(t.id(3), t.id(23), 50);
SELECT count(*) FROM studio_engine.lot_checkpoints;
INSERT INTO credit_ledger (user_id, type, amount) SELECT t.id(3), CASE g % 3 WHEN 0 THEN 'grant' ELSE 'usage' END, CASE g % 3 WHEN 0 THEN 2 ELSE -1 END FROM generate_series(1, 960) g;
SELECT entry_no FROM studio_engine.lot_checkpoints;
SELECT count(grant_credits(t.id(3), 1)) FROM generate_series(1, 8) g;
SELECT entry_no FROM studio_engine.lot_checkpoints;
SELECT * FROM verify_credit_ledger();
SELECT reverse_purchase('pi_long', 40, NULL, 're_long'), reinstate_purchase('pi_long', NULL, 're_long');
SELECT remaining, held FROM get_credit_lots(t.id(3)) WHERE entry_id = :'bought';
SELECT settle_credits(t.id(23), 20);
CREATE TABLE t.with_checkpoint AS SELECT g.* FROM get_credit_lots(t.id(3)) WITH ORDINALITY g (entry_id, type, amount, remaining, held, priority, expires_at, note, created_at, nth);
BEGIN;
DELETE FROM studio_engine.lot_checkpoints;
SELECT count(*) AS lots, sum(w.remaining) AS remaining, get_credit_balance(t.id(3)) AS balance,
       count(*) FILTER (WHERE (w.*) IS DISTINCT FROM (g.*)) AS differing
  FROM t.with_checkpoint w FULL JOIN get_credit_lots(t.id(3)) WITH ORDINALITY g (entry_id, type, amount, remaining, held, priority, expires_at, note, created_at, nth) USING (nth);
ROLLBACK;
-- centuries later
DO $$ BEGIN
  SET LOCAL studio_engine.maintenance = on;
  UPDATE credit_ledger SET expires_at = expires_at - INTERVAL '1000 years' WHERE user_id = t.id(3);
  UPDATE studio_engine.expiring_credits SET expires_at = expires_at - INTERVAL '1000 years' WHERE user_id = t.id(3);
END $$;
SELECT get_credit_summary(t.id(3)) ->> 'spendable' AS spendable, get_credit_balance(t.id(3)) AS balance;
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(3), 'usage', -1);
SELECT type, count(*), sum(amount) FROM credit_ledger WHERE user_id = t.id(3) AND entry_no > 1000 GROUP BY type ORDER BY type;
SELECT count(*) AS still_to_sweep FROM studio_engine.expiring_credits WHERE user_id = t.id(3);
SELECT * FROM verify_credit_ledger();
-- forged: another checkpoint; one beyond the ledger
BEGIN;
UPDATE studio_engine.lot_checkpoints SET state = jsonb_set(state, '{deficit}', '1');
SELECT problem, expected, actual, entry_id FROM verify_credit_ledger();
UPDATE studio_engine.lot_checkpoints SET entry_no = 5000;
SELECT problem FROM verify_credit_ledger(t.id(3));
ROLLBACK;

-- Of very many lots those that never expire are one pool for each priority; each
-- is still found where it is wanted, and reversed, voided or transferred.
CALL t.sign_up(4, 5);
CALL t.project(4, 14);
CALL t.job(14, 24);
CALL t.job(14, 25);
SELECT count(grant_credits(t.id(4), 3, NULL, NULL, '2998-01-01', 5)) FROM generate_series(1, 2);
INSERT INTO credit_ledger (user_id, type, amount, priority) SELECT t.id(4), 'grant', 2, NULLIF(g % 3, 2) - 1 FROM generate_series(1, 500) g;
SELECT purchase_credits(t.id(4), 40, 'pi_pool') AS bought \gset
SELECT reserve_credits(t.id(4), t.id(24), 900);
INSERT INTO credit_ledger (user_id, type, amount) SELECT t.id(4), 'grant', 1 FROM generate_series(1, 600) g;
SELECT jsonb_array_length(state -> 'lots') AS lots, state -> 'pools' AS pools, jsonb_array_length(state -> 'holds' -> 0 -> 2) AS allocations
  FROM studio_engine.lot_checkpoints WHERE user_id = t.id(4);
SELECT count(*), sum(remaining) AS remaining, sum(held) AS held FROM get_credit_lots(t.id(4));
SELECT reserve_credits(t.id(4), t.id(25), 50), settle_credits(t.id(24), 700);
SELECT * FROM verify_credit_ledger();
INSERT INTO credit_ledger (user_id, type, amount) SELECT t.id(4), CASE g % 2 WHEN 0 THEN 'usage' ELSE 'grant' END, CASE g % 2 WHEN 0 THEN -1 ELSE 1 END FROM generate_series(1, 1000) g;
SELECT entry_no > 2000 AS later, jsonb_array_length(state -> 'lots') AS lots, state -> 'pools' AS pools
  FROM studio_engine.lot_checkpoints WHERE user_id = t.id(4);
SELECT * FROM verify_credit_ledger();
SELECT reverse_purchase('pi_pool', 30, NULL, 're_pool'), reinstate_purchase('pi_pool', NULL, 're_pool'), void_credits(:'bought', 5), transfer_credits(t.id(4), t.id(5), 40);
SELECT count(*), sum(remaining) AS remaining, sum(held) AS held, get_credit_balance(t.id(4)) AS balance FROM get_credit_lots(t.id(4));
-- centuries later
DO $$ BEGIN
  SET LOCAL studio_engine.maintenance = on;
  UPDATE credit_ledger SET expires_at = expires_at - INTERVAL '1000 years' WHERE user_id = t.id(4);
  UPDATE studio_engine.expiring_credits SET expires_at = expires_at - INTERVAL '1000 years' WHERE user_id = t.id(4);
END $$;
SELECT expire_credits(), release_credits(t.id(25)), expire_credits();
SELECT type, count(*), sum(amount) FROM credit_ledger WHERE user_id = t.id(4) AND type = 'expire' GROUP BY type;
SELECT * FROM verify_credit_ledger();
SELECT count(*), sum(remaining) AS remaining, sum(held) AS held, get_credit_balance(t.id(4)) AS balance FROM get_credit_lots(t.id(4));
-- forged: another pool
BEGIN;
UPDATE studio_engine.lot_checkpoints SET state = jsonb_set(state, '{pools,0,1}', '1') WHERE user_id = t.id(4);
SELECT problem FROM verify_credit_ledger(t.id(4));
ROLLBACK;

DROP TABLE t.with_checkpoint;
DROP VIEW t.lots;
DROP FUNCTION t.entry;
SELECT * FROM t.clean();
