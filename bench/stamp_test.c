/* SPDX-License-Identifier: Apache-2.0 */
/* stamp_test.c - each way in which a device can go wrong has its verdict. */
#include "bench/stamp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK_BYTES 512

static const struct stamp wanted = {.block = 77, .seed = 5};

static enum stamp_verdict check(const uint8_t *bytes, uint32_t oldest, uint32_t newest)
{
	struct ledger_expectation expectation = {oldest, newest};
	struct stamp found;

	return stamp_check(bytes, BLOCK_BYTES, &wanted, &expectation, &found);
}

static void make(uint8_t *bytes, uint64_t block, uint64_t seed, uint32_t generation)
{
	struct stamp stamp = {.block = block, .seed = seed, .generation = generation};

	stamp_write(bytes, BLOCK_BYTES, &stamp);
}

static void generations_between_oldest_and_newest_are_accepted(void **state)
{
	uint8_t bytes[BLOCK_BYTES];

	(void)state;
	make(bytes, 77, 5, 4);
	assert_int_equal(check(bytes, 4, 4), STAMP_OK);
	assert_int_equal(check(bytes, 3, 5), STAMP_OK);
	assert_int_equal(check(bytes, 5, 5), STAMP_TOO_OLD);
	assert_int_equal(check(bytes, 3, 3), STAMP_TOO_NEW);
}

static void zeroes_and_foreign_data_are_not_stamped(void **state)
{
	uint8_t bytes[BLOCK_BYTES] = {0};

	(void)state;
	assert_int_equal(check(bytes, 1, 1), STAMP_NOT_STAMPED);
	memset(bytes, 0xa5, sizeof(bytes));
	assert_int_equal(check(bytes, 1, 1), STAMP_NOT_STAMPED);
}

static void every_flipped_bit_is_seen(void **state)
{
	uint8_t bytes[BLOCK_BYTES];

	(void)state;
	make(bytes, 77, 5, 4);
	for (uint32_t bit = 0; bit < BLOCK_BYTES * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(check(bytes, 1, 9), STAMP_OK);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(check(bytes, 1, 9), STAMP_OK);
}

static void torn_block_is_damaged(void **state)
{
	uint8_t older[BLOCK_BYTES];
	uint8_t newer[BLOCK_BYTES];

	(void)state;
	make(older, 77, 5, 4);
	make(newer, 77, 5, 5);
	memcpy(older, newer, BLOCK_BYTES / 2);
	assert_int_equal(check(older, 4, 5), STAMP_DAMAGED);
}

static void other_places_and_runs_are_told_apart(void **state)
{
	uint8_t bytes[BLOCK_BYTES];

	(void)state;
	make(bytes, 78, 5, 4);
	assert_int_equal(check(bytes, 4, 4), STAMP_OTHER_BLOCK);
	make(bytes, 77, 6, 4);
	assert_int_equal(check(bytes, 4, 4), STAMP_OTHER_RUN);
}

static void assert_expectation(struct ledger *ledger, uint32_t oldest, uint32_t newest)
{
	struct ledger_expectation expectation = ledger_expectation(ledger, 3);

	assert_int_equal(expectation.oldest, oldest);
	assert_int_equal(expectation.newest, newest);
}

static void failed_write_leaves_doubt_and_acknowledged_one_ends_it(void **state)
{
	struct ledger *ledger;

	(void)state;
	assert_int_equal(ledger_create(8, &ledger), 0);
	assert_true(ledger_is_unknown(ledger, 3));
	assert_true(ledger_acquire(ledger, 3));
	assert_int_equal(ledger_write_begin(ledger, 3), 1);
	ledger_write_end(ledger, 3, false);
	/* Never acknowledged: what was there before may still be there. */
	assert_true(ledger_is_unknown(ledger, 3));
	assert_int_equal(ledger_doubtful_count(ledger), 1);
	assert_int_equal(ledger_write_begin(ledger, 3), 2);
	ledger_write_end(ledger, 3, true);
	assert_expectation(ledger, 2, 2);
	assert_int_equal(ledger_doubtful_count(ledger), 0);
	for (uint32_t generation = 3; generation <= 4; generation++) {
		assert_int_equal(ledger_write_begin(ledger, 3), generation);
		ledger_write_end(ledger, 3, false);
		assert_expectation(ledger, 2, generation);
		assert_int_equal(ledger_doubtful_count(ledger), 1);
	}
	assert_int_equal(ledger_write_begin(ledger, 3), 5);
	ledger_write_end(ledger, 3, true);
	assert_expectation(ledger, 5, 5);
	assert_int_equal(ledger_doubtful_count(ledger), 0);
	ledger_release(ledger, 3);
	ledger_destroy(ledger);
}

static void unit_is_acquired_once_at_a_time(void **state)
{
	struct ledger *ledger;

	(void)state;
	assert_int_equal(ledger_create(4, &ledger), 0);
	assert_true(ledger_acquire(ledger, 1));
	assert_false(ledger_acquire(ledger, 1));
	assert_true(ledger_acquire(ledger, 2));
	ledger_release(ledger, 1);
	assert_true(ledger_acquire(ledger, 1));
	ledger_release(ledger, 1);
	ledger_release(ledger, 2);
	ledger_destroy(ledger);
}

static void ledger_is_bounded(void **state)
{
	struct ledger *ledger = NULL;

	(void)state;
	assert_int_equal(ledger_create(0, &ledger), -EINVAL);
	assert_int_equal(ledger_create((uint64_t)LEDGER_UNITS_MAX + 1, &ledger), -EINVAL);
	assert_null(ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generations_between_oldest_and_newest_are_accepted),
		cmocka_unit_test(zeroes_and_foreign_data_are_not_stamped),
		cmocka_unit_test(every_flipped_bit_is_seen),
		cmocka_unit_test(torn_block_is_damaged),
		cmocka_unit_test(other_places_and_runs_are_told_apart),
		cmocka_unit_test(failed_write_leaves_doubt_and_acknowledged_one_ends_it),
		cmocka_unit_test(unit_is_acquired_once_at_a_time),
		cmocka_unit_test(ledger_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
