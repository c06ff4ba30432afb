/*
 * restore.h
 *	  Is a dump being loaded?
 */
#ifndef STUDIO_RESTORE_H
#define STUDIO_RESTORE_H

extern PGDLLIMPORT bool maintenance_mode;

extern bool restoring(void);

#endif							/* STUDIO_RESTORE_H */
