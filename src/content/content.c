/*
 * content.c
 *	  Modules of courses: their sections, quality assessments and enhancement
 *	  sessions; course plans and research; archiving and statistics.
 *
 * The functions change a status by a plain UPDATE.  The workflow trigger of the
 * table checks the transition, and moves approved content whose text changes to
 * revision.
 *
 * Pitfall: a section is a column, and its name comes from the caller.  There is
 * one statement for each section, so that no name of a caller becomes part of
 * SQL.
 *
 * Lock order: company, content, then its assessments and sessions.  A decision
 * by the status of content is taken under the lock of the content.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "checks.h"
#include "companies.h"
#include "compat.h"
#include "errors.h"
#include "jsonb_measure.h"
#include "restore.h"
#include "sections.h"
#include "settings.h"
#include "statements.h"
#include "triggers.h"
#include "uuids.h"
#include "words.h"
#include "workflow.h"

PG_FUNCTION_INFO_V1(count_section_words);
PG_FUNCTION_INFO_V1(count_script_words);
PG_FUNCTION_INFO_V1(create_module_content);
PG_FUNCTION_INFO_V1(update_module_section);
PG_FUNCTION_INFO_V1(update_module_sections);
PG_FUNCTION_INFO_V1(get_module_content);
PG_FUNCTION_INFO_V1(get_content_sections);
PG_FUNCTION_INFO_V1(store_quality_assessment);
PG_FUNCTION_INFO_V1(get_latest_quality_assessment);
PG_FUNCTION_INFO_V1(start_enhancement_session);
PG_FUNCTION_INFO_V1(complete_enhancement_session);
PG_FUNCTION_INFO_V1(create_course_plan);
PG_FUNCTION_INFO_V1(store_research_results);
PG_FUNCTION_INFO_V1(archive_module_content);
PG_FUNCTION_INFO_V1(get_content_statistics);

/* limits: characters of a name, and of an id of a session of agents; bytes of a result as JSON */
#define MAX_NAME_LENGTH 1000
#define MAX_SESSION_LENGTH 500
#define MAX_RESULT_SIZE (16 * 1024 * 1024)

#define MAX_SCORE 10

static const char *const priority_levels[] = {"critical", "high", "medium", "low"};
static const char *const enhancement_final_statuses[] = {"completed", "failed"};

static Statement insert_content = {
	.text = "INSERT INTO @extschema@.cm_module_content"
	" (module_name, employee_name, session_id, module_spec, company_id, research_context, priority_level)"
	" VALUES ($1, $2, $3, COALESCE($4, '{}'), $5, COALESCE($6, '{}'), $7) RETURNING content_id",
	.nargs = 7,.argtypes = {TEXTOID, TEXTOID, TEXTOID, JSONBOID, UUIDOID, JSONBOID, TEXTOID}
};

#define UPDATE_SECTION(section) { \
	.force_index_plan = true, \
	.text = "UPDATE @extschema@.cm_module_content SET " section " = $2 WHERE content_id = $1" \
	" RETURNING COALESCE((section_word_counts ->> '" section "')::pg_catalog.int4, 0)", \
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID} \
}

/* in the order of section_names */
static Statement update_section[SECTIONS] = {
	UPDATE_SECTION("introduction"),
	UPDATE_SECTION("core_content"),
	UPDATE_SECTION("practical_applications"),
	UPDATE_SECTION("case_studies"),
	UPDATE_SECTION("assessments"),
};
static Statement update_sections = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.cm_module_content c"
	"   SET introduction = COALESCE($2 ->> 'introduction', c.introduction),"
	"       core_content = COALESCE($2 ->> 'core_content', c.core_content),"
	"       practical_applications = COALESCE($2 ->> 'practical_applications', c.practical_applications),"
	"       case_studies = COALESCE($2 ->> 'case_studies', c.case_studies),"
	"       assessments = COALESCE($2 ->> 'assessments', c.assessments)"
	" WHERE c.content_id = $1 RETURNING c.total_word_count",
	.nargs = 2,.argtypes = {UUIDOID, JSONBOID}
};
static Statement select_content = {
	.force_index_plan = true,
	.text = "SELECT c.* FROM @extschema@.cm_module_content c"
	" WHERE c.content_id = $1 AND " SEEN_BY_CALLER("c.company_id", "$2", "$3"),
	.nargs = 3,.argtypes = {UUIDOID, BOOLOID, UUIDARRAYOID}
};
static Statement select_sections = {
	.force_index_plan = true,
	.text = "SELECT c.introduction, c.core_content, c.practical_applications, c.case_studies, c.assessments"
	"  FROM @extschema@.cm_module_content c"
	" WHERE c.content_id = $1 AND " SEEN_BY_CALLER("c.company_id", "$2", "$3"),
	.nargs = 3,.argtypes = {UUIDOID, BOOLOID, UUIDARRAYOID}
};
static Statement lock_content = {
	.force_index_plan = true,
	.text = "SELECT c.status, " LOCK_COMPANY_KEY_SHARE("c.company_id")
	"  FROM @extschema@.cm_module_content c WHERE c.content_id = $1 FOR NO KEY UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement update_content_status = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.cm_module_content SET status = $2 WHERE content_id = $1",
	.nargs = 2,.argtypes = {UUIDOID, TEXTOID}
};
static Statement insert_assessment = {
	.text = "INSERT INTO @extschema@.cm_quality_assessments"
	" (content_id, overall_score, section_scores, passed, accuracy_score, clarity_score, completeness_score,"
	"  engagement_score, personalization_score, quality_feedback, requires_revision, sections_needing_work,"
	"  critical_issues, assessed_at)"
	" VALUES ($1, $2, COALESCE($3, '{}'), $4, $5, $6, $7, $8, $9, $10, $11, COALESCE($12, '{}'),"
	"         COALESCE($13, '{}'), pg_catalog.clock_timestamp())"
	" RETURNING assessment_id",
	.nargs = 13,.argtypes = {
		UUIDOID, NUMERICOID, JSONBOID, BOOLOID, NUMERICOID, NUMERICOID, NUMERICOID,
		NUMERICOID, NUMERICOID, TEXTOID, BOOLOID, TEXTARRAYOID, TEXTARRAYOID
	}
};
static Statement select_assessment = {
	.force_index_plan = true,
	.text = "SELECT a.* FROM @extschema@.cm_module_content c"
	"  LEFT JOIN LATERAL (SELECT l.* FROM @extschema@.cm_quality_assessments l WHERE l.content_id = c.content_id"
	"                      ORDER BY l.assessed_at DESC, l.assessment_id LIMIT 1) a ON true"
	" WHERE c.content_id = $1 AND " SEEN_BY_CALLER("c.company_id", "$2", "$3"),
	.nargs = 3,.argtypes = {UUIDOID, BOOLOID, UUIDARRAYOID}
};
static Statement select_assessed_content = {
	.force_index_plan = true,
	.text = "SELECT a.content_id FROM @extschema@.cm_quality_assessments a WHERE a.assessment_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/*
 * If the caller does not name the sections to enhance, they are those that the
 * assessment found to need work; the preserved ones default to all others.
 * $6 is the array of all section names.
 */
static Statement insert_enhancement = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.cm_enhancement_sessions"
	" (content_id, quality_assessment_id, enhancement_type, sections_to_enhance, sections_preserved)"
	" SELECT $1, $2, $3, t.sections,"
	"        COALESCE($5, ARRAY(SELECT n.name FROM pg_catalog.unnest($6) n (name) WHERE n.name <> ALL (t.sections)))"
	"   FROM (SELECT COALESCE($4, (SELECT a.sections_needing_work FROM @extschema@.cm_quality_assessments a"
	"                               WHERE a.assessment_id = $2), '{}') AS sections) t"
	" RETURNING session_id",
	.nargs = 6,.argtypes = {UUIDOID, UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
};
static Statement update_enhancement = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.cm_enhancement_sessions s"
	"   SET status = $4, research_conducted = COALESCE($2, s.research_conducted),"
	"       content_regenerated = COALESCE($3, s.content_regenerated)"
	" WHERE s.session_id = $1 RETURNING s.*",
	.nargs = 4,.argtypes = {UUIDOID, BOOLOID, BOOLOID, TEXTOID}
};
static Statement insert_plan = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.cm_course_plans"
	" (employee_id, employee_name, session_id, course_structure, course_title, course_duration_weeks, total_modules,"
	"  prioritized_gaps, research_strategy, learning_path, employee_profile)"
	" SELECT e.id, $2, $3, COALESCE($4, '{}'), $5, $6,"
	"        COALESCE($7, CASE WHEN pg_catalog.jsonb_typeof($4 -> 'modules') = 'array'"
	"                          THEN pg_catalog.jsonb_array_length($4 -> 'modules') END, 0),"
	"        COALESCE($8, '{}'), COALESCE($9, '{}'), COALESCE($10, '{}'), COALESCE($11, '{}')"
	"   FROM @extschema@.employees e WHERE e.id = $1"
	" RETURNING plan_id",
	.nargs = 11,.argtypes = {
		UUIDOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, INT4OID, INT4OID, JSONBOID, JSONBOID, JSONBOID, JSONBOID
	}
};
static Statement insert_research = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.cm_research_results"
	" (plan_id, session_id, research_findings, content_library, module_mappings, search_queries, sources_analyzed,"
	"  total_topics, total_sources, status)"
	" SELECT p.plan_id, COALESCE($2, p.session_id), COALESCE($3, '{}'), COALESCE($4, '{}'), COALESCE($5, '{}'),"
	"        COALESCE($6, '{}'), COALESCE($7, '{}'), COALESCE($8, 0), COALESCE($9, pg_catalog.cardinality($7), 0), $10"
	"   FROM @extschema@.cm_course_plans p WHERE p.plan_id = $1"
	" RETURNING research_id",
	.nargs = 10,.argtypes = {
		UUIDOID, TEXTOID, JSONBOID, JSONBOID, JSONBOID, TEXTARRAYOID, TEXTARRAYOID, INT4OID, INT4OID, TEXTOID
	}
};
static Statement archive_content = {
	.text = "WITH old AS ("
	"  SELECT c.content_id FROM @extschema@.cm_module_content c"
	"   WHERE c.archived_at IS NULL AND c.status IN ('approved', 'failed')"
	"     AND c.updated_at < pg_catalog.now() - $1"
	"     AND NOT EXISTS (SELECT 1 FROM @extschema@.mm_multimedia_sessions s"
	"                      WHERE s.content_id = c.content_id AND s.status IN ('started', 'processing'))"
	"   ORDER BY c.updated_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED"
	") UPDATE @extschema@.cm_module_content c SET archived_at = pg_catalog.now()"
	"    FROM old WHERE c.content_id = old.content_id",
	.nargs = 2,.argtypes = {INTERVALOID, INT4OID}
};

/* $1 company or NULL, $2 and $3 the caller */
static Statement select_statistics = {
	.text = "WITH content AS MATERIALIZED ("
	"  SELECT c.content_id, c.status, c.total_word_count, c.revision_count, c.archived_at"
	"    FROM @extschema@.cm_module_content c"
	"   WHERE ($1 IS NULL OR c.company_id = $1) AND " SEEN_BY_CALLER("c.company_id", "$2", "$3")
	"), session AS MATERIALIZED ("
	"  SELECT s.status, s.processing_duration_seconds FROM @extschema@.mm_multimedia_sessions s"
	"   WHERE ($1 IS NULL OR s.company_id = $1) AND " SEEN_BY_CALLER("s.company_id", "$2", "$3")
	"), asset AS MATERIALIZED ("
	"  SELECT a.asset_type, a.file_size_bytes, a.duration_seconds FROM @extschema@.mm_multimedia_assets a"
	"   WHERE ($1 IS NULL OR a.company_id = $1) AND " SEEN_BY_CALLER("a.company_id", "$2", "$3")
	"), assessment AS MATERIALIZED ("
	"  SELECT a.overall_score, a.passed FROM @extschema@.cm_quality_assessments a JOIN content c ON c.content_id = a.content_id"
	"), viewed AS ("
	"  SELECT v.view_count, v.completed_count, v.watch_seconds FROM @extschema@.mm_video_analytics v"
	"   WHERE ($1 IS NULL OR v.company_id = $1) AND " SEEN_BY_CALLER("v.company_id", "$2", "$3")
	") SELECT pg_catalog.jsonb_build_object("
	"  'content', (SELECT pg_catalog.jsonb_build_object('total', pg_catalog.count(*),"
	"      'archived', pg_catalog.count(*) FILTER (WHERE c.archived_at IS NOT NULL),"
	"      'words', COALESCE(pg_catalog.sum(c.total_word_count), 0),"
	"      'revisions', COALESCE(pg_catalog.sum(c.revision_count), 0)) FROM content c)"
	"    || pg_catalog.jsonb_build_object('by_status', (SELECT COALESCE(pg_catalog.jsonb_object_agg(n.status, n.number), '{}')"
	"      FROM (SELECT c.status, pg_catalog.count(*) AS number FROM content c WHERE c.archived_at IS NULL GROUP BY c.status) n)),"
	"  'assessments', (SELECT pg_catalog.jsonb_build_object('total', pg_catalog.count(*),"
	"      'passed', pg_catalog.count(*) FILTER (WHERE a.passed),"
	"      'average_score', pg_catalog.round(pg_catalog.avg(a.overall_score)::pg_catalog.numeric, 2)) FROM assessment a),"
	"  'sessions', (SELECT pg_catalog.jsonb_build_object('total', pg_catalog.count(*),"
	"      'average_seconds', pg_catalog.round(pg_catalog.avg(s.processing_duration_seconds), 1),"
	"      'p95_seconds', pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY s.processing_duration_seconds)) FROM session s)"
	"    || pg_catalog.jsonb_build_object('by_status', (SELECT COALESCE(pg_catalog.jsonb_object_agg(n.status, n.number), '{}')"
	"      FROM (SELECT s.status, pg_catalog.count(*) AS number FROM session s GROUP BY s.status) n)),"
	"  'assets', (SELECT pg_catalog.jsonb_build_object('total', pg_catalog.count(*),"
	"      'bytes', COALESCE(pg_catalog.sum(a.file_size_bytes), 0),"
	"      'seconds', COALESCE(pg_catalog.sum(a.duration_seconds), 0)) FROM asset a)"
	"    || pg_catalog.jsonb_build_object('by_type', (SELECT COALESCE(pg_catalog.jsonb_object_agg(n.asset_type, n.number), '{}')"
	"      FROM (SELECT a.asset_type, pg_catalog.count(*) AS number FROM asset a GROUP BY a.asset_type) n)),"
	"  'views', (SELECT pg_catalog.jsonb_build_object('total', COALESCE(pg_catalog.sum(v.view_count), 0),"
	"      'completed', COALESCE(pg_catalog.sum(v.completed_count), 0),"
	"      'watch_seconds', COALESCE(pg_catalog.sum(v.watch_seconds), 0)) FROM viewed v))",
	.nargs = 3,.argtypes = {UUIDOID, BOOLOID, UUIDARRAYOID}
};

/* ------------------------------------------------------------------------
 * Words
 * ------------------------------------------------------------------------ */

/* Return the number of words of a text column; 0 if it is NULL. */
static int32
column_word_count(TupleDesc desc, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = row_get(desc, row, column, TEXTOID, &isnull);

	return isnull ? 0 : words_count_text(DatumGetTextPP(value));
}

/*
 * Get the word count of a section that is stored in section_word_counts, so that
 * a section that does not change is not counted again.  Returns false if there is
 * no usable number, as the row may have been written with triggers disabled.
 */
static bool
stored_word_count(TupleDesc desc, HeapTuple row, const char *section, int32 *words)
{
	bool		isnull;
	Datum		counts = row_get(desc, row, "section_word_counts", JSONBOID, &isnull);
	JsonbContainer *object;
	JsonbValue	value;

	if (isnull)
		return false;
	object = &DatumGetJsonbP(counts)->root;
	if (!JsonContainerIsObject(object) ||
		getKeyJsonValueFromContainer(object, section, strlen(section), &value) == NULL ||
		value.type != jbvNumeric)
		return false;
	return compat_numeric_int4(value.val.numeric, words);
}

/* Return true if an UPDATE changes neither a section nor a count. */
static bool
words_unchanged(const RowEdit *edit, HeapTuple old)
{
	for (int i = 0; i < SECTIONS; i++)
	{
		if (row_changed(edit, old, section_names[i], TEXTOID))
			return false;
	}
	return !row_changed(edit, old, "section_word_counts", JSONBOID) &&
		!row_changed(edit, old, "total_word_count", INT4OID);
}

/* Set the word counts of a row; only sections that changed are counted. */
static void
set_word_counts(RowEdit *edit, HeapTuple old)
{
	StringInfoData counts;
	int64		total = 0;

	initStringInfo(&counts);
	for (int i = 0; i < SECTIONS; i++)
	{
		int32		words;

		if (old == NULL || row_changed(edit, old, section_names[i], TEXTOID) ||
			!stored_word_count(edit->desc, old, section_names[i], &words))
			words = column_word_count(edit->desc, edit->row, section_names[i]);
		total += words;
		appendStringInfo(&counts, "%c\"%s\": %d", i == 0 ? '{' : ',', section_names[i], words);
	}
	appendStringInfoChar(&counts, '}');
	row_set(edit, "section_word_counts", JSONBOID, DirectFunctionCall1(jsonb_in, CStringGetDatum(counts.data)));
	row_set(edit, "total_word_count", INT4OID, Int32GetDatum((int32) Min(total, PG_INT32_MAX)));
}

/*
 * count_section_words() returns trigger: BEFORE INSERT OR UPDATE on
 * cm_module_content.  Maintains section_word_counts and total_word_count; what
 * the statement writes into them is ignored.
 */
Datum
count_section_words(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	HeapTuple	old = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigtuple : NULL;

	if (!restoring() && (old == NULL || !words_unchanged(&edit, old)))
		set_word_counts(&edit, old);
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * count_script_words() returns trigger: BEFORE INSERT OR UPDATE on
 * mm_script_generations.  Maintains word_count; what the statement writes into it
 * is ignored.
 */
Datum
count_script_words(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	HeapTuple	old = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigtuple : NULL;

	if (!restoring() && (old == NULL || row_changed(&edit, old, "script_content", TEXTOID) ||
						 row_changed(&edit, old, "word_count", INT4OID)))
		row_set(&edit, "word_count", INT4OID, Int32GetDatum(column_word_count(edit.desc, edit.row, "script_content")));
	return PointerGetDatum(row_edit_apply(&edit));
}

/* ------------------------------------------------------------------------
 * Checks
 * ------------------------------------------------------------------------ */

/* Return the name of a member for a message; it is clipped, as it may be of any length. */
static char *
member_name(const char *name, const JsonbValue *key)
{
	int			length = pg_mbcliplen(key->val.string.val, key->val.string.len, 63);

	return psprintf("\"%.*s\" of %s", length, key->val.string.val, name);
}

/* Return true if a JSON value is a number between 0 and 10. */
static bool
is_score(const JsonbValue *value)
{
	return value->type == jbvNumeric && numeric_is_between(value->val.numeric, 0, MAX_SCORE);
}

/* Return true if a JSON value is a string. */
static bool
is_json_string(const JsonbValue *value)
{
	return value->type == jbvString;
}

/*
 * Raise an error unless a JSON value is an object whose members are named after
 * sections and have valid values.  Returns the number of its members.
 */
static int
check_by_section(Jsonb *object, const char *name, bool (*is_valid) (const JsonbValue *), const char *expected)
{
	JsonbIterator *it;
	JsonbValue	value;
	JsonbIteratorToken token;
	char	   *member = NULL;
	int			n = 0;

	if (!JB_ROOT_IS_OBJECT(object))
		refuse_value(name, "a JSON object");
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			member = member_name(name, &value);
			if (section_number(value.val.string.val, value.val.string.len) < 0)
				refuse_value(member, psprintf("a section: %s", section_list));
			n++;
		}
		else if (token == WJB_VALUE && !is_valid(&value))
			refuse_value(member, expected);
	}
	return n;
}

/*
 * Lock content and return its status.  Raises an error if there is no such
 * content.  Returns UNKNOWN_STATE for a status that is not one of ours, which is
 * possible where the owner of the table has dropped the check constraint.
 */
static int
lock_content_or_refuse(const Caller *caller, const pg_uuid_t *content_id)
{
	Arguments	args = NO_ARGUMENTS;
	char	   *status;

	argument_uuid(&args, content_id);
	if (statement_execute(&lock_content, &args) == 0)
		refuse_unknown(caller, "content", content_id);
	status = result_text(1);
	return status ? flow_state(&content_flow, status) : UNKNOWN_STATE;
}

/* ------------------------------------------------------------------------
 * Content
 * ------------------------------------------------------------------------ */

/*
 * create_module_content(p_module_name text, p_employee_name text,
 * p_session_id text, p_module_spec jsonb, p_company_id uuid,
 * p_research_context jsonb, p_priority_level text) returns uuid
 */
Datum
create_module_content(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t  *content_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	check_text(fcinfo, 0, "p_module_name", 1, MAX_NAME_LENGTH);
	check_text(fcinfo, 1, "p_employee_name", 0, MAX_NAME_LENGTH);
	check_text(fcinfo, 2, "p_session_id", 0, MAX_SESSION_LENGTH);
	check_company(&caller, optional_uuid(fcinfo, 4));
	check_word(fcinfo, 6, "p_priority_level", priority_levels, lengthof(priority_levels));

	statement_execute(&insert_content, &args);
	*content_id = result_uuid(1);
	caller_leave(&caller);

	PG_RETURN_UUID_P(content_id);
}

/*
 * update_module_section(p_content_id uuid, p_section_name text,
 * p_section_content text) returns integer
 */
Datum
update_module_section(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	content_id;
	char	   *section;
	int32		words;

	caller_enter_service(&caller);
	content_id = check_uuid(fcinfo, 0, "p_content_id");
	section = check_word(fcinfo, 1, "p_section_name", section_names, SECTIONS);
	check_not_null(fcinfo, 2, "p_section_content");

	argument_uuid(&args, &content_id);
	argument_pass(&args, fcinfo, 2);
	if (statement_execute(&update_section[section_number(section, strlen(section))], &args) == 0)
		refuse_unknown(&caller, "content", &content_id);
	words = result_int32(1);
	caller_leave(&caller);

	PG_RETURN_INT32(words);
}

/*
 * update_module_sections(p_content_id uuid, p_sections jsonb) returns integer
 */
Datum
update_module_sections(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	content_id;
	int32		words;

	caller_enter_service(&caller);
	content_id = check_uuid(fcinfo, 0, "p_content_id");
	check_not_null(fcinfo, 1, "p_sections");
	if (check_by_section(PG_GETARG_JSONB_P(1), "p_sections", is_json_string, "a JSON string") == 0)
		refuse_value("p_sections", "a JSON object with at least one section");

	if (statement_execute(&update_sections, &args) == 0)
		refuse_unknown(&caller, "content", &content_id);
	words = result_int32(1);
	caller_leave(&caller);

	PG_RETURN_INT32(words);
}

/*
 * Return a result, or raise an error if it is larger than a client can be
 * expected to read.  Each column of a module has a limit of its own, but the text
 * form of jsonb, with its escapes, can be several times as large as what is stored.
 */
static Datum
check_result_size(Datum result)
{
	if (jsonb_shown_size(DatumGetJsonbP(result)) > MAX_RESULT_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("content is too large to be shown at once"),
				 errdetail("It takes more than %d bytes as JSON.", MAX_RESULT_SIZE),
				 errhint("Read the columns one by one from the table.")));
	return result;
}

/* Run a query about content.  Raises an error unless the caller may see the content. */
static void
select_of_content(Caller *caller, const pg_uuid_t *content_id, Statement *statement)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, content_id);
	argument_caller(&args, caller);
	if (statement_execute_read_only(statement, &args) == 0)
		refuse_unknown(caller, "content", content_id);
}

/*
 * get_module_content(p_content_id uuid) returns jsonb
 */
Datum
get_module_content(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	content_id;
	Datum		content;

	caller_enter_user(&caller);
	content_id = check_uuid(fcinfo, 0, "p_content_id");
	select_of_content(&caller, &content_id, &select_content);
	content = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(check_result_size(content));
}

/*
 * get_content_sections(p_content_id uuid) returns jsonb
 */
Datum
get_content_sections(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	content_id;
	Datum		sections;

	caller_enter_user(&caller);
	content_id = check_uuid(fcinfo, 0, "p_content_id");
	select_of_content(&caller, &content_id, &select_sections);
	sections = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(check_result_size(sections));
}

/* ------------------------------------------------------------------------
 * Quality
 * ------------------------------------------------------------------------ */

/* Return true if a score reaches setting quality_pass_score and there are no critical issues. */
static bool
passes_by_score(Numeric score, ArrayType *critical_issues)
{
	Datum		min_score = NumericGetDatum(int64_to_numeric(setting_int32(SETTING_QUALITY_PASS_SCORE)));

	if (critical_issues != NULL && ArrayGetNItems(ARR_NDIM(critical_issues), ARR_DIMS(critical_issues)) > 0)
		return false;
	return DatumGetBool(DirectFunctionCall2(numeric_ge, NumericGetDatum(score), min_score));
}

/* Change the status of locked content; the workflow trigger checks the transition. */
static void
set_content_status(const pg_uuid_t *content_id, ContentStatus status)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, content_id);
	argument_text(&args, content_flow.states[status]);
	statement_execute(&update_content_status, &args);
}

/*
 * Move locked content to approved or revision.  The workflow has no transition
 * from draft or revision to these, so such content passes through quality_check.
 * Raises an error if the content has failed.  From a status that is not one of
 * ours the change is tried, and the workflow trigger raises the error.
 */
static void
apply_assessment(const pg_uuid_t *content_id, int from, ContentStatus target)
{
	if (from == UNKNOWN_STATE)
	{
		set_content_status(content_id, target);
		return;
	}
	switch ((ContentStatus) from)
	{
		case CONTENT_DRAFT:
		case CONTENT_REVISION:
			set_content_status(content_id, CONTENT_QUALITY_CHECK);
			set_content_status(content_id, target);
			break;
		case CONTENT_QUALITY_CHECK:
		case CONTENT_APPROVED:
			if (from != (int) target)
				set_content_status(content_id, target);
			break;
		case CONTENT_FAILED:
			workflow_refuse(&content_flow, from, target);
	}
}

/*
 * store_quality_assessment(p_content_id uuid, p_overall_score numeric,
 * p_section_scores jsonb, p_passed boolean, p_accuracy_score numeric,
 * p_clarity_score numeric, p_completeness_score numeric,
 * p_engagement_score numeric, p_personalization_score numeric,
 * p_quality_feedback text, p_requires_revision boolean,
 * p_sections_needing_work text[], p_critical_issues text[]) returns uuid
 */
Datum
store_quality_assessment(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	content_id;
	pg_uuid_t  *assessment_id = palloc(sizeof(pg_uuid_t));
	Numeric		score;
	int			status;
	bool		passed,
				requires_revision;

	caller_enter_service(&caller);
	content_id = check_uuid(fcinfo, 0, "p_content_id");
	check_not_null(fcinfo, 1, "p_overall_score");
	score = check_numeric(fcinfo, 1, "p_overall_score", 0, MAX_SCORE);
	if (!PG_ARGISNULL(2))
		check_by_section(PG_GETARG_JSONB_P(2), "p_section_scores", is_score, "a number between 0 and 10");
	check_numeric(fcinfo, 4, "p_accuracy_score", 0, MAX_SCORE);
	check_numeric(fcinfo, 5, "p_clarity_score", 0, MAX_SCORE);
	check_numeric(fcinfo, 6, "p_completeness_score", 0, MAX_SCORE);
	check_numeric(fcinfo, 7, "p_engagement_score", 0, MAX_SCORE);
	check_numeric(fcinfo, 8, "p_personalization_score", 0, MAX_SCORE);
	check_sections(optional_array(fcinfo, 11), "p_sections_needing_work");
	passed = PG_ARGISNULL(3) ? passes_by_score(score, optional_array(fcinfo, 12)) : PG_GETARG_BOOL(3);
	requires_revision = PG_ARGISNULL(10) ? !passed : PG_GETARG_BOOL(10);

	status = lock_content_or_refuse(&caller, &content_id);
	args.values[3] = BoolGetDatum(passed);
	args.values[10] = BoolGetDatum(requires_revision);
	args.nulls[3] = args.nulls[10] = ' ';
	statement_execute(&insert_assessment, &args);
	*assessment_id = result_uuid(1);
	apply_assessment(&content_id, status, passed && !requires_revision ? CONTENT_APPROVED : CONTENT_REVISION);
	caller_leave(&caller);

	PG_RETURN_UUID_P(assessment_id);
}

/*
 * get_latest_quality_assessment(p_content_id uuid) returns jsonb
 */
Datum
get_latest_quality_assessment(PG_FUNCTION_ARGS)
{
	Caller		caller;
	pg_uuid_t	content_id;
	Datum		assessment = (Datum) 0;

	caller_enter_user(&caller);
	content_id = check_uuid(fcinfo, 0, "p_content_id");
	select_of_content(&caller, &content_id, &select_assessment);
	if (!result_isnull(1))
		assessment = result_row();
	caller_leave(&caller);

	if (assessment == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(assessment);
}

/* Raise an error if an assessment is not one of this content; NULL is accepted. */
static void
check_assessment_of(const Caller *caller, const pg_uuid_t *assessment_id, const pg_uuid_t *content_id)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t	assessed;

	if (assessment_id == NULL)
		return;
	argument_uuid(&args, assessment_id);
	if (statement_execute(&select_assessed_content, &args) == 0)
		refuse_unknown(caller, "quality assessment", assessment_id);
	assessed = result_uuid(1);
	if (!uuid_equal(&assessed, content_id))
		refuse_conflict("assessment is of other content",
						psprintf("It is of content %s.", uuid_text(&assessed)));
}

/* Return the names of all sections as an array. */
static Datum
all_sections(void)
{
	Datum		names[SECTIONS];

	for (int i = 0; i < SECTIONS; i++)
		names[i] = CStringGetTextDatum(section_names[i]);
	return PointerGetDatum(construct_array(names, SECTIONS, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * start_enhancement_session(p_content_id uuid, p_quality_assessment_id uuid,
 * p_enhancement_type text, p_sections_to_enhance text[],
 * p_sections_preserved text[]) returns uuid
 */
Datum
start_enhancement_session(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	content_id;
	const pg_uuid_t *assessment_id;
	pg_uuid_t  *session_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	content_id = check_uuid(fcinfo, 0, "p_content_id");
	assessment_id = optional_uuid(fcinfo, 1);
	check_text(fcinfo, 2, "p_enhancement_type", 1, MAX_NAME_LENGTH);
	check_sections(optional_array(fcinfo, 3), "p_sections_to_enhance");
	check_sections(optional_array(fcinfo, 4), "p_sections_preserved");

	if (!companies_lock_content_key_share(&content_id))
		refuse_unknown(&caller, "content", &content_id);
	check_assessment_of(&caller, assessment_id, &content_id);
	argument_add(&args, all_sections(), false);
	statement_execute(&insert_enhancement, &args);
	*session_id = result_uuid(1);
	caller_leave(&caller);

	PG_RETURN_UUID_P(session_id);
}

/*
 * complete_enhancement_session(p_session_id uuid, p_research_conducted boolean,
 * p_content_regenerated boolean, p_status text) returns jsonb
 */
Datum
complete_enhancement_session(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	session_id;
	Datum		result;

	caller_enter_service(&caller);
	session_id = check_uuid(fcinfo, 0, "p_session_id");
	check_word(fcinfo, 3, "p_status", enhancement_final_statuses, lengthof(enhancement_final_statuses));

	if (statement_execute(&update_enhancement, &args) == 0)
		refuse_unknown(&caller, "enhancement session", &session_id);
	result = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Plans and research
 * ------------------------------------------------------------------------ */

/*
 * create_course_plan(p_employee_id uuid, p_employee_name text,
 * p_session_id text, p_course_structure jsonb, p_course_title text,
 * p_course_duration_weeks integer, p_total_modules integer,
 * p_prioritized_gaps jsonb, p_research_strategy jsonb, p_learning_path jsonb,
 * p_employee_profile jsonb) returns uuid
 */
Datum
create_course_plan(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	employee_id;
	pg_uuid_t  *plan_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	employee_id = check_uuid(fcinfo, 0, "p_employee_id");
	check_text(fcinfo, 1, "p_employee_name", 0, MAX_NAME_LENGTH);
	check_text(fcinfo, 2, "p_session_id", 0, MAX_SESSION_LENGTH);
	check_text(fcinfo, 4, "p_course_title", 0, MAX_NAME_LENGTH);
	check_optional_int32(fcinfo, 5, "p_course_duration_weeks", 0, PG_INT32_MAX);
	check_optional_int32(fcinfo, 6, "p_total_modules", 0, PG_INT32_MAX);

	if (statement_execute(&insert_plan, &args) == 0)
		refuse_unknown(&caller, "employee", &employee_id);
	*plan_id = result_uuid(1);
	caller_leave(&caller);

	PG_RETURN_UUID_P(plan_id);
}

/*
 * store_research_results(p_plan_id uuid, p_session_id text,
 * p_research_findings jsonb, p_content_library jsonb, p_module_mappings jsonb,
 * p_search_queries text[], p_sources_analyzed text[], p_total_topics integer,
 * p_total_sources integer, p_status text) returns uuid
 */
Datum
store_research_results(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	plan_id;
	pg_uuid_t  *research_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	plan_id = check_uuid(fcinfo, 0, "p_plan_id");
	check_text(fcinfo, 1, "p_session_id", 0, MAX_SESSION_LENGTH);
	check_optional_int32(fcinfo, 7, "p_total_topics", 0, PG_INT32_MAX);
	check_optional_int32(fcinfo, 8, "p_total_sources", 0, PG_INT32_MAX);
	check_word(fcinfo, 9, "p_status", research_status_names, RESEARCH_STATUSES);

	if (statement_execute(&insert_research, &args) == 0)
		refuse_unknown(&caller, "course plan", &plan_id);
	*research_id = result_uuid(1);
	caller_leave(&caller);

	PG_RETURN_UUID_P(research_id);
}

/* ------------------------------------------------------------------------
 * Archiving, statistics
 * ------------------------------------------------------------------------ */

/*
 * archive_module_content(p_older_than interval, p_limit integer) returns
 * integer
 */
Datum
archive_module_content(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	Interval   *age;
	uint64		archived;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 0, "p_older_than");
	age = PG_GETARG_INTERVAL_P(0);
	if (age->month < 0 || age->day < 0 || age->time < 0 ||
		age->month > MAX_AGE_YEARS * 12 || age->day > MAX_AGE_YEARS * 366 || age->time > MAX_AGE_YEARS * 366 * USECS_PER_DAY)
		refuse_value("p_older_than", "between 0 and 1000 years");
	argument_add(&args, IntervalPGetDatum(age), false);
	argument_int32(&args, check_int32(fcinfo, 1, "p_limit", 1, MAX_CLEANUP));
	archived = statement_execute(&archive_content, &args);
	caller_leave(&caller);

	PG_RETURN_INT32((int32) archived);
}

/*
 * get_content_statistics(p_company_id uuid) returns jsonb
 */
Datum
get_content_statistics(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	const pg_uuid_t *company_id;
	Datum		result;

	caller_enter_user(&caller);
	company_id = optional_uuid(fcinfo, 0);
	check_company(&caller, company_id);
	argument_uuid(&args, company_id);
	argument_caller(&args, &caller);
	statement_execute_read_only(&select_statistics, &args);
	result = result_jsonb(1);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}
