/*
 * known_settings.h
 *	  The settings of the product, and which values each accepts.
 */
#ifndef STUDIO_KNOWN_SETTINGS_H
#define STUDIO_KNOWN_SETTINGS_H

#include "compat.h"

typedef enum Setting
{
	SETTING_WELCOME_CREDITS,
	SETTING_MAX_ACTIVE_JOBS,
	SETTING_DRAFT_LIFETIME_DAYS,
	SETTING_LEDGER_HASH_CHAIN,
	SETTING_LEASE_SECONDS,
	SETTING_MAX_ATTEMPTS,
	SETTING_RETRY_BASE_SECONDS,
	SETTING_RETRY_CAP_SECONDS,
	SETTING_PROGRESS_INTERVAL_MS,
	SETTING_FAIR_QUEUE,
	SETTING_NOTIFY_INTERVAL_MS,
	SETTING_NOTIFY_WORKERS,
	SETTING_MAX_USER_PRIORITY,
	SETTING_DEFAULT_SYSTEM_PROMPT,
	SETTING_PRIORITY_AGEING_SECONDS,
	SETTING_MAX_RUNNING_JOBS,
	SETTING_MAX_RUN_SECONDS,
	SETTING_CANCEL_GRACE_SECONDS,
	SETTING_ASYNCHRONOUS_CLAIMS,
	SETTING_MAX_ACTIVE_RUNS,
	SETTING_QUALITY_PASS_SCORE,
	SETTING_SEARCH_CONFIGURATION,
	SETTING_WELCOME_ONCE_PER_EMAIL,
	SETTING_WELCOME_ANONYMOUS,
	SETTING_PRICE_STUDIO_JOB,
	SETTING_PRICE_RENDERING,
	SETTING_STRIPE_PRICES,
	SETTING_STRIPE_SUBSCRIPTION_EXPIRY,
	SETTING_STORAGE_PUBLIC_URL
} Setting;

#define SETTINGS (SETTING_STORAGE_PUBLIC_URL + 1)

/* what the values of a setting are */
typedef enum SettingType
{
	SETTING_NUMBER,				/* whole numbers */
	SETTING_SWITCH,				/* 0 and 1 */
	SETTING_TEXT				/* what its check accepts, or any text */
} SettingType;

/* must not raise an error */
typedef bool (*SettingCheck) (const char *value);

typedef struct KnownSetting
{
	const char *name;
	const char *default_value;	/* if there is no row */
	const char *description;
	SettingType type;
	int32		min;			/* of a number */
	int32		max;			/* 0: any */
	SettingCheck check;			/* of a text; NULL: any is accepted */
	const char *expected;		/* what the check accepts */
} KnownSetting;

extern KnownSetting known_settings[SETTINGS];

extern void setting_register_check(Setting setting, SettingCheck check, const char *expected);
extern const KnownSetting *setting_require(const char *name);
extern int32 setting_max(const KnownSetting *setting);
extern bool setting_parse_number(const char *value, int32 *number);
extern const char *setting_expected(const KnownSetting *setting, const char *value);
extern void setting_check_value(const char *name, const char *value);

#endif							/* STUDIO_KNOWN_SETTINGS_H */
