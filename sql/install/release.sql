-- Last part of the install and update scripts: removes the data layer from the
-- extension, so that pg_dump dumps it like other objects of its owner.
-- Pitfall: code of the owner of the data may have run before this, and may have
-- replaced our schema by another one. So no function of ours is called by name
-- here; the tests check that lint() finds nothing.
-- Pitfall: grants made while an object is a member are recorded in pg_init_privs,
-- and pg_dump omits such grants. Adding the object to the extension and dropping
-- it from there again deletes the record.

DO $release$
DECLARE
  v_object record;
BEGIN
  -- objects that this script has created: one at a time, since dropping a table drops its types too
  LOOP
    SELECT i.type, i.identity INTO v_object
      FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, 0) i
     WHERE d.refclassid = 'pg_extension'::regclass
       AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'studio_engine')
       AND d.deptype = 'e'
       AND d.classid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass)
       AND i.identity NOT LIKE '%[]'
     ORDER BY CASE i.type WHEN 'table' THEN 1 WHEN 'sequence' THEN 2 WHEN 'type' THEN 3 ELSE 4 END, i.identity
     LIMIT 1;
    EXIT WHEN NOT FOUND;
    EXECUTE format('ALTER EXTENSION studio_engine DROP %s %s', v_object.type, v_object.identity);
  END LOOP;

  -- grants by this script on objects that existed before
  FOR v_object IN
    SELECT DISTINCT i.type, i.identity
      FROM pg_init_privs p, LATERAL pg_identify_object(p.classoid, p.objoid, 0) i
     WHERE p.privtype = 'e'
       AND (i.type = 'table' AND i.schema IN ('studio_engine', 'pipeline')
            OR i.type = 'table' AND i.schema = '@extschema@'::regnamespace::name AND i.name = ANY (current_setting('studio_setup.tables')::name[])
            OR i.type = 'schema' AND i.identity IN ('studio_engine', 'pipeline'))
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = p.classoid AND d.objid = p.objoid AND d.deptype = 'e')
  LOOP
    EXECUTE format('ALTER EXTENSION studio_engine ADD %s %s', v_object.type, v_object.identity);
    EXECUTE format('ALTER EXTENSION studio_engine DROP %s %s', v_object.type, v_object.identity);
  END LOOP;
END
$release$;
