/*
 * settings.c
 *	  Settings of the product, from studio_engine.settings.
 *
 * They are rows and not GUCs, since they belong to the database, travel with
 * its dump and must not be changed by whoever may SET.
 *
 * A session keeps the values that it read.  A trigger on the table invalidates
 * its relcache entry with every change, which tells all sessions to read anew.
 *
 * Pitfall: the owner edits them by hand.  A value that is no number must be
 * named, not guessed around.  And a dump of the data alone may be loaded into
 * a fresh installation, where the rows are there already: the dump wins.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "caller.h"
#include "compat.h"
#include "restore.h"
#include "settings.h"
#include "statements.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(note_changed_settings);
PG_FUNCTION_INFO_V1(yield_to_restored_row);

#define MAX_KEPT 16

typedef struct KeptSetting
{
	const char *name;
	int32		value;
} KeptSetting;

static KeptSetting kept[MAX_KEPT];
static int	nkept = 0;
static uint64 changes = 0;
static Oid	settings_relid = InvalidOid;

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
			 errmsg("a setting is not a whole number of 0 or more"),
			 errdetail("Setting %s.", name),
			 errhint("Correct it in table studio_engine.settings.")));
}

/* The settings changed, or may have: only mark, nobody may read tables here. */
static void
settings_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == settings_relid)
	{
		nkept = 0;
		changes++;
	}
}

static int32
read_setting(const char *name, int32 absent)
{
	Arguments	args = NO_ARGUMENTS;
	const char *value;
	char	   *end;
	long		number;

	argument_text(&args, name);
	/* what is kept outlives the transaction, and so must not be of its view */
	if (statement_look(&select_setting, &args) == 0)
		return absent;

	value = result_text(1);
	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || number < 0 || number > PG_INT32_MAX)
		refuse_setting(name);
	return (int32) number;
}

/*
 * A setting that is a whole number of 0 or more.  A row may be absent in data
 * that is older than the setting.  The name is a constant.
 */
int32
setting_int32(const char *name, int32 absent)
{
	static bool watching = false;
	uint64		before;
	int32		value;

	for (int i = 0; i < nkept; i++)
	{
		if (strcmp(kept[i].name, name) == 0)
			return kept[i].value;
	}

	if (!watching)
	{
		CacheRegisterRelcacheCallback(settings_changed, (Datum) 0);
		watching = true;
	}
	settings_relid = get_relname_relid("settings", get_namespace_oid("studio_engine", false));
	before = changes;
	value = read_setting(name, absent);
	/* a change that came in between belongs to a newer value */
	if (before == changes && nkept < MAX_KEPT)
	{
		kept[nkept].name = name;
		kept[nkept].value = value;
		nkept++;
	}
	return value;
}

/*
 * A setting that is a text.  Read every time, as none is needed often.
 */
char *
setting_text(const char *name, const char *absent)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, name);
	return statement_run(&select_setting, &args) > 0 ? result_text(1) : pstrdup(absent);
}

/*
 * note_changed_settings() returns trigger: AFTER any statement on settings.
 */
Datum
note_changed_settings(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_STATEMENT,
									 ON_INSERT | ON_UPDATE | ON_DELETE | ON_TRUNCATE, 0);

	CacheInvalidateRelcache(data->tg_relation);
	return PointerGetDatum(NULL);
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
