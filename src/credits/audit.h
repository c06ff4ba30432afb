/*
 * audit.h
 *	  What can be checked of the ledger.
 */
#ifndef STUDIO_AUDIT_H
#define STUDIO_AUDIT_H

extern void audit_register(void);

#endif							/* STUDIO_AUDIT_H */
