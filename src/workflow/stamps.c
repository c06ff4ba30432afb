/*
 * stamps.c
 *	  Columns that a status change sets in its row: times, durations, progress.
 *	  The functions run no SQL and take no locks.  The trigger of the flow calls
 *	  them under the lock of the row.
 *
 * Pitfall: a time that the statement sets itself takes precedence, so that
 * imports keep theirs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "sections.h"
#include "stamps.h"
#include "statuses.h"

/* Set a percentage that never decreases: the largest of old, new and floor. */
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

/* Set a column to the current time, unless the statement sets it itself. */
static void
stamp_time(RowEdit *edit, HeapTuple old, const char *column)
{
	if (!row_changed(edit, old, column, TIMESTAMPTZOID))
		row_set(edit, column, TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentTimestamp()));
}

/* Return the lowest progress of a stage. */
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

/* Set the progress of a new job: 0, or of an imported one at least that of its stage. */
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

/*
 * Stamp a row of jobs: progress, started_at and finished_at.
 */
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
		/* a new attempt: clear the columns of the last one */
		row_set(edit, "progress", INT4OID, Int32GetDatum(0));
		row_set_null(edit, "started_at");
		row_set_null(edit, "finished_at");
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

/* Clear the last attempt at a step; progress and error unless the statement sets them. */
static void
stamp_step_restart(RowEdit *edit, HeapTuple old)
{
	if (!row_changed(edit, old, "progress_pct", INT4OID))
		row_set(edit, "progress_pct", INT4OID, Int32GetDatum(0));
	if (!row_changed(edit, old, "error_message", TEXTOID))
		row_set_null(edit, "error_message");
	row_set_null(edit, "finished_at");
}

/*
 * Stamp a row of job_steps: progress_pct, error_message and times.
 */
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

/* Set the milliseconds since created_at, limited to the range of integer. */
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

/*
 * Stamp a row of studio_jobs: processing_time_ms and error_details.
 */
void
stamp_studio_job(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (old == NULL || from == to)
		return;
	if (to == STUDIO_COMPLETE)
		stamp_processing_time(edit);
	if (from == STUDIO_FAILED)
	{
		/* a new attempt: clear the columns of the last one */
		row_set_null(edit, "error_details");
		row_set_null(edit, "processing_time_ms");
	}
}

/*
 * Stamp a row of pipeline.jobs: times and error_message.
 */
void
stamp_run(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (old == NULL || from == to)
		return;

	switch ((RunStatus) to)
	{
		case RUN_PENDING:
			/* a new attempt: clear the columns of the last one */
			row_set_null(edit, "started_at");
			row_set_null(edit, "completed_at");
			row_set_null(edit, "error_message");
			break;
		case RUN_RUNNING:
			stamp_time(edit, old, "started_at");
			break;
		case RUN_COMPLETED:
		case RUN_FAILED:
		case RUN_CANCELLED:
			stamp_time(edit, old, "completed_at");
			break;
	}
}

/*
 * Stamp nothing, for tables whose status changes set no other column.
 */
void
stamp_none(RowEdit *edit, HeapTuple old, int from, int to)
{
}

/* Increment a counter, unless the statement sets it itself. */
static void
stamp_count(RowEdit *edit, HeapTuple old, const char *column)
{
	bool		isnull;
	int32		count = DatumGetInt32(row_get(edit->desc, edit->row, column, INT4OID, &isnull));

	if (!isnull && count < PG_INT32_MAX && !row_changed(edit, old, column, INT4OID))
		row_set(edit, column, INT4OID, Int32GetDatum(count + 1));
}

/* Set a column to NULL, unless the statement sets it itself. */
static void
stamp_clear(RowEdit *edit, HeapTuple old, const char *column, Oid type)
{
	if (!row_changed(edit, old, column, type))
		row_set_null(edit, column);
}

/* Return true if the statement changes the text of a section. */
static bool
sections_changed(const RowEdit *edit, HeapTuple old)
{
	for (int i = 0; i < SECTIONS; i++)
	{
		if (row_text_changed(edit, old, section_names[i]))
			return true;
	}
	return false;
}

/*
 * Stamp a row of cm_module_content: revision_count and status.  The approval
 * applies to the text, so changing a section of approved content sets the status
 * to revision.
 */
void
stamp_content(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (old == NULL)
		return;
	if (from == CONTENT_REVISION && to == CONTENT_QUALITY_CHECK)
		stamp_count(edit, old, "revision_count");
	if (from == CONTENT_APPROVED && to == CONTENT_APPROVED && sections_changed(edit, old))
		row_set(edit, "status", TEXTOID, CStringGetTextDatum(content_status_names[CONTENT_REVISION]));
}

/*
 * Stamp a row of cm_enhancement_sessions: completed_at.
 */
void
stamp_enhancement(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (old == NULL || from == to)
		return;
	if (to == SESSION_COMPLETED)
		stamp_time(edit, old, "completed_at");
}

/* Do the same as stamp_progress() for a numeric column, where old may be NULL. */
static void
stamp_percentage(RowEdit *edit, HeapTuple old, const char *column, int64 floor)
{
	bool		was_null = true,
				is_null;
	Datum		is = row_get(edit->desc, edit->row, column, NUMERICOID, &is_null);
	Datum		was = old ? row_get(edit->desc, old, column, NUMERICOID, &was_null) : (Datum) 0;
	Datum		result = NumericGetDatum(int64_to_numeric(floor));

	if (!was_null)
		result = DirectFunctionCall2(numeric_larger, result, was);
	if (!is_null)
		result = DirectFunctionCall2(numeric_larger, result, is);
	if (is_null || !DatumGetBool(DirectFunctionCall2(numeric_eq, result, is)))
		row_set(edit, column, NUMERICOID, result);
}

/* Set the seconds from started_at to the end of the attempt. */
static void
stamp_duration(RowEdit *edit, TimestampTz end)
{
	bool		isnull;
	Datum		started = row_get(edit->desc, edit->row, "started_at", TIMESTAMPTZOID, &isnull);
	int64		elapsed;

	if (isnull)
		return;
	if (pg_sub_s64_overflow(end, DatumGetTimestampTz(started), &elapsed))
		elapsed = end < DatumGetTimestampTz(started) ? 0 : PG_INT64_MAX;
	elapsed = Min(Max(elapsed / USECS_PER_SEC, 0), PG_INT32_MAX);
	row_set(edit, "processing_duration_seconds", INT4OID, Int32GetDatum((int32) elapsed));
}

/* Set completed_at and the duration of a session. */
static void
stamp_session_completed(RowEdit *edit, HeapTuple old)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		isnull;
	Datum		given = row_get(edit->desc, edit->row, "completed_at", TIMESTAMPTZOID, &isnull);

	if (isnull || !row_changed(edit, old, "completed_at", TIMESTAMPTZOID))
		row_set(edit, "completed_at", TIMESTAMPTZOID, TimestampTzGetDatum(now));
	else
		now = DatumGetTimestampTz(given);
	stamp_duration(edit, now);
}

/* Reset the columns of the last attempt, on failed > started. */
static void
stamp_session_retry(RowEdit *edit, HeapTuple old)
{
	if (!row_changed(edit, old, "progress_percentage", NUMERICOID))
		row_set(edit, "progress_percentage", NUMERICOID, NumericGetDatum(int64_to_numeric(0)));
	stamp_time(edit, old, "started_at");
	stamp_clear(edit, old, "current_stage", TEXTOID);
	stamp_clear(edit, old, "error_message", TEXTOID);
}

/*
 * Stamp a row of mm_multimedia_sessions: progress, times, stage and error.
 */
void
stamp_session(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (from == SESSION_FAILED && to == SESSION_STARTED)
	{
		stamp_session_retry(edit, old);
		return;
	}
	stamp_percentage(edit, old, "progress_percentage", to == SESSION_COMPLETED ? 100 : 0);
	if (old != NULL && from != to && to == SESSION_COMPLETED)
		stamp_session_completed(edit, old);
}

/*
 * Stamp a row of mm_audio_narrations: synthesis_completed follows the status.
 */
void
stamp_narration(RowEdit *edit, HeapTuple old, int from, int to)
{
	row_set(edit, "synthesis_completed", BOOLOID, BoolGetDatum(to == PRODUCT_COMPLETED));
}

/*
 * Stamp a row of mm_script_generations: completed_at and error_message.
 */
void
stamp_script(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (old == NULL || from == to)
		return;
	if (to == PRODUCT_COMPLETED)
		stamp_time(edit, old, "completed_at");
	if (from == PRODUCT_FAILED)
		stamp_clear(edit, old, "error_message", TEXTOID);
}

/* Reset the columns of the last attempt of a rendering that is queued again. */
static void
stamp_render_retry(RowEdit *edit, HeapTuple old)
{
	row_set(edit, "progress", INT4OID, Int32GetDatum(0));
	stamp_count(edit, old, "retry_count");
	row_set_null(edit, "started_at");
	row_set_null(edit, "finished_at");
	stamp_clear(edit, old, "error_code", TEXTOID);
	stamp_clear(edit, old, "error_message", TEXTOID);
}

/*
 * Stamp a row of mm_rendering_queue: progress, times, retry_count and error.
 */
void
stamp_render(RowEdit *edit, HeapTuple old, int from, int to)
{
	if (old == NULL)
		return;
	if (from != to && to == RENDER_QUEUED)
	{
		stamp_render_retry(edit, old);
		return;
	}
	stamp_progress(edit, old, "progress", to == RENDER_COMPLETED ? 100 : 0);
	if (from == to)
		return;
	if (to == RENDER_RENDERING)
		stamp_time(edit, old, "started_at");
	else
		stamp_time(edit, old, "finished_at");
}
