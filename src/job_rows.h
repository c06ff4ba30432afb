/*
 * job_rows.h
 *	  What the statements on jobs and studio_jobs do, done to rows.
 */
#ifndef STUDIO_JOB_ROWS_H
#define STUDIO_JOB_ROWS_H

#include "rows.h"
#include "statements.h"

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
	JOB_PRIORITY
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
	STUDIO_PRIORITY
};

extern RowTable jobs_table;
extern RowTable studio_jobs_table;

extern void job_rows_register(void);

extern bool lock_job_directly(const Arguments *args, Answer *answer);
extern bool try_lock_job_directly(const Arguments *args, Answer *answer);
extern bool select_job_directly(const Arguments *args, Answer *answer);
extern bool set_reserved_directly(const Arguments *args, Answer *answer);
extern bool set_final_directly(const Arguments *args, Answer *answer);
extern bool update_job_directly(const Arguments *args, Answer *answer);
extern bool finish_job_directly(const Arguments *args, Answer *answer);

extern bool lock_studio_job_directly(const Arguments *args, Answer *answer);
extern bool try_lock_studio_job_directly(const Arguments *args, Answer *answer);
extern bool select_studio_job_directly(const Arguments *args, Answer *answer);
extern bool move_studio_job_directly(const Arguments *args, Answer *answer);
extern bool write_transcript_directly(const Arguments *args, Answer *answer);
extern bool write_entities_directly(const Arguments *args, Answer *answer);
extern bool write_refined_text_directly(const Arguments *args, Answer *answer);

#endif							/* STUDIO_JOB_ROWS_H */
