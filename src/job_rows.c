/*
 * job_rows.c
 *	  What the statements on jobs do, done to rows.
 *
 * Pitfall: no trigger fires here, so write_job() does what the triggers of jobs
 * do, in their order.  A trigger that is added to jobs belongs there too.
 *
 * Lock order: job, then its row in the queue, then the account.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "caller.h"
#include "holds.h"
#include "job_rows.h"
#include "queue.h"
#include "rows.h"
#include "triggers.h"
#include "workflow.h"

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
	{"tr_jobs_workflow", "enforce_workflow",
	TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE, false},
	{"tr_jobs_price", "price_ended_job", TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE, true},
	{"tr_jobs_keep_owner", "keep_owner_of_hold", TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE, true},
	{"tr_jobs_close_hold", "close_hold_of_ended_job", TRIGGER_TYPE_ROW | TRIGGER_TYPE_UPDATE, true},
	{"00_jobs_return_hold", "return_hold_of_deleted_job", TRIGGER_TYPE_ROW | TRIGGER_TYPE_DELETE, false},
	{"00_jobs_queue", "keep_queue", TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_DELETE, false},
	{"00_jobs_queue_update", "keep_queue", TRIGGER_TYPE_ROW | TRIGGER_TYPE_UPDATE, true},
	{"00_jobs_queue_truncate", "forget_queue", TRIGGER_TYPE_TRUNCATE, false}
};

/* never written */
static const AttrNumber job_parents[] = {JOB_PROJECT, JOB_USER};

#define BY_ID 0

RowTable	jobs_table = {
	.name = "jobs",
	.columns = job_columns,.ncolumns = lengthof(job_columns),
	.triggers = job_triggers,.ntriggers = lengthof(job_triggers),
	.parents = job_parents,.nparents = lengthof(job_parents),
	.lookups = {{.name = "jobs_pkey",.nkeys = 1,.columns = {JOB_ID},.equals = {F_UUID_EQ}}},
	.updates = true
};

/* ------------------------------------------------------------------------
 * Finding and locking
 * ------------------------------------------------------------------------ */

/* Is the job at hand one of this user, if one is asked for? */
static bool
is_of_user(Row *row, const Arguments *args)
{
	pg_uuid_t	user_id;

	if (args->nulls[1] == 'n')
		return true;
	user_id = rows_uuid(row, JOB_USER);
	return uuid_equal(&user_id, DatumGetUUIDP(args->values[1]));
}

/* Lock the job at hand, found by the first argument. */
static bool
lock_found(Row *row, const Arguments *args, LockWaitPolicy policy)
{
	return rows_lock(row, LockTupleNoKeyExclusive, policy) == ROW_LOCKED &&
		(!row->moved || rows_match(row, BY_ID, args->values));
}

static bool
lock_job_of_user(const Arguments *args, LockWaitPolicy policy, Answer *answer)
{
	Row			row;

	if (!rows_open(&jobs_table, RowShareLock, &row))
		return false;
	/* a user never waits for the lock of a foreign job */
	if (rows_find(&row, BY_ID, args->values) && is_of_user(&row, args) &&
		lock_found(&row, args, policy) && is_of_user(&row, args))
	{
		answer_uuid(answer, rows_uuid(&row, JOB_USER));
		answer_text(answer, rows_label(&row, JOB_STATUS));
		answer->found = 1;
	}
	rows_close(&row);
	return true;
}

bool
lock_job_directly(const Arguments *args, Answer *answer)
{
	return lock_job_of_user(args, LockWaitBlock, answer);
}

bool
try_lock_job_directly(const Arguments *args, Answer *answer)
{
	return lock_job_of_user(args, LockWaitSkip, answer);
}

/* to_jsonb() of the row at hand */
static Datum
row_to_jsonb(Row *row)
{
	TupleDesc	desc = RelationGetDescr(row->rel);
	Const	   *type = makeConst(row->rel->rd_rel->reltype, -1, InvalidOid, -1, (Datum) 0, true, false);
	FmgrInfo	flinfo;

	fmgr_info(F_TO_JSONB, &flinfo);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(type),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL), &flinfo);
	return FunctionCall1(&flinfo, heap_copy_tuple_as_datum(rows_tuple(row), desc));
}

bool
select_job_directly(const Arguments *args, Answer *answer)
{
	Row			row;

	if (!rows_open(&jobs_table, AccessShareLock, &row))
		return false;
	if (rows_find(&row, BY_ID, args->values))
	{
		answer_datum(answer, row_to_jsonb(&row));
		answer->found = 1;
	}
	rows_close(&row);
	return true;
}

/* ------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------ */

/* What the BEFORE triggers make of the new row. */
static HeapTuple
before_update(Row *row, HeapTuple old, HeapTuple new, int from, int to)
{
	RowEdit		edit = {.desc = RelationGetDescr(row->rel)};

	edit.row = workflow_write(&job_flow, row->rel, old, new);
	if (from != to && (to == JOB_READY || to == JOB_FAILED))
		hold_price_ended_job(&edit);
	return row_edit_apply(&edit);
}

/* What the AFTER triggers do. */
static void
after_update(Row *row, HeapTuple old, HeapTuple new, int from, int to)
{
	TupleDesc	desc = RelationGetDescr(row->rel);

	queue_note_update(&video_queue, desc, old, new);
	if (from != to && (to == JOB_READY || to == JOB_FAILED))
		hold_close_of_ended_job(desc, new);
}

static int
status_of(Row *row, HeapTuple tuple)
{
	return flow_state(&job_flow, row_get_label(RelationGetDescr(row->rel), tuple, "status"));
}

/* Write the locked job at hand, with what its triggers do. */
static void
write_job(Row *row, RowEdit *edit)
{
	HeapTuple	old = heap_copytuple(rows_tuple(row));
	HeapTuple	new = row_edit_apply(edit);
	int			from = status_of(row, old);
	int			to = status_of(row, new);

	new = before_update(row, old, new, from, to);
	rows_update(row, new);
	if (from != to)
		after_update(row, old, new, from, to);
}

/* Begin an UPDATE of the job of the first argument. */
static bool
begin_update(const Arguments *args, Row *row, RowEdit *edit, Answer *answer)
{
	if (!rows_open(&jobs_table, RowExclusiveLock, row))
		return false;
	answer->found = rows_find(row, BY_ID, args->values) && lock_found(row, args, LockWaitBlock) ? 1 : 0;
	memset(edit, 0, sizeof(RowEdit));
	edit->desc = RelationGetDescr(row->rel);
	if (answer->found > 0)
		edit->row = rows_tuple(row);
	return true;
}

static void
end_update(Row *row, RowEdit *edit, uint64 found)
{
	if (found > 0)
		write_job(row, edit);
	rows_close(row);
}

/* The argument, unless it is NULL. */
static void
set_given(RowEdit *edit, const char *column, Oid type, const Arguments *args, int argno)
{
	if (args->nulls[argno] != 'n')
		row_set(edit, column, type, args->values[argno]);
}

bool
set_reserved_directly(const Arguments *args, Answer *answer)
{
	Row			row;
	RowEdit		edit;

	if (!begin_update(args, &row, &edit, answer))
		return false;
	row_set(&edit, "cost_credits_reserved", INT4OID, args->values[1]);
	row_set_null(&edit, "cost_credits_final");
	end_update(&row, &edit, answer->found);
	return true;
}

bool
set_final_directly(const Arguments *args, Answer *answer)
{
	Row			row;
	RowEdit		edit;

	if (!begin_update(args, &row, &edit, answer))
		return false;
	row_set(&edit, "cost_credits_final", INT4OID, args->values[1]);
	end_update(&row, &edit, answer->found);
	return true;
}

static void
set_status(Row *row, RowEdit *edit, const char *status)
{
	TupleDesc	desc = RelationGetDescr(row->rel);

	row_set(edit, "status", TupleDescAttr(desc, JOB_STATUS - 1)->atttypid, rows_enum(row, JOB_STATUS, status));
}

bool
update_job_directly(const Arguments *args, Answer *answer)
{
	Row			row;
	RowEdit		edit;

	if (!begin_update(args, &row, &edit, answer))
		return false;
	set_status(&row, &edit, TextDatumGetCString(args->values[1]));
	set_given(&edit, "progress", INT4OID, args, 2);
	set_given(&edit, "status_message", TEXTOID, args, 3);
	end_update(&row, &edit, answer->found);
	return true;
}

bool
finish_job_directly(const Arguments *args, Answer *answer)
{
	Row			row;
	RowEdit		edit;

	if (!begin_update(args, &row, &edit, answer))
		return false;
	set_status(&row, &edit, "READY");
	set_given(&edit, "output_url", TEXTOID, args, 1);
	set_given(&edit, "manifest_json", JSONBOID, args, 2);
	set_given(&edit, "cost_credits_final", INT4OID, args, 3);
	end_update(&row, &edit, answer->found);
	return true;
}
