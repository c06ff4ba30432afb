/*
 * refunds.h
 *	  Refunds, and reversals of payments.
 */
#ifndef STUDIO_REFUNDS_H
#define STUDIO_REFUNDS_H

#include "jobs.h"

/* the key of an entry that undoes a reversal: this, and the id of the reversal */
#define REINSTATES "reinstates:"

extern void refund_check(const Job *job, int32 amount);

#endif							/* STUDIO_REFUNDS_H */
