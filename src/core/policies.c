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
 * Pitfall: the text of a policy is parsed again, and some forms do not show which
 * operator they use.  An operator outside pg_catalog would become another one there,
 * so such a policy is refused.
 *
 * Locks: none of its own.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "policies.h"
#include "relations.h"

/* Return a column of a policy. */
static Datum
policy_column(Relation catalog, HeapTuple policy, AttrNumber column, bool *isnull)
{
	return heap_getattr(policy, column, RelationGetDescr(catalog), isnull);
}

/* Return true if a policy is for a role. */
static bool
is_for_role(Relation catalog, HeapTuple policy, Oid role)
{
	bool		isnull;
	Datum		array = policy_column(catalog, policy, Anum_pg_policy_polroles, &isnull);
	Datum	   *roles;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), OIDOID, sizeof(Oid), true, TYPALIGN_INT, &roles, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		if (DatumGetObjectId(roles[i]) == ACL_ID_PUBLIC || has_privs_of_role(role, DatumGetObjectId(roles[i])))
			return true;
	}
	return false;
}

/* Return true if policies for a command hold for a row; an UPDATE with a condition reads its rows, too. */
static bool
is_for_use(char command, RowUse use)
{
	if (use == ROW_INSERTED)
		return command == '*' || command == ACL_INSERT_CHR;
	return command == '*' || command == ACL_UPDATE_CHR || command == ACL_SELECT_CHR;
}

/* Return true if a policy restricts what is done to a row. */
static bool
restricts(Relation catalog, HeapTuple policy, RowUse use, Oid role)
{
	Form_pg_policy form = (Form_pg_policy) GETSTRUCT(policy);

	return !form->polpermissive && is_for_use(form->polcmd, use) && is_for_role(catalog, policy, role);
}

/* Return true if an operator is not in pg_catalog. */
static bool
is_foreign(Oid operator)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	bool		foreign = !HeapTupleIsValid(tuple) || ((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace != PG_CATALOG_NAMESPACE;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return foreign;
}

/* Return true if a comparison of rows uses an operator that is not in pg_catalog. */
static bool
compares_by_foreign(const RowCompareExpr *comparison)
{
	ListCell   *cell;

	foreach(cell, comparison->opnos)
	{
		if (is_foreign(lfirst_oid(cell)))
			return true;
	}
	return false;
}

/* Return true if an expression uses an operator that is not in pg_catalog. */
static bool
uses_foreign_operator(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, OpExpr) && is_foreign(((OpExpr *) node)->opno))
		return true;
	if (IsA(node, RowCompareExpr) && compares_by_foreign((RowCompareExpr *) node))
		return true;
	return expression_tree_walker(node, uses_foreign_operator, context);
}

/* Return true if the text of a node does not show an operator that is not in pg_catalog. */
static bool
hides_operator(Node *node)
{
	if (IsA(node, DistinctExpr) || IsA(node, NullIfExpr))
		return is_foreign(((OpExpr *) node)->opno);
	if (IsA(node, RowCompareExpr))
		return compares_by_foreign((RowCompareExpr *) node);
	if (IsA(node, CaseExpr))
		return ((CaseExpr *) node)->arg != NULL && uses_foreign_operator(node, NULL);
	if (IsA(node, SubLink))
		return uses_foreign_operator(((SubLink *) node)->testexpr, NULL);
	return IsA(node, JoinExpr) && ((JoinExpr *) node)->usingClause != NIL &&
		uses_foreign_operator(((JoinExpr *) node)->quals, NULL);
}

/* Return true if the text of an expression would be taken for another expression, or for none: depth is that of subqueries. */
static bool
loses_by_text(Node *node, void *depth)
{
	if (node == NULL)
		return false;
	if (hides_operator(node))
		return true;
	/* the row that is checked has no system columns */
	if (IsA(node, Var) && ((Var *) node)->varlevelsup == *(Index *) depth && ((Var *) node)->varattno < 0)
		return true;
	if (IsA(node, Query))
	{
		Index		inner = *(Index *) depth + 1;

		return query_tree_walker((Query *) node, loses_by_text, &inner, 0);
	}
	return expression_tree_walker(node, loses_by_text, depth);
}

/* Raise an error if the expression of a policy cannot be evaluated from its text. */
static void
require_text(const char *expression, const char *policy)
{
	Index		depth = 0;

	if (loses_by_text(stringToNode(expression), &depth))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a policy cannot be checked by functions"),
				 errdetail("Restrictive policy %s.", policy),
				 errhint("Use operators of pg_catalog in IS DISTINCT FROM, NULLIF, CASE, JOIN USING, comparisons of rows and with"
						 " subqueries, and no system columns.")));
}

/* Return the text of what a policy demands of the row. */
static char *
demand_of(Relation catalog, HeapTuple policy, RowUse use)
{
	Oid			relid = ((Form_pg_policy) GETSTRUCT(policy))->polrelid;
	Datum		demand = (Datum) 0;
	bool		isnull = true;

	if (use != ROW_TO_UPDATE)
		demand = policy_column(catalog, policy, Anum_pg_policy_polwithcheck, &isnull);
	if (isnull)
		demand = policy_column(catalog, policy, Anum_pg_policy_polqual, &isnull);
	if (isnull)
		return pstrdup("true");
	require_text(TextDatumGetCString(demand), NameStr(((Form_pg_policy) GETSTRUCT(policy))->polname));
	return TextDatumGetCString(DirectFunctionCall2(pg_get_expr, demand, ObjectIdGetDatum(relid)));
}

/* Return true if row level security is on for a table. */
static bool
has_row_security(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		on = HeapTupleIsValid(tuple) && ((Form_pg_class) GETSTRUCT(tuple))->relrowsecurity;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return on;
}

/*
 * Return what the restrictive policies of a table demand of a row, or NULL if
 * there are none; and their names.
 */
static char *
demands_of_table(Oid relid, RowUse use, Oid role, char **names)
{
	Relation	catalog;
	StringInfoData demands,
				list;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	policy;

	if (!has_row_security(relid))
		return NULL;
	catalog = table_open(PolicyRelationId, AccessShareLock);
	initStringInfo(&demands);
	initStringInfo(&list);
	ScanKeyInit(&key, Anum_pg_policy_polrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, PolicyPolrelidPolnameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(policy = systable_getnext(scan)))
	{
		if (!restricts(catalog, policy, use, role))
			continue;
		appendStringInfo(&demands, "%s(%s)", demands.len > 0 ? " AND " : "", demand_of(catalog, policy, use));
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 NameStr(((Form_pg_policy) GETSTRUCT(policy))->polname));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
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
