/*
 * companies.h
 *	  Which company a row belongs to, and which ones a caller may see.
 */
#ifndef STUDIO_COMPANIES_H
#define STUDIO_COMPANIES_H

#include "caller.h"
#include "statements.h"

/*
 * SQL condition: true if the caller may see rows of a company.  The statement has
 * two arguments for it, which argument_caller() adds: true for a service, and the
 * array of the companies of a user.
 */
#define SEEN_BY_CALLER(company, service, companies) \
	"(" service " OR " company " = ANY (" companies "))"

/*
 * SQL columns: lock the parents of a row FOR KEY SHARE, in a SELECT that locks
 * the row itself.  They are computed in the order in which they are written, and
 * before the row is locked, which gives the lock order of companies.c.
 */
#define LOCK_COMPANY_KEY_SHARE(column) \
	"(SELECT 1 FROM @extschema@.companies k WHERE k.id = " column " FOR KEY SHARE)"
#define LOCK_CONTENT_KEY_SHARE(column) \
	"(SELECT 1 FROM @extschema@.cm_module_content k WHERE k.content_id = " column " FOR KEY SHARE)"
#define LOCK_SESSION_KEY_SHARE(column) \
	"(SELECT 1 FROM @extschema@.mm_multimedia_sessions k WHERE k.session_id = " column " FOR KEY SHARE)"

extern void argument_caller(Arguments *args, Caller *caller);
extern bool companies_lock_content_key_share(const pg_uuid_t *content_id);
extern void check_company(Caller *caller, const pg_uuid_t *company_id);

#endif							/* STUDIO_COMPANIES_H */
