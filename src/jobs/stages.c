/*
 * stages.c
 *	  Stages of a queue that are paused or limited: pause_queue(), resume_queue(),
 *	  limit_stage(), get_queue_stages(), and what claims ask.
 *
 * A claim from a system of which nothing is paused or limited scans all its jobs in
 * one order.  Otherwise it scans the stages that are left, each in its own order, and
 * merges them, so that the jobs of the others are not passed by one by one.
 *
 * Sessions cache the table.  A trigger invalidates its relcache entry with every change,
 * as for settings, so a claim that begins after pause_queue() has committed sees the
 * pause; one that is under way may still return jobs.
 *
 * Pitfall: two claims must not count what runs at a limited stage at the same time.
 * The second one waits until the first has committed.
 *
 * Lock order: advisory locks of limited stages, in the order of the flow; who holds
 * one waits for no row.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "advisory.h"
#include "announcements.h"
#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "queue.h"
#include "relations.h"
#include "running_limits.h"
#include "stages.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(pause_queue);
PG_FUNCTION_INFO_V1(resume_queue);
PG_FUNCTION_INFO_V1(limit_stage);
PG_FUNCTION_INFO_V1(get_queue_stages);

#define MAX_PAUSE_REASON_LENGTH 1000
#define MAX_STAGE_LENGTH 100

static Statement select_controls = {
	.text = "SELECT c.system::pg_catalog.text, c.stage, c.paused_at IS NOT NULL, c.max_running FROM studio_engine.queue_stages c"
	" WHERE c.paused_at IS NOT NULL OR c.max_running IS NOT NULL",
	.nargs = 0
};
static Statement count_running = {
	.force_index_plan = true,
	.text = "SELECT ((SELECT pg_catalog.count(*) FROM studio_engine.attempts a"
	"          WHERE a.ended_at IS NULL AND a.counted AND a.system = $1::studio_engine.job_system AND a.stage = $2)"
	"   + CASE WHEN $3 THEN (SELECT pg_catalog.count(*) FROM studio_engine.attempts a"
	"          WHERE a.ended_at IS NULL AND NOT a.counted AND a.system = $1::studio_engine.job_system AND a.stage = $2)"
	"     ELSE 0 END)::pg_catalog.int4",
	.nargs = 3,.argtypes = {TEXTOID, TEXTOID, BOOLOID}
};
static Statement pause_stage = {
	.text = "INSERT INTO studio_engine.queue_stages AS c (system, stage, paused_at, pause_reason)"
	" VALUES ($1::studio_engine.job_system, $2, pg_catalog.clock_timestamp(), $3)"
	" ON CONFLICT (system, stage) DO UPDATE"
	"   SET paused_at = COALESCE(c.paused_at, EXCLUDED.paused_at), pause_reason = COALESCE(EXCLUDED.pause_reason, c.pause_reason)",
	.nargs = 3,.argtypes = {TEXTOID, TEXTOID, TEXTOID}
};
static Statement resume_stage = {
	.text = "UPDATE studio_engine.queue_stages c SET paused_at = NULL, pause_reason = NULL"
	" WHERE c.system = $1::studio_engine.job_system AND c.stage = $2 AND c.paused_at IS NOT NULL",
	.nargs = 2,.argtypes = {TEXTOID, TEXTOID}
};
static Statement set_limit = {
	.text = "INSERT INTO studio_engine.queue_stages AS c (system, stage, max_running)"
	" VALUES ($1::studio_engine.job_system, $2, $3)"
	" ON CONFLICT (system, stage) DO UPDATE SET max_running = EXCLUDED.max_running",
	.nargs = 3,.argtypes = {TEXTOID, TEXTOID, INT4OID}
};
static Statement select_stages = {
	.text = "SELECT s.stage, COALESCE(c.paused_at, w.paused_at), COALESCE(c.pause_reason, w.pause_reason), c.max_running,"
	"       COALESCE(r.n, 0), COALESCE(q.waiting, 0), COALESCE(q.delayed, 0), COALESCE(q.parked, 0), q.oldest"
	"  FROM pg_catalog.unnest($2) WITH ORDINALITY s (stage, position)"
	"  LEFT JOIN studio_engine.queue_stages c ON c.system = $1::studio_engine.job_system AND c.stage = s.stage"
	"  LEFT JOIN studio_engine.queue_stages w ON w.system = $1::studio_engine.job_system AND w.stage = ''"
	"  LEFT JOIN (SELECT a.stage, pg_catalog.count(*) AS n FROM studio_engine.attempts a"
	"              WHERE a.ended_at IS NULL AND a.system = $1::studio_engine.job_system GROUP BY a.stage) r ON r.stage = s.stage"
	"  LEFT JOIN (SELECT e.stage, pg_catalog.count(*) FILTER (WHERE e.state = 'waiting') AS waiting,"
	"                    pg_catalog.count(*) FILTER (WHERE e.state = 'delayed') AS delayed,"
	"                    pg_catalog.count(*) FILTER (WHERE e.state = 'parked') AS parked,"
	"                    pg_catalog.min(e.due_at) FILTER (WHERE e.state = 'waiting') AS oldest"
	"               FROM studio_engine.queue e WHERE e.system = $1::studio_engine.job_system GROUP BY e.stage) q"
	"         ON q.stage = s.stage"
	" ORDER BY s.position",
	.nargs = 2,.argtypes = {TEXTOID, TEXTARRAYOID}
};

/* ------------------------------------------------------------------------
 * The cache
 * ------------------------------------------------------------------------ */

/* a row of the table */
typedef struct StageControl
{
	const QueueSystem *system;
	int			state;			/* UNKNOWN_STATE: all of the system */
	bool		paused;
	int32		max_running;	/* 0: no limit */
} StageControl;

/* StageControl, in their own memory; valid while the table has not changed */
static List *controls = NIL;
static MemoryContext controls_context = NULL;
static RelationWatch controls_watch;
static uint64 controls_changes = 0;
static bool controls_read = false;

/* Append a row to the list; one of a system or stage that there is not is ignored. */
static void
collect_control(HeapTuple row, TupleDesc desc, void *arg)
{
	List	  **list = arg;
	StageControl *control = palloc0(sizeof(StageControl));
	char	   *stage = SPI_getvalue(row, desc, 2);
	Datum		limit;
	bool		isnull;

	control->system = queue_by_name(SPI_getvalue(row, desc, 1));
	control->paused = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
	limit = SPI_getbinval(row, desc, 4, &isnull);
	control->max_running = isnull ? 0 : DatumGetInt32(limit);
	control->state = UNKNOWN_STATE;
	if (control->system != NULL && *stage != '\0')
		control->state = flow_state(control->system->flow, stage);
	if (control->system != NULL && (*stage == '\0' || control->state != UNKNOWN_STATE))
		*list = lappend(*list, control);
}

/* Read the table, not with the transaction's snapshot, since the cache outlives it. */
static List *
read_controls(void)
{
	List	   *found = NIL;

	statement_execute_with_latest_snapshot_each(&select_controls, &NO_ARGUMENTS, collect_control, &found);
	return found;
}

/* Keep what was read, unless the table has changed meanwhile. */
static void
keep_controls(uint64 before, List *found)
{
	MemoryContext old;
	ListCell   *cell;

	if (controls_context == NULL)
		controls_context = AllocSetContextCreate(TopMemoryContext, "studio_engine stages", ALLOCSET_SMALL_SIZES);
	controls_read = false;
	controls = NIL;
	MemoryContextReset(controls_context);
	old = MemoryContextSwitchTo(controls_context);
	foreach(cell, found)
	{
		StageControl *copy = palloc(sizeof(StageControl));

		*copy = *(StageControl *) lfirst(cell);
		controls = lappend(controls, copy);
	}
	MemoryContextSwitchTo(old);
	controls_changes = before;
	controls_read = true;
}

/* Return the pauses and limits of all systems, as they are now. */
static List *
current_controls(void)
{
	uint64		before;

	/* a transaction that is older than a pause keeps it too */
	AcceptInvalidationMessages();
	if (!controls_read || controls_changes != controls_watch.changes)
	{
		relation_watch(&controls_watch, get_relname_relid("queue_stages", get_namespace_oid("studio_engine", false)));
		before = controls_watch.changes;
		keep_controls(before, read_controls());
	}
	return controls;
}

/* ------------------------------------------------------------------------
 * Claims
 * ------------------------------------------------------------------------ */

/*
 * Raise an error unless each of the names is that of a state with work to do, and there
 * once.  Returns an array by state; NULL for NULL, which means all.
 */
const bool *
stages_check(const QueueSystem *system, ArrayType *names)
{
	const Workflow *flow = system->flow;
	bool	   *wanted;
	Datum	   *stages;
	bool	   *nulls;
	int			n;

	if (names == NULL)
		return NULL;
	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &stages, &nulls, &n);
	if (n == 0)
		refuse_value("p_stages", "at least one stage, or NULL for all");
	wanted = palloc0(flow->nstates * sizeof(bool));
	for (int i = 0; i < n; i++)
	{
		int			state = nulls[i] ? UNKNOWN_STATE : flow_state(flow, TextDatumGetCString(stages[i]));

		if (!queue_is_open(system, state))
			refuse_value("p_stages", "names of stages in which there is work to do");
		if (wanted[state])
			refuse_value("p_stages", "without a name twice");
		wanted[state] = true;
	}
	return wanted;
}

/*
 * Return true if a stage of the system is limited.
 */
bool
stages_are_limited(const QueueSystem *system)
{
	ListCell   *cell;

	foreach(cell, current_controls())
	{
		const StageControl *control = lfirst(cell);

		if (control->system == system && control->max_running > 0)
			return true;
	}
	return false;
}

/* Return how many more jobs may run at a stage, whose lock is held until the commit. */
static int32
count_left(const StageControl *control, bool uncounted)
{
	const char *system = control->system->name;
	const char *stage = control->system->flow->states[control->state];
	char	   *key = psprintf("%s.%s", system, stage);
	Arguments	args = NO_ARGUMENTS;

	advisory_lock(ADVISORY_STAGE, key, strlen(key));
	argument_text(&args, system);
	argument_text(&args, stage);
	argument_add(&args, BoolGetDatum(uncounted), false);
	/* whatever the isolation level: what others have claimed since counts too */
	statement_execute_with_latest_snapshot(&count_running, &args);
	return Max(control->max_running - result_int32(1), 0);
}

/* Return the control of a stage; NULL if there is none. */
static const StageControl *
find_control(const QueueSystem *system, int state)
{
	ListCell   *cell;

	foreach(cell, current_controls())
	{
		const StageControl *control = lfirst(cell);

		if (control->system == system && control->state == state)
			return control;
	}
	return NULL;
}

/* Return true if anything of a system is paused or limited. */
static bool
has_controls(const QueueSystem *system)
{
	ListCell   *cell;

	foreach(cell, current_controls())
	{
		if (((const StageControl *) lfirst(cell))->system == system)
			return true;
	}
	return false;
}

/* Count what may still run at the limited stages that a claim takes jobs from. */
static void
count_budgets(const QueueSystem *system, StageChoice *choice)
{
	StageBudgets *budgets = &choice->budgets;

	budgets->system = system;
	budgets->counted = true;
	budgets->left = palloc(system->flow->nstates * sizeof(int32));
	for (int state = 0; state < system->flow->nstates; state++)
	{
		const StageControl *control = find_control(system, state);

		budgets->left[state] = -1;
		if (control != NULL && control->paused)
			budgets->left[state] = 0;
		else if (control != NULL && control->max_running > 0 && (choice->wanted == NULL || choice->wanted[state]))
			budgets->left[state] = count_left(control, budgets->uncounted);
	}
}

/*
 * Set the stages that a claim takes jobs from: those that it names, without the ones that
 * are paused or at their limits.  Returns false if there are none.
 */
bool
stages_narrow(const QueueSystem *system, StageChoice *choice)
{
	const StageControl *whole = find_control(system, UNKNOWN_STATE);
	Datum	   *names;
	int			n = 0;
	bool		all = choice->wanted == NULL;

	if (whole != NULL && whole->paused)
		return false;
	if (all && !has_controls(system))
		return true;
	names = palloc(system->flow->nstates * sizeof(Datum));
	if (!choice->budgets.counted)
		count_budgets(system, choice);
	for (int state = 0; state < system->flow->nstates; state++)
	{
		if (!queue_is_open(system, state) || (choice->wanted != NULL && !choice->wanted[state]))
			continue;
		if (choice->budgets.left[state] == 0)
			all = false;
		else
			names[n++] = CStringGetTextDatum(system->flow->states[state]);
	}
	if (n == 0)
		return false;
	choice->names = (Datum) 0;
	choice->text = NULL;
	if (!all)
	{
		choice->names = PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
		choice->text = OidOutputFunctionCall(F_ARRAY_OUT, choice->names);
	}
	return true;
}

/*
 * Count a job that a claim has taken at a stage; false if no more may run there.
 */
bool
stage_admit(StageBudgets *budgets, const char *stage)
{
	int			state = budgets->counted ? flow_state(budgets->system->flow, stage) : UNKNOWN_STATE;

	if (state == UNKNOWN_STATE || budgets->left[state] < 0)
		return true;
	if (budgets->left[state] == 0)
		return false;
	budgets->left[state]--;
	return true;
}

/* A job that was admitted at a stage does not run. */
void
stage_return(StageBudgets *budgets, const char *stage)
{
	int			state = budgets->counted ? flow_state(budgets->system->flow, stage) : UNKNOWN_STATE;

	if (state != UNKNOWN_STATE && budgets->left[state] >= 0)
		budgets->left[state]++;
}

/* ------------------------------------------------------------------------
 * Functions for operators
 * ------------------------------------------------------------------------ */

/* Return the arguments of a statement on a stage, or on the whole system without a stage. */
static Arguments
stage_arguments(const QueueSystem *system, const char *stage)
{
	Arguments	args = NO_ARGUMENTS;

	if (stage != NULL && !queue_is_open(system, flow_state(system->flow, stage)))
		refuse_value("p_stage", "the name of a stage in which there is work to do");
	argument_text(&args, system->name);
	argument_text(&args, stage ? stage : "");
	return args;
}

/*
 * pause_queue(p_system text, p_stage text, p_reason text) returns void
 */
Datum
pause_queue(PG_FUNCTION_ARGS)
{
	Arguments	args;
	Caller		caller;

	caller_enter_service(&caller);
	args = stage_arguments(queue_check_name(fcinfo, 0, "p_system"), check_text(fcinfo, 1, "p_stage", 0, MAX_STAGE_LENGTH));
	argument_text(&args, check_optional_text(fcinfo, 2, "p_reason", MAX_PAUSE_REASON_LENGTH));
	statement_execute(&pause_stage, &args);
	caller_leave(&caller);

	PG_RETURN_VOID();
}

/*
 * resume_queue(p_system text, p_stage text) returns boolean
 */
Datum
resume_queue(PG_FUNCTION_ARGS)
{
	const QueueSystem *system;
	Arguments	args;
	Caller		caller;
	bool		resumed;

	caller_enter_service(&caller);
	system = queue_check_name(fcinfo, 0, "p_system");
	args = stage_arguments(system, check_text(fcinfo, 1, "p_stage", 0, MAX_STAGE_LENGTH));
	resumed = statement_execute(&resume_stage, &args) > 0;
	if (resumed)
		announce_jobs(system->name);
	caller_leave(&caller);

	PG_RETURN_BOOL(resumed);
}

/*
 * limit_stage(p_system text, p_stage text, p_max_running integer) returns void
 */
Datum
limit_stage(PG_FUNCTION_ARGS)
{
	const QueueSystem *system;
	Arguments	args;
	Caller		caller;
	const int32 *limit;
	bool		uncounted;

	caller_enter_service(&caller);
	system = queue_check_name(fcinfo, 0, "p_system");
	check_not_null(fcinfo, 1, "p_stage");
	args = stage_arguments(system, check_text(fcinfo, 1, "p_stage", 0, MAX_STAGE_LENGTH));
	limit = check_optional_int32(fcinfo, 2, "p_max_running", 0, PG_INT32_MAX);
	if (limit != NULL && *limit == 0)
		limit = NULL;
	argument_add(&args, limit ? Int32GetDatum(*limit) : (Datum) 0, limit == NULL);
	statement_execute(&set_limit, &args);
	if (limit != NULL)
		(void) running_count_all(system->name, &uncounted);
	announce_jobs(system->name);
	caller_leave(&caller);

	PG_RETURN_VOID();
}

/*
 * get_queue_stages(p_system text) returns setof (stage, paused_at, pause_reason,
 * max_running, running, waiting, delayed, parked, oldest_waiting_at)
 */
Datum
get_queue_stages(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	const QueueSystem *system;
	Datum	   *names;
	int			n = 0;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_service(&caller);
	system = queue_check_name(fcinfo, 0, "p_system");
	names = palloc(system->flow->nstates * sizeof(Datum));
	for (int state = 0; state < system->flow->nstates; state++)
	{
		if (queue_is_open(system, state))
			names[n++] = CStringGetTextDatum(system->flow->states[state]);
	}
	argument_text(&args, system->name);
	argument_add(&args, PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT)), false);
	statement_execute_read_only_each(&select_stages, &args, put_result_row, fcinfo->resultinfo);
	caller_leave(&caller);

	return (Datum) 0;
}
