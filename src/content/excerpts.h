/*
 * excerpts.h
 *	  Texts as the parser of text search can bear them, and excerpts from them.
 */
#ifndef STUDIO_EXCERPTS_H
#define STUDIO_EXCERPTS_H

#include "tsearch/ts_type.h"

extern void excerpt_limit_punctuation(char *content);
extern Datum excerpt_make(Oid configuration, char *text, TSQuery any, int *budget);

#endif							/* STUDIO_EXCERPTS_H */
