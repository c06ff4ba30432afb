-- 820_storage.sql
--
-- enable_storage(): what it makes, twice, who may, what it refuses; who may then
-- upload what. The URLs of assets, and the files that are left when they go.
-- Pitfall: the stand-in for Storage has a role, so it is rolled back each time.

\set VERBOSITY default
\set SHOW_CONTEXT never

-- without Supabase Storage
SELECT * FROM enable_storage();

-- users and services may not
CALL t.as_user(t.id(1));
SELECT * FROM enable_storage();
CALL t.as_role('service_role');
SELECT * FROM enable_storage();
CALL t.as_admin();

-- ---- what it makes --------------------------------------------------------------

BEGIN;
\set ECHO none
\i test/sql/include/storage_stub.sql
\set ECHO all
SELECT * FROM enable_storage();
-- again: nothing to do
SELECT * FROM enable_storage() WHERE added;
-- what somebody took out or changed comes back, what he put in beside stays
CREATE POLICY theirs ON storage.objects FOR SELECT USING (bucket_id = 'theirs');
DROP POLICY studio_engine_company_insert ON storage.objects;
ALTER POLICY studio_engine_company_update ON storage.objects USING (true);
SELECT * FROM enable_storage();
SELECT policyname, permissive, roles, cmd, qual = with_check AS same FROM pg_policies WHERE schemaname = 'storage' ORDER BY policyname;
SELECT with_check FROM pg_policies WHERE policyname = 'studio_engine_company_insert';
SELECT id, name, public, owner, owner_id, type FROM storage.buckets;

-- ---- who may upload what ----------------------------------------------------------

-- user 1 works for companies 91 and 92, user 2 for 93
CALL t.sign_up(1, 2, 3);
INSERT INTO companies (id, name) SELECT t.id(c), 'Company ' || c FROM unnest('{91,92,93}'::int[]) c;
INSERT INTO employees (company_id, user_id, name) VALUES
  (t.id(91), t.id(1), 'One'), (t.id(92), t.id(1), 'One'), (t.id(93), t.id(2), 'Two'), (t.id(91), NULL, 'Nobody');
INSERT INTO storage.buckets (id, name) VALUES ('avatars', 'avatars');
-- as storage-api does it: a plain INSERT as the user
CREATE FUNCTION t.upload(p_name text, p_bucket text DEFAULT 'multimedia-assets') RETURNS text
LANGUAGE sql AS $$
  SELECT t.try(format('INSERT INTO storage.objects (bucket_id, name, version, owner_id) VALUES (%L, %L, ''1'', %L)', p_bucket, p_name, auth.uid()))
$$;
CREATE FUNCTION t.uploads() RETURNS TABLE (path text, says text)
LANGUAGE sql AS $$
  SELECT n.path, t.upload(replace(replace(n.path, '91', t.id(91)::text), '93', t.id(93)::text))
    FROM (VALUES (1, '91/video/introduction/1.mp4'), (2, '91/a file (2).mp4'), (3, '93/video/1.mp4'), (4, 'video/introduction/1.mp4'),
                 (5, '91'), (6, '91/'), (7, '91//1.mp4'), (8, '/91/1.mp4'), (9, '91/../93/1.mp4'), (10, '91/./1.mp4'),
                 (11, '../91/1.mp4'), (12, '91/.../1.mp4'), (13, '91/%2e%2e/93/1.mp4'), (14, E'91/a\\..\\93'), (15, E'91/a\n.mp4'), (16, '91/ü.mp4'),
                 (17, '91/.keep'), (18, ''), (19, '*/1.mp4'), (20, '91x/1.mp4'), (21, 'not-a-uuid/1.mp4'), (22, '{91}/1.mp4')) n (number, path)
   ORDER BY n.number
$$;
CALL t.as_user(t.id(1));
SELECT * FROM t.uploads();
SELECT t.upload(upper(t.id(91)::text) || '/upper.mp4') AS digits_only_are_the_same, t.upload(t.id(92) || '/1.mp4') AS both_companies,
       t.upload(t.id(91) || '/1.mp4', 'avatars') AS other_bucket, t.upload(NULL) AS no_name,
       t.try(format('INSERT INTO storage.objects (bucket_id, name) VALUES (NULL, %L)', t.id(91) || '/1.mp4')) AS no_bucket;
CALL t.as_user(t.id(2));
SELECT * FROM t.uploads() WHERE says = 'ok';
CALL t.as_user(t.id(3));
SELECT * FROM t.uploads() WHERE says = 'ok';
CALL t.as_role('authenticated');
SELECT * FROM t.uploads() WHERE says = 'ok';
CALL t.as_role('anon');
SELECT * FROM t.uploads() WHERE says = 'ok';
CALL t.as_role('service_role');
SELECT t.upload('video/introduction/1.mp4') AS a_service_anywhere;

-- nobody lists or deletes; without a policy FOR SELECT nothing is replaced
CALL t.as_user(t.id(1));
SELECT count(*) AS listed FROM storage.objects;
SELECT t.ask($$WITH u AS (UPDATE storage.objects SET version = '2' WHERE name LIKE '%' RETURNING 1) SELECT count(*) FROM u$$) AS updated,
       t.try($$INSERT INTO storage.objects (bucket_id, name) VALUES ('multimedia-assets', '00000000-0000-4000-8000-000000000091/up.mp4')
         ON CONFLICT (bucket_id, name) DO UPDATE SET version = '2'$$) AS upsert,
       t.try($$SET LOCAL storage.can_delete = 'true'; DELETE FROM storage.objects$$) AS deletes;
CALL t.as_role('anon');
SELECT count(*) AS listed FROM storage.objects;
CALL t.as_admin();
SELECT count(*) AS files FROM storage.objects;
-- with one they replace and move their own
CREATE POLICY members ON storage.objects FOR SELECT TO authenticated
  USING (bucket_id = 'multimedia-assets' AND split_part(name, '/', 1) = ANY (ARRAY(
    SELECT e.company_id::text FROM employees e WHERE e.user_id = (SELECT auth.uid()))));
CALL t.as_user(t.id(2));
SELECT t.ask($$WITH u AS (UPDATE storage.objects SET version = '2' WHERE name LIKE '%' RETURNING 1) SELECT count(*) FROM u$$) AS updated;
SELECT t.try($$UPDATE storage.objects SET name = replace(name, 'video', 'old') WHERE name LIKE '%video/1.mp4'$$) AS moved,
       t.try($$UPDATE storage.objects SET name = '00000000-0000-4000-8000-000000000091/taken.mp4' WHERE name LIKE '%/old/1.mp4'$$) AS moved_away,
       t.try($$UPDATE storage.objects SET bucket_id = 'avatars' WHERE name LIKE '%/old/1.mp4'$$) AS other_bucket,
       t.try($$INSERT INTO storage.objects (bucket_id, name) VALUES ('multimedia-assets', '00000000-0000-4000-8000-000000000093/old/1.mp4')
         ON CONFLICT (bucket_id, name) DO UPDATE SET version = '3'$$) AS upsert;
CALL t.as_admin();
SELECT t.masked(name) AS name, version FROM storage.objects WHERE name LIKE t.id(93) || '%' ORDER BY 1;
ROLLBACK;

-- ---- what it refuses -----------------------------------------------------------------

BEGIN;
\set ECHO none
\i test/sql/include/storage_stub.sql
\set ECHO all
SAVEPOINT as_made;
INSERT INTO storage.buckets (id, name) VALUES ('multimedia-assets', 'multimedia-assets');
SELECT * FROM enable_storage();
ROLLBACK TO as_made;
INSERT INTO storage.buckets (id, name, public) VALUES ('other', 'multimedia-assets', true);
SELECT * FROM enable_storage();
ROLLBACK TO as_made;
INSERT INTO storage.buckets (id, name, public) VALUES ('multimedia-assets', 'theirs', true);
SELECT * FROM enable_storage() WHERE NOT added;
ROLLBACK TO as_made;
ALTER TABLE storage.objects DISABLE ROW LEVEL SECURITY;
ALTER TABLE storage.buckets DROP COLUMN public;
SELECT * FROM enable_storage();
ROLLBACK TO as_made;
DROP TABLE storage.objects;
SELECT * FROM enable_storage();
ROLLBACK TO as_made;

-- an owner of the data without rights in schema storage, whose employees users may not read
CREATE ROLE owner_of_data;
ALTER SCHEMA studio_engine OWNER TO owner_of_data;
ALTER TABLE employees OWNER TO owner_of_data;
ALTER TABLE studio_engine.removed_files OWNER TO owner_of_data;
REVOKE SELECT ON employees FROM authenticated;
GRANT EXECUTE ON FUNCTION enable_storage(), studio_engine.enable_storage_as_owner(), studio_engine.storage_obstacles(),
  studio_engine.storage_rights_missing(), studio_engine.storage_traps() TO owner_of_data;
SAVEPOINT no_rights;
SELECT * FROM studio_engine.enable_storage_as_owner();
ROLLBACK TO no_rights;
-- a superuser acts as the owner
SELECT * FROM enable_storage();
ROLLBACK TO no_rights;
GRANT USAGE ON SCHEMA storage TO owner_of_data;
GRANT ALL ON storage.buckets, storage.objects TO owner_of_data;
GRANT SELECT (company_id, user_id) ON employees TO authenticated;
SET LOCAL ROLE owner_of_data;
SELECT * FROM enable_storage();
ROLLBACK TO no_rights;
GRANT SELECT ON employees TO authenticated;
GRANT supabase_storage_admin TO owner_of_data;
GRANT USAGE ON SCHEMA auth TO owner_of_data;
-- what a superuser put on its tables runs as the owner, and cannot become anybody else
CREATE FUNCTION storage.trap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'a trigger of the service runs as %', current_user;
  PERFORM set_config('role', 'none', true);
  RETURN NEW;
END
$$;
CREATE TRIGGER trap BEFORE INSERT ON storage.buckets FOR EACH ROW EXECUTE FUNCTION storage.trap();
SAVEPOINT trapped;
SELECT * FROM enable_storage();
ROLLBACK TO trapped;
-- what the storage service put there does not run
ALTER FUNCTION storage.trap() OWNER TO supabase_storage_admin;
SAVEPOINT of_service;
SELECT * FROM enable_storage();
ROLLBACK TO of_service;
-- nothing is written where the bucket is there
ALTER TABLE storage.buckets DISABLE TRIGGER trap;
INSERT INTO storage.buckets (id, name, public) VALUES ('multimedia-assets', 'multimedia-assets', true);
ALTER TABLE storage.buckets ENABLE TRIGGER trap;
SELECT * FROM enable_storage() WHERE NOT added;
ROLLBACK TO of_service;
-- with the rights of its own it may
ALTER FUNCTION storage.trap() SECURITY DEFINER;
SELECT * FROM studio_engine.storage_traps();
-- other roads: a condition, a rule, a type, expressions
CREATE FUNCTION storage.trap(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'a function of the service runs as %', current_user; END $$;
ALTER FUNCTION storage.trap(text) OWNER TO supabase_storage_admin;
CREATE DOMAIN storage.trap_type AS text;
ALTER DOMAIN storage.trap_type OWNER TO supabase_storage_admin;
CREATE OPERATOR storage.=! (RIGHTARG = text, FUNCTION = storage.trap);
CREATE TRIGGER trap_condition BEFORE INSERT ON storage.buckets FOR EACH ROW WHEN (storage.trap(NEW.id)) EXECUTE FUNCTION storage.trap();
CREATE RULE trap_rule AS ON INSERT TO storage.buckets WHERE storage.trap(NEW.id) DO INSTEAD NOTHING;
ALTER TABLE storage.buckets ADD trap_type storage.trap_type, ADD trap_types storage.trap_type[],
  ADD trap_default text, ADD trap_cast text, ADD trap_text text, ADD harmless uuid DEFAULT gen_random_uuid();
ALTER TABLE storage.buckets ALTER trap_default SET DEFAULT storage.trap('x')::text, ALTER trap_cast SET DEFAULT 'x'::storage.trap_type,
  ALTER trap_text SET DEFAULT query_to_xml('SELECT storage.trap(1)', true, true, ''),
  ADD CONSTRAINT trap_check CHECK (OPERATOR(storage.=!) id) NOT VALID;
CREATE INDEX trap_index ON storage.buckets (storage.trap(id)) WHERE storage.trap(id);
SET LOCAL ROLE owner_of_data;
SELECT * FROM studio_engine.storage_traps() ORDER BY 1;
RESET ROLE;
ROLLBACK TO trapped;
DROP TRIGGER trap ON storage.buckets;
SELECT * FROM enable_storage();
ROLLBACK;

-- ---- URLs --------------------------------------------------------------------------------

CALL t.sign_up(1);
INSERT INTO companies (id, name) VALUES (t.id(91), 'Company 91');
INSERT INTO cm_module_content (content_id, module_name, company_id) VALUES (t.id(61), 'Module', t.id(91));
INSERT INTO mm_multimedia_sessions (session_id, content_id) VALUES (t.id(71), t.id(61));
CREATE VIEW t.urls AS
SELECT t.n(asset_id) AS asset, storage_bucket AS bucket, regexp_replace(storage_path, '[0-9]{8}T[0-9]+', '<time>') AS path,
       regexp_replace(public_url, '[0-9]{8}T[0-9]+', '<time>') AS url
  FROM mm_multimedia_assets ORDER BY t.n(asset_id), asset_name;
GRANT SELECT ON t.urls TO service_role;

CALL t.as_role('service_role');
SELECT register_multimedia_asset(t.id(71), NULL, 'video', '/tmp/0.mp4') IS NOT NULL AS without_the_setting;
SELECT * FROM t.urls;
CALL t.as_admin();
DELETE FROM mm_multimedia_assets;
UPDATE studio_engine.settings SET value = 'https://p.example/storage/v1/object/public//' WHERE name = 'storage_public_url';
CALL t.as_role('service_role');
SELECT register_multimedia_asset(t.id(71), NULL, 'video', '/tmp/1.mp4', p_section_name => 'introduction') IS NOT NULL AS by_default,
       register_multimedia_asset(t.id(71), NULL, 'video', '/tmp/2.mp4', p_public_url => 'https://cdn.example/2.mp4') IS NOT NULL AS given,
       jsonb_array_length(register_multimedia_assets(t.id(71), '[{"asset_type": "slide", "file_path": "/3.png", "storage_path": "a b/ü?#&+.png"},
         {"asset_type": "slide", "file_path": "/4.png", "storage_bucket": "other bucket", "storage_path": "~x_y-z.png"}]')) AS many;
SELECT * FROM t.urls;
-- as the seed's clients write, and what has no path that a URL could have
DELETE FROM mm_multimedia_assets;
INSERT INTO mm_multimedia_assets (asset_id, session_id, asset_type, storage_path, public_url) VALUES
  (t.id(1), t.id(71), 'video', 'v/1.mp4', NULL), (t.id(2), t.id(71), 'video', 'v/2.mp4', 'https://cdn.example/2.mp4'),
  (t.id(3), t.id(71), 'video', NULL, NULL), (t.id(4), t.id(71), 'video', '/v/4.mp4', NULL), (t.id(5), t.id(71), 'video', 'v/../5.mp4', NULL),
  (t.id(6), t.id(71), 'video', '', NULL);
INSERT INTO mm_multimedia_assets (asset_id, asset_type, storage_bucket, storage_path) VALUES (t.id(7), 'video', NULL, 'v/7.mp4'), (t.id(8), 'video', '..', 'v/8.mp4');
SELECT * FROM t.urls;
-- a URL that was filled in follows the path, another stays
UPDATE mm_multimedia_assets SET storage_path = 'w/' || t.n(asset_id) WHERE asset_id IN (t.id(1), t.id(2), t.id(3));
SELECT * FROM t.urls WHERE asset IN ('1', '2', '3');
UPDATE mm_multimedia_assets SET storage_path = NULL WHERE asset_id IN (t.id(1), t.id(2));
UPDATE mm_multimedia_assets SET public_url = NULL, status = 'processed' WHERE asset_id = t.id(3);
SELECT * FROM t.urls WHERE asset IN ('1', '2', '3');
-- what is there when the setting comes
UPDATE mm_multimedia_assets SET storage_path = storage_path WHERE public_url IS NULL;
SELECT * FROM t.urls WHERE asset IN ('1', '2', '3');
CALL t.as_admin();
UPDATE studio_engine.settings SET value = '' WHERE name = 'storage_public_url';

-- ---- files that are left -------------------------------------------------------------------

DELETE FROM mm_multimedia_assets;
DELETE FROM studio_engine.removed_files;
CREATE VIEW t.removed AS
SELECT bucket, path, removed_at = now() AS just_now FROM list_removed_files() ORDER BY bucket, path;
GRANT SELECT ON t.removed TO PUBLIC;
INSERT INTO mm_multimedia_assets (asset_id, session_id, asset_type, storage_bucket, storage_path) VALUES
  (t.id(1), t.id(71), 'video', 'b', 'v/1'), (t.id(2), t.id(71), 'video', 'b', 'v/2'), (t.id(3), t.id(71), 'video', 'c', 'v/1'),
  (t.id(4), t.id(71), 'video', 'b', 'v/1'), (t.id(5), t.id(71), 'video', 'b', NULL), (t.id(6), t.id(71), 'video', 'b', ''),
  (t.id(7), t.id(71), 'video', 'b', repeat('long/', 800) || 'x');
SELECT * FROM t.removed;
-- not while another asset has the file
BEGIN;
DELETE FROM mm_multimedia_assets WHERE asset_id = t.id(1);
SELECT * FROM t.removed;
DELETE FROM mm_multimedia_assets WHERE asset_id = t.id(4);
SELECT DISTINCT * FROM t.removed;
DELETE FROM mm_multimedia_assets WHERE asset_id IN (t.id(5), t.id(6));
SELECT count(*) FROM studio_engine.removed_files;
COMMIT;
-- another path, or another bucket
UPDATE mm_multimedia_assets SET storage_path = 'v/3' WHERE asset_id = t.id(2);
UPDATE mm_multimedia_assets SET storage_bucket = 'd', storage_path = storage_path, updated_at = now() WHERE asset_id = t.id(3);
UPDATE mm_multimedia_assets SET asset_name = 'name', storage_path = storage_path WHERE asset_id = t.id(7);
SELECT DISTINCT bucket, path FROM t.removed;
-- registered again, by any road
SELECT register_multimedia_asset(t.id(71), NULL, 'video', '/x', p_storage_bucket => 'b', p_storage_path => 'v/1') IS NOT NULL AS again;
INSERT INTO mm_multimedia_assets (asset_type, storage_bucket, storage_path) VALUES ('video', 'b', 'v/2');
UPDATE mm_multimedia_assets SET storage_bucket = 'c' WHERE asset_id = t.id(3);
SELECT bucket, path FROM t.removed;
SELECT count(*) AS entries FROM studio_engine.removed_files WHERE bucket <> 'd';
-- with the session, the content, the company
BEGIN;
DELETE FROM mm_multimedia_sessions WHERE session_id = t.id(71);
SELECT bucket, left(path, 20) AS path FROM t.removed;
ROLLBACK;
BEGIN;
DELETE FROM companies;
SELECT count(*) FROM t.removed;
ROLLBACK;
-- not by TRUNCATE, and not while a dump is loaded
BEGIN;
DELETE FROM studio_engine.removed_files;
SET LOCAL studio_engine.maintenance = on;
DELETE FROM mm_multimedia_assets WHERE storage_path = 'v/1';
RESET studio_engine.maintenance;
TRUNCATE mm_multimedia_assets CASCADE;
SELECT count(*) FROM studio_engine.removed_files;
ROLLBACK;

-- video: the worker knows the bucket; a user deletes his project
CALL t.project(1, 11);
CALL t.job(11, 21, 'QUEUED');
SELECT record_asset(t.id(21), 'video', 'https://example.com/1', 'films/1.mp4') IS NOT NULL AS first,
       record_asset(t.id(21), 'audio', 'https://example.com/2', 'films/2.mp3') IS NOT NULL AS second,
       record_asset(t.id(21), 'video', 'https://example.com/1b', 'films/1.mp4') IS NOT NULL AS again;
UPDATE assets SET storage_path = 'films/3.mp3' WHERE type = 'audio';
UPDATE assets SET mime_type = 'audio/mpeg', storage_path = storage_path;
SELECT bucket, path FROM t.removed WHERE bucket IS NULL;
CALL t.as_user(t.id(1));
DELETE FROM projects;
SELECT t.try('SELECT * FROM list_removed_files()'), t.try($$SELECT forget_removed_files('{}')$$), t.try('SELECT * FROM studio_engine.removed_files');
CALL t.as_role('service_role');
SELECT bucket, path FROM t.removed;
-- with the user
CALL t.as_admin();
DELETE FROM studio_engine.removed_files;
CALL t.project(1, 12);
CALL t.job(12, 22, 'QUEUED');
SELECT record_asset(t.id(22), 'zip', 'https://example.com/4', 'films/4.zip') IS NOT NULL AS recorded;
DELETE FROM auth.users WHERE id = t.id(1);
CALL t.as_role('service_role');
SELECT bucket, path FROM t.removed;

-- a service deletes the files, and says so
CALL t.as_admin();
DELETE FROM mm_multimedia_assets;
DELETE FROM studio_engine.removed_files;
INSERT INTO studio_engine.removed_files (bucket, path, removed_at) SELECT 'b', 'v/' || n, '2026-01-01'::timestamptz + n * INTERVAL '1 s' FROM generate_series(1, 1200) n;
CALL t.as_role('service_role');
SELECT count(*), min(removed_at) = '2026-01-01 00:00:01' AS oldest FROM list_removed_files();
SELECT path FROM list_removed_files(3);
SELECT forget_removed_files(ARRAY(SELECT file_id FROM list_removed_files(2)) || t.id(1) || NULL) AS forgotten;
SELECT path FROM list_removed_files(1);
SELECT forget_removed_files('{}') AS none;
SELECT t.try('SELECT * FROM list_removed_files(NULL)') AS list_null, t.try('SELECT * FROM list_removed_files(0)') AS list_0,
       t.try('SELECT * FROM list_removed_files(1001)') AS list_1001;
SELECT t.try('SELECT forget_removed_files(NULL)') AS forget_null,
       t.try('SELECT forget_removed_files(ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 1001)))') AS forget_1001;
CALL t.as_admin();
DELETE FROM studio_engine.removed_files;

DROP VIEW t.urls, t.removed;
SELECT * FROM t.clean();
