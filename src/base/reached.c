/* SPDX-License-Identifier: Apache-2.0 */
/* reached.c - the walk over the marks that the linker has put side by side.
 *
 * Invariant: the section is an array of struct mark, without gaps; it may be absent.
 */
#include "base/reached.h"

#include <stddef.h>
#include <string.h>

/* The linker makes these two around the section; they are 0 in a program without a mark. */
extern struct mark __start_mayastor_marks[] __attribute__((weak));
extern struct mark __stop_mayastor_marks[] __attribute__((weak));

_Static_assert(sizeof(struct mark) % 8 == 0, "marks lie side by side");

struct mark *mark_next(struct mark *previous)
{
	struct mark *next = previous == NULL ? __start_mayastor_marks : previous + 1;

	return next >= __stop_mayastor_marks ? NULL : next;
}

const struct mark *marks_find_double(void)
{
	for (struct mark *mark = mark_next(NULL); mark != NULL; mark = mark_next(mark)) {
		for (struct mark *other = mark_next(mark); other != NULL;
		     other = mark_next(other)) {
			if (strcmp(mark->name, other->name) == 0)
				return other;
		}
	}
	return NULL;
}
