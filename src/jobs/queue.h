/*
 * queue.h
 *	  The queue of jobs.
 *
 * The queue identifies jobs by their ids; a QueueSystem describes the table that
 * they are in, and has the statements and callbacks on it.  The functions below
 * expect to run between caller_enter_... and caller_leave().
 */
#ifndef STUDIO_QUEUE_H
#define STUDIO_QUEUE_H

#include "fmgr.h"

#include "caller.h"
#include "flows.h"
#include "json_fields.h"
#include "policies.h"
#include "queue_rows.h"
#include "statements.h"

/* why a job failed; a member that is not given is NULL or 0 */
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
	int			failed;			/* the state that the retry function starts
								 * from */
	int			cancelled;
	const char *noun;			/* for a job, in errors */
	const PolicedTable *policed;	/* NULL: users do not write it */

	/*
	 * Statements on job $1; system_jobs.h runs them.  Those that lock find a
	 * job of user $2, or of any user if that is NULL, and return user_id,
	 * status, priority, max_attempts.  fail_job has the arguments of
	 * job_error_arguments().
	 */
	Statement  *lock_job;
	Statement  *try_lock_job;	/* skips a job that is locked */
	Statement  *select_job;		/* for result_shown() */
	Statement  *fail_job;
	Statement  *count_retry;	/* NULL for nothing */
	Statement  *note_cancel;	/* when the cancellation was first requested */

	/*
	 * Lock the account that fail_job will lock, if it locks one, without
	 * waiting; return false if it is locked.
	 */
	bool		(*try_lock_payer) (const Workflow *flow, const pg_uuid_t *job_id, const pg_uuid_t *user_id);

	/* Write the progress of a locked job; NULL if there is no column. */
	void		(*show_progress) (const pg_uuid_t *job_id, const int32 *progress, const char *message);

	/* Read why a job failed from its row. */
	void		(*read_error) (TupleDesc desc, HeapTuple row, JobError *error);

	/*
	 * What a worker delivers, as a JSON object; absent if it delivered none.
	 * finish ends a stage or the job with it, as the functions of the system
	 * do.  finish_in_set does so for a job whose lease is held, without locks
	 * and without an error that concerns only this job; returns false, with
	 * nothing written, if that is not possible.
	 */
	void		(*finish) (const Caller *caller, const pg_uuid_t *job_id, const pg_uuid_t *token, const JsonFields *result);
	bool		(*finish_in_set) (const pg_uuid_t *job_id, const pg_uuid_t *token, const JsonFields *result);

	/* Read the error that a worker reports; check its limits. */
	void		(*take_error) (const JsonFields *reported, JobError *error);

	/* Queue a failed job again, as the retry function of the system does. */
	void		(*retry) (const Caller *caller, const pg_uuid_t *job_id);

	/*
	 * Failed jobs with error code $1, or any but that of cancellations if it
	 * is NULL, that failed since $2, or ever: at most $3 ids, oldest first.
	 */
	Statement  *select_failed;

	/* The failed job $1 if select_failed would find it by its error code $2. */
	Statement  *select_failed_with;

	/*
	 * Owners of the jobs $1, an array: id and user_id.  They are looked up
	 * for sets only if the ends of jobs may cost credits.
	 */
	Statement  *select_owners;
	bool		(*may_cost) (void);

	Statement  *statistics;		/* of a user or of all, since a time or ever */
} QueueSystem;

/*
 * The RowTrigger of maintain_queue() on a table of jobs that has a fast path.
 * Fast paths change neither keys nor users nor priorities, so the callback is
 * needed only where the status changes.
 */
#define QUEUE_TRIGGER(table, id, status_column, system) \
	{.name = "00_" table "_queue_update", \
		.definition = "AFTER UPDATE ON %." table " FOR EACH ROW " \
		"WHEN (((old." id " IS DISTINCT FROM new." id ") OR (old.status IS DISTINCT FROM new.status)" \
		" OR (old.priority IS DISTINCT FROM new.priority) OR (old.user_id IS DISTINCT FROM new.user_id)" \
		" OR (old.run_at IS DISTINCT FROM new.run_at))) " \
		"EXECUTE FUNCTION studio_engine.maintain_queue('" table "')", \
	.column = status_column,.after = queue_change,.arg = system,.writes = {&queue_table, &attempts_table}}

/* the position of a job among those that wait, before its age */
typedef struct QueuePlace
{
	int32		rank;
	int64		turn;
} QueuePlace;

/* an attempt that ended with its job */
typedef struct EndedAttempt
{
	bool		ended;			/* or there is none */
	pg_uuid_t	job_id;
	pg_uuid_t	token;
	TimestampTz expires_at;
} EndedAttempt;

/* how often to look for a row that a concurrent claim may have returned to the queue */
#define QUEUE_LOOKS 2

extern void queue_register(const QueueSystem *system);
extern const QueueSystem *queue_by_name(const char *name);
extern const List *queue_systems(void);
extern const QueueSystem *queue_check_name(FunctionCallInfo fcinfo, int argno, const char *name);
extern const QueueSystem *queue_of_trigger(const TriggerData *data);

extern int	queue_state(const QueueSystem *system, TupleDesc desc, HeapTuple row);
extern bool queue_is_open(const QueueSystem *system, int state);

extern QueuePlace queue_place(const QueueSystem *system, int32 priority, const pg_uuid_t *user_id, TimestampTz since);
extern int32 queue_rank(int32 priority);
extern QueuePlace queue_place_again(const QueueSystem *system, int32 priority, const pg_uuid_t *user_id, TimestampTz since,
									int64 turn);
extern void queue_end_attempt(const QueueSystem *system, const pg_uuid_t *job_id, const char *outcome, const JobError *error);
extern EndedAttempt queue_take_ended(void);
extern void job_error_arguments(Arguments *args, const JobError *error);
extern void job_error_argument(Arguments *args, const JobError *error);
extern void queue_change(RowChange *change, const void *system);

#define ERROR_CANCELLED "CANCELLED"
#define ERROR_UNREADABLE "UNREADABLE_JOB"

#endif							/* STUDIO_QUEUE_H */
