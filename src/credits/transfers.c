/*
 * transfers.c
 *	  Credit that goes from one user to another.
 *
 * A transfer takes lots in burn order, whole or in part.  For each it makes two
 * entries: one takes credit from the lot, which it names in reverses, and one is a
 * lot of the receiver, with the same expiry, priority and payment, which names the
 * first in reverses.  So a payment that is reversed later is found where its credit
 * is (refunds.c).
 *
 * Pitfall: one of the two users may be deleted, and his entries with him.  The row
 * of studio_engine.transfers, which stays, tells such a transfer from a damaged one.
 *
 * Lock order: accounts, in the order of their users.
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
#include "lots.h"
#include "reference_holds.h"
#include "statements.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(transfer_credits);
PG_FUNCTION_INFO_V1(merge_accounts);

/* a call of one of the two functions */
typedef struct Transfer
{
	pg_uuid_t	from_user_id;
	pg_uuid_t	to_user_id;
	const char *kind;			/* transfer or merge */
	int32		amount;
	const char *key;			/* NULL once an entry has it */
	const char *note;
	pg_uuid_t	id;				/* of its row */
	Account		from;			/* locked */
	Account		to;				/* locked */
} Transfer;

static Statement select_by_key = {
	.force_index_plan = true,
	.text = "SELECT t.kind, t.to_user_id, t.amount, l.id FROM @extschema@.credit_ledger l"
	"  JOIN studio_engine.transfers t ON t.id = l.transfer_id AND t.from_user_id = l.user_id"
	" WHERE l.user_id = $1 AND l.idempotency_key = $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement insert_transfer = {
	.text = "INSERT INTO studio_engine.transfers (from_user_id, to_user_id, kind, amount) VALUES ($1, $2, $3, $4) RETURNING id",
	.nargs = 4,.argtypes = {UUIDOID, UUIDOID, TEXTOID, INT4OID}
};
static Statement select_lot = {
	.force_index_plan = true,
	.text = "SELECT CASE WHEN l.type IN ('purchase', 'subscription') THEN l.type ELSE 'grant' END,"
	"       CASE WHEN l.type IN ('purchase', 'subscription') THEN l.stripe_payment_id END"
	"  FROM @extschema@.credit_ledger l WHERE l.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* Lock both accounts, in the order of their users. */
static void
lock_accounts(Transfer *transfer)
{
	if (uuid_equal(&transfer->from_user_id, &transfer->to_user_id))
		refuse_value("p_to_user_id", "another user than p_from_user_id");
	if (uuid_compare(&transfer->from_user_id, &transfer->to_user_id) < 0)
	{
		ledger_open_account(&transfer->from_user_id, &transfer->from);
		ledger_open_account(&transfer->to_user_id, &transfer->to);
	}
	else
	{
		ledger_open_account(&transfer->to_user_id, &transfer->to);
		ledger_open_account(&transfer->from_user_id, &transfer->from);
	}
}

/*
 * Return true if a transfer was made with the key, and set its amount.  Raises
 * PT409 if the key was used for something else: another kind, receiver or, unless
 * it is ANY_AMOUNT, amount.
 */
static bool
find_transfer(Transfer *transfer)
{
	Arguments	args = NO_ARGUMENTS;
	Entry		entry = {.user_id = &transfer->from_user_id,.key = transfer->key};
	pg_uuid_t	to_user_id,
				entry_id;
	int32		amount;

	if (transfer->key == NULL)
		return false;
	argument_uuid(&args, &transfer->from_user_id);
	argument_text(&args, transfer->key);
	if (credits_find_empty(&entry, transfer->kind, &transfer->to_user_id, transfer->amount))
		return true;
	if (statement_execute(&select_by_key, &args) == 0)
	{
		credits_check_key_is_free(&transfer->from_user_id, transfer->key);
		return false;
	}
	amount = result_int32(3);
	entry_id = result_uuid(4);
	if (strcmp(result_text(1), transfer->kind) != 0 || result_isnull(2) ||
		(transfer->amount != ANY_AMOUNT && transfer->amount != amount))
		refuse_used_key(&entry_id);
	to_user_id = result_uuid(2);
	if (!uuid_equal(&to_user_id, &transfer->to_user_id))
		refuse_used_key(&entry_id);
	transfer->amount = amount;
	return true;
}

/* Make the row of a transfer. */
static void
insert_row(Transfer *transfer)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &transfer->from_user_id);
	argument_uuid(&args, &transfer->to_user_id);
	argument_text(&args, transfer->kind);
	argument_int32(&args, transfer->amount);
	statement_execute(&insert_transfer, &args);
	transfer->id = result_uuid(1);
}

/* Make the two entries that move so much of a lot; only one entry can have the key. */
static void
move_lot(const Transfer *transfer, const Lot *lot, int32 amount, const char *key)
{
	Arguments	args = NO_ARGUMENTS;
	Entry		out = {
		.user_id = &transfer->from_user_id,.amount = -amount,.reverses = &lot->id,.key = key,
		.transfer_id = &transfer->id,.note = transfer->note ? transfer->note : "Transferred to another user"
	};
	pg_uuid_t	out_id;
	Entry		in = {
		.user_id = &transfer->to_user_id,.amount = amount,.reverses = &out_id,
		.priority = lot->priority,.expires_at = TIMESTAMP_IS_NOEND(lot->expires_at) ? NULL : &lot->expires_at,
		.transfer_id = &transfer->id,.note = transfer->note ? transfer->note : "Transferred from another user"
	};

	argument_uuid(&args, &lot->id);
	statement_execute(&select_lot, &args);
	out.type = in.type = result_text(1);
	in.payment_id = result_isnull(2) ? NULL : result_text(2);
	out_id = ledger_append_from_lot(&out, &transfer->from);
	(void) ledger_append(&in);
}

/*
 * Move as much of a lot, unless the balance is another than expected: then a
 * trigger of the owner on the entry before has moved credit, and the lots are
 * others.  Returns true if it was moved.
 */
static bool
move_unchanged(Transfer *transfer, const Lot *lot, int32 amount, int64 expected)
{
	/* a scope of its own frees what it used */
	StatementResult *outer = statements_begin();
	bool		unchanged;

	ledger_reread(&transfer->from);
	unchanged = transfer->from.balance == expected;
	if (unchanged)
		move_lot(transfer, lot, amount, transfer->key);
	statements_end(outer);
	return unchanged;
}

/* Move credit of the lots as they are now; returns how much of it was moved. */
static int64
move_lots(Transfer *transfer, int64 wanted)
{
	int64		balance = transfer->from.balance;
	int64		moved = 0;
	LotState   *state = lots_replay(&transfer->from_user_id, true);
	ListCell   *cell;

	foreach(cell, lots_in_burn_order(state))
	{
		Lot		   *lot = lfirst(cell);
		int64		amount = Min(lot->left, wanted - moved);

		if (amount == 0)
			continue;
		if (!move_unchanged(transfer, lot, (int32) amount, balance - moved))
			break;
		moved += amount;
		transfer->key = NULL;
	}
	lots_free(state);
	return moved;
}

/* Move credit of which enough is left in lots that have not expired. */
static void
move_credit(Transfer *transfer)
{
	int64		left = transfer->amount;

	insert_row(transfer);
	while (left > 0)
	{
		int64		moved;

		ledger_reread(&transfer->from);
		moved = move_lots(transfer, left);
		if (moved == 0)
			refuse_no_credits(&transfer->from, left);
		left -= moved;
	}
}

/* transfer_credits() with the accounts locked. */
static void
transfer_amount(Transfer *transfer)
{
	if (find_transfer(transfer))
		return;
	ledger_check_capacity(&transfer->to, transfer->amount);
	holds_require_credits(&transfer->from, transfer->amount);
	move_credit(transfer);
}

/*
 * transfer_credits(p_from_user_id uuid, p_to_user_id uuid, p_amount integer,
 * p_idempotency_key text, p_note text) returns integer
 */
Datum
transfer_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	Transfer	transfer = {.kind = "transfer"};

	caller_enter_service(&caller);
	transfer.from_user_id = check_uuid(fcinfo, 0, "p_from_user_id");
	transfer.to_user_id = check_uuid(fcinfo, 1, "p_to_user_id");
	transfer.amount = check_positive(fcinfo, 2, "p_amount");
	transfer.key = check_optional_text(fcinfo, 3, "p_idempotency_key", MAX_KEY_LENGTH);
	transfer.note = check_text(fcinfo, 4, "p_note", 0, MAX_NOTE_LENGTH);

	lock_accounts(&transfer);
	transfer_amount(&transfer);
	caller_leave(&caller);

	PG_RETURN_INT32(transfer.amount);
}

/* merge_accounts() with the accounts locked. */
static void
merge(Transfer *transfer)
{
	Entry		entry = {.user_id = &transfer->from_user_id,.key = transfer->key};

	if (find_transfer(transfer))
		return;
	if (transfer->from.reserved > 0)
		(void) holds_return_expired(&transfer->from, PG_INT64_MIN);
	expiry_sweep_account(&transfer->from);
	if (transfer->from.reserved > 0)
		refuse_conflict("account has open holds",
						psprintf("User %s holds %d.", uuid_text(&transfer->from_user_id), transfer->from.reserved));
	if (transfer->from.balance < 0)
		refuse_conflict("account has a deficit",
						psprintf("User %s has a balance of %d.", uuid_text(&transfer->from_user_id), transfer->from.balance));
	transfer->amount = transfer->from.balance;
	if (transfer->amount == 0)
	{
		credits_remember_empty(&entry, transfer->kind, &transfer->to_user_id, 0);
		return;
	}
	ledger_check_capacity(&transfer->to, transfer->amount);
	move_credit(transfer);
}

/*
 * merge_accounts(p_from_user_id uuid, p_to_user_id uuid, p_idempotency_key text)
 * returns integer
 */
Datum
merge_accounts(PG_FUNCTION_ARGS)
{
	Caller		caller;
	Transfer	transfer = {.kind = "merge",.amount = ANY_AMOUNT};

	caller_enter_service(&caller);
	transfer.from_user_id = check_uuid(fcinfo, 0, "p_from_user_id");
	transfer.to_user_id = check_uuid(fcinfo, 1, "p_to_user_id");
	transfer.key = check_optional_text(fcinfo, 2, "p_idempotency_key", MAX_KEY_LENGTH);

	lock_accounts(&transfer);
	merge(&transfer);
	caller_leave(&caller);

	PG_RETURN_INT32(transfer.amount);
}
