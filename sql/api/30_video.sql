-- Jobs of the video system: what workers, users and the dashboard call.

CREATE FUNCTION studio_engine.lock_jobs_of_project() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'lock_jobs_of_project'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.lock_jobs_of_project() IS
'Trigger, BEFORE DELETE on projects: locks the jobs of the project before the cascade reaches an account, so that the lock order stays job, account. Refuses a user while a worker has one of them, or one is in a stage between QUEUED and its end (PT409); he may cancel it. Services, cascades and superusers pass.';

CREATE FUNCTION @extschema@.create_job(p_project_id uuid, p_cost_credits integer, p_priority integer DEFAULT 0) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_job(uuid, integer, integer) IS
'Makes a job of project p_project_id with its steps and a hold of p_cost_credits (positive), and queues it; or does nothing. Of two jobs workers get the one with the higher p_priority first. Returns the id of the job. Services only, since the caller sets the price; 22004, 22023, PT404 no such project, PT402 not enough credits, PT429 too many active jobs (setting max_active_jobs).';

CREATE FUNCTION @extschema@.create_job_steps(p_job_id uuid, p_steps jsonb DEFAULT NULL, p_lease_token uuid DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_job_steps'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_job_steps(uuid, jsonb, uuid) IS
'Adds the steps of a job that are not there yet. p_steps: a JSON array of 1 to 100 different names of 1 to 100 characters, in order; NULL: one step per stage, in lower case, without scripting where the project brings its own transcript. Returns how many were added. Services only; 22004, 22023, PT404, PT409 lease lost or missing.';

CREATE FUNCTION @extschema@.update_job_step(
    p_job_id uuid, p_step_name text, p_state text, p_progress_pct integer DEFAULT NULL,
    p_status_message text DEFAULT NULL, p_error_message text DEFAULT NULL, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_job_step'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_job_step(uuid, text, text, integer, text, text, uuid) IS
'Moves a step to p_state (pending, started, succeeded, failed) with progress in percent and messages; NULL leaves a value as it is. Returns the step. Services only; 22004, 22023 unknown state or progress outside 0..100, PT404 no such step, PT409 p_lease_token, 23514 illegal transition.';

CREATE FUNCTION @extschema@.advance_job(
    p_job_id uuid, p_status text, p_progress integer DEFAULT NULL, p_status_message text DEFAULT NULL,
    p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'advance_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.advance_job(uuid, text, integer, text, uuid) IS
'Moves a job to p_status along workflow_transitions(), or within its status to p_progress (percent, never backwards). READY settles the hold, FAILED releases it. p_lease_token: that of claim_jobs(); NULL where no worker has the job. Returns the job. Services only; 22004, 22023 unknown status or progress outside 0..100, PT404, PT409 the lease is lost, is missing, or the job is to be cancelled, 23514 illegal transition.';

CREATE FUNCTION @extschema@.complete_job(
    p_job_id uuid, p_output_url text DEFAULT NULL, p_manifest jsonb DEFAULT NULL, p_final_cost integer DEFAULT NULL,
    p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'complete_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.complete_job(uuid, text, jsonb, integer, uuid) IS
'Moves a job from PACKAGING to READY and charges p_final_cost credits, at most the hold; NULL charges cost_credits_final where it is set, else the hold. Again with the same address and price: the same answer; with others: PT409. p_lease_token: that of claim_jobs(); NULL where no worker has the job. Returns the job. Services only; 22004, 22023 negative price, PT404, PT409 price above the hold, lease lost or missing, 23514 illegal transition.';

CREATE FUNCTION @extschema@.fail_job(
    p_job_id uuid, p_error_code text DEFAULT NULL, p_error_message text DEFAULT NULL, p_failed_step text DEFAULT NULL,
    p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'fail_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.fail_job(uuid, text, text, text, boolean, uuid) IS
'Moves a job to FAILED and gives its hold back; with p_retryable, which needs a lease, the job goes back to the queue instead and is due after a random delay, as long as attempts are left (settings max_attempts, retry_base_seconds, retry_cap_seconds). The delay is any up to the base doubled with every attempt, at most the cap: full jitter. p_error_message is cut to 64 kB; p_error_code and p_failed_step have at most 2048 characters. A job that failed already keeps its first error. p_lease_token: that of claim_jobs(); NULL where no worker has the job. Returns the job. Services only; 22004, 22023 p_retryable without a lease, PT404, PT409 lease lost or missing, 23514 the job is READY.';

CREATE FUNCTION @extschema@.cancel_job(p_job_id uuid, p_reason text DEFAULT NULL) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'cancel_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.cancel_job(uuid, text) IS
'Moves a job to FAILED with error_code CANCELLED and gives its hold back. Where a worker has the job, it is told by its next heartbeat, and the job ends when the worker fails it or its lease ends; one that is completed first stays completed. A job that failed or was cancelled already stays as it is. p_reason: at most 1000 characters. Returns the job. Its owner or a service; 22004, 22023, 42501 not yours, PT404, 23514 the job is READY.';

CREATE FUNCTION @extschema@.retry_job(p_job_id uuid) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'retry_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.retry_job(uuid) IS
'Queues a FAILED job again and pays again: a new hold of the credits that the last one took. Its steps start over. A job that is QUEUED already stays as it is. Returns the job. Its owner or a service; 22004, 42501 not yours, PT404, 23514 the job did not fail, PT402 not enough credits, PT429 too many active jobs.';

CREATE FUNCTION @extschema@.record_asset(
    p_job_id uuid, p_type text, p_url text, p_storage_path text, p_size_bytes bigint DEFAULT NULL,
    p_mime_type text DEFAULT NULL, p_metadata jsonb DEFAULT NULL, p_lease_token uuid DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'record_asset'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.record_asset(uuid, text, text, text, bigint, text, jsonb, uuid) IS
'Records a file of a job. p_type: video, audio, image, captions, manifest or zip; p_size_bytes in bytes. The same job, type and storage path again: the same row, with the new facts. Returns its id. Services only; 22004, 22023 unknown type or negative size, PT404, PT409 lease lost or missing.';

CREATE FUNCTION @extschema@.log_job(
    p_job_id uuid, p_level text, p_message text, p_step_name text DEFAULT NULL, p_metadata jsonb DEFAULT NULL,
    p_lease_token uuid DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'log_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.log_job(uuid, text, text, text, jsonb, uuid) IS
'Writes a line to the log of a job. p_level: debug (hidden from users), info, warn or error. p_lease_token: a worker may pass it, so that one which lost its lease cannot write. Returns its id. Services only; 22004, 22023 unknown level, PT404, PT409 lease lost.';

CREATE FUNCTION @extschema@.get_dashboard(p_user_id uuid DEFAULT NULL, p_limit integer DEFAULT 20) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_dashboard'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_dashboard(uuid, integer) IS
'The newest p_limit (1 to 100) projects of a user as a JSON array, each with status, progress and job of its newest job. Texts are cut after 1000 characters and other values of more than 1000 bytes are null; where that happened, truncated is an array of their names, those of the job behind "job.". p_user_id NULL: the caller. The user or a service; 22004 a service must name the user, 22023, 42501 not yours.';
