/*
 * row_jsonb.h
 *	  A row as jsonb, byte for byte as to_jsonb() makes it.
 */
#ifndef STUDIO_ROW_JSONB_H
#define STUDIO_ROW_JSONB_H

#include "access/tupdesc.h"

extern bool is_plain_enum(Oid type);
extern Datum row_values_jsonb(TupleDesc desc, Datum *values, bool *nulls);

#endif							/* STUDIO_ROW_JSONB_H */
