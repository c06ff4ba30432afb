/*
 * drafts.c
 *	  Drafts of prompts, written before sign-up and claimed after it.
 *
 * Pitfall: the token is the only proof of access to a draft, and anonymous
 * callers choose it.  So it has a minimum length, no function returns it, and
 * the size of a draft is limited.
 *
 * Lock order: an advisory lock of the token serializes saving; claims lock the
 * rows in the order of their ids.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "advisory.h"
#include "auth_users.h"
#include "caller.h"
#include "checks.h"
#include "errors.h"
#include "policies.h"
#include "settings.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(save_draft_prompt);
PG_FUNCTION_INFO_V1(get_draft_prompt);
PG_FUNCTION_INFO_V1(claim_draft_prompt);
PG_FUNCTION_INFO_V1(cleanup_expired_drafts);

#define MIN_TOKEN_LENGTH 16
#define MAX_TOKEN_LENGTH 255
/* bytes; rows that save_draft_prompt() did not insert may have longer tokens */
#define MAX_OLD_TOKEN_SIZE 8192
#define MAX_DRAFT_LENGTH 20000
#define MAX_TEMPLATE_LENGTH 255
#define MAX_OPTIONS_SIZE (16 * 1024)

/* drafts of token $1 that can be claimed; of several the one that is saved and shown */
#define OPEN_DRAFTS " FROM @extschema@.draft_prompts d" \
	" WHERE d.session_token = $1 AND d.user_id IS NULL AND d.expires_at > pg_catalog.now()"
#define LATEST_OPEN_DRAFT OPEN_DRAFTS " ORDER BY d.updated_at DESC, d.id LIMIT 1"

static Statement lock_draft = {
	.force_index_plan = true,
	.text = "SELECT d.id" LATEST_OPEN_DRAFT " FOR UPDATE",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement update_draft = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.draft_prompts d"
	"   SET prompt_text = $2, template_id = $3, options = $4, updated_at = pg_catalog.now(),"
	"       expires_at = pg_catalog.now() + pg_catalog.make_interval(days => $5)"
	" WHERE d.id = $1",
	.nargs = 5,.argtypes = {UUIDOID, TEXTOID, TEXTOID, JSONBOID, INT4OID}
};
static Statement insert_draft = {
	.text = "INSERT INTO @extschema@.draft_prompts (session_token, prompt_text, template_id, options, expires_at)"
	" VALUES ($1, $2, $3, $4, pg_catalog.now() + pg_catalog.make_interval(days => $5)) RETURNING id",
	.nargs = 5,.argtypes = {TEXTOID, TEXTOID, TEXTOID, JSONBOID, INT4OID}
};
static Statement select_draft = {
	.force_index_plan = true,
	.text = "SELECT pg_catalog.jsonb_build_object('id', d.id, 'prompt_text', d.prompt_text,"
	"         'template_id', d.template_id, 'options', d.options,"
	"         'created_at', d.created_at, 'updated_at', d.updated_at, 'expires_at', d.expires_at)" LATEST_OPEN_DRAFT,
	.nargs = 1,.argtypes = {TEXTOID}
};

/* the newest first */
static Statement lock_drafts = {
	.force_index_plan = true,
	.text = "WITH locked AS ("
	"  SELECT d.id, d.created_at" OPEN_DRAFTS " ORDER BY d.id FOR UPDATE"
	") SELECT l.id FROM locked l ORDER BY l.created_at DESC, l.id DESC",
	.nargs = 1,.argtypes = {TEXTOID}
};
static Statement claim_draft = {
	.force_index_plan = true,
	.text = "UPDATE @extschema@.draft_prompts d SET user_id = $2, updated_at = pg_catalog.now() WHERE d.id = $1",
	.nargs = 2,.argtypes = {UUIDOID, UUIDOID}
};
static Statement select_draft_row = {
	.force_index_plan = true,
	.text = "SELECT d FROM @extschema@.draft_prompts d WHERE d.id = $1",
	.nargs = 1,.argtypes = {UUIDOID}
};
static const PolicedTable policed_drafts = {.name = "draft_prompts",.select_row = &select_draft_row};
static Statement delete_expired = {
	.text = "DELETE FROM @extschema@.draft_prompts d"
	" WHERE d.id = ANY (ARRAY(SELECT e.id FROM @extschema@.draft_prompts e"
	"                          WHERE e.expires_at <= pg_catalog.now() AND e.user_id IS NULL"
	"                          ORDER BY e.expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))",
	.nargs = 1,.argtypes = {INT4OID}
};

/*
 * Serialize transactions that save a draft with the same token.  In REPEATABLE
 * READ the second one does not see the draft of the first and would insert
 * another: raise an error, so that the caller retries with a new snapshot.
 * SERIALIZABLE detects this itself.
 */
static void
lock_token(const char *token)
{
	Arguments	args = NO_ARGUMENTS;
	uint64		seen;

	advisory_lock(ADVISORY_DRAFT_TOKEN, token, strlen(token));
	if (XactIsoLevel != XACT_REPEATABLE_READ)
		return;
	argument_text(&args, token);
	seen = statement_execute(&select_draft, &args);
	if (statement_execute_with_latest_snapshot(&select_draft, &args) != seen)
		ereport(ERROR,
				(errcode(ERRCODE_STUDIO_CONFLICT),
				 errmsg("draft was saved at the same time"),
				 errhint("Repeat the transaction.")));
}

/* Insert a draft; returns its id. */
static pg_uuid_t
store_draft(const Caller *caller, const Arguments *args)
{
	pg_uuid_t	id;

	statement_execute(&insert_draft, args);
	id = result_uuid(1);
	policies_check_uuid(caller, &policed_drafts, &id, ROW_INSERTED);
	return id;
}

/* Overwrite a draft, with the same arguments but for the first. */
static void
overwrite_draft(const Caller *caller, const pg_uuid_t *id, const Arguments *args)
{
	Arguments	update = *args;

	update.values[0] = UUIDPGetDatum(id);
	policies_check_uuid(caller, &policed_drafts, id, ROW_TO_UPDATE);
	statement_execute(&update_draft, &update);
	policies_check_uuid(caller, &policed_drafts, id, ROW_UPDATED);
}

/*
 * save_draft_prompt(p_session_token text, p_prompt_text text,
 * p_template_id text, p_options jsonb) returns uuid
 */
Datum
save_draft_prompt(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	char	   *token;
	Arguments	key = NO_ARGUMENTS;
	Caller		caller;

	caller_enter_anybody(&caller);
	token = check_text(fcinfo, 0, "p_session_token", MIN_TOKEN_LENGTH, MAX_TOKEN_LENGTH);
	argument_text(&args, token);
	argument_text(&args, check_text(fcinfo, 1, "p_prompt_text", 1, MAX_DRAFT_LENGTH));
	argument_text(&args, check_text(fcinfo, 2, "p_template_id", 0, MAX_TEMPLATE_LENGTH));
	argument_add(&args, JsonbPGetDatum(check_object_or_empty(fcinfo, 3, "p_options", MAX_OPTIONS_SIZE)), false);
	argument_int32(&args, setting_int32(SETTING_DRAFT_LIFETIME_DAYS));

	lock_token(token);
	argument_text(&key, token);
	if (statement_execute(&lock_draft, &key) > 0)
	{
		*id = result_uuid(1);
		overwrite_draft(&caller, id, &args);
	}
	else
		*id = store_draft(&caller, &args);
	caller_leave(&caller);

	PG_RETURN_UUID_P(id);
}

/*
 * get_draft_prompt(p_session_token text) returns jsonb
 */
Datum
get_draft_prompt(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	Datum		draft = (Datum) 0;

	caller_enter_anybody(&caller);
	argument_text(&args, check_text(fcinfo, 0, "p_session_token", MIN_TOKEN_LENGTH, MAX_TOKEN_LENGTH));
	if (statement_execute_read_only(&select_draft, &args) > 0)
		draft = result_jsonb(1);
	caller_leave(&caller);

	if (draft == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(draft);
}

/* Assign the drafts of a token to a user, and return the id of the newest; false if there is none. */
static bool
claim_all(const Caller *caller, Datum token, const pg_uuid_t *user_id, pg_uuid_t *newest)
{
	Arguments	key = NO_ARGUMENTS;
	List	   *ids;
	ListCell   *cell;

	/* no row has a longer token */
	if (toast_raw_datum_size(token) - VARHDRSZ > MAX_OLD_TOKEN_SIZE)
		return false;
	argument_add(&key, token, false);
	ids = statement_execute_uuids(&lock_drafts, &key);
	foreach(cell, ids)
	{
		Arguments	args = NO_ARGUMENTS;

		argument_uuid(&args, lfirst(cell));
		argument_uuid(&args, user_id);
		policies_check_uuid(caller, &policed_drafts, lfirst(cell), ROW_TO_UPDATE);
		statement_execute(&claim_draft, &args);
		policies_check_uuid(caller, &policed_drafts, lfirst(cell), ROW_UPDATED);
	}
	if (ids == NIL)
		return false;
	*newest = *(pg_uuid_t *) linitial(ids);
	return true;
}

/*
 * claim_draft_prompt(p_session_token text, p_user_id uuid) returns uuid
 */
Datum
claim_draft_prompt(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	Datum		token;
	pg_uuid_t	user_id;
	bool		claimed;
	Caller		caller;

	caller_enter_user(&caller);
	check_not_null(fcinfo, 0, "p_session_token");
	token = PG_GETARG_DATUM(0);
	user_id = check_uuid(fcinfo, 1, "p_user_id");
	caller_require_self(&caller, &user_id);
	if (!user_lock_key_share(&user_id))
		refuse_unknown(&caller, "user", &user_id);

	claimed = claim_all(&caller, token, &user_id, id);
	caller_leave(&caller);

	if (!claimed)
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(id);
}

/*
 * cleanup_expired_drafts(p_limit integer) returns integer
 */
Datum
cleanup_expired_drafts(PG_FUNCTION_ARGS)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		caller;
	uint64		deleted;

	caller_enter_service(&caller);
	argument_int32(&args, check_int32(fcinfo, 0, "p_limit", 1, MAX_CLEANUP));
	deleted = statement_execute(&delete_expired, &args);
	caller_leave(&caller);

	PG_RETURN_INT32((int32) deleted);
}
