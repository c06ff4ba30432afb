/*
 * jsonb_measure.c
 *	  The size of values as they are stored; and of jsonb as text, with its levels
 *	  and digits.
 *
 * Pitfall: the stored size says little about the text.  A number of nine bytes,
 * 1e131071, has 131,072 digits as text, and a control character is stored in one
 * byte and shown in up to six.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "jsonb_measure.h"

/*
 * Return the bytes of a value of variable length, uncompressed, without fetching
 * a toasted one.
 */
int64
value_size(Datum value)
{
	return (int64) toast_raw_datum_size(value) - VARHDRSZ;
}

/* Return the bytes of a string as JSON text, quotes and escapes included. */
static int64
shown_string(const char *string, int length)
{
	int64		shown = length + 2;

	for (int i = 0; i < length; i++)
	{
		unsigned char byte = string[i];

		if (byte == '"' || byte == '\\' || (byte >= '\b' && byte <= '\r' && byte != '\v'))
			shown++;
		else if (byte < ' ')
			shown += 5;
	}
	return shown;
}

/* Count the bytes and the digits of a number as text. */
static void
show_number(Numeric number, int *bytes, int *digits)
{
	char	   *shown = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

	*bytes = strlen(shown);
	*digits = 0;
	for (int i = 0; i < *bytes; i++)
		*digits += (shown[i] >= '0' && shown[i] <= '9');
	pfree(shown);
}

/*
 * Return the digits of a number as text.
 */
int
number_digits(Numeric number)
{
	int			bytes,
				digits;

	show_number(number, &bytes, &digits);
	return digits;
}

/* Add a number. */
static void
measure_number(Numeric number, JsonbMeasure *measure)
{
	int			bytes,
				digits;

	show_number(number, &bytes, &digits);
	measure->bytes += bytes;
	measure->digits = Max(measure->digits, digits);
}

/* Add a scalar, as it is in JSON text. */
static void
measure_scalar(const JsonbValue *value, JsonbMeasure *measure)
{
	switch (value->type)
	{
		case jbvString:
			measure->bytes += shown_string(value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			measure_number(value->val.numeric, measure);
			break;
		case jbvBool:
			measure->bytes += value->val.boolean ? strlen("true") : strlen("false");
			break;
		case jbvNull:
			measure->bytes += strlen("null");
			break;
		case jbvArray:
		case jbvObject:
		case jbvBinary:
		case jbvDatetime:
			break;
	}
}

/* Add an array or object of so many members: its brackets and commas. */
static void
measure_level(int members, int level, JsonbMeasure *measure)
{
	measure->bytes += 2 + (members > 1 ? 2 * (members - 1) : 0);
	measure->depth = Max(measure->depth, level);
}

/*
 * Measure the text of jsonb without making it.  Stops when a limit is exceeded,
 * so that the result is not complete then.
 */
JsonbMeasure
jsonb_measure(const Jsonb *value, int64 max_bytes, int max_depth, int max_digits)
{
	JsonbMeasure measure = {0};
	JsonbIterator *it = JsonbIteratorInit(unconstify(JsonbContainer *, &value->root));
	JsonbIteratorToken token;
	JsonbValue	member;
	int			level = 0;

	while ((token = JsonbIteratorNext(&it, &member, false)) != WJB_DONE &&
		   measure.bytes <= max_bytes && measure.depth <= max_depth && measure.digits <= max_digits)
	{
		if (token == WJB_BEGIN_ARRAY && !member.val.array.rawScalar)
			measure_level(member.val.array.nElems, ++level, &measure);
		else if (token == WJB_BEGIN_OBJECT)
			measure_level(member.val.object.nPairs, ++level, &measure);
		else if (token == WJB_END_ARRAY || token == WJB_END_OBJECT)
			level--;
		else if (token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM)
			measure_scalar(&member, &measure);
		if (token == WJB_KEY)
			measure.bytes += strlen(": ");
	}
	return measure;
}

/*
 * Return true if jsonb is an object of strings and nothing else.  Its text has at
 * most six bytes for each of its own.
 */
bool
jsonb_is_flat(const Jsonb *value)
{
	const JsonbContainer *root = &value->root;

	if (!JsonContainerIsObject(root))
		return false;
	for (uint32 i = 0; i < 2 * JsonContainerSize(root); i++)
	{
		if (!JBE_ISSTRING(root->children[i]))
			return false;
	}
	return true;
}

/*
 * Return the bytes of jsonb as text.
 */
int64
jsonb_shown_size(const Jsonb *value)
{
	return jsonb_measure(value, PG_INT64_MAX, PG_INT32_MAX, PG_INT32_MAX).bytes;
}
