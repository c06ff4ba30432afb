-- Multimedia: sessions, files, narrations, slides, scripts, views, rendering.
-- Pitfall: a call that is repeated after a lost answer registers a file again;
-- what only sets a status or a value may be repeated.

CREATE FUNCTION studio_engine.keep_session_counters() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_session_counters'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.keep_session_counters() IS
'Trigger, BEFORE INSERT OR UPDATE on mm_multimedia_sessions: the counters are what count_assets() makes them, whatever a statement writes.';

CREATE FUNCTION studio_engine.count_assets() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'count_assets'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_assets() IS
'Trigger, AFTER each statement on mm_multimedia_assets, with transition tables: adds to and takes from the counters of the sessions concerned, which it locks in the order of their ids.';

CREATE FUNCTION studio_engine.keep_renderings() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_renderings'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.keep_renderings() IS
'Trigger, BEFORE DELETE on mm_multimedia_sessions, cm_module_content and companies: a user whom the owner lets delete these is refused while a renderer works on one of their renderings (PT409). The argument is session, content or company.';

CREATE FUNCTION @extschema@.create_multimedia_session(
    p_content_id uuid, p_module_name text DEFAULT NULL, p_employee_name text DEFAULT NULL,
    p_session_type text DEFAULT 'full_generation', p_generation_config jsonb DEFAULT '{}',
    p_content_sections text[] DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_multimedia_session'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_multimedia_session(uuid, text, text, text, jsonb, text[]) IS
'Starts a multimedia session for a module, in its company. Names that are NULL are those of the module; p_content_sections: the sections to generate, empty for all. Returns its id. Services only; 22004, 22023 unknown section, PT404.';

CREATE FUNCTION @extschema@.update_session_status(
    p_session_id uuid, p_status text, p_progress_percentage numeric DEFAULT NULL,
    p_current_stage text DEFAULT NULL, p_error_message text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_session_status'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_session_status(uuid, text, numeric, text, text) IS
'Moves a session to p_status (started, processing, completed, failed) along workflow_transitions(), with progress in percent (never backwards within an attempt), stage and error; NULL leaves a value as it is. p_error_message may have 64 kB, p_current_stage 1000 characters. completed sets progress 100, completed_at and processing_duration_seconds; failed > started begins a new attempt. Returns the session. Services only; 22004, 22023, PT404, 23514 illegal transition.';

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
'Registers a file of a session. p_content_id: the content of the session, or NULL for it; p_asset_type: video, audio, slide, script, thumbnail, image or document; p_asset_name NULL: the file name in p_file_path; p_storage_path NULL: type/section/time_filename, with complete_module where there is no section and _ for characters that are not safe. Paths and p_public_url have up to 4096 characters, other texts 1 to 1000. A given p_storage_path is relative, its parts are not empty, not dots only, and like p_storage_bucket without control characters, backslashes and %. p_generation_config: a JSON object. Returns its id; each call makes a new one. Services only; 22004, 22023, PT404, PT409 the content is not that of the session.';

CREATE FUNCTION @extschema@.register_multimedia_assets(p_session_id uuid, p_assets jsonb)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'register_multimedia_assets'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.register_multimedia_assets(uuid, jsonb) IS
'Registers 1 to 10000 files of a session, or none: p_assets is a JSON array of objects with the arguments of register_multimedia_asset() without p_ as members, under the same rules; another content than that of the session is 22023 here. All of it is checked first; DETAIL says which element, from 1, is wrong and why. Returns the ids as a JSON array in the same order. Services only; 22004, 22023, PT404.';

CREATE FUNCTION @extschema@.get_session_statistics(p_session_id uuid)
  RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_session_statistics'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_session_statistics(uuid) IS
'Numbers of a session: status, progress, seconds, assets by type and status with bytes and seconds, narrations, presentations, scripts, renderings. Services, and users of its company; 22004, 42501 not of the caller''s companies, PT404.';

CREATE FUNCTION @extschema@.create_audio_narration(
    p_session_id uuid, p_narration_name text DEFAULT NULL, p_narration_type text DEFAULT 'full_module',
    p_section_name text DEFAULT NULL, p_script_content text DEFAULT NULL, p_voice_config jsonb DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_audio_narration'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_audio_narration(uuid, text, text, text, text, jsonb) IS
'Makes a narration of a session, in status pending. Returns its id. Names, types and session ids have up to 1000 characters. Services only; 22004, 22023, PT404.';

CREATE FUNCTION @extschema@.update_audio_narration(
    p_narration_id uuid, p_status text DEFAULT NULL, p_total_duration_seconds numeric DEFAULT NULL,
    p_audio_segments jsonb DEFAULT NULL, p_master_audio_id uuid DEFAULT NULL,
    p_segments_audio_ids uuid[] DEFAULT NULL, p_script_content text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_audio_narration'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_audio_narration(uuid, text, numeric, jsonb, uuid, uuid[], text) IS
'Moves a narration to p_status (pending, synthesizing, completed, failed) and sets what is not NULL; files must be audio assets of the session. p_script_content may have 1 MB. completed sets synthesis_completed. Returns the narration. Services only; 22004, 22023, PT404, 23514 illegal transition.';

CREATE FUNCTION @extschema@.create_slide_presentation(
    p_session_id uuid, p_presentation_name text DEFAULT NULL, p_presentation_type text DEFAULT 'full_module',
    p_total_slides integer DEFAULT 0, p_slide_order jsonb DEFAULT '[]', p_template_used text DEFAULT NULL,
    p_theme_config jsonb DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_slide_presentation'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_slide_presentation(uuid, text, text, integer, jsonb, text, jsonb) IS
'Makes a slide deck of a session, in status draft. p_total_slides: 0 to 100000. Returns its id. Names, types and session ids have up to 1000 characters. Services only; 22004, 22023, PT404.';

CREATE FUNCTION @extschema@.update_slide_presentation(
    p_presentation_id uuid, p_status text DEFAULT NULL, p_total_slides integer DEFAULT NULL,
    p_slide_order jsonb DEFAULT NULL, p_pdf_asset_id uuid DEFAULT NULL, p_pptx_asset_id uuid DEFAULT NULL,
    p_html_asset_id uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_slide_presentation'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_slide_presentation(uuid, text, integer, jsonb, uuid, uuid, uuid) IS
'Moves a slide deck to p_status (draft, generating, completed, failed) and sets what is not NULL; an exported file, which must be an asset of the session, sets the flag of its format. Returns the deck. Services only; 22004, 22023, PT404, 23514 illegal transition.';

CREATE FUNCTION @extschema@.create_script_generation(
    p_session_id uuid, p_section_name text DEFAULT NULL, p_script_type text DEFAULT 'narration',
    p_generation_config jsonb DEFAULT '{}')
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_script_generation'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.create_script_generation(uuid, text, text, jsonb) IS
'Notes that a script is to be written for a session, in status pending. Returns its id. Names, types and session ids have up to 1000 characters. Services only; 22004, 22023, PT404.';

CREATE FUNCTION @extschema@.update_script_generation(
    p_script_id uuid, p_status text DEFAULT NULL, p_script_content text DEFAULT NULL,
    p_error_message text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_script_generation'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_script_generation(uuid, text, text, text) IS
'Moves a script to p_status (pending, generating, completed, failed) and sets what is not NULL; its words are counted. p_script_content may have 1 MB, p_error_message 64 kB. Returns the script. Services only; 22004, 22023, PT404, 23514 illegal transition.';

CREATE FUNCTION @extschema@.record_video_view(
    p_asset_id uuid, p_watch_seconds numeric DEFAULT 0, p_completed boolean DEFAULT false)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'record_video_view'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.record_video_view(uuid, numeric, boolean) IS
'Counts a view of an asset on this day, in UTC: one more, with the seconds watched, and to the end where p_completed. Returns the row of the day. Services only; 22004, 22023 negative seconds, PT404.';

CREATE FUNCTION @extschema@.enqueue_rendering(
    p_session_id uuid, p_render_config jsonb DEFAULT '{}', p_priority integer DEFAULT 0,
    p_user_id uuid DEFAULT NULL)
  RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'enqueue_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.enqueue_rendering(uuid, jsonb, integer, uuid) IS
'Puts a video of a session into the queue of the renderer, in status queued. Higher p_priority goes first; p_user_id: who asked for it. Returns its id. Services only; 22004, 22023 too large, PT404 no such session or user.';

CREATE FUNCTION @extschema@.update_rendering(p_render_id uuid, p_status text, p_progress integer DEFAULT NULL, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'update_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.update_rendering(uuid, text, integer, uuid) IS
'Moves a rendering to p_status along workflow_transitions(), or within its status to p_progress (percent, never backwards). p_lease_token: that of claim_jobs(); NULL where no worker has the rendering. Returns it. Services only; 22004, 22023 unknown status or progress outside 0..100, PT404, PT409 lease lost or missing, or the rendering is to be cancelled, 23514 illegal transition.';

CREATE FUNCTION @extschema@.complete_rendering(p_render_id uuid, p_asset_id uuid DEFAULT NULL, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'complete_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.complete_rendering(uuid, uuid, uuid) IS
'Moves a rendering to completed, with the file of the session that was made. Again with the same file: the same answer; with another: PT409. Returns it. Services only; 22004, 22023 the file is not one of the session, PT404, PT409 lease lost or missing, 23514 illegal transition.';

CREATE FUNCTION @extschema@.fail_rendering(p_render_id uuid, p_error_code text DEFAULT NULL, p_error_message text DEFAULT NULL,
    p_retryable boolean DEFAULT false, p_lease_token uuid DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'fail_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.fail_rendering(uuid, text, text, boolean, uuid) IS
'Moves a rendering to failed; with p_retryable, which needs a lease, it goes back to the queue instead, as by fail_job(), as long as attempts are left. p_error_message is cut to 64 kB, p_error_code has at most 2048 characters. One that failed already keeps its first error. Returns it. Services only; 22004, 22023 p_retryable without a lease, PT404, PT409 lease lost or missing, 23514 the rendering is completed.';

CREATE FUNCTION @extschema@.cancel_rendering(p_render_id uuid, p_reason text DEFAULT NULL)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'cancel_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.cancel_rendering(uuid, text) IS
'Moves a rendering to cancelled; where a worker has it, as cancel_job() does. p_reason: at most 1000 characters. Returns it. Services only; 22004, 22023, PT404, 23514 the rendering is completed.';

CREATE FUNCTION @extschema@.retry_rendering(p_render_id uuid)
  RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'retry_rendering'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.retry_rendering(uuid) IS
'Moves a failed rendering back to queued and to the end of the queue, and counts it in retry_count. One that is queued already stays as it is. Returns it. Services only; 22004, PT404, 23514 the rendering did not fail.';
