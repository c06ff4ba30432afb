/*
 * brief.c
 *	  Rows for lists, as jsonb: long texts are truncated, other long values omitted.
 *
 * So a row of a list takes a few kilobytes, whatever columns the table has, those
 * that its owner added included.  The result tells which values are incomplete.
 *
 * Pitfall: long values are toasted.  Their size is known without fetching them,
 * and a text is not fetched beyond what is shown.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "brief.h"
#include "jsonb_measure.h"
#include "row_jsonb.h"
#include "value_limits.h"

/* characters of a text, and bytes of any other value */
#define MAX_SHOWN 1000

static bool
is_text(const FormData_pg_attribute *column)
{
	return column->atttypid == TEXTOID || column->atttypid == VARCHAROID;
}

/* Return true if a value is too long for a list; jsonb that is stored short may be long as text. */
static bool
is_long(const FormData_pg_attribute *column, Datum value)
{
	if (column->attlen != -1)
		return false;
	return value_size(value) > MAX_SHOWN ||
		(column->atttypid == JSONBOID && jsonb_shown_size(DatumGetJsonbP(value)) > MAX_SHOWN);
}

/* Truncate a long text, or make another value NULL; true if the value is incomplete. */
static bool
cut_value(const FormData_pg_attribute *column, Datum *value, bool *isnull)
{
	int64		whole = value_size(*value);

	if (!is_text(column))
	{
		*isnull = true;
		return true;
	}
	*value = DirectFunctionCall3(text_substr, *value, Int32GetDatum(1), Int32GetDatum(MAX_SHOWN));
	return value_size(*value) < whole;
}

/*
 * Return a row as jsonb.  The column unwanted, if any, is null.  The names of
 * truncated and omitted columns are added to a list, with a prefix.
 */
Datum
brief_jsonb(HeapTuple row, TupleDesc desc, const char *prefix, const char *unwanted, List **cut)
{
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));

	heap_deform_tuple(row, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		const FormData_pg_attribute *column = TupleDescAttr(desc, i);

		if (unwanted != NULL && strcmp(NameStr(column->attname), unwanted) == 0)
			nulls[i] = true;
		else if (!nulls[i] && is_long(column, values[i]) && cut_value(column, &values[i], &nulls[i]))
			*cut = lappend(*cut, psprintf("%s%s", prefix, NameStr(column->attname)));
	}
	return row_values_jsonb(desc, values, nulls);
}
