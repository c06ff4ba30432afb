/*
 * value_limits.h
 *	  How large a value may be that is stored in one of our tables.
 */
#ifndef STUDIO_VALUE_LIMITS_H
#define STUDIO_VALUE_LIMITS_H

#include "layouts.h"

/* characters of a text whose column is limited to 8 KiB, with four bytes each */
#define MAX_SHORT_LENGTH 2048
/* bytes of the report of a worker, which is truncated to that */
#define MAX_REPORT_BYTES (64 * 1024)

extern bool limits_allow_json(Datum json, int32 max_bytes);
extern void limits_check_change(RowChange *change, const void *arg);

#endif							/* STUDIO_VALUE_LIMITS_H */
