/*
 * claims.c
 *	  claim_jobs(): workers lease jobs from the queue.
 *
 * A claim replaces waiting rows of the queue by attempts.  Only where there are due jobs,
 * limits, or too few jobs, it writes more: it lets jobs wait, parks them, and ends expired
 * leases.
 *
 * Pitfall: while a transaction holds an old snapshot, VACUUM cannot remove the
 * index entries of rows that were claimed since, and each scan of the queue
 * has to skip them before it reaches the first waiting row.  So a session
 * remembers the position that its last claim found jobs at.  While scans from
 * the start are expensive, it scans from that position, and spends about a
 * twentieth of its time on scans from the start.  Jobs that were inserted
 * before the remembered position wait for the next of these.
 *
 * Lock order: claims lock rows of the queue only, and skip locked ones.  A
 * claim that fails a job which cannot be shown locks the job and the account
 * too, unless either is locked already.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "announcements.h"
#include "async_claims.h"
#include "caller.h"
#include "checks.h"
#include "claims.h"
#include "errors.h"
#include "leases.h"
#include "queue.h"
#include "queue_rows.h"
#include "rows.h"
#include "running_limits.h"
#include "stages.h"
#include "statements.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(claim_jobs);
PG_FUNCTION_INFO_V1(reap_expired_leases);

#define MAX_CLAIM 1000
#define MAX_REAP 10000
#define MAX_WORKER_LENGTH 200
#define MAX_PROCESS_LENGTH 200
/* sets of stages that a session claims from */
#define MAX_SCAN_STATES 32
/* of jobs in one result; the first job is returned whatever its size is */
#define MAX_CLAIM_BYTES (32 * 1024 * 1024)
/* due jobs that a claim promotes at least, where there are as many */
#define MIN_PROMOTED 100
/* expired leases that a claim ends at most */
#define MAX_HEALED 100
/* how long a session relies on it that all leases are counted */
#define COUNTED_MS 1000
/* claims in one call, where limits keep jobs from being claimed */
#define MAX_ROUNDS 50

/* a scan that reads no more pages than this, and these for each row found, is cheap */
#define CHEAP_START_PAGES 16
#define CHEAP_ROW_PAGES 4
/* the same for a statement, whose other pages count too, and those of triggers of the owner */
#define CHEAP_SCAN_PAGES 200
/* an empty scan that reads fewer pages may be repeated at once */
#define CHEAP_EMPTY_SCAN_PAGES 1000
/* expensive scans take at most 1/SCAN_TIME_SHARE of the time */
#define SCAN_TIME_SHARE 20
/* a longer scan counts as this long, which bounds the time until the next */
#define MAX_SCAN_COST_US (100 * 1000)

/* when a kind of scan was last run, and what it cost */
typedef struct ScanCost
{
	TimestampTz scanned_at;
	int64		cost;			/* microseconds; 0 if it was cheap */
} ScanCost;

/* the state of the counters when a scan starts */
typedef struct ScanStart
{
	uint64		preparations;	/* plans that were made, which reads catalog
								 * pages */
	TimestampTz started_at;
	int64		pages;
} ScanStart;

/* what this session knows about scans of one system's jobs in the queue */
typedef struct QueueScanState
{
	ScanCost	from_start;		/* of waiting jobs, from the start */
	ScanCost	empty;			/* from the start, of a scan that found none */
	ScanCost	from_position;	/* from last_position, of a scan that found
								 * none */
	ScanCost	delayed;		/* of delayed jobs */
	TimestampTz counted_at;		/* when all leases were counted */
	pg_uuid_t	healed_until;	/* the user at whom running_limit_heal() ended */
	bool		has_position;	/* last_position is set */
	QueuePosition last_position;	/* of the first job of the last claim */
	const QueueSystem *system;
	char	   *stages;			/* text of the array that claims named; NULL
								 * for all */
} QueueScanState;

static const QueuePosition first_position = {PG_INT32_MIN, PG_INT64_MIN, DT_NOBEGIN, {{0}}};

/* QueueScanState: one for each system and set of stages that this session claims from */
static List *scan_states = NIL;

/*
 * The due jobs of the highest ranks, and those that are due for longest: neither holds
 * up the other.  More than 32 ranks are not looked at, so that a claim costs the same
 * whatever priorities users give.
 */
static Statement promote_delayed = {
	.force_index_plan = true,
	.fast_path = promote_fast_path,
	.text = "WITH RECURSIVE ranks (n, rank) AS ("
	"   SELECT 1, (SELECT q.rank FROM studio_engine.queue q"
	"               WHERE q.system = $1::studio_engine.job_system AND q.state = 'delayed' ORDER BY q.rank LIMIT 1)"
	"   UNION ALL"
	"   SELECT r.n + 1, (SELECT q.rank FROM studio_engine.queue q"
	"                     WHERE q.system = $1::studio_engine.job_system AND q.state = 'delayed' AND q.rank > r.rank"
	"                     ORDER BY q.rank LIMIT 1)"
	"     FROM ranks r WHERE r.rank IS NOT NULL AND r.n < 32),"
	" highest AS MATERIALIZED ("
	"   SELECT d.job_id FROM ranks r, LATERAL (SELECT q.job_id FROM studio_engine.queue q"
	"     WHERE q.system = $1::studio_engine.job_system AND q.state = 'delayed' AND q.rank = r.rank AND q.due_at <= $2"
	"     ORDER BY q.due_at LIMIT $3) d LIMIT $3),"
	" oldest AS MATERIALIZED ("
	"   SELECT q.job_id FROM studio_engine.queue q"
	"    WHERE q.system = $1::studio_engine.job_system AND q.state = 'delayed' AND q.due_at <= $2"
	"    ORDER BY q.due_at LIMIT $3),"
	" due AS MATERIALIZED ("
	"   SELECT p.job_id FROM (SELECT h.job_id FROM highest h UNION SELECT o.job_id FROM oldest o) c,"
	"     LATERAL (SELECT q.job_id FROM studio_engine.queue q"
	"               WHERE q.job_id = c.job_id AND q.system = $1::studio_engine.job_system"
	"                 AND q.state IS NOT DISTINCT FROM 'delayed' FOR UPDATE SKIP LOCKED) p)"
	" UPDATE studio_engine.queue q SET state = 'waiting' FROM due d"
	"  WHERE q.job_id = d.job_id AND q.system = $1::studio_engine.job_system",
	.nargs = 3,.argtypes = {TEXTOID, TIMESTAMPTZOID, INT4OID}
};

/*
 * Without stages ($9) the jobs come in the order of idx_queue_waiting; with them the
 * candidates of each stage are merged, some more than the limit since others may
 * have them.  The stage is in the order, and not equal to something, so that no other
 * index than idx_queue_stage has that order.
 */
static Statement claim_waiting = {
	.force_index_plan = true,
	.fast_path = claim_fast_path,
	.text = "WITH candidates AS MATERIALIZED ("
	"   SELECT c.job_id FROM pg_catalog.unnest($9) s (stage),"
	"     LATERAL (SELECT q.job_id, q.rank, q.turn, q.due_at FROM studio_engine.queue q"
	"               WHERE q.system = $1::studio_engine.job_system AND q.state = 'waiting' AND q.stage <= s.stage"
	"                 AND (q.stage, q.rank, q.turn, q.due_at, q.job_id) >= (s.stage, $2, $3, $4, $5)"
	"               ORDER BY q.stage, q.rank, q.turn, q.due_at, q.job_id LIMIT $6 + 100) c"
	"    WHERE $9 IS NOT NULL ORDER BY c.rank, c.turn, c.due_at, c.job_id),"
	" picked_by_stage AS MATERIALIZED ("
	"   SELECT p.job_id FROM candidates c,"
	"     LATERAL (SELECT q.job_id FROM studio_engine.queue q"
	"               WHERE q.job_id = c.job_id AND q.system = $1::studio_engine.job_system AND q.state = 'waiting'"
	"                 AND q.stage = ANY ($9) FOR UPDATE SKIP LOCKED) p LIMIT $6),"
	" picked_of_all AS MATERIALIZED ("
	"   SELECT q.job_id FROM studio_engine.queue q"
	"    WHERE $9 IS NULL AND q.system = $1::studio_engine.job_system AND q.state = 'waiting'"
	"      AND (q.rank, q.turn, q.due_at, q.job_id) >= ($2, $3, $4, $5)"
	"    ORDER BY q.rank, q.turn, q.due_at, q.job_id LIMIT $6 FOR UPDATE SKIP LOCKED),"
	" taken AS ("
	"   DELETE FROM studio_engine.queue q"
	"    USING (SELECT p.job_id FROM picked_of_all p UNION ALL SELECT p.job_id FROM picked_by_stage p) p"
	"    WHERE q.job_id = p.job_id AND q.system = $1::studio_engine.job_system RETURNING q.*),"
	" leased AS ("
	"   INSERT INTO studio_engine.attempts (started_at, due_at, expires_at, since, system, attempt, first_attempt,"
	"          lease_ms, job_id, lease_token, user_id, stage, worker, ended_at, outcome, error, turn, counted, shown_at,"
	"          cancel_requested_at, cancel_reason, process_id)"
	"   SELECT n.now, n.now + $8 * interval '1 microsecond', n.now + $8 * interval '1 microsecond', t.due_at, t.system,"
	"          t.attempt + 1, t.first_attempt, $8 / 1000, t.job_id, pg_catalog.gen_random_uuid(), t.user_id, t.stage,"
	"          $7, NULL, NULL, NULL, NULLIF(t.turn, 0), $11, NULL, NULL, NULL, $10"
	"     FROM taken t, LATERAL (SELECT pg_catalog.clock_timestamp() OFFSET 0) n (now)"
	"   RETURNING job_id, lease_token, attempt, expires_at)"
	" SELECT l.job_id, l.lease_token, l.attempt, t.rank, t.turn, t.due_at, l.expires_at, t.user_id, t.stage"
	"   FROM taken t LEFT JOIN leased l ON l.job_id = t.job_id ORDER BY t.rank, t.turn, t.due_at, t.job_id",
	.nargs = 11,.argtypes = {TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID, UUIDOID, INT4OID,
	TEXTOID, INT8OID, TEXTARRAYOID, TEXTOID, BOOLOID}
};

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Forget all scan states: a session does not claim from so many sets of stages. */
static void
forget_scan_states(void)
{
	ListCell   *cell;

	foreach(cell, scan_states)
	{
		QueueScanState *state = lfirst(cell);

		if (state->stages)
			pfree(state->stages);
		pfree(state);
	}
	list_free(scan_states);
	scan_states = NIL;
}

/* Return the scan state of what is claimed, which is created by the first claim. */
static QueueScanState *
get_scan_state(const ClaimRequest *request)
{
	MemoryContext old;
	QueueScanState *state;
	ListCell   *cell;

	foreach(cell, scan_states)
	{
		state = lfirst(cell);
		if (state->system == request->system && same_text(state->stages, request->stages.text))
			return state;
	}
	if (list_length(scan_states) >= MAX_SCAN_STATES)
		forget_scan_states();
	old = MemoryContextSwitchTo(TopMemoryContext);
	state = palloc0(sizeof(QueueScanState));
	state->system = request->system;
	state->stages = request->stages.text ? pstrdup(request->stages.text) : NULL;
	scan_states = lappend(scan_states, state);
	MemoryContextSwitchTo(old);
	return state;
}

/* Return true if the scan was cheap, or enough time has passed since it. */
static bool
may_scan(const ScanCost *scan_cost, TimestampTz now)
{
	return scan_cost->cost == 0 || now < scan_cost->scanned_at ||
		now - scan_cost->scanned_at >= SCAN_TIME_SHARE * scan_cost->cost;
}

/* Return the number of pages that this session has read, from memory or disk. */
static int64
pages_read(void)
{
	return pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read;
}

/* Record whether a scan that has ended was cheap, and if not the time that it took. */
static void
record_cost(ScanCost *scan_cost, const ScanStart *start, bool cheap)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		prepared = statement_preparations() != start->preparations;

	scan_cost->scanned_at = now;
	scan_cost->cost = cheap || prepared ? 0 : Min(now - start->started_at, MAX_SCAN_COST_US);
}

/*
 * Record the cost of a scan that has ended.  The pages read decide whether it
 * was cheap, since time passes for other reasons too; the time that it took
 * decides when the next one may run.  A scan for which plans were made counts as
 * cheap, since planning reads pages too.
 */
static void
record_scan(ScanCost *scan_cost, const ScanStart *start, int64 cheap_pages)
{
	record_cost(scan_cost, start, pages_read() - start->pages < cheap_pages);
}

/*
 * Record the cost of a claim from the start.  Dead entries of jobs that were claimed
 * since the last VACUUM are what it may have to pass by.
 */
static void
record_claim_scan(ScanCost *scan_cost, const ScanStart *start, uint64 found)
{
	int64		scanned = claim_take_scanned_pages();

	if (scanned < 0)
		record_scan(scan_cost, start, CHEAP_SCAN_PAGES * (int64) (found + 1));
	else
		record_cost(scan_cost, start, scanned <= CHEAP_START_PAGES + CHEAP_ROW_PAGES * (int64) found);
}

/* Read the counters that record_scan() compares to. */
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

/* Set delayed jobs that are due to waiting, at most so many; return how many. */
static uint64
promote(const QueueSystem *system, TimestampTz now, int32 limit)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, system->name);
	argument_time(&args, &now);
	argument_int32(&args, limit);
	return statement_execute(&promote_delayed, &args);
}

/* Set due delayed jobs to waiting before a claim, up to the larger of limit and MIN_PROMOTED. */
static void
promote_due_jobs(const QueueSystem *system, QueueScanState *state, int32 limit)
{
	ScanStart	start = start_scan();
	uint64		found;

	if (!may_scan(&state->delayed, start.started_at))
		return;
	found = promote(system, start.started_at, Max(limit, MIN_PROMOTED));
	/* others can work on what is left */
	if (found > (uint64) limit)
		announce_jobs(system->name);
	record_scan(&state->delayed, &start, CHEAP_SCAN_PAGES * (int64) (found + 1));
}

/* Lease jobs from a position on; the rows are the last result. */
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
	argument_add(&args, request->stages.names, request->stages.names == (Datum) 0);
	argument_text(&args, request->process_id);
	argument_add(&args, BoolGetDatum(request->counted), false);
	/* that of another claim would say nothing of this one */
	(void) claim_take_scanned_pages();
	return statement_execute(&claim_waiting, &args);
}

/* Record the cost of a scan that found nothing; after others no back-off is needed. */
static void
record_empty_scan(ScanCost *scan_cost, const ScanStart *start, uint64 found)
{
	if (found == 0)
		record_scan(scan_cost, start, CHEAP_EMPTY_SCAN_PAGES);
	else
		scan_cost->cost = 0;
}

/* Claim from the start of the queue. */
static uint64
claim_from_start(const ClaimRequest *request, QueueScanState *state)
{
	ScanStart	start = start_scan();
	uint64		found = claim_from_position(request, &first_position);

	record_claim_scan(&state->from_start, &start, found);
	record_empty_scan(&state->empty, &start, found);
	return found;
}

/* Claim from the last position; 0 if there is none, or while empty scans back off. */
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

/* Return the claimed jobs in memory that outlives the last result. */
static const Claimed *
claimed_jobs(uint64 found)
{
	Claimed    *claimed = result_rows();
	Datum		job_id,
				user_id;
	bool		isnull;

	if (claimed != NULL)
		return claimed;
	claimed = palloc0(Max(found, 1) * sizeof(Claimed));

	for (uint64 i = 0; i < found; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		job_id = SPI_getbinval(row, desc, 1, &isnull);
		/* a trigger of the owner has dropped the attempt */
		if (isnull)
			refuse_lost_row();
		claimed[i].job_id = *DatumGetUUIDP(job_id);
		claimed[i].token = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
		claimed[i].attempt = DatumGetInt32(SPI_getbinval(row, desc, 3, &isnull));
		claimed[i].rank = DatumGetInt32(SPI_getbinval(row, desc, 4, &isnull));
		claimed[i].turn = DatumGetInt64(SPI_getbinval(row, desc, 5, &isnull));
		claimed[i].since = DatumGetTimestampTz(SPI_getbinval(row, desc, 6, &isnull));
		claimed[i].expires_at = DatumGetTimestampTz(SPI_getbinval(row, desc, 7, &isnull));
		user_id = SPI_getbinval(row, desc, 8, &isnull);
		if (!isnull)
			claimed[i].user_id = *DatumGetUUIDP(user_id);
		claimed[i].stage = SPI_getvalue(row, desc, 9);
	}
	return claimed;
}

/* Return the position that a claimed job had. */
static QueuePosition
position_of(const Claimed *claimed)
{
	return (QueuePosition)
	{
		.rank = claimed->rank,.turn = claimed->turn,.since = claimed->since,.job_id = claimed->job_id
	};
}

/* Lease the next jobs from where the session's state says; return how many. */
static uint64
claim_by_state(const ClaimRequest *request, const Claimed **claimed)
{
	QueueScanState *state = get_scan_state(request);
	uint64		found = 0;

	promote_due_jobs(request->system, state, request->limit);
	if (!may_scan(&state->from_start, GetCurrentTimestamp()))
		found = claim_from_last_position(request, state);
	if (found == 0 && may_scan(&state->empty, GetCurrentTimestamp()))
		found = claim_from_start(request, state);
	*claimed = claimed_jobs(found);
	if (found > 0)
	{
		state->has_position = true;
		state->last_position = position_of(&(*claimed)[0]);
	}
	return found;
}

/* Lease the next jobs, after those that were put back if there are any; return how many. */
static uint64
claim_next(const ClaimRequest *request, const Claimed **claimed)
{
	uint64		found;

	if (!request->put_back)
		return claim_by_state(request, claimed);
	found = claim_from_position(request, &request->resume_from);
	*claimed = claimed_jobs(found);
	return found;
}

/*
 * Add a row to the result of claim_jobs().  It contains the job, so that the
 * worker needs no second call.  Return false if the job cannot be shown.
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
	/* a scope of its own frees the memory of the job */
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

/* Count the jobs of a user among those that a claim has taken, from one on. */
static int
count_taken(const Claimed *claimed, uint64 found, uint64 from)
{
	int			n = 0;

	for (uint64 i = from; i < found; i++)
		n += uuid_equal(&claimed[i].user_id, &claimed[from].user_id) ? 1 : 0;
	return n;
}

/* Return true if the limits allow that a job runs which the claim has taken. */
static bool
may_run(ClaimRequest *request, const Claimed *claimed, uint64 found, uint64 number)
{
	const Claimed *job = &claimed[number];
	const char *system = request->system->name;

	if (!stage_admit(&request->stages.budgets, job->stage))
	{
		lease_undo(job, false);
		return false;
	}
	switch (running_limit_admit(&request->users, system, &job->user_id, count_taken(claimed, found, number)))
	{
		case ADMITTED:
			return true;
		case AT_LIMIT:
			stage_return(&request->stages.budgets, job->stage);
			lease_undo(job, true);
			running_limit_park(system, &job->user_id, job->stage);
			break;
		case UNKNOWN_NUMBER:
			stage_return(&request->stages.budgets, job->stage);
			lease_undo(job, false);
			break;
	}
	return false;
}

/* The next claim begins after the last job of this one. */
static void
resume_after(ClaimRequest *request, const Claimed *last)
{
	request->put_back = true;
	request->resume_from = position_of(last);
	/* the next id; after the last one, ids begin again, which costs a pass */
	for (int i = UUID_LEN - 1; i >= 0 && ++request->resume_from.job_id.data[i] == 0; i--)
		 /* carry */ ;
}

/*
 * Claim the next jobs and add them to the result.  A job that cannot be shown is
 * failed; jobs beyond a limit or MAX_CLAIM_BYTES are returned to the queue.  Return
 * true if others can be claimed in the place of some.
 */
static bool
claim_batch(ReturnSetInfo *rsinfo, ClaimRequest *request, int64 *bytes)
{
	const Claimed *claimed;
	uint64		found = claim_next(request, &claimed);
	bool		again = false;

	for (uint64 i = 0; i < found; i++)
	{
		if (*bytes >= MAX_CLAIM_BYTES)
			lease_undo(&claimed[i], false);
		else if (request->counted && !may_run(request, claimed, found, i))
		{
			resume_after(request, &claimed[found - 1]);
			again = true;
		}
		else if (put_claimed(rsinfo, request, &claimed[i], bytes))
			request->limit--;
		else
		{
			lease_fail_unreadable(request->system, &claimed[i]);
			again = true;
		}
	}
	return again;
}

/* Claim jobs until there are enough or no more. */
static void
claim_all(ReturnSetInfo *rsinfo, ClaimRequest *request, int64 *bytes)
{
	for (int round = 0; round < MAX_ROUNDS; round++)
	{
		if (!stages_narrow(request->system, &request->stages) || !claim_batch(rsinfo, request, bytes) ||
			request->limit == 0 || *bytes >= MAX_CLAIM_BYTES)
			return;
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Do what makes jobs claimable: end leases that have expired, and let jobs wait that
 * were parked too long; return how many.
 */
static int32
heal(const ClaimRequest *request)
{
	/* with an old snapshot a lease may look as if it had expired */
	if (IsolationUsesXactSnapshot())
		return 0;
	return lease_reap(MAX_HEALED) + running_limit_heal(request->system->name, &get_scan_state(request)->healed_until);
}

/*
 * Find out whether there are limits.  From the first claim under one on, all leases of
 * the system are counted.  A count that marks none, in a transaction that has not written,
 * is relied on for a while: marks of this transaction may be rolled back.
 */
static void
begin_limits(ClaimRequest *request)
{
	QueueScanState *state = get_scan_state(request);
	TimestampTz now;
	bool		written;
	bool		uncounted;
	uint64		n;

	request->counted = running_limit_is_set() || stages_are_limited(request->system);
	if (!request->counted)
	{
		state->counted_at = 0;
		return;
	}
	now = GetCurrentTimestamp();
	if (!TimestampDifferenceExceeds(state->counted_at, now, COUNTED_MS))
		return;
	written = TransactionIdIsValid(GetTopTransactionIdIfAny());
	n = running_count_all(request->system->name, &uncounted);
	request->users.uncounted = request->stages.budgets.uncounted = uncounted;
	state->counted_at = n == 0 && !uncounted && !written ? now : 0;
}

/*
 * Claim jobs, at most request->limit, and add them to the result.  If that are too few, expired leases may
 * be the cause: end some, and try again if there were any.
 */
void
claim_run(ReturnSetInfo *rsinfo, ClaimRequest *request)
{
	int64		bytes = 0;

	if (request->limit == 0)
		return;
	claim_all(rsinfo, request, &bytes);
	if (request->limit == 0 || bytes >= MAX_CLAIM_BYTES || heal(request) == 0)
		return;
	/* fewer jobs run now */
	request->users.users = NIL;
	request->stages.budgets.counted = false;
	request->put_back = false;
	claim_all(rsinfo, request, &bytes);
}

/*
 * Read the arguments of a claim: p_system and p_worker are the first two of the
 * function; p_limit, p_lease, p_stages and p_process_id follow from argno on.
 */
ClaimRequest
claim_read_request(FunctionCallInfo fcinfo, int argno, int least)
{
	ClaimRequest request = {.system = queue_check_name(fcinfo, 0, "p_system")};

	request.worker = check_text(fcinfo, 1, "p_worker", 1, MAX_WORKER_LENGTH);
	request.limit = check_int32(fcinfo, argno, "p_limit", least, MAX_CLAIM);
	request.lease = lease_length(check_duration(fcinfo, argno + 1, "p_lease", 1, MAX_LEASE_SECONDS));
	request.stages.wanted = stages_check(request.system, optional_array(fcinfo, argno + 2));
	request.process_id = check_optional_text(fcinfo, argno + 3, "p_process_id", MAX_PROCESS_LENGTH);
	/* before what is written in the same call */
	if (request.limit > 0)
		begin_limits(&request);
	return request;
}

/*
 * claim_jobs(p_system text, p_worker text, p_limit integer, p_lease interval,
 * p_stages text[], p_process_id text)
 * returns setof (job_id, lease_token, attempt, lease_expires_at, job)
 */
Datum
claim_jobs(PG_FUNCTION_ARGS)
{
	Caller		caller;
	KeptRows	kept;
	ClaimRequest request;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	caller_enter_service(&caller);
	request = claim_read_request(fcinfo, 2, 1);
	async_claim_begin();
	rows_keep_open(&kept);
	claim_run((ReturnSetInfo *) fcinfo->resultinfo, &request);
	rows_close_kept(&kept);
	async_claim_end();
	caller_leave(&caller);

	return (Datum) 0;
}

/*
 * reap_expired_leases(p_limit integer) returns integer
 *
 * It looks for delayed jobs that are due, too, and tells workers of them: nobody does at
 * the moment when a delay ends.
 */
Datum
reap_expired_leases(PG_FUNCTION_ARGS)
{
	Caller		caller;
	int32		limit;
	int32		count;
	ListCell   *cell;

	caller_enter_service(&caller);
	limit = check_int32(fcinfo, 0, "p_limit", 1, MAX_REAP);
	count = lease_reap(limit);
	foreach(cell, queue_systems())
	{
		const QueueSystem *system = lfirst(cell);

		if (promote(system, GetCurrentTimestamp(), limit) > 0)
			announce_jobs(system->name);
	}
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}
