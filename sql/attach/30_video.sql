-- Triggers, policies and grants of projects, jobs and what belongs to jobs.
-- Pitfall: triggers of one event fire in the order of their names. The hold of
-- a deleted job must be released before its foreign keys set credit_ledger.job_id
-- to NULL; the triggers of foreign keys are called RI_..., hence the digits. The
-- row in the queue is locked before the account, as the lock order requires.

-- Limits of the size of values, for every writer; the first trigger of each table.
CREATE OR REPLACE TRIGGER "00_projects_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.projects
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('projects');

CREATE OR REPLACE TRIGGER "00_jobs_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('jobs');

CREATE OR REPLACE TRIGGER "00_job_steps_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.job_steps
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('job_steps');

CREATE OR REPLACE TRIGGER "00_assets_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.assets
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('assets');

CREATE OR REPLACE TRIGGER "00_logs_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.logs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('logs');

CREATE OR REPLACE TRIGGER tr_projects_updated
  BEFORE UPDATE ON @extschema@.projects
  FOR EACH ROW EXECUTE FUNCTION @extschema@.update_updated_at();

CREATE OR REPLACE TRIGGER tr_projects_own
  BEFORE INSERT OR UPDATE OF id, user_id, created_at ON @extschema@.projects
  FOR EACH ROW EXECUTE FUNCTION studio_engine.keep_own_row('id', 'user_id');

CREATE OR REPLACE TRIGGER tr_projects_own_new
  AFTER INSERT ON @extschema@.projects
  FOR EACH ROW EXECUTE FUNCTION studio_engine.check_new_own_row();

CREATE OR REPLACE TRIGGER tr_projects_lock_jobs
  BEFORE DELETE ON @extschema@.projects
  FOR EACH ROW EXECUTE FUNCTION studio_engine.lock_jobs_of_project();

CREATE OR REPLACE TRIGGER tr_jobs_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('jobs');

CREATE OR REPLACE TRIGGER tr_jobs_price
  BEFORE UPDATE OF status ON @extschema@.jobs
  FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.status IN ('READY', 'FAILED'))
  EXECUTE FUNCTION studio_engine.price_ended_job();

CREATE OR REPLACE TRIGGER tr_jobs_keep_owner
  BEFORE UPDATE OF user_id ON @extschema@.jobs
  FOR EACH ROW WHEN (OLD.user_id <> NEW.user_id)
  EXECUTE FUNCTION studio_engine.forbid_owner_change_of_hold();

CREATE OR REPLACE TRIGGER tr_jobs_lock_owner
  BEFORE UPDATE OF user_id ON @extschema@.jobs
  FOR EACH ROW WHEN (OLD.user_id <> NEW.user_id)
  EXECUTE FUNCTION studio_engine.lock_job_for_new_owner();

CREATE OR REPLACE TRIGGER tr_jobs_pass_owner
  AFTER UPDATE ON @extschema@.jobs
  FOR EACH ROW WHEN (OLD.user_id <> NEW.user_id)
  EXECUTE FUNCTION studio_engine.pass_job_owner_on();

CREATE OR REPLACE TRIGGER tr_jobs_close_hold
  AFTER UPDATE ON @extschema@.jobs
  FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.status IN ('READY', 'FAILED'))
  EXECUTE FUNCTION studio_engine.close_hold_of_ended_job();

CREATE OR REPLACE TRIGGER "00_jobs_return_hold"
  AFTER DELETE ON @extschema@.jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.return_hold_of_deleted_job();

CREATE OR REPLACE TRIGGER tr_jobs_keep_worked_on
  BEFORE DELETE ON @extschema@.jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.forbid_delete_of_leased_job('jobs');

CREATE OR REPLACE TRIGGER "00_jobs_queue"
  AFTER INSERT OR DELETE ON @extschema@.jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.maintain_queue('jobs');

CREATE OR REPLACE TRIGGER "00_jobs_queue_update"
  AFTER UPDATE ON @extschema@.jobs
  FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.status IS DISTINCT FROM NEW.status
                     OR OLD.priority IS DISTINCT FROM NEW.priority OR OLD.user_id IS DISTINCT FROM NEW.user_id
                     OR OLD.run_at IS DISTINCT FROM NEW.run_at)
  EXECUTE FUNCTION studio_engine.maintain_queue('jobs');

CREATE OR REPLACE TRIGGER "00_jobs_queue_truncate"
  AFTER TRUNCATE ON @extschema@.jobs
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.clear_queue('jobs');

CREATE OR REPLACE TRIGGER tr_job_steps_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.job_steps
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('job_steps');

CREATE OR REPLACE TRIGGER tr_job_steps_owner
  BEFORE INSERT OR UPDATE OF job_id, user_id ON @extschema@.job_steps
  FOR EACH ROW EXECUTE FUNCTION studio_engine.take_owner_of_job();

CREATE OR REPLACE TRIGGER tr_assets_owner
  BEFORE INSERT OR UPDATE OF job_id, user_id ON @extschema@.assets
  FOR EACH ROW EXECUTE FUNCTION studio_engine.take_owner_of_job();

CREATE OR REPLACE TRIGGER tr_logs_owner
  BEFORE INSERT OR UPDATE OF job_id, user_id ON @extschema@.logs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.take_owner_of_job();

DROP POLICY IF EXISTS projects_all ON @extschema@.projects;
CREATE POLICY projects_all ON @extschema@.projects
  TO authenticated USING ((SELECT auth.uid()) = user_id);

DROP POLICY IF EXISTS jobs_select ON @extschema@.jobs;
CREATE POLICY jobs_select ON @extschema@.jobs
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = user_id);

DROP POLICY IF EXISTS job_steps_select ON @extschema@.job_steps;
CREATE POLICY job_steps_select ON @extschema@.job_steps
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = user_id);

DROP POLICY IF EXISTS assets_select ON @extschema@.assets;
CREATE POLICY assets_select ON @extschema@.assets
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = user_id);

DROP POLICY IF EXISTS logs_select ON @extschema@.logs;
CREATE POLICY logs_select ON @extschema@.logs
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = user_id AND level <> 'debug');

GRANT SELECT, DELETE ON @extschema@.projects TO authenticated;
GRANT INSERT (id, user_id, title, prompt_text, niche_preset, target_minutes, voice_profile_id,
              transcript_mode, transcript_text, settings, created_at, updated_at),
      UPDATE (id, user_id, title, prompt_text, niche_preset, target_minutes, voice_profile_id,
              transcript_mode, transcript_text, settings, created_at, updated_at)
  ON @extschema@.projects TO authenticated;
GRANT SELECT ON @extschema@.jobs, @extschema@.job_steps, @extschema@.assets, @extschema@.logs TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON @extschema@.projects, @extschema@.jobs, @extschema@.job_steps, @extschema@.assets, @extschema@.logs
  TO service_role;
