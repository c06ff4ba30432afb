/*
 * auth_users.h
 *	  The rows of auth.users.
 */
#ifndef STUDIO_AUTH_USERS_H
#define STUDIO_AUTH_USERS_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "nodes/pg_list.h"
#include "utils/uuid.h"

/* what a user shows of himself; NULL where he shows none */
typedef struct UserPortrait
{
	char	   *name;
	char	   *picture;		/* its address */
} UserPortrait;

/* who a user is to the auth server; addresses are trimmed and in lower case, or NULL */
typedef struct UserIdentity
{
	bool		anonymous;
	bool		deleted;		/* marked as deleted, and kept */
	char	   *email;
	char	   *next_email;		/* not confirmed yet */
} UserIdentity;

/* what is done where another transaction has the row of a user locked */
typedef enum UserWait
{
	WAIT_FOR_LOCK,
	SKIP_LOCKED
} UserWait;

extern UserPortrait user_portrait(TupleDesc desc, HeapTuple row);
extern UserIdentity user_identity(TupleDesc desc, HeapTuple row);
extern bool user_has_changed(TupleDesc desc, HeapTuple old, HeapTuple new, const char *column);

extern bool user_find(const pg_uuid_t *user_id, UserWait wait, UserPortrait *portrait, UserIdentity *identity);
extern bool user_lock_key_share(const pg_uuid_t *user_id);
extern List *users_after(const pg_uuid_t *user_id, int32 limit);

#endif							/* STUDIO_AUTH_USERS_H */
