/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_overlap.c - which blocks have writes in work, roughly.
 *
 * The volume's units of OVERLAP_UNIT_BYTES share a table of counters; a large write counts for the
 * whole volume. A zero says surely that nothing overlaps; the range locks tell exactly.
 * Invariant: every counter is the number of writes in work that touch one of its units.
 */
#include "nexus/nexus_impl.h"

#include "base/planted.h"

static bool overlap_is_large(const struct nexus *nexus, struct block_range range)
{
	ASSERT(range.count > 0);
	ASSERT(block_range_is_within(range, nexus->block_count));
	return range.count * nexus->block_bytes > IO_BYTES_MAX;
}

static uint64_t overlap_unit_first(const struct nexus *nexus, struct block_range range)
{
	return nexus_unit_of(nexus, range.first, OVERLAP_UNIT_BYTES);
}

static uint64_t overlap_unit_last(const struct nexus *nexus, struct block_range range)
{
	ASSERT(range.count > 0);
	return nexus_unit_of(nexus, range.first + range.count - 1, OVERLAP_UNIT_BYTES);
}

bool nexus_overlap_enter(struct nexus *nexus, struct block_range range)
{
	struct overlap *overlap = &nexus->overlap;
	uint64_t last = overlap_unit_last(nexus, range);
	bool is_possible = overlap->large_count > 0;

	ASSERT(overlap->large_count < NEXUS_IO_MAX);
	ASSERT(nexus->active[0] + nexus->active[1] > 0);
	if (overlap_is_large(nexus, range)) {
		overlap->large_count++;
		COUNT_IF(true, "overlap_of_a_large_write");
		return true;
	}
	for (uint64_t unit = overlap_unit_first(nexus, range); unit <= last; unit++) {
		uint16_t *bucket = &overlap->buckets[unit % OVERLAP_BUCKETS];

		is_possible |= *bucket > 0 && !PLANTED(OVERLAP_NOT_ORDERED);
		ASSERT(*bucket < UINT16_MAX);
		(*bucket)++;
	}
	return is_possible;
}

void nexus_overlap_leave(struct nexus *nexus, struct block_range range)
{
	struct overlap *overlap = &nexus->overlap;
	uint64_t last = overlap_unit_last(nexus, range);

	ASSERT(nexus->active[0] + nexus->active[1] >= overlap->large_count);
	if (overlap_is_large(nexus, range)) {
		ASSERT(overlap->large_count > 0);
		overlap->large_count--;
		return;
	}
	for (uint64_t unit = overlap_unit_first(nexus, range); unit <= last; unit++) {
		uint16_t *bucket = &overlap->buckets[unit % OVERLAP_BUCKETS];

		ASSERT(*bucket > 0);
		(*bucket)--;
	}
}

bool nexus_overlap_is_possible(const struct nexus *nexus, struct block_range range)
{
	const struct overlap *overlap = &nexus->overlap;
	uint64_t last = overlap_unit_last(nexus, range);

	ASSERT(overlap->large_count <= NEXUS_IO_MAX);
	if (PLANTED(READ_NOT_ORDERED))
		return false;
	if (overlap->large_count > 0 || overlap_is_large(nexus, range))
		return true;
	for (uint64_t unit = overlap_unit_first(nexus, range); unit <= last; unit++) {
		if (overlap->buckets[unit % OVERLAP_BUCKETS] > 0)
			return true;
	}
	return false;
}
