/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - accepts connections.
 *
 * One multishot accept is armed as long as there is room for accepted sockets; a shortage of
 * descriptors or memory stops it for RETRY_MS, so that it neither dies nor spins.
 *
 * Invariants:
 *  1. At most one of accept and pause is in flight (an accept that is being cancelled counts).
 *  2. At most ACCEPTED_MAX sockets, and those that arrive while the accept is being cancelled,
 *     wait to be taken.
 */
#include "base/memory.h"
#include "os/linux/socket_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG	     1024 /* the kernel lowers it to its own limit */
#define ACCEPTED_MAX 256
#define RETRY_NS     100000000

enum listener_activity {
	LISTENER_IDLE,
	LISTENER_ACCEPTING,
	LISTENER_PAUSING,
};

struct os_listener {
	struct os_ring *ring;
	int fd;
	enum listener_activity activity;
	bool is_cancelled; /* the activity was asked to end */
	bool is_closing;
	struct op *acceptor;
	struct op *close_parent;
	struct list_node accepted;
	uint32_t accepted_count;
	struct completion accept;
	struct completion pause;
	struct __kernel_timespec pause_time;
	struct os_address address;
};

static void accept_arm(struct os_listener *listener)
{
	struct io_uring_sqe *sqe;

	if (listener->is_closing || listener->activity != LISTENER_IDLE ||
	    listener->accepted_count >= ACCEPTED_MAX)
		return;
	listener->activity = LISTENER_ACCEPTING;
	sqe = ring_submission(listener->ring, &listener->accept);
	if (listener->ring->has_multishot_accept)
		io_uring_prep_multishot_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
	else
		io_uring_prep_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
}

static void pause_arm(struct os_listener *listener)
{
	struct io_uring_sqe *sqe;

	ASSERT(listener->activity == LISTENER_IDLE);
	REACHED("listener_pauses");
	listener->activity = LISTENER_PAUSING;
	listener->pause_time.tv_nsec = RETRY_NS;
	sqe = ring_submission(listener->ring, &listener->pause);
	io_uring_prep_timeout(sqe, &listener->pause_time, 0, 0);
}

static void activity_cancel(struct os_listener *listener)
{
	if (listener->activity == LISTENER_IDLE || listener->is_cancelled)
		return;
	listener->is_cancelled = true;
	ring_cancel(listener->ring, listener->activity == LISTENER_ACCEPTING ? &listener->accept
									     : &listener->pause);
}

static void accepted_add(struct os_listener *listener, int fd)
{
	struct os_socket *socket;

	if (listener->is_closing) {
		close(fd);
		return;
	}
	socket = socket_create(listener->ring, fd);
	COUNT_IF(socket == NULL, "listener_without_memory");
	if (socket == NULL) {
		close(fd);
		return;
	}
	list_push_back(&listener->accepted, &socket->link);
	listener->accepted_count++;
	op_wake(listener->acceptor);
	if (listener->accepted_count >= ACCEPTED_MAX)
		activity_cancel(listener);
}

static struct os_socket *accepted_pop(struct os_listener *listener)
{
	struct list_node *node = list_pop_front(&listener->accepted);

	if (node == NULL)
		return NULL;
	ASSERT(listener->accepted_count > 0);
	listener->accepted_count--;
	return list_entry(node, struct os_socket, link);
}

static void listener_leave(struct os_listener *listener)
{
	struct op *parent = listener->close_parent;
	struct os_socket *socket;

	ASSERT(listener->is_closing);
	if (listener->activity != LISTENER_IDLE)
		return;
	while ((socket = accepted_pop(listener)) != NULL)
		socket_destroy(socket);
	close(listener->fd);
	memory_free(listener);
	op_done(parent);
}

/* Shortages end by themselves; what happened to one connection does not concern the next. */
static bool accept_must_pause(int32_t result)
{
	return result < 0 && result != -ECONNABORTED && result != -EINTR && result != -EAGAIN &&
	       result != -ECANCELED && result != -EPROTO;
}

static void accept_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_listener *listener = container_of(completion, struct os_listener, accept);
	bool was_refused = result == -EINVAL && listener->ring->has_multishot_accept;

	ASSERT(listener->activity == LISTENER_ACCEPTING);
	if ((flags & IORING_CQE_F_MORE) == 0) {
		listener->activity = LISTENER_IDLE;
		listener->is_cancelled = false;
	}
	if (result >= 0)
		accepted_add(listener, result);
	else if (was_refused)
		listener->ring->has_multishot_accept = false;
	if (listener->is_closing)
		listener_leave(listener); /* @listener may be gone */
	else if (listener->activity == LISTENER_IDLE && !was_refused && accept_must_pause(result))
		pause_arm(listener);
	else
		accept_arm(listener);
}

static void pause_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_listener *listener = container_of(completion, struct os_listener, pause);

	(void)result;
	(void)flags;
	ASSERT(listener->activity == LISTENER_PAUSING);
	listener->activity = LISTENER_IDLE;
	listener->is_cancelled = false;
	if (listener->is_closing)
		listener_leave(listener);
	else
		accept_arm(listener);
}

static bool address_is_any_ipv6(const struct os_address *address)
{
	struct sockaddr_in6 ipv6;

	if (!os_address_is_ipv6(address))
		return false;
	memcpy(&ipv6, &address->storage, sizeof(ipv6));
	return IN6_IS_ADDR_UNSPECIFIED(&ipv6.sin6_addr);
}

static int listener_bind(const struct os_address *address)
{
	const int one = 1;
	const int zero = 0;
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address_is_any_ipv6(address))
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, (const struct sockaddr *)&address->storage, address->size) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int os_listener_open(struct os_ring *ring, const struct os_address *address, struct op *acceptor,
		     struct os_listener **ret_listener)
{
	struct os_listener *listener;
	int rc;

	ASSERT(acceptor != NULL);
	listener = memory_alloc(sizeof(*listener));
	if (listener == NULL)
		return -ENOMEM;
	listener->ring = ring;
	listener->acceptor = acceptor;
	listener->accept.handle = accept_handle;
	listener->pause.handle = pause_handle;
	list_init(&listener->accepted);
	listener->fd = listener_bind(address);
	/* A host without IPv6: any address means any IPv4 address. */
	if ((listener->fd == -EAFNOSUPPORT || listener->fd == -EADDRNOTAVAIL) &&
	    address_is_any_ipv6(address)) {
		struct os_address any;

		rc = os_address_parse("0.0.0.0", os_address_port(address), &any);
		ASSERT(rc == 0);
		listener->fd = listener_bind(&any);
	}
	if (listener->fd < 0) {
		rc = listener->fd;
		goto fail_listener;
	}
	listener->address.size = sizeof(listener->address.storage);
	rc = getsockname(listener->fd, (struct sockaddr *)&listener->address.storage,
			 &listener->address.size);
	if (rc < 0) {
		rc = -errno;
		goto fail_descriptor;
	}
	accept_arm(listener);
	*ret_listener = listener;
	return 0;

fail_descriptor:
	close(listener->fd);
fail_listener:
	memory_free(listener);
	return rc;
}

struct os_socket *os_listener_accept(struct os_listener *listener)
{
	struct os_socket *socket = accepted_pop(listener);

	ASSERT(!listener->is_closing);
	accept_arm(listener);
	return socket;
}

void os_listener_address(const struct os_listener *listener, struct os_address *ret_address)
{
	*ret_address = listener->address;
}

void os_listener_close(struct os_listener *listener, struct op *parent)
{
	ASSERT(!listener->is_closing);
	listener->is_closing = true;
	listener->close_parent = parent;
	activity_cancel(listener);
	listener_leave(listener);
}
