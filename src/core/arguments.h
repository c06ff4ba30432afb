/*
 * arguments.h
 *	  Arguments of statements, and results of the fast path.
 */
#ifndef STUDIO_ARGUMENTS_H
#define STUDIO_ARGUMENTS_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/uuid.h"

#include "compat.h"
#include "showing.h"

#define STATEMENT_MAX_ARGS 16
#define RESULT_MAX_COLUMNS 12

/* arguments of a statement or of a function: values with their null flags */
typedef struct Arguments
{
	Datum		values[STATEMENT_MAX_ARGS];
	char		nulls[STATEMENT_MAX_ARGS];
	int			n;
} Arguments;

#define NO_ARGUMENTS ((Arguments) {.n = 0})

/* the result of a fast path function: the number of rows, and the columns of the first */
typedef struct StatementResult
{
	uint64		found;
	int			n;
	Datum		values[RESULT_MAX_COLUMNS];
	bool		nulls[RESULT_MAX_COLUMNS];
	void	   *rows;			/* all rows, in the function's own format */
} StatementResult;

extern void argument_add(Arguments *args, Datum value, bool isnull);
extern void argument_uuid(Arguments *args, const pg_uuid_t *value);
extern void argument_int32(Arguments *args, int32 value);
extern void argument_time(Arguments *args, const TimestampTz *value);
extern void argument_text(Arguments *args, const char *value);
extern void argument_pass(Arguments *args, FunctionCallInfo fcinfo, int argno);
extern Arguments arguments_first(FunctionCallInfo fcinfo, int n);
extern Arguments arguments_of_call(FunctionCallInfo fcinfo);

/* add the columns of a result, in their order */
extern void result_add_null(StatementResult *result);
extern void result_add_datum(StatementResult *result, Datum value);
extern void result_add_uuid(StatementResult *result, pg_uuid_t value);
extern void result_add_int32(StatementResult *result, int32 value);
extern void result_add_int64(StatementResult *result, int64 value);
extern void result_add_bool(StatementResult *result, bool value);
extern void result_add_shown(StatementResult *result, Shown shown);
extern void result_add_text(StatementResult *result, const char *value);

#endif							/* STUDIO_ARGUMENTS_H */
