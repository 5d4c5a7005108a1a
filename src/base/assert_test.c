/* SPDX-License-Identifier: Apache-2.0 */
/* assert_test.c - marks are counted and can be listed. */
#include "base/assert.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void pass(int is_odd)
{
	COUNT_IF(is_odd, "test_odd");
	if (is_odd)
		REACHED("test_rare");
}

static struct mark *mark_find(const char *name)
{
	struct mark *mark = NULL;

	while ((mark = mark_next(mark)) != NULL) {
		if (strcmp(mark->name, name) == 0)
			return mark;
	}
	return NULL;
}

static void marks_count_and_are_listed(void **state)
{
	(void)state;
	pass(0);
	pass(1);
	pass(1);
	for (int i = 0; i < 2; i++) {
		const struct mark *mark = mark_find(i == 0 ? "test_odd" : "test_rare");

		if (mark == NULL) {
			fail();
			return;
		}
		assert_int_equal(mark->count, 2);
		assert_int_equal(mark->is_required, i);
	}
	assert_null(mark_find("none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_count_and_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
