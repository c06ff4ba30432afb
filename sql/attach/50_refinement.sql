-- Triggers, policies and grants of studio_jobs.
-- Pitfall: users may move their own jobs by plain UPDATE, as the seed's clients
-- do; the column lists leave out what they never name. Triggers fire in the order
-- of their names: the queue before the account, hence the digits; and the owner of
-- a new job is checked before its price is looked up.

-- Limits of the size of values, for every writer; the first trigger of each table.
CREATE OR REPLACE TRIGGER "00_studio_jobs_limits"
  BEFORE INSERT OR UPDATE ON @extschema@.studio_jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_values('studio_jobs');

CREATE OR REPLACE TRIGGER tr_studio_jobs_workflow
  BEFORE INSERT OR UPDATE ON @extschema@.studio_jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.enforce_workflow('studio_jobs');

CREATE OR REPLACE TRIGGER tr_studio_jobs_defaults
  BEFORE INSERT OR UPDATE OF priority, run_at, idempotency_key, max_attempts, cancel_requested_at ON @extschema@.studio_jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.default_studio_job();

CREATE OR REPLACE TRIGGER tr_studio_jobs_limit
  AFTER INSERT ON @extschema@.studio_jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.limit_studio_jobs();

CREATE OR REPLACE TRIGGER tr_studio_jobs_own
  BEFORE INSERT OR UPDATE OF job_id, user_id, created_at ON @extschema@.studio_jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.keep_own_row('job_id', 'user_id');

CREATE OR REPLACE TRIGGER tr_studio_jobs_own_new
  AFTER INSERT ON @extschema@.studio_jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.check_new_own_row();

CREATE OR REPLACE TRIGGER tr_studio_jobs_keep_worked_on
  BEFORE DELETE ON @extschema@.studio_jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.forbid_delete_of_leased_job('studio_jobs');

CREATE OR REPLACE TRIGGER "00_studio_jobs_queue"
  AFTER INSERT OR DELETE ON @extschema@.studio_jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.maintain_queue('studio_jobs');

CREATE OR REPLACE TRIGGER "00_studio_jobs_queue_update"
  AFTER UPDATE ON @extschema@.studio_jobs
  FOR EACH ROW WHEN (OLD.job_id IS DISTINCT FROM NEW.job_id OR OLD.status IS DISTINCT FROM NEW.status
                     OR OLD.priority IS DISTINCT FROM NEW.priority OR OLD.user_id IS DISTINCT FROM NEW.user_id
                     OR OLD.run_at IS DISTINCT FROM NEW.run_at)
  EXECUTE FUNCTION studio_engine.maintain_queue('studio_jobs');

CREATE OR REPLACE TRIGGER "00_studio_jobs_queue_truncate"
  AFTER TRUNCATE ON @extschema@.studio_jobs
  FOR EACH STATEMENT EXECUTE FUNCTION studio_engine.clear_queue('studio_jobs');

-- The price is held after the queue has the job, and ends with it.
CREATE OR REPLACE TRIGGER tr_studio_jobs_price
  BEFORE INSERT ON @extschema@.studio_jobs
  FOR EACH ROW EXECUTE FUNCTION studio_engine.price_new_job('studio_jobs');

CREATE OR REPLACE TRIGGER tr_studio_jobs_hold_price
  AFTER INSERT ON @extschema@.studio_jobs
  FOR EACH ROW WHEN (NEW.cost_credits_reserved > 0)
  EXECUTE FUNCTION studio_engine.keep_price('studio_jobs');

CREATE OR REPLACE TRIGGER tr_studio_jobs_keep_price
  AFTER UPDATE ON @extschema@.studio_jobs
  FOR EACH ROW WHEN (OLD.cost_credits_reserved > 0 AND (OLD.status <> NEW.status OR OLD.job_id <> NEW.job_id OR OLD.user_id <> NEW.user_id))
  EXECUTE FUNCTION studio_engine.keep_price('studio_jobs');

CREATE OR REPLACE TRIGGER tr_studio_jobs_return_price
  AFTER DELETE ON @extschema@.studio_jobs
  FOR EACH ROW WHEN (OLD.cost_credits_reserved > 0)
  EXECUTE FUNCTION studio_engine.keep_price('studio_jobs');

DROP POLICY IF EXISTS studio_jobs_select ON @extschema@.studio_jobs;
CREATE POLICY studio_jobs_select ON @extschema@.studio_jobs
  FOR SELECT TO authenticated USING ((SELECT auth.uid()) = user_id);

DROP POLICY IF EXISTS studio_jobs_insert ON @extschema@.studio_jobs;
CREATE POLICY studio_jobs_insert ON @extschema@.studio_jobs
  FOR INSERT TO authenticated WITH CHECK ((SELECT auth.uid()) = user_id);

DROP POLICY IF EXISTS studio_jobs_update ON @extschema@.studio_jobs;
CREATE POLICY studio_jobs_update ON @extschema@.studio_jobs
  FOR UPDATE TO authenticated USING ((SELECT auth.uid()) = user_id) WITH CHECK ((SELECT auth.uid()) = user_id);

GRANT SELECT ON @extschema@.studio_jobs TO authenticated;
GRANT INSERT (job_id, created_at, status, user_id, raw_audio_url, raw_transcript, refined_text, system_prompt_used, error_details,
              enrichment_entities, model_version, priority, run_at, idempotency_key, max_attempts, cancel_requested_at),
      UPDATE (job_id, created_at, status, user_id, raw_audio_url, raw_transcript, refined_text, system_prompt_used, error_details,
              enrichment_entities, model_version, priority, run_at, idempotency_key, max_attempts, cancel_requested_at)
  ON @extschema@.studio_jobs TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON @extschema@.studio_jobs TO service_role;
