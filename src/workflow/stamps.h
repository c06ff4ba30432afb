/*
 * stamps.h
 *	  Columns that a status change sets in its row.
 */
#ifndef STUDIO_STAMPS_H
#define STUDIO_STAMPS_H

#include "triggers.h"

/* old is NULL for a new row; from = to if the status does not change */
extern void stamp_job(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_step(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_studio_job(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_run(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_content(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_enhancement(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_session(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_narration(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_script(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_render(RowEdit *edit, HeapTuple old, int from, int to);
extern void stamp_none(RowEdit *edit, HeapTuple old, int from, int to);

#endif							/* STUDIO_STAMPS_H */
