/*
 * policies.h
 *	  Restrictive policies of the owner, for rows that functions write for users.
 */
#ifndef STUDIO_POLICIES_H
#define STUDIO_POLICIES_H

#include "caller.h"
#include "statements.h"

/* a table whose rows functions write for users */
typedef struct PolicedTable
{
	const char *schema;			/* NULL: that of the extension */
	const char *name;
	Statement  *select_row;		/* the row of a key, as one composite value */
} PolicedTable;

/* what is done to the row */
typedef enum RowUse
{
	ROW_TO_UPDATE,
	ROW_UPDATED,
	ROW_INSERTED
} RowUse;

extern void policies_check(const Caller *caller, const PolicedTable *table, const Arguments *key, RowUse use);
extern void policies_check_uuid(const Caller *caller, const PolicedTable *table, const pg_uuid_t *key, RowUse use);

#endif							/* STUDIO_POLICIES_H */
