/*
 * runs.c
 *	  Locking runs of the pipeline, and the triggers that maintain the number of
 *	  a run's last event, the events of its status changes, and the owner of
 *	  its events and artifacts.
 *
 * An event is numbered under the lock of its run and becomes visible when the
 * lock is released.  So numbers become visible in their order, and a client that
 * reads the events after number n misses none.  Inserting an event or an
 * artifact writes the run in the same transaction, so that a REPEATABLE READ
 * transaction with an older snapshot fails with 40001.
 *
 * Pitfall: the counter of a run is incremented after the statement and not with
 * each row, so that a row that ON CONFLICT DO NOTHING or another trigger drops
 * leaves no gap in the numbers.
 *
 * Lock order: the run, then its events and artifacts.  Their own UPDATE has
 * locked them already, so it only reads the run.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "flows.h"
#include "restore.h"
#include "runs.h"
#include "statements.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(guard_run);
PG_FUNCTION_INFO_V1(record_transition);
PG_FUNCTION_INFO_V1(pass_owner_on);
PG_FUNCTION_INFO_V1(enter_event);
PG_FUNCTION_INFO_V1(count_event);
PG_FUNCTION_INFO_V1(forbid_event_change);
PG_FUNCTION_INFO_V1(enter_artifact);
PG_FUNCTION_INFO_V1(forbid_artifact_change);

/* the owner of a run; not known if it has none */
typedef struct Owner
{
	bool		known;
	pg_uuid_t	id;
} Owner;

static Statement lock_run = {
	.force_index_plan = true,
	.text = "SELECT j.status FROM pipeline.jobs j"
	" WHERE j.run_id = $1 AND ($2 IS NULL OR j.owner_id = $2) FOR NO KEY UPDATE",
	.nargs = 2,.argtypes = {TEXTOID, UUIDOID}
};

/* a run that this transaction has written already is not written again */
static Statement touch_run = {
	.force_index_plan = true,
	.text = "UPDATE pipeline.jobs j SET last_event_seq = j.last_event_seq"
	" WHERE j.run_id = $1 AND j.xmin <> pg_catalog.pg_current_xact_id()::pg_catalog.xid",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement select_owner = {
	.force_index_plan = true,
	.text = "SELECT j.owner_id FROM pipeline.jobs j WHERE j.run_id = $1",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement lock_run_for_artifact = {
	.force_index_plan = true,
	.text = "SELECT j.owner_id FROM pipeline.jobs j WHERE j.run_id = $1 FOR NO KEY UPDATE",
	.nargs = 1,.argtypes = {TEXTOID}
};

/* events above the counter are those that the current statement has inserted */
static Statement lock_run_for_event = {
	.force_index_plan = true,
	.text = "SELECT j.owner_id, 1 + COALESCE((SELECT pg_catalog.max(e.seq) FROM pipeline.job_events e"
	"          WHERE e.run_id = j.run_id AND e.seq > j.last_event_seq), j.last_event_seq)"
	"  FROM pipeline.jobs j WHERE j.run_id = $1 FOR NO KEY UPDATE",
	.nargs = 1,.argtypes = {TEXTOID}
};

/* called for every event of a statement; the first call counts all of them */
static Statement count_events = {
	.force_index_plan = true,
	.text = "UPDATE pipeline.jobs j"
	"   SET last_event_seq = (SELECT pg_catalog.max(e.seq) FROM pipeline.job_events e"
	"                          WHERE e.run_id = $1 AND e.seq >= $2)"
	" WHERE j.run_id = $1 AND j.last_event_seq < $2",
	.nargs = 2,.argtypes = {TEXTOID, INT8OID}
};
static Statement insert_transition = {
	.text = "INSERT INTO pipeline.job_events (run_id, bot_name, event_type, payload)"
	" VALUES ($1, 'studio_engine', 'status_changed',"
	"         pg_catalog.jsonb_build_object('from', $2, 'to', $3)"
	"         || CASE WHEN $4 IS NULL THEN '{}'"
	"                 ELSE pg_catalog.jsonb_build_object('error_message', pg_catalog.left($4, 10000)) END)",
	.nargs = 4,.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};
static Statement update_event_owners = {
	.force_index_plan = true,
	.text = "UPDATE pipeline.job_events SET owner_id = $2 WHERE run_id = $1",
	.nargs = 2,.argtypes = {TEXTOID, UUIDOID}
};
static Statement update_artifact_owners = {
	.force_index_plan = true,
	.text = "UPDATE pipeline.artifacts SET owner_id = $2 WHERE run_id = $1",
	.nargs = 2,.argtypes = {TEXTOID, UUIDOID}
};

/* true while execute_unguarded() runs a statement, which guard triggers accept */
static bool guards_off = false;

/*
 * Run a statement that changes columns which the guard triggers below reset or
 * forbid to change.
 */
static void
execute_unguarded(Statement *statement, const Arguments *args)
{
	bool		before = guards_off;

	guards_off = true;
	PG_TRY();
	{
		statement_execute(statement, args);
	}
	PG_FINALLY();
	{
		guards_off = before;
	}
	PG_END_TRY();
}

/* ------------------------------------------------------------------------
 * Locking runs
 * ------------------------------------------------------------------------ */

/*
 * Lock a run of the caller, or any run for a service, and return its status;
 * raise an error if there is none.  A user never waits for the lock of another
 * user's run, since that would reveal that it exists.
 */
RunStatus
run_lock_or_refuse(const Caller *caller, const char *run_id)
{
	Arguments	args = NO_ARGUMENTS;
	char	   *status;

	argument_text(&args, run_id);
	argument_uuid(&args, caller->service ? NULL : &caller->uid);
	if (statement_execute(&lock_run, &args) == 0)
		refuse_unknown_text(caller, "run", run_id);
	status = result_text(1);
	return status ? flow_state(&run_flow, status) : UNKNOWN_STATE;
}

/* ------------------------------------------------------------------------
 * Triggers of pipeline.jobs
 * ------------------------------------------------------------------------ */

/*
 * guard_run() returns trigger: BEFORE INSERT OR UPDATE on pipeline.jobs.
 */
Datum
guard_run(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	bool		isnull;

	if (restoring() || guards_off)
		return PointerGetDatum(edit.row);

	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		row_set(&edit, "last_event_seq", INT8OID, Int64GetDatum(0));
	else
	{
		row_set(&edit, "last_event_seq", INT8OID,
				row_get(edit.desc, data->tg_trigtuple, "last_event_seq", INT8OID, &isnull));
		row_set(&edit, "updated_at", TIMESTAMPTZOID,
				TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
	}
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * record_transition() returns trigger: AFTER INSERT OR UPDATE on pipeline.jobs.
 */
Datum
record_transition(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT | ON_UPDATE, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	HeapTuple	row = trigger_new_row(data);
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(NULL);

	argument_text(&args, row_get_text(desc, row, "run_id"));
	argument_text(&args, TRIGGER_FIRED_BY_UPDATE(data->tg_event) ?
				  row_get_label(desc, data->tg_trigtuple, "status") : NULL);
	argument_text(&args, row_get_label(desc, row, "status"));
	argument_text(&args, row_get_text(desc, row, "error_message"));
	caller_enter_trigger(&caller);
	statement_execute(&insert_transition, &args);
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/*
 * pass_owner_on() returns trigger: AFTER UPDATE on pipeline.jobs.
 */
Datum
pass_owner_on(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_UPDATE, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	HeapTuple	row = trigger_new_row(data);
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	bool		isnull;
	Datum		owner_id;

	if (restoring())
		return PointerGetDatum(NULL);

	owner_id = row_get(desc, row, "owner_id", UUIDOID, &isnull);
	argument_text(&args, row_get_text(desc, row, "run_id"));
	argument_add(&args, owner_id, isnull);
	caller_enter_trigger(&caller);
	execute_unguarded(&update_event_owners, &args);
	execute_unguarded(&update_artifact_owners, &args);
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Triggers of events and artifacts
 * ------------------------------------------------------------------------ */

/*
 * Raise the error of the foreign key for a run that does not exist.  The check
 * of the foreign key would come too late: the run may be inserted before it, and
 * the row would have a wrong owner and number.
 */
static void
refuse_missing_run(Relation rel, const char *run_id, const char *constraint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("there is no such run"),
			 errdetail("Run %s.", run_id),
			 errtableconstraint(rel, constraint)));
}

/*
 * Read the owner of a run by a statement, and the number of its next event if
 * seq is not NULL.  *found is set to whether there is such a run.  A run_id of
 * NULL finds none: the owner is unknown and the number 1, and NOT NULL refuses
 * the row later.
 */
static Owner
read_run_for_row(Statement *statement, const char *run_id, int64 *seq, bool *found)
{
	Owner		owner = {.known = false};
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	argument_text(&args, run_id);
	caller_enter_trigger(&caller);
	*found = statement_execute(statement, &args) > 0;
	if (*found && !result_isnull(1))
	{
		owner.known = true;
		owner.id = result_uuid(1);
	}
	if (seq != NULL)
		*seq = *found ? result_int64(2) : 1;
	caller_leave(&caller);
	return owner;
}

/* Set the owner in a row of events or artifacts. */
static void
set_owner(RowEdit *edit, const Owner *owner)
{
	if (owner->known)
		row_set(edit, "owner_id", UUIDOID, UUIDPGetDatum(&owner->id));
	else
		row_set_null(edit, "owner_id");
}

/*
 * enter_event() returns trigger: BEFORE INSERT on pipeline.job_events.
 */
Datum
enter_event(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	const char *run_id;
	Owner		owner;
	int64		seq;
	bool		found;

	if (restoring())
		return PointerGetDatum(edit.row);

	run_id = row_get_text(edit.desc, edit.row, "run_id");
	owner = read_run_for_row(&lock_run_for_event, run_id, &seq, &found);
	if (run_id != NULL && !found)
		refuse_missing_run(data->tg_relation, run_id, "job_events_run_id_fkey");
	row_set(&edit, "seq", INT8OID, Int64GetDatum(seq));
	set_owner(&edit, &owner);
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * count_event() returns trigger: AFTER INSERT on pipeline.job_events.
 */
Datum
count_event(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	bool		isnull;
	Datum		seq;

	if (restoring())
		return PointerGetDatum(NULL);

	seq = row_get(desc, data->tg_trigtuple, "seq", INT8OID, &isnull);
	argument_text(&args, row_get_text(desc, data->tg_trigtuple, "run_id"));
	argument_add(&args, seq, isnull);
	caller_enter_trigger(&caller);
	execute_unguarded(&count_events, &args);
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/* Raise an error if an UPDATE changes this column. */
static void
forbid_column_change(const TriggerData *data, const char *column)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	const char *was = row_get_id(desc, data->tg_trigtuple, column);
	const char *is = row_get_id(desc, data->tg_newtuple, column);

	if ((was == NULL) != (is == NULL) || (was != NULL && strcmp(was, is) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a row cannot be moved to another place in its run or to another run"),
				 errdetail("Column %s.", column),
				 errhint("Insert a new row.")));
}

/* Return the new row of an UPDATE with the owner of its run. */
static Datum
set_owner_of_run(const TriggerData *data)
{
	RowEdit		edit = {.desc = RelationGetDescr(data->tg_relation),.row = data->tg_newtuple};
	bool		found;
	Owner		owner = read_run_for_row(&select_owner, row_get_text(edit.desc, edit.row, "run_id"), NULL, &found);

	set_owner(&edit, &owner);
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * forbid_event_change() returns trigger: BEFORE UPDATE on pipeline.job_events.
 */
Datum
forbid_event_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_UPDATE, 0);

	if (restoring() || guards_off)
		return PointerGetDatum(data->tg_newtuple);

	forbid_column_change(data, "run_id");
	forbid_column_change(data, "seq");
	forbid_column_change(data, "created_at");
	return set_owner_of_run(data);
}

/* Write a locked run that an artifact is added to: see the head of the file. */
static void
touch_locked_run(const char *run_id)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	argument_text(&args, run_id);
	caller_enter_trigger(&caller);
	execute_unguarded(&touch_run, &args);
	caller_leave(&caller);
}

/*
 * enter_artifact() returns trigger: BEFORE INSERT on pipeline.artifacts.
 */
Datum
enter_artifact(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	const char *run_id;
	Owner		owner;
	bool		found;

	if (restoring())
		return PointerGetDatum(edit.row);

	run_id = row_get_text(edit.desc, edit.row, "run_id");
	owner = read_run_for_row(&lock_run_for_artifact, run_id, NULL, &found);
	if (run_id != NULL && !found)
		refuse_missing_run(data->tg_relation, run_id, "artifacts_run_id_fkey");
	touch_locked_run(run_id);
	set_owner(&edit, &owner);
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * forbid_artifact_change() returns trigger: BEFORE UPDATE on pipeline.artifacts.
 */
Datum
forbid_artifact_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_UPDATE, 0);

	if (restoring() || guards_off)
		return PointerGetDatum(data->tg_newtuple);

	forbid_column_change(data, "run_id");
	return set_owner_of_run(data);
}
