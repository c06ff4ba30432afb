/*
 * flows.c
 *	  The legal transitions of every table that has a status.
 *
 * This is the only place that defines legal transitions.  A new flow needs a
 * list of states in statuses.c, a list of transitions, a Workflow, and a line in
 * flows[].
 *
 * Pitfall: a state that only RETRY transitions leave counts as terminal.
 */
#include "postgres.h"

#include "flows.h"
#include "stamps.h"

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

static const Transition step_transitions[] = {
	{STEP_PENDING, STEP_STARTED, ALWAYS},
	{STEP_STARTED, STEP_SUCCEEDED, ALWAYS},
	{STEP_STARTED, STEP_FAILED, ALWAYS},
	{STEP_FAILED, STEP_STARTED, ALWAYS},
	{STEP_STARTED, STEP_PENDING, RETRY},
	{STEP_SUCCEEDED, STEP_PENDING, RETRY},
	{STEP_FAILED, STEP_PENDING, RETRY},
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

static const Transition run_transitions[] = {
	{RUN_PENDING, RUN_RUNNING, ALWAYS},
	{RUN_PENDING, RUN_FAILED, ALWAYS},
	{RUN_PENDING, RUN_CANCELLED, ALWAYS},
	{RUN_RUNNING, RUN_COMPLETED, ALWAYS},
	{RUN_RUNNING, RUN_FAILED, ALWAYS},
	{RUN_RUNNING, RUN_CANCELLED, ALWAYS},
	{RUN_FAILED, RUN_PENDING, RETRY},
};

static const Transition content_transitions[] = {
	{CONTENT_DRAFT, CONTENT_QUALITY_CHECK, ALWAYS},
	{CONTENT_QUALITY_CHECK, CONTENT_APPROVED, ALWAYS},
	{CONTENT_QUALITY_CHECK, CONTENT_REVISION, ALWAYS},
	{CONTENT_QUALITY_CHECK, CONTENT_FAILED, ALWAYS},
	{CONTENT_REVISION, CONTENT_QUALITY_CHECK, ALWAYS},
	{CONTENT_APPROVED, CONTENT_REVISION, ALWAYS},
	{CONTENT_FAILED, CONTENT_DRAFT, ALWAYS},
};

static const Transition plan_transitions[] = {
	{PLAN_DRAFT, PLAN_ACTIVE, ALWAYS},
	{PLAN_DRAFT, PLAN_FAILED, ALWAYS},
	{PLAN_ACTIVE, PLAN_COMPLETED, ALWAYS},
	{PLAN_ACTIVE, PLAN_FAILED, ALWAYS},
	{PLAN_ACTIVE, PLAN_DRAFT, ALWAYS},
	{PLAN_FAILED, PLAN_DRAFT, ALWAYS},
};

static const Transition research_transitions[] = {
	{RESEARCH_PENDING, RESEARCH_IN_PROGRESS, ALWAYS},
	{RESEARCH_PENDING, RESEARCH_COMPLETED, ALWAYS},
	{RESEARCH_PENDING, RESEARCH_FAILED, ALWAYS},
	{RESEARCH_IN_PROGRESS, RESEARCH_COMPLETED, ALWAYS},
	{RESEARCH_IN_PROGRESS, RESEARCH_FAILED, ALWAYS},
	{RESEARCH_FAILED, RESEARCH_PENDING, ALWAYS},
};

static const Transition session_transitions[] = {
	{SESSION_STARTED, SESSION_PROCESSING, ALWAYS},
	{SESSION_STARTED, SESSION_COMPLETED, ALWAYS},
	{SESSION_STARTED, SESSION_FAILED, ALWAYS},
	{SESSION_PROCESSING, SESSION_COMPLETED, ALWAYS},
	{SESSION_PROCESSING, SESSION_FAILED, ALWAYS},
	{SESSION_FAILED, SESSION_STARTED, ALWAYS},
};

static const Transition asset_transitions[] = {
	{ASSET_GENERATED, ASSET_PROCESSED, ALWAYS},
	{ASSET_GENERATED, ASSET_FAILED, ALWAYS},
	{ASSET_PROCESSED, ASSET_FAILED, ALWAYS},
	{ASSET_FAILED, ASSET_GENERATED, ALWAYS},
};

static const Transition product_transitions[] = {
	{PRODUCT_WAITING, PRODUCT_IN_WORK, ALWAYS},
	{PRODUCT_WAITING, PRODUCT_COMPLETED, ALWAYS},
	{PRODUCT_WAITING, PRODUCT_FAILED, ALWAYS},
	{PRODUCT_IN_WORK, PRODUCT_COMPLETED, ALWAYS},
	{PRODUCT_IN_WORK, PRODUCT_FAILED, ALWAYS},
	{PRODUCT_FAILED, PRODUCT_WAITING, ALWAYS},
};

static const Transition render_transitions[] = {
	{RENDER_QUEUED, RENDER_RENDERING, ALWAYS},
	{RENDER_QUEUED, RENDER_FAILED, ALWAYS},
	{RENDER_QUEUED, RENDER_CANCELLED, ALWAYS},
	{RENDER_RENDERING, RENDER_COMPLETED, ALWAYS},
	{RENDER_RENDERING, RENDER_FAILED, ALWAYS},
	{RENDER_RENDERING, RENDER_CANCELLED, ALWAYS},
	{RENDER_RENDERING, RENDER_QUEUED, ALWAYS},
	{RENDER_FAILED, RENDER_QUEUED, RETRY},
};

const Workflow job_flow = {
	.name = "jobs",
	.column = "status",
	.id_column = "id",
	.retry_function = "retry_job",
	.constraint = "jobs_status_transition",
	.states = job_status_names,
	.nstates = JOB_STATUSES,
	.transitions = job_transitions,
	.ntransitions = lengthof(job_transitions),
	.stamp = stamp_job
};

static const Workflow step_flow = {
	.name = "job_steps",
	.column = "state",
	.id_column = "job_id",
	.retry_function = "retry_job",
	.constraint = "job_steps_status_transition",
	.states = step_state_names,
	.nstates = STEP_STATES,
	.transitions = step_transitions,
	.ntransitions = lengthof(step_transitions),
	.stamp = stamp_step
};

const Workflow studio_flow = {
	.name = "studio_jobs",
	.column = "status",
	.id_column = "job_id",
	.retry_function = "retry_studio_job",
	.constraint = "studio_jobs_status_transition",
	.states = studio_status_names,
	.nstates = STUDIO_STATUSES,
	.transitions = studio_transitions,
	.ntransitions = lengthof(studio_transitions),
	.stamp = stamp_studio_job,
	.users_upsert = true
};

const Workflow run_flow = {
	.name = "pipeline.jobs",
	.column = "status",
	.id_column = "run_id",
	.retry_function = "pipeline.retry_job",
	.constraint = "jobs_status_transition",
	.states = run_status_names,
	.nstates = RUN_STATUSES,
	.transitions = run_transitions,
	.ntransitions = lengthof(run_transitions),
	.stamp = stamp_run
};

const Workflow content_flow = {
	.name = "cm_module_content",
	.column = "status",
	.id_column = "content_id",
	.constraint = "cm_module_content_status_transition",
	.states = content_status_names,
	.nstates = CONTENT_STATUSES,
	.transitions = content_transitions,
	.ntransitions = lengthof(content_transitions),
	.stamp = stamp_content
};

static const Workflow plan_flow = {
	.name = "cm_course_plans",
	.column = "status",
	.id_column = "plan_id",
	.constraint = "cm_course_plans_status_transition",
	.states = plan_status_names,
	.nstates = PLAN_STATUSES,
	.transitions = plan_transitions,
	.ntransitions = lengthof(plan_transitions),
	.stamp = stamp_none
};

static const Workflow research_flow = {
	.name = "cm_research_results",
	.column = "status",
	.id_column = "research_id",
	.constraint = "cm_research_results_status_transition",
	.states = research_status_names,
	.nstates = RESEARCH_STATUSES,
	.transitions = research_transitions,
	.ntransitions = lengthof(research_transitions),
	.stamp = stamp_none
};

static const Workflow enhancement_flow = {
	.name = "cm_enhancement_sessions",
	.column = "status",
	.id_column = "session_id",
	.constraint = "cm_enhancement_sessions_status_transition",
	.states = session_status_names,
	.nstates = SESSION_STATUSES,
	.transitions = session_transitions,
	.ntransitions = lengthof(session_transitions),
	.stamp = stamp_enhancement
};

static const Workflow session_flow = {
	.name = "mm_multimedia_sessions",
	.column = "status",
	.id_column = "session_id",
	.constraint = "mm_multimedia_sessions_status_transition",
	.states = session_status_names,
	.nstates = SESSION_STATUSES,
	.transitions = session_transitions,
	.ntransitions = lengthof(session_transitions),
	.stamp = stamp_session
};

static const Workflow asset_flow = {
	.name = "mm_multimedia_assets",
	.column = "status",
	.id_column = "asset_id",
	.constraint = "mm_multimedia_assets_status_transition",
	.states = asset_status_names,
	.nstates = ASSET_STATUSES,
	.transitions = asset_transitions,
	.ntransitions = lengthof(asset_transitions),
	.stamp = stamp_none
};

static const Workflow narration_flow = {
	.name = "mm_audio_narrations",
	.column = "status",
	.id_column = "narration_id",
	.constraint = "mm_audio_narrations_status_transition",
	.states = narration_status_names,
	.nstates = PRODUCT_STATUSES,
	.transitions = product_transitions,
	.ntransitions = lengthof(product_transitions),
	.stamp = stamp_narration
};

static const Workflow presentation_flow = {
	.name = "mm_slide_presentations",
	.column = "status",
	.id_column = "presentation_id",
	.constraint = "mm_slide_presentations_status_transition",
	.states = presentation_status_names,
	.nstates = PRODUCT_STATUSES,
	.transitions = product_transitions,
	.ntransitions = lengthof(product_transitions),
	.stamp = stamp_none
};

static const Workflow script_flow = {
	.name = "mm_script_generations",
	.column = "status",
	.id_column = "script_id",
	.constraint = "mm_script_generations_status_transition",
	.states = script_status_names,
	.nstates = PRODUCT_STATUSES,
	.transitions = product_transitions,
	.ntransitions = lengthof(product_transitions),
	.stamp = stamp_script
};

const Workflow render_flow = {
	.name = "mm_rendering_queue",
	.column = "status",
	.id_column = "render_id",
	.retry_function = "retry_rendering",
	.constraint = "mm_rendering_queue_status_transition",
	.states = render_status_names,
	.nstates = RENDER_STATUSES,
	.transitions = render_transitions,
	.ntransitions = lengthof(render_transitions),
	.stamp = stamp_render
};

static const Workflow *const flows[] = {
	&job_flow, &step_flow, &studio_flow, &run_flow,
	&content_flow, &plan_flow, &research_flow, &enhancement_flow,
	&session_flow, &asset_flow, &narration_flow, &presentation_flow, &script_flow, &render_flow
};

/*
 * Return the flow at this index; NULL after the last.
 */
const Workflow *
flow_at(int position)
{
	return position < (int) lengthof(flows) ? flows[position] : NULL;
}

/*
 * Return the flow of the table with this name; NULL if there is none.
 */
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

/*
 * Return the state with this label; UNKNOWN_STATE if it is NULL or not in the
 * list.
 */
int
flow_state(const Workflow *flow, const char *state)
{
	if (state == NULL)
		return UNKNOWN_STATE;
	for (int i = 0; i < flow->nstates; i++)
	{
		if (strcmp(flow->states[i], state) == 0)
			return i;
	}
	return UNKNOWN_STATE;
}

/*
 * Return true if no transition leaves a state but those of retry functions.
 */
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
