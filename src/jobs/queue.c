/*
 * queue.c
 *	  The queue: jobs are enqueued and dequeued as their status changes.
 *
 * Triggers on the tables of jobs maintain one row of studio_engine.queue for
 * every job that has work to do and that no worker has, so that plain SQL on the
 * tables does the same as the functions.  A claim replaces the row by an attempt
 * (claims.c), whose end is recorded here if the job ends, and in leases.c if not.
 *
 * Pitfall: systems are registered in backend memory when the library is loaded.
 * One that _PG_init() does not register is unknown to queue_by_name().
 *
 * Pitfall: a claim that has not committed has deleted the row in the queue and
 * inserted an attempt that is not visible yet.  So the row is written first, which
 * waits for the claim, and the attempt by a statement with a later snapshot.
 *
 * Pitfall: a claim that cannot show a job returns it to the queue in the same
 * transaction.  A statement that waited for the claim does not see the row that was
 * inserted meanwhile, so who finds neither row nor attempt looks again.
 *
 * Lock order: job, then its row in the queue or its attempt, then the account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "announcements.h"
#include "caller.h"
#include "checks.h"
#include "compat.h"
#include "errors.h"
#include "queue.h"
#include "queue_rows.h"
#include "restore.h"
#include "running_limits.h"
#include "settings.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(maintain_queue);
PG_FUNCTION_INFO_V1(clear_queue);

/* const QueueSystem: those that were registered, in their order */
static List *systems = NIL;

static Statement insert_queue_entry = {
	.force_index_plan = true,
	.text = "INSERT INTO studio_engine.queue AS q"
	"   (system, state, rank, turn, due_at, job_id, user_id, stage, attempt, first_attempt, limited)"
	" SELECT $1::studio_engine.job_system,"
	"        CASE WHEN $8 > pg_catalog.clock_timestamp() THEN 'delayed' WHEN $10 THEN 'parked'"
	"             ELSE 'waiting' END::studio_engine.queue_state,"
	"        $2, $3,"

	/*
	 * rows inserted by one transaction share created_at; this preserves their
	 * order
	 */
	"        CASE WHEN $8 > pg_catalog.clock_timestamp() THEN $8"
	"             ELSE LEAST(pg_catalog.clock_timestamp(), $4 + (pg_catalog.clock_timestamp() - pg_catalog.now())) END,"
	"        $5, $6, $7, a.last, a.last + 1, $9"
	"   FROM (SELECT COALESCE(pg_catalog.max(o.attempt), 0) FROM studio_engine.attempts o"
	"          WHERE o.job_id = $5 AND o.system = $1::studio_engine.job_system"
	"            AND o.outcome NOT IN ('snoozed', 'released')) a (last)"
	" ON CONFLICT (job_id, system) DO NOTHING",
	.nargs = 10,.argtypes = {TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID, UUIDOID, UUIDOID, TEXTOID, TIMESTAMPTZOID, BOOLOID, BOOLOID}
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
static Statement update_entry = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.queue q"
	"   SET rank = CASE WHEN $7 = 0 THEN ~$3 ELSE q.rank END,"
	"       turn = CASE WHEN $7 = 0 THEN q.turn ELSE q.turn + ($4::pg_catalog.int8 - $3) * $7 * 1000000 END,"
	"       user_id = $5, stage = $6,"
	"       state = CASE WHEN NOT $8 THEN q.state WHEN $9 > pg_catalog.clock_timestamp() THEN 'delayed' ELSE 'waiting' END,"
	"       due_at = CASE WHEN $8 AND $9 > pg_catalog.clock_timestamp() THEN $9"
	"                     WHEN $8 AND q.state = 'delayed' THEN pg_catalog.clock_timestamp() ELSE q.due_at END"
	" WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system",
	.nargs = 9,.argtypes = {UUIDOID, TEXTOID, INT4OID, INT4OID, UUIDOID, TEXTOID, INT8OID, BOOLOID, TIMESTAMPTZOID}
};
static Statement update_owner_of_attempts = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.attempts SET user_id = $3 WHERE job_id = $1 AND system = $2::studio_engine.job_system",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, UUIDOID}
};

/* of job $1 in system $2, with outcome $3 and error $4 */
#define END_OPEN_ATTEMPT \
	"UPDATE studio_engine.attempts a SET ended_at = pg_catalog.clock_timestamp(), outcome = $3, error = $4" \
	" WHERE a.job_id = $1 AND a.system = $2::studio_engine.job_system AND a.ended_at IS NULL" \
	" RETURNING a.lease_token, a.expires_at"

static Statement end_known_attempt = {
	.force_index_plan = true,
	.fast_path = end_known_attempt_fast_path,
	.text = END_OPEN_ATTEMPT,
	.nargs = 4,.argtypes = {UUIDOID, TEXTOID, TEXTOID, JSONBOID}
};
static Statement end_open_attempt = {
	.force_index_plan = true,
	.fast_path = end_open_attempt_fast_path,
	.text = END_OPEN_ATTEMPT,
	.nargs = 4,.argtypes = {UUIDOID, TEXTOID, TEXTOID, JSONBOID}
};
static Statement delete_entry = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.queue q WHERE q.job_id = $1 AND q.system = $2::studio_engine.job_system",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement delete_attempts = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.attempts a WHERE a.job_id = $1 AND a.system = $2::studio_engine.job_system",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_open_attempt = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM studio_engine.attempts a"
	" WHERE a.job_id = $1 AND a.system = $2::studio_engine.job_system AND a.ended_at IS NULL",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement delete_entries_of_system = {
	.text = "DELETE FROM studio_engine.queue WHERE system = $1::studio_engine.job_system",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement delete_attempts_of_system = {
	.text = "DELETE FROM studio_engine.attempts WHERE system = $1::studio_engine.job_system",
	.nargs = 1,.argtypes = {TEXTOID}
};

/* the attempt that the last end of a job ended */
static EndedAttempt last_ended;

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
 * Return all systems, in the order of their registration.
 */
const List *
queue_systems(void)
{
	return systems;
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

/* the columns of a job that are copied into its queue entry */
typedef struct QueueEntry
{
	pg_uuid_t	job_id;
	bool		owned;			/* user_id is set; a rendering need not have
								 * one */
	pg_uuid_t	user_id;
	int32		priority;
	const char *stage;
	TimestampTz created_at;
	bool		has_run_at;
	TimestampTz run_at;
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
	entry.stage = row_get_label(desc, row, system->flow->column);
	entry.run_at = DatumGetTimestampTz(row_get(desc, row, "run_at", TIMESTAMPTZOID, &isnull));
	entry.has_run_at = !isnull;
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

/* Return how many seconds of age a priority counts as; 0 if priorities come first. */
static int32
queue_ageing(void)
{
	return setting_int32(SETTING_FAIR_QUEUE) != 0 ? 0 : setting_int32(SETTING_PRIORITY_AGEING_SECONDS);
}

/*
 * Return the rank of a job in the queue.
 */
int32
queue_rank(int32 priority)
{
	return queue_ageing() != 0 ? ~0 : ~priority;
}

/*
 * Return the position of a job in the queue: by priority, or with setting
 * priority_ageing_seconds by age, where a priority counts as that many seconds.
 * With setting fair_queue the turn is the next one of this user in the round robin.
 */
QueuePlace
queue_place(const QueueSystem *system, int32 priority, const pg_uuid_t *user_id, TimestampTz since)
{
	Arguments	args = NO_ARGUMENTS;
	QueuePlace	place = {.rank = queue_rank(priority)};
	int32		ageing = queue_ageing();

	if (setting_int32(SETTING_FAIR_QUEUE) != 0)
	{
		argument_text(&args, system->name);
		argument_int32(&args, priority);
		argument_uuid(&args, user_id);
		statement_execute(&select_turn, &args);
		place.turn = result_int64(1);
	}
	else if (ageing != 0)
	{
		/*
		 * an infinite age, or one that does not fit, is the oldest or the
		 * youngest
		 */
		if (pg_mul_s64_overflow(priority, ageing * USECS_PER_SEC, &place.turn) ||
			pg_sub_s64_overflow(since, place.turn, &place.turn))
			place.turn = priority > 0 ? PG_INT64_MIN : PG_INT64_MAX;
	}
	return place;
}

/*
 * Return the position of a job that returns to the queue, where it had this turn; the
 * settings may have been others then.
 */
QueuePlace
queue_place_again(const QueueSystem *system, int32 priority, const pg_uuid_t *user_id, TimestampTz since, int64 turn)
{
	if (setting_int32(SETTING_FAIR_QUEUE) != 0 && turn > 0)
		return (QueuePlace)
	{
		.rank = queue_rank(priority),.turn = turn
	};
	return queue_place(system, priority, user_id, since);
}

/* Insert the entry of a job that has work to do; a retried job is queued at the end. */
static void
enqueue(const QueueSystem *system, const QueueEntry *entry, bool again)
{
	Arguments	args = NO_ARGUMENTS;
	TimestampTz since = again ? DT_NOEND : entry->created_at;
	TimestampTz now = GetCurrentTimestamp();
	QueuePlace	place = queue_place(system, entry->priority, owner_of(entry),
									entry->has_run_at && entry->run_at > now ? entry->run_at : Min(since, now));

	argument_text(&args, system->name);
	argument_int32(&args, place.rank);
	argument_add(&args, Int64GetDatum(place.turn), false);
	argument_time(&args, &since);
	argument_uuid(&args, &entry->job_id);
	argument_uuid(&args, owner_of(entry));
	argument_text(&args, entry->stage);
	argument_time(&args, entry->has_run_at ? &entry->run_at : NULL);
	argument_add(&args, BoolGetDatum(running_limit_is_set()), false);
	argument_add(&args, BoolGetDatum(running_limit_is_reached(system->name, owner_of(entry))), false);
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

/* Add a member to an object, unless the text is NULL. */
static void
push_text(JsonbBuilder *builder, const char *name, const char *text)
{
	JsonbValue	key = {.type = jbvString};
	JsonbValue	value = {.type = jbvString};

	if (text == NULL)
		return;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	compat_push_jsonb(builder, WJB_KEY, &key);
	compat_push_jsonb(builder, WJB_VALUE, &value);
}

/*
 * Add an error as one argument, jsonb: its details, or an object of its code, message
 * and step.  NULL if there is none.
 */
void
job_error_argument(Arguments *args, const JobError *error)
{
	JsonbBuilder builder = {0};

	if (error == NULL || (error->details == (Datum) 0 && !error->code && !error->message && !error->step))
	{
		argument_add(args, (Datum) 0, true);
		return;
	}
	if (error->details != (Datum) 0)
	{
		argument_add(args, error->details, false);
		return;
	}
	compat_push_jsonb(&builder, WJB_BEGIN_OBJECT, NULL);
	push_text(&builder, "code", error->code);
	push_text(&builder, "message", error->message);
	push_text(&builder, "step", error->step);
	compat_push_jsonb(&builder, WJB_END_OBJECT, NULL);
	argument_add(args, JsonbPGetDatum(JsonbValueToJsonb(builder.result)), false);
}

/* Return true if an error says that the job was cancelled. */
static bool
is_cancellation(const JobError *error)
{
	JsonbValue	found,
			   *code = NULL;
	Jsonb	   *details;

	if (error->details == (Datum) 0)
		return error->code != NULL && strcmp(error->code, ERROR_CANCELLED) == 0;
	details = DatumGetJsonbP(error->details);
	if (JB_ROOT_IS_OBJECT(details))
		code = getKeyJsonValueFromContainer(&details->root, "code", strlen("code"), &found);
	return code != NULL && code->type == jbvString && code->val.string.len == strlen(ERROR_CANCELLED) &&
		memcmp(code->val.string.val, ERROR_CANCELLED, code->val.string.len) == 0;
}

/* Record the end of an attempt by a statement; false if there is no open attempt. */
static bool
end_attempt_by(Statement *statement, const Arguments *args)
{
	if (statement_execute(statement, args) == 0)
		return false;
	last_ended.ended = true;
	last_ended.job_id = *DatumGetUUIDP(args->values[0]);
	last_ended.token = result_uuid(1);
	last_ended.expires_at = result_int64(2);
	return true;
}

/* Delete the entry of a job; returns false if there is none. */
static bool
delete_queue_entry(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	return statement_execute(&delete_entry, &args) > 0;
}

/*
 * Record the outcome of the attempt at a job that is locked and stays open.
 */
void
queue_end_attempt(const QueueSystem *system, const pg_uuid_t *job_id, const char *outcome, const JobError *error)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	argument_text(&args, outcome);
	job_error_argument(&args, error);
	if (!end_attempt_by(&end_known_attempt, &args))
		(void) end_attempt_by(&end_open_attempt, &args);
}

/* End the attempt at a job, by the arguments of the statement, or delete its entry. */
static void
end_or_delete(const QueueSystem *system, const pg_uuid_t *job_id, const Arguments *args)
{
	for (int look = 0; look < QUEUE_LOOKS; look++)
	{
		if (end_attempt_by(&end_known_attempt, args) || delete_queue_entry(system, job_id) ||
			end_attempt_by(&end_open_attempt, args))
			return;
	}
}

/*
 * Record the outcome of the lease of a job that has ended, or delete its entry.  A
 * worker's own call has read the attempt before.
 */
static void
dequeue(const QueueSystem *system, TupleDesc desc, HeapTuple row, bool succeeded)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	job_id = row_get_uuid(desc, row, system->flow->id_column);
	JobError	error = {NULL};
	Datum		user_id;
	bool		isnull;

	if (!succeeded)
		system->read_error(desc, row, &error);
	argument_uuid(&args, &job_id);
	argument_text(&args, system->name);
	argument_text(&args, succeeded ? "completed" : is_cancellation(&error) ? "cancelled" : "failed");
	job_error_argument(&args, &error);
	end_or_delete(system, &job_id, &args);
	user_id = row_get(desc, row, "user_id", UUIDOID, &isnull);
	if (!isnull)
		running_limit_unpark(system->name, DatumGetUUIDP(user_id));
}

/*
 * Forget, and return, the attempt that was ended with its job since the last call.
 */
EndedAttempt
queue_take_ended(void)
{
	EndedAttempt ended = last_ended;

	last_ended.ended = false;
	return ended;
}

/* Delete the entry and the attempts of a deleted job, which may have been open. */
static void
delete_job_entries(const QueueSystem *system, const QueueEntry *entry, bool open)
{
	Arguments	args = NO_ARGUMENTS;
	bool		deleted = !open;

	argument_uuid(&args, &entry->job_id);
	argument_text(&args, system->name);
	for (int look = 0; look == 0 || (look < QUEUE_LOOKS && !deleted); look++)
	{
		deleted |= delete_queue_entry(system, &entry->job_id);
		statement_execute(&delete_attempts, &args);
	}
	running_limit_unpark(system->name, owner_of(entry));
}

/* Return true if this transaction knows that a worker has the job, so that it has no entry. */
static bool
is_known_to_run(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	return knows_open_attempt(&args);
}

/* Update the entry of a job whose priority, owner, stage or start has changed. */
static void
update_queue_entry(const QueueSystem *system, const QueueEntry *was, const QueueEntry *is)
{
	Arguments	args = NO_ARGUMENTS;
	Arguments	owner = NO_ARGUMENTS;
	bool		moved = was->has_run_at != is->has_run_at || (is->has_run_at && was->run_at != is->run_at);

	if (was->priority == is->priority && same_owner(was, is) && !moved &&
		(strcmp(was->stage, is->stage) == 0 || is_known_to_run(system, &is->job_id)))
		return;
	argument_uuid(&args, &is->job_id);
	argument_text(&args, system->name);
	argument_int32(&args, is->priority);
	argument_int32(&args, was->priority);
	argument_uuid(&args, owner_of(is));
	argument_text(&args, is->stage);
	argument_add(&args, Int64GetDatum(queue_ageing()), false);
	argument_add(&args, BoolGetDatum(moved), false);
	argument_time(&args, is->has_run_at ? &is->run_at : NULL);
	for (int look = 0; look < QUEUE_LOOKS && statement_execute(&update_entry, &args) == 0; look++)
		;
	if (same_owner(was, is))
		return;
	argument_uuid(&owner, &is->job_id);
	argument_text(&owner, system->name);
	argument_uuid(&owner, owner_of(is));
	statement_execute(&update_owner_of_attempts, &owner);
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
	pg_uuid_t	old_id = row_get_uuid(desc, old, system->flow->id_column);
	pg_uuid_t	new_id = row_get_uuid(desc, new, system->flow->id_column);
	QueueEntry	was,
				is;

	/* the end of a job, the most frequent change, needs no more than its id */
	if (uuid_equal(&old_id, &new_id) && !queue_is_open(system, to))
	{
		if (queue_is_open(system, from))
			dequeue(system, desc, new, to == system->succeeded);
		return;
	}
	was = read_queue_entry(system, desc, old);
	is = read_queue_entry(system, desc, new);
	if (!uuid_equal(&old_id, &new_id))
	{
		delete_job_entries(system, &was, queue_is_open(system, from));
		from = UNKNOWN_STATE;
	}
	if (queue_is_open(system, from) && queue_is_open(system, to))
		update_queue_entry(system, &was, &is);
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

/* Return true if a worker has a job. */
static bool
has_open_attempt(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	return statement_execute(&select_open_attempt, &args) > 0;
}

/* Maintain the queue after an INSERT, whose statement may have gone on with the row. */
static void
handle_insert(const QueueSystem *system, const TriggerData *data)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	HeapTuple	row = trigger_current_row(data);
	QueueEntry	entry;

	if (row == NULL)
		return;
	entry = read_queue_entry(system, desc, row);
	if (queue_is_open(system, queue_state(system, desc, row)) &&
		(row == data->tg_trigtuple || !has_open_attempt(system, &entry.job_id)))
		enqueue(system, &entry, false);
}

/* Maintain the queue after the change that fired the trigger. */
static void
handle_change(const QueueSystem *system, TriggerData *data)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	HeapTuple	row = data->tg_trigtuple;
	QueueEntry	entry;

	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		handle_insert(system, data);
	else if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		handle_update(system, desc, row, data->tg_newtuple);
	else
	{
		entry = read_queue_entry(system, desc, row);
		delete_job_entries(system, &entry, queue_is_open(system, queue_state(system, desc, row)));
	}
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
		statement_execute(&delete_entries_of_system, &args);
		statement_execute(&delete_attempts_of_system, &args);
		caller_leave(&caller);
	}
	return PointerGetDatum(NULL);
}
