/* SPDX-License-Identifier: Apache-2.0 */
/* size_test.c - tables of texts and values. */
#include "base/size.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void sizes_parse(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"4096", 4096},
		{"10B", 10},
		{"1K", 1024},
		{"1k", 1024},
		{"1KB", 1000},
		{"1KiB", 1024},
		{"10Gi", UINT64_C(10) << 30},
		{"10GiB", UINT64_C(10) << 30},
		{"1.5TiB", UINT64_C(3) << 39},
		{"500MB", 500000000},
		{"64 MiB", 64 << 20},
		{"15.99EiB", UINT64_C(0xffd70a3d70a3d70a)},
		{"18446744073709551615", UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t bytes = 0;

		assert_int_equal(size_parse(good[i].text, &bytes), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
}

static void what_is_no_size_is_refused(void **state)
{
	static const char *const bad[] = {
		"",    "x",	"-1", "+1",  " 1",   "1  K",	      "1.",  ".5K", "1.5", "1.5B",
		"1KK", "1KiBx", "1Q", "1e3", "0x10", "1.0000000000G", "1,5G"};
	uint64_t bytes = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(size_parse(bad[i], &bytes), -EINVAL);
	}
	assert_int_equal(size_parse("18446744073709551616", &bytes), -ERANGE);
	assert_int_equal(size_parse("16EiB", &bytes), -ERANGE);
	assert_int_equal(bytes, 7);
}

static void sizes_format_shortly(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{64 << 20, "64 MiB"},
		{UINT64_C(3) << 29, "1.5 GiB"},
		{1034, "1.01 KiB"},
		{(1 << 20) - 1, "1 MiB"},
		{UINT64_MAX, "16 EiB"},
		{UINT64_C(1) << 60, "1 EiB"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[SIZE_TEXT_BYTES];

		size_format(cases[i].bytes, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void durations_parse(void **state)
{
	uint64_t ns;

	(void)state;
	assert_int_equal(duration_parse("10s", &ns), 0);
	assert_int_equal(ns, UINT64_C(10000000000));
	assert_int_equal(duration_parse("500ms", &ns), 0);
	assert_int_equal(ns, 500000000);
	assert_int_equal(duration_parse("20us", &ns), 0);
	assert_int_equal(ns, 20000);
	assert_int_equal(duration_parse("2m", &ns), 0);
	assert_int_equal(ns, UINT64_C(120000000000));
	assert_int_equal(duration_parse("1.5h", &ns), 0);
	assert_int_equal(ns, UINT64_C(5400000000000));
	assert_int_equal(duration_parse("3", &ns), 0);
	assert_int_equal(ns, UINT64_C(3000000000));
	assert_int_equal(duration_parse("3 weeks", &ns), -EINVAL);
	assert_int_equal(duration_parse("99999999999999h", &ns), -ERANGE);
	assert_int_equal(duration_parse("", &ns), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_parse),
		cmocka_unit_test(what_is_no_size_is_refused),
		cmocka_unit_test(sizes_format_shortly),
		cmocka_unit_test(durations_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
