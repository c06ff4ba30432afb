/*
 * ledger_triggers.c
 *	  The triggers of credit_ledger and credit_accounts: they check plain
 *	  INSERTs by the rules of the extension's functions, book every entry, and
 *	  refuse all other changes of the two tables.
 *
 * Pitfall: an entry is booked before it is stored.  Whether it was stored can be
 * checked only at the end of the statement: verify_inserted_entries().
 *
 * Lock order: job, then account, then the digest of a payment.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "auth_users.h"
#include "caller.h"
#include "digests.h"
#include "errors.h"
#include "expiry.h"
#include "holds.h"
#include "jobs.h"
#include "ledger.h"
#include "ledger_rows.h"
#include "ledger_triggers.h"
#include "reference_holds.h"
#include "refunds.h"
#include "restore.h"
#include "statements.h"
#include "stripe_payments.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(enter_in_ledger);
PG_FUNCTION_INFO_V1(verify_inserted_entries);
PG_FUNCTION_INFO_V1(guard_ledger);
PG_FUNCTION_INFO_V1(guard_account);

/* an entry that a plain INSERT booked and that is not verified yet */
typedef struct BookedEntry
{
	pg_uuid_t	user_id;
	int64		entry_no;
	int32		amount;
	SubTransactionId subxact;
} BookedEntry;

static List *booked_entries = NIL;

/* the hold that a plain entry closes, if it closes one */
typedef struct HoldClosing
{
	bool		closes;
	pg_uuid_t	hold_id;
} HoldClosing;

static Statement select_booked_entry = {
	.force_index_plan = true,
	.text = "SELECT CASE WHEN l.type IN ('purchase', 'subscription') AND l.reverses IS NULL THEN l.stripe_payment_id END"
	" FROM @extschema@.credit_ledger l"
	" WHERE l.user_id = $1 AND l.entry_no = $2 AND l.amount = $3",
	.nargs = 3,.argtypes = {UUIDOID, INT8OID, INT4OID}
};
static Statement select_job_exists = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.jobs j WHERE j.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

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

/* Raise an error if the amount has the wrong sign for its type; an unknown type
 * is left to the check constraint. */
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

/* Raise an error if the entry has an expiry that it cannot have. */
static void
check_expiry(TupleDesc desc, HeapTuple row, const char *type, int32 amount)
{
	bool		isnull;
	Datum		expires_at = row_get(desc, row, "expires_at", TIMESTAMPTZOID, &isnull);

	if (isnull)
		return;
	if (TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(expires_at)))
		refuse_entry("An expiry must be finite.");
	if (amount < 0 || strcmp(type, "refund") == 0 || strcmp(type, "reserve") == 0)
		refuse_entry("Only a purchase, subscription or grant can expire.");
}

/* Raise an error if the entry has a priority that it cannot have, or columns that only
 * the functions set. */
static void
check_function_columns(TupleDesc desc, HeapTuple row, const char *type, int32 amount)
{
	bool		no_reverses,
				no_transfer,
				no_priority;

	(void) row_get(desc, row, "reverses", UUIDOID, &no_reverses);
	(void) row_get(desc, row, "transfer_id", UUIDOID, &no_transfer);
	(void) row_get(desc, row, "priority", INT4OID, &no_priority);
	if (!no_reverses || !no_transfer)
		refuse_entry("reverses and transfer_id are set by the functions only.");
	if (!no_priority && (amount < 0 || strcmp(type, "reserve") == 0))
		refuse_entry("Only an entry that adds credit can have a priority.");
}

/* Raise an error if the entry would be taken for one of a hold by reference. */
static void
check_hold_columns(TupleDesc desc, HeapTuple row, const char *type)
{
	const char *key = row_get_start(desc, row, "idempotency_key", strlen(CAPTURES));

	if (strcmp(type, "reserve") == 0 && row_get_start(desc, row, "reference", 1) != NULL)
		refuse_entry("Only hold_credits() makes a reserve with a reference.");
	if (strcmp(type, "usage") == 0 && key != NULL && strcmp(key, CAPTURES) == 0)
		refuse_entry("Only capture_hold() makes a usage with such a key.");
}

/* Lock the account and check an entry that takes credit; what has expired is swept
 * first, so that it cannot be taken. */
static void
check_debit_entry(const pg_uuid_t *user_id, const Job *job, const char *type, int32 amount)
{
	Account		account;

	ledger_open_account(user_id, &account);
	expiry_sweep_account(&account);

	if (strcmp(type, "reserve") == 0)
		hold_check_opening(job, -amount);
	if (account.balance < -(int64) amount &&
		!(holds_return_expired(&account, -(int64) amount) && account.balance >= -(int64) amount))
		refuse_no_credits(&account, -(int64) amount);
	if (job && strcmp(type, "usage") == 0)
		hold_record_usage(job, amount);
}

/* Lock the account and check an entry that adds credit or, as a reserve, releases
 * what a job holds. */
static void
check_credit_entry(const pg_uuid_t *user_id, const Job *job, const char *type, int32 amount, HoldClosing *closing)
{
	Account		account;

	ledger_open_account(user_id, &account);
	if (strcmp(type, "reserve") == 0)
	{
		closing->hold_id = hold_check_closing(job, amount);
		closing->closes = true;
		return;
	}
	if (job && strcmp(type, "refund") == 0)
		refund_check(job, amount);
	ledger_check_capacity(&account, amount);
}

/* Check an entry that does not come from ledger_append(). */
static void
check_plain_entry(TupleDesc desc, HeapTuple row, const pg_uuid_t *user_id,
				  const char *type, int32 amount, HoldClosing *closing)
{
	bool		no_job;
	Datum		job_id = row_get(desc, row, "job_id", UUIDOID, &no_job);
	Job			job;

	check_sign(type, amount);
	check_expiry(desc, row, type, amount);
	check_function_columns(desc, row, type, amount);
	check_hold_columns(desc, row, type);
	if (no_job && strcmp(type, "reserve") == 0)
		refuse_entry("A reserve needs the job that it is for.");

	if (!no_job)
	{
		if (!job_lock(DatumGetUUIDP(job_id), &job))
			refuse_missing("job", DatumGetUUIDP(job_id));
		if (!uuid_equal(&job.user_id, user_id))
			refuse();
	}
	if (amount < 0)
		check_debit_entry(user_id, no_job ? NULL : &job, type, amount);
	else
		check_credit_entry(user_id, no_job ? NULL : &job, type, amount, closing);
}

/* At the end of a transaction: reset the list, whose memory is freed. */
static void
reset_booked_entries(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			booked_entries = NIL;
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

/* A savepoint is rolled back: what was booked since is rolled back as well. */
static void
remove_rolled_back_entries(SubXactEvent event, SubTransactionId subxact, SubTransactionId parent, void *arg)
{
	ListCell   *cell;

	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(cell, booked_entries)
	{
		if (((BookedEntry *) lfirst(cell))->subxact >= subxact)
			booked_entries = foreach_delete_current(booked_entries, cell);
	}
}

/* Put an entry on the list that verify_inserted_entries() checks. */
static void
record_booked_entry(const pg_uuid_t *user_id, int64 entry_no, int32 amount)
{
	static bool registered = false;
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	BookedEntry *booked = palloc(sizeof(BookedEntry));

	if (!registered)
	{
		RegisterXactCallback(reset_booked_entries, NULL);
		RegisterSubXactCallback(remove_rolled_back_entries, NULL);
		registered = true;
	}
	booked->user_id = *user_id;
	booked->entry_no = entry_no;
	booked->amount = amount;
	booked->subxact = GetCurrentSubTransactionId();
	booked_entries = lappend(booked_entries, booked);
	MemoryContextSwitchTo(old);
}

/* Put an entry that expires on the list of lots, or of holds, to sweep. */
static void
track(const pg_uuid_t *entry_id, const pg_uuid_t *user_id, int32 amount, TimestampTz expires_at)
{
	if (amount < 0)
		reference_hold_track(entry_id, user_id, expires_at);
	else
		expiry_track(entry_id, user_id, expires_at);
}

/* Put a new entry on the list, if it expires. */
static void
track_expiry(TupleDesc desc, HeapTuple row, const pg_uuid_t *user_id, int32 amount)
{
	bool		isnull;
	Datum		expires_at = row_get(desc, row, "expires_at", TIMESTAMPTZOID, &isnull);
	pg_uuid_t	entry_id;

	if (isnull)
		return;
	entry_id = row_get_uuid(desc, row, "id");
	track(&entry_id, user_id, amount, DatumGetTimestampTz(expires_at));
}

/*
 * enter_in_ledger() returns trigger: BEFORE INSERT on credit_ledger.
 *
 * Checks an entry of a plain INSERT, books every entry and sets entry_no and
 * balance_after.
 */
Datum
enter_in_ledger(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	RowEdit		edit = {.desc = desc,.row = data->tg_trigtuple};
	bool		own = ledger_is_appending();
	bool		isnull;
	HoldClosing closing = {.closes = false};
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
	amount = DatumGetInt32(row_get(desc, edit.row, "amount", INT4OID, &isnull));
	if (type == NULL || isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("not a valid ledger entry"),
				 errdetail("Type and amount must not be null.")));

	caller_enter_trigger(&caller);
	if (!own)
		check_plain_entry(desc, edit.row, &user_id, type, amount, &closing);
	ledger_book(&user_id, type, amount, &balance, &entry_no);
	if (!own)
		record_booked_entry(&user_id, entry_no, amount);
	track_expiry(desc, edit.row, &user_id, amount);
	caller_leave(&caller);

	/* hold_id is a copy: caller_leave() has freed the results of statements */
	if (closing.closes)
		row_set(&edit, "reverses", UUIDOID, UUIDPGetDatum(&closing.hold_id));
	row_set(&edit, "balance_after", INT4OID, Int32GetDatum(balance));
	row_set(&edit, "entry_no", INT8OID, Int64GetDatum(entry_no));
	return PointerGetDatum(row_edit_apply(&edit));
}

/* Raise an error unless the entry is stored as it was booked, and its payment is new. */
static void
verify_booked_entry(const BookedEntry *booked)
{
	Arguments	args = NO_ARGUMENTS;
	char	   *payment_id;

	argument_uuid(&args, &booked->user_id);
	argument_add(&args, Int64GetDatum(booked->entry_no), false);
	argument_int32(&args, booked->amount);
	if (statement_execute(&select_booked_entry, &args) == 0)
		ledger_refuse_lost_entry(&booked->user_id);
	payment_id = result_text(1);
	SPI_freetuptable(SPI_tuptable);
	if (payment_id != NULL)
		refuse_deleted_payment(payment_id);
}

/*
 * verify_inserted_entries() returns trigger: AFTER INSERT on credit_ledger, for
 * the statement.
 *
 * An entry is booked before it is stored; if it was not stored after all (ON
 * CONFLICT DO NOTHING, a foreign trigger), the statement fails.
 */
Datum
verify_inserted_entries(PG_FUNCTION_ARGS)
{
	Caller		caller;
	List	   *booked;
	ListCell   *cell;

	(void) trigger_data(fcinfo, AFTER_STATEMENT, ON_INSERT, 0);
	if (booked_entries == NIL || ledger_is_appending())
		return PointerGetDatum(NULL);

	/*
	 * Plain INSERTs of foreign triggers on the entries below fire this
	 * trigger again, with a list of their own.
	 */
	booked = booked_entries;
	booked_entries = NIL;

	caller_enter_trigger(&caller);
	foreach(cell, booked)
		verify_booked_entry((BookedEntry *) lfirst(cell));
	/* what a plain entry returned to an expired lot expires again */
	foreach(cell, booked)
	{
		BookedEntry *entry = lfirst(cell);

		(void) expiry_sweep(&entry->user_id);
		expiry_after_entry(&entry->user_id, entry->entry_no, true);
	}
	caller_leave(&caller);

	list_free_deep(booked);
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

/* Return true if the job exists; looked up as the owner of the data. */
static bool
job_exists(const pg_uuid_t *id)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	bool		found;

	argument_uuid(&args, id);
	caller_enter_trigger(&caller);
	found = statement_execute(&select_job_exists, &args) > 0;
	caller_leave(&caller);
	return found;
}

/* Return true if the user has an account; looked up as the owner of the data. */
static bool
account_exists(const pg_uuid_t *user_id)
{
	Caller		caller;
	bool		found;

	caller_enter_trigger(&caller);
	found = ledger_has_account(user_id);
	caller_leave(&caller);
	return found;
}

/*
 * Return true if all columns but job_id, and dropped ones, are equal.
 *
 * Values are compared as they are stored, header and all, so both rows must have
 * been formed alike: the default of a column that was added later is not in the
 * rows from before, and has another header than a value in a row.
 */
static bool
equal_except_job_id(TupleDesc desc, HeapTuple old, HeapTuple new)
{
	int			job_id = SPI_fnumber(desc, "job_id");

	for (int i = 1; i <= desc->natts; i++)
	{
		if (i != job_id && !TupleDescAttr(desc, i - 1)->attisdropped && !row_same_column(desc, old, new, i))
			return false;
	}
	return true;
}

/* Return true if an UPDATE is what the foreign key's ON DELETE SET NULL does. */
static bool
is_set_null_of_deleted_job(TupleDesc desc, HeapTuple old, HeapTuple new)
{
	bool		was_null,
				is_null;
	Datum		job_id = row_get(desc, old, "job_id", UUIDOID, &was_null);
	RowEdit		expected = {.desc = desc,.row = old};

	(void) row_get(desc, new, "job_id", UUIDOID, &is_null);
	row_set_null(&expected, "job_id");
	return !was_null && is_null &&
		equal_except_job_id(desc, row_edit_apply(&expected), new) &&
		!job_exists(DatumGetUUIDP(job_id));
}

/* Remember the payment of an entry that goes with its user, if it has booked one. */
static void
keep_payment(TupleDesc desc, HeapTuple row)
{
	char	   *type = row_get_text(desc, row, "type");
	char	   *payment_id = row_get_text(desc, row, "stripe_payment_id");
	bool		reverses_nothing;
	Caller		caller;

	(void) row_get(desc, row, "reverses", UUIDOID, &reverses_nothing);
	if (type == NULL || payment_id == NULL || !reverses_nothing ||
		(strcmp(type, "purchase") != 0 && strcmp(type, "subscription") != 0))
		return;
	caller_enter_trigger(&caller);
	payment_keep(payment_id);
	caller_leave(&caller);
}

/*
 * guard_ledger() returns trigger: BEFORE UPDATE, DELETE or TRUNCATE on
 * credit_ledger.
 *
 * Raises 42501, but for what the foreign keys do: job_id becomes NULL when its
 * job is deleted, and entries are deleted with the account of their user, of which
 * a digest of each payment stays.
 */
Datum
guard_ledger(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW_OR_TRUNCATE,
									 ON_UPDATE | ON_DELETE | ON_TRUNCATE, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	pg_uuid_t	user_id;

	if (restoring())
		return PointerGetDatum(trigger_result(data));

	if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
		refuse_change("Entries are corrected by further entries.");
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		if (!is_set_null_of_deleted_job(desc, data->tg_trigtuple, data->tg_newtuple))
			refuse_change("Entries are corrected by further entries.");
		return PointerGetDatum(data->tg_newtuple);
	}

	user_id = row_get_uuid(desc, data->tg_trigtuple, "user_id");
	if (account_exists(&user_id))
		refuse_change("Entries go with their user only.");
	keep_payment(desc, data->tg_trigtuple);
	return PointerGetDatum(data->tg_trigtuple);
}

/* Return true if an account has neither credit nor entries. */
static bool
is_empty_account(TupleDesc desc, HeapTuple row)
{
	bool		isnull;

	return DatumGetInt32(row_get(desc, row, "balance", INT4OID, &isnull)) == 0 && !isnull &&
		DatumGetInt32(row_get(desc, row, "reserved", INT4OID, &isnull)) == 0 && !isnull &&
		DatumGetInt64(row_get(desc, row, "entries", INT8OID, &isnull)) == 0 && !isnull;
}

/*
 * guard_account() returns trigger: BEFORE INSERT, UPDATE, DELETE or TRUNCATE on
 * credit_accounts.
 *
 * Raises 42501, but for the UPDATEs of ledger.c, the INSERT of an empty account,
 * and the DELETE of one whose user is deleted.
 */
Datum
guard_account(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW_OR_TRUNCATE,
									 ON_INSERT | ON_UPDATE | ON_DELETE | ON_TRUNCATE, 0);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	pg_uuid_t	user_id;
	Caller		caller;
	bool		allowed = false;

	if (restoring())
		return PointerGetDatum(trigger_result(data));

	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		allowed = ledger_is_booking();
	else if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		allowed = is_empty_account(desc, data->tg_trigtuple);
	else if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
	{
		user_id = row_get_uuid(desc, data->tg_trigtuple, "user_id");
		caller_enter_trigger(&caller);
		allowed = !user_lock_key_share(&user_id);
		if (allowed)
			stripe_delete_user(&user_id);
		caller_leave(&caller);
	}

	if (!allowed)
		refuse_change("Accounts change by ledger entries only.");
	return PointerGetDatum(trigger_result(data));
}

/* ------------------------------------------------------------------------
 * Callbacks for the fast path
 * ------------------------------------------------------------------------ */

/* The callback for enter_in_ledger(): book an entry of ledger_append(), which
 * needs no check. */
static void
book_change(RowChange *change, const void *arg)
{
	Datum	   *values = change->values;
	const pg_uuid_t *user_id = DatumGetUUIDP(values[ENTRY_USER - 1]);
	int32		balance;
	int64		entry_no;

	ledger_book(user_id, TextDatumGetCString(values[ENTRY_TYPE - 1]), DatumGetInt32(values[ENTRY_AMOUNT - 1]),
				&balance, &entry_no);
	if (!change->nulls[ENTRY_EXPIRES - 1])
		track(DatumGetUUIDP(values[ENTRY_ID - 1]), user_id, DatumGetInt32(values[ENTRY_AMOUNT - 1]),
			  DatumGetTimestampTz(values[ENTRY_EXPIRES - 1]));
	values[ENTRY_BALANCE_AFTER - 1] = Int32GetDatum(balance);
	values[ENTRY_NO - 1] = Int64GetDatum(entry_no);
}

static const RowTrigger entry_triggers[] = {
	{.name = "tr_credit_ledger_enter",
		.definition = "BEFORE INSERT ON %.credit_ledger FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.enter_in_ledger()",
	.before = book_change,.writes = {&accounts_table}},
	/* rows_insert() stores what was booked, or the statement runs */
	{.name = "tr_credit_ledger_verify",
		.definition = "AFTER INSERT ON %.credit_ledger FOR EACH STATEMENT "
		"EXECUTE FUNCTION studio_engine.verify_inserted_entries()",
	.idle = true}
};

/* on the fast path only ledger_book() writes accounts */
static const RowTrigger account_triggers[] = {
	{.name = "tr_credit_accounts_guard",
		.definition = "BEFORE INSERT OR DELETE OR UPDATE ON %.credit_accounts FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.guard_account()",
	.idle = true}
};

/*
 * Register the callbacks for the triggers of this file.
 */
void
ledger_triggers_register(void)
{
	layout_register_triggers(&ledger_table, entry_triggers, lengthof(entry_triggers));
	layout_register_triggers(&accounts_table, account_triggers, lengthof(account_triggers));
}
