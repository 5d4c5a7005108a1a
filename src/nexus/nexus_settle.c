/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_settle.c - makes children equal again in a range where they may differ.
 *
 * Two users. A write that failed on every child in sync: some may hold it in part, some not. And a
 * read that found a child unable to deliver blocks that another one could. In both, one child is
 * the source; every target is compared with it and written where it differs.
 *
 * The range is locked exclusively, so no write is in work on it; a write that failed gives its own
 * hold, so that nobody reads in between. Two segments of memory serve the whole nexus, so only one
 * of these runs at a time. Who waits for them may hold its range; who has them waits for no range.
 *
 * Invariants:
 *  1. A target that is not in failed_mask holds durably what the source holds, in all of the range.
 *  2. Nothing is written to the source.
 */
#include "nexus/nexus_impl.h"

#include <string.h>

#define SETTLE_BYTES_MAX (4u << 20) /* longer ranges are left to a rebuild */

enum settle_step {
	SETTLE_LOCK,	/* wait until no write is in the range */
	SETTLE_AREA,	/* and for the memory */
	SETTLE_SOURCE,	/* read a piece of the source */
	SETTLE_CHOOSE,	/* could it be read? else another one */
	SETTLE_COMPARE, /* read the same of the next target */
	SETTLE_WRITE,	/* write it where it differs */
	SETTLE_JUDGE,	/* did that work? next target, next piece, or the end */
	SETTLE_END,
};

static uint8_t *area_source(struct nexus *nexus)
{
	ASSERT(nexus->is_area_busy);
	return nexus->area;
}

static uint8_t *area_target(struct nexus *nexus)
{
	ASSERT(nexus->is_area_busy);
	return nexus->area + REBUILD_SEGMENT_BYTES;
}

void nexus_area_acquire(struct nexus *nexus, struct area_waiter *waiter)
{
	ASSERT(waiter->parent->pending > 0);
	ASSERT(nexus->is_area_busy || list_is_empty(&nexus->area_waiters));
	list_init(&waiter->link);
	if (nexus->is_area_busy) {
		REACHED("settle_waits_for_its_turn");
		list_push_back(&nexus->area_waiters, &waiter->link);
		return;
	}
	nexus->is_area_busy = true;
	op_done(waiter->parent);
}

void nexus_area_release(struct nexus *nexus)
{
	struct list_node *next = list_pop_front(&nexus->area_waiters);

	ASSERT(nexus->is_area_busy);
	if (next == NULL)
		nexus->is_area_busy = false;
	else
		op_done(list_entry(next, struct area_waiter, link)->parent);
}

static struct block_range settle_piece(const struct settle *settle)
{
	uint64_t piece_blocks = REBUILD_SEGMENT_BYTES / settle->nexus->block_bytes;
	struct block_range piece = {settle->range.first + settle->done_blocks,
				    settle->range.count - settle->done_blocks};

	ASSERT(settle->done_blocks < settle->range.count);
	ASSERT(piece.count > 0);
	if (piece.count > piece_blocks)
		piece.count = piece_blocks;
	return piece;
}

static enum op_flow settle_io(struct settle *settle, uint32_t slot, enum io_type type,
			      uint8_t *memory)
{
	struct nexus *nexus = settle->nexus;
	struct nexus_child *child = nexus_child_at(nexus, slot);
	struct block_range range = settle_piece(settle);

	ASSERT(type == IO_READ || type == IO_WRITE);
	ASSERT(op_is_idle(&settle->op));
	ASSERT(type == IO_READ || slot != settle->source);
	ASSERT(settle->lock->is_granted);
	ASSERT(nexus->is_area_busy);
	settle->iov = (struct iovec){memory, range.count * nexus->block_bytes};
	range.first += nexus->data_offset_blocks;
	settle->io = (struct bdev_io){.parent = &settle->op,
				      .type = type,
				      .is_fua = type == IO_WRITE,
				      .range = range,
				      .iov = &settle->iov,
				      .iov_count = 1,
				      .status = IO_DEVICE_GONE};
	if (child->channel == NULL)
		return OP_NEXT;
	op_wait(&settle->op);
	bdev_submit(child->channel, &settle->io);
	return op_join(&settle->op);
}

static enum op_flow settle_lock(struct settle *settle)
{
	ASSERT(op_is_idle(&settle->op));
	ASSERT(settle->step == SETTLE_AREA);
	if (settle->lock != &settle->own_lock)
		return OP_NEXT;
	settle->own_lock = (struct range_lock){
		.parent = &settle->op, .range = settle->range, .is_exclusive = true};
	range_lock(&settle->nexus->locks, &settle->own_lock);
	return op_join(&settle->op);
}

static enum op_flow settle_area(struct settle *settle)
{
	ASSERT(settle->step == SETTLE_SOURCE);
	ASSERT(settle->lock->is_granted);
	settle->area.parent = &settle->op;
	op_wait(&settle->op);
	nexus_area_acquire(settle->nexus, &settle->area);
	return op_join(&settle->op);
}

/* Only those that are still in service have to be made equal. */
static uint32_t settle_serving(const struct settle *settle, uint32_t mask)
{
	const struct nexus *nexus = settle->nexus;

	ASSERT(settle->lock->is_granted);
	return mask & (nexus->mask[CHILD_IN_SYNC] | nexus->mask[CHILD_SYNCING]);
}

/*
 * While this waited for the memory and the lock a source may have left service, and others have
 * gone on without it: what it holds is old by now. From the lock on the range stands still.
 */
static uint32_t settle_good_sources(const struct settle *settle)
{
	uint32_t in_sync = settle->nexus->mask[CHILD_IN_SYNC];

	ASSERT(settle->lock->is_granted);
	ASSERT(settle->source_mask != 0);
	return (settle->source_mask & in_sync) != 0 ? settle->source_mask & in_sync : in_sync;
}

static enum op_flow settle_source(struct settle *settle)
{
	ASSERT(settle->lock->is_granted);
	ASSERT(settle->source == NO_CHILD ||
	       (settle->source_mask & CHILD_BIT(settle->source)) != 0);
	if (settle->source == NO_CHILD) {
		uint32_t good = settle_good_sources(settle);

		/* Without any the volume has failed, and its last child holds what counts. */
		settle->source_mask = good != 0 ? good : settle->source_mask;
		settle->source = mask_first(settle->source_mask);
	}
	return settle_io(settle, settle->source, IO_READ, area_source(settle->nexus));
}

static enum settle_step settle_choose(struct settle *settle)
{
	uint32_t others = settle->source_mask & ~CHILD_BIT(settle->source);

	ASSERT(settle->lock->is_granted);
	ASSERT((settle->source_mask & CHILD_BIT(settle->source)) != 0);
	if (settle->io.status == IO_OK) {
		ASSERT((settle->failed_mask & CHILD_BIT(settle->source)) == 0);
		settle->target_left = settle_serving(settle, settle->target_mask) &
				      ~CHILD_BIT(settle->source) & ~settle->failed_mask;
		return SETTLE_COMPARE;
	}
	/* Before anything was copied another source is as good. */
	if (settle->done_blocks == 0 && others != 0) {
		ASSERT(settle->failed_mask == 0);
		/* Once in thousands of seeds; seeds of disk-errors and disk-full alone pass it. */
		COUNT_IF(settle->io.status != IO_OK, "settle_takes_another_source");
		settle->source_mask = others;
		settle->source = mask_first(others);
		return SETTLE_SOURCE;
	}
	settle->failed_mask = settle->target_mask & ~CHILD_BIT(settle->source);
	return SETTLE_END;
}

static enum op_flow settle_compare(struct settle *settle)
{
	ASSERT((settle->target_left & CHILD_BIT(settle->source)) == 0);
	ASSERT((settle->target_left & ~settle->target_mask) == 0);
	ASSERT((settle->target_left & settle->failed_mask) == 0);
	settle->target = NO_CHILD;
	if (settle->target_left == 0)
		return OP_NEXT;
	settle->target = mask_first(settle->target_left);
	settle->target_left &= ~CHILD_BIT(settle->target);
	return settle_io(settle, settle->target, IO_READ, area_target(settle->nexus));
}

static enum op_flow settle_write(struct settle *settle)
{
	size_t size_bytes = settle->iov.iov_len;

	ASSERT(settle->lock->is_granted);
	ASSERT(settle->target != settle->source);
	ASSERT(size_bytes > 0);
	ASSERT(size_bytes <= REBUILD_SEGMENT_BYTES);
	if (settle->target == NO_CHILD)
		return OP_NEXT;
	if (settle->io.status == IO_OK &&
	    memcmp(area_source(settle->nexus), area_target(settle->nexus), size_bytes) == 0)
		return OP_NEXT;
	return settle_io(settle, settle->target, IO_WRITE, area_source(settle->nexus));
}

static enum settle_step settle_judge(struct settle *settle)
{
	ASSERT(settle->lock->is_granted);
	ASSERT(op_is_idle(&settle->op));
	ASSERT(settle->done_blocks < settle->range.count);
	if (settle->target != NO_CHILD) {
		if (settle->io.status != IO_OK)
			settle->failed_mask |= CHILD_BIT(settle->target);
		return SETTLE_COMPARE;
	}
	settle->done_blocks += settle_piece(settle).count;
	return settle->done_blocks < settle->range.count ? SETTLE_SOURCE : SETTLE_END;
}

static void settle_end(struct settle *settle)
{
	ASSERT(settle->lock->is_granted);
	ASSERT(op_is_idle(&settle->op));
	ASSERT(settle->done_blocks == settle->range.count ||
	       settle->failed_mask == (settle->target_mask & ~CHILD_BIT(settle->source)));
	ASSERT((settle->failed_mask & ~settle->target_mask) == 0);
	ASSERT((settle->failed_mask & CHILD_BIT(settle->source)) == 0);
	if (settle->lock == &settle->own_lock)
		range_unlock(&settle->nexus->locks, &settle->own_lock);
	nexus_area_release(settle->nexus);
	op_done(settle->parent);
}

static void settle_run(struct op *op)
{
	struct settle *settle = container_of(op, struct settle, op);

	for (;;) {
		switch ((enum settle_step)settle->step) {
		case SETTLE_LOCK:
			settle->step = SETTLE_AREA;
			if (settle_lock(settle) == OP_WAIT)
				return;
			break;
		case SETTLE_AREA:
			settle->step = SETTLE_SOURCE;
			if (settle_area(settle) == OP_WAIT)
				return;
			break;
		case SETTLE_SOURCE:
			settle->step = SETTLE_CHOOSE;
			if (settle_source(settle) == OP_WAIT)
				return;
			break;
		case SETTLE_CHOOSE:
			settle->step = settle_choose(settle);
			break;
		case SETTLE_COMPARE:
			settle->step = SETTLE_WRITE;
			if (settle_compare(settle) == OP_WAIT)
				return;
			break;
		case SETTLE_WRITE:
			settle->step = SETTLE_JUDGE;
			if (settle_write(settle) == OP_WAIT)
				return;
			break;
		case SETTLE_JUDGE:
			settle->step = settle_judge(settle);
			break;
		case SETTLE_END:
			settle_end(settle); /* @settle may be reused from here on */
			return;
		}
	}
}

void nexus_settle_submit(struct nexus *nexus, struct settle *settle)
{
	ASSERT(settle->parent->pending > 0);
	ASSERT(block_range_is_within(settle->range, nexus->block_count));
	ASSERT(settle->source_mask != 0);
	ASSERT(settle->range.count > 0);

	settle->nexus = nexus;
	settle->step = SETTLE_LOCK;
	if (settle->lock == NULL)
		settle->lock = &settle->own_lock;
	ASSERT(settle->lock == &settle->own_lock || settle->lock->is_granted);
	settle->source = NO_CHILD;
	settle->failed_mask = 0;
	settle->done_blocks = 0;
	op_init(&settle->op, reactor_ready(nexus->home), settle_run);
	if (settle->range.count > SETTLE_BYTES_MAX / nexus->block_bytes) {
		settle->source = mask_first(settle->source_mask);
		settle->failed_mask = settle->target_mask & ~CHILD_BIT(settle->source);
		op_done(settle->parent);
		return;
	}
	op_start(&settle->op);
}
