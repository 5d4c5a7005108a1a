/* SPDX-License-Identifier: Apache-2.0 */
/* assert.h - programmer errors stop the process; odd and rare things are counted.
 *
 * ASSERT stays on in production: a process that has lost its invariants must not touch data.
 * Nothing that comes from the wire, a disk, an RPC or a configuration is ever asserted.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include <stdatomic.h>
#include <stdint.h>

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

/*
 * A named place whose passing is counted. All marks of a program live in the linker section
 * "mayastor_marks", so a campaign can list those that it never reached.
 */
struct mark {
	const char *name;
	const char *file;
	int line;
	int is_required; /* a rare path that a test must reach */
	_Atomic uint64_t count;
};

#define MARK_PASS(mark_name, required)                                                   \
	do {                                                                             \
		static struct mark mark_here                                             \
			__attribute__((section("mayastor_marks"), used, aligned(8))) = { \
				mark_name, __FILE__, __LINE__, required, 0};             \
		atomic_fetch_add_explicit(&mark_here.count, 1, memory_order_relaxed);    \
	} while (0)

/* A rare but legal path: the simulator fails a campaign that never passes here. */
#define REACHED(mark_name) MARK_PASS(mark_name, 1)

/* Odd but legal input or timing: a named counter rises. */
#define COUNT_IF(condition, mark_name)                  \
	do {                                            \
		if (__builtin_expect(!!(condition), 0)) \
			MARK_PASS(mark_name, 0);        \
	} while (0)

/**
 * mark_next - walk over all marks of the program
 * @previous: NULL to begin
 * Return: the next mark, NULL after the last.
 */
struct mark *mark_next(struct mark *previous);

#endif
