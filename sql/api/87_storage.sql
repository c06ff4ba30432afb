-- Supabase Storage: the bucket of multimedia files and who may write it, and the
-- files that are left when assets are deleted.
--
-- Pitfall: schema storage belongs to another role. A row is inserted there only where
-- no code of that role would run with the rights of the owner of the data. A policy
-- there is part of every upload to every bucket: it must neither raise an error nor
-- read what users may not.

CREATE FUNCTION studio_engine.storage_obstacles() RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT format('there is no table storage.%s', w.tbl)
    FROM (VALUES ('buckets'), ('objects')) w (tbl)
   WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = 'storage' AND c.relname = w.tbl AND c.relkind IN ('r', 'p'))
  UNION ALL
  SELECT format('table storage.%s has no column %s of type %s', w.tbl, w.col, format_type(w.type, NULL))
    FROM (VALUES ('buckets', 'id', 'text'::regtype), ('buckets', 'name', 'text'), ('buckets', 'public', 'boolean'),
                 ('objects', 'bucket_id', 'text'), ('objects', 'name', 'text')) w (tbl, col, type)
    JOIN pg_class c ON c.relname = w.tbl AND c.relkind IN ('r', 'p')
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'storage'
   WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = w.col AND a.atttypid = w.type AND NOT a.attisdropped)
  UNION ALL
  SELECT 'row security of table storage.objects is off'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'storage' AND c.relname = 'objects' AND NOT c.relrowsecurity;
END;
COMMENT ON FUNCTION studio_engine.storage_obstacles() IS
'Returns what enable_storage() needs and schema storage does not have.

A table or column of Supabase Storage may be missing, or row security be off, without which policies have no
effect. Empty when nothing is missing.';

-- What the caller lacks, who is the owner of the data when enable_storage() asks.
CREATE FUNCTION studio_engine.storage_rights_missing() RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT format('Schema storage belongs to %s, and may not be used.', n.nspowner::regrole)
    FROM pg_namespace n WHERE n.nspname = 'storage' AND NOT has_schema_privilege(n.oid, 'USAGE')
  UNION ALL
  SELECT format('Table storage.buckets belongs to %s, and may not be read and inserted into.', c.relowner::regrole)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'storage' AND c.relname = 'buckets'
     AND (NOT has_table_privilege(c.oid, 'SELECT') OR NOT has_table_privilege(c.oid, 'INSERT') OR row_security_active(c.oid))
  UNION ALL
  SELECT format('Role authenticated may not read columns company_id and user_id of table %s, which belongs to %s.', c.oid::regclass, c.relowner::regrole)
    FROM pg_extension e JOIN pg_class c ON c.relnamespace = e.extnamespace AND c.relname = 'employees', to_regrole('authenticated') r (oid)
   WHERE e.extname = 'studio_engine'
     AND NOT (has_schema_privilege(r.oid, e.extnamespace, 'USAGE')
              AND has_column_privilege(r.oid, c.oid, 'company_id', 'SELECT') AND has_column_privilege(r.oid, c.oid, 'user_id', 'SELECT'));
END;
COMMENT ON FUNCTION studio_engine.storage_rights_missing() IS
'Returns the rights that the caller and users lack for enable_storage().

enable_storage() calls it as the owner of the data. A row tells to whom a schema or table belongs. Whether
policies may be created is not among them: the platform lets roles do that who do not own the table. Empty when
nothing is missing.';

-- The caller is the owner of the data when enable_storage() asks. A role with his rights gains nothing by code that he runs.
-- Pitfall: a function of the server may run what its arguments say, as query_to_xml() does; so few may be in expressions.
CREATE FUNCTION studio_engine.storage_traps() RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH buckets AS (
    SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'storage' AND c.relname = 'buckets'
       AND NOT pg_has_role(c.relowner, current_user, 'USAGE')),
  expressions AS (
    SELECT format('default of column %s', a.attname) AS part, d.adbin::text AS tree
      FROM buckets b JOIN pg_attrdef d ON d.adrelid = b.oid JOIN pg_attribute a ON a.attrelid = b.oid AND a.attnum = d.adnum
    UNION ALL SELECT format('constraint %s', k.conname), k.conbin::text FROM buckets b JOIN pg_constraint k ON k.conrelid = b.oid
    UNION ALL SELECT format('index %s', i.indexrelid::regclass), concat(i.indexprs, i.indpred) FROM buckets b JOIN pg_index i ON i.indrelid = b.oid)
  SELECT 'partitions' FROM buckets b WHERE b.relkind <> 'r'
  UNION ALL
  SELECT format('rule %s', r.rulename) FROM buckets b JOIN pg_rewrite r ON r.ev_class = b.oid
  UNION ALL
  SELECT format('type of column %s', a.attname)
    FROM buckets b JOIN pg_attribute a ON a.attrelid = b.oid JOIN pg_type t ON t.oid = a.atttypid
   WHERE t.typtype <> 'e' AND NOT pg_has_role(t.typowner, current_user, 'USAGE')
  UNION ALL
  SELECT e.part FROM expressions e
   WHERE e.tree ~ '\{(?!(CONST|VAR|FUNCEXPR|OPEXPR|BOOLEXPR|RELABELTYPE|NULLTEST)\M)'
      OR EXISTS (SELECT FROM regexp_matches(e.tree, ':(?:funcid|opfuncid) (\d+)', 'g') m (ids)
                   LEFT JOIN pg_proc p ON p.oid = m.ids[1]::oid AND p.pronamespace = 'pg_catalog'::regnamespace
                  WHERE NOT coalesce(p.provolatile = 'i' OR p.proname IN ('now', 'gen_random_uuid'), false))
  UNION ALL
  -- bit 4: it fires on INSERT
  SELECT format('trigger %s', g.tgname)
    FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
   WHERE g.tgrelid = to_regclass('storage.buckets') AND NOT g.tgisinternal AND g.tgtype & 4 <> 0
     AND (g.tgqual IS NOT NULL OR NOT p.prosecdef AND NOT pg_has_role(p.proowner, current_user, 'USAGE'));
END;
COMMENT ON FUNCTION studio_engine.storage_traps() IS
'Returns what others wrote that would run when the caller inserts a bucket.

enable_storage() calls it as the owner of the data, after it has locked the table. Others are roles without the
rights of the caller. Empty where he may insert.';

CREATE FUNCTION studio_engine.enable_storage_as_owner() RETURNS TABLE (object_name text, added boolean)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  v_problems text;
  v_missing text[];
  v_condition text;
  v_policy record;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                  WHERE n.nspname = 'studio_engine' AND r.rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the owner of the data may run this',
      HINT = 'Call enable_storage().';
  END IF;
  v_problems := (SELECT string_agg(o, ', ' ORDER BY o) FROM studio_engine.storage_obstacles() o);
  IF v_problems IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'Supabase Storage is not as expected',
      DETAIL = format('In the way: %s.', v_problems),
      HINT = 'The storage service makes the tables when it starts. ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY turns row security on.';
  END IF;

  -- a path that register_multimedia_asset() would refuse is refused here too; ids are compared as text, since no cast may fail
  v_condition := (
    SELECT format($condition$bucket_id = 'multimedia-assets'
      AND strpos(name, '/') > 0 AND name !~ '(^|/)[.]*(/|$)|[\\%%[:cntrl:]]'
      AND split_part(name, '/', 1) = ANY (ARRAY(
        SELECT e.company_id::text FROM %I.employees e WHERE e.user_id = (SELECT auth.uid())))$condition$, n.nspname)
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'studio_engine');
  -- of two callers the second finds what the first did
  LOCK TABLE studio_engine.removed_files IN SHARE UPDATE EXCLUSIVE MODE;
  v_missing := ARRAY(SELECT m FROM studio_engine.storage_rights_missing() m ORDER BY m);
  FOR v_policy IN
    SELECT p.name, p.clauses, format('policy %s', p.name) AS object_name,
           NOT EXISTS (SELECT FROM pg_policies o WHERE o.schemaname = 'storage' AND o.tablename = 'objects' AND o.policyname = p.name) AS added
      FROM (VALUES ('studio_engine_company_insert', format('FOR INSERT TO authenticated WITH CHECK (%s)', v_condition)),
                   ('studio_engine_company_update', format('FOR UPDATE TO authenticated USING (%1$s) WITH CHECK (%1$s)', v_condition))) p (name, clauses)
  LOOP
    BEGIN
      IF NOT v_policy.added THEN
        EXECUTE format('DROP POLICY %I ON storage.objects', v_policy.name);
      END IF;
      EXECUTE format('CREATE POLICY %I ON storage.objects %s', v_policy.name, v_policy.clauses);
    EXCEPTION WHEN insufficient_privilege THEN
      v_missing := v_missing || (SELECT format('Table storage.objects belongs to %s, and may not get policies.', c.relowner::regrole)
                                   FROM pg_class c WHERE c.relname = 'objects' AND c.relnamespace = to_regnamespace('storage'));
      EXIT;
    END;
    object_name := v_policy.object_name;
    added := v_policy.added;
    RETURN NEXT;
  END LOOP;
  IF v_missing <> '{}' THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = 'the owner of the data may not make the bucket and its policies',
      DETAIL = array_to_string(v_missing, ' '),
      HINT = format('GRANT supabase_storage_admin TO %1$I gives the owner of the data, %1$I, what it lacks in schema storage; on Supabase, postgres has it. For the policies users must be able to read employees: GRANT SELECT (company_id, user_id) to them.', current_user);
  END IF;

  object_name := 'bucket multimedia-assets';
  added := false;
  IF NOT EXISTS (SELECT FROM storage.buckets b WHERE 'multimedia-assets' IN (b.id, b.name)) THEN
    -- against what would run being added after the check
    LOCK TABLE ONLY storage.buckets IN ROW EXCLUSIVE MODE;
    v_problems := (SELECT string_agg(p, ', ' ORDER BY p) FROM studio_engine.storage_traps() p);
    IF v_problems IS NOT NULL THEN
      RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = 'the bucket cannot be made as the owner of the data',
        DETAIL = format('What others wrote would run with his rights. On table storage.buckets: %s.', v_problems),
        HINT = 'Create the public bucket multimedia-assets in the dashboard, or by the API of Storage, and call enable_storage() again.';
    END IF;
    INSERT INTO storage.buckets (id, name, public) VALUES ('multimedia-assets', 'multimedia-assets', true) ON CONFLICT DO NOTHING;
    added := FOUND;
  END IF;
  RETURN NEXT;
  IF NOT EXISTS (SELECT FROM storage.buckets b WHERE b.id = 'multimedia-assets' AND b.public) THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'the bucket cannot be used',
      DETAIL = CASE WHEN EXISTS (SELECT FROM storage.buckets b WHERE b.id = 'multimedia-assets') THEN 'Bucket multimedia-assets is private.'
                    ELSE 'A bucket with another id has the name multimedia-assets.' END,
      HINT = 'UPDATE storage.buckets SET public = true WHERE id = ''multimedia-assets'' lets everybody who knows their URL read its files.';
  END IF;
END
$$;
COMMENT ON FUNCTION studio_engine.enable_storage_as_owner() IS
'Do the work of enable_storage() as the owner of the data.

Callers: the owner of the data, by way of enable_storage().
Errors: 42501 for all others.';

CREATE FUNCTION @extschema@.enable_storage() RETURNS TABLE (object_name text, added boolean)
  LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'enable_storage';
COMMENT ON FUNCTION @extschema@.enable_storage() IS
'Make the bucket multimedia-assets in Supabase Storage, and its policies.

The bucket is public: its files are read by their URL, without signing in. It may be called again at any time, and
then replaces its policies. Returns the bucket and each policy, and whether this call added it. A bucket that is
there is left as it is.

- studio_engine_company_insert: a user uploads files whose path begins with the id of a company of which he is an
  employee, in small letters, as in <company_id>/video/introduction/1.mp4. Paths that
  register_multimedia_asset() refuses are refused here.
- studio_engine_company_update: the same for replacing and moving them. Storage reads what it replaces, so that
  this takes effect only beside a policy FOR SELECT of your own, which lets its users list these files.
- There is none FOR SELECT, so that nobody lists the files, and none FOR DELETE, since assets refer to them.

Services pass by all policies. Policies of your own on storage.objects that do not name a bucket hold for this
one too.
Callers: the owner of the data, or a superuser or service that may call it. It acts as the owner of the data.
Errors: 42501 the owner of the data lacks rights, or code of others would run with his when it makes the bucket;
55000 there is no schema storage, or row security of its objects is off, or the bucket is private.';

CREATE FUNCTION studio_engine.fill_public_url() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'fill_public_url'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.fill_public_url() IS
'Fill in the URL of an asset from setting storage_public_url.

Trigger, BEFORE INSERT OR UPDATE on mm_multimedia_assets. The URL is the setting, the bucket and the path,
percent-encoded, where the statement gives none; one that was filled in follows the path.';

CREATE FUNCTION studio_engine.track_file() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'track_file'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.track_file() IS
'List the files of assets that are deleted or get another path.

Trigger, AFTER INSERT OR UPDATE OR DELETE on assets and mm_multimedia_assets. Its argument is the table. A file
that is registered again is taken off the list.';

CREATE FUNCTION @extschema@.list_removed_files(p_limit integer DEFAULT 1000)
  RETURNS TABLE (file_id uuid, bucket text, path text, removed_at timestamptz)
  LANGUAGE c STABLE ROWS 100 AS 'MODULE_PATHNAME', 'list_removed_files'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.list_removed_files(integer) IS
'Returns files whose assets are gone, to be deleted from the object store.

Nothing in SQL can delete a file. Delete them through the API of the object store, then call
forget_removed_files(); an asset that goes with its session, its job or its user is listed too, one that
TRUNCATE removes is not.

- Files that another asset still has, or has again, are left out. Some may be listed twice.
- A path that is registered again between this call and the deletion of the file loses its file: upload it again.
  Paths that the extension makes have a time in them and do not come again.
- p_limit: 1 to 1000; the oldest first.

bucket is NULL for files of video jobs, whose worker knows it.
Callers: services only.
Errors: 22004 p_limit is NULL; 22023 p_limit is out of bounds.';

CREATE FUNCTION @extschema@.forget_removed_files(p_file_ids uuid[]) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'forget_removed_files'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.forget_removed_files(uuid[]) IS
'Take files off the list of list_removed_files(), since they are deleted.

- p_file_ids: at most 1000 ids of that list; unknown ones are ignored.

Returns how many there were. Fewer than were listed: a path was registered again meanwhile.
Callers: services only.
Errors: 22004 p_file_ids is NULL; 22023 it is too long.';
