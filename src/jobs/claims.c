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
#define CHEAP_SCAN_PAGES 50
/* a look in vain that read fewer is taken again at once */
#define CHEAP_EMPTY_SCAN_PAGES 1000
#define SCAN_TIME_SHARE 20
/* no look rests for more than SCAN_TIME_SHARE times this */
#define MAX_SCAN_COST_US (100 * 1000)

/* a place in the order of the waiting list */
typedef struct QueuePosition
{
	int32		rank;
	int64		turn;
	TimestampTz since;
	pg_uuid_t	job_id;
} QueuePosition;

/* how much a look at the whole of something cost, and when that was */
typedef struct ScanCost
{
	TimestampTz scanned_at;
	int64		cost;			/* microseconds; 0 when it was cheap */
} ScanCost;

/* a look that is being taken */
typedef struct ScanStart
{
	uint64		preparations;	/* which read pages too */
	TimestampTz started_at;
	int64		pages;
} ScanStart;

/* what this session knows about one waiting list */
typedef struct QueueScanState
{
	ScanCost	from_start;		/* of waiting jobs, from the start */
	ScanCost	empty;			/* from the start, of a scan that found none */
	ScanCost	from_position;	/* from last_position, of a scan that found
								 * none */
	ScanCost	delayed;		/* of delayed jobs */
	bool		has_position;	/* last_position is set */
	QueuePosition last_position;	/* of the first job of the last claim */
	const QueueSystem *system;
} QueueScanState;

static const QueuePosition first_position = {PG_INT32_MIN, PG_INT64_MIN, DT_NOBEGIN, {{0}}};

/* QueueScanState: one for each list that this session has claimed from */
static List *scan_states = NIL;

static Statement promote_delayed = {
	.force_index_plan = true,
	.fast_path = promote_fast_path,
	.text = "WITH due AS MATERIALIZED ("
	"   SELECT q.job_id FROM studio_engine.queue q"
	"    WHERE q.system = $1::studio_engine.job_system AND q.state = 'delayed' AND q.due_at <= $2"
	"    ORDER BY q.due_at LIMIT $3 FOR UPDATE SKIP LOCKED)"
	" UPDATE studio_engine.queue q SET state = 'waiting' FROM due d"
	"  WHERE q.job_id = d.job_id AND q.system = $1::studio_engine.job_system",
	.nargs = 3,.argtypes = {TEXTOID, TIMESTAMPTZOID, INT4OID}
};
static Statement claim_waiting = {
	.force_index_plan = true,
	.fast_path = claim_fast_path,
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

static QueueScanState *
get_scan_state(const QueueSystem *system)
{
	MemoryContext old;
	QueueScanState *state;
	ListCell   *cell;

	foreach(cell, scan_states)
	{
		if (((QueueScanState *) lfirst(cell))->system == system)
			return lfirst(cell);
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	state = palloc0(sizeof(QueueScanState));
	state->system = system;
	scan_states = lappend(scan_states, state);
	MemoryContextSwitchTo(old);
	return state;
}

/* Is it time to look at the whole again? */
static bool
may_scan(const ScanCost *scan_cost, TimestampTz now)
{
	return scan_cost->cost == 0 || now < scan_cost->scanned_at ||
		now - scan_cost->scanned_at >= SCAN_TIME_SHARE * scan_cost->cost;
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
record_scan(ScanCost *scan_cost, const ScanStart *start, int64 cheap_pages)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		pages = pages_read() - start->pages;
	bool		prepared = statement_preparations() != start->preparations;
	bool		cheap = prepared || pages < cheap_pages;

	scan_cost->scanned_at = now;
	scan_cost->cost = cheap ? 0 : Min(now - start->started_at, MAX_SCAN_COST_US);
}

static ScanStart
start_scan(void)
{
	ScanStart	start = {
		.preparations = statement_preparations(),
		.started_at = GetCurrentTimestamp(),
		.pages = pages_read()
	};

	return start;
}

/* What was delayed until now is waiting from now on. */
static void
promote_due_jobs(const QueueSystem *system, QueueScanState *state, int32 limit)
{
	Arguments	args = NO_ARGUMENTS;
	ScanStart	start = start_scan();
	uint64		found;

	if (!may_scan(&state->delayed, start.started_at))
		return;
	argument_text(&args, system->name);
	argument_time(&args, &start.started_at);
	argument_int32(&args, Max(limit, MIN_PROMOTED));
	found = statement_execute(&promote_delayed, &args);
	record_scan(&state->delayed, &start, CHEAP_SCAN_PAGES * (int64) (found + 1));
}

/* the arguments of claim_jobs() */
typedef struct ClaimRequest
{
	const QueueSystem *system;
	const char *worker;
	int32		limit;
	int64		lease;			/* microseconds */
} ClaimRequest;

static uint64
claim_from_position(const ClaimRequest *request, const QueuePosition *position)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, request->system->name);
	argument_int32(&args, position->rank);
	argument_add(&args, Int64GetDatum(position->turn), false);
	argument_time(&args, &position->since);
	argument_uuid(&args, &position->job_id);
	argument_int32(&args, request->limit);
	argument_text(&args, request->worker);
	argument_add(&args, Int64GetDatum(request->lease), false);
	return statement_execute(&claim_waiting, &args);
}

/* Remember where the first of the claimed jobs stood. */
static void
remember_position(QueueScanState *state)
{
	state->has_position = true;
	state->last_position.job_id = result_uuid(1);
	state->last_position.rank = result_int32(4);
	state->last_position.turn = result_int64(5);
	state->last_position.since = result_int64(6);
}

/* Note a look that finds nothing; one that finds something may go on at once. */
static void
record_empty_scan(ScanCost *scan_cost, const ScanStart *start, uint64 found)
{
	if (found == 0)
		record_scan(scan_cost, start, CHEAP_EMPTY_SCAN_PAGES);
	else
		scan_cost->cost = 0;
}

static uint64
claim_from_start(const ClaimRequest *request, QueueScanState *state)
{
	ScanStart	start = start_scan();
	uint64		found = claim_from_position(request, &first_position);

	record_scan(&state->from_start, &start, CHEAP_SCAN_PAGES * (int64) (found + 1));
	record_empty_scan(&state->empty, &start, found);
	return found;
}

/* Look on from where something was found last. */
static uint64
claim_from_last_position(const ClaimRequest *request, QueueScanState *state)
{
	ScanStart	start = start_scan();
	uint64		found;

	if (!state->has_position || !may_scan(&state->from_position, start.started_at))
		return 0;
	found = claim_from_position(request, &state->last_position);
	record_empty_scan(&state->from_position, &start, found);
	return found;
}

/* Lease what comes first; the rows, if any, are the last result. */
static uint64
claim_next(const ClaimRequest *request)
{
	QueueScanState *state = get_scan_state(request->system);
	uint64		found = 0;

	promote_due_jobs(request->system, state, request->limit);
	if (!may_scan(&state->from_start, GetCurrentTimestamp()))
		found = claim_from_last_position(request, state);
	if (found == 0 && may_scan(&state->empty, GetCurrentTimestamp()))
		found = claim_from_start(request, state);
	if (found > 0)
		remember_position(state);
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
put_claimed(ReturnSetInfo *rsinfo, const ClaimRequest *request, const Claimed *claimed, int64 *bytes)
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
	nulls[4] = statement_execute(request->system->select_job, &args) == 0;
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
claim_batch(ReturnSetInfo *rsinfo, ClaimRequest *request, int64 *bytes)
{
	uint64		found = claim_next(request);
	const Claimed *claimed = claimed_jobs(found);
	bool		failed = false;

	for (uint64 i = 0; i < found; i++)
	{
		if (*bytes >= MAX_CLAIM_BYTES)
			lease_undo(request->system, &claimed[i].job_id);
		else if (put_claimed(rsinfo, request, &claimed[i], bytes))
			request->limit--;
		else
		{
			lease_fail_unreadable(request->system, &claimed[i].job_id);
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
	ClaimRequest request;
	int64		bytes = 0;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_service(&caller);
	request.system = queue_check_name(fcinfo, 0, "p_system");
	request.worker = check_text(fcinfo, 1, "p_worker", 1, MAX_WORKER_LENGTH);
	request.limit = check_int32(fcinfo, 2, "p_limit", 1, MAX_CLAIM);
	now = GetCurrentTimestamp();
	request.lease = lease_end(PG_ARGISNULL(3) ? NULL : PG_GETARG_INTERVAL_P(3), now) - now;

	while (claim_batch(rsinfo, &request, &bytes) && request.limit > 0 && bytes < MAX_CLAIM_BYTES)
		CHECK_FOR_INTERRUPTS();
	caller_leave(&caller);

	return (Datum) 0;
}
