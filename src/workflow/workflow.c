/*
 * workflow.c
 *	  The flows of flows.c: the trigger that enforces them, and functions that
 *	  return them as rows and as a diagram.
 *
 * The trigger enforces them for every INSERT and UPDATE, by any role.
 *
 * Pitfall: an administrator may have added labels to an enum, or changed a
 * CHECK.  A row cannot change to a label that is not in statuses.c; a row that
 * has one may keep it.
 *
 * Lock order: the trigger takes no locks.  It runs under the lock of its row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "restore.h"
#include "statements.h"
#include "triggers.h"
#include "workflow.h"

PG_FUNCTION_INFO_V1(enforce_workflow);
PG_FUNCTION_INFO_V1(workflow_transitions);
PG_FUNCTION_INFO_V1(workflow_diagram);

static Statement select_manual_transcript = {
	.force_index_plan = true,
	.text = "SELECT p.transcript_mode = 'manual' FROM @extschema@.projects p WHERE p.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* the id of the row that a retry function is retrying; NULL for none */
static const char *retried_row = NULL;

/*
 * Call work(arg).  Meanwhile the RETRY transitions are legal for the row with
 * this id, and for rows that belong to it and have the same id.
 */
void
workflow_retry(const char *row_id, void (*work) (void *arg), void *arg)
{
	const char *before = retried_row;

	retried_row = row_id;
	PG_TRY();
	{
		work(arg);
	}
	PG_FINALLY();
	{
		retried_row = before;
	}
	PG_END_TRY();
}

/* Return the function that a transition is reserved for; NULL for none. */
static const char *
condition_function(const Workflow *flow, Condition condition)
{
	return condition == RETRY ? flow->retry_function : NULL;
}

/* Return a condition as text; NULL for none. */
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

/* Return what a transition requires, for messages and diagrams; NULL for nothing. */
static const char *
condition_label(const Workflow *flow, Condition condition)
{
	const char *function = condition_function(flow, condition);

	return function ? function : condition_text(condition);
}

/* Return the list of states that may follow, each with its condition, for messages. */
static char *
allowed_from(const Workflow *flow, int from)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < flow->ntransitions; i++)
	{
		const Transition *t = &flow->transitions[i];
		const char *label = condition_label(flow, t->condition);

		if (t->from != from)
			continue;
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", flow->states[t->to]);
		if (label)
			appendStringInfo(&buf, " (%s)", label);
	}
	return buf.len > 0 ? buf.data : "none";
}

/* Raise the error for an illegal transition; rel is NULL if no row is being written. */
pg_noreturn static void
refuse_transition(const Workflow *flow, Relation rel, const char *from, const char *to, const char *allowed)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("illegal status transition"),
			 errdetail("%s: from %s to %s; allowed: %s.", flow->name,
					   from ? from : "(null)", to ? to : "(null)", allowed),
			 errhint("workflow_transitions() lists the legal transitions and the functions that some of them are left to."),
			 rel ? errtableconstraint(rel, flow->constraint) :
			 err_generic_string(PG_DIAG_CONSTRAINT_NAME, flow->constraint)));
}

/*
 * Raise the error that the trigger would raise for this transition.  It is for
 * callers that make no UPDATE.  from may be UNKNOWN_STATE.
 */
void
workflow_refuse(const Workflow *flow, int from, int to)
{
	refuse_transition(flow, NULL, from == UNKNOWN_STATE ? NULL : flow->states[from], flow->states[to],
					  allowed_from(flow, from));
}

/* Return true if the project of this job has its own script. */
static bool
has_manual_transcript(TupleDesc desc, HeapTuple job)
{
	pg_uuid_t	project_id = row_get_uuid(desc, job, "project_id");
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	bool		manual;

	argument_uuid(&args, &project_id);
	caller_enter_trigger(&caller);
	manual = statement_execute(&select_manual_transcript, &args) > 0 &&
		!result_isnull(1) && result_bool(1);
	caller_leave(&caller);
	return manual;
}

/* Return true if a retry function is retrying this row, or the one it belongs to. */
static bool
is_being_retried(const Workflow *flow, TupleDesc desc, HeapTuple row)
{
	const char *row_id = row_get_id(desc, row, flow->id_column);

	return retried_row != NULL && row_id != NULL && strcmp(row_id, retried_row) == 0;
}

/* Return true if a condition holds for the row. */
static bool
condition_holds(const Workflow *flow, Condition condition, TupleDesc desc, HeapTuple row)
{
	switch (condition)
	{
		case ALWAYS:
			return true;
		case MANUAL_TRANSCRIPT:
			return has_manual_transcript(desc, row);
		case RETRY:
			return is_being_retried(flow, desc, row);
	}
	return false;				/* not reached */
}

/* Return true if the flow has this transition, and its condition holds. */
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
 * Return the state of a new row; raise an error unless it may be inserted in that
 * state.  Services may insert rows in any state of the flow.  What a user upserts
 * may be a row that is there, and moved on long ago.
 */
static int
check_first_state(const Workflow *flow, Relation rel, HeapTuple new)
{
	char	   *label = row_get_label(RelationGetDescr(rel), new, flow->column);
	int			to = flow_state(flow, label);

	if (to == UNKNOWN_STATE || (to != 0 && !flow->users_upsert && !caller_is_service()))
		refuse_transition(flow, rel, "the start", label, flow->states[0]);
	return to;
}

/*
 * Raise an error unless a row is in the initial state.  Call it in an AFTER INSERT
 * trigger, for a user.
 */
void
workflow_require_initial_state(const Workflow *flow, Relation rel, HeapTuple new)
{
	char	   *label = row_get_label(RelationGetDescr(rel), new, flow->column);

	if (flow_state(flow, label) != 0)
		refuse_transition(flow, rel, "the start", label, flow->states[0]);
}

/*
 * Raise an error if the transition is illegal; set *from and *to.  A state may
 * always stay unchanged, even an unknown one.
 */
static void
check_transition(const Workflow *flow, Relation rel, HeapTuple old, HeapTuple new, int *from, int *to)
{
	TupleDesc	desc = RelationGetDescr(rel);
	char	   *label = row_get_label(desc, new, flow->column);
	char	   *old_label;

	*to = *from = flow_state(flow, label);
	if (row_same_value(desc, old, new, flow->column))
		return;
	old_label = row_get_label(desc, old, flow->column);
	if (label != NULL && old_label != NULL && strcmp(label, old_label) == 0)
		return;
	*from = flow_state(flow, old_label);
	if (!is_legal(flow, *from, *to, desc, new))
		refuse_transition(flow, rel, old_label, label, allowed_from(flow, *from));
}

/*
 * Return the row to store: stamped if the transition is legal; raise an error
 * otherwise.  old is NULL for an INSERT.
 */
static HeapTuple
apply_workflow(const Workflow *flow, Relation rel, HeapTuple old, HeapTuple new)
{
	RowEdit		edit = {.desc = RelationGetDescr(rel),.row = new};
	int			from = UNKNOWN_STATE,
				to;

	if (old == NULL)
		to = check_first_state(flow, rel, new);
	else
		check_transition(flow, rel, old, new, &from, &to);
	flow->stamp(&edit, old, from, to);
	return row_edit_apply(&edit);
}

/*
 * The callback that replaces enforce_workflow() for an UPDATE in the fast path.
 */
void
workflow_enforce_change(RowChange *change, const void *flow)
{
	change->new = apply_workflow(flow, change->rel, change->old, change->new);
}

/*
 * enforce_workflow(workflow) returns trigger: BEFORE INSERT OR UPDATE.
 */
Datum
enforce_workflow(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 1);
	const Workflow *flow = flow_by_name(data->tg_trigger->tgargs[0]);
	HeapTuple	old = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigtuple : NULL;

	if (restoring())
		return PointerGetDatum(trigger_new_row(data));
	if (flow == NULL)
		refuse_value("the argument of the trigger", "the name of a workflow");
	return PointerGetDatum(apply_workflow(flow, data->tg_relation, old, trigger_new_row(data)));
}

/* Add a row to the result of workflow_transitions(). */
static void
put_transition(ReturnSetInfo *rsinfo, const Workflow *flow, const Transition *t)
{
	const char *columns[] = {
		flow->name, flow->states[t->from], flow->states[t->to],
		condition_function(flow, t->condition), condition_text(t->condition)
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
 * condition): all legal transitions.
 */
Datum
workflow_transitions(PG_FUNCTION_ARGS)
{
	const Workflow *flow;

	InitMaterializedSRF(fcinfo, 0);

	for (int f = 0; (flow = flow_at(f)) != NULL; f++)
	{
		for (int i = 0; i < flow->ntransitions; i++)
			put_transition((ReturnSetInfo *) fcinfo->resultinfo, flow, &flow->transitions[i]);
	}
	return (Datum) 0;
}

/*
 * workflow_diagram(p_workflow text) returns text: a Mermaid stateDiagram-v2.
 */
Datum
workflow_diagram(PG_FUNCTION_ARGS)
{
	const Workflow *flow;
	StringInfoData buf;

	check_not_null(fcinfo, 0, "p_workflow");
	flow = flow_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (flow == NULL)
		refuse_value("p_workflow", "the name of a workflow, see workflow_transitions()");

	initStringInfo(&buf);
	appendStringInfo(&buf, "stateDiagram-v2\n    [*] --> %s\n", flow->states[0]);
	for (int i = 0; i < flow->ntransitions; i++)
	{
		const Transition *t = &flow->transitions[i];
		const char *label = condition_label(flow, t->condition);

		appendStringInfo(&buf, "    %s --> %s%s%s\n", flow->states[t->from], flow->states[t->to],
						 label ? ": " : "", label ? label : "");
	}
	for (int i = 0; i < flow->nstates; i++)
	{
		if (flow_is_terminal(flow, i))
			appendStringInfo(&buf, "    %s --> [*]\n", flow->states[i]);
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}
