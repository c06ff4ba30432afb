-- Refinement: what users and workers call for studio_jobs.

CREATE FUNCTION studio_engine.default_studio_job()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'default_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.default_studio_job() IS
'Fill in the prompt of a studio job, and limit what a user changes in it.

Trigger, BEFORE INSERT OR UPDATE on studio_jobs. The prompt is that of setting default_system_prompt. The
priority that a user gives is at most setting max_user_priority, max_attempts at most the setting of that name
(22023). A user does not change run_at, idempotency_key and cancel_requested_at of a job (42501).';

CREATE FUNCTION studio_engine.limit_studio_jobs()
  RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'limit_studio_jobs'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.limit_studio_jobs() IS
'Limit what a user inserts into studio_jobs, and how much.

Trigger, AFTER INSERT on studio_jobs. The status must be NEW (23514), the priority at most setting
max_user_priority, max_attempts at most the setting of that name, run_at at most 366 days ahead (22023),
cancel_requested_at empty (42501). Setting max_active_jobs limits the active jobs (PT429). Services are not
limited here.';

CREATE FUNCTION @extschema@.create_studio_job(
    p_user_id uuid, p_raw_audio_url text, p_system_prompt text DEFAULT NULL, p_priority integer DEFAULT 0,
    p_run_at timestamptz DEFAULT NULL, p_idempotency_key text DEFAULT NULL,
    p_max_attempts integer DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_studio_job(uuid, text, text, integer, timestamptz, text, integer) IS
'Create a studio job for a recording.

- p_user_id: the user.
- p_raw_audio_url: where the recording is, 1 to 8192 characters.
- p_system_prompt: prompt of the language model, 1 to 500000 characters; NULL: setting default_system_prompt.
- p_priority: the higher, the sooner; of users at most setting max_user_priority.
- p_run_at: the job waits until then, at most 366 days; NULL or a time that has passed: it waits for a worker at once.
- p_idempotency_key: 1 to 200 characters. Another call with the same key and user returns the first job,
  whatever its status, and makes nothing. It has to be the same call: p_raw_audio_url, and p_system_prompt where it is given.
- p_max_attempts: how often the job is tried, 1 to 1000, of users at most setting max_attempts; NULL: setting max_attempts.

Returns the job, in status NEW.
Callers: the user, or a service.
Errors: 22004 a required argument is NULL; 22023 a value is out of bounds; 42501 not the caller; PT404 no such
user; PT409 the key was used for something else; PT429 too many active jobs (setting max_active_jobs).';

CREATE FUNCTION @extschema@.update_studio_job_status(
    p_job_id uuid, p_status text, p_lease_token uuid DEFAULT NULL, p_hand_over boolean DEFAULT false)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_studio_job_status'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_studio_job_status(uuid, text, uuid, boolean) IS
'Move a studio job to another status.

- p_job_id: the job.
- p_status: a status that workflow_transitions() allows next.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.
- p_hand_over: true ends the lease with the call, so that another worker claims the job at its next stage, with
  attempts counted from 1. A late retry returns the same job.

Returns the job.
Callers: services only.
Errors: 22004 p_job_id, p_status or p_hand_over is NULL; 22023 unknown status; PT404 no such job; PT409 the lease is lost
or missing, or the job is to be cancelled; 23514 illegal transition.';

CREATE FUNCTION @extschema@.store_transcript(
    p_job_id uuid, p_transcript text, p_lease_token uuid DEFAULT NULL, p_hand_over boolean DEFAULT false)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'store_transcript'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.store_transcript(uuid, text, uuid, boolean) IS
'Store the transcript of a studio job and move it to ENRICHING.

- p_job_id: the job.
- p_transcript: the text, at most 1 MiB.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.
- p_hand_over: true ends the lease with the call, so that another worker claims the job at its next stage, with
  attempts counted from 1. A late retry returns the same job.

Returns the job.
Callers: services only.
Errors: 22004 p_job_id, p_transcript or p_hand_over is NULL; 22023 the text is too large; PT404 no such job; PT409 the
lease is lost or missing, or the job is to be cancelled; 23514 illegal transition.';

CREATE FUNCTION @extschema@.store_enrichment(
    p_job_id uuid, p_entities jsonb, p_lease_token uuid DEFAULT NULL, p_hand_over boolean DEFAULT false)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'store_enrichment'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.store_enrichment(uuid, jsonb, uuid, boolean) IS
'Store the entities of a studio job and move it to REFINING.

- p_job_id: the job.
- p_entities: what the enrichment found, JSON of at most 1 MiB.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.
- p_hand_over: true ends the lease with the call, so that another worker claims the job at its next stage, with
  attempts counted from 1. A late retry returns the same job.

Returns the job.
Callers: services only.
Errors: 22004 p_job_id, p_entities or p_hand_over is NULL; 22023 the value is too large; PT404 no such job; PT409 the lease
is lost or missing, or the job is to be cancelled; 23514 illegal transition.';

CREATE FUNCTION @extschema@.store_refined_text(p_job_id uuid, p_text text, p_model_version text DEFAULT NULL, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'store_refined_text'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.store_refined_text(uuid, text, text, uuid) IS
'Store the finished text of a studio job and move it to COMPLETE.

Sets processing_time_ms. A late retry with the same text returns the same job; with another it is refused.

- p_job_id: the job.
- p_text: the text, at most 1 MiB.
- p_model_version: the model, 1 to 2048 characters; NULL leaves it unchanged.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.

Returns the job.
Callers: services only.
Errors: 22004 p_job_id or p_text is NULL; 22023 a value is out of bounds; PT404 no such job; PT409 the lease
is lost or missing, or the job was completed differently; 23514 illegal transition.';

CREATE FUNCTION @extschema@.fail_studio_job(
    p_job_id uuid, p_error jsonb, p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL,
    p_retry_in interval DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'fail_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.fail_studio_job(uuid, jsonb, boolean, uuid, interval) IS
'Move a studio job to FAILED, or queue a retry.

- p_job_id: the job.
- p_error: goes into error_details, JSON of at most 256 KiB; may be NULL.
- p_retryable: true queues the job for a retry after a delay, as by fail_job(), as long as attempts are left.
  This takes a lease.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.
- p_retry_in: when a retry is due, 0 seconds to 366 days from now; NULL: after a delay as by fail_job().

A job that has failed keeps its first error. Returns the job.
Callers: services only.
Errors: 22004 p_job_id is NULL; 22023 p_retryable without a lease, p_retry_in without
p_retryable, or a value is out of bounds; PT404 no such job;
PT409 the lease is lost or missing; 23514 the job is COMPLETE.';

CREATE FUNCTION @extschema@.cancel_studio_job(p_job_id uuid, p_reason text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'cancel_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.cancel_studio_job(uuid, text) IS
'Cancel a studio job.

The job becomes FAILED, with code CANCELLED in error_details. Where a worker holds the job, that happens as by
cancel_job().

- p_job_id: the job.
- p_reason: at most 1000 characters.

Returns the job.
Callers: the owner of the job, or a service.
Errors: 22004 p_job_id is NULL; 22023 p_reason is too long; 42501 not a job of the caller; PT404 no such job;
23514 the job is COMPLETE.';

CREATE FUNCTION @extschema@.retry_studio_job(p_job_id uuid)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'retry_studio_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.retry_studio_job(uuid) IS
'Move a FAILED studio job back to NEW and queue it again.

The job goes to the end of the queue, whatever run_at was, and is counted in retry_count. A job that is NEW stays
as it is.

- p_job_id: the job.

Returns the job.
Callers: the owner of the job, or a service.
Errors: 22004 p_job_id is NULL; 42501 not a job of the caller; PT404 no such job; 23514 the job did not fail;
PT429 too many active jobs (setting max_active_jobs).';
