-- Sign-up.

CREATE FUNCTION @extschema@.handle_new_user() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'handle_new_user'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.handle_new_user() IS
'Create profile, credit account and welcome grant of a new user.

Trigger on_auth_user_created, AFTER INSERT on auth.users. The grant is that of setting welcome_credits, once
per user. A failure becomes a warning, so that it never blocks a sign-up; ensure_profile() repairs it.';

CREATE FUNCTION studio_engine.lock_jobs_of_user() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'lock_jobs_of_user'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.lock_jobs_of_user() IS
'Lock the jobs of a user who is deleted.

Trigger on_auth_user_deleted, BEFORE DELETE on auth.users. The jobs are locked before the cascades reach the
account, so that the lock order stays job, account.';

CREATE FUNCTION @extschema@.ensure_profile(p_user_id uuid) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ensure_profile'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.ensure_profile(uuid) IS
'Create the profile, account and welcome grant that a user lacks.

Repairs what sign-up could not do, and changes nothing where they exist.

- p_user_id: the user.

Returns the profile.
Callers: the user, or a service.
Errors: 22004 p_user_id is NULL; 42501 not the caller; PT404 no such user.';
