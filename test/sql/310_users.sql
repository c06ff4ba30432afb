-- 310_users.sql
--
-- Sign-up: what every user gets, exactly once, and that nothing of ours ever
-- keeps anybody from signing up.
-- Pitfall: the auth server inserts as supabase_auth_admin with search_path
-- auth; a trigger that relies on either works in psql and fails in production.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.users AS
SELECT t.n(u.id) AS "user", p.id IS NOT NULL AS profile, p.display_name AS name, a.balance, a.entries
  FROM auth.users u LEFT JOIN public.profiles p USING (id) LEFT JOIN public.credit_accounts a ON a.user_id = u.id
 ORDER BY u.id;

-- as the auth server does it; names of all kinds
SET SESSION AUTHORIZATION supabase_auth_admin;
SET search_path = auth;
INSERT INTO users (id, email, raw_user_meta_data) VALUES
  ('00000000-0000-4000-8000-000000000001', 'a@example.com', '{"name": "Ada"}'),
  ('00000000-0000-4000-8000-000000000002', 'b@example.com', NULL),
  ('00000000-0000-4000-8000-000000000003', 'c@example.com', '{}'),
  ('00000000-0000-4000-8000-000000000004', 'd@example.com', '[1, 2]'),
  ('00000000-0000-4000-8000-000000000005', 'e@example.com', '"name"'),
  ('00000000-0000-4000-8000-000000000006', 'f@example.com', '{"name": "Žofie 張 🎬"}'),
  ('00000000-0000-4000-8000-000000000007', 'g@example.com', '{"name": {"first": "Eve"}}'),
  ('00000000-0000-4000-8000-000000000008', 'h@example.com', '{"name": null}'),
  ('00000000-0000-4000-8000-000000000009', 'i@example.com', 'null');
INSERT INTO users (id, raw_user_meta_data)
SELECT '00000000-0000-4000-8000-000000000010', jsonb_build_object('name', repeat('x', 100000));
RESET SESSION AUTHORIZATION;
RESET search_path;
SELECT "user", profile, CASE WHEN length(name) > 50 THEN length(name) || ' characters' ELSE name END AS name, balance, entries
  FROM t.users ORDER BY "user"::integer;
SELECT DISTINCT type, amount, balance_after, note, idempotency_key, entry_no, job_id FROM credit_ledger;
SELECT notification_prefs, avatar_url, stripe_customer_id FROM profiles WHERE id = t.id(1);
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- hostile search_path: objects of the same names in front
CREATE SCHEMA hostile;
CREATE TABLE hostile.profiles (id uuid, display_name text);
CREATE TABLE hostile.credit_ledger (user_id uuid, type text, amount integer);
CREATE TABLE hostile.credit_accounts (user_id uuid);
GRANT ALL ON SCHEMA hostile TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA hostile TO PUBLIC;
SET search_path = hostile, auth, pg_catalog;
INSERT INTO auth.users (id, raw_user_meta_data) VALUES (t.id(1), '{"name": "Ada"}');
SET search_path = '';
INSERT INTO auth.users (id, raw_user_meta_data) VALUES (t.id(2), '{"name": "Bob"}');
RESET search_path;
SELECT * FROM t.users;
SELECT (SELECT count(*) FROM hostile.profiles) + (SELECT count(*) FROM hostile.credit_ledger) AS fooled;
DROP SCHEMA hostile CASCADE;

-- the same id again: the second sign-up fails, and there is one welcome grant;
-- so it is after ensure_profile(), and when the trigger runs once more
SELECT t.try($$INSERT INTO auth.users (id) VALUES (t.id(1))$$);
INSERT INTO auth.users (id) VALUES (t.id(1)) ON CONFLICT (id) DO UPDATE SET email = 'new@example.com';
SELECT ensure_profile(t.id(1)) ->> 'display_name' AS name, ensure_profile(t.id(1)) ->> 'id' = t.id(1)::text AS same_user;
BEGIN;
CREATE TRIGGER once_more AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION handle_new_user();
INSERT INTO auth.users (id) VALUES (t.id(3));
SELECT * FROM t.users;
ROLLBACK;
SELECT * FROM t.books();
-- a sign-up that is rolled back leaves nothing; the id may come again
BEGIN;
INSERT INTO auth.users (id) VALUES (t.id(3));
ROLLBACK;
INSERT INTO auth.users (id) VALUES (t.id(3));
SELECT * FROM t.users;
-- a user who was deleted and signs up again is a new one
DELETE FROM auth.users WHERE id = t.id(3);
INSERT INTO auth.users (id) VALUES (t.id(3));
SELECT * FROM t.users;

-- ensure_profile: whose, and what it repairs
CALL t.as_user(t.id(1));
SELECT jsonb_object_keys(ensure_profile(t.id(1))) AS key ORDER BY key;
SELECT t.try($$SELECT ensure_profile(t.id(2))$$) AS of_another;
SELECT t.try($$SELECT ensure_profile(t.id(99))$$) AS of_nobody;
SELECT t.try($$SELECT ensure_profile(NULL)$$);
CALL t.as_role('service_role');
SELECT t.try($$SELECT ensure_profile(t.id(99))$$) AS of_nobody;
SELECT t.quiet($$SELECT ensure_profile(t.id(2)) ->> 'display_name'$$) AS nothing_to_do;
CALL t.as_role('anon');
SELECT t.try($$SELECT ensure_profile(t.id(1))$$);
CALL t.as_admin();
UPDATE profiles SET display_name = 'Ada L.' WHERE id = t.id(1);
SELECT ensure_profile(t.id(1)) ->> 'display_name' AS kept;
DELETE FROM profiles WHERE id = t.id(1);
SELECT ensure_profile(t.id(1)) ->> 'display_name' AS made_again;
SELECT * FROM t.users WHERE "user" = '1';

-- whatever is broken: the sign-up works, with a warning, and ensure_profile()
-- repairs.  Each case inside of a transaction that is rolled back.
CREATE FUNCTION t.broken_sign_up(p_damage text, p_repair text) RETURNS TABLE (signed_up boolean, profile boolean, entries bigint, repaired text, entries_then bigint)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE p_damage;
  INSERT INTO auth.users (id, raw_user_meta_data) VALUES (t.id(50), '{"name": "Eve"}');
  SELECT EXISTS (SELECT FROM auth.users WHERE id = t.id(50)) INTO signed_up;
  SELECT count(*) INTO entries FROM public.credit_ledger WHERE user_id = t.id(50);
  EXECUTE p_repair;
  SELECT EXISTS (SELECT FROM public.profiles WHERE id = t.id(50)) INTO profile;
  SELECT p ->> 'display_name' INTO repaired FROM public.ensure_profile(t.id(50)) p;
  SELECT count(*) INTO entries_then FROM public.credit_ledger WHERE user_id = t.id(50);
  RETURN NEXT;
END
$$;
\set VERBOSITY default
BEGIN;
SELECT * FROM t.broken_sign_up('ALTER TABLE public.profiles RENAME COLUMN display_name TO name_shown',
                               'ALTER TABLE public.profiles RENAME COLUMN name_shown TO display_name');
ROLLBACK;
BEGIN;
SELECT * FROM t.broken_sign_up('ALTER TABLE public.profiles ADD COLUMN company text; UPDATE public.profiles SET company = ''x'';
                                SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE public.profiles ALTER COLUMN company SET NOT NULL',
                               'ALTER TABLE public.profiles ALTER COLUMN company DROP NOT NULL');
ROLLBACK;
BEGIN;
SELECT * FROM t.broken_sign_up('ALTER TABLE public.profiles RENAME TO profiles_gone',
                               'ALTER TABLE public.profiles_gone RENAME TO profiles');
ROLLBACK;
BEGIN;
SELECT * FROM t.broken_sign_up($$SELECT t.force_setting('welcome_credits', 'ten')$$,
                               $$UPDATE studio_engine.settings SET value = '12' WHERE name = 'welcome_credits'$$);
ROLLBACK;
BEGIN;
SELECT * FROM t.broken_sign_up($$SELECT t.force_setting('welcome_credits', '-1')$$,
                               $$UPDATE studio_engine.settings SET value = '12' WHERE name = 'welcome_credits'$$);
ROLLBACK;
-- a row that is not there means the default
BEGIN;
SELECT * FROM t.broken_sign_up($$DELETE FROM studio_engine.settings$$,
                               $$INSERT INTO studio_engine.settings VALUES ('welcome_credits', '3')$$);
SELECT amount FROM credit_ledger WHERE user_id = t.id(50);
ROLLBACK;
BEGIN;
SELECT * FROM t.broken_sign_up($$TRUNCATE studio_engine.settings$$,
                               $$INSERT INTO studio_engine.settings VALUES ('welcome_credits', '3')$$);
SELECT amount FROM credit_ledger WHERE user_id = t.id(50);
ROLLBACK;
-- ledger_hash_chain is read with every entry
BEGIN;
SELECT * FROM t.broken_sign_up($$SELECT t.force_setting('ledger_hash_chain', 'yes')$$,
                               $$UPDATE studio_engine.settings SET value = '1' WHERE name = 'ledger_hash_chain'$$);
SELECT count(*) AS hashed FROM studio_engine.ledger_hashes WHERE user_id = t.id(50);
ROLLBACK;
BEGIN;
SELECT * FROM t.broken_sign_up($$SELECT t.force_setting('welcome_credits', '99999999999999999999')$$,
                               $$UPDATE studio_engine.settings SET value = '2147483647' WHERE name = 'welcome_credits'$$);
ROLLBACK;
BEGIN;
SELECT * FROM t.broken_sign_up('ALTER TABLE public.credit_ledger ADD CONSTRAINT no_grants CHECK (type <> ''grant'') NOT VALID',
                               'ALTER TABLE public.credit_ledger DROP CONSTRAINT no_grants');
SELECT * FROM t.books();
ROLLBACK;
-- several in one statement, and the transaction goes on as if nothing was
BEGIN;
ALTER TABLE profiles ADD CONSTRAINT no_bob CHECK (display_name <> 'Bob 2');
INSERT INTO auth.users (id, raw_user_meta_data) VALUES (t.id(51), '{"name": "Ann"}'), (t.id(52), '{"name": "Bob 2"}'), (t.id(53), '{"name": "Cid"}');
SELECT current_user = session_user AS still_myself;
SELECT * FROM t.users WHERE "user" LIKE '5_';
ALTER TABLE profiles DROP CONSTRAINT no_bob;
SELECT ensure_profile(t.id(52)) ->> 'display_name' AS repaired;
SELECT * FROM t.users WHERE "user" LIKE '5_';
SELECT * FROM t.books();
ROLLBACK;
-- the profiles table dropped for good: users may still come
BEGIN;
SET LOCAL client_min_messages = warning;
DROP TABLE profiles CASCADE;
INSERT INTO auth.users (id) VALUES (t.id(60));
SELECT count(*) AS signed_up FROM auth.users WHERE id = t.id(60);
ROLLBACK;
\set VERBOSITY terse
SELECT * FROM t.users;

-- the size of the grant is a setting; 0 grants nothing
UPDATE studio_engine.settings SET value = '25' WHERE name = 'welcome_credits';
INSERT INTO auth.users (id) VALUES (t.id(70));
UPDATE studio_engine.settings SET value = '0' WHERE name = 'welcome_credits';
INSERT INTO auth.users (id) VALUES (t.id(71));
SELECT * FROM t.users WHERE "user" LIKE '7_';
UPDATE studio_engine.settings SET value = '10' WHERE name = 'welcome_credits';
-- a change that is rolled back was never there
BEGIN;
UPDATE studio_engine.settings SET value = '77' WHERE name = 'welcome_credits';
INSERT INTO auth.users (id) VALUES (t.id(72));
SELECT get_credit_balance(t.id(72)) AS inside;
ROLLBACK;
BEGIN;
SAVEPOINT a;
UPDATE studio_engine.settings SET value = '78' WHERE name = 'welcome_credits';
INSERT INTO auth.users (id) VALUES (t.id(72));
ROLLBACK TO a;
INSERT INTO auth.users (id) VALUES (t.id(72));
SELECT get_credit_balance(t.id(72)) AS after_the_savepoint;
COMMIT;
INSERT INTO auth.users (id) VALUES (t.id(73));
SELECT get_credit_balance(t.id(73)) AS after_the_rollback;
SELECT ensure_profile(t.id(70)) IS NOT NULL AS no_second_grant;
SELECT * FROM t.users WHERE "user" = '70';

DROP FUNCTION t.broken_sign_up;
DROP VIEW t.users;
SELECT * FROM t.books();
SELECT * FROM t.clean();
