/*
 * ledger.c
 *	  Credits: the account, the append-only ledger, holds.
 *
 * An entry is always an INSERT into credit_ledger.  The trigger on it,
 * enter_in_ledger(), books the amount on the account and numbers the entry;
 * plain INSERTs and our functions take the same road.  What a job holds is
 * read from its entries: a hold is `reserve -N`, closing it is `reserve +N`,
 * so the sum of a job's reserve entries is minus its open hold, and there is
 * no second book to drift.
 *
 * Pitfall: a hold may be read only under the lock of its job, and a balance
 * only under the lock of its account, with a snapshot taken after the lock.
 * Whoever opens or closes a hold also writes the row of the job, so that a
 * REPEATABLE READ transaction with an old view of the ledger fails on the job
 * (40001) instead of acting on it.
 *
 * Lock order: job, then account.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "jobs.h"
#include "ledger.h"
#include "restore.h"
#include "statements.h"
#include "triggers.h"
#include "users.h"

PG_FUNCTION_INFO_V1(enter_in_ledger);
PG_FUNCTION_INFO_V1(verify_inserted_entries);
PG_FUNCTION_INFO_V1(guard_ledger);
PG_FUNCTION_INFO_V1(guard_account);
PG_FUNCTION_INFO_V1(price_ended_job);
PG_FUNCTION_INFO_V1(close_hold_of_ended_job);
PG_FUNCTION_INFO_V1(return_hold_of_deleted_job);
PG_FUNCTION_INFO_V1(get_credit_balance);
PG_FUNCTION_INFO_V1(reserve_credits);
PG_FUNCTION_INFO_V1(settle_credits);
PG_FUNCTION_INFO_V1(release_credits);
PG_FUNCTION_INFO_V1(grant_credits);
PG_FUNCTION_INFO_V1(purchase_credits);

#define MAX_KEY_LENGTH 255
#define MAX_NOTE_LENGTH 1000

/* an entry to be made; NULL pointers are SQL NULLs */
typedef struct Entry
{
	const pg_uuid_t *user_id;
	const char *type;
	int32		amount;
	const char *note;
	const pg_uuid_t *job_id;
	const char *payment_id;
	const char *key;
} Entry;

/* the last hold of a job, from its entries */
typedef struct Hold
{
	bool		exists;			/* there was a hold at some time */
	int32		open;			/* credits held now */
	int32		taken;			/* credits that the last hold took */
	int32		charged;		/* credits charged since it was taken */
} Hold;

typedef enum Overrun
{
	OVERRUN_ERROR,
	OVERRUN_CHARGE,
	OVERRUN_CAP
} Overrun;

static const char *const overrun_names[] = {"error", "charge", "cap"};

/* who is writing: our own entries were checked before they are inserted */
static bool own_entry = false;
static bool booking = false;

/* accounts that plain INSERTs of this transaction booked on */
static List *booked_accounts = NIL;

static Statement select_balance = {
	.text = "SELECT a.balance FROM @extschema@.credit_accounts a WHERE a.user_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_account = {
	.text = "SELECT a.balance, a.reserved FROM @extschema@.credit_accounts a WHERE a.user_id = $1 FOR NO KEY UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement insert_account = {
	.text = "INSERT INTO @extschema@.credit_accounts (user_id) VALUES ($1) ON CONFLICT (user_id) DO NOTHING",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement book_on_account = {
	.text = "UPDATE @extschema@.credit_accounts a"
	"   SET balance = a.balance + $2, reserved = a.reserved + $3,"
	"       entries = a.entries + 1, updated_at = pg_catalog.clock_timestamp()"
	" WHERE a.user_id = $1"
	" RETURNING a.balance, a.entries",
	.nargs = 3,.argtypes = {UUIDOID, INT4OID, INT4OID}
};
static Statement select_miscounted = {
	.text = "SELECT a.user_id::pg_catalog.text FROM @extschema@.credit_accounts a"
	" WHERE a.user_id = $1"
	"   AND a.entries <> COALESCE((SELECT pg_catalog.max(l.entry_no) FROM @extschema@.credit_ledger l"
	"                               WHERE l.user_id = $1), 0)",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement insert_entry = {
	.text = "INSERT INTO @extschema@.credit_ledger"
	" (user_id, type, amount, note, job_id, stripe_payment_id, idempotency_key)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
	.nargs = 7,.argtypes = {UUIDOID, TEXTOID, INT4OID, TEXTOID, UUIDOID, TEXTOID, TEXTOID}
};
static Statement select_hold = {
	.text = "SELECT h.open, h.taken, h.entry_no IS NOT NULL,"
	"       COALESCE((SELECT -pg_catalog.sum(u.amount) FROM @extschema@.credit_ledger u"
	"                  WHERE u.job_id = $1 AND u.type = 'usage' AND u.entry_no > h.entry_no), 0)::pg_catalog.int4"
	"  FROM (SELECT COALESCE(-pg_catalog.sum(l.amount), 0)::pg_catalog.int4 AS open,"
	"               COALESCE((pg_catalog.array_agg(-l.amount ORDER BY l.entry_no DESC)"
	"                         FILTER (WHERE l.amount < 0))[1], 0) AS taken,"
	"               pg_catalog.max(l.entry_no) FILTER (WHERE l.amount < 0) AS entry_no"
	"          FROM @extschema@.credit_ledger l WHERE l.job_id = $1 AND l.type = 'reserve') h",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement set_reserved = {
	.text = "UPDATE @extschema@.jobs SET cost_credits_reserved = $2, cost_credits_final = NULL WHERE id = $1",
	.nargs = 2,.argtypes = {UUIDOID, INT4OID}
};
static Statement set_final = {
	.text = "UPDATE @extschema@.jobs SET cost_credits_final = $2 WHERE id = $1",
	.nargs = 2,.argtypes = {UUIDOID, INT4OID}
};
static Statement select_by_key = {
	.text = "SELECT l.id, l.user_id, l.type, l.amount FROM @extschema@.credit_ledger l"
	" WHERE l.user_id = $1 AND l.idempotency_key = $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_by_payment = {
	.text = "SELECT l.id, l.user_id, l.type, l.amount FROM @extschema@.credit_ledger l"
	" WHERE l.stripe_payment_id = $1 AND l.type IN ('purchase', 'subscription') AND l.reverses IS NULL",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement select_job_exists = {
	.text = "SELECT 1 FROM @extschema@.jobs j WHERE j.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_account_exists = {
	.text = "SELECT 1 FROM @extschema@.credit_accounts a WHERE a.user_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* ------------------------------------------------------------------------
 * The account
 * ------------------------------------------------------------------------ */

/*
 * Lock the account of a user; false when there is none.
 */
bool
ledger_lock_account(const pg_uuid_t *user_id, Account *account)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	if (statement_run(&lock_account, &args) == 0)
		return false;

	account->user_id = *user_id;
	account->balance = result_int32(1);
	account->reserved = result_int32(2);
	return true;
}

/*
 * Lock the account of a user, opening it where there is none.
 */
void
ledger_open_account(const pg_uuid_t *user_id, Account *account)
{
	Arguments	args = NO_ARGUMENTS;

	if (ledger_lock_account(user_id, account))
		return;
	if (!user_exists(user_id))
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_NOT_FOUND),
				 errmsg("not found"),
				 errdetail("There is no user %s.", uuid_text(user_id))));

	argument_uuid(&args, user_id);
	statement_run(&insert_account, &args);
	if (!ledger_lock_account(user_id, account))
		elog(ERROR, "credit account was not opened");
}

void
refuse_no_credits(const Account *account, int64 wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_NO_CREDITS),
			 errmsg("not enough credits"),
			 errdetail("Balance %d, needed " INT64_FORMAT ".", account->balance, wanted),
			 errhint("Buy credits, or wait until a running job gives back what it holds.")));
}

pg_noreturn static void
refuse_conflict(const char *message, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_CONFLICT),
			 errmsg("%s", message),
			 errdetail("%s", detail)));
}

/*
 * Would the account overflow?  Balance and holds together must fit an integer,
 * so that giving a hold back never fails.
 */
static void
check_capacity(const Account *account, int32 amount)
{
	if ((int64) account->balance + account->reserved + amount > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance out of range"),
				 errdetail("Balance %d and holds of %d leave no room for %d more.",
						   account->balance, account->reserved, amount)));
}

/* ------------------------------------------------------------------------
 * Entries
 * ------------------------------------------------------------------------ */

/*
 * Make an entry that was checked.  This is the seam for writing the row
 * without SQL: everything that moves credits comes through here.
 */
static pg_uuid_t
append_entry(const Entry *entry)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, entry->user_id);
	argument_text(&args, entry->type);
	argument_int32(&args, entry->amount);
	argument_text(&args, entry->note);
	argument_uuid(&args, entry->job_id);
	argument_text(&args, entry->payment_id);
	argument_text(&args, entry->key);

	own_entry = true;
	PG_TRY();
	{
		/* a foreign trigger that drops the row would have us lose it quietly */
		if (statement_run(&insert_entry, &args) != 1)
			elog(ERROR, "a ledger entry was not stored");
	}
	PG_FINALLY();
	{
		own_entry = false;
	}
	PG_END_TRY();

	return result_uuid(1);
}

/* Book an entry on its account: the number of the entry and the new balance. */
static void
book_entry(const pg_uuid_t *user_id, int32 amount, int32 reserved, int32 *balance, int64 *entry_no)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	argument_int32(&args, amount);
	argument_int32(&args, reserved);

	booking = true;
	PG_TRY();
	{
		if (statement_run(&book_on_account, &args) != 1)
			elog(ERROR, "credit account disappeared");
	}
	PG_FINALLY();
	{
		booking = false;
	}
	PG_END_TRY();

	*balance = result_int32(1);
	*entry_no = result_int64(2);
}

/* The last hold of a job; call it with the job locked. */
static Hold
read_hold(const pg_uuid_t *job_id)
{
	Arguments	args = NO_ARGUMENTS;
	Hold		hold;

	argument_uuid(&args, job_id);
	statement_run(&select_hold, &args);
	hold.open = result_int32(1);
	hold.taken = result_int32(2);
	hold.exists = result_bool(3);
	hold.charged = result_int32(4);
	return hold;
}

static void
write_job_cost(Statement *statement, const pg_uuid_t *job_id, int32 cost)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, job_id);
	argument_int32(&args, cost);
	statement_run(statement, &args);
}

/* ------------------------------------------------------------------------
 * Plain INSERTs
 * ------------------------------------------------------------------------ */

pg_noreturn static void
refuse_entry(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("not a valid ledger entry"),
			 errdetail("%s", detail)));
}

/* Which sign may an amount of this type have?  An unknown type is left to the
 * check constraint. */
static void
check_sign(const char *type, int32 amount)
{
	static const char *const adding[] = {"purchase", "subscription", "grant", "refund"};
	static const char *const taking[] = {"usage", "expire"};

	if (amount == 0)
		refuse_entry("The amount is zero.");
	for (int i = 0; i < (int) lengthof(adding); i++)
	{
		if (strcmp(type, adding[i]) == 0 && amount < 0)
			refuse_entry("The amount of a purchase, subscription, grant or refund must be positive.");
	}
	for (int i = 0; i < (int) lengthof(taking); i++)
	{
		if (strcmp(type, taking[i]) == 0 && amount > 0)
			refuse_entry("The amount of a usage or expire must be negative.");
	}
}

/* Lock the job that a plain entry names. */
static void
lock_job_of_entry(const pg_uuid_t *job_id, const pg_uuid_t *user_id, Job *job)
{
	if (!job_lock(job_id, job))
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_NOT_FOUND),
				 errmsg("not found"),
				 errdetail("There is no job %s.", uuid_text(job_id))));
	if (!uuid_equal(&job->user_id, user_id))
		refuse();
}

/* A plain reserve entry opens or closes the hold of its job. */
static void
check_reserve_entry(const Job *job, const Account *account, int32 amount)
{
	Hold		hold = read_hold(&job->id);

	if (amount > 0)
	{
		if (hold.open != amount)
			refuse_conflict("credits are held differently",
							psprintf("Job %s holds %d, not %d.", uuid_text(&job->id), hold.open, amount));
		write_job_cost(&set_final, &job->id, hold.charged);
		return;
	}

	if (job_has_ended(job))
		refuse_conflict("job has ended", psprintf("Job %s.", uuid_text(&job->id)));
	if (hold.open > 0)
		refuse_conflict("credits are held differently",
						psprintf("Job %s holds %d already.", uuid_text(&job->id), hold.open));
	if (account->balance < -(int64) amount)
		refuse_no_credits(account, -(int64) amount);
	write_job_cost(&set_reserved, &job->id, -amount);
}

/* A plain usage entry of a job whose hold is closed raises what it cost. */
static void
note_usage_entry(const Job *job, int32 amount)
{
	Hold		hold = read_hold(&job->id);

	if (hold.exists && hold.open == 0)
		write_job_cost(&set_final, &job->id, hold.charged - amount);
}

/* The rules for an entry that did not come from our functions. */
static void
check_plain_entry(TupleDesc desc, HeapTuple row, const pg_uuid_t *user_id, const char *type, int32 amount)
{
	bool		isnull;
	bool		is_reserve = strcmp(type, "reserve") == 0;
	Datum		job_id;
	bool		no_job;
	Account		account;
	Job			job;

	check_sign(type, amount);
	(void) row_get(desc, row, "reverses", &isnull);
	if (!isnull)
		refuse_entry("Only reverse_purchase() sets reverses.");
	(void) row_get(desc, row, "expires_at", &isnull);
	if (!isnull)
		refuse_entry("Expiring credits are not supported yet.");

	job_id = row_get(desc, row, "job_id", &no_job);
	if (!no_job)
		lock_job_of_entry(DatumGetUUIDP(job_id), user_id, &job);
	ledger_open_account(user_id, &account);

	if (is_reserve && no_job)
		refuse_entry("A reserve needs the job that it is for.");
	if (is_reserve)
		check_reserve_entry(&job, &account, amount);
	else if (amount > 0)
		check_capacity(&account, amount);
	else
	{
		if (account.balance < -(int64) amount)
			refuse_no_credits(&account, -(int64) amount);
		if (!no_job && strcmp(type, "usage") == 0)
			note_usage_entry(&job, amount);
	}
}

/* Transaction end: the list went with its memory. */
static void
forget_booked_accounts(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			booked_accounts = NIL;
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

/* Remember to verify the account when the statement is over. */
static void
remember_booked_account(const pg_uuid_t *user_id)
{
	static bool registered = false;
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	if (!registered)
	{
		RegisterXactCallback(forget_booked_accounts, NULL);
		registered = true;
	}
	*copy = *user_id;
	booked_accounts = lappend(booked_accounts, copy);
	MemoryContextSwitchTo(old);
}

/*
 * enter_in_ledger() returns trigger: BEFORE INSERT on credit_ledger.
 */
Datum
enter_in_ledger(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	RowEdit		edit = {.desc = desc,.row = data->tg_trigtuple};
	bool		own = own_entry;
	bool		isnull;
	pg_uuid_t	user_id;
	char	   *type;
	int32		amount,
				balance;
	int64		entry_no;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(edit.row);

	user_id = row_get_uuid(desc, edit.row, "user_id");
	type = row_get_text(desc, edit.row, "type");
	amount = DatumGetInt32(row_get(desc, edit.row, "amount", &isnull));
	if (type == NULL || isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("not a valid ledger entry"),
				 errdetail("Type and amount must not be null.")));

	/* what our own statement does in turn is not its own entry */
	own_entry = false;
	caller_enter_trigger(&caller);
	if (!own)
	{
		check_plain_entry(desc, edit.row, &user_id, type, amount);
		remember_booked_account(&user_id);
	}
	book_entry(&user_id, amount, strcmp(type, "reserve") == 0 ? -amount : 0, &balance, &entry_no);
	caller_leave(&caller);
	own_entry = own;

	row_set(&edit, "balance_after", Int32GetDatum(balance));
	row_set(&edit, "entry_no", Int64GetDatum(entry_no));
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * verify_inserted_entries() returns trigger: AFTER INSERT on credit_ledger, for
 * the statement.  An entry is booked before it is stored; if it was not stored
 * after all (ON CONFLICT DO NOTHING, a foreign trigger), the account counts
 * more entries than there are, and the statement must not stand.
 */
Datum
verify_inserted_entries(PG_FUNCTION_ARGS)
{
	Caller		caller;
	ListCell   *cell;

	(void) trigger_data(fcinfo);
	if (own_entry || booked_accounts == NIL)
		return PointerGetDatum(NULL);

	caller_enter_trigger(&caller);
	foreach(cell, booked_accounts)
	{
		Arguments	args = NO_ARGUMENTS;

		argument_uuid(&args, (pg_uuid_t *) lfirst(cell));
		if (statement_run(&select_miscounted, &args) > 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a ledger entry was booked but not stored"),
					 errdetail("User %s.", result_text(1)),
					 errhint("credit_ledger does not take ON CONFLICT DO NOTHING; use grant_credits() with an idempotency key.")));
	}
	caller_leave(&caller);

	list_free_deep(booked_accounts);
	booked_accounts = NIL;
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Guards
 * ------------------------------------------------------------------------ */

pg_noreturn static void
refuse_change(const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the ledger is append-only"),
			 errhint("%s", hint)));
}

static bool
row_exists(Statement *statement, const pg_uuid_t *id)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	bool		found;

	argument_uuid(&args, id);
	caller_enter_trigger(&caller);
	found = statement_run(statement, &args) > 0;
	caller_leave(&caller);
	return found;
}

/* Is this UPDATE what the foreign key does when a job is deleted? */
static bool
only_forgets_deleted_job(TupleDesc desc, HeapTuple old, HeapTuple new)
{
	bool		was_null,
				is_null;
	Datum		job_id = row_get(desc, old, "job_id", &was_null);
	RowEdit		edit = {.desc = desc,.row = old};
	HeapTuple	expected;

	(void) row_get(desc, new, "job_id", &is_null);
	if (was_null || !is_null)
		return false;

	row_set_null(&edit, "job_id");
	expected = row_edit_apply(&edit);
	if (expected->t_len != new->t_len ||
		memcmp((char *) expected->t_data + SizeofHeapTupleHeader,
			   (char *) new->t_data + SizeofHeapTupleHeader,
			   new->t_len - SizeofHeapTupleHeader) != 0)
		return false;

	return !row_exists(&select_job_exists, DatumGetUUIDP(job_id));
}

/*
 * guard_ledger() returns trigger: BEFORE UPDATE, DELETE or TRUNCATE.
 */
Datum
guard_ledger(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	pg_uuid_t	user_id;

	if (restoring())
		return PointerGetDatum(trigger_result(data));

	if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
		refuse_change("Entries are corrected by further entries.");
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		if (!only_forgets_deleted_job(desc, data->tg_trigtuple, data->tg_newtuple))
			refuse_change("Entries are corrected by further entries.");
		return PointerGetDatum(data->tg_newtuple);
	}

	user_id = row_get_uuid(desc, data->tg_trigtuple, "user_id");
	if (row_exists(&select_account_exists, &user_id))
		refuse_change("Entries go with their user only.");
	return PointerGetDatum(data->tg_trigtuple);
}

/* A new account is empty. */
static bool
is_empty_account(TupleDesc desc, HeapTuple row)
{
	bool		isnull;

	return DatumGetInt32(row_get(desc, row, "balance", &isnull)) == 0 && !isnull &&
		DatumGetInt32(row_get(desc, row, "reserved", &isnull)) == 0 && !isnull &&
		DatumGetInt64(row_get(desc, row, "entries", &isnull)) == 0 && !isnull;
}

/*
 * guard_account() returns trigger: BEFORE INSERT, UPDATE, DELETE or TRUNCATE.
 */
Datum
guard_account(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	pg_uuid_t	user_id;
	Caller		caller;
	bool		allowed = false;

	if (restoring())
		return PointerGetDatum(trigger_result(data));

	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		allowed = booking;
	else if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		allowed = is_empty_account(desc, data->tg_trigtuple);
	else if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
	{
		user_id = row_get_uuid(desc, data->tg_trigtuple, "user_id");
		caller_enter_trigger(&caller);
		allowed = !user_exists(&user_id);
		caller_leave(&caller);
	}

	if (!allowed)
		refuse_change("Accounts change by ledger entries only.");
	return PointerGetDatum(trigger_result(data));
}

/* ------------------------------------------------------------------------
 * Holds
 * ------------------------------------------------------------------------ */

/*
 * Hold credits for a job that has no open hold, as a retry or a new job does.
 * False when the account has too little.  Call it with the job locked.
 */
bool
ledger_hold(const pg_uuid_t *user_id, const pg_uuid_t *job_id, int32 amount)
{
	Account		account;
	Entry		entry = {
		.user_id = user_id,.job_id = job_id,
		.type = "reserve",.amount = -amount,.note = "Reserved for job"
	};

	if (!ledger_lock_account(user_id, &account) || account.balance < amount)
		return false;
	append_entry(&entry);
	write_job_cost(&set_reserved, job_id, amount);
	return true;
}

/* Close an open hold and charge cost of it. */
static void
close_hold(const Job *job, const Hold *hold, int32 cost, const char *note)
{
	Entry		back = {
		.user_id = &job->user_id,.job_id = &job->id,
		.type = "reserve",.amount = hold->open,.note = note
	};
	Entry		usage = {
		.user_id = &job->user_id,.job_id = &job->id,
		.type = "usage",.amount = -cost,.note = "Charged for job"
	};

	append_entry(&back);
	if (cost > 0)
		append_entry(&usage);
}

/*
 * What a settlement at final_cost (NULL: the whole hold) charges.  Call it with
 * the account locked.
 */
static int32
price_of(const Hold *hold, const int32 *final_cost, Overrun overrun, const Account *account)
{
	if (final_cost == NULL)
		return hold->open;
	if (*final_cost <= hold->open)
		return *final_cost;

	switch (overrun)
	{
		case OVERRUN_ERROR:
			refuse_conflict("price exceeds the hold",
							psprintf("Price %d, held %d.", *final_cost, hold->open));
		case OVERRUN_CHARGE:
			if ((int64) account->balance + hold->open < *final_cost)
				refuse_no_credits(account, (int64) *final_cost - hold->open);
			return *final_cost;
		case OVERRUN_CAP:
			return hold->open;
	}
	return 0;					/* not reached */
}

/* Settling what is closed already: the same answer, or a conflict. */
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

	cost = final_cost ? *final_cost : hold->taken;
	if (overrun == OVERRUN_CAP)
		cost = Min(cost, hold->taken);
	if (cost != hold->charged)
		refuse_conflict("hold was closed differently",
						psprintf("Job %s was charged %d, not %d.", uuid_text(&job->id), hold->charged, cost));
	return cost;
}

/* Close the hold of a locked job; *closed tells whether anything moved. */
static int32
settle(const Job *job, const int32 *final_cost, Overrun overrun, bool *closed)
{
	Account		account;
	Hold		hold;
	int32		cost;

	*closed = false;
	if (!ledger_lock_account(&job->user_id, &account))
		return replay_settlement(job, &(Hold) {.exists = false}, final_cost, overrun);
	hold = read_hold(&job->id);
	if (hold.open == 0)
		return replay_settlement(job, &hold, final_cost, overrun);

	cost = price_of(&hold, final_cost, overrun, &account);
	close_hold(job, &hold, cost, cost > 0 ? "Hold settled" : "Hold released");
	*closed = true;
	return cost;
}

/*
 * price_ended_job() returns trigger: BEFORE UPDATE on jobs, the status becomes
 * READY or FAILED.  Reads the hold without locking the account: the row of the
 * job is locked, so nobody else can open or close it.
 */
Datum
price_ended_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	RowEdit		edit = {.desc = desc,.row = data->tg_newtuple};
	pg_uuid_t	job_id = row_get_uuid(desc, edit.row, "id");
	bool		has_price;
	Hold		hold;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(edit.row);

	caller_enter_trigger(&caller);
	hold = read_hold(&job_id);
	caller_leave(&caller);

	(void) row_get(desc, edit.row, "cost_credits_final", &has_price);
	has_price = !has_price;
	if (hold.open > 0)
	{
		bool		failed = strcmp(SPI_getvalue(edit.row, desc, SPI_fnumber(desc, "status")), "FAILED") == 0;

		if (failed)
			row_set(&edit, "cost_credits_final", Int32GetDatum(0));
		else if (!has_price)
			row_set(&edit, "cost_credits_final", Int32GetDatum(hold.open));
	}
	else if (hold.exists && !has_price)
		row_set(&edit, "cost_credits_final", Int32GetDatum(hold.charged));

	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * close_hold_of_ended_job() returns trigger: AFTER UPDATE on jobs, the status
 * became READY or FAILED.
 */
Datum
close_hold_of_ended_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	HeapTuple	row = data->tg_newtuple;
	Job			job;
	Caller		caller;
	bool		isnull;
	int32		price;
	bool		closed;

	if (restoring())
		return PointerGetDatum(NULL);

	job.id = row_get_uuid(desc, row, "id");
	job.user_id = row_get_uuid(desc, row, "user_id");
	job.status = job_status_of(SPI_getvalue(row, desc, SPI_fnumber(desc, "status")));
	price = DatumGetInt32(row_get(desc, row, "cost_credits_final", &isnull));

	if (!isnull && price < 0)
		refuse_value("cost_credits_final", "0 or more");

	/* a job that failed after it was charged stays charged */
	caller_enter_trigger(&caller);
	if (job.status == JOB_READY || read_hold(&job.id).open > 0)
		settle(&job, isnull ? NULL : &price, OVERRUN_ERROR, &closed);
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/*
 * return_hold_of_deleted_job() returns trigger: AFTER DELETE on jobs, before
 * the foreign keys empty the entries' job_id.  The entry that closes the hold
 * cannot name the job any more.
 */
Datum
return_hold_of_deleted_job(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	pg_uuid_t	job_id = row_get_uuid(desc, data->tg_trigtuple, "id");
	pg_uuid_t	user_id = row_get_uuid(desc, data->tg_trigtuple, "user_id");
	Account		account;
	Entry		entry = {.user_id = &user_id,.type = "reserve",.note = "Job deleted"};
	Caller		caller;

	if (restoring())
		return PointerGetDatum(NULL);

	caller_enter_trigger(&caller);
	entry.amount = read_hold(&job_id).open;
	/* when the user is being deleted, the account may have gone before */
	if (entry.amount > 0 && ledger_lock_account(&user_id, &account))
		append_entry(&entry);
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Functions
 * ------------------------------------------------------------------------ */

/*
 * get_credit_balance(p_user_id uuid) returns integer
 */
Datum
get_credit_balance(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	user_id;
	int32		balance = 0;

	caller_enter_user(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	caller_require_self(&caller, &user_id);
	argument_uuid(&args, &user_id);
	if (statement_read(&select_balance, &args) > 0)
		balance = result_int32(1);
	caller_leave(&caller);

	PG_RETURN_INT32(balance);
}

/* The part of reserve_credits() under the lock of the job. */
static bool
reserve(const Job *job, int32 amount)
{
	Account		account;
	Hold		hold;

	if (job_has_ended(job))
		refuse_conflict("job has ended", psprintf("Job %s.", uuid_text(&job->id)));
	if (!ledger_lock_account(&job->user_id, &account))
		return false;

	hold = read_hold(&job->id);
	if (hold.open > 0 && hold.open != amount)
		refuse_conflict("credits are held differently",
						psprintf("Job %s holds %d, not %d.", uuid_text(&job->id), hold.open, amount));
	return hold.open > 0 || ledger_hold(&job->user_id, &job->id, amount);
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

static Overrun
check_overrun(FunctionCallInfo fcinfo, int argno)
{
	char	   *name = check_word(fcinfo, argno, "p_overrun", overrun_names, lengthof(overrun_names));

	for (int i = 0; i < (int) lengthof(overrun_names); i++)
	{
		if (strcmp(name, overrun_names[i]) == 0)
			return (Overrun) i;
	}
	return OVERRUN_ERROR;		/* not reached */
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
	int32		final_cost = 0,
				cost;
	Overrun		overrun;
	Job			job;
	bool		closed;

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	if (!PG_ARGISNULL(1))
		final_cost = check_int32(fcinfo, 1, "p_final_cost", 0, PG_INT32_MAX);
	overrun = check_overrun(fcinfo, 2);

	job_lock_or_refuse(&caller, &job_id, &job);
	cost = settle(&job, PG_ARGISNULL(1) ? NULL : &final_cost, overrun, &closed);
	if (closed)
		write_job_cost(&set_final, &job_id, cost);
	caller_leave(&caller);

	PG_RETURN_INT32(cost);
}

/* The part of release_credits() under the lock of the job. */
static int32
release(const Job *job, const char *note)
{
	Account		account;
	Hold		hold;

	if (!ledger_lock_account(&job->user_id, &account))
		return 0;
	hold = read_hold(&job->id);
	if (hold.open == 0)
	{
		if (hold.charged > 0)
			refuse_conflict("hold was closed differently",
							psprintf("Job %s was charged %d.", uuid_text(&job->id), hold.charged));
		return hold.taken;
	}

	close_hold(job, &hold, 0, note ? note : "Hold released");
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
 * Credits coming in
 * ------------------------------------------------------------------------ */

/*
 * Was this entry made before?  True sets *id.  The key or payment decides;
 * other content under it is a conflict.
 */
static bool
find_replay(Statement *statement, const Arguments *args, const Entry *entry, pg_uuid_t *id)
{
	pg_uuid_t	user_id;

	if (statement_run(statement, args) == 0)
		return false;

	*id = result_uuid(1);
	user_id = result_uuid(2);
	if (!uuid_equal(&user_id, entry->user_id) ||
		strcmp(result_text(3), entry->type) != 0 ||
		result_int32(4) != entry->amount)
		refuse_conflict("key was used for something else",
						psprintf("Entry %s.", uuid_text(id)));
	return true;
}

static bool
find_by_key(const Entry *entry, pg_uuid_t *id)
{
	Arguments	args = NO_ARGUMENTS;

	if (entry->key == NULL)
		return false;
	argument_uuid(&args, entry->user_id);
	argument_text(&args, entry->key);
	return find_replay(&select_by_key, &args, entry, id);
}

static bool
find_by_payment(const Entry *entry, pg_uuid_t *id)
{
	Arguments	args = NO_ARGUMENTS;

	if (entry->payment_id == NULL)
		return false;
	argument_text(&args, entry->payment_id);
	return find_replay(&select_by_payment, &args, entry, id);
}

/*
 * Make an entry that adds credits, or find the one that was made before.  The
 * account lock stands before the search, so a replay that runs at the same
 * time finds what the first one made.
 */
static pg_uuid_t
add_credits(const Entry *entry)
{
	Account		account;
	pg_uuid_t	id;

	ledger_open_account(entry->user_id, &account);
	if (find_by_key(entry, &id) || find_by_payment(entry, &id))
		return id;
	check_capacity(&account, entry->amount);
	return append_entry(entry);
}

/*
 * The same for a payment: the id is unique over all users, and two users'
 * accounts do not exclude each other, so the index may be what notices.
 */
static pg_uuid_t
add_paid_credits(const Entry *entry)
{
	MemoryContext context = CurrentMemoryContext;
	pg_uuid_t	id;

	PG_TRY();
	{
		id = add_credits(entry);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION ||
			error->constraint_name == NULL ||
			strcmp(error->constraint_name, "idx_credit_payment") != 0)
			PG_RE_THROW();
		FlushErrorState();
		refuse_conflict("key was used for something else",
						"The payment was booked for another user.");
	}
	PG_END_TRY();

	return id;
}

static void
check_no_expiry(FunctionCallInfo fcinfo, int argno)
{
	if (!PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("expiring credits are not supported yet"),
				 errhint("Leave p_expires_at out.")));
}

/*
 * grant_credits(p_user_id uuid, p_amount integer, p_note text,
 * p_idempotency_key text, p_expires_at timestamptz) returns uuid
 */
Datum
grant_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	Entry		entry = {.user_id = &user_id,.type = "grant"};

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	entry.amount = check_positive(fcinfo, 1, "p_amount");
	entry.note = check_text(fcinfo, 2, "p_note", 0, MAX_NOTE_LENGTH);
	if (!PG_ARGISNULL(3))
		entry.key = check_text(fcinfo, 3, "p_idempotency_key", 1, MAX_KEY_LENGTH);
	check_no_expiry(fcinfo, 4);
	*id = add_credits(&entry);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

/*
 * purchase_credits(p_user_id uuid, p_amount integer, p_stripe_payment_id text,
 * p_note text, p_expires_at timestamptz) returns uuid
 */
Datum
purchase_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	Entry		entry = {.user_id = &user_id,.type = "purchase"};

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	entry.amount = check_positive(fcinfo, 1, "p_amount");
	entry.payment_id = check_text(fcinfo, 2, "p_stripe_payment_id", 1, MAX_KEY_LENGTH);
	entry.note = check_text(fcinfo, 3, "p_note", 0, MAX_NOTE_LENGTH);
	check_no_expiry(fcinfo, 4);
	*id = add_paid_credits(&entry);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

/*
 * The welcome grant of sign-up, once per user; 0 opens the account only.
 */
void
ledger_welcome(const pg_uuid_t *user_id, int32 amount)
{
	Account		account;
	Entry		entry = {
		.user_id = user_id,.type = "grant",.amount = amount,
		.note = "Welcome bonus: 1 free video trial",.key = "welcome"
	};
	Arguments	args = NO_ARGUMENTS;

	ledger_open_account(user_id, &account);
	argument_uuid(&args, user_id);
	argument_text(&args, entry.key);
	if (amount <= 0 || statement_run(&select_by_key, &args) > 0)
		return;
	check_capacity(&account, amount);
	(void) append_entry(&entry);
}
