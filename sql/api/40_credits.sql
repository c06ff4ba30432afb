-- The credit ledger. Every function locks the job, where there is one, before
-- the account.

CREATE FUNCTION studio_engine.enter_in_ledger() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'enter_in_ledger'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.enter_in_ledger() IS
'Trigger, BEFORE INSERT on credit_ledger: checks the entry, books it on the account, sets entry_no and balance_after.';

CREATE FUNCTION studio_engine.verify_inserted_entries() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'verify_inserted_entries'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.verify_inserted_entries() IS
'Trigger, AFTER INSERT on credit_ledger: refuses a statement that booked an entry which then was not stored, as ON CONFLICT DO NOTHING would (0A000).';

CREATE FUNCTION studio_engine.chain_entry() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'chain_entry'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.chain_entry() IS
'Trigger, AFTER INSERT on credit_ledger: while setting ledger_hash_chain is 1, adds the entry to the hash chain of its user.';

CREATE FUNCTION studio_engine.guard_ledger() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'guard_ledger'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.guard_ledger() IS
'Trigger on credit_ledger: refuses UPDATE, DELETE and TRUNCATE (42501) but for what the foreign keys do when a job or a user is deleted.';

CREATE FUNCTION studio_engine.guard_account() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'guard_account'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.guard_account() IS
'Trigger on credit_accounts: refuses every change (42501) that is not the booking of a ledger entry, the opening of an empty account or the deletion of the user.';

CREATE FUNCTION studio_engine.price_ended_job() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'price_ended_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.price_ended_job() IS
'Trigger, BEFORE UPDATE on jobs, when a job ends: sets cost_credits_final to what will be charged.';

CREATE FUNCTION studio_engine.close_hold_of_ended_job() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'close_hold_of_ended_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.close_hold_of_ended_job() IS
'Trigger, AFTER UPDATE on jobs, when a job ends: READY settles its hold, FAILED releases it. After, so that an update of many jobs locks all of them before the first account.';

CREATE FUNCTION studio_engine.keep_owner_of_hold() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_owner_of_hold'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.keep_owner_of_hold() IS
'Trigger, BEFORE UPDATE on jobs, when the user changes: refuses it while the job holds credits (PT409).';

CREATE FUNCTION studio_engine.return_hold_of_deleted_job() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'return_hold_of_deleted_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.return_hold_of_deleted_job() IS
'Trigger, AFTER DELETE on jobs: gives an open hold back to the account.';

CREATE FUNCTION @extschema@.get_credit_balance(p_user_id uuid) RETURNS integer
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_credit_balance'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_credit_balance(uuid) IS
'The balance of user p_user_id: the sum of the ledger, holds taken off; 0 for a user without an account. One index lookup. Credit that has expired counts until it is swept; get_credit_summary() says what can be spent. The user or a service; 22004 NULL, 42501 not yours.';

CREATE FUNCTION @extschema@.reserve_credits(p_user_id uuid, p_job_id uuid, p_amount integer) RETURNS boolean
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'reserve_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.reserve_credits(uuid, uuid, integer) IS
'Holds p_amount (positive) credits of the user for the job and sets jobs.cost_credits_reserved. TRUE: held, or held or charged already with this amount; FALSE: too little credit, nothing written. Services only; 22004, 22023, 42501 the job is not the user''s, PT404 no such job, PT409 another amount is held or was charged, or the job has ended.';

CREATE FUNCTION @extschema@.settle_credits(
    p_job_id uuid, p_final_cost integer DEFAULT NULL, p_overrun text DEFAULT 'error') RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'settle_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.settle_credits(uuid, integer, text) IS
'Closes the hold of a job and charges p_final_cost credits; NULL charges the hold. A price above the hold: p_overrun error refuses it (PT409), charge takes it where the balance covers it (else PT402), cap takes the hold. Sets jobs.cost_credits_final. Returns the credits charged. Again with the same price: the same answer; with another: PT409. Services only; 22004, 22023, PT404.';

CREATE FUNCTION @extschema@.release_credits(p_job_id uuid, p_note text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'release_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.release_credits(uuid, text) IS
'Closes the hold of a job and gives all of it back; sets jobs.cost_credits_final to 0; p_note at most 1000 characters. Returns the credits given back, 0 where there never was a hold. Again: the same answer. Services only; 22004, 22023, PT404, PT409 the hold was charged.';

CREATE FUNCTION @extschema@.grant_credits(
    p_user_id uuid, p_amount integer, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'grant_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.grant_credits(uuid, integer, text, text, timestamptz) IS
'Gives p_amount (positive) credits to a user; p_note at most 1000 characters. Returns the id of the ledger entry. The same p_idempotency_key (1 to 255 characters, per user) again: the same id and nothing moves; with other content: PT409. What is left of it at p_expires_at (finite, in the future) expires; NULL is never. Services only; 22003, 22004, 22023, PT404 no such user.';

CREATE FUNCTION @extschema@.purchase_credits(
    p_user_id uuid, p_amount integer, p_stripe_payment_id text, p_note text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'purchase_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.purchase_credits(uuid, integer, text, text, timestamptz) IS
'Books p_amount (positive) credits that were paid with p_stripe_payment_id (1 to 255 characters); p_note at most 1000 characters. Returns the id of the ledger entry. The same payment again: the same id and nothing moves; with another user or amount: PT409. What is left of it at p_expires_at (finite, in the future) expires; NULL is never. Services only; 22003, 22004, 22023, PT404 no such user.';

CREATE FUNCTION @extschema@.subscription_credits(
    p_user_id uuid, p_amount integer, p_stripe_payment_id text, p_note text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'subscription_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.subscription_credits(uuid, integer, text, text, timestamptz) IS
'The same as purchase_credits(), for the credits of a subscription period: p_stripe_payment_id is the payment of the period (an invoice), p_expires_at usually its end. A payment is booked once, as either. Services only; 22003, 22004, 22023, PT404 no such user, PT409.';

CREATE FUNCTION @extschema@.refund_credits(
    p_job_id uuid, p_amount integer, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'refund_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.refund_credits(uuid, integer, text, text) IS
'Gives back p_amount (positive) of the credits that a job was charged, at most what was charged and not refunded yet; refunded credits do not expire. Returns p_amount. The same p_idempotency_key (1 to 255 characters, per user) again: the same answer and nothing moves; with other content: PT409. p_note at most 1000 characters. Services only; 22003, 22004, 22023, PT404, PT409 more than was charged.';

CREATE FUNCTION @extschema@.reverse_purchase(
    p_stripe_payment_id text, p_amount integer DEFAULT NULL, p_note text DEFAULT NULL,
    p_idempotency_key text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'reverse_purchase'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.reverse_purchase(text, integer, text, text) IS
'Takes the credits of a payment back whose money was refunded or disputed: p_amount (positive), NULL all that is not reversed yet. The balance may become negative, which blocks spending until it is covered. Returns the credits taken; 0 where nothing is left. The same p_idempotency_key again: the same answer and nothing moves; with other content, or where nothing is left: PT409. p_note at most 1000 characters. Services only; 22003, 22004, 22023, PT404 no such payment, PT409 more than was booked.';

CREATE FUNCTION @extschema@.reinstate_purchase(p_stripe_payment_id text, p_note text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'reinstate_purchase'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.reinstate_purchase(text, text) IS
'Books back what is reversed of a payment, as after a dispute that was won; what returns to credit that has expired meanwhile expires again. Returns the credits, 0 where nothing is reversed. p_note at most 1000 characters. Services only; 22003, 22004, 22023, PT404 no such payment.';

CREATE FUNCTION @extschema@.expire_credits(p_limit integer DEFAULT 1000) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'expire_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.expire_credits(integer) IS
'Takes what is left of credit that has expired, for the users of at most p_limit (1 to 100000) expired entries, passing by accounts that another session works on. Credit is used in the order of expiry, so what is left is what was not used in time. Expired credit cannot be spent before this either. Returns how many expire entries were made. Services only; 22004, 22023.';

CREATE FUNCTION @extschema@.sweep_stale_holds(p_limit integer DEFAULT 500) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sweep_stale_holds'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.sweep_stale_holds(integer) IS
'Gives back at most p_limit (1 to 100000) holds whose job has ended or is gone, as data that was changed with the triggers off may have. A hold of a job that can still be settled is never touched. Returns how many. Services only; 22004, 22023.';

CREATE FUNCTION @extschema@.get_credit_summary(p_user_id uuid) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_credit_summary'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_credit_summary(uuid) IS
'The credits of user p_user_id: balance, reserved (in holds), spendable (balance without what has expired), lifetime_purchased (reversals taken off), lifetime_granted, lifetime_used (refunds taken off), expiring_in_7_days, next_expiry. The user or a service; 22004 NULL, 42501 not yours.';

CREATE FUNCTION @extschema@.verify_credit_ledger(
    p_user_id uuid DEFAULT NULL)
  RETURNS TABLE (user_id uuid, problem text, expected text, actual text, entry_id uuid)
  LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME', 'verify_credit_ledger'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.verify_credit_ledger(uuid) IS
'Every problem in the books of user p_user_id, NULL all users: entry numbers, running balances, accounts, open holds, holds closed twice, refunds, reversals and expiries that exceed what they refer to. Empty when sound. Services only.';
