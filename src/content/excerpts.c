/*
 * excerpts.c
 *	  Texts as the parser of text search can bear them, and excerpts from them.
 *
 * Pitfall: PostgreSQL's parser takes a run of letters and punctuation for a
 * host, a path, an address or a number, and looks at all of the run anew behind
 * each of its characters; a comment that is opened has it look for an end.  A
 * part of 30000 characters of a_a_a_ takes it 13 seconds.  Runs with some
 * punctuation cost nothing, so runs with more are taken apart.
 *
 * Pitfall: ts_headline() takes time that grows with the square of the words
 * that match.  It is given the surroundings of the first match, and a query
 * that is nothing but words behind OR.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "excerpts.h"

/* punctuation in a run without spaces, and openings of comments, that are left as they are */
#define MAX_PUNCTUATION 20

/* characters of a step of the search for the first match, and of what is shown to ts_headline() */
#define CHUNK_LENGTH 1000
#define WINDOW_LENGTH 2000

static bool
is_space(unsigned char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* ASCII that is neither space, letter nor digit. */
static bool
is_punctuation(unsigned char byte)
{
	return !is_space(byte) &&
		(byte < '0' || (byte > '9' && byte < 'A') || (byte > 'Z' && byte < 'a') || (byte > 'z' && byte <= 0x7f));
}

/*
 * Put spaces in place of punctuation where there is too much of it.
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

/* The bytes of a chunk of up to so many characters, which ends after a space if there is one late in it. */
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

static bool
chunk_matches(Oid configuration, const char *text, int length, TSQuery any)
{
	Datum		chunk = PointerGetDatum(cstring_to_text_with_len(text, length));
	Datum		words = DirectFunctionCall2(to_tsvector_byid, ObjectIdGetDatum(configuration), chunk);

	return DatumGetBool(DirectFunctionCall2(ts_match_vq, words, TSQueryGetDatum(any)));
}

/*
 * The chunk with the first match; the beginning of the text where there is none
 * or the budget is used up.
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
 * An excerpt with the words of a query in <b>.  The text is calmed.  budget is
 * how many chunks may be looked through, and is used up.
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
