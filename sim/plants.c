/* SPDX-License-Identifier: Apache-2.0 */
/* plants.c - planted bugs by their names. */
#include "sim/plants.h"

#include "base/planted.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

bool plant_take(const char *name)
{
	int rc = planted_choose(name);

	if (rc == -ENOTSUP)
		fprintf(stderr, "%s: build with -Dplanted_bugs=true to plant bugs\n", name);
	else if (rc < 0)
		fprintf(stderr, "%s: no such bug; --plants lists them\n", name);
	return rc == 0;
}

void plants_print(void)
{
	const struct planted_info *bug;

	for (unsigned i = 0; (bug = planted_info(i)) != NULL; i++)
		printf("%s\t%s\t%s\t%u\t%s\n", bug->name, bug->rule, bug->hint, bug->seeds,
		       bug->what);
}
