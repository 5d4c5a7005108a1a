/* SPDX-License-Identifier: Apache-2.0 */
/* reactor.h - one thread's event loop: ready operations, timers, messages, disk and sockets.
 *
 * A turn: reap completions and messages, run expired timers, run ready ops up to a budget, run
 * the late ops (which collect what the turn produced, such as answers to one connection), submit
 * everything with one system call. It spins only while there is work and for a short adaptive
 * time after, then sleeps until something happens; an idle reactor takes no CPU.
 *
 * Invariants:
 *  1. Everything a reactor owns is touched by its thread alone; others send it messages.
 *  2. Nothing here allocates after reactor_create().
 */
#ifndef REACTOR_REACTOR_H
#define REACTOR_REACTOR_H

#include "base/op.h"
#include "os/os_ring.h"

struct buffer_pool;
struct reactor;

struct reactor_options {
	uint32_t index; /* 0 is the main reactor: management runs there */
	int core;	/* to stay on; -1: any */
	uint32_t ring_entries;
	uint32_t receive_buffer_count;
	uint32_t receive_buffer_bytes;
	uint32_t small_buffer_count; /* of SMALL_BUFFER_BYTES */
	uint32_t large_buffer_count; /* of LARGE_BUFFER_BYTES */
	uint32_t spin_ns_max;	     /* longest spin before sleeping; 0: never spin */
};

/** Values that suit an engine of medium size. */
void reactor_options_default(struct reactor_options *ret_options);

int reactor_create(struct os *os, const struct reactor_options *options,
		   struct reactor **ret_reactor) __attribute__((warn_unused_result));
/** Nothing may be in flight; its thread must have ended. NULL is allowed. */
void reactor_destroy(struct reactor *reactor);

/** Turns until reactor_stop(). Context: the thread that is to own it. */
void reactor_run(struct reactor *reactor);
/** Context: any thread, signal handlers too. */
void reactor_stop(struct reactor *reactor);

/**
 * reactor_turn - one turn, for schedulers of their own (tests, the simulator)
 * @may_sleep: sleep until there is something to do.
 * Return: true if anything was done.
 */
bool reactor_turn(struct reactor *reactor, bool may_sleep);

/**
 * reactor_due_ns - when it has something to do of its own, completions of its ring aside
 * Return: 0 now (ops or messages wait), else the deadline of the next timer, or UINT64_MAX.
 */
uint64_t reactor_due_ns(const struct reactor *reactor);

struct os *reactor_os(struct reactor *reactor);
struct os_ring *reactor_ring(struct reactor *reactor);
uint32_t reactor_index(const struct reactor *reactor);
struct buffer_pool *reactor_buffers(struct reactor *reactor);

/** Queue for ops that should run in this turn. */
struct op_queue *reactor_ready(struct reactor *reactor);
/** Queue for ops that should run at the end of the turn, after the ready ones. */
struct op_queue *reactor_late(struct reactor *reactor);

/** Monotonic time, read once a turn. */
uint64_t reactor_now_ns(const struct reactor *reactor);

/* A timer; embed. Owner thread only. Timers of one deadline expire in the order of arming. */
struct reactor_timer {
	void (*expired)(struct reactor_timer *timer);
	/* private */
	struct reactor *reactor;
	uint64_t deadline_ns;
	uint64_t sequence;
	bool is_armed;
	struct reactor_timer *child;	/* links of a pairing heap */
	struct reactor_timer *sibling;	/* next child of the same parent */
	struct reactor_timer *previous; /* sibling before, or the parent of a first child */
};

void reactor_timer_init(struct reactor_timer *timer, struct reactor *reactor,
			void (*expired)(struct reactor_timer *timer));
/** Arms or re-arms it, once, @delay_ns from now. */
void reactor_timer_start(struct reactor_timer *timer, uint64_t delay_ns);
/** Safe when it is not armed. */
void reactor_timer_stop(struct reactor_timer *timer);
bool reactor_timer_is_armed(const struct reactor_timer *timer);

/* A message to another reactor (or the own one); embed. Its memory is the receiver's until run. */
struct reactor_message {
	void (*run)(struct reactor_message *message); /* on the receiving thread */
	struct reactor_message *next;		      /* private */
};

/** Hands @message over. Context: any thread. Order between two threads is kept. */
void reactor_send(struct reactor *receiver, struct reactor_message *message);

struct reactor_stats {
	uint64_t turns;
	uint64_t sleeps;
	uint64_t completions;
	uint64_t ops_run;
	uint64_t messages;
	uint64_t spin_ns;
	uint64_t yields; /* of the core to others, while spinning */
	uint64_t enters; /* into the kernel, for the ring */
	uint64_t cpu_ns; /* of its thread */
};
/** Context: any thread. */
void reactor_stats(const struct reactor *reactor, struct reactor_stats *ret_stats);

#endif
