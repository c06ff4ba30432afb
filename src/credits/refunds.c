/*
 * refunds.c
 *	  Refunds of what a job was charged, and reversals of payments whose money was
 *	  returned.
 *
 * Pitfall: reversing a payment is the one way to a negative balance.  The money
 * was returned whether the credits are spent or not; the user cannot spend until
 * the deficit is covered.
 *
 * An entry that reverses a payment, and one that undoes such a reversal, both name
 * the entry of the payment in reverses.  The key of the second is made of the id
 * of the first.  A provider's events come in any order: where a reversal is undone
 * before it was made, its key is kept in studio_engine.awaited_reversals.
 *
 * Lock order: job, then account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "caller.h"
#include "checks.h"
#include "credits.h"
#include "errors.h"
#include "jobs.h"
#include "ledger.h"
#include "lots.h"
#include "refunds.h"
#include "statements.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(refund_credits);
PG_FUNCTION_INFO_V1(reverse_purchase);
PG_FUNCTION_INFO_V1(reinstate_purchase);

static Statement select_refundable = {
	.force_index_plan = true,
	.text = "SELECT COALESCE(-pg_catalog.sum(l.amount), 0)::pg_catalog.int8 FROM @extschema@.credit_ledger l"
	" WHERE l.job_id = $1 AND l.user_id = $2 AND l.type IN ('usage', 'refund')",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_reversed = {
	.force_index_plan = true,
	.text = "SELECT COALESCE(-pg_catalog.sum(l.amount), 0)::pg_catalog.int4 FROM @extschema@.credit_ledger l"
	" WHERE l.reverses = $1 AND l.type <> 'expire'",
	.nargs = 1,.argtypes = {UUIDOID}
};

/*
 * The reversals of a payment that stand, at most two of them; of one only, where
 * it is given.  A reinstatement without a key undid all reversals before it.
 */
static Statement select_standing = {
	.force_index_plan = true,
	.text = "SELECT l.id, l.amount FROM @extschema@.credit_ledger l"
	" WHERE l.reverses = $1 AND ($2 IS NULL OR l.id = $2) AND l.type <> 'expire' AND l.amount < 0"
	"   AND l.entry_no > COALESCE((SELECT pg_catalog.max(b.entry_no) FROM @extschema@.credit_ledger b"
	"                               WHERE b.reverses = $1 AND b.amount > 0 AND b.idempotency_key IS NULL), 0)"
	"   AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger b"
	"                    WHERE b.user_id = l.user_id AND b.idempotency_key = '" REINSTATES "' || l.id::pg_catalog.text"
	"                      AND b.reverses = $1 AND b.amount > 0)"
	" ORDER BY l.entry_no LIMIT 2",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_awaited = {
	.force_index_plan = true,
	.text = "SELECT a.entry_id FROM studio_engine.awaited_reversals a WHERE a.user_id = $1 AND a.idempotency_key = $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement insert_awaited = {
	.text = "INSERT INTO studio_engine.awaited_reversals (user_id, idempotency_key, entry_id) VALUES ($1, $2, $3)",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, UUIDOID}
};

/*
 * Raise PT409 if a refund exceeds what the job was charged and is not refunded
 * yet.  Call it with the job and the account locked.
 */
void
refund_check(const Job *job, int32 amount)
{
	Arguments	args = NO_ARGUMENTS;
	int64		left;

	argument_uuid(&args, &job->id);
	argument_uuid(&args, &job->user_id);
	statement_execute(&select_refundable, &args);
	left = result_int64(1);
	if (amount > left)
		refuse_conflict("refund exceeds the charge",
						psprintf("Job %s was charged " INT64_FORMAT " more than was refunded, not %d.",
								 uuid_text(&job->id), left, amount));
}

/* refund_credits() with the job locked; does nothing if the key was used for the same. */
static void
refund(const Job *job, const Entry *entry)
{
	Account		account;
	Replay		replay;

	ledger_open_account(&job->user_id, &account);
	if (credits_find_by_key(entry, &replay))
		return;
	refund_check(job, entry->amount);
	ledger_check_capacity(&account, entry->amount);
	(void) ledger_append(entry);
}

/*
 * refund_credits(p_job_id uuid, p_amount integer, p_note text,
 * p_idempotency_key text) returns integer
 */
Datum
refund_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	job_id;
	Job			job;
	Entry		entry = {.type = "refund",.user_id = &job.user_id,.job_id = &job.id};

	caller_enter_service(&caller);
	job_id = check_uuid(fcinfo, 0, "p_job_id");
	entry.amount = check_positive(fcinfo, 1, "p_amount");
	entry.note = check_text(fcinfo, 2, "p_note", 0, MAX_NOTE_LENGTH);
	entry.key = check_optional_text(fcinfo, 3, "p_idempotency_key", MAX_KEY_LENGTH);

	job_lock_or_refuse(&caller, &job_id, &job);
	refund(&job, &entry);
	caller_leave(&caller);

	PG_RETURN_INT32(entry.amount);
}

/* Find a payment; PT404 if there is none. */
static void
find_payment(const char *payment_id, Payment *payment)
{
	if (!credits_find_payment(payment_id, payment))
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_NOT_FOUND),
				 errmsg("not found"),
				 errdetail("There is no such payment.")));
}

/*
 * Find a payment and lock the account on which it is booked; PT404 if there is
 * none.  While this waits
 * for the lock, the user may be deleted and the payment booked again, perhaps for
 * another user.  So the payment is read again under the lock, until the account
 * that is locked is the one that has it.
 */
void
payment_lock(const char *payment_id, Payment *payment, Account *account)
{
	find_payment(payment_id, payment);
	for (;;)
	{
		pg_uuid_t	locked = payment->user_id;
		bool		found = ledger_lock_account(&locked, account);

		find_payment(payment_id, payment);
		if (found && uuid_equal(&locked, &payment->user_id))
			break;
	}
}

/*
 * Return how much of a payment is reversed and not reinstated.
 */
int32
payment_reversed(const Payment *payment)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &payment->id);
	statement_execute(&select_reversed, &args);
	return result_int32(1);
}

/* Make an entry that reverses a payment or, with a positive amount, reinstates it. */
static void
append_reversal(const Payment *payment, const Account *account, Entry *entry)
{
	if ((int64) account->balance + entry->amount < PG_INT32_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance out of range"),
				 errdetail("Balance %d, reversal %d.", account->balance, entry->amount)));
	if (entry->amount > 0)
		ledger_check_capacity(account, entry->amount);
	(void) ledger_append(entry);
}

/*
 * Return true if a reversal was made under the key of this entry; as
 * credits_find_by_key(), but that a reinstatement of the payment is other content.
 */
static bool
find_reversal(const Entry *entry, Replay *reversal)
{
	if (!credits_find_by_key(entry, reversal))
		return false;
	if (reversal->amount > 0)
		refuse_used_key(&reversal->id);
	return true;
}

/* Return true if the reversal with this key was reinstated before it came; PT409
 * if that was a reversal of another payment. */
static bool
reversal_is_awaited(const Payment *payment, const char *key)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	entry_id;

	if (key == NULL)
		return false;
	argument_uuid(&args, &payment->user_id);
	argument_text(&args, key);
	if (statement_execute(&select_awaited, &args) == 0)
		return false;
	entry_id = result_uuid(1);
	if (!uuid_equal(&entry_id, &payment->id))
		refuse_used_key(&entry_id);
	return true;
}

/* Remember that the reversal with this key, which has not come yet, is to take nothing. */
static void
await_reversal(const Payment *payment, const char *key)
{
	Arguments	args = NO_ARGUMENTS;

	if (reversal_is_awaited(payment, key))
		return;
	argument_uuid(&args, &payment->user_id);
	argument_text(&args, key);
	argument_uuid(&args, &payment->id);
	statement_execute(&insert_awaited, &args);
	ledger_touch_account(&payment->user_id);
}

/*
 * reverse_purchase() with the account locked; amount NULL is all that is not
 * reversed yet.  Returns what was reversed, now or by the first call with the key.
 */
static int32
reverse(const Payment *payment, const Account *account, Entry *entry, const int32 *amount)
{
	Replay		replay;
	int32		left;

	entry->amount = amount ? -*amount : ANY_AMOUNT;
	if (find_reversal(entry, &replay))
		return -replay.amount;
	if (reversal_is_awaited(payment, entry->key))
		return 0;

	left = payment->amount - payment_reversed(payment);
	if (amount && *amount > left)
		refuse_conflict("reversal exceeds the payment",
						psprintf("%d of %d are not reversed yet.", left, payment->amount));
	entry->amount = amount ? -*amount : -left;
	/* an entry of amount 0, which would record the key, is not valid */
	if (entry->amount == 0 && entry->key)
		refuse_conflict("payment is reversed already", "Nothing is left that could be reversed under this key.");
	if (entry->amount == 0)
		return 0;
	append_reversal(payment, account, entry);
	return -entry->amount;
}

/*
 * reverse_purchase(p_stripe_payment_id text, p_amount integer, p_note text,
 * p_idempotency_key text) returns integer
 */
Datum
reverse_purchase(PG_FUNCTION_ARGS)
{
	Caller		caller;
	Payment		payment;
	Account		account;
	Entry		entry = {.user_id = &payment.user_id,.reverses = &payment.id};
	bool		partly = !PG_ARGISNULL(1);
	int32		amount = 0;
	int32		taken;

	caller_enter_service(&caller);
	entry.payment_id = check_text(fcinfo, 0, "p_stripe_payment_id", 1, MAX_KEY_LENGTH);
	if (partly)
		amount = check_positive(fcinfo, 1, "p_amount");
	entry.note = check_text(fcinfo, 2, "p_note", 0, MAX_NOTE_LENGTH);
	entry.key = check_optional_text(fcinfo, 3, "p_idempotency_key", MAX_KEY_LENGTH);

	payment_lock(entry.payment_id, &payment, &account);
	entry.type = payment.type;
	taken = reverse(&payment, &account, &entry, partly ? &amount : NULL);
	caller_leave(&caller);

	PG_RETURN_INT32(taken);
}

/*
 * Look for reversals of a payment that stand, or whether this one does; returns
 * their number, 2 for more, and sets *reversal to the first.
 */
static int
find_standing(const Payment *payment, const pg_uuid_t *id, Replay *reversal)
{
	Arguments	args = NO_ARGUMENTS;
	int			count;

	argument_uuid(&args, &payment->id);
	argument_uuid(&args, id);
	count = (int) statement_execute(&select_standing, &args);
	if (count > 0)
	{
		reversal->id = result_uuid(1);
		reversal->amount = result_int32(2);
	}
	return count;
}

/* Find the only reversal of a payment that stands; returns false if there is none. */
static bool
find_only_standing(const Payment *payment, Replay *reversal)
{
	int			count = find_standing(payment, NULL, reversal);

	if (count > 1)
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("payment has several reversals"),
				 errdetail("More than one of them stands."),
				 errhint("Name the reversal by p_idempotency_key, the key under which it was made.")));
	return count > 0;
}

/*
 * Make the entry that undoes a reversal.  Its key is made of the reversal, so that
 * the ledger cannot have two; where a caller has used such a key, nothing is
 * undone.
 */
static void
append_reinstatement(const Payment *payment, const Account *account, Entry *entry, const Replay *reversal)
{
	Replay		replay;

	entry->amount = -reversal->amount;
	entry->key = psprintf(REINSTATES "%s", uuid_text(&reversal->id));
	if (credits_find_by_key(entry, &replay))
		refuse_used_key(&replay.id);
	append_reversal(payment, account, entry);
	/* what returns to a lot that has expired meanwhile expires again */
	if (payment->expires)
		lots_track_expiry(&payment->id, &payment->user_id, payment->expires_at);
	(void) lots_sweep(&payment->user_id);
}

/*
 * Make an entry that reverses a payment, by its negative amount.  Call it with the
 * account locked.
 */
void
payment_reverse(const Payment *payment, Entry *entry)
{
	Account		account;

	(void) ledger_lock_account(&payment->user_id, &account);
	append_reversal(payment, &account, entry);
}

/*
 * Undo a reversal of a payment; returns its credits, 0 if it does not stand.  Call
 * it with the account locked.
 */
int32
payment_undo_reversal(const Payment *payment, Entry *entry, const pg_uuid_t *reversal_id)
{
	Account		account;
	Replay		reversal;

	if (find_standing(payment, reversal_id, &reversal) == 0)
		return 0;
	(void) ledger_lock_account(&payment->user_id, &account);
	append_reinstatement(payment, &account, entry, &reversal);
	return -reversal.amount;
}

/*
 * reinstate_purchase() with the account locked.  Returns what was given back, now
 * or by the first call for the same reversal; 0 where there is none, or not yet.
 */
static int32
reinstate(const Payment *payment, const Account *account, Entry *entry)
{
	Replay		reversal;
	bool		found = entry->key ? find_reversal(entry, &reversal) : find_only_standing(payment, &reversal);

	if (!found && entry->key)
		await_reversal(payment, entry->key);
	if (!found)
		return 0;
	if (find_standing(payment, &reversal.id, &reversal) > 0)
		append_reinstatement(payment, account, entry, &reversal);
	return -reversal.amount;
}

/*
 * reinstate_purchase(p_stripe_payment_id text, p_note text, p_idempotency_key
 * text) returns integer
 */
Datum
reinstate_purchase(PG_FUNCTION_ARGS)
{
	Caller		caller;
	Payment		payment;
	Account		account;
	Entry		entry = {.user_id = &payment.user_id,.reverses = &payment.id,.amount = ANY_AMOUNT};
	int32		returned;

	caller_enter_service(&caller);
	entry.payment_id = check_text(fcinfo, 0, "p_stripe_payment_id", 1, MAX_KEY_LENGTH);
	entry.note = check_text(fcinfo, 1, "p_note", 0, MAX_NOTE_LENGTH);
	entry.key = check_optional_text(fcinfo, 2, "p_idempotency_key", MAX_KEY_LENGTH);

	payment_lock(entry.payment_id, &payment, &account);
	entry.type = payment.type;
	returned = reinstate(&payment, &account, &entry);
	caller_leave(&caller);

	PG_RETURN_INT32(returned);
}
