-- Credits: the ledger has every movement, an account is the sum of the entries
-- of its user and the row that is locked for each of them.
-- Pitfall: an account changes only by an INSERT into the ledger, whose trigger
-- updates the account; every other change of it is refused
-- (attach/40_credits.sql).

CREATE TABLE @extschema@.credit_accounts (
  user_id UUID,
  balance INTEGER NOT NULL DEFAULT 0,
  reserved INTEGER NOT NULL DEFAULT 0,
  entries BIGINT NOT NULL DEFAULT 0,
  updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  CONSTRAINT credit_accounts_pkey PRIMARY KEY (user_id),
  CONSTRAINT credit_accounts_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE,
  CONSTRAINT credit_accounts_reserved_check CHECK (reserved >= 0),
  CONSTRAINT credit_accounts_entries_check CHECK (entries >= 0)
) WITH (fillfactor = 50);

CREATE TABLE @extschema@.credit_ledger (
  id UUID DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL,
  type TEXT NOT NULL,
  amount INTEGER NOT NULL,
  balance_after INTEGER,
  note TEXT,
  job_id UUID,
  stripe_payment_id TEXT,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  entry_no BIGINT NOT NULL,
  idempotency_key TEXT,
  expires_at TIMESTAMPTZ,
  reverses UUID,
  CONSTRAINT credit_ledger_pkey PRIMARY KEY (id),
  CONSTRAINT credit_ledger_user_id_fkey FOREIGN KEY (user_id) REFERENCES @extschema@.credit_accounts (user_id) ON DELETE CASCADE,
  CONSTRAINT credit_ledger_job_id_fkey FOREIGN KEY (job_id) REFERENCES @extschema@.jobs (id) ON DELETE SET NULL,
  CONSTRAINT credit_ledger_type_check CHECK (type IN (
    'purchase', 'usage', 'refund', 'grant', 'expire', 'reserve', 'subscription'
  ))
);
CREATE INDEX idx_credit_user ON @extschema@.credit_ledger (user_id);
CREATE INDEX idx_credit_job ON @extschema@.credit_ledger (job_id);
CREATE INDEX idx_credit_created ON @extschema@.credit_ledger (created_at DESC);
CREATE UNIQUE INDEX idx_credit_entry_no ON @extschema@.credit_ledger (user_id, entry_no);
CREATE UNIQUE INDEX idx_credit_idempotency ON @extschema@.credit_ledger (user_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX idx_credit_payment ON @extschema@.credit_ledger (stripe_payment_id)
  WHERE stripe_payment_id IS NOT NULL AND type IN ('purchase', 'subscription') AND reverses IS NULL;

CREATE INDEX idx_credit_reverses ON @extschema@.credit_ledger (reverses) WHERE reverses IS NOT NULL;

-- The lots that expire_credits() still has to sweep. Everything about a lot is
-- in the ledger; this list exists so that users whose credit never expires need
-- no replay of their ledger.
CREATE TABLE studio_engine.expiring_credits (
  entry_id uuid NOT NULL,
  user_id uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  held_back boolean NOT NULL DEFAULT false,
  CONSTRAINT expiring_credits_pkey PRIMARY KEY (entry_id),
  CONSTRAINT expiring_credits_user_id_fkey FOREIGN KEY (user_id)
    REFERENCES @extschema@.credit_accounts (user_id) ON DELETE CASCADE
);
CREATE INDEX idx_expiring_credits_user ON studio_engine.expiring_credits (user_id);
CREATE INDEX idx_expiring_credits_due ON studio_engine.expiring_credits (expires_at) WHERE NOT held_back;

CREATE TABLE studio_engine.ledger_hashes (
  entry_id uuid NOT NULL,
  user_id uuid NOT NULL,
  entry_no bigint NOT NULL,
  hash bytea NOT NULL,
  CONSTRAINT ledger_hashes_pkey PRIMARY KEY (entry_id),
  CONSTRAINT ledger_hashes_user_id_fkey FOREIGN KEY (user_id)
    REFERENCES @extschema@.credit_accounts (user_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX idx_ledger_hashes_user ON studio_engine.ledger_hashes (user_id, entry_no);

CREATE TABLE studio_engine.awaited_reversals (
  user_id uuid NOT NULL,
  idempotency_key text NOT NULL,
  entry_id uuid NOT NULL,
  CONSTRAINT awaited_reversals_pkey PRIMARY KEY (user_id, idempotency_key),
  CONSTRAINT awaited_reversals_user_id_fkey FOREIGN KEY (user_id)
    REFERENCES @extschema@.credit_accounts (user_id) ON DELETE CASCADE
);

-- Digests outlive the users, so they refer to none.
CREATE TABLE studio_engine.welcomed (
  digest bytea NOT NULL,
  CONSTRAINT welcomed_pkey PRIMARY KEY (digest)
);

CREATE TABLE studio_engine.payment_digests (
  digest bytea NOT NULL,
  CONSTRAINT payment_digests_pkey PRIMARY KEY (digest)
);

ALTER TABLE studio_engine.payment_digests ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.welcomed ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.awaited_reversals ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.ledger_hashes ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.expiring_credits ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.credit_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.credit_ledger ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE @extschema@.credit_accounts IS
'Credit accounts of the users, one row each.

An account is the sum of the ledger entries of its user, and the row that every movement locks. It changes
through the ledger only. A user reads his own.';
COMMENT ON COLUMN @extschema@.credit_accounts.user_id IS 'The user';
COMMENT ON COLUMN @extschema@.credit_accounts.balance IS 'Credits that can be spent: the sum of the ledger, holds taken off';
COMMENT ON COLUMN @extschema@.credit_accounts.reserved IS 'Credits in open holds';
COMMENT ON COLUMN @extschema@.credit_accounts.entries IS 'Number of ledger entries, which is the entry_no of the last';
COMMENT ON COLUMN @extschema@.credit_accounts.updated_at IS 'When the last entry was made';

COMMENT ON TABLE @extschema@.credit_ledger IS
'Every movement of credits.

The ledger is append-only. A user reads his own entries.';
COMMENT ON COLUMN @extschema@.credit_ledger.id IS 'Identifier';
COMMENT ON COLUMN @extschema@.credit_ledger.user_id IS 'The user';
COMMENT ON COLUMN @extschema@.credit_ledger.type IS 'purchase, subscription, grant and refund add; usage and expire take; reserve takes when a hold opens and adds when it closes';
COMMENT ON COLUMN @extschema@.credit_ledger.amount IS 'Credits, with sign';
COMMENT ON COLUMN @extschema@.credit_ledger.balance_after IS 'Balance with this entry; written by the trigger';
COMMENT ON COLUMN @extschema@.credit_ledger.note IS 'For people';
COMMENT ON COLUMN @extschema@.credit_ledger.job_id IS 'The job; NULL once the job is deleted';
COMMENT ON COLUMN @extschema@.credit_ledger.stripe_payment_id IS 'Payment at the provider; grants credits once';
COMMENT ON COLUMN @extschema@.credit_ledger.created_at IS 'When the transaction that made the entry began';
COMMENT ON COLUMN @extschema@.credit_ledger.entry_no IS '1, 2, 3 and so on per user, without gaps; written by the trigger';
COMMENT ON COLUMN @extschema@.credit_ledger.idempotency_key IS 'Key of the caller, or reinstates:ID of the reversal that this entry undoes; moves credits once per user';
COMMENT ON COLUMN @extschema@.credit_ledger.expires_at IS 'When credit of this entry expires; NULL is never';
COMMENT ON COLUMN @extschema@.credit_ledger.reverses IS 'The entry that this one takes back: the hold that it closes, the credit that expired, the purchase that was reversed; where a reversal is undone, its purchase';

COMMENT ON TABLE studio_engine.expiring_credits IS
'Ledger entries whose expiry is not handled yet.

expire_credits() works through them.';
COMMENT ON COLUMN studio_engine.expiring_credits.entry_id IS 'The entry, credit_ledger.id';
COMMENT ON COLUMN studio_engine.expiring_credits.user_id IS 'The user';
COMMENT ON COLUMN studio_engine.expiring_credits.expires_at IS 'When its credit expires';
COMMENT ON COLUMN studio_engine.expiring_credits.held_back IS 'Whether it has expired and what is left of it is in an open hold';

COMMENT ON TABLE studio_engine.ledger_hashes IS
'Hash chain over the ledger entries of each user.

It is written while setting ledger_hash_chain is 1.';
COMMENT ON COLUMN studio_engine.ledger_hashes.entry_id IS 'The entry, credit_ledger.id';
COMMENT ON COLUMN studio_engine.ledger_hashes.user_id IS 'The user';
COMMENT ON COLUMN studio_engine.ledger_hashes.entry_no IS 'The number of the entry';
COMMENT ON COLUMN studio_engine.ledger_hashes.hash IS 'SHA-256 over the hash before it and the entry without its job';

COMMENT ON TABLE studio_engine.awaited_reversals IS
'Reversals of payments that were undone before they came.

A reversal with such a key takes nothing. reinstate_purchase() writes the rows.';
COMMENT ON COLUMN studio_engine.awaited_reversals.user_id IS 'The user';
COMMENT ON COLUMN studio_engine.awaited_reversals.idempotency_key IS 'The key of the reversal';
COMMENT ON COLUMN studio_engine.awaited_reversals.entry_id IS 'The entry of the payment, credit_ledger.id';

COMMENT ON TABLE studio_engine.welcomed IS
'E-mail addresses that have had the welcome grant.

They outlive their users, so that nobody signs up again for another grant.';
COMMENT ON COLUMN studio_engine.welcomed.digest IS 'HMAC-SHA-256 of email: and the address, trimmed and in lower case, under the text of digest_key in studio_engine.meta';

COMMENT ON TABLE studio_engine.payment_digests IS
'Payments of users who are deleted.

The ledger goes with its user; these stay, so that no payment is booked twice.';
COMMENT ON COLUMN studio_engine.payment_digests.digest IS 'HMAC-SHA-256 of payment: and the id of the payment, under the text of digest_key in studio_engine.meta';
