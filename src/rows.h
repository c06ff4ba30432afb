/*
 * rows.h
 *	  Rows of our hottest tables, read and written without SQL.
 *
 * A domain file describes its table, and beside the text of a statement gives
 * the function that does the same to rows:
 *
 *		static Statement lock_job = {
 *			.text = "SELECT ... FROM @extschema@.jobs j WHERE j.id = $1 FOR NO KEY UPDATE",
 *			.direct = lock_job_directly,
 *			...
 *		};
 *
 * The function opens the table with rows_open() and gives up, before it has
 * written anything, where that says no; then the statement runs.
 */
#ifndef STUDIO_ROWS_H
#define STUDIO_ROWS_H

#include "access/genam.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "nodes/lockoptions.h"
#include "storage/itemptr.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/uuid.h"

#include "compat.h"
#include "relations.h"

/* the lookup by the primary key comes first: rows_find() */
#define BY_KEY 0

#define ROWS_MAX_KEYS 5
#define ROWS_MAX_LOOKUPS 3

/* a column; of type ANYENUMOID any enum will do */
typedef struct RowColumn
{
	const char *name;
	Oid			type;
} RowColumn;

/* a column that inserts leave to its default, and the function that this calls */
typedef struct RowDefault
{
	AttrNumber	column;
	Oid			function;
} RowDefault;

/*
 * A column that refers to the key of another table.  It is never written, or
 * whoever writes it has locked the row there.
 */
typedef struct RowParent
{
	AttrNumber	column;
	const char *schema;			/* NULL for that of the extension */
	const char *table;
	const char *key;
} RowParent;

/*
 * A trigger whose work the direct functions of the table do, as
 * pg_get_triggerdef() shows it after its name; % is the schema of the extension.
 */
typedef struct RowTrigger
{
	const char *name;
	const char *definition;
} RowTrigger;

/*
 * An index by which rows are found, and the functions that compare its keys.
 * It holds all rows, or those that have a label in an enum column.
 */
typedef struct RowLookup
{
	const char *name;
	AttrNumber	enum_column;
	const char *label;			/* NULL: all */
	int			nkeys;
	AttrNumber	columns[ROWS_MAX_KEYS];
	RegProcedure equals[ROWS_MAX_KEYS];
	RegProcedure compares[ROWS_MAX_KEYS];	/* for rows_scan_from() only */
} RowLookup;

typedef struct RowLayout RowLayout;

/* where a row was, in the transaction and subtransaction that looked for it */
typedef struct RowHint
{
	LocalTransactionId transaction;
	SubTransactionId subxact;
	ItemPointerData tid;
} RowHint;

/* one of our tables, as it was installed */
typedef struct RowTable
{
	const char *schema;			/* NULL for that of the extension */
	const char *name;
	const RowColumn *columns;
	int			ncolumns;
	const RowTrigger *triggers;
	int			ntriggers;
	const RowDefault *defaults;
	int			ndefaults;
	const RowParent *parents;
	int			nparents;
	RowLookup	lookups[ROWS_MAX_LOOKUPS];
	bool		inserts;		/* what the functions do to its rows */
	bool		updates;
	bool		deletes;
	/* kept by rows.c */
	Oid			relid;
	uint64		generation;
	uint64		changes;
	RowLayout  *layout;			/* NULL: not as it was installed */
	RowHint		hint;			/* of what rows_find() found last */
	const char *obstacle;		/* why not */
	RelationWatch watch;
} RowTable;

/* a table that is open, and its row at hand */
typedef struct Row
{
	RowTable   *table;
	RowLayout  *layout;
	Relation	rel;
	TupleTableSlot *slot;
	bool		moved;			/* somebody changed it since the snapshot */
	bool		pushed;			/* the snapshot is ours */
} Row;

typedef enum RowLock
{
	ROW_LOCKED,
	ROW_GONE,
	ROW_BUSY					/* with LockWaitSkip */
} RowLock;

typedef struct RowScan
{
	Row		   *row;
	Relation	index;
	IndexScanDesc scan;
	ScanKeyData members[ROWS_MAX_KEYS];
} RowScan;

extern bool direct_rows;		/* GUC */
extern bool rows_read_only;		/* rows are read with the caller's snapshot */

extern bool rows_allowed(bool read_only);

extern bool rows_open(RowTable *table, LOCKMODE mode, Row *row);
extern void rows_close(Row *row);
extern bool rows_are_direct(RowTable *table);

extern void rows_scan(Row *row, int lookup, int nkeys, const Datum *keys, RowScan *scan);
extern void rows_scan_from(Row *row, int lookup, const Datum *from, RowScan *scan);
extern bool rows_next(RowScan *scan);
extern void rows_scan_end(RowScan *scan);

extern bool rows_find(Row *row, const Datum *keys);
extern bool rows_match(Row *row, const Datum *keys);
extern bool rows_unchecked(const Row *row);
extern RowLock rows_lock(Row *row, LockTupleMode mode, LockWaitPolicy policy);

extern Datum rows_get(Row *row, AttrNumber column, bool *isnull);
extern bool rows_isnull(Row *row, AttrNumber column);
extern pg_uuid_t rows_uuid(Row *row, AttrNumber column);
extern bool rows_bool(Row *row, AttrNumber column);
extern int32 rows_int32(Row *row, AttrNumber column);
extern int64 rows_int64(Row *row, AttrNumber column);
extern Datum rows_enum(Row *row, AttrNumber column, const char *label);
extern HeapTuple rows_tuple(Row *row);

extern void rows_insert(Row *row, const Datum *values, const bool *nulls);
extern void rows_update(Row *row, HeapTuple new);
extern void rows_delete(Row *row);

#endif							/* STUDIO_ROWS_H */
