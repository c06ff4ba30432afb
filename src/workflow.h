/*
 * workflow.h
 *	  The flows of all tables that have a status, and the trigger on them.
 */
#ifndef STUDIO_WORKFLOW_H
#define STUDIO_WORKFLOW_H

#include "flows.h"

#include "compat.h"

pg_noreturn extern void workflow_refuse(const Workflow *flow, int from, int to);

/* the one row, if any, whose transitions of a retry function are open */
typedef struct RetryWindow
{
	const char *row_id;			/* NULL: none */
} RetryWindow;

extern RetryWindow workflow_begin_retry(const char *row_id);
extern void workflow_end_retry(RetryWindow before);

#endif							/* STUDIO_WORKFLOW_H */
