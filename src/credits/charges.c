/*
 * charges.c
 *	  Spending in one step, and topping up.
 *
 * Pitfall: a call that moves nothing has an answer all the same, which a retry with
 * its key must get although the balance is another by then.  So a top-up that finds
 * nothing missing leaves its key in studio_engine.credit_keys.
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
#include "errors.h"
#include "expiry.h"
#include "ledger.h"
#include "reference_holds.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(charge_credits);
PG_FUNCTION_INFO_V1(top_up_credits);

/* Make an entry that spends credit, or find the one that was made before; returns
 * the balance after it. */
static int32
spend(const Entry *entry)
{
	Account		account;
	Replay		replay;
	int32		balance;

	ledger_open_account(entry->user_id, &account);
	if (credits_find_by_key(entry, &replay))
		return replay.balance;
	holds_require_credits(&account, -(int64) entry->amount);
	(void) ledger_append_to_balance(entry, &balance);
	return balance;
}

/*
 * charge_credits(p_user_id uuid, p_amount integer, p_idempotency_key text,
 * p_reference text, p_note text) returns integer
 */
Datum
charge_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	Entry		entry = {.user_id = &user_id,.type = "usage"};
	int32		balance;

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	entry.amount = -check_positive(fcinfo, 1, "p_amount");
	entry.key = check_optional_text(fcinfo, 2, "p_idempotency_key", MAX_KEY_LENGTH);
	if (entry.key != NULL && strncmp(entry.key, CAPTURES, strlen(CAPTURES)) == 0)
		refuse_value("p_idempotency_key", "another than those of capture_hold(), which begin with " CAPTURES);
	entry.reference = check_optional_text(fcinfo, 3, "p_reference", MAX_REFERENCE_LENGTH);
	entry.note = check_text(fcinfo, 4, "p_note", 0, MAX_NOTE_LENGTH);
	balance = spend(&entry);
	caller_leave(&caller);

	PG_RETURN_INT32(balance);
}

/* What an account lacks to have target to spend; 0 if it has it. */
static int32
missing_credit(Account *account, int32 target)
{
	int64		missing;

	expiry_sweep_account(account);
	missing = (int64) target - account->balance;
	if (missing > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance out of range"),
				 errdetail("Balance %d, to be topped up to %d.", account->balance, target)));
	return (int32) Max(missing, 0);
}

/* Make an entry that adds what is missing to target, or find what was done before
 * under its key; returns the credits added. */
static int32
top_up(Entry *entry, int32 target)
{
	Account		account;

	ledger_open_account(entry->user_id, &account);
	if (credits_find_empty(entry, "top_up", NULL, target))
		return 0;
	if (credits_find_top_up(entry, target))
		return entry->amount;
	credits_check_expiry(entry);
	entry->amount = missing_credit(&account, target);
	if (entry->amount == 0)
	{
		credits_remember_empty(entry, "top_up", NULL, target);
		return 0;
	}
	ledger_check_capacity(&account, entry->amount);
	entry->metadata = ledger_metadata(psprintf("{\"" TOP_UP_TO "\": %d}", target));
	(void) ledger_append(entry);
	return entry->amount;
}

/*
 * top_up_credits(p_user_id uuid, p_target integer, p_idempotency_key text,
 * p_expires_at timestamptz, p_note text) returns integer
 */
Datum
top_up_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	Entry		entry = {.user_id = &user_id,.type = "grant"};
	int32		target;
	int32		granted;

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	target = check_positive(fcinfo, 1, "p_target");
	entry.key = check_optional_text(fcinfo, 2, "p_idempotency_key", MAX_KEY_LENGTH);
	entry.expires_at = optional_time(fcinfo, 3);
	entry.note = check_text(fcinfo, 4, "p_note", 0, MAX_NOTE_LENGTH);
	granted = top_up(&entry, target);
	caller_leave(&caller);

	PG_RETURN_INT32(granted);
}
