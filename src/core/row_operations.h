/*
 * row_operations.h
 *	  An operation on one row, found by its primary key, declared once: both its
 *	  statement and its fast path are made from the declaration.
 *
 *		static Statement finish_job = {
 *			.operation = &(const RowOperation) {
 *				.table = &jobs_table,.verb = ROW_UPDATE,
 *				.set = {SET_LABEL(JOB_STATUS, "READY"), SET_GIVEN(JOB_OUTPUT)}
 *			}
 *		};
 *
 * The arguments are the key, the value of the filter if there is one, and the
 * values that are set, in this order.
 */
#ifndef STUDIO_ROW_OPERATIONS_H
#define STUDIO_ROW_OPERATIONS_H

#include "nodes/lockoptions.h"

#include "arguments.h"
#include "layouts.h"

#define ROW_MAX_SETS 4

typedef enum RowVerb
{
	ROW_SELECT,
	ROW_LOCK,
	ROW_UPDATE,
	ROW_UPDATE_CHANGED			/* only if that changes a column */
} RowVerb;

typedef enum RowSource
{
	FROM_ARGUMENT,
	FROM_GIVEN,					/* an argument; NULL does not change the
								 * column */
	FROM_LABEL,
	FROM_NULL
} RowSource;

typedef struct RowSet
{
	AttrNumber	column;			/* 0: no more */
	RowSource	source;
	const char *label;
} RowSet;

#define SET_ARGUMENT(column) {(column), FROM_ARGUMENT, NULL}
#define SET_GIVEN(column) {(column), FROM_GIVEN, NULL}
#define SET_LABEL(column, label) {(column), FROM_LABEL, (label)}
#define SET_NULL(column) {(column), FROM_NULL, NULL}

typedef struct RowOperation
{
	RowTable   *table;			/* the key is its lookup BY_KEY */
	RowVerb		verb;
	LockTupleMode lock;			/* for ROW_LOCK */
	LockWaitPolicy policy;
	bool		unlocked;		/* for ROW_UPDATE: nothing is found if the row
								 * was changed since the snapshot, and the
								 * statement is never executed */
	AttrNumber	filter;			/* must equal an argument, unless that is
								 * NULL; 0: none */
	bool		whole;			/* returns the row, for result_shown() */
	AttrNumber	returns[RESULT_MAX_COLUMNS];	/* or these columns, enums as
												 * text; 0: no more */
	RowSet		set[ROW_MAX_SETS];
} RowOperation;

extern char *row_operation_text(const RowOperation *operation);
extern int	row_operation_types(const RowOperation *operation, Oid *types);
extern bool row_operation_run(const RowOperation *operation, const Arguments *args, StatementResult *result);

#endif							/* STUDIO_ROW_OPERATIONS_H */
