/* SPDX-License-Identifier: Apache-2.0 */
/* history_stamp.c - stamps fill a block without a gap, so that no byte of it is unchecked.
 *
 * Invariant: a block is whole only if each of its bytes is what stamp_write() put there.
 */
#include "sim/history_stamp.h"

#include "base/assert.h"

#include <stddef.h>
#include <string.h>

#define STAMP_MAGIC 0x6d61796173746f72u

struct stamp {
	uint64_t magic;
	uint64_t volume;
	uint64_t block;
	uint64_t sequence; /* never 0 */
};
STATIC_ASSERT(sizeof(struct stamp) == HISTORY_STAMP_BYTES);

void stamp_write(void *bytes, uint32_t block_bytes, uint64_t volume, uint64_t block,
		 uint64_t sequence)
{
	const struct stamp stamp = {STAMP_MAGIC, volume, block, sequence};
	size_t filled = sizeof(stamp);

	ASSERT(sequence != 0);
	ASSERT(block_bytes >= sizeof(stamp) && block_bytes % sizeof(stamp) == 0);
	memcpy(bytes, &stamp, sizeof(stamp));
	while (filled < block_bytes) {
		size_t part = filled < block_bytes - filled ? filled : block_bytes - filled;

		memcpy((uint8_t *)bytes + filled, bytes, part);
		filled += part;
	}
}

enum stamp_kind stamp_read(const void *bytes, uint32_t block_bytes, uint64_t volume, uint64_t block,
			   uint64_t *ret_sequence)
{
	const uint8_t *from = bytes;
	struct stamp stamp;

	ASSERT(block_bytes % sizeof(stamp) == 0);
	ASSERT(ret_sequence != NULL);
	*ret_sequence = 0;
	memcpy(&stamp, from, sizeof(stamp));
	if (stamp.magic == 0 && from[0] == 0 && memcmp(from, from + 1, block_bytes - 1) == 0)
		return STAMP_ZEROES;
	if (stamp.magic != STAMP_MAGIC || stamp.sequence == 0)
		return STAMP_GARBAGE;
	*ret_sequence = stamp.sequence;
	if (stamp.volume != volume || stamp.block != block)
		return STAMP_FOREIGN;
	/* Each stamp equals the one before it. */
	if (memcmp(from, from + sizeof(stamp), block_bytes - sizeof(stamp)) != 0)
		return STAMP_MIXED;
	return STAMP_WHOLE;
}

const char *stamp_kind_text(enum stamp_kind kind)
{
	switch (kind) {
	case STAMP_WHOLE:
		return "a write";
	case STAMP_ZEROES:
		return "zeroes";
	case STAMP_GARBAGE:
		return "garbage";
	case STAMP_FOREIGN:
		return "another block's content";
	case STAMP_MIXED:
		return "a mix of two writes";
	}
	ASSERT(!"a kind of the list");
}
