/*
 * studio_engine.c
 *	  Module magic, start-up, and the registration of what the rooms below do not
 *	  know by name.  No logic.
 *
 * Pitfall: MarkGUCPrefixReserved throws away unknown placeholders of our
 * prefix when the library loads, so nothing may keep state in a made-up
 * studio_engine.* setting.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "audit.h"
#include "compat.h"
#include "holds.h"
#include "job_rows.h"
#include "ledger_rows.h"
#include "ledger_triggers.h"
#include "refinement.h"
#include "rendering.h"
#include "restore.h"
#include "rows.h"
#include "video.h"

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

	/* what is written without SQL, and by whom the triggers' work is done */
	job_rows_register();
	ledger_rows_register();
	ledger_triggers_register();
	holds_register();
	audit_register();

	/* the order in which messages name them */
	refinement_register();
	video_register();
	rendering_register();
}
