/*
 * jobs.h
 *	  Locking jobs, and the limit of active jobs.
 */
#ifndef STUDIO_JOBS_H
#define STUDIO_JOBS_H

#include "caller.h"
#include "statements.h"
#include "workflow.h"

typedef struct Job
{
	pg_uuid_t	id;
	pg_uuid_t	user_id;		/* zeros if the job has none */
	int			status;			/* a state of the flow of its table */
	int32		priority;
	int32		max_attempts;	/* 0: setting max_attempts */
	pg_uuid_t	project_id;		/* of table jobs only */
} Job;

extern Statement job_lock_statement;
extern Statement job_try_lock_statement;

extern bool job_lock_by(Statement *statement, const Workflow *flow, const pg_uuid_t *job_id,
						const pg_uuid_t *user_id, Job *job);
extern bool job_try_lock(const pg_uuid_t *job_id, Job *job);
extern bool job_lock(const pg_uuid_t *job_id, Job *job);
extern void job_lock_or_refuse(const Caller *caller, const pg_uuid_t *job_id, Job *job);
extern char *job_project_title(const Job *job);
extern void job_touch(const Job *job);
extern bool job_has_ended(const Job *job);

extern bool job_active_limit_is_set(void);
extern void job_check_active_limit(Statement *count, const pg_uuid_t *user_id);

#endif							/* STUDIO_JOBS_H */
