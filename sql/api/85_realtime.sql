-- Supabase Realtime: which tables clients may watch, and publishing them.
-- Switched on by the owner of the data, since every change that is published
-- costs the database a look through the row security of each subscriber.
--
-- Pitfall: Realtime polls one slot for all tables. A table in a schema that its
-- role may not use ends the poll for all of them, and a DELETE goes to every
-- subscriber of the table, with the primary key. So what has a secret, or the id
-- of a user, in its key is not published, and nothing of schema studio_engine.

CREATE FUNCTION studio_engine.realtime_tables() RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT format('%I.%I', n.nspname, t.name)
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace,
         unnest(ARRAY['assets', 'cm_module_content', 'credit_ledger', 'job_steps', 'jobs',
                      'mm_multimedia_sessions', 'mm_rendering_queue', 'studio_jobs']) t (name)
   WHERE e.extname = 'studio_engine'
  UNION ALL
  VALUES ('pipeline.artifacts'), ('pipeline.jobs');
END;
COMMENT ON FUNCTION studio_engine.realtime_tables() IS
'Returns the tables that enable_realtime() publishes.

The comment of enable_realtime() gives the reasons for these and against others.';

-- What the caller lacks, who is the owner of the data when enable_realtime() asks.
CREATE FUNCTION studio_engine.realtime_rights_missing() RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT format('Publication %I belongs to %s.', p.pubname, p.pubowner::regrole)
    FROM pg_publication p WHERE p.pubname = 'supabase_realtime' AND NOT pg_has_role(p.pubowner, 'USAGE')
  UNION ALL
  SELECT 'There is no publication supabase_realtime, and creating one takes CREATE on the database.'
   WHERE NOT EXISTS (SELECT FROM pg_publication p WHERE p.pubname = 'supabase_realtime')
     AND NOT has_database_privilege(current_database(), 'CREATE')
  UNION ALL
  SELECT format('Table %s belongs to %s.', t.name, c.relowner::regrole)
    FROM studio_engine.realtime_tables() t (name) JOIN pg_class c ON c.oid = to_regclass(t.name)
   WHERE NOT pg_has_role(c.relowner, 'USAGE')
  UNION ALL
  SELECT DISTINCT format('Role supabase_realtime_admin may not use schema %I, which belongs to %s.', n.nspname, n.nspowner::regrole)
    FROM studio_engine.realtime_tables() t (name) JOIN pg_class c ON c.oid = to_regclass(t.name)
    JOIN pg_namespace n ON n.oid = c.relnamespace, to_regrole('supabase_realtime_admin') r (oid)
   WHERE NOT has_schema_privilege(r.oid, n.oid, 'USAGE') AND NOT has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION');
END;
COMMENT ON FUNCTION studio_engine.realtime_rights_missing() IS
'Returns the rights that the caller lacks to publish the tables.

enable_realtime() calls it as the owner of the data. A row tells who owns the publication, a table or a schema
instead. Empty when nothing is missing.';

-- What would break writing to our tables, or Realtime, or hand out secrets.
CREATE FUNCTION studio_engine.realtime_obstacles() RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT format('table %s has no replica identity', t.name)
    FROM studio_engine.realtime_tables() t (name) JOIN pg_class c ON c.oid = to_regclass(t.name)
   WHERE c.relreplident = 'n'
      OR NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')
  UNION ALL
  SELECT 'publication supabase_realtime leaves out INSERT or UPDATE'
    FROM pg_publication p WHERE p.pubname = 'supabase_realtime' AND NOT (p.pubinsert AND p.pubupdate)
  UNION ALL
  SELECT 'publication supabase_realtime is FOR ALL TABLES'
    FROM pg_publication p WHERE p.pubname = 'supabase_realtime' AND p.puballtables
  UNION ALL
  SELECT DISTINCT format('publication supabase_realtime has table %s', coalesce(pg_partition_root(c.oid), c.oid)::regclass)
    FROM pg_publication p, LATERAL pg_get_publication_tables(p.pubname) t
    JOIN pg_class c ON c.oid = t.relid
   WHERE p.pubname = 'supabase_realtime' AND NOT p.puballtables
     AND (c.relnamespace = to_regnamespace('studio_engine')
          OR c.relname = 'draft_prompts' AND c.relnamespace = (SELECT e.extnamespace FROM pg_extension e WHERE e.extname = 'studio_engine'));
END;
COMMENT ON FUNCTION studio_engine.realtime_obstacles() IS
'Returns the reasons why enable_realtime() refuses to publish.

A table without primary key or replica identity would make its UPDATEs fail. A publication may lack changes,
have tables that clients must not get, or have tables that end the poll of Realtime. Empty when there is none.';

CREATE FUNCTION studio_engine.enable_realtime_as_owner() RETURNS TABLE (table_name text, added boolean)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_problems text;
  v_schema name;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call enable_realtime().';
  END IF;
  v_problems := (SELECT string_agg(m, ' ' ORDER BY m) FROM studio_engine.realtime_rights_missing() m);
  IF v_problems IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = 'the owner of the data may not publish the tables',
      DETAIL = v_problems,
      HINT = format('The owner of the data, %I, must own the publication, or may CREATE one in the database: ALTER PUBLICATION supabase_realtime OWNER TO %I.', current_user, current_user);
  END IF;

  -- of two callers the second finds what the first did; writers go on
  EXECUTE (SELECT format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', string_agg(t, ', ' ORDER BY t))
             FROM studio_engine.realtime_tables() t);
  v_problems := (SELECT string_agg(o, ', ' ORDER BY o) FROM studio_engine.realtime_obstacles() o);
  IF v_problems IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'the tables cannot be published',
      DETAIL = format('In the way: %s.', v_problems),
      HINT = 'ALTER PUBLICATION supabase_realtime DROP TABLE ..., or DROP TABLES IN SCHEMA ..., takes tables out; one FOR ALL TABLES must be dropped and created again. ALTER TABLE ... REPLICA IDENTITY DEFAULT takes the primary key.';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_publication p WHERE p.pubname = 'supabase_realtime') THEN
    CREATE PUBLICATION supabase_realtime;
  END IF;

  FOR v_schema IN
    SELECT DISTINCT n.nspname
      FROM studio_engine.realtime_tables() t JOIN pg_class c ON c.oid = t::regclass JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT has_schema_privilege(to_regrole('supabase_realtime_admin'), n.oid, 'USAGE')
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO supabase_realtime_admin', v_schema);
  END LOOP;
  FOR table_name, added IN
    SELECT t, NOT EXISTS (SELECT FROM pg_publication_tables p
                           WHERE p.pubname = 'supabase_realtime' AND format('%I.%I', p.schemaname, p.tablename) = t)
      FROM studio_engine.realtime_tables() t ORDER BY t
  LOOP
    IF added THEN
      EXECUTE format('ALTER PUBLICATION supabase_realtime ADD TABLE %s', table_name);
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION studio_engine.enable_realtime_as_owner() IS
'Do the work of enable_realtime() as the owner of the data.

Callers: the owner of the data, by way of enable_realtime().
Errors: 42501 for all others.';

CREATE FUNCTION @extschema@.enable_realtime() RETURNS TABLE (table_name text, added boolean)
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'enable_realtime';
COMMENT ON FUNCTION @extschema@.enable_realtime() IS
'Publish the tables that clients wait on to Supabase Realtime.

Adds them to publication supabase_realtime, which is created if there is none, and lets
supabase_realtime_admin, if there is such a role, use their schemas. It may be called again at any time.
Returns each table, and whether this call added it.

- Published: studio_jobs, jobs, job_steps, mm_multimedia_sessions, mm_rendering_queue, cm_module_content and
  pipeline.jobs for status and progress, assets and pipeline.artifacts for what is made, credit_ledger for the
  balance.
- Not published: draft_prompts and schema studio_engine (tokens, leases, settings); profiles and
  credit_accounts, whose key is the id of a user (each entry of credit_ledger has balance_after);
  pipeline.job_events and logs, whose partitions would end the poll of Realtime (each event changes
  last_event_seq of pipeline.jobs, and events_since() returns it); what users only change themselves. Other
  tables may be added.

A subscriber gets INSERT and UPDATE of the rows that he may read, as they are then; filter by user_id (job_steps
and assets have it too), owner_id (pipeline), company_id or job_id. An UPDATE leaves out long values (from about 2 kB) that it does not
change, and in a record of more than 1 MB Realtime leaves out values of more than 64 bytes: read those through
the API. A DELETE goes unfiltered to everybody who listens to the table, with the primary key only; so let
run_id be random.
Callers: the owner of the data, or a superuser or service that may call it. It acts as the owner of the data,
who must own the publication too.
Errors: 42501 the owner of the data lacks rights; 55000 the publication has tables that clients must not get,
or a table has no primary key or replica identity.';
