/*
 * layouts.h
 *	  The tables of the fast path: how they are installed, and what is cached of
 *	  one that still has that definition.
 */
#ifndef STUDIO_LAYOUTS_H
#define STUDIO_LAYOUTS_H

#include "access/genam.h"
#include "nodes/execnodes.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

#include "compat.h"
#include "relations.h"
#include "triggers.h"

/* the lookup by the primary key comes first: rows_find() */
#define BY_KEY 0

#define ROWS_MAX_KEYS 6
#define ROWS_MAX_LOOKUPS 4

/* a column; ANYENUMOID stands for any enum type */
typedef struct RowColumn
{
	const char *name;
	Oid			type;
	const char *enum_type;		/* its name in statements */
} RowColumn;

/* a column whose default the fast path computes, and the function that the
 * default expression calls */
typedef struct RowDefault
{
	AttrNumber	column;
	Oid			function;
} RowDefault;

/*
 * A column that refers to the key of another table.  The fast path does not
 * check foreign keys: a function writes the column only after it has locked the
 * parent row, or never.
 */
typedef struct RowParent
{
	AttrNumber	column;
	const char *schema;			/* NULL: the schema of the extension */
	const char *table;
	const char *key;
} RowParent;

/*
 * An index by which rows are found, and the functions that compare its keys.
 * It contains all rows, or is partial, on those with a label in an enum column.
 */
typedef struct RowLookup
{
	const char *name;
	AttrNumber	enum_column;
	const char *label;			/* NULL: not partial */
	int			nkeys;
	AttrNumber	columns[ROWS_MAX_KEYS];
	RegProcedure equals[ROWS_MAX_KEYS];
	RegProcedure compares[ROWS_MAX_KEYS];	/* for rows_scan_from() only */
} RowLookup;

typedef struct RowLayout RowLayout;
typedef struct RowTable RowTable;

/*
 * A row that is being written, for the callbacks that replace triggers.  An
 * INSERT has values, which BEFORE callbacks may change, and from AFTER callbacks
 * on the new tuple; an UPDATE has both tuples and the caller's edit.
 */
typedef struct RowChange
{
	const RowTable *table;
	Relation	rel;
	Datum	   *values;			/* by attribute number - 1; NULL for an UPDATE */
	bool	   *nulls;
	HeapTuple	old;
	HeapTuple	new;			/* BEFORE callbacks may replace it */
	const RowEdit *edit;		/* NULL for an INSERT */
} RowChange;

typedef void (*RowCallback) (RowChange *change, const void *arg);

#define ROW_TRIGGER_TABLES 3

/*
 * A trigger that the fast path replaces: by callbacks, or by nothing, if the
 * trigger would do nothing for what the fast path writes.
 */
typedef struct RowTrigger
{
	const char *name;
	const char *definition;		/* what pg_get_triggerdef() returns after the
								 * name; % is the schema of the extension */
	AttrNumber	column;			/* the callbacks run if this column changes;
								 * 0: always */
	bool		idle;			/* it would do nothing: no callbacks */
	bool		optional;		/* the table may be without it */
	RowCallback before;
	RowCallback after;
	const void *arg;
	RowTable   *writes[ROW_TRIGGER_TABLES]; /* must be eligible too */
} RowTrigger;

/* the TID of a row; valid in the transaction and subtransaction that found it */
typedef struct RowHint
{
	LocalTransactionId transaction;
	SubTransactionId subxact;
	ItemPointerData tid;
} RowHint;

/* a table of the fast path, as it is installed */
struct RowTable
{
	const char *schema;			/* NULL: the schema of the extension */
	const char *name;
	const RowColumn *columns;
	int			ncolumns;
	const RowDefault *defaults;
	int			ndefaults;
	const RowParent *parents;
	int			nparents;
	RowLookup	lookups[ROWS_MAX_LOOKUPS];
	bool		inserts;		/* what fast path functions do to its rows */
	bool		updates;
	bool		deletes;
	List	   *triggers;		/* RowTrigger: those that were registered */
	/* cached by layouts.c and rows.c */
	Oid			relid;
	uint64		generation;
	uint64		changes;
	RowLayout  *layout;			/* NULL: not eligible */
	RowHint		hint;			/* of the row that was found or written last */
	const char *reason;			/* why it is not eligible */
	RelationWatch watch;
};

/* an index of a table, ready for insertion */
typedef struct RowIndex
{
	Oid			oid;
	IndexInfo  *info;
	ExprState  *predicate;		/* NULL: not partial */
} RowIndex;

/* what is cached of a table that is eligible */
struct RowLayout
{
	MemoryContext context;
	int			nindexes;
	RowIndex   *indexes;
	int			lookups[ROWS_MAX_LOOKUPS];	/* positions among the indexes */
	FmgrInfo	equals[ROWS_MAX_LOOKUPS][ROWS_MAX_KEYS];
	List	   *before;			/* RowTrigger with a callback, in the order */
	List	   *after;			/* in which the triggers fire */
	int			nchecks;
	ExprState **checks;
	ExprContext *econtext;		/* for predicates and checks */
};

extern void layout_register_triggers(RowTable *table, const RowTrigger *triggers, int n);
extern Relation layout_open_table(RowTable *table, LOCKMODE mode);
extern const char *layout_reason(RowTable *table);
extern bool layout_is_eligible(RowTable *table);
extern bool layout_is_current(const RowTable *table);
extern uint64 layout_rebuilds(void);
extern Oid	layout_enum_value(Oid type, const char *label);

#endif							/* STUDIO_LAYOUTS_H */
