/*
 * words.c
 *	  Counts the words of a text.  No SQL, no locale, no generated tables.
 *
 * A word is a run of letters, digits and marks of any script; an underscore is
 * none of them.  A word may contain
 *	- an apostrophe, a hyphen (a Hebrew maqaf too) or a Catalan middle dot, one
 *	  at a time: don't, well-known, col·lecció;
 *	- a full stop or comma between two digits: 3.14, 1,000, 31.12.2024;
 *	- what is invisible, or belongs to the character before it: joiners, soft
 *	  hyphens, variation selectors, marks of direction, combining marks.
 * All other characters end a word and count nothing: spaces, controls, punctuation,
 * dashes, symbols (circled numbers and letters too), emoji, private use.
 *
 * Each character of Han, Hiragana and Katakana counts as a word, as do iteration
 * marks and the prolonged sound mark, but not voiced marks.  Hangul has spaces and
 * is counted by words.  Tibetan is counted by syllables, which its tsheg separates.
 *
 * Limits: Thai, Lao, Khmer and Burmese are written without spaces, so a phrase
 * counts as one word, unless zero width spaces separate its words.  A quotation
 * mark typed for gershayim splits a Hebrew abbreviation.  Each part of an address
 * counts.
 *
 * Pitfall: a character that is not in the table below is a letter, so that new
 * scripts of Unicode are counted without a change here, and new symbols too.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "compat.h"
#include "words.h"

PG_FUNCTION_INFO_V1(studio_count_words);

/* bytes between two checks for interrupts */
#define BLOCK_SIZE (64 * 1024)

typedef enum CharClass
{
	BREAK,						/* ends a word, counts nothing */
	LETTER,
	DIGIT,
	IDEOGRAPH,					/* a word by itself */
	JOINER,						/* inside a word between two of its characters */
	POINT,						/* inside a word between two digits */
	IGNORED						/* as if it were not there */
} CharClass;

#define NCLASSES (IGNORED + 1)

typedef enum ScanState
{
	OUTSIDE,
	AFTER_LETTER,
	AFTER_DIGIT,
	AFTER_JOINER,				/* the word continues with a letter or digit */
	AFTER_POINT					/* the word continues with a digit */
} ScanState;

#define NSTATES (AFTER_POINT + 1)

typedef struct Transition
{
	uint8		next;			/* ScanState */
	uint8		words;			/* how many words begin here */
} Transition;

/* by class, then by state in the order of ScanState */
static const Transition transitions[NCLASSES][NSTATES] = {
	[BREAK] = {{OUTSIDE, 0}, {OUTSIDE, 0}, {OUTSIDE, 0}, {OUTSIDE, 0}, {OUTSIDE, 0}},
	[LETTER] = {{AFTER_LETTER, 1}, {AFTER_LETTER, 0}, {AFTER_LETTER, 0}, {AFTER_LETTER, 0}, {AFTER_LETTER, 1}},
	[DIGIT] = {{AFTER_DIGIT, 1}, {AFTER_DIGIT, 0}, {AFTER_DIGIT, 0}, {AFTER_DIGIT, 0}, {AFTER_DIGIT, 0}},
	[IDEOGRAPH] = {{OUTSIDE, 1}, {OUTSIDE, 1}, {OUTSIDE, 1}, {OUTSIDE, 1}, {OUTSIDE, 1}},
	[JOINER] = {{OUTSIDE, 0}, {AFTER_JOINER, 0}, {AFTER_JOINER, 0}, {OUTSIDE, 0}, {OUTSIDE, 0}},
	[POINT] = {{OUTSIDE, 0}, {OUTSIDE, 0}, {AFTER_POINT, 0}, {OUTSIDE, 0}, {OUTSIDE, 0}},
	[IGNORED] = {{OUTSIDE, 0}, {AFTER_LETTER, 0}, {AFTER_DIGIT, 0}, {AFTER_JOINER, 0}, {AFTER_POINT, 0}}
};

#define B BREAK
#define L LETTER
#define D DIGIT
#define J JOINER
#define P POINT
static const uint8 ascii_classes[128] = {
	B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
	B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
	B, B, B, B, B, B, B, J, B, B, B, B, P, J, P, B,
	D, D, D, D, D, D, D, D, D, D, B, B, B, B, B, B,
	B, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
	L, L, L, L, L, L, L, L, L, L, L, B, B, B, B, B,
	B, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
	L, L, L, L, L, L, L, L, L, L, L, B, B, B, B, B
};
#undef B
#undef L
#undef D
#undef J
#undef P

typedef struct CharRange
{
	pg_wchar	first;
	pg_wchar	last;
	CharClass	class;
} CharRange;

/*
 * All characters from U+0080 on that are not letters, sorted.  Code points that
 * Unicode has not assigned yet belong to the range of their neighbours where those
 * are symbols, and are letters elsewhere.  Canonically equivalent characters have
 * the same class.
 */
static const CharRange ranges[] = {
	/* Latin-1 */
	{0x0080, 0x00A9, BREAK},	/* controls, no-break space, signs */
	{0x00AB, 0x00AC, BREAK},	/* left guillemet, not sign */
	{0x00AD, 0x00AD, IGNORED},	/* soft hyphen */
	{0x00AE, 0x00B1, BREAK},	/* registered, macron, degree, plus-minus */
	{0x00B4, 0x00B4, JOINER},	/* acute, typed for an apostrophe */
	{0x00B6, 0x00B6, BREAK},	/* pilcrow */
	{0x00B7, 0x00B7, JOINER},	/* middle dot, of Catalan */
	{0x00B8, 0x00B8, BREAK},	/* cedilla */
	{0x00BB, 0x00BB, BREAK},	/* right guillemet */
	{0x00BF, 0x00BF, BREAK},	/* inverted question mark */
	{0x00D7, 0x00D7, BREAK},	/* multiplication */
	{0x00F7, 0x00F7, BREAK},	/* division */

	/* modifiers and marks of all scripts */
	{0x02BB, 0x02BD, JOINER},	/* letters that look like apostrophes */
	{0x02C2, 0x02C5, BREAK},	/* arrowheads */
	{0x02D2, 0x02DF, BREAK},	/* spacing accents */
	{0x02E5, 0x02EB, BREAK},	/* tone marks */
	{0x02ED, 0x02ED, BREAK},	/* unaspirated */
	{0x02EF, 0x02FF, BREAK},	/* arrows, colons, tildes */
	{0x0300, 0x036F, IGNORED},	/* combining marks */

	/* Greek, Cyrillic, Armenian */
	{0x0375, 0x0375, BREAK},	/* lower numeral sign */
	{0x037E, 0x037E, BREAK},	/* Greek question mark */
	{0x0384, 0x0385, BREAK},	/* tonos, dialytika */
	{0x0387, 0x0387, JOINER},	/* ano teleia, equivalent to the middle dot */
	{0x03F6, 0x03F6, BREAK},	/* reversed lunate epsilon, a symbol */
	{0x0482, 0x0482, BREAK},	/* thousands sign */
	{0x055A, 0x055A, JOINER},	/* Armenian apostrophe */
	{0x055B, 0x055C, IGNORED},	/* emphasis and exclamation, inside words */
	{0x055D, 0x055D, BREAK},	/* comma */
	{0x055E, 0x055F, IGNORED},	/* question and abbreviation, inside words */
	{0x0589, 0x0589, BREAK},	/* full stop */
	{0x058A, 0x058A, JOINER},	/* Armenian hyphen */
	{0x058D, 0x058F, BREAK},	/* eternity signs, dram */

	/* Hebrew */
	{0x05BE, 0x05BE, JOINER},	/* maqaf */
	{0x05C0, 0x05C0, BREAK},	/* paseq */
	{0x05C3, 0x05C3, BREAK},	/* sof pasuq */
	{0x05C6, 0x05C6, BREAK},	/* nun hafukha */
	{0x05F3, 0x05F4, JOINER},	/* geresh, gershayim */

	/* Arabic, Syriac, NKo, Samaritan, Mandaic */
	{0x0600, 0x060F, BREAK},	/* number and currency signs, comma */
	{0x061B, 0x061B, BREAK},	/* semicolon */
	{0x061C, 0x061C, IGNORED},	/* Arabic letter mark */
	{0x061D, 0x061F, BREAK},	/* end of text, question mark */
	{0x0640, 0x0640, IGNORED},	/* tatweel */
	{0x0660, 0x0669, DIGIT},	/* Arabic-Indic digits */
	{0x066A, 0x066A, BREAK},	/* percent */
	{0x066B, 0x066C, POINT},	/* decimal and thousands separator */
	{0x066D, 0x066D, BREAK},	/* star */
	{0x06D4, 0x06D4, BREAK},	/* Urdu full stop */
	{0x06DD, 0x06DE, BREAK},	/* end of ayah, rub el hizb */
	{0x06E9, 0x06E9, BREAK},	/* sajdah */
	{0x06F0, 0x06F9, DIGIT},	/* Persian and Urdu digits */
	{0x06FD, 0x06FE, BREAK},	/* Sindhi signs */
	{0x0700, 0x070E, BREAK},	/* Syriac punctuation */
	{0x070F, 0x070F, IGNORED},	/* Syriac abbreviation mark */
	{0x07C0, 0x07C9, DIGIT},	/* NKo digits */
	{0x07F6, 0x07F9, BREAK},	/* NKo punctuation */
	{0x07FE, 0x07FF, BREAK},	/* NKo currency */
	{0x0830, 0x083E, BREAK},	/* Samaritan punctuation */
	{0x085E, 0x085E, BREAK},	/* Mandaic punctuation */
	{0x0888, 0x0888, BREAK},	/* raised round dot */
	{0x0890, 0x0891, BREAK},	/* currency marks above */
	{0x08E2, 0x08E2, BREAK},	/* disputed end of ayah */

	/* scripts of India and Sri Lanka */
	{0x0964, 0x0965, BREAK},	/* danda, double danda */
	{0x0966, 0x096F, DIGIT},	/* Devanagari digits */
	{0x0970, 0x0970, BREAK},	/* Devanagari abbreviation */
	{0x09E6, 0x09EF, DIGIT},	/* Bengali digits */
	{0x09F2, 0x09F3, BREAK},	/* rupee */
	{0x09FA, 0x09FB, BREAK},	/* isshar, ganda */
	{0x09FD, 0x09FD, BREAK},	/* Bengali abbreviation */
	{0x0A66, 0x0A6F, DIGIT},	/* Gurmukhi digits */
	{0x0A76, 0x0A76, BREAK},	/* Gurmukhi abbreviation */
	{0x0AE6, 0x0AEF, DIGIT},	/* Gujarati digits */
	{0x0AF0, 0x0AF1, BREAK},	/* Gujarati abbreviation, rupee */
	{0x0B66, 0x0B6F, DIGIT},	/* Odia digits */
	{0x0B70, 0x0B70, BREAK},	/* isshar */
	{0x0BE6, 0x0BEF, DIGIT},	/* Tamil digits */
	{0x0BF3, 0x0BFA, BREAK},	/* Tamil symbols, rupee */
	{0x0C66, 0x0C6F, DIGIT},	/* Telugu digits */
	{0x0C77, 0x0C77, BREAK},	/* siddham */
	{0x0C7F, 0x0C7F, BREAK},	/* tuumu */
	{0x0C84, 0x0C84, BREAK},	/* siddham */
	{0x0CE6, 0x0CEF, DIGIT},	/* Kannada digits */
	{0x0D4F, 0x0D4F, BREAK},	/* para */
	{0x0D66, 0x0D6F, DIGIT},	/* Malayalam digits */
	{0x0D79, 0x0D79, BREAK},	/* date mark */
	{0x0DE6, 0x0DEF, DIGIT},	/* Sinhala digits */
	{0x0DF4, 0x0DF4, BREAK},	/* kunddaliya */

	/* Thai, Lao, Tibetan, Myanmar */
	{0x0E3F, 0x0E3F, BREAK},	/* baht */
	{0x0E4F, 0x0E4F, BREAK},	/* fongman */
	{0x0E50, 0x0E59, DIGIT},	/* Thai digits */
	{0x0E5A, 0x0E5B, BREAK},	/* angkhankhu, khomut */
	{0x0ED0, 0x0ED9, DIGIT},	/* Lao digits */
	{0x0F01, 0x0F17, BREAK},	/* head marks, tsheg, shad, astrology */
	{0x0F1A, 0x0F1F, BREAK},	/* astrology */
	{0x0F20, 0x0F29, DIGIT},	/* Tibetan digits */
	{0x0F34, 0x0F34, BREAK},	/* repetition */
	{0x0F36, 0x0F36, BREAK},	/* caret */
	{0x0F38, 0x0F38, BREAK},	/* caret */
	{0x0F3A, 0x0F3D, BREAK},	/* brackets */
	{0x0F85, 0x0F85, BREAK},	/* paluta */
	{0x0FBE, 0x0FC5, BREAK},	/* cantillation, symbols */
	{0x0FC7, 0x0FDA, BREAK},	/* symbols, head marks, svasti */
	{0x1040, 0x1049, DIGIT},	/* Myanmar digits */
	{0x104A, 0x104F, BREAK},	/* section signs, abbreviations */
	{0x1090, 0x1099, DIGIT},	/* Shan digits */
	{0x109E, 0x109F, BREAK},	/* Shan symbols */

	/* Georgian, Hangul, Ethiopic, Canadian, Ogham, Runic */
	{0x10FB, 0x10FB, BREAK},	/* Georgian paragraph separator */
	{0x115F, 0x1160, IGNORED},	/* Hangul fillers */
	{0x1360, 0x1368, BREAK},	/* Ethiopic word space and punctuation */
	{0x1390, 0x1399, BREAK},	/* Ethiopic tonal marks */
	{0x1400, 0x1400, JOINER},	/* Canadian hyphen */
	{0x166D, 0x166E, BREAK},	/* Canadian chi sign, full stop */
	{0x1680, 0x1680, BREAK},	/* Ogham space */
	{0x169B, 0x169C, BREAK},	/* Ogham feathers */
	{0x16EB, 0x16ED, BREAK},	/* Runic punctuation */

	/* Philippines, Khmer, Mongolian, and the south-east of Asia */
	{0x1735, 0x1736, BREAK},	/* Philippine punctuation */
	{0x17B4, 0x17B5, IGNORED},	/* Khmer inherent vowels, invisible */
	{0x17D4, 0x17D6, BREAK},	/* Khmer full stops, colon */
	{0x17D8, 0x17DB, BREAK},	/* Khmer et cetera, riel */
	{0x17E0, 0x17E9, DIGIT},	/* Khmer digits */
	{0x1800, 0x1805, BREAK},	/* Mongolian punctuation */
	{0x1806, 0x1806, JOINER},	/* Mongolian hyphen */
	{0x1807, 0x1807, IGNORED},	/* Sibe syllable boundary */
	{0x1808, 0x1809, BREAK},	/* Manchu comma, full stop */
	{0x180A, 0x180F, IGNORED},	/* stretching, variation selectors */
	{0x1810, 0x1819, DIGIT},	/* Mongolian digits */
	{0x1940, 0x1945, BREAK},	/* Limbu signs */
	{0x1946, 0x194F, DIGIT},	/* Limbu digits */
	{0x19D0, 0x19D9, DIGIT},	/* New Tai Lue digits */
	{0x19DE, 0x19FF, BREAK},	/* New Tai Lue signs, lunar dates */
	{0x1A1E, 0x1A1F, BREAK},	/* Buginese punctuation */
	{0x1A80, 0x1A89, DIGIT},	/* Tai Tham digits */
	{0x1A90, 0x1A99, DIGIT},	/* Tai Tham digits */
	{0x1AA0, 0x1AA6, BREAK},	/* Tai Tham punctuation */
	{0x1AA8, 0x1AAD, BREAK},	/* Tai Tham punctuation */
	{0x1AB0, 0x1AFF, IGNORED},	/* combining marks */
	{0x1B4E, 0x1B4F, BREAK},	/* Balinese punctuation */
	{0x1B50, 0x1B59, DIGIT},	/* Balinese digits */
	{0x1B5A, 0x1B6A, BREAK},	/* Balinese punctuation, notes */
	{0x1B74, 0x1B7F, BREAK},	/* Balinese notes, punctuation */
	{0x1BB0, 0x1BB9, DIGIT},	/* Sundanese digits */
	{0x1BFC, 0x1BFF, BREAK},	/* Batak punctuation */
	{0x1C3B, 0x1C3F, BREAK},	/* Lepcha punctuation */
	{0x1C40, 0x1C49, DIGIT},	/* Lepcha digits */
	{0x1C50, 0x1C59, DIGIT},	/* Ol Chiki digits */
	{0x1C7E, 0x1C7F, BREAK},	/* Ol Chiki punctuation */
	{0x1CC0, 0x1CC7, BREAK},	/* Sundanese punctuation */
	{0x1CD3, 0x1CD3, BREAK},	/* Vedic nihshvasa */
	{0x1DC0, 0x1DFF, IGNORED},	/* combining marks */

	/* Greek with breathings */
	{0x1FBD, 0x1FBD, JOINER},	/* koronis, an apostrophe */
	{0x1FBF, 0x1FBF, JOINER},	/* psili, an apostrophe */
	{0x1FC0, 0x1FC1, BREAK},	/* spacing accents */
	{0x1FCD, 0x1FCF, JOINER},	/* psili with accents */
	{0x1FDD, 0x1FDF, BREAK},	/* spacing accents */
	{0x1FED, 0x1FEF, BREAK},	/* spacing accents */
	{0x1FFD, 0x1FFD, JOINER},	/* oxia, equivalent to the acute */
	{0x1FFE, 0x1FFE, BREAK},	/* dasia */

	/* General Punctuation */
	{0x2000, 0x200B, BREAK},	/* spaces, that of no width too */
	{0x200C, 0x200F, IGNORED},	/* joiners, marks of direction */
	{0x2010, 0x2011, JOINER},	/* hyphens */
	{0x2012, 0x2017, BREAK},	/* dashes, double low line */
	{0x2018, 0x2019, JOINER},	/* single quotation marks, apostrophe */
	{0x201A, 0x201A, BREAK},	/* low quotation mark */
	{0x201B, 0x201B, JOINER},	/* reversed quotation mark, apostrophe */
	{0x201C, 0x2026, BREAK},	/* quotation marks, bullets, ellipsis */
	{0x2027, 0x2027, JOINER},	/* hyphenation point */
	{0x2028, 0x2029, BREAK},	/* line and paragraph separator */
	{0x202A, 0x202E, IGNORED},	/* embeddings and overrides of direction */
	{0x202F, 0x205F, BREAK},	/* narrow space, per mille, primes, ties */
	{0x2060, 0x206F, IGNORED},	/* word joiner, isolates of direction */

	/* symbols */
	{0x207A, 0x207E, BREAK},	/* superscript signs */
	{0x208A, 0x208E, BREAK},	/* subscript signs */
	{0x20A0, 0x20CF, BREAK},	/* currency */
	{0x20D0, 0x20FF, IGNORED},	/* marks on symbols, enclosing keycap */
	{0x2100, 0x2101, BREAK},	/* account of, addressed to */
	{0x2103, 0x2106, BREAK},	/* degree Celsius, care of */
	{0x2108, 0x2109, BREAK},	/* scruple, degree Fahrenheit */
	{0x2114, 0x2114, BREAK},	/* pound bar */
	{0x2116, 0x2118, BREAK},	/* numero, recording, Weierstrass p */
	{0x211E, 0x2123, BREAK},	/* prescription, trade mark */
	{0x2125, 0x2125, BREAK},	/* ounce */
	{0x2127, 0x2127, BREAK},	/* mho */
	{0x2129, 0x2129, BREAK},	/* turned iota */
	{0x212E, 0x212E, BREAK},	/* estimated */
	{0x213A, 0x213B, BREAK},	/* rotated Q, facsimile */
	{0x2140, 0x2144, BREAK},	/* n-ary sum, turned letters */
	{0x214A, 0x214D, BREAK},	/* property line, aktieselskab */
	{0x214F, 0x214F, BREAK},	/* for Samaritan source */
	{0x218A, 0x2800, BREAK},	/* arrows to dingbats, blank braille */
	{0x2900, 0x2BFF, BREAK},	/* arrows, mathematics, stars */

	/* Coptic, Tifinagh, supplemental punctuation */
	{0x2CE5, 0x2CEA, BREAK},	/* Coptic symbols */
	{0x2CF9, 0x2CFC, BREAK},	/* Coptic punctuation */
	{0x2CFE, 0x2CFF, BREAK},	/* Coptic punctuation */
	{0x2D70, 0x2D70, BREAK},	/* Tifinagh separator */
	{0x2E00, 0x2E2E, BREAK},	/* editorial marks, brackets, dashes */
	{0x2E30, 0x2E7F, BREAK},	/* dots, dashes, brackets */

	/* Chinese, Japanese, Korean */
	{0x2E80, 0x2FDF, IDEOGRAPH},	/* radicals */
	{0x2FE0, 0x3004, BREAK},	/* description, ideographic space, comma */
	{0x3005, 0x3007, IDEOGRAPH},	/* iteration, closing mark, zero */
	{0x3008, 0x3020, BREAK},	/* brackets, wave dash, postal face */
	{0x3021, 0x3029, IDEOGRAPH},	/* Hangzhou numerals */
	{0x302A, 0x302F, IGNORED},	/* tone marks */
	{0x3030, 0x3030, BREAK},	/* wavy dash */
	{0x3031, 0x3035, IDEOGRAPH},	/* vertical kana repeat marks */
	{0x3036, 0x3037, BREAK},	/* postal mark, line feed */
	{0x3038, 0x303C, IDEOGRAPH},	/* Hangzhou numerals, iteration, masu */
	{0x303D, 0x303F, BREAK},	/* part alternation, half fill space */
	{0x3040, 0x3098, IDEOGRAPH},	/* Hiragana */
	{0x3099, 0x309C, IGNORED},	/* voiced marks */
	{0x309D, 0x309F, IDEOGRAPH},	/* Hiragana iteration, yori */
	{0x30A0, 0x30A0, BREAK},	/* double hyphen */
	{0x30A1, 0x30FA, IDEOGRAPH},	/* Katakana */
	{0x30FB, 0x30FB, BREAK},	/* middle dot */
	{0x30FC, 0x30FF, IDEOGRAPH},	/* prolonged sound, iteration, koto */
	{0x3164, 0x3164, IGNORED},	/* Hangul filler */
	{0x3190, 0x319F, BREAK},	/* kanbun annotation */
	{0x31C0, 0x31EF, BREAK},	/* strokes, description */
	{0x31F0, 0x31FF, IDEOGRAPH},	/* Katakana for Ainu */
	{0x3200, 0x33FF, BREAK},	/* enclosed and squared */
	{0x3400, 0x4DBF, IDEOGRAPH},	/* Han, extension A */
	{0x4DC0, 0x4DFF, BREAK},	/* hexagrams */
	{0x4E00, 0x9FFF, IDEOGRAPH},	/* Han */

	/* Yi, Lisu, Vai, Cyrillic, Bamum, Latin */
	{0xA490, 0xA4CF, BREAK},	/* Yi radicals */
	{0xA4FE, 0xA4FF, BREAK},	/* Lisu comma, full stop */
	{0xA60D, 0xA60F, BREAK},	/* Vai punctuation */
	{0xA620, 0xA629, DIGIT},	/* Vai digits */
	{0xA66F, 0xA672, IGNORED},	/* Cyrillic combining marks */
	{0xA673, 0xA673, BREAK},	/* Slavonic asterisk */
	{0xA67E, 0xA67E, BREAK},	/* kavyka */
	{0xA6F2, 0xA6F7, BREAK},	/* Bamum punctuation */
	{0xA700, 0xA716, BREAK},	/* tone marks */
	{0xA720, 0xA721, BREAK},	/* stress and tone */

	/* scripts of India and the south-east of Asia, once more */
	{0xA828, 0xA82B, BREAK},	/* Syloti poetry marks */
	{0xA836, 0xA839, BREAK},	/* quarter, rupee, placeholder */
	{0xA874, 0xA877, BREAK},	/* Phags-pa punctuation */
	{0xA8CE, 0xA8CF, BREAK},	/* Saurashtra danda */
	{0xA8D0, 0xA8D9, DIGIT},	/* Saurashtra digits */
	{0xA8F8, 0xA8FA, BREAK},	/* pushpika, caret */
	{0xA8FC, 0xA8FC, BREAK},	/* siddham */
	{0xA900, 0xA909, DIGIT},	/* Kayah Li digits */
	{0xA92E, 0xA92F, BREAK},	/* Kayah Li punctuation */
	{0xA95F, 0xA95F, BREAK},	/* Rejang section mark */
	{0xA9C1, 0xA9CD, BREAK},	/* Javanese punctuation */
	{0xA9D0, 0xA9D9, DIGIT},	/* Javanese digits */
	{0xA9DE, 0xA9DF, BREAK},	/* Javanese punctuation */
	{0xA9F0, 0xA9F9, DIGIT},	/* Tai Laing digits */
	{0xAA50, 0xAA59, DIGIT},	/* Cham digits */
	{0xAA5C, 0xAA5F, BREAK},	/* Cham punctuation */
	{0xAA77, 0xAA79, BREAK},	/* Aiton symbols */
	{0xAADE, 0xAADF, BREAK},	/* Tai Viet punctuation */
	{0xAAF0, 0xAAF1, BREAK},	/* Meetei punctuation */
	{0xAB5B, 0xAB5B, BREAK},	/* spacing breve */
	{0xAB6A, 0xAB6B, BREAK},	/* left tack, right tack */
	{0xABEB, 0xABEB, BREAK},	/* Meetei full stop */
	{0xABF0, 0xABF9, DIGIT},	/* Meetei digits */

	/* surrogates, private use, compatibility */
	{0xD800, 0xF8FF, BREAK},	/* surrogates, private use */
	{0xF900, 0xFAFF, IDEOGRAPH},	/* Han, compatibility */
	{0xFB29, 0xFB29, BREAK},	/* Hebrew plus sign */
	{0xFBB2, 0xFBC2, BREAK},	/* Arabic dots */
	{0xFD3E, 0xFD4F, BREAK},	/* ornate brackets, honorifics */
	{0xFDCF, 0xFDEF, BREAK},	/* honorific, noncharacters */
	{0xFDFC, 0xFDFF, BREAK},	/* rial, honorifics */
	{0xFE00, 0xFE0F, IGNORED},	/* variation selectors */
	{0xFE10, 0xFE1F, BREAK},	/* vertical punctuation */
	{0xFE20, 0xFE2F, IGNORED},	/* combining half marks */
	{0xFE30, 0xFE62, BREAK},	/* vertical and small punctuation */
	{0xFE63, 0xFE63, JOINER},	/* small hyphen */
	{0xFE64, 0xFE6F, BREAK},	/* small signs */
	{0xFEFF, 0xFEFF, IGNORED},	/* byte order mark */

	/* full width and half width */
	{0xFF00, 0xFF06, BREAK},	/* punctuation */
	{0xFF07, 0xFF07, JOINER},	/* apostrophe */
	{0xFF08, 0xFF0C, BREAK},	/* brackets, the comma of Chinese prose */
	{0xFF0D, 0xFF0D, JOINER},	/* hyphen */
	{0xFF0E, 0xFF0E, POINT},	/* full stop */
	{0xFF0F, 0xFF0F, BREAK},	/* slash */
	{0xFF10, 0xFF19, DIGIT},	/* digits */
	{0xFF1A, 0xFF20, BREAK},	/* punctuation */
	{0xFF3B, 0xFF40, BREAK},	/* brackets, underscore */
	{0xFF5B, 0xFF65, BREAK},	/* brackets, half width punctuation */
	{0xFF66, 0xFF9D, IDEOGRAPH},	/* half width Katakana */
	{0xFF9E, 0xFFA0, IGNORED},	/* voiced marks, Hangul filler */
	{0xFFE0, 0xFFFC, BREAK},	/* signs, arrows, annotation, object */
	{0xFFFD, 0xFFFD, IGNORED},	/* replacement, mostly of a lost letter */
	{0xFFFE, 0xFFFF, BREAK},	/* noncharacters */

	/* scripts of antiquity */
	{0x10100, 0x10106, BREAK},	/* Aegean word separators */
	{0x10137, 0x1013F, BREAK},	/* Aegean measures */
	{0x10179, 0x10189, BREAK},	/* Greek measures */
	{0x1018C, 0x101FC, BREAK},	/* Greek and Roman signs, Phaistos disc */
	{0x1039F, 0x1039F, BREAK},	/* Ugaritic word divider */
	{0x103D0, 0x103D0, BREAK},	/* Old Persian word divider */
	{0x104A0, 0x104A9, DIGIT},	/* Osmanya digits */
	{0x1056F, 0x1056F, BREAK},	/* Caucasian Albanian citation mark */
	{0x10857, 0x10857, BREAK},	/* Aramaic section sign */
	{0x10877, 0x10878, BREAK},	/* Palmyrene fleurons */
	{0x1091F, 0x1091F, BREAK},	/* Phoenician word separator */
	{0x1093F, 0x1093F, BREAK},	/* Lydian mark */
	{0x10A50, 0x10A58, BREAK},	/* Kharoshthi punctuation */
	{0x10A7F, 0x10A7F, BREAK},	/* Old South Arabian sign */
	{0x10AC8, 0x10AC8, BREAK},	/* Manichaean sign */
	{0x10AF0, 0x10AF6, BREAK},	/* Manichaean punctuation */
	{0x10B39, 0x10B3F, BREAK},	/* Avestan punctuation */
	{0x10B99, 0x10B9C, BREAK},	/* Psalter Pahlavi punctuation */
	{0x10D30, 0x10D39, DIGIT},	/* Hanifi Rohingya digits */
	{0x10D40, 0x10D49, DIGIT},	/* Garay digits */
	{0x10D6E, 0x10D6E, JOINER}, /* Garay hyphen */
	{0x10D8E, 0x10D8F, BREAK},	/* Garay plus, minus */
	{0x10EAD, 0x10EAD, JOINER}, /* Yezidi hyphen */
	{0x10F55, 0x10F59, BREAK},	/* Sogdian punctuation */
	{0x10F86, 0x10F89, BREAK},	/* Old Uyghur punctuation */

	/* scripts of India and the south-east of Asia, beyond the first plane */
	{0x11047, 0x1104D, BREAK},	/* Brahmi punctuation */
	{0x11066, 0x1106F, DIGIT},	/* Brahmi digits */
	{0x110BB, 0x110C1, BREAK},	/* Kaithi punctuation, number sign */
	{0x110CD, 0x110CD, BREAK},	/* Kaithi number sign above */
	{0x110F0, 0x110F9, DIGIT},	/* Sora digits */
	{0x11136, 0x1113F, DIGIT},	/* Chakma digits */
	{0x11140, 0x11143, BREAK},	/* Chakma punctuation */
	{0x11174, 0x11175, BREAK},	/* Mahajani punctuation */
	{0x111C5, 0x111C8, BREAK},	/* Sharada punctuation */
	{0x111CD, 0x111CD, BREAK},	/* Sharada sutra mark */
	{0x111D0, 0x111D9, DIGIT},	/* Sharada digits */
	{0x111DB, 0x111DB, BREAK},	/* Sharada siddham */
	{0x111DD, 0x111DF, BREAK},	/* Sharada punctuation */
	{0x11238, 0x1123D, BREAK},	/* Khojki punctuation */
	{0x112A9, 0x112A9, BREAK},	/* Multani section mark */
	{0x112F0, 0x112F9, DIGIT},	/* Khudawadi digits */
	{0x113D4, 0x113D5, BREAK},	/* Tulu-Tigalari danda */
	{0x113D7, 0x113D8, BREAK},	/* Tulu-Tigalari pushpika */
	{0x1144B, 0x1144F, BREAK},	/* Newa punctuation */
	{0x11450, 0x11459, DIGIT},	/* Newa digits */
	{0x1145A, 0x1145D, BREAK},	/* Newa punctuation */
	{0x114C6, 0x114C6, BREAK},	/* Tirhuta abbreviation */
	{0x114D0, 0x114D9, DIGIT},	/* Tirhuta digits */
	{0x115C1, 0x115D7, BREAK},	/* Siddham punctuation */
	{0x11641, 0x11643, BREAK},	/* Modi punctuation */
	{0x11650, 0x11659, DIGIT},	/* Modi digits */
	{0x11660, 0x1166C, BREAK},	/* Mongolian ornaments */
	{0x116B9, 0x116B9, BREAK},	/* Takri abbreviation */
	{0x116C0, 0x116C9, DIGIT},	/* Takri digits */
	{0x116D0, 0x116E3, DIGIT},	/* Pwo and Karen digits */
	{0x11730, 0x11739, DIGIT},	/* Ahom digits */
	{0x1173C, 0x1173F, BREAK},	/* Ahom punctuation */
	{0x1183B, 0x1183B, BREAK},	/* Dogra abbreviation */
	{0x118E0, 0x118E9, DIGIT},	/* Warang Citi digits */
	{0x11944, 0x11946, BREAK},	/* Dives Akuru punctuation */
	{0x11950, 0x11959, DIGIT},	/* Dives Akuru digits */
	{0x119E2, 0x119E2, BREAK},	/* Nandinagari siddham */
	{0x11A3F, 0x11A46, BREAK},	/* Zanabazar punctuation */
	{0x11A9A, 0x11A9C, BREAK},	/* Soyombo punctuation */
	{0x11A9E, 0x11AA2, BREAK},	/* Soyombo head marks */
	{0x11B00, 0x11B09, BREAK},	/* Devanagari head marks */
	{0x11BE1, 0x11BE1, BREAK},	/* Sunuwar sign */
	{0x11BF0, 0x11BF9, DIGIT},	/* Sunuwar digits */
	{0x11C41, 0x11C45, BREAK},	/* Bhaiksuki punctuation */
	{0x11C50, 0x11C59, DIGIT},	/* Bhaiksuki digits */
	{0x11C70, 0x11C71, BREAK},	/* Marchen marks */
	{0x11D50, 0x11D59, DIGIT},	/* Masaram Gondi digits */
	{0x11DA0, 0x11DA9, DIGIT},	/* Gunjala Gondi digits */
	{0x11EF7, 0x11EF8, BREAK},	/* Makasar punctuation */
	{0x11F43, 0x11F4F, BREAK},	/* Kawi punctuation */
	{0x11F50, 0x11F59, DIGIT},	/* Kawi digits */
	{0x11FD5, 0x11FFF, BREAK},	/* Tamil measures, end of text */

	/* other scripts beyond the first plane */
	{0x12470, 0x12474, BREAK},	/* cuneiform punctuation */
	{0x12FF1, 0x12FF2, BREAK},	/* Cypro-Minoan punctuation */
	{0x13430, 0x1343F, IGNORED},	/* hieroglyph controls */
	{0x16130, 0x16139, DIGIT},	/* Gurung Khema digits */
	{0x16A60, 0x16A69, DIGIT},	/* Mro digits */
	{0x16A6E, 0x16A6F, BREAK},	/* Mro punctuation */
	{0x16AC0, 0x16AC9, DIGIT},	/* Tangsa digits */
	{0x16AF5, 0x16AF5, BREAK},	/* Bassa Vah full stop */
	{0x16B37, 0x16B3F, BREAK},	/* Pahawh Hmong punctuation */
	{0x16B44, 0x16B45, BREAK},	/* Pahawh Hmong punctuation */
	{0x16B50, 0x16B59, DIGIT},	/* Pahawh Hmong digits */
	{0x16D6D, 0x16D6F, BREAK},	/* Kirat Rai punctuation */
	{0x16D70, 0x16D79, DIGIT},	/* Kirat Rai digits */
	{0x16E97, 0x16E9A, BREAK},	/* Medefaidrin punctuation */
	{0x16FE2, 0x16FE2, BREAK},	/* Old Chinese hook mark */
	{0x16FE3, 0x16FE3, IDEOGRAPH},	/* Old Chinese iteration mark */
	{0x16FF0, 0x16FF6, IGNORED},	/* Vietnamese reading marks */
	{0x1AFF0, 0x1B16F, IDEOGRAPH},	/* old and small kana */
	{0x1BC9C, 0x1BC9C, BREAK},	/* Duployan sign */
	{0x1BC9F, 0x1BC9F, BREAK},	/* Duployan full stop */
	{0x1BCA0, 0x1BCA3, IGNORED},	/* shorthand controls */
	{0x1CC00, 0x1CEFF, BREAK},	/* shapes of old computers */
	{0x1CF50, 0x1D24F, BREAK},	/* music: Znamenny, Byzantine, ours */
	{0x1D300, 0x1D35F, BREAK},	/* Tai Xuan Jing */
	{0x1D6C1, 0x1D6C1, BREAK},	/* nabla */
	{0x1D6DB, 0x1D6DB, BREAK},	/* partial differential */
	{0x1D6FB, 0x1D6FB, BREAK},	/* nabla */
	{0x1D715, 0x1D715, BREAK},	/* partial differential */
	{0x1D735, 0x1D735, BREAK},	/* nabla */
	{0x1D74F, 0x1D74F, BREAK},	/* partial differential */
	{0x1D76F, 0x1D76F, BREAK},	/* nabla */
	{0x1D789, 0x1D789, BREAK},	/* partial differential */
	{0x1D7A9, 0x1D7A9, BREAK},	/* nabla */
	{0x1D7C3, 0x1D7C3, BREAK},	/* partial differential */
	{0x1D7CE, 0x1D7FF, DIGIT},	/* mathematical digits */
	{0x1D800, 0x1DAAF, BREAK},	/* sign language */
	{0x1E140, 0x1E149, DIGIT},	/* Nyiakeng digits */
	{0x1E14F, 0x1E14F, BREAK},	/* Nyiakeng sign */
	{0x1E2F0, 0x1E2F9, DIGIT},	/* Wancho digits */
	{0x1E2FF, 0x1E2FF, BREAK},	/* Wancho currency */
	{0x1E4F0, 0x1E4F9, DIGIT},	/* Nag Mundari digits */
	{0x1E5F1, 0x1E5FA, DIGIT},	/* Ol Onal digits */
	{0x1E5FF, 0x1E5FF, BREAK},	/* Ol Onal abbreviation */
	{0x1E950, 0x1E959, DIGIT},	/* Adlam digits */
	{0x1E95E, 0x1E95F, BREAK},	/* Adlam punctuation */
	{0x1ECAC, 0x1ECAC, BREAK},	/* Siyaq placeholder */
	{0x1ECB0, 0x1ECB0, BREAK},	/* Siyaq rupee */
	{0x1ED2E, 0x1ED2E, BREAK},	/* Siyaq marratan */
	{0x1EEF0, 0x1EEF1, BREAK},	/* Arabic mathematical operators */

	/* emoji and beyond */
	{0x1F000, 0x1FBEF, BREAK},	/* games, enclosed, flags, emoji, arrows */
	{0x1FBF0, 0x1FBF9, DIGIT},	/* segmented digits */
	{0x1FBFA, 0x1FFFF, BREAK},	/* symbols to come, noncharacters */
	{0x20000, 0x2FFFD, IDEOGRAPH},	/* Han, extensions */
	{0x2FFFE, 0x2FFFF, BREAK},	/* noncharacters */
	{0x30000, 0x3FFFD, IDEOGRAPH},	/* Han, extensions */
	{0x3FFFE, 0xDFFFF, BREAK},	/* not given out */
	{0xE0000, 0xE0FFF, IGNORED},	/* tags, variation selectors */
	{0xE1000, 0x10FFFF, BREAK}	/* private use */
};

/* the state of counting */
typedef struct WordScan
{
	const unsigned char *at;
	const unsigned char *end;
	CharRange	known;			/* range of the last character looked up */
	ScanState	state;
	int64		words;
} WordScan;

/* Return the range of a character; those between two ranges of the table are letters. */
static CharRange
range_of(pg_wchar c)
{
	CharRange	gap = {0, PG_UINT32_MAX, LETTER};
	int			low = 0;
	int			high = lengthof(ranges);

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const CharRange *range = &ranges[middle];

		if (c < range->first)
		{
			high = middle;
			gap.last = range->first - 1;
		}
		else if (c > range->last)
		{
			low = middle + 1;
			gap.first = range->last + 1;
		}
		else
			return *range;
	}
	return gap;
}

/* Return the class of a character; the last range is tried first, as most texts are of one script. */
static inline CharClass
class_of(WordScan *scan, pg_wchar c)
{
	if (c < scan->known.first || c > scan->known.last)
		scan->known = range_of(c);
	return scan->known.class;
}

/* Count a character of a class. */
static inline void
advance(WordScan *scan, CharClass class)
{
	const Transition *transition = &transitions[class][scan->state];

	scan->state = transition->next;
	scan->words += transition->words;
}

/* Count a character of several bytes.  SQL_ASCII allows any byte; one that is not UTF-8 is a letter. */
static inline void
advance_multibyte(WordScan *scan)
{
	int			length = pg_utf_mblen(scan->at);

	if (length > scan->end - scan->at || !pg_utf8_islegal(scan->at, length))
	{
		advance(scan, LETTER);
		scan->at++;
		return;
	}
	advance(scan, class_of(scan, utf8_to_unicode(scan->at)));
	scan->at += length;
}

/* Count the characters that begin before stop; the last one may end after it. */
static void
scan_block(WordScan *scan, const unsigned char *stop)
{
	while (scan->at < stop)
	{
		if (*scan->at < lengthof(ascii_classes))
			advance(scan, ascii_classes[*scan->at++]);
		else
			advance_multibyte(scan);
	}
}

/*
 * Return the number of words of a UTF-8 string.
 */
int64
words_count_utf8(const char *utf8, size_t length)
{
	WordScan	scan = {
		.at = (const unsigned char *) utf8,
		.end = (const unsigned char *) utf8 + length,
		.known = range_of(0)
	};

	while (scan.at < scan.end)
	{
		CHECK_FOR_INTERRUPTS();
		scan_block(&scan, scan.at + Min(scan.end - scan.at, BLOCK_SIZE));
	}
	return scan.words;
}

/*
 * Return the number of words of a text in the encoding of the database.  The text
 * is copied only if its encoding has to be converted.
 */
int32
words_count_text(const text *value)
{
	const char *server = VARDATA_ANY(value);
	size_t		length = VARSIZE_ANY_EXHDR(value);
	const char *utf8 = server;
	int64		words;

	/* SQL_ASCII cannot be converted, and conversion would refuse its bytes */
	if (GetDatabaseEncoding() != PG_SQL_ASCII)
		utf8 = pg_server_to_any(server, length, PG_UTF8);
	words = words_count_utf8(utf8, utf8 == server ? length : strlen(utf8));
	if (utf8 != server)
		pfree(unconstify(char *, utf8));
	return Min(words, PG_INT32_MAX);
}

/*
 * studio_engine.count_words(p_text text) returns integer
 */
Datum
studio_count_words(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	int32		words = words_count_text(value);

	PG_FREE_IF_COPY(value, 0);
	PG_RETURN_INT32(words);
}
