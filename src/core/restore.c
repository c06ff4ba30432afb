/*
 * restore.c
 *	  Is a dump being loaded?  Then the triggers of the data layer stand down:
 *	  the rows come with what the triggers once did to them.
 *
 * pg_dump writes, and every pg_restore worker sends, SET row_security = off
 * and SET check_function_bodies = off; the rows come by COPY.  COPY is asked
 * for as well since the settings outlive the dump in its session, and what
 * comes after it must meet live triggers.
 *
 * studio_engine.maintenance says the same by hand.  It counts in the
 * transaction that sets it, or where it came with the connection: a pooler
 * gives the session to the next client with whatever was set in it, but not
 * with the options that a client connected with.
 *
 * Pitfall: anybody may change these settings, so they count only in a session
 * of somebody who owns the data anyway.  The session user is what is looked
 * at: neither SET ROLE nor SECURITY DEFINER changes it.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/rls.h"

#include "compat.h"
#include "relations.h"
#include "restore.h"

PG_FUNCTION_INFO_V1(studio_restoring);

bool		maintenance_mode = false;

/* What guc.c keeps of a parameter of ours; it stays where it is. */
static struct config_generic *
find_parameter(const char *name)
{
	int			n;
	struct config_generic **variables = compat_guc_variables(&n);

	for (int i = 0; i < n; i++)
	{
		if (strcmp(variables[i]->name, name) == 0)
			return variables[i];
	}
	elog(ERROR, "there is no parameter %s", name);
}

/*
 * Is maintenance on, and is it this transaction or this connection that says
 * so?  The stack is what guc.c must undo at the end of the transaction.  It is
 * empty for what an earlier one left behind, also where the library was not
 * loaded yet.  What comes from the configuration, a role or a database never
 * counts.
 */
static bool
in_maintenance(void)
{
	static struct config_generic *variable = NULL;

	if (!maintenance_mode)
		return false;
	if (variable == NULL)
		variable = find_parameter("studio_engine.maintenance");
	return variable->source == PGC_S_CLIENT ||
		(variable->source == PGC_S_SESSION && variable->stack != NULL);
}

static void
warn_of_idle_maintenance(void)
{
	ereport(WARNING,
			(errmsg("studio_engine.maintenance has no effect beyond the transaction that sets it"),
			 errhint("Write BEGIN; SET LOCAL studio_engine.maintenance = on; then what is to be done, and COMMIT.")));
}

/*
 * Check hook: SET alone is a transaction of its own, and its user should know.
 * A SET clause of a function and set_config() are not told from each other
 * here, and stay silent.
 */
bool
maintenance_check(bool *newval, void **extra, GucSource source)
{
	if (*newval && source == PGC_S_SESSION && !IsTransactionBlock() &&
		ActivePortal != NULL && ActivePortal->commandTag == CMDTAG_SET)
		warn_of_idle_maintenance();
	return true;
}

/*
 * The library was loaded: what was set before that had no check hook.
 */
void
maintenance_loaded(void)
{
	if (maintenance_mode && !in_maintenance() && !IsParallelWorker())
		warn_of_idle_maintenance();
}

/* Does the session look like pg_restore, or psql reading a dump? */
static bool
loading_dump(void)
{
	return !row_security && !check_function_bodies &&
		ActivePortal != NULL && ActivePortal->commandTag == CMDTAG_COPY;
}

/*
 * Do triggers stand down?
 */
bool
restoring(void)
{
	Oid			session_user;

	if (IsBinaryUpgrade)
		return true;
	if (!in_maintenance() && !loading_dump())
		return false;

	session_user = GetSessionUserId();
	if (superuser_arg(session_user))
		return true;
	if (!OidIsValid(get_namespace_oid("studio_engine", true)))
		return false;
	return has_privs_of_role(session_user, engine_owner());
}

/*
 * studio_engine.restoring() returns boolean: for administrators and tests.
 */
Datum
studio_restoring(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(restoring());
}
