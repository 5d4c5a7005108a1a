/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_child.c - the phases of a child on the home reactor.
 *
 * Invariants:
 *  1. A slot is in exactly the mask of its phase.
 *  2. The map of a child has a bit for every segment in which it may differ from those in sync,
 *     from its opening on, whatever its phase; it is empty while the child is in sync.
 *  3. The last child in sync is never faulted.
 */
#include "nexus/nexus_impl.h"

#include "base/memory.h"
#include "base/planted.h"

#include <errno.h>

/* The arrows of the picture in nexus_impl.h: where each phase may go to. */
static const uint32_t phase_successors[CHILD_PHASE_COUNT] = {
	[CHILD_EMPTY] = 1u << CHILD_STALE | 1u << CHILD_IN_SYNC,
	[CHILD_STALE] = 1u << CHILD_SYNCING | 1u << CHILD_FAULTED,
	[CHILD_SYNCING] = 1u << CHILD_IN_SYNC | 1u << CHILD_STALE | 1u << CHILD_FAULTED,
	[CHILD_IN_SYNC] = 1u << CHILD_LOSING,
	[CHILD_LOSING] = 1u << CHILD_FAULTED,
	[CHILD_FAULTED] = 1u << CHILD_STALE | 1u << CHILD_EMPTY,
};

void nexus_child_set_phase(struct nexus_child *child, enum child_phase phase)
{
	struct nexus *nexus = child->nexus;
	uint32_t bit = CHILD_BIT(child->slot);

	ASSERT(child == &nexus->children[child->slot]);
	ASSERT((phase_successors[child->phase] & (1u << phase)) != 0);
	ASSERT(phase != CHILD_IN_SYNC || child->is_wanted_healthy);
	ASSERT(phase != CHILD_SYNCING || child->channel != NULL);
	ASSERT(phase != CHILD_STALE || child->job == NULL);
	ASSERT((nexus->mask[child->phase] & bit) != 0);
	ASSERT(phase != CHILD_IN_SYNC || bitmap_set_count(child->stale) == 0);
	ASSERT(phase != CHILD_LOSING || !child->is_wanted_healthy);
	ASSERT(phase != CHILD_EMPTY || child->channel == NULL);
	nexus->mask[child->phase] &= ~bit;
	nexus->mask[phase] |= bit;
	child->phase = phase;
	ASSERT_SLOW(nexus_masks_are_consistent(nexus));
}

/* What it missed is known: the map is about this very device. */
static bool child_has_own_map(const struct nexus_child *child)
{
	ASSERT(child->nexus->segment_count > 0);
	return child->stale != NULL && !uuid_is_nil(&child->device_uuid) &&
	       uuid_is_equal(&child->device_uuid, &child->bdev->uuid) &&
	       bitmap_bit_count(child->stale) == child->nexus->segment_count;
}

static void child_forget_map(struct nexus_child *child)
{
	bitmap_destroy(child->stale);
	child->stale = NULL;
}

static int child_make_map(struct nexus_child *child, bool is_in_sync)
{
	ASSERT(child->channel == NULL);
	child_forget_map(child);
	if (bitmap_create(child->nexus->segment_count, &child->stale) < 0)
		return -ENOMEM;
	child->device_uuid = child->bdev->uuid;
	if (!is_in_sync)
		bitmap_set_all(child->stale);
	return 0;
}

int nexus_child_open(struct nexus_child *child, bool is_in_sync)
{
	bool is_map_kept = !is_in_sync && child_has_own_map(child);
	int rc;

	REACHED_IF(is_map_kept, "child_returns_with_its_map");
	ASSERT(child->is_claimed);
	ASSERT(child->bdev->block_bytes == child->nexus->block_bytes);
	ASSERT(child->channel == NULL);
	ASSERT(child->bdev != NULL);
	ASSERT(child->phase == CHILD_EMPTY || child->phase == CHILD_FAULTED);
	rc = is_map_kept ? 0 : child_make_map(child, is_in_sync);
	if (rc < 0)
		return rc;
	rc = bdev_channel_open(child->bdev, child->nexus->home, &child->channel);
	if (rc < 0) {
		/* A map made for this opening says nothing about what the child has missed. */
		if (!is_map_kept)
			child_forget_map(child);
		return rc;
	}
	ASSERT(child->job == NULL);
	ASSERT(child->job_stop_waiter == NULL);
	ASSERT(!is_in_sync || bitmap_set_count(child->stale) == 0);
	ASSERT(child->channel->reactor == child->nexus->home);
	ASSERT(bitmap_bit_count(child->stale) == child->nexus->segment_count);
	child->is_gone = false;
	child->is_leaving = false;
	child->latency_ns = 0;
	child->joined_change = 0;
	child->flush.change_flushed = 0;
	child->is_wanted_healthy = is_in_sync;
	child->reason = is_in_sync ? NEXUS_REASON_NONE : NEXUS_REASON_OUT_OF_SYNC;
	nexus_child_set_phase(child, is_in_sync ? CHILD_IN_SYNC : CHILD_STALE);
	return 0;
}

void nexus_child_close(struct nexus_child *child)
{
	ASSERT(child->job_stop_waiter == NULL);
	ASSERT(child->job == NULL);
	if (child->channel == NULL)
		return;
	ASSERT(child->channel->inflight == 0);
	ASSERT(child->channel->reactor == child->nexus->home);
	bdev_channel_close(child->channel);
	child->channel = NULL;
}

enum nexus_child_reason nexus_child_reason_of(enum io_status status)
{
	switch (status) {
	case IO_NO_SPACE:
		return NEXUS_REASON_NO_SPACE;
	case IO_TIMED_OUT:
		return NEXUS_REASON_TIMED_OUT;
	case IO_OK:
	case IO_MEDIUM_ERROR:
	case IO_INTEGRITY_ERROR:
	case IO_DEVICE_GONE:
	case IO_ABORTED:
	case IO_COMPARE_FAILED:
	case IO_RESERVATION_CONFLICT:
	case IO_NOT_RECORDED:
	case IO_READ_ONLY:
	case IO_UNSUPPORTED:
	case IO_INVALID:
	case IO_NOT_READY:
	case IO_INTERNAL_ERROR:
		break;
	}
	return NEXUS_REASON_IO_FAILURE;
}

bool nexus_child_is_last(const struct nexus_child *child)
{
	ASSERT((child->nexus->mask[child->phase] & CHILD_BIT(child->slot)) != 0);
	if (PLANTED(LAST_CHILD_DROPPED))
		return false;
	return child->phase == CHILD_IN_SYNC &&
	       child->nexus->mask[CHILD_IN_SYNC] == CHILD_BIT(child->slot);
}

/* What it holds in a volatile cache is no longer flushed with the others. */
static void child_leave_service(struct nexus_child *child)
{
	ASSERT(bitmap_bit_count(child->stale) == child->nexus->segment_count);
	ASSERT(child->phase == CHILD_IN_SYNC || child->phase == CHILD_SYNCING);
	ASSERT(child->stale != NULL);
	if (!PLANTED(UNFLUSHED_NOT_REMEMBERED))
		nexus_recent_add_to(child->nexus, child->stale);
}

static void child_lose(struct nexus_child *child)
{
	ASSERT(child->phase == CHILD_IN_SYNC);
	ASSERT(child->is_wanted_healthy);
	ASSERT(!nexus_child_is_last(child));
	ASSERT(bitmap_set_count(child->stale) == 0);

	child_leave_service(child);
	child->is_gone = false; /* others can do without it now: no more than any that is lost */
	child->is_wanted_healthy = false;
	nexus_child_set_phase(child, CHILD_LOSING);
	child->lost_change = membership_change_lost(child->nexus);
	nexus_rebuild_leave_source(child);
	ASSERT(child->lost_change > child->nexus->membership.change_durable);
	ASSERT(child->nexus->mask[CHILD_IN_SYNC] != 0);
}

static void child_fail_rebuild(struct nexus_child *child)
{
	ASSERT(child->phase == CHILD_SYNCING);
	ASSERT(child->is_wanted_healthy == (child->joined_change != 0));
	if (child->job != NULL)
		rebuild_job_abandon(child->job, IO_ABORTED);
	child_leave_service(child);
	nexus_child_set_phase(child, CHILD_FAULTED);
	child->joined_change = 0;
	if (child->is_wanted_healthy) { /* its good news is on the way to the store */
		REACHED("child_lost_while_its_return_is_recorded");
		child->is_wanted_healthy = false;
		child->lost_change = membership_change_lost(child->nexus);
	}
	nexus_child_close_later(child);
	ASSERT(!child->is_wanted_healthy);
}

void nexus_child_fault(struct nexus_child *child, enum nexus_child_reason reason)
{
	struct nexus *nexus = child->nexus;

	ASSERT(reason != NEXUS_REASON_NONE);
	ASSERT(!nexus_child_is_last(child));
	ASSERT(child->phase != CHILD_EMPTY);
	child->reason = reason;
	if (child->phase == CHILD_LOSING || child->phase == CHILD_FAULTED)
		return;
	child->fault_wall_ns = os_clock_wall_ns(reactor_os(nexus->home));
	log_warn(nexus->log, "nexus %s: child %s leaves service, reason %d", nexus->name,
		 child->uri, (int)reason);
	switch (child->phase) {
	case CHILD_IN_SYNC:
		child_lose(child);
		break;
	case CHILD_SYNCING:
		child_fail_rebuild(child);
		break;
	case CHILD_STALE:
		nexus_child_set_phase(child, CHILD_FAULTED);
		nexus_child_close_later(child);
		break;
	case CHILD_LOSING:
	case CHILD_FAULTED:
	case CHILD_EMPTY:
		break;
	}
	ASSERT(child->phase == CHILD_LOSING || child->phase == CHILD_FAULTED);
}

void nexus_child_removed(struct nexus_child *child)
{
	if (child->phase == CHILD_EMPTY || child->channel == NULL)
		return;
	if (!nexus_child_is_last(child)) {
		nexus_child_fault(child, NEXUS_REASON_IO_FAILURE);
		return;
	}
	REACHED("nexus_last_child_removed");
	ASSERT(child->phase == CHILD_IN_SYNC);
	ASSERT(!child->is_gone);
	child->is_gone = true;
	child->fault_wall_ns = os_clock_wall_ns(reactor_os(child->nexus->home));
	log_error(child->nexus->log,
		  "nexus %s: the device of %s, its last healthy child, is gone; bring the child "
		  "online when the device is back",
		  child->nexus->name, child->uri);
	nexus_child_close_later(child);
}

/*
 * Its machine may have lost power and with it what it had answered and not flushed. Those segments
 * are in the map that it leaves with, so its return copies them.
 */
void nexus_child_interrupted(struct nexus_child *child)
{
	child->was_interrupted = true;
	if (PLANTED(INTERRUPTION_IGNORED))
		return;
	if (child->phase == CHILD_EMPTY || child->channel == NULL)
		return;
	if (nexus_child_is_last(child)) {
		nexus_rebuild_source_interrupted(child);
		return;
	}
	REACHED("nexus_child_interrupted");
	nexus_child_fault(child, NEXUS_REASON_ADMIN_FAILED);
}

void nexus_child_close_later(struct nexus_child *child)
{
	ASSERT(child->phase == CHILD_FAULTED || child->is_gone);
	/* One that is sent and not yet seen will be seen after this. */
	if (atomic_exchange(&child->is_close_sent, true))
		return;
	child->close_message.run = nexus_child_close_arrived;
	reactor_send(child->nexus->main, &child->close_message);
}
