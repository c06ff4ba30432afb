/*
 * control.c
 *	  Mistakes made on purpose: proof that memcheck runs, that it sees into our
 *	  library, and that reports.pl finds what it says.
 *
 * test/lib/valgrind.sh copies this file into the sources of the private copy that
 * it builds, so that the mistakes are made by studio_engine.so itself.
 *
 * Pitfall: what is read must depend on nothing that the compiler knows, or it
 * leaves the mistake out.
 */
#include "postgres.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(valgrind_control);

#define LARGE 100000			/* a block that comes from malloc() by itself */

/* Reads behind the end of a block. */
static int
control_overrun(volatile char *block, volatile int size)
{
	int			sum = 0;

	for (int i = 0; i < size; i++)
		block[i] = 1;
	for (int i = 0; i <= size + 1; i++)
		sum += block[i];
	return sum & 1;
}

/* Decides by what nobody has written. */
static int
control_undefined(volatile char *block, volatile int size)
{
	if (block[size - 1] > 7)
		elog(DEBUG5, "the one way");
	else
		elog(DEBUG5, "the other way");
	return 0;
}

/* Reads what was given back with pfree(): seen where the server tells memcheck. */
static int
control_released(volatile int n)
{
	volatile char *block = palloc0(n);

	pfree((void *) block);
	return block[n / 2];
}

Datum
valgrind_control(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(control_overrun(palloc(LARGE), LARGE) + control_undefined(palloc(LARGE), LARGE) + control_released(100));
}
