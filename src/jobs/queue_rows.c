/*
 * queue_rows.c
 *	  The fast paths of the statements on the queue and on attempts, and their row
 *	  tables.
 *
 * A claim deletes a row of the queue and inserts the attempt.  The deletion does not
 * lock the row first: it succeeds if no other transaction has changed the row or is
 * about to, and otherwise the claim goes on to the next one.
 *
 * Pitfall: a claim scans the waiting rows in the order of their index and passes by
 * those that other transactions have.  A row that was updated since the scan began is
 * claimed only if the new version is waiting too, and not before the position that
 * the scan started from.
 *
 * Pitfall: an attempt is ended without being locked first.  Who holds the lock of the
 * job is the only one to end it, but heartbeats may have written a new version.
 *
 * Lock order: the queue before attempts; claims never wait for a row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "queue_rows.h"
#include "rows.h"
#include "triggers.h"
#include "uuids.h"

static const RowColumn queue_columns[] = {
	[QUEUE_DUE - 1] = {"due_at", TIMESTAMPTZOID, NULL},
	[QUEUE_TURN - 1] = {"turn", INT8OID, NULL},
	[QUEUE_SYSTEM - 1] = {"system", ANYENUMOID, "studio_engine.job_system"},
	[QUEUE_STATE - 1] = {"state", ANYENUMOID, "studio_engine.queue_state"},
	[QUEUE_RANK - 1] = {"rank", INT4OID, NULL},
	[QUEUE_ATTEMPT - 1] = {"attempt", INT4OID, NULL},
	[QUEUE_FIRST_ATTEMPT - 1] = {"first_attempt", INT4OID, NULL},
	[QUEUE_JOB - 1] = {"job_id", UUIDOID, NULL},
	[QUEUE_USER - 1] = {"user_id", UUIDOID, NULL},
	[QUEUE_STAGE - 1] = {"stage", TEXTOID, NULL},
	[QUEUE_LIMITED - 1] = {"limited", BOOLOID, NULL}
};

/* indexes into queue_table.lookups; 0 is the primary key */
#define BY_POSITION 1
#define BY_STAGE 2
#define BY_DUE 3

RowTable	queue_table = {
	.schema = "studio_engine",.name = "queue",
	.columns = queue_columns,.ncolumns = lengthof(queue_columns),
	.lookups = {
		{.name = "queue_pkey",.nkeys = 2,
			.columns = {QUEUE_JOB, QUEUE_SYSTEM},
		.equals = {F_UUID_EQ, F_ENUM_EQ}},
		{.name = "idx_queue_waiting",.enum_column = QUEUE_STATE,.label = "waiting",.nkeys = 5,
			.columns = {QUEUE_SYSTEM, QUEUE_RANK, QUEUE_TURN, QUEUE_DUE, QUEUE_JOB},
			.equals = {F_ENUM_EQ, F_INT4EQ, F_INT8EQ, F_TIMESTAMPTZ_EQ, F_UUID_EQ},
		.compares = {F_ENUM_CMP, F_BTINT4CMP, F_BTINT8CMP, F_TIMESTAMPTZ_CMP, F_UUID_CMP}},
		{.name = "idx_queue_stage",.enum_column = QUEUE_STATE,.label = "waiting",.nkeys = 6,
			.columns = {QUEUE_SYSTEM, QUEUE_STAGE, QUEUE_RANK, QUEUE_TURN, QUEUE_DUE, QUEUE_JOB},
			.equals = {F_ENUM_EQ, F_TEXTEQ, F_INT4EQ, F_INT8EQ, F_TIMESTAMPTZ_EQ, F_UUID_EQ},
		.compares = {F_ENUM_CMP, F_BTTEXTCMP, F_BTINT4CMP, F_BTINT8CMP, F_TIMESTAMPTZ_CMP, F_UUID_CMP}},
		{.name = "idx_queue_delayed",.enum_column = QUEUE_STATE,.label = "delayed",.nkeys = 2,
			.columns = {QUEUE_SYSTEM, QUEUE_DUE},
		.equals = {F_ENUM_EQ, F_TIMESTAMPTZ_EQ}}
	},
	.inserts = true,.deletes = true
};

static const RowColumn attempt_columns[] = {
	[ATTEMPT_STARTED - 1] = {"started_at", TIMESTAMPTZOID, NULL},
	[ATTEMPT_DUE - 1] = {"due_at", TIMESTAMPTZOID, NULL},
	[ATTEMPT_EXPIRES - 1] = {"expires_at", TIMESTAMPTZOID, NULL},
	[ATTEMPT_SINCE - 1] = {"since", TIMESTAMPTZOID, NULL},
	[ATTEMPT_SYSTEM - 1] = {"system", ANYENUMOID, "studio_engine.job_system"},
	[ATTEMPT_NUMBER - 1] = {"attempt", INT4OID, NULL},
	[ATTEMPT_FIRST - 1] = {"first_attempt", INT4OID, NULL},
	[ATTEMPT_LEASE - 1] = {"lease_ms", INT4OID, NULL},
	[ATTEMPT_JOB - 1] = {"job_id", UUIDOID, NULL},
	[ATTEMPT_TOKEN - 1] = {"lease_token", UUIDOID, NULL},
	[ATTEMPT_USER - 1] = {"user_id", UUIDOID, NULL},
	[ATTEMPT_STAGE - 1] = {"stage", TEXTOID, NULL},
	[ATTEMPT_WORKER - 1] = {"worker", TEXTOID, NULL},
	[ATTEMPT_ENDED - 1] = {"ended_at", TIMESTAMPTZOID, NULL},
	[ATTEMPT_OUTCOME - 1] = {"outcome", TEXTOID, NULL},
	[ATTEMPT_ERROR - 1] = {"error", JSONBOID, NULL},
	[ATTEMPT_TURN - 1] = {"turn", INT8OID, NULL},
	[ATTEMPT_COUNTED - 1] = {"counted", BOOLOID, NULL},
	[ATTEMPT_SHOWN - 1] = {"shown_at", TIMESTAMPTZOID, NULL},
	[ATTEMPT_CANCEL_REQUESTED - 1] = {"cancel_requested_at", TIMESTAMPTZOID, NULL},
	[ATTEMPT_CANCEL_REASON - 1] = {"cancel_reason", TEXTOID, NULL},
	[ATTEMPT_PROCESS - 1] = {"process_id", TEXTOID, NULL}
};

RowTable	attempts_table = {
	.schema = "studio_engine",.name = "attempts",
	.columns = attempt_columns,.ncolumns = lengthof(attempt_columns),
	.lookups = {
		{.name = "attempts_pkey",.nkeys = 2,
			.columns = {ATTEMPT_JOB, ATTEMPT_TOKEN},
		.equals = {F_UUID_EQ, F_UUID_EQ}}
	},
	.inserts = true,.updates = true
};

/* Return the enum value of a system that is given by its name. */
static Datum
system_of(Row *row, Datum name)
{
	AttrNumber	column = row->table == &queue_table ? QUEUE_SYSTEM : ATTEMPT_SYSTEM;

	return rows_enum(row, column, TextDatumGetCString(name));
}

/* ------------------------------------------------------------------------
 * Claiming
 * ------------------------------------------------------------------------ */

/*
 * Fast path of promote_delayed: mostly no delayed job is due, and nothing is to
 * be done.  Return false, which falls back to the statement, if one is.
 */
bool
promote_fast_path(const Arguments *args, StatementResult *result)
{
	TimestampTz now = DatumGetTimestampTz(args->values[1]);
	Row			row;
	RowScan		scan;
	Datum		system;
	bool		due;

	if (!rows_open(&queue_table, RowExclusiveLock, &row))
		return false;
	system = system_of(&row, args->values[0]);
	rows_scan(&row, BY_DUE, 1, &system, &scan);
	due = rows_next(&scan) && rows_int64(&row, QUEUE_DUE) <= now;
	rows_scan_end(&scan);
	rows_close(&row);
	return !due;
}

/* the waiting jobs, of all stages or of one, from a position on */
typedef struct WaitingScan
{
	Row			row;			/* the current job */
	RowScan		scan;
	const Datum *stage;			/* NULL: of all stages */
	bool		at_end;
} WaitingScan;

/* the scans of a claim, which are merged, and where they started */
typedef struct WaitingJobs
{
	WaitingScan *scans;
	int			nscans;
	Datum		system;
	bool		from_start;		/* of the queue, which saves comparisons */
	Datum		position[ROWS_MAX_KEYS];	/* or rank, turn, due_at, job_id */
} WaitingJobs;

/* pages that the scans of the last claim have read, from memory or disk; -1: none was run */
static int64 scanned_pages = -1;

static const AttrNumber position_columns[] = {QUEUE_RANK, QUEUE_TURN, QUEUE_DUE, QUEUE_JOB};
static const PGFunction position_compares[] = {btint4cmp, btint8cmp, timestamp_cmp, uuid_cmp};

/* Compare the current job of a scan to a position. */
static int
compare_to_position(Row *row, const Datum *position)
{
	for (int i = 0; i < (int) lengthof(position_columns); i++)
	{
		bool		isnull;
		Datum		value = rows_get(row, position_columns[i], &isnull);
		int			order = DatumGetInt32(DirectFunctionCall2(position_compares[i], value, position[i]));

		if (order != 0)
			return order;
	}
	return 0;
}

/* Return true if the current job of one scan comes before that of another. */
static bool
comes_before(Row *row, Row *other)
{
	Datum		position[lengthof(position_columns)];
	bool		isnull;

	for (int i = 0; i < (int) lengthof(position_columns); i++)
		position[i] = rows_get(other, position_columns[i], &isnull);
	return compare_to_position(row, position) < 0;
}

/* Return the number of pages that this session has read, from memory or disk. */
static int64
pages_read(void)
{
	return pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read;
}

/* Go on to the next job of a scan, and count the pages that takes. */
static void
advance_scan(WaitingScan *scan)
{
	int64		before = pages_read();

	scan->at_end = !rows_next(&scan->scan);
	scanned_pages += pages_read() - before;
}

/*
 * Forget, and return, how many pages the scans of the last claim have read; -1 if
 * the statement was executed.
 */
int64
claim_take_scanned_pages(void)
{
	int64		pages = scanned_pages;

	scanned_pages = -1;
	return pages;
}

/* Begin a scan. */
static void
begin_waiting_scan(WaitingJobs *jobs, WaitingScan *scan)
{
	Datum		keys[ROWS_MAX_KEYS];
	int			lookup = scan->stage ? BY_STAGE : BY_POSITION;
	int			n = 0;

	keys[n++] = jobs->system;
	if (scan->stage)
		keys[n++] = *scan->stage;
	if (jobs->from_start)
		rows_scan(&scan->row, lookup, n, keys, &scan->scan);
	else
	{
		memcpy(&keys[n], jobs->position, lengthof(position_columns) * sizeof(Datum));
		rows_scan_from(&scan->row, lookup, n, keys, &scan->scan);
	}
	advance_scan(scan);
}

/* Return the stages that a claim names; NULL if it names none, for all. */
static Datum *
claimed_stages(const Arguments *args, int *n)
{
	Datum	   *stages;

	*n = 1;
	if (args->nulls[CLAIM_STAGES] == 'n')
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(args->values[CLAIM_STAGES]), TEXTOID, -1, false, TYPALIGN_INT, &stages, NULL, n);
	return stages;
}

/* Begin the scans of a claim; false if the table is not eligible. */
static bool
begin_waiting_jobs(const Arguments *args, WaitingJobs *jobs)
{
	Datum	   *stages = claimed_stages(args, &jobs->nscans);

	jobs->scans = palloc0(Max(jobs->nscans, 1) * sizeof(WaitingScan));
	jobs->from_start = DatumGetTimestampTz(args->values[CLAIM_DUE]) == DT_NOBEGIN;
	memcpy(jobs->position, &args->values[CLAIM_RANK], lengthof(position_columns) * sizeof(Datum));
	for (int i = 0; i < jobs->nscans; i++)
	{
		if (!rows_open_for_write(&queue_table, CMD_DELETE, &jobs->scans[i].row))
		{
			/* it is the same table: the first one decides */
			Assert(i == 0);
			return false;
		}
		if (i == 0)
			jobs->system = system_of(&jobs->scans[0].row, args->values[CLAIM_SYSTEM]);
		jobs->scans[i].stage = stages ? &stages[i] : NULL;
		begin_waiting_scan(jobs, &jobs->scans[i]);
	}
	return true;
}

/* End the scans; tables are closed in the reverse order of opening. */
static void
end_waiting_jobs(WaitingJobs *jobs)
{
	for (int i = jobs->nscans - 1; i >= 0; i--)
	{
		rows_scan_end(&jobs->scans[i].scan);
		rows_close(&jobs->scans[i].row);
	}
}

/* Return the scan whose current job comes first; NULL when all are at their ends. */
static WaitingScan *
first_waiting(WaitingJobs *jobs)
{
	WaitingScan *first = NULL;

	for (int i = 0; i < jobs->nscans; i++)
	{
		WaitingScan *scan = &jobs->scans[i];

		if (!scan->at_end && (first == NULL || comes_before(&scan->row, &first->row)))
			first = scan;
	}
	return first;
}

/* Return true if the current job, the newest version, meets the conditions of the scan. */
static bool
is_still_claimable(const WaitingJobs *jobs, WaitingScan *scan)
{
	Row		   *row = &scan->row;
	bool		isnull;

	return rows_get(row, QUEUE_STATE, &isnull) == rows_enum(row, QUEUE_STATE, "waiting") &&
		rows_get(row, QUEUE_SYSTEM, &isnull) == jobs->system &&
		(scan->stage == NULL || datum_image_eq(rows_get(row, QUEUE_STAGE, &isnull), *scan->stage, false, -1)) &&
		(jobs->from_start || compare_to_position(row, jobs->position) >= 0);
}

/*
 * Delete the current job of a scan from the queue; false if another transaction
 * has it, or has changed it so that it is not to be claimed.
 */
static bool
take(const WaitingJobs *jobs, WaitingScan *scan)
{
	Row		   *row = &scan->row;
	RowLock		taken = rows_try_delete(row);

	if (taken == ROW_LOCKED || taken == ROW_GONE)
		return taken == ROW_LOCKED;
	/* a row that this transaction has locked is busy too */
	if (rows_lock(row, LockTupleExclusive, LockWaitSkip) != ROW_LOCKED ||
		(row->concurrently_updated && !is_still_claimable(jobs, scan)))
		return false;
	rows_delete(row);
	return true;
}

/* Copy a column of the queue into a column of the attempt. */
static void
copy_column(Row *row, AttrNumber from, AttrNumber to, Datum *values, bool *nulls)
{
	values[to - 1] = rows_get(row, from, &nulls[to - 1]);
}

/* Set a column of the attempt. */
static void
set_attempt(Datum *values, bool *nulls, AttrNumber column, Datum value)
{
	values[column - 1] = value;
	nulls[column - 1] = false;
}

/* Insert the attempt at a job that was taken from the queue, and fill in *claimed. */
static void
insert_attempt(Row *attempts, Row *row, const Arguments *args, Claimed *claimed)
{
	Datum		values[lengthof(attempt_columns)];
	bool		nulls[lengthof(attempt_columns)];
	TimestampTz now = GetCurrentTimestamp();
	int64		lease = DatumGetInt64(args->values[CLAIM_LEASE]);
	Datum		user_id;
	bool		isnull;

	memset(nulls, true, sizeof(nulls));
	claimed->job_id = rows_uuid(row, QUEUE_JOB);
	claimed->token = uuid_random();
	claimed->attempt = rows_int32(row, QUEUE_ATTEMPT) + 1;
	claimed->rank = rows_int32(row, QUEUE_RANK);
	claimed->turn = rows_int64(row, QUEUE_TURN);
	claimed->since = rows_int64(row, QUEUE_DUE);
	claimed->stage = TextDatumGetCString(rows_get(row, QUEUE_STAGE, &isnull));
	user_id = rows_get(row, QUEUE_USER, &isnull);
	if (!isnull)
		claimed->user_id = *DatumGetUUIDP(user_id);
	claimed->expires_at = now + lease;
	set_attempt(values, nulls, ATTEMPT_STARTED, TimestampTzGetDatum(now));
	set_attempt(values, nulls, ATTEMPT_DUE, TimestampTzGetDatum(claimed->expires_at));
	set_attempt(values, nulls, ATTEMPT_EXPIRES, TimestampTzGetDatum(claimed->expires_at));
	set_attempt(values, nulls, ATTEMPT_NUMBER, Int32GetDatum(claimed->attempt));
	set_attempt(values, nulls, ATTEMPT_LEASE, Int32GetDatum((int32) (lease / 1000)));
	set_attempt(values, nulls, ATTEMPT_TOKEN, UUIDPGetDatum(&claimed->token));
	set_attempt(values, nulls, ATTEMPT_WORKER, args->values[CLAIM_WORKER]);
	set_attempt(values, nulls, ATTEMPT_COUNTED, args->values[CLAIM_COUNTED]);
	copy_column(row, QUEUE_DUE, ATTEMPT_SINCE, values, nulls);
	copy_column(row, QUEUE_SYSTEM, ATTEMPT_SYSTEM, values, nulls);
	copy_column(row, QUEUE_FIRST_ATTEMPT, ATTEMPT_FIRST, values, nulls);
	copy_column(row, QUEUE_JOB, ATTEMPT_JOB, values, nulls);
	copy_column(row, QUEUE_USER, ATTEMPT_USER, values, nulls);
	copy_column(row, QUEUE_STAGE, ATTEMPT_STAGE, values, nulls);
	if (rows_int64(row, QUEUE_TURN) != 0)
		copy_column(row, QUEUE_TURN, ATTEMPT_TURN, values, nulls);
	if (args->nulls[CLAIM_PROCESS] != 'n')
		set_attempt(values, nulls, ATTEMPT_PROCESS, args->values[CLAIM_PROCESS]);
	/* the table has no triggers */
	(void) rows_insert(attempts, values, nulls);
}

/* Take waiting jobs, in the order of the queue, until the limit is reached. */
static void
claim_rows(WaitingJobs *jobs, Row *attempts, const Arguments *args, StatementResult *result)
{
	uint64		limit = DatumGetInt32(args->values[CLAIM_LIMIT]);
	Claimed    *claimed = palloc0(limit * sizeof(Claimed));
	WaitingScan *scan;

	result->rows = claimed;
	while ((scan = first_waiting(jobs)) != NULL)
	{
		if (take(jobs, scan))
		{
			insert_attempt(attempts, &scan->row, args, &claimed[result->found]);
			if (++result->found == limit)
				break;
		}
		advance_scan(scan);
	}
}

/*
 * Fast path of claim_waiting; the jobs are Claimed in result->rows.  Return false if
 * a table is not eligible.
 */
bool
claim_fast_path(const Arguments *args, StatementResult *result)
{
	WaitingJobs jobs;
	Row			attempts;

	if (!rows_open_for_write(&attempts_table, CMD_INSERT, &attempts))
		return false;
	scanned_pages = 0;
	if (!begin_waiting_jobs(args, &jobs))
	{
		scanned_pages = -1;
		rows_close(&attempts);
		return false;
	}
	claim_rows(&jobs, &attempts, args, result);
	end_waiting_jobs(&jobs);
	rows_close(&attempts);
	return true;
}

/* ------------------------------------------------------------------------
 * Leases
 * ------------------------------------------------------------------------ */

static bool
is_open(Row *row)
{
	bool		isnull;

	(void) rows_get(row, ATTEMPT_ENDED, &isnull);
	return isnull;
}

/* Return true if the current attempt is an open one at this job. */
static bool
is_open_attempt_at(Row *row, const pg_uuid_t *job_id, Datum system)
{
	pg_uuid_t	found = rows_uuid(row, ATTEMPT_JOB);
	bool		isnull;

	return uuid_equal(&found, job_id) && rows_get(row, ATTEMPT_SYSTEM, &isnull) == system && is_open(row);
}

/* a write to an attempt: its condition, and the edit of the version that is written */
typedef struct AttemptWrite
{
	const Arguments *args;
	bool		(*may_write) (Row *row);
	void		(*make_edit) (Row *row, RowEdit *edit, struct AttemptWrite *write);
	TimestampTz held_until;		/* of an extension: the end before it */
	TimestampTz until;			/* and after it */
} AttemptWrite;

/* Return the edit of the current attempt. */
static RowEdit
edit_attempt(Row *row, AttemptWrite *write)
{
	RowEdit		edit = {.desc = RelationGetDescr(row->rel),.row = rows_tuple(row)};

	write->make_edit(row, &edit, write);
	return edit;
}

/*
 * Write the current attempt, which meets the condition; false, with nothing written,
 * if its newest version does not.
 */
static bool
write_attempt(Row *row, AttemptWrite *write)
{
	RowEdit		edit = edit_attempt(row, write);
	RowLock		written = ROW_GONE;

	/* the table has no triggers */
	(void) rows_try_update(row, &edit, &written);
	if (written != ROW_CHANGED)
		return written == ROW_LOCKED;
	if (rows_lock(row, LockTupleNoKeyExclusive, LockWaitBlock) != ROW_LOCKED || !write->may_write(row))
		return false;
	edit = edit_attempt(row, write);
	(void) rows_update(row, &edit);
	return true;
}

/* Set the end, the outcome $3 and the error $4 of an attempt. */
static void
edit_end(Row *row, RowEdit *edit, AttemptWrite *write)
{
	const Arguments *args = write->args;

	row_set_column(edit, ATTEMPT_ENDED, TimestampTzGetDatum(GetCurrentTimestamp()));
	row_set_column(edit, ATTEMPT_OUTCOME, args->values[2]);
	if (args->nulls[3] != 'n')
		row_set_column(edit, ATTEMPT_ERROR, args->values[3]);
}

/* Make the open attempt at a job the current tuple, if this session knows it. */
static bool
find_known_attempt(Row *row, const Arguments *args)
{
	return rows_find_hinted(row) &&
		is_open_attempt_at(row, DatumGetUUIDP(args->values[0]), system_of(row, args->values[1]));
}

/* End the current attempt, and return its token and end. */
static void
end_attempt(Row *row, const Arguments *args, StatementResult *result)
{
	AttemptWrite write = {.args = args,.may_write = is_open,.make_edit = edit_end};

	if (!write_attempt(row, &write))
		return;
	result->found = 1;
	result_add_uuid(result, rows_uuid(row, ATTEMPT_TOKEN));
	result_add_int64(result, rows_int64(row, ATTEMPT_EXPIRES));
}

/*
 * Fast path of end_known_attempt: for an attempt that this transaction has read or
 * written last, which saves looking for it.
 */
bool
end_known_attempt_fast_path(const Arguments *args, StatementResult *result)
{
	Row			row;

	if (!rows_open_for_write(&attempts_table, CMD_UPDATE, &row))
		return false;
	if (find_known_attempt(&row, args))
		end_attempt(&row, args, result);
	rows_close(&row);
	return true;
}

/*
 * Fast path of end_open_attempt: an index scan over the attempts at the job.
 */
bool
end_open_attempt_fast_path(const Arguments *args, StatementResult *result)
{
	Row			row;
	RowScan		scan;
	bool		found = false;

	if (!rows_open_for_write(&attempts_table, CMD_UPDATE, &row))
		return false;
	rows_scan(&row, BY_KEY, 1, args->values, &scan);
	while (!found && rows_next(&scan))
		found = is_open_attempt_at(&row, DatumGetUUIDP(args->values[0]), system_of(&row, args->values[1]));
	rows_scan_end(&scan);
	if (found)
		end_attempt(&row, args, result);
	rows_close(&row);
	return true;
}

/*
 * Return true if this transaction has read or written the open attempt at a job
 * last.  The job has no row in the queue then.
 */
bool
knows_open_attempt(const Arguments *args)
{
	Row			row;
	bool		known;

	if (!rows_fast_path_allowed(false) || !rows_open(&attempts_table, RowExclusiveLock, &row))
		return false;
	known = find_known_attempt(&row, args);
	rows_close(&row);
	return known;
}

/* arguments of extend_lease, in their order */
enum ExtendArgument
{
	EXTEND_JOB,
	EXTEND_TOKEN,
	EXTEND_LEASE,				/* microseconds; NULL: as long as before */
	EXTEND_SHOWN,				/* NULL: unchanged */
	EXTEND_MAX_RUN,				/* seconds; 0: no limit */
	EXTEND_GRACE
};

/* Return the smaller of an end and a time that lies seconds after another, if there are any. */
static TimestampTz
limit_end(TimestampTz until, Row *row, AttrNumber from, Datum seconds)
{
	bool		isnull;
	Datum		start = rows_get(row, from, &isnull);

	if (isnull || DatumGetInt32(seconds) == 0)
		return until;
	return Min(until, DatumGetTimestampTz(start) + DatumGetInt32(seconds) * USECS_PER_SEC);
}

/* Return the end of the lease after a heartbeat; it is never earlier than before. */
static TimestampTz
extended_end(Row *row, const Arguments *args)
{
	int64		lease = rows_int32(row, ATTEMPT_LEASE) * INT64CONST(1000);
	TimestampTz until;

	if (args->nulls[EXTEND_LEASE] != 'n')
		lease = DatumGetInt64(args->values[EXTEND_LEASE]);
	until = GetCurrentTimestamp() + lease;

	until = limit_end(until, row, ATTEMPT_STARTED, args->values[EXTEND_MAX_RUN]);
	until = limit_end(until, row, ATTEMPT_CANCEL_REQUESTED, args->values[EXTEND_GRACE]);
	return Max(until, rows_int64(row, ATTEMPT_EXPIRES));
}

static void
edit_extension(Row *row, RowEdit *edit, AttemptWrite *write)
{
	write->held_until = rows_int64(row, ATTEMPT_EXPIRES);
	write->until = extended_end(row, write->args);
	row_set_column(edit, ATTEMPT_EXPIRES, TimestampTzGetDatum(write->until));
	if (write->args->nulls[EXTEND_SHOWN] != 'n')
		row_set_column(edit, ATTEMPT_SHOWN, write->args->values[EXTEND_SHOWN]);
}

/* Return true if the current attempt is open and its lease has not expired. */
static bool
is_held(Row *row)
{
	return is_open(row) && rows_int64(row, ATTEMPT_EXPIRES) > GetCurrentTimestamp();
}

/*
 * Fast path of extend_lease.  The write may wait for another transaction, and the
 * lease expire meanwhile: it is not found then, and the caller's error undoes the write.
 */
bool
extend_lease_fast_path(const Arguments *args, StatementResult *result)
{
	AttemptWrite write = {.args = args,.may_write = is_held,.make_edit = edit_extension};
	Row			row;
	bool		isnull;

	if (!rows_open_for_write(&attempts_table, CMD_UPDATE, &row))
		return false;
	if (rows_find(&row, args->values) && is_held(&row) && write_attempt(&row, &write) &&
		write.held_until > GetCurrentTimestamp())
	{
		result->found = 1;
		(void) rows_get(&row, ATTEMPT_CANCEL_REQUESTED, &isnull);
		result_add_bool(result, !isnull);
		result_add_int64(result, write.until);
	}
	rows_close(&row);
	return true;
}

/*
 * Fast path of requeue: insert the row of a job whose lease has ended.
 */
bool
requeue_fast_path(const Arguments *args, StatementResult *result)
{
	Datum		values[lengthof(queue_columns)];
	bool		nulls[lengthof(queue_columns)];
	Row			row;

	if (!rows_open_for_write(&queue_table, CMD_INSERT, &row))
		return false;
	for (int i = 0; i < (int) lengthof(queue_columns); i++)
	{
		nulls[i] = args->nulls[i] == 'n';
		values[i] = args->values[i];
	}
	values[QUEUE_SYSTEM - 1] = system_of(&row, args->values[QUEUE_SYSTEM - 1]);
	values[QUEUE_STATE - 1] = rows_enum(&row, QUEUE_STATE, TextDatumGetCString(args->values[QUEUE_STATE - 1]));
	/* the table has no triggers */
	(void) rows_insert(&row, values, nulls);
	rows_close(&row);
	result->found = 1;
	return true;
}
