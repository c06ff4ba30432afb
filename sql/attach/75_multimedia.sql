-- Triggers, policies and grants of what is made from content.
-- Pitfall: the counters of a session are updated once for each statement, however
-- many assets it writes. A trigger with transition tables is for one event only, so
-- there is one for each.

-- Limits of the size of values, for every writer; the first trigger of each table.
CREATE OR REPLACE TRIGGER "00_mm_multimedia_sessions_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.mm_multimedia_sessions
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('mm_multimedia_sessions');

CREATE OR REPLACE TRIGGER "00_mm_multimedia_assets_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.mm_multimedia_assets
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('mm_multimedia_assets');

CREATE OR REPLACE TRIGGER "00_mm_audio_narrations_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.mm_audio_narrations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('mm_audio_narrations');

CREATE OR REPLACE TRIGGER "00_mm_slide_presentations_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.mm_slide_presentations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('mm_slide_presentations');

CREATE OR REPLACE TRIGGER "00_mm_script_generations_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.mm_script_generations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('mm_script_generations');

CREATE OR REPLACE TRIGGER "00_mm_video_analytics_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.mm_video_analytics
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('mm_video_analytics');

CREATE OR REPLACE TRIGGER "00_mm_rendering_queue_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.mm_rendering_queue
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('mm_rendering_queue');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_sessions_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.mm_multimedia_sessions
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('mm_multimedia_sessions');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_sessions_updated
  BEFORE UPDATE ON @extschema@.mm_multimedia_sessions
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_mm_multimedia_sessions_company
  BEFORE INSERT OR UPDATE ON @extschema@.mm_multimedia_sessions
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('content');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.mm_multimedia_assets
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('mm_multimedia_assets');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_updated
  BEFORE UPDATE ON @extschema@.mm_multimedia_assets
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_company
  BEFORE INSERT OR UPDATE ON @extschema@.mm_multimedia_assets
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('session');

CREATE OR REPLACE TRIGGER tr_mm_audio_narrations_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.mm_audio_narrations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('mm_audio_narrations');

CREATE OR REPLACE TRIGGER tr_mm_audio_narrations_updated
  BEFORE UPDATE ON @extschema@.mm_audio_narrations
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_mm_audio_narrations_company
  BEFORE INSERT OR UPDATE ON @extschema@.mm_audio_narrations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('session');

CREATE OR REPLACE TRIGGER tr_mm_slide_presentations_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.mm_slide_presentations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('mm_slide_presentations');

CREATE OR REPLACE TRIGGER tr_mm_slide_presentations_updated
  BEFORE UPDATE ON @extschema@.mm_slide_presentations
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_mm_slide_presentations_company
  BEFORE INSERT OR UPDATE ON @extschema@.mm_slide_presentations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('session');

CREATE OR REPLACE TRIGGER tr_mm_script_generations_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.mm_script_generations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('mm_script_generations');

CREATE OR REPLACE TRIGGER tr_mm_script_generations_updated
  BEFORE UPDATE ON @extschema@.mm_script_generations
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_mm_script_generations_company
  BEFORE INSERT OR UPDATE ON @extschema@.mm_script_generations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('session');

CREATE OR REPLACE TRIGGER tr_mm_video_analytics_company
  BEFORE INSERT OR UPDATE ON @extschema@.mm_video_analytics
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('asset');

CREATE OR REPLACE TRIGGER tr_mm_rendering_queue_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.mm_rendering_queue
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('mm_rendering_queue');

CREATE OR REPLACE TRIGGER tr_mm_rendering_queue_keep_worked_on
  BEFORE DELETE ON @extschema@.mm_rendering_queue
  FOR EACH ROW EXECUTE FUNCTION studio_engine.forbid_delete_of_leased_job('mm_rendering_queue');

CREATE OR REPLACE TRIGGER "00_mm_rendering_queue_queue"
  AFTER INSERT OR DELETE ON @extschema@.mm_rendering_queue
  FOR EACH ROW EXECUTE FUNCTION studio_engine.maintain_queue('mm_rendering_queue');

CREATE OR REPLACE TRIGGER "00_mm_rendering_queue_queue_update"
  AFTER UPDATE ON @extschema@.mm_rendering_queue
  FOR EACH ROW WHEN (OLD.render_id IS DISTINCT FROM NEW.render_id OR OLD.status IS DISTINCT FROM NEW.status
                     OR OLD.priority IS DISTINCT FROM NEW.priority OR OLD.user_id IS DISTINCT FROM NEW.user_id
                     OR OLD.run_at IS DISTINCT FROM NEW.run_at)
  EXECUTE FUNCTION studio_engine.maintain_queue('mm_rendering_queue');

CREATE OR REPLACE TRIGGER "00_mm_rendering_queue_queue_truncate"
  AFTER TRUNCATE ON @extschema@.mm_rendering_queue
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.clear_queue('mm_rendering_queue');

-- The price is held after the queue has the job, and ends with it.
CREATE OR REPLACE TRIGGER tr_mm_rendering_queue_price
  BEFORE INSERT ON @extschema@.mm_rendering_queue
  FOR EACH ROW EXECUTE FUNCTION studio_engine.price_new_job('mm_rendering_queue');

CREATE OR REPLACE TRIGGER tr_mm_rendering_queue_hold_price
  AFTER INSERT ON @extschema@.mm_rendering_queue
  FOR EACH ROW WHEN (NEW.cost_credits_reserved > 0)
  EXECUTE FUNCTION studio_engine.keep_price('mm_rendering_queue');

CREATE OR REPLACE TRIGGER tr_mm_rendering_queue_keep_price
  AFTER UPDATE ON @extschema@.mm_rendering_queue
  FOR EACH ROW WHEN (OLD.cost_credits_reserved > 0 AND (OLD.status <> NEW.status OR OLD.render_id <> NEW.render_id OR OLD.user_id IS DISTINCT FROM NEW.user_id))
  EXECUTE FUNCTION studio_engine.keep_price('mm_rendering_queue');

CREATE OR REPLACE TRIGGER tr_mm_rendering_queue_return_price
  AFTER DELETE ON @extschema@.mm_rendering_queue
  FOR EACH ROW WHEN (OLD.cost_credits_reserved > 0)
  EXECUTE FUNCTION studio_engine.keep_price('mm_rendering_queue');

CREATE OR REPLACE TRIGGER tr_mm_rendering_queue_updated
  BEFORE UPDATE ON @extschema@.mm_rendering_queue
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_mm_rendering_queue_company
  BEFORE INSERT OR UPDATE ON @extschema@.mm_rendering_queue
  FOR EACH ROW EXECUTE FUNCTION studio_engine.inherit_company('session');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_sessions_keep_renderings
  BEFORE DELETE ON @extschema@.mm_multimedia_sessions
  FOR EACH ROW EXECUTE FUNCTION studio_engine.forbid_delete_of_leased_renderings('session');

CREATE OR REPLACE TRIGGER tr_cm_module_content_keep_renderings
  BEFORE DELETE ON @extschema@.cm_module_content
  FOR EACH ROW EXECUTE FUNCTION studio_engine.forbid_delete_of_leased_renderings('content');

IF (SELECT m.value FROM studio_engine.meta m WHERE m.name = 'companies') = 'own' THEN
  CREATE OR REPLACE TRIGGER tr_companies_keep_renderings
    BEFORE DELETE ON @extschema@.companies
    FOR EACH ROW EXECUTE FUNCTION studio_engine.forbid_delete_of_leased_renderings('company');
END IF;

CREATE OR REPLACE TRIGGER tr_mm_multimedia_sessions_counters
  BEFORE INSERT OR UPDATE ON @extschema@.mm_multimedia_sessions
  FOR EACH ROW EXECUTE FUNCTION studio_engine.protect_session_counters();

CREATE OR REPLACE TRIGGER tr_mm_multimedia_sessions_pass_on
  AFTER UPDATE ON @extschema@.mm_multimedia_sessions
  FOR EACH ROW WHEN (OLD.company_id IS DISTINCT FROM NEW.company_id OR OLD.content_id IS DISTINCT FROM NEW.content_id)
  EXECUTE FUNCTION studio_engine.pass_company_on('session');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_pass_on
  AFTER UPDATE ON @extschema@.mm_multimedia_assets
  FOR EACH ROW WHEN (OLD.company_id IS DISTINCT FROM NEW.company_id OR OLD.content_id IS DISTINCT FROM NEW.content_id)
  EXECUTE FUNCTION studio_engine.pass_company_on('asset');

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_count_inserted
  AFTER INSERT ON @extschema@.mm_multimedia_assets
  REFERENCING NEW TABLE AS new_assets
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.count_assets();

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_count_updated
  AFTER UPDATE ON @extschema@.mm_multimedia_assets
  REFERENCING OLD TABLE AS old_assets NEW TABLE AS new_assets
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.count_assets();

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_count_deleted
  AFTER DELETE ON @extschema@.mm_multimedia_assets
  REFERENCING OLD TABLE AS old_assets
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.count_assets();

CREATE OR REPLACE TRIGGER tr_mm_multimedia_assets_count_truncated
  AFTER TRUNCATE ON @extschema@.mm_multimedia_assets
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.count_assets();

CREATE OR REPLACE TRIGGER tr_mm_script_generations_words
  BEFORE INSERT OR UPDATE ON @extschema@.mm_script_generations
  FOR EACH ROW EXECUTE FUNCTION studio_engine.count_script_words();

DROP POLICY IF EXISTS mm_multimedia_sessions_select ON @extschema@.mm_multimedia_sessions;
CREATE POLICY mm_multimedia_sessions_select ON @extschema@.mm_multimedia_sessions
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS mm_multimedia_assets_select ON @extschema@.mm_multimedia_assets;
CREATE POLICY mm_multimedia_assets_select ON @extschema@.mm_multimedia_assets
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS mm_audio_narrations_select ON @extschema@.mm_audio_narrations;
CREATE POLICY mm_audio_narrations_select ON @extschema@.mm_audio_narrations
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS mm_slide_presentations_select ON @extschema@.mm_slide_presentations;
CREATE POLICY mm_slide_presentations_select ON @extschema@.mm_slide_presentations
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS mm_script_generations_select ON @extschema@.mm_script_generations;
CREATE POLICY mm_script_generations_select ON @extschema@.mm_script_generations
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS mm_video_analytics_select ON @extschema@.mm_video_analytics;
CREATE POLICY mm_video_analytics_select ON @extschema@.mm_video_analytics
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

DROP POLICY IF EXISTS mm_rendering_queue_select ON @extschema@.mm_rendering_queue;
CREATE POLICY mm_rendering_queue_select ON @extschema@.mm_rendering_queue
  FOR SELECT TO authenticated USING (company_id = ANY (ARRAY(
    SELECT e.company_id FROM @extschema@.employees e WHERE e.user_id = (SELECT auth.uid()))));

GRANT SELECT ON @extschema@.mm_multimedia_sessions,
  @extschema@.mm_multimedia_assets,
  @extschema@.mm_audio_narrations,
  @extschema@.mm_slide_presentations,
  @extschema@.mm_script_generations,
  @extschema@.mm_video_analytics,
  @extschema@.mm_rendering_queue TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON @extschema@.mm_multimedia_sessions,
  @extschema@.mm_multimedia_assets,
  @extschema@.mm_audio_narrations,
  @extschema@.mm_slide_presentations,
  @extschema@.mm_script_generations,
  @extschema@.mm_video_analytics,
  @extschema@.mm_rendering_queue TO service_role;
