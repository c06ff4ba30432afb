/*
 * safeupdate.c
 *	  Refuses UPDATE and DELETE without WHERE, as the library of this name does that
 *	  Supabase loads into each session of PostgREST.
 *
 * Debian does not have that library.  This one has its name, its SQLSTATE and its
 * reach: it looks at a statement after its analysis, whoever gave it, so that the
 * statements of functions count, those in WITH too, and plans that are kept were
 * looked at when they were made.  test/lib/server.sh builds it where the server
 * does not have the real one.
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "parser/analyze.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static post_parse_analyze_hook_type next_hook = NULL;

static void
refuse_unfiltered(Query *query)
{
	ListCell   *cell;

	if ((query->commandType == CMD_UPDATE || query->commandType == CMD_DELETE) &&
		query->jointree->quals == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("%s requires a WHERE clause",
						query->commandType == CMD_UPDATE ? "UPDATE" : "DELETE")));
	foreach(cell, query->cteList)
	{
		Node	   *inner = lfirst_node(CommonTableExpr, cell)->ctequery;

		if (IsA(inner, Query))
			refuse_unfiltered((Query *) inner);
	}
}

static void
look_at(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (next_hook)
		next_hook(pstate, query, jstate);
	refuse_unfiltered(query);
}

void
_PG_init(void)
{
	next_hook = post_parse_analyze_hook;
	post_parse_analyze_hook = look_at;
}
