/* SPDX-License-Identifier: Apache-2.0 */
/* server_connection.c - a client's socket: receive, dispatch, send, deadlines, keep-alive.
 *
 * One timer serves all deadlines of the connection. A peer that is silent for keepalive_ns is
 * pinged; one that then stays silent, or never began to speak HTTP/2, is cut off.
 *
 * Invariants:
 *  1. While serving, the op waits for nothing by op_wait(): it is only woken.
 *  2. The session is closed before the socket, so no late answer wakes a closing connection.
 */
#include "rpc/server_connection.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

static void peer_text(const struct server_connection *c, char ret_text[OS_ADDRESS_TEXT_BYTES])
{
	struct os_address address;

	os_socket_peer(c->transport.socket, &address);
	os_address_format(&address, ret_text);
}

/* Who decides to cut a client off says so. */
static void cut_off_log(struct server_connection *c, const char *why)
{
	struct log *log = c->session.core->options.log;
	char peer[OS_ADDRESS_TEXT_BYTES];

	c->session.core->stats.connections_failed++;
	if (log == NULL)
		return;
	peer_text(c, peer);
	log_warn(log, "gRPC client %s cut off: %s", peer, why);
}

/* Return: false when the peer is dead. */
static bool keepalive_check(struct server_connection *c, uint64_t now_ns)
{
	uint64_t keepalive_ns = c->session.core->options.keepalive_ns;

	if (c->transport.received_bytes != c->seen_bytes) {
		c->seen_bytes = c->transport.received_bytes;
		c->active_ns = now_ns;
		c->is_pinged = false;
	}
	if (keepalive_ns == 0 || now_ns - c->active_ns < keepalive_ns)
		return true;
	if (!c->session.is_client_heard || now_ns - c->active_ns >= 2 * keepalive_ns)
		return false;
	if (!c->is_pinged) {
		c->is_pinged = true;
		return nghttp2_submit_ping(c->session.http, NGHTTP2_FLAG_NONE, NULL) == 0;
	}
	return true;
}

static void timer_arm(struct server_connection *c, uint64_t now_ns)
{
	uint64_t keepalive_ns = c->session.core->options.keepalive_ns;
	uint64_t due_ns = server_session_deadline(&c->session);

	if (c->end_ns < due_ns)
		due_ns = c->end_ns;
	if (keepalive_ns != 0) {
		uint64_t check_ns = c->active_ns + (c->is_pinged ? 2 : 1) * keepalive_ns;

		if (check_ns < due_ns)
			due_ns = check_ns;
	}
	if (due_ns == UINT64_MAX)
		reactor_timer_stop(&c->timer);
	else
		reactor_timer_start(&c->timer, due_ns > now_ns ? due_ns - now_ns : 0);
}

static void timer_expired(struct reactor_timer *timer)
{
	struct server_connection *c = container_of(timer, struct server_connection, timer);

	op_wake(&c->op);
}

/* Return: OP_WAIT to stay, OP_NEXT when the connection is over. */
static enum op_flow connection_serve(struct server_connection *c)
{
	uint64_t now_ns = reactor_now_ns(c->reactor);

	ASSERT(c->session.http != NULL);
	c->session.now_ns = now_ns;
	int rc = transport_receive(&c->transport);
	if (rc == -EPROTO)
		cut_off_log(c, c->session.is_client_heard ? "it broke the HTTP/2 protocol"
							  : "it does not speak HTTP/2");
	if (rc < 0)
		return OP_NEXT;
	server_session_dispatch(&c->session);
	server_session_expire(&c->session);
	if (c->session.is_broken) {
		cut_off_log(c, "there is no memory to answer it");
		return OP_NEXT;
	}
	if (c->session.stream_count > 0)
		c->idle_ns = now_ns;
	if (c->is_draining && c->session.stream_count == 0 && transport_is_flushed(&c->transport))
		return OP_NEXT;
	if (now_ns >= c->end_ns)
		return OP_NEXT;
	if (!keepalive_check(c, now_ns)) {
		cut_off_log(c, "it does not answer");
		return OP_NEXT;
	}
	transport_flush(&c->transport);
	timer_arm(c, now_ns);
	return OP_WAIT;
}

static enum op_flow connection_close(struct server_connection *c)
{
	reactor_timer_stop(&c->timer);
	server_session_close(&c->session);
	op_unwake(&c->op);
	op_wait(&c->op);
	transport_close(&c->transport, &c->op);
	return op_join(&c->op);
}

static void connection_free(struct server_connection *c)
{
	struct server_core *core = c->session.core;

	ASSERT(core->stats.connections > 0);
	transport_free(&c->transport);
	list_remove(&c->link);
	memory_free(c);
	core->stats.connections--;
	if (core->acceptor != NULL)
		op_wake(core->acceptor);
	if (core->stats.connections == 0 && core->gone_waiter != NULL) {
		struct op *waiter = core->gone_waiter;

		core->gone_waiter = NULL;
		op_done(waiter);
	}
}

static void connection_run(struct op *op)
{
	struct server_connection *c = container_of(op, struct server_connection, op);

	for (;;) {
		switch (c->step) {
		case CONNECTION_SERVE:
			if (connection_serve(c) == OP_WAIT)
				return;
			c->step = CONNECTION_CLOSE;
			break;
		case CONNECTION_CLOSE:
			c->step = CONNECTION_FREE;
			if (connection_close(c) == OP_WAIT)
				return;
			break;
		case CONNECTION_FREE:
			connection_free(c);
			return;
		}
	}
}

int server_connection_open(struct server_core *core, struct reactor *reactor,
			   struct os_socket *socket, struct list_node *list)
{
	struct server_connection *c = memory_alloc(sizeof(*c));
	uint64_t now_ns = reactor_now_ns(reactor);

	if (c == NULL)
		return -ENOMEM;
	c->step = CONNECTION_SERVE;
	c->reactor = reactor;
	c->active_ns = now_ns;
	c->idle_ns = now_ns;
	c->end_ns = UINT64_MAX;
	op_init(&c->op, reactor_ready(reactor), connection_run);
	list_init(&c->link);
	reactor_timer_init(&c->timer, reactor, timer_expired);
	int rc = server_session_open(&c->session, core, &c->op);
	if (rc < 0)
		goto fail_connection;
	rc = transport_open(&c->transport, socket, c->session.http, &c->op);
	if (rc < 0)
		goto fail_session;
	list_push_back(list, &c->link);
	core->stats.connections++;
	op_wake(&c->op);
	return 0;

fail_session:
	server_session_close(&c->session);
fail_connection:
	memory_free(c);
	return rc;
}

void server_connection_drain(struct server_connection *c, uint64_t end_ns)
{
	if (c->step != CONNECTION_SERVE || c->is_draining)
		return;
	c->is_draining = true;
	c->end_ns = end_ns;
	/* Streams that were opened are served, later ones are ignored (RFC 9113, 6.8). */
	int rc = nghttp2_submit_goaway(c->session.http, NGHTTP2_FLAG_NONE,
				       nghttp2_session_get_last_proc_stream_id(c->session.http),
				       NGHTTP2_NO_ERROR, NULL, 0);
	COUNT_IF(rc != 0, "rpc_goaway_not_submitted");
	op_wake(&c->op);
}
