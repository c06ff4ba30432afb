/*
 * restore.h
 *	  Whether triggers are skipped, since a dump is being loaded.
 */
#ifndef STUDIO_RESTORE_H
#define STUDIO_RESTORE_H

#include "utils/guc.h"

extern PGDLLIMPORT bool maintenance_mode;

extern bool maintenance_check(bool *newval, void **extra, GucSource source);
extern void maintenance_loaded(void);
extern bool restoring(void);

#endif							/* STUDIO_RESTORE_H */
