/*
 * productions.c
 *	  What is made in a multimedia session besides files: narrations, slide
 *	  presentations and scripts; the views of videos; new renderings.
 *
 * Pitfall: a narration or a presentation refers to files.  The functions here
 * check that they are of the same session, or one company could see identifiers
 * of another's.  A plain UPDATE of a service may refer to any file.
 *
 * Lock order: user, company, content, session, then what belongs to it.  The
 * trigger inherit_company() locks the parents before the row is inserted.
 *
 * A rendering is only enqueued here; rendering.c has what follows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "auth_users.h"
#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "multimedia.h"
#include "new_jobs.h"
#include "statements.h"
#include "statuses.h"

PG_FUNCTION_INFO_V1(create_audio_narration);
PG_FUNCTION_INFO_V1(update_audio_narration);
PG_FUNCTION_INFO_V1(create_slide_presentation);
PG_FUNCTION_INFO_V1(update_slide_presentation);
PG_FUNCTION_INFO_V1(create_script_generation);
PG_FUNCTION_INFO_V1(update_script_generation);
PG_FUNCTION_INFO_V1(record_video_view);
PG_FUNCTION_INFO_V1(enqueue_rendering);

#define MAX_SLIDES 100000

#define FROM_SESSION " FROM @extschema@.mm_multimedia_sessions s WHERE s.session_id = $1"

static Statement insert_narration = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.mm_audio_narrations"
	" (session_id, narration_name, narration_type, section_name, script_content, voice_config)"
	" SELECT s.session_id, $2, $3, $4, $5, COALESCE($6, '{}')" FROM_SESSION
	" RETURNING narration_id",
	.nargs = 6,.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID}
};
static Statement update_narration = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_audio_narrations n"
	"   SET status = COALESCE($2, n.status), total_duration_seconds = COALESCE($3, n.total_duration_seconds),"
	"       audio_segments = COALESCE($4, n.audio_segments), master_audio_id = COALESCE($5, n.master_audio_id),"
	"       segments_audio_ids = COALESCE($6, n.segments_audio_ids), script_content = COALESCE($7, n.script_content)"
	" WHERE n.narration_id = $1 RETURNING n.*",
	.nargs = 7,.argtypes = {UUIDOID, TEXTOID, NUMERICOID, JSONBOID, UUIDOID, UUIDARRAYOID, TEXTOID}
};

/*
 * $1 narration, $2 master file, $3 files of the segments: return a row for each
 * file that is not an audio file of the session of the narration, and for NULL
 * elements of $3.  NULL for all of $2 or $3 leaves them unchanged, and is valid.
 */
static Statement select_invalid_audio = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.mm_audio_narrations n, pg_catalog.unnest($3 || $2) i (asset_id)"
	" WHERE n.narration_id = $1"
	"   AND CASE WHEN i.asset_id IS NULL THEN EXISTS (SELECT 1 FROM pg_catalog.unnest($3) e (id) WHERE e.id IS NULL)"
	"            ELSE NOT EXISTS (SELECT 1 FROM @extschema@.mm_multimedia_assets a"
	"                              WHERE a.asset_id = i.asset_id AND a.session_id = n.session_id AND a.asset_type = 'audio') END",
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, UUIDARRAYOID}
};
static Statement insert_presentation = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.mm_slide_presentations"
	" (session_id, presentation_name, presentation_type, total_slides, slide_order, template_used, theme_config)"
	" SELECT s.session_id, $2, $3, $4, COALESCE($5, '[]'), $6, COALESCE($7, '{}')" FROM_SESSION
	" RETURNING presentation_id",
	.nargs = 7,.argtypes = {UUIDOID, TEXTOID, TEXTOID, INT4OID, JSONBOID, TEXTOID, JSONBOID}
};
static Statement update_presentation = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_slide_presentations p"
	"   SET status = COALESCE($2, p.status), total_slides = COALESCE($3, p.total_slides),"
	"       slide_order = COALESCE($4, p.slide_order),"
	"       pdf_asset_id = COALESCE($5, p.pdf_asset_id), pdf_generated = p.pdf_generated OR $5 IS NOT NULL,"
	"       pptx_asset_id = COALESCE($6, p.pptx_asset_id), pptx_generated = p.pptx_generated OR $6 IS NOT NULL,"
	"       html_asset_id = COALESCE($7, p.html_asset_id), html_generated = p.html_generated OR $7 IS NOT NULL"
	" WHERE p.presentation_id = $1 RETURNING p.*",
	.nargs = 7,.argtypes = {UUIDOID, TEXTOID, INT4OID, JSONBOID, UUIDOID, UUIDOID, UUIDOID}
};

/* $1 presentation, $2 to $4 files: return a row for each file that is not of its session */
static Statement select_invalid_exports = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.mm_slide_presentations p, (VALUES ($2), ($3), ($4)) i (asset_id)"
	" WHERE p.presentation_id = $1 AND i.asset_id IS NOT NULL"
	"   AND NOT EXISTS (SELECT 1 FROM @extschema@.mm_multimedia_assets a"
	"                    WHERE a.asset_id = i.asset_id AND a.session_id = p.session_id)",
	.nargs = 4,.argtypes = {UUIDOID, UUIDOID, UUIDOID, UUIDOID}
};
static Statement insert_script = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.mm_script_generations (session_id, section_name, script_type, generation_config)"
	" SELECT s.session_id, $2, $3, COALESCE($4, '{}')" FROM_SESSION
	" RETURNING script_id",
	.nargs = 4,.argtypes = {UUIDOID, TEXTOID, TEXTOID, JSONBOID}
};
static Statement update_script = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_script_generations g"
	"   SET status = COALESCE($2, g.status), script_content = COALESCE($3, g.script_content),"
	"       error_message = COALESCE($4, g.error_message)"
	" WHERE g.script_id = $1 RETURNING g.*",
	.nargs = 4,.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID}
};
static Statement upsert_view = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.mm_video_analytics AS v"
	" (asset_id, view_date, view_count, completed_count, watch_seconds, last_viewed_at)"
	" SELECT a.asset_id, (pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')::pg_catalog.date, 1, $3::pg_catalog.int4, $2,"
	"        pg_catalog.clock_timestamp()"
	"   FROM @extschema@.mm_multimedia_assets a WHERE a.asset_id = $1"
	" ON CONFLICT (asset_id, view_date) DO UPDATE"
	"    SET view_count = v.view_count + 1, completed_count = v.completed_count + EXCLUDED.completed_count,"
	"        watch_seconds = v.watch_seconds + EXCLUDED.watch_seconds, last_viewed_at = EXCLUDED.last_viewed_at"
	" RETURNING v.*",
	.nargs = 3,.argtypes = {UUIDOID, NUMERICOID, BOOLOID}
};
static Statement insert_rendering = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.mm_rendering_queue"
	" (session_id, render_config, priority, user_id, run_at, idempotency_key, max_attempts)"
	" SELECT s.session_id, COALESCE($2, '{}'), $3, $4, $5, $6, $7" FROM_SESSION
	" ON CONFLICT (company_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
	" RETURNING render_id",
	.nargs = 7,.argtypes = {UUIDOID, JSONBOID, INT4OID, UUIDOID, TIMESTAMPTZOID, TEXTOID, INT4OID}
};

/* with the arguments of insert_rendering; content without a company has keys of its own */
#define FIND_RENDERING \
	"SELECT r.render_id, COALESCE(r.session_id = $1, false) AND r.render_config IS NOT DISTINCT FROM COALESCE($2, '{}')" \
	"       AND r.user_id IS NOT DISTINCT FROM $4" \
	"  FROM @extschema@.mm_rendering_queue r WHERE r.idempotency_key = $6 AND "
static Statement find_rendering = {
	.force_index_plan = true,
	.text = FIND_RENDERING "r.company_id = (SELECT s.company_id" FROM_SESSION ")"
	" UNION ALL " FIND_RENDERING "r.company_id IS NULL AND (SELECT s.company_id IS NULL" FROM_SESSION ")",
	.nargs = 7,.argtypes = {UUIDOID, JSONBOID, INT4OID, UUIDOID, TIMESTAMPTZOID, TEXTOID, INT4OID}
};

/* Insert a row for a session and return its id.  Raises an error if there is no such session. */
static pg_uuid_t
insert_in_session(const Caller *caller, const pg_uuid_t *session_id, Statement *statement, const Arguments *args)
{
	if (statement_execute(statement, args) == 0)
		refuse_unknown(caller, "session", session_id);
	return result_uuid(1);
}

/* Update the row of an id and return it.  Raises an error if there is no such row. */
static Datum
update_or_refuse(const Caller *caller, const char *what, const pg_uuid_t *id, Statement *statement, const Arguments *args)
{
	if (statement_execute(statement, args) == 0)
		refuse_unknown(caller, what, id);
	return result_row();
}

/* ------------------------------------------------------------------------
 * Narrations
 * ------------------------------------------------------------------------ */

/*
 * create_audio_narration(p_session_id uuid, p_narration_name text,
 * p_narration_type text, p_section_name text, p_script_content text,
 * p_voice_config jsonb) returns uuid
 */
Datum
create_audio_narration(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	session_id;
	pg_uuid_t  *narration_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	session_id = check_uuid(fcinfo, 0, "p_session_id");
	check_text(fcinfo, 1, "p_narration_name", 0, MAX_LABEL_LENGTH);
	check_text(fcinfo, 2, "p_narration_type", 1, MAX_LABEL_LENGTH);
	check_text(fcinfo, 3, "p_section_name", 0, MAX_LABEL_LENGTH);

	*narration_id = insert_in_session(&caller, &session_id, &insert_narration, &args);
	caller_leave(&caller);

	PG_RETURN_UUID_P(narration_id);
}

/*
 * update_audio_narration(p_narration_id uuid, p_status text,
 * p_total_duration_seconds numeric, p_audio_segments jsonb,
 * p_master_audio_id uuid, p_segments_audio_ids uuid[], p_script_content text)
 * returns jsonb
 */
Datum
update_audio_narration(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Arguments	files = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	narration_id;
	Datum		result;

	caller_enter_service(&caller);
	narration_id = check_uuid(fcinfo, 0, "p_narration_id");
	check_optional_word(fcinfo, 1, "p_status", narration_status_names, PRODUCT_STATUSES);
	check_numeric(fcinfo, 2, "p_total_duration_seconds", 0, MAX_SECONDS);
	argument_uuid(&files, &narration_id);
	argument_pass(&files, fcinfo, 4);
	argument_pass(&files, fcinfo, 5);

	if (statement_execute(&select_invalid_audio, &files) > 0)
		refuse_value("p_master_audio_id and p_segments_audio_ids", "audio assets of the session");
	result = update_or_refuse(&caller, "narration", &narration_id, &update_narration, &args);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Slides
 * ------------------------------------------------------------------------ */

/*
 * create_slide_presentation(p_session_id uuid, p_presentation_name text,
 * p_presentation_type text, p_total_slides integer, p_slide_order jsonb,
 * p_template_used text, p_theme_config jsonb) returns uuid
 */
Datum
create_slide_presentation(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	session_id;
	pg_uuid_t  *presentation_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	session_id = check_uuid(fcinfo, 0, "p_session_id");
	check_text(fcinfo, 1, "p_presentation_name", 0, MAX_LABEL_LENGTH);
	check_text(fcinfo, 2, "p_presentation_type", 1, MAX_LABEL_LENGTH);
	check_int32(fcinfo, 3, "p_total_slides", 0, MAX_SLIDES);
	check_text(fcinfo, 5, "p_template_used", 0, MAX_LABEL_LENGTH);

	*presentation_id = insert_in_session(&caller, &session_id, &insert_presentation, &args);
	caller_leave(&caller);

	PG_RETURN_UUID_P(presentation_id);
}

/*
 * update_slide_presentation(p_presentation_id uuid, p_status text,
 * p_total_slides integer, p_slide_order jsonb, p_pdf_asset_id uuid,
 * p_pptx_asset_id uuid, p_html_asset_id uuid) returns jsonb
 */
Datum
update_slide_presentation(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Arguments	exports = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	presentation_id;
	Datum		result;

	caller_enter_service(&caller);
	presentation_id = check_uuid(fcinfo, 0, "p_presentation_id");
	check_optional_word(fcinfo, 1, "p_status", presentation_status_names, PRODUCT_STATUSES);
	check_optional_int32(fcinfo, 2, "p_total_slides", 0, MAX_SLIDES);
	argument_uuid(&exports, &presentation_id);
	for (int i = 4; i < 7; i++)
		argument_pass(&exports, fcinfo, i);

	if (statement_execute(&select_invalid_exports, &exports) > 0)
		refuse_value("p_pdf_asset_id, p_pptx_asset_id and p_html_asset_id", "assets of the session");
	result = update_or_refuse(&caller, "presentation", &presentation_id, &update_presentation, &args);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Scripts, views, rendering
 * ------------------------------------------------------------------------ */

/*
 * create_script_generation(p_session_id uuid, p_section_name text,
 * p_script_type text, p_generation_config jsonb) returns uuid
 */
Datum
create_script_generation(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	session_id;
	pg_uuid_t  *script_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	session_id = check_uuid(fcinfo, 0, "p_session_id");
	check_text(fcinfo, 1, "p_section_name", 0, MAX_LABEL_LENGTH);
	check_text(fcinfo, 2, "p_script_type", 1, MAX_LABEL_LENGTH);

	*script_id = insert_in_session(&caller, &session_id, &insert_script, &args);
	caller_leave(&caller);

	PG_RETURN_UUID_P(script_id);
}

/*
 * update_script_generation(p_script_id uuid, p_status text,
 * p_script_content text, p_error_message text) returns jsonb
 */
Datum
update_script_generation(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	script_id;
	Datum		result;

	caller_enter_service(&caller);
	script_id = check_uuid(fcinfo, 0, "p_script_id");
	check_optional_word(fcinfo, 1, "p_status", script_status_names, PRODUCT_STATUSES);

	result = update_or_refuse(&caller, "script", &script_id, &update_script, &args);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * record_video_view(p_asset_id uuid, p_watch_seconds numeric,
 * p_completed boolean) returns jsonb
 */
Datum
record_video_view(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	asset_id;
	Datum		result;

	caller_enter_service(&caller);
	asset_id = check_uuid(fcinfo, 0, "p_asset_id");
	check_not_null(fcinfo, 1, "p_watch_seconds");
	check_numeric(fcinfo, 1, "p_watch_seconds", 0, MAX_SECONDS);
	check_not_null(fcinfo, 2, "p_completed");

	result = update_or_refuse(&caller, "asset", &asset_id, &upsert_view, &args);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * enqueue_rendering(p_session_id uuid, p_render_config jsonb,
 * p_priority integer, p_user_id uuid, p_run_at timestamptz,
 * p_idempotency_key text, p_max_attempts integer) returns uuid
 */
Datum
enqueue_rendering(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	session_id;
	const pg_uuid_t *user_id;
	NewJob		new;
	pg_uuid_t  *render_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	session_id = check_uuid(fcinfo, 0, "p_session_id");
	check_not_null(fcinfo, 2, "p_priority");
	user_id = optional_uuid(fcinfo, 3);
	new = new_job_check(fcinfo, 4, &caller);

	if (user_id != NULL && !user_lock_key_share(user_id))
		refuse_unknown(&caller, "user", user_id);
	if (new_job_insert(&new, &find_rendering, &insert_rendering, &args, render_id) == JOB_NOT_STORED)
		refuse_unknown(&caller, "session", &session_id);
	caller_leave(&caller);

	PG_RETURN_UUID_P(render_id);
}
