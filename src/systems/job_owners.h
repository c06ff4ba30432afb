/*
 * job_owners.h
 *	  The user of what belongs to a job.
 */
#ifndef STUDIO_JOB_OWNERS_H
#define STUDIO_JOB_OWNERS_H

extern void job_owners_register(void);

#endif							/* STUDIO_JOB_OWNERS_H */
