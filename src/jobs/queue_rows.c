/*
 * queue_rows.c
 *	  The fast paths of the statements on the queue, and the row tables of
 *	  queue and attempts.
 *
 * Pitfall: a claim scans the waiting rows in the order of their index and skips
 * locked ones.  A row that was concurrently updated before it was locked is
 * claimed only if the new version is waiting too, and not before the position
 * that the scan started from.
 *
 * Lock order: rows of the queue only; claims never wait for one.
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

static const RowColumn queue_columns[] = {
	[QUEUE_SYSTEM - 1] = {"system", ANYENUMOID, "studio_engine.job_system"},
	[QUEUE_STATE - 1] = {"state", ANYENUMOID, "studio_engine.queue_state"},
	[QUEUE_RANK - 1] = {"rank", INT4OID, NULL},
	[QUEUE_TURN - 1] = {"turn", INT8OID, NULL},
	[QUEUE_DUE - 1] = {"due_at", TIMESTAMPTZOID, NULL},
	[QUEUE_JOB - 1] = {"job_id", UUIDOID, NULL},
	[QUEUE_USER - 1] = {"user_id", UUIDOID, NULL},
	[QUEUE_ATTEMPT - 1] = {"attempt", INT4OID, NULL},
	[QUEUE_FIRST_ATTEMPT - 1] = {"first_attempt", INT4OID, NULL},
	[QUEUE_TOKEN - 1] = {"lease_token", UUIDOID, NULL},
	[QUEUE_CLAIMED - 1] = {"claimed_at", TIMESTAMPTZOID, NULL},
	[QUEUE_EXPIRES - 1] = {"expires_at", TIMESTAMPTZOID, NULL},
	[QUEUE_CANCEL_REQUESTED - 1] = {"cancel_requested_at", TIMESTAMPTZOID, NULL},
	[QUEUE_SINCE - 1] = {"since", TIMESTAMPTZOID, NULL},
	[QUEUE_SHOWN - 1] = {"shown_at", TIMESTAMPTZOID, NULL},
	[QUEUE_WORKER - 1] = {"worker", TEXTOID, NULL},
	[QUEUE_CANCEL_REASON - 1] = {"cancel_reason", TEXTOID, NULL}
};

/* indexes into queue_table.lookups; 0 is the primary key */
#define BY_POSITION 1
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
	[ATTEMPT_SYSTEM - 1] = {"system", ANYENUMOID, "studio_engine.job_system"},
	[ATTEMPT_JOB - 1] = {"job_id", UUIDOID, NULL},
	[ATTEMPT_NUMBER - 1] = {"attempt", INT4OID, NULL},
	[ATTEMPT_TOKEN - 1] = {"lease_token", UUIDOID, NULL},
	[ATTEMPT_WORKER - 1] = {"worker", TEXTOID, NULL},
	[ATTEMPT_STARTED - 1] = {"started_at", TIMESTAMPTZOID, NULL},
	[ATTEMPT_ENDED - 1] = {"ended_at", TIMESTAMPTZOID, NULL},
	[ATTEMPT_OUTCOME - 1] = {"outcome", TEXTOID, NULL},
	[ATTEMPT_ERROR - 1] = {"error", JSONBOID, NULL}
};

static const RowDefault attempt_defaults[] = {{ATTEMPT_ENDED, F_CLOCK_TIMESTAMP}};

RowTable	attempts_table = {
	.schema = "studio_engine",.name = "attempts",
	.columns = attempt_columns,.ncolumns = lengthof(attempt_columns),
	.defaults = attempt_defaults,.ndefaults = lengthof(attempt_defaults),
	.inserts = true
};

/* Return the enum value of a system that is given by its name. */
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

	if (!rows_open_for_write(&queue_table, CMD_UPDATE, &row))
		return false;
	system = system_of(&row, args->values[0]);
	rows_scan(&row, BY_DUE, 1, &system, &scan);
	due = rows_next(&scan) && rows_int64(&row, QUEUE_DUE) <= now;
	rows_scan_end(&scan);
	rows_close(&row);
	return !due;
}

/* Compare the current tuple to a position; the first key, the system, is equal. */
static int
compare_to_position(Row *row, const Datum *position)
{
	const RowLookup *by = &queue_table.lookups[BY_POSITION];

	for (int i = 1; i < by->nkeys; i++)
	{
		bool		isnull;
		Datum		value = rows_get(row, by->columns[i], &isnull);
		int			order = DatumGetInt32(OidFunctionCall2(by->compares[i], value, position[i]));

		if (order != 0)
			return order;
	}
	return 0;
}

/* Return true if the locked row still meets the conditions of the scan. */
static bool
is_still_claimable(Row *row, const Datum *position)
{
	bool		isnull;

	return !row->concurrently_updated ||
		(is_in_state(row, "waiting") && rows_get(row, QUEUE_SYSTEM, &isnull) == position[0] &&
		 compare_to_position(row, position) >= 0);
}

/* Turn the locked row into a lease, and fill in *claimed. */
static void
lease_row(Row *row, Datum worker, int64 duration, Claimed *claimed)
{
	RowEdit		edit = {.desc = RelationGetDescr(row->rel),.row = rows_tuple(row)};
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz until = now + duration;

	claimed->job_id = rows_uuid(row, QUEUE_JOB);
	claimed->token = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	claimed->attempt = rows_int32(row, QUEUE_ATTEMPT) + 1;
	claimed->expires_at = until;
	row_set_column(&edit, QUEUE_STATE, rows_enum(row, QUEUE_STATE, "leased"));
	row_set_column(&edit, QUEUE_ATTEMPT, Int32GetDatum(claimed->attempt));
	row_set_column(&edit, QUEUE_TOKEN, UUIDPGetDatum(&claimed->token));
	row_set_column(&edit, QUEUE_WORKER, worker);
	row_set_column(&edit, QUEUE_CLAIMED, TimestampTzGetDatum(now));
	row_set_column(&edit, QUEUE_SINCE, Int64GetDatum(rows_int64(row, QUEUE_DUE)));
	row_set_column(&edit, QUEUE_DUE, TimestampTzGetDatum(until));
	row_set_column(&edit, QUEUE_EXPIRES, TimestampTzGetDatum(until));
	(void) rows_update(row, &edit);
}

/* Return the columns of the first claimed row; its position is the one before the lease. */
static void
result_add_claim(Row *row, const Claimed *claimed, StatementResult *result)
{
	result_add_uuid(result, claimed->job_id);
	result_add_uuid(result, claimed->token);
	result_add_int32(result, claimed->attempt);
	result_add_int32(result, rows_int32(row, QUEUE_RANK));
	result_add_int64(result, rows_int64(row, QUEUE_TURN));
	result_add_int64(result, rows_int64(row, QUEUE_DUE));
	result_add_int64(result, claimed->expires_at);
}

/* Lock and lease waiting rows until the limit is reached. */
static void
claim_rows(Row *row, const Arguments *args, StatementResult *result)
{
	uint64		limit = DatumGetInt32(args->values[5]);
	Claimed    *claimed = palloc(limit * sizeof(Claimed));
	Datum		position[] = {
		system_of(row, args->values[0]), args->values[1], args->values[2], args->values[3], args->values[4]
	};
	RowScan		scan;

	result->rows = claimed;
	rows_scan_from(row, BY_POSITION, position, &scan);
	while (result->found < limit && rows_next(&scan))
	{
		if (rows_lock(row, LockTupleExclusive, LockWaitSkip) != ROW_LOCKED || !is_still_claimable(row, position))
			continue;
		lease_row(row, args->values[6], DatumGetInt64(args->values[7]), &claimed[result->found]);
		if (result->found == 0)
			result_add_claim(row, &claimed[0], result);
		result->found++;
	}
	rows_scan_end(&scan);
}

/*
 * Fast path of claim_waiting.  Return false if the table is not eligible.
 */
bool
claim_fast_path(const Arguments *args, StatementResult *result)
{
	Row			row;

	if (!rows_open_for_write(&queue_table, CMD_UPDATE, &row))
		return false;
	claim_rows(&row, args, result);
	rows_close(&row);
	return true;
}

/* ------------------------------------------------------------------------
 * The row of a job
 * ------------------------------------------------------------------------ */

/* Find and lock the row of the job $1 and system $2; false if there is none. */
static bool
lock_row(Row *row, const Arguments *args)
{
	Datum		keys[] = {args->values[0], system_of(row, args->values[1])};

	return rows_find(row, keys) && rows_lock_key(row, keys, LockTupleExclusive, LockWaitBlock);
}

/* the columns of the queue that the first columns of an attempt are copied from */
static const AttrNumber attempt_sources[] = {
	QUEUE_SYSTEM, QUEUE_JOB, QUEUE_ATTEMPT, QUEUE_TOKEN, QUEUE_WORKER, QUEUE_CLAIMED
};

/* Insert an attempt: the lease of the current tuple ended with completion. */
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

/* Delete the row of a completed job, and record its lease if it has one. */
static void
dequeue_row(Row *row, Row *attempts, const Arguments *args, StatementResult *result)
{
	if (!lock_row(row, args))
		return;
	rows_delete(row);
	if (is_in_state(row, "leased"))
	{
		record_success(attempts, row);
		result->found = 1;
	}
}

/*
 * Fast path of dequeue_job, for jobs that succeeded.  Return false, which falls
 * back to the statement, if a table is not eligible or the job failed: the error
 * to record is built by the statement.
 */
bool
dequeue_job_fast_path(const Arguments *args, StatementResult *result)
{
	bool		succeeded = DatumGetBool(args->values[2]);
	Row			row,
				attempts;

	if (!succeeded || !rows_open_for_write(&queue_table, CMD_DELETE, &row))
		return false;
	if (!rows_open_for_write(&attempts_table, CMD_INSERT, &attempts))
	{
		rows_close(&row);
		return false;
	}
	dequeue_row(&row, &attempts, args, result);
	rows_close(&attempts);
	rows_close(&row);
	return true;
}
