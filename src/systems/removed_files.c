/*
 * removed_files.c
 *	  The list of files that no asset refers to any more.
 *
 * Nothing in SQL can delete a file.  So a deleted asset, or one that gets another
 * path, leaves its bucket and path in studio_engine.removed_files; a service
 * reads them with list_removed_files(), deletes the files through the API of the
 * object store, and calls forget_removed_files().
 *
 * Pitfall: several assets may have the same file, and a path may be registered
 * again after it was listed.  An entry is therefore a candidate: whether an asset
 * has the file is decided when the list is read.  So deletions and registrations
 * need not wait for each other, in whatever order they commit.  What registration
 * takes off the list only keeps it short.
 *
 * The assets of Video have a path and no bucket, which their worker knows: NULL.
 *
 * Lock order: an entry is the last.  Entries that another transaction takes off
 * the list are skipped: nothing here waits.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "restore.h"
#include "statements.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(track_file);
PG_FUNCTION_INFO_V1(list_removed_files);
PG_FUNCTION_INFO_V1(forget_removed_files);

/* PostgREST cuts longer answers off */
#define MAX_FILES 1000

static Statement insert_removed = {
	.text = "INSERT INTO studio_engine.removed_files (bucket, path) VALUES ($1, $2)",
	.nargs = 2,.argtypes = {TEXTOID, TEXTOID}
};
static Statement take_off_list = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.removed_files f WHERE f.file_id = ANY (ARRAY("
	"  SELECT r.file_id FROM studio_engine.removed_files r"
	"   WHERE r.path = $2 AND r.bucket IS NOT DISTINCT FROM $1 FOR UPDATE SKIP LOCKED))",
	.nargs = 2,.argtypes = {TEXTOID, TEXTOID}
};
static Statement select_removed = {
	.force_index_plan = true,
	.text = "SELECT f.file_id, f.bucket, f.path, f.removed_at FROM studio_engine.removed_files f"
	" WHERE NOT EXISTS (SELECT 1 FROM @extschema@.mm_multimedia_assets a"
	"                    WHERE a.storage_path = f.path AND a.storage_bucket IS NOT DISTINCT FROM f.bucket)"
	"   AND NOT EXISTS (SELECT 1 FROM @extschema@.assets v WHERE v.storage_path = f.path AND f.bucket IS NULL)"
	" ORDER BY f.removed_at, f.file_id LIMIT $1",
	.nargs = 1,.argtypes = {INT4OID}
};
static Statement delete_removed = {
	.force_index_plan = true,
	.text = "DELETE FROM studio_engine.removed_files f WHERE f.file_id = ANY (ARRAY("
	"  SELECT r.file_id FROM studio_engine.removed_files r WHERE r.file_id = ANY ($1) FOR UPDATE SKIP LOCKED))",
	.nargs = 1,.argtypes = {UUIDARRAYOID}
};

/* where the tables of assets have their bucket and their path; the argument of the trigger names one */
typedef struct AssetTable
{
	const char *name;
	const char *bucket;			/* NULL: it has none */
	const char *path;
} AssetTable;

static const AssetTable asset_tables[] = {
	{"assets", NULL, "storage_path"},
	{"mm_multimedia_assets", "storage_bucket", "storage_path"},
};

static const AssetTable *
asset_table_by_name(const char *name)
{
	for (int i = 0; i < (int) lengthof(asset_tables); i++)
	{
		if (strcmp(asset_tables[i].name, name) == 0)
			return &asset_tables[i];
	}
	refuse_value("the argument of the trigger", "assets or mm_multimedia_assets");
}

/* Run a statement with the bucket and the path of an asset, unless it has no path. */
static void
execute_for_file(Statement *statement, const AssetTable *table, TupleDesc desc, HeapTuple asset)
{
	Arguments	args = NO_ARGUMENTS;
	char	   *path = row_get_text(desc, asset, table->path);

	if (path == NULL || path[0] == '\0')
		return;
	argument_text(&args, table->bucket ? row_get_text(desc, asset, table->bucket) : NULL);
	argument_text(&args, path);
	statement_execute(statement, &args);
}

/*
 * track_file(table) returns trigger: AFTER INSERT OR UPDATE OR DELETE.
 * Lists the file that an asset had, and takes the one that it has off the list.
 */
Datum
track_file(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT | ON_UPDATE | ON_DELETE, 1);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	const AssetTable *table = asset_table_by_name(data->tg_trigger->tgargs[0]);
	Caller		caller;

	if (restoring())
		return PointerGetDatum(NULL);

	caller_enter_trigger(&caller);
	if (!TRIGGER_FIRED_BY_INSERT(data->tg_event))
		execute_for_file(&insert_removed, table, desc, data->tg_trigtuple);
	if (!TRIGGER_FIRED_BY_DELETE(data->tg_event))
		execute_for_file(&take_off_list, table, desc, trigger_new_row(data));
	caller_leave(&caller);
	return PointerGetDatum(NULL);
}

/*
 * list_removed_files(p_limit integer) returns setof (file_id, bucket, path,
 * removed_at)
 */
Datum
list_removed_files(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;

	InitMaterializedSRF(fcinfo, 0);
	caller_enter_service(&caller);
	argument_int32(&args, check_int32(fcinfo, 0, "p_limit", 1, MAX_FILES));
	statement_execute_read_only_each(&select_removed, &args, put_result_row, fcinfo->resultinfo);
	caller_leave(&caller);

	return (Datum) 0;
}

/*
 * forget_removed_files(p_file_ids uuid[]) returns integer
 */
Datum
forget_removed_files(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	ArrayType  *ids;
	uint64		forgotten;

	caller_enter_service(&caller);
	check_not_null(fcinfo, 0, "p_file_ids");
	ids = PG_GETARG_ARRAYTYPE_P(0);
	if (ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids)) > MAX_FILES)
		refuse_value("p_file_ids", psprintf("an array of at most %d elements", MAX_FILES));
	argument_add(&args, PointerGetDatum(ids), false);
	forgotten = statement_execute(&delete_removed, &args);
	caller_leave(&caller);

	PG_RETURN_INT32((int32) forgotten);
}
