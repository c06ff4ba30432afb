/*
 * sections.h
 *	  The sections of a module.
 */
#ifndef STUDIO_SECTIONS_H
#define STUDIO_SECTIONS_H

#include "utils/array.h"

#define SECTIONS 5

extern const char *const section_names[SECTIONS];
extern const char section_list[];	/* for messages */

extern int	section_number(const char *name, int length);
extern void check_sections(ArrayType *sections, const char *name);

#endif							/* STUDIO_SECTIONS_H */
