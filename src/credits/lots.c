/*
 * lots.c
 *	  Lots, computed from the ledger: which credit is left, and which is used next.
 *
 * Every entry that adds credit is a lot.  Credit is consumed in burn order: from
 * the lot with the smallest priority, of these from the one that expires first,
 * lots that never expire last, and of two with the same expiry the older one
 * first.  A hold allocates credit of one or more lots; when it closes, the
 * allocations return to the lots that they came from.  What is taken while all
 * lots are empty is a deficit, which is covered by the next credit that is added.
 *
 * None of this is stored as such.  The entries of a user are replayed in their
 * order, so that no second set of numbers decides.  Since a ledger grows without
 * end, the result of a replay is kept now and then (studio_engine.lot_checkpoints)
 * and the next replay begins there.  verify_credit_ledger() replays all entries
 * and compares.
 *
 * A checkpoint of very many lots would not be shorter than the ledger.  In it the
 * lots of one priority that never expire are one pool: which of them is used first
 * makes no difference to what expires.  A replay that needs one of them begins with
 * the first entry.
 *
 * Pitfall: the replay never asks for the time.  Whether credit had expired when
 * an entry was made is not derived from timestamps; what expired is an entry of
 * its own, which names its lot.  So expired lots must be swept before credit is
 * taken, or the replay would take it from them.
 *
 * Lock order: none of its own; the caller has locked the account, or only reads.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/pairingheap.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "caller.h"
#include "checks.h"
#include "lots.h"
#include "statements.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(get_credit_lots);

/* a replay that is so long is kept as a checkpoint */
#define CHECKPOINT_ENTRIES 1000
/* a checkpoint with more lots has pools */
#define CHECKPOINT_LOTS 200
/* so many lots are listed, whatever a user has */
#define LISTED_LOTS 2000

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
	int64		entry_no;
	Allocation *allocations;	/* in the order in which they were made */
	Allocation **tail;
} OpenHold;

struct LotState
{
	MemoryContext context;
	HTAB	   *lots;
	HTAB	   *holds;
	pairingheap *available;		/* lots with something left, in burn order */
	int64		deficit;		/* what was taken while all lots were empty */
	int64		entry_no;		/* the last entry that was replayed */
	int64		replayed;		/* how many entries were */
	bool		has_pools;		/* in its checkpoint, lots that never expire
								 * are pools */
	bool		lacks_lot;		/* an entry names a lot that may be in a pool */

	/* of an audit */
	int64		stop_at;		/* the number of an entry; 0: none */
	char	   *stopped;		/* the state after that entry, as text */
	List	   *problems;		/* of LotProblem */
};

/* an entry as it is replayed */
typedef struct ReplayedEntry
{
	const pg_uuid_t *id;
	int64		entry_no;
	const char *type;
	int64		amount;
	TimestampTz expires_at;
	int32		priority;
	const pg_uuid_t *reverses;
	bool		takes_exactly;	/* an expiry, a void or a transfer: never more
								 * than is left in its lot */
	bool		is_transfer;
	int64		returns_to_no;	/* of the lot to which it returns credit; 0:
								 * it does not */
	TimestampTz returns_to_expires_at;
	int32		returns_to_priority;
} ReplayedEntry;

/*
 * The lot to which an entry returns credit is looked up for entries that reinstate
 * a payment: a checkpoint does not have lots that are empty.  It is joined by its id
 * alone, since by its user as well the planner may read all entries for each of them.
 */
static Statement select_entries = {
	.force_index_plan = true,
	.text = "SELECT l.id, l.entry_no, l.type, l.amount, l.expires_at, COALESCE(l.priority, 0), l.reverses,"
	"       l.amount < 0 AND l.reverses IS NOT NULL AND (l.type IN ('expire', 'grant') OR l.transfer_id IS NOT NULL OR " IS_VOID("l") "),"
	"       l.transfer_id IS NOT NULL,"
	"       CASE WHEN p.user_id = l.user_id AND p.amount > 0 THEN p.entry_no END, p.expires_at, COALESCE(p.priority, 0)"
	"  FROM @extschema@.credit_ledger l"
	"  LEFT JOIN @extschema@.credit_ledger p"
	"    ON p.id = CASE WHEN l.amount > 0 AND l.type <> 'reserve' THEN l.reverses END"
	" WHERE l.user_id = $1 AND l.entry_no > $2 ORDER BY l.entry_no",
	.nargs = 2,.argtypes = {UUIDOID, INT8OID}
};
static Statement select_checkpoint = {
	.force_index_plan = true,
	.text = "SELECT c.entry_no, (c.state ->> 'deficit')::pg_catalog.int8, c.state ->> 'pools' IS NOT NULL"
	"  FROM studio_engine.lot_checkpoints c WHERE c.user_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_checkpoint_lots = {
	.force_index_plan = true,
	.text = "SELECT l.id, l.entry_no, l.expires_at, COALESCE(l.priority, 0), (e.lot ->> 1)::pg_catalog.int8"
	"  FROM studio_engine.lot_checkpoints c, pg_catalog.jsonb_array_elements(c.state -> 'lots') e (lot)"
	"  JOIN @extschema@.credit_ledger l ON l.id = (e.lot ->> 0)::pg_catalog.uuid"
	" WHERE c.user_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_checkpoint_pools = {
	.force_index_plan = true,
	.text = "SELECT (e.pool ->> 0)::pg_catalog.int4, (e.pool ->> 1)::pg_catalog.int8"
	"  FROM studio_engine.lot_checkpoints c, pg_catalog.jsonb_array_elements(c.state -> 'pools') e (pool)"
	" WHERE c.user_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_checkpoint_holds = {
	.force_index_plan = true,
	.text = "SELECT (h.hold ->> 0)::pg_catalog.uuid, (h.hold ->> 1)::pg_catalog.int8,"
	"       (a.allocation ->> 0)::pg_catalog.uuid, (a.allocation ->> 1)::pg_catalog.int8"
	"  FROM studio_engine.lot_checkpoints c,"
	"       pg_catalog.jsonb_array_elements(c.state -> 'holds') WITH ORDINALITY h (hold, nth),"
	"       pg_catalog.jsonb_array_elements(h.hold -> 2) WITH ORDINALITY a (allocation, nth)"
	" WHERE c.user_id = $1 ORDER BY h.nth, a.nth",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement upsert_checkpoint = {
	.text = "INSERT INTO studio_engine.lot_checkpoints (user_id, entry_no, state) VALUES ($1, $2, $3::pg_catalog.jsonb)"
	" ON CONFLICT (user_id) DO UPDATE SET entry_no = EXCLUDED.entry_no, state = EXCLUDED.state",
	.nargs = 3,.argtypes = {UUIDOID, INT8OID, TEXTOID}
};
static Statement insert_empty_checkpoint = {
	.text = "INSERT INTO studio_engine.lot_checkpoints (user_id, entry_no, state)"
	" VALUES ($1, 0, '{\"deficit\": 0, \"lots\": [], \"holds\": []}') ON CONFLICT (user_id) DO NOTHING",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement compare_checkpoint = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM studio_engine.lot_checkpoints c WHERE c.user_id = $1 AND c.state = $2::pg_catalog.jsonb",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_lot = {
	.force_index_plan = true,
	.text = "SELECT l.type, l.amount, pg_catalog.left(l.note, 1000), l.created_at FROM @extschema@.credit_ledger l WHERE l.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* ------------------------------------------------------------------------
 * The replay
 * ------------------------------------------------------------------------ */

/* Compare two lots: negative if the first is consumed first. */
static int
compare_burn_order(const Lot *one, const Lot *two)
{
	if (one->priority != two->priority)
		return one->priority < two->priority ? -1 : 1;
	if (one->expires_at != two->expires_at)
		return one->expires_at < two->expires_at ? -1 : 1;
	return one->entry_no < two->entry_no ? -1 : 1;
}

/* The same for the heap, whose first node is the greatest. */
static int
compare_nodes(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	return -compare_burn_order(pairingheap_const_container(Lot, node, a), pairingheap_const_container(Lot, node, b));
}

/*
 * The same for list_sort(), of lists of lots.
 */
int
lots_compare(const ListCell *a, const ListCell *b)
{
	return compare_burn_order(lfirst(a), lfirst(b));
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

/* Take credit in burn order, as allocations of a hold or, hold being NULL, for good. */
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

/*
 * Return the lot of an entry; NULL if id is NULL, the entry is not a lot, or a
 * checkpoint has left it out because it is empty.
 */
Lot *
lots_find(LotState *state, const pg_uuid_t *id)
{
	return id ? hash_search(state->lots, id, HASH_FIND, NULL) : NULL;
}

/* Add an empty lot. */
static Lot *
add_lot(LotState *state, const pg_uuid_t *id, int64 entry_no, int32 priority, TimestampTz expires_at)
{
	Lot		   *lot = hash_search(state->lots, id, HASH_ENTER, NULL);

	lot->entry_no = entry_no;
	lot->priority = priority;
	lot->expires_at = expires_at;
	lot->left = 0;
	lot->held = 0;
	return lot;
}

/* Add a hold without allocations. */
static OpenHold *
add_hold(LotState *state, const pg_uuid_t *id, int64 entry_no)
{
	OpenHold   *hold = hash_search(state->holds, id, HASH_ENTER, NULL);

	hold->entry_no = entry_no;
	hold->allocations = NULL;
	hold->tail = &hold->allocations;
	return hold;
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

/*
 * Return what an open hold has taken to its lots, as if it were closed.
 */
void
lots_return_hold(LotState *state, const pg_uuid_t *id)
{
	(void) close_hold(state, id);
}

/* The lot to which an entry that adds credit adds it. */
static Lot *
lot_to_fill(LotState *state, const ReplayedEntry *entry)
{
	Lot		   *lot = lots_find(state, entry->reverses);

	if (lot)
		return lot;
	if (entry->returns_to_no > 0)
		return add_lot(state, entry->reverses, entry->returns_to_no, entry->returns_to_priority, entry->returns_to_expires_at);
	return add_lot(state, entry->id, entry->entry_no, entry->priority, entry->expires_at);
}

/* Note that an entry takes more from its lot than is left. */
static void
add_problem(LotState *state, const ReplayedEntry *entry, int64 left)
{
	MemoryContext old = MemoryContextSwitchTo(state->context);
	LotProblem *problem = palloc(sizeof(LotProblem));

	problem->entry_id = *entry->id;
	problem->problem = entry->is_transfer ? "transfer above the lot" :
		strcmp(entry->type, "expire") == 0 ? "expiry above what is left of the lot" : "void above the lot";
	problem->left = left;
	problem->taken = -entry->amount;
	state->problems = lappend(state->problems, problem);
	MemoryContextSwitchTo(old);
}

/* Replay an entry that takes credit for good: from the lot that it names first. */
static void
take_for_good(LotState *state, const ReplayedEntry *entry)
{
	Lot		   *lot = lots_find(state, entry->reverses);
	int64		deducted = lot ? deduct_from_lot(state, lot, -entry->amount) : 0;

	if (lot == NULL && entry->reverses && state->has_pools)
		state->lacks_lot = true;
	if (entry->takes_exactly && deducted != -entry->amount)
		add_problem(state, entry, deducted);
	consume(state, -entry->amount - deducted, NULL);
}

/* Replay one entry; all entries before it have been replayed. */
static void
apply_entry(LotState *state, const ReplayedEntry *entry)
{
	bool		is_reserve = strcmp(entry->type, "reserve") == 0;

	if (entry->amount < 0 && is_reserve)
		consume(state, -entry->amount, add_hold(state, entry->id, entry->entry_no));
	else if (entry->amount < 0)
		take_for_good(state, entry);
	else if (!is_reserve || !close_hold(state, entry->reverses))
		add_to_lot(state, lot_to_fill(state, entry), entry->amount);
	state->entry_no = entry->entry_no;
	state->replayed++;
}

/* An optional expiry of a row. */
static TimestampTz
row_expiry(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		expires_at = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(expires_at);
}

static char *state_text(LotState *state, bool pools);

/* Replay a row of select_entries. */
static void
apply_row(HeapTuple row, TupleDesc desc, void *arg)
{
	LotState   *state = arg;
	bool		isnull;
	bool		no_reverses,
				no_lot;
	char	   *type = SPI_getvalue(row, desc, 3);
	ReplayedEntry entry = {.type = type};
	Datum		reverses;

	entry.id = DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	entry.entry_no = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	entry.amount = DatumGetInt32(SPI_getbinval(row, desc, 4, &isnull));
	entry.expires_at = row_expiry(row, desc, 5);
	entry.priority = DatumGetInt32(SPI_getbinval(row, desc, 6, &isnull));
	reverses = SPI_getbinval(row, desc, 7, &no_reverses);
	entry.reverses = no_reverses ? NULL : DatumGetUUIDP(reverses);
	entry.takes_exactly = DatumGetBool(SPI_getbinval(row, desc, 8, &isnull));
	entry.is_transfer = DatumGetBool(SPI_getbinval(row, desc, 9, &isnull));
	entry.returns_to_no = DatumGetInt64(SPI_getbinval(row, desc, 10, &no_lot));
	if (no_lot)
		entry.returns_to_no = 0;
	entry.returns_to_expires_at = row_expiry(row, desc, 11);
	entry.returns_to_priority = DatumGetInt32(SPI_getbinval(row, desc, 12, &isnull));

	if (state->stop_at > 0 && entry.entry_no > state->stop_at && state->stopped == NULL)
		state->stopped = state_text(state, state->has_pools);
	apply_entry(state, &entry);
	pfree(type);
}

/* A state without lots, in a memory context of its own. */
static LotState *
create_state(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "lots of a user", ALLOCSET_DEFAULT_SIZES);
	LotState   *state = MemoryContextAllocZero(context, sizeof(LotState));
	MemoryContext old = MemoryContextSwitchTo(context);

	state->context = context;
	state->lots = create_hash(context, "lots", sizeof(Lot));
	state->holds = create_hash(context, "open holds", sizeof(OpenHold));
	state->available = pairingheap_allocate(compare_nodes, NULL);
	MemoryContextSwitchTo(old);
	return state;
}

/*
 * Free the result of a replay, and its lots.
 */
void
lots_free(LotState *state)
{
	MemoryContextDelete(state->context);
}

/*
 * Return the lots with credit that is left or held, in burn order.
 */
List *
lots_in_burn_order(LotState *state)
{
	List	   *lots = NIL;
	HASH_SEQ_STATUS status;
	Lot		   *lot;

	hash_seq_init(&status, state->lots);
	while ((lot = hash_seq_search(&status)) != NULL)
	{
		if (lot->left > 0 || lot->held > 0)
			lots = lappend(lots, lot);
	}
	list_sort(lots, lots_compare);
	return lots;
}

/* ------------------------------------------------------------------------
 * Checkpoints
 * ------------------------------------------------------------------------ */

/* The id that stands for the pool of a priority; no entry has it. */
static pg_uuid_t
pool_id(int32 priority)
{
	pg_uuid_t	id = {0};

	memcpy(id.data, &priority, sizeof(priority));
	return id;
}

/* Return true if a lot is a part of a pool, where there are pools, or is one. */
static bool
is_pooled(const Lot *lot)
{
	return TIMESTAMP_IS_NOEND(lot->expires_at);
}

/* The id by which a checkpoint names the lot of an allocation. */
static pg_uuid_t
allocated_id(const Allocation *allocation, bool pools)
{
	return pools && is_pooled(allocation->lot) ? pool_id(allocation->lot->priority) : allocation->lot->id;
}

/* Return true if a checkpoint has two allocations as one. */
static bool
is_same_pool(const Allocation *one, const Allocation *two, bool pools)
{
	return pools && two && one->lot && two->lot && is_pooled(one->lot) && is_pooled(two->lot) &&
		one->lot->priority == two->lot->priority;
}

/* Append an open hold of a checkpoint: id, entry number, and its allocations. */
static void
append_hold(StringInfo text, const OpenHold *hold, bool pools)
{
	int64		amount = 0;
	const char *separator = "";
	pg_uuid_t	id;

	appendStringInfo(text, "[\"%s\", " INT64_FORMAT ", [", uuid_text(&hold->id), hold->entry_no);
	for (Allocation *allocation = hold->allocations; allocation; allocation = allocation->next)
	{
		amount += allocation->amount;
		if (is_same_pool(allocation, allocation->next, pools))
			continue;
		appendStringInfoString(text, separator);
		separator = ", ";
		if (allocation->lot)
		{
			id = allocated_id(allocation, pools);
			appendStringInfo(text, "[\"%s\", " INT64_FORMAT "]", uuid_text(&id), amount);
		}
		else
			appendStringInfo(text, "[null, " INT64_FORMAT "]", amount);
		amount = 0;
	}
	appendStringInfoString(text, "]]");
}

/* Compare two open holds by their age. */
static int
compare_holds(const ListCell *a, const ListCell *b)
{
	return ((OpenHold *) lfirst(a))->entry_no < ((OpenHold *) lfirst(b))->entry_no ? -1 : 1;
}

/* The open holds, the oldest first. */
static List *
open_holds(LotState *state)
{
	List	   *holds = NIL;
	HASH_SEQ_STATUS status;
	OpenHold   *hold;

	hash_seq_init(&status, state->holds);
	while ((hold = hash_seq_search(&status)) != NULL)
		holds = lappend(holds, hold);
	list_sort(holds, compare_holds);
	return holds;
}

/* Append the lots of a checkpoint that are not in pools: id, and what is left. */
static void
append_lots(StringInfo text, List *lots, bool pools)
{
	const char *separator = "";
	ListCell   *cell;

	foreach(cell, lots)
	{
		Lot		   *lot = lfirst(cell);

		if (pools && is_pooled(lot))
			continue;
		appendStringInfo(text, "%s[\"%s\", " INT64_FORMAT "]", separator, uuid_text(&lot->id), lot->left);
		separator = ", ";
	}
}

/* Append the pools of a checkpoint: priority, and what is left.  In burn order the
 * lots of one pool come together. */
static void
append_pools(StringInfo text, List *lots)
{
	const char *separator = "";
	const Lot  *last = NULL;
	int64		left = 0;
	ListCell   *cell;

	foreach(cell, lots)
	{
		Lot		   *lot = lfirst(cell);

		if (!is_pooled(lot))
			continue;
		if (last && last->priority != lot->priority)
		{
			appendStringInfo(text, "%s[%d, " INT64_FORMAT "]", separator, last->priority, left);
			separator = ", ";
			left = 0;
		}
		left += lot->left;
		last = lot;
	}
	if (last)
		appendStringInfo(text, "%s[%d, " INT64_FORMAT "]", separator, last->priority, left);
}

/* The state as the text of the jsonb of a checkpoint; the same for the same state. */
static char *
state_text(LotState *state, bool pools)
{
	MemoryContext old = MemoryContextSwitchTo(state->context);
	StringInfoData text;
	List	   *lots = lots_in_burn_order(state);
	const char *separator = "";
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfo(&text, "{\"deficit\": " INT64_FORMAT ", \"lots\": [", state->deficit);
	append_lots(&text, lots, pools);
	if (pools)
	{
		appendStringInfoString(&text, "], \"pools\": [");
		append_pools(&text, lots);
	}
	appendStringInfoString(&text, "], \"holds\": [");
	foreach(cell, open_holds(state))
	{
		appendStringInfoString(&text, separator);
		append_hold(&text, lfirst(cell), pools);
		separator = ", ";
	}
	appendStringInfoString(&text, "]}");
	MemoryContextSwitchTo(old);
	return text.data;
}

/* Add a row of select_checkpoint_lots to the state. */
static void
load_lot(HeapTuple row, TupleDesc desc, void *arg)
{
	LotState   *state = arg;
	bool		isnull;
	pg_uuid_t  *id = DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	int64		entry_no = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	int32		priority = DatumGetInt32(SPI_getbinval(row, desc, 4, &isnull));
	Lot		   *lot = add_lot(state, id, entry_no, priority, row_expiry(row, desc, 3));

	lot->left = DatumGetInt64(SPI_getbinval(row, desc, 5, &isnull));
	if (lot->left > 0)
		pairingheap_add(state->available, &lot->node);
}

/* Add a row of select_checkpoint_holds to the state, which has all lots. */
static void
load_allocation(HeapTuple row, TupleDesc desc, void *arg)
{
	LotState   *state = arg;
	bool		isnull;
	bool		no_lot;
	pg_uuid_t  *id = DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	int64		entry_no = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	Datum		lot_id = SPI_getbinval(row, desc, 3, &no_lot);
	int64		amount = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull));
	OpenHold   *hold = hash_search(state->holds, id, HASH_FIND, NULL);

	if (hold == NULL)
		hold = add_hold(state, id, entry_no);
	add_allocation(state, hold, no_lot ? NULL : lots_find(state, DatumGetUUIDP(lot_id)), amount);
}

/* Add a row of select_checkpoint_pools to the state, as a lot that is older than all entries. */
static void
load_pool(HeapTuple row, TupleDesc desc, void *arg)
{
	LotState   *state = arg;
	bool		isnull;
	int32		priority = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
	pg_uuid_t	id = pool_id(priority);
	Lot		   *lot = add_lot(state, &id, 0, priority, DT_NOEND);

	lot->left = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	if (lot->left > 0)
		pairingheap_add(state->available, &lot->node);
}

/* Begin with the checkpoint of the user, if there is one. */
static void
load_checkpoint(LotState *state, const Arguments *user, bool read_only)
{
	void		(*each_row) (Statement *, const Arguments *, RowFunction, void *) =
	read_only ? statement_execute_read_only_each : statement_execute_each;

	if ((read_only ? statement_execute_read_only : statement_execute) (&select_checkpoint, user) == 0)
		return;
	state->entry_no = result_int64(1);
	state->deficit = result_int64(2);
	state->has_pools = result_bool(3);
	each_row(&select_checkpoint_lots, user, load_lot, state);
	if (state->has_pools)
		each_row(&select_checkpoint_pools, user, load_pool, state);
	each_row(&select_checkpoint_holds, user, load_allocation, state);
}

/*
 * Keep the state for the next replay.  One that is hardly shorter than the ledger
 * is left out; then a checkpoint of no entries, if there is none, tells that a
 * replay here was of no use.
 */
static void
save_checkpoint(LotState *state, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	List	   *lots = lots_in_burn_order(state);
	int64		size = hash_get_num_entries(state->holds);
	bool		pools = state->has_pools || list_length(lots) > CHECKPOINT_LOTS;
	ListCell   *cell;

	foreach(cell, lots)
		size += pools && is_pooled(lfirst(cell)) ? 0 : 1;
	argument_uuid(&args, user_id);
	if (size > state->entry_no / 4)
	{
		statement_execute(&insert_empty_checkpoint, &args);
		return;
	}
	argument_add(&args, Int64GetDatum(state->entry_no), false);
	argument_text(&args, state_text(state, pools));
	statement_execute(&upsert_checkpoint, &args);
}

/*
 * Return true if the entries of a user, of which this is the last, are to be
 * replayed so that their checkpoint is written: after some entries each.
 */
bool
lots_checkpoint_is_due(int64 entry_no)
{
	return entry_no % CHECKPOINT_ENTRIES == 0;
}

/*
 * Return true if the ledger of a user, of which this is the last entry, is long
 * and has no checkpoint.
 */
bool
lots_lack_checkpoint(const pg_uuid_t *user_id, int64 entry_no)
{
	Arguments	args = NO_ARGUMENTS;

	if (entry_no < CHECKPOINT_ENTRIES)
		return false;
	argument_uuid(&args, user_id);
	return statement_execute(&select_checkpoint, &args) == 0;
}

/* Replay the entries of a user, from his checkpoint on if there is one and it may be used. */
static LotState *
replay_from(const pg_uuid_t *user_id, bool from_checkpoint, bool read_only)
{
	LotState   *state = create_state();
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	if (from_checkpoint)
		load_checkpoint(state, &args, read_only);
	argument_add(&args, Int64GetDatum(state->entry_no), false);
	if (read_only)
		statement_execute_read_only_each(&select_entries, &args, apply_row, state);
	else
		statement_execute_each(&select_entries, &args, apply_row, state);
	return state;
}

/* Replay the ledger of a user; from its first entry where each lot is wanted and the
 * checkpoint has pools, or an entry after it names one of their lots. */
static LotState *
replay(const pg_uuid_t *user_id, bool each_lot, bool read_only)
{
	LotState   *state = replay_from(user_id, true, read_only);

	if (state->lacks_lot || (each_lot && state->has_pools))
	{
		lots_free(state);
		state = replay_from(user_id, false, read_only);
	}
	return state;
}

/*
 * Replay the ledger of a user, whose account is locked; after a long replay the
 * next one begins here.  The result has the lots that expire, and each other one
 * only where each_lot is set.  It is freed by lots_free().
 */
LotState *
lots_replay(const pg_uuid_t *user_id, bool each_lot)
{
	LotState   *state = replay(user_id, each_lot, false);

	if (state->replayed >= CHECKPOINT_ENTRIES)
		save_checkpoint(state, user_id);
	return state;
}

/*
 * Return what is left of one lot of a user, whose account is locked.
 */
int64
lots_left(const pg_uuid_t *user_id, const pg_uuid_t *lot_id)
{
	LotState   *state = lots_replay(user_id, true);
	Lot		   *lot = lots_find(state, lot_id);
	int64		left = lot ? lot->left : 0;

	lots_free(state);
	return left;
}

/*
 * Do lots_replay() with the snapshot of the calling query, without writing.
 */
LotState *
lots_replay_read_only(const pg_uuid_t *user_id, bool each_lot)
{
	return replay(user_id, each_lot, true);
}

/* Add a problem if the checkpoint differs from the entries. */
static void
audit_checkpoint(LotState *state, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	LotProblem *problem;

	argument_uuid(&args, user_id);
	argument_text(&args, state->stopped ? state->stopped : state_text(state, state->has_pools));
	if (state->stop_at <= state->entry_no && statement_execute_read_only(&compare_checkpoint, &args) > 0)
		return;
	problem = palloc0(sizeof(LotProblem));
	problem->problem = "checkpoint of the lots";
	state->problems = lappend(state->problems, problem);
}

/*
 * Replay all entries of a user with the snapshot of the calling query, and return
 * what is wrong: entries that take more from a lot than is left, and a checkpoint
 * that differs, which names no entry.
 */
List *
lots_audit(const pg_uuid_t *user_id)
{
	LotState   *state = create_state();
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	if (statement_execute_read_only(&select_checkpoint, &args) > 0)
	{
		state->stop_at = result_int64(1);
		state->has_pools = result_bool(3);
	}
	argument_add(&args, Int64GetDatum(0), false);
	statement_execute_read_only_each(&select_entries, &args, apply_row, state);
	if (state->stop_at > 0)
		audit_checkpoint(state, user_id);
	return state->problems;
}

/* ------------------------------------------------------------------------
 * Listing
 * ------------------------------------------------------------------------ */

/* Add a lot to the result of get_credit_lots(). */
static void
put_lot(ReturnSetInfo *rsinfo, const Lot *lot)
{
	Arguments	args = NO_ARGUMENTS;
	Datum		values[9];
	bool		nulls[9] = {false};

	argument_uuid(&args, &lot->id);
	if (statement_execute_read_only(&select_lot, &args) == 0)
		return;
	values[0] = UUIDPGetDatum(&lot->id);
	values[1] = result_datum(1);
	values[2] = result_datum(2);
	values[3] = Int32GetDatum((int32) lot->left);
	values[4] = Int32GetDatum((int32) lot->held);
	values[5] = Int32GetDatum(lot->priority);
	values[6] = TimestampTzGetDatum(lot->expires_at);
	nulls[6] = TIMESTAMP_IS_NOEND(lot->expires_at);
	nulls[7] = result_isnull(3);
	values[7] = nulls[7] ? (Datum) 0 : result_datum(3);
	nulls[8] = result_isnull(4);
	values[8] = nulls[8] ? (Datum) 0 : result_datum(4);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * get_credit_lots(p_user_id uuid) returns setof (entry_id, type, amount,
 * remaining, held, priority, expires_at, note, created_at)
 */
Datum
get_credit_lots(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	LotState   *state;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_user(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	caller_require_self(&caller, &user_id);
	state = lots_replay_read_only(&user_id, true);
	foreach(cell, lots_in_burn_order(state))
	{
		StatementResult *outer;

		if (foreach_current_index(cell) == LISTED_LOTS)
			break;
		/* a scope of its own frees what it used */
		outer = statements_begin();
		put_lot((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell));
		statements_end(outer);
	}
	lots_free(state);
	caller_leave(&caller);

	return (Datum) 0;
}
