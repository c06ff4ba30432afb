/*
 * search.h
 *	  Full-text search over the sections of content.
 */
#ifndef STUDIO_SEARCH_H
#define STUDIO_SEARCH_H

extern void search_register(void);

#endif							/* STUDIO_SEARCH_H */
