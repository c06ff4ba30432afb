/*
 * realtime.c
 *	  Sending messages by realtime.send(), the function of Supabase Realtime.
 *
 * The function inserts a row into realtime.messages, from where Realtime takes it.
 * Both belong to the platform, and so both are run with the rights of one who can
 * have written them: the owner of the table, or, where that is a superuser, the
 * owner of the data, who needs the right to insert in any case.  Who has written
 * the function, a trigger of the table or one of its partitions must have the
 * rights of that role; otherwise nothing is sent.  The condition of a trigger runs
 * with those rights too, and may be the work of anybody who may create triggers.
 * Nor is anything sent to topics that our policies do not guard.
 *
 * Pitfall: the function is called by its OID, so that what was checked is what
 * runs, and may be anything: slow, failing, replaced by the next release of
 * Realtime.  The caller catches errors.
 *
 * Pitfall: messages are sent before a commit, which no statement_timeout ends.  So
 * locks on the tables are not waited for, and sending has a time limit.
 *
 * Locks: those of an INSERT into realtime.messages.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "compat.h"
#include "realtime.h"
#include "relations.h"

PG_FUNCTION_INFO_V1(broadcast_obstacle);

/* for all messages of a transaction; checked between two of them */
#define MAX_SENDING_MS 2000

/* the policies of enable_broadcast() without which others could hear or send */
static const char *const guards[] = {"studio_engine_own_only", "studio_engine_no_other", "studio_engine_no_client"};

/* what messages are sent with */
typedef struct Road
{
	Oid			schema;
	Oid			function;
	Oid			function_owner;
	bool		security_definer;
	Oid			table;
	char		table_kind;
	bool		row_security;
	Oid			role;			/* that runs the function */
} Road;

/*
 * Return true if there is a schema realtime.
 */
bool
realtime_exists(void)
{
	return OidIsValid(get_namespace_oid("realtime", true));
}

/* Find realtime.send(); false if there is no such function. */
static bool
find_function(Road *road)
{
	Oid			types[] = {JSONBOID, TEXTOID, TEXTOID, BOOLOID};
	HeapTuple	tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum("send"),
										PointerGetDatum(buildoidvector(types, lengthof(types))),
										ObjectIdGetDatum(road->schema));
	Form_pg_proc form;
	bool		usable;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	road->function = form->oid;
	road->function_owner = form->proowner;
	road->security_definer = form->prosecdef;
	usable = form->prokind == PROKIND_FUNCTION && !form->proretset;
	ReleaseSysCache(tuple);
	return usable;
}

/* Find realtime.messages and the role to run as; false if there is no such table. */
static bool
find_table(Road *road)
{
	HeapTuple	tuple;
	Form_pg_class form;

	road->table = get_relname_relid("messages", road->schema);
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(road->table));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	road->table_kind = form->relkind;
	road->row_security = form->relrowsecurity;
	road->role = superuser_arg(form->relowner) ? engine_owner() : form->relowner;
	ReleaseSysCache(tuple);
	return road->table_kind == RELKIND_RELATION || road->table_kind == RELKIND_PARTITIONED_TABLE;
}

/* Return true if a role may send: use the schema, call the function, insert into the table. */
static bool
may_send(const Road *road, Oid role)
{
	return compat_namespace_aclcheck(road->schema, role, ACL_USAGE) == ACLCHECK_OK &&
		compat_proc_aclcheck(road->function, role, ACL_EXECUTE) == ACLCHECK_OK &&
		pg_class_aclcheck(road->table, role, ACL_INSERT) == ACLCHECK_OK;
}

/* Return true if what one role has written may run with the rights of another. */
static bool
may_write_for(Oid writer, Oid role)
{
	return superuser_arg(writer) || has_privs_of_role(writer, role);
}

/* Return true if a table has a restrictive policy. */
static bool
has_guard(Relation catalog, Oid relid, const char *name)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	policy;
	bool		found;

	ScanKeyInit(&keys[0], Anum_pg_policy_polrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_policy_polname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(catalog, PolicyPolrelidPolnameIndexId, true, NULL, lengthof(keys), keys);
	policy = systable_getnext(scan);
	found = HeapTupleIsValid(policy) && !((Form_pg_policy) GETSTRUCT(policy))->polpermissive;
	systable_endscan(scan);
	return found;
}

/* Return true if the table of messages has the policies that guard our topics. */
static bool
topics_guarded(const Road *road)
{
	Relation	catalog = table_open(PolicyRelationId, AccessShareLock);
	bool		guarded = true;

	for (int i = 0; i < (int) lengthof(guards); i++)
		guarded = guarded && has_guard(catalog, road->table, guards[i]);
	table_close(catalog, AccessShareLock);
	return guarded;
}

/* Return true if a trigger function may run with the rights of a role; with those of its owner it always may. */
static bool
trigger_may_run(Oid function, Oid role)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	result = form->prosecdef || may_write_for(form->proowner, role);
	ReleaseSysCache(tuple);
	return result;
}

/* Return true if all triggers of a table may run with the rights of a role. */
static bool
triggers_may_run(Oid relid, Oid role)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	TriggerDesc *triggers;
	bool		result = true;

	if (rel == NULL)
		return true;
	triggers = CopyTriggerDesc(rel->trigdesc);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		result = result && triggers->triggers[i].tgqual == NULL && trigger_may_run(triggers->triggers[i].tgfoid, role);
	relation_close(rel, AccessShareLock);
	return result;
}

/* Return true if a table and its triggers may run with the rights of a role; a table that is gone does nothing. */
static bool
table_may_run(Oid relid, Oid role)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	bool		trusted,
				has_triggers;

	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_class) GETSTRUCT(tuple);
	trusted = may_write_for(form->relowner, role);
	has_triggers = form->relhastriggers;
	ReleaseSysCache(tuple);
	return trusted && (!has_triggers || triggers_may_run(relid, role));
}

/* Return true if the table of messages and its partitions may run with the rights of a role. */
static bool
tables_may_run(List *tables, Oid role)
{
	ListCell   *cell;

	foreach(cell, tables)
	{
		if (!table_may_run(lfirst_oid(cell), role))
			return false;
	}
	return true;
}

/* Take the locks of an INSERT on tables; false where that would wait. */
static bool
lock_tables(List *tables)
{
	ListCell   *cell;

	foreach(cell, tables)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(cell), RowExclusiveLock))
			return false;
	}
	return true;
}

/*
 * Find what messages are sent with, and take the locks if they are about to be.
 * Returns NULL, or the reason why nothing is sent.
 */
static const char *
find_road(Road *road, bool take_locks)
{
	List	   *tables;

	road->schema = get_namespace_oid("realtime", true);
	if (!OidIsValid(road->schema))
		return "There is no schema realtime.";
	if (!find_function(road))
		return "There is no function realtime.send(jsonb, text, text, boolean).";
	if (!find_table(road))
		return "There is no table realtime.messages.";
	if (!may_send(road, engine_owner()) || !may_send(road, road->role))
		return "The owner of the data may not use schema realtime, call realtime.send() and insert into realtime.messages.";
	tables = find_all_inheritors(road->table, NoLock, NULL);
	if (take_locks && !lock_tables(tables))
		return "Table realtime.messages is locked.";
	/* a function with the rights of its owner is nobody else's */
	if (!road->security_definer && !may_write_for(road->function_owner, road->role))
		return "Function realtime.send() belongs to a role without the rights of the owner of realtime.messages.";
	if (!road->security_definer && !tables_may_run(tables, road->role))
		return "A trigger or a partition of realtime.messages belongs to a role without the rights of the owner of the table, or a trigger has a condition.";
	if (!road->row_security)
		return "There is no row level security on realtime.messages.";
	/* the last one, which enable_broadcast() mends */
	if (!topics_guarded(road))
		return "Policies of enable_broadcast() are missing on realtime.messages.";
	return NULL;
}

/* Warn, once in a session, that nothing is sent. */
static void
warn_of_obstacle(const char *reason)
{
	static const char *warned = NULL;

	if (reason == warned)
		return;
	warned = reason;
	ereport(WARNING,
			(errmsg("changes are not told to clients"),
			 errdetail("%s", reason),
			 errhint("disable_broadcast() ends this.")));
}

/* Call the function. */
static void
send_message(FmgrInfo *function, const RealtimeMessage *message)
{
	LOCAL_FCINFO(call, 4);
	GucProtection protection = guc_protect();

	InitFunctionCallInfoData(*call, function, 4, InvalidOid, NULL, NULL);
	call->args[0].value = DirectFunctionCall1(jsonb_in, CStringGetDatum(message->payload));
	call->args[1].value = CStringGetTextDatum(message->event);
	call->args[2].value = CStringGetTextDatum(message->topic);
	call->args[3].value = BoolGetDatum(true);
	for (int i = 0; i < 4; i++)
		call->args[i].isnull = false;
	/* a function in SQL returns its void as NULL */
	(void) FunctionCallInvoke(call);
	guc_unprotect(protection);
}

/*
 * Send messages, unless there is an obstacle.  What the platform has written runs with
 * the rights of one role of it, in a security-restricted operation.  The memory
 * that a message takes is freed before the next one.
 */
void
realtime_send(RealtimeSource next, void *arg)
{
	Road		road;
	const char *reason = find_road(&road, true);
	FmgrInfo	function;
	Caller		caller,
				platform;
	MemoryContext each,
				old;
	RealtimeMessage message;
	TimestampTz start = GetCurrentTimestamp();

	if (reason != NULL)
	{
		if (OidIsValid(road.schema))
			warn_of_obstacle(reason);
		return;
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	caller_enter_self(&caller);
	caller_become(&platform, road.role);
	fmgr_info(road.function, &function);
	each = AllocSetContextCreate(CurrentMemoryContext, "studio_engine message", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(each);
	while (next(&message, arg))
	{
		CHECK_FOR_INTERRUPTS();
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), MAX_SENDING_MS))
		{
			warn_of_obstacle("Sending took longer than two seconds; the other messages of the transaction are not sent.");
			break;
		}
		send_message(&function, &message);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(old);
	caller_resume(&platform);
	caller_leave(&caller);
	PopActiveSnapshot();
}

/*
 * studio_engine.broadcast_obstacle() returns text
 */
Datum
broadcast_obstacle(PG_FUNCTION_ARGS)
{
	Caller		caller;
	Road		road;
	const char *reason;

	caller_enter_administrator(&caller);
	reason = find_road(&road, false);
	caller_leave(&caller);

	if (reason == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(reason));
}
