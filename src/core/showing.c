/*
 * showing.c
 *	  Rows as jsonb, whatever is in them; and errors in brief.
 *
 * A row that to_jsonb() cannot show must not keep a job from being cancelled or
 * failed, and must not stop others from being claimed.  Such rows are older
 * than the limits, were loaded with triggers off, or have a column of the
 * owner's whose type fails.  They are shown without the values in the way, named
 * in an array "truncated".
 *
 * Pitfall: what cannot be read by clients counts as what cannot be shown: a
 * number of 131,072 digits, a thousand levels, more than a response can carry.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

#include "compat.h"
#include "jsonb_measure.h"
#include "showing.h"
#include "subtransactions.h"

PG_FUNCTION_INFO_V1(brief_error);

/* text of a row, more than all limits together allow */
#define MAX_SHOWN_BYTES (64 * 1024 * 1024)
#define MAX_SHOWN_DEPTH 500

/* a row of no more is shown without precautions */
#define PLAIN_ROW_BYTES (16 * 1024)
#define PLAIN_JSON_BYTES 2048

/* what a row that cannot be shown as a whole shows of itself */
#define REST_VALUE_BYTES (64 * 1024)

/* of an error that is longer nothing is read */
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
 * Rows without precautions
 * ------------------------------------------------------------------------ */

/*
 * to_jsonb() of a row, which asks its caller's expression for the type.
 */
Datum
row_to_jsonb(HeapTuple row, TupleDesc desc)
{
	Const	   *type;
	FmgrInfo	flinfo;

	if (desc->tdtypeid == RECORDOID)
		BlessTupleDesc(desc);
	type = makeConst(desc->tdtypeid, -1, InvalidOid, -1, (Datum) 0, true, false);
	fmgr_info(F_TO_JSONB, &flinfo);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(type),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL), &flinfo);
	return FunctionCall1(&flinfo, heap_copy_tuple_as_datum(row, desc));
}

/* Is a type one whose values are shown by code of PostgreSQL's own? */
static bool
is_plain_type(Oid type)
{
	return type < FirstNormalObjectId ||
		(type_is_enum(type) &&
		 !SearchSysCacheExists2(CASTSOURCETARGET, ObjectIdGetDatum(type), ObjectIdGetDatum(JSONOID)));
}

/* Is a small value one that every client can read? */
static bool
is_plain_value(Oid type, Datum value)
{
	JsonbMeasure measure;

	if (type == JSONBOID)
	{
		if (value_size(value) > PLAIN_JSON_BYTES)
			return false;
		measure = measure_shown(value);
		return is_within_limits(&measure);
	}
	return type != JSONOID && type != NUMERICOID;
}

/*
 * Can nothing go wrong with a row?  *bytes becomes how much there is in it.
 */
static bool
row_needs_no_checks(HeapTuple row, TupleDesc desc, int64 *bytes)
{
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	bool		plain = true;

	*bytes = 0;
	heap_deform_tuple(row, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (nulls[i] || att->attisdropped)
			continue;
		if (att->attlen == -1)
			*bytes += value_size(values[i]);
		plain = plain && *bytes <= PLAIN_ROW_BYTES &&
			is_plain_type(att->atttypid) && is_plain_value(att->atttypid, values[i]);
	}
	pfree(values);
	pfree(nulls);
	return plain;
}

/* ------------------------------------------------------------------------
 * Rows with precautions
 * ------------------------------------------------------------------------ */

/* a row on its way through in_subtransaction() */
typedef struct Attempt
{
	HeapTuple	row;
	TupleDesc	desc;
	Datum		result;
	JsonbMeasure measure;
} Attempt;

static void
attempt_to_show(void *arg)
{
	Attempt    *attempt = arg;

	attempt->result = row_to_jsonb(attempt->row, attempt->desc);
	attempt->measure = measure_shown(attempt->result);
}

/* May the same go well another time? */
static bool
is_transient(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_TRANSACTION_ROLLBACK;
}

/* Can it be shown? */
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

/* Can this value of a row be shown by itself? */
static bool
can_show_value(TupleDesc desc, Datum *values, int number)
{
	Attempt		attempt = {.desc = desc};
	bool	   *nulls;

	if (TupleDescAttr(desc, number)->attlen == -1 && value_size(values[number]) > REST_VALUE_BYTES)
		return false;
	nulls = palloc(desc->natts * sizeof(bool));
	memset(nulls, true, desc->natts * sizeof(bool));
	nulls[number] = false;
	attempt.row = heap_form_tuple(desc, values, nulls);
	return can_show(&attempt);
}

/* A row without the values that are in the way, which it names. */
static Datum
show_rest(HeapTuple row, TupleDesc desc)
{
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	StringInfoData names;

	initStringInfo(&names);
	heap_deform_tuple(row, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		if (nulls[i] || can_show_value(desc, values, i))
			continue;
		nulls[i] = true;
		appendStringInfoString(&names, names.len > 0 ? ", " : "");
		escape_json(&names, NameStr(TupleDescAttr(desc, i)->attname));
	}
	return DirectFunctionCall2(jsonb_concat, row_to_jsonb(heap_form_tuple(desc, values, nulls), desc),
							   DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf("{\"truncated\": [%s]}", names.data))));
}

/*
 * A row as jsonb: the whole of it, or what can be shown.
 */
Shown
show_row(HeapTuple row, TupleDesc desc)
{
	Attempt		attempt = {.row = row,.desc = desc};
	Shown		shown = {.whole = true};

	/* where there are no subtransactions, there are no writers either */
	if (row_needs_no_checks(row, desc, &shown.bytes) || IsInParallelMode())
	{
		shown.row = row_to_jsonb(row, desc);
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
		shown.row = show_rest(row, desc);
		shown.bytes = measure_shown(shown.row).bytes;
	}
	return shown;
}

/* ------------------------------------------------------------------------
 * Errors in brief
 * ------------------------------------------------------------------------ */

/*
 * A text cut to so many bytes, between two characters.
 */
char *
clip_text(char *string, int32 bytes)
{
	int			length = string ? strlen(string) : 0;

	if (length > bytes)
		string[pg_mbcliplen(string, length, bytes)] = '\0';
	return string;
}

/* Take a member of an error over, if it is a text. */
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
 * The error of a job, jsonb: itself, or where it is longer than so many bytes,
 * or could not be read, what it says in brief.
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
