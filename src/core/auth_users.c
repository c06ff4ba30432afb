/*
 * auth_users.c
 *	  The rows of auth.users.
 *
 * Pitfall: auth.users belongs to the auth server.  The table is read as its
 * owner, as the check of a foreign key does.
 *
 * Lock order: a user comes before everything else.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "auth_users.h"
#include "caller.h"
#include "relations.h"
#include "statements.h"

static Statement lock_user_key_share = {
	.force_index_plan = true,
	.text = "SELECT u.raw_user_meta_data ->> 'name' FROM auth.users u WHERE u.id = $1 FOR KEY SHARE",
	.nargs = 1,.argtypes = {UUIDOID}
};

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

/*
 * Lock a user FOR KEY SHARE, so that it is not deleted before the transaction
 * ends; false if there is none.  *name becomes the user's name, NULL if there is
 * none or the owner of the data may not read the table.
 */
bool
user_find(const pg_uuid_t *user_id, char **name)
{
	Oid			relid = get_relname_relid("users", get_namespace_oid("auth", false));
	bool		may_read = pg_class_aclcheck(relid, engine_owner(), ACL_SELECT) == ACLCHECK_OK;
	Arguments	args = NO_ARGUMENTS;
	Caller		self;
	bool		found;

	argument_uuid(&args, user_id);
	become_owner_of_users(&self, relid);
	found = statement_execute(&lock_user_key_share, &args) > 0;
	caller_resume(&self);

	if (found)
		*name = may_read ? result_text(1) : NULL;
	return found;
}

/*
 * Lock a user FOR KEY SHARE, as user_find() does; false if there is none.  To be
 * called before inserting a row with foreign keys to auth.users and to a table
 * whose rows are deleted with the user: the deletion cascades from auth.users
 * down, and locks in that order.
 */
bool
user_lock_key_share(const pg_uuid_t *user_id)
{
	char	   *name;

	return user_find(user_id, &name);
}
