/* SPDX-License-Identifier: Apache-2.0 */
/* emulate.c - WRITE ZEROES and COMPARE piece by piece, by plain writes and reads.
 *
 * Life: BUFFER (wait for one), then PIECE and CHECK in turn until the range is done, REPLY.
 *
 * Invariants:
 *  1. [first, first + done_blocks) is zeroed, or equal; nothing behind the piece was touched.
 *  2. One buffer is held from BUFFER to REPLY, and one I/O at a time uses it.
 *  3. The first difference, failure or cancellation ends it: later pieces are not begun.
 */
#include "block/emulate.h"

#include <string.h>

enum emulate_step {
	EMULATE_BUFFER, /* one buffer of the reactor, in line with others */
	EMULATE_PIECE,	/* write or read the next piece */
	EMULATE_CHECK,	/* how did it go, and what is left? */
	EMULATE_REPLY,
};

STATIC_ASSERT(EMULATE_PIECE_BYTES % BLOCK_BYTES_MAX == 0);
STATIC_ASSERT(EMULATE_PIECE_BYTES <= LARGE_BUFFER_BYTES);
STATIC_ASSERT(SMALL_BUFFER_BYTES % BLOCK_BYTES_MAX == 0);
STATIC_ASSERT(EMULATE_IOV_COUNT *SMALL_BUFFER_BYTES == EMULATE_PIECE_BYTES);

static uint32_t emulate_block_bytes(const struct emulate *emulate)
{
	return emulate->channel->bdev->block_bytes;
}

static enum op_flow emulate_buffer(struct emulate *emulate)
{
	uint32_t size_bytes = emulate->is_compare ? EMULATE_PIECE_BYTES : SMALL_BUFFER_BYTES;

	ASSERT(emulate->step == EMULATE_PIECE);
	ASSERT(op_is_idle(&emulate->op));
	ASSERT(emulate->done_blocks == 0);
	emulate->waiter = (struct buffer_waiter){
		.parent = &emulate->op,
		.size_bytes = size_bytes,
	};
	op_wait(&emulate->op);
	buffer_wait(reactor_buffers(emulate->channel->reactor), &emulate->waiter);
	return op_join(&emulate->op);
}

/* The same zeroed buffer again and again. Return: how many iovecs make up @piece_bytes. */
static uint32_t zeroes_iov_fill(struct emulate *emulate, uint32_t piece_bytes)
{
	const struct buffer *buffer = emulate->waiter.buffer;
	uint32_t count = 0;

	ASSERT(!emulate->is_compare);
	ASSERT(piece_bytes > 0);
	ASSERT(piece_bytes <= EMULATE_PIECE_BYTES);
	if (emulate->done_blocks == 0)
		memset(buffer->bytes, 0, SMALL_BUFFER_BYTES);
	while (piece_bytes > 0) {
		uint32_t part_bytes = piece_bytes;

		if (part_bytes > SMALL_BUFFER_BYTES)
			part_bytes = SMALL_BUFFER_BYTES;
		ASSERT(count < EMULATE_IOV_COUNT);
		emulate->piece_iov[count] = (struct iovec){buffer->bytes, part_bytes};
		piece_bytes -= part_bytes;
		count++;
	}
	return count;
}

static enum op_flow emulate_piece(struct emulate *emulate)
{
	struct bdev_io *io = &emulate->io;
	uint32_t block_bytes = emulate_block_bytes(emulate);
	uint64_t left_blocks = emulate->range.count - emulate->done_blocks;

	ASSERT(op_is_idle(&emulate->op));
	ASSERT(!emulate->is_cancelled);
	ASSERT(emulate->status == IO_OK);
	ASSERT(emulate->done_blocks < emulate->range.count);
	ASSERT(emulate->waiter.buffer != NULL);
	ASSERT(left_blocks > 0);
	emulate->piece_blocks = EMULATE_PIECE_BYTES / block_bytes;
	if (emulate->piece_blocks > left_blocks)
		emulate->piece_blocks = (uint32_t)left_blocks;
	io->parent = &emulate->op;
	io->type = emulate->is_compare ? IO_READ : IO_WRITE;
	io->is_fua = !emulate->is_compare && emulate->is_fua;
	io->range.first = emulate->range.first + emulate->done_blocks;
	io->range.count = emulate->piece_blocks;
	io->iov = emulate->piece_iov;
	if (emulate->is_compare) {
		emulate->piece_iov[0] = (struct iovec){emulate->waiter.buffer->bytes,
						       emulate->piece_blocks * block_bytes};
		io->iov_count = 1;
	} else {
		io->iov_count = zeroes_iov_fill(emulate, emulate->piece_blocks * block_bytes);
	}
	op_wait(&emulate->op);
	bdev_submit(emulate->channel, io);
	return op_join(&emulate->op);
}

/* Compares what was read with the iovecs, which are cut where they like. */
static bool piece_is_equal(const struct emulate *emulate)
{
	uint64_t skip_bytes = emulate->done_blocks * emulate_block_bytes(emulate);
	uint64_t left_bytes = (uint64_t)emulate->piece_blocks * emulate_block_bytes(emulate);
	const uint8_t *bytes = emulate->waiter.buffer->bytes;

	ASSERT(emulate->done_blocks + emulate->piece_blocks <= emulate->range.count);
	ASSERT(emulate->is_compare);
	ASSERT(left_bytes <= emulate->waiter.buffer->size_bytes);
	for (uint32_t i = 0; i < emulate->iov_count && left_bytes > 0; i++) {
		const struct iovec *iov = &emulate->iov[i];
		uint64_t part_bytes;

		if (skip_bytes >= iov->iov_len) {
			skip_bytes -= iov->iov_len;
			continue;
		}
		part_bytes = iov->iov_len - skip_bytes;
		if (part_bytes > left_bytes)
			part_bytes = left_bytes;
		if (memcmp(bytes, (const uint8_t *)iov->iov_base + skip_bytes, part_bytes) != 0)
			return false;
		bytes += part_bytes;
		left_bytes -= part_bytes;
		skip_bytes = 0;
	}
	ASSERT(left_bytes == 0);
	return true;
}

static enum emulate_step emulate_check(struct emulate *emulate)
{
	ASSERT(op_is_idle(&emulate->op));
	ASSERT(emulate->io.range.count == emulate->piece_blocks);
	ASSERT(emulate->status == IO_OK);
	ASSERT(emulate->piece_blocks > 0);

	emulate->status = emulate->io.status;
	if (emulate->status == IO_OK && emulate->is_compare && !piece_is_equal(emulate))
		emulate->status = IO_COMPARE_FAILED;
	if (emulate->status != IO_OK)
		return EMULATE_REPLY;
	emulate->done_blocks += emulate->piece_blocks;
	ASSERT(emulate->done_blocks <= emulate->range.count);
	return emulate->done_blocks == emulate->range.count ? EMULATE_REPLY : EMULATE_PIECE;
}

static void emulate_reply(struct emulate *emulate)
{
	ASSERT(op_is_idle(&emulate->op));
	ASSERT(emulate->done_blocks <= emulate->range.count);
	ASSERT(emulate->waiter.buffer != NULL);
	ASSERT(emulate->status != IO_OK || emulate->done_blocks == emulate->range.count);

	buffer_release(reactor_buffers(emulate->channel->reactor), emulate->waiter.buffer);
	emulate->waiter.buffer = NULL;
	op_done(emulate->parent);
}

static void emulate_run(struct op *op)
{
	struct emulate *emulate = container_of(op, struct emulate, op);

	for (;;) {
		if (emulate->is_cancelled && emulate->step == EMULATE_PIECE) {
			emulate->status = IO_ABORTED;
			emulate->step = EMULATE_REPLY;
		}
		switch ((enum emulate_step)emulate->step) {
		case EMULATE_BUFFER:
			emulate->step = EMULATE_PIECE;
			if (emulate_buffer(emulate) == OP_WAIT)
				return;
			break;
		case EMULATE_PIECE:
			emulate->step = EMULATE_CHECK;
			/* One piece a turn, also over a device that answers at once. */
			if (emulate_piece(emulate) == OP_NEXT)
				op_wake(op);
			return;
		case EMULATE_CHECK:
			emulate->step = emulate_check(emulate);
			break;
		case EMULATE_REPLY:
			emulate_reply(emulate); /* @emulate may be reused from here on */
			return;
		}
	}
}

static void emulate_start(struct emulate *emulate, bool is_compare)
{
	ASSERT(emulate->parent == NULL || emulate->parent->pending > 0);
	ASSERT(emulate->range.count > 0);
	ASSERT(block_range_is_within(emulate->range, emulate->channel->bdev->block_count));

	emulate->status = IO_OK;
	emulate->step = EMULATE_BUFFER;
	emulate->is_compare = is_compare;
	emulate->is_cancelled = false;
	emulate->done_blocks = 0;
	emulate->piece_blocks = 0;
	op_init(&emulate->op, reactor_late(emulate->channel->reactor), emulate_run);
	op_start(&emulate->op);
}

void emulate_write_zeroes_submit(struct emulate *emulate)
{
	emulate_start(emulate, false);
}

void emulate_compare_submit(struct emulate *emulate)
{
	ASSERT(emulate->iov != NULL);
	ASSERT(emulate->iov_count > 0);
	emulate_start(emulate, true);
}

void emulate_cancel(struct emulate *emulate)
{
	ASSERT(emulate->done_blocks <= emulate->range.count);
	ASSERT(emulate->channel != NULL);
	emulate->is_cancelled = true;
}
