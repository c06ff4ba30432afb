/*
 * errors.c
 *	  Errors that several files raise.
 *
 * Pitfall: messages are constant, since clients match on them; DETAIL has what
 * varies.
 */
#include "postgres.h"

#include "errors.h"
#include "uuids.h"

/*
 * Raise the error for a row of another user, a function that the caller may not
 * use, and a row that does not exist.  It is one error, so that ids cannot be
 * probed.
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
 * Raise the error for a user who writes another value into a column that he may
 * only repeat.
 */
void
refuse_column(const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("not allowed"),
			 errdetail("Users may not change column %s.", column),
			 errhint("Send the value that the row has, or leave the column out.")));
}

/*
 * Raise the error for an unknown id.
 */
void
refuse_missing(const char *what, const pg_uuid_t *id)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_NOT_FOUND),
			 errmsg("not found"),
			 errdetail("There is no %s %s.", what, uuid_text(id))));
}

/*
 * Raise the error for an argument that must not be NULL.
 */
void
refuse_null(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument must not be null"),
			 errdetail("%s is null.", name)));
}

/*
 * Raise the error for an argument that is out of bounds.
 */
void
refuse_value(const char *name, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument is out of bounds"),
			 errdetail("%s must be %s.", name, expected)));
}

/*
 * Raise the error for a request that contradicts an earlier one.
 */
void
refuse_conflict(const char *message, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_CONFLICT),
			 errmsg("%s", message),
			 errdetail("%s", detail)));
}

/*
 * Raise the error for a row that was written and is missing, as a trigger or rule
 * of the owner of the tables can cause it.
 */
void
refuse_lost_row(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("a row of studio_engine was not stored"),
			 errhint("Look for a trigger or rule that drops rows.")));
}
