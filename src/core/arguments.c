/*
 * arguments.c
 *	  What goes into a statement and what comes out of it.
 *
 * Pitfall: neither copies what a Datum points to.  It must be in memory that
 * lives as long as the SPI connection.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"

void
argument_add(Arguments *args, Datum value, bool isnull)
{
	if (args->n >= STATEMENT_MAX_ARGS)
		elog(ERROR, "too many arguments for a statement");
	args->values[args->n] = value;
	args->nulls[args->n] = isnull ? 'n' : ' ';
	args->n++;
}

/* NULL pointers are SQL NULLs */
void
argument_uuid(Arguments *args, const pg_uuid_t *value)
{
	argument_add(args, UUIDPGetDatum(value), value == NULL);
}

void
argument_int32(Arguments *args, int32 value)
{
	argument_add(args, Int32GetDatum(value), false);
}

void
argument_time(Arguments *args, const TimestampTz *value)
{
	argument_add(args, value ? TimestampTzGetDatum(*value) : (Datum) 0, value == NULL);
}

void
argument_text(Arguments *args, const char *value)
{
	argument_add(args, value ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

/* An argument of the function that was called, NULL or not. */
void
argument_pass(Arguments *args, FunctionCallInfo fcinfo, int argno)
{
	argument_add(args, PG_GETARG_DATUM(argno), PG_ARGISNULL(argno));
}

/* All of them, in their order. */
Arguments
arguments_of_call(FunctionCallInfo fcinfo)
{
	Arguments	args = NO_ARGUMENTS;

	for (int i = 0; i < PG_NARGS(); i++)
		argument_pass(&args, fcinfo, i);
	return args;
}

static void
add_answer(Answer *answer, Datum value, bool isnull)
{
	if (answer->n >= ANSWER_MAX_COLUMNS)
		elog(ERROR, "too many columns of an answer");
	answer->values[answer->n] = value;
	answer->nulls[answer->n] = isnull;
	answer->n++;
}

void
answer_null(Answer *answer)
{
	add_answer(answer, (Datum) 0, true);
}

/* what a Datum points to must be in memory of this SPI connection */
void
answer_datum(Answer *answer, Datum value)
{
	add_answer(answer, value, false);
}

void
answer_uuid(Answer *answer, pg_uuid_t value)
{
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = value;
	add_answer(answer, UUIDPGetDatum(copy), false);
}

void
answer_int32(Answer *answer, int32 value)
{
	add_answer(answer, Int32GetDatum(value), false);
}

void
answer_int64(Answer *answer, int64 value)
{
	add_answer(answer, Int64GetDatum(value), false);
}

void
answer_bool(Answer *answer, bool value)
{
	add_answer(answer, BoolGetDatum(value), false);
}

/* for result_shown() */
void
answer_shown(Answer *answer, Shown shown)
{
	answer_datum(answer, shown.row);
	answer_bool(answer, shown.whole);
	answer_int64(answer, shown.bytes);
}

/* for result_text() only; NULL for an SQL NULL */
void
answer_text(Answer *answer, const char *value)
{
	add_answer(answer, CStringGetDatum(value), value == NULL);
}
