/*
 * new_jobs.c
 *	  What a client may say of a new job besides its work: when it may begin, how
 *	  often it is tried, and the key under which it is made once.
 *
 * Pitfall: a client that got no answer calls again, possibly while its first call
 * is still running.  The unique index of the table makes the second call wait for
 * the first; whether the key was used is decided by the INSERT, and a look before
 * it only saves the work.
 *
 * The content of a key is what the job works on and what it costs.  When it runs,
 * how often, and its priority are not content: the first call has decided them.
 *
 * Lock order: user, then the job; the callers lock the user.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "checks.h"
#include "errors.h"
#include "new_jobs.h"
#include "own_rows.h"
#include "settings.h"
#include "uuids.h"

#define MAX_JOB_KEY_LENGTH 200
#define MAX_JOB_ATTEMPTS 1000
#define MAX_DAYS_AHEAD 366

/* the first call may have been undone, or its job deleted, after it was waited for */
#define MAX_TRIES 3

pg_noreturn static void
refuse_run_at(const char *name)
{
	refuse_value(name, psprintf("at most %d days ahead", MAX_DAYS_AHEAD));
}

/* Raise an error if a job is not to begin within a year. */
static void
check_run_at(const char *name, TimestampTz run_at)
{
	if (TIMESTAMP_NOT_FINITE(run_at) || run_at > GetCurrentTimestamp() + MAX_DAYS_AHEAD * USECS_PER_DAY)
		refuse_run_at(name);
}

/* How often a user may have a job tried. */
static int32
max_attempts_of_users(void)
{
	int32		limit = setting_int32(SETTING_MAX_ATTEMPTS);

	return limit > 0 ? Min(limit, MAX_JOB_ATTEMPTS) : MAX_JOB_ATTEMPTS;
}

/*
 * Read p_run_at, p_idempotency_key and p_max_attempts, which begin at argno.
 */
NewJob
new_job_check(FunctionCallInfo fcinfo, int argno, const Caller *caller)
{
	NewJob		new = {
		.run_at = optional_time(fcinfo, argno),
		.key = check_optional_text(fcinfo, argno + 1, "p_idempotency_key", MAX_JOB_KEY_LENGTH),
		.max_attempts = check_optional_int32(fcinfo, argno + 2, "p_max_attempts", 1,
											 caller->service ? MAX_JOB_ATTEMPTS : max_attempts_of_users())
	};

	if (new.run_at != NULL)
		check_run_at("p_run_at", *new.run_at);
	return new;
}

/*
 * Add run_at, idempotency_key and max_attempts, in this order.
 */
void
new_job_arguments(const NewJob *new, Arguments *args)
{
	argument_time(args, new->run_at);
	argument_text(args, new->key);
	argument_add(args, new->max_attempts ? Int32GetDatum(*new->max_attempts) : (Datum) 0, new->max_attempts == NULL);
}

/* Raise PT409 unless the job that was found has the content of the call. */
static void
require_same_content(const pg_uuid_t *job_id)
{
	if (!result_bool(2))
		refuse_conflict("key was used for something else", psprintf("Job %s.", uuid_text(job_id)));
}

/*
 * Insert a job, unless there is one under its key, and set its id.  Both statements
 * take args: insert returns the id, and does nothing on a conflict of keys; find
 * returns the id of the job of the key, and whether it has the same content.
 */
NewJobResult
new_job_insert(const NewJob *new, Statement *find, Statement *insert, const Arguments *args, pg_uuid_t *job_id)
{
	int			tries = new->key ? MAX_TRIES : 1;

	while (tries-- > 0)
	{
		if (new->key && statement_execute(find, args) > 0)
		{
			*job_id = result_uuid(1);
			require_same_content(job_id);
			return JOB_FOUND;
		}
		if (statement_execute(insert, args) > 0)
		{
			*job_id = result_uuid(1);
			return JOB_INSERTED;
		}
	}
	return JOB_NOT_STORED;
}

/* ------------------------------------------------------------------------
 * Rows that users write
 * ------------------------------------------------------------------------ */

/* Return the value of a column that holds a time; NULL for none. */
static const TimestampTz *
row_time(TupleDesc desc, HeapTuple row, const char *column)
{
	bool		isnull;
	TimestampTz *time = palloc(sizeof(TimestampTz));

	*time = DatumGetTimestampTz(row_get(desc, row, column, TIMESTAMPTZOID, &isnull));
	return isnull ? NULL : time;
}

/* Return max_attempts of a row; where it has none 1, which everybody may ask for. */
static int32
row_max_attempts(TupleDesc desc, HeapTuple row)
{
	bool		isnull;
	int32		attempts = DatumGetInt32(row_get(desc, row, "max_attempts", INT4OID, &isnull));

	return isnull ? 1 : attempts;
}

static void
check_max_attempts(int32 attempts, int32 limit)
{
	if (attempts < 1 || attempts > limit)
		refuse_value("max_attempts", psprintf("between 1 and %d", limit));
}

/*
 * Raise an error if a user proposes a row that no table of jobs can have.  Call it in
 * a BEFORE INSERT trigger; else a constraint raises another error.
 */
void
new_job_check_proposed_row(TupleDesc desc, HeapTuple row)
{
	const TimestampTz *run_at = row_time(desc, row, "run_at");
	int32		attempts = row_max_attempts(desc, row);

	if (run_at != NULL && TIMESTAMP_NOT_FINITE(*run_at))
		refuse_run_at("run_at");
	if (attempts > MAX_JOB_ATTEMPTS || attempts < 1)
		check_max_attempts(attempts, max_attempts_of_users());
}

/*
 * Raise an error if a user writes what he may not into a new row of a table of jobs.
 * Call it in an AFTER INSERT trigger: see own_rows.c.
 */
void
new_job_check_row_of_user(TupleDesc desc, HeapTuple row)
{
	const TimestampTz *run_at = row_time(desc, row, "run_at");

	if (row_time(desc, row, "cancel_requested_at") != NULL)
		refuse_column("cancel_requested_at");
	check_max_attempts(row_max_attempts(desc, row), max_attempts_of_users());
	if (run_at != NULL)
		check_run_at("run_at", *run_at);
}

/*
 * Raise an error if a user changes what he may not in a row of a table of jobs; more
 * attempts that a service gave may stay, or be lowered.  Call it in a BEFORE UPDATE
 * trigger.
 */
void
new_job_check_update_of_user(RowEdit *edit, HeapTuple old)
{
	if (!own_row_keeps_time(edit, old, "cancel_requested_at"))
		refuse_column("cancel_requested_at");
	check_max_attempts(row_max_attempts(edit->desc, edit->row),
					   Max(max_attempts_of_users(), row_max_attempts(edit->desc, old)));
	if (!own_row_keeps_time(edit, old, "run_at"))
		refuse_column("run_at");
	if (!row_same_value(edit->desc, old, edit->row, "idempotency_key"))
		refuse_column("idempotency_key");
}
