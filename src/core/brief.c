/*
 * brief.c
 *	  Rows for lists: as jsonb, with what is long cut or left out.
 *
 * Whatever columns the table has, those too that its owner added, a row takes no
 * more than a few kilobytes: texts are cut, other values left out, and the caller
 * is told which.
 *
 * Pitfall: what is long lies elsewhere, compressed.  Its size is known without
 * reading it, and of a text no more is read than what is shown.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "brief.h"
#include "jsonb_measure.h"
#include "value_limits.h"
#include "showing.h"

/* characters of a text, and bytes of anything else */
#define MAX_SHOWN 1000

static bool
is_text(const FormData_pg_attribute *column)
{
	return column->atttypid == TEXTOID || column->atttypid == VARCHAROID;
}

/* Short jsonb may be long when it is shown. */
static bool
is_long(const FormData_pg_attribute *column, Datum value)
{
	if (column->attlen != -1)
		return false;
	return value_size(value) > MAX_SHOWN ||
		(column->atttypid == JSONBOID && jsonb_shown_size(DatumGetJsonbP(value)) > MAX_SHOWN);
}

/* Cut a long value: true where something of it is missing. */
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
 * A row as jsonb.  The column unwanted is null and not mentioned; the names of
 * the others that were cut or left out are added to a list, behind a prefix.
 */
Datum
brief_jsonb(HeapTuple row, TupleDesc desc, const char *prefix, const char *unwanted, List **cut)
{
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	TupleDesc	blessed = BlessTupleDesc(CreateTupleDescCopy(desc));

	heap_deform_tuple(row, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		const FormData_pg_attribute *column = TupleDescAttr(desc, i);

		if (unwanted != NULL && strcmp(NameStr(column->attname), unwanted) == 0)
			nulls[i] = true;
		else if (!nulls[i] && is_long(column, values[i]) && cut_value(column, &values[i], &nulls[i]))
			*cut = lappend(*cut, psprintf("%s%s", prefix, NameStr(column->attname)));
	}
	return row_to_jsonb(heap_form_tuple(blessed, values, nulls), blessed);
}
