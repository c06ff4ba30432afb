/*
 * setup.c
 *	  C functions of the install script, and the event trigger.
 *
 * The script runs as a superuser.  The owner of the data layer may be no
 * superuser, and may have put code into it before the script runs: triggers,
 * defaults, index expressions, a view in the place of a table.  So the part of
 * the script that accesses the data layer is run by run_as_data_owner().
 *
 * Pitfall: the event trigger fires for every role's CREATE TABLE, also for roles
 * without USAGE on our schemas, and runs as that role.  So it uses no object of
 * the extension.
 *
 * Locks: none of its own.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "relations.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(run_as_data_owner);
PG_FUNCTION_INFO_V1(close_created_table);
PG_FUNCTION_INFO_V1(table_names);

static Statement select_touched = {
	.text = "SELECT c.objid FROM pg_catalog.pg_event_trigger_ddl_commands() AS c "
	"WHERE c.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
};

/*
 * studio_engine.run_as_data_owner(p_script text) returns void
 */
Datum
run_as_data_owner(PG_FUNCTION_ARGS)
{
	Caller		caller;

	if (!in_extension_script())
		refuse();
	caller_enter_administrator(&caller);
	check_not_null(fcinfo, 0, "p_script");
	statement_execute_script(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	caller_leave(&caller);

	PG_RETURN_VOID();
}

/* Return a RoleSpec for a role; InvalidOid is PUBLIC. */
static RoleSpec *
role_spec(Oid role)
{
	RoleSpec   *spec = makeNode(RoleSpec);

	spec->location = -1;
	spec->roletype = OidIsValid(role) ? ROLESPEC_CSTRING : ROLESPEC_PUBLIC;
	spec->rolename = OidIsValid(role) ? GetUserNameFromId(role, false) : NULL;
	return spec;
}

/* Return the roles other than the owner that may have rights on a relation, as RoleSpecs. */
static List *
grantees_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	List	   *grantees = NIL;
	Oid			owner;
	Datum		acl;
	bool		isnull;
	Oid		   *members;
	int			nmembers;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	acl = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	nmembers = isnull ? 0 : aclmembers(DatumGetAclP(acl), &members);
	if (!isnull)
		grantees = lappend(grantees, role_spec(InvalidOid));
	for (int i = 0; i < nmembers; i++)
	{
		if (members[i] != owner)
			grantees = lappend(grantees, role_spec(members[i]));
	}
	ReleaseSysCache(tuple);
	return grantees;
}

/* REVOKE ALL ON a relation FROM all roles but its owner CASCADE */
static void
close_relation(Oid relid)
{
	List	   *grantees = grantees_of(relid);
	GrantStmt  *revoke = makeNode(GrantStmt);

	if (grantees == NIL)
		return;
	revoke->is_grant = false;
	revoke->targtype = ACL_TARGET_OBJECT;
	revoke->objtype = OBJECT_TABLE;
	revoke->objects = list_make1(makeRangeVar(get_namespace_name(get_rel_namespace(relid)),
											  get_rel_name(relid), -1));
	revoke->grantees = grantees;
	revoke->behavior = DROP_CASCADE;
	ExecuteGrantStmt(revoke);
}

/* Return true if a command gives a relation another name or schema. */
static bool
moves_relation(Node *command)
{
	ObjectType	type = OBJECT_COLUMN;

	if (IsA(command, RenameStmt))
		type = castNode(RenameStmt, command)->renameType;
	else if (IsA(command, AlterObjectSchemaStmt))
		type = castNode(AlterObjectSchemaStmt, command)->objectType;
	return type == OBJECT_TABLE || type == OBJECT_VIEW || type == OBJECT_MATVIEW ||
		type == OBJECT_FOREIGN_TABLE || type == OBJECT_SEQUENCE;
}

/* Return true if one of the triggers has a function in schema studio_engine. */
static bool
has_engine_trigger(const TriggerDesc *triggers)
{
	Oid			schema = get_namespace_oid("studio_engine", true);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (get_func_namespace(triggers->triggers[i].tgfoid) == schema)
			return true;
	}
	return false;
}

/* Return true if a command alters a relation. */
static bool
alters_relation(CommandTag tag)
{
	return tag == CMDTAG_ALTER_TABLE || tag == CMDTAG_ALTER_VIEW || tag == CMDTAG_ALTER_MATERIALIZED_VIEW ||
		tag == CMDTAG_ALTER_FOREIGN_TABLE || tag == CMDTAG_ALTER_SEQUENCE;
}

/*
 * Return true if a relation with the name of a table of the data layer is new.
 * It is if it was created in this transaction, unlike a view that is replaced;
 * or if it was renamed or moved to that name, unless it has our triggers, as a
 * table of the data layer that is renamed back.
 */
static bool
is_new(Oid relid, bool moved)
{
	Relation	rel = RelationIdGetRelation(relid);
	bool		new;

	if (!RelationIsValid(rel))
		return false;
	new = moved ? !has_engine_trigger(CopyTriggerDesc(rel->trigdesc)) :
		rel->rd_createSubid != InvalidSubTransactionId;
	RelationClose(rel);
	return new;
}

/* Add an OID to a list. */
static void
collect_oid(HeapTuple row, TupleDesc desc, void *arg)
{
	List	  **oids = arg;
	bool		isnull;

	*oids = lappend_oid(*oids, DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull)));
}

/*
 * studio_engine.close_created_table() returns event_trigger: at the end of a
 * command that may have created a table of the data layer, or renamed one to it.
 */
Datum
close_created_table(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;
	List	   *touched = NIL;
	ListCell   *cell;
	Caller		caller;
	bool		moves;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as an event trigger")));
	moves = moves_relation(data->parsetree);
	/* the script revokes and grants by itself */
	if (in_extension_script() || (alters_relation(data->tag) && !moves))
		PG_RETURN_NULL();

	caller_enter_self(&caller);
	statement_execute_each(&select_touched, &NO_ARGUMENTS, collect_oid, &touched);
	foreach(cell, touched)
	{
		Oid			relid = lfirst_oid(cell);

		if (relation_is_ours(relid) && is_new(relid, moves))
			close_relation(relid);
	}
	caller_leave(&caller);

	PG_RETURN_NULL();
}

/*
 * studio_engine.table_names() returns text[]
 */
Datum
table_names(PG_FUNCTION_ARGS)
{
	int			n;
	const char *const *names = relation_names(&n);
	Datum	   *values = palloc(n * sizeof(Datum));

	for (int i = 0; i < n; i++)
		values[i] = CStringGetTextDatum(names[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT));
}
