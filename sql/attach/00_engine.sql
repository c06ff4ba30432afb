-- The facts of this installation, which a copy of the schema alone does not have.
INSERT INTO studio_engine.meta (name, value)
SELECT f.name, f.value
  FROM (VALUES
    ('schema_version', '1'),
    -- the secret of the digests: 256 random bits, as 64 digits
    ('digest_key', encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex')),
    -- our own tables have our policies
    ('companies', (SELECT CASE count(*) WHEN 2 THEN 'own' ELSE 'mapped' END
                     FROM pg_policy p
                    WHERE p.polrelid = '@extschema@.companies'::regclass AND p.polname = 'companies_select'
                       OR p.polrelid = '@extschema@.employees'::regclass AND p.polname = 'employees_select'))) AS f (name, value)
 WHERE NOT EXISTS (SELECT FROM studio_engine.meta m WHERE m.name = f.name);

-- All settings with their defaults, so that they are seen. A setting that has no
-- row, as after a copy of the schema alone, has its default too.
-- Pitfall: no row is proposed that is there already, here and above, since the
-- triggers below may let a row that comes replace the one that is there.
INSERT INTO studio_engine.settings (name, value, description)
SELECT s.name, s.default_value, s.description
  FROM @extschema@.get_settings() AS s
 WHERE NOT EXISTS (SELECT FROM studio_engine.settings t WHERE t.name = s.name);

-- API roles have no rights in the private schema, nor anywhere else until the
-- files after this one grant them.
-- Pitfall: default privileges may have opened every table, type and schema to any
-- role by name, API roles or not. Rights that the owner gives to other roles stay.

DECLARE
  v_object record;
BEGIN
  FOR v_object IN
    WITH ours AS (
      SELECT 'TABLE' AS type, c.oid::regclass::text AS name, c.relowner AS owner, l.acl
        FROM pg_class c, LATERAL (
               SELECT c.relacl
               UNION ALL
               SELECT a.attacl FROM pg_attribute a WHERE a.attrelid = c.oid) AS l (acl)
       WHERE c.relkind IN ('r', 'p')
         AND (c.relnamespace IN ('studio_engine'::regnamespace, 'pipeline'::regnamespace)
              OR c.relnamespace = '@extschema@'::regnamespace AND c.relname = ANY (studio_engine.table_names())
                 AND (c.relname NOT IN ('companies', 'employees')
                      OR (SELECT m.value FROM studio_engine.meta m WHERE m.name = 'companies') = 'own'))
      UNION ALL
      SELECT 'TYPE', t.oid::regtype::text, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
        FROM pg_type t
       WHERE t.oid IN ('@extschema@.job_status'::regtype, '@extschema@.step_status'::regtype,
                       'studio_engine.job_system'::regtype, 'studio_engine.queue_state'::regtype)
      UNION ALL
      SELECT 'SCHEMA', n.oid::regnamespace::text, n.nspowner, n.nspacl
        FROM pg_namespace n
       WHERE n.nspname IN ('studio_engine', 'pipeline')
    )
    SELECT o.type, o.name,
           string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ') AS grantees
      FROM ours o, LATERAL aclexplode(o.acl) a
     WHERE a.grantee <> o.owner
       AND (a.grantee IN (0, to_regrole('anon'), to_regrole('authenticated'), to_regrole('service_role'))
            OR a.grantee IN (SELECT b.grantee FROM pg_default_acl d, LATERAL aclexplode(d.defaclacl) b))
     GROUP BY o.type, o.name
  LOOP
    EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE', v_object.type, v_object.name, v_object.grantees);
  END LOOP;
END;

-- Limits of the size of values, for every writer; the first trigger of each table.
CREATE OR REPLACE TRIGGER "00_settings_limits"
  BEFORE INSERT OR UPDATE ON studio_engine.settings
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('settings');

CREATE OR REPLACE TRIGGER tr_settings_check
  BEFORE INSERT OR UPDATE ON studio_engine.settings
  FOR EACH ROW EXECUTE FUNCTION studio_engine.check_setting();

-- These are enabled always: the rows that they are for come with
-- session_replication_role = replica too, in a dump of the platform's command
-- line and by logical replication.
CREATE OR REPLACE TRIGGER tr_meta_yield
  BEFORE INSERT ON studio_engine.meta
  FOR EACH ROW EXECUTE FUNCTION studio_engine.yield_to_restored_row();
ALTER TABLE studio_engine.meta ENABLE ALWAYS TRIGGER tr_meta_yield;

CREATE OR REPLACE TRIGGER tr_settings_yield
  BEFORE INSERT ON studio_engine.settings
  FOR EACH ROW EXECUTE FUNCTION studio_engine.yield_to_restored_row();
ALTER TABLE studio_engine.settings ENABLE ALWAYS TRIGGER tr_settings_yield;

CREATE OR REPLACE TRIGGER tr_settings_changed
  AFTER INSERT OR UPDATE OR DELETE ON studio_engine.settings
  FOR EACH ROW EXECUTE FUNCTION studio_engine.invalidate_settings();
ALTER TABLE studio_engine.settings ENABLE ALWAYS TRIGGER tr_settings_changed;

CREATE OR REPLACE TRIGGER tr_settings_truncated
  AFTER TRUNCATE ON studio_engine.settings
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.invalidate_settings();
ALTER TABLE studio_engine.settings ENABLE ALWAYS TRIGGER tr_settings_truncated;
