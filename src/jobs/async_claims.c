/*
 * async_claims.c
 *	  Setting asynchronous_claims: a transaction that only claims jobs does not wait until
 *	  its WAL is on disk.
 *
 * A claim that a crash undoes is made again, so nothing is lost; what its worker did
 * meanwhile is refused, as the lease is unknown, and done twice.  A later commit that
 * waits makes earlier claims durable too, since WAL is written in its order.  Any other
 * work in the transaction makes it wait as usual.
 *
 * Pitfall: whether the transaction has written anything else is seen by its WAL: none
 * before the claim, by the lack of a transaction id, and none after it, by the position of
 * the last record.
 *
 * Locks: none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "utils/guc.h"

#include "async_claims.h"
#include "settings.h"

/* a claim that began when nothing was written in its transaction */
static bool pure = false;

/* the end of its WAL; invalid: it has not ended */
static XLogRecPtr claimed_until = InvalidXLogRecPtr;

/* Before the commit: do not wait for it if nothing but a claim was written. */
static void
relax_commit(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT && pure && claimed_until != InvalidXLogRecPtr &&
		XactLastRecEnd == claimed_until && synchronous_commit > SYNCHRONOUS_COMMIT_OFF)
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	pure = false;
	claimed_until = InvalidXLogRecPtr;
}

/*
 * A claim begins.  Claims after one another count as one.
 */
void
async_claim_begin(void)
{
	static bool callback_registered = false;

	if (setting_int32(SETTING_ASYNCHRONOUS_CLAIMS) == 0)
		return;
	if (!callback_registered)
	{
		RegisterXactCallback(relax_commit, NULL);
		callback_registered = true;
	}
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()) && XactLastRecEnd == InvalidXLogRecPtr)
		pure = true;
	else if (claimed_until == InvalidXLogRecPtr || XactLastRecEnd != claimed_until)
		pure = false;
}

/*
 * A claim has ended: what it has written need not be waited for.
 */
void
async_claim_end(void)
{
	claimed_until = pure ? XactLastRecEnd : InvalidXLogRecPtr;
}
