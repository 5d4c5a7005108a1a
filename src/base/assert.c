/* SPDX-License-Identifier: Apache-2.0 */
/* assert.c - the end of a process that broke its own rules, and the walk over its marks. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

/* The linker makes these two around the section; at least one mark exists below. */
extern struct mark __start_mayastor_marks[];
extern struct mark __stop_mayastor_marks[];

void assert_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "ASSERT failed: %s at %s:%d\n", expression, file, line);
	fflush(stderr);
	abort();
}

struct mark *mark_next(struct mark *previous)
{
	struct mark *next = previous == NULL ? __start_mayastor_marks : previous + 1;

	/* Keeps the section in programs that have no other mark. */
	COUNT_IF(next > __stop_mayastor_marks, "mark_walk_past_the_end");
	return next >= __stop_mayastor_marks ? NULL : next;
}
