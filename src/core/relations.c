/*
 * relations.c
 *	  The schemas, tables and owner of this installation; and the only file that
 *	  registers invalidation callbacks.
 *
 * Pitfall: a backend outlives an installation.  DROP EXTENSION, a renamed
 * schema or a new owner must not leave stale names behind.  So every change of a
 * schema or role increments the generation, and what is cached and depends on
 * the names below is stored together with the generation, and compared.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "relations.h"

static uint64 generation = 1;
static bool watching = false;

/* valid only while schema_generation is the current generation */
static Oid	schema_oid = InvalidOid;
static char *schema_name = NULL;	/* quoted, in TopMemoryContext */
static uint64 schema_generation = 0;

static RelationWatch *watches = NULL;

/* A schema or a role has changed.  A callback must not read catalogs, so this only counts. */
static void
schema_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	generation++;
}

/*
 * Return a number that grows whenever the names or the owner of schemas may have
 * changed.
 */
uint64
relations_generation(void)
{
	if (!watching)
	{
		CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, schema_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, schema_changed, (Datum) 0);
		watching = true;
	}
	return generation;
}

/* A relation has changed, or for InvalidOid any may have: only count, as schema_changed() does. */
static void
relation_changed(Datum arg, Oid relid)
{
	for (RelationWatch *watch = watches; watch != NULL; watch = watch->next)
	{
		if (relid == InvalidOid || relid == watch->relid)
			watch->changes++;
	}
}

/*
 * Begin to count the changes of a relation in watch, which must be a static
 * variable, as callbacks cannot be unregistered.
 */
void
relation_watch(RelationWatch *watch, Oid relid)
{
	if (!watch->registered)
	{
		if (watches == NULL)
			CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		watch->next = watches;
		watches = watch;
		watch->registered = true;
	}
	watch->relid = relid;
}

/* Return the schema of the extension, from pg_extension; InvalidOid if it is not installed. */
static Oid
find_extension_schema(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("studio_engine"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	return result;
}

/* Look the schema of the extension up, unless what is cached is valid. */
static void
lookup_schema(void)
{
	uint64		now = relations_generation();
	Oid			oid;
	char	   *name;

	if (schema_name != NULL && schema_generation == now)
		return;

	oid = find_extension_schema();
	name = get_namespace_name(oid);
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("studio_engine is not installed in this database"),
				 errhint("Run CREATE EXTENSION studio_engine.")));

	if (schema_name != NULL)
		pfree(schema_name);
	schema_name = MemoryContextStrdup(TopMemoryContext, quote_identifier(name));
	schema_oid = oid;
	schema_generation = now;
}

/*
 * Return the name of the schema of the extension, quoted for use in SQL text.
 * Raises an error if the extension is not installed.
 */
const char *
extension_schema_quoted(void)
{
	lookup_schema();
	return schema_name;
}

/*
 * Return the OID of the schema of the extension.  Raises an error if the
 * extension is not installed.
 */
Oid
extension_schema(void)
{
	lookup_schema();
	return schema_oid;
}

/*
 * Return the owner of a schema.
 */
Oid
schema_owner(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);

	return owner;
}

/*
 * Return the owner of the data: the role that owns schema studio_engine.
 */
Oid
engine_owner(void)
{
	return schema_owner(get_namespace_oid("studio_engine", false));
}

/*
 * The tables of the data layer in the schema of the extension; schemas
 * studio_engine and pipeline contain no others.  The Makefile copies the list
 * into the install script.
 */
static const char *const names[] = {
	"profiles", "draft_prompts", "projects", "jobs", "job_steps", "assets", "logs",
	"credit_accounts", "credit_ledger", "studio_jobs",
	"companies", "employees", "cm_module_content", "cm_course_plans",
	"cm_research_results", "cm_quality_assessments", "cm_enhancement_sessions",
	"mm_multimedia_sessions", "mm_multimedia_assets", "mm_audio_narrations",
	"mm_slide_presentations", "mm_script_generations",
	"mm_video_analytics", "mm_rendering_queue"
};

/*
 * Return the names of the tables of the data layer in the schema of the
 * extension.
 */
const char *const *
relation_names(int *n)
{
	*n = lengthof(names);
	return names;
}

/*
 * Return true if a relation has the schema and name of one of the data layer.
 * False for an index.
 */
bool
relation_is_ours(Oid relid)
{
	Oid			schema = get_rel_namespace(relid);
	char	   *name = get_rel_name(relid);
	char		kind = get_rel_relkind(relid);

	if (name == NULL || kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
		return false;
	if (schema == get_namespace_oid("studio_engine", true) || schema == get_namespace_oid("pipeline", true))
		return true;
	for (int i = 0; i < (int) lengthof(names) && schema == extension_schema(); i++)
	{
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/*
 * Return true if the install or update script of this extension is being run.
 */
bool
in_extension_script(void)
{
	return creating_extension && CurrentExtensionObject == get_extension_oid("studio_engine", true);
}
