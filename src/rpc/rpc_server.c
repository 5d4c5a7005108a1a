/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_server.c - listeners, services and the server's end.
 *
 *	SERVER_ACCEPT       woken while accepted sockets wait
 *	SERVER_LISTENERS    closing: every listener goes
 *	SERVER_DRAIN        connections answer what they have and leave
 *	SERVER_CALLS        every handler has ended its call
 *	SERVER_REFUSED      every socket that was not served is gone
 *
 * Invariants:
 *  1. connections <= connections_max.
 *  2. The server is freed only when it has no listener, no connection and no unfinished call.
 */
#include "rpc/rpc_server.h"

#include "base/assert.h"
#include "base/memory.h"
#include "rpc/server_connection.h"

#include <errno.h>
#include <string.h>

#define ACCEPTS_PER_RUN 32
#define EVICTION_NS	1000000000ull /* for an idle connection to take leave */

enum server_step {
	SERVER_ACCEPT,
	SERVER_LISTENERS,
	SERVER_DRAIN,
	SERVER_CALLS,
	SERVER_REFUSED,
	SERVER_FREE,
};

struct rpc_server {
	struct op op;
	enum server_step step;
	struct reactor *reactor;
	struct server_core core;
	struct os_listener *listeners[RPC_LISTENERS_MAX];
	uint32_t listener_count;
	struct list_node connections;
	struct os_socket *held; /* accepted, waits for an idle connection to leave */
	struct op refused;	/* counts sockets that are being closed unserved */
	struct op *close_parent;
	bool is_closing;
};

void rpc_server_options_default(struct rpc_server_options *ret_options)
{
	*ret_options = (struct rpc_server_options){
		.connections_max = 64,
		.streams_max = 128,
		.calls_max = 1024,
		.message_bytes_max = RPC_MESSAGE_BYTES_MAX,
		.buffered_bytes_max = 64ull << 20,
		.deadline_ns = 15000000000ull,
		.keepalive_ns = 30000000000ull,
		.drain_ns = 5000000000ull,
	};
}

/* The connection that has been without calls for longest; NULL when all have some. */
static struct server_connection *idle_find(struct rpc_server *server)
{
	struct server_connection *found = NULL;

	list_for_each (node, &server->connections) {
		struct server_connection *c = list_entry(node, struct server_connection, link);

		if (c->session.stream_count > 0)
			continue;
		if (found == NULL || c->idle_ns < found->idle_ns)
			found = c;
	}
	return found;
}

/* Return: false when all places are taken, but one will be free soon: accept later. */
static bool room_make(struct rpc_server *server)
{
	const struct server_core *core = &server->core;

	ASSERT(core->stats.connections <= core->options.connections_max);
	if (core->stats.connections < core->options.connections_max)
		return true;
	list_for_each (node, &server->connections) {
		const struct server_connection *c =
			list_entry(node, struct server_connection, link);

		if (c->is_draining || c->step != CONNECTION_SERVE)
			return false;
	}
	struct server_connection *idle = idle_find(server);
	if (idle == NULL)
		return true; /* the newcomer is refused */
	server_connection_drain(idle, reactor_now_ns(server->reactor) + EVICTION_NS);
	return false;
}

static void socket_refuse(struct rpc_server *server, struct os_socket *socket)
{
	server->core.stats.connections_refused++;
	op_wait(&server->refused);
	os_socket_close(socket, &server->refused);
}

/* Serves @socket, or shuts it when all connections are busy. */
static void socket_admit(struct rpc_server *server, struct os_socket *socket)
{
	struct server_core *core = &server->core;

	if (core->stats.connections < core->options.connections_max &&
	    server_connection_open(core, server->reactor, socket, &server->connections) == 0) {
		core->stats.connections_accepted++;
		return;
	}
	if (core->options.log != NULL)
		log_warn(core->options.log,
			 "gRPC client refused: %u connections are busy (limit %u)",
			 core->stats.connections, core->options.connections_max);
	socket_refuse(server, socket);
}

/* Return: how many were accepted. */
static uint32_t listener_accept(struct rpc_server *server, struct os_listener *listener)
{
	for (uint32_t accepted = 0; accepted < ACCEPTS_PER_RUN; accepted++) {
		if (server->held == NULL)
			server->held = os_listener_accept(listener);
		if (server->held == NULL || !room_make(server))
			return accepted; /* woken when there is a socket or room */
		socket_admit(server, server->held);
		server->held = NULL;
	}
	return ACCEPTS_PER_RUN;
}

/* Return: OP_WAIT while serving, OP_NEXT when the server is to end. */
static enum op_flow server_accept(struct rpc_server *server)
{
	bool is_more = false;

	if (server->is_closing)
		return OP_NEXT;
	for (uint32_t i = 0; i < server->listener_count; i++)
		is_more |= listener_accept(server, server->listeners[i]) == ACCEPTS_PER_RUN;
	if (is_more)
		op_wake(&server->op);
	return OP_WAIT;
}

static enum op_flow server_close_listeners(struct rpc_server *server)
{
	server->core.acceptor = NULL;
	op_unwake(&server->op);
	if (server->held != NULL)
		socket_refuse(server, server->held);
	server->held = NULL;
	for (uint32_t i = 0; i < server->listener_count; i++) {
		op_wait(&server->op);
		os_listener_close(server->listeners[i], &server->op);
	}
	server->listener_count = 0;
	return op_join(&server->op);
}

static enum op_flow server_drain(struct rpc_server *server)
{
	uint64_t end_ns = reactor_now_ns(server->reactor) + server->core.options.drain_ns;

	ASSERT(server->listener_count == 0);
	list_for_each (node, &server->connections)
		server_connection_drain(list_entry(node, struct server_connection, link), end_ns);
	op_unwake(&server->op);
	if (server->core.stats.connections > 0) {
		op_wait(&server->op);
		server->core.gone_waiter = &server->op;
	}
	return op_join(&server->op);
}

static enum op_flow server_wait_calls(struct rpc_server *server)
{
	op_unwake(&server->op);
	if (server->core.stats.calls > 0) {
		op_wait(&server->op);
		server->core.idle_waiter = &server->op;
	}
	return op_join(&server->op);
}

static void server_free(struct rpc_server *server)
{
	struct op *parent = server->close_parent;

	ASSERT(list_is_empty(&server->connections) && server->listener_count == 0);
	ASSERT(server->core.stats.calls == 0 && server->core.budget.used == 0);
	memory_free(server);
	op_done(parent);
}

static void server_run(struct op *op)
{
	struct rpc_server *server = container_of(op, struct rpc_server, op);

	for (;;) {
		switch (server->step) {
		case SERVER_ACCEPT:
			if (server_accept(server) == OP_WAIT)
				return;
			server->step = SERVER_LISTENERS;
			break;
		case SERVER_LISTENERS:
			server->step = SERVER_DRAIN;
			if (server_close_listeners(server) == OP_WAIT)
				return;
			break;
		case SERVER_DRAIN:
			server->step = SERVER_CALLS;
			if (server_drain(server) == OP_WAIT)
				return;
			break;
		case SERVER_CALLS:
			server->step = SERVER_REFUSED;
			if (server_wait_calls(server) == OP_WAIT)
				return;
			break;
		case SERVER_REFUSED:
			server->step = SERVER_FREE;
			if (op_join(&server->refused) == OP_WAIT)
				return;
			break;
		case SERVER_FREE:
			server_free(server);
			return;
		}
	}
}

/* The last refused socket is gone, and the server waited for that. */
static void refused_run(struct op *op)
{
	struct rpc_server *server = container_of(op, struct rpc_server, refused);

	ASSERT(op->pending == 0 && server->is_closing);
	op_wake(&server->op);
}

int rpc_server_create(struct reactor *reactor, const struct rpc_server_options *options,
		      struct rpc_server **ret_server)
{
	struct rpc_server *server = memory_alloc(sizeof(*server));

	ASSERT(options->connections_max > 0 && options->streams_max > 0);
	if (server == NULL)
		return -ENOMEM;
	server->step = SERVER_ACCEPT;
	server->reactor = reactor;
	server_core_init(&server->core, server, options);
	op_init(&server->op, reactor_ready(reactor), server_run);
	op_init(&server->refused, reactor_ready(reactor), refused_run);
	list_init(&server->connections);
	server->core.acceptor = &server->op;
	*ret_server = server;
	return 0;
}

void rpc_server_add_service(struct rpc_server *server, const struct rpc_service *service,
			    void *user)
{
	struct server_core *core = &server->core;

	ASSERT(core->service_count < RPC_SERVICES_MAX);
	for (uint32_t i = 0; i < service->method_count; i++)
		ASSERT(protobuf_c_service_descriptor_get_method_by_name(
			       service->descriptor, service->methods[i].name) != NULL);
	core->services[core->service_count].service = service;
	core->services[core->service_count].user = user;
	core->service_count++;
}

int rpc_server_listen(struct rpc_server *server, const struct os_address *address,
		      struct os_address *ret_address)
{
	struct os_listener *listener;

	ASSERT(!server->is_closing);
	if (server->listener_count == RPC_LISTENERS_MAX)
		return -ENOSPC;
	int rc = os_listener_open(reactor_ring(server->reactor), address, &server->op, &listener);
	if (rc < 0)
		return rc;
	server->listeners[server->listener_count++] = listener;
	if (ret_address != NULL)
		os_listener_address(listener, ret_address);
	return 0;
}

void rpc_server_close(struct rpc_server *server, struct op *parent)
{
	ASSERT(!server->is_closing);
	server->is_closing = true;
	server->close_parent = parent;
	op_wake(&server->op);
}

void rpc_server_stats(const struct rpc_server *server, struct rpc_server_stats *ret_stats)
{
	*ret_stats = server->core.stats;
	ret_stats->buffered_bytes = server->core.budget.used;
}
