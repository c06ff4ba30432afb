-- 315_sign_up.sql
--
-- Who is welcomed, and how often: once per user, once per e-mail address, an
-- anonymous user when he becomes permanent; where names and pictures come from;
-- and what is remembered of users who are deleted.
-- Pitfall: t.clean() forgets the digests, so that other tests may sign up the same
-- addresses again.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.who AS
SELECT t.n(u.id)::integer AS "user", p.id IS NOT NULL AS profile, left(p.display_name, 30) AS name, left(p.avatar_url, 30) AS picture, a.balance, a.entries
  FROM auth.users u LEFT JOIN public.profiles p USING (id) LEFT JOIN public.credit_accounts a ON a.user_id = u.id
 ORDER BY 1;

-- As the auth server does it.
CREATE PROCEDURE t.join(p_user integer, p_email text DEFAULT NULL, p_anonymous boolean DEFAULT false, p_metadata jsonb DEFAULT '{}')
LANGUAGE sql AS $$
  INSERT INTO auth.users (id, email, is_anonymous, raw_user_meta_data) VALUES (t.id(p_user), p_email, p_anonymous, p_metadata)
$$;
CREATE PROCEDURE t.leave(p_user integer)
LANGUAGE sql AS $$ DELETE FROM auth.users WHERE id = t.id(p_user) $$;
CREATE PROCEDURE t.set(p_setting text, p_value text)
LANGUAGE sql AS $$ UPDATE studio_engine.settings SET value = p_value WHERE name = p_setting $$;
CREATE FUNCTION t.repair(p_user integer) RETURNS text
LANGUAGE sql AS $$ SELECT ensure_profile(t.id(p_user)) ->> 'display_name' $$;

-- the settings as they are installed
SELECT name, value FROM studio_engine.settings WHERE name LIKE 'welcome%' ORDER BY name;

-- HMAC-SHA-256, by its definition
CREATE FUNCTION t.hmac(p_key text, p_text text) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
  v_inner bytea := decode(repeat('36', 64), 'hex');
  v_outer bytea := decode(repeat('5c', 64), 'hex');
  v_key bytea := convert_to(p_key, 'UTF8');
BEGIN
  FOR i IN 0..63 LOOP
    v_inner := set_byte(v_inner, i, x'36'::integer # CASE WHEN i < length(v_key) THEN get_byte(v_key, i) ELSE 0 END);
    v_outer := set_byte(v_outer, i, x'5c'::integer # CASE WHEN i < length(v_key) THEN get_byte(v_key, i) ELSE 0 END);
  END LOOP;
  RETURN sha256(v_outer || sha256(v_inner || convert_to(p_text, 'UTF8')));
END
$$;
-- RFC 4231, test case 2
SELECT encode(t.hmac('Jefe', 'what do ya want for nothing?'), 'hex');
CREATE FUNCTION t.digest(p_text text) RETURNS bytea
LANGUAGE sql AS $$ SELECT t.hmac(value, p_text) FROM studio_engine.meta WHERE name = 'digest_key' $$;

-- the key: 32 random bytes, made at installation
SELECT value ~ '^[0-9a-f]{64}$' AS is_hex FROM studio_engine.meta WHERE name = 'digest_key';

-- ---------------------------------------------------------------------------
-- Names and pictures
-- ---------------------------------------------------------------------------
CREATE TABLE t.metadata (nr integer, metadata jsonb);
INSERT INTO t.metadata VALUES
  (1, '{"name": "Name", "full_name": "Full", "user_name": "user", "preferred_username": "preferred", "avatar_url": "https://a", "picture": "https://p"}'),
  (2, '{"full_name": "Full", "user_name": "user", "preferred_username": "preferred", "picture": "https://p"}'),
  (3, '{"user_name": "user", "preferred_username": "preferred"}'),
  (4, '{"preferred_username": "preferred"}'),
  -- empty strings and what is no string is passed over
  (5, '{"name": "", "full_name": "Full", "avatar_url": "", "picture": "https://p"}'),
  (6, '{"name": {"first": "Eve"}, "full_name": 7, "user_name": null, "preferred_username": "eve", "avatar_url": ["https://a"], "picture": true}'),
  (7, '{"name": ["Eve"], "avatar_url": {"url": "https://a"}}'),
  (8, '{"name": "", "avatar_url": ""}'),
  (9, '{"Name": "Eve", "nickname": "eve", "email": "eve@example.com", "data": {"name": "Eve"}}'),
  -- no object
  (10, '{}'), (11, 'null'), (12, '[1, "name", {"name": "Eve"}]'), (13, '"name"'), (14, '7'), (15, 'true'), (16, NULL), (17, '[]'),
  -- letters of all kinds
  (18, '{"name": "Žofie 張 🎬", "avatar_url": "https://例え.jp/🎬.png"}'),
  (19, '{"name": "\u005c\u0027; DROP TABLE profiles; --\n\t", "picture": "javascript:alert(1)"}');
INSERT INTO t.metadata
SELECT 20, jsonb_build_object('name', repeat('x', 100000), 'avatar_url', 'https://' || repeat('x', 100000), 'picture', 'https://p') UNION ALL
SELECT 21, jsonb_build_object('name', repeat('🎬', 3000), 'avatar_url', repeat('🎬', 2048)) UNION ALL
SELECT 22, jsonb_build_object('name', repeat(E'z\u0327\u0302', 1000), 'avatar_url', repeat('🎬', 2049)) UNION ALL
SELECT 23, jsonb_object_agg('k' || i, repeat('y', 100)) || '{"name": "Last of many"}' FROM generate_series(1, 10000) i;
INSERT INTO auth.users (id, raw_user_meta_data) SELECT t.id(nr), metadata FROM t.metadata;
SELECT * FROM t.who WHERE "user" NOT IN (20, 21, 22);
-- what is long is cut between characters; an address of which half would be left is left out
SELECT t.n(id) AS "user", length(display_name) AS characters, octet_length(display_name) AS bytes, length(avatar_url) AS picture, octet_length(avatar_url) AS picture_bytes
  FROM profiles WHERE id IN (t.id(20), t.id(21), t.id(22)) ORDER BY id;

-- later: only where the profile has none
UPDATE auth.users SET raw_user_meta_data = '{"full_name": "Late", "picture": "https://late"}' WHERE id IN (t.id(1), t.id(3), t.id(10), t.id(16));
SELECT * FROM t.who WHERE "user" IN (1, 3, 10, 16);
-- nothing is taken away when the metadata lose it
UPDATE auth.users SET raw_user_meta_data = '{}' WHERE id IN (t.id(1), t.id(10));
SELECT * FROM t.who WHERE "user" IN (1, 10);
-- what a user set himself stays; what he set to NULL is filled again
CALL t.as_user(t.id(10));
UPDATE profiles SET display_name = 'Mine', avatar_url = NULL WHERE id = t.id(10);
CALL t.as_admin();
UPDATE auth.users SET raw_user_meta_data = '{"name": "Theirs", "picture": "https://theirs"}' WHERE id = t.id(10);
SELECT * FROM t.who WHERE "user" = 10;
-- a sign-in that changes nothing of interest does nothing, and the row of the profile is not written
CALL t.as_user(t.id(10));
UPDATE profiles SET display_name = NULL WHERE id = t.id(10);
CALL t.as_admin();
SELECT xmin AS before FROM profiles WHERE id = t.id(10) \gset
UPDATE auth.users SET last_sign_in_at = now(), updated_at = now(), raw_app_meta_data = '{"provider": "email"}' WHERE id = t.id(10);
UPDATE auth.users SET email = email, is_anonymous = is_anonymous, raw_user_meta_data = raw_user_meta_data WHERE id = t.id(10);
SELECT xmin = :'before'::xid AS same_row, display_name FROM profiles WHERE id = t.id(10);
-- and ensure_profile() fills it
SELECT t.repair(10);
SELECT t.quiet($$SELECT t.repair(10)$$) AS again;
SELECT * FROM t.who WHERE "user" = 10;
-- a profile that is missing is made
DELETE FROM profiles WHERE id = t.id(10);
UPDATE auth.users SET raw_user_meta_data = '{"user_name": "again"}' WHERE id = t.id(10);
SELECT * FROM t.who WHERE "user" = 10;
-- the auth server's UPDATE goes on, whatever is broken
BEGIN;
ALTER TABLE profiles RENAME COLUMN avatar_url TO picture_url;
UPDATE auth.users SET raw_user_meta_data = '{"picture": "https://x"}' WHERE id = t.id(10);
SELECT raw_user_meta_data FROM auth.users WHERE id = t.id(10);
ROLLBACK;
BEGIN;
SELECT t.force_setting('welcome_credits', 'ten');
UPDATE auth.users SET email = 'new@example.com' WHERE id = t.id(10);
SELECT email FROM auth.users WHERE id = t.id(10);
ROLLBACK;
DROP TABLE t.metadata;
SELECT * FROM t.clean();

-- ---------------------------------------------------------------------------
-- Profile and account fail each for itself
-- ---------------------------------------------------------------------------
\set VERBOSITY default
BEGIN;
ALTER TABLE profiles ADD COLUMN company text;
ALTER TABLE profiles ALTER COLUMN company SET NOT NULL;
CALL t.join(1, 'ann@example.com', p_metadata => '{"name": "Ann"}');
SELECT * FROM t.who;
SELECT t.try($$SELECT t.repair(1)$$);
UPDATE auth.users SET raw_user_meta_data = '{"name": "Ann A."}' WHERE id = t.id(1);
ALTER TABLE profiles ALTER COLUMN company DROP NOT NULL;
SELECT t.repair(1);
SELECT * FROM t.who;
ROLLBACK;
BEGIN;
CREATE FUNCTION t.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no %', TG_TABLE_NAME; END $$;
CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON profiles FOR EACH ROW EXECUTE FUNCTION t.fail();
CALL t.join(1, 'ann@example.com', p_metadata => '{"name": "Ann"}');
DROP TRIGGER fail ON profiles;
CREATE TRIGGER fail BEFORE INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.fail();
CALL t.join(2, 'bob@example.com', p_metadata => '{"name": "Bob"}');
SELECT * FROM t.who;
SELECT t.try($$SELECT t.repair(2)$$);
-- the address is not used up by a grant that failed
SELECT count(*) AS welcomed FROM studio_engine.welcomed;
DROP TRIGGER fail ON credit_ledger;
SELECT t.repair(1), t.repair(2);
SELECT * FROM t.who;
SELECT count(*) AS welcomed FROM studio_engine.welcomed;
SELECT * FROM t.books();
ROLLBACK;
-- both at once: two warnings
BEGIN;
CREATE FUNCTION t.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no %', TG_TABLE_NAME; END $$;
CREATE TRIGGER fail BEFORE INSERT ON profiles FOR EACH ROW EXECUTE FUNCTION t.fail();
CREATE TRIGGER fail BEFORE INSERT ON credit_ledger FOR EACH ROW EXECUTE FUNCTION t.fail();
CALL t.join(1, 'ann@example.com');
SELECT * FROM t.who;
DROP TRIGGER fail ON profiles;
DROP TRIGGER fail ON credit_ledger;
SELECT ensure_profile(t.id(1)) IS NOT NULL AS repaired;
SELECT * FROM t.who;
ROLLBACK;
-- where there is no table for the digests
BEGIN;
ALTER TABLE studio_engine.welcomed RENAME TO gone;
CALL t.join(1, 'ann@example.com', p_metadata => '{"name": "Ann"}');
SELECT * FROM t.who;
ALTER TABLE studio_engine.gone RENAME TO welcomed;
SELECT t.repair(1);
SELECT * FROM t.who;
ROLLBACK;
\set VERBOSITY terse

-- ---------------------------------------------------------------------------
-- Once per e-mail address
-- ---------------------------------------------------------------------------
CALL t.join(1, 'Ann@Example.com');
SELECT digest = t.digest('email:ann@example.com') AS expected FROM studio_engine.welcomed;
-- the same user again
SELECT t.quiet($$SELECT t.repair(1)$$);
-- deleted and back: as another user, as the same, with the address written otherwise
CALL t.leave(1);
CALL t.join(2, 'ann@example.com');
SELECT * FROM t.who;
SELECT t.quiet($$SELECT t.repair(2)$$);
CALL t.leave(2);
CALL t.join(1, '  ANN@example.COM ');
SELECT * FROM t.who;
CALL t.as_user(t.id(1));
SELECT ensure_profile(t.id(1)) IS NOT NULL AS asks_himself;
CALL t.as_admin();
SELECT * FROM t.who;
-- another address is another
CALL t.join(3, 'anne@example.com');
CALL t.join(4, 'ann@example.org');
SELECT * FROM t.who;
-- two accounts of one address, as single sign-on makes them
INSERT INTO auth.users (id, email, is_sso_user) VALUES (t.id(5), 'sso@example.com', true), (t.id(6), 'sso@example.com', true);
SELECT * FROM t.who WHERE "user" > 4;
-- without an address, or with an empty one: once per user
CALL t.join(7);
INSERT INTO auth.users (id, phone) VALUES (t.id(8), '491234567');
INSERT INTO auth.users (id, email) VALUES (t.id(9), '');
INSERT INTO auth.users (id, email, is_sso_user) VALUES (t.id(10), ' ', true), (t.id(11), ' ', true);
CALL t.leave(8);
INSERT INTO auth.users (id, phone) VALUES (t.id(8), '491234567');
SELECT * FROM t.who WHERE "user" > 6;
SELECT count(*) AS digests FROM studio_engine.welcomed;
-- an address that was given up, by a change or by deletion
UPDATE auth.users SET email = 'phone@example.com' WHERE id = t.id(8);
UPDATE auth.users SET email = 'phone2@example.com' WHERE id = t.id(8);
CALL t.leave(8);
CALL t.join(12, 'phone@example.com');
CALL t.join(13, 'phone2@example.com');
SELECT * FROM t.who WHERE "user" > 11;
-- a user who was refused gets it when he has an address that was never welcomed
UPDATE auth.users SET email = 'fresh@example.com' WHERE id = t.id(12);
SELECT * FROM t.who WHERE "user" = 12;
UPDATE auth.users SET email = 'fresher@example.com' WHERE id = t.id(12);
SELECT * FROM t.who WHERE "user" = 12;
-- of one who never had the grant nothing is remembered
CALL t.set('welcome_credits', '0');
CALL t.join(14, 'late@example.com');
CALL t.leave(14);
CALL t.join(14, 'late@example.com');
SELECT * FROM t.who WHERE "user" = 14;
CALL t.set('welcome_credits', '10');
SELECT * FROM t.who WHERE "user" = 14;
SELECT ensure_profile(t.id(14)) IS NOT NULL AS now_he_does;
SELECT * FROM t.who WHERE "user" = 14;
CALL t.leave(14);
CALL t.join(14, 'late@example.com');
SELECT * FROM t.who WHERE "user" = 14;
SELECT * FROM t.books();
SELECT * FROM t.clean();
-- of a user from before there were digests
CALL t.join(1, 'old@example.com');
DELETE FROM studio_engine.welcomed;
CALL t.leave(1);
CALL t.join(2, 'old@example.com');
SELECT * FROM t.who;
SELECT * FROM t.clean();
-- the grant of the seed's own trigger counts
INSERT INTO auth.users (id, email) VALUES (t.id(1), 'seed@example.com');
BEGIN;
SET LOCAL studio_engine.maintenance = on;
UPDATE credit_ledger SET idempotency_key = NULL;
DELETE FROM studio_engine.welcomed;
COMMIT;
SELECT t.quiet($$SELECT t.repair(1)$$);
CALL t.leave(1);
CALL t.join(2, 'seed@example.com');
SELECT * FROM t.who;
SELECT * FROM t.clean();
-- soft-deleted by the auth server, which obscures what identifies the user, and back
CALL t.join(1, 'soft@example.com', p_metadata => '{"name": "Soft"}');
UPDATE auth.users SET email = 'b1946ac92492d234', raw_user_meta_data = '{}', deleted_at = now() WHERE id = t.id(1);
CALL t.join(2, 'soft@example.com');
SELECT * FROM t.who;
-- one who was refused does not get it by leaving
UPDATE auth.users SET email = '591785b794601e21', raw_user_meta_data = '{}', deleted_at = now() WHERE id = t.id(2);
SELECT ensure_profile(t.id(2)) IS NOT NULL AS nothing_to_repair;
SELECT * FROM t.who;
-- a user from before there were digests
CALL t.join(3, 'older@example.com');
DELETE FROM studio_engine.welcomed;
UPDATE auth.users SET email = '3b5d5c3712955042', deleted_at = now() WHERE id = t.id(3);
CALL t.join(4, 'older@example.com');
SELECT * FROM t.who WHERE "user" > 2;
SELECT * FROM t.clean();
-- switched off: as often as anybody likes, and nothing is remembered
CALL t.set('welcome_once_per_email', '0');
CALL t.join(1, 'ann@example.com');
CALL t.leave(1);
CALL t.join(2, 'ann@example.com');
SELECT * FROM t.who;
SELECT count(*) AS digests FROM studio_engine.welcomed;
CALL t.set('welcome_once_per_email', '1');
-- from now on
CALL t.leave(2);
CALL t.join(3, 'ann@example.com');
SELECT * FROM t.who;
SELECT * FROM t.clean();
-- a setting that is none: a warning
\set VERBOSITY default
BEGIN;
SELECT t.force_setting('welcome_once_per_email', 'yes');
CALL t.join(1, 'ann@example.com');
SELECT * FROM t.who;
CALL t.set('welcome_once_per_email', '1');
SELECT ensure_profile(t.id(1)) IS NOT NULL AS repaired;
SELECT * FROM t.who;
ROLLBACK;
\set VERBOSITY terse

-- ---------------------------------------------------------------------------
-- Anonymous users
-- ---------------------------------------------------------------------------
CALL t.join(1, p_anonymous => true);
SELECT ensure_profile(t.id(1)) IS NOT NULL AS asked;
UPDATE auth.users SET last_sign_in_at = now(), raw_user_meta_data = '{"name": "Guest"}' WHERE id = t.id(1);
SELECT * FROM t.who;
SELECT count(*) AS digests FROM studio_engine.welcomed;
-- an address that is not confirmed yet
UPDATE auth.users SET email_change = 'guest@example.com' WHERE id = t.id(1);
UPDATE auth.users SET email = 'guest@example.com' WHERE id = t.id(1);
SELECT * FROM t.who;
-- permanent, and no further
UPDATE auth.users SET is_anonymous = false WHERE id = t.id(1);
SELECT * FROM t.who;
SELECT t.quiet($$SELECT t.repair(1)$$);
UPDATE auth.users SET is_anonymous = true WHERE id = t.id(1);
UPDATE auth.users SET is_anonymous = false WHERE id = t.id(1);
SELECT * FROM t.who;
-- with an address that was welcomed: in one statement, in two, whichever comes first
CALL t.join(2, p_anonymous => true);
UPDATE auth.users SET is_anonymous = false, email = ' Guest@Example.com' WHERE id = t.id(2);
CALL t.leave(1);
CALL t.join(3, p_anonymous => true);
UPDATE auth.users SET email_change = 'guest@example.com' WHERE id = t.id(3);
UPDATE auth.users SET is_anonymous = false WHERE id = t.id(3);
UPDATE auth.users SET email = 'guest@example.com', email_change = '' WHERE id = t.id(3);
CALL t.join(4, p_anonymous => true);
UPDATE auth.users SET email = 'GUEST@example.com' WHERE id = t.id(4);
UPDATE auth.users SET is_anonymous = false WHERE id = t.id(4);
SELECT * FROM t.who;
-- an address that is not confirmed counts for nothing else
CALL t.join(15, p_anonymous => true);
UPDATE auth.users SET is_anonymous = false, phone = '491234569' WHERE id = t.id(15);
UPDATE auth.users SET email_change = 'victim@example.com' WHERE id = t.id(15);
CALL t.leave(15);
CALL t.join(16, 'victim@example.com');
SELECT * FROM t.who WHERE "user" IN (15, 16);
-- by telephone
CALL t.join(5, p_anonymous => true);
UPDATE auth.users SET is_anonymous = false, phone = '491234568' WHERE id = t.id(5);
SELECT * FROM t.who WHERE "user" = 5;
-- by a provider that sends a name
CALL t.join(6, p_anonymous => true);
UPDATE auth.users SET is_anonymous = false, email = 'oauth@example.com', raw_user_meta_data = '{"full_name": "By Provider", "picture": "https://p"}'
 WHERE id = t.id(6);
SELECT * FROM t.who WHERE "user" = 6;
-- without credits at that time; later by ensure_profile()
CALL t.set('welcome_credits', '0');
CALL t.join(7, p_anonymous => true);
UPDATE auth.users SET is_anonymous = false, email = 'seven@example.com' WHERE id = t.id(7);
CALL t.set('welcome_credits', '10');
SELECT * FROM t.who WHERE "user" = 7;
SELECT ensure_profile(t.id(7)) IS NOT NULL AS asked;
SELECT * FROM t.who WHERE "user" = 7;
-- one whose conversion was rolled back is anonymous
CALL t.join(8, p_anonymous => true);
BEGIN;
UPDATE auth.users SET is_anonymous = false, email = 'eight@example.com' WHERE id = t.id(8);
ROLLBACK;
SELECT * FROM t.who WHERE "user" = 8;
-- at once, where the setting says so, and not again
CALL t.set('welcome_anonymous', '1');
CALL t.join(9, p_anonymous => true);
SELECT * FROM t.who WHERE "user" = 9;
UPDATE auth.users SET is_anonymous = false, email = 'nine@example.com' WHERE id = t.id(9);
SELECT * FROM t.who WHERE "user" = 9;
-- one from before the setting
SELECT ensure_profile(t.id(8)) IS NOT NULL AS asked;
SELECT * FROM t.who WHERE "user" = 8;
CALL t.set('welcome_anonymous', '0');
-- and the other way round
CALL t.leave(9);
CALL t.join(10, 'nine@example.com');
SELECT * FROM t.who WHERE "user" = 10;
-- as the auth server
CALL t.join(11, p_anonymous => true);
SET SESSION AUTHORIZATION supabase_auth_admin;
SET search_path = auth;
UPDATE users SET is_anonymous = false, email = 'eleven@example.com' WHERE id = t.id(11);
RESET SESSION AUTHORIZATION;
RESET search_path;
SELECT * FROM t.who WHERE "user" = 11;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- ---------------------------------------------------------------------------
-- An auth server without these columns
-- ---------------------------------------------------------------------------
BEGIN;
ALTER TABLE auth.users DROP COLUMN is_anonymous, DROP COLUMN deleted_at, DROP COLUMN email_change;
INSERT INTO auth.users (id, email, raw_user_meta_data) VALUES (t.id(1), 'plain@example.com', '{"name": "Plain"}');
UPDATE auth.users SET email = 'plain2@example.com' WHERE id = t.id(1);
DELETE FROM auth.users WHERE id = t.id(1);
INSERT INTO auth.users (id, email) VALUES (t.id(2), 'plain2@example.com');
SELECT ensure_profile(t.id(2)) IS NOT NULL AS asked;
SELECT * FROM t.who;
ALTER TABLE auth.users DROP COLUMN email CASCADE;
INSERT INTO auth.users (id) VALUES (t.id(3));
UPDATE auth.users SET raw_user_meta_data = '{"name": "No address"}' WHERE id = t.id(3);
SELECT * FROM t.who;
SELECT ensure_profile(t.id(3)) IS NOT NULL AS asked;
DELETE FROM auth.users WHERE id = t.id(2);
ROLLBACK;

-- ---------------------------------------------------------------------------
-- Payments of deleted users
-- ---------------------------------------------------------------------------
CALL t.join(1);
CALL t.join(2);
SELECT purchase_credits(t.id(1), 50, 'pi_1') IS NOT NULL, subscription_credits(t.id(1), 30, 'in_1') IS NOT NULL, reverse_purchase('pi_1', 20);
INSERT INTO credit_ledger (user_id, type, amount, stripe_payment_id) VALUES
  (t.id(1), 'purchase', 5, 'pi_plain'), (t.id(1), 'grant', 5, 'pi_of_a_grant');
CALL t.leave(1);
SELECT count(*) AS digests, count(*) FILTER (WHERE digest = ANY (ARRAY[t.digest('payment:pi_1'), t.digest('payment:in_1'), t.digest('payment:pi_plain')])) AS expected
  FROM studio_engine.payment_digests;
-- for nobody else, not as another kind, nor for the same user when he is back
CALL t.join(1);
SELECT t.quiet($$SELECT purchase_credits(t.id(2), 50, 'pi_1')$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(2), 50, 'pi_1')$$);
SELECT t.quiet($$SELECT subscription_credits(t.id(2), 30, 'in_1')$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 50, 'pi_1')$$);
SELECT t.quiet($$SELECT purchase_credits(t.id(1), 5, 'pi_plain', p_expires_at => now() - interval '1 day')$$);
CALL t.as_role('service_role');
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, stripe_payment_id) VALUES (t.id(2), 'purchase', 50, 'pi_1') RETURNING 1$$);
SELECT t.quiet($$INSERT INTO credit_ledger (user_id, type, amount, stripe_payment_id) VALUES
  (t.id(2), 'grant', 1, NULL), (t.id(2), 'purchase', 1, 'pi_new'), (t.id(2), 'subscription', 30, 'in_1')$$);
CALL t.as_admin();
-- what books no payment may name it
INSERT INTO credit_ledger (user_id, type, amount, stripe_payment_id) VALUES (t.id(2), 'grant', 5, 'pi_1');
SELECT purchase_credits(t.id(2), 5, 'pi_of_a_grant') IS NOT NULL AS never_booked;
-- a refund or dispute of it
SELECT t.quiet($$SELECT reverse_purchase('pi_1', 10)$$);
SELECT t.quiet($$SELECT reinstate_purchase('pi_1', p_idempotency_key => 're_1')$$);
-- new payments are new
SELECT purchase_credits(t.id(1), 50, 'pi_2') = purchase_credits(t.id(1), 50, 'pi_2') AS replayed;
SELECT t.quiet($$SELECT purchase_credits(t.id(2), 50, 'pi_2')$$);
-- a deletion that is rolled back has forgotten nothing and remembers nothing
BEGIN;
SAVEPOINT a;
CALL t.leave(1);
SELECT t.try($$SELECT purchase_credits(t.id(2), 50, 'pi_2')$$);
ROLLBACK TO a;
COMMIT;
SELECT t.quiet($$SELECT purchase_credits(t.id(2), 50, 'pi_2')$$);
SELECT count(*) AS digests FROM studio_engine.payment_digests;
SELECT reverse_purchase('pi_2');
SELECT * FROM t.books();
-- statements in the place of the fast path
BEGIN;
SET LOCAL studio_engine.direct_rows = off;
SELECT t.try($$SELECT purchase_credits(t.id(2), 50, 'pi_1')$$);
ROLLBACK;
SELECT * FROM t.clean();

-- ---------------------------------------------------------------------------
-- The key
-- ---------------------------------------------------------------------------
-- made when it is needed and missing, as where only the schema was restored
BEGIN;
SELECT value AS old FROM studio_engine.meta WHERE name = 'digest_key' \gset
DELETE FROM studio_engine.meta WHERE name = 'digest_key';
CALL t.join(1, 'ann@example.com');
SELECT value ~ '^[0-9a-f]{64}$' AS is_hex, value <> :'old' AS is_another FROM studio_engine.meta WHERE name = 'digest_key';
SELECT digest = t.digest('email:ann@example.com') AS expected FROM studio_engine.welcomed;
CALL t.leave(1);
CALL t.join(2, 'ann@example.com');
SELECT * FROM t.who;
ROLLBACK;
-- kept by a second installation; made by one that finds data without it
BEGIN;
SET LOCAL client_min_messages = error;
DROP VIEW t.who;
DROP EXTENSION studio_engine CASCADE;
CREATE EXTENSION studio_engine;
SELECT value = :'old' AS kept FROM studio_engine.meta WHERE name = 'digest_key';
DROP EXTENSION studio_engine CASCADE;
DELETE FROM studio_engine.meta WHERE name = 'digest_key';
CREATE EXTENSION studio_engine;
SELECT value ~ '^[0-9a-f]{64}$' AS made FROM studio_engine.meta WHERE name = 'digest_key';
SELECT tgname, tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass AND NOT tgisinternal ORDER BY tgname;
ROLLBACK;

DROP FUNCTION t.digest, t.hmac, t.repair;
DROP PROCEDURE t.join, t.leave, t.set;
DROP VIEW t.who;
SELECT * FROM t.books();
SELECT * FROM t.clean();
