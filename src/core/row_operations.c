/*
 * row_operations.c
 *	  An operation on one row, found by its primary key: the text of its
 *	  statement, and its fast path.
 *
 * Pitfall: the two must not differ.  The argument for an enum column is a text in
 * both.  The filter, a user id for the most part, is evaluated before the row is
 * locked and again afterwards, so that neither waits for the lock of a row that
 * the user may not see.
 *
 * Lock order: the caller's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "row_operations.h"
#include "rows.h"
#include "showing.h"
#include "triggers.h"

StaticAssertDecl(ROW_MAX_SETS <= ROW_EDIT_MAX, "an operation sets more than an edit can");

static const RowColumn *
column_of(const RowOperation *operation, AttrNumber column)
{
	return &operation->table->columns[column - 1];
}

static bool
is_enum(const RowOperation *operation, AttrNumber column)
{
	return column_of(operation, column)->type == ANYENUMOID;
}

static const RowLookup *
key_of(const RowOperation *operation)
{
	return &operation->table->lookups[BY_KEY];
}

static bool
takes_argument(const RowSet *set)
{
	return set->source == FROM_ARGUMENT || set->source == FROM_GIVEN;
}

static bool
updates(const RowOperation *operation)
{
	return operation->verb == ROW_UPDATE || operation->verb == ROW_UPDATE_CHANGED;
}

/* Return the number of arguments before those that are set: the key and the filter. */
static int
count_conditions(const RowOperation *operation)
{
	return key_of(operation)->nkeys + (operation->filter != 0 ? 1 : 0);
}

/* Return the number of columns that are set. */
static int
count_sets(const RowOperation *operation)
{
	int			n = 0;

	while (n < ROW_MAX_SETS && operation->set[n].column != 0)
		n++;
	return n;
}

/* ------------------------------------------------------------------------
 * The statement
 * ------------------------------------------------------------------------ */

/*
 * Store the types of the arguments; returns their number.
 */
int
row_operation_types(const RowOperation *operation, Oid *types)
{
	AttrNumber	columns[STATEMENT_MAX_ARGS];
	int			n = 0;

	for (int i = 0; i < key_of(operation)->nkeys; i++)
		columns[n++] = key_of(operation)->columns[i];
	if (operation->filter != 0)
		columns[n++] = operation->filter;
	for (int i = 0; i < count_sets(operation); i++)
	{
		if (takes_argument(&operation->set[i]))
			columns[n++] = operation->set[i].column;
	}
	for (int i = 0; i < n; i++)
		types[i] = is_enum(operation, columns[i]) ? TEXTOID : column_of(operation, columns[i])->type;
	return n;
}

/* Append a parameter, cast to the type of an enum column. */
static void
append_argument(StringInfo buf, const RowOperation *operation, AttrNumber column, int number)
{
	appendStringInfo(buf, "$%d", number);
	if (is_enum(operation, column))
		appendStringInfo(buf, "::%s", column_of(operation, column)->enum_type);
}

/* Append "table t" with its schema. */
static void
append_table(StringInfo buf, const RowOperation *operation)
{
	const RowTable *table = operation->table;

	appendStringInfo(buf, "%s.%s t", table->schema ? table->schema : "@extschema@", table->name);
}

/* Append the condition on the key and that of the filter. */
static void
append_condition(StringInfo buf, const RowOperation *operation)
{
	const RowLookup *key = key_of(operation);
	int			n = 0;

	for (int i = 0; i < key->nkeys; i++)
	{
		appendStringInfo(buf, "%s t.%s = ", i == 0 ? " WHERE" : " AND", column_of(operation, key->columns[i])->name);
		append_argument(buf, operation, key->columns[i], ++n);
	}
	if (operation->filter != 0)
	{
		n++;
		appendStringInfo(buf, " AND ($%d IS NULL OR t.%s = $%d)", n, column_of(operation, operation->filter)->name, n);
	}
}

/* Append the list of what is selected. */
static void
append_results(StringInfo buf, const RowOperation *operation)
{
	if (operation->whole)
		appendStringInfoString(buf, "t.*");
	else if (operation->returns[0] == 0)
		appendStringInfoString(buf, "1");
	for (int i = 0; i < RESULT_MAX_COLUMNS && operation->returns[i] != 0; i++)
		appendStringInfo(buf, "%st.%s%s", i == 0 ? "" : ", ", column_of(operation, operation->returns[i])->name,
						 is_enum(operation, operation->returns[i]) ? "::pg_catalog.text" : "");
}

/* Append the new value of a column; *n counts the arguments. */
static void
append_value(StringInfo buf, const RowOperation *operation, const RowSet *set, int *n)
{
	switch (set->source)
	{
		case FROM_ARGUMENT:
			append_argument(buf, operation, set->column, ++*n);
			break;
		case FROM_GIVEN:
			appendStringInfoString(buf, "COALESCE(");
			append_argument(buf, operation, set->column, ++*n);
			appendStringInfo(buf, ", t.%s)", column_of(operation, set->column)->name);
			break;
		case FROM_LABEL:
			appendStringInfoString(buf, quote_literal_cstr(set->label));
			break;
		case FROM_NULL:
			appendStringInfoString(buf, "NULL");
			break;
	}
}

/* Append the SET clause. */
static void
append_sets(StringInfo buf, const RowOperation *operation)
{
	int			n = count_conditions(operation);

	for (int i = 0; i < count_sets(operation); i++)
	{
		const RowSet *set = &operation->set[i];

		appendStringInfo(buf, "%s %s = ", i == 0 ? " SET" : ",", column_of(operation, set->column)->name);
		append_value(buf, operation, set, &n);
	}
}

/* Append the condition that a column changes. */
static void
append_difference(StringInfo buf, const RowOperation *operation)
{
	int			n = count_conditions(operation);

	for (int i = 0; i < count_sets(operation); i++)
	{
		const RowSet *set = &operation->set[i];

		appendStringInfo(buf, "%s t.%s IS DISTINCT FROM ", i == 0 ? " AND (" : " OR", column_of(operation, set->column)->name);
		append_value(buf, operation, set, &n);
	}
	appendStringInfoChar(buf, ')');
}

static const char *const lock_clauses[] = {
	[LockTupleKeyShare] = " FOR KEY SHARE",
	[LockTupleShare] = " FOR SHARE",
	[LockTupleNoKeyExclusive] = " FOR NO KEY UPDATE",
	[LockTupleExclusive] = " FOR UPDATE"
};

static void
append_lock(StringInfo buf, const RowOperation *operation)
{
	appendStringInfoString(buf, lock_clauses[operation->lock]);
	if (operation->policy == LockWaitSkip)
		appendStringInfoString(buf, " SKIP LOCKED");
}

/*
 * Return the text of the statement; @extschema@ is the schema of the extension.
 */
char *
row_operation_text(const RowOperation *operation)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (updates(operation))
	{
		appendStringInfoString(&buf, "UPDATE ");
		append_table(&buf, operation);
		append_sets(&buf, operation);
	}
	else
	{
		appendStringInfoString(&buf, "SELECT ");
		append_results(&buf, operation);
		appendStringInfoString(&buf, " FROM ");
		append_table(&buf, operation);
	}
	append_condition(&buf, operation);
	if (operation->verb == ROW_UPDATE_CHANGED)
		append_difference(&buf, operation);
	if (operation->verb == ROW_LOCK)
		append_lock(&buf, operation);
	return buf.data;
}

/* ------------------------------------------------------------------------
 * The fast path
 * ------------------------------------------------------------------------ */

/* Return an argument as a value of a column. */
static Datum
argument_value(Row *row, const RowOperation *operation, AttrNumber column, Datum argument)
{
	return is_enum(operation, column) ? rows_enum(row, column, TextDatumGetCString(argument)) : argument;
}

/* Return true if the current tuple has the value of the filter. */
static bool
passes_filter(Row *row, const RowOperation *operation, const Arguments *args)
{
	int			n = key_of(operation)->nkeys;
	Form_pg_attribute att;
	bool		isnull;
	Datum		value;

	if (operation->filter == 0 || args->nulls[n] == 'n')
		return true;
	att = TupleDescAttr(RelationGetDescr(row->rel), operation->filter - 1);
	value = rows_get(row, operation->filter, &isnull);
	return !isnull && datumIsEqual(value, args->values[n], att->attbyval, att->attlen);
}

/* Compute the key of the row from the arguments. */
static void
compute_keys(Row *row, const RowOperation *operation, const Arguments *args, Datum *keys)
{
	const RowLookup *key = key_of(operation);

	for (int i = 0; i < key->nkeys; i++)
		keys[i] = argument_value(row, operation, key->columns[i], args->values[i]);
}

/* Lock the current tuple, and check again that it is the row. */
static bool
lock_found_row(Row *row, const RowOperation *operation, const Arguments *args, const Datum *keys)
{
	LockTupleMode mode = operation->verb == ROW_LOCK ? operation->lock : LockTupleNoKeyExclusive;

	return rows_lock_key(row, keys, mode, operation->policy) && passes_filter(row, operation, args);
}

/* Find the row; it is locked for ROW_LOCK only, as updates do without. */
static bool
find_row(Row *row, const RowOperation *operation, const Arguments *args, Datum *keys)
{
	compute_keys(row, operation, args, keys);
	return rows_find(row, keys) && passes_filter(row, operation, args) &&
		(operation->verb != ROW_LOCK || lock_found_row(row, operation, args, keys));
}

/* Add a column of the current tuple to the result. */
static void
add_column(Row *row, const RowOperation *operation, AttrNumber column, StatementResult *result)
{
	bool		isnull;
	Datum		value = rows_get(row, column, &isnull);

	if (isnull)
		result_add_null(result);
	else if (is_enum(operation, column))
		result_add_text(result, rows_label(row, column));
	else if (column_of(operation, column)->type == TEXTOID)
		result_add_text(result, TextDatumGetCString(value));
	else if (column_of(operation, column)->type == UUIDOID)
		result_add_uuid(result, *DatumGetUUIDP(value));
	else
		result_add_datum(result, value);
}

/* Add what the operation returns of the current tuple to the result. */
static void
add_row(Row *row, const RowOperation *operation, StatementResult *result)
{
	result->found = 1;
	if (operation->whole)
		result_add_shown(result, show_row(rows_tuple(row), RelationGetDescr(row->rel)));
	for (int i = 0; i < RESULT_MAX_COLUMNS && operation->returns[i] != 0; i++)
		add_column(row, operation, operation->returns[i], result);
}

/* Set a column in an edit. */
static void
set_column(RowEdit *edit, Row *row, const RowOperation *operation, const RowSet *set, const Arguments *args, int argument)
{
	switch (set->source)
	{
		case FROM_ARGUMENT:
		case FROM_GIVEN:
			if (args->nulls[argument] != 'n')
				row_set_column(edit, set->column, argument_value(row, operation, set->column, args->values[argument]));
			else if (set->source == FROM_ARGUMENT)
				row_set_column_null(edit, set->column);
			break;
		case FROM_LABEL:
			row_set_column(edit, set->column,
						   argument_value(row, operation, set->column, CStringGetTextDatum(set->label)));
			break;
		case FROM_NULL:
			row_set_column_null(edit, set->column);
			break;
	}
}

/* Return true if an edit changes the stored value of a column. */
static bool
changes_something(const RowEdit *edit)
{
	for (int i = 0; i < edit->n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(edit->desc, edit->columns[i] - 1);
		bool		isnull;
		Datum		value = heap_getattr(edit->row, edit->columns[i], edit->desc, &isnull);

		if (isnull != edit->nulls[i] || (!isnull && !datum_image_eq(value, edit->values[i], att->attbyval, att->attlen)))
			return true;
	}
	return false;
}

/*
 * Update the current tuple; false if that takes a statement.  *written becomes
 * ROW_CHANGED or ROW_GONE, with nothing written, if another transaction has
 * changed the row.
 */
static bool
update_row(Row *row, const RowOperation *operation, const Arguments *args, StatementResult *result, RowLock *written)
{
	RowEdit		edit = {.desc = RelationGetDescr(row->rel),.row = rows_tuple(row)};
	int			argument = count_conditions(operation);

	*written = ROW_LOCKED;
	if (rows_have_pending_fk_checks(row))
		return false;
	for (int i = 0; i < count_sets(operation); i++)
	{
		set_column(&edit, row, operation, &operation->set[i], args, argument);
		if (takes_argument(&operation->set[i]))
			argument++;
	}
	if (operation->verb == ROW_UPDATE_CHANGED && !changes_something(&edit))
		return true;
	if (!rows_try_update(row, &edit, written))
		return false;
	result->found = *written == ROW_LOCKED ? 1 : 0;
	return true;
}

/*
 * Update the current tuple, its newest version if it was changed since it was
 * found; false if that takes a statement.
 */
static bool
update_newest_row(Row *row, const RowOperation *operation, const Arguments *args, const Datum *keys, StatementResult *result)
{
	RowLock		written;

	if (!update_row(row, operation, args, result, &written))
		return false;
	if (written != ROW_CHANGED || operation->unlocked || !lock_found_row(row, operation, args, keys))
		return true;
	return update_row(row, operation, args, result, &written);
}

/* Open the table with the lock of the statement; false if it is not eligible. */
static bool
open_table(const RowOperation *operation, Row *row)
{
	switch (operation->verb)
	{
		case ROW_SELECT:
			return rows_open(operation->table, AccessShareLock, row);
		case ROW_LOCK:
			return rows_open(operation->table, RowShareLock, row);
		case ROW_UPDATE:
		case ROW_UPDATE_CHANGED:
			return rows_open_for_write(operation->table, CMD_UPDATE, row);
	}
	return false;				/* not reached */
}

/*
 * Run the fast path of an operation; false, with nothing written, if the
 * statement has to be executed.
 */
bool
row_operation_run(const RowOperation *operation, const Arguments *args, StatementResult *result)
{
	bool		done = true;
	Row			row;
	Datum		keys[ROWS_MAX_KEYS];

	if (!open_table(operation, &row))
		return false;
	if (!find_row(&row, operation, args, keys))
		result->found = 0;
	else if (updates(operation))
		done = update_newest_row(&row, operation, args, keys, result);
	else
		add_row(&row, operation, result);
	rows_close(&row);
	return done;
}
