/*
 * advisory.h
 *	  Locks on what has no row to lock.
 */
#ifndef STUDIO_ADVISORY_H
#define STUDIO_ADVISORY_H

/* what is locked, all over the installation; the numbers are in the README */
typedef enum AdvisoryKind
{
	ADVISORY_DRAFT_TOKEN = 1,	/* savers of drafts of one token */
	ADVISORY_USER_RUNS = 2		/* makers of runs of one user */
} AdvisoryKind;

extern void advisory_lock(AdvisoryKind kind, const void *key, int length);

#endif							/* STUDIO_ADVISORY_H */
