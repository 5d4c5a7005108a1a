/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds bytes of a client into a server's session: nothing may crash, leak or answer twice.
 *
 * The first byte says in pieces of which size the rest arrives and whether deadlines pass.
 */
#include "base/assert.h"
#include "rpc/server_session.h"
#include "rpc_test.pb-c.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct fuzz {
	struct rpc_call *kept; /* a call that its handler answers later */
};

static void unary(struct rpc_call *call)
{
	const Mayastor__Rpctest__EchoRequest *request = (const void *)call->request;
	Mayastor__Rpctest__EchoReply reply = MAYASTOR__RPCTEST__ECHO_REPLY__INIT;
	struct fuzz *fuzz = call->user;

	if (request->delay_ms != 0 && fuzz->kept == NULL) {
		fuzz->kept = call;
		return;
	}
	if (request->with_metadata)
		rpc_call_metadata_add(call, "gtm-602", "0");
	if (request->status != 0) {
		rpc_call_fail(call, RPC_NOT_FOUND, "%s", request->text);
		return;
	}
	reply.text = request->text;
	reply.payload = request->payload;
	rpc_call_reply(call, &reply.base);
}

static void stream(struct rpc_call *call)
{
	Mayastor__Rpctest__EchoReply reply = MAYASTOR__RPCTEST__ECHO_REPLY__INIT;

	for (int i = 0; i < 3; i++) {
		if (rpc_call_send(call, &reply.base, NULL) < 0)
			break;
	}
	rpc_call_finish(call);
}

static const struct rpc_method methods[] = {{"Unary", unary}, {"Stream", stream}};
static const struct rpc_service service = {&mayastor__rpctest__echo__descriptor, methods, 2};

static void nothing_run(struct op *op)
{
	(void)op;
}

static void drain(struct server_session *session)
{
	const uint8_t *out;

	while (nghttp2_session_mem_send(session->http, &out) > 0)
		;
}

/* Return: false when the session is over. */
static bool feed(struct server_session *session, const uint8_t *bytes, size_t size)
{
	if (nghttp2_session_mem_recv(session->http, bytes, size) < 0)
		return false;
	server_session_dispatch(session);
	server_session_expire(session);
	drain(session);
	return nghttp2_session_want_read(session->http) != 0;
}

static void converse(struct server_session *session, const uint8_t *bytes, size_t size)
{
	size_t piece = size > 0 ? (bytes[0] & 127u) + 1 : 1;
	bool is_late = size > 0 && (bytes[0] & 128) != 0;

	if (!feed(session, (const uint8_t *)PREFACE, sizeof(PREFACE) - 1))
		return;
	for (size_t at = 1; at < size; at += piece) {
		if (is_late)
			session->now_ns += 4000000000ull;
		if (!feed(session, bytes + at, at + piece > size ? size - at : piece))
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct rpc_server_options options = {
		.connections_max = 1,
		.streams_max = 8,
		.calls_max = 4,
		.message_bytes_max = 4096,
		.buffered_bytes_max = 16384,
		.deadline_ns = 15000000000ull,
	};
	struct server_core core;
	struct server_session session;
	struct fuzz fuzz = {.kept = NULL};
	struct op_queue queue;
	struct op output;

	op_queue_init(&queue);
	op_init(&output, &queue, nothing_run);
	server_core_init(&core, NULL, &options);
	core.services[core.service_count].service = &service;
	core.services[core.service_count++].user = &fuzz;
	if (server_session_open(&session, &core, &output) < 0)
		return 0;
	session.now_ns = 1;
	converse(&session, bytes, size);
	if (fuzz.kept != NULL && (size & 1) != 0) {
		rpc_call_fail(fuzz.kept, RPC_ABORTED, "late");
		fuzz.kept = NULL;
		drain(&session);
	}
	server_session_close(&session);
	if (fuzz.kept != NULL)
		rpc_call_fail(fuzz.kept, RPC_ABORTED, "too late");
	ASSERT(core.stats.calls == 0);
	ASSERT(core.budget.used == 0);
	return 0;
}
