/*
 * multimedia.h
 *	  Limits of arguments of the functions about multimedia.
 */
#ifndef STUDIO_MULTIMEDIA_H
#define STUDIO_MULTIMEDIA_H

/* characters of a name or a type; seconds of a file */
#define MAX_LABEL_LENGTH 1000
#define MAX_SECONDS 1000000000

#endif							/* STUDIO_MULTIMEDIA_H */
