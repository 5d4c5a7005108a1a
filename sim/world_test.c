/* SPDX-License-Identifier: Apache-2.0 */
/* world_test.c - time, events, determinism, and what a crash takes away. */
#include "base/memory.h"
#include "sim/test_box.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct ticker {
	struct sim_event event;
	struct sim *sim;
	char *trace;
	char letter;
};

static void ticker_fire(struct sim_event *event)
{
	struct ticker *ticker = container_of(event, struct ticker, event);
	size_t size = strlen(ticker->trace);

	ticker->trace[size] = ticker->letter;
	ticker->trace[size + 1] = '\0';
}

static void events_fire_by_time_then_in_order_of_scheduling(void **state)
{
	struct sim *sim = sim_create(1);
	struct ticker tickers[5];
	char trace[16] = "";

	(void)state;
	for (int i = 0; i < 5; i++)
		tickers[i] = (struct ticker){{.fire = ticker_fire}, sim, trace, (char)('a' + i)};
	sim_event_schedule(sim, &tickers[0].event, 3 * SIM_S);
	sim_event_schedule(sim, &tickers[1].event, SIM_S);
	sim_event_schedule(sim, &tickers[2].event, 2 * SIM_S);
	sim_event_schedule(sim, &tickers[3].event, SIM_S);
	sim_event_schedule(sim, &tickers[4].event, SIM_S);
	sim_event_cancel(sim, &tickers[3].event);
	assert_int_equal(sim_run(sim, NULL, NULL, UINT64_MAX), SIM_IDLE);
	assert_string_equal(trace, "beca");
	sim_destroy(sim);
}

static void a_heap_of_many_events_keeps_order(void **state)
{
	struct sim *sim = sim_create(2);
	static struct ticker tickers[1000];
	static char trace[1100];

	(void)state;
	memset(trace, 0, sizeof(trace));
	for (int i = 0; i < 1000; i++) {
		uint64_t delay = prng_below(sim_prng(sim), 26);

		tickers[i] =
			(struct ticker){{.fire = ticker_fire}, sim, trace, (char)('a' + delay)};
		sim_event_schedule(sim, &tickers[i].event, delay * SIM_S);
	}
	for (int i = 0; i < 1000; i += 3)
		sim_event_cancel(sim, &tickers[i].event);
	sim_run(sim, NULL, NULL, UINT64_MAX);
	assert_int_equal(strlen(trace), 666);
	for (size_t i = 1; i < strlen(trace); i++)
		assert_true(trace[i - 1] <= trace[i]);
	sim_destroy(sim);
}

struct beat {
	struct reactor_timer timer;
	struct box *box;
	uint32_t count;
};

static void beat_expired(struct reactor_timer *timer)
{
	struct beat *beat = container_of(timer, struct beat, timer);

	beat->count++;
	reactor_timer_start(timer, prng_below(sim_prng(beat->box->sim), 10) * SIM_MS);
}

static uint64_t beats_run(uint64_t seed)
{
	struct sim *sim = sim_create(seed);
	struct box boxes[3];
	struct beat beats[3];
	uint64_t hash;

	for (int i = 0; i < 3; i++) {
		box_init(&boxes[i], sim, "box",
			 i == 0	  ? "10.0.0.1"
			 : i == 1 ? "10.0.0.2"
				  : "10.0.0.3");
		beats[i] = (struct beat){.box = &boxes[i]};
		reactor_timer_init(&beats[i].timer, boxes[i].reactor, beat_expired);
		reactor_timer_start(&beats[i].timer, 0);
	}
	assert_int_equal(sim_run_for(sim, 3 * SIM_S), SIM_DEADLINE);
	for (int i = 0; i < 3; i++)
		assert_in_range(beats[i].count, 400, 1200);
	hash = sim_trace_hash(sim);
	sim_destroy(sim);
	return hash;
}

static void one_seed_gives_one_history(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 5; seed++)
		assert_int_equal(beats_run(seed), beats_run(seed));
	assert_int_not_equal(beats_run(1), beats_run(2));
}

static void a_paused_process_does_nothing(void **state)
{
	struct sim *sim = sim_create(3);
	struct box box;
	struct beat beat = {.box = &box};

	(void)state;
	box_init(&box, sim, "box", "10.0.0.1");
	reactor_timer_init(&beat.timer, box.reactor, beat_expired);
	reactor_timer_start(&beat.timer, SIM_MS);
	sim_process_pause(box.process, SIM_S);
	sim_run_for(sim, SIM_S - SIM_MS);
	assert_int_equal(beat.count, 0);
	sim_run_for(sim, SIM_S);
	assert_true(beat.count > 0);
	sim_destroy(sim);
}

static void rewake_run(struct op *op)
{
	op_wake(op);
}

static void turns_without_end_are_noticed(void **state)
{
	struct sim *sim = sim_create(4);
	struct box box;
	struct op op;

	(void)state;
	box_init(&box, sim, "box", "10.0.0.1");
	op_init(&op, reactor_ready(box.reactor), rewake_run);
	op_wake(&op);
	assert_int_equal(sim_run(sim, NULL, NULL, UINT64_MAX), SIM_LIVELOCK);
	sim_destroy(sim);
}

static void memory_belongs_to_the_process_and_dies_with_it(void **state)
{
	struct sim *sim = sim_create(5);
	struct sim_process *process = sim_process_create(sim, "box", "10.0.0.1");
	struct sim_process *previous = sim_enter(process);
	uint8_t *memory = memory_alloc(100);
	uint8_t *pages = memory_alloc_pages(5000);

	(void)state;
	assert_non_null(memory);
	assert_non_null(pages);
	assert_int_equal((uintptr_t)pages % 4096, 0);
	assert_int_equal(pages[4999], 0);
	memory = memory_realloc(memory, 200);
	assert_int_equal(sim_process_memory_bytes(process), 5200);
	memory_free(memory);
	assert_int_equal(sim_process_memory_bytes(process), 5000);
	sim_process_fail_allocation(process, 2);
	memory = memory_alloc(1);
	assert_non_null(memory);
	assert_null(memory_alloc(1));
	assert_non_null(memory_copy_text("x"));
	sim_leave(previous);
	sim_process_crash(process, SIM_KILLED);
	assert_int_equal(sim_process_memory_bytes(process), 0);
	sim_process_restart(process);
	assert_int_equal(sim_process_incarnation(process), 2);
	sim_destroy(sim);
}

static void a_paused_process_stands_still_until_it_is_resumed(void **state)
{
	struct sim *sim = sim_create(5);
	struct box box;
	struct beat beat = {.box = &box};
	uint32_t count;

	(void)state;
	box_init(&box, sim, "box", "10.0.0.1");
	reactor_timer_init(&beat.timer, box.reactor, beat_expired);
	reactor_timer_start(&beat.timer, 0);
	sim_run_for(sim, SIM_S);
	sim_process_pause(box.process, 60 * SIM_S);
	count = beat.count;
	assert_int_not_equal(count, 0);
	sim_run_for(sim, 10 * SIM_S);
	assert_int_equal(beat.count, count);
	sim_process_resume(box.process);
	sim_run_for(sim, SIM_S);
	assert_true(beat.count > count + 50);
	sim_destroy(sim);
}

static void the_wall_clock_jumps_and_the_monotonic_one_does_not(void **state)
{
	struct sim *sim = sim_create(6);
	struct box box;
	struct os *os;
	uint64_t wall_ns;
	uint64_t now_ns;

	(void)state;
	box_init(&box, sim, "box", "10.0.0.1");
	os = sim_process_os(box.process);
	wall_ns = os_clock_wall_ns(os);
	now_ns = os_clock_now_ns(os);
	sim_process_clock_jump(box.process, -3600 * (int64_t)SIM_S);
	assert_int_equal(os_clock_wall_ns(os), wall_ns - 3600 * SIM_S);
	assert_int_equal(os_clock_now_ns(os), now_ns);
	sim_process_clock_jump(box.process, 2 * 3600 * (int64_t)SIM_S);
	assert_int_equal(os_clock_wall_ns(os), wall_ns + 3600 * SIM_S);
	sim_destroy(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_fire_by_time_then_in_order_of_scheduling),
		cmocka_unit_test(a_heap_of_many_events_keeps_order),
		cmocka_unit_test(one_seed_gives_one_history),
		cmocka_unit_test(a_paused_process_does_nothing),
		cmocka_unit_test(turns_without_end_are_noticed),
		cmocka_unit_test(memory_belongs_to_the_process_and_dies_with_it),
		cmocka_unit_test(a_paused_process_stands_still_until_it_is_resumed),
		cmocka_unit_test(the_wall_clock_jumps_and_the_monotonic_one_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
