-- 256_stripe_events.sql
--
-- apply_stripe_event(), event by event: what each says of a payment, what the
-- ledger has afterwards, what is refused.  Orders are in
-- 257_stripe_permutations.
-- Pitfall: t.quiet() compares the tables of payments as well, so that an event
-- that was only recorded has written.

\set VERBOSITY terse
\set SHOW_CONTEXT never
\i test/sql/include/stripe_events.sql

CREATE VIEW t.stripe_entries AS
SELECT t.n(l.user_id) AS "user", l.entry_no AS no, l.type, l.amount, l.balance_after AS balance, l.stripe_payment_id AS payment,
       t.masked(l.idempotency_key) AS key, r.entry_no AS of_no, l.note, l.expires_at
  FROM credit_ledger l LEFT JOIN credit_ledger r ON r.id = l.reverses
 WHERE l.idempotency_key IS DISTINCT FROM 'welcome'
 ORDER BY l.user_id, l.entry_no;
GRANT SELECT ON t.stripe_entries TO service_role;
CREATE VIEW t.stripe_parts AS
SELECT object_id, kind, merged_into, t.n(user_id) AS "user", credits, subscription AS sub, paid, total, currency
  FROM studio_engine.stripe_objects ORDER BY object_id COLLATE "C";

-- a purchase by checkout, partial refunds, all of it; each event twice
CALL t.sign_up(1, 2);
SELECT t.send('1', 'checkout.session.completed', 'checkout.session');
SELECT t.send('1', 'checkout.session.completed', 'checkout.session');
SELECT t.send('2', 'payment_intent.succeeded', 'payment_intent');
SELECT t.send('3', 'charge.succeeded', 'charge');
SELECT * FROM t.stripe_parts;
SELECT t.send('4', 'charge.refunded', 'charge', '{"amount_refunded": 300}', 1010);
SELECT t.send('4', 'charge.refunded', 'charge', '{"amount_refunded": 300}', 1010);
SELECT t.send('5', 'refund.created', 'refund', '{}', 1010);
SELECT t.send('6', 'refund.updated', 'refund', '{"metadata": {"note": "b"}}', 1011);
SELECT t.send('7', 'refund.created', 'refund', '{"id": "re_2", "amount": 205}', 1020);
SELECT t.send('8', 'charge.refunded', 'charge', '{"amount_refunded": 505}', 1020);
-- an older event of the charge that comes late
SELECT t.send('9', 'charge.updated', 'charge', '{}', 1005);
SELECT t.send('10', 'charge.refunded', 'charge', '{"amount_refunded": 1000, "refunded": true}', 1030);
SELECT * FROM t.stripe_entries;
SELECT * FROM t.stripe_parts;
SELECT fact_id, object_id, kind, amount, phase, stands, at FROM studio_engine.stripe_facts ORDER BY fact_id;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- a refund that fails; a dispute that is won after another part was refunded
CALL t.sign_up(1);
SELECT t.send('1', 'payment_intent.succeeded', 'payment_intent');
SELECT t.send('2', 'refund.created', 'refund', '{"status": "pending"}', 1010);
SELECT t.send('3', 'charge.refunded', 'charge', '{"amount_refunded": 300}', 1010);
SELECT t.send('4', 'refund.failed', 'refund', '{"status": "failed"}', 1020);
SELECT t.send('5', 'charge.refund.updated', 'refund', '{"status": "failed"}', 1020);
SELECT t.send('6', 'refund.created', 'refund', '{"id": "re_2", "amount": 200, "created": 1030}', 1030);
SELECT t.send('7', 'charge.refunded', 'charge', '{"amount_refunded": 200}', 1030);
SELECT t.send('8', 'charge.dispute.created', 'dispute', '{"amount": 500}', 1040);
SELECT t.send('9', 'charge.dispute.funds_withdrawn', 'dispute', '{"amount": 500}', 1040);
SELECT t.send('10', 'charge.dispute.updated', 'dispute', '{"amount": 500, "status": "under_review"}', 1041);
SELECT t.send('11', 'charge.dispute.closed', 'dispute', '{"amount": 500, "status": "won"}', 1050);
SELECT t.send('12', 'charge.dispute.funds_reinstated', 'dispute', '{"amount": 500, "status": "won"}', 1050);
-- a late one about the time before
SELECT t.send('13', 'charge.dispute.updated', 'dispute', '{"amount": 500, "status": "under_review"}', 1045);
-- an inquiry takes nothing, until it becomes a dispute; one in another currency takes all; a lost one stays
SELECT t.send('14', 'charge.dispute.created', 'dispute', '{"id": "dp_2", "amount": 100, "status": "warning_needs_response"}', 1060);
SELECT t.send('15', 'charge.dispute.updated', 'dispute', '{"id": "dp_2", "amount": 100}', 1061);
SELECT t.send('16', 'charge.dispute.closed', 'dispute', '{"id": "dp_2", "amount": 100, "status": "lost"}', 1062);
SELECT t.send('17', 'charge.dispute.created', 'dispute', '{"id": "dp_3", "amount": 100, "currency": "usd"}', 1070);
SELECT t.send('18', 'charge.dispute.closed', 'dispute', '{"id": "dp_3", "amount": 100, "currency": "usd", "status": "won"}', 1071);
SELECT t.send('19', 'charge.dispute.created', 'dispute', '{"id": "dp_4", "amount": 100, "status": "warning_under_review"}', 1080);
SELECT t.send('20', 'charge.dispute.closed', 'dispute', '{"id": "dp_4", "amount": 100, "status": "warning_closed"}', 1081);
SELECT t.send('21', 'charge.dispute.created', 'dispute', '{"id": "dp_5", "amount": 50, "status": "of_the_future"}', 1090);
SELECT * FROM t.stripe_entries;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- rounded half up, and never more than all
CALL t.sign_up(1);
SELECT t.send('1', 'payment_intent.succeeded', 'payment_intent', '{"amount_received": 999999999999999, "metadata": {"credits": "3", "user_id": "00000000-0000-4000-8000-000000000001"}}');
SELECT t.send('2', 'refund.created', 'refund', '{"amount": 166666666666666}');
SELECT t.send('3', 'refund.created', 'refund', '{"id": "re_2", "amount": 1}');
SELECT t.send('4', 'refund.created', 'refund', '{"id": "re_3", "amount": 333333333333332}');
SELECT t.send('5', 'refund.created', 'refund', '{"id": "re_4", "amount": 1}');
SELECT t.send('6', 'charge.dispute.created', 'dispute', '{"amount": 999999999999999}');
SELECT credits_left FROM (SELECT balance - 10 AS credits_left FROM credit_accounts) a;
SELECT * FROM t.clean();

-- what is refunded waits for its payment; what is spent becomes a deficit
CALL t.sign_up(1);
SELECT t.send('1', 'refund.created', 'refund');
SELECT t.send('2', 'charge.refunded', 'charge', '{"amount_refunded": 1000}', 1010);
SELECT t.send('3', 'checkout.session.completed', 'checkout.session');
SELECT * FROM t.stripe_entries;
SELECT * FROM t.clean();
CALL t.sign_up(1);
SELECT t.send('1', 'checkout.session.completed', 'checkout.session');
CALL t.project(1, 11);
CALL t.job(11, 21, 'PACKAGING');
SELECT reserve_credits(t.id(1), t.id(21), 110), settle_credits(t.id(21));
SELECT t.send('2', 'charge.refunded', 'charge', '{"amount_refunded": 1000}', 1010);
SELECT balance FROM t.accounts;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- a way to pay that takes days: the session is complete and not paid
CALL t.sign_up(1);
SELECT t.send('1', 'checkout.session.completed', 'checkout.session', '{"payment_status": "unpaid"}');
SELECT t.send('2', 'checkout.session.async_payment_succeeded', 'checkout.session');
SELECT * FROM t.clean();
CALL t.sign_up(1);
SELECT t.send('1', 'checkout.session.completed', 'checkout.session', '{"payment_status": "unpaid"}');
SELECT t.send('2', 'payment_intent.succeeded', 'payment_intent', '{"metadata": {}}');
SELECT t.send('3', 'checkout.session.async_payment_succeeded', 'checkout.session');
SELECT * FROM t.clean();
-- nothing to pay
CALL t.sign_up(1);
SELECT t.send('1', 'checkout.session.completed', 'checkout.session',
              '{"payment_status": "no_payment_required", "amount_total": 0, "payment_intent": null}');
SELECT * FROM t.stripe_entries;
SELECT * FROM t.clean();

-- a subscription: its session names the user, its invoices have the credits
CALL t.sign_up(1, 2);
UPDATE profiles SET stripe_customer_id = 'cus_1' WHERE id = t.id(1);
SELECT t.send('1', 'checkout.session.completed', 'checkout.session', jsonb_build_object('mode', 'subscription', 'payment_intent', NULL,
              'invoice', 'in_1', 'subscription', 'sub_1', 'client_reference_id', t.id(1), 'metadata', '{}'::jsonb));
SELECT t.send('2', 'invoice.paid', 'invoice', '{"parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1", "metadata": {"credits": "100"}}}}');
SELECT t.send('3', 'invoice.payment_succeeded', 'invoice');
SELECT t.send('4', 'payment_intent.succeeded', 'payment_intent', '{"metadata": {}}');
SELECT t.send('5', 'invoice_payment.paid', 'invoice_payment');
SELECT t.send('6', 'charge.refunded', 'charge', '{"amount_refunded": 500}', 1010);
-- the next period, of which nobody but the customer is known
SELECT t.send('7', 'invoice.paid', 'invoice', '{"id": "in_2", "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1", "metadata": {"credits": "100"}}}}');
-- as versions of the API before 2025-03-31 have it
SELECT t.send('8', 'invoice.paid', 'invoice', '{"id": "in_3", "parent": null, "subscription": "sub_1", "payment_intent": "pi_3", "charge": "ch_3",
  "subscription_details": {"metadata": {"credits": "70"}}}');
SELECT t.send('9', 'charge.refunded', 'charge', '{"id": "ch_3", "payment_intent": "pi_3", "invoice": "in_3", "amount_refunded": 1000}');
-- expanded objects, and payments of an invoice
SELECT t.send('10', 'invoice.paid', 'invoice', '{"id": "in_4", "customer": {"id": "cus_1", "object": "customer"}, "payments": {"object": "list", "data": [
  {"id": "inpay_3", "status": "canceled", "payment": {"type": "payment_intent", "payment_intent": "pi_5"}},
  {"id": "inpay_4", "status": "paid", "payment": {"type": "payment_intent", "payment_intent": {"id": "pi_4", "object": "payment_intent"}}}]}}');
SELECT t.send('11', 'refund.created', 'refund', '{"charge": null, "payment_intent": "pi_4", "amount": 100}');
-- credits of the invoice itself
SELECT t.send('12', 'invoice.paid', 'invoice', '{"id": "in_6", "parent": null, "metadata": {"credits": "7"}}');
SELECT * FROM t.stripe_entries;
SELECT * FROM t.stripe_parts;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- credits by prices; prorations, trials and unknown prices give none
CALL t.sign_up(1);
UPDATE profiles SET stripe_customer_id = 'cus_1' WHERE id = t.id(1);
UPDATE studio_engine.settings SET value = '{"price_1": 50, "price_2": 7}' WHERE name = 'stripe_prices';
CREATE FUNCTION t.invoice(p_name text, VARIADIC p_lines jsonb[]) RETURNS text
LANGUAGE sql AS $$
  SELECT t.send(p_name, 'invoice.paid', 'invoice', jsonb_build_object('id', 'in_' || p_name, 'parent', NULL, 'lines',
    jsonb_build_object('object', 'list', 'has_more', false, 'data', to_jsonb(p_lines))))
$$;
SELECT t.invoice('1', t.stripe_object('line_item', '{"quantity": 3}'),
                 t.stripe_object('line_item', '{"pricing": null, "price": {"id": "price_2", "object": "price"}, "quantity": null}'),
                 t.stripe_object('line_item', '{"pricing": {"type": "price_details", "price_details": {"price": "price_3"}}}'));
SELECT t.invoice('2', t.stripe_object('line_item', '{"amount": -500, "parent": {"subscription_item_details": {"proration": true}}}'),
                 t.stripe_object('line_item', '{"amount": 700, "parent": {"subscription_item_details": {"proration": true}}}'),
                 t.stripe_object('line_item', '{"amount": 700, "parent": {"invoice_item_details": {"proration": true}}}'),
                 t.stripe_object('line_item', '{"amount": 700, "parent": null, "proration": true}'),
                 t.stripe_object('line_item', '{"amount": 0}'));
SELECT t.send('3', 'invoice.paid', 'invoice', jsonb_build_object('id', 'in_3', 'lines', jsonb_build_object('data', jsonb_build_array(
              t.stripe_object('line_item', '{"amount": 0}')))));
SELECT t.send('4', 'checkout.session.completed', 'checkout.session', '{"id": "cs_4", "payment_intent": "pi_4", "customer": "cus_1", "metadata": {},
  "line_items": {"object": "list", "data": [{"id": "li_1", "object": "item", "quantity": 2, "price": {"id": "price_1"}}]}}');
-- metadata comes first, and a list that changed meanwhile is no contradiction
SELECT t.send('5', 'invoice.paid', 'invoice', '{"id": "in_5"}');
UPDATE studio_engine.settings SET value = '{"price_1": 60}' WHERE name = 'stripe_prices';
SELECT t.send('6', 'invoice.payment_succeeded', 'invoice', '{"id": "in_1", "parent": null}');
SELECT t.send('7', 'invoice.paid', 'invoice', jsonb_build_object('id', 'in_7', 'parent', NULL, 'lines', jsonb_build_object('has_more', true, 'data',
              jsonb_build_array(t.stripe_object('line_item')))));
SELECT t.send('7', 'invoice.paid', 'invoice', jsonb_build_object('id', 'in_7', 'parent', NULL, 'lines', jsonb_build_object('data',
              jsonb_build_array(t.stripe_object('line_item', '{"quantity": 2147483647}')))));
SELECT v AS value, set_config('t.v', v, false) IS NOT NULL AS set,
       t.ask('SELECT t.force_setting(''stripe_prices'', current_setting(''t.v'')) IS NULL') AS changed,
       t.send('8', 'invoice.paid', 'invoice', '{"id": "in_8", "parent": null}') AS answer
  FROM unnest(ARRAY['', 'price_1', '[]', '{"price_1": "5"}', '{"price_1": 0}', '{"price_1": 1.5}', '{"price_1": 2147483648}']) v;
UPDATE studio_engine.settings SET value = '{}' WHERE name = 'stripe_prices';
SELECT * FROM t.stripe_entries;
DROP FUNCTION t.invoice;
SELECT * FROM t.clean();

-- credits that expire with the period
CALL t.sign_up(1);
UPDATE studio_engine.settings SET value = '1' WHERE name = 'stripe_subscription_expiry';
SELECT t.send('1', 'invoice.paid', 'invoice');
SELECT t.send('2', 'invoice.paid', 'invoice', jsonb_build_object('id', 'in_2', 'lines', jsonb_build_object('data', jsonb_build_array(
              t.stripe_object('line_item', '{"period": {"start": 1000000000, "end": 1100000000}}')))));
SELECT t.send('3', 'payment_intent.succeeded', 'payment_intent');
SET timezone = 'UTC';
SELECT * FROM t.stripe_entries;
RESET timezone;
UPDATE studio_engine.settings SET value = '0' WHERE name = 'stripe_subscription_expiry';
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- a payment that was booked and partly reversed by hand, by an older webhook
CALL t.sign_up(1, 2);
SELECT purchase_credits(t.id(1), 100, 'cs_1') IS NOT NULL AS bought, reverse_purchase('cs_1', 30, p_idempotency_key => 're_1');
SELECT t.send('1', 'checkout.session.completed', 'checkout.session');
SELECT t.send('2', 'refund.created', 'refund');
SELECT t.send('3', 'charge.refunded', 'charge', '{"amount_refunded": 500}', 1010);
SELECT t.send('4', 'refund.updated', 'refund', '{"status": "failed"}', 1020);
SELECT t.send('5', 'refund.created', 'refund', '{"id": "re_2", "amount": 400, "created": 1030}', 1030);
-- the same by hand afterwards
SELECT t.quiet($$SELECT reverse_purchase('cs_1', 20, p_idempotency_key => 're_2')$$);
SELECT t.quiet($$SELECT reverse_purchase('cs_1', 10, p_idempotency_key => 'by hand')$$);
SELECT t.send('6', 'refund.updated', 'refund', '{"id": "re_2", "amount": 400, "status": "canceled", "created": 1030}', 1040);
SELECT * FROM t.stripe_entries;
-- a dispute that was won by hand before it came
SELECT reinstate_purchase('cs_1', p_idempotency_key => 'dp_1');
SELECT t.send('7', 'charge.dispute.created', 'dispute', '{}', 1050);
SELECT * FROM t.books();
-- of which only refunds are known here, in the account of which the events say nothing
SELECT purchase_credits(t.id(2), 40, 'pi_9') IS NOT NULL AS bought;
SELECT t.send('8', 'charge.refunded', 'charge', '{"id": "ch_9", "payment_intent": "pi_9", "amount_refunded": 500}');
-- of another user or amount
SELECT purchase_credits(t.id(2), 100, 'pi_8') IS NOT NULL AS bought;
SELECT t.send('9', 'payment_intent.succeeded', 'payment_intent', '{"id": "pi_8", "latest_charge": "ch_8"}');
SELECT t.send('9', 'payment_intent.succeeded', 'payment_intent', jsonb_build_object('id', 'pi_8', 'latest_charge', 'ch_8',
              'metadata', jsonb_build_object('credits', '99', 'user_id', t.id(2))));
SELECT * FROM t.clean();

-- parts that were booked each by itself before they are tied: the second booking is taken back
CALL t.sign_up(1);
SELECT t.send('1', 'payment_intent.succeeded', 'payment_intent');
SELECT t.send('2', 'refund.created', 'refund');
SELECT t.send('3', 'invoice.paid', 'invoice');
SELECT t.send('4', 'invoice_payment.paid', 'invoice_payment');
SELECT t.send('5', 'refund.updated', 'refund', '{"status": "failed"}', 1010);
SELECT * FROM t.stripe_entries;
SELECT * FROM t.books();
SELECT * FROM t.clean();

-- contradictions
CALL t.sign_up(1, 2);
SELECT t.send('1', 'checkout.session.completed', 'checkout.session');
SELECT t.send('2', 'payment_intent.succeeded', 'payment_intent', jsonb_build_object('metadata', jsonb_build_object('credits', '101', 'user_id', t.id(1))));
SELECT t.send('2', 'payment_intent.succeeded', 'payment_intent', jsonb_build_object('metadata', jsonb_build_object('credits', '100', 'user_id', t.id(2))));
SELECT t.send('2', 'payment_intent.succeeded', 'payment_intent', '{"currency": "usd"}');
-- an id of an event that stands for something else
SELECT t.send('1', 'payment_intent.succeeded', 'payment_intent');
SELECT t.send('1', 'checkout.session.completed', 'checkout.session', '{"id": "cs_2"}');
SELECT t.send('1', 'checkout.session.async_payment_succeeded', 'checkout.session');
-- payments of two users turn out to be one
SELECT t.send('3', 'payment_intent.succeeded', 'payment_intent', jsonb_build_object('id', 'pi_2', 'latest_charge', 'ch_2',
              'metadata', jsonb_build_object('credits', '100', 'user_id', t.id(2))));
SELECT t.send('4', 'charge.refunded', 'charge', '{"id": "ch_2", "payment_intent": "pi_1", "amount_refunded": 100}');
-- a payment intent that pays two invoices is not one payment
SELECT t.send('4', 'invoice.paid', 'invoice', '{"id": "in_4"}'), t.send('5', 'invoice.paid', 'invoice', '{"id": "in_5"}');
SELECT t.send('6', 'invoice_payment.paid', 'invoice_payment', '{"invoice": "in_4", "payment": {"type": "payment_intent", "payment_intent": "pi_4"}}');
SELECT t.send('7', 'invoice_payment.paid', 'invoice_payment', '{"invoice": "in_5", "payment": {"type": "payment_intent", "payment_intent": "pi_4"}}');
SELECT * FROM t.stripe_entries;
-- a customer of two users
UPDATE profiles SET stripe_customer_id = 'cus_1';
SELECT t.send('8', 'payment_intent.succeeded', 'payment_intent', '{"id": "pi_5", "latest_charge": "ch_5", "customer": "cus_1", "metadata": {"credits": "5"}}');
SELECT * FROM t.clean();

-- who paid: metadata before client_reference_id before the customer; nobody is PT404, and comes again
CALL t.sign_up(1, 2, 3);
UPDATE profiles SET stripe_customer_id = 'cus_3' WHERE id = t.id(3);
SELECT t.send('1', 'checkout.session.completed', 'checkout.session', jsonb_build_object('client_reference_id', t.id(2), 'customer', 'cus_3'));
SELECT t.send('2', 'checkout.session.completed', 'checkout.session', jsonb_build_object('id', 'cs_2', 'payment_intent', 'pi_2',
              'metadata', '{"credits": "5"}'::jsonb, 'client_reference_id', t.id(2), 'customer', 'cus_3'));
SELECT t.send('3', 'checkout.session.completed', 'checkout.session', '{"id": "cs_3", "payment_intent": "pi_3", "metadata": {"credits": "5"},
  "client_reference_id": "a cart", "customer": "cus_3"}');
SELECT t.send('4', 'checkout.session.completed', 'checkout.session', '{"id": "cs_4", "payment_intent": "pi_4", "metadata": {"credits": "5"}, "customer": "cus_4"}');
SELECT t.send('4', 'checkout.session.completed', 'checkout.session', '{"id": "cs_4", "payment_intent": "pi_4", "metadata": {"credits": "5"}}');
SELECT t.send('4', 'payment_intent.succeeded', 'payment_intent', jsonb_build_object('id', 'pi_4', 'metadata', jsonb_build_object('credits', '5', 'user_id', t.id(9))));
SELECT t.send('4', 'payment_intent.succeeded', 'payment_intent', '{"id": "pi_4", "metadata": {"credits": "5", "user_id": "9"}}');
UPDATE profiles SET stripe_customer_id = 'cus_4' WHERE id = t.id(2);
SELECT t.send('4', 'checkout.session.completed', 'checkout.session', '{"id": "cs_4", "payment_intent": "pi_4", "metadata": {"credits": "5"}, "customer": "cus_4"}');
-- metadata of others, where there are no credits
SELECT t.send('5', 'payment_intent.succeeded', 'payment_intent', '{"id": "pi_5", "latest_charge": "ch_5", "metadata": {"user_id": "9", "order": "7"}}');
SELECT t.send('6', 'payment_intent.succeeded', 'payment_intent', jsonb_build_object('id', 'pi_6', 'latest_charge', 'ch_6', 'metadata', jsonb_build_object('user_id', t.id(9))));
-- a user without an account
DELETE FROM auth.users WHERE id = t.id(3);
BEGIN;
SET LOCAL studio_engine.maintenance = on;
INSERT INTO auth.users (id, email) VALUES (t.id(3), 'c@example.com');
COMMIT;
SELECT t.send('7', 'payment_intent.succeeded', 'payment_intent', jsonb_build_object('id', 'pi_7', 'latest_charge', 'ch_7', 'metadata', jsonb_build_object('credits', '5', 'user_id', t.id(3))));
SELECT * FROM t.stripe_entries;
SELECT object_id, t.n(user_id) FROM studio_engine.stripe_objects WHERE merged_into IS NULL ORDER BY 1;
-- all of it goes with the users
DELETE FROM auth.users;
SELECT object_id, merged_into FROM studio_engine.stripe_objects ORDER BY 1;
SELECT event_id FROM studio_engine.stripe_events ORDER BY 1;
SELECT * FROM t.clean();

-- what is ignored
CALL t.sign_up(1);
SELECT y AS type, t.send(t.stripe_event('1', y, '{"id": "x", "object": "x"}')) AS answer
  FROM unnest(ARRAY['customer.created', 'payment_intent.created', 'payment_intent.payment_failed', 'checkout.session.expired',
                    'checkout.session.async_payment_failed', 'invoice.voided', 'charge.failed', 'balance.available']) y;
SELECT t.send('1', 'checkout.session.completed', 'checkout.session', '{"mode": "setup", "payment_status": "no_payment_required", "payment_intent": null}');
SELECT t.send('1', 'refund.created', 'refund', '{"charge": null, "payment_intent": null}');
SELECT t.send('1', 'invoice_payment.paid', 'invoice_payment', '{"invoice": null, "payment": {"type": "payment_record", "payment_record": "pr_1"}}');
SELECT count(*) FROM studio_engine.stripe_objects;

-- what is no event
SELECT t.quiet('SELECT apply_stripe_event(NULL)');
SELECT e AS event, t.send(e::jsonb) AS answer
  FROM unnest(ARRAY['[]', '"evt_1"', '7', 'null', '{}', '{"id": "evt_1"}', '{"id": 1, "type": "x", "data": {"object": {}}}',
                    '{"id": "", "type": "x", "data": {"object": {}}}', '{"id": "evt_1", "type": ["x"], "data": {"object": {}}}',
                    '{"id": "evt_1", "type": "x"}', '{"id": "evt_1", "type": "x", "data": null}', '{"id": "evt_1", "type": "x", "data": []}',
                    '{"id": "evt_1", "type": "x", "data": {"object": "y"}}', '{"id": "evt_1", "type": "x", "data": {"previous_attributes": {}}}',
                    '{"id": "evt_1", "type": "charge.refunded", "data": {"object": {"id": "ch_1"}}}',
                    '{"id": "evt_1", "type": "charge.refunded", "created": 1, "data": {"object": {"id": "ch_1"}}}',
                    '{"id": "evt_1", "type": "charge.refunded", "created": 1, "data": {"object": {"id": "ch_1", "object": "refund"}}}',
                    '{"id": "evt_1", "type": "charge.refunded", "created": 1, "data": {"object": {"object": "charge"}}}',
                    '{"id": "evt_1", "object": "v2.core.event", "type": "v1.charge.refunded", "related_object": {}}']) e;
SELECT t.send(t.stripe_event(repeat('x', 252), 'charge.refunded', t.stripe_object('charge')));
SELECT t.send(t.stripe_event('1', 'charge.refunded', t.stripe_object('charge', jsonb_build_object('id', repeat('x', 256)))));
SELECT t.send(t.stripe_event('1', 'charge.refunded', t.stripe_object('charge'), c)) FROM unnest(ARRAY[-1, 253402300800]) c;
SELECT s AS charge, t.send('1', 'charge.refunded', 'charge', s::jsonb) AS answer
  FROM unnest(ARRAY['{"amount": "1000"}', '{"amount": null}', '{"amount": -1}', '{"amount": 1.5}', '{"amount": 1000000000000000}', '{"amount": 1e400}',
                    '{"amount_refunded": null}', '{"amount_refunded": -1}', '{"currency": 7}', '{"payment_intent": 7}', '{"payment_intent": []}',
                    '{"payment_intent": ""}', '{"status": {}}', '{"invoice": {"id": 7}}']) s;
SELECT s AS session, t.send('1', 'checkout.session.completed', 'checkout.session', s::jsonb) AS answer
  FROM unnest(ARRAY['{"mode": null}', '{"payment_status": null}', '{"metadata": "x"}', '{"metadata": {"credits": 100}}', '{"metadata": {"credits": ""}}',
                    '{"metadata": {"credits": "0"}}', '{"metadata": {"credits": "-5"}}', '{"metadata": {"credits": "1.5"}}', '{"metadata": {"credits": " 5"}}',
                    '{"metadata": {"credits": "2147483648"}}', '{"metadata": {"credits": "99999999999999999999999999"}}', '{"metadata": {"credits": "5", "user_id": 7}}',
                    '{"metadata": {"credits": "5", "user_id": "00000000-0000-4000-8000-00000000000x"}}', '{"line_items": []}', '{"amount_total": "x"}',
                    '{"metadata": {}, "line_items": {"data": [7]}}', '{"metadata": {}, "line_items": {"data": {}}}']) s;
SELECT s AS invoice, t.send('1', 'invoice.paid', 'invoice', s::jsonb) AS answer
  FROM unnest(ARRAY['{"lines": []}', '{"lines": {"data": {}}}', '{"lines": {"data": ["x"]}}', '{"lines": {"data": [{"amount": "x"}]}}', '{"parent": "x"}',
                    '{"lines": {"data": [{"amount": 1, "proration": 1}]}}', '{"payments": {"data": [{"payment": {}}]}}', '{"amount_paid": -1}']) s;
SELECT t.send('1', 'refund.created', 'refund', '{"amount": -300}'), t.send('1', 'charge.dispute.created', 'dispute', '{"status": null}');
SELECT t.quiet(format('SELECT apply_stripe_event(%L)', t.stripe_event('1', 'charge.refunded', t.stripe_object('charge', (repeat('{"a": ', 64) || '1' || repeat('}', 64))::jsonb))));
SELECT t.quiet(format('SELECT apply_stripe_event(%L)', t.stripe_event('1', 'charge.refunded', t.stripe_object('charge', jsonb_build_object('description', repeat('x', 1048576))))));
-- the balance stays an integer
SELECT t.send('1', 'payment_intent.succeeded', 'payment_intent', jsonb_build_object('metadata', jsonb_build_object('credits', '2147483647', 'user_id', t.id(1))));
SELECT t.send('1', 'payment_intent.succeeded', 'payment_intent', jsonb_build_object('metadata', jsonb_build_object('credits', '0002147483637', 'user_id', t.id(1))));
SELECT count(*) FROM t.stripe_entries;

-- services only
CALL t.as_user(t.id(1));
SELECT t.quiet(format('SELECT apply_stripe_event(%L)', t.stripe_event('2', 'charge.refunded', '{}')));
CALL t.as_role('anon');
SELECT t.ask(format('SELECT apply_stripe_event(%L)', '{}'));
CALL t.as_role('service_role');
SELECT apply_stripe_event('{"id": "evt_2", "type": "charge.refunded", "created": 1010, "data": {"object": {"id": "ch_1", "object": "charge", "created": 1000, "amount": 1000,
  "amount_refunded": 500, "currency": "eur", "payment_intent": "pi_1"}}}') - 'user_id' AS answer;
CALL t.as_admin();

DROP VIEW t.stripe_entries, t.stripe_parts;
DROP FUNCTION t.send(jsonb), t.send(text, text, text, jsonb, bigint), t.stripe_event, t.stripe_object;
SELECT * FROM t.clean();
