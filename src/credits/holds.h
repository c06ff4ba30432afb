/*
 * holds.h
 *	  Credits that jobs hold.
 *
 * Call the hold_check_...() functions and hold_record_usage() with the job and
 * the account locked, hold_take() and hold_last_taken() with the job locked.
 */
#ifndef STUDIO_HOLDS_H
#define STUDIO_HOLDS_H

#include "jobs.h"
#include "ledger.h"
#include "triggers.h"

extern bool hold_take(const Job *job, int32 amount);
extern int32 hold_last_taken(const pg_uuid_t *job_id, const pg_uuid_t *user_id);
extern void hold_check_opening(const Job *job, int32 amount);
extern pg_uuid_t hold_check_closing(const Job *job, int32 amount);
extern void hold_record_usage(const Job *job, int32 amount);

extern void holds_register(void);

#endif							/* STUDIO_HOLDS_H */
