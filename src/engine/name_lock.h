/* SPDX-License-Identifier: Apache-2.0 */
/* name_lock.h - one management call at a time on an object, in order of arrival.
 *
 * Main reactor only; nothing allocates. Held and waiting locks live in their owners.
 */
#ifndef ENGINE_NAME_LOCK_H
#define ENGINE_NAME_LOCK_H

#include "base/limits.h"
#include "base/op.h"

struct name_locks {
	struct list_node all; /* held and waiting, in order of arrival */
};

struct name_lock { /* embed */
	struct op *parent;
	char name[NAME_BYTES_MAX];
	bool is_held;	       /* private */
	struct list_node link; /* private */
};

void name_locks_init(struct name_locks *locks);

/** Takes @lock->name, or queues for it: op_wait() is called here when it has to wait. */
void name_lock(struct name_locks *locks, struct name_lock *lock);
/** Gives it back and lets the next in line go on. */
void name_unlock(struct name_locks *locks, struct name_lock *lock);

#endif
