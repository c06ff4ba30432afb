/*
 * excerpts.h
 *	  Texts as the parser of text search can bear them, and excerpts from them.
 */
#ifndef STUDIO_EXCERPTS_H
#define STUDIO_EXCERPTS_H

#include "tsearch/ts_type.h"

extern void calm_text(char *content);
extern Datum excerpt(Oid configuration, char *text, TSQuery any, int *budget);

#endif							/* STUDIO_EXCERPTS_H */
