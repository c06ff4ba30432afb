-- 270_limits.sql
--
-- Integer overflow and a long history: whatever is in the ledger already, later
-- calls work.
-- Pitfall: the many entries are not made by one plain INSERT.  Each of them
-- would walk over all the versions of the account that the transaction made.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- a balance of 2147483647: nothing more comes in, everything else goes on
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.job(11, 21);
CALL t.job(11, 22);
CALL t.job(11, 23, 'PACKAGING');
CALL t.job(11, 24);
SELECT purchase_credits(t.id(1), 7, 'pi_7') IS NOT NULL AS bought;
SELECT reserve_credits(t.id(1), t.id(21), 7), settle_credits(t.id(21), 6), reverse_purchase('pi_7', 1);
SELECT grant_credits(t.id(1), 2147483647 - 10, 'all there is', 'max', '2999-01-01') AS lot \gset
CALL t.as_role('service_role');
SELECT get_credit_balance(t.id(1));
SELECT t.quiet('SELECT grant_credits(t.id(1), 1)') AS no_room;
SELECT t.quiet('SELECT grant_credits(t.id(1), 2147483647)') AS no_room;
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 1, 'pi_8')$$) AS no_room;
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 1, 'in_8')$$) AS no_room;
SELECT t.quiet('SELECT refund_credits(t.id(21), 1)') AS no_room;
SELECT t.quiet($$SELECT reinstate_purchase('pi_7')$$) AS no_room;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'grant', 1) RETURNING 1$$) AS no_room;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 2147483647 - 10, NULL, 'max', '2999-01-01')$$) AS replay;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(22), 2147483647)') AS all_of_it;
SELECT t.quiet('SELECT grant_credits(t.id(1), 1)') AS no_room_for_what_is_held;
SELECT get_credit_summary(t.id(1));
SELECT t.quiet('SELECT release_credits(t.id(22))') AS all_of_it;
SELECT t.quiet('SELECT reserve_credits(t.id(1), t.id(23), 2147483647)') AS all_of_it;
SELECT t.quiet($$SELECT settle_credits(t.id(23), 2147483646)$$) AS but_one;
SELECT t.quiet('SELECT refund_credits(t.id(23), 2147483646)') AS all_of_it;
SELECT get_credit_summary(t.id(1));
SELECT t.quiet('SELECT expire_credits()'), t.quiet('SELECT sweep_stale_holds()');
SELECT count(*) AS problems FROM verify_credit_ledger();
CALL t.as_admin();

-- the largest lot expires, whole and in two parts
CREATE PROCEDURE t.lapse(p_user integer)
LANGUAGE sql SET studio_engine.maintenance = on AS $$
  UPDATE public.credit_ledger SET expires_at = expires_at - INTERVAL '1000 years' WHERE user_id = t.id(p_user) AND expires_at > now();
  UPDATE studio_engine.expiring_credits SET expires_at = expires_at - INTERVAL '1000 years' WHERE user_id = t.id(p_user) AND expires_at > now();
$$;
CALL t.project(2, 12);
CALL t.job(12, 31);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(2), 'usage', -10);
SELECT purchase_credits(t.id(2), 2147483647, 'pi_lot', NULL, '2999-01-01') IS NOT NULL AS bought;
SELECT reserve_credits(t.id(2), t.id(31), 2147483646);
CALL t.lapse(2);
SELECT expire_credits();
SELECT t.quiet('SELECT release_credits(t.id(31))');
SELECT purchase_credits(t.id(2), 2147483647, 'pi_lot_2', NULL, '2999-01-01') IS NOT NULL AS bought;
CALL t.lapse(2);
SELECT t.quiet('SELECT reserve_credits(t.id(2), t.id(31), 1)') AS all_expired;
SELECT expire_credits();
SELECT reverse_purchase('pi_lot_2'), reinstate_purchase('pi_lot_2');
SELECT type, amount, balance FROM t.ledger WHERE "user" = '2' AND no > 2;
SELECT * FROM t.books();

-- sums beyond integer: of a user, and of one job, which still ends
CALL t.sign_up(3);
CALL t.project(3, 13);
CALL t.job(13, 41, 'PACKAGING');
CALL t.job(13, 42, 'PACKAGING');
SELECT reserve_credits(t.id(3), t.id(41), 10), settle_credits(t.id(41), 10);
INSERT INTO credit_ledger (user_id, type, amount, job_id)
SELECT t.id(3), CASE n % 2 WHEN 1 THEN 'grant' ELSE 'usage' END, 2147483647 * CASE n % 2 WHEN 1 THEN 1 ELSE -1 END, t.id(42)
  FROM generate_series(1, 10) n;
SELECT get_credit_summary(t.id(3));
SELECT t.quiet('SELECT refund_credits(t.id(42), 2147483647)') AS refunded;
SELECT t.quiet('SELECT reserve_credits(t.id(3), t.id(42), 2147483647)') AS held;
SELECT t.quiet('SELECT settle_credits(t.id(42), 2147483647)') AS charged;
SELECT t.quiet('UPDATE jobs SET status = ''READY'' WHERE id = t.id(42) RETURNING status') AS ended;
-- the same job after a hold, which counts what was charged since; what it cost
-- in all is beyond an integer, and may be refused, but never be another number
DO $$
BEGIN
  FOR i IN 1..3 LOOP
    PERFORM grant_credits(t.id(3), 2147483647);
    BEGIN
      INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(3), 'usage', -2147483647, t.id(41));
    EXCEPTION WHEN numeric_value_out_of_range THEN
      INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(3), 'usage', -2147483647);
    END;
  END LOOP;
END
$$;
SELECT cost_credits_final >= 10 AS final_is_no_nonsense FROM jobs WHERE id = t.id(41);
SELECT t.quiet('SELECT refund_credits(t.id(41), 10)') AS refunded;
SELECT t.quiet('UPDATE jobs SET status = ''FAILED'' WHERE id = t.id(41) RETURNING status') AS ended;
SELECT t.try('DELETE FROM jobs WHERE id = t.id(41)') AS deleted;
SELECT * FROM verify_credit_ledger(t.id(3));
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- 100,000 entries of one user, and credit that expires among them
CALL t.sign_up(1);
CALL t.project(1, 11);
CALL t.job(11, 21);
CALL t.job(11, 22);
CALL t.job(11, 23);
CALL t.job(11, 24);
SELECT grant_credits(t.id(1), 500, NULL, NULL, '2999-01-01') \g /dev/null
SELECT reserve_credits(t.id(1), t.id(21), 100);
-- 90,000 as a dump brings them, which verify_credit_ledger() judges below
BEGIN;
SET LOCAL studio_engine.maintenance = on;
INSERT INTO credit_ledger (user_id, type, amount, balance_after, entry_no)
SELECT t.id(1), CASE n % 2 WHEN 1 THEN 'grant' ELSE 'usage' END, CASE n % 2 WHEN 1 THEN 2 ELSE -2 END, 410 + n % 2 * 2, 3 + n
  FROM generate_series(1, 90000) n;
UPDATE credit_accounts SET entries = entries + 90000 WHERE user_id = t.id(1);
COMMIT;
-- 10,000 by plain SQL, in transactions of 500
DO $$
BEGIN
  FOR i IN 1..20 LOOP
    INSERT INTO credit_ledger (user_id, type, amount)
    SELECT t.id(1), CASE n % 2 WHEN 1 THEN 'grant' ELSE 'usage' END, CASE n % 2 WHEN 1 THEN 2 ELSE -2 END
      FROM generate_series(1, 500) n;
    COMMIT;
  END LOOP;
END
$$;
SELECT grant_credits(t.id(1), 50, NULL, NULL, '2999-02-01') \g /dev/null
SELECT * FROM t.accounts;
-- every usage consumed the lot that expires: 200 pairs used up the 400 left of it
CALL t.lapse(1);
SELECT get_credit_summary(t.id(1)) - 'next_expiry' AS summary;
SELECT reserve_credits(t.id(1), t.id(22), 100000) AS more_than_there_is;
SELECT reserve_credits(t.id(1), t.id(22), 410) AS all_that_has_not_expired;
SELECT settle_credits(t.id(21), 40) AS back_to_an_expired_lot;
SELECT type, amount, balance FROM t.ledger WHERE no > 100003;
SELECT release_credits(t.id(22));
SELECT refund_credits(t.id(21), 40);
SELECT purchase_credits(t.id(1), 5, 'pi_1') IS NOT NULL AS bought, reverse_purchase('pi_1'), reinstate_purchase('pi_1');
SELECT expire_credits(), sweep_stale_holds();
SELECT * FROM t.accounts;
SELECT count(*) AS problems FROM verify_credit_ledger();
SELECT * FROM t.books();
DROP PROCEDURE t.lapse;
SELECT * FROM t.clean();
