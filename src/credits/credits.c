/*
 * credits.c
 *	  Adding credits, and the balance.
 *
 * Pitfall: a client that got no answer retries, possibly while its first call is
 * still running.  So a key is looked up under the lock of the account, and before
 * anything else is decided.
 *
 * Lock order: the account is the only lock.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "credits.h"
#include "errors.h"
#include "ledger.h"
#include "ledger_rows.h"
#include "lots.h"
#include "statements.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(get_credit_balance);
PG_FUNCTION_INFO_V1(grant_credits);
PG_FUNCTION_INFO_V1(purchase_credits);
PG_FUNCTION_INFO_V1(subscription_credits);

static Statement select_balance = {
	.operation = &(const RowOperation)
	{
		.table = &accounts_table,.verb = ROW_SELECT,.returns = {ACCOUNT_BALANCE}
	}
};
static Statement select_by_key = {
	.force_index_plan = true,
	.text = "SELECT l.id, l.user_id, l.type, l.amount, l.expires_at, l.job_id, l.reverses FROM @extschema@.credit_ledger l"
	" WHERE l.user_id = $1 AND l.idempotency_key = $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_welcome = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.credit_ledger l"
	" WHERE l.user_id = $1 AND (l.idempotency_key = $2 OR (l.type = 'grant' AND l.note = $3)) LIMIT 1",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement select_by_payment = {
	.force_index_plan = true,
	.text = "SELECT l.id, l.user_id, l.type, l.amount, l.expires_at, l.job_id, l.reverses FROM @extschema@.credit_ledger l"
	" WHERE l.stripe_payment_id = $1 AND l.type IN ('purchase', 'subscription') AND l.reverses IS NULL",
	.nargs = 1,.argtypes = {TEXTOID}
};

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
	if (statement_execute_read_only(&select_balance, &args) > 0)
		balance = result_int32(1);
	caller_leave(&caller);

	PG_RETURN_INT32(balance);
}

/* Return true if a column of the first row is this id; a NULL pointer matches NULL. */
static bool
result_is_uuid(int column, const pg_uuid_t *id)
{
	pg_uuid_t	value;

	if (id == NULL || result_isnull(column))
		return id == NULL && result_isnull(column);
	value = result_uuid(column);
	return uuid_equal(&value, id);
}

/*
 * Raise PT409: the key of the caller stands for something else.
 */
void
refuse_used_key(const pg_uuid_t *entry_id)
{
	refuse_conflict("key was used for something else", psprintf("Entry %s.", uuid_text(entry_id)));
}

/*
 * Return true if the entry was made before, under the key or payment that the
 * statement looks for.  Raises PT409 if that entry is of another kind, user or
 * amount.  Note and expiry are not content: a retry computes them again, and the
 * first answer stands.
 */
static bool
find_replay(Statement *statement, const Arguments *args, const Entry *entry, Replay *replay)
{
	if (statement_execute(statement, args) == 0)
		return false;

	replay->id = result_uuid(1);
	replay->amount = result_int32(4);
	if (!result_is_uuid(2, entry->user_id) ||
		strcmp(result_text(3), entry->type) != 0 ||
		(entry->amount != ANY_AMOUNT && replay->amount != entry->amount) ||
		!result_is_uuid(6, entry->job_id) ||
		!result_is_uuid(7, entry->reverses))
		refuse_used_key(&replay->id);
	return true;
}

/*
 * Return true if an entry was made under the key of this one, and set *replay to
 * it.  Raises PT409 if it has other content.  Call it with the account locked.
 */
bool
credits_find_by_key(const Entry *entry, Replay *replay)
{
	Arguments	args = NO_ARGUMENTS;

	if (entry->key == NULL)
		return false;
	argument_uuid(&args, entry->user_id);
	argument_text(&args, entry->key);
	return find_replay(&select_by_key, &args, entry, replay);
}

/* Return true if the payment of this entry was booked; as credits_find_by_key(). */
static bool
find_by_payment(const Entry *entry, Replay *replay)
{
	Arguments	args = NO_ARGUMENTS;

	if (entry->payment_id == NULL)
		return false;
	argument_text(&args, entry->payment_id);
	return find_replay(&select_by_payment, &args, entry, replay);
}

/*
 * Look up a payment; returns false if it was never booked.
 */
bool
credits_find_payment(const char *payment_id, Payment *payment)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, payment_id);
	if (statement_execute(&select_by_payment, &args) == 0)
		return false;
	payment->id = result_uuid(1);
	payment->user_id = result_uuid(2);
	payment->type = result_text(3);
	payment->amount = result_int32(4);
	payment->expires = !result_isnull(5);
	if (payment->expires)
		payment->expires_at = result_int64(5);
	return true;
}

/*
 * Raise 22023 unless the expiry, if there is one, is finite, and that of a grant
 * in the future.  The period of a payment may be over when its event arrives;
 * it was paid all the same.
 */
static void
check_expiry(const Entry *entry)
{
	if (entry->expires_at == NULL)
		return;
	if (TIMESTAMP_NOT_FINITE(*entry->expires_at))
		refuse_value("p_expires_at", "a finite time");
	if (entry->payment_id == NULL && *entry->expires_at <= GetCurrentTimestamp())
		refuse_value("p_expires_at", "a time in the future");
}

/*
 * Make an entry that adds credits, or find the one that was made before; returns
 * its id.  The account is locked before the search, so that a retry that runs at
 * the same time finds what the first call made.
 */
static pg_uuid_t
add_credits(const Entry *entry)
{
	Account		account;
	Replay		replay;
	pg_uuid_t	id;

	ledger_open_account(entry->user_id, &account);
	if (credits_find_by_key(entry, &replay) || find_by_payment(entry, &replay))
		return replay.id;
	check_expiry(entry);
	ledger_check_capacity(&account, entry->amount);
	id = ledger_append(entry);
	/* a payment whose period is over expires at once */
	if (entry->payment_id != NULL && entry->expires_at != NULL && *entry->expires_at <= GetCurrentTimestamp())
		(void) lots_sweep(entry->user_id);
	return id;
}

/*
 * Book a payment once, and return its entry, as add_credits() does.  The payment is unique over all users, and the
 * locks of two users' accounts do not conflict, so that the unique index may be
 * what notices a second booking; its error becomes PT409.
 */
pg_uuid_t
credits_book_payment(const Entry *entry)
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
	entry.key = check_optional_text(fcinfo, 3, "p_idempotency_key", MAX_KEY_LENGTH);
	entry.expires_at = optional_time(fcinfo, 4);
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
	entry.expires_at = optional_time(fcinfo, 4);
	*id = credits_book_payment(&entry);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

/*
 * subscription_credits(p_user_id uuid, p_amount integer,
 * p_stripe_payment_id text, p_note text, p_expires_at timestamptz) returns uuid
 */
Datum
subscription_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	Entry		entry = {.user_id = &user_id,.type = "subscription"};

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	entry.amount = check_positive(fcinfo, 1, "p_amount");
	entry.payment_id = check_text(fcinfo, 2, "p_stripe_payment_id", 1, MAX_KEY_LENGTH);
	entry.note = check_text(fcinfo, 3, "p_note", 0, MAX_NOTE_LENGTH);
	entry.expires_at = optional_time(fcinfo, 4);
	*id = credits_book_payment(&entry);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

/*
 * Open the account of a user and make the welcome grant of sign-up, once per user;
 * amount 0 opens the account only.  The grants of the seed's own trigger have no
 * key and are recognized by their note.
 */
void
credits_welcome(const pg_uuid_t *user_id, int32 amount)
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
	argument_text(&args, entry.note);
	if (amount <= 0 || statement_execute(&select_welcome, &args) > 0)
		return;
	ledger_check_capacity(&account, amount);
	(void) ledger_append(&entry);
}
