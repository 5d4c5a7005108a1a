/* SPDX-License-Identifier: Apache-2.0 */
/* os_ring.h - where one thread's disk and socket operations complete.
 *
 * A ring belongs to one thread (its reactor): the one of its first turn. It may be made, and its
 * listeners and memory prepared, on another thread before that, and destroyed on another after the
 * last turn. Submissions prepare; os_ring_turn() hands everything prepared to the kernel at once,
 * reaps completions, and may sleep. Transfers of disks may be handed over before the turn's end.
 * Completions call op_done() or op_wake() on the ops that were given; no other code runs inside
 * os_ring_turn().
 */
#ifndef OS_OS_RING_H
#define OS_OS_RING_H

#include "os/os.h"

#include <stdbool.h>

struct os_ring;

#define OS_WAIT_NOT	0 /* do not sleep */
#define OS_WAIT_FOREVER UINT64_MAX

struct os_ring_options {
	uint32_t entries;	       /* submissions prepared between two turns */
	uint32_t receive_buffer_count; /* power of two; shared by all sockets of the ring: one
					* for each that receives in the same turn serves best */
	uint32_t receive_buffer_bytes;
};

int os_ring_create(struct os *os, const struct os_ring_options *options, struct os_ring **ret_ring)
	__attribute__((warn_unused_result));

/** Every disk operation and socket must be finished. NULL is allowed. */
void os_ring_destroy(struct os_ring *ring);

/**
 * os_ring_turn - submit what is prepared, reap what is complete
 * @wait_until_ns: OS_WAIT_NOT, OS_WAIT_FOREVER, or the os_clock_now_ns() time at which to return
 *	even when nothing happened. Sleeps only while nothing is complete and no wake is pending.
 * The turn takes the wakes so far, whether it slept or not: look at what they were for after it.
 * Return: how many completions were handled.
 */
uint32_t os_ring_turn(struct os_ring *ring, uint64_t wait_until_ns);

/**
 * True if a turn would submit something, or find completions or a wake. Cheap, no system call: fit
 * for spinning.
 */
bool os_ring_has_completions(const struct os_ring *ring);

/**
 * os_ring_wake - end a sleep in os_ring_turn(), or the next one
 * Costs a system call only while the owner sleeps. What the caller wrote before is seen by the
 * owner after that turn. Context: any thread, signal handlers too.
 */
void os_ring_wake(struct os_ring *ring);

/**
 * os_ring_buffers_register - announce memory that disk I/O will use often
 * Operations whose iovecs lie inside it may be faster; everything works without. A refusal by
 * the system (limits) is not an error. The memory is pinned: all of its pages become resident, and
 * it must outlive the ring.
 * Context: the ring's thread, or any before the first turn.
 * Return: true if registered.
 */
bool os_ring_buffers_register(struct os_ring *ring, void *memory, size_t size_bytes);

struct os_ring_stats {
	uint64_t enters; /* entries of the owner into the kernel, to submit, reap or sleep */
	uint64_t cpu_ns; /* of the owner's thread since it began; 0 before the first turn */
};

/** What the ring and its owner have used. Context: any thread. */
void os_ring_stats(const struct os_ring *ring, struct os_ring_stats *ret_stats);

#endif
