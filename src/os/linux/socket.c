/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - bytes of TCP streams.
 *
 * Receiving:
 *
 *	IDLE -- receive_arm --> SHARED    one submission, many completions, the kernel picks buffers
 *	IDLE -- receive_arm --> PRIVATE   no shared buffer is free and nothing is left to consume
 *	both -- receive_handle --> IDLE   error, end, cancelled, out of buffers, private filled
 *
 * The private buffer is what keeps a ring alive: readers that do not consume may hold all shared
 * buffers, and what would let them go on may have to come in through another socket.
 *
 * Invariants:
 *  1. PRIVATE is entered only while no received byte waits, so the order of bytes is that of the
 *     three places in struct os_socket.
 *  2. A reader that does not consume leaves its socket with SOCKET_HELD_MAX buffers and those that
 *     arrived within the same turn; then reception is cancelled until it consumes.
 *  3. A closed or detached socket is let go only when neither a reception nor a send is in flight.
 *  4. The reader is woken only while the socket is open.
 */
#include "base/memory.h"
#include "os/linux/socket_impl.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define SEND_BYTES_MAX	     ((size_t)1 << 30) /* of one submission with one iovec */
#define KEEPALIVE_IDLE_S     30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES     6

static bool socket_has_bytes(const struct os_socket *socket)
{
	return socket->moved != NULL || socket->held_count > 0 || socket->private_bytes > 0;
}

static void receive_arm(struct os_socket *socket)
{
	struct os_ring *ring = socket->ring;
	struct io_uring_sqe *sqe;
	bool may_share = ring->has_multishot_receive && !socket->is_pool_empty &&
			 ring->receive.held_count < ring->receive.count;

	if (socket->state != SOCKET_OPEN || !socket->is_started || socket->end != 0 ||
	    socket->receive_state != RECEIVE_IDLE)
		return;
	if (socket->private_bytes > 0 || socket->held_count >= SOCKET_HELD_MAX)
		return;
	if (may_share) {
		sqe = ring_submission(ring, &socket->receive);
		io_uring_prep_recv_multishot(sqe, socket->fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = 0;
		socket->receive_state = RECEIVE_SHARED;
		return;
	}
	if (socket_has_bytes(socket))
		return;
	REACHED("socket_receive_private");
	sqe = ring_submission(ring, &socket->receive);
	io_uring_prep_recv(sqe, socket->fd, socket->private_memory, SOCKET_PRIVATE_BYTES, 0);
	socket->receive_state = RECEIVE_PRIVATE;
}

static void receive_cancel(struct os_socket *socket)
{
	if (socket->receive_state == RECEIVE_IDLE || socket->is_receive_cancelled)
		return;
	socket->is_receive_cancelled = true;
	ring_cancel(socket->ring, &socket->receive);
}

/* Takes the first held buffer off the socket. */
static uint32_t held_pop(struct os_socket *socket)
{
	uint32_t index = socket->first_held;

	ASSERT(socket->held_count > 0 && index != RECEIVE_BUFFER_NONE);
	socket->first_held = socket->ring->receive.buffers[index].next;
	socket->held_count--;
	socket->held_offset_bytes = 0;
	if (socket->held_count == 0)
		socket->last_held = RECEIVE_BUFFER_NONE;
	return index;
}

static void held_push(struct os_socket *socket, uint32_t index, uint32_t size_bytes)
{
	struct receive_pool *pool = &socket->ring->receive;

	receive_pool_take(pool, index, size_bytes);
	if (size_bytes == 0 || socket->state == SOCKET_CLOSING) {
		receive_pool_return(pool, index);
		return;
	}
	if (socket->held_count == 0)
		socket->first_held = index;
	else
		pool->buffers[socket->last_held].next = index;
	socket->last_held = index;
	socket->held_count++;
	if (socket->held_count >= SOCKET_HELD_MAX && list_is_empty(&socket->link))
		list_push_back(&socket->ring->overfull, &socket->link);
}

void socket_settle_overfull(struct os_ring *ring)
{
	list_for_each (node, &ring->overfull) {
		struct os_socket *socket = list_entry(node, struct os_socket, link);

		list_remove(&socket->link);
		if (socket->held_count < SOCKET_HELD_MAX)
			continue;
		REACHED("socket_reader_is_slow");
		receive_cancel(socket);
	}
}

void socket_destroy(struct os_socket *socket)
{
	ASSERT(socket->receive_state == RECEIVE_IDLE && socket->send == NULL);
	list_remove(&socket->link);
	while (socket->held_count > 0)
		receive_pool_return(&socket->ring->receive, held_pop(socket));
	close(socket->fd);
	memory_free(socket->moved);
	memory_free(socket);
}

/* Copies what the reader left into memory that does not belong to the ring. */
static void held_move(struct os_socket *socket)
{
	struct receive_pool *pool = &socket->ring->receive;
	size_t old_bytes = socket->moved_bytes - socket->moved_offset_bytes;
	size_t total_bytes = old_bytes;
	size_t filled_bytes = old_bytes;
	uint8_t *moved;

	if (socket->held_count == 0)
		return;
	for (uint32_t i = socket->first_held; i != RECEIVE_BUFFER_NONE; i = pool->buffers[i].next)
		total_bytes += pool->buffers[i].size_bytes;
	total_bytes -= socket->held_offset_bytes;
	moved = memory_alloc(total_bytes);
	if (moved != NULL && old_bytes > 0)
		memcpy(moved, socket->moved + socket->moved_offset_bytes, old_bytes);
	while (socket->held_count > 0) {
		uint32_t offset_bytes = socket->held_offset_bytes;
		uint32_t index = held_pop(socket);
		uint32_t size_bytes = pool->buffers[index].size_bytes - offset_bytes;

		if (moved != NULL)
			memcpy(moved + filled_bytes, receive_pool_bytes(pool, index) + offset_bytes,
			       size_bytes);
		filled_bytes += size_bytes;
		receive_pool_return(pool, index);
	}
	ASSERT(filled_bytes == total_bytes);
	memory_free(socket->moved);
	socket->moved = moved;
	socket->moved_bytes = moved == NULL ? 0 : total_bytes;
	socket->moved_offset_bytes = 0;
	if (moved == NULL)
		socket->end = -ENOMEM; /* a stream with a gap must not go on */
}

/* Lets a closing or detaching socket go once nothing is in flight. */
static void socket_leave(struct os_socket *socket)
{
	struct op *parent = socket->leave_parent;

	ASSERT(socket->state == SOCKET_CLOSING || socket->state == SOCKET_DETACHING);
	if (socket->receive_state != RECEIVE_IDLE || socket->send != NULL)
		return;
	if (socket->state == SOCKET_CLOSING) {
		socket_destroy(socket);
	} else {
		held_move(socket);
		list_remove(&socket->link);
		socket->ring = NULL;
		socket->reader = NULL;
		socket->leave_parent = NULL;
		socket->is_started = false;
		socket->is_pool_empty = false;
		socket->state = SOCKET_DETACHED;
	}
	op_done(parent);
}

/* What a completion without bytes means. */
static void receive_judge(struct os_socket *socket, int32_t result, enum receive_state state)
{
	switch (-result) {
	case 0:
		socket->end = -ENOTCONN;
		break;
	case ENOBUFS:
		socket->is_pool_empty = true;
		break;
	case ECANCELED:
	case EINTR:
	case EAGAIN:
		break; /* receive_arm() tries again when it is due */
	case EINVAL:
		/* A kernel without multishot reception says so here; other causes come again. */
		if (state == RECEIVE_SHARED) {
			socket->ring->has_multishot_receive = false;
			break;
		}
		socket->end = result;
		break;
	default:
		socket->end = result;
		break;
	}
}

static void receive_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_socket *socket = container_of(completion, struct os_socket, receive);
	enum receive_state state = socket->receive_state;
	uint32_t size_bytes = result > 0 ? (uint32_t)result : 0;

	ASSERT(state != RECEIVE_IDLE);
	if ((flags & IORING_CQE_F_MORE) == 0) {
		socket->receive_state = RECEIVE_IDLE;
		socket->is_receive_cancelled = false;
	}
	if ((flags & IORING_CQE_F_BUFFER) != 0) {
		held_push(socket, flags >> IORING_CQE_BUFFER_SHIFT, size_bytes);
	} else if (size_bytes > 0) {
		ASSERT(state == RECEIVE_PRIVATE && size_bytes <= SOCKET_PRIVATE_BYTES);
		socket->private_bytes = size_bytes;
		socket->private_offset_bytes = 0;
		socket->is_pool_empty = false;
	}
	if (result <= 0)
		receive_judge(socket, result, state);
	if (socket->state != SOCKET_OPEN) {
		socket_leave(socket); /* @socket may be gone */
		return;
	}
	if (size_bytes > 0 || socket->end != 0)
		op_wake(socket->reader);
	receive_arm(socket);
}

void os_socket_start(struct os_socket *socket, struct op *reader)
{
	ASSERT(socket->state == SOCKET_OPEN);
	ASSERT(reader != NULL);
	socket->reader = reader;
	socket->is_started = true;
	if (socket_has_bytes(socket) || socket->end != 0)
		op_wake(reader);
	receive_arm(socket);
}

ssize_t os_socket_peek(struct os_socket *socket, const uint8_t **ret_bytes)
{
	ASSERT(socket->state == SOCKET_OPEN);
	if (socket->moved != NULL) {
		*ret_bytes = socket->moved + socket->moved_offset_bytes;
		return (ssize_t)(socket->moved_bytes - socket->moved_offset_bytes);
	}
	if (socket->held_count > 0) {
		struct receive_pool *pool = &socket->ring->receive;
		uint32_t size_bytes = pool->buffers[socket->first_held].size_bytes;

		ASSERT(socket->held_offset_bytes < size_bytes);
		*ret_bytes =
			receive_pool_bytes(pool, socket->first_held) + socket->held_offset_bytes;
		return size_bytes - socket->held_offset_bytes;
	}
	if (socket->private_bytes > 0) {
		ASSERT(socket->private_offset_bytes < socket->private_bytes);
		*ret_bytes = socket->private_memory + socket->private_offset_bytes;
		return socket->private_bytes - socket->private_offset_bytes;
	}
	return socket->end;
}

void os_socket_consume(struct os_socket *socket, size_t size_bytes)
{
	ASSERT(socket->state == SOCKET_OPEN);
	if (size_bytes == 0)
		return;
	if (socket->moved != NULL) {
		socket->moved_offset_bytes += size_bytes;
		ASSERT(socket->moved_offset_bytes <= socket->moved_bytes);
		if (socket->moved_offset_bytes < socket->moved_bytes)
			return;
		memory_free(socket->moved);
		socket->moved = NULL;
		socket->moved_bytes = 0;
		socket->moved_offset_bytes = 0;
	} else if (socket->held_count > 0) {
		struct receive_pool *pool = &socket->ring->receive;
		uint32_t held_bytes = pool->buffers[socket->first_held].size_bytes;

		ASSERT(size_bytes <= held_bytes - socket->held_offset_bytes);
		socket->held_offset_bytes += (uint32_t)size_bytes;
		if (socket->held_offset_bytes < held_bytes)
			return;
		receive_pool_return(pool, held_pop(socket));
		socket->is_pool_empty = false;
	} else {
		ASSERT(size_bytes <= socket->private_bytes - socket->private_offset_bytes);
		socket->private_offset_bytes += (uint32_t)size_bytes;
		if (socket->private_offset_bytes < socket->private_bytes)
			return;
		socket->private_bytes = 0;
		socket->private_offset_bytes = 0;
	}
	receive_arm(socket);
}

static void send_finish(struct os_socket *socket, int result)
{
	struct os_send *send = socket->send;

	ASSERT(send != NULL);
	socket->send = NULL;
	send->result = result;
	op_done(send->parent);
}

/* Moves on by @size_bytes, and over iovecs without bytes. Return: true if something is left. */
static bool send_advance(struct os_send *send, size_t size_bytes)
{
	while (send->iov_count > 0 && size_bytes >= send->iov->iov_len) {
		size_bytes -= send->iov->iov_len;
		send->iov++;
		send->iov_count--;
	}
	if (send->iov_count == 0) {
		ASSERT(size_bytes == 0);
		return false;
	}
	send->iov->iov_base = (uint8_t *)send->iov->iov_base + size_bytes;
	send->iov->iov_len -= size_bytes;
	return true;
}

static void send_prepare(struct os_socket *socket)
{
	const int flags = MSG_WAITALL | MSG_NOSIGNAL;
	struct os_send *send = socket->send;
	struct io_uring_sqe *sqe = ring_submission(socket->ring, &socket->sent);

	ASSERT(send->iov_count > 0);
	if (send->iov_count == 1) {
		size_t size_bytes = send->iov->iov_len;

		if (size_bytes > SEND_BYTES_MAX)
			size_bytes = SEND_BYTES_MAX;
		io_uring_prep_send(sqe, socket->fd, send->iov->iov_base, size_bytes, flags);
		return;
	}
	socket->message.msg_iov = send->iov;
	socket->message.msg_iovlen = send->iov_count < IOV_MAX ? send->iov_count : IOV_MAX;
	io_uring_prep_sendmsg(sqe, socket->fd, &socket->message, (unsigned)flags);
}

static void sent_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_socket *socket = container_of(completion, struct os_socket, sent);
	bool is_open = socket->state == SOCKET_OPEN;

	(void)flags;
	ASSERT(socket->send != NULL);
	if (result > 0 && !send_advance(socket->send, (size_t)result))
		send_finish(socket, 0);
	else if (result == 0)
		send_finish(socket, -EIO);
	else if (result < 0 && result != -EINTR && result != -EAGAIN && result != -ECANCELED)
		send_finish(socket, result);
	else if (is_open)
		send_prepare(socket); /* short, or disturbed */
	else
		send_finish(socket, -ECANCELED);
	if (!is_open)
		socket_leave(socket);
}

void os_socket_send(struct os_socket *socket, struct os_send *send)
{
	ASSERT(socket->state == SOCKET_OPEN);
	ASSERT(socket->send == NULL);
	socket->send = send;
	if (send_advance(send, 0))
		send_prepare(socket);
	else
		send_finish(socket, 0);
}

void os_socket_peer(const struct os_socket *socket, struct os_address *ret_address)
{
	*ret_address = socket->peer;
}

void os_socket_local(const struct os_socket *socket, struct os_address *ret_address)
{
	*ret_address = socket->local;
}

void os_socket_close(struct os_socket *socket, struct op *parent)
{
	ASSERT(socket->state == SOCKET_OPEN || socket->state == SOCKET_DETACHED);
	socket->state = SOCKET_CLOSING;
	socket->reader = NULL;
	socket->leave_parent = parent;
	receive_cancel(socket);
	if (socket->send != NULL)
		ring_cancel(socket->ring, &socket->sent);
	/* Ends both as well, and tells the peer without waiting for the next turn. */
	(void)shutdown(socket->fd, SHUT_RDWR);
	socket_leave(socket);
}

void os_socket_abort(struct os_socket *socket, struct op *parent)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	/* Throws the queue away now; the descriptor lives on until its operations have ended. */
	(void)setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)connect(socket->fd, &nowhere, sizeof(nowhere));
	os_socket_close(socket, parent);
}

void os_socket_detach(struct os_socket *socket, struct op *parent)
{
	ASSERT(socket->state == SOCKET_OPEN);
	ASSERT(socket->send == NULL);
	socket->state = SOCKET_DETACHING;
	socket->reader = NULL;
	socket->leave_parent = parent;
	receive_cancel(socket);
	socket_leave(socket);
}

void os_socket_attach(struct os_ring *ring, struct os_socket *socket)
{
	ASSERT(socket->state == SOCKET_DETACHED);
	ASSERT(socket->held_count == 0);
	socket->ring = ring;
	socket->state = SOCKET_OPEN;
}

static void address_unmap(struct os_address *address)
{
	struct sockaddr_in6 ipv6;
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};

	if (address->storage.ss_family != AF_INET6)
		return;
	memcpy(&ipv6, &address->storage, sizeof(ipv6));
	if (!IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr))
		return;
	ipv4.sin_port = ipv6.sin6_port;
	memcpy(&ipv4.sin_addr, &ipv6.sin6_addr.s6_addr[12], sizeof(ipv4.sin_addr));
	memset(&address->storage, 0, sizeof(address->storage));
	memcpy(&address->storage, &ipv4, sizeof(ipv4));
	address->size = sizeof(ipv4);
}

static void socket_tune(int fd)
{
	static const int one = 1;
	static const int idle_s = KEEPALIVE_IDLE_S;
	static const int interval_s = KEEPALIVE_INTERVAL_S;
	static const int probes = KEEPALIVE_PROBES;

	/* Refusals cost speed or the notice of a silent peer, never correctness. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

void socket_addresses_read(struct os_socket *socket)
{
	struct os_address *addresses[] = {&socket->peer, &socket->local};

	for (int i = 0; i < 2; i++) {
		struct os_address *address = addresses[i];
		struct sockaddr *storage = (struct sockaddr *)&address->storage;
		int rc;

		address->size = sizeof(address->storage);
		rc = i == 0 ? getpeername(socket->fd, storage, &address->size)
			    : getsockname(socket->fd, storage, &address->size);
		/* Not connected yet, or the peer has left already: the stream will say so. */
		if (rc < 0)
			*address = (struct os_address){.storage.ss_family = AF_INET,
						       .size = sizeof(struct sockaddr_in)};
		address_unmap(address);
	}
}

struct os_socket *socket_create(struct os_ring *ring, int fd)
{
	struct os_socket *socket = memory_alloc(sizeof(*socket));

	ASSERT(fd >= 0);
	if (socket == NULL)
		return NULL;
	socket->ring = ring;
	socket->fd = fd;
	socket->state = SOCKET_OPEN;
	socket->receive_state = RECEIVE_IDLE;
	socket->receive.handle = receive_handle;
	socket->sent.handle = sent_handle;
	socket->first_held = RECEIVE_BUFFER_NONE;
	socket->last_held = RECEIVE_BUFFER_NONE;
	list_init(&socket->link);
	socket_tune(fd);
	socket_addresses_read(socket);
	return socket;
}
