/* SPDX-License-Identifier: Apache-2.0 */
/* slab.c - equal slots in one block of pages.
 *
 * Returned slots lie on a stack; slots never used before are counted by `fresh`, so that a slot
 * that nobody needed yet costs address space only.
 * Invariants:
 *  1. acquired + returned_count + (capacity - fresh) = capacity.
 *  2. is_acquired[i] exactly while slot i is handed out.
 */
#include "base/slab.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <stddef.h>

#define SLOT_ALIGNMENT 64

struct slab {
	uint8_t *slots;
	size_t slots_bytes;
	uint32_t slot_bytes;
	uint32_t capacity;
	uint32_t fresh; /* slots handed out at least once */
	uint32_t returned_count;
	uint32_t *returned;   /* stack of slot indexes */
	uint8_t *is_acquired; /* by slot */
};

int slab_create(uint32_t slot_bytes, uint32_t capacity, struct slab **ret_slab)
{
	struct slab *slab;

	ASSERT(slot_bytes > 0 && slot_bytes <= UINT32_MAX - SLOT_ALIGNMENT);
	ASSERT(capacity > 0);
	slab = memory_alloc(sizeof(*slab));
	if (slab == NULL)
		return -ENOMEM;
	slab->slot_bytes = (slot_bytes + SLOT_ALIGNMENT - 1) / SLOT_ALIGNMENT * SLOT_ALIGNMENT;
	slab->capacity = capacity;
	slab->slots_bytes = (size_t)slab->slot_bytes * capacity;
	slab->slots = memory_alloc_pages(slab->slots_bytes);
	slab->returned = memory_alloc_array(capacity, sizeof(slab->returned[0]));
	slab->is_acquired = memory_alloc_array(capacity, sizeof(slab->is_acquired[0]));
	if (slab->slots == NULL || slab->returned == NULL || slab->is_acquired == NULL) {
		slab_destroy(slab);
		return -ENOMEM;
	}
	*ret_slab = slab;
	return 0;
}

void slab_destroy(struct slab *slab)
{
	if (slab == NULL)
		return;
	ASSERT(slab_acquired_count(slab) == 0);
	memory_free(slab->is_acquired);
	memory_free(slab->returned);
	if (slab->slots != NULL)
		memory_free_pages(slab->slots, slab->slots_bytes);
	memory_free(slab);
}

void *slab_acquire(struct slab *slab)
{
	uint32_t index;

	if (slab->returned_count > 0)
		index = slab->returned[--slab->returned_count];
	else if (slab->fresh < slab->capacity)
		index = slab->fresh++;
	else
		return NULL;
	ASSERT(index < slab->fresh);
	ASSERT(!slab->is_acquired[index]);
	slab->is_acquired[index] = 1;
	return slab->slots + (size_t)index * slab->slot_bytes;
}

void slab_release(struct slab *slab, void *slot)
{
	size_t offset = (size_t)((uint8_t *)slot - slab->slots);
	size_t index = offset / slab->slot_bytes;

	ASSERT(offset % slab->slot_bytes == 0);
	ASSERT(index < slab->fresh);
	ASSERT(slab->is_acquired[index]);
	ASSERT(slab->returned_count < slab->fresh);
	slab->is_acquired[index] = 0;
	slab->returned[slab->returned_count++] = (uint32_t)index;
}

uint32_t slab_capacity(const struct slab *slab)
{
	return slab->capacity;
}

uint32_t slab_acquired_count(const struct slab *slab)
{
	ASSERT(slab->returned_count <= slab->fresh);
	return slab->fresh - slab->returned_count;
}
