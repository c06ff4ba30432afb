/*
 * caller.c
 *	  Who calls a function, whether they may, and the switch to the owner of the
 *	  data.
 *
 * Every function of the API begins with one of the caller_enter_ functions and
 * ends with caller_leave().  In between it is connected to SPI and runs as the
 * owner of schema studio_engine, who owns the tables: row level security and
 * grants of the caller do not apply, so the caller is checked before.
 *
 * Pitfall: there is no clean-up after errors, on purpose.  Aborting the
 * (sub)transaction restores the user id and the search path, and closes SPI.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "caller.h"
#include "errors.h"
#include "relations.h"
#include "statements.h"
#include "uuids.h"

/* spelled as in the declarations of the functions */
#define SAFE_PATH "pg_catalog, pg_temp"

static Statement select_uid = {.text = "SELECT auth.uid()"};

/*
 * Return true if the current role may act for any user: if row level security
 * does not apply to it either.
 */
bool
caller_is_service(void)
{
	Oid			role = GetUserId();

	return superuser_arg(role) ||
		has_bypassrls_privilege(role) ||
		has_privs_of_role(role, engine_owner());
}

/* Set the uid of the caller, from auth.uid(), which runs with the caller's rights. */
static void
identify(Caller *caller)
{
	statement_execute_read_only(&select_uid, &NO_ARGUMENTS);
	caller->known = !result_isnull(1);
	if (caller->known)
		caller->uid = result_uuid(1);
}

/*
 * Act as another role until caller_resume().  SECURITY_LOCAL_USERID_CHANGE
 * forbids SET ROLE meanwhile, SECURITY_NOFORCE_RLS keeps FORCE ROW LEVEL
 * SECURITY from hiding rows from their owner, as foreign keys do it.
 * SECURITY_RESTRICTED_OPERATION keeps triggers of that role from leaving
 * something behind that runs later as the caller, such as a deferred trigger.
 */
void
caller_become(Caller *caller, Oid role)
{
	GetUserIdAndSecContext(&caller->saved_user, &caller->saved_context);
	SetUserIdAndSecContext(role,
						   caller->saved_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
}

/*
 * Return to the role before caller_become().
 */
void
caller_resume(const Caller *caller)
{
	SetUserIdAndSecContext(caller->saved_user, caller->saved_context);
}

/*
 * Connect to SPI, with a search_path that finds operators in pg_catalog.  Most
 * functions have this path in their declaration, so that nothing is set here;
 * the triggers that fire for every row and rarely run SQL do not.  The result of
 * the last statement of an outer function is saved.
 */
static void
connect_to_spi(Caller *caller)
{
	guc_scope_begin(&caller->settings);
	if (strcmp(namespace_search_path, SAFE_PATH) != 0)
		guc_scope_set(&caller->settings, "search_path", SAFE_PATH);
	caller->saved_result = statements_begin();
}

/*
 * Enter a function that runs with the rights of the caller.  No check.
 */
void
caller_enter_self(Caller *caller)
{
	caller->service = false;
	caller->known = false;
	connect_to_spi(caller);
	GetUserIdAndSecContext(&caller->saved_user, &caller->saved_context);
}

/*
 * Enter a function for all callers, anonymous ones included.
 */
void
caller_enter_anybody(Caller *caller)
{
	caller->service = caller_is_service();
	caller->known = false;
	connect_to_spi(caller);
	caller_become(caller, engine_owner());
}

/*
 * Enter a function for services only; raises an error for others.
 */
void
caller_enter_service(Caller *caller)
{
	caller->service = caller_is_service();
	if (!caller->service)
		refuse();
	caller->known = false;
	connect_to_spi(caller);
	caller_become(caller, engine_owner());
}

/*
 * Enter a function for the owner of the data and superusers only; raises an
 * error for others.
 */
void
caller_enter_administrator(Caller *caller)
{
	Oid			role = GetUserId();

	if (!superuser_arg(role) && !has_privs_of_role(role, engine_owner()))
		refuse();
	caller_enter_service(caller);
}

/*
 * Enter a function for services and signed-in users; raises an error for
 * others.  Which rows the user may access is checked by the function, with
 * caller_require_self() for instance.
 */
void
caller_enter_user(Caller *caller)
{
	caller->service = caller_is_service();
	caller->known = false;
	connect_to_spi(caller);
	if (!caller->service)
	{
		identify(caller);
		if (!caller->known)
			refuse();
	}
	caller_become(caller, engine_owner());
}

/*
 * Enter a trigger function.  No check: the role that fires the trigger was
 * allowed to write the row.
 */
void
caller_enter_trigger(Caller *caller)
{
	caller->service = true;
	caller->known = false;
	connect_to_spi(caller);
	caller_become(caller, engine_owner());
}

/*
 * Leave a function: close SPI, undo changed parameters, and return to the role of
 * the caller.
 */
void
caller_leave(Caller *caller)
{
	statements_end(caller->saved_result);
	guc_scope_end(&caller->settings);
	caller_resume(caller);
}

/*
 * Return true if a user calls who has another id than this; every id is another one
 * than NULL.  Return false if auth.uid() does not say who calls: what such a role may
 * do is left to the policies.  Call it for callers that are no services, before
 * entering.
 */
bool
caller_is_another_user(const pg_uuid_t *user_id)
{
	Caller		caller;

	caller_enter_self(&caller);
	identify(&caller);
	caller_leave(&caller);
	return caller.known && (user_id == NULL || !uuid_equal(&caller.uid, user_id));
}

/*
 * Raise an error unless the caller is a service, or the user with this id.
 */
void
caller_require_self(const Caller *caller, const pg_uuid_t *user_id)
{
	if (caller->service)
		return;
	if (!caller->known || !uuid_equal(&caller->uid, user_id))
		refuse();
}

/*
 * Raise the error for an unknown id.  A service gets "not found"; a user gets the
 * error for a row of another user, so that ids cannot be probed.
 */
void
refuse_unknown(const Caller *caller, const char *what, const pg_uuid_t *id)
{
	if (!caller->service)
		refuse();
	refuse_missing(what, id);
}

/*
 * Raise the error for an unknown id that is a text, as refuse_unknown() does.
 */
void
refuse_unknown_text(const Caller *caller, const char *what, const char *id)
{
	if (!caller->service)
		refuse();
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_NOT_FOUND),
			 errmsg("not found"),
			 errdetail("There is no %s %s.", what, id)));
}
