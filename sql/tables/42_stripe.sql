-- What apply_stripe_event() knows about payments.
-- Pitfall: events come in any order. So these tables have facts, each of which is
-- joined with what is known already such that the order does not matter; the
-- ledger is brought to what follows from all of them.

-- merged_into has no foreign key: pg_dump could not order the rows of data that
-- refer to others of their table. Parts go with the account of their user.
CREATE TABLE studio_engine.stripe_objects (
  object_id text NOT NULL,
  kind text NOT NULL,
  merged_into text,
  user_id uuid,
  credits integer,
  subscription boolean NOT NULL DEFAULT false,
  paid boolean NOT NULL DEFAULT false,
  total bigint,
  currency text,
  expires_at timestamptz,
  changed_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT stripe_objects_pkey PRIMARY KEY (object_id),
  CONSTRAINT stripe_objects_user_id_fkey FOREIGN KEY (user_id)
    REFERENCES @extschema@.credit_accounts (user_id) ON DELETE CASCADE,
  CONSTRAINT stripe_objects_kind_check CHECK (kind IN ('payment_intent', 'invoice', 'session', 'charge'))
);
CREATE INDEX idx_stripe_objects_merged ON studio_engine.stripe_objects (merged_into);
CREATE INDEX idx_stripe_objects_user ON studio_engine.stripe_objects (user_id);

CREATE TABLE studio_engine.stripe_facts (
  fact_id text NOT NULL,
  object_id text NOT NULL,
  kind text NOT NULL,
  amount bigint NOT NULL,
  currency text,
  phase smallint NOT NULL,
  stands boolean NOT NULL,
  at bigint NOT NULL,
  made_at bigint NOT NULL,
  CONSTRAINT stripe_facts_pkey PRIMARY KEY (fact_id),
  CONSTRAINT stripe_facts_object_id_fkey FOREIGN KEY (object_id)
    REFERENCES studio_engine.stripe_objects (object_id) ON DELETE CASCADE,
  CONSTRAINT stripe_facts_kind_check CHECK (kind IN ('charge', 'refund', 'dispute'))
);
CREATE INDEX idx_stripe_facts_object ON studio_engine.stripe_facts (object_id);

CREATE TABLE studio_engine.stripe_events (
  event_id text NOT NULL,
  type text NOT NULL,
  object_id text NOT NULL,
  tied_to text NOT NULL,
  answer jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT stripe_events_pkey PRIMARY KEY (event_id),
  CONSTRAINT stripe_events_tied_to_fkey FOREIGN KEY (tied_to)
    REFERENCES studio_engine.stripe_objects (object_id) ON DELETE CASCADE
);
CREATE INDEX idx_stripe_events_tied ON studio_engine.stripe_events (tied_to);

ALTER TABLE studio_engine.stripe_objects ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.stripe_facts ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.stripe_events ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE studio_engine.stripe_objects IS
'Objects of Stripe that are parts of a payment.

The objects of one payment are a tree: each but the last in order of id was merged into a later one, and the
one that was not has what is known of the payment. apply_stripe_event() locks them in order of id.';
COMMENT ON COLUMN studio_engine.stripe_objects.object_id IS 'Identifier at Stripe';
COMMENT ON COLUMN studio_engine.stripe_objects.kind IS 'What it is: payment_intent, invoice, session, charge';
COMMENT ON COLUMN studio_engine.stripe_objects.merged_into IS 'The object that knows more of the same payment; NULL where this one knows all';
COMMENT ON COLUMN studio_engine.stripe_objects.user_id IS 'The user who paid; NULL while unknown';
COMMENT ON COLUMN studio_engine.stripe_objects.credits IS 'What was bought; NULL while unknown';
COMMENT ON COLUMN studio_engine.stripe_objects.subscription IS 'Whether it is a period of a subscription';
COMMENT ON COLUMN studio_engine.stripe_objects.paid IS 'Whether the money has come';
COMMENT ON COLUMN studio_engine.stripe_objects.total IS 'What was paid, in the smallest unit of the currency; NULL while unknown';
COMMENT ON COLUMN studio_engine.stripe_objects.currency IS 'The currency';
COMMENT ON COLUMN studio_engine.stripe_objects.expires_at IS 'When the credits of a subscription expire; NULL is never';
COMMENT ON COLUMN studio_engine.stripe_objects.changed_at IS 'When the last event of the object came';

COMMENT ON TABLE studio_engine.stripe_facts IS
'Money that went back: the refunded amount of charges, refunds and disputes.

Of two events about the same one, the later phase is kept, whichever came first.';
COMMENT ON COLUMN studio_engine.stripe_facts.fact_id IS 'The charge, refund or dispute';
COMMENT ON COLUMN studio_engine.stripe_facts.object_id IS 'The payment intent; the charge, where there is none';
COMMENT ON COLUMN studio_engine.stripe_facts.kind IS 'What it is: charge, refund, dispute';
COMMENT ON COLUMN studio_engine.stripe_facts.amount IS 'In the smallest unit of the currency; of a charge, what is refunded of it in all';
COMMENT ON COLUMN studio_engine.stripe_facts.currency IS 'The currency';
COMMENT ON COLUMN studio_engine.stripe_facts.phase IS 'How far it has come; a later phase replaces an earlier one';
COMMENT ON COLUMN studio_engine.stripe_facts.stands IS 'Whether the money is gone: false for a failed refund, a won dispute, an inquiry';
COMMENT ON COLUMN studio_engine.stripe_facts.at IS 'When it was so, in seconds since 1970: the time of the event';
COMMENT ON COLUMN studio_engine.stripe_facts.made_at IS 'When the object was made, in seconds since 1970';

COMMENT ON TABLE studio_engine.stripe_events IS
'Events of Stripe that were applied, with their answers.

An event that comes again gets the first answer.';
COMMENT ON COLUMN studio_engine.stripe_events.event_id IS 'Identifier of the event';
COMMENT ON COLUMN studio_engine.stripe_events.type IS 'Its type';
COMMENT ON COLUMN studio_engine.stripe_events.object_id IS 'The object that it is about';
COMMENT ON COLUMN studio_engine.stripe_events.tied_to IS 'The part of a payment that it names';
COMMENT ON COLUMN studio_engine.stripe_events.answer IS 'What apply_stripe_event() returned';
COMMENT ON COLUMN studio_engine.stripe_events.created_at IS 'When it was applied';
