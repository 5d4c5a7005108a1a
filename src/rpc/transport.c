/* SPDX-License-Identifier: Apache-2.0 */
/* transport.c - nghttp2's bytes to and from a socket.
 *
 * Invariants:
 *  1. One send is in flight at most; its bytes are @bytes and stay untouched until it is done.
 *  2. nghttp2 is asked for its next frame only when the last one was copied whole, so what it
 *     queues is bounded by flow control, and a slow peer stops the drawing of answers.
 */
#include "rpc/transport.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

/* Copies frames into the send buffer. Return: bytes to send, or -ENOMEM and the like. */
static ssize_t frames_draw(struct transport *transport)
{
	size_t filled = 0;

	ASSERT(!transport->is_sending);
	while (filled < TRANSPORT_SEND_BYTES) {
		if (transport->chunk_bytes == 0) {
			ssize_t size =
				nghttp2_session_mem_send(transport->session, &transport->chunk);
			if (size < 0)
				return -EPROTO;
			if (size == 0)
				break;
			transport->chunk_bytes = (size_t)size;
		}
		size_t count = TRANSPORT_SEND_BYTES - filled;
		if (count > transport->chunk_bytes)
			count = transport->chunk_bytes;
		memcpy(transport->bytes + filled, transport->chunk, count);
		transport->chunk += count;
		transport->chunk_bytes -= count;
		filled += count;
	}
	return (ssize_t)filled;
}

static void send_fail(struct transport *transport, int error)
{
	ASSERT(error < 0);
	transport->error = error;
	op_wake(transport->owner);
}

/* Entered to start sending and after each send. */
static void sender_run(struct op *op)
{
	struct transport *transport = container_of(op, struct transport, sender);

	for (;;) {
		bool was_sending = transport->is_sending;

		ASSERT(op->pending == 0);
		transport->is_sending = false;
		if (transport->session == NULL || transport->error < 0)
			return; /* closing: the owner waits for the socket's end */
		if (was_sending && transport->send.result < 0) {
			send_fail(transport, transport->send.result);
			return;
		}
		ssize_t size = frames_draw(transport);
		if (size < 0) {
			send_fail(transport, (int)size);
			return;
		}
		if (size == 0) {
			op_wake(transport->owner);
			return;
		}
		transport->iov = (struct iovec){transport->bytes, (size_t)size};
		transport->send = (struct os_send){
			.parent = op,
			.iov = &transport->iov,
			.iov_count = 1,
		};
		transport->is_sending = true;
		op_wait(op);
		os_socket_send(transport->socket, &transport->send);
		if (op_join(op) == OP_WAIT)
			return;
	}
}

int transport_open(struct transport *transport, struct os_socket *socket, nghttp2_session *session,
		   struct op *owner)
{
	ASSERT(socket != NULL && session != NULL && owner != NULL);
	*transport = (struct transport){.socket = socket, .session = session, .owner = owner};
	op_init(&transport->sender, owner->queue, sender_run);
	transport->bytes = memory_alloc(TRANSPORT_SEND_BYTES);
	if (transport->bytes == NULL)
		return -ENOMEM;
	os_socket_start(socket, owner);
	return 0;
}

/* Return: bytes taken from the socket, 0 when it has none, or -errno. */
static ssize_t piece_receive(struct transport *transport)
{
	const uint8_t *bytes;
	ssize_t size = os_socket_peek(transport->socket, &bytes);

	if (size <= 0)
		return size;
	ssize_t taken = nghttp2_session_mem_recv(transport->session, bytes, (size_t)size);
	if (taken < 0)
		return taken == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
	os_socket_consume(transport->socket, (size_t)size);
	transport->received_bytes += (uint64_t)size;
	return size;
}

int transport_receive(struct transport *transport)
{
	uint64_t end = transport->received_bytes + TRANSPORT_RECEIVE_BYTES;

	ASSERT(transport->session != NULL);
	if (transport->error < 0)
		return transport->error;
	while (nghttp2_session_want_read(transport->session)) {
		if (transport->received_bytes >= end) {
			op_wake(transport->owner);
			break;
		}
		ssize_t size = piece_receive(transport);
		if (size < 0)
			return (int)size;
		if (size == 0)
			break;
		if (nghttp2_session_get_outbound_queue_size(transport->session) >
		    TRANSPORT_QUEUE_MAX)
			return -EPROTO;
	}
	if (!nghttp2_session_want_read(transport->session) && transport_is_flushed(transport))
		return -EPIPE;
	return 0;
}

bool transport_is_flushed(const struct transport *transport)
{
	return !transport->is_sending && transport->chunk_bytes == 0 &&
	       !nghttp2_session_want_write(transport->session);
}

void transport_flush(struct transport *transport)
{
	ASSERT(transport->session != NULL);
	if (!transport->is_sending && !transport_is_flushed(transport))
		op_wake(&transport->sender);
}

void transport_close(struct transport *transport, struct op *parent)
{
	transport->session = NULL;
	transport->chunk_bytes = 0;
	os_socket_close(transport->socket, parent);
	transport->socket = NULL;
}

void transport_free(struct transport *transport)
{
	/* The last send was answered before the close; its wake-up is of no use any more. */
	ASSERT(transport->sender.pending == 0);
	op_unwake(&transport->sender);
	memory_free(transport->bytes);
	transport->bytes = NULL;
}
