/* SPDX-License-Identifier: Apache-2.0 */
/* timer_heap_test.c - random arming and disarming against a sorted model. */
#include "reactor/timer_heap.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TIMERS 200

static struct reactor_timer *model_first(struct reactor_timer *timers)
{
	struct reactor_timer *first = NULL;

	for (int i = 0; i < TIMERS; i++) {
		struct reactor_timer *timer = &timers[i];

		if (!timer->is_armed)
			continue;
		if (first == NULL || timer->deadline_ns < first->deadline_ns ||
		    (timer->deadline_ns == first->deadline_ns && timer->sequence < first->sequence))
			first = timer;
	}
	return first;
}

static void the_first_is_always_the_earliest(void **state)
{
	struct reactor_timer timers[TIMERS] = {0};
	struct timer_heap heap = {0};
	struct prng prng;

	(void)state;
	prng_init(&prng, 11);
	for (int round = 0; round < 20000; round++) {
		struct reactor_timer *timer = &timers[prng_below(&prng, TIMERS)];
		bool pops = prng_chance(&prng, 1, 4);

		if (pops && timer_heap_first(&heap) != NULL) {
			timer_heap_remove(&heap, timer_heap_first(&heap));
		} else if (timer->is_armed) {
			timer_heap_remove(&heap, timer);
		} else {
			timer->deadline_ns = prng_below(&prng, 50);
			timer_heap_insert(&heap, timer);
		}
		assert_ptr_equal(timer_heap_first(&heap), model_first(timers));
	}
}

static void equal_deadlines_keep_the_order_of_arming(void **state)
{
	struct reactor_timer timers[TIMERS] = {0};
	struct timer_heap heap = {0};

	(void)state;
	for (int i = 0; i < TIMERS; i++) {
		timers[i].deadline_ns = 7;
		timer_heap_insert(&heap, &timers[i]);
	}
	for (int i = 0; i < TIMERS; i++) {
		assert_ptr_equal(timer_heap_first(&heap), &timers[i]);
		timer_heap_remove(&heap, &timers[i]);
	}
	assert_null(timer_heap_first(&heap));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_always_the_earliest),
		cmocka_unit_test(equal_deadlines_keep_the_order_of_arming),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
