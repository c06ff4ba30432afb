/*
 * new_jobs.h
 *	  What a client may say of a new job besides its work: when, how often, and
 *	  under which key.  The functions below expect to run between
 *	  caller_enter_... and caller_leave().
 */
#ifndef STUDIO_NEW_JOBS_H
#define STUDIO_NEW_JOBS_H

#include "datatype/timestamp.h"

#include "caller.h"
#include "statements.h"
#include "triggers.h"

/* what is not given is NULL */
typedef struct NewJob
{
	const TimestampTz *run_at;
	const char *key;
	const int32 *max_attempts;
} NewJob;

typedef enum NewJobResult
{
	JOB_INSERTED,
	JOB_FOUND,					/* an earlier call made it under this key */
	JOB_NOT_STORED
} NewJobResult;

extern NewJob new_job_check(FunctionCallInfo fcinfo, int argno, const Caller *caller);
extern void new_job_arguments(const NewJob *new, Arguments *args);
extern NewJobResult new_job_insert(const NewJob *new, Statement *find, Statement *insert,
								   const Arguments *args, pg_uuid_t *job_id);
extern void new_job_check_proposed_row(TupleDesc desc, HeapTuple row);
extern void new_job_check_row_of_user(TupleDesc desc, HeapTuple row);
extern void new_job_check_update_of_user(RowEdit *edit, HeapTuple old);

#endif							/* STUDIO_NEW_JOBS_H */
