/*
 * keyed_digest.c
 *	  Digests of values that are recognized later and not kept: HMAC-SHA-256 under
 *	  a secret of this installation, so that nobody who reads the digests alone
 *	  finds out by guessing what they stand for.
 *
 * The key is the text of row digest_key of studio_engine.meta: 64 hexadecimal
 * digits, made at installation.  It is part of a dump, as the digests are.
 *
 * Pitfall: the row is missing where only the schema was restored, so it is made
 * when it is first needed.  Under another key all digests are others.
 *
 * Locks: none, but for a concurrent transaction that makes the key.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "utils/builtins.h"

#include "keyed_digest.h"
#include "statements.h"

#define KEY_BYTES 32

static Statement select_key = {
	.text = "SELECT m.value FROM studio_engine.meta m WHERE m.name = 'digest_key'"
};
static Statement insert_key = {
	.text = "INSERT INTO studio_engine.meta (name, value) VALUES ('digest_key', $1) ON CONFLICT (name) DO NOTHING",
	.nargs = 1,.argtypes = {TEXTOID}
};

/* Make a key, unless another transaction does so. */
static void
make_key(void)
{
	char		bytes[KEY_BYTES];
	char		digits[2 * KEY_BYTES + 1];
	Arguments	args = NO_ARGUMENTS;

	if (!pg_strong_random(bytes, KEY_BYTES))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random key")));
	hex_encode(bytes, KEY_BYTES, digits);
	digits[2 * KEY_BYTES] = '\0';
	argument_text(&args, digits);
	statement_execute(&insert_key, &args);
}

/* Return the key, which may be newer than the snapshot of the transaction. */
static char *
digest_key(void)
{
	if (statement_execute_with_latest_snapshot(&select_key, &NO_ARGUMENTS) == 0)
	{
		make_key();
		if (statement_execute_with_latest_snapshot(&select_key, &NO_ARGUMENTS) == 0)
			elog(ERROR, "the key of the digests was not stored");
	}
	return result_text(1);
}

/*
 * Return the digest of a value.  The domain, such as "email:", keeps digests of
 * different kinds of values apart.
 */
bytea *
keyed_digest(const char *domain, const char *value)
{
	char	   *key = digest_key();
	bytea	   *digest = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);

	SET_VARSIZE(digest, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	if (hmac == NULL ||
		pg_hmac_init(hmac, (const uint8 *) key, strlen(key)) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) domain, strlen(domain)) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) value, strlen(value)) < 0 ||
		pg_hmac_final(hmac, (uint8 *) VARDATA(digest), PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute a digest: %s", pg_hmac_error(hmac));
	pg_hmac_free(hmac);
	return digest;
}
