/*
 * prices.c
 *	  Prices of studio jobs and renderings, where settings give them one.
 *
 * A job gets its price when it is inserted, by whatever writes it, and keeps it: it is
 * in cost_credits_reserved of its row.  The price is held while the job is open, and
 * charged or given back when it ends.  The hold is one by reference, without an
 * expiry; its reference is the table and the id of the job.
 *
 * Pitfall: a reference may be anybody's, so that the hold of a job is told by its
 * metadata, which only this file writes.
 *
 * Lock order: job, then account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "caller.h"
#include "errors.h"
#include "expiry.h"
#include "flows.h"
#include "job_rows.h"
#include "ledger.h"
#include "ledger_rows.h"
#include "prices.h"
#include "reference_holds.h"
#include "restore.h"
#include "settings.h"
#include "statements.h"
#include "statuses.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(price_new_job);
PG_FUNCTION_INFO_V1(keep_price);

/* a table of jobs with a price */
typedef struct Priced
{
	const Workflow *flow;		/* its name is that of the table */
	int			succeeded;
	Setting		setting;
	const char *note;			/* of the hold */
} Priced;

static const Priced priced[] = {
	{&studio_flow, STUDIO_COMPLETE, SETTING_PRICE_STUDIO_JOB, "Reserved for studio job"},
	{&render_flow, RENDER_COMPLETED, SETTING_PRICE_RENDERING, "Reserved for rendering"}
};

/* a row of such a table */
typedef struct PricedJob
{
	pg_uuid_t	id;
	pg_uuid_t	user_id;
	bool		has_user;
	int			status;
	bool		ended;
	int32		price;
} PricedJob;

static Statement select_open_price = {
	.force_index_plan = true,
	.text = "SELECT l.id FROM @extschema@.credit_ledger l"
	" WHERE l.user_id = $1 AND l.reference = $2 AND l.type = 'reserve' AND l.amount < 0"
	"   AND pg_catalog.jsonb_exists(l.metadata, '" PRICE_OF "')"
	"   AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger c WHERE c.reverses = l.id AND c.type = 'reserve')",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};

static Statement select_stale_prices = {
	.text = "SELECT l.id" STALE_PRICES
	" AND EXISTS (SELECT 1 FROM @extschema@.credit_accounts a WHERE a.user_id = l.user_id AND a.reserved > 0)"
	" ORDER BY l.user_id, l.entry_no LIMIT $1",
	.nargs = 1,.argtypes = {INT4OID}
};

/* Return the kind of jobs that the argument of a trigger names. */
static const Priced *
priced_of_trigger(const TriggerData *data)
{
	for (int i = 0; i < (int) lengthof(priced); i++)
	{
		if (strcmp(data->tg_trigger->tgargs[0], priced[i].flow->name) == 0)
			return &priced[i];
	}
	refuse_value("the argument of the trigger", "studio_jobs or mm_rendering_queue");
}

/* Read the row of a job. */
static PricedJob
read_job(const Priced *kind, TupleDesc desc, HeapTuple row)
{
	PricedJob	job;
	bool		isnull;
	Datum		user_id = row_get(desc, row, "user_id", UUIDOID, &isnull);
	char	   *status = row_get_label(desc, row, kind->flow->column);

	job.has_user = !isnull;
	if (job.has_user)
		job.user_id = *DatumGetUUIDP(user_id);
	job.id = row_get_uuid(desc, row, kind->flow->id_column);
	job.status = status ? flow_state(kind->flow, status) : UNKNOWN_STATE;
	job.ended = job.status != UNKNOWN_STATE && flow_is_terminal(kind->flow, job.status);
	job.price = DatumGetInt32(row_get(desc, row, "cost_credits_reserved", INT4OID, &isnull));
	if (isnull)
		job.price = 0;
	return job;
}

/* The reference of the hold of a job. */
static char *
price_reference(const Priced *kind, const PricedJob *job)
{
	return psprintf("%s:%s", kind->flow->name, uuid_text(&job->id));
}

/* Hold the price of a job; PT402 if its user has too little. */
static void
hold_price(const Priced *kind, const PricedJob *job)
{
	Account		account;
	Entry		entry = {
		.user_id = &job->user_id,.type = "reserve",.amount = -job->price,
		.note = kind->note,.reference = price_reference(kind, job)
	};

	if (job->price <= 0 || !job->has_user)
		return;
	ledger_open_account(&job->user_id, &account);
	holds_require_credits(&account, job->price);
	entry.metadata = ledger_metadata(psprintf("{\"" PRICE_OF "\": \"%s\"}", kind->flow->name));
	(void) ledger_append(&entry);
}

/* Find the open hold of a job; returns false if there is none. */
static bool
find_price(const Priced *kind, const PricedJob *job, pg_uuid_t *hold_id)
{
	Arguments	args = NO_ARGUMENTS;

	if (!job->has_user)
		return false;
	argument_uuid(&args, &job->user_id);
	argument_text(&args, price_reference(kind, job));
	if (statement_execute(&select_open_price, &args) == 0)
		return false;
	*hold_id = result_uuid(1);
	return true;
}

/* Close the hold of a job, if one is open: charge it, or give it back.  The account may
 * be gone: a cascade of a deleted user reaches accounts and jobs in any order. */
static void
close_price(const Priced *kind, const PricedJob *job, bool charge)
{
	pg_uuid_t	hold_id;
	ReferenceHold hold;
	Account		account;

	if (!find_price(kind, job, &hold_id) || !ledger_lock_account(&job->user_id, &account) ||
		!reference_hold_read(&hold_id, &hold) || hold.closed)
		return;
	/* what has expired must not be charged in the place of what was held */
	if (charge)
		expiry_sweep_account(&account);
	reference_hold_close(&hold, &account, charge ? hold.amount : 0, charge ? "Hold captured" : "Hold released");
}

/*
 * Lock the account to which the price of a job returns when it fails, if there is one,
 * without waiting; false if it is locked already.
 */
bool
price_try_lock_payer(const Workflow *flow, const pg_uuid_t *job_id, const pg_uuid_t *user_id)
{
	PricedJob	job = {.id = *job_id,.user_id = *user_id,.has_user = true};
	pg_uuid_t	hold_id;

	for (int i = 0; i < (int) lengthof(priced); i++)
	{
		if (priced[i].flow == flow && find_price(&priced[i], &job, &hold_id))
			return ledger_try_lock_payer(user_id);
	}
	return true;
}

/* Raise PT409 if an open hold would be lost to a job of another id, or another user. */
static void
refuse_moved_price(const Priced *kind, const PricedJob *old)
{
	pg_uuid_t	hold_id;

	if (find_price(kind, old, &hold_id))
		refuse_conflict("job holds credits of its user", psprintf("Job %s.", uuid_text(&old->id)));
}

/* Do what an update of a job does to its hold. */
static void
update_price(const Priced *kind, const PricedJob *old, const PricedJob *new)
{
	bool		orphaned = old->has_user && !new->has_user;

	if (!uuid_equal(&old->id, &new->id) ||
		(old->has_user && new->has_user && !uuid_equal(&old->user_id, &new->user_id)))
		refuse_moved_price(kind, old);
	/* a rendering outlives its user */
	if (orphaned)
		close_price(kind, old, false);
	else if (!old->ended && new->ended)
		close_price(kind, new, new->status == kind->succeeded);
	else if (old->ended && !new->ended)
		hold_price(kind, new);
}

/* Hold the price of an inserted job, whose statement may have gone on with the row. */
static void
hold_new_price(const Priced *kind, const TriggerData *data)
{
	HeapTuple	row = trigger_current_row(data);
	pg_uuid_t	hold_id;
	PricedJob	job;

	if (row == NULL)
		return;
	job = read_job(kind, RelationGetDescr(data->tg_relation), row);
	/* a job that was retried has its hold already */
	if (row == data->tg_trigtuple || (!job.ended && !find_price(kind, &job, &hold_id)))
		hold_price(kind, &job);
}

/*
 * price_new_job(table) returns trigger: BEFORE INSERT.
 *
 * Sets cost_credits_reserved to the price of a job that is open and has a user, and
 * to 0 otherwise, whatever the row says.
 */
Datum
price_new_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT, 1);
	const Priced *kind = priced_of_trigger(data);
	RowEdit		edit = {.desc = RelationGetDescr(data->tg_relation),.row = data->tg_trigtuple};
	PricedJob	job;
	int32		price;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(edit.row);

	job = read_job(kind, edit.desc, edit.row);
	caller_enter_trigger(&caller);
	price = job.ended || !job.has_user ? 0 : setting_int32(kind->setting);
	caller_leave(&caller);
	if (price != job.price)
		row_set(&edit, "cost_credits_reserved", INT4OID, Int32GetDatum(price));
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * keep_price(table) returns trigger: AFTER INSERT, UPDATE or DELETE of a job that
 * has a price.
 *
 * Holds the price of a new job, and of one that is retried; charges it when the job
 * has succeeded, and gives it back when the job has failed or is deleted.
 */
Datum
keep_price(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT | ON_UPDATE | ON_DELETE, 1);
	const Priced *kind = priced_of_trigger(data);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	PricedJob	job;
	PricedJob	new;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(NULL);

	job = read_job(kind, desc, data->tg_trigtuple);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		new = read_job(kind, desc, data->tg_newtuple);
	caller_enter_trigger(&caller);
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		hold_new_price(kind, data);
	else if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		close_price(kind, &job, false);
	else
		update_price(kind, &job, &new);
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/* Give back a hold whose job has ended or is gone; false if it is closed, or another
 * session has the account locked.  No job has to be locked: a job that is tried again
 * takes another hold. */
static bool
release_stale(const pg_uuid_t *hold_id)
{
	ReferenceHold hold;
	Account		account;

	if (!reference_hold_read(hold_id, &hold) || !ledger_try_lock_account(&hold.user_id) ||
		!ledger_lock_account(&hold.user_id, &account) || !reference_hold_read(hold_id, &hold) || hold.closed)
		return false;
	reference_hold_close(&hold, &account, 0, "Stale hold released");
	return true;
}

/*
 * Give back holds of jobs that have ended or are gone, at most limit; returns their
 * number.
 */
int32
prices_sweep(int32 limit)
{
	Arguments	args = NO_ARGUMENTS;
	StatementResult *outer;
	ListCell   *cell;
	int32		count = 0;

	argument_int32(&args, limit);
	foreach(cell, statement_execute_uuids(&select_stale_prices, &args))
	{
		outer = statements_begin();
		count += release_stale(lfirst(cell)) ? 1 : 0;
		statements_end(outer);
	}
	return count;
}

/* The callback for keep_price(). */
static void
keep_price_of_change(RowChange *change, const void *arg)
{
	const Priced *kind = arg;
	TupleDesc	desc = RelationGetDescr(change->rel);
	PricedJob	old = read_job(kind, desc, change->old);
	PricedJob	new;

	if (old.price <= 0)
		return;
	new = read_job(kind, desc, change->new);
	update_price(kind, &old, &new);
}

static const RowTrigger studio_triggers[] = {
	{.name = "tr_studio_jobs_keep_price",
		.definition = "AFTER UPDATE ON %.studio_jobs FOR EACH ROW "
		"WHEN (((old.cost_credits_reserved > 0) AND ((old.status <> new.status)"
		" OR (old.job_id <> new.job_id) OR (old.user_id <> new.user_id)))) "
		"EXECUTE FUNCTION studio_engine.keep_price('studio_jobs')",
	.column = STUDIO_STATUS,.after = keep_price_of_change,.arg = &priced[0],.writes = {&ledger_table, &accounts_table}}
};

/*
 * Register the callback for the trigger of this file.
 */
void
prices_register(void)
{
	layout_register_triggers(&studio_jobs_table, studio_triggers, lengthof(studio_triggers));
}
