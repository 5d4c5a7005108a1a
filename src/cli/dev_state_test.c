/* SPDX-License-Identifier: Apache-2.0 */
/* dev_state_test.c - a state file comes back as it was; a damaged one is refused, never used. */
#include "cli/dev_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dev_state state_make(void)
{
	struct dev_state state = {
		.device_bytes = 70ull << 20,
		.node_count = 2,
		.nodes = {{"node-1", 21000, 21001, 0, "11111111-1111-4111-8111-111111111111",
			   "bdev:////x/disk-0.img?uuid=11111111-1111-4111-8111-111111111111"},
			  {"node-2", 21002, 21003, 1, "22222222-2222-4222-8222-222222222222", ""}},
		.volume = {"vol-1", "33333333-3333-4333-8333-333333333333",
			   "44444444-4444-4444-8444-444444444444", 64ull << 20, 2, true},
		.attachment = {DEV_VIA_FUSE, "/dev/loop3"},
	};

	return state;
}

static enum cli_exit decode(const char *text, struct dev_state *ret_state, struct cli_error *error)
{
	return dev_state_decode(text, strlen(text), ret_state, error);
}

static void a_state_comes_back_as_it_was(void **unused)
{
	struct dev_state state = state_make();
	struct dev_state back;
	struct cli_error error;
	char *text = dev_state_encode(&state);

	(void)unused;
	assert_non_null(text);
	assert_int_equal(decode(text, &back, &error), CLI_OK);
	assert_int_equal(back.device_bytes, state.device_bytes);
	assert_int_equal(back.node_count, 2);
	assert_string_equal(back.nodes[0].child_uri, state.nodes[0].child_uri);
	assert_int_equal(back.nodes[1].target_port, 21003);
	assert_int_equal(back.nodes[1].core, 1);
	assert_string_equal(back.nodes[1].device_uuid, state.nodes[1].device_uuid);
	assert_string_equal(back.volume.nexus_uuid, state.volume.nexus_uuid);
	assert_int_equal(back.volume.size_bytes, state.volume.size_bytes);
	assert_true(back.volume.is_created);
	assert_int_equal(back.attachment.via, DEV_VIA_FUSE);
	assert_string_equal(back.attachment.device, "/dev/loop3");
	free(text);
}

static void a_cut_file_is_refused(void **unused)
{
	struct dev_state state = state_make();
	struct dev_state back;
	struct cli_error error;
	char *text = dev_state_encode(&state);
	size_t length = strlen(text);

	(void)unused;
	for (size_t cut = 0; cut < length; cut++) {
		if (dev_state_decode(text, cut, &back, &error) == CLI_OK)
			fail_msg("accepted with %zu of %zu bytes", cut, length);
		assert_true(error.text[0] != '\0');
	}
	free(text);
}

/* Replaces the first @from in the text of a good state. */
static char *state_text_with(const char *from, const char *to)
{
	struct dev_state state = state_make();
	char *text = dev_state_encode(&state);
	char *at = strstr(text, from);
	char *changed = NULL;

	assert_non_null(at);
	assert_true(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) >
		    0);
	free(text);
	return changed;
}

static void impossible_values_are_refused(void **unused)
{
	static const struct {
		const char *from, *to, *reason;
	} rows[] = {
		{"\"format\": 1", "\"format\": 2", "format 2"},
		{"\"format\": 1", "\"format\": \"1\"", ""},
		{"\"format\": 1", "\"shape\": 1", ""},
		{"21000", "0", "port"},
		{"21000", "65536", "port"},
		{"21000", "-1", "port"},
		{"21000", "1e3", ""},
		{"\"core\": 1", "\"core\": 64", "core"},
		{"\"node-1\"", "\"../etc\"", "name"},
		{"\"node-1\"", "\"\"", "name"},
		{"\"node-1\"", "7", ""},
		{"\"node-1\"", "\"node-2\"", "two nodes"},
		{"11111111-1111-4111-8111-111111111111", "11111111", "UUID"},
		{"33333333-3333-4333-8333-333333333333", "x", "UUID"},
		{"bdev:////x", "bdev:\\n//x", "child_uri"},
		{"\"size_bytes\": 67108864", "\"size_bytes\": 0", "size_bytes"},
		{"\"size_bytes\": 67108864", "\"size_bytes\": 99999999999", "size_bytes"},
		{"\"size_bytes\": 67108864", "\"size_bytes\": -5", "size_bytes"},
		{"\"replica_count\": 2", "\"replica_count\": 3", "replica_count"},
		{"\"device_bytes\": 73400320", "\"device_bytes\": 1", "device_bytes"},
		{"\"fuse\"", "\"rope\"", "rope"},
		{"/dev/loop3", "/dev/\\u0001", "device"},
		{"\"is_created\": true", "\"is_created\": 1", ""},
		{"\"attachment\": {", "\"attachment\": 7, \"x\": {", ""},
		{"\"nodes\": [", "\"nodes\": 7, \"x\": [", "nodes"},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = state_text_with(rows[i].from, rows[i].to);
		struct cli_error error = {0};
		struct dev_state back = {.node_count = 77};

		if (decode(text, &back, &error) != CLI_FAILED)
			fail_msg("accepted: %s", rows[i].to);
		if (strstr(error.text, rows[i].reason) == NULL)
			fail_msg("%s: %s", rows[i].to, error.text);
		assert_int_equal(back.node_count, 77); /* untouched */
		free(text);
	}
}

static void texts_that_do_not_fit_are_refused(void **unused)
{
	char to[DEV_URI_BYTES + 32];
	struct dev_state back;
	struct cli_error error;
	char *text;

	(void)unused;
	memset(to, 'u', sizeof(to));
	to[sizeof(to) - 1] = '\0';
	text = state_text_with("bdev:////x", to);
	assert_int_equal(decode(text, &back, &error), CLI_FAILED);
	free(text);
	to[DEV_NAME_BYTES] = '\0';
	text = state_text_with("vol-1", to);
	assert_int_equal(decode(text, &back, &error), CLI_FAILED);
	free(text);
}

static void foreign_json_is_refused(void **unused)
{
	static const char *const texts[] = {"",		"[]",
					    "7",	"null",
					    "{}",	"{\"format\": 1}",
					    "\xff\xfe", "{\"format\": 1, \"format\": 1}"};
	struct dev_state back;
	struct cli_error error;

	(void)unused;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(decode(texts[i], &back, &error), CLI_FAILED);
}

static void names_are_checked(void **unused)
{
	char name[DEV_NAME_BYTES + 1];

	(void)unused;
	assert_true(dev_name_is_valid("vol-1"));
	assert_true(dev_name_is_valid("0"));
	assert_false(dev_name_is_valid(""));
	assert_false(dev_name_is_valid("-a"));
	assert_false(dev_name_is_valid("a/b"));
	assert_false(dev_name_is_valid("A"));
	memset(name, 'a', sizeof(name));
	name[DEV_NAME_BYTES] = '\0';
	assert_false(dev_name_is_valid(name));
	name[DEV_NAME_BYTES - 1] = '\0';
	assert_true(dev_name_is_valid(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_comes_back_as_it_was),
		cmocka_unit_test(a_cut_file_is_refused),
		cmocka_unit_test(impossible_values_are_refused),
		cmocka_unit_test(texts_that_do_not_fit_are_refused),
		cmocka_unit_test(foreign_json_is_refused),
		cmocka_unit_test(names_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
