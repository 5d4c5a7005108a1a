/* SPDX-License-Identifier: Apache-2.0 */
/* uuid_test.c - text form there and back, and what is refused. */
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void parse_and_format_are_inverse(void **state)
{
	struct uuid uuid;
	char text[UUID_TEXT_BYTES];

	(void)state;
	assert_true(uuid_parse("f81D4fae-7dec-11d0-A765-00a0c91e6bf6", &uuid));
	assert_int_equal(uuid.bytes[0], 0xf8);
	assert_int_equal(uuid.bytes[15], 0xf6);
	uuid_format(&uuid, text);
	assert_string_equal(text, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
}

static void malformed_text_is_refused_and_leaves_the_output(void **state)
{
	static const char *const bad[] = {
		"",
		"f81d4fae",
		"f81d4fae-7dec-11d0-a765-00a0c91e6bf",
		"f81d4fae-7dec-11d0-a765-00a0c91e6bf6a",
		"f81d4fae07dec-11d0-a765-00a0c91e6bf6",
		"g81d4fae-7dec-11d0-a765-00a0c91e6bf6",
		"{81d4fae-7dec-11d0-a765-00a0c91e6bf6}",
		"f81d4fae7dec11d0a76500a0c91e6bf6",
	};
	struct uuid uuid = {{7}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(uuid_parse(bad[i], &uuid));
	assert_int_equal(uuid.bytes[0], 7);
}

static void random_bytes_become_version_4(void **state)
{
	uint8_t random[16];
	struct uuid uuid;

	(void)state;
	for (int i = 0; i < 16; i++)
		random[i] = 0xff;
	uuid = uuid_from_random(random);
	assert_int_equal(uuid.bytes[6], 0x4f);
	assert_int_equal(uuid.bytes[8], 0xbf);
	assert_int_equal(uuid.bytes[7], 0xff);
}

static void nil_and_equality(void **state)
{
	struct uuid nil = {{0}};
	struct uuid other = {{0}};

	(void)state;
	assert_true(uuid_is_nil(&nil));
	assert_true(uuid_is_equal(&nil, &other));
	other.bytes[15] = 1;
	assert_false(uuid_is_nil(&other));
	assert_false(uuid_is_equal(&nil, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_and_format_are_inverse),
		cmocka_unit_test(malformed_text_is_refused_and_leaves_the_output),
		cmocka_unit_test(random_bytes_become_version_4),
		cmocka_unit_test(nil_and_equality),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
