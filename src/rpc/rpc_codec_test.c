/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: each small encoding takes what the documents allow, refuses the rest, and is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/rpc_codec.h"
#include "rpc/rpc_status.h"

#include <errno.h>

static bool timeout_of(const char *text, uint64_t *ret_ns)
{
	return rpc_timeout_parse(text, strlen(text), ret_ns);
}

static void timeouts_have_digits_and_a_unit(void **state)
{
	uint64_t ns = 0;

	(void)state;
	assert_true(timeout_of("1n", &ns) && ns == 1);
	assert_true(timeout_of("20u", &ns) && ns == 20000);
	assert_true(timeout_of("300m", &ns) && ns == 300000000);
	assert_true(timeout_of("15S", &ns) && ns == 15000000000);
	assert_true(timeout_of("2M", &ns) && ns == 120000000000);
	assert_true(timeout_of("99999999H", &ns) && ns <= RPC_TIMEOUT_NS_MAX);
	assert_true(timeout_of("00000000S", &ns) && ns == 0);
	ns = 7;
	assert_false(timeout_of("", &ns));
	assert_false(timeout_of("S", &ns));
	assert_false(timeout_of("5", &ns));
	assert_false(timeout_of("5s", &ns));
	assert_false(timeout_of("-5S", &ns));
	assert_false(timeout_of("5 S", &ns));
	assert_false(timeout_of("123456789S", &ns));
	assert_int_equal(ns, 7);
}

static void a_formatted_timeout_is_never_longer(void **state)
{
	static const uint64_t values[] = {0,	      1,	   99999999,	       100000000,
					  5000000000, 15000000001, RPC_TIMEOUT_NS_MAX, UINT64_MAX};
	char text[RPC_TIMEOUT_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint64_t ns = 0;

		rpc_timeout_format(values[i], text);
		assert_true(strlen(text) <= 9);
		assert_true(timeout_of(text, &ns));
		assert_true(ns > 0 && (ns <= values[i] || values[i] == 0));
	}
	rpc_timeout_format(5000000000, text);
	assert_string_equal(text, "5000000u");
}

static void messages_survive_percent_encoding(void **state)
{
	const char *text = "pool 'ü' is 100% full\n\x01";
	char encoded[128];
	char decoded[128];

	(void)state;
	size_t length = rpc_percent_encode(text, encoded, sizeof(encoded));
	assert_string_equal(encoded, "pool '%C3%BC' is 100%25 full%0A%01");
	rpc_percent_decode(encoded, length, decoded, sizeof(decoded));
	assert_string_equal(decoded, text);
}

static void percent_encoding_stays_in_its_buffer(void **state)
{
	char small[6];

	(void)state;
	assert_int_equal(rpc_percent_encode("abc\n", small, sizeof(small)), 3);
	assert_string_equal(small, "abc");
	assert_int_equal(rpc_percent_encode("abcdefgh", small, sizeof(small)), 5);
	rpc_percent_decode("abcdefgh", 8, small, sizeof(small));
	assert_string_equal(small, "abcde");
	rpc_percent_decode("%", 1, small, sizeof(small));
	assert_string_equal(small, "%");
	rpc_percent_decode("%4", 2, small, sizeof(small));
	assert_string_equal(small, "%4");
	rpc_percent_decode("%41%zz", 6, small, sizeof(small));
	assert_string_equal(small, "A%zz");
	rpc_percent_decode("a%00b", 5, small, sizeof(small));
	assert_string_equal(small, "a?b");
}

static bool is_grpc(const char *text)
{
	return rpc_content_type_is_grpc(text, strlen(text));
}

static void only_grpc_with_protobuf_is_grpc(void **state)
{
	(void)state;
	assert_true(is_grpc("application/grpc"));
	assert_true(is_grpc("application/grpc+proto"));
	assert_true(is_grpc("application/grpc;charset=utf-8"));
	assert_false(is_grpc("application/grpc-web"));
	assert_false(is_grpc("application/grpc+json"));
	assert_false(is_grpc("application/json"));
	assert_false(is_grpc(""));
}

static void status_numbers_and_names_agree(void **state)
{
	enum rpc_status status;

	(void)state;
	for (int i = 0; i < RPC_STATUS_COUNT; i++) {
		char text[4];

		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(rpc_status_of_number(text), i);
		assert_true(rpc_status_parse(rpc_status_name((enum rpc_status)i), &status));
		assert_int_equal(status, i);
	}
	assert_string_equal(rpc_status_name(RPC_UNAUTHENTICATED), "UNAUTHENTICATED");
	assert_string_equal(rpc_status_name((enum rpc_status)99), "UNKNOWN");
	assert_int_equal(rpc_status_of_number("17"), RPC_UNKNOWN);
	assert_int_equal(rpc_status_of_number(""), RPC_UNKNOWN);
	assert_int_equal(rpc_status_of_number("-1"), RPC_UNKNOWN);
	assert_int_equal(rpc_status_of_number("4294967296"), RPC_UNKNOWN);
	assert_false(rpc_status_parse("NOPE", &status));
	assert_int_equal(rpc_status_of_errno(-ENODEV), RPC_NOT_FOUND);
	assert_int_equal(rpc_status_of_http(503), RPC_UNAVAILABLE);
}

static void a_message_is_assembled_from_any_pieces(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};

	(void)state;
	for (size_t piece = 1; piece <= sizeof(bytes); piece++) {
		struct rpc_budget budget = {.max = 100};
		struct rpc_assembler assembler;
		enum rpc_assembly last = RPC_ASSEMBLY_MORE;

		rpc_assembler_init(&assembler, &budget, 10);
		for (size_t at = 0; at < sizeof(bytes); at += piece) {
			size_t size = at + piece > sizeof(bytes) ? sizeof(bytes) - at : piece;

			assert_int_equal(last, RPC_ASSEMBLY_MORE);
			last = rpc_assembler_feed(&assembler, bytes + at, size);
		}
		assert_int_equal(last, RPC_ASSEMBLY_COMPLETE);
		assert_memory_equal(assembler.message, "abc", 3);
		assert_true(budget.used > 0);
		rpc_assembler_free(&assembler);
		assert_int_equal(budget.used, 0);
	}
}

static enum rpc_assembly assembly_of(const void *bytes, size_t size, uint64_t budget_bytes)
{
	struct rpc_budget budget = {.max = budget_bytes};
	struct rpc_assembler assembler;

	rpc_assembler_init(&assembler, &budget, 10);
	enum rpc_assembly result = rpc_assembler_feed(&assembler, bytes, size);
	rpc_assembler_free(&assembler);
	assert_int_equal(budget.used, 0);
	return result;
}

static void bad_frames_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(assembly_of("\0\0\0\0\0", 5, 100), RPC_ASSEMBLY_COMPLETE);
	assert_int_equal(assembly_of("\0\0\0\0", 4, 100), RPC_ASSEMBLY_MORE);
	assert_int_equal(assembly_of("\0\0\0\0\x0b", 5, 100), RPC_ASSEMBLY_TOO_LARGE);
	assert_int_equal(assembly_of("\0\xff\xff\xff\xff", 5, 100), RPC_ASSEMBLY_TOO_LARGE);
	assert_int_equal(assembly_of("\1\0\0\0\1", 5, 100), RPC_ASSEMBLY_COMPRESSED);
	assert_int_equal(assembly_of("\2\0\0\0\1", 5, 100), RPC_ASSEMBLY_BAD_FLAG);
	assert_int_equal(assembly_of("\0\0\0\0\1ab", 7, 100), RPC_ASSEMBLY_SECOND);
	assert_int_equal(assembly_of("\0\0\0\0\5ab", 7, 1), RPC_ASSEMBLY_NO_MEMORY);
}

static void an_announced_size_takes_no_memory_yet(void **state)
{
	struct rpc_budget budget = {.max = 8u << 20};
	struct rpc_assembler assembler;

	(void)state;
	rpc_assembler_init(&assembler, &budget, 4u << 20);
	assert_int_equal(rpc_assembler_feed(&assembler, (const uint8_t *)"\0\0\x30\0\0", 5),
			 RPC_ASSEMBLY_MORE);
	assert_int_equal(budget.used, 0);
	assert_int_equal(rpc_assembler_feed(&assembler, (const uint8_t *)"a", 1),
			 RPC_ASSEMBLY_MORE);
	assert_true(budget.used <= 4096);
	rpc_assembler_free(&assembler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeouts_have_digits_and_a_unit),
		cmocka_unit_test(a_formatted_timeout_is_never_longer),
		cmocka_unit_test(messages_survive_percent_encoding),
		cmocka_unit_test(percent_encoding_stays_in_its_buffer),
		cmocka_unit_test(only_grpc_with_protobuf_is_grpc),
		cmocka_unit_test(status_numbers_and_names_agree),
		cmocka_unit_test(a_message_is_assembled_from_any_pieces),
		cmocka_unit_test(bad_frames_are_told_apart),
		cmocka_unit_test(an_announced_size_takes_no_memory_yet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
