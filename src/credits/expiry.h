/*
 * expiry.h
 *	  Credit that expires: the list of lots to sweep, and the sweep.
 *
 * All of these but expiry_summarize(), which only reads with the snapshot of the
 * calling query, expect the account of the user to be locked.
 */
#ifndef STUDIO_EXPIRY_H
#define STUDIO_EXPIRY_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/uuid.h"

#include "ledger.h"

/* what is left in the lots of a user at one time */
typedef struct LotSummary
{
	int64		expired;		/* in lots that have expired */
	int64		expiring;		/* in lots that expire up to the horizon */
	TimestampTz next_expiry;	/* earliest future expiry of a lot that is not
								 * empty; DT_NOEND if there is none */
} LotSummary;

extern void expiry_register(void);
extern void expiry_track(const pg_uuid_t *entry_id, const pg_uuid_t *user_id, TimestampTz expires_at);
extern void expiry_after_entry(const pg_uuid_t *user_id, int64 entry_no, bool may_expire);
extern int	expiry_sweep(const pg_uuid_t *user_id);
extern void expiry_sweep_account(Account *account);
extern int64 expiry_credit_with_holds(const Account *account, List *hold_ids);
extern bool expiry_prepare_spending(const Account *account, int64 amount);
extern LotSummary expiry_summarize(const pg_uuid_t *user_id, TimestampTz horizon);
pg_noreturn extern void refuse_no_credits(const Account *account, int64 wanted);

#endif							/* STUDIO_EXPIRY_H */
