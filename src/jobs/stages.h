/*
 * stages.h
 *	  Stages of a queue: which a claim may take jobs from, and how many.  The functions
 *	  below expect to run between caller_enter_... and caller_leave().
 */
#ifndef STUDIO_STAGES_H
#define STUDIO_STAGES_H

#include "queue.h"

/* how many more jobs may run at the stages of a system that are limited */
typedef struct StageBudgets
{
	const QueueSystem *system;
	bool		counted;
	int32	   *left;			/* by state; -1: not limited */
} StageBudgets;

struct ClaimRequest;			/* claims.h */

extern const bool *stages_check(FunctionCallInfo fcinfo, int argno, const QueueSystem *system);
extern bool stages_are_limited(const QueueSystem *system);
extern bool stages_narrow(struct ClaimRequest *request);
extern bool stage_admit(StageBudgets *budgets, const char *stage);

#endif							/* STUDIO_STAGES_H */
