-- 259_transfer_abuse.sql
--
-- Transfers, merges, voids and lists of lots when they are called as nobody
-- should: odd arguments, keys of other calls, credit that moves in circles, users
-- who are deleted, and triggers of the owner that move credit meanwhile.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.balances AS
SELECT string_agg(t.n(user_id) || ': ' || balance, ', ' ORDER BY t.n(user_id)) AS balances FROM credit_accounts;
CREATE VIEW t.lots AS
SELECT t.n(a.user_id) AS "user", l.entry_no AS no, g.type, g.remaining, g.held, g.priority, to_char(g.expires_at, 'YYYY') AS expires, l.stripe_payment_id AS payment
  FROM credit_accounts a, LATERAL get_credit_lots(a.user_id) WITH ORDINALITY g
  JOIN credit_ledger l ON l.id = g.entry_id
 ORDER BY t.n(a.user_id), g.ordinality;

-- 3,000 lots, of which the first 2,000 are listed; first, since the plans of the audit are made for the size that it meets
CALL t.sign_up(1, 2);
INSERT INTO credit_ledger (user_id, type, amount, priority, expires_at)
SELECT t.id(1), 'grant', 1 + g % 3, g % 7 - 3, CASE WHEN g % 2 = 0 THEN '2998-01-01'::timestamptz + make_interval(days => g % 100) END FROM generate_series(1, 3000) g;
SELECT count(*), sum(remaining), get_credit_balance(t.id(1)) AS balance FROM get_credit_lots(t.id(1));
SELECT transfer_credits(t.id(1), t.id(2), 1000), merge_accounts(t.id(1), t.id(2), 'rest'), merge_accounts(t.id(1), t.id(2), 'rest') AS again;
SELECT count(*), sum(remaining), get_credit_balance(t.id(2)) AS balance FROM get_credit_lots(t.id(2));
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- arguments
CALL t.sign_up(1, 2, 3);
SELECT v.call, t.quiet(v.call) AS answer FROM (VALUES
  ('SELECT transfer_credits(NULL, t.id(2), 1)'), ('SELECT transfer_credits(t.id(1), NULL, 1)'), ('SELECT transfer_credits(t.id(1), t.id(2), NULL)'),
  ('SELECT transfer_credits(t.id(1), t.id(2), 0)'), ('SELECT transfer_credits(t.id(1), t.id(2), -2147483648)'), ('SELECT transfer_credits(t.id(1), t.id(2), 2147483647)'),
  ('SELECT transfer_credits(t.id(1), t.id(1), 1)'), ('SELECT transfer_credits(t.id(1), t.id(99), 1)'), ('SELECT transfer_credits(t.id(99), t.id(1), 1)'),
  ('SELECT transfer_credits(t.id(99), t.id(99), 1)'), ('SELECT merge_accounts(NULL, t.id(2))'), ('SELECT merge_accounts(t.id(1), NULL)'),
  ('SELECT merge_accounts(t.id(1), t.id(1))'), ('SELECT merge_accounts(t.id(1), t.id(99))'), ('SELECT merge_accounts(t.id(99), t.id(1))'),
  ('SELECT transfer_credits(t.id(1), t.id(2), 1, '''')'), ('SELECT transfer_credits(t.id(1), t.id(2), 1, repeat(''k'', 256))'),
  ('SELECT transfer_credits(t.id(1), t.id(2), 1, NULL, repeat(''n'', 1001))'), ('SELECT merge_accounts(t.id(1), t.id(2), '''')'),
  ('SELECT get_credit_lots(NULL)'), ('SELECT void_credits(NULL, 1)')) v (call);
SELECT transfer_credits(t.id(1), t.id(2), 1, U&'\00e4\4e2d\+01f600"\005c', U&'"\005c\4e2d\+01f600') AS unicode,
       transfer_credits(t.id(1), t.id(2), 1, U&'\00e4\4e2d\+01f600"\005c') AS again, transfer_credits(t.id(1), t.id(2), 1, repeat('ä', 255), '') AS no_note;
SELECT t.n(user_id) AS "user", amount, note, left(idempotency_key, 8) AS key FROM credit_ledger WHERE transfer_id IS NOT NULL ORDER BY 1, entry_no;
-- as a user, as anon
CALL t.as_user(t.id(1));
SELECT t.ask('SELECT transfer_credits(t.id(2), t.id(1), 1)') AS transfer, t.ask('SELECT merge_accounts(t.id(2), t.id(1))') AS merge, t.ask('SELECT void_credits(t.id(2))') AS void;
SELECT count(*) AS entries_that_he_sees, count(*) FILTER (WHERE user_id <> t.id(1)) AS of_others FROM credit_ledger;
CALL t.as_role('anon');
SELECT t.ask('SELECT get_credit_lots(t.id(1))') AS lots, t.ask('SELECT transfer_credits(t.id(2), t.id(1), 1)') AS transfer;
CALL t.as_admin();
-- the receiver has no room; has a deficit
INSERT INTO credit_ledger (user_id, type, amount) SELECT t.id(3), 'grant', 2147483647 - balance - 4 FROM credit_accounts WHERE user_id = t.id(3);
SELECT t.quiet('SELECT transfer_credits(t.id(1), t.id(3), 5)') AS no_room, transfer_credits(t.id(1), t.id(3), 4) AS room, t.quiet('SELECT merge_accounts(t.id(1), t.id(3))') AS no_room;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- one key for calls of several kinds about the same lot and amount
CALL t.sign_up(1, 2);
SELECT purchase_credits(t.id(1), 30, 'pi_1') AS bought \gset
SELECT reverse_purchase('pi_1', 5, NULL, 'k1') AS reversed, t.quiet(format('SELECT void_credits(%L, 5, NULL, ''k1'')', :'bought')) AS void,
       t.quiet($$SELECT transfer_credits(t.id(1), t.id(2), 5, 'k1')$$) AS transfer, t.quiet($$SELECT merge_accounts(t.id(1), t.id(2), 'k1')$$) AS merge;
SELECT transfer_credits(t.id(1), t.id(2), 12) AS first, transfer_credits(t.id(1), t.id(2), 4, 'k2') AS transfer,
       t.quiet(format('SELECT void_credits(%L, 4, NULL, ''k2'')', :'bought')) AS void, t.quiet($$SELECT reverse_purchase('pi_1', 4, NULL, 'k2')$$) AS reverse,
       t.quiet($$SELECT transfer_credits(t.id(1), t.id(2), 5, 'k2')$$) AS another_amount, t.quiet($$SELECT merge_accounts(t.id(1), t.id(2), 'k2')$$) AS merge;
SELECT void_credits(:'bought', 3, NULL, 'k3') AS void, t.quiet($$SELECT reverse_purchase('pi_1', 3, NULL, 'k3')$$) AS reverse,
       t.quiet($$SELECT transfer_credits(t.id(1), t.id(2), 3, 'k3')$$) AS transfer, t.quiet($$SELECT reinstate_purchase('pi_1', NULL, 'k3')$$) AS reinstate;
SELECT t.quiet($$SELECT transfer_credits(t.id(1), t.id(2), 10, 'welcome')$$) AS key_of_a_grant, transfer_credits(t.id(2), t.id(1), 1, 'k2') AS key_of_the_other_user;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- over three users and back to the first; what returned is a lot of its own
CALL t.sign_up(1, 2, 3);
INSERT INTO credit_ledger (user_id, type, amount) SELECT t.id(u), 'usage', -10 FROM generate_series(1, 3) u;
SELECT purchase_credits(t.id(1), 40, 'pi_2', NULL, '2998-01-01') \g /dev/null
SELECT transfer_credits(t.id(1), t.id(2), 30), transfer_credits(t.id(2), t.id(3), 20), transfer_credits(t.id(3), t.id(1), 15);
SELECT * FROM t.lots;
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'usage', -12);
SELECT reverse_purchase('pi_2', 35, NULL, U&'\4e2d"\005c') AS reversed, reverse_purchase('pi_2', 35, NULL, U&'\4e2d"\005c') AS again;
SELECT * FROM t.balances;
SELECT * FROM t.books();
-- one holder is deleted: the first answer stands, what the others had is given back
DELETE FROM auth.users WHERE id = t.id(3);
SELECT t.quiet($$SELECT reverse_purchase('pi_2', 35, NULL, U&'\4e2d"\005c')$$) AS again,
       reinstate_purchase('pi_2', NULL, U&'\4e2d"\005c') AS reinstated, reinstate_purchase('pi_2', NULL, U&'\4e2d"\005c') AS again;
SELECT * FROM t.balances;
SELECT * FROM t.books();
-- all of the payment is returned: what went with the user is no obstacle
SELECT reverse_purchase('pi_2', 40, NULL, 're_2') AS all_that_is_left, t.quiet($$SELECT reverse_purchase('pi_2', 40, NULL, 're_2')$$) AS again;
SELECT * FROM t.balances;
DELETE FROM auth.users WHERE id = t.id(1);
SELECT t.quiet($$SELECT reverse_purchase('pi_2', 40, NULL, 're_2')$$) AS again, reinstate_purchase('pi_2', NULL, 're_2') AS reinstated;
SELECT * FROM t.balances;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- a reversal while the credit is held, which returns to the lot and goes elsewhere
CALL t.sign_up(1, 2);
CALL t.project(1, 11);
CALL t.job(11, 21);
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'usage', -10);
SELECT purchase_credits(t.id(1), 50, 'pi_3') AS bought \gset
SELECT reserve_credits(t.id(1), t.id(21), 40);
SELECT grant_credits(t.id(1), 100) \g /dev/null
SELECT reverse_purchase('pi_3', NULL, NULL, 're_3'), release_credits(t.id(21));
SELECT * FROM t.lots WHERE "user" = '1';
BEGIN;
SELECT void_credits(:'bought');
SELECT t.quiet('SELECT reverse_purchase(''pi_3'')') AS nothing_left, t.quiet('SELECT reverse_purchase(''pi_3'', 1)') AS too_much;
SELECT * FROM t.books();
SELECT reinstate_purchase('pi_3', NULL, 're_3'), reverse_purchase('pi_3') AS without_the_void;
SELECT * FROM t.balances;
SELECT * FROM t.books();
ROLLBACK;
SELECT transfer_credits(t.id(1), t.id(2), 60), t.quiet('SELECT reverse_purchase(''pi_3'')') AS nothing_left;
SELECT reinstate_purchase('pi_3', NULL, 're_3'), reverse_purchase('pi_3');
SELECT * FROM t.balances;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- priorities, credit that has expired, holds on the lots, a deficit at the receiver
CALL t.sign_up(1, 2);
INSERT INTO credit_ledger (user_id, type, amount, priority, expires_at) VALUES
  (t.id(1), 'grant', 1, 2147483647, NULL), (t.id(1), 'grant', 2, -2147483648, NULL), (t.id(1), 'grant', 3, -2147483648, '2998-01-01'), (t.id(1), 'refund', 4, -1, NULL);
SELECT hold_credits(t.id(1), 4, 'a chat') AS hold \gset
SELECT t.quiet('SELECT merge_accounts(t.id(1), t.id(2))') AS held, t.quiet('SELECT transfer_credits(t.id(1), t.id(2), 17)') AS held;
SELECT transfer_credits(t.id(1), t.id(2), 7);
SELECT * FROM t.lots;
SELECT release_hold(:'hold');
SELECT transfer_credits(t.id(1), t.id(2), 4);
CALL t.expire(1);
CALL t.expire(2);
SELECT t.quiet('SELECT transfer_credits(t.id(1), t.id(2), 100)') AS too_much, merge_accounts(t.id(1), t.id(2)) AS the_rest;
SELECT * FROM t.lots;
SELECT expire_credits();
SELECT purchase_credits(t.id(1), 20, 'pi_4') AS bought \gset
INSERT INTO credit_ledger (user_id, type, amount) VALUES (t.id(1), 'usage', -20);
SELECT reverse_purchase('pi_4');
SELECT t.quiet(format('SELECT void_credits(%L)', :'bought')) AS nothing_left;
SELECT transfer_credits(t.id(2), t.id(1), 18);
SELECT * FROM t.lots;
SELECT * FROM t.balances;
-- lots that came covered the deficit; what is left of them can be voided, and is no more
SELECT transfer_credits(t.id(2), t.id(1), get_credit_balance(t.id(2)));
SELECT void_credits(id) FROM credit_ledger WHERE user_id = t.id(1) AND transfer_id IS NOT NULL AND amount > 0 ORDER BY entry_no;
SELECT * FROM t.balances;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- undone to a savepoint, and in a subtransaction that fails after it
CALL t.sign_up(1, 2);
BEGIN;
SAVEPOINT before;
SELECT transfer_credits(t.id(1), t.id(2), 4, 'once') AS four, merge_accounts(t.id(2), t.id(1), 'all') AS all;
ROLLBACK TO before;
SELECT t.ask('SELECT 1 / (transfer_credits(t.id(1), t.id(2), 6, ''once'') - 6)') AS fails;
SELECT transfer_credits(t.id(1), t.id(2), 5, 'once') AS five, transfer_credits(t.id(1), t.id(2), 5, 'once') AS again;
COMMIT;
SELECT * FROM t.balances;
SELECT count(*) FROM studio_engine.transfers WHERE from_user_id IS NOT NULL;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- triggers of the owner: one that drops or changes a row, one that spends in between,
-- one that transfers back
CREATE FUNCTION t.meddle() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  IF NEW.transfer_id IS NULL AND NEW.reverses IS NULL THEN
    RETURN NEW;
  END IF;
  CASE current_setting('t.meddle', true)
    WHEN 'drop in' THEN IF NEW.amount > 0 THEN RETURN NULL; END IF;
    WHEN 'drop out' THEN IF NEW.amount < 0 THEN RETURN NULL; END IF;
    WHEN 'more' THEN NEW.amount := NEW.amount + 1;
    WHEN 'another user' THEN NEW.user_id := t.id(3);
    WHEN 'no transfer' THEN NEW.transfer_id := NULL;
    WHEN 'no lot' THEN NEW.reverses := NULL;
    WHEN 'fee before' THEN IF NEW.amount < 0 THEN PERFORM charge_credits(t.id(1), 1); END IF;
    WHEN 'fee' THEN PERFORM charge_credits(t.id(1), 1);
    WHEN 'bonus' THEN PERFORM grant_credits(t.id(1), 1);
    WHEN 'back' THEN IF NEW.amount > 0 AND NEW.user_id = t.id(2) THEN PERFORM transfer_credits(t.id(2), t.id(1), NEW.amount); END IF;
    WHEN 'void' THEN PERFORM void_credits(entry_id) FROM get_credit_lots(t.id(1)) WHERE type = 'grant' ORDER BY created_at DESC, priority DESC LIMIT 1;
    WHEN 'delete' THEN DELETE FROM auth.users WHERE id = t.id(2);
    ELSE NULL;
  END CASE;
  RETURN NEW;
END
$$;
CREATE TRIGGER a_meddle BEFORE INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.meddle();
CREATE TRIGGER z_meddle AFTER INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.meddle();
CREATE FUNCTION t.meddled(p_how text, p_before boolean, p_call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_answer text;
BEGIN
  EXECUTE format('ALTER TABLE credit_ledger %s TRIGGER a_meddle', CASE WHEN p_before THEN 'ENABLE' ELSE 'DISABLE' END);
  EXECUTE format('ALTER TABLE credit_ledger %s TRIGGER z_meddle', CASE WHEN p_before THEN 'DISABLE' ELSE 'ENABLE' END);
  PERFORM set_config('t.meddle', p_how, true);
  v_answer := t.ask(p_call);
  PERFORM set_config('t.meddle', '', true);
  RAISE EXCEPTION '%', concat_ws(' / ', v_answer, (SELECT balances FROM t.balances), (SELECT string_agg(b, '; ') FROM t.books() b)) USING ERRCODE = 'T0000';
EXCEPTION WHEN SQLSTATE 'T0000' THEN
  RETURN SQLERRM;
END
$$;
CALL t.sign_up(1, 2, 3);
INSERT INTO credit_ledger (user_id, type, amount, priority) VALUES (t.id(1), 'grant', 5, -2), (t.id(1), 'grant', 5, -1);
SELECT id AS lot FROM credit_ledger WHERE user_id = t.id(1) AND priority = -1 \gset
SELECT v.how, v.before, t.meddled(v.how, v.before, 'SELECT transfer_credits(t.id(1), t.id(2), 12)') AS transfer, t.meddled(v.how, v.before, 'SELECT merge_accounts(t.id(1), t.id(2))') AS merge
  FROM (VALUES ('drop in', true), ('drop out', true), ('more', true), ('another user', true), ('no transfer', true), ('no lot', true),
               ('fee before', true), ('fee', false), ('bonus', true), ('bonus', false), ('back', false), ('void', false), ('delete', false)) v (how, before);
SELECT v.how, v.before, t.meddled(v.how, v.before, format('SELECT void_credits(%L)', :'lot')) AS void
  FROM (VALUES ('fee before', true), ('fee', false), ('bonus', true), ('no lot', true)) v (how, before);
DROP TRIGGER a_meddle ON credit_ledger;
DROP TRIGGER z_meddle ON credit_ledger;
DROP FUNCTION t.meddled, t.meddle;

DROP VIEW t.lots, t.balances;
SELECT * FROM t.clean();
