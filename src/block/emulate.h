/* SPDX-License-Identifier: Apache-2.0 */
/* emulate.h - WRITE ZEROES and COMPARE for bdevs that cannot do them themselves.
 *
 * Zeroes are written from one zeroed buffer in pieces of EMULATE_PIECE_BYTES; a comparison reads
 * piece after piece and looks at the first difference. One buffer of the channel's reactor and one
 * I/O below at a time, whatever the length of the range.
 *
 * Neither is atomic: the caller keeps other writers off the range meanwhile (range_lock.h), which
 * matters above all for a comparison that decides about a write.
 */
#ifndef BLOCK_EMULATE_H
#define BLOCK_EMULATE_H

#include "block/bdev.h"
#include "reactor/buffer_pool.h"

#define EMULATE_PIECE_BYTES IO_BYTES_MAX
#define EMULATE_IOV_COUNT   (EMULATE_PIECE_BYTES / SMALL_BUFFER_BYTES)

/* Embed in the waiting operation. */
struct emulate {
	struct op *parent;	      /* gets one op_done() */
	struct bdev_channel *channel; /* open on the caller's reactor until done */
	struct block_range range;     /* within the bdev, not empty */
	bool is_fua;		      /* write zeroes: durable when done */
	const struct iovec *iov;      /* compare: range.count blocks to compare with */
	uint32_t iov_count;
	enum io_status status; /* when done; IO_COMPARE_FAILED: the blocks differ */
	/* private */
	struct op op;
	int step;
	bool is_compare;
	bool is_cancelled;
	uint64_t done_blocks;
	uint32_t piece_blocks;
	struct buffer_waiter waiter;
	struct iovec piece_iov[EMULATE_IOV_COUNT];
	struct bdev_io io;
};

/**
 * emulate_write_zeroes_submit - write zeroes over @emulate->range by plain writes
 * Neither fails nor calls back; op_wait(parent) before. Context: channel's reactor.
 */
void emulate_write_zeroes_submit(struct emulate *emulate);

/** The same for a comparison of @emulate->range with the iovecs (any alignment). */
void emulate_compare_submit(struct emulate *emulate);

/**
 * emulate_cancel - ask for an early end
 * op_done() still comes, after the piece in flight, with IO_ABORTED unless it was complete; a range
 * of zeroes may have been written in part.
 */
void emulate_cancel(struct emulate *emulate);

#endif
