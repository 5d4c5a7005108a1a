/* SPDX-License-Identifier: Apache-2.0 */
/* slab_test.c - slots are distinct, bounded, aligned, and come back last-in first-out. */
#include "base/slab.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void capacity_bounds_what_is_handed_out(void **state)
{
	struct slab *slab;
	void *slots[5];

	(void)state;
	assert_int_equal(slab_create(100, 5, &slab), 0);
	assert_int_equal(slab_capacity(slab), 5);
	for (int i = 0; i < 5; i++) {
		slots[i] = slab_acquire(slab);
		assert_non_null(slots[i]);
		assert_int_equal((uintptr_t)slots[i] % 64, 0);
		memset(slots[i], i, 100);
	}
	assert_null(slab_acquire(slab));
	assert_int_equal(slab_acquired_count(slab), 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(((uint8_t *)slots[i])[99], i);
		slab_release(slab, slots[i]);
	}
	assert_int_equal(slab_acquired_count(slab), 0);
	slab_destroy(slab);
}

static void last_released_slot_is_the_next(void **state)
{
	struct slab *slab;
	void *one;
	void *other;

	(void)state;
	assert_int_equal(slab_create(8, 4, &slab), 0);
	one = slab_acquire(slab);
	other = slab_acquire(slab);
	slab_release(slab, one);
	assert_ptr_equal(slab_acquire(slab), one);
	slab_release(slab, other);
	slab_release(slab, one);
	assert_ptr_equal(slab_acquire(slab), one);
	assert_ptr_equal(slab_acquire(slab), other);
	slab_release(slab, other);
	slab_release(slab, one);
	slab_destroy(slab);
}

static void destroy_accepts_null(void **state)
{
	(void)state;
	slab_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capacity_bounds_what_is_handed_out),
		cmocka_unit_test(last_released_slot_is_the_next),
		cmocka_unit_test(destroy_accepts_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
