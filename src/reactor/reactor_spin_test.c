/* SPDX-License-Identifier: Apache-2.0 */
/* reactor_spin_test.c - when spinning is allowed, how long, and how soon it is given up. */
#include "reactor/reactor_spin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void nothing_is_spun_without_evidence(void **state)
{
	struct reactor_spin spin = {.ns_max = 50000};

	(void)state;
	assert_int_equal(reactor_spin_limit(&spin), 0);
	for (int i = 0; i < SPIN_HISTORY_COUNT / 2; i++)
		reactor_spin_record(&spin, 1000);
	assert_int_equal(reactor_spin_limit(&spin), 0);
	reactor_spin_record(&spin, 1000);
	assert_true(reactor_spin_limit(&spin) > 0);
}

static void the_limit_is_about_twice_the_usual_idle_time(void **state)
{
	struct reactor_spin spin = {.ns_max = 50000};

	(void)state;
	for (int i = 0; i < 100; i++)
		reactor_spin_record(&spin, 4000);
	assert_in_range(reactor_spin_limit(&spin), 7000, 9000);
	for (int i = 0; i < 100; i++)
		reactor_spin_record(&spin, 40000);
	assert_int_equal(reactor_spin_limit(&spin), 50000);
}

static void a_few_long_idle_times_end_it(void **state)
{
	struct reactor_spin spin = {.ns_max = 50000};

	(void)state;
	for (int i = 0; i < 100; i++)
		reactor_spin_record(&spin, 4000);
	for (int i = 0; i < SPIN_HISTORY_COUNT / 2; i++)
		reactor_spin_record(&spin, 1000000);
	assert_int_equal(reactor_spin_limit(&spin), 0);
}

static void never_with_a_maximum_of_zero(void **state)
{
	struct reactor_spin spin = {.ns_max = 0};

	(void)state;
	for (int i = 0; i < 100; i++)
		reactor_spin_record(&spin, 1);
	assert_int_equal(reactor_spin_limit(&spin), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_spun_without_evidence),
		cmocka_unit_test(the_limit_is_about_twice_the_usual_idle_time),
		cmocka_unit_test(a_few_long_idle_times_end_it),
		cmocka_unit_test(never_with_a_maximum_of_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
