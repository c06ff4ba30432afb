/*
 * guc_scope.h
 *	  Parameters that others' code sets while a function of ours runs.
 */
#ifndef STUDIO_GUC_SCOPE_H
#define STUDIO_GUC_SCOPE_H

/* from caller_enter_... to caller_leave() */
typedef struct GucScope
{
	int			level;			/* 0: none, as nothing of others' has run yet */
	int			nest;			/* of (sub)transactions, where it began */
	struct GucScope *outer;
} GucScope;

/* for a piece of work that may run code of others */
typedef struct GucProtection
{
	GucScope   *scope;
	int			level;			/* of this work alone; 0: that of the scope */
} GucProtection;

extern void guc_scope_begin(GucScope *scope);
extern void guc_scope_set(GucScope *scope, const char *name, const char *value);
extern void guc_scope_end(GucScope *scope);

extern GucScope *guc_scope_current(void);
extern void guc_scope_resume(GucScope *scope);

extern GucProtection guc_protect(void);
extern void guc_unprotect(GucProtection protection);

#endif							/* STUDIO_GUC_SCOPE_H */
