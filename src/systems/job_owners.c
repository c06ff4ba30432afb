/*
 * job_owners.c
 *	  The user of what belongs to a job: user_id of its steps, files and log lines
 *	  is copied from the job, so that policies and subscriptions read nothing but
 *	  the row itself.
 *
 * Pitfall: a row may be inserted while its job is given to another user.  An
 * insert locks the job FOR KEY SHARE, as its foreign key does later anyway.  The
 * change locks the job FOR UPDATE before it writes it: so it waits for inserts,
 * which it then finds, and later inserts wait for it and read the new user.
 *
 * Lock order: the job, then what belongs to it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "caller.h"
#include "errors.h"
#include "job_owners.h"
#include "job_rows.h"
#include "restore.h"
#include "statements.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(take_owner_of_job);
PG_FUNCTION_INFO_V1(lock_job_for_new_owner);
PG_FUNCTION_INFO_V1(pass_job_owner_on);

static Statement lock_job_key_share = {
	.operation = &(const RowOperation)
	{
		.table = &jobs_table,.verb = ROW_LOCK,.lock = LockTupleKeyShare,.returns = {JOB_USER}
	}
};
static Statement lock_job_for_update = {
	.operation = &(const RowOperation)
	{
		.table = &jobs_table,.verb = ROW_LOCK,.lock = LockTupleExclusive,.returns = {JOB_USER}
	}
};

#define PASS_ON(table) { \
	.force_index_plan = true, \
	.text = "UPDATE @extschema@." table " SET user_id = $2 WHERE job_id = $1 AND user_id <> $2", \
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID} \
}
static Statement pass_on[] = {PASS_ON("job_steps"), PASS_ON("assets"), PASS_ON("logs")};

#define OF_OTHERS(table) "SELECT 1 FROM @extschema@." table " WHERE job_id = $1 AND user_id <> $2"

/* what a snapshot of REPEATABLE READ does not show to the statements above */
static Statement select_left_behind = {
	.force_index_plan = true,
	.text = OF_OTHERS("job_steps") " UNION ALL " OF_OTHERS("assets") " UNION ALL " OF_OTHERS("logs"),
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

/*
 * Raise the error of the foreign key for a job that does not exist; NOT NULL of
 * user_id would be checked before it.
 */
pg_noreturn static void
refuse_missing_job(Relation rel, const pg_uuid_t *job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("there is no such job"),
			 errdetail("Job %s.", uuid_text(job_id)),
			 errtableconstraint(rel, psprintf("%s_job_id_fkey", RelationGetRelationName(rel)))));
}

/* Lock a job FOR KEY SHARE and read its user; false if there is no such job. */
static bool
read_owner(const pg_uuid_t *job_id, pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	bool		found;

	argument_uuid(&args, job_id);
	caller_enter_trigger(&caller);
	found = statement_execute(&lock_job_key_share, &args) > 0;
	if (found)
		*user_id = result_uuid(1);
	caller_leave(&caller);
	return found;
}

/*
 * take_owner_of_job() returns trigger: BEFORE INSERT OR UPDATE on job_steps, assets
 * and logs.
 */
Datum
take_owner_of_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	pg_uuid_t	job_id,
				user_id;
	bool		isnull;
	Datum		job = row_get(edit.desc, edit.row, "job_id", UUIDOID, &isnull);

	/* NOT NULL refuses a row without a job */
	if (restoring() || isnull)
		return PointerGetDatum(edit.row);

	job_id = *DatumGetUUIDP(job);
	if (!read_owner(&job_id, &user_id))
		refuse_missing_job(data->tg_relation, &job_id);
	row_set(&edit, "user_id", UUIDOID, UUIDPGetDatum(&user_id));
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * lock_job_for_new_owner() returns trigger: BEFORE UPDATE on jobs, the user changes.
 */
Datum
lock_job_for_new_owner(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_UPDATE, 0);
	pg_uuid_t	job_id = row_get_uuid(RelationGetDescr(data->tg_relation), data->tg_trigtuple, "id");
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(data->tg_newtuple);

	argument_uuid(&args, &job_id);
	caller_enter_trigger(&caller);
	statement_execute(&lock_job_for_update, &args);
	caller_leave(&caller);
	return PointerGetDatum(data->tg_newtuple);
}

/*
 * pass_job_owner_on() returns trigger: AFTER UPDATE on jobs, the user has changed.
 */
Datum
pass_job_owner_on(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_UPDATE, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	pg_uuid_t	job_id = row_get_uuid(desc, data->tg_newtuple, "id");
	pg_uuid_t	user_id = row_get_uuid(desc, data->tg_newtuple, "user_id");
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(NULL);

	argument_uuid(&args, &job_id);
	argument_uuid(&args, &user_id);
	caller_enter_trigger(&caller);
	for (int i = 0; i < (int) lengthof(pass_on); i++)
		statement_execute(&pass_on[i], &args);
	if (IsolationUsesXactSnapshot() && statement_execute_with_latest_snapshot(&select_left_behind, &args) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("something was added to the job at the same time"),
				 errdetail("Job %s.", uuid_text(&job_id)),
				 errhint("Repeat the transaction.")));
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/* the fast path never writes user_id */
static const RowTrigger job_triggers[] = {
	{.name = "tr_jobs_lock_owner",
		.definition = "BEFORE UPDATE OF user_id ON %.jobs FOR EACH ROW "
		"WHEN ((old.user_id <> new.user_id)) "
		"EXECUTE FUNCTION studio_engine.lock_job_for_new_owner()",
	.idle = true},
	{.name = "tr_jobs_pass_owner",
		.definition = "AFTER UPDATE ON %.jobs FOR EACH ROW "
		"WHEN ((old.user_id <> new.user_id)) "
		"EXECUTE FUNCTION studio_engine.pass_job_owner_on()",
	.idle = true}
};

/*
 * Register the triggers of this file with the fast path.
 */
void
job_owners_register(void)
{
	layout_register_triggers(&jobs_table, job_triggers, lengthof(job_triggers));
}
