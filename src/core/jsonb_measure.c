/*
 * jsonb_measure.c
 *	  How large values are: bytes as they are stored, and of jsonb when it is
 *	  shown, bytes of its text, levels and digits.
 *
 * Pitfall: what is stored says little.  A number of nine bytes, 1e131071, is
 * shown with 131,072 digits, and a control character takes one byte or six.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "jsonb_measure.h"

/*
 * Bytes of a value of variable length, without reading what is toasted.
 */
int64
value_size(Datum value)
{
	return (int64) toast_raw_datum_size(value) - VARHDRSZ;
}

/* The bytes that a string takes when it is shown, quotes included. */
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

/* The bytes and the digits that a number is shown with. */
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
 * The digits that a number is shown with.
 */
int
number_digits(Numeric number)
{
	int			bytes,
				digits;

	show_number(number, &bytes, &digits);
	return digits;
}

static void
measure_number(Numeric number, JsonbMeasure *measure)
{
	int			bytes,
				digits;

	show_number(number, &bytes, &digits);
	measure->bytes += bytes;
	measure->digits = Max(measure->digits, digits);
}

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

/* An array or object of so many members: brackets and commas. */
static void
measure_level(int members, int level, JsonbMeasure *measure)
{
	measure->bytes += 2 + (members > 1 ? 2 * (members - 1) : 0);
	measure->depth = Max(measure->depth, level);
}

/*
 * Measure jsonb as its text would be, without making it; not to the end where
 * something is beyond what is allowed.
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
 * The bytes that jsonb takes when it is shown.
 */
int64
jsonb_shown_size(const Jsonb *value)
{
	return jsonb_measure(value, PG_INT64_MAX, PG_INT32_MAX, PG_INT32_MAX).bytes;
}
