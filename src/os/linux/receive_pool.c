/* SPDX-License-Identifier: Apache-2.0 */
/* receive_pool.c - receive buffers shared by the sockets of a ring, chosen by the kernel.
 *
 * Invariant: an index is either with the kernel (offered, or in a completion not yet handled) or
 * held by one socket, never both.
 */
#include "base/memory.h"
#include "os/linux/ring_impl.h"

#include <errno.h>

#define GROUP		  0
#define RECEIVE_COUNT_MAX 32768 /* the kernel's limit for a buffer ring */

static void pool_offer(struct receive_pool *pool, uint32_t index)
{
	io_uring_buf_ring_add(pool->kernel_ring, receive_pool_bytes(pool, index),
			      pool->buffer_bytes, (unsigned short)index,
			      io_uring_buf_ring_mask(pool->count), 0);
	io_uring_buf_ring_advance(pool->kernel_ring, 1);
}

int receive_pool_init(struct os_ring *ring, uint32_t count, uint32_t buffer_bytes)
{
	struct receive_pool *pool = &ring->receive;
	struct io_uring_buf_reg registration = {.ring_entries = count, .bgid = GROUP};
	int rc = -ENOMEM;

	if (count == 0)
		return 0;
	ASSERT(count <= RECEIVE_COUNT_MAX && (count & (count - 1)) == 0);
	ASSERT(buffer_bytes > 0);
	pool->count = count;
	pool->buffer_bytes = buffer_bytes;
	pool->kernel_ring = memory_alloc_pages(count * sizeof(struct io_uring_buf));
	if (pool->kernel_ring == NULL)
		return -ENOMEM;
	pool->bytes = memory_alloc_pages((size_t)count * buffer_bytes);
	if (pool->bytes == NULL)
		goto fail_ring;
	pool->buffers = memory_alloc_array(count, sizeof(*pool->buffers));
	if (pool->buffers == NULL)
		goto fail_bytes;
	registration.ring_addr = (uintptr_t)pool->kernel_ring;
	rc = io_uring_register_buf_ring(&ring->uring, &registration, 0);
	if (rc < 0) {
		/* An older kernel: sockets receive into their private buffers. */
		rc = 0;
		goto fail_buffers;
	}
	io_uring_buf_ring_init(pool->kernel_ring);
	for (uint32_t i = 0; i < count; i++)
		pool_offer(pool, i);
	return 0;

fail_buffers:
	memory_free(pool->buffers);
fail_bytes:
	memory_free_pages(pool->bytes, (size_t)count * buffer_bytes);
fail_ring:
	memory_free_pages(pool->kernel_ring, count * sizeof(struct io_uring_buf));
	*pool = (struct receive_pool){0};
	return rc;
}

void receive_pool_deinit(struct os_ring *ring)
{
	struct receive_pool *pool = &ring->receive;

	if (pool->kernel_ring == NULL)
		return;
	ASSERT(pool->held_count == 0);
	/* Refused on a thread that does not own the ring; then its end does it. */
	(void)io_uring_unregister_buf_ring(&ring->uring, GROUP);
	memory_free(pool->buffers);
	memory_free_pages(pool->bytes, (size_t)pool->count * pool->buffer_bytes);
	memory_free_pages(pool->kernel_ring, pool->count * sizeof(struct io_uring_buf));
	*pool = (struct receive_pool){0};
}

uint8_t *receive_pool_bytes(struct receive_pool *pool, uint32_t index)
{
	ASSERT(index < pool->count);
	return pool->bytes + (size_t)index * pool->buffer_bytes;
}

void receive_pool_take(struct receive_pool *pool, uint32_t index, uint32_t size_bytes)
{
	ASSERT(index < pool->count && size_bytes <= pool->buffer_bytes);
	ASSERT(pool->held_count < pool->count);
	pool->held_count++;
	pool->buffers[index].next = RECEIVE_BUFFER_NONE;
	pool->buffers[index].size_bytes = size_bytes;
}

void receive_pool_return(struct receive_pool *pool, uint32_t index)
{
	ASSERT(pool->held_count > 0);
	pool->held_count--;
	pool_offer(pool, index);
}
