/*
 * stripe_events.c
 *	  Events of Stripe, taken apart: which parts of a payment an event ties, and
 *	  what it says of the payment, of its buyer and of money that goes back.
 *
 * Reads the objects of API versions before and since 2025-03-31, where invoices
 * lost payment_intent, charge and subscription, and charges lost invoice.
 *
 * Pitfall: one account of Stripe sells more than credits.  An event without
 * credits is no mistake, and its metadata belongs to others: only where there are
 * credits the user must be named as is demanded here.
 *
 * Locks: none.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "checks.h"
#include "checks.h"
#include "errors.h"
#include "json_fields.h"
#include "settings.h"
#include "stripe_events.h"

/* amounts in the smallest unit of a currency; seconds since 1970, up to the year 9999 */
#define MAX_STRIPE_AMOUNT INT64CONST(999999999999999)
#define MAX_STRIPE_TIME INT64CONST(253402300799)

#define MAX_WORD 64

typedef void (*ReadFunction) (const JsonFields *object, StripeEvent *event);

static void read_session(const JsonFields *object, StripeEvent *event);
static void read_payment_intent(const JsonFields *object, StripeEvent *event);
static void read_invoice(const JsonFields *object, StripeEvent *event);
static void read_invoice_payment(const JsonFields *object, StripeEvent *event);
static void read_charge(const JsonFields *object, StripeEvent *event);
static void read_refund(const JsonFields *object, StripeEvent *event);
static void read_dispute(const JsonFields *object, StripeEvent *event);

/* The events that say something of a payment; all others are ignored. */
static const struct
{
	const char *type;
	const char *object;
	ReadFunction read;
}			known[] =

{
	{"checkout.session.completed", "checkout.session", read_session},
	{"checkout.session.async_payment_succeeded", "checkout.session", read_session},
	{"payment_intent.succeeded", "payment_intent", read_payment_intent},
	{"invoice.paid", "invoice", read_invoice},
	{"invoice.payment_succeeded", "invoice", read_invoice},
	{"invoice_payment.paid", "invoice_payment", read_invoice_payment},
	{"charge.succeeded", "charge", read_charge},
	{"charge.captured", "charge", read_charge},
	{"charge.updated", "charge", read_charge},
	{"charge.refunded", "charge", read_charge},
	{"charge.refund.updated", "refund", read_refund},
	{"refund.created", "refund", read_refund},
	{"refund.updated", "refund", read_refund},
	{"refund.failed", "refund", read_refund},
	{"charge.dispute.created", "dispute", read_dispute},
	{"charge.dispute.updated", "dispute", read_dispute},
	{"charge.dispute.funds_withdrawn", "dispute", read_dispute},
	{"charge.dispute.funds_reinstated", "dispute", read_dispute},
	{"charge.dispute.closed", "dispute", read_dispute},
};

/*
 * The phases of disputes.  A dispute goes from one to a later one; an inquiry may
 * become a dispute.  The money is gone while a dispute is open, and when it is lost.
 */
static const struct
{
	const char *status;
	int32		phase;
	bool		stands;
}			dispute_phases[] =

{
	{"warning_needs_response", 0, false},
	{"warning_under_review", 0, false},
	{"warning_closed", 1, false},
	{"needs_response", 2, true},
	{"under_review", 2, true},
	{"prevented", 3, false},
	{"won", 3, false},
	{"lost", 3, true},
};

/* ------------------------------------------------------------------------
 * Members that several objects have
 * ------------------------------------------------------------------------ */

/* Return the id of an object, which may be there in full instead; NULL if it is absent. */
static const char *
read_id(const JsonFields *object, const char *name)
{
	JsonFields	expanded;

	if (field_is_text(object, name))
		return field_text(object, name, MAX_STRIPE_ID);
	expanded = field_object(object, name);
	return field_text(&expanded, "id", MAX_STRIPE_ID);
}

/* Return a member that must be there. */
static const char *
need_text(const JsonFields *object, const char *name)
{
	const char *text = field_text(object, name, MAX_STRIPE_ID);

	if (text == NULL)
		refuse_field(object, name, psprintf("a string of 1 to %d characters", MAX_STRIPE_ID));
	return text;
}

/* Return a number from 0 to max that must be there. */
static int64
need_integer(const JsonFields *object, const char *name, int64 max)
{
	int64		number;

	if (!field_integer(object, name, 0, max, &number))
		refuse_field(object, name, psprintf("a whole number between 0 and " INT64_FORMAT, max));
	return number;
}

static int64
need_amount(const JsonFields *object, const char *name)
{
	return need_integer(object, name, MAX_STRIPE_AMOUNT);
}

/* Add a part of the payment, unless the id is NULL. */
static void
tie(StripeEvent *event, const char *id, const char *kind)
{
	StripeObject *part;

	if (id == NULL)
		return;
	part = palloc(sizeof(StripeObject));
	part->id = id;
	part->kind = kind;
	event->objects = lappend(event->objects, part);
}

/* Tie the payment intent and the charge that an object names; returns the first of them. */
static const char *
tie_charge(const JsonFields *object, StripeEvent *event)
{
	const char *intent = read_id(object, "payment_intent");
	const char *charge = read_id(object, "charge");

	tie(event, intent, "payment_intent");
	tie(event, charge, "charge");
	return intent ? intent : charge;
}

/* Read what was paid. */
static void
read_total(const JsonFields *object, const char *name, StripeEvent *event)
{
	event->payment.total = need_amount(object, name);
	event->payment.currency = field_text(object, "currency", MAX_WORD);
}

/* Read the number of credits that metadata names, unless it is known. */
static void
read_credits(const JsonFields *metadata, StripeEvent *event)
{
	const char *credits;

	if (event->payment.credits != 0)
		return;
	credits = field_text(metadata, "credits", MAX_WORD);
	if (credits != NULL && !digits_number(credits, &event->payment.credits))
		refuse_field(metadata, "credits", "a string of digits, from 1 to 2147483647");
}

/* Read the user whom a member names, unless one is known; returns false if it is no user's id. */
static bool
read_user(const JsonFields *object, const char *name, StripeEvent *event)
{
	const char *user;

	if (event->payment.has_user || !field_has(object, name))
		return true;
	user = field_short_text(object, name, MAX_STRIPE_ID);
	event->payment.has_user = user != NULL && text_uuid(user, &event->payment.user_id);
	return event->payment.has_user;
}

/* Read the user whom metadata names; where there are credits, it must be a user's id. */
static void
read_buyer(const JsonFields *metadata, StripeEvent *event)
{
	if (!read_user(metadata, "user_id", event) && (event->payment.credits > 0 || event->listed_credits > 0))
		refuse_field(metadata, "user_id", "the id of a user");
}

/* ------------------------------------------------------------------------
 * Credits by the prices of lines
 * ------------------------------------------------------------------------ */

/* Return a text as jsonb, or NULL if it is none. */
static Jsonb *
parse_prices(const char *text)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum prices = (Datum) 0;

	PG_TRY();
	{
		prices = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return prices == (Datum) 0 ? NULL : DatumGetJsonbP(prices);
}

/* Return true if a value is a number of credits. */
static bool
is_price(const JsonbValue *value)
{
	Datum		number;

	if (value->type != jbvNumeric || !numeric_is_between(value->val.numeric, 1, PG_INT32_MAX))
		return false;
	number = NumericGetDatum(value->val.numeric);
	return DatumGetBool(DirectFunctionCall2(numeric_eq, number, DirectFunctionCall1(numeric_floor, number)));
}

/* The check of setting stripe_prices. */
static bool
are_prices(const char *text)
{
	Jsonb	   *prices = parse_prices(text);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (prices == NULL || !JB_ROOT_IS_OBJECT(prices))
		return false;
	iterator = JsonbIteratorInit(&prices->root);
	(void) JsonbIteratorNext(&iterator, &value, true);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_VALUE && !is_price(&value))
			return false;
	}
	return true;
}

/*
 * Register what other folders call back.
 */
void
stripe_events_register(void)
{
	setting_register_check(SETTING_STRIPE_PRICES, are_prices,
						   "a JSON object that gives whole numbers of credits to prices, {\"price_...\": 100}");
}

/* Return setting stripe_prices. */
static Jsonb *
read_prices(void)
{
	Jsonb	   *prices = parse_prices(setting_text(SETTING_STRIPE_PRICES));

	if (prices == NULL)
		refuse_value("setting stripe_prices", "a JSON object");
	return prices;
}

/* Return the price of a line: by either version of the API, and that of a session. */
static const char *
read_price(const JsonFields *line)
{
	JsonFields	pricing = field_object(line, "pricing");
	JsonFields	details = field_object(&pricing, "price_details");
	const char *price = read_id(&details, "price");

	return price ? price : read_id(line, "price");
}

/* Return true if a line is part of a period only, which was charged when a subscription changed. */
static bool
is_proration(const JsonFields *line)
{
	JsonFields	parent = field_object(line, "parent");
	JsonFields	subscribed = field_object(&parent, "subscription_item_details");
	JsonFields	added = field_object(&parent, "invoice_item_details");

	return field_true(line, "proration") || field_true(&subscribed, "proration") || field_true(&added, "proration");
}

/* Return the lines of an invoice that are something sold: neither prorations nor free. */
static List *
read_sold_lines(const JsonFields *invoice)
{
	JsonFields	lines = field_object(invoice, "lines");
	List	   *sold = NIL;
	ListCell   *cell;

	foreach(cell, field_objects(&lines, "data"))
	{
		JsonFields *line = lfirst(cell);
		int64		amount;

		if (field_integer(line, "amount", -MAX_STRIPE_AMOUNT, MAX_STRIPE_AMOUNT, &amount) &&
			amount > 0 && !is_proration(line))
			sold = lappend(sold, line);
	}
	return sold;
}

/* Return the credits of a line by the list of prices, 0 for a price that is not there. */
static int64
price_credits(const JsonFields *prices, const JsonFields *line)
{
	const char *price = read_price(line);
	int64		credits;
	int64		quantity = 1;

	if (price == NULL || !field_integer(prices, price, 1, PG_INT32_MAX, &credits))
		return 0;
	(void) field_integer(line, "quantity", 0, PG_INT32_MAX, &quantity);
	return credits * quantity;
}

/* Read the credits of lines by setting stripe_prices. */
static void
read_listed_credits(const JsonFields *list, const List *lines, StripeEvent *event)
{
	JsonFields	prices = json_fields(read_prices(), "setting stripe_prices");
	int64		credits = 0;
	ListCell   *cell;

	foreach(cell, lines)
	{
		credits += price_credits(&prices, lfirst(cell));
		if (credits > PG_INT32_MAX)
			refuse_field(list, "data", "lines of at most 2147483647 credits");
	}
	/* an event has the first ten lines */
	if (credits > 0 && field_true(list, "has_more"))
		refuse_field(list, "has_more", "false, unless metadata has credits");
	event->listed_credits = (int32) credits;
}

/* ------------------------------------------------------------------------
 * The objects
 * ------------------------------------------------------------------------ */

/* A checkout session; that of a subscription names the user, and its invoice has the credits. */
static void
read_session(const JsonFields *object, StripeEvent *event)
{
	JsonFields	metadata = field_object(object, "metadata");
	JsonFields	lines = field_object(object, "line_items");
	const char *mode = need_text(object, "mode");
	const char *status = need_text(object, "payment_status");

	if (strcmp(mode, "setup") == 0)
		return;
	tie(event, event->object_id, "session");
	tie(event, read_id(object, "payment_intent"), "payment_intent");
	tie(event, read_id(object, "invoice"), "invoice");
	if (strcmp(mode, "payment") == 0)
	{
		event->payment.paid = strcmp(status, "paid") == 0 || strcmp(status, "no_payment_required") == 0;
		read_total(object, "amount_total", event);
		read_credits(&metadata, event);
		if (event->payment.credits == 0)
			read_listed_credits(&lines, field_objects(&lines, "data"), event);
	}
	event->customer = read_id(object, "customer");
	read_buyer(&metadata, event);
	(void) read_user(object, "client_reference_id", event);
}

static void
read_payment_intent(const JsonFields *object, StripeEvent *event)
{
	JsonFields	metadata = field_object(object, "metadata");

	tie(event, event->object_id, "payment_intent");
	tie(event, read_id(object, "latest_charge"), "charge");
	tie(event, read_id(object, "invoice"), "invoice");
	event->payment.paid = true;
	read_total(object, "amount_received", event);
	read_credits(&metadata, event);
	event->customer = read_id(object, "customer");
	read_buyer(&metadata, event);
}

/* Tie the payments of an invoice that have come, as newer versions of the API name them. */
static void
tie_payments(const JsonFields *object, StripeEvent *event)
{
	JsonFields	payments = field_object(object, "payments");
	ListCell   *cell;

	foreach(cell, field_objects(&payments, "data"))
	{
		JsonFields *payment = lfirst(cell);
		JsonFields	means = field_object(payment, "payment");

		if (strcmp(need_text(payment, "status"), "paid") == 0)
			(void) tie_charge(&means, event);
	}
}

/* Read when the period of a subscription ends. */
static void
read_period(const List *lines, StripeEvent *event)
{
	ListCell   *cell;

	foreach(cell, lines)
	{
		JsonFields	period = field_object(lfirst(cell), "period");
		TimestampTz end = time_t_to_timestamptz((pg_time_t) need_integer(&period, "end", MAX_STRIPE_TIME));

		if (!event->payment.expires || end > event->payment.expires_at)
			event->payment.expires_at = end;
		event->payment.expires = true;
	}
}

/* Return the metadata of the subscription of an invoice, by either version of the API. */
static JsonFields
subscription_metadata(const JsonFields *invoice, const JsonFields *parent)
{
	JsonFields	details = field_object(parent, "subscription_details");

	if (details.container == NULL)
		details = field_object(invoice, "subscription_details");
	return field_object(&details, "metadata");
}

static void
read_invoice(const JsonFields *object, StripeEvent *event)
{
	JsonFields	metadata = field_object(object, "metadata");
	JsonFields	parent = field_object(object, "parent");
	JsonFields	subscribed = subscription_metadata(object, &parent);
	JsonFields	lines = field_object(object, "lines");
	List	   *sold = read_sold_lines(object);

	tie(event, event->object_id, "invoice");
	(void) tie_charge(object, event);
	tie_payments(object, event);
	event->payment.paid = true;
	event->payment.subscription = field_has(object, "subscription") || field_has(&parent, "subscription_details");
	read_total(object, "amount_paid", event);
	read_credits(&metadata, event);
	/* those of a subscription are of a period, and not of a change within it */
	if (sold != NIL)
		read_credits(&subscribed, event);
	if (event->payment.credits == 0)
		read_listed_credits(&lines, sold, event);
	if (event->payment.subscription && setting_int32(SETTING_STRIPE_SUBSCRIPTION_EXPIRY) > 0)
		read_period(sold, event);
	event->customer = read_id(object, "customer");
	read_buyer(&metadata, event);
	read_buyer(&subscribed, event);
}

static void
read_invoice_payment(const JsonFields *object, StripeEvent *event)
{
	JsonFields	means = field_object(object, "payment");

	tie(event, read_id(object, "invoice"), "invoice");
	(void) tie_charge(&means, event);
}

/*
 * A charge.  What is refunded of it in all is a fact of its own, since an account
 * may send no events of single refunds.
 */
static void
read_charge(const JsonFields *object, StripeEvent *event)
{
	const char *intent = read_id(object, "payment_intent");
	const char *status = field_text(object, "status", MAX_WORD);

	tie(event, event->object_id, "charge");
	tie(event, intent, "payment_intent");
	tie(event, read_id(object, "invoice"), "invoice");
	if (status == NULL || strcmp(status, "failed") != 0)
		read_total(object, "amount", event);
	event->fact = (StripeFact)
	{
		.id = event->object_id,.kind = "charge",
			.object = intent ? intent : event->object_id,
			.amount = need_amount(object, "amount_refunded"),
			.currency = event->payment.currency,
			.stands = true
	};
}

static void
read_refund(const JsonFields *object, StripeEvent *event)
{
	const char *status = field_text(object, "status", MAX_WORD);
	bool		failed = status != NULL && (strcmp(status, "failed") == 0 || strcmp(status, "canceled") == 0);

	event->fact = (StripeFact)
	{
		.id = event->object_id,.kind = "refund",
			.object = tie_charge(object, event),
			.amount = need_amount(object, "amount"),
			.currency = field_text(object, "currency", MAX_WORD),
			.phase = failed ? 1 : 0,
			.stands = !failed
	};
}

/* A dispute; one with a status that is not known here counts as open. */
static void
read_dispute(const JsonFields *object, StripeEvent *event)
{
	const char *status = need_text(object, "status");

	event->fact = (StripeFact)
	{
		.id = event->object_id,.kind = "dispute",
			.object = tie_charge(object, event),
			.amount = need_amount(object, "amount"),
			.currency = field_text(object, "currency", MAX_WORD),
			.phase = 2,
			.stands = true
	};
	for (int i = 0; i < (int) lengthof(dispute_phases); i++)
	{
		if (strcmp(dispute_phases[i].status, status) == 0)
		{
			event->fact.phase = dispute_phases[i].phase;
			event->fact.stands = dispute_phases[i].stands;
		}
	}
}

/*
 * Take an event apart.  One that says nothing of a payment has no objects.
 */
StripeEvent *
stripe_event_read(Jsonb *value)
{
	StripeEvent *event = palloc0(sizeof(StripeEvent));
	JsonFields	fields = json_fields(value, "p_event");
	JsonFields	data = field_object(&fields, "data");
	JsonFields	object = field_object(&data, "object");

	event->id = need_text(&fields, "id");
	event->type = need_text(&fields, "type");
	if (object.container == NULL)
		refuse_field(&fields, "data.object", "a JSON object");
	for (int i = 0; i < (int) lengthof(known); i++)
	{
		if (strcmp(known[i].type, event->type) != 0)
			continue;
		event->object_id = need_text(&object, "id");
		if (strcmp(need_text(&object, "object"), known[i].object) != 0)
			refuse_field(&object, "object", known[i].object);
		known[i].read(&object, event);
		event->fact.at = need_integer(&fields, "created", MAX_STRIPE_TIME);
		event->fact.made_at = need_integer(&object, "created", MAX_STRIPE_TIME);
	}
	return event;
}
