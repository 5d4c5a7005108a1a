/* SPDX-License-Identifier: Apache-2.0 */
/* reactor_test.c - the order inside a turn, timers, budgets, and that idle means asleep.
 *
 * Runs on the real ring. No elapsed time is asserted, only order and counts.
 */
#include "reactor/reactor.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

struct fixture {
	struct os *os;
	struct reactor *reactor;
	char trace[64];
};

struct step {
	struct op op;
	struct fixture *fixture;
	char letter;
	struct op *wakes; /* another op to wake */
	int rewakes;	  /* itself, so many times */
};

struct alarm {
	struct reactor_timer timer;
	struct fixture *fixture;
	char letter;
	uint64_t again_ns; /* re-arms itself with it while repeats > 0 */
	int repeats;
	bool stops_reactor;
};

static void trace(struct fixture *fixture, char letter)
{
	size_t size = strlen(fixture->trace);

	assert_true(size + 1 < sizeof(fixture->trace));
	fixture->trace[size] = letter;
	fixture->trace[size + 1] = '\0';
}

static void step_run(struct op *op)
{
	struct step *step = list_entry(op, struct step, op);

	trace(step->fixture, step->letter);
	if (step->wakes != NULL)
		op_wake(step->wakes);
	if (step->rewakes > 0) {
		step->rewakes--;
		op_wake(op);
	}
}

static void alarm_expired(struct reactor_timer *timer)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);

	trace(alarm->fixture, alarm->letter);
	if (alarm->repeats > 0) {
		alarm->repeats--;
		reactor_timer_start(timer, alarm->again_ns);
	}
	if (alarm->stops_reactor)
		reactor_stop(timer->reactor);
}

static void alarm_init(struct alarm *alarm, struct fixture *fixture, char letter)
{
	*alarm = (struct alarm){.fixture = fixture, .letter = letter};
	reactor_timer_init(&alarm->timer, fixture->reactor, alarm_expired);
}

static int fixture_setup(void **state)
{
	static struct fixture fixture;
	struct reactor_options options;

	memset(&fixture, 0, sizeof(fixture));
	reactor_options_default(&options);
	options.ring_entries = 64;
	options.receive_buffer_count = 8;
	options.small_buffer_count = 4;
	options.large_buffer_count = 4;
	if (os_open(&fixture.os) < 0)
		return -1;
	*state = &fixture;
	return reactor_create(fixture.os, &options, &fixture.reactor);
}

static int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	reactor_destroy(fixture->reactor);
	os_close(fixture->os);
	return 0;
}

static void late_ops_run_after_all_ready_ones(void **state)
{
	struct fixture *fixture = *state;
	struct step ready = {.fixture = fixture, .letter = 'r'};
	struct step second = {.fixture = fixture, .letter = 's'};
	struct step late = {.fixture = fixture, .letter = 'l'};

	op_init(&ready.op, reactor_ready(fixture->reactor), step_run);
	op_init(&second.op, reactor_ready(fixture->reactor), step_run);
	op_init(&late.op, reactor_late(fixture->reactor), step_run);
	ready.wakes = &second.op;
	op_wake(&late.op);
	op_wake(&ready.op);
	assert_int_equal(reactor_due_ns(fixture->reactor), 0);
	assert_true(reactor_turn(fixture->reactor, true));
	assert_string_equal(fixture->trace, "rsl");
	assert_int_equal(reactor_due_ns(fixture->reactor), UINT64_MAX);
}

static void a_late_op_that_wakes_itself_runs_once_a_turn(void **state)
{
	struct fixture *fixture = *state;
	struct step late = {.fixture = fixture, .letter = 'l', .rewakes = 2};

	op_init(&late.op, reactor_late(fixture->reactor), step_run);
	op_wake(&late.op);
	reactor_turn(fixture->reactor, true);
	assert_string_equal(fixture->trace, "l");
	reactor_turn(fixture->reactor, true);
	reactor_turn(fixture->reactor, true);
	assert_string_equal(fixture->trace, "lll");
}

static void forever_run(struct op *op)
{
	op_wake(op);
}

static void a_turn_ends_although_an_op_wakes_itself_for_ever(void **state)
{
	struct fixture *fixture = *state;
	struct reactor_stats stats;
	struct op op;

	op_init(&op, reactor_ready(fixture->reactor), forever_run);
	op_wake(&op);
	reactor_turn(fixture->reactor, true);
	reactor_turn(fixture->reactor, true);
	reactor_stats(fixture->reactor, &stats);
	assert_int_equal(stats.turns, 2);
	assert_int_equal(stats.sleeps, 0);
	op_unwake(&op);
}

static void timers_expire_in_the_order_of_deadlines(void **state)
{
	struct fixture *fixture = *state;
	struct alarm alarms[4];

	for (int i = 0; i < 4; i++)
		alarm_init(&alarms[i], fixture, (char)('a' + i));
	reactor_timer_start(&alarms[0].timer, 9 * MS);
	reactor_timer_start(&alarms[1].timer, 1 * MS);
	reactor_timer_start(&alarms[2].timer, 5 * MS);
	reactor_timer_start(&alarms[3].timer, 5 * MS);
	alarms[0].stops_reactor = true;
	reactor_run(fixture->reactor);
	assert_string_equal(fixture->trace, "bcda");
}

static void a_stopped_timer_stays_silent_and_a_started_one_moves(void **state)
{
	struct fixture *fixture = *state;
	struct alarm alarms[3];

	for (int i = 0; i < 3; i++)
		alarm_init(&alarms[i], fixture, (char)('a' + i));
	reactor_timer_stop(&alarms[0].timer);
	reactor_timer_start(&alarms[0].timer, 1 * MS);
	reactor_timer_start(&alarms[1].timer, 2 * MS);
	reactor_timer_start(&alarms[2].timer, 3 * MS);
	reactor_timer_stop(&alarms[0].timer);
	assert_false(reactor_timer_is_armed(&alarms[0].timer));
	reactor_timer_start(&alarms[1].timer, 4 * MS);
	assert_true(reactor_timer_is_armed(&alarms[1].timer));
	alarms[1].stops_reactor = true;
	reactor_run(fixture->reactor);
	assert_string_equal(fixture->trace, "cb");
	assert_false(reactor_timer_is_armed(&alarms[1].timer));
}

static void a_timer_that_rearms_itself_at_once_waits_for_the_next_turn(void **state)
{
	struct fixture *fixture = *state;
	struct alarm alarm;

	alarm_init(&alarm, fixture, 't');
	alarm.repeats = 2;
	reactor_timer_start(&alarm.timer, 0);
	reactor_turn(fixture->reactor, false);
	assert_string_equal(fixture->trace, "t");
	reactor_turn(fixture->reactor, true);
	reactor_turn(fixture->reactor, true);
	assert_string_equal(fixture->trace, "ttt");
}

static void a_delay_beyond_the_end_of_time_never_expires(void **state)
{
	struct fixture *fixture = *state;
	struct alarm alarm;

	alarm_init(&alarm, fixture, 't');
	reactor_timer_start(&alarm.timer, UINT64_MAX);
	reactor_turn(fixture->reactor, false);
	assert_string_equal(fixture->trace, "");
	reactor_timer_stop(&alarm.timer);
}

static void an_idle_reactor_sleeps(void **state)
{
	struct fixture *fixture = *state;
	struct reactor_stats stats;
	struct alarm alarm;

	alarm_init(&alarm, fixture, 't');
	alarm.stops_reactor = true;
	reactor_timer_start(&alarm.timer, 100 * MS);
	reactor_run(fixture->reactor);
	reactor_stats(fixture->reactor, &stats);
	/* Polling would have turned many thousand times in 100 ms. */
	assert_in_range(stats.turns, 1, 10);
	assert_in_range(stats.sleeps, 1, 10);
	assert_int_equal(stats.spin_ns, 0);
}

static void counters_tell_what_was_asked_of_the_kernel(void **state)
{
	struct fixture *fixture = *state;
	struct reactor_stats before, after;
	struct alarm alarm;

	reactor_turn(fixture->reactor, false);
	reactor_stats(fixture->reactor, &before);
	for (int i = 0; i < 10; i++)
		reactor_turn(fixture->reactor, false);
	reactor_stats(fixture->reactor, &after);
	/* Nothing was submitted and nothing came: no reason to go there. */
	assert_int_equal(after.enters, before.enters);
	assert_true(before.enters > 0);
	assert_true(before.cpu_ns > 0 && after.cpu_ns > before.cpu_ns);
	alarm_init(&alarm, fixture, 't');
	reactor_timer_start(&alarm.timer, MS);
	reactor_turn(fixture->reactor, true);
	reactor_stats(fixture->reactor, &after);
	assert_int_equal(after.enters, before.enters + 1);
	assert_int_equal(after.sleeps, before.sleeps + 1);
	reactor_timer_stop(&alarm.timer);
}

static void a_stop_before_the_run_ends_it_at_once(void **state)
{
	struct fixture *fixture = *state;

	reactor_stop(fixture->reactor);
	reactor_run(fixture->reactor);
	reactor_stop(fixture->reactor);
	reactor_run(fixture->reactor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		CASE(late_ops_run_after_all_ready_ones),
		CASE(a_late_op_that_wakes_itself_runs_once_a_turn),
		CASE(a_turn_ends_although_an_op_wakes_itself_for_ever),
		CASE(timers_expire_in_the_order_of_deadlines),
		CASE(a_stopped_timer_stays_silent_and_a_started_one_moves),
		CASE(a_timer_that_rearms_itself_at_once_waits_for_the_next_turn),
		CASE(a_delay_beyond_the_end_of_time_never_expires),
		CASE(an_idle_reactor_sleeps),
		CASE(counters_tell_what_was_asked_of_the_kernel),
		CASE(a_stop_before_the_run_ends_it_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
