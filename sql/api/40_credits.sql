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
'Credits that user p_user_id can spend, holds taken off; 0 for a user without an account. One index lookup. The user or a service; 22004 NULL, 42501 not yours.';

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
'Gives p_amount (positive) credits to a user; p_note at most 1000 characters. Returns the id of the ledger entry. The same p_idempotency_key (1 to 255 characters, per user) again: the same id and nothing moves; with other content: PT409. p_expires_at is not supported yet: 0A000. Services only; 22003, 22004, 22023, PT404 no such user.';

CREATE FUNCTION @extschema@.purchase_credits(
    p_user_id uuid, p_amount integer, p_stripe_payment_id text, p_note text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'purchase_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.purchase_credits(uuid, integer, text, text, timestamptz) IS
'Books p_amount (positive) credits that were paid with p_stripe_payment_id (1 to 255 characters); p_note at most 1000 characters. Returns the id of the ledger entry. The same payment again: the same id and nothing moves; with another user or amount: PT409. p_expires_at is not supported yet: 0A000. Services only; 22003, 22004, 22023, PT404 no such user.';
