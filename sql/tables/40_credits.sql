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
  reference TEXT,
  metadata JSONB,
  priority INTEGER,
  transfer_id UUID,
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
CREATE INDEX idx_credit_payment_parts ON @extschema@.credit_ledger (stripe_payment_id)
  WHERE stripe_payment_id IS NOT NULL AND reverses IS NOT NULL;
CREATE INDEX idx_credit_reference ON @extschema@.credit_ledger (user_id, reference) WHERE reference IS NOT NULL;

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

CREATE TABLE studio_engine.credit_keys (
  user_id uuid NOT NULL,
  idempotency_key text NOT NULL,
  kind text NOT NULL,
  entry_id uuid,
  amount integer,
  CONSTRAINT credit_keys_pkey PRIMARY KEY (user_id, idempotency_key),
  CONSTRAINT credit_keys_user_id_fkey FOREIGN KEY (user_id)
    REFERENCES @extschema@.credit_accounts (user_id) ON DELETE CASCADE
);

-- The holds that the sweep returns when they have expired, as expiring_credits.
CREATE TABLE studio_engine.expiring_holds (
  hold_id uuid NOT NULL,
  user_id uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT expiring_holds_pkey PRIMARY KEY (hold_id),
  CONSTRAINT expiring_holds_user_id_fkey FOREIGN KEY (user_id)
    REFERENCES @extschema@.credit_accounts (user_id) ON DELETE CASCADE
);
CREATE INDEX idx_expiring_holds_user ON studio_engine.expiring_holds (user_id);
CREATE INDEX idx_expiring_holds_due ON studio_engine.expiring_holds (expires_at);

-- What a replay of the first entries of a user gives, so that a long ledger is
-- not replayed whole. verify_credit_ledger() compares it with the entries.
CREATE TABLE studio_engine.lot_checkpoints (
  user_id uuid NOT NULL,
  entry_no bigint NOT NULL,
  state jsonb NOT NULL,
  CONSTRAINT lot_checkpoints_pkey PRIMARY KEY (user_id),
  CONSTRAINT lot_checkpoints_user_id_fkey FOREIGN KEY (user_id)
    REFERENCES @extschema@.credit_accounts (user_id) ON DELETE CASCADE
);

-- The two sides of a transfer are entries of two users, and one of these may be
-- deleted; this tells such a transfer from a damaged one.
CREATE TABLE studio_engine.transfers (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  from_user_id uuid,
  to_user_id uuid,
  kind text NOT NULL,
  amount integer NOT NULL,
  CONSTRAINT transfers_pkey PRIMARY KEY (id),
  CONSTRAINT transfers_from_user_id_fkey FOREIGN KEY (from_user_id)
    REFERENCES @extschema@.credit_accounts (user_id) ON DELETE SET NULL,
  CONSTRAINT transfers_to_user_id_fkey FOREIGN KEY (to_user_id)
    REFERENCES @extschema@.credit_accounts (user_id) ON DELETE SET NULL
);
CREATE INDEX idx_transfers_from ON studio_engine.transfers (from_user_id);
CREATE INDEX idx_transfers_to ON studio_engine.transfers (to_user_id);

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
ALTER TABLE studio_engine.transfers ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.lot_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.expiring_holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.credit_keys ENABLE ROW LEVEL SECURITY;
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
COMMENT ON COLUMN @extschema@.credit_ledger.idempotency_key IS 'Key of the caller, reinstates:ID of the reversal that this entry undoes, or captures:ID of the hold that it charges; moves credits once per user';
COMMENT ON COLUMN @extschema@.credit_ledger.expires_at IS 'When credit of this entry expires, or the hold that it took; NULL is never';
COMMENT ON COLUMN @extschema@.credit_ledger.reverses IS 'The entry that this one takes back: the hold that it closes, the credit that expired, the purchase that was reversed; where a reversal is undone, its purchase; of a lot that was transferred, the entry that took it';

COMMENT ON COLUMN @extschema@.credit_ledger.reference IS 'What the credits are for, in the words of the caller: a chat, a studio job';
COMMENT ON COLUMN @extschema@.credit_ledger.metadata IS 'More about the entry; project_title of the project of a job';
COMMENT ON COLUMN @extschema@.credit_ledger.priority IS 'Of an entry that adds credit: which credit is used first, the smaller number; NULL is 0';
COMMENT ON COLUMN @extschema@.credit_ledger.transfer_id IS 'The transfer between two users that this entry is a part of';

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

COMMENT ON TABLE studio_engine.credit_keys IS
'Idempotency keys whose first call made no ledger entry.

A late retry with such a key moves nothing either.';
COMMENT ON COLUMN studio_engine.credit_keys.user_id IS 'The user';
COMMENT ON COLUMN studio_engine.credit_keys.idempotency_key IS 'The key';
COMMENT ON COLUMN studio_engine.credit_keys.kind IS 'What it was used for; reverse is a reversal that was undone before it came, top_up a top-up that found nothing missing';
COMMENT ON COLUMN studio_engine.credit_keys.entry_id IS 'The entry that the call was about, credit_ledger.id, or the other user';
COMMENT ON COLUMN studio_engine.credit_keys.amount IS 'The amount of the call';

COMMENT ON TABLE studio_engine.expiring_holds IS
'Holds that expire and may be open.

sweep_stale_holds() works through them.';
COMMENT ON COLUMN studio_engine.expiring_holds.hold_id IS 'The entry that took the hold, credit_ledger.id';
COMMENT ON COLUMN studio_engine.expiring_holds.user_id IS 'The user';
COMMENT ON COLUMN studio_engine.expiring_holds.expires_at IS 'When it expires';

COMMENT ON TABLE studio_engine.lot_checkpoints IS
'What is left of the credit of users with a long ledger.

It is computed from their entries up to a number, and written again from time to time.';
COMMENT ON COLUMN studio_engine.lot_checkpoints.user_id IS 'The user';
COMMENT ON COLUMN studio_engine.lot_checkpoints.entry_no IS 'The last entry that is in it';
COMMENT ON COLUMN studio_engine.lot_checkpoints.state IS 'Lots with credit left or held, open holds, and the deficit';

COMMENT ON TABLE studio_engine.transfers IS
'Transfers of credits between two users.';
COMMENT ON COLUMN studio_engine.transfers.id IS 'Identifier, credit_ledger.transfer_id';
COMMENT ON COLUMN studio_engine.transfers.from_user_id IS 'The user whose credits were taken; NULL once he is deleted';
COMMENT ON COLUMN studio_engine.transfers.to_user_id IS 'The user who received them; NULL once he is deleted';
COMMENT ON COLUMN studio_engine.transfers.kind IS 'transfer or merge';
COMMENT ON COLUMN studio_engine.transfers.amount IS 'Credits';

COMMENT ON TABLE studio_engine.welcomed IS
'E-mail addresses that have had the welcome grant.

They outlive their users, so that nobody signs up again for another grant.';
COMMENT ON COLUMN studio_engine.welcomed.digest IS 'HMAC-SHA-256 of email: and the address, trimmed and in lower case, under the text of digest_key in studio_engine.meta';

COMMENT ON TABLE studio_engine.payment_digests IS
'Payments of users who are deleted.

The ledger goes with its user; these stay, so that no payment is booked twice.';
COMMENT ON COLUMN studio_engine.payment_digests.digest IS 'HMAC-SHA-256 of payment: and the id of the payment, under the text of digest_key in studio_engine.meta';
