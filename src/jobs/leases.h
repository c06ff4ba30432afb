/*
 * leases.h
 *	  The leases of workers on jobs.  The functions below expect to
 *	  run between caller_enter_... and caller_leave().
 */
#ifndef STUDIO_LEASES_H
#define STUDIO_LEASES_H

#include "compat.h"
#include "jobs.h"
#include "queue.h"

typedef enum LeaseState
{
	LEASE_NONE,					/* neither the caller nor any worker has one */
	LEASE_HELD,					/* the caller's, not expired */
	LEASE_ENDED					/* the caller's, ended by an earlier call of
								 * the caller */
} LeaseState;

/* the lease that a worker passes the token of */
typedef struct Lease
{
	const QueueSystem *system;
	Job			job;			/* what its locked row says */
	LeaseState	state;
	pg_uuid_t	token;
	int32		attempt;
	int32		first_attempt;	/* the limit of attempts counts from it */
	TimestampTz since;			/* its position in the queue, before the claim */
	int64		turn;
	TimestampTz started_at;
	TimestampTz expires_at;
	bool		cancelled;		/* the job is to be cancelled */
	char	   *reason;			/* for the cancellation, or NULL */
	char	   *outcome;		/* of a lease that has ended */
} Lease;

#define MAX_LEASE_SECONDS 86400
/* of a delay: a snooze or a retry */
#define MAX_DELAY_SECONDS (366 * INT64CONST(86400))

extern int64 lease_length(const int64 *given);
extern LeaseState lease_check(const QueueSystem *system, const Job *job, const pg_uuid_t *token, Lease *lease);
extern bool lease_read_held(const QueueSystem *system, const Job *job, const pg_uuid_t *token, Lease *lease);
extern void lease_require_ended(const Lease *lease, const EndedAttempt *ended);
extern void lease_require_work(LeaseState state, const Lease *lease);
extern bool lease_replays_completion(LeaseState state, const Lease *lease);
extern bool lease_replays_end(LeaseState state, const Lease *lease);
extern bool lease_has_handed_over(const Lease *lease);
extern void lease_hand_over(Lease *lease, int stage);
extern bool lease_fails(const QueueSystem *system, const Job *job, const pg_uuid_t *token,
						const bool *retryable, const TimestampTz *retry_at, JobError *error);
extern Datum lease_mark_cancelling(Datum job);
extern bool lease_exists(const QueueSystem *system, const pg_uuid_t *job_id);
extern bool lease_request_cancel(const QueueSystem *system, const pg_uuid_t *job_id, const char *reason);
extern void lease_undo(const Claimed *claimed, bool park);
extern void lease_fail_unreadable(const QueueSystem *system, const Claimed *claimed);
extern int32 lease_reap(int32 limit);
pg_noreturn extern void refuse_lease(const pg_uuid_t *job_id);

#endif							/* STUDIO_LEASES_H */
