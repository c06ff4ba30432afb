/*
 * running_limits.h
 *	  The limit of jobs that run for one user.  The functions below expect to run
 *	  between caller_enter_... and caller_leave().
 */
#ifndef STUDIO_RUNNING_LIMITS_H
#define STUDIO_RUNNING_LIMITS_H

#include "nodes/pg_list.h"
#include "utils/uuid.h"

/* what becomes of a job that a claim has taken */
typedef enum Admission
{
	ADMITTED,
	AT_LIMIT,					/* its user has as many that run as may */
	UNKNOWN_NUMBER				/* another transaction claims jobs of the user */
} Admission;

/* the users of one claim */
typedef struct RunningUsers
{
	List	   *users;
	bool		uncounted;		/* there are leases that are not counted */
} RunningUsers;

extern bool running_limit_is_set(void);
extern bool running_limit_is_reached(const char *system, const pg_uuid_t *user_id);
extern Admission running_limit_admit(RunningUsers *users, const char *system, const pg_uuid_t *user_id, int taken);
extern void running_limit_park(const char *system, const pg_uuid_t *user_id, const char *stage);
extern void running_limit_unpark(const char *system, const pg_uuid_t *user_id);
extern int32 running_limit_heal(const char *system, pg_uuid_t *after);
extern uint64 running_count_all(const char *system, bool *uncounted);

#endif							/* STUDIO_RUNNING_LIMITS_H */
