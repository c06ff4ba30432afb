/*
 * excerpts.h
 *	  Excerpts from texts for search results, and a limit on punctuation that
 *	  bounds the time of the text search parser.
 */
#ifndef STUDIO_EXCERPTS_H
#define STUDIO_EXCERPTS_H

#include "tsearch/ts_type.h"

extern void excerpt_limit_punctuation(char *content);
extern Datum excerpt_make(Oid configuration, char *text, TSQuery any, int *budget);

#endif							/* STUDIO_EXCERPTS_H */
