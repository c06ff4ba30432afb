/*
 * messages.c
 *	  What is told of changes of rows to clients who listen: collected while a
 *	  transaction runs, sent before it commits.
 *
 * A row has one message in a transaction, however often it is written: the columns
 * that changed, with their last values.  What a subtransaction has noted is
 * forgotten when that is rolled back.  So an entry, of a row, has a stack of
 * versions, one for each level of subtransactions that has written the row since
 * the level below did; a level knows its versions.
 *
 * A row that is deleted is not told, whatever was written to it before.
 *
 * A transaction keeps at most MAX_ENTRIES rows.  Of more it keeps the topics alone,
 * and tells those who listen to one to read again what they show.
 *
 * Pitfall: messages are sent from a callback of the commit, where an error fails the
 * transaction.  They are sent in a subtransaction, which may fail: there is a
 * warning then.  A cancellation and a serialization failure are still errors.
 *
 * Pitfall: the statements that send them may write tables of ours.  What they
 * write is not told.
 *
 * Locks: those of the sender.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "messages.h"
#include "realtime.h"
#include "showing.h"
#include "subtransactions.h"
#include "triggers.h"
#include "uuids.h"

#define MESSAGE_VERSION "1"
#define RELOAD_EVENT "reload"

/* rows of one transaction; each takes about half a kilobyte */
#define MAX_ENTRIES 10000

/* bytes of a text in a message */
#define MAX_TEXT 200

struct Entry;

/* what is noted of a row since a level of subtransactions began to write it */
typedef struct Version
{
	struct Entry *entry;
	struct Level *level;
	struct Version *below;		/* of the same entry */
	struct Version *next;		/* of the same level */
	bool		inserted;
	bool		deleted;
	char	   *topic;
	char	   *values[MESSAGE_MAX_COLUMNS];	/* as JSON; NULL: not changed */
} Version;

/* a level of subtransactions that has noted something */
typedef struct Level
{
	int			nest;
	Version    *versions;
	struct Level *outer;
} Level;

/* a row, or, without a table, a topic of which only that is known */
typedef struct EntryKey
{
	const MessageTable *table;
	const char *id;
} EntryKey;

typedef struct Entry
{
	EntryKey	key;
	uint64		number;			/* messages are sent in the order of the first
								 * notes */
	Version    *top;
} Entry;

/* of the current transaction; the memory is below TopTransactionContext */
static MemoryContext noted = NULL;
static HTAB *entries = NULL;
static Level *levels = NULL;
static uint64 notes = 0;
static bool sending = false;

/* ------------------------------------------------------------------------
 * Entries and versions
 * ------------------------------------------------------------------------ */

static uint32
hash_key(const void *key, Size size)
{
	const EntryKey *k = key;

	return hash_combine(hash_bytes((const unsigned char *) k->id, strlen(k->id)),
						hash_bytes((const unsigned char *) &k->table, sizeof(k->table)));
}

static int
compare_keys(const void *a, const void *b, Size size)
{
	const EntryKey *x = a;
	const EntryKey *y = b;

	return x->table == y->table ? strcmp(x->id, y->id) : 1;
}

/* Return a copy in the memory of the messages. */
static char *
keep_text(const char *text)
{
	return text ? MemoryContextStrdup(noted, text) : NULL;
}

static void
free_text(char **text)
{
	if (*text !=NULL)
		pfree(*text);
	*text = NULL;
}

static void
free_values(Version *version)
{
	for (int i = 0; i < MESSAGE_MAX_COLUMNS; i++)
		free_text(&version->values[i]);
}

static void
free_version(Version *version)
{
	free_text(&version->topic);
	free_values(version);
	pfree(version);
}

/* Return the level of the current subtransaction, which there is from now on. */
static Level *
current_level(void)
{
	int			nest = GetCurrentTransactionNestLevel();

	if (levels == NULL || levels->nest < nest)
	{
		Level	   *level = MemoryContextAllocZero(noted, sizeof(Level));

		level->nest = nest;
		level->outer = levels;
		levels = level;
	}
	return levels;
}

/* Return the version of an entry that the current level writes: a copy of the one below, if there is one. */
static Version *
open_version(Entry *entry)
{
	Level	   *level = current_level();
	Version    *below = entry->top;
	Version    *version;

	if (below != NULL && below->level == level)
		return below;
	version = MemoryContextAllocZero(noted, sizeof(Version));
	version->entry = entry;
	version->level = level;
	version->below = below;
	if (below != NULL)
	{
		version->inserted = below->inserted;
		version->deleted = below->deleted;
		version->topic = keep_text(below->topic);
		for (int i = 0; i < MESSAGE_MAX_COLUMNS; i++)
			version->values[i] = keep_text(below->values[i]);
	}
	version->next = level->versions;
	level->versions = version;
	entry->top = version;
	return version;
}

/* Take an entry from the table. */
static void
remove_entry(Entry *entry)
{
	char	   *id = unconstify(char *, entry->key.id);

	hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	pfree(id);
}

/* Give what a level has noted to the one below it, whose version of the same entry it replaces. */
static void
merge_version(Version *version, Level *outer)
{
	Version    *below = version->below;

	if (below != NULL && below->level == outer)
	{
		Version		older = *below;

		*below = *version;
		below->level = outer;
		below->below = older.below;
		below->next = older.next;
		below->entry->top = below;
		*version = older;
		free_version(version);
		return;
	}
	version->level = outer;
	version->next = outer->versions;
	outer->versions = version;
}

/* A subtransaction has been released: what it noted belongs to the one around it. */
static void
release_level(Level *level)
{
	Version    *next;

	if (level->outer == NULL || level->outer->nest < level->nest - 1)
	{
		level->nest--;
		return;
	}
	for (Version *version = level->versions; version != NULL; version = next)
	{
		next = version->next;
		merge_version(version, level->outer);
	}
	levels = level->outer;
	pfree(level);
}

/* A subtransaction has been rolled back: what it noted is forgotten. */
static void
drop_level(Level *level)
{
	Version    *next;

	for (Version *version = level->versions; version != NULL; version = next)
	{
		Entry	   *entry = version->entry;

		next = version->next;
		entry->top = version->below;
		if (entry->top == NULL)
			remove_entry(entry);
		free_version(version);
	}
	levels = level->outer;
	pfree(level);
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (levels == NULL || levels->nest != GetCurrentTransactionNestLevel())
		return;
	switch (event)
	{
		case SUBXACT_EVENT_COMMIT_SUB:
			release_level(levels);
			break;
		case SUBXACT_EVENT_ABORT_SUB:
			drop_level(levels);
			break;
		case SUBXACT_EVENT_START_SUB:
		case SUBXACT_EVENT_PRE_COMMIT_SUB:
			break;
	}
}

/* ------------------------------------------------------------------------
 * Sending
 * ------------------------------------------------------------------------ */

static int
compare_numbers(const void *a, const void *b)
{
	const Entry *x = *(Entry *const *) a;
	const Entry *y = *(Entry *const *) b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Return the entries of rows that still are there, and of topics, in the order of their numbers. */
static Entry **
sorted_entries(HTAB *table, long *n)
{
	HASH_SEQ_STATUS status;
	Entry	  **sorted;
	Entry	   *entry;

	*n = 0;
	sorted = palloc(Max(hash_get_num_entries(table), 1) * sizeof(Entry *));
	hash_seq_init(&status, table);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		/* without a version where memory ran out */
		if (entry->top != NULL && !entry->top->deleted)
			sorted[(*n)++] = entry;
	}
	qsort(sorted, *n, sizeof(Entry *), compare_numbers);
	return sorted;
}

/* Append the changed columns of a row as an object. */
static void
append_changed(StringInfo buf, const MessageTable *table, const Version *version)
{
	bool		first = true;

	appendStringInfoChar(buf, '{');
	for (int i = 0; i < MESSAGE_MAX_COLUMNS && table->columns[i] != NULL; i++)
	{
		if (version->values[i] == NULL)
			continue;
		appendStringInfo(buf, "%s\"%s\":%s", first ? "" : ",", table->columns[i], version->values[i]);
		first = false;
	}
	appendStringInfoChar(buf, '}');
}

/* Return the message of an entry: the payload, of which realtime.send() makes one with an "id". */
static char *
make_payload(const Entry *entry)
{
	StringInfoData buf;
	const MessageTable *table = entry->key.table;

	initStringInfo(&buf);
	if (table == NULL)
	{
		appendStringInfoString(&buf, "{\"version\":" MESSAGE_VERSION ",\"op\":\"RELOAD\"}");
		return buf.data;
	}
	appendStringInfo(&buf, "{\"version\":" MESSAGE_VERSION ",\"table\":\"%s\",\"id\":", table->event);
	escape_json(&buf, entry->key.id);
	appendStringInfo(&buf, ",\"op\":\"%s\",\"changed\":", entry->top->inserted ? "INSERT" : "UPDATE");
	append_changed(&buf, table, entry->top);
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/* what is sent: a RealtimeSource */
typedef struct SentEntries
{
	Entry	  **sorted;
	long		n;
	long		next;
} SentEntries;

/* Give the message of the next entry. */
static bool
next_message(RealtimeMessage *message, void *arg)
{
	SentEntries *sent = arg;
	const Entry *entry;

	if (sent->next == sent->n)
		return false;
	entry = sent->sorted[sent->next++];
	message->topic = entry->top->topic;
	message->event = entry->key.table ? entry->key.table->event : RELOAD_EVENT;
	message->payload = make_payload(entry);
	return true;
}

/* Send the messages of a table of entries. */
static void
send_entries(void *arg)
{
	SentEntries sent = {.next = 0};

	sent.sorted = sorted_entries(arg, &sent.n);
	realtime_send(next_message, &sent);
}

/* Send what was noted. */
static void
send_noted(void)
{
	MemoryContext old = MemoryContextSwitchTo(noted);
	HTAB	   *table = entries;
	ErrorData  *error;

	entries = NULL;
	levels = NULL;
	sending = true;
	error = in_subtransaction(send_entries, table);
	if (error != NULL)
		ereport(WARNING,
				(errmsg("changes are not told to clients"),
				 errdetail("%s", error->message)));
	MemoryContextSwitchTo(old);
}

/* Send before the commit, after which it is too late; forget at each end of a transaction. */
static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) && entries != NULL)
		send_noted();
	noted = NULL;
	entries = NULL;
	levels = NULL;
	sending = false;
}

/* ------------------------------------------------------------------------
 * Noting
 * ------------------------------------------------------------------------ */

/* Prepare for the first note of a transaction. */
static void
begin_notes(void)
{
	static bool callbacks_registered = false;
	HASHCTL		control = {.keysize = sizeof(EntryKey),.entrysize = sizeof(Entry),.hash = hash_key,.match = compare_keys};

	if (!callbacks_registered)
	{
		RegisterXactCallback(at_end_of_transaction, NULL);
		RegisterSubXactCallback(at_end_of_subtransaction, NULL);
		callbacks_registered = true;
	}
	noted = AllocSetContextCreate(TopTransactionContext, "studio_engine messages", ALLOCSET_DEFAULT_SIZES);
	control.hcxt = noted;
	entries = hash_create("studio_engine messages", 64, &control,
						  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* Return the entry of a row, or of a topic; NULL where there is none and no more are kept. */
static Entry *
find_entry(const MessageTable *table, const char *id)
{
	EntryKey	key = {.table = table,.id = id};
	bool		found;
	Entry	   *entry = hash_search(entries, &key, HASH_FIND, NULL);

	if (entry != NULL)
		return entry;
	if (table != NULL && hash_get_num_entries(entries) >= MAX_ENTRIES)
		return NULL;
	key.id = keep_text(id);
	entry = hash_search(entries, &key, HASH_ENTER, &found);
	entry->number = notes++;
	entry->top = NULL;
	return entry;
}

/* Return a text as JSON, cut at MAX_TEXT bytes. */
static char *
text_as_json(TupleDesc desc, HeapTuple row, const char *column)
{
	StringInfoData buf;

	initStringInfo(&buf);
	escape_json(&buf, row_get_start(desc, row, column, MAX_TEXT));
	return buf.data;
}

/* Return a number with at most two decimals as JSON. */
static char *
numeric_as_json(Datum value)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
														   DirectFunctionCall2(numeric_round, value, Int32GetDatum(2))));

	/* NaN and infinity are no numbers of JSON */
	return strspn(text, "-.0123456789") == strlen(text) ? text : psprintf("\"%s\"", text);
}

/* Return the value of a column as JSON; NULL for a type that is not installed, which is left out. */
static char *
value_as_json(TupleDesc desc, HeapTuple row, const char *column, int number)
{
	Oid			type = SPI_gettypeid(desc, number);
	bool		isnull;
	Datum		value = heap_getattr(row, number, desc, &isnull);

	if (isnull)
		return "null";
	if (type == UUIDOID)
		return psprintf("\"%s\"", uuid_text(DatumGetUUIDP(value)));
	if (type == INT4OID)
		return psprintf("%d", DatumGetInt32(value));
	if (type == INT8OID)
		return psprintf(INT64_FORMAT, DatumGetInt64(value));
	if (type == NUMERICOID)
		return numeric_as_json(value);
	if (type == TEXTOID)
		return text_as_json(desc, row, column);
	if (type_is_enum(type))
		return psprintf("\"%s\"", row_get_label(desc, row, column));
	return NULL;
}

/* Return true if a message has to have a column: it was set by an INSERT, or has changed. */
static bool
is_told(TupleDesc desc, HeapTuple old, HeapTuple new, int number)
{
	if (old != NULL)
		return !row_same_column(desc, old, new, number);
	return !heap_attisnull(new, number, desc);
}

/* Collect the columns to tell of, as JSON; false if there is none. */
static bool
read_changes(const MessageTable *table, TupleDesc desc, HeapTuple old, HeapTuple new, char **values)
{
	bool		any = false;

	for (int i = 0; i < MESSAGE_MAX_COLUMNS && table->columns[i] != NULL; i++)
	{
		int			number = SPI_fnumber(desc, table->columns[i]);

		values[i] = NULL;
		if (number > 0 && is_told(desc, old, new, number))
			values[i] = value_as_json(desc, new, table->columns[i], number);
		any = any || values[i] != NULL;
	}
	return any;
}

/* Write what has changed into the version of a row; values of the whole row replace what was noted, maybe for another listener. */
static void
note_changes(Version *version, const char *topic, bool inserted, bool whole, char **values)
{
	if (whole)
		free_values(version);
	free_text(&version->topic);
	version->topic = keep_text(topic);
	version->inserted = version->inserted || inserted;
	version->deleted = false;
	for (int i = 0; i < MESSAGE_MAX_COLUMNS; i++)
	{
		if (values[i] == NULL)
			continue;
		free_text(&version->values[i]);
		version->values[i] = keep_text(values[i]);
	}
}

/* Note that those who listen to a topic have to read again. */
static void
note_reload(const char *topic)
{
	Version    *version = open_version(find_entry(NULL, topic));

	if (version->topic == NULL)
		version->topic = keep_text(topic);
}

/*
 * Note that a row was inserted (old is NULL) or updated.  Nothing is noted where nobody
 * may listen, or nothing has changed that is told, or schema realtime does not exist.  A row that
 * changes its listener is told whole.
 */
void
message_note(const MessageTable *table, TupleDesc desc, HeapTuple old, HeapTuple new)
{
	char	   *values[MESSAGE_MAX_COLUMNS] = {NULL};
	char	   *listener;
	char	   *id;
	char	   *topic;
	bool		inserted = old == NULL;
	Entry	   *entry;

	if (sending || !realtime_exists())
		return;
	listener = row_get_id(desc, new, table->listener);
	id = row_get_id(desc, new, table->key);
	/* the owner of the table may have dropped its primary key */
	if (listener == NULL || id == NULL || (table->owner != NULL && row_get_id(desc, new, table->owner) == NULL))
		return;
	if (old != NULL && !row_same_value(desc, old, new, table->listener))
		old = NULL;
	if (!read_changes(table, desc, old, new, values) && old != NULL)
		return;
	if (entries == NULL)
		begin_notes();
	topic = psprintf("%s:%s", table->topic, listener);
	entry = find_entry(table, id);
	if (entry != NULL)
		note_changes(open_version(entry), topic, inserted, old == NULL, values);
	else
		note_reload(topic);
}

/*
 * Note that a row was deleted: what was noted of it is not told, unless it is inserted
 * again.
 */
void
message_forget(const MessageTable *table, TupleDesc desc, HeapTuple old)
{
	EntryKey	key = {.table = table};
	Entry	   *entry;

	if (sending || entries == NULL)
		return;
	key.id = row_get_id(desc, old, table->key);
	if (key.id == NULL)
		return;
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
		open_version(entry)->deleted = true;
}
