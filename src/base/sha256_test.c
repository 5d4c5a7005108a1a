/* SPDX-License-Identifier: Apache-2.0 */
/* sha256_test.c - the examples of FIPS 180-4, and that nothing is allocated. */
#include "base/sha256.h"

#include <malloc.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void digest_check(const char *text, const uint8_t wanted[SHA256_BYTES])
{
	uint8_t digest[SHA256_BYTES];

	sha256(text, strlen(text), digest);
	assert_memory_equal(digest, wanted, sizeof(digest));
}

static void digests_are_those_of_the_standard(void **state)
{
	static const uint8_t empty[] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14,
					0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
					0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c,
					0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
	static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
				      0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
				      0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
				      0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
	static const uint8_t longer[] = {0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8,
					 0xe5, 0xc0, 0x26, 0x93, 0x0c, 0x3e, 0x60, 0x39,
					 0xa3, 0x3c, 0xe4, 0x59, 0x64, 0xff, 0x21, 0x67,
					 0xf6, 0xec, 0xed, 0xd4, 0x19, 0xdb, 0x06, 0xc1};

	(void)state;
	digest_check("", empty);
	digest_check("abc", abc);
	digest_check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", longer);
}

static void a_digest_takes_no_memory(void **state)
{
	uint8_t digest[SHA256_BYTES];
	struct mallinfo2 before;

	(void)state;
	before = mallinfo2();
	for (int i = 0; i < 100; i++)
		sha256("abc", 3, digest);
	assert_int_equal(mallinfo2().uordblks, before.uordblks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_those_of_the_standard),
		cmocka_unit_test(a_digest_takes_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
