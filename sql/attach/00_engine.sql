-- The private schema stays closed to whoever calls the API.

-- How large values may be, by every road; the first trigger of each table.
CREATE OR REPLACE TRIGGER "00_settings_limits"
  BEFORE INSERT OR UPDATE ON studio_engine.settings
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('settings');

REVOKE ALL ON SCHEMA studio_engine FROM PUBLIC;

CREATE OR REPLACE TRIGGER tr_meta_yield
  BEFORE INSERT ON studio_engine.meta
  FOR EACH ROW EXECUTE FUNCTION studio_engine.yield_to_restored_row();

CREATE OR REPLACE TRIGGER tr_settings_yield
  BEFORE INSERT ON studio_engine.settings
  FOR EACH ROW EXECUTE FUNCTION studio_engine.yield_to_restored_row();

CREATE OR REPLACE TRIGGER tr_settings_changed
  AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON studio_engine.settings
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.note_changed_settings();
