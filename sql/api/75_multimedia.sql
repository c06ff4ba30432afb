-- Multimedia: sessions, files, narrations, slides, scripts, views, rendering.
-- Pitfall: a call that is repeated after a lost response registers a file again;
-- calls that only set a status or a value may be repeated.

CREATE FUNCTION studio_engine.protect_session_counters() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'protect_session_counters'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.protect_session_counters() IS
'Maintain the counters of a session.

Trigger, BEFORE INSERT OR UPDATE on mm_multimedia_sessions. They have the values that count_assets() gives
them; what a statement writes there is ignored.';

CREATE FUNCTION studio_engine.count_assets() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'count_assets'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_assets() IS
'Count new and deleted assets into the counters of their sessions.

Trigger, AFTER each statement on mm_multimedia_assets, with transition tables. The sessions are locked in the
order of their ids.';

CREATE FUNCTION studio_engine.forbid_delete_of_leased_renderings() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'forbid_delete_of_leased_renderings'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.forbid_delete_of_leased_renderings() IS
'Forbid users to delete what a renderer works on.

Trigger, BEFORE DELETE on mm_multimedia_sessions, cm_module_content and companies. Its argument is session,
content or company. It binds users whom the owner of the data lets delete these: they are refused (PT409)
while a renderer works on one of their renderings.';

CREATE FUNCTION @extschema@.create_multimedia_session(
    p_content_id uuid, p_module_name text DEFAULT NULL, p_employee_name text DEFAULT NULL,
    p_session_type text DEFAULT 'full_generation', p_generation_config jsonb DEFAULT '{}',
    p_content_sections text[] DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_multimedia_session'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_multimedia_session(uuid, text, text, text, jsonb, text[]) IS
'Start a multimedia session for a module.

The session belongs to the company of the module.

- p_content_id: the module.
- p_module_name: at most 1000 characters; NULL: that of the module.
- p_employee_name: at most 1000 characters; NULL: that of the module.
- p_session_type: 1 to 1000 characters.
- p_generation_config: JSON of at most 256 KiB; NULL is {}.
- p_content_sections: names of the sections to generate; empty for all.

Returns the id of the session.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 unknown section, or a value is out of bounds; PT404 no such
module.';

CREATE FUNCTION @extschema@.update_session_status(
    p_session_id uuid, p_status text, p_progress_percentage numeric DEFAULT NULL,
    p_current_stage text DEFAULT NULL, p_error_message text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_session_status'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_session_status(uuid, text, numeric, text, text) IS
'Move a multimedia session to another status, or record its progress.

completed sets progress 100, completed_at and processing_duration_seconds; failed to started begins a new
attempt. NULL leaves a value unchanged.

- p_session_id: the session.
- p_status: started, processing, completed or failed; workflow_transitions() lists what may follow.
- p_progress_percentage: 0 to 100; it never goes back within an attempt.
- p_current_stage: at most 1000 characters.
- p_error_message: at most 64 KiB.

Returns the session.
Callers: services only.
Errors: 22004 p_session_id or p_status is NULL; 22023 unknown status, or a value is out of bounds; PT404 no
such session; 23514 illegal transition.';

CREATE FUNCTION @extschema@.register_multimedia_asset(
    p_session_id uuid, p_content_id uuid, p_asset_type text, p_file_path text, p_asset_name text DEFAULT NULL,
    p_section_name text DEFAULT NULL, p_duration_seconds numeric DEFAULT NULL,
    p_file_size_bytes bigint DEFAULT NULL, p_mime_type text DEFAULT NULL,
    p_generation_config jsonb DEFAULT '{}', p_storage_bucket text DEFAULT 'multimedia-assets',
    p_storage_path text DEFAULT NULL, p_public_url text DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'register_multimedia_asset'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.register_multimedia_asset(uuid, uuid, text, text, text, text, numeric, bigint, text, jsonb, text, text, text) IS
'Register a file of a multimedia session.

Each call creates a new asset, a late retry too.

- p_session_id: the session.
- p_content_id: the content of the session; NULL is that too.
- p_asset_type: video, audio, slide, script, thumbnail, image or document.
- p_file_path: 1 to 4096 characters.
- p_asset_name: 1 to 1000 characters; NULL: the file name in p_file_path.
- p_section_name: 1 to 1000 characters, or NULL.
- p_duration_seconds: 0 to 1000000000, or NULL.
- p_file_size_bytes: 0 or more, or NULL.
- p_mime_type: 1 to 1000 characters, or NULL.
- p_generation_config: a JSON object of at most 256 KiB; NULL is {}.
- p_storage_bucket: 1 to 1000 characters, not dots only, without slashes, backslashes, % and control
  characters; NULL is multimedia-assets.
- p_storage_path: a relative path of 1 to 4096 characters whose parts are not empty and not dots only, without
  backslashes, % and control characters. NULL: type/section/time_filename, with complete_module where there is
  no section and _ for characters that are not safe.
- p_public_url: 1 to 4096 characters, or NULL.

Returns the id of the asset.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 unknown type, or a value is out of bounds; PT404 no such
session; PT409 the content is not that of the session.';

CREATE FUNCTION @extschema@.register_multimedia_assets(p_session_id uuid, p_assets jsonb)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'register_multimedia_assets'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.register_multimedia_assets(uuid, jsonb) IS
'Register many files of a multimedia session at once.

All of them are checked and registered, or none.

- p_session_id: the session.
- p_assets: a JSON array of 1 to 10000 objects, whose members are the arguments of register_multimedia_asset()
  without p_, under the same rules.

Returns the ids as a JSON array in the same order.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 p_assets is out of bounds, and DETAIL says which element, from 1, is
wrong and why, content that is not that of the session included; PT404 no such session.';

CREATE FUNCTION @extschema@.get_session_statistics(p_session_id uuid)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_session_statistics'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_session_statistics(uuid) IS
'Returns figures about a multimedia session.

- p_session_id: the session.

The result is a JSON object: status, progress, seconds, assets by type and status with bytes and seconds,
narrations, presentations, scripts and renderings.
Callers: services, and users of its company.
Errors: 22004 p_session_id is NULL; 42501 not of a company of the caller; PT404 no such session.';

CREATE FUNCTION @extschema@.create_audio_narration(
    p_session_id uuid, p_narration_name text DEFAULT NULL, p_narration_type text DEFAULT 'full_module',
    p_section_name text DEFAULT NULL, p_script_content text DEFAULT NULL, p_voice_config jsonb DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_audio_narration'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_audio_narration(uuid, text, text, text, text, jsonb) IS
'Create a narration of a multimedia session, in status pending.

- p_session_id: the session.
- p_narration_name: at most 1000 characters.
- p_narration_type: 1 to 1000 characters.
- p_section_name: at most 1000 characters.
- p_script_content: the text, at most 1 MiB.
- p_voice_config: JSON of at most 256 KiB; NULL is {}.

Returns the id of the narration.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 a value is out of bounds; PT404 no such session.';

CREATE FUNCTION @extschema@.update_audio_narration(
    p_narration_id uuid, p_status text DEFAULT NULL, p_total_duration_seconds numeric DEFAULT NULL,
    p_audio_segments jsonb DEFAULT NULL, p_master_audio_id uuid DEFAULT NULL,
    p_segments_audio_ids uuid[] DEFAULT NULL, p_script_content text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_audio_narration'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_audio_narration(uuid, text, numeric, jsonb, uuid, uuid[], text) IS
'Move a narration to another status, and record its files.

NULL leaves a value unchanged. completed sets synthesis_completed.

- p_narration_id: the narration.
- p_status: pending, synthesizing, completed or failed; workflow_transitions() lists what may follow.
- p_total_duration_seconds: 0 to 1000000000.
- p_audio_segments: JSON of at most 1 MiB.
- p_master_audio_id: an audio asset of the session.
- p_segments_audio_ids: audio assets of the session.
- p_script_content: the text, at most 1 MiB.

Returns the narration.
Callers: services only.
Errors: 22004 p_narration_id is NULL; 22023 unknown status, a file that is no audio asset of the session, or a
value is out of bounds; PT404 no such narration; 23514 illegal transition.';

CREATE FUNCTION @extschema@.create_slide_presentation(
    p_session_id uuid, p_presentation_name text DEFAULT NULL, p_presentation_type text DEFAULT 'full_module',
    p_total_slides integer DEFAULT 0, p_slide_order jsonb DEFAULT '[]', p_template_used text DEFAULT NULL,
    p_theme_config jsonb DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_slide_presentation'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_slide_presentation(uuid, text, text, integer, jsonb, text, jsonb) IS
'Create a slide deck of a multimedia session, in status draft.

- p_session_id: the session.
- p_presentation_name: at most 1000 characters.
- p_presentation_type: 1 to 1000 characters.
- p_total_slides: 0 to 100000.
- p_slide_order: JSON of at most 1 MiB; NULL is [].
- p_template_used: at most 1000 characters.
- p_theme_config: JSON of at most 256 KiB; NULL is {}.

Returns the id of the deck.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 a value is out of bounds; PT404 no such session.';

CREATE FUNCTION @extschema@.update_slide_presentation(
    p_presentation_id uuid, p_status text DEFAULT NULL, p_total_slides integer DEFAULT NULL,
    p_slide_order jsonb DEFAULT NULL, p_pdf_asset_id uuid DEFAULT NULL, p_pptx_asset_id uuid DEFAULT NULL,
    p_html_asset_id uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_slide_presentation'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_slide_presentation(uuid, text, integer, jsonb, uuid, uuid, uuid) IS
'Move a slide deck to another status, and record its exports.

NULL leaves a value unchanged. An exported file sets the flag of its format.

- p_presentation_id: the deck.
- p_status: draft, generating, completed or failed; workflow_transitions() lists what may follow.
- p_total_slides: 0 to 100000.
- p_slide_order: JSON of at most 1 MiB.
- p_pdf_asset_id, p_pptx_asset_id, p_html_asset_id: assets of the session.

Returns the deck.
Callers: services only.
Errors: 22004 p_presentation_id is NULL; 22023 unknown status, a file that is no asset of the session, or a
value is out of bounds; PT404 no such deck; 23514 illegal transition.';

CREATE FUNCTION @extschema@.create_script_generation(
    p_session_id uuid, p_section_name text DEFAULT NULL, p_script_type text DEFAULT 'narration',
    p_generation_config jsonb DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_script_generation'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_script_generation(uuid, text, text, jsonb) IS
'Create a script of a multimedia session, in status pending.

The script is written later, see update_script_generation().

- p_session_id: the session.
- p_section_name: at most 1000 characters.
- p_script_type: 1 to 1000 characters.
- p_generation_config: JSON of at most 256 KiB; NULL is {}.

Returns the id of the script.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 a value is out of bounds; PT404 no such session.';

CREATE FUNCTION @extschema@.update_script_generation(
    p_script_id uuid, p_status text DEFAULT NULL, p_script_content text DEFAULT NULL,
    p_error_message text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_script_generation'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_script_generation(uuid, text, text, text) IS
'Move a script to another status, and store its text.

NULL leaves a value unchanged. The words of the text are counted.

- p_script_id: the script.
- p_status: pending, generating, completed or failed; workflow_transitions() lists what may follow.
- p_script_content: the text, at most 1 MiB.
- p_error_message: at most 64 KiB.

Returns the script.
Callers: services only.
Errors: 22004 p_script_id is NULL; 22023 unknown status, or a value is too large; PT404 no such script; 23514
illegal transition.';

CREATE FUNCTION @extschema@.record_video_view(
    p_asset_id uuid, p_watch_seconds numeric DEFAULT 0, p_completed boolean DEFAULT false)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'record_video_view'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.record_video_view(uuid, numeric, boolean) IS
'Count a view of an asset on this day, in UTC.

- p_asset_id: the asset.
- p_watch_seconds: seconds watched, 0 to 1000000000.
- p_completed: true if it was watched to the end.

Returns the row of the day.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 p_watch_seconds is out of bounds; PT404 no such asset.';

CREATE FUNCTION @extschema@.enqueue_rendering(
    p_session_id uuid, p_render_config jsonb DEFAULT '{}', p_priority integer DEFAULT 0,
    p_user_id uuid DEFAULT NULL, p_run_at timestamptz DEFAULT NULL, p_idempotency_key text DEFAULT NULL,
    p_max_attempts integer DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'enqueue_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.enqueue_rendering(uuid, jsonb, integer, uuid, timestamptz, text, integer) IS
'Queue the rendering of a video of a multimedia session.

- p_session_id: the session.
- p_render_config: JSON of at most 256 KiB; NULL is {}.
- p_priority: any integer, the higher the sooner.
- p_user_id: the user who asked for it, or NULL.
- p_run_at: the rendering waits until then, at most 366 days; NULL or a time that has passed: it waits for a worker at once.
- p_idempotency_key: 1 to 200 characters. Another call with the same key for the same company returns the first rendering,
  whatever its status, and makes nothing. It has to be the same call: p_session_id, p_render_config and p_user_id.
- p_max_attempts: how often the rendering is tried, 1 to 1000; NULL: setting max_attempts.

Returns the id of the rendering, which is in status queued.
Callers: services only.
Errors: 22004 p_session_id or p_priority is NULL; 22023 a value is out of bounds; PT404 no such session or
user; PT409 the key was used for something else.';

CREATE FUNCTION @extschema@.update_rendering(
    p_render_id uuid, p_status text, p_progress integer DEFAULT NULL, p_lease_token uuid DEFAULT NULL,
    p_hand_over boolean DEFAULT false)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_rendering(uuid, text, integer, uuid, boolean) IS
'Move a rendering to another status, or record its progress.

- p_render_id: the rendering.
- p_status: a status that workflow_transitions() allows next, or the one that it has.
- p_progress: 0 to 100; it never goes back within an attempt.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the rendering.
- p_hand_over: true ends the lease with the call, so that another worker claims the rendering at its next stage, with
  attempts counted from 1. A late retry returns the same rendering.

Returns the rendering.
Callers: services only.
Errors: 22004 p_render_id, p_status or p_hand_over is NULL; 22023 unknown status, or p_progress is out of bounds; PT404 no
such rendering; PT409 the lease is lost or missing, or the rendering is to be cancelled; 23514 illegal
transition.';

CREATE FUNCTION @extschema@.complete_rendering(p_render_id uuid, p_asset_id uuid DEFAULT NULL, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'complete_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.complete_rendering(uuid, uuid, uuid) IS
'Move a rendering to completed, and record its file.

A late retry with the same file returns the same rendering; with another it is refused.

- p_render_id: the rendering.
- p_asset_id: the file that was made, an asset of the session; NULL leaves it unchanged.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the rendering.

Returns the rendering.
Callers: services only.
Errors: 22004 p_render_id is NULL; 22023 the file is not one of the session; PT404 no such rendering; PT409
the lease is lost or missing, or another file was recorded; 23514 illegal transition.';

CREATE FUNCTION @extschema@.fail_rendering(p_render_id uuid, p_error_code text DEFAULT NULL, p_error_message text DEFAULT NULL,
    p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL, p_retry_in interval DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'fail_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.fail_rendering(uuid, text, text, boolean, uuid, interval) IS
'Move a rendering to failed, or queue a retry.

- p_render_id: the rendering.
- p_error_code: why, for programs; at most 2048 characters.
- p_error_message: why, for people; cut to 64 KiB.
- p_retryable: true queues the rendering for a retry after a delay, as by fail_job(), as long as attempts are
  left. This takes a lease.
- p_lease_token: the token that claim_jobs() returned; NULL where no worker holds the rendering.
- p_retry_in: when a retry is due, 0 seconds to 366 days from now; NULL: after a delay as by fail_job().

A rendering that has failed keeps its first error. Returns the rendering.
Callers: services only.
Errors: 22004 p_render_id is NULL; 22023 p_retryable without a lease, or a value is out of bounds; PT404 no
such rendering; PT409 the lease is lost or missing; 23514 the rendering is completed.';

CREATE FUNCTION @extschema@.cancel_rendering(p_render_id uuid, p_reason text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'cancel_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.cancel_rendering(uuid, text) IS
'Cancel a rendering.

The rendering becomes cancelled; where a worker holds it, that happens as by cancel_job().

- p_render_id: the rendering.
- p_reason: at most 1000 characters.

Returns the rendering.
Callers: services only.
Errors: 22004 p_render_id is NULL; 22023 p_reason is too long; PT404 no such rendering; 23514 the rendering is
completed.';

CREATE FUNCTION @extschema@.retry_rendering(p_render_id uuid)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'retry_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.retry_rendering(uuid) IS
'Move a failed rendering back to queued.

It goes to the end of the queue and is counted in retry_count. A rendering that is queued stays as it is.

- p_render_id: the rendering.

Returns the rendering.
Callers: services only.
Errors: 22004 p_render_id is NULL; PT404 no such rendering; 23514 the rendering did not fail.';
