/* SPDX-License-Identifier: Apache-2.0 */
/* Message framing, time-outs, percent-encoding and unpacking of any bytes in any pieces. */
#include "base/assert.h"
#include "rpc/rpc_codec.h"
#include "rpc_test.pb-c.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void texts(const uint8_t *bytes, size_t size)
{
	char decoded[64];
	char encoded[RPC_PERCENT_BYTES(sizeof(decoded))];
	char again[64];
	uint64_t ns;

	rpc_percent_decode((const char *)bytes, size, decoded, sizeof(decoded));
	size_t length = rpc_percent_encode(decoded, encoded, sizeof(encoded));
	ASSERT(length == strlen(encoded));
	rpc_percent_decode(encoded, length, again, sizeof(again));
	ASSERT(strcmp(decoded, again) == 0);
	if (rpc_timeout_parse((const char *)bytes, size, &ns))
		ASSERT(ns <= RPC_TIMEOUT_NS_MAX);
	rpc_content_type_is_grpc((const char *)bytes, size);
}

static void message(const struct rpc_assembler *assembler)
{
	ProtobufCMessage *unpacked;

	if (rpc_message_unpack(&mayastor__rpctest__echo_request__descriptor, assembler->message,
			       assembler->received, &unpacked) == 0)
		rpc_message_free(unpacked);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct rpc_budget budget = {.max = 3000};
	struct rpc_assembler assembler;

	texts(bytes, size);
	rpc_assembler_init(&assembler, &budget, 4096);
	for (size_t at = 1; at < size;) {
		size_t piece = (bytes[0] % 16u) + 1;

		if (piece > size - at)
			piece = size - at;
		enum rpc_assembly result = rpc_assembler_feed(&assembler, bytes + at, piece);
		at += piece;
		if (result == RPC_ASSEMBLY_COMPLETE)
			message(&assembler);
		if (result != RPC_ASSEMBLY_MORE)
			break;
	}
	rpc_assembler_free(&assembler);
	ASSERT(budget.used == 0);
	return 0;
}
