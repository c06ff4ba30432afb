/*
 * rows.c
 *	  The fast path: index scans, row locks, inserts, updates and deletes as the
 *	  executor does them, without a plan, a portal and triggers.
 *
 * The fast path replaces the triggers of a table by callbacks.  So a table is
 * eligible only while it is as it was installed (layouts.c): the same columns
 * and triggers, supported indexes, no rules, no inheritance, no FORCE ROW LEVEL
 * SECURITY; otherwise the statement is executed.  NOT NULL and CHECK constraints
 * are checked for every row, and unique indexes raise their usual error.
 *
 * Pitfall: a function here must do by itself what the executor does for a
 * statement.  A row is found with the active snapshot, and may have been updated
 * since: at READ COMMITTED rows_lock() locks the newest version, which need not
 * match the search any more (Row.concurrently_updated); at the higher levels it
 * raises 40001.  Foreign keys are not checked: a function that writes a
 * referring column has locked the parent row.
 *
 * Lock order: the caller's.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "layouts.h"
#include "restore.h"
#include "rows.h"

bool		direct_rows = true;
bool		rows_read_only = false;

/* ------------------------------------------------------------------------
 * Opening
 * ------------------------------------------------------------------------ */

/*
 * Return true if the fast path may be used.  Not for writes in a read-only
 * transaction, so that the statement raises the usual error, and not for writes
 * while triggers are disabled or skipped, since the fast path replaces them.
 */
bool
rows_fast_path_allowed(bool read_only)
{
	return direct_rows && !IsInParallelMode() &&
		(read_only ||
		 (!XactReadOnly && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA && !restoring()));
}

/*
 * The innermost scope, and where it is valid.  After an error its memory is gone, which
 * the others tell: a subtransaction that was rolled back does not come back.
 */
typedef struct Keeping
{
	KeptRows   *scope;
	LocalTransactionId transaction;
	SubTransactionId subxact;
	ResourceOwner owner;
} Keeping;

static Keeping keeping;

/*
 * Keep the tables that are opened from now on open until rows_close_kept(), with the
 * indexes that they use.  An error before that needs no call: what was kept belongs to
 * the resource owner.
 */
void
rows_keep_open(KeptRows *scope)
{
	scope->context = CurrentMemoryContext;
	scope->n = 0;
	keeping.scope = scope;
	keeping.transaction = compat_local_transaction();
	keeping.subxact = GetCurrentSubTransactionId();
	keeping.owner = CurrentResourceOwner;
}

/* Return true if tables are kept open that are opened now. */
static bool
is_keeping(void)
{
	return keeping.scope != NULL && !rows_read_only && keeping.owner == CurrentResourceOwner &&
		keeping.subxact == GetCurrentSubTransactionId() && keeping.transaction == compat_local_transaction();
}

/* Find a table that the innermost scope keeps; NULL if it does not. */
static KeptRow *
find_kept(const RowTable *table)
{
	for (int i = 0; i < keeping.scope->n; i++)
	{
		if (keeping.scope->tables[i].row.table == table)
			return &keeping.scope->tables[i];
	}
	return NULL;
}

/* Release what an open table holds. */
static void
release(Row *row)
{
	ExecDropSingleTupleTableSlot(row->slot);
	for (int i = 0; i < row->nopen; i++)
		index_close(row->open_indexes[i].rel, row->open_indexes[i].mode);
	relation_close(row->rel, NoLock);
}

/*
 * Close what has been kept open since rows_keep_open().  The outer scope, if there is
 * one, is not gone on with: its function ends soon.
 */
void
rows_close_kept(KeptRows *scope)
{
	for (int i = 0; i < scope->n; i++)
		release(&scope->tables[i].row);
	keeping.scope = NULL;
}

/* Push the snapshot of a statement. */
static void
push_snapshot(Row *row)
{
	row->snapshot_pushed = !rows_read_only;
	if (row->snapshot_pushed)
		PushActiveSnapshot(GetTransactionSnapshot());
}

/* Open a table that is not kept. */
static bool
open_table(RowTable *table, LOCKMODE mode, Row *row)
{
	row->rel = layout_open_table(table, mode);
	if (row->rel == NULL)
		return false;
	if (table->layout == NULL)
	{
		relation_close(row->rel, NoLock);
		return false;
	}
	/* after the lock: a transaction that held it may have rewritten the table */
	push_snapshot(row);
	row->table = table;
	row->layout = table->layout;
	row->slot = MakeSingleTupleTableSlot(RelationGetDescr(row->rel), table_slot_callbacks(row->rel));
	row->concurrently_updated = false;
	row->owner = CurrentResourceOwner;
	row->nopen = 0;
	row->kept = NULL;
	row->mode = mode;
	return true;
}

/* Open a table that stays open. */
static bool
open_to_keep(RowTable *table, LOCKMODE mode, Row *row)
{
	KeptRows   *scope = keeping.scope;
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	bool		opened = open_table(table, mode, row);

	if (opened && scope->n < KEPT_TABLES)
	{
		row->kept = &scope->tables[scope->n++];
		row->kept->row = *row;
		row->kept->in_use = true;
	}
	MemoryContextSwitchTo(old);
	return opened;
}

/* Lock a table that is kept open, unless that is done; false if it is not as it was. */
static bool
lock_kept(KeptRow *kept, LOCKMODE mode)
{
	/*
	 * the modes in question are AccessShareLock, RowShareLock,
	 * RowExclusiveLock
	 */
	if (mode > kept->row.mode)
	{
		LockRelationOid(RelationGetRelid(kept->row.rel), mode);
		kept->row.mode = mode;
	}
	return layout_is_current(kept->row.table);
}

/*
 * Open a table, with the lock and the snapshot that the statement would take.
 * Returns false if the table is not eligible.
 */
bool
rows_open(RowTable *table, LOCKMODE mode, Row *row)
{
	KeptRow    *kept;

	if (!is_keeping())
		return open_table(table, mode, row);
	kept = find_kept(table);
	if (kept == NULL)
		return open_to_keep(table, mode, row);
	if (kept->in_use || !lock_kept(kept, mode))
		return open_table(table, mode, row);
	kept->in_use = true;
	*row = kept->row;
	row->kept = kept;
	row->concurrently_updated = false;
	push_snapshot(row);
	return true;
}

/*
 * Open a table for what a statement of this kind writes.  The executor refuses an
 * UPDATE or DELETE without a replica identity before it looks for rows and fires
 * triggers, and so does this.
 */
bool
rows_open_for_write(RowTable *table, CmdType command, Row *row)
{
	if (!rows_open(table, RowExclusiveLock, row))
		return false;
	CheckCmdReplicaIdentity(row->rel, command);
	return true;
}

/*
 * Close a table, unless it is kept.  Several are closed in the reverse order of
 * opening, since each may have pushed a snapshot.  The lock on the table is held until
 * the transaction ends.
 */
void
rows_close(Row *row)
{
	if (row->kept)
	{
		ExecClearTuple(row->slot);
		row->kept->row = *row;
		row->kept->in_use = false;
	}
	else
		release(row);
	if (row->snapshot_pushed)
		PopActiveSnapshot();
}

/*
 * Open an index, which stays open until rows_close(), so that what finds or writes
 * many rows opens it once.  It may not outlive the subtransaction that opens it:
 * in another one than that of rows_open() it does not stay open.
 */
static Relation
open_index(Row *row, Oid oid, LOCKMODE mode)
{
	Relation	rel;
	KeptIndex  *kept;

	for (int i = 0; i < row->nopen; i++)
	{
		if (row->open_indexes[i].oid == oid && row->open_indexes[i].mode == mode)
			return row->open_indexes[i].rel;
	}
	rel = index_open(oid, mode);
	if (CurrentResourceOwner != row->owner || row->nopen == ROWS_KEPT_INDEXES)
		return rel;
	kept = &row->open_indexes[row->nopen++];
	kept->oid = oid;
	kept->mode = mode;
	kept->rel = rel;
	return rel;
}

/* Close an index, unless it stays open. */
static void
close_index(const Row *row, Relation rel, LOCKMODE mode)
{
	for (int i = 0; i < row->nopen; i++)
	{
		if (row->open_indexes[i].rel == rel && row->open_indexes[i].mode == mode)
			return;
	}
	index_close(rel, mode);
}

/* ------------------------------------------------------------------------
 * Finding rows
 * ------------------------------------------------------------------------ */

/* Open the index of a scan. */
static void
open_scan_index(Row *row, int lookup, RowScan *scan)
{
	scan->row = row;
	scan->index = open_index(row, row->layout->indexes[row->layout->lookups[lookup]].oid, AccessShareLock);
}

/* Begin an index scan, as rows_scan() does, with scan keys. */
static void
begin_scan(RowScan *scan, int nkeys, ScanKey keys)
{
	Row		   *row = scan->row;

	scan->scan = compat_index_beginscan(row->rel, scan->index, GetActiveSnapshot(), nkeys);
	index_rescan(scan->scan, keys, nkeys, NULL, 0);
}

/* Set scan keys for the first nkeys columns of the index, which equal the keys. */
static void
set_equal_keys(const RowScan *scan, int lookup, int nkeys, const Datum *keys, ScanKey skeys)
{
	for (int i = 0; i < nkeys; i++)
		ScanKeyEntryInitializeWithInfo(&skeys[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
									   scan->index->rd_indcollation[i],
									   &scan->row->layout->equals[lookup][i], keys[i]);
}

/*
 * Begin a scan of the rows whose first nkeys index columns equal the keys, in
 * the order of the index, with the active snapshot.
 */
void
rows_scan(Row *row, int lookup, int nkeys, const Datum *keys, RowScan *scan)
{
	ScanKeyData skeys[ROWS_MAX_KEYS];

	open_scan_index(row, lookup, scan);
	set_equal_keys(scan, lookup, nkeys, keys, skeys);
	begin_scan(scan, nkeys, skeys);
}

/*
 * Begin a scan of the rows whose first nequal index columns equal the first keys,
 * and whose other index columns, compared as a row, are not less than the other
 * keys: "a = $1 AND (b, c) >= ($2, $3)".
 */
void
rows_scan_from(Row *row, int lookup, int nequal, const Datum *from, RowScan *scan)
{
	const RowLookup *by = &row->table->lookups[lookup];
	ScanKeyData skeys[ROWS_MAX_KEYS];
	ScanKey		header = &skeys[nequal];

	open_scan_index(row, lookup, scan);
	set_equal_keys(scan, lookup, nequal, from, skeys);
	for (int i = nequal; i < by->nkeys; i++)
	{
		ScanKeyInit(&scan->members[i], i + 1, BTGreaterEqualStrategyNumber, by->compares[i], from[i]);
		scan->members[i].sk_flags = SK_ROW_MEMBER | (i == by->nkeys - 1 ? SK_ROW_END : 0);
	}
	memset(header, 0, sizeof(ScanKeyData));
	header->sk_flags = SK_ROW_HEADER;
	header->sk_attno = nequal + 1;
	header->sk_strategy = BTGreaterEqualStrategyNumber;
	header->sk_argument = PointerGetDatum(&scan->members[nequal]);
	begin_scan(scan, nequal + 1, skeys);
}

/*
 * Make the next row of a scan the current tuple; false when there is none.
 */
bool
rows_next(RowScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	scan->row->concurrently_updated = false;
	return index_getnext_slot(scan->scan, ForwardScanDirection, scan->row->slot);
}

/*
 * End a scan.  The current tuple stays valid until rows_close().
 */
void
rows_scan_end(RowScan *scan)
{
	index_endscan(scan->scan);
	close_index(scan->row, scan->index, AccessShareLock);
}

/*
 * Return true if the current tuple has this primary key.
 */
bool
rows_match(Row *row, const Datum *keys)
{
	const RowLookup *by = &row->table->lookups[BY_KEY];

	for (int i = 0; i < by->nkeys; i++)
	{
		bool		isnull;
		Datum		value = rows_get(row, by->columns[i], &isnull);

		if (isnull || !DatumGetBool(FunctionCall2(&row->layout->equals[BY_KEY][i], value, keys[i])))
			return false;
	}
	return true;
}

/*
 * Save the TID of the current tuple for fetch_hinted_row().  It is valid in this
 * subtransaction only, which holds the lock on the table: without the lock, the
 * page may have been truncated.
 */
static void
set_hint(Row *row, ItemPointer tid)
{
	row->table->hint.transaction = compat_local_transaction();
	row->table->hint.subxact = GetCurrentSubTransactionId();
	row->table->hint.tid = *tid;
}

/*
 * Fetch the row by the saved TID; false if that is another row, or not visible.
 * It saves an index scan where several statements of one function access the
 * row that it has locked.
 */
static bool
fetch_hinted_row(Row *row, const Datum *keys)
{
	return rows_find_hinted(row) && rows_match(row, keys);
}

/*
 * Make the row that this session found or wrote last the current tuple; false if
 * there is none, or the active snapshot does not see it.  The caller checks which
 * row it is.
 */
bool
rows_find_hinted(Row *row)
{
	RowHint    *hint = &row->table->hint;

	row->concurrently_updated = false;
	return hint->transaction == compat_local_transaction() && hint->subxact == GetCurrentSubTransactionId() &&
		table_tuple_fetch_row_version(row->rel, &hint->tid, GetActiveSnapshot(), row->slot);
}

/*
 * Make the row with this primary key the current tuple, as the active snapshot
 * sees it; false if there is none.
 */
bool
rows_find(Row *row, const Datum *keys)
{
	RowScan		scan;
	bool		found;

	row->concurrently_updated = false;
	if (fetch_hinted_row(row, keys))
		return true;
	rows_scan(row, BY_KEY, row->table->lookups[BY_KEY].nkeys, keys, &scan);
	found = rows_next(&scan);
	rows_scan_end(&scan);
	if (found)
		set_hint(row, &row->slot->tts_tid);
	return found;
}

/* Raise the executor's error for a row that was changed since the snapshot. */
pg_noreturn static void
fail_to_serialize(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update")));
}

/*
 * Lock the current tuple, which becomes the newest version of its row.  If that
 * is another version (Row.concurrently_updated), the caller has to check again
 * that it matches.  Raises 40001 where the transaction's snapshot is too old.
 */
RowLock
rows_lock(Row *row, LockTupleMode mode, LockWaitPolicy policy)
{
	ItemPointerData tid = row->slot->tts_tid;
	uint8		flags = TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS;
	TM_FailureData failure;
	TM_Result	result;

	if (!IsolationUsesXactSnapshot())
		flags |= TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
	result = table_tuple_lock(row->rel, &tid, GetActiveSnapshot(), row->slot, GetCurrentCommandId(true),
							  mode, policy, flags, &failure);
	switch (result)
	{
		case TM_Ok:
			row->concurrently_updated = failure.traversed;
			if (row->concurrently_updated)
				set_hint(row, &row->slot->tts_tid);
			return ROW_LOCKED;
		case TM_WouldBlock:
			return ROW_BUSY;
		case TM_SelfModified:
			return ROW_GONE;
		case TM_Updated:
			fail_to_serialize();
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				fail_to_serialize();
			return ROW_GONE;
		case TM_Invisible:
		case TM_BeingModified:
			break;
	}
	elog(ERROR, "unexpected result %d of locking a row", result);
}

/*
 * Lock the current tuple, which was found by its primary key.  Returns false if it
 * is deleted, or skipped, or its newest version has another key.
 */
bool
rows_lock_key(Row *row, const Datum *keys, LockTupleMode mode, LockWaitPolicy policy)
{
	return rows_lock(row, mode, policy) == ROW_LOCKED &&
		(!row->concurrently_updated || rows_match(row, keys));
}

/*
 * Return true if the current tuple may have pending foreign key checks: it was
 * written in this transaction, and an outer statement has the table open.  Such
 * a check skips a row version that was updated since, and relies on the trigger
 * of that update, which only a statement fires.  A table without installed foreign
 * keys has none that could be pending, or is not eligible; nor is one whose
 * parents set defaults, which are checked when no statement has it open any more.
 */
bool
rows_have_pending_fk_checks(const Row *row)
{
	HeapTuple	tuple = ExecFetchSlotHeapTuple(row->slot, false, NULL);

	return row->table->nparents > 0 && row->rel->rd_refcnt > 1 &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

/* ------------------------------------------------------------------------
 * The current tuple
 * ------------------------------------------------------------------------ */

/*
 * Return the value of a column.
 */
Datum
rows_get(Row *row, AttrNumber column, bool *isnull)
{
	return slot_getattr(row->slot, column, isnull);
}

/* Return the value of a column that is not null. */
static Datum
get_not_null(Row *row, AttrNumber column)
{
	bool		isnull;
	Datum		value = slot_getattr(row->slot, column, &isnull);

	if (isnull)
		elog(ERROR, "unexpected NULL in column %d of a row", column);
	return value;
}

/*
 * Return the value of a column that is not null, by its type.
 */
pg_uuid_t
rows_uuid(Row *row, AttrNumber column)
{
	return *DatumGetUUIDP(get_not_null(row, column));
}

bool
rows_bool(Row *row, AttrNumber column)
{
	return DatumGetBool(get_not_null(row, column));
}

int32
rows_int32(Row *row, AttrNumber column)
{
	return DatumGetInt32(get_not_null(row, column));
}

int64
rows_int64(Row *row, AttrNumber column)
{
	return DatumGetInt64(get_not_null(row, column));
}

/*
 * Return the value of an enum column that has this label.
 */
Datum
rows_enum(Row *row, AttrNumber column, const char *label)
{
	Oid			type = TupleDescAttr(RelationGetDescr(row->rel), column - 1)->atttypid;
	Oid			value = layout_enum_value(type, label);

	if (!OidIsValid(value))
		elog(ERROR, "there is no \"%s\" in an enum type", label);
	return ObjectIdGetDatum(value);
}

/*
 * Return the label in an enum column that is not null.
 */
char *
rows_label(Row *row, AttrNumber column)
{
	return DatumGetCString(DirectFunctionCall1(enum_out, get_not_null(row, column)));
}

/*
 * Return the current tuple; valid until another one is fetched into its slot.
 */
HeapTuple
rows_tuple(Row *row)
{
	return ExecFetchSlotHeapTuple(row->slot, false, NULL);
}

/* ------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------ */

/* Raise the executor's error for the constraint that a row violates. */
static void
report_violation(Relation rel, TupleTableSlot *slot)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);

	InitResultRelInfo(result, rel, 0, NULL, 0);
	ExecConstraints(result, slot, estate);
	FreeExecutorState(estate);
}

static bool
not_nulls_hold(Relation rel, TupleTableSlot *slot)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 1; i <= desc->natts; i++)
	{
		if (TupleDescAttr(desc, i - 1)->attnotnull && slot_attisnull(slot, i))
			return false;
	}
	return true;
}

static bool
checks_hold(const RowLayout *layout)
{
	for (int i = 0; i < layout->nchecks; i++)
	{
		if (!ExecCheck(layout->checks[i], layout->econtext))
			return false;
	}
	return true;
}

/*
 * Return true if an update does not change the indexed columns: the hint that
 * index_insert() takes to avoid page splits by duplicates.
 */
static bool
indexed_columns_are_unchanged(Row *row, const IndexInfo *info, TupleTableSlot *new)
{
	for (int i = 0; i < info->ii_NumIndexAttrs; i++)
	{
		AttrNumber	column = info->ii_IndexAttrNumbers[i];
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(row->rel), column - 1);
		bool		was_null,
					is_null;
		Datum		was = slot_getattr(row->slot, column, &was_null);
		Datum		is = slot_getattr(new, column, &is_null);

		if (was_null != is_null || (!was_null && !datumIsEqual(was, is, att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

/*
 * Insert the entry of a stored row into one index.  The IndexInfo is a copy,
 * since what an access method caches in it is dropped after each row.
 */
static void
insert_index_entry(Row *row, const RowIndex *place, TupleTableSlot *slot, bool update)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	IndexInfo	info = *place->info;
	Relation	index = open_index(row, place->oid, RowExclusiveLock);

	info.ii_Context = CurrentMemoryContext;
	FormIndexDatum(&info, slot, NULL, values, nulls);
	index_insert(index, values, nulls, &slot->tts_tid, row->rel,
				 info.ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
				 update && indexed_columns_are_unchanged(row, &info, slot), &info);
	compat_index_insert_cleanup(index, &info);
	close_index(row, index, RowExclusiveLock);
}

/* the indexes that get an entry */
typedef enum IndexesToWrite
{
	ALL_INDEXES,
	SUMMARIZING_INDEXES			/* after a HOT update */
} IndexesToWrite;

/* Insert the entries of a stored row into the indexes whose predicate it satisfies. */
static void
insert_index_entries(Row *row, TupleTableSlot *slot, bool update, IndexesToWrite which)
{
	RowLayout  *layout = row->layout;

	layout->econtext->ecxt_scantuple = slot;
	for (int i = 0; i < layout->nindexes; i++)
	{
		const RowIndex *index = &layout->indexes[i];

		if (which == SUMMARIZING_INDEXES && !INDEX_IS_SUMMARIZING(index->info))
			continue;
		if (index->predicate == NULL || ExecQual(index->predicate, layout->econtext))
			insert_index_entry(row, index, slot, update);
	}
}

/*
 * Return a slot with a row that is to be stored; raises an error if the row
 * violates a constraint.  An owned tuple is freed with the slot.
 */
static TupleTableSlot *
make_checked_slot(Row *row, HeapTuple new, bool owned)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(row->rel), &TTSOpsHeapTuple);

	ExecStoreHeapTuple(new, slot, owned);
	slot->tts_tableOid = RelationGetRelid(row->rel);
	row->layout->econtext->ecxt_scantuple = slot;
	if (!not_nulls_hold(row->rel, slot) || !checks_hold(row->layout))
		report_violation(row->rel, slot);
	return slot;
}

/* Forget the row that predicates and checks were evaluated for. */
static void
reset_expressions(Row *row)
{
	row->layout->econtext->ecxt_scantuple = NULL;
	ResetExprContext(row->layout->econtext);
}

/* Return true if the callbacks of a trigger run for this change. */
static bool
fires(const RowTrigger *trigger, const RowChange *change)
{
	return trigger->column == 0 ||
		!row_same_column(RelationGetDescr(change->rel), change->old, change->new, trigger->column);
}

/* Return true if a table is kept open, which it is only if it is eligible. */
static bool
is_known_eligible(const RowTable *table)
{
	return is_keeping() && find_kept(table) != NULL && layout_is_current(table);
}

/*
 * Return true if the tables that the callbacks write to are eligible.  Otherwise
 * the callbacks would execute statements, whose triggers would see another
 * pg_trigger_depth() than those of a statement on this table.
 */
static bool
writes_are_eligible(const RowTable *table, const RowChange *change)
{
	ListCell   *cell;

	foreach(cell, table->triggers)
	{
		const RowTrigger *trigger = lfirst(cell);

		if (trigger->writes[0] == NULL || !fires(trigger, change))
			continue;
		for (int i = 0; i < ROW_TRIGGER_TABLES && trigger->writes[i] != NULL; i++)
		{
			if (!is_known_eligible(trigger->writes[i]) && !layout_is_eligible(trigger->writes[i]))
				return false;
		}
	}
	return true;
}

/* Run the callbacks in place of the BEFORE triggers. */
static void
run_before_callbacks(const RowLayout *layout, RowChange *change)
{
	ListCell   *cell;

	foreach(cell, layout->before)
	{
		const RowTrigger *trigger = lfirst(cell);

		if (fires(trigger, change))
			trigger->before(change, trigger->arg);
	}
}

/* Run the callbacks in place of the AFTER triggers. */
static void
run_after_callbacks(const RowLayout *layout, RowChange *change)
{
	ListCell   *cell;

	foreach(cell, layout->after)
	{
		const RowTrigger *trigger = lfirst(cell);

		if (fires(trigger, change))
			trigger->after(change, trigger->arg);
	}
}

/* Form a tuple of the values; added and dropped columns are NULL. */
static HeapTuple
form_tuple(Row *row, const Datum *values, const bool *nulls)
{
	TupleDesc	desc = RelationGetDescr(row->rel);
	Datum	   *all_values = palloc0(desc->natts * sizeof(Datum));
	bool	   *all_nulls = palloc(desc->natts * sizeof(bool));

	memset(all_nulls, true, desc->natts * sizeof(bool));
	memcpy(all_values, values, row->table->ncolumns * sizeof(Datum));
	memcpy(all_nulls, nulls, row->table->ncolumns * sizeof(bool));
	return heap_form_tuple(desc, all_values, all_nulls);
}

/*
 * Insert a row and run the callbacks.  Returns false, with nothing written, if
 * that takes a statement.  The caller passes values for all columns, also for
 * those with a default; BEFORE callbacks may change them.
 */
bool
rows_insert(Row *row, Datum *values, bool *nulls)
{
	RowChange	change = {.table = row->table,.rel = row->rel,.values = values,.nulls = nulls};
	TupleTableSlot *slot;

	if (!writes_are_eligible(row->table, &change))
		return false;
	run_before_callbacks(row->layout, &change);
	change.new = form_tuple(row, values, nulls);
	slot = make_checked_slot(row, change.new, true);
	table_tuple_insert(row->rel, slot, GetCurrentCommandId(true), 0, NULL);
	insert_index_entries(row, slot, false, ALL_INDEXES);
	reset_expressions(row);
	run_after_callbacks(row->layout, &change);
	ExecDropSingleTupleTableSlot(slot);
	return true;
}

/*
 * Return what became of a write to a row that is not locked.  Raises 40001 where
 * the transaction's snapshot is too old.
 */
static RowLock
result_of_unlocked_write(TM_Result result)
{
	switch (result)
	{
		case TM_Ok:
			return ROW_LOCKED;
		case TM_BeingModified:
			return ROW_BUSY;
		case TM_SelfModified:
			return ROW_GONE;
		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				fail_to_serialize();
			return result == TM_Updated ? ROW_CHANGED : ROW_GONE;
		case TM_Invisible:
		case TM_WouldBlock:
			break;
	}
	elog(ERROR, "unexpected result %d of writing a row", result);
}

/* Store the new version of the current tuple, and its index entries. */
static TM_Result
write_new_version(Row *row, TupleTableSlot *slot)
{
	TM_FailureData failure;
	LockTupleMode mode;
	UpdatedIndexes indexes;
	TM_Result	result = compat_table_tuple_update(row->rel, &row->slot->tts_tid, slot, GetCurrentCommandId(true),
												   GetActiveSnapshot(), &failure, &mode, &indexes);

	if (result != TM_Ok)
		return result;
	if (UPDATED_INDEXES(indexes))
		insert_index_entries(row, slot, true, SUMMARIZING_ONLY(indexes) ? SUMMARIZING_INDEXES : ALL_INDEXES);
	set_hint(row, &slot->tts_tid);
	return TM_Ok;
}

/*
 * Update the current tuple, which need not be locked, and run the callbacks.
 * Returns false, with nothing written, if that takes a statement.  Otherwise
 * *result says whether the row was written (ROW_LOCKED) or, with nothing written,
 * ROW_CHANGED or ROW_GONE since it was found.  It waits for another transaction
 * that is writing the row.  The old version stays the current tuple.
 */
bool
rows_try_update(Row *row, RowEdit *edit, RowLock *result)
{
	RowChange	change = {.table = row->table,.rel = row->rel,.old = edit->row,.edit = edit};
	TupleTableSlot *slot;

	change.new = row_edit_apply(edit);
	if (!writes_are_eligible(row->table, &change))
		return false;
	run_before_callbacks(row->layout, &change);
	slot = make_checked_slot(row, change.new, change.new != change.old);
	*result = result_of_unlocked_write(write_new_version(row, slot));
	reset_expressions(row);
	if (*result == ROW_LOCKED)
		run_after_callbacks(row->layout, &change);
	ExecDropSingleTupleTableSlot(slot);
	return true;
}

/*
 * Update the current tuple, which is locked, as rows_try_update() does.
 */
bool
rows_update(Row *row, RowEdit *edit)
{
	RowLock		result = ROW_LOCKED;

	if (!rows_try_update(row, edit, &result))
		return false;
	if (result != ROW_LOCKED)
		elog(ERROR, "a locked row was changed");
	return true;
}

static TM_Result
delete_current(Row *row, bool wait)
{
	TM_FailureData failure;

	return compat_table_tuple_delete(row->rel, &row->slot->tts_tid, GetCurrentCommandId(true),
									 GetActiveSnapshot(), wait, &failure);
}

/*
 * Delete the current tuple, which is locked.  No callbacks are run, as no table
 * whose rows the fast path deletes has registered one for DELETE.
 */
void
rows_delete(Row *row)
{
	if (delete_current(row, true) != TM_Ok)
		elog(ERROR, "a locked row was changed");
}

/*
 * Delete the current tuple, which is not locked, without waiting: ROW_LOCKED if
 * it was deleted; otherwise ROW_BUSY, ROW_CHANGED or ROW_GONE, with nothing written.
 */
RowLock
rows_try_delete(Row *row)
{
	return result_of_unlocked_write(delete_current(row, false));
}
