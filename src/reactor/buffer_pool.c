/* SPDX-License-Identifier: Apache-2.0 */
/* buffer_pool.c - two classes of buffers cut from one arena.
 *
 * Invariants:
 *  1. free_count is the length of the free list; free + handed out = total of a class.
 *  2. While somebody waits for a class its free list is empty: a returned buffer goes straight
 *     to the first in line, and nobody overtakes.
 */
#include "reactor/buffer_pool.h"

#include "base/memory.h"

#include <errno.h>

#define CLASS_COUNT 2
#define PAGE_BYTES  4096

STATIC_ASSERT(SMALL_BUFFER_BYTES % PAGE_BYTES == 0);
STATIC_ASSERT(LARGE_BUFFER_BYTES % PAGE_BYTES == 0);

#define KEPT_PART 4 /* of a class is kept from front users */

struct buffer_class {
	uint32_t buffer_bytes;
	uint32_t total;
	uint32_t free_count;
	struct list_node free; /* last in, first out: hot ones stay hot */
	struct list_node waiting;
	struct list_node waiting_front;
	uint32_t kept_count; /* that front users do not get */
	struct buffer *buffers;
};

struct buffer_pool {
	struct buffer_class of[CLASS_COUNT];
	uint8_t *arena;
	size_t arena_bytes;
};

static int class_init(struct buffer_class *class, uint32_t buffer_bytes, uint32_t total)
{
	ASSERT(buffer_bytes % PAGE_BYTES == 0);
	ASSERT(class->free_count == 0);
	class->buffer_bytes = buffer_bytes;
	class->total = total;
	list_init(&class->free);
	list_init(&class->waiting);
	list_init(&class->waiting_front);
	class->kept_count = total / KEPT_PART;
	if (total == 0)
		return 0;
	class->buffers = memory_alloc_array(total, sizeof(class->buffers[0]));
	return class->buffers == NULL ? -ENOMEM : 0;
}

/* Cuts the class's part out of the arena. Return: where the next part begins. */
static uint8_t *class_cut(struct buffer_class *class, uint8_t *bytes)
{
	ASSERT((uintptr_t)bytes % PAGE_BYTES == 0);
	ASSERT(class->free_count == 0);
	ASSERT(class->total == 0 || class->buffers != NULL);
	for (uint32_t i = 0; i < class->total; i++) {
		struct buffer *buffer = &class->buffers[i];

		buffer->bytes = bytes;
		buffer->size_bytes = class->buffer_bytes;
		list_init(&buffer->link);
		list_push_back(&class->free, &buffer->link);
		class->free_count++;
		bytes += class->buffer_bytes;
	}
	ASSERT(class->free_count == class->total);
	return bytes;
}

int buffer_pool_create(uint32_t small_count, uint32_t large_count, struct buffer_pool **ret_pool)
{
	struct buffer_pool *pool = memory_alloc(sizeof(*pool));
	uint8_t *bytes;

	if (pool == NULL)
		return -ENOMEM;
	if (class_init(&pool->of[0], SMALL_BUFFER_BYTES, small_count) < 0 ||
	    class_init(&pool->of[1], LARGE_BUFFER_BYTES, large_count) < 0)
		goto fail;
	pool->arena_bytes =
		(size_t)small_count * SMALL_BUFFER_BYTES + (size_t)large_count * LARGE_BUFFER_BYTES;
	if (pool->arena_bytes > 0) {
		pool->arena = memory_alloc_pages(pool->arena_bytes);
		if (pool->arena == NULL)
			goto fail;
	}
	bytes = class_cut(&pool->of[0], pool->arena);
	bytes = class_cut(&pool->of[1], bytes);
	ASSERT(bytes == pool->arena + pool->arena_bytes);
	ASSERT((pool->arena == NULL) == (pool->arena_bytes == 0));
	*ret_pool = pool;
	return 0;

fail:
	memory_free(pool->of[0].buffers);
	memory_free(pool->of[1].buffers);
	memory_free(pool);
	return -ENOMEM;
}

void buffer_pool_destroy(struct buffer_pool *pool)
{
	if (pool == NULL)
		return;
	for (int i = 0; i < CLASS_COUNT; i++) {
		ASSERT(pool->of[i].free_count == pool->of[i].total);
		ASSERT(list_is_empty(&pool->of[i].waiting));
		ASSERT(list_is_empty(&pool->of[i].waiting_front));
		memory_free(pool->of[i].buffers);
	}
	ASSERT((pool->arena == NULL) == (pool->arena_bytes == 0));
	if (pool->arena != NULL)
		memory_free_pages(pool->arena, pool->arena_bytes);
	memory_free(pool);
}

static struct buffer_class *class_for(struct buffer_pool *pool, uint32_t size_bytes)
{
	ASSERT(size_bytes > 0);
	ASSERT(size_bytes <= LARGE_BUFFER_BYTES);
	return &pool->of[size_bytes > SMALL_BUFFER_BYTES];
}

struct buffer *buffer_acquire(struct buffer_pool *pool, uint32_t size_bytes)
{
	struct buffer_class *class = class_for(pool, size_bytes);
	struct list_node *node;

	ASSERT(list_is_empty(&class->free) == (class->free_count == 0));
	ASSERT(list_is_empty(&class->waiting) || class->free_count == 0);
	node = list_pop_front(&class->free);
	if (node == NULL)
		return NULL;
	ASSERT(class->free_count > 0);
	class->free_count--;
	ASSERT(class->free_count < class->total);
	ASSERT(list_is_empty(node));
	return list_entry(node, struct buffer, link);
}

struct buffer *buffer_acquire_front(struct buffer_pool *pool, uint32_t size_bytes)
{
	const struct buffer_class *class = class_for(pool, size_bytes);

	ASSERT(class->kept_count < class->total || class->total == 0);
	if (class->free_count <= class->kept_count)
		return NULL;
	ASSERT(list_is_empty(&class->waiting_front));
	return buffer_acquire(pool, size_bytes);
}

void buffer_wait(struct buffer_pool *pool, struct buffer_waiter *waiter)
{
	struct buffer_class *class = class_for(pool, waiter->size_bytes);

	ASSERT(waiter->parent == NULL || waiter->parent->pending > 0);
	list_init(&waiter->link);
	waiter->buffer = waiter->is_front ? buffer_acquire_front(pool, waiter->size_bytes)
					  : buffer_acquire(pool, waiter->size_bytes);
	REACHED_IF(waiter->buffer == NULL, "buffer_waited_for");
	COUNT_IF(waiter->buffer == NULL && class->free_count > 0, "buffer_kept_from_the_front");
	if (waiter->buffer == NULL)
		list_push_back(waiter->is_front ? &class->waiting_front : &class->waiting,
			       &waiter->link);
	else
		op_done(waiter->parent);
	ASSERT((waiter->buffer == NULL) == !list_is_empty(&waiter->link));
}

bool buffer_wait_cancel(struct buffer_pool *pool, struct buffer_waiter *waiter)
{
	if (waiter->buffer != NULL)
		return false;
	ASSERT(waiter->is_front || class_for(pool, waiter->size_bytes)->free_count == 0);
	ASSERT(waiter->parent == NULL || waiter->parent->pending > 0);
	ASSERT(!list_is_empty(&waiter->link));
	list_remove(&waiter->link);
	op_done(waiter->parent);
	return true;
}

void buffer_release(struct buffer_pool *pool, struct buffer *buffer)
{
	struct buffer_class *class = class_for(pool, buffer->size_bytes);
	struct list_node *node;

	ASSERT(buffer->size_bytes == class->buffer_bytes);
	ASSERT(buffer >= class->buffers);
	ASSERT(buffer < class->buffers + class->total);
	ASSERT(list_is_empty(&buffer->link)); /* not free already */
	ASSERT(class->free_count < class->total);
	ASSERT(list_is_empty(&class->waiting) || class->free_count == 0);
	ASSERT((size_t)(buffer->bytes - pool->arena) < pool->arena_bytes);
	node = list_pop_front(&class->waiting);
	if (node == NULL && class->free_count >= class->kept_count)
		node = list_pop_front(&class->waiting_front);
	if (node != NULL) {
		struct buffer_waiter *waiter = list_entry(node, struct buffer_waiter, link);

		ASSERT(waiter->buffer == NULL);
		ASSERT(waiter->size_bytes <= buffer->size_bytes);
		waiter->buffer = buffer;
		op_done(waiter->parent);
		return;
	}
	list_push_front(&class->free, &buffer->link);
	class->free_count++;
	ASSERT(class->free_count <= class->total);
}

void buffer_pool_memory(struct buffer_pool *pool, void **ret_memory, size_t *ret_size_bytes)
{
	ASSERT((pool->arena == NULL) == (pool->arena_bytes == 0));
	*ret_memory = pool->arena;
	*ret_size_bytes = pool->arena_bytes;
}

uint32_t buffer_pool_free_count(const struct buffer_pool *pool, uint32_t size_bytes, bool is_front)
{
	const struct buffer_class *class = &pool->of[size_bytes > SMALL_BUFFER_BYTES];
	uint32_t kept_count = is_front ? class->kept_count : 0;

	ASSERT(size_bytes > 0);
	ASSERT(size_bytes <= LARGE_BUFFER_BYTES);
	return class->free_count > kept_count ? class->free_count - kept_count : 0;
}
