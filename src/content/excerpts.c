/*
 * excerpts.c
 *	  Excerpts from texts for search results, and a limit on punctuation that
 *	  bounds the time of the text search parser.
 *
 * Pitfall: PostgreSQL's text search parser tries to read a run of letters and
 * punctuation as a host, a path, an address or a number, and scans the whole run
 * again from each of its characters; an opened comment makes it search for the
 * end.  30000 characters of a_a_a_ take it 13 seconds.  Runs with little
 * punctuation are cheap, so runs with more are split by spaces.
 *
 * Pitfall: the time of ts_headline() grows with the square of the number of
 * matching words.  It is given a window of text around the first match only, and
 * a query that consists of words joined by OR.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "excerpts.h"

/* punctuation characters of a run without spaces, and openings of comments of a text, that are kept */
#define MAX_PUNCTUATION 20

/* characters of a chunk of the search for the first match, and of the text that ts_headline() gets */
#define CHUNK_LENGTH 1000
#define WINDOW_LENGTH 2000

/* Return true for ASCII white space. */
static bool
is_space(unsigned char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Return true for ASCII that is neither white space, a letter nor a digit. */
static bool
is_punctuation(unsigned char byte)
{
	return !is_space(byte) &&
		(byte < '0' || (byte > '9' && byte < 'A') || (byte > 'Z' && byte < 'a') || (byte > 'z' && byte <= 0x7f));
}

/*
 * Replace punctuation by spaces where there is so much of it that the text search
 * parser would take long.  The length of the text, and thus the position of each
 * character, stays the same.
 */
void
excerpt_limit_punctuation(char *content)
{
	int			punctuation = 0;
	int			comments = 0;

	for (char *at = content; *at != '\0'; at++)
	{
		if (is_space(*at))
			punctuation = 0;
		else if (is_punctuation(*at) &&
				 (++punctuation > MAX_PUNCTUATION ||
				  (strncmp(at, "<!--", 4) == 0 && ++comments > MAX_PUNCTUATION)))
		{
			*at = ' ';
			punctuation = 0;
		}
	}
}

/*
 * Return the length in bytes of the next chunk of at most so many characters.  It
 * ends after a space if there is one in its second half, so that no word is cut.
 */
static int
chunk_length(const char *text, int left, int characters)
{
	int			length = pg_mbcharcliplen(text, left, characters);

	if (length == left)
		return length;
	for (int end = length; end > length / 2; end--)
	{
		if (is_space(text[end - 1]))
			return end;
	}
	return length;
}

/* Return true if a chunk has one of the words of a query. */
static bool
chunk_matches(Oid configuration, const char *text, int length, TSQuery any)
{
	Datum		chunk = PointerGetDatum(cstring_to_text_with_len(text, length));
	Datum		words = DirectFunctionCall2(to_tsvector_byid, ObjectIdGetDatum(configuration), chunk);

	return DatumGetBool(DirectFunctionCall2(ts_match_vq, words, TSQueryGetDatum(any)));
}

/*
 * Return the start of the first chunk with a match; the start of the text if
 * there is none, or if the budget runs out.
 */
static const char *
first_matching_chunk(Oid configuration, const char *content, int length, TSQuery any, int *budget)
{
	for (int at = 0; at < length && *budget > 0; (*budget)--)
	{
		int			step = chunk_length(content + at, length - at, CHUNK_LENGTH);

		CHECK_FOR_INTERRUPTS();
		if (chunk_matches(configuration, content + at, step, any))
			return content + at;
		at += step;
	}
	return content;
}

/*
 * Return an excerpt of a text as text, in which the words of a query are marked
 * by <b>.  Modifies the text: see excerpt_limit_punctuation().  budget is the
 * number of chunks that may still be searched, which all excerpts of one call
 * share; it is reduced.
 */
Datum
excerpt_make(Oid configuration, char *text, TSQuery any, int *budget)
{
	int			length = strlen(text);
	const char *from = text;
	int			window;

	excerpt_limit_punctuation(text);
	if (pg_mbcharcliplen(text, length, WINDOW_LENGTH) < length)
		from = first_matching_chunk(configuration, text, length, any, budget);
	window = chunk_length(from, length - (from - text), WINDOW_LENGTH);
	return DirectFunctionCall3(ts_headline_byid, ObjectIdGetDatum(configuration),
							   PointerGetDatum(cstring_to_text_with_len(from, window)), TSQueryGetDatum(any));
}
