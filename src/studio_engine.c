/*
 * studio_engine.c
 *	  Module magic and start-up.  No logic.
 *
 * Pitfall: MarkGUCPrefixReserved throws away unknown placeholders of our
 * prefix when the library loads, so nothing may keep state in a made-up
 * studio_engine.* setting.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "compat.h"
#include "restore.h"
#include "rows.h"

STUDIO_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	DefineCustomBoolVariable("studio_engine.maintenance",
							 "Lets the triggers of studio_engine stand down.",
							 "Heeded in sessions of a superuser or of the owner of the data, in the transaction that sets it or as an option of the connection.",
							 &maintenance_mode,
							 false,
							 PGC_USERSET,
							 GUC_NOT_IN_SAMPLE,
							 maintenance_check, NULL, NULL);
	maintenance_loaded();

	DefineCustomBoolVariable("studio_engine.direct_rows",
							 "Lets studio_engine write the rows of its hottest tables without SQL.",
							 "Tables that were altered are written by SQL in any case.",
							 &direct_rows,
							 true,
							 PGC_USERSET,
							 GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);

	MarkGUCPrefixReserved("studio_engine");
}
