/*
 * json_fields.h
 *	  Members of a JSON argument, checked as they are read.
 */
#ifndef STUDIO_JSON_FIELDS_H
#define STUDIO_JSON_FIELDS_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* an object within an argument; one without a container is absent */
typedef struct JsonFields
{
	const char *path;			/* of the argument, for errors */
	JsonbContainer *container;
	int			length;			/* of the container, in bytes */
} JsonFields;

extern JsonFields json_fields(Jsonb *value, const char *name);
extern Datum json_fields_jsonb(const JsonFields *object);
extern bool field_has(const JsonFields *object, const char *name);
extern bool field_is_text(const JsonFields *object, const char *name);
extern JsonFields field_object(const JsonFields *object, const char *name);
extern List *json_objects(Jsonb *value, const char *name);
extern Datum field_jsonb(const JsonFields *object, const char *name);
extern bool field_uuid(const JsonFields *object, const char *name, pg_uuid_t *id);
extern text *field_any_text(const JsonFields *object, const char *name);
extern List *field_objects(const JsonFields *object, const char *name);
extern char *field_text(const JsonFields *object, const char *name, int max);
extern char *field_short_text(const JsonFields *object, const char *name, int max);
extern bool field_true(const JsonFields *object, const char *name);
extern bool field_integer(const JsonFields *object, const char *name, int64 min, int64 max, int64 *number);
pg_noreturn extern void refuse_field(const JsonFields *object, const char *name, const char *expected);

extern bool digits_number(const char *text, int32 *number);
extern bool text_uuid(const char *text, pg_uuid_t *id);

#endif							/* STUDIO_JSON_FIELDS_H */
