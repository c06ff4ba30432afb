-- DROP EXTENSION drops the triggers; this enqueues the jobs that were inserted
-- before the extension was created again.

PERFORM studio_engine.rebuild_queue();

-- Pauses and limits are cached by sessions, as settings are.
CREATE OR REPLACE TRIGGER tr_queue_stages_changed
  AFTER INSERT OR UPDATE OR DELETE ON studio_engine.queue_stages
  FOR EACH ROW EXECUTE FUNCTION studio_engine.invalidate_settings();
ALTER TABLE studio_engine.queue_stages ENABLE ALWAYS TRIGGER tr_queue_stages_changed;

CREATE OR REPLACE TRIGGER tr_queue_stages_truncated
  AFTER TRUNCATE ON studio_engine.queue_stages
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.invalidate_settings();
ALTER TABLE studio_engine.queue_stages ENABLE ALWAYS TRIGGER tr_queue_stages_truncated;
