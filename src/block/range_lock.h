/* SPDX-License-Identifier: Apache-2.0 */
/* range_lock.h - keeps a rebuild and the writes of a volume off the same blocks.
 *
 * Two kinds of holder: shared (writes of hosts, which may overlap each other) and exclusive (the
 * copy of a segment). An exclusive lock waits for the shared ones it overlaps and makes later
 * ones wait: arrival order, so neither side starves.
 * Invariants: a granted exclusive range overlaps no other granted range. Owner thread only;
 * nothing here allocates.
 */
#ifndef BLOCK_RANGE_LOCK_H
#define BLOCK_RANGE_LOCK_H

#include "base/op.h"
#include "block/block_range.h"

struct range_locks {
	struct list_node granted_exclusive;
	struct list_node granted_shared;
	struct list_node waiting; /* arrival order */
};

struct range_lock {	   /* embed in the waiting operation */
	struct op *parent; /* gets one op_done() when granted later */
	struct block_range range;
	bool is_exclusive;
	bool is_granted;       /* private */
	struct list_node link; /* private */
};

void range_locks_init(struct range_locks *locks);
bool range_locks_is_empty(const struct range_locks *locks);

/** Walks those that are granted; begins with NULL, ends with NULL. */
const struct range_lock *range_locks_next(const struct range_locks *locks,
					  const struct range_lock *previous);

/**
 * range_lock - take @lock->range, or queue for it
 * When it has to wait it calls op_wait(@lock->parent) itself; op_join() tells the rest.
 * Context: owner thread; never calls back.
 */
void range_lock(struct range_locks *locks, struct range_lock *lock);

/** Gives it back and grants whoever can go now. */
void range_unlock(struct range_locks *locks, struct range_lock *lock);

#endif
