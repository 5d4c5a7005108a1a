/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - virtual time, events, the scheduler and the trace.
 *
 * One step of the scheduler: fire what is due; then turn one of the reactors that have something
 * to do, drawn by the seed; if there is none, let time jump to the next event or timer. A turn
 * costs a little virtual time, so that order between machines varies and time never stands still.
 *
 * Invariants:
 *  1. Time never goes back; events of one time fire in the order in which they were scheduled.
 *  2. Nothing reads the real clock, addresses of memory, or anything else outside the seed.
 */
#include "reactor/reactor.h"
#include "sim/sim_impl.h"

#include <stdlib.h>
#include <string.h>

#define TURN_NS_MAX	   2000
#define LIVELOCK_TURNS_MAX 2000000
#define HEAP_FIRST	   256

void *sim_allocate(size_t size_bytes)
{
	void *memory = calloc(1, size_bytes);

	ASSERT(memory != NULL);
	return memory;
}

struct sim *sim_create(uint64_t seed)
{
	struct sim *sim = sim_allocate(sizeof(*sim));

	sim->seed = seed;
	prng_init(&sim->prng, seed);
	sim->now_ns = SIM_S; /* no process sees time zero */
	sim->hash = 0xcbf29ce484222325u ^ seed;
	sim->heap_capacity = HEAP_FIRST;
	sim->heap = sim_allocate(sizeof(sim->heap[0]) * HEAP_FIRST);
	list_init(&sim->connections);
	return sim;
}

void sim_destroy(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->process_count; i++) {
		if (sim->processes[i]->is_running)
			sim_process_crash(sim->processes[i], SIM_POWER_CUT);
	}
	sim_net_free_all(sim);
	for (uint32_t i = 0; i < sim->process_count; i++) {
		sim_disk_free_all(sim->processes[i]);
		free(sim->processes[i]);
	}
	free(sim->heap);
	free(sim);
}

struct prng *sim_prng(struct sim *sim)
{
	return &sim->prng;
}

uint64_t sim_now_ns(const struct sim *sim)
{
	return sim->now_ns;
}

uint64_t sim_draw(struct sim *sim, uint64_t from, uint64_t to_inclusive)
{
	ASSERT(from <= to_inclusive);
	return from + prng_below(&sim->prng, to_inclusive - from + 1);
}

bool sim_chance(struct sim *sim, uint32_t part, uint32_t whole)
{
	/* Draws nothing while a fault is off, so that switching one on changes little else. */
	return part != 0 && prng_chance(&sim->prng, part, whole);
}

/* ---- events: a binary heap, root at place 1 ---- */

static bool event_is_before(const struct sim_event *one, const struct sim_event *other)
{
	if (one->at_ns != other->at_ns)
		return one->at_ns < other->at_ns;
	return one->sequence < other->sequence;
}

static void heap_put(struct sim *sim, uint32_t place, struct sim_event *event)
{
	sim->heap[place] = event;
	event->heap_place = place;
}

static void heap_rise(struct sim *sim, struct sim_event *event)
{
	uint32_t place = event->heap_place;

	while (place > 1 && event_is_before(event, sim->heap[place / 2])) {
		heap_put(sim, place, sim->heap[place / 2]);
		place /= 2;
	}
	heap_put(sim, place, event);
}

static void heap_sink(struct sim *sim, struct sim_event *event)
{
	uint32_t place = event->heap_place;

	for (;;) {
		uint32_t child = place * 2;

		if (child > sim->heap_count)
			break;
		if (child < sim->heap_count &&
		    event_is_before(sim->heap[child + 1], sim->heap[child]))
			child++;
		if (!event_is_before(sim->heap[child], event))
			break;
		heap_put(sim, place, sim->heap[child]);
		place = child;
	}
	heap_put(sim, place, event);
}

void sim_event_schedule(struct sim *sim, struct sim_event *event, uint64_t delay_ns)
{
	ASSERT(event->fire != NULL);
	sim_event_cancel(sim, event);
	event->at_ns = sim->now_ns + delay_ns;
	event->sequence = sim->event_sequence++;
	if (sim->heap_count + 2 > sim->heap_capacity) {
		sim->heap_capacity *= 2;
		sim->heap = realloc(sim->heap, sizeof(sim->heap[0]) * sim->heap_capacity);
		ASSERT(sim->heap != NULL);
	}
	heap_put(sim, ++sim->heap_count, event);
	heap_rise(sim, event);
}

void sim_event_cancel(struct sim *sim, struct sim_event *event)
{
	uint32_t place = event->heap_place;
	struct sim_event *last;

	if (place == 0)
		return;
	ASSERT(sim->heap[place] == event);
	event->heap_place = 0;
	last = sim->heap[sim->heap_count--];
	if (last == event)
		return;
	heap_put(sim, place, last);
	heap_rise(sim, last);
	heap_sink(sim, last);
}

/* ---- trace ---- */

void sim_trace(struct sim *sim, const char *what, uint64_t one, uint64_t two, uint64_t three)
{
	struct sim_trace_entry *entry = &sim->trace[sim->trace_count++ % SIM_TRACE_LAST];
	uint64_t values[] = {sim->now_ns, (uint64_t)(uint8_t)what[0] << 8 | (uint8_t)what[1], one,
			     two, three};

	*entry = (struct sim_trace_entry){sim->now_ns, what, {one, two, three}};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		sim->hash = (sim->hash ^ values[i]) * 0x9e3779b97f4a7c15u;
		sim->hash ^= sim->hash >> 29;
	}
	if (sim->trace_file != NULL)
		sim_trace_last(sim, sim->trace_file, 1);
}

uint64_t sim_trace_hash(const struct sim *sim)
{
	return sim->hash;
}

void sim_trace_print(struct sim *sim, FILE *file)
{
	sim->trace_file = file;
}

void sim_trace_last(const struct sim *sim, FILE *file, uint32_t count)
{
	uint64_t shown = count;

	if (shown > SIM_TRACE_LAST)
		shown = SIM_TRACE_LAST;
	if (shown > sim->trace_count)
		shown = sim->trace_count;
	for (uint64_t i = sim->trace_count - shown; i < sim->trace_count; i++) {
		const struct sim_trace_entry *entry = &sim->trace[i % SIM_TRACE_LAST];

		fprintf(file, "%6llu.%09llu %-24s %llu %llu %lld\n",
			(unsigned long long)(entry->at_ns / SIM_S),
			(unsigned long long)(entry->at_ns % SIM_S), entry->what,
			(unsigned long long)entry->values[0], (unsigned long long)entry->values[1],
			(long long)entry->values[2]);
	}
}

/* ---- scheduler ---- */

struct candidate {
	struct sim_process *process;
	uint32_t reactor;
};

/* From when on the reactor may be turned, UINT64_MAX for never. */
static uint64_t runnable_ns(const struct sim_process *process, struct reactor *reactor)
{
	uint64_t due = os_ring_has_completions(reactor_ring(reactor)) ? 0 : reactor_due_ns(reactor);

	return due < process->paused_until_ns ? process->paused_until_ns : due;
}

/* @ret_next_ns: when another one will have something to do, or an event is due. */
static uint32_t candidates_collect(struct sim *sim, struct candidate *candidates,
				   uint64_t *ret_next_ns)
{
	uint64_t next = sim->heap_count > 0 ? sim->heap[1]->at_ns : UINT64_MAX;
	uint32_t count = 0;

	for (uint32_t i = 0; i < sim->process_count; i++) {
		struct sim_process *process = sim->processes[i];

		for (uint32_t r = 0; process->is_running && r < process->reactor_count; r++) {
			uint64_t due = runnable_ns(process, process->reactors[r]);

			if (due <= sim->now_ns)
				candidates[count++] = (struct candidate){process, r};
			else if (due < next)
				next = due;
		}
	}
	*ret_next_ns = next;
	return count;
}

static void events_fire(struct sim *sim)
{
	while (sim->heap_count > 0 && sim->heap[1]->at_ns <= sim->now_ns) {
		struct sim_event *event = sim->heap[1];

		ASSERT(sim_current() == NULL);
		sim_event_cancel(sim, event);
		sim->events_fired++;
		event->fire(event);
	}
}

static void turn_one(struct sim *sim, const struct candidate *candidate)
{
	struct sim_process *process = candidate->process;
	struct sim_process *previous = sim_enter(process);

	sim_trace(sim, "turn", process->index, candidate->reactor, 0);
	reactor_turn(process->reactors[candidate->reactor], false);
	sim_leave(previous);
	sim->now_ns += sim_draw(sim, 100, TURN_NS_MAX);
}

/* Return: false if nothing will ever happen again. */
static bool step(struct sim *sim, uint64_t until_ns)
{
	struct candidate candidates[SIM_PROCESSES_MAX * SIM_REACTORS_MAX];
	uint32_t count;
	uint64_t next;

	events_fire(sim);
	count = candidates_collect(sim, candidates, &next);
	if (count > 0) {
		turn_one(sim, &candidates[count == 1 ? 0 : prng_below(&sim->prng, count)]);
		return true;
	}
	if (next == UINT64_MAX && until_ns == UINT64_MAX)
		return false;
	if (next > until_ns)
		next = until_ns;
	if (next > sim->now_ns)
		sim->now_ns = next;
	return true;
}

enum sim_end_reason sim_run(struct sim *sim, bool (*is_reached)(void *argument), void *argument,
			    uint64_t limit_ns)
{
	uint64_t until_ns = limit_ns == UINT64_MAX ? UINT64_MAX : sim->now_ns + limit_ns;
	uint64_t events_fired = sim->events_fired;
	uint64_t idle_turns = 0;

	ASSERT(sim_current() == NULL);
	for (;;) {
		if (is_reached != NULL && is_reached(argument))
			return SIM_REACHED;
		if (sim->now_ns >= until_ns)
			return SIM_DEADLINE;
		if (!step(sim, until_ns))
			return SIM_IDLE;
		idle_turns = events_fired == sim->events_fired ? idle_turns + 1 : 0;
		events_fired = sim->events_fired;
		if (idle_turns > LIVELOCK_TURNS_MAX)
			return SIM_LIVELOCK;
	}
}

enum sim_end_reason sim_run_for(struct sim *sim, uint64_t duration_ns)
{
	return sim_run(sim, NULL, NULL, duration_ns);
}
