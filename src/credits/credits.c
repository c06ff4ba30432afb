/*
 * credits.c
 *	  Adding credits, and the balance.
 *
 * Pitfall: a client that got no answer retries, possibly while its first call is
 * still running.  So a key is looked up under the lock of the account, and before
 * anything else is decided.
 *
 * Lock order: account, then the digest of an e-mail address.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "credits.h"
#include "errors.h"
#include "expiry.h"
#include "ledger.h"
#include "ledger_rows.h"
#include "lots.h"
#include "statements.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(get_credit_balance);
PG_FUNCTION_INFO_V1(grant_credits);
PG_FUNCTION_INFO_V1(purchase_credits);
PG_FUNCTION_INFO_V1(subscription_credits);

static Statement select_balance = {
	.operation = &(const RowOperation)
	{
		.table = &accounts_table,.verb = ROW_SELECT,.returns = {ACCOUNT_BALANCE}
	}
};

/* the entry of a key, or what is kept of a call that made none: its kind is not NULL then */
static Statement select_by_key = {
	.force_index_plan = true,
	.text = "SELECT l.id, l.user_id, l.type, l.amount, l.expires_at, l.job_id, l.reverses,"
	"       l.balance_after, l.metadata ->> '" TOP_UP_TO "', NULL::pg_catalog.text, " IS_VOID("l")
	"  FROM @extschema@.credit_ledger l WHERE l.user_id = $1 AND l.idempotency_key = $2"
	" UNION ALL"
	" SELECT k.entry_id, k.user_id, NULL, COALESCE(k.amount, 0), NULL, NULL, NULL, 0, NULL, k.kind, false"
	"  FROM studio_engine.credit_keys k WHERE k.user_id = $1 AND k.idempotency_key = $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement insert_empty = {
	.text = "INSERT INTO studio_engine.credit_keys (user_id, idempotency_key, kind, entry_id, amount) VALUES ($1, $2, $3, $4, $5)",
	.nargs = 5,.argtypes = {UUIDOID, TEXTOID, TEXTOID, UUIDOID, INT4OID}
};
static Statement select_welcome = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.credit_ledger l"
	" WHERE l.user_id = $1 AND (l.idempotency_key = $2 OR (l.type = 'grant' AND l.note = $3)) LIMIT 1",
	.nargs = 3,.argtypes = {UUIDOID, TEXTOID, TEXTOID}
};
static Statement select_by_payment = {
	.force_index_plan = true,
	.text = "SELECT l.id, l.user_id, l.type, l.amount, l.expires_at, l.job_id, l.reverses FROM @extschema@.credit_ledger l"
	" WHERE l.stripe_payment_id = $1 AND l.type IN ('purchase', 'subscription') AND l.reverses IS NULL",
	.nargs = 1,.argtypes = {TEXTOID}
};

/*
 * get_credit_balance(p_user_id uuid) returns integer
 */
Datum
get_credit_balance(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	user_id;
	int32		balance = 0;

	caller_enter_user(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	caller_require_self(&caller, &user_id);
	argument_uuid(&args, &user_id);
	if (statement_execute_read_only(&select_balance, &args) > 0)
		balance = result_int32(1);
	caller_leave(&caller);

	PG_RETURN_INT32(balance);
}

/* Return true if a column of the first row is this id; a NULL pointer matches NULL. */
static bool
result_is_uuid(int column, const pg_uuid_t *id)
{
	pg_uuid_t	value;

	if (id == NULL || result_isnull(column))
		return id == NULL && result_isnull(column);
	value = result_uuid(column);
	return uuid_equal(&value, id);
}

/*
 * Raise PT409: the key of the caller stands for something else.
 */
void
refuse_used_key(const pg_uuid_t *entry_id)
{
	refuse_conflict("key was used for something else", psprintf("Entry %s.", uuid_text(entry_id)));
}

/*
 * Read the entry that was found by key or payment.  Raises PT409 if it is of
 * another kind, user or amount.  Note and expiry are not content: a retry computes
 * them again, and the first answer stands.
 */
static void
read_replay(const Entry *entry, Replay *replay)
{
	replay->id = result_uuid(1);
	replay->amount = result_int32(4);
	if (!result_is_uuid(2, entry->user_id) ||
		strcmp(result_text(3), entry->type) != 0 ||
		(entry->amount != ANY_AMOUNT && replay->amount != entry->amount) ||
		!result_is_uuid(6, entry->job_id) ||
		!result_is_uuid(7, entry->reverses))
		refuse_used_key(&replay->id);
}

/*
 * Return true if the user has used this key, which may be NULL; the columns of
 * select_by_key are the result then.
 */
bool
credits_find_key(const pg_uuid_t *user_id, const char *key)
{
	Arguments	args = NO_ARGUMENTS;

	if (key == NULL)
		return false;
	argument_uuid(&args, user_id);
	argument_text(&args, key);
	return statement_execute(&select_by_key, &args) > 0;
}

/* Raise PT409: the first row of select_by_key is what the key stands for. */
pg_noreturn static void
refuse_found_key(void)
{
	pg_uuid_t	id;

	if (!result_isnull(10))
		refuse_conflict("key was used for something else",
						psprintf("It was used for a call of kind %s, which moved nothing.", result_text(10)));
	id = result_uuid(1);
	refuse_used_key(&id);
}

/*
 * Raise PT409 if the user has used this key.  Call it with the account locked.
 */
void
credits_check_key_is_free(const pg_uuid_t *user_id, const char *key)
{
	if (credits_find_key(user_id, key))
		refuse_found_key();
}

/*
 * Return true if an entry was made under the key of this one, and set *replay to
 * it.  Raises PT409 if it has other content, or the key was used by a call that made
 * none.  Call it with the account locked.
 */
bool
credits_find_by_key(const Entry *entry, Replay *replay)
{
	if (!credits_find_key(entry->user_id, entry->key))
		return false;
	/* a key that is kept, or is of a top-up, is of another kind */
	if (!result_isnull(10) || !result_isnull(9))
		refuse_found_key();
	replay->balance = result_int32(8);
	replay->is_void = result_bool(11);
	read_replay(entry, replay);
	return true;
}

/*
 * Return true if credit was topped up to this target under the key of the entry,
 * and set its amount to what was added.  Raises PT409 if the key was used for
 * something else, or for another target.  Call it with the account locked, after
 * credits_find_empty().
 */
bool
credits_find_top_up(Entry *entry, int32 target)
{
	if (!credits_find_key(entry->user_id, entry->key))
		return false;
	if (result_isnull(9) || strcmp(result_text(3), "grant") != 0 ||
		strcmp(result_text(9), psprintf("%d", target)) != 0 || result_int32(4) < 0)
		refuse_found_key();
	entry->amount = result_int32(4);
	return true;
}

/*
 * Return true if the first call with the key of this entry made no entry, as a
 * call of this kind about this entry or user, with this amount.  Raises PT409 if
 * it was another call that made none.  Call it with the account locked, before
 * the key is looked for otherwise.
 */
bool
credits_find_empty(const Entry *entry, const char *kind, const pg_uuid_t *about, int32 amount)
{
	if (!credits_find_key(entry->user_id, entry->key) || result_isnull(10))
		return false;
	if (strcmp(result_text(10), kind) != 0 || !result_is_uuid(1, about) || result_int32(4) != amount)
		refuse_found_key();
	return true;
}

/*
 * Remember that a call with the key of this entry made no entry, for
 * credits_find_empty().  The account is locked, and is written so that a
 * transaction with an older snapshot fails on it.
 */
void
credits_remember_empty(const Entry *entry, const char *kind, const pg_uuid_t *about, int32 amount)
{
	Arguments	args = NO_ARGUMENTS;

	if (entry->key == NULL)
		return;
	argument_uuid(&args, entry->user_id);
	argument_text(&args, entry->key);
	argument_text(&args, kind);
	argument_uuid(&args, about);
	argument_int32(&args, amount);
	statement_execute(&insert_empty, &args);
	ledger_touch_account(entry->user_id);
}

/* Return true if the payment of this entry was booked; as credits_find_by_key(). */
static bool
find_by_payment(const Entry *entry, Replay *replay)
{
	Arguments	args = NO_ARGUMENTS;

	if (entry->payment_id == NULL)
		return false;
	argument_text(&args, entry->payment_id);
	if (statement_execute(&select_by_payment, &args) == 0)
		return false;
	read_replay(entry, replay);
	return true;
}

/*
 * Raise 22023 unless the expiry, if there is one, is finite, and that of a grant
 * in the future.  The period of a payment may be over when its event arrives;
 * it was paid all the same.
 */
void
credits_check_expiry(const Entry *entry)
{
	if (entry->expires_at == NULL)
		return;
	if (TIMESTAMP_NOT_FINITE(*entry->expires_at))
		refuse_value("p_expires_at", "a finite time");
	if (entry->payment_id == NULL && *entry->expires_at <= GetCurrentTimestamp())
		refuse_value("p_expires_at", "a time in the future");
}

/*
 * Make an entry that adds credits, or find the one that was made before; returns
 * its id.  The account is locked before the search, so that a retry that runs at
 * the same time finds what the first call made.
 */
static pg_uuid_t
add_credits(const Entry *entry)
{
	Account		account;
	Replay		replay;
	pg_uuid_t	id;

	ledger_open_account(entry->user_id, &account);
	if (credits_find_by_key(entry, &replay) || find_by_payment(entry, &replay))
		return replay.id;
	credits_check_expiry(entry);
	ledger_check_capacity(&account, entry->amount);
	id = ledger_append(entry);
	if (entry->payment_id != NULL)
		refuse_deleted_payment(entry->payment_id);
	/* a payment whose period is over expires at once */
	if (entry->payment_id != NULL && entry->expires_at != NULL && *entry->expires_at <= GetCurrentTimestamp())
		(void) expiry_sweep(entry->user_id);
	return id;
}

/*
 * Book a payment once, and return its entry, as add_credits() does.  The payment is
 * unique over all users, and the locks of two users' accounts do not conflict, so
 * that the unique index may be what notices a second booking; its error becomes
 * PT409.
 */
pg_uuid_t
credits_book_payment(const Entry *entry)
{
	MemoryContext context = CurrentMemoryContext;
	pg_uuid_t	id;

	PG_TRY();
	{
		id = add_credits(entry);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION ||
			error->constraint_name == NULL ||
			strcmp(error->constraint_name, "idx_credit_payment") != 0)
			PG_RE_THROW();
		FlushErrorState();
		refuse_conflict("key was used for something else",
						"The payment was booked for another user.");
	}
	PG_END_TRY();

	return id;
}

/*
 * grant_credits(p_user_id uuid, p_amount integer, p_note text,
 * p_idempotency_key text, p_expires_at timestamptz, p_priority integer)
 * returns uuid
 */
Datum
grant_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	Entry		entry = {.user_id = &user_id,.type = "grant"};

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	entry.amount = check_positive(fcinfo, 1, "p_amount");
	entry.note = check_text(fcinfo, 2, "p_note", 0, MAX_NOTE_LENGTH);
	entry.key = check_optional_text(fcinfo, 3, "p_idempotency_key", MAX_KEY_LENGTH);
	entry.expires_at = optional_time(fcinfo, 4);
	entry.priority = PG_ARGISNULL(5) ? 0 : PG_GETARG_INT32(5);
	*id = add_credits(&entry);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

/*
 * purchase_credits(p_user_id uuid, p_amount integer, p_stripe_payment_id text,
 * p_note text, p_expires_at timestamptz) returns uuid
 */
Datum
purchase_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	Entry		entry = {.user_id = &user_id,.type = "purchase"};

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	entry.amount = check_positive(fcinfo, 1, "p_amount");
	entry.payment_id = check_text(fcinfo, 2, "p_stripe_payment_id", 1, MAX_KEY_LENGTH);
	entry.note = check_text(fcinfo, 3, "p_note", 0, MAX_NOTE_LENGTH);
	entry.expires_at = optional_time(fcinfo, 4);
	*id = credits_book_payment(&entry);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

/*
 * subscription_credits(p_user_id uuid, p_amount integer,
 * p_stripe_payment_id text, p_note text, p_expires_at timestamptz) returns uuid
 */
Datum
subscription_credits(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	user_id;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	Entry		entry = {.user_id = &user_id,.type = "subscription"};

	caller_enter_service(&caller);
	user_id = check_uuid(fcinfo, 0, "p_user_id");
	entry.amount = check_positive(fcinfo, 1, "p_amount");
	entry.payment_id = check_text(fcinfo, 2, "p_stripe_payment_id", 1, MAX_KEY_LENGTH);
	entry.note = check_text(fcinfo, 3, "p_note", 0, MAX_NOTE_LENGTH);
	entry.expires_at = optional_time(fcinfo, 4);
	*id = credits_book_payment(&entry);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

#define WELCOME_KEY "welcome"
#define WELCOME_NOTE "Welcome bonus: 1 free video trial"

/*
 * Return true if the user has had the welcome grant.  Those of the seed's own
 * trigger have no key and are recognized by their note.
 */
static bool
was_welcomed(const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, user_id);
	argument_text(&args, WELCOME_KEY);
	argument_text(&args, WELCOME_NOTE);
	return statement_execute(&select_welcome, &args) > 0;
}

/*
 * Open the account of a user and make the welcome grant of sign-up, once per user
 * and once per e-mail address; amount 0 opens the account only.
 */
void
credits_welcome(const pg_uuid_t *user_id, int32 amount, const char *email)
{
	Account		account;
	Entry		entry = {
		.user_id = user_id,.type = "grant",.amount = amount,
		.note = WELCOME_NOTE,.key = WELCOME_KEY
	};

	ledger_open_account(user_id, &account);
	if (amount <= 0 || was_welcomed(user_id) || !welcome_claim(email))
		return;
	ledger_check_capacity(&account, amount);
	(void) ledger_append(&entry);
}

/*
 * Remember an e-mail address that a user gives up, if he has had the welcome
 * grant: by then it may be another than that of the grant, or the grant may be
 * older than the digests.
 */
void
credits_keep_welcome(const pg_uuid_t *user_id, const char *email)
{
	if (email != NULL && was_welcomed(user_id))
		(void) welcome_claim(email);
}
