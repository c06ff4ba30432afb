/*
 * uuids.c
 *	  UUIDs as text, and their comparison.
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
