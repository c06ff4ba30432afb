-- What a webhook of Stripe calls.

CREATE FUNCTION @extschema@.apply_stripe_event(p_event jsonb) RETURNS jsonb
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'apply_stripe_event'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.apply_stripe_event(jsonb) IS
'Apply an event of Stripe to the credits of its payment.

Events may come in any order and any number of times; the same credits are left. What an event says is joined
with what is known of the payment, and the ledger is brought to what follows. The webhook must have checked the
signature of the event.

A payment is booked once it is known to be paid, by whom and for how many credits. It is paid by
checkout.session.completed and checkout.session.async_payment_succeeded of mode payment, payment_intent.succeeded,
invoice.paid and invoice.payment_succeeded. Credits are metadata.credits of the session, the payment intent, the
invoice or its subscription, else those of setting stripe_prices for the prices of the lines. Lines of a proration
and lines that cost nothing, as those of a trial, give none, and a subscription''s metadata needs another line.
The user is metadata.user_id, else client_reference_id of a session, else whose profile has the customer in
stripe_customer_id. The invoice of a subscription is booked as a subscription, and with setting
stripe_subscription_expiry its credits expire with the period.

Money that goes back reverses the same part of the credits, rounded half up: charge.refunded (what is refunded in
all), refund.created, refund.updated, refund.failed, charge.refund.updated, charge.dispute.created, .updated,
.closed, .funds_withdrawn and .funds_reinstated. A refund that failed and a dispute that was won give them back,
and an inquiry takes none. The balance may become negative. charge.succeeded, charge.captured, charge.updated and
invoice_payment.paid tell which objects are one payment.

A payment that was booked by purchase_credits() or subscription_credits() under the id of the payment intent, the
invoice, the session or the charge is the same payment, and what reverse_purchase() took of it counts.

- p_event: the event as Stripe sends it, a snapshot event, at most 1 MiB.

Returns a JSON object: result; event and type; payment (the id under which it is or would be booked); user_id where
it is known; credits_booked, credits_reversed and credits_reinstated by this event. result is applied where the
ledger was changed; recorded where it was not; ignored, with event and type only, where the event says nothing of a
payment. An event that comes again gets the first answer.
Callers: services only.
Errors: 22003 the balance would leave the range of an integer; 22004 p_event is NULL; 22023 p_event is no such
event, or setting stripe_prices no such object; PT404 the user who paid is unknown; PT409 it contradicts what is
known of the payment or of the event.';
