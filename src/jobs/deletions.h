/*
 * deletions.h
 *	  Users may not delete jobs that are in progress.
 */
#ifndef STUDIO_DELETIONS_H
#define STUDIO_DELETIONS_H

#include "queue.h"

/* a job that is to be deleted */
typedef struct DeletedJob
{
	pg_uuid_t	id;
	int			state;
} DeletedJob;

extern List *deletion_lock_jobs(const QueueSystem *system, Statement *statement, const Arguments *args);
extern void deletion_refuse_in_progress(const QueueSystem *system, const List *jobs);

#endif							/* STUDIO_DELETIONS_H */
