/*
 * own_rows.c
 *	  What users may say of the identifier, the owner and the times of rows of theirs
 *	  that they write by plain SQL.
 *
 * Clients send whole rows back, so the grants let users name these columns.  The
 * triggers here see to it that an update leaves them as they are, and that a new
 * row belongs to the user who inserts it and is created now.  Services may write
 * what they want.
 *
 * Pitfall: of INSERT ... ON CONFLICT DO UPDATE, a BEFORE INSERT trigger fires also
 * for a proposed row that then becomes an update, an AFTER INSERT trigger only for
 * rows that are new.  A whole row that is sent back proposes its old creation time,
 * so that the time of a new row is checked afterwards.  What BEFORE INSERT makes of
 * the proposed time is what BEFORE UPDATE then sees.
 *
 * Locks: none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "caller.h"
#include "errors.h"
#include "own_rows.h"
#include "restore.h"

PG_FUNCTION_INFO_V1(keep_own_row);
PG_FUNCTION_INFO_V1(check_new_own_row);

#define CREATED "created_at"
#define UPDATED "updated_at"

/* how far the clock of a client may be off when it sends the present time */
#define MAX_SKEW (5 * USECS_PER_MINUTE)

/* what is lost of a time in a client that counts milliseconds */
#define MAX_LOSS INT64CONST(1000)

/* Return true if a time is the present one, as far as clocks agree. */
static bool
is_about_now(TimestampTz time)
{
	return time >= GetCurrentTransactionStartTimestamp() - MAX_SKEW && time <= GetCurrentTimestamp() + MAX_SKEW;
}

/*
 * Return true if an update leaves a time as it is.  One that only lost its
 * microseconds in the client counts as the same; the edit then restores them.
 */
bool
own_row_keeps_time(RowEdit *edit, HeapTuple old, const char *column)
{
	bool		was_null,
				is_null;
	TimestampTz was = DatumGetTimestampTz(row_get(edit->desc, old, column, TIMESTAMPTZOID, &was_null));
	TimestampTz is = DatumGetTimestampTz(row_get(edit->desc, edit->row, column, TIMESTAMPTZOID, &is_null));

	if (was_null || is_null)
		return was_null == is_null;
	if (was == is)
		return true;
	if (TIMESTAMP_NOT_FINITE(was) || is <= was - MAX_LOSS || is >= was + MAX_LOSS)
		return false;
	row_set(edit, column, TIMESTAMPTZOID, TimestampTzGetDatum(was));
	return true;
}

/*
 * Return true if the new creation time is what begin_row() made of that of a row
 * which is only minutes old; the edit then restores the latter.
 */
static bool
restores_recent_time(RowEdit *edit, HeapTuple old)
{
	bool		was_null,
				is_null;
	Datum		was = row_get(edit->desc, old, CREATED, TIMESTAMPTZOID, &was_null);
	Datum		is = row_get(edit->desc, edit->row, CREATED, TIMESTAMPTZOID, &is_null);

	if (is_null || DatumGetTimestampTz(is) != GetCurrentTransactionStartTimestamp())
		return false;
	if (was_null)
		row_set_null(edit, CREATED);
	else if (is_about_now(DatumGetTimestampTz(was)))
		row_set(edit, CREATED, TIMESTAMPTZOID, was);
	else
		return false;
	return true;
}

/* Raise an error if an update changes the identifier, the owner or the creation time. */
static void
keep_row(RowEdit *edit, HeapTuple old, const char *id, const char *owner)
{
	if (!row_same_value(edit->desc, old, edit->row, id))
		refuse_column(id);
	if (!row_same_value(edit->desc, old, edit->row, owner))
		refuse_column(owner);
	if (!own_row_keeps_time(edit, old, CREATED) && !restores_recent_time(edit, old))
		refuse_column(CREATED);
}

/*
 * Raise an error if a row belongs to another user than the one who calls.  The
 * policies say the same, and do not name the column.
 */
static void
require_own(const RowEdit *edit, const char *owner)
{
	bool		isnull;
	Datum		value = row_get(edit->desc, edit->row, owner, UUIDOID, &isnull);

	if (caller_is_another_user(isnull ? NULL : DatumGetUUIDP(value)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("not allowed"),
				 errdetail("Column %s must be the user who calls.", owner),
				 errhint("Send the id of the signed-in user, which auth.uid() returns.")));
}

/*
 * Check a row that is inserted, or proposed, and set its times: to now where the
 * client left them empty or sent what its own clock says.
 */
static void
begin_row(RowEdit *edit, const char *owner)
{
	Datum		now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	bool		isnull;
	Datum		created = row_get(edit->desc, edit->row, CREATED, TIMESTAMPTZOID, &isnull);

	require_own(edit, owner);
	if (isnull || is_about_now(DatumGetTimestampTz(created)))
		row_set(edit, CREATED, TIMESTAMPTZOID, now);
	if (row_has_column(edit->desc, UPDATED))
		row_set(edit, UPDATED, TIMESTAMPTZOID, now);
}

/*
 * keep_own_row(id, owner) returns trigger: BEFORE INSERT OR UPDATE.
 */
Datum
keep_own_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 2);
	const char *id = data->tg_trigger->tgargs[0];
	const char *owner = data->tg_trigger->tgargs[1];
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};

	if (restoring() || caller_is_service())
		return PointerGetDatum(edit.row);
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		begin_row(&edit, owner);
	else
		keep_row(&edit, data->tg_trigtuple, id, owner);
	return PointerGetDatum(row_edit_apply(&edit));
}

/*
 * check_new_own_row() returns trigger: AFTER INSERT.
 */
Datum
check_new_own_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, AFTER_ROW, ON_INSERT, 0);
	bool		isnull;
	Datum		created;

	if (restoring() || caller_is_service())
		return PointerGetDatum(NULL);
	created = row_get(RelationGetDescr(data->tg_relation), data->tg_trigtuple, CREATED, TIMESTAMPTZOID, &isnull);
	if (!isnull && !is_about_now(DatumGetTimestampTz(created)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("not allowed"),
				 errdetail("Column %s of a new row must be the present time.", CREATED),
				 errhint("Leave the column out.")));
	return PointerGetDatum(NULL);
}
