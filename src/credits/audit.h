/*
 * audit.h
 *	  The audit of the ledger and its hash chain.
 */
#ifndef STUDIO_AUDIT_H
#define STUDIO_AUDIT_H

extern void audit_register(void);

#endif							/* STUDIO_AUDIT_H */
