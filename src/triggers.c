/*
 * triggers.c
 *	  What row triggers share: their rows, columns by name, edits.
 *
 * Pitfall: columns are found by name at every call.  Users add columns to our
 * tables and a restore may order them anew, so a number kept over calls would
 * have to be watched; the search costs less than a tenth of a microsecond.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "triggers.h"

/* The context of a trigger; an error when the function was called otherwise. */
TriggerData *
trigger_data(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	return (TriggerData *) fcinfo->context;
}

/* The row that is being inserted or written. */
HeapTuple
trigger_new_row(const TriggerData *data)
{
	return TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
}

/* What a row trigger returns when it changes nothing. */
HeapTuple
trigger_result(const TriggerData *data)
{
	return TRIGGER_FIRED_FOR_ROW(data->tg_event) ? trigger_new_row(data) : NULL;
}

static int
column_number(TupleDesc desc, const char *column)
{
	int			number = SPI_fnumber(desc, column);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("a column that studio_engine needs is missing"),
				 errdetail("Column %s.", column)));
	return number;
}

Datum
row_get(TupleDesc desc, HeapTuple row, const char *column, bool *isnull)
{
	return heap_getattr(row, column_number(desc, column), desc, isnull);
}

/* of a column that is not null */
pg_uuid_t
row_get_uuid(TupleDesc desc, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = row_get(desc, row, column, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in a column that must not be null"),
				 errdetail("Column %s.", column)));
	return *DatumGetUUIDP(value);
}

/* a copy, or NULL */
char *
row_get_text(TupleDesc desc, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = row_get(desc, row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

void
row_set(RowEdit *edit, const char *column, Datum value)
{
	Assert(edit->n < ROW_EDIT_MAX);
	edit->columns[edit->n] = column_number(edit->desc, column);
	edit->values[edit->n] = value;
	edit->nulls[edit->n] = false;
	edit->n++;
}

void
row_set_null(RowEdit *edit, const char *column)
{
	row_set(edit, column, (Datum) 0);
	edit->nulls[edit->n - 1] = true;
}

/* The row with the changes; the row itself where there are none. */
HeapTuple
row_edit_apply(RowEdit *edit)
{
	if (edit->n == 0)
		return edit->row;
	return heap_modify_tuple_by_cols(edit->row, edit->desc, edit->n,
									 edit->columns, edit->values, edit->nulls);
}
