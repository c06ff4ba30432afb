-- Hooks on the table of the auth server: the only objects of ours outside our
-- schemas. A restore runs this file too, where auth.users is there already,
-- since a dump without schema auth leaves them out.
-- Pitfall: a trigger of the project may have the name of ours and is not touched.
-- Ours is known by its function, has the name where it is free, and else another
-- one: missing_hooks() says which.

DECLARE
  v_remedy text;
BEGIN
  FOR v_remedy IN SELECT m.remedy FROM studio_engine.missing_hooks() m LOOP
    EXECUTE v_remedy;
  END LOOP;
END;
