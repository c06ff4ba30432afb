/*
 * words.h
 *	  Counts the words of a text.
 */
#ifndef STUDIO_WORDS_H
#define STUDIO_WORDS_H

extern int64 words_count_utf8(const char *utf8, size_t length);
extern int32 words_count_text(const text *value);

#endif							/* STUDIO_WORDS_H */
