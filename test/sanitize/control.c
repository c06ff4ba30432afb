/*
 * control.c
 *	  Mistakes made on purpose: proof that the sanitizers run, that they see into
 *	  our library, and that reports.pl finds what they say.
 *
 * test/lib/sanitize.sh copies this file into the sources of the private copy that
 * it builds, so that the mistakes are made by studio_engine.so itself.
 *
 * Pitfall: what is read must depend on nothing that the compiler knows, or it
 * leaves the mistake out.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(sanitize_control);

/* Reads behind the end of a chunk. */
static int
control_overrun(volatile char *chunk, volatile int size)
{
	return chunk[size] & 1;
}

/* Reads what was given back with pfree(). */
static int
control_released(volatile char *chunk, volatile int size)
{
	pfree((void *) chunk);
	return chunk[size / 2] & 1;
}

/* Reads what went with its memory context. */
static int
control_deleted(volatile int size)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "control", ALLOCSET_DEFAULT_SIZES);
	volatile char *chunk = MemoryContextAllocZero(context, size);

	MemoryContextDelete(context);
	return chunk[size / 2] & 1;
}

/* Shifts by more bits than there are. */
static int
control_undefined(volatile int bits)
{
	return (1 << bits) & 1;
}

Datum
sanitize_control(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(control_overrun(palloc0(100), 100) + control_released(palloc0(100), 100) +
					control_deleted(100) + control_undefined(40));
}
