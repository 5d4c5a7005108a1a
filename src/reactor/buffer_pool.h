/* SPDX-License-Identifier: Apache-2.0 */
/* buffer_pool.h - page-aligned data buffers of one reactor, in two sizes, taken at start.
 *
 * Whoever finds none free waits in line: memory is bounded, order is arrival, and a waiter gets
 * its buffer with its wake-up. Untouched buffers cost address space only.
 * A quarter of each class is kept from front users: those whose I/O waits for buffers of other
 * engines before it gives its own back, as that of a mirror does. Without it two engines that hold
 * copies for each other could each have all buffers in such I/O, and wait for ever.
 *
 * Invariants: a free buffer of a class exists only while nobody waits for that class, but for the
 * front users, who may wait while no more than the kept ones are free; single thread.
 */
#ifndef REACTOR_BUFFER_POOL_H
#define REACTOR_BUFFER_POOL_H

#include "base/list.h"
#include "base/op.h"

#include <stddef.h>

#define SMALL_BUFFER_BYTES 8192
#define LARGE_BUFFER_BYTES (132 * 1024)

struct buffer_pool;

struct buffer {
	uint8_t *bytes;	       /* aligned to 4096 */
	uint32_t size_bytes;   /* SMALL_BUFFER_BYTES or LARGE_BUFFER_BYTES */
	struct list_node link; /* private */
};

struct buffer_waiter {
	struct op *parent; /* gets one op_done() together with the buffer */
	uint32_t size_bytes;
	bool is_front; /* see above */
	struct buffer *buffer;
	struct list_node link; /* private */
};

int buffer_pool_create(uint32_t small_count, uint32_t large_count, struct buffer_pool **ret_pool)
	__attribute__((warn_unused_result));
/** All buffers must be back and nobody waiting. NULL is allowed. */
void buffer_pool_destroy(struct buffer_pool *pool);

/** Smallest class that holds @size_bytes (<= LARGE_BUFFER_BYTES). NULL: none free, or others wait.
 */
struct buffer *buffer_acquire(struct buffer_pool *pool, uint32_t size_bytes);
/** The same for a front user. */
struct buffer *buffer_acquire_front(struct buffer_pool *pool, uint32_t size_bytes);

/**
 * buffer_wait - acquire now or as soon as one is returned
 * Call op_wait(waiter->parent) before. @waiter->buffer is set when op_done() comes.
 */
void buffer_wait(struct buffer_pool *pool, struct buffer_waiter *waiter);

/** Leaves the line. Return: false if the buffer was handed over already (it is the caller's).
 * When true, op_done() has been given to the parent and waiter->buffer is NULL. */
bool buffer_wait_cancel(struct buffer_pool *pool, struct buffer_waiter *waiter);

void buffer_release(struct buffer_pool *pool, struct buffer *buffer);

/** The arena, to register with the ring. */
void buffer_pool_memory(struct buffer_pool *pool, void **ret_memory, size_t *ret_size_bytes);
/** How many a user, or a front user, could get now. */
uint32_t buffer_pool_free_count(const struct buffer_pool *pool, uint32_t size_bytes, bool is_front);

#endif
