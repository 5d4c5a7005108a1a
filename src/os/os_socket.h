/* SPDX-License-Identifier: Apache-2.0 */
/* os_socket.h - TCP streams over IPv4 and IPv6.
 *
 * Receiving: bytes arrive in buffers that the ring's sockets share. The reader op is woken when
 * there is something to look at; it peeks, consumes what it can use, and what it leaves stays
 * with the socket. A socket whose reader does not consume stops taking buffers (bounded), so the
 * peer feels back-pressure and other sockets are not harmed: even when slow readers hold all
 * shared buffers, every other socket goes on receiving, in smaller pieces.
 * Sending: one os_send at a time per socket, sent whole or failed.
 */
#ifndef OS_OS_SOCKET_H
#define OS_OS_SOCKET_H

#include "base/op.h"
#include "os/os_ring.h"

#include <sys/socket.h>
#include <sys/uio.h>

struct os_listener;
struct os_socket;

#define OS_ADDRESS_TEXT_BYTES 128

struct os_address {
	struct sockaddr_storage storage;
	socklen_t size;
};

/**
 * os_address_parse - numeric IPv4 or IPv6 address and port
 * @host: without brackets; "" or "::" means any (dual stack). A link-local address may carry a
 *	numeric scope ("fe80::1%2").
 * Return: 0 or -EINVAL, and @ret_address untouched.
 */
int os_address_parse(const char *host, uint16_t port, struct os_address *ret_address)
	__attribute__((warn_unused_result));

/**
 * os_address_resolve - like os_address_parse(), but names too
 * Blocks on the resolver: management only. Return: 0, -EINVAL, or -EHOSTUNREACH.
 */
int os_address_resolve(struct os *os, const char *host, uint16_t port,
		       struct os_address *ret_address) __attribute__((warn_unused_result));

/** "192.0.2.1:8420", "[2001:db8::1]:8420". */
void os_address_format(const struct os_address *address, char ret_text[OS_ADDRESS_TEXT_BYTES]);
/** Host part alone, without brackets. */
void os_address_host(const struct os_address *address, char ret_text[OS_ADDRESS_TEXT_BYTES]);
uint16_t os_address_port(const struct os_address *address);
bool os_address_is_ipv6(const struct os_address *address);

/**
 * os_listener_open - listen on @address
 * @acceptor: woken (op_wake) while accepted sockets wait to be taken.
 * Return: 0; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES ...
 */
int os_listener_open(struct os_ring *ring, const struct os_address *address, struct op *acceptor,
		     struct os_listener **ret_listener) __attribute__((warn_unused_result));

/** An accepted socket, NULL when none waits. The caller owns it; it is not yet receiving. */
struct os_socket *os_listener_accept(struct os_listener *listener);

/** The address listened on, with the port that the system chose when 0 was asked for. */
void os_listener_address(const struct os_listener *listener, struct os_address *ret_address);

/** Stops listening, closes sockets not yet taken; op_done(@parent) when gone. */
void os_listener_close(struct os_listener *listener, struct op *parent);

struct os_connect {
	struct op *parent; /* gets one op_done() */
	struct os_address address;
	int result;		  /* 0 or -errno */
	struct os_socket *socket; /* when result is 0; not yet receiving */
	/* private to the implementation */
	uint64_t private_words[10];
};

/** Starts to connect. Not calling back, never failing at once. */
void os_connect_submit(struct os_ring *ring, struct os_connect *connect);
/** Asks for an early end: op_done() still comes, with -ECANCELED unless it was complete. */
void os_connect_cancel(struct os_ring *ring, struct os_connect *connect);

/**
 * os_socket_start - begin to receive; again: change the reader
 * @reader: woken (op_wake) when os_socket_peek() has something new to say, and now if it has
 *	something already.
 */
void os_socket_start(struct os_socket *socket, struct op *reader);

/**
 * os_socket_peek - look at received bytes
 * The bytes stay valid until they are consumed, or the socket is closed.
 * Return: how many contiguous bytes are at *ret_bytes; 0 when none wait; -ENOTCONN after an
 * orderly end, or another negative errno, both only after everything received was consumed.
 */
ssize_t os_socket_peek(struct os_socket *socket, const uint8_t **ret_bytes);

/** Drops the first @size_bytes of what the last peek showed. */
void os_socket_consume(struct os_socket *socket, size_t size_bytes);

struct os_send {
	struct op *parent; /* gets one op_done() */
	struct iovec *iov; /* changed while sending; memory valid until done */
	uint32_t iov_count;
	int result; /* 0 when all was handed to the kernel, else -errno */
};

/** Sends all of it. The previous os_send of this socket must be done. */
void os_socket_send(struct os_socket *socket, struct os_send *send);

/** Both ends' addresses; IPv4 on a dual stack listener is shown as IPv4. */
void os_socket_peer(const struct os_socket *socket, struct os_address *ret_address);
void os_socket_local(const struct os_socket *socket, struct os_address *ret_address);

/**
 * os_socket_close - end the connection (pending sends are aborted)
 * A send in flight still gets its op_done(), before @parent gets its own; after that the system
 * touches no memory of the owner and @socket is gone. The reader is not woken any more; a wake
 * that it has already stays in its queue (op_unwake() before it is freed). @parent may be NULL.
 * Bytes sent before still reach the peer, followed by the end; a detached socket may be closed too.
 */
void os_socket_close(struct os_socket *socket, struct op *parent);

/**
 * os_socket_abort - end the connection so that nothing more of it arrives
 * Like os_socket_close(), but bytes that the peer has not taken are thrown away and it sees a
 * reset. For who will send the same again over another connection: a late copy must not come.
 */
void os_socket_abort(struct os_socket *socket, struct op *parent);

/**
 * os_socket_detach - stop using the present ring, to move the socket to another thread
 * No send may be in flight. Bytes received and not consumed move along. After op_done(@parent)
 * the pointer may be passed to another thread, which calls os_socket_attach().
 */
void os_socket_detach(struct os_socket *socket, struct op *parent);
/** Adopts a detached socket into @ring; then os_socket_start() as usual. */
void os_socket_attach(struct os_ring *ring, struct os_socket *socket);

#endif
