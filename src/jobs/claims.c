/*
 * claims.c
 *	  Workers claim jobs from the waiting list.
 *
 * A claim turns waiting rows of the queue into leases and touches nothing else.
 *
 * Pitfall: while somebody holds an old snapshot, the rows that were claimed
 * since cannot be cleaned away, and lie before the first waiting row.  So a
 * session remembers where it last found one, and looks on from there when it is
 * not cheap to look from the start: at most one twentieth of the time goes into
 * that, and jobs that came in before the remembered place wait that long.
 *
 * Lock order: claims lock rows of the queue alone, and never wait for one.  A
 * claim that fails a job which cannot be shown locks it and the account too,
 * where nobody has them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "leases.h"
#include "queue.h"
#include "queue_rows.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(claim_jobs);

#define MAX_CLAIM 1000
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
	const QueueSystem *system;
} Lookout;

static const Place first_place = {PG_INT32_MIN, PG_INT64_MIN, DT_NOBEGIN, {{0}}};

/* Lookout: one for each list that this session has claimed from */
static List *lookouts = NIL;

static Statement promote = {
	.force_index_plan = true,
	.fast_path = promote_directly,
	.text = "WITH due AS MATERIALIZED ("
	"   SELECT q.job_id FROM studio_engine.queue q"
	"    WHERE q.system = $1::studio_engine.job_system AND q.state = 'delayed' AND q.due_at <= $2"
	"    ORDER BY q.due_at LIMIT $3 FOR UPDATE SKIP LOCKED)"
	" UPDATE studio_engine.queue q SET state = 'waiting' FROM due d"
	"  WHERE q.job_id = d.job_id AND q.system = $1::studio_engine.job_system",
	.nargs = 3,.argtypes = {TEXTOID, TIMESTAMPTZOID, INT4OID}
};
static Statement claim = {
	.force_index_plan = true,
	.fast_path = claim_directly,
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

static Lookout *
lookout_of(const QueueSystem *system)
{
	MemoryContext old;
	Lookout    *lookout;
	ListCell   *cell;

	foreach(cell, lookouts)
	{
		if (((Lookout *) lfirst(cell))->system == system)
			return lfirst(cell);
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	lookout = palloc0(sizeof(Lookout));
	lookout->system = system;
	lookouts = lappend(lookouts, lookout);
	MemoryContextSwitchTo(old);
	return lookout;
}

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
	found = statement_execute(&promote, &args);
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
	return statement_execute(&claim, &args);
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
	StatementResult *outer;
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
	nulls[4] = statement_execute(asked->system->select_job, &args) == 0;
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
	asked.lease = lease_end(PG_ARGISNULL(3) ? NULL : PG_GETARG_INTERVAL_P(3), now) - now;

	while (claim_some(rsinfo, &asked, &bytes) && asked.limit > 0 && bytes < MAX_CLAIM_BYTES)
		CHECK_FOR_INTERRUPTS();
	caller_leave(&caller);

	return (Datum) 0;
}
