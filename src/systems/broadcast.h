/*
 * broadcast.h
 *	  Changes of rows, told to the clients of Supabase Realtime.
 */
#ifndef STUDIO_BROADCAST_H
#define STUDIO_BROADCAST_H

extern void broadcast_register(void);

#endif							/* STUDIO_BROADCAST_H */
