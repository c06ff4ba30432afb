/*
 * rows.h
 *	  The fast path: rows of the busiest tables, read and written without SQL.
 *
 * A file that owns such a table describes it in a RowTable, and declares beside
 * the text of a statement the fast path function that has the same effect:
 *
 *		static Statement lock_job = {
 *			.text = "SELECT ... FROM @extschema@.jobs j WHERE j.id = $1 FOR NO KEY UPDATE",
 *			.fast_path = lock_job_fast_path,
 *			...
 *		};
 *
 * The function opens the table with rows_open(), or with rows_open_for_write()
 * and writes with rows_insert(), rows_update() or rows_delete().  If one of these
 * returns false, it returns false too, before it has written anything, and the
 * statement is executed.
 * Many statements are simple enough for a RowOperation, which needs neither text
 * nor function (row_operations.h).
 */
#ifndef STUDIO_ROWS_H
#define STUDIO_ROWS_H

#include "access/skey.h"
#include "executor/tuptable.h"
#include "nodes/lockoptions.h"
#include "nodes/nodes.h"
#include "storage/lockdefs.h"
#include "utils/resowner.h"
#include "utils/uuid.h"

#include "layouts.h"
#include "triggers.h"

/* an index that stays open until rows_close() */
typedef struct KeptIndex
{
	Oid			oid;
	LOCKMODE	mode;
	Relation	rel;
} KeptIndex;

#define ROWS_KEPT_INDEXES 16

/* an open table, and its current tuple in a slot */
typedef struct Row
{
	RowTable   *table;
	RowLayout  *layout;
	Relation	rel;
	TupleTableSlot *slot;
	bool		concurrently_updated;	/* since the snapshot; the slot has
										 * the newest version */
	bool		snapshot_pushed;	/* by rows_open() */
	struct KeptRow *kept;		/* it is a copy of this; NULL: it is not kept */
	LOCKMODE	mode;			/* the strongest that it was opened with */
	ResourceOwner owner;		/* of what is open */
	int			nopen;
	KeptIndex	open_indexes[ROWS_KEPT_INDEXES];
} Row;

#define KEPT_TABLES 8

/* a table that stays open */
typedef struct KeptRow
{
	Row			row;
	bool		in_use;
} KeptRow;

/* the tables that a function keeps open, so that its statements open each of them once */
typedef struct KeptRows
{
	MemoryContext context;
	int			n;
	KeptRow		tables[KEPT_TABLES];
} KeptRows;

typedef enum RowLock
{
	ROW_LOCKED,
	ROW_GONE,
	ROW_BUSY,					/* with LockWaitSkip */
	ROW_CHANGED					/* since it was found, of an unlocked write */
} RowLock;

typedef struct RowScan
{
	Row		   *row;
	Relation	index;
	IndexScanDesc scan;
	ScanKeyData members[ROWS_MAX_KEYS]; /* of the row comparison */
} RowScan;

extern bool direct_rows;		/* GUC */
extern bool rows_read_only;		/* rows_open() takes no snapshot */

extern bool rows_fast_path_allowed(bool read_only);

extern void rows_keep_open(KeptRows *scope);
extern void rows_close_kept(KeptRows *scope);

extern bool rows_open(RowTable *table, LOCKMODE mode, Row *row);
extern bool rows_open_for_write(RowTable *table, CmdType command, Row *row);
extern void rows_close(Row *row);

extern void rows_scan(Row *row, int lookup, int nkeys, const Datum *keys, RowScan *scan);
extern void rows_scan_from(Row *row, int lookup, int nequal, const Datum *from, RowScan *scan);
extern bool rows_next(RowScan *scan);
extern void rows_scan_end(RowScan *scan);

extern bool rows_find(Row *row, const Datum *keys);
extern bool rows_find_hinted(Row *row);
extern bool rows_match(Row *row, const Datum *keys);
extern bool rows_have_pending_fk_checks(const Row *row);
extern RowLock rows_lock(Row *row, LockTupleMode mode, LockWaitPolicy policy);
extern bool rows_lock_key(Row *row, const Datum *keys, LockTupleMode mode, LockWaitPolicy policy);

extern Datum rows_get(Row *row, AttrNumber column, bool *isnull);
extern pg_uuid_t rows_uuid(Row *row, AttrNumber column);
extern bool rows_bool(Row *row, AttrNumber column);
extern int32 rows_int32(Row *row, AttrNumber column);
extern int64 rows_int64(Row *row, AttrNumber column);
extern char *rows_label(Row *row, AttrNumber column);
extern Datum rows_enum(Row *row, AttrNumber column, const char *label);
extern HeapTuple rows_tuple(Row *row);

extern bool rows_insert(Row *row, Datum *values, bool *nulls);
extern bool rows_update(Row *row, RowEdit *edit);
extern bool rows_try_update(Row *row, RowEdit *edit, RowLock *result);
extern void rows_delete(Row *row);
extern RowLock rows_try_delete(Row *row);

#endif							/* STUDIO_ROWS_H */
