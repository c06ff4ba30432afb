/*
 * reference_holds.c
 *	  Holds by reference: reading and closing them, and the end of those that have
 *	  expired.
 *
 * They are for work that is no Video job.  The entries are those of holds.c, with a
 * reference of the caller's in the place of the job: `reserve -N`, whose id is the
 * id of the hold; `reserve +N`, which names it in reverses; and `usage -F`, whose
 * key is made of the id, so that a retry finds what was charged.  No other entry of
 * type reserve has a reference, and none with a reference has metadata but the price
 * of a job.
 *
 * What expires is a hold's claim, not credit: the credit of a hold that has expired
 * returns to its lots.  studio_engine.expiring_holds lists the holds with an expiry
 * that are open.  A user who has enough to spend is never looked up there.
 *
 * Pitfall: no row stands for a hold, so that the lock of the account is what
 * protects it.  What was read before that lock only tells which account to lock.
 * To open or to close a hold is to write the account, so that a REPEATABLE READ
 * transaction with an older snapshot fails on it (40001).
 *
 * Lock order: the account is the only lock.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "expiry.h"
#include "ledger.h"
#include "reference_holds.h"
#include "statements.h"
#include "uuids.h"

static Statement select_reference_hold = {
	.force_index_plan = true,
	.text = "SELECT l.user_id, -l.amount, l.reference, l.expires_at, c.id IS NOT NULL,"
	"       COALESCE(c.balance_after, 0), COALESCE(-u.amount, 0), l.metadata IS NOT NULL"
	"  FROM @extschema@.credit_ledger l"
	"  LEFT JOIN @extschema@.credit_ledger c ON c.reverses = l.id AND c.type = 'reserve'"
	"  LEFT JOIN @extschema@.credit_ledger u ON u.user_id = l.user_id AND u.type = 'usage'"
	"        AND u.idempotency_key = '" CAPTURES "' || l.id::pg_catalog.text"
	" WHERE l.id = $1 AND l.type = 'reserve' AND l.amount < 0",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement insert_expiring_hold = {
	.text = "INSERT INTO studio_engine.expiring_holds (hold_id, user_id, expires_at) VALUES ($1, $2, $3)",
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, TIMESTAMPTZOID}
};
static Statement delete_expiring_hold = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.expiring_holds h WHERE h.hold_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_expired_holds = {
	.force_index_plan = true,
	.text = "SELECT h.hold_id FROM studio_engine.expiring_holds h WHERE h.expires_at <= $1 ORDER BY h.expires_at LIMIT $2",
	.nargs = 2,.argtypes = {TIMESTAMPTZOID, INT4OID}
};
static Statement select_expired_holds_of_user = {
	.force_index_plan = true,
	.text = "SELECT h.hold_id FROM studio_engine.expiring_holds h"
	" WHERE h.user_id = $1 AND h.expires_at <= $2 ORDER BY h.expires_at, h.hold_id",
	.nargs = 2,.argtypes = {UUIDOID, TIMESTAMPTZOID}
};
static Statement sum_expired_holds_of_user = {
	.force_index_plan = true,
	.text = "SELECT COALESCE(-pg_catalog.sum(l.amount), 0)::pg_catalog.int8"
	"  FROM studio_engine.expiring_holds h JOIN @extschema@.credit_ledger l ON l.id = h.hold_id"
	" WHERE h.user_id = $1 AND h.expires_at <= $2",
	.nargs = 2,.argtypes = {UUIDOID, TIMESTAMPTZOID}
};

/*
 * Read the hold that this entry took; returns false if there is none.
 */
bool
reference_hold_read(const pg_uuid_t *id, ReferenceHold *hold)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, id);
	if (statement_execute(&select_reference_hold, &args) == 0)
		return false;
	hold->id = *id;
	hold->user_id = result_uuid(1);
	hold->amount = result_int32(2);
	hold->reference = result_isnull(3) ? NULL : result_text(3);
	hold->expires = !result_isnull(4);
	if (hold->expires)
		hold->expires_at = result_int64(4);
	hold->closed = result_bool(5);
	hold->available = result_int32(6);
	hold->charged = hold->closed ? result_int32(7) : 0;
	hold->is_price = result_bool(8);
	return true;
}

/*
 * Return true if the time of a hold is over.
 */
bool
reference_hold_has_expired(const ReferenceHold *hold)
{
	return hold->expires && hold->expires_at <= GetCurrentTimestamp();
}

/*
 * Put a hold on the list of those that expire.  Called when it is taken, before
 * its entry is stored.
 */
void
reference_hold_track(const pg_uuid_t *id, const pg_uuid_t *user_id, TimestampTz expires_at)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, id);
	argument_uuid(&args, user_id);
	argument_time(&args, &expires_at);
	statement_execute(&insert_expiring_hold, &args);
}

/* Take a hold off the list of those that expire. */
static void
untrack(const pg_uuid_t *id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, id);
	statement_execute(&delete_expiring_hold, &args);
}

/*
 * After a hold was closed: expire what returned to lots that have expired meanwhile.
 */
void
expire_returned_credit(const Account *account)
{
	if (account->has_expired || account->has_expired_held)
		(void) expiry_sweep(&account->user_id);
}

/*
 * Close an open hold and charge cost, which may be 0.
 */
void
reference_hold_close(const ReferenceHold *hold, const Account *account, int32 cost, const char *note)
{
	Entry		closing = {
		.user_id = &hold->user_id,.type = "reserve",.amount = hold->amount,
		.note = note,.reverses = &hold->id,.reference = hold->reference
	};
	Entry		usage = {
		.user_id = &hold->user_id,.type = "usage",.amount = -cost,
		.note = "Charged for hold",.reference = hold->reference
	};

	(void) ledger_append(&closing);
	if (cost > 0)
	{
		usage.key = psprintf(CAPTURES "%s", uuid_text(&hold->id));
		(void) ledger_append(&usage);
	}
	if (hold->expires)
		untrack(&hold->id);
	expire_returned_credit(account);
}

/* ------------------------------------------------------------------------
 * Holds that have expired
 * ------------------------------------------------------------------------ */

/* Close a hold of the list; returns false if it was closed before. */
static bool
return_expired_hold(const pg_uuid_t *id, const Account *account)
{
	ReferenceHold hold;

	if (!reference_hold_read(id, &hold) || hold.closed)
	{
		untrack(id);
		return false;
	}
	reference_hold_close(&hold, account, 0, "Hold expired");
	return true;
}

/*
 * Return the holds of a user that have expired to his balance, if they are what
 * wanted lacks, and read the account again.  Returns false, with nothing written,
 * if there are none, or too little even so.
 */
bool
holds_return_expired(Account *account, int64 wanted)
{
	Arguments	args = NO_ARGUMENTS;
	TimestampTz now = GetCurrentTimestamp();
	List	   *ids;
	ListCell   *cell;
	int64		returned;

	argument_uuid(&args, &account->user_id);
	argument_time(&args, &now);
	ids = statement_execute_uuids(&select_expired_holds_of_user, &args);
	if (ids == NIL)
		return false;
	statement_execute(&sum_expired_holds_of_user, &args);
	returned = result_int64(1);
	if (account->balance + returned - expiry_credit_with_holds(account, ids) < wanted)
		return false;
	foreach(cell, ids)
		(void) return_expired_hold(lfirst(cell), account);
	ledger_reread(account);
	return true;
}

/*
 * Do expiry_prepare_spending() and, where there is too little, once more with the
 * holds returned that have expired.
 */
bool
holds_prepare_spending(Account *account, int64 amount)
{
	return expiry_prepare_spending(account, amount) ||
		(holds_return_expired(account, amount) && expiry_prepare_spending(account, amount));
}

/*
 * Read a locked account again and prepare to take amount from it, as
 * holds_prepare_spending(); PT402 if it has too little.
 */
void
holds_require_credits(Account *account, int64 amount)
{
	ledger_reread(account);
	if (!holds_prepare_spending(account, amount))
		refuse_no_credits(account, amount);
}

/* Return a hold that has expired; false if it is closed, or another session has the account locked. */
static bool
sweep_hold(const pg_uuid_t *id)
{
	ReferenceHold hold;
	Account		account;

	/*
	 * the sweep has locked other accounts before, so that waiting could
	 * deadlock
	 */
	if (!reference_hold_read(id, &hold) || !ledger_try_lock_account(&hold.user_id) ||
		!ledger_lock_account(&hold.user_id, &account))
		return false;
	return return_expired_hold(id, &account);
}

/*
 * Return holds that have expired, at most limit; returns their number.
 */
int32
reference_holds_sweep(int32 limit)
{
	Arguments	args = NO_ARGUMENTS;
	TimestampTz now = GetCurrentTimestamp();
	StatementResult *outer;
	ListCell   *cell;
	int32		count = 0;

	argument_time(&args, &now);
	argument_int32(&args, limit);
	foreach(cell, statement_execute_uuids(&select_expired_holds, &args))
	{
		/* a scope of its own frees what it used */
		outer = statements_begin();
		count += sweep_hold(lfirst(cell)) ? 1 : 0;
		statements_end(outer);
	}
	return count;
}
