/*
 * prices.h
 *	  Prices of studio jobs and renderings.
 */
#ifndef STUDIO_PRICES_H
#define STUDIO_PRICES_H

#include "utils/uuid.h"

#include "flows.h"

/* in the metadata of the hold of a job that has a price: the table of the job */
#define PRICE_OF "price_of"

/* the id of the job in a reference, if an entry l is the hold of a job in this table */
#define PRICED_ID(table) \
	"CASE WHEN l.metadata ->> '" PRICE_OF "' = '" table "'" \
	"      AND l.reference ~ '^" table ":[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'" \
	" THEN pg_catalog.split_part(l.reference, ':', 2)::pg_catalog.uuid END"

/* the open holds l of jobs that have ended or are gone */
#define STALE_PRICES \
	" FROM @extschema@.credit_ledger l" \
	" LEFT JOIN @extschema@.studio_jobs s ON s.job_id = " PRICED_ID("studio_jobs") \
	" LEFT JOIN @extschema@.mm_rendering_queue r ON r.render_id = " PRICED_ID("mm_rendering_queue") \
	" WHERE l.type = 'reserve' AND l.amount < 0 AND l.reference IS NOT NULL" \
	"   AND pg_catalog.jsonb_exists(l.metadata, '" PRICE_OF "')" \
	"   AND COALESCE(s.status, r.status, 'gone')" \
	"       IN ('gone', 'COMPLETE', 'FAILED', 'completed', 'failed', 'cancelled')" \
	"   AND NOT EXISTS (SELECT 1 FROM @extschema@.credit_ledger c WHERE c.reverses = l.id AND c.type = 'reserve')"

extern bool price_try_lock_payer(const Workflow *flow, const pg_uuid_t *job_id, const pg_uuid_t *user_id);
extern int32 prices_sweep(int32 limit);
extern void prices_register(void);

#endif							/* STUDIO_PRICES_H */
