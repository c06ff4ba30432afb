/*
 * content.h
 *	  Sections of content, and the words in them.
 */
#ifndef STUDIO_CONTENT_H
#define STUDIO_CONTENT_H

#include "fmgr.h"

#define SECTIONS 5

extern const char *const section_names[SECTIONS];

extern void check_sections(FunctionCallInfo fcinfo, int argno, const char *name);

#endif							/* STUDIO_CONTENT_H */
