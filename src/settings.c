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
#include "utils/memutils.h"
#include "utils/rel.h"

#include "caller.h"
#include "compat.h"
#include "relations.h"
#include "restore.h"
#include "settings.h"
#include "statements.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(note_changed_settings);
PG_FUNCTION_INFO_V1(yield_to_restored_row);

#define MAX_KEPT 32

/*
 * Places are used again after a change: the text of a place that is not in use
 * is still to be freed.
 */
typedef struct KeptSetting
{
	const char *name;
	int32		value;			/* of a number */
	char	   *text;			/* of a text, in TopMemoryContext */
} KeptSetting;

static KeptSetting kept[MAX_KEPT];
static int	nkept = 0;
static uint64 kept_changes = 0; /* as of which they are kept */
static RelationWatch settings_watch;

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

/* The value of a row, as the transaction or, if need be, others left it; NULL
 * where there is none. */
static char *
read_setting(const char *name)
{
	Arguments	args = NO_ARGUMENTS;

	argument_text(&args, name);
	/* what is kept outlives the transaction, and so must not be of its view */
	if (statement_look(&select_setting, &args) == 0)
		return NULL;
	return result_text(1);
}

static int32
setting_number(const char *name, const char *value)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || number < 0 || number > PG_INT32_MAX)
		refuse_setting(name);
	return (int32) number;
}

static KeptSetting *
find_kept(const char *name)
{
	if (kept_changes != settings_watch.changes)
	{
		kept_changes = settings_watch.changes;
		nkept = 0;
	}
	for (int i = 0; i < nkept; i++)
	{
		if (strcmp(kept[i].name, name) == 0)
			return &kept[i];
	}
	return NULL;
}

/* Begin to read a setting: from now on changes are noticed. */
static uint64
watch_settings(void)
{
	relation_watch(&settings_watch, get_relname_relid("settings", get_namespace_oid("studio_engine", false)));
	return settings_watch.changes;
}

/* Keep what was read, unless a change came in between: that belongs to a newer
 * value. */
static void
keep_setting(uint64 before, const char *name, int32 value, const char *text)
{
	char	   *copy = text ? MemoryContextStrdup(TopMemoryContext, text) : NULL;

	if (before != settings_watch.changes || nkept >= MAX_KEPT)
	{
		if (copy != NULL)
			pfree(copy);
		return;
	}
	if (kept[nkept].text !=NULL)
		pfree(kept[nkept].text);
	kept[nkept].name = name;
	kept[nkept].value = value;
	kept[nkept].text = copy;
	nkept++;
}

/*
 * A setting that is a whole number of 0 or more.  A row may be absent in data
 * that is older than the setting.  The name is a constant.
 */
int32
setting_int32(const char *name, int32 absent)
{
	KeptSetting *found = find_kept(name);
	uint64		before;
	char	   *text;
	int32		value;

	if (found != NULL)
		return found->value;
	before = watch_settings();
	text = read_setting(name);
	value = text ? setting_number(name, text) : absent;

	keep_setting(before, name, value, NULL);
	return value;
}

/*
 * A setting that is a text, as a copy.  A setting is either a number or a text
 * to all of its readers.
 */
char *
setting_text(const char *name, const char *absent)
{
	KeptSetting *found = find_kept(name);
	uint64		before;
	char	   *text;

	if (found != NULL)
		return pstrdup(found->text);
	before = watch_settings();
	text = read_setting(name);

	if (text == NULL)
		text = pstrdup(absent);

	keep_setting(before, name, 0, text);
	return text;
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
