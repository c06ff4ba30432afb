-- Common functions: workflows, value limits, settings, dump and restore.
-- Pitfall: no signature, default or body of a member may name an object of the
-- data layer; in a restore CREATE EXTENSION runs before the tables are created.
-- Pitfall: the owner of the data may rename our schemas and create others with
-- their names. A function that a superuser may call is in C and switches to the
-- owner, or is BEGIN ATOMIC and bound to catalogs and members, or raises an error
-- for every role but the owner.

-- enforce_workflow(), limit_values() and update_updated_at() have no SET clause:
-- they are called for every row of large UPDATEs, and setting search_path takes
-- longer than their work. enforce_workflow() sets it when it runs SQL; the others
-- run none.
CREATE FUNCTION studio_engine.enforce_workflow() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'enforce_workflow';
COMMENT ON FUNCTION studio_engine.enforce_workflow() IS
'Check status changes against workflow_transitions(), and stamp times.

Trigger, BEFORE INSERT OR UPDATE. Its argument names the workflow. A change that workflow_transitions() does
not list is refused (23514, constraint `<table>_status_transition`). Sets the times and the progress that
belong to the new status.';

CREATE FUNCTION studio_engine.limit_values() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'limit_values';
COMMENT ON FUNCTION studio_engine.limit_values() IS
'Refuse values that are larger than value_limits() allows.

Trigger, BEFORE INSERT OR UPDATE. Its argument names the table. Only values that the statement changes are
checked (22023). It is the first trigger of its table to fire.';

CREATE FUNCTION studio_engine.value_limits()
  RETURNS TABLE (table_name text, column_name text, max_bytes integer, max_depth integer, max_digits integer, max_elements integer)
  LANGUAGE c STABLE ROWS 150 AS 'MODULE_PATHNAME', 'value_limits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.value_limits() IS
'Returns how large the values of each column may be.

max_bytes limits a text, an array with its elements, and jsonb both as stored and as text. max_depth limits
the levels of nesting of jsonb, max_digits the digits of its numbers, max_elements the elements of an array. A
column that the owner of the data added may have 1 MiB.
Callers: the owner of the data, or a superuser.';

CREATE FUNCTION studio_engine.brief_error(p_error jsonb, p_bytes integer) RETURNS jsonb
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'brief_error'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.brief_error(jsonb, integer) IS
'Shorten the error of a job to its code, message and step.

- p_error: the error, JSON.
- p_bytes: about how many bytes the result may have.

Returns p_error where it is short enough, else what is left of it, with truncated true.
Callers: functions of studio_engine.';

CREATE FUNCTION @extschema@.update_updated_at() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'update_updated_at';
COMMENT ON FUNCTION @extschema@.update_updated_at() IS
'Set updated_at to the time of the transaction.

Trigger, BEFORE UPDATE.';

CREATE FUNCTION studio_engine.keep_own_row() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_own_row'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.keep_own_row() IS
'Keep users from changing whose their row is, and which.

Trigger, BEFORE INSERT OR UPDATE. Its arguments name the columns of the identifier and of the owner. A user may
name these columns and created_at in an UPDATE, with the values that the row has; another value is refused
(42501, DETAIL names the column). A row that he inserts must be his own (42501); created_at, where it is NULL or
within five minutes of now, and updated_at become now. Services are not limited.';

CREATE FUNCTION studio_engine.check_new_own_row() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'check_new_own_row'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.check_new_own_row() IS
'Keep users from giving a new row another creation time than now.

Trigger, AFTER INSERT, so that it does not fire for a row that INSERT .. ON CONFLICT DO UPDATE finds. A
created_at that is more than five minutes off is refused (42501, DETAIL names the column). Services are not
limited.';

CREATE FUNCTION @extschema@.workflow_transitions()
  RETURNS TABLE (workflow text, from_status text, to_status text, via text, condition text)
  LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 100 AS 'MODULE_PATHNAME', 'workflow_transitions'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.workflow_transitions() IS
'Returns every legal status change.

workflow is the table; via is the only function that may make the change, NULL where any UPDATE may; condition
is what else must hold.
Callers: anybody.';

CREATE FUNCTION @extschema@.workflow_diagram(p_workflow text) RETURNS text
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workflow_diagram'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.workflow_diagram(text) IS
'Returns the status flow of a table as a Mermaid state diagram.

- p_workflow: a name from workflow_transitions().

Callers: anybody.
Errors: 22004 p_workflow is NULL; 22023 there is no such workflow.';

CREATE FUNCTION studio_engine.restoring() RETURNS boolean
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'studio_restoring'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.restoring() IS
'Returns true if the triggers of the data layer are skipped.

They are while a dump is loaded. A session of a superuser or of the owner of the data also skips them with
studio_engine.maintenance = on, until the end of the transaction that sets it, or for the whole session where
it is an option of the connection.';

CREATE FUNCTION studio_engine.yield_to_restored_row() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'yield_to_restored_row'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.yield_to_restored_row() IS
'Let a restored row replace the one that the installation made.

Trigger, BEFORE INSERT on studio_engine.settings and studio_engine.meta, enabled always. It acts only while a dump is
loaded or logical replication brings the row.';

CREATE FUNCTION studio_engine.invalidate_settings() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'invalidate_settings'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.invalidate_settings() IS
'Make all sessions reload their settings.

Trigger, AFTER INSERT, UPDATE OR DELETE of a row, and AFTER TRUNCATE, on studio_engine.settings and
studio_engine.queue_stages, enabled always.';

CREATE FUNCTION studio_engine.check_setting() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'check_setting'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.check_setting() IS
'Refuse settings that do not exist, and values that a setting does not accept.

Trigger, BEFORE INSERT OR UPDATE on studio_engine.settings. Rows of a dump are not checked.
Errors: 22023 there is no such setting, or it does not accept the value.';

CREATE FUNCTION @extschema@.set_setting(p_name text, p_value text) RETURNS text
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'set_setting';
COMMENT ON FUNCTION @extschema@.set_setting(text, text) IS
'Change a setting.

It takes effect with the next statement, in all sessions, also where the setting has no row yet.

- p_name: a name from get_settings().
- p_value: the value, up to 500,000 characters; NULL is the default.

Returns the value.
Callers: the owner of the data, or a superuser.
Errors: 42501 all others; 22004 p_name is NULL; 22023 there is no such setting, or it does not accept the value.';

CREATE FUNCTION @extschema@.get_settings()
  RETURNS TABLE (name text, value text, default_value text, type text, min_value integer, max_value integer, description text)
  LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'get_settings';
COMMENT ON FUNCTION @extschema@.get_settings() IS
'Returns all settings, with their defaults and meanings.

- type: number, a whole number; switch, 0 or 1; or text.
- min_value, max_value: the bounds of a number; NULL for a text.

Callers: services only.';

CREATE FUNCTION studio_engine.setting_problem(p_name text, p_value text) RETURNS text
  LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'setting_problem';
COMMENT ON FUNCTION studio_engine.setting_problem(text, text) IS
'Returns why a setting does not accept a value, or NULL if it does.

verify_setup() calls it as the owner of the data.

- p_name: the name of a setting, or another name.
- p_value: the value.

Callers: the owner of the data.
Errors: 22004 an argument is NULL.';

CREATE FUNCTION studio_engine.run_as_data_owner(p_script text) RETURNS void
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'run_as_data_owner';
COMMENT ON FUNCTION studio_engine.run_as_data_owner(text) IS
'Run a part of the install or update script as the owner of the data.

- p_script: the statements.

Runs them in a security-restricted operation, so that nothing planted in the data layer runs as the superuser
who runs the script.
Errors: 42501 outside of an install or update script of studio_engine.';

CREATE FUNCTION studio_engine.table_names() RETURNS text[]
  LANGUAGE c IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'table_names';
COMMENT ON FUNCTION studio_engine.table_names() IS
'Returns the tables of the data layer in the schema of the extension.

All tables in schemas studio_engine and pipeline belong to the data layer too and are not listed.';

-- Where default privileges grant rights on new tables to other roles, these roles
-- would also get them on a table of the data layer that is not created by the
-- script: pg_dump writes no REVOKE for the default privileges of the database
-- that its dump is loaded into, and a migration written by a diff tool has none
-- either. So such a table is created without these rights, and the GRANTs that
-- follow in the dump or migration apply.
CREATE FUNCTION studio_engine.close_created_table() RETURNS event_trigger
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'close_created_table';
COMMENT ON FUNCTION studio_engine.close_created_table() IS
'Revoke default privileges from a new table of the data layer.

Event trigger, ddl_command_end. It applies to tables of the data layer that a dump or a migration creates,
renames or moves to their schema, not the script of the extension: others than the owner of such a table lose
the rights that default privileges gave them. Other tables are left alone. The role that creates the table
needs no further right.';

CREATE EVENT TRIGGER studio_engine_close_created_table
  ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW', 'CREATE MATERIALIZED VIEW',
               'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA', 'CREATE SCHEMA',
               -- for RENAME TO and SET SCHEMA
               'ALTER TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE', 'ALTER SEQUENCE')
  EXECUTE FUNCTION studio_engine.close_created_table();
-- also when a dump is loaded with session_replication_role = replica
ALTER EVENT TRIGGER studio_engine_close_created_table ENABLE ALWAYS;

CREATE FUNCTION studio_engine.direct_tables(OUT table_name text, OUT reason text)
  RETURNS SETOF record
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'direct_tables';
COMMENT ON FUNCTION studio_engine.direct_tables() IS
'Returns the tables of the fast path, and why one is not eligible.

studio_engine writes these tables without SQL. reason is NULL for a table that is eligible for the fast
path, else what was altered. A table that is not eligible is slower, not wrong. Setting
studio_engine.direct_rows = off turns the fast path off for a session, which is not shown here.
Callers: the owner of the data, or a superuser.';

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
  SELECT DISTINCT 'grant recorded in pg_init_privs, pg_dump would omit it', i.type, i.identity
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
'Returns what a dump and restore of this installation would lose.

A row also tells what would make a restore fail. Empty when the installation is sound. The install script ends
with it.';
