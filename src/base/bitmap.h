/* SPDX-License-Identifier: Apache-2.0 */
/* bitmap.h - a fixed set of small integers. */
#ifndef BASE_BITMAP_H
#define BASE_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

struct bitmap;

#define BITMAP_NONE UINT64_MAX

/** All clear. Return: 0 or -ENOMEM. */
int bitmap_create(uint64_t bit_count, struct bitmap **ret_bitmap)
	__attribute__((warn_unused_result));
void bitmap_destroy(struct bitmap *bitmap);
uint64_t bitmap_bit_count(const struct bitmap *bitmap);
/** How many are set; kept as a count, O(1). */
uint64_t bitmap_set_count(const struct bitmap *bitmap);
bool bitmap_is_set(const struct bitmap *bitmap, uint64_t bit);
void bitmap_set(struct bitmap *bitmap, uint64_t bit);
void bitmap_clear(struct bitmap *bitmap, uint64_t bit);
void bitmap_set_all(struct bitmap *bitmap);
void bitmap_clear_all(struct bitmap *bitmap);
/** First set bit at or after @from, BITMAP_NONE when there is none. */
uint64_t bitmap_find_set(const struct bitmap *bitmap, uint64_t from);
/** First clear bit at or after @from, BITMAP_NONE when there is none. */
uint64_t bitmap_find_clear(const struct bitmap *bitmap, uint64_t from);

#endif
