/*
 * system_jobs.c
 *	  Locking, reading and failing a job in the table of its system, by the
 *	  statements of the QueueSystem.
 *
 * Pitfall: system_job_fail() overwrites the error of a job that has failed
 * already.  Callers check the state first.
 *
 * Lock order: the job comes before its row in the queue and before the account.
 */
#include "postgres.h"

#include "system_jobs.h"

/*
 * Lock a job; return false if there is none.
 */
bool
system_job_lock(const QueueSystem *system, const pg_uuid_t *job_id, Job *job)
{
	return job_lock_by(system->lock_job, system->flow, job_id, NULL, job);
}

/*
 * Lock a job without waiting; return false if there is none or if it is locked.
 */
bool
system_job_try_lock(const QueueSystem *system, const pg_uuid_t *job_id, Job *job)
{
	return job_lock_by(system->try_lock_job, system->flow, job_id, NULL, job);
}

/*
 * Lock a job of the caller, or any job for a service; raise an error if there is
 * none.  As in job_lock_or_refuse(), a user never waits for the lock of another
 * user's job.
 */
void
system_job_lock_or_refuse(const QueueSystem *system, const Caller *caller, const pg_uuid_t *job_id, Job *job)
{
	if (!job_lock_by(system->lock_job, system->flow, job_id, caller->service ? NULL : &caller->uid, job))
		refuse_unknown(caller, system->noun, job_id);
}

/*
 * Return the row of a job as jsonb in memory that outlives caller_leave().
 */
Datum
system_job_as_jsonb(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	statement_execute(system->select_job, &args);
	return result_row();
}

/*
 * Set a locked job to its failed state, with this error.
 */
void
system_job_fail(const QueueSystem *system, const pg_uuid_t *job_id, const JobError *error)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	job_error_arguments(&args, error);
	statement_execute(system->fail_job, &args);
}

/*
 * Increment the retry count of a locked job, if its table has one.
 */
void
system_job_count_retry(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	if (system->count_retry == NULL)
		return;
	argument_uuid(&args, job_id);
	statement_execute(system->count_retry, &args);
}

/*
 * Write into the row of a locked job that its cancellation was requested; the time
 * of the first request stays.
 */
void
system_job_note_cancel(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	statement_execute(system->note_cancel, &args);
}
