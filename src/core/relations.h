/*
 * relations.h
 *	  Where the objects of this installation are and who owns them; and the one
 *	  place that hears of changes to them.
 */
#ifndef STUDIO_RELATIONS_H
#define STUDIO_RELATIONS_H

/* how often a relation may have changed */
typedef struct RelationWatch
{
	Oid			relid;
	uint64		changes;
	bool		registered;
	struct RelationWatch *next; /* kept by relations.c */
} RelationWatch;

extern void relation_watch(RelationWatch *watch, Oid relid);

extern uint64 relations_generation(void);
extern const char *extension_schema_quoted(void);
extern Oid	extension_schema(void);
extern Oid	schema_owner(Oid schema);
extern Oid	engine_owner(void);

extern const char *const *relation_names(int *n);
extern bool relation_is_ours(Oid relid);

#endif							/* STUDIO_RELATIONS_H */
