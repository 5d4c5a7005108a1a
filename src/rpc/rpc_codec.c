/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_codec.c - time-outs, percent-encoding and message framing of gRPC over HTTP/2.
 *
 * Invariants:
 *  1. assembler: received <= capacity, received <= message_bytes <= message_bytes_max.
 *  2. assembler: the budget was charged for exactly @capacity bytes.
 */
#include "rpc/rpc_codec.h"

#include "base/assert.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_DIGITS_MAX 8
#define TIMEOUT_VALUE_MAX  99999999ull
#define ASSEMBLY_BYTES_MIN 1024u

struct timeout_unit {
	char letter;
	uint64_t ns;
};

static const struct timeout_unit timeout_units[] = {
	{'n', 1ull},	      {'u', 1000ull},	     {'m', 1000000ull},
	{'S', 1000000000ull}, {'M', 60000000000ull}, {'H', 3600000000000ull},
};

#define TIMEOUT_UNIT_COUNT (sizeof(timeout_units) / sizeof(timeout_units[0]))

bool rpc_timeout_parse(const char *text, size_t size_bytes, uint64_t *ret_ns)
{
	uint64_t value = 0;

	ASSERT(text != NULL && ret_ns != NULL);
	if (size_bytes < 2 || size_bytes > TIMEOUT_DIGITS_MAX + 1)
		return false;
	for (size_t i = 0; i < size_bytes - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	for (size_t i = 0; i < TIMEOUT_UNIT_COUNT; i++) {
		if (timeout_units[i].letter != text[size_bytes - 1])
			continue;
		if (value > RPC_TIMEOUT_NS_MAX / timeout_units[i].ns)
			value = RPC_TIMEOUT_NS_MAX / timeout_units[i].ns;
		*ret_ns = value * timeout_units[i].ns;
		return true;
	}
	return false;
}

void rpc_timeout_format(uint64_t ns, char ret_text[RPC_TIMEOUT_TEXT_BYTES])
{
	size_t unit = 0;

	ASSERT(ret_text != NULL);
	while (unit < TIMEOUT_UNIT_COUNT - 1 && ns / timeout_units[unit].ns > TIMEOUT_VALUE_MAX)
		unit++;
	uint64_t value = ns / timeout_units[unit].ns;
	if (value > TIMEOUT_VALUE_MAX)
		value = TIMEOUT_VALUE_MAX;
	if (value == 0)
		value = 1;
	snprintf(ret_text, RPC_TIMEOUT_TEXT_BYTES, "%u%c", (unsigned)value,
		 timeout_units[unit].letter);
}

size_t rpc_percent_encode(const char *text, char *ret_text, size_t bytes)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t length = 0;

	ASSERT(bytes > 0);
	for (; *text != '\0'; text++) {
		uint8_t byte = (uint8_t)*text;
		bool is_plain = byte >= 0x20 && byte <= 0x7e && byte != '%';

		if (length + (is_plain ? 1 : 3) >= bytes)
			break;
		if (is_plain) {
			ret_text[length++] = (char)byte;
			continue;
		}
		ret_text[length++] = '%';
		ret_text[length++] = digits[byte >> 4];
		ret_text[length++] = digits[byte & 15];
	}
	ret_text[length] = '\0';
	return length;
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

void rpc_percent_decode(const char *text, size_t size_bytes, char *ret_text, size_t bytes)
{
	size_t length = 0;

	ASSERT(bytes > 0);
	for (size_t i = 0; i < size_bytes && length + 1 < bytes; i++) {
		char byte = text[i];

		if (byte == '%' && i + 2 < size_bytes && hex_value(text[i + 1]) >= 0 &&
		    hex_value(text[i + 2]) >= 0) {
			byte = (char)(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
			i += 2;
		}
		ret_text[length++] = byte == '\0' ? '?' : byte;
	}
	ret_text[length] = '\0';
}

bool rpc_content_type_is_grpc(const char *text, size_t size_bytes)
{
	static const char grpc[] = "application/grpc";
	static const char proto[] = "+proto";

	if (size_bytes < sizeof(grpc) - 1 || memcmp(text, grpc, sizeof(grpc) - 1) != 0)
		return false;
	text += sizeof(grpc) - 1;
	size_bytes -= sizeof(grpc) - 1;
	if (size_bytes >= sizeof(proto) - 1 && memcmp(text, proto, sizeof(proto) - 1) == 0) {
		text += sizeof(proto) - 1;
		size_bytes -= sizeof(proto) - 1;
	}
	return size_bytes == 0 || *text == ';' || *text == ' ';
}

void rpc_frame_prefix_encode(uint32_t message_bytes, uint8_t ret_prefix[RPC_FRAME_PREFIX_BYTES])
{
	ret_prefix[0] = 0;
	ret_prefix[1] = (uint8_t)(message_bytes >> 24);
	ret_prefix[2] = (uint8_t)(message_bytes >> 16);
	ret_prefix[3] = (uint8_t)(message_bytes >> 8);
	ret_prefix[4] = (uint8_t)message_bytes;
}

void rpc_assembler_init(struct rpc_assembler *assembler, struct rpc_budget *budget,
			uint32_t message_bytes_max)
{
	ASSERT(budget != NULL);
	*assembler = (struct rpc_assembler){
		.budget = budget,
		.message_bytes_max = message_bytes_max,
	};
}

/* Judges the finished prefix. */
static enum rpc_assembly prefix_judge(struct rpc_assembler *assembler)
{
	const uint8_t *prefix = assembler->prefix;

	ASSERT(assembler->prefix_count == RPC_FRAME_PREFIX_BYTES);
	if (prefix[0] > 1)
		return RPC_ASSEMBLY_BAD_FLAG;
	if (prefix[0] == 1)
		return RPC_ASSEMBLY_COMPRESSED;
	assembler->message_bytes = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 |
				   (uint32_t)prefix[3] << 8 | prefix[4];
	if (assembler->message_bytes > assembler->message_bytes_max)
		return RPC_ASSEMBLY_TOO_LARGE;
	return RPC_ASSEMBLY_MORE;
}

static bool message_grow(struct rpc_assembler *assembler, uint32_t needed)
{
	uint32_t capacity = assembler->capacity;

	ASSERT(needed <= assembler->message_bytes);
	if (needed <= capacity)
		return true;
	capacity = capacity < ASSEMBLY_BYTES_MIN ? ASSEMBLY_BYTES_MIN : capacity * 2;
	if (capacity < needed)
		capacity = needed;
	if (capacity > assembler->message_bytes)
		capacity = assembler->message_bytes;

	uint32_t added = capacity - assembler->capacity;
	if (!rpc_budget_take(assembler->budget, added))
		return false;
	uint8_t *message = memory_realloc(assembler->message, capacity);
	if (message == NULL) {
		rpc_budget_give(assembler->budget, added);
		return false;
	}
	assembler->message = message;
	assembler->capacity = capacity;
	return true;
}

bool rpc_assembler_is_complete(const struct rpc_assembler *assembler)
{
	return assembler->prefix_count == RPC_FRAME_PREFIX_BYTES &&
	       assembler->received == assembler->message_bytes;
}

enum rpc_assembly rpc_assembler_feed(struct rpc_assembler *assembler, const uint8_t *bytes,
				     size_t size_bytes)
{
	while (size_bytes > 0 && assembler->prefix_count < RPC_FRAME_PREFIX_BYTES) {
		assembler->prefix[assembler->prefix_count++] = *bytes++;
		size_bytes--;
		if (assembler->prefix_count < RPC_FRAME_PREFIX_BYTES)
			continue;
		enum rpc_assembly judged = prefix_judge(assembler);
		if (judged != RPC_ASSEMBLY_MORE)
			return judged;
	}
	if (assembler->prefix_count < RPC_FRAME_PREFIX_BYTES)
		return RPC_ASSEMBLY_MORE;

	uint32_t missing = assembler->message_bytes - assembler->received;
	if (size_bytes > missing)
		return RPC_ASSEMBLY_SECOND;
	if (size_bytes > 0) {
		if (!message_grow(assembler, assembler->received + (uint32_t)size_bytes))
			return RPC_ASSEMBLY_NO_MEMORY;
		memcpy(assembler->message + assembler->received, bytes, size_bytes);
		assembler->received += (uint32_t)size_bytes;
	}
	ASSERT(assembler->received <= assembler->capacity);
	return rpc_assembler_is_complete(assembler) ? RPC_ASSEMBLY_COMPLETE : RPC_ASSEMBLY_MORE;
}

void rpc_assembler_free(struct rpc_assembler *assembler)
{
	rpc_budget_give(assembler->budget, assembler->capacity);
	memory_free(assembler->message);
	rpc_assembler_init(assembler, assembler->budget, assembler->message_bytes_max);
}
