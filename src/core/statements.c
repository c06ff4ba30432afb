/*
 * statements.c
 *	  The only place that prepares SPI plans, and that decides whether the
 *	  direct function of a statement takes its place.
 *
 * Pitfall: three snapshots.  statement_execute() sees everything committed so far
 * (in READ COMMITTED), which is what a function that has just waited for a
 * lock needs; statement_execute_read_only() sees what the calling query sees, which is what
 * STABLE promises; statement_execute_with_latest_snapshot() sees everything committed so far at every
 * isolation level, and may only be used to find out that an older view is too
 * old.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "guc_scope.h"
#include "layouts.h"
#include "relations.h"
#include "rows.h"
#include "statements.h"

/* of the last statement, in memory of its SPI connection; NULL when that was
 * SQL, and SPI_tuptable has the result */
static StatementResult *last_result = NULL;

/* plans that a newer one replaced in this transaction */
static List *retired_plans = NIL;

/* of statements that are force_index_plan */
static uint64 plans_made = 0;

/* The text with our schema in the place of @extschema@. */
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

/* Transaction end: nothing runs any more. */
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
 * Free a plan later.  Triggers nest: the statement may be running further up
 * while we are asked for it again.
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

/* Complete a statement that is declared as an operation. */
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

/* The kept plan, made anew when a schema changed since. */
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
 * Planner settings for statements that are force_index_plan.  The first plan is made
 * when a table is nearly empty, where reading all of it looks cheapest, and is
 * kept until ANALYZE has seen it grow.
 */
static const char *const other_plan_types[] = {
	"enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin", "jit"
};

/* Close the other ways; returns the GUC level to go back to. */
static int
disable_other_plan_types(void)
{
	int			level = NewGUCNestLevel();

	for (int i = 0; i < (int) lengthof(other_plan_types); i++)
		(void) set_config_option(other_plan_types[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* Has a statement that is force_index_plan the plan that it is to have? */
static bool
plan_is_current(const Statement *statement)
{
	return statement->plan != NULL && statement->planned &&
		statement->generation == relations_generation() &&
		SPI_plan_is_valid(statement->plan);
}

/*
 * How often this session has made a plan or looked at a table anew, which takes
 * longer than what it is done for.
 */
uint64
statement_preparations(void)
{
	return plans_made + layout_rebuilds();
}

/* Execute the plan with the settings that it is to be made with. */
static int
execute_plan(Statement *statement, const Arguments *args, bool read_only)
{
	GucProtection protection = guc_protect();
	SPIPlanPtr	plan = saved_plan(statement);
	bool		replan = statement->force_index_plan && !plan_is_current(statement);
	int			level = replan ? disable_other_plan_types() : 0;
	int			rc = SPI_execute_plan(plan, (Datum *) args->values, args->nulls, read_only, 0);

	if (replan)
	{
		AtEOXact_GUC(true, level);
		statement->planned = true;
		plans_made++;
	}
	guc_unprotect(protection);
	return rc;
}

/*
 * Let the direct function of a statement take its place.  It takes a snapshot
 * when it opens its table, or reads with that of the caller.
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
	/* what a call in between found that failed, and was caught, is gone */
	last_result = NULL;
	if (rc < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * Run a statement with a snapshot of its own.  Returns the number of rows.
 */
uint64
statement_execute(Statement *statement, const Arguments *args)
{
	return execute(statement, args, false);
}

/*
 * Run a query with the snapshot of the calling query.
 */
uint64
statement_execute_read_only(Statement *statement, const Arguments *args)
{
	return execute(statement, args, true);
}

/*
 * Run a query with a new snapshot, whatever the isolation level.
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

/*
 * Run SQL that is run once.  Of the install script only: what comes from a
 * caller is a parameter, never text.
 */
void
statement_execute_script(const char *text)
{
	GucProtection protection = guc_protect();
	SPIPlanPtr	plan = SPI_prepare(text, 0, NULL);
	int			rc;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	rc = SPI_execute_plan(plan, NULL, NULL, false, 0);
	guc_unprotect(protection);
	last_result = NULL;
	if (rc < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
}

static void
execute_each(Statement *statement, const Arguments *args, bool read_only, RowFunction function, void *arg)
{
	GucProtection protection = guc_protect();
	Portal		portal = SPI_cursor_open(NULL, saved_plan(statement), (Datum *) args->values, args->nulls, read_only);

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
 * Call a function for every row of a query, however many there are.  It must
 * not run statements itself.  The snapshots are those of statement_execute() and
 * statement_execute_read_only().
 */
void
statement_execute_each(Statement *statement, const Arguments *args, RowFunction function, void *arg)
{
	execute_each(statement, args, false, function, arg);
}

void
statement_execute_read_only_each(Statement *statement, const Arguments *args, RowFunction function, void *arg)
{
	execute_each(statement, args, true, function, arg);
}

/*
 * The rows of a query, for whoever runs statements for each of them.  What is
 * long stays where it is stored.
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
 * The ids that a query finds, as pointers to copies.
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
 * Begin to run statements, or to run them in a scope of its own, which frees
 * what they used.  Results of those further up are set aside: they are to be
 * given back to statements_end().
 */
StatementResult *
statements_begin(void)
{
	StatementResult *outer = last_result;

	SPI_connect();
	last_result = NULL;
	return outer;
}

void
statements_end(StatementResult *outer)
{
	SPI_finish();
	last_result = outer;
}

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

/* The first row of the last result. */
static HeapTuple
first_row(void)
{
	if (SPI_tuptable == NULL || SPI_tuptable->numvals == 0)
		refuse_lost_row();
	return SPI_tuptable->vals[0];
}

static Datum
result_get(int column, bool *isnull)
{
	if (last_result != NULL)
		return fast_path_column(column, isnull);
	return SPI_getbinval(first_row(), SPI_tuptable->tupdesc, column, isnull);
}

/* The rest must not meet a NULL, but for result_text. */
static Datum
result_not_null(int column)
{
	bool		isnull;
	Datum		value = result_get(column, &isnull);

	if (isnull)
		elog(ERROR, "unexpected NULL in column %d of a result", column);
	return value;
}

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

/* Of any type; goes with the result. */
Datum
result_datum(int column)
{
	return result_not_null(column);
}

/* A copy that outlives SPI_finish(); good for any type of variable length. */
Datum
result_jsonb(int column)
{
	return SPI_datumTransfer(result_not_null(column), false, -1);
}

/*
 * The row that was found, as jsonb: of a query for all columns of a table, or of
 * a direct function that has used result_add_shown().
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

/* The same as an result that outlives SPI_finish(). */
Datum
result_row(void)
{
	return SPI_datumTransfer(result_shown().row, false, -1);
}

/* What a direct function made of all rows; NULL where SQL found them. */
void *
result_rows(void)
{
	return last_result ? last_result->rows : NULL;
}
