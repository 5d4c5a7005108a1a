/* SPDX-License-Identifier: Apache-2.0 */
/* socket_impl.h - a TCP stream, shared by those that make sockets and the one that moves bytes. */
#ifndef OS_LINUX_SOCKET_IMPL_H
#define OS_LINUX_SOCKET_IMPL_H

#include "os/linux/ring_impl.h"
#include "os/os_socket.h"

/* Shared buffers that a socket keeps while its reader does not consume. */
#define SOCKET_HELD_MAX	     4
/* What a socket can always receive into, so that no other socket can stop it. */
#define SOCKET_PRIVATE_BYTES 8192

enum receive_state {
	RECEIVE_IDLE,
	RECEIVE_SHARED,	 /* multishot into the ring's buffers */
	RECEIVE_PRIVATE, /* once into the socket's own */
};

enum socket_state {
	SOCKET_OPEN,
	SOCKET_CLOSING,
	SOCKET_DETACHING,
	SOCKET_DETACHED,
};

struct os_socket {
	struct os_ring *ring; /* NULL while detached */
	int fd;
	enum socket_state state;
	struct op *leave_parent; /* of close or detach */
	struct list_node link;	 /* the ring's overfull sockets, or a listener's accepted ones */

	enum receive_state receive_state;
	bool is_receive_cancelled; /* asked to end */
	bool is_started;
	bool is_pool_empty; /* the last attempt found no shared buffer */
	int end;	    /* 0, or what to tell when all bytes are consumed */
	struct op *reader;
	struct completion receive;

	/* In this order bytes are shown; at most one of the last two has some. */
	uint8_t *moved; /* brought along from another ring */
	size_t moved_bytes;
	size_t moved_offset_bytes;
	uint32_t first_held; /* indices of shared buffers */
	uint32_t last_held;
	uint32_t held_count;
	uint32_t held_offset_bytes; /* consumed of the first */
	uint32_t private_bytes;
	uint32_t private_offset_bytes;

	struct os_send *send; /* NULL: none in flight */
	struct completion sent;
	struct msghdr message;

	struct os_address peer;
	struct os_address local;
	uint8_t private_memory[SOCKET_PRIVATE_BYTES];
};

/* Adopts the connected @fd; NULL when there is no memory, and @fd stays the caller's. */
struct os_socket *socket_create(struct os_ring *ring, int fd);
/* Closes a socket that has nothing in flight. */
void socket_destroy(struct os_socket *socket);
/* Asks the system for both ends' addresses; again once connected. */
void socket_addresses_read(struct os_socket *socket);

#endif
