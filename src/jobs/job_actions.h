/*
 * job_actions.h
 *	  Actions on a job that all systems share.  The functions below expect to
 *	  run between caller_enter_... and caller_leave().
 */
#ifndef STUDIO_JOB_ACTIONS_H
#define STUDIO_JOB_ACTIONS_H

#include "leases.h"
#include "system_jobs.h"

#define MAX_REASON_LENGTH 1000

extern void job_require_work(const QueueSystem *system, const Job *job, const pg_uuid_t *token);
extern bool job_has_moved(const QueueSystem *system, const Job *job, const pg_uuid_t *token, int status, bool hand_over, Lease *lease);
extern void job_hand_over(Lease *lease, int status, bool hand_over);
extern const TimestampTz *job_retry_at(const int64 *retry_in, const bool *retryable);
extern bool job_was_completed(const QueueSystem *system, const Job *job, const pg_uuid_t *token);
pg_noreturn extern void refuse_completed_differently(const pg_uuid_t *job_id);
extern Datum job_fail(const QueueSystem *system, const Caller *caller, const pg_uuid_t *job_id,
					  const pg_uuid_t *token, const bool *retryable, const TimestampTz *retry_at, JobError *error);
extern Datum job_cancel(const QueueSystem *system, const Caller *caller, const pg_uuid_t *job_id, char *reason);
extern bool job_needs_retry(const QueueSystem *system, const Job *job);
extern void job_requeue(const Job *job, Statement *statement);

#endif							/* STUDIO_JOB_ACTIONS_H */
