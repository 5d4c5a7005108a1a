/* SPDX-License-Identifier: Apache-2.0 */
/* bitmap_test.c - against a plain array of bools, at sizes around the word. */
#include "base/bitmap.h"

#include "base/prng.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t model_find(const bool *model, uint64_t bit_count, uint64_t from, bool value)
{
	for (uint64_t bit = from; bit < bit_count; bit++) {
		if (model[bit] == value)
			return bit;
	}
	return BITMAP_NONE;
}

static void it_agrees_with_an_array_of_bools(void **state)
{
	static const uint64_t sizes[] = {1, 63, 64, 65, 127, 128, 200};
	struct prng prng;

	(void)state;
	prng_init(&prng, 3);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		bool model[200] = {false};
		struct bitmap *bitmap;
		uint64_t set_count = 0;

		assert_int_equal(bitmap_create(sizes[s], &bitmap), 0);
		for (int round = 0; round < 500; round++) {
			uint64_t bit = prng_below(&prng, sizes[s]);
			bool value = prng_chance(&prng, 1, 2);

			set_count += (uint64_t)(value - model[bit]);
			model[bit] = value;
			if (value)
				bitmap_set(bitmap, bit);
			else
				bitmap_clear(bitmap, bit);
			bit = prng_below(&prng, sizes[s] + 1);
			assert_int_equal(bitmap_find_set(bitmap, bit),
					 model_find(model, sizes[s], bit, true));
			assert_int_equal(bitmap_find_clear(bitmap, bit),
					 model_find(model, sizes[s], bit, false));
			assert_int_equal(bitmap_set_count(bitmap), set_count);
		}
		bitmap_destroy(bitmap);
	}
}

static void all_set_and_all_clear_respect_the_end(void **state)
{
	struct bitmap *bitmap;

	(void)state;
	assert_int_equal(bitmap_create(70, &bitmap), 0);
	assert_int_equal(bitmap_bit_count(bitmap), 70);
	bitmap_set_all(bitmap);
	assert_int_equal(bitmap_set_count(bitmap), 70);
	assert_int_equal(bitmap_find_clear(bitmap, 0), BITMAP_NONE);
	assert_int_equal(bitmap_find_set(bitmap, 69), 69);
	assert_int_equal(bitmap_find_set(bitmap, 70), BITMAP_NONE);
	bitmap_clear_all(bitmap);
	assert_int_equal(bitmap_set_count(bitmap), 0);
	assert_int_equal(bitmap_find_set(bitmap, 0), BITMAP_NONE);
	bitmap_destroy(bitmap);
}

static void an_empty_bitmap_has_nothing(void **state)
{
	struct bitmap *bitmap;

	(void)state;
	assert_int_equal(bitmap_create(0, &bitmap), 0);
	bitmap_set_all(bitmap);
	assert_int_equal(bitmap_find_set(bitmap, 0), BITMAP_NONE);
	assert_int_equal(bitmap_find_clear(bitmap, 0), BITMAP_NONE);
	bitmap_destroy(bitmap);
	bitmap_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_agrees_with_an_array_of_bools),
		cmocka_unit_test(all_set_and_all_clear_respect_the_end),
		cmocka_unit_test(an_empty_bitmap_has_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
