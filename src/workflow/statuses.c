/*
 * statuses.c
 *	  The states of every table that has a status, by name.
 *
 * Pitfall: the order of these lists is that of the C enums in statuses.h, and
 * for job_status and step_status that of the enum type too.
 */
#include "postgres.h"

#include "statuses.h"

const char *const job_status_names[JOB_STATUSES] = {
	"PENDING", "QUEUED", "SCRIPTING", "VOICE_GEN", "ALIGNMENT", "VISUAL_PLAN",
	"IMAGE_GEN", "TIMELINE", "RENDERING", "PACKAGING", "READY", "FAILED"
};

const char *const step_state_names[STEP_STATES] = {
	"pending", "started", "succeeded", "failed"
};

const char *const studio_status_names[STUDIO_STATUSES] = {
	"NEW", "TRANSCRIBING", "ENRICHING", "REFINING", "COMPLETE", "FAILED"
};

const char *const run_status_names[RUN_STATUSES] = {
	"pending", "running", "completed", "failed", "cancelled"
};

const char *const content_status_names[CONTENT_STATUSES] = {
	"draft", "quality_check", "approved", "revision", "failed"
};

const char *const plan_status_names[PLAN_STATUSES] = {
	"draft", "active", "completed", "failed"
};

const char *const research_status_names[RESEARCH_STATUSES] = {
	"pending", "in_progress", "completed", "failed"
};

const char *const session_status_names[SESSION_STATUSES] = {
	"started", "processing", "completed", "failed"
};

const char *const asset_status_names[ASSET_STATUSES] = {
	"generated", "processed", "failed"
};

const char *const narration_status_names[PRODUCT_STATUSES] = {
	"pending", "synthesizing", "completed", "failed"
};

const char *const presentation_status_names[PRODUCT_STATUSES] = {
	"draft", "generating", "completed", "failed"
};

const char *const script_status_names[PRODUCT_STATUSES] = {
	"pending", "generating", "completed", "failed"
};

const char *const render_status_names[RENDER_STATUSES] = {
	"queued", "rendering", "completed", "failed", "cancelled"
};
