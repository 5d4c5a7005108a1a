/* SPDX-License-Identifier: Apache-2.0 */
/* dev_options_test.c - the command line of `mayastor dev`: what is taken, what is refused how. */
#include "cli/dev_options.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 32

struct outcome {
	enum dev_parse parse;
	struct dev_options options;
	char out[8192];
	char err[1024];
};

/* Parses "dev" and the words of @line. */
static struct outcome parse(const char *line)
{
	struct outcome outcome = {0};
	char copy[512];
	char word_dev[] = "dev";
	char *argv[WORDS_MAX + 1] = {word_dev};
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
	outcome.parse = dev_options_parse(argc, argv, &outcome.options, out, err);
	fclose(out);
	fclose(err);
	return outcome;
}

static void up_has_defaults(void **state)
{
	struct outcome outcome = parse("up");

	(void)state;
	assert_int_equal(outcome.parse, DEV_PARSE_RUN);
	assert_int_equal(outcome.options.command, DEV_UP);
	assert_int_equal(outcome.options.node_count, 3);
	assert_int_equal(outcome.options.replica_count, 3);
	assert_int_equal(outcome.options.size_bytes, 1ull << 30);
	assert_int_equal(outcome.options.device_bytes, (1ull << 30) + DEV_COPY_OVERHEAD_BYTES);
	assert_string_equal(outcome.options.volume, "vol-1");
	assert_int_equal(outcome.options.given, 0);
	assert_string_equal(outcome.options.directory, "");
}

static void up_takes_its_options(void **state)
{
	struct outcome outcome = parse("up --nodes 4 --replicas=2 --size 64MiB --device-size 1GiB "
				       "--volume data --cores 0,2-3 --base-port 9000 --dir /x");

	(void)state;
	assert_int_equal(outcome.parse, DEV_PARSE_RUN);
	assert_int_equal(outcome.options.node_count, 4);
	assert_int_equal(outcome.options.replica_count, 2);
	assert_int_equal(outcome.options.size_bytes, 64ull << 20);
	assert_int_equal(outcome.options.device_bytes, 1ull << 30);
	assert_string_equal(outcome.options.volume, "data");
	assert_int_equal(outcome.options.core_count, 3);
	assert_int_equal(outcome.options.cores[0], 0);
	assert_int_equal(outcome.options.cores[2], 3);
	assert_int_equal(outcome.options.base_port, 9000);
	assert_string_equal(outcome.options.directory, "/x");
	assert_true((outcome.options.given & DEV_GIVEN_VOLUME) != 0);
}

static void fewer_nodes_than_three_mean_fewer_copies(void **state)
{
	(void)state;
	assert_int_equal(parse("up --nodes 2").options.replica_count, 2);
}

static void signals_are_names_or_numbers(void **state)
{
	(void)state;
	assert_int_equal(parse("kill node-2").options.signal, SIGKILL);
	assert_int_equal(parse("kill node-2 --signal TERM").options.signal, SIGTERM);
	assert_int_equal(parse("kill --signal SIGSTOP node-2").options.signal, SIGSTOP);
	assert_int_equal(parse("kill --signal 15 node-2").options.signal, 15);
	assert_string_equal(parse("kill node-2").options.node, "node-2");
}

static void outputs_and_ways_are_words(void **state)
{
	(void)state;
	assert_int_equal(parse("status -o yaml").options.output, DEV_OUTPUT_YAML);
	assert_int_equal(parse("status --output json").options.output, DEV_OUTPUT_JSON);
	assert_int_equal(parse("attach --via fuse").options.via, DEV_VIA_FUSE);
	assert_int_equal(parse("attach").options.via, DEV_VIA_NONE);
}

static void wrong_arguments_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *line;
		const char *reason;
	} rows[] = {
		{"", "command is missing"},
		{"dance", "'dance' is unknown"},
		{"up --nodes 0", "--nodes '0' must be"},
		{"up --nodes 17", "--nodes '17' must be"},
		{"up --nodes x", "--nodes 'x' must be"},
		{"up --nodes -1", "--nodes '-1' must be"},
		{"up --nodes", "needs a value"},
		{"up --replicas 4", "needs as many nodes"},
		{"up --size big", "is no size"},
		{"up --size 1MiB", "8 MiB to 16 TiB"},
		{"up --size 99999999PiB", "--size"},
		{"up --size 8388609", "multiple of 4096"},
		{"up --size 64MiB --device-size 64MiB", "6 MiB above"},
		{"up --volume Data", "--volume 'Data'"},
		{"up --volume ../x", "--volume '../x'"},
		{"up --volume -x", "--volume '-x'"},
		{"up --cores 3-1", "--cores '3-1'"},
		{"up --cores 1x", "--cores '1x'"},
		{"up --cores 64", "--cores '64'"},
		{"up --base-port 80", "--base-port '80'"},
		{"up --base-port 65535", "--base-port '65535'"},
		{"up now", "'now' is not expected"},
		{"up --purge", "unknown or used wrongly"},
		{"status -o xml", "--output 'xml'"},
		{"attach --via pigeon", "--via 'pigeon'"},
		{"attach --via none", "--via 'none'"},
		{"kill", "needs the name of a node"},
		{"kill node-1 node-2", "'node-2' is not expected"},
		{"kill node-1 --signal NOPE", "--signal 'NOPE'"},
		{"kill node-1 --signal 0", "--signal '0'"},
		{"start /etc", "node '/etc'"},
		{"down --purge=yes", "used wrongly"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome outcome = parse(rows[i].line);

		if (outcome.parse != DEV_PARSE_WRONG)
			fail_msg("accepted: %s", rows[i].line);
		if (strstr(outcome.err, rows[i].reason) == NULL)
			fail_msg("%s: %s", rows[i].line, outcome.err);
		assert_string_equal(outcome.out, "");
	}
}

static void a_directory_that_does_not_fit_is_refused(void **state)
{
	char line[400] = "up --dir /";

	(void)state;
	memset(line + strlen(line), 'a', DEV_DIRECTORY_BYTES);
	assert_int_equal(parse(line).parse, DEV_PARSE_WRONG);
}

static void every_command_has_help(void **state)
{
	struct outcome outcome = parse("--help");

	(void)state;
	assert_int_equal(outcome.parse, DEV_PARSE_DONE);
	for (int i = 0; i < DEV_COMMAND_COUNT; i++) {
		const char *name = dev_command_name((enum dev_command)i);
		char line[64];

		assert_non_null(strstr(outcome.out, name));
		snprintf(line, sizeof(line), "%s --help", name);
		assert_int_equal(parse(line).parse, DEV_PARSE_DONE);
		assert_non_null(strstr(parse(line).out, "--dir DIR"));
		assert_non_null(strstr(parse(line).out, "Exit status"));
	}
	assert_non_null(strstr(parse("down --help").out, "--purge"));
	assert_null(strstr(parse("up --help").out, "--purge"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(up_has_defaults),
		cmocka_unit_test(up_takes_its_options),
		cmocka_unit_test(fewer_nodes_than_three_mean_fewer_copies),
		cmocka_unit_test(signals_are_names_or_numbers),
		cmocka_unit_test(outputs_and_ways_are_words),
		cmocka_unit_test(wrong_arguments_are_refused_with_a_reason),
		cmocka_unit_test(a_directory_that_does_not_fit_is_refused),
		cmocka_unit_test(every_command_has_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
