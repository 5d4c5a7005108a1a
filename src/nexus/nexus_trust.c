/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_trust.c - which children a new activation believes. Main.
 *
 * Without a record: all. After a clean end: those that the record calls healthy. After any other
 * end those may differ: in what was in flight, and in what a copy whose machine lost its power had
 * answered and not flushed. So one of them is believed, and the others are rebuilt from it.
 *
 * The record keeps, for each healthy child, the life of the cache that its writes went to. A device
 * that still shows the same life has all it ever answered; one that shows another may have lost
 * some of it, although the nexus that wrote the record did not live to see it.
 *
 * Invariants:
 *  1. No child is believed that the record does not call healthy.
 *  2. While a named healthy child has kept its cache, none that has not is believed.
 */
#include "nexus/nexus_impl.h"

#include "base/planted.h"

#include <inttypes.h>

static bool trust_has_kept_cache(const struct nexus_child *child,
				 const struct nexus_record_child *recorded)
{
	ASSERT(recorded->is_healthy);
	ASSERT(uuid_is_equal(&child->uuid, &recorded->uuid));
	return child->bdev != NULL && !uuid_is_nil(&recorded->cache_id) &&
	       uuid_is_equal(&child->bdev->cache_id, &recorded->cache_id);
}

static void trust_warn(const struct nexus *nexus, const struct nexus_child *child,
		       uint32_t healthy_count)
{
	ASSERT(child->is_used);
	ASSERT(healthy_count > 0);
	log_warn(nexus->log,
		 "nexus %s: goes on with child %s, which is not known to have kept its power since "
		 "the last record; none of the %" PRIu32 " healthy ones is. Writes that were "
		 "answered and not flushed may be missing: check what uses the volume",
		 nexus->name, child->uri, healthy_count);
}

/* The first in order that has kept its cache, else the first in order. */
static uint32_t trust_choose(struct nexus *nexus, const struct nexus_record *record)
{
	uint32_t chosen = NO_CHILD;
	uint32_t healthy_count = 0;

	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = nexus_child_at(nexus, slot);
		const struct nexus_record_child *recorded;

		if (!child->is_used)
			continue;
		recorded = nexus_record_find(record, &child->uuid);
		if (recorded == NULL || !recorded->is_healthy)
			continue;
		if (trust_has_kept_cache(child, recorded) && !PLANTED(CACHE_ID_IGNORED))
			return slot;
		healthy_count++;
		if (chosen == NO_CHILD)
			chosen = slot;
	}
	ASSERT((chosen == NO_CHILD) == (healthy_count == 0));
	if (chosen != NO_CHILD)
		trust_warn(nexus, nexus_child_at(nexus, chosen), healthy_count);
	return chosen;
}

uint32_t nexus_trust(struct nexus *nexus, const struct nexus_record *record)
{
	uint32_t mask = 0;
	uint32_t slot;

	ASSERT(!nexus->is_listed);
	if (record != NULL && !record->is_clean_shutdown) {
		slot = trust_choose(nexus, record);
		REACHED("create_believes_one_copy");
		return slot == NO_CHILD ? 0 : CHILD_BIT(slot);
	}
	for (slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->is_used &&
		    (record == NULL || nexus_record_is_healthy(record, &child->uuid)))
			mask |= CHILD_BIT(slot);
	}
	ASSERT(record != NULL || mask != 0);
	return mask;
}
