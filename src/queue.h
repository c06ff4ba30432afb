/*
 * queue.h
 *	  The waiting list of jobs.
 *
 * The engine knows jobs by their ids; a QueueSystem tells it the rest.  The
 * functions below expect to run between caller_enter_... and caller_leave().
 */
#ifndef STUDIO_QUEUE_H
#define STUDIO_QUEUE_H

#include "fmgr.h"

#include "flows.h"
#include "statements.h"

/* what made a job fail; NULL and 0 for nothing */
typedef struct JobError
{
	char	   *code;
	char	   *message;
	char	   *step;
	Datum		details;		/* jsonb; instead of the above */
} JobError;

/* a table whose jobs workers can claim */
typedef struct QueueSystem
{
	const char *name;			/* in studio_engine.job_system; also the table */
	const Workflow *flow;
	int			first_open;		/* first state in which there is work to do */
	int			succeeded;
	int			failed;			/* what the retry function takes */
	int			cancelled;
	const char *noun;			/* for a job, in errors */

	/*
	 * Statements on job $1; system_jobs.h runs them.  Those that lock find a
	 * job of user $2, or of anybody where that is NULL, and return user_id
	 * and status.  fail_job has the arguments of job_error_arguments().
	 */
	Statement  *lock_job;
	Statement  *try_lock_job;	/* passes by a job that is locked */
	Statement  *select_job;		/* for result_shown() */
	Statement  *fail_job;
	Statement  *count_retry;	/* NULL for nothing */

	/*
	 * Lock what fail_job will lock besides, without waiting; NULL for
	 * nothing.
	 */
	bool		(*try_lock_payer) (const pg_uuid_t *user_id);

	/* Show how far a locked job has come; NULL where there is no column. */
	void		(*show_progress) (const pg_uuid_t *job_id, const int32 *progress, const char *message);

	/* What a row says about its failure. */
	void		(*read_error) (TupleDesc desc, HeapTuple row, JobError *error);

	Statement  *statistics;		/* of a user or of all, since a time or ever */
} QueueSystem;

extern const QueueSystem refinement_queue;
extern const QueueSystem video_queue;
extern const QueueSystem rendering_queue;

extern const QueueSystem *queue_by_name(const char *name);
extern const QueueSystem *queue_check_name(FunctionCallInfo fcinfo, int argno, const char *name);

extern void queue_note_update(const QueueSystem *system, TupleDesc desc, HeapTuple old, HeapTuple new);

/* A job whose deletion takes something from who works on it. */
typedef struct Doomed
{
	pg_uuid_t	id;
	int			state;
} Doomed;

extern List *queue_lock_doomed(const QueueSystem *system, Statement *statement, const Arguments *args);
extern void queue_refuse_worked_on(const QueueSystem *system, const List *jobs);

extern TimestampTz lease_end(const Interval *duration, TimestampTz now);

#define ERROR_CANCELLED "CANCELLED"
#define ERROR_UNREADABLE "UNREADABLE_JOB"

#endif							/* STUDIO_QUEUE_H */
