/*
 * restore.c
 *	  Whether triggers are skipped: while a dump is loaded, since its rows are the
 *	  result of what the triggers did before; and in maintenance.
 *
 * pg_dump writes, and every pg_restore worker sends, SET row_security = off
 * and SET check_function_bodies = off; the rows are loaded by COPY.  The command
 * must be a COPY as well, since in psql the settings outlive the dump, and later
 * statements of the session must fire the triggers.
 *
 * With session_replication_role = replica PostgreSQL skips the triggers itself,
 * all but those that are enabled always: in a dump of the platform's command line,
 * and where logical replication applies changes.  These few ask here, too.
 *
 * studio_engine.maintenance skips them on request.  It is effective in the
 * transaction that sets it, or as an option of the connection: a pooler hands a
 * session to the next client with the settings that were made in it, but not
 * with the options that another client connected with.
 *
 * Pitfall: any role may change the settings of a dump and of maintenance, so they
 * are effective only in a session of a superuser or of the owner of the data.  The session user is
 * checked, which neither SET ROLE nor SECURITY DEFINER changes.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
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

/* Return the entry of a parameter of ours in guc.c, whose address does not change. */
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
 * Return true if maintenance is on, and was set by this transaction or as an
 * option of the connection.  The stack of a parameter is what guc.c has to undo
 * at the end of the transaction: it is empty if an earlier transaction set the
 * parameter, also if the library was not loaded yet then.  A value from the
 * configuration file, a role or a database has no effect.
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

/* Warn that maintenance is set and has no effect. */
static void
warn_of_idle_maintenance(void)
{
	ereport(WARNING,
			(errmsg("studio_engine.maintenance has no effect beyond the transaction that sets it"),
			 errhint("Write BEGIN; SET LOCAL studio_engine.maintenance = on; then what is to be done, and COMMIT.")));
}

/*
 * Check hook of the parameter: warn if SET is a transaction of its own, so that
 * it has no effect.  There is no warning for set_config(), which cannot be told
 * from the SET clause of a function here.
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
 * Warn when the library is loaded, if maintenance was set before: there was no
 * check hook then.
 */
void
maintenance_loaded(void)
{
	if (maintenance_mode && !in_maintenance() && !IsParallelWorker())
		warn_of_idle_maintenance();
}

/* Return true if the session is probably pg_restore, or psql reading a dump. */
static bool
loading_dump(void)
{
	return !row_security && !check_function_bodies &&
		ActivePortal != NULL && ActivePortal->commandTag == CMDTAG_COPY;
}

/*
 * Return true if triggers of the data layer have to be skipped.
 */
bool
restoring(void)
{
	Oid			session_user;

	if (IsBinaryUpgrade || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
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
