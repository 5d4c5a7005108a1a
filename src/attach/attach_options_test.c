/* SPDX-License-Identifier: Apache-2.0 */
/* attach_options_test.c - the command line of mayastor-attach. */
#include "attach/attach_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 16
#define URI	  "nvmf+tcp://127.0.0.1:8420/nqn.2019-05.io.openebs:vol"

struct outcome {
	enum attach_parse parse;
	struct attach_options options;
	char out[4096];
	char err[1024];
};

static struct outcome parse(const char *line)
{
	struct outcome outcome = {0};
	char copy[2048];
	char program[] = "mayastor-attach";
	char *argv[WORDS_MAX + 1] = {program};
	int argc = 1;
	char *save = NULL;
	FILE *out = fmemopen(outcome.out, sizeof(outcome.out), "w");
	FILE *err = fmemopen(outcome.err, sizeof(outcome.err), "w");

	assert_non_null(out);
	assert_non_null(err);
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = word;
	}
	outcome.parse = attach_options_parse(argc, argv, &outcome.options, out, err);
	fclose(out);
	fclose(err);
	return outcome;
}

static void options_are_taken(void **state)
{
	struct outcome outcome = parse("--uri " URI " --mount /mnt -t 1500ms -n nqn.x -L debug -f");

	(void)state;
	assert_int_equal(outcome.parse, ATTACH_PARSE_RUN);
	assert_string_equal(outcome.options.uri, URI);
	assert_string_equal(outcome.options.mount, "/mnt");
	assert_int_equal(outcome.options.loss_timeout_ms, 1500);
	assert_string_equal(outcome.options.host_nqn, "nqn.x");
	assert_int_equal(outcome.options.log_level, LOG_DEBUG);
	assert_true(outcome.options.is_foreground);
}

static void defaults_are_those_of_the_help(void **state)
{
	struct outcome outcome = parse("-u " URI " -m /mnt");

	(void)state;
	assert_int_equal(outcome.parse, ATTACH_PARSE_RUN);
	assert_int_equal(outcome.options.loss_timeout_ms, 600000);
	assert_int_equal(outcome.options.log_level, LOG_INFO);
	assert_false(outcome.options.is_foreground);
	assert_int_equal(parse("--help").parse, ATTACH_PARSE_DONE);
	assert_non_null(strstr(parse("--help").out, "(10m)"));
	assert_int_equal(parse("--version").parse, ATTACH_PARSE_DONE);
}

static void wrong_arguments_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *line, *reason;
	} rows[] = {
		{"", "--uri and --mount"},
		{"--uri " URI, "--uri and --mount"},
		{"--uri x --mount /m", "'x' is no address"},
		{"--uri http://h/x --mount /m", "is no address"},
		{"--uri nvmf://h/ --mount /m", "is no address"},
		{"--uri nvmf:///nqn --mount /m", "is no address"},
		{"--uri " URI " --mount /m -t 0", "--timeout '0'"},
		{"--uri " URI " --mount /m -t 25h", "--timeout '25h'"},
		{"--uri " URI " --mount /m -L loud", "'loud' is unknown"},
		{"--uri " URI " --mount /m more", "'more' is not expected"},
		{"--uri", "needs a value"},
		{"--what", "is unknown"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome outcome = parse(rows[i].line);

		if (outcome.parse != ATTACH_PARSE_WRONG)
			fail_msg("accepted: %s", rows[i].line);
		if (strstr(outcome.err, rows[i].reason) == NULL)
			fail_msg("%s: %s", rows[i].line, outcome.err);
	}
}

static void texts_that_do_not_fit_are_refused(void **state)
{
	char line[1500] = "--uri " URI " --mount /";

	(void)state;
	memset(line + strlen(line), 'm', 600);
	assert_int_equal(parse(line).parse, ATTACH_PARSE_WRONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_taken),
		cmocka_unit_test(defaults_are_those_of_the_help),
		cmocka_unit_test(wrong_arguments_are_refused_with_a_reason),
		cmocka_unit_test(texts_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
