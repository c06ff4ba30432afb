-- Triggers that follow the files of assets.
-- Pitfall: they name the columns, so that an UPDATE of others does not fire them.

CREATE OR REPLACE TRIGGER tr_assets_files
  AFTER INSERT OR DELETE ON @extschema@.assets
  FOR EACH ROW EXECUTE FUNCTION studio_engine.track_file('assets');

CREATE OR REPLACE TRIGGER tr_assets_files_update
  AFTER UPDATE ON @extschema@.assets
  FOR EACH ROW WHEN (OLD.storage_path IS DISTINCT FROM NEW.storage_path)
  EXECUTE FUNCTION studio_engine.track_file('assets');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_files
  AFTER INSERT OR DELETE ON @extschema@.mm_multimedia_assets
  FOR EACH ROW EXECUTE FUNCTION studio_engine.track_file('mm_multimedia_assets');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_files_update
  AFTER UPDATE ON @extschema@.mm_multimedia_assets
  FOR EACH ROW WHEN (OLD.storage_bucket IS DISTINCT FROM NEW.storage_bucket OR OLD.storage_path IS DISTINCT FROM NEW.storage_path)
  EXECUTE FUNCTION studio_engine.track_file('mm_multimedia_assets');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_url
  BEFORE INSERT OR UPDATE OF storage_bucket, storage_path ON @extschema@.mm_multimedia_assets
  FOR EACH ROW EXECUTE FUNCTION studio_engine.fill_public_url();
