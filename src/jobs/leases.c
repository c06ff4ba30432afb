/*
 * leases.c
 *	  The leases of workers: checked at every write, renewed, released, and
 *	  reaped when they have expired; and the recorded outcome of each lease.
 *
 * Pitfall: a lease ends at expires_at by clock_timestamp(), not by the time of
 * a transaction, whether or not another worker has the job by now.  A
 * worker that lost its lease must stop: it gets PT409 and changes nothing.
 *
 * Pitfall: no index has expires_at, so that a heartbeat writes one row and no
 * index.  Leases are found by due_at, which is never later than expires_at; a
 * lease that was renewed since gets its due_at when the reaper finds it.
 *
 * Lock order: job, then its row in the queue, then the account.  Functions that
 * process many jobs skip locked ones.
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
#include "system_jobs.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(heartbeat_job);
PG_FUNCTION_INFO_V1(snooze_job);
PG_FUNCTION_INFO_V1(release_leases);
PG_FUNCTION_INFO_V1(reap_expired_leases);

#define MAX_LEASE_SECONDS 86400
#define MAX_REAP 10000
#define MAX_SNOOZE_SECONDS (366 * INT64CONST(86400))
#define MAX_MESSAGE_LENGTH 1000

#define LOCK_LEASE(wait_policy) \
	&(const RowOperation) { \
		.table = &queue_table,.verb = ROW_LOCK, \
		.lock = LockTupleExclusive,.policy = (wait_policy), \
		.returns = {QUEUE_STATE, QUEUE_TOKEN, QUEUE_EXPIRES, QUEUE_ATTEMPT, QUEUE_FIRST_ATTEMPT, \
			QUEUE_CANCEL_REQUESTED, QUEUE_CANCEL_REASON} \
	}

static Statement lock_lease = {.operation = LOCK_LEASE(LockWaitBlock)};
static Statement try_lock_lease = {.operation = LOCK_LEASE(LockWaitSkip)};
static Statement select_ended_lease = {
	.force_index_plan = true,
	.text = "SELECT a.system, a.outcome FROM studio_engine.attempts a WHERE a.job_id = $1 AND a.lease_token = $2",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_held_lease = {
	.force_index_plan = true,
	.text = "SELECT q.system, q.shown_at FROM studio_engine.queue q"
	" WHERE q.job_id = $1 AND q.lease_token = $2",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

/*
 * expires_at is compared before waiting for the row, and again after it: OFFSET
 * keeps the second condition from being moved into the subquery.
 */
static Statement extend_lease = {
	.force_index_plan = true,
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
	.force_index_plan = true,
	.text = "UPDATE studio_engine.queue q"
	"   SET cancel_requested_at = pg_catalog.clock_timestamp(), cancel_reason = $3"
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system AND q.cancel_requested_at IS NULL",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};

/* due_at NULL: back to its position in the queue */
static Statement end_lease = {
	.force_index_plan = true,
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
	.force_index_plan = true,
	.text = "SELECT q.system, q.job_id, q.lease_token, q.user_id, q.due_at FROM studio_engine.queue q"
	" WHERE q.worker = $1 AND q.state = 'leased' ORDER BY q.job_id",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement select_due_leases = {
	.force_index_plan = true,
	.text = "SELECT q.system, q.job_id, q.lease_token, q.user_id, q.due_at FROM studio_engine.queue q"
	" WHERE q.state = 'leased' AND q.due_at <= $1 AND (q.due_at, q.job_id) > ($2, $3)"
	" ORDER BY q.due_at, q.job_id LIMIT $4",
	.nargs = 4,.argtypes = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, INT4OID}
};
static Statement postpone_lease = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.queue q SET due_at = COALESCE($3, q.expires_at)"
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TIMESTAMPTZOID}
};
static Statement undo_lease = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.queue q"
	"    SET state = 'waiting', due_at = q.since, attempt = q.attempt - 1,"
	"        lease_token = NULL, worker = NULL, claimed_at = NULL, expires_at = NULL, since = NULL"
	"  WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_payer = {
	.force_index_plan = true,
	.text = "SELECT q.user_id FROM studio_engine.queue q"
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_due_at = {
	.force_index_plan = true,
	.text = "SELECT q.due_at FROM studio_engine.queue q"
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system AND q.state = 'delayed'",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};

/* ------------------------------------------------------------------------
 * Checking a lease
 * ------------------------------------------------------------------------ */

/*
 * Return the end of a lease that begins now.  Its length is p_lease, or setting
 * lease_seconds if that is NULL; raise an error if p_lease is out of bounds.
 */
TimestampTz
lease_end(const Interval *duration, TimestampTz now)
{
	int32		seconds;

	if (duration != NULL)
		return check_span(duration, "p_lease", now, 1, MAX_LEASE_SECONDS);
	seconds = setting_int32(SETTING_LEASE_SECONDS);
	return now + Max(seconds, 1) * USECS_PER_SEC;
}

/*
 * Raise the error for a lease that was lost, has expired or has ended.
 */
void
refuse_lease(const pg_uuid_t *job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_CONFLICT),
			 errmsg("lease was lost or has expired"),
			 errdetail("Job %s.", uuid_text(job_id)),
			 errhint("Drop the work: another worker has the job, or will have it.")));
}

/* Raise the error for a caller without a lease token while a worker has the job. */
pg_noreturn static void
refuse_without_lease(const pg_uuid_t *job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_CONFLICT),
			 errmsg("a worker has this job"),
			 errdetail("Job %s.", uuid_text(job_id)),
			 errhint("Pass the p_lease_token that claim_jobs() gave.")));
}

/* the lease in a row of the queue */
typedef struct LeaseRow
{
	bool		leased;
	pg_uuid_t	token;
	TimestampTz expires_at;
} LeaseRow;

/* Lock the row of a job in the queue; false if there is none, or SKIP LOCKED skips it. */
static bool
lock_row(Statement *statement, Lease *lease, LeaseRow *row)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &lease->job_id);
	argument_text(&args, lease->system->name);
	if (statement_execute(statement, &args) == 0)
		return false;

	row->leased = strcmp(result_text(1), "leased") == 0;
	if (row->leased)
	{
		row->token = result_uuid(2);
		row->expires_at = result_int64(3);
	}
	lease->attempts = result_int32(4) - result_int32(5) + 1;
	lease->cancelled = !result_isnull(6);
	lease->reason = result_text(7);
	return true;
}

/* Return true if a worker has a lease that has not expired. */
static bool
is_unexpired(const LeaseRow *row)
{
	return row->leased && row->expires_at > GetCurrentTimestamp();
}

/* Return the outcome of an ended lease; raise an error if it was reaped. */
static char *
get_outcome(const pg_uuid_t *job_id, const pg_uuid_t *token)
{
	Arguments	args = NO_ARGUMENTS;
	char	   *outcome;

	argument_uuid(&args, job_id);
	argument_uuid(&args, token);
	if (statement_execute(&select_ended_lease, &args) == 0)
		refuse_lease(job_id);
	outcome = result_text(2);
	if (strcmp(outcome, "expired") == 0)
		refuse_lease(job_id);
	return outcome;
}

/*
 * Check the lease token that the caller passes, and return the state of the
 * lease; *lease is filled in.  Raise an error if the lease was lost or has
 * expired.  The token is NULL for a caller without a lease, who may write only
 * while no worker has one.  Call it with the job locked.
 */
LeaseState
lease_check(const QueueSystem *system, const pg_uuid_t *job_id, const pg_uuid_t *token, Lease *lease)
{
	LeaseRow	row = {.leased = false};
	bool		found;

	*lease = (Lease)
	{
		.system = system,.job_id = *job_id
	};
	found = lock_row(&lock_lease, lease, &row);
	if (token == NULL)
	{
		if (found && is_unexpired(&row))
			refuse_without_lease(&lease->job_id);
		return LEASE_NONE;
	}
	if (!found || !row.leased || !uuid_equal(&row.token, token))
	{
		lease->outcome = get_outcome(&lease->job_id, token);
		return LEASE_ENDED;
	}
	if (!is_unexpired(&row))
		refuse_lease(&lease->job_id);
	return LEASE_HELD;
}

/*
 * Raise an error if the lease has ended, or if its job is to be cancelled.
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
 * Return true if the call repeats the one that ended the lease, with one of
 * these outcomes; raise an error if the lease ended with another one.
 */
static bool
replays_outcome(LeaseState state, const Lease *lease, const char *const *outcomes, int noutcomes)
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
 * Return true if the call repeats the completion that ended the lease; raise an
 * error if the lease ended with another outcome.
 */
bool
lease_replays_completion(LeaseState state, const Lease *lease)
{
	static const char *const outcomes[] = {"completed"};

	return replays_outcome(state, lease, outcomes, lengthof(outcomes));
}

/*
 * Return true if the lease ended because its job did, so that the status may be
 * asked for again; raise an error if the lease ended with another outcome.
 */
bool
lease_replays_end(LeaseState state, const Lease *lease)
{
	static const char *const outcomes[] = {"completed", "failed"};

	return replays_outcome(state, lease, outcomes, lengthof(outcomes));
}

/* ------------------------------------------------------------------------
 * Ending a lease while the job stays open
 * ------------------------------------------------------------------------ */

/*
 * Return the delay before the next attempt: exponential back-off with full
 * jitter.  It is a random time up to the base doubled with every attempt, and at
 * most the cap, so that jobs that failed together are not retried together.
 */
static int64
backoff_us(int32 attempts)
{
	double		base = setting_int32(SETTING_RETRY_BASE_SECONDS);
	double		cap = setting_int32(SETTING_RETRY_CAP_SECONDS);
	double		delay = base * ldexp(1.0, Min(attempts - 1, 62));

	return (int64) (pg_prng_double(&pg_global_prng_state) * Min(delay, cap) * USECS_PER_SEC);
}

/*
 * Record the outcome of a lease and release its row in the queue.  The job is
 * delayed until due_at; if that is NULL, it returns to its position in the
 * queue.  Only retried and expired attempts count towards max_attempts.
 */
static void
finish_lease(const Lease *lease, const char *outcome, const TimestampTz *due_at, const JobError *error)
{
	Arguments	args = NO_ARGUMENTS;
	bool		counts = strcmp(outcome, "retried") == 0 || strcmp(outcome, "expired") == 0;

	argument_uuid(&args, &lease->job_id);
	argument_text(&args, lease->system->name);
	argument_text(&args, outcome);
	argument_text(&args, due_at ? "delayed" : "waiting");
	argument_time(&args, due_at);
	argument_int32(&args, counts ? 0 : 1);
	job_error_arguments(&args, error);
	statement_execute(&end_lease, &args);
}

/* Return true if the job may be attempted again, by setting max_attempts. */
static bool
has_attempts_left(const Lease *lease)
{
	int32		limit = setting_int32(SETTING_MAX_ATTEMPTS);

	return limit == 0 || lease->attempts < limit;
}

/* End a lease and delay the job until its next attempt. */
static void
delay_retry(const Lease *lease, const char *outcome, const JobError *error)
{
	TimestampTz due_at = GetCurrentTimestamp() + backoff_us(lease->attempts);

	finish_lease(lease, outcome, &due_at, error);
	system_job_count_retry(lease->system, &lease->job_id);
}

/* Set the error to that of a job that was cancelled while it was leased. */
static void
set_cancelled(const Lease *lease, JobError *error)
{
	memset(error, 0, sizeof(JobError));
	error->code = ERROR_CANCELLED;
	error->message = lease->reason;
}

/*
 * Process a failure that a worker, or an orchestrator without a lease, reports.
 * Return true if the job is to be failed with *error, which may be changed to a
 * cancellation; false if the job will be retried, or if this failure was
 * reported before.  token and retryable are NULL for SQL NULLs.  Call it with
 * the job locked.
 */
bool
lease_fails(const QueueSystem *system, const pg_uuid_t *job_id, const pg_uuid_t *token,
			const bool *retryable, JobError *error)
{
	static const char *const outcomes[] = {"failed", "retried", "cancelled"};
	Lease		lease;
	LeaseState	state = lease_check(system, job_id, token, &lease);

	if (retryable == NULL)
		refuse_null("p_retryable");
	/* only a worker with a lease may request another attempt */
	if (*retryable && state == LEASE_NONE)
		refuse_value("p_retryable", "false without a lease");
	if (replays_outcome(state, &lease, outcomes, lengthof(outcomes)))
		return false;
	if (state == LEASE_HELD && lease.cancelled)
		set_cancelled(&lease, error);
	else if (*retryable && has_attempts_left(&lease))
	{
		delay_retry(&lease, "retried", error);
		return false;
	}
	return true;
}

/* Return a job to the queue without counting the attempt; cancel it if requested. */
static void
release_lease(const Lease *lease, const char *outcome, const TimestampTz *due_at)
{
	JobError	error;

	if (lease->cancelled)
	{
		set_cancelled(lease, &error);
		system_job_fail(lease->system, &lease->job_id, &error);
	}
	else
		finish_lease(lease, outcome, due_at, NULL);
}

/*
 * Return true if a worker has a lease of the job, even an expired one that was
 * not reaped.  The row stays locked, so that the result is valid until the end
 * of the transaction.  Call it with the job locked.
 */
bool
lease_exists(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Lease		lease = {.system = system,.job_id = *job_id};
	LeaseRow	row = {.leased = false};

	return lock_row(&lock_lease, &lease, &row) && row.leased;
}

/*
 * Request the worker that has a lease of the job to stop; return false if none
 * has one.  Call it with the job locked.
 */
bool
lease_request_cancel(const QueueSystem *system, const pg_uuid_t *job_id, const char *reason)
{
	Arguments	args = NO_ARGUMENTS;
	Lease		lease = {.system = system,.job_id = *job_id};
	LeaseRow	row = {.leased = false};

	if (!lock_row(&lock_lease, &lease, &row) || !is_unexpired(&row))
		return false;
	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	argument_text(&args, reason);
	statement_execute(&request_cancel, &args);
	return true;
}

/*
 * Add cancel_requested to the row of a job, and return it in memory that
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
 * Jobs that were claimed but cannot be returned
 * ------------------------------------------------------------------------ */

/*
 * Undo a lease of this transaction: nothing is recorded, and the job returns to
 * its position in the queue.
 */
void
lease_undo(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	statement_execute(&undo_lease, &args);
}

/* the argument of fail_unreadable() */
typedef struct Unreadable
{
	const QueueSystem *system;
	pg_uuid_t	job_id;
	bool		failed;
} Unreadable;

/*
 * Lock the job and the account that failing it may change, without waiting;
 * false if either is locked.  The row in the queue is locked by the claim.
 */
static bool
try_lock_unreadable(const Unreadable *job)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	user_id;

	if (!system_job_try_lock(job->system, &job->job_id))
		return false;
	if (job->system->try_lock_payer == NULL)
		return true;
	argument_uuid(&args, &job->job_id);
	argument_text(&args, job->system->name);
	statement_execute(&select_payer, &args);
	user_id = result_uuid(1);
	return job->system->try_lock_payer(&user_id);
}

/* Fail an unreadable job, unless something is locked; runs in a subtransaction. */
static void
fail_unreadable(void *arg)
{
	Unreadable *job = arg;
	JobError	error = {
		.code = ERROR_UNREADABLE,
		.message = "The job holds values that cannot be shown. Mend or remove them, then retry the job."
	};
	StatementResult *outer = statements_begin();

	if (try_lock_unreadable(job))
	{
		system_job_fail(job->system, &job->job_id, &error);
		job->failed = true;
	}
	statements_end(outer);
}

/*
 * Fail a job that this transaction has claimed but cannot show.  If that is not
 * possible now, its row in the queue is delayed for a minute, so that the job
 * does not block claims.
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
		finish_lease(&lease, "released", &later, NULL);
}

/* ------------------------------------------------------------------------
 * Functions for workers
 * ------------------------------------------------------------------------ */

/*
 * Return the system of a lease, by its job and token; NULL if there is none.
 * The other columns are read from the last result.
 */
static const QueueSystem *
system_of_lease(Statement *statement, const pg_uuid_t *job_id, const pg_uuid_t *token)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_uuid(&args, token);
	if (statement_execute(statement, &args) == 0)
		return NULL;
	return queue_by_name(result_text(1));
}

/*
 * Lock a job to write its progress, and return its system; NULL if progress is
 * not stored, was written too recently, or if the job is locked.  Progress is
 * dropped then, since the next heartbeat brings it again.
 */
static const QueueSystem *
try_lock_to_show_progress(const pg_uuid_t *job_id, const pg_uuid_t *token, TimestampTz now)
{
	int32		interval = setting_int32(SETTING_PROGRESS_INTERVAL_MS);
	const QueueSystem *system = system_of_lease(&select_held_lease, job_id, token);

	if (system == NULL)
		refuse_lease(job_id);
	if (system->show_progress == NULL)
		return NULL;
	if (!result_isnull(2) && now >= result_int64(2) &&
		!TimestampDifferenceExceeds(result_int64(2), now, interval))
		return NULL;
	return system_job_try_lock(system, job_id) ? system : NULL;
}

/* Extend a lease and return the result of heartbeat_job(); error if it has ended. */
static Datum
renew_lease(const pg_uuid_t *job_id, const pg_uuid_t *token, TimestampTz expires_at, const TimestampTz *shown_at)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_uuid(&args, token);
	argument_time(&args, &expires_at);
	argument_time(&args, shown_at);
	if (statement_execute(&extend_lease, &args) == 0)
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
	const int32 *progress;
	char	   *message;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	token = check_uuid(fcinfo, 1, "p_lease_token");
	progress = check_optional_int32(fcinfo, 2, "p_progress", 0, 100);
	message = check_text(fcinfo, 3, "p_status_message", 0, MAX_MESSAGE_LENGTH);
	expires_at = lease_end(PG_ARGISNULL(4) ? NULL : PG_GETARG_INTERVAL_P(4), now);

	if (progress != NULL || message != NULL)
		show = try_lock_to_show_progress(&job_id, &token, now);
	result = renew_lease(&job_id, &token, expires_at, show ? &now : NULL);
	if (show)
		show->show_progress(&job_id, progress, message);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Read until when a job is delayed; false if it is not. */
static bool
read_due_at(const QueueSystem *system, const pg_uuid_t *job_id, TimestampTz *due_at)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	if (statement_execute(&select_due_at, &args) == 0)
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
	Job			job;
	Lease		lease;
	LeaseState	state;
	bool		delayed;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	token = check_uuid(fcinfo, 1, "p_lease_token");
	due_at = check_until(fcinfo, 2, "p_for", GetCurrentTimestamp(), 0, MAX_SNOOZE_SECONDS);

	system = system_of_lease(&select_held_lease, &job_id, &token);
	if (system == NULL)
		system = system_of_lease(&select_ended_lease, &job_id, &token);
	if (system == NULL || !system_job_lock(system, &job_id, &job))
		refuse_lease(&job_id);
	state = lease_check(system, &job_id, &token, &lease);
	if (!replays_outcome(state, &lease, outcomes, lengthof(outcomes)))
		release_lease(&lease, "snoozed", &due_at);
	delayed = read_due_at(system, &job_id, &due_at);
	caller_leave(&caller);

	if (!delayed)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(due_at);
}

/* ------------------------------------------------------------------------
 * Many leases at once
 * ------------------------------------------------------------------------ */

/* a lease that was read, but is not locked yet */
typedef struct FoundLease
{
	Lease		lease;
	pg_uuid_t	token;
	pg_uuid_t	user_id;		/* zeros if the job has none; jobs that cost
								 * credits have one */
	TimestampTz due_at;
} FoundLease;

/* Append a row to a list of FoundLease. */
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

/*
 * Lock a job and its lease; false if either is locked already, or if the lease
 * has ended since it was found.
 */
static bool
try_lock(FoundLease *found, LeaseRow *row)
{
	return system_job_try_lock(found->lease.system, &found->lease.job_id) &&
		lock_row(&try_lock_lease, &found->lease, row) &&
		row->leased && uuid_equal(&row->token, &found->token);
}

/* Lock the account that ending the job may change; false if it is locked. */
static bool
try_lock_payer(const FoundLease *found)
{
	const QueueSystem *system = found->lease.system;

	return system->try_lock_payer == NULL || system->try_lock_payer(&found->user_id);
}

/* Release a lease unless something is locked or it has expired; true if done. */
static bool
try_release(FoundLease *found)
{
	LeaseRow	row;

	if (!try_lock(found, &row) || !is_unexpired(&row))
		return false;
	if (found->lease.cancelled && !try_lock_payer(found))
		return false;
	release_lease(&found->lease, "released", NULL);
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
	StatementResult *outer;
	List	   *leases = NIL;
	ListCell   *cell;
	int32		count = 0;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 0, "p_worker");
	argument_add(&args, PG_GETARG_DATUM(0), false);
	statement_execute_each(&select_worker_leases, &args, collect_lease, &leases);
	foreach(cell, leases)
	{
		outer = statements_begin();
		count += try_release(lfirst(cell)) ? 1 : 0;
		statements_end(outer);
	}
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}

/* Set when the reaper checks a lease next: when it expires, or at until. */
static void
postpone_reaping(const Lease *lease, const TimestampTz *until)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &lease->job_id);
	argument_text(&args, lease->system->name);
	argument_time(&args, until);
	statement_execute(&postpone_lease, &args);
}

/* The worker is lost: retry the job, or fail it after the last attempt. */
static void
expire_lease(const Lease *lease)
{
	JobError	error = {.code = "LEASE_EXPIRED",.message = "The worker stopped responding."};
	TimestampTz now = GetCurrentTimestamp();

	if (!lease->cancelled && has_attempts_left(lease))
	{
		delay_retry(lease, "expired", &error);
		return;
	}
	if (lease->cancelled)
		set_cancelled(lease, &error);
	else
		finish_lease(lease, "expired", &now, &error);
	system_job_fail(lease->system, &lease->job_id, &error);
}

/* the argument of reap_lease() */
typedef struct Reaping
{
	FoundLease *found;
	bool		reaped;
} Reaping;

/* Reap a lease that has expired, or correct its due_at; runs in a subtransaction. */
static void
reap_lease(void *arg)
{
	Reaping    *reaping = arg;
	FoundLease *found = reaping->found;
	LeaseRow	row;
	StatementResult *outer;

	outer = statements_begin();
	if (try_lock(found, &row))
	{
		if (is_unexpired(&row))
			postpone_reaping(&found->lease, NULL);
		else if (try_lock_payer(found))
		{
			expire_lease(&found->lease);
			reaping->reaped = true;
		}
	}
	statements_end(outer);
}

/*
 * Reap one lease; true if it had expired and was reaped.  A job that cannot be
 * written, since a trigger refuses it, must not keep the others from being
 * reaped: raise a warning and skip it for a minute.
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
			 errmsg("an expired lease could not be reaped"),
			 errdetail("Job %s of %s: %s", uuid_text(&found->lease.job_id),
					   found->lease.system->name, error->message),
			 errhint("Mend the job; studio_engine.rebuild_queue() removes jobs that have ended from the queue.")));
	FreeErrorData(error);
	postpone_reaping(&found->lease, &later);
	return false;
}

/* Reap leases after a position, which is advanced; return how many were found. */
static int
reap_batch(TimestampTz now, TimestampTz *after, pg_uuid_t *after_job, int32 limit, int32 *count)
{
	Arguments	args = NO_ARGUMENTS;
	List	   *leases = NIL;
	ListCell   *cell;

	argument_time(&args, &now);
	argument_time(&args, after);
	argument_uuid(&args, after_job);
	argument_int32(&args, limit);
	statement_execute_each(&select_due_leases, &args, collect_lease, &leases);
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
	/* extended and locked leases do not count towards the limit */
	do
		left = limit - count;
	while (reap_batch(now, &after, &after_job, left, &count) == left && count < limit);
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}
