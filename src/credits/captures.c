/*
 * captures.c
 *	  Holds by reference: hold, capture, release.
 *
 * Pitfall: what a call decides about a hold that is closed, or has expired, depends
 * on when it gets the lock of the account, and a retry must get the same answer.  So
 * a capture of nothing is always possible: it is what the sweep does, too.
 *
 * Lock order: the account is the only lock.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "credits.h"
#include "errors.h"
#include "expiry.h"
#include "ledger.h"
#include "overruns.h"
#include "reference_holds.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(hold_credits);
PG_FUNCTION_INFO_V1(capture_hold);
PG_FUNCTION_INFO_V1(release_hold);

/* Take a hold, or find the one that was taken before; returns its id. */
static pg_uuid_t
take_hold(const Entry *entry)
{
	Account		account;
	Replay		replay;

	ledger_open_account(entry->user_id, &account);
	if (credits_find_by_key(entry, &replay))
		return replay.id;
	holds_require_credits(&account, -(int64) entry->amount);
	return ledger_append(entry);
}

/*
 * hold_credits(p_user_id uuid, p_amount integer, p_reference text, p_note text,
 * p_expires interval, p_idempotency_key text) returns uuid
 */
Datum
hold_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	TimestampTz expires_at;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	Entry		entry = {.user_id = &user_id,.type = "reserve",.expires_at = &expires_at};

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	entry.amount = -check_positive(fcinfo, 1, "p_amount");
	entry.reference = check_text(fcinfo, 2, "p_reference", 1, MAX_REFERENCE_LENGTH);
	entry.note = check_text(fcinfo, 3, "p_note", 0, MAX_NOTE_LENGTH);
	expires_at = check_within_year(fcinfo, 4, "p_expires");
	entry.key = check_optional_text(fcinfo, 5, "p_idempotency_key", MAX_KEY_LENGTH);
	*id = take_hold(&entry);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

/* Read a hold and lock its account; PT404 if there is none, PT409 if a job has it. */
static void
lock_hold(const pg_uuid_t *id, ReferenceHold *hold, Account *account)
{
	if (!reference_hold_read(id, hold))
		refuse_missing("hold", id);
	if (hold->reference == NULL || hold->is_price)
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("hold belongs to a job"),
				 errdetail("Hold %s.", uuid_text(id)),
				 hold->reference == NULL ?
				 errhint("settle_credits() and release_credits() close the hold of a job.") :
				 errhint("It is the price of a studio job or rendering, and ends with it.")));
	/* the user may have been deleted, and his ledger with him */
	if (!ledger_lock_account(&hold->user_id, account) || !reference_hold_read(id, hold))
		refuse_missing("hold", id);
}

/* The answer for a hold that is closed: what was charged, if the price is the same. */
static int32
replay_capture(const ReferenceHold *hold, const int32 *price, Overrun overrun)
{
	int32		cost = overrun_replayed_price(hold->amount, price, overrun, hold->available);

	if (cost != hold->charged)
		refuse_conflict("hold was closed differently",
						psprintf("Hold %s was charged %d, not %d.", uuid_text(&hold->id), hold->charged, cost));
	return cost;
}

/* Raise PT409 if a caller has used the key that a capture has. */
static void
check_capture_key(const ReferenceHold *hold, int32 cost)
{
	Replay		replay;
	Entry		usage = {
		.user_id = &hold->user_id,.type = "usage",.amount = -cost,
		.key = psprintf(CAPTURES "%s", uuid_text(&hold->id))
	};

	if (credits_find_by_key(&usage, &replay))
		refuse_used_key(&replay.id);
}

/* Raise PT409: a hold has expired. */
pg_noreturn static void
refuse_expired(const ReferenceHold *hold)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_CONFLICT),
			 errmsg("hold has expired"),
			 errdetail("Hold %s.", uuid_text(&hold->id)),
			 errhint("charge_credits() charges what the balance covers; p_expires of hold_credits() holds longer.")));
}

/* Return true if a hold has expired since it was read, and was returned with others. */
static bool
was_returned(const ReferenceHold *hold)
{
	ReferenceHold now;

	return reference_hold_has_expired(hold) && reference_hold_read(&hold->id, &now) && now.closed;
}

/* capture_hold() with the account locked. */
static int32
capture(const ReferenceHold *hold, Account *account, const int32 *price, Overrun overrun)
{
	bool		for_free = price != NULL && *price == 0;
	int32		cost;

	if (hold->closed)
		return replay_capture(hold, price, overrun);
	if (!for_free && reference_hold_has_expired(hold))
		refuse_expired(hold);

	/* what has expired must not be charged in the place of what was held */
	if (!for_free)
		expiry_sweep_account(account);
	cost = overrun_price(hold->amount, price, overrun, account);
	if (!for_free && was_returned(hold))
		refuse_expired(hold);
	if (cost > 0)
		check_capture_key(hold, cost);
	reference_hold_close(hold, account, cost, cost > 0 ? "Hold captured" : "Hold released");
	return cost;
}

/*
 * capture_hold(p_hold_id uuid, p_amount integer, p_overrun text) returns integer
 */
Datum
capture_hold(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	hold_id;
	const int32 *price;
	Overrun		overrun;
	ReferenceHold hold;
	Account		account;
	int32		cost;

	caller_enter_service(&caller);
	hold_id = check_uuid(fcinfo, 0, "p_hold_id");
	price = check_optional_int32(fcinfo, 1, "p_amount", 0, PG_INT32_MAX);
	overrun = parse_overrun(check_word(fcinfo, 2, "p_overrun", overrun_names, OVERRUNS));

	lock_hold(&hold_id, &hold, &account);
	cost = capture(&hold, &account, price, overrun);
	caller_leave(&caller);

	PG_RETURN_INT32(cost);
}

/* release_hold() with the account locked; returns what was released, now or before. */
static int32
release_locked(const ReferenceHold *hold, const Account *account)
{
	if (hold->charged > 0)
		refuse_conflict("hold was closed differently",
						psprintf("Hold %s was charged %d.", uuid_text(&hold->id), hold->charged));
	if (!hold->closed)
		reference_hold_close(hold, account, 0, "Hold released");
	return hold->amount;
}

/*
 * release_hold(p_hold_id uuid) returns integer
 */
Datum
release_hold(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	hold_id;
	ReferenceHold hold;
	Account		account;
	int32		released;

	caller_enter_service(&caller);
	hold_id = check_uuid(fcinfo, 0, "p_hold_id");
	lock_hold(&hold_id, &hold, &account);
	released = release_locked(&hold, &account);
	caller_leave(&caller);

	PG_RETURN_INT32(released);
}
