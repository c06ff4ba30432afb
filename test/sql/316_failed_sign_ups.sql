-- 316_failed_sign_ups.sql
--
-- What is left of a sign-up that failed, who is told, and what repairs it: each
-- user for himself, whether his failure is known or not.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE VIEW t.failed AS
SELECT t.n(user_id) AS "user", part, tries, sqlstate, left(t.masked(message), 60) AS message FROM studio_engine.failed_sign_ups ORDER BY 1, 2;
CREATE VIEW t.lacking AS
SELECT t.n(u.id)::integer AS "user", p.id IS NOT NULL AS profile, a.balance
  FROM auth.users u LEFT JOIN public.profiles p USING (id) LEFT JOIN public.credit_accounts a ON a.user_id = u.id
 WHERE p.id IS NULL OR a.user_id IS NULL ORDER BY 1;
CREATE VIEW t.setup AS
SELECT name, ok, t.masked(detail) AS detail, remedy FROM verify_setup();

SELECT * FROM t.setup;

-- the profile fails, or the account, or both
ALTER TABLE public.profiles ADD CONSTRAINT no_2 CHECK (id <> '00000000-0000-4000-8000-000000000002');
INSERT INTO auth.users (id) VALUES (t.id(1)), (t.id(2)), (t.id(3));
SELECT t.force_setting('welcome_credits', 'ten');
INSERT INTO auth.users (id) VALUES (t.id(4));
ALTER TABLE public.profiles ADD CONSTRAINT no_5 CHECK (id <> '00000000-0000-4000-8000-000000000005');
INSERT INTO auth.users (id) VALUES (t.id(5));
SELECT * FROM t.failed;
SELECT * FROM t.lacking;
SELECT * FROM t.setup;

-- the cause is still there: the row says so; the others are repaired
SELECT repair_sign_ups() AS none;
SELECT * FROM t.failed;
SELECT set_setting('welcome_credits', NULL);
SELECT repair_sign_ups() AS repaired;
SELECT * FROM t.failed;
SELECT * FROM t.lacking;
-- those who failed last are at the end: one who cannot be repaired is not in the way
ALTER TABLE public.profiles DROP CONSTRAINT no_5;
SELECT repair_sign_ups(1) AS first, repair_sign_ups(1) AS second;
SELECT * FROM t.failed;
-- an error of ensure_profile() is the caller's; success forgets
SELECT t.ask($$SELECT ensure_profile(t.id(2))$$);
ALTER TABLE public.profiles DROP CONSTRAINT no_2;
SELECT ensure_profile(t.id(2)) IS NOT NULL AS ensured;
SELECT * FROM t.failed;
SELECT count(*) AS users, sum(balance) AS credits FROM credit_accounts;
SELECT * FROM t.setup WHERE NOT ok;

-- users whom no trigger saw, as those who were there before
ALTER TABLE auth.users DISABLE TRIGGER on_auth_user_created;
INSERT INTO auth.users (id) SELECT t.id(i) FROM generate_series(100, 2600) i;
ALTER TABLE auth.users ENABLE TRIGGER on_auth_user_created;
SELECT count(*) FROM t.lacking;
SELECT name, ok, detail IS NOT NULL AS told FROM t.setup;
SELECT repair_sign_ups(600) AS repaired;
SELECT count(*) FROM t.lacking;
SELECT repair_sign_ups(10000) AS repaired;
SELECT repair_sign_ups(10000) AS repaired;
SELECT repair_sign_ups(10000) AS rest;
SELECT count(*) FROM t.lacking;
-- an account alone is missing, behind the mark: the next round finds it
DELETE FROM public.profiles WHERE id IN (t.id(100), t.id(2600));
SELECT sum(repair_sign_ups()) AS repaired FROM generate_series(1, 4);
SELECT count(*) FROM t.lacking;
SELECT * FROM verify_credit_ledger();

-- the failure cannot be written down: a warning, and the user is found nevertheless
BEGIN;
ALTER TABLE public.profiles ADD CONSTRAINT nobody CHECK (false) NOT VALID;
ALTER TABLE studio_engine.failed_sign_ups RENAME TO gone;
INSERT INTO auth.users (id) VALUES (t.id(6));
ALTER TABLE studio_engine.gone RENAME TO failed_sign_ups;
ALTER TABLE public.profiles DROP CONSTRAINT nobody;
SELECT * FROM t.failed;
SELECT * FROM t.lacking;
SELECT sum(repair_sign_ups()) AS repaired FROM generate_series(1, 4);
SELECT * FROM t.lacking;
ROLLBACK;

-- a user who changes; a user who is deleted; a long message
BEGIN;
ALTER TABLE public.profiles ADD CONSTRAINT nobody CHECK (id IS NULL) NOT VALID;
UPDATE auth.users SET raw_user_meta_data = '{"name": "Eve"}' WHERE id = t.id(1);
SELECT * FROM t.failed;
DELETE FROM auth.users WHERE id = t.id(1);
SELECT * FROM t.failed;
ALTER TABLE public.profiles DROP CONSTRAINT nobody;
CREATE FUNCTION t.complain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', repeat('🎬', 1000); END $$;
CREATE TRIGGER complain BEFORE INSERT ON public.profiles FOR EACH ROW EXECUTE FUNCTION t.complain();
INSERT INTO auth.users (id) VALUES (t.id(1));
SELECT octet_length(message), length(message) FROM studio_engine.failed_sign_ups;
ROLLBACK;

-- users who fail for good do not use up the limit
BEGIN;
ALTER TABLE public.profiles ADD CONSTRAINT nobody CHECK (id <> ALL ('{00000000-0000-4000-8000-000000000007,00000000-0000-4000-8000-000000000008}'::uuid[]));
INSERT INTO auth.users (id) VALUES (t.id(7)), (t.id(8));
ALTER TABLE auth.users DISABLE TRIGGER on_auth_user_created;
INSERT INTO auth.users (id) VALUES (t.id(9)), (t.id(10));
ALTER TABLE auth.users ENABLE TRIGGER on_auth_user_created;
SELECT * FROM t.lacking;
SELECT sum(repair_sign_ups(2)) AS repaired FROM generate_series(1, 4);
SELECT * FROM t.lacking;
ROLLBACK;

-- name and picture that were not removed when the auth server marked the user as deleted
BEGIN;
UPDATE public.profiles SET display_name = 'Eve', avatar_url = 'https://example.com/eve.png' WHERE id = t.id(1);
ALTER TABLE public.profiles ADD CONSTRAINT named CHECK (id <> '00000000-0000-4000-8000-000000000001' OR display_name IS NOT NULL);
UPDATE auth.users SET raw_user_meta_data = '{"name": "Eve"}' WHERE id = t.id(1);
UPDATE auth.users SET deleted_at = now() WHERE id = t.id(1);
SELECT * FROM t.failed;
SELECT repair_sign_ups() AS still_there;
ALTER TABLE public.profiles DROP CONSTRAINT named;
SAVEPOINT s;
SELECT repair_sign_ups() AS repaired;
SELECT display_name, avatar_url FROM public.profiles WHERE id = t.id(1);
SELECT * FROM t.failed;
ROLLBACK TO s;
SELECT ensure_profile(t.id(1)) -> 'display_name' AS name;
SELECT * FROM t.failed;
ROLLBACK;

-- a hook that is gone, and one that is disabled
BEGIN;
DROP TRIGGER on_auth_user_created ON auth.users;
ALTER TABLE auth.users DISABLE TRIGGER on_auth_user_deleted;
SELECT * FROM t.setup WHERE NOT ok;
SELECT remedy FROM t.setup WHERE name = 'hooks' \gset
:remedy
SELECT * FROM t.setup WHERE NOT ok;
ROLLBACK;

-- an owner of the data who cannot see all users, or may not read them; no users
BEGIN;
CREATE ROLE studio_owner;
ALTER SCHEMA studio_engine OWNER TO studio_owner;
GRANT ALL ON ALL TABLES IN SCHEMA studio_engine, public TO studio_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA studio_engine TO studio_owner;
GRANT USAGE ON SCHEMA t TO studio_owner;
DELETE FROM public.profiles WHERE id = t.id(1);
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
SET ROLE studio_owner;
SELECT * FROM studio_engine.verify_setup_as_owner() WHERE name = 'users';
RESET ROLE;
GRANT USAGE ON SCHEMA auth TO studio_owner;
GRANT SELECT (id) ON auth.users TO studio_owner;
SET ROLE studio_owner;
SELECT * FROM studio_engine.verify_setup_as_owner() WHERE name = 'users';
RESET ROLE;
ALTER ROLE studio_owner BYPASSRLS;
SET ROLE studio_owner;
SELECT name, ok, t.masked(detail) AS detail, remedy FROM studio_engine.verify_setup_as_owner() WHERE name = 'users';
ROLLBACK;
BEGIN;
ALTER TABLE auth.users RENAME TO gone;
SELECT name, ok, detail, remedy FROM t.setup;
ROLLBACK;

-- bad rows of settings
BEGIN;
SELECT t.force_setting('lease_seconds', 'abc'), t.force_setting('my_setting', '1');
SELECT * FROM t.setup WHERE NOT ok;
SELECT remedy FROM t.setup WHERE name = 'settings' \gset
:remedy
SELECT * FROM t.setup WHERE NOT ok;
ROLLBACK;

-- arguments, and who may
SELECT l, t.ask(format('SELECT repair_sign_ups(%s)', l)) AS answer FROM unnest('{0,-1,NULL::integer,10001,10000}'::text[]) l;
SET ROLE service_role;
SELECT count(*) > 2 AS checks FROM public.verify_setup();
SELECT public.repair_sign_ups();
SET ROLE authenticated;
SELECT public.verify_setup();
SELECT public.repair_sign_ups();
RESET ROLE;

DROP VIEW t.failed, t.lacking, t.setup;
SELECT * FROM t.clean();
