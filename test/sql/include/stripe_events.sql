-- Events of Stripe for tests: objects as its API has them, with what a test sets.

-- An object of this kind; members that are set to null are those that another version of the API has.
CREATE FUNCTION t.stripe_object(p_kind text, p_set jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql AS $$
  SELECT CASE p_kind
    WHEN 'checkout.session' THEN jsonb_build_object(
      'id', 'cs_1', 'mode', 'payment', 'payment_status', 'paid', 'status', 'complete', 'amount_subtotal', 1000, 'amount_total', 1000,
      'currency', 'eur', 'client_reference_id', NULL, 'customer', NULL, 'invoice', NULL, 'payment_intent', 'pi_1', 'subscription', NULL,
      'metadata', jsonb_build_object('credits', '100', 'user_id', t.id(1)))
    WHEN 'payment_intent' THEN jsonb_build_object(
      'id', 'pi_1', 'amount', 1000, 'amount_received', 1000, 'currency', 'eur', 'customer', NULL, 'latest_charge', 'ch_1',
      'status', 'succeeded', 'metadata', jsonb_build_object('credits', '100', 'user_id', t.id(1)))
    -- of 2025-03-31 and later
    WHEN 'invoice' THEN jsonb_build_object(
      'id', 'in_1', 'amount_due', 1000, 'amount_paid', 1000, 'billing_reason', 'subscription_cycle', 'currency', 'eur', 'customer', 'cus_1',
      'metadata', '{}'::jsonb, 'status', 'paid', 'subtotal', 1000, 'total', 1000,
      'parent', jsonb_build_object('type', 'subscription_details', 'quote_details', NULL, 'subscription_details', jsonb_build_object(
        'subscription', 'sub_1', 'metadata', jsonb_build_object('credits', '100', 'user_id', t.id(1)))),
      'lines', jsonb_build_object('object', 'list', 'has_more', false, 'data', jsonb_build_array(t.stripe_object('line_item'))))
    WHEN 'line_item' THEN jsonb_build_object(
      'id', 'il_1', 'amount', 1000, 'currency', 'eur', 'quantity', 1, 'period', jsonb_build_object('start', 4000000000, 'end', 4102444800),
      'parent', jsonb_build_object('type', 'subscription_item_details', 'invoice_item_details', NULL, 'subscription_item_details',
        jsonb_build_object('proration', false, 'subscription', 'sub_1', 'subscription_item', 'si_1')),
      'pricing', jsonb_build_object('type', 'price_details', 'price_details', jsonb_build_object('price', 'price_1', 'product', 'prod_1')))
    WHEN 'invoice_payment' THEN jsonb_build_object(
      'id', 'inpay_1', 'amount_paid', 1000, 'amount_requested', 1000, 'currency', 'eur', 'invoice', 'in_1', 'is_default', true,
      'payment', jsonb_build_object('type', 'payment_intent', 'payment_intent', 'pi_1'), 'status', 'paid')
    WHEN 'charge' THEN jsonb_build_object(
      'id', 'ch_1', 'amount', 1000, 'amount_captured', 1000, 'amount_refunded', 0, 'captured', true, 'currency', 'eur', 'customer', NULL,
      'disputed', false, 'metadata', '{}'::jsonb, 'paid', true, 'payment_intent', 'pi_1', 'refunded', false, 'status', 'succeeded')
    WHEN 'refund' THEN jsonb_build_object(
      'id', 're_1', 'amount', 300, 'charge', 'ch_1', 'currency', 'eur', 'metadata', '{}'::jsonb, 'payment_intent', 'pi_1', 'reason', NULL,
      'status', 'succeeded')
    WHEN 'dispute' THEN jsonb_build_object(
      'id', 'dp_1', 'amount', 1000, 'charge', 'ch_1', 'currency', 'eur', 'payment_intent', 'pi_1', 'reason', 'fraudulent',
      'status', 'needs_response')
  END || jsonb_build_object('object', p_kind, 'created', 1000, 'livemode', false) || p_set
$$;

-- The event evt_NAME.
CREATE FUNCTION t.stripe_event(p_name text, p_type text, p_object jsonb, p_created bigint DEFAULT 1000) RETURNS jsonb
LANGUAGE sql AS $$
  SELECT jsonb_build_object('id', 'evt_' || p_name, 'object', 'event', 'api_version', '2025-06-30.basil', 'created', p_created,
    'livemode', false, 'pending_webhooks', 1, 'request', jsonb_build_object('id', NULL, 'idempotency_key', NULL), 'type', p_type,
    'data', jsonb_build_object('object', p_object))
$$;

-- The answer to an event in short, or its error; and whether anything was written.
CREATE FUNCTION t.send(p_event jsonb) RETURNS text
LANGUAGE sql AS $$
  SELECT t.quiet(format($q$
    SELECT concat_ws(' ', a ->> 'result', a ->> 'payment', 'of user ' || t.n((a ->> 'user_id')::uuid),
                     'booked ' || nullif(a ->> 'credits_booked', '0'), 'reversed ' || nullif(a ->> 'credits_reversed', '0'),
                     'reinstated ' || nullif(a ->> 'credits_reinstated', '0'))
      FROM apply_stripe_event(%L) a $q$, p_event))
$$;
CREATE FUNCTION t.send(p_name text, p_type text, p_kind text, p_set jsonb DEFAULT '{}', p_created bigint DEFAULT 1000) RETURNS text
LANGUAGE sql AS $$
  SELECT t.send(t.stripe_event(p_name, p_type, t.stripe_object(p_kind, p_set), p_created))
$$;
