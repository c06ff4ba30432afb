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

/* a claimed job, as it is returned to the worker, and what the queue said of it */
typedef struct Claimed
{
	pg_uuid_t	job_id;
	pg_uuid_t	token;
	int32		attempt;
	TimestampTz expires_at;
	int32		rank;
	int64		turn;
	TimestampTz since;
	pg_uuid_t	user_id;		/* zeros if the job has none */
	char	   *stage;
} Claimed;

/* columns of studio_engine.queue, in their order */
enum QueueColumn
{
	QUEUE_DUE = 1,
	QUEUE_TURN,
	QUEUE_SYSTEM,
	QUEUE_STATE,
	QUEUE_RANK,
	QUEUE_ATTEMPT,
	QUEUE_FIRST_ATTEMPT,
	QUEUE_JOB,
	QUEUE_USER,
	QUEUE_STAGE,
	QUEUE_LIMITED
};

/* columns of studio_engine.attempts, in their order */
enum AttemptColumn
{
	ATTEMPT_STARTED = 1,
	ATTEMPT_DUE,
	ATTEMPT_EXPIRES,
	ATTEMPT_SINCE,
	ATTEMPT_SYSTEM,
	ATTEMPT_NUMBER,
	ATTEMPT_FIRST,
	ATTEMPT_LEASE,
	ATTEMPT_JOB,
	ATTEMPT_TOKEN,
	ATTEMPT_USER,
	ATTEMPT_STAGE,
	ATTEMPT_WORKER,
	ATTEMPT_ENDED,
	ATTEMPT_OUTCOME,
	ATTEMPT_ERROR,
	ATTEMPT_TURN,
	ATTEMPT_COUNTED,
	ATTEMPT_SHOWN,
	ATTEMPT_CANCEL_REQUESTED,
	ATTEMPT_CANCEL_REASON,
	ATTEMPT_PROCESS
};

/* arguments of the statement that claims jobs, in their order */
enum ClaimArgument
{
	CLAIM_SYSTEM,
	CLAIM_RANK,					/* the position to start from */
	CLAIM_TURN,
	CLAIM_DUE,
	CLAIM_JOB,
	CLAIM_LIMIT,
	CLAIM_WORKER,
	CLAIM_LEASE,				/* microseconds */
	CLAIM_STAGES,				/* text[]; NULL: all */
	CLAIM_PROCESS,
	CLAIM_COUNTED				/* whether limits of running jobs count it */
};

extern RowTable queue_table;
extern RowTable attempts_table;

extern bool promote_fast_path(const Arguments *args, StatementResult *result);
extern bool claim_fast_path(const Arguments *args, StatementResult *result);
extern bool extend_lease_fast_path(const Arguments *args, StatementResult *result);
extern bool end_known_attempt_fast_path(const Arguments *args, StatementResult *result);
extern bool end_open_attempt_fast_path(const Arguments *args, StatementResult *result);
extern bool requeue_fast_path(const Arguments *args, StatementResult *result);
extern int64 claim_take_scanned_pages(void);
extern bool knows_open_attempt(const Arguments *args);

#endif							/* STUDIO_QUEUE_ROWS_H */
