/*
 * overruns.h
 *	  What closing a hold charges.
 */
#ifndef STUDIO_OVERRUNS_H
#define STUDIO_OVERRUNS_H

#include "ledger.h"

/* what happens with a price above the hold */
typedef enum Overrun
{
	OVERRUN_ERROR,
	OVERRUN_CHARGE,
	OVERRUN_CAP,
	OVERRUN_AVAILABLE
} Overrun;

#define OVERRUNS 4

extern const char *const overrun_names[OVERRUNS];

extern Overrun parse_overrun(const char *name);
extern int32 overrun_price(int32 held, const int32 *price, Overrun overrun, Account *account);
extern int32 overrun_replayed_price(int32 held, const int32 *price, Overrun overrun, int32 available);

#endif							/* STUDIO_OVERRUNS_H */
