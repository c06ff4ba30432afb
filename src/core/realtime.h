/*
 * realtime.h
 *	  Sending messages by realtime.send(), the function of Supabase Realtime.
 */
#ifndef STUDIO_REALTIME_H
#define STUDIO_REALTIME_H

/* a message to those who listen to a private topic */
typedef struct RealtimeMessage
{
	const char *topic;
	const char *event;
	const char *payload;		/* JSON, an object */
} RealtimeMessage;

/* gives the next message; false if there is none */
typedef bool (*RealtimeSource) (RealtimeMessage *message, void *arg);

extern bool realtime_exists(void);
extern void realtime_send(RealtimeSource next, void *arg);

#endif							/* STUDIO_REALTIME_H */
