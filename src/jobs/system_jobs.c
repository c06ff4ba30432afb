/*
 * system_jobs.c
 *	  The row of a job, in the table of its system: locked, shown, failed.  The
 *	  statements are those of the QueueSystem.
 *
 * Pitfall: system_job_fail() overwrites what a job that has failed already says
 * about its failure.  Callers ask for the state first.
 *
 * Lock order: the job comes before its row in the queue and before the account.
 */
#include "postgres.h"

#include "system_jobs.h"

/*
 * Lock a job; false when there is none.
 */
bool
system_job_lock(const QueueSystem *system, const pg_uuid_t *job_id, Job *job)
{
	return job_lock_by(system->lock_job, system->flow, job_id, NULL, job);
}

/*
 * Lock a job; false when there is none, or when it is locked.
 */
bool
system_job_try_lock(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Job			job;

	return job_lock_by(system->try_lock_job, system->flow, job_id, NULL, &job);
}

/*
 * Lock a job of the caller, or any job for a service: see
 * job_lock_or_refuse().
 */
void
system_job_lock_or_refuse(const QueueSystem *system, const Caller *caller, const pg_uuid_t *job_id, Job *job)
{
	if (!job_lock_by(system->lock_job, system->flow, job_id, caller->service ? NULL : &caller->uid, job))
		refuse_unknown(caller, system->noun, job_id);
}

/*
 * The row of a job, as a result that outlives caller_leave().
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
 * Write what made a locked job fail.
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
 * Count that a locked job will be tried again, where its table has a column
 * for that.
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
