/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_end.c - the last flush of an orderly end, and who is called healthy after it. Home reactor.
 *
 * A clean end promises that the copies are equal, also after a loss of power. Whoever could not be
 * flushed may hold less then than one that was, so it is given up as if it had missed a write.
 *
 * Invariants:
 *  1. A clean end is recorded only when every child that the record calls healthy was flushed after
 *     the last I/O, those whose return is still being recorded included.
 *  2. No child is given up for a failed flush unless one in sync was flushed.
 */
#include "nexus/nexus_impl.h"

/* Whom the record calls healthy, or will. */
static uint32_t end_healthy(struct nexus *nexus)
{
	uint32_t mask = 0;

	ASSERT(nexus->mask[CHILD_IN_SYNC] != 0);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = nexus_child_at(nexus, slot);

		ASSERT(child->phase != CHILD_IN_SYNC || child->is_wanted_healthy);
		if (child->phase != CHILD_EMPTY && child->is_wanted_healthy)
			mask |= CHILD_BIT(slot);
	}
	return mask;
}

enum op_flow nexus_end_flush(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.home_op));
	ASSERT(nexus->is_stopping);
	if (nexus->is_fenced || nexus->is_stopped)
		return OP_NEXT;
	ASSERT(nexus->active[0] + nexus->active[1] == 0);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++)
		nexus->flush_io[slot] = (struct bdev_io){.parent = &request->work.home_op,
							 .type = IO_FLUSH,
							 .status = IO_DEVICE_GONE};
	for_each_child (nexus, end_healthy(nexus), slot) {
		if (nexus->children[slot].channel == NULL)
			continue;
		op_wait(&request->work.home_op);
		bdev_submit(nexus->children[slot].channel, &nexus->flush_io[slot]);
	}
	return op_join(&request->work.home_op);
}

/* A device without a cache has nothing to flush, whatever it says. */
static bool end_is_flushed(const struct nexus_child *child)
{
	enum io_status status = child->nexus->flush_io[child->slot].status;

	ASSERT(child->is_wanted_healthy);
	if (status == IO_UNSUPPORTED)
		return child->channel != NULL && !child->channel->bdev->has_volatile_cache;
	return status == IO_OK;
}

/* All I/O had ended before: what was flushed needs no flush for the loss of the others. */
static void end_give_up(struct nexus *nexus, uint32_t flushed)
{
	ASSERT((flushed & nexus->mask[CHILD_IN_SYNC]) != 0);
	for_each_child (nexus, end_healthy(nexus) & ~flushed, slot) {
		REACHED("nexus_end_gives_a_child_up");
		nexus_child_fault(nexus_child_at(nexus, slot),
				  nexus_child_reason_of(nexus->flush_io[slot].status));
	}
	for_each_child (nexus, flushed, slot)
		nexus->children[slot].flush.change_flushed = nexus->membership.change_last;
	ASSERT(end_healthy(nexus) == flushed);
}

bool nexus_end_judge(struct nexus *nexus)
{
	uint32_t healthy;
	uint32_t flushed = 0;

	ASSERT(nexus->is_stopping);
	if (nexus->is_fenced || nexus->is_stopped)
		return false;
	healthy = end_healthy(nexus);
	for_each_child (nexus, healthy, slot) {
		if (nexus->flush_io[slot].status == IO_RESERVATION_CONFLICT) {
			nexus_fence_self(nexus, "a child answered with a reservation conflict");
			return false;
		}
		if (end_is_flushed(nexus_child_at(nexus, slot)))
			flushed |= CHILD_BIT(slot);
	}
	if (flushed != healthy && (flushed & nexus->mask[CHILD_IN_SYNC]) == 0) {
		log_warn(nexus->log, "nexus %s: its copies were not flushed: not a clean end",
			 nexus->name);
		return false;
	}
	if (flushed != healthy)
		end_give_up(nexus, flushed);
	ASSERT(!nexus->membership.is_clean_wanted);
	nexus->membership.is_clean_wanted = true;
	membership_change(nexus);
	return true;
}
