/*
 * stamps.c
 *	  What a status change writes into its row: times, durations, progress.
 *	  No SQL, no locks: it runs in the trigger of the flow, under the lock of
 *	  the row.
 *
 * Pitfall: a time that the statement itself sets wins, so that imports keep
 * theirs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/spi.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

#include "flows.h"
#include "stamps.h"

/* Was the column changed by the statement itself? */
static bool
changed(const RowEdit *edit, HeapTuple old, const char *column, Oid type)
{
	Form_pg_attribute att = TupleDescAttr(edit->desc, SPI_fnumber(edit->desc, column) - 1);
	bool		was_null,
				is_null;
	Datum		was = row_get(edit->desc, old, column, type, &was_null);
	Datum		is = row_get(edit->desc, edit->row, column, type, &is_null);

	return was_null != is_null ||
		(!was_null && !datumIsEqual(was, is, att->attbyval, att->attlen));
}

/* A percentage that never goes back: the largest of old, new and floor. */
static void
stamp_progress(RowEdit *edit, HeapTuple old, const char *column, int32 floor)
{
	bool		was_null,
				is_null;
	int32		was = DatumGetInt32(row_get(edit->desc, old, column, INT4OID, &was_null));
	int32		is = DatumGetInt32(row_get(edit->desc, edit->row, column, INT4OID, &is_null));
	int32		result = floor;

	if (!was_null)
		result = Max(result, was);
	if (!is_null)
		result = Max(result, is);
	if (is_null || result != is)
		row_set(edit, column, INT4OID, Int32GetDatum(result));
}

/* The current time, unless the statement sets the column itself. */
static void
stamp_time(RowEdit *edit, HeapTuple old, const char *column)
{
	if (!changed(edit, old, column, TIMESTAMPTZOID))
		row_set(edit, column, TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentTimestamp()));
}

/* Lowest progress of each stage. */
static int32
job_floor(JobStatus status)
{
	switch (status)
	{
		case JOB_PENDING:
		case JOB_QUEUED:
		case JOB_FAILED:
			return 0;
		case JOB_SCRIPTING:
			return 5;
		case JOB_VOICE_GEN:
			return 15;
		case JOB_ALIGNMENT:
			return 25;
		case JOB_VISUAL_PLAN:
			return 40;
		case JOB_IMAGE_GEN:
			return 50;
		case JOB_TIMELINE:
			return 70;
		case JOB_RENDERING:
			return 75;
		case JOB_PACKAGING:
			return 95;
		case JOB_READY:
			return 100;
	}
	return 0;					/* not reached */
}

/* A new attempt begins: what the last one left is cleared. */
static void
stamp_job_retry(RowEdit *edit)
{
	row_set(edit, "progress", INT4OID, Int32GetDatum(0));
	row_set_null(edit, "started_at");
	row_set_null(edit, "finished_at");
}

/* A new job begins at 0; one that is imported is at least where its status is. */
static void
stamp_new_job(RowEdit *edit, JobStatus status)
{
	bool		isnull;
	int32		progress = DatumGetInt32(row_get(edit->desc, edit->row, "progress", INT4OID, &isnull));

	if (status == JOB_PENDING)
		progress = 0;
	else if (isnull || progress < job_floor(status))
		progress = job_floor(status);
	row_set(edit, "progress", INT4OID, Int32GetDatum(progress));
}

void
stamp_job(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (old == NULL)
	{
		stamp_new_job(edit, (JobStatus) to);
		return;
	}
	if (from == JOB_FAILED && to == JOB_QUEUED)
	{
		stamp_job_retry(edit);
		return;
	}
	stamp_progress(edit, old, "progress", from == to ? 0 : job_floor((JobStatus) to));
	if (from == to)
		return;

	if (from == JOB_QUEUED && to != JOB_FAILED)
		stamp_time(edit, old, "started_at");
	if (to == JOB_READY || to == JOB_FAILED)
		stamp_time(edit, old, "finished_at");
}

/* A step begins anew, by itself or with its job. */
static void
stamp_step_restart(RowEdit *edit, HeapTuple old)
{
	if (!changed(edit, old, "progress_pct", INT4OID))
		row_set(edit, "progress_pct", INT4OID, Int32GetDatum(0));
	if (!changed(edit, old, "error_message", TEXTOID))
		row_set_null(edit, "error_message");
	row_set_null(edit, "finished_at");
}

void
stamp_step(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (old == NULL)
		return;
	if (from == to)
	{
		stamp_progress(edit, old, "progress_pct", 0);
		return;
	}

	switch ((StepState) to)
	{
		case STEP_PENDING:
			stamp_step_restart(edit, old);
			row_set_null(edit, "started_at");
			break;
		case STEP_STARTED:
			if (from == STEP_FAILED)
				stamp_step_restart(edit, old);
			stamp_time(edit, old, "started_at");
			break;
		case STEP_SUCCEEDED:
			stamp_progress(edit, old, "progress_pct", 100);
			stamp_time(edit, old, "finished_at");
			break;
		case STEP_FAILED:
			stamp_progress(edit, old, "progress_pct", 0);
			stamp_time(edit, old, "finished_at");
			break;
	}
}

/* Whole milliseconds since created_at, as far as an integer goes. */
static void
stamp_processing_time(RowEdit *edit)
{
	bool		isnull;
	Datum		created = row_get(edit->desc, edit->row, "created_at", TIMESTAMPTZOID, &isnull);
	int64		elapsed = 0;

	if (isnull)
		return;
	if (pg_sub_s64_overflow(GetCurrentTimestamp(), DatumGetTimestampTz(created), &elapsed))
		elapsed = PG_INT64_MAX;
	elapsed = Min(Max(elapsed / 1000, 0), PG_INT32_MAX);
	row_set(edit, "processing_time_ms", INT4OID, Int32GetDatum((int32) elapsed));
}

/* FAILED > NEW: a new attempt begins. */
static void
stamp_studio_retry(RowEdit *edit)
{
	row_set_null(edit, "error_details");
	row_set_null(edit, "processing_time_ms");
}

void
stamp_studio_job(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (old == NULL || from == to)
		return;
	if (to == STUDIO_COMPLETE)
		stamp_processing_time(edit);
	if (from == STUDIO_FAILED)
		stamp_studio_retry(edit);
}
