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
 * Pitfall: anybody may change these settings, so they count only in a session
 * of somebody who owns the data anyway.  The session user is what is looked
 * at: neither SET ROLE nor SECURITY DEFINER changes it.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/rls.h"

#include "relations.h"
#include "restore.h"

PG_FUNCTION_INFO_V1(studio_restoring);

bool		maintenance_mode = false;

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
	if (!maintenance_mode && !loading_dump())
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
