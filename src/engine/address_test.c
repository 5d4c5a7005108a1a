/* SPDX-License-Identifier: Apache-2.0 */
/* address_test.c - goal: an engine waits for an address that is in use, and may be stopped
 * meanwhile; method: the engine of the program on a real reactor, beside a listener of the test. */
#include "base/list.h"
#include "engine/engine.h"
#include "os/os.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct os *os;
	struct reactor *reactor;
	struct engine_options options;
	struct log log;
	struct engine *engine;
	char folder[64];
	int taken; /* listens where the engine wants to */
	bool is_waiting;
	bool is_serving;
};

static void line_judge(struct log *log, const char *line)
{
	struct fixture *fixture = container_of(log, struct fixture, log);

	fixture->is_waiting |= strstr(line, "waiting up to") != NULL;
	fixture->is_serving |= strstr(line, "serving: node") != NULL;
}

static uint16_t port_take(struct fixture *fixture)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	fixture->taken = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fixture->taken, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fixture->taken, 1), 0);
	assert_int_equal(getsockname(fixture->taken, (struct sockaddr *)&address, &size), 0);
	return ntohs(address.sin_port);
}

static int fixture_set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char program[] = "io-engine", *argv[] = {program, NULL};
	struct reactor_options options;

	assert_non_null(fixture);
	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/engine_address_test.XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	assert_int_equal(os_open(&fixture->os), 0);
	assert_int_equal(options_parse(fixture->os, 1, argv, &fixture->options, stderr),
			 OPTIONS_RUN);
	snprintf(fixture->options.state_directory, sizeof(fixture->options.state_directory), "%s",
		 fixture->folder);
	snprintf(fixture->options.grpc_ip, sizeof(fixture->options.grpc_ip), "127.0.0.1");
	fixture->options.grpc_port = 0;
	fixture->options.target_port = 0;
	fixture->options.target_second_port = 0;
	fixture->log.write = line_judge;
	fixture->log.level = LOG_INFO;
	reactor_options_default(&options);
	assert_int_equal(reactor_create(fixture->os, &options, &fixture->reactor), 0);
	assert_int_equal(
		engine_create(fixture->reactor, &fixture->options, &fixture->log, &fixture->engine),
		0);
	*state = fixture;
	return 0;
}

static void turn_until(struct fixture *fixture, const bool *is_true)
{
	while (!*is_true && !engine_is_stopped(fixture->engine))
		reactor_turn(fixture->reactor, true);
	assert_true(*is_true);
}

static void stop(struct fixture *fixture)
{
	engine_stop(fixture->engine);
	while (!engine_is_stopped(fixture->engine))
		reactor_turn(fixture->reactor, true);
}

static int fixture_tear_down(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	close(fixture->taken);
	stop(fixture);
	engine_destroy(fixture->engine);
	reactor_destroy(fixture->reactor);
	os_close(fixture->os);
	snprintf(path, sizeof(path), "%s/records", fixture->folder);
	rmdir(path);
	rmdir(fixture->folder);
	free(fixture);
	return 0;
}

static void address_that_becomes_free_is_taken(struct fixture *fixture)
{
	engine_start(fixture->engine);
	turn_until(fixture, &fixture->is_waiting);
	close(fixture->taken);
	fixture->taken = -1;
	turn_until(fixture, &fixture->is_serving);
	assert_null(engine_error(fixture->engine));
}

static void management_address_that_becomes_free_is_taken(void **state)
{
	struct fixture *fixture = *state;

	fixture->options.grpc_port = port_take(fixture);
	address_that_becomes_free_is_taken(fixture);
}

static void target_address_that_becomes_free_is_taken(void **state)
{
	struct fixture *fixture = *state;

	fixture->options.target_port = port_take(fixture);
	address_that_becomes_free_is_taken(fixture);
}

static void stop_while_the_management_address_is_waited_for_is_no_failure(void **state)
{
	struct fixture *fixture = *state;

	fixture->options.grpc_port = port_take(fixture);
	engine_start(fixture->engine);
	turn_until(fixture, &fixture->is_waiting);
	stop(fixture);
	assert_false(fixture->is_serving);
	assert_null(engine_error(fixture->engine));
}

static void stop_while_the_target_address_is_waited_for_is_no_failure(void **state)
{
	struct fixture *fixture = *state;

	fixture->options.target_port = port_take(fixture);
	engine_start(fixture->engine);
	turn_until(fixture, &fixture->is_waiting);
	stop(fixture);
	assert_false(fixture->is_serving);
	assert_null(engine_error(fixture->engine));
}

static void address_that_stays_in_use_is_the_reason_of_the_end(void **state)
{
	struct fixture *fixture = *state;

	fixture->options.grpc_port = port_take(fixture);
	engine_start(fixture->engine);
	while (!engine_is_stopped(fixture->engine))
		reactor_turn(fixture->reactor, true);
	assert_true(fixture->is_waiting && !fixture->is_serving);
	assert_non_null(strstr(engine_error(fixture->engine), "--grpc-port"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(management_address_that_becomes_free_is_taken),
		WITH_FIXTURE(target_address_that_becomes_free_is_taken),
		WITH_FIXTURE(stop_while_the_management_address_is_waited_for_is_no_failure),
		WITH_FIXTURE(stop_while_the_target_address_is_waited_for_is_no_failure),
		WITH_FIXTURE(address_that_stays_in_use_is_the_reason_of_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
