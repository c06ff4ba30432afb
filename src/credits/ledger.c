/*
 * ledger.c
 *	  The account and the append-only ledger: how an entry is made, and how it
 *	  is booked.
 *
 * An entry is always an INSERT into credit_ledger.  The trigger on it,
 * enter_in_ledger(), books the amount on the account and numbers the entry, for
 * plain INSERTs as for the extension's functions.  What else the triggers do is
 * in ledger_triggers.c.
 *
 * Pitfall: a balance may be read only under the lock of its account, with a
 * snapshot taken after the lock; ledger_reread() is for where the lock may have
 * been waited for.
 *
 * Lock order: job, then account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "auth_users.h"
#include "errors.h"
#include "ledger.h"
#include "ledger_rows.h"
#include "statements.h"
#include "uuids.h"

/*
 * The trigger depths at which the statements of this file fire triggers; -1
 * while none runs.  The triggers compare them with their own depth to tell these
 * statements from plain SQL: entries of ledger_append() were checked before they
 * are inserted, and only the UPDATEs below may change an account.  What a
 * foreign trigger writes in turn fires triggers at a greater depth.
 */
static int	appending_depth = -1;
static int	booking_depth = -1;

/* called after each entry of ledger_append() is stored */
static AfterEntryFunction after_entry;

static Statement lock_account = {
	.fast_path = lock_account_fast_path,
	.text = "SELECT a.balance, a.reserved,"
	"       EXISTS (SELECT 1 FROM studio_engine.expiring_credits e"
	"                WHERE e.user_id = a.user_id AND e.expires_at <= pg_catalog.clock_timestamp() AND NOT e.held_back),"
	"       EXISTS (SELECT 1 FROM studio_engine.expiring_credits e"
	"                WHERE e.user_id = a.user_id AND e.expires_at <= pg_catalog.clock_timestamp() AND e.held_back)"
	"  FROM @extschema@.credit_accounts a WHERE a.user_id = $1 FOR NO KEY UPDATE OF a",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_account = {
	.operation = &(const RowOperation)
	{
		.table = &accounts_table,.verb = ROW_SELECT
	}
};
static Statement try_lock_account = {
	.operation = &(const RowOperation)
	{
		.table = &accounts_table,.verb = ROW_LOCK,.lock = LockTupleNoKeyExclusive,.policy = LockWaitSkip
	}
};
static Statement insert_account = {
	.text = "INSERT INTO @extschema@.credit_accounts (user_id) VALUES ($1) ON CONFLICT (user_id) DO NOTHING",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement book_on_account = {
	.fast_path = book_on_account_fast_path,
	.text = "UPDATE @extschema@.credit_accounts a"
	"   SET balance = a.balance + $2, reserved = a.reserved + $3,"
	"       entries = a.entries + 1, updated_at = pg_catalog.clock_timestamp()"
	" WHERE a.user_id = $1"
	" RETURNING a.balance, a.entries",
	.nargs = 3,.argtypes = {UUIDOID, INT4OID, INT4OID}
};
static Statement touch_account = {
	.text = "UPDATE @extschema@.credit_accounts SET updated_at = pg_catalog.clock_timestamp() WHERE user_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement insert_entry = {
	.fast_path = insert_entry_fast_path,
	.text = "INSERT INTO @extschema@.credit_ledger"
	" (user_id, type, amount, note, job_id, stripe_payment_id, idempotency_key, expires_at, reverses,"
	"  reference, metadata, priority, transfer_id)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
	" RETURNING id, user_id = $1 AND type = $2 AND amount = $3 AND job_id IS NOT DISTINCT FROM $5"
	"   AND stripe_payment_id IS NOT DISTINCT FROM $6 AND idempotency_key IS NOT DISTINCT FROM $7"
	"   AND reverses IS NOT DISTINCT FROM $9 AND transfer_id IS NOT DISTINCT FROM $13, balance_after, entry_no",
	.nargs = 13,.argtypes = {UUIDOID, TEXTOID, INT4OID, TEXTOID, UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, UUIDOID,
	TEXTOID, JSONBOID, INT4OID, UUIDOID}
};

/*
 * Register what is done after an entry; at the load of the library, by a file that
 * is built on this one.
 */
void
ledger_register_after_entry(AfterEntryFunction function)
{
	after_entry = function;
}

/* The number of triggers that are running, one inside the other. */
static int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

/*
 * For triggers: return true if the INSERT of ledger_append() fires them.
 */
bool
ledger_is_appending(void)
{
	return appending_depth == trigger_depth();
}

/*
 * For triggers: return true if an UPDATE of ledger_book() or
 * ledger_touch_account() fires them.
 */
bool
ledger_is_booking(void)
{
	return booking_depth == trigger_depth();
}

/* ------------------------------------------------------------------------
 * The account
 * ------------------------------------------------------------------------ */

/*
 * Lock the account of a user and read it; returns false if there is none.
 */
bool
ledger_lock_account(const pg_uuid_t *user_id, Account *account)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	if (statement_execute(&lock_account, &args) == 0)
		return false;

	account->user_id = *user_id;
	account->balance = result_int32(1);
	account->reserved = result_int32(2);
	account->has_expired = result_bool(3);
	account->has_expired_held = result_bool(4);
	return true;
}

/*
 * Read an account again that this transaction has locked.
 *
 * Needed after the lock may have had to wait, and after entries were made.  The
 * statement that locks reads the account as its last writer left it, but what
 * has expired with a snapshot that is older than the lock, so that credit that
 * the writer added or expired meanwhile is missed.  Run once more, the statement
 * gets a snapshot taken after the lock.
 */
void
ledger_reread(Account *account)
{
	pg_uuid_t	user_id = account->user_id;

	(void) ledger_lock_account(&user_id, account);
}

/*
 * Lock the account of a user without waiting; returns false if another
 * transaction has it locked, or there is none.
 */
bool
ledger_try_lock_account(const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	return statement_execute(&try_lock_account, &args) > 0;
}

/*
 * Return true if a user has an account; takes no lock.
 */
bool
ledger_has_account(const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	return statement_execute(&select_account, &args) > 0;
}

/*
 * Lock the account of the owner of a job, whom its end may pay back; false if it is locked
 * already.  No account needs no lock.
 */
bool
ledger_try_lock_payer(const pg_uuid_t *user_id)
{
	return ledger_try_lock_account(user_id) || !ledger_has_account(user_id);
}

/*
 * Lock the account of a user and read it; an account is opened where there is
 * none.  Raises PT404 if there is no such user.
 */
void
ledger_open_account(const pg_uuid_t *user_id, Account *account)
{
	Arguments	args = NO_ARGUMENTS;

	if (ledger_lock_account(user_id, account))
		return;
	if (!user_lock_key_share(user_id))
		refuse_missing("user", user_id);

	argument_uuid(&args, user_id);
	statement_execute(&insert_account, &args);
	if (!ledger_lock_account(user_id, account))
		elog(ERROR, "credit account was not opened");
}

/* Run an UPDATE of an account such that guard_account() lets it pass. */
static void
update_account(Statement *statement, const Arguments *args)
{
	int			before = booking_depth;

	booking_depth = trigger_depth() + 1;
	PG_TRY();
	{
		statement_execute(statement, args);
	}
	PG_FINALLY();
	{
		booking_depth = before;
	}
	PG_END_TRY();
}

/*
 * Write an account on which nothing is booked, where something was decided under
 * its lock: a REPEATABLE READ transaction that gets the lock next would decide
 * by its older snapshot, and fails with 40001 on the row written here.
 */
void
ledger_touch_account(const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	update_account(&touch_account, &args);
}

/*
 * Raise 22003 if the account cannot take amount more.  Balance and holds together
 * must fit an integer, so that releasing a hold never fails.
 */
void
ledger_check_capacity(const Account *account, int32 amount)
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
 * Raise 0A000: an entry was booked on the account, but the row was dropped or
 * changed before it was stored, so that account and ledger would disagree.
 */
void
ledger_refuse_lost_entry(const pg_uuid_t *user_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a ledger entry was booked but not stored"),
			 errdetail("User %s.", uuid_text(user_id)),
			 errhint("credit_ledger takes neither ON CONFLICT DO NOTHING nor triggers that drop or change its rows; grant_credits() takes an idempotency key.")));
}

/*
 * Return the metadata of an entry, from its JSON.
 */
const Jsonb *
ledger_metadata(const char *json)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

/*
 * Insert an entry and return its id; sets *balance to the balance after it.  The
 * caller has locked the account and has checked the entry: the trigger books it
 * without further checks.
 */
pg_uuid_t
ledger_append_to_balance(const Entry *entry, int32 *balance)
{
	Arguments	args = NO_ARGUMENTS;
	int			before = appending_depth;
	volatile uint64 stored = 0;
	pg_uuid_t	id;

	argument_uuid(&args, entry->user_id);
	argument_text(&args, entry->type);
	argument_int32(&args, entry->amount);
	argument_text(&args, entry->note);
	argument_uuid(&args, entry->job_id);
	argument_text(&args, entry->payment_id);
	argument_text(&args, entry->key);
	argument_time(&args, entry->expires_at);
	argument_uuid(&args, entry->reverses);
	argument_text(&args, entry->reference);
	argument_add(&args, JsonbPGetDatum(entry->metadata), entry->metadata == NULL);
	argument_add(&args, Int32GetDatum(entry->priority), entry->priority == 0);
	argument_uuid(&args, entry->transfer_id);

	appending_depth = trigger_depth() + 1;
	PG_TRY();
	{
		stored = statement_execute(&insert_entry, &args);
	}
	PG_FINALLY();
	{
		appending_depth = before;
	}
	PG_END_TRY();

	/*
	 * a foreign trigger may have dropped the row, or changed it after it was
	 * booked
	 */
	if (stored != 1 || !result_bool(2))
		ledger_refuse_lost_entry(entry->user_id);
	id = result_uuid(1);
	*balance = result_int32(3);
	after_entry(entry->user_id, result_int64(4), entry->expires_at != NULL);
	return id;
}

/*
 * Insert an entry and return its id, as ledger_append_to_balance().
 */
pg_uuid_t
ledger_append(const Entry *entry)
{
	int32		balance;

	return ledger_append_to_balance(entry, &balance);
}

/*
 * Insert an entry that takes what is left of a lot, as ledger_append().  The
 * account was read before the lot was.  Raises 0A000 if a trigger of the owner
 * that fires before the entry is booked has spent credit, perhaps of that lot.
 */
pg_uuid_t
ledger_append_from_lot(const Entry *entry, const Account *account)
{
	int32		balance;
	pg_uuid_t	id = ledger_append_to_balance(entry, &balance);

	if (balance < account->balance + entry->amount)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("credit was spent while a ledger entry took it"),
				 errdetail("User %s.", uuid_text(entry->user_id)),
				 errhint("A BEFORE trigger of credit_ledger must not spend credits of the same user; an AFTER trigger may.")));
	return id;
}

/*
 * Book an entry on its account, before the entry is stored; sets *balance to the
 * new balance and *entry_no to the number of the entry.
 */
void
ledger_book(const pg_uuid_t *user_id, const char *type, int32 amount, int32 *balance, int64 *entry_no)
{
	Arguments	args = NO_ARGUMENTS;
	int32		reserved = strcmp(type, "reserve") == 0 ? -amount : 0;

	argument_uuid(&args, user_id);
	argument_int32(&args, amount);
	argument_int32(&args, reserved);
	update_account(&book_on_account, &args);

	*balance = result_int32(1);
	*entry_no = result_int64(2);
	if (*balance < 0 && reserved > 0)
		elog(ERROR, "a hold would overdraw the account");
}
