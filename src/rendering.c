/*
 * rendering.c
 *	  The queue of the renderer, on the worker engine: a rendering is claimed,
 *	  moved along, completed or failed, cancelled, tried again.
 *
 * Status changes are plain UPDATEs here too: the trigger of the flow checks
 * them, and the one of the queue follows them.
 *
 * Pitfall: a rendering belongs to a session and not to a user.  user_id says
 * who asked for it, and may be NULL; it counts for taking turns alone.
 *
 * Lock order: content, session, rendering, its row in the queue.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "leases.h"
#include "limits.h"
#include "monitor.h"
#include "queue.h"
#include "restore.h"
#include "triggers.h"
#include "uuids.h"
#include "workflow.h"

PG_FUNCTION_INFO_V1(keep_renderings);
PG_FUNCTION_INFO_V1(update_rendering);
PG_FUNCTION_INFO_V1(complete_rendering);
PG_FUNCTION_INFO_V1(fail_rendering);
PG_FUNCTION_INFO_V1(cancel_rendering);
PG_FUNCTION_INFO_V1(retry_rendering);

#define MAX_REASON_LENGTH 1000

#define LOCK_RENDERING \
	"SELECT r.status FROM @extschema@.mm_rendering_queue r WHERE r.render_id = $1 FOR NO KEY UPDATE"

static Statement lock_rendering = {
	.by_index = true,
	.text = LOCK_RENDERING,
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement try_lock_rendering = {
	.by_index = true,
	.text = LOCK_RENDERING " SKIP LOCKED",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_rendering = {
	.by_index = true,
	.text = "SELECT r.* FROM @extschema@.mm_rendering_queue r WHERE r.render_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement move_rendering = {
	.by_index = true,
	.text = "UPDATE @extschema@.mm_rendering_queue r SET status = $2, progress = COALESCE($3, r.progress)"
	" WHERE r.render_id = $1 AND (r.status, r.progress) IS DISTINCT FROM ($2, COALESCE($3, r.progress))",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, INT4OID}
};
static Statement show_rendering = {
	.by_index = true,
	.text = "UPDATE @extschema@.mm_rendering_queue r SET progress = $2 WHERE r.render_id = $1 AND $2 > r.progress",
	.nargs = 2,.argtypes = {UUIDOID, INT4OID}
};
static Statement finish_rendering = {
	.by_index = true,
	.text = "UPDATE @extschema@.mm_rendering_queue r SET status = 'completed', asset_id = COALESCE($2, r.asset_id)"
	" WHERE r.render_id = $1",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement differs_from_finished = {
	.by_index = true,
	.text = "SELECT COALESCE($2 IS DISTINCT FROM r.asset_id, false) AND $2 IS NOT NULL"
	"  FROM @extschema@.mm_rendering_queue r WHERE r.render_id = $1",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

/* the file that was made has to be one of the session */
static Statement is_strange_asset = {
	.by_index = true,
	.text = "SELECT 1 FROM @extschema@.mm_rendering_queue r WHERE r.render_id = $1"
	"   AND NOT EXISTS (SELECT 1 FROM @extschema@.mm_multimedia_assets a"
	"                    WHERE a.asset_id = $2 AND a.session_id = r.session_id)",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement end_rendering = {
	.by_index = true,
	.text = "UPDATE @extschema@.mm_rendering_queue r"
	"   SET status = CASE WHEN $2 = 'CANCELLED' THEN 'cancelled' ELSE 'failed' END, error_code = $2, error_message = $3"
	" WHERE r.render_id = $1",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement requeue_rendering = {
	.by_index = true,
	.text = "UPDATE @extschema@.mm_rendering_queue SET status = 'queued' WHERE render_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement count_rendering_retry = {
	.by_index = true,
	.text = "UPDATE @extschema@.mm_rendering_queue SET retry_count = retry_count + 1 WHERE render_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* what a row takes along when it is deleted, in the order of locks */
static Statement lock_contents = {
	.by_index = true,
	.text = "SELECT 1 FROM @extschema@.cm_module_content c WHERE c.company_id = $1 ORDER BY c.content_id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_company_sessions = {
	.by_index = true,
	.text = "SELECT 1 FROM @extschema@.mm_multimedia_sessions s WHERE s.company_id = $1 ORDER BY s.session_id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_content_sessions = {
	.by_index = true,
	.text = "SELECT 1 FROM @extschema@.mm_multimedia_sessions s WHERE s.content_id = $1 ORDER BY s.session_id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};

#define LOCK_RENDERINGS(column) \
	"SELECT r.render_id, r.status FROM @extschema@.mm_rendering_queue r" \
	" WHERE " column " = $1 ORDER BY r.render_id FOR UPDATE"

static Statement lock_company_renderings = {
	.by_index = true,
	.text = LOCK_RENDERINGS("r.company_id"),
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_content_renderings = {
	.by_index = true,
	.text = LOCK_RENDERINGS("r.content_id"),
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_session_renderings = {
	.by_index = true,
	.text = LOCK_RENDERINGS("r.session_id"),
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_statistics = {
	.text = JOB_STATISTICS("mm_rendering_queue", "render_id", "completed", "failed",
						   "j.render_id AS id, j.status, j.created_at, j.finished_at AS ended_at,"
						   " CASE WHEN pg_catalog.isfinite(j.created_at) AND pg_catalog.isfinite(j.finished_at)"
						   "      THEN EXTRACT(epoch FROM j.finished_at - j.created_at)::pg_catalog.numeric * 1000 END AS ms",
						   FAILURE_TEXTS("")),
	.nargs = 2,.argtypes = {UUIDOID, TIMESTAMPTZOID}
};

/* Lock a rendering; false when there is none, or somebody has it. */
static bool
lock_of(Statement *statement, const pg_uuid_t *render_id, RenderStatus *status)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, render_id);
	if (statement_run(statement, &args) == 0)
		return false;
	*status = flow_state(&render_flow, result_text(1));
	return true;
}

static RenderStatus
lock_or_refuse(const pg_uuid_t *render_id)
{
	RenderStatus status;

	if (!lock_of(&lock_rendering, render_id, &status))
		refuse_missing("rendering", render_id);
	return status;
}

static Datum
as_jsonb(const pg_uuid_t *render_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, render_id);
	statement_run(&select_rendering, &args);
	return result_row();
}

/*
 * update_rendering(p_render_id uuid, p_status text, p_progress integer,
 * p_lease_token uuid) returns jsonb
 */
Datum
update_rendering(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	render_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 3);
	RenderStatus status,
				asked;
	Lease		lease;
	LeaseState	state;
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");
	asked = flow_state(&render_flow, check_word(fcinfo, 1, "p_status", render_status_names, RENDER_STATUSES));
	(void) check_percentage(fcinfo, 2, "p_progress");
	for (int i = 0; i < 3; i++)
		argument_pass(&args, fcinfo, i);

	status = lock_or_refuse(&render_id);
	state = lease_check(&rendering_queue, &render_id, token, &lease);
	if (!lease_replays_end(state, &lease) || !flow_is_terminal(&render_flow, status) || status != asked)
	{
		lease_require_work(state, &lease);
		statement_run(&move_rendering, &args);
	}
	result = as_jsonb(&render_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

static void
check_asset(const Arguments *args)
{
	if (statement_run(&is_strange_asset, args) > 0)
		refuse_value("p_asset_id", "a file of the session");
}

/* A rendering that is completed already: with this file? */
static void
check_same_completion(const Arguments *args, const pg_uuid_t *render_id)
{
	statement_run(&differs_from_finished, args);
	if (result_bool(1))
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("job was completed differently"),
				 errdetail("Job %s.", uuid_text(render_id))));
}

/*
 * complete_rendering(p_render_id uuid, p_asset_id uuid, p_lease_token uuid)
 * returns jsonb
 */
Datum
complete_rendering(PG_FUNCTION_ARGS)
{
	static const char *const outcomes[] = {"completed"};
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	render_id;
	const pg_uuid_t *asset_id = optional_uuid(fcinfo, 1);
	const pg_uuid_t *token = optional_uuid(fcinfo, 2);
	RenderStatus status;
	Lease		lease;
	LeaseState	state;
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");
	argument_uuid(&args, &render_id);
	argument_uuid(&args, asset_id);

	status = lock_or_refuse(&render_id);
	state = lease_check(&rendering_queue, &render_id, token, &lease);
	if (lease_replays(state, &lease, outcomes, lengthof(outcomes)) || status == RENDER_COMPLETED)
		check_same_completion(&args, &render_id);
	else
	{
		if (asset_id != NULL)
			check_asset(&args);
		statement_run(&finish_rendering, &args);
	}
	result = as_jsonb(&render_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

static void
write_failure(const pg_uuid_t *render_id, const JobError *error)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, render_id);
	argument_text(&args, error->code);
	argument_text(&args, error->message);
	statement_run(&end_rendering, &args);
}

static bool
has_failed(RenderStatus status)
{
	return status == RENDER_FAILED || status == RENDER_CANCELLED;
}

/*
 * fail_rendering(p_render_id uuid, p_error_code text, p_error_message text,
 * p_retryable boolean, p_lease_token uuid) returns jsonb
 */
Datum
fail_rendering(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	render_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 4);
	const bool *retryable = optional_bool(fcinfo, 3);
	JobError	error = {NULL};
	RenderStatus status;
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");
	error.code = check_text(fcinfo, 1, "p_error_code", 0, MAX_SHORT_LENGTH);
	error.message = clip_text(check_text(fcinfo, 2, "p_error_message", 0, PG_INT32_MAX), MAX_REPORT_BYTES);

	status = lock_or_refuse(&render_id);
	if (lease_fails(&rendering_queue, &render_id, token, retryable, &error) && !has_failed(status))
		write_failure(&render_id, &error);
	result = as_jsonb(&render_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * cancel_rendering(p_render_id uuid, p_reason text) returns jsonb
 */
Datum
cancel_rendering(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	render_id;
	JobError	error = {.code = ERROR_CANCELLED};
	RenderStatus status;
	bool		cancelling;
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");
	error.message = check_text(fcinfo, 1, "p_reason", 0, MAX_REASON_LENGTH);

	status = lock_or_refuse(&render_id);
	if (status == RENDER_COMPLETED)
		workflow_refuse(&render_flow, status, RENDER_CANCELLED);
	cancelling = lease_request_cancel(&rendering_queue, &render_id, error.message);
	if (!cancelling && !has_failed(status))
		write_failure(&render_id, &error);
	result = as_jsonb(&render_id);
	if (cancelling)
		result = lease_mark_cancelling(result);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * What a rendering belongs to is deleted
 * ------------------------------------------------------------------------ */

/* a parent of renderings; NULL where nothing is to be locked */
typedef struct Parent
{
	const char *name;
	const char *id_column;
	Statement  *lock_contents;
	Statement  *lock_sessions;
	Statement  *lock_renderings;
} Parent;

static const Parent parents[] = {
	{"company", "id", &lock_contents, &lock_company_sessions, &lock_company_renderings},
	{"content", "content_id", NULL, &lock_content_sessions, &lock_content_renderings},
	{"session", "session_id", NULL, NULL, &lock_session_renderings}
};

static const Parent *
parent_of_trigger(const TriggerData *data)
{
	for (int i = 0; i < (int) lengthof(parents); i++)
	{
		if (strcmp(data->tg_trigger->tgargs[0], parents[i].name) == 0)
			return &parents[i];
	}
	refuse_value("the argument of the trigger", "company, content or session");
}

static void
refuse_rendered_on(const Parent *parent, const pg_uuid_t *id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, id);
	if (parent->lock_contents)
		statement_run(parent->lock_contents, &args);
	if (parent->lock_sessions)
		statement_run(parent->lock_sessions, &args);
	queue_refuse_worked_on(&rendering_queue, queue_lock_doomed(&rendering_queue, parent->lock_renderings, &args));
}

/*
 * keep_renderings(parent) returns trigger: BEFORE DELETE on companies,
 * cm_module_content and mm_multimedia_sessions.  Where the owner lets users
 * delete these, a renderer must not lose what it works on.
 */
Datum
keep_renderings(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_DELETE, 1);
	const Parent *parent = parent_of_trigger(data);
	pg_uuid_t	id = row_get_uuid(RelationGetDescr(data->tg_relation), data->tg_trigtuple, parent->id_column);
	bool		service = caller_is_service();
	Caller		caller;

	if (!restoring() && !service)
	{
		caller_enter_trigger(&caller);
		refuse_rendered_on(parent, &id);
		caller_leave(&caller);
	}
	return PointerGetDatum(data->tg_trigtuple);
}

/* ------------------------------------------------------------------------
 * Tried again
 * ------------------------------------------------------------------------ */

static void
requeue(void *render_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, render_id);
	statement_run(&requeue_rendering, &args);
}

/*
 * retry_rendering(p_render_id uuid) returns jsonb
 */
Datum
retry_rendering(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	render_id;
	RenderStatus status;
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");
	status = lock_or_refuse(&render_id);
	if (status != RENDER_QUEUED && status != RENDER_FAILED)
		workflow_refuse(&render_flow, status, RENDER_QUEUED);
	if (status == RENDER_FAILED)
		workflow_retry(uuid_text(&render_id), requeue, &render_id);
	result = as_jsonb(&render_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * What the queue wants to know
 * ------------------------------------------------------------------------ */

static bool
lock_for_queue(const pg_uuid_t *render_id)
{
	RenderStatus status;

	return lock_of(&lock_rendering, render_id, &status);
}

static bool
try_lock_for_queue(const pg_uuid_t *render_id)
{
	RenderStatus status;

	return lock_of(&try_lock_rendering, render_id, &status);
}

static void
count_retry(const pg_uuid_t *render_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, render_id);
	statement_run(&count_rendering_retry, &args);
}

/* A rendering has no message to show. */
static void
show_progress(const pg_uuid_t *render_id, const int32 *progress, const char *message)
{
	Arguments	args = NO_ARGUMENTS;

	if (progress == NULL)
		return;
	argument_uuid(&args, render_id);
	argument_int32(&args, *progress);
	statement_run(&show_rendering, &args);
}

static void
read_error(TupleDesc desc, HeapTuple row, JobError *error)
{
	const char *status = row_get_label(desc, row, "status");

	error->code = row_get_start(desc, row, "error_code", 4 * MAX_SHORT_LENGTH);
	if (status != NULL && flow_state(&render_flow, status) == RENDER_CANCELLED)
		error->code = ERROR_CANCELLED;
	error->message = row_get_start(desc, row, "error_message", MAX_REPORT_BYTES);
}

const QueueSystem rendering_queue = {
	.name = "mm_rendering_queue",
	.flow = &render_flow,
	.first_open = RENDER_QUEUED,
	.succeeded = RENDER_COMPLETED,
	.lock = lock_for_queue,
	.try_lock = try_lock_for_queue,
	.fail = write_failure,
	.count_retry = count_retry,
	.show_progress = show_progress,
	.read_error = read_error,
	.select_job = &select_rendering,
	.statistics = &select_statistics
};
