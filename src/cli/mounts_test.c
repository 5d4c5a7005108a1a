/* SPDX-License-Identifier: Apache-2.0 */
/* mounts_test.c - lines of /proc/self/mountinfo, with what user names can do to them. */
#include "cli/mounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_line_gives_device_and_point(void **state)
{
	struct mount_entry entry;

	(void)state;
	assert_true(mount_entry_parse(
		"36 35 7:3 / /mnt/data rw,noatime shared:1 - ext4 /dev/loop3 rw\n", &entry));
	assert_int_equal(entry.major, 7);
	assert_int_equal(entry.minor, 3);
	assert_string_equal(entry.point, "/mnt/data");
}

static void escapes_are_decoded(void **state)
{
	struct mount_entry entry;

	(void)state;
	assert_true(
		mount_entry_parse("36 35 7:3 / /mnt/a\\040b\\134c\\777 rw - ext4 x rw", &entry));
	assert_string_equal(entry.point, "/mnt/a b\\c\\777");
}

static void other_lines_are_refused(void **state)
{
	struct mount_entry entry = {.major = 99};

	(void)state;
	assert_false(mount_entry_parse("", &entry));
	assert_false(mount_entry_parse("36 35 7-3 / /mnt rw", &entry));
	assert_false(mount_entry_parse("36 35 7:3 /", &entry));
	assert_int_equal(entry.major, 99);
}

static void the_root_is_a_mount_point(void **state)
{
	(void)state;
	assert_true(mount_is_point("/proc"));
	assert_false(mount_is_point("/proc/self"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_gives_device_and_point),
		cmocka_unit_test(escapes_are_decoded),
		cmocka_unit_test(other_lines_are_refused),
		cmocka_unit_test(the_root_is_a_mount_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
