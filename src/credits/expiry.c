/*
 * expiry.c
 *	  Credit that expires: the list of lots to sweep, and the sweep.
 *
 * Users whose credit never expires pay one index lookup: studio_engine.expiring_credits
 * lists the lots with an expiry that may have something left.  A row whose lot has
 * expired is removed when the lot is empty, and held_back while an open hold has
 * an allocation from it.
 *
 * Pitfall: expired lots must be swept before credit is taken, or the replay
 * (lots.c) would take it from them.  A sweep needs a replay, so it runs only where
 * a listed lot has expired.
 *
 * Lock order: none of its own; the caller has locked the account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "expiry.h"
#include "ledger.h"
#include "lots.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(expire_credits);

/* expire_lots() is running: its entries fire triggers, which must not sweep too */
static bool sweeping = false;

static Statement insert_expiring = {
	.text = "INSERT INTO studio_engine.expiring_credits (entry_id, user_id, expires_at) VALUES ($1, $2, $3)"
	" ON CONFLICT (entry_id) DO UPDATE SET held_back = false",
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, TIMESTAMPTZOID}
};

/* A lot is listed before its entry is stored, and stays listed until then. */
static Statement delete_expiring = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.expiring_credits e"
	" WHERE e.entry_id = $1 AND EXISTS (SELECT 1 FROM @extschema@.credit_ledger l WHERE l.id = e.entry_id)",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement set_held_back = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.expiring_credits SET held_back = true WHERE entry_id = $1 AND NOT held_back",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_expired = {
	.force_index_plan = true,
	.text = "SELECT e.entry_id FROM studio_engine.expiring_credits e"
	" WHERE e.user_id = $1 AND e.expires_at <= $2",
	.nargs = 2,.argtypes = {UUIDOID, TIMESTAMPTZOID}
};
static Statement select_any_expiring = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM studio_engine.expiring_credits e WHERE e.user_id = $1 LIMIT 2",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_users_to_sweep = {
	.text = "SELECT DISTINCT d.user_id FROM ("
	"  SELECT e.user_id FROM studio_engine.expiring_credits e"
	"   WHERE e.expires_at <= pg_catalog.clock_timestamp() AND NOT e.held_back"
	"   ORDER BY e.expires_at LIMIT $1) d ORDER BY d.user_id",
	.nargs = 1,.argtypes = {INT4OID}
};

/*
 * Put a lot with an expiry on the list of lots to sweep.  Called when the lot is
 * made, before its entry is stored, and again when credit returns to it, which
 * resets held_back.
 */
void
expiry_track(const pg_uuid_t *entry_id, const pg_uuid_t *user_id, TimestampTz expires_at)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, entry_id);
	argument_uuid(&args, user_id);
	argument_time(&args, &expires_at);
	statement_execute(&insert_expiring, &args);
}

/* Count the lots of a user on the list: 0, 1, or 2 for more. */
static uint64
count_listed_lots(const pg_uuid_t *user_id, bool read_only)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	return (read_only ? statement_execute_read_only : statement_execute) (&select_any_expiring, &args);
}

/*
 * After an entry is stored: keep the next replay short, for users who will need
 * one.  may_expire is false if the entry is no credit that expires.  Where it is
 * the first that does, a long ledger gets its checkpoint.  That is not tried again
 * with each entry: a ledger with a great many lots gets none.
 */
void
expiry_after_entry(const pg_uuid_t *user_id, int64 entry_no, bool may_expire)
{
	bool		due = lots_checkpoint_is_due(entry_no);
	uint64		listed;

	if (!due && !(may_expire && lots_lack_checkpoint(user_id, entry_no)))
		return;
	listed = count_listed_lots(user_id, false);
	if (listed == 1 || (due && listed > 0))
		lots_free(lots_replay(user_id, false));
}

/*
 * Register what this file does after an entry.
 */
void
expiry_register(void)
{
	ledger_register_after_entry(expiry_after_entry);
}

/* The ids of the listed lots of a user that have expired by now, held back or not. */
static List *
expired_lot_ids(const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	TimestampTz now = GetCurrentTimestamp();

	argument_uuid(&args, user_id);
	argument_time(&args, &now);
	return statement_execute_uuids(&select_expired, &args);
}

/* Sum what is left in all lots. */
static LotSummary
summarize(LotState *state, TimestampTz now, TimestampTz horizon)
{
	LotSummary	summary = {.next_expiry = DT_NOEND};
	ListCell   *cell;

	foreach(cell, lots_in_burn_order(state))
	{
		Lot		   *lot = lfirst(cell);

		if (lot->left == 0)
			continue;
		if (lot->expires_at <= now)
			summary.expired += lot->left;
		else if (lot->expires_at <= horizon)
			summary.expiring += lot->left;
		if (lot->expires_at > now)
			summary.next_expiry = Min(summary.next_expiry, lot->expires_at);
	}
	return summary;
}

/*
 * Return what is left in the lots of a user, as the calling query sees them.
 * Users whose credit never expires are not replayed: all is zero then, and
 * next_expiry is DT_NOEND.
 */
LotSummary
expiry_summarize(const pg_uuid_t *user_id, TimestampTz horizon)
{
	LotSummary	summary = {.next_expiry = DT_NOEND};
	LotState   *state;

	if (count_listed_lots(user_id, true) > 0)
	{
		state = lots_replay_read_only(user_id, false);
		summary = summarize(state, GetCurrentTimestamp(), horizon);
		lots_free(state);
	}
	return summary;
}

/* Remove a lot from the list of lots to sweep. */
static void
forget_lot(const pg_uuid_t *id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, id);
	statement_execute(&delete_expiring, &args);
}

/* The lots of these ids, in burn order; those that a replay does not have are empty. */
static List *
find_lots(LotState *state, List *ids)
{
	List	   *lots = NIL;
	ListCell   *cell;

	foreach(cell, ids)
	{
		Lot		   *lot = lots_find(state, lfirst(cell));

		if (lot)
			lots = lappend(lots, lot);
	}
	list_sort(lots, lots_compare);
	return lots;
}

/* Remove the lots of these ids that a replay does not have from the list of lots to sweep. */
static void
forget_empty_lots(LotState *state, List *ids)
{
	ListCell   *cell;

	foreach(cell, ids)
	{
		if (lots_find(state, lfirst(cell)) == NULL)
			forget_lot(lfirst(cell));
	}
}

/* Sum what is left in these lots. */
static int64
total_left(List *lots)
{
	ListCell   *cell;
	int64		left = 0;

	foreach(cell, lots)
		left += ((Lot *) lfirst(cell))->left;
	return left;
}

/* The credit of a user that has expired and is still in the balance. */
static int64
expired_credit(const pg_uuid_t *user_id)
{
	List	   *ids = expired_lot_ids(user_id);
	LotState   *state;
	int64		expired;

	if (ids == NIL)
		return 0;
	state = lots_replay(user_id, false);
	expired = total_left(find_lots(state, ids));
	lots_free(state);
	return expired;
}

/*
 * Return the credit of an account that has expired, with what these open holds
 * return to lots that have expired.
 */
int64
expiry_credit_with_holds(const Account *account, List *hold_ids)
{
	List	   *ids;
	LotState   *state;
	ListCell   *cell;
	int64		expired;

	if (!account->has_expired && !account->has_expired_held)
		return 0;
	ids = expired_lot_ids(&account->user_id);
	state = lots_replay(&account->user_id, false);
	foreach(cell, hold_ids)
		lots_return_hold(state, lfirst(cell));
	expired = total_left(find_lots(state, ids));
	lots_free(state);
	return expired;
}

/* What can be spent of a balance: not what has expired, swept or not. */
static int64
spendable_balance(const Account *account)
{
	return account->balance - (account->has_expired ? expired_credit(&account->user_id) : 0);
}

/*
 * Raise PT402: the account has less to spend than is wanted.
 */
void
refuse_no_credits(const Account *account, int64 wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_NO_CREDITS),
			 errmsg("not enough credits"),
			 errdetail("Balance " INT64_FORMAT ", needed " INT64_FORMAT ".", spendable_balance(account), wanted),
			 errhint("Buy credits, or wait until a running job releases what it holds.")));
}

/* Expire what is left in a lot, which stays listed only while an open hold has
 * part of it; returns the number of entries made. */
static int
expire_lot(const pg_uuid_t *user_id, const Lot *lot)
{
	Arguments	args = NO_ARGUMENTS;
	Entry		entry = {
		.user_id = user_id,.type = "expire",.amount = -(int32) lot->left,
		.note = "Expired",.reverses = &lot->id
	};

	if (lot->left > 0)
		(void) ledger_append(&entry);
	if (lot->held == 0)
		forget_lot(&lot->id);
	else
	{
		argument_uuid(&args, &lot->id);
		statement_execute(&set_held_back, &args);
	}
	return lot->left > 0 ? 1 : 0;
}

/* Expire what is left in these lots; returns the number of entries made. */
static int
expire_lots(const pg_uuid_t *user_id, List *lots)
{
	ListCell   *cell;
	volatile int count = 0;

	sweeping = true;
	PG_TRY();
	{
		foreach(cell, lots)
			count += expire_lot(user_id, lfirst(cell));
	}
	PG_FINALLY();
	{
		sweeping = false;
	}
	PG_END_TRY();

	return count;
}

/*
 * Expire what is left in the expired lots of a user; returns the number of
 * entries made.  Does nothing when called from a trigger of such an entry.
 */
int
expiry_sweep(const pg_uuid_t *user_id)
{
	List	   *ids = expired_lot_ids(user_id);
	LotState   *state;
	int			count;

	if (ids == NIL || sweeping)
		return 0;
	state = lots_replay(user_id, false);
	count = expire_lots(user_id, find_lots(state, ids));
	forget_empty_lots(state, ids);
	lots_free(state);
	return count;
}

/*
 * Read a locked account again and expire what has expired of it, so that its
 * balance is what can be spent.
 */
void
expiry_sweep_account(Account *account)
{
	ledger_reread(account);
	if (account->has_expired && expiry_sweep(&account->user_id) > 0)
		ledger_reread(account);
}

/*
 * Prepare to take amount from an account: expire what has expired, if what is
 * left then is enough.  Returns false, with nothing written, if it is not: the
 * caller refuses without leaving expire entries in the ledger.  The lots that
 * have expired are read once, so that the answer and the entries agree.
 */
bool
expiry_prepare_spending(const Account *account, int64 amount)
{
	List	   *ids;
	List	   *lots;
	LotState   *state;
	bool		enough;

	if (!account->has_expired || sweeping)
		return account->balance >= amount;

	ids = expired_lot_ids(&account->user_id);
	state = lots_replay(&account->user_id, false);
	lots = find_lots(state, ids);
	enough = account->balance - total_left(lots) >= amount;
	if (enough)
		(void) expire_lots(&account->user_id, lots);
	lots_free(state);
	return enough;
}

/*
 * expire_credits(p_limit integer) returns integer
 */
Datum
expire_credits(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	StatementResult *outer;
	List	   *users;
	ListCell   *cell;
	int			count = 0;

	caller_enter_service(&caller);
	argument_int32(&args, check_int32(fcinfo, 0, "p_limit", 1, MAX_CLEANUP));
	users = statement_execute_uuids(&select_users_to_sweep, &args);
	foreach(cell, users)
	{
		/*
		 * An account that another session has locked is skipped: that session
		 * sweeps it before it takes credit, or the next call does.  Each user
		 * has a scope of its own, which frees what was used for him.
		 */
		outer = statements_begin();
		if (ledger_try_lock_account(lfirst(cell)))
			count += expiry_sweep(lfirst(cell));
		statements_end(outer);
	}
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}
