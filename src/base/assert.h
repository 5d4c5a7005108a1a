/* SPDX-License-Identifier: Apache-2.0 */
/* assert.h - programmer errors stop the process; base/reached.h counts odd and rare things.
 *
 * ASSERT stays on in production: a process that has lost its invariants must not touch data.
 * Nothing that comes from the wire, a disk, an RPC or a configuration is ever asserted.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include "base/reached.h"

#define STATIC_ASSERT(condition) _Static_assert(condition, #condition)

/** Prints the expression and its place to stderr and aborts. Context: any thread. */
_Noreturn void assert_failed(const char *expression, const char *file, int line);

#define ASSERT(condition)                                              \
	do {                                                           \
		if (__builtin_expect(!(condition), 0))                 \
			assert_failed(#condition, __FILE__, __LINE__); \
	} while (0)

/* Walks lists or recomputes sums: compiled into debug, test and simulator builds only. */
#ifdef MAYASTOR_SLOW_ASSERTS
#define ASSERT_SLOW(condition) ASSERT(condition)
#else
#define ASSERT_SLOW(condition) ((void)sizeof(condition))
#endif

#endif
