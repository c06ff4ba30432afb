/*
 * finishes.c
 *	  finish_and_claim(), and calls that end many jobs: complete_jobs(), fail_jobs(),
 *	  cancel_jobs() and retry_failed_jobs().
 *
 * Each job of a set is for itself: what refuses one does not stop the others, and the
 * result says which were refused and why.  A subtransaction for each job costs more
 * than its completion, so a set is first completed in one, as far as no lock and no
 * error of a single job is in the way; the rest follows one by one.
 *
 * Pitfall: an error in the first pass undoes it, and all jobs are done one by one.
 *
 * Lock order: owners, if jobs are retried; all jobs of a set, in the order of their ids;
 * then the accounts, in the order of the owners, by which the jobs are acted on.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/elog.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "auth_users.h"
#include "caller.h"
#include "checks.h"
#include "claims.h"
#include "errors.h"
#include "job_actions.h"
#include "json_fields.h"
#include "queue.h"
#include "rows.h"
#include "statements.h"
#include "subtransactions.h"
#include "system_jobs.h"
#include "uuids.h"
#include "value_limits.h"

PG_FUNCTION_INFO_V1(finish_and_claim);
PG_FUNCTION_INFO_V1(complete_jobs);
PG_FUNCTION_INFO_V1(fail_jobs);
PG_FUNCTION_INFO_V1(cancel_jobs);
PG_FUNCTION_INFO_V1(retry_failed_jobs);

#define MAX_SET 1000
#define MAX_INTERVAL_LENGTH 100

/* ------------------------------------------------------------------------
 * One job
 * ------------------------------------------------------------------------ */

/* End a lease with a failure that a worker reports as JSON; absent for no reason. */
static void
fail_reported(const QueueSystem *system, const Caller *caller, const pg_uuid_t *job_id, const pg_uuid_t *token,
			  bool retryable, const TimestampTz *retry_at, const JsonFields *reported)
{
	JobError	error = {NULL};

	system->take_error(reported, &error);
	(void) job_fail(system, caller, job_id, token, &retryable, retry_at, &error);
}

/* what finish_and_claim() says of the job that ends */
typedef struct Finish
{
	pg_uuid_t	job_id;
	pg_uuid_t	token;
	JsonFields	result;
	JsonFields	reported;		/* error */
	bool		retryable;
	const TimestampTz *retry_at;	/* or NULL */
} Finish;

/* End a job: with a failure if there is one, else with its result. */
static void
finish_one(const QueueSystem *system, const Caller *caller, const Finish *finish)
{
	if (finish->result.container != NULL && finish->reported.container != NULL)
		refuse_value("p_error", "NULL where there is a result");
	if (finish->result.container != NULL && finish->retryable)
		refuse_value("p_retryable", "false where there is a result");
	if (finish->reported.container != NULL || finish->retryable)
		fail_reported(system, caller, &finish->job_id, &finish->token, finish->retryable, finish->retry_at, &finish->reported);
	else if (system->finish_in_set == NULL || !system->finish_in_set(&finish->job_id, &finish->token, &finish->result))
		system->finish(caller, &finish->job_id, &finish->token, &finish->result);
}

/*
 * finish_and_claim(p_system text, p_worker text, p_job_id uuid, p_lease_token uuid,
 * p_result jsonb, p_error jsonb, p_retryable boolean, p_retry_in interval,
 * p_limit integer, p_lease interval, p_stages text[], p_process_id text)
 * returns setof (job_id, lease_token, attempt, lease_expires_at, job)
 */
Datum
finish_and_claim(PG_FUNCTION_ARGS)
{
	StatementResult *outer;
	Caller		caller;
	KeptRows	kept;
	ClaimRequest request;
	Finish		finish;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	caller_enter_service(&caller);
	request = claim_read_request(fcinfo, 8, 0);
	rows_keep_open(&kept);
	if (!PG_ARGISNULL(2))
	{
		finish.job_id = check_uuid(fcinfo, 2, "p_job_id");
		finish.token = check_uuid(fcinfo, 3, "p_lease_token");
		finish.result = json_fields(optional_jsonb(fcinfo, 4), "p_result");
		finish.reported = json_fields(optional_jsonb(fcinfo, 5), "p_error");
		finish.retryable = check_bool(fcinfo, 6, "p_retryable");
		finish.retry_at = job_retry_at(check_duration(fcinfo, 7, "p_retry_in", 0, MAX_DELAY_SECONDS), &finish.retryable);
		/* a scope of its own frees what was written */
		outer = statements_begin();
		finish_one(request.system, &caller, &finish);
		statements_end(outer);
	}
	claim_run((ReturnSetInfo *) fcinfo->resultinfo, &request);
	rows_close_kept(&kept);
	caller_leave(&caller);

	return (Datum) 0;
}

/* ------------------------------------------------------------------------
 * Sets of jobs
 * ------------------------------------------------------------------------ */

typedef struct JobSet JobSet;

/* a job of a set, and what became of it */
typedef struct SetJob
{
	pg_uuid_t	job_id;
	pg_uuid_t	user_id;		/* zeros if the job has none */
	pg_uuid_t	token;
	JsonFields	item;			/* the object that names it */
	JobSet	   *set;
	bool		done;
	int			sqlerrcode;
	const char *message;
} SetJob;

struct JobSet
{
	const QueueSystem *system;
	const Caller *caller;
	int			n;
	SetJob	   *jobs;
	char	   *reason;			/* of cancellations */
	char	   *error_code;		/* of failed jobs to retry; NULL: any */
	bool		locks_owners;	/* before the jobs */
	void		(*act) (SetJob *job);
};

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(&((const SetJob *) a)->job_id, &((const SetJob *) b)->job_id, sizeof(pg_uuid_t));
}

/* Return the order in which jobs are locked. */
static int
compare_jobs(const void *a, const void *b)
{
	const SetJob *one = a;
	const SetJob *other = b;
	int			order = memcmp(&one->user_id, &other->user_id, sizeof(pg_uuid_t));

	return order != 0 ? order : compare_ids(a, b);
}

/* Find a job of a set that is sorted by id. */
static SetJob *
find_job(JobSet *set, const pg_uuid_t *job_id)
{
	SetJob		key = {.job_id = *job_id};

	return bsearch(&key, set->jobs, set->n, sizeof(SetJob), compare_ids);
}

/* Set the owner of a job of the set; a row of select_owners. */
static void
set_owner(HeapTuple row, TupleDesc desc, void *arg)
{
	JobSet	   *set = arg;
	bool		isnull;
	pg_uuid_t	job_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	Datum		user_id = SPI_getbinval(row, desc, 2, &isnull);
	SetJob	   *job = find_job(set, &job_id);

	if (!isnull && job != NULL)
		job->user_id = *DatumGetUUIDP(user_id);
}

/* Refuse a set that names a job twice; it is sorted by id. */
static void
check_set(const JobSet *set, const char *name)
{
	for (int i = 1; i < set->n; i++)
	{
		if (uuid_equal(&set->jobs[i].job_id, &set->jobs[i - 1].job_id))
			refuse_value(name, "without a job twice");
	}
}

/*
 * Sort the jobs of a set, which an argument names, into the order in which they are
 * locked; raise an error if one is there twice.
 */
static void
sort_jobs(JobSet *set, const char *name)
{
	Arguments	args = NO_ARGUMENTS;
	Datum	   *ids;

	qsort(set->jobs, set->n, sizeof(SetJob), compare_ids);
	check_set(set, name);
	if (!set->locks_owners && !set->system->may_cost())
		return;
	ids = palloc(set->n * sizeof(Datum));
	for (int i = 0; i < set->n; i++)
		ids[i] = UUIDPGetDatum(&set->jobs[i].job_id);
	argument_add(&args, PointerGetDatum(construct_array(ids, set->n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR)), false);
	statement_execute_each(set->system->select_owners, &args, set_owner, set);
	qsort(set->jobs, set->n, sizeof(SetJob), compare_jobs);
}

/* Act on one job; the argument of in_subtransaction(). */
static void
act_on_job(void *arg)
{
	SetJob	   *job = arg;
	StatementResult *outer = statements_begin();

	job->set->act(job);
	statements_end(outer);
}

/*
 * A deadlock is no answer about a job: the whole call has to be repeated, as after a
 * serialization failure, which in_subtransaction() does not catch.
 */
static void
rethrow_deadlock(ErrorData *error)
{
	if (error != NULL && error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		ReThrowError(error);
}

/* Lock the owners of a set whose functions lock them before the jobs, in their order. */
static void
lock_owners(const JobSet *set)
{
	for (int i = 0; i < set->n; i++)
	{
		if (i == 0 || !uuid_equal(&set->jobs[i].user_id, &set->jobs[i - 1].user_id))
			(void) user_lock_key_share(&set->jobs[i].user_id);
	}
}

/*
 * Lock the jobs of a set that are not done, in the order of their ids, before the first
 * of them needs an account: another call may hold one job and wait for the account.
 */
static void
lock_jobs(const JobSet *set)
{
	SetJob	   *sorted = palloc(Max(set->n, 1) * sizeof(SetJob));
	Job			job;

	memcpy(sorted, set->jobs, set->n * sizeof(SetJob));
	qsort(sorted, set->n, sizeof(SetJob), compare_ids);
	for (int i = 0; i < set->n; i++)
	{
		StatementResult *outer;

		if (sorted[i].done)
			continue;
		outer = statements_begin();
		(void) system_job_lock(set->system, &sorted[i].job_id, &job);
		statements_end(outer);
	}
	pfree(sorted);
}

/* Act on each job that is not done, in a subtransaction of its own. */
static void
act_one_by_one(JobSet *set)
{
	if (set->locks_owners)
		lock_owners(set);
	lock_jobs(set);
	/* this is no error of a job */
	PreventCommandIfReadOnly("UPDATE");
	for (int i = 0; i < set->n; i++)
	{
		SetJob	   *job = &set->jobs[i];
		ErrorData  *error;

		if (job->done)
			continue;
		CHECK_FOR_INTERRUPTS();
		error = in_subtransaction(act_on_job, job);
		rethrow_deadlock(error);
		job->done = error == NULL;
		if (error != NULL)
		{
			job->sqlerrcode = error->sqlerrcode;
			job->message = error->detail ? psprintf("%s: %s", error->message, error->detail) : error->message;
		}
	}
}

/* Add the jobs of a set to the result. */
static void
put_jobs(ReturnSetInfo *rsinfo, const JobSet *set)
{
	for (int i = 0; i < set->n; i++)
	{
		const SetJob *job = &set->jobs[i];
		Datum		values[4] = {UUIDPGetDatum(&job->job_id), BoolGetDatum(job->done)};
		bool		nulls[4] = {false, false, job->done, job->done};

		if (!job->done)
		{
			values[2] = CStringGetTextDatum(unpack_sql_state(job->sqlerrcode));
			values[3] = CStringGetTextDatum(job->message);
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/* Return a set of so many jobs. */
static JobSet *
make_set(const QueueSystem *system, const Caller *caller, int n, const char *name, void (*act) (SetJob *job))
{
	JobSet	   *set = palloc0(sizeof(JobSet));

	if (n > MAX_SET)
		refuse_value(name, psprintf("at most %d jobs", MAX_SET));
	set->system = system;
	set->caller = caller;
	set->n = n;
	set->jobs = palloc0(Max(n, 1) * sizeof(SetJob));
	set->act = act;
	for (int i = 0; i < n; i++)
		set->jobs[i].set = set;
	return set;
}

/* Read the jobs of an argument p_jobs: an array of objects with job_id and lease_token. */
static JobSet *
read_set(const QueueSystem *system, const Caller *caller, Jsonb *jobs, void (*act) (SetJob *job))
{
	List	   *items = json_objects(jobs, "p_jobs");
	JobSet	   *set;

	set = make_set(system, caller, list_length(items), "p_jobs", act);
	for (int i = 0; i < set->n; i++)
	{
		SetJob	   *job = &set->jobs[i];

		job->item = *(JsonFields *) list_nth(items, i);
		if (!field_uuid(&job->item, "job_id", &job->job_id))
			refuse_field(&job->item, "job_id", "an id");
		if (!field_uuid(&job->item, "lease_token", &job->token))
			refuse_field(&job->item, "lease_token", "an id");
	}
	sort_jobs(set, "p_jobs");
	return set;
}

/* Complete a job of a set by its own. */
static void
complete_set_job(SetJob *job)
{
	JsonFields	result = field_object(&job->item, "result");

	job->set->system->finish(job->set->caller, &job->job_id, &job->token, &result);
}

/*
 * Complete jobs of a set that need neither locks nor a subtransaction each, up to the
 * first that does: the others are locked after it, in the order of their ids.
 */
static void
complete_together(void *arg)
{
	JobSet	   *set = arg;
	KeptRows	kept;

	rows_keep_open(&kept);
	for (int i = 0; i < set->n && (i == 0 || set->jobs[i - 1].done); i++)
	{
		SetJob	   *job = &set->jobs[i];
		StatementResult *outer = statements_begin();
		JsonFields	result = field_object(&job->item, "result");

		job->done = set->system->finish_in_set(&job->job_id, &job->token, &result);
		statements_end(outer);
	}
	rows_close_kept(&kept);
}

/*
 * complete_jobs(p_system text, p_jobs jsonb)
 * returns setof (job_id, done, error_code, error_message)
 */
Datum
complete_jobs(PG_FUNCTION_ARGS)
{
	Caller		caller;
	const QueueSystem *system;
	JobSet	   *set;
	ErrorData  *error = NULL;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	caller_enter_service(&caller);
	system = queue_check_name(fcinfo, 0, "p_system");
	check_not_null(fcinfo, 1, "p_jobs");
	set = read_set(system, &caller, PG_GETARG_JSONB_P(1), complete_set_job);
	if (set->system->finish_in_set != NULL)
		error = in_subtransaction(complete_together, set);
	rethrow_deadlock(error);
	for (int i = 0; i < set->n && error != NULL; i++)
		set->jobs[i].done = false;
	act_one_by_one(set);
	put_jobs((ReturnSetInfo *) fcinfo->resultinfo, set);
	caller_leave(&caller);

	return (Datum) 0;
}

/* Get when a failed job of a set is tried again; returns false if the item does not say. */
static bool
retry_time(const SetJob *job, TimestampTz *at)
{
	char	   *in = field_text(&job->item, "retry_in", MAX_INTERVAL_LENGTH);

	if (in == NULL)
		return false;
	*at = check_span(DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(in),
														   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))),
					 "retry_in", GetCurrentTimestamp(), 0, MAX_DELAY_SECONDS);
	return true;
}

/* Fail a job of a set. */
static void
fail_set_job(SetJob *job)
{
	JsonFields	reported = field_object(&job->item, "error");
	bool		retryable = field_true(&job->item, "retryable");
	TimestampTz at;

	fail_reported(job->set->system, job->set->caller, &job->job_id, &job->token, retryable,
				  retry_time(job, &at) ? &at : NULL, &reported);
}

/*
 * fail_jobs(p_system text, p_jobs jsonb)
 * returns setof (job_id, done, error_code, error_message)
 */
Datum
fail_jobs(PG_FUNCTION_ARGS)
{
	Caller		caller;
	const QueueSystem *system;
	JobSet	   *set;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	caller_enter_service(&caller);
	system = queue_check_name(fcinfo, 0, "p_system");
	check_not_null(fcinfo, 1, "p_jobs");
	set = read_set(system, &caller, PG_GETARG_JSONB_P(1), fail_set_job);
	act_one_by_one(set);
	put_jobs((ReturnSetInfo *) fcinfo->resultinfo, set);
	caller_leave(&caller);

	return (Datum) 0;
}

/* Cancel a job of a set. */
static void
cancel_set_job(SetJob *job)
{
	(void) job_cancel(job->set->system, job->set->caller, &job->job_id, job->set->reason);
}

/*
 * cancel_jobs(p_system text, p_job_ids uuid[], p_reason text)
 * returns setof (job_id, done, error_code, error_message)
 */
Datum
cancel_jobs(PG_FUNCTION_ARGS)
{
	Caller		caller;
	const QueueSystem *system;
	Datum	   *ids;
	bool	   *nulls;
	int			n;
	JobSet	   *set;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	caller_enter_service(&caller);
	system = queue_check_name(fcinfo, 0, "p_system");
	check_not_null(fcinfo, 1, "p_job_ids");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids, &nulls, &n);
	set = make_set(system, &caller, n, "p_job_ids", cancel_set_job);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			refuse_null("p_job_ids");
		set->jobs[i].job_id = *DatumGetUUIDP(ids[i]);
	}
	set->reason = check_text(fcinfo, 2, "p_reason", 0, MAX_REASON_LENGTH);
	sort_jobs(set, "p_job_ids");
	act_one_by_one(set);
	put_jobs((ReturnSetInfo *) fcinfo->resultinfo, set);
	caller_leave(&caller);

	return (Datum) 0;
}

/* Refuse a job that has failed with another error since it was found, as one that was cancelled. */
static void
check_failed_with(const SetJob *job)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &job->job_id);
	argument_text(&args, job->set->error_code);
	if (statement_execute(job->set->system->select_failed_with, &args) == 0)
		refuse_conflict("job has failed with another error meanwhile", psprintf("Job %s.", uuid_text(&job->job_id)));
}

/* Retry a job of a set, all of which are locked. */
static void
retry_set_job(SetJob *job)
{
	const QueueSystem *system = job->set->system;
	Job			locked;

	if (system_job_lock(system, &job->job_id, &locked) && locked.status == system->failed)
		check_failed_with(job);
	system->retry(job->set->caller, &job->job_id);
}

/*
 * retry_failed_jobs(p_system text, p_error_code text, p_since timestamptz,
 * p_limit integer)
 * returns setof (job_id, done, error_code, error_message)
 */
Datum
retry_failed_jobs(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	const QueueSystem *system;
	List	   *ids;
	JobSet	   *set;
	char	   *error_code;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	caller_enter_service(&caller);
	system = queue_check_name(fcinfo, 0, "p_system");
	error_code = check_optional_text(fcinfo, 1, "p_error_code", MAX_SHORT_LENGTH);
	argument_text(&args, error_code);
	argument_time(&args, optional_time(fcinfo, 2));
	argument_int32(&args, check_int32(fcinfo, 3, "p_limit", 1, MAX_SET));
	ids = statement_execute_uuids(system->select_failed, &args);
	set = make_set(system, &caller, list_length(ids), "p_limit", retry_set_job);
	set->error_code = error_code;
	set->locks_owners = true;
	for (int i = 0; i < set->n; i++)
		set->jobs[i].job_id = *(pg_uuid_t *) list_nth(ids, i);
	sort_jobs(set, "p_limit");
	act_one_by_one(set);
	put_jobs((ReturnSetInfo *) fcinfo->resultinfo, set);
	caller_leave(&caller);

	return (Datum) 0;
}
