/* SPDX-License-Identifier: Apache-2.0 */
/* reached.h - named places whose passing is counted, so that a campaign knows what it never saw.
 *
 * Compiled in with the Meson option reached_marks (development and tests); without it a mark costs
 * nothing, and COUNT_IF only looks at its condition.
 */
#ifndef BASE_REACHED_H
#define BASE_REACHED_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * All marks of a program live in the linker section "mayastor_marks". The name of a mark is its
 * own: tools/tidy refuses a second one in the sources, marks_find_double() one in the program.
 */
struct mark {
	const char *name;
	const char *file;
	int line;
	int is_required; /* a rare path that a campaign must reach */
	_Atomic uint64_t count;
};

#ifdef MAYASTOR_REACHED_MARKS

#define MARK_PASS(mark_name, required)                                                   \
	do {                                                                             \
		static struct mark mark_here                                             \
			__attribute__((section("mayastor_marks"), used, aligned(8))) = { \
				mark_name, __FILE__, __LINE__, required, 0};             \
		atomic_fetch_add_explicit(&mark_here.count, 1, memory_order_relaxed);    \
	} while (0)

#else

#define MARK_PASS(mark_name, required) \
	do {                           \
	} while (0)

#endif

/* A rare but legal path: a campaign that never passes here has proved nothing about it. */
#define REACHED(mark_name) MARK_PASS(mark_name, 1)

/* The same for a path that is one arm of a condition. */
#define REACHED_IF(condition, mark_name)                \
	do {                                            \
		if (__builtin_expect(!!(condition), 0)) \
			MARK_PASS(mark_name, 1);        \
	} while (0)

/* Odd but legal input or timing: counted, but no campaign has to see it. */
#define COUNT_IF(condition, mark_name)                  \
	do {                                            \
		if (__builtin_expect(!!(condition), 0)) \
			MARK_PASS(mark_name, 0);        \
	} while (0)

/**
 * mark_next - walk over all marks of the program
 * @previous: NULL to begin
 * Return: the next mark, NULL after the last (or when there are none).
 */
struct mark *mark_next(struct mark *previous);

/** marks_find_double - Return: a mark whose name another one has too, NULL if there is none. */
const struct mark *marks_find_double(void);

#endif
