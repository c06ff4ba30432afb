/*
 * job_rows.c
 *	  What the statements on jobs and studio_jobs do, done to rows.
 *
 * Pitfall: no trigger fires here, so write_job() does what the triggers of the
 * tables do, in their order.  A trigger that is added to them belongs there too.
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

#include "holds.h"
#include "job_rows.h"
#include "ledger_rows.h"
#include "limits.h"
#include "queue.h"
#include "queue_rows.h"
#include "rows.h"
#include "triggers.h"
#include "uuids.h"
#include "workflow.h"

#define WHEN_ENDED \
	"WHEN (((old.status <> new.status) AND" \
	" (new.status = ANY (ARRAY['READY'::%.job_status, 'FAILED'::%.job_status])))) "
#define WHEN_QUEUED(id) \
	"WHEN (((old." id " IS DISTINCT FROM new." id ") OR (old.status IS DISTINCT FROM new.status)" \
	" OR (old.priority IS DISTINCT FROM new.priority) OR (old.user_id IS DISTINCT FROM new.user_id))) "

/* columns of jobs, in their order */
enum JobColumn
{
	JOB_ID = 1,
	JOB_PROJECT,
	JOB_USER,
	JOB_STATUS,
	JOB_PROGRESS,
	JOB_STATUS_MESSAGE,
	JOB_RESERVED,
	JOB_FINAL,
	JOB_FAILED_STEP,
	JOB_ERROR_CODE,
	JOB_ERROR_MESSAGE,
	JOB_OUTPUT,
	JOB_MANIFEST,
	JOB_CREATED,
	JOB_STARTED,
	JOB_FINISHED,
	JOB_PRIORITY
};

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
	{"00_jobs_limits",
		"BEFORE INSERT OR UPDATE ON %.jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.limit_values('jobs')"},
	{"tr_jobs_workflow",
		"BEFORE INSERT OR UPDATE ON %.jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.enforce_workflow('jobs')"},
	{"tr_jobs_price",
		"BEFORE UPDATE OF status ON %.jobs FOR EACH ROW " WHEN_ENDED
	"EXECUTE FUNCTION studio_engine.price_ended_job()"},
	{"tr_jobs_keep_owner",
		"BEFORE UPDATE OF user_id ON %.jobs FOR EACH ROW "
		"WHEN ((old.user_id <> new.user_id)) "
	"EXECUTE FUNCTION studio_engine.keep_owner_of_hold()"},
	{"tr_jobs_close_hold",
		"AFTER UPDATE ON %.jobs FOR EACH ROW " WHEN_ENDED
	"EXECUTE FUNCTION studio_engine.close_hold_of_ended_job()"},
	{"00_jobs_return_hold",
		"AFTER DELETE ON %.jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.return_hold_of_deleted_job()"},
	{"00_jobs_queue",
		"AFTER INSERT OR DELETE ON %.jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.keep_queue('jobs')"},
	{"00_jobs_queue_update",
		"AFTER UPDATE ON %.jobs FOR EACH ROW " WHEN_QUEUED("id")
	"EXECUTE FUNCTION studio_engine.keep_queue('jobs')"},
	{"00_jobs_queue_truncate",
		"AFTER TRUNCATE ON %.jobs FOR EACH STATEMENT "
	"EXECUTE FUNCTION studio_engine.forget_queue('jobs')"},
	{"tr_jobs_keep_worked_on",
		"BEFORE DELETE ON %.jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.keep_worked_on('jobs')"}
};

/* never written */
static const RowParent job_parents[] = {{JOB_PROJECT, NULL, "projects", "id"}, {JOB_USER, "auth", "users", "id"}};

RowTable	jobs_table = {
	.name = "jobs",
	.columns = job_columns,.ncolumns = lengthof(job_columns),
	.triggers = job_triggers,.ntriggers = lengthof(job_triggers),
	.parents = job_parents,.nparents = lengthof(job_parents),
	.lookups = {{.name = "jobs_pkey",.nkeys = 1,.columns = {JOB_ID},.equals = {F_UUID_EQ}}},
	.updates = true
};

/* columns of studio_jobs, in their order */
enum StudioColumn
{
	STUDIO_ID = 1,
	STUDIO_CREATED,
	STUDIO_STATUS,
	STUDIO_USER,
	STUDIO_AUDIO,
	STUDIO_TRANSCRIPT,
	STUDIO_TEXT,
	STUDIO_PROMPT,
	STUDIO_TIME,
	STUDIO_ERROR,
	STUDIO_ENTITIES,
	STUDIO_MODEL,
	STUDIO_RETRIES,
	STUDIO_PRIORITY
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
	{"00_studio_jobs_limits",
		"BEFORE INSERT OR UPDATE ON %.studio_jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.limit_values('studio_jobs')"},
	{"tr_studio_jobs_workflow",
		"BEFORE INSERT OR UPDATE ON %.studio_jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.enforce_workflow('studio_jobs')"},
	{"tr_studio_jobs_defaults",
		"BEFORE INSERT OR UPDATE OF priority ON %.studio_jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.default_studio_job()"},
	{"tr_studio_jobs_limit",
		"AFTER INSERT ON %.studio_jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.limit_studio_jobs()"},
	{"00_studio_jobs_queue",
		"AFTER INSERT OR DELETE ON %.studio_jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.keep_queue('studio_jobs')"},
	{"00_studio_jobs_queue_update",
		"AFTER UPDATE ON %.studio_jobs FOR EACH ROW " WHEN_QUEUED("job_id")
	"EXECUTE FUNCTION studio_engine.keep_queue('studio_jobs')"},
	{"00_studio_jobs_queue_truncate",
		"AFTER TRUNCATE ON %.studio_jobs FOR EACH STATEMENT "
	"EXECUTE FUNCTION studio_engine.forget_queue('studio_jobs')"},
	{"tr_studio_jobs_keep_worked_on",
		"BEFORE DELETE ON %.studio_jobs FOR EACH ROW "
	"EXECUTE FUNCTION studio_engine.keep_worked_on('studio_jobs')"}
};

/* never written */
static const RowParent studio_parents[] = {{STUDIO_USER, "auth", "users", "id"}};

RowTable	studio_jobs_table = {
	.name = "studio_jobs",
	.columns = studio_columns,.ncolumns = lengthof(studio_columns),
	.triggers = studio_triggers,.ntriggers = lengthof(studio_triggers),
	.parents = studio_parents,.nparents = lengthof(studio_parents),
	.lookups = {{.name = "studio_jobs_pkey",.nkeys = 1,.columns = {STUDIO_ID},.equals = {F_UUID_EQ}}},
	.updates = true
};

/* a table of jobs */
typedef struct JobTable
{
	RowTable   *table;
	const QueueSystem *system;
	AttrNumber	user;
	bool		pays;			/* its jobs hold credits */
} JobTable;

static const JobTable video_jobs = {&jobs_table, &video_queue, JOB_USER, true};
static const JobTable refinement_jobs = {&studio_jobs_table, &refinement_queue, STUDIO_USER, false};

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
status_of(const JobTable *jobs, Row *row, HeapTuple tuple)
{
	return row_get_label(RelationGetDescr(row->rel), tuple, jobs->system->flow->column);
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
		answer_text(answer, status_of(jobs, &row, rows_tuple(&row)));
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
	const JobTable *jobs;
	const Arguments *args;
	Row			row;
	RowEdit		edit;
} JobUpdate;

/* What the BEFORE triggers make of the new row. */
static HeapTuple
before_update(JobUpdate *update, HeapTuple old, HeapTuple new, bool ends)
{
	RowEdit		edit = {.desc = update->edit.desc,.row = new};

	if (ends && update->jobs->pays)
		hold_price_ended_job(&edit);
	return workflow_write(update->jobs->system->flow, update->row.rel, old, row_edit_apply(&edit));
}

/* What the AFTER triggers do. */
static void
after_update(JobUpdate *update, HeapTuple old, HeapTuple new, bool ends)
{
	queue_note_update(update->jobs->system, update->edit.desc, old, new);
	if (ends && update->jobs->pays)
		hold_close_of_ended_job(update->edit.desc, new);
}

/* Write the locked job at hand, with what its triggers do. */
static void
write_job(JobUpdate *update)
{
	const JobTable *jobs = update->jobs;
	HeapTuple	old = heap_copytuple(rows_tuple(&update->row));
	HeapTuple	new = row_edit_apply(&update->edit);
	bool		moves = !row_same_value(update->edit.desc, old, new, jobs->system->flow->column);
	int			to = flow_state(jobs->system->flow, status_of(jobs, &update->row, new));
	bool		ends = moves && to != UNKNOWN_STATE && flow_is_terminal(jobs->system->flow, to);

	limits_check_edit(jobs->table->name, update->row.rel, &update->edit);
	new = before_update(update, old, new, ends);
	rows_update(&update->row, new);
	if (moves)
		after_update(update, old, new, ends);
}

/* Begin an UPDATE of the job of the first argument. */
static bool
begin_update(const JobTable *jobs, const Arguments *args, JobUpdate *update, Answer *answer)
{
	Row		   *row = &update->row;

	if (!rows_open(jobs->table, RowExclusiveLock, row))
		return false;
	/* before the work of the triggers, as the executor does */
	CheckCmdReplicaIdentity(row->rel, CMD_UPDATE);
	update->jobs = jobs;
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

/* The same of a status: what its triggers write must be direct as well. */
static bool
begin_move(const JobTable *jobs, const Arguments *args, JobUpdate *update, Answer *answer)
{
	return rows_are_direct(&queue_table) && rows_are_direct(&attempts_table) &&
		(!jobs->pays || (rows_are_direct(&ledger_table) && rows_are_direct(&accounts_table))) &&
		begin_update(jobs, args, update, answer);
}

static bool
end_update(JobUpdate *update, const Answer *answer)
{
	if (answer->found > 0)
		write_job(update);
	rows_close(&update->row);
	return true;
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

	if (!begin_move(&video_jobs, args, &update, answer))
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

	if (!begin_move(&video_jobs, args, &update, answer))
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

	if (!begin_move(&refinement_jobs, args, &update, answer))
		return false;
	set_argument(&update, "status", TEXTOID, 1);
	return end_update_once(&update, answer);
}

bool
write_transcript_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_move(&refinement_jobs, args, &update, answer))
		return false;
	row_set(&update.edit, "status", TEXTOID, CStringGetTextDatum("ENRICHING"));
	set_argument(&update, "raw_transcript", TEXTOID, 1);
	return end_update(&update, answer);
}

bool
write_entities_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_move(&refinement_jobs, args, &update, answer))
		return false;
	row_set(&update.edit, "status", TEXTOID, CStringGetTextDatum("REFINING"));
	set_argument(&update, "enrichment_entities", JSONBOID, 1);
	return end_update(&update, answer);
}

bool
write_refined_text_directly(const Arguments *args, Answer *answer)
{
	JobUpdate	update;

	if (!begin_move(&refinement_jobs, args, &update, answer))
		return false;
	row_set(&update.edit, "status", TEXTOID, CStringGetTextDatum("COMPLETE"));
	set_argument(&update, "refined_text", TEXTOID, 1);
	set_given(&update, "model_version", TEXTOID, 2);
	return end_update(&update, answer);
}
