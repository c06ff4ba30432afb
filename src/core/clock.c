/*
 * clock.c
 *	  The trigger that maintains updated_at.  No SQL, no locks.
 *
 * Pitfall: updated_at is the start time of the transaction, as now() is, so that
 * rows which are changed together have the same time.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "restore.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(update_updated_at);

/*
 * update_updated_at() returns trigger: BEFORE UPDATE, sets updated_at.
 */
Datum
update_updated_at(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_UPDATE, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};

	if (!restoring())
		row_set(&edit, "updated_at", TIMESTAMPTZOID,
				TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
	return PointerGetDatum(row_edit_apply(&edit));
}
