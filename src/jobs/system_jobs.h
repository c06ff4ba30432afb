/*
 * system_jobs.h
 *	  Locking, reading and failing a job in the table of its system.
 */
#ifndef STUDIO_SYSTEM_JOBS_H
#define STUDIO_SYSTEM_JOBS_H

#include "caller.h"
#include "jobs.h"
#include "queue.h"

extern bool system_job_lock(const QueueSystem *system, const pg_uuid_t *job_id, Job *job);
extern bool system_job_try_lock(const QueueSystem *system, const pg_uuid_t *job_id, Job *job);
extern void system_job_lock_or_refuse(const QueueSystem *system, const Caller *caller,
									  const pg_uuid_t *job_id, Job *job);
extern Datum system_job_as_jsonb(const QueueSystem *system, const pg_uuid_t *job_id);
extern void system_job_fail(const QueueSystem *system, const pg_uuid_t *job_id, const JobError *error);
extern void system_job_count_retry(const QueueSystem *system, const pg_uuid_t *job_id);
extern void system_job_note_cancel(const QueueSystem *system, const pg_uuid_t *job_id);

#endif							/* STUDIO_SYSTEM_JOBS_H */
