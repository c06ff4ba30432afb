/*
 * statements.c
 *	  The only file that prepares SPI plans, and that decides whether a statement
 *	  is executed or its fast path is run.
 *
 * Pitfall: there are three snapshots.  statement_execute() takes a new one at
 * READ COMMITTED, and so sees everything committed before, which a function that
 * has just waited for a lock needs.  statement_execute_read_only() uses the
 * snapshot of the calling query, as STABLE functions must.
 * statement_execute_with_latest_snapshot() takes a new one at every isolation
 * level; what it reads may be newer than the transaction's snapshot, so it is
 * only for finding out that this snapshot is too old, or for values that do not
 * belong to the transaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "errors.h"
#include "guc_scope.h"
#include "layouts.h"
#include "relations.h"
#include "rows.h"
#include "statements.h"

/* the result of the last statement, if that ran by the fast path, in memory of
 * its SPI connection; NULL if it was SQL, whose result is in SPI_tuptable */
static StatementResult *last_result = NULL;

/* plans that were replaced in this transaction */
static List *retired_plans = NIL;

/* of statements with force_index_plan set */
static uint64 plans_made = 0;

/* Return the text with the schema of the extension for each @extschema@. */
static char *
qualified_text(const char *text)
{
	static const char token[] = "@extschema@";
	const char *schema = extension_schema_quoted();
	StringInfoData buf;
	const char *found;

	initStringInfo(&buf);
	while ((found = strstr(text, token)) != NULL)
	{
		appendBinaryStringInfo(&buf, text, found - text);
		appendStringInfoString(&buf, schema);
		text = found + strlen(token);
	}
	appendStringInfoString(&buf, text);
	return buf.data;
}

/* At the end of the transaction, when no statement is running, free the replaced plans. */
static void
free_retired_plans(XactEvent event, void *arg)
{
	ListCell   *cell;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	foreach(cell, retired_plans)
		SPI_freeplan((SPIPlanPtr) lfirst(cell));
	list_free(retired_plans);
	retired_plans = NIL;
}

/*
 * Free a plan at the end of the transaction.  Not at once, since triggers nest:
 * the same statement may be running in an outer call.
 */
static void
retire_plan(SPIPlanPtr plan)
{
	static bool registered = false;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (!registered)
	{
		RegisterXactCallback(free_retired_plans, NULL);
		registered = true;
	}
	retired_plans = lappend(retired_plans, plan);
	MemoryContextSwitchTo(old);
}

/* Make the text and the argument types of a statement that is declared as a RowOperation. */
static void
complete_operation(Statement *statement)
{
	MemoryContext old;

	if (statement->operation == NULL || statement->text !=NULL)
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	statement->nargs = row_operation_types(statement->operation, statement->argtypes);
	statement->force_index_plan = true;
	statement->text = row_operation_text(statement->operation);
	MemoryContextSwitchTo(old);
}

/*
 * Return the saved plan, prepared again if a schema or role has changed: its text
 * contains the name of a schema.
 */
static SPIPlanPtr
saved_plan(Statement *statement)
{
	uint64		now = relations_generation();
	SPIPlanPtr	plan;

	if (statement->plan != NULL && statement->generation == now)
		return statement->plan;

	complete_operation(statement);
	plan = SPI_prepare_cursor(qualified_text(statement->text), statement->nargs, statement->argtypes,
							  statement->force_index_plan ? CURSOR_OPT_GENERIC_PLAN : 0);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);

	if (statement->plan != NULL)
		retire_plan(statement->plan);
	statement->plan = plan;
	statement->planned = false;
	statement->generation = now;
	return plan;
}

/*
 * Planner settings that are off while a plan with force_index_plan is made.  The
 * first plan is made when a table is nearly empty, where a sequential scan looks
 * cheapest, and is saved until ANALYZE has seen the table grow.
 */
static const char *const other_plan_types[] = {
	"enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin", "jit"
};

/* Disable the other plan types; returns the GUC nest level to return to. */
static int
disable_other_plan_types(void)
{
	int			level = NewGUCNestLevel();

	for (int i = 0; i < (int) lengthof(other_plan_types); i++)
		(void) set_config_option(other_plan_types[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* Return true if a statement with force_index_plan set has a valid plan that was made so. */
static bool
plan_is_current(const Statement *statement)
{
	return statement->plan != NULL && statement->planned &&
		statement->generation == relations_generation() &&
		SPI_plan_is_valid(statement->plan);
}

/*
 * Return how often this session has made a plan or built a layout.  Both take
 * longer than the statement that needs them, which a caller that measures times
 * has to know.
 */
uint64
statement_preparations(void)
{
	return plans_made + layout_rebuilds();
}

/* Enable the other plan types again, after a plan with force_index_plan was made. */
static void
plan_made(Statement *statement, int level)
{
	AtEOXact_GUC(true, level);
	statement->planned = true;
	plans_made++;
}

/*
 * Execute the saved plan.  With force_index_plan, SPI makes the generic plan
 * during the first execution, so the planner settings apply to that.
 */
static int
execute_plan(Statement *statement, const Arguments *args, bool read_only)
{
	GucProtection protection = guc_protect();
	SPIPlanPtr	plan = saved_plan(statement);
	bool		replan = statement->force_index_plan && !plan_is_current(statement);
	int			level = replan ? disable_other_plan_types() : 0;
	int			rc = SPI_execute_plan(plan, (Datum *) args->values, args->nulls, read_only, 0);

	if (replan)
		plan_made(statement, level);
	guc_unprotect(protection);
	return rc;
}

/* Open a cursor on the saved plan, which is made as execute_plan() makes it. */
static Portal
open_plan(Statement *statement, const Arguments *args, bool read_only)
{
	SPIPlanPtr	plan = saved_plan(statement);
	bool		replan = statement->force_index_plan && !plan_is_current(statement);
	int			level = replan ? disable_other_plan_types() : 0;
	Portal		portal = SPI_cursor_open(NULL, plan, (Datum *) args->values, args->nulls, read_only);

	if (replan)
		plan_made(statement, level);
	return portal;
}

/*
 * Run the fast path of a statement; false if the statement has to be executed.
 * The fast path takes a snapshot when it opens its table, or uses that of the
 * calling query if it is read-only.  The command counter is incremented before
 * and after it, as SPI does for a statement.
 */
static bool
run_fast_path(Statement *statement, const Arguments *args, bool read_only, StatementResult *result)
{
	bool		before = rows_read_only;
	bool		done;

	rows_read_only = read_only;
	if (!read_only)
		CommandCounterIncrement();
	done = statement->operation ? row_operation_run(statement->operation, args, result) : statement->fast_path(args, result);
	if (!read_only)
		CommandCounterIncrement();
	rows_read_only = before;
	return done;
}

/* Run a statement, by the fast path if possible; returns the number of rows. */
static uint64
execute(Statement *statement, const Arguments *args, bool read_only)
{
	int			rc;

	complete_operation(statement);
	Assert(args->n == statement->nargs);
	if ((statement->fast_path != NULL || statement->operation != NULL) && rows_fast_path_allowed(read_only))
	{
		StatementResult *result = palloc0(sizeof(StatementResult));

		if (run_fast_path(statement, args, read_only, result))
		{
			last_result = result;
			return result->found;
		}
	}
	rc = execute_plan(statement, args, read_only);
	/* the result of a nested call may be left, if its error was caught */
	last_result = NULL;
	if (rc < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * Execute a statement with a snapshot of its own.  Returns the number of rows.
 */
uint64
statement_execute(Statement *statement, const Arguments *args)
{
	return execute(statement, args, false);
}

/*
 * Execute a query with the snapshot of the calling query.  Returns the number of
 * rows.
 */
uint64
statement_execute_read_only(Statement *statement, const Arguments *args)
{
	return execute(statement, args, true);
}

/*
 * Execute a query with a new snapshot at every isolation level.  Returns the
 * number of rows.
 */
uint64
statement_execute_with_latest_snapshot(Statement *statement, const Arguments *args)
{
	GucProtection protection = guc_protect();
	int			rc;

	rc = SPI_execute_snapshot(saved_plan(statement), (Datum *) args->values, args->nulls,
							  GetLatestSnapshot(), InvalidSnapshot, true, false, 0);
	guc_unprotect(protection);
	last_result = NULL;
	if (rc < 0)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

/* Execute SQL without saving a plan; returns what SPI says. */
static int
execute_once(const char *text, int nargs, Oid *types, Datum *values, bool read_only)
{
	GucProtection protection = guc_protect();
	SPIPlanPtr	plan = SPI_prepare(text, nargs, types);
	int			rc;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	rc = SPI_execute_plan(plan, values, NULL, read_only, 0);
	guc_unprotect(protection);
	last_result = NULL;
	if (rc < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
	return rc;
}

/*
 * Execute SQL without saving a plan.  For the text of the install script only:
 * what comes from a caller is passed as a parameter, never as text.
 */
void
statement_execute_script(const char *text)
{
	(void) execute_once(text, 0, NULL, NULL, false);
}

/*
 * Return true if a condition on the columns of a row is true, with the snapshot
 * of the calling query.  The condition is that of a policy, as PostgreSQL writes
 * it, and names the row as it names the table.  No plan is saved.
 */
bool
statement_row_satisfies(Datum row, const char *condition, const char *table)
{
	Oid			type = HeapTupleHeaderGetTypeId(DatumGetHeapTupleHeader(row));
	char	   *text = psprintf("SELECT COALESCE(%s, false) FROM pg_catalog.unnest(ARRAY[$1]) AS %s",
								condition, quote_identifier(table));

	if (execute_once(text, 1, &type, &row, true) != SPI_OK_SELECT)
		elog(ERROR, "the condition of a policy was no query");
	return result_bool(1);
}

/*
 * Execute a query that returns few rows with a new snapshot at every isolation level,
 * and call a function for each row.
 */
void
statement_execute_with_latest_snapshot_each(Statement *statement, const Arguments *args, RowFunction function, void *arg)
{
	uint64		n = statement_execute_with_latest_snapshot(statement, args);

	for (uint64 i = 0; i < n; i++)
		function(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, arg);
}

/* Call a function for every row of a query, 1,000 rows at a time. */
static void
execute_each(Statement *statement, const Arguments *args, bool read_only, RowFunction function, void *arg)
{
	GucProtection protection = guc_protect();
	Portal		portal = open_plan(statement, args, read_only);

	do
	{
		SPI_cursor_fetch(portal, true, 1000);
		for (uint64 i = 0; i < SPI_processed; i++)
			function(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, arg);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	guc_unprotect(protection);
}

/*
 * Call a function for every row of a query, whose result is not held in memory
 * as a whole.  The function must not execute statements.  The snapshot is that
 * of statement_execute().
 */
void
statement_execute_each(Statement *statement, const Arguments *args, RowFunction function, void *arg)
{
	execute_each(statement, args, false, function, arg);
}

/*
 * Call a function for every row of a query, as statement_execute_each() does,
 * with the snapshot of the calling query.
 */
void
statement_execute_read_only_each(Statement *statement, const Arguments *args, RowFunction function, void *arg)
{
	execute_each(statement, args, true, function, arg);
}

/*
 * Return the rows of a query, with the snapshot of the calling query, for callers
 * that execute statements for each row.  Toasted values are not fetched.
 */
FoundRows
statement_execute_read_only_rows(Statement *statement, const Arguments *args)
{
	FoundRows	found;

	Assert(statement->fast_path == NULL && statement->operation == NULL);
	found.n = statement_execute_read_only(statement, args);
	found.rows = SPI_tuptable->vals;
	found.desc = SPI_tuptable->tupdesc;
	return found;
}

static void
collect_uuid(HeapTuple row, TupleDesc desc, void *arg)
{
	List	  **uuids = arg;
	bool		isnull;
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	*uuids = lappend(*uuids, copy);
}

/*
 * Return the ids in the first column of a query, as a list of pointers to copies.
 */
List *
statement_execute_uuids(Statement *statement, const Arguments *args)
{
	List	   *uuids = NIL;

	statement_execute_each(statement, args, collect_uuid, &uuids);
	return uuids;
}

/* ------------------------------------------------------------------------
 * Results
 * ------------------------------------------------------------------------ */

/*
 * Connect to SPI, or open a nested connection, which frees its memory when it is
 * closed.  Returns the result of the last statement of the outer connection, to
 * be passed to statements_end().
 */
StatementResult *
statements_begin(void)
{
	StatementResult *outer = last_result;

	SPI_connect();
	last_result = NULL;
	return outer;
}

/*
 * Close the connection, and restore the result of the outer one.
 */
void
statements_end(StatementResult *outer)
{
	SPI_finish();
	last_result = outer;
}

/* Return a column of the last result, which came by the fast path. */
static Datum
fast_path_column(int column, bool *isnull)
{
	if (last_result->found == 0)
		refuse_lost_row();
	if (column > last_result->n)
		elog(ERROR, "a result has no column %d", column);
	*isnull = last_result->nulls[column - 1];
	return last_result->values[column - 1];
}

/* Return the first row of the last result, which is SQL's. */
static HeapTuple
first_row(void)
{
	if (SPI_tuptable == NULL || SPI_tuptable->numvals == 0)
		refuse_lost_row();
	return SPI_tuptable->vals[0];
}

/* Return a column of the first row of the last result. */
static Datum
result_get(int column, bool *isnull)
{
	if (last_result != NULL)
		return fast_path_column(column, isnull);
	return SPI_getbinval(first_row(), SPI_tuptable->tupdesc, column, isnull);
}

/* Return a column that must not be NULL: all of the functions below but result_text(). */
static Datum
result_not_null(int column)
{
	bool		isnull;
	Datum		value = result_get(column, &isnull);

	if (isnull)
		elog(ERROR, "unexpected NULL in column %d of a result", column);
	return value;
}

/*
 * The following return a column, counted from 1, of the first row of the last
 * result; they raise an error if there is no row.
 */
bool
result_isnull(int column)
{
	bool		isnull;

	(void) result_get(column, &isnull);
	return isnull;
}

int32
result_int32(int column)
{
	return DatumGetInt32(result_not_null(column));
}

int64
result_int64(int column)
{
	return DatumGetInt64(result_not_null(column));
}

bool
result_bool(int column)
{
	return DatumGetBool(result_not_null(column));
}

pg_uuid_t
result_uuid(int column)
{
	return *DatumGetUUIDP(result_not_null(column));
}

/* NULL for an SQL NULL; works for enums too */
char *
result_text(int column)
{
	bool		isnull;

	if (last_result != NULL)
		return DatumGetCString(fast_path_column(column, &isnull));
	return SPI_getvalue(first_row(), SPI_tuptable->tupdesc, column);
}

/* of any type; valid until the next statement */
Datum
result_datum(int column)
{
	return result_not_null(column);
}

/* a copy that outlives SPI_finish(), of jsonb or another type of variable length */
Datum
result_jsonb(int column)
{
	return SPI_datumTransfer(result_not_null(column), false, -1);
}

/*
 * Return the first row as jsonb: of a query for all columns of a table, or of a
 * fast path function that has called result_add_shown().
 */
Shown
result_shown(void)
{
	bool		isnull;

	if (last_result == NULL)
		return show_row(first_row(), SPI_tuptable->tupdesc);
	return (Shown)
	{
		.row = fast_path_column(1, &isnull),
			.whole = DatumGetBool(fast_path_column(2, &isnull)),
			.bytes = DatumGetInt64(fast_path_column(3, &isnull))
	};
}

/*
 * Return the first row as jsonb, as result_shown() does, in a copy that outlives
 * SPI_finish().
 */
Datum
result_row(void)
{
	return SPI_datumTransfer(result_shown().row, false, -1);
}

/*
 * Return what a fast path function stored for all rows; NULL if the result is
 * SQL's, whose rows are in SPI_tuptable.
 */
void *
result_rows(void)
{
	return last_result ? last_result->rows : NULL;
}

/*
 * A RowFunction: add the row to the result of a function, whose ReturnSetInfo arg is.
 */
void
put_result_row(HeapTuple row, TupleDesc desc, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));

	heap_deform_tuple(row, desc, values, nulls);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	pfree(values);
	pfree(nulls);
}
