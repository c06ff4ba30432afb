/*
 * limits.h
 *	  How large a value may be that is stored in one of our tables.
 */
#ifndef STUDIO_LIMITS_H
#define STUDIO_LIMITS_H

#include "utils/jsonb.h"
#include "utils/relcache.h"

#include "triggers.h"

/* characters, of four bytes each, of a text whose column may have 8 KiB */
#define MAX_SHORT_LENGTH 2048
/* bytes of what a worker reports, which is cut there */
#define MAX_REPORT_BYTES (64 * 1024)

/* a number of jsonb, as it is printed */
#define MAX_DIGITS 400

typedef struct JsonMeasure
{
	int64		bytes;			/* of its text */
	int			depth;
	int			digits;			/* of its longest number */
} JsonMeasure;

extern int64 value_size(Datum value);
extern JsonMeasure json_measure(Jsonb *json, int64 max_bytes, int max_depth);
extern bool limits_allow_json(Datum json, int32 max_bytes);
extern void limits_check_edit(const char *table, Relation rel, const RowEdit *edit);

#endif							/* STUDIO_LIMITS_H */
