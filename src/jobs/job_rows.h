/*
 * job_rows.h
 *	  The row tables of projects, jobs and studio_jobs, for row operations without SQL.
 */
#ifndef STUDIO_JOB_ROWS_H
#define STUDIO_JOB_ROWS_H

#include "layouts.h"

/* columns of jobs, in their order */
enum JobColumn
{
	JOB_ID = 1,
	JOB_PROJECT,
	JOB_USER,
	JOB_STATUS,
	JOB_PROGRESS,
	JOB_STATUS_MESSAGE,
	JOB_RESERVED,
	JOB_FINAL,
	JOB_FAILED_STEP,
	JOB_ERROR_CODE,
	JOB_ERROR_MESSAGE,
	JOB_OUTPUT,
	JOB_MANIFEST,
	JOB_CREATED,
	JOB_STARTED,
	JOB_FINISHED,
	JOB_PRIORITY,
	JOB_RUN_AT,
	JOB_KEY,
	JOB_MAX_ATTEMPTS,
	JOB_CANCEL_REQUESTED
};

/* columns of studio_jobs, in their order */
enum StudioColumn
{
	STUDIO_ID = 1,
	STUDIO_CREATED,
	STUDIO_STATUS,
	STUDIO_USER,
	STUDIO_AUDIO,
	STUDIO_TRANSCRIPT,
	STUDIO_TEXT,
	STUDIO_PROMPT,
	STUDIO_TIME,
	STUDIO_ERROR,
	STUDIO_ENTITIES,
	STUDIO_MODEL,
	STUDIO_RETRIES,
	STUDIO_PRIORITY,
	STUDIO_RESERVED,
	STUDIO_RUN_AT,
	STUDIO_KEY,
	STUDIO_MAX_ATTEMPTS,
	STUDIO_CANCEL_REQUESTED
};

/* columns of projects, in their order; only read */
enum ProjectColumn
{
	PROJECT_ID = 1,
	PROJECT_USER,
	PROJECT_TITLE,
	PROJECT_PROMPT,
	PROJECT_NICHE,
	PROJECT_MINUTES,
	PROJECT_VOICE,
	PROJECT_MODE,
	PROJECT_TRANSCRIPT,
	PROJECT_SETTINGS,
	PROJECT_CREATED,
	PROJECT_UPDATED
};

extern RowTable projects_table;
extern RowTable jobs_table;
extern RowTable studio_jobs_table;

extern void job_rows_register(void);

#endif							/* STUDIO_JOB_ROWS_H */
