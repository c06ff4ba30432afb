/*
 * jsonb_measure.h
 *	  The size of values as they are stored, and of jsonb as text.
 */
#ifndef STUDIO_JSONB_MEASURE_H
#define STUDIO_JSONB_MEASURE_H

#include "utils/jsonb.h"

/* limits of nesting, and of the digits of a number as text */
#define MAX_JSONB_DEPTH 64
#define MAX_JSONB_DIGITS 400

typedef struct JsonbMeasure
{
	int64		bytes;			/* of its text */
	int			depth;			/* 0 for a scalar */
	int			digits;			/* of the longest number */
} JsonbMeasure;

extern int64 value_size(Datum value);
extern int	number_digits(Numeric number);
extern JsonbMeasure jsonb_measure(const Jsonb *value, int64 max_bytes, int max_depth, int max_digits);
extern bool jsonb_is_flat(const Jsonb *value);
extern int64 jsonb_shown_size(const Jsonb *value);

#endif							/* STUDIO_JSONB_MEASURE_H */
