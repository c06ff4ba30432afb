/*
 * search.c
 *	  Full-text search over the sections of content.
 *
 * Words are kept beside the content, in studio_engine.content_search: for its
 * name and for each section, long ones in parts.  A trigger keeps them.
 *
 * Pitfall: a tsvector holds at most a megabyte, and knows the places of 16383
 * words.  A part is short enough for both in any script, and parts overlap, so
 * that no word or short phrase is cut in two.  They are cut here and not by
 * substr(), which would count characters from the beginning for each of them.
 * A query is answered by one part: words meet there, and what is excluded is
 * excluded there.
 *
 * Pitfall: what a search costs is bounded by how many parts are looked into, and
 * not by how many have the words: the index finds these, whatever the planner
 * thinks (SET enable_seqscan in sql/api), and their vectors are left alone.
 *
 * Pitfall: every content that is not archived has a row for its name, even an
 * empty one, which tells refresh_content_search() that it has been here.
 *
 * Locks: none of its own.  The trigger runs under the lock of its content, and
 * refresh_content_search() takes that lock.
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

/* what a search looks into: parts that have the words, hits that get an
 * excerpt, and chunks of text that are looked through for these */
#define MAX_PARTS 5000
#define MAX_EXCERPTS 100
#define MAX_CHUNKS 300

/* characters of a part, and of what it shares with the next one */
#define PART_LENGTH 30000
#define PART_OVERLAP 500

static Statement delete_words = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.content_search s WHERE s.content_id = $1 AND s.section = $2",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement insert_words = {
	.text = "INSERT INTO studio_engine.content_search (content_id, section, part, configuration, words)"
	" VALUES ($1, $2, $3, $4, pg_catalog.setweight(pg_catalog.to_tsvector($5, $6),"
	"         CASE $2 WHEN 'module_name' THEN 'A' ELSE 'D' END::pg_catalog.\"char\"))",
	.nargs = 6,.argtypes = {UUIDOID, TEXTOID, INT4OID, TEXTOID, REGCONFIGOID, TEXTOID}
};

/*
 * $1 loose query, $2 exact query, $3 any of the words, $4 company or NULL, $5 and
 * $6 the caller, $7 parts to look into, $8 limit.  The names come first, then
 * what was changed last.
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

/* $1 content, $2 section, $3 part, $4 and $5 the lengths of a part and of what it shares */
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

/* content whose words are of another configuration, or missing */
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

/* The columns that are searched: the name, then the sections. */
static const char *
searched_column(int number)
{
	return number == 0 ? "module_name" : section_names[number - 1];
}

#define SEARCHED_COLUMNS (SECTIONS + 1)

/* The configuration that the setting names; InvalidOid for none. */
static Oid
search_configuration(char **name)
{
	List	   *names;

	*name = setting_text(SETTING_SEARCH_CONFIGURATION);
	if (!SplitIdentifierString(pstrdup(*name), '.', &names) || names == NIL || list_length(names) > 2)
		return InvalidOid;
	return get_ts_config_oid(textToQualifiedNameList(cstring_to_text(*name)), true);
}

pg_noreturn static void
refuse_configuration(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a setting names no text search configuration"),
			 errdetail("Setting search_configuration is \"%s\".", name),
			 errhint("Correct it in table studio_engine.settings; \\dF in psql lists the configurations, those outside of pg_catalog need their schema.")));
}

static Oid
require_configuration(char **name)
{
	Oid			configuration = search_configuration(name);

	if (!OidIsValid(configuration))
		refuse_configuration(*name);
	return configuration;
}

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

/* Write the words of a text, part by part; an empty one has one empty part. */
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

/* Write the words of one column anew; NULL removes them. */
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

/* Has the column to be looked at again?  Archived content has no words. */
static bool
needs_reindex(const RowEdit *edit, HeapTuple old, const char *column)
{
	return old == NULL ||
		row_changed(edit, old, column, TEXTOID) ||
		row_changed(edit, old, "archived_at", TIMESTAMPTZOID);
}

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

/* Is there anything to do at all? */
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
	Caller		caller;

	if (restoring() || !any_column_needs_reindex(&edit, old))
		return PointerGetDatum(NULL);

	caller_enter_trigger(&caller);
	index_row(&edit, old);
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/* The excerpt of a hit; 0 where its text has gone meanwhile. */
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

/* One row of search_module_content(). */
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

/* Each excerpt in memory of its own, as the text that it is made from is large. */
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
