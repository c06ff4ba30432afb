/*
 * known_settings.c
 *	  The settings of the product: name, default, meaning, and which values each
 *	  accepts.
 *
 * Settings of the domains above have checks that only those can make; they
 * register them at start-up.
 *
 * Pitfall: a value in the table may be older than its check, or have come with a
 * dump, which no trigger checks.  So readers of a setting check it again.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "checks.h"
#include "known_settings.h"

PG_FUNCTION_INFO_V1(setting_problem);

KnownSetting known_settings[SETTINGS] = {
	[SETTING_WELCOME_CREDITS] = {
		.name = "welcome_credits",.default_value = "10",.type = SETTING_NUMBER,
		.description = "Credits granted at sign-up; 0 grants none"
	},
	[SETTING_MAX_ACTIVE_JOBS] = {
		.name = "max_active_jobs",.default_value = "5",.type = SETTING_NUMBER,
		.description = "Jobs of one kind (jobs, studio_jobs) that one user may have at a time; 0 means no limit"
	},
	[SETTING_DRAFT_LIFETIME_DAYS] = {
		.name = "draft_lifetime_days",.default_value = "7",.type = SETTING_NUMBER,.min = 0,.max = 36500,
		.description = "Days after its last change for which a draft can be claimed"
	},
	[SETTING_LEDGER_HASH_CHAIN] = {
		.name = "ledger_hash_chain",.default_value = "0",.type = SETTING_SWITCH,
		.description = "1 keeps a hash chain over the ledger, so that verify_credit_ledger() names an edited entry; 0 does not"
	},
	[SETTING_LEASE_SECONDS] = {
		.name = "lease_seconds",.default_value = "60",.type = SETTING_NUMBER,.min = 1,.max = 86400,
		.description = "How long a claimed job belongs to its worker, unless the claim or a heartbeat says otherwise"
	},
	[SETTING_MAX_ATTEMPTS] = {
		.name = "max_attempts",.default_value = "3",.type = SETTING_NUMBER,
		.description = "How often a job is tried before it is FAILED; 0 means no limit"
	},
	[SETTING_RETRY_BASE_SECONDS] = {
		.name = "retry_base_seconds",.default_value = "5",.type = SETTING_NUMBER,
		.description = "Longest delay before the second attempt; doubled with every further one"
	},
	[SETTING_RETRY_CAP_SECONDS] = {
		.name = "retry_cap_seconds",.default_value = "3600",.type = SETTING_NUMBER,
		.description = "Longest delay before any attempt"
	},
	[SETTING_PROGRESS_INTERVAL_MS] = {
		.name = "progress_interval_ms",.default_value = "1000",.type = SETTING_NUMBER,
		.description = "Heartbeats write progress into the row of a job at most once in so many milliseconds"
	},
	[SETTING_FAIR_QUEUE] = {
		.name = "fair_queue",.default_value = "0",.type = SETTING_SWITCH,
		.description = "1 lets the users take turns, so that the many jobs of one do not hold up the others; for jobs queued from then on"
	},
	[SETTING_NOTIFY_INTERVAL_MS] = {
		.name = "notify_interval_ms",.default_value = "0",.type = SETTING_NUMBER,
		.description = "Former name of notify_workers: any number but 0 has its effect"
	},
	[SETTING_NOTIFY_WORKERS] = {
		.name = "notify_workers",.default_value = "0",.type = SETTING_SWITCH,
		.description = "1 sends NOTIFY studio_engine once for each transaction that makes jobs claimable; 0 does not"
	},
	[SETTING_MAX_USER_PRIORITY] = {
		.name = "max_user_priority",.default_value = "100",.type = SETTING_NUMBER,
		.description = "Highest priority that users may give to their jobs"
	},
	[SETTING_DEFAULT_SYSTEM_PROMPT] = {
		.name = "default_system_prompt",.default_value = "Rewrite the transcript in the voice of the brand. Keep names, facts and numbers as they are.",.type = SETTING_TEXT,
		.description = "Prompt of studio jobs that bring none"
	},
	[SETTING_PRIORITY_AGEING_SECONDS] = {
		.name = "priority_ageing_seconds",.default_value = "0",.type = SETTING_NUMBER,
		.description = "Age in seconds that one step of priority is worth, so that old jobs of low priority are claimed too; 0: priorities come first. Not with fair_queue; for jobs queued from then on"
	},
	[SETTING_MAX_RUNNING_JOBS] = {
		.name = "max_running_jobs",.default_value = "0",.type = SETTING_NUMBER,
		.description = "Jobs of one table that may run for one user at a time; 0 means no limit"
	},
	[SETTING_MAX_RUN_SECONDS] = {
		.name = "max_run_seconds",.default_value = "0",.type = SETTING_NUMBER,
		.description = "How long a worker may have a job, whatever its heartbeats; 0 means no limit"
	},
	[SETTING_CANCEL_GRACE_SECONDS] = {
		.name = "cancel_grace_seconds",.default_value = "60",.type = SETTING_NUMBER,
		.description = "How long a worker may go on with a job that is to be cancelled, whatever its heartbeats; 0 means no limit"
	},
	[SETTING_ASYNCHRONOUS_CLAIMS] = {
		.name = "asynchronous_claims",.default_value = "0",.type = SETTING_SWITCH,
		.description = "1 does not wait for the disk where a transaction only claims jobs: after a crash they may be claimed again; 0 waits"
	},
	[SETTING_MAX_ACTIVE_RUNS] = {
		.name = "max_active_runs",.default_value = "5",.type = SETTING_NUMBER,
		.description = "Runs pending or running up to which a user may add one; 0 means no limit, services have none"
	},
	[SETTING_QUALITY_PASS_SCORE] = {
		.name = "quality_pass_score",.default_value = "7",.type = SETTING_NUMBER,.min = 0,.max = 10,
		.description = "Overall score, 0 to 10, from which an assessment without critical issues passes by itself"
	},
	[SETTING_SEARCH_CONFIGURATION] = {
		.name = "search_configuration",.default_value = "english",.type = SETTING_TEXT,
		.description = "Text search configuration of search_module_content(); after a change call refresh_content_search()"
	},
	[SETTING_WELCOME_ONCE_PER_EMAIL] = {
		.name = "welcome_once_per_email",.default_value = "1",.type = SETTING_SWITCH,
		.description = "1 keeps a digest of each e-mail address that got welcome credits, and grants it none again; 0 does not"
	},
	[SETTING_WELCOME_ANONYMOUS] = {
		.name = "welcome_anonymous",.default_value = "0",.type = SETTING_SWITCH,
		.description = "1 grants welcome credits to anonymous users at once; 0 when they become permanent"
	},
	[SETTING_PRICE_STUDIO_JOB] = {
		.name = "price_studio_job",.default_value = "0",.type = SETTING_NUMBER,
		.description = "Credits that a studio job costs, for jobs made from then on; 0 is nothing"
	},
	[SETTING_PRICE_RENDERING] = {
		.name = "price_rendering",.default_value = "0",.type = SETTING_NUMBER,
		.description = "Credits that a rendering costs its user, for renderings made from then on; 0 is nothing"
	},
	[SETTING_STRIPE_PRICES] = {
		.name = "stripe_prices",.default_value = "{}",.type = SETTING_TEXT,
		.description = "Credits of prices at Stripe, {\"price_...\": credits}, where metadata has no credits"
	},
	[SETTING_STRIPE_SUBSCRIPTION_EXPIRY] = {
		.name = "stripe_subscription_expiry",.default_value = "0",.type = SETTING_SWITCH,
		.description = "1 lets the credits of a subscription expire at the end of its period; 0 does not"
	},
	[SETTING_STORAGE_PUBLIC_URL] = {
		.name = "storage_public_url",.default_value = "",.type = SETTING_TEXT,
		.description = "Address of the public files of the object store, with which public_url of assets is filled in; empty fills in nothing"
	},
};

/*
 * Register the check of a setting that is a text; expected says in an error what
 * it accepts.
 */
void
setting_register_check(Setting setting, SettingCheck check, const char *expected)
{
	Assert(known_settings[setting].type == SETTING_TEXT);
	known_settings[setting].check = check;
	known_settings[setting].expected = expected;
}

/* Return the setting of a name, or NULL. */
static const KnownSetting *
find_known(const char *name)
{
	for (int i = 0; i < SETTINGS; i++)
	{
		if (strcmp(known_settings[i].name, name) == 0)
			return &known_settings[i];
	}
	return NULL;
}

/*
 * Return the setting of a name; raises an error if there is none.
 */
const KnownSetting *
setting_require(const char *name)
{
	const KnownSetting *setting = find_known(name);

	if (setting == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no such setting"),
				 errdetail("Setting %s.", name),
				 errhint("get_settings() lists them.")));
	return setting;
}

/*
 * Return the largest number that a setting accepts.
 */
int32
setting_max(const KnownSetting *setting)
{
	if (setting->type == SETTING_SWITCH)
		return 1;
	return setting->max > 0 ? setting->max : PG_INT32_MAX;
}

/*
 * Convert a text to a whole number of 0 or more; returns false if it is none.
 * There must be nothing but digits, so that a number is written in one way.
 */
bool
setting_parse_number(const char *value, int32 *number)
{
	char	   *end;
	long		parsed;

	if (*value == '\0' || value[strspn(value, "0123456789")] != '\0')
		return false;
	errno = 0;
	parsed = strtol(value, &end, 10);
	if (errno != 0 || parsed > PG_INT32_MAX)
		return false;
	*number = (int32) parsed;
	return true;
}

/* Return true if a setting accepts a number. */
static bool
accepts_number(const KnownSetting *setting, const char *value)
{
	int32		number;

	return setting_parse_number(value, &number) && number >= setting->min && number <= setting_max(setting);
}

/*
 * Return what a setting accepts, if that is not the value; else NULL.
 */
const char *
setting_expected(const KnownSetting *setting, const char *value)
{
	switch (setting->type)
	{
		case SETTING_NUMBER:
		case SETTING_SWITCH:
			if (!accepts_number(setting, value))
				return psprintf("a whole number from %d to %d", setting->min, setting_max(setting));
			return NULL;
		case SETTING_TEXT:
			if (setting->check != NULL && !setting->check(value))
				return setting->expected;
			return NULL;
	}
	pg_unreachable();
}

/*
 * Raise an error unless there is such a setting and it accepts the value.
 */
void
setting_check_value(const char *name, const char *value)
{
	const KnownSetting *setting = setting_require(name);
	const char *expected = setting_expected(setting, value);

	if (expected != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a setting does not accept this value"),
				 errdetail("Setting %s must be %s.", name, expected),
				 errhint("get_settings() lists values, defaults and meanings.")));
}

/*
 * studio_engine.setting_problem(p_name text, p_value text) returns text: what is
 * wrong with a row of the table, or NULL.
 */
Datum
setting_problem(PG_FUNCTION_ARGS)
{
	const KnownSetting *setting;
	const char *expected;
	char	   *name;

	check_not_null(fcinfo, 0, "p_name");
	check_not_null(fcinfo, 1, "p_value");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	setting = find_known(name);
	if (setting == NULL)
		PG_RETURN_TEXT_P(cstring_to_text(psprintf("There is no setting %s.", name)));
	expected = setting_expected(setting, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (expected == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("Setting %s must be %s.", name, expected)));
}
