-- The pipeline: what bots, their users and pollers call.
-- Pitfall: C knows no schemas, so the C functions are called pipeline_... where
-- the video system has one of the same name.

CREATE FUNCTION studio_engine.guard_run() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'guard_run'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.guard_run() IS
'Trigger, BEFORE INSERT OR UPDATE on pipeline.jobs: last_event_seq is ours whatever is written, and updated_at is the time of the transaction.';

CREATE FUNCTION studio_engine.record_transition() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'record_transition'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.record_transition() IS
'Trigger, AFTER INSERT OR UPDATE on pipeline.jobs: writes the event of a new run and of a changed status.';

CREATE FUNCTION studio_engine.pass_owner_on() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pass_owner_on'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.pass_owner_on() IS
'Trigger, AFTER UPDATE on pipeline.jobs: events and artifacts get the new owner of their run.';

CREATE FUNCTION studio_engine.enter_event() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'enter_event'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.enter_event() IS
'Trigger, BEFORE INSERT on pipeline.job_events: numbers the event under the lock of its run, and takes the owner from there.';

CREATE FUNCTION studio_engine.count_event() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'count_event'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_event() IS
'Trigger, AFTER INSERT on pipeline.job_events: the run remembers the number of its last event.';

CREATE FUNCTION studio_engine.keep_event() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_event'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.keep_event() IS
'Trigger, BEFORE UPDATE on pipeline.job_events: run, number and time of an event do not change (0A000), and the owner is that of the run.';

CREATE FUNCTION studio_engine.enter_artifact() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'enter_artifact'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.enter_artifact() IS
'Trigger, BEFORE INSERT on pipeline.artifacts: takes the owner from the run, under its lock.';

CREATE FUNCTION studio_engine.keep_artifact() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_artifact'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.keep_artifact() IS
'Trigger, BEFORE UPDATE on pipeline.artifacts: the run of an artifact does not change (0A000), and the owner is that of the run.';

CREATE FUNCTION pipeline.create_job(p_run_id text, p_project_spec jsonb, p_owner_id uuid DEFAULT NULL) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_create_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.create_job(text, jsonb, uuid) IS
'Makes a run, pending. p_run_id: 1 to 255 characters, NULL makes one up; p_project_spec: at most 1 MB, as it is stored and as it is shown, 64 levels and numbers of 400 digits; p_owner_id: NULL is the caller, for a service nobody. The same p_run_id, owner and content again: the run as it is now. Returns the run. A user for himself, or a service; 22004, 22023, 42501 for somebody else or a run of somebody else, PT404 no such user, PT409 the run is there with other content or, for a service, another owner (NULL is one of them), PT429 a user has too many active runs (setting max_active_runs).';

CREATE FUNCTION pipeline.get_job(p_run_id text) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'pipeline_get_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.get_job(text) IS
'The run, with all columns. Its owner or a service; 22004, 22023, 42501 not yours, PT404.';

CREATE FUNCTION pipeline.set_job_status(p_run_id text, p_status text, p_error_message text DEFAULT NULL) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_set_job_status'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.set_job_status(text, text, text) IS
'Moves a run to p_status (pending, running, completed, failed, cancelled) along workflow_transitions(), and writes the event of it. A run that is there already stays as it is, with its first p_error_message; NULL leaves that as it is, and a long one is cut to 64 kB. Returns the run. Services only; 22004, 22023 unknown status, PT404, 23514 illegal transition.';

CREATE FUNCTION pipeline.cancel_job(p_run_id text) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_cancel_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.cancel_job(text) IS
'Cancels a run that is pending or running; one that is cancelled stays as it is. Returns the run. Its owner or a service; 22004, 22023, 42501 not yours, PT404, 23514 the run completed or failed.';

CREATE FUNCTION pipeline.retry_job(p_run_id text) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_retry_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.retry_job(text) IS
'Makes a failed run pending again, without its times and its error message; one that is pending stays as it is. Returns the run. Its owner or a service; 22004, 22023, 42501 not yours, PT404, 23514 the run did not fail, PT429 a user has too many active runs.';

CREATE FUNCTION pipeline.record_event(
    p_run_id text, p_bot_name text, p_event_type text, p_payload jsonb DEFAULT '{}')
  RETURNS bigint
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_record_event'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.record_event(text, text, text, jsonb) IS
'Writes an event of a run, whatever its status. p_bot_name, p_event_type: 1 to 255 characters; p_payload: at most 1 MB, 64 levels and numbers of 400 digits, NULL is {}. Returns its number in the run: 1, 2, 3 and so on, in the order in which events become visible. Services only; 22004, 22023, PT404.';

CREATE FUNCTION pipeline.events_since(
    p_run_id text, p_after bigint DEFAULT 0, p_limit integer DEFAULT 100)
  RETURNS TABLE (id uuid, run_id text, bot_name text, event_type text, payload jsonb, owner_id uuid,
    created_at timestamptz, seq bigint)
  LANGUAGE c STABLE ROWS 100 AS 'MODULE_PATHNAME', 'pipeline_events_since'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.events_since(text, bigint, integer) IS
'The events of a run with numbers above p_after (0 or more), in their order, at most p_limit (1 to 1000), and none after those that take 8 MB: fewer than p_limit do not mean that there are no more, none does. Who passes the last seq that he got misses none. The owner of the run or a service; 22004, 22023, 42501 not yours, PT404.';

CREATE FUNCTION pipeline.register_artifact(
    p_run_id text, p_kind text, p_url text, p_meta jsonb DEFAULT '{}', p_file_size bigint DEFAULT NULL,
    p_content_type text DEFAULT NULL, p_checksum text DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_register_artifact'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.register_artifact(text, text, text, jsonb, bigint, text, text) IS
'Registers a file of a run. p_kind: 1 to 100 characters; p_url: 1 to 1000000; p_meta: a JSON object of at most 1 MB, 64 levels and numbers of 400 digits, NULL is {}; p_file_size in bytes; p_content_type, p_checksum: 1 to 255 characters. The same run, kind and checksum again, or without a checksum the same run, kind and address: the same row, with the new address, size and type where they are given and the new keys of p_meta. Returns its id. Services only; 22004, 22023, PT404.';

CREATE FUNCTION pipeline.upsert_prompt(p_id text, p_category text, p_context text, p_prompt_text text) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_upsert_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.upsert_prompt(text, text, text, text) IS
'Makes a prompt or replaces the one of this p_id; the same text again changes nothing. p_id, p_category: 1 to 255 characters; p_context, p_prompt_text: 1 to 1000000. Returns the prompt. Services only; 22004, 22023.';

CREATE FUNCTION pipeline.get_prompt(p_id text) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'pipeline_get_prompt'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.get_prompt(text) IS
'The prompt of this id, with all columns. Signed-in users and services; 22004, 22023, of an unknown id 42501 for users and PT404 for services.';

CREATE FUNCTION pipeline.delete_old_events(p_older_than interval, p_limit integer DEFAULT 1000) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pipeline_delete_old_events'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION pipeline.delete_old_events(interval, integer) IS
'Deletes events that are older than p_older_than (more than nothing, at most 1000 years) and whose run has ended, the oldest first, at most p_limit (1 to 100000). Their numbers are not used again. Returns how many: call it until that is less than p_limit. Services only; 22004, 22023.';
