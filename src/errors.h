/*
 * errors.h
 *	  Every SQLSTATE of our own.
 *
 * PostgREST turns PTnnn into HTTP status nnn and the message into the reason
 * phrase of the response: messages under these codes are constant ASCII text,
 * values belong into DETAIL.  Standard codes come from utils/errcodes.h.
 */
#ifndef STUDIO_ERRORS_H
#define STUDIO_ERRORS_H

#include "utils/elog.h"

/* not enough credits */
#define ERRCODE_STUDIO_NO_CREDITS		MAKE_SQLSTATE('P', 'T', '4', '0', '2')
/* unknown id, told to services only */
#define ERRCODE_STUDIO_NOT_FOUND		MAKE_SQLSTATE('P', 'T', '4', '0', '4')
/* the request contradicts what was done before */
#define ERRCODE_STUDIO_CONFLICT			MAKE_SQLSTATE('P', 'T', '4', '0', '9')
/* too many active jobs */
#define ERRCODE_STUDIO_TOO_MANY			MAKE_SQLSTATE('P', 'T', '4', '2', '9')

#endif							/* STUDIO_ERRORS_H */
