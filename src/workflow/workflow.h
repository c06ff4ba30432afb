/*
 * workflow.h
 *	  The trigger that enforces the flows of all tables that have a status.
 */
#ifndef STUDIO_WORKFLOW_H
#define STUDIO_WORKFLOW_H

#include "compat.h"
#include "flows.h"
#include "layouts.h"

pg_noreturn extern void workflow_refuse(const Workflow *flow, int from, int to);

extern void workflow_enforce_change(RowChange *change, const void *flow);
extern void workflow_require_initial_state(const Workflow *flow, Relation rel, HeapTuple new);

extern void workflow_retry(const char *row_id, void (*work) (void *arg), void *arg);

#endif							/* STUDIO_WORKFLOW_H */
