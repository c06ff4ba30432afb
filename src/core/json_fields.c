/*
 * json_fields.c
 *	  Members of a JSON argument, checked as they are read.
 *
 * A member of another type than the one that is asked for is refused (22023), and
 * DETAIL has its path.  One that is missing or null is absent, which each function
 * tells in its own way; a member of an absent object is absent.
 *
 * Pitfall: what is returned points into the argument, or is a copy in the current
 * memory context; neither outlives caller_leave().
 *
 * Locks: none.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "checks.h"
#include "compat.h"
#include "errors.h"
#include "json_fields.h"

#define UUID_TEXT_LENGTH 36

/*
 * Raise 22023 for a member.
 */
void
refuse_field(const JsonFields *object, const char *name, const char *expected)
{
	refuse_value(psprintf("%s.%s", object->path, name), expected);
}

/*
 * Return the members of an argument, which must be a JSON object; an absent one for
 * NULL.
 */
JsonFields
json_fields(Jsonb *value, const char *name)
{
	if (value == NULL)
		return (JsonFields)
	{
		.path = name
	};
	if (!JB_ROOT_IS_OBJECT(value))
		refuse_value(name, "a JSON object");
	return (JsonFields)
	{
		.path = name,.container = &value->root,.length = VARSIZE(value) - VARHDRSZ
	};
}

/*
 * Return an object as jsonb; 0 if it is absent.
 */
Datum
json_fields_jsonb(const JsonFields *object)
{
	JsonbValue	value = {.type = jbvBinary};

	if (object->container == NULL)
		return (Datum) 0;
	value.val.binary.data = object->container;
	value.val.binary.len = object->length;
	return JsonbPGetDatum(JsonbValueToJsonb(&value));
}

/* Find a member; returns false if it is absent. */
static bool
find_member(const JsonFields *object, const char *name, JsonbValue *value)
{
	return object->container != NULL &&
		getKeyJsonValueFromContainer(object->container, name, strlen(name), value) != NULL &&
		value->type != jbvNull;
}

/*
 * Return true if there is such a member, of any type.
 */
bool
field_has(const JsonFields *object, const char *name)
{
	JsonbValue	value;

	return find_member(object, name, &value);
}

/*
 * Return true if there is such a member and it is a string.
 */
bool
field_is_text(const JsonFields *object, const char *name)
{
	JsonbValue	value;

	return find_member(object, name, &value) && value.type == jbvString;
}

/*
 * Return an object; an absent one if there is none.
 */
JsonFields
field_object(const JsonFields *object, const char *name)
{
	JsonFields	member = {.path = psprintf("%s.%s", object->path, name)};
	JsonbValue	value;

	if (!find_member(object, name, &value))
		return member;
	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		refuse_field(object, name, "a JSON object");
	member.container = value.val.binary.data;
	member.length = value.val.binary.len;
	return member;
}

/* Return the elements of an array, as JsonFields; NIL if one is not an object. */
static List *
objects_of(JsonbContainer *array, const char *path)
{
	List	   *elements = NIL;

	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonFields *element = palloc(sizeof(JsonFields));
		JsonbValue *found = getIthJsonbValueFromContainer(array, i);

		if (found->type != jbvBinary || !JsonContainerIsObject(found->val.binary.data))
			return NIL;
		element->path = psprintf("%s[%u]", path, i);
		element->container = found->val.binary.data;
		element->length = found->val.binary.len;
		elements = lappend(elements, element);
	}
	return elements;
}

/*
 * Return the elements of an argument, which must be an array of JSON objects, as
 * JsonFields.
 */
List *
json_objects(Jsonb *value, const char *name)
{
	List	   *elements = NIL;

	if (JB_ROOT_IS_ARRAY(value) && !JB_ROOT_IS_SCALAR(value))
		elements = objects_of(&value->root, name);
	if (elements == NIL && !(JB_ROOT_IS_ARRAY(value) && !JB_ROOT_IS_SCALAR(value) && JB_ROOT_COUNT(value) == 0))
		refuse_value(name, "an array of JSON objects");
	return elements;
}

/*
 * Return a member of any type as jsonb; 0 if it is absent.
 */
Datum
field_jsonb(const JsonFields *object, const char *name)
{
	JsonbValue	value;

	return find_member(object, name, &value) ? JsonbPGetDatum(JsonbValueToJsonb(&value)) : (Datum) 0;
}

/* Return the value of a hexadecimal digit; -1 for any other character. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Get an id from characters as PostgreSQL prints it; returns false for any others. */
static bool
parse_uuid(const char *chars, int length, pg_uuid_t *id)
{
	int			n = 0;

	if (length != UUID_TEXT_LENGTH)
		return false;
	for (int i = 0; i < UUID_TEXT_LENGTH; i += 2)
	{
		int			high,
					low;

		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (chars[i] != '-')
				return false;
			i++;
		}
		high = hex_value(chars[i]);
		low = hex_value(chars[i + 1]);
		if (high < 0 || low < 0)
			return false;
		id->data[n++] = (high << 4) | low;
	}
	return true;
}

/*
 * Get an id; returns false if it is absent.
 */
bool
field_uuid(const JsonFields *object, const char *name, pg_uuid_t *id)
{
	JsonbValue	value;

	if (!find_member(object, name, &value))
		return false;
	if (value.type != jbvString || !parse_uuid(value.val.string.val, value.val.string.len, id))
		refuse_field(object, name, "an id");
	return true;
}

/*
 * Return a string of any length, as a text; NULL if it is absent.
 */
text *
field_any_text(const JsonFields *object, const char *name)
{
	JsonbValue	value;

	if (!find_member(object, name, &value))
		return NULL;
	if (value.type != jbvString)
		refuse_field(object, name, "a string");
	return cstring_to_text_with_len(value.val.string.val, value.val.string.len);
}

/*
 * Return the elements of an array of objects, as JsonFields; none if it is absent.
 */
List *
field_objects(const JsonFields *object, const char *name)
{
	List	   *elements = NIL;
	JsonbContainer *array;
	JsonbValue	value;

	if (!find_member(object, name, &value))
		return NIL;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		refuse_field(object, name, "an array");
	array = value.val.binary.data;
	elements = objects_of(array, psprintf("%s.%s", object->path, name));
	if (elements == NIL && JsonContainerSize(array) > 0)
		refuse_field(object, name, "an array of JSON objects");
	return elements;
}

/* Return a string of 1 to max characters; NULL if the value is anything else. */
static char *
string_of(const JsonbValue *value, int max)
{
	if (value->type != jbvString || value->val.string.len == 0 ||
		pg_mbstrlen_with_len(value->val.string.val, value->val.string.len) > max)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/*
 * Return a string of 1 to max characters; NULL if it is absent.
 */
char *
field_text(const JsonFields *object, const char *name, int max)
{
	JsonbValue	value;
	char	   *text;

	if (!find_member(object, name, &value))
		return NULL;
	text = string_of(&value, max);

	if (text == NULL)
		refuse_field(object, name, psprintf("a string of 1 to %d characters", max));
	return text;
}

/*
 * Return a string of 1 to max characters; NULL if there is anything else, for
 * members that others use for their own purposes.
 */
char *
field_short_text(const JsonFields *object, const char *name, int max)
{
	JsonbValue	value;

	return find_member(object, name, &value) ? string_of(&value, max) : NULL;
}

/*
 * Return a boolean; false if it is absent.
 */
bool
field_true(const JsonFields *object, const char *name)
{
	JsonbValue	value;

	if (!find_member(object, name, &value))
		return false;
	if (value.type != jbvBool)
		refuse_field(object, name, "true or false");
	return value.val.boolean;
}

/*
 * Get a whole number from min to max; returns false if it is absent.
 */
bool
field_integer(const JsonFields *object, const char *name, int64 min, int64 max, int64 *number)
{
	JsonbValue	value;

	if (!find_member(object, name, &value))
		return false;
	if (value.type == jbvNumeric && numeric_is_between(value.val.numeric, min, max))
	{
		Datum		datum = NumericGetDatum(value.val.numeric);

		*number = DatumGetInt64(DirectFunctionCall1(numeric_int8, datum));
		if (DatumGetBool(DirectFunctionCall2(numeric_eq, datum, NumericGetDatum(int64_to_numeric(*number)))))
			return true;
	}
	refuse_field(object, name, psprintf("a whole number between " INT64_FORMAT " and " INT64_FORMAT, min, max));
}

/*
 * Get a number greater than 0 from a text of digits; returns false for any other
 * text.
 */
bool
digits_number(const char *text, int32 *number)
{
	int64		value = 0;

	for (const char *c = text; *c != '\0'; c++)
	{
		if (*c < '0' || *c > '9')
			return false;
		value = value * 10 + (*c - '0');
		if (value > PG_INT32_MAX)
			return false;
	}
	*number = (int32) value;
	return value > 0;
}

/*
 * Get an id from a text as PostgreSQL prints it; returns false for any other text.
 */
bool
text_uuid(const char *text, pg_uuid_t *id)
{
	return parse_uuid(text, strlen(text), id);
}
