/*
 * triggers.c
 *	  Common code of row triggers: the row, its columns by name, and edits.
 *
 * Pitfall: columns are looked up by name at every call.  Users add columns to
 * our tables and a restore may change their order, so a cached number would have
 * to be invalidated; the look-up takes less than a tenth of a microsecond.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "showing.h"
#include "triggers.h"

/* Return true if a trigger has the timing and level that its function is written for. */
static bool
is_of_kind(TriggerEvent event, TriggerKind kind)
{
	bool		for_row = TRIGGER_FIRED_FOR_ROW(event);

	switch (kind)
	{
		case BEFORE_ROW:
			return TRIGGER_FIRED_BEFORE(event) && for_row;
		case AFTER_ROW:
			return TRIGGER_FIRED_AFTER(event) && for_row;
		case AFTER_STATEMENT:
			return TRIGGER_FIRED_AFTER(event) && !for_row;
		case BEFORE_ROW_OR_TRUNCATE:
			return TRIGGER_FIRED_BEFORE(event) &&
				for_row == !TRIGGER_FIRED_BY_TRUNCATE(event);
	}
	return false;				/* not reached */
}

/* Return true if a trigger was fired by one of the events. */
static bool
is_one_of(TriggerEvent event, int events)
{
	return (TRIGGER_FIRED_BY_INSERT(event) && (events & ON_INSERT)) ||
		(TRIGGER_FIRED_BY_UPDATE(event) && (events & ON_UPDATE)) ||
		(TRIGGER_FIRED_BY_DELETE(event) && (events & ON_DELETE)) ||
		(TRIGGER_FIRED_BY_TRUNCATE(event) && (events & ON_TRUNCATE));
}

/*
 * Raise the error for a trigger function that is called otherwise than by the
 * triggers of studio_engine.
 */
void
trigger_refuse_use(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("trigger function is used in another way than studio_engine does")));
}

/*
 * Return the context of a trigger; raises an error if the function is called
 * otherwise than by the triggers of studio_engine.  Any role with EXECUTE on a
 * trigger function can attach it to a table of its own, so each of them begins
 * with this.
 */
TriggerData *
trigger_data(FunctionCallInfo fcinfo, TriggerKind kind, int events, int nargs)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!is_of_kind(data->tg_event, kind) ||
		!is_one_of(data->tg_event, events) ||
		data->tg_trigger->tgnargs != nargs)
		trigger_refuse_use();
	return data;
}

/*
 * Return the new row of an INSERT or UPDATE; of a DELETE, the old one.
 */
HeapTuple
trigger_new_row(const TriggerData *data)
{
	return TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
}

/* Return true if this transaction has updated or deleted a version of a row. */
static bool
is_superseded(HeapTuple row)
{
	HeapTupleHeader header = row->t_data;

	return !(header->t_infomask & HEAP_XMAX_INVALID) && !HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header));
}

/* Return a copy of the version that an update of this transaction made of a row; NULL if it was deleted. */
static HeapTuple
next_version(Relation rel, HeapTuple row)
{
	ItemPointerData next = row->t_data->t_ctid;
	TupleTableSlot *slot;
	HeapTuple	version = NULL;

	if (ItemPointerEquals(&next, &row->t_self))
		return NULL;
	slot = table_slot_create(rel, NULL);
	if (table_tuple_fetch_row_version(rel, &next, SnapshotAny, slot))
		version = ExecCopySlotHeapTuple(slot);
	ExecDropSingleTupleTableSlot(slot);
	return version;
}

/*
 * Return the inserted row of an AFTER INSERT trigger as it is now; NULL if it is gone.
 * The trigger fires when the whole statement ends, and a function that the statement
 * calls for its RETURNING may have changed or deleted the row before.  The triggers of
 * that change have fired by then.
 */
HeapTuple
trigger_current_row(const TriggerData *data)
{
	HeapTuple	row = data->tg_trigtuple;

	while (row != NULL && is_superseded(row))
		row = next_version(data->tg_relation, row);
	return row;
}

/*
 * Return the result of a trigger that changes nothing.
 */
HeapTuple
trigger_result(const TriggerData *data)
{
	return TRIGGER_FIRED_FOR_ROW(data->tg_event) ? trigger_new_row(data) : NULL;
}

/* Raise the error for a column that is missing or has another type. */
pg_noreturn static void
refuse_column(const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("a column that studio_engine needs is missing or has another type"),
			 errdetail("Column %s.", column)));
}

static int
column_number(TupleDesc desc, const char *column)
{
	int			number = SPI_fnumber(desc, column);

	if (number <= 0)
		refuse_column(column);
	return number;
}

static int
column_of_type(TupleDesc desc, const char *column, Oid type)
{
	int			number = column_number(desc, column);

	if (SPI_gettypeid(desc, number) != type)
		refuse_column(column);
	return number;
}

/*
 * Return true if there is such a column.
 */
bool
row_has_column(TupleDesc desc, const char *column)
{
	return SPI_fnumber(desc, column) > 0;
}

/*
 * Return the value of a column that must have this type.
 */
Datum
row_get(TupleDesc desc, HeapTuple row, const char *column, Oid type, bool *isnull)
{
	return heap_getattr(row, column_of_type(desc, column, type), desc, isnull);
}

/*
 * Return the value of a uuid column; raises an error if that is NULL.
 */
pg_uuid_t
row_get_uuid(TupleDesc desc, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = row_get(desc, row, column, UUIDOID, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in a column that must not be null"),
				 errdetail("Column %s.", column)));
	return *DatumGetUUIDP(value);
}

/*
 * Return the value of a status column, which is an enum or a text; or NULL.
 */
char *
row_get_label(TupleDesc desc, HeapTuple row, const char *column)
{
	int			number = column_number(desc, column);
	Oid			type = TupleDescAttr(desc, number - 1)->atttypid;
	bool		isnull;
	Datum		value = heap_getattr(row, number, desc, &isnull);

	if (type != TEXTOID && !type_is_enum(type))
		refuse_column(column);
	if (isnull)
		return NULL;
	return type == TEXTOID ? TextDatumGetCString(value) : DatumGetCString(DirectFunctionCall1(enum_out, value));
}

/*
 * Return the value of an id column of any type, as text; or NULL.
 */
char *
row_get_id(TupleDesc desc, HeapTuple row, const char *column)
{
	return SPI_getvalue(row, desc, column_number(desc, column));
}

/*
 * Return a copy of the value of a text column; or NULL.
 */
char *
row_get_text(TupleDesc desc, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = row_get(desc, row, column, TEXTOID, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * Return the first bytes of a text column, up to the end of a character; or NULL.
 * A toasted value is fetched no further than that.
 */
char *
row_get_start(TupleDesc desc, HeapTuple row, const char *column, int32 bytes)
{
	bool		isnull;
	Datum		value = row_get(desc, row, column, TEXTOID, &isnull);

	return isnull ? NULL : clip_text(text_to_cstring(DatumGetTextPSlice(value, 0, bytes + MAX_MULTIBYTE_CHAR_LEN)), bytes);
}

/*
 * Return true if two rows have the same stored value in a column, by its number.
 */
bool
row_same_column(TupleDesc desc, HeapTuple a, HeapTuple b, int number)
{
	Form_pg_attribute att = TupleDescAttr(desc, number - 1);
	bool		a_null,
				b_null;
	Datum		a_value = heap_getattr(a, number, desc, &a_null);
	Datum		b_value = heap_getattr(b, number, desc, &b_null);

	return a_null == b_null &&
		(a_null || datumIsEqual(a_value, b_value, att->attbyval, att->attlen));
}

/*
 * Return true if two rows have the same stored value in a column.
 */
bool
row_same_value(TupleDesc desc, HeapTuple a, HeapTuple b, const char *column)
{
	return row_same_column(desc, a, b, column_number(desc, column));
}

/*
 * Return true if the new row has another stored value in a column than the old
 * one.  Never true of a column that the statement does not set; a toasted value
 * that is set to the same value counts as changed.
 */
bool
row_changed(const RowEdit *edit, HeapTuple old, const char *column, Oid type)
{
	return !row_same_column(edit->desc, old, edit->row, column_of_type(edit->desc, column, type));
}

/*
 * Return true if the new row has another text in a column than the old one.  The
 * texts themselves are compared; NULL and the empty text are equal.
 */
bool
row_text_changed(const RowEdit *edit, HeapTuple old, const char *column)
{
	char	   *was,
			   *is;

	if (!row_changed(edit, old, column, TEXTOID))
		return false;
	was = row_get_text(edit->desc, old, column);
	is = row_get_text(edit->desc, edit->row, column);
	return strcmp(was ? was : "", is ? is : "") != 0;
}

/* Add a column to an edit. */
static void
add_edit(RowEdit *edit, int column, Datum value, bool isnull)
{
	if (edit->n >= ROW_EDIT_MAX)
		elog(ERROR, "too many changes to one row");
	edit->columns[edit->n] = column;
	edit->values[edit->n] = value;
	edit->nulls[edit->n] = isnull;
	edit->n++;
}

/*
 * Set a column whose number and type are known.
 */
void
row_set_column(RowEdit *edit, int column, Datum value)
{
	add_edit(edit, column, value, false);
}

/*
 * Set a column whose number is known to NULL.
 */
void
row_set_column_null(RowEdit *edit, int column)
{
	add_edit(edit, column, (Datum) 0, true);
}

/*
 * Set a column, which must have this type.
 */
void
row_set(RowEdit *edit, const char *column, Oid type, Datum value)
{
	add_edit(edit, column_of_type(edit->desc, column, type), value, false);
}

/*
 * Set a column to NULL.
 */
void
row_set_null(RowEdit *edit, const char *column)
{
	add_edit(edit, column_number(edit->desc, column), (Datum) 0, true);
}

/*
 * Return the row with the edit applied; the row itself if nothing is set.
 */
HeapTuple
row_edit_apply(RowEdit *edit)
{
	if (edit->n == 0)
		return edit->row;
	return heap_modify_tuple_by_cols(edit->row, edit->desc, edit->n,
									 edit->columns, edit->values, edit->nulls);
}
