/*
 * pipeline.c
 *	  Runs of the pipeline: created, moved, cancelled and retried; their events
 *	  and artifacts; the prompts of the bots.
 *
 * The functions change the status by plain UPDATEs, as users of SQL do: the
 * triggers of pipeline.jobs check the flow, stamp times and insert the event of
 * each change.
 *
 * Pitfall: callers choose the ids of runs, in one name space for all users.  A
 * user who passes the id of another user's run learns only that it is taken.  A
 * service that creates a run for one owner and finds one of another owner must
 * not get it, since a user may have chosen an id that services are known to use.
 *
 * Lock order: the advisory lock of a user's runs, user, run, then its events
 * and artifacts.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "advisory.h"
#include "auth_users.h"
#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "jsonb_measure.h"
#include "policies.h"
#include "value_limits.h"
#include "runs.h"
#include "settings.h"
#include "statements.h"
#include "workflow.h"

PG_FUNCTION_INFO_V1(pipeline_create_job);
PG_FUNCTION_INFO_V1(pipeline_get_job);
PG_FUNCTION_INFO_V1(pipeline_set_job_status);
PG_FUNCTION_INFO_V1(pipeline_cancel_job);
PG_FUNCTION_INFO_V1(pipeline_retry_job);
PG_FUNCTION_INFO_V1(pipeline_record_event);
PG_FUNCTION_INFO_V1(pipeline_events_since);
PG_FUNCTION_INFO_V1(pipeline_register_artifact);
PG_FUNCTION_INFO_V1(pipeline_upsert_prompt);
PG_FUNCTION_INFO_V1(pipeline_get_prompt);
PG_FUNCTION_INFO_V1(pipeline_delete_old_events);

#define MAX_LABEL_LENGTH 255
#define MAX_KIND_LENGTH 100
#define MAX_TEXT_LENGTH 1000000
#define MAX_JSON_SIZE (1024 * 1024)
#define MAX_EVENTS 1000
#define MAX_EVENTS_SIZE (8 * 1024 * 1024)
#define EVENT_COLUMNS 8
#define MAX_INSERTS 10

static Statement generate_run_id = {.text = "SELECT pg_catalog.gen_random_uuid()::pg_catalog.text"};
static Statement count_active_runs = {
	.force_index_plan = true,
	.text = "SELECT pg_catalog.count(*)::pg_catalog.int4 FROM pipeline.jobs j"
	" WHERE j.owner_id = $1 AND j.status IN ('pending', 'running')",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_run_row = {
	.force_index_plan = true,
	.text = "SELECT j FROM pipeline.jobs j WHERE j.run_id = $1",
	.nargs = 1,.argtypes = {TEXTOID}
};
static const PolicedTable policed_runs = {.schema = "pipeline",.name = "jobs",.select_row = &select_run_row};
static Statement insert_run = {
	.text = "INSERT INTO pipeline.jobs (run_id, project_spec, owner_id) VALUES ($1, $2, $3)"
	" ON CONFLICT (run_id) DO NOTHING",
	.nargs = 3,.argtypes = {TEXTOID, JSONBOID, UUIDOID}
};

/* a run without an owner differs from one with an owner */
static Statement compare_run = {
	.force_index_plan = true,
	.text = "SELECT j.owner_id IS NOT DISTINCT FROM $3, j.project_spec = $2"
	"  FROM pipeline.jobs j WHERE j.run_id = $1",
	.nargs = 3,.argtypes = {TEXTOID, JSONBOID, UUIDOID}
};
static Statement select_run = {
	.force_index_plan = true,
	.text = "SELECT j.* FROM pipeline.jobs j"
	" WHERE j.run_id = $1 AND ($2 IS NULL OR j.owner_id = $2)",
	.nargs = 2,.argtypes = {TEXTOID, UUIDOID}
};
static Statement update_status = {
	.force_index_plan = true,
	.text = "UPDATE pipeline.jobs j SET status = $2, error_message = COALESCE($3, j.error_message)"
	" WHERE j.run_id = $1",
	.nargs = 3,.argtypes = {TEXTOID, TEXTOID, TEXTOID}
};
static Statement insert_event = {
	.text = "INSERT INTO pipeline.job_events (run_id, bot_name, event_type, payload)"
	" VALUES ($1, $2, $3, $4) RETURNING seq",
	.nargs = 4,.argtypes = {TEXTOID, TEXTOID, TEXTOID, JSONBOID}
};
static Statement select_events = {
	.force_index_plan = true,
	.text = "SELECT e.id, e.run_id, e.bot_name, e.event_type, e.payload, e.owner_id, e.created_at, e.seq"
	"  FROM pipeline.job_events e WHERE e.run_id = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3",
	.nargs = 3,.argtypes = {TEXTOID, INT8OID, INT4OID}
};

#define SET_REPORTED \
	" SET url = $3, file_size = COALESCE($5, a.file_size), content_type = COALESCE($6, a.content_type)," \
	"     meta = CASE WHEN pg_catalog.jsonb_typeof(a.meta) = 'object' THEN a.meta || $4 ELSE $4 END"

static Statement update_by_checksum = {
	.force_index_plan = true,
	.text = "UPDATE pipeline.artifacts a" SET_REPORTED
	" WHERE a.run_id = $1 AND a.kind = $2 AND a.checksum = $7 RETURNING a.id",
	.nargs = 7,.argtypes = {TEXTOID, TEXTOID, TEXTOID, JSONBOID, INT8OID, TEXTOID, TEXTOID}
};
static Statement update_by_url = {
	.force_index_plan = true,
	.text = "UPDATE pipeline.artifacts a" SET_REPORTED
	" WHERE $7 IS NULL"
	"   AND a.id = (SELECT o.id FROM pipeline.artifacts o"
	"                WHERE o.run_id = $1 AND o.kind = $2 AND o.url = $3 AND o.checksum IS NULL"
	"                ORDER BY o.created_at, o.id LIMIT 1)"
	" RETURNING a.id",
	.nargs = 7,.argtypes = {TEXTOID, TEXTOID, TEXTOID, JSONBOID, INT8OID, TEXTOID, TEXTOID}
};
static Statement insert_artifact = {
	.text = "INSERT INTO pipeline.artifacts (run_id, kind, url, meta, file_size, content_type, checksum)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
	.nargs = 7,.argtypes = {TEXTOID, TEXTOID, TEXTOID, JSONBOID, INT8OID, TEXTOID, TEXTOID}
};
static Statement upsert_prompt = {
	.text = "INSERT INTO pipeline.prompts AS p (id, category, context, prompt_text) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (id) DO UPDATE"
	"   SET category = EXCLUDED.category, context = EXCLUDED.context, prompt_text = EXCLUDED.prompt_text"
	" WHERE (p.category, p.context, p.prompt_text)"
	"       IS DISTINCT FROM (EXCLUDED.category, EXCLUDED.context, EXCLUDED.prompt_text)",
	.nargs = 4,.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};
static Statement select_prompt = {
	.force_index_plan = true,
	.text = "SELECT p.* FROM pipeline.prompts p WHERE p.id = $1",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement is_valid_age = {
	.text = "SELECT $1 > '0' AND $1 <= pg_catalog.make_interval(years => $2)",
	.nargs = 2,.argtypes = {INTERVALOID, INT4OID}
};
static Statement delete_old_events = {
	.text = "DELETE FROM pipeline.job_events d"
	" WHERE d.created_at < pg_catalog.now() - $1"
	"   AND d.id = ANY (ARRAY(SELECT e.id FROM pipeline.job_events e"
	"                           JOIN pipeline.jobs j ON j.run_id = e.run_id"
	"                          WHERE e.created_at < pg_catalog.now() - $1"
	"                            AND j.status IN ('completed', 'failed', 'cancelled')"
	"                          ORDER BY e.created_at LIMIT $2 FOR UPDATE OF e SKIP LOCKED))",
	.nargs = 2,.argtypes = {INTERVALOID, INT4OID}
};

/* Read a run into the last result; users find only their own. */
static bool
read_run(const Caller *caller, const char *run_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, run_id);
	argument_uuid(&args, caller->service ? NULL : &caller->uid);
	return statement_execute_read_only(&select_run, &args) > 0;
}

/* Return the row of a run that was just written. */
static Datum
run_as_jsonb(const char *run_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, run_id);
	argument_uuid(&args, NULL);
	statement_execute(&select_run, &args);
	return result_row();
}

/* ------------------------------------------------------------------------
 * Creating runs
 * ------------------------------------------------------------------------ */

/*
 * Serialize the transactions of a user that count active runs.  It comes before
 * the lock of a run.  check_active_runs() then uses the latest snapshot, so that
 * it sees the runs of the others at any isolation level.  Services have no
 * limit.
 */
static void
lock_runs_of_user(const Caller *caller)
{
	if (!caller->service)
		advisory_lock(ADVISORY_USER_RUNS, caller->uid.data, UUID_LEN);
}

/* Raise an error if a user has too many active runs, with the new one. */
static void
check_active_runs(const Caller *caller)
{
	Arguments	args = NO_ARGUMENTS;
	int32		limit;

	if (caller->service)
		return;
	limit = setting_int32(SETTING_MAX_ACTIVE_RUNS);
	argument_uuid(&args, &caller->uid);
	if (limit == 0 || statement_execute_with_latest_snapshot(&count_active_runs, &args) == 0 || result_int32(1) <= limit)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_TOO_MANY),
			 errmsg("too many active runs"),
			 errdetail("The limit is %d.", limit),
			 errhint("Wait until a run has ended, or cancel one.")));
}

/* Return the owner of a new run, locked FOR KEY SHARE; NULL for none. */
static const pg_uuid_t *
choose_owner(const Caller *caller, const pg_uuid_t *wanted)
{
	const pg_uuid_t *owner_id = wanted;

	if (owner_id == NULL && caller->service)
		return NULL;
	if (owner_id == NULL)
		owner_id = &caller->uid;
	caller_require_self(caller, owner_id);
	if (!user_lock_key_share(owner_id))
		refuse_unknown(caller, "user", owner_id);
	return owner_id;
}

static char *
random_run_id(void)
{
	statement_execute(&generate_run_id, &NO_ARGUMENTS);
	return result_text(1);
}

/*
 * Return true if the existing run with this id has the same owner and content,
 * false if it was deleted meanwhile; raise an error if it differs.
 */
static bool
is_same_run(const Caller *caller, const char *run_id, const Arguments *args)
{
	if (statement_execute(&compare_run, args) == 0)
		return false;
	if (!result_bool(1) && !caller->service)
		refuse();
	if (!result_bool(1) || !result_bool(2))
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("run is there already with other content"),
				 errdetail("Run %s.", run_id),
				 errhint("Take another id, or NULL for a random one.")));
	return true;
}

/*
 * Insert a run, or find the same one; return true if it was inserted.  A run
 * that conflicted with the insertion may have been deleted since, so try again,
 * at most MAX_INSERTS times.
 */
static bool
insert_or_find_run(const Caller *caller, const char *run_id, const Arguments *args)
{
	for (int i = 0; i < MAX_INSERTS; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (statement_execute(&insert_run, args) > 0)
			return true;
		if (is_same_run(caller, run_id, args))
			return false;
	}
	refuse_lost_row();
}

/* Check the restrictive policies for a run that a user writes. */
static void
check_run_policies(const Caller *caller, const char *run_id, RowUse use)
{
	Arguments	key = NO_ARGUMENTS;

	argument_text(&key, run_id);
	policies_check(caller, &policed_runs, &key, use);
}

/*
 * pipeline.create_job(p_run_id text, p_project_spec jsonb, p_owner_id uuid)
 * returns jsonb
 */
Datum
pipeline_create_job(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	char	   *run_id;
	Jsonb	   *project_spec;
	const pg_uuid_t *owner_id;
	Datum		result;

	caller_enter_user(&caller);
	run_id = PG_ARGISNULL(0) ? random_run_id() : check_text(fcinfo, 0, "p_run_id", 1, MAX_LABEL_LENGTH);
	project_spec = check_jsonb(fcinfo, 1, "p_project_spec", MAX_JSON_SIZE);
	owner_id = optional_uuid(fcinfo, 2);

	lock_runs_of_user(&caller);
	argument_text(&args, run_id);
	argument_add(&args, JsonbPGetDatum(project_spec), false);
	argument_uuid(&args, choose_owner(&caller, owner_id));
	if (insert_or_find_run(&caller, run_id, &args))
	{
		check_run_policies(&caller, run_id, ROW_INSERTED);
		check_active_runs(&caller);
	}
	result = run_as_jsonb(run_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * pipeline.get_job(p_run_id text) returns jsonb
 */
Datum
pipeline_get_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	char	   *run_id;
	Datum		result;

	caller_enter_user(&caller);
	run_id = check_text(fcinfo, 0, "p_run_id", 1, MAX_LABEL_LENGTH);
	if (!read_run(&caller, run_id))
		refuse_unknown_text(&caller, "run", run_id);
	result = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Moving runs
 * ------------------------------------------------------------------------ */

/* Set the status of a locked run; a message of NULL leaves the old one. */
static void
set_run_status(const char *run_id, RunStatus from, RunStatus to, const char *message)
{
	Arguments	args = NO_ARGUMENTS;

	if (from == to)
		return;
	argument_text(&args, run_id);
	argument_text(&args, run_status_names[to]);
	argument_text(&args, message);
	statement_execute(&update_status, &args);
}

/*
 * pipeline.set_job_status(p_run_id text, p_status text, p_error_message text)
 * returns jsonb
 */
Datum
pipeline_set_job_status(PG_FUNCTION_ARGS)
{
	Caller		caller;
	char	   *run_id;
	char	   *message;
	RunStatus	to;
	Datum		result;

	caller_enter_service(&caller);
	run_id = check_text(fcinfo, 0, "p_run_id", 1, MAX_LABEL_LENGTH);
	to = flow_state(&run_flow, check_word(fcinfo, 1, "p_status", run_status_names, RUN_STATUSES));
	message = PG_ARGISNULL(2) ? NULL : clip_text(text_to_cstring(PG_GETARG_TEXT_PP(2)), MAX_REPORT_BYTES);

	set_run_status(run_id, run_lock_or_refuse(&caller, run_id), to, message);
	result = run_as_jsonb(run_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * pipeline.cancel_job(p_run_id text) returns jsonb
 */
Datum
pipeline_cancel_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	char	   *run_id;
	RunStatus	status;
	Datum		result;

	caller_enter_user(&caller);
	run_id = check_text(fcinfo, 0, "p_run_id", 1, MAX_LABEL_LENGTH);

	status = run_lock_or_refuse(&caller, run_id);
	check_run_policies(&caller, run_id, ROW_TO_UPDATE);
	set_run_status(run_id, status, RUN_CANCELLED, NULL);
	check_run_policies(&caller, run_id, ROW_UPDATED);
	result = run_as_jsonb(run_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Set a failed run to pending; the argument of workflow_retry(). */
static void
requeue_failed_run(void *run_id)
{
	set_run_status(run_id, RUN_FAILED, RUN_PENDING, NULL);
}

/*
 * pipeline.retry_job(p_run_id text) returns jsonb
 */
Datum
pipeline_retry_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	char	   *run_id;
	RunStatus	status;
	Datum		result;

	caller_enter_user(&caller);
	run_id = check_text(fcinfo, 0, "p_run_id", 1, MAX_LABEL_LENGTH);

	lock_runs_of_user(&caller);
	status = run_lock_or_refuse(&caller, run_id);
	if (status != RUN_PENDING)
	{
		if (status != RUN_FAILED)
			workflow_refuse(&run_flow, status, RUN_PENDING);
		check_run_policies(&caller, run_id, ROW_TO_UPDATE);
		workflow_retry(run_id, requeue_failed_run, run_id);
		check_run_policies(&caller, run_id, ROW_UPDATED);
		check_active_runs(&caller);
	}
	result = run_as_jsonb(run_id);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Events
 * ------------------------------------------------------------------------ */

/*
 * pipeline.record_event(p_run_id text, p_bot_name text, p_event_type text,
 * p_payload jsonb) returns bigint
 */
Datum
pipeline_record_event(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	char	   *run_id;
	int64		seq;

	caller_enter_service(&caller);
	run_id = check_text(fcinfo, 0, "p_run_id", 1, MAX_LABEL_LENGTH);
	argument_text(&args, run_id);
	argument_text(&args, check_text(fcinfo, 1, "p_bot_name", 1, MAX_LABEL_LENGTH));
	argument_text(&args, check_text(fcinfo, 2, "p_event_type", 1, MAX_LABEL_LENGTH));
	argument_add(&args, JsonbPGetDatum(check_jsonb_or_empty(fcinfo, 3, "p_payload", MAX_JSON_SIZE)), false);

	(void) run_lock_or_refuse(&caller, run_id);
	statement_execute(&insert_event, &args);
	seq = result_int64(1);
	caller_leave(&caller);

	PG_RETURN_INT64(seq);
}

/* the result of events_since(), and the approximate size of its output in bytes */
typedef struct Events
{
	ReturnSetInfo *rsinfo;
	int64		bytes;
} Events;

/* Return the approximate size of a value as text. */
static int64
output_size(Oid type, Datum value)
{
	Jsonb	   *whole;
	int64		size;

	if (type != JSONBOID)
		return toast_raw_datum_size(value);
	whole = DatumGetJsonbP(value);
	size = jsonb_shown_size(whole);
	if (whole != (Jsonb *) DatumGetPointer(value))
		pfree(whole);
	return size;
}

/* Add a row to the result of events_since(), unless that has reached MAX_EVENTS_SIZE. */
static void
put_event(HeapTuple row, TupleDesc desc, void *arg)
{
	Events	   *events = arg;
	Datum		values[EVENT_COLUMNS];
	bool		nulls[EVENT_COLUMNS];

	if (events->bytes >= MAX_EVENTS_SIZE)
		return;
	for (int i = 0; i < EVENT_COLUMNS; i++)
	{
		values[i] = SPI_getbinval(row, desc, i + 1, &nulls[i]);
		if (!nulls[i] && TupleDescAttr(desc, i)->attlen == -1)
			events->bytes += output_size(TupleDescAttr(desc, i)->atttypid, values[i]);
	}
	tuplestore_putvalues(events->rsinfo->setResult, events->rsinfo->setDesc, values, nulls);
}

/*
 * pipeline.events_since(p_run_id text, p_after bigint, p_limit integer)
 * returns setof (id, run_id, bot_name, event_type, payload, owner_id,
 * created_at, seq)
 */
Datum
pipeline_events_since(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	Events		events;
	char	   *run_id;

	InitMaterializedSRF(fcinfo, 0);
	events = (Events)
	{
		.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo
	};
	caller_enter_user(&caller);
	run_id = check_text(fcinfo, 0, "p_run_id", 1, MAX_LABEL_LENGTH);
	check_not_null(fcinfo, 1, "p_after");
	if (PG_GETARG_INT64(1) < 0)
		refuse_value("p_after", "0 or more");
	argument_text(&args, run_id);
	argument_pass(&args, fcinfo, 1);
	argument_int32(&args, check_int32(fcinfo, 2, "p_limit", 1, MAX_EVENTS));

	if (!read_run(&caller, run_id))
		refuse_unknown_text(&caller, "run", run_id);
	statement_execute_read_only_each(&select_events, &args, put_event, &events);
	caller_leave(&caller);

	return (Datum) 0;
}

/*
 * pipeline.delete_old_events(p_older_than interval, p_limit integer) returns
 * integer
 */
Datum
pipeline_delete_old_events(PG_FUNCTION_ARGS)
{
	Arguments	age = NO_ARGUMENTS;
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	uint64		deleted;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 0, "p_older_than");
	argument_pass(&age, fcinfo, 0);
	argument_int32(&age, MAX_AGE_YEARS);
	statement_execute(&is_valid_age, &age);
	if (!result_bool(1))
		refuse_value("p_older_than", psprintf("more than nothing and at most %d years", MAX_AGE_YEARS));
	argument_pass(&args, fcinfo, 0);
	argument_int32(&args, check_int32(fcinfo, 1, "p_limit", 1, MAX_CLEANUP));

	deleted = statement_execute(&delete_old_events, &args);
	caller_leave(&caller);

	PG_RETURN_INT32((int32) deleted);
}

/* ------------------------------------------------------------------------
 * Artifacts and prompts
 * ------------------------------------------------------------------------ */

/*
 * pipeline.register_artifact(p_run_id text, p_kind text, p_url text,
 * p_meta jsonb, p_file_size bigint, p_content_type text, p_checksum text)
 * returns uuid
 */
Datum
pipeline_register_artifact(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	char	   *run_id;
	char	   *checksum;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	run_id = check_text(fcinfo, 0, "p_run_id", 1, MAX_LABEL_LENGTH);
	argument_text(&args, run_id);
	argument_text(&args, check_text(fcinfo, 1, "p_kind", 1, MAX_KIND_LENGTH));
	argument_text(&args, check_text(fcinfo, 2, "p_url", 1, MAX_TEXT_LENGTH));
	argument_add(&args, JsonbPGetDatum(check_object_or_empty(fcinfo, 3, "p_meta", MAX_JSON_SIZE)), false);
	if (!PG_ARGISNULL(4) && PG_GETARG_INT64(4) < 0)
		refuse_value("p_file_size", "0 or more");
	argument_pass(&args, fcinfo, 4);
	argument_text(&args, check_optional_text(fcinfo, 5, "p_content_type", MAX_LABEL_LENGTH));
	checksum = check_optional_text(fcinfo, 6, "p_checksum", MAX_LABEL_LENGTH);
	argument_text(&args, checksum);

	/* the lock of the run serializes two reports of one file */
	(void) run_lock_or_refuse(&caller, run_id);
	if (statement_execute(checksum ? &update_by_checksum : &update_by_url, &args) == 0)
		statement_execute(&insert_artifact, &args);
	*id = result_uuid(1);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

/*
 * pipeline.upsert_prompt(p_id text, p_category text, p_context text,
 * p_prompt_text text) returns jsonb
 */
Datum
pipeline_upsert_prompt(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Arguments	key = NO_ARGUMENTS;
	Caller		caller;
	char	   *id;
	Datum		result;

	caller_enter_service(&caller);
	id = check_text(fcinfo, 0, "p_id", 1, MAX_LABEL_LENGTH);
	argument_text(&key, id);
	argument_text(&args, id);
	argument_text(&args, check_text(fcinfo, 1, "p_category", 1, MAX_LABEL_LENGTH));
	argument_text(&args, check_text(fcinfo, 2, "p_context", 1, MAX_TEXT_LENGTH));
	argument_text(&args, check_text(fcinfo, 3, "p_prompt_text", 1, MAX_TEXT_LENGTH));

	statement_execute(&upsert_prompt, &args);
	statement_execute(&select_prompt, &key);
	result = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * pipeline.get_prompt(p_id text) returns jsonb
 */
Datum
pipeline_get_prompt(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	char	   *id;
	Datum		result;

	caller_enter_user(&caller);
	id = check_text(fcinfo, 0, "p_id", 1, MAX_LABEL_LENGTH);
	argument_text(&args, id);
	if (statement_execute_read_only(&select_prompt, &args) == 0)
		refuse_unknown_text(&caller, "prompt", id);
	result = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}
