/*
 * hooks.c
 *	  Keeps the hooks of studio_engine on auth.users when another role creates a
 *	  trigger there.
 *
 * A project has a trigger on_auth_user_created of its own, or a dump or migration
 * brings one, ours or the project's.  Its command shall neither fail, since ours
 * has the name, nor replace ours, nor leave two of ours.  So before it runs, a
 * trigger of ours with that name or function makes way, and after it a hook that
 * no trigger runs is attached again, under a name that is free.
 *
 * Pitfall: the event triggers fire for every role's CREATE TRIGGER.  Before the
 * command only catalogs are read, and nothing is done for a role that may not
 * create the trigger.  After it hooks are attached as the owner of the data, who
 * has our functions; where that fails, the command of the other role succeeds.
 *
 * Locks: auth.users, as CREATE TRIGGER does; exclusively, as DROP TRIGGER does, if a
 * trigger of ours makes way.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "caller.h"
#include "compat.h"
#include "relations.h"
#include "statements.h"
#include "subtransactions.h"

PG_FUNCTION_INFO_V1(keep_hooks);

/* the hooks by name, each with its function */
static const struct
{
	const char *hook;
	const char *function;
}			hooks[] = {
	{"on_auth_user_created", "handle_new_user"},
	{"on_auth_user_updated", "handle_user_change"},
	{"on_auth_user_deleted", "lock_jobs_of_user"}
};

static Statement select_missing = {
	.text = "SELECT m.hook, m.remedy FROM studio_engine.missing_hooks() AS m"
};

/* Return the number of the hook that runs a function, -1 if it is none of ours. */
static int
hook_of_function(Oid function)
{
	char	   *name = get_func_name(function);

	if (name == NULL ||
		getExtensionOfObject(ProcedureRelationId, function) != get_extension_oid("studio_engine", true))
		return -1;
	for (int i = 0; i < (int) lengthof(hooks); i++)
	{
		if (strcmp(hooks[i].function, name) == 0)
			return i;
	}
	return -1;
}

/*
 * Return the table of a CREATE TRIGGER if it is auth.users and the caller may
 * create triggers on it; InvalidOid otherwise.
 */
static Oid
users_of_command(const CreateTrigStmt *command)
{
	Oid			users = get_relname_relid("users", get_namespace_oid("auth", true));
	const RangeVar *table = command->relation;

	if (!OidIsValid(users) || strcmp(table->relname, "users") != 0 ||
		(table->schemaname != NULL ? strcmp(table->schemaname, "auth") != 0 : RelnameGetRelid("users") != users) ||
		pg_class_aclcheck(users, GetUserId(), ACL_TRIGGER) != ACLCHECK_OK)
		return InvalidOid;
	return users;
}

/* Return a copy of the triggers of a table, NULL if there is none. */
static TriggerDesc *
triggers_of(Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	TriggerDesc *triggers;

	if (!RelationIsValid(rel))
		return NULL;
	triggers = CopyTriggerDesc(rel->trigdesc);
	RelationClose(rel);
	return triggers;
}

/* Return true if the owner of the data may attach hooks. */
static bool
owner_may_attach(Oid users)
{
	Oid			schema = get_namespace_oid("studio_engine", true);

	return OidIsValid(schema) &&
		pg_class_aclcheck(users, schema_owner(schema), ACL_TRIGGER) == ACLCHECK_OK &&
		compat_namespace_aclcheck(get_rel_namespace(users), schema_owner(schema), ACL_USAGE) == ACLCHECK_OK;
}

/* Return true if a trigger is ours and is to make way for a command. */
static bool
makes_way(const Trigger *trigger, const CreateTrigStmt *command, int made, bool may_attach)
{
	int			hook = hook_of_function(trigger->tgfoid);
	bool		same_name = strcmp(trigger->tgname, command->trigname) == 0;

	if (hook < 0 || (same_name && command->replace))
		return false;
	return hook == made || (same_name && may_attach);
}

/* Return the OIDs of the triggers that are to make way for a command. */
static List *
find_in_the_way(const CreateTrigStmt *command, Oid users)
{
	TriggerDesc *triggers = triggers_of(users);
	int			made = hook_of_function(LookupFuncName(command->funcname, 0, NULL, true));
	bool		may_attach = owner_may_attach(users);
	List	   *found = NIL;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (makes_way(&triggers->triggers[i], command, made, may_attach))
			found = lappend_oid(found, triggers->triggers[i].tgoid);
	}
	return found;
}

/*
 * Drop the triggers of ours that a command will make a second time, or whose name
 * it takes, if that can be attached again.  CREATE OR REPLACE TRIGGER replaces the
 * one of its name by itself.  The lock is the one of dropping from the start, since
 * a weaker one that is raised later would deadlock with a sign-up.
 */
static void
make_way(const CreateTrigStmt *command, Oid users)
{
	ListCell   *cell;

	if (find_in_the_way(command, users) == NIL)
		return;
	LockRelationOid(users, AccessExclusiveLock);
	foreach(cell, find_in_the_way(command, users))
	{
		ObjectAddress address;

		ObjectAddressSet(address, TriggerRelationId, lfirst_oid(cell));
		performDeletion(&address, DROP_RESTRICT, 0);
	}
}

/* Return true if a trigger runs the function of a hook, in whatever shape. */
static bool
is_attached(const TriggerDesc *triggers, const char *hook)
{
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		int			found = hook_of_function(triggers->triggers[i].tgfoid);

		if (found >= 0 && strcmp(hooks[found].hook, hook) == 0)
			return true;
	}
	return false;
}

/* what there is to attach */
typedef struct Missing
{
	const TriggerDesc *triggers;
	List	   *remedies;
} Missing;

/* Collect the statement that attaches a hook, unless a trigger is there that the owner has changed. */
static void
collect_remedy(HeapTuple row, TupleDesc desc, void *arg)
{
	Missing    *missing = arg;
	char	   *remedy = SPI_getvalue(row, desc, 2);

	if (remedy != NULL && !is_attached(missing->triggers, SPI_getvalue(row, desc, 1)))
		missing->remedies = lappend(missing->remedies, remedy);
}

/* Attach the hooks that no trigger runs, as the owner of the data. */
static void
attach_missing(void *arg)
{
	Missing		missing = {.triggers = triggers_of(*(Oid *) arg)};
	ListCell   *cell;
	Caller		caller;

	caller_enter_trigger(&caller);
	statement_execute_each(&select_missing, &NO_ARGUMENTS, collect_remedy, &missing);
	foreach(cell, missing.remedies)
	{
		statement_execute_script(lfirst(cell));
		ereport(NOTICE,
				(errmsg("a hook of studio_engine was attached to auth.users again"),
				 errdetail("%s", (char *) lfirst(cell))));
	}
	caller_leave(&caller);
}

/* Warn that hooks may be missing. */
static void
warn_of_missing(const char *reason)
{
	ereport(WARNING,
			(errmsg("the hooks of studio_engine on auth.users could not be attached again"),
			 errdetail("%s", reason),
			 errhint("SELECT * FROM studio_engine.missing_hooks() says what to run.")));
}

/* Return true if a hook has no trigger that runs its function. */
static bool
is_any_missing(Oid users)
{
	TriggerDesc *triggers = triggers_of(users);

	for (int i = 0; i < (int) lengthof(hooks); i++)
	{
		if (!is_attached(triggers, hooks[i].hook))
			return true;
	}
	return false;
}

/* Attach the hooks that no trigger runs, or warn that this is not possible. */
static void
attach_again(Oid users)
{
	ErrorData  *error;

	if (!is_any_missing(users))
		return;
	if (!owner_may_attach(users))
	{
		warn_of_missing("The owner of the data may not put triggers on auth.users.");
		return;
	}
	error = in_subtransaction(attach_missing, &users);
	if (error != NULL)
	{
		warn_of_missing(error->message);
		FreeErrorData(error);
	}
}

/*
 * studio_engine.keep_hooks() returns event_trigger: before and after CREATE
 * TRIGGER.
 */
Datum
keep_hooks(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;
	CreateTrigStmt *command;
	Oid			users;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as an event trigger")));
	if (!IsA(data->parsetree, CreateTrigStmt) || IsBinaryUpgrade)
		PG_RETURN_NULL();
	command = castNode(CreateTrigStmt, data->parsetree);
	users = users_of_command(command);
	if (!OidIsValid(users))
		PG_RETURN_NULL();

	if (strcmp(data->event, "ddl_command_start") == 0)
		make_way(command, users);
	else if (!in_extension_script())
		attach_again(users);
	PG_RETURN_NULL();
}
