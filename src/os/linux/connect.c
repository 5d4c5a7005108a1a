/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c - outgoing connections, and the resolver. */
#include "base/memory.h"
#include "os/linux/socket_impl.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PORT_TEXT_BYTES 8

/* Lives in os_connect.private_words. */
struct connect_request {
	struct completion completion;
	struct os_socket *socket;
	bool is_in_flight;
	bool is_cancelled;
};

STATIC_ASSERT(sizeof(struct connect_request) <= sizeof(((struct os_connect *)0)->private_words));

static struct connect_request *connect_request(struct os_connect *connect)
{
	return (struct connect_request *)(void *)connect->private_words;
}

static void connect_finish(struct os_connect *connect, int result)
{
	struct connect_request *request = connect_request(connect);
	struct os_socket *socket = request->socket;

	request->is_in_flight = false;
	request->socket = NULL;
	connect->result = result;
	connect->socket = NULL;
	if (result == 0)
		connect->socket = socket;
	else if (socket != NULL)
		socket_destroy(socket);
	op_done(connect->parent);
}

static void connect_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct connect_request *request =
		container_of(completion, struct connect_request, completion);
	struct os_connect *connect = container_of(request, struct os_connect, private_words);

	(void)flags;
	ASSERT(request->is_in_flight);
	if (request->is_cancelled && (result == -EINTR || result == -EALREADY))
		result = -ECANCELED;
	if (result == 0)
		socket_addresses_read(request->socket);
	connect_finish(connect, result > 0 ? -EIO : result);
}

void os_connect_submit(struct os_ring *ring, struct os_connect *connect)
{
	struct connect_request *request = connect_request(connect);
	struct io_uring_sqe *sqe;
	int fd;

	*request = (struct connect_request){.completion.handle = connect_handle};
	connect->socket = NULL;
	fd = socket(connect->address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		connect_finish(connect, -errno);
		return;
	}
	request->socket = socket_create(ring, fd);
	if (request->socket == NULL) {
		close(fd);
		connect_finish(connect, -ENOMEM);
		return;
	}
	request->is_in_flight = true;
	sqe = ring_submission(ring, &request->completion);
	io_uring_prep_connect(sqe, fd, (struct sockaddr *)&connect->address.storage,
			      connect->address.size);
}

void os_connect_cancel(struct os_ring *ring, struct os_connect *connect)
{
	struct connect_request *request = connect_request(connect);

	if (!request->is_in_flight || request->is_cancelled)
		return;
	request->is_cancelled = true;
	ring_cancel(ring, &request->completion);
}

int os_address_resolve(struct os *os, const char *host, uint16_t port,
		       struct os_address *ret_address)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char port_text[PORT_TEXT_BYTES];
	int rc;

	(void)os;
	if (os_address_parse(host, port, ret_address) == 0)
		return 0;
	snprintf(port_text, sizeof(port_text), "%u", (unsigned)port);
	hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
	rc = getaddrinfo(host, port_text, &hints, &found);
	if (rc == EAI_FAMILY || rc == EAI_BADFLAGS)
		return -EINVAL;
	if (rc != 0)
		return -EHOSTUNREACH;
	memset(ret_address, 0, sizeof(*ret_address));
	memcpy(&ret_address->storage, found->ai_addr, found->ai_addrlen);
	ret_address->size = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}
