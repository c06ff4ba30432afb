/*
 * statements.h
 *	  SQL statements with kept plans.
 *
 * A domain file declares its statements as static variables:
 *
 *		static Statement select_owner = {
 *			.text = "SELECT user_id FROM @extschema@.jobs WHERE id = $1",
 *			.nargs = 1,.argtypes = {UUIDOID}
 *		};
 *
 * and runs them between caller_enter() and caller_leave().
 */
#ifndef STUDIO_STATEMENTS_H
#define STUDIO_STATEMENTS_H

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/uuid.h"

#include "compat.h"

#define STATEMENT_MAX_ARGS 16

typedef struct Statement
{
	const char *text;			/* fixed; @extschema@ stands for our schema */
	bool		by_index;		/* finds its few rows by index, however many
								 * there are */
	int			nargs;
	Oid			argtypes[STATEMENT_MAX_ARGS];
	/* kept by statements.c */
	SPIPlanPtr	plan;
	bool		planned;
	uint64		generation;
} Statement;

/* arguments of a statement or of a function: values with their null flags */
typedef struct Arguments
{
	Datum		values[STATEMENT_MAX_ARGS];
	char		nulls[STATEMENT_MAX_ARGS];
	int			n;
} Arguments;

#define NO_ARGUMENTS ((Arguments) {.n = 0})

extern void argument_add(Arguments *args, Datum value, bool isnull);
extern void argument_uuid(Arguments *args, const pg_uuid_t *value);
extern void argument_int32(Arguments *args, int32 value);
extern void argument_time(Arguments *args, const TimestampTz *value);
extern void argument_text(Arguments *args, const char *value);
extern void argument_pass(Arguments *args, FunctionCallInfo fcinfo, int argno);

extern uint64 statement_run(Statement *statement, const Arguments *args);
extern uint64 statement_read(Statement *statement, const Arguments *args);
extern uint64 statement_look(Statement *statement, const Arguments *args);

extern bool statement_is_planned(const Statement *statement);

typedef void (*RowFunction) (HeapTuple row, TupleDesc desc, void *arg);

extern void statement_run_each(Statement *statement, const Arguments *args, RowFunction function, void *arg);
extern void statement_read_each(Statement *statement, const Arguments *args, RowFunction function, void *arg);

extern List *statement_run_uuids(Statement *statement, const Arguments *args);

pg_noreturn extern void refuse_lost_row(void);

extern int32 result_int32(int column);
extern int64 result_int64(int column);
extern bool result_bool(int column);
extern bool result_isnull(int column);
extern pg_uuid_t result_uuid(int column);
extern char *result_text(int column);
extern Datum result_jsonb(int column);

#endif							/* STUDIO_STATEMENTS_H */
