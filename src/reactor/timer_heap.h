/* SPDX-License-Identifier: Apache-2.0 */
/* timer_heap.h - the armed timers of one reactor, earliest first; private to reactor/.
 *
 * A pairing heap with its links in the timers: arming is O(1), taking out O(log n) amortised,
 * and there is neither a limit nor an allocation.
 */
#ifndef REACTOR_TIMER_HEAP_H
#define REACTOR_TIMER_HEAP_H

#include "reactor/reactor.h"

struct timer_heap {
	struct reactor_timer *root;
	uint64_t sequence_next;
	uint32_t count;
};

/** The earliest, NULL when empty. */
static inline struct reactor_timer *timer_heap_first(const struct timer_heap *heap)
{
	return heap->root;
}

/** @timer->deadline_ns is set and it is not armed. */
void timer_heap_insert(struct timer_heap *heap, struct reactor_timer *timer);
/** @timer is armed, in this heap. */
void timer_heap_remove(struct timer_heap *heap, struct reactor_timer *timer);

#endif
