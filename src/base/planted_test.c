/* SPDX-License-Identifier: Apache-2.0 */
/* planted_test.c - at most one planted bug is on, and none in a build that has none. */
#include "base/planted.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_chosen_bug_is_on_and_no_other(void **state)
{
	(void)state;
	assert_int_equal(planted_choose(""), 0);
	assert_false(PLANTED(FUA_DROPPED));
	if (planted_info(0) == NULL) {
		assert_int_equal(planted_choose("FUA_DROPPED"), -ENOTSUP);
		assert_false(PLANTED(FUA_DROPPED));
		return;
	}
	assert_int_equal(planted_choose("FUA_DROPPED"), 0);
	assert_true(PLANTED(FUA_DROPPED));
	assert_false(PLANTED(SLOTS_LEAK));
	assert_int_equal(planted_choose("NO_SUCH_BUG"), -ENOENT);
	assert_false(PLANTED(FUA_DROPPED));
}

static void every_bug_tells_its_rule(void **state)
{
	unsigned count = 0;

	(void)state;
	for (const struct planted_info *bug; (bug = planted_info(count)) != NULL; count++) {
		assert_true(bug->rule[0] >= 'A' && bug->rule[0] <= 'H');
		assert_true(strlen(bug->what) > 10);
		assert_int_equal(planted_choose(bug->name), 0);
	}
	assert_true(count == 0 || count + 1 == PLANTED_COUNT);
	assert_int_equal(planted_choose(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chosen_bug_is_on_and_no_other),
		cmocka_unit_test(every_bug_tells_its_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
