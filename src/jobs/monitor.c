/*
 * monitor.c
 *	  Monitoring: statistics of a table of jobs, the jobs that run, and the attempts at a
 *	  job.
 *
 * Pitfall: statistics over all users read all rows of the table.  They are meant
 * for a dashboard that is refreshed now and then, not for every page view.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "caller.h"
#include "checks.h"
#include "queue.h"

PG_FUNCTION_INFO_V1(get_job_statistics);
PG_FUNCTION_INFO_V1(get_job_attempts);
PG_FUNCTION_INFO_V1(get_running_jobs);

#define MAX_RUNNING_JOBS_LISTED 1000
#define MAX_WINDOW_SECONDS (36525 * INT64CONST(86400))

static Statement select_queue_figures = {
	.text = "SELECT pg_catalog.jsonb_build_object("
	"   'waiting', pg_catalog.count(*) FILTER (WHERE q.state = 'waiting'),"
	"   'delayed', pg_catalog.count(*) FILTER (WHERE q.state = 'delayed'),"
	"   'parked', pg_catalog.count(*) FILTER (WHERE q.state = 'parked'),"
	"   'leased', (SELECT pg_catalog.count(*) FROM studio_engine.attempts a"
	"      WHERE a.ended_at IS NULL AND a.system = $1::studio_engine.job_system AND ($2 IS NULL OR a.user_id = $2)),"
	"   'oldest_waiting_seconds', CASE WHEN pg_catalog.bool_or(q.state = 'waiting') THEN"
	"      pg_catalog.floor(GREATEST(0, EXTRACT(epoch FROM pg_catalog.clock_timestamp()"
	"        - pg_catalog.min(q.due_at) FILTER (WHERE q.state = 'waiting' AND pg_catalog.isfinite(q.due_at)))))::pg_catalog.int8 END)"
	"  FROM studio_engine.queue q"
	" WHERE q.system = $1::studio_engine.job_system AND ($2 IS NULL OR q.user_id = $2)",
	.nargs = 2,.argtypes = {TEXTOID, UUIDOID}
};
static Statement merge_figures = {
	.text = "SELECT pg_catalog.jsonb_build_object('system', $1) || $2 || $3",
	.nargs = 3,.argtypes = {TEXTOID, JSONBOID, JSONBOID}
};

/* a job $1 of user $2, or of any user if that is NULL */
static Statement find_job = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.studio_jobs j WHERE j.job_id = $1 AND ($2 IS NULL OR j.user_id = $2)"
	" UNION ALL"
	" SELECT 1 FROM @extschema@.jobs j WHERE j.id = $1 AND ($2 IS NULL OR j.user_id = $2)"
	" UNION ALL"
	" SELECT 1 FROM @extschema@.mm_rendering_queue j WHERE j.render_id = $1 AND ($2 IS NULL OR j.user_id = $2)",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_attempts = {
	.force_index_plan = true,
	.text = "SELECT n.system::pg_catalog.text, n.attempt, CASE WHEN $2 IS NULL THEN n.worker END,"
	"       n.started_at, n.ended_at, COALESCE(n.outcome, 'running'), studio_engine.brief_error(n.error, 4000), n.stage"
	"  FROM (SELECT a.* FROM studio_engine.attempts a"
	" WHERE a.job_id = $1"
	"   AND (a.system = 'studio_jobs' AND EXISTS (SELECT 1 FROM @extschema@.studio_jobs j"
	"          WHERE j.job_id = $1 AND ($2 IS NULL OR j.user_id = $2))"
	"     OR a.system = 'jobs' AND EXISTS (SELECT 1 FROM @extschema@.jobs j"
	"          WHERE j.id = $1 AND ($2 IS NULL OR j.user_id = $2))"
	"     OR a.system = 'mm_rendering_queue' AND EXISTS (SELECT 1 FROM @extschema@.mm_rendering_queue j"
	"          WHERE j.render_id = $1 AND ($2 IS NULL OR j.user_id = $2)))"
	" ORDER BY a.started_at DESC, a.ended_at DESC NULLS FIRST LIMIT 200) n"
	" ORDER BY n.started_at, n.ended_at",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

static Statement select_running = {
	.force_index_plan = true,
	.text = "SELECT a.system::pg_catalog.text, a.job_id, a.user_id, a.stage, a.worker, a.process_id, a.attempt, a.started_at,"
	"       a.expires_at, a.expires_at <= pg_catalog.clock_timestamp(), a.cancel_requested_at, a.cancel_reason"
	"  FROM studio_engine.attempts a"
	" WHERE a.ended_at IS NULL AND ($1 IS NULL OR a.system = $1::studio_engine.job_system)"
	" ORDER BY a.started_at, a.job_id LIMIT $2",
	.nargs = 2,.argtypes = {TEXTOID, INT4OID}
};

/* Return the user whose statistics are read; NULL for all users. */
static const pg_uuid_t *
statistics_user(const Caller *caller, const pg_uuid_t *wanted)
{
	if (wanted == NULL)
		return caller->service ? NULL : &caller->uid;
	caller_require_self(caller, wanted);
	return wanted;
}

/* Return the statistics of the queue of a system, of a user or all. */
static Datum
figures_of_queue(const QueueSystem *system, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, system->name);
	argument_uuid(&args, user_id);
	statement_execute_read_only(&select_queue_figures, &args);
	return result_jsonb(1);
}

/* Return the statistics of the jobs of a system, created since a time or ever. */
static Datum
figures_of_jobs(const QueueSystem *system, const pg_uuid_t *user_id, const TimestampTz *since)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	argument_time(&args, since);
	statement_execute_read_only(system->statistics, &args);
	return result_jsonb(1);
}

/*
 * get_job_statistics(p_system text, p_user_id uuid, p_window interval) returns
 * jsonb
 */
Datum
get_job_statistics(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	const QueueSystem *system;
	const pg_uuid_t *user_id;
	TimestampTz now = GetCurrentTransactionStartTimestamp(),
				since;
	bool		windowed = !PG_ARGISNULL(2);
	Datum		result;

	caller_enter_user(&caller);
	user_id = statistics_user(&caller, optional_uuid(fcinfo, 1));
	system = queue_check_name(fcinfo, 0, "p_system");
	if (windowed)
	{
		since = now - *check_duration(fcinfo, 2, "p_window", 1, MAX_WINDOW_SECONDS);
	}

	argument_text(&args, system->name);
	argument_add(&args, figures_of_jobs(system, user_id, windowed ? &since : NULL), false);
	argument_add(&args, figures_of_queue(system, user_id), false);
	statement_execute_read_only(&merge_figures, &args);
	result = result_jsonb(1);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * get_job_attempts(p_job_id uuid) returns setof (system, attempt, worker,
 * started_at, ended_at, outcome, error, stage)
 */
Datum
get_job_attempts(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	job_id;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_user(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	argument_uuid(&args, &job_id);
	argument_uuid(&args, caller.service ? NULL : &caller.uid);
	if (statement_execute_read_only(&find_job, &args) == 0)
		refuse_unknown(&caller, "job", &job_id);
	statement_execute_read_only_each(&select_attempts, &args, put_result_row, fcinfo->resultinfo);
	caller_leave(&caller);

	return (Datum) 0;
}

/*
 * get_running_jobs(p_system text, p_limit integer) returns setof (system, job_id,
 * user_id, stage, worker, process_id, attempt, started_at, lease_expires_at, overdue,
 * cancel_requested_at, cancel_reason)
 */
Datum
get_running_jobs(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_service(&caller);
	argument_text(&args, PG_ARGISNULL(0) ? NULL : queue_check_name(fcinfo, 0, "p_system")->name);
	argument_int32(&args, check_int32(fcinfo, 1, "p_limit", 1, MAX_RUNNING_JOBS_LISTED));
	statement_execute_read_only_each(&select_running, &args, put_result_row, fcinfo->resultinfo);
	caller_leave(&caller);

	return (Datum) 0;
}
