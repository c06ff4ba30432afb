/*
 * uuids.h
 *	  UUIDs as text, and their comparison.
 */
#ifndef STUDIO_UUIDS_H
#define STUDIO_UUIDS_H

#include "utils/uuid.h"

extern char *uuid_text(const pg_uuid_t *id);
extern int	uuid_compare(const pg_uuid_t *a, const pg_uuid_t *b);
extern pg_uuid_t uuid_random(void);
extern bool uuid_equal(const pg_uuid_t *a, const pg_uuid_t *b);
extern bool uuid_is_nil(const pg_uuid_t *id);

#endif							/* STUDIO_UUIDS_H */
