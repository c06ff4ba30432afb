/*
 * rendering.c
 *	  Renderings as a system of jobs: progress, completion, failure, cancelling
 *	  and retries.  Claims and leases are those of the worker engine.
 *
 * The functions change a status by a plain UPDATE.  The workflow trigger of the
 * table checks the transition, and the queue trigger updates the queue entry.
 *
 * Pitfall: a rendering belongs to a session and not to a user.  user_id is the
 * user who requested it and may be NULL; it is used for fairness between users and
 * pays the price, where there is one, but gives no rights.
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
#include "deletions.h"
#include "errors.h"
#include "job_actions.h"
#include "value_limits.h"
#include "monitor.h"
#include "prices.h"
#include "queue.h"
#include "rendering.h"
#include "restore.h"
#include "settings.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(forbid_delete_of_leased_renderings);
PG_FUNCTION_INFO_V1(update_rendering);
PG_FUNCTION_INFO_V1(complete_rendering);
PG_FUNCTION_INFO_V1(fail_rendering);
PG_FUNCTION_INFO_V1(cancel_rendering);
PG_FUNCTION_INFO_V1(retry_rendering);

#define LOCK_RENDERING \
	"SELECT r.user_id, r.status, r.priority, r.max_attempts FROM @extschema@.mm_rendering_queue r" \
	" WHERE r.render_id = $1 AND ($2 IS NULL OR r.user_id = $2) FOR NO KEY UPDATE"

static const QueueSystem rendering_queue;

static Statement lock_rendering = {
	.force_index_plan = true,
	.text = LOCK_RENDERING,
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement try_lock_rendering = {
	.force_index_plan = true,
	.text = LOCK_RENDERING " SKIP LOCKED",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_rendering = {
	.force_index_plan = true,
	.text = "SELECT r.* FROM @extschema@.mm_rendering_queue r WHERE r.render_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement update_status = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_rendering_queue r SET status = $2, progress = COALESCE($3, r.progress)"
	" WHERE r.render_id = $1 AND (r.status, r.progress) IS DISTINCT FROM ($2, COALESCE($3, r.progress))",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, INT4OID}
};
static Statement update_progress = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_rendering_queue r SET progress = $2 WHERE r.render_id = $1 AND $2 > r.progress",
	.nargs = 2,.argtypes = {UUIDOID, INT4OID}
};
static Statement update_completed = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_rendering_queue r SET status = 'completed', asset_id = COALESCE($2, r.asset_id)"
	" WHERE r.render_id = $1",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

/* $1 rendering, $2 file or NULL: return true if a file is given and is not that of the completed rendering */
static Statement select_completion_differs = {
	.force_index_plan = true,
	.text = "SELECT COALESCE($2 IS DISTINCT FROM r.asset_id, false) AND $2 IS NOT NULL"
	"  FROM @extschema@.mm_rendering_queue r WHERE r.render_id = $1",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

/* $1 rendering, $2 file: return a row if the file is not of the session of the rendering */
static Statement select_asset_of_other_session = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.mm_rendering_queue r WHERE r.render_id = $1"
	"   AND NOT EXISTS (SELECT 1 FROM @extschema@.mm_multimedia_assets a"
	"                    WHERE a.asset_id = $2 AND a.session_id = r.session_id)",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement fail_or_cancel = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_rendering_queue r"
	"   SET status = CASE WHEN $3 = 'CANCELLED' THEN 'cancelled' ELSE 'failed' END, error_code = $3, error_message = $4"
	" WHERE r.render_id = $1",
	.nargs = 5,.argtypes = {UUIDOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID}
};
static Statement requeue_rendering = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_rendering_queue SET status = 'queued', run_at = NULL, cancel_requested_at = NULL"
	" WHERE render_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement count_rendering_retry = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_rendering_queue SET retry_count = retry_count + 1 WHERE render_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement note_rendering_cancel = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_rendering_queue SET cancel_requested_at = pg_catalog.clock_timestamp()"
	" WHERE render_id = $1 AND cancel_requested_at IS NULL",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* rows that a deletion of a parent cascades to, locked in the lock order before it */
static Statement lock_contents = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.cm_module_content c WHERE c.company_id = $1 ORDER BY c.content_id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_company_sessions = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.mm_multimedia_sessions s WHERE s.company_id = $1 ORDER BY s.session_id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_content_sessions = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.mm_multimedia_sessions s WHERE s.content_id = $1 ORDER BY s.session_id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};

#define LOCK_RENDERINGS(column) \
	"SELECT r.render_id, r.status FROM @extschema@.mm_rendering_queue r" \
	" WHERE " column " = $1 ORDER BY r.render_id FOR UPDATE"

static Statement lock_company_renderings = {
	.force_index_plan = true,
	.text = LOCK_RENDERINGS("r.company_id"),
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_content_renderings = {
	.force_index_plan = true,
	.text = LOCK_RENDERINGS("r.content_id"),
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_session_renderings = {
	.force_index_plan = true,
	.text = LOCK_RENDERINGS("r.session_id"),
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_failed = {
	.force_index_plan = true,
	.text = "SELECT r.render_id FROM @extschema@.mm_rendering_queue r"
	" WHERE r.status = 'failed' AND ($1 IS NULL OR r.error_code = $1)"
	"   AND ($2 IS NULL OR COALESCE(r.finished_at, r.created_at) >= $2)"
	" ORDER BY r.created_at, r.render_id LIMIT $3",
	.nargs = 3,.argtypes = {TEXTOID, TIMESTAMPTZOID, INT4OID}
};
static Statement select_failed_with = {
	.force_index_plan = true,
	.text = "SELECT r.render_id FROM @extschema@.mm_rendering_queue r WHERE r.render_id = $1"
	"   AND r.status = 'failed' AND ($2 IS NULL OR r.error_code = $2)",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_owners = {
	.force_index_plan = true,
	.text = "SELECT r.render_id, r.user_id FROM @extschema@.mm_rendering_queue r WHERE r.render_id = ANY ($1)",
	.nargs = 1,.argtypes = {UUIDARRAYOID}
};
static Statement select_statistics = {
	.text = JOB_STATISTICS("mm_rendering_queue", "render_id", "completed", "failed",
						   "j.render_id AS id, j.status, j.created_at, j.finished_at AS ended_at,"
						   " CASE WHEN pg_catalog.isfinite(j.created_at) AND pg_catalog.isfinite(j.finished_at)"
						   "      THEN EXTRACT(epoch FROM j.finished_at - j.created_at)::pg_catalog.numeric * 1000 END AS ms",
						   FAILURE_TEXTS("")),
	.nargs = 2,.argtypes = {UUIDOID, TIMESTAMPTZOID}
};

/*
 * update_rendering(p_render_id uuid, p_status text, p_progress integer,
 * p_lease_token uuid, p_hand_over boolean) returns jsonb
 */
Datum
update_rendering(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_first(fcinfo, 3);
	Caller		caller;
	pg_uuid_t	render_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 3);
	bool		hand_over;
	Job			job;
	Lease		lease;
	RenderStatus asked;
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");
	asked = flow_state(&render_flow, check_word(fcinfo, 1, "p_status", render_status_names, RENDER_STATUSES));
	check_optional_int32(fcinfo, 2, "p_progress", 0, 100);
	hand_over = check_bool(fcinfo, 4, "p_hand_over");

	system_job_lock_or_refuse(&rendering_queue, &caller, &render_id, &job);
	if (!job_has_moved(&rendering_queue, &job, token, asked, hand_over, &lease))
	{
		statement_execute(&update_status, &args);
		job_hand_over(&lease, asked, hand_over);
	}
	result = system_job_as_jsonb(&rendering_queue, &render_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Complete a rendering, with its file if that is not NULL. */
static void
complete(const Caller *caller, const pg_uuid_t *render_id, const pg_uuid_t *token, const pg_uuid_t *asset_id)
{
	Arguments	args = NO_ARGUMENTS;
	Job			job;

	argument_uuid(&args, render_id);
	argument_uuid(&args, asset_id);
	system_job_lock_or_refuse(&rendering_queue, caller, render_id, &job);
	if (job_was_completed(&rendering_queue, &job, token))
	{
		statement_execute(&select_completion_differs, &args);
		if (result_bool(1))
			refuse_completed_differently(render_id);
		return;
	}
	if (asset_id != NULL && statement_execute(&select_asset_of_other_session, &args) > 0)
		refuse_value("p_asset_id", "a file of the session");
	statement_execute(&update_completed, &args);
}

/*
 * complete_rendering(p_render_id uuid, p_asset_id uuid, p_lease_token uuid)
 * returns jsonb
 *
 * A retry of the call that completed the rendering returns it again; one with
 * another file raises an error.
 */
Datum
complete_rendering(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	render_id;
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");

	complete(&caller, &render_id, optional_uuid(fcinfo, 2), optional_uuid(fcinfo, 1));
	result = system_job_as_jsonb(&rendering_queue, &render_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * fail_rendering(p_render_id uuid, p_error_code text, p_error_message text,
 * p_retryable boolean, p_lease_token uuid, p_retry_in interval) returns jsonb
 */
Datum
fail_rendering(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	render_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 4);
	const bool *retryable = optional_bool(fcinfo, 3);
	const TimestampTz *retry_at;
	JobError	error = {NULL};
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");
	error.code = check_text(fcinfo, 1, "p_error_code", 0, MAX_SHORT_LENGTH);
	error.message = clip_text(check_text(fcinfo, 2, "p_error_message", 0, PG_INT32_MAX), MAX_REPORT_BYTES);
	retry_at = job_retry_at(check_duration(fcinfo, 5, "p_retry_in", 0, MAX_DELAY_SECONDS), retryable);

	result = job_fail(&rendering_queue, &caller, &render_id, token, retryable, retry_at, &error);
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
	char	   *reason;
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");
	reason = check_text(fcinfo, 1, "p_reason", 0, MAX_REASON_LENGTH);

	result = job_cancel(&rendering_queue, &caller, &render_id, reason);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Deletion of a parent of renderings
 * ------------------------------------------------------------------------ */

/* a kind of parent of renderings, and its locks in their order; NULL if there are no rows between */
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

/* Return the kind of parent that the argument of a trigger names. */
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

/* Lock the rows that a deletion cascades to.  Raises an error if a renderer works on one of them. */
static void
lock_and_check_renderings(const Parent *parent, const pg_uuid_t *id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, id);
	if (parent->lock_contents)
		statement_execute(parent->lock_contents, &args);
	if (parent->lock_sessions)
		statement_execute(parent->lock_sessions, &args);
	deletion_refuse_in_progress(&rendering_queue, deletion_lock_jobs(&rendering_queue, parent->lock_renderings, &args));
}

/*
 * forbid_delete_of_leased_renderings(parent) returns trigger: BEFORE DELETE on
 * companies, cm_module_content and mm_multimedia_sessions.  Raises an error if a
 * user deletes a row whose renderings a renderer works on: the owner of the tables
 * may have granted users the right to delete.  Services may delete it.
 */
Datum
forbid_delete_of_leased_renderings(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_DELETE, 1);
	const Parent *parent = parent_of_trigger(data);
	pg_uuid_t	id = row_get_uuid(RelationGetDescr(data->tg_relation), data->tg_trigtuple, parent->id_column);
	bool		service = caller_is_service();
	Caller		caller;

	if (!restoring() && !service)
	{
		caller_enter_trigger(&caller);
		lock_and_check_renderings(parent, &id);
		caller_leave(&caller);
	}
	return PointerGetDatum(data->tg_trigtuple);
}

/* ------------------------------------------------------------------------
 * Retries
 * ------------------------------------------------------------------------ */

/* Queue a failed rendering again. */
static void
retry(const Caller *caller, const pg_uuid_t *render_id)
{
	Job			job;

	system_job_lock_or_refuse(&rendering_queue, caller, render_id, &job);
	if (job_needs_retry(&rendering_queue, &job))
		job_requeue(&job, &requeue_rendering);
}

/*
 * retry_rendering(p_render_id uuid) returns jsonb
 */
Datum
retry_rendering(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	render_id;
	Datum		result;

	caller_enter_service(&caller);
	render_id = check_uuid(fcinfo, 0, "p_render_id");

	retry(&caller, &render_id);
	result = system_job_as_jsonb(&rendering_queue, &render_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Registration as a system of jobs
 * ------------------------------------------------------------------------ */

/* Raise the progress of a rendering, but never lower it.  A rendering has no column for a message. */
static void
show_progress(const pg_uuid_t *render_id, const int32 *progress, const char *message)
{
	Arguments	args = NO_ARGUMENTS;

	if (progress == NULL)
		return;
	argument_uuid(&args, render_id);
	argument_int32(&args, *progress);
	statement_execute(&update_progress, &args);
}

/* Get the error of a rendering; a cancelled one has the code of cancellations, whatever its row says. */
static void
read_error(TupleDesc desc, HeapTuple row, JobError *error)
{
	const char *status = row_get_label(desc, row, "status");

	error->code = row_get_start(desc, row, "error_code", 4 * MAX_SHORT_LENGTH);
	if (status != NULL && flow_state(&render_flow, status) == RENDER_CANCELLED)
		error->code = ERROR_CANCELLED;
	error->message = row_get_start(desc, row, "error_message", MAX_REPORT_BYTES);
}

/* Store what a renderer delivers: the file, if there is one. */
static void
finish(const Caller *caller, const pg_uuid_t *render_id, const pg_uuid_t *token, const JsonFields *result)
{
	pg_uuid_t	asset_id;

	complete(caller, render_id, token, field_uuid(result, "asset_id", &asset_id) ? &asset_id : NULL);
}

/* Read the error that a renderer reports. */
static void
take_error(const JsonFields *reported, JobError *error)
{
	error->code = field_text(reported, "code", MAX_SHORT_LENGTH);
	error->message = clip_text(field_text(reported, "message", PG_INT32_MAX), MAX_REPORT_BYTES);
}

/* Return true if the end of a job may cost credits, or give some back. */
static bool
may_cost(void)
{
	return setting_int32(SETTING_PRICE_RENDERING) > 0;
}

static const QueueSystem rendering_queue = {
	.name = "mm_rendering_queue",
	.flow = &render_flow,
	.first_open = RENDER_QUEUED,
	.succeeded = RENDER_COMPLETED,
	.failed = RENDER_FAILED,
	.cancelled = RENDER_CANCELLED,
	.noun = "rendering",
	.lock_job = &lock_rendering,
	.try_lock_job = &try_lock_rendering,
	.select_job = &select_rendering,
	.fail_job = &fail_or_cancel,
	.try_lock_payer = price_try_lock_payer,
	.count_retry = &count_rendering_retry,
	.note_cancel = &note_rendering_cancel,
	.show_progress = show_progress,
	.read_error = read_error,
	.finish = finish,
	.take_error = take_error,
	.retry = retry,
	.select_failed = &select_failed,
	.select_failed_with = &select_failed_with,
	.select_owners = &select_owners,
	.may_cost = may_cost,
	.statistics = &select_statistics
};

/*
 * Register renderings as a system of jobs; called when the library is loaded.
 */
void
rendering_register(void)
{
	queue_register(&rendering_queue);
}
