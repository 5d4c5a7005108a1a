/* SPDX-License-Identifier: Apache-2.0 */
/* assert.c - the end of a process that broke its own rules. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "ASSERT failed: %s at %s:%d\n", expression, file, line);
	fflush(stderr);
	abort();
}
