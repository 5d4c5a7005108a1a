/* SPDX-License-Identifier: Apache-2.0 */
/* output_test.c - tables line up, YAML says what the JSON says, bars are as long as they say. */
#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What @print writes about the JSON in @text. The caller frees it. */
static char *printed(void (*print)(FILE *, json_t *), const char *text)
{
	json_error_t why;
	json_t *root = json_loads(text, JSON_DECODE_ANY, &why);
	char *written = NULL;
	size_t size;
	FILE *out = open_memstream(&written, &size);

	assert_non_null(root);
	assert_non_null(out);
	print(out, root);
	fclose(out);
	json_decref(root);
	return written;
}

static void print_json(FILE *out, json_t *root)
{
	output_json(out, root);
}

static void assert_printed(void (*print)(FILE *, json_t *), const char *text, const char *expected)
{
	char *written = printed(print, text);

	assert_string_equal(written, expected);
	free(written);
}

static void columns_line_up(void **state)
{
	(void)state;
	assert_printed(output_table, "[[\"NODE\",\"STATE\"],[\"node-10\",\"up\"],[\"a\",\"\"]]",
		       "NODE     STATE\n"
		       "node-10  up\n"
		       "a        -\n");
	assert_printed(output_table, "[]", "");
	assert_printed(output_table, "[[\"A\"],[]]", "A\n");
}

static void rows_with_too_many_columns_are_cut(void **state)
{
	char *written = printed(output_table, "[[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\","
					      "\"9\",\"10\",\"11\",\"12\",\"13\"]]");

	(void)state;
	assert_null(strstr(written, "13"));
	assert_non_null(strstr(written, "12\n"));
	free(written);
}

static void yaml_nests_maps_and_lists(void **state)
{
	(void)state;
	assert_printed(output_yaml,
		       "{\"a\":{\"b\":1,\"c\":[]},\"l\":[{\"x\":\"up\",\"y\":null},2],\"z\":true}",
		       "a:\n"
		       "  b: 1\n"
		       "  c: []\n"
		       "l:\n"
		       "  -\n"
		       "    x: up\n"
		       "    y: null\n"
		       "  - 2\n"
		       "z: true\n");
}

static void yaml_quotes_what_could_be_read_otherwise(void **state)
{
	static const char *const texts[] = {"yes",	    "No",   "null", "12",	 "1.5",
					    "a: b",	    "- x",  "",	    "#x",	 "a #b",
					    "127.0.0.1:80", "x\ny", "~",    "\"q\"",	 "*a",
					    "&a",	    "!t",   "@a",   "2020-01-01"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *root = json_pack("[s]", texts[i]);
		char *written = NULL;
		size_t size;
		FILE *out = open_memstream(&written, &size);

		output_yaml(out, root);
		fclose(out);
		assert_int_equal(strncmp(written, "- \"", 3), 0);
		free(written);
		json_decref(root);
	}
	assert_printed(output_yaml, "[\"/dev/loop0\",\"node-1\"]", "- /dev/loop0\n- node-1\n");
}

static void yaml_deeper_than_the_limit_becomes_json(void **state)
{
	char *written = printed(output_yaml, "[[[[[[[[[[7]]]]]]]]]]");

	(void)state;
	assert_non_null(strstr(written, "- [[7]]\n"));
	free(written);
	assert_printed(output_yaml, "{}", "{}\n");
	assert_printed(output_yaml, "7", "7\n");
}

static void json_ends_with_a_newline(void **state)
{
	(void)state;
	assert_printed(print_json, "{\"a\":1}", "{\n  \"a\": 1\n}\n");
}

static void a_bar_shows_its_part(void **state)
{
	char text[OUTPUT_BAR_BYTES];

	(void)state;
	output_bar(0, text);
	assert_string_equal(text, "[------------------------------]   0%");
	output_bar(50, text);
	assert_string_equal(text, "[###############---------------]  50%");
	output_bar(100, text);
	assert_string_equal(text, "[##############################] 100%");
	output_bar(4000000000u, text);
	assert_string_equal(text, "[##############################] 100%");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_line_up),
		cmocka_unit_test(rows_with_too_many_columns_are_cut),
		cmocka_unit_test(yaml_nests_maps_and_lists),
		cmocka_unit_test(yaml_quotes_what_could_be_read_otherwise),
		cmocka_unit_test(yaml_deeper_than_the_limit_becomes_json),
		cmocka_unit_test(json_ends_with_a_newline),
		cmocka_unit_test(a_bar_shows_its_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
