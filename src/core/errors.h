/*
 * errors.h
 *	  Every SQLSTATE of this extension, and the errors that several files raise.
 *
 * PostgREST turns PTnnn into HTTP status nnn and the message into the reason
 * phrase of the response: messages under these codes are constant ASCII text,
 * values belong in DETAIL.  Standard codes come from utils/errcodes.h.
 */
#ifndef STUDIO_ERRORS_H
#define STUDIO_ERRORS_H

#include "utils/elog.h"
#include "utils/uuid.h"

#include "compat.h"

/* not enough credits */
#define ERRCODE_STUDIO_NO_CREDITS		MAKE_SQLSTATE('P', 'T', '4', '0', '2')
/* unknown id, for services only */
#define ERRCODE_STUDIO_NOT_FOUND		MAKE_SQLSTATE('P', 'T', '4', '0', '4')
/* the request contradicts an earlier one */
#define ERRCODE_STUDIO_CONFLICT			MAKE_SQLSTATE('P', 'T', '4', '0', '9')
/* too many active jobs */
#define ERRCODE_STUDIO_TOO_MANY			MAKE_SQLSTATE('P', 'T', '4', '2', '9')

pg_noreturn extern void refuse(void);
pg_noreturn extern void refuse_column(const char *column);
pg_noreturn extern void refuse_null(const char *name);
pg_noreturn extern void refuse_missing(const char *what, const pg_uuid_t *id);
pg_noreturn extern void refuse_null(const char *name);
pg_noreturn extern void refuse_value(const char *name, const char *expected);
pg_noreturn extern void refuse_conflict(const char *message, const char *detail);
pg_noreturn extern void refuse_lost_row(void);

#endif							/* STUDIO_ERRORS_H */
