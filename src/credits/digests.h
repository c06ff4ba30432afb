/*
 * digests.h
 *	  What is remembered of users who are deleted.
 */
#ifndef STUDIO_DIGESTS_H
#define STUDIO_DIGESTS_H

extern bool welcome_claim(const char *email);
extern void payment_keep(const char *payment_id);
extern bool payment_was_deleted(const char *payment_id);
extern void refuse_deleted_payment(const char *payment_id);

#endif							/* STUDIO_DIGESTS_H */
