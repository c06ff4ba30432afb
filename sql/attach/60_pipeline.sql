-- Triggers, policies and grants of the pipeline.
-- Pitfall: clients may write these tables by plain SQL, so the triggers enforce
-- every invariant: the flow, the numbers and the owners.

-- Limits of the size of values, for every writer; the first trigger of each table.
CREATE OR REPLACE TRIGGER "00_jobs_limits"
  BEFORE INSERT OR UPDATE ON pipeline.jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('pipeline.jobs');

CREATE OR REPLACE TRIGGER "00_job_events_limits"
  BEFORE INSERT OR UPDATE ON pipeline.job_events
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('pipeline.job_events');

CREATE OR REPLACE TRIGGER "00_artifacts_limits"
  BEFORE INSERT OR UPDATE ON pipeline.artifacts
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('pipeline.artifacts');

CREATE OR REPLACE TRIGGER "00_prompts_limits"
  BEFORE INSERT OR UPDATE ON pipeline.prompts
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('pipeline.prompts');

REVOKE ALL ON SCHEMA pipeline FROM PUBLIC;
GRANT USAGE ON SCHEMA pipeline TO authenticated, service_role;

CREATE OR REPLACE TRIGGER tr_jobs_guard
  BEFORE INSERT OR UPDATE ON pipeline.jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.guard_run();

CREATE OR REPLACE TRIGGER tr_jobs_workflow
  BEFORE INSERT OR UPDATE ON pipeline.jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('pipeline.jobs');

CREATE OR REPLACE TRIGGER tr_jobs_created
  AFTER INSERT ON pipeline.jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.record_transition();

CREATE OR REPLACE TRIGGER tr_jobs_transition
  AFTER UPDATE ON pipeline.jobs
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
  EXECUTE FUNCTION studio_engine.record_transition();

CREATE OR REPLACE TRIGGER tr_jobs_owner
  AFTER UPDATE ON pipeline.jobs
  FOR EACH ROW WHEN (OLD.owner_id IS DISTINCT FROM NEW.owner_id)
  EXECUTE FUNCTION studio_engine.pass_owner_on();

CREATE OR REPLACE TRIGGER tr_job_events_enter
  BEFORE INSERT ON pipeline.job_events
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enter_event();

CREATE OR REPLACE TRIGGER tr_job_events_count
  AFTER INSERT ON pipeline.job_events
  FOR EACH ROW EXECUTE FUNCTION studio_engine.count_event();

CREATE OR REPLACE TRIGGER tr_job_events_keep
  BEFORE UPDATE ON pipeline.job_events
  FOR EACH ROW EXECUTE FUNCTION studio_engine.forbid_event_change();

CREATE OR REPLACE TRIGGER tr_artifacts_enter
  BEFORE INSERT ON pipeline.artifacts
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enter_artifact();

CREATE OR REPLACE TRIGGER tr_artifacts_keep
  BEFORE UPDATE ON pipeline.artifacts
  FOR EACH ROW EXECUTE FUNCTION studio_engine.forbid_artifact_change();

CREATE OR REPLACE TRIGGER tr_prompts_updated
  BEFORE UPDATE ON pipeline.prompts
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

DROP POLICY IF EXISTS jobs_select ON pipeline.jobs;
CREATE POLICY jobs_select ON pipeline.jobs
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = owner_id);

DROP POLICY IF EXISTS job_events_select ON pipeline.job_events;
CREATE POLICY job_events_select ON pipeline.job_events
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = owner_id);

DROP POLICY IF EXISTS artifacts_select ON pipeline.artifacts;
CREATE POLICY artifacts_select ON pipeline.artifacts
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = owner_id);

DROP POLICY IF EXISTS prompts_select ON pipeline.prompts;
CREATE POLICY prompts_select ON pipeline.prompts
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) IS NOT NULL);

GRANT SELECT ON pipeline.jobs, pipeline.job_events, pipeline.artifacts, pipeline.prompts TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE
  ON pipeline.jobs, pipeline.job_events, pipeline.artifacts, pipeline.prompts TO service_role;
