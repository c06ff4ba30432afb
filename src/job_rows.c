/*
 * job_rows.c
 *	  What the statements on jobs and studio_jobs do, done to rows.
 *
 * Pitfall: no trigger fires here.  What the triggers of the tables do is done by
 * the callbacks that are registered for them, and a trigger without one leaves
 * the table to statements.
 *
 * Lock order: job, then its row in the queue, then the account.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "job_rows.h"
#include "limits.h"
#include "rows.h"
#include "triggers.h"
#include "uuids.h"
#include "workflow.h"

static const RowColumn job_columns[] = {
	{"id", UUIDOID},
	{"project_id", UUIDOID},
	{"user_id", UUIDOID},
	{"status", ANYENUMOID},
	{"progress", INT4OID},
	{"status_message", TEXTOID},
	{"cost_credits_reserved", INT4OID},
	{"cost_credits_final", INT4OID},
	{"failed_step", TEXTOID},
	{"error_code", TEXTOID},
	{"error_message", TEXTOID},
	{"output_url", TEXTOID},
	{"manifest_json", JSONBOID},
	{"created_at", TIMESTAMPTZOID},
	{"started_at", TIMESTAMPTZOID},
	{"finished_at", TIMESTAMPTZOID},
	{"priority", INT4OID}
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

/* never written */
static const RowParent job_parents[] = {{JOB_PROJECT, NULL, "projects", "id"}, {JOB_USER, "auth", "users", "id"}};

RowTable	jobs_table = {
	.name = "jobs",
	.columns = job_columns,.ncolumns = lengthof(job_columns),
	.parents = job_parents,.nparents = lengthof(job_parents),
	.lookups = {{.name = "jobs_pkey",.nkeys = 1,.columns = {JOB_ID},.equals = {F_UUID_EQ}}},
	.updates = true
};

static const RowColumn studio_columns[] = {
	{"job_id", UUIDOID},
	{"created_at", TIMESTAMPTZOID},
	{"status", TEXTOID},
	{"user_id", UUIDOID},
	{"raw_audio_url", TEXTOID},
	{"raw_transcript", TEXTOID},
	{"refined_text", TEXTOID},
	{"system_prompt_used", TEXTOID},
	{"processing_time_ms", INT4OID},
	{"error_details", JSONBOID},
	{"enrichment_entities", JSONBOID},
	{"model_version", TEXTOID},
	{"retry_count", INT4OID},
	{"priority", INT4OID}
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
	/* the priority is never written */
	{.name = "tr_studio_jobs_defaults",
		.definition = "BEFORE INSERT OR UPDATE OF priority ON %.studio_jobs FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.default_studio_job()",
	.idle = true}
};

/* never written */
static const RowParent studio_parents[] = {{STUDIO_USER, "auth", "users", "id"}};

RowTable	studio_jobs_table = {
	.name = "studio_jobs",
	.columns = studio_columns,.ncolumns = lengthof(studio_columns),
	.parents = studio_parents,.nparents = lengthof(studio_parents),
	.lookups = {{.name = "studio_jobs_pkey",.nkeys = 1,.columns = {STUDIO_ID},.equals = {F_UUID_EQ}}},
	.updates = true
};

/* a table of jobs */
typedef struct JobTable
{
	RowTable   *table;
	AttrNumber	user;
} JobTable;

static const JobTable video_jobs = {&jobs_table, JOB_USER};
static const JobTable refinement_jobs = {&studio_jobs_table, STUDIO_USER};

/*
 * Register what the triggers from below do; those of queues and of credits
 * register themselves.
 */
void
job_rows_register(void)
{
	layout_register_triggers(&jobs_table, job_triggers, lengthof(job_triggers));
	layout_register_triggers(&studio_jobs_table, studio_triggers, lengthof(studio_triggers));
}

/* ------------------------------------------------------------------------
 * Finding and locking
 * ------------------------------------------------------------------------ */

/* Is the job at hand one of this user, if one is asked for? */
static bool
is_of_user(const JobTable *jobs, Row *row, const Arguments *args)
{
	pg_uuid_t	user_id;

	if (args->nulls[1] == 'n')
		return true;
	user_id = rows_uuid(row, jobs->user);
	return uuid_equal(&user_id, DatumGetUUIDP(args->values[1]));
}

/* Lock the job at hand, found by the first argument. */
static bool
lock_found(Row *row, const Arguments *args, LockWaitPolicy policy)
{
	return rows_lock(row, LockTupleNoKeyExclusive, policy) == ROW_LOCKED &&
		(!row->moved || rows_match(row, args->values));
}

static char *
status_of(Row *row)
{
	return row_get_label(RelationGetDescr(row->rel), rows_tuple(row), "status");
}

/* Lock a job, of a user where one is given: his id and the status. */
static bool
lock_job(const JobTable *jobs, const Arguments *args, LockWaitPolicy policy, Answer *answer)
{
	Row			row;

	if (!rows_open(jobs->table, RowShareLock, &row))
		return false;
	/* a user never waits for the lock of a foreign job */
	if (rows_find(&row, args->values) && is_of_user(jobs, &row, args) &&
		lock_found(&row, args, policy) && is_of_user(jobs, &row, args))
	{
		answer_uuid(answer, rows_uuid(&row, jobs->user));
		answer_text(answer, status_of(&row));
		answer->found = 1;
	}
	rows_close(&row);
	return true;
}

bool
lock_job_directly(const Arguments *args, Answer *answer)
{
	return lock_job(&video_jobs, args, LockWaitBlock, answer);
}

bool
try_lock_job_directly(const Arguments *args, Answer *answer)
{
	return lock_job(&video_jobs, args, LockWaitSkip, answer);
}

bool
lock_studio_job_directly(const Arguments *args, Answer *answer)
{
	return lock_job(&refinement_jobs, args, LockWaitBlock, answer);
}

bool
try_lock_studio_job_directly(const Arguments *args, Answer *answer)
{
	return lock_job(&refinement_jobs, args, LockWaitSkip, answer);
}

static bool
select_job(const JobTable *jobs, const Arguments *args, Answer *answer)
{
	Row			row;

	if (!rows_open(jobs->table, AccessShareLock, &row))
		return false;
	if (rows_find(&row, args->values))
	{
		answer_shown(answer, show_row(rows_tuple(&row), RelationGetDescr(row.rel)));
		answer->found = 1;
	}
	rows_close(&row);
	return true;
}

bool
select_job_directly(const Arguments *args, Answer *answer)
{
	return select_job(&video_jobs, args, answer);
}

bool
select_studio_job_directly(const Arguments *args, Answer *answer)
{
	return select_job(&refinement_jobs, args, answer);
}

/* ------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------ */

/* an UPDATE of one job */
typedef struct JobUpdate
{
	const Arguments *args;
	Row			row;
	RowEdit		edit;
} JobUpdate;

/* Begin an UPDATE of the job of the first argument. */
static bool
begin_update(const JobTable *jobs, const Arguments *args, JobUpdate *update, Answer *answer)
{
	Row		   *row = &update->row;

	if (!rows_open(jobs->table, RowExclusiveLock, row))
		return false;
	/* before the work of the triggers, as the executor does */
	CheckCmdReplicaIdentity(row->rel, CMD_UPDATE);
	update->args = args;
	update->edit = (RowEdit)
	{
		.desc = RelationGetDescr(row->rel)
	};
	if (rows_find(row, args->values) && lock_found(row, args, LockWaitBlock))
	{
		if (rows_unchecked(row))
		{
			rows_close(row);
			return false;
		}
		update->edit.row = rows_tuple(row);
		answer->found = 1;
	}
	return true;
}

static bool
end_update(JobUpdate *update, const Answer *answer)
{
	bool		done = answer->found == 0 || rows_update(&update->row, &update->edit);

	rows_close(&update->row);
	return done;
}

/* Does an edit leave its columns as they are stored? */
static bool
changes_nothing(const RowEdit *edit, HeapTuple new)
{
	for (int i = 0; i < edit->n; i++)
	{
		if (!row_same_value(edit->desc, edit->row, new, NameStr(TupleDescAttr(edit->desc, edit->columns[i] - 1)->attname)))
			return false;
	}
	return true;
}

/* The same where a call that is repeated must not write again. */
static bool
end_update_once(JobUpdate *update, Answer *answer)
{
	if (answer->found > 0 && changes_nothing(&update->edit, row_edit_apply(&update->edit)))
		answer->found = 0;
	return end_update(update, answer);
}

/* The argument, or NULL. */
static void
set_argument(JobUpdate *update, const char *column, Oid type, int argno)
{
	if (update->args->nulls[argno] == 'n')
		row_set_null(&update->edit, column);
	else
		row_set(&update->edit, column, type, update->args->values[argno]);
}

/* The argument, unless it is NULL. */
static void
set_given(JobUpdate *update, const char *column, Oid type, int argno)
{
	if (update->args->nulls[argno] != 'n')
		row_set(&update->edit, column, type, update->args->values[argno]);
}

bool
set_reserved_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_update(&video_jobs, args, &update, answer))
		return false;
	set_argument(&update, "cost_credits_reserved", INT4OID, 1);
	row_set_null(&update.edit, "cost_credits_final");
	return end_update(&update, answer);
}

bool
set_final_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_update(&video_jobs, args, &update, answer))
		return false;
	set_argument(&update, "cost_credits_final", INT4OID, 1);
	return end_update(&update, answer);
}

/* of jobs, whose status is of an enum type */
static void
set_status(JobUpdate *update, const char *status)
{
	Oid			type = TupleDescAttr(update->edit.desc, JOB_STATUS - 1)->atttypid;

	row_set(&update->edit, "status", type, rows_enum(&update->row, JOB_STATUS, status));
}

bool
update_job_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_update(&video_jobs, args, &update, answer))
		return false;
	set_status(&update, TextDatumGetCString(args->values[1]));
	set_given(&update, "progress", INT4OID, 2);
	set_given(&update, "status_message", TEXTOID, 3);
	return end_update_once(&update, answer);
}

bool
finish_job_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_update(&video_jobs, args, &update, answer))
		return false;
	set_status(&update, "READY");
	set_given(&update, "output_url", TEXTOID, 1);
	set_given(&update, "manifest_json", JSONBOID, 2);
	set_given(&update, "cost_credits_final", INT4OID, 3);
	return end_update(&update, answer);
}

bool
move_studio_job_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_update(&refinement_jobs, args, &update, answer))
		return false;
	set_argument(&update, "status", TEXTOID, 1);
	return end_update_once(&update, answer);
}

bool
write_transcript_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_update(&refinement_jobs, args, &update, answer))
		return false;
	row_set(&update.edit, "status", TEXTOID, CStringGetTextDatum("ENRICHING"));
	set_argument(&update, "raw_transcript", TEXTOID, 1);
	return end_update(&update, answer);
}

bool
write_entities_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_update(&refinement_jobs, args, &update, answer))
		return false;
	row_set(&update.edit, "status", TEXTOID, CStringGetTextDatum("REFINING"));
	set_argument(&update, "enrichment_entities", JSONBOID, 1);
	return end_update(&update, answer);
}

bool
write_refined_text_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_update(&refinement_jobs, args, &update, answer))
		return false;
	row_set(&update.edit, "status", TEXTOID, CStringGetTextDatum("COMPLETE"));
	set_argument(&update, "refined_text", TEXTOID, 1);
	set_given(&update, "model_version", TEXTOID, 2);
	return end_update(&update, answer);
}
