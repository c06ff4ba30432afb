/*
 * refunds.h
 *	  Refunds, and reversals of payments.
 */
#ifndef STUDIO_REFUNDS_H
#define STUDIO_REFUNDS_H

#include "nodes/pg_list.h"

#include "jobs.h"
#include "ledger.h"

/* the key of an entry that undoes a reversal: this, and the id of the reversal */
#define REINSTATES "reinstates:"

/* a lot that has credit of a payment */
typedef struct PaymentPart
{
	pg_uuid_t	lot_id;
	pg_uuid_t	user_id;
	bool		expires;
	TimestampTz expires_at;		/* if expires */
	int32		left;			/* neither reversed, voided nor transferred;
								 * spent or not */
	int32		taken;			/* by the reversal that is made */
} PaymentPart;

/* a payment, with the lots that have its credit */
typedef struct PaidCredit
{
	const char *payment_id;
	const char *type;			/* of its entry */
	int32		amount;
	int32		left;			/* of all parts */
	bool		has_entry;		/* its own entry is there */
	bool		is_whole;		/* no user who had some of it is deleted */
	List	   *parts;			/* of PaymentPart; its own entry first, unless
								 * that is deleted */
} PaidCredit;

extern void refund_check(const Job *job, int32 amount);
extern bool payment_find_and_lock(const char *payment_id, PaidCredit *payment);
extern PaymentPart *payment_first_part(const PaidCredit *payment);
extern int32 payment_reversed(const PaidCredit *payment);
extern int32 payment_undo(const PaidCredit *payment, const pg_uuid_t *reversal_id, const char *note);
extern void payment_reverse(const PaidCredit *payment, int32 amount, const char *note, const char *key);

#endif							/* STUDIO_REFUNDS_H */
