-- 240_credit_lots.sql
--
-- Credit that expires: which lot is consumed first, what expires, that expired
-- credit cannot be spent before it is swept, and what returns to a lot that has
-- expired meanwhile.
-- Pitfall: a test that races the clock fails on a slow machine.  So lots get a
-- distant expiry, and t.lapse() moves it into the past, in the ledger and in
-- expiring_credits; one test only waits for the clock.

\set VERBOSITY terse
\set SHOW_CONTEXT never

-- how much is left in which lot is seen in what expires: of_no is its number
CREATE VIEW t.entries AS
SELECT t.n(l.user_id) AS "user", l.entry_no AS no, l.type, l.amount, l.balance_after AS balance,
       t.n(l.job_id) AS job, r.entry_no AS of_no
  FROM credit_ledger l LEFT JOIN credit_ledger r ON r.id = l.reverses
 ORDER BY l.user_id, l.entry_no;
CREATE VIEW t.watched AS
SELECT t.n(e.user_id) AS "user", l.entry_no AS no, e.held_back
  FROM studio_engine.expiring_credits e LEFT JOIN credit_ledger l ON l.id = e.entry_id
 ORDER BY e.user_id, l.entry_no;
-- years later, for the lots of a user; the ledger stays valid
CREATE PROCEDURE t.lapse(p_user integer)
LANGUAGE sql SET studio_engine.maintenance = on AS $$
  UPDATE public.credit_ledger SET expires_at = expires_at - INTERVAL '10 years'
   WHERE user_id = t.id(p_user) AND expires_at > now();
  UPDATE studio_engine.expiring_credits SET expires_at = expires_at - INTERVAL '10 years'
   WHERE user_id = t.id(p_user) AND expires_at > now();
$$;
-- credit that expires in p_days
CREATE PROCEDURE t.lot(p_user integer, p_amount integer, p_days integer)
LANGUAGE sql AS $$
  SELECT grant_credits(t.id(p_user), p_amount, NULL, NULL, date_trunc('day', now()) + make_interval(days => p_days));
$$;
CREATE PROCEDURE t.paid_lot(p_user integer, p_amount integer, p_payment text, p_days integer)
LANGUAGE sql AS $$
  SELECT purchase_credits(t.id(p_user), p_amount, p_payment, NULL, date_trunc('day', now()) + make_interval(days => p_days));
$$;
-- a user with a project and jobs: user 3 has project 31 and jobs 301 to 303
CREATE PROCEDURE t.start(p_user integer)
LANGUAGE plpgsql AS $$
BEGIN
  CALL t.sign_up(p_user);
  CALL t.project(p_user, p_user * 10 + 1);
  FOR i IN 1..3 LOOP
    CALL t.job(p_user * 10 + 1, p_user * 100 + i, 'PACKAGING');
  END LOOP;
END
$$;
-- no user of the tests before had any
SELECT * FROM t.watched;

-- the burn-down order: earliest expiry, then none; of the same expiry the
-- older; 7 of 32 are 5 of the third entry and 2 of the fourth
CALL t.start(1);
CALL t.lot(1, 5, 3);
CALL t.lot(1, 5, 1);
CALL t.lot(1, 5, 1);
CALL t.lot(1, 5, 2);
SELECT grant_credits(t.id(1), 2) \g /dev/null
SELECT reserve_credits(t.id(1), t.id(101), 7);
SELECT * FROM t.watched;
SELECT t.quiet('SELECT expire_credits()') AS nothing_has_expired;
CALL t.lapse(1);
SELECT t.quiet('SELECT expire_credits()') AS four_lots_one_of_them_used_up;
SELECT * FROM t.entries WHERE "user" = '1';
SELECT * FROM t.watched;
SELECT t.quiet('SELECT expire_credits()') AS again;
-- the hold is open; what it charges is not returned and does not expire
SELECT t.quiet('SELECT settle_credits(t.id(101))');
SELECT * FROM t.entries WHERE "user" = '1' AND no > 10;
SELECT * FROM t.watched;
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();

-- usage by plain SQL consumes in the same order, over the end of a lot
CALL t.start(2);
CALL t.lot(2, 6, 2);
CALL t.lot(2, 6, 1);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(2), 'usage', -2), (t.id(2), 'usage', -5);
CALL t.lapse(2);
SELECT expire_credits();
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(2), 'usage', -10);
SELECT * FROM t.entries WHERE "user" = '2';
SELECT * FROM t.watched;
SELECT * FROM t.books();

-- expired and not swept: FALSE writes nothing, TRUE sweeps first
CALL t.start(3);
CALL t.lot(3, 5, 1);
SELECT t.quiet('SELECT reserve_credits(t.id(3), t.id(301), 3)') AS before_it_expired;
CALL t.lapse(3);
SELECT get_credit_summary(t.id(3)) - 'next_expiry' AS summary;
SELECT t.quiet('SELECT reserve_credits(t.id(3), t.id(301), 3)') AS repeated;
SELECT t.quiet('SELECT reserve_credits(t.id(3), t.id(302), 11)') AS one_too_much;
SELECT t.quiet('SELECT create_job(t.id(31), 11)') AS one_too_much;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(3), 'usage', -11) RETURNING 1$$) AS one_too_much;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(3), 'reserve', -11, t.id(302)) RETURNING 1$$) AS one_too_much;
SELECT t.quiet($$SELECT settle_credits(t.id(301), 14, 'charge')$$) AS one_too_much;
SELECT t.quiet('SELECT count(*) FROM studio_engine.expiring_credits WHERE NOT held_back') AS still_to_be_swept;
SELECT t.quiet('SELECT reserve_credits(t.id(3), t.id(302), 10)') AS all_there_is;
SELECT * FROM t.entries WHERE "user" = '3';
SELECT * FROM t.books();

-- each way of taking credit does so
CALL t.start(4);
CALL t.lot(4, 5, 1);
CALL t.lapse(4);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(4), 'usage', -10);
SELECT * FROM t.entries WHERE "user" = '4';
CALL t.start(5);
CALL t.lot(5, 5, 1);
CALL t.lapse(5);
INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(5), 'reserve', -10, t.id(501));
SELECT * FROM t.entries WHERE "user" = '5';
-- a price above the hold is paid with credit that has not expired
CALL t.start(6);
SELECT reserve_credits(t.id(6), t.id(601), 4);
CALL t.lot(6, 5, 1);
CALL t.lapse(6);
SELECT t.quiet($$SELECT settle_credits(t.id(601), 11, 'charge')$$) AS one_too_much;
SELECT t.quiet($$SELECT settle_credits(t.id(601), 10, 'charge')$$) AS all_there_is;
SELECT t.quiet($$SELECT settle_credits(t.id(601), 10, 'charge')$$) AS again;
SELECT * FROM t.entries WHERE "user" = '6';
-- create_job and retry_job: PT402, or the sweep and the hold
CALL t.start(7);
CALL t.lot(7, 5, 1);
SELECT reserve_credits(t.id(7), t.id(701), 12);
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(701);
CALL t.lapse(7);
SELECT t.quiet('SELECT create_job(t.id(71), 11)') AS too_much;
SELECT t.quiet('SELECT retry_job(t.id(701))') AS too_much;
SELECT count(*) AS jobs FROM jobs WHERE user_id = t.id(7);
SELECT t.quiet('SELECT length(create_job(t.id(71), 10)::text)') AS all_there_is;
SELECT * FROM t.entries WHERE "user" = '7';
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();
SELECT * FROM t.watched;

-- expired while it was held: what returns expires in the same statement
-- 12 are held, 5 of them from the lot; the lot is held back, and not swept again
CREATE PROCEDURE t.hold_and_lapse(p_user integer)
LANGUAGE plpgsql AS $$
BEGIN
  CALL t.start(p_user);
  CALL t.lot(p_user, 5, 1);
  PERFORM reserve_credits(t.id(p_user), t.id(p_user * 100 + 1), 12);
  CALL t.lapse(p_user);
END
$$;
CALL t.hold_and_lapse(11);
SELECT t.quiet('SELECT expire_credits()') AS nothing_left_to_expire;
SELECT * FROM t.watched;
SELECT t.quiet('SELECT release_credits(t.id(1101))');
SELECT * FROM t.entries WHERE "user" = '11';
SELECT * FROM t.watched;
-- a part of the lot is held
CALL t.start(12);
CALL t.lot(12, 5, 1);
SELECT reserve_credits(t.id(12), t.id(1201), 3);
CALL t.lapse(12);
SELECT t.quiet('SELECT expire_credits()') AS the_part_that_is_left;
SELECT * FROM t.watched;
SELECT t.quiet('SELECT expire_credits()') AS again;
SELECT t.quiet('SELECT settle_credits(t.id(1201), 1)') AS the_rest_expires;
SELECT * FROM t.entries WHERE "user" = '12';
SELECT * FROM t.watched;
-- a settlement uses what returned before it expires; the price is above the part
-- of the lot
CALL t.hold_and_lapse(13);
SELECT t.quiet('SELECT settle_credits(t.id(1301), 6)') AS used_up;
SELECT * FROM t.entries WHERE "user" = '13';
SELECT * FROM t.watched;
-- two holds of one lot: the second returns later
CALL t.start(14);
CALL t.lot(14, 5, 1);
SELECT reserve_credits(t.id(14), t.id(1401), 2), reserve_credits(t.id(14), t.id(1402), 3);
CALL t.lapse(14);
SELECT expire_credits();
SELECT release_credits(t.id(1401));
SELECT * FROM t.watched;
SELECT release_credits(t.id(1402));
SELECT * FROM t.entries WHERE "user" = '14';
SELECT * FROM t.watched;
-- by the end of the job, and by its deletion
CALL t.hold_and_lapse(15);
SELECT t.quiet('SELECT fail_job(t.id(1501)) ->> ''status''') AS failed;
CALL t.hold_and_lapse(16);
UPDATE jobs SET status = 'READY', cost_credits_final = 2 WHERE id = t.id(1601);
CALL t.hold_and_lapse(17);
DELETE FROM jobs WHERE id = t.id(1701);
CALL t.hold_and_lapse(18);
DELETE FROM projects WHERE id = t.id(181);
CALL t.hold_and_lapse(19);
INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(19), 'reserve', 12, t.id(1901));
CALL t.hold_and_lapse(20);
SELECT t.quiet('SELECT cancel_job(t.id(2001)) ->> ''status''') AS cancelled;
SELECT * FROM t.entries WHERE "user"::integer BETWEEN 15 AND 20 AND no > 3;
SELECT * FROM t.watched;
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();

-- when credit may expire: a finite time in the future
CALL t.as_role('service_role');
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, NULL, NULL, now() - INTERVAL '1 second')$$) AS past;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, NULL, NULL, now())$$) AS now;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, NULL, NULL, 'infinity')$$) AS infinite;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 1, NULL, NULL, '-infinity')$$) AS infinite;
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 1, 'pi_x', NULL, 'infinity')$$) AS infinite;
SELECT t.quiet($$SELECT subscription_credits(t.id(1), 1, 'pi_x', NULL, 'infinity')$$) AS infinite;
CALL t.as_admin();
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, expires_at) VALUES (t.id(1), 'grant', 1, 'infinity') RETURNING 1$$) AS infinite;
SELECT type, t.quiet(format($$INSERT INTO credit_ledger (user_id, type, amount, job_id, expires_at)
                              VALUES (t.id(1), %L, %s, %s, now() + INTERVAL '1 day') RETURNING 1$$, type, amount, job)) AS cannot_expire
  FROM (VALUES ('refund', 1, 'NULL'), ('usage', -1, 'NULL'), ('expire', -1, 'NULL'), ('reserve', -1, 't.id(102)')) v (type, amount, job);
-- NULL is never; by plain SQL too; as distant as a timestamp can be
CALL t.start(21);
SELECT t.quiet($$SELECT grant_credits(t.id(21), 1, NULL, NULL, NULL)$$) AS never;
SELECT * FROM t.watched;
SELECT t.quiet($$SELECT grant_credits(t.id(21), 2, NULL, NULL, '9999-12-31')$$) AS one_day;
INSERT INTO credit_ledger (user_id, type, amount, expires_at) VALUES
  (t.id(21), 'grant', 3, now() + INTERVAL '1 day'), (t.id(21), 'purchase', 4, now() + INTERVAL '1 day'),
  (t.id(21), 'subscription', 5, now() + INTERVAL '2 days'), (t.id(21), 'grant', 6, NULL);
SELECT * FROM t.watched;
CALL t.lapse(21);
SELECT expire_credits();
SELECT type, amount, of_no FROM t.entries WHERE "user" = '21' AND type = 'expire' ORDER BY of_no;
SELECT * FROM t.watched;

-- the clock itself; a grant is repeated after its credit has expired
CALL t.start(22);
CREATE FUNCTION t.soon_over(p_call text, OUT soon timestamptz, OUT ids text)
LANGUAGE plpgsql AS $$
DECLARE
  v_wait interval := '0.5 seconds';
BEGIN
  -- longer, if the machine was too slow
  LOOP
    BEGIN
      soon := clock_timestamp() + v_wait;
      EXECUTE p_call INTO ids USING soon;
      EXIT;
    EXCEPTION WHEN invalid_parameter_value THEN
      v_wait := 2 * v_wait;
      ASSERT v_wait < INTERVAL '5 minutes', 'never in time';
    END;
  END LOOP;
  PERFORM pg_sleep_until(soon);
END
$$;
SELECT soon, split_part(ids, ' ', 1) AS first, split_part(ids, ' ', 2) AS paid
  FROM t.soon_over($$SELECT concat_ws(' ', grant_credits(t.id(22), 5, 'first', 'key', $1), purchase_credits(t.id(22), 6, 'pi_22', 'first', $1))$$) \gset
DROP FUNCTION t.soon_over;
SELECT t.quiet(format($$SELECT grant_credits(t.id(22), 5, NULL, 'key', %L) = %L$$, :'soon', :'first')) AS same_id;
SELECT t.quiet(format($$SELECT purchase_credits(t.id(22), 6, 'pi_22', NULL, %L) = %L$$, :'soon', :'paid')) AS same_id;
-- the expiry is not content: who repeats a call may have computed it anew, and the first answer stands
SELECT t.quiet(format($$SELECT grant_credits(t.id(22), 5, NULL, 'key') = %L$$, :'first')) AS same_id_without_expiry;
SELECT t.quiet(format($$SELECT grant_credits(t.id(22), 5, NULL, 'key', now() + INTERVAL '1 day') = %L$$, :'first')) AS same_id_with_another;
SELECT t.quiet(format($$SELECT purchase_credits(t.id(22), 6, 'pi_22', NULL, now() + INTERVAL '1 month') = %L$$, :'paid')) AS same_id_with_another;
SELECT t.quiet($$SELECT grant_credits(t.id(22), 4, NULL, 'key')$$) AS other_amount;
SELECT t.quiet($$SELECT subscription_credits(t.id(22), 6, 'pi_22')$$) AS other_kind;
SELECT t.quiet(format($$SELECT grant_credits(t.id(22), 5, NULL, 'another key', %L)$$, :'soon')) AS expired_already;
SELECT t.quiet('SELECT reserve_credits(t.id(22), t.id(2201), 11)') AS not_there_any_more;
SELECT expire_credits();
SELECT t.quiet(format($$SELECT grant_credits(t.id(22), 5, NULL, 'key', %L) = %L$$, :'soon', :'first')) AS same_id_when_swept;
SELECT type, amount, of_no FROM t.entries WHERE "user" = '22' AND no > 3 ORDER BY of_no;
SELECT balance FROM t.accounts WHERE "user" = '22';
SELECT * FROM t.books();

-- a payment whose period is over when its event arrives is booked, and expires at once
CALL t.start(44);
CALL t.as_role('service_role');
SELECT t.quiet($$SELECT purchase_credits(t.id(44), 6, 'pi_44', 'late', now() - INTERVAL '1 second') IS NOT NULL$$) AS booked;
SELECT t.quiet($$SELECT subscription_credits(t.id(44), 8, 'in_44', 'late', '2001-01-01') IS NOT NULL$$) AS booked;
SELECT t.quiet($$SELECT subscription_credits(t.id(44), 8, 'in_44', 'late', now() - INTERVAL '1 day') IS NOT NULL$$) AS repeated;
CALL t.as_admin();
SELECT type, amount, balance, of_no FROM t.entries WHERE "user" = '44' ORDER BY no;
SELECT * FROM t.watched WHERE "user" = '44';
SELECT reverse_purchase('pi_44');
SELECT reinstate_purchase('pi_44');
SELECT type, amount, balance, of_no FROM t.entries WHERE "user" = '44' AND no > 5 ORDER BY no;
-- a deficit is covered before the rest expires
CALL t.start(45);
CALL t.paid_lot(45, 20, 'pi_45', 9);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(45), 'usage', -25);
SELECT reverse_purchase('pi_45');
SELECT purchase_credits(t.id(45), 30, 'pi_late', NULL, '2001-01-01') IS NOT NULL AS booked;
SELECT type, amount, balance, of_no FROM t.entries WHERE "user" = '45' ORDER BY no DESC LIMIT 3;
SELECT * FROM t.books();

-- a deficit: what is added covers it first
CALL t.start(23);
CALL t.paid_lot(23, 20, 'pi_23', 9);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(23), 'usage', -25);
SELECT reverse_purchase('pi_23');
CALL t.lot(23, 10, 1);
CALL t.lapse(23);
SELECT t.quiet('SELECT expire_credits()') AS all_of_it_was_needed;
CALL t.lot(23, 10, 1);
CALL t.lapse(23);
SELECT t.quiet('SELECT expire_credits()') AS the_other_half_expires;
SELECT * FROM t.entries WHERE "user" = '23';
SELECT * FROM t.watched;
-- so does what a hold releases
CALL t.start(24);
CALL t.paid_lot(24, 6, 'pi_24', 9);
SELECT reserve_credits(t.id(24), t.id(2401), 4);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(24), 'usage', -12);
SELECT reverse_purchase('pi_24', 3);
CALL t.lapse(24);
SELECT t.quiet('SELECT expire_credits()') AS nothing_left;
SELECT t.quiet('SELECT release_credits(t.id(2401))') AS three_for_the_debt_and_one_expires;
SELECT * FROM t.entries WHERE "user" = '24';
SELECT * FROM t.watched;
SELECT * FROM verify_credit_ledger();

-- a payment is reversed: its own lot first, also where another one expires
-- earlier; then the others; never more expires than is left
CALL t.start(25);
CALL t.lot(25, 5, 1);
CALL t.paid_lot(25, 10, 'pi_25', 2);
SELECT reverse_purchase('pi_25', 3);
CALL t.lapse(25);
SELECT expire_credits();
SELECT type, amount, of_no FROM t.entries WHERE "user" = '25' AND no > 3 ORDER BY type DESC, of_no;
CALL t.start(26);
CALL t.lot(26, 5, 4);
CALL t.paid_lot(26, 10, 'pi_26', 2);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(26), 'usage', -4);
SELECT reverse_purchase('pi_26') AS six_of_its_own_and_four_of_the_grant;
CALL t.lapse(26);
SELECT expire_credits();
SELECT * FROM t.entries WHERE "user" = '26';
-- reversed while a hold has all of the lot: others pay, and the hold returns it
CALL t.start(27);
CALL t.paid_lot(27, 10, 'pi_27', 2);
SELECT reserve_credits(t.id(27), t.id(2701), 10);
SELECT reverse_purchase('pi_27');
SELECT t.quiet('SELECT reserve_credits(t.id(27), t.id(2702), 1)') AS nothing_is_left;
SELECT release_credits(t.id(2701));
CALL t.lapse(27);
SELECT expire_credits();
SELECT * FROM t.entries WHERE "user" = '27';
SELECT * FROM t.watched;

-- reinstated: it returns to the lot of the purchase and expires with it
CALL t.start(28);
CALL t.paid_lot(28, 10, 'pi_28', 2);
SELECT reverse_purchase('pi_28', 4), reinstate_purchase('pi_28');
CALL t.lapse(28);
SELECT expire_credits();
SELECT * FROM t.entries WHERE "user" = '28';
-- the lot has expired meanwhile, not swept yet
CALL t.start(29);
CALL t.paid_lot(29, 10, 'pi_29', 2);
SELECT reverse_purchase('pi_29', 4);
CALL t.lapse(29);
SELECT t.quiet($$SELECT reinstate_purchase('pi_29')$$) AS all_ten_expire;
SELECT * FROM t.entries WHERE "user" = '29';
-- swept already: what was left, then what returned
CALL t.start(30);
CALL t.paid_lot(30, 10, 'pi_30', 2);
SELECT reverse_purchase('pi_30', 4);
CALL t.lapse(30);
SELECT expire_credits();
SELECT t.quiet($$SELECT reinstate_purchase('pi_30')$$) AS four_come_and_expire;
SELECT * FROM t.entries WHERE "user" = '30';
-- one of two reversals, by its key: what it took, and no more; one that came late
CALL t.start(35);
CALL t.paid_lot(35, 10, 'pi_35', 2);
SELECT reverse_purchase('pi_35', 4, NULL, 're_35'), reverse_purchase('pi_35', 3, NULL, 'dp_35'), reinstate_purchase('pi_35', NULL, 'dp_36');
CALL t.lapse(35);
SELECT expire_credits();
SELECT t.quiet($$SELECT reinstate_purchase('pi_35', NULL, 'dp_35')$$) AS three_come_and_expire,
       t.quiet($$SELECT reinstate_purchase('pi_35', NULL, 'dp_35')$$) AS replay,
       t.quiet($$SELECT reverse_purchase('pi_35', 1, NULL, 'dp_36')$$) AS takes_nothing;
SELECT * FROM t.entries WHERE "user" = '35';
-- swept already, when nothing was left
CALL t.start(31);
CALL t.paid_lot(31, 10, 'pi_31', 2);
SELECT reverse_purchase('pi_31');
CALL t.lapse(31);
SELECT expire_credits();
SELECT t.quiet($$SELECT reinstate_purchase('pi_31')$$) AS ten_come_and_expire;
SELECT t.quiet('SELECT reserve_credits(t.id(31), t.id(3101), 11)') AS only_ten_never_expire;
SELECT * FROM t.entries WHERE "user" = '31';
-- it covers the deficit first: of ten, six
CALL t.start(32);
CALL t.paid_lot(32, 10, 'pi_32', 2);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(32), 'usage', -16);
SELECT reverse_purchase('pi_32');
CALL t.lapse(32);
SELECT t.quiet($$SELECT reinstate_purchase('pi_32')$$) AS six_for_the_debt_and_four_expire;
SELECT * FROM t.entries WHERE "user" = '32';
SELECT * FROM t.watched;
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();

-- credit refunded for a job does not expire, whatever the job was paid with
CALL t.start(33);
CALL t.lot(33, 5, 1);
SELECT reserve_credits(t.id(33), t.id(3301), 5), settle_credits(t.id(3301)), refund_credits(t.id(3301), 5);
CALL t.lapse(33);
SELECT t.quiet('SELECT expire_credits()') AS nothing;
SELECT t.quiet('SELECT reserve_credits(t.id(33), t.id(3302), 15)') AS all_of_it_is_there;
SELECT * FROM t.watched;

-- expire_credits: a limit of lots, whole users; one that is held back is not counted
DELETE FROM auth.users;
-- user 44 signs up again with the same address
DELETE FROM studio_engine.welcomed;
SELECT * FROM t.watched;
CALL t.hold_and_lapse(41);
SELECT expire_credits();
CALL t.start(42);
CALL t.lot(42, 1, 2);
CALL t.lot(42, 1, 5);
CALL t.start(43);
CALL t.lot(43, 1, 3);
CALL t.start(44);
CALL t.lot(44, 1, 4);
CALL t.lapse(42);
CALL t.lapse(43);
CALL t.lapse(44);
CALL t.as_role('service_role');
SELECT t.quiet('SELECT expire_credits(NULL)');
SELECT t.quiet('SELECT expire_credits(0)');
SELECT t.quiet('SELECT expire_credits(-1)');
SELECT t.quiet('SELECT expire_credits(100001)');
SELECT t.quiet('SELECT expire_credits(1)') AS both_lots_of_a_user;
SELECT t.quiet('SELECT expire_credits(1)') AS the_next;
SELECT t.quiet('SELECT expire_credits(100000)') AS the_last;
SELECT t.quiet('SELECT expire_credits()') AS nobody;
CALL t.as_user(t.id(42));
SELECT t.quiet('SELECT expire_credits()') AS as_user;
CALL t.as_admin();
SELECT * FROM t.entries WHERE type = 'expire';
SELECT * FROM t.watched;

-- a rollback undoes the sweep; a deleted user leaves no rows
CALL t.lot(42, 7, 1);
CALL t.lapse(42);
BEGIN;
SELECT expire_credits();
ROLLBACK;
SELECT * FROM t.watched;
SELECT expire_credits();
CALL t.lot(42, 7, 1);
DELETE FROM auth.users WHERE id = t.id(41);
SELECT * FROM t.watched;
SELECT * FROM verify_credit_ledger();
SELECT * FROM t.books();

DROP PROCEDURE t.hold_and_lapse, t.start, t.lot, t.paid_lot, t.lapse;
SELECT * FROM t.clean();
SELECT * FROM t.watched;
DROP VIEW t.watched, t.entries;
