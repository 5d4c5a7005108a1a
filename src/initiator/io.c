/* SPDX-License-Identifier: Apache-2.0 */
/* io.c - an I/O as a series of NVMe commands.
 *
 * Almost every I/O is one command. It takes more where the controller's MDTS is smaller than the
 * I/O, or more blocks are to be zeroed or deallocated than one command can name.
 *
 * Invariants: commands of an I/O cover its range in order, without gap or overlap; its iovecs are
 * walked once by one cursor.
 */
#include "initiator/queue_impl.h"

static struct io_request *io_request(const struct bdev_io *io)
{
	return (struct io_request *)(void *)io->driver;
}

void io_begin(struct bdev_io *io)
{
	struct io_request *request = io_request(io);

	ASSERT(io->type == IO_FLUSH || io->range.count > 0);
	ASSERT(list_is_empty(&request->command.link)); /* not in a line twice */
	request->command.io = io;
	request->next_block = io->range.first;
	request->left_blocks = io->type == IO_FLUSH ? 1 : io->range.count;
	request->cursor = (struct iov_cursor){io->iov, 0};
	request->commands_out = 0;
	request->first_failure = IO_OK;
	request->is_restarting = false;
}

bool io_is_all_sent(const struct bdev_io *io)
{
	return io_request(io)->left_blocks == 0;
}

static enum nvme_opcode io_opcode(enum io_type type)
{
	switch (type) {
	case IO_READ:
		return NVME_READ;
	case IO_WRITE:
		return NVME_WRITE;
	case IO_FLUSH:
		return NVME_FLUSH;
	case IO_UNMAP:
		return NVME_DATASET_MANAGEMENT;
	case IO_WRITE_ZEROES:
		return NVME_WRITE_ZEROES;
	case IO_COMPARE:
		return NVME_COMPARE;
	}
	ASSERT(false);
	return NVME_FLUSH;
}

/* How many blocks one command of this type takes. */
static uint64_t io_blocks_max(const struct initiator_queue *queue, enum io_type type)
{
	uint64_t blocks = queue->parameters.transfer_bytes_max / queue->parameters.block_bytes;

	ASSERT(!queue->is_admin && blocks > 0);
	switch (type) {
	case IO_READ:
	case IO_WRITE:
	case IO_COMPARE:
		return blocks < NVME_BLOCKS_MAX ? blocks : NVME_BLOCKS_MAX;
	case IO_WRITE_ZEROES:
		return NVME_BLOCKS_MAX;
	case IO_UNMAP:
		return UINT32_MAX;
	case IO_FLUSH:
		return 1;
	}
	ASSERT(false);
	return 0;
}

/* One range as data of the slot itself. */
static void unmap_prepare(struct initiator_queue *queue, struct queue_slot *slot,
			  const struct nvme_rw *rw, struct nvme_sqe *ret_sqe)
{
	struct nvme_dsm dsm = {.range_count = 1, .is_deallocate = true};
	struct nvme_dsm_range range = {
		.block_count = le32_store(rw->block_count),
		.first_block = le64_store(rw->first_block),
	};

	STATIC_ASSERT(sizeof(range) <= SMALL_DATA_BYTES);
	ASSERT(rw->block_count > 0);
	ASSERT(slot->state == SLOT_ACTIVE && !slot->is_in_batch);
	nvme_dsm_encode(ret_sqe, queue->parameters.nsid, &dsm);
	memcpy(slot->small_data, &range, sizeof(range));
	slot->small_iov = (struct iovec){slot->small_data, sizeof(range)};
	slot->cursor = (struct iov_cursor){&slot->small_iov, 0};
	slot->data_bytes = sizeof(range);
	slot->direction = NVME_DATA_TO_CONTROLLER;
}

static void data_prepare(struct initiator_queue *queue, struct queue_slot *slot, struct bdev_io *io,
			 uint32_t block_count)
{
	struct io_request *request = io_request(io);

	ASSERT(io->type == IO_READ || io->type == IO_WRITE || io->type == IO_COMPARE);
	ASSERT(block_count > 0 && io->iov_count > 0);
	slot->data_bytes = block_count * queue->parameters.block_bytes;
	ASSERT(slot->data_bytes <= queue->parameters.transfer_bytes_max);
	slot->direction = io->type == IO_READ ? NVME_DATA_TO_HOST : NVME_DATA_TO_CONTROLLER;
	slot->cursor = request->cursor;
	ASSERT(slot->cursor.iov < io->iov + io->iov_count);
	if (request->left_blocks > 0)
		cursor_skip(&request->cursor, slot->data_bytes);
}

void io_prepare(struct initiator_queue *queue, struct queue_slot *slot, struct bdev_io *io,
		struct nvme_sqe *ret_sqe)
{
	struct io_request *request = io_request(io);
	uint64_t blocks = io_blocks_max(queue, io->type);
	struct nvme_rw rw = {.first_block = request->next_block};

	ASSERT(request->left_blocks > 0 && blocks > 0);
	ASSERT(slot->command == &request->command && slot->state == SLOT_ACTIVE);
	ASSERT(!request->is_restarting && request->first_failure == IO_OK);
	if (blocks > request->left_blocks)
		blocks = request->left_blocks;
	request->next_block += blocks;
	request->left_blocks -= blocks;
	request->commands_out++;
	ASSERT(request->commands_out <= queue->slot_count);
	/* Without gap or overlap: what is sent and what is left add up to the range. */
	ASSERT(io->type == IO_FLUSH ||
	       request->next_block + request->left_blocks == io->range.first + io->range.count);
	rw.block_count = (uint32_t)blocks;
	slot->data_bytes = 0;
	slot->direction = NVME_DATA_NONE;
	if (io->type == IO_FLUSH) {
		nvme_flush_encode(ret_sqe, queue->parameters.nsid);
		return;
	}
	if (io->type == IO_UNMAP) {
		unmap_prepare(queue, slot, &rw, ret_sqe);
		return;
	}
	rw.is_fua = io->is_fua && (io->type == IO_WRITE || io->type == IO_WRITE_ZEROES);
	/* Zeroes take no space below where it can do that; they read back the same. */
	rw.is_deallocate = io->type == IO_WRITE_ZEROES;
	nvme_rw_encode(ret_sqe, io_opcode(io->type), queue->parameters.nsid, &rw);
	if (io->type != IO_WRITE_ZEROES)
		data_prepare(queue, slot, io, rw.block_count);
}
