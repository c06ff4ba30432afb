/*
 * settings.c
 *	  Settings of the product, from studio_engine.settings.
 *
 * They are rows and not GUCs, since they belong to the database, are part of its
 * dump, and must not be changed by any role that may use SET.
 *
 * A session caches the values that it has read.  A trigger on the table
 * invalidates its relcache entry with every change, so that all sessions read
 * the values again.
 *
 * There are rows after an installation, so that they are seen; a copy of the
 * schema alone has none, and a setting without a row has its default.
 *
 * Pitfall: a dump brings rows that no trigger checks.  For a value that is not a
 * number an error names the setting, and no default is assumed.  The data may
 * come into a new installation, by a dump or by logical replication, which has
 * these rows already: the rows that come replace them.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "caller.h"
#include "checks.h"
#include "compat.h"
#include "relations.h"
#include "restore.h"
#include "settings.h"
#include "statements.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(invalidate_settings);
PG_FUNCTION_INFO_V1(check_setting);
PG_FUNCTION_INFO_V1(yield_to_restored_row);
PG_FUNCTION_INFO_V1(set_setting);
PG_FUNCTION_INFO_V1(get_settings);

/* in characters; the longest value is a prompt */
#define MAX_NAME_LENGTH 100
#define MAX_SETTING_LENGTH 500000

/* what a session has read */
typedef struct CachedSetting
{
	bool		cached;
	int32		number;			/* if it is a number */
	char	   *string;			/* if it is a text; in TopMemoryContext, freed
								 * when another value is cached */
} CachedSetting;

static CachedSetting cached_settings[SETTINGS];
static uint64 cached_changes = 0;	/* of settings_watch, at that time */
static RelationWatch settings_watch;

static Statement select_setting = {
	.text = "SELECT s.value FROM studio_engine.settings s WHERE s.name = $1",
	.nargs = 1,.argtypes = {TEXTOID}
};

static Statement upsert_setting = {
	.text = "INSERT INTO studio_engine.settings AS s (name, value, description) VALUES ($1, $2, $3)"
	" ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value RETURNING s.value",
	.nargs = 3,.argtypes = {TEXTOID, TEXTOID, TEXTOID}
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

/* Return the value in the table, NULL if there is no row. */
static char *
read_setting(const char *name)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, name);
	/* not the transaction's snapshot, since the cache outlives it */
	if (statement_execute_with_latest_snapshot(&select_setting, &args) == 0)
		return NULL;
	return result_text(1);
}

/* Convert a value; raises an error if it is not a whole number of 0 or more. */
static int32
setting_number(const char *name, const char *value)
{
	int32		number;

	if (!setting_parse_number(value, &number))
		refuse_setting(name);
	return number;
}

/* Return a setting, whose value is marked as not cached if the table has changed. */
static CachedSetting *
find_setting(Setting number)
{
	if (cached_changes != settings_watch.changes)
	{
		cached_changes = settings_watch.changes;
		for (int i = 0; i < SETTINGS; i++)
			cached_settings[i].cached = false;
	}
	return &cached_settings[number];
}

/* Begin to count changes of the table; returns the number to be passed to cache_setting(). */
static uint64
watch_settings(void)
{
	relation_watch(&settings_watch, get_relname_relid("settings", get_namespace_oid("studio_engine", false)));
	return settings_watch.changes;
}

/* Cache a value, unless the table was changed while it was read: the change may
 * belong to a newer value. */
static void
cache_setting(uint64 before, CachedSetting *setting, int32 number, const char *string)
{
	char	   *copy;

	if (before != settings_watch.changes)
		return;
	copy = string ? MemoryContextStrdup(TopMemoryContext, string) : NULL;
	if (setting->string != NULL)
		pfree(setting->string);
	setting->number = number;
	setting->string = copy;
	setting->cached = true;
}

/*
 * Return a setting that is a whole number of 0 or more.  Its default if there is
 * no row, as in data that is older than the setting.
 */
int32
setting_int32(Setting setting)
{
	const KnownSetting *known = &known_settings[setting];
	CachedSetting *found = find_setting(setting);
	uint64		before;
	char	   *value;
	int32		number;

	if (found->cached)
		return found->number;
	before = watch_settings();
	value = read_setting(known->name);
	number = setting_number(known->name, value ? value : known->default_value);
	cache_setting(before, found, number, NULL);
	return number;
}

/*
 * Return a setting that is a text, as a copy.  A setting must be read either by
 * this or by setting_int32() everywhere, since one value is cached.
 */
char *
setting_text(Setting setting)
{
	const KnownSetting *known = &known_settings[setting];
	CachedSetting *found = find_setting(setting);
	uint64		before;
	char	   *value;

	if (found->cached)
		return pstrdup(found->string);
	before = watch_settings();
	value = read_setting(known->name);
	if (value == NULL)
		value = pstrdup(known->default_value);
	cache_setting(before, found, 0, value);
	return value;
}

/* ------------------------------------------------------------------------
 * Triggers of the table
 * ------------------------------------------------------------------------ */

/*
 * invalidate_settings() returns trigger: AFTER any change of settings or
 * queue_stages; all sessions read them again.
 *
 * It fires for each row, since logical replication fires no triggers of
 * statements but those of TRUNCATE.
 */
Datum
invalidate_settings(PG_FUNCTION_ARGS)
{
	TriggerData *data;

	if (CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BY_TRUNCATE(((TriggerData *) fcinfo->context)->tg_event))
		data = trigger_data(fcinfo, AFTER_STATEMENT, ON_TRUNCATE, 0);
	else
		data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT | ON_UPDATE | ON_DELETE, 0);
	CacheInvalidateRelcache(data->tg_relation);
	return PointerGetDatum(NULL);
}

/*
 * check_setting() returns trigger: BEFORE INSERT OR UPDATE on settings; refuses
 * unknown names, and values that the setting does not accept.
 */
Datum
check_setting(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 0);
	HeapTuple	row = trigger_new_row(data);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	char	   *name = row_get_text(desc, row, "name");
	char	   *value = row_get_text(desc, row, "value");

	/* what is NULL the constraints of the table refuse */
	if (!restoring() && name != NULL && value != NULL)
		setting_check_value(name, value);
	return PointerGetDatum(row);
}

/*
 * yield_to_restored_row() returns trigger: BEFORE INSERT on settings and meta;
 * deletes the row of the new installation that a dump replaces.
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
		statement_execute(is_setting ? &delete_setting : &delete_fact, &args);
		caller_leave(&caller);
	}
	return PointerGetDatum(data->tg_trigtuple);
}

/* ------------------------------------------------------------------------
 * Functions
 * ------------------------------------------------------------------------ */

/*
 * set_setting(p_name text, p_value text) returns text
 */
Datum
set_setting(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	const KnownSetting *known;
	char	   *value;
	Datum		result;

	caller_enter_administrator(&caller);
	known = setting_require(check_text(fcinfo, 0, "p_name", 1, MAX_NAME_LENGTH));
	value = check_text(fcinfo, 1, "p_value", 0, MAX_SETTING_LENGTH);
	argument_text(&args, known->name);
	argument_text(&args, value ? value : known->default_value);
	argument_text(&args, known->description);
	statement_execute(&upsert_setting, &args);
	result = result_jsonb(1);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* Return the word for what the values of a setting are. */
static const char *
type_word(SettingType type)
{
	switch (type)
	{
		case SETTING_NUMBER:
			return "number";
		case SETTING_SWITCH:
			return "switch";
		case SETTING_TEXT:
			return "text";
	}
	pg_unreachable();
}

/* Add one row to the result of get_settings(). */
static void
put_setting(const KnownSetting *known, ReturnSetInfo *rsinfo)
{
	char	   *value = read_setting(known->name);
	bool		is_text = known->type == SETTING_TEXT;
	Datum		values[] = {
		CStringGetTextDatum(known->name),
		CStringGetTextDatum(value ? value : known->default_value),
		CStringGetTextDatum(known->default_value),
		CStringGetTextDatum(type_word(known->type)),
		Int32GetDatum(known->min),
		Int32GetDatum(setting_max(known)),
		CStringGetTextDatum(known->description)
	};
	bool		nulls[] = {false, false, false, false, is_text, is_text, false};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * get_settings() returns setof (name, value, default_value, type, min_value,
 * max_value, description)
 */
Datum
get_settings(PG_FUNCTION_ARGS)
{
	Caller		caller;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_service(&caller);
	for (int i = 0; i < SETTINGS; i++)
		put_setting(&known_settings[i], (ReturnSetInfo *) fcinfo->resultinfo);
	caller_leave(&caller);

	return (Datum) 0;
}
