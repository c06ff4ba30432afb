/*
 * async_claims.h
 *	  Claims that do not wait for the disk.
 */
#ifndef STUDIO_ASYNC_CLAIMS_H
#define STUDIO_ASYNC_CLAIMS_H

extern void async_claim_begin(void);
extern void async_claim_end(void);

#endif							/* STUDIO_ASYNC_CLAIMS_H */
