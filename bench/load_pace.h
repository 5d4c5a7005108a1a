/* SPDX-License-Identifier: Apache-2.0 */
/* load_pace.h - the schedule of an open loop: I/O k is due k / rate after the start.
 *
 * Whoever may begin an I/O takes the next one of the schedule if it is due, else waits in line. An
 * I/O that could not begin in time begins late and keeps its due time, so that its latency
 * tells how long a user would have waited (no coordinated omission). Single thread.
 */
#ifndef BENCH_LOAD_PACE_H
#define BENCH_LOAD_PACE_H

#include "base/list.h"
#include "bench/load_options.h"
#include "reactor/reactor.h"

struct load_pace {
	uint64_t rate;	   /* a second; 0: no schedule, all is due at once */
	uint64_t start_ns; /* when I/O 0 is due */
	uint64_t taken_count;
	struct list_node waiting; /* of struct load_pace_waiter */
	struct reactor_timer timer;
	bool is_look; /* the timer expires before anything is due: to see whether the run is over */
};

/* One in line; embed. */
struct load_pace_waiter {
	struct list_node link;
	struct op *op; /* woken */
};

/** When I/O @index of a schedule is due, after its start. */
uint64_t load_pace_offset_ns(uint64_t rate, uint64_t index);

void load_pace_init(struct load_pace *pace, struct reactor *reactor, uint64_t rate);
/** From now on. */
void load_pace_start(struct load_pace *pace, uint64_t now_ns);
/** Nobody waits any more. */
void load_pace_stop(struct load_pace *pace);

/** Return: true when the next I/O is due at @now_ns: it is the caller's, and *ret_due_ns tells. */
bool load_pace_take(struct load_pace *pace, uint64_t now_ns, uint64_t *ret_due_ns);
void load_pace_waiter_init(struct load_pace_waiter *waiter, struct op *op);
/** Wakes the waiter's op when an I/O is due, or some time later when there is none: it asks again.
 */
void load_pace_await(struct load_pace *pace, struct load_pace_waiter *waiter);

/** How many that were due at @now_ns have not begun. */
uint64_t load_pace_behind_count(const struct load_pace *pace, uint64_t now_ns);

#endif
