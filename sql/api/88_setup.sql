-- Whether the installation is as it should be.

CREATE FUNCTION studio_engine.verify_setup_as_owner()
  RETURNS TABLE (name text, ok boolean, detail text, remedy text)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- without the right to use schema auth its name cannot be looked up otherwise
  v_users oid := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = 'auth' AND c.relname = 'users');
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call verify_setup().';
  END IF;

  name := 'hooks';
  SELECT string_agg(format('Hook %s: %s.', h.hook, h.detail), ' ' ORDER BY h.hook), string_agg(h.remedy || ';', ' ' ORDER BY h.hook)
    INTO detail, remedy FROM studio_engine.missing_hooks() h;
  ok := detail IS NULL;
  RETURN NEXT;

  name := 'failed_sign_ups';
  SELECT format('%s users lack what a sign-up gives. Failed last: the %s of user %s, %s %s',
                count(*) OVER (), f.part, f.user_id, f.sqlstate, f.message)
    INTO detail FROM studio_engine.failed_sign_ups f ORDER BY f.failed_at DESC LIMIT 1;
  ok := detail IS NULL;
  remedy := 'SELECT @extschema@.repair_sign_ups();';
  RETURN NEXT;

  name := 'users';
  IF v_users IS NULL THEN
    ok := false;
    detail := 'There is no table auth.users.';
    remedy := NULL;
  ELSIF NOT has_schema_privilege('auth', 'USAGE') OR NOT has_column_privilege(v_users, 'id', 'SELECT') THEN
    ok := NULL;
    detail := 'The owner of the data may not read auth.users.';
    remedy := format('GRANT USAGE ON SCHEMA auth TO %1$I; GRANT SELECT (id) ON auth.users TO %1$I;', current_user);
  ELSIF row_security_active(v_users) THEN
    ok := NULL;
    detail := 'Row level security of auth.users holds for the owner of the data, who may not see all users.';
    remedy := format('ALTER ROLE %I BYPASSRLS;', current_user);
  ELSE
    SELECT format('User %s has no profile or no credit account.', u.id) INTO detail
      FROM auth.users u
     WHERE NOT EXISTS (SELECT FROM @extschema@.profiles p WHERE p.id = u.id)
        OR NOT EXISTS (SELECT FROM @extschema@.credit_accounts a WHERE a.user_id = u.id)
     ORDER BY u.id LIMIT 1;
    ok := detail IS NULL;
    remedy := 'SELECT @extschema@.repair_sign_ups();';
  END IF;
  RETURN NEXT;

  name := 'settings';
  SELECT string_agg(studio_engine.setting_problem(s.name, s.value), ' ' ORDER BY s.name),
         string_agg(format('DELETE FROM studio_engine.settings WHERE name = %L;', s.name), ' ' ORDER BY s.name)
    INTO detail, remedy
    FROM studio_engine.settings s WHERE studio_engine.setting_problem(s.name, s.value) IS NOT NULL;
  ok := detail IS NULL;
  RETURN NEXT;

  name := 'replica_triggers';
  SELECT string_agg(format('Trigger %s of %s is not enabled always.', t.tgname, t.tgrelid::regclass), ' ' ORDER BY t.tgname),
         string_agg(format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I;', t.tgrelid::regclass, t.tgname), ' ' ORDER BY t.tgname)
    INTO detail, remedy
    FROM pg_trigger t
   WHERE t.tgfoid IN ('studio_engine.yield_to_restored_row'::regproc, 'studio_engine.invalidate_settings'::regproc) AND t.tgenabled <> 'A';
  ok := detail IS NULL;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION studio_engine.verify_setup_as_owner() IS
'Do the work of verify_setup() as the owner of the data.

Callers: the owner of the data, by way of verify_setup().
Errors: 42501 for all others.';

CREATE FUNCTION @extschema@.verify_setup() RETURNS TABLE (name text, ok boolean, detail text, remedy text)
  LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'verify_setup';
COMMENT ON FUNCTION @extschema@.verify_setup() IS
'Check whether the installation is as it should be.

One row for each check. Names of checks do not change.

- name: hooks, triggers on auth.users that are missing, disabled or altered; failed_sign_ups, sign-ups that failed in
  part; users, who have no profile or credit account; settings, rows that a setting does not accept;
  replica_triggers, which act while a dump or logical replication brings rows, and are switched off.
- ok: NULL where it cannot be told.
- detail: what is wrong; NULL where nothing is.
- remedy: statements that mend it, as they stand; "settings" goes back to the defaults. repair_sign_ups() repairs a number
  of users: call it until it returns 0 and "users" is ok.

It reads all users; nothing is written or locked, so it runs on a standby, too.
Callers: services only, the owner of the data and superusers among them.';
