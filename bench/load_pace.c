/* SPDX-License-Identifier: Apache-2.0 */
/* load_pace.c - one timer for the next I/O that is due, and the line of those who wait for it.
 *
 * Invariants:
 *  1. While somebody waits the timer is armed, for LOOK_NS at most: who waits learns of the end
 *     of the run in time.
 *  2. No I/O of the schedule is left out or taken twice.
 */
#include "bench/load_pace.h"

#include "base/assert.h"

#define NS_PER_SECOND 1000000000ull
#define LOOK_NS	      20000000

uint64_t load_pace_offset_ns(uint64_t rate, uint64_t index)
{
	ASSERT(rate > 0 && rate <= LOAD_RATE_MAX);
	/* In parts that do not overflow; rounded up, as due_count() has it. */
	return index / rate * NS_PER_SECOND + (index % rate * NS_PER_SECOND + rate - 1) / rate;
}

static uint64_t due_ns(const struct load_pace *pace, uint64_t index)
{
	return pace->start_ns + load_pace_offset_ns(pace->rate, index);
}

/* For the I/O that comes after @woken_count others. */
static void timer_arm(struct load_pace *pace, uint64_t woken_count)
{
	uint64_t now_ns = reactor_now_ns(pace->timer.reactor);
	uint64_t next_ns = due_ns(pace, pace->taken_count + woken_count);
	uint64_t delay_ns = next_ns > now_ns ? next_ns - now_ns : 0;

	pace->is_look = delay_ns > LOOK_NS;
	reactor_timer_start(&pace->timer, pace->is_look ? LOOK_NS : delay_ns);
}

static uint64_t due_count(const struct load_pace *pace, uint64_t now_ns)
{
	uint64_t passed_ns = now_ns - pace->start_ns;

	/* The first at once, and one more for each interval that is over. */
	return passed_ns / NS_PER_SECOND * pace->rate +
	       passed_ns % NS_PER_SECOND * pace->rate / NS_PER_SECOND + 1;
}

/*
 * Those whose I/O is due go on; when none was for long, all look whether the run is over. Others
 * may have taken meanwhile what the timer was armed for: then it is armed for the next.
 */
static void timer_expired(struct reactor_timer *timer)
{
	struct load_pace *pace = container_of(timer, struct load_pace, timer);
	uint64_t due = load_pace_behind_count(pace, reactor_now_ns(timer->reactor));
	uint64_t wanted = pace->is_look ? UINT64_MAX : due;
	uint64_t woken = 0;

	for (; woken < wanted && !list_is_empty(&pace->waiting); woken++)
		op_wake(list_entry(list_pop_front(&pace->waiting), struct load_pace_waiter, link)
				->op);
	if (!list_is_empty(&pace->waiting))
		timer_arm(pace, woken);
}

void load_pace_init(struct load_pace *pace, struct reactor *reactor, uint64_t rate)
{
	*pace = (struct load_pace){.rate = rate};
	list_init(&pace->waiting);
	reactor_timer_init(&pace->timer, reactor, timer_expired);
}

void load_pace_start(struct load_pace *pace, uint64_t now_ns)
{
	ASSERT(list_is_empty(&pace->waiting));
	pace->start_ns = now_ns;
	pace->taken_count = 0;
}

void load_pace_stop(struct load_pace *pace)
{
	ASSERT(list_is_empty(&pace->waiting));
	reactor_timer_stop(&pace->timer);
}

bool load_pace_take(struct load_pace *pace, uint64_t now_ns, uint64_t *ret_due_ns)
{
	uint64_t next_ns = due_ns(pace, pace->taken_count);

	if (next_ns > now_ns)
		return false;
	pace->taken_count++;
	*ret_due_ns = next_ns;
	return true;
}

void load_pace_waiter_init(struct load_pace_waiter *waiter, struct op *op)
{
	list_init(&waiter->link);
	waiter->op = op;
}

void load_pace_await(struct load_pace *pace, struct load_pace_waiter *waiter)
{
	list_push_back(&pace->waiting, &waiter->link);
	if (!reactor_timer_is_armed(&pace->timer))
		timer_arm(pace, 0);
}

uint64_t load_pace_behind_count(const struct load_pace *pace, uint64_t now_ns)
{
	uint64_t due = now_ns < pace->start_ns ? 0 : due_count(pace, now_ns);

	return due > pace->taken_count ? due - pace->taken_count : 0;
}
