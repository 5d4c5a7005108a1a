/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_impl.h - the spin lock of a bdev's list of channels. Private to block/.
 *
 * Held for the length of that list at most, by management and statistics, never by I/O.
 */
#ifndef BLOCK_BDEV_IMPL_H
#define BLOCK_BDEV_IMPL_H

#include "block/bdev.h"

static inline void bdev_lock(struct bdev *bdev)
{
	while (atomic_exchange_explicit(&bdev->lock, 1, memory_order_acquire) != 0)
		;
	__atomic_store_n(&bdev->lock_count, bdev->lock_count + 1, __ATOMIC_RELAXED);
}

static inline void bdev_unlock(struct bdev *bdev)
{
	ASSERT(atomic_load_explicit(&bdev->lock, memory_order_relaxed) == 1);
	atomic_store_explicit(&bdev->lock, 0, memory_order_release);
}

#endif
