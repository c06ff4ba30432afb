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
#include "settings.h"
#include "uuids.h"

#define MAX_JOB_KEY_LENGTH 200
#define MAX_JOB_ATTEMPTS 1000
#define MAX_DAYS_AHEAD 366

/* the first call may have been undone, or its job deleted, after it was waited for */
#define MAX_TRIES 3

/* Raise an error if a job is not to begin within a year. */
static void
check_run_at(const char *name, TimestampTz run_at)
{
	if (TIMESTAMP_NOT_FINITE(run_at) || run_at > GetCurrentTimestamp() + MAX_DAYS_AHEAD * USECS_PER_DAY)
		refuse_value(name, psprintf("at most %d days ahead", MAX_DAYS_AHEAD));
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

/* Return true if the trigger writes another value than the row had, or than NULL. */
static bool
is_other_value(const TriggerData *data, const char *column, Oid type)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	bool		isnull;

	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return !row_same_value(desc, data->tg_trigtuple, data->tg_newtuple, column);
	(void) row_get(desc, data->tg_trigtuple, column, type, &isnull);
	return !isnull;
}

/* Check the run_at of a new row. */
static void
check_row_run_at(const TriggerData *data)
{
	bool		isnull;
	Datum		run_at = row_get(RelationGetDescr(data->tg_relation), data->tg_trigtuple,
								 "run_at", TIMESTAMPTZOID, &isnull);

	if (!isnull)
		check_run_at("run_at", DatumGetTimestampTz(run_at));
}

/* Check the max_attempts of a row; more that a service gave may stay, or be lowered. */
static void
check_row_max_attempts(const TriggerData *data)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	int32		limit = max_attempts_of_users();
	bool		isnull,
				was_null;
	int32		attempts = DatumGetInt32(row_get(desc, trigger_new_row(data), "max_attempts", INT4OID, &isnull));
	int32		before;

	if (isnull)
		return;
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		before = DatumGetInt32(row_get(desc, data->tg_trigtuple, "max_attempts", INT4OID, &was_null));
		if (!was_null)
			limit = Max(limit, before);
	}
	if (attempts < 1 || attempts > limit)
		refuse_value("max_attempts", psprintf("between 1 and %d", limit));
}

/*
 * Raise an error if a user writes what he may not into a row of a table of jobs.
 * Call it in a BEFORE trigger.
 */
void
new_job_check_row_of_user(const TriggerData *data)
{
	if (is_other_value(data, "cancel_requested_at", TIMESTAMPTZOID))
		refuse_column("cancel_requested_at");
	check_row_max_attempts(data);
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		check_row_run_at(data);
	else if (is_other_value(data, "run_at", TIMESTAMPTZOID))
		refuse_column("run_at");
	else if (is_other_value(data, "idempotency_key", TEXTOID))
		refuse_column("idempotency_key");
}
