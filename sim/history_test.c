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

static int setup_with(bool is_strict, uint64_t ghost_ns)
{
	const struct history_options options = {
		.volume = 9,
		.block_count = BLOCKS,
		.block_bytes = BLOCK_BYTES,
		.is_strict = is_strict,
		.ghost_ns = ghost_ns,
	};

	history = history_create(&options);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(true, 0);
}

static int setup_lax(void **state)
{
	(void)state;
	return setup_with(false, 0);
}

static int setup_ghosts(void **state)
{
	(void)state;
	return setup_with(true, 100);
}

static int teardown(void **state)
{
	(void)state;
	history_destroy(history);
	return 0;
}

/* @done_ns 0: under way. */
static struct history_io write_of(uint32_t host, uint64_t block, uint64_t begin_ns,
				  uint64_t done_ns)
{
	struct history_io io = {.first_block = block, .block_count = 1, .host = host};

	history_write_begin(history, &io, begin_ns);
	if (done_ns != 0)
		history_write_done(history, &io, done_ns, false);
	return io;
}

static struct history_io write_at(uint64_t block, uint64_t begin_ns, uint64_t done_ns)
{
	return write_of(0, block, begin_ns, done_ns);
}

static struct history_io zero_at(uint64_t block, uint64_t begin_ns, uint64_t done_ns)
{
	struct history_io io = {.first_block = block, .block_count = 1, .is_zeroes = true};

	history_write_begin(history, &io, begin_ns);
	if (done_ns != 0)
		history_write_done(history, &io, done_ns, false);
	return io;
}

/* Answered, after a copy of it was sent over another path. */
static struct history_io repeated_at(uint32_t host, uint64_t block, uint64_t begin_ns,
				     uint64_t done_ns)
{
	struct history_io io = write_of(host, block, begin_ns, 0);

	io.is_repeated = true;
	history_write_done(history, &io, done_ns, false);
	return io;
}

static void flush_at(uint32_t host, uint64_t begin_ns)
{
	struct history_io io = {.host = host};

	history_flush_begin(history, &io, begin_ns);
	history_flush_done(history, &io);
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

/* ---- given up writes and hosts ---- */

static void another_hosts_answer_settles_nothing(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);
	struct history_io other;

	(void)state;
	history_write_unknown(history, &one, 20);
	other = write_of(1, 3, 30, 40);
	assert_true(read_is_fine(&other, 3, 50, 51));
	assert_true(read_is_fine(&one, 3, 52, 53)); /* late, and that was it */
	assert_false(read_is_fine(&other, 3, 54, 55));
	write_of(0, 6, 60, 70); /* settles it */
	other = write_of(1, 3, 80, 90);
	assert_false(read_is_fine(&one, 3, 100, 101));
}

static void a_given_up_write_is_gone_where_its_host_wrote_later(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);
	struct history_io two;

	(void)state;
	history_write_unknown(history, &one, 20);
	two = write_of(0, 3, 30, 40);
	assert_false(read_is_fine(&one, 3, 50, 51));
	assert_true(read_is_fine(&two, 3, 52, 53));
}

static void what_a_host_settled_late_another_ones_write_did_not_overwrite(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);
	struct history_io other;

	(void)state;
	history_write_unknown(history, &one, 20);
	other = write_of(1, 3, 50, 0);
	write_of(0, 7, 60, 70); /* so one took effect by 70 */
	history_write_done(history, &other, 90, false);
	assert_true(read_is_fine(&one, 3, 100, 101));
}

static void a_later_write_that_began_before_the_error_settles_nothing(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);
	struct history_io two = write_of(0, 4, 15, 0);

	(void)state;
	history_write_unknown(history, &one, 20);
	history_write_done(history, &two, 30, false);
	write_of(1, 3, 40, 50);
	assert_true(read_is_fine(&one, 3, 60, 61));
}

static void a_later_write_that_failed_settles_nothing(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);
	struct history_io two;

	(void)state;
	history_write_unknown(history, &one, 20);
	two = write_of(0, 3, 30, 0);
	history_write_unknown(history, &two, 40);
	write_of(1, 3, 50, 60);
	assert_true(read_is_fine(&two, 3, 70, 71));
	assert_true(read_is_fine(&one, 3, 72, 73));
}

static void an_unknown_write_that_was_seen_stays(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 0);

	(void)state;
	history_write_unknown(history, &two, 40);
	assert_true(read_is_fine(&one, 3, 50, 51));
	assert_true(read_is_fine(&two, 3, 52, 53));
	assert_false(read_is_fine(&one, 3, 54, 55));
	write_of(1, 3, 60, 70);
	assert_false(read_is_fine(&two, 3, 80, 81)); /* it does not act twice */
}

static void a_repeated_write_may_come_back_until_its_host_has_written_again(void **state)
{
	struct history_io one = repeated_at(0, 3, 10, 20);
	struct history_io other = write_of(1, 3, 30, 40);

	(void)state;
	assert_true(read_is_fine(&other, 3, 50, 51));
	assert_true(read_is_fine(&one, 3, 52, 53));
	assert_true(read_is_fine(&one, 3, 54, 55));
	assert_false(read_is_fine(NULL, 3, 56, 57));
	write_of(1, 3, 58, 59);
	assert_true(read_is_fine(&one, 3, 60, 61));
	write_of(0, 7, 62, 70);
	other = write_of(1, 3, 80, 90);
	assert_true(read_is_fine(&other, 3, 100, 101));
	assert_false(read_is_fine(&one, 3, 102, 103));
}

static void a_repeated_write_never_undoes_its_hosts_later_one(void **state)
{
	struct history_io one = repeated_at(0, 3, 10, 20);
	struct history_io two = write_of(0, 3, 30, 40);

	(void)state;
	assert_false(read_is_fine(&one, 3, 50, 51));
	assert_true(read_is_fine(&two, 3, 52, 53));
}

static void a_write_that_is_not_repeated_does_not_come_back(void **state)
{
	struct history_io one = write_of(0, 3, 10, 20);

	(void)state;
	write_of(1, 3, 30, 40);
	assert_false(read_is_fine(&one, 3, 50, 51));
}

static void a_repeating_hosts_write_may_act_again_until_it_is_answered(void **state)
{
	struct history_io one = {.first_block = 3, .block_count = 1, .is_repeating = true};
	struct history_io other;

	(void)state;
	history_write_begin(history, &one, 10);
	assert_true(read_is_fine(&one, 3, 20, 21));
	other = write_of(1, 3, 30, 40);
	assert_true(read_is_fine(&other, 3, 50, 51));
	assert_true(read_is_fine(&one, 3, 60, 61));
	history_write_done(history, &one, 70, false);
	other = write_of(1, 3, 80, 90);
	assert_false(read_is_fine(&one, 3, 100, 101));
}

static void a_command_lost_in_the_network_may_act_while_it_lasts(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);
	struct history_io two;

	(void)state;
	history_write_unknown(history, &one, 20);
	two = write_of(0, 3, 30, 40); /* within the 100 ns */
	assert_true(read_is_fine(&two, 3, 50, 51));
	assert_true(read_is_fine(&one, 3, 52, 53));
	one = write_of(0, 5, 10, 0);
	history_write_unknown(history, &one, 20);
	two = write_of(0, 5, 30, 0);
	assert_true(read_is_fine(&one, 5, 35, 36));
	history_write_done(history, &two, 40, false);
	assert_true(read_is_fine(&one, 5, 50, 51));
	one = write_of(0, 4, 60, 0);
	history_write_unknown(history, &one, 70);
	two = write_of(0, 4, 171, 180);
	assert_false(read_is_fine(&one, 4, 190, 191));
}

/* ---- refused writes and denied hosts ---- */

static void a_refused_write_is_never_read(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);
	struct history_io two = write_of(0, 4, 10, 0);

	(void)state;
	assert_true(history_write_refused(history, &one, 20));
	assert_false(read_is_fine(&one, 3, 30, 31));
	assert_true(read_is_fine(NULL, 3, 32, 33));
	assert_true(read_is_fine(&two, 4, 30, 31));
	assert_false(history_write_refused(history, &two, 40)); /* and yet it was read */
}

static void a_refused_repetition_says_nothing_of_the_first_copy(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);

	(void)state;
	one.is_repeated = true;
	assert_true(history_write_refused(history, &one, 20));
	assert_true(read_is_fine(NULL, 3, 30, 31));
	assert_true(read_is_fine(&one, 3, 32, 33));
}

static void a_write_submitted_while_its_host_is_denied_is_not_there(void **state)
{
	struct history_io one;

	(void)state;
	history_host_denied(history, 0, 5);
	one = write_of(0, 3, 10, 0);
	assert_false(read_is_fine(&one, 3, 20, 21));
	assert_true(read_is_fine(NULL, 3, 22, 23));
	history_host_denied(history, 0, HISTORY_NEVER_NS);
	assert_true(read_is_fine(&one, 3, 30, 31));
}

static void nothing_of_a_denied_host_undoes_what_was_written_since(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);
	struct history_io other;

	(void)state;
	history_write_unknown(history, &one, 15);
	history_host_denied(history, 0, 20);
	other = write_of(1, 3, 30, 40);
	assert_true(read_is_fine(&other, 3, 50, 51));
	assert_false(read_is_fine(&one, 3, 52, 53));
	history_host_denied(history, 0, HISTORY_NEVER_NS);
	assert_true(read_is_fine(&one, 3, 60, 61));
}

static void what_a_host_wrote_before_it_was_denied_may_be_there(void **state)
{
	struct history_io one = write_of(0, 3, 10, 0);

	(void)state;
	history_write_unknown(history, &one, 15);
	write_of(1, 3, 16, 19);
	history_host_denied(history, 0, 20);
	assert_true(read_is_fine(&one, 3, 30, 31));
}

/* ---- zeroes ---- */

static void zeroed_blocks_read_as_zeroes_until_they_are_written(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io zero = zero_at(3, 30, 0);
	struct history_io two;

	(void)state;
	assert_true(read_is_fine(&one, 3, 31, 32));
	assert_true(read_is_fine(NULL, 3, 33, 34));
	assert_false(read_is_fine(&one, 3, 35, 36)); /* no flicker back to the old data */
	history_write_done(history, &zero, 40, false);
	assert_false(read_is_fine(&one, 3, 50, 51));
	two = write_at(3, 60, 70);
	assert_false(read_is_fine(NULL, 3, 80, 81));
	assert_true(read_is_fine(&two, 3, 80, 81));
}

static void zeroes_that_were_read_overwrote_what_had_taken_effect_whoever_wrote_them(void **state)
{
	struct history_io one = write_at(3, 10, 0);
	struct history_io zero = zero_at(3, 12, 0);
	struct history_io another_zero = zero_at(3, 13, 0);
	struct history_io two;

	(void)state;
	history_write_done(history, &one, 20, false);
	history_write_done(history, &zero, 30, false);
	history_write_done(history, &another_zero, 31, false);
	two = write_at(3, 40, 0);
	assert_true(read_is_fine(NULL, 3, 50, 51));
	assert_false(read_is_fine(&one, 3, 52, 53));
	assert_true(read_is_fine(NULL, 3, 54, 55));
	assert_true(read_is_fine(&two, 3, 56, 57));
}

static void zeroes_under_way_bind_nothing_when_nobody_promised_more(void **state)
{
	struct history_io one = write_at(3, 10, 20);

	(void)state;
	zero_at(3, 30, 0);
	zero_at(3, 31, 0);
	assert_true(read_is_fine(NULL, 3, 40, 41));
	assert_true(read_is_fine(&one, 3, 42, 43));
}

/* ---- comparisons ---- */

static bool compare_is_fine(const struct history_io *write, uint64_t block, uint64_t begin_ns,
			    uint64_t done_ns, bool is_equal)
{
	struct history_io io = {.first_block = block, .block_count = 1};
	uint8_t bytes[BLOCK_BYTES] = {0};

	if (write != NULL)
		history_stamp(history, write, bytes);
	history_read_begin(history, &io, begin_ns);
	return is_equal ? history_read_done(history, &io, done_ns, bytes, error)
			: history_compare_differed(history, &io, bytes, error);
}

static void a_comparison_must_find_what_is_there(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 40);

	(void)state;
	assert_true(compare_is_fine(&two, 3, 50, 51, true));
	assert_false(compare_is_fine(&two, 3, 50, 51, false));
	assert_false(compare_is_fine(&one, 3, 50, 51, true));
	assert_true(compare_is_fine(&one, 3, 50, 51, false));
	assert_true(compare_is_fine(NULL, 4, 50, 51, true));
	assert_false(compare_is_fine(NULL, 4, 50, 51, false));
}

static void a_comparison_beside_a_write_may_find_either_and_binds(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 0);

	(void)state;
	assert_true(compare_is_fine(&one, 3, 35, 36, false));
	assert_true(compare_is_fine(&one, 3, 37, 38, true));
	assert_true(compare_is_fine(&two, 3, 39, 40, true));
	assert_false(compare_is_fine(&one, 3, 41, 42, true));
	assert_false(compare_is_fine(&two, 3, 43, 44, false));
}

static void one_block_that_may_differ_is_enough_for_a_miscompare(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io io = {.first_block = 3, .block_count = 2};
	uint8_t bytes[2 * BLOCK_BYTES] = {0};

	(void)state;
	history_stamp(history, &one, bytes);
	history_read_begin(history, &io, 30);
	assert_false(history_compare_differed(history, &io, bytes, error));
	write_at(4, 40, 0);
	history_read_begin(history, &io, 41);
	assert_true(history_compare_differed(history, &io, bytes, error));
}

static void a_swap_that_differed_did_not_find_its_own_write(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io swap = write_at(3, 30, 0);
	struct history_io io = {.first_block = 3, .block_count = 1, .sequence = swap.sequence};
	uint8_t bytes[BLOCK_BYTES];

	(void)state;
	history_stamp(history, &one, bytes);
	history_read_begin(history, &io, 30);
	assert_false(history_compare_differed(history, &io, bytes, error));
	write_at(3, 31, 0); /* another host's */
	history_read_begin(history, &io, 32);
	assert_true(history_compare_differed(history, &io, bytes, error));
}

static void what_is_expected_is_what_may_be_there(void **state)
{
	struct history_io io = {.first_block = 3, .block_count = 2};
	uint8_t bytes[2 * BLOCK_BYTES];
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 40);

	(void)one;
	(void)two;
	(void)state;
	for (uint64_t draw = 0; draw < 4; draw++) {
		history_read_begin(history, &io, 50 + draw);
		history_expect(history, &io, draw, bytes);
		assert_true(history_read_done(history, &io, 50 + draw, bytes, error));
	}
}

/* ---- compare and write as one ---- */

static bool swap_is_fine(const struct history_io *from, struct history_io *write, uint64_t begin_ns,
			 uint64_t done_ns)
{
	struct history_io compare = {.first_block = 3, .block_count = 1};
	uint8_t bytes[BLOCK_BYTES] = {0};

	if (from != NULL)
		history_stamp(history, from, bytes);
	history_read_begin(history, &compare, begin_ns);
	if (!history_swap_check(history, write, bytes, error) ||
	    !history_read_done(history, &compare, done_ns, bytes, error))
		return false;
	history_write_done(history, write, done_ns, false);
	return true;
}

static void of_two_that_swap_the_same_content_one_wins(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_of(0, 3, 30, 0);
	struct history_io three = write_of(1, 3, 30, 0);

	(void)state;
	assert_true(swap_is_fine(&one, &two, 30, 40));
	assert_true(read_is_fine(&two, 3, 50, 51));
	assert_false(swap_is_fine(&one, &three, 30, 40));
}

static void what_was_written_twice_may_be_swapped_twice(void **state)
{
	struct history_io one = repeated_at(0, 3, 10, 20);
	struct history_io two = write_of(1, 3, 30, 0);
	struct history_io three = write_of(2, 3, 50, 0);

	(void)state;
	assert_true(swap_is_fine(&one, &two, 30, 40));
	assert_true(swap_is_fine(&one, &three, 50, 60));
}

static void a_swap_of_what_was_not_there_is_seen(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 40);
	struct history_io three = write_at(3, 50, 0);

	(void)state;
	assert_true(read_is_fine(&two, 3, 42, 43));
	assert_false(swap_is_fine(&one, &three, 50, 60));
}

static void after_a_loss_of_power_a_content_may_be_swapped_once_more(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 0);
	struct history_io three;

	(void)state;
	assert_true(swap_is_fine(&one, &two, 30, 40));
	history_power_cut(history, 50);
	three = write_at(3, 60, 0);
	assert_true(swap_is_fine(&one, &three, 60, 70));
}

/* ---- durability ---- */

static void fua_survives_a_power_cut_and_a_later_write_without_it_does_not(void **state)
{
	struct history_io fua = write_at(3, 10, 0);
	struct history_io two;

	(void)state;
	history_write_done(history, &fua, 20, true);
	two = write_at(3, 30, 40);
	history_power_cut(history, 50);
	assert_false(read_is_fine(NULL, 3, 60, 61));
	assert_true(read_is_fine(&fua, 3, 62, 63));
	assert_false(read_is_fine(&two, 3, 64, 65));
}

static void a_flush_covers_what_other_hosts_were_answered(void **state)
{
	struct history_io one = write_of(0, 3, 10, 20);

	(void)state;
	flush_at(1, 30);
	history_power_cut(history, 40);
	assert_false(read_is_fine(NULL, 3, 50, 51));
	assert_true(read_is_fine(&one, 3, 52, 53));
}

static void a_flush_covers_a_repeated_write_that_was_answered(void **state)
{
	struct history_io one = repeated_at(0, 3, 10, 20);

	(void)state;
	flush_at(0, 30);
	history_power_cut(history, 40);
	assert_false(read_is_fine(NULL, 3, 50, 51));
	assert_true(read_is_fine(&one, 3, 52, 53));
}

static void a_flush_does_not_cover_what_was_answered_after_it_began(void **state)
{
	struct history_io flush = {.first_block = 0};

	(void)state;
	history_flush_begin(history, &flush, 10);
	write_at(3, 12, 20);
	history_flush_done(history, &flush);
	history_power_cut(history, 40);
	assert_true(read_is_fine(NULL, 3, 50, 51));
}

static void what_reads_told_binds_after_a_power_cut(void **state)
{
	struct history_io one = write_at(3, 10, 20);

	(void)state;
	history_power_cut(history, 30);
	assert_true(read_is_fine(&one, 3, 40, 41));
	assert_false(read_is_fine(NULL, 3, 42, 43)); /* no flicker */
}

static void a_crash_of_the_owner_opens_what_reads_told_and_keeps_what_answers_told(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 0);

	(void)state;
	history_write_unknown(history, &two, 40);
	assert_true(read_is_fine(&two, 3, 50, 51));
	history_owner_crashed(history, 60);
	assert_true(read_is_fine(&one, 3, 70, 71));
	assert_false(read_is_fine(NULL, 3, 72, 73));
	two = write_at(3, 80, 90);
	history_owner_crashed(history, 100);
	assert_false(read_is_fine(&one, 3, 110, 111));
	assert_true(read_is_fine(&two, 3, 112, 113));
}

static void after_a_crash_of_the_owner_its_host_settles_again(void **state)
{
	struct history_io two = write_of(0, 3, 30, 0);

	(void)state;
	two.is_repeated = true;
	history_write_unknown(history, &two, 40);
	write_of(0, 6, 50, 52);
	history_owner_crashed(history, 60);
	write_of(1, 3, 62, 63);
	assert_true(read_is_fine(&two, 3, 64, 65));
	history_owner_crashed(history, 66);
	write_of(0, 7, 70, 80);
	write_of(1, 3, 90, 100);
	assert_false(read_is_fine(&two, 3, 110, 111));
}

static void after_a_crash_of_the_owner_a_settled_write_acts_once_at_most(void **state)
{
	struct history_io two = write_of(0, 3, 30, 0);

	(void)state;
	two.is_repeated = true;
	history_write_unknown(history, &two, 40);
	write_of(0, 6, 50, 52);
	history_owner_crashed(history, 60);
	assert_true(read_is_fine(&two, 3, 64, 65));
	write_of(1, 3, 70, 80);
	assert_false(read_is_fine(&two, 3, 90, 91));
}

static void a_read_across_a_crash_of_the_owner_binds_nothing(void **state)
{
	struct history_io read = {.first_block = 3, .block_count = 1};
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 0);
	uint8_t bytes[BLOCK_BYTES];

	(void)state;
	history_write_unknown(history, &two, 40);
	history_stamp(history, &two, bytes);
	history_read_begin(history, &read, 50);
	history_owner_crashed(history, 60);
	assert_true(history_read_done(history, &read, 65, bytes, error));
	assert_true(read_is_fine(&one, 3, 70, 71));
}

static void what_was_seen_is_newer_than_what_had_ended_before_it_began(void **state)
{
	struct history_io read = {.first_block = 3, .block_count = 1};
	struct history_io one;
	struct history_io two;
	uint8_t bytes[BLOCK_BYTES];

	(void)state;
	history_read_begin(history, &read, 10);
	one = write_at(3, 12, 14);
	two = write_at(3, 16, 0);
	history_stamp(history, &two, bytes);
	assert_true(history_read_done(history, &read, 20, bytes, error));
	assert_false(read_is_fine(&one, 3, 22, 23));
}

static void two_blocks_of_one_write_do_not_change_places(void **state)
{
	struct history_io io = {.first_block = 3, .block_count = 2};
	uint8_t bytes[2 * BLOCK_BYTES];
	uint8_t swapped[2 * BLOCK_BYTES];

	(void)state;
	history_write_begin(history, &io, 10);
	history_stamp(history, &io, bytes);
	history_write_done(history, &io, 20, false);
	memcpy(swapped, bytes + BLOCK_BYTES, BLOCK_BYTES);
	memcpy(swapped + BLOCK_BYTES, bytes, BLOCK_BYTES);
	history_read_begin(history, &io, 30);
	assert_false(history_read_done(history, &io, 31, swapped, error));
	history_read_begin(history, &io, 30);
	assert_true(history_read_done(history, &io, 31, bytes, error));
}

static void a_write_under_way_may_be_seen_and_unseen_when_nobody_promised_more(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	struct history_io two = write_at(3, 30, 0);

	(void)state;
	assert_true(read_is_fine(&two, 3, 32, 33));
	assert_true(read_is_fine(&one, 3, 34, 35));
	history_write_done(history, &two, 40, false);
	assert_false(read_is_fine(&one, 3, 50, 51));
}

static void another_volumes_content_is_seen(void **state)
{
	const struct history_options options = {
		.volume = 10, .block_count = BLOCKS, .block_bytes = BLOCK_BYTES};
	struct history *other = history_create(&options);
	struct history_io theirs = {.first_block = 3, .block_count = 1};
	struct history_io read = {.first_block = 3, .block_count = 1};
	uint8_t bytes[BLOCK_BYTES];

	(void)state;
	history_write_begin(other, &theirs, 10);
	history_stamp(other, &theirs, bytes);
	write_at(3, 10, 0); /* the same sequence */
	history_read_begin(history, &read, 20);
	assert_false(history_read_done(history, &read, 21, bytes, error));
	history_destroy(other);
}

static void one_flipped_bit_anywhere_is_seen(void **state)
{
	struct history_io one = write_at(3, 10, 20);
	uint8_t bytes[BLOCK_BYTES];

	(void)state;
	history_stamp(history, &one, bytes);
	for (uint32_t at = 0; at < BLOCK_BYTES; at++) {
		struct history_io read = {.first_block = 3, .block_count = 1};

		bytes[at] ^= 1u << at % 8;
		history_read_begin(history, &read, 30);
		assert_false(history_read_done(history, &read, 31, bytes, error));
		bytes[at] ^= 1u << at % 8;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name)	      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_WITH(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
		CASE(the_last_answered_write_is_right_and_the_one_before_is_not),
		CASE(a_read_beside_a_write_may_see_either),
		CASE(of_two_concurrent_writes_the_one_seen_last_stays),
		CASE(an_unknown_write_may_appear_until_a_later_one_is_answered),
		CASE(foreign_torn_and_garbled_blocks_are_seen),
		CASE(a_power_cut_takes_back_only_what_no_flush_covered),
		CASE(an_answer_that_was_on_its_way_at_a_power_cut_promises_nothing),
		CASE(a_flush_after_a_power_cut_does_not_bring_lost_writes_back),
		CASE(a_read_that_lasted_longer_than_a_flush_may_be_old),
		CASE(another_hosts_answer_settles_nothing),
		CASE(a_given_up_write_is_gone_where_its_host_wrote_later),
		CASE(what_a_host_settled_late_another_ones_write_did_not_overwrite),
		CASE(a_later_write_that_began_before_the_error_settles_nothing),
		CASE(a_later_write_that_failed_settles_nothing),
		CASE_WITH(an_unknown_write_that_was_seen_stays, setup_lax),
		CASE(a_repeated_write_may_come_back_until_its_host_has_written_again),
		CASE(a_repeated_write_never_undoes_its_hosts_later_one),
		CASE(a_write_that_is_not_repeated_does_not_come_back),
		CASE(a_repeating_hosts_write_may_act_again_until_it_is_answered),
		CASE_WITH(a_command_lost_in_the_network_may_act_while_it_lasts, setup_ghosts),
		CASE(a_refused_write_is_never_read),
		CASE(a_refused_repetition_says_nothing_of_the_first_copy),
		CASE(a_write_submitted_while_its_host_is_denied_is_not_there),
		CASE(nothing_of_a_denied_host_undoes_what_was_written_since),
		CASE(what_a_host_wrote_before_it_was_denied_may_be_there),
		CASE(zeroed_blocks_read_as_zeroes_until_they_are_written),
		CASE(zeroes_that_were_read_overwrote_what_had_taken_effect_whoever_wrote_them),
		CASE_WITH(zeroes_under_way_bind_nothing_when_nobody_promised_more, setup_lax),
		CASE(a_comparison_must_find_what_is_there),
		CASE(a_comparison_beside_a_write_may_find_either_and_binds),
		CASE(one_block_that_may_differ_is_enough_for_a_miscompare),
		CASE(a_swap_that_differed_did_not_find_its_own_write),
		CASE(what_is_expected_is_what_may_be_there),
		CASE(of_two_that_swap_the_same_content_one_wins),
		CASE(what_was_written_twice_may_be_swapped_twice),
		CASE(a_swap_of_what_was_not_there_is_seen),
		CASE(after_a_loss_of_power_a_content_may_be_swapped_once_more),
		CASE(fua_survives_a_power_cut_and_a_later_write_without_it_does_not),
		CASE(a_flush_covers_what_other_hosts_were_answered),
		CASE(a_flush_covers_a_repeated_write_that_was_answered),
		CASE(a_flush_does_not_cover_what_was_answered_after_it_began),
		CASE_WITH(what_reads_told_binds_after_a_power_cut, setup_lax),
		CASE(a_crash_of_the_owner_opens_what_reads_told_and_keeps_what_answers_told),
		CASE(after_a_crash_of_the_owner_its_host_settles_again),
		CASE(after_a_crash_of_the_owner_a_settled_write_acts_once_at_most),
		CASE(a_read_across_a_crash_of_the_owner_binds_nothing),
		CASE(what_was_seen_is_newer_than_what_had_ended_before_it_began),
		CASE(two_blocks_of_one_write_do_not_change_places),
		CASE_WITH(a_write_under_way_may_be_seen_and_unseen_when_nobody_promised_more,
			  setup_lax),
		CASE(another_volumes_content_is_seen),
		CASE(one_flipped_bit_anywhere_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
