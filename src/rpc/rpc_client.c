/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_client.c - a client's connection: made when needed, kept, made again.
 *
 *	CLIENT_IDLE        no connection, no call
 *	CLIENT_CONNECT     one attempt
 *	CLIENT_JUDGE       did it work?
 *	CLIENT_SERVE       connected: calls go out, answers come in
 *	CLIENT_DISCONNECT  calls on the wire end, the socket goes
 *	CLIENT_PAUSE       the last attempt failed: wait a while
 *	CLIENT_FREE        closed
 *
 * Invariants:
 *  1. A call is in @waiting exactly while it is unfinished and not on the wire.
 *  2. Deadlines are looked at in every run, also while something is awaited.
 *  3. @op is only woken, never joined: calls come and expire in every step. What is waited for
 *     counts on @io, whose end wakes @op.
 */
#include "rpc/rpc_client.h"

#include "base/assert.h"
#include "base/memory.h"
#include "rpc/client_session.h"
#include "rpc/transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CALL_TIMEOUT_NS_DEFAULT 15000000000ull
#define AUTHORITY_BYTES_MAX	256

enum client_step {
	CLIENT_IDLE,
	CLIENT_CONNECT,
	CLIENT_JUDGE,
	CLIENT_SERVE,
	CLIENT_DISCONNECT,
	CLIENT_DISCONNECTED,
	CLIENT_PAUSE,
	CLIENT_FREE,
};

struct rpc_client {
	struct op op;
	struct op io; /* connecting and disconnecting */
	enum client_step step;
	struct reactor *reactor;
	struct reactor_timer timer;
	struct rpc_client_options options;
	struct os_address address;
	char authority[AUTHORITY_BYTES_MAX];
	struct list_node waiting; /* of rpc_client_call.link */
	uint32_t call_count;
	struct op *close_parent;
	bool is_closing;

	struct os_connect connect;
	uint64_t step_end_ns; /* of the attempt or the pause */
	uint64_t backoff_ns;
	char error[ERROR_TEXT_BYTES]; /* of the last attempt or connection */

	struct client_session session;
	struct transport transport;
	uint64_t seen_bytes;
	uint64_t active_ns; /* when the last bytes came, or calls went out on a silent line */
	uint64_t pinged_ns; /* 0: no ping is out */
	bool is_suspect;    /* a call on the wire got no answer in time */
};

void rpc_client_options_default(struct rpc_client_options *ret_options)
{
	*ret_options = (struct rpc_client_options){
		.calls_max = 256,
		.message_bytes_max = 4u << 20,
		.connect_ns = 5000000000ull,
		.backoff_ns_min = 100000000ull,
		.backoff_ns_max = 5000000000ull,
		.keepalive_ns = 10000000000ull,
	};
}

static void waiting_end(struct rpc_client *client, bool is_all, enum rpc_status status)
{
	list_for_each (node, &client->waiting) {
		struct rpc_client_call *call = list_entry(node, struct rpc_client_call, link);

		if (is_all || !call->wait_for_ready)
			client_call_end(call, status, client->error);
	}
}

/* Ends @call when its time is over. */
static void call_expire(struct rpc_client *client, struct rpc_client_call *call, uint64_t now_ns)
{
	char text[ERROR_TEXT_BYTES];
	bool is_sent = call->stream->session != NULL;

	if (call->deadline_ns > now_ns)
		return;
	if (is_sent) {
		client->is_suspect = true;
		snprintf(text, sizeof(text), "%s: no answer in time", call->method);
	} else {
		snprintf(text, sizeof(text), "%s: no connection in time: %.300s", call->method,
			 client->error);
	}
	client_call_end(call, RPC_DEADLINE_EXCEEDED, text);
}

static void calls_expire(struct rpc_client *client, uint64_t now_ns)
{
	list_for_each (node, &client->waiting)
		call_expire(client, list_entry(node, struct rpc_client_call, link), now_ns);
	if (client->step != CLIENT_SERVE)
		return;
	list_for_each (stream_node, &client->session.streams) {
		struct rpc_client_stream *stream =
			list_entry(stream_node, struct rpc_client_stream, link);

		if (stream->call != NULL)
			call_expire(client, stream->call, now_ns);
	}
}

static uint64_t min_ns(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t calls_due_ns(const struct rpc_client *client)
{
	uint64_t due_ns = UINT64_MAX;

	list_for_each (node, &client->waiting)
		due_ns =
			min_ns(due_ns, list_entry(node, struct rpc_client_call, link)->deadline_ns);
	if (client->step != CLIENT_SERVE)
		return due_ns;
	list_for_each (stream_node, &client->session.streams) {
		const struct rpc_client_stream *stream =
			list_entry(stream_node, struct rpc_client_stream, link);

		if (stream->call != NULL)
			due_ns = min_ns(due_ns, stream->call->deadline_ns);
	}
	return due_ns;
}

static uint64_t keepalive_due_ns(const struct rpc_client *client)
{
	uint64_t keepalive_ns = client->options.keepalive_ns;

	if (client->step != CLIENT_SERVE || keepalive_ns == 0)
		return UINT64_MAX;
	if (client->pinged_ns != 0)
		return client->pinged_ns + keepalive_ns;
	return client->session.stream_count > 0 ? client->active_ns + keepalive_ns : UINT64_MAX;
}

static void timer_arm(struct rpc_client *client, uint64_t now_ns)
{
	uint64_t due_ns = min_ns(calls_due_ns(client), keepalive_due_ns(client));

	due_ns = min_ns(due_ns, client->step_end_ns);
	if (due_ns == UINT64_MAX)
		reactor_timer_stop(&client->timer);
	else
		reactor_timer_start(&client->timer, due_ns > now_ns ? due_ns - now_ns : 0);
}

static void timer_expired(struct reactor_timer *timer)
{
	struct rpc_client *client = container_of(timer, struct rpc_client, timer);

	op_wake(&client->op);
}

static enum op_flow client_connect(struct rpc_client *client, uint64_t now_ns)
{
	ASSERT(op_is_idle(&client->io));
	client->connect = (struct os_connect){.parent = &client->io, .address = client->address};
	client->step_end_ns = now_ns + client->options.connect_ns;
	op_wait(&client->io);
	os_connect_submit(reactor_ring(client->reactor), &client->connect);
	return op_join(&client->io);
}

/* Entered while the attempt is under way: is it taking too long, or not wanted any more? */
static void connect_look(struct rpc_client *client, uint64_t now_ns)
{
	if (client->step != CLIENT_JUDGE)
		return;
	if (now_ns < client->step_end_ns && !client->is_closing)
		return;
	if (client->step_end_ns != UINT64_MAX)
		os_connect_cancel(reactor_ring(client->reactor), &client->connect);
	client->step_end_ns = UINT64_MAX;
}

static void error_text(struct rpc_client *client, const char *what, int error)
{
	char address[OS_ADDRESS_TEXT_BYTES];

	os_address_format(&client->address, address);
	snprintf(client->error, sizeof(client->error), "%s %s: %s", what, address,
		 strerrordesc_np(error == -ECANCELED ? ETIMEDOUT : -error));
}

static int session_start(struct rpc_client *client, uint64_t now_ns)
{
	int rc = client_session_open(&client->session, client->authority);

	if (rc < 0)
		return rc;
	rc = transport_open(&client->transport, client->connect.socket, client->session.http,
			    &client->op);
	if (rc < 0) {
		client_session_close(&client->session, RPC_UNAVAILABLE, "");
		return rc;
	}
	client->seen_bytes = 0;
	client->active_ns = now_ns;
	client->pinged_ns = 0;
	client->is_suspect = false;
	client->step_end_ns = UINT64_MAX;
	return 0;
}

/* Before the next attempt; pauses grow. */
static void client_pause(struct rpc_client *client, uint64_t now_ns)
{
	ASSERT(client->backoff_ns > 0);
	if (client->options.log != NULL && client->backoff_ns == client->options.backoff_ns_min)
		log_warn(client->options.log, "gRPC client: %s", client->error);
	client->step_end_ns = now_ns + client->backoff_ns;
	client->backoff_ns = min_ns(client->backoff_ns * 2, client->options.backoff_ns_max);
}

/* Return: the step that follows the attempt. */
static enum client_step client_judge(struct rpc_client *client, uint64_t now_ns)
{
	int rc = client->connect.result;

	client->step_end_ns = UINT64_MAX;
	if (rc == 0) {
		rc = session_start(client, now_ns);
		if (rc == 0)
			return CLIENT_SERVE;
		op_wait(&client->io);
		os_socket_close(client->connect.socket, &client->io);
	}
	error_text(client, "cannot connect to", rc);
	waiting_end(client, false, RPC_UNAVAILABLE);
	client_pause(client, now_ns);
	return CLIENT_PAUSE;
}

static void waiting_send(struct rpc_client *client, uint64_t now_ns)
{
	bool was_silent = client->session.stream_count == 0;

	while (!client->session.is_leaving) {
		struct list_node *node = list_first(&client->waiting);

		if (node == NULL)
			break;
		struct rpc_client_call *call = list_entry(node, struct rpc_client_call, link);
		ASSERT(call->deadline_ns > now_ns);
		if (client_session_send(&client->session, call, call->deadline_ns - now_ns) < 0)
			break;
		list_remove(&call->link);
		if (was_silent)
			client->active_ns = now_ns;
	}
}

/* Return: false when the server is dead. */
static bool keepalive_check(struct rpc_client *client, uint64_t now_ns)
{
	uint64_t keepalive_ns = client->options.keepalive_ns;

	if (client->transport.received_bytes != client->seen_bytes) {
		client->seen_bytes = client->transport.received_bytes;
		client->active_ns = now_ns;
		client->pinged_ns = 0;
		client->is_suspect = false;
	}
	if (keepalive_ns == 0)
		return true;
	if (client->pinged_ns != 0)
		return now_ns - client->pinged_ns < keepalive_ns;
	if (client->is_suspect ||
	    (client->session.stream_count > 0 && now_ns - client->active_ns >= keepalive_ns)) {
		client->pinged_ns = now_ns;
		return nghttp2_submit_ping(client->session.http, NGHTTP2_FLAG_NONE, NULL) == 0;
	}
	return true;
}

/* Return: OP_WAIT to stay connected; OP_NEXT when it is over, with the reason in @error. */
static enum op_flow client_serve(struct rpc_client *client, uint64_t now_ns)
{
	int rc = transport_receive(&client->transport);

	list_splice_back(&client->waiting, &client->session.repeats);
	if (rc < 0) {
		error_text(client, "lost the connection to", rc == -EPIPE ? -ENOTCONN : rc);
		return OP_NEXT;
	}
	if (client->is_closing) {
		snprintf(client->error, sizeof(client->error), "the client is closing");
		return OP_NEXT;
	}
	if (client->session.answer_count > 0)
		client->backoff_ns = client->options.backoff_ns_min;
	waiting_send(client, now_ns);
	if (client->session.is_leaving && !client_session_has_calls(&client->session)) {
		error_text(client, "the server left:", -ENOTCONN);
		return OP_NEXT;
	}
	if (!keepalive_check(client, now_ns)) {
		error_text(client, "lost the connection to", -ETIMEDOUT);
		return OP_NEXT;
	}
	transport_flush(&client->transport);
	return OP_WAIT;
}

static enum op_flow client_disconnect(struct rpc_client *client)
{
	client_session_close(&client->session, client->is_closing ? RPC_CANCELLED : RPC_UNAVAILABLE,
			     client->error);
	op_wait(&client->io);
	transport_close(&client->transport, &client->io);
	return op_join(&client->io);
}

/* Return: the step after a connection's end. */
static enum client_step client_disconnected(struct rpc_client *client, uint64_t now_ns)
{
	transport_free(&client->transport);
	if (!client->session.is_server_heard)
		waiting_end(client, false, RPC_UNAVAILABLE);
	else if (list_is_empty(&client->waiting))
		return CLIENT_IDLE;
	/* A server that takes connections and drops them must not be tried without end. */
	client_pause(client, now_ns);
	return CLIENT_PAUSE;
}

static void client_free(struct rpc_client *client)
{
	struct op *parent = client->close_parent;

	ASSERT(list_is_empty(&client->waiting));
	reactor_timer_stop(&client->timer);
	op_unwake(&client->op);
	ASSERT(op_is_idle(&client->io));
	memory_free(client);
	op_done(parent);
}

/* What is done in every run, also while an answer is awaited. */
static void client_look(struct rpc_client *client, uint64_t now_ns)
{
	if (client->step == CLIENT_SERVE)
		list_splice_back(&client->waiting, &client->session.repeats);
	calls_expire(client, now_ns);
	if (client->is_closing) {
		snprintf(client->error, sizeof(client->error), "the client is closing");
		waiting_end(client, true, RPC_CANCELLED);
	}
	if (client->io.pending > 0)
		connect_look(client, now_ns);
}

/* Return: the step that follows, the same one to wait. */
static enum client_step client_rest(struct rpc_client *client, uint64_t now_ns)
{
	if (client->is_closing)
		return CLIENT_FREE;
	if (client->step == CLIENT_PAUSE && now_ns < client->step_end_ns)
		return CLIENT_PAUSE;
	client->step_end_ns = UINT64_MAX;
	return list_is_empty(&client->waiting) ? CLIENT_IDLE : CLIENT_CONNECT;
}

/* One step. Return: OP_WAIT when there is nothing to do before the next wake-up. */
static enum op_flow client_advance(struct rpc_client *client, uint64_t now_ns)
{
	enum client_step before = client->step;

	switch (client->step) {
	case CLIENT_IDLE:
	case CLIENT_PAUSE:
		client->step = client_rest(client, now_ns);
		return client->step == before ? OP_WAIT : OP_NEXT;
	case CLIENT_CONNECT:
		client->step = CLIENT_JUDGE;
		return client_connect(client, now_ns);
	case CLIENT_JUDGE:
		client->step = client_judge(client, now_ns);
		return op_join(&client->io);
	case CLIENT_SERVE:
		if (client_serve(client, now_ns) == OP_WAIT)
			return OP_WAIT;
		client->step = CLIENT_DISCONNECT;
		return OP_NEXT;
	case CLIENT_DISCONNECT:
		client->step = CLIENT_DISCONNECTED;
		return client_disconnect(client);
	case CLIENT_DISCONNECTED:
		client->step = client_disconnected(client, now_ns);
		return OP_NEXT;
	case CLIENT_FREE:
		return OP_WAIT;
	}
	return OP_WAIT;
}

static void client_run(struct op *op)
{
	struct rpc_client *client = container_of(op, struct rpc_client, op);
	uint64_t now_ns = reactor_now_ns(client->reactor);

	client_look(client, now_ns);
	do {
		if (client->io.pending > 0)
			break;
		op_unwake(&client->io); /* what it would wake is running */
	} while (client_advance(client, now_ns) == OP_NEXT);
	if (client->step == CLIENT_FREE)
		client_free(client);
	else
		timer_arm(client, now_ns);
}

/* Connected, or disconnected. */
static void io_run(struct op *op)
{
	struct rpc_client *client = container_of(op, struct rpc_client, io);

	ASSERT(op->pending == 0);
	op_wake(&client->op);
}

int rpc_client_create(struct reactor *reactor, const struct os_address *address,
		      const struct rpc_client_options *options, struct rpc_client **ret_client)
{
	struct rpc_client *client = memory_alloc(sizeof(*client));
	char text[OS_ADDRESS_TEXT_BYTES];

	ASSERT(options->backoff_ns_min > 0 && options->calls_max > 0);
	if (client == NULL)
		return -ENOMEM;
	client->step = CLIENT_IDLE;
	client->reactor = reactor;
	client->options = *options;
	client->address = *address;
	client->backoff_ns = options->backoff_ns_min;
	client->step_end_ns = UINT64_MAX;
	os_address_format(address, text);
	snprintf(client->authority, sizeof(client->authority), "%s",
		 options->authority != NULL ? options->authority : text);
	list_init(&client->waiting);
	op_init(&client->op, reactor_ready(reactor), client_run);
	op_init(&client->io, reactor_ready(reactor), io_run);
	reactor_timer_init(&client->timer, reactor, timer_expired);
	*ret_client = client;
	return 0;
}

void rpc_client_set_address(struct rpc_client *client, const struct os_address *address)
{
	client->address = *address;
}

void rpc_client_close(struct rpc_client *client, struct op *parent)
{
	ASSERT(!client->is_closing);
	client->is_closing = true;
	client->close_parent = parent;
	op_wake(&client->op);
}

static void outcome_clear(struct rpc_client_call *call)
{
	call->status = RPC_UNKNOWN;
	call->text[0] = '\0';
	call->response = NULL;
	call->received_count = 0;
	call->stream = NULL;
	list_init(&call->link);
}

void rpc_client_call_submit(struct rpc_client *client, struct rpc_client_call *call)
{
	uint64_t timeout_ns = call->timeout_ns != 0 ? call->timeout_ns : CALL_TIMEOUT_NS_DEFAULT;

	ASSERT(call->method != NULL && call->request != NULL && call->response_type != NULL);
	outcome_clear(call);
	call->client = client;
	if (client->is_closing) {
		client_call_end(call, RPC_CANCELLED, "the client is closing");
		return;
	}
	if (client->call_count == client->options.calls_max) {
		client_call_end(call, RPC_RESOURCE_EXHAUSTED, "too many calls are in progress");
		return;
	}
	int rc = client_stream_create(call, client->options.message_bytes_max);
	if (rc < 0) {
		client_call_end(call, RPC_RESOURCE_EXHAUSTED,
				rc == -EMSGSIZE ? "the request is too large"
						: "no memory for the request");
		return;
	}
	call->stream->call_count = &client->call_count;
	client->call_count++;
	if (timeout_ns > RPC_TIMEOUT_NS_MAX)
		timeout_ns = RPC_TIMEOUT_NS_MAX;
	call->deadline_ns = reactor_now_ns(client->reactor) + timeout_ns;
	list_push_back(&client->waiting, &call->link);
	op_wake(&client->op);
}

void rpc_client_call_cancel(struct rpc_client_call *call)
{
	if (call->stream == NULL)
		return; /* its op_done() was given */
	op_wake(&call->client->op);
	client_call_end(call, RPC_CANCELLED, "the call was cancelled");
}

bool rpc_client_is_connected(const struct rpc_client *client)
{
	return client->step == CLIENT_SERVE && client->session.is_server_heard;
}
