/*
 * digests.c
 *	  What is remembered of users who are deleted: digests of the e-mail addresses
 *	  that were welcomed, and of the payments that were booked.
 *
 * The digest of a payment is made when its entry is deleted, and not when it is
 * booked: the table stays small, and payments that were booked before there were
 * digests, or loaded from a dump, are covered.  Until then the unique index on the
 * payment does the same.
 *
 * Pitfall: while a deletion is not committed, the unique index makes a booking of
 * the same payment wait.  Only afterwards is the digest visible, and to the
 * snapshot of a REPEATABLE READ transaction never.  So it is looked up after the
 * entry is stored, with the latest snapshot.
 *
 * Lock order: a digest is the last.  A transaction that makes the same digest
 * waits for the one that has made it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "digests.h"
#include "errors.h"
#include "keyed_digest.h"
#include "settings.h"
#include "statements.h"

static Statement insert_welcomed = {
	.text = "INSERT INTO studio_engine.welcomed (digest) VALUES ($1) ON CONFLICT (digest) DO NOTHING",
	.nargs = 1,.argtypes = {BYTEAOID}
};
static Statement insert_payment = {
	.text = "INSERT INTO studio_engine.payment_digests (digest) VALUES ($1) ON CONFLICT (digest) DO NOTHING",
	.nargs = 1,.argtypes = {BYTEAOID}
};
static Statement select_payment = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM studio_engine.payment_digests d WHERE d.digest = $1",
	.nargs = 1,.argtypes = {BYTEAOID}
};

/* Return a digest as the argument of a statement. */
static Arguments
digest_argument(const char *domain, const char *value)
{
	Arguments	args = NO_ARGUMENTS;

	argument_add(&args, PointerGetDatum(keyed_digest(domain, value)), false);
	return args;
}

/*
 * Remember that an e-mail address was welcomed; false if it was before.  Without
 * an address, or with welcome_once_per_email off, nothing is remembered and the
 * answer is true.
 */
bool
welcome_claim(const char *email)
{
	Arguments	args;

	if (email == NULL || setting_int32(SETTING_WELCOME_ONCE_PER_EMAIL) == 0)
		return true;
	args = digest_argument("email:", email);
	return statement_execute(&insert_welcomed, &args) > 0;
}

/*
 * Remember a payment whose entry is being deleted.
 */
void
payment_keep(const char *payment_id)
{
	Arguments	args = digest_argument("payment:", payment_id);

	statement_execute(&insert_payment, &args);
}

/*
 * Return true if a payment was booked for a user who is deleted, whatever the
 * snapshot of the transaction.
 */
bool
payment_was_deleted(const char *payment_id)
{
	StatementResult *outer = statements_begin();
	Arguments	args = digest_argument("payment:", payment_id);
	bool		found = statement_execute_with_latest_snapshot(&select_payment, &args) > 0;

	statements_end(outer);
	return found;
}

/*
 * Raise PT409 if a payment was booked for a user who is deleted.  To be called
 * after its entry is stored.
 */
void
refuse_deleted_payment(const char *payment_id)
{
	if (payment_was_deleted(payment_id))
		refuse_conflict("key was used for something else",
						"The payment was booked for a user who is deleted.");
}
