/*
 * refinement.c
 *	  Studio jobs: a recording becomes a transcript, the transcript becomes
 *	  text in the voice of the brand.
 *
 * The functions change the status by plain UPDATEs, as users of SQL do: the
 * trigger of the flow checks it, and that of the queue maintains the queue.
 *
 * Pitfall: users may insert and update their own jobs by plain SQL, so triggers
 * enforce the limits of users.  The functions run as the owner of the tables,
 * whom the triggers do not limit; they check the same limits themselves.  Users
 * may upsert, too: what limits new rows is checked AFTER INSERT, see own_rows.c.
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
#include "job_actions.h"
#include "job_rows.h"
#include "jobs.h"
#include "leases.h"
#include "ledger.h"
#include "prices.h"
#include "value_limits.h"
#include "monitor.h"
#include "new_jobs.h"
#include "policies.h"
#include "queue.h"
#include "refinement.h"
#include "restore.h"
#include "rows.h"
#include "settings.h"
#include "triggers.h"
#include "workflow.h"

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
#define MAX_ERROR_SIZE (256 * 1024)

static const QueueSystem refinement_queue;

static Statement select_studio_row = {
	.force_index_plan = true,
	.text = "SELECT j FROM @extschema@.studio_jobs j WHERE j.job_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static const PolicedTable policed_studio_jobs = {.name = "studio_jobs",.select_row = &select_studio_row};

#define LOCK_STUDIO_JOB(wait_policy) \
	&(const RowOperation) { \
		.table = &studio_jobs_table,.verb = ROW_LOCK, \
		.lock = LockTupleNoKeyExclusive,.policy = (wait_policy), \
		.filter = STUDIO_USER,.returns = {STUDIO_USER, STUDIO_STATUS, STUDIO_PRIORITY, STUDIO_MAX_ATTEMPTS} \
	}

static Statement lock_studio_job = {.operation = LOCK_STUDIO_JOB(LockWaitBlock)};
static Statement select_studio_owner = {
	.force_index_plan = true,
	.text = "SELECT j.user_id FROM @extschema@.studio_jobs j WHERE j.job_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement try_lock_studio_job = {.operation = LOCK_STUDIO_JOB(LockWaitSkip)};
static Statement select_studio_job = {
	.operation = &(const RowOperation)
	{
		.table = &studio_jobs_table,.verb = ROW_SELECT,.whole = true
	}
};
static Statement insert_studio_job = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.studio_jobs"
	" (user_id, raw_audio_url, system_prompt_used, priority, run_at, idempotency_key, max_attempts)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7)"
	" ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
	" RETURNING job_id",
	.nargs = 7,.argtypes = {UUIDOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, INT4OID}
};

/* with the arguments of insert_studio_job; the prompt of the setting is not compared */
static Statement find_studio_job = {
	.force_index_plan = true,
	.text = "SELECT j.job_id, j.raw_audio_url = $2 AND COALESCE(j.system_prompt_used = $3, true)"
	"  FROM @extschema@.studio_jobs j WHERE j.user_id = $1 AND j.idempotency_key = $6",
	.nargs = 7,.argtypes = {UUIDOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, INT4OID}
};
static Statement count_active_studio_jobs = {
	.force_index_plan = true,
	.text = "SELECT pg_catalog.count(*)::pg_catalog.int4 FROM @extschema@.studio_jobs j"
	" WHERE j.user_id = $1 AND j.status NOT IN ('COMPLETE', 'FAILED')",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement set_studio_status = {
	.operation = &(const RowOperation)
	{
		.table = &studio_jobs_table,.verb = ROW_UPDATE_CHANGED,
		.set = {SET_ARGUMENT(STUDIO_STATUS)}
	}
};
static Statement write_transcript = {
	.operation = &(const RowOperation)
	{
		.table = &studio_jobs_table,.verb = ROW_UPDATE,
		.set = {SET_LABEL(STUDIO_STATUS, "ENRICHING"), SET_ARGUMENT(STUDIO_TRANSCRIPT)}
	}
};
static Statement write_entities = {
	.operation = &(const RowOperation)
	{
		.table = &studio_jobs_table,.verb = ROW_UPDATE,
		.set = {SET_LABEL(STUDIO_STATUS, "REFINING"), SET_ARGUMENT(STUDIO_ENTITIES)}
	}
};
static Statement write_refined_text = {
	.operation = &(const RowOperation)
	{
		.table = &studio_jobs_table,.verb = ROW_UPDATE,
		.set = {SET_LABEL(STUDIO_STATUS, "COMPLETE"), SET_ARGUMENT(STUDIO_TEXT), SET_GIVEN(STUDIO_MODEL)}
	}
};

/* what complete_unlocked() reads and writes without a lock */
static Statement read_studio_job = {
	.operation = &(const RowOperation)
	{
		.table = &studio_jobs_table,.verb = ROW_SELECT,
		.filter = STUDIO_USER,
		.returns = {STUDIO_USER, STUDIO_STATUS, STUDIO_PRIORITY, STUDIO_MAX_ATTEMPTS, STUDIO_RESERVED}
	}
};
static Statement write_refined_text_unlocked = {
	.operation = &(const RowOperation)
	{
		.table = &studio_jobs_table,.verb = ROW_UPDATE,.unlocked = true,
		.set = {SET_LABEL(STUDIO_STATUS, "COMPLETE"), SET_ARGUMENT(STUDIO_TEXT), SET_GIVEN(STUDIO_MODEL)}
	}
};
static Statement is_same_text = {
	.force_index_plan = true,
	.text = "SELECT j.refined_text IS NOT DISTINCT FROM $2"
	"   AND COALESCE($3 = j.model_version, $3 IS NULL)"
	"  FROM @extschema@.studio_jobs j WHERE j.job_id = $1",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement is_same_transcript = {
	.force_index_plan = true,
	.text = "SELECT j.raw_transcript IS NOT DISTINCT FROM $2 FROM @extschema@.studio_jobs j WHERE j.job_id = $1",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement are_same_entities = {
	.force_index_plan = true,
	.text = "SELECT j.enrichment_entities IS NOT DISTINCT FROM $2 FROM @extschema@.studio_jobs j WHERE j.job_id = $1",
	.nargs = 2,.argtypes = {UUIDOID, JSONBOID}
};
static Statement write_studio_failure = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.studio_jobs"
	"   SET status = 'FAILED', error_details = COALESCE($2, NULLIF(pg_catalog.jsonb_strip_nulls("
	"         pg_catalog.jsonb_build_object('code', $3, 'message', $4)), '{}'), error_details)"
	" WHERE job_id = $1",
	.nargs = 5,.argtypes = {UUIDOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID}
};
static Statement requeue_studio_job = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.studio_jobs"
	"   SET status = 'NEW', retry_count = retry_count + 1, run_at = NULL, cancel_requested_at = NULL"
	" WHERE job_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement count_studio_retry = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.studio_jobs SET retry_count = retry_count + 1 WHERE job_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement note_studio_cancel = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.studio_jobs SET cancel_requested_at = pg_catalog.clock_timestamp()"
	" WHERE job_id = $1 AND cancel_requested_at IS NULL",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* studio_jobs j that failed with an error code, or with any but that of cancellations */
#define FAILED_WITH(code) "j.status = 'FAILED'" \
	" AND CASE WHEN " code " IS NULL THEN COALESCE(j.error_details ->> 'code', '') <> '" ERROR_CANCELLED "'" \
	"          ELSE j.error_details ->> 'code' = " code " END"

static Statement select_failed = {
	.force_index_plan = true,
	.text = "SELECT j.job_id FROM @extschema@.studio_jobs j WHERE " FAILED_WITH("$1")
	"   AND ($2 IS NULL OR COALESCE((SELECT pg_catalog.max(a.ended_at) FROM studio_engine.attempts a"
	"          WHERE a.job_id = j.job_id AND a.system = 'studio_jobs'), j.created_at) >= $2)"
	" ORDER BY j.created_at, j.job_id LIMIT $3",
	.nargs = 3,.argtypes = {TEXTOID, TIMESTAMPTZOID, INT4OID}
};
static Statement select_failed_with = {
	.force_index_plan = true,
	.text = "SELECT j.job_id FROM @extschema@.studio_jobs j WHERE j.job_id = $1 AND " FAILED_WITH("$2"),
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_owners = {
	.force_index_plan = true,
	.text = "SELECT j.job_id, j.user_id FROM @extschema@.studio_jobs j WHERE j.job_id = ANY ($1)",
	.nargs = 1,.argtypes = {UUIDARRAYOID}
};
static Statement select_statistics = {
	.text = JOB_STATISTICS("studio_jobs", "job_id", "COMPLETE", "FAILED",
						   "j.job_id AS id, j.status, j.created_at, j.processing_time_ms AS ms,"
						   " j.created_at + j.processing_time_ms * interval '1 millisecond' AS ended_at",
						   "j.error_details"),
	.nargs = 2,.argtypes = {UUIDOID, TIMESTAMPTZOID}
};

/* ------------------------------------------------------------------------
 * Limits of users, also for plain SQL
 * ------------------------------------------------------------------------ */

/* Raise an error if a priority is above the setting for users. */
static void
check_user_priority(const char *name, int32 priority)
{
	int32		limit = setting_int32(SETTING_MAX_USER_PRIORITY);

	if (priority > limit)
		refuse_value(name, psprintf("at most %d", limit));
}

/* Set the system prompt of a new job to the default if it has none. */
static void
set_default_prompt(RowEdit *edit)
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

/* Check what a user changes in a row; a priority that a service gave may stay, or be lowered. */
static void
check_update_of_user(RowEdit *edit, HeapTuple old)
{
	int32		priority = row_priority(edit->desc, edit->row);

	if (priority > row_priority(edit->desc, old))
		check_user_priority("priority", priority);
	new_job_check_update_of_user(edit, old);
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
		if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		{
			if (!service)
				check_update_of_user(&edit, data->tg_trigtuple);
		}
		else
		{
			set_default_prompt(&edit);
			if (!service)
				new_job_check_proposed_row(edit.desc, edit.row);
		}
		caller_leave(&caller);
	}
	return PointerGetDatum(row_edit_apply(&edit));
}

/* Check what a user says of a new row, but for its owner and creation time. */
static void
check_row_of_user(Relation rel, HeapTuple row)
{
	TupleDesc	desc = RelationGetDescr(rel);

	workflow_require_initial_state(&studio_flow, rel, row);
	check_user_priority("priority", row_priority(desc, row));
	new_job_check_row_of_user(desc, row);
}

/* Raise an error if the user has too many active jobs, with the new one. */
static void
check_active_studio_jobs(const pg_uuid_t *user_id)
{
	Account		account;

	if (!job_active_limit_is_set())
		return;
	ledger_open_account(user_id, &account);
	job_check_active_limit(&count_active_studio_jobs, user_id);
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
		check_row_of_user(data->tg_relation, data->tg_trigtuple);
		check_active_studio_jobs(&user_id);
		caller_leave(&caller);
	}
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Creating and moving jobs
 * ------------------------------------------------------------------------ */

/*
 * create_studio_job(p_user_id uuid, p_raw_audio_url text, p_system_prompt text,
 * p_priority integer, p_run_at timestamptz, p_idempotency_key text,
 * p_max_attempts integer) returns jsonb
 */
Datum
create_studio_job(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	user_id,
				job_id;
	int32		priority;
	NewJob		new;
	NewJobResult made;
	Datum		result;

	caller_enter_user(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	caller_require_self(&caller, &user_id);
	priority = check_int32(fcinfo, 3, "p_priority", PG_INT32_MIN, PG_INT32_MAX);
	if (!caller.service)
		check_user_priority("p_priority", priority);

	argument_uuid(&args, &user_id);
	argument_text(&args, check_text(fcinfo, 1, "p_raw_audio_url", 1, MAX_URL_LENGTH));
	argument_text(&args, check_optional_text(fcinfo, 2, "p_system_prompt", MAX_PROMPT_LENGTH));
	argument_int32(&args, priority);
	new = new_job_check(fcinfo, 4, &caller);
	new_job_arguments(&new, &args);
	if (!user_lock_key_share(&user_id))
		refuse_unknown(&caller, "user", &user_id);
	made = new_job_insert(&new, &find_studio_job, &insert_studio_job, &args, &job_id);
	if (made == JOB_NOT_STORED)
		refuse_lost_row();
	if (made == JOB_INSERTED)
	{
		policies_check_uuid(&caller, &policed_studio_jobs, &job_id, ROW_INSERTED);
		check_active_studio_jobs(&user_id);
	}
	result = system_job_as_jsonb(&refinement_queue, &job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* the result of a stage, and how it is written */
typedef struct StageResult
{
	Statement  *write;
	Statement  *is_same;		/* whether it was written before */
	StudioStatus next;
	bool		starts;			/* a new job passes through the stage */
	Datum		value;
} StageResult;

/* Raise an error if the worker that handed the job over wrote another result. */
static void
check_same_result(const pg_uuid_t *job_id, const StageResult *made, const Arguments *args)
{
	if (statement_execute(made->is_same, args) == 0 || !result_bool(1))
		refuse_completed_differently(job_id);
}

/* Move a new job to the stage whose result is there already. */
static void
start_transcribing(const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, "TRANSCRIBING");
	statement_execute(&set_studio_status, &args);
}

/*
 * Write the result of a stage, which moves the job to the next one, and hand it over
 * if the caller wants that; return the job.
 */
static Datum
write_stage_result(const Caller *caller, const pg_uuid_t *job_id, const pg_uuid_t *token, bool hand_over, const StageResult *made)
{
	Arguments	args = NO_ARGUMENTS;
	Job			job;
	Lease		lease;

	system_job_lock_or_refuse(&refinement_queue, caller, job_id, &job);
	argument_uuid(&args, job_id);
	argument_add(&args, made->value, false);
	if (job_has_moved(&refinement_queue, &job, token, UNKNOWN_STATE, hand_over, &lease))
		check_same_result(job_id, made, &args);
	else
	{
		if (made->starts && job.status == STUDIO_NEW)
			start_transcribing(job_id);
		statement_execute(made->write, &args);
		job_hand_over(&lease, made->next, hand_over);
	}
	return system_job_as_jsonb(&refinement_queue, job_id);
}

/*
 * update_studio_job_status(p_job_id uuid, p_status text, p_lease_token uuid,
 * p_hand_over boolean) returns jsonb
 */
Datum
update_studio_job_status(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 2);
	bool		hand_over;
	Job			job;
	Lease		lease;
	StudioStatus asked;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	asked = flow_state(&studio_flow, check_word(fcinfo, 1, "p_status", studio_status_names, STUDIO_STATUSES));
	hand_over = check_bool(fcinfo, 3, "p_hand_over");
	argument_pass(&args, fcinfo, 0);
	argument_pass(&args, fcinfo, 1);

	system_job_lock_or_refuse(&refinement_queue, &caller, &job_id, &job);
	if (!job_has_moved(&refinement_queue, &job, token, asked, hand_over, &lease))
	{
		statement_execute(&set_studio_status, &args);
		job_hand_over(&lease, asked, hand_over);
	}
	result = system_job_as_jsonb(&refinement_queue, &job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * store_transcript(p_job_id uuid, p_transcript text, p_lease_token uuid,
 * p_hand_over boolean) returns jsonb
 */
Datum
store_transcript(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 2);
	StageResult made = {.write = &write_transcript,.is_same = &is_same_transcript,.next = STUDIO_ENRICHING};
	bool		hand_over;
	Datum		result;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 1, "p_transcript");
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	hand_over = check_bool(fcinfo, 3, "p_hand_over");
	made.value = PG_GETARG_DATUM(1);
	result = write_stage_result(&caller, &job_id, token, hand_over, &made);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * store_enrichment(p_job_id uuid, p_entities jsonb, p_lease_token uuid,
 * p_hand_over boolean) returns jsonb
 */
Datum
store_enrichment(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 2);
	StageResult made = {.write = &write_entities,.is_same = &are_same_entities,.next = STUDIO_REFINING};
	bool		hand_over;
	Datum		result;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 1, "p_entities");
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	hand_over = check_bool(fcinfo, 3, "p_hand_over");
	made.value = PG_GETARG_DATUM(1);
	result = write_stage_result(&caller, &job_id, token, hand_over, &made);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Add the text and the model as arguments after the job. */
static Arguments
text_arguments(const pg_uuid_t *job_id, Datum text, const char *model)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_add(&args, text, false);
	argument_text(&args, model);
	return args;
}

/*
 * Complete a job whose lease is held without locking the job first, which saves a
 * good part of the cost.  Return false, with nothing written, if something is
 * otherwise than usual; then the locks show what.  What the locks protect is checked
 * afterwards: that the attempt which ended with the job is that of the lease.
 */
static bool
complete_unlocked(const pg_uuid_t *job_id, const pg_uuid_t *token, Datum text, const char *model)
{
	Arguments	values = text_arguments(job_id, text, model);
	Job			job;
	Lease		lease;
	EndedAttempt ended;

	if (!rows_fast_path_allowed(false) || !layout_is_eligible(&studio_jobs_table))
		return false;
	if (!job_lock_by(&read_studio_job, &studio_flow, job_id, NULL, &job) ||
		(job.status != STUDIO_ENRICHING && job.status != STUDIO_REFINING) ||
		result_int32(5) != 0 ||
		!lease_read_held(&refinement_queue, &job, token, &lease))
		return false;
	(void) queue_take_ended();
	if (statement_execute(&write_refined_text_unlocked, &values) == 0)
		return false;
	ended = queue_take_ended();
	lease_require_ended(&lease, &ended);
	return true;
}

/* Complete a job under its lock, with or without a lease. */
static void
complete_locked(const Caller *caller, const pg_uuid_t *job_id, const pg_uuid_t *token, Datum text, const char *model)
{
	Arguments	args = text_arguments(job_id, text, model);
	Job			job;
	Lease		lease;
	LeaseState	state;

	system_job_lock_or_refuse(&refinement_queue, caller, job_id, &job);
	state = lease_check(&refinement_queue, &job, token, &lease);
	if (!lease_replays_completion(state, &lease) && job.status != STUDIO_COMPLETE)
		statement_execute(&write_refined_text, &args);
	else if (statement_execute(&is_same_text, &args) == 0 || !result_bool(1))
		refuse_completed_differently(job_id);
}

/*
 * store_refined_text(p_job_id uuid, p_text text, p_model_version text,
 * p_lease_token uuid) returns jsonb
 */
Datum
store_refined_text(PG_FUNCTION_ARGS)
{
	Caller		caller;
	KeptRows	kept;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 3);
	char	   *model;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	check_not_null(fcinfo, 1, "p_text");
	model = check_optional_text(fcinfo, 2, "p_model_version", MAX_SHORT_LENGTH);
	rows_keep_open(&kept);
	if (token == NULL || !complete_unlocked(&job_id, token, PG_GETARG_DATUM(1), model))
		complete_locked(&caller, &job_id, token, PG_GETARG_DATUM(1), model);
	result = system_job_as_jsonb(&refinement_queue, &job_id);
	rows_close_kept(&kept);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * Raise an error if the error that a worker reports is too large; return it
 * otherwise.  The trigger on the table is not enough: if the job is retried, the
 * error is written into attempts only.
 */
static Datum
check_error(Datum error)
{
	if (!limits_allow_json(error, MAX_ERROR_SIZE))
		refuse_value("p_error", psprintf("at most %d bytes of jsonb, with numbers and levels within studio_engine.value_limits()",
										 MAX_ERROR_SIZE));
	return error;
}

/*
 * fail_studio_job(p_job_id uuid, p_error jsonb, p_retryable boolean,
 * p_lease_token uuid, p_retry_in interval) returns jsonb
 */
Datum
fail_studio_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	const pg_uuid_t *token = optional_uuid(fcinfo, 3);
	const bool *retryable = optional_bool(fcinfo, 2);
	const TimestampTz *retry_at;
	JobError	error = {NULL};
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	if (!PG_ARGISNULL(1))
		error.details = check_error(PG_GETARG_DATUM(1));
	retry_at = job_retry_at(check_duration(fcinfo, 4, "p_retry_in", 0, MAX_DELAY_SECONDS), retryable);

	result = job_fail(&refinement_queue, &caller, &job_id, token, retryable, retry_at, &error);
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
	char	   *reason;
	Datum		result;

	caller_enter_user(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	reason = check_text(fcinfo, 1, "p_reason", 0, MAX_REASON_LENGTH);

	result = job_cancel(&refinement_queue, &caller, &job_id, reason);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Lock the user FOR KEY SHARE, before the job: check_active_studio_jobs() may open an account. */
static void
lock_owner_key_share(const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	user_id;

	argument_uuid(&args, job_id);
	if (statement_execute(&select_studio_owner, &args) == 0)
		return;
	user_id = result_uuid(1);
	(void) user_lock_key_share(&user_id);
}

/* Queue a failed job again; the owner is locked already. */
static void
requeue(const Caller *caller, const pg_uuid_t *job_id)
{
	Job			job;

	system_job_lock_or_refuse(&refinement_queue, caller, job_id, &job);
	if (!job_needs_retry(&refinement_queue, &job))
		return;
	policies_check_uuid(caller, &policed_studio_jobs, job_id, ROW_TO_UPDATE);
	job_requeue(&job, &requeue_studio_job);
	policies_check_uuid(caller, &policed_studio_jobs, job_id, ROW_UPDATED);
	check_active_studio_jobs(&job.user_id);
}

/*
 * retry_studio_job(p_job_id uuid) returns jsonb
 */
Datum
retry_studio_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	Datum		result;

	caller_enter_user(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");

	if (caller.service)
		lock_owner_key_share(&job_id);
	else
		(void) user_lock_key_share(&caller.uid);
	requeue(&caller, &job_id);
	result = system_job_as_jsonb(&refinement_queue, &job_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Callbacks of the queue
 * ------------------------------------------------------------------------ */

/* Get the text and the model of a result; false if it has no text. */
static bool
take_text(const JsonFields *result, Datum *made, char **model)
{
	text	   *found = field_any_text(result, "refined_text");

	*made = PointerGetDatum(found);
	*model = field_text(result, "model_version", MAX_SHORT_LENGTH);
	return found != NULL;
}

/* Complete a job that a worker delivers in a set; false if that takes a call of its own. */
static bool
finish_in_set(const pg_uuid_t *job_id, const pg_uuid_t *token, const JsonFields *result)
{
	Datum		made;
	char	   *model;

	return field_is_text(result, "refined_text") && take_text(result, &made, &model) &&
		complete_unlocked(job_id, token, made, model);
}

/* Store what a worker delivers: the text completes the job, the result of another stage hands it over. */
static void
finish(const Caller *caller, const pg_uuid_t *job_id, const pg_uuid_t *token, const JsonFields *result)
{
	StageResult transcript = {
		.write = &write_transcript,.is_same = &is_same_transcript,.next = STUDIO_ENRICHING,.starts = true
	};
	StageResult entities = {.write = &write_entities,.is_same = &are_same_entities,.next = STUDIO_REFINING};
	Datum		made;
	char	   *model;

	if (take_text(result, &made, &model))
		complete_locked(caller, job_id, token, made, model);
	else if (field_has(result, "raw_transcript"))
	{
		transcript.value = PointerGetDatum(field_any_text(result, "raw_transcript"));
		(void) write_stage_result(caller, job_id, token, true, &transcript);
	}
	else if (field_has(result, "enrichment_entities"))
	{
		entities.value = field_jsonb(result, "enrichment_entities");
		(void) write_stage_result(caller, job_id, token, true, &entities);
	}
	else
		refuse_value(result->path, "an object with refined_text, raw_transcript or enrichment_entities");
}

/* Read the error that a worker reports. */
static void
take_error(const JsonFields *reported, JobError *error)
{
	if (reported->container != NULL)
		error->details = check_error(json_fields_jsonb(reported));
}

/* Lock the owner of a failed job, and queue it again. */
static void
retry(const Caller *caller, const pg_uuid_t *job_id)
{
	lock_owner_key_share(job_id);
	requeue(caller, job_id);
}

/* Read why a job failed from its row, cut to MAX_ERROR_SIZE. */
static void
read_error(TupleDesc desc, HeapTuple row, JobError *error)
{
	bool		isnull;
	Datum		details = row_get(desc, row, "error_details", JSONBOID, &isnull);

	if (!isnull)
		error->details = show_error(details, MAX_ERROR_SIZE);
}

/* Return true if the end of a job may cost credits, or give some back. */
static bool
may_cost(void)
{
	return setting_int32(SETTING_PRICE_STUDIO_JOB) > 0;
}

static const QueueSystem refinement_queue = {
	.name = "studio_jobs",
	.flow = &studio_flow,
	.first_open = STUDIO_NEW,
	.succeeded = STUDIO_COMPLETE,
	.failed = STUDIO_FAILED,
	.cancelled = STUDIO_FAILED,
	.noun = "studio job",
	.policed = &policed_studio_jobs,
	.lock_job = &lock_studio_job,
	.try_lock_job = &try_lock_studio_job,
	.select_job = &select_studio_job,
	.fail_job = &write_studio_failure,
	.try_lock_payer = price_try_lock_payer,
	.count_retry = &count_studio_retry,
	.note_cancel = &note_studio_cancel,
	.read_error = read_error,
	.finish = finish,
	.finish_in_set = finish_in_set,
	.take_error = take_error,
	.retry = retry,
	.select_failed = &select_failed,
	.select_failed_with = &select_failed_with,
	.select_owners = &select_owners,
	.may_cost = may_cost,
	.statistics = &select_statistics
};

static const RowTrigger queue_triggers[] = {
	QUEUE_TRIGGER("studio_jobs", "job_id", STUDIO_STATUS, &refinement_queue)
};

/*
 * Register the system of studio jobs, and the callback that replaces the trigger
 * of its queue in the fast path.
 */
void
refinement_register(void)
{
	queue_register(&refinement_queue);
	layout_register_triggers(&studio_jobs_table, queue_triggers, lengthof(queue_triggers));
}
