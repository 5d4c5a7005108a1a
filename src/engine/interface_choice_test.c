/* SPDX-License-Identifier: Apache-2.0 */
/* interface_choice_test.c - goal: the address that a person means; method: a table of choices. */
#include "engine/interface_choice.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct os_interface interface_make(const char *name, const char *address, uint8_t mac)
{
	struct os_interface made = {.is_up = true, .mac = {2, 0, 0, 0, 0, mac}};

	snprintf(made.name, sizeof(made.name), "%s", name);
	assert_int_equal(os_address_parse(address, 0, &made.address), 0);
	return made;
}

static void choices_find_the_address_they_mean(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *host;
	} rows[] = {
		{"name:eth0", 0, "192.0.2.7"},
		{"name:eth1", 0, "2001:db8::5"},
		{"name:eth9", -ENODEV, NULL},
		{"name:down0", -ENODEV, NULL},
		{"mac:02:00:00:00:00:01", 0, "192.0.2.7"},
		{"mac:02:00:00:00:00", -EINVAL, NULL},
		{"mac:02:00:00:00:00:01:02", -EINVAL, NULL},
		{"ip:198.51.100.3", 0, "198.51.100.3"},
		{"198.51.100.3", 0, "198.51.100.3"},
		{"ip:", -EINVAL, NULL},
		{"ip:host.example", -EINVAL, NULL},
		{"subnet:192.0.2.0/24", 0, "192.0.2.7"},
		{"subnet:192.0.2.6/31", 0, "192.0.2.7"},
		{"subnet:192.0.2.4/31", -ENODEV, NULL},
		{"subnet:192.0.2.7/32", 0, "192.0.2.7"},
		{"subnet:2001:db8::/32", 0, "2001:db8::9"},
		{"subnet:0.0.0.0/0", 0, "192.0.2.7"},
		{"subnet:192.0.2.0/33", -EINVAL, NULL},
		{"subnet:192.0.2.0/", -EINVAL, NULL},
		{"subnet:192.0.2.0", -EINVAL, NULL},
		{"", -EINVAL, NULL},
	};
	struct os_interface interfaces[4];

	(void)state;
	interfaces[0] = interface_make("eth0", "2001:db8::9", 1);
	interfaces[1] = interface_make("eth0", "192.0.2.7", 1);
	interfaces[2] = interface_make("eth1", "2001:db8::5", 2);
	interfaces[3] = interface_make("down0", "192.0.2.8", 3);
	interfaces[3].is_up = false;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char host[OS_ADDRESS_TEXT_BYTES];
		char error[ERROR_TEXT_BYTES] = "";
		int rc = interface_choose(rows[i].text, interfaces, 4, host, error);

		if (rc != rows[i].result)
			fail_msg("'%s' gave %d, not %d", rows[i].text, rc, rows[i].result);
		if (rc == 0)
			assert_string_equal(host, rows[i].host);
		else
			assert_non_null(strstr(error, rows[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(choices_find_the_address_they_mean)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
