/*
 * value_limits.c
 *	  How large values may be: the list of limits, and the trigger that enforces
 *	  them for every way to write a table.
 *
 * What a user can write must be small enough for every function that returns
 * the row.  A text of 268,435,456 bytes fits into a row and not into jsonb, and
 * a number of nine bytes is printed with 131,072 digits.
 *
 * Pitfall: rows may exceed the limits, if they are older than these or were
 * loaded with triggers disabled.  They stay usable: only a value that changes is
 * checked, and one that does not is never fetched from the TOAST table.
 *
 * The trigger fires first of its table, before others read a value.  What the
 * others write is limited by what they compute it from.
 *
 * Locks: none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "caller.h"
#include "checks.h"
#include "jsonb_measure.h"
#include "value_limits.h"
#include "restore.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(limit_values);
PG_FUNCTION_INFO_V1(value_limits);

#define KIB 1024
#define MIB (1024 * KIB)

/* a word, or what is indexed: a btree key is limited to 2,704 bytes */
#define KEY KIB
/* a name, an address, a line */
#define SHORT (8 * KIB)
/* the location of a file, up to 4,096 characters; of a recording, up to 8,192 */
#define PATH (16 * KIB)
#define URL (32 * KIB)
/* a prompt, a report */
#define LONG MAX_REPORT_BYTES
/* what functions accept with 1,000,000 characters, and from users with 500,000 */
#define MILLION 4000000
#define PROMPT 2000000
/* a transcript, a section; the result of a worker */
#define TEXT MIB
/* choices, settings; a list */
#define JSON (256 * KIB)
#define LIST (256 * KIB)
#define RESULT MIB

#define MAX_ELEMENTS 10000

typedef struct ColumnLimit
{
	const char *table;
	const char *column;
	int32		bytes;
} ColumnLimit;

/* Every installed column whose values can be long, table by table. */
static const ColumnLimit limits[] = {
	{"profiles", "display_name", SHORT},
	{"profiles", "avatar_url", SHORT},
	{"profiles", "notification_prefs", JSON},
	{"profiles", "stripe_customer_id", KEY},

	{"draft_prompts", "session_token", KEY},
	{"draft_prompts", "prompt_text", 80 * KIB},
	{"draft_prompts", "template_id", KEY},
	{"draft_prompts", "options", JSON},

	{"projects", "title", SHORT},
	{"projects", "prompt_text", LONG},
	{"projects", "niche_preset", KEY},
	{"projects", "transcript_mode", KEY},
	{"projects", "transcript_text", TEXT},
	{"projects", "settings", JSON},

	{"jobs", "status_message", SHORT},
	{"jobs", "failed_step", SHORT},
	{"jobs", "error_code", SHORT},
	{"jobs", "error_message", LONG},
	{"jobs", "output_url", SHORT},
	{"jobs", "manifest_json", RESULT},
	{"jobs", "idempotency_key", KEY},

	{"job_steps", "step_name", KEY},
	{"job_steps", "status_message", SHORT},
	{"job_steps", "error_message", LONG},
	{"job_steps", "logs_url", SHORT},
	{"job_steps", "artifacts_json", RESULT},

	{"assets", "type", KEY},
	{"assets", "url", SHORT},
	{"assets", "storage_path", SHORT},
	{"assets", "mime_type", SHORT},
	{"assets", "metadata_json", JSON},

	{"logs", "level", KEY},
	{"logs", "step_name", SHORT},
	{"logs", "message", LONG},
	{"logs", "metadata_json", JSON},

	{"credit_ledger", "type", KEY},
	{"credit_ledger", "note", SHORT},
	{"credit_ledger", "stripe_payment_id", KEY},
	{"credit_ledger", "idempotency_key", KEY},
	{"credit_ledger", "reference", KEY},
	{"credit_ledger", "metadata", 8 * KIB},

	{"studio_jobs", "status", KEY},
	{"studio_jobs", "raw_audio_url", URL},
	{"studio_jobs", "raw_transcript", TEXT},
	{"studio_jobs", "refined_text", TEXT},
	{"studio_jobs", "system_prompt_used", PROMPT},
	{"studio_jobs", "error_details", JSON},
	{"studio_jobs", "enrichment_entities", RESULT},
	{"studio_jobs", "model_version", SHORT},
	{"studio_jobs", "idempotency_key", KEY},

	{"pipeline.jobs", "run_id", KEY},
	{"pipeline.jobs", "project_spec", RESULT},
	{"pipeline.jobs", "status", KEY},
	{"pipeline.jobs", "error_message", LONG},

	{"pipeline.job_events", "run_id", KEY},
	{"pipeline.job_events", "bot_name", SHORT},
	{"pipeline.job_events", "event_type", SHORT},
	{"pipeline.job_events", "payload", RESULT},

	{"pipeline.artifacts", "run_id", KEY},
	{"pipeline.artifacts", "kind", KEY / 2},
	{"pipeline.artifacts", "url", MILLION},
	{"pipeline.artifacts", "meta", RESULT},
	{"pipeline.artifacts", "content_type", SHORT},
	{"pipeline.artifacts", "checksum", KEY},

	{"pipeline.prompts", "id", KEY},
	{"pipeline.prompts", "category", KEY},
	{"pipeline.prompts", "context", MILLION},
	{"pipeline.prompts", "prompt_text", MILLION},

	{"companies", "name", SHORT},

	{"employees", "name", SHORT},
	{"employees", "email", SHORT},

	{"cm_module_content", "module_name", SHORT},
	{"cm_module_content", "employee_name", SHORT},
	{"cm_module_content", "session_id", 2 * KEY},
	{"cm_module_content", "introduction", TEXT},
	{"cm_module_content", "core_content", TEXT},
	{"cm_module_content", "practical_applications", TEXT},
	{"cm_module_content", "case_studies", TEXT},
	{"cm_module_content", "assessments", TEXT},
	{"cm_module_content", "module_spec", RESULT},
	{"cm_module_content", "research_context", RESULT},
	{"cm_module_content", "section_word_counts", JSON},
	{"cm_module_content", "status", KEY},
	{"cm_module_content", "priority_level", KEY},

	{"cm_course_plans", "employee_name", SHORT},
	{"cm_course_plans", "session_id", 2 * KEY},
	{"cm_course_plans", "course_structure", RESULT},
	{"cm_course_plans", "prioritized_gaps", RESULT},
	{"cm_course_plans", "research_strategy", RESULT},
	{"cm_course_plans", "learning_path", RESULT},
	{"cm_course_plans", "employee_profile", RESULT},
	{"cm_course_plans", "course_title", SHORT},
	{"cm_course_plans", "status", KEY},

	{"cm_research_results", "session_id", 2 * KEY},
	{"cm_research_results", "research_findings", RESULT},
	{"cm_research_results", "content_library", RESULT},
	{"cm_research_results", "module_mappings", RESULT},
	{"cm_research_results", "search_queries", LIST},
	{"cm_research_results", "sources_analyzed", LIST},
	{"cm_research_results", "status", KEY},

	{"cm_quality_assessments", "section_scores", JSON},
	{"cm_quality_assessments", "quality_feedback", LONG},
	{"cm_quality_assessments", "sections_needing_work", LIST},
	{"cm_quality_assessments", "critical_issues", LIST},

	{"cm_enhancement_sessions", "enhancement_type", SHORT},
	{"cm_enhancement_sessions", "sections_to_enhance", LIST},
	{"cm_enhancement_sessions", "sections_preserved", LIST},
	{"cm_enhancement_sessions", "status", KEY},

	{"mm_multimedia_sessions", "session_type", SHORT},
	{"mm_multimedia_sessions", "module_name", SHORT},
	{"mm_multimedia_sessions", "employee_name", SHORT},
	{"mm_multimedia_sessions", "generation_config", JSON},
	{"mm_multimedia_sessions", "content_sections", LIST},
	{"mm_multimedia_sessions", "status", KEY},
	{"mm_multimedia_sessions", "current_stage", SHORT},
	{"mm_multimedia_sessions", "error_message", LONG},

	{"mm_multimedia_assets", "asset_type", KEY},
	{"mm_multimedia_assets", "asset_name", PATH},
	{"mm_multimedia_assets", "file_path", PATH},
	{"mm_multimedia_assets", "mime_type", SHORT},
	{"mm_multimedia_assets", "section_name", SHORT},
	{"mm_multimedia_assets", "generation_config", JSON},
	{"mm_multimedia_assets", "status", KEY},
	{"mm_multimedia_assets", "storage_bucket", SHORT},
	{"mm_multimedia_assets", "storage_path", PATH},
	{"mm_multimedia_assets", "public_url", PATH},

	{"mm_audio_narrations", "narration_name", SHORT},
	{"mm_audio_narrations", "narration_type", SHORT},
	{"mm_audio_narrations", "section_name", SHORT},
	{"mm_audio_narrations", "audio_segments", RESULT},
	{"mm_audio_narrations", "voice_config", JSON},
	{"mm_audio_narrations", "script_content", TEXT},
	{"mm_audio_narrations", "segments_audio_ids", LIST},
	{"mm_audio_narrations", "status", KEY},

	{"mm_slide_presentations", "presentation_name", SHORT},
	{"mm_slide_presentations", "presentation_type", SHORT},
	{"mm_slide_presentations", "slide_order", RESULT},
	{"mm_slide_presentations", "template_used", SHORT},
	{"mm_slide_presentations", "theme_config", JSON},
	{"mm_slide_presentations", "status", KEY},

	{"mm_script_generations", "section_name", SHORT},
	{"mm_script_generations", "script_type", SHORT},
	{"mm_script_generations", "script_content", TEXT},
	{"mm_script_generations", "generation_config", JSON},
	{"mm_script_generations", "status", KEY},
	{"mm_script_generations", "error_message", LONG},

	{"mm_rendering_queue", "render_config", JSON},
	{"mm_rendering_queue", "status", KEY},
	{"mm_rendering_queue", "error_code", SHORT},
	{"mm_rendering_queue", "error_message", LONG},
	{"mm_rendering_queue", "idempotency_key", KEY},

	{"settings", "name", KEY},
	{"settings", "value", LONG},
	{"settings", "description", SHORT},
};

/* for a column that the owner added, of any type */
#define OTHER MIB

static Statement select_columns = {
	.text = "SELECT g.name, a.attname::pg_catalog.text, a.atttypid"
	"  FROM pg_catalog.pg_trigger t"
	"  JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid AND p.proname = 'limit_values'"
	"  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'studio_engine'"
	"  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum > 0 AND a.attlen = -1 AND NOT a.attisdropped,"
	/* the argument ends with a zero byte, which encode() shows as \000 */
	"  LATERAL (SELECT pg_catalog.left(pg_catalog.encode(t.tgargs, 'escape'), -4) AS name) g"
	" ORDER BY g.name, a.attnum",
};

/* ------------------------------------------------------------------------
 * Checking
 * ------------------------------------------------------------------------ */

typedef enum ValueKind
{
	KIND_BYTES,
	KIND_JSON,
	KIND_NUMBER,
	KIND_ARRAY
} ValueKind;

/* by what a value exceeds a limit */
typedef struct Excess
{
	const char *of;				/* the unit; NULL: it does not */
	int64		has;
	int64		allowed;
} Excess;

/* Return how values of a type are checked; a domain is checked as its base type. */
static ValueKind
kind_of(Oid type)
{
	switch (type)
	{
		case TEXTOID:
			return KIND_BYTES;
		case JSONBOID:
			return KIND_JSON;
		case NUMERICOID:
			return KIND_NUMBER;
	}
	if (OidIsValid(get_element_type(type)))
		return KIND_ARRAY;
	return getBaseType(type) == type ? KIND_BYTES : kind_of(getBaseType(type));
}

/* Return the limit of a column, in bytes. */
static int32
limit_of(const char *table, const char *column)
{
	for (int i = 0; i < (int) lengthof(limits); i++)
	{
		if (strcmp(limits[i].column, column) == 0 && strcmp(limits[i].table, table) == 0)
			return limits[i].bytes;
	}
	return OTHER;
}

/* Compare a number with a limit. */
static Excess
exceed(const char *of, int64 has, int64 allowed)
{
	return (Excess)
	{
		.of = has > allowed ? of : NULL,.has = has,.allowed = allowed
	};
}

static Excess
excess_of_json(Datum value, int32 max_bytes)
{
	Jsonb	   *json = DatumGetJsonbP(value);
	JsonbMeasure measure = jsonb_measure(json, max_bytes, MAX_JSONB_DEPTH, MAX_JSONB_DIGITS);

	if ((Pointer) json != DatumGetPointer(value))
		pfree(json);
	if (measure.depth > MAX_JSONB_DEPTH)
		return exceed("levels of nesting", measure.depth, MAX_JSONB_DEPTH);
	if (measure.digits > MAX_JSONB_DIGITS)
		return exceed("digits in a number", measure.digits, MAX_JSONB_DIGITS);
	return exceed("bytes of text", measure.bytes, max_bytes);
}

/*
 * Return true if jsonb may be stored in a column with a limit of max_bytes.
 */
bool
limits_allow_json(Datum json, int32 max_bytes)
{
	return value_size(json) <= max_bytes && excess_of_json(json, max_bytes).of == NULL;
}

static Excess
excess_of_array(Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int			elements = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
	return exceed("elements", elements, MAX_ELEMENTS);
}

/* Return by what a value exceeds the limits of its column. */
static Excess
excess_of(const char *table, Form_pg_attribute att, Datum value)
{
	int32		max_bytes = limit_of(table, NameStr(att->attname));
	Excess		excess = exceed("bytes", value_size(value), max_bytes);

	if (excess.of != NULL)
		return excess;
	switch (kind_of(att->atttypid))
	{
		case KIND_BYTES:
			break;
		case KIND_JSON:
			return excess_of_json(value, max_bytes);
		case KIND_NUMBER:
			return exceed("digits", number_digits(DatumGetNumeric(value)), MAX_JSONB_DIGITS);
		case KIND_ARRAY:
			return excess_of_array(value);
	}
	return excess;
}

pg_noreturn static void
refuse_excess(Relation rel, Form_pg_attribute att, const Excess *excess)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("value is too large"),
			 errdetail("Column %s of table %s.%s: " INT64_FORMAT " %s, where " INT64_FORMAT " are allowed.",
					   NameStr(att->attname), get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel),
					   excess->has, excess->of, excess->allowed),
			 errhint("Keep what is larger in object storage, and its address here."),
			 errtablecol(rel, att->attnum)));
}

/* Return true if two values, of which one may be toasted, have the same content. */
static bool
same_content(Datum a, Datum b)
{
	struct varlena *was,
			   *is;

	if (value_size(a) != value_size(b))
		return false;
	was = PG_DETOAST_DATUM_PACKED(a);
	is = PG_DETOAST_DATUM_PACKED(b);
	return VARSIZE_ANY_EXHDR(was) == VARSIZE_ANY_EXHDR(is) &&
		memcmp(VARDATA_ANY(was), VARDATA_ANY(is), VARSIZE_ANY_EXHDR(is)) == 0;
}

/* Raise an error if a value is too large, unless the old row has the same value. */
static void
check_value(const char *table, Relation rel, int number, Datum value, const Datum *old)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), number - 1);
	Excess		excess;

	if (old != NULL && datumIsEqual(*old, value, false, -1))
		return;
	/* most values are within the smallest limit: no look-up for these */
	if (value_size(value) <= KEY / 2 &&
		(att->atttypid == TEXTOID || (att->atttypid == JSONBOID && jsonb_is_flat(DatumGetJsonbP(value)))))
		return;
	excess = excess_of(table, att, value);
	if (excess.of != NULL && (old == NULL || !same_content(*old, value)))
		refuse_excess(rel, att, &excess);
}

static bool
is_limited(Form_pg_attribute att)
{
	return att->attlen == -1 && !att->attisdropped;
}

/* Check the values of a row that are not those of the old one, which is NULL for an INSERT. */
static void
check_row(const char *table, Relation rel, HeapTuple old, HeapTuple new)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *values = palloc(2 * desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(2 * desc->natts * sizeof(bool));
	Datum	   *old_values = values + desc->natts;
	bool	   *old_nulls = nulls + desc->natts;

	heap_deform_tuple(new, desc, values, nulls);
	if (old != NULL)
		heap_deform_tuple(old, desc, old_values, old_nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		bool		had = old != NULL && !old_nulls[i];

		if (is_limited(TupleDescAttr(desc, i)) && !nulls[i])
			check_value(table, rel, i + 1, values[i], had ? &old_values[i] : NULL);
	}
	pfree(values);
	pfree(nulls);
}

/* Check the values of a row that the fast path inserts. */
static void
check_values(const RowChange *change)
{
	TupleDesc	desc = RelationGetDescr(change->rel);

	for (int i = 0; i < change->table->ncolumns; i++)
	{
		if (is_limited(TupleDescAttr(desc, i)) && !change->nulls[i])
			check_value(change->table->name, change->rel, i + 1, change->values[i], NULL);
	}
}

/* Check the values that the fast path sets in an update. */
static void
check_edit(const char *table, Relation rel, const RowEdit *edit)
{
	for (int i = 0; i < edit->n; i++)
	{
		Datum		old;
		bool		isnull;

		if (edit->nulls[i] || !is_limited(TupleDescAttr(edit->desc, edit->columns[i] - 1)))
			continue;
		old = heap_getattr(edit->row, edit->columns[i], edit->desc, &isnull);
		check_value(table, rel, edit->columns[i], edit->values[i], isnull ? NULL : &old);
	}
}

/*
 * The callback that replaces limit_values() on the fast path.
 */
void
limits_check_change(RowChange *change, const void *arg)
{
	if (change->edit != NULL)
		check_edit(change->table->name, change->rel, change->edit);
	else
		check_values(change);
}

/*
 * limit_values(table) returns trigger: BEFORE INSERT OR UPDATE.
 */
Datum
limit_values(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 1);
	HeapTuple	old = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigtuple : NULL;

	if (!restoring())
		check_row(data->tg_trigger->tgargs[0], data->tg_relation, old, trigger_new_row(data));
	return PointerGetDatum(trigger_new_row(data));
}

/* ------------------------------------------------------------------------
 * value_limits()
 * ------------------------------------------------------------------------ */

/* Add one row to the result of value_limits(). */
static void
put_limit(HeapTuple row, TupleDesc desc, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	char	   *table = SPI_getvalue(row, desc, 1);
	char	   *column = SPI_getvalue(row, desc, 2);
	bool		isnull;
	ValueKind	kind = kind_of(DatumGetObjectId(SPI_getbinval(row, desc, 3, &isnull)));
	Datum		values[] = {
		CStringGetTextDatum(table), CStringGetTextDatum(column),
		Int32GetDatum(limit_of(table, column)), Int32GetDatum(MAX_JSONB_DEPTH),
		Int32GetDatum(MAX_JSONB_DIGITS), Int32GetDatum(MAX_ELEMENTS)
	};
	bool		nulls[] = {
		false, false, kind == KIND_NUMBER, kind != KIND_JSON,
		kind != KIND_JSON && kind != KIND_NUMBER, kind != KIND_ARRAY
	};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * value_limits() returns setof (table_name, column_name, max_bytes, max_depth,
 * max_digits, max_elements)
 */
Datum
value_limits(PG_FUNCTION_ARGS)
{
	Caller		caller;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_service(&caller);
	statement_execute_read_only_each(&select_columns, &NO_ARGUMENTS, put_limit, fcinfo->resultinfo);
	caller_leave(&caller);
	return (Datum) 0;
}
