/*
 * credits.h
 *	  Adding credits, once per idempotency key or payment.
 */
#ifndef STUDIO_CREDITS_H
#define STUDIO_CREDITS_H

#include "utils/uuid.h"

#include "ledger.h"

#define MAX_KEY_LENGTH 255

/* as the amount of an Entry for credits_find_by_key(): any amount matches */
#define ANY_AMOUNT 0

/* the entry that the first call with a key made */
typedef struct Replay
{
	pg_uuid_t	id;
	int32		amount;
} Replay;

/* the entry by which a payment was booked */
typedef struct Payment
{
	pg_uuid_t	id;
	pg_uuid_t	user_id;
	const char *type;
	int32		amount;
	bool		expires;
	TimestampTz expires_at;		/* if expires */
} Payment;

pg_noreturn extern void refuse_used_key(const pg_uuid_t *entry_id);
extern pg_uuid_t credits_book_payment(const Entry *entry);
extern void credits_welcome(const pg_uuid_t *user_id, int32 amount);
extern bool credits_find_by_key(const Entry *entry, Replay *replay);
extern bool credits_find_payment(const char *payment_id, Payment *payment);

#endif							/* STUDIO_CREDITS_H */
