/*
 * arguments.c
 *	  Arguments of statements, and results of the fast path.
 *
 * Pitfall: neither copies what a Datum points to, but for what is said below.  It
 * must be in memory that lives as long as the SPI connection.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"

/*
 * Add an argument.  The functions below do so by type.
 */
void
argument_add(Arguments *args, Datum value, bool isnull)
{
	if (args->n >= STATEMENT_MAX_ARGS)
		elog(ERROR, "too many arguments for a statement");
	args->values[args->n] = value;
	args->nulls[args->n] = isnull ? 'n' : ' ';
	args->n++;
}

/* A NULL pointer is an SQL NULL, here and below. */
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

/*
 * Add an argument of the called function, NULL or not.
 */
void
argument_pass(Arguments *args, FunctionCallInfo fcinfo, int argno)
{
	argument_add(args, PG_GETARG_DATUM(argno), PG_ARGISNULL(argno));
}

/*
 * Return the first arguments of the called function, in their order.
 */
Arguments
arguments_first(FunctionCallInfo fcinfo, int n)
{
	Arguments	args = NO_ARGUMENTS;

	for (int i = 0; i < n; i++)
		argument_pass(&args, fcinfo, i);
	return args;
}

/*
 * Return all arguments of the called function, in their order.
 */
Arguments
arguments_of_call(FunctionCallInfo fcinfo)
{
	return arguments_first(fcinfo, PG_NARGS());
}

/* Add a column to a result. */
static void
add_column(StatementResult *result, Datum value, bool isnull)
{
	if (result->n >= RESULT_MAX_COLUMNS)
		elog(ERROR, "too many columns of a result");
	result->values[result->n] = value;
	result->nulls[result->n] = isnull;
	result->n++;
}

void
result_add_null(StatementResult *result)
{
	add_column(result, (Datum) 0, true);
}

/* not copied: it must be in memory of this SPI connection */
void
result_add_datum(StatementResult *result, Datum value)
{
	add_column(result, value, false);
}

void
result_add_uuid(StatementResult *result, pg_uuid_t value)
{
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = value;
	add_column(result, UUIDPGetDatum(copy), false);
}

void
result_add_int32(StatementResult *result, int32 value)
{
	add_column(result, Int32GetDatum(value), false);
}

void
result_add_int64(StatementResult *result, int64 value)
{
	add_column(result, Int64GetDatum(value), false);
}

void
result_add_bool(StatementResult *result, bool value)
{
	add_column(result, BoolGetDatum(value), false);
}

/* the three columns that result_shown() reads */
void
result_add_shown(StatementResult *result, Shown shown)
{
	result_add_datum(result, shown.row);
	result_add_bool(result, shown.whole);
	result_add_int64(result, shown.bytes);
}

/* as a C string, for result_text() only; NULL for an SQL NULL */
void
result_add_text(StatementResult *result, const char *value)
{
	add_column(result, CStringGetDatum(value), value == NULL);
}
