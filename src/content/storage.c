/*
 * storage.c
 *	  Paths of files in the object store, and the addresses under which a public
 *	  bucket serves them.
 *
 * Pitfall: a service may store any text as a path.  Only a path that stays in its
 * bucket gets an address; others keep the one that they are given.
 *
 * Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "caller.h"
#include "restore.h"
#include "settings.h"
#include "storage.h"
#include "triggers.h"

PG_FUNCTION_INFO_V1(fill_public_url);

/*
 * Return true if a string may be a part of a path in the object store.  Parts of
 * dots alone name another directory; separators, and percent signs, which a proxy
 * may decode to one, would add parts.
 */
bool
storage_is_part(const char *part, int length)
{
	bool		is_dots = true;

	for (int i = 0; i < length; i++)
	{
		unsigned char c = part[i];

		if (c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == '%')
			return false;
		is_dots = is_dots && c == '.';
	}
	return !is_dots;
}

/*
 * Return true if a path is relative and has valid parts only, so that it stays in
 * its bucket.
 */
bool
storage_is_path(const char *path, int length)
{
	int			start = 0;

	for (int i = 0; i <= length; i++)
	{
		if (i < length && path[i] != '/')
			continue;
		if (!storage_is_part(path + start, i - start))
			return false;
		start = i + 1;
	}
	return pg_mbstrlen_with_len(path, length) <= MAX_PATH_LENGTH;
}

/* ------------------------------------------------------------------------
 * Addresses
 * ------------------------------------------------------------------------ */

/* Return true for a byte that stands for itself in a path of an address, RFC 3986. */
static bool
is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~/", c) != NULL;
}

/* Append a path, with the bytes of UTF-8 percent-encoded; its slashes separate parts. */
static void
append_encoded(StringInfo url, const char *path)
{
	const char *bytes = path;

	/* SQL_ASCII cannot be converted, and conversion would refuse its bytes */
	if (GetDatabaseEncoding() != PG_SQL_ASCII)
		bytes = pg_server_to_any(path, strlen(path), PG_UTF8);
	for (; *bytes != '\0'; bytes++)
	{
		if (is_unreserved(*bytes))
			appendStringInfoChar(url, *bytes);
		else
			appendStringInfo(url, "%%%02X", (unsigned char) *bytes);
	}
}

/*
 * Return the address of the file of a row below a base, or NULL where the row has
 * no valid path.
 */
static char *
file_url(const char *base, TupleDesc desc, HeapTuple row)
{
	char	   *bucket = row_get_text(desc, row, "storage_bucket");
	char	   *path = row_get_text(desc, row, "storage_path");
	int			length = strlen(base);
	StringInfoData url;

	if (bucket == NULL || path == NULL || !storage_is_part(bucket, strlen(bucket)) || !storage_is_path(path, strlen(path)))
		return NULL;
	while (length > 0 && base[length - 1] == '/')
		length--;
	initStringInfo(&url);
	appendBinaryStringInfo(&url, base, length);
	appendStringInfoChar(&url, '/');
	append_encoded(&url, bucket);
	appendStringInfoChar(&url, '/');
	append_encoded(&url, path);
	return url.data;
}

/* Return true if the address of a row is to be filled: it has none, or one that was filled for its former path. */
static bool
wants_url(const char *base, TupleDesc desc, HeapTuple row, HeapTuple old)
{
	char	   *url = row_get_text(desc, row, "public_url");
	char	   *filled = old ? file_url(base, desc, old) : NULL;

	return url == NULL || (filled != NULL && strcmp(url, filled) == 0);
}

/* Set the address of a row below a base, if the row wants one. */
static void
set_public_url(RowEdit *edit, const char *base, HeapTuple old)
{
	char	   *url;

	if (!wants_url(base, edit->desc, edit->row, old))
		return;
	url = file_url(base, edit->desc, edit->row);
	if (url == NULL)
		row_set_null(edit, "public_url");
	else
		row_set(edit, "public_url", TEXTOID, SPI_datumTransfer(CStringGetTextDatum(url), false, -1));
}

/* The check of setting storage_public_url. */
static bool
is_base(const char *value)
{
	return *value == '\0' || strncmp(value, "https://", 8) == 0 || strncmp(value, "http://", 7) == 0;
}

/*
 * Register what other folders call back.
 */
void
storage_register(void)
{
	setting_register_check(SETTING_STORAGE_PUBLIC_URL, is_base, "an address that begins with https:// or http://, or empty");
}

/*
 * fill_public_url() returns trigger: BEFORE INSERT OR UPDATE on
 * mm_multimedia_assets.  Fills public_url in from setting storage_public_url and
 * the path, where the statement gives none.
 */
Datum
fill_public_url(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, BEFORE_ROW, ON_INSERT | ON_UPDATE, 0);
	RowEdit		edit = {
		.desc = RelationGetDescr(data->tg_relation),
		.row = trigger_new_row(data)
	};
	HeapTuple	old = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigtuple : NULL;
	Caller		caller;
	char	   *base;

	if (restoring())
		return PointerGetDatum(edit.row);

	caller_enter_trigger(&caller);
	base = setting_text(SETTING_STORAGE_PUBLIC_URL);
	if (base[0] != '\0')
		set_public_url(&edit, base, old);
	caller_leave(&caller);
	return PointerGetDatum(row_edit_apply(&edit));
}
