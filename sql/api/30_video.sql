-- Jobs of the video system: what workers, users and the dashboard call.

CREATE FUNCTION studio_engine.lock_jobs_of_project() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'lock_jobs_of_project'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.lock_jobs_of_project() IS
'Lock the jobs of a project that is deleted.

Trigger, BEFORE DELETE on projects. The jobs are locked before the cascade reaches an account, so that the
lock order stays job, account. A user is refused (PT409) while a worker holds one of the jobs or one is in a
stage between QUEUED and its end; cancel_job() ends it. Services, cascades and superusers pass.';

CREATE FUNCTION studio_engine.take_owner_of_job() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'take_owner_of_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.take_owner_of_job() IS
'Set user_id of what belongs to a job to the owner of the job.

Trigger, BEFORE INSERT OR UPDATE on job_steps, assets and logs. Whatever the statement writes is replaced. A
job that does not exist is the error of its foreign key (23503).';

CREATE FUNCTION studio_engine.lock_job_for_new_owner() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'lock_job_for_new_owner'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.lock_job_for_new_owner() IS
'Lock a job whose user changes against inserts of what belongs to it.

Trigger, BEFORE UPDATE on jobs.';

CREATE FUNCTION studio_engine.pass_job_owner_on() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pass_job_owner_on'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.pass_job_owner_on() IS
'Give the steps, files and log lines of a job to its new user.

Trigger, AFTER UPDATE on jobs (PT409 where REPEATABLE READ hides some of them).';

CREATE FUNCTION @extschema@.create_job(
    p_project_id uuid, p_cost_credits integer, p_priority integer DEFAULT 0,
    p_run_at timestamptz DEFAULT NULL, p_idempotency_key text DEFAULT NULL,
    p_max_attempts integer DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_job(uuid, integer, integer, timestamptz, text, integer) IS
'Create a video job with its steps and a hold of credits, and queue it.

All of it happens, or nothing.

- p_project_id: the project.
- p_cost_credits: credits to hold, 1 or more.
- p_priority: any integer; of two jobs workers get the one with the higher priority first.
- p_run_at: the job waits until then, at most 366 days; NULL or a time that has passed: it waits for a worker at once.
- p_idempotency_key: 1 to 200 characters. Another call with the same key for the same user returns the first job,
  whatever its status, and makes nothing. It has to be the same call: p_project_id and p_cost_credits.
- p_max_attempts: how often the job is tried, 1 to 1000; NULL: setting max_attempts.

Returns the id of the job.
Callers: services only, since the caller sets the price.
Errors: 22004 a required argument is NULL; 22023 a value is out of bounds; PT404 no such project; PT402 not
enough credits; PT409 the key was used for something else; PT429 too many active jobs of the user (setting
max_active_jobs).';

CREATE FUNCTION @extschema@.create_job_steps(p_job_id uuid, p_steps jsonb DEFAULT NULL, p_lease_token uuid DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_job_steps'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_job_steps(uuid, jsonb, uuid) IS
'Add the steps of a job that do not exist yet.

- p_job_id: the job.
- p_steps: a JSON array of 1 to 100 different names of 1 to 100 characters, in order. NULL: one step per
  stage, in lower case, without scripting where the project has its own transcript.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.

Returns the number of steps added.
Callers: services only.
Errors: 22004 p_job_id is NULL; 22023 p_steps is out of bounds; PT404 no such job; PT409 the lease is lost or
missing, or the job is to be cancelled.';

CREATE FUNCTION @extschema@.update_job_step(
    p_job_id uuid, p_step_name text, p_state text, p_progress_pct integer DEFAULT NULL,
    p_status_message text DEFAULT NULL, p_error_message text DEFAULT NULL, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_job_step'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_job_step(uuid, text, text, integer, text, text, uuid) IS
'Move a step of a job to another state, and record its progress.

NULL leaves a value unchanged.

- p_job_id: the job.
- p_step_name: the step.
- p_state: pending, started, succeeded or failed.
- p_progress_pct: 0 to 100; it never decreases within an attempt.
- p_status_message: what the worker is doing, at most 8 KiB.
- p_error_message: why the step failed, at most 64 KiB.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.

Returns the step.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 unknown state, or a value is out of bounds; PT404 no such
step; PT409 the lease is lost or missing, or the job is to be cancelled; 23514 illegal transition.';

CREATE FUNCTION @extschema@.advance_job(
    p_job_id uuid, p_status text, p_progress integer DEFAULT NULL, p_status_message text DEFAULT NULL,
    p_lease_token uuid DEFAULT NULL, p_hand_over boolean DEFAULT false)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'advance_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.advance_job(uuid, text, integer, text, uuid, boolean) IS
'Move a video job to another status, or record its progress.

READY settles the hold of the job, FAILED releases it.

- p_job_id: the job.
- p_status: a status that workflow_transitions() allows next, or the one that the job has.
- p_progress: 0 to 100; it never decreases within an attempt. NULL leaves it to the status.
- p_status_message: what the worker is doing, at most 8 KiB; NULL leaves it unchanged.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.
- p_hand_over: true ends the lease with the call, so that another worker claims the job at its next stage, with
  attempts counted from 1. A late retry returns the same job.

Returns the job.
Callers: services only.
Errors: 22004 p_job_id, p_status or p_hand_over is NULL; 22023 unknown status, or a value is out of bounds; PT404 no such
job; PT409 the lease is lost or missing, or the job is to be cancelled; 23514 illegal transition.';

CREATE FUNCTION @extschema@.complete_job(
    p_job_id uuid, p_output_url text DEFAULT NULL, p_manifest jsonb DEFAULT NULL, p_final_cost integer DEFAULT NULL,
    p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'complete_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.complete_job(uuid, text, jsonb, integer, uuid) IS
'Move a video job from PACKAGING to READY and charge its price.

- p_job_id: the job.
- p_output_url: where the video is, at most 8 KiB; NULL leaves it unchanged.
- p_manifest: what the video was made of, JSON of at most 1 MiB; NULL leaves it unchanged.
- p_final_cost: credits to charge, 0 or more and at most the hold. NULL charges jobs.cost_credits_final where
  it is set, else the hold.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.

A late retry with the same address and price returns the same job; with others it is refused.
Returns the job.
Callers: services only.
Errors: 22004 p_job_id is NULL; 22023 p_final_cost is negative, or a value is too large; PT404 no such job;
PT409 the price is above the hold, the lease is lost or missing, or the job was completed differently; 23514
illegal transition.';

CREATE FUNCTION @extschema@.fail_job(
    p_job_id uuid, p_error_code text DEFAULT NULL, p_error_message text DEFAULT NULL, p_failed_step text DEFAULT NULL,
    p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL, p_retry_in interval DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'fail_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.fail_job(uuid, text, text, text, boolean, uuid, interval) IS
'Move a video job to FAILED and release its hold, or queue a retry.

- p_job_id: the job.
- p_error_code: why, for programs; at most 2048 characters.
- p_error_message: why, for people; cut to 64 KiB.
- p_failed_step: the step, at most 2048 characters.
- p_retryable: true queues the job for a retry as long as attempts are left (max_attempts of the job, or the
  setting). This takes a lease.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.
- p_retry_in: when a retry is due, 0 seconds to 366 days from now, for an outage whose end is foreseen; NULL: after
  a delay.

The delay of a retry is a random time up to retry_base_seconds, doubled with every attempt, at most
retry_cap_seconds (settings): exponential backoff with full jitter.
A job that has failed keeps its first error. Returns the job.
Callers: services only.
Errors: 22004 p_job_id is NULL; 22023 p_retryable without a lease, or a value is out of bounds; PT404 no such
job; PT409 the lease is lost or missing; 23514 the job is READY.';

CREATE FUNCTION @extschema@.cancel_job(p_job_id uuid, p_reason text DEFAULT NULL) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'cancel_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.cancel_job(uuid, text) IS
'Cancel a video job and release its hold.

The job becomes FAILED with error_code CANCELLED. Where a worker holds the job, its next heartbeat tells it,
and the job ends when the worker fails it or its lease ends; until then the result has cancel_requested true.
A job that is completed first stays READY, and one that has failed or was cancelled stays as it is.

- p_job_id: the job.
- p_reason: at most 1000 characters.

Returns the job.
Callers: the owner of the job, or a service.
Errors: 22004 p_job_id is NULL; 22023 p_reason is too long; 42501 not a job of the caller; PT404 no such job;
23514 the job is READY.';

CREATE FUNCTION @extschema@.retry_job(p_job_id uuid) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'retry_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.retry_job(uuid) IS
'Queue a FAILED video job again, with a new hold.

The new hold takes the credits that the last one took. The steps start over. A job that is QUEUED stays as it
is.

- p_job_id: the job.

Returns the job.
Callers: the owner of the job, or a service.
Errors: 22004 p_job_id is NULL; 42501 not a job of the caller; PT404 no such job; 23514 the job did not fail;
PT402 not enough credits; PT429 too many active jobs (setting max_active_jobs).';

CREATE FUNCTION @extschema@.record_asset(
    p_job_id uuid, p_type text, p_url text, p_storage_path text, p_size_bytes bigint DEFAULT NULL,
    p_mime_type text DEFAULT NULL, p_metadata jsonb DEFAULT NULL, p_lease_token uuid DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'record_asset'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.record_asset(uuid, text, text, text, bigint, text, jsonb, uuid) IS
'Record a file that a video job produced.

A retry with the same job, type and storage path updates the same row.

- p_job_id: the job.
- p_type: video, audio, image, captions, manifest or zip.
- p_url: where the file can be fetched, at most 8 KiB.
- p_storage_path: where it lies in the object store, at most 8 KiB.
- p_size_bytes: 0 or more.
- p_mime_type: media type, at most 8 KiB.
- p_metadata: further facts, JSON of at most 256 KiB; NULL is {}.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the job.

Returns the id of the asset.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 unknown type, negative size, or a value is too large; PT404
no such job; PT409 the lease is lost or missing, or the job is to be cancelled.';

CREATE FUNCTION @extschema@.log_job(
    p_job_id uuid, p_level text, p_message text, p_step_name text DEFAULT NULL, p_metadata jsonb DEFAULT NULL,
    p_lease_token uuid DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'log_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.log_job(uuid, text, text, text, jsonb, uuid) IS
'Write a line to the log of a video job.

- p_job_id: the job.
- p_level: debug (hidden from users), info, warn or error.
- p_message: the text, at most 64 KiB.
- p_step_name: the step that reports, at most 8 KiB.
- p_metadata: facts that belong to it, JSON of at most 256 KiB; NULL is {}.
- p_lease_token: optional; a worker that passes it cannot write after it lost its lease.

Returns the id of the line.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 unknown level, or a value is too large; PT404 no such job;
PT409 the lease is lost.';

CREATE FUNCTION @extschema@.get_dashboard(p_user_id uuid DEFAULT NULL, p_limit integer DEFAULT 20) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_dashboard'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_dashboard(uuid, integer) IS
'Returns the newest projects of a user, each with its newest job.

- p_user_id: the user; NULL is the caller. A service must name one.
- p_limit: at most how many projects, 1 to 100.

The result is a JSON array, newest project first, with status, progress and job of the newest job. Texts are
cut after 1000 characters, and other values of more than 1000 bytes are null. Where that happens, truncated is
an array of their names, with "job." in front of those of the job.
Callers: the user, or a service.
Errors: 22004 a service named no user, or p_limit is NULL; 22023 p_limit is out of bounds; 42501 not the
caller.';
