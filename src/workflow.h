/*
 * workflow.h
 *	  The flows of all tables that have a status.
 */
#ifndef STUDIO_WORKFLOW_H
#define STUDIO_WORKFLOW_H

#include "utils/uuid.h"

#include "compat.h"

/* in the order of the enum type job_status */
typedef enum JobStatus
{
	JOB_PENDING,
	JOB_QUEUED,
	JOB_SCRIPTING,
	JOB_VOICE_GEN,
	JOB_ALIGNMENT,
	JOB_VISUAL_PLAN,
	JOB_IMAGE_GEN,
	JOB_TIMELINE,
	JOB_RENDERING,
	JOB_PACKAGING,
	JOB_READY,
	JOB_FAILED
} JobStatus;

#define JOB_STATUSES (JOB_FAILED + 1)

/* in the order of the enum type step_status */
typedef enum StepState
{
	STEP_PENDING,
	STEP_STARTED,
	STEP_SUCCEEDED,
	STEP_FAILED
} StepState;

#define STEP_STATES (STEP_FAILED + 1)

extern const char *const job_status_names[JOB_STATUSES];
extern const char *const step_state_names[STEP_STATES];

pg_noreturn extern void workflow_refuse_job(JobStatus from, JobStatus to);

extern JobStatus job_status_of(const char *name);

/* the one job, if any, whose transitions of retry_job() are open */
typedef struct RetryWindow
{
	bool		open;
	pg_uuid_t	job_id;
} RetryWindow;

extern RetryWindow workflow_begin_retry(const pg_uuid_t *job_id);
extern void workflow_end_retry(RetryWindow before);

#endif							/* STUDIO_WORKFLOW_H */
