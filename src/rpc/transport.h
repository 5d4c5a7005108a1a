/* SPDX-License-Identifier: Apache-2.0 */
/* transport.h - carries an nghttp2 session over a socket; private to rpc/, used by both sides.
 *
 * The owner's op is the socket's reader. Each time it runs it calls transport_receive(), handles
 * what came of it, and transport_flush(). It is also woken when sending failed or ended.
 */
#ifndef RPC_TRANSPORT_H
#define RPC_TRANSPORT_H

#include "base/op.h"
#include "os/os_socket.h"

#include <nghttp2/nghttp2.h>

#define TRANSPORT_SEND_BYTES	(64 * 1024)
#define TRANSPORT_RECEIVE_BYTES (256 * 1024) /* in one run, for fairness */
#define TRANSPORT_QUEUE_MAX	4096	     /* frames waiting to leave */

struct transport {
	struct os_socket *socket;
	nghttp2_session *session;
	struct op *owner;
	struct op sender;
	struct os_send send;
	struct iovec iov;
	uint8_t *bytes;	      /* TRANSPORT_SEND_BYTES */
	const uint8_t *chunk; /* of nghttp2, until its next frame */
	size_t chunk_bytes;
	uint64_t received_bytes;
	int error; /* of sending; 0 or -errno */
	bool is_sending;
};

/** Takes over @socket and starts to receive. Return: 0 or -ENOMEM (socket untouched). */
int transport_open(struct transport *transport, struct os_socket *socket, nghttp2_session *session,
		   struct op *owner) __attribute__((warn_unused_result));

/**
 * transport_receive - feed what the socket has to nghttp2
 * Return: 0; -errno of the socket; -EPROTO: the peer broke HTTP/2; -EPIPE: nothing is left to
 * do, close.
 */
int transport_receive(struct transport *transport) __attribute__((warn_unused_result));

/** Sends what nghttp2 has, unless a send is in flight already (which will go on with it). */
void transport_flush(struct transport *transport);

/** Everything that nghttp2 had has left. */
bool transport_is_flushed(const struct transport *transport);

/** nghttp2's session is gone from here on; op_done(@parent) when the socket is too. */
void transport_close(struct transport *transport, struct op *parent);

/** After the op_done() of transport_close(). */
void transport_free(struct transport *transport);

#endif
