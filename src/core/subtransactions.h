/*
 * subtransactions.h
 *	  Work whose failure must not take the rest along.
 */
#ifndef STUDIO_SUBTRANSACTIONS_H
#define STUDIO_SUBTRANSACTIONS_H

#include "utils/elog.h"

extern ErrorData *in_subtransaction(void (*work) (void *arg), void *arg);

#endif							/* STUDIO_SUBTRANSACTIONS_H */
