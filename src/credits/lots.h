/*
 * lots.h
 *	  Which credit expires when: the lots of a user, computed from the ledger.
 *
 * All of these but lots_summarize(), which only reads with the snapshot of the
 * calling query, expect the account of the user to be locked.
 */
#ifndef STUDIO_LOTS_H
#define STUDIO_LOTS_H

#include "datatype/timestamp.h"
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

extern void lots_track_expiry(const pg_uuid_t *entry_id, const pg_uuid_t *user_id, TimestampTz expires_at);
extern int	lots_sweep(const pg_uuid_t *user_id);
extern void lots_sweep_account(Account *account);
extern bool lots_prepare_spending(const Account *account, int64 amount);
extern LotSummary lots_summarize(const pg_uuid_t *user_id, TimestampTz horizon);
pg_noreturn extern void refuse_no_credits(const Account *account, int64 wanted);

#endif							/* STUDIO_LOTS_H */
