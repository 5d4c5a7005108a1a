/* SPDX-License-Identifier: Apache-2.0 */
/* reached_test.c - marks are counted and can be listed. Built with the marks on, like no other. */
#include "base/reached.h"

#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void pass(int is_odd)
{
	COUNT_IF(is_odd, "test_odd");
	REACHED_IF(is_odd, "test_rare_arm");
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
	static const char *const names[] = {"test_odd", "test_rare", "test_rare_arm"};

	(void)state;
	pass(0);
	pass(1);
	pass(1);
	for (int i = 0; i < 3; i++) {
		const struct mark *mark = mark_find(names[i]);

		if (mark == NULL) {
			fail();
			return;
		}
		assert_int_equal(mark->count, 2);
		assert_int_equal(mark->is_required, i > 0);
	}
	assert_null(mark_find("none"));
}

static void a_name_that_two_marks_have_is_found(void **state)
{
	struct mark *mark = mark_find("test_odd");
	bool is_found;

	(void)state;
	assert_null(marks_find_double());
	mark->name = "test_rare";
	is_found = marks_find_double() != NULL;
	mark->name = "test_odd";
	assert_true(is_found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_count_and_are_listed),
		cmocka_unit_test(a_name_that_two_marks_have_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
