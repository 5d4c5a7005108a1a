/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_codec.h - the small encodings of gRPC over HTTP/2 (gRPC "PROTOCOL-HTTP2" document).
 *
 * Pure functions, and the assembly of length-prefixed messages. Everything here takes bytes from
 * the wire and asserts nothing about them.
 */
#ifndef RPC_RPC_CODEC_H
#define RPC_RPC_CODEC_H

#include "rpc/rpc_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_FRAME_PREFIX_BYTES	5 /* compressed flag, message length big-endian */
#define RPC_TIMEOUT_TEXT_BYTES	16
#define RPC_TIMEOUT_NS_MAX	(365ull * 24 * 3600 * 1000000000) /* longer ones become this */
#define RPC_PERCENT_BYTES(size) ((size)*3 + 1)

/**
 * rpc_timeout_parse - "grpc-timeout": one to eight digits and one of H M S m u n
 * Return: false if it is not of that form.
 */
bool rpc_timeout_parse(const char *text, size_t size_bytes, uint64_t *ret_ns);

/** The finest unit that fits eight digits; never longer than @ns asks for, at least 1n. */
void rpc_timeout_format(uint64_t ns, char ret_text[RPC_TIMEOUT_TEXT_BYTES]);

/**
 * rpc_percent_encode - a text as value of "grpc-message"
 * @ret_text: holds @bytes; what does not fit is cut after a whole character.
 * Return: length without the NUL.
 */
size_t rpc_percent_encode(const char *text, char *ret_text, size_t bytes);

/** The reverse; what is no valid escape stays as it is; NUL bytes become '?'. */
void rpc_percent_decode(const char *text, size_t size_bytes, char *ret_text, size_t bytes);

/** "application/grpc" or "application/grpc+proto", with or without parameters. */
bool rpc_content_type_is_grpc(const char *text, size_t size_bytes);

void rpc_frame_prefix_encode(uint32_t message_bytes, uint8_t ret_prefix[RPC_FRAME_PREFIX_BYTES]);

enum rpc_assembly {
	RPC_ASSEMBLY_MORE,	 /* nothing wrong, the message is not yet whole */
	RPC_ASSEMBLY_COMPLETE,	 /* one whole message */
	RPC_ASSEMBLY_SECOND,	 /* bytes after the one message */
	RPC_ASSEMBLY_COMPRESSED, /* the compressed flag is set */
	RPC_ASSEMBLY_BAD_FLAG,	 /* a flag that is not defined */
	RPC_ASSEMBLY_TOO_LARGE,
	RPC_ASSEMBLY_NO_MEMORY,
};

/* Collects the one message of a unary call. Memory grows as bytes arrive, never ahead of them. */
struct rpc_assembler {
	struct rpc_budget *budget;
	uint32_t message_bytes_max;
	uint8_t prefix[RPC_FRAME_PREFIX_BYTES];
	uint32_t prefix_count;
	uint32_t message_bytes; /* as announced */
	uint32_t received;
	uint32_t capacity;
	uint8_t *message;
};

void rpc_assembler_init(struct rpc_assembler *assembler, struct rpc_budget *budget,
			uint32_t message_bytes_max);
/** After anything but MORE and COMPLETE only rpc_assembler_free() may follow. */
enum rpc_assembly rpc_assembler_feed(struct rpc_assembler *assembler, const uint8_t *bytes,
				     size_t size_bytes);
bool rpc_assembler_is_complete(const struct rpc_assembler *assembler);
/** Frees the message; the assembler is as new. */
void rpc_assembler_free(struct rpc_assembler *assembler);

#endif
