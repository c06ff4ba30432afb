/*
 * announcements.c
 *	  NOTIFY studio_engine, for workers that wait for jobs: once for each system
 *	  of which a transaction makes jobs claimable, if setting notify_workers is on.
 *
 * The systems are remembered until the transaction commits.  So a transaction
 * that is prepared, for which PostgreSQL allows no notification, is not refused:
 * its jobs are not announced.
 *
 * Pitfall: a subtransaction may be rolled back after it has announced its jobs.
 * Then a worker looks for them and finds none, which does no harm.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

#include "announcements.h"
#include "settings.h"

/* const char: those of the current transaction, in TopTransactionContext */
static List *announced = NIL;

/* Notify before the commit, after which it is too late; forget at each end of a transaction. */
static void
notify_at_commit(XactEvent event, void *arg)
{
	ListCell   *cell;

	if (event == XACT_EVENT_PRE_COMMIT)
	{
		foreach(cell, announced)
			Async_Notify("studio_engine", lfirst(cell));
	}
	announced = NIL;
}

/*
 * Announce, when the transaction commits, that there are jobs of a system to claim.
 * The name of the system is not copied: it is that of a QueueSystem.
 */
void
announce_jobs(const char *system)
{
	static bool callback_registered = false;
	MemoryContext context;

	/* the latter is its former name */
	if (setting_int32(SETTING_NOTIFY_WORKERS) == 0 && setting_int32(SETTING_NOTIFY_INTERVAL_MS) == 0)
		return;
	if (!callback_registered)
	{
		RegisterXactCallback(notify_at_commit, NULL);
		callback_registered = true;
	}
	context = MemoryContextSwitchTo(TopTransactionContext);
	announced = list_append_unique_ptr(announced, unconstify(char *, system));
	MemoryContextSwitchTo(context);
}
