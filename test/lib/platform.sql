-- What a self-hosted Supabase looks like to an extension, nearer than supabase_stub.sql: the roles with their memberships and
-- settings, who owns what, default privileges, the tables and functions of the auth server, of Storage and of Realtime that
-- applications meet, the event triggers, and the publication.  For tests; written from its scripts' effects, not from them.
--
-- psql -d DATABASE -f test/lib/platform.sql, as the superuser supabase_admin, where role postgres is no superuser and owns
-- the database.  Once per database; roles belong to the cluster and are made once.
--
-- Pitfall: supautils is not here.  It lets postgres make policies on storage.objects and realtime.messages, for which he is
-- a member of the roles that own them here.

\set ON_ERROR_STOP 1
SET client_min_messages = error;
SELECT to_regrole('supabase_realtime_admin') IS NULL AS first \gset
\if :first
DO $roles$
DECLARE
  v_role record;
BEGIN
  FOR v_role IN
    SELECT * FROM (VALUES
      ('postgres', 'LOGIN CREATEROLE CREATEDB REPLICATION BYPASSRLS'),
      ('anon', 'NOLOGIN NOINHERIT'),
      ('authenticated', 'NOLOGIN NOINHERIT'),
      ('service_role', 'NOLOGIN NOINHERIT BYPASSRLS'),
      ('authenticator', 'LOGIN NOINHERIT'),
      ('supabase_auth_admin', 'LOGIN NOINHERIT CREATEROLE'),
      ('supabase_storage_admin', 'LOGIN NOINHERIT CREATEROLE'),
      ('supabase_realtime_admin', 'NOLOGIN NOINHERIT'),
      ('supabase_replication_admin', 'LOGIN REPLICATION'),
      ('supabase_read_only_user', 'LOGIN BYPASSRLS'),
      ('dashboard_user', 'NOLOGIN CREATEROLE CREATEDB REPLICATION')
    ) AS v (name, attributes)
  LOOP
    IF to_regrole(v_role.name) IS NULL THEN
      EXECUTE format('CREATE ROLE %I %s', v_role.name, v_role.attributes);
    END IF;
  END LOOP;
END
$roles$;
GRANT anon, authenticated, service_role TO authenticator;
GRANT authenticator TO supabase_storage_admin;
GRANT anon, authenticated, service_role, pg_monitor, pg_read_all_data, pg_signal_backend, supabase_realtime_admin,
  supabase_storage_admin TO postgres;
GRANT pg_read_all_data TO supabase_read_only_user;
ALTER ROLE postgres SET search_path = "$user", public, extensions;
ALTER ROLE supabase_admin SET search_path = "$user", public, auth, extensions;
ALTER ROLE supabase_auth_admin SET search_path = auth;
ALTER ROLE supabase_storage_admin SET search_path = storage;
ALTER ROLE anon SET statement_timeout = '3s';
ALTER ROLE authenticated SET statement_timeout = '8s';
ALTER ROLE authenticator SET statement_timeout = '8s';
ALTER ROLE authenticator SET lock_timeout = '8s';
ALTER ROLE authenticator SET session_preload_libraries = 'safeupdate';
\endif

ALTER DATABASE :"DBNAME" SET log_min_messages = fatal;

-- Schemas ---------------------------------------------------------------------------------------------------------------

CREATE SCHEMA extensions AUTHORIZATION postgres;
GRANT USAGE ON SCHEMA public, extensions TO postgres, anon, authenticated, service_role;
CREATE SCHEMA auth AUTHORIZATION supabase_admin;
CREATE SCHEMA storage AUTHORIZATION supabase_admin;
CREATE SCHEMA realtime AUTHORIZATION supabase_admin;
GRANT USAGE ON SCHEMA auth, storage, realtime TO postgres, anon, authenticated, service_role;
GRANT ALL ON SCHEMA auth TO supabase_auth_admin, dashboard_user;
GRANT ALL ON SCHEMA storage TO supabase_storage_admin, dashboard_user;
GRANT ALL ON SCHEMA realtime TO supabase_realtime_admin;

DO $privileges$
DECLARE
  v_creator text;
  v_kind text;
BEGIN
  FOREACH v_creator IN ARRAY ARRAY['postgres', 'supabase_admin'] LOOP
    FOREACH v_kind IN ARRAY ARRAY['TABLES', 'SEQUENCES', 'FUNCTIONS'] LOOP
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT ALL ON %s TO postgres, anon, authenticated, service_role', v_creator, v_kind);
    END LOOP;
  END LOOP;
  FOREACH v_kind IN ARRAY ARRAY['TABLES', 'SEQUENCES', 'FUNCTIONS'] LOOP
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA extensions GRANT ALL ON %s TO postgres WITH GRANT OPTION', v_kind);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE supabase_auth_admin IN SCHEMA auth GRANT ALL ON %s TO postgres, dashboard_user', v_kind);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE supabase_storage_admin IN SCHEMA storage GRANT ALL ON %s TO postgres, anon, authenticated, service_role', v_kind);
  END LOOP;
END
$privileges$;

-- The auth server -------------------------------------------------------------------------------------------------------

SET ROLE supabase_auth_admin;
SET search_path = auth;
CREATE TYPE aal_level AS ENUM ('aal1', 'aal2', 'aal3');
CREATE TABLE users (
  instance_id uuid, id uuid PRIMARY KEY, aud varchar(255), role varchar(255), email varchar(255), encrypted_password varchar(255),
  email_confirmed_at timestamptz, invited_at timestamptz, confirmation_token varchar(255), confirmation_sent_at timestamptz,
  recovery_token varchar(255), recovery_sent_at timestamptz, email_change_token_new varchar(255), email_change varchar(255),
  email_change_sent_at timestamptz, last_sign_in_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb,
  is_super_admin boolean, created_at timestamptz, updated_at timestamptz, phone text UNIQUE, phone_confirmed_at timestamptz,
  phone_change text DEFAULT '', phone_change_token varchar(255) DEFAULT '', phone_change_sent_at timestamptz,
  confirmed_at timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
  email_change_token_current varchar(255) DEFAULT '',
  email_change_confirm_status smallint DEFAULT 0 CHECK (email_change_confirm_status BETWEEN 0 AND 2),
  banned_until timestamptz, reauthentication_token varchar(255) DEFAULT '', reauthentication_sent_at timestamptz,
  is_sso_user boolean NOT NULL DEFAULT false, deleted_at timestamptz, is_anonymous boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX users_email_partial_key ON users (email) WHERE is_sso_user = false;
CREATE INDEX users_is_anonymous_idx ON users (is_anonymous);
CREATE TABLE identities (
  provider_id text NOT NULL,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  identity_data jsonb NOT NULL, provider text NOT NULL,
  last_sign_in_at timestamptz, created_at timestamptz, updated_at timestamptz,
  email text GENERATED ALWAYS AS (lower(identity_data ->> 'email')) STORED,
  id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid() PRIMARY KEY,
  UNIQUE (provider_id, provider)
);
CREATE INDEX identities_user_id_idx ON identities (user_id);
CREATE TABLE sessions (
  id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz, updated_at timestamptz, factor_id uuid, aal aal_level, not_after timestamptz,
  refreshed_at timestamp, user_agent text, ip inet, tag text
);
CREATE TABLE refresh_tokens (
  instance_id uuid, id bigserial PRIMARY KEY, token varchar(255) UNIQUE, user_id varchar(255), revoked boolean,
  created_at timestamptz, updated_at timestamptz, parent varchar(255), session_id uuid REFERENCES sessions ON DELETE CASCADE
);
CREATE TABLE audit_log_entries (
  instance_id uuid, id uuid PRIMARY KEY, payload json, created_at timestamptz, ip_address varchar(64) NOT NULL DEFAULT ''
);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log_entries ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON users TO postgres WITH GRANT OPTION;

CREATE FUNCTION uid() RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
CREATE FUNCTION role() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')::text $$;
CREATE FUNCTION email() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('request.jwt.claim.email', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email')::text $$;
CREATE FUNCTION jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                  nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;

-- Storage ---------------------------------------------------------------------------------------------------------------

SET ROLE supabase_storage_admin;
SET search_path = storage;
CREATE TYPE buckettype AS ENUM ('STANDARD', 'ANALYTICS');
CREATE TABLE buckets (
  id text PRIMARY KEY, name text NOT NULL UNIQUE, owner uuid, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
  public boolean DEFAULT false, avif_autodetection boolean DEFAULT false, file_size_limit bigint, allowed_mime_types text[],
  owner_id text, type buckettype NOT NULL DEFAULT 'STANDARD'
);
CREATE TABLE objects (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(), bucket_id text REFERENCES buckets, name text, owner uuid,
  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), last_accessed_at timestamptz DEFAULT now(),
  metadata jsonb, path_tokens text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED, version text, owner_id text,
  user_metadata jsonb
);
CREATE UNIQUE INDEX bucketid_objname ON objects (bucket_id, name);
ALTER TABLE buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE objects ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION foldername(name text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT (string_to_array(name, '/'))[1:array_length(string_to_array(name, '/'), 1) - 1] $$;
CREATE FUNCTION filename(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT (string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)] $$;
CREATE FUNCTION extension(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT reverse(split_part(reverse(storage.filename(name)), '.', 1)) $$;
-- rows are deleted through the API, which removes the file too
CREATE FUNCTION protect_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'rows of storage are deleted through the Storage API';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER protect_objects_delete BEFORE DELETE ON objects FOR EACH STATEMENT EXECUTE FUNCTION protect_delete();

-- Realtime --------------------------------------------------------------------------------------------------------------

SET ROLE supabase_admin;
SET search_path = realtime;
CREATE TABLE messages (
  topic text NOT NULL, extension text NOT NULL, payload jsonb, event text, private boolean DEFAULT false,
  updated_at timestamp NOT NULL DEFAULT now(), inserted_at timestamp NOT NULL DEFAULT now(),
  id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(), PRIMARY KEY (id, inserted_at)
) PARTITION BY RANGE (inserted_at);
-- the server makes one for each day
SELECT format('CREATE TABLE realtime.messages_%s PARTITION OF messages FOR VALUES FROM (%L) TO (%L)',
              to_char(d, 'YYYY_MM_DD'), d, d + interval '1 day')
  FROM generate_series(date_trunc('day', now() AT TIME ZONE 'UTC') - interval '1 day', now() AT TIME ZONE 'UTC' + interval '2 days', '1 day') AS d
\gexec
ALTER TABLE messages OWNER TO supabase_realtime_admin;
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON messages TO anon, authenticated, service_role;
GRANT ALL ON messages TO postgres, dashboard_user;
CREATE FUNCTION topic() RETURNS text LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('realtime.topic', true), '')::text $$;
-- what goes wrong is a warning: a change is not refused because nobody can be told of it
CREATE FUNCTION send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('realtime.topic', topic, true);
  INSERT INTO realtime.messages (payload, event, topic, private, extension) VALUES (payload, event, topic, private, 'broadcast');
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'a message was not sent: %', SQLERRM;
END $$;
CREATE FUNCTION broadcast_changes(topic_name text, event_name text, operation text, table_name text, table_schema text,
  new record, old record, level text DEFAULT 'ROW') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF level = 'STATEMENT' THEN
    RAISE EXCEPTION 'broadcast_changes() is for row triggers';
  END IF;
  PERFORM realtime.send(jsonb_build_object('old_record', old, 'record', new, 'operation', operation, 'table', table_name,
                                           'schema', table_schema), event_name, topic_name);
END $$;
ALTER FUNCTION topic() OWNER TO supabase_realtime_admin;

-- Event triggers, the publication ---------------------------------------------------------------------------------------

SET search_path = extensions;
CREATE FUNCTION pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
  v_command record;
BEGIN
  FOR v_command IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
    IF v_command.command_tag LIKE ANY (ARRAY['CREATE %', 'ALTER %', 'COMMENT']) AND v_command.schema_name IS DISTINCT FROM 'pg_temp' THEN
      NOTIFY pgrst, 'reload schema';
    END IF;
  END LOOP;
END $$;
CREATE FUNCTION pgrst_drop_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
  v_object record;
BEGIN
  FOR v_object IN SELECT * FROM pg_event_trigger_dropped_objects() LOOP
    IF v_object.object_type IN ('schema', 'table', 'view', 'function', 'trigger', 'type', 'rule') AND NOT v_object.is_temporary THEN
      NOTIFY pgrst, 'reload schema';
    END IF;
  END LOOP;
END $$;
-- any function of this name is taken for pg_graphql's
CREATE FUNCTION grant_pg_graphql_access() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() c JOIN pg_proc p ON c.classid = 'pg_proc'::regclass AND p.oid = c.objid
              WHERE p.proname = 'resolve') THEN
    RAISE EXCEPTION 'schema "graphql" does not exist';
  END IF;
END $$;
CREATE FUNCTION grant_pg_cron_access() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() c JOIN pg_extension e ON c.classid = 'pg_extension'::regclass AND e.oid = c.objid
              WHERE e.extname = 'pg_cron') THEN
    GRANT USAGE ON SCHEMA cron TO postgres WITH GRANT OPTION;
  END IF;
END $$;
CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION pgrst_ddl_watch();
CREATE EVENT TRIGGER pgrst_drop_watch ON sql_drop EXECUTE FUNCTION pgrst_drop_watch();
CREATE EVENT TRIGGER issue_pg_graphql_access ON ddl_command_end WHEN TAG IN ('CREATE FUNCTION') EXECUTE FUNCTION grant_pg_graphql_access();
CREATE EVENT TRIGGER issue_pg_cron_access ON ddl_command_end WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION grant_pg_cron_access();

CREATE PUBLICATION supabase_realtime WITH (publish = 'insert, update, delete, truncate');
ALTER PUBLICATION supabase_realtime OWNER TO postgres;
RESET ROLE;
RESET search_path;
