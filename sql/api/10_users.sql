-- Sign-up.

CREATE FUNCTION @extschema@.handle_new_user() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'handle_new_user'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.handle_new_user() IS
'Trigger on_auth_user_created, AFTER INSERT on auth.users: profile, credit account and welcome grant (setting welcome_credits), once per user. A failure becomes a warning, so that it never blocks a sign-up; ensure_profile() repairs.';

CREATE FUNCTION studio_engine.lock_jobs_of_user() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'lock_jobs_of_user'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.lock_jobs_of_user() IS
'Trigger on_auth_user_deleted, BEFORE DELETE on auth.users: locks the jobs of the user before the cascades reach the account, so that the lock order stays job, account.';

CREATE FUNCTION @extschema@.ensure_profile(p_user_id uuid) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ensure_profile'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.ensure_profile(uuid) IS
'Gives user p_user_id the profile, the account and the welcome grant where sign-up could not; changes nothing where they exist. Returns the profile. The user or a service; 22004 NULL, 42501 not yours, PT404 no such user.';
