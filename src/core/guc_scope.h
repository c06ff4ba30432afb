/*
 * guc_scope.h
 *	  Undoes what user code sets while a function of studio_engine runs.
 */
#ifndef STUDIO_GUC_SCOPE_H
#define STUDIO_GUC_SCOPE_H

/* from caller_enter_... to caller_leave() */
typedef struct GucScope
{
	int			level;			/* GUC nest level; 0: none, no user code has
								 * run */
	int			nest;			/* transaction nest level of the scope */
	struct GucScope *outer;
} GucScope;

/* around code that may run user code */
typedef struct GucProtection
{
	GucScope   *scope;
	int			level;			/* GUC nest level of its own; 0: that of the
								 * scope */
} GucProtection;

extern void guc_scope_begin(GucScope *scope);
extern void guc_scope_set(GucScope *scope, const char *name, const char *value);
extern void guc_scope_end(GucScope *scope);

extern GucScope *guc_scope_current(void);
extern void guc_scope_resume(GucScope *scope);

extern GucProtection guc_protect(void);
extern void guc_unprotect(GucProtection protection);

#endif							/* STUDIO_GUC_SCOPE_H */
