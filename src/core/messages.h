/*
 * messages.h
 *	  What is told of changes of rows to clients who listen.
 */
#ifndef STUDIO_MESSAGES_H
#define STUDIO_MESSAGES_H

#include "access/htup.h"
#include "access/tupdesc.h"

#define MESSAGE_MAX_COLUMNS 8

/* a table whose changes are told, and what is told of a row */
typedef struct MessageTable
{
	const char *schema;			/* NULL: the schema of the extension */
	const char *name;
	const char *event;			/* the table, as messages name it */
	const char *key;			/* column of the identifier */
	const char *listener;		/* column of who listens; NULL in it: nobody */
	const char *owner;			/* another one with NULL for nobody; or NULL */
	const char *topic;			/* first part of the topic, before the
								 * listener */
	const char *columns[MESSAGE_MAX_COLUMNS];	/* NULL: no more */
} MessageTable;

extern void message_note(const MessageTable *table, TupleDesc desc, HeapTuple old, HeapTuple new);
extern void message_forget(const MessageTable *table, TupleDesc desc, HeapTuple old);

#endif							/* STUDIO_MESSAGES_H */
