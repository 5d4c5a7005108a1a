/* SPDX-License-Identifier: Apache-2.0 */
/* io_status_test.c - every outcome has a name, every errno a meaning. */
#include "block/io_status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_status_has_its_own_text(void **state)
{
	(void)state;
	for (int i = IO_OK; i <= IO_INTERNAL_ERROR; i++) {
		assert_string_not_equal(io_status_text((enum io_status)i), "unknown");
		for (int j = IO_OK; j < i; j++)
			assert_string_not_equal(io_status_text((enum io_status)i),
						io_status_text((enum io_status)j));
	}
	assert_string_equal(io_status_text((enum io_status)99), "unknown");
}

static void no_errno_means_ok(void **state)
{
	(void)state;
	for (int error = 1; error < 4096; error++) {
		enum io_status status = io_status_from_errno(-error);

		assert_int_not_equal(status, IO_OK);
		assert_int_not_equal(status, IO_COMPARE_FAILED);
		assert_true(status <= IO_INTERNAL_ERROR);
	}
}

static void lack_of_room_and_loss_of_the_device_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(io_status_from_errno(-ENOSPC), IO_NO_SPACE);
	assert_int_equal(io_status_from_errno(-EDQUOT), IO_NO_SPACE);
	assert_int_equal(io_status_from_errno(-ENODEV), IO_DEVICE_GONE);
	assert_int_equal(io_status_from_errno(-ENXIO), IO_DEVICE_GONE);
	assert_int_equal(io_status_from_errno(-EIO), IO_MEDIUM_ERROR);
	assert_int_equal(io_status_from_errno(-EBADE), IO_RESERVATION_CONFLICT);
	assert_int_equal(io_status_from_errno(-EOPNOTSUPP), IO_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_its_own_text),
		cmocka_unit_test(no_errno_means_ok),
		cmocka_unit_test(lack_of_room_and_loss_of_the_device_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
