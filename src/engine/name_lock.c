/* SPDX-License-Identifier: Apache-2.0 */
/* name_lock.c - a list is enough: management calls in flight are few.
 *
 * Invariant: of the locks with one name, exactly the first in the list is held.
 */
#include "engine/name_lock.h"

#include <string.h>

void name_locks_init(struct name_locks *locks)
{
	list_init(&locks->all);
}

static struct name_lock *first_of_name(struct name_locks *locks, const char *name)
{
	list_for_each (node, &locks->all) {
		struct name_lock *lock = list_entry(node, struct name_lock, link);

		if (strcmp(lock->name, name) == 0)
			return lock;
	}
	return NULL;
}

void name_lock(struct name_locks *locks, struct name_lock *lock)
{
	ASSERT(lock->name[0] != '\0' && lock->parent != NULL);
	lock->is_held = first_of_name(locks, lock->name) == NULL;
	list_init(&lock->link);
	list_push_back(&locks->all, &lock->link);
	if (!lock->is_held)
		op_wait(lock->parent);
}

void name_unlock(struct name_locks *locks, struct name_lock *lock)
{
	struct name_lock *next;

	ASSERT(lock->is_held);
	lock->is_held = false;
	list_remove(&lock->link);
	next = first_of_name(locks, lock->name);
	if (next == NULL)
		return;
	ASSERT(!next->is_held);
	next->is_held = true;
	op_done(next->parent);
}
