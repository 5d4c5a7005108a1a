/* SPDX-License-Identifier: Apache-2.0 */
/* prng_test.c - the published sequence, fairness of bounds, repeatability. */
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void sequence_is_that_of_xoshiro256_starstar(void **state)
{
	/* By the authors' reference code from the state 1, 2, 3, 4. */
	static const uint64_t expected[] = {11520u, 0u, 1509978240u, 1215971899390074240u};
	struct prng prng = {{1, 2, 3, 4}};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(prng_next(&prng), expected[i]);
}

static void equal_seeds_give_equal_streams(void **state)
{
	struct prng one;
	struct prng other;
	struct prng third;

	(void)state;
	prng_init(&one, 42);
	prng_init(&other, 42);
	prng_init(&third, 43);
	for (int i = 0; i < 100; i++)
		assert_int_equal(prng_next(&one), prng_next(&other));
	assert_int_not_equal(prng_next(&one), prng_next(&third));
}

static void below_stays_below_and_reaches_every_value(void **state)
{
	uint32_t seen[7] = {0};
	struct prng prng;

	(void)state;
	prng_init(&prng, 1);
	for (int i = 0; i < 7000; i++)
		seen[prng_below(&prng, 7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 800, 1200);
	for (int i = 0; i < 100; i++)
		assert_int_equal(prng_below(&prng, 1), 0);
}

static void chance_knows_never_and_always(void **state)
{
	uint32_t hits = 0;
	struct prng prng;

	(void)state;
	prng_init(&prng, 1);
	for (int i = 0; i < 1000; i++) {
		assert_false(prng_chance(&prng, 0, 10));
		assert_true(prng_chance(&prng, 10, 10));
		hits += prng_chance(&prng, 1, 4);
	}
	assert_in_range(hits, 200, 300);
}

static void fill_writes_exactly_the_size(void **state)
{
	uint8_t bytes[20] = {0};
	struct prng prng;
	uint32_t changed = 0;

	(void)state;
	prng_init(&prng, 5);
	prng_fill(&prng, bytes, 13);
	for (int i = 0; i < 13; i++)
		changed += bytes[i] != 0;
	assert_true(changed > 8);
	for (int i = 13; i < 20; i++)
		assert_int_equal(bytes[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequence_is_that_of_xoshiro256_starstar),
		cmocka_unit_test(equal_seeds_give_equal_streams),
		cmocka_unit_test(below_stays_below_and_reaches_every_value),
		cmocka_unit_test(chance_knows_never_and_always),
		cmocka_unit_test(fill_writes_exactly_the_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
