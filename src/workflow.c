/*
 * workflow.c
 *	  The flows of all tables that have a status: as tables, as a trigger, as
 *	  text and as a diagram.
 *
 * The tables below are the only place where a legal transition is written
 * down.  The trigger enforces them for every UPDATE, whoever makes it.
 *
 * Pitfall: the labels come from the enum, where an administrator may have
 * added some.  A label that is not in our tables cannot be entered; a row that
 * has one may stay in it.
 *
 * Locks: the trigger takes none.  It runs under the lock of its row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "restore.h"
#include "statements.h"
#include "triggers.h"
#include "workflow.h"

PG_FUNCTION_INFO_V1(enforce_workflow);
PG_FUNCTION_INFO_V1(workflow_transitions);
PG_FUNCTION_INFO_V1(workflow_diagram);

#define UNKNOWN_STATE (-1)

/* when a transition is legal */
typedef enum Condition
{
	ALWAYS,
	MANUAL_TRANSCRIPT,			/* the project brings its own script */
	RETRY						/* retry_job() only */
} Condition;

typedef struct Transition
{
	int			from;
	int			to;
	Condition	condition;
} Transition;

typedef struct Workflow
{
	const char *table;			/* also the name of the workflow */
	const char *column;
	const char *job_column;		/* names the job that retry_job() works on */
	const char *constraint;
	const char *const *states;	/* the first is where a row starts */
	int			nstates;
	const Transition *transitions;
	int			ntransitions;
	void		(*stamp) (RowEdit *edit, HeapTuple old, int from, int to);
} Workflow;

const char *const job_status_names[JOB_STATUSES] = {
	"PENDING", "QUEUED", "SCRIPTING", "VOICE_GEN", "ALIGNMENT", "VISUAL_PLAN",
	"IMAGE_GEN", "TIMELINE", "RENDERING", "PACKAGING", "READY", "FAILED"
};

static const Transition job_transitions[] = {
	{JOB_PENDING, JOB_QUEUED, ALWAYS},
	{JOB_PENDING, JOB_FAILED, ALWAYS},
	{JOB_QUEUED, JOB_SCRIPTING, ALWAYS},
	{JOB_QUEUED, JOB_VOICE_GEN, MANUAL_TRANSCRIPT},
	{JOB_QUEUED, JOB_FAILED, ALWAYS},
	{JOB_SCRIPTING, JOB_VOICE_GEN, ALWAYS},
	{JOB_SCRIPTING, JOB_FAILED, ALWAYS},
	{JOB_VOICE_GEN, JOB_ALIGNMENT, ALWAYS},
	{JOB_VOICE_GEN, JOB_FAILED, ALWAYS},
	{JOB_ALIGNMENT, JOB_VISUAL_PLAN, ALWAYS},
	{JOB_ALIGNMENT, JOB_FAILED, ALWAYS},
	{JOB_VISUAL_PLAN, JOB_IMAGE_GEN, ALWAYS},
	{JOB_VISUAL_PLAN, JOB_FAILED, ALWAYS},
	{JOB_IMAGE_GEN, JOB_TIMELINE, ALWAYS},
	{JOB_IMAGE_GEN, JOB_FAILED, ALWAYS},
	{JOB_TIMELINE, JOB_RENDERING, ALWAYS},
	{JOB_TIMELINE, JOB_FAILED, ALWAYS},
	{JOB_RENDERING, JOB_PACKAGING, ALWAYS},
	{JOB_RENDERING, JOB_FAILED, ALWAYS},
	{JOB_PACKAGING, JOB_READY, ALWAYS},
	{JOB_PACKAGING, JOB_FAILED, ALWAYS},
	{JOB_FAILED, JOB_QUEUED, RETRY},
};

const char *const step_state_names[STEP_STATES] = {
	"pending", "started", "succeeded", "failed"
};

static const Transition step_transitions[] = {
	{STEP_PENDING, STEP_STARTED, ALWAYS},
	{STEP_STARTED, STEP_SUCCEEDED, ALWAYS},
	{STEP_STARTED, STEP_FAILED, ALWAYS},
	{STEP_FAILED, STEP_STARTED, ALWAYS},
	{STEP_STARTED, STEP_PENDING, RETRY},
	{STEP_SUCCEEDED, STEP_PENDING, RETRY},
	{STEP_FAILED, STEP_PENDING, RETRY},
};

static void stamp_job(RowEdit *edit, HeapTuple old, int from, int to);
static void stamp_step(RowEdit *edit, HeapTuple old, int from, int to);

static const Workflow workflows[] = {
	{"jobs", "status", "id", "jobs_status_transition",
		job_status_names, JOB_STATUSES,
	job_transitions, lengthof(job_transitions), stamp_job},
	{"job_steps", "state", "job_id", "job_steps_status_transition",
		step_state_names, STEP_STATES,
	step_transitions, lengthof(step_transitions), stamp_step},
};

static Statement select_manual_transcript = {
	.text = "SELECT p.transcript_mode = 'manual' FROM @extschema@.projects p WHERE p.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* the job that retry_job() is working on */
static RetryWindow retry = {.open = false};

/*
 * Open the transitions of retry_job() for one job and its steps.  Returns what
 * was open before; the caller puts it back, also on error.
 */
RetryWindow
workflow_begin_retry(const pg_uuid_t *job_id)
{
	RetryWindow before = retry;

	retry.job_id = *job_id;
	retry.open = true;
	return before;
}

void
workflow_end_retry(RetryWindow before)
{
	retry = before;
}

static int
state_by_name(const Workflow *flow, const char *name)
{
	for (int i = 0; i < flow->nstates; i++)
	{
		if (strcmp(flow->states[i], name) == 0)
			return i;
	}
	return UNKNOWN_STATE;
}

JobStatus
job_status_of(const char *name)
{
	return (JobStatus) state_by_name(&workflows[0], name);
}

static const Workflow *
workflow_by_name(const char *name)
{
	for (int i = 0; i < (int) lengthof(workflows); i++)
	{
		if (strcmp(workflows[i].table, name) == 0)
			return &workflows[i];
	}
	return NULL;
}

static const char *
condition_function(Condition condition)
{
	switch (condition)
	{
		case ALWAYS:
		case MANUAL_TRANSCRIPT:
			return NULL;
		case RETRY:
			return "retry_job";
	}
	return NULL;				/* not reached */
}

static const char *
condition_text(Condition condition)
{
	switch (condition)
	{
		case ALWAYS:
		case RETRY:
			return NULL;
		case MANUAL_TRANSCRIPT:
			return "transcript_mode = manual";
	}
	return NULL;				/* not reached */
}

/* What else a transition needs, for people; NULL for nothing. */
static const char *
condition_label(Condition condition)
{
	const char *function = condition_function(condition);

	return function ? function : condition_text(condition);
}

/* The states that can follow, those with a condition named with it. */
static char *
allowed_from(const Workflow *flow, int from)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < flow->ntransitions; i++)
	{
		const Transition *t = &flow->transitions[i];
		const char *label = condition_label(t->condition);

		if (t->from != from)
			continue;
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", flow->states[t->to]);
		if (label)
			appendStringInfo(&buf, " (%s)", label);
	}
	return buf.len > 0 ? buf.data : "none";
}

/* rel is NULL where no row is being written */
pg_noreturn static void
refuse_transition(const Workflow *flow, Relation rel, const char *from, const char *to, const char *allowed)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("illegal status transition"),
			 errdetail("%s: from %s to %s; allowed: %s.", flow->table,
					   from ? from : "(null)", to ? to : "(null)", allowed),
			 errhint("workflow_transitions() lists the legal transitions and the functions that some of them are left to."),
			 rel ? errtableconstraint(rel, flow->constraint) :
			 err_generic_string(PG_DIAG_CONSTRAINT_NAME, flow->constraint)));
}

/*
 * Refuse to move a job, where no UPDATE is made that the trigger would refuse.
 */
void
workflow_refuse_job(JobStatus from, JobStatus to)
{
	const Workflow *flow = &workflows[0];

	refuse_transition(flow, NULL, flow->states[from], flow->states[to], allowed_from(flow, from));
}

/* Does the project of this job bring its own script? */
static bool
has_manual_transcript(TupleDesc desc, HeapTuple job)
{
	pg_uuid_t	project_id = row_get_uuid(desc, job, "project_id");
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	bool		manual;

	argument_uuid(&args, &project_id);
	caller_enter_trigger(&caller);
	manual = statement_run(&select_manual_transcript, &args) > 0 &&
		!result_isnull(1) && result_bool(1);
	caller_leave(&caller);
	return manual;
}

static bool
condition_holds(const Workflow *flow, Condition condition, TupleDesc desc, HeapTuple row)
{
	pg_uuid_t	job_id;

	switch (condition)
	{
		case ALWAYS:
			return true;
		case MANUAL_TRANSCRIPT:
			return has_manual_transcript(desc, row);
		case RETRY:
			job_id = row_get_uuid(desc, row, flow->job_column);
			return retry.open && uuid_equal(&job_id, &retry.job_id);
	}
	return false;				/* not reached */
}

static bool
is_legal(const Workflow *flow, int from, int to, TupleDesc desc, HeapTuple row)
{
	for (int i = 0; i < flow->ntransitions; i++)
	{
		const Transition *t = &flow->transitions[i];

		if (t->from == from && t->to == to)
			return condition_holds(flow, t->condition, desc, row);
	}
	return false;
}

/*
 * enforce_workflow(workflow) returns trigger: BEFORE INSERT OR UPDATE.
 */
Datum
enforce_workflow(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 1);
	const Workflow *flow = workflow_by_name(data->tg_trigger->tgargs[0]);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	RowEdit		edit = {.desc = desc,.row = trigger_new_row(data)};
	HeapTuple	old = NULL;
	char	   *label,
			   *old_label = NULL;
	int			from,
				to;

	if (restoring())
		return PointerGetDatum(edit.row);
	if (flow == NULL)
		refuse_value("the argument of the trigger", "the name of a workflow");

	label = row_get_enum(desc, edit.row, flow->column);
	to = label ? state_by_name(flow, label) : UNKNOWN_STATE;
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
	{
		from = UNKNOWN_STATE;
		if (to == UNKNOWN_STATE || (to != 0 && !caller_is_service()))
			refuse_transition(flow, data->tg_relation, "the start", label, flow->states[0]);
	}
	else
	{
		old = data->tg_trigtuple;
		old_label = row_get_enum(desc, old, flow->column);
		if (label == old_label || (label && old_label && strcmp(label, old_label) == 0))
			from = to;
		else
		{
			from = old_label ? state_by_name(flow, old_label) : UNKNOWN_STATE;
			if (!is_legal(flow, from, to, desc, edit.row))
				refuse_transition(flow, data->tg_relation, old_label, label, allowed_from(flow, from));
		}
	}

	flow->stamp(&edit, old, from, to);
	return PointerGetDatum(row_edit_apply(&edit));
}

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

static void
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

static void
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

/* One row of workflow_transitions(). */
static void
put_transition(ReturnSetInfo *rsinfo, const Workflow *flow, const Transition *t)
{
	const char *columns[] = {
		flow->table, flow->states[t->from], flow->states[t->to],
		condition_function(t->condition), condition_text(t->condition)
	};
	Datum		values[lengthof(columns)];
	bool		nulls[lengthof(columns)];

	for (int i = 0; i < (int) lengthof(columns); i++)
	{
		nulls[i] = columns[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(columns[i]);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * workflow_transitions() returns setof (workflow, from_status, to_status, via,
 * condition): every legal transition.
 */
Datum
workflow_transitions(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);

	for (int w = 0; w < (int) lengthof(workflows); w++)
	{
		for (int i = 0; i < workflows[w].ntransitions; i++)
			put_transition((ReturnSetInfo *) fcinfo->resultinfo, &workflows[w],
						   &workflows[w].transitions[i]);
	}
	return (Datum) 0;
}

static bool
is_terminal(const Workflow *flow, int state)
{
	for (int i = 0; i < flow->ntransitions; i++)
	{
		if (flow->transitions[i].from == state && flow->transitions[i].condition != RETRY)
			return false;
	}
	return true;
}

/*
 * workflow_diagram(p_workflow text) returns text: Mermaid stateDiagram-v2.
 */
Datum
workflow_diagram(PG_FUNCTION_ARGS)
{
	const Workflow *flow;
	StringInfoData buf;

	check_not_null(fcinfo, 0, "p_workflow");
	flow = workflow_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (flow == NULL)
		refuse_value("p_workflow", "the name of a workflow, see workflow_transitions()");

	initStringInfo(&buf);
	appendStringInfo(&buf, "stateDiagram-v2\n    [*] --> %s\n", flow->states[0]);
	for (int i = 0; i < flow->ntransitions; i++)
	{
		const Transition *t = &flow->transitions[i];
		const char *label = condition_label(t->condition);

		appendStringInfo(&buf, "    %s --> %s%s%s\n", flow->states[t->from], flow->states[t->to],
						 label ? ": " : "", label ? label : "");
	}
	for (int i = 0; i < flow->nstates; i++)
	{
		if (is_terminal(flow, i))
			appendStringInfo(&buf, "    %s --> [*]\n", flow->states[i]);
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}
