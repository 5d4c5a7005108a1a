/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_membership.c - the one writer of the record: who holds every acknowledged write.
 *
 * Whoever changes what should be recorded raises change_last; the writer composes a record of the
 * present state, stores it, and whoever waited for a change that it contains goes on. Changes that
 * come while a store is out go into the next record together.
 *
 *	IDLE -> FLUSH -> STORE -> JUDGE -> IDLE             stored
 *	                          JUDGE -> BACKOFF -> IDLE  the store is away: composed anew
 *
 * FLUSH: when a child is given up, those that stay are made durable first (nexus_flush.c).
 *
 * Invariants:
 *  1. One store is out at a time; sequence numbers grow with every store.
 *  2. A record names at least one healthy child.
 *  3. A store that failed may have happened: is_maybe_healthy is set when a record that calls a
 *     child healthy is composed, and cleared only when one that does not is durable.
 *  4. A child becomes readable after its good news is durable, and is forgotten by writes after
 *     its bad news is.
 *  5. A record tells, of each healthy child, the life of the cache that holds its writes.
 *  6. No child is given up while it is known that those who stay have lost their caches, and not
 *     while that is open: the nexus stops itself, and the next one chooses anew (nexus_trust.c).
 */
#include "nexus/nexus_impl.h"

#include "base/planted.h"

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
		REACHED_IF(waiter->deadline_ns <= now_ns, "record_wait_expired");
		if (waiter->deadline_ns <= now_ns)
			waiter_answer(waiter, RECORD_WAIT_EXPIRED);
	}
	waiters_rearm(membership);
}

/* The record. */

static uint64_t record_number(struct membership *membership)
{
	ASSERT(membership->sequence < UINT64_MAX);
	if (!PLANTED(RECORD_SEQUENCE_STANDS) || membership->change_durable == 0)
		membership->sequence++;
	return membership->sequence;
}

static void record_compose(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;
	struct nexus_record *record = &membership->io.record;
	uint32_t healthy_count = 0;

	ASSERT(membership->step == RECORD_JUDGE);
	ASSERT(!membership->is_stopped);
	ASSERT(nexus->block_count > 0 && nexus->recorded_block_count >= nexus->block_count);
	*record = (struct nexus_record){.epoch = nexus->epoch,
					.sequence = record_number(membership),
					.block_count = nexus->recorded_block_count,
					.block_bytes = nexus->block_bytes,
					.is_clean_shutdown = membership->is_clean_wanted ||
							     PLANTED(UNCLEAN_END_TRUSTED)};
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->phase == CHILD_EMPTY || child->is_leaving)
			continue;
		ASSERT(child->phase != CHILD_IN_SYNC || child->is_wanted_healthy);
		ASSERT(child->phase != CHILD_LOSING || !child->is_wanted_healthy);
		record->children[record->child_count++] = (struct nexus_record_child){
			.uuid = child->uuid,
			.is_healthy =
				child->is_wanted_healthy || (PLANTED(LOST_CHILD_RECORDED_HEALTHY) &&
							     child->phase == CHILD_LOSING)};
		if (!child->is_wanted_healthy)
			continue;
		child->is_maybe_healthy = true;
		healthy_count++;
	}
	ASSERT(healthy_count > 0);
	ASSERT(record->child_count <= NEXUS_CHILDREN_MAX);
	membership->change_composed = membership->change_last;
	membership->is_loss = membership->change_lost > membership->change_durable;
	membership->joining = 0;
	for_each_child (nexus, nexus->mask[CHILD_SYNCING], slot)
		membership->joining |=
			nexus->children[slot].joined_change != 0 ? CHILD_BIT(slot) : 0;
	ASSERT(membership->change_composed > membership->change_durable);
	if (membership->waits_since_wall_ns == 0)
		membership->waits_since_wall_ns = os_clock_wall_ns(reactor_os(nexus->home));
}

/* On main: hands it to the recorder. */

static struct nexus_record_child *record_entry(struct nexus_record *record,
					       const struct nexus_child *child)
{
	ASSERT(record->child_count <= NEXUS_CHILDREN_MAX);
	for (uint32_t i = 0; child->is_used && i < record->child_count; i++) {
		if (record->children[i].is_healthy &&
		    uuid_is_equal(&record->children[i].uuid, &child->uuid))
			return &record->children[i];
	}
	return NULL;
}

/*
 * The lives of caches, which main knows. A connection that was lost since home has composed the
 * record is not up again yet: its queues are stopped by home, which this call has left before. So
 * an id is never that of a life in which the child has not held all.
 */
static void record_main_fill(struct nexus *nexus)
{
	struct nexus_record *record = &nexus->membership.io.record;

	ASSERT(record->child_count > 0);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);
		struct nexus_record_child *entry = record_entry(record, child);

		if (entry != NULL)
			entry->cache_id =
				child->bdev != NULL ? child->bdev->cache_id : child->cache_id;
	}
}

/*
 * A loss must not be recorded when those who stay lost their power before they were flushed: who
 * leaves holds what they lost. They are the last ones then, else they would have left, too.
 */
static enum record_verdict record_main_judge(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;
	bool is_known = true;

	ASSERT(membership->step == RECORD_JUDGE);
	if (!membership->is_loss || PLANTED(VOID_LOSS_RECORDED))
		return RECORD_GOOD;
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = nexus_child_at(nexus, slot);
		const struct nexus_record_child *entry =
			record_entry(&membership->io.record, child);

		if (entry == NULL)
			continue;
		if ((membership->joining & CHILD_BIT(slot)) != 0 || uuid_is_nil(&child->cache_id) ||
		    uuid_is_equal(&entry->cache_id, &child->cache_id))
			return RECORD_GOOD; /* it cannot tell, or has kept all */
		is_known &= !uuid_is_nil(&entry->cache_id);
	}
	return is_known ? RECORD_VOID : RECORD_EARLY;
}

static void record_main_run(struct op *op)
{
	struct membership *membership = container_of(op, struct membership, main_op);
	struct nexus *nexus = membership_nexus(membership);

	ASSERT(membership->step == RECORD_JUDGE);
	ASSERT(op_is_idle(op));
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);
		const struct nexus_record_child *entry =
			record_entry(&membership->io.record, child);

		if (entry != NULL && membership->io.result == NEXUS_RECORD_OK)
			child->cache_id = entry->cache_id;
	}
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
	record_main_fill(nexus);
	op_init(&membership->main_op, reactor_ready(nexus->main), record_main_run);
	membership->io.parent = &membership->main_op;
	membership->io.result = NEXUS_RECORD_FAILED;
	membership->verdict = record_main_judge(nexus);
	op_wait(&membership->main_op);
	if (membership->verdict == RECORD_GOOD)
		recorder->ops->store(recorder, &membership->io);
	else
		op_done(&membership->main_op);
	if (op_join(&membership->main_op) == OP_NEXT)
		op_start(&membership->main_op);
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

static void membership_give_up(struct nexus *nexus)
{
	ASSERT(!nexus->is_fenced);
	nexus->is_fenced = true;
	nexus->membership.is_stopped = true;
	for_each_child (nexus, nexus->mask[CHILD_SYNCING], slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->job != NULL)
			rebuild_job_abandon(child->job, IO_RESERVATION_CONFLICT);
	}
	if (nexus->membership.step == RECORD_FLUSH)
		op_wake(&nexus->membership.op);
	waiters_answer_all(&nexus->membership, RECORD_WAIT_FENCED);
	nexus_io_answer_waiting(nexus);
	ASSERT(list_is_empty(&nexus->io_waiting));
}

void nexus_fence_self(struct nexus *nexus, const char *why)
{
	if (nexus->is_fenced)
		return;
	nexus->stopped_why = why;
	log_error(nexus->log,
		  "nexus %s: stops itself, since %s; the host must use the other path, and this "
		  "nexus should be destroyed",
		  nexus->name, why);
	membership_give_up(nexus);
}

void nexus_stop_self(struct nexus *nexus, const char *why)
{
	REACHED("nexus_stopped_by_lost_power");
	if (nexus->is_fenced)
		return;
	nexus->is_orphaned = true;
	nexus->stopped_why = why;
	log_error(nexus->log,
		  "nexus %s: stops itself, since %s; destroy this nexus and create it anew with "
		  "all of its copies",
		  nexus->name, why);
	membership_give_up(nexus);
	ASSERT(nexus->is_fenced);
}

static void record_failed(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;

	ASSERT(!membership->is_stopped);
	ASSERT(!reactor_timer_is_armed(&membership->backoff_timer));
	if (membership->verdict == RECORD_EARLY) {
		REACHED("nexus_record_too_early");
		membership->backoff_ns = nexus->set->options.record_retry_ns;
	} else if (membership->backoff_ns == 0) {
		log_warn(nexus->log,
			 "nexus %s: record %" PRIu64 " could not be stored; what depends on it "
			 "waits until the store answers",
			 nexus->name, membership->io.record.sequence);
		membership->backoff_ns = nexus->set->options.record_retry_ns;
	} else if (membership->backoff_ns <
		   nexus->set->options.record_retry_ns * BACKOFF_FACTOR_MAX) {
		membership->backoff_ns *= 2;
	}
	REACHED("record_tried_again");
	if (!PLANTED(RECORD_NOT_RETRIED))
		reactor_timer_start(&membership->backoff_timer, membership->backoff_ns);
	for_each_child (nexus, PLANTED(LOST_ANSWER_IS_FAILURE) ? nexus->mask[CHILD_SYNCING] : 0,
			slot)
		nexus_child_at(nexus, slot)->is_maybe_healthy = false;
	ASSERT(membership->backoff_ns > 0);
}

static enum record_step record_judge(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;

	ASSERT(membership->step == RECORD_JUDGE);
	ASSERT(op_is_idle(&membership->op));
	ASSERT(membership->change_composed > membership->change_durable);
	if (PLANTED(RECORD_FAILURE_IGNORED) && membership->io.result == NEXUS_RECORD_FAILED)
		membership->io.result = NEXUS_RECORD_OK;
	if (membership->verdict == RECORD_VOID)
		nexus_stop_self(nexus, "the only copy left has lost its power before the loss of "
				       "another one was recorded, which may hold what it lost");
	else if (membership->io.result == NEXUS_RECORD_OK)
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
			membership->step = RECORD_FLUSH;
			break;
		case RECORD_FLUSH:
			if (membership->is_stopped) {
				nexus_flush_stop(nexus);
				membership->step = RECORD_IDLE;
				break;
			}
			if (!nexus_flush_is_over(nexus))
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
	nexus_flush_init(nexus);
	reactor_timer_init(&membership->backoff_timer, nexus->home, backoff_expired);
	reactor_timer_init(&membership->deadline_timer, nexus->home, waiters_expired);
}

uint64_t membership_change(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;

	ASSERT(membership->change_last < UINT64_MAX);
	membership->change_last++;
	/* While a store is out or a back-off runs, their end looks for new changes. */
	if (membership->step == RECORD_IDLE || membership->step == RECORD_FLUSH)
		op_wake(&membership->op);
	ASSERT(membership->change_last > membership->change_durable);
	return membership->change_last;
}

uint64_t membership_change_lost(struct nexus *nexus)
{
	struct membership *membership = &nexus->membership;

	ASSERT(membership->change_lost <= membership->change_last);
	membership->change_lost = membership_change(nexus);
	return membership->change_lost;
}

static uint64_t membership_loss_latest(struct nexus *nexus)
{
	uint64_t change = 0;

	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->is_wanted_healthy || !child->is_maybe_healthy)
			continue;
		if (child->lost_change > change)
			change = child->lost_change;
	}
	ASSERT(change <= nexus->membership.change_last);
	return change;
}

uint64_t membership_loss_to_await(struct nexus *nexus)
{
	const struct membership *membership = &nexus->membership;

	ASSERT(membership->change_durable <= membership->change_last);
	if (membership->change_durable == membership->change_last) {
		ASSERT_SLOW(membership_loss_latest(nexus) == 0);
		return 0;
	}
	return membership_loss_latest(nexus);
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

/* Answers all that waits; from now on everything gets IO_NOT_READY. */
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
	if (membership->step == RECORD_FLUSH) {
		nexus_flush_stop(nexus);
		membership->step = RECORD_IDLE;
	}
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		op_wait(parent);
		nexus_flush_wait(nexus_child_at(nexus, slot), parent);
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
