/*
 * workflow.h
 *	  The flows of all tables that have a status, and the trigger on them.
 */
#ifndef STUDIO_WORKFLOW_H
#define STUDIO_WORKFLOW_H

#include "flows.h"

#include "compat.h"

pg_noreturn extern void workflow_refuse(const Workflow *flow, int from, int to);

extern HeapTuple workflow_write(const Workflow *flow, Relation rel, HeapTuple old, HeapTuple new);

extern void workflow_retry(const char *row_id, void (*work) (void *arg), void *arg);

#endif							/* STUDIO_WORKFLOW_H */
