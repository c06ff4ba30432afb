/*
 * compat.h
 *	  The only file that depends on PG_VERSION_NUM.
 *
 * A wrapper has the signature and meaning of the newest server's function, and its
 * name with the prefix compat_.
 */
#ifndef STUDIO_COMPAT_H
#define STUDIO_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "studio_engine needs PostgreSQL 15 or newer"
#endif

#include "utils/jsonb.h"
#include "utils/numeric.h"
#if PG_VERSION_NUM >= 190000
#include "nodes/miscnodes.h"
#endif

/* from 18 on pg_get_loaded_modules() shows the name and version of a module */
#if PG_VERSION_NUM >= 180000
#define STUDIO_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "studio_engine", .version = STUDIO_ENGINE_VERSION)
#else
#define STUDIO_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 18 has pg_noreturn, written before the declaration as in C23 */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* from 16 on the macros for values of variable length are not in postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* from 18 on an argument for the counters of EXPLAIN, from 19 on also flags */
#if PG_VERSION_NUM >= 190000
#define compat_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0, SO_NONE)
#elif PG_VERSION_NUM >= 180000
#define compat_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define compat_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, nkeys, 0)
#endif

/* from 19 on both have options, which are not used here */
#if PG_VERSION_NUM >= 190000
#define compat_table_tuple_update(table, tid, slot, cid, snapshot, failure, mode, indexes) \
	table_tuple_update(table, tid, slot, cid, 0, snapshot, InvalidSnapshot, true, failure, mode, indexes)
#define compat_table_tuple_delete(table, tid, cid, snapshot, wait, failure) \
	table_tuple_delete(table, tid, cid, 0, snapshot, InvalidSnapshot, wait, failure)
#else
#define compat_table_tuple_update(table, tid, slot, cid, snapshot, failure, mode, indexes) \
	table_tuple_update(table, tid, slot, cid, snapshot, InvalidSnapshot, true, failure, mode, indexes)
#define compat_table_tuple_delete(table, tid, cid, snapshot, wait, failure) \
	table_tuple_delete(table, tid, cid, snapshot, InvalidSnapshot, wait, failure, false)
#endif

/* from 16 on one function for all kinds of objects */
#if PG_VERSION_NUM >= 160000
#define compat_namespace_aclcheck(schema, role, mode) object_aclcheck(NamespaceRelationId, schema, role, mode)
#define compat_proc_aclcheck(function, role, mode) object_aclcheck(ProcedureRelationId, function, role, mode)
#else
#define compat_namespace_aclcheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#define compat_proc_aclcheck(function, role, mode) pg_proc_aclcheck(function, role, mode)
#endif

/* from 16 on an update may need entries in the summarizing indexes alone */
#if PG_VERSION_NUM >= 160000
#define UpdatedIndexes TU_UpdateIndexes
#define UPDATED_INDEXES(which) ((which) != TU_None)
#define SUMMARIZING_ONLY(which) ((which) == TU_Summarizing)
#define INDEX_IS_SUMMARIZING(info) ((info)->ii_Summarizing)
#else
#define UpdatedIndexes bool
#define UPDATED_INDEXES(which) (which)
#define SUMMARIZING_ONLY(which) false
#define INDEX_IS_SUMMARIZING(info) false
#endif

/* from 18 on a check constraint may be NOT ENFORCED */
#if PG_VERSION_NUM >= 180000
#define CHECK_IS_ENFORCED(check) ((check)->ccenforced)
#else
#define CHECK_IS_ENFORCED(check) true
#endif

/* from 17 on an access method may have state that is to be freed after the last insert */
#if PG_VERSION_NUM >= 170000
#define compat_index_insert_cleanup(index, info) index_insert_cleanup(index, info)
#else
#define compat_index_insert_cleanup(index, info) ((void) 0)
#endif

/* from 17 on the local transaction id is part of vxid */
#if PG_VERSION_NUM >= 170000
#define compat_local_transaction() (MyProc->vxid.lxid)
#else
#define compat_local_transaction() (MyProc->lxid)
#endif

/* before 16 the array of parameters of guc.c itself, from 16 on a copy */
#if PG_VERSION_NUM >= 160000
#define compat_guc_variables(n) get_guc_variables(n)
#else
#define compat_guc_variables(n) (*(n) = GetNumConfigOptions(), get_guc_variables())
#endif

/*
 * The state in which jsonb is built, to be zeroed first; its result is set when
 * the end is pushed.  Before 19 pushJsonbValue() returned the result, and there
 * was no struct for both.
 */
#if PG_VERSION_NUM >= 190000
typedef JsonbInState JsonbBuilder;

#define compat_push_jsonb(builder, token, value) pushJsonbValue(builder, token, value)
#else
typedef struct JsonbBuilder
{
	JsonbParseState *stack;
	JsonbValue *result;
} JsonbBuilder;

#define compat_push_jsonb(builder, token, value) \
	((builder)->result = pushJsonbValue(&(builder)->stack, token, value))
#endif

/*
 * Convert a numeric to an integer; false if it is none, or out of range.  From 19
 * on the error is reported in an ErrorSaveContext.
 */
static inline bool
compat_numeric_int4(Numeric number, int32 *result)
{
#if PG_VERSION_NUM >= 190000
	ErrorSaveContext context = {.type = T_ErrorSaveContext};

	*result = numeric_int4_safe(number, (Node *) &context);
	return !context.error_occurred;
#else
	bool		failed = false;

	*result = numeric_int4_opt_error(number, &failed);
	return !failed;
#endif
}

#endif							/* STUDIO_COMPAT_H */
