-- 210_ledger_plain_sql.sql
--
-- The ledger written by plain SQL, as the seed's clients do: the same entries and
-- rules; and everything that would falsify the ledger, tried by a superuser.
-- Pitfall: an entry is booked on the account before it is stored, so each way
-- of not storing it after all has a case here.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CALL t.sign_up(1, 2, 3);
CALL t.project(1, 11);
CALL t.project(2, 12);
CALL t.job(11, 21);
CALL t.job(11, 22);
CALL t.job(12, 23);
CALL t.job(12, 24, 'READY');

-- one row, many rows, many users, from a query, by COPY; as service_role
CALL t.as_role('service_role');
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(1), 'purchase', 50, 'one row');
INSERT INTO credit_ledger (user_id, type, amount, note, stripe_payment_id) VALUES
  (t.id(2), 'subscription', 20, 'many rows', 'sub_1'), (t.id(1), 'refund', 5, 'many rows', NULL),
  (t.id(2), 'usage', -3, 'many rows', NULL), (t.id(1), 'expire', -1, 'many rows', NULL);
INSERT INTO credit_ledger (user_id, type, amount, note)
SELECT t.id(u), 'grant', a, 'from a query' FROM (VALUES (3, 7), (1, 8), (3, 9)) v (u, a);
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(1), 'usage', -60, 'returned')
RETURNING entry_no, balance_after;
WITH a AS (
  INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(3), 'grant', 1, 'in a query')
  RETURNING entry_no, balance_after
), b AS (
  INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(2), 'grant', 1, 'in a query')
  RETURNING entry_no, balance_after
) SELECT * FROM a UNION ALL SELECT * FROM b ORDER BY entry_no, balance_after;
COPY credit_ledger (user_id, type, amount, note) FROM stdin;
00000000-0000-4000-8000-000000000003	usage	-2	by COPY
00000000-0000-4000-8000-000000000002	purchase	2	by COPY
00000000-0000-4000-8000-000000000003	grant	4	by COPY
\.
CALL t.as_admin();
MERGE INTO credit_ledger l USING (VALUES (t.id(3), 2)) v (u, a) ON false
  WHEN NOT MATCHED THEN INSERT (user_id, type, amount, note) VALUES (v.u, 'grant', v.a, 'by MERGE');
SELECT * FROM t.ledger;
SELECT * FROM t.accounts;
SELECT * FROM t.books();

-- numbers and balances of the client are overwritten; its id and time are kept
INSERT INTO credit_ledger (id, user_id, type, amount, balance_after, entry_no, note, created_at)
VALUES (t.id(500), t.id(3), 'grant', 1, 1000000, 99, 'numbers of the client', '2026-01-01 UTC');
SELECT entry_no, balance_after, created_at = '2026-01-01 UTC' AS time_kept FROM credit_ledger WHERE id = t.id(500);
SELECT * FROM t.books();

-- an entry for a user without an account opens it; without a user: refused
INSERT INTO auth.users (id) VALUES (t.id(4));
BEGIN;
SET LOCAL studio_engine.maintenance = on;
DELETE FROM credit_ledger WHERE user_id = t.id(4);
DELETE FROM credit_accounts WHERE user_id = t.id(4);
SET LOCAL studio_engine.maintenance = off;
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(4), 'grant', 5);
COMMIT;
SELECT * FROM t.accounts WHERE "user" = '4';
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(99), 'grant', 5) RETURNING 1$$);

-- signs, types, zero, NULL
CREATE FUNCTION t.entry(p_user integer, p_type text, p_amount text, p_job integer DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
  SELECT t.quiet(format('INSERT INTO public.credit_ledger (user_id, type, amount, job_id) VALUES (t.id(%s), %L, %L, t.id(%s)) RETURNING amount',
                        p_user, p_type, p_amount, coalesce(p_job::text, 'NULL')))
$$;
SELECT type, amount, t.entry(1, type, amount) AS answer
  FROM unnest('{purchase,subscription,grant,refund,usage,expire,reserve}'::text[]) type, unnest('{-1,0,NULL}'::text[]) WITH ORDINALITY a (amount, o)
 WHERE NOT (type IN ('usage', 'expire', 'reserve') AND amount IS NOT DISTINCT FROM '-1')
 ORDER BY o, type;
SELECT type, t.entry(1, type, '1') AS plus_one FROM unnest('{usage,expire}'::text[]) type;
SELECT t.entry(1, 'bonus', '1') AS unknown_type;
SELECT t.entry(1, NULL, '1') AS no_type;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount) VALUES (NULL, 'grant', 1) RETURNING 1$$) AS no_user;
SELECT t.entry(1, 'usage', '-13') AS more_than_there_is;
SELECT t.entry(1, 'expire', '-2147483648') AS the_smallest;
SELECT t.entry(1, 'grant', '2147483647') AS beyond_integer;
-- a purchase, subscription or grant may expire, at a finite time
CREATE FUNCTION t.expiring(p_type text, p_amount integer, p_expires_at text) RETURNS text
LANGUAGE sql AS $$
  SELECT t.quiet(format('INSERT INTO public.credit_ledger (user_id, type, amount, job_id, expires_at) VALUES (t.id(1), %L, %s, %s, %L) RETURNING amount',
                        p_type, p_amount, CASE p_type WHEN 'reserve' THEN 't.id(21)' ELSE 'NULL' END, p_expires_at))
$$;
SELECT type, at, t.expiring(type, 1, at) AS endless FROM unnest('{purchase,subscription,grant}'::text[]) type, unnest('{infinity,-infinity}'::text[]) at;
SELECT type, t.expiring(type, amount, '2999-01-01') AS never_expires
  FROM (VALUES ('refund', 1), ('usage', -1), ('expire', -1), ('reserve', -1), ('reserve', 1)) t (type, amount);
BEGIN;
SELECT type, t.expiring(type, 1, '2999-01-01') AS expires FROM unnest('{purchase,subscription,grant}'::text[]) type;
SELECT type, amount, expires_at FROM credit_ledger WHERE user_id = t.id(1) AND expires_at IS NOT NULL;
SELECT count(*) AS watched FROM studio_engine.expiring_credits;
-- an import may bring credit that expired long ago: it cannot be spent
SELECT t.expiring('grant', 100, '2001-01-01') AS expired_already;
SELECT t.entry(1, 'usage', '-16') AS more_than_is_left;
SELECT t.entry(1, 'usage', '-15') AS all_that_is_left;
SELECT type, amount, balance_after FROM credit_ledger WHERE user_id = t.id(1) ORDER BY entry_no DESC LIMIT 3;
SELECT * FROM t.books();
ROLLBACK;
SELECT type, t.quiet(format('INSERT INTO credit_ledger (user_id, type, amount, reverses) VALUES (t.id(1), %L, %s, (SELECT id FROM credit_ledger WHERE user_id = t.id(1) AND entry_no = 1)) RETURNING 1', type, amount)) AS reversing
  FROM (VALUES ('purchase', 1), ('purchase', -1), ('grant', 1), ('usage', -1), ('expire', -1)) t (type, amount);
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(3), 'grant', 5), (t.id(1), 'usage', -1000) RETURNING 1$$)
  AS one_bad_row_of_two;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, stripe_payment_id) VALUES (t.id(1), 'purchase', 20, 'sub_1') RETURNING 1$$)
  AS payment_was_booked;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, idempotency_key) VALUES (t.id(1), 'grant', 20, 'welcome') RETURNING 1$$)
  AS key_was_used;
SELECT * FROM t.accounts;
SELECT * FROM t.books();

-- holds
SELECT t.entry(1, 'reserve', '-1') AS no_job;
SELECT t.entry(1, 'reserve', '1') AS no_job;
SELECT t.entry(1, 'reserve', '-1', 98) AS unknown_job;
SELECT t.entry(1, 'usage', '-1', 98) AS unknown_job;
SELECT t.entry(1, 'reserve', '-1', 23) AS job_of_another;
SELECT t.entry(1, 'usage', '-1', 23) AS job_of_another;
SELECT t.entry(1, 'refund', '1', 23) AS job_of_another;
SELECT t.entry(2, 'reserve', '-1', 24) AS ended;
SELECT t.entry(1, 'reserve', '1', 21) AS nothing_to_close;
SELECT t.entry(1, 'reserve', '-13', 21) AS too_little;
SELECT t.entry(1, 'grant', '10');
SELECT t.entry(1, 'reserve', '-3', 21);
SELECT t.entry(1, 'reserve', '-3', 21) AS second_hold;
SELECT t.entry(1, 'reserve', '-1', 21) AS second_hold;
SELECT reserve_credits(t.id(1), t.id(21), 3) AS the_function_sees_it;
SELECT t.entry(1, 'reserve', '2', 21) AS closes_a_part;
SELECT t.entry(1, 'reserve', '4', 21) AS closes_too_much;
SELECT cost_credits_reserved, cost_credits_final FROM jobs WHERE id = t.id(21);
SELECT * FROM t.books();
-- what the seed's worker does: two rows in one statement, then the end
INSERT INTO credit_ledger (user_id, type, amount, job_id, note) VALUES
  (t.id(1), 'reserve', 3, t.id(21), 'Release hold'), (t.id(1), 'usage', -2, t.id(21), 'Video');
-- the entry that closes a hold names it
SELECT c.amount, h.type, h.amount AS held, h.entry_no < c.entry_no AS before
  FROM credit_ledger c LEFT JOIN credit_ledger h ON h.id = c.reverses WHERE c.job_id = t.id(21) ORDER BY c.entry_no;
SELECT cost_credits_reserved, cost_credits_final FROM jobs WHERE id = t.id(21);
SELECT t.entry(1, 'reserve', '3', 21) AS closes_again;
SELECT t.quiet('SELECT settle_credits(t.id(21), 2)') AS same_price;
SELECT t.quiet('SELECT settle_credits(t.id(21), 3)') AS other_price;
UPDATE jobs SET status = 'QUEUED' WHERE id = t.id(21);
UPDATE jobs SET status = 'FAILED' WHERE id = t.id(21);
SELECT status, cost_credits_final FROM jobs WHERE id = t.id(21);
CALL t.job(11, 25, 'PACKAGING');
INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(1), 'reserve', -4, t.id(25));
INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(1), 'reserve', 4, t.id(25)), (t.id(1), 'usage', -4, t.id(25));
UPDATE jobs SET status = 'READY' WHERE id = t.id(25);
SELECT * FROM t.ledger WHERE job IN ('21', '25');
SELECT * FROM t.accounts WHERE "user" = '1';
-- the reverse order is refused: while the hold is open, a usage would be
-- charged twice, by itself and as part of the hold
CALL t.job(12, 26, 'PACKAGING');
INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(2), 'reserve', -4, t.id(26));
INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(2), 'usage', -3, t.id(26)), (t.id(2), 'reserve', 4, t.id(26));
INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES (t.id(2), 'reserve', 4, t.id(26)), (t.id(2), 'usage', -3, t.id(26));
SELECT cost_credits_reserved, cost_credits_final FROM jobs WHERE id = t.id(26);
UPDATE jobs SET status = 'READY' WHERE id = t.id(26);
SELECT * FROM t.ledger WHERE job = '26';
SELECT * FROM t.books();
-- open and close in one statement; a later row of the statement fails
INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES
  (t.id(2), 'reserve', -5, t.id(23)), (t.id(2), 'reserve', 5, t.id(23)), (t.id(2), 'reserve', -6, t.id(23));
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, job_id) VALUES
  (t.id(2), 'reserve', 6, t.id(23)), (t.id(2), 'reserve', 6, t.id(23)) RETURNING 1$$) AS closed_twice;
SELECT * FROM t.accounts WHERE "user" = '2';
SELECT * FROM t.books();

-- booked but not stored: refused, and the ledger is as before
SELECT t.quiet($$INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(500), t.id(1), 'grant', 5)
                 ON CONFLICT DO NOTHING RETURNING 1$$) AS do_nothing;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, idempotency_key) VALUES (t.id(1), 'grant', 5, 'welcome')
                 ON CONFLICT DO NOTHING RETURNING 1$$) AS do_nothing;
SELECT t.quiet($$INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(501), t.id(1), 'grant', 5), (t.id(500), t.id(1), 'grant', 5)
                 ON CONFLICT (id) DO NOTHING RETURNING 1$$) AS do_nothing;
-- the lost entry comes first, so that the last one's number equals the count
BEGIN;
SELECT t.quiet($$INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(500), t.id(1), 'grant', 5), (t.id(501), t.id(1), 'grant', 5)
                 ON CONFLICT (id) DO NOTHING RETURNING 1$$) AS lost_before_stored;
SELECT * FROM t.books();
ROLLBACK;
BEGIN;
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, stripe_payment_id)
                 VALUES (t.id(2), 'subscription', 20, 'sub_1'), (t.id(2), 'subscription', 20, 'sub_2')
                 ON CONFLICT DO NOTHING RETURNING 1$$) AS lost_before_stored;
SELECT * FROM t.books();
ROLLBACK;
SELECT t.quiet($$INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(500), t.id(3), 'grant', 5)
                 ON CONFLICT (id) DO UPDATE SET note = 'x' RETURNING 1$$) AS do_update;
SELECT t.quiet($$INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(501), t.id(1), 'grant', 5)
                 ON CONFLICT DO NOTHING RETURNING 5$$) AS no_conflict;
SELECT t.quiet($$INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(500), t.id(1), 'grant', 5) RETURNING 1$$) AS same_id_twice;
INSERT INTO credit_ledger (id, user_id, type, amount) VALUES (t.id(500), t.id(1), 'grant', 5) ON CONFLICT DO NOTHING;
\echo :LAST_ERROR_SQLSTATE
BEGIN;
CREATE FUNCTION t.drop_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER z_drop BEFORE INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.drop_row();
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'grant', 5)$$) AS dropped_by_a_trigger;
ALTER TABLE credit_ledger DISABLE TRIGGER z_drop;
CREATE TRIGGER z_drop_some BEFORE INSERT ON credit_ledger FOR EACH ROW WHEN (NEW.note = 'lost') EXECUTE FUNCTION t.drop_row();
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(1), 'grant', 5, 'lost'), (t.id(1), 'grant', 5, 'stored') RETURNING 1$$)
  AS first_dropped_by_a_trigger;
SELECT * FROM t.books();
ALTER TABLE credit_ledger ENABLE TRIGGER z_drop;
SELECT t.quiet($$SELECT grant_credits(t.id(1), 5)$$) LIKE '_____ % -- nothing written' AS grant_refused;
ROLLBACK;
-- a foreign trigger that changes the amount before it is booked
BEGIN;
CREATE FUNCTION t.mint() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.amount := 1000; RETURN NEW; END $$;
CREATE TRIGGER a_mint BEFORE INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.mint();
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'grant', 5) RETURNING amount;
SELECT * FROM t.books();
ROLLBACK;
SELECT * FROM t.books();

-- a foreign trigger that writes a further entry: the rules hold for it too, also
-- where the first entry is made by a function of the extension
BEGIN;
CREATE FUNCTION t.fee() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.credit_ledger (user_id, type, amount, note) VALUES (NEW.user_id, 'usage', -1000, 'fee');
  RETURN NULL;
END $$;
CREATE TRIGGER a_fee AFTER INSERT ON credit_ledger FOR EACH ROW WHEN (NEW.type = 'purchase') EXECUTE FUNCTION t.fee();
SELECT left(t.quiet($$INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(4), 'purchase', 5)$$), 5) AS fee_on_a_plain_entry;
SELECT left(t.quiet($$SELECT purchase_credits(t.id(4), 5, 'pi_fee')$$), 5) AS fee_on_our_entry;
SELECT * FROM t.books();
SELECT * FROM t.accounts WHERE "user" = '4';
ROLLBACK;

-- entries cannot be changed, not even by a superuser
SELECT t.quiet('UPDATE credit_ledger SET amount = 1000 WHERE id = t.id(500) RETURNING 1');
SELECT t.quiet('UPDATE credit_ledger SET note = ''x'' WHERE id = t.id(500) RETURNING 1');
SELECT t.quiet('UPDATE credit_ledger SET note = note RETURNING 1');
SELECT t.quiet('UPDATE credit_ledger SET job_id = NULL WHERE job_id = t.id(23) RETURNING 1') AS the_job_exists;
SELECT t.quiet('UPDATE credit_ledger SET job_id = t.id(22) WHERE job_id = t.id(23) RETURNING 1');
SELECT t.quiet('UPDATE credit_ledger SET job_id = t.id(23) WHERE id = t.id(500) RETURNING 1');
SELECT t.quiet('UPDATE credit_ledger SET user_id = t.id(2) WHERE id = t.id(500) RETURNING 1');
SELECT t.quiet('DELETE FROM credit_ledger WHERE id = t.id(500) RETURNING 1');
SELECT t.quiet('DELETE FROM credit_ledger RETURNING 1');
SET client_min_messages = warning;
SELECT t.try('TRUNCATE credit_ledger');
SELECT t.try('TRUNCATE credit_accounts CASCADE');
SELECT t.try('TRUNCATE jobs CASCADE');
SELECT t.try('TRUNCATE projects CASCADE');
SELECT t.try('TRUNCATE auth.users CASCADE');
RESET client_min_messages;
SELECT t.quiet('UPDATE credit_accounts SET balance = 1000 WHERE user_id = t.id(1) RETURNING 1');
SELECT t.quiet('UPDATE credit_accounts SET updated_at = now() WHERE user_id = t.id(1) RETURNING 1');
SELECT t.quiet('UPDATE credit_accounts SET balance = balance RETURNING 1');
SELECT t.quiet('UPDATE credit_accounts SET user_id = t.id(99) WHERE user_id = t.id(1) RETURNING 1');
SELECT t.quiet('DELETE FROM credit_accounts WHERE user_id = t.id(1) RETURNING 1');
INSERT INTO auth.users (id) VALUES (t.id(5));
SELECT t.quiet('INSERT INTO credit_accounts (user_id, balance) VALUES (t.id(5), 1000) RETURNING 1');
SELECT t.quiet('INSERT INTO credit_accounts (user_id, balance) VALUES (t.id(5), 1000) ON CONFLICT (user_id) DO UPDATE SET balance = 1000 RETURNING 1');
SELECT t.quiet('INSERT INTO credit_accounts (user_id) VALUES (t.id(5)) ON CONFLICT DO NOTHING RETURNING 1') AS harmless;
SELECT count(*) > 0 AS all_still_there FROM credit_ledger;
SELECT * FROM t.books();

-- an id that changes would lose its job's entries
SELECT t.try('UPDATE jobs SET id = t.id(97) WHERE id = t.id(23)') AS referenced_by_entries;

-- a job whose user changes while it holds credits: refused, or the hold is closed
-- for the user for whom it was opened; both users have holds, so that the check
-- of the account alone does not refuse it
BEGIN;
SELECT * FROM t.accounts WHERE "user" IN ('1', '2');
CALL t.job(11, 27);
CALL t.job(12, 28);
SELECT reserve_credits(t.id(1), t.id(27), 4), reserve_credits(t.id(2), t.id(28), 4);
SELECT t.try($$UPDATE jobs SET user_id = t.id(2) WHERE id = t.id(27)$$) \g /dev/null
UPDATE jobs SET status = 'FAILED' WHERE id IN (t.id(27), t.id(28));
SELECT * FROM t.books();
SELECT "user", balance, reserved FROM t.accounts WHERE "user" IN ('1', '2');
ROLLBACK;

-- savepoints and exception blocks: numbers stay gapless
BEGIN;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(5), 'grant', 1, 'before');
SAVEPOINT a;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(5), 'grant', 2, 'rolled back');
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(3), 'grant', 2, 'rolled back');
ROLLBACK TO a;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(5), 'grant', 3, 'after');
SAVEPOINT b;
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(5), 'usage', -1000);
ROLLBACK TO b;
SAVEPOINT c;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(5), 'usage', -4, 'released');
RELEASE c;
COMMIT;
DO $$
BEGIN
  FOR i IN 1..6 LOOP
    BEGIN
      INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(5), 'grant', i, 'loop ' || i);
      IF i % 2 = 0 THEN
        PERFORM 1 / 0;
      END IF;
      INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(5), 'usage', -1000);
    EXCEPTION
      WHEN division_by_zero THEN NULL;
      WHEN SQLSTATE 'PT402' THEN
        INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(5), 'grant', 10 * i, 'handler ' || i);
    END;
  END LOOP;
END
$$;
SELECT * FROM t.ledger WHERE "user" = '5';
SELECT * FROM t.books();

-- a rollback of all of it
BEGIN;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(5), 'grant', 1, 'rolled back');
ROLLBACK;
INSERT INTO credit_ledger (user_id, type, amount, note) VALUES (t.id(5), 'grant', 1, 'the next');
SELECT * FROM t.ledger WHERE "user" = '5' AND no > 6;
SELECT * FROM t.accounts WHERE "user" = '5';

-- columns of the user's own in the ledger
BEGIN;
ALTER TABLE credit_ledger ADD COLUMN mine text DEFAULT 'd', ADD COLUMN gone integer;
ALTER TABLE credit_ledger DROP COLUMN gone;
SELECT t.ask('SELECT reserve_credits(t.id(3), t.id(98), 1)');
INSERT INTO credit_ledger (user_id, type, amount, mine) VALUES (t.id(5), 'grant', 1, 'x') RETURNING entry_no, balance_after, mine;
DELETE FROM jobs WHERE id = t.id(23);
SELECT * FROM t.books();
ROLLBACK;

DROP FUNCTION t.entry;
SELECT * FROM t.books();
SELECT * FROM t.clean();
