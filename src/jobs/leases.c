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
 * Lock order: job, then its row in the queue or its attempt, then the account.
 * Functions that process many jobs skip locked ones.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "announcements.h"
#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "leases.h"
#include "queue.h"
#include "queue_rows.h"
#include "running_limits.h"
#include "settings.h"
#include "subtransactions.h"
#include "system_jobs.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(heartbeat_job);
PG_FUNCTION_INFO_V1(snooze_job);
PG_FUNCTION_INFO_V1(release_leases);
PG_FUNCTION_INFO_V1(recover_leases);

#define MAX_MESSAGE_LENGTH 1000

#define READ_ATTEMPT(what, wait_policy) \
	&(const RowOperation) { \
		.table = &attempts_table,.verb = (what), \
		.lock = LockTupleNoKeyExclusive,.policy = (wait_policy), \
		.returns = {ATTEMPT_SYSTEM, ATTEMPT_NUMBER, ATTEMPT_FIRST, ATTEMPT_SINCE, ATTEMPT_TURN, ATTEMPT_STARTED, \
			ATTEMPT_EXPIRES, ATTEMPT_OUTCOME, ATTEMPT_CANCEL_REQUESTED, ATTEMPT_CANCEL_REASON} \
	}

static Statement read_attempt = {.operation = READ_ATTEMPT(ROW_SELECT, LockWaitBlock)};
static Statement lock_attempt = {.operation = READ_ATTEMPT(ROW_LOCK, LockWaitBlock)};
static Statement try_lock_attempt = {.operation = READ_ATTEMPT(ROW_LOCK, LockWaitSkip)};
static Statement lock_entry = {
	.operation = &(const RowOperation)
	{
		.table = &queue_table,.verb = ROW_LOCK,
		.lock = LockTupleExclusive,.policy = LockWaitBlock,
		.returns = {QUEUE_STATE}
	}
};
static Statement select_open_attempt = {
	.force_index_plan = true,
	.text = "SELECT a.lease_token FROM studio_engine.attempts a"
	" WHERE a.job_id = $1 AND a.system = $2::studio_engine.job_system AND a.ended_at IS NULL",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_lease = {
	.force_index_plan = true,
	.text = "SELECT a.system, a.shown_at FROM studio_engine.attempts a WHERE a.job_id = $1 AND a.lease_token = $2",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

/*
 * expires_at is compared before waiting for the row, and again after it: OFFSET
 * keeps the second condition from being moved into the subquery.
 */
static Statement extend_lease = {
	.force_index_plan = true,
	.fast_path = extend_lease_fast_path,
	.text = "UPDATE studio_engine.attempts a"
	"   SET expires_at = GREATEST(l.expires_at, LEAST("
	"         pg_catalog.clock_timestamp() + COALESCE($3, l.lease_ms * 1000::pg_catalog.int8) * interval '1 microsecond',"
	"         l.started_at + NULLIF($5, 0) * interval '1 second',"
	"         l.cancel_requested_at + NULLIF($6, 0) * interval '1 second')),"
	"       shown_at = COALESCE($4, l.shown_at)"
	"  FROM (SELECT o.* FROM studio_engine.attempts o"
	"         WHERE o.job_id = $1 AND o.lease_token = $2 AND o.ended_at IS NULL"
	"           AND o.expires_at > pg_catalog.clock_timestamp()"
	"         OFFSET 0 FOR UPDATE) l"
	" WHERE a.job_id = l.job_id AND a.lease_token = l.lease_token AND l.expires_at > pg_catalog.clock_timestamp()"
	" RETURNING a.cancel_requested_at IS NOT NULL, a.expires_at",
	.nargs = 6,.argtypes = {UUIDOID, UUIDOID, INT8OID, TIMESTAMPTZOID, INT4OID, INT4OID}
};

/* $4: until when the worker may go on; NULL for no limit */
static Statement request_cancel = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.attempts a"
	"   SET cancel_requested_at = pg_catalog.clock_timestamp(), cancel_reason = $3,"
	"       due_at = LEAST(a.due_at, $4), expires_at = LEAST(a.expires_at, $4)"
	" WHERE a.job_id = $1 AND a.lease_token = $2 AND a.cancel_requested_at IS NULL",
	.nargs = 4,.argtypes = {UUIDOID, UUIDOID, TEXTOID, TIMESTAMPTZOID}
};

/* the columns of the queue, in their order */
static Statement requeue = {
	.fast_path = requeue_fast_path,
	.text = "INSERT INTO studio_engine.queue"
	"   (due_at, turn, system, state, rank, attempt, first_attempt, job_id, user_id, stage, limited)"
	" VALUES ($1, $2, $3::studio_engine.job_system, $4::studio_engine.queue_state, $5, $6, $7, $8, $9, $10, $11)",
	.nargs = 11,.argtypes = {TIMESTAMPTZOID, INT8OID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT4OID, UUIDOID, UUIDOID, TEXTOID, BOOLOID}
};

/* leases of worker $1: by tokens $3, or of process $2 or of no process */
static Statement select_worker_leases = {
	.force_index_plan = true,
	.text = "SELECT a.system, a.job_id, a.lease_token, a.user_id, a.due_at FROM studio_engine.attempts a"
	" WHERE a.ended_at IS NULL AND a.worker = $1"
	"   AND CASE WHEN $3 IS NULL THEN a.process_id IS NOT DISTINCT FROM $2"
	"            ELSE a.lease_token = ANY ($3) AND ($2 IS NULL OR a.process_id = $2) END"
	" ORDER BY a.job_id",
	.nargs = 3,.argtypes = {TEXTOID, TEXTOID, UUIDARRAYOID}
};

/* leases of worker $1 that process $2 does not have */
static Statement select_lost_leases = {
	.force_index_plan = true,
	.text = "SELECT a.system, a.job_id, a.lease_token, a.user_id, a.due_at FROM studio_engine.attempts a"
	" WHERE a.ended_at IS NULL AND a.worker = $1 AND ($2 IS NULL OR a.process_id IS DISTINCT FROM $2)"
	" ORDER BY a.job_id",
	.nargs = 2,.argtypes = {TEXTOID, TEXTOID}
};
static Statement select_due_leases = {
	.force_index_plan = true,
	.text = "SELECT a.system, a.job_id, a.lease_token, a.user_id, a.due_at FROM studio_engine.attempts a"
	" WHERE a.ended_at IS NULL AND a.due_at <= $1 AND a.due_at >= $2 AND (a.due_at, a.job_id) > ($2, $3)"
	" ORDER BY a.due_at, a.job_id LIMIT $4",
	.nargs = 4,.argtypes = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, INT4OID}
};
static Statement postpone_lease = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.attempts a SET due_at = COALESCE($3, a.expires_at)"
	" WHERE a.job_id = $1 AND a.lease_token = $2",
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, TIMESTAMPTZOID}
};

/* $3 is the rank that the job had in the queue, $4 its state from now on, $5 whether it is limited */
static Statement undo_claim = {
	.force_index_plan = true,
	.text = "WITH gone AS (DELETE FROM studio_engine.attempts a WHERE a.job_id = $1 AND a.lease_token = $2 RETURNING a.*)"
	" INSERT INTO studio_engine.queue"
	"   (due_at, turn, system, state, rank, attempt, first_attempt, job_id, user_id, stage, limited)"
	" SELECT g.since, COALESCE(g.turn, 0), g.system, $4::studio_engine.queue_state, $3, g.attempt - 1, g.first_attempt,"
	"        g.job_id, g.user_id, g.stage, $5"
	"   FROM gone g",
	.nargs = 5,.argtypes = {UUIDOID, UUIDOID, INT4OID, TEXTOID, BOOLOID}
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
 * Return the length of a lease in microseconds.  It is the one that is given, or
 * setting lease_seconds, from 1 second to 1 day, if that is NULL, and at most setting
 * max_run_seconds.
 */
int64
lease_length(const int64 *given)
{
	int64		length = given ? *given : Min(Max(setting_int32(SETTING_LEASE_SECONDS), 1), MAX_LEASE_SECONDS) * USECS_PER_SEC;
	int64		longest = setting_int32(SETTING_MAX_RUN_SECONDS) * USECS_PER_SEC;

	return longest == 0 ? length : Min(length, longest);
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

/* Add the arguments of statements on an attempt: job $1 and token $2. */
static void
argument_lease(Arguments *args, const pg_uuid_t *job_id, const pg_uuid_t *token)
{
	argument_uuid(args, job_id);
	argument_uuid(args, token);
}

/*
 * Read the attempt of a token by a statement that may lock it; false if there is
 * none, it is of another system, or SKIP LOCKED skips it.
 */
static bool
read_lease(Statement *statement, const QueueSystem *system, const Job *job, const pg_uuid_t *token, Lease *lease)
{
	Arguments	args = NO_ARGUMENTS;

	*lease = (Lease)
	{
		.system = system,.job = *job,.token = *token
	};
	argument_lease(&args, &job->id, token);
	if (statement_execute(statement, &args) == 0 || strcmp(result_text(1), system->name) != 0)
		return false;
	lease->attempt = result_int32(2);
	lease->first_attempt = result_int32(3);
	lease->since = result_int64(4);
	lease->turn = result_isnull(5) ? 0 : result_int64(5);
	lease->started_at = result_int64(6);
	lease->expires_at = result_int64(7);
	lease->outcome = result_text(8);
	lease->cancelled = !result_isnull(9);
	lease->reason = result_text(10);
	return true;
}

/* Return true if a lease has neither ended nor expired. */
static bool
is_held(const Lease *lease)
{
	return lease->outcome == NULL && lease->expires_at > GetCurrentTimestamp();
}

/* Return how often the job was tried, this attempt included. */
static int32
count_attempts(const Lease *lease)
{
	return lease->attempt - lease->first_attempt + 1;
}

/*
 * Lock the row of a job in the queue, so that no worker can claim it; false if
 * there is none.
 */
static bool
lock_in_queue(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	return statement_execute(&lock_entry, &args) > 0;
}

/*
 * Lock the open attempt at a job, and read it; false if there is none.  The row in
 * the queue is locked first, which waits for a claim that has not committed; it
 * means that there is no attempt.
 */
static bool
lock_open_attempt(const QueueSystem *system, const Job *job, Lease *lease)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	token;

	argument_uuid(&args, &job->id);
	argument_text(&args, system->name);
	for (int look = 0; look < QUEUE_LOOKS; look++)
	{
		if (lock_in_queue(system, &job->id))
			return false;
		if (statement_execute(&select_open_attempt, &args) == 0)
			continue;
		token = result_uuid(1);
		return read_lease(&lock_attempt, system, job, &token, lease) && lease->outcome == NULL;
	}
	return false;
}

/* Return the state of a lease that was read; raise an error if it was lost or has expired. */
static LeaseState
state_of_lease(const Lease *lease)
{
	if (lease->outcome != NULL && strcmp(lease->outcome, "expired") != 0)
		return LEASE_ENDED;
	if (!is_held(lease))
		refuse_lease(&lease->job.id);
	return LEASE_HELD;
}

/*
 * Check the lease token that the caller passes, and return the state of the
 * lease; *lease is filled in.  Raise an error if the lease was lost or has
 * expired.  The token is NULL for a caller without a lease, who may write only
 * while no worker has one.  Call it with the job locked.
 */
LeaseState
lease_check(const QueueSystem *system, const Job *job, const pg_uuid_t *token, Lease *lease)
{
	if (token != NULL)
	{
		if (!read_lease(&lock_attempt, system, job, token, lease))
			refuse_lease(&job->id);
		lease->state = state_of_lease(lease);
		return lease->state;
	}
	if (lock_open_attempt(system, job, lease) && is_held(lease))
		refuse_without_lease(&job->id);
	lease->state = LEASE_NONE;
	return LEASE_NONE;
}

/*
 * Read the lease of a token as lease_check() does, without any lock; false if it is
 * not held, which the caller has to find the reason of with locks.
 */
bool
lease_read_held(const QueueSystem *system, const Job *job, const pg_uuid_t *token, Lease *lease)
{
	return read_lease(&read_attempt, system, job, token, lease) && is_held(lease);
}

/*
 * Raise an error unless the attempt that ended with the job since the lease was read
 * without a lock is that of the lease, and the lease had not expired by then.
 */
void
lease_require_ended(const Lease *lease, const EndedAttempt *ended)
{
	if (!ended->ended || !uuid_equal(&ended->token, &lease->token) || ended->expires_at <= GetCurrentTimestamp())
		refuse_lease(&lease->job.id);
}

/*
 * Raise an error if the lease has ended, or if its job is to be cancelled.
 */
void
lease_require_work(LeaseState state, const Lease *lease)
{
	if (state == LEASE_ENDED)
		refuse_lease(&lease->job.id);
	if (state == LEASE_HELD && lease->cancelled)
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("job is to be cancelled"),
				 errdetail("Job %s.", uuid_text(&lease->job.id)),
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
	refuse_lease(&lease->job.id);
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

/*
 * Return true if the lease ended by handing the job over.
 */
bool
lease_has_handed_over(const Lease *lease)
{
	return lease->state == LEASE_ENDED && strcmp(lease->outcome, "handed_over") == 0;
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

/* what a lease leaves in the queue */
typedef struct Requeueing
{
	TimestampTz due_at;
	bool		delayed;
	int32		attempt;
	int32		first_attempt;
	int64		turn;
	int32		rank;
	int			stage;			/* a state of the flow */
} Requeueing;

/* Insert the row of a job into the queue, and tell workers if it waits. */
static void
insert_into_queue(const QueueSystem *system, const Job *job, const Requeueing *into)
{
	Arguments	args = NO_ARGUMENTS;

	argument_time(&args, &into->due_at);
	argument_add(&args, Int64GetDatum(into->turn), false);
	argument_text(&args, system->name);
	argument_text(&args, into->delayed ? "delayed" : "waiting");
	argument_int32(&args, into->rank);
	argument_int32(&args, into->attempt);
	argument_int32(&args, into->first_attempt);
	argument_uuid(&args, &job->id);
	argument_uuid(&args, uuid_is_nil(&job->user_id) ? NULL : &job->user_id);
	argument_text(&args, system->flow->states[into->stage]);
	argument_add(&args, BoolGetDatum(running_limit_is_set()), false);
	statement_execute(&requeue, &args);
	if (!into->delayed || into->due_at <= GetCurrentTimestamp())
		announce_jobs(system->name);
}

/*
 * Record the outcome of a lease and return the job to the queue.  It is delayed
 * until due_at; if that is NULL, it returns to its position.  Only retried and
 * expired attempts count.
 */
static void
finish_lease(const Lease *lease, const char *outcome, const TimestampTz *due_at, const JobError *error)
{
	bool		counts = strcmp(outcome, "retried") == 0 || strcmp(outcome, "expired") == 0;
	QueuePlace	place = queue_place_again(lease->system, lease->job.priority, &lease->job.user_id, lease->since, lease->turn);
	Requeueing	into = {
		.due_at = due_at ? *due_at : lease->since,.delayed = due_at != NULL,
		.attempt = lease->attempt - (counts ? 0 : 1),.first_attempt = lease->first_attempt,
		.turn = place.turn,.rank = place.rank,.stage = lease->job.status
	};

	queue_end_attempt(lease->system, &lease->job.id, outcome, error);
	insert_into_queue(lease->system, &lease->job, &into);
	running_limit_unpark(lease->system->name, &lease->job.user_id);
}

/*
 * End a lease whose worker has finished this stage of the job: another one claims
 * it at the next.  Attempts are counted from 1 again.
 */
void
lease_hand_over(Lease *lease, int stage)
{
	const pg_uuid_t *user_id = &lease->job.user_id;
	QueuePlace	place = queue_place(lease->system, lease->job.priority, user_id, lease->since);
	Requeueing	into = {
		.due_at = lease->since,.attempt = 0,.first_attempt = 1,
		.turn = place.turn,.rank = place.rank,.stage = stage
	};

	queue_end_attempt(lease->system, &lease->job.id, "handed_over", NULL);
	insert_into_queue(lease->system, &lease->job, &into);
	running_limit_unpark(lease->system->name, &lease->job.user_id);
}

/* Return true if the job may be attempted again: by its own limit, or setting max_attempts. */
static bool
has_attempts_left(const Lease *lease)
{
	int32		limit = lease->job.max_attempts ? lease->job.max_attempts : setting_int32(SETTING_MAX_ATTEMPTS);

	return limit == 0 || count_attempts(lease) < limit;
}

/* End a lease and delay the job until its next attempt: until a time, or by the back-off. */
static void
delay_retry(const Lease *lease, const char *outcome, const TimestampTz *retry_at, const JobError *error)
{
	TimestampTz due_at = retry_at ? *retry_at : GetCurrentTimestamp() + backoff_us(count_attempts(lease));

	finish_lease(lease, outcome, &due_at, error);
	system_job_count_retry(lease->system, &lease->job.id);
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
 * reported before.  token, retryable and retry_at are NULL for SQL NULLs; the next
 * attempt is at retry_at, if that is given.  Call it with the job locked.
 */
bool
lease_fails(const QueueSystem *system, const Job *job, const pg_uuid_t *token,
			const bool *retryable, const TimestampTz *retry_at, JobError *error)
{
	static const char *const outcomes[] = {"failed", "retried", "cancelled"};
	Lease		lease;
	LeaseState	state = lease_check(system, job, token, &lease);

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
		delay_retry(&lease, "retried", retry_at, error);
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
		system_job_fail(lease->system, &lease->job.id, &error);
	}
	else
		finish_lease(lease, outcome, due_at, NULL);
}

/*
 * Return true if a worker has a lease of the job, even an expired one that was
 * not reaped.  It stays locked, or the row in the queue does, so that the result is
 * valid until the end of the transaction.  Call it with the job locked.
 */
bool
lease_exists(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Job			job = {.id = *job_id};
	Lease		lease;

	return lock_open_attempt(system, &job, &lease);
}

/*
 * Request the worker that has a lease of the job to stop; return false if none
 * has one.  It may go on for setting cancel_grace_seconds.  Call it with the job
 * locked.
 */
bool
lease_request_cancel(const QueueSystem *system, const pg_uuid_t *job_id, const char *reason)
{
	Arguments	args = NO_ARGUMENTS;
	Job			job = {.id = *job_id};
	Lease		lease;
	int32		grace = setting_int32(SETTING_CANCEL_GRACE_SECONDS);
	TimestampTz until = GetCurrentTimestamp() + grace * USECS_PER_SEC;

	if (!lock_open_attempt(system, &job, &lease) || !is_held(&lease))
		return false;
	argument_lease(&args, job_id, &lease.token);
	argument_text(&args, reason);
	argument_time(&args, grace > 0 ? &until : NULL);
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
 * Undo a claim of this transaction: nothing is recorded, and the job returns to
 * its position in the queue, or is parked there.
 */
void
lease_undo(const Claimed *claimed, bool park)
{
	Arguments	args = NO_ARGUMENTS;

	argument_lease(&args, &claimed->job_id, &claimed->token);
	argument_int32(&args, claimed->rank);
	argument_text(&args, park ? "parked" : "waiting");
	argument_add(&args, BoolGetDatum(running_limit_is_set()), false);
	statement_execute(&undo_claim, &args);
}

/* the argument of fail_unreadable() */
typedef struct Unreadable
{
	const QueueSystem *system;
	const Claimed *claimed;
	Job			job;			/* as far as the claim knows it */
	bool		failed;
} Unreadable;

/* Fail an unreadable job, unless something is locked; runs in a subtransaction. */
static void
fail_unreadable(void *arg)
{
	Unreadable *unreadable = arg;
	const QueueSystem *system = unreadable->system;
	Job			job;
	JobError	error = {
		.code = ERROR_UNREADABLE,
		.message = "The job holds values that cannot be shown. Mend or remove them, then retry the job."
	};
	StatementResult *outer = statements_begin();

	if (system_job_try_lock(system, &unreadable->claimed->job_id, &job) &&
		system->try_lock_payer(system->flow, &job.id, &unreadable->job.user_id))
	{
		system_job_fail(system, &job.id, &error);
		unreadable->failed = true;
	}
	statements_end(outer);
}

/* Return the job of a claim, as far as the queue knows it. */
static Job
claimed_job(const QueueSystem *system, const Claimed *claimed)
{
	return (Job)
	{
		.id = claimed->job_id,.user_id = claimed->user_id,.priority = ~claimed->rank,
			.status = flow_state(system->flow, claimed->stage)
	};
}

/*
 * Fail a job that this transaction has claimed but cannot show.  If that is not
 * possible now, it is delayed for a minute, so that it does not block claims.
 */
void
lease_fail_unreadable(const QueueSystem *system, const Claimed *claimed)
{
	Unreadable	unreadable = {.system = system,.claimed = claimed,.job = claimed_job(system, claimed)};
	Lease		lease;
	ErrorData  *error = in_subtransaction(fail_unreadable, &unreadable);
	TimestampTz later = GetCurrentTimestamp() + USECS_PER_MINUTE;

	if (error != NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("a job that cannot be shown could not be failed"),
				 errdetail("Job %s of %s: %s", uuid_text(&claimed->job_id), system->name, error->message),
				 errhint("Mend the job; until then it is looked at once a minute.")));
	if ((error != NULL || !unreadable.failed) &&
		read_lease(&read_attempt, system, &unreadable.job, &claimed->token, &lease))
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
system_of_lease(const pg_uuid_t *job_id, const pg_uuid_t *token)
{
	Arguments	args = NO_ARGUMENTS;

	argument_lease(&args, job_id, token);
	if (statement_execute(&select_lease, &args) == 0)
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
	Job			job;
	int32		interval = setting_int32(SETTING_PROGRESS_INTERVAL_MS);
	const QueueSystem *system = system_of_lease(job_id, token);

	if (system == NULL)
		refuse_lease(job_id);
	if (system->show_progress == NULL)
		return NULL;
	if (!result_isnull(2) && now >= result_int64(2) &&
		!TimestampDifferenceExceeds(result_int64(2), now, interval))
		return NULL;
	return system_job_try_lock(system, job_id, &job) ? system : NULL;
}

/* Return the result of heartbeat_job(), with its keys in the order of jsonb. */
static Datum
heartbeat_result(bool cancel, TimestampTz expires_at)
{
	JsonbBuilder builder = {0};
	JsonbValue	key = {.type = jbvString};
	JsonbValue	value = {.type = jbvBool,.val.boolean = cancel};
	char		buf[MAXDATELEN + 1];

	compat_push_jsonb(&builder, WJB_BEGIN_OBJECT, NULL);
	key.val.string.val = "cancel";
	key.val.string.len = strlen(key.val.string.val);
	compat_push_jsonb(&builder, WJB_KEY, &key);
	compat_push_jsonb(&builder, WJB_VALUE, &value);
	key.val.string.val = "lease_expires_at";
	key.val.string.len = strlen(key.val.string.val);
	compat_push_jsonb(&builder, WJB_KEY, &key);
	value.type = jbvString;
	value.val.string.val = JsonEncodeDateTime(buf, TimestampTzGetDatum(expires_at), TIMESTAMPTZOID, NULL);
	value.val.string.len = strlen(value.val.string.val);
	compat_push_jsonb(&builder, WJB_VALUE, &value);
	compat_push_jsonb(&builder, WJB_END_OBJECT, NULL);
	return SPI_datumTransfer(JsonbPGetDatum(JsonbValueToJsonb(builder.result)), false, -1);
}

/*
 * Extend a lease, as long as before if length is NULL, and return the result of
 * heartbeat_job(); error if it has ended.
 */
static Datum
renew_lease(const pg_uuid_t *job_id, const pg_uuid_t *token, const int64 *length, const TimestampTz *shown_at)
{
	Arguments	args = NO_ARGUMENTS;

	argument_lease(&args, job_id, token);
	argument_add(&args, Int64GetDatum(length ? *length : 0), length == NULL);
	argument_time(&args, shown_at);
	argument_int32(&args, setting_int32(SETTING_MAX_RUN_SECONDS));
	argument_int32(&args, setting_int32(SETTING_CANCEL_GRACE_SECONDS));
	if (statement_execute(&extend_lease, &args) == 0)
		refuse_lease(job_id);
	return heartbeat_result(result_bool(1), result_int64(2));
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
	const int64 *given;
	const QueueSystem *show = NULL;
	const int32 *progress;
	char	   *message;
	Datum		result;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	token = check_uuid(fcinfo, 1, "p_lease_token");
	progress = check_optional_int32(fcinfo, 2, "p_progress", 0, 100);
	message = check_text(fcinfo, 3, "p_status_message", 0, MAX_MESSAGE_LENGTH);
	given = check_duration(fcinfo, 4, "p_lease", 1, MAX_LEASE_SECONDS);

	if (progress != NULL || message != NULL)
		show = try_lock_to_show_progress(&job_id, &token, now);
	result = renew_lease(&job_id, &token, given, show ? &now : NULL);
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
	due_at = check_until(fcinfo, 2, "p_for", GetCurrentTimestamp(), 0, MAX_DELAY_SECONDS);

	system = system_of_lease(&job_id, &token);
	if (system == NULL || !system_job_lock(system, &job_id, &job))
		refuse_lease(&job_id);
	state = lease_check(system, &job, &token, &lease);
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
	const QueueSystem *system;
	pg_uuid_t	job_id;
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

	found->system = queue_by_name(SPI_getvalue(row, desc, 1));
	found->job_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
	found->token = *DatumGetUUIDP(SPI_getbinval(row, desc, 3, &isnull));
	user_id = SPI_getbinval(row, desc, 4, &isnull);
	if (!isnull)
		found->user_id = *DatumGetUUIDP(user_id);
	found->due_at = DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &isnull));
	*leases = lappend(*leases, found);
}

/*
 * Lock a job and its lease, and read the lease; false if either is locked already,
 * or if the lease has ended since it was found.
 */
static bool
try_lock(const FoundLease *found, Lease *lease)
{
	Job			job;

	return system_job_try_lock(found->system, &found->job_id, &job) &&
		read_lease(&try_lock_attempt, found->system, &job, &found->token, lease) &&
		lease->outcome == NULL;
}

/* Lock the account that ending the job may change; false if it is locked. */
static bool
try_lock_payer(const FoundLease *found)
{
	return found->system->try_lock_payer(found->system->flow, &found->job_id, &found->user_id);
}

/* Release a lease unless something is locked or it has expired; true if done. */
static bool
try_release(const FoundLease *found)
{
	Lease		lease;

	if (!try_lock(found, &lease) || !is_held(&lease))
		return false;
	if (lease.cancelled && !try_lock_payer(found))
		return false;
	release_lease(&lease, "released", NULL);
	return true;
}

/*
 * End a lease whose worker is lost: cancel the job, retry it, or fail it after the
 * last attempt.  retry_at is NULL for the back-off.
 */
static void
lose_lease(const Lease *lease, const TimestampTz *retry_at, JobError *error)
{
	if (!lease->cancelled && has_attempts_left(lease))
	{
		delay_retry(lease, "expired", retry_at, error);
		return;
	}
	if (lease->cancelled)
		set_cancelled(lease, error);
	else
		queue_end_attempt(lease->system, &lease->job.id, "expired", error);
	system_job_fail(lease->system, &lease->job.id, error);
}

/* The process of a worker is lost: retry its job at once, or fail it after the last attempt. */
static bool
try_recover(const FoundLease *found)
{
	JobError	error = {.code = "WORKER_RESTARTED",.message = "The worker was restarted."};
	TimestampTz now = GetCurrentTimestamp();
	Lease		lease;

	if (!try_lock(found, &lease) || !try_lock_payer(found))
		return false;
	lose_lease(&lease, &now, &error);
	return true;
}

/* the argument of end_found_lease() */
typedef struct LeaseEnd
{
	const FoundLease *found;
	bool		(*function) (const FoundLease *found);
	bool		done;
} LeaseEnd;

/* Call a function for a lease; runs in a subtransaction. */
static void
end_found_lease(void *arg)
{
	LeaseEnd   *end = arg;
	StatementResult *outer = statements_begin();

	end->done = end->function(end->found);
	statements_end(outer);
}

/*
 * Call a function for a lease, and set what it returned.  A job that cannot be written,
 * since a trigger refuses it, must not keep other leases from being ended: then return
 * false, with a warning.
 */
static bool
end_or_warn(const FoundLease *found, bool (*function) (const FoundLease *found), const char *message, bool *done)
{
	LeaseEnd	end = {.found = found,.function = function,.done = false};
	ErrorData  *error = in_subtransaction(end_found_lease, &end);

	*done = error == NULL && end.done;
	if (error == NULL)
		return true;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("%s", message),
			 errdetail("Job %s of %s: %s", uuid_text(&found->job_id),
					   found->system->name, error->message),
			 errhint("Mend the job; studio_engine.rebuild_queue() removes jobs that have ended from the queue.")));
	FreeErrorData(error);
	return false;
}

/*
 * Call a function for all leases that a statement finds; return for how many it returned
 * true.
 */
static int32
count_leases(Statement *statement, const Arguments *args, bool (*function) (const FoundLease *found))
{
	List	   *leases = NIL;
	ListCell   *cell;
	int32		count = 0;

	statement_execute_each(statement, args, collect_lease, &leases);
	/* this is no error of a job */
	PreventCommandIfReadOnly("UPDATE");
	foreach(cell, leases)
	{
		bool		done;

		(void) end_or_warn(lfirst(cell), function, "a lease could not be ended", &done);
		count += done ? 1 : 0;
	}
	return count;
}

/*
 * release_leases(p_worker text, p_process_id text, p_lease_tokens uuid[]) returns
 * integer
 */
Datum
release_leases(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	int32		count;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 0, "p_worker");
	argument_pass(&args, fcinfo, 0);
	argument_pass(&args, fcinfo, 1);
	argument_pass(&args, fcinfo, 2);
	count = count_leases(&select_worker_leases, &args, try_release);
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}

/*
 * recover_leases(p_worker text, p_process_id text) returns integer
 */
Datum
recover_leases(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	int32		count;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 0, "p_worker");
	argument_pass(&args, fcinfo, 0);
	argument_pass(&args, fcinfo, 1);
	count = count_leases(&select_lost_leases, &args, try_recover);
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}

/* Set when the reaper checks a lease next: when it expires, or at until. */
static void
postpone_reaping(const FoundLease *found, const TimestampTz *until)
{
	Arguments	args = NO_ARGUMENTS;

	argument_lease(&args, &found->job_id, &found->token);
	argument_time(&args, until);
	statement_execute(&postpone_lease, &args);
}

/* Return why the lease of a worker has expired. */
static JobError
expiry_error(const Lease *lease)
{
	int32		longest = setting_int32(SETTING_MAX_RUN_SECONDS);

	if (longest > 0 && lease->expires_at >= lease->started_at + longest * USECS_PER_SEC)
		return (JobError)
	{
		.code = "RUN_TIME_EXCEEDED",.message = "The job ran longer than setting max_run_seconds allows."
	};
	return (JobError)
	{
		.code = "LEASE_EXPIRED",.message = "The worker stopped responding."
	};
}

/* Reap a lease that has expired, or correct its due_at; true if reaped. */
static bool
try_reap(const FoundLease *found)
{
	Lease		lease;
	JobError	error;

	if (!try_lock(found, &lease))
		return false;
	if (is_held(&lease))
	{
		postpone_reaping(found, NULL);
		return false;
	}
	if (!try_lock_payer(found))
		return false;
	error = expiry_error(&lease);
	lose_lease(&lease, NULL, &error);
	return true;
}

/* Reap one lease, or skip it for a minute if its job cannot be written; true if reaped. */
static bool
reap_or_postpone(const FoundLease *found)
{
	TimestampTz later;
	bool		reaped = false;

	if (!end_or_warn(found, try_reap, "an expired lease could not be reaped", &reaped))
	{
		later = GetCurrentTimestamp() + USECS_PER_MINUTE;
		postpone_reaping(found, &later);
	}
	return reaped;
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

		*count += reap_or_postpone(found) ? 1 : 0;
		*after = found->due_at;
		*after_job = found->job_id;
	}
	return list_length(leases);
}

/* Reap at most so many expired leases; return how many. */
int32
lease_reap(int32 limit)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz after = DT_NOBEGIN;
	pg_uuid_t	after_job = {{0}};
	int32		left,
				count = 0;

	/* extended and locked leases do not count towards the limit */
	do
		left = limit - count;
	while (reap_batch(now, &after, &after_job, left, &count) == left && count < limit);
	return count;
}
