/* SPDX-License-Identifier: Apache-2.0 */
/* timer_heap.c - a pairing heap of timers.
 *
 * Order: deadline, then the order of arming, so that equal deadlines are fair and a seed replays.
 * Invariants:
 *  1. No timer is before its parent.
 *  2. previous is NULL for the root alone; for a first child it is the parent.
 */
#include "reactor/timer_heap.h"

static bool timer_is_before(const struct reactor_timer *one, const struct reactor_timer *other)
{
	ASSERT(one != other);
	ASSERT(one->sequence != other->sequence);
	if (one->deadline_ns != other->deadline_ns)
		return one->deadline_ns < other->deadline_ns;
	return one->sequence < other->sequence;
}

/* Makes the later of two roots the first child of the other. Return: the other. */
static struct reactor_timer *roots_merge(struct reactor_timer *one, struct reactor_timer *other)
{
	struct reactor_timer *parent;
	struct reactor_timer *child;

	if (one == NULL)
		return other;
	if (other == NULL)
		return one;
	ASSERT(one->previous == NULL);
	ASSERT(one->sibling == NULL);
	ASSERT(other->previous == NULL);
	ASSERT(other->sibling == NULL);
	parent = timer_is_before(other, one) ? other : one;
	child = parent == one ? other : one;
	child->previous = parent;
	child->sibling = parent->child;
	if (parent->child != NULL)
		parent->child->previous = child;
	parent->child = child;
	ASSERT(parent->previous == NULL);
	ASSERT(parent->sibling == NULL);
	ASSERT(!timer_is_before(child, parent));
	return parent;
}

static struct reactor_timer *root_cut_first(struct reactor_timer **siblings)
{
	struct reactor_timer *first = *siblings;

	if (first == NULL)
		return NULL;
	ASSERT(first->is_armed);
	*siblings = first->sibling;
	first->sibling = NULL;
	first->previous = NULL;
	return first;
}

/* Pairs from the left, then gathers from the right: what makes the heap O(log n). */
static struct reactor_timer *siblings_merge(struct reactor_timer *siblings)
{
	struct reactor_timer *pairs = NULL; /* a stack linked by sibling */
	struct reactor_timer *root = NULL;

	while (siblings != NULL) {
		struct reactor_timer *one = root_cut_first(&siblings);
		struct reactor_timer *pair = roots_merge(one, root_cut_first(&siblings));

		ASSERT(pair->previous == NULL);
		pair->sibling = pairs;
		pairs = pair;
	}
	while (pairs != NULL)
		root = roots_merge(root, root_cut_first(&pairs));
	return root;
}

void timer_heap_insert(struct timer_heap *heap, struct reactor_timer *timer)
{
	ASSERT(heap->sequence_next < UINT64_MAX);
	ASSERT((heap->root == NULL) == (heap->count == 0));
	ASSERT(!timer->is_armed);
	timer->is_armed = true;
	timer->sequence = heap->sequence_next++;
	timer->child = NULL;
	timer->sibling = NULL;
	timer->previous = NULL;
	heap->root = roots_merge(heap->root, timer);
	heap->count++;
	ASSERT(heap->root != NULL);
	ASSERT(heap->root->deadline_ns <= timer->deadline_ns);
}

void timer_heap_remove(struct timer_heap *heap, struct reactor_timer *timer)
{
	struct reactor_timer *children = siblings_merge(timer->child);

	ASSERT((timer == heap->root) == (timer->previous == NULL));
	ASSERT(timer->is_armed);
	ASSERT(heap->count > 0);
	if (timer == heap->root) {
		heap->root = children;
	} else {
		ASSERT(timer->previous != NULL);
		if (timer->previous->child == timer)
			timer->previous->child = timer->sibling;
		else
			timer->previous->sibling = timer->sibling;
		if (timer->sibling != NULL)
			timer->sibling->previous = timer->previous;
		heap->root = roots_merge(heap->root, children);
	}
	timer->child = NULL;
	timer->sibling = NULL;
	timer->previous = NULL;
	timer->is_armed = false;
	heap->count--;
	ASSERT((heap->root == NULL) == (heap->count == 0));
	ASSERT(heap->root == NULL || heap->root->previous == NULL);
	ASSERT(heap->root == NULL || heap->root->sibling == NULL);
}
