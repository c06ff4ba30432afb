/*
 * claims.h
 *	  Workers lease jobs from the queue.  The functions below expect to run between
 *	  caller_enter_... and caller_leave().
 */
#ifndef STUDIO_CLAIMS_H
#define STUDIO_CLAIMS_H

#include "fmgr.h"
#include "nodes/execnodes.h"

#include "queue.h"
#include "running_limits.h"
#include "stages.h"

/* a position in the order of the waiting jobs: the keys of idx_queue_waiting */
typedef struct QueuePosition
{
	int32		rank;
	int64		turn;
	TimestampTz since;
	pg_uuid_t	job_id;
} QueuePosition;

/* the arguments of claim_jobs(), and how far the claim is */
typedef struct ClaimRequest
{
	const QueueSystem *system;
	const char *worker;
	int32		limit;
	int64		lease;			/* microseconds */
	const char *process_id;		/* or NULL */
	StageChoice stages;
	bool		counted;		/* there are limits of what runs */
	RunningUsers users;
	bool		put_back;		/* jobs were returned to the queue */
	QueuePosition resume_from;	/* after them */
} ClaimRequest;

extern ClaimRequest claim_read_request(FunctionCallInfo fcinfo, int argno, int least);
extern void claim_run(ReturnSetInfo *rsinfo, ClaimRequest *request);

#endif							/* STUDIO_CLAIMS_H */
