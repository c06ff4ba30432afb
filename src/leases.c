/*
 * leases.c
 *	  The leases of workers: checked at every write, prolonged, given back,
 *	  taken away when they expire; and what came of each of them.
 *
 * Pitfall: a lease ends at expires_at by clock_timestamp(), not by the time of
 * a transaction, and whether or not somebody else has the job by now.  A
 * worker that lost its lease must stop: it gets PT409 and changes nothing.
 *
 * Pitfall: no index has expires_at, so that a heartbeat writes one row and no
 * index.  Leases are found by due_at, which is never later than expires_at; a
 * lease that was prolonged since gets its due_at when it is looked at.
 *
 * Lock order: job, then its row in the queue, then the account.  What goes
 * through many jobs waits for none of them.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "leases.h"
#include "queue.h"
#include "queue_rows.h"
#include "settings.h"
#include "subtransactions.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(heartbeat_job);
PG_FUNCTION_INFO_V1(snooze_job);
PG_FUNCTION_INFO_V1(release_leases);
PG_FUNCTION_INFO_V1(reap_expired_leases);

#define MAX_REAP 10000
#define MAX_SNOOZE_SECONDS (366 * INT64CONST(86400))
#define MAX_MESSAGE_LENGTH 1000

#define LOCK_LEASE \
	"SELECT q.state = 'leased', q.lease_token, q.expires_at, q.attempt - q.first_attempt + 1," \
	"       q.cancel_requested_at IS NOT NULL, q.cancel_reason" \
	"  FROM studio_engine.queue q" \
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system FOR UPDATE"

static Statement lock_lease = {
	.by_index = true,
	.direct = lock_lease_directly,
	.text = LOCK_LEASE,
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement try_lock_lease = {
	.by_index = true,
	.direct = try_lock_lease_directly,
	.text = LOCK_LEASE " SKIP LOCKED",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_ended = {
	.by_index = true,
	.text = "SELECT a.system, a.outcome FROM studio_engine.attempts a WHERE a.job_id = $1 AND a.lease_token = $2",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_leased = {
	.by_index = true,
	.text = "SELECT q.system, q.shown_at FROM studio_engine.queue q"
	" WHERE q.job_id = $1 AND q.lease_token = $2",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

/*
 * expires_at is compared before waiting for the row, and again after it: OFFSET
 * keeps the second condition from being moved into the subquery.
 */
static Statement prolong_lease = {
	.by_index = true,
	.text = "UPDATE studio_engine.queue q"
	"   SET expires_at = $3, due_at = LEAST(q.due_at, $3), shown_at = COALESCE($4, q.shown_at)"
	"  FROM (SELECT o.job_id, o.system, o.expires_at FROM studio_engine.queue o"
	"         WHERE o.job_id = $1 AND o.lease_token = $2 AND o.expires_at > pg_catalog.clock_timestamp()"
	"         OFFSET 0 FOR UPDATE) l"
	" WHERE q.job_id = l.job_id AND q.system = l.system AND l.expires_at > pg_catalog.clock_timestamp()"
	" RETURNING pg_catalog.jsonb_build_object('cancel', q.cancel_requested_at IS NOT NULL,"
	"                                         'lease_expires_at', q.expires_at)",
	.nargs = 4,.argtypes = {UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};
static Statement request_cancel = {
	.by_index = true,
	.text = "UPDATE studio_engine.queue q"
	"   SET cancel_requested_at = pg_catalog.clock_timestamp(), cancel_reason = $3"
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system AND q.cancel_requested_at IS NULL",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};

/* due_at NULL: back to where it was in the waiting list */
static Statement end_lease = {
	.by_index = true,
	.text = "WITH ended AS ("
	"   INSERT INTO studio_engine.attempts (system, job_id, attempt, lease_token, worker, started_at, outcome, error)"
	"   SELECT q.system, q.job_id, q.attempt, q.lease_token, q.worker, q.claimed_at, $3,"
	"          COALESCE($7, NULLIF(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("
	"              'code', $8, 'message', $9, 'step', $10)), '{}'))"
	"     FROM studio_engine.queue q"
	"    WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system)"
	" UPDATE studio_engine.queue q"
	"    SET state = $4::studio_engine.queue_state, due_at = COALESCE($5, q.since), attempt = q.attempt - $6,"
	"        lease_token = NULL, worker = NULL, claimed_at = NULL, expires_at = NULL, since = NULL,"
	"        cancel_requested_at = NULL, cancel_reason = NULL, shown_at = NULL"
	"  WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system",
	.nargs = 10,.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID,
	JSONBOID, TEXTOID, TEXTOID, TEXTOID}
};
static Statement select_worker_leases = {
	.by_index = true,
	.text = "SELECT q.system, q.job_id, q.lease_token, q.user_id, q.due_at FROM studio_engine.queue q"
	" WHERE q.worker = $1 AND q.state = 'leased' ORDER BY q.job_id",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement select_due_leases = {
	.by_index = true,
	.text = "SELECT q.system, q.job_id, q.lease_token, q.user_id, q.due_at FROM studio_engine.queue q"
	" WHERE q.state = 'leased' AND q.due_at <= $1 AND (q.due_at, q.job_id) > ($2, $3)"
	" ORDER BY q.due_at, q.job_id LIMIT $4",
	.nargs = 4,.argtypes = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, INT4OID}
};
static Statement postpone_lease = {
	.by_index = true,
	.text = "UPDATE studio_engine.queue q SET due_at = COALESCE($3, q.expires_at)"
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TIMESTAMPTZOID}
};
static Statement undo_lease = {
	.by_index = true,
	.text = "UPDATE studio_engine.queue q"
	"    SET state = 'waiting', due_at = q.since, attempt = q.attempt - 1,"
	"        lease_token = NULL, worker = NULL, claimed_at = NULL, expires_at = NULL, since = NULL"
	"  WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_payer = {
	.by_index = true,
	.text = "SELECT q.user_id FROM studio_engine.queue q"
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_due_at = {
	.by_index = true,
	.text = "SELECT q.due_at FROM studio_engine.queue q"
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system AND q.state = 'delayed'",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};

/* ------------------------------------------------------------------------
 * Checking a lease
 * ------------------------------------------------------------------------ */

void
refuse_lease(const pg_uuid_t *job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_CONFLICT),
			 errmsg("lease was lost or has expired"),
			 errdetail("Job %s.", uuid_text(job_id)),
			 errhint("Drop the work: another worker has the job, or will have it.")));
}

pg_noreturn static void
refuse_without_lease(const pg_uuid_t *job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_CONFLICT),
			 errmsg("a worker has this job"),
			 errdetail("Job %s.", uuid_text(job_id)),
			 errhint("Pass the p_lease_token that claim_jobs() gave.")));
}

/* a lease as it stands in the queue */
typedef struct LeaseRow
{
	bool		leased;
	pg_uuid_t	token;
	TimestampTz expires_at;
} LeaseRow;

/* Lock the row of a job in the queue; false when it has none, or is locked. */
static bool
lock_row(Statement *statement, Lease *lease, LeaseRow *row)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &lease->job_id);
	argument_text(&args, lease->system->name);
	if (statement_run(statement, &args) == 0)
		return false;

	row->leased = result_bool(1);
	if (row->leased)
	{
		row->token = result_uuid(2);
		row->expires_at = result_int64(3);
	}
	lease->tries = result_int32(4);
	lease->cancelled = result_bool(5);
	lease->reason = result_text(6);
	return true;
}

static bool
is_alive(const LeaseRow *row)
{
	return row->leased && row->expires_at > GetCurrentTimestamp();
}

/* What came of a lease that is over; refuses one that was taken away. */
static char *
outcome_of(const pg_uuid_t *job_id, const pg_uuid_t *token)
{
	Arguments	args = NO_ARGUMENTS;
	char	   *outcome;

	argument_uuid(&args, job_id);
	argument_uuid(&args, token);
	if (statement_run(&select_ended, &args) == 0)
		refuse_lease(job_id);
	outcome = result_text(2);
	if (strcmp(outcome, "expired") == 0)
		refuse_lease(job_id);
	return outcome;
}

static LeaseState
check_token(const pg_uuid_t *token, Lease *lease)
{
	LeaseRow	row = {.leased = false};
	bool		found = lock_row(&lock_lease, lease, &row);

	if (token == NULL)
	{
		if (found && is_alive(&row))
			refuse_without_lease(&lease->job_id);
		return LEASE_NONE;
	}
	if (!found || !row.leased || !uuid_equal(&row.token, token))
	{
		lease->outcome = outcome_of(&lease->job_id, token);
		return LEASE_ENDED;
	}
	if (!is_alive(&row))
		refuse_lease(&lease->job_id);
	return LEASE_HELD;
}

/*
 * May this call write?  Looks at the argument that is the lease token, which
 * may be NULL where nobody has the job.  Call it with the job locked.
 */
LeaseState
lease_check(const QueueSystem *system, const pg_uuid_t *job_id, FunctionCallInfo fcinfo, int argno, Lease *lease)
{
	lease->system = system;
	lease->job_id = *job_id;
	lease->outcome = NULL;
	return check_token(PG_ARGISNULL(argno) ? NULL : PG_GETARG_UUID_P(argno), lease);
}

/*
 * Refuse to go on with a lease that is over, or with a job that somebody wants
 * to be cancelled.
 */
void
lease_require_work(LeaseState state, const Lease *lease)
{
	if (state == LEASE_ENDED)
		refuse_lease(&lease->job_id);
	if (state == LEASE_HELD && lease->cancelled)
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("job is to be cancelled"),
				 errdetail("Job %s.", uuid_text(&lease->job_id)),
				 errhint("Fail the job to confirm it.")));
}

/*
 * Is the same asked again that ended the lease?  Refuses when it ended in
 * another way.
 */
bool
lease_replays(LeaseState state, const Lease *lease, const char *const *outcomes, int noutcomes)
{
	if (state != LEASE_ENDED)
		return false;
	for (int i = 0; i < noutcomes; i++)
	{
		if (strcmp(lease->outcome, outcomes[i]) == 0)
			return true;
	}
	refuse_lease(&lease->job_id);
}

/*
 * May a status be asked for again that ended the lease?  Refuses when the lease
 * ended otherwise.
 */
bool
lease_replays_end(LeaseState state, const Lease *lease)
{
	static const char *const outcomes[] = {"completed", "failed"};

	return lease_replays(state, lease, outcomes, lengthof(outcomes));
}

/* ------------------------------------------------------------------------
 * Ending a lease while the job goes on
 * ------------------------------------------------------------------------ */

/*
 * How long to wait before the next try: anything up to the base doubled with
 * every try, but not above the cap, so that jobs that failed together do not
 * come back together.
 */
static int64
backoff_us(int32 tries)
{
	double		base = setting_int32(SETTING_RETRY_BASE_SECONDS);
	double		cap = setting_int32(SETTING_RETRY_CAP_SECONDS);
	double		delay = base * ldexp(1.0, Min(tries - 1, 62));

	return (int64) (pg_prng_double(&pg_global_prng_state) * Min(delay, cap) * USECS_PER_SEC);
}

/* due_at NULL: the job goes back to where it was in the waiting list. */
static void
end_lease_of(const Lease *lease, const char *outcome, const TimestampTz *due_at, const JobError *error)
{
	Arguments	args = NO_ARGUMENTS;
	bool		counts = strcmp(outcome, "retried") == 0 || strcmp(outcome, "expired") == 0;

	argument_uuid(&args, &lease->job_id);
	argument_text(&args, lease->system->name);
	argument_text(&args, outcome);
	argument_text(&args, due_at ? "delayed" : "waiting");
	argument_time(&args, due_at);
	argument_int32(&args, counts ? 0 : 1);
	argument_add(&args, error ? error->details : (Datum) 0, error == NULL || error->details == (Datum) 0);
	argument_text(&args, error ? error->code : NULL);
	argument_text(&args, error ? error->message : NULL);
	argument_text(&args, error ? error->step : NULL);
	statement_run(&end_lease, &args);
}

static bool
has_tries_left(const Lease *lease)
{
	int32		limit = setting_int32(SETTING_MAX_ATTEMPTS);

	return limit == 0 || lease->tries < limit;
}

static void
delay_retry(const Lease *lease, const char *outcome, const JobError *error)
{
	TimestampTz due_at = GetCurrentTimestamp() + backoff_us(lease->tries);

	end_lease_of(lease, outcome, &due_at, error);
	if (lease->system->count_retry)
		lease->system->count_retry(&lease->job_id);
}

/* The error of a job that was cancelled while a worker had it. */
static void
be_cancelled(const Lease *lease, JobError *error)
{
	memset(error, 0, sizeof(JobError));
	error->code = ERROR_CANCELLED;
	error->message = lease->reason;
}

/* May a failed attempt be tried again?  Only one of a worker with a lease. */
static bool
check_retryable(FunctionCallInfo fcinfo, int argno, LeaseState state)
{
	check_not_null(fcinfo, argno, "p_retryable");
	if (PG_GETARG_BOOL(argno) && state == LEASE_NONE)
		refuse_value("p_retryable", "false without a lease");
	return PG_GETARG_BOOL(argno);
}

/*
 * A worker, or an orchestrator without a lease, reports a failure.  True when
 * the job has failed with it, and *error is what to write; false when it will
 * be tried again, or when the same was reported before.  Call it with the job
 * locked.
 */
bool
lease_fails(const QueueSystem *system, const pg_uuid_t *job_id,
			FunctionCallInfo fcinfo, int retryable_argno, int token_argno, JobError *error)
{
	static const char *const outcomes[] = {"failed", "retried", "cancelled"};
	Lease		lease;
	LeaseState	state = lease_check(system, job_id, fcinfo, token_argno, &lease);
	bool		retryable = check_retryable(fcinfo, retryable_argno, state);

	if (lease_replays(state, &lease, outcomes, lengthof(outcomes)))
		return false;
	if (state == LEASE_HELD && lease.cancelled)
		be_cancelled(&lease, error);
	else if (retryable && has_tries_left(&lease))
	{
		delay_retry(&lease, "retried", error);
		return false;
	}
	return true;
}

/* Give a job back, as if it had not been claimed. */
static void
give_back(const Lease *lease, const char *outcome, const TimestampTz *due_at)
{
	JobError	error;

	if (lease->cancelled)
	{
		be_cancelled(lease, &error);
		lease->system->fail(&lease->job_id, &error);
	}
	else
		end_lease_of(lease, outcome, due_at, NULL);
}

/*
 * Has a worker a lease, be it an expired one that nobody took away?  The answer
 * holds until the transaction ends.  Call it with the job locked.
 */
bool
lease_is_out(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Lease		lease = {.system = system,.job_id = *job_id};
	LeaseRow	row = {.leased = false};

	return lock_row(&lock_lease, &lease, &row) && row.leased;
}

/*
 * Ask the worker that has a job to stop; false when nobody has it.  Call it
 * with the job locked.
 */
bool
lease_request_cancel(const QueueSystem *system, const pg_uuid_t *job_id, const char *reason)
{
	Arguments	args = NO_ARGUMENTS;
	Lease		lease = {.system = system,.job_id = *job_id};
	LeaseRow	row = {.leased = false};

	if (!lock_row(&lock_lease, &lease, &row) || !is_alive(&row))
		return false;
	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	argument_text(&args, reason);
	statement_run(&request_cancel, &args);
	return true;
}

/*
 * The row of a job that a worker was asked to give up, as an answer that
 * outlives caller_leave().
 */
Datum
lease_mark_cancelling(Datum job)
{
	static const char mark[] = "{\"cancel_requested\": true}";
	Datum		marked = DirectFunctionCall2(jsonb_concat, job, DirectFunctionCall1(jsonb_in, CStringGetDatum(mark)));

	return SPI_datumTransfer(marked, false, -1);
}

/* ------------------------------------------------------------------------
 * Jobs that were claimed and are not handed out
 * ------------------------------------------------------------------------ */

/*
 * A lease that this transaction has just made was never there.
 */
void
lease_undo(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	statement_run(&undo_lease, &args);
}

/* a job on its way through in_subtransaction() */
typedef struct Unreadable
{
	const QueueSystem *system;
	pg_uuid_t	job_id;
	bool		failed;
} Unreadable;

/* May it be ended without waiting?  Its row in the queue is locked already. */
static bool
try_lock_unreadable(const Unreadable *job)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	user_id;

	if (!job->system->try_lock(&job->job_id))
		return false;
	if (job->system->try_lock_payer == NULL)
		return true;
	argument_uuid(&args, &job->job_id);
	argument_text(&args, job->system->name);
	statement_run(&select_payer, &args);
	user_id = result_uuid(1);
	return job->system->try_lock_payer(&user_id);
}

static void
fail_unreadable(void *arg)
{
	Unreadable *job = arg;
	JobError	error = {
		.code = ERROR_UNREADABLE,
		.message = "The job holds values that cannot be shown. Mend or remove them, then retry the job."
	};
	Answer	   *outer = statements_begin();

	if (try_lock_unreadable(job))
	{
		job->system->fail(&job->job_id, &error);
		job->failed = true;
	}
	statements_end(outer);
}

/*
 * Fail a job that this transaction has just claimed and cannot show.  Where that
 * is not possible now, the job is left for a while.
 */
void
lease_fail_unreadable(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Unreadable	job = {.system = system,.job_id = *job_id};
	Lease		lease = {.system = system,.job_id = *job_id};
	ErrorData  *error = in_subtransaction(fail_unreadable, &job);
	TimestampTz later = GetCurrentTimestamp() + USECS_PER_MINUTE;

	if (error != NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("a job that cannot be shown could not be failed"),
				 errdetail("Job %s of %s: %s", uuid_text(job_id), system->name, error->message),
				 errhint("Mend the job; until then it is looked at once a minute.")));
	if (error != NULL || !job.failed)
		end_lease_of(&lease, "released", &later, NULL);
}

/* ------------------------------------------------------------------------
 * Functions of workers
 * ------------------------------------------------------------------------ */

/*
 * The system of a lease, by its job and token; NULL when there is none.  The
 * rest of the row is the last result.
 */
static const QueueSystem *
system_of_lease(Statement *statement, const pg_uuid_t *job_id, const pg_uuid_t *token)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_uuid(&args, token);
	if (statement_run(statement, &args) == 0)
		return NULL;
	return queue_by_name(result_text(1));
}

/*
 * The system into whose row progress may be written now; NULL when it is too
 * early, or somebody is at that row.  Locks the job.
 */
static const QueueSystem *
lock_to_show(const pg_uuid_t *job_id, const pg_uuid_t *token, TimestampTz now)
{
	int32		interval = setting_int32(SETTING_PROGRESS_INTERVAL_MS);
	const QueueSystem *system = system_of_lease(&select_leased, job_id, token);

	if (system == NULL)
		refuse_lease(job_id);
	if (system->show_progress == NULL)
		return NULL;
	if (!result_isnull(2) && now >= result_int64(2) &&
		!TimestampDifferenceExceeds(result_int64(2), now, interval))
		return NULL;
	return system->try_lock(job_id) ? system : NULL;
}

static Datum
prolong(const pg_uuid_t *job_id, const pg_uuid_t *token, TimestampTz expires_at, const TimestampTz *shown_at)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_uuid(&args, token);
	argument_time(&args, &expires_at);
	argument_time(&args, shown_at);
	if (statement_run(&prolong_lease, &args) == 0)
		refuse_lease(job_id);
	return result_jsonb(1);
}

/*
 * heartbeat_job(p_job_id uuid, p_lease_token uuid, p_progress integer,
 * p_status_message text, p_lease interval) returns jsonb
 */
Datum
heartbeat_job(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id,
				token;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz expires_at;
	const QueueSystem *show = NULL;
	int32		progress = 0;
	char	   *message;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	token = check_uuid(fcinfo, 1, "p_lease_token");
	if (!PG_ARGISNULL(2))
		progress = check_int32(fcinfo, 2, "p_progress", 0, 100);
	message = check_text(fcinfo, 3, "p_status_message", 0, MAX_MESSAGE_LENGTH);
	expires_at = lease_end(fcinfo, 4, now);

	if (!PG_ARGISNULL(2) || message != NULL)
		show = lock_to_show(&job_id, &token, now);
	result = prolong(&job_id, &token, expires_at, show ? &now : NULL);
	if (show)
		show->show_progress(&job_id, PG_ARGISNULL(2) ? NULL : &progress, message);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Until when a job is delayed; false when it is not. */
static bool
read_due_at(const QueueSystem *system, const pg_uuid_t *job_id, TimestampTz *due_at)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	if (statement_run(&select_due_at, &args) == 0)
		return false;
	*due_at = result_int64(1);
	return true;
}

/*
 * snooze_job(p_job_id uuid, p_lease_token uuid, p_for interval) returns
 * timestamptz
 */
Datum
snooze_job(PG_FUNCTION_ARGS)
{
	static const char *const outcomes[] = {"snoozed", "cancelled"};
	Caller		caller;
	pg_uuid_t	job_id,
				token;
	TimestampTz due_at;
	const QueueSystem *system;
	Lease		lease;
	LeaseState	state;
	bool		delayed;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	token = check_uuid(fcinfo, 1, "p_lease_token");
	due_at = check_until(fcinfo, 2, "p_for", GetCurrentTimestamp(), 0, MAX_SNOOZE_SECONDS);

	system = system_of_lease(&select_leased, &job_id, &token);
	if (system == NULL)
		system = system_of_lease(&select_ended, &job_id, &token);
	if (system == NULL || !system->lock(&job_id))
		refuse_lease(&job_id);
	state = lease_check(system, &job_id, fcinfo, 1, &lease);
	if (!lease_replays(state, &lease, outcomes, lengthof(outcomes)))
		give_back(&lease, "snoozed", &due_at);
	delayed = read_due_at(system, &job_id, &due_at);
	caller_leave(&caller);

	if (!delayed)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(due_at);
}

/* ------------------------------------------------------------------------
 * Many leases at once
 * ------------------------------------------------------------------------ */

/* a lease that was found, not locked yet */
typedef struct FoundLease
{
	Lease		lease;
	pg_uuid_t	token;
	pg_uuid_t	user_id;		/* where the job has one, as one that costs
								 * credits has */
	TimestampTz due_at;
} FoundLease;

static void
collect_lease(HeapTuple row, TupleDesc desc, void *arg)
{
	List	  **leases = arg;
	FoundLease *found = palloc0(sizeof(FoundLease));
	Datum		user_id;
	bool		isnull;

	found->lease.system = queue_by_name(SPI_getvalue(row, desc, 1));
	found->lease.job_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
	found->token = *DatumGetUUIDP(SPI_getbinval(row, desc, 3, &isnull));
	user_id = SPI_getbinval(row, desc, 4, &isnull);
	if (!isnull)
		found->user_id = *DatumGetUUIDP(user_id);
	found->due_at = DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &isnull));
	*leases = lappend(*leases, found);
}

/* Lock a job and its lease, unless somebody is, or was, at either of them. */
static bool
try_lock(FoundLease *found, LeaseRow *row)
{
	return found->lease.system->try_lock(&found->lease.job_id) &&
		lock_row(&try_lock_lease, &found->lease, row) &&
		row->leased && uuid_equal(&row->token, &found->token);
}

/* May the job be ended without waiting?  That may move credits. */
static bool
try_lock_payer(const FoundLease *found)
{
	const QueueSystem *system = found->lease.system;

	return system->try_lock_payer == NULL || system->try_lock_payer(&found->user_id);
}

static bool
try_release(FoundLease *found)
{
	LeaseRow	row;

	if (!try_lock(found, &row) || !is_alive(&row))
		return false;
	if (found->lease.cancelled && !try_lock_payer(found))
		return false;
	give_back(&found->lease, "released", NULL);
	return true;
}

/*
 * release_leases(p_worker text) returns integer
 */
Datum
release_leases(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	Answer	   *outer;
	List	   *leases = NIL;
	ListCell   *cell;
	int32		count = 0;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 0, "p_worker");
	argument_add(&args, PG_GETARG_DATUM(0), false);
	statement_run_each(&select_worker_leases, &args, collect_lease, &leases);
	foreach(cell, leases)
	{
		outer = statements_begin();
		count += try_release(lfirst(cell)) ? 1 : 0;
		statements_end(outer);
	}
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}

/* Look at a lease later: when it expires, or at a time. */
static void
postpone(const Lease *lease, const TimestampTz *until)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &lease->job_id);
	argument_text(&args, lease->system->name);
	argument_time(&args, until);
	statement_run(&postpone_lease, &args);
}

/* The worker went silent: try again, or that was it. */
static void
take_away(const Lease *lease)
{
	JobError	error = {.code = "LEASE_EXPIRED",.message = "The worker stopped responding."};
	TimestampTz now = GetCurrentTimestamp();

	if (!lease->cancelled && has_tries_left(lease))
	{
		delay_retry(lease, "expired", &error);
		return;
	}
	if (lease->cancelled)
		be_cancelled(lease, &error);
	else
		end_lease_of(lease, "expired", &now, &error);
	lease->system->fail(&lease->job_id, &error);
}

/* a lease on its way through in_subtransaction() */
typedef struct Reaping
{
	FoundLease *found;
	bool		reaped;
} Reaping;

static void
reap_lease(void *arg)
{
	Reaping    *reaping = arg;
	FoundLease *found = reaping->found;
	LeaseRow	row;
	Answer	   *outer;

	outer = statements_begin();
	if (try_lock(found, &row))
	{
		if (is_alive(&row))
			postpone(&found->lease, NULL);
		else if (try_lock_payer(found))
		{
			take_away(&found->lease);
			reaping->reaped = true;
		}
	}
	statements_end(outer);
}

/*
 * Reap one lease; true when it was taken away.  A job that cannot be written
 * must not keep the others from being reaped: it is left for a while.
 */
static bool
reap_or_warn(FoundLease *found)
{
	Reaping		reaping = {.found = found,.reaped = false};
	ErrorData  *error = in_subtransaction(reap_lease, &reaping);
	TimestampTz later = GetCurrentTimestamp() + USECS_PER_MINUTE;

	if (error == NULL)
		return reaping.reaped;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("an expired lease could not be taken away"),
			 errdetail("Job %s of %s: %s", uuid_text(&found->lease.job_id),
					   found->lease.system->name, error->message),
			 errhint("Mend the job; studio_engine.rebuild_queue() removes jobs that have ended from the queue.")));
	FreeErrorData(error);
	postpone(&found->lease, &later);
	return false;
}

/* Reap leases from a place on; moves the place, and returns how many it saw. */
static int
reap_some(TimestampTz now, TimestampTz *after, pg_uuid_t *after_job, int32 limit, int32 *count)
{
	Arguments	args = NO_ARGUMENTS;
	List	   *leases = NIL;
	ListCell   *cell;

	argument_time(&args, &now);
	argument_time(&args, after);
	argument_uuid(&args, after_job);
	argument_int32(&args, limit);
	statement_run_each(&select_due_leases, &args, collect_lease, &leases);
	foreach(cell, leases)
	{
		FoundLease *found = lfirst(cell);

		*count += reap_or_warn(found) ? 1 : 0;
		*after = found->due_at;
		*after_job = found->lease.job_id;
	}
	return list_length(leases);
}

/*
 * reap_expired_leases(p_limit integer) returns integer
 */
Datum
reap_expired_leases(PG_FUNCTION_ARGS)
{
	Caller		caller;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz after = DT_NOBEGIN;
	pg_uuid_t	after_job = {{0}};
	int32		limit,
				left,
				count = 0;

	caller_enter_service(&caller);
	limit = check_int32(fcinfo, 0, "p_limit", 1, MAX_REAP);
	/* leases that were prolonged, or are locked, do not stand for others */
	do
		left = limit - count;
	while (reap_some(now, &after, &after_job, left, &count) == left && count < limit);
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}
