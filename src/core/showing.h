/*
 * showing.h
 *	  Rows as jsonb, even if to_jsonb() fails for them.
 */
#ifndef STUDIO_SHOWING_H
#define STUDIO_SHOWING_H

#include "access/htup.h"
#include "access/tupdesc.h"

/* a row as jsonb */
typedef struct Shown
{
	Datum		row;
	bool		whole;			/* false: without what cannot be shown */
	int64		bytes;			/* approximate length of its text */
} Shown;

extern Shown show_row(HeapTuple row, TupleDesc desc);
extern Datum show_error(Datum error, int32 bytes);
extern char *clip_text(char *string, int32 bytes);

#endif							/* STUDIO_SHOWING_H */
