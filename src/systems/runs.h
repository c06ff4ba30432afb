/*
 * runs.h
 *	  Locking runs of the pipeline.
 */
#ifndef STUDIO_RUNS_H
#define STUDIO_RUNS_H

#include "caller.h"
#include "statuses.h"

extern RunStatus run_lock_or_refuse(const Caller *caller, const char *run_id);

#endif							/* STUDIO_RUNS_H */
