/*
 * guc_scope.c
 *	  What code of the owner of the data sets while a function of ours runs does
 *	  not stay in the session of the caller.
 *
 * A trigger, a default or an index expression may SET search_path, and whoever
 * called us would go on with it: a superuser, with names that are the owner's.
 * So whatever is set between caller_enter_...() and caller_leave() is undone.
 *
 * Pitfall: closing a level of parameters takes a look at all of them.  The fast
 * path runs nothing of others', and so goes without: the level is opened by the
 * first statement, or the first look at a table.
 *
 * Pitfall: an error leaves the current scope pointing to a function that is
 * gone.  Whoever goes on after a caught error, which is inside of a statement or
 * in a subtransaction, takes up his own scope again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/guc.h"

#include "guc_scope.h"

static GucScope *current = NULL;

void
guc_scope_begin(GucScope *scope)
{
	scope->level = 0;
	scope->nest = GetCurrentTransactionNestLevel();
	scope->outer = current;
	current = scope;
}

/*
 * Set a parameter until the scope ends.
 */
void
guc_scope_set(GucScope *scope, const char *name, const char *value)
{
	if (scope->level == 0)
		scope->level = NewGUCNestLevel();
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void
guc_scope_end(GucScope *scope)
{
	if (scope->level > 0)
		AtEOXact_GUC(false, scope->level);
	current = scope->outer;
}

GucScope *
guc_scope_current(void)
{
	return current;
}

/*
 * Go on in a scope, after an error that was caught.
 */
void
guc_scope_resume(GucScope *scope)
{
	current = scope;
}

/*
 * Before code of others may run.  A subtransaction would take a level that the
 * scope is given in it along, so the work has one of its own there.
 */
GucProtection
guc_protect(void)
{
	GucProtection protection = {.scope = current};

	Assert(current != NULL);
	if (current->level > 0)
		return protection;
	if (current->nest == GetCurrentTransactionNestLevel())
		current->level = NewGUCNestLevel();
	else
		protection.level = NewGUCNestLevel();
	return protection;
}

void
guc_unprotect(GucProtection protection)
{
	if (protection.level > 0)
		AtEOXact_GUC(false, protection.level);
	current = protection.scope;
}
