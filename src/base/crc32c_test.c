/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c_test.c - the vectors of RFC 3720, appendix B.4, and feeding in pieces. */
#include "base/crc32c.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void vectors_of_rfc_3720(void **state)
{
	uint8_t bytes[32];

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(crc32c(bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(crc32c(bytes, sizeof(bytes)), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(crc32c(bytes, sizeof(bytes)), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(31 - i);
	assert_int_equal(crc32c(bytes, sizeof(bytes)), 0x113fdb5c);
	assert_int_equal(crc32c("123456789", 9), 0xe3069283);
}

static void pieces_give_the_same_as_the_whole(void **state)
{
	uint8_t bytes[300];
	uint32_t whole;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	whole = crc32c(bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
		uint32_t crc = crc32c_update(CRC32C_INIT, bytes, cut);

		crc = crc32c_update(crc, bytes + cut, sizeof(bytes) - cut);
		assert_int_equal(crc32c_finish(crc), whole);
	}
}

static void nothing_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(crc32c("", 0), 0);
	assert_int_equal(crc32c_update(0x1234, NULL, 0), 0x1234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_rfc_3720),
		cmocka_unit_test(pieces_give_the_same_as_the_whole),
		cmocka_unit_test(nothing_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
