-- The engine room: flows, and the rules of dump and restore.
-- Pitfall: no signature, default or body of a member may name an object of the
-- data layer; in a restore CREATE EXTENSION comes before it.
-- Pitfall: the owner of the data may rename our schemas and put his own in their
-- place. What a superuser may call is in C and becomes the owner, or is BEGIN
-- ATOMIC and bound to catalogs and members, or refuses to run as anybody else.

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
'Do the triggers of the data layer stand down? True while a dump is loaded, or with studio_engine.maintenance = on until the end of the transaction that sets it (or as an option of the connection), for a session of a superuser or of the owner of the data.';

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

CREATE FUNCTION studio_engine.run_as_data_owner(p_script text) RETURNS void
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'run_as_data_owner';
COMMENT ON FUNCTION studio_engine.run_as_data_owner(text) IS
'Runs a part of the install or update script of studio_engine as the owner of the data, in a security-restricted operation, so that nothing planted in the data layer runs as the superuser who runs the script. 42501 outside of such a script.';

CREATE FUNCTION studio_engine.table_names() RETURNS text[]
  LANGUAGE c IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'table_names';
COMMENT ON FUNCTION studio_engine.table_names() IS
'The tables of the data layer in the schema of the extension; those in schemas studio_engine and pipeline are all ours.';

-- Where default privileges open new tables to other roles, a table of ours that
-- the script did not make would be open too: pg_dump writes no REVOKE against
-- the default privileges of the database that its dump is loaded into, and a
-- migration that a diff tool made has none either. So such a table starts
-- closed, and the GRANTs that come after it open what they say.
CREATE FUNCTION studio_engine.close_created_table() RETURNS event_trigger
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'close_created_table';
COMMENT ON FUNCTION studio_engine.close_created_table() IS
'Event trigger: a table of the data layer that is not made by the script of the extension, but by a dump or a migration, or comes by another name or schema, starts without the rights that default privileges give to others than its owner. Does nothing to other tables, and needs no right of who creates them.';

CREATE EVENT TRIGGER studio_engine_close_created_table
  ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW', 'CREATE MATERIALIZED VIEW',
               'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA', 'CREATE SCHEMA',
               -- to rename, and to move to another schema
               'ALTER TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE', 'ALTER SEQUENCE')
  EXECUTE FUNCTION studio_engine.close_created_table();
-- dumps are loaded with session_replication_role = replica too
ALTER EVENT TRIGGER studio_engine_close_created_table ENABLE ALWAYS;

CREATE FUNCTION studio_engine.direct_tables(OUT table_name text, OUT obstacle text)
  RETURNS SETOF record
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'direct_tables';
COMMENT ON FUNCTION studio_engine.direct_tables() IS
'The tables that studio_engine writes without SQL, and why it does not where it does not: obstacle is NULL, or what was altered. Slower, not wrong. For administrators; setting studio_engine.direct_rows turns the direct road off for a session.';

CREATE FUNCTION studio_engine.lint(OUT problem text, OUT type text, OUT identity text)
  RETURNS SETOF record
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
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
                      WHERE d.classid = p.classoid AND d.objid = p.objoid AND d.deptype = 'e');
END;
COMMENT ON FUNCTION studio_engine.lint() IS
'What would be lost, or fail, in a dump and restore of this installation; empty when sound. The install script ends with it.';
