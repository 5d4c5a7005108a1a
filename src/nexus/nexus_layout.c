/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_layout.c - where a volume lies on its children. Pure.
 *
 * The layout is that of the reference engine, so that a replica can change hands:
 *
 *	byte 0		protective MBR, GPT header and table (reserved, not written)
 *	1 MiB		metadata region of 4 MiB (reserved, not written)
 *	5 MiB		the volume's block 0
 *	end		33 blocks at 512 for the backup GPT: 16 KiB of entries and a header
 *
 * The end of the range is taken as exclusive there, which costs one block when the child is large
 * enough; since hosts may have seen that size, it stays so.
 */
#include "nexus/nexus_impl.h"

#include <errno.h>

#define GPT_ENTRIES_BYTES 16384

static uint64_t layout_tail_blocks(uint32_t block_bytes)
{
	ASSERT(block_bytes >= BLOCK_BYTES_MIN);
	return GPT_ENTRIES_BYTES / block_bytes + 2;
}

uint64_t nexus_layout_reserved_blocks(uint32_t block_bytes)
{
	return NEXUS_DATA_OFFSET_BYTES / block_bytes + layout_tail_blocks(block_bytes);
}

int nexus_layout(uint64_t device_blocks_min, uint32_t block_bytes, uint64_t size_bytes,
		 struct block_range *ret_data)
{
	uint64_t first = NEXUS_DATA_OFFSET_BYTES / block_bytes;
	uint64_t tail = layout_tail_blocks(block_bytes);
	uint64_t wanted = size_bytes / block_bytes;
	uint64_t end;

	ASSERT(block_bytes >= BLOCK_BYTES_MIN);
	ASSERT(block_bytes <= BLOCK_BYTES_MAX);
	if (wanted < 2)
		return -EINVAL;
	if (device_blocks_min < wanted)
		return -ENOSPC;
	if (device_blocks_min < first + tail + 1)
		return -EINVAL;
	end = device_blocks_min - tail;
	if (wanted - 1 < end - first)
		end = first + wanted - 1;
	ASSERT(end > first);
	ASSERT(end <= device_blocks_min - tail);
	ASSERT(end - first < wanted);
	*ret_data = (struct block_range){first, end - first};
	return 0;
}
