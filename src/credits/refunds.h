/*
 * refunds.h
 *	  Refunds, and reversals of payments.
 */
#ifndef STUDIO_REFUNDS_H
#define STUDIO_REFUNDS_H

#include "credits.h"
#include "jobs.h"
#include "ledger.h"

/* the key of an entry that undoes a reversal: this, and the id of the reversal */
#define REINSTATES "reinstates:"

extern void refund_check(const Job *job, int32 amount);

extern void payment_lock(const char *payment_id, Payment *payment, Account *account);
extern int32 payment_reversed(const Payment *payment);
extern void payment_reverse(const Payment *payment, Entry *entry);
extern int32 payment_undo_reversal(const Payment *payment, Entry *entry, const pg_uuid_t *reversal_id);

#endif							/* STUDIO_REFUNDS_H */
