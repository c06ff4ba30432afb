/*
 * overruns.c
 *	  What closing a hold charges: of jobs, and by reference.
 *
 * Pitfall: a retry must get the first answer, though the balance is another by
 * now.  What there was is the balance after the entry that closed the hold.
 *
 * Lock order: none of its own; the caller has locked the account.
 */
#include "postgres.h"

#include "errors.h"
#include "expiry.h"
#include "overruns.h"
#include "reference_holds.h"

const char *const overrun_names[OVERRUNS] = {"error", "charge", "cap", "available"};

/*
 * Return the value of one of overrun_names.
 */
Overrun
parse_overrun(const char *name)
{
	int			i = 0;

	while (strcmp(name, overrun_names[i]) != 0)
		i++;
	return (Overrun) i;
}

/* Return true if the balance has excess, or has it with the holds that have expired. */
static bool
balance_has(Account *account, int64 excess)
{
	return account->balance >= excess ||
		(holds_return_expired(account, excess) && account->balance >= excess);
}

/*
 * Return what closing an open hold at a price charges; NULL is the whole hold.
 * Raises an error if overrun does not permit a price above the hold, or the balance
 * does not cover it.  What has expired of the account must be swept.
 */
int32
overrun_price(int32 held, const int32 *price, Overrun overrun, Account *account)
{
	if (price == NULL)
		return held;
	if (*price <= held)
		return *price;

	switch (overrun)
	{
		case OVERRUN_ERROR:
			refuse_conflict("price exceeds the hold", psprintf("Price %d, held %d.", *price, held));
		case OVERRUN_CHARGE:
			if (!balance_has(account, (int64) *price - held))
				refuse_no_credits(account, (int64) *price - held);
			return *price;
		case OVERRUN_CAP:
			return held;
		case OVERRUN_AVAILABLE:
			if (account->balance < (int64) *price - held)
				(void) holds_return_expired(account, PG_INT64_MIN);
			return (int32) Min(*price, (int64) held + Max(account->balance, 0));
	}
	return 0;					/* not reached */
}

/*
 * Return what closing a hold charged, if it was the same call; available is the
 * balance when it was closed, what it held included.
 */
int32
overrun_replayed_price(int32 held, const int32 *price, Overrun overrun, int32 available)
{
	int32		cost = price ? *price : held;

	if (overrun == OVERRUN_CAP)
		return Min(cost, held);
	if (overrun == OVERRUN_AVAILABLE)
		return Min(cost, Max(held, available));
	return cost;
}
