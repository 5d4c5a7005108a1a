/* SPDX-License-Identifier: Apache-2.0 */
/* workload_choice.c - what a slot does next, drawn from its own stream by the host's mix.
 *
 * Invariants: a range lies within the host's area and has at most blocks_max blocks; a type is one
 * that the volume can do.
 */
#include "sim/stream.h"
#include "sim/workload_impl.h"

/* Its place is the same for all slots of a host. */
static uint64_t hot_first(const struct workload *workload)
{
	const struct workload_mix *mix = &workload->options.mix;
	uint64_t turn = mix->hot_moves == 0 ? 0 : workload->chosen_count / mix->hot_moves;
	struct prng prng;

	ASSERT(mix->hot_blocks > 0 && mix->hot_blocks <= mix->area.count);
	prng_init(&prng, workload->seed + turn);
	return mix->area.first + prng_below(&prng, mix->area.count - mix->hot_blocks + 1);
}

enum io_type choice_type(struct slot *slot)
{
	const struct workload_mix *mix = &slot->workload->options.mix;
	const struct bdev *bdev = slot->workload->channel->bdev;
	uint64_t draw = prng_below(&slot->prng, 1000);

	slot->workload->chosen_count++;
	if (draw < mix->flushes)
		return IO_FLUSH;
	draw -= mix->flushes;
	if (draw < mix->zeroes)
		return bdev->can_write_zeroes ? IO_WRITE_ZEROES : IO_WRITE;
	draw -= mix->zeroes;
	if (draw < mix->unmaps)
		return bdev->can_unmap && bdev->reads_zero_after_unmap ? IO_UNMAP : IO_WRITE;
	draw -= mix->unmaps;
	if (draw < mix->compares)
		return bdev->can_compare ? IO_COMPARE : IO_READ;
	draw -= mix->compares;
	return draw < mix->writes ? IO_WRITE : IO_READ;
}

static uint64_t size_draw(struct slot *slot)
{
	const struct workload_mix *mix = &slot->workload->options.mix;
	uint64_t small = mix->blocks_max < 8 ? mix->blocks_max : 8;

	ASSERT(mix->blocks_max > 0);
	if (prng_chance(&slot->prng, mix->singles, 1000))
		return 1;
	return stream_draw(&slot->prng, 1,
			   prng_chance(&slot->prng, 1, 4) ? mix->blocks_max : small);
}

struct block_range choice_range(struct slot *slot)
{
	const struct workload_mix *mix = &slot->workload->options.mix;
	struct block_range within = mix->area;
	struct block_range range = {0, size_draw(slot)};

	ASSERT(within.count > 0);
	if (prng_chance(&slot->prng, mix->hot, 1000))
		within = (struct block_range){hot_first(slot->workload), mix->hot_blocks};
	if (range.count > within.count)
		range.count = within.count;
	range.first =
		stream_draw(&slot->prng, within.first, within.first + within.count - range.count);
	if (prng_chance(&slot->prng, mix->sequential, 1000) &&
	    slot->next_block >= mix->area.first &&
	    slot->next_block + range.count <= mix->area.first + mix->area.count)
		range.first = slot->next_block;
	slot->next_block = range.first + range.count;
	return range;
}

uint64_t choice_pause_ns(struct slot *slot)
{
	const struct workload *workload = slot->workload;
	const struct workload_mix *mix = &workload->options.mix;
	uint64_t cycle_ns = mix->busy_ns + mix->quiet_ns;
	uint64_t pause_ns;

	if (workload->pace_ns != 0)
		return stream_draw(&slot->prng, 0, workload->pace_ns);
	pause_ns = stream_draw(&slot->prng, 0, mix->pause_ns_max);
	if (mix->quiet_ns != 0) {
		uint64_t at_ns = (workload_now_ns(workload) + pause_ns) % cycle_ns;

		if (at_ns >= mix->busy_ns)
			pause_ns += cycle_ns - at_ns;
	}
	return pause_ns;
}

uint32_t choice_iovs(struct slot *slot, size_t bytes)
{
	const struct bdev *bdev = slot->workload->channel->bdev;
	uint64_t unit = bdev->memory_alignment > bdev->block_bytes ? bdev->memory_alignment
								   : bdev->block_bytes;
	uint32_t count = 0;
	size_t at = 0;

	ASSERT(bytes > 0);
	while (count + 1 < WORKLOAD_IOVS && bytes - at > unit && prng_chance(&slot->prng, 1, 3)) {
		size_t part = stream_draw(&slot->prng, 1, (bytes - at - 1) / unit) * unit;

		slot->iov[count++] = (struct iovec){slot->buffer + at, part};
		at += part;
	}
	slot->iov[count++] = (struct iovec){slot->buffer + at, bytes - at};
	return count;
}
