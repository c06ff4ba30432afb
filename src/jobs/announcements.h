/*
 * announcements.h
 *	  Notifications for workers that wait for jobs.
 */
#ifndef STUDIO_ANNOUNCEMENTS_H
#define STUDIO_ANNOUNCEMENTS_H

extern void announce_jobs(const char *system);

#endif							/* STUDIO_ANNOUNCEMENTS_H */
