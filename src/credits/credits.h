/*
 * credits.h
 *	  Adding credits, once per idempotency key or payment.
 */
#ifndef STUDIO_CREDITS_H
#define STUDIO_CREDITS_H

#include "utils/uuid.h"

#include "digests.h"
#include "ledger.h"

#define MAX_KEY_LENGTH 255
#define MAX_REFERENCE_LENGTH 255

/* in the metadata of an entry by which credit was topped up: to how much */
#define TOP_UP_TO "top_up_to"

/* as the amount of an Entry for credits_find_by_key(): any amount matches */
#define ANY_AMOUNT 0

/* the entry that the first call with a key made */
typedef struct Replay
{
	pg_uuid_t	id;
	int32		amount;
	int32		balance;		/* after it */
	bool		is_void;
} Replay;

pg_noreturn extern void refuse_used_key(const pg_uuid_t *entry_id);
extern void credits_welcome(const pg_uuid_t *user_id, int32 amount, const char *email);
extern void credits_keep_welcome(const pg_uuid_t *user_id, const char *email);
extern void credits_check_expiry(const Entry *entry);
extern pg_uuid_t credits_book_payment(const Entry *entry);
extern bool credits_find_key(const pg_uuid_t *user_id, const char *key);
extern bool credits_find_by_key(const Entry *entry, Replay *replay);
extern bool credits_find_top_up(Entry *entry, int32 target);
extern bool credits_find_empty(const Entry *entry, const char *kind, const pg_uuid_t *about, int32 amount);
extern void credits_remember_empty(const Entry *entry, const char *kind, const pg_uuid_t *about, int32 amount);
extern void credits_check_key_is_free(const pg_uuid_t *user_id, const char *key);

#endif							/* STUDIO_CREDITS_H */
