/*
 * job_actions.c
 *	  Actions on a job that all systems share: move, complete, fail, cancel and
 *	  retry.  The SQL functions of each system check arguments and the rights of
 *	  the caller, and then call these.
 *
 * Pitfall: a worker that lost the connection before the result arrived repeats
 * its call.  The second call returns the same result and writes nothing.
 *
 * Lock order: job, its row in the queue, then the account.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "errors.h"
#include "job_actions.h"
#include "policies.h"
#include "leases.h"
#include "uuids.h"
#include "workflow.h"

/*
 * Raise an error unless the caller may work on a locked job.
 */
void
job_require_work(const QueueSystem *system, const Job *job, const pg_uuid_t *token)
{
	Lease		lease;
	LeaseState	state = lease_check(system, job, token, &lease);

	lease_require_work(state, &lease);
}

/*
 * Return true if an earlier call with this lease has ended a locked job with this
 * status, or has handed it over if the caller wants that; otherwise raise an error
 * unless the caller may move the job.  *lease is filled in.
 */
bool
job_has_moved(const QueueSystem *system, const Job *job, const pg_uuid_t *token, int status, bool hand_over, Lease *lease)
{
	LeaseState	state = lease_check(system, job, token, lease);

	if (hand_over && lease_has_handed_over(lease))
		return true;
	if (lease_replays_end(state, lease) && flow_is_terminal(system->flow, job->status) && job->status == status)
		return true;
	lease_require_work(state, lease);
	return false;
}

/*
 * After a job was moved to this status: end the lease, if the caller wants that, so
 * that another worker claims the job at its next stage.  A job that has ended has
 * taken the lease with it, and a caller without a lease has none to end.
 */
void
job_hand_over(Lease *lease, int status, bool hand_over)
{
	if (hand_over && lease->state == LEASE_HELD && queue_is_open(lease->system, status))
		lease_hand_over(lease, status);
}

/*
 * Return when a failed job is tried again, by the length of time that p_retry_in
 * gives, or NULL; raise an error if the failure is not retryable.
 */
const TimestampTz *
job_retry_at(const int64 *retry_in, const bool *retryable)
{
	TimestampTz *at;

	if (retry_in == NULL)
		return NULL;
	if (retryable != NULL && !*retryable)
		refuse_value("p_retry_in", "NULL for a failure that is not retryable");
	at = palloc(sizeof(TimestampTz));
	*at = GetCurrentTimestamp() + *retry_in;
	return at;
}

/*
 * Return true if a locked job was completed before; otherwise raise an error
 * unless the caller may complete it.  A job that is to be cancelled may be
 * completed: the work is done.
 */
bool
job_was_completed(const QueueSystem *system, const Job *job, const pg_uuid_t *token)
{
	Lease		lease;
	LeaseState	state = lease_check(system, job, token, &lease);

	return lease_replays_completion(state, &lease) || job->status == system->succeeded;
}

/*
 * Raise the error for completing a completed job with another result.
 */
void
refuse_completed_differently(const pg_uuid_t *job_id)
{
	refuse_conflict("job was completed differently", psprintf("Job %s.", uuid_text(job_id)));
}

/* Fail a locked job; if it has failed already, its first error is kept. */
static void
fail_once(const QueueSystem *system, const Job *job, const JobError *error)
{
	if (job->status != system->failed && job->status != system->cancelled)
		system_job_fail(system, &job->id, error);
}

/*
 * Record a failure that a worker, or an orchestrator without a lease, reports,
 * and return the job, which is failed or will be retried, at retry_at if that is not
 * NULL.  retryable is NULL for an SQL NULL, which is refused.
 */
Datum
job_fail(const QueueSystem *system, const Caller *caller, const pg_uuid_t *job_id,
		 const pg_uuid_t *token, const bool *retryable, const TimestampTz *retry_at, JobError *error)
{
	Job			job;

	system_job_lock_or_refuse(system, caller, job_id, &job);
	if (lease_fails(system, &job, token, retryable, retry_at, error))
		fail_once(system, &job, error);
	return system_job_as_jsonb(system, job_id);
}

/*
 * Cancel a job, or request it from the worker that has a lease, which the row of
 * the job then says; return the job.  Raise an error if the job has succeeded.
 */
Datum
job_cancel(const QueueSystem *system, const Caller *caller, const pg_uuid_t *job_id, char *reason)
{
	JobError	error = {.code = ERROR_CANCELLED,.message = reason};
	Job			job;
	bool		requested;

	system_job_lock_or_refuse(system, caller, job_id, &job);
	policies_check_uuid(caller, system->policed, job_id, ROW_TO_UPDATE);
	if (job.status == system->succeeded)
		workflow_refuse(system->flow, job.status, system->cancelled);
	requested = lease_request_cancel(system, job_id, reason);
	if (requested)
		system_job_note_cancel(system, job_id);
	else
		fail_once(system, &job, &error);
	policies_check_uuid(caller, system->policed, job_id, ROW_UPDATED);
	if (requested)
		return lease_mark_cancelling(system_job_as_jsonb(system, job_id));
	return system_job_as_jsonb(system, job_id);
}

/*
 * Return true if a locked job has failed and can be retried, false if it is
 * queued already; raise an error if it is in another state.
 */
bool
job_needs_retry(const QueueSystem *system, const Job *job)
{
	if (job->status != system->first_open && job->status != system->failed)
		workflow_refuse(system->flow, job->status, system->first_open);
	return job->status == system->failed;
}

/* the argument of run_requeue() */
typedef struct Requeueing
{
	const Job  *job;
	Statement  *statement;
} Requeueing;

/* Run the statement; the argument of workflow_retry(). */
static void
run_requeue(void *arg)
{
	Requeueing *requeueing = arg;
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &requeueing->job->id);
	statement_execute(requeueing->statement, &args);
}

/*
 * Run a statement that requeues a failed job, or resets rows that belong to it.
 * The transitions that the flows reserve for retry functions are legal for it.
 */
void
job_requeue(const Job *job, Statement *statement)
{
	Requeueing	requeueing = {.job = job,.statement = statement};

	workflow_retry(uuid_text(&job->id), run_requeue, &requeueing);
}
