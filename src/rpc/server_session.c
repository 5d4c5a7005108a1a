/* SPDX-License-Identifier: Apache-2.0 */
/* server_session.c - requests as they come in on one HTTP/2 connection.
 *
 *	begin_headers  -> STREAM_HEADERS   a stream is made
 *	headers whole  -> STREAM_BODY      or an early answer: 405, 415, UNIMPLEMENTED, ...
 *	body whole     -> STREAM_READY     queued for dispatch
 *	dispatch       -> STREAM_HANDLED   outside of nghttp2, so handlers may do anything
 *	answered       -> STREAM_ENDED     by handler, deadline or error
 *
 * Invariants:
 *  1. A stream is in @streams from begin_headers to stream_close, and never longer.
 *  2. A stream is in @ready exactly while it is STREAM_READY.
 *  3. Nothing that a client sends makes a handler run twice or after its stream was answered.
 */
#include "rpc/server_session.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WINDOW_STREAM_BYTES	(1 << 20)
#define WINDOW_CONNECTION_BYTES (4 << 20)

void server_core_init(struct server_core *core, struct rpc_server *server,
		      const struct rpc_server_options *options)
{
	*core = (struct server_core){
		.server = server,
		.options = *options,
		.budget = {.max = options->buffered_bytes_max},
	};
}

static void refuse(struct server_stream *stream, enum rpc_status status, const char *text)
{
	stream->session->core->stats.calls_refused++;
	server_stream_end(stream, status, text);
}

/* Finds handler and types of "/package.Service/Method"; tells in @ret_text what is missing. */
static bool method_find(struct server_stream *stream, char ret_text[ERROR_TEXT_BYTES])
{
	const struct server_core *core = stream->session->core;
	const char *path = stream->path;
	const char *slash = path[0] == '/' ? strchr(path + 1, '/') : NULL;
	size_t service_bytes = slash != NULL ? (size_t)(slash - path - 1) : 0;

	snprintf(ret_text, ERROR_TEXT_BYTES, "no such service: %s", path);
	for (uint32_t i = 0; slash != NULL && i < core->service_count; i++) {
		const struct rpc_service *service = core->services[i].service;
		const char *name = service->descriptor->name;

		if (strlen(name) != service_bytes || memcmp(name, path + 1, service_bytes) != 0)
			continue;
		snprintf(ret_text, ERROR_TEXT_BYTES, "not supported: %s", path);
		for (uint32_t m = 0; m < service->method_count; m++) {
			if (strcmp(service->methods[m].name, slash + 1) != 0)
				continue;
			stream->method = &service->methods[m];
			stream->types = protobuf_c_service_descriptor_get_method_by_name(
				service->descriptor, slash + 1);
			stream->user = core->services[i].user;
			ASSERT(stream->types != NULL);
			return true;
		}
		return false;
	}
	return false;
}

/* All headers are in: is this a call that we serve? */
static void headers_judge(struct server_stream *stream)
{
	struct server_session *session = stream->session;
	char text[ERROR_TEXT_BYTES];

	ASSERT(stream->state == STREAM_HEADERS);
	uint64_t timeout_ns =
		stream->timeout_ns != 0 ? stream->timeout_ns : session->core->options.deadline_ns;
	stream->deadline_ns = session->now_ns + timeout_ns;
	if (!stream->is_post) {
		session->core->stats.calls_refused++;
		server_stream_refuse(stream, "405");
	} else if (!stream->is_grpc) {
		session->core->stats.calls_refused++;
		server_stream_refuse(stream, "415");
	} else if (stream->header_bytes > RPC_HEADER_BYTES_MAX) {
		refuse(stream, RPC_RESOURCE_EXHAUSTED, "the request's headers are too large");
	} else if (stream->is_timeout_bad) {
		refuse(stream, RPC_INTERNAL, "grpc-timeout is not one to eight digits and a unit");
	} else if (stream->is_path_cut) {
		refuse(stream, RPC_UNIMPLEMENTED, "no service has a path of that length");
	} else if (!method_find(stream, text)) {
		refuse(stream, RPC_UNIMPLEMENTED, text);
	} else {
		stream->state = STREAM_BODY;
	}
}

/* The client has said all. */
static void request_judge(struct server_stream *stream)
{
	if (stream->state != STREAM_BODY)
		return;
	if (!rpc_assembler_is_complete(&stream->assembler)) {
		refuse(stream, RPC_INTERNAL, "the request has no whole message");
		return;
	}
	stream->state = STREAM_READY;
	list_push_back(&stream->session->ready, &stream->ready_link);
}

static int begin_headers(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
	struct server_session *session = user;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct server_stream *stream = memory_alloc(sizeof(*stream));
	if (stream == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	stream->session = session;
	stream->id = frame->hd.stream_id;
	stream->deadline_ns = session->now_ns + session->core->options.deadline_ns;
	list_init(&stream->link);
	list_init(&stream->ready_link);
	rpc_assembler_init(&stream->assembler, &session->core->budget,
			   session->core->options.message_bytes_max);
	rpc_bytes_init(&stream->out, &session->core->budget);
	if (nghttp2_session_set_stream_user_data(http, stream->id, stream) != 0) {
		memory_free(stream);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	list_push_back(&session->streams, &stream->link);
	session->stream_count++;
	return 0;
}

static bool text_is(const uint8_t *text, size_t size_bytes, const char *expected)
{
	return size_bytes == strlen(expected) && memcmp(text, expected, size_bytes) == 0;
}

static int header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
		  size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
		  void *user)
{
	struct server_stream *stream =
		nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);

	(void)flags;
	(void)user;
	if (stream == NULL || stream->state != STREAM_HEADERS)
		return 0; /* trailers of a request say nothing that we use */
	if (name_bytes + value_bytes > UINT32_MAX / 2 - stream->header_bytes)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	stream->header_bytes += (uint32_t)(name_bytes + value_bytes);
	if (text_is(name, name_bytes, ":method")) {
		stream->is_post = text_is(value, value_bytes, "POST");
	} else if (text_is(name, name_bytes, ":path")) {
		stream->is_path_cut = value_bytes >= sizeof(stream->path);
		if (!stream->is_path_cut)
			memcpy(stream->path, value, value_bytes);
	} else if (text_is(name, name_bytes, "content-type")) {
		stream->is_grpc = rpc_content_type_is_grpc((const char *)value, value_bytes);
	} else if (text_is(name, name_bytes, "grpc-timeout")) {
		stream->is_timeout_bad =
			!rpc_timeout_parse((const char *)value, value_bytes, &stream->timeout_ns);
		if (stream->timeout_ns == 0)
			stream->timeout_ns = 1;
	} else if (text_is(name, name_bytes, "grpc-encoding")) {
		stream->has_encoding = !text_is(value, value_bytes, "identity");
	}
	return 0;
}

/*
 * A client may cancel calls, but one that opens and cancels without end only costs us work
 * (the "rapid reset" attack, CVE-2023-44487).
 */
static void reset_count(struct server_session *session)
{
	if (session->now_ns - session->resets_since_ns > RPC_RESETS_NS) {
		session->resets_since_ns = session->now_ns;
		session->resets = 0;
	}
	session->resets++;
	if (session->resets == RPC_RESETS_MAX)
		nghttp2_session_terminate_session(session->http, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int frame_received(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
	struct server_session *session = user;
	struct server_stream *stream =
		nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_SETTINGS)
		session->is_client_heard = true;
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		reset_count(session);
	if (stream == NULL)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && stream->state == STREAM_HEADERS)
		headers_judge(stream);
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
		request_judge(stream);
	return 0;
}

static int data_received(nghttp2_session *http, uint8_t flags, int32_t stream_id,
			 const uint8_t *bytes, size_t size_bytes, void *user)
{
	struct server_stream *stream = nghttp2_session_get_stream_user_data(http, stream_id);
	char text[ERROR_TEXT_BYTES];

	(void)flags;
	(void)user;
	if (stream == NULL || stream->state != STREAM_BODY)
		return 0; /* was answered already */
	switch (rpc_assembler_feed(&stream->assembler, bytes, size_bytes)) {
	case RPC_ASSEMBLY_MORE:
	case RPC_ASSEMBLY_COMPLETE:
		break;
	case RPC_ASSEMBLY_SECOND:
		refuse(stream, RPC_INTERNAL, "more than one message in a call that takes one");
		break;
	case RPC_ASSEMBLY_COMPRESSED:
		/* gRPC "Compression": without a grpc-encoding the flag itself is the error. */
		if (stream->has_encoding)
			refuse(stream, RPC_UNIMPLEMENTED,
			       "not supported: compressed messages; send them uncompressed");
		else
			refuse(stream, RPC_INTERNAL,
			       "compressed flag set, but grpc-encoding names no compression");
		break;
	case RPC_ASSEMBLY_BAD_FLAG:
		refuse(stream, RPC_INTERNAL, "a message begins with an undefined flag");
		break;
	case RPC_ASSEMBLY_TOO_LARGE:
		snprintf(text, sizeof(text), "the request is larger than %u bytes",
			 stream->assembler.message_bytes_max);
		refuse(stream, RPC_RESOURCE_EXHAUSTED, text);
		break;
	case RPC_ASSEMBLY_NO_MEMORY:
		refuse(stream, RPC_RESOURCE_EXHAUSTED,
		       "too many bytes of requests and answers are held; try again later");
		break;
	}
	return 0;
}

/* An answer that ends before its request: tell the client to stop sending (RFC 9113, 8.1). */
static int frame_sent(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
	(void)user;
	if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	if (nghttp2_session_get_stream_remote_close(http, frame->hd.stream_id) == 0) {
		int rc = nghttp2_submit_rst_stream(http, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
						   NGHTTP2_NO_ERROR);

		COUNT_IF(rc != 0, "rpc_reset_not_submitted");
	}
	return 0;
}

static void stream_free(struct server_stream *stream)
{
	ASSERT(stream->session->stream_count > 0);
	if (stream->call != NULL)
		server_call_abandon(stream->call);
	list_remove(&stream->ready_link);
	list_remove(&stream->link);
	stream->session->stream_count--;
	rpc_assembler_free(&stream->assembler);
	rpc_bytes_free(&stream->out);
	memory_free(stream);
}

static int stream_closed(nghttp2_session *http, int32_t stream_id, uint32_t http_error, void *user)
{
	struct server_stream *stream = nghttp2_session_get_stream_user_data(http, stream_id);

	(void)http_error;
	(void)user;
	if (stream != NULL)
		stream_free(stream);
	return 0;
}

static int callbacks_create(nghttp2_session_callbacks **ret_callbacks)
{
	nghttp2_session_callbacks *callbacks;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_received);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
	*ret_callbacks = callbacks;
	return 0;
}

/* What we tell the client at the start. */
static int settings_submit(struct server_session *session)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, session->core->options.streams_max},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM_BYTES},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, RPC_HEADER_BYTES_MAX},
	};

	if (nghttp2_submit_settings(session->http, NGHTTP2_FLAG_NONE, settings,
				    sizeof(settings) / sizeof(settings[0])) != 0)
		return -ENOMEM;
	if (nghttp2_session_set_local_window_size(session->http, NGHTTP2_FLAG_NONE, 0,
						  WINDOW_CONNECTION_BYTES) != 0)
		return -ENOMEM;
	return 0;
}

int server_session_open(struct server_session *session, struct server_core *core, struct op *output)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_mem memory;

	*session = (struct server_session){.core = core, .output = output};
	list_init(&session->streams);
	list_init(&session->ready);
	int rc = callbacks_create(&callbacks);
	if (rc < 0)
		return rc;
	rpc_nghttp2_memory(&memory);
	int made = nghttp2_session_server_new3(&session->http, callbacks, session, NULL, &memory);
	nghttp2_session_callbacks_del(callbacks);
	if (made != 0)
		return -ENOMEM;
	rc = settings_submit(session);
	if (rc < 0) {
		nghttp2_session_del(session->http);
		session->http = NULL;
	}
	return rc;
}

void server_session_close(struct server_session *session)
{
	ASSERT(session->http != NULL);
	/* nghttp2 does not report the streams that it frees with the session. */
	list_for_each (node, &session->streams)
		stream_free(list_entry(node, struct server_stream, link));
	ASSERT(session->stream_count == 0 && list_is_empty(&session->ready));
	nghttp2_session_del(session->http);
	session->http = NULL;
}

void server_session_dispatch(struct server_session *session)
{
	struct list_node *node;

	while ((node = list_pop_front(&session->ready)) != NULL)
		server_call_start(list_entry(node, struct server_stream, ready_link));
}

/* The client did not fetch its answer: let go of it. */
static void stream_drop(struct server_stream *stream)
{
	ASSERT(stream->state == STREAM_ENDED && stream->call == NULL);
	stream->deadline_ns = UINT64_MAX;
	int rc = nghttp2_submit_rst_stream(stream->session->http, NGHTTP2_FLAG_NONE, stream->id,
					   NGHTTP2_CANCEL);
	COUNT_IF(rc != 0, "rpc_idle_reset_not_submitted");
}

void server_session_expire(struct server_session *session)
{
	list_for_each (node, &session->streams) {
		struct server_stream *stream = list_entry(node, struct server_stream, link);

		if (stream->deadline_ns == STREAM_DEADLINE_UNSET)
			stream->deadline_ns = session->now_ns + RPC_LINGER_NS;
		if (stream->deadline_ns > session->now_ns)
			continue;
		if (stream->state == STREAM_ENDED) {
			stream_drop(stream);
			continue;
		}
		session->core->stats.deadlines_exceeded++;
		if (stream->call != NULL)
			server_call_abandon(stream->call);
		server_stream_end(stream, RPC_DEADLINE_EXCEEDED,
				  "the deadline is over; what was started goes on");
	}
}

uint64_t server_session_deadline(const struct server_session *session)
{
	uint64_t deadline_ns = UINT64_MAX;

	list_for_each (node, &session->streams) {
		const struct server_stream *stream = list_entry(node, struct server_stream, link);

		if (stream->deadline_ns != STREAM_DEADLINE_UNSET &&
		    stream->deadline_ns < deadline_ns)
			deadline_ns = stream->deadline_ns;
	}
	return deadline_ns;
}
