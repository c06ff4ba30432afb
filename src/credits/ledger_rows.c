/*
 * ledger_rows.c
 *	  Accounts and the ledger for the fast path: what the statements of ledger.c
 *	  and holds.c do, done to rows without SQL.
 *
 * Pitfall: no trigger fires here.  An entry is booked by the callback that
 * ledger_triggers.c registers for the trigger enter_in_ledger(), and rows_insert()
 * runs it.
 *
 * Lock order: job, then account.  An entry that names a job is made under the
 * lock of that job, and every entry under that of the account, so that neither
 * can be deleted before the entry is stored.  So the foreign keys need no check.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "ledger_rows.h"
#include "value_limits.h"
#include "rows.h"
#include "triggers.h"
#include "uuids.h"

static const RowColumn account_columns[] = {
	[ACCOUNT_USER - 1] = {"user_id", UUIDOID, NULL},
	[ACCOUNT_BALANCE - 1] = {"balance", INT4OID, NULL},
	[ACCOUNT_RESERVED - 1] = {"reserved", INT4OID, NULL},
	[ACCOUNT_ENTRIES - 1] = {"entries", INT8OID, NULL},
	[ACCOUNT_UPDATED - 1] = {"updated_at", TIMESTAMPTZOID, NULL}
};

/* the column is never written, so that there is nothing to check */
static const RowParent account_parents[] = {{ACCOUNT_USER, "auth", "users", "id"}};

RowTable	accounts_table = {
	.name = "credit_accounts",
	.columns = account_columns,.ncolumns = lengthof(account_columns),
	.parents = account_parents,.nparents = lengthof(account_parents),
	.lookups = {{.name = "credit_accounts_pkey",.nkeys = 1,.columns = {ACCOUNT_USER},.equals = {F_UUID_EQ}}},
	.updates = true
};

static const RowColumn entry_columns[] = {
	[ENTRY_ID - 1] = {"id", UUIDOID, NULL},
	[ENTRY_USER - 1] = {"user_id", UUIDOID, NULL},
	[ENTRY_TYPE - 1] = {"type", TEXTOID, NULL},
	[ENTRY_AMOUNT - 1] = {"amount", INT4OID, NULL},
	[ENTRY_BALANCE_AFTER - 1] = {"balance_after", INT4OID, NULL},
	[ENTRY_NOTE - 1] = {"note", TEXTOID, NULL},
	[ENTRY_JOB - 1] = {"job_id", UUIDOID, NULL},
	[ENTRY_PAYMENT - 1] = {"stripe_payment_id", TEXTOID, NULL},
	[ENTRY_CREATED - 1] = {"created_at", TIMESTAMPTZOID, NULL},
	[ENTRY_NO - 1] = {"entry_no", INT8OID, NULL},
	[ENTRY_KEY - 1] = {"idempotency_key", TEXTOID, NULL},
	[ENTRY_EXPIRES - 1] = {"expires_at", TIMESTAMPTZOID, NULL},
	[ENTRY_REVERSES - 1] = {"reverses", UUIDOID, NULL},
	[ENTRY_REFERENCE - 1] = {"reference", TEXTOID, NULL},
	[ENTRY_METADATA - 1] = {"metadata", JSONBOID, NULL},
	[ENTRY_PRIORITY - 1] = {"priority", INT4OID, NULL},
	[ENTRY_TRANSFER - 1] = {"transfer_id", UUIDOID, NULL}
};

static const RowTrigger entry_triggers[] = {
	{.name = "00_credit_ledger_limits",
		.definition = "BEFORE INSERT OR UPDATE ON %.credit_ledger FOR EACH ROW "
		"EXECUTE FUNCTION studio_engine.limit_values('credit_ledger')",
	.before = limits_check_change}
};

/* both are locked before an entry is made, which is what the check would do */
static const RowParent entry_parents[] = {{ENTRY_USER, NULL, "credit_accounts", "user_id"}, {ENTRY_JOB, NULL, "jobs", "id"}};

static const RowDefault entry_defaults[] = {{ENTRY_ID, F_GEN_RANDOM_UUID}, {ENTRY_CREATED, F_NOW}};

/* positions among the lookups of credit_ledger and of expiring_credits */
#define BY_JOB 0
#define BY_USER 0

RowTable	ledger_table = {
	.name = "credit_ledger",
	.columns = entry_columns,.ncolumns = lengthof(entry_columns),
	.defaults = entry_defaults,.ndefaults = lengthof(entry_defaults),
	.parents = entry_parents,.nparents = lengthof(entry_parents),
	.lookups = {{.name = "idx_credit_job",.nkeys = 1,.columns = {ENTRY_JOB},.equals = {F_UUID_EQ}}},
	.inserts = true
};

/* columns of studio_engine.expiring_credits, in their order */
enum ExpiringColumn
{
	EXPIRING_ENTRY = 1,
	EXPIRING_USER,
	EXPIRING_EXPIRES,
	EXPIRING_HELD_BACK
};

static const RowColumn expiring_columns[] = {
	[EXPIRING_ENTRY - 1] = {"entry_id", UUIDOID, NULL},
	[EXPIRING_USER - 1] = {"user_id", UUIDOID, NULL},
	[EXPIRING_EXPIRES - 1] = {"expires_at", TIMESTAMPTZOID, NULL},
	[EXPIRING_HELD_BACK - 1] = {"held_back", BOOLOID, NULL}
};

static const RowParent expiring_parents[] = {{EXPIRING_USER, NULL, "credit_accounts", "user_id"}};

RowTable	expiring_table = {
	.schema = "studio_engine",.name = "expiring_credits",
	.columns = expiring_columns,.ncolumns = lengthof(expiring_columns),
	.parents = expiring_parents,.nparents = lengthof(expiring_parents),
	.lookups = {{.name = "idx_expiring_credits_user",.nkeys = 1,.columns = {EXPIRING_USER},.equals = {F_UUID_EQ}}}
};

/*
 * Register the callback for the trigger of credit_ledger whose function is in a
 * folder below.
 */
void
ledger_rows_register(void)
{
	layout_register_triggers(&ledger_table, entry_triggers, lengthof(entry_triggers));
}

/* ------------------------------------------------------------------------
 * Accounts
 * ------------------------------------------------------------------------ */

/* Find and lock the account of the user in the first argument; false if there is none. */
static bool
find_and_lock_account(Row *row, const Arguments *args)
{
	return rows_find(row, args->values) &&
		rows_lock_key(row, args->values, LockTupleNoKeyExclusive, LockWaitBlock);
}

/* Add has_expired and has_expired_held of an Account to the result. */
static void
result_add_expiry(Row *expiring, const Arguments *args, StatementResult *result)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		has_expired = false,
				has_expired_held = false;
	RowScan		scan;

	rows_scan(expiring, BY_USER, 1, args->values, &scan);
	while (rows_next(&scan))
	{
		if (rows_int64(expiring, EXPIRING_EXPIRES) > now)
			continue;
		if (rows_bool(expiring, EXPIRING_HELD_BACK))
			has_expired_held = true;
		else
			has_expired = true;
	}
	rows_scan_end(&scan);
	result_add_bool(result, has_expired);
	result_add_bool(result, has_expired_held);
}

/*
 * In the place of the statement lock_account, ledger.c.
 */
bool
lock_account_fast_path(const Arguments *args, StatementResult *result)
{
	Row			row,
				expiring;

	if (!rows_open(&expiring_table, AccessShareLock, &expiring))
		return false;
	if (!rows_open(&accounts_table, RowShareLock, &row))
	{
		rows_close(&expiring);
		return false;
	}
	if (find_and_lock_account(&row, args))
	{
		result_add_int32(result, rows_int32(&row, ACCOUNT_BALANCE));
		result_add_int32(result, rows_int32(&row, ACCOUNT_RESERVED));
		result_add_expiry(&expiring, args, result);
		result->found = 1;
	}
	rows_close(&row);
	rows_close(&expiring);
	return true;
}

/* Book an amount on a locked account; false where the statement must run, which also raises overflows. */
static bool
book_on_row(Row *row, int32 amount, int32 reserved, StatementResult *result)
{
	RowEdit		edit = {.desc = RelationGetDescr(row->rel),.row = rows_tuple(row)};
	int64		entries = rows_int64(row, ACCOUNT_ENTRIES) + 1;
	int32		balance;

	if (pg_add_s32_overflow(rows_int32(row, ACCOUNT_BALANCE), amount, &balance) ||
		pg_add_s32_overflow(rows_int32(row, ACCOUNT_RESERVED), reserved, &reserved))
		return false;

	row_set_column(&edit, ACCOUNT_BALANCE, Int32GetDatum(balance));
	row_set_column(&edit, ACCOUNT_RESERVED, Int32GetDatum(reserved));
	row_set_column(&edit, ACCOUNT_ENTRIES, Int64GetDatum(entries));
	row_set_column(&edit, ACCOUNT_UPDATED, TimestampTzGetDatum(GetCurrentTimestamp()));
	if (!rows_update(row, &edit))
		return false;
	result_add_int32(result, balance);
	result_add_int64(result, entries);
	return true;
}

/*
 * In the place of the statement book_on_account, ledger.c.  A row with foreign
 * key checks pending is left to the statement.
 */
bool
book_on_account_fast_path(const Arguments *args, StatementResult *result)
{
	Row			row;
	bool		done = true;

	if (!rows_open_for_write(&accounts_table, CMD_UPDATE, &row))
		return false;
	result->found = find_and_lock_account(&row, args) ? 1 : 0;
	if (result->found > 0)
		done = !rows_have_pending_fk_checks(&row) && book_on_row(&row, DatumGetInt32(args->values[1]), DatumGetInt32(args->values[2]), result);
	rows_close(&row);
	return done;
}

/* ------------------------------------------------------------------------
 * The ledger
 * ------------------------------------------------------------------------ */

/* the columns that the arguments of the statement are for, in their order */
static const AttrNumber entry_arguments[] = {
	ENTRY_USER, ENTRY_TYPE, ENTRY_AMOUNT, ENTRY_NOTE, ENTRY_JOB, ENTRY_PAYMENT, ENTRY_KEY, ENTRY_EXPIRES, ENTRY_REVERSES,
	ENTRY_REFERENCE, ENTRY_METADATA, ENTRY_PRIORITY, ENTRY_TRANSFER
};

/*
 * In the place of the statement insert_entry, ledger.c.  The columns that the
 * trigger enter_in_ledger() sets are set by its callback; the second column of
 * the result is true since no foreign trigger can have changed the row.
 */
bool
insert_entry_fast_path(const Arguments *args, StatementResult *result)
{
	pg_uuid_t	id = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	Datum		values[ENTRY_COLUMNS] = {0};
	bool		nulls[ENTRY_COLUMNS] = {false};
	Row			row;
	bool		done;

	if (!rows_open_for_write(&ledger_table, CMD_INSERT, &row))
		return false;
	for (int i = 0; i < (int) lengthof(entry_arguments); i++)
	{
		values[entry_arguments[i] - 1] = args->values[i];
		nulls[entry_arguments[i] - 1] = args->nulls[i] == 'n';
	}
	values[ENTRY_ID - 1] = UUIDPGetDatum(&id);
	values[ENTRY_CREATED - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	done = rows_insert(&row, values, nulls);
	rows_close(&row);

	result_add_uuid(result, id);
	result_add_bool(result, true);
	result_add_datum(result, values[ENTRY_BALANCE_AFTER - 1]);
	result_add_datum(result, values[ENTRY_NO - 1]);
	result->found = 1;
	return done;
}

/* ------------------------------------------------------------------------
 * The hold of a job
 * ------------------------------------------------------------------------ */

/* sums over the entries of a job; see Hold in holds.c */
typedef struct HoldSum
{
	int64		open;
	int64		charged;
	int64		last_no;		/* entry_no of the last hold; 0: none */
	int32		taken;			/* its amount */
	pg_uuid_t	last_id;
	Datum		metadata;		/* of it, a copy */
	bool		has_metadata;
	bool		used;			/* there are usage entries */
} HoldSum;

/* Return true if the current entry has this type. */
static bool
is_of_type(Row *row, const char *type)
{
	bool		isnull;
	Datum		datum = rows_get(row, ENTRY_TYPE, &isnull);
	text	   *value = isnull ? NULL : DatumGetTextPP(datum);
	size_t		length = strlen(type);

	return value != NULL && VARSIZE_ANY_EXHDR(value) == length && memcmp(VARDATA_ANY(value), type, length) == 0;
}

/* Copy the metadata of the current entry. */
static void
copy_metadata(Row *row, HoldSum *sum)
{
	bool		isnull;
	Datum		metadata = rows_get(row, ENTRY_METADATA, &isnull);

	sum->has_metadata = !isnull;
	if (!isnull)
		sum->metadata = PointerGetDatum(PG_DETOAST_DATUM_COPY(metadata));
}

/* Add the current entry, a reserve, to the sums. */
static void
add_reserve(Row *row, HoldSum *sum)
{
	int32		amount = rows_int32(row, ENTRY_AMOUNT);
	int64		entry_no = rows_int64(row, ENTRY_NO);

	sum->open -= amount;
	if (amount < 0 && entry_no > sum->last_no)
	{
		sum->last_no = entry_no;
		sum->taken = -amount;
		sum->last_id = rows_uuid(row, ENTRY_ID);
		copy_metadata(row, sum);
	}
}

/* Return true if the current entry is of this user. */
static bool
is_entry_of_user(Row *row, Datum user_id)
{
	pg_uuid_t	user = rows_uuid(row, ENTRY_USER);

	return uuid_equal(&user, DatumGetUUIDP(user_id));
}

/* Sum the reserve entries, and find out whether there are usage entries. */
static void
sum_reserves(Row *row, const Arguments *args, HoldSum *sum)
{
	RowScan		scan;

	rows_scan(row, BY_JOB, 1, args->values, &scan);
	while (rows_next(&scan))
	{
		if (!is_entry_of_user(row, args->values[1]))
			continue;
		if (is_of_type(row, "reserve"))
			add_reserve(row, sum);
		else if (is_of_type(row, "usage"))
			sum->used = true;
	}
	rows_scan_end(&scan);
}

/* Sum what was charged since the last hold was taken; needs last_no. */
static void
sum_usage(Row *row, const Arguments *args, HoldSum *sum)
{
	RowScan		scan;

	rows_scan(row, BY_JOB, 1, args->values, &scan);
	while (rows_next(&scan))
	{
		if (is_entry_of_user(row, args->values[1]) && is_of_type(row, "usage") &&
			rows_int64(row, ENTRY_NO) > sum->last_no)
			sum->charged -= rows_int32(row, ENTRY_AMOUNT);
	}
	rows_scan_end(&scan);
}

/*
 * In the place of the statement select_hold, holds.c.
 */
bool
select_hold_fast_path(const Arguments *args, StatementResult *result)
{
	Row			row;
	HoldSum		sum = {.open = 0};

	if (!rows_open(&ledger_table, AccessShareLock, &row))
		return false;
	sum_reserves(&row, args, &sum);
	if (sum.used && sum.last_no > 0)
		sum_usage(&row, args, &sum);
	rows_close(&row);

	/* the statement raises the error */
	if (sum.open != (int32) sum.open)
		return false;
	result_add_int32(result, (int32) sum.open);
	result_add_int32(result, sum.taken);
	if (sum.last_no > 0)
		result_add_uuid(result, sum.last_id);
	else
		result_add_null(result);
	result_add_int64(result, sum.charged);
	if (sum.has_metadata)
		result_add_datum(result, sum.metadata);
	else
		result_add_null(result);
	result->found = 1;
	return true;
}
