/*
 * row_jsonb.c
 *	  A row as jsonb, byte for byte as to_jsonb() makes it, in a fifth of its time.
 *
 * to_jsonb() looks up how each type is converted, prints each value, and sorts
 * the keys.  Here the types of our tables are converted directly, and the order
 * of the keys is cached.  A value of any other type is converted by to_jsonb().
 *
 * Pitfall: nothing sorts the keys of an object that is passed to
 * JsonbValueToJsonb(), and a key that is not in its place is not found.  So the
 * cached order is compared with the names each time.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

#include "compat.h"
#include "row_jsonb.h"

/* the columns of a row type, dropped ones included, in the order of jsonb's keys */
typedef struct ColumnOrder
{
	Oid			type;
	int			ncolumns;
	int		   *columns;		/* in TopMemoryContext; NULL: unused */
} ColumnOrder;

/* more than we have tables; two row types that share a place replace each other */
static ColumnOrder orders[64];

/* ------------------------------------------------------------------------
 * Keys
 * ------------------------------------------------------------------------ */

/* Compare names as jsonb orders its keys: by length, then by bytes. */
static int
compare_names(const char *a, const char *b)
{
	int			a_length = strlen(a);
	int			b_length = strlen(b);

	return a_length == b_length ? memcmp(a, b, a_length) : a_length - b_length;
}

static const char *
column_name(TupleDesc desc, int column)
{
	return NameStr(TupleDescAttr(desc, column)->attname);
}

static int
compare_columns(const void *a, const void *b, void *desc)
{
	return compare_names(column_name(desc, *(const int *) a), column_name(desc, *(const int *) b));
}

/* Return true if the names of the columns ascend. */
static bool
names_ascend(TupleDesc desc, const int *columns)
{
	for (int i = 1; i < desc->natts; i++)
	{
		if (compare_names(column_name(desc, columns[i - 1]), column_name(desc, columns[i])) >= 0)
			return false;
	}
	return true;
}

/* Return the order of the columns of a row type; a column may have been renamed since it was cached. */
static const int *
column_order(TupleDesc desc)
{
	ColumnOrder *order = &orders[(desc->tdtypeid + desc->natts) % lengthof(orders)];
	int		   *columns;

	if (order->columns != NULL && order->type == desc->tdtypeid && order->ncolumns == desc->natts &&
		names_ascend(desc, order->columns))
		return order->columns;
	columns = MemoryContextAlloc(TopMemoryContext, Max(desc->natts, 1) * sizeof(int));
	for (int i = 0; i < desc->natts; i++)
		columns[i] = i;
	qsort_arg(columns, desc->natts, sizeof(int), compare_columns, desc);
	if (order->columns != NULL)
		pfree(order->columns);
	*order = (ColumnOrder)
	{
		.type = desc->tdtypeid,.ncolumns = desc->natts,.columns = columns
	};
	return columns;
}

/* ------------------------------------------------------------------------
 * Values
 * ------------------------------------------------------------------------ */

static void
set_string(JsonbValue *to, char *string, int length)
{
	to->type = jbvString;
	to->val.string.val = string;
	to->val.string.len = length;
}

static void
set_number(JsonbValue *to, int64 number)
{
	to->type = jbvNumeric;
	to->val.numeric = int64_to_numeric(number);
}

/* Set a value to jsonb, of which objects and arrays are pushed part by part. */
static void
set_jsonb(JsonbValue *to, Jsonb *value)
{
	JsonbIterator *iterator = JsonbIteratorInit(&value->root);
	JsonbBuilder builder = {0};
	JsonbIteratorToken token;
	JsonbValue	part;

	if (JB_ROOT_IS_SCALAR(value))
	{
		(void) JsonbIteratorNext(&iterator, &part, true);
		(void) JsonbIteratorNext(&iterator, to, true);
		return;
	}
	while ((token = JsonbIteratorNext(&iterator, &part, false)) != WJB_DONE)
		compat_push_jsonb(&builder, token, token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM ? &part : NULL);
	*to = *builder.result;
}

/*
 * Return to_jsonb() of a value.  It takes the type of its argument from the
 * expression that calls it, so one is made.
 */
static Jsonb *
call_to_jsonb(Oid type, Datum value)
{
	Const	   *typed = makeConst(type, -1, InvalidOid, -1, (Datum) 0, true, false);
	FmgrInfo	flinfo;

	fmgr_info(F_TO_JSONB, &flinfo);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(typed),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL), &flinfo);
	return DatumGetJsonbP(FunctionCall1(&flinfo, value));
}

/* Set a text; to_jsonb() has the error for one that is too long. */
static void
set_text(JsonbValue *to, Oid type, Datum value)
{
	text	   *read = DatumGetTextPP(value);

	if (VARSIZE_ANY_EXHDR(read) > JENTRY_OFFLENMASK)
		set_jsonb(to, call_to_jsonb(type, value));
	else
		set_string(to, VARDATA_ANY(read), VARSIZE_ANY_EXHDR(read));
}

/* Set a value that a built-in function prints. */
static void
set_printed(JsonbValue *to, char *printed)
{
	set_string(to, printed, strlen(printed));
}

/*
 * Return true if to_jsonb() shows values of a type as the labels of an enum:
 * nobody has created a cast to json, which it would call instead.
 */
bool
is_plain_enum(Oid type)
{
	return type_is_enum(type) &&
		!SearchSysCacheExists2(CASTSOURCETARGET, ObjectIdGetDatum(type), ObjectIdGetDatum(JSONOID));
}

/* Set a value of a type of our tables; false for another type. */
static bool
set_known(JsonbValue *to, Oid type, Datum value)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			set_text(to, type, value);
			return true;
		case BOOLOID:
			to->type = jbvBool;
			to->val.boolean = DatumGetBool(value);
			return true;
		case INT2OID:
			set_number(to, DatumGetInt16(value));
			return true;
		case INT4OID:
			set_number(to, DatumGetInt32(value));
			return true;
		case INT8OID:
			set_number(to, DatumGetInt64(value));
			return true;
		case UUIDOID:
			set_printed(to, DatumGetCString(DirectFunctionCall1(uuid_out, value)));
			return true;
		case DATEOID:
		case TIMESTAMPTZOID:
			set_printed(to, JsonEncodeDateTime(NULL, value, type, NULL));
			return true;
		case JSONBOID:
			set_jsonb(to, DatumGetJsonbP(value));
			return true;
	}
	return false;
}

/* Set a value that is not null. */
static void
set_value(JsonbValue *to, Oid type, Datum value)
{
	if (set_known(to, type, value))
		return;
	if (is_plain_enum(type))
		set_printed(to, DatumGetCString(DirectFunctionCall1(enum_out, value)));
	else
		set_jsonb(to, call_to_jsonb(type, value));
}

/* ------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------ */

#ifdef USE_ASSERT_CHECKING
/*
 * Return true if to_jsonb() makes the same bytes of a row.  Types of others are
 * passed by: their functions are not called twice.
 */
static bool
is_to_jsonb(TupleDesc desc, Datum *values, bool *nulls, Datum result)
{
	TupleDesc	type = CreateTupleDescCopy(desc);
	Datum		row;
	Jsonb	   *expected;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->atttypid >= FirstNormalObjectId && !is_plain_enum(att->atttypid))
			return true;
	}
	type->tdtypeid = RECORDOID;
	type->tdtypmod = -1;
	BlessTupleDesc(type);
	row = heap_copy_tuple_as_datum(heap_form_tuple(type, values, nulls), type);
	expected = call_to_jsonb(RECORDOID, row);
	return datumIsEqual(JsonbPGetDatum(expected), result, false, -1);
}
#endif

/* Set the keys of the columns that are not dropped, with their places among the columns; returns their number. */
static int
set_keys(TupleDesc desc, JsonbPair *pairs)
{
	const int  *columns = column_order(desc);
	int			n = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, columns[i]);

		if (att->attisdropped)
			continue;
		set_printed(&pairs[n].key, NameStr(att->attname));
		pairs[n++].order = columns[i];
	}
	return n;
}

/*
 * Return the values of a row as jsonb.  The cached order is read before the
 * values, as the code of an owner's type may replace it.
 */
Datum
row_values_jsonb(TupleDesc desc, Datum *values, bool *nulls)
{
	JsonbPair  *pairs = palloc(Max(desc->natts, 1) * sizeof(JsonbPair));
	JsonbValue	object = {.type = jbvObject};
	int			n = set_keys(desc, pairs);
	Datum		result;

	for (int i = 0; i < n; i++)
	{
		int			column = pairs[i].order;

		if (nulls[column])
			pairs[i].value.type = jbvNull;
		else
			set_value(&pairs[i].value, TupleDescAttr(desc, column)->atttypid, values[column]);
	}
	object.val.object.pairs = pairs;
	object.val.object.nPairs = n;
	result = JsonbPGetDatum(JsonbValueToJsonb(&object));
	Assert(is_to_jsonb(desc, values, nulls, result));
	pfree(pairs);
	return result;
}
