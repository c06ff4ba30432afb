/*
 * auth_users.h
 *	  The rows of auth.users.
 */
#ifndef STUDIO_AUTH_USERS_H
#define STUDIO_AUTH_USERS_H

#include "utils/uuid.h"

extern bool user_find(const pg_uuid_t *user_id, char **name);
extern bool user_lock_key_share(const pg_uuid_t *user_id);

#endif							/* STUDIO_AUTH_USERS_H */
