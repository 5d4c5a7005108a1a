/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds bytes of a server into a client's session with calls in flight: every call ends once.
 *
 * The first byte chooses the size of the pieces and whether calls are given up on the way. The rest
 * is a row of frames: type, flags, stream, length and body are the input's, framed well enough
 * to be parsed; type 255 passes its body on raw.
 */
#include "base/assert.h"
#include "rpc/client_session.h"
#include "rpc_test.pb-c.h"

#include <string.h>

#define CALL_COUNT  4
#define FRAME_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};

struct fuzz {
	struct client_session session;
	struct rpc_client_call calls[CALL_COUNT];
	struct op ops[CALL_COUNT];
	uint32_t call_count; /* unfinished ones; the session's side counts it down */
	struct op_queue queue;
};

static void nothing_run(struct op *op)
{
	(void)op;
}

static void drain(struct fuzz *fuzz)
{
	const uint8_t *out;

	while (nghttp2_session_mem_send(fuzz->session.http, &out) > 0)
		;
}

static bool call_begin(struct fuzz *fuzz, uint32_t index)
{
	static const Mayastor__Rpctest__EchoRequest request = MAYASTOR__RPCTEST__ECHO_REQUEST__INIT;
	struct rpc_client_call *call = &fuzz->calls[index];

	op_init(&fuzz->ops[index], &fuzz->queue, nothing_run);
	*call = (struct rpc_client_call){
		.parent = &fuzz->ops[index],
		.method = "/mayastor.rpctest.Echo/Unary",
		.request = &request.base,
		.response_type = &mayastor__rpctest__echo_reply__descriptor,
	};
	list_init(&call->link);
	if (client_stream_create(call, 65536) < 0)
		return false;
	call->stream->call_count = &fuzz->call_count;
	fuzz->call_count++;
	op_wait(&fuzz->ops[index]);
	return client_session_send(&fuzz->session, call, 1000000000) == 0;
}

/* What the server never looked at is not sent again here: it ends as its client would end it. */
static void repeats_end(struct fuzz *fuzz)
{
	list_for_each (node, &fuzz->session.repeats) {
		struct rpc_client_call *call = list_entry(node, struct rpc_client_call, link);

		list_remove(&call->link);
		client_call_end(call, RPC_UNAVAILABLE, "refused");
	}
}

/* Return: false when the connection is over. */
static bool feed(struct fuzz *fuzz, const uint8_t *bytes, size_t size, size_t piece)
{
	for (size_t at = 0; at < size; at += piece) {
		size_t part = size - at < piece ? size - at : piece;

		if (nghttp2_session_mem_recv(fuzz->session.http, bytes + at, part) < 0)
			return false;
		repeats_end(fuzz);
		drain(fuzz);
		if (nghttp2_session_want_read(fuzz->session.http) == 0)
			return false;
	}
	return true;
}

static void converse(struct fuzz *fuzz, const uint8_t *bytes, size_t size, size_t piece)
{
	while (size >= 4) {
		uint8_t frame[9 + FRAME_BYTES] = {0};
		size_t length = (size_t)(bytes[3] | (bytes[2] & 0x10) << 4);

		if (length > size - 4)
			length = size - 4;
		memcpy(frame + 9, bytes + 4, length);
		frame[1] = (uint8_t)(length >> 8);
		frame[2] = (uint8_t)length;
		frame[3] = bytes[0];
		frame[4] = bytes[1];
		frame[8] = bytes[2] & 0x0f;
		if (!feed(fuzz, bytes[0] == 255 ? frame + 9 : frame,
			  bytes[0] == 255 ? length : length + 9, piece))
			return;
		bytes += 4 + length;
		size -= 4 + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz fuzz = {.call_count = 0};
	bool is_given_up = size > 0 && (bytes[0] & 128) != 0;

	op_queue_init(&fuzz.queue);
	if (size < 1 || client_session_open(&fuzz.session, "fuzz") < 0)
		return 0;
	for (uint32_t i = 0; i < CALL_COUNT; i++)
		ASSERT(call_begin(&fuzz, i));
	drain(&fuzz);
	if (feed(&fuzz, settings, sizeof(settings), sizeof(settings))) {
		if (is_given_up && fuzz.calls[1].stream != NULL)
			client_call_end(&fuzz.calls[1], RPC_CANCELLED, "given up");
		converse(&fuzz, bytes + 1, size - 1, (bytes[0] & 127u) + 1);
	}
	repeats_end(&fuzz);
	client_session_close(&fuzz.session, RPC_UNAVAILABLE, "closed");
	ASSERT(fuzz.call_count == 0);
	for (uint32_t i = 0; i < CALL_COUNT; i++) {
		ASSERT(fuzz.ops[i].pending == 0);
		rpc_client_call_release(&fuzz.calls[i]);
	}
	return 0;
}
