/*
 * relations.h
 *	  The schemas, tables and owner of this installation; and the only file that
 *	  registers invalidation callbacks.
 */
#ifndef STUDIO_RELATIONS_H
#define STUDIO_RELATIONS_H

/* counts the relcache invalidations of a relation */
typedef struct RelationWatch
{
	Oid			relid;
	uint64		changes;
	bool		registered;
	struct RelationWatch *next; /* private to relations.c */
} RelationWatch;

extern void relation_watch(RelationWatch *watch, Oid relid);

extern uint64 relations_generation(void);
extern const char *extension_schema_quoted(void);
extern Oid	extension_schema(void);
extern Oid	schema_owner(Oid schema);
extern Oid	engine_owner(void);

extern const char *const *relation_names(int *n);
extern bool relation_is_ours(Oid relid);

extern bool in_extension_script(void);

#endif							/* STUDIO_RELATIONS_H */
