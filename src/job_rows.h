/*
 * job_rows.h
 *	  What the statements on jobs and studio_jobs do, done to rows.
 */
#ifndef STUDIO_JOB_ROWS_H
#define STUDIO_JOB_ROWS_H

#include "rows.h"
#include "statements.h"

extern RowTable jobs_table;
extern RowTable studio_jobs_table;

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
