/*
 * users.c
 *	  Sign-up: the profile and the welcome credits of a new user; and the locks
 *	  for deleting a user.
 *
 * Pitfall: auth.users belongs to the auth server.  Its triggers run as the role
 * of that server, with its search_path and without rights on the tables of the
 * extension.  An error in handle_new_user() must never make a sign-up fail, so
 * it becomes a warning.
 *
 * Lock order: user, project, job, part of a payment, then account.
 * lock_jobs_of_user() takes these locks before the foreign keys cascade, since their order is another one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "auth_users.h"
#include "caller.h"
#include "checks.h"
#include "credits.h"
#include "restore.h"
#include "settings.h"
#include "statements.h"
#include "stripe_payments.h"
#include "subtransactions.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(handle_new_user);
PG_FUNCTION_INFO_V1(lock_jobs_of_user);
PG_FUNCTION_INFO_V1(ensure_profile);

static Statement insert_profile = {
	.text = "INSERT INTO @extschema@.profiles (id, display_name) VALUES ($1, pg_catalog.left($2, 1000))"
	" ON CONFLICT (id) DO NOTHING",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_profile = {
	.force_index_plan = true,
	.text = "SELECT p.* FROM @extschema@.profiles p WHERE p.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement json_name = {
	.text = "SELECT $1::pg_catalog.jsonb ->> 'name'",
	.nargs = 1,.argtypes = {JSONBOID}
};
static Statement lock_user_projects = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.projects p WHERE p.user_id = $1 ORDER BY p.id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_user_studio_jobs = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.studio_jobs j WHERE j.user_id = $1 ORDER BY j.job_id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_user_jobs = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.jobs j WHERE j.user_id = $1 ORDER BY j.id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};

/*
 * Insert the profile of a user and the welcome credits, unless they exist.
 */
static void
create_user_rows(const pg_uuid_t *user_id, const char *name)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	argument_text(&args, name);
	statement_execute(&insert_profile, &args);
	credits_welcome(user_id, setting_int32(SETTING_WELCOME_CREDITS));
}

/* Return the name that was given at sign-up; NULL if there is none. */
static char *
read_sign_up_name(TupleDesc desc, HeapTuple row)
{
	Arguments	args = NO_ARGUMENTS;
	bool		isnull;
	Datum		metadata = row_get(desc, row, "raw_user_meta_data", JSONBOID, &isnull);

	if (isnull)
		return NULL;
	argument_add(&args, metadata, false);
	statement_execute(&json_name, &args);
	return result_text(1);
}

/* Report an error of handle_sign_up() as a warning. */
static void
warn_of_sign_up_failure(const pg_uuid_t *user_id, ErrorData *error)
{
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("a user signed up without a profile"),
			 errdetail("User %s: %s", uuid_text(user_id), error->message),
			 errhint("Mend the cause, then call ensure_profile('%s').", uuid_text(user_id))));
	FreeErrorData(error);
}

/* a row of auth.users that was inserted */
typedef struct NewUser
{
	pg_uuid_t	id;
	TupleDesc	desc;
	HeapTuple	row;
} NewUser;

/* Create the rows of a new user; runs in a subtransaction, since it may fail. */
static void
handle_sign_up(void *arg)
{
	NewUser    *user = arg;
	Caller		caller;

	caller_enter_trigger(&caller);
	create_user_rows(&user->id, read_sign_up_name(user->desc, user->row));
	caller_leave(&caller);
}

/*
 * handle_new_user() returns trigger: AFTER INSERT on auth.users.
 */
Datum
handle_new_user(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT, 0);
	NewUser		user = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = data->tg_trigtuple
	};
	ErrorData  *error;

	user.id = row_get_uuid(user.desc, user.row, "id");
	if (!restoring())
	{
		error = in_subtransaction(handle_sign_up, &user);
		if (error)
			warn_of_sign_up_failure(&user.id, error);
	}
	return PointerGetDatum(NULL);
}

/*
 * lock_jobs_of_user() returns trigger: BEFORE DELETE on auth.users.
 */
Datum
lock_jobs_of_user(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_DELETE, 0);
	pg_uuid_t	user_id = row_get_uuid(RelationGetDescr(data->tg_relation), data->tg_trigtuple, "id");
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	if (!restoring())
	{
		argument_uuid(&args, &user_id);
		caller_enter_trigger(&caller);
		statement_execute(&lock_user_projects, &args);
		statement_execute(&lock_user_jobs, &args);
		statement_execute(&lock_user_studio_jobs, &args);
		stripe_lock_user(&user_id);
		caller_leave(&caller);
	}
	return PointerGetDatum(data->tg_trigtuple);
}

/*
 * ensure_profile(p_user_id uuid) returns jsonb
 */
Datum
ensure_profile(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	user_id;
	char	   *name;
	Datum		profile;

	caller_enter_user(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	caller_require_self(&caller, &user_id);
	if (!user_find(&user_id, &name))
		refuse_unknown(&caller, "user", &user_id);

	create_user_rows(&user_id, name);
	argument_uuid(&args, &user_id);
	statement_execute(&select_profile, &args);
	profile = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(profile);
}
