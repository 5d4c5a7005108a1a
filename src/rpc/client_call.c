/* SPDX-License-Identifier: Apache-2.0 */
/* client_call.c - a call before and after it is on the wire.
 *
 * Invariants:
 *  1. An unfinished call has a stream; the stream has a session exactly while it is on the wire.
 *  2. A finished call has none, is in no list, and got its one op_done().
 */
#include "base/assert.h"
#include "base/memory.h"
#include "rpc/client_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One block with all names and values, for the caller's may go away. */
static int metadata_copy(struct rpc_client_stream *stream, const struct rpc_client_call *call)
{
	size_t size = 0;

	ASSERT(call->metadata_count <= RPC_CLIENT_METADATA_MAX);
	for (uint32_t i = 0; i < call->metadata_count; i++)
		size += strlen(call->metadata[i].name) + strlen(call->metadata[i].value) + 2;
	if (size == 0)
		return 0;
	char *at = memory_alloc(size);
	if (at == NULL)
		return -ENOMEM;
	stream->metadata_text = at;
	for (uint32_t i = 0; i < call->metadata_count; i++) {
		size_t name_size = strlen(call->metadata[i].name) + 1;
		size_t value_size = strlen(call->metadata[i].value) + 1;

		memcpy(at, call->metadata[i].name, name_size);
		memcpy(at + name_size, call->metadata[i].value, value_size);
		stream->metadata[i] = (struct rpc_metadata){at, at + name_size};
		at += name_size + value_size;
	}
	stream->metadata_count = call->metadata_count;
	return 0;
}

void client_stream_free(struct rpc_client_stream *stream)
{
	ASSERT(stream->call == NULL && list_is_empty(&stream->link));
	rpc_bytes_free(&stream->request);
	rpc_assembler_free(&stream->response);
	memory_free(stream->metadata_text);
	memory_free(stream);
}

int client_stream_create(struct rpc_client_call *call, uint32_t message_bytes_max)
{
	struct rpc_client_stream *stream = memory_alloc(sizeof(*stream));

	ASSERT(call->stream == NULL);
	if (stream == NULL)
		return -ENOMEM;
	list_init(&stream->link);
	stream->request_budget.max = (uint64_t)message_bytes_max + RPC_FRAME_PREFIX_BYTES;
	stream->response_budget.max = message_bytes_max;
	rpc_bytes_init(&stream->request, &stream->request_budget);
	rpc_assembler_init(&stream->response, &stream->response_budget, message_bytes_max);
	int rc = rpc_bytes_append(&stream->request, call->request, message_bytes_max);
	if (rc == 0)
		rc = metadata_copy(stream, call);
	if (rc < 0) {
		client_stream_free(stream);
		return rc;
	}
	stream->call = call;
	call->stream = stream;
	return 0;
}

void client_call_end(struct rpc_client_call *call, enum rpc_status status, const char *text)
{
	struct rpc_client_stream *stream = call->stream;
	struct op *parent = call->parent;

	ASSERT(call->response == NULL || status == RPC_OK);
	call->status = status;
	if (text != call->text)
		snprintf(call->text, sizeof(call->text), "%s", text);
	call->stream = NULL;
	list_remove(&call->link);
	if (stream != NULL) {
		ASSERT(*stream->call_count > 0);
		(*stream->call_count)--;
		stream->call = NULL;
		if (stream->session == NULL)
			client_stream_free(stream);
		else
			nghttp2_submit_rst_stream(stream->session->http, NGHTTP2_FLAG_NONE,
						  stream->id, NGHTTP2_CANCEL);
	}
	op_done(parent);
}

void rpc_client_call_release(struct rpc_client_call *call)
{
	ASSERT(call->stream == NULL);
	rpc_message_free(call->response);
	call->response = NULL;
}

const char *rpc_client_call_metadata(const struct rpc_client_call *call, const char *name)
{
	for (uint32_t i = 0; i < call->received_count; i++) {
		if (strcmp(call->received[i].name, name) == 0)
			return call->received[i].value;
	}
	return NULL;
}
