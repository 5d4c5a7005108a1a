/* SPDX-License-Identifier: Apache-2.0 */
/* load_options_test.c - what mayastor-load takes, and how it names what it does not. */
#include "bench/load_options.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX  8
#define WORD_BYTES 64

static struct load_options options;
static char *complaint;
static char kept[WORDS_MAX][WORD_BYTES]; /* options point there */

/* @words ends with NULL. */
static enum load_options_outcome parse(const char *const *words)
{
	char program[] = "mayastor-load";
	char *argv[WORDS_MAX + 2] = {program};
	enum load_options_outcome outcome;
	size_t size;
	FILE *err;
	int count = 1;

	for (; *words != NULL; words++) {
		assert_in_range(count, 1, WORDS_MAX);
		snprintf(kept[count - 1], WORD_BYTES, "%s", *words);
		argv[count] = kept[count - 1];
		count++;
	}
	free(complaint);
	err = open_memstream(&complaint, &size);
	assert_non_null(err);
	optind = 0;
	outcome = load_options_parse(count, argv, &options, err);
	fclose(err);
	return outcome;
}
#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void closed_loop_for_five_seconds_is_the_default(void **state)
{
	(void)state;
	assert_int_equal(PARSE("null:///n"), LOAD_OPTIONS_RUN);
	assert_int_equal(options.rate, 0);
	assert_int_equal(options.depth, 32);
	assert_int_equal(options.read_percent, 100);
	assert_true(options.duration_ns == 5000000000ull);
	assert_null(options.plot_path);
}

static void rate_and_plot_are_taken(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--rate", "350000", "--plot", "a.svg", "null:///n"),
			 LOAD_OPTIONS_RUN);
	assert_int_equal(options.rate, 350000);
	assert_string_equal(options.plot_path, "a.svg");
}

static void wrong_values_are_refused_with_option_and_rule(void **state)
{
	static const struct {
		const char *option;
		const char *value;
		const char *rule;
	} wrong[] = {
		{"--rate", "0", "from 1 to 100000000"},
		{"--rate", "100000001", "from 1 to 100000000"},
		{"--rate", "x", "from 1 to 100000000"},
		{"--rate", "-5", "from 1 to 100000000"},
		{"--plot", "", "a path"},
		{"--depth", "1024", "1 to 1023"},
		{"--size", "1000", "512 B to 128 KiB"},
		{"--seconds", "0", "duration"},
		{"--output", "xml", "text or json"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(PARSE(wrong[i].option, wrong[i].value, "null:///n"),
				 LOAD_OPTIONS_WRONG);
		assert_non_null(strstr(complaint, wrong[i].option));
		assert_non_null(strstr(complaint, wrong[i].rule));
	}
}

static void uri_is_needed(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--rate", "5"), LOAD_OPTIONS_WRONG);
	assert_non_null(strstr(complaint, "URIs"));
	free(complaint);
	complaint = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_loop_for_five_seconds_is_the_default),
		cmocka_unit_test(rate_and_plot_are_taken),
		cmocka_unit_test(wrong_values_are_refused_with_option_and_rule),
		cmocka_unit_test(uri_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
