/* SPDX-License-Identifier: Apache-2.0 */
/* load_pace_test.c - the schedule of an open loop on a real reactor. */
#include "bench/load_pace.h"

#include "os/os.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MS	1000000ull
#define SECOND	1000000000ull
#define WAITERS 3

struct fixture {
	struct os *os;
	struct reactor *reactor;
	struct load_pace pace;
};

static int fixture_setup(void **state)
{
	static struct fixture fixture;
	struct reactor_options options;

	reactor_options_default(&options);
	options.small_buffer_count = options.large_buffer_count = 4;
	assert_int_equal(os_open(&fixture.os), 0);
	assert_int_equal(reactor_create(fixture.os, &options, &fixture.reactor), 0);
	*state = &fixture;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	reactor_destroy(fixture->reactor);
	os_close(fixture->os);
	return 0;
}

static void rate_divides_seconds_exactly(void **state)
{
	(void)state;
	assert_int_equal(load_pace_offset_ns(1000, 0), 0);
	assert_int_equal(load_pace_offset_ns(1000, 1), MS);
	for (uint64_t second = 1; second < 1000000; second = second * 7 + 1)
		assert_int_equal(load_pace_offset_ns(333331, second * 333331), second * SECOND);
	/* A year at the highest rate. */
	assert_int_equal(load_pace_offset_ns(LOAD_RATE_MAX, 31536000ull * LOAD_RATE_MAX),
			 31536000ull * SECOND);
}

static void io_is_taken_at_its_time_and_not_before(void **state)
{
	struct fixture *fixture = *state;
	struct load_pace *pace = &fixture->pace;
	uint64_t start_ns = reactor_now_ns(fixture->reactor), due_ns = 0;

	load_pace_init(pace, fixture->reactor, 700001);
	load_pace_start(pace, start_ns);
	for (uint64_t i = 0; i < 2000; i++) {
		uint64_t at_ns = start_ns + load_pace_offset_ns(700001, i);

		if (i > 0)
			assert_false(load_pace_take(pace, at_ns - 1, &due_ns));
		assert_int_equal(load_pace_behind_count(pace, at_ns), 1);
		assert_true(load_pace_take(pace, at_ns, &due_ns));
		assert_int_equal(due_ns, at_ns);
		assert_int_equal(load_pace_behind_count(pace, at_ns), 0);
	}
	load_pace_stop(pace);
}

/* No coordinated omission: a stall is not forgiven to the I/Os that were due in it. */
static void late_io_keeps_the_time_when_it_was_due(void **state)
{
	struct fixture *fixture = *state;
	struct load_pace *pace = &fixture->pace;
	uint64_t start_ns = reactor_now_ns(fixture->reactor), due_ns = 0;

	load_pace_init(pace, fixture->reactor, 1000);
	load_pace_start(pace, start_ns);
	assert_int_equal(load_pace_behind_count(pace, start_ns + 50 * MS), 51);
	for (uint64_t i = 0; i <= 50; i++) {
		assert_true(load_pace_take(pace, start_ns + 50 * MS, &due_ns));
		assert_int_equal(due_ns, start_ns + i * MS);
	}
	assert_false(load_pace_take(pace, start_ns + 50 * MS, &due_ns));
	load_pace_stop(pace);
}

struct asker {
	struct op op;
	struct load_pace *pace;
	struct load_pace_waiter waiter;
	uint32_t taken;
	uint32_t looked;
	bool is_over;
};

static void asker_run(struct op *op)
{
	struct asker *asker = container_of(op, struct asker, op);
	uint64_t due_ns;

	asker->looked++;
	if (asker->is_over)
		return;
	if (load_pace_take(asker->pace, reactor_now_ns(asker->pace->timer.reactor), &due_ns))
		asker->taken++;
	load_pace_await(asker->pace, &asker->waiter);
}

static void stall(struct fixture *fixture, uint64_t ns)
{
	uint64_t until_ns = os_clock_now_ns(fixture->os) + ns;

	while (os_clock_now_ns(fixture->os) < until_ns)
		;
}

static void those_in_line_are_woken_in_turn_and_learn_of_the_end(void **state)
{
	struct fixture *fixture = *state;
	struct load_pace *pace = &fixture->pace;
	struct asker askers[WAITERS] = {0};
	uint32_t looked = 0;

	reactor_turn(fixture->reactor, false);
	load_pace_init(pace, fixture->reactor, 1000);
	load_pace_start(pace, reactor_now_ns(fixture->reactor));
	for (int i = 0; i < WAITERS; i++) {
		askers[i].pace = pace;
		op_init(&askers[i].op, reactor_ready(fixture->reactor), asker_run);
		load_pace_waiter_init(&askers[i].waiter, &askers[i].op);
		op_start(&askers[i].op);
	}
	while (pace->taken_count < 31) {
		reactor_turn(fixture->reactor, true);
		if (pace->taken_count == 10)
			stall(fixture, 3 * MS + MS / 5); /* then one is due for each of them */
	}
	for (int i = 0; i < WAITERS; i++) {
		/* Nobody is left out, and none is woken for another's I/O. */
		assert_in_range(askers[i].taken, 31 / WAITERS, 31 / WAITERS + 1);
		assert_in_range(askers[i].looked, askers[i].taken, askers[i].taken + 1);
		askers[i].is_over = true;
		looked += askers[i].looked;
	}
	while (!list_is_empty(&pace->waiting))
		reactor_turn(fixture->reactor, true);
	while (reactor_turn(fixture->reactor, false))
		;
	assert_int_equal(askers[0].looked + askers[1].looked + askers[2].looked, looked + WAITERS);
	load_pace_stop(pace);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(rate_divides_seconds_exactly),
		CASE(io_is_taken_at_its_time_and_not_before),
		CASE(late_io_keeps_the_time_when_it_was_due),
		CASE(those_in_line_are_woken_in_turn_and_learn_of_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
