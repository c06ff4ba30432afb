-- Sign-up.

CREATE FUNCTION @extschema@.handle_new_user() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'handle_new_user'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.handle_new_user() IS
'Create profile, credit account and welcome grant of a new user.

Trigger on_auth_user_created, or studio_engine_on_auth_user_created where the project has a trigger of that name,
AFTER INSERT on auth.users. Name and picture come from raw_user_meta_data: the first of name, full_name, user_name,
preferred_username, and of avatar_url, picture, that is a string and not empty. The grant is that of setting
welcome_credits, once per user, once per e-mail address (welcome_once_per_email), and for an anonymous user when he
becomes permanent (welcome_anonymous). A failure of the profile, or of account and grant, becomes a warning and a row of
studio_engine.failed_sign_ups, so that it never blocks a sign-up; ensure_profile() and repair_sign_ups() repair it.';

CREATE FUNCTION studio_engine.handle_user_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'handle_user_change'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.handle_user_change() IS
'Follow a user whom the auth server changes.

Trigger on_auth_user_updated, or studio_engine_on_auth_user_updated where that name is taken, AFTER UPDATE on
auth.users. It acts where is_anonymous, email or raw_user_meta_data has changed: name and picture are filled in where
the profile has none, and a user who becomes permanent gets the welcome grant. Where deleted_at is set, name and picture
are removed; jobs and books stay. A failure becomes a warning and a row of studio_engine.failed_sign_ups, so that it
never blocks the auth server; ensure_profile() and repair_sign_ups() repair it.';

CREATE FUNCTION studio_engine.lock_jobs_of_user() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'lock_jobs_of_user'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.lock_jobs_of_user() IS
'Lock the jobs of a user who is deleted, and remember whether he was welcomed.

Trigger on_auth_user_deleted, or studio_engine_on_auth_user_deleted where that name is taken, BEFORE DELETE on
auth.users. The jobs are locked before the cascades reach the account, so that the lock order stays job, account. A
digest of the e-mail address of a user who has had the welcome grant stays, where setting welcome_once_per_email is
on.';

CREATE FUNCTION studio_engine.missing_hooks(OUT hook text, OUT detail text, OUT remedy text)
  RETURNS SETOF record
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH users AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'auth' AND c.relname = 'users'
  ), triggers AS (
    SELECT t.tgname, t.tgfoid::regprocedure AS function, pg_get_triggerdef(t.oid) AS definition, t.tgenabled IN ('O', 'A') AS enabled,
           t.tgtype, t.tgqual IS NULL AND t.tgattr::text = '' AND t.tgconstraint = 0 AS unconditional
      FROM pg_trigger t JOIN users u ON t.tgrelid = u.oid
     WHERE NOT t.tgisinternal
  ), hooks (position, name, event, type, function) AS (
    -- type: 1 for each row, 2 before, 4 insert, 8 delete, 16 update
    VALUES (1, 'on_auth_user_created', 'AFTER INSERT', 1 + 4, '@extschema@.handle_new_user()'::regprocedure),
           (2, 'on_auth_user_updated', 'AFTER UPDATE', 1 + 16, 'studio_engine.handle_user_change()'::regprocedure),
           (3, 'on_auth_user_deleted', 'BEFORE DELETE', 1 + 2 + 8, 'studio_engine.lock_jobs_of_user()'::regprocedure)
  ), attached AS (
    -- of several triggers the one that is as it should be
    SELECT DISTINCT ON (h.position) h.position, t.tgname, t.definition, t.enabled, t.tgtype = h.type AND t.unconditional AS as_made,
           count(*) OVER (PARTITION BY h.position) AS number
      FROM hooks h JOIN triggers t ON t.function = h.function
     ORDER BY h.position, t.enabled AND t.tgtype = h.type AND t.unconditional DESC, t.tgname
  )
  SELECT h.name,
         CASE WHEN NOT EXISTS (SELECT FROM users) THEN 'there is no table auth.users'
              WHEN a.number > 1 THEN format('%s triggers run %s', a.number, h.function)
              WHEN NOT a.as_made THEN format('was altered: %s', a.definition)
              WHEN NOT a.enabled THEN format('trigger %I is disabled', a.tgname)
              WHEN o.tgname IS NOT NULL THEN format('no trigger runs %s; trigger %I runs %s', h.function, o.tgname, o.function)
              ELSE format('no trigger runs %s', h.function) END,
         CASE WHEN EXISTS (SELECT FROM users)
              THEN format('CREATE OR REPLACE TRIGGER %I %s ON auth.users FOR EACH ROW EXECUTE FUNCTION %s',
                          coalesce(a.tgname, f.name), h.event, h.function) END
    FROM hooks h
    LEFT JOIN attached a ON a.position = h.position
    LEFT JOIN triggers o ON o.tgname = h.name,
    LATERAL (SELECT c.name
               FROM (SELECT 0 AS nth, h.name
                     UNION ALL
                     SELECT 1, 'studio_engine_' || h.name
                     UNION ALL
                     SELECT n, format('studio_engine_%s_%s', h.name, n) FROM generate_series(2, 2 + (SELECT count(*)::integer FROM triggers)) n) c
              WHERE c.name NOT IN (SELECT t.tgname FROM triggers t)
              ORDER BY c.nth LIMIT 1) f
   WHERE a.number IS NULL OR a.number > 1 OR NOT a.as_made OR NOT a.enabled
   ORDER BY h.position;
END;
COMMENT ON FUNCTION studio_engine.missing_hooks() IS
'Returns the hooks on auth.users that are not there, or not as they were made.

hook is the name of the trigger where that is free. A trigger of that name which runs another function belongs to the
project and is never touched: ours then has a name of its own, and is known by its function. detail says what is
wrong; remedy is the statement that mends it, for a role with TRIGGER on auth.users and EXECUTE on the function, as
the owner of the data has them. Empty when all is well.
Callers: the owner of the data, or a superuser.';

-- A project, a dump or a migration may create a trigger with the name of ours, or
-- ours once more: that must not fail, nor take ours away, nor leave two of ours.
-- It has no SET clause, since the command names its table and function in the
-- search_path of the caller; before it runs, only catalogs are read.
CREATE FUNCTION studio_engine.keep_hooks() RETURNS event_trigger
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'keep_hooks';
COMMENT ON FUNCTION studio_engine.keep_hooks() IS
'Keep the hooks on auth.users when another trigger is created there.

Event trigger, ddl_command_start and ddl_command_end of CREATE TRIGGER. A hook whose name or function the new trigger
has makes way for it; afterwards a hook that no trigger runs is attached again, under a name that is free. It acts
for roles that may create the trigger, and as the owner of the data. Where it cannot, a warning says so.';

CREATE EVENT TRIGGER studio_engine_make_way
  ON ddl_command_start WHEN TAG IN ('CREATE TRIGGER')
  EXECUTE FUNCTION studio_engine.keep_hooks();
CREATE EVENT TRIGGER studio_engine_keep_hooks
  ON ddl_command_end WHEN TAG IN ('CREATE TRIGGER')
  EXECUTE FUNCTION studio_engine.keep_hooks();
-- also when a dump is loaded with session_replication_role = replica
ALTER EVENT TRIGGER studio_engine_make_way ENABLE ALWAYS;
ALTER EVENT TRIGGER studio_engine_keep_hooks ENABLE ALWAYS;

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
up while the trigger was missing is found, too. Users whose rows another transaction has locked are left to the next call.

- p_limit: how many users to repair, 1 to 10000. Users who fail are not counted.

Returns how many were repaired; those who failed are in table failed_sign_ups of the private schema.
Callers: services only.
Errors: 22004 p_limit is NULL; 22023 p_limit out of bounds.';
