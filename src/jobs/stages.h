/*
 * stages.h
 *	  Stages of a queue: which a claim may take jobs from, and how many.  The functions
 *	  below expect to run between caller_enter_... and caller_leave().
 */
#ifndef STUDIO_STAGES_H
#define STUDIO_STAGES_H

#include "utils/array.h"

#include "queue.h"

/* how many more jobs may run at the stages of a system that are limited */
typedef struct StageBudgets
{
	const QueueSystem *system;
	bool		counted;
	bool		uncounted;		/* there are leases that are not counted */
	int32	   *left;			/* by state; -1: not limited */
} StageBudgets;

/* the stages that a claim takes jobs from */
typedef struct StageChoice
{
	const bool *wanted;			/* by state, those that it names; NULL for all */
	StageBudgets budgets;
	Datum		names;			/* text[] of those that are left; 0 for all */
	char	   *text;			/* of this array; NULL for all */
} StageChoice;

extern const bool *stages_check(const QueueSystem *system, ArrayType *names);
extern bool stages_are_limited(const QueueSystem *system);
extern bool stages_narrow(const QueueSystem *system, StageChoice *choice);
extern bool stage_admit(StageBudgets *budgets, const char *stage);
extern void stage_return(StageBudgets *budgets, const char *stage);

#endif							/* STUDIO_STAGES_H */
