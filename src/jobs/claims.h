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

/* the arguments of claim_jobs() */
typedef struct ClaimRequest
{
	const QueueSystem *system;
	const char *worker;
	int32		limit;
	int64		lease;			/* microseconds */
	Datum		stages;			/* text[]; 0 for all */
	char	   *stage_names;	/* its text; NULL for all */
	const char *process_id;		/* or NULL */
} ClaimRequest;

extern ClaimRequest claim_read_request(FunctionCallInfo fcinfo, int argno, int least);
extern void claim_run(ReturnSetInfo *rsinfo, ClaimRequest *request);

#endif							/* STUDIO_CLAIMS_H */
