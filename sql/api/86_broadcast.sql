-- Supabase Realtime, Broadcast: triggers that tell clients what has changed, and the
-- policies by which each hears of his own. Switched on by the owner of the data.
--
-- Pitfall: permissive policies are joined by OR, and many projects let every user
-- listen, or send, to every topic. Hence the restrictive ones: of a topic that is
-- ours nobody hears but the one whom it names, and no client speaks to it.
--
-- Pitfall: for other topics they must not fail, whatever is in the token of a client. So
-- they are evaluated in a CASE, and the one for all roles reads no table.

CREATE FUNCTION studio_engine.broadcast_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'broadcast_change'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.broadcast_change() IS
'Tell clients that a row was inserted or updated.

Trigger, AFTER INSERT OR UPDATE OR DELETE on the tables of enable_broadcast(). The message is sent before the
transaction commits, one for each row; none for a row that is deleted in it.';

CREATE FUNCTION studio_engine.broadcast_obstacle() RETURNS text
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'broadcast_obstacle'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.broadcast_obstacle() IS
'Returns the reason why messages are not sent to clients; NULL if they are.

Messages are sent by realtime.send(), which runs as the owner of realtime.messages, or, if that is a superuser,
as the owner of the data. So what others have written, the function itself, a trigger or a partition of the
table, is called only if its owner has the rights of that role, and the triggers have no condition. Nor is
anything sent where the policies of enable_broadcast() are missing, as after a restore. A commit does not wait for
a lock on the table, and sends for at most two seconds.
Callers: the owner of the data and superusers.';

CREATE FUNCTION studio_engine.enable_broadcast_as_owner() RETURNS TABLE (table_name text, added boolean)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  v_obstacle text;
  v_messages oid;
  v_unread text;
  v_mine text;
  v_reserved text := $x$(topic ~ '^(user|company):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' OR topic LIKE 'run:%')$x$;
  v_name name;
  v_policy text;
  v_trigger name;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call enable_broadcast().';
  END IF;
  v_obstacle := nullif(studio_engine.broadcast_obstacle(), 'Policies of enable_broadcast() are missing on realtime.messages.');
  IF v_obstacle IS NULL THEN
    v_messages := to_regclass('realtime.messages');
  END IF;
  IF v_obstacle IS NULL AND to_regprocedure('realtime.topic()') IS NULL THEN
    v_obstacle := 'There is no function realtime.topic().';
  END IF;
  IF v_obstacle IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = CASE WHEN v_obstacle LIKE 'There is no %' THEN 'object_not_in_prerequisite_state' ELSE 'insufficient_privilege' END,
      MESSAGE = 'messages cannot be sent to clients',
      DETAIL = v_obstacle,
      HINT = 'Supabase Realtime makes its schema when it starts. The owner of the data needs USAGE on schema realtime, EXECUTE on realtime.send(jsonb, text, text, boolean) and INSERT on realtime.messages.';
  END IF;

  v_unread := (
    SELECT string_agg(format('Role authenticated may not read columns %s of table %s.', array_to_string(t.columns, ' and '), c.oid::regclass), ' ' ORDER BY n.nspname)
      FROM (SELECT e.extnamespace, 'employees', '{company_id,user_id}'::text[] FROM pg_extension e WHERE e.extname = 'studio_engine'
            UNION ALL SELECT to_regnamespace('pipeline'), 'jobs', '{run_id,owner_id}') t (schema, name, columns)
      JOIN pg_namespace n ON n.oid = t.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.name, to_regrole('authenticated') r (oid)
     WHERE NOT has_schema_privilege(r.oid, n.oid, 'USAGE')
        OR EXISTS (SELECT FROM unnest(t.columns) u (name) WHERE NOT has_column_privilege(r.oid, c.oid, u.name, 'SELECT')));
  IF v_unread IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = 'users may not read what the policies of topics look up',
      DETAIL = v_unread,
      HINT = 'GRANT SELECT on these columns, and USAGE on their schemas, to authenticated: row security lets each user read his own rows.';
  END IF;

  v_mine := format($x$topic IN (SELECT 'user:' || (SELECT auth.uid())::text
    UNION ALL SELECT 'company:' || e.company_id::text FROM %I.employees e WHERE e.user_id = (SELECT auth.uid())
    UNION ALL SELECT 'run:' || j.run_id FROM pipeline.jobs j
      WHERE j.run_id = substr((SELECT realtime.topic()), 5) AND j.owner_id = (SELECT auth.uid()))$x$,
    (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'studio_engine'));
  FOR v_name, v_policy IN VALUES
    ('studio_engine_listen', format($x$FOR SELECT TO authenticated USING (extension = 'broadcast' AND topic = (SELECT realtime.topic()) AND CASE WHEN %s THEN %s ELSE false END)$x$, v_reserved, v_mine)),
    ('studio_engine_own_only', format('AS RESTRICTIVE FOR SELECT TO authenticated USING (CASE WHEN %s THEN %s ELSE true END)', v_reserved, v_mine)),
    ('studio_engine_no_other', format($x$AS RESTRICTIVE FOR SELECT TO PUBLIC USING (NOT %s OR pg_has_role(current_user, 'authenticated', 'USAGE'))$x$, v_reserved)),
    ('studio_engine_no_client', format('AS RESTRICTIVE FOR INSERT TO PUBLIC WITH CHECK (NOT %s)', v_reserved))
  LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = v_messages AND p.polname = v_name);
    v_policy := format('CREATE POLICY %I ON realtime.messages %s', v_name, v_policy);
    BEGIN
      EXECUTE v_policy;
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = 'the owner of the data may not create policies on realtime.messages',
        DETAIL = format('The table belongs to %s. Missing: %s;', (SELECT c.relowner::regrole FROM pg_class c WHERE c.oid = v_messages), v_policy),
        HINT = format('Create the policy as the owner of the table, or make %I a member of that role, and call enable_broadcast() again.', current_user);
    END;
  END LOOP;

  FOR table_name, v_trigger, added IN
    SELECT t.name, b.name, NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = b.name)
      FROM studio_engine.realtime_tables() t (name) JOIN pg_class c ON c.oid = to_regclass(t.name),
           LATERAL (SELECT format('tr_%s_broadcast', c.relname)::name) b (name)
     ORDER BY t.name
  LOOP
    IF added THEN
      EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION studio_engine.broadcast_change()',
                     v_trigger, table_name);
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION studio_engine.enable_broadcast_as_owner() IS
'Do the work of enable_broadcast() as the owner of the data.

Callers: the owner of the data, by way of enable_broadcast().
Errors: 42501 for all others.';

CREATE FUNCTION studio_engine.disable_broadcast_as_owner() RETURNS TABLE (table_name text, removed boolean)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  v_name name;
  v_trigger name;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call disable_broadcast().';
  END IF;
  FOR table_name, v_trigger, removed IN
    SELECT t.name, b.name, EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = b.name)
      FROM studio_engine.realtime_tables() t (name) JOIN pg_class c ON c.oid = to_regclass(t.name),
           LATERAL (SELECT format('tr_%s_broadcast', c.relname)::name) b (name)
     ORDER BY t.name
  LOOP
    IF removed THEN
      EXECUTE format('DROP TRIGGER %I ON %s', v_trigger, table_name);
    END IF;
    RETURN NEXT;
  END LOOP;
  FOR v_name IN
    SELECT p.polname FROM pg_policy p
     WHERE p.polrelid = to_regclass('realtime.messages')
       AND p.polname IN ('studio_engine_listen', 'studio_engine_own_only', 'studio_engine_no_other', 'studio_engine_no_client')
     ORDER BY p.polname
  LOOP
    BEGIN
      EXECUTE format('DROP POLICY %I ON realtime.messages', v_name);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE WARNING USING
        MESSAGE = 'a policy on realtime.messages is left behind',
        DETAIL = format('Policy %s.', v_name),
        HINT = 'The owner of the table can drop it.';
    END;
  END LOOP;
END
$$;
COMMENT ON FUNCTION studio_engine.disable_broadcast_as_owner() IS
'Do the work of disable_broadcast() as the owner of the data.

Callers: the owner of the data, by way of disable_broadcast().
Errors: 42501 for all others.';

CREATE FUNCTION @extschema@.enable_broadcast() RETURNS TABLE (table_name text, added boolean)
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'enable_broadcast';
COMMENT ON FUNCTION @extschema@.enable_broadcast() IS
'Tell clients of Supabase Realtime what changes, by Broadcast.

Creates a trigger on each table that enable_realtime() publishes, and policies on realtime.messages. It may be
called again at any time, and both ways may be on. Returns each table, and whether this call added its trigger.

The topics are private: user:<uuid> for studio_jobs, jobs, job_steps, assets and credit_ledger; company:<uuid>
for cm_module_content, mm_multimedia_sessions and mm_rendering_queue, to the members of the company; run:<run id>
for pipeline.jobs and pipeline.artifacts, to the owner of the run. The event is the name of the table. Topics of
these forms are ours from then on: nobody else hears them, whatever other policies say, and no client sends. Roles
with BYPASSRLS and the owner of realtime.messages pass by policies.
What a message costs does not depend on how many listen.

A message is {"version": 1, "table", "id", "op": "INSERT" or "UPDATE", "changed": {...}}, some 200 bytes: of a few
columns those that have changed in the transaction, with their last values; texts are cut at 200 bytes. Each row
has one message in a transaction, and none if it is rolled back. Beyond 10,000 rows of one transaction the event
is "reload", with "op": "RELOAD": read again. Deletions are not told, nor what was written to a row before.
Messages are sent before the transaction commits; a failure there is a warning. Nothing is sent without schema
realtime, nor while studio_engine.broadcast_obstacle() returns a reason.
Callers: the owner of the data, or a superuser or service that may call it. It acts as the owner of the data.
Errors: 42501 the owner of the data lacks rights, or users may not read employees or pipeline.jobs, or
realtime.send() belongs to a role that may not run with those of the owner of realtime.messages; 55000 Realtime is not there.';

CREATE FUNCTION @extschema@.disable_broadcast() RETURNS TABLE (table_name text, removed boolean)
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'disable_broadcast';
COMMENT ON FUNCTION @extschema@.disable_broadcast() IS
'End what enable_broadcast() began: drop its triggers and policies.

Returns each table, and whether this call removed its trigger. It works without schema realtime, too.
Callers: the owner of the data, or a superuser or service that may call it. It acts as the owner of the data.';
