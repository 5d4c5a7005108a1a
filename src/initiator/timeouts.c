/* SPDX-License-Identifier: Apache-2.0 */
/* timeouts.c - one timer per queue pair looks after everything that may take too long.
 *
 *	set-up too long               the queue fails
 *	command of an I/O queue       an abort is asked for; still no answer after the same time
 *	                              again: the queue fails, and with it the controller
 *	command of an admin queue     the queue fails
 *	I/O waiting for a connection  answered when its patience (fail_fast_ms) is over
 *
 * The tick is armed only while one of these could happen, so an idle queue costs nothing. It is
 * coarse: an eighth of the shortest of these times.
 */
#include "initiator/queue_impl.h"

#include "base/planted.h"

#include <errno.h>

#define NS_PER_MS   1000000ull
#define TICK_MS_MIN 1
#define TICK_MS_MAX 100

static uint64_t tick_ns(const struct initiator_queue *queue)
{
	const struct initiator_options *options = queue->shared->options;
	uint32_t times_ms[] = {options->io_timeout_ms, options->admin_timeout_ms,
			       options->connect_timeout_ms, options->fail_fast_ms};
	uint64_t shortest_ms = TICK_MS_MAX * 8;

	for (size_t i = 0; i < sizeof(times_ms) / sizeof(times_ms[0]); i++) {
		if (times_ms[i] > 0 && times_ms[i] < shortest_ms)
			shortest_ms = times_ms[i];
	}
	if (shortest_ms < TICK_MS_MIN * 8)
		shortest_ms = TICK_MS_MIN * 8;
	ASSERT(shortest_ms >= TICK_MS_MIN * 8);
	ASSERT(shortest_ms <= TICK_MS_MAX * 8);
	return shortest_ms * NS_PER_MS / 8;
}

static bool is_setting_up(const struct initiator_queue *queue)
{
	return queue->step > QUEUE_IDLE && queue->step < QUEUE_LIVE;
}

static bool is_tick_needed(const struct initiator_queue *queue)
{
	if (queue->waiting_count > 0)
		return true;
	if (queue->step == QUEUE_IDLE)
		return false;
	return queue->step != QUEUE_LIVE || queue->timed_count > 0;
}

void timeouts_arm(struct initiator_queue *queue)
{
	if (!is_tick_needed(queue))
		reactor_timer_stop(&queue->tick);
	else if (!reactor_timer_is_armed(&queue->tick))
		reactor_timer_start(&queue->tick, tick_ns(queue));
	ASSERT(reactor_timer_is_armed(&queue->tick) == is_tick_needed(queue));
	ASSERT(queue->timed_count == 0 || reactor_timer_is_armed(&queue->tick));
}

static void slot_expire(struct initiator_queue *queue, struct queue_slot *slot, uint64_t now_ns)
{
	const struct initiator_options *options = queue->shared->options;

	ASSERT(slot->state != SLOT_FREE && slot->deadline_ns <= now_ns);
	ASSERT(slot->command->timeout_ms != TIMEOUT_NEVER_MS);
	if (queue->is_admin || slot->is_timed_out || queue->step != QUEUE_LIVE) {
		REACHED("initiator_gives_up_a_connection");
		slot->is_timed_out = true;
		log_error(options->log,
			  "initiator %s: queue %u: a command was not answered in time; the "
			  "connection ends",
			  queue->shared->name, queue->parameters.qid);
		queue_fail(queue, -ETIMEDOUT);
		return;
	}
	slot->is_timed_out = true;
	slot->deadline_ns = now_ns + options->io_timeout_ms * NS_PER_MS;
	atomic_fetch_add(&queue->shared->timeout_count, 1);
	ASSERT(queue->abort != NULL);
	ASSERT(slot->deadline_ns > now_ns && queue->timed_count > 0);
	if (PLANTED(TIMEOUT_WITHOUT_ABORT) && queue_slot_forget(queue, slot))
		return;
	REACHED("initiator_aborts_a_command");
	queue->abort(queue, slot->cid);
}

static void slots_expire(struct initiator_queue *queue, uint64_t now_ns)
{
	ASSERT(queue->error == 0);
	ASSERT_SLOW(queue_counts_are_right(queue));
	if (queue->timed_count == 0)
		return;
	for (uint32_t i = 0; i < queue->slot_count; i++) {
		struct queue_slot *slot = &queue->slots[i];

		/* An answered slot is still being sent from: a peer that does not read. */
		if (slot->state != SLOT_FREE && slot->deadline_ns <= now_ns)
			slot_expire(queue, slot, now_ns);
	}
}

static void tick_expired(struct reactor_timer *timer)
{
	struct initiator_queue *queue = container_of(timer, struct initiator_queue, tick);
	uint64_t now_ns = reactor_now_ns(queue->reactor);

	queue_check(queue);
	ASSERT(!reactor_timer_is_armed(timer));
	if (is_setting_up(queue) && now_ns >= queue->setup_deadline_ns)
		queue_fail(queue, -ETIMEDOUT);
	if (queue->step == QUEUE_TERM_WAIT)
		queue_wake(queue);
	if (queue->error == 0)
		slots_expire(queue, now_ns);
	queue_kick(queue); /* the path may have become usable */
	queue_waiting_expire(queue, now_ns);
	timeouts_arm(queue);
}

void timeouts_init(struct initiator_queue *queue)
{
	reactor_timer_init(&queue->tick, queue->reactor, tick_expired);
}
