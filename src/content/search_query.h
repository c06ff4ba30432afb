/*
 * search_query.h
 *	  Search queries of users: parsed, limited, and converted to the forms that
 *	  the index, the rank and the excerpts need.
 */
#ifndef STUDIO_SEARCH_QUERY_H
#define STUDIO_SEARCH_QUERY_H

#include "tsearch/ts_type.h"

typedef struct SearchQuery
{
	TSQuery		exact;			/* as it was written */
	TSQuery		index_query;	/* without phrases: matches all that exact
								 * does */
	TSQuery		any_word;		/* any of its words, for rank and excerpt */
} SearchQuery;

extern bool search_query_parse(Oid configuration, const char *name, const char *text, SearchQuery *query);

#endif							/* STUDIO_SEARCH_QUERY_H */
