/*
 * layouts.h
 *	  Our hottest tables: how they are installed, and what is known of one that
 *	  is still like that.
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

#define ROWS_MAX_KEYS 5
#define ROWS_MAX_LOOKUPS 3

/* a column; of type ANYENUMOID any enum will do */
typedef struct RowColumn
{
	const char *name;
	Oid			type;
	const char *enum_type;		/* as statements name it */
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
typedef struct RowTable RowTable;

/*
 * A row that is being written, for the callbacks of the triggers on its table.
 * Of an INSERT there are the columns, which BEFORE callbacks may fill in, and
 * afterwards the row; of an UPDATE both rows, and what the caller sets.
 */
typedef struct RowChange
{
	const RowTable *table;
	Relation	rel;
	Datum	   *values;			/* by attribute number - 1; NULL of an UPDATE */
	bool	   *nulls;
	HeapTuple	old;
	HeapTuple	new;			/* BEFORE callbacks may put another in its
								 * place */
	const RowEdit *edit;		/* NULL of an INSERT */
} RowChange;

typedef void (*RowCallback) (RowChange *change, const void *arg);

#define ROW_TRIGGER_TABLES 3

/*
 * A trigger whose work the direct functions of the table do: by a callback, or
 * because it has none to do for what they write.
 */
typedef struct RowTrigger
{
	const char *name;
	const char *definition;		/* as pg_get_triggerdef() shows it after its
								 * name; % is the schema of the extension */
	AttrNumber	column;			/* the callback runs where this one changes;
								 * 0: always */
	bool		idle;			/* nothing to do */
	RowCallback before;
	RowCallback after;
	const void *arg;
	RowTable   *writes[ROW_TRIGGER_TABLES]; /* which must be direct too */
} RowTrigger;

/* where a row was, in the transaction and subtransaction that looked for it */
typedef struct RowHint
{
	LocalTransactionId transaction;
	SubTransactionId subxact;
	ItemPointerData tid;
} RowHint;

/* one of our tables, as it was installed */
struct RowTable
{
	const char *schema;			/* NULL for that of the extension */
	const char *name;
	const RowColumn *columns;
	int			ncolumns;
	const RowDefault *defaults;
	int			ndefaults;
	const RowParent *parents;
	int			nparents;
	RowLookup	lookups[ROWS_MAX_LOOKUPS];
	bool		inserts;		/* what the functions do to its rows */
	bool		updates;
	bool		deletes;
	List	   *triggers;		/* RowTrigger: those that were registered */
	/* kept by layouts.c and rows.c */
	Oid			relid;
	uint64		generation;
	uint64		changes;
	RowLayout  *layout;			/* NULL: not as it was installed */
	RowHint		hint;			/* of what rows_find() found last */
	const char *reason;			/* why not */
	RelationWatch watch;
};

/* an index of a table, and the rows that it holds */
typedef struct RowIndex
{
	Oid			oid;
	IndexInfo  *info;
	ExprState  *predicate;		/* NULL: all */
} RowIndex;

/* what is known of a table that is as it was installed */
struct RowLayout
{
	MemoryContext context;
	int			nindexes;
	RowIndex   *indexes;
	int			lookups[ROWS_MAX_LOOKUPS];	/* positions among the indexes */
	FmgrInfo	equals[ROWS_MAX_LOOKUPS][ROWS_MAX_KEYS];
	List	   *before;			/* RowTrigger: the callbacks, in the order in */
	List	   *after;			/* which the triggers fire */
	int			nchecks;
	ExprState **checks;
	ExprContext *econtext;		/* for predicates and checks */
};

extern void layout_register_triggers(RowTable *table, const RowTrigger *triggers, int n);
extern Relation layout_open_table(RowTable *table, LOCKMODE mode);
extern const char *layout_reason(RowTable *table);
extern bool layout_is_eligible(RowTable *table);
extern uint64 layout_rebuilds(void);
extern Oid	layout_enum_value(Oid type, const char *label);

#endif							/* STUDIO_LAYOUTS_H */
