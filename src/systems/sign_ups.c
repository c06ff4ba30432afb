/*
 * sign_ups.c
 *	  Sign-ups that failed in part: who lacks a profile or an account, and why.
 *
 * A failure never blocks a sign-up, and the warning is seen by nobody where the
 * server logs less than warnings.  So what failed is written down.
 *
 * Pitfall: writing it down may fail for the same reason, so that must not fail
 * the sign-up either.  repair_sign_ups() finds such users without the table.
 *
 * Lock order: the row of a user here is written after his account; it is not
 * locked before that.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "caller.h"
#include "sign_ups.h"
#include "statements.h"
#include "subtransactions.h"

/* the longest message that is kept, in bytes */
#define MAX_MESSAGE 1000

static Statement insert_failure = {
	.text = "INSERT INTO studio_engine.failed_sign_ups AS f (user_id, part, sqlstate, message) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (user_id, part) DO UPDATE SET sqlstate = EXCLUDED.sqlstate, message = EXCLUDED.message,"
	" failed_at = pg_catalog.clock_timestamp(), tries = f.tries + 1",
	.nargs = 4,.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID}
};
static Statement delete_failure = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.failed_sign_ups f WHERE f.user_id = $1 AND f.part = $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};

typedef struct Failure
{
	const pg_uuid_t *user_id;
	SignUpPart	part;
	const ErrorData *error;
} Failure;

/* Return the word for a part. */
static const char *
part_word(SignUpPart part)
{
	switch (part)
	{
		case PART_PROFILE:
			return "profile";
		case PART_ACCOUNT:
			return "account";
	}
	pg_unreachable();
}

static void
write_failure(void *arg)
{
	Failure    *failure = arg;
	const char *message = failure->error->message;
	int			length = pg_mbcliplen(message, strlen(message), MAX_MESSAGE);
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	argument_uuid(&args, failure->user_id);
	argument_text(&args, part_word(failure->part));
	argument_text(&args, unpack_sql_state(failure->error->sqlerrcode));
	argument_text(&args, pnstrdup(message, length));
	caller_enter_trigger(&caller);
	statement_execute(&insert_failure, &args);
	caller_leave(&caller);
}

/*
 * Write down that a part of a sign-up failed, if that is possible.
 */
void
sign_up_failed(const pg_uuid_t *user_id, SignUpPart part, const ErrorData *error)
{
	Failure		failure = {.user_id = user_id,.part = part,.error = error};
	ErrorData  *second = in_subtransaction(write_failure, &failure);

	if (second != NULL)
		FreeErrorData(second);
}

/*
 * Forget that a part failed, since the user has it now.
 */
void
sign_up_mended(const pg_uuid_t *user_id, SignUpPart part)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	argument_text(&args, part_word(part));
	statement_execute(&delete_failure, &args);
}
