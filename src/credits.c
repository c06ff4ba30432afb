/*
 * credits.c
 *	  Credits coming in, and the balance.
 *
 * Pitfall: whoever did not get the answer asks again, also while the first
 * question is still running.  A key is looked up under the lock of the account
 * and before anything else is decided.
 *
 * Lock order: the account is the only lock.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "caller.h"
#include "checks.h"
#include "credits.h"
#include "ledger.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(get_credit_balance);
PG_FUNCTION_INFO_V1(grant_credits);
PG_FUNCTION_INFO_V1(purchase_credits);

#define MAX_KEY_LENGTH 255

static Statement select_balance = {
	.text = "SELECT a.balance FROM @extschema@.credit_accounts a WHERE a.user_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_by_key = {
	.text = "SELECT l.id, l.user_id, l.type, l.amount FROM @extschema@.credit_ledger l"
	" WHERE l.user_id = $1 AND l.idempotency_key = $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement select_welcome = {
	.text = "SELECT 1 FROM @extschema@.credit_ledger l"
	" WHERE l.user_id = $1 AND (l.idempotency_key = $2 OR (l.type = 'grant' AND l.note = $3)) LIMIT 1",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement select_by_payment = {
	.text = "SELECT l.id, l.user_id, l.type, l.amount FROM @extschema@.credit_ledger l"
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
	if (statement_read(&select_balance, &args) > 0)
		balance = result_int32(1);
	caller_leave(&caller);

	PG_RETURN_INT32(balance);
}

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
	ledger_check_capacity(&account, entry->amount);
	return ledger_append(entry);
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
 * The welcome grant of sign-up, once per user; 0 opens the account only.  The
 * grants of the seed's own trigger have no key and are known by their note.
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
	if (amount <= 0 || statement_run(&select_welcome, &args) > 0)
		return;
	ledger_check_capacity(&account, amount);
	(void) ledger_append(&entry);
}
