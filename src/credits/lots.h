/*
 * lots.h
 *	  Which credit expires when.  Call these with the account locked.
 */
#ifndef STUDIO_LOTS_H
#define STUDIO_LOTS_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "ledger.h"

/* what the lots of a user have at a moment */
typedef struct LotSummary
{
	int64		expired;		/* left in lots that have expired */
	int64		expiring;		/* left in lots that expire until the horizon */
	TimestampTz next_expiry;	/* of a lot with something left; DT_NOEND when
								 * there is none */
} LotSummary;

extern void lots_track_expiry(const pg_uuid_t *entry_id, const pg_uuid_t *user_id, TimestampTz expires_at);
extern int	lots_sweep(const pg_uuid_t *user_id);
extern void lots_sweep_account(Account *account);
extern bool lots_prepare_spending(const Account *account, int64 amount);
extern LotSummary lots_summarize(const pg_uuid_t *user_id, TimestampTz horizon);
pg_noreturn extern void refuse_no_credits(const Account *account, int64 wanted);

#endif							/* STUDIO_LOTS_H */
