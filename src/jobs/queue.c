/*
 * queue.c
 *	  The queue: jobs are enqueued and dequeued as their status changes.
 *
 * Triggers on the tables of jobs maintain one row of studio_engine.queue for
 * every job that has work to do, so that plain SQL on the tables does the same
 * as the functions.  claims.c leases these rows to workers.
 *
 * Pitfall: systems are registered in backend memory when the library is loaded.
 * One that _PG_init() does not register is unknown to queue_by_name().
 *
 * Lock order: job, then its row in the queue, then the account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "announcements.h"
#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "queue.h"
#include "queue_rows.h"
#include "restore.h"
#include "settings.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(maintain_queue);
PG_FUNCTION_INFO_V1(clear_queue);

/* const QueueSystem: those that were registered, in their order */
static List *systems = NIL;

static Statement insert_queue_entry = {
	.force_index_plan = true,
	.text = "INSERT INTO studio_engine.queue AS q (system, rank, turn, due_at, job_id, user_id, attempt, first_attempt)"
	" SELECT $1::studio_engine.job_system, ~$2, $3,"

	/*
	 * rows inserted by one transaction share created_at; this preserves their
	 * order
	 */
	"        LEAST(pg_catalog.clock_timestamp(), $4 + (pg_catalog.clock_timestamp() - pg_catalog.now())),"
	"        $5, $6, a.last, a.last + 1"
	"   FROM (SELECT COALESCE(pg_catalog.max(o.attempt), 0) FROM studio_engine.attempts o"
	"          WHERE o.job_id = $5 AND o.system = $1::studio_engine.job_system"
	"            AND o.outcome NOT IN ('snoozed', 'released')) a (last)"
	" ON CONFLICT (job_id, system) DO NOTHING",
	.nargs = 6,.argtypes = {TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID, UUIDOID, UUIDOID}
};
static Statement select_turn = {
	.force_index_plan = true,
	.text = "SELECT 1 + GREATEST("
	"   (SELECT q.turn FROM studio_engine.queue q"
	"     WHERE q.system = $1::studio_engine.job_system AND q.state = 'waiting' AND q.rank = ~$2"
	"     ORDER BY q.turn LIMIT 1),"
	"   (SELECT q.turn FROM studio_engine.queue q"
	"     WHERE q.user_id = $3 AND q.system = $1::studio_engine.job_system AND q.state = 'waiting'"
	"       AND q.rank = ~$2 AND q.turn > 0"
	"     ORDER BY q.turn DESC LIMIT 1), 0)",
	.nargs = 3,.argtypes = {TEXTOID, INT4OID, UUIDOID}
};
static Statement update_priority_and_owner = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.queue SET rank = ~$3, user_id = $4"
	" WHERE job_id = $1 AND system = $2::studio_engine.job_system",
	.nargs = 4,.argtypes = {UUIDOID, TEXTOID, INT4OID, UUIDOID}
};
static Statement dequeue_job = {
	.force_index_plan = true,
	.fast_path = dequeue_job_fast_path,
	.text = "WITH gone AS (DELETE FROM studio_engine.queue q"
	"               WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system RETURNING q.*),"
	"     failure AS (SELECT COALESCE($4, NULLIF(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("
	"                        'code', $5, 'message', $6, 'step', $7)), '{}')) AS error)"
	" INSERT INTO studio_engine.attempts (system, job_id, attempt, lease_token, worker, started_at, outcome, error)"
	" SELECT g.system, g.job_id, g.attempt, g.lease_token, g.worker, g.claimed_at,"
	"        CASE WHEN $3 THEN 'completed' WHEN f.error ->> 'code' = 'CANCELLED' THEN 'cancelled' ELSE 'failed' END,"
	"        CASE WHEN NOT $3 THEN f.error END"
	"   FROM gone g, failure f WHERE g.state = 'leased'",
	.nargs = 7,.argtypes = {UUIDOID, TEXTOID, BOOLOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID}
};
static Statement delete_queue_entry = {
	.force_index_plan = true,
	.text = "WITH gone AS (DELETE FROM studio_engine.queue"
	"               WHERE job_id = $1 AND system = $2::studio_engine.job_system)"
	" DELETE FROM studio_engine.attempts WHERE job_id = $1 AND system = $2::studio_engine.job_system",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement delete_queue_entries_of_system = {
	.text = "WITH gone AS (DELETE FROM studio_engine.queue WHERE system = $1::studio_engine.job_system)"
	" DELETE FROM studio_engine.attempts WHERE system = $1::studio_engine.job_system",
	.nargs = 1,.argtypes = {TEXTOID}
};

/*
 * Register a table of jobs when the library is loaded.
 */
void
queue_register(const QueueSystem *system)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	systems = lappend(systems, unconstify(QueueSystem *, system));
	MemoryContextSwitchTo(old);
}

/*
 * Return the system of this name; NULL if there is none.
 */
const QueueSystem *
queue_by_name(const char *name)
{
	ListCell   *cell;

	foreach(cell, systems)
	{
		const QueueSystem *system = lfirst(cell);

		if (strcmp(system->name, name) == 0)
			return system;
	}
	return NULL;
}

/*
 * Return the system that an argument names; raise an error if there is none.
 */
const QueueSystem *
queue_check_name(FunctionCallInfo fcinfo, int argno, const char *name)
{
	const char **names = palloc(list_length(systems) * sizeof(char *));
	ListCell   *cell;

	foreach(cell, systems)
		names[foreach_current_index(cell)] = ((const QueueSystem *) lfirst(cell))->name;
	return queue_by_name(check_word(fcinfo, argno, name, names, list_length(systems)));
}

/* ------------------------------------------------------------------------
 * Maintaining the queue
 * ------------------------------------------------------------------------ */

/* Return the turn of a new job of this user in the round robin; 0 without fair_queue. */
static int64
get_next_turn(const QueueSystem *system, int32 priority, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	if (setting_int32(SETTING_FAIR_QUEUE) == 0)
		return 0;
	argument_text(&args, system->name);
	argument_int32(&args, priority);
	argument_uuid(&args, user_id);
	statement_execute(&select_turn, &args);
	return result_int64(1);
}

/* the columns of a job that are copied into its queue entry */
typedef struct QueueEntry
{
	pg_uuid_t	job_id;
	bool		owned;			/* user_id is set; a rendering need not have
								 * one */
	pg_uuid_t	user_id;
	int32		priority;
	TimestampTz created_at;
} QueueEntry;

/* Read a row of the table of a system. */
static QueueEntry
read_queue_entry(const QueueSystem *system, TupleDesc desc, HeapTuple row)
{
	QueueEntry	entry;
	Datum		user_id;
	bool		isnull;

	entry.job_id = row_get_uuid(desc, row, system->flow->id_column);
	user_id = row_get(desc, row, "user_id", UUIDOID, &isnull);
	entry.owned = !isnull;
	if (entry.owned)
		entry.user_id = *DatumGetUUIDP(user_id);
	entry.priority = DatumGetInt32(row_get(desc, row, "priority", INT4OID, &isnull));
	if (isnull)
		entry.priority = 0;
	entry.created_at = DatumGetTimestampTz(row_get(desc, row, "created_at", TIMESTAMPTZOID, &isnull));
	if (isnull)
		entry.created_at = DT_NOEND;
	return entry;
}

/* Return the owner of a job; NULL if it has none. */
static const pg_uuid_t *
owner_of(const QueueEntry *entry)
{
	return entry->owned ? &entry->user_id : NULL;
}

static bool
same_owner(const QueueEntry *was, const QueueEntry *is)
{
	return was->owned == is->owned && (!was->owned || uuid_equal(&was->user_id, &is->user_id));
}

/* Insert the entry of a job that has work to do; a retried job is queued at the end. */
static void
enqueue(const QueueSystem *system, const QueueEntry *entry, bool again)
{
	Arguments	args = NO_ARGUMENTS;
	TimestampTz since = again ? DT_NOEND : entry->created_at;

	argument_text(&args, system->name);
	argument_int32(&args, entry->priority);
	argument_add(&args, Int64GetDatum(get_next_turn(system, entry->priority, owner_of(entry))), false);
	argument_time(&args, &since);
	argument_uuid(&args, &entry->job_id);
	argument_uuid(&args, owner_of(entry));
	statement_execute(&insert_queue_entry, &args);
	announce_jobs(system->name);
}

/*
 * Add an error, which may be NULL, as the four arguments that statements take:
 * details, code, message, step.
 */
void
job_error_arguments(Arguments *args, const JobError *error)
{
	static const JobError none = {NULL};

	if (error == NULL)
		error = &none;
	argument_add(args, error->details, error->details == (Datum) 0);
	argument_text(args, error->code);
	argument_text(args, error->message);
	argument_text(args, error->step);
}

/* Delete the entry of a job that has ended, and record the outcome of its lease, if any. */
static void
dequeue(const QueueSystem *system, TupleDesc desc, HeapTuple row, bool succeeded)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	job_id = row_get_uuid(desc, row, system->flow->id_column);
	JobError	error = {NULL};

	if (!succeeded)
		system->read_error(desc, row, &error);
	argument_uuid(&args, &job_id);
	argument_text(&args, system->name);
	argument_add(&args, BoolGetDatum(succeeded), false);
	job_error_arguments(&args, &error);
	statement_execute(&dequeue_job, &args);
}

/* Delete the entry and the attempts of a deleted job. */
static void
delete_job_entries(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	statement_execute(&delete_queue_entry, &args);
}

/* Update the entry of a job whose priority or owner has changed. */
static void
update_queue_entry(const QueueSystem *system, const QueueEntry *was, const QueueEntry *is)
{
	Arguments	args = NO_ARGUMENTS;

	if (was->priority == is->priority && same_owner(was, is))
		return;
	argument_uuid(&args, &is->job_id);
	argument_text(&args, system->name);
	argument_int32(&args, is->priority);
	argument_uuid(&args, owner_of(is));
	statement_execute(&update_priority_and_owner, &args);
}

/*
 * Return the state of a job, which is UNKNOWN_STATE for a label that the flow
 * does not have.
 */
int
queue_state(const QueueSystem *system, TupleDesc desc, HeapTuple row)
{
	return flow_state(system->flow, row_get_label(desc, row, system->flow->column));
}

/*
 * Return true if there is work to do in a state.
 */
bool
queue_is_open(const QueueSystem *system, int state)
{
	return state >= system->first_open && !flow_is_terminal(system->flow, state);
}

/* Maintain the queue after an UPDATE, which may have changed the id of a job too. */
static void
handle_update(const QueueSystem *system, TupleDesc desc, HeapTuple old, HeapTuple new)
{
	int			from = queue_state(system, desc, old);
	int			to = queue_state(system, desc, new);
	QueueEntry	was = read_queue_entry(system, desc, old);
	QueueEntry	is = read_queue_entry(system, desc, new);

	if (!uuid_equal(&was.job_id, &is.job_id))
	{
		delete_job_entries(system, &was.job_id);
		from = UNKNOWN_STATE;
	}
	if (queue_is_open(system, from) && queue_is_open(system, to))
		update_queue_entry(system, &was, &is);
	else if (queue_is_open(system, from))
		dequeue(system, desc, new, to == system->succeeded);
	else if (queue_is_open(system, to))
		enqueue(system, &is, from != UNKNOWN_STATE && flow_is_terminal(system->flow, from));
}

/*
 * The callback that replaces maintain_queue() for an UPDATE in the fast path.
 */
void
queue_change(RowChange *change, const void *system)
{
	handle_update(system, RelationGetDescr(change->rel), change->old, change->new);
}

/* Maintain the queue after the change that fired the trigger. */
static void
handle_change(const QueueSystem *system, TriggerData *data)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	HeapTuple	row = data->tg_trigtuple;
	QueueEntry	entry = read_queue_entry(system, desc, row);

	if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		delete_job_entries(system, &entry.job_id);
	else if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		handle_update(system, desc, row, data->tg_newtuple);
	else if (queue_is_open(system, queue_state(system, desc, row)))
		enqueue(system, &entry, false);
}

/*
 * Return the system that the argument of a trigger names; raise an error if
 * there is none.
 */
const QueueSystem *
queue_of_trigger(const TriggerData *data)
{
	const QueueSystem *system = queue_by_name(data->tg_trigger->tgargs[0]);

	if (system == NULL)
		refuse_value("the argument of the trigger", "the name of a table of jobs");
	return system;
}

/*
 * maintain_queue(system) returns trigger: AFTER INSERT OR UPDATE OR DELETE.
 */
Datum
maintain_queue(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT | ON_UPDATE | ON_DELETE, 1);
	const QueueSystem *system = queue_of_trigger(data);
	Caller		caller;

	if (!restoring())
	{
		caller_enter_trigger(&caller);
		handle_change(system, data);
		caller_leave(&caller);
	}
	return PointerGetDatum(NULL);
}

/*
 * clear_queue(system) returns trigger: AFTER TRUNCATE.
 */
Datum
clear_queue(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_STATEMENT, ON_TRUNCATE, 1);
	const QueueSystem *system = queue_of_trigger(data);
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	if (!restoring())
	{
		argument_text(&args, system->name);
		caller_enter_trigger(&caller);
		statement_execute(&delete_queue_entries_of_system, &args);
		caller_leave(&caller);
	}
	return PointerGetDatum(NULL);
}
