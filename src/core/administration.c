/*
 * administration.c
 *	  Functions for administrators, superusers included, that change or check the
 *	  data layer.
 *
 * The work is done by functions in PL/pgSQL, called ..._as_owner, since it is
 * about DDL and catalogs for the most part.  The functions here switch to the owner of the data, in
 * a security-restricted operation, and call them.  So triggers, defaults and
 * index expressions that the owner wrote run with the owner's rights, and cannot
 * leave anything in the session that later runs with other rights.
 *
 * Pitfall: a function named here is looked up by name in a schema that the
 * owner may replace.  That is safe as the owner, and only as the owner.
 *
 * Lock order: that of the functions which are called.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/tuplestore.h"

#include "caller.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(rebuild_queue);
PG_FUNCTION_INFO_V1(add_partitions);
PG_FUNCTION_INFO_V1(detach_partitions);
PG_FUNCTION_INFO_V1(partition_by_month);
PG_FUNCTION_INFO_V1(enable_realtime);
PG_FUNCTION_INFO_V1(verify_setup);
PG_FUNCTION_INFO_V1(enable_storage);
PG_FUNCTION_INFO_V1(enable_broadcast);
PG_FUNCTION_INFO_V1(disable_broadcast);

static Statement call_rebuild_queue = {
	.text = "SELECT studio_engine.rebuild_queue_as_owner()"
};
static Statement call_add_partitions = {
	.text = "SELECT studio_engine.add_partitions_as_owner($1, $2)",
	.nargs = 2,.argtypes = {TEXTOID, INT4OID}
};
static Statement call_detach_partitions = {
	.text = "SELECT studio_engine.detach_partitions_as_owner($1, $2, $3)",
	.nargs = 3,.argtypes = {TEXTOID, INTERVALOID, INT4OID}
};
static Statement call_partition_by_month = {
	.text = "SELECT studio_engine.partition_by_month_as_owner($1, $2)",
	.nargs = 2,.argtypes = {TEXTOID, INT4OID}
};
static Statement call_enable_realtime = {
	.text = "SELECT t.table_name, t.added FROM studio_engine.enable_realtime_as_owner() AS t"
};
static Statement call_enable_storage = {
	.text = "SELECT t.object_name, t.added FROM studio_engine.enable_storage_as_owner() AS t"
};

static Statement call_verify_setup = {
	.text = "SELECT t.name, t.ok, t.detail, t.remedy FROM studio_engine.verify_setup_as_owner() AS t"
};

static Statement call_enable_broadcast = {
	.text = "SELECT t.table_name, t.added FROM studio_engine.enable_broadcast_as_owner() AS t"
};
static Statement call_disable_broadcast = {
	.text = "SELECT t.table_name, t.removed FROM studio_engine.disable_broadcast_as_owner() AS t"
};

/* Call a function as the owner of the data, and return its result, an integer. */
static int32
call_as_owner(Statement *statement, const Arguments *args)
{
	Caller		caller;
	int32		result;

	caller_enter_administrator(&caller);
	statement_execute(statement, args);
	result = result_int32(1);
	caller_leave(&caller);

	return result;
}

/*
 * studio_engine.rebuild_queue() returns integer
 */
Datum
rebuild_queue(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);

	PG_RETURN_INT32(call_as_owner(&call_rebuild_queue, &args));
}

/*
 * studio_engine.add_partitions(p_table text, p_ahead integer) returns integer
 */
Datum
add_partitions(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);

	PG_RETURN_INT32(call_as_owner(&call_add_partitions, &args));
}

/*
 * studio_engine.detach_partitions(p_table text, p_older_than interval,
 * p_limit integer) returns integer
 */
Datum
detach_partitions(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);

	PG_RETURN_INT32(call_as_owner(&call_detach_partitions, &args));
}

/*
 * studio_engine.partition_by_month(p_table text, p_ahead integer) returns integer
 */
Datum
partition_by_month(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);

	PG_RETURN_INT32(call_as_owner(&call_partition_by_month, &args));
}

/* Call a function as the owner of the data, and put the rows of its result into that of another. */
static void
put_rows_as_owner(Statement *statement, ReturnSetInfo *rsinfo)
{
	Caller		caller;

	caller_enter_administrator(&caller);
	statement_execute_each(statement, &NO_ARGUMENTS, put_result_row, rsinfo);
	caller_leave(&caller);
}

/*
 * enable_realtime() returns table (table_name text, added boolean)
 */
Datum
enable_realtime(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	put_rows_as_owner(&call_enable_realtime, (ReturnSetInfo *) fcinfo->resultinfo);

	return (Datum) 0;
}

/*
 * enable_broadcast() returns table (table_name text, added boolean)
 */
Datum
enable_broadcast(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	put_rows_as_owner(&call_enable_broadcast, (ReturnSetInfo *) fcinfo->resultinfo);

	return (Datum) 0;
}

/*
 * disable_broadcast() returns table (table_name text, removed boolean)
 */
Datum
disable_broadcast(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	put_rows_as_owner(&call_disable_broadcast, (ReturnSetInfo *) fcinfo->resultinfo);

	return (Datum) 0;
}

/*
 * enable_storage() returns table (object_name text, added boolean)
 */
Datum
enable_storage(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	put_rows_as_owner(&call_enable_storage, (ReturnSetInfo *) fcinfo->resultinfo);

	return (Datum) 0;
}

/*
 * verify_setup() returns table (name text, ok boolean, detail text, remedy text)
 */
Datum
verify_setup(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Caller		caller;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_service(&caller);
	statement_execute_read_only_each(&call_verify_setup, &NO_ARGUMENTS, put_result_row, rsinfo);
	caller_leave(&caller);

	return (Datum) 0;
}
