/* SPDX-License-Identifier: Apache-2.0 */
/* planted.c - the list of planted bugs at run time, and the one that is on.
 *
 * Invariant: in a build without the option there is neither a list nor a variable.
 */
#include "base/planted.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#ifdef MAYASTOR_PLANTED_BUGS

/* The one mutable variable: a bug is in a program, not in an object of it. */
enum planted_bug planted_chosen = PLANTED_NONE;

static const struct planted_info planted_list[] = {
#define PLANTED_ROW(name, rule, what, hint, seeds) {#name, rule, what, hint, seeds},
	PLANTED_BUGS(PLANTED_ROW)
#undef PLANTED_ROW
};

#define LIST_COUNT (sizeof(planted_list) / sizeof(planted_list[0]))

_Static_assert(LIST_COUNT + 1 == PLANTED_COUNT, "a row for each bug");

const struct planted_info *planted_info(unsigned index)
{
	return index < LIST_COUNT ? &planted_list[index] : NULL;
}

int planted_choose(const char *name)
{
	planted_chosen = PLANTED_NONE;
	if (name[0] == '\0')
		return 0;
	for (unsigned i = 0; i < LIST_COUNT; i++) {
		if (strcmp(planted_list[i].name, name) != 0)
			continue;
		planted_chosen = (enum planted_bug)(i + 1);
		return 0;
	}
	return -ENOENT;
}

#else

const struct planted_info *planted_info(unsigned index)
{
	(void)index;
	return NULL;
}

int planted_choose(const char *name)
{
	return name[0] == '\0' ? 0 : -ENOTSUP;
}

#endif
