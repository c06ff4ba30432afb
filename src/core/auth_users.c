/*
 * auth_users.c
 *	  The rows of auth.users.
 *
 * Pitfall: auth.users belongs to the auth server.  The table is read as its
 * owner, as the check of a foreign key does.  An older auth server, or another
 * one, has not all of the columns: without is_anonymous nobody is anonymous.
 *
 * Lock order: a user comes before everything else.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "auth_users.h"
#include "caller.h"
#include "relations.h"
#include "statements.h"
#include "triggers.h"
#include "value_limits.h"

static Statement lock_user = {
	.force_index_plan = true,
	.text = "SELECT 1 FROM auth.users u WHERE u.id = $1 FOR KEY SHARE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_user = {
	.force_index_plan = true,
	.text = "SELECT u.* FROM auth.users u WHERE u.id = $1 FOR SHARE",
	.nargs = 1,.argtypes = {UUIDOID}
};
static Statement select_unlocked_user = {
	.force_index_plan = true,
	.text = "SELECT u.* FROM auth.users u WHERE u.id = $1 FOR SHARE SKIP LOCKED",
	.nargs = 1,.argtypes = {UUIDOID}
};

static Statement select_users = {
	.force_index_plan = true,
	.text = "SELECT u.id FROM auth.users u WHERE u.id > $1 ORDER BY u.id LIMIT $2",
	.nargs = 2,.argtypes = {UUIDOID, INT4OID}
};

/* the members of raw_user_meta_data in which providers send name and picture, the best first */
static const char *const name_members[] = {"name", "full_name", "user_name", "preferred_username", NULL};
static const char *const picture_members[] = {"avatar_url", "picture", NULL};

/* ------------------------------------------------------------------------
 * What a row says
 * ------------------------------------------------------------------------ */

/* Return a member of an object, if it is a string that is not empty; or NULL. */
static char *
member_text(Jsonb *object, const char *member)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&object->root, member, strlen(member), &value) == NULL ||
		value.type != jbvString || value.val.string.len == 0)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* Return the first of the members that is a string; or NULL. */
static char *
first_text(Jsonb *object, const char *const *members)
{
	char	   *text = NULL;

	for (; text == NULL && *members != NULL; members++)
		text = member_text(object, *members);
	return text;
}

/* Return true if the auth server has marked the user of a row as deleted. */
static bool
row_is_deleted(TupleDesc desc, HeapTuple row)
{
	return row_has_column(desc, "deleted_at") && row_get_id(desc, row, "deleted_at") != NULL;
}

/*
 * Return the name and the picture that the metadata of a row has.  A name is cut;
 * an address that is too long is left out, since half of it leads nowhere.  Of a
 * user who is marked as deleted there is nothing to show: the auth server empties
 * the metadata only in its next statement.
 */
UserPortrait
user_portrait(TupleDesc desc, HeapTuple row)
{
	UserPortrait portrait = {.name = NULL};
	bool		isnull;
	Datum		metadata = row_get(desc, row, "raw_user_meta_data", JSONBOID, &isnull);
	Jsonb	   *object = isnull ? NULL : DatumGetJsonbP(metadata);

	if (object == NULL || !JB_ROOT_IS_OBJECT(object) || row_is_deleted(desc, row))
		return portrait;
	portrait.name = first_text(object, name_members);
	if (portrait.name != NULL)
		portrait.name[pg_mbcharcliplen(portrait.name, strlen(portrait.name), MAX_SHORT_LENGTH)] = '\0';
	portrait.picture = first_text(object, picture_members);
	if (portrait.picture != NULL && pg_mbstrlen(portrait.picture) > MAX_SHORT_LENGTH)
		portrait.picture = NULL;
	return portrait;
}

/*
 * Return a column as an e-mail address, trimmed and in lower case; NULL if the
 * column is missing or has none.  Only ASCII letters are changed, so that the
 * result depends on no locale; the auth server has changed all before.
 */
static char *
row_email(TupleDesc desc, HeapTuple row, const char *column)
{
	char	   *email = row_has_column(desc, column) ? row_get_id(desc, row, column) : NULL;
	size_t		length;

	if (email == NULL)
		return NULL;
	email += strspn(email, " \t\r\n");
	length = strlen(email);
	while (length > 0 && strchr(" \t\r\n", email[length - 1]) != NULL)
		length--;
	email[length] = '\0';
	for (char *c = email; *c != '\0'; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	return length > 0 ? email : NULL;
}

/*
 * Return who the user of a row is.
 */
UserIdentity
user_identity(TupleDesc desc, HeapTuple row)
{
	UserIdentity identity = {
		.email = row_email(desc, row, "email"),
		.next_email = row_email(desc, row, "email_change")
	};
	bool		isnull;

	if (row_has_column(desc, "is_anonymous"))
		identity.anonymous = DatumGetBool(row_get(desc, row, "is_anonymous", BOOLOID, &isnull)) && !isnull;
	identity.deleted = row_is_deleted(desc, row);
	return identity;
}

/*
 * Return true if a column is there and has another stored value in the new row.
 */
bool
user_has_changed(TupleDesc desc, HeapTuple old, HeapTuple new, const char *column)
{
	return row_has_column(desc, column) && !row_same_value(desc, old, new, column);
}

/* ------------------------------------------------------------------------
 * Finding a row
 * ------------------------------------------------------------------------ */

/*
 * Switch to the owner of auth.users, as the check of a foreign key would.  Raises
 * an error if the owner of the data may not have such a foreign key, or if the
 * owner of schema auth, who can put another object in the place of the table,
 * does not have the rights of the table's owner.
 */
static void
become_owner_of_users(Caller *self, Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table auth.users does not exist")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	if (pg_class_aclcheck(relid, engine_owner(), ACL_REFERENCES) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the owner of the data may not refer to auth.users"),
				 errhint("GRANT REFERENCES ON auth.users to the owner of schema studio_engine.")));
	if (!has_privs_of_role(schema_owner(get_namespace_oid("auth", false)), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("schema auth belongs to another role than table auth.users"),
				 errhint("ALTER SCHEMA auth OWNER TO the owner of auth.users, or to a role that has its rights.")));
	caller_become(self, owner);
}

/* Execute one of the statements that lock the row of a user. */
static bool
execute_as_owner_of_users(Statement *statement, Oid relid, const pg_uuid_t *user_id)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		self;
	bool		found;

	argument_uuid(&args, user_id);
	become_owner_of_users(&self, relid);
	found = statement_execute(statement, &args) > 0;
	caller_resume(&self);
	return found;
}

/* Return the OID of auth.users, InvalidOid if there is no such table. */
static Oid
users_relid(void)
{
	return get_relname_relid("users", get_namespace_oid("auth", false));
}

/*
 * Lock a user FOR SHARE, so that it is neither deleted nor marked as deleted before
 * the transaction ends, and read its row; false if there is none, or with SKIP_LOCKED
 * if another transaction has it locked.  The portrait, which ends in a
 * table of the owner of the data, is empty if he may not read auth.users.  Of the
 * identity nothing but a digest is stored.
 */
bool
user_find(const pg_uuid_t *user_id, UserWait wait, UserPortrait *portrait, UserIdentity *identity)
{
	Oid			relid = users_relid();
	bool		may_read = pg_class_aclcheck(relid, engine_owner(), ACL_SELECT) == ACLCHECK_OK;
	TupleDesc	desc;
	HeapTuple	row;

	if (!execute_as_owner_of_users(wait == SKIP_LOCKED ? &select_unlocked_user : &select_user, relid, user_id))
		return false;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	memset(portrait, 0, sizeof(UserPortrait));
	if (may_read)
		*portrait = user_portrait(desc, row);
	*identity = user_identity(desc, row);
	return true;
}

/*
 * Lock a user FOR KEY SHARE, so that it is not deleted before the transaction ends;
 * false if there is none.  To be called before inserting a row with foreign keys to auth.users and to a table
 * whose rows are deleted with the user: the deletion cascades from auth.users
 * down, and locks in that order.
 */
bool
user_lock_key_share(const pg_uuid_t *user_id)
{
	return execute_as_owner_of_users(&lock_user, users_relid(), user_id);
}

/*
 * Return the ids of the users after one, in order of id, as a list of pointers to
 * copies.
 */
List *
users_after(const pg_uuid_t *user_id, int32 limit)
{
	Arguments	args = NO_ARGUMENTS;
	Caller		self;
	List	   *users;

	argument_uuid(&args, user_id);
	argument_int32(&args, limit);
	become_owner_of_users(&self, users_relid());
	users = statement_execute_uuids(&select_users, &args);
	caller_resume(&self);
	return users;
}
