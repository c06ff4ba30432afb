/*
 * video.c
 *	  Video jobs: created, moved, completed, failed, cancelled and retried; their
 *	  steps, files and log lines; the dashboard.
 *
 * The functions change the status by plain UPDATEs, as users of SQL do: the
 * triggers of jobs check the flow, stamp times and progress, and settle or
 * release the hold.
 *
 * Pitfall: a worker that lost the connection before the result arrived repeats
 * its call.  The second call returns the same result and does not move the job
 * again.
 *
 * Lock order: user, project, job, then its steps, then the account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "auth_users.h"
#include "brief.h"
#include "caller.h"
#include "checks.h"
#include "deletions.h"
#include "errors.h"
#include "expiry.h"
#include "holds.h"
#include "job_actions.h"
#include "job_rows.h"
#include "jobs.h"
#include "leases.h"
#include "ledger.h"
#include "value_limits.h"
#include "monitor.h"
#include "new_jobs.h"
#include "policies.h"
#include "queue.h"
#include "restore.h"
#include "statements.h"
#include "triggers.h"
#include "uuids.h"
#include "video.h"

PG_FUNCTION_INFO_V1(lock_jobs_of_project);
PG_FUNCTION_INFO_V1(create_job);
PG_FUNCTION_INFO_V1(create_job_steps);
PG_FUNCTION_INFO_V1(update_job_step);
PG_FUNCTION_INFO_V1(advance_job);
PG_FUNCTION_INFO_V1(complete_job);
PG_FUNCTION_INFO_V1(fail_job);
PG_FUNCTION_INFO_V1(cancel_job);
PG_FUNCTION_INFO_V1(retry_job);
PG_FUNCTION_INFO_V1(record_asset);
PG_FUNCTION_INFO_V1(log_job);
PG_FUNCTION_INFO_V1(get_dashboard);

#define MAX_DASHBOARD 100

static const char *const asset_types[] = {"video", "audio", "image", "captions", "manifest", "zip"};
static const char *const log_levels[] = {"debug", "info", "warn", "error"};

static const char generated_steps[] =
"[\"scripting\", \"voice_gen\", \"alignment\", \"visual_plan\", \"image_gen\", \"timeline\", \"rendering\", \"packaging\"]";
static const char manual_steps[] =
"[\"voice_gen\", \"alignment\", \"visual_plan\", \"image_gen\", \"timeline\", \"rendering\", \"packaging\"]";

static const QueueSystem video_queue;

static Statement select_job_row = {
	.force_index_plan = true,
	.text = "SELECT j FROM @extschema@.jobs j WHERE j.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static const PolicedTable policed_jobs = {.name = "jobs",.select_row = &select_job_row};

static Statement lock_project_jobs = {
	.force_index_plan = true,
	.text = "SELECT j.id, j.status FROM @extschema@.jobs j WHERE j.project_id = $1 ORDER BY j.id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_job = {
	.operation = &(const RowOperation)
	{
		.table = &jobs_table,.verb = ROW_SELECT,.whole = true
	}
};
static Statement select_project_owner = {
	.force_index_plan = true,
	.text = "SELECT p.user_id FROM @extschema@.projects p WHERE p.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_project_key_share = {
	.force_index_plan = true,
	.text = "SELECT p.user_id FROM @extschema@.projects p WHERE p.id = $1 FOR KEY SHARE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement insert_job = {
	.text = "INSERT INTO @extschema@.jobs (project_id, user_id, priority, run_at, idempotency_key, max_attempts)"
	" VALUES ($1, $2, $3, $5, $6, $7)"
	" ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
	" RETURNING id",
	.nargs = 7,.argtypes = {UUIDOID, UUIDOID, INT4OID, INT4OID, TIMESTAMPTZOID, TEXTOID, INT4OID}
};

/*
 * with the arguments of insert_job, of which $4 is the price; the first hold is
 * that of create_job()
 */
static Statement find_job = {
	.force_index_plan = true,
	.text = "SELECT j.id, j.project_id = $1 AND COALESCE($4 = ("
	"   SELECT -l.amount FROM @extschema@.credit_ledger l WHERE l.job_id = j.id AND l.type = 'reserve'"
	"    ORDER BY l.entry_no LIMIT 1), false)"
	"  FROM @extschema@.jobs j WHERE j.user_id = $2 AND j.idempotency_key = $6",
	.nargs = 7,.argtypes = {UUIDOID, UUIDOID, INT4OID, INT4OID, TIMESTAMPTZOID, TEXTOID, INT4OID}
};
static Statement queue_job = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.jobs SET status = 'QUEUED' WHERE id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement count_active_jobs = {
	.force_index_plan = true,
	.text = "SELECT pg_catalog.count(*)::pg_catalog.int4 FROM @extschema@.jobs j"
	" WHERE j.user_id = $1 AND j.status NOT IN ('READY', 'FAILED')",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_transcript_mode = {
	.force_index_plan = true,
	.text = "SELECT p.transcript_mode FROM @extschema@.jobs j"
	"  JOIN @extschema@.projects p ON p.id = j.project_id WHERE j.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement check_steps = {
	.text = "SELECT CASE WHEN pg_catalog.jsonb_typeof($1) = 'array' THEN"
	"   (SELECT pg_catalog.count(*) BETWEEN 1 AND 100"
	"           AND pg_catalog.count(*) = pg_catalog.count(DISTINCT s.name)"
	"           AND pg_catalog.bool_and(pg_catalog.jsonb_typeof(s.name) = 'string'"
	"                                   AND pg_catalog.length(s.name #>> '{}') BETWEEN 1 AND 100)"
	"      FROM pg_catalog.jsonb_array_elements($1) s (name))"
	" ELSE false END",
	.nargs = 1,.argtypes = {JSONBOID}
};
static Statement insert_steps = {
	.text = "INSERT INTO @extschema@.job_steps (job_id, step_name, step_order)"
	" SELECT $1, s.name, (s.position + COALESCE((SELECT pg_catalog.max(o.step_order)"
	"          FROM @extschema@.job_steps o WHERE o.job_id = $1), 0))::pg_catalog.int4"
	"   FROM pg_catalog.jsonb_array_elements_text($2) WITH ORDINALITY s (name, position)"
	" ON CONFLICT (job_id, step_name) DO NOTHING",
	.nargs = 2,.argtypes = {UUIDOID, JSONBOID}
};
static Statement update_step = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.job_steps s"
	"   SET state = $3::@extschema@.step_status, progress_pct = COALESCE($4, s.progress_pct),"
	"       status_message = COALESCE($5, s.status_message), error_message = COALESCE($6, s.error_message)"
	" WHERE s.job_id = $1 AND s.step_name = $2"
	" RETURNING s.*",
	.nargs = 6,.argtypes = {UUIDOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID}
};
static Statement restart_steps = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.job_steps SET state = 'pending', status_message = NULL"
	" WHERE job_id = $1 AND state <> 'pending'",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement update_job = {
	.operation = &(const RowOperation)
	{
		.table = &jobs_table,.verb = ROW_UPDATE_CHANGED,
		.set = {SET_ARGUMENT(JOB_STATUS), SET_GIVEN(JOB_PROGRESS), SET_GIVEN(JOB_STATUS_MESSAGE)}
	}
};
static Statement update_progress = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.jobs j"
	"   SET progress = COALESCE($2, j.progress), status_message = COALESCE($3, j.status_message)"
	" WHERE j.id = $1"
	"   AND ($2 > COALESCE(j.progress, -1) OR ($3 <> COALESCE(j.status_message, '')))",
	.nargs = 3,.argtypes = {UUIDOID, INT4OID, TEXTOID}
};
static Statement finish_job = {
	.operation = &(const RowOperation)
	{
		.table = &jobs_table,.verb = ROW_UPDATE,
		.set = {SET_LABEL(JOB_STATUS, "READY"), SET_GIVEN(JOB_OUTPUT), SET_GIVEN(JOB_MANIFEST), SET_GIVEN(JOB_FINAL)}
	}
};

/* with the arguments of finish_job; manifests are not compared */
static Statement differs_from_finished = {
	.force_index_plan = true,
	.text = "SELECT COALESCE($2 <> j.output_url, false) OR COALESCE($4 <> j.cost_credits_final, false)"
	"  FROM @extschema@.jobs j WHERE j.id = $1",
	.nargs = 4,.argtypes = {UUIDOID, TEXTOID, JSONBOID, INT4OID}
};
static Statement write_job_failure = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.jobs"
	"   SET status = 'FAILED', error_code = $3, error_message = $4, failed_step = $5"
	" WHERE id = $1",
	.nargs = 5,.argtypes = {UUIDOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID}
};
static Statement requeue_job = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.jobs"
	"   SET status = 'QUEUED', status_message = NULL, failed_step = NULL, error_code = NULL,"
	"       error_message = NULL, cost_credits_final = NULL, run_at = NULL, cancel_requested_at = NULL"
	" WHERE id = $1"
	" RETURNING COALESCE(cost_credits_reserved, 0)",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement note_job_cancel = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.jobs SET cancel_requested_at = pg_catalog.clock_timestamp()"
	" WHERE id = $1 AND cancel_requested_at IS NULL",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement update_asset = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.assets a"
	"   SET url = $3, size_bytes = $5, mime_type = $6, metadata_json = COALESCE($7, '{}')"
	" WHERE a.id = (SELECT o.id FROM @extschema@.assets o"
	"                WHERE o.job_id = $1 AND o.type = $2 AND o.storage_path = $4"
	"                ORDER BY o.created_at, o.id LIMIT 1)"
	" RETURNING a.id",
	.nargs = 7,.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, JSONBOID}
};
static Statement insert_asset = {
	.text = "INSERT INTO @extschema@.assets (job_id, type, url, storage_path, size_bytes, mime_type, metadata_json)"
	" VALUES ($1, $2, $3, $4, $5, $6, COALESCE($7, '{}')) RETURNING id",
	.nargs = 7,.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, JSONBOID}
};
static Statement insert_log = {
	.text = "INSERT INTO @extschema@.logs (job_id, level, message, step_name, metadata_json)"
	" SELECT j.id, $2, $3, $4, COALESCE($5, '{}') FROM @extschema@.jobs j WHERE j.id = $1 FOR KEY SHARE"
	" RETURNING id",
	.nargs = 5,.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID}
};
static Statement select_newest_projects = {
	.force_index_plan = true,
	.text = "SELECT p.* FROM @extschema@.projects p WHERE p.user_id = $1 ORDER BY p.created_at DESC, p.id LIMIT $2",
	.nargs = 2,.argtypes = {UUIDOID, INT4OID}
};
static Statement select_newest_job = {
	.force_index_plan = true,
	.text = "SELECT l.* FROM @extschema@.jobs l WHERE l.project_id = $1 AND l.user_id = $2"
	" ORDER BY l.created_at DESC LIMIT 1",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

/* $1 project, $2 job or NULL, $3 names of truncated columns */
static Statement build_dashboard_entry = {
	.text = "SELECT $1 || pg_catalog.jsonb_build_object("
	"         'status', $2 -> 'status', 'progress', $2 -> 'progress', 'job', $2 - 'manifest_json')"
	"       || CASE WHEN $3 = '' THEN '{}'"
	"               ELSE pg_catalog.jsonb_build_object('truncated', pg_catalog.string_to_array($3, ',')) END",
	.nargs = 3,.argtypes = {JSONBOID, JSONBOID, TEXTOID}
};
static Statement build_dashboard = {
	.text = "SELECT COALESCE(pg_catalog.jsonb_agg(e.entry ORDER BY e.number), '[]')"
	"  FROM pg_catalog.unnest($1) WITH ORDINALITY e (entry, number)",
	.nargs = 1,.argtypes = {JSONBARRAYOID}
};

/* jobs j that failed with an error code, or with any but that of cancellations */
#define FAILED_WITH(code) "j.status = 'FAILED'" \
	" AND CASE WHEN " code " IS NULL THEN COALESCE(j.error_code, '') <> '" ERROR_CANCELLED "' ELSE j.error_code = " code " END"

static Statement select_failed = {
	.force_index_plan = true,
	.text = "SELECT j.id FROM @extschema@.jobs j WHERE " FAILED_WITH("$1")
	"   AND ($2 IS NULL OR COALESCE(j.finished_at, j.created_at) >= $2)"
	" ORDER BY j.created_at, j.id LIMIT $3",
	.nargs = 3,.argtypes = {TEXTOID, TIMESTAMPTZOID, INT4OID}
};
static Statement select_failed_with = {
	.force_index_plan = true,
	.text = "SELECT j.id FROM @extschema@.jobs j WHERE j.id = $1 AND " FAILED_WITH("$2"),
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_owners = {
	.force_index_plan = true,
	.text = "SELECT j.id, j.user_id FROM @extschema@.jobs j WHERE j.id = ANY ($1)",
	.nargs = 1,.argtypes = {UUIDARRAYOID}
};
static Statement select_statistics = {
	.text = JOB_STATISTICS("jobs", "id", "READY", "FAILED",
						   "j.id, j.status::pg_catalog.text AS status, j.created_at, j.finished_at AS ended_at,"
						   " CASE WHEN pg_catalog.isfinite(j.created_at) AND pg_catalog.isfinite(j.finished_at)"
						   "      THEN EXTRACT(epoch FROM j.finished_at - j.created_at)::pg_catalog.numeric * 1000 END AS ms",
						   FAILURE_TEXTS(", 'step', " FAILURE_TEXT("j.failed_step"))),
	.nargs = 2,.argtypes = {UUIDOID, TIMESTAMPTZOID}
};

/*
 * lock_jobs_of_project() returns trigger: BEFORE DELETE on projects.  Users must
 * cancel the jobs in progress first; services, and the deletion of the user,
 * need not.
 */
Datum
lock_jobs_of_project(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_DELETE, 0);
	pg_uuid_t	project_id = row_get_uuid(RelationGetDescr(data->tg_relation), data->tg_trigtuple, "id");
	Arguments	args = NO_ARGUMENTS;
	bool		service = caller_is_service();
	List	   *jobs;
	Caller		caller;

	if (!restoring())
	{
		argument_uuid(&args, &project_id);
		caller_enter_trigger(&caller);
		jobs = deletion_lock_jobs(&video_queue, &lock_project_jobs, &args);
		if (!service)
			deletion_refuse_in_progress(&video_queue, jobs);
		caller_leave(&caller);
	}
	return PointerGetDatum(data->tg_trigtuple);
}

/* ------------------------------------------------------------------------
 * Creating jobs
 * ------------------------------------------------------------------------ */

/* Open the hold of a job that was created or requeued; error if credits are short. */
static void
pay_for_job(const Job *job, int32 amount)
{
	Account		account;

	ledger_open_account(&job->user_id, &account);
	job_check_active_limit(&count_active_jobs, &job->user_id);
	if (amount == 0)
		ledger_touch_account(&job->user_id);
	else if (!hold_take(job, amount))
		refuse_no_credits(&account, amount);
}

/* Add steps after the existing ones; return how many were added. */
static uint64
add_steps(const pg_uuid_t *job_id, Datum steps)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_add(&args, steps, false);
	return statement_execute(&insert_steps, &args);
}

/* Add one step per stage; a project with its own script has no scripting stage. */
static uint64
add_default_steps(const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;
	const char *mode;
	const char *steps = generated_steps;

	argument_uuid(&args, job_id);
	statement_execute(&select_transcript_mode, &args);
	mode = result_text(1);
	if (mode != NULL && strcmp(mode, "manual") == 0)
		steps = manual_steps;
	return add_steps(job_id, DirectFunctionCall1(jsonb_in, CStringGetDatum(steps)));
}

/*
 * Lock a user and their project FOR KEY SHARE, so that neither is deleted; return
 * the user.
 */
static pg_uuid_t
lock_user_and_project(const Caller *caller, const pg_uuid_t *project_id)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	user_id;

	argument_uuid(&args, project_id);
	if (statement_execute(&select_project_owner, &args) == 0)
		refuse_unknown(caller, "project", project_id);
	user_id = result_uuid(1);
	if (!user_lock_key_share(&user_id) || statement_execute(&lock_project_key_share, &args) == 0)
		refuse_unknown(caller, "project", project_id);
	return user_id;
}

/* Insert a job, which is PENDING, and set its id; false if there is one under its key. */
static bool
insert_pending_job(Job *job, int32 priority, int32 cost, const NewJob *new)
{
	Arguments	args = NO_ARGUMENTS;
	NewJobResult made;

	argument_uuid(&args, &job->project_id);
	argument_uuid(&args, &job->user_id);
	argument_int32(&args, priority);
	argument_int32(&args, cost);
	new_job_arguments(new, &args);
	made = new_job_insert(new, &find_job, &insert_job, &args, &job->id);
	if (made == JOB_NOT_STORED)
		refuse_lost_row();
	return made == JOB_INSERTED;
}

/* Add the steps of a new job, pay for it, and queue it. */
static void
start_job(const Job *job, int32 cost)
{
	Arguments	args = NO_ARGUMENTS;

	add_default_steps(&job->id);
	pay_for_job(job, cost);
	argument_uuid(&args, &job->id);
	statement_execute(&queue_job, &args);
}

/*
 * create_job(p_project_id uuid, p_cost_credits integer, p_priority integer,
 * p_run_at timestamptz, p_idempotency_key text, p_max_attempts integer) returns
 * uuid
 */
Datum
create_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	Job			job = {.status = JOB_PENDING};
	pg_uuid_t  *job_id = palloc(sizeof(pg_uuid_t));
	int32		cost,
				priority;
	NewJob		new;

	caller_enter_service(&caller);
	job.project_id = check_uuid(fcinfo, 0, "p_project_id");
	cost = check_positive(fcinfo, 1, "p_cost_credits");
	priority = check_int32(fcinfo, 2, "p_priority", PG_INT32_MIN, PG_INT32_MAX);
	new = new_job_check(fcinfo, 3, &caller);

	job.user_id = lock_user_and_project(&caller, &job.project_id);
	if (insert_pending_job(&job, priority, cost, &new))
		start_job(&job, cost);
	*job_id = job.id;
	caller_leave(&caller);

	PG_RETURN_UUID_P(job_id);
}

/* ------------------------------------------------------------------------
 * Steps
 * ------------------------------------------------------------------------ */

/* Raise an error unless p_steps is an array of distinct names. */
static void
check_step_names(Datum steps)
{
	Arguments	args = NO_ARGUMENTS;

	argument_add(&args, steps, false);
	statement_execute(&check_steps, &args);
	if (!result_bool(1))
		refuse_value("p_steps", "an array of 1 to 100 different names of 1 to 100 characters");
}

/*
 * create_job_steps(p_job_id uuid, p_steps jsonb, p_lease_token uuid) returns
 * integer
 */
Datum
create_job_steps(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 2);
	Datum		steps = (Datum) 0;
	Job			job;
	uint64		added;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	if (!PG_ARGISNULL(1))
	{
		steps = PG_GETARG_DATUM(1);
		check_step_names(steps);
	}

	job_lock_or_refuse(&caller, &job_id, &job);
	job_require_work(&video_queue, &job, token);
	added = steps == (Datum) 0 ? add_default_steps(&job_id) : add_steps(&job_id, steps);
	caller_leave(&caller);

	PG_RETURN_INT32((int32) added);
}

/* Raise the error for a job or a step that does not exist. */
pg_noreturn static void
refuse_unknown_step(const pg_uuid_t *job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_NOT_FOUND),
			 errmsg("not found"),
			 errdetail("Job %s has no such step.", uuid_text(job_id)),
			 errhint("create_job_steps() adds steps.")));
}

/*
 * update_job_step(p_job_id uuid, p_step_name text, p_state text,
 * p_progress_pct integer, p_status_message text, p_error_message text,
 * p_lease_token uuid) returns jsonb
 */
Datum
update_job_step(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_first(fcinfo, 6);
	Caller		caller;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 6);
	Job			job;
	Datum		step;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	check_not_null(fcinfo, 1, "p_step_name");
	check_word(fcinfo, 2, "p_state", step_state_names, STEP_STATES);
	check_optional_int32(fcinfo, 3, "p_progress_pct", 0, 100);

	if (!job_lock(&job_id, &job))
		refuse_unknown_step(&job_id);
	job_require_work(&video_queue, &job, token);
	if (statement_execute(&update_step, &args) == 0)
		refuse_unknown_step(&job_id);
	step = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(step);
}

/* ------------------------------------------------------------------------
 * Moving jobs
 * ------------------------------------------------------------------------ */

/* Move a job, with the arguments of update_job. */
static void
advance(const Caller *caller, const pg_uuid_t *job_id, const pg_uuid_t *token, JobStatus asked, bool hand_over,
		const Arguments *args)
{
	Job			job;
	Lease		lease;

	job_lock_or_refuse(caller, job_id, &job);
	if (job_has_moved(&video_queue, &job, token, asked, hand_over, &lease))
		return;
	statement_execute(&update_job, args);
	job_hand_over(&lease, asked, hand_over);
}

/*
 * advance_job(p_job_id uuid, p_status text, p_progress integer,
 * p_status_message text, p_lease_token uuid, p_hand_over boolean) returns jsonb
 */
Datum
advance_job(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_first(fcinfo, 4);
	Caller		caller;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 4);
	bool		hand_over;
	JobStatus	asked;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	asked = flow_state(&job_flow, check_word(fcinfo, 1, "p_status", job_status_names, JOB_STATUSES));
	check_optional_int32(fcinfo, 2, "p_progress", 0, 100);
	hand_over = check_bool(fcinfo, 5, "p_hand_over");

	advance(&caller, &job_id, token, asked, hand_over, &args);
	result = system_job_as_jsonb(&video_queue, &job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Complete a job, with the arguments of finish_job. */
static void
complete(const Caller *caller, const pg_uuid_t *job_id, const pg_uuid_t *token, const Arguments *args)
{
	Job			job;

	job_lock_or_refuse(caller, job_id, &job);
	if (!job_was_completed(&video_queue, &job, token))
		statement_execute(&finish_job, args);
	else if (statement_execute(&differs_from_finished, args) > 0 && result_bool(1))
		refuse_completed_differently(job_id);
}

/*
 * complete_job(p_job_id uuid, p_output_url text, p_manifest jsonb,
 * p_final_cost integer, p_lease_token uuid) returns jsonb
 */
Datum
complete_job(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_first(fcinfo, 4);
	Caller		caller;
	pg_uuid_t	job_id;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	check_optional_int32(fcinfo, 3, "p_final_cost", 0, PG_INT32_MAX);

	complete(&caller, &job_id, optional_uuid(fcinfo, 4), &args);
	result = system_job_as_jsonb(&video_queue, &job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * fail_job(p_job_id uuid, p_error_code text, p_error_message text,
 * p_failed_step text, p_retryable boolean, p_lease_token uuid,
 * p_retry_in interval) returns jsonb
 */
Datum
fail_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 5);
	const bool *retryable = optional_bool(fcinfo, 4);
	const TimestampTz *retry_at;
	JobError	error = {NULL};
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	error.code = check_text(fcinfo, 1, "p_error_code", 0, MAX_SHORT_LENGTH);
	error.message = clip_text(check_text(fcinfo, 2, "p_error_message", 0, PG_INT32_MAX), MAX_REPORT_BYTES);
	error.step = check_text(fcinfo, 3, "p_failed_step", 0, MAX_SHORT_LENGTH);
	retry_at = job_retry_at(check_duration(fcinfo, 6, "p_retry_in", 0, MAX_DELAY_SECONDS), retryable);

	result = job_fail(&video_queue, &caller, &job_id, token, retryable, retry_at, &error);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * cancel_job(p_job_id uuid, p_reason text) returns jsonb
 */
Datum
cancel_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	char	   *reason;
	Datum		result;

	caller_enter_user(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	reason = check_text(fcinfo, 1, "p_reason", 0, MAX_REASON_LENGTH);

	result = job_cancel(&video_queue, &caller, &job_id, reason);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Queue a failed job and start its steps over; returns what the new attempt costs. */
static int32
requeue(const Job *job)
{
	int32		price;

	job_requeue(job, &requeue_job);
	price = result_int32(1);
	job_requeue(job, &restart_steps);
	/* cost_credits_reserved can be edited; the last hold cannot */
	return Max(price, hold_last_taken(&job->id, &job->user_id));
}

/* Queue a failed job again and pay for it. */
static void
retry(const Caller *caller, const pg_uuid_t *job_id)
{
	Job			job;

	job_lock_or_refuse(caller, job_id, &job);
	if (!job_needs_retry(&video_queue, &job))
		return;
	policies_check_uuid(caller, &policed_jobs, job_id, ROW_TO_UPDATE);
	pay_for_job(&job, requeue(&job));
	policies_check_uuid(caller, &policed_jobs, job_id, ROW_UPDATED);
}

/*
 * retry_job(p_job_id uuid) returns jsonb
 */
Datum
retry_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	Datum		result;

	caller_enter_user(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");

	retry(&caller, &job_id);
	result = system_job_as_jsonb(&video_queue, &job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Files and log lines of jobs, and the dashboard
 * ------------------------------------------------------------------------ */

/*
 * record_asset(p_job_id uuid, p_type text, p_url text, p_storage_path text,
 * p_size_bytes bigint, p_mime_type text, p_metadata jsonb, p_lease_token uuid)
 * returns uuid
 */
Datum
record_asset(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_first(fcinfo, 7);
	Caller		caller;
	pg_uuid_t	job_id;
	pg_uuid_t  *asset_id = palloc(sizeof(pg_uuid_t));
	const pg_uuid_t *token = optional_uuid(fcinfo, 7);
	Job			job;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	check_word(fcinfo, 1, "p_type", asset_types, lengthof(asset_types));
	check_not_null(fcinfo, 2, "p_url");
	check_not_null(fcinfo, 3, "p_storage_path");
	if (!PG_ARGISNULL(4) && PG_GETARG_INT64(4) < 0)
		refuse_value("p_size_bytes", "0 or more");

	/* the lock of the job serializes two reports of one file */
	job_lock_or_refuse(&caller, &job_id, &job);
	job_require_work(&video_queue, &job, token);
	job_touch(&job);
	if (statement_execute(&update_asset, &args) == 0)
		statement_execute(&insert_asset, &args);
	*asset_id = result_uuid(1);
	caller_leave(&caller);

	PG_RETURN_UUID_P(asset_id);
}

/*
 * log_job(p_job_id uuid, p_level text, p_message text, p_step_name text,
 * p_metadata jsonb, p_lease_token uuid) returns uuid
 */
Datum
log_job(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_first(fcinfo, 5);
	Caller		caller;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 5);
	Lease		lease;
	pg_uuid_t  *log_id = palloc(sizeof(pg_uuid_t));
	Job			job;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	check_word(fcinfo, 1, "p_level", log_levels, lengthof(log_levels));
	check_not_null(fcinfo, 2, "p_message");

	/* a log line needs no lease, but a token that is passed must be valid */
	if (token != NULL)
	{
		job_lock_or_refuse(&caller, &job_id, &job);
		if (lease_check(&video_queue, &job, token, &lease) == LEASE_ENDED)
			refuse_lease(&job_id);
	}
	if (statement_execute(&insert_log, &args) == 0)
		refuse_unknown(&caller, "job", &job_id);
	*log_id = result_uuid(1);
	caller_leave(&caller);

	PG_RETURN_UUID_P(log_id);
}

/* Return the newest job of a project, in brief; 0 if it has none. */
static Datum
get_newest_job(HeapTuple project, TupleDesc desc, List **cut)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	project_id = row_get_uuid(desc, project, "id");
	pg_uuid_t	user_id = row_get_uuid(desc, project, "user_id");
	FoundRows	jobs;

	argument_uuid(&args, &project_id);
	argument_uuid(&args, &user_id);
	jobs = statement_execute_read_only_rows(&select_newest_job, &args);
	if (jobs.n == 0)
		return (Datum) 0;
	return brief_jsonb(jobs.rows[0], jobs.desc, "job.", "manifest_json", cut);
}

/* Return names separated by commas. */
static char *
join_names(const List *names)
{
	StringInfoData all;
	ListCell   *cell;

	initStringInfo(&all);
	foreach(cell, names)
		appendStringInfo(&all, "%s%s", all.len > 0 ? "," : "", (char *) lfirst(cell));
	return all.data;
}

/* Return a project with its newest job; long values are cut, so that its size is limited. */
static Datum
get_dashboard_entry(HeapTuple project, TupleDesc desc)
{
	Arguments	args = NO_ARGUMENTS;
	List	   *cut = NIL;
	Datum		job;

	argument_add(&args, brief_jsonb(project, desc, "", NULL, &cut), false);
	job = get_newest_job(project, desc, &cut);
	argument_add(&args, job, job == (Datum) 0);
	argument_text(&args, join_names(cut));
	statement_execute_read_only(&build_dashboard_entry, &args);
	return result_datum(1);
}

/*
 * get_dashboard(p_user_id uuid, p_limit integer) returns jsonb
 */
Datum
get_dashboard(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Arguments	entries = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	user_id;
	FoundRows	projects;
	Datum		found[MAX_DASHBOARD];
	Datum		result;

	caller_enter_user(&caller);
	user_id = PG_ARGISNULL(0) && !caller.service ? caller.uid : check_uuid(fcinfo, 0, "p_user_id");
	caller_require_self(&caller, &user_id);
	argument_uuid(&args, &user_id);
	argument_int32(&args, check_int32(fcinfo, 1, "p_limit", 1, MAX_DASHBOARD));
	projects = statement_execute_read_only_rows(&select_newest_projects, &args);
	for (uint64 i = 0; i < projects.n; i++)
		found[i] = get_dashboard_entry(projects.rows[i], projects.desc);

	argument_add(&entries, PointerGetDatum(construct_array(found, projects.n, JSONBOID,
														   -1, false, TYPALIGN_INT)), false);
	statement_execute_read_only(&build_dashboard, &entries);
	result = result_jsonb(1);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Callbacks of the queue
 * ------------------------------------------------------------------------ */

/* Lock the account of a user, to which the hold of the job returns; false if it is locked. */
static bool
try_lock_payer(const Workflow *flow, const pg_uuid_t *job_id, const pg_uuid_t *user_id)
{
	return ledger_try_lock_payer(user_id);
}

/* Write the progress of a heartbeat. */
static void
show_progress(const pg_uuid_t *job_id, const int32 *progress, const char *message)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_add(&args, progress ? Int32GetDatum(*progress) : (Datum) 0, progress == NULL);
	argument_text(&args, message);
	statement_execute(&update_progress, &args);
}

/* Read why a job failed from its row; the texts are cut. */
static void
read_error(TupleDesc desc, HeapTuple row, JobError *error)
{
	error->code = row_get_start(desc, row, "error_code", 4 * MAX_SHORT_LENGTH);
	error->message = row_get_start(desc, row, "error_message", MAX_REPORT_BYTES);
	error->step = row_get_start(desc, row, "failed_step", 4 * MAX_SHORT_LENGTH);
}

/* Store what a worker delivers: a status hands the job over, the result completes it. */
static void
finish(const Caller *caller, const pg_uuid_t *job_id, const pg_uuid_t *token, const JsonFields *result)
{
	Arguments	args = NO_ARGUMENTS;
	char	   *status = field_text(result, "status", MAX_SHORT_LENGTH);
	int			asked = status ? flow_state(&job_flow, status) : UNKNOWN_STATE;
	int64		cost;
	bool		has_cost = field_integer(result, "cost_credits_final", 0, PG_INT32_MAX, &cost);
	Datum		manifest = field_jsonb(result, "manifest_json");

	argument_uuid(&args, job_id);
	if (status != NULL && asked == UNKNOWN_STATE)
		refuse_field(result, "status", "a status of jobs");
	if (status != NULL && asked != JOB_READY)
	{
		argument_text(&args, status);
		argument_add(&args, (Datum) 0, true);
		argument_text(&args, field_text(result, "status_message", MAX_REPORT_BYTES));
		advance(caller, job_id, token, asked, true, &args);
		return;
	}
	argument_text(&args, field_text(result, "output_url", MAX_REPORT_BYTES));
	argument_add(&args, manifest, manifest == (Datum) 0);
	argument_add(&args, Int32GetDatum(has_cost ? (int32) cost : 0), !has_cost);
	complete(caller, job_id, token, &args);
}

/* Read the error that a worker reports. */
static void
take_error(const JsonFields *reported, JobError *error)
{
	error->code = field_text(reported, "code", MAX_SHORT_LENGTH);
	error->message = clip_text(field_text(reported, "message", PG_INT32_MAX), MAX_REPORT_BYTES);
	error->step = field_text(reported, "step", MAX_SHORT_LENGTH);
}

/* Return true if the end of a job may cost credits, or give some back. */
static bool
may_cost(void)
{
	return true;
}

static const QueueSystem video_queue = {
	.name = "jobs",
	.flow = &job_flow,
	.first_open = JOB_QUEUED,
	.succeeded = JOB_READY,
	.failed = JOB_FAILED,
	.cancelled = JOB_FAILED,
	.noun = "job",
	.policed = &policed_jobs,
	.lock_job = &job_lock_statement,
	.try_lock_job = &job_try_lock_statement,
	.select_job = &select_job,
	.fail_job = &write_job_failure,
	.note_cancel = &note_job_cancel,
	.try_lock_payer = try_lock_payer,
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

static const RowTrigger queue_triggers[] = {
	QUEUE_TRIGGER("jobs", "id", JOB_STATUS, &video_queue)
};

/*
 * Register the system of video jobs, and the callback that replaces the trigger
 * of its queue in the fast path.
 */
void
video_register(void)
{
	queue_register(&video_queue);
	layout_register_triggers(&jobs_table, queue_triggers, lengthof(queue_triggers));
}
