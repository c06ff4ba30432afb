/*
 * showing.h
 *	  Rows as jsonb, whatever is in them.
 */
#ifndef STUDIO_SHOWING_H
#define STUDIO_SHOWING_H

#include "access/htup.h"
#include "access/tupdesc.h"

/* a row as jsonb */
typedef struct Shown
{
	Datum		row;
	bool		whole;			/* or without what cannot be shown */
	int64		bytes;			/* of its text, about */
} Shown;

extern Shown show_row(HeapTuple row, TupleDesc desc);
extern Datum show_error(Datum error, int32 bytes);
extern Datum row_to_jsonb(HeapTuple row, TupleDesc desc);
extern char *clip_text(char *string, int32 bytes);

#endif							/* STUDIO_SHOWING_H */
