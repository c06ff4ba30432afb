/*
 * refinement.c
 *	  Studio jobs: a recording becomes a transcript, the transcript becomes
 *	  text in the voice of the brand.
 *
 * Status changes are plain UPDATEs here too: the trigger of the flow checks
 * them, and the one of the queue follows them.
 *
 * Pitfall: users may insert and move their own jobs by plain SQL, so what binds
 * them is in triggers.  The functions run as the owner of the tables, for whom
 * the triggers do not ask; they check by themselves.
 *
 * Lock order: user, job, its row in the queue, then the account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "auth_users.h"
#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "job_rows.h"
#include "jobs.h"
#include "leases.h"
#include "ledger.h"
#include "limits.h"
#include "monitor.h"
#include "queue.h"
#include "restore.h"
#include "settings.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(default_studio_job);
PG_FUNCTION_INFO_V1(limit_studio_jobs);
PG_FUNCTION_INFO_V1(create_studio_job);
PG_FUNCTION_INFO_V1(update_studio_job_status);
PG_FUNCTION_INFO_V1(store_transcript);
PG_FUNCTION_INFO_V1(store_enrichment);
PG_FUNCTION_INFO_V1(store_refined_text);
PG_FUNCTION_INFO_V1(fail_studio_job);
PG_FUNCTION_INFO_V1(cancel_studio_job);
PG_FUNCTION_INFO_V1(retry_studio_job);

#define MAX_URL_LENGTH 8192
#define MAX_PROMPT_LENGTH 500000
#define MAX_REASON_LENGTH 1000
#define MAX_ERROR_SIZE (256 * 1024)

#define LOCK_STUDIO_JOB \
	"SELECT j.user_id, j.status FROM @extschema@.studio_jobs j" \
	" WHERE j.job_id = $1 AND ($2 IS NULL OR j.user_id = $2) FOR NO KEY UPDATE"

static Statement lock_studio_job = {
	.by_index = true,
	.direct = lock_studio_job_directly,
	.text = LOCK_STUDIO_JOB,
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_studio_owner = {
	.by_index = true,
	.text = "SELECT j.user_id FROM @extschema@.studio_jobs j WHERE j.job_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement try_lock_studio_job = {
	.by_index = true,
	.direct = try_lock_studio_job_directly,
	.text = LOCK_STUDIO_JOB " SKIP LOCKED",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_studio_job = {
	.by_index = true,
	.direct = select_studio_job_directly,
	.text = "SELECT j.* FROM @extschema@.studio_jobs j WHERE j.job_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement insert_studio_job = {
	.by_index = true,
	.text = "INSERT INTO @extschema@.studio_jobs AS j (user_id, raw_audio_url, system_prompt_used, priority)"
	" VALUES ($1, $2, $3, $4) RETURNING j.*",
	.nargs = 4,.argtypes = {UUIDOID, TEXTOID, TEXTOID, INT4OID}
};
static Statement count_active_studio_jobs = {
	.by_index = true,
	.text = "SELECT pg_catalog.count(*)::pg_catalog.int4 FROM @extschema@.studio_jobs j"
	" WHERE j.user_id = $1 AND j.status NOT IN ('COMPLETE', 'FAILED')",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement move_studio_job = {
	.by_index = true,
	.direct = move_studio_job_directly,
	.text = "UPDATE @extschema@.studio_jobs SET status = $2 WHERE job_id = $1 AND status <> $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement write_transcript = {
	.by_index = true,
	.direct = write_transcript_directly,
	.text = "UPDATE @extschema@.studio_jobs SET status = 'ENRICHING', raw_transcript = $2 WHERE job_id = $1",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement write_entities = {
	.by_index = true,
	.direct = write_entities_directly,
	.text = "UPDATE @extschema@.studio_jobs SET status = 'REFINING', enrichment_entities = $2 WHERE job_id = $1",
	.nargs = 2,.argtypes = {UUIDOID, JSONBOID}
};
static Statement write_refined_text = {
	.by_index = true,
	.direct = write_refined_text_directly,
	.text = "UPDATE @extschema@.studio_jobs j"
	"   SET status = 'COMPLETE', refined_text = $2, model_version = COALESCE($3, j.model_version)"
	" WHERE j.job_id = $1",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement is_same_text = {
	.by_index = true,
	.text = "SELECT j.refined_text IS NOT DISTINCT FROM $2"
	"   AND COALESCE($3 = j.model_version, $3 IS NULL)"
	"  FROM @extschema@.studio_jobs j WHERE j.job_id = $1",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement end_studio_job = {
	.by_index = true,
	.text = "UPDATE @extschema@.studio_jobs"
	"   SET status = 'FAILED', error_details = COALESCE($2, NULLIF(pg_catalog.jsonb_strip_nulls("
	"         pg_catalog.jsonb_build_object('code', $3, 'message', $4)), '{}'), error_details)"
	" WHERE job_id = $1",
	.nargs = 4,.argtypes = {UUIDOID, JSONBOID, TEXTOID, TEXTOID}
};
static Statement requeue_studio_job = {
	.by_index = true,
	.text = "UPDATE @extschema@.studio_jobs SET status = 'NEW', retry_count = retry_count + 1 WHERE job_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement count_studio_retry = {
	.by_index = true,
	.text = "UPDATE @extschema@.studio_jobs SET retry_count = retry_count + 1 WHERE job_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

static Statement select_statistics = {
	.text = JOB_STATISTICS("studio_jobs", "job_id", "COMPLETE", "FAILED",
						   "j.job_id AS id, j.status, j.created_at, j.processing_time_ms AS ms,"
						   " j.created_at + j.processing_time_ms * interval '1 millisecond' AS ended_at",
						   "j.error_details"),
	.nargs = 2,.argtypes = {UUIDOID, TIMESTAMPTZOID}
};

/* a locked studio job */
typedef struct StudioJob
{
	pg_uuid_t	id;
	pg_uuid_t	user_id;
	StudioStatus status;
} StudioJob;

static bool
lock_of(Statement *statement, const pg_uuid_t *job_id, const pg_uuid_t *user_id, StudioJob *job)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_uuid(&args, user_id);
	if (statement_run(statement, &args) == 0)
		return false;
	job->id = *job_id;
	job->user_id = result_uuid(1);
	job->status = flow_state(&studio_flow, result_text(2));
	return true;
}

/* A user does not wait for the lock of a foreign job. */
static void
lock_or_refuse(const Caller *caller, const pg_uuid_t *job_id, StudioJob *job)
{
	if (!lock_of(&lock_studio_job, job_id, caller->service ? NULL : &caller->uid, job))
		refuse_unknown(caller, "studio job", job_id);
}

static Datum
as_jsonb(const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	statement_run(&select_studio_job, &args);
	return result_row();
}

/* ------------------------------------------------------------------------
 * What binds users who write by plain SQL
 * ------------------------------------------------------------------------ */

/* Users do not jump the queue further than the setting lets them. */
static void
check_user_priority(const char *name, int32 priority)
{
	int32		limit = setting_int32(SETTING_MAX_USER_PRIORITY);

	if (priority > limit)
		refuse_value(name, psprintf("at most %d", limit));
}

static void
fill_prompt(RowEdit *edit)
{
	bool		isnull;

	(void) row_get(edit->desc, edit->row, "system_prompt_used", TEXTOID, &isnull);
	if (isnull)
		row_set(edit, "system_prompt_used", TEXTOID,
				SPI_datumTransfer(CStringGetTextDatum(setting_text(SETTING_DEFAULT_SYSTEM_PROMPT)),
								  false, -1));
}

static int32
row_priority(TupleDesc desc, HeapTuple row)
{
	bool		isnull;
	int32		priority = DatumGetInt32(row_get(desc, row, "priority", INT4OID, &isnull));

	return isnull ? 0 : priority;
}

/* A priority that a service gave may stay. */
static void
check_row_priority(const TriggerData *data)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	int32		priority = row_priority(desc, trigger_new_row(data));

	if (TRIGGER_FIRED_BY_INSERT(data->tg_event) || priority > row_priority(desc, data->tg_trigtuple))
		check_user_priority("priority", priority);
}

/*
 * default_studio_job() returns trigger: BEFORE INSERT OR UPDATE.
 */
Datum
default_studio_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	bool		service = caller_is_service();
	Caller		caller;

	if (!restoring())
	{
		caller_enter_trigger(&caller);
		if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
			fill_prompt(&edit);
		if (!service)
			check_row_priority(data);
		caller_leave(&caller);
	}
	return PointerGetDatum(row_edit_apply(&edit));
}

/* Has the user too many jobs, one that was just made included? */
static void
check_active(const pg_uuid_t *user_id)
{
	Account		account;

	if (!active_jobs_limited())
		return;
	ledger_open_account(user_id, &account);
	check_active_jobs(&count_active_studio_jobs, user_id);
	ledger_touch_account(user_id);
}

/*
 * limit_studio_jobs() returns trigger: AFTER INSERT.
 */
Datum
limit_studio_jobs(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT, 0);
	pg_uuid_t	user_id;
	Caller		caller;

	if (!caller_is_service() && !restoring())
	{
		user_id = row_get_uuid(RelationGetDescr(data->tg_relation), data->tg_trigtuple, "user_id");
		caller_enter_trigger(&caller);
		check_active(&user_id);
		caller_leave(&caller);
	}
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Making and moving jobs
 * ------------------------------------------------------------------------ */

/* Text of at least one character, or nothing. */
static void
add_optional_text(Arguments *args, FunctionCallInfo fcinfo, int argno, const char *name, int max)
{
	argument_text(args, PG_ARGISNULL(argno) ? NULL : check_text(fcinfo, argno, name, 1, max));
}

/*
 * create_studio_job(p_user_id uuid, p_raw_audio_url text, p_system_prompt text,
 * p_priority integer) returns jsonb
 */
Datum
create_studio_job(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	user_id;
	int32		priority;
	Datum		result;

	caller_enter_user(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	caller_require_self(&caller, &user_id);
	priority = check_int32(fcinfo, 3, "p_priority", PG_INT32_MIN, PG_INT32_MAX);
	if (!caller.service)
		check_user_priority("p_priority", priority);

	argument_uuid(&args, &user_id);
	argument_text(&args, check_text(fcinfo, 1, "p_raw_audio_url", 1, MAX_URL_LENGTH));
	add_optional_text(&args, fcinfo, 2, "p_system_prompt", MAX_PROMPT_LENGTH);
	argument_int32(&args, priority);
	if (!user_keep(&user_id))
		refuse_unknown(&caller, "user", &user_id);
	statement_run(&insert_studio_job, &args);
	result = result_row();
	check_active(&user_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Lock a job for a step of the work on it. */
static void
lock_for_work(const Caller *caller, FunctionCallInfo fcinfo, int lease_argno, StudioJob *job)
{
	pg_uuid_t	job_id = check_uuid(fcinfo, 0, "p_job_id");
	Lease		lease;

	lock_or_refuse(caller, &job_id, job);
	lease_require_work(lease_check(&refinement_queue, &job_id, fcinfo, lease_argno, &lease), &lease);
}

/*
 * Write the second argument of a function and move the job; the lease token is
 * the third.
 */
static Datum
write_step(const Caller *caller, FunctionCallInfo fcinfo, Statement *statement)
{
	Arguments	args = NO_ARGUMENTS;
	StudioJob	job;

	lock_for_work(caller, fcinfo, 2, &job);
	argument_uuid(&args, &job.id);
	argument_add(&args, PG_GETARG_DATUM(1), false);
	statement_run(statement, &args);
	return as_jsonb(&job.id);
}

/*
 * update_studio_job_status(p_job_id uuid, p_status text, p_lease_token uuid)
 * returns jsonb
 */
Datum
update_studio_job_status(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	job_id;
	StudioJob	job;
	StudioStatus asked;
	Lease		lease;
	LeaseState	state;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	asked = flow_state(&studio_flow, check_word(fcinfo, 1, "p_status", studio_status_names, STUDIO_STATUSES));

	lock_or_refuse(&caller, &job_id, &job);
	state = lease_check(&refinement_queue, &job_id, fcinfo, 2, &lease);
	if (!lease_replays_end(state, &lease) || !flow_is_terminal(&studio_flow, job.status) || job.status != asked)
	{
		lease_require_work(state, &lease);
		argument_uuid(&args, &job_id);
		argument_add(&args, PG_GETARG_DATUM(1), false);
		statement_run(&move_studio_job, &args);
	}
	result = as_jsonb(&job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * store_transcript(p_job_id uuid, p_transcript text, p_lease_token uuid)
 * returns jsonb
 */
Datum
store_transcript(PG_FUNCTION_ARGS)
{
	Caller		caller;
	Datum		result;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 1, "p_transcript");
	result = write_step(&caller, fcinfo, &write_transcript);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * store_enrichment(p_job_id uuid, p_entities jsonb, p_lease_token uuid)
 * returns jsonb
 */
Datum
store_enrichment(PG_FUNCTION_ARGS)
{
	Caller		caller;
	Datum		result;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 1, "p_entities");
	result = write_step(&caller, fcinfo, &write_entities);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* A job that is COMPLETE already: with this text? */
static void
check_same_text(const Arguments *args, const pg_uuid_t *job_id)
{
	if (statement_run(&is_same_text, args) == 0 || !result_bool(1))
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("job was completed differently"),
				 errdetail("Job %s.", uuid_text(job_id))));
}

/*
 * store_refined_text(p_job_id uuid, p_text text, p_model_version text,
 * p_lease_token uuid) returns jsonb
 */
Datum
store_refined_text(PG_FUNCTION_ARGS)
{
	static const char *const outcomes[] = {"completed"};
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	job_id;
	StudioJob	job;
	Lease		lease;
	LeaseState	state;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	check_not_null(fcinfo, 1, "p_text");

	lock_or_refuse(&caller, &job_id, &job);
	state = lease_check(&refinement_queue, &job_id, fcinfo, 3, &lease);
	argument_uuid(&args, &job_id);
	argument_add(&args, PG_GETARG_DATUM(1), false);
	add_optional_text(&args, fcinfo, 2, "p_model_version", MAX_SHORT_LENGTH);
	if (lease_replays(state, &lease, outcomes, lengthof(outcomes)) || job.status == STUDIO_COMPLETE)
		check_same_text(&args, &job_id);
	else
		statement_run(&write_refined_text, &args);
	result = as_jsonb(&job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

static void
write_failure(const pg_uuid_t *job_id, const JobError *error)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_add(&args, error->details, error->details == (Datum) 0);
	argument_text(&args, error->code);
	argument_text(&args, error->message);
	statement_run(&end_studio_job, &args);
}

/*
 * What a worker reports: bounded here too, since an attempt that is to be tried
 * again leaves the row of the job alone.
 */
static Datum
check_error(FunctionCallInfo fcinfo, int argno, const char *name)
{
	Datum		error = PG_GETARG_DATUM(argno);

	if (!limits_allow_json(error, MAX_ERROR_SIZE))
		refuse_value(name, psprintf("at most %d bytes of jsonb, with numbers and levels within studio_engine.value_limits()",
									MAX_ERROR_SIZE));
	return error;
}

/*
 * fail_studio_job(p_job_id uuid, p_error jsonb, p_retryable boolean,
 * p_lease_token uuid) returns jsonb
 */
Datum
fail_studio_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	JobError	error = {NULL};
	StudioJob	job;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	if (!PG_ARGISNULL(1))
		error.details = check_error(fcinfo, 1, "p_error");

	lock_or_refuse(&caller, &job_id, &job);
	if (lease_fails(&refinement_queue, &job_id, fcinfo, 2, 3, &error) && job.status != STUDIO_FAILED)
		write_failure(&job_id, &error);
	result = as_jsonb(&job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * cancel_studio_job(p_job_id uuid, p_reason text) returns jsonb
 */
Datum
cancel_studio_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	JobError	error = {.code = ERROR_CANCELLED};
	StudioJob	job;
	bool		cancelling;
	Datum		result;

	caller_enter_user(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	error.message = check_text(fcinfo, 1, "p_reason", 0, MAX_REASON_LENGTH);

	lock_or_refuse(&caller, &job_id, &job);
	if (job.status == STUDIO_COMPLETE)
		workflow_refuse(&studio_flow, job.status, STUDIO_FAILED);
	cancelling = lease_request_cancel(&refinement_queue, &job_id, error.message);
	if (!cancelling && job.status != STUDIO_FAILED)
		write_failure(&job_id, &error);
	result = as_jsonb(&job_id);
	if (cancelling)
		result = lease_mark_cancelling(result);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* The user comes before the job, for whoever may open an account. */
static void
keep_owner(const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	user_id;

	argument_uuid(&args, job_id);
	if (statement_run(&select_studio_owner, &args) == 0)
		return;
	user_id = result_uuid(1);
	(void) user_keep(&user_id);
}

static void
requeue(void *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	statement_run(&requeue_studio_job, &args);
}

/*
 * retry_studio_job(p_job_id uuid) returns jsonb
 */
Datum
retry_studio_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	StudioJob	job;
	Datum		result;

	caller_enter_user(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");

	if (caller.service)
		keep_owner(&job_id);
	else
		(void) user_keep(&caller.uid);
	lock_or_refuse(&caller, &job_id, &job);
	if (job.status != STUDIO_NEW && job.status != STUDIO_FAILED)
		workflow_refuse(&studio_flow, job.status, STUDIO_NEW);
	if (job.status == STUDIO_FAILED)
	{
		workflow_retry(uuid_text(&job_id), requeue, &job_id);
		check_active(&job.user_id);
	}
	result = as_jsonb(&job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * What the queue wants to know
 * ------------------------------------------------------------------------ */

static bool
lock_for_queue(const pg_uuid_t *job_id)
{
	StudioJob	job;

	return lock_of(&lock_studio_job, job_id, NULL, &job);
}

static bool
try_lock_for_queue(const pg_uuid_t *job_id)
{
	StudioJob	job;

	return lock_of(&try_lock_studio_job, job_id, NULL, &job);
}

static void
count_retry(const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	statement_run(&count_studio_retry, &args);
}

static void
read_error(TupleDesc desc, HeapTuple row, JobError *error)
{
	bool		isnull;
	Datum		details = row_get(desc, row, "error_details", JSONBOID, &isnull);

	if (!isnull)
		error->details = show_error(details, MAX_ERROR_SIZE);
}

const QueueSystem refinement_queue = {
	.name = "studio_jobs",
	.flow = &studio_flow,
	.first_open = STUDIO_NEW,
	.succeeded = STUDIO_COMPLETE,
	.lock = lock_for_queue,
	.try_lock = try_lock_for_queue,
	.fail = write_failure,
	.count_retry = count_retry,
	.read_error = read_error,
	.select_job = &select_studio_job,
	.statistics = &select_statistics
};
