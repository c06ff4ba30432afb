/*
 * brief.h
 *	  Rows for lists, as jsonb: long texts are truncated, other long values omitted.
 */
#ifndef STUDIO_BRIEF_H
#define STUDIO_BRIEF_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "nodes/pg_list.h"

extern Datum brief_jsonb(HeapTuple row, TupleDesc desc, const char *prefix, const char *unwanted, List **cut);

#endif							/* STUDIO_BRIEF_H */
