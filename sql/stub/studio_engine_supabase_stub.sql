/*
 * studio_engine_supabase_stub.sql
 *
 * A stand-in for the parts of Supabase that studio_engine leans on, for a plain
 * PostgreSQL 15 or newer: the API roles, auth.users, auth.uid() and its
 * siblings, the default privileges in schema public, and the publication that
 * Realtime reads.  For development, tests and small servers without Supabase.
 *
 * NEVER RUN IT ON A REAL SUPABASE PROJECT.  As a safeguard, the script looks
 * for a schema "auth" that it did not make itself, and then warns and changes
 * nothing at all, in the database or in the cluster.
 *
 * How to run it, as a superuser, once per database:
 *
 *     psql -d mydb -f "$(pg_config --sharedir)/extension/studio_engine_supabase_stub.sql"
 *
 * Running it again is harmless: only what is missing gets created.  Everything
 * happens in one statement, hence all of it or none of it, with -1 or without.
 *
 * The pitfall: roles belong to the whole CLUSTER, not to the database.
 *   - anon, authenticated, service_role (which passes every row level security
 *     policy), authenticator and supabase_auth_admin appear in every database.
 *     A role that exists already keeps its attributes; a warning names it when
 *     they differ from what Supabase has.
 *   - authenticator becomes a member of the three API roles in any case.
 *   - No role gets a password, so authenticator and supabase_auth_admin can log
 *     in only where pg_hba.conf lets them in without one.
 *   - The default privileges give the API roles every right on each new table,
 *     sequence and function in schema public.  This is what Supabase does, and
 *     code that must be safe there has to be tested under it.
 *
 * How to remove it, as a superuser (what refers to auth.users, such as foreign
 * keys and triggers, goes with it):
 *
 *     DROP PUBLICATION supabase_realtime;                    -- in every database
 *     DROP OWNED BY anon, authenticated, service_role,       -- in every database
 *         authenticator, supabase_auth_admin CASCADE;
 *     DROP ROLE anon, authenticated, service_role,           -- once, at the end
 *         authenticator, supabase_auth_admin;
 *
 * Left out on purpose, since studio_engine does not need it: schemas extensions,
 * storage and realtime, the other tables of auth, the time limits of the roles.
 */
DO $stub$
DECLARE
	stub_mark CONSTANT text := 'Stand-in for Supabase Auth, made by supabase_stub.sql of studio_engine';
	saved_path CONSTANT text := pg_catalog.current_setting('search_path');
	saved_level CONSTANT text := pg_catalog.current_setting('client_min_messages');
	api_role text;
	creator text;
	odd_roles text;
BEGIN
	PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

	IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'only a superuser can install the Supabase stand-in',
			HINT = 'Run studio_engine_supabase_stub.sql again as a superuser.';
	END IF;

	-- An auth schema without our mark is somebody else's, perhaps the real one.
	IF EXISTS (SELECT FROM pg_namespace
			   WHERE nspname = 'auth'
				 AND (pg_get_userbyid(nspowner) <> 'supabase_auth_admin'
					  OR obj_description(oid, 'pg_namespace') IS DISTINCT FROM stub_mark))
	THEN
		RAISE WARNING USING
			MESSAGE = 'the Supabase stand-in was not installed',
			DETAIL = 'This database has a schema "auth" that the stand-in did not create. Nothing was changed.',
			HINT = 'On a real Supabase project the stand-in is not needed and must not be used.';
		PERFORM set_config('search_path', saved_path, true);
		RETURN;
	END IF;

	----------------------------------------------------------------------------
	-- Roles
	----------------------------------------------------------------------------

	-- pg_authid is shared by all databases, so this lock makes runs in several
	-- databases wait for each other.  Readers and logins are not held up.
	LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE;

	IF to_regrole('anon') IS NULL THEN
		CREATE ROLE anon NOLOGIN NOINHERIT;
	END IF;
	IF to_regrole('authenticated') IS NULL THEN
		CREATE ROLE authenticated NOLOGIN NOINHERIT;
	END IF;
	IF to_regrole('service_role') IS NULL THEN
		CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
	END IF;
	IF to_regrole('authenticator') IS NULL THEN
		CREATE ROLE authenticator LOGIN NOINHERIT;
	END IF;
	IF to_regrole('supabase_auth_admin') IS NULL THEN
		CREATE ROLE supabase_auth_admin LOGIN NOINHERIT CREATEROLE;
	END IF;

	-- The sign-up service works with this path; triggers on auth.users inherit it.
	IF NOT EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS c(entry)
				   WHERE s.setrole = to_regrole('supabase_auth_admin')
					 AND s.setdatabase = 0
					 AND c.entry LIKE 'search\_path=%')
	THEN
		ALTER ROLE supabase_auth_admin SET search_path = auth;
	END IF;

	FOREACH api_role IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
		IF NOT EXISTS (SELECT FROM pg_auth_members
					   WHERE roleid = to_regrole(api_role)
						 AND member = to_regrole('authenticator'))
		THEN
			EXECUTE format('GRANT %I TO authenticator', api_role);
		END IF;
	END LOOP;

	SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname) INTO odd_roles
	FROM (VALUES ('anon',                false, false, false),
				 ('authenticated',       false, false, false),
				 ('service_role',        false, false, true),
				 ('authenticator',       true,  false, false),
				 ('supabase_auth_admin', true,  true,  false)
		 ) AS wanted (name, login, createrole, bypassrls)
	JOIN pg_roles r ON r.rolname = wanted.name
	WHERE (r.rolcanlogin, r.rolcreaterole, r.rolbypassrls, r.rolsuper, r.rolinherit)
		IS DISTINCT FROM (wanted.login, wanted.createrole, wanted.bypassrls, false, false);

	IF odd_roles IS NOT NULL THEN
		RAISE WARNING USING
			MESSAGE = 'some roles existed before and differ from those of Supabase',
			DETAIL = format('Roles left as they are: %s.', odd_roles),
			HINT = 'Compare their LOGIN, INHERIT, CREATEROLE, BYPASSRLS and SUPERUSER attributes with those in studio_engine_supabase_stub.sql.';
	END IF;

	----------------------------------------------------------------------------
	-- Schema auth
	----------------------------------------------------------------------------

	IF to_regnamespace('auth') IS NULL THEN
		CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin;
		EXECUTE format('COMMENT ON SCHEMA auth IS %L', stub_mark);
		GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
	END IF;

	-- Columns, order and types are those of the real table.  Note that neither
	-- id nor created_at has a default: the sign-up service fills them in.
	IF to_regclass('auth.users') IS NULL THEN
		CREATE TABLE auth.users (
			instance_id uuid,
			id uuid NOT NULL,
			aud varchar(255),
			role varchar(255),
			email varchar(255),
			encrypted_password varchar(255),
			email_confirmed_at timestamptz,
			invited_at timestamptz,
			confirmation_token varchar(255),
			confirmation_sent_at timestamptz,
			recovery_token varchar(255),
			recovery_sent_at timestamptz,
			email_change_token_new varchar(255),
			email_change varchar(255),
			email_change_sent_at timestamptz,
			last_sign_in_at timestamptz,
			raw_app_meta_data jsonb,
			raw_user_meta_data jsonb,
			is_super_admin boolean,
			created_at timestamptz,
			updated_at timestamptz,
			phone text DEFAULT NULL,
			phone_confirmed_at timestamptz,
			phone_change text DEFAULT '',
			phone_change_token varchar(255) DEFAULT '',
			phone_change_sent_at timestamptz,
			confirmed_at timestamptz
				GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
			email_change_token_current varchar(255) DEFAULT '',
			email_change_confirm_status smallint DEFAULT 0,
			banned_until timestamptz,
			reauthentication_token varchar(255) DEFAULT '',
			reauthentication_sent_at timestamptz,
			is_sso_user boolean NOT NULL DEFAULT false,
			deleted_at timestamptz,
			is_anonymous boolean NOT NULL DEFAULT false,
			CONSTRAINT users_pkey PRIMARY KEY (id),
			CONSTRAINT users_phone_key UNIQUE (phone),
			CONSTRAINT users_email_change_confirm_status_check
				CHECK (email_change_confirm_status BETWEEN 0 AND 2)
		);
		CREATE UNIQUE INDEX users_email_partial_key ON auth.users (email) WHERE NOT is_sso_user;
		COMMENT ON TABLE auth.users IS 'People who can sign in. Written by supabase_auth_admin only.';
		COMMENT ON COLUMN auth.users.is_sso_user IS 'Came through single sign-on; such accounts may share an e-mail address.';
		ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
		ALTER TABLE auth.users OWNER TO supabase_auth_admin;
		REVOKE ALL ON TABLE auth.users FROM PUBLIC, anon, authenticated, service_role;
	END IF;

	-- Identity from the claims of the verified token, which PostgREST puts into
	-- settings for the length of a request.  A setting per claim (the old form)
	-- wins over the JSON document; an empty setting counts as absent.
	IF to_regprocedure('auth.uid()') IS NULL THEN
		CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
		AS $fn$
			SELECT COALESCE(
				NULLIF(pg_catalog.current_setting('request.jwt.claim.sub', true), ''),
				NULLIF(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
			)::uuid
		$fn$;
		ALTER FUNCTION auth.uid() OWNER TO supabase_auth_admin;
		GRANT EXECUTE ON FUNCTION auth.uid() TO PUBLIC;
		COMMENT ON FUNCTION auth.uid() IS 'Claim "sub": the id of the signed-in user, NULL when there is none.';
	END IF;
	IF to_regprocedure('auth.role()') IS NULL THEN
		CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE
		AS $fn$
			SELECT COALESCE(
				NULLIF(pg_catalog.current_setting('request.jwt.claim.role', true), ''),
				NULLIF(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
			)
		$fn$;
		ALTER FUNCTION auth.role() OWNER TO supabase_auth_admin;
		GRANT EXECUTE ON FUNCTION auth.role() TO PUBLIC;
		COMMENT ON FUNCTION auth.role() IS 'Claim "role". What the token says, which need not be current_user.';
	END IF;
	IF to_regprocedure('auth.email()') IS NULL THEN
		CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE
		AS $fn$
			SELECT COALESCE(
				NULLIF(pg_catalog.current_setting('request.jwt.claim.email', true), ''),
				NULLIF(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
			)
		$fn$;
		ALTER FUNCTION auth.email() OWNER TO supabase_auth_admin;
		GRANT EXECUTE ON FUNCTION auth.email() TO PUBLIC;
		COMMENT ON FUNCTION auth.email() IS 'Claim "email".';
	END IF;
	IF to_regprocedure('auth.jwt()') IS NULL THEN
		CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE
		AS $fn$
			SELECT COALESCE(
				NULLIF(pg_catalog.current_setting('request.jwt.claim', true), ''),
				NULLIF(pg_catalog.current_setting('request.jwt.claims', true), '')
			)::jsonb
		$fn$;
		ALTER FUNCTION auth.jwt() OWNER TO supabase_auth_admin;
		GRANT EXECUTE ON FUNCTION auth.jwt() TO PUBLIC;
		COMMENT ON FUNCTION auth.jwt() IS 'All claims of the token.';
	END IF;

	-- On Supabase the role postgres is no superuser, and works through these.
	IF to_regrole('postgres') IS NOT NULL THEN
		GRANT USAGE ON SCHEMA auth TO postgres;
		GRANT ALL ON TABLE auth.users TO postgres;
		GRANT SELECT ON TABLE auth.users TO postgres WITH GRANT OPTION;
	END IF;

	----------------------------------------------------------------------------
	-- Schema public
	----------------------------------------------------------------------------

	GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;

	-- Objects of an extension belong to the bootstrap superuser (oid 10) when a
	-- lesser role creates it as a trusted one, otherwise to whoever creates it.
	FOR creator IN
		SELECT rolname FROM pg_roles
		WHERE rolname IN (current_user, 'postgres') OR oid = 10
		ORDER BY oid
	LOOP
		EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public'
					   ' GRANT ALL ON TABLES TO anon, authenticated, service_role', creator);
		EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public'
					   ' GRANT ALL ON SEQUENCES TO anon, authenticated, service_role', creator);
		EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public'
					   ' GRANT EXECUTE ON FUNCTIONS TO anon, authenticated, service_role', creator);
	END LOOP;

	----------------------------------------------------------------------------
	-- Publication
	----------------------------------------------------------------------------

	-- Silent, since PostgreSQL warns here whenever wal_level is not "logical".
	IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'supabase_realtime') THEN
		PERFORM set_config('client_min_messages', 'error', true);
		CREATE PUBLICATION supabase_realtime WITH (publish = 'insert, update, delete, truncate');
		PERFORM set_config('client_min_messages', saved_level, true);
		IF to_regrole('postgres') IS NOT NULL THEN
			ALTER PUBLICATION supabase_realtime OWNER TO postgres;
		END IF;
	END IF;

	PERFORM set_config('search_path', saved_path, true);
END
$stub$;
