/* SPDX-License-Identifier: Apache-2.0 */
/* reactor.c - the turn of one event loop.
 *
 *	ring       submit what the last turn prepared, reap completions; sleep here when idle
 *	messages   from other threads, in order
 *	timers     that are due
 *	ready ops  up to READY_BUDGET, so that the ring is never starved
 *	late ops   those that waited when their part began
 *
 * Messages are pushed on a lock-free stack that its owner takes whole and reverses, so there is
 * neither a lock nor the ABA problem; who finds it empty wakes the owner, the others need not.
 *
 * Invariants:
 *  1. The ring is turned once per turn at least, however many ops are ready.
 *  2. A timer armed while timers expire, or a late op woken by a late op, waits for the next turn.
 *  3. It sleeps only when no op, message or due timer waits; a message sent meanwhile ends the
 *     sleep, because os_ring_wake() is not lost between the check and the sleep.
 */
#include "reactor/reactor.h"

#include "base/limits.h"
#include "base/memory.h"
#include "reactor/buffer_pool.h"
#include "reactor/reactor_spin.h"
#include "reactor/timer_heap.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define READY_BUDGET 256
#define SPIN_LOOKS   32 /* looks at the ring between two looks at the clock */

struct reactor {
	struct os *os;
	struct os_ring *ring;
	struct buffer_pool *buffers;
	struct op_queue ready;
	struct op_queue late;
	struct timer_heap timers;
	struct reactor_spin spin;
	uint64_t now_ns;
	struct reactor_stats stats;
	uint32_t index;
	bool is_turning; /* in a turn now: a turn does not nest */
	_Atomic bool is_stopping;
	/* A line of its own: other threads write here. */
	_Alignas(64) _Atomic(struct reactor_message *) messages; /* newest first */
};

/* Others may read them at any time. */
static void counter_add(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, *counter + value, __ATOMIC_RELAXED);
}

static uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void reactor_options_default(struct reactor_options *ret_options)
{
	*ret_options = (struct reactor_options){
		.index = 0,
		.core = -1,
		.ring_entries = 1024,
		.receive_buffer_count = 128,
		.receive_buffer_bytes = 64 * 1024, /* a segment of TCP in one piece */
		.small_buffer_count = 1024,
		.large_buffer_count = 160, /* with all else below 48 MiB resident */
		.spin_ns_max = 200 * 1000, /* see reactor_spin.h */
	};
}

int reactor_create(struct os *os, const struct reactor_options *options,
		   struct reactor **ret_reactor)
{
	struct os_ring_options ring_options = {
		.entries = options->ring_entries,
		.receive_buffer_count = options->receive_buffer_count,
		.receive_buffer_bytes = options->receive_buffer_bytes,
	};
	struct reactor *reactor;
	void *arena;
	size_t arena_bytes;
	int rc;

	ASSERT(options->ring_entries > 0);
	ASSERT(options->core >= -1);
	ASSERT(options->index < REACTORS_MAX);
	/* On pages: the line for messages needs its alignment. */
	reactor = memory_alloc_pages(sizeof(*reactor));
	if (reactor == NULL)
		return -ENOMEM;
	reactor->os = os;
	reactor->index = options->index;
	reactor->spin.ns_max = options->spin_ns_max;
	reactor->now_ns = os_clock_now_ns(os);
	op_queue_init(&reactor->ready);
	op_queue_init(&reactor->late);
	rc = buffer_pool_create(options->small_buffer_count, options->large_buffer_count,
				&reactor->buffers);
	if (rc < 0)
		goto fail_reactor;
	rc = os_ring_create(os, &ring_options, &reactor->ring);
	if (rc < 0)
		goto fail_buffers;
	buffer_pool_memory(reactor->buffers, &arena, &arena_bytes);
	if (arena_bytes > 0)
		os_ring_buffers_register(reactor->ring, arena, arena_bytes);
	ASSERT((uintptr_t)&reactor->messages % 64 == 0);
	ASSERT(!reactor->is_turning);
	*ret_reactor = reactor;
	return 0;

fail_buffers:
	buffer_pool_destroy(reactor->buffers);
fail_reactor:
	memory_free_pages(reactor, sizeof(*reactor));
	return rc;
}

void reactor_destroy(struct reactor *reactor)
{
	if (reactor == NULL)
		return;
	ASSERT(!reactor->is_turning);
	ASSERT(op_queue_is_empty(&reactor->ready));
	ASSERT(op_queue_is_empty(&reactor->late));
	ASSERT(timer_heap_first(&reactor->timers) == NULL);
	ASSERT(reactor->timers.count == 0);
	ASSERT(atomic_load(&reactor->messages) == NULL);
	os_ring_destroy(reactor->ring);
	buffer_pool_destroy(reactor->buffers);
	memory_free_pages(reactor, sizeof(*reactor));
}

uint64_t reactor_due_ns(const struct reactor *reactor)
{
	const struct reactor_timer *timer = timer_heap_first(&reactor->timers);

	ASSERT((timer == NULL) == (reactor->timers.count == 0));
	ASSERT(timer == NULL || timer->is_armed);
	if (!op_queue_is_empty(&reactor->ready) || !op_queue_is_empty(&reactor->late) ||
	    atomic_load_explicit(&reactor->messages, memory_order_acquire) != NULL)
		return 0;
	return timer == NULL ? UINT64_MAX : timer->deadline_ns;
}

static bool has_event(const struct reactor *reactor)
{
	return os_ring_has_completions(reactor->ring) ||
	       atomic_load_explicit(&reactor->messages, memory_order_relaxed) != NULL ||
	       atomic_load_explicit(&reactor->is_stopping, memory_order_relaxed);
}

static void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * Looks at the ring for a while without sleeping. Between the looks others on this core have it: an
 * engine that spins beside another must not keep it from the work whose outcome it waits for.
 * Return: true if something came.
 */
static bool spin(struct reactor *reactor, uint64_t idle_since_ns, uint64_t due_ns)
{
	uint64_t until_ns = idle_since_ns + reactor_spin_limit(&reactor->spin);
	uint64_t now_ns = idle_since_ns;

	if (until_ns > due_ns)
		until_ns = due_ns;
	while (now_ns < until_ns) {
		for (int look = 0; look < SPIN_LOOKS; look++) {
			if (has_event(reactor)) {
				counter_add(&reactor->stats.spin_ns, now_ns - idle_since_ns);
				return true;
			}
			cpu_relax();
		}
		counter_add(&reactor->stats.yields, 1);
		os_thread_yield(reactor->os);
		now_ns = os_clock_now_ns(reactor->os);
	}
	counter_add(&reactor->stats.spin_ns, now_ns - idle_since_ns);
	return false;
}

/* Nothing was found: spin and sleep until something comes. Return: completions handled. */
static uint32_t idle(struct reactor *reactor, uint64_t due_ns)
{
	uint64_t idle_since_ns = reactor->now_ns; /* just asked for */
	uint32_t count;

	ASSERT(reactor->is_turning);
	ASSERT(due_ns > reactor->now_ns);
	ASSERT(op_queue_is_empty(&reactor->ready));
	ASSERT(op_queue_is_empty(&reactor->late));
	if (spin(reactor, idle_since_ns, due_ns)) {
		count = os_ring_turn(reactor->ring, OS_WAIT_NOT);
	} else {
		counter_add(&reactor->stats.sleeps, 1);
		count = os_ring_turn(reactor->ring, due_ns);
	}
	reactor->now_ns = os_clock_now_ns(reactor->os);
	ASSERT(reactor->now_ns >= idle_since_ns);
	reactor_spin_record(&reactor->spin, reactor->now_ns - idle_since_ns);
	return count;
}

STATIC_ASSERT(OS_WAIT_FOREVER == UINT64_MAX); /* what reactor_due_ns() says without a timer */

static uint32_t ring_part(struct reactor *reactor, bool may_sleep)
{
	uint32_t count = os_ring_turn(reactor->ring, OS_WAIT_NOT);
	uint64_t due_ns;

	ASSERT(reactor->is_turning);
	reactor->now_ns = os_clock_now_ns(reactor->os);
	if (!may_sleep || count > 0 || has_event(reactor))
		return count;
	due_ns = reactor_due_ns(reactor);
	if (due_ns <= reactor->now_ns)
		return count;
	return idle(reactor, due_ns);
}

static uint32_t messages_part(struct reactor *reactor)
{
	struct reactor_message *message;
	struct reactor_message *in_order = NULL;
	uint32_t count = 0;

	ASSERT(reactor->is_turning);
	message = atomic_exchange_explicit(&reactor->messages, NULL, memory_order_acquire);
	while (message != NULL) {
		struct reactor_message *next = message->next;

		message->next = in_order;
		in_order = message;
		message = next;
	}
	while (in_order != NULL) {
		message = in_order;
		/* Its memory is the sender's again once it runs. */
		in_order = message->next;
		ASSERT(message->run != NULL);
		count++;
		message->run(message);
	}
	return count;
}

static uint32_t timers_part(struct reactor *reactor)
{
	uint64_t sequence_end = reactor->timers.sequence_next;
	uint32_t count = 0;

	ASSERT(reactor->is_turning);
	for (;;) {
		struct reactor_timer *timer = timer_heap_first(&reactor->timers);

		/* One armed meanwhile sorts behind all old ones that are due. */
		if (timer == NULL || timer->deadline_ns > reactor->now_ns ||
		    timer->sequence >= sequence_end)
			return count;
		ASSERT(timer->reactor == reactor);
		timer_heap_remove(&reactor->timers, timer);
		count++;
		ASSERT(!timer->is_armed);
		timer->expired(timer);
	}
}

static uint32_t late_part(struct reactor *reactor)
{
	struct op_queue now;

	ASSERT(reactor->is_turning);
	if (op_queue_is_empty(&reactor->late))
		return 0;
	op_queue_init(&now);
	list_splice_back(&now.ops, &reactor->late.ops);
	return op_queue_run(&now, UINT32_MAX);
}

bool reactor_turn(struct reactor *reactor, bool may_sleep)
{
	struct reactor_stats *stats = &reactor->stats;
	uint64_t before_ns = reactor->now_ns;
	uint32_t completions, messages, timers, ops;

	ASSERT(!reactor->is_turning);
	reactor->is_turning = true;
	completions = ring_part(reactor, may_sleep);
	ASSERT(reactor->now_ns >= before_ns);
	messages = messages_part(reactor);
	timers = timers_part(reactor);
	ops = op_queue_run(&reactor->ready, READY_BUDGET);
	ops += late_part(reactor);
	reactor->is_turning = false;
	counter_add(&stats->turns, 1);
	counter_add(&stats->completions, completions);
	counter_add(&stats->messages, messages);
	counter_add(&stats->ops_run, ops);
	return completions + messages + timers + ops > 0;
}

void reactor_run(struct reactor *reactor)
{
	ASSERT(!reactor->is_turning);
	while (!atomic_load_explicit(&reactor->is_stopping, memory_order_acquire))
		reactor_turn(reactor, true);
	atomic_store(&reactor->is_stopping, false);
}

void reactor_stop(struct reactor *reactor)
{
	atomic_store_explicit(&reactor->is_stopping, true, memory_order_release);
	os_ring_wake(reactor->ring);
}

struct os *reactor_os(struct reactor *reactor)
{
	return reactor->os;
}

struct os_ring *reactor_ring(struct reactor *reactor)
{
	return reactor->ring;
}

uint32_t reactor_index(const struct reactor *reactor)
{
	ASSERT(reactor->index < REACTORS_MAX);
	return reactor->index;
}

struct buffer_pool *reactor_buffers(struct reactor *reactor)
{
	return reactor->buffers;
}

struct op_queue *reactor_ready(struct reactor *reactor)
{
	return &reactor->ready;
}

struct op_queue *reactor_late(struct reactor *reactor)
{
	return &reactor->late;
}

uint64_t reactor_now_ns(const struct reactor *reactor)
{
	return reactor->now_ns;
}

void reactor_timer_init(struct reactor_timer *timer, struct reactor *reactor,
			void (*expired)(struct reactor_timer *timer))
{
	ASSERT(reactor != NULL);
	ASSERT(expired != NULL);
	*timer = (struct reactor_timer){.reactor = reactor, .expired = expired};
}

void reactor_timer_start(struct reactor_timer *timer, uint64_t delay_ns)
{
	struct reactor *reactor = timer->reactor;

	ASSERT(timer->expired != NULL);
	reactor_timer_stop(timer);
	if (__builtin_add_overflow(reactor->now_ns, delay_ns, &timer->deadline_ns))
		timer->deadline_ns = UINT64_MAX;
	ASSERT(timer->deadline_ns >= reactor->now_ns);
	timer_heap_insert(&reactor->timers, timer);
	ASSERT(timer->is_armed);
}

void reactor_timer_stop(struct reactor_timer *timer)
{
	ASSERT(timer->reactor != NULL);
	if (timer->is_armed)
		timer_heap_remove(&timer->reactor->timers, timer);
	ASSERT(!timer->is_armed);
}

bool reactor_timer_is_armed(const struct reactor_timer *timer)
{
	ASSERT(!timer->is_armed || timer->reactor->timers.count > 0);
	return timer->is_armed;
}

void reactor_send(struct reactor *receiver, struct reactor_message *message)
{
	struct reactor_message *newest;

	ASSERT(receiver != NULL);
	ASSERT(message->run != NULL);
	newest = atomic_load_explicit(&receiver->messages, memory_order_relaxed);
	do
		message->next = newest;
	while (!atomic_compare_exchange_weak_explicit(&receiver->messages, &newest, message,
						      memory_order_release, memory_order_relaxed));
	/* Whoever found messages there relies on the wake of the one who found none. */
	if (newest == NULL)
		os_ring_wake(receiver->ring);
}

void reactor_stats(const struct reactor *reactor, struct reactor_stats *ret_stats)
{
	const struct reactor_stats *stats = &reactor->stats;
	struct os_ring_stats ring;

	os_ring_stats(reactor->ring, &ring);
	*ret_stats = (struct reactor_stats){
		.turns = counter_read(&stats->turns),
		.sleeps = counter_read(&stats->sleeps),
		.completions = counter_read(&stats->completions),
		.ops_run = counter_read(&stats->ops_run),
		.messages = counter_read(&stats->messages),
		.spin_ns = counter_read(&stats->spin_ns),
		.yields = counter_read(&stats->yields),
		.enters = ring.enters,
		.cpu_ns = ring.cpu_ns,
	};
}
