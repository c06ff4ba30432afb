/*
 * subtransactions.c
 *	  Work that may fail without the failure of the transaction.
 *
 * Pitfall: when the work fails, the locks that it took are released, but what it
 * allocated in the memory context of the caller is not freed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "guc_scope.h"
#include "subtransactions.h"

/*
 * Return true if an error must not be caught: a cancellation, a shutdown, and a
 * serialization failure, after which the whole transaction has to be retried.
 * A deadlock may be caught, as the rollback of the work has ended it.
 */
static bool
must_rethrow(int sqlerrcode)
{
	return ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
		sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

/*
 * Call a function in a subtransaction.  Returns NULL if it succeeds; otherwise
 * its error, after everything it did was rolled back.  The rollback also restores
 * the user id and closes SPI.
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
