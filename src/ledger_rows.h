/*
 * ledger_rows.h
 *	  What the statements on accounts and the ledger do, done to rows.
 */
#ifndef STUDIO_LEDGER_ROWS_H
#define STUDIO_LEDGER_ROWS_H

#include "rows.h"
#include "statements.h"

extern RowTable accounts_table;
extern RowTable ledger_table;
extern RowTable expiring_table;

extern bool select_balance_directly(const Arguments *args, Answer *answer);
extern bool lock_account_directly(const Arguments *args, Answer *answer);
extern bool try_lock_account_directly(const Arguments *args, Answer *answer);
extern bool book_on_account_directly(const Arguments *args, Answer *answer);
extern bool insert_entry_directly(const Arguments *args, Answer *answer);
extern bool select_hold_directly(const Arguments *args, Answer *answer);

#endif							/* STUDIO_LEDGER_ROWS_H */
