/*
 * keyed_digest.h
 *	  Digests of values that are recognized later and not kept.
 */
#ifndef STUDIO_KEYED_DIGEST_H
#define STUDIO_KEYED_DIGEST_H

extern bytea *keyed_digest(const char *domain, const char *value);

#endif							/* STUDIO_KEYED_DIGEST_H */
