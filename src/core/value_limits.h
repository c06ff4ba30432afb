/*
 * value_limits.h
 *	  How large a value may be that is stored in one of our tables.
 */
#ifndef STUDIO_VALUE_LIMITS_H
#define STUDIO_VALUE_LIMITS_H

#include "layouts.h"

/* characters, of four bytes each, of a text whose column may have 8 KiB */
#define MAX_SHORT_LENGTH 2048
/* bytes of what a worker reports, which is cut there */
#define MAX_REPORT_BYTES (64 * 1024)

extern bool limits_allow_json(Datum json, int32 max_bytes);
extern void limits_check_change(RowChange *change, const void *arg);

#endif							/* STUDIO_VALUE_LIMITS_H */
