/*
 * stripe_payments.h
 *	  What is known of payments at Stripe, in rows.
 */
#ifndef STUDIO_STRIPE_PAYMENTS_H
#define STUDIO_STRIPE_PAYMENTS_H

#include "arguments.h"
#include "refunds.h"
#include "stripe_events.h"

/* how the keys of reversals begin that no id of a refund or dispute could name */
#define STRIPE_KEY "stripe:"

extern StripePayment stripe_lock(const List *objects);
extern void stripe_combine(StripePayment *payment, const StripePayment *other);
extern void stripe_store(const StripePayment *payment);
extern void stripe_join_fact(const StripeFact *fact);

extern char *stripe_payment_id(const StripePayment *payment);
extern List *stripe_booked_ids(const StripePayment *payment);
extern int32 stripe_taken(const StripePayment *payment, const PaidCredit *booked);
extern List *stripe_reversals(const StripePayment *payment, const PaidCredit *booked, const char *key);

extern void stripe_lock_user(const pg_uuid_t *user_id);
extern void stripe_delete_user(const pg_uuid_t *user_id);

#endif							/* STUDIO_STRIPE_PAYMENTS_H */
