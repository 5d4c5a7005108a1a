/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_membership.c - the one writer of the record: who holds every acknowledged write.
 *
 * Whoever changes what should be recorded raises change_last; the writer composes a record of the
 * present state, stores it, and whoever waited for a change that it contains goes on. Changes that
 * come while a store is out go into the next record together.
 *
 *	IDLE -> STORE -> JUDGE -> IDLE             stored
 *	                 JUDGE -> BACKOFF -> IDLE  the store is away: the next try is composed anew
 *
 * Invariants:
 *  1. One store is out at a time; sequence numbers grow with every store.
 *  2. A record names at least one healthy child.
 *  3. A store that failed may have happened: is_maybe_healthy is set when a record that calls a
 *     child healthy is composed, and cleared only when one that does not is durable.
 *  4. A child becomes readable after its good news is durable, and is forgotten by writes after
 *     its bad news is.
 */
#include "nexus/nexus_impl.h"

#include <inttypes.h>
#include <string.h>

#define BACKOFF_FACTOR_MAX 32 /* of the first pause */

static struct nexus *membership_nexus(struct membership *membership)
{
	return container_of(membership, struct nexus, membership);
}

static bool membership_is_due(const struct membership *membership)
{
	ASSERT(membership->change_durable <= membership->change_last);
	return !membership->is_stopped && membership->change_last > membership->change_durable;
}

/* Waiters. */

static void waiter_answer(struct record_waiter *waiter, enum record_wait_result result)
{
	ASSERT(!list_is_empty(&waiter->link));
	list_remove(&waiter->link);
	waiter->result = result;
	op_done(waiter->parent);
}

static void waiters_answer_all(struct membership *membership, enum record_wait_result result)
{
	list_for_each (node, &membership->waiters)
		waiter_answer(list_entry(node, struct record_waiter, link), result);
	reactor_timer_stop(&membership->deadline_timer);
	ASSERT(list_is_empty(&membership->waiters));
}

static void waiters_rearm(struct membership *membership)
{
	struct list_node *first = list_first(&membership->waiters);
	uint64_t now_ns = reactor_now_ns(membership_nexus(membership)->home);
	uint64_t deadline_ns;

	reactor_timer_stop(&membership->deadline_timer);
	if (first == NULL)
		return;
	deadline_ns = list_entry(first, struct record_waiter, link)->deadline_ns;
	reactor_timer_start(&membership->deadline_timer,
			    deadline_ns > now_ns ? deadline_ns - now_ns : 0);
}

static void waiters_expired(struct reactor_timer *timer)
{
	struct membership *membership = container_of(timer, struct membership, deadline_timer);
	uint64_t now_ns = reactor_now_ns(membership_nexus(membership)->home);

	ASSERT(!reactor_timer_is_armed(&membership->deadline_timer));
	list_for_each (node, &membership->waiters) {
		struct record_waiter *waiter = list_entry(node, struct record_waiter, link);

		ASSERT(waiter->change > membership->change_durable);
		if (waiter->deadline_ns <= now_ns)
			waiter_answer(waiter, RECORD_WAIT_EXPIRED);
	}
	waiters_rearm(membership);
}

/* The record. */

static void record_compose(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;
	struct nexus_record *record = &membership->io.record;
	uint32_t healthy_count = 0;

	ASSERT(membership->step == RECORD_JUDGE);
	ASSERT(!membership->is_stopped);
	ASSERT(membership->sequence < UINT64_MAX);
	*record = (struct nexus_record){.epoch = nexus->epoch,
					.sequence = ++membership->sequence,
					.is_clean_shutdown = membership->is_clean_wanted};
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->phase == CHILD_EMPTY || child->is_leaving)
			continue;
		ASSERT(child->phase != CHILD_IN_SYNC || child->is_wanted_healthy);
		ASSERT(child->phase != CHILD_LOSING || !child->is_wanted_healthy);
		record->children[record->child_count++] = (struct nexus_record_child){
			.uuid = child->uuid, .is_healthy = child->is_wanted_healthy};
		if (!child->is_wanted_healthy)
			continue;
		child->is_maybe_healthy = true;
		healthy_count++;
	}
	ASSERT(healthy_count > 0);
	ASSERT(record->child_count <= NEXUS_CHILDREN_MAX);
	membership->change_composed = membership->change_last;
	ASSERT(membership->change_composed > membership->change_durable);
	if (membership->waits_since_wall_ns == 0)
		membership->waits_since_wall_ns = os_clock_wall_ns(reactor_os(nexus->home));
}

/* On main: hands it to the recorder. */

static void record_main_run(struct op *op)
{
	struct membership *membership = container_of(op, struct membership, main_op);

	ASSERT(membership->step == RECORD_JUDGE);
	ASSERT(op_is_idle(op));
	reactor_call_finish(&membership->call);
}

static void record_main_store(struct reactor_call *call)
{
	struct membership *membership = container_of(call, struct membership, call);
	struct nexus *nexus = membership_nexus(membership);
	struct nexus_recorder *recorder = nexus->set->options.recorder;

	ASSERT(membership->io.record.sequence == membership->sequence);
	ASSERT(call->target == nexus->main);
	ASSERT(membership->io.record.child_count > 0);
	ASSERT(membership->step == RECORD_JUDGE);
	op_init(&membership->main_op, reactor_ready(nexus->main), record_main_run);
	membership->io.parent = &membership->main_op;
	op_wait(&membership->main_op);
	recorder->ops->store(recorder, &membership->io);
	if (op_join(&membership->main_op) == OP_NEXT)
		reactor_call_finish(call);
}

static enum op_flow record_store(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;

	ASSERT(op_is_idle(&membership->op));
	ASSERT(membership_is_due(membership));
	record_compose(nexus);
	membership->call = (struct reactor_call){.parent = &membership->op,
						 .origin = nexus->home,
						 .target = nexus->main,
						 .function = record_main_store};
	op_wait(&membership->op);
	reactor_call_submit(&membership->call);
	return op_join(&membership->op);
}

/* What a durable record means for one child. */
static void record_settle_child(struct nexus_child *child, uint64_t durable)
{
	ASSERT(durable <= child->nexus->membership.change_last);
	ASSERT(child->joined_change == 0 || child->phase == CHILD_SYNCING);
	ASSERT(child->joined_change <= child->nexus->membership.change_last);
	if (!child->is_wanted_healthy && child->lost_change <= durable)
		child->is_maybe_healthy = false;
	if (child->phase == CHILD_LOSING && child->lost_change <= durable) {
		ASSERT(!child->is_wanted_healthy);
		nexus_child_set_phase(child, CHILD_FAULTED);
		nexus_child_close_later(child);
	}
	if (child->phase == CHILD_SYNCING && child->joined_change != 0 &&
	    child->joined_change <= durable) {
		ASSERT(child->is_wanted_healthy);
		ASSERT(child->job == NULL);
		child->joined_change = 0;
		child->reason = NEXUS_REASON_NONE;
		child->fault_wall_ns = 0;
		nexus_child_set_phase(child, CHILD_IN_SYNC);
		log_info(child->nexus->log, "nexus %s: child %s is in sync", child->nexus->name,
			 child->uri);
	}
}

static void record_stored(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;

	ASSERT(membership->io.result == NEXUS_RECORD_OK);
	ASSERT(membership->change_composed <= membership->change_last);
	membership->change_durable = membership->change_composed;
	membership->backoff_ns = 0;
	if (membership->change_durable == membership->change_last)
		membership->waits_since_wall_ns = 0;
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++)
		record_settle_child(nexus_child_at(nexus, slot), membership->change_durable);
	list_for_each (node, &membership->waiters) {
		struct record_waiter *waiter = list_entry(node, struct record_waiter, link);

		if (waiter->change <= membership->change_durable)
			waiter_answer(waiter, RECORD_WAIT_OK);
	}
	waiters_rearm(membership);
}

static void record_failed(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;

	ASSERT(!membership->is_stopped);
	ASSERT(!reactor_timer_is_armed(&membership->backoff_timer));
	if (membership->backoff_ns == 0) {
		log_warn(nexus->log,
			 "nexus %s: record %" PRIu64 " could not be stored; what depends on it "
			 "waits until the store answers",
			 nexus->name, membership->io.record.sequence);
		membership->backoff_ns = nexus->set->options.record_retry_ns;
	} else if (membership->backoff_ns <
		   nexus->set->options.record_retry_ns * BACKOFF_FACTOR_MAX) {
		membership->backoff_ns *= 2;
	}
	reactor_timer_start(&membership->backoff_timer, membership->backoff_ns);
	ASSERT(membership->backoff_ns > 0);
}

static enum record_step record_judge(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;

	ASSERT(membership->step == RECORD_JUDGE);
	ASSERT(op_is_idle(&membership->op));
	ASSERT(membership->change_composed > membership->change_durable);
	if (membership->io.result == NEXUS_RECORD_OK)
		record_stored(nexus);
	else if (membership->io.result == NEXUS_RECORD_FENCED)
		nexus_fence_self(nexus, "a newer activation is in the store");
	if (membership->stop_waiter != NULL) {
		op_done(membership->stop_waiter);
		membership->stop_waiter = NULL;
	}
	if (membership->is_stopped || membership->io.result == NEXUS_RECORD_OK)
		return RECORD_IDLE;
	record_failed(nexus);
	return RECORD_BACKOFF;
}

static void membership_run(struct op *op)
{
	struct membership *membership = container_of(op, struct membership, op);
	struct nexus *nexus = membership_nexus(membership);

	for (;;) {
		switch (membership->step) {
		case RECORD_IDLE:
			if (!membership_is_due(membership))
				return;
			membership->step = RECORD_STORE;
			break;
		case RECORD_STORE:
			membership->step = RECORD_JUDGE;
			if (record_store(nexus) == OP_WAIT)
				return;
			break;
		case RECORD_JUDGE:
			membership->step = record_judge(nexus);
			if (membership->step == RECORD_BACKOFF)
				return;
			break;
		case RECORD_BACKOFF:
			membership->step = RECORD_IDLE;
			break;
		}
	}
}

static void backoff_expired(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct membership, backoff_timer)->op);
}

void membership_init(struct nexus *nexus, uint64_t sequence)
{
	struct membership *membership = &nexus->membership;

	ASSERT(membership->change_last == 0);
	ASSERT(nexus->home != NULL);
	membership->step = RECORD_IDLE;
	membership->sequence = sequence;
	memcpy(membership->io.key, nexus->info_key, sizeof(membership->io.key));
	list_init(&membership->waiters);
	op_init(&membership->op, reactor_ready(nexus->home), membership_run);
	reactor_timer_init(&membership->backoff_timer, nexus->home, backoff_expired);
	reactor_timer_init(&membership->deadline_timer, nexus->home, waiters_expired);
}

uint64_t membership_change(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;

	ASSERT(membership->change_last < UINT64_MAX);
	membership->change_last++;
	/* While a store is out or a back-off runs, their end looks for new changes. */
	if (membership->step == RECORD_IDLE)
		op_wake(&membership->op);
	ASSERT(membership->change_last > membership->change_durable);
	return membership->change_last;
}

void membership_wait(struct nexus *nexus, struct record_waiter *waiter)
{
	struct membership *membership = &nexus->membership;

	ASSERT(waiter->parent->pending > 0);
	ASSERT(waiter->change <= membership->change_last);
	list_init(&waiter->link);
	waiter->deadline_ns = reactor_now_ns(nexus->home) + nexus->set->options.record_wait_ns;
	ASSERT(list_is_empty(&membership->waiters) ||
	       list_entry(membership->waiters.previous, struct record_waiter, link)->deadline_ns <=
		       waiter->deadline_ns);
	list_push_back(&membership->waiters, &waiter->link);
	if (nexus->is_fenced)
		waiter_answer(waiter, RECORD_WAIT_FENCED);
	else if (waiter->change <= membership->change_durable)
		waiter_answer(waiter, RECORD_WAIT_OK);
	else if (membership->is_stopped)
		waiter_answer(waiter, RECORD_WAIT_EXPIRED);
	else if (!reactor_timer_is_armed(&membership->deadline_timer))
		waiters_rearm(membership);
}

void nexus_fence_self(struct nexus *nexus, const char *why)
{
	if (nexus->is_fenced)
		return;
	nexus->is_fenced = true;
	nexus->membership.is_stopped = true;
	log_error(nexus->log,
		  "nexus %s: stops itself, since %s; the host must use the other path, and this "
		  "nexus should be destroyed",
		  nexus->name, why);
	for_each_child (nexus, nexus->mask[CHILD_SYNCING], slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->job != NULL)
			rebuild_job_abandon(child->job, IO_RESERVATION_CONFLICT);
	}
	waiters_answer_all(&nexus->membership, RECORD_WAIT_FENCED);
	nexus_io_answer_waiting(nexus);
	ASSERT(list_is_empty(&nexus->io_waiting));
}

void membership_stop(struct nexus *nexus, struct op *parent)
{
	struct membership *membership = &nexus->membership;

	ASSERT(parent->pending > 0);
	ASSERT(membership->stop_waiter == NULL);
	membership->is_stopped = true;
	waiters_answer_all(membership, RECORD_WAIT_EXPIRED);
	if (membership->step == RECORD_BACKOFF) {
		reactor_timer_stop(&membership->backoff_timer);
		membership->step = RECORD_IDLE;
	}
	if (membership->step == RECORD_IDLE) {
		ASSERT(!reactor_timer_is_armed(&membership->backoff_timer));
		op_unwake(&membership->op);
		op_done(parent);
		return;
	}
	membership->stop_waiter = parent;
	ASSERT(membership->step == RECORD_JUDGE);
}
