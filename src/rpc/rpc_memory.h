/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_memory.h - how nghttp2 and protobuf-c get memory, and how much a peer may make us hold. */
#ifndef RPC_RPC_MEMORY_H
#define RPC_RPC_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that requests and responses hold together. */
struct rpc_budget {
	uint64_t used;
	uint64_t max;
};

/** Return: false, and nothing taken, when it would go over the maximum. */
bool rpc_budget_take(struct rpc_budget *budget, uint64_t bytes);
void rpc_budget_give(struct rpc_budget *budget, uint64_t bytes);

/** nghttp2's allocator over base/memory.h; nghttp2 copies it. */
void rpc_nghttp2_memory(nghttp2_mem *ret_memory);

/**
 * rpc_message_unpack - a protobuf message from bytes
 * Return: 0; -EBADMSG when they are none; -ENOMEM when it would become larger than
 * RPC_UNPACKED_BYTES_MAX or there is no memory.
 */
int rpc_message_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
		       size_t size_bytes, ProtobufCMessage **ret_message)
	__attribute__((warn_unused_result));
/** NULL is allowed. */
void rpc_message_free(ProtobufCMessage *message);

/* Framed messages on their way out: written at the end, read at the front. */
struct rpc_bytes {
	struct rpc_budget *budget;
	uint8_t *bytes;
	size_t size;	 /* written */
	size_t offset;	 /* read */
	size_t capacity; /* charged to the budget */
};

void rpc_bytes_init(struct rpc_bytes *queue, struct rpc_budget *budget);
/**
 * rpc_bytes_append - frame and pack @message
 * Return: 0; -EMSGSIZE when it packs to more than @message_bytes_max; -ENOMEM.
 */
int rpc_bytes_append(struct rpc_bytes *queue, const ProtobufCMessage *message,
		     size_t message_bytes_max) __attribute__((warn_unused_result));
/** Copies up to @size_bytes out. Return: how many. Memory is freed with the last byte. */
size_t rpc_bytes_read(struct rpc_bytes *queue, uint8_t *ret_bytes, size_t size_bytes);
static inline size_t rpc_bytes_left(const struct rpc_bytes *queue)
{
	return queue->size - queue->offset;
}
void rpc_bytes_free(struct rpc_bytes *queue);

#endif
