/*
 * titles.c
 *	  The title of the project of a job, for the ledger.
 *
 * An entry about a job outlives the job and its project, and must still say what
 * the credits were for.  So it has the title in its metadata, as it was when the hold
 * was taken.
 *
 * Pitfall: this is on the way of every hold.  Entries that close a hold copy the
 * metadata of the entry that took it, and read no project.
 *
 * Lock order: none of its own; the caller has locked the job, without which the
 * project cannot be deleted.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "titles.h"

/* in the metadata of an entry of a job */
#define PROJECT_TITLE_KEY "project_title"

/* characters of a title; longer ones are cut */
#define MAX_TITLE_LENGTH 200

/*
 * Return the metadata of an entry about a job: {"project_title": "..."}; NULL if
 * the project is gone.
 */
const Jsonb *
title_metadata(const Job *job)
{
	char	   *title = job_project_title(job);
	JsonbBuilder builder = {0};
	JsonbValue	key = {.type = jbvString,.val.string = {strlen(PROJECT_TITLE_KEY), PROJECT_TITLE_KEY}};
	JsonbValue	value = {.type = jbvString};

	if (title == NULL)
		return NULL;
	value.val.string.val = title;
	value.val.string.len = pg_mbcharcliplen(title, strlen(title), MAX_TITLE_LENGTH);
	compat_push_jsonb(&builder, WJB_BEGIN_OBJECT, NULL);
	compat_push_jsonb(&builder, WJB_KEY, &key);
	compat_push_jsonb(&builder, WJB_VALUE, &value);
	compat_push_jsonb(&builder, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(builder.result);
}
