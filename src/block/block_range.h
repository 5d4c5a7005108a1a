/* SPDX-License-Identifier: Apache-2.0 */
/* block_range.h - a run of logical blocks. */
#ifndef BLOCK_BLOCK_RANGE_H
#define BLOCK_BLOCK_RANGE_H

#include <stdbool.h>
#include <stdint.h>

struct block_range {
	uint64_t first;
	uint64_t count;
};

static inline bool block_range_overlaps(struct block_range one, struct block_range other)
{
	return one.first < other.first + other.count && other.first < one.first + one.count;
}

/* Lies within a device of @block_count blocks; no overflow for any input. */
static inline bool block_range_is_within(struct block_range range, uint64_t block_count)
{
	return range.count <= block_count && range.first <= block_count - range.count;
}

#endif
