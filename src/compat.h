/*
 * compat.h
 *	  The only place that asks for PG_VERSION_NUM.
 */
#ifndef STUDIO_COMPAT_H
#define STUDIO_COMPAT_H

/* from 18 on a module tells pg_get_loaded_modules() its name and version */
#if PG_VERSION_NUM >= 180000
#define STUDIO_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "studio_engine", .version = STUDIO_ENGINE_VERSION)
#else
#define STUDIO_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 18 has the C23-like spelling that stands before the declaration */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* from 16 on the macros for values of variable length are not in postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* from 18 on an index scan can count for EXPLAIN */
#if PG_VERSION_NUM >= 180000
#define compat_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define compat_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, nkeys, 0)
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

/* from 17 on an access method may keep something until the last insert */
#if PG_VERSION_NUM >= 170000
#define compat_index_insert_cleanup(index, info) index_insert_cleanup(index, info)
#else
#define compat_index_insert_cleanup(index, info) ((void) 0)
#endif

/* from 17 on */
#if PG_VERSION_NUM >= 170000
#define compat_local_transaction() (MyProc->vxid.lxid)
#else
#define compat_local_transaction() (MyProc->lxid)
#endif

/* before 16 the array of all parameters is guc.c's own, from then on a copy */
#if PG_VERSION_NUM >= 160000
#define compat_guc_variables(n) get_guc_variables(n)
#else
#define compat_guc_variables(n) (*(n) = GetNumConfigOptions(), get_guc_variables())
#endif

#endif							/* STUDIO_COMPAT_H */
