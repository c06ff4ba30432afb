-- 260_verify.sql
--
-- The audit of the ledger: verify_credit_ledger() finds every kind of damage, and
-- nothing that does not follow from it; the hash chain names an edited entry;
-- sweep_stale_holds() repairs; get_credit_summary() adds up.
-- Pitfall: an entry that is planted carelessly breaks numbers and sums as well.
-- t.forge() plants one that is in order, but for what it says.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.found AS
SELECT t.n(v.user_id) AS "user", v.problem, v.expected, v.actual, l.entry_no AS no
  FROM verify_credit_ledger() v LEFT JOIN credit_ledger l ON l.id = v.entry_id
 ORDER BY t.n(v.user_id), v.problem COLLATE "C", l.entry_no;
CREATE VIEW t.entries AS
SELECT t.n(l.user_id) AS "user", l.entry_no AS no, l.type, l.amount, l.balance_after AS balance,
       t.n(l.job_id) AS job, r.entry_no AS of_no, l.note
  FROM credit_ledger l LEFT JOIN credit_ledger r ON r.id = l.reverses
 ORDER BY l.user_id, l.entry_no;
CREATE PROCEDURE t.forge(p_user integer, p_type text, p_amount integer, p_job integer DEFAULT NULL, p_of_no integer DEFAULT NULL)
LANGUAGE sql SET studio_engine.maintenance = on AS $$
  UPDATE public.credit_accounts
     SET balance = balance + p_amount, entries = entries + 1,
         reserved = reserved - CASE WHEN p_type = 'reserve' THEN p_amount ELSE 0 END
   WHERE user_id = t.id(p_user);
  INSERT INTO public.credit_ledger (user_id, type, amount, balance_after, entry_no, job_id, reverses)
  SELECT a.user_id, p_type, p_amount, a.balance, a.entries, t.id(p_job),
         (SELECT l.id FROM public.credit_ledger l WHERE l.user_id = a.user_id AND l.entry_no = p_of_no)
    FROM public.credit_accounts a WHERE a.user_id = t.id(p_user);
$$;

-- a valid ledger with entries of every kind
CALL t.sign_up(1, 2, 3);
CALL t.project(1, 11);
CALL t.project(2, 12);
CALL t.job(11, 21, 'RENDERING');
CALL t.job(11, 22);
CALL t.job(11, 23);
CALL t.job(12, 24);
SELECT purchase_credits(t.id(1), 20, 'pi_1', NULL, '2999-01-01') \g /dev/null
SELECT reserve_credits(t.id(1), t.id(21), 5), reserve_credits(t.id(1), t.id(22), 4), settle_credits(t.id(22), 3), refund_credits(t.id(22), 1),
       reverse_purchase('pi_1', 6);
INSERT INTO credit_ledger (user_id, type, amount, expires_at) VALUES (t.id(2), 'grant', 5, '2026-01-01');
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(2), 'usage', -10);
SELECT * FROM t.entries;
SELECT * FROM t.found;
BEGIN;
CALL t.forge(1, 'grant', 7);
CALL t.forge(2, 'grant', 3);
CALL t.forge(1, 'reserve', -2, 23);
CALL t.forge(1, 'reserve', 2, 23, 10);
SELECT * FROM t.found;
ROLLBACK;

-- the chain of balances: in the middle, where the next entry follows it; at the
-- end; missing
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET balance_after = 31 WHERE user_id = t.id(1) AND entry_no = 2;
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET balance_after = 0 WHERE user_id = t.id(1) AND entry_no = 8;
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET balance_after = NULL WHERE user_id = t.id(1) AND entry_no = 8;
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET balance_after = 2147483647 WHERE user_id = t.id(1) AND entry_no = 1;
SELECT * FROM t.found;
ROLLBACK;
-- a gap: at the end, at the beginning
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET entry_no = 9 WHERE user_id = t.id(1) AND entry_no = 8;
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET entry_no = 0 WHERE user_id = t.id(3) AND entry_no = 1;
SELECT * FROM t.found;
ROLLBACK;
-- an entry is missing, an amount is changed: number, chain and sum follow
BEGIN;
SET LOCAL studio_engine.maintenance = on;
DELETE FROM credit_ledger WHERE user_id = t.id(1) AND entry_no = 1;
SELECT * FROM t.found WHERE problem NOT IN ('entry number');
SELECT count(*) FROM t.found WHERE problem = 'entry number';
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET amount = 11 WHERE user_id = t.id(3);
SELECT * FROM t.found;
ROLLBACK;
-- the account
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_accounts SET balance = 21 WHERE user_id = t.id(1);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_accounts SET reserved = 0 WHERE user_id = t.id(1);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_accounts SET reserved = 1 WHERE user_id = t.id(3);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_accounts SET entries = 7 WHERE user_id = t.id(1);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
SET LOCAL studio_engine.maintenance = on;
DELETE FROM credit_accounts WHERE user_id = t.id(3);
SELECT * FROM t.found;
ROLLBACK;

-- holds: two open ones of a job; of a job that ended; of a deleted job
BEGIN;
CALL t.forge(1, 'reserve', -2, 21);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE jobs SET status = 'READY' WHERE id = t.id(21);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(21);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
SET LOCAL studio_engine.maintenance = on;
DELETE FROM jobs WHERE id = t.id(21);
SELECT * FROM t.found;
ROLLBACK;
-- closed twice; closed by too little, by too much; a closing of nothing, of
-- something else than a hold
BEGIN;
CALL t.forge(1, 'reserve', 4, 22, 4);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'reserve', 4, 21, 3);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'reserve', -1, 23);
CALL t.forge(1, 'reserve', 2, 23, 9);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'reserve', 1, 22);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'reserve', 3, 22, 6);
SELECT * FROM t.found;
ROLLBACK;

-- refunds above the charge: by one, of a job that was never charged
BEGIN;
CALL t.forge(1, 'refund', 3, 22);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'refund', 2, 22);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'refund', 1, 21);
SELECT * FROM t.found;
ROLLBACK;
-- reversals: above the purchase, to the last, reinstated above what is reversed
BEGIN;
CALL t.forge(1, 'purchase', -15, NULL, 2);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'purchase', -14, NULL, 2);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'purchase', 7, NULL, 2);
SELECT * FROM t.found;
ROLLBACK;
-- reinstated: more or less than the reversal took, by the key of another payment's, of nothing; without a key, as before there
-- were keys, it is all that was reversed, and nothing stands after it; a reversal that is gone
CALL t.as_admin();
CREATE PROCEDURE t.reinstate(p_amount integer, p_no integer, p_key text DEFAULT NULL)
LANGUAGE sql SET studio_engine.maintenance = on AS $$
  CALL t.forge(1, 'purchase', p_amount, NULL, p_no);
  UPDATE public.credit_ledger l SET idempotency_key = p_key
   WHERE l.user_id = t.id(1) AND l.entry_no = (SELECT a.entries FROM public.credit_accounts a WHERE a.user_id = t.id(1));
$$;
CREATE FUNCTION t.tie(p_key text) RETURNS text
LANGUAGE sql AS $$ SELECT 'reinstates:' || id FROM public.credit_ledger WHERE idempotency_key = p_key $$;
BEGIN;
SELECT purchase_credits(t.id(1), 50, 'pi_2') IS NOT NULL AS bought, purchase_credits(t.id(1), 50, 'pi_3') IS NOT NULL AS bought,
       reverse_purchase('pi_2', 20, NULL, 're_2'), reverse_purchase('pi_2', 30, NULL, 'dp_2'), reverse_purchase('pi_3', 30, NULL, 'dp_3');
SELECT * FROM t.found;
SAVEPOINT reversed;
CALL t.reinstate(50, 9, t.tie('dp_2'));
SELECT * FROM t.found;
ROLLBACK TO reversed;
CALL t.reinstate(29, 9, t.tie('dp_2'));
SELECT * FROM t.found;
ROLLBACK TO reversed;
CALL t.reinstate(30, 9, t.tie('dp_3'));
SELECT * FROM t.found;
ROLLBACK TO reversed;
CALL t.reinstate(50, 9, 'somebody''s');
SELECT * FROM t.found;
ROLLBACK TO reversed;
CALL t.reinstate(30, 9);
SELECT * FROM t.found;
ROLLBACK TO reversed;
CALL t.reinstate(50, 9);
SELECT * FROM t.found;
CALL t.reinstate(30, 9, t.tie('dp_2'));
SELECT * FROM t.found;
ROLLBACK TO reversed;
CALL t.reinstate(30, 9, t.tie('dp_2'));
SELECT * FROM t.found;
SET LOCAL studio_engine.maintenance = on;
DELETE FROM credit_ledger WHERE idempotency_key = 'dp_2';
SELECT * FROM t.found WHERE problem LIKE '%reversal%';
ROLLBACK;
DROP PROCEDURE t.reinstate;
DROP FUNCTION t.tie;
-- expiries: above the lot, of something that never expires
BEGIN;
CALL t.forge(2, 'grant', 9);
CALL t.forge(2, 'expire', -1, NULL, 2);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'expire', -1, NULL, 1);
SELECT * FROM t.found;
ROLLBACK;
-- below zero without a reversal; after one it may be
BEGIN;
CALL t.forge(3, 'usage', -11);
SELECT * FROM t.found;
ROLLBACK;
BEGIN;
CALL t.forge(1, 'usage', -20);
SELECT * FROM t.found;
ROLLBACK;

-- of one user; of nobody; for services only
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_accounts SET balance = balance + 1;
SELECT t.n(user_id), problem, expected, actual FROM verify_credit_ledger(t.id(2));
SELECT count(*) FROM verify_credit_ledger(t.id(99));
SELECT count(*) FROM verify_credit_ledger();
SELECT count(*) FROM verify_credit_ledger(NULL);
ROLLBACK;
CALL t.as_role('service_role');
SELECT count(*) FROM verify_credit_ledger();
CALL t.as_user(t.id(1));
SELECT t.ask('SELECT count(*) FROM verify_credit_ledger(t.id(1))');
CALL t.as_admin();
SELECT * FROM t.found;
SELECT * FROM t.clean();

-- the hash chain: off, on, off, on
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.job(11, 21);
CALL t.job(11, 22);
SELECT count(*) AS hashes FROM studio_engine.ledger_hashes;
UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain';
CALL t.sign_up(3);
SELECT grant_credits(t.id(1), 5, 'two', 'key', '2999-01-01'), purchase_credits(t.id(1), 5, 'pi_1') \g /dev/null
SELECT reserve_credits(t.id(1), t.id(21), 3), settle_credits(t.id(21), 2), reverse_purchase('pi_1', 1), reserve_credits(t.id(1), t.id(22), 3);
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(1), 'usage', -1, 'plain'), (t.id(3), 'usage', -1, 'plain');
UPDATE studio_engine.settings SET value = '0' WHERE name = 'ledger_hash_chain';
SELECT grant_credits(t.id(1), 1, 'without a hash'), grant_credits(t.id(2), 1) \g /dev/null
UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain';
SELECT grant_credits(t.id(1), 1, 'the chain goes on'), grant_credits(t.id(1), 1), grant_credits(t.id(2), 1) \g /dev/null
SELECT t.n(user_id) AS "user", array_agg(entry_no ORDER BY entry_no) AS hashed FROM studio_engine.ledger_hashes GROUP BY user_id ORDER BY 1;
SELECT * FROM t.found;
-- an edit names its entry, and it alone, whatever was edited
CREATE FUNCTION t.edited(p_set text, p_no integer) RETURNS text
LANGUAGE plpgsql SET studio_engine.maintenance = on AS $$
DECLARE
  v_found text;
BEGIN
  EXECUTE format('UPDATE public.credit_ledger SET %s WHERE user_id = t.id(1) AND entry_no = %s', p_set, p_no);
  SELECT string_agg(concat_ws(' ', problem, no), ', ' ORDER BY no) INTO v_found FROM t.found WHERE problem = 'hash of entry';
  RAISE EXCEPTION USING ERRCODE = 'TT000', MESSAGE = coalesce(v_found, 'nothing found');
EXCEPTION WHEN SQLSTATE 'TT000' THEN
  RETURN SQLERRM;
END
$$;
SELECT e.edit, t.edited(e.edit, e.no) FROM (VALUES
  (1, 'note = note', 2), (2, 'note = ''x''', 2), (3, 'note = NULL', 2), (4, 'amount = amount + 1', 2), (5, 'balance_after = 0', 2),
  (6, 'type = ''purchase''', 2), (7, 'idempotency_key = ''other''', 2), (8, 'idempotency_key = NULL', 2),
  (9, 'expires_at = NULL', 2), (10, 'expires_at = expires_at + INTERVAL ''1 microsecond''', 2),
  (11, 'created_at = created_at - INTERVAL ''1 microsecond''', 2), (12, 'stripe_payment_id = ''pi_2''', 3),
  (13, 'reverses = NULL', 5), (14, 'id = t.id(900)', 8), (15, 'user_id = t.id(2), entry_no = 9', 9),
  (16, 'note = ''x''', 10), (17, 'note = ''x''', 11), (18, 'note = ''x''', 12)) e (nr, edit, no) ORDER BY e.nr;
-- edits without a trace elsewhere: the note says nothing about sums
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET note = 'x' WHERE user_id = t.id(1) AND entry_no IN (3, 8);
SELECT "user", problem, no FROM t.found;
SELECT count(*) FROM verify_credit_ledger(t.id(3));
ROLLBACK;
-- the last entries are missing, and account and numbers agree
BEGIN;
SET LOCAL studio_engine.maintenance = on;
DELETE FROM credit_ledger WHERE user_id = t.id(3) AND entry_no = 2;
UPDATE credit_accounts SET balance = 10, entries = 1 WHERE user_id = t.id(3);
SELECT "user", problem, no FROM t.found;
ROLLBACK;
-- a deleted job is no edit; the chain of a deleted user is deleted with him
DELETE FROM jobs WHERE id = t.id(22);
DELETE FROM projects WHERE id = t.id(11);
SELECT * FROM t.found;
DELETE FROM auth.users WHERE id = t.id(1);
SELECT t.n(user_id) AS "user", count(*) AS hashed FROM studio_engine.ledger_hashes GROUP BY user_id ORDER BY 1;
SELECT * FROM t.found;
-- entries of a plain INSERT of many rows, with a sweep between them
BEGIN;
INSERT INTO credit_ledger (user_id, type, amount, note) SELECT t.id(3), 'grant', 1, 'row ' || n FROM generate_series(1, 5) n;
SELECT * FROM t.found;
INSERT INTO credit_ledger (user_id, type, amount, expires_at) VALUES (t.id(3), 'grant', 5, clock_timestamp() + INTERVAL '0.1 second');
SELECT pg_sleep(0.15);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(3), 'grant', 1), (t.id(3), 'usage', -1), (t.id(3), 'usage', -1);
SELECT type, amount FROM t.entries WHERE "user" = '3' AND no > 7;
SELECT "user", problem, no FROM t.found;
ROLLBACK;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'ledger_hash_chain';
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- sweep_stale_holds: never a hold of a job that can still be settled
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.project(2, 12);
CREATE TABLE t.statuses AS
SELECT s AS status, (100 + row_number() OVER (ORDER BY s))::integer AS job
  FROM unnest(enum_range(NULL::job_status)) s WHERE s NOT IN ('READY', 'FAILED');
SELECT purchase_credits(t.id(1), 100, 'pi_1') \g /dev/null
DO $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT * FROM t.statuses LOOP
    CALL t.job(11, r.job, r.status::text);
    PERFORM reserve_credits(t.id(1), t.id(r.job), 1);
  END LOOP;
END
$$;
SELECT count(*) AS holds_of_live_jobs, count(DISTINCT status) AS statuses FROM jobs;
CALL t.job(11, 31);
CALL t.job(11, 32);
CALL t.job(11, 33);
CALL t.job(12, 34);
CALL t.job(12, 35);
SELECT reserve_credits(t.id(1), t.id(31), 2), reserve_credits(t.id(1), t.id(32), 3), reserve_credits(t.id(1), t.id(33), 4),
       reserve_credits(t.id(2), t.id(34), 5), reserve_credits(t.id(2), t.id(35), 1);
SELECT t.quiet('SELECT sweep_stale_holds()') AS none_is_stale;
-- as data that was changed with the triggers off
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(31);
UPDATE jobs SET status = 'READY' WHERE id = t.id(32);
DELETE FROM jobs WHERE id IN (t.id(33), t.id(34));
COMMIT;
SELECT "user", problem, no FROM t.found;
CALL t.as_role('service_role');
SELECT t.quiet('SELECT sweep_stale_holds(NULL)');
SELECT t.quiet('SELECT sweep_stale_holds(0)');
SELECT t.quiet('SELECT sweep_stale_holds(-1)');
SELECT t.quiet('SELECT sweep_stale_holds(100001)');
SELECT t.quiet('SELECT sweep_stale_holds(3)') AS three;
SELECT t.quiet('SELECT sweep_stale_holds(3)') AS one;
SELECT t.quiet('SELECT sweep_stale_holds()') AS none_left;
CALL t.as_user(t.id(1));
SELECT t.ask('SELECT sweep_stale_holds()') AS as_user;
CALL t.as_admin();
SELECT "user", type, amount, job, of_no FROM t.entries WHERE amount > 0 AND type = 'reserve';
SELECT * FROM t.accounts;
SELECT count(*) FROM t.entries e JOIN t.statuses s ON e.job = s.job::text WHERE amount > 0;
SELECT * FROM t.found;
SELECT * FROM t.books();
-- a late settlement finds the hold closed; a job that has not ended is settled
SELECT t.quiet('SELECT settle_credits(t.id(32), 3)') AS too_late;
SELECT t.quiet('SELECT settle_credits(t.id(32))') AS too_late;
SELECT t.quiet('SELECT release_credits(t.id(31))') AS released_already;
SELECT t.quiet('SELECT settle_credits(t.id(35), 1)') AS in_time;
SELECT string_agg(settle_credits(t.id(job), 1)::text, '') AS in_time FROM t.statuses;
DROP TABLE t.statuses;
SELECT * FROM t.clean();
-- what a stale hold returns to an expired lot expires
CALL t.sign_up(1);
CALL t.project(1, 11);
CALL t.job(11, 31);
CALL t.job(11, 32);
SELECT grant_credits(t.id(1), 5, NULL, NULL, '2999-01-01') \g /dev/null
SELECT reserve_credits(t.id(1), t.id(31), 2), reserve_credits(t.id(1), t.id(32), 3);
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(31);
DELETE FROM jobs WHERE id = t.id(32);
COMMIT;
CALL t.expire(1);
SELECT t.quiet('SELECT sweep_stale_holds()');
SELECT type, amount, balance, job, of_no FROM t.entries WHERE no > 4;
SELECT * FROM t.found;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- get_credit_summary
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.job(11, 21);
CALL t.job(11, 22);
SELECT get_credit_summary(t.id(2)) AS new, get_credit_summary(t.id(99)) = jsonb_build_object('balance', 0, 'reserved', 0, 'spendable', 0,
  'lifetime_purchased', 0, 'lifetime_granted', 0, 'lifetime_used', 0, 'expiring_in_7_days', 0, 'next_expiry', NULL) AS of_nobody;
SELECT t.ask('SELECT get_credit_summary(NULL)');
SELECT purchase_credits(t.id(1), 20, 'pi_1'), subscription_credits(t.id(1), 30, 'in_1', NULL, now() + INTERVAL '8 days'),
       grant_credits(t.id(1), 5, NULL, NULL, now() + INTERVAL '6 days 23 hours'),
       grant_credits(t.id(1), 4, NULL, NULL, now() + INTERVAL '3 days'),
       grant_credits(t.id(1), 1, NULL, NULL, now() + INTERVAL '2 days') \g /dev/null
SELECT reverse_purchase('pi_1', 6), reverse_purchase('in_1', 2), reinstate_purchase('in_1');
SELECT get_credit_summary(t.id(1)) - 'next_expiry' AS summary;
-- the first lot is used up, of the next 2 are held and 1 is charged
SELECT reserve_credits(t.id(1), t.id(21), 2), settle_credits(t.id(21), 2), reserve_credits(t.id(1), t.id(22), 2), refund_credits(t.id(21), 1);
SELECT get_credit_summary(t.id(1)) - 'next_expiry' AS summary,
       (get_credit_summary(t.id(1)) ->> 'next_expiry')::timestamptz = (SELECT max(expires_at) FROM credit_ledger WHERE user_id = t.id(1) AND amount = 4)
         AS second_lot_is_next;
SELECT get_credit_balance(t.id(1)) = (get_credit_summary(t.id(1)) ->> 'balance')::integer AS same_balance;
-- 3 days and a half later one credit of the second lot has expired: it is in
-- the balance until it is swept, but cannot be spent; the lot of 30 comes near
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET expires_at = expires_at - INTERVAL '3 days 12 hours';
UPDATE studio_engine.expiring_credits SET expires_at = expires_at - INTERVAL '3 days 12 hours';
SELECT get_credit_summary(t.id(1)) - 'next_expiry' AS summary;
SET LOCAL studio_engine.maintenance = off;
SELECT expire_credits();
SELECT get_credit_summary(t.id(1)) - 'next_expiry' AS summary;
ROLLBACK;
-- the user himself or a service, as ever; what he may read is what he gets
CALL t.as_user(t.id(1));
SELECT t.quiet('SELECT get_credit_summary(t.id(1)) ->> ''balance''') AS mine;
SELECT t.quiet('SELECT get_credit_summary(t.id(2))') AS not_mine;
SELECT t.quiet('SELECT get_credit_summary(t.id(99))') AS nobody;
SELECT t.ask('SELECT get_credit_summary(NULL)');
CALL t.as_role('anon');
SELECT t.ask('SELECT get_credit_summary(t.id(1))');
CALL t.as_role('service_role');
SELECT t.ask('SELECT get_credit_summary(t.id(1)) ->> ''balance''') AS of_anybody;
CALL t.as_admin();
SELECT * FROM t.found;
SELECT * FROM t.books();

DROP FUNCTION t.edited;
DROP PROCEDURE t.forge;
DROP VIEW t.entries, t.found;
SELECT * FROM t.clean();
