-- Last part of the install and update scripts: the data layer leaves the
-- extension, so that pg_dump treats it as the property of its owner.
-- Pitfall: grants made while an object is a member are noted in pg_init_privs,
-- and pg_dump leaves such grants out. Joining and leaving clears the note.

DO $release$
DECLARE
  v_object record;
BEGIN
  -- what was created now: one by one, since a table takes its types along
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

  -- what was granted now on objects that were there before
  FOR v_object IN
    SELECT l.type, l.identity FROM studio_engine.lint() l WHERE l.problem LIKE 'grant %'
  LOOP
    EXECUTE format('ALTER EXTENSION studio_engine ADD %s %s', v_object.type, v_object.identity);
    EXECUTE format('ALTER EXTENSION studio_engine DROP %s %s', v_object.type, v_object.identity);
  END LOOP;
END
$release$;

-- Whatever is wrong now would be lost, or fail, in somebody's restore.
DO $verify$
DECLARE
  v_problem text;
BEGIN
  SELECT string_agg(format('%s: %s %s', l.problem, l.type, l.identity), '; ') INTO v_problem
    FROM studio_engine.lint() l;
  IF v_problem IS NOT NULL THEN
    RAISE EXCEPTION 'studio_engine did not release its data layer' USING DETAIL = v_problem;
  END IF;
END
$verify$;
