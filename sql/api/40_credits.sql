-- The credit ledger. Every function locks the job, where there is one, before
-- the account.

CREATE FUNCTION studio_engine.enter_in_ledger() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'enter_in_ledger'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.enter_in_ledger() IS
'Check a new ledger entry and book it on the account.

Trigger, BEFORE INSERT on credit_ledger. Sets entry_no and balance_after.';

CREATE FUNCTION studio_engine.verify_inserted_entries() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'verify_inserted_entries'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.verify_inserted_entries() IS
'Refuse a statement that booked an entry without storing it.

Trigger, AFTER INSERT on credit_ledger. ON CONFLICT DO NOTHING would skip the row of an entry that is booked
on the account (0A000).';

CREATE FUNCTION studio_engine.chain_entry() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'chain_entry'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.chain_entry() IS
'Add a new ledger entry to the hash chain of its user.

Trigger, AFTER INSERT on credit_ledger. It acts only while setting ledger_hash_chain is 1.';

CREATE FUNCTION studio_engine.guard_ledger() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'guard_ledger'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.guard_ledger() IS
'Refuse UPDATE, DELETE and TRUNCATE of the ledger.

Trigger, BEFORE UPDATE, DELETE OR TRUNCATE on credit_ledger. What the foreign keys do when a job or a user is
deleted is allowed; all else is refused (42501).';

CREATE FUNCTION studio_engine.guard_account() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'guard_account'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.guard_account() IS
'Refuse changes of an account that no ledger entry makes.

Trigger, BEFORE INSERT, UPDATE, DELETE OR TRUNCATE on credit_accounts. Allowed are the booking of an entry,
the opening of an empty account and the deletion of the user; all else is refused (42501).';

CREATE FUNCTION studio_engine.price_ended_job() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'price_ended_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.price_ended_job() IS
'Set cost_credits_final of a job that ends to what is charged.

Trigger, BEFORE UPDATE on jobs.';

CREATE FUNCTION studio_engine.close_hold_of_ended_job() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'close_hold_of_ended_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.close_hold_of_ended_job() IS
'Settle or release the hold of a job that ends.

Trigger, AFTER UPDATE on jobs. READY settles the hold, FAILED releases it. It fires after the update, so that
a statement that ends many jobs locks all of them before the first account.';

CREATE FUNCTION studio_engine.forbid_owner_change_of_hold() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'forbid_owner_change_of_hold'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.forbid_owner_change_of_hold() IS
'Refuse to change the user of a job that holds credits.

Trigger, BEFORE UPDATE on jobs (PT409).';

CREATE FUNCTION studio_engine.return_hold_of_deleted_job() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'return_hold_of_deleted_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.return_hold_of_deleted_job() IS
'Release the open hold of a deleted job.

Trigger, AFTER DELETE on jobs.';

CREATE FUNCTION studio_engine.price_new_job() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'price_new_job'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.price_new_job() IS
'Set the price of a new studio job or rendering.

Trigger, BEFORE INSERT on studio_jobs and mm_rendering_queue, whose name is its argument. The price is that of
the settings, and 0 for a row without a user or one that has ended.';

CREATE FUNCTION studio_engine.keep_price() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_price'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.keep_price() IS
'Hold, charge and give back the price of a studio job or rendering.

Trigger, AFTER INSERT, UPDATE OR DELETE on studio_jobs and mm_rendering_queue, whose name is its argument. It
is held while the job is open (PT402), charged when the job succeeds and given back when it fails or is deleted;
a job with a hold keeps its id and its user (PT409).';

CREATE FUNCTION @extschema@.get_credit_balance(p_user_id uuid) RETURNS integer
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_credit_balance'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_credit_balance(uuid) IS
'Returns the credit balance of a user.

This is the sum of the ledger, without open holds; 0 for a user without an account. It costs one index lookup.
Credit that has expired counts until expire_credits() takes it: get_credit_summary() tells what can be spent.

- p_user_id: the user.

Callers: the user, or a service.
Errors: 22004 p_user_id is NULL; 42501 not the caller.';

CREATE FUNCTION @extschema@.reserve_credits(p_user_id uuid, p_job_id uuid, p_amount integer) RETURNS boolean
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'reserve_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.reserve_credits(uuid, uuid, integer) IS
'Hold credits of a user for a job.

Sets jobs.cost_credits_reserved.

- p_user_id: the user.
- p_job_id: the job, which must be the user''s and not have ended.
- p_amount: credits, 1 or more.

Returns true if the credits are held, or were held or charged before with the same amount; false if there is
not enough credit, and nothing is written.
Callers: services only.
Errors: 22004 an argument is NULL; 22023 p_amount is out of bounds; 42501 the job is not the user''s; PT404 no
such job; PT409 another amount is held or was charged, or the job has ended.';

CREATE FUNCTION @extschema@.settle_credits(
    p_job_id uuid, p_final_cost integer DEFAULT NULL, p_overrun text DEFAULT 'error') RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'settle_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.settle_credits(uuid, integer, text) IS
'Close the hold of a job and charge its price.

Sets jobs.cost_credits_final. A late retry with the same price returns the same answer; with another it is
refused.

- p_job_id: the job.
- p_final_cost: credits to charge, 0 or more; NULL charges the hold.
- p_overrun: what a price above the hold does. error refuses it, charge takes it where the balance covers it,
  cap takes the hold, available takes the hold and what the balance has.

Returns the credits charged.
Callers: services only.
Errors: 22004 p_job_id or p_overrun is NULL; 22023 a value is out of bounds; PT404 no such job; PT409 the
price is above the hold, or another price was charged; PT402 the balance does not cover it.';

CREATE FUNCTION @extschema@.release_credits(p_job_id uuid, p_note text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'release_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.release_credits(uuid, text) IS
'Close the hold of a job and return all of it to the user.

Sets jobs.cost_credits_final to 0. A late retry returns the same answer.

- p_job_id: the job.
- p_note: at most 1000 characters.

Returns the credits released, 0 where there never was a hold.
Callers: services only.
Errors: 22004 p_job_id is NULL; 22023 p_note is too long; PT404 no such job; PT409 the hold was charged.';

CREATE FUNCTION @extschema@.grant_credits(
    p_user_id uuid, p_amount integer, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL, p_priority integer DEFAULT 0) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'grant_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.grant_credits(uuid, integer, text, text, timestamptz, integer) IS
'Give credits to a user.

- p_user_id: the user.
- p_amount: credits, 1 or more.
- p_note: for people, at most 1000 characters.
- p_idempotency_key: 1 to 255 characters, unique per user. A late retry with the same key and amount returns
  the first entry and moves nothing, whatever its note and expiry.
- p_expires_at: when what is left of the credits expires, finite and in the future; NULL is never.
- p_priority: which credit is used first, the smaller number; NULL is 0.

Returns the id of the ledger entry.
Callers: services only.
Errors: 22003 the balance would leave the range of an integer; 22004 p_user_id or p_amount is NULL; 22023 a
value is out of bounds; PT404 no such user; PT409 the key was used with other content.';

CREATE FUNCTION @extschema@.top_up_credits(
    p_user_id uuid, p_target integer, p_idempotency_key text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL, p_note text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'top_up_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.top_up_credits(uuid, integer, text, timestamptz, text) IS
'Give a user what he lacks to have so many credits to spend.

This is for credits of a month that do not add up. What is in open holds or has expired does not count, and a
negative balance is made up for.

- p_user_id: the user.
- p_target: credits that he is to have, 1 or more.
- p_idempotency_key: 1 to 255 characters, unique per user. A late retry with the same key and target returns
  the first answer and moves nothing, also where nothing was missing.
- p_expires_at: when what is left of the credits expires, finite and in the future; NULL is never.
- p_note: for people, at most 1000 characters.

Returns the credits given, 0 where nothing is missing.
Callers: services only.
Errors: 22003 the balance would leave the range of an integer; 22004 p_user_id or p_target is NULL; 22023 a
value is out of bounds; PT404 no such user; PT409 the key was used with other content.';

CREATE FUNCTION @extschema@.charge_credits(
    p_user_id uuid, p_amount integer, p_idempotency_key text DEFAULT NULL, p_reference text DEFAULT NULL,
    p_note text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'charge_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.charge_credits(uuid, integer, text, text, text) IS
'Charge a user in one step.

This is for work that is done, or that cannot fail; for other work hold_credits() first.

- p_user_id: the user.
- p_amount: credits, 1 or more.
- p_idempotency_key: 1 to 255 characters, unique per user, not beginning with captures:. A late retry with the
  same key and amount returns the first answer and moves nothing.
- p_reference: what the credits are for, 1 to 255 characters.
- p_note: for people, at most 1000 characters.

Returns the balance after it.
Callers: services only.
Errors: 22004 p_user_id or p_amount is NULL; 22023 a value is out of bounds; PT402 not enough credits; PT404 no
such user; PT409 the key was used with other content.';

CREATE FUNCTION @extschema@.hold_credits(
    p_user_id uuid, p_amount integer, p_reference text, p_note text DEFAULT NULL,
    p_expires interval DEFAULT '1 day', p_idempotency_key text DEFAULT NULL) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'hold_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.hold_credits(uuid, integer, text, text, interval, text) IS
'Hold credits of a user for work that is no Video job.

capture_hold() charges it, release_hold() gives it back. Where neither comes in time, sweep_stale_holds() gives
it back, or the next call that finds too little without it. Video jobs have holds of their own:
reserve_credits().

- p_user_id: the user.
- p_amount: credits, 1 or more.
- p_reference: what the credits are for, 1 to 255 characters.
- p_note: for people, at most 1000 characters.
- p_expires: how long the hold can be captured, positive and at most 366 days; a day is 24 hours, a month 30 days.
- p_idempotency_key: 1 to 255 characters, unique per user. A late retry with the same key and amount returns
  the first hold and moves nothing, also when it is closed.

Returns the id of the hold, which is that of its ledger entry.
Callers: services only.
Errors: 22004 a required argument is NULL; 22023 a value is out of bounds; PT402 not enough credits; PT404 no
such user; PT409 the key was used with other content.';

CREATE FUNCTION @extschema@.capture_hold(
    p_hold_id uuid, p_amount integer DEFAULT NULL, p_overrun text DEFAULT 'error') RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'capture_hold'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.capture_hold(uuid, integer, text) IS
'Close a hold of hold_credits() and charge its price.

What the price leaves of the hold goes back to the user. A late retry with the same price returns the same
answer; with another it is refused.

- p_hold_id: the hold.
- p_amount: credits to charge, 0 or more; NULL charges the hold, 0 releases it.
- p_overrun: what a price above the hold does. error refuses it, charge takes it where the balance covers it,
  cap takes the hold, available takes the hold and what the balance has.

Returns the credits charged.
Callers: services only.
Errors: 22004 p_hold_id or p_overrun is NULL; 22023 a value is out of bounds; PT402 the balance does not cover
the price; PT404 no such hold; PT409 the price is above the hold, the hold has expired, was released or charged
differently, or belongs to a job, a studio job or a rendering.';

CREATE FUNCTION @extschema@.release_hold(p_hold_id uuid) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'release_hold'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.release_hold(uuid) IS
'Close a hold of hold_credits() and return all of it to the user.

A late retry returns the same answer, also where the hold had expired and was given back before.

- p_hold_id: the hold.

Returns the credits released.
Callers: services only.
Errors: 22004 p_hold_id is NULL; PT404 no such hold; PT409 the hold was charged, or belongs to a job.';

CREATE FUNCTION @extschema@.purchase_credits(
    p_user_id uuid, p_amount integer, p_stripe_payment_id text, p_note text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'purchase_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.purchase_credits(uuid, integer, text, text, timestamptz) IS
'Book the credits of a payment.

- p_user_id: the user.
- p_amount: credits, 1 or more.
- p_stripe_payment_id: the payment, 1 to 255 characters. A late retry with the same payment, user and amount
  returns the first entry and moves nothing, whatever its note and expiry.
- p_note: for people, at most 1000 characters.
- p_expires_at: when what is left of the credits expires, finite; NULL is never. Where that is over when the
  event of the payment arrives, it is booked and expires at once.

Returns the id of the ledger entry.
Callers: services only.
Errors: 22003 the balance would leave the range of an integer; 22004 a required argument is NULL; 22023 a
value is out of bounds; PT404 no such user; PT409 the payment was booked with another user or amount.';

CREATE FUNCTION @extschema@.subscription_credits(
    p_user_id uuid, p_amount integer, p_stripe_payment_id text, p_note text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL) RETURNS uuid
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'subscription_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.subscription_credits(uuid, integer, text, text, timestamptz) IS
'Book the credits of a subscription period.

Works as purchase_credits(), whose rules for a late retry hold. A payment is booked once, as either of the
two.

- p_user_id: the user.
- p_amount: credits, 1 or more.
- p_stripe_payment_id: the payment of the period (an invoice), 1 to 255 characters.
- p_note: for people, at most 1000 characters.
- p_expires_at: usually the end of the period, which may be over; finite; NULL is never.

Returns the id of the ledger entry.
Callers: services only.
Errors: 22003 the balance would leave the range of an integer; 22004 a required argument is NULL; 22023 a
value is out of bounds; PT404 no such user; PT409 the payment was booked with another user or amount, or as
a purchase.';

CREATE FUNCTION @extschema@.refund_credits(
    p_job_id uuid, p_amount integer, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'refund_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.refund_credits(uuid, integer, text, text) IS
'Return credits that a job was charged to its user.

Refunded credits do not expire.

- p_job_id: the job.
- p_amount: credits, 1 or more and at most what was charged and is not refunded yet.
- p_note: for people, at most 1000 characters.
- p_idempotency_key: 1 to 255 characters, unique per user. A late retry with the same key and content moves
  nothing.

Returns p_amount.
Callers: services only.
Errors: 22003 the balance would leave the range of an integer; 22004 p_job_id or p_amount is NULL; 22023 a
value is out of bounds; PT404 no such job; PT409 more than was charged, or the key was used with other
content.';

CREATE FUNCTION @extschema@.reverse_purchase(
    p_stripe_payment_id text, p_amount integer DEFAULT NULL, p_note text DEFAULT NULL,
    p_idempotency_key text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'reverse_purchase'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.reverse_purchase(text, integer, text, text) IS
'Take back the credits of a payment that was refunded or disputed.

The balance may become negative. Such a deficit blocks spending until it is covered.

- p_stripe_payment_id: the payment, 1 to 255 characters.
- p_amount: credits, 1 or more; NULL is all that is not reversed yet.
- p_note: for people, at most 1000 characters.
- p_idempotency_key: 1 to 255 characters, unique per user. A late retry with the same key and content returns
  the same answer and moves nothing.

Returns the credits taken, 0 where nothing is left or reinstate_purchase() came first with this key.
Callers: services only.
Errors: 22003 the balance would leave the range of an integer; 22004 p_stripe_payment_id is NULL; 22023 a
value is out of bounds; PT404 no such payment; PT409 more than was booked, or the key was used with other
content or comes where nothing is left.';

CREATE FUNCTION @extschema@.reinstate_purchase(
    p_stripe_payment_id text, p_note text DEFAULT NULL, p_idempotency_key text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'reinstate_purchase'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.reinstate_purchase(text, text, text) IS
'Book back what one reversal of a payment took.

This is for a dispute that was won. A call that comes before its reversal is remembered: it returns 0, and so
does the reversal then, which takes nothing. Credit that returns to a lot which has expired meanwhile expires
again.

- p_stripe_payment_id: the payment, 1 to 255 characters.
- p_note: for people, at most 1000 characters.
- p_idempotency_key: the key of the reversal to undo, 1 to 255 characters. A late retry returns the same
  answer and moves nothing. NULL undoes the only reversal that stands.

Returns the credits booked back, 0 where nothing is reversed.
Callers: services only.
Errors: 22003 the balance would leave the range of an integer; 22004 p_stripe_payment_id is NULL; 22023 a
value is out of bounds; PT404 no such payment; PT409 several reversals stand and p_idempotency_key is NULL, or
the key was used for something else than a reversal of this payment.';

CREATE FUNCTION @extschema@.void_credits(
    p_entry_id uuid, p_amount integer DEFAULT NULL, p_note text DEFAULT NULL,
    p_idempotency_key text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'void_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.void_credits(uuid, integer, text, text) IS
'Take back what is left of credit that was given by mistake.

Other credit of the user is never touched, so that what he has spent or holds of it stays spent or held. For
a payment whose money is returned use reverse_purchase().

- p_entry_id: the entry of the grant, purchase or subscription.
- p_amount: credits, 1 or more; NULL is all that is left of the entry.
- p_note: for people, at most 1000 characters.
- p_idempotency_key: 1 to 255 characters, unique per user. A late retry with the same key and content returns
  the same answer and moves nothing.

Returns the credits taken, 0 where nothing is left.
Callers: services only.
Errors: 22004 p_entry_id is NULL; 22023 a value is out of bounds, or the entry is of another type; PT404 no
such entry; PT409 less is left, or the key was used with other content.';

CREATE FUNCTION @extschema@.transfer_credits(
    p_from_user_id uuid, p_to_user_id uuid, p_amount integer, p_idempotency_key text DEFAULT NULL,
    p_note text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'transfer_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.transfer_credits(uuid, uuid, integer, text, text) IS
'Move credits from one user to another.

Credits are taken in burn order and keep their expiry and priority. If the payment that they came from is
reversed later, it is taken from the user who has them. Lifetime sums of get_credit_summary() do not count
transfers.

- p_from_user_id: the user who gives them.
- p_to_user_id: the user who receives them.
- p_amount: credits, 1 or more.
- p_idempotency_key: 1 to 255 characters, unique per user who gives. A late retry with the same key, users and
  amount moves nothing.
- p_note: for people, at most 1000 characters.

Returns p_amount.
Callers: services only.
Errors: 22003 a balance would leave the range of an integer; 22004 a required argument is NULL; 22023 a value
is out of bounds, or both users are the same; PT402 not enough credits; PT404 no such user; PT409 the key was
used with other content.';

CREATE FUNCTION @extschema@.merge_accounts(
    p_from_user_id uuid, p_to_user_id uuid, p_idempotency_key text DEFAULT NULL) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'merge_accounts'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.merge_accounts(uuid, uuid, text) IS
'Move all credits of one user to another.

This is for a person with two accounts, of which one is given up: an anonymous one, say. It works as
transfer_credits(). Jobs and content stay where they are.

- p_from_user_id: the user who gives them.
- p_to_user_id: the user who receives them.
- p_idempotency_key: 1 to 255 characters, unique per user who gives. A late retry with the same key and users
  returns the same answer and moves nothing.

Returns the credits moved.
Callers: services only.
Errors: 22003 a balance would leave the range of an integer; 22004 a user is NULL; 22023 a value is out of
bounds, or both users are the same; PT404 no such user; PT409 the first user has open holds or a negative
balance, or the key was used with other content.';

CREATE FUNCTION @extschema@.expire_credits(p_limit integer DEFAULT 1000) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'expire_credits'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.expire_credits(integer) IS
'Take what is left of credit that has expired.

Credit is consumed in the order of expiry, so what is left was not used in time. Expired credit cannot be
spent before this either.

- p_limit: at most how many expired entries, 1 to 100000.

Skips accounts that another session has locked. Returns the number of expire entries made.
Callers: services only.
Errors: 22004 p_limit is NULL; 22023 p_limit is out of bounds.';

CREATE FUNCTION @extschema@.sweep_stale_holds(p_limit integer DEFAULT 500) RETURNS integer
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'sweep_stale_holds'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.sweep_stale_holds(integer) IS
'Release holds that have expired, or whose job has ended or is gone.

A hold of hold_credits() expires when nobody closes it in time. Only data that was changed with the triggers off
has the others. A hold that can still be charged is never touched.

- p_limit: at most how many, 1 to 100000.

Skips accounts that another session has locked. Returns the number of holds released.
Callers: services only.
Errors: 22004 p_limit is NULL; 22023 p_limit is out of bounds.';

CREATE FUNCTION @extschema@.get_credit_lots(p_user_id uuid)
  RETURNS TABLE (entry_id uuid, type text, amount integer, remaining integer, held integer, priority integer,
                 expires_at timestamptz, note text, created_at timestamptz)
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_credit_lots'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_credit_lots(uuid) IS
'Returns the lots of a user: the entries whose credit is left or held.

They come in burn order, in which they are used: the smallest priority first, of these the earliest expiry,
credit that never expires last, then the oldest.

- p_user_id: the user.

Returns for each lot its entry, type and amount, the credits that are left (remaining) and in open holds
(held), its priority, expiry, note and time. What is left of all lots is the balance, unless that is negative;
credit that has expired is listed until expire_credits() takes it. At most the first 2000 lots are listed, with
1000 characters of their notes.
Callers: the user, or a service.
Errors: 22004 p_user_id is NULL; 42501 not the caller.';

CREATE FUNCTION @extschema@.get_credit_summary(p_user_id uuid) RETURNS jsonb
  LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'get_credit_summary'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.get_credit_summary(uuid) IS
'Returns the credits of a user: balance, holds, lifetime and expiry.

- p_user_id: the user.

The result is a JSON object: balance; reserved (in open holds); spendable (the balance without what has
expired); lifetime_purchased (without reversals); lifetime_granted; lifetime_used (without refunds);
expiring_in_7_days; next_expiry.
Callers: the user, or a service.
Errors: 22004 p_user_id is NULL; 42501 not the caller.';

CREATE FUNCTION @extschema@.verify_credit_ledger(
    p_user_id uuid DEFAULT NULL)
  RETURNS TABLE (user_id uuid, problem text, expected text, actual text, entry_id uuid)
  LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME', 'verify_credit_ledger'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.verify_credit_ledger(uuid) IS
'Returns every problem in the credit ledger.

Checks entry numbers, running balances, accounts, open holds, holds closed twice or open an hour past their
expiry, captures without their hold, refunds, reversals and expiries that exceed what they refer to, and
reinstatements without their reversal. Empty when the ledger is sound.

- p_user_id: the user; NULL is all users.

Callers: services only.';
