/* SPDX-License-Identifier: Apache-2.0 */
/* server_stream.c - the answer's way out: headers, framed messages, trailers.
 *
 * gRPC "PROTOCOL-HTTP2": a response is headers, messages and trailers; one without messages may
 * be a single block of headers that ends the stream ("Trailers-Only").
 *
 * Invariants:
 *  1. A stream is ended once (STREAM_ENDED), and by one grpc-status.
 *  2. Trailers are submitted only after the last byte of @out was drawn.
 *  3. A stream that is deferred has an empty @out.
 */
#include "rpc/server_session.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_HEADERS_MAX (5 + RPC_CALL_METADATA_MAX)

struct header_block {
	nghttp2_nv fields[ANSWER_HEADERS_MAX];
	size_t count;
};

/* nghttp2 copies both texts when the block is submitted. */
static void header_add(struct header_block *block, const char *name, const char *value)
{
	ASSERT(block->count < ANSWER_HEADERS_MAX);
	block->fields[block->count++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

/* Texts that a trailer block points to until it is submitted. */
struct trailer_texts {
	char status[8];
	char message[RPC_PERCENT_BYTES(ERROR_TEXT_BYTES)];
};

static void trailers_add(struct header_block *block, const struct server_stream *stream,
			 struct trailer_texts *texts)
{
	ASSERT(stream->state == STREAM_ENDED);
	snprintf(texts->status, sizeof(texts->status), "%u", (unsigned)stream->status);
	header_add(block, "grpc-status", texts->status);
	if (stream->text[0] != '\0') {
		rpc_percent_encode(stream->text, texts->message, sizeof(texts->message));
		header_add(block, "grpc-message", texts->message);
	}
	for (uint32_t i = 0; i < stream->metadata_count; i++)
		header_add(block, stream->metadata[i].name, stream->metadata[i].value);
}

/* nghttp2 has no memory or the stream is going down: the client sees a reset, of the stream if
 * there is memory for that, else of the connection. */
static void stream_reset(struct server_stream *stream, uint32_t http_error)
{
	int rc = nghttp2_submit_rst_stream(stream->session->http, NGHTTP2_FLAG_NONE, stream->id,
					   http_error);

	COUNT_IF(rc != 0, "rpc_stream_reset_not_submitted");
	if (rc == 0)
		return;
	stream->session->is_broken = true;
	op_wake(stream->session->output);
}

static void trailers_submit(struct server_stream *stream)
{
	struct header_block block = {.count = 0};
	struct trailer_texts texts;

	ASSERT(rpc_bytes_left(&stream->out) == 0);
	trailers_add(&block, stream, &texts);
	if (nghttp2_submit_trailer(stream->session->http, stream->id, block.fields, block.count) !=
	    0)
		stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
}

/* nghttp2 draws the body. Called from inside nghttp2: wakes ops, enters no handler. */
static ssize_t body_read(nghttp2_session *http, int32_t stream_id, uint8_t *bytes, size_t size,
			 uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct server_stream *stream = source->ptr;

	(void)http;
	(void)user;
	ASSERT(stream->id == stream_id);
	size_t count = rpc_bytes_read(&stream->out, bytes, size);
	if (rpc_bytes_left(&stream->out) > 0)
		return (ssize_t)count;
	if (stream->call != NULL)
		server_call_sent(stream->call);
	if (stream->state == STREAM_ENDED) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		trailers_submit(stream);
		return (ssize_t)count;
	}
	if (count > 0)
		return (ssize_t)count;
	stream->is_deferred = true;
	return NGHTTP2_ERR_DEFERRED;
}

/* The one block of an answer without messages. */
static int trailers_only_submit(struct server_stream *stream)
{
	struct header_block block = {.count = 0};
	struct trailer_texts texts;

	header_add(&block, ":status", "200");
	header_add(&block, "content-type", "application/grpc");
	if (stream->status == RPC_UNIMPLEMENTED && stream->has_encoding)
		header_add(&block, "grpc-accept-encoding", "identity");
	trailers_add(&block, stream, &texts);
	return nghttp2_submit_response(stream->session->http, stream->id, block.fields, block.count,
				       NULL);
}

static int headers_submit(struct server_stream *stream)
{
	struct header_block block = {.count = 0};
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = body_read};

	header_add(&block, ":status", "200");
	header_add(&block, "content-type", "application/grpc");
	return nghttp2_submit_response(stream->session->http, stream->id, block.fields, block.count,
				       &provider);
}

void server_stream_answer(struct server_stream *stream)
{
	int rc = 0;

	if (stream->is_answering) {
		if (stream->is_deferred) {
			stream->is_deferred = false;
			rc = nghttp2_session_resume_data(stream->session->http, stream->id);
		}
	} else if (stream->state == STREAM_ENDED && rpc_bytes_left(&stream->out) == 0) {
		stream->is_answering = true;
		rc = trailers_only_submit(stream);
	} else {
		stream->is_answering = true;
		rc = headers_submit(stream);
	}
	if (rc != 0)
		stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
	op_wake(stream->session->output);
}

/*
 * From here on the deadline is the time by which the client must have fetched its answer; it is
 * set by server_session_expire(), for the session's clock stands still while handlers work.
 */
static void stream_mark_ended(struct server_stream *stream)
{
	ASSERT(stream->state != STREAM_ENDED);
	list_remove(&stream->ready_link);
	rpc_assembler_free(&stream->assembler);
	stream->state = STREAM_ENDED;
	stream->deadline_ns = STREAM_DEADLINE_UNSET;
}

void server_stream_end(struct server_stream *stream, enum rpc_status status, const char *text)
{
	stream_mark_ended(stream);
	stream->status = status;
	snprintf(stream->text, sizeof(stream->text), "%s", text);
	server_stream_answer(stream);
}

void server_stream_refuse(struct server_stream *stream, const char *http_status)
{
	struct header_block block = {.count = 0};

	stream_mark_ended(stream);
	stream->is_answering = true;
	header_add(&block, ":status", http_status);
	if (nghttp2_submit_response(stream->session->http, stream->id, block.fields, block.count,
				    NULL) != 0)
		stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
	op_wake(stream->session->output);
}
