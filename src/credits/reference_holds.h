/*
 * reference_holds.h
 *	  Holds by reference: for work that is no Video job.
 *
 * Call these with the account of the user locked, but reference_hold_read(),
 * whose result is certain under that lock only, and the sweep, which locks.
 */
#ifndef STUDIO_REFERENCE_HOLDS_H
#define STUDIO_REFERENCE_HOLDS_H

#include "ledger.h"

/* the key of the entry that charges a hold: this, and the id of the hold */
#define CAPTURES "captures:"

/* a hold, from its entries */
typedef struct ReferenceHold
{
	pg_uuid_t	id;
	pg_uuid_t	user_id;
	int32		amount;
	const char *reference;		/* NULL: the hold of a Video job */
	bool		is_price;		/* of a studio job or rendering: prices.c */
	bool		expires;
	TimestampTz expires_at;		/* if expires */
	bool		closed;
	int32		available;		/* the balance when it was closed, what it
								 * held included */
	int32		charged;		/* when it was captured; 0: nothing */
} ReferenceHold;

extern bool reference_hold_read(const pg_uuid_t *id, ReferenceHold *hold);
extern bool reference_hold_has_expired(const ReferenceHold *hold);
extern void reference_hold_track(const pg_uuid_t *id, const pg_uuid_t *user_id, TimestampTz expires_at);
extern void reference_hold_close(const ReferenceHold *hold, const Account *account, int32 cost, const char *note);
extern int32 reference_holds_sweep(int32 limit);

extern void expire_returned_credit(const Account *account);
extern bool holds_return_expired(Account *account, int64 wanted);
extern bool holds_prepare_spending(Account *account, int64 amount);
extern void holds_require_credits(Account *account, int64 amount);

#endif							/* STUDIO_REFERENCE_HOLDS_H */
