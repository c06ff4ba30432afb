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
 * Pitfall: the owner edits them by hand.  For a value that is not a number an
 * error names the setting, and no default is assumed.  A data-only dump may be
 * loaded into a new installation, which has these rows already: the rows of the
 * dump replace them.
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

PG_FUNCTION_INFO_V1(invalidate_settings);
PG_FUNCTION_INFO_V1(yield_to_restored_row);

typedef struct CachedSetting
{
	const char *name;
	const char *default_value;	/* if there is no row */
	bool		cached;
	int32		number;			/* if it is a number */
	char	   *string;			/* if it is a text; in TopMemoryContext, freed
								 * when another value is cached */
} CachedSetting;

/* test/lint/lists.sh compares names and values with the rows in sql/tables */
static CachedSetting settings[] = {
	[SETTING_WELCOME_CREDITS] = {.name = "welcome_credits",.default_value = "10"},
	[SETTING_MAX_ACTIVE_JOBS] = {.name = "max_active_jobs",.default_value = "5"},
	[SETTING_DRAFT_LIFETIME_DAYS] = {.name = "draft_lifetime_days",.default_value = "7"},
	[SETTING_LEDGER_HASH_CHAIN] = {.name = "ledger_hash_chain",.default_value = "0"},
	[SETTING_LEASE_SECONDS] = {.name = "lease_seconds",.default_value = "60"},
	[SETTING_MAX_ATTEMPTS] = {.name = "max_attempts",.default_value = "3"},
	[SETTING_RETRY_BASE_SECONDS] = {.name = "retry_base_seconds",.default_value = "5"},
	[SETTING_RETRY_CAP_SECONDS] = {.name = "retry_cap_seconds",.default_value = "3600"},
	[SETTING_PROGRESS_INTERVAL_MS] = {.name = "progress_interval_ms",.default_value = "1000"},
	[SETTING_FAIR_QUEUE] = {.name = "fair_queue",.default_value = "0"},
	[SETTING_NOTIFY_INTERVAL_MS] = {.name = "notify_interval_ms",.default_value = "0"},
	[SETTING_NOTIFY_WORKERS] = {.name = "notify_workers",.default_value = "0"},
	[SETTING_MAX_USER_PRIORITY] = {.name = "max_user_priority",.default_value = "100"},
	[SETTING_DEFAULT_SYSTEM_PROMPT] = {
		.name = "default_system_prompt",
		.default_value = "Rewrite the transcript in the voice of the brand. Keep names, facts and numbers as they are."
	},
	[SETTING_PRIORITY_AGEING_SECONDS] = {.name = "priority_ageing_seconds",.default_value = "0"},
	[SETTING_MAX_RUNNING_JOBS] = {.name = "max_running_jobs",.default_value = "0"},
	[SETTING_MAX_RUN_SECONDS] = {.name = "max_run_seconds",.default_value = "0"},
	[SETTING_CANCEL_GRACE_SECONDS] = {.name = "cancel_grace_seconds",.default_value = "60"},
	[SETTING_ASYNCHRONOUS_CLAIMS] = {.name = "asynchronous_claims",.default_value = "0"},
	[SETTING_MAX_ACTIVE_RUNS] = {.name = "max_active_runs",.default_value = "5"},
	[SETTING_QUALITY_PASS_SCORE] = {.name = "quality_pass_score",.default_value = "7"},
	[SETTING_SEARCH_CONFIGURATION] = {.name = "search_configuration",.default_value = "english"},
	[SETTING_WELCOME_ONCE_PER_EMAIL] = {.name = "welcome_once_per_email",.default_value = "1"},
	[SETTING_WELCOME_ANONYMOUS] = {.name = "welcome_anonymous",.default_value = "0"},
	[SETTING_PRICE_STUDIO_JOB] = {.name = "price_studio_job",.default_value = "0"},
	[SETTING_PRICE_RENDERING] = {.name = "price_rendering",.default_value = "0"},
	[SETTING_STRIPE_PRICES] = {.name = "stripe_prices",.default_value = "{}"},
	[SETTING_STRIPE_SUBSCRIPTION_EXPIRY] = {.name = "stripe_subscription_expiry",.default_value = "0"},
	[SETTING_STORAGE_PUBLIC_URL] = {.name = "storage_public_url",.default_value = ""},
};
static uint64 cached_changes = 0;	/* of settings_watch, at that time */
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
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || number < 0 || number > PG_INT32_MAX)
		refuse_setting(name);
	return (int32) number;
}

/* Return a setting, whose value is marked as not cached if the table has changed. */
static CachedSetting *
find_setting(Setting number)
{
	if (cached_changes != settings_watch.changes)
	{
		cached_changes = settings_watch.changes;
		for (int i = 0; i < (int) lengthof(settings); i++)
			settings[i].cached = false;
	}
	return &settings[number];
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
	CachedSetting *found = find_setting(setting);
	uint64		before;
	char	   *value;
	int32		number;

	if (found->cached)
		return found->number;
	before = watch_settings();
	value = read_setting(found->name);
	number = setting_number(found->name, value ? value : found->default_value);
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
	CachedSetting *found = find_setting(setting);
	uint64		before;
	char	   *value;

	if (found->cached)
		return pstrdup(found->string);
	before = watch_settings();
	value = read_setting(found->name);
	if (value == NULL)
		value = pstrdup(found->default_value);
	cache_setting(before, found, 0, value);
	return value;
}

/*
 * invalidate_settings() returns trigger: AFTER any statement on settings or
 * queue_stages; all sessions read them again.
 */
Datum
invalidate_settings(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_STATEMENT,
									 ON_INSERT | ON_UPDATE | ON_DELETE | ON_TRUNCATE, 0);

	CacheInvalidateRelcache(data->tg_relation);
	return PointerGetDatum(NULL);
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
