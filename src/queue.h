/*
 * queue.h
 *	  The waiting list of jobs, and the leases of those that workers have.
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

	/* Lock a job; try_lock gives up where somebody else has it. */
	bool		(*lock) (const pg_uuid_t *job_id);
	bool		(*try_lock) (const pg_uuid_t *job_id);

	/*
	 * Lock what fail() will lock besides, without waiting; NULL for nothing.
	 */
	bool		(*try_lock_payer) (const pg_uuid_t *user_id);

	/* With the job locked: it fails; it will be tried again; it gets on. */
	void		(*fail) (const pg_uuid_t *job_id, const JobError *error);
	void		(*count_retry) (const pg_uuid_t *job_id);
	void		(*show_progress) (const pg_uuid_t *job_id, const int32 *progress, const char *message);

	/* What a row says about its failure. */
	void		(*read_error) (TupleDesc desc, HeapTuple row, JobError *error);

	Statement  *select_job;		/* for result_shown() */
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

/* The lease with which a worker came. */
typedef struct Lease
{
	const QueueSystem *system;
	pg_uuid_t	job_id;
	int32		tries;			/* attempts since the job was queued, this one
								 * included */
	bool		cancelled;		/* somebody asked to cancel the job */
	char	   *reason;			/* theirs */
	char	   *outcome;		/* of a lease that has ended */
} Lease;

typedef enum LeaseState
{
	LEASE_NONE,					/* the caller has none, nor has anybody else */
	LEASE_HELD,					/* the caller's, and good */
	LEASE_ENDED					/* the caller's, ended by itself before */
} LeaseState;

extern TimestampTz lease_end(FunctionCallInfo fcinfo, int argno, TimestampTz now);
extern LeaseState lease_check(const QueueSystem *system, const pg_uuid_t *job_id,
							  FunctionCallInfo fcinfo, int argno, Lease *lease);
extern void lease_require_work(LeaseState state, const Lease *lease);
extern bool lease_replays(LeaseState state, const Lease *lease, const char *const *outcomes, int noutcomes);
extern bool lease_replays_end(LeaseState state, const Lease *lease);
extern bool lease_fails(const QueueSystem *system, const pg_uuid_t *job_id,
						FunctionCallInfo fcinfo, int retryable_argno, int token_argno, JobError *error);
extern Datum lease_mark_cancelling(Datum job);
extern bool lease_is_out(const QueueSystem *system, const pg_uuid_t *job_id);
extern bool lease_request_cancel(const QueueSystem *system, const pg_uuid_t *job_id, const char *reason);
extern void lease_undo(const QueueSystem *system, const pg_uuid_t *job_id);
extern void lease_fail_unreadable(const QueueSystem *system, const pg_uuid_t *job_id);
pg_noreturn extern void refuse_lease(const pg_uuid_t *job_id);

#define ERROR_CANCELLED "CANCELLED"
#define ERROR_UNREADABLE "UNREADABLE_JOB"

#endif							/* STUDIO_QUEUE_H */
