/*
 * uuids.c
 *	  UUIDs as text, their comparison, and random ones.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"

#include "uuids.h"

/*
 * Return a UUID as text.
 */
char *
uuid_text(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

/*
 * Compare two UUIDs in their order: negative, 0 or positive.
 */
int
uuid_compare(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a->data, b->data, UUID_LEN);
}

/*
 * Return true if two UUIDs are equal.
 */
bool
uuid_equal(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a->data, b->data, UUID_LEN) == 0;
}

/*
 * Return true if a uuid is all zeros, as in a struct where there is none.
 */
bool
uuid_is_nil(const pg_uuid_t *id)
{
	static const pg_uuid_t nil = {{0}};

	return uuid_equal(id, &nil);
}

/*
 * Return a random uuid of version 4.  The random bytes of many are asked for at once,
 * since a call of the system costs more than all else; each byte is used once.
 */
pg_uuid_t
uuid_random(void)
{
	static uint8 bytes[64 * UUID_LEN];
	static int	used = sizeof(bytes);
	pg_uuid_t	id;

	if (used == sizeof(bytes))
	{
		if (!pg_strong_random(bytes, sizeof(bytes)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		used = 0;
	}
	memcpy(id.data, &bytes[used], UUID_LEN);
	memset(&bytes[used], 0, UUID_LEN);
	used += UUID_LEN;
	id.data[6] = (id.data[6] & 0x0f) | 0x40;
	id.data[8] = (id.data[8] & 0x3f) | 0x80;
	return id;
}
