/* SPDX-License-Identifier: Apache-2.0 */
/* options_test.c - goal: what is wrong is refused with a reason, what is right is taken; method:
 * tables of command lines against the real environment of this process. */
#include "engine/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum options_outcome parse(const char *line, struct engine_options *options, char *error,
				  size_t size)
{
	char copy[512];
	char program[] = "io-engine";
	char *argv[32] = {program};
	char *save = NULL;
	int argc = 1;
	FILE *err = fmemopen(error, size, "w");
	enum options_outcome outcome;
	struct os *os;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	assert_int_equal(os_open(&os), 0);
	outcome = options_parse(os, argc, argv, options, err);
	os_close(os);
	fclose(err);
	return outcome;
}

static int environment_clear(void **state)
{
	static const char *const names[] = {"HOSTNAME",
					    "MY_POD_IP",
					    "NVMF_TGT_IFACE",
					    "RUST_LOG",
					    "NVMF_TGT_CRDT",
					    "MAYASTOR_STATE_DIR",
					    "HOSTNQN",
					    "NVME_TIMEOUT",
					    "NVME_KATO",
					    "NEXUS_NVMF_ANA_ENABLE",
					    "NEXUS_REBUILD_MIB_S"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	return 0;
}

static void defaults_are_the_ones_that_are_documented(void **state)
{
	struct engine_options options;
	char error[512] = "";

	(void)state;
	assert_int_equal(parse("", &options, error, sizeof(error)), OPTIONS_RUN);
	assert_string_equal(options.grpc_ip, "::");
	assert_int_equal(options.grpc_port, 10124);
	assert_string_equal(options.target_ip, "127.0.0.1");
	assert_int_equal(options.target_port, 8420);
	assert_int_equal(options.core_count, 1);
	assert_int_equal(options.cores[0], 0);
	assert_string_equal(options.host_nqn, "nqn.2019-05.io.openebs:node-name:mayastor-node");
}

static void wrong_options_are_refused_and_named(void **state)
{
	static const struct {
		const char *line;
		const char *named;
	} rows[] = {
		{"--grpc-port 70000", "70000"},
		{"--grpc-port x", "'x'"},
		{"--tgt-crdt 101", "101"},
		{"--tgt-crdt 1,2", "1,2"},
		{"--tgt-crdt 1,2,3,4", "1,2,3,4"},
		{"-m 0", "'0'"},
		{"-m zz", "zz"},
		{"-l 0,0", "twice"},
		{"-l 3-1", "3-1"},
		{"-l 4000", "4000"},
		{"-l 0,", "0,"},
		{"-l -1", "-1"},
		{"-F fancy", "fancy"},
		{"--api-versions v0", "v1"},
		{"--api-versions v9", "v9"},
		{"-T name:nosuchif0", "nosuchif0"},
		{"-p etcd:2379", "not supported"},
		{"-R https://core", "not supported"},
		{"--enable-rdma true", "not supported"},
		{"--log-level loud", "loud"},
		{"--nonsense", "--help"},
		{":: 10124 more", "more"},
		{"-g [::1]:99999", "99999"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct engine_options options;
		char error[1024] = "";

		if (parse(rows[i].line, &options, error, sizeof(error)) != OPTIONS_WRONG)
			fail_msg("'%s' was taken", rows[i].line);
		if (strstr(error, rows[i].named) == NULL)
			fail_msg("'%s' said only: %s", rows[i].line, error);
	}
}

static void right_options_are_taken(void **state)
{
	struct engine_options options;
	char error[512] = "";

	(void)state;
	assert_int_equal(parse("-N node-7 -g [::1]:10125 -T ip:192.0.2.1 --tgt-crdt 30 -F json "
			       "--state-dir /tmp/x -s 1024 --huge-dir /x",
			       &options, error, sizeof(error)),
			 OPTIONS_RUN);
	assert_string_equal(options.node_name, "node-7");
	assert_string_equal(options.grpc_ip, "::1");
	assert_int_equal(options.grpc_port, 10125);
	assert_string_equal(options.target_ip, "192.0.2.1");
	assert_int_equal(options.target_crdt[2], 30);
	assert_int_equal(options.log_style, LOG_STYLE_JSON);
	assert_int_equal(parse("10.0.0.1 10130", &options, error, sizeof(error)), OPTIONS_RUN);
	assert_string_equal(options.grpc_ip, "10.0.0.1");
	assert_int_equal(options.grpc_port, 10130);
	assert_int_equal(parse("-g 10.0.0.2", &options, error, sizeof(error)), OPTIONS_RUN);
	assert_string_equal(options.grpc_ip, "10.0.0.2");
	assert_int_equal(parse("-g fd00::7", &options, error, sizeof(error)), OPTIONS_RUN);
	assert_string_equal(options.grpc_ip, "fd00::7");
}

static void rebuilds_have_no_limit_unless_one_is_set(void **state)
{
	struct engine_options options;
	char error[512] = "";

	(void)state;
	assert_int_equal(parse("", &options, error, sizeof(error)), OPTIONS_RUN);
	assert_int_equal(options.rebuild_mib_per_second, 0);
	setenv("NEXUS_REBUILD_MIB_S", "200", 1);
	assert_int_equal(parse("", &options, error, sizeof(error)), OPTIONS_RUN);
	assert_int_equal(options.rebuild_mib_per_second, 200);
	setenv("NEXUS_REBUILD_MIB_S", "fast", 1);
	assert_int_equal(parse("", &options, error, sizeof(error)), OPTIONS_WRONG);
	assert_non_null(strstr(error, "NEXUS_REBUILD_MIB_S"));
	environment_clear(NULL);
}

static void command_line_wins_over_environment(void **state)
{
	struct engine_options options;
	char error[512] = "";

	(void)state;
	setenv("HOSTNAME", "from-environment", 1);
	setenv("NVME_TIMEOUT", "110s", 1);
	setenv("NVME_KATO", "10s", 1);
	assert_int_equal(parse("", &options, error, sizeof(error)), OPTIONS_RUN);
	assert_string_equal(options.node_name, "from-environment");
	assert_int_equal(options.initiator_io_timeout_ms, 110000);
	assert_int_equal(parse("-N given", &options, error, sizeof(error)), OPTIONS_RUN);
	assert_string_equal(options.node_name, "given");
	setenv("NEXUS_NVMF_RESV_ENABLE", "1", 1);
	assert_int_equal(parse("", &options, error, sizeof(error)), OPTIONS_WRONG);
	assert_non_null(strstr(error, "NEXUS_NVMF_RESV_ENABLE"));
	unsetenv("NEXUS_NVMF_RESV_ENABLE");
	setenv("NVME_TIMEOUT", "soon", 1);
	assert_int_equal(parse("", &options, error, sizeof(error)), OPTIONS_WRONG);
	assert_non_null(strstr(error, "soon"));
	environment_clear(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_ones_that_are_documented),
		cmocka_unit_test(wrong_options_are_refused_and_named),
		cmocka_unit_test(right_options_are_taken),
		cmocka_unit_test(command_line_wins_over_environment),
		cmocka_unit_test(rebuilds_have_no_limit_unless_one_is_set),
	};

	return cmocka_run_group_tests(tests, environment_clear, NULL);
}
