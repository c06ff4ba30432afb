/*
 * triggers.h
 *	  What row triggers share: their rows, columns by name, edits.
 */
#ifndef STUDIO_TRIGGERS_H
#define STUDIO_TRIGGERS_H

#include "commands/trigger.h"
#include "utils/uuid.h"

#define ROW_EDIT_MAX 8

/* changes to one row, applied together */
typedef struct RowEdit
{
	TupleDesc	desc;
	HeapTuple	row;
	int			n;
	int			columns[ROW_EDIT_MAX];
	Datum		values[ROW_EDIT_MAX];
	bool		nulls[ROW_EDIT_MAX];
} RowEdit;

extern TriggerData *trigger_data(FunctionCallInfo fcinfo);
extern HeapTuple trigger_new_row(const TriggerData *data);
extern HeapTuple trigger_result(const TriggerData *data);

extern Datum row_get(TupleDesc desc, HeapTuple row, const char *column, bool *isnull);
extern pg_uuid_t row_get_uuid(TupleDesc desc, HeapTuple row, const char *column);
extern char *row_get_text(TupleDesc desc, HeapTuple row, const char *column);

extern void row_set(RowEdit *edit, const char *column, Datum value);
extern void row_set_null(RowEdit *edit, const char *column);
extern HeapTuple row_edit_apply(RowEdit *edit);

#endif							/* STUDIO_TRIGGERS_H */
