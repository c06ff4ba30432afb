/*
 * queue_rows.c
 *	  What the statements on the queue do, done to rows.
 *
 * Pitfall: a claim goes through the waiting rows in the order of their index,
 * and passes over those that somebody else has locked.  A row that was changed
 * while it was locked is taken only if it is still waiting where it was.
 *
 * Lock order: rows of the queue alone; claims never wait for one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "queue_rows.h"
#include "rows.h"
#include "triggers.h"

/* columns of studio_engine.queue, in their order */
enum QueueColumn
{
	QUEUE_SYSTEM = 1,
	QUEUE_STATE,
	QUEUE_RANK,
	QUEUE_TURN,
	QUEUE_DUE,
	QUEUE_JOB,
	QUEUE_USER,
	QUEUE_ATTEMPT,
	QUEUE_FIRST_ATTEMPT,
	QUEUE_TOKEN,
	QUEUE_CLAIMED,
	QUEUE_EXPIRES,
	QUEUE_CANCEL_REQUESTED,
	QUEUE_SINCE,
	QUEUE_SHOWN,
	QUEUE_WORKER,
	QUEUE_CANCEL_REASON
};

static const RowColumn queue_columns[] = {
	{"system", ANYENUMOID},
	{"state", ANYENUMOID},
	{"rank", INT4OID},
	{"turn", INT8OID},
	{"due_at", TIMESTAMPTZOID},
	{"job_id", UUIDOID},
	{"user_id", UUIDOID},
	{"attempt", INT4OID},
	{"first_attempt", INT4OID},
	{"lease_token", UUIDOID},
	{"claimed_at", TIMESTAMPTZOID},
	{"expires_at", TIMESTAMPTZOID},
	{"cancel_requested_at", TIMESTAMPTZOID},
	{"since", TIMESTAMPTZOID},
	{"shown_at", TIMESTAMPTZOID},
	{"worker", TEXTOID},
	{"cancel_reason", TEXTOID}
};

/* the lookups but that by the key */
#define BY_PLACE 1
#define BY_DUE 2

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
		{.name = "idx_queue_delayed",.enum_column = QUEUE_STATE,.label = "delayed",.nkeys = 2,
			.columns = {QUEUE_SYSTEM, QUEUE_DUE},
		.equals = {F_ENUM_EQ, F_TIMESTAMPTZ_EQ}}
	},
	.updates = true,.deletes = true
};

/* columns of studio_engine.attempts, in their order */
enum AttemptColumn
{
	ATTEMPT_SYSTEM = 1,
	ATTEMPT_JOB,
	ATTEMPT_NUMBER,
	ATTEMPT_TOKEN,
	ATTEMPT_WORKER,
	ATTEMPT_STARTED,
	ATTEMPT_ENDED,
	ATTEMPT_OUTCOME,
	ATTEMPT_ERROR
};

#define ATTEMPT_COLUMNS ATTEMPT_ERROR

static const RowColumn attempt_columns[] = {
	{"system", ANYENUMOID},
	{"job_id", UUIDOID},
	{"attempt", INT4OID},
	{"lease_token", UUIDOID},
	{"worker", TEXTOID},
	{"started_at", TIMESTAMPTZOID},
	{"ended_at", TIMESTAMPTZOID},
	{"outcome", TEXTOID},
	{"error", JSONBOID}
};

static const RowDefault attempt_defaults[] = {{ATTEMPT_ENDED, F_CLOCK_TIMESTAMP}};

RowTable	attempts_table = {
	.schema = "studio_engine",.name = "attempts",
	.columns = attempt_columns,.ncolumns = lengthof(attempt_columns),
	.defaults = attempt_defaults,.ndefaults = lengthof(attempt_defaults),
	.inserts = true
};

static Datum
system_of(Row *row, Datum name)
{
	return rows_enum(row, QUEUE_SYSTEM, TextDatumGetCString(name));
}

static bool
is_in_state(Row *row, const char *state)
{
	bool		isnull;

	return rows_get(row, QUEUE_STATE, &isnull) == rows_enum(row, QUEUE_STATE, state);
}

/* ------------------------------------------------------------------------
 * Claiming
 * ------------------------------------------------------------------------ */

/*
 * Delayed jobs that are due are left to the statement; mostly there are none.
 */
bool
promote_directly(const Arguments *args, Answer *answer)
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

/* the order of the waiting list; the first value is the system */
static int
compare_to_place(Row *row, const Datum *place)
{
	const RowLookup *by = &queue_table.lookups[BY_PLACE];

	for (int i = 1; i < by->nkeys; i++)
	{
		bool		isnull;
		Datum		value = rows_get(row, by->columns[i], &isnull);
		int			order = DatumGetInt32(OidFunctionCall2(by->compares[i], value, place[i]));

		if (order != 0)
			return order;
	}
	return 0;
}

/* Is a locked row, which others may have changed, one that was looked for? */
static bool
is_wanted(Row *row, const Datum *place)
{
	bool		isnull;

	return !row->moved ||
		(is_in_state(row, "waiting") && rows_get(row, QUEUE_SYSTEM, &isnull) == place[0] &&
		 compare_to_place(row, place) >= 0);
}

/* Turn the locked row into a lease. */
static void
lease(Row *row, Datum worker, int64 duration, Claimed *claimed)
{
	RowEdit		edit = {.desc = RelationGetDescr(row->rel),.row = rows_tuple(row)};
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz until = now + duration;
	Oid			state = TupleDescAttr(edit.desc, QUEUE_STATE - 1)->atttypid;

	claimed->job_id = rows_uuid(row, QUEUE_JOB);
	claimed->token = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	claimed->attempt = rows_int32(row, QUEUE_ATTEMPT) + 1;
	claimed->expires_at = until;
	row_set(&edit, "state", state, rows_enum(row, QUEUE_STATE, "leased"));
	row_set(&edit, "attempt", INT4OID, Int32GetDatum(claimed->attempt));
	row_set(&edit, "lease_token", UUIDOID, UUIDPGetDatum(&claimed->token));
	row_set(&edit, "worker", TEXTOID, worker);
	row_set(&edit, "claimed_at", TIMESTAMPTZOID, TimestampTzGetDatum(now));
	row_set(&edit, "since", TIMESTAMPTZOID, Int64GetDatum(rows_int64(row, QUEUE_DUE)));
	row_set(&edit, "due_at", TIMESTAMPTZOID, TimestampTzGetDatum(until));
	row_set(&edit, "expires_at", TIMESTAMPTZOID, TimestampTzGetDatum(until));
	(void) rows_update(row, &edit);
}

/* The columns of the first one; the place is where it stood. */
static void
answer_first(Row *row, const Claimed *claimed, Answer *answer)
{
	answer_uuid(answer, claimed->job_id);
	answer_uuid(answer, claimed->token);
	answer_int32(answer, claimed->attempt);
	answer_int32(answer, rows_int32(row, QUEUE_RANK));
	answer_int64(answer, rows_int64(row, QUEUE_TURN));
	answer_int64(answer, rows_int64(row, QUEUE_DUE));
	answer_int64(answer, claimed->expires_at);
}

static void
claim_rows(Row *row, const Arguments *args, Answer *answer)
{
	uint64		limit = DatumGetInt32(args->values[5]);
	Claimed    *claimed = palloc(limit * sizeof(Claimed));
	Datum		place[] = {
		system_of(row, args->values[0]), args->values[1], args->values[2], args->values[3], args->values[4]
	};
	RowScan		scan;

	answer->rows = claimed;
	rows_scan_from(row, BY_PLACE, place, &scan);
	while (answer->found < limit && rows_next(&scan))
	{
		if (rows_lock(row, LockTupleExclusive, LockWaitSkip) != ROW_LOCKED || !is_wanted(row, place))
			continue;
		lease(row, args->values[6], DatumGetInt64(args->values[7]), &claimed[answer->found]);
		if (answer->found == 0)
			answer_first(row, &claimed[0], answer);
		answer->found++;
	}
	rows_scan_end(&scan);
}

bool
claim_directly(const Arguments *args, Answer *answer)
{
	Row			row;

	if (!rows_open(&queue_table, RowExclusiveLock, &row))
		return false;
	claim_rows(&row, args, answer);
	rows_close(&row);
	return true;
}

/* ------------------------------------------------------------------------
 * The row of a job
 * ------------------------------------------------------------------------ */

/* Find and lock the row of the job and system that come first. */
static bool
lock_row(Row *row, const Arguments *args, LockWaitPolicy policy)
{
	Datum		keys[] = {args->values[0], system_of(row, args->values[1])};

	return rows_find(row, keys) &&
		rows_lock(row, LockTupleExclusive, policy) == ROW_LOCKED &&
		(!row->moved || rows_match(row, keys));
}

static void
answer_column(Row *row, AttrNumber column, Answer *answer)
{
	if (rows_isnull(row, column))
		answer_null(answer);
	else if (column == QUEUE_TOKEN)
		answer_uuid(answer, rows_uuid(row, column));
	else
		answer_int64(answer, rows_int64(row, column));
}

static bool
lock_lease(const Arguments *args, LockWaitPolicy policy, Answer *answer)
{
	Row			row;
	bool		isnull;
	Datum		reason;

	if (!rows_open(&queue_table, RowShareLock, &row))
		return false;
	if (lock_row(&row, args, policy))
	{
		answer_bool(answer, is_in_state(&row, "leased"));
		answer_column(&row, QUEUE_TOKEN, answer);
		answer_column(&row, QUEUE_EXPIRES, answer);
		answer_int32(answer, rows_int32(&row, QUEUE_ATTEMPT) - rows_int32(&row, QUEUE_FIRST_ATTEMPT) + 1);
		answer_bool(answer, !rows_isnull(&row, QUEUE_CANCEL_REQUESTED));
		reason = rows_get(&row, QUEUE_CANCEL_REASON, &isnull);
		answer_text(answer, isnull ? NULL : TextDatumGetCString(reason));
		answer->found = 1;
	}
	rows_close(&row);
	return true;
}

bool
lock_lease_directly(const Arguments *args, Answer *answer)
{
	return lock_lease(args, LockWaitBlock, answer);
}

bool
try_lock_lease_directly(const Arguments *args, Answer *answer)
{
	return lock_lease(args, LockWaitSkip, answer);
}

/* where the first columns of an attempt come from */
static const AttrNumber attempt_sources[] = {
	QUEUE_SYSTEM, QUEUE_JOB, QUEUE_ATTEMPT, QUEUE_TOKEN, QUEUE_WORKER, QUEUE_CLAIMED
};

/* Enter in the history that the lease at hand has led to success. */
static void
record_success(Row *attempts, Row *row)
{
	Datum		values[ATTEMPT_COLUMNS] = {0};
	bool		nulls[ATTEMPT_COLUMNS] = {false};

	for (int i = 0; i < (int) lengthof(attempt_sources); i++)
		values[i] = rows_get(row, attempt_sources[i], &nulls[i]);
	values[ATTEMPT_ENDED - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[ATTEMPT_OUTCOME - 1] = CStringGetTextDatum("completed");
	nulls[ATTEMPT_ERROR - 1] = true;
	/* neither table has triggers */
	(void) rows_insert(attempts, values, nulls);
}

static void
leave(Row *row, Row *attempts, const Arguments *args, Answer *answer)
{
	if (!lock_row(row, args, LockWaitBlock))
		return;
	rows_delete(row);
	if (is_in_state(row, "leased"))
	{
		record_success(attempts, row);
		answer->found = 1;
	}
}

/*
 * What went wrong is put together by the statement.
 */
bool
leave_queue_directly(const Arguments *args, Answer *answer)
{
	bool		succeeded = DatumGetBool(args->values[2]);
	Row			row,
				attempts;

	if (!succeeded || !rows_open(&queue_table, RowExclusiveLock, &row))
		return false;
	if (!rows_open(&attempts_table, RowExclusiveLock, &attempts))
	{
		rows_close(&row);
		return false;
	}
	leave(&row, &attempts, args, answer);
	rows_close(&attempts);
	rows_close(&row);
	return true;
}
