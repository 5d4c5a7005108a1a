/* SPDX-License-Identifier: Apache-2.0 */
/* history_test.c - the checker itself: what it must accept and what it must see. */
#include "sim/history.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BLOCK_BYTES 512
#define BLOCKS	    8

static struct history *history;
static char error[HISTORY_ERROR_BYTES];

static int setup(void **state)
{
	const struct history_options options = {
		.volume = 9, .block_count = BLOCKS, .block_bytes = BLOCK_BYTES, .is_strict = true};

	(void)state;
	history = history_create(&options);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	history_destroy(history);
	return 0;
}

static struct history_io write_at(uint64_t block, uint64_t begin_ns, uint64_t done_ns)
{
	struct history_io io = {.first_block = block, .block_count = 1};

	history_write_begin(history, &io, begin_ns);
	if (done_ns != 0)
		history_write_done(history, &io, done_ns, false);
	return io;
}

/* Reads @block, whose content is that of @write; NULL: zeroes. */
static bool read_is_fine(const struct history_io *write, uint64_t block, uint64_t begin_ns,
			 uint64_t done_ns)
{
	struct history_io io = {.first_block = block, .block_count = 1};
	uint8_t bytes[BLOCK_BYTES] = {0};

	if (write != NULL)
		history_stamp(history, write, bytes);
	history_read_begin(history, &io, begin_ns);
	return history_read_done(history, &io, done_ns, bytes, error);
}

static void the_last_answered_write_is_right_and_the_one_before_is_not(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 40);

	(void)state;
	assert_true(read_is_fine(&two, 3, 50, 60));
	assert_false(read_is_fine(&one, 3, 50, 60));
	assert_false(read_is_fine(NULL, 3, 50, 60));
	assert_true(read_is_fine(NULL, 4, 50, 60));
}

static void a_read_beside_a_write_may_see_either(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 0);

	(void)state;
	assert_true(read_is_fine(&one, 3, 35, 36));
	assert_true(read_is_fine(&two, 3, 37, 38));
	/* Seen once, it stays: no flicker. */
	assert_false(read_is_fine(&one, 3, 39, 40));
	history_write_done(history, &two, 41, false);
	assert_true(read_is_fine(&two, 3, 42, 43));
}

static void of_two_concurrent_writes_the_one_seen_last_stays(void **state)
{
	struct history_io one = write_at(3, 10, 0);
	struct history_io two = write_at(3, 10, 0);

	(void)state;
	history_write_done(history, &one, 20, false);
	history_write_done(history, &two, 20, false);
	assert_true(read_is_fine(&one, 3, 30, 31));
	assert_false(read_is_fine(&two, 3, 32, 33));
}

static void an_unknown_write_may_appear_until_a_later_one_is_answered(void **state)
{
	struct history_io one = write_at(3, 10, 0);
	struct history_io other;

	(void)state;
	history_write_unknown(history, &one, 20);
	assert_true(read_is_fine(NULL, 3, 30, 31));
	assert_true(read_is_fine(&one, 3, 32, 33));
	one = write_at(5, 40, 0);
	history_write_unknown(history, &one, 41);
	other = write_at(6, 50, 60); /* settles it: before 60 or never */
	assert_true(read_is_fine(NULL, 5, 70, 71));
	assert_false(read_is_fine(&one, 5, 72, 73));
	assert_true(read_is_fine(&other, 6, 72, 73));
}

static void foreign_torn_and_garbled_blocks_are_seen(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 0);
	struct history_io read = {.first_block = 3, .block_count = 1};
	uint8_t bytes[BLOCK_BYTES];
	uint8_t newer[BLOCK_BYTES];

	(void)state;
	assert_false(read_is_fine(&one, 4, 30, 31));
	history_stamp(history, &one, bytes);
	history_stamp(history, &two, newer);
	memcpy(bytes + 256, newer + 256, 256);
	history_read_begin(history, &read, 40);
	assert_false(history_read_done(history, &read, 41, bytes, error));
	memset(bytes, 0x55, sizeof(bytes));
	history_read_begin(history, &read, 40);
	assert_false(history_read_done(history, &read, 41, bytes, error));
}

static void a_power_cut_takes_back_only_what_no_flush_covered(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io flush = {.first_block = 0};
	struct history_io two;
	struct history_io three;

	(void)state;
	two = write_at(3, 30, 40);
	history_flush_begin(history, &flush, 50);
	three = write_at(3, 51, 52);
	history_flush_done(history, &flush);
	assert_false(read_is_fine(&two, 3, 60, 61));
	history_power_cut(history, 65);
	assert_true(read_is_fine(&two, 3, 70, 71));
	assert_false(read_is_fine(&three, 3, 72, 73)); /* its loss was seen */
	assert_false(read_is_fine(&one, 3, 72, 73));
	assert_false(read_is_fine(NULL, 3, 72, 73));
}

static void an_answer_that_was_on_its_way_at_a_power_cut_promises_nothing(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 0);

	(void)state;
	history_power_cut(history, 35);
	history_write_done(history, &two, 40, false);
	assert_true(read_is_fine(&one, 3, 50, 51));
	two = write_at(4, 60, 0);
	history_power_cut(history, 65);
	history_write_done(history, &two, 70, true);
	assert_false(read_is_fine(NULL, 4, 80, 81));
}

static void a_flush_after_a_power_cut_does_not_bring_lost_writes_back(void **state)
{
	struct history_io one = {.first_block = 3, .block_count = 1};
	struct history_io flush = {.first_block = 0};

	(void)state;
	history_write_begin(history, &one, 10);
	history_write_done(history, &one, 20, false);
	history_power_cut(history, 25);
	history_flush_begin(history, &flush, 30);
	history_flush_done(history, &flush);
	assert_true(read_is_fine(NULL, 3, 40, 41));
}

static void a_read_that_lasted_longer_than_a_flush_may_be_old(void **state)
{
	struct history_io read = {.first_block = 3, .block_count = 1};
	struct history_io flush = {.first_block = 0};
	struct history_io one = write_at(3, 10, 20);
	uint8_t bytes[BLOCK_BYTES];

	(void)state;
	history_read_begin(history, &read, 25);
	write_at(3, 30, 40);
	history_flush_begin(history, &flush, 50);
	history_flush_done(history, &flush);
	history_stamp(history, &one, bytes);
	assert_true(history_read_done(history, &read, 60, bytes, error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(the_last_answered_write_is_right_and_the_one_before_is_not),
		CASE(a_read_beside_a_write_may_see_either),
		CASE(of_two_concurrent_writes_the_one_seen_last_stays),
		CASE(an_unknown_write_may_appear_until_a_later_one_is_answered),
		CASE(foreign_torn_and_garbled_blocks_are_seen),
		CASE(a_power_cut_takes_back_only_what_no_flush_covered),
		CASE(an_answer_that_was_on_its_way_at_a_power_cut_promises_nothing),
		CASE(a_flush_after_a_power_cut_does_not_bring_lost_writes_back),
		CASE(a_read_that_lasted_longer_than_a_flush_may_be_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
