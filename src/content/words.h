/*
 * words.h
 *	  How many words a text has.
 */
#ifndef STUDIO_WORDS_H
#define STUDIO_WORDS_H

extern int64 count_words(const char *utf8, size_t length);
extern int32 text_count_words(const text *value);

#endif							/* STUDIO_WORDS_H */
