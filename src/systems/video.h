/*
 * video.h
 *	  Video jobs.
 */
#ifndef STUDIO_VIDEO_H
#define STUDIO_VIDEO_H

extern void video_register(void);

#endif							/* STUDIO_VIDEO_H */
