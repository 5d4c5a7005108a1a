/* SPDX-License-Identifier: Apache-2.0 */
/* histogram_test.c - percentiles against sorted values: exact ranks, at most 2 % off. */
#include "bench/histogram.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VALUE_COUNT 20000

static int compare_values(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one;
	uint64_t b = *(const uint64_t *)other;

	return a < b ? -1 : a > b;
}

static void assert_near(uint64_t value, uint64_t expected)
{
	uint64_t distance = value > expected ? value - expected : expected - value;

	if (distance > expected / 50)
		fail_msg("%lu is more than 2 %% away from %lu", value, expected);
}

static void percentiles_are_within_two_percent(void **state)
{
	static const uint32_t ranks[] = {1, 10000, 250000, 500000, 900000, 990000, 999000, 1000000};
	static uint64_t values[VALUE_COUNT];
	struct histogram histogram = {0};
	struct prng prng;

	(void)state;
	prng_init(&prng, 1);
	/* Every magnitude equally often. */
	for (uint32_t i = 0; i < VALUE_COUNT; i++) {
		values[i] = prng_next(&prng) >> prng_below(&prng, 64);
		histogram_record(&histogram, values[i]);
	}
	qsort(values, VALUE_COUNT, sizeof(values[0]), compare_values);
	for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
		uint64_t rank = ((uint64_t)VALUE_COUNT * ranks[i] + 999999) / 1000000;

		assert_near(histogram_percentile(&histogram, ranks[i]), values[rank - 1]);
	}
	assert_int_equal(histogram.count, VALUE_COUNT);
	assert_true(histogram.max == values[VALUE_COUNT - 1]);
}

static void small_values_are_exact(void **state)
{
	struct histogram histogram = {0};

	(void)state;
	for (uint64_t value = 1; value <= 100; value++)
		histogram_record(&histogram, value);
	assert_int_equal(histogram_percentile(&histogram, 500000), 50);
	assert_int_equal(histogram_percentile(&histogram, 990000), 99);
	assert_int_equal(histogram_percentile(&histogram, 1000000), 100);
	assert_int_equal(histogram_mean(&histogram), 50);
}

static void extremes_have_a_class(void **state)
{
	struct histogram histogram = {0};

	(void)state;
	assert_int_equal(histogram_percentile(&histogram, 500000), 0);
	assert_int_equal(histogram_mean(&histogram), 0);
	histogram_record(&histogram, 0);
	assert_int_equal(histogram_percentile(&histogram, 1000000), 0);
	histogram_record(&histogram, UINT64_MAX);
	assert_near(histogram_percentile(&histogram, 1000000), UINT64_MAX);
	for (uint32_t bit = 0; bit < 64; bit++) {
		memset(&histogram, 0, sizeof(histogram));
		histogram_record(&histogram, (uint64_t)1 << bit);
		assert_near(histogram_percentile(&histogram, 500000), (uint64_t)1 << bit);
	}
}

static void percentile_never_exceeds_the_largest_value(void **state)
{
	struct histogram histogram = {0};

	(void)state;
	histogram_record(&histogram, 1000000);
	assert_true(histogram_percentile(&histogram, 999000) <= 1000000);
}

static void sum_of_two_is_as_if_recorded_in_one(void **state)
{
	struct histogram one = {0}, other = {0}, both = {0};

	(void)state;
	for (uint64_t value = 1; value < 5000; value++) {
		histogram_record(value % 3 == 0 ? &one : &other, value * 17);
		histogram_record(&both, value * 17);
	}
	histogram_add(&one, &other);
	assert_memory_equal(&one, &both, sizeof(both));
}

static void ranges_are_in_order_without_gaps_and_hold_every_value(void **state)
{
	struct histogram_range ranges[4096];
	struct histogram histogram = {0};

	(void)state;
	assert_int_equal(histogram_ranges(&histogram, 4, ranges, 4096), 0);
	for (uint64_t value = 5; value < 100000; value += 7)
		histogram_record(&histogram, value);
	for (uint32_t parts = 1; parts <= 64; parts *= 2) {
		uint32_t count = histogram_ranges(&histogram, parts, ranges, 4096);
		uint64_t sum = 0;

		assert_in_range(count, 1, 4096);
		for (uint32_t i = 0; i < count; i++) {
			uint64_t values = 0;

			for (uint64_t value = 5; value < 100000; value += 7)
				values += value >= ranges[i].from && value < ranges[i].to;
			assert_int_equal(ranges[i].count, values);
			assert_true(i == 0 || ranges[i].from == ranges[i - 1].to);
			/* As fine as was asked for. */
			assert_true(ranges[i].to - ranges[i].from == 1 ||
				    (ranges[i].to - ranges[i].from) * parts <= ranges[i].from);
			sum += ranges[i].count;
		}
		assert_int_equal(sum, histogram.count);
		assert_true(ranges[0].count > 0 && ranges[count - 1].count > 0);
	}
	assert_int_equal(histogram_ranges(&histogram, 1, ranges, 0), 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_within_two_percent),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(extremes_have_a_class),
		cmocka_unit_test(percentile_never_exceeds_the_largest_value),
		cmocka_unit_test(sum_of_two_is_as_if_recorded_in_one),
		cmocka_unit_test(ranges_are_in_order_without_gaps_and_hold_every_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
