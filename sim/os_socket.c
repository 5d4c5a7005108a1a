/* SPDX-License-Identifier: Apache-2.0 */
/* os_socket.c - os/os_socket.h for processes of the simulator: sockets and listeners.
 *
 * Everything that the network does to a socket reaches its owner through a completion on the
 * socket's ring, so that no owner's code runs outside of its own turn.
 */
#include "base/memory.h"
#include "sim/net_impl.h"
#include "sim/nth_faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- sockets ---- */

static void readable_complete(struct sim_completion *completion)
{
	struct os_socket *socket = container_of(completion, struct os_socket, readable);

	ASSERT(socket->is_started && !socket->is_ending);
	op_wake(socket->reader);
}

static void sent_complete(struct sim_completion *completion)
{
	struct os_socket *socket = container_of(completion, struct os_socket, sent);
	struct os_send *send = socket->send;

	socket->send = NULL;
	op_done(send->parent);
}

static void ended_complete(struct sim_completion *completion)
{
	struct os_socket *socket = container_of(completion, struct os_socket, ended);
	struct op *parent = socket->end_parent;

	if (socket->is_closed) {
		if (socket->send != NULL)
			op_done(socket->send->parent);
		list_remove(&socket->link);
		memory_free(socket);
	} else {
		socket->ring = NULL;
		socket->is_ending = false;
	}
	op_done(parent);
}

struct os_socket *socket_make(struct os_ring *ring, struct end *end)
{
	struct os_socket *socket = sim_process_allocate(ring->process, sizeof(*socket));

	socket->process = ring->process;
	socket->ring = ring;
	socket->end = end;
	end->socket = socket;
	sim_completion_init(&socket->readable, readable_complete);
	sim_completion_init(&socket->sent, sent_complete);
	sim_completion_init(&socket->ended, ended_complete);
	list_init(&socket->link);
	list_push_back(&ring->process->sockets, &socket->link);
	return socket;
}

void socket_notify(struct os_socket *socket)
{
	if (socket->is_started && !socket->is_ending)
		sim_completion_push(socket->ring, &socket->readable);
}

uint32_t socket_send_take(struct os_socket *socket, uint8_t *bytes, uint32_t size_bytes)
{
	struct os_send *send = socket->send;
	uint32_t taken = 0;

	while (taken < size_bytes && socket->send_index < send->iov_count) {
		struct iovec *iov = &send->iov[socket->send_index];
		size_t part = size_bytes - taken;

		if (part > iov->iov_len)
			part = iov->iov_len;
		memcpy(bytes + taken, iov->iov_base, part);
		taken += (uint32_t)part;
		iov->iov_base = (uint8_t *)iov->iov_base + part;
		iov->iov_len -= part;
		if (iov->iov_len == 0)
			socket->send_index++;
	}
	return taken;
}

void socket_send_finish(struct os_socket *socket, int result)
{
	if (socket->send == NULL || !list_is_empty(&socket->sent.link))
		return;
	socket->send->result = result;
	sim_completion_push(socket->ring, &socket->sent);
}

void os_socket_start(struct os_socket *socket, struct op *reader)
{
	const struct end *end = socket->end;

	ASSERT(sim_current() == socket->process);
	ASSERT(!socket->is_started && socket->ring != NULL);
	socket->reader = reader;
	socket->is_started = true;
	if (!list_is_empty(&end->received) || end->is_fin_received || end->error != 0)
		socket_notify(socket);
}

ssize_t os_socket_peek(struct os_socket *socket, const uint8_t **ret_bytes)
{
	struct end *end = socket->end;
	struct list_node *node = list_first(&end->received);
	struct segment *segment;

	ASSERT(sim_current() == socket->process);
	ASSERT(!socket->is_closed);
	if (node == NULL)
		return end->error != 0 ? end->error : end->is_fin_received ? -ENOTCONN : 0;
	segment = list_entry(node, struct segment, link);
	ASSERT(segment->consumed < segment->size);
	*ret_bytes = segment->bytes + segment->consumed;
	return segment->size - segment->consumed;
}

void os_socket_consume(struct os_socket *socket, size_t size_bytes)
{
	struct end *end = socket->end;
	struct list_node *node = list_first(&end->received);
	struct segment *segment;

	ASSERT(!socket->is_closed);
	if (size_bytes == 0)
		return;
	ASSERT(node != NULL);
	segment = list_entry(node, struct segment, link);
	ASSERT(size_bytes <= segment->size - segment->consumed);
	segment->consumed += (uint32_t)size_bytes;
	end->received_bytes -= (uint32_t)size_bytes;
	if (segment->consumed == segment->size) {
		list_remove(&segment->link);
		free(segment);
	}
	net_end_consumed(end);
}

void os_socket_send(struct os_socket *socket, struct os_send *send)
{
	ASSERT(sim_current() == socket->process);
	ASSERT(socket->send == NULL && !socket->is_ending);
	socket->send = send;
	socket->send_index = 0;
	if (nth_fails(socket->process, NTH_SEND)) {
		socket_send_finish(socket, -ENOBUFS);
		return;
	}
	net_end_pump(socket->end);
}

void os_socket_peer(const struct os_socket *socket, struct os_address *ret_address)
{
	*ret_address = end_peer(socket->end)->address;
}

void os_socket_local(const struct os_socket *socket, struct os_address *ret_address)
{
	*ret_address = socket->end->address;
}

static void socket_end(struct os_socket *socket, struct op *parent)
{
	ASSERT(sim_current() == socket->process);
	ASSERT(!socket->is_ending && socket->ring != NULL);
	list_remove(&socket->readable.link);
	socket->is_ending = true;
	socket->end_parent = parent;
	sim_completion_push(socket->ring, &socket->ended);
}

static void socket_close(struct os_socket *socket, bool is_hard, struct op *parent)
{
	if (socket->send != NULL && list_is_empty(&socket->sent.link))
		socket->send->result = -ECANCELED;
	socket_end(socket, parent);
	socket->is_closed = true;
	/* An aborted send leaves half a message: the peer must not take it for an orderly end. */
	net_end_close(socket->end, is_hard || socket->send != NULL);
	socket->end = NULL;
}

void os_socket_close(struct os_socket *socket, struct op *parent)
{
	socket_close(socket, false, parent);
}

void os_socket_abort(struct os_socket *socket, struct op *parent)
{
	socket_close(socket, true, parent);
}

void os_socket_detach(struct os_socket *socket, struct op *parent)
{
	ASSERT(socket->send == NULL);
	socket_end(socket, parent);
	socket->is_started = false;
	socket->reader = NULL;
}

void os_socket_attach(struct os_ring *ring, struct os_socket *socket)
{
	ASSERT(sim_current() == ring->process && socket->process == ring->process);
	ASSERT(socket->ring == NULL);
	socket->ring = ring;
}

/* ---- listeners ---- */

static void acceptable_complete(struct sim_completion *completion)
{
	op_wake(container_of(completion, struct os_listener, acceptable)->acceptor);
}

static void listener_ended_complete(struct sim_completion *completion)
{
	struct os_listener *listener = container_of(completion, struct os_listener, ended);
	struct op *parent = listener->end_parent;

	memory_free(listener);
	op_done(parent);
}

struct os_listener *listener_find(struct sim_process *process, uint16_t port)
{
	list_for_each (node, &process->listeners) {
		struct os_listener *listener = list_entry(node, struct os_listener, link);

		if (os_address_port(&listener->address) == port)
			return listener;
	}
	return NULL;
}

int os_listener_open(struct os_ring *ring, const struct os_address *address, struct op *acceptor,
		     struct os_listener **ret_listener)
{
	struct sim_process *process = ring->process;
	struct os_listener *listener;
	uint16_t port = os_address_port(address);
	char host[OS_ADDRESS_TEXT_BYTES];
	int rc;

	if (nth_fails(process, NTH_LISTEN))
		return -EMFILE;
	if (port == 0)
		port = process->port_next++;
	if (listener_find(process, port) != NULL)
		return -EADDRINUSE;
	listener = sim_process_allocate(process, sizeof(*listener));
	os_address_host(address, host);
	rc = os_address_parse(host, port, &listener->address);
	if (rc < 0) {
		memory_free(listener);
		return rc;
	}
	listener->process = process;
	listener->ring = ring;
	listener->acceptor = acceptor;
	list_init(&listener->backlog);
	sim_completion_init(&listener->acceptable, acceptable_complete);
	sim_completion_init(&listener->ended, listener_ended_complete);
	list_init(&listener->link);
	list_push_back(&process->listeners, &listener->link);
	*ret_listener = listener;
	return 0;
}

void listener_offer(struct os_listener *listener, struct end *end)
{
	end->listener = listener;
	list_push_back(&listener->backlog, &end->backlog_link);
	listener->backlog_count++;
	sim_completion_push(listener->ring, &listener->acceptable);
}

struct os_socket *os_listener_accept(struct os_listener *listener)
{
	ASSERT(sim_current() == listener->process);
	/* The kernel keeps it in the backlog, and the listener asks again later. */
	if (listener->process->is_out_of_sockets)
		return NULL;
	for (;;) {
		struct list_node *node = list_pop_front(&listener->backlog);
		struct end *end;

		if (node == NULL)
			return NULL;
		listener->backlog_count--;
		end = list_entry(node, struct end, backlog_link);
		end->listener = NULL;
		if (!nth_fails(listener->process, NTH_ACCEPT))
			return socket_make(listener->ring, end);
		net_end_close(end, true); /* no memory or descriptor for it */
	}
}

void sim_listeners_look(struct sim_process *process)
{
	list_for_each (node, &process->listeners) {
		struct os_listener *listener = list_entry(node, struct os_listener, link);

		if (listener->backlog_count > 0)
			sim_completion_push(listener->ring, &listener->acceptable);
	}
}

void os_listener_address(const struct os_listener *listener, struct os_address *ret_address)
{
	*ret_address = listener->address;
}

void os_listener_close(struct os_listener *listener, struct op *parent)
{
	ASSERT(sim_current() == listener->process);
	list_remove(&listener->link);
	list_for_each (node, &listener->backlog)
		net_end_close(list_entry(node, struct end, backlog_link), true);
	ASSERT(listener->backlog_count == 0);
	list_remove(&listener->acceptable.link);
	listener->end_parent = parent;
	sim_completion_push(listener->ring, &listener->ended);
}
