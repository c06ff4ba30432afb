/*
 * lots.c
 *	  Which credit expires when: lots, computed from the ledger.
 *
 * Every entry that adds credit is a lot.  Credit is consumed in burn-down order:
 * from the lot that expires first, lots that never expire last, and of two with
 * the same expiry the older one first.  A hold allocates credit of one or more
 * lots; when it closes, the allocations return to the lots that they came from.
 * What is taken while all lots are empty is a deficit, which is covered by the
 * next credit that is added.
 *
 * None of this is stored.  The entries of a user are replayed in their order, so
 * that there is no second set of numbers that could disagree with the ledger.
 * What is stored is a list of the lots with an expiry that may have something
 * left (studio_engine.expiring_credits); a user without a row there costs one
 * index lookup.  A row whose lot has expired is removed when the lot is empty,
 * and held_back while an open hold has an allocation from it.
 *
 * Pitfall: the replay never asks for the time.  Whether credit had expired when
 * an entry was made is not derived from timestamps; what expired is an entry of
 * its own, which names its lot.  So expired lots must be swept before credit is
 * taken, or the replay would take it from them.
 *
 * Lock order: none of its own; the caller has locked the account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/pairingheap.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "ledger.h"
#include "lots.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(expire_credits);

typedef struct Lot
{
	pg_uuid_t	id;				/* of its entry; the hash key, first */
	pairingheap_node node;		/* in the heap while something is left */
	int64		entry_no;
	TimestampTz expires_at;		/* DT_NOEND: never */
	int64		left;
	int64		held;			/* taken by holds that are open */
} Lot;

/* the part of a hold that came from one lot; lot NULL: part of the deficit */
typedef struct Allocation
{
	struct Allocation *next;
	Lot		   *lot;
	int64		amount;
} Allocation;

typedef struct OpenHold
{
	pg_uuid_t	id;				/* of its entry; the hash key, first */
	Allocation *allocations;	/* in the order in which they were made */
	Allocation **tail;
} OpenHold;

/* the lots and open holds of a user, after the entries replayed so far */
typedef struct LotState
{
	MemoryContext context;
	HTAB	   *lots;
	HTAB	   *holds;
	pairingheap *available;		/* lots with something left, in burn-down
								 * order */
	int64		deficit;		/* what was taken while all lots were empty */
} LotState;

/* expire_lots() is running: its entries fire triggers, which must not sweep too */
static bool sweeping = false;

static Statement insert_expiring = {
	.text = "INSERT INTO studio_engine.expiring_credits (entry_id, user_id, expires_at) VALUES ($1, $2, $3)"
	" ON CONFLICT (entry_id) DO UPDATE SET held_back = false",
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, TIMESTAMPTZOID}
};
static Statement delete_expiring = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.expiring_credits e WHERE e.entry_id = $1",
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
	.text = "SELECT 1 FROM studio_engine.expiring_credits e WHERE e.user_id = $1 LIMIT 1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_users_to_sweep = {
	.text = "SELECT DISTINCT d.user_id FROM ("
	"  SELECT e.user_id FROM studio_engine.expiring_credits e"
	"   WHERE e.expires_at <= pg_catalog.clock_timestamp() AND NOT e.held_back"
	"   ORDER BY e.expires_at LIMIT $1) d ORDER BY d.user_id",
	.nargs = 1,.argtypes = {INT4OID}
};
static Statement select_entries = {
	.force_index_plan = true,
	.text = "SELECT l.id, l.entry_no, l.type, l.amount, l.expires_at, l.reverses"
	"  FROM @extschema@.credit_ledger l WHERE l.user_id = $1 ORDER BY l.entry_no",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* ------------------------------------------------------------------------
 * The replay
 * ------------------------------------------------------------------------ */

/* Compare two lots for the heap, whose first node is the greatest: the lot to consume next. */
static int
compare_lots(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const Lot  *one = pairingheap_const_container(Lot, node, a);
	const Lot  *two = pairingheap_const_container(Lot, node, b);

	if (one->expires_at != two->expires_at)
		return one->expires_at < two->expires_at ? 1 : -1;
	return one->entry_no < two->entry_no ? 1 : -1;
}

/* Create a hash table of entries that begin with their uuid. */
static HTAB *
create_hash(MemoryContext context, const char *name, Size entrysize)
{
	HASHCTL		control = {
		.keysize = sizeof(pg_uuid_t),.entrysize = entrysize,.hcxt = context
	};

	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Add new or returned credit to a lot; a deficit is covered first. */
static void
add_to_lot(LotState *state, Lot *lot, int64 amount)
{
	int64		covered = Min(state->deficit, amount);

	state->deficit -= covered;
	amount -= covered;
	if (amount == 0)
		return;
	if (lot->left == 0)
		pairingheap_add(state->available, &lot->node);
	lot->left += amount;
}

/* Take at most amount from one lot; returns what was taken. */
static int64
deduct_from_lot(LotState *state, Lot *lot, int64 amount)
{
	int64		deducted = Min(lot->left, amount);

	if (deducted == 0)
		return 0;
	lot->left -= deducted;
	if (lot->left == 0)
		pairingheap_remove(state->available, &lot->node);
	return deducted;
}

/* Add credit of a lot, or a part of the deficit, to what a hold has taken. */
static void
add_allocation(LotState *state, OpenHold *hold, Lot *lot, int64 amount)
{
	Allocation *allocation = MemoryContextAlloc(state->context, sizeof(Allocation));

	allocation->lot = lot;
	allocation->amount = amount;
	allocation->next = NULL;
	*hold->tail = allocation;
	hold->tail = &allocation->next;
	if (lot)
		lot->held += amount;
}

/* Take credit in burn-down order, as allocations of a hold or, hold being NULL, for good. */
static void
consume(LotState *state, int64 amount, OpenHold *hold)
{
	while (amount > 0 && !pairingheap_is_empty(state->available))
	{
		Lot		   *lot = pairingheap_container(Lot, node, pairingheap_first(state->available));
		int64		deducted = deduct_from_lot(state, lot, amount);

		if (hold)
			add_allocation(state, hold, lot, deducted);
		amount -= deducted;
	}
	if (amount > 0 && hold)
		add_allocation(state, hold, NULL, amount);
	state->deficit += amount;
}

/* The lot of an entry; NULL if id is NULL, or the entry is not a lot. */
static Lot *
find_lot(LotState *state, const pg_uuid_t *id)
{
	return id ? hash_search(state->lots, id, HASH_FIND, NULL) : NULL;
}

/* Add an empty lot. */
static Lot *
add_lot(LotState *state, const pg_uuid_t *id, int64 entry_no, TimestampTz expires_at)
{
	Lot		   *lot = hash_search(state->lots, id, HASH_ENTER, NULL);

	lot->entry_no = entry_no;
	lot->expires_at = expires_at;
	lot->left = 0;
	lot->held = 0;
	return lot;
}

/* Take credit as a hold that can be closed. */
static void
open_hold(LotState *state, const pg_uuid_t *id, int64 amount)
{
	OpenHold   *hold = hash_search(state->holds, id, HASH_ENTER, NULL);

	hold->allocations = NULL;
	hold->tail = &hold->allocations;
	consume(state, amount, hold);
}

/* Return the allocations of a hold to their lots; false if no such hold is open. */
static bool
close_hold(LotState *state, const pg_uuid_t *id)
{
	OpenHold   *hold = id ? hash_search(state->holds, id, HASH_FIND, NULL) : NULL;

	if (hold == NULL)
		return false;
	for (Allocation *allocation = hold->allocations; allocation; allocation = allocation->next)
	{
		/* the deficit may have been covered by credit added since */
		if (allocation->lot == NULL)
			state->deficit -= Min(state->deficit, allocation->amount);
		else
		{
			allocation->lot->held -= allocation->amount;
			add_to_lot(state, allocation->lot, allocation->amount);
		}
	}
	hash_search(state->holds, id, HASH_REMOVE, NULL);
	return true;
}

/* Replay one entry; all entries before it have been replayed. */
static void
apply_entry(LotState *state, const pg_uuid_t *id, int64 entry_no, const char *type,
			int64 amount, TimestampTz expires_at, const pg_uuid_t *reverses)
{
	bool		is_reserve = strcmp(type, "reserve") == 0;
	Lot		   *lot = find_lot(state, reverses);

	if (amount < 0 && is_reserve)
		open_hold(state, id, -amount);
	else if (amount < 0)
	{
		/* an expiry or a reversal takes from the lot that it names first */
		int64		deducted = lot ? deduct_from_lot(state, lot, -amount) : 0;

		consume(state, -amount - deducted, NULL);
	}
	else if (!is_reserve || !close_hold(state, reverses))
		add_to_lot(state, lot ? lot : add_lot(state, id, entry_no, expires_at), amount);
}

/* Replay a row of select_entries. */
static void
apply_row(HeapTuple row, TupleDesc desc, void *arg)
{
	LotState   *state = arg;
	bool		isnull;
	bool		no_reverses;
	pg_uuid_t  *id = DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	int64		entry_no = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	char	   *type = SPI_getvalue(row, desc, 3);
	int32		amount = DatumGetInt32(SPI_getbinval(row, desc, 4, &isnull));
	Datum		expires_at = SPI_getbinval(row, desc, 5, &isnull);
	Datum		reverses = SPI_getbinval(row, desc, 6, &no_reverses);

	apply_entry(state, id, entry_no, type, amount,
				isnull ? DT_NOEND : DatumGetTimestampTz(expires_at),
				no_reverses ? NULL : DatumGetUUIDP(reverses));
	pfree(type);
}

/* Replay the ledger of a user; the result is freed by free_lot_state(). */
static LotState *
replay_entries(const pg_uuid_t *user_id, bool read_only)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "lots of a user", ALLOCSET_DEFAULT_SIZES);
	LotState   *state = MemoryContextAllocZero(context, sizeof(LotState));
	MemoryContext old = MemoryContextSwitchTo(context);
	Arguments	args = NO_ARGUMENTS;

	state->context = context;
	state->lots = create_hash(context, "lots", sizeof(Lot));
	state->holds = create_hash(context, "open holds", sizeof(OpenHold));
	state->available = pairingheap_allocate(compare_lots, NULL);
	MemoryContextSwitchTo(old);

	argument_uuid(&args, user_id);
	if (read_only)
		statement_execute_read_only_each(&select_entries, &args, apply_row, state);
	else
		statement_execute_each(&select_entries, &args, apply_row, state);
	return state;
}

static void
free_lot_state(LotState *state)
{
	MemoryContextDelete(state->context);
}

/* ------------------------------------------------------------------------
 * Expiry
 * ------------------------------------------------------------------------ */

/*
 * Put a lot with an expiry on the list of lots to sweep.  Called when the lot is
 * made, before its entry is stored, and again when credit returns to it, which
 * resets held_back.
 */
void
lots_track_expiry(const pg_uuid_t *entry_id, const pg_uuid_t *user_id, TimestampTz expires_at)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, entry_id);
	argument_uuid(&args, user_id);
	argument_time(&args, &expires_at);
	statement_execute(&insert_expiring, &args);
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
summarize(const LotState *state, TimestampTz now, TimestampTz horizon)
{
	LotSummary	summary = {.next_expiry = DT_NOEND};
	HASH_SEQ_STATUS status;
	Lot		   *lot;

	hash_seq_init(&status, state->lots);
	while ((lot = hash_seq_search(&status)) != NULL)
	{
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
lots_summarize(const pg_uuid_t *user_id, TimestampTz horizon)
{
	Arguments	args = NO_ARGUMENTS;
	LotSummary	summary = {.next_expiry = DT_NOEND};
	LotState   *state;

	argument_uuid(&args, user_id);
	if (statement_execute_read_only(&select_any_expiring, &args) > 0)
	{
		state = replay_entries(user_id, true);
		summary = summarize(state, GetCurrentTimestamp(), horizon);
		free_lot_state(state);
	}
	return summary;
}

/* Sort lots in burn-down order. */
static int
compare_expiry(const ListCell *a, const ListCell *b)
{
	return -compare_lots(&((Lot *) lfirst(a))->node, &((Lot *) lfirst(b))->node, NULL);
}

/* The lots of these ids, in burn-down order. */
static List *
find_lots(LotState *state, List *ids)
{
	List	   *lots = NIL;
	ListCell   *cell;

	foreach(cell, ids)
	{
		Lot		   *lot = find_lot(state, lfirst(cell));

		if (lot)
			lots = lappend(lots, lot);
	}
	list_sort(lots, compare_expiry);
	return lots;
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
	state = replay_entries(user_id, false);
	expired = total_left(find_lots(state, ids));
	free_lot_state(state);
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
	argument_uuid(&args, &lot->id);
	statement_execute(lot->held > 0 ? &set_held_back : &delete_expiring, &args);
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
lots_sweep(const pg_uuid_t *user_id)
{
	List	   *ids = expired_lot_ids(user_id);
	LotState   *state;
	int			count;

	if (ids == NIL || sweeping)
		return 0;
	state = replay_entries(user_id, false);
	count = expire_lots(user_id, find_lots(state, ids));
	free_lot_state(state);
	return count;
}

/*
 * Read a locked account again and expire what has expired of it, so that its
 * balance is what can be spent.
 */
void
lots_sweep_account(Account *account)
{
	ledger_reread(account);
	if (account->has_expired && lots_sweep(&account->user_id) > 0)
		ledger_reread(account);
}

/*
 * Prepare to take amount from an account: expire what has expired, if what is
 * left then is enough.  Returns false, with nothing written, if it is not: the
 * caller refuses without leaving expire entries in the ledger.  The lots that
 * have expired are read once, so that the answer and the entries agree.
 */
bool
lots_prepare_spending(const Account *account, int64 amount)
{
	List	   *ids;
	List	   *lots;
	LotState   *state;
	bool		enough;

	if (!account->has_expired || sweeping)
		return account->balance >= amount;

	ids = expired_lot_ids(&account->user_id);
	state = replay_entries(&account->user_id, false);
	lots = find_lots(state, ids);
	enough = account->balance - total_left(lots) >= amount;
	if (enough)
		(void) expire_lots(&account->user_id, lots);
	free_lot_state(state);
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
			count += lots_sweep(lfirst(cell));
		statements_end(outer);
	}
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}
