/*
 * subtransactions.c
 *	  Work whose failure must not take the rest along.
 *
 * Pitfall: locks that the work took are given back when it fails, and what it
 * allocated in the caller's memory context stays.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "guc_scope.h"
#include "subtransactions.h"

/*
 * What the administrator or the server wants, and what must be retried as a
 * whole, is not ours to swallow.  A deadlock is: rolling back has ended it.
 */
static bool
must_rethrow(int sqlerrcode)
{
	return ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
		sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

/*
 * Do some work; returns NULL when it went well, else its error, after
 * everything it did was rolled back.  Aborting also restores the user id and
 * closes SPI.
 */
ErrorData *
in_subtransaction(void (*work) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	GucScope   *scope = guc_scope_current();
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	guc_scope_resume(scope);
	if (error != NULL && must_rethrow(error->sqlerrcode))
		ReThrowError(error);
	return error;
}
