-- The Supabase stand-in (sql/stub/studio_engine_supabase_stub.sql) behaves as Supabase does:
-- roles, auth.users, the identity functions, default privileges, publication.
-- Wants a superuser and a database in which the stand-in was run by the same one.
-- The pitfall: pgTAP keeps its notes in temporary tables of the superuser, so no
-- assertion may run under SET ROLE; pg_temp.run_as() steps into a role and back.
SET search_path = tap, public, pg_catalog;

-- What SET LOCAL leaves behind shows only after a whole transaction, and only in
-- a session that has not touched the setting: hence here, before everything else.
BEGIN;
SELECT current_setting('request.jwt.claims', true) IS NULL AND auth.uid() IS NULL
	AS unset_is_nobody \gset
SET LOCAL "request.jwt.claims" = '{"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}';
SET LOCAL "request.jwt.claim.sub" = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
COMMIT;

BEGIN;
SELECT plan(143);

--------------------------------------------------------------------------------
-- Helpers
--------------------------------------------------------------------------------

-- Sets the two settings an identity comes from; NULL stands for "not given".
CREATE FUNCTION pg_temp.sign_in(p_claims text, p_legacy_sub text DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
	SELECT set_config('request.jwt.claims', COALESCE(p_claims, ''), true),
		   set_config('request.jwt.claim.sub', COALESCE(p_legacy_sub, ''), true);
$$;

CREATE FUNCTION pg_temp.uid_of(p_claims text, p_legacy_sub text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_temp.sign_in(p_claims, p_legacy_sub);
	RETURN auth.uid();
END $$;

-- One value, computed as another role; after an error the role is undone as well.
CREATE FUNCTION pg_temp.run_as(p_role text, p_query text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v_result text;
BEGIN
	PERFORM set_config('role', p_role, true);
	EXECUTE p_query INTO v_result;
	PERFORM set_config('role', 'none', true);
	RETURN v_result;
END $$;

-- Everything the stand-in makes, as one text: equal texts mean nothing changed.
-- Role oids are part of it on purpose, a role made anew would have another one.
CREATE FUNCTION pg_temp.installation() RETURNS text
LANGUAGE sql AS $$
	SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT format('role %s %s', oid, to_jsonb(r) - 'rolpassword')
		FROM pg_authid r
		WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator', 'supabase_auth_admin')
		UNION ALL
		SELECT 'member ' || to_jsonb(m)::text FROM pg_auth_members m
		WHERE member = 'authenticator'::regrole
		UNION ALL
		SELECT 'setting ' || to_jsonb(s)::text FROM pg_db_role_setting s
		WHERE setrole = 'supabase_auth_admin'::regrole
		UNION ALL
		SELECT 'schema ' || to_jsonb(n)::text FROM pg_namespace n WHERE nspname IN ('auth', 'public')
		UNION ALL
		SELECT 'relation ' || to_jsonb(c)::text
		FROM (SELECT oid, relname, relowner, relkind, relrowsecurity, relacl FROM pg_class
			  WHERE relnamespace = to_regnamespace('auth')) c
		UNION ALL
		SELECT 'column ' || to_jsonb(a)::text
		FROM (SELECT attrelid, attnum, attname, atttypid, attnotnull, attacl FROM pg_attribute
			  WHERE attrelid = to_regclass('auth.users')) a
		UNION ALL
		SELECT 'function ' || to_jsonb(p)::text FROM pg_proc p
		WHERE pronamespace = to_regnamespace('auth')
		UNION ALL
		SELECT 'default ' || to_jsonb(d)::text FROM pg_default_acl d
		UNION ALL
		SELECT 'publication ' || to_jsonb(p)::text FROM pg_publication p
		UNION ALL
		SELECT 'published ' || to_jsonb(p)::text FROM pg_publication_rel p
	) AS facts (line);
$$;

CREATE FUNCTION pg_temp.has_all_table_rights(p_role text, p_table text) RETURNS boolean
LANGUAGE sql AS $$
	SELECT bool_and(has_table_privilege(p_role, p_table, privilege))
	FROM unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS t (privilege);
$$;

CREATE FUNCTION pg_temp.has_any_table_right(p_role text, p_table text) RETURNS boolean
LANGUAGE sql AS $$
	SELECT has_table_privilege(p_role, p_table, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER')
		OR has_any_column_privilege(p_role, p_table, 'SELECT,INSERT,UPDATE,REFERENCES');
$$;

--------------------------------------------------------------------------------
-- Roles
--------------------------------------------------------------------------------

SELECT results_eq(
	$$ SELECT rolname, rolcanlogin, rolinherit, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication
	   FROM pg_roles
	   WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator', 'supabase_auth_admin')
	   ORDER BY rolname $$,
	$$ VALUES ('anon'::name,          false, false, false, false, false, false, false),
			  ('authenticated',       false, false, false, false, false, false, false),
			  ('authenticator',       true,  false, false, false, false, false, false),
			  ('service_role',        false, false, false, true,  false, false, false),
			  ('supabase_auth_admin', true,  false, false, false, true,  false, false) $$,
	'the five roles have the attributes they have on Supabase');

SELECT is_member_of('anon', 'authenticator', 'authenticator may become anon');
SELECT is_member_of('authenticated', 'authenticator', 'authenticator may become authenticated');
SELECT is_member_of('service_role', 'authenticator', 'authenticator may become service_role');

SELECT is(pg_has_role('authenticator', role, 'USAGE'), false,
		  'authenticator has no right of ' || role || ' before it becomes that role')
FROM unnest('{anon,authenticated,service_role}'::text[]) AS t (role);

SELECT is_empty(
	$$ SELECT m.roleid::regrole, m.member::regrole FROM pg_auth_members m
	   WHERE m.member IN ('anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole) $$,
	'the API roles are members of nothing');

SELECT is(
	(SELECT s.setconfig FROM pg_db_role_setting s
	 WHERE s.setrole = 'supabase_auth_admin'::regrole AND s.setdatabase = 0),
	'{search_path=auth}'::text[],
	'supabase_auth_admin logs in with search_path auth');

SELECT is_empty(
	$$ SELECT rolname FROM pg_authid
	   WHERE rolpassword IS NOT NULL
		 AND rolname IN ('anon', 'authenticated', 'service_role') $$,
	'no API role has a password');

--------------------------------------------------------------------------------
-- Schema auth and its table
--------------------------------------------------------------------------------

SELECT schema_owner_is('auth', 'supabase_auth_admin');

SELECT is(has_schema_privilege(role, 'auth', 'USAGE'), true, role || ' may use schema auth')
FROM unnest('{anon,authenticated,service_role}'::text[]) AS t (role);

SELECT is(has_schema_privilege(role, 'auth', 'CREATE'), false, role || ' may not create in schema auth')
FROM unnest('{anon,authenticated,service_role}'::text[]) AS t (role);

SELECT table_owner_is('auth', 'users', 'supabase_auth_admin', 'supabase_auth_admin owns auth.users');

SELECT results_eq(
	$$ SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated = 's'
	   FROM pg_attribute
	   WHERE attrelid = 'auth.users'::regclass AND attnum > 0 AND NOT attisdropped
	   ORDER BY attnum $$,
	$$ VALUES ('instance_id'::name,           'uuid',                     false, false),
			  ('id',                          'uuid',                     true,  false),
			  ('aud',                         'character varying(255)',   false, false),
			  ('role',                        'character varying(255)',   false, false),
			  ('email',                       'character varying(255)',   false, false),
			  ('encrypted_password',          'character varying(255)',   false, false),
			  ('email_confirmed_at',          'timestamp with time zone', false, false),
			  ('invited_at',                  'timestamp with time zone', false, false),
			  ('confirmation_token',          'character varying(255)',   false, false),
			  ('confirmation_sent_at',        'timestamp with time zone', false, false),
			  ('recovery_token',              'character varying(255)',   false, false),
			  ('recovery_sent_at',            'timestamp with time zone', false, false),
			  ('email_change_token_new',      'character varying(255)',   false, false),
			  ('email_change',                'character varying(255)',   false, false),
			  ('email_change_sent_at',        'timestamp with time zone', false, false),
			  ('last_sign_in_at',             'timestamp with time zone', false, false),
			  ('raw_app_meta_data',           'jsonb',                    false, false),
			  ('raw_user_meta_data',          'jsonb',                    false, false),
			  ('is_super_admin',              'boolean',                  false, false),
			  ('created_at',                  'timestamp with time zone', false, false),
			  ('updated_at',                  'timestamp with time zone', false, false),
			  ('phone',                       'text',                     false, false),
			  ('phone_confirmed_at',          'timestamp with time zone', false, false),
			  ('phone_change',                'text',                     false, false),
			  ('phone_change_token',          'character varying(255)',   false, false),
			  ('phone_change_sent_at',        'timestamp with time zone', false, false),
			  ('confirmed_at',                'timestamp with time zone', false, true),
			  ('email_change_token_current',  'character varying(255)',   false, false),
			  ('email_change_confirm_status', 'smallint',                 false, false),
			  ('banned_until',                'timestamp with time zone', false, false),
			  ('reauthentication_token',      'character varying(255)',   false, false),
			  ('reauthentication_sent_at',    'timestamp with time zone', false, false),
			  ('is_sso_user',                 'boolean',                  true,  false),
			  ('deleted_at',                  'timestamp with time zone', false, false),
			  ('is_anonymous',                'boolean',                  true,  false) $$,
	'auth.users has the columns of the real table, in their order');

SELECT col_is_pk('auth', 'users', 'id', 'auth.users(id) is the primary key');
SELECT col_hasnt_default('auth', 'users', 'id', 'auth.users(id) has no default, the sign-up service chooses it');

SELECT is((SELECT relrowsecurity FROM pg_class WHERE oid = 'auth.users'::regclass), true,
		  'auth.users has row level security');
SELECT policies_are('auth', 'users', '{}'::name[], 'auth.users has no policy');

SELECT is(pg_temp.has_any_table_right(role, 'auth.users'), false, role || ' has no right on auth.users')
FROM unnest('{anon,authenticated,service_role,authenticator,public}'::text[]) AS t (role);

SELECT throws_ok(
	format($$ SELECT pg_temp.run_as(%L, 'SELECT count(*) FROM auth.users') $$, role),
	'42501', NULL, role || ' cannot read auth.users')
FROM unnest('{anon,authenticated,service_role}'::text[]) AS t (role);

SELECT is(
	pg_temp.run_as('supabase_auth_admin', $$
		WITH signed_up AS (
			INSERT INTO auth.users (id, email, phone, email_confirmed_at)
			VALUES ('00000000-0000-4000-8000-00000000d001', 'stub.one@example.test', '4900000001', '2026-01-02 03:04:05+00')
			RETURNING *)
		SELECT concat_ws(' ', is_sso_user, is_anonymous, email_change_confirm_status,
						 confirmed_at = '2026-01-02 03:04:05+00', phone_change = '') FROM signed_up $$),
	'f f 0 t t',
	'supabase_auth_admin signs up a user in spite of row level security; defaults as on Supabase');

SELECT throws_ok(
	$$ INSERT INTO auth.users (id, email)
	   VALUES ('00000000-0000-4000-8000-00000000d002', 'stub.one@example.test') $$,
	'23505', NULL, 'an e-mail address belongs to one account');
SELECT lives_ok(
	$$ INSERT INTO auth.users (id, email, is_sso_user)
	   VALUES ('00000000-0000-4000-8000-00000000d003', 'stub.one@example.test', true) $$,
	'... unless the account comes from single sign-on');
SELECT throws_ok(
	$$ INSERT INTO auth.users (id, phone) VALUES ('00000000-0000-4000-8000-00000000d004', '4900000001') $$,
	'23505', NULL, 'a phone number belongs to one account');
SELECT throws_ok(
	$$ INSERT INTO auth.users (id) VALUES ('00000000-0000-4000-8000-00000000d001') $$,
	'23505', NULL, 'an id belongs to one account');
SELECT throws_ok(
	$$ INSERT INTO auth.users (email) VALUES ('stub.none@example.test') $$,
	'23502', NULL, 'an account without an id is refused');

--------------------------------------------------------------------------------
-- The identity functions as catalogue objects
--------------------------------------------------------------------------------

SELECT results_eq(
	$$ SELECT p.proname, p.prorettype::regtype::text, l.lanname, p.proowner::regrole::text
	   FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
	   WHERE p.pronamespace = 'auth'::regnamespace AND p.pronargs = 0
		 AND p.proname IN ('uid', 'role', 'email', 'jwt')
	   ORDER BY p.proname $$,
	$$ VALUES ('email'::name, 'text',  'sql'::name, 'supabase_auth_admin'),
			  ('jwt',   'jsonb', 'sql', 'supabase_auth_admin'),
			  ('role',  'text',  'sql', 'supabase_auth_admin'),
			  ('uid',   'uuid',  'sql', 'supabase_auth_admin') $$,
	'the four functions: result, language, owner');

SELECT volatility_is('auth', f, '{}'::name[], 'stable', 'auth.' || f || '() is STABLE')
FROM unnest('{uid,role,email,jwt}'::name[]) AS t (f);
SELECT isnt_definer('auth', f, '{}'::name[], 'auth.' || f || '() runs as its caller')
FROM unnest('{uid,role,email,jwt}'::name[]) AS t (f);

SELECT is_empty(
	$$ SELECT proname FROM pg_proc
	   WHERE pronamespace = 'auth'::regnamespace
		 AND (proconfig IS NOT NULL OR proisstrict OR proparallel <> 'u' OR proleakproof) $$,
	'none of them has a SET clause, or is strict, parallel safe or leakproof');

SELECT is(has_function_privilege('public', 'auth.' || f || '()', 'EXECUTE'), true,
		  'everybody may execute auth.' || f || '()')
FROM unnest('{uid,role,email,jwt}'::text[]) AS t (f);

CREATE FUNCTION pg_temp.plan_of(p_query text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v_line text;
	v_plan text := '';
BEGIN
	FOR v_line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || p_query LOOP
		v_plan := v_plan || v_line || E'\n';
	END LOOP;
	RETURN v_plan;
END $$;

SELECT alike(pg_temp.plan_of('SELECT auth.uid() FROM pg_class LIMIT 1'), '%COALESCE%',
			 'the planner inlines auth.uid()');

--------------------------------------------------------------------------------
-- auth.uid(), case by case
--------------------------------------------------------------------------------

SELECT is(:'unset_is_nobody'::boolean, true, 'uid: settings never made: NULL');
SELECT is(current_setting('request.jwt.claims', true), '',
		  'uid: SET LOCAL leaves an empty string behind, not NULL');
SELECT is(auth.uid(), NULL::uuid, 'uid: ... which is nobody');

SELECT is(pg_temp.uid_of(claims), NULL::uuid, 'uid: NULL when the claims are ' || label)
FROM (VALUES (1, 'an empty string',                  ''),
			 (2, 'an empty object',                  '{}'),
			 (3, 'an object without sub',            '{"role": "anon"}'),
			 (4, 'the service token',                '{"role": "service_role", "iss": "supabase"}'),
			 (5, 'an object with sub null',          '{"sub": null}'),
			 (6, 'JSON null',                        'null'),
			 (7, 'a JSON number',                    '42'),
			 (8, 'a JSON string',                    '"sub"'),
			 (9, 'a JSON boolean',                   'true'),
			 (10, 'an array',                        '[{"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}]'),
			 (11, 'an object with Sub, other case',  '{"Sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}'),
			 (12, 'an object with a nested sub',     '{"user": {"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}}')
	 ) AS t (n, label, claims)
ORDER BY n;

SELECT is(pg_temp.uid_of(claims), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'uid: accepted: ' || label)
FROM (VALUES (1, 'the usual form',                   '{"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "role": "authenticated"}'),
			 (2, 'upper case',                       '{"sub": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}'),
			 (3, 'braces',                           '{"sub": "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"}'),
			 (4, 'no dashes',                        '{"sub": "a0eebc999c0b4ef8bb6d6bb9bd380a11"}'),
			 (5, 'a key given twice: the last wins', '{"sub": "00000000-0000-4000-8000-000000000000", "sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}'),
			 (6, 'blanks around the document',       '  {"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}  '),
			 (7, 'an anonymous sign-in',             '{"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "role": "authenticated", "is_anonymous": true}')
	 ) AS t (n, label, claims)
ORDER BY n;

SELECT throws_ok(format('SELECT pg_temp.uid_of(%L)', claims), code, NULL, 'uid: ' || code || ' for ' || label)
FROM (VALUES (1, '22P02', 'malformed JSON',               '{"sub": '),
			 (2, '22P02', 'blanks only',                  '   '),
			 (3, '22P05', 'a NUL character',              '{"sub": "\u0000"}'),
			 (4, '22P02', 'sub empty',                    '{"sub": ""}'),
			 (5, '22P02', 'sub a number',                 '{"sub": 42}'),
			 (6, '22P02', 'sub a word',                   '{"sub": "service"}'),
			 (7, '22P02', 'sub true',                     '{"sub": true}'),
			 (8, '22P02', 'sub an object',                '{"sub": {}}'),
			 (9, '22P02', 'sub with a leading blank',     '{"sub": " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}'),
			 (10, '22P02', 'sub cut short',               '{"sub": "a0eebc99-9c0b-4ef8-bb6d"}')
	 ) AS t (n, code, label, claims)
ORDER BY n;

SELECT is(pg_temp.uid_of(NULL, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid,
		  'uid: the old setting alone is enough');
SELECT is(pg_temp.uid_of('{"sub": "00000000-0000-4000-8000-000000000000"}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
		  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid,
		  'uid: the old setting wins over the claims');
SELECT is(pg_temp.uid_of('{"sub": ', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid,
		  'uid: ... which are then not even parsed');
SELECT is(pg_temp.uid_of('{"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}', ''), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid,
		  'uid: the old setting counts as absent when it is empty');
SELECT throws_ok($$ SELECT pg_temp.uid_of('{"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}', 'service') $$,
				 '22P02', NULL, 'uid: 22P02 for an old setting that is no uuid');

--------------------------------------------------------------------------------
-- auth.role(), auth.email(), auth.jwt()
--------------------------------------------------------------------------------

SELECT pg_temp.sign_in('{"role": "authenticated", "email": "stub.one@example.test"}') \g /dev/null
SELECT is(auth.role(), 'authenticated', 'role: the claim');
SELECT is(auth.email(), 'stub.one@example.test', 'email: the claim');
SELECT is(auth.jwt(), '{"role": "authenticated", "email": "stub.one@example.test"}'::jsonb, 'jwt: the whole document');
SELECT is(pg_temp.run_as('anon', 'SELECT auth.role()'), 'authenticated',
		  'role: what the token says, whoever current_user is');

SELECT set_config('request.jwt.claim.role', 'anon', true),
	   set_config('request.jwt.claim.email', 'stub.two@example.test', true),
	   set_config('request.jwt.claim', '{"sub": "old"}', true) \g /dev/null
SELECT is(auth.role(), 'anon', 'role: the old setting wins');
SELECT is(auth.email(), 'stub.two@example.test', 'email: the old setting wins');
SELECT is(auth.jwt(), '{"sub": "old"}'::jsonb, 'jwt: the old setting wins');

SELECT set_config('request.jwt.claim.role', '', true),
	   set_config('request.jwt.claim.email', '', true),
	   set_config('request.jwt.claim', '', true) \g /dev/null
SELECT is(auth.role(), 'authenticated', 'role: an empty old setting counts as absent');
SELECT is(auth.email(), 'stub.one@example.test', 'email: an empty old setting counts as absent');
SELECT is(auth.jwt() ->> 'role', 'authenticated', 'jwt: an empty old setting counts as absent');

SELECT pg_temp.sign_in('{"role": "", "email": null}') \g /dev/null
SELECT is(auth.role(), '', 'role: an empty claim stays an empty string');
SELECT is(auth.email(), NULL, 'email: a null claim is NULL');

SELECT pg_temp.sign_in('') \g /dev/null
SELECT is(auth.role(), NULL, 'role: NULL without claims');
SELECT is(auth.email(), NULL, 'email: NULL without claims');
SELECT is(auth.jwt(), NULL::jsonb, 'jwt: NULL without claims');

SELECT pg_temp.sign_in('not json') \g /dev/null
SELECT throws_ok(format('SELECT auth.%s()', f), '22P02', NULL, f || ': 22P02 for malformed claims')
FROM unnest('{role,email,jwt}'::text[]) AS t (f);
SELECT pg_temp.sign_in('') \g /dev/null

--------------------------------------------------------------------------------
-- Schema public: what is created there is open to the API roles by name
--------------------------------------------------------------------------------

CREATE TABLE public.stub_probe (
	id bigserial PRIMARY KEY,
	owner uuid NOT NULL
);
CREATE FUNCTION public.stub_probe_count() RETURNS bigint LANGUAGE sql
AS 'SELECT count(*) FROM public.stub_probe';
REVOKE ALL ON FUNCTION public.stub_probe_count() FROM PUBLIC;
REVOKE ALL ON TABLE public.stub_probe FROM PUBLIC;

SELECT is(has_schema_privilege(role, 'public', 'USAGE'), true, role || ' may use schema public')
FROM unnest('{anon,authenticated,service_role}'::text[]) AS t (role);
SELECT is(pg_temp.has_all_table_rights(role, 'public.stub_probe'), true,
		  role || ' gets every right on a new table in public')
FROM unnest('{anon,authenticated,service_role}'::text[]) AS t (role);
SELECT is(has_sequence_privilege(role, 'public.stub_probe_id_seq', 'USAGE')
		  AND has_sequence_privilege(role, 'public.stub_probe_id_seq', 'SELECT')
		  AND has_sequence_privilege(role, 'public.stub_probe_id_seq', 'UPDATE'), true,
		  role || ' gets every right on a new sequence in public')
FROM unnest('{anon,authenticated,service_role}'::text[]) AS t (role);
SELECT is(has_function_privilege(role, 'public.stub_probe_count()', 'EXECUTE'), true,
		  role || ' may execute a new function in public, although it was revoked from PUBLIC')
FROM unnest('{anon,authenticated,service_role}'::text[]) AS t (role);

SELECT is(has_table_privilege('public', 'public.stub_probe', 'SELECT'), false,
		  'the open door is by name, not through PUBLIC');

SELECT is_empty(
	$$ SELECT r.rolname, kind.objtype, api.role
	   FROM pg_roles r
	   CROSS JOIN (VALUES ('r', 'INSERT'), ('S', 'USAGE'), ('f', 'EXECUTE')) AS kind (objtype, privilege)
	   CROSS JOIN unnest('{anon,authenticated,service_role}'::regrole[]) AS api (role)
	   WHERE (r.oid = 10 OR r.rolname IN (current_user, 'postgres'))
		 AND NOT EXISTS (
			SELECT FROM pg_default_acl d, aclexplode(d.defaclacl) AS a
			WHERE d.defaclrole = r.oid AND d.defaclnamespace = 'public'::regnamespace
			  AND d.defaclobjtype::text = kind.objtype
			  AND a.grantee = api.role AND a.privilege_type = kind.privilege) $$,
	'so it is for whatever current_user, postgres or the bootstrap superuser creates');

CREATE TABLE auth.stub_probe (id integer);
SELECT is(pg_temp.has_any_table_right(role, 'auth.stub_probe'), false,
		  role || ' gets no right on a new table outside public')
FROM unnest('{anon,authenticated,service_role}'::text[]) AS t (role);
DROP TABLE auth.stub_probe;

--------------------------------------------------------------------------------
-- Row level security as the three roles see it
--------------------------------------------------------------------------------

ALTER TABLE public.stub_probe ENABLE ROW LEVEL SECURITY;
CREATE POLICY stub_probe_own ON public.stub_probe FOR SELECT TO authenticated
	USING ((SELECT auth.uid()) = owner);
INSERT INTO public.stub_probe (owner) VALUES
	('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12');

SELECT pg_temp.sign_in('{"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}') \g /dev/null
SELECT is(pg_temp.run_as('anon', 'SELECT count(*) FROM public.stub_probe'), '0',
		  'anon sees no row, whatever the claims say');
SELECT is(pg_temp.run_as('authenticated', 'SELECT count(*) FROM public.stub_probe'), '1',
		  'authenticated sees the row of its auth.uid()');
SELECT is(pg_temp.run_as('service_role', 'SELECT count(*) FROM public.stub_probe'), '2',
		  'service_role passes row level security');
SELECT throws_ok(
	$$ SELECT pg_temp.run_as('authenticated',
		   'INSERT INTO public.stub_probe (owner) VALUES (auth.uid()) RETURNING id') $$,
	'42501', NULL, 'authenticated cannot insert where no policy lets it');
SELECT isnt(pg_temp.run_as('service_role',
				'INSERT INTO public.stub_probe (owner) VALUES (auth.uid()) RETURNING id'), NULL,
			'service_role inserts without a policy');

SELECT pg_temp.sign_in('') \g /dev/null
SELECT is(pg_temp.run_as('authenticated', 'SELECT count(*) FROM public.stub_probe'), '0',
		  'authenticated without an identity sees nothing');

REVOKE ALL ON TABLE public.stub_probe FROM service_role;
SELECT throws_ok($$ SELECT pg_temp.run_as('service_role', 'SELECT count(*) FROM public.stub_probe') $$,
				 '42501', NULL, 'service_role is no superuser: without a grant it is refused');

--------------------------------------------------------------------------------
-- Publication
--------------------------------------------------------------------------------

SELECT results_eq(
	$$ SELECT puballtables, pubinsert, pubupdate, pubdelete, pubtruncate
	   FROM pg_publication WHERE pubname = 'supabase_realtime' $$,
	$$ VALUES (false, true, true, true, true) $$,
	'publication supabase_realtime carries every kind of change of the tables one adds');

--------------------------------------------------------------------------------
-- Running the script again
--------------------------------------------------------------------------------

SELECT pg_temp.installation() AS installed, current_setting('search_path') AS path \gset
\ir ../../sql/stub/studio_engine_supabase_stub.sql
SELECT is(pg_temp.installation(), :'installed', 'a second run changes nothing');
SELECT is(current_setting('search_path'), :'path', '... not even the search_path of the session');

-- What went missing comes back; what the owner changed stays.
DROP FUNCTION auth.email();
DROP PUBLICATION supabase_realtime;
REVOKE service_role FROM authenticator;
ALTER ROLE supabase_auth_admin SET search_path = auth, extensions;
ALTER TABLE auth.users ADD COLUMN stub_note text;
ALTER ROLE anon CREATEDB;
\ir ../../sql/stub/studio_engine_supabase_stub.sql
SELECT has_function('auth', 'email', '{}'::name[], 'a run puts back a missing function');
SELECT is((SELECT count(*) FROM pg_publication WHERE pubname = 'supabase_realtime'), 1::bigint,
		  '... a missing publication');
SELECT is_member_of('service_role', 'authenticator', '... and a missing membership');
SELECT has_column('auth', 'users', 'stub_note', 'it leaves a changed table alone');
SELECT is((SELECT rolcreatedb FROM pg_roles WHERE rolname = 'anon'), true, '... a changed role');
SELECT is((SELECT s.setconfig FROM pg_db_role_setting s
		   WHERE s.setrole = 'supabase_auth_admin'::regrole AND s.setdatabase = 0),
		  '{"search_path=auth, extensions"}'::text[], '... and a changed setting');

-- A schema auth that is not ours: here one whose mark is gone, then one of
-- another owner.  The warning is expected, and kept out of the log.
SET LOCAL client_min_messages = error;
DROP FUNCTION auth.email();
REVOKE anon FROM authenticator;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon;
SELECT obj_description('auth'::regnamespace, 'pg_namespace') AS mark \gset
COMMENT ON SCHEMA auth IS NULL;
SELECT pg_temp.installation() AS foreign_auth \gset
\ir ../../sql/stub/studio_engine_supabase_stub.sql
SELECT is(pg_temp.installation(), :'foreign_auth', 'a schema auth of unknown origin: nothing is touched, nowhere');

COMMENT ON SCHEMA auth IS :'mark';
ALTER SCHEMA auth OWNER TO CURRENT_USER;
SELECT pg_temp.installation() AS foreign_owner \gset
\ir ../../sql/stub/studio_engine_supabase_stub.sql
SELECT is(pg_temp.installation(), :'foreign_owner', 'a schema auth of another owner: nothing is touched either');
SELECT is(current_setting('search_path'), :'path', '... and the search_path is as it was');

SELECT * FROM finish();
ROLLBACK;
