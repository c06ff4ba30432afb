/*
 * queue.c
 *	  The waiting list: jobs enter it, workers claim from it, jobs leave it.
 *
 * Triggers on the tables of jobs keep one row of studio_engine.queue for every
 * job that has not ended, whoever changes the job.  A claim turns a waiting
 * row into a lease and touches nothing else.
 *
 * Pitfall: while somebody holds an old snapshot, the rows that were claimed
 * since cannot be cleaned away, and lie before the first waiting row.  So a
 * session remembers where it last found one, and looks on from there when it is
 * not cheap to look from the start: at most one twentieth of the time goes into
 * that, and jobs that came in before the remembered place wait that long.
 *
 * Lock order: job, then its row in the queue, then the account.  Claims lock
 * rows of the queue alone, and never wait for one.  A claim that fails a job
 * which cannot be shown locks it and the account too, where nobody has them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/instrument.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "leases.h"
#include "queue.h"
#include "queue_rows.h"
#include "restore.h"
#include "settings.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(keep_queue);
PG_FUNCTION_INFO_V1(forget_queue);
PG_FUNCTION_INFO_V1(keep_worked_on);
PG_FUNCTION_INFO_V1(claim_jobs);

#define MAX_CLAIM 1000
#define MAX_LEASE_SECONDS 86400
#define MAX_WORKER_LENGTH 200
/* of jobs at a time; at least one is handed out, however much that is */
#define MAX_CLAIM_BYTES (32 * 1024 * 1024)
#define MIN_PROMOTED 100

/* looks that read fewer pages than this, for each row found, are cheap */
#define CHEAP_LOOK_PAGES 50
/* a look in vain that read fewer is taken again at once */
#define VAIN_LOOK_PAGES 1000
#define LOOK_SHARE 20
/* no look rests for more than LOOK_SHARE times this */
#define MAX_LOOK_COST_US (100 * 1000)

/* a place in the order of the waiting list */
typedef struct Place
{
	int32		rank;
	int64		turn;
	TimestampTz since;
	pg_uuid_t	job_id;
} Place;

/* how much a look at the whole of something cost, and when that was */
typedef struct Pace
{
	TimestampTz looked_at;
	int64		cost;			/* microseconds; 0 when it was cheap */
} Pace;

/* a look that is being taken */
typedef struct Look
{
	uint64		preparations;	/* which read pages too */
	TimestampTz began;
	int64		pages;
} Look;

/* what this session knows about one waiting list */
typedef struct Lookout
{
	Pace		waiting;		/* from the start */
	Pace		vain;			/* from the start, when that found nothing */
	Pace		nearby;			/* from last_found, when that found nothing */
	Pace		delayed;
	bool		found;			/* something, at last_found */
	Place		last_found;
} Lookout;

static const Place first_place = {PG_INT32_MIN, PG_INT64_MIN, DT_NOBEGIN, {{0}}};

static const QueueSystem *const systems[] = {&refinement_queue, &video_queue, &rendering_queue};
static Lookout lookouts[lengthof(systems)];

static Statement enter_queue = {
	.by_index = true,
	.text = "INSERT INTO studio_engine.queue AS q (system, rank, turn, due_at, job_id, user_id, attempt, first_attempt)"
	" SELECT $1::studio_engine.job_system, ~$2, $3,"
	/* rows made by one transaction share created_at; their order is kept */
	"        LEAST(pg_catalog.clock_timestamp(), $4 + (pg_catalog.clock_timestamp() - pg_catalog.now())),"
	"        $5, $6, a.last, a.last + 1"
	"   FROM (SELECT COALESCE(pg_catalog.max(o.attempt), 0) FROM studio_engine.attempts o"
	"          WHERE o.job_id = $5 AND o.system = $1::studio_engine.job_system"
	"            AND o.outcome NOT IN ('snoozed', 'released')) a (last)"
	" ON CONFLICT (job_id, system) DO NOTHING",
	.nargs = 6,.argtypes = {TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID, UUIDOID, UUIDOID}
};
static Statement select_turn = {
	.by_index = true,
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
static Statement update_queue = {
	.by_index = true,
	.text = "UPDATE studio_engine.queue SET rank = ~$3, user_id = $4"
	" WHERE job_id = $1 AND system = $2::studio_engine.job_system",
	.nargs = 4,.argtypes = {UUIDOID, TEXTOID, INT4OID, UUIDOID}
};
static Statement leave_queue = {
	.by_index = true,
	.direct = leave_queue_directly,
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
static Statement forget_job = {
	.by_index = true,
	.text = "WITH gone AS (DELETE FROM studio_engine.queue"
	"               WHERE job_id = $1 AND system = $2::studio_engine.job_system)"
	" DELETE FROM studio_engine.attempts WHERE job_id = $1 AND system = $2::studio_engine.job_system",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement forget_system = {
	.text = "WITH gone AS (DELETE FROM studio_engine.queue WHERE system = $1::studio_engine.job_system)"
	" DELETE FROM studio_engine.attempts WHERE system = $1::studio_engine.job_system",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement promote = {
	.by_index = true,
	.direct = promote_directly,
	.text = "WITH due AS MATERIALIZED ("
	"   SELECT q.job_id FROM studio_engine.queue q"
	"    WHERE q.system = $1::studio_engine.job_system AND q.state = 'delayed' AND q.due_at <= $2"
	"    ORDER BY q.due_at LIMIT $3 FOR UPDATE SKIP LOCKED)"
	" UPDATE studio_engine.queue q SET state = 'waiting' FROM due d"
	"  WHERE q.job_id = d.job_id AND q.system = $1::studio_engine.job_system",
	.nargs = 3,.argtypes = {TEXTOID, TIMESTAMPTZOID, INT4OID}
};
static Statement claim = {
	.by_index = true,
	.direct = claim_directly,
	.text = "WITH picked AS MATERIALIZED ("
	"   SELECT q.job_id, q.rank, q.turn, q.due_at FROM studio_engine.queue q"
	"    WHERE q.system = $1::studio_engine.job_system AND q.state = 'waiting'"
	"      AND (q.rank, q.turn, q.due_at, q.job_id) >= ($2, $3, $4, $5)"
	"    ORDER BY q.rank, q.turn, q.due_at, q.job_id LIMIT $6 FOR UPDATE SKIP LOCKED),"
	" leased AS ("
	"   UPDATE studio_engine.queue q"
	"      SET state = 'leased', attempt = q.attempt + 1, lease_token = pg_catalog.gen_random_uuid(),"
	"          worker = $7, claimed_at = pg_catalog.clock_timestamp(), since = q.due_at,"
	"          due_at = pg_catalog.clock_timestamp() + $8 * interval '1 microsecond',"
	"          expires_at = pg_catalog.clock_timestamp() + $8 * interval '1 microsecond'"
	"     FROM picked p WHERE q.job_id = p.job_id AND q.system = $1::studio_engine.job_system"
	"   RETURNING q.job_id, q.lease_token, q.attempt, p.rank, p.turn, p.due_at, q.expires_at)"
	" SELECT l.job_id, l.lease_token, l.attempt, l.rank, l.turn, l.due_at, l.expires_at"
	"   FROM leased l ORDER BY l.rank, l.turn, l.due_at, l.job_id",
	.nargs = 8,.argtypes = {TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID, UUIDOID, INT4OID,
	TEXTOID, INT8OID}
};

/* The system of a name; NULL where there is none. */
const QueueSystem *
queue_by_name(const char *name)
{
	for (int i = 0; i < (int) lengthof(systems); i++)
	{
		if (strcmp(systems[i]->name, name) == 0)
			return systems[i];
	}
	return NULL;
}

/* The system that an argument names. */
const QueueSystem *
queue_check_name(FunctionCallInfo fcinfo, int argno, const char *name)
{
	const char *names[lengthof(systems)];

	for (int i = 0; i < (int) lengthof(systems); i++)
		names[i] = systems[i]->name;
	return queue_by_name(check_word(fcinfo, argno, name, names, lengthof(names)));
}

static Lookout *
lookout_of(const QueueSystem *system)
{
	int			i = 0;

	while (systems[i] != system)
		i++;
	return &lookouts[i];
}

/* ------------------------------------------------------------------------
 * Jobs come and go
 * ------------------------------------------------------------------------ */

/* when this session last notified, and when its transaction did */
static TimestampTz notified_at = 0;
static TimestampTz notifying_at = 0;

/* What was rolled back has notified nobody. */
static void
note_notified(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && notifying_at != 0)
		notified_at = notifying_at;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		notifying_at = 0;
}

/* Wake those who listen, at most once in a while. */
static void
announce(const QueueSystem *system)
{
	static bool watching = false;
	int32		interval = setting_int32(SETTING_NOTIFY_INTERVAL_MS);
	TimestampTz now,
				last;

	if (interval == 0)
		return;
	if (!watching)
	{
		RegisterXactCallback(note_notified, NULL);
		watching = true;
	}
	now = GetCurrentTimestamp();
	last = Max(notified_at, notifying_at);
	if (now >= last && !TimestampDifferenceExceeds(last, now, interval))
		return;
	notifying_at = now;
	Async_Notify("studio_engine", system->name);
}

/* The place of a new job of this user in the rounds of all. */
static int64
next_turn(const QueueSystem *system, int32 priority, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	if (setting_int32(SETTING_FAIR_QUEUE) == 0)
		return 0;
	argument_text(&args, system->name);
	argument_int32(&args, priority);
	argument_uuid(&args, user_id);
	statement_run(&select_turn, &args);
	return result_int64(1);
}

/* The columns of a job that the queue has too. */
typedef struct Entrant
{
	pg_uuid_t	job_id;
	bool		owned;			/* by user_id; a rendering need not be */
	pg_uuid_t	user_id;
	int32		priority;
	TimestampTz created_at;
} Entrant;

static Entrant
read_entrant(const QueueSystem *system, TupleDesc desc, HeapTuple row)
{
	Entrant		entrant;
	Datum		user_id;
	bool		isnull;

	entrant.job_id = row_get_uuid(desc, row, system->flow->id_column);
	user_id = row_get(desc, row, "user_id", UUIDOID, &isnull);
	entrant.owned = !isnull;
	if (entrant.owned)
		entrant.user_id = *DatumGetUUIDP(user_id);
	entrant.priority = DatumGetInt32(row_get(desc, row, "priority", INT4OID, &isnull));
	if (isnull)
		entrant.priority = 0;
	entrant.created_at = DatumGetTimestampTz(row_get(desc, row, "created_at", TIMESTAMPTZOID, &isnull));
	if (isnull)
		entrant.created_at = DT_NOEND;
	return entrant;
}

/* NULL for nobody */
static const pg_uuid_t *
owner_of(const Entrant *entrant)
{
	return entrant->owned ? &entrant->user_id : NULL;
}

static bool
same_owner(const Entrant *was, const Entrant *is)
{
	return was->owned == is->owned && (!was->owned || uuid_equal(&was->user_id, &is->user_id));
}

/* A job has work to do.  One that is tried again queues up at the end. */
static void
enter(const QueueSystem *system, const Entrant *entrant, bool again)
{
	Arguments	args = NO_ARGUMENTS;
	TimestampTz since = again ? DT_NOEND : entrant->created_at;

	argument_text(&args, system->name);
	argument_int32(&args, entrant->priority);
	argument_add(&args, Int64GetDatum(next_turn(system, entrant->priority, owner_of(entrant))), false);
	argument_time(&args, &since);
	argument_uuid(&args, &entrant->job_id);
	argument_uuid(&args, owner_of(entrant));
	statement_run(&enter_queue, &args);
	announce(system);
}

/* A job has ended; whoever had it, has it no more. */
static void
leave(const QueueSystem *system, TupleDesc desc, HeapTuple row, bool succeeded)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	job_id = row_get_uuid(desc, row, system->flow->id_column);
	JobError	error = {NULL};

	if (!succeeded)
		system->read_error(desc, row, &error);
	argument_uuid(&args, &job_id);
	argument_text(&args, system->name);
	argument_add(&args, BoolGetDatum(succeeded), false);
	argument_add(&args, error.details, error.details == (Datum) 0);
	argument_text(&args, error.code);
	argument_text(&args, error.message);
	argument_text(&args, error.step);
	statement_run(&leave_queue, &args);
}

static void
forget(const QueueSystem *system, const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_text(&args, system->name);
	statement_run(&forget_job, &args);
}

/* A job that stays in the queue may have another priority, or another user. */
static void
follow(const QueueSystem *system, const Entrant *was, const Entrant *is)
{
	Arguments	args = NO_ARGUMENTS;

	if (was->priority == is->priority && same_owner(was, is))
		return;
	argument_uuid(&args, &is->job_id);
	argument_text(&args, system->name);
	argument_int32(&args, is->priority);
	argument_uuid(&args, owner_of(is));
	statement_run(&update_queue, &args);
}

static int
state_of(const QueueSystem *system, TupleDesc desc, HeapTuple row)
{
	return flow_state(system->flow, row_get_label(desc, row, system->flow->column));
}

static bool
is_open(const QueueSystem *system, int state)
{
	return state >= system->first_open && !flow_is_terminal(system->flow, state);
}

/*
 * A job was written: it may begin or cease to be one to be done.
 */
void
queue_note_update(const QueueSystem *system, TupleDesc desc, HeapTuple old, HeapTuple new)
{
	int			from = state_of(system, desc, old);
	int			to = state_of(system, desc, new);
	Entrant		was = read_entrant(system, desc, old);
	Entrant		is = read_entrant(system, desc, new);

	if (!uuid_equal(&was.job_id, &is.job_id))
	{
		forget(system, &was.job_id);
		from = UNKNOWN_STATE;
	}
	if (is_open(system, from) && is_open(system, to))
		follow(system, &was, &is);
	else if (is_open(system, from))
		leave(system, desc, new, to == system->succeeded);
	else if (is_open(system, to))
		enter(system, &is, from != UNKNOWN_STATE && flow_is_terminal(system->flow, from));
}

static void
note_change(const QueueSystem *system, TriggerData *data)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	HeapTuple	row = data->tg_trigtuple;
	Entrant		entrant = read_entrant(system, desc, row);

	if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		forget(system, &entrant.job_id);
	else if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		queue_note_update(system, desc, row, data->tg_newtuple);
	else if (is_open(system, state_of(system, desc, row)))
		enter(system, &entrant, false);
}

/* The system that the argument of a trigger names. */
static const QueueSystem *
system_of_trigger(const TriggerData *data)
{
	const QueueSystem *system = queue_by_name(data->tg_trigger->tgargs[0]);

	if (system == NULL)
		refuse_value("the argument of the trigger", "the name of a table of jobs");
	return system;
}

/*
 * keep_queue(system) returns trigger: AFTER INSERT OR UPDATE OR DELETE.
 */
Datum
keep_queue(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT | ON_UPDATE | ON_DELETE, 1);
	const QueueSystem *system = system_of_trigger(data);
	Caller		caller;

	if (!restoring())
	{
		caller_enter_trigger(&caller);
		note_change(system, data);
		caller_leave(&caller);
	}
	return PointerGetDatum(NULL);
}

/*
 * forget_queue(system) returns trigger: AFTER TRUNCATE.
 */
Datum
forget_queue(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_STATEMENT, ON_TRUNCATE, 1);
	const QueueSystem *system = system_of_trigger(data);
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	if (!restoring())
	{
		argument_text(&args, system->name);
		caller_enter_trigger(&caller);
		statement_run(&forget_system, &args);
		caller_leave(&caller);
	}
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Jobs that users may not delete
 * ------------------------------------------------------------------------ */

/* Has somebody begun with it, with or without a lease, and not ended? */
static bool
is_worked_on(const QueueSystem *system, const Doomed *job)
{
	Answer	   *outer;
	bool		leased;

	if (!is_open(system, job->state))
		return false;
	if (job->state > system->first_open)
		return true;
	/* a scope of its own frees what it used */
	outer = statements_begin();
	leased = lease_is_out(system, &job->id);
	statements_end(outer);
	return leased;
}

/*
 * Refuse to let go of locked jobs while somebody works on one of them: he would
 * work for nothing, and what he has delivered could have been read.  A claim
 * that comes later passes by.
 */
void
queue_refuse_worked_on(const QueueSystem *system, const List *jobs)
{
	ListCell   *cell;

	foreach(cell, jobs)
	{
		const Doomed *job = lfirst(cell);

		if (is_worked_on(system, job))
			ereport(ERROR,
					(errcode(ERRCODE_STUDIO_CONFLICT),
					 errmsg("a worker has this job"),
					 errdetail("Job %s of %s.", uuid_text(&job->id), system->name),
					 errhint("Cancel the job, and delete it when the worker has stopped.")));
	}
}

/* a list of Doomed, and the system that knows their states */
typedef struct DoomedJobs
{
	const QueueSystem *system;
	List	   *jobs;
} DoomedJobs;

static void
collect_doomed(HeapTuple row, TupleDesc desc, void *arg)
{
	DoomedJobs *doomed = arg;
	Doomed	   *job = palloc(sizeof(Doomed));
	bool		isnull;

	job->id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	job->state = flow_state(doomed->system->flow, SPI_getvalue(row, desc, 2));
	doomed->jobs = lappend(doomed->jobs, job);
}

/*
 * Lock jobs by a statement whose columns are id and status.
 */
List *
queue_lock_doomed(const QueueSystem *system, Statement *statement, const Arguments *args)
{
	DoomedJobs	doomed = {.system = system,.jobs = NIL};

	statement_run_each(statement, args, collect_doomed, &doomed);
	return doomed.jobs;
}

/*
 * keep_worked_on(system) returns trigger: BEFORE DELETE on a table of jobs.
 * Only a BEFORE trigger knows who asks: in a cascade it runs as the owner of
 * the table, as the cascade does, and an AFTER trigger as who began with it.
 */
Datum
keep_worked_on(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_DELETE, 1);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	const QueueSystem *system = system_of_trigger(data);
	bool		service = caller_is_service();
	Doomed		job = {
		.id = row_get_uuid(desc, data->tg_trigtuple, system->flow->id_column),
		.state = state_of(system, desc, data->tg_trigtuple)
	};
	Caller		caller;

	if (!restoring() && !service)
	{
		caller_enter_trigger(&caller);
		queue_refuse_worked_on(system, list_make1(&job));
		caller_leave(&caller);
	}
	return PointerGetDatum(data->tg_trigtuple);
}

/* ------------------------------------------------------------------------
 * Claiming
 * ------------------------------------------------------------------------ */

/* Is it time to look at the whole again? */
static bool
may_look(const Pace *pace, TimestampTz now)
{
	return pace->cost == 0 || now < pace->looked_at ||
		now - pace->looked_at >= LOOK_SHARE * pace->cost;
}

/* Pages that this session has read so far, from memory or from disk. */
static int64
pages_read(void)
{
	return pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read;
}

/*
 * Note what a look cost.  Whether it was cheap is told by the pages, since time
 * passes for other reasons too; what it may take from now on, by the time.
 */
static void
note_look(Pace *pace, const Look *look, int64 cheap_pages)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		pages = pages_read() - look->pages;
	bool		prepared = statement_preparations() != look->preparations;
	bool		cheap = prepared || pages < cheap_pages;

	pace->looked_at = now;
	pace->cost = cheap ? 0 : Min(now - look->began, MAX_LOOK_COST_US);
}

static Look
begin_look(void)
{
	Look		look = {
		.preparations = statement_preparations(),
		.began = GetCurrentTimestamp(),
		.pages = pages_read()
	};

	return look;
}

/* What was delayed until now is waiting from now on. */
static void
promote_due(const QueueSystem *system, Lookout *lookout, int32 limit)
{
	Arguments	args = NO_ARGUMENTS;
	Look		look = begin_look();
	uint64		found;

	if (!may_look(&lookout->delayed, look.began))
		return;
	argument_text(&args, system->name);
	argument_time(&args, &look.began);
	argument_int32(&args, Max(limit, MIN_PROMOTED));
	found = statement_run(&promote, &args);
	note_look(&lookout->delayed, &look, CHEAP_LOOK_PAGES * (int64) (found + 1));
}

/* A claim: what is asked for. */
typedef struct Claim
{
	const QueueSystem *system;
	const char *worker;
	int32		limit;
	int64		lease;			/* microseconds */
} Claim;

static uint64
claim_from(const Claim *asked, const Place *place)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, asked->system->name);
	argument_int32(&args, place->rank);
	argument_add(&args, Int64GetDatum(place->turn), false);
	argument_time(&args, &place->since);
	argument_uuid(&args, &place->job_id);
	argument_int32(&args, asked->limit);
	argument_text(&args, asked->worker);
	argument_add(&args, Int64GetDatum(asked->lease), false);
	return statement_run(&claim, &args);
}

/* Remember where the first of the claimed jobs stood. */
static void
remember_place(Lookout *lookout)
{
	lookout->found = true;
	lookout->last_found.job_id = result_uuid(1);
	lookout->last_found.rank = result_int32(4);
	lookout->last_found.turn = result_int64(5);
	lookout->last_found.since = result_int64(6);
}

/* Note a look that finds nothing; one that finds something may go on at once. */
static void
note_vain_look(Pace *pace, const Look *look, uint64 found)
{
	if (found == 0)
		note_look(pace, look, VAIN_LOOK_PAGES);
	else
		pace->cost = 0;
}

static uint64
claim_from_start(const Claim *asked, Lookout *lookout)
{
	Look		look = begin_look();
	uint64		found = claim_from(asked, &first_place);

	note_look(&lookout->waiting, &look, CHEAP_LOOK_PAGES * (int64) (found + 1));
	note_vain_look(&lookout->vain, &look, found);
	return found;
}

/* Look on from where something was found last. */
static uint64
claim_nearby(const Claim *asked, Lookout *lookout)
{
	Look		look = begin_look();
	uint64		found;

	if (!lookout->found || !may_look(&lookout->nearby, look.began))
		return 0;
	found = claim_from(asked, &lookout->last_found);
	note_vain_look(&lookout->nearby, &look, found);
	return found;
}

/* Lease what comes first; the rows, if any, are the last result. */
static uint64
claim_first(const Claim *asked)
{
	Lookout    *lookout = lookout_of(asked->system);
	uint64		found = 0;

	promote_due(asked->system, lookout, asked->limit);
	if (!may_look(&lookout->waiting, GetCurrentTimestamp()))
		found = claim_nearby(asked, lookout);
	if (found == 0 && may_look(&lookout->vain, GetCurrentTimestamp()))
		found = claim_from_start(asked, lookout);
	if (found > 0)
		remember_place(lookout);
	return found;
}

/* The jobs that were claimed: they outlive the result that they come from. */
static const Claimed *
claimed_jobs(uint64 found)
{
	Claimed    *claimed = result_rows();
	bool		isnull;

	if (claimed != NULL)
		return claimed;
	claimed = palloc(Max(found, 1) * sizeof(Claimed));

	for (uint64 i = 0; i < found; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		claimed[i].job_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
		claimed[i].token = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
		claimed[i].attempt = DatumGetInt32(SPI_getbinval(row, desc, 3, &isnull));
		claimed[i].expires_at = DatumGetTimestampTz(SPI_getbinval(row, desc, 7, &isnull));
	}
	return claimed;
}

/*
 * One row of claim_jobs(): with the job, which the worker would ask for next.
 * False when that cannot be shown.
 */
static bool
put_claimed(ReturnSetInfo *rsinfo, const Claim *asked, const Claimed *claimed, int64 *bytes)
{
	Arguments	args = NO_ARGUMENTS;
	Answer	   *outer;
	Shown		shown = {.whole = true};
	Datum		values[5];
	bool		nulls[5] = {false, false, false, false, false};

	argument_uuid(&args, &claimed->job_id);
	values[0] = UUIDPGetDatum(&claimed->job_id);
	values[1] = UUIDPGetDatum(&claimed->token);
	values[2] = Int32GetDatum(claimed->attempt);
	values[3] = TimestampTzGetDatum(claimed->expires_at);
	/* a scope of its own frees the job */
	outer = statements_begin();
	nulls[4] = statement_run(asked->system->select_job, &args) == 0;
	if (!nulls[4])
		shown = result_shown();
	values[4] = shown.row;
	if (shown.whole)
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	statements_end(outer);
	*bytes += shown.bytes;
	return shown.whole;
}

/*
 * Claim what comes first and put it into the result, as far as that goes: what
 * cannot be shown fails, what is too much at a time goes back.  True when jobs
 * failed, in whose place there may be others.
 */
static bool
claim_some(ReturnSetInfo *rsinfo, Claim *asked, int64 *bytes)
{
	uint64		found = claim_first(asked);
	const Claimed *claimed = claimed_jobs(found);
	bool		failed = false;

	for (uint64 i = 0; i < found; i++)
	{
		if (*bytes >= MAX_CLAIM_BYTES)
			lease_undo(asked->system, &claimed[i].job_id);
		else if (put_claimed(rsinfo, asked, &claimed[i], bytes))
			asked->limit--;
		else
		{
			lease_fail_unreadable(asked->system, &claimed[i].job_id);
			failed = true;
		}
	}
	return failed;
}

/*
 * The end of a lease that is asked for, or that the setting gives.
 */
TimestampTz
lease_end(FunctionCallInfo fcinfo, int argno, TimestampTz now)
{
	int32		seconds;

	if (!PG_ARGISNULL(argno))
		return check_until(fcinfo, argno, "p_lease", now, 1, MAX_LEASE_SECONDS);
	seconds = setting_int32(SETTING_LEASE_SECONDS);
	return now + Max(seconds, 1) * USECS_PER_SEC;
}

/*
 * claim_jobs(p_system text, p_worker text, p_limit integer, p_lease interval)
 * returns setof (job_id, lease_token, attempt, lease_expires_at, job)
 */
Datum
claim_jobs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Caller		caller;
	TimestampTz now;
	Claim		asked;
	int64		bytes = 0;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_service(&caller);
	asked.system = queue_check_name(fcinfo, 0, "p_system");
	asked.worker = check_text(fcinfo, 1, "p_worker", 1, MAX_WORKER_LENGTH);
	asked.limit = check_int32(fcinfo, 2, "p_limit", 1, MAX_CLAIM);
	now = GetCurrentTimestamp();
	asked.lease = lease_end(fcinfo, 3, now) - now;

	while (claim_some(rsinfo, &asked, &bytes) && asked.limit > 0 && bytes < MAX_CLAIM_BYTES)
		CHECK_FOR_INTERRUPTS();
	caller_leave(&caller);

	return (Datum) 0;
}
