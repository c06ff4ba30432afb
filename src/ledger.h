/*
 * ledger.h
 *	  Credits.  The functions below expect to run between caller_enter_... and
 *	  caller_leave(), with the job locked where there is one.
 */
#ifndef STUDIO_LEDGER_H
#define STUDIO_LEDGER_H

#include "utils/uuid.h"

#include "compat.h"

typedef struct Account
{
	pg_uuid_t	user_id;
	int32		balance;
	int32		reserved;
} Account;

extern bool ledger_lock_account(const pg_uuid_t *user_id, Account *account);
extern void ledger_open_account(const pg_uuid_t *user_id, Account *account);
extern bool ledger_hold(const pg_uuid_t *user_id, const pg_uuid_t *job_id, int32 amount);
extern void ledger_welcome(const pg_uuid_t *user_id, int32 amount);
pg_noreturn extern void refuse_no_credits(const Account *account, int64 wanted);

#endif							/* STUDIO_LEDGER_H */
