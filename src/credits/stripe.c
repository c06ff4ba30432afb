/*
 * stripe.c
 *	  apply_stripe_event(): what a webhook of Stripe calls for every event.
 *
 * An event is no command.  What it says is joined with what is known of its
 * payment, and then the ledger is brought to what follows from all of it: the
 * payment is booked once it is known to be paid, by whom and for how many credits,
 * and as many of them are reversed as the refunded and disputed part of the money
 * bought.  So events may come in any order and any number of times.
 *
 * Pitfall: a payment may have been booked by purchase_credits(), and reversed by
 * reverse_purchase(), under any of its ids.  These entries count; but only
 * reversals that came from Stripe are undone.
 *
 * Lock order: the parts of the payment in the order of their ids, then the
 * account.  The event itself is looked for under the locks of what it names.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "auth_users.h"
#include "caller.h"
#include "checks.h"
#include "credits.h"
#include "digests.h"
#include "errors.h"
#include "ledger.h"
#include "refunds.h"
#include "statements.h"
#include "stripe_events.h"
#include "stripe_payments.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(apply_stripe_event);

#define MAX_EVENT_BYTES (1024 * 1024)

static Statement select_event = {
	.force_index_plan = true,
	.text = "SELECT e.answer, e.type = $2 AND e.object_id = $3 FROM studio_engine.stripe_events e WHERE e.event_id = $1",
	.nargs = 3,.argtypes = {TEXTOID, TEXTOID, TEXTOID}
};
static Statement insert_event = {
	.text = "INSERT INTO studio_engine.stripe_events AS e (event_id, type, object_id, tied_to, answer)"
	" VALUES ($1, $2, $3, $4, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("
	"           'result', $5, 'event', $1, 'type', $2, 'payment', $6, 'user_id', $7,"
	"           'credits_booked', $8, 'credits_reversed', $9, 'credits_reinstated', $10)))"
	" ON CONFLICT (event_id) DO NOTHING RETURNING e.answer",
	.nargs = 10,.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID, INT4OID, INT4OID, INT4OID}
};
static Statement ignore_event = {
	.text = "SELECT pg_catalog.jsonb_build_object('result', 'ignored', 'event', $1, 'type', $2)",
	.nargs = 2,.argtypes = {TEXTOID, TEXTOID}
};
static Statement select_customer = {
	.force_index_plan = true,
	.text = "SELECT p.id FROM @extschema@.profiles p WHERE p.stripe_customer_id = $1 LIMIT 2",
	.nargs = 1,.argtypes = {TEXTOID}
};

/* what an event did */
typedef struct Outcome
{
	const char *payment_id;
	int32		booked;
	int32		reversed;
	int32		reinstated;
} Outcome;

/* ------------------------------------------------------------------------
 * The buyer
 * ------------------------------------------------------------------------ */

/* Get the user of a customer; returns false if there is none. */
static bool
find_customer(const char *customer, pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	uint64		found;

	if (customer == NULL)
		return false;
	argument_text(&args, customer);
	found = statement_execute(&select_customer, &args);
	if (found > 1)
		refuse_conflict("customer is not unique",
						"Several profiles have the customer in stripe_customer_id.");
	if (found > 0)
		*user_id = result_uuid(1);
	return found > 0;
}

/*
 * Forget the user whom an event names where there is none and nothing is to be
 * booked: the metadata is that of another application.
 */
static void
check_user(StripeEvent *event)
{
	if (event->payment.has_user && event->payment.credits == 0 && event->listed_credits == 0 &&
		!ledger_has_account(&event->payment.user_id) && !user_lock_key_share(&event->payment.user_id))
		event->payment.has_user = false;
}

/* ------------------------------------------------------------------------
 * The ledger
 * ------------------------------------------------------------------------ */

/* Book a payment, and return the id under which it is booked. */
static const char *
book(const StripePayment *payment, const StripeEvent *event, Outcome *outcome)
{
	Entry		entry = {
		.user_id = &payment->user_id,
		.type = payment->subscription ? "subscription" : "purchase",
		.amount = payment->credits,
		.note = psprintf("Stripe: %s", event->type),
		.payment_id = stripe_payment_id(payment),
		.expires_at = payment->expires ? &payment->expires_at : NULL
	};

	(void) credits_book_payment(&entry);
	outcome->booked = payment->credits;
	return entry.payment_id;
}

/*
 * Return the key of a reversal: the id of the refund or dispute that the event is
 * about, so that a call of reverse_purchase() with it moves nothing more; that of
 * the event where the other was used.  What is taken back since it was booked twice
 * has a key with the id of that payment.
 */
static const char *
reversal_key(const char *payment_id, const PaidCredit *booked, bool is_first, const StripeEvent *event)
{
	if (!is_first)
		return psprintf(STRIPE_KEY "%s:%s", event->id, payment_id);
	if (event->fact.id != NULL && strcmp(event->fact.kind, "charge") != 0 &&
		!credits_find_key(&payment_first_part(booked)->user_id, event->fact.id))
		return event->fact.id;
	return psprintf(STRIPE_KEY "%s", event->id);
}

/* Undo reversals that came from Stripe until no more than wanted is reversed; returns what is. */
static int32
undo_reversals(const StripePayment *payment, const PaidCredit *booked, const StripeEvent *event, const char *note,
			   int32 reversed, int32 wanted, Outcome *outcome)
{
	ListCell   *cell;

	foreach(cell, stripe_reversals(payment, booked, event->fact.id))
	{
		int32		undone;

		if (reversed <= wanted)
			break;
		undone = payment_undo(booked, lfirst(cell), note);
		reversed -= undone;
		outcome->reinstated += undone;
	}
	return reversed;
}

/*
 * Bring what is reversed of a booked payment to what is wanted: of the first
 * booking, what the money takes that went back; of any other, all.  What was voided
 * is gone already.
 */
static void
settle(const StripePayment *payment, const PaidCredit *booked, bool is_first, const StripeEvent *event, Outcome *outcome)
{
	const char *note = psprintf("Stripe: %s", event->type);
	int32		reversed = payment_reversed(booked);
	int32		wanted = is_first ? stripe_taken(payment, booked) : booked->amount;
	PaidCredit	now = *booked;

	if (reversed > wanted)
		reversed = undo_reversals(payment, booked, event, note, reversed, wanted, outcome);
	if (reversed >= wanted || !payment_find_and_lock(booked->payment_id, &now))
		return;
	wanted = Min(wanted - reversed, now.left);
	if (wanted == 0)
		return;
	payment_reverse(&now, wanted, note, reversal_key(booked->payment_id, booked, is_first, event));
	outcome->reversed += wanted;
}

/* Find a booked payment; PT409 if it was booked for another user or amount than is known. */
static void
find_booked(const char *payment_id, const StripePayment *payment, PaidCredit *booked)
{
	PaymentPart *part;

	if (!payment_find_and_lock(payment_id, booked))
		refuse_lost_row();
	part = payment_first_part(booked);
	if (booked->has_entry &&
		((payment->has_user && !uuid_equal(&payment->user_id, &part->user_id)) ||
		 (payment->credits != 0 && payment->credits != booked->amount)))
		refuse_used_key(&part->lot_id);
}

/*
 * Bring the ledger to what is known of a payment.  Where parts were booked each by
 * itself before they were known to be of one payment, all but the first are
 * reversed.
 */
static void
reconcile(StripePayment *payment, const StripeEvent *event, Outcome *outcome)
{
	List	   *ids = stripe_booked_ids(payment);
	ListCell   *cell;

	if (ids == NIL && payment->paid && payment->credits > 0)
		ids = list_make1(unconstify(char *, book(payment, event, outcome)));
	foreach(cell, ids)
	{
		PaidCredit	booked;

		find_booked(lfirst(cell), payment, &booked);
		settle(payment, &booked, foreach_current_index(cell) == 0, event, outcome);
	}
	outcome->payment_id = ids != NIL ? linitial(ids) : stripe_payment_id(payment);
}

/* Raise PT404: money came, and nobody is known to have paid it. */
pg_noreturn static void
refuse_unknown_buyer(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_STUDIO_NOT_FOUND),
			 errmsg("not found"),
			 errdetail("The user who paid is unknown."),
			 errhint("Set metadata.user_id or client_reference_id at Stripe, or stripe_customer_id of the profile; Stripe sends the event again.")));
}

/*
 * Lock the account of the user, which is opened where there is none; where the
 * payment is booked, all accounts that have credit of it.  A user whom no event
 * names is that of an entry which was made by hand, or has the customer in the
 * profile.
 */
static void
lock_account(StripePayment *payment, const StripeEvent *event)
{
	List	   *ids = stripe_booked_ids(payment);
	PaidCredit	booked;
	Account		account;

	if (ids != NIL && payment_find_and_lock(linitial(ids), &booked))
	{
		if (!payment->has_user)
			payment->user_id = payment_first_part(&booked)->user_id;
		payment->has_user = true;
		return;
	}
	if (!payment->has_user && payment->paid && payment->credits > 0)
	{
		payment->has_user = find_customer(event->customer, &payment->user_id);
		if (!payment->has_user)
			refuse_unknown_buyer();
	}
	if (payment->has_user)
		ledger_open_account(&payment->user_id, &account);
}

/* ------------------------------------------------------------------------
 * The event
 * ------------------------------------------------------------------------ */

/* Return true if an event was applied, whose answer is then the result of the statement; PT409 if another one has
 * its id. */
static bool
find_event(const StripeEvent *event)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, event->id);
	argument_text(&args, event->type);
	argument_text(&args, event->object_id);
	if (statement_execute(&select_event, &args) == 0)
		return false;
	if (!result_bool(2))
		refuse_conflict("event is known with other content", psprintf("Event %s.", event->id));
	return true;
}

/* Remember an event with its answer, which is the result of the statement. */
static void
store_event(const StripeEvent *event, const StripePayment *payment, const Outcome *outcome)
{
	Arguments	args = NO_ARGUMENTS;
	bool		moved = outcome->booked != 0 || outcome->reversed != 0 || outcome->reinstated != 0;

	argument_text(&args, event->id);
	argument_text(&args, event->type);
	argument_text(&args, event->object_id);
	argument_text(&args, payment->root);
	argument_text(&args, moved ? "applied" : "recorded");
	argument_text(&args, outcome->payment_id);
	argument_uuid(&args, payment->has_user ? &payment->user_id : NULL);
	argument_int32(&args, outcome->booked);
	argument_int32(&args, outcome->reversed);
	argument_int32(&args, outcome->reinstated);
	if (statement_execute(&insert_event, &args) == 0)
		refuse_conflict("event is known with other content", psprintf("Event %s.", event->id));
}

/* Apply an event that says something of a payment; its answer is the result of the last statement. */
static void
apply(StripeEvent *event)
{
	StripePayment payment;
	Outcome		outcome = {.booked = 0};

	check_user(event);
	payment = stripe_lock(event->objects);
	if (find_event(event))
		return;
	stripe_combine(&payment, &event->payment);
	/* a list of prices changes, so it decides only where no event does */
	if (payment.credits == 0)
		payment.credits = event->listed_credits;
	lock_account(&payment, event);
	stripe_store(&payment);
	if (event->fact.id != NULL)
		stripe_join_fact(&event->fact);
	reconcile(&payment, event, &outcome);
	store_event(event, &payment, &outcome);
}

/* Return true if an event is about a payment of a user who is deleted. */
static bool
is_of_deleted_user(const StripeEvent *event)
{
	ListCell   *cell;

	foreach(cell, event->objects)
	{
		if (payment_was_deleted(((StripeObject *) lfirst(cell))->id))
			return true;
	}
	return false;
}

/*
 * apply_stripe_event(p_event jsonb) returns jsonb
 */
Datum
apply_stripe_event(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	StripeEvent *event;
	Datum		answer;

	caller_enter_service(&caller);
	event = stripe_event_read(check_jsonb(fcinfo, 0, "p_event", MAX_EVENT_BYTES));
	if (event->objects == NIL || is_of_deleted_user(event))
	{
		argument_text(&args, event->id);
		argument_text(&args, event->type);
		statement_execute(&ignore_event, &args);
	}
	else if (!find_event(event))
		apply(event);
	answer = result_jsonb(1);
	caller_leave(&caller);

	PG_RETURN_DATUM(answer);
}
