/* SPDX-License-Identifier: Apache-2.0 */
/* range_lock.c - shared and exclusive locks on runs of blocks, served in arrival order.
 *
 * Two locks conflict when their ranges overlap and at least one of them is exclusive. A newcomer
 * waits when it conflicts with a granted lock or with one that already waits, so nobody is
 * overtaken by somebody who would keep it waiting longer; those that do not conflict pass freely.
 *
 * Invariants:
 *  1. No two granted locks conflict.
 *  2. Whoever waits conflicts with a granted lock, or with one that waits before it.
 *  3. op_wait() and op_done() of a parent pair up: both for a lock that had to wait, none else.
 *
 * While nothing is locked exclusively, which is nearly always, a shared lock costs one list
 * insertion. Lists are as long as the I/O in flight of one volume.
 */
#include "block/range_lock.h"

#include "base/planted.h"

static bool locks_conflict(const struct range_lock *one, const struct range_lock *other)
{
	ASSERT(one != other);
	if (PLANTED(REBUILD_NOT_LOCKED) && one->is_exclusive != other->is_exclusive)
		return false;
	return (one->is_exclusive || other->is_exclusive) &&
	       block_range_overlaps(one->range, other->range);
}

/* Looks at members of @head from its begin up to @end, which is not looked at. */
static bool list_conflicts(struct list_node *head, const struct list_node *end,
			   const struct range_lock *lock)
{
	for (struct list_node *node = head->next; node != end; node = node->next) {
		if (locks_conflict(list_entry(node, struct range_lock, link), lock))
			return true;
	}
	return false;
}

/* @end is the place of @lock in the line of those who wait, or the end of the line. */
static bool lock_must_wait(struct range_locks *locks, const struct list_node *end,
			   const struct range_lock *lock)
{
	ASSERT(!lock->is_granted);
	if (list_conflicts(&locks->granted_exclusive, &locks->granted_exclusive, lock))
		return true;
	if (lock->is_exclusive &&
	    list_conflicts(&locks->granted_shared, &locks->granted_shared, lock))
		return true;
	return list_conflicts(&locks->waiting, end, lock);
}

static void lock_grant(struct range_locks *locks, struct range_lock *lock)
{
	ASSERT(list_is_empty(&lock->link));
	ASSERT(!lock->is_granted);
	ASSERT_SLOW(!list_conflicts(&locks->granted_exclusive, &locks->granted_exclusive, lock));
	ASSERT_SLOW(!list_conflicts(&locks->granted_shared, &locks->granted_shared, lock));

	lock->is_granted = true;
	list_push_back(lock->is_exclusive ? &locks->granted_exclusive : &locks->granted_shared,
		       &lock->link);
}

void range_locks_init(struct range_locks *locks)
{
	list_init(&locks->granted_exclusive);
	list_init(&locks->granted_shared);
	list_init(&locks->waiting);
}

bool range_locks_is_empty(const struct range_locks *locks)
{
	ASSERT(list_is_empty(&locks->waiting) || !list_is_empty(&locks->granted_exclusive) ||
	       !list_is_empty(&locks->granted_shared));
	return list_is_empty(&locks->granted_exclusive) && list_is_empty(&locks->granted_shared) &&
	       list_is_empty(&locks->waiting);
}

const struct range_lock *range_locks_next(const struct range_locks *locks,
					  const struct range_lock *previous)
{
	const struct list_node *node =
		previous == NULL ? locks->granted_exclusive.next : previous->link.next;

	ASSERT(previous == NULL || previous->is_granted);
	if (node == &locks->granted_exclusive)
		node = locks->granted_shared.next;
	if (node == &locks->granted_shared)
		return NULL;
	return list_entry((struct list_node *)(uintptr_t)node, struct range_lock, link);
}

void range_lock(struct range_locks *locks, struct range_lock *lock)
{
	ASSERT(lock->range.count > 0);
	ASSERT(lock->range.first + lock->range.count > lock->range.first);

	list_init(&lock->link);
	lock->is_granted = false;
	if (!lock->is_exclusive && list_is_empty(&locks->granted_exclusive) &&
	    list_is_empty(&locks->waiting)) {
		lock_grant(locks, lock);
		return;
	}
	if (lock_must_wait(locks, &locks->waiting, lock)) {
		ASSERT(lock->parent != NULL);
		op_wait(lock->parent);
		REACHED("range_lock_waits");
		list_push_back(&locks->waiting, &lock->link);
		ASSERT(!lock->is_granted);
		ASSERT(!list_is_empty(&locks->granted_exclusive) ||
		       !list_is_empty(&locks->granted_shared));
		return;
	}
	lock_grant(locks, lock);
}

void range_unlock(struct range_locks *locks, struct range_lock *lock)
{
	ASSERT(lock->is_granted);
	ASSERT(!list_is_empty(&lock->link));

	list_remove(&lock->link);
	lock->is_granted = false;
	list_for_each (node, &locks->waiting) {
		struct range_lock *waiter = list_entry(node, struct range_lock, link);

		ASSERT(!waiter->is_granted);
		if (!locks_conflict(waiter, lock) || lock_must_wait(locks, node, waiter))
			continue;
		list_remove(node);
		lock_grant(locks, waiter);
		ASSERT(waiter->is_granted);
		ASSERT(waiter->parent->pending > 0);
		op_done(waiter->parent);
		if (PLANTED(LOCK_WAITER_FORGOTTEN))
			break;
	}
	ASSERT(list_is_empty(&locks->waiting) || !list_is_empty(&locks->granted_exclusive) ||
	       !list_is_empty(&locks->granted_shared));
}
