/*
 * triggers.h
 *	  Common code of row triggers: the row, its columns by name, and edits.
 */
#ifndef STUDIO_TRIGGERS_H
#define STUDIO_TRIGGERS_H

#include "commands/trigger.h"
#include "utils/uuid.h"

#include "compat.h"

/* the largest edits, of rows of the queue, set 8 columns */
#define ROW_EDIT_MAX 16

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

/* events that a trigger function handles */
#define ON_INSERT	0x01
#define ON_UPDATE	0x02
#define ON_DELETE	0x04
#define ON_TRUNCATE	0x08

typedef enum TriggerKind
{
	BEFORE_ROW,
	AFTER_ROW,
	AFTER_STATEMENT,
	BEFORE_ROW_OR_TRUNCATE		/* row level but for TRUNCATE, which has none */
} TriggerKind;

pg_noreturn extern void trigger_refuse_use(void);
extern TriggerData *trigger_data(FunctionCallInfo fcinfo, TriggerKind kind, int events, int nargs);
extern HeapTuple trigger_new_row(const TriggerData *data);
extern HeapTuple trigger_current_row(const TriggerData *data);
extern HeapTuple trigger_result(const TriggerData *data);

extern bool row_has_column(TupleDesc desc, const char *column);
extern Datum row_get(TupleDesc desc, HeapTuple row, const char *column, Oid type, bool *isnull);
extern char *row_get_label(TupleDesc desc, HeapTuple row, const char *column);
extern char *row_get_id(TupleDesc desc, HeapTuple row, const char *column);
extern pg_uuid_t row_get_uuid(TupleDesc desc, HeapTuple row, const char *column);
extern char *row_get_text(TupleDesc desc, HeapTuple row, const char *column);

extern char *row_get_start(TupleDesc desc, HeapTuple row, const char *column, int32 bytes);

extern bool row_same_column(TupleDesc desc, HeapTuple a, HeapTuple b, int number);
extern bool row_same_value(TupleDesc desc, HeapTuple a, HeapTuple b, const char *column);
extern bool row_changed(const RowEdit *edit, HeapTuple old, const char *column, Oid type);
extern bool row_text_changed(const RowEdit *edit, HeapTuple old, const char *column);

extern void row_set_column(RowEdit *edit, int column, Datum value);
extern void row_set_column_null(RowEdit *edit, int column);
extern void row_set(RowEdit *edit, const char *column, Oid type, Datum value);
extern void row_set_null(RowEdit *edit, const char *column);
extern HeapTuple row_edit_apply(RowEdit *edit);

#endif							/* STUDIO_TRIGGERS_H */
