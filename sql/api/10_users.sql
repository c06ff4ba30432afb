-- Sign-up.

CREATE FUNCTION @extschema@.handle_new_user() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'handle_new_user'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.handle_new_user() IS
'Create profile, credit account and welcome grant of a new user.

Trigger on_auth_user_created, AFTER INSERT on auth.users. Name and picture come from raw_user_meta_data: the first
of name, full_name, user_name, preferred_username, and of avatar_url, picture, that is a string and not empty. The
grant is that of setting welcome_credits, once per user, once per e-mail address (welcome_once_per_email), and for an
anonymous user when he becomes permanent (welcome_anonymous). A failure of the profile, or of account and grant,
becomes a warning and a row of studio_engine.failed_sign_ups, so that it never blocks a sign-up; ensure_profile() and
repair_sign_ups() repair it.';

CREATE FUNCTION studio_engine.handle_user_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'handle_user_change'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.handle_user_change() IS
'Follow a user whom the auth server changes.

Trigger on_auth_user_updated, AFTER UPDATE on auth.users. It acts where is_anonymous, email or raw_user_meta_data has
changed: name and picture are filled in where the profile has none, and a user who becomes permanent gets the welcome
grant. Where deleted_at is set, name and picture are removed; jobs and books stay. A failure becomes a warning and a row
of studio_engine.failed_sign_ups, so that it never blocks the auth server; ensure_profile() and repair_sign_ups() repair it.';

CREATE FUNCTION studio_engine.lock_jobs_of_user() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'lock_jobs_of_user'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.lock_jobs_of_user() IS
'Lock the jobs of a user who is deleted, and remember whether he was welcomed.

Trigger on_auth_user_deleted, BEFORE DELETE on auth.users. The jobs are locked before the cascades reach the
account, so that the lock order stays job, account. A digest of the e-mail address of a user who has had the welcome
grant stays, where setting welcome_once_per_email is on.';

CREATE FUNCTION @extschema@.ensure_profile(p_user_id uuid) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ensure_profile'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.ensure_profile(uuid) IS
'Create the profile, account and welcome grant that a user lacks.

Repairs what sign-up could not do, by the same rules. In a profile that exists, name and picture are filled in where
they are NULL.

- p_user_id: the user.

Returns the profile.
Callers: the user, or a service.
Errors: 22004 p_user_id is NULL; 42501 not the caller; PT404 no such user.';

CREATE FUNCTION @extschema@.repair_sign_ups(p_limit integer DEFAULT 100) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'repair_sign_ups'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.repair_sign_ups(integer) IS
'Create what users lack whose sign-up failed, or was before the installation.

Does what ensure_profile() does, each user for himself, so that one who cannot be repaired keeps no other from it: first
for those of whom a failure is known, those who failed last at the end; then it looks at the next 1,000 users in order of
id, from where the last call ended, and at the end begins again. So each call takes a bounded time, and a user who signed
up while the trigger was missing is found, too.

- p_limit: how many users to repair, 1 to 10000.

Returns how many were repaired; those who failed are in studio_engine.failed_sign_ups.
Callers: a service.
Errors: 42501 all others; 22004 p_limit is NULL; 22023 p_limit out of bounds.';
