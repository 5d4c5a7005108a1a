/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_read.c - reads and comparisons, each from one child in sync.
 *
 * A local child is preferred, then the one that has answered fastest; now and then another one is
 * asked, so that a child which was slow once gets a new chance. A child that cannot deliver is
 * followed by another; if the reason was damage, what the other one delivered is written back,
 * else the child loses its place. The last child in sync keeps its place, and the host gets the
 * error.
 *
 * While a write is in work its copies differ. A read of those blocks waits for it, so that nobody
 * who has seen the new data sees the old again.
 *
 * Invariants:
 *  1. Only children in sync are read. A child that is losing its place is not, at once, and what it
 *     still answers is not passed on.
 *  2. A comparison holds its range exclusively, so no write comes between it and its answer.
 */
#include "nexus/nexus_impl.h"

#include "base/planted.h"

#include <string.h>

#define LATENCY_WEIGHT	   8  /* of the past in the moving average */
#define READ_EXPLORE_TURNS 64 /* every so many reads ask the next child in turn */

enum read_step {
	READ_ORDER,  /* after the writes of these blocks that are in work */
	READ_SUBMIT, /* to the best child that was not tried */
	READ_JUDGE,  /* done, another one, or repair */
	READ_REPAIR, /* write good data over damaged */
	READ_BLAME,
	READ_REPLY,
};

enum compare_step {
	COMPARE_LOCK, /* keep writers out */
	COMPARE_AREA, /* memory to read to */
	COMPARE_SUBMIT,
	COMPARE_JUDGE,
	COMPARE_REPLY,
};

static enum op_flow read_order(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;

	ASSERT(nio->step == READ_SUBMIT);
	ASSERT(nio->tried == 0);
	ASSERT(nio->io->type == IO_READ);
	ASSERT(!nio->is_locked);
	if (!nexus_overlap_is_possible(nexus, nio->io->range))
		return OP_NEXT;
	nio->is_locked = true;
	REACHED("read_waits_for_writes");
	nio->lock = (struct range_lock){
		.parent = &nio->op, .range = nio->io->range, .is_exclusive = true};
	range_lock(&nexus->locks, &nio->lock);
	return op_join(&nio->op);
}

/* Before a repair too, which takes the range itself. */
static void read_unlock(struct nexus_io *nio)
{
	ASSERT(!nio->is_locked || nio->lock.is_granted);
	if (nio->is_locked)
		range_unlock(&nio->nexus->locks, &nio->lock);
	nio->is_locked = false;
}

static bool read_is_better(const struct nexus_child *one, const struct nexus_child *other)
{
	bool is_one_local = one->channel->bdev->is_local;

	ASSERT(one != other);
	ASSERT(one->phase == CHILD_IN_SYNC);
	ASSERT(other->phase == CHILD_IN_SYNC);
	if (is_one_local != other->channel->bdev->is_local)
		return is_one_local;
	return one->latency_ns < other->latency_ns;
}

static uint32_t read_choose(struct nexus *nexus, uint32_t tried)
{
	uint32_t best = NO_CHILD;

	for_each_child (nexus, nexus->mask[CHILD_IN_SYNC] & ~tried, slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->channel == NULL)
			continue;
		if (best == NO_CHILD || read_is_better(child, nexus_child_at(nexus, best)))
			best = slot;
	}
	ASSERT(best == NO_CHILD || (tried & CHILD_BIT(best)) == 0);
	ASSERT(best == NO_CHILD || nexus->children[best].channel->reactor == nexus->home);
	return best;
}

/* Another one that is as near as @best, in turn. */
static uint32_t read_explore(struct nexus *nexus, uint32_t tried, uint32_t best)
{
	uint32_t mask = nexus->mask[CHILD_IN_SYNC] & ~tried;
	bool is_local = nexus->children[best].channel->bdev->is_local;
	uint32_t start = nexus->read_turn / READ_EXPLORE_TURNS;

	ASSERT(best < NEXUS_CHILDREN_MAX);
	ASSERT((mask & CHILD_BIT(best)) != 0);
	for (uint32_t i = 0; i < NEXUS_CHILDREN_MAX; i++) {
		uint32_t slot = (start + i) % NEXUS_CHILDREN_MAX;
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if ((mask & CHILD_BIT(slot)) != 0 && child->channel != NULL &&
		    child->channel->bdev->is_local == is_local)
			return slot;
	}
	return best;
}

static uint32_t read_pick(struct nexus *nexus, uint32_t tried)
{
	uint32_t slot = read_choose(nexus, tried);

	if (slot == NO_CHILD || ++nexus->read_turn % READ_EXPLORE_TURNS != 0)
		return slot;
	return read_explore(nexus, tried, slot);
}

static enum op_flow read_submit(struct nexus_io *nio, const struct iovec *iov, uint32_t iov_count)
{
	struct nexus *nexus = nio->nexus;
	struct bdev_io *child_io;
	struct block_range range = nio->io->range;

	ASSERT(op_is_idle(&nio->op));
	ASSERT(iov_count > 0);
	ASSERT(!nio->is_locked || nio->lock.is_granted);
	nio->slot = nexus->is_fenced ? NO_CHILD : read_pick(nexus, nio->tried);
	if (nio->slot == NO_CHILD)
		return OP_NEXT;
	ASSERT((nio->tried & CHILD_BIT(nio->slot)) == 0);
	ASSERT(nexus->children[nio->slot].phase == CHILD_IN_SYNC);
	if (PLANTED(SYNCING_CHILD_READ) && nexus->mask[CHILD_SYNCING] != 0)
		nio->slot = mask_first(nexus->mask[CHILD_SYNCING]);
	if (PLANTED(LOSING_CHILD_READ) && nexus->mask[CHILD_LOSING] != 0)
		nio->slot = mask_first(nexus->mask[CHILD_LOSING]);
	child_io = &nio->child_io[nio->slot];
	range.first += nexus->data_offset_blocks;
	/* Not the whole struct: the driver's part of it is large, and nobody's before submission.
	 */
	child_io->parent = &nio->op;
	child_io->type = IO_READ;
	child_io->is_fua = false;
	child_io->range = range;
	child_io->iov = iov;
	child_io->iov_count = iov_count;
	child_io->status = IO_DEVICE_GONE;
	op_wait(&nio->op);
	bdev_submit(nexus->children[nio->slot].channel, child_io);
	return op_join(&nio->op);
}

static void read_measure(struct nexus_child *child, const struct bdev_io *child_io)
{
	uint64_t now_ns = reactor_now_ns(child->nexus->home);
	uint64_t latency_ns = now_ns - child_io->submitted_ns;

	ASSERT(child_io->status == IO_OK);
	ASSERT(now_ns >= child_io->submitted_ns);
	child->latency_ns += latency_ns / LATENCY_WEIGHT;
	child->latency_ns -= child->latency_ns / LATENCY_WEIGHT;
}

static void read_failed(struct nexus_io *nio, enum io_status status)
{
	struct nexus *nexus = nio->nexus;
	struct nexus_child *child = nexus_child_at(nexus, nio->slot);

	ASSERT((nio->tried & CHILD_BIT(nio->slot)) == 0);
	ASSERT(status != IO_OK);
	ASSERT(nio->slot != NO_CHILD);
	nio->tried |= CHILD_BIT(nio->slot);
	nio->status = status;
	switch (status) {
	case IO_MEDIUM_ERROR:
	case IO_INTEGRITY_ERROR:
		nio->damaged |= CHILD_BIT(nio->slot);
		break;
	case IO_RESERVATION_CONFLICT:
		nexus_fence_self(nexus, "a child answered with a reservation conflict");
		break;
	case IO_UNSUPPORTED:
	case IO_INVALID: /* the request is to blame */
		break;
	case IO_OK:
	case IO_NO_SPACE:
	case IO_DEVICE_GONE:
	case IO_TIMED_OUT:
	case IO_ABORTED:
	case IO_COMPARE_FAILED:
	case IO_NOT_RECORDED:
	case IO_READ_ONLY:
	case IO_NOT_READY:
	case IO_INTERNAL_ERROR:
		if (child->phase == CHILD_IN_SYNC && !nexus_child_is_last(child))
			nexus_child_fault(child, nexus_child_reason_of(status));
		break;
	}
}

static enum read_step read_judge(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;
	enum io_status status;

	ASSERT(nio->slot == NO_CHILD || (nio->tried & CHILD_BIT(nio->slot)) == 0);
	ASSERT(op_is_idle(&nio->op));
	ASSERT((nio->damaged & ~nio->tried) == 0);
	if (nexus->is_fenced) {
		nio->status = IO_NOT_READY;
		return READ_REPLY;
	}
	if (nio->slot == NO_CHILD) {
		if (nio->status == IO_OK)
			nio->status = IO_DEVICE_GONE; /* none of those in sync is open */
		REACHED("read_has_no_child_left");
		return READ_REPLY;
	}
	status = nio->child_io[nio->slot].status;
	if (status != IO_OK) {
		read_failed(nio, status);
		return READ_SUBMIT;
	}
	if (nexus->children[nio->slot].phase != CHILD_IN_SYNC) {
		/* It left meanwhile: its machine may be one that lost what it had answered. */
		REACHED("nexus_read_of_one_who_left");
		nio->tried |= CHILD_BIT(nio->slot);
		nio->status = IO_DEVICE_GONE;
		return READ_SUBMIT;
	}
	read_measure(nexus_child_at(nexus, nio->slot), &nio->child_io[nio->slot]);
	nio->status = IO_OK;
	return nio->damaged == 0 ? READ_REPLY : READ_REPAIR;
}

static enum op_flow read_repair(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;
	struct settle *settle = &nio->settle;

	ASSERT(!nio->is_locked);
	ASSERT(op_is_idle(&nio->op));
	ASSERT(nio->damaged != 0);
	ASSERT(nio->status == IO_OK);
	ASSERT((nio->damaged & CHILD_BIT(nio->slot)) == 0);
	settle->parent = &nio->op;
	settle->lock = NULL;
	settle->range = nio->io->range;
	settle->source_mask = CHILD_BIT(nio->slot);
	settle->target_mask = nio->damaged & nexus->mask[CHILD_IN_SYNC];
	ASSERT((settle->target_mask & settle->source_mask) == 0);
	settle->failed_mask = 0;
	if (settle->target_mask == 0 || nexus->children[nio->slot].phase != CHILD_IN_SYNC)
		return OP_NEXT;
	REACHED("nexus_read_repair");
	op_wait(&nio->op);
	nexus_settle_submit(nexus, settle);
	return op_join(&nio->op);
}

static void read_blame(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;

	for_each_child (nexus, nio->settle.failed_mask & nexus->mask[CHILD_IN_SYNC], slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (!nexus_child_is_last(child) && !nexus->is_fenced)
			nexus_child_fault(child, NEXUS_REASON_IO_FAILURE);
	}
}

void nexus_read_run(struct op *op)
{
	struct nexus_io *nio = container_of(op, struct nexus_io, op);

	for (;;) {
		switch ((enum read_step)nio->step) {
		case READ_ORDER:
			nio->step = READ_SUBMIT;
			if (read_order(nio) == OP_WAIT)
				return;
			break;
		case READ_SUBMIT:
			nio->step = READ_JUDGE;
			if (read_submit(nio, nio->io->iov, nio->io->iov_count) == OP_WAIT)
				return;
			break;
		case READ_JUDGE:
			nio->step = read_judge(nio);
			break;
		case READ_REPAIR:
			nio->step = READ_BLAME;
			read_unlock(nio);
			if (read_repair(nio) == OP_WAIT)
				return;
			break;
		case READ_BLAME:
			nio->step = READ_REPLY;
			read_blame(nio);
			break;
		case READ_REPLY:
			read_unlock(nio);
			nexus_io_finish(nio); /* @nio may be reused from here on */
			return;
		}
	}
}

/* Comparison. */

static enum op_flow compare_lock(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;

	ASSERT(nio->step == COMPARE_AREA);
	ASSERT(nio->io->range.count * nexus->block_bytes <= REBUILD_SEGMENT_BYTES);
	ASSERT(op_is_idle(&nio->op));
	nio->lock = (struct range_lock){
		.parent = &nio->op, .range = nio->io->range, .is_exclusive = true};
	range_lock(&nexus->locks, &nio->lock);
	return op_join(&nio->op);
}

static enum op_flow compare_area(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;

	ASSERT(nio->io->type == IO_COMPARE);
	ASSERT(nio->lock.is_granted);
	ASSERT(!nio->is_locked);
	nio->iov = (struct iovec){nexus->area, nio->io->range.count * nexus->block_bytes};
	nio->settle.area.parent = &nio->op;
	op_wait(&nio->op);
	nexus_area_acquire(nexus, &nio->settle.area);
	return op_join(&nio->op);
}

static bool compare_is_equal(const struct nexus_io *nio)
{
	const uint8_t *bytes = nio->nexus->area;

	ASSERT(nio->lock.is_granted);
	ASSERT(nio->lock.is_exclusive);
	ASSERT(nio->nexus->is_area_busy);
	if (PLANTED(COMPARE_ALWAYS_EQUAL))
		return true;
	for (uint32_t i = 0; i < nio->io->iov_count; i++) {
		const struct iovec *iov = &nio->io->iov[i];

		if (memcmp(bytes, iov->iov_base, iov->iov_len) != 0)
			return false;
		bytes += iov->iov_len;
	}
	ASSERT(bytes == nio->nexus->area + nio->iov.iov_len);
	return true;
}

static enum compare_step compare_judge(struct nexus_io *nio)
{
	ASSERT(nio->lock.is_granted);
	ASSERT(nio->nexus->is_area_busy);
	switch (read_judge(nio)) {
	case READ_SUBMIT:
		return COMPARE_SUBMIT;
	case READ_REPAIR: /* left to a read */
	case READ_ORDER:
	case READ_JUDGE:
	case READ_BLAME:
	case READ_REPLY:
		break;
	}
	if (nio->status == IO_OK && !compare_is_equal(nio))
		nio->status = IO_COMPARE_FAILED;
	return COMPARE_REPLY;
}

static void compare_reply(struct nexus_io *nio)
{
	ASSERT(nio->nexus->is_area_busy);
	ASSERT(!nio->is_locked);
	range_unlock(&nio->nexus->locks, &nio->lock);
	nexus_area_release(nio->nexus);
	nexus_io_finish(nio); /* @nio may be reused from here on */
}

void nexus_compare_run(struct op *op)
{
	struct nexus_io *nio = container_of(op, struct nexus_io, op);

	if (nio->io->range.count > IO_BYTES_MAX / nio->nexus->block_bytes) {
		nio->status = IO_INVALID;
		nexus_io_finish(nio);
		return;
	}
	for (;;) {
		switch ((enum compare_step)nio->step) {
		case COMPARE_LOCK:
			nio->step = COMPARE_AREA;
			if (compare_lock(nio) == OP_WAIT)
				return;
			break;
		case COMPARE_AREA:
			nio->step = COMPARE_SUBMIT;
			if (compare_area(nio) == OP_WAIT)
				return;
			break;
		case COMPARE_SUBMIT:
			nio->step = COMPARE_JUDGE;
			if (read_submit(nio, &nio->iov, 1) == OP_WAIT)
				return;
			break;
		case COMPARE_JUDGE:
			nio->step = compare_judge(nio);
			break;
		case COMPARE_REPLY:
			compare_reply(nio);
			return;
		}
	}
}
