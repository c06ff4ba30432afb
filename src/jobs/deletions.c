/*
 * deletions.c
 *	  Users may not delete jobs that are in progress.
 *
 * Pitfall: a job is locked before its entry is looked up in the queue, and that
 * entry is locked too, so that no worker can claim the job in between.
 *
 * Lock order: job, then its row in the queue.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/rel.h"

#include "caller.h"
#include "deletions.h"
#include "errors.h"
#include "leases.h"
#include "queue.h"
#include "restore.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(forbid_delete_of_leased_job);

/*
 * Return true if work on a job has begun, with or without a lease, and has not
 * ended.
 */
static bool
is_in_progress(const QueueSystem *system, const DeletedJob *job)
{
	StatementResult *outer;
	bool		leased;

	if (!queue_is_open(system, job->state))
		return false;
	if (job->state > system->first_open)
		return true;
	/* a scope of its own frees the result */
	outer = statements_begin();
	leased = lease_exists(system, &job->id);
	statements_end(outer);
	return leased;
}

/*
 * Raise an error if one of these locked jobs is in progress.  Its worker would
 * work for nothing, and the user could read what it has delivered so far and
 * then get the credits back by deleting the job.  Claims that run meanwhile skip
 * the locked entries.
 */
void
deletion_refuse_in_progress(const QueueSystem *system, const List *jobs)
{
	ListCell   *cell;

	foreach(cell, jobs)
	{
		const DeletedJob *job = lfirst(cell);

		if (is_in_progress(system, job))
			ereport(ERROR,
					(errcode(ERRCODE_STUDIO_CONFLICT),
					 errmsg("a worker has this job"),
					 errdetail("Job %s of %s.", uuid_text(&job->id), system->name),
					 errhint("Cancel the job, and delete it when the worker has stopped.")));
	}
}

/* the argument of collect_job(): jobs is a list of DeletedJob */
typedef struct DeletedJobs
{
	const QueueSystem *system;
	List	   *jobs;
} DeletedJobs;

/* Append a row to the list. */
static void
collect_job(HeapTuple row, TupleDesc desc, void *arg)
{
	DeletedJobs *deleted = arg;
	DeletedJob *job = palloc(sizeof(DeletedJob));
	bool		isnull;

	job->id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	job->state = flow_state(deleted->system->flow, SPI_getvalue(row, desc, 2));
	deleted->jobs = lappend(deleted->jobs, job);
}

/*
 * Lock jobs by a statement that returns id and status; return a list of
 * DeletedJob.
 */
List *
deletion_lock_jobs(const QueueSystem *system, Statement *statement, const Arguments *args)
{
	DeletedJobs deleted = {.system = system,.jobs = NIL};

	statement_execute_each(statement, args, collect_job, &deleted);
	return deleted.jobs;
}

/*
 * forbid_delete_of_leased_job(system) returns trigger: BEFORE DELETE on a table of jobs.
 * It must be a BEFORE trigger to tell users from cascades: in a cascade it runs
 * as the owner of the table, like the cascade, while an AFTER trigger runs as
 * the role that started the statement.
 */
Datum
forbid_delete_of_leased_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_DELETE, 1);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	const QueueSystem *system = queue_of_trigger(data);
	bool		service = caller_is_service();
	DeletedJob	job = {
		.id = row_get_uuid(desc, data->tg_trigtuple, system->flow->id_column),
		.state = queue_state(system, desc, data->tg_trigtuple)
	};
	Caller		caller;

	if (!restoring() && !service)
	{
		caller_enter_trigger(&caller);
		deletion_refuse_in_progress(system, list_make1(&job));
		caller_leave(&caller);
	}
	return PointerGetDatum(data->tg_trigtuple);
}
