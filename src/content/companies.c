/*
 * companies.c
 *	  Which company a row belongs to, and which ones a caller may see.
 *
 * Content has a company, and what is made from it has the same one.  The columns
 * company_id and content_id are copied down the tree
 *
 *		company > content > session > asset > video analytics
 *
 * so that a policy reads nothing but the row itself.  The trigger
 * inherit_company() fills them in from the nearest parent and raises an error if
 * the statement writes another value; the trigger pass_company_on() propagates a
 * change of a parent to its children.  Both apply to every writer, but only to the
 * parents defined below.  Other references, such as the files of a narration
 * or the assessment of an enhancement, are checked by the functions that write
 * them, and not where a service uses a plain statement.
 *
 * Pitfall: a child may be inserted while its parent is reassigned to another
 * company.  An insert therefore locks the parent FOR KEY SHARE, as the foreign
 * key does later anyway; this does not conflict with updates of counters.  A
 * reassignment locks the parent FOR UPDATE before it searches for children.  The
 * query that takes the key share lock may return an older version of the parent,
 * so its columns are read by a second query with a new snapshot.
 *
 * Lock order: company, employee, course plan, content, session, asset, then the
 * rows that belong to them.  A foreign key would lock the company of a child
 * last, so a parent is locked after its own parents.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "companies.h"
#include "errors.h"
#include "relations.h"
#include "restore.h"
#include "triggers.h"
#include "uuids.h"

PG_FUNCTION_INFO_V1(inherit_company);
PG_FUNCTION_INFO_V1(pass_company_on);

static Statement select_company = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.companies o WHERE o.id = $1 AND " SEEN_BY_CALLER("o.id", "$2", "$3"),
	.nargs = 3,.argtypes = {UUIDOID, BOOLOID, UUIDARRAYOID}
};
static Statement select_companies = {
	.force_index_plan = true,
	.text = "SELECT pg_catalog.array_agg(DISTINCT e.company_id) FROM @extschema@.employees e WHERE e.user_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

/*
 * Two statements for each kind of parent: one that locks it FOR KEY SHARE after
 * its own parents, and one that returns its content and its company.
 */
static Statement lock_content_key_share = {
	.force_index_plan = true,
	.text = "SELECT " LOCK_COMPANY_KEY_SHARE("c.company_id")
	"  FROM @extschema@.cm_module_content c WHERE c.content_id = $1 FOR KEY SHARE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_content = {
	.force_index_plan = true,
	.text = "SELECT c.content_id, c.company_id FROM @extschema@.cm_module_content c WHERE c.content_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_session_key_share = {
	.force_index_plan = true,
	.text = "SELECT " LOCK_COMPANY_KEY_SHARE("s.company_id") ", " LOCK_CONTENT_KEY_SHARE("s.content_id")
	"  FROM @extschema@.mm_multimedia_sessions s WHERE s.session_id = $1 FOR KEY SHARE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_session = {
	.force_index_plan = true,
	.text = "SELECT s.content_id, s.company_id FROM @extschema@.mm_multimedia_sessions s WHERE s.session_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_asset_key_share = {
	.force_index_plan = true,
	.text = "SELECT " LOCK_COMPANY_KEY_SHARE("a.company_id") ", " LOCK_CONTENT_KEY_SHARE("a.content_id") ", " LOCK_SESSION_KEY_SHARE("a.session_id")
	"  FROM @extschema@.mm_multimedia_assets a WHERE a.asset_id = $1 FOR KEY SHARE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_asset = {
	.force_index_plan = true,
	.text = "SELECT a.content_id, a.company_id FROM @extschema@.mm_multimedia_assets a WHERE a.asset_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_employee_key_share = {
	.force_index_plan = true,
	.text = "SELECT " LOCK_COMPANY_KEY_SHARE("e.company_id") " FROM @extschema@.employees e WHERE e.id = $1 FOR KEY SHARE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_employee = {
	.force_index_plan = true,
	.text = "SELECT NULL::pg_catalog.uuid, e.company_id FROM @extschema@.employees e WHERE e.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_plan_key_share = {
	.force_index_plan = true,
	.text = "SELECT " LOCK_COMPANY_KEY_SHARE("p.company_id") " FROM @extschema@.cm_course_plans p WHERE p.plan_id = $1 FOR KEY SHARE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_plan = {
	.force_index_plan = true,
	.text = "SELECT NULL::pg_catalog.uuid, p.company_id FROM @extschema@.cm_course_plans p WHERE p.plan_id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};

static Statement lock_content_for_update = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.cm_module_content c WHERE c.content_id = $1 FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_session_for_update = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.mm_multimedia_sessions s WHERE s.session_id = $1 FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_asset_for_update = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.mm_multimedia_assets a WHERE a.asset_id = $1 FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement lock_plan_for_update = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.cm_course_plans p WHERE p.plan_id = $1 FOR UPDATE",
	.nargs = 1,.argtypes = {UUIDOID}
};

#define REASSIGN(table, key, condition) { \
	.force_index_plan = true, \
	.text = "UPDATE @extschema@." table " SET content_id = $2, company_id = $3" \
	" WHERE " key " = $1 AND (content_id, company_id) IS DISTINCT FROM ($2, $3)" condition, \
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, UUIDOID} \
}

/*
 * Children with a session are left out here: they are reassigned when the
 * trigger on their session propagates the change.
 */
static Statement reassign_children_of_content[] = {
	REASSIGN("mm_multimedia_sessions", "content_id", ""),
	REASSIGN("mm_multimedia_assets", "content_id", " AND session_id IS NULL"),
	REASSIGN("mm_audio_narrations", "content_id", " AND session_id IS NULL"),
	REASSIGN("mm_slide_presentations", "content_id", " AND session_id IS NULL"),
	REASSIGN("mm_script_generations", "content_id", " AND session_id IS NULL"),
	REASSIGN("mm_rendering_queue", "content_id", " AND session_id IS NULL"),
	REASSIGN("cm_quality_assessments", "content_id", ""),
	REASSIGN("cm_enhancement_sessions", "content_id", ""),
};
static Statement reassign_children_of_session[] = {
	REASSIGN("mm_multimedia_assets", "session_id", ""),
	REASSIGN("mm_audio_narrations", "session_id", ""),
	REASSIGN("mm_slide_presentations", "session_id", ""),
	REASSIGN("mm_script_generations", "session_id", ""),
	REASSIGN("mm_rendering_queue", "session_id", ""),
};
static Statement reassign_children_of_asset[] = {
	REASSIGN("mm_video_analytics", "asset_id", ""),
};
static Statement reassign_children_of_plan[] = {
	{
		.force_index_plan = true,
		.text = "UPDATE @extschema@.cm_research_results SET company_id = $3"
		" WHERE plan_id = $1 AND company_id IS DISTINCT FROM $3",
		.nargs = 3,.argtypes = {UUIDOID, UUIDOID, UUIDOID}
	},
};

#define CHILDREN_OUT_OF_SYNC(table, key) \
	"SELECT 1 FROM @extschema@." table " WHERE " key " = $1 AND (content_id, company_id) IS DISTINCT FROM ($2, $3)"

/* return a row for each child whose content or company is not that of the parent */
static Statement out_of_sync_with_content = {
	.force_index_plan = true,
	.text = CHILDREN_OUT_OF_SYNC("mm_multimedia_sessions", "content_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("mm_multimedia_assets", "content_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("mm_audio_narrations", "content_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("mm_slide_presentations", "content_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("mm_script_generations", "content_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("mm_rendering_queue", "content_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("cm_quality_assessments", "content_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("cm_enhancement_sessions", "content_id"),
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, UUIDOID}
};
static Statement out_of_sync_with_session = {
	.force_index_plan = true,
	.text = CHILDREN_OUT_OF_SYNC("mm_multimedia_assets", "session_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("mm_audio_narrations", "session_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("mm_slide_presentations", "session_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("mm_script_generations", "session_id")
	" UNION ALL " CHILDREN_OUT_OF_SYNC("mm_rendering_queue", "session_id"),
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, UUIDOID}
};
static Statement out_of_sync_with_asset = {
	.force_index_plan = true,
	.text = CHILDREN_OUT_OF_SYNC("mm_video_analytics", "asset_id"),
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, UUIDOID}
};
static Statement out_of_sync_with_plan = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM @extschema@.cm_research_results WHERE plan_id = $1 AND company_id IS DISTINCT FROM $3",
	.nargs = 3,.argtypes = {UUIDOID, UUIDOID, UUIDOID}
};

/* a kind of row that has children */
typedef struct Parent
{
	const char *name;
	const char *key;			/* column of its id, here and in the children */
	bool		has_content;	/* true if it and its children have content_id */
	Statement  *lock_key_share;
	Statement  *select;
	Statement  *lock_for_update;	/* NULL if it has no children to update */
	Statement  *reassign_children;
	int			nreassign;
	Statement  *children_out_of_sync;
} Parent;

static const Parent content_parent = {
	.name = "content",
	.key = "content_id",
	.has_content = true,
	.lock_key_share = &lock_content_key_share,
	.select = &select_content,
	.lock_for_update = &lock_content_for_update,
	.reassign_children = reassign_children_of_content,
	.nreassign = lengthof(reassign_children_of_content),
	.children_out_of_sync = &out_of_sync_with_content
};
static const Parent session_parent = {
	.name = "session",
	.key = "session_id",
	.has_content = true,
	.lock_key_share = &lock_session_key_share,
	.select = &select_session,
	.lock_for_update = &lock_session_for_update,
	.reassign_children = reassign_children_of_session,
	.nreassign = lengthof(reassign_children_of_session),
	.children_out_of_sync = &out_of_sync_with_session
};
static const Parent asset_parent = {
	.name = "asset",
	.key = "asset_id",
	.has_content = true,
	.lock_key_share = &lock_asset_key_share,
	.select = &select_asset,
	.lock_for_update = &lock_asset_for_update,
	.reassign_children = reassign_children_of_asset,
	.nreassign = lengthof(reassign_children_of_asset),
	.children_out_of_sync = &out_of_sync_with_asset
};
static const Parent employee_parent = {
	.name = "employee",
	.key = "employee_id",
	.lock_key_share = &lock_employee_key_share,
	.select = &select_employee
};
static const Parent plan_parent = {
	.name = "plan",
	.key = "plan_id",
	.lock_key_share = &lock_plan_key_share,
	.select = &select_plan,
	.lock_for_update = &lock_plan_for_update,
	.reassign_children = reassign_children_of_plan,
	.nreassign = lengthof(reassign_children_of_plan),
	.children_out_of_sync = &out_of_sync_with_plan
};

static const Parent *const parents[] = {
	&content_parent, &session_parent, &asset_parent, &employee_parent, &plan_parent
};

/*
 * Add the two arguments of SEEN_BY_CALLER(): whether the caller is a service, and
 * the companies of a user.
 *
 * The companies are read with the rights of the caller: where table employees
 * belongs to the installation, its row security decides, as it does for the
 * policies of our tables.  The security context is restricted, so that nothing
 * that runs in it can leave deferred actions for a later context.
 */
void
argument_caller(Arguments *args, Caller *caller)
{
	Arguments	user = NO_ARGUMENTS;
	Datum		companies = (Datum) 0;
	Caller		self;

	argument_add(args, BoolGetDatum(caller->service), false);
	if (!caller->service)
	{
		argument_uuid(&user, &caller->uid);
		caller_resume(caller);
		caller_become(&self, caller->saved_user);
		statement_execute_read_only(&select_companies, &user);
		if (!result_isnull(1))
			companies = result_jsonb(1);
		caller_resume(&self);
		caller_become(caller, engine_owner());
	}
	argument_add(args, companies, companies == (Datum) 0);
}

/*
 * Lock content FOR KEY SHARE, after its company, so that it can neither be
 * deleted nor reassigned until the end of the transaction.  Functions call it
 * before they insert a row that belongs to the content.  Returns false if there
 * is no such content.
 */
bool
companies_lock_content_key_share(const pg_uuid_t *content_id)
{
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&args, content_id);
	return statement_execute(&lock_content_key_share, &args) > 0;
}

/*
 * Raise an error if the caller may not see a company; a user gets the same error
 * whether it exists or not.  NULL, which stands for all companies of the caller,
 * is accepted.
 */
void
check_company(Caller *caller, const pg_uuid_t *company_id)
{
	Arguments	args = NO_ARGUMENTS;

	if (company_id == NULL)
		return;
	argument_uuid(&args, company_id);
	argument_caller(&args, caller);
	if (statement_execute_read_only(&select_company, &args) == 0)
		refuse_unknown(caller, "company", company_id);
}

/* ------------------------------------------------------------------------
 * Children take the company of their parents
 * ------------------------------------------------------------------------ */

/* an identifier or NULL */
typedef struct OptionalId
{
	bool		known;
	pg_uuid_t	value;
} OptionalId;

/* Return true if both are NULL or equal. */
static bool
same_id(OptionalId a, OptionalId b)
{
	return a.known == b.known && (!a.known || uuid_equal(&a.value, &b.value));
}

/* Return the value of a uuid column of a row. */
static OptionalId
row_id(TupleDesc desc, HeapTuple row, const char *column)
{
	OptionalId	id = {false};
	bool		isnull;
	Datum		value = row_get(desc, row, column, UUIDOID, &isnull);

	if (!isnull)
	{
		id.known = true;
		id.value = *DatumGetUUIDP(value);
	}
	return id;
}

/* Return the value of a uuid column of the last result. */
static OptionalId
result_id(int column)
{
	OptionalId	id = {false};

	if (!result_isnull(column))
	{
		id.known = true;
		id.value = result_uuid(column);
	}
	return id;
}

/*
 * Return the value that the statement writes into a column; NULL for a column
 * that an UPDATE leaves unchanged, whose value is that of the old parent.
 */
static OptionalId
written_id(const RowEdit *edit, HeapTuple old, const char *column)
{
	if (old != NULL && !row_changed(edit, old, column, UUIDOID))
		return (OptionalId)
	{
		false
	};
	return row_id(edit->desc, edit->row, column);
}

/* Set a column to an id, which must live as long as the edit. */
static void
set_id(RowEdit *edit, const char *column, OptionalId *id)
{
	if (same_id(*id, row_id(edit->desc, edit->row, column)))
		return;
	if (id->known)
		row_set(edit, column, UUIDOID, UUIDPGetDatum(&id->value));
	else
		row_set_null(edit, column);
}

/* what children inherit from their parent */
typedef struct Inherited
{
	OptionalId	content;
	OptionalId	company;
} Inherited;

/*
 * Lock a parent and read what its children inherit.  Returns false if the key is
 * NULL, or if there is no such parent: the foreign key raises the error then.
 */
static bool
read_parent(const Parent *parent, OptionalId key, Inherited *inherited)
{
	Arguments	args = NO_ARGUMENTS;

	if (!key.known)
		return false;
	argument_uuid(&args, &key.value);
	if (statement_execute(parent->lock_key_share, &args) == 0 || statement_execute_with_latest_snapshot(parent->select, &args) == 0)
		return false;
	inherited->content = result_id(1);
	inherited->company = result_id(2);
	return true;
}

/* Raise an error if the statement writes a value that is not that of the parent. */
static void
require_same(Relation rel, const Parent *parent, const char *what, OptionalId written, OptionalId inherited)
{
	if (written.known && !same_id(written, inherited))
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("row contradicts what it belongs to"),
				 errdetail("Table %s: the %s is not that of the %s.", RelationGetRelationName(rel), what, parent->name),
				 errhint("Leave the column out: it is filled in.")));
}

/*
 * Get what a row inherits from its nearest parent; for a row without a session
 * that is its content.  A row without a parent keeps its own values.
 */
static void
inherit_from_parent(Relation rel, const Parent *parent, const RowEdit *edit, HeapTuple old, Inherited *inherited)
{
	bool		found = read_parent(parent, row_id(edit->desc, edit->row, parent->key), inherited);

	if (!found && parent == &session_parent)
	{
		parent = &content_parent;
		found = read_parent(parent, row_id(edit->desc, edit->row, parent->key), inherited);
	}
	if (!found)
		return;
	require_same(rel, parent, "company", written_id(edit, old, "company_id"), inherited->company);
	if (parent->has_content)
		require_same(rel, parent, "content", written_id(edit, old, "content_id"), inherited->content);
}

/* Return the kind of parent that the argument of a trigger names. */
static const Parent *
parent_by_name(const char *name)
{
	for (int i = 0; i < (int) lengthof(parents); i++)
	{
		if (strcmp(parents[i]->name, name) == 0)
			return parents[i];
	}
	refuse_value("the argument of the trigger", "content, session, asset, employee or plan");
}

/* Return true if an UPDATE changes the parent, the company or the content. */
static bool
parent_changed(const Parent *parent, const RowEdit *edit, HeapTuple old)
{
	return row_changed(edit, old, parent->key, UUIDOID) ||
		row_changed(edit, old, "company_id", UUIDOID) ||
		(parent->has_content && row_changed(edit, old, "content_id", UUIDOID));
}

/*
 * inherit_company(parent) returns trigger: BEFORE INSERT OR UPDATE.
 * Fills in company_id, and content_id of what belongs to a session or an asset,
 * from the parent.  Raises PT409 if the statement writes another value.  Skipped
 * while a dump is restored, whose rows agree already.
 */
Datum
inherit_company(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 1);
	const Parent *parent = parent_by_name(data->tg_trigger->tgargs[0]);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	HeapTuple	old = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigtuple : NULL;
	Inherited	inherited;
	Caller		caller;

	if (restoring() || (old != NULL && !parent_changed(parent, &edit, old)))
		return PointerGetDatum(edit.row);

	inherited.company = row_id(edit.desc, edit.row, "company_id");
	if (parent->has_content)
		inherited.content = row_id(edit.desc, edit.row, "content_id");
	caller_enter_trigger(&caller);
	inherit_from_parent(data->tg_relation, parent, &edit, old, &inherited);
	caller_leave(&caller);

	set_id(&edit, "company_id", &inherited.company);
	if (parent->has_content)
		set_id(&edit, "content_id", &inherited.content);
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * Raise an error if a child still belongs to something else.  In REPEATABLE READ
 * the updates do not see children that were committed after the snapshot and
 * before the parent was locked; only a new snapshot shows them.
 */
static void
check_children_in_sync(const Parent *parent, const Arguments *args)
{
	if (IsolationUsesXactSnapshot() && statement_execute_with_latest_snapshot(parent->children_out_of_sync, args) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("something was made from it at the same time"),
				 errhint("Repeat the transaction.")));
}

/* Lock a parent and update those children that differ from it. */
static void
propagate_to_children(const Parent *parent, const pg_uuid_t *key, const pg_uuid_t *content, const pg_uuid_t *company)
{
	Arguments	lock = NO_ARGUMENTS;
	Arguments	args = NO_ARGUMENTS;

	argument_uuid(&lock, key);
	statement_execute(parent->lock_for_update, &lock);
	argument_uuid(&args, key);
	argument_uuid(&args, content);
	argument_uuid(&args, company);
	for (int i = 0; i < parent->nreassign; i++)
		statement_execute(&parent->reassign_children[i], &args);
	check_children_in_sync(parent, &args);
}

/*
 * pass_company_on(parent) returns trigger: AFTER UPDATE.
 * Propagates a new company or content of a row to its children, whose own
 * triggers propagate it further.
 */
Datum
pass_company_on(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_UPDATE, 1);
	const Parent *parent = parent_by_name(data->tg_trigger->tgargs[0]);
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	OptionalId	key = row_id(desc, data->tg_newtuple, parent->key),
				content = {false},
				company = row_id(desc, data->tg_newtuple, "company_id");
	Caller		caller;

	if (!restoring() && parent->lock_for_update != NULL && key.known)
	{
		if (parent->has_content)
			content = row_id(desc, data->tg_newtuple, "content_id");
		caller_enter_trigger(&caller);
		propagate_to_children(parent, &key.value, content.known ? &content.value : NULL, company.known ? &company.value : NULL);
		caller_leave(&caller);
	}
	return PointerGetDatum(NULL);
}
