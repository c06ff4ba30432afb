/*
 * broadcast.c
 *	  Changes of rows, told to the clients of Supabase Realtime: which tables, which
 *	  of their columns, to whom.
 *
 * enable_broadcast() creates the triggers, which the tables are without otherwise.
 *
 * Pitfall: who listens to a topic reads what its messages have, so the columns are
 * those that the user or the company of a row may read, and none is long or
 * secret.
 *
 * Locks: none but those of the sender.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "utils/rel.h"

#include "broadcast.h"
#include "job_rows.h"
#include "ledger_rows.h"
#include "messages.h"
#include "relations.h"
#include "restore.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(broadcast_change);

/* positions in the list of tables */
enum BroadcastTable
{
	STUDIO_JOBS,
	JOBS,
	JOB_STEPS,
	ASSETS,
	CREDIT_LEDGER,
	CONTENT,
	SESSIONS,
	RENDERINGS,
	RUNS,
	ARTIFACTS
};

static const MessageTable tables[] = {
	[STUDIO_JOBS] = {
		.name = "studio_jobs",.event = "studio_jobs",.key = "job_id",.topic = "user",.listener = "user_id",
		.columns = {"status", "retry_count", "processing_time_ms"}
	},
	[JOBS] = {
		.name = "jobs",.event = "jobs",.key = "id",.topic = "user",.listener = "user_id",
		.columns = {"project_id", "status", "progress", "status_message", "error_code", "failed_step", "cost_credits_final"}
	},
	[JOB_STEPS] = {
		.name = "job_steps",.event = "job_steps",.key = "id",.topic = "user",.listener = "user_id",
		.columns = {"job_id", "step_name", "step_order", "state", "progress_pct"}
	},
	[ASSETS] = {
		.name = "assets",.event = "assets",.key = "id",.topic = "user",.listener = "user_id",
		.columns = {"job_id", "type", "size_bytes"}
	},
	[CREDIT_LEDGER] = {
		.name = "credit_ledger",.event = "credit_ledger",.key = "id",.topic = "user",.listener = "user_id",
		.columns = {"entry_no", "type", "amount", "balance_after", "job_id"}
	},
	[CONTENT] = {
		.name = "cm_module_content",.event = "cm_module_content",.key = "content_id",.topic = "company",.listener = "company_id",
		.columns = {"status", "revision_count"}
	},
	[SESSIONS] = {
		.name = "mm_multimedia_sessions",.event = "mm_multimedia_sessions",.key = "session_id",.topic = "company",.listener = "company_id",
		.columns = {"content_id", "status", "current_stage", "progress_percentage", "total_assets_generated"}
	},
	[RENDERINGS] = {
		.name = "mm_rendering_queue",.event = "mm_rendering_queue",.key = "render_id",.topic = "company",.listener = "company_id",
		.columns = {"session_id", "content_id", "asset_id", "status", "progress", "error_code"}
	},
	[RUNS] = {
		.schema = "pipeline",.name = "jobs",.event = "pipeline.jobs",.key = "run_id",.topic = "run",.listener = "run_id",.owner = "owner_id",
		.columns = {"status", "last_event_seq"}
	},
	[ARTIFACTS] = {
		.schema = "pipeline",.name = "artifacts",.event = "pipeline.artifacts",.key = "id",.topic = "run",.listener = "run_id",.owner = "owner_id",
		.columns = {"kind", "file_size"}
	}
};

/*
 * Return the table that a trigger is on; NULL if that is none of ours.  Anybody who
 * may execute the function can attach it to a table of his own, and would speak to the
 * users of others.
 */
static const MessageTable *
table_of_trigger(Relation rel)
{
	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		const MessageTable *table = &tables[i];
		Oid			schema = table->schema ? get_namespace_oid(table->schema, true) : extension_schema();

		if (strcmp(table->name, RelationGetRelationName(rel)) == 0 && schema == RelationGetNamespace(rel))
			return rel->rd_rel->relowner == engine_owner() ? table : NULL;
	}
	return NULL;
}

/*
 * broadcast_change() returns trigger: AFTER INSERT OR DELETE OR UPDATE on the tables above.
 */
Datum
broadcast_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT | ON_UPDATE | ON_DELETE, 0);
	const MessageTable *table = table_of_trigger(data->tg_relation);

	if (table == NULL)
		trigger_refuse_use();
	if (restoring())
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		message_forget(table, RelationGetDescr(data->tg_relation), data->tg_trigtuple);
	else
		message_note(table, RelationGetDescr(data->tg_relation),
					 TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigtuple : NULL, trigger_new_row(data));
	return PointerGetDatum(NULL);
}

/* in the place of the trigger, in the fast path, which deletes no rows of these tables */
static void
note_row_change(RowChange *change, const void *arg)
{
	message_note(arg, RelationGetDescr(change->rel), change->old, change->new);
}

#define BROADCAST_TRIGGER(table_name, table) \
	{.name = "tr_" table_name "_broadcast", \
		.definition = "AFTER INSERT OR DELETE OR UPDATE ON %." table_name " FOR EACH ROW " \
		"EXECUTE FUNCTION studio_engine.broadcast_change()", \
	.optional = true,.after = note_row_change,.arg = &tables[table]}

static const RowTrigger job_triggers[] = {BROADCAST_TRIGGER("jobs", JOBS)};
static const RowTrigger studio_triggers[] = {BROADCAST_TRIGGER("studio_jobs", STUDIO_JOBS)};
static const RowTrigger ledger_triggers[] = {BROADCAST_TRIGGER("credit_ledger", CREDIT_LEDGER)};

/*
 * Register the callbacks that replace the triggers in the fast path.
 */
void
broadcast_register(void)
{
	layout_register_triggers(&jobs_table, job_triggers, lengthof(job_triggers));
	layout_register_triggers(&studio_jobs_table, studio_triggers, lengthof(studio_triggers));
	layout_register_triggers(&ledger_table, ledger_triggers, lengthof(ledger_triggers));
}
