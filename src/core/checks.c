/*
 * checks.c
 *	  Checks of the arguments of API functions.  They raise an error for a bad
 *	  value, and return the value otherwise.
 *
 * They read the arguments from fcinfo, so the API function itself calls them and
 * passes values to its helpers.
 *
 * Pitfall: messages are constant, since clients match on them.  DETAIL has the
 * name of the argument and what is expected, but not the value, which may be a
 * secret or a megabyte.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "checks.h"
#include "errors.h"
#include "jsonb_measure.h"

/*
 * Raise an error if an argument is NULL.
 */
void
check_not_null(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		refuse_null(name);
}

/* A boolean; a NULL pointer for NULL. */
const bool *
optional_bool(FunctionCallInfo fcinfo, int argno)
{
	static const bool values[] = {false, true};

	return PG_ARGISNULL(argno) ? NULL : &values[PG_GETARG_BOOL(argno) ? 1 : 0];
}

/* A JSON value; a NULL pointer for NULL. */
Jsonb *
optional_jsonb(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : PG_GETARG_JSONB_P(argno);
}

pg_uuid_t
check_uuid(FunctionCallInfo fcinfo, int argno, const char *name)
{
	check_not_null(fcinfo, argno, name);
	return *PG_GETARG_UUID_P(argno);
}

/* An id; a NULL pointer for NULL. */
const pg_uuid_t *
optional_uuid(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : PG_GETARG_UUID_P(argno);
}

/* A copy of a time; a NULL pointer for NULL. */
const TimestampTz *
optional_time(FunctionCallInfo fcinfo, int argno)
{
	TimestampTz *copy;

	if (PG_ARGISNULL(argno))
		return NULL;
	copy = palloc(sizeof(TimestampTz));
	*copy = PG_GETARG_TIMESTAMPTZ(argno);
	return copy;
}

/* An array; a NULL pointer for NULL. */
ArrayType *
optional_array(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : PG_GETARG_ARRAYTYPE_P(argno);
}

/* Return a boolean that is not NULL. */
bool
check_bool(FunctionCallInfo fcinfo, int argno, const char *name)
{
	check_not_null(fcinfo, argno, name);
	return PG_GETARG_BOOL(argno);
}

/* A number greater than 0, such as an amount of credits. */
int32
check_positive(FunctionCallInfo fcinfo, int argno, const char *name)
{
	check_not_null(fcinfo, argno, name);
	if (PG_GETARG_INT32(argno) <= 0)
		refuse_value(name, "positive");
	return PG_GETARG_INT32(argno);
}

/* A number from min to max. */
int32
check_int32(FunctionCallInfo fcinfo, int argno, const char *name, int32 min, int32 max)
{
	int32		value;

	check_not_null(fcinfo, argno, name);
	value = PG_GETARG_INT32(argno);
	if (value < min || value > max)
		refuse_value(name, psprintf("between %d and %d", min, max));
	return value;
}

/* A number from min to max; a NULL pointer for NULL. */
const int32 *
check_optional_int32(FunctionCallInfo fcinfo, int argno, const char *name, int32 min, int32 max)
{
	int32	   *value;

	if (PG_ARGISNULL(argno))
		return NULL;
	value = palloc(sizeof(int32));
	*value = check_int32(fcinfo, argno, name, min, max);
	return value;
}

/*
 * A copy of a text of min to max characters; NULL is allowed if min is 0.  A text
 * with more bytes than max characters can have is not detoasted.
 */
char *
check_text(FunctionCallInfo fcinfo, int argno, const char *name, int min, int max)
{
	char	   *value = NULL;
	int			length = max + 1;

	if (min == 0 && PG_ARGISNULL(argno))
		return NULL;
	check_not_null(fcinfo, argno, name);
	if (toast_raw_datum_size(PG_GETARG_DATUM(argno)) - VARHDRSZ <= (Size) max * pg_database_encoding_max_length())
	{
		value = text_to_cstring(PG_GETARG_TEXT_PP(argno));
		length = pg_mbstrlen(value);
	}
	if (length < min || length > max)
		refuse_value(name, psprintf("%d to %d characters long", min, max));
	return value;
}

/* A copy of a text of 1 to max characters; NULL for NULL. */
char *
check_optional_text(FunctionCallInfo fcinfo, int argno, const char *name, int max)
{
	return PG_ARGISNULL(argno) ? NULL : check_text(fcinfo, argno, name, 1, max);
}

/* Return true if a text is a word; one of another length is not detoasted. */
static bool
is_word(Datum value, const char *word)
{
	return toast_raw_datum_size(value) - VARHDRSZ == strlen(word) &&
		strcmp(TextDatumGetCString(value), word) == 0;
}

/* A copy of a text that is one of a list of words. */
char *
check_word(FunctionCallInfo fcinfo, int argno, const char *name, const char *const *words, int nwords)
{
	StringInfoData expected;

	check_not_null(fcinfo, argno, name);
	for (int i = 0; i < nwords; i++)
	{
		if (is_word(PG_GETARG_DATUM(argno), words[i]))
			return pstrdup(words[i]);
	}

	initStringInfo(&expected);
	appendStringInfoString(&expected, "one of");
	for (int i = 0; i < nwords; i++)
		appendStringInfo(&expected, "%s %s", i > 0 ? "," : "", words[i]);
	refuse_value(name, expected.data);
}

/* A copy of a text that is one of a list of words; NULL for NULL. */
char *
check_optional_word(FunctionCallInfo fcinfo, int argno, const char *name, const char *const *words, int nwords)
{
	return PG_ARGISNULL(argno) ? NULL : check_word(fcinfo, argno, name, words, nwords);
}

/*
 * Return the length of a span, where a day is 24 hours and a month 30 days.  A
 * calendar has days of 25 hours, in which the span "1 day" would be more than the
 * 24 hours that are allowed.  What is far out of bounds has the greatest length,
 * so that it cannot overflow.
 */
static int64
span_length(const Interval *span)
{
	const int64 millennium = 366 * 1000 * USECS_PER_DAY;

	if (span->month < -12 * 1000 || span->month > 12 * 1000 ||
		span->day < -366 * 1000 || span->day > 366 * 1000 ||
		span->time < -millennium || span->time > millennium)
		return PG_INT64_MAX;
	return (span->month * INT64CONST(30) + span->day) * USECS_PER_DAY + span->time;
}

/* Return the length of a span that takes min to max seconds. */
static int64
check_length(const Interval *span, const char *name, int64 min, int64 max)
{
	int64		length = span_length(span);

	if (length < min * USECS_PER_SEC || length > max * USECS_PER_SEC)
		refuse_value(name, psprintf("between " INT64_FORMAT " and " INT64_FORMAT " seconds", min, max));
	return length;
}

/* The microseconds of an interval of min to max seconds; a NULL pointer for NULL. */
const int64 *
check_duration(FunctionCallInfo fcinfo, int argno, const char *name, int64 min, int64 max)
{
	int64	   *length;

	if (PG_ARGISNULL(argno))
		return NULL;
	length = palloc(sizeof(int64));
	*length = check_length(PG_GETARG_INTERVAL_P(argno), name, min, max);
	return length;
}

/* Return the end of a span that begins now and takes min to max seconds. */
TimestampTz
check_span(const Interval *span, const char *name, TimestampTz now, int64 min, int64 max)
{
	return now + check_length(span, name, min, max);
}

/* The end of an interval that begins now and takes min to max seconds. */
TimestampTz
check_until(FunctionCallInfo fcinfo, int argno, const char *name, TimestampTz now, int64 min, int64 max)
{
	check_not_null(fcinfo, argno, name);
	return check_span(PG_GETARG_INTERVAL_P(argno), name, now, min, max);
}

/* The end of a positive interval of at most 366 days that begins now. */
TimestampTz
check_within_year(FunctionCallInfo fcinfo, int argno, const char *name)
{
	int64		length;

	check_not_null(fcinfo, argno, name);
	length = span_length(PG_GETARG_INTERVAL_P(argno));
	if (length <= 0 || length > 366 * USECS_PER_DAY)
		refuse_value(name, "positive, and at most 366 days");
	return GetCurrentTimestamp() + length;
}

/* Return true if a number is from min to max, which NaN is not. */
bool
numeric_is_between(Numeric value, int64 min, int64 max)
{
	Datum		number = NumericGetDatum(value);

	return DatumGetBool(DirectFunctionCall2(numeric_ge, number, NumericGetDatum(int64_to_numeric(min)))) &&
		DatumGetBool(DirectFunctionCall2(numeric_le, number, NumericGetDatum(int64_to_numeric(max))));
}

/* A numeric from min to max; NULL for NULL. */
Numeric
check_numeric(FunctionCallInfo fcinfo, int argno, const char *name, int64 min, int64 max)
{
	Numeric		value;

	if (PG_ARGISNULL(argno))
		return NULL;
	value = PG_GETARG_NUMERIC(argno);
	if (!numeric_is_between(value, min, max))
		refuse_value(name, psprintf("between " INT64_FORMAT " and " INT64_FORMAT, min, max));
	return value;
}

/* Jsonb with at most so many bytes, stored and as text, and limited depth and digits. */
Jsonb *
check_jsonb(FunctionCallInfo fcinfo, int argno, const char *name, int max_bytes)
{
	Jsonb	   *value;
	JsonbMeasure measure;

	check_not_null(fcinfo, argno, name);
	if (toast_raw_datum_size(PG_GETARG_DATUM(argno)) > (Size) max_bytes)
		refuse_value(name, psprintf("at most %d bytes", max_bytes));
	value = PG_GETARG_JSONB_P(argno);
	measure = jsonb_measure(value, max_bytes, MAX_JSONB_DEPTH, MAX_JSONB_DIGITS);
	if (measure.digits > MAX_JSONB_DIGITS)
		refuse_value(name, psprintf("made of numbers with at most %d digits", MAX_JSONB_DIGITS));
	if (measure.depth > MAX_JSONB_DEPTH)
		refuse_value(name, psprintf("nested at most %d levels deep", MAX_JSONB_DEPTH));
	if (measure.bytes > max_bytes)
		refuse_value(name, psprintf("at most %d bytes when it is shown", max_bytes));
	return value;
}

/* Jsonb with the limits of check_jsonb(); an empty object for NULL. */
Jsonb *
check_jsonb_or_empty(FunctionCallInfo fcinfo, int argno, const char *name, int max_bytes)
{
	if (PG_ARGISNULL(argno))
		return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	return check_jsonb(fcinfo, argno, name, max_bytes);
}

/* A JSON object with the limits of check_jsonb(); an empty one for NULL. */
Jsonb *
check_object_or_empty(FunctionCallInfo fcinfo, int argno, const char *name, int max_bytes)
{
	Jsonb	   *value = check_jsonb_or_empty(fcinfo, argno, name, max_bytes);

	if (!JB_ROOT_IS_OBJECT(value))
		refuse_value(name, "a JSON object");
	return value;
}
