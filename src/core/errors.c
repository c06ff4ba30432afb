/*
 * errors.c
 *	  Errors that more than one file raises.
 *
 * Pitfall: messages are constant, since clients match on them; what differs
 * stands in DETAIL.
 */
#include "postgres.h"

#include "errors.h"
#include "uuids.h"

/*
 * One answer for "not yours", "not allowed" and "not there", so that ids
 * cannot be probed.
 */
void
refuse(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("not allowed"),
			 errhint("Users may act for themselves only; functions for workers and money need the service role.")));
}

/*
 * There is no row of this id.
 */
void
refuse_missing(const char *what, const pg_uuid_t *id)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_NOT_FOUND),
			 errmsg("not found"),
			 errdetail("There is no %s %s.", what, uuid_text(id))));
}

void
refuse_null(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument must not be null"),
			 errdetail("%s is null.", name)));
}

void
refuse_value(const char *name, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument is out of bounds"),
			 errdetail("%s must be %s.", name, expected)));
}

void
refuse_conflict(const char *message, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_CONFLICT),
			 errmsg("%s", message),
			 errdetail("%s", detail)));
}

/*
 * There is no row where there has to be one: a trigger or rule of the tables'
 * owner can swallow a row.
 */
void
refuse_lost_row(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("a row of studio_engine was not stored"),
			 errhint("Look for a trigger or rule that drops rows.")));
}
