/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_write.c - the life of what changes a volume: write, zeroes, unmap, and flush.
 *
 * Every child in service gets it: those in sync, and those being brought level. It is done when
 * all have answered. If some in sync failed, they lose their place, and the answer waits until the
 * durable record says so. If all in sync failed, the host gets the error; since some of them may
 * hold part of the write, they are made equal again (nexus_settle.c), and those that cannot be
 * lose their place to the one that was the source. The last child in sync never loses its place.
 *
 * What the error of one child means:
 *
 *	reservation conflict	the nexus was fenced off: it stops itself, no child is blamed
 *	any other		that child has missed the write, whatever the reason
 *
 * That all report no space takes nobody out of service as long as they are found equal.
 *
 * Writes that overlap must reach all children in one order, else the copies differ for good. Two
 * that cannot overlap are told apart by a small table of counters, and share the lock; a write
 * that may overlap another takes its range exclusively and waits for that one.
 *
 * Invariants:
 *  1. When a write is answered as done, every child that the durable record, or one that may have
 *     become durable, calls healthy has it.
 *  2. A child that is not in service has the segments in its map that were written since.
 *  3. From the loss of a child until that is recorded nothing is answered as done, not even what
 *     that child has: the others were flushed before it (nexus_flush.c).
 *  4. Who has the memory of the nexus waits for no range.
 */
#include "nexus/nexus_impl.h"

#include "base/planted.h"

enum write_step {
	WRITE_LOCK,   /* wait until the rebuild and overlapping writes have left the range */
	WRITE_SUBMIT, /* one to every child that must have it */
	WRITE_JUDGE,  /* all have answered: who failed? */
	WRITE_SETTLE, /* all in sync did: make them equal */
	WRITE_BLAME,  /* who could not be made equal loses its place */
	WRITE_RECORD, /* wait until what was missed is in the durable record */
	WRITE_RECORDED,
	WRITE_REPLY,
};

static enum op_flow write_lock(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;

	ASSERT(nio->step == WRITE_SUBMIT);
	ASSERT(op_is_idle(&nio->op));
	ASSERT(!nio->is_locked);
	if (nio->io->type == IO_FLUSH)
		return OP_NEXT;
	nio->is_locked = true;
	nio->lock = (struct range_lock){.parent = &nio->op,
					.range = nio->io->range,
					.is_exclusive = nexus_overlap_enter(nexus, nio->io->range)};
	range_lock(&nexus->locks, &nio->lock);
	return op_join(&nio->op);
}

static void write_unlock(struct nexus_io *nio)
{
	if (!nio->is_locked)
		return;
	ASSERT(nio->lock.is_granted);
	ASSERT(nio->io->type != IO_FLUSH);
	nio->is_locked = false;
	nexus_overlap_leave(nio->nexus, nio->io->range);
	range_unlock(&nio->nexus->locks, &nio->lock);
	ASSERT(!nio->lock.is_granted);
}

/* A child that cannot unmap so that zeroes are read gets zeroes written. */
static enum io_type write_type(const struct bdev *bdev, enum io_type type)
{
	ASSERT(type != IO_READ);
	ASSERT(type != IO_COMPARE);
	if (type == IO_UNMAP && !(bdev->can_unmap && bdev->reads_zero_after_unmap))
		return IO_WRITE_ZEROES;
	return type;
}

static bool write_is_last(const struct nexus_io *nio, uint32_t slot)
{
	return (nio->asked & ~CHILD_BIT(slot)) < CHILD_BIT(slot) && mask_count(nio->asked) > 1;
}

/* Planted bugs that leave out the last child. */
static bool write_is_planted(const struct nexus_io *nio, uint32_t slot)
{
	enum io_type type = nio->io->type;

	return write_is_last(nio, slot) &&
	       ((PLANTED(ZEROES_SKIP_A_CHILD) && type == IO_WRITE_ZEROES) ||
		(PLANTED(UNMAP_SKIPS_A_CHILD) && type == IO_UNMAP) ||
		(PLANTED(FLUSH_SKIPS_A_CHILD) && type == IO_FLUSH));
}

static void write_submit_child(struct nexus_io *nio, uint32_t slot)
{
	struct nexus_child *child = nexus_child_at(nio->nexus, slot);
	struct bdev_io *child_io = &nio->child_io[slot];

	ASSERT((nio->asked & CHILD_BIT(slot)) != 0);
	ASSERT(nio->io->type == IO_FLUSH || nio->lock.is_granted);
	ASSERT(child->phase == CHILD_IN_SYNC || child->phase == CHILD_SYNCING);
	ASSERT(child->phase == CHILD_IN_SYNC || child->channel != NULL);
	child_io->status = IO_DEVICE_GONE;
	if (child->channel == NULL)
		return;
	child_io->parent = &nio->op;
	child_io->type = write_type(child->channel->bdev, nio->io->type);
	child_io->is_fua = nio->io->is_fua;
	child_io->range = nio->io->range;
	if (nio->io->type != IO_FLUSH)
		child_io->range.first += nio->nexus->data_offset_blocks;
	child_io->iov = nio->io->iov;
	child_io->iov_count = nio->io->iov_count;
	if (write_is_planted(nio, slot)) {
		child_io->status = IO_OK;
		return;
	}
	if (PLANTED(FUA_DROPPED))
		child_io->is_fua = false;
	if (PLANTED(ANSWER_BEFORE_LAST_CHILD) && write_is_last(nio, slot)) {
		child_io->parent = NULL;
		child_io->status = IO_OK;
	} else {
		op_wait(&nio->op);
	}
	bdev_submit(child->channel, child_io);
}

static enum op_flow write_submit(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;

	ASSERT(nio->failed == 0);
	ASSERT(op_is_idle(&nio->op));
	ASSERT(nio->is_locked == (nio->io->type != IO_FLUSH));
	ASSERT(nio->asked == 0);
	ASSERT((nio->asked & (nexus->mask[CHILD_LOSING] | nexus->mask[CHILD_FAULTED])) == 0);
	ASSERT(nexus->mask[CHILD_IN_SYNC] != 0);
	if (nexus->is_fenced)
		return OP_NEXT;
	nio->asked = nexus->mask[CHILD_IN_SYNC] |
		     (PLANTED(SYNCING_CHILD_NOT_WRITTEN) ? 0 : nexus->mask[CHILD_SYNCING]);
	if (nio->io->type == IO_FLUSH && nexus_recent_begin_flush(nexus))
		nexus->flush_owner = nio;
	for_each_child (nexus, nio->asked, slot)
		write_submit_child(nio, slot);
	return op_join(&nio->op);
}

static bool write_child_failed(struct nexus_io *nio, uint32_t slot)
{
	enum io_status status = nio->child_io[slot].status;
	const struct bdev_channel *channel = nexus_child_at(nio->nexus, slot)->channel;

	ASSERT((nio->asked & CHILD_BIT(slot)) != 0);
	ASSERT((unsigned)status <= IO_INTERNAL_ERROR);
	if (PLANTED(CHILD_ERROR_IGNORED))
		return false;
	/* A device without a cache has nothing to flush, whatever it says. */
	if (nio->io->type == IO_FLUSH && status == IO_UNSUPPORTED && channel != NULL)
		return channel->bdev->has_volatile_cache;
	return status != IO_OK;
}

/* All in sync failed: no space only if all agree, else what the first other one says. */
static enum io_status write_error(const struct nexus_io *nio, uint32_t bad)
{
	enum io_status status = IO_NO_SPACE;

	ASSERT(bad != 0);
	ASSERT((bad & ~nio->failed) == 0);
	for_each_child (nio->nexus, bad, slot) {
		if (nio->child_io[slot].status != IO_NO_SPACE)
			status = nio->child_io[slot].status;
	}
	ASSERT(status != IO_OK);
	return status;
}

static void write_fault(struct nexus_io *nio, uint32_t slot)
{
	struct nexus_child *child = nexus_child_at(nio->nexus, slot);
	enum nexus_child_reason reason = nexus_child_reason_of(nio->child_io[slot].status);

	ASSERT((nio->asked & CHILD_BIT(slot)) != 0);
	if (child->phase == CHILD_SYNCING && reason != NEXUS_REASON_NO_SPACE)
		reason = NEXUS_REASON_REBUILD_FAILED;
	nexus_child_fault(child, reason);
}

static enum write_step write_judge(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;
	uint32_t in_sync = nexus->mask[CHILD_IN_SYNC];
	uint32_t good, bad;

	ASSERT(op_is_idle(&nio->op));
	ASSERT(nio->is_locked == (nio->io->type != IO_FLUSH));
	ASSERT(nio->failed == 0);
	ASSERT(nio->status == IO_OK);
	for_each_child (nexus, nio->asked, slot) {
		if (!write_child_failed(nio, slot))
			continue;
		nio->failed |= CHILD_BIT(slot);
		if (nio->child_io[slot].status == IO_RESERVATION_CONFLICT)
			nexus_fence_self(nexus, "a child answered with a reservation conflict");
	}
	if (nexus->is_fenced) {
		nio->status = IO_NOT_READY;
		return WRITE_REPLY;
	}
	ASSERT((in_sync & ~nio->asked) == 0);
	ASSERT((nio->failed & ~nio->asked) == 0);
	good = in_sync & ~nio->failed;
	bad = in_sync & nio->failed;
	ASSERT((good | bad) == in_sync);
	ASSERT(in_sync != 0);
	for_each_child (nexus, nio->failed & nexus->mask[CHILD_SYNCING], slot)
		write_fault(nio, slot);
	if (good == 0) {
		ASSERT(bad == in_sync);
		nio->status = write_error(nio, bad);
		return nio->io->type == IO_FLUSH ? WRITE_RECORD : WRITE_SETTLE;
	}
	for_each_child (nexus, bad, slot)
		write_fault(nio, slot);
	return WRITE_RECORD;
}

/* Every child in sync has failed; those being brought level may have the write, too. */
static enum op_flow write_settle(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;
	struct settle *settle = &nio->settle;

	ASSERT(nio->is_locked);
	ASSERT((nio->failed & nexus->mask[CHILD_IN_SYNC]) == nexus->mask[CHILD_IN_SYNC]);
	ASSERT(nio->status != IO_OK);
	ASSERT(nio->io->type != IO_FLUSH);
	/*
	 * The hold goes on: a read that came in between could see what is then undone. A shared one
	 * does, since everybody else who may overlap it wants the range exclusively.
	 */
	settle->lock = &nio->lock;
	settle->parent = &nio->op;
	settle->range = nio->io->range;
	settle->source_mask = nexus->mask[CHILD_IN_SYNC];
	settle->target_mask = nexus->mask[CHILD_IN_SYNC] | nexus->mask[CHILD_SYNCING];
	ASSERT((settle->target_mask & ~nio->asked) == 0);
	ASSERT(settle->source_mask != 0);
	settle->failed_mask = 0;
	if (mask_count(settle->target_mask) == 1 || PLANTED(SETTLE_SKIPPED))
		return OP_NEXT;
	REACHED("nexus_write_settle");
	op_wait(&nio->op);
	nexus_settle_submit(nexus, settle);
	return op_join(&nio->op);
}

static void write_blame(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;
	uint32_t serving = nexus->mask[CHILD_IN_SYNC] | nexus->mask[CHILD_SYNCING];

	ASSERT(op_is_idle(&nio->op));
	ASSERT(nio->status != IO_OK);
	ASSERT(nio->is_locked);
	for_each_child (nexus, nio->settle.failed_mask & serving, slot) {
		if (!nexus_child_is_last(nexus_child_at(nexus, slot)))
			write_fault(nio, slot);
	}
	ASSERT(mask_count(nexus->mask[CHILD_IN_SYNC]) > 0);
}

/* What those out of service have missed; and what is not yet flushed. */
static void write_mark(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;

	ASSERT(nio->io->type != IO_FLUSH);
	ASSERT(nexus->mask[CHILD_IN_SYNC] != 0);
	for_each_child (nexus, nexus_mask_unserved(nexus), slot) {
		if (nexus->children[slot].stale != NULL && !PLANTED(MISSED_WRITE_NOT_MARKED))
			nexus_map_mark(nexus, nexus->children[slot].stale, nio->io->range);
	}
	nexus_recent_mark(nexus, nio->io->range);
}

static void write_flushed(struct nexus_io *nio)
{
	ASSERT(nio->io->type == IO_FLUSH);
	if (nio->nexus->flush_owner != nio)
		return;
	ASSERT(nio->nexus->has_cache);
	nio->nexus->flush_owner = NULL;
	if (nio->status == IO_OK || PLANTED(MAP_CLEARED_EARLY))
		nexus_recent_flushed(nio->nexus);
}

static enum op_flow write_record(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;
	uint64_t change;

	ASSERT(op_is_idle(&nio->op));
	if (nio->io->type == IO_FLUSH)
		write_flushed(nio);
	else
		write_mark(nio);
	/* Those that still count are equal now: nobody else has to wait for the store. */
	write_unlock(nio);
	change = membership_loss_to_await(nexus);
	ASSERT(!nio->is_locked);
	nio->waiter.result = RECORD_WAIT_OK;
	if (change == 0 || PLANTED(LOSS_NOT_AWAITED))
		return OP_NEXT;
	REACHED("write_waits_for_record");
	nio->waiter.parent = &nio->op;
	nio->waiter.change = change;
	op_wait(&nio->op);
	membership_wait(nexus, &nio->waiter);
	return op_join(&nio->op);
}

static void write_recorded(struct nexus_io *nio)
{
	ASSERT(op_is_idle(&nio->op));
	ASSERT(!nio->is_locked);
	switch (nio->waiter.result) {
	case RECORD_WAIT_OK:
		break;
	case RECORD_WAIT_EXPIRED:
		REACHED("nexus_write_not_recorded");
		nio->status = IO_NOT_RECORDED;
		break;
	case RECORD_WAIT_FENCED:
		nio->status = IO_NOT_READY;
		break;
	}
	ASSERT(nio->waiter.result == RECORD_WAIT_OK || nio->status != IO_OK);
}

/* The whole life of a mirrored write: entered once to start, then once per wake-up. */
void nexus_write_run(struct op *op)
{
	struct nexus_io *nio = container_of(op, struct nexus_io, op);

	for (;;) {
		switch ((enum write_step)nio->step) {
		case WRITE_LOCK:
			nio->step = WRITE_SUBMIT;
			if (write_lock(nio) == OP_WAIT)
				return;
			break;
		case WRITE_SUBMIT:
			nio->step = WRITE_JUDGE;
			if (write_submit(nio) == OP_WAIT)
				return;
			break;
		case WRITE_JUDGE:
			nio->step = write_judge(nio);
			break;
		case WRITE_SETTLE:
			nio->step = WRITE_BLAME;
			if (write_settle(nio) == OP_WAIT)
				return;
			break;
		case WRITE_BLAME:
			nio->step = WRITE_RECORD;
			write_blame(nio);
			break;
		case WRITE_RECORD:
			nio->step = WRITE_RECORDED;
			if (write_record(nio) == OP_WAIT)
				return;
			break;
		case WRITE_RECORDED:
			nio->step = WRITE_REPLY;
			write_recorded(nio);
			break;
		case WRITE_REPLY:
			write_unlock(nio);
			if (nio->nexus->flush_owner == nio)
				nio->nexus->flush_owner = NULL;
			nexus_io_finish(nio); /* @nio may be reused from here on */
			return;
		}
	}
}
