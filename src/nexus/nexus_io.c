/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_io.c - the nexus as a bdev: admission, pauses, drains.
 *
 * An I/O gets a slot and starts, or waits in line: for a slot, for the end of a pause, or behind
 * others that wait. Once it has a slot it needs nothing more that could be lacking.
 *
 * Drains: every I/O belongs to one of two generations. A drain without a pause turns to the other
 * generation, which is empty at that moment, and waits until the old one is.
 *
 * Invariants:
 *  1. Arrival order is start order.
 *  2. While pause_count > 0 nothing starts.
 *  3. active[] counts the acquired slots by generation.
 */
#include "nexus/nexus_impl.h"

#include <errno.h>

static bool nexus_is_serving(const struct nexus *nexus)
{
	ASSERT(!nexus->is_stopped || nexus->is_stopping);
	ASSERT(!nexus->is_fenced || nexus->membership.is_stopped);
	return !nexus->is_fenced && !nexus->is_stopping && !nexus->is_stopped;
}

static bool nexus_may_start(const struct nexus *nexus)
{
	ASSERT(nexus->active[0] + nexus->active[1] == slab_acquired_count(nexus->io_slab));
	return nexus->pause_count == 0 &&
	       slab_acquired_count(nexus->io_slab) < slab_capacity(nexus->io_slab);
}

static void (*io_run_function(enum io_type type))(struct op *)
{
	ASSERT((unsigned)type < IO_TYPE_COUNT);
	switch (type) {
	case IO_READ:
		return nexus_read_run;
	case IO_COMPARE:
		return nexus_compare_run;
	case IO_WRITE:
	case IO_FLUSH:
	case IO_UNMAP:
	case IO_WRITE_ZEROES:
		break;
	}
	return nexus_write_run;
}

static void io_start(struct nexus *nexus, struct bdev_io *io)
{
	struct nexus_io *nio = slab_acquire(nexus->io_slab);

	ASSERT(nexus->generation < 2);
	ASSERT(io->channel->reactor == nexus->home);
	ASSERT(nexus->active[nexus->generation] < NEXUS_IO_MAX);
	ASSERT(nio != NULL);
	ASSERT(nexus->pause_count == 0);
	ASSERT(nexus_is_serving(nexus));
	ASSERT(io->channel != NULL);
	nio->step = 0;
	nio->nexus = nexus;
	nio->io = io;
	nio->is_locked = false;
	nio->generation = nexus->generation;
	nio->asked = 0;
	nio->failed = 0;
	nio->tried = 0;
	nio->damaged = 0;
	nio->slot = NO_CHILD;
	nio->status = IO_OK;
	nexus->active[nio->generation]++;
	nexus->io_count++;
	op_init(&nio->op, reactor_ready(nexus->home), io_run_function(io->type));
	op_start(&nio->op);
}

static void nexus_bdev_submit(struct bdev_channel *channel, struct bdev_io *io)
{
	struct nexus *nexus = container_of(channel->bdev, struct nexus, bdev);

	ASSERT(io->channel == channel);
	ASSERT(channel->reactor == nexus->home);
	ASSERT(channel->inflight > 0);
	if (!nexus_is_serving(nexus)) {
		bdev_io_done(io, IO_NOT_READY);
		return;
	}
	if (!list_is_empty(&nexus->io_waiting) || !nexus_may_start(nexus)) {
		REACHED("nexus_io_waits_its_turn");
		list_push_back(&nexus->io_waiting, &io->link);
		return;
	}
	io_start(nexus, io);
}

/* Starts who waits. It is entered from the ready queue, so that an answer never starts another
 * I/O on its own stack. */
static void admit_run(struct op *op)
{
	struct nexus *nexus = container_of(op, struct nexus, admit_op);
	uint32_t budget = 64;

	ASSERT(op_is_idle(op));
	while (!list_is_empty(&nexus->io_waiting) && nexus_may_start(nexus)) {
		struct list_node *node;

		if (budget-- == 0) {
			op_wake(op);
			return;
		}
		node = list_pop_front(&nexus->io_waiting);
		io_start(nexus, list_entry(node, struct bdev_io, link));
	}
}

static bool drain_is_over(const struct nexus *nexus, const struct drain *drain)
{
	ASSERT(drain->generation <= DRAIN_ALL);
	if (drain->generation == DRAIN_ALL)
		return nexus->active[0] + nexus->active[1] == 0;
	return nexus->active[drain->generation] == 0;
}

void nexus_io_finish(struct nexus_io *nio)
{
	struct nexus *nexus = nio->nexus;
	struct bdev_io *io = nio->io;
	enum io_status status = nio->status;

	ASSERT(nio->generation < 2);
	ASSERT(io->channel != NULL);
	ASSERT(nexus->flush_owner != nio);
	ASSERT(!nio->is_locked);
	ASSERT(op_is_idle(&nio->op));
	ASSERT(nexus->active[nio->generation] > 0);
	nexus->active[nio->generation]--;
	slab_release(nexus->io_slab, nio);
	ASSERT(nexus->active[0] + nexus->active[1] == slab_acquired_count(nexus->io_slab));
	bdev_io_done(io, status);
	list_for_each (node, &nexus->drains) {
		struct drain *drain = list_entry(node, struct drain, link);

		if (!drain_is_over(nexus, drain))
			continue;
		list_remove(node);
		op_done(drain->parent);
	}
	if (!list_is_empty(&nexus->io_waiting))
		op_wake(&nexus->admit_op);
}

void nexus_io_pause(struct nexus *nexus)
{
	ASSERT(nexus->pause_count < UINT32_MAX);
	nexus->pause_count++;
}

void nexus_io_resume(struct nexus *nexus)
{
	ASSERT(nexus->pause_count >= nexus->turn.pauses);
	ASSERT(nexus->pause_count > 0);
	nexus->pause_count--;
	if (nexus->pause_count == 0 && !list_is_empty(&nexus->io_waiting))
		op_wake(&nexus->admit_op);
}

void nexus_io_drain(struct nexus *nexus, struct drain *drain, struct op *parent)
{
	ASSERT(parent->pending > 0);
	ASSERT(list_is_empty(&nexus->drains));

	ASSERT(nexus->generation < DRAIN_ALL);
	drain->parent = parent;
	drain->generation = DRAIN_ALL;
	list_init(&drain->link);
	if (nexus->pause_count == 0 && nexus->active[1 - nexus->generation] == 0) {
		REACHED("nexus_io_drains_by_generation");
		drain->generation = nexus->generation;
		nexus->generation = 1 - nexus->generation;
		ASSERT(nexus->active[nexus->generation] == 0);
	}
	if (drain_is_over(nexus, drain))
		op_done(parent);
	else
		list_push_back(&nexus->drains, &drain->link);
}

void nexus_io_answer_waiting(struct nexus *nexus)
{
	struct list_node *node;

	ASSERT(!nexus_is_serving(nexus));
	while ((node = list_pop_front(&nexus->io_waiting)) != NULL)
		bdev_io_done(list_entry(node, struct bdev_io, link), IO_NOT_READY);
}

static int nexus_channel_open(struct bdev_channel *channel)
{
	struct nexus *nexus = container_of(channel->bdev, struct nexus, bdev);

	ASSERT(channel->bdev->home == channel->reactor);
	ASSERT(channel->inflight == 0);
	ASSERT(channel->reactor == nexus->home);
	return 0;
}

static void nexus_channel_close(struct bdev_channel *channel)
{
	ASSERT(channel->bdev->home == channel->reactor);
	ASSERT(channel->inflight == 0);
}

static void nexus_bdev_destroy(struct bdev *bdev, struct op *parent)
{
	struct nexus *nexus = container_of(bdev, struct nexus, bdev);

	ASSERT(nexus->is_listed);
	ASSERT(bdev_channel_count(bdev) == 0);
	ASSERT(nexus->destroyed == NULL);
	nexus->destroyed = parent;
	nexus->own_request = (struct nexus_request){.parent = NULL};
	nexus_request_submit(nexus, &nexus->own_request, REQUEST_DESTROY);
}

const struct bdev_ops nexus_bdev_ops = {
	.product_name = "Nexus Disk",
	.channel_open = nexus_channel_open,
	.channel_close = nexus_channel_close,
	.submit = nexus_bdev_submit,
	.destroy = nexus_bdev_destroy,
};

void nexus_io_init(struct nexus *nexus)
{
	ASSERT(nexus->io_slab == NULL);
	ASSERT(nexus->pause_count == 0);
	list_init(&nexus->io_waiting);
	list_init(&nexus->drains);
	list_init(&nexus->area_waiters);
	range_locks_init(&nexus->locks);
	op_init(&nexus->admit_op, reactor_ready(nexus->home), admit_run);
}
