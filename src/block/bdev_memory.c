/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_memory.c - `malloc:///name`: a RAM disk.
 *
 * Its bytes are a row of segments: one from its creation, one more for each time it grew. What is
 * in a segment never moves, so reactors go on reading and writing while it grows.
 *
 * Invariants:
 *  1. Segments cover [0, size) without gap or overlap, in order. A segment is complete before
 *     block_count covers it (bdev_grow() and the gate order the two).
 *  2. An I/O is complete when submit returns, except that zeroing more than ZERO_PIECE_BYTES
 *     proceeds piece by piece so that the reactor serves others meanwhile.
 *
 * Fresh blocks are zero. Unmapped blocks are zeroed and keep their memory. Two reactors that write
 * the same block at once may leave a mixture, as one would expect of memory: exclusion is the
 * business of the user above.
 */
#include "base/memory.h"
#include "block/bdev_uri_impl.h"

#include <errno.h>
#include <string.h>

#define MEMORY_SEGMENTS_MAX 64
#define ZERO_PIECE_BYTES    (128 * 1024)

struct memory_segment {
	uint8_t *bytes;
	uint64_t size_bytes;
};

struct memory_bdev {
	struct bdev bdev;
	struct memory_segment segments[MEMORY_SEGMENTS_MAX];
	uint32_t segment_count; /* main reactor only */
};

/* Zeroing in progress, in bdev_io.driver. */
struct memory_zero {
	struct op op;
	struct bdev_io *io;
	uint64_t offset_bytes;
	uint64_t end_bytes;
};
STATIC_ASSERT(sizeof(struct memory_zero) <= BDEV_IO_DRIVER_BYTES);

/* The bytes at @offset_bytes; *size_bytes is reduced to what lies in one piece there. */
static uint8_t *memory_at(struct memory_bdev *memory, uint64_t offset_bytes, uint64_t *size_bytes)
{
	const struct memory_segment *segment = memory->segments;

	ASSERT(*size_bytes > 0);
	while (offset_bytes >= segment->size_bytes) {
		offset_bytes -= segment->size_bytes;
		segment++;
		ASSERT(segment < memory->segments + MEMORY_SEGMENTS_MAX);
		ASSERT(segment->bytes != NULL);
	}
	if (*size_bytes > segment->size_bytes - offset_bytes)
		*size_bytes = segment->size_bytes - offset_bytes;
	ASSERT(*size_bytes > 0);
	return segment->bytes + offset_bytes;
}

static enum io_status memory_move(struct memory_bdev *memory, const struct bdev_io *io,
				  uint8_t *bytes, uint64_t offset_bytes, uint64_t size_bytes)
{
	ASSERT(io->type == IO_READ || io->type == IO_WRITE || io->type == IO_COMPARE);
	while (size_bytes > 0) {
		uint64_t run_bytes = size_bytes;
		uint8_t *at = memory_at(memory, offset_bytes, &run_bytes);

		ASSERT(run_bytes > 0);
		if (io->type == IO_READ)
			memcpy(bytes, at, run_bytes);
		else if (io->type == IO_WRITE)
			memcpy(at, bytes, run_bytes);
		else if (memcmp(at, bytes, run_bytes) != 0)
			return IO_COMPARE_FAILED;
		bytes += run_bytes;
		offset_bytes += run_bytes;
		size_bytes -= run_bytes;
	}
	return IO_OK;
}

static enum io_status memory_transfer(struct memory_bdev *memory, const struct bdev_io *io)
{
	uint64_t offset_bytes = io->range.first * memory->bdev.block_bytes;
	enum io_status status = IO_OK;

	ASSERT(offset_bytes < bdev_size_bytes(&memory->bdev));
	ASSERT(io->iov_count > 0);
	for (uint32_t i = 0; i < io->iov_count && status == IO_OK; i++) {
		status = memory_move(memory, io, io->iov[i].iov_base, offset_bytes,
				     io->iov[i].iov_len);
		offset_bytes += io->iov[i].iov_len;
	}
	ASSERT(status != IO_OK ||
	       offset_bytes == (io->range.first + io->range.count) * memory->bdev.block_bytes);
	return status;
}

/* Entered once a piece: a late op that wakes itself runs again in the next turn, not before. */
static void memory_zero_run(struct op *op)
{
	struct memory_zero *zero = container_of(op, struct memory_zero, op);
	struct memory_bdev *memory =
		container_of(zero->io->channel->bdev, struct memory_bdev, bdev);
	uint64_t left_bytes = ZERO_PIECE_BYTES;

	ASSERT(op_is_idle(op));
	ASSERT(zero->io->type == IO_UNMAP || zero->io->type == IO_WRITE_ZEROES);
	ASSERT(zero->end_bytes <= bdev_size_bytes(&memory->bdev));
	ASSERT(zero->offset_bytes < zero->end_bytes);
	if (left_bytes > zero->end_bytes - zero->offset_bytes)
		left_bytes = zero->end_bytes - zero->offset_bytes;
	while (left_bytes > 0) {
		uint64_t run_bytes = left_bytes;
		uint8_t *at = memory_at(memory, zero->offset_bytes, &run_bytes);

		memset(at, 0, run_bytes);
		zero->offset_bytes += run_bytes;
		left_bytes -= run_bytes;
	}
	ASSERT(zero->offset_bytes <= zero->end_bytes);
	if (zero->offset_bytes < zero->end_bytes)
		op_wake(op);
	else
		bdev_io_done(zero->io, IO_OK);
}

static void memory_zero_start(struct bdev_channel *channel, struct bdev_io *io)
{
	struct memory_zero *zero = (struct memory_zero *)(void *)io->driver;

	ASSERT(io->type == IO_UNMAP || io->type == IO_WRITE_ZEROES);
	ASSERT(io->range.count > 0);
	zero->io = io;
	zero->offset_bytes = io->range.first * channel->bdev->block_bytes;
	zero->end_bytes = zero->offset_bytes + io->range.count * channel->bdev->block_bytes;
	ASSERT(zero->end_bytes > zero->offset_bytes);
	op_init(&zero->op, reactor_late(channel->reactor), memory_zero_run);
	op_start(&zero->op);
}

static void memory_submit(struct bdev_channel *channel, struct bdev_io *io)
{
	struct memory_bdev *memory = container_of(channel->bdev, struct memory_bdev, bdev);

	ASSERT(channel->inflight > 0);
	ASSERT(io->channel == channel);
	switch (io->type) {
	case IO_READ:
	case IO_WRITE:
	case IO_COMPARE:
		bdev_io_done(io, memory_transfer(memory, io));
		break;
	case IO_FLUSH:
		bdev_io_done(io, IO_OK);
		break;
	case IO_UNMAP:
	case IO_WRITE_ZEROES:
		memory_zero_start(channel, io);
		break;
	}
}

static int memory_channel_open(struct bdev_channel *channel)
{
	ASSERT(channel->driver == NULL);
	return 0;
}

static void memory_channel_close(struct bdev_channel *channel)
{
	ASSERT(channel->driver == NULL);
	ASSERT(channel->inflight == 0);
}

static void memory_free_all(struct memory_bdev *memory)
{
	ASSERT(memory->segment_count <= MEMORY_SEGMENTS_MAX);
	for (uint32_t i = 0; i < memory->segment_count; i++) {
		ASSERT(memory->segments[i].bytes != NULL);
		memory_free_pages(memory->segments[i].bytes, memory->segments[i].size_bytes);
	}
	memory_free(memory);
}

static void memory_destroy(struct bdev *bdev, struct op *parent)
{
	ASSERT(bdev->reference_count == 0);
	ASSERT(bdev->claimed_by[0] == '\0');
	ASSERT(list_is_empty(&bdev->registry_link));
	ASSERT(bdev_channel_count(bdev) == 0);
	memory_free_all(container_of(bdev, struct memory_bdev, bdev));
	op_done(parent);
}

static const struct bdev_ops memory_ops = {
	.product_name = "memory disk",
	.channel_open = memory_channel_open,
	.channel_close = memory_channel_close,
	.submit = memory_submit,
	.destroy = memory_destroy,
};

/* Appends a segment of @size_bytes zeroes. Return: 0, -ENOMEM, or -ENOSPC after too many. */
static int memory_extend(struct memory_bdev *memory, uint64_t size_bytes,
			 char ret_error[ERROR_TEXT_BYTES])
{
	struct memory_segment *segment = &memory->segments[memory->segment_count];

	ASSERT(memory->segment_count <= MEMORY_SEGMENTS_MAX);
	ASSERT(size_bytes % BLOCK_BYTES_MIN == 0);
	ASSERT(size_bytes > 0);
	if (memory->segment_count == MEMORY_SEGMENTS_MAX)
		return bdev_uri_refuse(
			ret_error, -ENOSPC,
			"device '%.200s' has grown %d times, which is the most; make "
			"a new one",
			memory->bdev.name, MEMORY_SEGMENTS_MAX - 1);
	ASSERT(segment->bytes == NULL);
	segment->bytes = memory_alloc_pages(size_bytes);
	if (segment->bytes == NULL)
		return bdev_uri_refuse(ret_error, -ENOMEM,
				       "device '%.200s': not enough memory for %llu MiB; ask for "
				       "less",
				       memory->bdev.name, (unsigned long long)size_bytes >> 20);
	segment->size_bytes = size_bytes;
	memory->segment_count++;
	return 0;
}

static int memory_resize(struct bdev_create *create, const struct bdev_uri_options *options)
{
	struct memory_bdev *memory;
	uint64_t block_count;
	int rc;

	rc = bdev_uri_resize(create, options, &memory_ops, &block_count);
	if (rc < 0 || block_count == create->bdev->block_count)
		return rc;
	memory = container_of(create->bdev, struct memory_bdev, bdev);
	ASSERT(memory->segment_count > 0);
	ASSERT(block_count > memory->bdev.block_count);
	rc = memory_extend(memory,
			   (block_count - memory->bdev.block_count) * memory->bdev.block_bytes,
			   create->error);
	if (rc < 0)
		return rc;
	bdev_grow(&memory->bdev, block_count);
	return 0;
}

static int memory_make(struct bdev_create *create, const struct bdev_uri_options *options)
{
	struct memory_bdev *memory = memory_alloc(sizeof(*memory));
	struct bdev *bdev;
	int rc;

	ASSERT(create->bdev == NULL);
	if (memory == NULL)
		return bdev_uri_refuse(create->error, -ENOMEM,
				       "device '%.200s': out of memory; free some", create->name);
	bdev = &memory->bdev;
	memcpy(bdev->name, create->name, sizeof(bdev->name));
	rc = bdev_uri_geometry(create->name, options, bdev, create->error);
	if (rc == 0)
		rc = memory_extend(memory, bdev_size_bytes(bdev), create->error);
	if (rc < 0) {
		memory_free_all(memory);
		return rc;
	}
	ASSERT(memory->segment_count == 1);
	ASSERT(memory->segments[0].size_bytes == bdev_size_bytes(bdev));
	bdev->uuid = bdev_uri_uuid(create, options);
	bdev->ops = &memory_ops;
	bdev->main = bdev_registry_main(create->registry);
	bdev->physical_block_bytes = bdev->block_bytes;
	bdev->memory_alignment = 1;
	bdev->can_unmap = true;
	bdev->can_write_zeroes = true;
	bdev->can_compare = true;
	bdev->reads_zero_after_unmap = true;
	bdev->is_local = true;
	/* Its content ends with it: the next one is another, whatever its name and uuid. */
	os_entropy_fill(reactor_os(bdev->main), bdev->cache_id.bytes, sizeof(bdev->cache_id.bytes));
	bdev_init(bdev);
	create->bdev = bdev;
	return 0;
}

static void memory_create(struct bdev_create *create)
{
	bdev_uri_sized_create(create, memory_make, memory_resize);
}

static const char *const memory_schemes[] = {"malloc", NULL};

int bdev_memory_register(struct bdev_registry *registry)
{
	const struct bdev_driver driver = {
		.schemes = memory_schemes,
		.name = bdev_uri_plain_name,
		.create = memory_create,
		.handles_existing = true,
	};

	return bdev_driver_register(registry, &driver);
}
