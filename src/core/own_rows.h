/*
 * own_rows.h
 *	  What users may say of the identifier, the owner and the times of rows of theirs
 *	  that they write by plain SQL.
 */
#ifndef STUDIO_OWN_ROWS_H
#define STUDIO_OWN_ROWS_H

#include "triggers.h"

extern bool own_row_keeps_time(RowEdit *edit, HeapTuple old, const char *column);

#endif							/* STUDIO_OWN_ROWS_H */
