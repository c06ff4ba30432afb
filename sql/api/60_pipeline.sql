-- The pipeline: what bots, their users and pollers call.
-- Pitfall: C knows no schemas, so the C functions are called pipeline_... where
-- the video system has one of the same name.

CREATE FUNCTION studio_engine.guard_run() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'guard_run'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.guard_run() IS
'Maintain last_event_seq and updated_at of a run.

Trigger, BEFORE INSERT OR UPDATE on pipeline.jobs. What a statement writes to last_event_seq is ignored;
updated_at is the time of the transaction.';

CREATE FUNCTION studio_engine.record_transition() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'record_transition'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.record_transition() IS
'Write the event of a new run or of a changed status.

Trigger, AFTER INSERT OR UPDATE on pipeline.jobs.';

CREATE FUNCTION studio_engine.pass_owner_on() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pass_owner_on'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.pass_owner_on() IS
'Propagate a new owner of a run to its events and artifacts.

Trigger, AFTER UPDATE on pipeline.jobs.';

CREATE FUNCTION studio_engine.enter_event() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'enter_event'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.enter_event() IS
'Number a new event, and take its owner from the run.

Trigger, BEFORE INSERT on pipeline.job_events. It works under the lock of the run.';

CREATE FUNCTION studio_engine.count_event() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'count_event'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_event() IS
'Record the number of the last event in its run.

Trigger, AFTER INSERT on pipeline.job_events.';

CREATE FUNCTION studio_engine.forbid_event_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'forbid_event_change'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.forbid_event_change() IS
'Forbid changes of the run, number and time of an event.

Trigger, BEFORE UPDATE on pipeline.job_events (0A000). The owner stays that of the run.';

CREATE FUNCTION studio_engine.enter_artifact() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'enter_artifact'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.enter_artifact() IS
'Take the owner of a new artifact from its run.

Trigger, BEFORE INSERT on pipeline.artifacts. It works under the lock of the run.';

CREATE FUNCTION studio_engine.forbid_artifact_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'forbid_artifact_change'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.forbid_artifact_change() IS
'Forbid changes of the run of an artifact.

Trigger, BEFORE UPDATE on pipeline.artifacts (0A000). The owner stays that of the run.';

CREATE FUNCTION pipeline.create_job(p_run_id text, p_project_spec jsonb, p_owner_id uuid DEFAULT NULL) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_create_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.create_job(text, jsonb, uuid) IS
'Create a run of the pipeline, in status pending.

- p_run_id: 1 to 255 characters; NULL generates one.
- p_project_spec: JSON of at most 1 MiB, both as stored and as text, with at most 64 levels and numbers of at
  most 400 digits.
- p_owner_id: the user; NULL is the caller, and no user where a service calls.

A retry with the same p_run_id, owner and content returns the run as it is now.
Returns the run.
Callers: a user for himself, or a service.
Errors: 22004 p_project_spec is NULL; 22023 a value is out of bounds; 42501 the owner is another user, or the
run is another user''s; PT404 no such user; PT409 the run exists with other content or, for a service, with
another owner (NULL is one of them); PT429 too many active runs of the user (setting max_active_runs).';

CREATE FUNCTION pipeline.get_job(p_run_id text) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'pipeline_get_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.get_job(text) IS
'Returns a run with all its columns.

- p_run_id: the run, 1 to 255 characters.

Callers: the owner of the run, or a service.
Errors: 22004 p_run_id is NULL; 22023 p_run_id is out of bounds; 42501 not a run of the caller; PT404 no such
run.';

CREATE FUNCTION pipeline.set_job_status(p_run_id text, p_status text, p_error_message text DEFAULT NULL) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_set_job_status'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.set_job_status(text, text, text) IS
'Move a run to another status, and write the event of it.

A run that has the status already stays as it is, with its first error message.

- p_run_id: the run, 1 to 255 characters.
- p_status: pending, running, completed, failed or cancelled; workflow_transitions() lists what may follow.
- p_error_message: why it failed, cut to 64 KiB; NULL leaves it unchanged.

Returns the run.
Callers: services only.
Errors: 22004 p_run_id or p_status is NULL; 22023 unknown status, or p_run_id is out of bounds; PT404 no such
run; 23514 illegal transition.';

CREATE FUNCTION pipeline.cancel_job(p_run_id text) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_cancel_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.cancel_job(text) IS
'Cancel a run that is pending or running.

A run that is cancelled stays as it is.

- p_run_id: the run, 1 to 255 characters.

Returns the run.
Callers: the owner of the run, or a service.
Errors: 22004 p_run_id is NULL; 22023 p_run_id is out of bounds; 42501 not a run of the caller; PT404 no such
run; 23514 the run completed or failed.';

CREATE FUNCTION pipeline.retry_job(p_run_id text) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_retry_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.retry_job(text) IS
'Move a failed run back to pending.

Its times and its error message are cleared. A run that is pending stays as it is.

- p_run_id: the run, 1 to 255 characters.

Returns the run.
Callers: the owner of the run, or a service.
Errors: 22004 p_run_id is NULL; 22023 p_run_id is out of bounds; 42501 not a run of the caller; PT404 no such
run; 23514 the run did not fail; PT429 too many active runs of the user (setting max_active_runs).';

CREATE FUNCTION pipeline.record_event(
    p_run_id text, p_bot_name text, p_event_type text, p_payload jsonb DEFAULT '{}')
  RETURNS bigint
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_record_event'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.record_event(text, text, text, jsonb) IS
'Write an event of a run.

The status of the run does not matter.

- p_run_id: the run, 1 to 255 characters.
- p_bot_name: who reports, 1 to 255 characters.
- p_event_type: what it reports, 1 to 255 characters.
- p_payload: JSON of at most 1 MiB, with at most 64 levels and numbers of at most 400 digits; NULL is {}.

Returns the number of the event in its run: 1, 2, 3 and so on, in the order in which events become visible.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 a value is out of bounds; PT404 no such run.';

CREATE FUNCTION pipeline.events_since(
    p_run_id text, p_after bigint DEFAULT 0, p_limit integer DEFAULT 100)
  RETURNS TABLE (id uuid, run_id text, bot_name text, event_type text, payload jsonb, owner_id uuid,
    created_at timestamptz, seq bigint)
  LANGUAGE c STABLE ROWS 100 AS 'MODULE_PATHNAME', 'pipeline_events_since'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.events_since(text, bigint, integer) IS
'Returns the events of a run that follow a given one, in their order.

- p_run_id: the run, 1 to 255 characters.
- p_after: the number (seq) of an event, 0 or more. A client that passes the last seq it got misses none.
- p_limit: at most how many, 1 to 1000.

No more events are returned once they take 8 MiB. So fewer than p_limit do not mean the end of the events;
none does.
Callers: the owner of the run, or a service.
Errors: 22004 an argument is NULL; 22023 a value is out of bounds; 42501 not a run of the caller; PT404 no
such run.';

CREATE FUNCTION pipeline.register_artifact(
    p_run_id text, p_kind text, p_url text, p_meta jsonb DEFAULT '{}', p_file_size bigint DEFAULT NULL,
    p_content_type text DEFAULT NULL, p_checksum text DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_register_artifact'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.register_artifact(text, text, text, jsonb, bigint, text, text) IS
'Register a file that a run produced.

A retry with the same run, kind and checksum, or without a checksum the same run, kind and address, updates
the same row: the address, the size and the type where they are given, and the new keys of p_meta.

- p_run_id: the run, 1 to 255 characters.
- p_kind: 1 to 100 characters.
- p_url: the address, 1 to 1000000 characters.
- p_meta: a JSON object of at most 1 MiB, with at most 64 levels and numbers of at most 400 digits; NULL is
  {}.
- p_file_size: bytes, 0 or more.
- p_content_type: 1 to 255 characters.
- p_checksum: 1 to 255 characters.

Returns the id of the artifact.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 a value is out of bounds; PT404 no such run.';

CREATE FUNCTION pipeline.upsert_prompt(p_id text, p_category text, p_context text, p_prompt_text text) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_upsert_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.upsert_prompt(text, text, text, text) IS
'Create a prompt, or replace the one with the same id.

The same content again changes nothing.

- p_id: 1 to 255 characters.
- p_category: 1 to 255 characters.
- p_context: 1 to 1000000 characters.
- p_prompt_text: 1 to 1000000 characters.

Returns the prompt.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 a value is out of bounds.';

CREATE FUNCTION pipeline.get_prompt(p_id text) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'pipeline_get_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.get_prompt(text) IS
'Returns a prompt with all its columns.

- p_id: the prompt, 1 to 255 characters.

Callers: signed-in users and services.
Errors: 22004 p_id is NULL; 22023 p_id is out of bounds; no such prompt: 42501 for users, PT404 for services.';

CREATE FUNCTION pipeline.delete_old_events(p_older_than interval, p_limit integer DEFAULT 1000) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_delete_old_events'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.delete_old_events(interval, integer) IS
'Delete old events of runs that have ended.

The numbers of deleted events are not used again.

- p_older_than: minimum age of the events, more than 0 and at most 1000 years.
- p_limit: at most how many, 1 to 100000, the oldest first.

Returns the number of events deleted; call it until that is less than p_limit.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 a value is out of bounds.';
