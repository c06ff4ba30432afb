/*
 * layouts.c
 *	  Decides whether a table is eligible for the fast path, and collects what
 *	  writing its rows takes: its indexes, its CHECK constraints, and the indexes
 *	  by which rows are found.
 *
 * A table is eligible while it is as it was installed.  That is checked once per
 * session, and again after every relcache invalidation of the table and every
 * change of a schema or role, since the name may then lead to another table.
 *
 * Pitfall: not everything is checked.  A trigger function that is replaced while
 * a session has a layout of the table is not noticed; that takes a superuser.
 *
 * Pitfall: reading a catalog may process an invalidation of the table, which
 * rebuilds its relcache entry although it is open.  The entry, rd_rel and what
 * belongs to an open index keep their addresses, and a tuple descriptor is kept
 * until the transaction ends; the rest is freed, triggers and foreign keys
 * included, and so is copied before it is iterated over.
 *
 * Locks: the one that the caller passes, on the table; it is held until the
 * transaction ends.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/genam.h"
#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "guc_scope.h"
#include "layouts.h"

/* attempts to build the layout of a table that is altered concurrently */
#define MAX_ATTEMPTS 3

/* layouts that this session has built */
static uint64 rebuilds = 0;

/*
 * Return the OID of a label of an enum type; InvalidOid if it has no such label.
 */
Oid
layout_enum_value(Oid type, const char *label)
{
	return GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type), CStringGetDatum(label));
}

/* Return true if what the executor does for special kinds of tables is not needed. */
static bool
is_plain_table(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_tableam == GetHeapamTableAmRoutine() &&
		rel->rd_rules == NULL &&
		!rel->rd_rel->relispartition &&
		!rel->rd_rel->relhassubclass &&
		!rel->rd_rel->relforcerowsecurity;
}

/*
 * Return true if the owner of the data owns the table and has the privileges on
 * it and its schema that statements need: the fast path checks none, and must not
 * do more than a statement is allowed to.
 */
static bool
owner_has_privileges(const RowTable *table, Relation rel)
{
	AclMode		needed = (ACL_SELECT |
						  (table->inserts ? ACL_INSERT : 0) |
						  (table->updates ? ACL_UPDATE : 0) |
						  (table->deletes ? ACL_DELETE : 0));
	Oid			owner = engine_owner();

	return rel->rd_rel->relowner == owner &&
		compat_namespace_aclcheck(RelationGetNamespace(rel), owner, ACL_USAGE) == ACLCHECK_OK &&
		pg_class_aclmask(RelationGetRelid(rel), owner, needed, ACLMASK_ALL) == needed;
}

/*
 * Return true if the fast path handles a column that the owner added.  An update
 * copies its value, which would be wrong for a generated column; an insert
 * leaves it NULL, as the statement does if the column has no default.
 */
static bool
is_compatible_column(const RowTable *table, Relation rel, Form_pg_attribute att)
{
	if (att->attisdropped)
		return true;
	if (att->attgenerated != '\0')
		return false;
	return !table->inserts ||
		(att->attidentity == '\0' && get_typtype(att->atttypid) != TYPTYPE_DOMAIN &&
		 build_column_default(rel, att->attnum) == NULL);
}

static bool
added_columns_are_compatible(const RowTable *table, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = table->ncolumns; i < desc->natts; i++)
	{
		if (!is_compatible_column(table, rel, TupleDescAttr(desc, i)))
			return false;
	}
	return true;
}

/*
 * Return true if the first columns are those that were installed.  The fast path
 * compares values bit by bit, as statements do unless a collation is not
 * deterministic.
 */
static bool
columns_match(const RowTable *table, TupleDesc desc)
{
	if (desc->natts < table->ncolumns)
		return false;
	for (int i = 0; i < table->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const RowColumn *column = &table->columns[i];

		if (att->attisdropped || att->attgenerated != '\0' || att->attidentity != '\0' || att->atttypmod != -1 ||
			strcmp(NameStr(att->attname), column->name) != 0)
			return false;
		if (OidIsValid(att->attcollation) && !get_collation_isdeterministic(att->attcollation))
			return false;
		if (column->type == ANYENUMOID ? !type_is_enum(att->atttypid) : att->atttypid != column->type)
			return false;
	}
	return true;
}

/* Return true if the defaults that inserts use are the ones that fast path functions compute. */
static bool
defaults_match(const RowTable *table, Relation rel)
{
	for (int i = 0; i < table->ndefaults; i++)
	{
		FuncExpr   *value = (FuncExpr *) build_column_default(rel, table->defaults[i].column);

		if (value == NULL || !IsA(value, FuncExpr) || value->funcid != table->defaults[i].function)
			return false;
	}
	return true;
}

/*
 * Return true if a function is written in C, as all trigger functions of
 * studio_engine are: only a superuser can replace it by another one in C.
 */
static bool
is_c_function(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		result = HeapTupleIsValid(tuple) && ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return result;
}

/*
 * Register the callbacks that the fast path runs in place of the triggers of a
 * table.  For _PG_init() only: layouts that are built already are not updated.
 */
void
layout_register_triggers(RowTable *table, const RowTrigger *triggers, int n)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	for (int i = 0; i < n; i++)
	{
		Assert(triggers[i].idle == (triggers[i].before == NULL && triggers[i].after == NULL));
		table->triggers = lappend(table->triggers, unconstify(RowTrigger *, &triggers[i]));
	}
	MemoryContextSwitchTo(old);
}

static const RowTrigger *
find_trigger(const RowTable *table, const char *name)
{
	ListCell   *cell;

	foreach(cell, table->triggers)
	{
		const RowTrigger *trigger = lfirst(cell);

		if (strcmp(trigger->name, name) == 0)
			return trigger;
	}
	return NULL;
}

/* Return the definition of a trigger, after its name. */
static char *
actual_definition(const Trigger *trigger)
{
	char	   *shown = TextDatumGetCString(DirectFunctionCall1(pg_get_triggerdef, ObjectIdGetDatum(trigger->tgoid)));

	return shown + strlen("CREATE TRIGGER ") + strlen(quote_identifier(trigger->tgname)) + 1;
}

/*
 * Return the definition that a registered trigger must have: its text, with the
 * schema of the extension for each %, which no definition contains otherwise.
 */
static char *
expected_definition(const RowTrigger *registered)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *at = registered->definition; *at != '\0'; at++)
	{
		if (*at == '%')
			appendStringInfoString(&buf, extension_schema_quoted());
		else
			appendStringInfoChar(&buf, *at);
	}
	return buf.data;
}

/* Return what is registered for a trigger that is unchanged and enabled; NULL for any other. */
static const RowTrigger *
find_matching_trigger(const RowTable *table, const Trigger *trigger)
{
	const RowTrigger *registered = trigger->tgisinternal ? NULL : find_trigger(table, trigger->tgname);

	if (registered != NULL && trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN &&
		!OidIsValid(trigger->tgconstraint) && is_c_function(trigger->tgfoid) &&
		strcmp(actual_definition(trigger), expected_definition(registered)) == 0)
		return registered;
	return NULL;
}

/*
 * Return true if nothing that the fast path does to the table would fire a
 * trigger, or the trigger would do nothing.  Triggers of foreign keys that refer
 * to the table do nothing unless a key is changed or a row is deleted; those of
 * its own foreign keys are checked by foreign_keys_match().
 */
static bool
cannot_fire(const RowTable *table, const Trigger *trigger)
{
	if (!(TRIGGER_FOR_INSERT(trigger->tgtype) && table->inserts) &&
		!(TRIGGER_FOR_UPDATE(trigger->tgtype) && table->updates) &&
		!(TRIGGER_FOR_DELETE(trigger->tgtype) && table->deletes))
		return true;
	switch (RI_FKey_trigger_type(trigger->tgfoid))
	{
		case RI_TRIGGER_PK:
			return !table->deletes;
		case RI_TRIGGER_FK:
			return !trigger->tgdeferrable && trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN;
		case RI_TRIGGER_NONE:
			return false;
	}
	return false;
}

static void
add_callbacks(RowLayout *layout, const RowTrigger *trigger)
{
	if (trigger->before != NULL)
		layout->before = lappend(layout->before, unconstify(RowTrigger *, trigger));
	if (trigger->after != NULL)
		layout->after = lappend(layout->after, unconstify(RowTrigger *, trigger));
}

/* Return the number of triggers that the table must have. */
static int
count_required(const RowTable *table)
{
	ListCell   *cell;
	int			n = 0;

	foreach(cell, table->triggers)
	{
		const RowTrigger *trigger = lfirst(cell);

		n += trigger->optional ? 0 : 1;
	}
	return n;
}

/*
 * Return true if every trigger that can fire is registered, and every registered
 * one exists, but for optional ones; their callbacks are added to the layout.  TriggerDesc has triggers
 * in the order in which they fire, so that callbacks run in the same order.
 */
static bool
triggers_match(RowLayout *layout, const RowTable *table, Relation rel)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	int			found = 0;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];
		const RowTrigger *registered;

		if (cannot_fire(table, trigger))
			continue;
		registered = find_matching_trigger(table, trigger);
		if (registered == NULL)
			return false;
		add_callbacks(layout, registered);
		found += registered->optional ? 0 : 1;
	}
	return found == count_required(table);
}

/* Return true if a foreign key of one column is one that was installed. */
static bool
is_expected_foreign_key(const RowTable *table, const ForeignKeyCacheInfo *fkey)
{
	for (int i = 0; i < table->nparents; i++)
	{
		const RowParent *parent = &table->parents[i];
		Oid			schema = parent->schema ? get_namespace_oid(parent->schema, true) : extension_schema();

		if (parent->column == fkey->conkey[0])
			return fkey->confrelid == get_relname_relid(parent->table, schema) &&
				strcmp(get_attname(fkey->confrelid, fkey->confkey[0], false), parent->key) == 0;
	}
	return false;
}

/*
 * Return true if a foreign key has added columns only, which the fast path never
 * writes.  False for a table without installed foreign keys whose rows are
 * updated: its functions do not ask rows_have_pending_fk_checks().
 */
static bool
is_on_added_columns(const RowTable *table, const ForeignKeyCacheInfo *fkey)
{
	if (table->updates && table->nparents == 0)
		return false;
	for (int i = 0; i < fkey->nkeys; i++)
	{
		if (fkey->conkey[i] <= table->ncolumns)
			return false;
	}
	return true;
}

/*
 * Return true if a change of the parent may set the column to its default.  The
 * server checks that value only after the other triggers of the parent, and not
 * at all if the row was updated since without the trigger of the update.
 */
static bool
sets_default(const ForeignKeyCacheInfo *fkey)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(fkey->conoid));
	Form_pg_constraint form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	result = form->confdeltype == FKCONSTR_ACTION_SETDEFAULT || form->confupdtype == FKCONSTR_ACTION_SETDEFAULT;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Return true if every foreign key is an installed one, whose parent fast path
 * functions lock, or one that the fast path cannot violate.
 */
static bool
foreign_keys_match(const RowTable *table, Relation rel)
{
	List	   *fkeys = copyObject(RelationGetFKeyList(rel));
	ListCell   *cell;

	foreach(cell, fkeys)
	{
		ForeignKeyCacheInfo *fkey = lfirst(cell);

		if (sets_default(fkey))
			return false;
		if (!is_on_added_columns(table, fkey) && (fkey->nkeys != 1 || !is_expected_foreign_key(table, fkey)))
			return false;
	}
	return true;
}

static bool
is_user_function(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/*
 * Return true if an expression calls a function that is not built in, or coerces
 * to a domain: the function or a check of the domain could be replaced without
 * an invalidation of the table.
 */
static bool
uses_user_functions(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceToDomain) || check_functions_in_node(node, is_user_function, context))
		return true;
	return expression_tree_walker(node, uses_user_functions, context);
}

/* Compile the CHECK constraints that are enforced; false if one uses user-defined functions. */
static bool
prepare_checks(RowLayout *layout, const TupleConstr *constraints)
{
	int			n = constraints ? constraints->num_check : 0;

	layout->checks = palloc0((n + 1) * sizeof(ExprState *));
	for (int i = 0; i < n; i++)
	{
		Expr	   *check;

		if (!CHECK_IS_ENFORCED(&constraints->check[i]))
			continue;
		check = stringToNode(constraints->check[i].ccbin);
		if (uses_user_functions((Node *) check, NULL))
			return false;
		layout->checks[layout->nchecks++] = ExecInitExpr(expression_planner(check), NULL);
	}
	return true;
}

/* Return true if updates of the fast path may write a column: no added, key or foreign key column. */
static bool
is_updatable(const RowTable *table, AttrNumber column)
{
	const RowLookup *key = &table->lookups[BY_KEY];

	for (int i = 0; i < table->nparents; i++)
	{
		if (table->parents[i].column == column)
			return false;
	}
	for (int i = 0; i < key->nkeys; i++)
	{
		if (key->columns[i] == column)
			return false;
	}
	return column <= table->ncolumns;
}

/*
 * Return true if an index is unique on columns that updates may write, so that
 * a foreign key may refer to them.  Changing such a value takes a stronger row
 * lock than FOR NO KEY UPDATE, and a check of the referring rows.
 */
static bool
is_unique_on_updated_columns(const RowTable *table, const IndexInfo *info)
{
	if (!table->updates || !info->ii_Unique || info->ii_Predicate != NIL)
		return false;
	for (int i = 0; i < info->ii_NumIndexKeyAttrs; i++)
	{
		if (is_updatable(table, info->ii_IndexAttrNumbers[i]))
			return true;
	}
	return false;
}

/* Add an index to the layout; false if insert_index_entry() cannot maintain it. */
static bool
prepare_index(RowIndex *place, const RowTable *table, Relation index)
{
	Form_pg_index form = index->rd_index;
	List	   *predicate;

	/* what access methods of extensions need of an insert is unknown */
	if (index->rd_rel->relam >= FirstNormalObjectId || !form->indisvalid || !form->indisready ||
		!form->indimmediate || form->indisexclusion)
		return false;
	place->oid = RelationGetRelid(index);
	place->info = BuildIndexInfo(index);
	if (is_unique_on_updated_columns(table, place->info))
		return false;
	predicate = place->info->ii_Predicate;
	if (place->info->ii_Expressions != NIL || uses_user_functions((Node *) predicate, NULL))
		return false;
	if (predicate != NIL)
		place->predicate = ExecInitQual((List *) expression_planner((Expr *) predicate), NULL);
	return true;
}

static bool
prepare_indexes(RowLayout *layout, const RowTable *table, Relation rel)
{
	List	   *oids = RelationGetIndexList(rel);
	ListCell   *cell;
	bool		good = true;

	layout->indexes = palloc0((list_length(oids) + 1) * sizeof(RowIndex));
	foreach(cell, oids)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		good = good && prepare_index(&layout->indexes[layout->nindexes], table, index);
		layout->nindexes++;
		index_close(index, AccessShareLock);
	}
	list_free(oids);
	return good;
}

/* Return true if an expression is "column = label", with the enum column and label of a lookup. */
static bool
is_enum_test(const OpExpr *test, const RowLookup *lookup, Oid type)
{
	Var		   *column = linitial(test->args);
	Const	   *value = llast(test->args);

	return test->opfuncid == F_ENUM_EQ &&
		IsA(column, Var) && column->varattno == lookup->enum_column &&
		IsA(value, Const) && !value->constisnull &&
		DatumGetObjectId(value->constvalue) == layout_enum_value(type, lookup->label);
}

/* Return true if the predicate of an index is that of the lookup. */
static bool
predicate_matches(const RowLookup *lookup, const List *predicate, TupleDesc desc)
{
	if (lookup->label == NULL)
		return predicate == NIL;
	return list_length(predicate) == 1 && IsA(linitial(predicate), OpExpr) &&
		is_enum_test(linitial(predicate), lookup, TupleDescAttr(desc, lookup->enum_column - 1)->atttypid);
}

/* Return true if an index is a usable btree with the keys of the lookup, in their order, ascending. */
static bool
index_keys_match(const RowLookup *lookup, Relation index)
{
	if (index->rd_rel->relam != BTREE_AM_OID ||
		IndexRelationGetNumberOfKeyAttributes(index) != lookup->nkeys || index->rd_index->indcheckxmin)
		return false;
	for (int i = 0; i < lookup->nkeys; i++)
	{
		Oid			type = index->rd_opcintype[i];
		Oid			equals = get_opfamily_member(index->rd_opfamily[i], type, type, BTEqualStrategyNumber);

		if (index->rd_index->indkey.values[i] != lookup->columns[i] || index->rd_indoption[i] != 0 ||
			!OidIsValid(equals) || get_opcode(equals) != lookup->equals[i])
			return false;
	}
	return true;
}

/* Return true if an index has the name, keys and predicate of a lookup. */
static bool
index_matches(const RowLookup *lookup, const RowIndex *place, TupleDesc desc)
{
	Relation	index = index_open(place->oid, AccessShareLock);
	bool		same = (strcmp(RelationGetRelationName(index), lookup->name) == 0 &&
						index_keys_match(lookup, index) && predicate_matches(lookup, place->info->ii_Predicate, desc));

	index_close(index, AccessShareLock);
	return same;
}

/* Find the index of a lookup; *place becomes its position in the layout. */
static bool
find_lookup(RowLayout *layout, const RowLookup *lookup, TupleDesc desc, int *place)
{
	for (*place = 0; *place < layout->nindexes; (*place)++)
	{
		if (index_matches(lookup, &layout->indexes[*place], desc))
			return true;
	}
	return false;
}

/* Find the indexes of all lookups of the table; false if one is missing. */
static bool
find_lookups(RowLayout *layout, const RowTable *table, TupleDesc desc)
{
	for (int i = 0; i < ROWS_MAX_LOOKUPS && table->lookups[i].name != NULL; i++)
	{
		const RowLookup *lookup = &table->lookups[i];

		if (!find_lookup(layout, lookup, desc, &layout->lookups[i]))
			return false;
		for (int key = 0; key < lookup->nkeys; key++)
			fmgr_info_cxt(lookup->equals[key], &layout->equals[i][key], layout->context);
	}
	return true;
}

/*
 * Fill in a layout.  Returns the reason why the table is not eligible for the
 * fast path, as direct_tables() shows it; NULL if it is.
 */
static const char *
find_reason(RowLayout *layout, const RowTable *table, Relation rel)
{
	if (!is_plain_table(rel))
		return "not a plain table: partitioning, inheritance, rules or forced row level security";
	if (!owner_has_privileges(table, rel))
		return "owner is not the owner of the data, or lacks privileges on the table";
	if (!columns_match(table, RelationGetDescr(rel)))
		return "columns differ";
	if (!added_columns_are_compatible(table, rel))
		return "added column that is generated, or has a default where rows are inserted";
	if (!defaults_match(table, rel))
		return "defaults differ";
	if (!triggers_match(layout, table, rel))
		return "triggers differ";
	if (!foreign_keys_match(table, rel))
		return "foreign keys differ";
	if (!prepare_checks(layout, RelationGetDescr(rel)->constr))
		return "check constraint with a user-defined function or a domain";
	if (!prepare_indexes(layout, table, rel))
		return "unsupported index: invalid, deferrable, on expressions, for an exclusion constraint, or unique on updated columns";
	if (!find_lookups(layout, table, RelationGetDescr(rel)))
		return "required index is missing or differs";
	return NULL;
}

/*
 * Build the layout of a table; NULL if the table is not eligible for the fast
 * path.  Sets the reason of the table.
 */
static RowLayout *
build_layout(RowTable *table, Relation rel)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "studio_engine table", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	RowLayout  *layout = palloc0(sizeof(RowLayout));

	layout->context = context;
	layout->econtext = CreateStandaloneExprContext();
	table->reason = find_reason(layout, table, rel);
	MemoryContextSwitchTo(old);

	if (table->reason != NULL)
	{
		MemoryContextDelete(context);
		return NULL;
	}
	MemoryContextSetParent(context, CacheMemoryContext);
	return layout;
}

/*
 * Return how many layouts this session has built.
 */
uint64
layout_rebuilds(void)
{
	return rebuilds;
}

/* Return the OID of the table that has the name now; InvalidOid if there is none. */
static Oid
lookup_relid(const RowTable *table)
{
	Oid			schema = table->schema ? get_namespace_oid(table->schema, true) : extension_schema();

	return OidIsValid(schema) ? get_relname_relid(table->name, schema) : InvalidOid;
}

/*
 * Return true if the cached OID and layout of a table, or its lack of one, are valid.
 */
bool
layout_is_current(const RowTable *table)
{
	return OidIsValid(table->relid) && table->generation == relations_generation() &&
		table->changes == table->watch.changes;
}

/*
 * Build the layout of the table again.  If its name belongs to another table by
 * now, the cache entry stays invalid.  An outer function may be using the old
 * layout, so it is freed at the end of the transaction.
 */
static void
rebuild_layout(RowTable *table, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	GucProtection protection = guc_protect();

	rebuilds++;
	relation_watch(&table->watch, relid);
	table->relid = InvalidOid;
	table->generation = relations_generation();
	table->changes = table->watch.changes;
	/* if the table was rewritten, the TID may be that of another row */
	table->hint.transaction = InvalidLocalTransactionId;
	if (table->layout != NULL)
		MemoryContextSetParent(table->layout->context, TopTransactionContext);
	table->layout = NULL;
	table->layout = build_layout(table, rel);
	guc_unprotect(protection);
	if (lookup_relid(table) == relid)
		table->relid = relid;
}

/*
 * Open the table that has the name, and validate its layout once the lock is
 * held.  While waiting for the lock the table may be altered or renamed, so
 * that is repeated up to MAX_ATTEMPTS times; returns NULL, with a reason, when
 * there is no such table or it keeps changing.
 */
Relation
layout_open_table(RowTable *table, LOCKMODE mode)
{
	for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++)
	{
		Oid			relid = layout_is_current(table) ? table->relid : lookup_relid(table);
		Relation	rel = OidIsValid(relid) ? try_relation_open(relid, mode) : NULL;

		if (rel == NULL)
		{
			table->reason = "table does not exist";
			return NULL;
		}
		if (!layout_is_current(table) || table->relid != relid)
			rebuild_layout(table, rel);
		if (layout_is_current(table) && table->relid == relid)
			return rel;
		relation_close(rel, NoLock);
	}
	table->reason = "table is being altered concurrently";
	return NULL;
}

/*
 * Return why a table is not eligible for the fast path; NULL if it is.
 */
const char *
layout_reason(RowTable *table)
{
	Relation	rel = layout_open_table(table, AccessShareLock);

	if (rel == NULL)
		return table->reason;
	relation_close(rel, NoLock);
	return table->layout ? NULL : table->reason;
}

/*
 * Return true if a table is eligible for the fast path.
 */
bool
layout_is_eligible(RowTable *table)
{
	return layout_is_current(table) ? table->layout != NULL : layout_reason(table) == NULL;
}
