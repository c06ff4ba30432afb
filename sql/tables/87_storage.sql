-- Files that no asset refers to any more, until a service has deleted them.
-- Pitfall: paths may be longer than an entry of a B-tree can be, hence the hash
-- indexes. Nothing here is unique but the id, which is random: a standby of
-- logical replication goes on with ids of its own.

CREATE TABLE studio_engine.removed_files (
  file_id uuid NOT NULL DEFAULT gen_random_uuid(),
  bucket text,
  path text NOT NULL,
  removed_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT removed_files_pkey PRIMARY KEY (file_id)
);
CREATE INDEX idx_removed_files_removed ON studio_engine.removed_files (removed_at, file_id);
CREATE INDEX idx_removed_files_path ON studio_engine.removed_files USING hash (path);

-- whether an asset has a file that is listed
CREATE INDEX idx_assets_storage_path ON @extschema@.assets USING hash (storage_path);
CREATE INDEX idx_mm_multimedia_assets_storage_path ON @extschema@.mm_multimedia_assets USING hash (storage_path);

ALTER TABLE studio_engine.removed_files ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE studio_engine.removed_files IS
'Files whose asset is gone, to be deleted from the object store.

Triggers write it; list_removed_files() returns those that no asset has, forget_removed_files() deletes rows.';
COMMENT ON COLUMN studio_engine.removed_files.file_id IS 'Identifier';
COMMENT ON COLUMN studio_engine.removed_files.bucket IS 'The bucket; NULL of files of video jobs, whose worker knows it';
COMMENT ON COLUMN studio_engine.removed_files.path IS 'Path in the bucket';
COMMENT ON COLUMN studio_engine.removed_files.removed_at IS 'When the asset was deleted or changed';
