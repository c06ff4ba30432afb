-- 257_stripe_permutations.sql
--
-- Events of Stripe in every order.  Whatever the order, the same credits are left,
-- the ledger is sound, and what is known of the payment is the same.
-- Pitfall: the numbers of entries and their keys depend on the order, the sums do
-- not.

\set VERBOSITY terse
\set SHOW_CONTEXT never
\i test/sql/include/stripe_events.sql

CREATE TABLE t.events (nr integer PRIMARY KEY, event jsonb);
CREATE PROCEDURE t.event(p_nr integer, p_type text, p_kind text, p_set jsonb DEFAULT '{}', p_created bigint DEFAULT 1000)
LANGUAGE sql AS $$
  INSERT INTO t.events VALUES (p_nr, t.stripe_event(p_nr::text, p_type, t.stripe_object(p_kind, p_set), p_created))
$$;

-- The event with the identifiers of a play.
CREATE FUNCTION t.own(p_event jsonb, p_play integer) RETURNS jsonb
LANGUAGE sql AS $$
  SELECT replace(regexp_replace(p_event::text, '"((?:evt|cs|pi|in|ch|re|dp|inpay)_[0-9]+)"', '"\1-' || p_play || '"', 'g'),
                 t.id(1)::text, t.id(p_play)::text)::jsonb
$$;

-- Every order of these numbers; one that occurs twice gives an order once.
CREATE FUNCTION t.orders(p_numbers integer[]) RETURNS SETOF integer[]
LANGUAGE sql AS $$
  WITH RECURSIVE orders (done, left_over) AS (
    SELECT '{}'::integer[], p_numbers
    UNION ALL
    SELECT o.done || o.left_over[i], o.left_over[:i - 1] || o.left_over[i + 1:]
      FROM orders o, generate_series(1, cardinality(o.left_over)) i
  )
  SELECT DISTINCT done FROM orders WHERE left_over = '{}'
$$;

-- Plays the events in this order, with a user and identifiers of its own; those that are refused since the user is unknown
-- come again at the end.
CREATE SEQUENCE t.plays START 1001;
CREATE FUNCTION t.play(p_order integer[], OUT refused integer, OUT credits integer, OUT entries bigint, OUT known text)
LANGUAGE plpgsql AS $$
DECLARE
  v_play integer := nextval('t.plays');
  v_again integer[] := '{}';
  v_event integer;
BEGIN
  CALL t.sign_up(v_play);
  FOREACH v_event IN ARRAY p_order LOOP
    BEGIN
      PERFORM apply_stripe_event(t.own(e.event, v_play)) FROM t.events e WHERE e.nr = v_event;
    EXCEPTION WHEN SQLSTATE 'PT404' THEN
      v_again := v_again || v_event;
    END;
  END LOOP;
  FOREACH v_event IN ARRAY v_again LOOP
    PERFORM apply_stripe_event(t.own(e.event, v_play)) FROM t.events e WHERE e.nr = v_event;
  END LOOP;
  refused := cardinality(v_again);
  SELECT a.balance - 10, a.entries INTO credits, entries FROM credit_accounts a WHERE a.user_id = t.id(v_play);
  SELECT string_agg(concat_ws(' ', split_part(o.object_id, '-', 1), o.credits, o.subscription, o.paid, o.total, o.currency), ', ' ORDER BY o.object_id)
    INTO known FROM studio_engine.stripe_objects o
   WHERE o.merged_into IS NULL AND o.user_id = t.id(v_play);
END
$$;
CREATE FUNCTION t.play_all(p_numbers integer[], OUT orders bigint, OUT with_refusals bigint, OUT least_credits integer, OUT most_credits integer,
                           OUT fewest bigint, OUT most_entries bigint, OUT known text[])
LANGUAGE sql AS $$
  SELECT count(*), count(*) FILTER (WHERE p.refused > 0), min(p.credits), max(p.credits), min(p.entries), max(p.entries),
         array_agg(DISTINCT p.known)
    FROM t.orders(p_numbers) o, LATERAL t.play(o) p
$$;

-- a purchase by checkout, two refunds as single ones and in all, a dispute that is won
CALL t.event(1, 'checkout.session.completed', 'checkout.session');
CALL t.event(2, 'refund.created', 'refund', '{"amount": 205}', 1010);
CALL t.event(3, 'charge.refunded', 'charge', '{"amount_refunded": 305}', 1020);
CALL t.event(4, 'charge.dispute.created', 'dispute', '{"amount": 400}', 1030);
CALL t.event(5, 'charge.dispute.closed', 'dispute', '{"amount": 400, "status": "won"}', 1040);
CALL t.event(6, 'payment_intent.succeeded', 'payment_intent');
SELECT * FROM t.play_all('{1,2,3,4,5}');
-- one of the events once more
SELECT e.nr, p.* FROM generate_series(1, 5) AS e (nr), LATERAL t.play_all('{1,2,3,4}'::integer[] || e.nr) p ORDER BY e.nr;

-- a dispute that is lost, a refund that fails after the charge has counted it, another one later
CALL t.event(11, 'charge.dispute.closed', 'dispute', '{"amount": 400, "status": "lost"}', 1040);
CALL t.event(12, 'refund.created', 'refund', '{"id": "re_2", "amount": 100, "created": 1015}', 1015);
CALL t.event(13, 'refund.failed', 'refund', '{"id": "re_2", "amount": 100, "created": 1015, "status": "failed"}', 1050);
CALL t.event(14, 'refund.created', 'refund', '{"id": "re_3", "amount": 50, "created": 1045}', 1045);
CALL t.event(15, 'charge.refund.updated', 'refund', '{"id": "re_2", "amount": 100, "created": 1015, "status": "failed"}', 1051);
SELECT * FROM t.play_all('{1,4,11,12,13}');
SELECT * FROM t.play_all('{1,3,13,14,15}');
SELECT * FROM t.play_all('{1,6,3,12,13}');
-- what the charge says of the time before the first refund, after it, and at the end
CALL t.event(16, 'charge.updated', 'charge', '{}', 1005);
CALL t.event(17, 'charge.refunded', 'charge', '{"amount_refunded": 1000, "refunded": true}', 1060);
SELECT * FROM t.play_all('{1,3,16,17,4}');

-- a subscription: the session names the user, the invoice the credits; what ties the refunded charge to it comes last or first
CALL t.event(21, 'checkout.session.completed', 'checkout.session',
             jsonb_build_object('mode', 'subscription', 'payment_intent', NULL, 'invoice', 'in_1', 'client_reference_id', t.id(1), 'metadata', '{}'::jsonb));
CALL t.event(22, 'invoice.paid', 'invoice', '{"parent": {"subscription_details": {"subscription": "sub_1", "metadata": {"credits": "100"}}}}');
CALL t.event(23, 'invoice_payment.paid', 'invoice_payment');
CALL t.event(24, 'charge.refunded', 'charge', '{"amount_refunded": 305}', 1020);
CALL t.event(25, 'payment_intent.succeeded', 'payment_intent', '{"metadata": {}}');
CALL t.event(26, 'invoice.payment_succeeded', 'invoice', '{"parent": {"subscription_details": {"subscription": "sub_1", "metadata": {"credits": "100"}}}}');
SELECT * FROM t.play_all('{21,22,23,24,26}');
SELECT * FROM t.play_all('{21,22,23,24,5}');

-- the same with versions of the API before 2025-03-31, where the charge names the invoice
CALL t.event(31, 'invoice.paid', 'invoice', jsonb_build_object('parent', NULL, 'subscription', 'sub_1', 'payment_intent', 'pi_1', 'charge', 'ch_1',
             'subscription_details', jsonb_build_object('metadata', jsonb_build_object('credits', '100', 'user_id', t.id(1)))));
CALL t.event(32, 'payment_intent.succeeded', 'payment_intent', '{"metadata": {}, "invoice": "in_1"}');
CALL t.event(33, 'charge.refunded', 'charge', '{"amount_refunded": 205, "invoice": "in_1"}', 1020);
CALL t.event(34, 'charge.refund.updated', 'refund', '{"amount": 205, "status": "pending"}', 1015);
SELECT * FROM t.play_all('{31,32,33,34,11}');

-- session and payment intent both name credits, in one payment with an invoice of its own, and are tied by whatever comes
CALL t.event(41, 'checkout.session.completed', 'checkout.session', '{"payment_intent": null, "invoice": "in_1"}');
CALL t.event(42, 'invoice.paid', 'invoice', '{"parent": null}');
SELECT * FROM t.play_all('{41,42,6,23,33}');
SELECT * FROM t.play_all('{41,6,23,3,11}');

-- paid days after the session
CALL t.event(51, 'checkout.session.completed', 'checkout.session', '{"payment_status": "unpaid"}');
CALL t.event(52, 'checkout.session.async_payment_succeeded', 'checkout.session', '{}', 1500);
SELECT * FROM t.play_all('{51,52,25,3,4}');

-- an invoice that two payments paid
CALL t.event(61, 'invoice.paid', 'invoice');
CALL t.event(62, 'payment_intent.succeeded', 'payment_intent', '{"amount_received": 400, "metadata": {}}');
CALL t.event(63, 'invoice_payment.paid', 'invoice_payment', '{"amount_paid": 400}');
CALL t.event(64, 'charge.refunded', 'charge', '{"amount": 400, "amount_refunded": 400, "refunded": true}', 1020);
CALL t.event(65, 'invoice_payment.paid', 'invoice_payment', '{"id": "inpay_2", "amount_paid": 600, "payment": {"type": "payment_intent", "payment_intent": "pi_2"}}');
CALL t.event(66, 'refund.created', 'refund', '{"amount": 150, "charge": "ch_2", "payment_intent": "pi_2"}', 1020);
SELECT * FROM t.play_all('{61,63,64,65,66}');

-- the books of all these users are sound
SELECT * FROM verify_credit_ledger();

DROP TABLE t.events;
DROP PROCEDURE t.event;
DROP FUNCTION t.play_all, t.play, t.orders, t.own;
DROP SEQUENCE t.plays;
DROP FUNCTION t.send(jsonb), t.send(text, text, text, jsonb, bigint), t.stripe_event, t.stripe_object;
SELECT * FROM t.clean();
