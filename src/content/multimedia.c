/*
 * multimedia.c
 *	  Sessions that make multimedia from content, and the files that they make.
 *
 * The counters of a session are maintained by statement triggers on its files,
 * which update each session once for each statement, so that a bulk load does not
 * update it for each file.  They add and subtract, and never count all files
 * again: a count would miss the files of transactions that have not committed.
 *
 * Pitfall: a file name comes from the caller and becomes part of a path in the
 * object store.  Only letters, digits, dot, dash and underscore survive, and no
 * part of a path begins with a dot.
 *
 * Lock order: company, content, sessions in the order of their ids, then their
 * files.  The triggers lock sessions FOR NO KEY UPDATE, which does not conflict
 * with the locks of foreign keys.  The functions here lock company and content FOR
 * KEY SHARE first, since a deletion or a reassignment of these takes its locks in
 * the same order.  Plain statements that begin with a session or a file may
 * deadlock with such a transaction; the server resolves that.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "caller.h"
#include "checks.h"
#include "companies.h"
#include "errors.h"
#include "multimedia.h"
#include "restore.h"
#include "sections.h"
#include "statements.h"
#include "statuses.h"
#include "storage.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(protect_session_counters);
PG_FUNCTION_INFO_V1(count_assets);
PG_FUNCTION_INFO_V1(create_multimedia_session);
PG_FUNCTION_INFO_V1(update_session_status);
PG_FUNCTION_INFO_V1(register_multimedia_asset);
PG_FUNCTION_INFO_V1(register_multimedia_assets);
PG_FUNCTION_INFO_V1(get_session_statistics);

#define MAX_ASSETS_PER_CALL 10000
#define COUNTERS 4

static const char *const asset_types[] = {"video", "audio", "slide", "script", "thumbnail", "image", "document"};

static const char *const counter_columns[COUNTERS] = {
	"total_assets_generated", "slides_generated", "audio_files_generated", "video_files_generated"
};

static Statement insert_session = {
	.force_index_plan = true,
	.text = "INSERT INTO @extschema@.mm_multimedia_sessions"
	" (content_id, module_name, employee_name, session_type, generation_config, content_sections)"
	" SELECT c.content_id, COALESCE($2, c.module_name), COALESCE($3, c.employee_name), $4, COALESCE($5, '{}'), COALESCE($6, '{}')"
	"   FROM @extschema@.cm_module_content c WHERE c.content_id = $1"
	" RETURNING session_id",
	.nargs = 6,.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTARRAYOID}
};
static Statement update_session = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_multimedia_sessions s"
	"   SET status = $2, progress_percentage = COALESCE($3, s.progress_percentage),"
	"       current_stage = COALESCE($4, s.current_stage), error_message = COALESCE($5, s.error_message)"
	" WHERE s.session_id = $1 RETURNING s.*",
	.nargs = 5,.argtypes = {UUIDOID, TEXTOID, NUMERICOID, TEXTOID, TEXTOID}
};
static Statement lock_session = {
	.force_index_plan = true,
	.text = "SELECT s.content_id, " LOCK_COMPANY_KEY_SHARE("s.company_id") ", " LOCK_CONTENT_KEY_SHARE("s.content_id")
	"  FROM @extschema@.mm_multimedia_sessions s WHERE s.session_id = $1 FOR NO KEY UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};

/* SQL: a name that is safe as a part of a path; a long one keeps its end, the file extension */
#define SAFE_NAME(name) \
	"pg_catalog.regexp_replace(pg_catalog.right(pg_catalog.regexp_replace(" name \
	", '[^A-Za-z0-9._-]+', '_', 'g'), 100), '^[.]+', '_')"

/* SQL: the last part of a path, of Unix or of Windows */
#define FILE_NAME(path) "COALESCE(NULLIF(pg_catalog.regexp_replace(" path ", E'^.*[/\\\\\\\\]', ''), ''), 'file')"

#define STORAGE_PATH(type, section, name, time) \
	type " || '/' || " SAFE_NAME("COALESCE(" section ", 'complete_module')") \
	" || '/' || pg_catalog.to_char((" time ") AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISSUS')" \
	" || '_' || " SAFE_NAME(FILE_NAME(name))

static Statement insert_asset = {
	.text = "INSERT INTO @extschema@.mm_multimedia_assets"
	" (session_id, content_id, asset_type, file_path, asset_name, section_name, duration_seconds, file_size_bytes,"
	"  mime_type, generation_config, storage_bucket, storage_path, public_url)"
	" VALUES ($1, $2, $3, $4, COALESCE($5, " FILE_NAME("$4") "), $6, $7, $8, $9, COALESCE($10, '{}'), COALESCE($11, 'multimedia-assets'),"
	"   COALESCE($12, " STORAGE_PATH("$3", "$6", "COALESCE($5, $4)", "pg_catalog.clock_timestamp()") "), $13)"
	" RETURNING asset_id",
	.nargs = 13,.argtypes = {
		UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID, INT8OID,
		TEXTOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID
	}
};

/* the time of each file is a microsecond later than the one before, so that paths of equal names differ */
static Statement insert_assets = {
	.text = "WITH given AS MATERIALIZED ("
	"  SELECT pg_catalog.gen_random_uuid() AS asset_id, e.number, e.asset"
	"    FROM pg_catalog.jsonb_array_elements($2) WITH ORDINALITY e (asset, number)"
	"), made AS ("
	"  INSERT INTO @extschema@.mm_multimedia_assets"
	"   (asset_id, session_id, asset_type, file_path, asset_name, section_name, duration_seconds, file_size_bytes,"
	"    mime_type, generation_config, storage_bucket, storage_path, public_url)"
	"  SELECT g.asset_id, $1, g.asset ->> 'asset_type', g.asset ->> 'file_path',"
	"         COALESCE(g.asset ->> 'asset_name', " FILE_NAME("g.asset ->> 'file_path'") "), g.asset ->> 'section_name',"
	"         (g.asset ->> 'duration_seconds')::pg_catalog.numeric, (g.asset ->> 'file_size_bytes')::pg_catalog.numeric::pg_catalog.int8,"
	"         g.asset ->> 'mime_type', COALESCE(NULLIF(g.asset -> 'generation_config', 'null'), '{}'),"
	"         COALESCE(g.asset ->> 'storage_bucket', 'multimedia-assets'),"
	"         COALESCE(g.asset ->> 'storage_path', " STORAGE_PATH("(g.asset ->> 'asset_type')", "(g.asset ->> 'section_name')",
																  "COALESCE(g.asset ->> 'asset_name', g.asset ->> 'file_path')",
																  "pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => g.number / 1000000.0)") "),"
	"         g.asset ->> 'public_url'"
	"    FROM given g ORDER BY g.number"
	") SELECT pg_catalog.jsonb_agg(g.asset_id ORDER BY g.number) FROM given g",
	.nargs = 2,.argtypes = {UUIDOID, JSONBOID}
};

/*
 * The sessions are locked by one statement and updated by the next, which has a
 * new snapshot.  A single statement would start from the row version of its own
 * snapshot, on which other transactions may already wait for the lock that this
 * transaction holds on the newest version: a deadlock.
 */
static Statement lock_sessions = {
	.text = "SELECT 1 FROM @extschema@.mm_multimedia_sessions s"
	" WHERE s.session_id = ANY ($1) ORDER BY s.session_id FOR NO KEY UPDATE",
	.nargs = 1,.argtypes = {UUIDARRAYOID}
};

/* $1 array of sessions; $2 to $5 arrays of what to add to each of their counters */
static Statement add_to_counters = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.mm_multimedia_sessions s"
	"   SET total_assets_generated = s.total_assets_generated + c.total,"
	"       slides_generated = s.slides_generated + c.slides,"
	"       audio_files_generated = s.audio_files_generated + c.audio,"
	"       video_files_generated = s.video_files_generated + c.video"
	"  FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
	"                  pg_catalog.unnest($4), pg_catalog.unnest($5)) c (session_id, total, slides, audio, video)"
	" WHERE s.session_id = c.session_id",
	.nargs = 5,.argtypes = {UUIDARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID}
};

/* SQL condition: sessions without the files that they count; TRUNCATE has no transition tables */
#define COUNTED_WITHOUT_ASSETS \
	"s.total_assets_generated <> 0" \
	" AND NOT EXISTS (SELECT 1 FROM @extschema@.mm_multimedia_assets a WHERE a.session_id = s.session_id)"

static Statement lock_sessions_without_assets = {
	.text = "SELECT 1 FROM @extschema@.mm_multimedia_sessions s"
	" WHERE " COUNTED_WITHOUT_ASSETS " ORDER BY s.session_id FOR NO KEY UPDATE",
	.nargs = 0
};
static Statement reset_counters = {
	.text = "UPDATE @extschema@.mm_multimedia_sessions s"
	"   SET total_assets_generated = 0, slides_generated = 0, audio_files_generated = 0, video_files_generated = 0"
	" WHERE " COUNTED_WITHOUT_ASSETS,
	.nargs = 0
};
static Statement select_session_statistics = {
	.text = "SELECT pg_catalog.jsonb_build_object("
	"  'session_id', s.session_id, 'status', s.status, 'current_stage', s.current_stage,"
	"  'progress_percentage', s.progress_percentage, 'processing_duration_seconds', s.processing_duration_seconds,"
	"  'running_seconds', CASE WHEN s.status IN ('started', 'processing') THEN"
	"     pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.now() - s.started_at)) END,"
	"  'assets', s.total_assets_generated,"
	"  'assets_by_type', (SELECT COALESCE(pg_catalog.jsonb_object_agg(n.asset_type, n.number), '{}')"
	"     FROM (SELECT a.asset_type, pg_catalog.count(*) AS number FROM @extschema@.mm_multimedia_assets a"
	"            WHERE a.session_id = s.session_id GROUP BY a.asset_type) n),"
	"  'assets_by_status', (SELECT COALESCE(pg_catalog.jsonb_object_agg(n.status, n.number), '{}')"
	"     FROM (SELECT a.status, pg_catalog.count(*) AS number FROM @extschema@.mm_multimedia_assets a"
	"            WHERE a.session_id = s.session_id GROUP BY a.status) n),"
	"  'bytes', (SELECT COALESCE(pg_catalog.sum(a.file_size_bytes), 0) FROM @extschema@.mm_multimedia_assets a WHERE a.session_id = s.session_id),"
	"  'seconds', (SELECT COALESCE(pg_catalog.sum(a.duration_seconds), 0) FROM @extschema@.mm_multimedia_assets a WHERE a.session_id = s.session_id),"
	"  'narrations', (SELECT pg_catalog.count(*) FROM @extschema@.mm_audio_narrations n WHERE n.session_id = s.session_id),"
	"  'presentations', (SELECT pg_catalog.count(*) FROM @extschema@.mm_slide_presentations p WHERE p.session_id = s.session_id),"
	"  'scripts', (SELECT pg_catalog.count(*) FROM @extschema@.mm_script_generations g WHERE g.session_id = s.session_id),"
	"  'renderings', (SELECT COALESCE(pg_catalog.jsonb_object_agg(n.status, n.number), '{}')"
	"     FROM (SELECT r.status, pg_catalog.count(*) AS number FROM @extschema@.mm_rendering_queue r"
	"            WHERE r.session_id = s.session_id GROUP BY r.status) n))"
	"  FROM @extschema@.mm_multimedia_sessions s"
	" WHERE s.session_id = $1 AND " SEEN_BY_CALLER("s.company_id", "$2", "$3"),
	.nargs = 3,.argtypes = {UUIDOID, BOOLOID, UUIDARRAYOID}
};

/* ------------------------------------------------------------------------
 * Counters
 * ------------------------------------------------------------------------ */

/* what a statement adds to the counters of one session */
typedef struct CounterDelta
{
	pg_uuid_t	session_id;		/* key; must be first */
	int32		counters[COUNTERS]; /* in the order of counter_columns */
} CounterDelta;

/* true while count_assets() updates sessions, whose trigger lets the counters pass then */
static bool writing_counters = false;

/*
 * Return the index of the counter of an asset type; 0, the total, for a type
 * without one, and for NULL, which the owner of the table may have allowed.
 */
static int
counter_of_type(const char *asset_type)
{
	if (asset_type == NULL)
		return 0;
	if (strcmp(asset_type, "slide") == 0)
		return 1;
	if (strcmp(asset_type, "audio") == 0)
		return 2;
	if (strcmp(asset_type, "video") == 0)
		return 3;
	return 0;
}

/* Add sign, 1 or -1, to the counters of the session of a file. */
static void
count_asset(HTAB *deltas, TupleDesc desc, HeapTuple asset, int sign)
{
	bool		isnull,
				found;
	Datum		session_id = row_get(desc, asset, "session_id", UUIDOID, &isnull);
	CounterDelta *delta;
	char	   *asset_type;
	int			counter;

	if (isnull)
		return;
	delta = hash_search(deltas, DatumGetUUIDP(session_id), HASH_ENTER, &found);
	if (!found)
		memset(delta->counters, 0, sizeof(delta->counters));
	delta->counters[0] += sign;

	asset_type = row_get_text(desc, asset, "asset_type");
	counter = counter_of_type(asset_type);
	if (counter > 0)
		delta->counters[counter] += sign;
	if (asset_type != NULL)
		pfree(asset_type);
}

/* Count the rows of a transition table, which is NULL if the event has none. */
static void
count_rows(HTAB *deltas, Relation rel, Tuplestorestate *rows, int sign)
{
	TupleTableSlot *slot;

	if (rows == NULL)
		return;
	slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		bool		should_free;
		HeapTuple	row = ExecFetchSlotHeapTuple(slot, false, &should_free);

		CHECK_FOR_INTERRUPTS();
		count_asset(deltas, RelationGetDescr(rel), row, sign);
		if (should_free)
			heap_freetuple(row);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* Return true if a session has nothing to update, as after an UPDATE of other columns. */
static bool
is_zero(const CounterDelta *delta)
{
	for (int i = 0; i < COUNTERS; i++)
	{
		if (delta->counters[i] != 0)
			return false;
	}
	return true;
}

static Datum
build_array(Datum *values, int n, Oid type, int length, bool by_value, char align)
{
	return PointerGetDatum(construct_array(values, n, type, length, by_value, align));
}

/*
 * Convert the deltas of a statement to the arguments of add_to_counters.  Returns
 * false if no session has to be updated.
 */
static bool
deltas_as_arguments(HTAB *deltas, Arguments *args)
{
	long		max_sessions = hash_get_num_entries(deltas);
	Datum	   *sessions = palloc(sizeof(Datum) * (max_sessions + 1));
	Datum	   *counters[COUNTERS];
	HASH_SEQ_STATUS scan;
	CounterDelta *delta;
	int			n = 0;

	for (int i = 0; i < COUNTERS; i++)
		counters[i] = palloc(sizeof(Datum) * (max_sessions + 1));
	hash_seq_init(&scan, deltas);
	while ((delta = hash_seq_search(&scan)) != NULL)
	{
		if (is_zero(delta))
			continue;
		sessions[n] = UUIDPGetDatum(&delta->session_id);
		for (int i = 0; i < COUNTERS; i++)
			counters[i][n] = Int32GetDatum(delta->counters[i]);
		n++;
	}
	argument_add(args, build_array(sessions, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR), false);
	for (int i = 0; i < COUNTERS; i++)
		argument_add(args, build_array(counters[i], n, INT4OID, sizeof(int32), true, TYPALIGN_INT), false);
	return n > 0;
}

/* Run a statement that writes counters, past protect_session_counters(). */
static void
write_counters(Statement *statement, const Arguments *args)
{
	bool		before = writing_counters;

	writing_counters = true;
	PG_TRY();
	{
		statement_execute(statement, args);
	}
	PG_FINALLY();
	{
		writing_counters = before;
	}
	PG_END_TRY();
}

/* Create a hash table of CounterDelta, by session. */
static HTAB *
create_deltas(void)
{
	HASHCTL		control = {
		.keysize = UUID_LEN,
		.entrysize = sizeof(CounterDelta),
		.hcxt = CurrentMemoryContext
	};

	return hash_create("changes of session counters", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * count_assets() returns trigger: AFTER each statement on mm_multimedia_assets,
 * with transition tables.  Maintains the counters of the sessions of the files.
 */
Datum
count_assets(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_STATEMENT,
									 ON_INSERT | ON_UPDATE | ON_DELETE | ON_TRUNCATE, 0);
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	if (restoring())
		return PointerGetDatum(NULL);

	caller_enter_trigger(&caller);
	if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
	{
		statement_execute(&lock_sessions_without_assets, &args);
		write_counters(&reset_counters, &args);
	}
	else
	{
		HTAB	   *deltas = create_deltas();

		count_rows(deltas, data->tg_relation, data->tg_newtable, 1);
		count_rows(deltas, data->tg_relation, data->tg_oldtable, -1);
		if (deltas_as_arguments(deltas, &args))
		{
			Arguments	sessions = NO_ARGUMENTS;

			argument_add(&sessions, args.values[0], false);
			statement_execute(&lock_sessions, &sessions);
			write_counters(&add_to_counters, &args);
		}
	}
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/*
 * protect_session_counters() returns trigger: BEFORE INSERT OR UPDATE on
 * mm_multimedia_sessions.  Restores the counters to their old values, 0 in a new
 * row, so that only count_assets() changes them.  It raises no error, since
 * clients may write back whole rows.
 */
Datum
protect_session_counters(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	HeapTuple	old = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigtuple : NULL;

	if (restoring() || (writing_counters && old != NULL))
		return PointerGetDatum(edit.row);
	for (int i = 0; i < COUNTERS; i++)
	{
		bool		isnull = true;
		Datum		was = old ? row_get(edit.desc, old, counter_columns[i], INT4OID, &isnull) : Int32GetDatum(0);

		if (old == NULL || row_changed(&edit, old, counter_columns[i], INT4OID))
			row_set(&edit, counter_columns[i], INT4OID, was);
	}
	return PointerGetDatum(row_edit_apply(&edit));
}

/* ------------------------------------------------------------------------
 * Sessions
 * ------------------------------------------------------------------------ */

/* Lock a session after its parents and return its content as text, or NULL.  Raises an error if there is none. */
static char *
lock_session_or_refuse(const Caller *caller, const pg_uuid_t *session_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, session_id);
	if (statement_execute(&lock_session, &args) == 0)
		refuse_unknown(caller, "session", session_id);
	return result_text(1);
}

/*
 * create_multimedia_session(p_content_id uuid, p_module_name text,
 * p_employee_name text, p_session_type text, p_generation_config jsonb,
 * p_content_sections text[]) returns uuid
 */
Datum
create_multimedia_session(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	content_id;
	pg_uuid_t  *session_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	content_id = check_uuid(fcinfo, 0, "p_content_id");
	check_text(fcinfo, 1, "p_module_name", 0, MAX_LABEL_LENGTH);
	check_text(fcinfo, 2, "p_employee_name", 0, MAX_LABEL_LENGTH);
	check_text(fcinfo, 3, "p_session_type", 1, MAX_LABEL_LENGTH);
	check_sections(optional_array(fcinfo, 5), "p_content_sections");

	if (statement_execute(&insert_session, &args) == 0)
		refuse_unknown(&caller, "content", &content_id);
	*session_id = result_uuid(1);
	caller_leave(&caller);

	PG_RETURN_UUID_P(session_id);
}

/*
 * update_session_status(p_session_id uuid, p_status text,
 * p_progress_percentage numeric, p_current_stage text, p_error_message text)
 * returns jsonb
 */
Datum
update_session_status(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	session_id;
	Datum		result;

	caller_enter_service(&caller);
	session_id = check_uuid(fcinfo, 0, "p_session_id");
	check_word(fcinfo, 1, "p_status", session_status_names, SESSION_STATUSES);
	check_numeric(fcinfo, 2, "p_progress_percentage", 0, 100);
	check_text(fcinfo, 3, "p_current_stage", 0, MAX_LABEL_LENGTH);

	lock_session_or_refuse(&caller, &session_id);
	statement_execute(&update_session, &args);
	result = result_row();
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/*
 * get_session_statistics(p_session_id uuid) returns jsonb
 */
Datum
get_session_statistics(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	session_id;
	Datum		result;

	caller_enter_user(&caller);
	session_id = check_uuid(fcinfo, 0, "p_session_id");
	argument_uuid(&args, &session_id);
	argument_caller(&args, &caller);
	if (statement_execute_read_only(&select_session_statistics, &args) == 0)
		refuse_unknown(&caller, "session", &session_id);
	result = result_jsonb(1);
	caller_leave(&caller);

	PG_RETURN_DATUM(result);
}

/* ------------------------------------------------------------------------
 * Files: register_multimedia_asset() and register_multimedia_assets() check them
 * by the same rules
 * ------------------------------------------------------------------------ */

/* the kinds of values that describe a file */
typedef enum MemberKind
{
	MEMBER_ASSET_TYPE,
	MEMBER_PATH,
	MEMBER_LABEL,
	MEMBER_BUCKET,
	MEMBER_STORAGE_PATH,
	MEMBER_DURATION,
	MEMBER_SIZE,
	MEMBER_OBJECT,
	MEMBER_CONTENT_ID
} MemberKind;

/* one of them: an argument p_NAME, or member NAME of an element of p_assets */
typedef struct Member
{
	const char *name;
	int			argno;			/* of register_multimedia_asset() */
	bool		required;
	MemberKind	kind;
	const char *expected;		/* for messages */
} Member;

static const Member members[] = {
	{"asset_type", 2, true, MEMBER_ASSET_TYPE, "one of video, audio, slide, script, thumbnail, image, document"},
	{"file_path", 3, true, MEMBER_PATH, "a string of 1 to 4096 characters"},
	{"asset_name", 4, false, MEMBER_LABEL, "a string of 1 to 1000 characters, or null"},
	{"section_name", 5, false, MEMBER_LABEL, "a string of 1 to 1000 characters, or null"},
	{"duration_seconds", 6, false, MEMBER_DURATION, "a number between 0 and 1000000000, or null"},
	{"file_size_bytes", 7, false, MEMBER_SIZE, "a whole number of 0 or more, or null"},
	{"mime_type", 8, false, MEMBER_LABEL, "a string of 1 to 1000 characters, or null"},
	{"generation_config", 9, false, MEMBER_OBJECT, "a JSON object, or null"},
	{"storage_bucket", 10, false, MEMBER_BUCKET, "a string of 1 to 1000 characters that are not dots only, without /, backslash, % and control characters, or null"},
	{"storage_path", 11, false, MEMBER_STORAGE_PATH, "a relative path whose parts are neither empty nor dots, without backslash, % and control characters, or null"},
	{"public_url", 12, false, MEMBER_PATH, "a string of 1 to 4096 characters, or null"},
	{"content_id", 1, false, MEMBER_CONTENT_ID, "the content of the session"},
};

/* Return true if a string has at least one character and at most max. */
static bool
has_length(const char *string, int length, int max)
{
	return length >= 1 && pg_mbstrlen_with_len(string, length) <= max;
}

/* Return true if a JSON value is a number between 0 and max, and a whole one if that is required. */
static bool
is_number_up_to(const JsonbValue *value, int64 max, bool whole)
{
	Numeric		number = value->val.numeric;

	if (value->type != jbvNumeric)
		return false;
	if (whole && !DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(number),
												   DirectFunctionCall2(numeric_trunc, NumericGetDatum(number), Int32GetDatum(0)))))
		return false;
	return numeric_is_between(number, 0, max);
}

/* Return true if a string, which need not end with a null byte, is an asset type. */
static bool
is_asset_type(const char *word, int length)
{
	for (int i = 0; i < (int) lengthof(asset_types); i++)
	{
		if (length == (int) strlen(asset_types[i]) && memcmp(word, asset_types[i], length) == 0)
			return true;
	}
	return false;
}

/* Return true if a string is valid for a kind of member; content is that of the session, as text. */
static bool
is_valid_string(MemberKind kind, const char *string, int length, const char *content)
{
	switch (kind)
	{
		case MEMBER_ASSET_TYPE:
			return is_asset_type(string, length);
		case MEMBER_PATH:
			return has_length(string, length, MAX_PATH_LENGTH);
		case MEMBER_LABEL:
			return has_length(string, length, MAX_LABEL_LENGTH);
		case MEMBER_BUCKET:
			return has_length(string, length, MAX_LABEL_LENGTH) && storage_is_part(string, length);
		case MEMBER_STORAGE_PATH:
			return storage_is_path(string, length);
		case MEMBER_CONTENT_ID:
			return content != NULL && length == (int) strlen(content) && pg_strncasecmp(string, content, length) == 0;
		case MEMBER_DURATION:
		case MEMBER_SIZE:
		case MEMBER_OBJECT:
			return false;
	}
	return false;				/* not reached */
}

/* Return true if a JSON value is valid for a member. */
static bool
is_valid_member(const Member *member, const JsonbValue *value, const char *content)
{
	if (value->type == jbvNull)
		return !member->required;
	if (value->type == jbvString)
		return is_valid_string(member->kind, value->val.string.val, value->val.string.len, content);
	if (member->kind == MEMBER_DURATION)
		return is_number_up_to(value, MAX_SECONDS, false);
	if (member->kind == MEMBER_SIZE)
		return is_number_up_to(value, PG_INT64_MAX, true);
	return member->kind == MEMBER_OBJECT && value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

/* Convert an argument of register_multimedia_asset() to a JSON value. */
static void
argument_as_member(Datum argument, const Member *member, JsonbValue *value)
{
	text	   *string;
	Jsonb	   *object;

	switch (member->kind)
	{
		case MEMBER_ASSET_TYPE:
		case MEMBER_PATH:
		case MEMBER_LABEL:
		case MEMBER_BUCKET:
		case MEMBER_STORAGE_PATH:
			string = DatumGetTextPP(argument);
			value->type = jbvString;
			value->val.string.val = VARDATA_ANY(string);
			value->val.string.len = VARSIZE_ANY_EXHDR(string);
			break;
		case MEMBER_DURATION:
			value->type = jbvNumeric;
			value->val.numeric = DatumGetNumeric(argument);
			break;
		case MEMBER_SIZE:
			value->type = jbvNumeric;
			value->val.numeric = int64_to_numeric(DatumGetInt64(argument));
			break;
		case MEMBER_OBJECT:
			object = DatumGetJsonbP(argument);
			value->type = jbvBinary;
			value->val.binary.data = &object->root;
			value->val.binary.len = VARSIZE(object) - VARHDRSZ;
			break;
		case MEMBER_CONTENT_ID: /* compared by inherit_company() */
			value->type = jbvNull;
			break;
	}
}

/* Raise an error unless all arguments of register_multimedia_asset() are valid. */
static void
check_arguments(const Arguments *args)
{
	for (int i = 0; i < (int) lengthof(members); i++)
	{
		const Member *member = &members[i];
		char	   *name = psprintf("p_%s", member->name);
		bool		isnull = args->nulls[member->argno] == 'n';
		JsonbValue	value = {.type = jbvNull};

		if (isnull && member->required)
			refuse_null(name);
		if (!isnull)
			argument_as_member(args->values[member->argno], member, &value);
		if (!is_valid_member(member, &value, NULL))
			refuse_value(name, member->expected);
	}
}

/*
 * register_multimedia_asset(p_session_id uuid, p_content_id uuid,
 * p_asset_type text, p_file_path text, p_asset_name text, p_section_name text,
 * p_duration_seconds numeric, p_file_size_bytes bigint, p_mime_type text,
 * p_generation_config jsonb, p_storage_bucket text, p_storage_path text,
 * p_public_url text) returns uuid
 */
Datum
register_multimedia_asset(PG_FUNCTION_ARGS)
{
	Arguments	args = arguments_of_call(fcinfo);
	Caller		caller;
	pg_uuid_t	session_id;
	pg_uuid_t  *asset_id = palloc(sizeof(pg_uuid_t));

	caller_enter_service(&caller);
	session_id = check_uuid(fcinfo, 0, "p_session_id");
	check_arguments(&args);

	/* locked before the insert, whose trigger writes its counters */
	lock_session_or_refuse(&caller, &session_id);
	statement_execute(&insert_asset, &args);
	*asset_id = result_uuid(1);
	caller_leave(&caller);

	PG_RETURN_UUID_P(asset_id);
}

/* ------------------------------------------------------------------------
 * Many files
 * ------------------------------------------------------------------------ */

pg_noreturn static void
refuse_element(int number, const char *expected)
{
	refuse_value(psprintf("element %d of p_assets", number), expected);
}

/* Return the member of a name, or NULL. */
static const Member *
member_by_name(const JsonbValue *key)
{
	for (int i = 0; i < (int) lengthof(members); i++)
	{
		if (key->val.string.len == (int) strlen(members[i].name) &&
			memcmp(key->val.string.val, members[i].name, key->val.string.len) == 0)
			return &members[i];
	}
	return NULL;
}

/* Raise an error if an element has an unknown member, whose value would be lost. */
static void
check_member_names(JsonbContainer *element, int number)
{
	JsonbIterator *it = JsonbIteratorInit(element);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY && member_by_name(&value) == NULL)
			refuse_element(number, psprintf("without a member \"%.*s\", which is unknown",
											pg_mbcliplen(value.val.string.val, value.val.string.len, 63),
											value.val.string.val));
	}
}

/* Raise an error unless an element of p_assets is valid. */
static void
check_element(const JsonbValue *element, int number, const char *content)
{
	JsonbContainer *object;

	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		refuse_element(number, "a JSON object");
	object = element->val.binary.data;
	check_member_names(object, number);
	for (int i = 0; i < (int) lengthof(members); i++)
	{
		JsonbValue	value;

		if (getKeyJsonValueFromContainer(object, members[i].name, strlen(members[i].name), &value) == NULL)
			value.type = jbvNull;
		if (!is_valid_member(&members[i], &value, content))
			refuse_element(number, psprintf("an asset whose %s is %s", members[i].name, members[i].expected));
	}
}

/* Check all elements, before anything is written. */
static void
check_elements(Jsonb *assets, const char *content)
{
	JsonbIterator *it = JsonbIteratorInit(&assets->root);
	JsonbValue	value;
	JsonbIteratorToken token;
	int			number = 0;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
			check_element(&value, ++number, content);
	}
}

/*
 * register_multimedia_assets(p_session_id uuid, p_assets jsonb) returns jsonb
 */
Datum
register_multimedia_assets(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	pg_uuid_t	session_id;
	Jsonb	   *assets;
	Datum		ids;

	caller_enter_service(&caller);
	session_id = check_uuid(fcinfo, 0, "p_session_id");
	check_not_null(fcinfo, 1, "p_assets");
	assets = PG_GETARG_JSONB_P(1);
	if (!JB_ROOT_IS_ARRAY(assets) || JB_ROOT_IS_SCALAR(assets) ||
		JB_ROOT_COUNT(assets) < 1 || JB_ROOT_COUNT(assets) > MAX_ASSETS_PER_CALL)
		refuse_value("p_assets", psprintf("a JSON array of 1 to %d objects", MAX_ASSETS_PER_CALL));

	check_elements(assets, lock_session_or_refuse(&caller, &session_id));
	argument_uuid(&args, &session_id);
	argument_add(&args, JsonbPGetDatum(assets), false);
	statement_execute(&insert_assets, &args);
	ids = result_jsonb(1);
	caller_leave(&caller);

	PG_RETURN_DATUM(ids);
}
