-- The engine room: flows, and the rules of dump and restore.
-- Pitfall: no signature, default or body of a member may name an object of the
-- data layer; in a restore CREATE EXTENSION comes before it.

-- These three are called for every row of large UPDATEs, and setting a path costs
-- more than what they do; enforce_workflow() sets it where it runs SQL, and
-- limit_values() runs none.
CREATE FUNCTION studio_engine.enforce_workflow() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'enforce_workflow';
COMMENT ON FUNCTION studio_engine.enforce_workflow() IS
'Trigger, BEFORE INSERT OR UPDATE, argument: the workflow. Refuses a status change that workflow_transitions() does not list (23514, constraint <table>_status_transition) and stamps times and progress.';

CREATE FUNCTION studio_engine.limit_values() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'limit_values';
COMMENT ON FUNCTION studio_engine.limit_values() IS
'Trigger, BEFORE INSERT OR UPDATE, argument: the table. Refuses a value that is changed and beyond what value_limits() allows (22023). The first to fire.';

CREATE FUNCTION studio_engine.value_limits()
  RETURNS TABLE (table_name text, column_name text, max_bytes integer, max_depth integer, max_digits integer, max_elements integer)
  LANGUAGE c STABLE ROWS 150 AS 'MODULE_PATHNAME', 'value_limits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.value_limits() IS
'How large values may be: bytes of a text or of an array and its elements; of jsonb the bytes as stored and as text, the levels of nesting, and the digits of a number. A column that the owner added may have 1 MiB. For administrators.';

CREATE FUNCTION studio_engine.brief_error(p_error jsonb, p_bytes integer) RETURNS jsonb
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'brief_error'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.brief_error(jsonb, integer) IS
'The error of a job in at most about p_bytes: what is longer is cut to its code, message and step, with truncated true. For the functions of studio_engine.';

CREATE FUNCTION @extschema@.update_updated_at() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'update_updated_at';
COMMENT ON FUNCTION @extschema@.update_updated_at() IS
'Trigger, BEFORE UPDATE: sets updated_at to the time of the transaction.';

CREATE FUNCTION @extschema@.workflow_transitions()
  RETURNS TABLE (workflow text, from_status text, to_status text, via text, condition text)
  LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 100 AS 'MODULE_PATHNAME', 'workflow_transitions'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.workflow_transitions() IS
'Every legal status change: the table, from, to, and in via the one function that may make it (NULL: any update may), in condition what else must hold. Anybody may call it.';

CREATE FUNCTION @extschema@.workflow_diagram(p_workflow text) RETURNS text
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workflow_diagram'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.workflow_diagram(text) IS
'The flow of a table (p_workflow: a name from workflow_transitions()) as Mermaid stateDiagram text. NULL or unknown name: 22004, 22023. Anybody may call it.';

CREATE FUNCTION studio_engine.restoring() RETURNS boolean
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'studio_restoring'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.restoring() IS
'Do the triggers of the data layer stand down? True while a dump is loaded, or with studio_engine.maintenance = on, for a session of a superuser or of the owner of the data.';

CREATE FUNCTION studio_engine.yield_to_restored_row() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'yield_to_restored_row'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.yield_to_restored_row() IS
'Trigger, BEFORE INSERT on settings and meta: while a dump is loaded, its row replaces the one that the installation made.';

CREATE FUNCTION studio_engine.note_changed_settings() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'note_changed_settings'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.note_changed_settings() IS
'Trigger, AFTER any change of settings: sessions read their settings anew.';

CREATE FUNCTION studio_engine.table_names() RETURNS text[]
  LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
  SELECT ARRAY['profiles', 'draft_prompts', 'projects', 'jobs', 'job_steps', 'assets', 'logs',
               'credit_accounts', 'credit_ledger', 'studio_jobs',
               'companies', 'employees', 'cm_module_content', 'cm_course_plans',
               'cm_research_results', 'cm_quality_assessments', 'cm_enhancement_sessions',
               'mm_multimedia_sessions', 'mm_multimedia_assets', 'mm_audio_narrations',
               'mm_slide_presentations', 'mm_script_generations',
               'mm_video_analytics', 'mm_rendering_queue']
$$;
COMMENT ON FUNCTION studio_engine.table_names() IS
'The tables of the data layer in the schema of the extension; those in schemas studio_engine and pipeline are all ours.';

-- pg_dump writes no REVOKE against the default privileges of the database that
-- it is loaded into: where those open new tables to the API roles, a restored
-- credit_ledger would be open too. So a table of ours starts closed there, and
-- the GRANTs of the dump open what they say.
CREATE FUNCTION studio_engine.close_restored_table() RETURNS event_trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table record;
  v_role record;
BEGIN
  IF current_setting('row_security')::boolean OR current_setting('check_function_bodies')::boolean THEN
    RETURN;
  END IF;
  FOR v_table IN
    SELECT c.objid::regclass AS name
      FROM pg_event_trigger_ddl_commands() c
     WHERE c.object_type = 'table'
       AND (c.schema_name IN ('studio_engine', 'pipeline')
            OR c.schema_name = (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                                 WHERE e.extname = 'studio_engine')
               AND (SELECT r.relname FROM pg_class r WHERE r.oid = c.objid) = ANY (studio_engine.table_names()))
  LOOP
    FOR v_role IN
      SELECT r.rolname AS name FROM pg_roles r WHERE r.rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
      EXECUTE format('REVOKE ALL ON TABLE %s FROM %I', v_table.name, v_role.name);
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON FUNCTION studio_engine.close_restored_table() IS
'Event trigger: while a dump is loaded, a table of the data layer starts without the rights that default privileges give to API roles.';

CREATE EVENT TRIGGER studio_engine_close_restored_table
  ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
  EXECUTE FUNCTION studio_engine.close_restored_table();

CREATE FUNCTION studio_engine.direct_tables(OUT table_name text, OUT obstacle text)
  RETURNS SETOF record
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'direct_tables';
COMMENT ON FUNCTION studio_engine.direct_tables() IS
'The tables that studio_engine writes without SQL, and why it does not where it does not: obstacle is NULL, or what was altered. Slower, not wrong. For administrators; setting studio_engine.direct_rows turns the direct road off for a session.';

CREATE FUNCTION studio_engine.lint(OUT problem text, OUT type text, OUT identity text)
  RETURNS SETOF record
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH members AS (
    SELECT d.classid, d.objid
      FROM pg_depend d
     WHERE d.refclassid = 'pg_extension'::regclass
       AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'studio_engine')
       AND d.deptype = 'e'
  )
  SELECT 'member of the data layer, pg_dump would lose it', i.type, i.identity
    FROM members m, LATERAL pg_identify_object(m.classid, m.objid, 0) i
   WHERE m.classid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass)
     AND i.identity NOT LIKE '%[]'
  UNION ALL
  SELECT DISTINCT 'member needs the data layer, CREATE EXTENSION would fail in a restore', i.type, i.identity
    FROM members m
    JOIN pg_depend d ON d.classid = m.classid AND d.objid = m.objid
                    AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass)
    LEFT JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
    LEFT JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid,
    LATERAL pg_identify_object(m.classid, m.objid, 0) i
   WHERE m.classid = 'pg_proc'::regclass
     AND coalesce(c.relnamespace, t.typnamespace) <> 'pg_catalog'::regnamespace
  UNION ALL
  SELECT DISTINCT 'grant noted as initial, pg_dump would leave it out', i.type, i.identity
    FROM pg_init_privs p, LATERAL pg_identify_object(p.classoid, p.objoid, 0) i
   WHERE p.privtype = 'e'
     AND (i.type = 'table' AND i.schema IN ('studio_engine', 'pipeline')
          OR i.type = 'table' AND i.name = ANY (studio_engine.table_names())
             AND i.schema = (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                              WHERE e.extname = 'studio_engine')
          OR i.type = 'schema' AND i.identity IN ('studio_engine', 'pipeline'))
     AND NOT EXISTS (SELECT 1 FROM members m WHERE m.classid = p.classoid AND m.objid = p.objoid)
     AND NOT EXISTS (SELECT 1 FROM pg_depend d
                      WHERE d.classid = p.classoid AND d.objid = p.objoid AND d.deptype = 'e')
$$;
COMMENT ON FUNCTION studio_engine.lint() IS
'What would be lost, or fail, in a dump and restore of this installation; empty when sound. The install script ends with it.';
