/*
 * stripe_payments.c
 *	  What is known of payments at Stripe: the parts that belong together, what
 *	  was bought, and what goes back.
 *
 * The parts of a payment are a tree.  A part is merged into one with a greater id,
 * and the greatest has what is known of the payment: the root.
 *
 * Pitfall: whatever is stored here is joined with what is there such that the
 * order does not matter.  A payment that is known is joined by stripe_combine(),
 * which takes the greater, or refuses what differs; a fact by its phase.
 *
 * Lock order: the parts in the order of their ids, then the account.  Since parts
 * are merged into greater ones only, a lock that was waited for and turns out to
 * be that of a part which was merged meanwhile leads on to a greater one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "digests.h"
#include "errors.h"
#include "ledger.h"
#include "statements.h"
#include "stripe_payments.h"
#include "uuids.h"

/* the parts of the payment whose root is the first argument */
#define PARTS \
	"WITH RECURSIVE parts (id) AS (SELECT $1" \
	" UNION ALL SELECT o.object_id FROM studio_engine.stripe_objects o JOIN parts p ON o.merged_into = p.id) "

/* as an array, for which every plan uses an index, however few rows there were when it was made */
#define IN_PARTS "ANY (ARRAY(SELECT p.id FROM parts p))"

/*
 * The row is written, so that a transaction with an older snapshot fails.
 */
static Statement lock_object = {
	.force_index_plan = true,
	.text = "INSERT INTO studio_engine.stripe_objects AS o (object_id, kind) VALUES ($1, $2)"
	" ON CONFLICT (object_id) DO UPDATE SET changed_at = pg_catalog.now()"
	" RETURNING o.merged_into, o.user_id, COALESCE(o.credits, 0), o.subscription, o.paid,"
	"           COALESCE(o.total, 0), o.currency, o.expires_at",
	.nargs = 2,.argtypes = {TEXTOID, TEXTOID}
};
static Statement merge_object = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.stripe_objects SET merged_into = $2 WHERE object_id = $1",
	.nargs = 2,.argtypes = {TEXTOID, TEXTOID}
};
static Statement update_payment = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.stripe_objects"
	"   SET user_id = $2, credits = NULLIF($3, 0), subscription = $4, paid = $5, total = NULLIF($6, 0),"
	"       currency = $7, expires_at = $8"
	" WHERE object_id = $1",
	.nargs = 8,.argtypes = {TEXTOID, UUIDOID, INT4OID, BOOLOID, BOOLOID, INT8OID, TEXTOID, TIMESTAMPTZOID}
};

/* of two failures of a refund the earlier counts, of all else the later state */
static Statement join_fact = {
	.force_index_plan = true,
	.text = "INSERT INTO studio_engine.stripe_facts AS f (fact_id, object_id, kind, amount, currency, phase, stands, at, made_at)"
	" VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.int2, $7, $8, $9)"
	" ON CONFLICT (fact_id) DO UPDATE"
	"   SET amount = EXCLUDED.amount, currency = EXCLUDED.currency, phase = EXCLUDED.phase,"
	"       stands = EXCLUDED.stands, at = EXCLUDED.at"
	" WHERE (EXCLUDED.phase, CASE f.kind WHEN 'refund' THEN -EXCLUDED.at ELSE EXCLUDED.at END, EXCLUDED.stands, EXCLUDED.amount)"
	"     > (f.phase, CASE f.kind WHEN 'refund' THEN -f.at ELSE f.at END, f.stands, f.amount)",
	.nargs = 9,.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, INT4OID, BOOLOID, INT8OID, INT8OID}
};
static Statement select_two_invoices = {
	.force_index_plan = true,
	.text = PARTS
	"SELECT 1 FROM studio_engine.stripe_objects o WHERE o.object_id = " IN_PARTS " AND o.kind = 'invoice' OFFSET 1",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement select_payment_id = {
	.force_index_plan = true,
	.text = PARTS
	"SELECT o.object_id FROM studio_engine.stripe_objects o WHERE o.object_id = " IN_PARTS
	" ORDER BY pg_catalog.array_position('{payment_intent,invoice,session,charge}'::pg_catalog.text[], o.kind),"
	"          o.object_id COLLATE \"C\" LIMIT 1",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement select_booked_ids = {
	.force_index_plan = true,
	.text = PARTS
	"SELECT l.stripe_payment_id FROM @extschema@.credit_ledger l"
	" WHERE l.stripe_payment_id = " IN_PARTS " AND l.type IN ('purchase', 'subscription') AND l.reverses IS NULL"
	" ORDER BY l.entry_no",
	.nargs = 1,.argtypes = {TEXTOID}
};

/*
 * The credits that the money takes which went back: of $2 units of currency $3
 * that were paid for $4 credits, rounded half up.
 *
 * What a charge says of its refunds in all is as old as its event; those of
 * them that failed since are taken off, and refunds that are newer count by
 * themselves.  A
 * dispute in another currency cannot be compared and counts as all.  One that was
 * reinstated by hand before it came takes nothing.
 */
static Statement select_taken = {
	.force_index_plan = true,
	.text = PARTS
	", facts AS (SELECT f.* FROM studio_engine.stripe_facts f WHERE f.object_id = " IN_PARTS "),"
	" sources AS ("
	"  SELECT s.object_id, COALESCE(pg_catalog.sum(s.amount) FILTER (WHERE s.kind = 'charge'), 0) AS charged_back,"
	"         pg_catalog.max(s.at) FILTER (WHERE s.kind = 'charge') AS at,"
	"         COALESCE(pg_catalog.sum(s.amount) FILTER (WHERE s.kind = 'refund' AND s.stands), 0) AS refunds"
	"    FROM facts s GROUP BY s.object_id),"
	" gone AS ("
	"  SELECT COALESCE((SELECT pg_catalog.sum(GREATEST(s.refunds, s.charged_back - COALESCE(("
	"                            SELECT pg_catalog.sum(r.amount) FROM facts r"
	"                             WHERE r.object_id = s.object_id AND r.kind = 'refund' AND NOT r.stands"
	"                               AND r.at > s.at AND r.made_at <= s.at), 0)))"
	"                     FROM sources s), 0)"
	"       + COALESCE((SELECT pg_catalog.sum(CASE WHEN d.currency <> $3 THEN $2 ELSE d.amount END) FROM facts d"
	"                    WHERE d.kind = 'dispute' AND d.stands"
	"                      AND NOT EXISTS (SELECT 1 FROM studio_engine.credit_keys a"
	"                                       WHERE a.user_id = $5 AND a.idempotency_key = d.fact_id AND a.entry_id = $6"
	"                                         AND a.kind = 'reverse')), 0) AS amount)"
	" SELECT pg_catalog.div(2 * $4::pg_catalog.numeric * LEAST(g.amount, $2) + $2, 2 * $2::pg_catalog.numeric)::pg_catalog.int4"
	"   FROM gone g",
	.nargs = 6,.argtypes = {TEXTOID, INT8OID, TEXTOID, INT4OID, UUIDOID, UUIDOID}
};

/*
 * The first entries of the reversals of $2 that Stripe's refunds and disputes made:
 * the one with this key first, then the newest.
 */
static Statement select_reversals = {
	.force_index_plan = true,
	.text = PARTS
	"SELECT r.first_id FROM ("
	"  SELECT COALESCE((l.metadata ->> 'part_of')::pg_catalog.uuid, l.id) AS first_id,"
	"         COALESCE(l.idempotency_key, l.metadata ->> 'key') AS key, l.created_at, l.entry_no"
	"    FROM @extschema@.credit_ledger l"
	"   WHERE l.stripe_payment_id = $2 AND l.reverses IS NOT NULL AND l.transfer_id IS NULL AND l.amount < 0) r"
	" WHERE pg_catalog.starts_with(r.key, '" STRIPE_KEY "') OR r.key IN ("
	"         SELECT f.fact_id FROM studio_engine.stripe_facts f WHERE f.object_id = " IN_PARTS ")"
	" GROUP BY r.first_id, r.key"
	" ORDER BY r.key = $3 DESC NULLS LAST, pg_catalog.max(r.created_at) DESC, pg_catalog.max(r.entry_no) DESC",
	.nargs = 3,.argtypes = {TEXTOID, TEXTOID, TEXTOID}
};

static Statement delete_object = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.stripe_objects o WHERE o.object_id = $1",
	.nargs = 1,.argtypes = {TEXTOID}
};

/* the parts of the payments of a user, in the order of their ids */
static Statement lock_user_objects = {
	.force_index_plan = true,
	.text = "SELECT o.object_id FROM studio_engine.stripe_objects o"
	" WHERE o.object_id = ANY (ARRAY(WITH RECURSIVE parts (id) AS ("
	"         SELECT r.object_id FROM studio_engine.stripe_objects r WHERE r.user_id = $1"
	"          UNION SELECT c.object_id FROM studio_engine.stripe_objects c JOIN parts p ON c.merged_into = p.id)"
	"       SELECT p.id FROM parts p))"
	" ORDER BY o.object_id COLLATE \"C\" FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* ------------------------------------------------------------------------
 * The parts of a payment
 * ------------------------------------------------------------------------ */

/* a part that is locked, or is to be */
typedef struct Part
{
	const char *id;
	const char *kind;			/* for a part that is new */
	bool		locked;
	bool		is_root;
	StripePayment payment;		/* of a root */
} Part;

/* Read the payment of a part that was locked. */
static StripePayment
read_payment(const char *root)
{
	StripePayment payment = {.root = root};

	payment.has_user = !result_isnull(2);
	if (payment.has_user)
		payment.user_id = result_uuid(2);
	payment.credits = result_int32(3);
	payment.subscription = result_bool(4);
	payment.paid = result_bool(5);
	payment.total = result_int64(6);
	payment.currency = result_text(7);
	payment.expires = !result_isnull(8);
	if (payment.expires)
		payment.expires_at = result_int64(8);
	return payment;
}

/* Add a part that is to be locked, unless it is there. */
static List *
add_part(List *parts, const char *id, const char *kind)
{
	ListCell   *cell;
	Part	   *part;

	foreach(cell, parts)
	{
		if (strcmp(((Part *) lfirst(cell))->id, id) == 0)
			return parts;
	}
	part = palloc0(sizeof(Part));
	part->id = id;
	part->kind = kind;
	return lappend(parts, part);
}

/* Return the part with the smallest id that is not locked; NULL if all are. */
static Part *
next_part(const List *parts)
{
	Part	   *next = NULL;
	ListCell   *cell;

	foreach(cell, parts)
	{
		Part	   *part = lfirst(cell);

		if (!part->locked && (next == NULL || strcmp(part->id, next->id) < 0))
			next = part;
	}
	return next;
}

/* Lock a part, which is made where it is new; returns what it was merged into, NULL for a root. */
static const char *
lock_part(Part *part)
{
	Arguments	args = NO_ARGUMENTS;
	const char *merged_into;

	argument_text(&args, part->id);
	argument_text(&args, part->kind);
	if (statement_execute(&lock_object, &args) == 0)
		refuse_lost_row();
	merged_into = result_text(1);
	part->locked = true;
	part->is_root = merged_into == NULL;
	part->payment = read_payment(part->id);
	return merged_into;
}

/* Merge a root into a greater one. */
static void
merge(const char *id, const char *root)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, id);
	argument_text(&args, root);
	statement_execute(&merge_object, &args);
}

/* Return the root with the greatest id. */
static Part *
greatest_root(const List *parts)
{
	Part	   *greatest = NULL;
	ListCell   *cell;

	foreach(cell, parts)
	{
		Part	   *part = lfirst(cell);

		if (part->is_root && (greatest == NULL || strcmp(part->id, greatest->id) > 0))
			greatest = part;
	}
	return greatest;
}

/* Raise PT409: two events say different things about a payment. */
pg_noreturn static void
refuse_difference(const char *what)
{
	refuse_conflict("events of a payment contradict each other", psprintf("They name different %s.", what));
}

/*
 * Raise PT409 if a payment has two invoices.  A payment intent may pay several, and
 * each of them is booked by itself.
 */
static void
refuse_two_invoices(const char *root)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, root);
	if (statement_execute(&select_two_invoices, &args) > 0)
		refuse_difference("invoices");
}

/*
 * Lock the parts that an event names, and those into which they were merged; they
 * are one payment from now on.  Returns what is known of it, which is not stored.
 */
StripePayment
stripe_lock(const List *objects)
{
	List	   *parts = NIL;
	ListCell   *cell;
	Part	   *part;
	Part	   *root;

	foreach(cell, objects)
	{
		StripeObject *object = lfirst(cell);

		parts = add_part(parts, object->id, object->kind);
	}
	while ((part = next_part(parts)) != NULL)
	{
		const char *merged_into = lock_part(part);

		if (merged_into != NULL)
			parts = add_part(parts, merged_into, part->kind);
	}

	root = greatest_root(parts);
	foreach(cell, parts)
	{
		part = lfirst(cell);
		if (!part->is_root || part == root)
			continue;
		stripe_combine(&root->payment, &part->payment);
		merge(part->id, root->id);
	}
	refuse_two_invoices(root->id);
	return root->payment;
}

/*
 * Join what is known of a payment with what else is known; PT409 where they
 * differ.
 */
void
stripe_combine(StripePayment *payment, const StripePayment *other)
{
	if (payment->has_user && other->has_user && !uuid_equal(&payment->user_id, &other->user_id))
		refuse_difference("users");
	if (payment->credits != 0 && other->credits != 0 && payment->credits != other->credits)
		refuse_difference("numbers of credits");
	if (payment->currency != NULL && other->currency != NULL && strcmp(payment->currency, other->currency) != 0)
		refuse_difference("currencies");

	if (!payment->has_user)
	{
		payment->has_user = other->has_user;
		payment->user_id = other->user_id;
	}
	payment->credits = Max(payment->credits, other->credits);
	payment->subscription |= other->subscription;
	payment->paid |= other->paid;
	payment->total = Max(payment->total, other->total);
	if (payment->currency == NULL)
		payment->currency = other->currency;
	if (other->expires && (!payment->expires || other->expires_at > payment->expires_at))
		payment->expires_at = other->expires_at;
	payment->expires |= other->expires;
}

/*
 * Store what is known of a payment.  The user has an account.
 */
void
stripe_store(const StripePayment *payment)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, payment->root);
	argument_uuid(&args, payment->has_user ? &payment->user_id : NULL);
	argument_int32(&args, payment->credits);
	argument_add(&args, BoolGetDatum(payment->subscription), false);
	argument_add(&args, BoolGetDatum(payment->paid), false);
	argument_add(&args, Int64GetDatum(payment->total), false);
	argument_text(&args, payment->currency);
	argument_time(&args, payment->expires ? &payment->expires_at : NULL);
	statement_execute(&update_payment, &args);
}

/*
 * Join what an event says of money that goes back.
 */
void
stripe_join_fact(const StripeFact *fact)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, fact->id);
	argument_text(&args, fact->object);
	argument_text(&args, fact->kind);
	argument_add(&args, Int64GetDatum(fact->amount), false);
	argument_text(&args, fact->currency);
	argument_int32(&args, fact->phase);
	argument_add(&args, BoolGetDatum(fact->stands), false);
	argument_add(&args, Int64GetDatum(fact->at), false);
	argument_add(&args, Int64GetDatum(fact->made_at), false);
	statement_execute(&join_fact, &args);
}

/* ------------------------------------------------------------------------
 * A payment and the ledger
 * ------------------------------------------------------------------------ */

/* Collect the first column of a row, a text. */
static void
collect_text(HeapTuple row, TupleDesc desc, void *arg)
{
	List	  **texts = arg;

	*texts = lappend(*texts, SPI_getvalue(row, desc, 1));
}

/*
 * Return the id under which a payment is booked: that of the payment intent, of
 * the invoice or of the session.
 */
char *
stripe_payment_id(const StripePayment *payment)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, payment->root);
	statement_execute(&select_payment_id, &args);
	return result_text(1);
}

/*
 * Return the ids under which a payment was booked, oldest entry first.
 */
List *
stripe_booked_ids(const StripePayment *payment)
{
	Arguments	args = NO_ARGUMENTS;
	List	   *ids = NIL;

	argument_text(&args, payment->root);
	statement_execute_each(&select_booked_ids, &args, collect_text, &ids);
	return ids;
}

/*
 * Return how many credits of a payment the money takes that went back; 0 while it
 * is not known how much was paid.
 */
int32
stripe_taken(const StripePayment *payment, const PaidCredit *booked)
{
	Arguments	args = NO_ARGUMENTS;

	if (payment->total == 0)
		return 0;
	argument_text(&args, payment->root);
	argument_add(&args, Int64GetDatum(payment->total), false);
	argument_text(&args, payment->currency);
	argument_int32(&args, booked->amount);
	argument_uuid(&args, &payment_first_part(booked)->user_id);
	argument_uuid(&args, &payment_first_part(booked)->lot_id);
	statement_execute(&select_taken, &args);
	return result_int32(1);
}

/*
 * Return the ids of the first entries of the reversals of a payment that refunds and
 * disputes made, whether they stand or not: the one with this key first, then the newest.
 */
List *
stripe_reversals(const StripePayment *payment, const PaidCredit *booked, const char *key)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, payment->root);
	argument_text(&args, booked->payment_id);
	argument_text(&args, key);
	return statement_execute_uuids(&select_reversals, &args);
}

/* The ids of the parts of the payments of a user, which are locked in their order. */
static List *
lock_parts_of_user(const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	List	   *ids = NIL;

	argument_uuid(&args, user_id);
	statement_execute_each(&lock_user_objects, &args, collect_text, &ids);
	return ids;
}

/*
 * Lock the payments of a user who is to be deleted: the account, with which they
 * go, is locked after them.
 */
void
stripe_lock_user(const pg_uuid_t *user_id)
{
	(void) lock_parts_of_user(user_id);
}

/*
 * Delete the payments of a user whose account is deleted.  Digests of their ids are
 * kept, so that later events of them are known to be of a deleted user.
 */
void
stripe_delete_user(const pg_uuid_t *user_id)
{
	ListCell   *cell;

	foreach(cell, lock_parts_of_user(user_id))
	{
		Arguments	args = NO_ARGUMENTS;

		payment_keep(lfirst(cell));
		argument_text(&args, lfirst(cell));
		statement_execute(&delete_object, &args);
	}
}
