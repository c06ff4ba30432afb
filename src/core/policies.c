/*
 * policies.c
 *	  Restrictive policies of the owner, for rows that functions write for users.
 *
 * Functions write as the owner of the data, to whom row level security does not
 * apply, after they have checked what our own policies demand.  Our policies are
 * all permissive.  A restrictive one is the owner's, who wants that users do less,
 * by whatever road: no anonymous users, or only with a second factor.  So it is
 * evaluated for the row that a user's call writes, with his rights, as PostgreSQL
 * would: what the row must have before an UPDATE, and after INSERT and UPDATE.
 *
 * Pitfall: rows that functions only read are not checked, nor does a permissive
 * policy of the owner open a function to anybody.
 *
 * Pitfall: subqueries of a policy see what the calling query sees, so not the row
 * that was just written.
 *
 * Locks: none of its own.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/pg_list.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "policies.h"
#include "relations.h"

/* Return true if a policy is for a role. */
static bool
is_for_role(const RowSecurityPolicy *policy, Oid role)
{
	Datum	   *roles;
	int			n;

	deconstruct_array(policy->roles, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &roles, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		if (DatumGetObjectId(roles[i]) == ACL_ID_PUBLIC || has_privs_of_role(role, DatumGetObjectId(roles[i])))
			return true;
	}
	return false;
}

/* Return true if a policy restricts what is done to a row. */
static bool
restricts(const RowSecurityPolicy *policy, RowUse use, Oid role)
{
	char		command = use == ROW_INSERTED ? ACL_INSERT_CHR : ACL_UPDATE_CHR;

	return !policy->permissive && (policy->polcmd == '*' || policy->polcmd == command) && is_for_role(policy, role);
}

/* Return the text of what a policy demands of the row. */
static char *
demand_of(const RowSecurityPolicy *policy, RowUse use, Oid relid)
{
	Expr	   *demand = use != ROW_TO_UPDATE && policy->with_check_qual ? policy->with_check_qual : policy->qual;
	text	   *node = cstring_to_text(nodeToString(demand));

	return TextDatumGetCString(DirectFunctionCall2(pg_get_expr, PointerGetDatum(node), ObjectIdGetDatum(relid)));
}

/*
 * Return what the restrictive policies of a table demand of a row, or NULL if
 * there are none; and their names.  The entry of the relcache stays as it is while
 * the table is locked, since altering a policy locks it exclusively.
 */
static char *
demands_of_table(Oid relid, RowUse use, Oid role, char **names)
{
	Relation	rel = table_open(relid, AccessShareLock);
	StringInfoData demands,
				list;
	ListCell   *cell;

	initStringInfo(&demands);
	initStringInfo(&list);
	if (rel->rd_rsdesc != NULL && rel->rd_rel->relrowsecurity)
	{
		foreach(cell, rel->rd_rsdesc->policies)
		{
			RowSecurityPolicy *policy = lfirst(cell);

			if (!restricts(policy, use, role))
				continue;
			appendStringInfo(&demands, "%s(%s)", demands.len > 0 ? " AND " : "", demand_of(policy, use, relid));
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", policy->policy_name);
		}
	}
	table_close(rel, AccessShareLock);
	*names = list.data;
	return demands.len > 0 ? demands.data : NULL;
}

/* Return true if a row is what is demanded, in the eyes of a role. */
static bool
satisfies(Datum row, const char *demands, const char *table, Oid role)
{
	Caller		self;
	bool		satisfied;

	caller_become(&self, role);
	satisfied = statement_row_satisfies(row, demands, table);
	caller_resume(&self);
	return satisfied;
}

/*
 * Raise an error if the caller is a user, and a restrictive policy does not let
 * him have the row of a key written.
 */
void
policies_check(const Caller *caller, const PolicedTable *table, const Arguments *key, RowUse use)
{
	Oid			schema;
	char	   *names;
	char	   *demands;

	if (caller->service)
		return;
	schema = table->schema ? get_namespace_oid(table->schema, false) : extension_schema();
	demands = demands_of_table(get_relname_relid(table->name, schema), use, caller->saved_user, &names);
	if (demands == NULL || statement_execute(table->select_row, key) == 0)
		return;
	if (!satisfies(result_jsonb(1), demands, table->name, caller->saved_user))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a policy of the table does not allow this"),
				 errdetail("Restrictive policies of table %s: %s.", table->name, names),
				 errhint("Functions heed the restrictive policies for the rows that they write for users.")));
}

/*
 * The same for a row whose key is a uuid.
 */
void
policies_check_uuid(const Caller *caller, const PolicedTable *table, const pg_uuid_t *key, RowUse use)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, key);
	policies_check(caller, table, &args, use);
}
