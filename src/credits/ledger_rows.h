/*
 * ledger_rows.h
 *	  Accounts and the ledger for the fast path: their columns, and the functions
 *	  that run in the place of statements.
 *
 * The ..._fast_path() functions return false, with nothing written, where the
 * statement must run instead.
 */
#ifndef STUDIO_LEDGER_ROWS_H
#define STUDIO_LEDGER_ROWS_H

#include "arguments.h"
#include "layouts.h"

/* columns of credit_accounts, in their order */
enum AccountColumn
{
	ACCOUNT_USER = 1,
	ACCOUNT_BALANCE,
	ACCOUNT_RESERVED,
	ACCOUNT_ENTRIES,
	ACCOUNT_UPDATED
};

/* columns of credit_ledger, in their order */
enum EntryColumn
{
	ENTRY_ID = 1,
	ENTRY_USER,
	ENTRY_TYPE,
	ENTRY_AMOUNT,
	ENTRY_BALANCE_AFTER,
	ENTRY_NOTE,
	ENTRY_JOB,
	ENTRY_PAYMENT,
	ENTRY_CREATED,
	ENTRY_NO,
	ENTRY_KEY,
	ENTRY_EXPIRES,
	ENTRY_REVERSES,
	ENTRY_REFERENCE,
	ENTRY_METADATA,
	ENTRY_PRIORITY,
	ENTRY_TRANSFER
};

#define ENTRY_COLUMNS ENTRY_TRANSFER

extern RowTable accounts_table;
extern RowTable ledger_table;
extern RowTable expiring_table;

extern void ledger_rows_register(void);

extern bool lock_account_fast_path(const Arguments *args, StatementResult *result);
extern bool book_on_account_fast_path(const Arguments *args, StatementResult *result);
extern bool insert_entry_fast_path(const Arguments *args, StatementResult *result);
extern bool select_hold_fast_path(const Arguments *args, StatementResult *result);

#endif							/* STUDIO_LEDGER_ROWS_H */
