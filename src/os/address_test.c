/* SPDX-License-Identifier: Apache-2.0 */
/* address_test.c - addresses to text and back; no network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/os_socket.h"

#include <errno.h>
#include <string.h>

static void format_gives_back_what_was_parsed(void **state)
{
	static const struct {
		const char *host;
		const char *text;
		bool is_ipv6;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1:8420", false},
		{"0.0.0.0", "0.0.0.0:8420", false},
		{"", "[::]:8420", true},
		{"::", "[::]:8420", true},
		{"2001:DB8::1", "[2001:db8::1]:8420", true},
		{"fe80::1%7", "[fe80::1%7]:8420", true},
		{"fe80:1111:2222:3333:4444:5555:6666:7777%4294967295",
		 "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:8420", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct os_address address;
		char text[OS_ADDRESS_TEXT_BYTES];

		assert_int_equal(os_address_parse(rows[i].host, 8420, &address), 0);
		os_address_format(&address, text);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(os_address_is_ipv6(&address), rows[i].is_ipv6);
		assert_int_equal(os_address_port(&address), 8420);
	}
}

static void host_stands_without_brackets_and_port(void **state)
{
	struct os_address address;
	char text[OS_ADDRESS_TEXT_BYTES];

	(void)state;
	assert_int_equal(os_address_parse("2001:db8::1", 65535, &address), 0);
	os_address_host(&address, text);
	assert_string_equal(text, "2001:db8::1");
	assert_int_equal(os_address_parse("192.0.2.1", 0, &address), 0);
	os_address_host(&address, text);
	assert_string_equal(text, "192.0.2.1");
}

static void nonsense_is_refused_and_leaves_the_result_alone(void **state)
{
	static const char *const hosts[] = {
		"localhost",
		"192.0.2",
		"192.0.2.256",
		"192.0.2.1:80",
		"[::1]",
		"2001:db8:::1",
		"fe80::1%",
		"fe80::1%eth0",
		"fe80::1%4294967296",
		" ::1",
		"192.0.2.1 ",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
	};
	struct os_address address, before;

	(void)state;
	memset(&address, 0x5a, sizeof(address));
	before = address;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		assert_int_equal(os_address_parse(hosts[i], 1, &address), -EINVAL);
		assert_memory_equal(&address, &before, sizeof(address));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_gives_back_what_was_parsed),
		cmocka_unit_test(host_stands_without_brackets_and_port),
		cmocka_unit_test(nonsense_is_refused_and_leaves_the_result_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
