/*
 * users.c
 *	  Sign-up: the profile and the welcome credits of a new user; what follows when
 *	  the auth server changes a user; and the locks for deleting one.
 *
 * Pitfall: auth.users belongs to the auth server.  Its triggers run as the role
 * of that server, with its search_path and without rights on the tables of the
 * extension.  An error in handle_new_user() or handle_user_change() must never
 * make a sign-up or a sign-in fail, so it becomes a warning and is written down.
 * Profile and credits fail each for itself.
 *
 * Lock order: user, project, job, part of a payment, then account, then the digest
 * of an address.  lock_jobs_of_user() takes these locks before the foreign keys
 * cascade, since their order is another one; the digest it makes while it has the
 * user, without whom nobody gets to the account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "auth_users.h"
#include "caller.h"
#include "checks.h"
#include "credits.h"
#include "policies.h"
#include "restore.h"
#include "settings.h"
#include "sign_ups.h"
#include "statements.h"
#include "stripe_payments.h"
#include "subtransactions.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(handle_new_user);
PG_FUNCTION_INFO_V1(handle_user_change);
PG_FUNCTION_INFO_V1(lock_jobs_of_user);
PG_FUNCTION_INFO_V1(ensure_profile);
PG_FUNCTION_INFO_V1(repair_sign_ups);

#define MAX_REPAIRS 10000
/* how many users repair_sign_ups() looks at whom no failure is known of */
#define USERS_LOOKED_AT 1000

static Statement insert_profile = {
	.text = "INSERT INTO @extschema@.profiles (id, display_name, avatar_url) VALUES ($1, $2, $3)"
	" ON CONFLICT (id) DO NOTHING",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement lock_profile_to_fill = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.profiles p WHERE p.id = $1"
	" AND (p.display_name IS NULL AND $2 IS NOT NULL OR p.avatar_url IS NULL AND $3 IS NOT NULL) FOR NO KEY UPDATE",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement fill_profile = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.profiles p SET display_name = COALESCE(p.display_name, $2),"
	" avatar_url = COALESCE(p.avatar_url, $3) WHERE p.id = $1",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement empty_profile = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.profiles p SET display_name = NULL, avatar_url = NULL WHERE p.id = $1"
	" AND (p.display_name IS NOT NULL OR p.avatar_url IS NOT NULL)",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_profile = {
	.force_index_plan = true,
	.text = "SELECT p.* FROM @extschema@.profiles p WHERE p.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_profile_row = {
	.force_index_plan = true,
	.text = "SELECT p FROM @extschema@.profiles p WHERE p.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static const PolicedTable policed_profiles = {.name = "profiles",.select_row = &select_profile_row};
static Statement select_failed = {
	.text = "SELECT f.user_id FROM studio_engine.failed_sign_ups f GROUP BY f.user_id"
	" ORDER BY pg_catalog.max(f.failed_at), f.user_id LIMIT $1",
	.nargs = 1,.argtypes = {INT4OID}
};
static Statement select_need = {
	.force_index_plan = true,
	.text = "SELECT 1 WHERE (NOT EXISTS (SELECT 1 FROM @extschema@.profiles p WHERE p.id = $1)"
	" OR NOT EXISTS (SELECT 1 FROM @extschema@.credit_accounts a WHERE a.user_id = $1))"
	" AND NOT EXISTS (SELECT 1 FROM studio_engine.failed_sign_ups f WHERE f.user_id = $1)",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_mark = {
	.text = "SELECT m.value::pg_catalog.uuid FROM studio_engine.meta m WHERE m.name = 'users_looked_at'"
};
static Statement move_mark = {
	.text = "INSERT INTO studio_engine.meta (name, value) VALUES ('users_looked_at', $1::pg_catalog.text)"
	" ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value",
	.nargs = 1,.argtypes = {UUIDOID}
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
static Statement lock_user_renderings = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.mm_rendering_queue r WHERE r.user_id = $1 ORDER BY r.render_id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_user_jobs = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.jobs j WHERE j.user_id = $1 ORDER BY j.id FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* Insert the profile of a user; in one that exists, fill in what is NULL. */
static void
save_profile(const Caller *caller, const pg_uuid_t *user_id, const UserPortrait *portrait)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	argument_text(&args, portrait->name);
	argument_text(&args, portrait->picture);
	if (statement_execute(&insert_profile, &args) > 0)
		policies_check_uuid(caller, &policed_profiles, user_id, ROW_INSERTED);
	else if ((portrait->name != NULL || portrait->picture != NULL) &&
			 statement_execute(&lock_profile_to_fill, &args) > 0)
	{
		policies_check_uuid(caller, &policed_profiles, user_id, ROW_TO_UPDATE);
		statement_execute(&fill_profile, &args);
		policies_check_uuid(caller, &policed_profiles, user_id, ROW_UPDATED);
	}
}

/* Take name and picture from the profile of a user. */
static void
clear_profile(const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	statement_execute(&empty_profile, &args);
}

/* Open the account of a user, with the welcome credits that are due. */
static void
open_account(const pg_uuid_t *user_id, const UserIdentity *identity)
{
	bool		welcome = !identity->deleted;

	if (identity->anonymous && setting_int32(SETTING_WELCOME_ANONYMOUS) == 0)
		welcome = false;
	credits_welcome(user_id, welcome ? setting_int32(SETTING_WELCOME_CREDITS) : 0, identity->email);
}

/* ------------------------------------------------------------------------
 * Triggers on auth.users
 * ------------------------------------------------------------------------ */

/* a row of auth.users that was inserted or updated */
typedef struct WrittenUser
{
	pg_uuid_t	id;
	TupleDesc	desc;
	HeapTuple	row;
	HeapTuple	old;			/* of an update; else NULL */
} WrittenUser;

/* Do a part of the work in a subtransaction, since it may fail; that is a warning, and written down. */
static void
attempt(void (*work) (void *arg), WrittenUser *user, SignUpPart part, const char *failure)
{
	ErrorData  *error = in_subtransaction(work, user);

	if (error == NULL)
		return;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("%s", failure),
			 errdetail("User %s: %s", uuid_text(&user->id), error->message),
			 errhint("Mend the cause, then call ensure_profile('%s').", uuid_text(&user->id))));
	sign_up_failed(&user->id, part, error);
	FreeErrorData(error);
}

static void
write_profile(void *arg)
{
	WrittenUser *user = arg;
	UserPortrait portrait;
	Caller		caller;

	caller_enter_trigger(&caller);
	portrait = user_portrait(user->desc, user->row);
	save_profile(&caller, &user->id, &portrait);
	caller_leave(&caller);
}

/* Take name and picture from a user whom the auth server has marked as deleted. */
static void
empty_portrait(void *arg)
{
	WrittenUser *user = arg;
	Caller		caller;

	caller_enter_trigger(&caller);
	clear_profile(&user->id);
	caller_leave(&caller);
}

static void
write_account(void *arg)
{
	WrittenUser *user = arg;
	UserIdentity identity = user_identity(user->desc, user->row);
	Caller		caller;

	caller_enter_trigger(&caller);
	if (user->old != NULL)
	{
		UserIdentity old = user_identity(user->desc, user->old);

		credits_keep_welcome(&user->id, old.email);

		/*
		 * the auth server may write the address of a user who becomes
		 * permanent only after that
		 */
		if (old.anonymous && !identity.anonymous && identity.email == NULL)
			identity.email = identity.next_email;
	}
	open_account(&user->id, &identity);
	caller_leave(&caller);
}

/*
 * handle_new_user() returns trigger: AFTER INSERT on auth.users.
 */
Datum
handle_new_user(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT, 0);
	WrittenUser user = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = data->tg_trigtuple
	};

	user.id = row_get_uuid(user.desc, user.row, "id");
	if (!restoring())
	{
		attempt(write_profile, &user, PART_PROFILE, "a user signed up without a profile");
		attempt(write_account, &user, PART_ACCOUNT, "a user signed up without a credit account");
	}
	return PointerGetDatum(NULL);
}

/*
 * handle_user_change() returns trigger: AFTER UPDATE on auth.users.
 *
 * The auth server updates the row with every sign-in, so that nothing is done but
 * comparing where nothing of interest has changed.
 */
Datum
handle_user_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_UPDATE, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	HeapTuple	old = data->tg_trigtuple;
	HeapTuple	new = data->tg_newtuple;
	bool		account = user_has_changed(desc, old, new, "is_anonymous") || user_has_changed(desc, old, new, "email");
	bool		deleted = user_has_changed(desc, old, new, "deleted_at") && user_identity(desc, new).deleted;
	bool		profile = account || deleted || user_has_changed(desc, old, new, "raw_user_meta_data");
	WrittenUser user = {.desc = desc,.row = new,.old = old};

	if (!profile || restoring())
		return PointerGetDatum(NULL);

	user.id = row_get_uuid(desc, new, "id");
	if (deleted)
		attempt(empty_portrait, &user, PART_PROFILE, "name and picture of a deleted user were not removed");
	else
		attempt(write_profile, &user, PART_PROFILE, "the profile of a changed user was not filled in");
	if (account)
		attempt(write_account, &user, PART_ACCOUNT, "the credit account of a changed user was not completed");
	return PointerGetDatum(NULL);
}

/*
 * lock_jobs_of_user() returns trigger: BEFORE DELETE on auth.users.
 */
Datum
lock_jobs_of_user(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_DELETE, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	pg_uuid_t	user_id = row_get_uuid(desc, data->tg_trigtuple, "id");
	Arguments	args = NO_ARGUMENTS;
	UserIdentity identity;
	Caller		caller;

	if (!restoring())
	{
		argument_uuid(&args, &user_id);
		caller_enter_trigger(&caller);
		statement_execute(&lock_user_projects, &args);
		statement_execute(&lock_user_jobs, &args);
		statement_execute(&lock_user_studio_jobs, &args);
		statement_execute(&lock_user_renderings, &args);
		stripe_lock_user(&user_id);
		identity = user_identity(desc, data->tg_trigtuple);
		credits_keep_welcome(&user_id, identity.email);
		caller_leave(&caller);
	}
	return PointerGetDatum(data->tg_trigtuple);
}

/* ------------------------------------------------------------------------
 * Repairs
 * ------------------------------------------------------------------------ */

/* Give a user a part of what he lacks; returns false if user_find() does not find him. */
static bool
complete_part(const Caller *caller, const pg_uuid_t *user_id, UserWait wait, SignUpPart part)
{
	UserPortrait portrait;
	UserIdentity identity;

	if (!user_find(user_id, wait, &portrait, &identity))
		return false;
	switch (part)
	{
		case PART_PROFILE:
			save_profile(caller, user_id, &portrait);
			/* what failed may have been the removal */
			if (identity.deleted)
				clear_profile(user_id);
			break;
		case PART_ACCOUNT:
			open_account(user_id, &identity);
			break;
	}
	sign_up_mended(user_id, part);
	return true;
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
	Datum		profile;

	caller_enter_user(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	caller_require_self(&caller, &user_id);
	if (!complete_part(&caller, &user_id, WAIT_FOR_LOCK, PART_PROFILE) ||
		!complete_part(&caller, &user_id, WAIT_FOR_LOCK, PART_ACCOUNT))
		refuse_unknown(&caller, "user", &user_id);

	argument_uuid(&args, &user_id);
	statement_execute(&select_profile, &args);
	profile = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(profile);
}

/* what is repaired */
typedef struct Repair
{
	const pg_uuid_t *user_id;
	SignUpPart	part;
	bool		done;			/* false if the user is locked, or gone */
} Repair;

static void
repair_part(void *arg)
{
	Repair	   *repair = arg;
	Caller		caller;

	caller_enter_trigger(&caller);
	repair->done = complete_part(&caller, repair->user_id, SKIP_LOCKED, repair->part);
	caller_leave(&caller);
}

/* Repair a part, if that is possible; returns whether it was. */
static bool
try_repair(const pg_uuid_t *user_id, SignUpPart part)
{
	Repair		repair = {.user_id = user_id,.part = part};
	ErrorData  *error = in_subtransaction(repair_part, &repair);

	if (error == NULL)
		return repair.done;
	sign_up_failed(user_id, part, error);
	FreeErrorData(error);
	return false;
}

/*
 * Repair users, each for himself, so that one who cannot be repaired does not
 * keep the others from it.  One who is locked is left to the next call.  Returns how
 * many were repaired.
 */
static int32
repair_users(const List *users)
{
	ListCell   *cell;
	int32		count = 0;

	foreach(cell, users)
	{
		bool		profile = try_repair(lfirst(cell), PART_PROFILE);
		bool		account = try_repair(lfirst(cell), PART_ACCOUNT);

		if (profile && account)
			count++;
	}
	return count;
}

/* Return true if a user lacks something, of which no failure is known. */
static bool
needs_repair(const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	return statement_execute(&select_need, &args) > 0;
}

/*
 * Return those of the next users who lack a profile or an account: after the
 * mark, which moves on, and from the first again when the last was looked at.
 */
static List *
find_incomplete_users(int32 limit)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	last = {{0}};
	List	   *users;
	List	   *incomplete = NIL;
	ListCell   *cell;

	if (statement_execute(&select_mark, &NO_ARGUMENTS) > 0)
		last = result_uuid(1);
	users = users_after(&last, USERS_LOOKED_AT);
	memset(&last, 0, sizeof(last));
	foreach(cell, users)
	{
		pg_uuid_t  *user_id = lfirst(cell);

		if (!needs_repair(user_id))
			continue;
		if (list_length(incomplete) == limit)
			break;
		incomplete = lappend(incomplete, user_id);
	}
	if (cell != NULL)
		last = *(pg_uuid_t *) llast(incomplete);
	else if (list_length(users) == USERS_LOOKED_AT)
		last = *(pg_uuid_t *) llast(users);
	argument_uuid(&args, &last);
	statement_execute(&move_mark, &args);
	return incomplete;
}

/*
 * repair_sign_ups(p_limit integer) returns integer
 */
Datum
repair_sign_ups(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	int32		limit;
	int32		count;

	caller_enter_service(&caller);
	/* it would be the failure of every user */
	PreventCommandIfReadOnly("repair_sign_ups()");
	limit = check_int32(fcinfo, 0, "p_limit", 1, MAX_REPAIRS);
	argument_int32(&args, limit);
	count = repair_users(statement_execute_uuids(&select_failed, &args));
	/* those who fail again and again do not use up the limit */
	if (count < limit)
		count += repair_users(find_incomplete_users(limit - count));
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}
