-- First part of the install script: determines the mode, and checks what the
-- database and the installing role must have.
-- Pitfall: nothing here may depend on the caller's search_path, or on objects
-- that another role has created.

SET LOCAL search_path TO pg_catalog, pg_temp;

-- studio_setup.mode tells the later parts what to do:
--   install  first installation in this database: create the data layer
--   adopt    the data layer was left by DROP EXTENSION ... CASCADE: attach to it
--   restore  a dump has created the schema, then creates the extension, and then
--            the tables: create nothing that is in the dump; in a session of which
--            pg_dump or pg_restore has turned row_security off
-- studio_setup.owner is the role that owns the data layer, or will own it: the
-- installing role, or the owner of the database if only the former is a
-- superuser. The script runs as a superuser, and code that the owner puts into
-- the data layer must not.
-- studio_setup.hooks tells whether to create our triggers on auth.users: only if
-- the installing role could create them itself.
DO $mode$
DECLARE
  v_installer regrole := '@extowner@';
  v_database_owner regrole := (SELECT d.datdba FROM pg_database d WHERE d.datname = current_database());
  v_mode text;
  v_owner regrole;
BEGIN
  -- lock the schemas, so that none is renamed while functions in it are created and called
  PERFORM FROM pg_namespace n
    WHERE n.nspname IN ('studio_engine', 'pipeline') OR n.oid = '@extschema@'::regnamespace
      FOR UPDATE;
  v_mode := CASE
    WHEN to_regnamespace('studio_engine') IS NULL THEN 'install'
    WHEN to_regclass('studio_engine.meta') IS NOT NULL THEN 'adopt'
    ELSE 'restore' END;
  IF v_mode = 'install' THEN
    v_owner := CASE
      WHEN (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = v_installer)
       AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = v_database_owner) THEN v_database_owner
      ELSE v_installer END;
  ELSE
    v_owner := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'studio_engine');
  END IF;
  PERFORM set_config('studio_setup.mode', v_mode, true);
  PERFORM set_config('studio_setup.owner', v_owner::text, true);
  -- the tables in the schema of the extension, which the Makefile takes from
  -- relations.c; in the two other schemas all tables belong to the data layer
  PERFORM set_config('studio_setup.tables', '{@tables@}', true);
  PERFORM set_config('studio_setup.hooks', (
    to_regclass('auth.users') IS NOT NULL
    AND has_table_privilege('@extowner@'::regrole, to_regclass('auth.users'), 'TRIGGER')
    AND has_table_privilege('@extowner@'::regrole, to_regclass('auth.users'), 'REFERENCES'))::text, true);
END
$mode$;

DO $check$
DECLARE
  v_mode text := current_setting('studio_setup.mode');
  v_installer regrole := '@extowner@';
  v_owner regrole := current_setting('studio_setup.owner')::regrole;
  v_schema regnamespace := '@extschema@';
  -- pg_dump and pg_restore turn row_security off; check_function_bodies, which
  -- they turn off too, is always off in an extension script
  v_loading boolean := NOT current_setting('row_security')::boolean;
  v_superuser boolean := (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = v_installer);
  v_database_owner regrole := (SELECT d.datdba FROM pg_database d WHERE d.datname = current_database());
  v_schema_owner regrole := (SELECT CASE n.nspowner WHEN 'pg_database_owner'::regrole THEN v_database_owner ELSE n.nspowner END
                               FROM pg_namespace n WHERE n.oid = v_schema);
  v_missing text;
  v_foreign text;
BEGIN
  IF v_mode <> 'restore' THEN
    SELECT string_agg(w.what, ', ' ORDER BY w.position) INTO v_missing
      FROM (VALUES
        (1, 'table auth.users', to_regclass('auth.users') IS NOT NULL),
        (2, 'function auth.uid()', to_regprocedure('auth.uid()') IS NOT NULL),
        (3, 'role anon', to_regrole('anon') IS NOT NULL),
        (4, 'role authenticated', to_regrole('authenticated') IS NOT NULL),
        (5, 'role service_role', to_regrole('service_role') IS NOT NULL)
      ) AS w (position, what, present)
     WHERE NOT w.present;
    IF v_missing IS NOT NULL THEN
      RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = 'studio_engine needs a Supabase-compatible database',
        DETAIL = format('Missing: %s.', v_missing),
        HINT = 'On plain PostgreSQL run studio_engine_supabase_stub.sql first; it is installed beside the extension, in SHAREDIR/extension (pg_config --sharedir).';
    END IF;
  END IF;

  -- Objects that belong to another role are not used.
  -- A superuser may do everything, but must not install functions for a role that
  -- has created a schema with our name before: he installs for himself or for the
  -- owner of the database. When he loads a dump, the dump names the owner.
  SELECT string_agg(DISTINCT o.what, ', ' ORDER BY o.what) INTO v_foreign
    FROM (SELECT format('schema %I', n.nspname) AS what, n.nspowner AS owner
            FROM pg_namespace n WHERE n.nspname IN ('studio_engine', 'pipeline')
          UNION ALL
          SELECT format('table %s', c.oid::regclass), c.relowner
            FROM pg_class c
           WHERE v_mode = 'adopt' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
             AND (c.relnamespace = to_regnamespace('studio_engine')
                  OR c.relnamespace = to_regnamespace('pipeline')
                     AND c.relname = ANY (ARRAY['jobs', 'job_events', 'artifacts', 'prompts'])
                  OR c.relnamespace = v_schema
                     AND c.relname = ANY (current_setting('studio_setup.tables')::name[]))
          UNION ALL
          -- existing tables that our foreign keys and policies will use
          SELECT format('table %s', c.oid::regclass), c.relowner
            FROM pg_class c
           WHERE v_mode = 'install' AND c.relnamespace = v_schema AND c.relname IN ('companies', 'employees')) AS o,
         LATERAL (SELECT r.oid, r.rolsuper FROM pg_roles r
                   WHERE r.oid = v_installer AND v_mode <> 'install' OR r.oid = v_owner AND v_mode <> 'restore') AS r
   WHERE o.owner <> r.oid
     AND CASE WHEN r.rolsuper
              THEN o.owner <> v_database_owner AND NOT (SELECT w.rolsuper FROM pg_roles w WHERE w.oid = o.owner)
              -- code on a table runs as the owner of the data, who must therefore own it, not just be a member
              WHEN r.oid = v_owner THEN true
              ELSE NOT pg_has_role(r.oid, o.owner, 'USAGE') END;
  IF v_foreign IS NOT NULL AND NOT (v_mode = 'restore' AND v_loading AND v_superuser) THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = 'objects of studio_engine belong to another role',
      DETAIL = format('Not owned by the installing role %s: %s.',
                      CASE WHEN v_mode = 'install' AND v_owner <> v_installer THEN format('%s or role %s', v_installer, v_owner)
                           ELSE v_installer::text END, v_foreign),
      HINT = 'Install as the owner of these objects, or remove them.';
  END IF;
  -- the owner of a schema may drop the tables in it and create others, which our
  -- functions would access as the owner of the data
  IF v_mode <> 'restore' AND v_schema_owner <> v_owner
     AND NOT pg_has_role(v_schema_owner, v_owner, 'USAGE') THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = 'the schema of the extension belongs to another role than the data',
      DETAIL = format('Schema %s belongs to %s, and the data to %s.', v_schema, v_schema_owner, v_owner),
      HINT = format('Name a schema of %1$s, or ALTER SCHEMA %2$s OWNER TO %1$s.', v_owner, v_schema);
  END IF;
  IF v_mode <> 'restore'
     AND (NOT current_setting('studio_setup.hooks')::boolean
          OR NOT has_schema_privilege(v_owner, 'auth', 'USAGE')
          OR NOT has_table_privilege(v_owner, to_regclass('auth.users'), 'TRIGGER')
          OR NOT has_table_privilege(v_owner, to_regclass('auth.users'), 'REFERENCES')) THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = CASE WHEN v_owner = v_installer THEN 'the installing role may not put triggers and foreign keys on auth.users'
                     ELSE 'the owner of the database, who gets the data, may not put triggers and foreign keys on auth.users' END,
      DETAIL = format('Role %s.', v_owner),
      HINT = format('GRANT TRIGGER, REFERENCES ON auth.users TO %1$s; GRANT USAGE ON SCHEMA auth TO %1$s;', v_owner);
  END IF;
  -- ownership can only be given to a role that may create in the schema
  IF NOT has_schema_privilege(v_installer, v_schema, 'CREATE') THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = 'the installing role may not create objects in the schema of the extension',
      DETAIL = format('Role %s, schema %s.', v_installer, v_schema);
  END IF;
  IF v_mode = 'install' AND NOT has_schema_privilege(v_owner, v_schema, 'CREATE') THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = 'the owner of the database, who gets the data, may not create objects in the schema of the extension',
      DETAIL = format('Role %s, schema %s.', v_owner, v_schema),
      HINT = format('GRANT USAGE, CREATE ON SCHEMA %s TO %s;', v_schema, v_owner);
  END IF;
END
$check$;

-- What an earlier installation left is adopted as a whole, or not at all. A reset
-- that drops the objects of one schema leaves the other schemas; and without meta,
-- where no dump is being loaded, nothing would ever create the tables.
DO $remains$
DECLARE
  v_mode text := current_setting('studio_setup.mode');
  v_schema regnamespace := '@extschema@';
  v_owner oid := current_setting('studio_setup.owner')::regrole;
  v_missing text;
  v_elsewhere regnamespace;
  v_drops text;
BEGIN
  IF v_mode = 'install' OR v_mode = 'restore' AND NOT current_setting('row_security')::boolean THEN
    RETURN;
  END IF;
  SELECT string_agg(format('%s.%I', w.schema, w.name), ', ' ORDER BY w.schema = 'pipeline', w.name) INTO v_missing
    FROM (SELECT v_schema::text AS schema, t AS name
            FROM unnest(current_setting('studio_setup.tables')::name[]) t
          UNION ALL
          SELECT 'pipeline', unnest('{jobs, job_events, artifacts, prompts}'::name[])) AS w
   WHERE NOT EXISTS (SELECT FROM pg_class c
                      WHERE c.relnamespace = to_regnamespace(w.schema) AND c.relname = w.name
                        AND c.relkind IN ('r', 'p', 'v', 'm', 'f'));
  IF v_mode = 'adopt' AND v_missing IS NULL THEN
    RETURN;
  END IF;

  SELECT c.relnamespace INTO v_elsewhere
    FROM pg_class c
   WHERE v_mode = 'adopt' AND to_regclass(format('%s.credit_ledger', v_schema)) IS NULL
     AND c.relname = 'credit_ledger' AND c.relkind IN ('r', 'p') AND c.relowner = v_owner
   ORDER BY c.oid
   LIMIT 1;
  IF v_elsewhere IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'the tables of studio_engine are not in the schema of the extension',
      DETAIL = format('Schema %s has no table credit_ledger, schema %s has one.', v_schema, v_elsewhere),
      HINT = format('CREATE EXTENSION studio_engine WITH SCHEMA %s;', v_elsewhere);
  END IF;

  -- Nothing is named that may be the project's: a table has our comment, schema
  -- pipeline has nothing but our tables, a type is used by these alone.
  WITH comments (name, line) AS (VALUES @comments@),
  ours AS (
    SELECT c.oid, c.relnamespace
      FROM comments m JOIN pg_class c
        ON c.oid = to_regclass(CASE WHEN m.name LIKE 'pipeline.%' THEN m.name ELSE format('%s.%s', v_schema, m.name) END)
     WHERE c.relkind IN ('r', 'p') AND c.relowner = v_owner
       AND split_part(obj_description(c.oid, 'pg_class'), E'\n', 1) = m.line
  ), schemas AS (
    SELECT n.oid, n.nspname
      FROM pg_namespace n
     WHERE n.nspname = 'studio_engine'
        OR n.nspname = 'pipeline' AND n.nspowner = v_owner
           AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind NOT IN ('i', 'I', 't')
                                                    AND c.oid NOT IN (SELECT u.oid FROM ours u))
           AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = n.oid)
           AND NOT EXISTS (SELECT FROM pg_type t WHERE t.typnamespace = n.oid AND t.typtype <> 'c' AND t.typcategory <> 'A')
  )
  SELECT string_agg(format('DROP %s %s CASCADE;', o.type, o.names), ' ' ORDER BY o.type) INTO v_drops
    FROM (SELECT 'SCHEMA' AS type, string_agg(s.nspname, ', ' ORDER BY s.nspname DESC) AS names FROM schemas s
          UNION ALL
          SELECT 'TABLE', string_agg(u.oid::regclass::text, ', ' ORDER BY u.oid::regclass::text COLLATE "C")
            FROM ours u WHERE u.relnamespace NOT IN (SELECT s.oid FROM schemas s)
          UNION ALL
          SELECT 'TYPE', string_agg(t.oid::regtype::text, ', ' ORDER BY t.typname)
            FROM pg_type t
           WHERE t.typnamespace = v_schema AND t.typowner = v_owner AND t.typtype = 'e'
             AND t.typname IN ('job_status', 'step_status')
             AND EXISTS (SELECT FROM ours)
             AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                              WHERE a.atttypid IN (t.oid, t.typarray) AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I')
                                AND c.oid NOT IN (SELECT u.oid FROM ours u))) AS o
   WHERE o.names IS NOT NULL;
  RAISE EXCEPTION USING
    ERRCODE = 'object_not_in_prerequisite_state',
    MESSAGE = 'an earlier installation of studio_engine is there in part',
    DETAIL = CASE v_mode WHEN 'adopt' THEN format('Missing: %s.', v_missing)
             ELSE 'Schema studio_engine is there, and has no table meta.' END,
    HINT = format('For a first installation, which deletes what is left: %s Then create the extension. ', v_drops)
           || CASE v_mode WHEN 'adopt' THEN 'To keep it, restore what is missing from a dump.'
              ELSE 'To load a dump, SET row_security = off before, as pg_dump does without --enable-row-security.' END;
END
$remains$;

-- Whatever has a name that the installation needs is listed in one error, before
-- anything is created. The names come from sql/tables and sql/api, by names.awk.
-- Tables companies and employees of a project are used as they are. An adoption
-- creates functions and event triggers only, a restore finds what the dump brings.
DO $clashes$
DECLARE
  v_mode text := current_setting('studio_setup.mode');
  v_schema regnamespace := '@extschema@';
  v_own_companies boolean := to_regclass('@extschema@.companies') IS NULL AND to_regclass('@extschema@.employees') IS NULL;
  v_shown CONSTANT integer := 50;
  v_clashes text[];
  v_elsewhere boolean;
  v_documented text;
BEGIN
  IF v_mode = 'restore' THEN
    RETURN;
  END IF;
  WITH relations (table_name, name) AS (VALUES @relations@),
  types (table_name, name) AS (
    VALUES @types@
    UNION ALL
    -- a table has a type of its name
    SELECT r.table_name, r.name FROM relations r WHERE r.table_name = r.name
  ), functions (table_name, signature) AS (VALUES @functions@),
  event_triggers (table_name, name) AS (VALUES @event_triggers@),
  taken (class, object) AS (
    SELECT 'pg_class'::regclass, c.oid
      FROM relations r JOIN pg_class c ON c.relnamespace = v_schema AND c.relname = r.name
     WHERE v_mode = 'install' AND (v_own_companies OR r.table_name NOT IN ('companies', 'employees'))
    UNION
    SELECT CASE y.typrelid WHEN 0 THEN 'pg_type'::regclass ELSE 'pg_class'::regclass END, CASE y.typrelid WHEN 0 THEN y.oid ELSE y.typrelid END
      FROM types t JOIN pg_type y ON y.typnamespace = v_schema AND y.typname = t.name AND y.typcategory <> 'A'
     WHERE v_mode = 'install' AND (v_own_companies OR t.table_name NOT IN ('companies', 'employees'))
    UNION
    SELECT 'pg_proc'::regclass, p.oid
      FROM functions f JOIN pg_proc p ON p.oid = to_regprocedure('@extschema@.' || f.signature)
    UNION
    SELECT 'pg_event_trigger'::regclass, e.oid
      FROM event_triggers t JOIN pg_event_trigger e ON e.evtname = t.name
    UNION
    SELECT 'pg_class'::regclass, c.oid FROM pg_class c
     WHERE v_mode = 'install' AND c.relnamespace = to_regnamespace('pipeline') AND c.relkind <> 'i'
    UNION
    SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p
     WHERE v_mode = 'install' AND p.pronamespace = to_regnamespace('pipeline')
    UNION
    SELECT 'pg_type'::regclass, t.oid FROM pg_type t
     WHERE v_mode = 'install' AND t.typnamespace = to_regnamespace('pipeline') AND t.typtype <> 'c' AND t.typcategory <> 'A'
  ), documented (name, columns) AS (VALUES @documented@)
  SELECT array_agg(i.type || ' ' || i.identity ORDER BY i.type || ' ' || i.identity),
         bool_or(coalesce(i.schema, '') <> 'pipeline'),
         -- with all columns that the design documents give it
         string_agg(DISTINCT d.name, ', ') FILTER (WHERE t.class = 'pg_class'::regclass AND d.columns <@ ARRAY(
           SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.object AND a.attnum > 0 AND NOT a.attisdropped))
    INTO v_clashes, v_elsewhere, v_documented
    FROM taken t CROSS JOIN LATERAL pg_identify_object(t.class, t.object, 0) i
    LEFT JOIN documented d ON d.name = i.name;
  -- of schema pipeline alone the last block of this file tells
  IF v_elsewhere THEN
    v_clashes := ARRAY(SELECT DISTINCT c FROM unnest(v_clashes) c ORDER BY c);
    RAISE EXCEPTION USING
      ERRCODE = 'duplicate_object',
      MESSAGE = 'names that studio_engine needs are taken',
      DETAIL = format('There is %s%s.', array_to_string(v_clashes[:v_shown], ', '),
                      CASE WHEN cardinality(v_clashes) > v_shown THEN format(', and %s more', cardinality(v_clashes) - v_shown) ELSE '' END)
               || coalesce(' With the columns of the design documents: ' || v_documented || '.', ''),
      HINT = CASE v_mode WHEN 'install' THEN 'Install into another schema, CREATE EXTENSION studio_engine WITH SCHEMA ..., or rename these objects.'
             ELSE 'Rename these objects.' END
             || CASE WHEN v_documented IS NULL THEN ''
                ELSE ' Tables of the design documents are taken over with their rows by studio_engine_import_seed.sql; it is installed beside the extension, in SHAREDIR/extension (pg_config --sharedir).' END;
  END IF;

  IF v_mode = 'install' THEN
    EXECUTE format('CREATE SCHEMA studio_engine AUTHORIZATION %s', current_setting('studio_setup.owner'));
    COMMENT ON SCHEMA studio_engine IS 'Private part of studio_engine; not for API roles';
  END IF;
END
$clashes$;

-- Reassign data that a superuser owns to the owner of the database, who would
-- have owned it after a first installation.
DO $reassign$
DECLARE
  v_owner regrole := current_setting('studio_setup.owner')::regrole;
  v_database_owner regrole := (SELECT d.datdba FROM pg_database d WHERE d.datname = current_database());
  v_object record;
BEGIN
  IF current_setting('studio_setup.mode') <> 'adopt'
     OR NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = v_owner)
     OR (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = v_database_owner) THEN
    RETURN;
  END IF;
  FOR v_object IN
    WITH tables AS (
      SELECT c.oid
        FROM pg_class c
       WHERE c.relkind IN ('r', 'p')
         AND (c.relnamespace IN (to_regnamespace('studio_engine'), to_regnamespace('pipeline'))
              OR c.relnamespace = '@extschema@'::regnamespace
                 AND c.relname = ANY (current_setting('studio_setup.tables')::name[])
                 -- not those that existed before the first installation
                 AND (c.relname NOT IN ('companies', 'employees')
                      OR EXISTS (SELECT FROM pg_policy p
                                  WHERE p.polrelid = c.oid AND p.polname = c.relname || '_select')))
    )
    SELECT 'TABLE' AS type, t.oid::regclass::text AS name FROM tables t
    UNION ALL
    SELECT 'TYPE', y.oid::regtype::text FROM pg_type y
     WHERE y.oid IN (to_regtype('@extschema@.job_status'), to_regtype('@extschema@.step_status'),
                     to_regtype('studio_engine.job_system'), to_regtype('studio_engine.queue_state'))
    UNION ALL
    SELECT 'SCHEMA', n.oid::regnamespace::text FROM pg_namespace n
     WHERE n.nspname IN ('studio_engine', 'pipeline')
  LOOP
    EXECUTE format('ALTER %s %s OWNER TO %s', v_object.type, v_object.name, v_database_owner);
  END LOOP;
  PERFORM set_config('studio_setup.owner', v_database_owner::text, true);
END
$reassign$;

-- Schema pipeline must have the same owner as schema studio_engine: the owner of
-- a schema may drop the tables in it and create others, which our functions would
-- write to as the owner of the data.
DO $pipeline$
DECLARE
  v_mode text := current_setting('studio_setup.mode');
  v_owner regrole := current_setting('studio_setup.owner')::regrole;
  v_there regrole := (SELECT n.nspowner::regrole FROM pg_namespace n WHERE n.nspname = 'pipeline');
  v_inside text;
BEGIN
  IF '@extschema@'::regnamespace = to_regnamespace('pipeline') THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_schema_name',
      MESSAGE = 'studio_engine cannot be installed into schema pipeline',
      DETAIL = 'Both schemas have a table jobs.',
      HINT = 'Name another schema: CREATE EXTENSION studio_engine WITH SCHEMA ...';
  END IF;
  IF v_there <> v_owner THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = 'objects of studio_engine belong to another role',
      DETAIL = format('Schema pipeline belongs to %s, and must belong to %s.', v_there, v_owner),
      HINT = format('Rename the schema, or ALTER SCHEMA pipeline OWNER TO %s.', v_owner);
  END IF;
  IF v_mode = 'install' AND v_there IS NOT NULL THEN
    SELECT o.what INTO v_inside
      FROM (SELECT pg_describe_object('pg_class'::regclass, c.oid, 0) AS what
              FROM pg_class c WHERE c.relnamespace = to_regnamespace('pipeline') AND c.relkind <> 'i'
            UNION ALL
            SELECT pg_describe_object('pg_proc'::regclass, p.oid, 0)
              FROM pg_proc p WHERE p.pronamespace = to_regnamespace('pipeline')
            UNION ALL
            SELECT pg_describe_object('pg_type'::regclass, t.oid, 0)
              FROM pg_type t WHERE t.typnamespace = to_regnamespace('pipeline') AND t.typtype <> 'c' AND t.typcategory <> 'A') AS o
     ORDER BY o.what
     LIMIT 1;
    IF v_inside IS NOT NULL THEN
      RAISE EXCEPTION USING
        ERRCODE = 'duplicate_schema',
        MESSAGE = 'schema pipeline is there and not empty',
        DETAIL = format('It has %s.', v_inside),
        HINT = 'studio_engine needs this schema for itself. If an earlier installation left it, DROP SCHEMA pipeline CASCADE; otherwise ALTER SCHEMA pipeline RENAME TO ..., install, and copy the rows.';
    END IF;
  END IF;
  -- a dump has created it, unless it was excluded from the dump
  IF v_there IS NULL THEN
    EXECUTE format('CREATE SCHEMA pipeline AUTHORIZATION %s', v_owner);
  END IF;
  IF v_mode = 'install' THEN
    COMMENT ON SCHEMA pipeline IS 'Runs of the pipeline of studio_engine; may be exposed by the API';
  END IF;
END
$pipeline$;
