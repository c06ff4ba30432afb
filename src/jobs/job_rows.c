/*
 * job_rows.c
 *	  The row tables of projects, jobs and studio_jobs, for row operations without SQL.
 *
 * Pitfall: the fast path fires no triggers.  It calls the callbacks that are
 * registered for them, and a table with a trigger that has no callback is not
 * eligible, so that statements are used.
 *
 * Lock order: job, then its row in the queue, then the account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/fmgroids.h"

#include "job_rows.h"
#include "value_limits.h"
#include "workflow.h"

static const RowColumn project_columns[] = {
	[PROJECT_ID - 1] = {"id", UUIDOID, NULL},
	[PROJECT_USER - 1] = {"user_id", UUIDOID, NULL},
	[PROJECT_TITLE - 1] = {"title", TEXTOID, NULL},
	[PROJECT_PROMPT - 1] = {"prompt_text", TEXTOID, NULL},
	[PROJECT_NICHE - 1] = {"niche_preset", TEXTOID, NULL},
	[PROJECT_MINUTES - 1] = {"target_minutes", INT4OID, NULL},
	[PROJECT_VOICE - 1] = {"voice_profile_id", UUIDOID, NULL},
	[PROJECT_MODE - 1] = {"transcript_mode", TEXTOID, NULL},
	[PROJECT_TRANSCRIPT - 1] = {"transcript_text", TEXTOID, NULL},
	[PROJECT_SETTINGS - 1] = {"settings", JSONBOID, NULL},
	[PROJECT_CREATED - 1] = {"created_at", TIMESTAMPTZOID, NULL},
	[PROJECT_UPDATED - 1] = {"updated_at", TIMESTAMPTZOID, NULL}
};

/* the column is never written, so that there is nothing to check */
static const RowParent project_parents[] = {{PROJECT_USER, "auth", "users", "id"}};

RowTable	projects_table = {
	.name = "projects",
	.columns = project_columns,.ncolumns = lengthof(project_columns),
	.parents = project_parents,.nparents = lengthof(project_parents),
	.lookups = {{.name = "projects_pkey",.nkeys = 1,.columns = {PROJECT_ID},.equals = {F_UUID_EQ}}}
};

static const RowColumn job_columns[] = {
	[JOB_ID - 1] = {"id", UUIDOID, NULL},
	[JOB_PROJECT - 1] = {"project_id", UUIDOID, NULL},
	[JOB_USER - 1] = {"user_id", UUIDOID, NULL},
	[JOB_STATUS - 1] = {"status", ANYENUMOID, "@extschema@.job_status"},
	[JOB_PROGRESS - 1] = {"progress", INT4OID, NULL},
	[JOB_STATUS_MESSAGE - 1] = {"status_message", TEXTOID, NULL},
	[JOB_RESERVED - 1] = {"cost_credits_reserved", INT4OID, NULL},
	[JOB_FINAL - 1] = {"cost_credits_final", INT4OID, NULL},
	[JOB_FAILED_STEP - 1] = {"failed_step", TEXTOID, NULL},
	[JOB_ERROR_CODE - 1] = {"error_code", TEXTOID, NULL},
	[JOB_ERROR_MESSAGE - 1] = {"error_message", TEXTOID, NULL},
	[JOB_OUTPUT - 1] = {"output_url", TEXTOID, NULL},
	[JOB_MANIFEST - 1] = {"manifest_json", JSONBOID, NULL},
	[JOB_CREATED - 1] = {"created_at", TIMESTAMPTZOID, NULL},
	[JOB_STARTED - 1] = {"started_at", TIMESTAMPTZOID, NULL},
	[JOB_FINISHED - 1] = {"finished_at", TIMESTAMPTZOID, NULL},
	[JOB_PRIORITY - 1] = {"priority", INT4OID, NULL},
	[JOB_RUN_AT - 1] = {"run_at", TIMESTAMPTZOID, NULL},
	[JOB_KEY - 1] = {"idempotency_key", TEXTOID, NULL},
	[JOB_MAX_ATTEMPTS - 1] = {"max_attempts", INT4OID, NULL},
	[JOB_CANCEL_REQUESTED - 1] = {"cancel_requested_at", TIMESTAMPTZOID, NULL}
};

static const RowTrigger job_triggers[] = {
	{.name = "00_jobs_limits",
		.definition = "BEFORE INSERT OR UPDATE ON %.jobs FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.limit_values('jobs')",
	.before = limits_check_change},
	{.name = "tr_jobs_workflow",
		.definition = "BEFORE INSERT OR UPDATE ON %.jobs FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.enforce_workflow('jobs')",
	.before = workflow_enforce_change,.arg = &job_flow}
};

/* columns with foreign keys; no row operation writes them */
static const RowParent job_parents[] = {{JOB_PROJECT, NULL, "projects", "id"}, {JOB_USER, "auth", "users", "id"}};

RowTable	jobs_table = {
	.name = "jobs",
	.columns = job_columns,.ncolumns = lengthof(job_columns),
	.parents = job_parents,.nparents = lengthof(job_parents),
	.lookups = {{.name = "jobs_pkey",.nkeys = 1,.columns = {JOB_ID},.equals = {F_UUID_EQ}}},
	.updates = true
};

static const RowColumn studio_columns[] = {
	[STUDIO_ID - 1] = {"job_id", UUIDOID, NULL},
	[STUDIO_CREATED - 1] = {"created_at", TIMESTAMPTZOID, NULL},
	[STUDIO_STATUS - 1] = {"status", TEXTOID, NULL},
	[STUDIO_USER - 1] = {"user_id", UUIDOID, NULL},
	[STUDIO_AUDIO - 1] = {"raw_audio_url", TEXTOID, NULL},
	[STUDIO_TRANSCRIPT - 1] = {"raw_transcript", TEXTOID, NULL},
	[STUDIO_TEXT - 1] = {"refined_text", TEXTOID, NULL},
	[STUDIO_PROMPT - 1] = {"system_prompt_used", TEXTOID, NULL},
	[STUDIO_TIME - 1] = {"processing_time_ms", INT4OID, NULL},
	[STUDIO_ERROR - 1] = {"error_details", JSONBOID, NULL},
	[STUDIO_ENTITIES - 1] = {"enrichment_entities", JSONBOID, NULL},
	[STUDIO_MODEL - 1] = {"model_version", TEXTOID, NULL},
	[STUDIO_RETRIES - 1] = {"retry_count", INT4OID, NULL},
	[STUDIO_PRIORITY - 1] = {"priority", INT4OID, NULL},
	[STUDIO_RESERVED - 1] = {"cost_credits_reserved", INT4OID, NULL},
	[STUDIO_RUN_AT - 1] = {"run_at", TIMESTAMPTZOID, NULL},
	[STUDIO_KEY - 1] = {"idempotency_key", TEXTOID, NULL},
	[STUDIO_MAX_ATTEMPTS - 1] = {"max_attempts", INT4OID, NULL},
	[STUDIO_CANCEL_REQUESTED - 1] = {"cancel_requested_at", TIMESTAMPTZOID, NULL}
};

static const RowTrigger studio_triggers[] = {
	{.name = "00_studio_jobs_limits",
		.definition = "BEFORE INSERT OR UPDATE ON %.studio_jobs FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.limit_values('studio_jobs')",
	.before = limits_check_change},
	{.name = "tr_studio_jobs_workflow",
		.definition = "BEFORE INSERT OR UPDATE ON %.studio_jobs FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.enforce_workflow('studio_jobs')",
	.before = workflow_enforce_change,.arg = &studio_flow},
	/* no row operation writes these columns */
	{.name = "tr_studio_jobs_defaults",
		.definition = "BEFORE INSERT OR UPDATE OF priority, run_at, idempotency_key, max_attempts, cancel_requested_at"
		" ON %.studio_jobs FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.default_studio_job()",
	.idle = true},
	{.name = "tr_studio_jobs_own",
		.definition = "BEFORE INSERT OR UPDATE OF job_id, user_id, created_at ON %.studio_jobs FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.keep_own_row('job_id', 'user_id')",
	.idle = true}
};

/* columns with foreign keys; no row operation writes them */
static const RowParent studio_parents[] = {{STUDIO_USER, "auth", "users", "id"}};

RowTable	studio_jobs_table = {
	.name = "studio_jobs",
	.columns = studio_columns,.ncolumns = lengthof(studio_columns),
	.parents = studio_parents,.nparents = lengthof(studio_parents),
	.lookups = {{.name = "studio_jobs_pkey",.nkeys = 1,.columns = {STUDIO_ID},.equals = {F_UUID_EQ}}},
	.updates = true
};

/*
 * Register the callbacks that replace the triggers of limits and flows; those of
 * the queue and of credits are registered in their own files.
 */
void
job_rows_register(void)
{
	layout_register_triggers(&jobs_table, job_triggers, lengthof(job_triggers));
	layout_register_triggers(&studio_jobs_table, studio_triggers, lengthof(studio_triggers));
}
