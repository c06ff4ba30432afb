/*
 * subtransactions.h
 *	  Work that may fail without the failure of the transaction.
 */
#ifndef STUDIO_SUBTRANSACTIONS_H
#define STUDIO_SUBTRANSACTIONS_H

#include "utils/elog.h"

extern ErrorData *in_subtransaction(void (*work) (void *arg), void *arg);

#endif							/* STUDIO_SUBTRANSACTIONS_H */
