/*
 * statements.h
 *	  SQL statements with saved plans.
 *
 * A domain file declares its statements as static variables:
 *
 *		static Statement select_owner = {
 *			.text = "SELECT user_id FROM @extschema@.jobs WHERE id = $1",
 *			.nargs = 1,.argtypes = {UUIDOID}
 *		};
 *
 * and runs them between caller_enter() and caller_leave().
 */
#ifndef STUDIO_STATEMENTS_H
#define STUDIO_STATEMENTS_H

#include "executor/spi.h"

#include "arguments.h"
#include "row_operations.h"

/*
 * Has the effect of a statement, without SQL.  Returns false, with nothing
 * written, if that is not possible; then the statement is executed.
 */
typedef bool (*FastPathFunction) (const Arguments *args, StatementResult *result);

/*
 * force_index_plan is set for a statement that finds rows by a key among its
 * arguments, in a table that grows with use: by its primary key, a foreign key
 * or another indexed column.  Such a statement gets a generic plan, made with
 * the other plan types disabled, since the first plan is made when the table is
 * nearly empty, where a sequential scan looks cheapest.  It is not set for a
 * statement that only inserts, reads a whole table, takes the oldest rows or
 * computes; where the table stays small; and where arguments may be NULL to
 * mean all rows.
 */
typedef struct Statement
{
	const char *text;			/* fixed; @extschema@ is replaced */
	const RowOperation *operation;	/* text, nargs and argtypes are made from
									 * it; or NULL */
	FastPathFunction fast_path; /* NULL: there is none */
	bool		force_index_plan;	/* see above */
	int			nargs;
	Oid			argtypes[STATEMENT_MAX_ARGS];
	/* cached by statements.c */
	SPIPlanPtr	plan;
	bool		planned;
	uint64		generation;
} Statement;

extern uint64 statement_execute(Statement *statement, const Arguments *args);
extern uint64 statement_execute_read_only(Statement *statement, const Arguments *args);
extern uint64 statement_execute_with_latest_snapshot(Statement *statement, const Arguments *args);

extern void statement_execute_script(const char *text);

extern bool statement_row_satisfies(Datum row, const char *condition, const char *table);

extern uint64 statement_preparations(void);

extern StatementResult *statements_begin(void);
extern void statements_end(StatementResult *outer);

typedef void (*RowFunction) (HeapTuple row, TupleDesc desc, void *arg);

extern void statement_execute_each(Statement *statement, const Arguments *args, RowFunction function, void *arg);
extern void statement_execute_with_latest_snapshot_each(Statement *statement, const Arguments *args, RowFunction function, void *arg);
extern void statement_execute_read_only_each(Statement *statement, const Arguments *args, RowFunction function, void *arg);
extern void put_result_row(HeapTuple row, TupleDesc desc, void *arg);

/* the rows of a query; valid until statements_end() */
typedef struct FoundRows
{
	uint64		n;
	HeapTuple  *rows;
	TupleDesc	desc;
} FoundRows;

extern FoundRows statement_execute_read_only_rows(Statement *statement, const Arguments *args);

extern List *statement_execute_uuids(Statement *statement, const Arguments *args);

extern int32 result_int32(int column);
extern int64 result_int64(int column);
extern bool result_bool(int column);
extern bool result_isnull(int column);
extern pg_uuid_t result_uuid(int column);
extern char *result_text(int column);
extern Datum result_datum(int column);
extern Datum result_jsonb(int column);
extern Shown result_shown(void);
extern Datum result_row(void);
extern void *result_rows(void);

#endif							/* STUDIO_STATEMENTS_H */
