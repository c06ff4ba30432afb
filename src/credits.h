/*
 * credits.h
 *	  Credits coming in.
 */
#ifndef STUDIO_CREDITS_H
#define STUDIO_CREDITS_H

#include "utils/uuid.h"

extern void credits_welcome(const pg_uuid_t *user_id, int32 amount);

#endif							/* STUDIO_CREDITS_H */
