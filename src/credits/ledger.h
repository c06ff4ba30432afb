/*
 * ledger.h
 *	  The account and the ledger.
 *
 * The functions below expect to run between caller_enter_... and caller_leave(),
 * with the job locked before the account where there is a job.
 */
#ifndef STUDIO_LEDGER_H
#define STUDIO_LEDGER_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "compat.h"

#define MAX_NOTE_LENGTH 1000

/* a locked account, as it was when it was read */
typedef struct Account
{
	pg_uuid_t	user_id;
	int32		balance;
	int32		reserved;
	bool		has_expired;	/* lots have expired and are not swept yet */
	bool		has_expired_held;	/* expired lots are held back by holds */
} Account;

/* an entry to be made; NULL pointers are SQL NULLs */
typedef struct Entry
{
	const pg_uuid_t *user_id;
	const char *type;
	int32		amount;
	const char *note;
	const pg_uuid_t *job_id;
	const char *payment_id;
	const char *key;
	const TimestampTz *expires_at;
	const pg_uuid_t *reverses;
	const char *reference;
	const Jsonb *metadata;
	int32		priority;		/* 0 is stored as NULL */
	const pg_uuid_t *transfer_id;
} Entry;

extern bool ledger_lock_account(const pg_uuid_t *user_id, Account *account);
extern void ledger_reread(Account *account);
extern bool ledger_try_lock_account(const pg_uuid_t *user_id);
extern bool ledger_has_account(const pg_uuid_t *user_id);
extern bool ledger_try_lock_payer(const pg_uuid_t *user_id);
extern void ledger_open_account(const pg_uuid_t *user_id, Account *account);
extern void ledger_touch_account(const pg_uuid_t *user_id);
extern void ledger_check_capacity(const Account *account, int32 amount);
extern const Jsonb *ledger_metadata(const char *json);
extern pg_uuid_t ledger_append_to_balance(const Entry *entry, int32 *balance);
extern pg_uuid_t ledger_append_from_lot(const Entry *entry, const Account *account);

/* may_expire is false if the entry is no credit that expires */
typedef void (*AfterEntryFunction) (const pg_uuid_t *user_id, int64 entry_no, bool may_expire);

extern void ledger_register_after_entry(AfterEntryFunction function);
extern pg_uuid_t ledger_append(const Entry *entry);
extern void ledger_book(const pg_uuid_t *user_id, const char *type, int32 amount, int32 *balance, int64 *entry_no);

extern bool ledger_is_appending(void);
extern bool ledger_is_booking(void);
pg_noreturn extern void ledger_refuse_lost_entry(const pg_uuid_t *user_id);

#endif							/* STUDIO_LEDGER_H */
