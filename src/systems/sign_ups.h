/*
 * sign_ups.h
 *	  Sign-ups that failed in part.
 */
#ifndef STUDIO_SIGN_UPS_H
#define STUDIO_SIGN_UPS_H

#include "utils/elog.h"
#include "utils/uuid.h"

/* what a user is given at sign-up */
typedef enum SignUpPart
{
	PART_PROFILE,
	PART_ACCOUNT
} SignUpPart;

extern void sign_up_failed(const pg_uuid_t *user_id, SignUpPart part, const ErrorData *error);
extern void sign_up_mended(const pg_uuid_t *user_id, SignUpPart part);

#endif							/* STUDIO_SIGN_UPS_H */
