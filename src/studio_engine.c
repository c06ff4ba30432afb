/*
 * studio_engine.c
 *	  Module magic, parameters, and the registration of what lower modules must
 *	  call and do not know by name.  No logic.
 *
 * Pitfall: MarkGUCPrefixReserved removes unknown placeholders of our prefix when
 * the library is loaded, so no state can be stored in an undefined
 * studio_engine.* setting.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "audit.h"
#include "broadcast.h"
#include "expiry.h"
#include "compat.h"
#include "holds.h"
#include "job_owners.h"
#include "job_rows.h"
#include "ledger_rows.h"
#include "prices.h"
#include "ledger_triggers.h"
#include "refinement.h"
#include "rendering.h"
#include "restore.h"
#include "rows.h"
#include "search.h"
#include "storage.h"
#include "stripe_events.h"
#include "video.h"

STUDIO_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	DefineCustomBoolVariable("studio_engine.maintenance",
							 "Skips the triggers of studio_engine.",
							 "Effective in sessions of a superuser or of the owner of the data, in the transaction that sets it or as an option of the connection.",
							 &maintenance_mode,
							 false,
							 PGC_USERSET,
							 GUC_NOT_IN_SAMPLE,
							 maintenance_check, NULL, NULL);
	maintenance_loaded();

	DefineCustomBoolVariable("studio_engine.direct_rows",
							 "Lets studio_engine write the rows of its busiest tables without SQL.",
							 "Tables that were altered are written by SQL in any case.",
							 &direct_rows,
							 true,
							 PGC_USERSET,
							 GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);

	MarkGUCPrefixReserved("studio_engine");

	/* callbacks that replace the triggers of the fast path's tables */
	job_rows_register();
	ledger_rows_register();
	ledger_triggers_register();
	holds_register();
	prices_register();
	audit_register();
	expiry_register();
	job_owners_register();
	broadcast_register();

	/* checks of settings */
	search_register();
	storage_register();
	stripe_events_register();

	/* in the order in which messages name them */
	refinement_register();
	video_register();
	rendering_register();
}
