/*
 * limits.h
 *	  How large a value may be that is stored in one of our tables.
 */
#ifndef STUDIO_LIMITS_H
#define STUDIO_LIMITS_H

#include "utils/relcache.h"

#include "triggers.h"

/* characters, of four bytes each, of a text whose column may have 8 KiB */
#define MAX_SHORT_LENGTH 2048
/* bytes of what a worker reports, which is cut there */
#define MAX_REPORT_BYTES (64 * 1024)

extern int64 value_size(Datum value);
extern bool limits_allow_json(Datum json, int32 max_bytes);
extern void limits_check_edit(const char *table, Relation rel, const RowEdit *edit);

#endif							/* STUDIO_LIMITS_H */
