/*
 * voids.h
 *	  How an entry that voids credit is told from one that reverses a payment.
 */
#ifndef STUDIO_VOIDS_H
#define STUDIO_VOIDS_H

/* the metadata of an entry that voids credit, and the condition on such an entry in SQL */
#define VOID_METADATA "{\"void\": true}"
#define IS_VOID(entry) "(" entry ".metadata ->> 'void') IS NOT NULL"

#endif							/* STUDIO_VOIDS_H */
