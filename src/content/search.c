/*
 * search.c
 *	  Full-text search over the sections of content.
 *
 * The tsvectors are stored beside the content, in studio_engine.content_search:
 * for its name and for each section, of long ones in several parts.  A trigger
 * maintains them.
 *
 * Pitfall: a tsvector is limited to one megabyte, and to 16383 positions.  A part
 * is short enough for both in any script.  Parts overlap, so that no word or short
 * phrase is split between two.  The parts are cut here and not by substr(), which
 * would count the characters from the start of the text for each of them.  A query
 * is matched against one part: all words must occur in it, and an excluded word
 * excludes only the part.
 *
 * Pitfall: the cost of a search is bounded by MAX_PARTS, the parts whose vectors
 * are read and ranked, and not by the number of parts that match.  These are found
 * by the GIN index, which the planner has to use (SET enable_seqscan in sql/api),
 * and beyond the limit their vectors are not read.
 *
 * Pitfall: all content that is not archived has a row for its name, even an empty
 * one: refresh_content_search() takes content without it for not indexed.
 *
 * Lock order: takes no lock but that of content.  The trigger runs under it, and
 * refresh_content_search() takes it.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"
#include "utils/varlena.h"

#include "caller.h"
#include "checks.h"
#include "companies.h"
#include "excerpts.h"
#include "restore.h"
#include "search.h"
#include "search_query.h"
#include "sections.h"
#include "settings.h"
#include "statements.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(index_content);
PG_FUNCTION_INFO_V1(search_module_content);
PG_FUNCTION_INFO_V1(refresh_content_search);

#define MAX_QUERY_LENGTH 1000
#define MAX_RESULTS 1000
#define MAX_REFRESHED 10000
#define RESULT_COLUMNS 5

/* limits of one search: matching parts that are ranked, results with an
 * excerpt, and chunks of text that are searched for all excerpts together */
#define MAX_PARTS 5000
#define MAX_EXCERPTS 100
#define MAX_CHUNKS 300

/* characters of a part without its overlap, and of the overlap with the next one */
#define PART_LENGTH 30000
#define PART_OVERLAP 500

static Statement delete_words = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.content_search s WHERE s.content_id = $1 AND s.section = $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement insert_words = {
	.text = "INSERT INTO studio_engine.content_search (content_id, section, part, configuration, words, company_id)"
	" VALUES ($1, $2, $3, $4, pg_catalog.setweight(pg_catalog.to_tsvector($5, $6),"
	"         CASE $2 WHEN 'module_name' THEN 'A' ELSE 'D' END::pg_catalog.\"char\"),"
	"         (SELECT c.company_id FROM @extschema@.cm_module_content c WHERE c.content_id = $1))",
	.nargs = 6,.argtypes = {UUIDOID, TEXTOID, INT4OID, TEXTOID, REGCONFIGOID, TEXTOID}
};
static Statement reassign_words = {
	.force_index_plan = true,
	.text = "UPDATE studio_engine.content_search s SET company_id = $2"
	" WHERE s.content_id = $1 AND s.company_id IS DISTINCT FROM $2",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};

/*
 * $1 query for the index, $2 exact query, $3 any of the words, for the rank: see
 * SearchQuery.  $4 company or NULL, $5 and $6 the caller, $7 limit of parts, $8
 * limit of results.  Where more than $7 parts match, names are preferred, then
 * content that was changed last.
 */
static Statement search = {
	.text = "SELECT b.content_id, c.module_name, NULLIF(b.section, 'module_name'), b.rank, b.section, b.part"
	"  FROM (SELECT DISTINCT ON (m.content_id) m.content_id, m.section, m.part, pg_catalog.ts_rank(m.words, $3) AS rank"
	"          FROM (SELECT s.content_id, s.section, s.part, s.words"
	"                  FROM studio_engine.content_search s"
	"                  JOIN @extschema@.cm_module_content o ON o.content_id = s.content_id"
	"                 WHERE s.words @@ $1 AND ($4 IS NULL OR o.company_id = $4)"
	"                   AND " SEEN_BY_CALLER("o.company_id", "$5", "$6")
	"                 ORDER BY s.section <> 'module_name', o.updated_at DESC, s.content_id, s.section, s.part"
	"                 LIMIT $7) m"
	"         WHERE m.words @@ $2"
	"         ORDER BY m.content_id, rank DESC, m.section, m.part) b"
	"  JOIN @extschema@.cm_module_content c ON c.content_id = b.content_id"
	" ORDER BY b.rank DESC, b.content_id LIMIT $8",
	.nargs = 8,.argtypes = {TSQUERYOID, TSQUERYOID, TSQUERYOID, UUIDOID, BOOLOID, UUIDARRAYOID, INT4OID, INT4OID}
};

/* $1 content, $2 section, $3 part, $4 and $5 the lengths of a part and of an overlap */
static Statement select_part = {
	.force_index_plan = true,
	.text = "SELECT pg_catalog.substr(CASE $2 WHEN 'introduction' THEN c.introduction"
	"                 WHEN 'core_content' THEN c.core_content"
	"                 WHEN 'practical_applications' THEN c.practical_applications"
	"                 WHEN 'case_studies' THEN c.case_studies"
	"                 WHEN 'assessments' THEN c.assessments ELSE c.module_name END, $3 * $4 + 1, $4 + $5)"
	"  FROM @extschema@.cm_module_content c WHERE c.content_id = $1",
	.nargs = 5,.argtypes = {UUIDOID, TEXTOID, INT4OID, INT4OID, INT4OID}
};

/* content that is not indexed, or by another configuration; locked rows are skipped */
static Statement select_stale = {
	.text = "SELECT c.content_id FROM @extschema@.cm_module_content c"
	" WHERE c.archived_at IS NULL"
	"   AND (NOT EXISTS (SELECT 1 FROM studio_engine.content_search s"
	"                     WHERE s.content_id = c.content_id AND s.section = 'module_name')"
	"        OR EXISTS (SELECT 1 FROM studio_engine.content_search s"
	"                    WHERE s.content_id = c.content_id AND s.configuration <> $1))"
	" LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
	.nargs = 2,.argtypes = {TEXTOID, INT4OID}
};
static Statement select_texts = {
	.force_index_plan = true,
	.text = "SELECT c.module_name, c.introduction, c.core_content, c.practical_applications, c.case_studies, c.assessments"
	"  FROM @extschema@.cm_module_content c WHERE c.content_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* Return a column that is searched, by number: the name, then the sections. */
static const char *
searched_column(int number)
{
	return number == 0 ? "module_name" : section_names[number - 1];
}

#define SEARCHED_COLUMNS (SECTIONS + 1)

/* Return a text search configuration, or InvalidOid if there is none of that name. */
static Oid
find_configuration(const char *name)
{
	List	   *names;

	if (!SplitIdentifierString(pstrdup(name), '.', &names) || names == NIL || list_length(names) > 2)
		return InvalidOid;
	return get_ts_config_oid(textToQualifiedNameList(cstring_to_text(name)), true);
}

/* The check of setting search_configuration. */
static bool
is_configuration(const char *name)
{
	return OidIsValid(find_configuration(name));
}

/*
 * Register what other folders call back.
 */
void
search_register(void)
{
	setting_register_check(SETTING_SEARCH_CONFIGURATION, is_configuration,
						   "the name of a text search configuration; those outside of pg_catalog need their schema");
}

/*
 * Return the text search configuration that setting search_configuration names,
 * and the setting itself; InvalidOid if there is no such configuration.
 */
static Oid
search_configuration(char **name)
{
	*name = setting_text(SETTING_SEARCH_CONFIGURATION);
	return find_configuration(*name);
}

/* Return the same as search_configuration(), or raise an error if there is no such configuration. */
static Oid
require_configuration(char **name)
{
	Oid			configuration = search_configuration(name);

	if (!OidIsValid(configuration))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a setting names no text search configuration"),
				 errdetail("Setting search_configuration is \"%s\".", *name),
				 errhint("Correct it in table studio_engine.settings; \\dF in psql lists the configurations, those outside of pg_catalog need their schema.")));
	return configuration;
}

/* Store the words of one part; name is the name of the configuration. */
static void
insert_part(const pg_uuid_t *content_id, const char *column, int number, const char *content, int length,
			Oid configuration, const char *name)
{
	Arguments	args = NO_ARGUMENTS;
	Datum		part = PointerGetDatum(cstring_to_text_with_len(content, length));

	argument_uuid(&args, content_id);
	argument_text(&args, column);
	argument_int32(&args, number);
	argument_text(&args, name);
	argument_add(&args, ObjectIdGetDatum(configuration), false);
	argument_add(&args, part, false);
	statement_execute(&insert_words, &args);
	pfree(DatumGetPointer(part));
}

/* Store the words of a text part by part; an empty text has one empty part. */
static void
insert_parts(const pg_uuid_t *content_id, const char *column, const char *content, Oid configuration, const char *name)
{
	int			left = strlen(content);
	int			number = 0;

	do
	{
		int			step = pg_mbcharcliplen(content, left, PART_LENGTH);
		int			overlap = pg_mbcharcliplen(content + step, left - step, PART_OVERLAP);

		CHECK_FOR_INTERRUPTS();
		insert_part(content_id, column, number++, content, step + overlap, configuration, name);
		content += step;
		left -= step;
	} while (left > 0);
}

/* Replace the words of a column; content NULL, or an invalid configuration, only deletes them. */
static void
index_column(const pg_uuid_t *content_id, const char *column, const char *content, Oid configuration, const char *name)
{
	Arguments	key = NO_ARGUMENTS;

	argument_uuid(&key, content_id);
	argument_text(&key, column);
	statement_execute(&delete_words, &key);
	if (content != NULL && OidIsValid(configuration))
	{
		char	   *indexed = pstrdup(content);

		excerpt_limit_punctuation(indexed);
		insert_parts(content_id, column, indexed, configuration, name);
		pfree(indexed);
	}
}

/* Return true if the words of a column have to be replaced; archived content has none. */
static bool
needs_reindex(const RowEdit *edit, HeapTuple old, const char *column)
{
	return old == NULL ||
		row_changed(edit, old, column, TEXTOID) ||
		row_changed(edit, old, "archived_at", TIMESTAMPTZOID);
}

/*
 * Replace the words of the columns that changed.  If the configuration does not
 * exist, a warning is raised and the content is stored without words: a wrong
 * setting must not prevent writes.
 */
static void
index_row(const RowEdit *edit, HeapTuple old)
{
	pg_uuid_t	content_id = row_get_uuid(edit->desc, edit->row, "content_id");
	bool		live;
	char	   *name;
	Oid			configuration = search_configuration(&name);

	row_get(edit->desc, edit->row, "archived_at", TIMESTAMPTZOID, &live);
	if (!OidIsValid(configuration))
		ereport(WARNING,
				(errmsg("content is not searchable: a setting names no text search configuration"),
				 errdetail("Setting search_configuration is \"%s\".", name),
				 errhint("Correct it in table studio_engine.settings, then call refresh_content_search().")));
	for (int i = 0; i < SEARCHED_COLUMNS; i++)
	{
		const char *column = searched_column(i);

		if (needs_reindex(edit, old, column))
			index_column(&content_id, column, live ? row_get_text(edit->desc, edit->row, column) : NULL,
						 configuration, name);
	}
}

/* Return true if content was given to another company. */
static bool
company_changed(const RowEdit *edit, HeapTuple old)
{
	return old != NULL && row_changed(edit, old, "company_id", UUIDOID);
}

/* Give the words that are stored already to the new company. */
static void
reassign_row(const RowEdit *edit)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	content_id = row_get_uuid(edit->desc, edit->row, "content_id");
	bool		isnull;
	Datum		company_id = row_get(edit->desc, edit->row, "company_id", UUIDOID, &isnull);

	argument_uuid(&args, &content_id);
	argument_add(&args, company_id, isnull);
	statement_execute(&reassign_words, &args);
}

/* Return true if the words of any column have to be replaced. */
static bool
any_column_needs_reindex(const RowEdit *edit, HeapTuple old)
{
	for (int i = 0; i < SEARCHED_COLUMNS; i++)
	{
		if (needs_reindex(edit, old, searched_column(i)))
			return true;
	}
	return false;
}

/*
 * index_content() returns trigger: AFTER INSERT OR UPDATE on cm_module_content.
 * Maintains studio_engine.content_search.
 */
Datum
index_content(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT | ON_UPDATE, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	HeapTuple	old = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigtuple : NULL;
	bool		reindex,
				reassign;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(NULL);
	reindex = any_column_needs_reindex(&edit, old);
	reassign = company_changed(&edit, old);
	if (!reindex && !reassign)
		return PointerGetDatum(NULL);

	caller_enter_trigger(&caller);
	if (reindex)
		index_row(&edit, old);
	if (reassign)
		reassign_row(&edit);
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/* Return the excerpt of a result; 0 if its text no longer exists. */
static Datum
make_headline(HeapTuple row, TupleDesc desc, Oid configuration, TSQuery any, int *budget)
{
	Arguments	args = NO_ARGUMENTS;
	bool		isnull;
	char	   *content;

	argument_add(&args, SPI_getbinval(row, desc, 1, &isnull), false);
	argument_add(&args, SPI_getbinval(row, desc, 5, &isnull), false);
	argument_add(&args, SPI_getbinval(row, desc, 6, &isnull), false);
	argument_int32(&args, PART_LENGTH);
	argument_int32(&args, PART_OVERLAP);
	if (statement_execute_read_only(&select_part, &args) == 0 || (content = result_text(1)) == NULL)
		return (Datum) 0;
	return excerpt_make(configuration, content, any, budget);
}

/* Add a row to the result of search_module_content(). */
static void
put_row(ReturnSetInfo *rsinfo, HeapTuple row, TupleDesc desc, Datum headline)
{
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS];

	for (int i = 0; i < RESULT_COLUMNS - 1; i++)
		values[i] = SPI_getbinval(row, desc, i + 1, &nulls[i]);
	values[RESULT_COLUMNS - 1] = headline;
	nulls[RESULT_COLUMNS - 1] = headline == (Datum) 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Add all rows; the memory of each excerpt is freed before the next, as its text is large. */
static void
put_rows(ReturnSetInfo *rsinfo, const FoundRows *hits, Oid configuration, TSQuery any)
{
	int			budget = MAX_CHUNKS;

	for (uint64 i = 0; i < hits->n; i++)
	{
		StatementResult *outer = statements_begin();
		Datum		headline = (Datum) 0;

		CHECK_FOR_INTERRUPTS();
		if (i < MAX_EXCERPTS)
			headline = make_headline(hits->rows[i], hits->desc, configuration, any, &budget);
		put_row(rsinfo, hits->rows[i], hits->desc, headline);
		statements_end(outer);
	}
}

/* Run the search for a caller. */
static FoundRows
select_hits(Caller *caller, const SearchQuery *query, const pg_uuid_t *company_id, int32 limit)
{
	Arguments	args = NO_ARGUMENTS;

	argument_add(&args, TSQueryGetDatum(query->index_query), false);
	argument_add(&args, TSQueryGetDatum(query->exact), false);
	argument_add(&args, TSQueryGetDatum(query->any_word), false);
	argument_uuid(&args, company_id);
	argument_caller(&args, caller);
	argument_int32(&args, MAX_PARTS);
	argument_int32(&args, limit);
	return statement_execute_read_only_rows(&search, &args);
}

/*
 * search_module_content(p_query text, p_company_id uuid, p_limit integer)
 * returns setof (content_id, module_name, section, rank, headline)
 */
Datum
search_module_content(PG_FUNCTION_ARGS)
{
	Caller		caller;
	SearchQuery query;
	FoundRows	hits;
	char	   *wanted;
	const pg_uuid_t *company_id;
	int32		limit;
	char	   *name;
	Oid			configuration;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_user(&caller);
	wanted = check_text(fcinfo, 0, "p_query", 1, MAX_QUERY_LENGTH);
	company_id = optional_uuid(fcinfo, 1);
	check_company(&caller, company_id);
	limit = check_int32(fcinfo, 2, "p_limit", 1, MAX_RESULTS);

	configuration = require_configuration(&name);
	if (search_query_parse(configuration, "p_query", wanted, &query))
	{
		hits = select_hits(&caller, &query, company_id, limit);
		put_rows((ReturnSetInfo *) fcinfo->resultinfo, &hits, configuration, query.any_word);
	}
	caller_leave(&caller);

	return (Datum) 0;
}

/* Replace the words of all columns of locked content. */
static void
reindex_content(const pg_uuid_t *content_id, Oid configuration, const char *name)
{
	Arguments	args = NO_ARGUMENTS;
	char	   *texts[SEARCHED_COLUMNS];

	argument_uuid(&args, content_id);
	statement_execute(&select_texts, &args);
	for (int i = 0; i < SEARCHED_COLUMNS; i++)
		texts[i] = result_text(i + 1);
	for (int i = 0; i < SEARCHED_COLUMNS; i++)
		index_column(content_id, searched_column(i), texts[i], configuration, name);
}

/*
 * refresh_content_search(p_limit integer) returns integer
 */
Datum
refresh_content_search(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	List	   *stale;
	ListCell   *cell;
	char	   *name;
	Oid			configuration;
	int32		refreshed;

	caller_enter_service(&caller);
	configuration = require_configuration(&name);
	argument_text(&args, name);
	argument_int32(&args, check_int32(fcinfo, 0, "p_limit", 1, MAX_REFRESHED));
	stale = statement_execute_uuids(&select_stale, &args);
	foreach(cell, stale)
		reindex_content(lfirst(cell), configuration, name);
	refreshed = list_length(stale);
	caller_leave(&caller);

	PG_RETURN_INT32(refreshed);
}
