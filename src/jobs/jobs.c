/*
 * jobs.c
 *	  Locking jobs: of table jobs here, of the tables of all systems in
 *	  system_jobs.c; and the limit of active jobs.
 *
 * Pitfall: jobs are locked FOR NO KEY UPDATE and not FOR UPDATE, since inserting
 * a step or a ledger entry takes FOR KEY SHARE on the job and must not wait.
 *
 * Lock order: the job comes before its steps and before the account.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"

#include "errors.h"
#include "job_rows.h"
#include "jobs.h"
#include "settings.h"

#define LOCK_JOB(wait_policy) \
	&(const RowOperation) { \
		.table = &jobs_table,.verb = ROW_LOCK, \
		.lock = LockTupleNoKeyExclusive,.policy = (wait_policy), \
		.filter = JOB_USER,.returns = {JOB_USER, JOB_STATUS, JOB_PRIORITY, JOB_MAX_ATTEMPTS, JOB_PROJECT} \
	}

Statement	job_lock_statement = {.operation = LOCK_JOB(LockWaitBlock)};
Statement	job_try_lock_statement = {.operation = LOCK_JOB(LockWaitSkip)};
static Statement select_project_title = {
	.operation = &(const RowOperation)
	{
		.table = &projects_table,.verb = ROW_SELECT,.returns = {PROJECT_TITLE}
	}
};
static Statement touch_job = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.jobs SET project_id = project_id WHERE id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/*
 * Lock a job by the statement of its table and read it into *job; return false
 * if there is none.  If user_id is not NULL, jobs of other users are not found.
 */
bool
job_lock_by(Statement *statement, const Workflow *flow, const pg_uuid_t *job_id,
			const pg_uuid_t *user_id, Job *job)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_uuid(&args, user_id);
	if (statement_execute(statement, &args) == 0)
		return false;

	*job = (Job)
	{
		.id = *job_id
	};
	if (!result_isnull(1))
		job->user_id = result_uuid(1);
	job->status = flow_state(flow, result_text(2));
	if (!result_isnull(3))
		job->priority = result_int32(3);
	if (!result_isnull(4))
		job->max_attempts = result_int32(4);
	if (flow == &job_flow)
		job->project_id = result_uuid(5);
	return true;
}

/*
 * Lock a job of table jobs; return false if there is none.
 */
bool
job_lock(const pg_uuid_t *job_id, Job *job)
{
	return job_lock_by(&job_lock_statement, &job_flow, job_id, NULL, job);
}

/*
 * Lock a job of table jobs without waiting; return false if there is none or if
 * it is locked.
 */
bool
job_try_lock(const pg_uuid_t *job_id, Job *job)
{
	return job_lock_by(&job_try_lock_statement, &job_flow, job_id, NULL, job);
}

/*
 * Lock a job of the caller, or any job for a service; raise an error if there is
 * none.  A user never waits for the lock of another user's job, since that would
 * reveal that it exists.
 */
void
job_lock_or_refuse(const Caller *caller, const pg_uuid_t *job_id, Job *job)
{
	if (!job_lock_by(&job_lock_statement, &job_flow, job_id, caller->service ? NULL : &caller->uid, job))
		refuse_unknown(caller, "job", job_id);
}

/*
 * Return the title of the project of a job of table jobs; NULL if the project is
 * gone, which it can be only while its jobs are deleted.
 */
char *
job_project_title(const Job *job)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &job->project_id);
	return statement_execute(&select_project_title, &args) > 0 ? result_text(1) : NULL;
}

/*
 * Force a write-write conflict on the job, so that REPEATABLE READ transactions
 * that decide on an older snapshot fail with 40001.  Call it where a decision is
 * made under the lock of a job that is not written.
 */
void
job_touch(const Job *job)
{
	Arguments	args = NO_ARGUMENTS;

	if (!IsolationUsesXactSnapshot())
		return;
	argument_uuid(&args, &job->id);
	statement_execute(&touch_job, &args);
}

/*
 * Return true if a locked job of table jobs is READY or FAILED.
 */
bool
job_has_ended(const Job *job)
{
	return (int) job->status != UNKNOWN_STATE && flow_is_terminal(&job_flow, job->status);
}

/*
 * Return true if the number of active jobs of a user is limited by the setting.
 */
bool
job_active_limit_is_set(void)
{
	return setting_int32(SETTING_MAX_ACTIVE_JOBS) > 0;
}

/*
 * Raise an error if the user has too many active jobs.  The statement counts
 * those that have not ended.  Call it with the account locked, so that two
 * concurrent insertions count each other's jobs.
 */
void
job_check_active_limit(Statement *count, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	int32		limit = setting_int32(SETTING_MAX_ACTIVE_JOBS);

	if (limit == 0)
		return;
	argument_uuid(&args, user_id);
	statement_execute(count, &args);
	if (result_int32(1) > limit)
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_TOO_MANY),
				 errmsg("too many active jobs"),
				 errdetail("The limit is %d.", limit),
				 errhint("Wait until a job has ended, or cancel one.")));
}
