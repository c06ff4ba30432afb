/*
 * search_query.c
 *	  Search queries of users: parsed, limited, and converted to the forms that
 *	  the index, the rank and the excerpts need.
 *
 * Pitfall: the cost of a search must not depend on the form of the query.  A
 * phrase makes a GIN index scan recheck every vector that it finds; ts_rank()
 * compares each two words of a conjunction at all of their positions; and the
 * memory of ts_headline() doubles with each further phrase in an OR.  So the index
 * gets a query without phrases, and rank and headline get a list of words.
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "errors.h"
#include "search_query.h"

/* limit of the words of a query, including those of phrases and repeated ones */
#define MAX_WORDS 64

/* Return the left operand of an operator. */
static QueryItem *
left_of(QueryItem *item)
{
	return item + item->qoperator.left;
}

/* Return the right operand of an operator, or the operand of a NOT. */
static QueryItem *
right_of(QueryItem *item)
{
	return item + 1;
}

/* Combine two queries by tsquery_and or tsquery_or; if one is NULL, return the other. */
static TSQuery
combine(PGFunction function, TSQuery left, TSQuery right)
{
	if (left == NULL || right == NULL)
		return left != NULL ? left : right;
	return DatumGetTSQuery(DirectFunctionCall2(function, TSQueryGetDatum(left), TSQueryGetDatum(right)));
}

/* Return the negation of a query. */
static TSQuery
negation(TSQuery query)
{
	return DatumGetTSQuery(DirectFunctionCall1(tsquery_not, TSQueryGetDatum(query)));
}

/* Return a query for one word of another query. */
static TSQuery
word_of(TSQuery query, const QueryItem *item)
{
	const QueryOperand *operand = &item->qoperand;
	Size		size = COMPUTESIZE(1, operand->length + 1);
	TSQuery		word = palloc0(size);

	SET_VARSIZE(word, size);
	word->size = 1;
	GETQUERY(word)->qoperand = *operand;
	GETQUERY(word)->qoperand.distance = 0;
	memcpy(GETOPERAND(word), GETOPERAND(query) + operand->distance, operand->length);
	return word;
}

/* Return true if a query has a phrase below an item. */
static bool
has_phrase(QueryItem *item)
{
	if (item->type == QI_VAL)
		return false;
	if (item->qoperator.oper == OP_NOT)
		return has_phrase(right_of(item));
	return item->qoperator.oper == OP_PHRASE || has_phrase(left_of(item)) || has_phrase(right_of(item));
}

/*
 * Return a query without phrases that matches all that the query below an item
 * matches.  A phrase becomes the AND of its words.  NULL stands for a query that
 * matches everything: that is what a negated phrase becomes, since a text without
 * the phrase may have all of its words.
 */
static TSQuery
without_phrases(TSQuery query, QueryItem *item)
{
	TSQuery		left;
	TSQuery		right;

	if (item->type == QI_VAL)
		return word_of(query, item);
	if (item->qoperator.oper == OP_NOT)
		return has_phrase(right_of(item)) ? NULL : negation(without_phrases(query, right_of(item)));

	left = without_phrases(query, left_of(item));
	right = without_phrases(query, right_of(item));
	if (item->qoperator.oper != OP_OR)
		return combine(tsquery_and, left, right);
	return left == NULL || right == NULL ? NULL : combine(tsquery_or, left, right);
}

/* Return true if two items are the same word. */
static bool
is_same_word(TSQuery query, const QueryItem *a, const QueryItem *b)
{
	return a->qoperand.length == b->qoperand.length &&
		memcmp(GETOPERAND(query) + a->qoperand.distance, GETOPERAND(query) + b->qoperand.distance,
			   a->qoperand.length) == 0;
}

/* Add the words below an item that are not negated to a list, each once. */
static List *
add_words(TSQuery query, QueryItem *item, List *words)
{
	ListCell   *cell;

	if (item->type == QI_OPR && item->qoperator.oper == OP_NOT)
		return words;
	if (item->type == QI_OPR)
		return add_words(query, right_of(item), add_words(query, left_of(item), words));
	foreach(cell, words)
	{
		if (is_same_word(query, lfirst(cell), item))
			return words;
	}
	return lappend(words, item);
}

/* Return the OR of the words that are not negated; NULL if there is none. */
static TSQuery
any_word_of(TSQuery query)
{
	TSQuery		any = NULL;
	ListCell   *cell;

	foreach(cell, add_words(query, GETQUERY(query), NIL))
		any = combine(tsquery_or, any, word_of(query, lfirst(cell)));
	return any;
}

/* Return a query for the first word, negated or not. */
static TSQuery
first_word(TSQuery query)
{
	QueryItem  *item = GETQUERY(query);

	while (item->type != QI_VAL)
		item++;
	return word_of(query, item);
}

/* Return a query that matches everything: there is no constant one. */
static TSQuery
match_all(TSQuery query)
{
	TSQuery		word = first_word(query);

	return combine(tsquery_or, word, negation(word));
}

/* Return the number of words, repeated ones included. */
static int
count_words(TSQuery query)
{
	int			words = 0;

	for (int i = 0; i < query->size; i++)
	{
		if (GETQUERY(query)[i].type == QI_VAL)
			words++;
	}
	return words;
}

/*
 * Parse a query in the syntax of websearch_to_tsquery().  Returns false if it has
 * no word, or stop words only.  Raises an error if it has too many; name is the
 * name of the argument.
 */
bool
search_query_parse(Oid configuration, const char *name, const char *text, SearchQuery *query)
{
	Datum		parsed = DirectFunctionCall2(websearch_to_tsquery_byid, ObjectIdGetDatum(configuration),
											 CStringGetTextDatum(text));
	TSQuery		exact = DatumGetTSQuery(parsed);

	if (exact->size == 0)
		return false;
	if (count_words(exact) > MAX_WORDS)
		refuse_value(name, psprintf("at most %d words, each repetition counted", MAX_WORDS));

	query->exact = exact;
	query->index_query = without_phrases(exact, GETQUERY(exact));
	if (query->index_query == NULL)
		query->index_query = match_all(exact);
	query->any_word = any_word_of(exact);
	if (query->any_word == NULL)
		query->any_word = first_word(exact);
	return true;
}
