/*
 * queue_rows.h
 *	  What the statements on the queue do, done to rows.
 */
#ifndef STUDIO_QUEUE_ROWS_H
#define STUDIO_QUEUE_ROWS_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "rows.h"
#include "statements.h"

/* a job as a worker gets it */
typedef struct Claimed
{
	pg_uuid_t	job_id;
	pg_uuid_t	token;
	int32		attempt;
	TimestampTz expires_at;
} Claimed;

extern RowTable queue_table;
extern RowTable attempts_table;

extern bool promote_directly(const Arguments *args, Answer *answer);
extern bool claim_directly(const Arguments *args, Answer *answer);
extern bool lock_lease_directly(const Arguments *args, Answer *answer);
extern bool try_lock_lease_directly(const Arguments *args, Answer *answer);
extern bool leave_queue_directly(const Arguments *args, Answer *answer);

#endif							/* STUDIO_QUEUE_ROWS_H */
