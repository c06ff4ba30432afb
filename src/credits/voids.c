/*
 * voids.c
 *	  Taking back credit that was given by mistake.
 *
 * A void takes from the lot that it names, and only what is left of it, so that
 * it never touches other credit of the user.
 *
 * Pitfall: an entry that voids a purchase names it in reverses like one that
 * reverses the payment.  Its metadata tells them apart.
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
#include "lots.h"
#include "statements.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(void_credits);

/* what a void is about */
typedef struct VoidedLot
{
	pg_uuid_t	id;
	pg_uuid_t	user_id;
	const char *type;
} VoidedLot;

static Statement select_lot = {
	.force_index_plan = true,
	.text = "SELECT l.user_id, l.type,"
	"       l.amount > 0 AND l.type IN ('grant', 'purchase', 'subscription') AND (l.reverses IS NULL OR l.transfer_id IS NOT NULL)"
	"  FROM @extschema@.credit_ledger l WHERE l.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* Find the lot of an entry and lock its account; PT404 if there is no such entry,
 * 22023 if it is no lot that can be voided. */
static void
lock_lot(const Caller *caller, VoidedLot *lot, Account *account)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, &lot->id);
	if (statement_execute(&select_lot, &args) == 0)
		refuse_unknown(caller, "ledger entry", &lot->id);
	if (!result_bool(3))
		refuse_value("p_entry_id", "a grant, purchase or subscription");
	lot->user_id = result_uuid(1);
	lot->type = result_text(2);
	/* entries go with their account only */
	if (!ledger_lock_account(&lot->user_id, account))
		refuse_unknown(caller, "ledger entry", &lot->id);
}

/*
 * void_credits() with the account locked; amount NULL is all that is left.
 * Returns what was taken, now or by the first call with the key.
 */
static int32
void_lot(const VoidedLot *lot, Account *account, Entry *entry, const int32 *amount)
{
	Replay		replay;
	int32		left;

	entry->amount = amount ? -*amount : ANY_AMOUNT;
	if (credits_find_empty(entry, "void", &lot->id, amount ? *amount : 0))
		return 0;
	if (credits_find_by_key(entry, &replay))
	{
		/* a reversal or a transfer may have taken as much from the same lot */
		if (!replay.is_void)
			refuse_used_key(&replay.id);
		return -replay.amount;
	}

	/* what has expired is no longer there to be voided */
	expiry_sweep_account(account);
	left = (int32) lots_left(&lot->user_id, &lot->id);
	if (amount && *amount > left)
		refuse_conflict("void exceeds what is left", psprintf("Entry %s has %d left.", uuid_text(&lot->id), left));
	entry->amount = amount ? -*amount : -left;
	if (entry->amount == 0)
		credits_remember_empty(entry, "void", &lot->id, 0);
	else
		(void) ledger_append_from_lot(entry, account);
	return -entry->amount;
}

/*
 * void_credits(p_entry_id uuid, p_amount integer, p_note text,
 * p_idempotency_key text) returns integer
 */
Datum
void_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	VoidedLot	lot;
	Account		account;
	Entry		entry = {.user_id = &lot.user_id,.reverses = &lot.id};
	bool		partly = !PG_ARGISNULL(1);
	int32		amount = 0;
	int32		taken;

	caller_enter_service(&caller);
	lot.id = check_uuid(fcinfo, 0, "p_entry_id");
	if (partly)
		amount = check_positive(fcinfo, 1, "p_amount");
	entry.note = check_text(fcinfo, 2, "p_note", 0, MAX_NOTE_LENGTH);
	entry.key = check_optional_text(fcinfo, 3, "p_idempotency_key", MAX_KEY_LENGTH);

	lock_lot(&caller, &lot, &account);
	entry.type = lot.type;
	entry.metadata = ledger_metadata(VOID_METADATA);
	taken = void_lot(&lot, &account, &entry, partly ? &amount : NULL);
	caller_leave(&caller);

	PG_RETURN_INT32(taken);
}
