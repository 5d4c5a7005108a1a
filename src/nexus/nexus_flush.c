/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_flush.c - those who stay are made durable before somebody is given up.
 *
 * A child may leave although it holds all data: its link broke. What the others have answered may
 * be in volatile caches; were it recorded as lost now, their next loss of power would take what it
 * alone still has. So before a record gives a child up, every child that it calls healthy is
 * flushed. Writes that are judged meanwhile, also those that the leaving child took part in, are
 * answered after the record (nexus_write.c); so what was answered before it is covered.
 *
 * A flush that fails costs the child its place like that of a host, and the others are flushed
 * again. The last child keeps its place and is asked again. A volume must not stand still for ever:
 * after half of what a write waits for its record the record is stored in spite, with a warning.
 * But not while a remote child owes the answer, who may be dead (its initiator's time-out ends
 * that), and not while the device of the last child is gone: then nothing can be written anyway,
 * and the child that left may be the better one to start anew from (nexus_membership.c).
 *
 * Invariants:
 *  1. A child that a record calls healthy was flushed after the last loss that is in this record,
 *     has no volatile cache, or was waited for as long as the above says.
 *  2. One flush of a child is out at a time, and its channel stays open so long.
 */
#include "nexus/nexus_impl.h"

#include "base/planted.h"

static bool flush_is_missing(const struct nexus_child *child)
{
	const struct nexus *nexus = child->nexus;

	ASSERT(child->flush.change_flushed <= nexus->membership.change_last);
	ASSERT(child->phase == CHILD_IN_SYNC || child->phase == CHILD_SYNCING ||
	       !child->is_wanted_healthy);
	if (!child->is_wanted_healthy || !nexus->has_cache || PLANTED(SURVIVORS_NOT_FLUSHED))
		return false;
	if (child->channel != NULL && !child->channel->bdev->has_volatile_cache)
		return false;
	return child->flush.change_flushed < nexus->membership.change_lost;
}

static bool flush_may_begin(const struct nexus_child *child)
{
	ASSERT(child->is_wanted_healthy);
	ASSERT(!child->nexus->membership.is_stopped);
	return !child->flush.is_out && !child->is_gone && child->channel != NULL;
}

static void flush_begin(struct nexus_child *child)
{
	struct child_flush *flush = &child->flush;

	ASSERT(op_is_idle(&flush->op));
	ASSERT(flush->waiter == NULL);
	REACHED("nexus_survivor_flushed");
	flush->is_out = true;
	flush->change = child->nexus->membership.change_last;
	flush->io = (struct bdev_io){.parent = &flush->op, .type = IO_FLUSH};
	op_wait(&flush->op);
	bdev_submit(child->channel, &flush->io);
	if (op_join(&flush->op) == OP_NEXT)
		op_wake(&flush->op);
}

static void flush_judge(struct nexus_child *child)
{
	enum io_status status = child->flush.io.status;

	ASSERT(!child->flush.is_out);
	ASSERT(child->channel != NULL);
	if (child->nexus->membership.is_stopped || !child->is_wanted_healthy)
		return;
	/* Who knows no flush cannot do better later. */
	if (status == IO_OK || (status == IO_UNSUPPORTED && nexus_child_is_last(child)))
		child->flush.change_flushed = child->flush.change;
	else if (status == IO_RESERVATION_CONFLICT)
		nexus_fence_self(child->nexus, "a child answered with a reservation conflict");
	else if (!nexus_child_is_last(child))
		nexus_child_fault(child, nexus_child_reason_of(status));
	/* else the timer asks again */
}

static void flush_run(struct op *op)
{
	struct nexus_child *child = container_of(op, struct nexus_child, flush.op);
	struct membership *membership = &child->nexus->membership;
	struct op *waiter = child->flush.waiter;

	ASSERT(child->flush.is_out);
	ASSERT(op_is_idle(op));
	child->flush.is_out = false;
	child->flush.waiter = NULL;
	flush_judge(child);
	/* A failed one is asked again by the timer, not at once. */
	if (membership->step == RECORD_FLUSH && !flush_is_missing(child))
		op_wake(&membership->op);
	op_done(waiter);
}

static void flush_timer_expired(struct reactor_timer *timer)
{
	struct membership *membership = container_of(timer, struct membership, flush_timer);

	ASSERT(membership->step == RECORD_FLUSH);
	op_wake(&membership->op);
}

void nexus_flush_init(struct nexus *nexus)
{
	ASSERT(nexus->home != NULL);
	reactor_timer_init(&nexus->membership.flush_timer, nexus->home, flush_timer_expired);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		ASSERT(!child->flush.is_out);
		op_init(&child->flush.op, reactor_ready(nexus->home), flush_run);
	}
}

/* Return: how many are missing. */
static uint32_t flush_begin_missing(struct nexus *nexus)
{
	uint32_t count = 0;

	ASSERT(nexus->membership.step == RECORD_FLUSH);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (!flush_is_missing(child))
			continue;
		count++;
		if (flush_may_begin(child))
			flush_begin(child);
	}
	ASSERT(count == 0 || nexus->has_cache);
	return count;
}

/* Somebody is not there, or not known to be: the record can wait as long as that is so. */
static bool flush_must_wait(struct nexus *nexus)
{
	ASSERT(nexus->mask[CHILD_IN_SYNC] != 0);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = nexus_child_at(nexus, slot);

		if (!flush_is_missing(child))
			continue;
		if (child->is_gone || child->channel == NULL)
			return true;
		if (child->flush.is_out && !child->channel->bdev->is_local)
			return true;
	}
	return false;
}

bool nexus_flush_is_over(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;
	uint64_t now_ns = reactor_now_ns(nexus->home);
	uint32_t missing = flush_begin_missing(nexus);
	uint64_t pause_ns = nexus->set->options.record_retry_ns;

	reactor_timer_stop(&membership->flush_timer);
	if (missing == 0) {
		membership->flush_deadline_ns = 0;
		return true;
	}
	if (membership->flush_deadline_ns == 0)
		membership->flush_deadline_ns = now_ns + nexus->set->options.record_wait_ns / 2;
	if (now_ns >= membership->flush_deadline_ns && !flush_must_wait(nexus)) {
		REACHED("nexus_survivor_not_flushed");
		log_warn(nexus->log,
			 "nexus %s: %u children could not be flushed before the loss of another "
			 "one is recorded: until they are, a loss of their power costs what was "
			 "answered and not flushed",
			 nexus->name, missing);
		membership->flush_deadline_ns = 0;
		return true;
	}
	ASSERT(pause_ns > 0);
	reactor_timer_start(&membership->flush_timer, pause_ns);
	return false;
}

void nexus_flush_stop(struct nexus *nexus)
{
	ASSERT(nexus->membership.is_stopped);
	reactor_timer_stop(&nexus->membership.flush_timer);
	nexus->membership.flush_deadline_ns = 0;
	ASSERT(!reactor_timer_is_armed(&nexus->membership.flush_timer));
}

void nexus_flush_wait(struct nexus_child *child, struct op *parent)
{
	ASSERT(parent->pending > 0);
	ASSERT(child->flush.waiter == NULL);
	if (child->flush.is_out)
		child->flush.waiter = parent;
	else
		op_done(parent);
}
