/*
 * flows.c
 *	  The states and the legal transitions of every table that has a status.
 *
 * This is the only place where a legal transition is written down.  A new flow
 * is a list of states, a list of transitions and a line in the list of flows.
 *
 * Pitfall: states of an enum type stand in the order of the type, and the C
 * enums in flows.h in the order of the lists.
 */
#include "postgres.h"

#include "flows.h"
#include "stamps.h"

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

const char *const studio_status_names[STUDIO_STATUSES] = {
	"NEW", "TRANSCRIBING", "ENRICHING", "REFINING", "COMPLETE", "FAILED"
};

static const Transition studio_transitions[] = {
	{STUDIO_NEW, STUDIO_TRANSCRIBING, ALWAYS},
	{STUDIO_NEW, STUDIO_FAILED, ALWAYS},
	{STUDIO_TRANSCRIBING, STUDIO_ENRICHING, ALWAYS},
	{STUDIO_TRANSCRIBING, STUDIO_FAILED, ALWAYS},
	{STUDIO_ENRICHING, STUDIO_REFINING, ALWAYS},
	{STUDIO_ENRICHING, STUDIO_COMPLETE, ALWAYS},
	{STUDIO_ENRICHING, STUDIO_FAILED, ALWAYS},
	{STUDIO_REFINING, STUDIO_COMPLETE, ALWAYS},
	{STUDIO_REFINING, STUDIO_FAILED, ALWAYS},
	{STUDIO_FAILED, STUDIO_NEW, RETRY},
};

const char *const run_status_names[RUN_STATUSES] = {
	"pending", "running", "completed", "failed", "cancelled"
};

static const Transition run_transitions[] = {
	{RUN_PENDING, RUN_RUNNING, ALWAYS},
	{RUN_PENDING, RUN_FAILED, ALWAYS},
	{RUN_PENDING, RUN_CANCELLED, ALWAYS},
	{RUN_RUNNING, RUN_COMPLETED, ALWAYS},
	{RUN_RUNNING, RUN_FAILED, ALWAYS},
	{RUN_RUNNING, RUN_CANCELLED, ALWAYS},
	{RUN_FAILED, RUN_PENDING, RETRY},
};

const Workflow job_flow = {
	"jobs", "status", "id", "retry_job", "jobs_status_transition",
	job_status_names, JOB_STATUSES,
	job_transitions, lengthof(job_transitions), stamp_job
};

const Workflow step_flow = {
	"job_steps", "state", "job_id", "retry_job", "job_steps_status_transition",
	step_state_names, STEP_STATES,
	step_transitions, lengthof(step_transitions), stamp_step
};

const Workflow studio_flow = {
	"studio_jobs", "status", "job_id", "retry_studio_job", "studio_jobs_status_transition",
	studio_status_names, STUDIO_STATUSES,
	studio_transitions, lengthof(studio_transitions), stamp_studio_job
};

const Workflow run_flow = {
	"pipeline.jobs", "status", "run_id", "pipeline.retry_job", "jobs_status_transition",
	run_status_names, RUN_STATUSES,
	run_transitions, lengthof(run_transitions), stamp_run
};

static const Workflow *const flows[] = {&job_flow, &step_flow, &studio_flow, &run_flow};

/* The flows in order; NULL after the last. */
const Workflow *
flow_at(int position)
{
	return position < (int) lengthof(flows) ? flows[position] : NULL;
}

const Workflow *
flow_by_name(const char *name)
{
	for (int i = 0; i < (int) lengthof(flows); i++)
	{
		if (strcmp(flows[i]->name, name) == 0)
			return flows[i];
	}
	return NULL;
}

int
flow_state(const Workflow *flow, const char *state)
{
	for (int i = 0; i < flow->nstates; i++)
	{
		if (strcmp(flow->states[i], state) == 0)
			return i;
	}
	return UNKNOWN_STATE;
}

/* Is a state left by a retry function only, or not at all? */
bool
flow_is_terminal(const Workflow *flow, int state)
{
	for (int i = 0; i < flow->ntransitions; i++)
	{
		if (flow->transitions[i].from == state && flow->transitions[i].condition != RETRY)
			return false;
	}
	return true;
}
