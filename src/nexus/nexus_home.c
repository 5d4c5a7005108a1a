/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_home.c - the part of management requests that runs on the home reactor.
 *
 * A kind of request is a list of steps, in the order they run; the lists stand at the end. A step
 * that fails says so in the request, and the rest is left out. Pauses that the request holds end
 * with it.
 *
 * Invariants:
 *  1. Requests of a nexus run one at a time, so what they share in nexus->turn needs no care.
 *  2. A child begins to be written (nexus_rebuild_begin) under a pause with no I/O in work.
 *  3. A channel is closed after its child left service and all I/O that began before has ended.
 */
#include "nexus/nexus_impl.h"

#include "base/memory.h"
#include "base/planted.h"

#include <errno.h>
#include <string.h>

typedef enum op_flow (*home_step)(struct nexus_request *request);

static struct nexus_child *request_child(struct nexus_request *request)
{
	struct nexus_child *child = nexus_child_at(request->work.nexus, request->work.slot);

	/* A close by the nexus itself may find its slot empty, or taken by another child. */
	ASSERT(child->is_used || request->work.home_kind == REQUEST_CLOSE);
	ASSERT(child->nexus == request->work.nexus);
	return child;
}

/* Steps of many kinds. */

static enum op_flow home_check_serving(struct nexus_request *request)
{
	const struct nexus *nexus = request->work.nexus;

	ASSERT(request->work.home_step == 1);
	ASSERT(nexus->is_running);
	if (nexus->is_fenced || nexus->is_stopping || nexus->is_stopped)
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION,
				   "nexus %s is %s: destroy it, or create it anew", nexus->name,
				   nexus->is_orphaned ? "stopped, which copy is the best is open"
				   : nexus->is_fenced ? "fenced off by another owner"
						      : "shut down");
	return OP_NEXT;
}

static enum op_flow home_pause(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.home_op));
	ASSERT(nexus->turn.pauses == 0);
	nexus->turn.pauses++;
	nexus_io_pause(nexus);
	ASSERT(nexus->pause_count >= nexus->turn.pauses);
	op_wait(&request->work.home_op);
	nexus_io_drain(nexus, &nexus->turn.drain, &request->work.home_op);
	return op_join(&request->work.home_op);
}

static enum op_flow home_drain(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.home_op));
	ASSERT(nexus->is_running);
	op_wait(&request->work.home_op);
	nexus_io_drain(nexus, &nexus->turn.drain, &request->work.home_op);
	return op_join(&request->work.home_op);
}

/* For kinds that record something: waits for the newest change. */
static enum op_flow home_record(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.home_op));
	ASSERT(nexus->membership.change_last > 0);
	ASSERT(nexus->membership.change_durable <= nexus->membership.change_last);
	nexus->turn.waiter.parent = &request->work.home_op;
	nexus->turn.waiter.change = nexus->membership.change_last;
	op_wait(&request->work.home_op);
	membership_wait(nexus, &nexus->turn.waiter);
	return op_join(&request->work.home_op);
}

static enum op_flow home_recorded(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.home_op));
	ASSERT(nexus->turn.waiter.result != RECORD_WAIT_OK ||
	       nexus->membership.change_durable >= nexus->turn.waiter.change);
	switch (nexus->turn.waiter.result) {
	case RECORD_WAIT_OK:
		break;
	case RECORD_WAIT_EXPIRED:
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL,
				   "nexus %s: the store did not take the change in time; it is "
				   "tried on, repeat the request when the store answers again",
				   nexus->name);
		break;
	case RECORD_WAIT_FENCED:
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION, "nexus %s is %s", nexus->name,
				   nexus->is_orphaned
					   ? "stopped, which copy is the best is open: destroy it, "
					     "and create it anew with all copies"
					   : "fenced off by another owner: destroy it");
		break;
	}
	return OP_NEXT;
}

static enum op_flow home_child_stop_job(struct nexus_request *request)
{
	ASSERT(op_is_idle(&request->work.home_op));
	op_wait(&request->work.home_op);
	nexus_rebuild_stop(request_child(request), &request->work.home_op);
	return op_join(&request->work.home_op);
}

/* Jobs that still read from the child go on with another source. */
static enum op_flow home_child_leave_source(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.home_op));
	nexus_rebuild_leave_source(request_child(request));
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *target = nexus_child_at(nexus, slot);

		if (target->job == NULL || target->job_source != request->work.slot)
			continue;
		ASSERT(target->job_stop_waiter == NULL);
		ASSERT(target->slot != request->work.slot);
		op_wait(&request->work.home_op);
		target->job_stop_waiter = &request->work.home_op;
	}
	return op_join(&request->work.home_op);
}

/* The channel may be in use for the flush of one who was to stay. */
static enum op_flow home_child_flushed(struct nexus_request *request)
{
	ASSERT(op_is_idle(&request->work.home_op));
	op_wait(&request->work.home_op);
	nexus_flush_wait(request_child(request), &request->work.home_op);
	return op_join(&request->work.home_op);
}

static enum op_flow home_child_close(struct nexus_request *request)
{
	struct nexus_child *child = request_child(request);

	ASSERT(child->phase == CHILD_FAULTED || child->is_gone);
	ASSERT(child->job == NULL);
	nexus_child_close(child);
	ASSERT(child->channel == NULL);
	return OP_NEXT;
}

static enum op_flow home_jobs_stop(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.home_op));
	ASSERT(request->work.home_kind == REQUEST_RESIZE || nexus->is_stopping);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		ASSERT(child->job == NULL || child->phase == CHILD_SYNCING ||
		       child->phase == CHILD_FAULTED);
		nexus->turn.was_rebuilding[slot] = child->job != NULL;
		op_wait(&request->work.home_op);
		nexus_rebuild_stop(child, &request->work.home_op);
	}
	return op_join(&request->work.home_op);
}

/* Of creation. */

static int create_take_memory(struct nexus *nexus)
{
	ASSERT(nexus->history.entries == NULL);
	ASSERT(nexus->segment_count == 0);
	ASSERT(nexus->io_slab == NULL);
	ASSERT(nexus->area == NULL);
	ASSERT(nexus->block_count > 0);
	nexus->segment_count = rebuild_segment_count(nexus->block_count, nexus->block_bytes);
	if (slab_create(sizeof(struct nexus_io), NEXUS_IO_MAX, &nexus->io_slab) < 0)
		return -ENOMEM;
	nexus->area = memory_alloc_pages((size_t)2 * REBUILD_SEGMENT_BYTES);
	nexus->history.entries =
		memory_alloc_array(NEXUS_HISTORY_MAX, sizeof(nexus->history.entries[0]));
	if (nexus->area == NULL || nexus->history.entries == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < 2; i++) {
		if (bitmap_create(nexus->segment_count, &nexus->recent[i].map) < 0)
			return -ENOMEM;
	}
	return 0;
}

static enum op_flow home_create_open(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(!nexus->is_listed);
	ASSERT(nexus->mask[CHILD_EMPTY] == CHILD_BIT(NEXUS_CHILDREN_MAX) - 1);
	if (create_take_memory(nexus) < 0) {
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL,
				   "nexus %s: no memory; free some and try again", nexus->name);
		return OP_NEXT;
	}
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);
		int rc;

		if (!child->is_used)
			continue;
		nexus->has_cache |= child->bdev->has_volatile_cache;
		rc = nexus_child_open(child, (nexus->turn.in_sync & CHILD_BIT(slot)) != 0);
		if (rc == 0)
			continue;
		nexus_request_fail(request, NEXUS_ERROR_INVALID,
				   "child %s of nexus %s cannot be opened (%s): check its device",
				   child->uri, nexus->name, strerror(-rc));
		return OP_NEXT;
	}
	ASSERT(nexus->mask[CHILD_IN_SYNC] == nexus->turn.in_sync);
	ASSERT(nexus->mask[CHILD_IN_SYNC] != 0);
	ASSERT(nexus->membership.change_last == 0);
	return OP_NEXT;
}

/*
 * Those that are not believed are about to be overwritten. What the believed one holds in a
 * volatile cache they may hold too: until it is durable there they must not be given up. And what
 * an earlier activation left in a cache is in no map of this one.
 */
static enum op_flow home_create_flush(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	if (nexus->mask[CHILD_STALE] == 0 && !nexus->has_cache)
		return OP_NEXT;
	for_each_child (nexus, nexus->mask[CHILD_IN_SYNC], slot) {
		struct bdev_io *io = &nexus->flush_io[slot];

		*io = (struct bdev_io){.parent = &request->work.home_op, .type = IO_FLUSH};
		if (PLANTED(ACTIVATION_NOT_FLUSHED))
			continue;
		op_wait(&request->work.home_op);
		bdev_submit(nexus->children[slot].channel, io);
	}
	return op_join(&request->work.home_op);
}

static enum op_flow home_create_flushed(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	bool is_asked = nexus->mask[CHILD_STALE] != 0 || nexus->has_cache;

	for_each_child (nexus, is_asked ? nexus->mask[CHILD_IN_SYNC] : 0, slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);
		enum io_status status = nexus->flush_io[slot].status;

		if (status == IO_UNSUPPORTED && !child->bdev->has_volatile_cache)
			status = IO_OK;
		if (status == IO_OK && !child->was_interrupted)
			continue;
		if (nexus->mask[CHILD_STALE] == 0) { /* nobody is given up: any of it may be lost */
			nexus_recent_mark(nexus, (struct block_range){0, nexus->block_count});
			continue;
		}
		nexus_request_fail(
			request, NEXUS_ERROR_INTERNAL,
			"child %s of nexus %s cannot make durable what it holds (%s), and "
			"the others would be overwritten with it: try again",
			child->uri, nexus->name,
			status == IO_OK ? "its connection was lost" : io_status_text(status));
	}
	/* From here on the record gives the others up. */
	if (request->result == NEXUS_DONE)
		membership_change(nexus);
	return OP_NEXT;
}

static enum op_flow home_create_rebuild(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(nexus->pause_count == 1);
	ASSERT(nexus->membership.change_durable > 0);
	for_each_child (nexus, nexus->mask[CHILD_STALE], slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);
		int rc = nexus_rebuild_begin(child);

		if (rc < 0)
			log_warn(nexus->log, "nexus %s: rebuild of %s cannot begin (%d)",
				 nexus->name, child->uri, rc);
	}
	return OP_NEXT;
}

/* Of the end. */

static enum op_flow home_stop_io(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(nexus->turn.pauses == 0);
	nexus->is_stopping = true;
	nexus_io_answer_waiting(nexus);
	ASSERT(list_is_empty(&nexus->io_waiting));
	return OP_NEXT;
}

static enum op_flow home_record_clean(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(nexus->is_stopping);
	ASSERT(op_is_idle(&request->work.home_op));
	nexus->turn.waiter.result = RECORD_WAIT_OK;
	return nexus_end_judge(nexus) ? home_record(request) : OP_NEXT;
}

static enum op_flow home_membership_stop(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(nexus->is_stopping);
	ASSERT(op_is_idle(&request->work.home_op));
	if (nexus->turn.waiter.result != RECORD_WAIT_OK)
		log_warn(nexus->log, "nexus %s: its clean end could not be recorded", nexus->name);
	op_wait(&request->work.home_op);
	membership_stop(nexus, &request->work.home_op);
	return op_join(&request->work.home_op);
}

static enum op_flow home_close_all(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(nexus->is_stopping);
	ASSERT(list_is_empty(&nexus->io_waiting));
	ASSERT(nexus->membership.step == RECORD_IDLE);
	ASSERT(list_is_empty(&nexus->drains));
	ASSERT(nexus->active[0] + nexus->active[1] == 0);
	ASSERT(range_locks_is_empty(&nexus->locks));
	ASSERT(nexus->membership.is_stopped);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++)
		nexus_child_close(nexus_child_at(nexus, slot));
	op_unwake(&nexus->admit_op); /* nobody waits; it must not run once main frees */
	nexus->is_stopped = true;
	return OP_NEXT;
}

/* Of single children. */

static enum op_flow home_add_open(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct nexus_child *child = request_child(request);
	int rc;

	ASSERT(nexus->is_running);
	ASSERT(child->phase == CHILD_EMPTY);
	ASSERT(child->channel == NULL);
	rc = nexus_child_open(child, false);
	if (rc < 0) {
		nexus_request_fail(request, NEXUS_ERROR_INVALID,
				   "child %s cannot be opened (%s): check its device", child->uri,
				   strerror(-rc));
		return OP_NEXT;
	}
	nexus->has_cache |= child->bdev->has_volatile_cache;
	membership_change(nexus);
	return OP_NEXT;
}

/* To the store an unknown child is an unhealthy one: it may be late. */
static enum op_flow home_add_recorded(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.home_op));
	if (nexus->turn.waiter.result != RECORD_WAIT_OK)
		log_warn(nexus->log, "nexus %s: child %s is not recorded yet", nexus->name,
			 request_child(request)->uri);
	nexus->turn.is_skipped |= request->is_norebuild;
	return OP_NEXT;
}

static enum op_flow home_remove_check(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++)
		count += nexus->children[slot].phase != CHILD_EMPTY;
	ASSERT(count == NEXUS_CHILDREN_MAX - mask_count(nexus->mask[CHILD_EMPTY]));
	ASSERT(count > 0);
	if (count == 1)
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION,
				   "%s is the last child of nexus %s: destroy the nexus instead",
				   request->uri, nexus->name);
	return OP_NEXT;
}

static enum op_flow home_last_check(struct nexus_request *request)
{
	ASSERT(request->work.home_kind == REQUEST_REMOVE ||
	       request->work.home_kind == REQUEST_OFFLINE);
	if (nexus_child_is_last(request_child(request)))
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION,
				   "%s is the last healthy child of nexus %s: wait until another "
				   "one is rebuilt",
				   request->uri, request->work.nexus->name);
	return OP_NEXT;
}

static enum op_flow home_remove_leave(struct nexus_request *request)
{
	struct nexus_child *child = request_child(request);

	ASSERT(child->job == NULL);
	ASSERT(!nexus_child_is_last(child));
	/* Is leaving already: the store did not take it in time, and the request was repeated. */
	ASSERT(!child->is_leaving || child->phase == CHILD_LOSING || child->phase == CHILD_FAULTED);
	nexus_child_fault(child, NEXUS_REASON_BY_CLIENT);
	child->is_leaving = true;
	membership_change(request->work.nexus);
	return OP_NEXT;
}

static enum op_flow home_remove_end(struct nexus_request *request)
{
	struct nexus_child *child = request_child(request);

	ASSERT(child->is_leaving);
	ASSERT(!child->is_wanted_healthy);
	ASSERT(child->channel == NULL);
	ASSERT(child->job == NULL);
	ASSERT(child->phase == CHILD_FAULTED);
	nexus_child_set_phase(child, CHILD_EMPTY);
	bitmap_destroy(child->stale);
	child->stale = NULL;
	child->is_maybe_healthy = false;
	child->fault_wall_ns = 0;
	child->is_permanent = false;
	return OP_NEXT;
}

static enum op_flow home_offline(struct nexus_request *request)
{
	struct nexus_child *child = request_child(request);

	ASSERT(child->phase != CHILD_EMPTY);
	ASSERT(child->job == NULL);
	ASSERT(!nexus_child_is_last(child));
	if (request->action == NEXUS_ACTION_OFFLINE_PERMANENT)
		child->is_permanent = true;
	nexus_child_fault(child, request->action == NEXUS_ACTION_FAULT_IO_ERROR
					 ? NEXUS_REASON_IO_FAILURE
					 : NEXUS_REASON_BY_CLIENT);
	return OP_NEXT;
}

static enum op_flow home_close_check(struct nexus_request *request)
{
	const struct nexus *nexus = request->work.nexus;
	const struct nexus_child *child = request_child(request);

	ASSERT(request->work.home_kind == REQUEST_CLOSE);
	ASSERT(!nexus->turn.is_skipped);
	if (nexus->is_stopped || (child->phase != CHILD_FAULTED && !child->is_gone))
		request->work.nexus->turn.is_skipped = true;
	return OP_NEXT;
}

static bool reason_is_recoverable(enum nexus_child_reason reason)
{
	switch (reason) {
	case NEXUS_REASON_BY_CLIENT:
	case NEXUS_REASON_IO_FAILURE:
	case NEXUS_REASON_NO_SPACE:
	case NEXUS_REASON_TIMED_OUT:
	case NEXUS_REASON_ADMIN_FAILED:
	case NEXUS_REASON_REBUILD_FAILED:
		return true;
	case NEXUS_REASON_NONE:
	case NEXUS_REASON_INIT:
	case NEXUS_REASON_CLOSED:
	case NEXUS_REASON_CANNOT_OPEN:
	case NEXUS_REASON_CONFIG_INVALID:
	case NEXUS_REASON_OUT_OF_SYNC:
		break;
	}
	return false;
}

static enum op_flow home_online_check(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct nexus_child *child = request_child(request);

	ASSERT(!nexus->turn.is_skipped);
	ASSERT(child->bdev == NULL || child->is_claimed);
	if (child->is_gone)
		return OP_NEXT;
	switch (child->phase) {
	case CHILD_IN_SYNC:
	case CHILD_SYNCING:
	case CHILD_STALE:
		nexus->turn.is_skipped = true;
		break;
	case CHILD_LOSING:
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION,
				   "the loss of %s is still being recorded: repeat this when the "
				   "store has answered",
				   child->uri);
		break;
	case CHILD_FAULTED:
		if (child->is_permanent || !reason_is_recoverable(child->reason))
			nexus_request_fail(request, NEXUS_ERROR_INTERNAL,
					   "%s cannot come online again: remove it from nexus %s "
					   "and add it anew",
					   child->uri, nexus->name);
		break;
	case CHILD_EMPTY:
		ASSERT(false);
		break;
	}
	return OP_NEXT;
}

/* The last healthy child is back: what it holds is the volume. */
static int online_return(struct nexus_child *child)
{
	int rc;

	ASSERT(child->is_gone);
	ASSERT(child->channel == NULL);
	ASSERT(child->phase == CHILD_IN_SYNC);
	REACHED("last_child_came_back");
	if (!uuid_is_equal(&child->device_uuid, &child->bdev->uuid))
		return -ENXIO;
	rc = bdev_channel_open(child->bdev, child->nexus->home, &child->channel);
	if (rc < 0)
		return rc;
	child->is_gone = false;
	child->fault_wall_ns = 0;
	return 0;
}

static enum op_flow home_online_open(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct nexus_child *child = request_child(request);
	bool was_gone = child->is_gone;
	int rc = was_gone ? online_return(child) : nexus_child_open(child, false);

	ASSERT((rc == 0) == (child->channel != NULL));
	ASSERT(child->is_claimed);
	if (rc < 0) {
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL,
				   "child %s cannot be opened again (%s): check its device",
				   child->uri, strerror(-rc));
		return OP_NEXT;
	}
	nexus->has_cache |= child->bdev->has_volatile_cache;
	if (was_gone)
		nexus->turn.is_skipped = true;
	else
		membership_change(nexus);
	return OP_NEXT;
}

/* A child without a source stays out of sync until there is one. */
static enum op_flow home_rebuild_try(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct nexus_child *child = request_child(request);
	int rc;

	ASSERT(nexus->turn.pauses == 1);
	ASSERT(op_is_idle(&request->work.home_op));
	if (child->phase != CHILD_STALE)
		return OP_NEXT;
	rc = nexus_rebuild_begin(child);
	if (rc < 0)
		log_warn(nexus->log, "nexus %s: rebuild of %s cannot begin (%d)", nexus->name,
			 child->uri, rc);
	return OP_NEXT;
}

/* Of rebuilds. */

static enum op_flow home_rebuild_check(struct nexus_request *request)
{
	const struct nexus_child *child = request_child(request);

	ASSERT(child->phase != CHILD_EMPTY);
	ASSERT(child->phase != CHILD_STALE || child->job == NULL);
	if (child->phase != CHILD_STALE)
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL,
				   "%s is not waiting for a rebuild: it is %s", child->uri,
				   child->phase == CHILD_IN_SYNC   ? "in sync"
				   : child->phase == CHILD_SYNCING ? "being rebuilt already"
								   : "not open, bring it online");
	return OP_NEXT;
}

static enum op_flow home_rebuild_start(struct nexus_request *request)
{
	struct nexus_child *child = request_child(request);

	ASSERT(request->work.nexus->turn.pauses == 1);
	ASSERT(op_is_idle(&request->work.home_op));
	if (child->phase != CHILD_STALE || nexus_rebuild_begin(child) < 0)
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL,
				   "the rebuild of %s cannot begin: no healthy child can be read, "
				   "or there is no memory",
				   child->uri);
	return OP_NEXT;
}

static enum op_flow home_job_check(struct nexus_request *request)
{
	ASSERT(request->work.home_kind >= REQUEST_REBUILD_PAUSE);
	if (request_child(request)->job == NULL)
		nexus_request_fail(request, NEXUS_ERROR_NOT_FOUND, "%s is not being rebuilt",
				   request->uri);
	return OP_NEXT;
}

static enum op_flow home_job_pause(struct nexus_request *request)
{
	ASSERT(request_child(request)->job != NULL);
	if (rebuild_job_pause(request_child(request)->job) < 0)
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL,
				   "the rebuild of %s does not run: nothing to pause",
				   request->uri);
	return OP_NEXT;
}

static enum op_flow home_job_resume(struct nexus_request *request)
{
	ASSERT(request_child(request)->job != NULL);
	if (rebuild_job_resume(request_child(request)->job) < 0)
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL, "the rebuild of %s is not paused",
				   request->uri);
	return OP_NEXT;
}

static enum op_flow home_job_stats(struct nexus_request *request)
{
	ASSERT(request_child(request)->job != NULL);
	if (request->stats != NULL)
		rebuild_job_stats(request_child(request)->job, request->stats);
	return OP_NEXT;
}

static enum op_flow home_history(struct nexus_request *request)
{
	const struct history *history = &request->work.nexus->history;
	uint32_t count = history->count;

	ASSERT(request->history_capacity == 0 || request->history != NULL);
	ASSERT(count <= NEXUS_HISTORY_MAX);
	ASSERT(history->next < NEXUS_HISTORY_MAX);
	if (count > request->history_capacity)
		count = request->history_capacity;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t index = (history->next + NEXUS_HISTORY_MAX - 1 - i) % NEXUS_HISTORY_MAX;

		request->history[i] = history->entries[index];
	}
	request->history_count = count;
	return OP_NEXT;
}

/* Of size and pauses. */

static enum op_flow home_jobs_restart(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(request->work.home_kind == REQUEST_RESIZE);
	ASSERT(nexus->pause_count > 0);
	for_each_child (nexus, nexus->mask[CHILD_STALE], slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (nexus->turn.was_rebuilding[slot] && nexus_rebuild_begin(child) < 0)
			log_warn(nexus->log, "nexus %s: rebuild of %s cannot go on", nexus->name,
				 child->uri);
	}
	return OP_NEXT;
}

/* All maps of the new size, or none: they are swapped when there is memory for every one. */
static int resize_maps(struct nexus *nexus, uint64_t segment_count)
{
	struct bitmap **maps[NEXUS_CHILDREN_MAX + 2];
	struct bitmap *grown[NEXUS_CHILDREN_MAX + 2];
	bool is_new_set[NEXUS_CHILDREN_MAX + 2];
	uint32_t map_count = 0;
	uint32_t done = 0;
	int rc = 0;

	ASSERT(segment_count >= nexus->segment_count);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		ASSERT(child->job == NULL); /* it holds on to its map */
		is_new_set[map_count] = child->phase != CHILD_IN_SYNC;
		if (child->stale != NULL)
			maps[map_count++] = &child->stale;
	}
	for (uint32_t i = 0; i < 2; i++) {
		is_new_set[map_count] = false;
		maps[map_count++] = &nexus->recent[i].map;
	}
	for (; done < map_count && rc == 0; done += rc == 0)
		rc = nexus_map_grow(*maps[done], segment_count, is_new_set[done], &grown[done]);
	for (uint32_t i = 0; i < done; i++) {
		bitmap_destroy(rc == 0 ? *maps[i] : grown[i]);
		if (rc == 0)
			*maps[i] = grown[i];
	}
	return rc;
}

/* First the record, then the hosts: no activation makes smaller what they have seen. */
static enum op_flow home_resize_record(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(request->work.home_kind == REQUEST_RESIZE);
	ASSERT(nexus->turn.data.count >= nexus->block_count);
	nexus->recorded_block_count = nexus->turn.data.count;
	membership_change(nexus);
	return home_record(request);
}

static void resize_take_back(struct nexus *nexus)
{
	ASSERT(nexus->recorded_block_count >= nexus->block_count);
	nexus->recorded_block_count = nexus->block_count;
	membership_change(nexus);
}

static enum op_flow home_resize_recorded(struct nexus_request *request)
{
	ASSERT(request->work.home_kind == REQUEST_RESIZE);
	home_recorded(request);
	if (request->result != NEXUS_DONE)
		resize_take_back(request->work.nexus);
	return OP_NEXT;
}

static enum op_flow home_resize(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	uint64_t segment_count = rebuild_segment_count(nexus->turn.data.count, nexus->block_bytes);

	ASSERT(nexus->turn.pauses == 1);
	ASSERT(segment_count >= nexus->segment_count);
	ASSERT(nexus->active[0] + nexus->active[1] == 0);
	ASSERT(nexus->turn.data.first == nexus->data_offset_blocks);
	ASSERT(nexus->turn.data.count >= nexus->block_count);
	if (resize_maps(nexus, segment_count) < 0) {
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL,
				   "nexus %s: no memory to grow; free some and try again",
				   nexus->name);
		resize_take_back(nexus);
		return home_jobs_restart(request);
	}
	nexus->segment_count = segment_count;
	nexus->block_count = nexus->turn.data.count;
	return OP_NEXT;
}

static enum op_flow home_keep_pause(struct nexus_request *request)
{
	ASSERT(request->work.nexus->turn.pauses == 1);
	ASSERT(request->work.nexus->pause_count > 0);
	request->work.nexus->turn.pauses = 0;
	return OP_NEXT;
}

static enum op_flow home_end_pause(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(nexus->turn.pauses == 0);
	if (nexus->pause_count == 0)
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION, "nexus %s is not paused",
				   nexus->name);
	else
		nexus_io_resume(nexus);
	return OP_NEXT;
}

static enum op_flow home_info(struct nexus_request *request)
{
	if (request->info != NULL)
		nexus_info_fill(request->work.nexus, request->info);
	return OP_NEXT;
}

#define HOME_STEPS_MAX 13

static const home_step home_plans[REQUEST_KIND_COUNT][HOME_STEPS_MAX] = {
	[REQUEST_CREATE] = {home_create_open, home_create_flush, home_create_flushed, home_record,
			    home_recorded, home_pause, home_create_rebuild},
	[REQUEST_CREATE_UNDO] = {home_stop_io, home_jobs_stop, home_drain, home_membership_stop,
				 home_close_all},
	[REQUEST_DESTROY] = {home_stop_io, home_jobs_stop, home_drain, nexus_end_flush,
			     home_record_clean, home_membership_stop, home_close_all},
	[REQUEST_SHUTDOWN] = {home_stop_io, home_jobs_stop, home_drain, nexus_end_flush,
			      home_record_clean, home_membership_stop, home_close_all},
	[REQUEST_ADD] = {home_check_serving, home_add_open, home_record, home_add_recorded,
			 home_pause, home_rebuild_try},
	[REQUEST_REMOVE] = {home_check_serving, home_remove_check, home_last_check,
			    home_child_stop_job, home_last_check, home_remove_leave, home_record,
			    home_recorded, home_child_leave_source, home_drain, home_child_flushed,
			    home_child_close, home_remove_end},
	[REQUEST_OFFLINE] = {home_check_serving, home_last_check, home_child_stop_job,
			     home_last_check, home_offline, home_record, home_recorded,
			     home_child_leave_source, home_drain, home_child_flushed,
			     home_child_close},
	[REQUEST_ONLINE_CHECK] = {home_check_serving, home_online_check, home_child_stop_job,
				  home_child_leave_source, home_drain, home_child_flushed,
				  home_child_close},
	[REQUEST_ONLINE] = {home_check_serving, home_online_open, home_pause, home_rebuild_try},
	[REQUEST_CLOSE] = {home_close_check, home_child_stop_job, home_child_leave_source,
			   home_drain, home_child_flushed, home_child_close},
	[REQUEST_RESIZE] = {home_check_serving, home_resize_record, home_resize_recorded,
			    home_jobs_stop, home_pause, home_resize, home_jobs_restart},
	[REQUEST_REBUILD_START] = {home_check_serving, home_rebuild_check, home_pause,
				   home_rebuild_start},
	[REQUEST_REBUILD_STOP] = {home_check_serving, home_child_stop_job},
	[REQUEST_REBUILD_PAUSE] = {home_check_serving, home_job_check, home_job_pause},
	[REQUEST_REBUILD_RESUME] = {home_check_serving, home_job_check, home_job_resume},
	[REQUEST_IO_PAUSE] = {home_check_serving, home_pause, home_keep_pause},
	[REQUEST_IO_RESUME] = {home_end_pause},
	[REQUEST_REBUILD_STATS] = {home_job_check, home_job_stats},
	[REQUEST_INFO] = {home_info},
	[REQUEST_HISTORY] = {home_history},
};

/* Only requests that stand in line may use nexus->turn. */
static bool home_is_in_line(const struct nexus_request *request)
{
	return request->work.home_kind < REQUEST_REBUILD_STATS;
}

static void home_end(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(!home_is_in_line(request) || nexus->is_running);
	ASSERT(op_is_idle(&request->work.home_op));
	if (home_is_in_line(request)) {
		for (; nexus->turn.pauses > 0; nexus->turn.pauses--)
			nexus_io_resume(nexus);
	}
	reactor_call_finish(&request->work.call);
}

static void home_run(struct op *op)
{
	struct nexus_request *request = container_of(op, struct nexus_request, work.home_op);
	struct nexus_work *work = &request->work;

	ASSERT(op_is_idle(op));
	ASSERT(!home_is_in_line(request) || work->nexus->is_running);
	ASSERT(work->home_kind < REQUEST_KIND_COUNT);
	for (;;) {
		home_step step = NULL;

		if (work->home_step < HOME_STEPS_MAX)
			step = home_plans[work->home_kind][work->home_step];
		if (request->result != NEXUS_DONE && !work->is_undoing)
			step = NULL;
		if (home_is_in_line(request) && work->nexus->turn.is_skipped)
			step = NULL;
		if (step == NULL) {
			home_end(request); /* @request is main's from here on */
			return;
		}
		work->home_step++;
		ASSERT(work->home_step <= HOME_STEPS_MAX);
		if (step(request) == OP_WAIT)
			return;
	}
}

void nexus_home_call(struct reactor_call *call)
{
	struct nexus_request *request = container_of(call, struct nexus_request, work.call);

	ASSERT(request->work.call.function == nexus_home_call);
	ASSERT(call->target == request->work.nexus->home);
	request->work.home_step = 0;
	op_init(&request->work.home_op, reactor_ready(request->work.nexus->home), home_run);
	op_start(&request->work.home_op);
}
