/*
 * leases.h
 *	  The leases of workers on jobs.  The functions below expect to
 *	  run between caller_enter_... and caller_leave().
 */
#ifndef STUDIO_LEASES_H
#define STUDIO_LEASES_H

#include "compat.h"
#include "queue.h"

/* the lease that a worker passes the token of */
typedef struct Lease
{
	const QueueSystem *system;
	pg_uuid_t	job_id;
	int32		attempts;		/* since the job was queued, this one included */
	bool		cancelled;		/* the job is to be cancelled */
	char	   *reason;			/* for the cancellation, or NULL */
	char	   *outcome;		/* of a lease that has ended */
} Lease;

typedef enum LeaseState
{
	LEASE_NONE,					/* neither the caller nor any worker has one */
	LEASE_HELD,					/* the caller's, not expired */
	LEASE_ENDED					/* the caller's, ended by an earlier call of
								 * the caller */
} LeaseState;

extern TimestampTz lease_end(const Interval *duration, TimestampTz now);
extern LeaseState lease_check(const QueueSystem *system, const pg_uuid_t *job_id, const pg_uuid_t *token,
							  Lease *lease);
extern void lease_require_work(LeaseState state, const Lease *lease);
extern bool lease_replays_completion(LeaseState state, const Lease *lease);
extern bool lease_replays_end(LeaseState state, const Lease *lease);
extern bool lease_fails(const QueueSystem *system, const pg_uuid_t *job_id, const pg_uuid_t *token,
						const bool *retryable, JobError *error);
extern Datum lease_mark_cancelling(Datum job);
extern bool lease_exists(const QueueSystem *system, const pg_uuid_t *job_id);
extern bool lease_request_cancel(const QueueSystem *system, const pg_uuid_t *job_id, const char *reason);
extern void lease_undo(const QueueSystem *system, const pg_uuid_t *job_id);
extern void lease_fail_unreadable(const QueueSystem *system, const pg_uuid_t *job_id);
pg_noreturn extern void refuse_lease(const pg_uuid_t *job_id);

#endif							/* STUDIO_LEASES_H */
