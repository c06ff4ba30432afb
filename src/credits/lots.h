/*
 * lots.h
 *	  Lots: which credit of a user is left, and which is used next.
 */
#ifndef STUDIO_LOTS_H
#define STUDIO_LOTS_H

#include "datatype/timestamp.h"
#include "lib/pairingheap.h"
#include "nodes/pg_list.h"
#include "utils/uuid.h"

#include "compat.h"

typedef struct Lot
{
	pg_uuid_t	id;				/* of its entry; the hash key, first */
	pairingheap_node node;		/* in the heap while something is left */
	int64		entry_no;
	TimestampTz expires_at;		/* DT_NOEND: never */
	int32		priority;
	int64		left;
	int64		held;			/* taken by holds that are open */
} Lot;

/* the metadata of an entry that voids credit, and the condition on such an entry in SQL */
#define VOID_METADATA "{\"void\": true}"
#define IS_VOID(entry) "(" entry ".metadata ->> 'void') IS NOT NULL"

/* the lots and open holds of a user, after some of his entries */
typedef struct LotState LotState;

/* an entry that takes more from the lot that it names than is left in it */
typedef struct LotProblem
{
	pg_uuid_t	entry_id;
	const char *problem;
	int64		left;
	int64		taken;
} LotProblem;

/* these expect the account of the user to be locked */
extern LotState *lots_replay(const pg_uuid_t *user_id, bool each_lot);
extern int64 lots_left(const pg_uuid_t *user_id, const pg_uuid_t *lot_id);
extern bool lots_lack_checkpoint(const pg_uuid_t *user_id, int64 entry_no);

extern bool lots_checkpoint_is_due(int64 entry_no);

extern LotState *lots_replay_read_only(const pg_uuid_t *user_id, bool each_lot);
extern void lots_return_hold(LotState *state, const pg_uuid_t *id);
extern void lots_free(LotState *state);
extern Lot *lots_find(LotState *state, const pg_uuid_t *id);
extern List *lots_in_burn_order(LotState *state);
extern int	lots_compare(const ListCell *a, const ListCell *b);
extern List *lots_audit(const pg_uuid_t *user_id);

#endif							/* STUDIO_LOTS_H */
