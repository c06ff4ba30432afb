/*
 * checks.h
 *	  Checks of the arguments of API functions.
 */
#ifndef STUDIO_CHECKS_H
#define STUDIO_CHECKS_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

/* the largest limit of a clean-up function, and the largest age */
#define MAX_CLEANUP 100000
#define MAX_AGE_YEARS 1000

/* arguments that may be NULL */
extern const pg_uuid_t *optional_uuid(FunctionCallInfo fcinfo, int argno);
extern const bool *optional_bool(FunctionCallInfo fcinfo, int argno);
extern const TimestampTz *optional_time(FunctionCallInfo fcinfo, int argno);
extern ArrayType *optional_array(FunctionCallInfo fcinfo, int argno);
extern Jsonb *optional_jsonb(FunctionCallInfo fcinfo, int argno);

extern void check_not_null(FunctionCallInfo fcinfo, int argno, const char *name);
extern pg_uuid_t check_uuid(FunctionCallInfo fcinfo, int argno, const char *name);
extern int32 check_positive(FunctionCallInfo fcinfo, int argno, const char *name);
extern bool check_bool(FunctionCallInfo fcinfo, int argno, const char *name);
extern int32 check_int32(FunctionCallInfo fcinfo, int argno, const char *name, int32 min, int32 max);
extern const int32 *check_optional_int32(FunctionCallInfo fcinfo, int argno, const char *name, int32 min, int32 max);
extern char *check_text(FunctionCallInfo fcinfo, int argno, const char *name, int min, int max);
extern char *check_optional_text(FunctionCallInfo fcinfo, int argno, const char *name, int max);
extern char *check_word(FunctionCallInfo fcinfo, int argno, const char *name, const char *const *words, int nwords);
extern char *check_optional_word(FunctionCallInfo fcinfo, int argno, const char *name, const char *const *words, int nwords);
extern const int64 *check_duration(FunctionCallInfo fcinfo, int argno, const char *name, int64 min, int64 max);
extern TimestampTz check_until(FunctionCallInfo fcinfo, int argno, const char *name, TimestampTz now, int64 min, int64 max);
extern TimestampTz check_span(const Interval *span, const char *name, TimestampTz now, int64 min, int64 max);
extern TimestampTz check_within_year(FunctionCallInfo fcinfo, int argno, const char *name);
extern bool numeric_is_between(Numeric value, int64 min, int64 max);
extern Numeric check_numeric(FunctionCallInfo fcinfo, int argno, const char *name, int64 min, int64 max);
extern Jsonb *check_jsonb(FunctionCallInfo fcinfo, int argno, const char *name, int max_bytes);
extern Jsonb *check_jsonb_or_empty(FunctionCallInfo fcinfo, int argno, const char *name, int max_bytes);
extern Jsonb *check_object_or_empty(FunctionCallInfo fcinfo, int argno, const char *name, int max_bytes);

#endif							/* STUDIO_CHECKS_H */
