/* SPDX-License-Identifier: Apache-2.0 */
/* server_call.c - a call between its handler and its stream.
 *
 * Invariants:
 *  1. A call and its stream point at each other, or the call is abandoned (stream NULL).
 *  2. Whoever waits for a message to leave is told when it left or when the call is abandoned.
 *  3. A call's memory is freed when its handler ends it, never earlier.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "rpc/server_session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct server_call *call_of(struct rpc_call *call)
{
	return container_of(call, struct server_call, call);
}

void server_call_sent(struct server_call *call)
{
	struct op *parent = call->send_parent;

	call->send_parent = NULL;
	op_done(parent);
}

void server_call_abandon(struct server_call *call)
{
	ASSERT(call->stream != NULL && call->stream->call == call);
	call->stream->call = NULL;
	call->stream = NULL;
	server_call_sent(call);
}

static void refuse(struct server_stream *stream, enum rpc_status status, const char *text)
{
	stream->session->core->stats.calls_refused++;
	server_stream_end(stream, status, text);
}

void server_call_start(struct server_stream *stream)
{
	struct server_core *core = stream->session->core;
	ProtobufCMessage *request = NULL;

	ASSERT(stream->state == STREAM_READY && stream->call == NULL);
	if (core->stats.calls >= core->options.calls_max) {
		refuse(stream, RPC_RESOURCE_EXHAUSTED,
		       "too many calls are in progress; try again later");
		return;
	}
	int rc = rpc_message_unpack(stream->types->input, stream->assembler.message,
				    stream->assembler.received, &request);
	rpc_assembler_free(&stream->assembler);
	if (rc == -ENOMEM) {
		refuse(stream, RPC_RESOURCE_EXHAUSTED, "no memory for a request of this size");
		return;
	}
	if (rc < 0) {
		char text[ERROR_TEXT_BYTES];

		snprintf(text, sizeof(text), "the request of %s is no valid %s", stream->path,
			 stream->types->input->name);
		refuse(stream, RPC_INTERNAL, text);
		return;
	}
	struct server_call *call = memory_alloc(sizeof(*call));
	if (call == NULL) {
		rpc_message_free(request);
		refuse(stream, RPC_RESOURCE_EXHAUSTED, "no memory for another call");
		return;
	}
	call->core = core;
	call->stream = stream;
	memcpy(call->method, stream->path, sizeof(call->method));
	call->call = (struct rpc_call){
		.request = request,
		.user = stream->user,
		.server = core->server,
		.method = call->method,
		.deadline_ns = stream->deadline_ns,
	};
	stream->call = call;
	stream->state = STREAM_HANDLED;
	core->stats.calls++;
	core->stats.calls_started++;
	stream->method->handle(&call->call);
}

/* The handler is done with the call. */
static void call_free(struct server_call *call)
{
	struct server_core *core = call->core;

	ASSERT(call->stream == NULL && call->send_parent == NULL);
	ASSERT(core->stats.calls > 0);
	rpc_message_free((ProtobufCMessage *)(uintptr_t)call->call.request);
	memory_free(call);
	core->stats.calls--;
	if (core->stats.calls == 0 && core->idle_waiter != NULL) {
		struct op *waiter = core->idle_waiter;

		core->idle_waiter = NULL;
		op_done(waiter);
	}
}

static void call_end(struct server_call *call, enum rpc_status status, const char *text)
{
	struct server_stream *stream = call->stream;

	/* Nobody may be waiting in rpc_call_send() for a call that is over. */
	ASSERT(call->send_parent == NULL);
	if (stream == NULL) {
		call->core->stats.answers_dropped++;
	} else {
		ASSERT(stream->state == STREAM_HANDLED);
		server_call_abandon(call);
		server_stream_end(stream, status, text);
	}
	call_free(call);
}

void rpc_call_reply(struct rpc_call *public_call, const ProtobufCMessage *response)
{
	struct server_call *call = call_of(public_call);
	struct server_stream *stream = call->stream;
	char text[ERROR_TEXT_BYTES];

	ASSERT(response != NULL);
	ASSERT(stream == NULL || response->descriptor == stream->types->output);
	if (stream == NULL) {
		call_end(call, RPC_CANCELLED, "");
		return;
	}
	int rc = rpc_bytes_append(&stream->out, response, call->core->options.message_bytes_max);
	if (rc == 0) {
		call_end(call, RPC_OK, "");
		return;
	}
	snprintf(text, sizeof(text),
		 rc == -EMSGSIZE ? "the answer is larger than %u bytes; ask for less"
				 : "no memory for the answer (limit %u bytes); try again later",
		 call->core->options.message_bytes_max);
	call_end(call, RPC_RESOURCE_EXHAUSTED, text);
}

void rpc_call_fail(struct rpc_call *public_call, enum rpc_status status, const char *format, ...)
{
	char text[ERROR_TEXT_BYTES];
	va_list arguments;

	ASSERT(status != RPC_OK && (unsigned)status < RPC_STATUS_COUNT);
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	call_end(call_of(public_call), status, text);
}

void rpc_call_finish(struct rpc_call *public_call)
{
	call_end(call_of(public_call), RPC_OK, "");
}

void rpc_call_metadata_add(struct rpc_call *public_call, const char *name, const char *value)
{
	struct server_stream *stream = call_of(public_call)->stream;

	ASSERT(strlen(name) < RPC_METADATA_NAME_BYTES_MAX);
	ASSERT(strlen(value) < RPC_METADATA_BYTES_MAX);
	ASSERT(strncmp(name, "grpc-", 5) != 0);
	if (stream == NULL)
		return;
	ASSERT(stream->metadata_count < RPC_CALL_METADATA_MAX);
	struct server_metadata *entry = &stream->metadata[stream->metadata_count++];
	memcpy(entry->name, name, strlen(name) + 1);
	memcpy(entry->value, value, strlen(value) + 1);
}

int rpc_call_send(struct rpc_call *public_call, const ProtobufCMessage *message, struct op *parent)
{
	struct server_call *call = call_of(public_call);
	struct server_stream *stream = call->stream;

	ASSERT(call->send_parent == NULL);
	if (stream == NULL) {
		op_done(parent);
		return -EPIPE;
	}
	ASSERT(stream->state == STREAM_HANDLED);
	ASSERT(message->descriptor == stream->types->output);
	uint32_t message_bytes_max = call->core->options.message_bytes_max;
	if (rpc_bytes_left(&stream->out) > message_bytes_max ||
	    rpc_bytes_append(&stream->out, message, message_bytes_max) < 0) {
		op_done(parent);
		return -ENOBUFS;
	}
	call->send_parent = parent;
	server_stream_answer(stream);
	return 0;
}

bool rpc_call_is_abandoned(const struct rpc_call *call)
{
	return container_of(call, const struct server_call, call)->stream == NULL;
}
