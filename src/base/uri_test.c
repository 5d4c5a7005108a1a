/* SPDX-License-Identifier: Apache-2.0 */
/* uri_test.c - the device URIs people write, and what is refused and why. */
#include "base/uri.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct uri uri;

static void a_full_uri_is_split(void **state)
{
	(void)state;
	assert_int_equal(
		uri_parse("NVMF+tcp://10.0.0.1:8420/nqn.2019-05.io.openebs:a?hostnqn=x%3ay&uuid=1",
			  &uri, NULL, 0),
		0);
	assert_string_equal(uri.scheme, "nvmf+tcp");
	assert_string_equal(uri.host, "10.0.0.1");
	assert_int_equal(uri.port, 8420);
	assert_string_equal(uri.path, "/nqn.2019-05.io.openebs:a");
	assert_int_equal(uri.parameter_count, 2);
	assert_string_equal(uri_parameter(&uri, "hostnqn"), "x:y");
	assert_string_equal(uri_parameter(&uri, "uuid"), "1");
	assert_null(uri_parameter(&uri, "none"));
}

static void parts_may_be_absent(void **state)
{
	(void)state;
	assert_int_equal(uri_parse("malloc:///disk0?size_mb=64", &uri, NULL, 0), 0);
	assert_string_equal(uri.host, "");
	assert_int_equal(uri.port, 0);
	assert_string_equal(uri.path, "/disk0");
	assert_int_equal(uri_parse("x://", &uri, NULL, 0), 0);
	assert_string_equal(uri.path, "");
	assert_int_equal(uri_parse("x://h?a&b=&c=1=2&", &uri, NULL, 0), 0);
	assert_string_equal(uri_parameter(&uri, "a"), "");
	assert_string_equal(uri_parameter(&uri, "b"), "");
	assert_string_equal(uri_parameter(&uri, "c"), "1=2");
}

static void ipv6_addresses_stand_in_brackets(void **state)
{
	(void)state;
	assert_int_equal(uri_parse("nvmf://[2001:db8::1]:4420/n", &uri, NULL, 0), 0);
	assert_string_equal(uri.host, "2001:db8::1");
	assert_int_equal(uri.port, 4420);
	assert_int_equal(uri_parse("nvmf://[::1]/n", &uri, NULL, 0), 0);
	assert_int_equal(uri.port, 0);
	assert_int_equal(uri_parse("nvmf://[::1/n", &uri, NULL, 0), -EINVAL);
	assert_int_equal(uri_parse("nvmf://[::1]x/n", &uri, NULL, 0), -EINVAL);
}

static void a_bare_path_is_taken_as_it_stands(void **state)
{
	(void)state;
	assert_int_equal(uri_parse("/dev/disk/by-id/a%20b?c#d", &uri, NULL, 0), 0);
	assert_string_equal(uri.scheme, "");
	assert_string_equal(uri.path, "/dev/disk/by-id/a%20b?c#d");
	assert_int_equal(uri.parameter_count, 0);
}

static void an_encoded_separator_does_not_separate(void **state)
{
	(void)state;
	assert_int_equal(uri_parse("aio:///a%3fb%2fc?x=%26%3D", &uri, NULL, 0), 0);
	assert_string_equal(uri.path, "/a?b/c");
	assert_string_equal(uri_parameter(&uri, "x"), "&=");
}

static void what_is_malformed_is_refused_with_a_reason(void **state)
{
	static const char *const bad[] = {
		"",
		"relative",
		"a:b",
		"://x",
		"1x://h",
		"a_b://h",
		"x://h:99999",
		"x://h:0",
		"x://h:12a",
		"x://u@h/p",
		"x://h/p#frag",
		"x://h/%",
		"x://h/%1",
		"x://h/%zz",
		"x://h/%00",
		"x://h/\x01",
		"x://h?=1",
		"x://h?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char error[128] = "";

		assert_int_equal(uri_parse(bad[i], &uri, error, sizeof(error)), -EINVAL);
		assert_true(strlen(error) > 20);
	}
}

static void the_longest_text_fits_and_one_more_does_not(void **state)
{
	char text[URI_TEXT_BYTES_MAX + 1];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "x://", 4);
	text[URI_TEXT_BYTES_MAX - 1] = '\0';
	assert_int_equal(uri_parse(text, &uri, NULL, 0), 0);
	assert_int_equal(strlen(uri.host), URI_TEXT_BYTES_MAX - 5);
	text[URI_TEXT_BYTES_MAX - 1] = 'a';
	text[URI_TEXT_BYTES_MAX] = '\0';
	assert_int_equal(uri_parse(text, &uri, NULL, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_uri_is_split),
		cmocka_unit_test(parts_may_be_absent),
		cmocka_unit_test(ipv6_addresses_stand_in_brackets),
		cmocka_unit_test(a_bare_path_is_taken_as_it_stands),
		cmocka_unit_test(an_encoded_separator_does_not_separate),
		cmocka_unit_test(what_is_malformed_is_refused_with_a_reason),
		cmocka_unit_test(the_longest_text_fits_and_one_more_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
