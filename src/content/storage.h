/*
 * storage.h
 *	  Paths of files in the object store.
 */
#ifndef STUDIO_STORAGE_H
#define STUDIO_STORAGE_H

/* characters of a path */
#define MAX_PATH_LENGTH 4096

extern void storage_register(void);
extern bool storage_is_part(const char *part, int length);
extern bool storage_is_path(const char *path, int length);

#endif							/* STUDIO_STORAGE_H */
