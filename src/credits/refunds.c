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
 * the lot of the payment in reverses.  The key of the second is made of the id
 * of the first.  A provider's events come in any order: where a reversal is undone
 * before it was made, its key is kept in studio_engine.credit_keys.
 *
 * Credit of a payment may have been transferred to other users.  Each of the lots
 * that have a part of it is good for that part, and a reversal takes what is
 * unspent before what is spent; it may have an entry on each lot.
 *
 * Lock order: job, then account; accounts in the order of their users.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "credits.h"
#include "errors.h"
#include "expiry.h"
#include "jobs.h"
#include "ledger.h"
#include "lots.h"
#include "refunds.h"
#include "statements.h"
#include "titles.h"
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

/*
 * The lots that have credit of a payment: its entry, and what was transferred of
 * it to other users.  The sixth column is what is left of it in this lot, spent or
 * not: without what was reversed, voided or transferred on.  The last is true if
 * some went to a user who is deleted.
 */
static Statement select_parts = {
	.force_index_plan = true,
	.text = "SELECT l.id, l.user_id, l.type, l.amount, l.expires_at,"
	"       l.amount + COALESCE((SELECT pg_catalog.sum(t.amount) FROM @extschema@.credit_ledger t"
	"                             WHERE t.reverses = l.id AND t.type <> 'expire'), 0)::pg_catalog.int4,"
	"       l.kind = 0,"
	"       EXISTS (SELECT 1 FROM @extschema@.credit_ledger o"
	"                 JOIN studio_engine.transfers t ON t.id = o.transfer_id AND t.to_user_id IS NULL"
	"                WHERE o.reverses = l.id)"
	"  FROM ("
	"    SELECT p.*, 0 AS kind FROM @extschema@.credit_ledger p"
	"     WHERE p.stripe_payment_id = $1 AND p.type IN ('purchase', 'subscription') AND p.reverses IS NULL"
	"    UNION ALL"
	"    SELECT p.*, 1 FROM @extschema@.credit_ledger p"
	"     WHERE p.stripe_payment_id = $1 AND p.reverses IS NOT NULL AND p.transfer_id IS NOT NULL AND p.amount > 0"
	"  ) l ORDER BY l.kind, l.created_at, l.user_id, l.entry_no",
	.nargs = 1,.argtypes = {TEXTOID}
};

/*
 * The entries of reversals of a payment, with the key if one is given; the first
 * column is the first entry of the reversal that this one is a part of, the seventh
 * whether it stands, the last what the whole reversal took.  A reinstatement without
 * a key undid all reversals before it.
 */
static Statement select_reversals = {
	.force_index_plan = true,
	.text = "SELECT COALESCE((l.metadata ->> 'part_of')::pg_catalog.uuid, l.id), l.id, l.user_id, l.amount, l.reverses, p.expires_at,"
	"       l.entry_no > COALESCE((SELECT pg_catalog.max(b.entry_no) FROM @extschema@.credit_ledger b"
	"                               WHERE b.reverses = l.reverses AND b.amount > 0 AND b.idempotency_key IS NULL"
	"                                 AND b.transfer_id IS NULL), 0)"
	"       AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger b"
	"                        WHERE b.user_id = l.user_id AND b.idempotency_key = '" REINSTATES "' || l.id::pg_catalog.text"
	"                          AND b.reverses = l.reverses AND b.amount > 0),"
	"       COALESCE((l.metadata ->> 'total')::pg_catalog.int4, -l.amount)"
	"  FROM @extschema@.credit_ledger l JOIN @extschema@.credit_ledger p ON p.id = l.reverses"
	" WHERE l.stripe_payment_id = $1 AND l.reverses IS NOT NULL AND l.transfer_id IS NULL AND l.amount < 0"
	"   AND ($2 IS NULL OR COALESCE(l.idempotency_key, l.metadata ->> 'key') = $2)"
	" ORDER BY l.created_at, l.user_id, l.entry_no",
	.nargs = 2,.argtypes = {TEXTOID, TEXTOID}
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
refund(const Job *job, Entry *entry)
{
	Account		account;
	Replay		replay;

	ledger_open_account(&job->user_id, &account);
	if (credits_find_by_key(entry, &replay))
		return;
	refund_check(job, entry->amount);
	ledger_check_capacity(&account, entry->amount);
	entry->metadata = title_metadata(job);
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

/* ------------------------------------------------------------------------
 * Payments
 * ------------------------------------------------------------------------ */

/* Add a row of select_parts to the payment. */
static void
add_part(HeapTuple row, TupleDesc desc, void *arg)
{
	PaidCredit *payment = arg;
	bool		isnull;
	PaymentPart *part = palloc0(sizeof(PaymentPart));
	Datum		expires_at;

	part->lot_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	part->user_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
	expires_at = SPI_getbinval(row, desc, 5, &isnull);
	part->expires = !isnull;
	part->expires_at = isnull ? 0 : DatumGetTimestampTz(expires_at);
	part->left = DatumGetInt32(SPI_getbinval(row, desc, 6, &isnull));
	if (payment->parts == NIL)
	{
		payment->type = SPI_getvalue(row, desc, 3);
		payment->amount = DatumGetInt32(SPI_getbinval(row, desc, 4, &isnull));
		payment->has_entry = DatumGetBool(SPI_getbinval(row, desc, 7, &isnull));
		payment->is_whole = payment->has_entry;
	}
	if (DatumGetBool(SPI_getbinval(row, desc, 8, &isnull)))
		payment->is_whole = false;
	payment->parts = lappend(payment->parts, part);
	payment->left += part->left;
}

/* Find a payment; returns false if there is none. */
static bool
find_payment(const char *payment_id, PaidCredit *payment)
{
	Arguments	args = NO_ARGUMENTS;

	*payment = (PaidCredit)
	{
		.payment_id = payment_id
	};
	argument_text(&args, payment_id);
	statement_execute_each(&select_parts, &args, add_part, payment);

	/*
	 * a hold of reversed credit may have returned to its lot, and gone
	 * elsewhere
	 */
	payment->left = Max(payment->left, 0);
	return payment->parts != NIL;
}

/* Compare two parts of a payment by their users. */
static int
compare_users(const ListCell *a, const ListCell *b)
{
	return uuid_compare(&((PaymentPart *) lfirst(a))->user_id, &((PaymentPart *) lfirst(b))->user_id);
}

/* Lock the accounts that have credit of a payment, in the order of the users;
 * false if one of them is gone. */
static bool
lock_parts(PaidCredit *payment)
{
	List	   *parts = list_copy(payment->parts);
	ListCell   *cell;
	Account		account;

	list_sort(parts, compare_users);
	foreach(cell, parts)
	{
		PaymentPart *part = lfirst(cell);

		if (!ledger_lock_account(&part->user_id, &account))
			return false;
	}
	return true;
}

/* Return true if two readings of a payment found the same lots. */
static bool
has_same_parts(const PaidCredit *one, const PaidCredit *two)
{
	ListCell   *a,
			   *b;

	if (list_length(one->parts) != list_length(two->parts))
		return false;
	forboth(a, one->parts, b, two->parts)
	{
		if (!uuid_equal(&((PaymentPart *) lfirst(a))->lot_id, &((PaymentPart *) lfirst(b))->lot_id))
			return false;
	}
	return true;
}

/*
 * Find a payment and lock the accounts that have credit of it; returns false if
 * it was never booked.  While this waits for a lock, a user may be deleted, or
 * transfer his credit.  So the payment is read again under the locks, until the
 * accounts that are locked are those that have it.
 */
bool
payment_find_and_lock(const char *payment_id, PaidCredit *payment)
{
	PaidCredit	found;

	while (find_payment(payment_id, &found))
	{
		bool		locked = lock_parts(&found);

		if (find_payment(payment_id, payment) && locked && has_same_parts(&found, payment))
			return true;
	}
	return false;
}

/* Do payment_find_and_lock(); PT404 if there is no such payment. */
static void
lock_payment(const char *payment_id, PaidCredit *payment)
{
	if (!payment_find_and_lock(payment_id, payment))
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_NOT_FOUND),
				 errmsg("not found"),
				 errdetail("There is no such payment.")));
}

/*
 * Return the part of a payment that its own entry is or, where that is deleted, the
 * first.
 */
PaymentPart *
payment_first_part(const PaidCredit *payment)
{
	return linitial(payment->parts);
}

/* ------------------------------------------------------------------------
 * Reversals
 * ------------------------------------------------------------------------ */

/* an entry of a reversal; one with several takes from the lots of several users */
typedef struct Reversal
{
	pg_uuid_t	first_id;		/* the first entry of the whole reversal */
	pg_uuid_t	id;
	pg_uuid_t	user_id;
	int32		amount;
	pg_uuid_t	lot_id;
	bool		expires;		/* the lot */
	TimestampTz expires_at;
	bool		stands;
	int32		total;			/* of the whole reversal */
} Reversal;

/* Add a row of select_reversals to a list of Reversal. */
static void
add_reversal(HeapTuple row, TupleDesc desc, void *arg)
{
	List	  **reversals = arg;
	bool		isnull;
	Reversal   *reversal = palloc(sizeof(Reversal));
	Datum		expires_at;

	reversal->first_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	reversal->id = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
	reversal->user_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 3, &isnull));
	reversal->amount = DatumGetInt32(SPI_getbinval(row, desc, 4, &isnull));
	reversal->lot_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 5, &isnull));
	expires_at = SPI_getbinval(row, desc, 6, &isnull);
	reversal->expires = !isnull;
	reversal->expires_at = isnull ? 0 : DatumGetTimestampTz(expires_at);
	reversal->stands = DatumGetBool(SPI_getbinval(row, desc, 7, &isnull));
	reversal->total = DatumGetInt32(SPI_getbinval(row, desc, 8, &isnull));
	*reversals = lappend(*reversals, reversal);
}

/* The entries of the reversals of a payment, or of the one with this key. */
static List *
find_reversals(const PaidCredit *payment, const char *key)
{
	Arguments	args = NO_ARGUMENTS;
	List	   *reversals = NIL;

	argument_text(&args, payment->payment_id);
	argument_text(&args, key);
	statement_execute_each(&select_reversals, &args, add_reversal, &reversals);
	return reversals;
}

/* Sum the entries of a reversal; what it took, a positive number. */
static int32
total_taken(List *reversals)
{
	ListCell   *cell;
	int32		taken = 0;

	foreach(cell, reversals)
		taken -= ((Reversal *) lfirst(cell))->amount;
	return taken;
}

/* Raise PT409 if a user whose credit of the payment is touched has used the key. */
static void
check_key_is_free(const PaidCredit *payment, const char *key)
{
	ListCell   *cell;

	if (key == NULL)
		return;
	foreach(cell, payment->parts)
		credits_check_key_is_free(&((PaymentPart *) lfirst(cell))->user_id, key);
}

/* An entry that stands for a reversal with this key that has not come. */
static Entry
awaited_entry(const PaidCredit *payment, const char *key)
{
	return (Entry)
	{
		.user_id = &payment_first_part(payment)->user_id,.key = key
	};
}

/* Return true if the reversal with this key was reinstated before it came; PT409
 * if that was a reversal of another payment. */
static bool
reversal_is_awaited(const PaidCredit *payment, const char *key)
{
	Entry		entry = awaited_entry(payment, key);

	return credits_find_empty(&entry, "reverse", &payment_first_part(payment)->lot_id, 0);
}

/* Remember that the reversal with this key, which has not come yet, is to take nothing. */
static void
await_reversal(const PaidCredit *payment, const char *key)
{
	Entry		entry = awaited_entry(payment, key);

	if (reversal_is_awaited(payment, key))
		return;
	check_key_is_free(payment, key);
	credits_remember_empty(&entry, "reverse", &payment_first_part(payment)->lot_id, 0);
}

/* Make the entry of a reversal on one lot, or of its reinstatement. */
static pg_uuid_t
append_to_lot(const Entry *entry)
{
	Account		account;

	/* read again: the entry before may be on the same account */
	if (!ledger_lock_account(entry->user_id, &account))
		elog(ERROR, "an account that is locked is gone");
	if ((int64) account.balance + entry->amount < PG_INT32_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance out of range"),
				 errdetail("Balance %d, reversal %d.", account.balance, entry->amount)));
	if (entry->amount > 0)
		ledger_check_capacity(&account, entry->amount);
	return ledger_append(entry);
}

/*
 * Divide what is reversed among the lots that have credit of the payment: what is
 * there unspent first, in their order, then of each what was spent of it.
 */
static void
divide_reversal(const PaidCredit *payment, int32 amount)
{
	ListCell   *cell;

	foreach(cell, payment->parts)
	{
		PaymentPart *part = lfirst(cell);
		int64		unspent = list_length(payment->parts) > 1 ? lots_left(&part->user_id, &part->lot_id) : 0;

		part->taken = (int32) Min(Min(unspent, (int64) part->left), (int64) amount);
		part->taken = Max(part->taken, 0);
		amount -= part->taken;
	}
	foreach(cell, payment->parts)
	{
		PaymentPart *part = lfirst(cell);
		int32		spent = Max(Min(part->left - part->taken, amount), 0);

		part->taken += spent;
		amount -= spent;
	}
}

/*
 * The metadata of an entry of a reversal that has several: what all of them take
 * and, but for the first one, which that is and its key.  Any of their users may
 * be deleted, and the others still tell what the call answered.
 */
static const Jsonb *
part_metadata(int32 total, const pg_uuid_t *first_id, const char *key)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "{\"total\": %d", total);
	if (first_id)
		appendStringInfo(&text, ", \"part_of\": \"%s\"", uuid_text(first_id));
	if (first_id && key)
	{
		appendStringInfoString(&text, ", \"key\": ");
		escape_json(&text, key);
	}
	appendStringInfoChar(&text, '}');
	return ledger_metadata(text.data);
}

/*
 * Take back so much of a payment, at most what is left of it.  The accounts are
 * locked.  The first entry has the key.
 */
void
payment_reverse(const PaidCredit *payment, int32 amount, const char *note, const char *key)
{
	pg_uuid_t	first_id;
	bool		is_first = true;
	ListCell   *cell;

	check_key_is_free(payment, key);
	divide_reversal(payment, amount);
	foreach(cell, payment->parts)
	{
		PaymentPart *part = lfirst(cell);
		Entry		entry = {
			.user_id = &part->user_id,.type = payment->type,.amount = -part->taken,.note = note,
			.payment_id = payment->payment_id,.reverses = &part->lot_id
		};

		if (part->taken == 0)
			continue;
		if (part->taken != amount)
			entry.metadata = part_metadata(amount, is_first ? NULL : &first_id, key);
		if (is_first)
		{
			entry.key = key;
			first_id = append_to_lot(&entry);
			is_first = false;
			continue;
		}
		(void) append_to_lot(&entry);
	}
}

/*
 * Make the entry that undoes one of a reversal.  Its key is made of that entry, so
 * that the ledger cannot have two; where a caller has used such a key, nothing is
 * undone.
 */
static void
append_reinstatement(const PaidCredit *payment, const Reversal *reversal, const char *note)
{
	Entry		entry = {
		.user_id = &reversal->user_id,.type = payment->type,.amount = -reversal->amount,.note = note,
		.payment_id = payment->payment_id,.reverses = &reversal->lot_id
	};

	entry.key = psprintf(REINSTATES "%s", uuid_text(&reversal->id));
	credits_check_key_is_free(&reversal->user_id, entry.key);
	(void) append_to_lot(&entry);
	/* what returns to a lot that has expired meanwhile expires again */
	if (reversal->expires)
		expiry_track(&reversal->lot_id, &reversal->user_id, reversal->expires_at);
	(void) expiry_sweep(&reversal->user_id);
}

/* Undo the entries of one reversal that stand; returns what it took. */
static int32
undo(const PaidCredit *payment, List *reversal, const char *note)
{
	ListCell   *cell;

	foreach(cell, reversal)
	{
		if (((Reversal *) lfirst(cell))->stands)
			append_reinstatement(payment, lfirst(cell), note);
	}
	return total_taken(reversal);
}

/*
 * Return how much of a payment is reversed and not reinstated.
 */
int32
payment_reversed(const PaidCredit *payment)
{
	int32		reversed = 0;
	ListCell   *cell;

	foreach(cell, find_reversals(payment, NULL))
	{
		Reversal   *reversal = lfirst(cell);

		reversed -= reversal->stands ? reversal->amount : 0;
	}
	return reversed;
}

/*
 * Undo the reversal of a payment whose first entry this is, or was; returns its
 * credits, 0 if it does not stand.  The accounts are locked.
 */
int32
payment_undo(const PaidCredit *payment, const pg_uuid_t *reversal_id, const char *note)
{
	List	   *standing = NIL;
	ListCell   *cell;

	foreach(cell, find_reversals(payment, NULL))
	{
		Reversal   *reversal = lfirst(cell);

		if (reversal->stands && uuid_equal(&reversal->first_id, reversal_id))
			standing = lappend(standing, reversal);
	}
	return undo(payment, standing, note);
}

/* The entries of the only reversal of a payment that stands; NIL if there is none. */
static List *
find_only_standing(const PaidCredit *payment)
{
	List	   *standing = NIL;
	ListCell   *cell;

	foreach(cell, find_reversals(payment, NULL))
	{
		Reversal   *reversal = lfirst(cell);

		if (!reversal->stands)
			continue;
		if (standing != NIL && !uuid_equal(&reversal->first_id, &((Reversal *) linitial(standing))->first_id))
			ereport(ERROR,
					(errcode(ERRCODE_STUDIO_CONFLICT),
					 errmsg("payment has several reversals"),
					 errdetail("More than one of them stands."),
					 errhint("Name the reversal by p_idempotency_key, the key under which it was made.")));
		standing = lappend(standing, reversal);
	}
	return standing;
}

/*
 * reverse_purchase() with the accounts locked; amount NULL is all that is not
 * reversed yet.  Returns what was reversed, now or by the first call with the key.
 */
static int32
reverse(const PaidCredit *payment, const int32 *amount, const char *note, const char *key)
{
	List	   *before = key ? find_reversals(payment, key) : NIL;
	int32		wanted = amount ? *amount : payment->left;

	if (before != NIL)
	{
		Reversal   *reversal = linitial(before);

		if (amount && payment->is_whole && reversal->total != *amount)
			refuse_used_key(&reversal->first_id);
		return reversal->total;
	}
	if (reversal_is_awaited(payment, key))
		return 0;
	check_key_is_free(payment, key);

	/* what a deleted user spent of it is gone */
	if (!payment->is_whole)
		wanted = Min(wanted, payment->left);
	if (wanted > payment->left)
		refuse_conflict("reversal exceeds the payment",
						psprintf("%d of %d are not reversed yet.", payment->left, payment->amount));
	/* an entry of amount 0, which would record the key, is not valid */
	if (wanted == 0 && key)
		refuse_conflict("payment is reversed already", "Nothing is left that could be reversed under this key.");
	if (wanted > 0)
		payment_reverse(payment, wanted, note, key);
	return wanted;
}

/*
 * reverse_purchase(p_stripe_payment_id text, p_amount integer, p_note text,
 * p_idempotency_key text) returns integer
 */
Datum
reverse_purchase(PG_FUNCTION_ARGS)
{
	Caller		caller;
	PaidCredit	payment;
	const char *payment_id;
	const char *note;
	const char *key;
	bool		partly = !PG_ARGISNULL(1);
	int32		amount = 0;
	int32		taken;

	caller_enter_service(&caller);
	payment_id = check_text(fcinfo, 0, "p_stripe_payment_id", 1, MAX_KEY_LENGTH);
	if (partly)
		amount = check_positive(fcinfo, 1, "p_amount");
	note = check_text(fcinfo, 2, "p_note", 0, MAX_NOTE_LENGTH);
	key = check_optional_text(fcinfo, 3, "p_idempotency_key", MAX_KEY_LENGTH);

	lock_payment(payment_id, &payment);
	taken = reverse(&payment, partly ? &amount : NULL, note, key);
	caller_leave(&caller);

	PG_RETURN_INT32(taken);
}

/*
 * reinstate_purchase() with the accounts locked.  Returns what was given back, now
 * or by the first call for the same reversal; 0 where there is none, or not yet.
 */
static int32
reinstate(const PaidCredit *payment, const char *note, const char *key)
{
	List	   *reversal = key ? find_reversals(payment, key) : find_only_standing(payment);

	if (reversal == NIL && key)
		await_reversal(payment, key);
	return undo(payment, reversal, note);
}

/*
 * reinstate_purchase(p_stripe_payment_id text, p_note text, p_idempotency_key
 * text) returns integer
 */
Datum
reinstate_purchase(PG_FUNCTION_ARGS)
{
	Caller		caller;
	PaidCredit	payment;
	const char *payment_id;
	const char *note;
	const char *key;
	int32		returned;

	caller_enter_service(&caller);
	payment_id = check_text(fcinfo, 0, "p_stripe_payment_id", 1, MAX_KEY_LENGTH);
	note = check_text(fcinfo, 1, "p_note", 0, MAX_NOTE_LENGTH);
	key = check_optional_text(fcinfo, 2, "p_idempotency_key", MAX_KEY_LENGTH);

	lock_payment(payment_id, &payment);
	returned = reinstate(&payment, note, key);
	caller_leave(&caller);

	PG_RETURN_INT32(returned);
}
