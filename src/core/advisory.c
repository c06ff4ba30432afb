/*
 * advisory.c
 *	  Locks on what has no row to lock: advisory locks of a class that SQL
 *	  cannot name.
 *
 * Whoever may run a SELECT may lock any key with SQL's functions, and keep it
 * for as long as he likes.  They lock in classes 1 and 2, so in a class of ours
 * nobody waits but for other calls of ours.  Deadlocks are detected,
 * lock_timeout holds, and pg_locks shows the class as objsubid.
 *
 * Pitfall: a class belongs to the database, not to an extension.  Others have
 * taken small numbers (Citus 4 and up), hence one from far off.
 *
 * Lock order: these come before all rows.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "advisory.h"

#define ADVISORY_CLASS 21300

/*
 * Wait until nobody else has the lock, and keep it until the transaction ends.
 * Two keys with the same hash wait for each other, which does no harm.
 */
void
advisory_lock(AdvisoryKind kind, const void *key, int length)
{
	uint64		hash = hash_bytes_extended(key, length, 0);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, ADVISORY_CLASS + kind);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}
