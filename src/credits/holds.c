/*
 * holds.c
 *	  Credits that jobs hold: reserve, settle, release, and the end of jobs.
 *
 * What a job holds is computed from its ledger entries: a hold is `reserve -N`,
 * closing it is `reserve +N`, so the sum of a job's reserve entries is minus its
 * open hold.  It is stored nowhere else, so nothing can disagree with the ledger.
 * Settling charges the price as a `usage` entry after the closing one.
 *
 * Pitfall: a hold may be read only under the lock of its job.  A transaction that
 * opens or closes one also writes the row of the job, so that a REPEATABLE READ
 * transaction with an older snapshot of the ledger fails on the job (40001)
 * instead of deciding by that snapshot.
 *
 * Lock order: job, then account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "expiry.h"
#include "holds.h"
#include "job_rows.h"
#include "jobs.h"
#include "ledger.h"
#include "ledger_rows.h"
#include "overruns.h"
#include "prices.h"
#include "reference_holds.h"
#include "restore.h"
#include "statements.h"
#include "titles.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(price_ended_job);
PG_FUNCTION_INFO_V1(close_hold_of_ended_job);
PG_FUNCTION_INFO_V1(forbid_owner_change_of_hold);
PG_FUNCTION_INFO_V1(return_hold_of_deleted_job);
PG_FUNCTION_INFO_V1(reserve_credits);
PG_FUNCTION_INFO_V1(settle_credits);
PG_FUNCTION_INFO_V1(release_credits);
PG_FUNCTION_INFO_V1(sweep_stale_holds);

#define MAX_SWEEP 100000

/* the last hold of a job, from its entries */
typedef struct Hold
{
	bool		exists;			/* the job has held credits at some time */
	pg_uuid_t	id;				/* of the entry that took them */
	int32		open;			/* credits held now; 0: no hold is open */
	int32		taken;			/* credits that the last hold took */
	int64		charged;		/* credits charged since it was taken */
	const Jsonb *metadata;		/* of the entry that took them, or NULL */
} Hold;

static Statement select_hold = {
	.text = "SELECT h.open, h.taken, h.last_id,"
	"       COALESCE((SELECT -pg_catalog.sum(u.amount) FROM @extschema@.credit_ledger u"
	"                  WHERE u.job_id = $1 AND u.user_id = $2 AND u.type = 'usage'"
	"                    AND u.entry_no > h.entry_no), 0)::pg_catalog.int8,"
	"       h.metadata"
	"  FROM (SELECT COALESCE(-pg_catalog.sum(l.amount), 0)::pg_catalog.int4 AS open,"
	"               COALESCE((pg_catalog.array_agg(-l.amount ORDER BY l.entry_no DESC)"
	"                         FILTER (WHERE l.amount < 0))[1], 0) AS taken,"
	"               (pg_catalog.array_agg(l.id ORDER BY l.entry_no DESC) FILTER (WHERE l.amount < 0))[1] AS last_id,"
	"               (pg_catalog.array_agg(l.metadata ORDER BY l.entry_no DESC) FILTER (WHERE l.amount < 0))[1] AS metadata,"
	"               pg_catalog.max(l.entry_no) FILTER (WHERE l.amount < 0) AS entry_no"
	"          FROM @extschema@.credit_ledger l"
	"         WHERE l.job_id = $1 AND l.user_id = $2 AND l.type = 'reserve') h",
	.fast_path = select_hold_fast_path,
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_stale_jobs = {
	.text = "SELECT j.id FROM @extschema@.credit_accounts a JOIN @extschema@.jobs j ON j.user_id = a.user_id"
	" WHERE a.reserved > 0 AND j.status IN ('READY', 'FAILED')"
	"   AND (SELECT pg_catalog.sum(l.amount) FROM @extschema@.credit_ledger l"
	"         WHERE l.job_id = j.id AND l.type = 'reserve') < 0"
	" ORDER BY j.id LIMIT $1",
	.nargs = 1,.argtypes = {INT4OID}
};
static Statement select_orphans = {
	.text = "SELECT l.user_id, l.id, -l.amount FROM @extschema@.credit_accounts a"
	"  JOIN @extschema@.credit_ledger l ON l.user_id = a.user_id"
	"  LEFT JOIN @extschema@.jobs j ON j.id = l.job_id"
	" WHERE a.reserved > 0 AND l.type = 'reserve' AND l.amount < 0 AND j.id IS NULL"
	"   AND l.reference IS NULL"
	"   AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger c WHERE c.reverses = l.id AND c.type = 'reserve')"
	" ORDER BY l.user_id, l.entry_no LIMIT $1",
	.nargs = 1,.argtypes = {INT4OID}
};
static Statement select_closing = {
	.text = "SELECT c.balance_after FROM @extschema@.credit_ledger c WHERE c.reverses = $1 AND c.type = 'reserve'",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement set_reserved = {
	.operation = &(const RowOperation)
	{
		.table = &jobs_table,.verb = ROW_UPDATE,.set = {SET_ARGUMENT(JOB_RESERVED), SET_NULL(JOB_FINAL)}
	}
};
static Statement set_final = {
	.operation = &(const RowOperation)
	{
		.table = &jobs_table,.verb = ROW_UPDATE,.set = {SET_ARGUMENT(JOB_FINAL)}
	}
};

/* Return the last hold of a job; call it with the job locked. */
static Hold
read_hold(const pg_uuid_t *job_id, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	Hold		hold;

	argument_uuid(&args, job_id);
	argument_uuid(&args, user_id);
	statement_execute(&select_hold, &args);
	hold.open = result_int32(1);
	hold.taken = result_int32(2);
	hold.exists = !result_isnull(3);
	if (hold.exists)
		hold.id = result_uuid(3);
	hold.charged = result_int64(4);
	hold.metadata = result_isnull(5) ? NULL : DatumGetJsonbPCopy(result_datum(5));
	return hold;
}

/* Run set_reserved or set_final on the row of a job. */
static void
write_job_cost(Statement *statement, const pg_uuid_t *job_id, int32 cost)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_int32(&args, cost);
	statement_execute(statement, &args);
}

/* ------------------------------------------------------------------------
 * Plain INSERTs
 * ------------------------------------------------------------------------ */

/*
 * Check a plain reserve entry that opens the hold of its job, and write the
 * amount to the job.  Raises PT409 if the job has ended or has an open hold.
 */
void
hold_check_opening(const Job *job, int32 amount)
{
	Hold		hold = read_hold(&job->id, &job->user_id);

	if (job_has_ended(job))
		refuse_conflict("job has ended", psprintf("Job %s.", uuid_text(&job->id)));
	if (hold.open > 0)
		refuse_conflict("credits are held differently",
						psprintf("Job %s holds %d already.", uuid_text(&job->id), hold.open));
	write_job_cost(&set_reserved, &job->id, amount);
}

/*
 * Check a plain reserve entry that closes the hold of its job, write what the
 * job has cost to it, and return the id of the entry that took the hold.  Raises
 * PT409 if the job holds another amount.
 */
pg_uuid_t
hold_check_closing(const Job *job, int32 amount)
{
	Hold		hold = read_hold(&job->id, &job->user_id);

	if (hold.open != amount)
		refuse_conflict("credits are held differently",
						psprintf("Job %s holds %d, not %d.", uuid_text(&job->id), hold.open, amount));
	write_job_cost(&set_final, &job->id, (int32) hold.charged);
	return hold.id;
}

/*
 * Check a plain usage entry of a job, and write what the job costs with it.
 * Raises PT409 while the hold is open: the usage would be charged twice, as part
 * of the hold and by itself.
 */
void
hold_record_usage(const Job *job, int32 amount)
{
	Hold		hold = read_hold(&job->id, &job->user_id);

	if (hold.open > 0)
		refuse_conflict("credits are held for this usage",
						psprintf("Job %s holds %d; close the hold first.", uuid_text(&job->id), hold.open));
	if (hold.charged - amount > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("price of the job out of range"),
				 errdetail("Job %s.", uuid_text(&job->id))));
	if (hold.exists)
		write_job_cost(&set_final, &job->id, (int32) (hold.charged - amount));
}

/* ------------------------------------------------------------------------
 * Opening and closing
 * ------------------------------------------------------------------------ */

/*
 * Take a hold for a job that has no open one: a new job, or one that is retried.
 * Returns false, with nothing written, if the account has too little.  Call it
 * with the job locked; where the account is locked too, locking it here reads it
 * again, see ledger_reread().
 */
bool
hold_take(const Job *job, int32 amount)
{
	Account		account;
	Entry		entry = {
		.user_id = &job->user_id,.job_id = &job->id,
		.type = "reserve",.amount = -amount,.note = "Reserved for job"
	};

	if (!ledger_lock_account(&job->user_id, &account) || !holds_prepare_spending(&account, amount))
		return false;
	entry.metadata = title_metadata(job);
	ledger_append(&entry);
	write_job_cost(&set_reserved, &job->id, amount);
	return true;
}

/*
 * Return the amount of the last hold of a job, 0 if there never was one.
 */
int32
hold_last_taken(const pg_uuid_t *job_id, const pg_uuid_t *user_id)
{
	return read_hold(job_id, user_id).taken;
}

/* Close an open hold and charge cost, which may be 0. */
static void
close_hold(const Job *job, const Account *account, const Hold *hold, int32 cost, const char *note)
{
	Entry		closing = {
		.user_id = &job->user_id,.job_id = &job->id,
		.type = "reserve",.amount = hold->open,.note = note,.reverses = &hold->id,.metadata = hold->metadata
	};
	Entry		usage = {
		.user_id = &job->user_id,.job_id = &job->id,
		.type = "usage",.amount = -cost,.note = "Charged for job",.metadata = hold->metadata
	};

	ledger_append(&closing);
	if (cost > 0)
		ledger_append(&usage);
	expire_returned_credit(account);
}

/* The balance when a hold was closed, what it held included; 0 if it is open. */
static int32
balance_at_closing(const pg_uuid_t *hold_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, hold_id);
	return statement_execute(&select_closing, &args) > 0 ? result_int32(1) : 0;
}

/* Settle a hold that is closed: return what was charged if the price is the same,
 * so that a retry gets the first answer, or raise PT409. */
static int32
replay_settlement(const Job *job, const Hold *hold, const int32 *final_cost, Overrun overrun)
{
	int32		cost;

	if (!hold->exists)
	{
		if (final_cost == NULL || *final_cost == 0)
			return 0;
		refuse_conflict("job has no hold to settle",
						psprintf("Job %s, price %d.", uuid_text(&job->id), *final_cost));
	}

	cost = overrun_replayed_price(hold->taken, final_cost, overrun,
								  overrun == OVERRUN_AVAILABLE ? balance_at_closing(&hold->id) : 0);
	if (cost != hold->charged)
		refuse_conflict("hold was closed differently",
						psprintf("Job %s was charged " INT64_FORMAT ", not %d.", uuid_text(&job->id), hold->charged, cost));
	return cost;
}

/* Settle the hold of a locked job and return what was charged; *closed is false
 * if the hold was closed before and nothing is written. */
static int32
settle(const Job *job, const int32 *final_cost, Overrun overrun, bool *closed)
{
	Account		account;
	Hold		hold = {.exists = false};
	int32		cost;

	*closed = false;
	if (ledger_lock_account(&job->user_id, &account))
		hold = read_hold(&job->id, &job->user_id);
	if (hold.open == 0)
		return replay_settlement(job, &hold, final_cost, overrun);

	/* what has expired must not be charged in the place of what was held */
	if (final_cost == NULL || *final_cost > 0)
		expiry_sweep_account(&account);
	cost = overrun_price(hold.open, final_cost, overrun, &account);
	close_hold(job, &account, &hold, cost, cost > 0 ? "Hold settled" : "Hold released");
	*closed = true;
	return cost;
}

/* ------------------------------------------------------------------------
 * The end of a job
 * ------------------------------------------------------------------------ */

/*
 * Set cost_credits_final in the new row of a job that becomes READY or FAILED.
 * The hold is read without locking the account: the row of the job is locked, so
 * that no other transaction can open or close it.
 */
static void
price_job(RowEdit *edit)
{
	pg_uuid_t	job_id = row_get_uuid(edit->desc, edit->row, "id");
	pg_uuid_t	user_id = row_get_uuid(edit->desc, edit->row, "user_id");
	const char *status = row_get_label(edit->desc, edit->row, "status");
	Hold		hold = read_hold(&job_id, &user_id);
	bool		no_price;

	(void) row_get(edit->desc, edit->row, "cost_credits_final", INT4OID, &no_price);
	if (hold.open > 0 && flow_state(&job_flow, status) == JOB_FAILED)
		row_set(edit, "cost_credits_final", INT4OID, Int32GetDatum(0));
	else if (hold.open > 0 && no_price)
		row_set(edit, "cost_credits_final", INT4OID, Int32GetDatum(hold.open));
	else if (hold.exists && no_price)
		row_set(edit, "cost_credits_final", INT4OID, Int32GetDatum((int32) hold.charged));
}

/*
 * price_ended_job() returns trigger: BEFORE UPDATE on jobs, the status becomes
 * READY or FAILED.
 */
Datum
price_ended_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_UPDATE, 0);
	RowEdit		edit = {.desc = RelationGetDescr(data->tg_relation),.row = data->tg_newtuple};
	Caller		caller;

	if (restoring())
		return PointerGetDatum(edit.row);

	caller_enter_trigger(&caller);
	price_job(&edit);
	caller_leave(&caller);
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * Settle the hold of a job that has become READY, release that of one that has
 * FAILED, and correct cost_credits_final where the charge is another.
 */
static void
close_hold_of_job(TupleDesc desc, HeapTuple row)
{
	Job			job;
	bool		isnull;
	int32		price;
	const int32 nothing = 0;
	bool		closed = false;
	int32		cost = 0;

	job.id = row_get_uuid(desc, row, "id");
	job.user_id = row_get_uuid(desc, row, "user_id");
	job.status = flow_state(&job_flow, row_get_label(desc, row, "status"));
	price = DatumGetInt32(row_get(desc, row, "cost_credits_final", INT4OID, &isnull));

	if (!isnull && price < 0)
		refuse_value("cost_credits_final", "0 or more");
	if (job.status == JOB_READY)
		cost = settle(&job, isnull ? NULL : &price, OVERRUN_ERROR, &closed);
	else if (read_hold(&job.id, &job.user_id).open > 0)
		cost = settle(&job, &nothing, OVERRUN_ERROR, &closed);
	if (closed && (isnull || price != cost))
		write_job_cost(&set_final, &job.id, cost);
}

/*
 * close_hold_of_ended_job() returns trigger: AFTER UPDATE on jobs, the status
 * became READY or FAILED.
 */
Datum
close_hold_of_ended_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_UPDATE, 0);
	Caller		caller;

	if (!restoring())
	{
		caller_enter_trigger(&caller);
		close_hold_of_job(RelationGetDescr(data->tg_relation), data->tg_newtuple);
		caller_leave(&caller);
	}
	return PointerGetDatum(NULL);
}

/*
 * forbid_owner_change_of_hold() returns trigger: BEFORE UPDATE on jobs, the user
 * changes.
 *
 * Raises PT409 while the job has an open hold: it is on the account of the old
 * user, and would be closed on that of the new one.
 */
Datum
forbid_owner_change_of_hold(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_UPDATE, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	pg_uuid_t	job_id = row_get_uuid(desc, data->tg_trigtuple, "id");
	pg_uuid_t	user_id = row_get_uuid(desc, data->tg_trigtuple, "user_id");
	Caller		caller;
	Hold		hold;

	if (restoring())
		return PointerGetDatum(data->tg_newtuple);

	caller_enter_trigger(&caller);
	hold = read_hold(&job_id, &user_id);
	if (hold.open > 0)
		refuse_conflict("job holds credits of its user",
						psprintf("Job %s holds %d.", uuid_text(&job_id), hold.open));
	caller_leave(&caller);
	return PointerGetDatum(data->tg_newtuple);
}

/*
 * return_hold_of_deleted_job() returns trigger: AFTER DELETE on jobs.
 *
 * By its name it fires before the foreign keys set the entries' job_id to NULL,
 * so that the hold can still be read.  The entry that closes it cannot name the
 * job, which is deleted.
 */
Datum
return_hold_of_deleted_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_DELETE, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	pg_uuid_t	job_id = row_get_uuid(desc, data->tg_trigtuple, "id");
	pg_uuid_t	user_id = row_get_uuid(desc, data->tg_trigtuple, "user_id");
	Account		account;
	Entry		entry = {.user_id = &user_id,.type = "reserve",.note = "Job deleted"};
	Hold		hold;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(NULL);

	caller_enter_trigger(&caller);
	hold = read_hold(&job_id, &user_id);
	entry.amount = hold.open;
	entry.reverses = &hold.id;
	entry.metadata = hold.metadata;

	/* the cascade of a deleted user may have deleted the account before */
	if (hold.open > 0 && ledger_lock_account(&user_id, &account))
	{
		ledger_append(&entry);
		expire_returned_credit(&account);
	}
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/* Return true if an update of a job ends it. */
static bool
change_ends_job(const RowChange *change)
{
	char	   *status = row_get_label(RelationGetDescr(change->rel), change->new, "status");
	int			state = flow_state(&job_flow, status);

	return state != UNKNOWN_STATE && flow_is_terminal(&job_flow, state);
}

/* The callback for price_ended_job(). */
static void
price_change(RowChange *change, const void *arg)
{
	RowEdit		edit = {.desc = RelationGetDescr(change->rel),.row = change->new};

	if (!change_ends_job(change))
		return;
	price_job(&edit);
	change->new = row_edit_apply(&edit);
}

/* The callback for close_hold_of_ended_job(). */
static void
close_hold_of_change(RowChange *change, const void *arg)
{
	if (change_ends_job(change))
		close_hold_of_job(RelationGetDescr(change->rel), change->new);
}

#define WHEN_ENDED \
	"WHEN (((old.status <> new.status) AND" \
	" (new.status = ANY (ARRAY['READY'::%.job_status, 'FAILED'::%.job_status])))) "

static const RowTrigger job_triggers[] = {
	{.name = "tr_jobs_price",
		.definition = "BEFORE UPDATE OF status ON %.jobs FOR EACH ROW " WHEN_ENDED
		"EXECUTE FUNCTION studio_engine.price_ended_job()",
	.column = JOB_STATUS,.before = price_change},
	{.name = "tr_jobs_close_hold",
		.definition = "AFTER UPDATE ON %.jobs FOR EACH ROW " WHEN_ENDED
		"EXECUTE FUNCTION studio_engine.close_hold_of_ended_job()",
	.column = JOB_STATUS,.after = close_hold_of_change,.writes = {&ledger_table, &accounts_table}},
	/* the fast path never writes user_id */
	{.name = "tr_jobs_keep_owner",
		.definition = "BEFORE UPDATE OF user_id ON %.jobs FOR EACH ROW "
		"WHEN ((old.user_id <> new.user_id)) "
		"EXECUTE FUNCTION studio_engine.forbid_owner_change_of_hold()",
	.idle = true}
};

/*
 * Register the callbacks for the triggers of this file.
 */
void
holds_register(void)
{
	layout_register_triggers(&jobs_table, job_triggers, lengthof(job_triggers));
}

/* ------------------------------------------------------------------------
 * Functions
 * ------------------------------------------------------------------------ */

/* reserve_credits() with the job locked; false if the account has too little. */
static bool
reserve(const Job *job, int32 amount)
{
	Account		account;
	Hold		hold;

	if (job_has_ended(job))
		refuse_conflict("job has ended", psprintf("Job %s.", uuid_text(&job->id)));
	if (!ledger_lock_account(&job->user_id, &account))
		return false;

	hold = read_hold(&job->id, &job->user_id);
	if (hold.open > 0 && hold.open != amount)
		refuse_conflict("credits are held differently",
						psprintf("Job %s holds %d, not %d.", uuid_text(&job->id), hold.open, amount));
	/* a late retry must not charge twice for one attempt */
	if (hold.charged > 0 && hold.taken != amount)
		refuse_conflict("job was charged already",
						psprintf("Job %s held %d and was charged " INT64_FORMAT ".", uuid_text(&job->id), hold.taken, hold.charged));
	return hold.open > 0 || hold.charged > 0 || hold_take(job, amount);
}

/*
 * reserve_credits(p_user_id uuid, p_job_id uuid, p_amount integer)
 * returns boolean
 */
Datum
reserve_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id,
				job_id;
	int32		amount;
	Job			job;
	bool		result;

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	job_id = check_uuid(fcinfo, 1, "p_job_id");
	amount = check_positive(fcinfo, 2, "p_amount");

	job_lock_or_refuse(&caller, &job_id, &job);
	if (!uuid_equal(&job.user_id, &user_id))
		refuse();
	result = reserve(&job, amount);
	caller_leave(&caller);

	PG_RETURN_BOOL(result);
}

/*
 * settle_credits(p_job_id uuid, p_final_cost integer, p_overrun text)
 * returns integer
 */
Datum
settle_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	const int32 *final_cost;
	int32		cost;
	Overrun		overrun;
	Job			job;
	bool		closed;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	final_cost = check_optional_int32(fcinfo, 1, "p_final_cost", 0, PG_INT32_MAX);
	overrun = parse_overrun(check_word(fcinfo, 2, "p_overrun", overrun_names, OVERRUNS));

	job_lock_or_refuse(&caller, &job_id, &job);
	cost = settle(&job, final_cost, overrun, &closed);
	if (closed)
		write_job_cost(&set_final, &job_id, cost);
	caller_leave(&caller);

	PG_RETURN_INT32(cost);
}

/* release_credits() with the job locked; returns what was released, now or before. */
static int32
release(const Job *job, const char *note)
{
	Account		account;
	Hold		hold;

	if (!ledger_lock_account(&job->user_id, &account))
		return 0;
	hold = read_hold(&job->id, &job->user_id);
	if (hold.open == 0)
	{
		if (hold.charged > 0)
			refuse_conflict("hold was closed differently",
							psprintf("Job %s was charged " INT64_FORMAT ".", uuid_text(&job->id), hold.charged));
		return hold.taken;
	}

	close_hold(job, &account, &hold, 0, note ? note : "Hold released");
	write_job_cost(&set_final, &job->id, 0);
	return hold.open;
}

/*
 * release_credits(p_job_id uuid, p_note text) returns integer
 */
Datum
release_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	char	   *note;
	Job			job;
	int32		released;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	note = check_text(fcinfo, 1, "p_note", 0, MAX_NOTE_LENGTH);

	job_lock_or_refuse(&caller, &job_id, &job);
	released = release(&job, note);
	caller_leave(&caller);

	PG_RETURN_INT32(released);
}

/* ------------------------------------------------------------------------
 * Stale holds
 * ------------------------------------------------------------------------ */

/* an open hold whose job does not exist */
typedef struct Orphan
{
	pg_uuid_t	user_id;
	pg_uuid_t	id;
	int32		amount;
} Orphan;

/* Add a row of select_orphans to a list of Orphan. */
static void
collect_orphan(HeapTuple row, TupleDesc desc, void *arg)
{
	List	  **orphans = arg;
	bool		isnull;
	Orphan	   *orphan = palloc(sizeof(Orphan));

	orphan->user_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	orphan->id = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
	orphan->amount = DatumGetInt32(SPI_getbinval(row, desc, 3, &isnull));
	*orphans = lappend(*orphans, orphan);
}

/*
 * Release the hold of an ended job; false if it is closed, or another session has
 * the job or the account locked.  The sweep has locked other accounts before, so
 * waiting for a lock could deadlock: both are tried, then read.
 */
static bool
release_stale_hold(const pg_uuid_t *job_id)
{
	Job			job;
	Account		account;
	Hold		hold;

	if (!job_try_lock(job_id, &job) || !job_has_ended(&job) ||
		!ledger_try_lock_account(&job.user_id) ||
		!ledger_lock_account(&job.user_id, &account))
		return false;
	hold = read_hold(job_id, &job.user_id);
	if (hold.open == 0)
		return false;
	close_hold(&job, &account, &hold, 0, "Stale hold released");
	write_job_cost(&set_final, job_id, 0);
	return true;
}

/* Release a hold whose job does not exist, as release_stale_hold() does. */
static bool
release_orphaned_hold(const Orphan *orphan)
{
	Arguments	args = NO_ARGUMENTS;
	Account		account;
	Entry		entry = {
		.user_id = &orphan->user_id,.type = "reserve",.amount = orphan->amount,
		.note = "Stale hold released",.reverses = &orphan->id
	};

	if (!ledger_try_lock_account(&orphan->user_id) ||
		!ledger_lock_account(&orphan->user_id, &account))
		return false;
	argument_uuid(&args, &orphan->id);
	if (statement_execute(&select_closing, &args) > 0)
		return false;
	ledger_append(&entry);
	expire_returned_credit(&account);
	return true;
}

/*
 * sweep_stale_holds(p_limit integer) returns integer
 */
Datum
sweep_stale_holds(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	StatementResult *outer;
	List	   *jobs;
	List	   *orphans = NIL;
	ListCell   *cell;
	int32		limit;
	int32		count = 0;

	caller_enter_service(&caller);
	limit = check_int32(fcinfo, 0, "p_limit", 1, MAX_SWEEP);
	argument_int32(&args, limit);
	jobs = statement_execute_uuids(&select_stale_jobs, &args);
	foreach(cell, jobs)
	{
		/* a scope of its own frees what it used */
		outer = statements_begin();
		count += release_stale_hold(lfirst(cell)) ? 1 : 0;
		statements_end(outer);
	}

	statement_execute_each(&select_orphans, &args, collect_orphan, &orphans);
	foreach(cell, orphans)
	{
		outer = statements_begin();
		if (count < limit && release_orphaned_hold(lfirst(cell)))
			count++;
		statements_end(outer);
	}
	if (count < limit)
		count += prices_sweep(limit - count);
	if (count < limit)
		count += reference_holds_sweep(limit - count);
	caller_leave(&caller);

	PG_RETURN_INT32(count);
}
