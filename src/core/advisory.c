/*
 * advisory.c
 *	  Advisory locks, where there is no row to lock, of a class that the SQL
 *	  functions do not use.
 *
 * Any role that can run a SELECT can take an advisory lock on any key with the
 * SQL functions, and hold it.  Those use classes 1 and 2; with a class of our own
 * a function waits only for other functions of studio_engine.  Deadlock detection
 * and lock_timeout apply, and pg_locks shows the class as objsubid.
 *
 * Pitfall: classes are shared by all extensions of a database.  Others use small
 * numbers (Citus 4 and up), so this is a large one.
 *
 * Lock order: advisory locks come before all rows.  The lock of a stage may follow
 * rows, since who holds it waits for none.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "advisory.h"

#define ADVISORY_CLASS 21300

/* Take an exclusive lock; false if it is not available and the caller does not wait. */
static bool
take_lock(AdvisoryKind kind, const void *key, int length, bool wait)
{
	uint64		hash = hash_bytes_extended(key, length, 0);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, ADVISORY_CLASS + kind);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Take an exclusive lock, which is held until the transaction ends.  Two keys
 * with the same hash share a lock, which costs waiting only.
 */
void
advisory_lock(AdvisoryKind kind, const void *key, int length)
{
	(void) take_lock(kind, key, length, true);
}

/*
 * Take an exclusive lock, unless another session has it.
 */
bool
advisory_try_lock(AdvisoryKind kind, const void *key, int length)
{
	return take_lock(kind, key, length, false);
}
