/* SPDX-License-Identifier: Apache-2.0 */
/* slab.h - a fixed number of equal slots, taken at start; acquire and release are O(1).
 *
 * Slots are handed out last-in first-out, so that hot ones stay hot. Single thread.
 * Invariant: acquired + free = capacity; a slot is never handed out twice.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stdbool.h>
#include <stdint.h>

struct slab;

/**
 * slab_create - @capacity slots of @slot_bytes, aligned to 64 bytes
 * Return: 0, or -ENOMEM.
 */
int slab_create(uint32_t slot_bytes, uint32_t capacity, struct slab **ret_slab)
	__attribute__((warn_unused_result));

/** All slots must have been released. NULL is allowed. */
void slab_destroy(struct slab *slab);

/** A slot with unspecified content, NULL when all are in use. */
void *slab_acquire(struct slab *slab);

/** @slot must come from this slab and not be free already. */
void slab_release(struct slab *slab, void *slot);

uint32_t slab_capacity(const struct slab *slab);
uint32_t slab_acquired_count(const struct slab *slab);

#endif
