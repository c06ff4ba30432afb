/*
 * ledger_triggers.h
 *	  The triggers of credit_ledger and credit_accounts.
 */
#ifndef STUDIO_LEDGER_TRIGGERS_H
#define STUDIO_LEDGER_TRIGGERS_H

extern void ledger_triggers_register(void);

#endif							/* STUDIO_LEDGER_TRIGGERS_H */
