/* SPDX-License-Identifier: Apache-2.0 */
/* client_session.c - requests out, responses in, on one HTTP/2 connection.
 *
 * Invariants:
 *  1. A stream is in @streams from submit_request to stream_close.
 *  2. A call ends inside stream_closed() with what the server said, unless it was given up.
 *  3. A request is sent again only when the server said that it never looked at it
 *     (RFC 9113, 8.7: REFUSED_STREAM, or above the last id of a GOAWAY).
 */
#include "rpc/client_session.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WINDOW_STREAM_BYTES	(1 << 20)
#define WINDOW_CONNECTION_BYTES (4 << 20)
#define REQUEST_HEADERS_MAX	(8 + RPC_CLIENT_METADATA_MAX)

static struct rpc_client_stream *stream_of(nghttp2_session *http, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(http, stream_id);
}

static bool text_is(const uint8_t *text, size_t size_bytes, const char *expected)
{
	return size_bytes == strlen(expected) && memcmp(text, expected, size_bytes) == 0;
}

/* Keeps a name and value that we do not know, as far as there is room. */
static void metadata_keep(struct rpc_client_stream *stream, const nghttp2_vec *name,
			  const nghttp2_vec *value)
{
	struct rpc_client_call *call = stream->call;
	size_t size = name->len + value->len + 2;

	if (call->received_count == RPC_CLIENT_METADATA_MAX ||
	    size > sizeof(call->received_text) - stream->text_used)
		return;
	char *at = call->received_text + stream->text_used;
	memcpy(at, name->base, name->len);
	at[name->len] = '\0';
	memcpy(at + name->len + 1, value->base, value->len);
	at[name->len + 1 + value->len] = '\0';
	call->received[call->received_count++] = (struct rpc_metadata){at, at + name->len + 1};
	stream->text_used += size;
}

static uint32_t http_status_of(const uint8_t *text, size_t size_bytes)
{
	uint32_t value = 0;

	for (size_t i = 0; i < size_bytes && i < 3; i++)
		value = value * 10 + (uint32_t)(text[i] - '0');
	return value;
}

static void status_keep(struct rpc_client_stream *stream, const uint8_t *value, size_t value_bytes)
{
	char text[8] = "";

	if (value_bytes < sizeof(text))
		memcpy(text, value, value_bytes);
	stream->call->status = rpc_status_of_number(text);
	stream->has_status = true;
}

static int header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
		  size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
		  void *user)
{
	struct rpc_client_stream *stream = stream_of(http, frame->hd.stream_id);

	(void)flags;
	(void)user;
	if (stream == NULL || stream->call == NULL)
		return 0;
	if (text_is(name, name_bytes, ":status")) {
		stream->http_status = http_status_of(value, value_bytes);
	} else if (text_is(name, name_bytes, "content-type")) {
		stream->is_grpc = rpc_content_type_is_grpc((const char *)value, value_bytes);
	} else if (text_is(name, name_bytes, "grpc-status")) {
		status_keep(stream, value, value_bytes);
	} else if (text_is(name, name_bytes, "grpc-message")) {
		rpc_percent_decode((const char *)value, value_bytes, stream->call->text,
				   sizeof(stream->call->text));
	} else if (name_bytes > 0 && name[0] != ':' &&
		   (name_bytes < 5 || memcmp(name, "grpc-", 5) != 0)) {
		metadata_keep(stream, &(nghttp2_vec){(uint8_t *)(uintptr_t)name, name_bytes},
			      &(nghttp2_vec){(uint8_t *)(uintptr_t)value, value_bytes});
	}
	return 0;
}

static int data_received(nghttp2_session *http, uint8_t flags, int32_t stream_id,
			 const uint8_t *bytes, size_t size_bytes, void *user)
{
	struct rpc_client_stream *stream = stream_of(http, stream_id);

	(void)flags;
	(void)user;
	if (stream == NULL || stream->call == NULL || !stream->is_grpc)
		return 0;
	if (stream->assembly != RPC_ASSEMBLY_MORE && stream->assembly != RPC_ASSEMBLY_COMPLETE)
		return 0;
	stream->assembly = rpc_assembler_feed(&stream->response, bytes, size_bytes);
	switch (stream->assembly) {
	case RPC_ASSEMBLY_MORE:
	case RPC_ASSEMBLY_COMPLETE:
		break;
	case RPC_ASSEMBLY_SECOND:
		client_call_end(stream->call, RPC_INTERNAL,
				"the server sent more than one message");
		break;
	case RPC_ASSEMBLY_COMPRESSED:
	case RPC_ASSEMBLY_BAD_FLAG:
		client_call_end(stream->call, RPC_INTERNAL,
				"the server sent a message that is compressed or malformed");
		break;
	case RPC_ASSEMBLY_TOO_LARGE:
	case RPC_ASSEMBLY_NO_MEMORY:
		client_call_end(stream->call, RPC_RESOURCE_EXHAUSTED,
				"the server's answer is too large");
		break;
	}
	return 0;
}

static int frame_received(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
	struct client_session *session = user;

	(void)http;
	if (frame->hd.type == NGHTTP2_SETTINGS)
		session->is_server_heard = true;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		session->is_leaving = true;
	return 0;
}

static int frame_sent(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
	struct rpc_client_stream *stream = stream_of(http, frame->hd.stream_id);

	(void)user;
	if (frame->hd.type == NGHTTP2_HEADERS && stream != NULL)
		stream->is_sent = true;
	return 0;
}

/* gRPC "PROTOCOL-HTTP2", errors: what a reset without a status means. */
static enum rpc_status status_of_reset(uint32_t http_error)
{
	switch (http_error) {
	case NGHTTP2_REFUSED_STREAM:
		return RPC_UNAVAILABLE;
	case NGHTTP2_CANCEL:
		return RPC_CANCELLED;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return RPC_RESOURCE_EXHAUSTED;
	case NGHTTP2_INADEQUATE_SECURITY:
		return RPC_PERMISSION_DENIED;
	default:
		return RPC_INTERNAL;
	}
}

/* The server ended the stream with a grpc-status of OK. */
static void call_succeed(struct rpc_client_stream *stream)
{
	struct rpc_client_call *call = stream->call;
	ProtobufCMessage *response = NULL;

	if (!rpc_assembler_is_complete(&stream->response)) {
		client_call_end(call, RPC_INTERNAL, "the server answered OK without a message");
		return;
	}
	int rc = rpc_message_unpack(call->response_type, stream->response.message,
				    stream->response.received, &response);
	if (rc < 0) {
		client_call_end(call, RPC_INTERNAL, "the server's answer is no valid message");
		return;
	}
	call->response = response;
	client_call_end(call, RPC_OK, "");
}

static void call_judge(struct rpc_client_stream *stream, uint32_t http_error)
{
	struct rpc_client_call *call = stream->call;
	char text[ERROR_TEXT_BYTES];

	if (stream->has_status && call->status == RPC_OK) {
		call_succeed(stream);
	} else if (stream->has_status) {
		client_call_end(call, call->status, call->text);
	} else if (stream->http_status != 0 && stream->http_status != 200) {
		snprintf(text, sizeof(text), "the server answered with HTTP status %u",
			 stream->http_status);
		client_call_end(call, rpc_status_of_http(stream->http_status), text);
	} else if (stream->http_status == 200 && !stream->is_grpc) {
		client_call_end(call, RPC_UNKNOWN, "the server's answer is not gRPC");
	} else {
		snprintf(text, sizeof(text), "the server ended the call without a status: %s",
			 nghttp2_http2_strerror(http_error));
		client_call_end(call, status_of_reset(http_error), text);
	}
}

/* Puts the call where its owner finds it to send it once more. */
static void call_repeat(struct rpc_client_stream *stream)
{
	ASSERT(stream->session == NULL);
	stream->repeats++;
	stream->request_sent = 0;
	stream->is_sent = false;
	stream->id = 0;
}

static bool is_repeatable(const struct rpc_client_stream *stream, uint32_t http_error)
{
	return (http_error == NGHTTP2_REFUSED_STREAM || !stream->is_sent) &&
	       stream->http_status == 0 && stream->repeats < RPC_CLIENT_REPEATS_MAX;
}

static void stream_leave(struct rpc_client_stream *stream)
{
	ASSERT(stream->session->stream_count > 0);
	stream->session->stream_count--;
	list_remove(&stream->link);
	stream->session = NULL;
}

static int stream_closed(nghttp2_session *http, int32_t stream_id, uint32_t http_error, void *user)
{
	struct client_session *session = user;
	struct rpc_client_stream *stream = stream_of(http, stream_id);

	if (stream == NULL)
		return 0;
	stream_leave(stream);
	session->answer_count += stream->has_status;
	if (stream->call == NULL) {
		client_stream_free(stream);
	} else if (is_repeatable(stream, http_error)) {
		call_repeat(stream);
		list_push_back(&session->repeats, &stream->call->link);
	} else {
		call_judge(stream, http_error);
	}
	return 0;
}

/* nghttp2 draws the request's body. */
static ssize_t body_read(nghttp2_session *http, int32_t stream_id, uint8_t *bytes, size_t size,
			 uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct rpc_client_stream *stream = source->ptr;
	size_t left = stream->request.size - stream->request_sent;

	(void)http;
	(void)stream_id;
	(void)user;
	if (size > left)
		size = left;
	memcpy(bytes, stream->request.bytes + stream->request_sent, size);
	stream->request_sent += size;
	ASSERT(stream->request_sent <= stream->request.size);
	if (stream->request_sent == stream->request.size)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)size;
}

struct header_block {
	nghttp2_nv fields[REQUEST_HEADERS_MAX];
	size_t count;
};

static void header_add(struct header_block *block, const char *name, const char *value)
{
	ASSERT(block->count < REQUEST_HEADERS_MAX);
	block->fields[block->count++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

int client_session_send(struct client_session *session, struct rpc_client_call *call,
			uint64_t timeout_ns)
{
	struct rpc_client_stream *stream = call->stream;
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = body_read};
	struct header_block block = {.count = 0};
	char timeout[RPC_TIMEOUT_TEXT_BYTES];

	ASSERT(stream->session == NULL && list_is_empty(&stream->link));
	if (session->stream_count >= RPC_CLIENT_STREAMS_MAX) {
		session->is_leaving = true; /* the server does not even close what was given up */
		return -EAGAIN;
	}
	rpc_timeout_format(timeout_ns, timeout);
	header_add(&block, ":method", "POST");
	header_add(&block, ":scheme", "http");
	header_add(&block, ":path", call->method);
	header_add(&block, ":authority", session->authority);
	header_add(&block, "te", "trailers");
	header_add(&block, "content-type", "application/grpc");
	header_add(&block, "user-agent", "mayastor-c");
	header_add(&block, "grpc-timeout", timeout);
	for (uint32_t i = 0; i < stream->metadata_count; i++)
		header_add(&block, stream->metadata[i].name, stream->metadata[i].value);
	int32_t id = nghttp2_submit_request(session->http, NULL, block.fields, block.count,
					    &provider, stream);
	if (id < 0) {
		/* Stream ids are used up, or there is no memory: the next connection has both. */
		session->is_leaving = true;
		return -EAGAIN;
	}
	stream->id = id;
	stream->session = session;
	list_push_back(&session->streams, &stream->link);
	session->stream_count++;
	return 0;
}

static int http_create(struct client_session *session)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_mem memory;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_sent);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_received);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
	rpc_nghttp2_memory(&memory);
	int rc = nghttp2_session_client_new3(&session->http, callbacks, session, NULL, &memory);
	nghttp2_session_callbacks_del(callbacks);
	return rc == 0 ? 0 : -ENOMEM;
}

int client_session_open(struct client_session *session, const char *authority)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM_BYTES},
	};

	*session = (struct client_session){.authority = authority};
	list_init(&session->streams);
	list_init(&session->repeats);
	int rc = http_create(session);
	if (rc < 0)
		return rc;
	if (nghttp2_submit_settings(session->http, NGHTTP2_FLAG_NONE, settings, 2) != 0 ||
	    nghttp2_session_set_local_window_size(session->http, NGHTTP2_FLAG_NONE, 0,
						  WINDOW_CONNECTION_BYTES) != 0) {
		nghttp2_session_del(session->http);
		session->http = NULL;
		return -ENOMEM;
	}
	return 0;
}

void client_session_close(struct client_session *session, enum rpc_status status, const char *text)
{
	ASSERT(session->http != NULL && list_is_empty(&session->repeats));
	nghttp2_session_del(session->http);
	session->http = NULL;
	list_for_each (node, &session->streams) {
		struct rpc_client_stream *stream = list_entry(node, struct rpc_client_stream, link);

		stream_leave(stream);
		if (stream->call == NULL)
			client_stream_free(stream);
		else
			client_call_end(stream->call, status, text);
	}
	ASSERT(session->stream_count == 0);
}

bool client_session_has_calls(const struct client_session *session)
{
	list_for_each (node, &session->streams) {
		if (list_entry(node, struct rpc_client_stream, link)->call != NULL)
			return true;
	}
	return false;
}
