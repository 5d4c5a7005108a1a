/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_memory.c - bounded memory for what comes from and goes to the wire.
 *
 * Invariants:
 *  1. budget: used <= max.
 *  2. queue: offset <= size <= capacity; an empty queue holds no memory.
 */
#include "rpc/rpc_memory.h"

#include "base/assert.h"
#include "base/memory.h"
#include "rpc/rpc_codec.h"
#include "rpc/rpc_server.h"

#include <errno.h>
#include <string.h>

bool rpc_budget_take(struct rpc_budget *budget, uint64_t bytes)
{
	ASSERT(budget->used <= budget->max);
	if (bytes > budget->max - budget->used)
		return false;
	budget->used += bytes;
	return true;
}

void rpc_budget_give(struct rpc_budget *budget, uint64_t bytes)
{
	ASSERT(bytes <= budget->used);
	budget->used -= bytes;
}

static void *http_malloc(size_t size_bytes, void *user)
{
	(void)user;
	return memory_alloc(size_bytes > 0 ? size_bytes : 1);
}

static void *http_calloc(size_t count, size_t element_bytes, void *user)
{
	(void)user;
	return memory_alloc_array(count > 0 ? count : 1, element_bytes > 0 ? element_bytes : 1);
}

static void *http_realloc(void *memory, size_t size_bytes, void *user)
{
	(void)user;
	return memory_realloc(memory, size_bytes > 0 ? size_bytes : 1);
}

static void http_free(void *memory, void *user)
{
	(void)user;
	memory_free(memory);
}

void rpc_nghttp2_memory(nghttp2_mem *ret_memory)
{
	*ret_memory = (nghttp2_mem){
		.malloc = http_malloc,
		.calloc = http_calloc,
		.realloc = http_realloc,
		.free = http_free,
	};
}

/* Counts what one message takes: a few bytes on the wire may stand for a large struct. */
static void *unpack_alloc(void *user, size_t size_bytes)
{
	struct rpc_budget *budget = user;

	if (budget == NULL || !rpc_budget_take(budget, size_bytes + sizeof(void *)))
		return NULL;
	return memory_alloc(size_bytes > 0 ? size_bytes : 1);
}

static void unpack_free(void *user, void *memory)
{
	(void)user;
	memory_free(memory);
}

int rpc_message_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
		       size_t size_bytes, ProtobufCMessage **ret_message)
{
	struct rpc_budget budget = {.max = RPC_UNPACKED_BYTES_MAX};
	ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &budget};
	static const uint8_t nothing[1];

	ASSERT(type != NULL && ret_message != NULL);
	ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, size_bytes,
							      size_bytes > 0 ? bytes : nothing);
	if (message != NULL) {
		*ret_message = message;
		return 0;
	}
	/* The library does not say why; near the limit the limit is the likely reason. */
	return budget.max - budget.used < size_bytes + 65536 ? -ENOMEM : -EBADMSG;
}

void rpc_message_free(ProtobufCMessage *message)
{
	ProtobufCAllocator allocator = {unpack_alloc, unpack_free, NULL};

	if (message != NULL)
		protobuf_c_message_free_unpacked(message, &allocator);
}

void rpc_bytes_init(struct rpc_bytes *queue, struct rpc_budget *budget)
{
	ASSERT(budget != NULL);
	*queue = (struct rpc_bytes){.budget = budget};
}

static bool bytes_reserve(struct rpc_bytes *queue, size_t added)
{
	size_t needed = queue->size + added;

	if (needed <= queue->capacity)
		return true;
	if (!rpc_budget_take(queue->budget, needed - queue->capacity))
		return false;
	uint8_t *bytes = memory_realloc(queue->bytes, needed);
	if (bytes == NULL) {
		rpc_budget_give(queue->budget, needed - queue->capacity);
		return false;
	}
	queue->bytes = bytes;
	queue->capacity = needed;
	return true;
}

int rpc_bytes_append(struct rpc_bytes *queue, const ProtobufCMessage *message,
		     size_t message_bytes_max)
{
	size_t size_bytes = protobuf_c_message_get_packed_size(message);

	if (size_bytes > message_bytes_max)
		return -EMSGSIZE;
	if (!bytes_reserve(queue, RPC_FRAME_PREFIX_BYTES + size_bytes))
		return -ENOMEM;
	rpc_frame_prefix_encode((uint32_t)size_bytes, queue->bytes + queue->size);
	queue->size += RPC_FRAME_PREFIX_BYTES;
	size_t packed = protobuf_c_message_pack(message, queue->bytes + queue->size);
	ASSERT(packed == size_bytes);
	queue->size += packed;
	ASSERT(queue->size <= queue->capacity);
	return 0;
}

size_t rpc_bytes_read(struct rpc_bytes *queue, uint8_t *ret_bytes, size_t size_bytes)
{
	size_t left = rpc_bytes_left(queue);

	if (size_bytes > left)
		size_bytes = left;
	if (size_bytes == 0)
		return 0;
	memcpy(ret_bytes, queue->bytes + queue->offset, size_bytes);
	queue->offset += size_bytes;
	if (queue->offset == queue->size)
		rpc_bytes_free(queue);
	return size_bytes;
}

void rpc_bytes_free(struct rpc_bytes *queue)
{
	rpc_budget_give(queue->budget, queue->capacity);
	memory_free(queue->bytes);
	rpc_bytes_init(queue, queue->budget);
}
