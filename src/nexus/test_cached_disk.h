/* SPDX-License-Identifier: Apache-2.0 */
/* test_cached_disk.h - for tests of this folder: a RAM disk with a volatile cache that can lose it.
 *
 * It stands in front of the driver of a RAM disk and keeps, beside the content that reads see, the
 * content that is durable. Writes become durable with the next flush, or at once with FUA. A loss
 * of power takes back unflushed blocks and gives the device another life.
 */
#ifndef NEXUS_TEST_CACHED_DISK_H
#define NEXUS_TEST_CACHED_DISK_H

#include "base/prng.h"
#include "nexus/nexus_test_fixture.h"

struct cached_disk {
	struct bdev_ops ops;
	const struct bdev_ops *lower;
	struct bdev *bdev;
	struct bdev_channel *below; /* of main */
	bool is_flush_void;	    /* flushes are answered and do nothing */
	enum io_status flush_status;
	uint64_t lives;
	uint8_t *durable;
	bool *is_dirty; /* by block */
};

static inline void cached_disk_transfer(struct bdev_channel *channel, enum io_type type,
					uint64_t block, uint8_t *bytes)
{
	struct iovec iov = {bytes, 512};
	struct waiter waiter;
	struct bdev_io io = {.type = type,
			     .is_fua = type == IO_WRITE,
			     .range = {block, 1},
			     .iov = &iov,
			     .iov_count = 1};

	waiter_init(&waiter, channel->reactor);
	io.parent = &waiter.op;
	op_wait(&waiter.op);
	bdev_submit(channel, &io);
	assert_int_equal(waiter.op.pending, 0); /* RAM disks answer at once */
	assert_int_equal(io.status, IO_OK);
}

static inline void cached_disk_flush(struct cached_disk *disk, struct bdev_channel *channel)
{
	for (uint64_t block = 0; block < disk->bdev->block_count && !disk->is_flush_void; block++) {
		if (!disk->is_dirty[block])
			continue;
		cached_disk_transfer(channel, IO_READ, block, disk->durable + block * 512);
		disk->is_dirty[block] = false;
	}
}

static inline void cached_disk_submit(struct bdev_channel *channel, struct bdev_io *io)
{
	struct cached_disk *disk = (struct cached_disk *)(uintptr_t)channel->bdev->ops;
	struct block_range range = io->range;
	enum io_type type = io->type;
	bool is_fua = io->is_fua;

	if (type == IO_FLUSH && disk->flush_status != IO_OK) {
		bdev_io_done(io, disk->flush_status);
		return;
	}
	if (type == IO_FLUSH)
		cached_disk_flush(disk, channel);
	disk->lower->submit(channel, io); /* @io may be gone from here on */
	if (type != IO_WRITE && type != IO_WRITE_ZEROES && type != IO_UNMAP)
		return;
	for (uint64_t block = range.first; block < range.first + range.count; block++) {
		disk->is_dirty[block] = true;
		if (!is_fua || type != IO_WRITE)
			continue;
		cached_disk_transfer(channel, IO_READ, block, disk->durable + block * 512);
		disk->is_dirty[block] = false;
	}
}

/* Whatever is on it by now is durable. */
static inline void cached_disk_init(struct cached_disk *disk, struct volume *volume, uint32_t index)
{
	*disk = (struct cached_disk){.bdev = volume->disks[index],
				     .below = volume->below[index],
				     .lower = volume->disks[index]->ops};
	disk->ops = *disk->lower;
	disk->ops.submit = cached_disk_submit;
	disk->durable = memory_alloc(disk->bdev->block_count * 512);
	disk->is_dirty = memory_alloc_array(disk->bdev->block_count, sizeof(disk->is_dirty[0]));
	assert_true(disk->durable != NULL && disk->is_dirty != NULL);
	for (uint64_t block = 0; block < disk->bdev->block_count; block++)
		disk->is_dirty[block] = true;
	cached_disk_flush(disk, disk->below);
	disk->bdev->has_volatile_cache = true;
	disk->bdev->ops = &disk->ops;
}

static inline void cached_disk_deinit(struct cached_disk *disk)
{
	disk->bdev->ops = disk->lower;
	memory_free(disk->durable);
	memory_free(disk->is_dirty);
}

/* Of unflushed blocks every one is lost, or each by chance if @prng is given. */
static inline void cached_disk_lose_power(struct cached_disk *disk, struct prng *prng)
{
	for (uint64_t block = 0; block < disk->bdev->block_count; block++) {
		if (!disk->is_dirty[block] || (prng != NULL && prng_chance(prng, 1, 2)))
			continue;
		cached_disk_transfer(disk->below, IO_WRITE, block, disk->durable + block * 512);
	}
	/* What was kept has reached the medium. */
	cached_disk_flush(disk, disk->below);
	disk->bdev->cache_id = (struct uuid){.bytes = {0xca, (uint8_t)++disk->lives}};
	memcpy(disk->bdev->cache_id.bytes + 8, &disk->bdev, sizeof(disk->bdev));
}

/*
 * The machine of a child loses its power: what it answered and did not flush is gone. The nexus
 * hears of the broken connection before anything goes over a new one.
 */
static inline void volume_lose_power(struct volume *volume, struct cached_disk *disk,
				     uint32_t index, struct prng *prng)
{
	struct bdev *filter = volume_filter(volume, index);

	if (filter != NULL) {
		filter->cache_id = (struct uuid){{0}};
		bdev_notify(filter, BDEV_INTERRUPTED);
		reactor_turn(volume->home, false);
		reactor_turn(volume->home, false);
	}
	cached_disk_lose_power(disk, prng);
	filter = volume_filter(volume, index);
	if (filter != NULL)
		filter->cache_id = disk->bdev->cache_id;
}

#endif
