/*
 * caller.h
 *	  Who calls a function, whether they may, and the switch to the owner of the
 *	  data.
 */
#ifndef STUDIO_CALLER_H
#define STUDIO_CALLER_H

#include "utils/uuid.h"

#include "compat.h"
#include "guc_scope.h"

typedef struct Caller
{
	bool		service;		/* may act for any user */
	bool		known;			/* uid is set: a signed-in user */
	pg_uuid_t	uid;
	Oid			saved_user;		/* to return to */
	int			saved_context;
	GucScope	settings;
	struct StatementResult *saved_result;
} Caller;

extern bool caller_is_service(void);
extern bool caller_is_another_user(const pg_uuid_t *user_id);

extern void caller_enter_self(Caller *caller);
extern void caller_enter_anybody(Caller *caller);
extern void caller_enter_service(Caller *caller);
extern void caller_enter_administrator(Caller *caller);
extern void caller_enter_user(Caller *caller);
extern void caller_enter_trigger(Caller *caller);
extern void caller_leave(Caller *caller);

extern void caller_become(Caller *caller, Oid role);
extern void caller_resume(const Caller *caller);

extern void caller_require_self(const Caller *caller, const pg_uuid_t *user_id);
pg_noreturn extern void refuse_unknown(const Caller *caller, const char *what, const pg_uuid_t *id);
pg_noreturn extern void refuse_unknown_text(const Caller *caller, const char *what, const char *id);

#endif							/* STUDIO_CALLER_H */
