/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_recent.c - maps of segments: what a child missed, and what a power loss could take.
 *
 * A child with a volatile cache that loses power also loses writes that it had answered. If it is
 * then brought level by copying only what it missed since, it would keep holes. So segments with
 * answered writes that no flush has covered yet are remembered and added to its map.
 *
 * Two maps take turns: one collects; when a flush begins they swap, and when that flush has
 * succeeded the other one is forgotten. Writes are marked when they are judged, thus after they
 * were answered by the children: a write that is in flight while a flush begins is marked in the
 * new map and not forgotten with the old one.
 *
 * Invariants:
 *  1. A segment with an answered write that is not yet flushed is in one of the two maps.
 *  2. At most one flush owns the map that does not collect.
 */
#include "nexus/nexus_impl.h"

#include <errno.h>

static struct recent *recent_now(struct nexus *nexus)
{
	ASSERT(nexus->recent_now < 2);
	return &nexus->recent[nexus->recent_now];
}

static struct recent *recent_other(struct nexus *nexus)
{
	ASSERT(nexus->recent_now < 2);
	return &nexus->recent[1 - nexus->recent_now];
}

static void recent_set(struct recent *recent, uint64_t segment)
{
	ASSERT(segment < bitmap_bit_count(recent->map));
	ASSERT(recent->log_count <= RECENT_LOG_MAX);
	if (bitmap_is_set(recent->map, segment))
		return;
	bitmap_set(recent->map, segment);
	if (recent->log_count < RECENT_LOG_MAX && segment <= UINT32_MAX)
		recent->log[recent->log_count++] = (uint32_t)segment;
	else
		recent->is_log_full = true;
}

static void recent_clear(struct recent *recent)
{
	ASSERT(recent->log_count <= RECENT_LOG_MAX);
	ASSERT(recent->is_log_full || recent->log_count == bitmap_set_count(recent->map));
	if (recent->is_log_full) {
		bitmap_clear_all(recent->map);
	} else {
		for (uint32_t i = 0; i < recent->log_count; i++)
			bitmap_clear(recent->map, recent->log[i]);
	}
	recent->log_count = 0;
	recent->is_log_full = false;
	ASSERT(bitmap_set_count(recent->map) == 0);
}

static uint64_t segment_first(const struct nexus *nexus, struct block_range range)
{
	return nexus_unit_of(nexus, range.first, REBUILD_SEGMENT_BYTES);
}

static uint64_t segment_last(const struct nexus *nexus, struct block_range range)
{
	ASSERT(block_range_is_within(range, nexus->block_count));
	ASSERT(range.count > 0);
	return nexus_unit_of(nexus, range.first + range.count - 1, REBUILD_SEGMENT_BYTES);
}

void nexus_map_mark(const struct nexus *nexus, struct bitmap *map, struct block_range range)
{
	uint64_t last = segment_last(nexus, range);

	ASSERT(last < bitmap_bit_count(map));
	for (uint64_t segment = segment_first(nexus, range); segment <= last; segment++)
		bitmap_set(map, segment);
}

void nexus_recent_mark(struct nexus *nexus, struct block_range range)
{
	uint64_t last = segment_last(nexus, range);

	if (!nexus->has_cache)
		return;
	ASSERT(last < bitmap_bit_count(recent_now(nexus)->map));
	ASSERT(nexus->recent_now < 2);
	for (uint64_t segment = segment_first(nexus, range); segment <= last; segment++)
		recent_set(recent_now(nexus), segment);
}

bool nexus_recent_begin_flush(struct nexus *nexus)
{
	ASSERT(nexus->recent_now < 2);
	if (!nexus->has_cache || nexus->flush_owner != NULL)
		return false;
	/* What a flush that failed left behind is covered by this one, before anything newer. */
	if (bitmap_set_count(recent_other(nexus)->map) == 0)
		nexus->recent_now = 1 - nexus->recent_now;
	return true;
}

void nexus_recent_flushed(struct nexus *nexus)
{
	ASSERT(nexus->flush_owner == NULL);
	ASSERT(nexus->has_cache);
	recent_clear(recent_other(nexus));
}

bool nexus_recent_is_empty(const struct nexus *nexus)
{
	return !nexus->has_cache || (bitmap_set_count(nexus->recent[0].map) == 0 &&
				     bitmap_set_count(nexus->recent[1].map) == 0);
}

void nexus_recent_add_to(const struct nexus *nexus, struct bitmap *map)
{
	ASSERT(bitmap_bit_count(map) == nexus->segment_count);
	if (!nexus->has_cache)
		return;
	for (uint32_t i = 0; i < 2; i++) {
		const struct bitmap *from = nexus->recent[i].map;
		uint64_t segment = bitmap_find_set(from, 0);

		ASSERT(bitmap_bit_count(from) == bitmap_bit_count(map));
		while (segment != BITMAP_NONE) {
			bitmap_set(map, segment);
			if (segment + 1 == bitmap_bit_count(from))
				break;
			segment = bitmap_find_set(from, segment + 1);
		}
	}
}

int nexus_map_grow(const struct bitmap *map, uint64_t bit_count, bool is_new_set,
		   struct bitmap **ret_map)
{
	struct bitmap *grown;
	uint64_t old_count = bitmap_bit_count(map);
	int rc = bitmap_create(bit_count, &grown);

	if (rc < 0)
		return rc;
	ASSERT(bit_count >= old_count);
	for (uint64_t bit = 0; bit < bit_count; bit++) {
		if (bit < old_count ? bitmap_is_set(map, bit) : is_new_set)
			bitmap_set(grown, bit);
	}
	ASSERT(bitmap_set_count(grown) >= bitmap_set_count(map));
	*ret_map = grown;
	return 0;
}
