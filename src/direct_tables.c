/*
 * direct_tables.c
 *	  The tables of the fast path, and why one is not eligible.
 *
 * Pitfall: the result depends on the tables alone, not on the setting
 * studio_engine.direct_rows.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "caller.h"
#include "job_rows.h"
#include "layouts.h"
#include "ledger_rows.h"
#include "queue_rows.h"
#include "rows.h"

PG_FUNCTION_INFO_V1(direct_tables);

static RowTable *const tables[] = {
	&projects_table, &jobs_table, &studio_jobs_table, &accounts_table, &ledger_table, &expiring_table, &queue_table, &attempts_table
};

/*
 * studio_engine.direct_tables() returns setof (table_name, reason)
 */
Datum
direct_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Caller		caller;

	InitMaterializedSRF(fcinfo, 0);
	/* building a layout evaluates expressions of the owner of the data */
	caller_enter_administrator(&caller);
	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		const char *reason = layout_reason(tables[i]);
		Datum		values[2];
		bool		nulls[2] = {false, reason == NULL};

		values[0] = CStringGetTextDatum(tables[i]->name);
		values[1] = reason ? CStringGetTextDatum(reason) : (Datum) 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	caller_leave(&caller);
	return (Datum) 0;
}
