/*
 * advisory.h
 *	  Advisory locks, where there is no row to lock.
 */
#ifndef STUDIO_ADVISORY_H
#define STUDIO_ADVISORY_H

/* every kind of lock in this extension; the numbers are in the README */
typedef enum AdvisoryKind
{
	ADVISORY_DRAFT_TOKEN = 1,	/* saving drafts of one token */
	ADVISORY_USER_RUNS = 2,		/* creating runs of one user */
	ADVISORY_STAGE = 3,			/* claiming from one stage that is limited */
	ADVISORY_RUNNING_JOBS = 4	/* claiming jobs of one user who is limited */
} AdvisoryKind;

extern void advisory_lock(AdvisoryKind kind, const void *key, int length);
extern bool advisory_try_lock(AdvisoryKind kind, const void *key, int length);

#endif							/* STUDIO_ADVISORY_H */
