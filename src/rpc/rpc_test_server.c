/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_test_server.c - serves Echo for tests of other programs: prints "port N", ends at SIGTERM.
 *
 * usage: rpc_test_server [connections_max [keepalive_ms [deadline_ms]]]
 */
#include "base/assert.h"
#include "rpc/rpc_server.h"
#include "rpc/rpc_test_echo.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct reactor *signalled_reactor; /* signal handlers have no argument */

static void on_signal(int number)
{
	(void)number;
	reactor_stop(signalled_reactor);
}

static void line_write(struct log *log, const char *line)
{
	(void)log;
	fprintf(stderr, "%s\n", line);
}

static void closed_run(struct op *op)
{
	(void)op;
}

static void options_read(struct rpc_server_options *options, int count, char **arguments)
{
	rpc_server_options_default(options);
	options->drain_ns = 500000000ull;
	if (count > 1)
		options->connections_max = (uint32_t)strtoul(arguments[1], NULL, 10);
	if (count > 2)
		options->keepalive_ns = strtoull(arguments[2], NULL, 10) * 1000000;
	if (count > 3)
		options->deadline_ns = strtoull(arguments[3], NULL, 10) * 1000000;
}

int main(int count, char **arguments)
{
	struct reactor_options reactor_options;
	struct rpc_server_options options;
	struct rpc_server *server;
	struct reactor *reactor;
	struct os_address address;
	struct rpc_server_stats stats;
	struct op closed;
	struct os *os;
	struct log log = {.level = LOG_INFO, .write = line_write};

	if (os_open(&os) < 0)
		return 1;
	reactor_options_default(&reactor_options);
	if (reactor_create(os, &reactor_options, &reactor) < 0)
		return 1;
	signalled_reactor = reactor;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	options_read(&options, count, arguments);
	options.log = &log;
	struct echo echo = {.reactor = reactor};
	if (rpc_server_create(reactor, &options, &server) < 0)
		return 1;
	rpc_server_add_service(server, &echo_service, &echo);
	if (os_address_parse("", 0, &address) < 0 || rpc_server_listen(server, &address, &address))
		return 1;
	printf("port %u\n", os_address_port(&address));
	fflush(stdout);
	reactor_run(reactor);

	rpc_server_stats(server, &stats);
	op_init(&closed, reactor_ready(reactor), closed_run);
	op_wait(&closed);
	rpc_server_close(server, &closed);
	while (closed.pending > 0)
		reactor_turn(reactor, true);
	printf("calls %u abandoned %u refused %lu failed %lu deadlines %lu\n", echo.calls,
	       echo.abandoned, (unsigned long)stats.connections_refused,
	       (unsigned long)stats.connections_failed, (unsigned long)stats.deadlines_exceeded);
	reactor_destroy(reactor);
	os_close(os);
	return 0;
}
