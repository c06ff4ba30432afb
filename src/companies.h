/*
 * companies.h
 *	  Which company a row belongs to, and which ones a caller may see.
 */
#ifndef STUDIO_COMPANIES_H
#define STUDIO_COMPANIES_H

#include "caller.h"
#include "statements.h"

/*
 * SQL: may the caller see rows of this company?  The statement has two
 * arguments for it, which argument_caller() adds: is it a service, and the
 * companies that it sees as a user.
 */
#define SEEN_BY_CALLER(company, service, companies) \
	"(" service " OR " company " = ANY (" companies "))"

extern void argument_caller(Arguments *args, Caller *caller);
extern void check_company(FunctionCallInfo fcinfo, int argno, Caller *caller);

#endif							/* STUDIO_COMPANIES_H */
