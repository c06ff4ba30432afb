/*
 * refunds.h
 *	  Refunds, and reversals of payments.
 */
#ifndef STUDIO_REFUNDS_H
#define STUDIO_REFUNDS_H

#include "jobs.h"

extern void refund_check(const Job *job, int32 amount);

#endif							/* STUDIO_REFUNDS_H */
