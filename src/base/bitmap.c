/* SPDX-License-Identifier: Apache-2.0 */
/* bitmap.c - a fixed set of small integers in words of 64.
 *
 * Invariants:
 *  1. Bits at and beyond bit_count are clear, so that searches need no mask at the end.
 *  2. set_count is the number of set bits.
 */
#include "base/bitmap.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

#define WORD_BITS 64

struct bitmap {
	uint64_t bit_count;
	uint64_t word_count;
	uint64_t set_count;
	uint64_t words[];
};

static uint64_t bit_mask(uint64_t bit)
{
	return (uint64_t)1 << bit % WORD_BITS;
}

int bitmap_create(uint64_t bit_count, struct bitmap **ret_bitmap)
{
	uint64_t word_count = bit_count / WORD_BITS + (bit_count % WORD_BITS != 0);
	struct bitmap *bitmap;

	if (word_count > SIZE_MAX / 16)
		return -ENOMEM;
	bitmap = memory_alloc(sizeof(*bitmap) + word_count * sizeof(bitmap->words[0]));
	if (bitmap == NULL)
		return -ENOMEM;
	bitmap->bit_count = bit_count;
	bitmap->word_count = word_count;
	*ret_bitmap = bitmap;
	return 0;
}

void bitmap_destroy(struct bitmap *bitmap)
{
	memory_free(bitmap);
}

uint64_t bitmap_bit_count(const struct bitmap *bitmap)
{
	return bitmap->bit_count;
}

uint64_t bitmap_set_count(const struct bitmap *bitmap)
{
	ASSERT(bitmap->set_count <= bitmap->bit_count);
	return bitmap->set_count;
}

bool bitmap_is_set(const struct bitmap *bitmap, uint64_t bit)
{
	ASSERT(bit < bitmap->bit_count);
	return (bitmap->words[bit / WORD_BITS] & bit_mask(bit)) != 0;
}

void bitmap_set(struct bitmap *bitmap, uint64_t bit)
{
	if (bitmap_is_set(bitmap, bit))
		return;
	bitmap->words[bit / WORD_BITS] |= bit_mask(bit);
	bitmap->set_count++;
}

void bitmap_clear(struct bitmap *bitmap, uint64_t bit)
{
	if (!bitmap_is_set(bitmap, bit))
		return;
	ASSERT(bitmap->set_count > 0);
	bitmap->words[bit / WORD_BITS] &= ~bit_mask(bit);
	bitmap->set_count--;
}

void bitmap_set_all(struct bitmap *bitmap)
{
	uint64_t rest = bitmap->bit_count % WORD_BITS;

	memset(bitmap->words, 0xff, bitmap->word_count * sizeof(bitmap->words[0]));
	if (rest != 0)
		bitmap->words[bitmap->word_count - 1] = bit_mask(rest) - 1;
	bitmap->set_count = bitmap->bit_count;
}

void bitmap_clear_all(struct bitmap *bitmap)
{
	memset(bitmap->words, 0, bitmap->word_count * sizeof(bitmap->words[0]));
	bitmap->set_count = 0;
}

/* First bit at or after @from whose word, flipped by @invert, has it set. */
static uint64_t find(const struct bitmap *bitmap, uint64_t from, uint64_t invert)
{
	uint64_t keep;

	if (from >= bitmap->bit_count)
		return BITMAP_NONE;
	keep = ~(bit_mask(from) - 1);
	for (uint64_t i = from / WORD_BITS; i < bitmap->word_count; i++) {
		uint64_t word = (bitmap->words[i] ^ invert) & keep;

		keep = UINT64_MAX;
		if (word != 0) {
			uint64_t bit = i * WORD_BITS + (uint64_t)__builtin_ctzll(word);

			/* Past the end only clear bits are found (invariant 1). */
			return bit < bitmap->bit_count ? bit : BITMAP_NONE;
		}
	}
	return BITMAP_NONE;
}

uint64_t bitmap_find_set(const struct bitmap *bitmap, uint64_t from)
{
	return find(bitmap, from, 0);
}

uint64_t bitmap_find_clear(const struct bitmap *bitmap, uint64_t from)
{
	return find(bitmap, from, UINT64_MAX);
}
