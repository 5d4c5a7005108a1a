/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whichever allocation fails, a session answers or ends, and gives everything back.
 * Method: a session without sockets, driven by nghttp2's own client side; memory that counts and
 * fails at the n-th request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "rpc/server_session.h"
#include "rpc_test.pb-c.h"

static struct {
	long left;  /* allocations that succeed; -1: all */
	long live;  /* not freed yet */
	long count; /* ever made */
} memory;

static bool is_allowed(void)
{
	if (memory.left == 0)
		return false;
	if (memory.left > 0)
		memory.left--;
	memory.live++;
	memory.count++;
	return true;
}

void *memory_alloc(size_t size_bytes)
{
	return is_allowed() ? calloc(1, size_bytes) : NULL;
}

void *memory_alloc_array(size_t count, size_t element_bytes)
{
	return is_allowed() ? calloc(count, element_bytes) : NULL;
}

void *memory_realloc(void *old, size_t size_bytes)
{
	if (!is_allowed())
		return NULL;
	memory.live -= old != NULL;
	return realloc(old, size_bytes);
}

void memory_free(void *old)
{
	memory.live -= old != NULL;
	free(old);
}

static void unary(struct rpc_call *call)
{
	const Mayastor__Rpctest__EchoRequest *request = (const void *)call->request;
	Mayastor__Rpctest__EchoReply reply = MAYASTOR__RPCTEST__ECHO_REPLY__INIT;

	reply.text = request->text;
	rpc_call_metadata_add(call, "gtm-602", "0");
	rpc_call_reply(call, &reply.base);
}

static const struct rpc_method methods[] = {{"Unary", unary}};
static const struct rpc_service service = {&mayastor__rpctest__echo__descriptor, methods, 1};

struct pair {
	struct server_core core;
	struct server_session server;
	nghttp2_session *client;
	struct op_queue queue;
	struct op output;
	uint32_t messages;
	bool is_closed;
};

static void nothing_run(struct op *op)
{
	(void)op;
}

static ssize_t body_read(nghttp2_session *http, int32_t id, uint8_t *bytes, size_t size,
			 uint32_t *flags, nghttp2_data_source *source, void *user)
{
	static const uint8_t message[] = {0, 0, 0, 0, 4, 0x0a, 2, 'h', 'i'};

	(void)http, (void)id, (void)size, (void)source, (void)user;
	memcpy(bytes, message, sizeof(message));
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return sizeof(message);
}

static int client_data(nghttp2_session *http, uint8_t flags, int32_t id, const uint8_t *bytes,
		       size_t size, void *user)
{
	struct pair *pair = user;

	(void)http, (void)flags, (void)id, (void)bytes, (void)size;
	pair->messages++;
	return 0;
}

static int client_closed(nghttp2_session *http, int32_t id, uint32_t error, void *user)
{
	struct pair *pair = user;

	(void)http, (void)id, (void)error;
	pair->is_closed = true;
	return 0;
}

#define FIELD(name, value)                                                                 \
	{                                                                                  \
		(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, sizeof(name) - 1, \
			sizeof(value) - 1, 0                                               \
	}

static void client_open(struct pair *pair)
{
	static const nghttp2_nv fields[] = {
		FIELD(":method", "POST"),
		FIELD(":scheme", "http"),
		FIELD(":path", "/mayastor.rpctest.Echo/Unary"),
		FIELD(":authority", "test"),
		FIELD("content-type", "application/grpc"),
	};
	nghttp2_data_provider provider = {.read_callback = body_read};
	nghttp2_session_callbacks *callbacks;

	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_closed);
	assert_int_equal(nghttp2_session_client_new(&pair->client, callbacks, pair), 0);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(pair->client, 0, NULL, 0);
	assert_true(nghttp2_submit_request(pair->client, NULL, fields, 5, &provider, NULL) > 0);
}

/* Moves what one side has to the other. Return: bytes moved, or an nghttp2 error. */
static ssize_t move(nghttp2_session *from, nghttp2_session *to)
{
	ssize_t moved = 0;
	const uint8_t *bytes;
	ssize_t size;

	while ((size = nghttp2_session_mem_send(from, &bytes)) > 0) {
		ssize_t taken = nghttp2_session_mem_recv(to, bytes, (size_t)size);
		if (taken < 0)
			return taken;
		moved += size;
	}
	return size < 0 ? size : moved;
}

static void converse(struct pair *pair)
{
	for (int i = 0; i < 20; i++) {
		ssize_t in = move(pair->client, pair->server.http);
		if (in < 0)
			return;
		server_session_dispatch(&pair->server);
		server_session_expire(&pair->server);
		ssize_t out = move(pair->server.http, pair->client);
		if (out < 0 || in + out == 0)
			return;
	}
}

/* One conversation in which only @allowed allocations succeed. Return: false: not even begun. */
static bool session_run(struct pair *pair, long allowed)
{
	static const struct rpc_server_options options = {
		.streams_max = 8,
		.calls_max = 8,
		.message_bytes_max = 4096,
		.buffered_bytes_max = 65536,
		.deadline_ns = 1000000000,
	};

	memset(pair, 0, sizeof(*pair));
	op_queue_init(&pair->queue);
	op_init(&pair->output, &pair->queue, nothing_run);
	server_core_init(&pair->core, NULL, &options);
	pair->core.services[0].service = &service;
	pair->core.service_count = 1;
	client_open(pair);
	memory.left = allowed;
	bool is_open = server_session_open(&pair->server, &pair->core, &pair->output) == 0;
	if (is_open) {
		pair->server.now_ns = 1;
		converse(pair);
		server_session_close(&pair->server);
	}
	nghttp2_session_del(pair->client);
	memory.left = -1;
	return is_open;
}

static void a_session_gives_back_what_it_took(void **state)
{
	struct pair pair;

	(void)state;
	memory.left = -1;
	assert_true(session_run(&pair, -1));
	assert_int_equal(memory.live, 0);
	assert_int_equal(pair.messages, 1);
	assert_true(pair.is_closed);
	assert_int_equal(pair.core.budget.used, 0);
	assert_int_equal(pair.core.stats.calls_started, 1);
}

static void no_failed_allocation_crashes_or_leaks(void **state)
{
	struct pair pair;

	(void)state;
	memory.count = 0;
	session_run(&pair, -1);
	long needed = memory.count;
	assert_true(needed > 10);
	for (long allowed = 0; allowed < needed; allowed++) {
		session_run(&pair, allowed);
		assert_int_equal(memory.live, 0);
		assert_int_equal(pair.core.budget.used, 0);
		assert_int_equal(pair.core.stats.calls, 0);
		assert_true(pair.core.stats.calls_started <= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_gives_back_what_it_took),
		cmocka_unit_test(no_failed_allocation_crashes_or_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
