/*
 * stripe_events.h
 *	  Events of Stripe, taken apart.
 */
#ifndef STUDIO_STRIPE_EVENTS_H
#define STUDIO_STRIPE_EVENTS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* the longest identifier */
#define MAX_STRIPE_ID 255

/* a part of a payment */
typedef struct StripeObject
{
	const char *id;
	const char *kind;
} StripeObject;

/* what is known of a payment */
typedef struct StripePayment
{
	const char *root;			/* the object that knows it */
	bool		has_user;
	pg_uuid_t	user_id;		/* if has_user */
	int32		credits;		/* 0: unknown */
	bool		subscription;
	bool		paid;
	int64		total;			/* 0: unknown, or nothing */
	const char *currency;		/* NULL: unknown */
	bool		expires;
	TimestampTz expires_at;		/* if expires */
} StripePayment;

/* what is known of money that goes back */
typedef struct StripeFact
{
	const char *id;				/* NULL: there is none */
	const char *object;			/* the payment intent or charge */
	const char *kind;
	int64		amount;
	const char *currency;
	int32		phase;
	bool		stands;
	int64		at;				/* of the event */
	int64		made_at;
} StripeFact;

/* what an event says */
typedef struct StripeEvent
{
	const char *id;
	const char *type;
	const char *object_id;
	List	   *objects;		/* of StripeObject; NIL: the event is ignored */
	StripePayment payment;
	int32		listed_credits; /* by the prices of its lines, where nothing
								 * else says how many */
	const char *customer;		/* NULL: unknown */
	StripeFact	fact;
} StripeEvent;

extern void stripe_events_register(void);
extern StripeEvent *stripe_event_read(Jsonb *value);

#endif							/* STUDIO_STRIPE_EVENTS_H */
