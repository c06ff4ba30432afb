/*
 * guc_scope.c
 *	  Undoes what user code sets while a function of studio_engine runs.
 *
 * A trigger, a default or an index expression of the owner of the data may SET
 * search_path, and the caller, who may be a superuser, would continue with names
 * of the owner's choice.  So every parameter that is set between
 * caller_enter_...() and caller_leave() is restored.
 *
 * Pitfall: AtEOXact_GUC() visits all parameters.  The fast path runs no user code
 * and so needs no GUC nest level: the level is opened by the first statement that
 * is executed, or the first layout that is built.
 *
 * Pitfall: after an error, current points to the scope of a function that has
 * been left.  Code that continues after a caught error, which is inside of a
 * statement or of in_subtransaction(), makes its own scope the current one.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/guc.h"

#include "guc_scope.h"

static GucScope *current = NULL;

/*
 * Begin a scope, which becomes the current one.
 */
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

/*
 * End a scope: restore the parameters, and make the outer scope the current one.
 */
void
guc_scope_end(GucScope *scope)
{
	if (scope->level > 0)
		AtEOXact_GUC(false, scope->level);
	current = scope->outer;
}

/*
 * Return the current scope, for guc_scope_resume().
 */
GucScope *
guc_scope_current(void)
{
	return current;
}

/*
 * Make a scope the current one, after an error was caught.
 */
void
guc_scope_resume(GucScope *scope)
{
	current = scope;
}

/*
 * Open the GUC nest level of the current scope, before code that may run user
 * code.  The abort of a subtransaction closes the levels that were opened in it,
 * so that there the protected code gets a level of its own.
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

/*
 * Close what guc_protect() opened for this code alone.
 */
void
guc_unprotect(GucProtection protection)
{
	if (protection.level > 0)
		AtEOXact_GUC(false, protection.level);
	current = protection.scope;
}
