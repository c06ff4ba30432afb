/*
 * showing.c
 *	  Rows as jsonb, even if to_jsonb() fails for them; and errors, truncated.
 *
 * A row for which to_jsonb() fails must not prevent that a job is cancelled or
 * failed, or that other jobs are claimed.  Such a row is older than the value
 * limits, was loaded with triggers disabled, or has a column that the owner
 * added, with a type whose output fails.  It is shown without the values that
 * are the cause, which an array "truncated" names.
 *
 * Pitfall: what clients cannot parse is treated as what cannot be shown: a
 * number of 131,072 digits, a thousand levels, more than fits into a response.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "compat.h"
#include "jsonb_measure.h"
#include "row_jsonb.h"
#include "showing.h"
#include "subtransactions.h"

PG_FUNCTION_INFO_V1(brief_error);

/* the text of a row; all limits of a table together are less */
#define MAX_SHOWN_BYTES (64 * 1024 * 1024)
#define MAX_SHOWN_DEPTH 500

/* larger rows and jsonb are shown in a subtransaction */
#define SAFE_ROW_BYTES (16 * 1024)
#define SAFE_JSON_BYTES 2048

/* the largest value that a truncated row keeps */
#define REST_VALUE_BYTES (64 * 1024)

/* a larger error is not even read */
#define MAX_ERROR_BYTES (1024 * 1024)

static bool
is_within_limits(const JsonbMeasure *measure)
{
	return measure->bytes <= MAX_SHOWN_BYTES && measure->depth <= MAX_SHOWN_DEPTH && measure->digits <= MAX_JSONB_DIGITS;
}

static JsonbMeasure
measure_shown(Datum json)
{
	return jsonb_measure(DatumGetJsonbP(json), MAX_SHOWN_BYTES, MAX_SHOWN_DEPTH, MAX_JSONB_DIGITS);
}

/* ------------------------------------------------------------------------
 * Rows that need no subtransaction
 * ------------------------------------------------------------------------ */

/* Return true if only built-in code converts values of a type, so that it cannot run user code. */
static bool
is_safe_type(Oid type)
{
	return type < FirstNormalObjectId || is_plain_enum(type);
}

/* Return true if a small value of a built-in type can be shown and parsed. */
static bool
is_safe_value(Oid type, Datum value)
{
	JsonbMeasure measure;

	if (type == JSONBOID)
	{
		if (value_size(value) > SAFE_JSON_BYTES)
			return false;
		measure = measure_shown(value);
		return is_within_limits(&measure);
	}
	return type != JSONOID && type != NUMERICOID;
}

/*
 * Return true if the values of a row can be shown for certain, so that it takes no
 * subtransaction.  *bytes becomes the size of those of variable length.
 */
static bool
are_safe_values(TupleDesc desc, const Datum *values, const bool *nulls, int64 *bytes)
{
	bool		safe = true;

	*bytes = 0;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (nulls[i] || att->attisdropped)
			continue;
		if (att->attlen == -1)
			*bytes += value_size(values[i]);
		safe = safe && *bytes <= SAFE_ROW_BYTES &&
			is_safe_type(att->atttypid) && is_safe_value(att->atttypid, values[i]);
	}
	return safe;
}

/* ------------------------------------------------------------------------
 * Rows that are shown in a subtransaction
 * ------------------------------------------------------------------------ */

/* the argument of attempt_to_show() */
typedef struct Attempt
{
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
	Datum		result;
	JsonbMeasure measure;
} Attempt;

/* Convert a row; called in a subtransaction. */
static void
attempt_to_show(void *arg)
{
	Attempt    *attempt = arg;

	attempt->result = row_values_jsonb(attempt->desc, attempt->values, attempt->nulls);
	attempt->measure = measure_shown(attempt->result);
}

/* Return true if an error is not caused by the value, so that a retry may succeed. */
static bool
is_transient(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_TRANSACTION_ROLLBACK;
}

/* Return true if a row can be shown; attempt->result is its jsonb then. */
static bool
can_show(Attempt *attempt)
{
	ErrorData  *error = in_subtransaction(attempt_to_show, attempt);

	if (error == NULL)
		return is_within_limits(&attempt->measure);
	if (is_transient(error->sqlerrcode))
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}

/* Return true if one value of a row can be shown by itself. */
static bool
can_show_value(TupleDesc desc, Datum *values, int number)
{
	Attempt		attempt = {.desc = desc,.values = values};
	bool	   *nulls;

	if (TupleDescAttr(desc, number)->attlen == -1 && value_size(values[number]) > REST_VALUE_BYTES)
		return false;
	nulls = palloc(desc->natts * sizeof(bool));
	memset(nulls, true, desc->natts * sizeof(bool));
	nulls[number] = false;
	attempt.nulls = nulls;
	return can_show(&attempt);
}

/* Return a row as jsonb without the values that cannot be shown, which become null, and with their names. */
static Datum
show_rest(TupleDesc desc, Datum *values, bool *nulls)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < desc->natts; i++)
	{
		if (nulls[i] || can_show_value(desc, values, i))
			continue;
		nulls[i] = true;
		appendStringInfoString(&names, names.len > 0 ? ", " : "");
		escape_json(&names, NameStr(TupleDescAttr(desc, i)->attname));
	}
	return DirectFunctionCall2(jsonb_concat, row_values_jsonb(desc, values, nulls),
							   DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf("{\"truncated\": [%s]}", names.data))));
}

/*
 * Return a row as jsonb: the whole row, or what can be shown of it.
 */
Shown
show_row(HeapTuple row, TupleDesc desc)
{
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	Attempt		attempt = {.desc = desc,.values = values,.nulls = nulls};
	Shown		shown = {.whole = true};

	heap_deform_tuple(row, desc, values, nulls);
	/* parallel mode has no subtransactions; it only reads, and may fail */
	if (are_safe_values(desc, values, nulls, &shown.bytes) || IsInParallelMode())
	{
		shown.row = row_values_jsonb(desc, values, nulls);
		return shown;
	}
	shown.whole = shown.bytes <= MAX_SHOWN_BYTES && can_show(&attempt);
	if (shown.whole)
	{
		shown.row = attempt.result;
		shown.bytes = attempt.measure.bytes;
	}
	else
	{
		shown.row = show_rest(desc, values, nulls);
		shown.bytes = measure_shown(shown.row).bytes;
	}
	return shown;
}

/* ------------------------------------------------------------------------
 * Truncated errors
 * ------------------------------------------------------------------------ */

/*
 * Truncate a text in place to at most so many bytes, at the end of a character.
 * Returns the text; NULL for NULL.
 */
char *
clip_text(char *string, int32 bytes)
{
	int			length = string ? strlen(string) : 0;

	if (length > bytes)
		string[pg_mbcliplen(string, length, bytes)] = '\0';
	return string;
}

/* Copy a member of an error, truncated, if it is a string. */
static void
copy_clipped(JsonbBuilder *builder, Jsonb *error, const char *name, int32 bytes)
{
	JsonbValue	key = {.type = jbvString};
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(error) ||
		getKeyJsonValueFromContainer(&error->root, name, strlen(name), &value) == NULL ||
		value.type != jbvString)
		return;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	value.val.string.len = pg_mbcliplen(value.val.string.val, value.val.string.len, bytes);
	compat_push_jsonb(builder, WJB_KEY, &key);
	compat_push_jsonb(builder, WJB_VALUE, &value);
}

/* Return the code, message and step of an error, truncated. */
static Datum
cut_error(Datum error, int32 bytes)
{
	static const char *const names[] = {"code", "message", "step"};
	JsonbBuilder builder = {0};
	JsonbValue	key = {.type = jbvString};
	JsonbValue	mark = {.type = jbvBool};
	Jsonb	   *read = value_size(error) <= MAX_ERROR_BYTES ? DatumGetJsonbP(error) : NULL;

	compat_push_jsonb(&builder, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < (int) lengthof(names) && read != NULL; i++)
		copy_clipped(&builder, read, names[i], bytes);
	key.val.string.val = "truncated";
	key.val.string.len = strlen("truncated");
	mark.val.boolean = true;
	compat_push_jsonb(&builder, WJB_KEY, &key);
	compat_push_jsonb(&builder, WJB_VALUE, &mark);
	compat_push_jsonb(&builder, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(builder.result));
}

/*
 * Return the error of a job, jsonb, as it is; if that is longer than so many
 * bytes or cannot be shown, its code, message and step, truncated.
 */
Datum
show_error(Datum error, int32 bytes)
{
	JsonbMeasure measure;

	if (value_size(error) > bytes)
		return cut_error(error, bytes);
	measure = measure_shown(error);
	return measure.bytes <= bytes && is_within_limits(&measure) ? error : cut_error(error, bytes);
}

/*
 * brief_error(p_error jsonb, p_bytes integer) returns jsonb
 */
Datum
brief_error(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(show_error(PG_GETARG_DATUM(0), PG_GETARG_INT32(1)));
}
