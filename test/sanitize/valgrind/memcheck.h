/*
 * memcheck.h
 *	  What PostgreSQL tells valgrind about its memory, told to AddressSanitizer:
 *	  that a chunk that was given back by pfree(), the space behind one that was
 *	  given out, and a page that nobody has pinned may not be touched.
 *
 * A server that is compiled with -DUSE_VALGRIND and this directory on its
 * include path sees the like of <valgrind/memcheck.h>.
 *
 * Pitfall: AddressSanitizer knows accessible or not, and nothing of what was
 * never written.  The checks for that are left to valgrind.
 */
#ifndef STUDIO_MEMCHECK_H
#define STUDIO_MEMCHECK_H

#include <sanitizer/asan_interface.h>

#define VALGRIND_MAKE_MEM_NOACCESS(addr, size) __asan_poison_memory_region((addr), (size))
#define VALGRIND_MAKE_MEM_UNDEFINED(addr, size) __asan_unpoison_memory_region((addr), (size))
#define VALGRIND_MAKE_MEM_DEFINED(addr, size) __asan_unpoison_memory_region((addr), (size))
#define VALGRIND_CHECK_MEM_IS_DEFINED(addr, size) do {} while (0)

/* The pools: their chunks are marked one by one where they are made and freed. */
#define VALGRIND_CREATE_MEMPOOL(context, redzones, zeroed) do {} while (0)
#define VALGRIND_DESTROY_MEMPOOL(context) do {} while (0)
#define VALGRIND_MEMPOOL_ALLOC(context, addr, size) __asan_unpoison_memory_region((addr), (size))
#define VALGRIND_MEMPOOL_FREE(context, addr) do {} while (0)
#define VALGRIND_MEMPOOL_CHANGE(context, old, new, size) __asan_unpoison_memory_region((new), (size))

#endif							/* STUDIO_MEMCHECK_H */
