/*
 * settings.c
 *	  Settings of the product, from studio_engine.settings.
 *
 * They are rows and not GUCs, since they belong to the database, travel with
 * its dump and must not be changed by whoever may SET.
 *
 * Pitfall: the owner edits them by hand.  A value that is no number must be
 * named, not guessed around.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "compat.h"
#include "settings.h"
#include "statements.h"

static Statement select_setting = {
	.text = "SELECT s.value FROM studio_engine.settings s WHERE s.name = $1",
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
