/*
 * sections.c
 *	  The sections of a module.
 *
 * Pitfall: the sections are columns of cm_module_content, and content.c has one
 * statement for each, in the order of this list.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "errors.h"
#include "sections.h"

const char *const section_names[SECTIONS] = {
	"introduction", "core_content", "practical_applications", "case_studies", "assessments"
};
const char	section_list[] =
"one of introduction, core_content, practical_applications, case_studies, assessments";

/*
 * Return the index of a section in the list; -1 if there is none of this name.
 */
int
section_number(const char *name, int length)
{
	for (int i = 0; i < SECTIONS; i++)
	{
		if ((int) strlen(section_names[i]) == length && memcmp(section_names[i], name, length) == 0)
			return i;
	}
	return -1;
}

/*
 * Raise an error unless all elements are names of sections; NULL is accepted.
 */
void
check_sections(ArrayType *sections, const char *name)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (sections == NULL)
		return;
	deconstruct_array(sections, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		text	   *element = nulls[i] ? NULL : DatumGetTextPP(elements[i]);

		if (element == NULL || section_number(VARDATA_ANY(element), VARSIZE_ANY_EXHDR(element)) < 0)
			refuse_value(psprintf("element %d of %s", i + 1, name), section_list);
	}
}
