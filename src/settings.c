/*
 * settings.c
 *	  Settings of the product, from studio_engine.settings.
 *
 * They are rows and not GUCs, since they belong to the database, travel with
 * its dump and must not be changed by whoever may SET.
 *
 * Pitfall: the owner edits them by hand.  A value that is no number must be
 * named, not guessed around.  And a dump of the data alone may be loaded into
 * a fresh installation, where the rows are there already: the dump wins.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "caller.h"
#include "compat.h"
#include "restore.h"
#include "settings.h"
#include "statements.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(yield_to_restored_row);

static Statement select_setting = {
	.text = "SELECT s.value FROM studio_engine.settings s WHERE s.name = $1",
	.nargs = 1,.argtypes = {TEXTOID}
};

static Statement delete_setting = {
	.text = "DELETE FROM studio_engine.settings s WHERE s.name = $1",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement delete_fact = {
	.text = "DELETE FROM studio_engine.meta m WHERE m.name = $1",
	.nargs = 1,.argtypes = {TEXTOID}
};

pg_noreturn static void
refuse_setting(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a setting is missing or not a whole number of 0 or more"),
			 errdetail("Setting %s.", name),
			 errhint("Correct it in table studio_engine.settings.")));
}

/*
 * A setting that is a whole number of 0 or more.
 */
int32
setting_int32(const char *name)
{
	Arguments	args = NO_ARGUMENTS;
	const char *value;
	char	   *end;
	long		number;

	argument_text(&args, name);
	if (statement_run(&select_setting, &args) == 0)
		refuse_setting(name);

	value = result_text(1);
	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || number < 0 || number > PG_INT32_MAX)
		refuse_setting(name);
	return (int32) number;
}

/*
 * yield_to_restored_row() returns trigger: BEFORE INSERT on settings and meta.
 */
Datum
yield_to_restored_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT, 0);
	Relation	rel = data->tg_relation;
	bool		is_setting = strcmp(RelationGetRelationName(rel), "settings") == 0;
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	if (restoring())
	{
		argument_text(&args, row_get_text(RelationGetDescr(rel), data->tg_trigtuple, "name"));
		caller_enter_trigger(&caller);
		statement_run(is_setting ? &delete_setting : &delete_fact, &args);
		caller_leave(&caller);
	}
	return PointerGetDatum(data->tg_trigtuple);
}
