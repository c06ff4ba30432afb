/*
 * relations.h
 *	  Where the objects of this installation are and who owns them.
 */
#ifndef STUDIO_RELATIONS_H
#define STUDIO_RELATIONS_H

extern uint64 relations_generation(void);
extern const char *extension_schema_quoted(void);
extern Oid	engine_owner(void);

#endif							/* STUDIO_RELATIONS_H */
