/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_info.c - the state of a nexus as it is shown. Home reactor.
 *
 * The states and reasons are those of the reference's gRPC interface, so that a control plane that
 * knows only them decides rightly.
 */
#include "nexus/nexus_impl.h"

#include <stdio.h>
#include <string.h>

#define RECORD_WAIT_SHOWN_NS 1000000000ull

static enum nexus_child_state faulted_state(const struct nexus_child *child)
{
	ASSERT(child->phase == CHILD_FAULTED);
	if (child->channel != NULL)
		return NEXUS_CHILD_UNKNOWN; /* still being closed */
	switch (child->reason) {
	case NEXUS_REASON_NO_SPACE:
		return NEXUS_CHILD_DEGRADED;
	case NEXUS_REASON_BY_CLIENT:
		return child->is_permanent ? NEXUS_CHILD_FAULTED : NEXUS_CHILD_DEGRADED;
	case NEXUS_REASON_NONE:
	case NEXUS_REASON_INIT:
	case NEXUS_REASON_CLOSED:
	case NEXUS_REASON_CANNOT_OPEN:
	case NEXUS_REASON_CONFIG_INVALID:
	case NEXUS_REASON_REBUILD_FAILED:
	case NEXUS_REASON_IO_FAILURE:
	case NEXUS_REASON_OUT_OF_SYNC:
	case NEXUS_REASON_TIMED_OUT:
	case NEXUS_REASON_ADMIN_FAILED:
		break;
	}
	return NEXUS_CHILD_FAULTED;
}

static void child_state(const struct nexus_child *child, struct nexus_child_info *info)
{
	ASSERT(child->phase != CHILD_EMPTY);
	ASSERT((unsigned)child->reason <= NEXUS_REASON_ADMIN_FAILED);
	info->reason = child->reason;
	switch (child->phase) {
	case CHILD_STALE:
	case CHILD_SYNCING:
		info->state = NEXUS_CHILD_DEGRADED;
		info->reason = NEXUS_REASON_OUT_OF_SYNC;
		break;
	case CHILD_IN_SYNC:
		info->state = NEXUS_CHILD_ONLINE;
		info->reason = NEXUS_REASON_NONE;
		break;
	case CHILD_LOSING:
		info->state = NEXUS_CHILD_UNKNOWN;
		break;
	case CHILD_FAULTED:
		info->state = faulted_state(child);
		break;
	case CHILD_EMPTY:
		break;
	}
	if (child->is_gone) {
		info->state = NEXUS_CHILD_FAULTED;
		info->reason = NEXUS_REASON_IO_FAILURE;
	} else if (child->nexus->is_stopped && child->phase != CHILD_FAULTED) {
		info->state = NEXUS_CHILD_DEGRADED;
		info->reason = NEXUS_REASON_CLOSED;
	}
}

static void child_fill(const struct nexus_child *child, struct nexus_child_info *info)
{
	const struct nexus *nexus = child->nexus;
	struct rebuild_stats stats;

	ASSERT(child->is_used);
	ASSERT(child->phase != CHILD_IN_SYNC || child->job == NULL);
	memcpy(info->uri, child->uri, sizeof(info->uri));
	info->uuid = child->uuid;
	info->is_recorded_healthy = child->is_maybe_healthy;
	info->fault_wall_ns = child->fault_wall_ns;
	info->rebuild_progress = -1;
	info->has_map = child->stale != NULL && child->phase != CHILD_IN_SYNC &&
			!uuid_is_nil(&child->device_uuid) &&
			bitmap_set_count(child->stale) < nexus->segment_count;
	if (child->channel != NULL)
		memcpy(info->device_name, child->channel->bdev->name, sizeof(info->device_name));
	child_state(child, info);
	if (child->job == NULL)
		return;
	rebuild_job_stats(child->job, &stats);
	info->rebuild_progress = (int32_t)stats.progress;
	ASSERT(info->rebuild_progress >= 0);
	ASSERT(info->rebuild_progress <= 100);
}

static enum nexus_state state_of(const struct nexus *nexus)
{
	uint32_t healthy = 0;
	uint32_t other = 0;

	ASSERT(!nexus->is_stopped || nexus->is_stopping);
	ASSERT_SLOW(nexus_masks_are_consistent(nexus));
	if (nexus->is_fenced || nexus->is_stopped)
		return NEXUS_SHUTDOWN;
	if (nexus->is_stopping)
		return NEXUS_SHUTTING_DOWN;
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = &nexus->children[slot];

		if (child->phase == CHILD_IN_SYNC && !child->is_gone)
			healthy++;
		else if (child->phase != CHILD_EMPTY)
			other++;
	}
	ASSERT(healthy <= mask_count(nexus->mask[CHILD_IN_SYNC]));
	if (healthy == 0)
		return NEXUS_FAULTED;
	return other == 0 ? NEXUS_ONLINE : NEXUS_DEGRADED;
}

/* Every record takes a moment; only a wait that is felt is shown. */
static uint64_t record_waits_since(const struct nexus *nexus)
{
	const struct membership *membership = &nexus->membership;
	uint64_t since_ns = membership->waits_since_wall_ns;

	ASSERT(membership->change_durable <= membership->change_last);
	if (nexus->is_fenced || membership->is_stopped || since_ns == 0)
		return 0;
	if (membership->backoff_ns == 0 &&
	    os_clock_wall_ns(reactor_os(nexus->home)) - since_ns < RECORD_WAIT_SHOWN_NS)
		return 0;
	return since_ns;
}

/* One sentence for the most pressing reason. */
static void reason_fill(const struct nexus *nexus, struct nexus_info *info)
{
	const char *text = "";

	ASSERT((unsigned)info->state <= NEXUS_SHUTDOWN);
	ASSERT(info->rebuild_count <= info->child_count);
	ASSERT(!nexus->is_fenced || nexus->stopped_why != NULL);
	if (nexus->is_fenced) {
		snprintf(info->reason, sizeof(info->reason), "it has stopped itself, since %s: %s",
			 nexus->stopped_why,
			 nexus->is_orphaned ? "destroy this nexus and create it anew with all of "
					      "its copies"
					    : "destroy this nexus");
		return;
	}
	if (info->record_waits_since_ns != 0)
		text = "a change of membership waits for the store: writes that depend on it go "
		       "on when the store answers";
	else if (info->state == NEXUS_FAULTED)
		text = "the device of the last healthy child is gone: bring that child online "
		       "when it is back";
	else if (info->state == NEXUS_DEGRADED && info->rebuild_count > 0)
		text = "a child is being rebuilt: wait";
	else if (info->state == NEXUS_DEGRADED)
		text = "a child is out of service: bring it online or replace it";
	else if (info->state == NEXUS_SHUTDOWN)
		text = "shut down by request: destroy it or create it anew";
	snprintf(info->reason, sizeof(info->reason), "%s", text);
}

void nexus_info_fill(struct nexus *nexus, struct nexus_info *info)
{
	ASSERT(nexus->block_count > 0);
	ASSERT(nexus->active[0] + nexus->active[1] == slab_acquired_count(nexus->io_slab));
	memset(info, 0, sizeof(*info));
	info->state = state_of(nexus);
	info->block_count = nexus->block_count;
	info->block_bytes = nexus->block_bytes;
	info->is_fenced = nexus->is_fenced;
	info->io_active = nexus->active[0] + nexus->active[1];
	list_for_each (node, &nexus->io_waiting)
		info->io_waiting++;
	info->record_waits_since_ns = record_waits_since(nexus);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->phase == CHILD_EMPTY)
			continue;
		info->rebuild_count += child->job != NULL;
		child_fill(child, &info->children[info->child_count++]);
	}
	ASSERT(info->child_count == NEXUS_CHILDREN_MAX - mask_count(nexus->mask[CHILD_EMPTY]));
	reason_fill(nexus, info);
}
