-- Refinement: what users and workers call for studio_jobs.

CREATE FUNCTION studio_engine.default_studio_job()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'default_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.default_studio_job() IS
'Trigger, BEFORE INSERT OR UPDATE on studio_jobs: fills in setting default_system_prompt and holds users to setting max_user_priority.';

CREATE FUNCTION studio_engine.limit_studio_jobs()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'limit_studio_jobs'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.limit_studio_jobs() IS
'Trigger, AFTER INSERT on studio_jobs: holds users who insert by themselves to setting max_active_jobs (PT429).';

CREATE FUNCTION @extschema@.create_studio_job(p_user_id uuid, p_raw_audio_url text, p_system_prompt text DEFAULT NULL, p_priority integer DEFAULT 0)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_studio_job(uuid, text, text, integer) IS
'Makes a studio job with status NEW for a recording (p_raw_audio_url: 1 to 8192 characters). p_system_prompt: prompt of the language model, 1 to 500000 characters; NULL takes setting default_system_prompt. p_priority: the higher, the sooner; users at most setting max_user_priority. Returns the job. The user or a service; 22004, 22023, 42501 not yours, PT404 no such user, PT429 too many active jobs (setting max_active_jobs).';

CREATE FUNCTION @extschema@.update_studio_job_status(p_job_id uuid, p_status text, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_studio_job_status'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_studio_job_status(uuid, text, uuid) IS
'Moves a studio job to p_status along workflow_transitions(). p_lease_token: that of claim_jobs(); NULL where no worker has the job. Returns the job. Services only; 22004, 22023 unknown status, PT404, PT409 lease lost or missing, or the job is to be cancelled, 23514 illegal transition.';

CREATE FUNCTION @extschema@.store_transcript(p_job_id uuid, p_transcript text, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'store_transcript'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.store_transcript(uuid, text, uuid) IS
'Stores the transcript and moves the job to ENRICHING. Returns the job. Services only; 22004, 22023 too large, PT404, PT409, 23514 as update_studio_job_status().';

CREATE FUNCTION @extschema@.store_enrichment(p_job_id uuid, p_entities jsonb, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'store_enrichment'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.store_enrichment(uuid, jsonb, uuid) IS
'Stores what the enrichment found and moves the job to REFINING. Returns the job. Services only; 22004, 22023 too large, PT404, PT409, 23514 as update_studio_job_status().';

CREATE FUNCTION @extschema@.store_refined_text(p_job_id uuid, p_text text, p_model_version text DEFAULT NULL, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'store_refined_text'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.store_refined_text(uuid, text, text, uuid) IS
'Stores the finished text, and the model where p_model_version (1 to 2048 characters) is given, and moves the job to COMPLETE, which sets processing_time_ms. Again with the same text: the same answer; with another: PT409. Returns the job. Services only; 22004, 22023, PT404, PT409, 23514 as update_studio_job_status().';

CREATE FUNCTION @extschema@.fail_studio_job(p_job_id uuid, p_error jsonb, p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'fail_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.fail_studio_job(uuid, jsonb, boolean, uuid) IS
'Moves a studio job to FAILED with p_error, which may be NULL and has at most 256 kB, in error_details; with p_retryable, which needs a lease, it goes back to the queue instead, as by fail_job(), as long as attempts are left. A job that failed already keeps its first error. Returns the job. Services only; 22004, 22023 p_retryable without a lease, PT404, PT409 lease lost or missing, 23514 the job is COMPLETE.';

CREATE FUNCTION @extschema@.cancel_studio_job(p_job_id uuid, p_reason text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'cancel_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.cancel_studio_job(uuid, text) IS
'Moves a studio job to FAILED with error_details code CANCELLED; where a worker has it, as cancel_job() does. p_reason: at most 1000 characters. Returns the job. Its owner or a service; 22004, 22023, 42501 not yours, PT404, 23514 the job is COMPLETE.';

CREATE FUNCTION @extschema@.retry_studio_job(p_job_id uuid)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'retry_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.retry_studio_job(uuid) IS
'Moves a FAILED studio job back to NEW and to the end of the queue, and counts it in retry_count. A job that is NEW already stays as it is. Returns the job. Its owner or a service; 22004, 42501 not yours, PT404, 23514 the job did not fail, PT429 too many active jobs.';
