/*
 * queue_rows.h
 *	  The row tables of queue and attempts, and fast paths of statements on them.
 */
#ifndef STUDIO_QUEUE_ROWS_H
#define STUDIO_QUEUE_ROWS_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "arguments.h"
#include "layouts.h"

/* a claimed job, as it is returned to the worker */
typedef struct Claimed
{
	pg_uuid_t	job_id;
	pg_uuid_t	token;
	int32		attempt;
	TimestampTz expires_at;
} Claimed;

/* columns of studio_engine.queue, in their order */
enum QueueColumn
{
	QUEUE_SYSTEM = 1,
	QUEUE_STATE,
	QUEUE_RANK,
	QUEUE_TURN,
	QUEUE_DUE,
	QUEUE_JOB,
	QUEUE_USER,
	QUEUE_ATTEMPT,
	QUEUE_FIRST_ATTEMPT,
	QUEUE_TOKEN,
	QUEUE_CLAIMED,
	QUEUE_EXPIRES,
	QUEUE_CANCEL_REQUESTED,
	QUEUE_SINCE,
	QUEUE_SHOWN,
	QUEUE_WORKER,
	QUEUE_CANCEL_REASON
};

extern RowTable queue_table;
extern RowTable attempts_table;

extern bool promote_fast_path(const Arguments *args, StatementResult *result);
extern bool claim_fast_path(const Arguments *args, StatementResult *result);
extern bool dequeue_job_fast_path(const Arguments *args, StatementResult *result);

#endif							/* STUDIO_QUEUE_ROWS_H */
