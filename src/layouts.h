/*
 * layouts.h
 *	  What is known of a table that is as it was installed.
 */
#ifndef STUDIO_LAYOUTS_H
#define STUDIO_LAYOUTS_H

#include "nodes/execnodes.h"

#include "rows.h"

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
	int			nchecks;
	ExprState **checks;
	ExprContext *econtext;		/* for predicates and checks */
};

extern Relation layout_open_table(RowTable *table, LOCKMODE mode);
extern const char *layout_obstacle(RowTable *table);
extern uint64 layouts_made(void);
extern Oid	layout_enum_value(Oid type, const char *label);

#endif							/* STUDIO_LAYOUTS_H */
