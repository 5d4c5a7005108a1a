/* SPDX-License-Identifier: Apache-2.0 */
/* ring_impl.h - what the files of os/linux share: the ring, its buffers, its completions.
 *
 * Everything here belongs to the ring's thread, except the wake state.
 */
#ifndef OS_LINUX_RING_IMPL_H
#define OS_LINUX_RING_IMPL_H

#include "base/list.h"
#include "os/os_ring.h"

#include <liburing.h>
#include <stdatomic.h>
#include <sys/types.h>

/* Registered disk buffers: the kernel takes at most 1 GiB in one piece. */
#define RING_FIXED_COUNT_MAX 16
#define RING_FIXED_BYTES_MAX (1ull << 30)

#define RECEIVE_BUFFER_NONE UINT32_MAX

struct os {
	uint32_t core_count;
};

/*
 * What a submission's user data points to. It must live until the completion without
 * IORING_CQE_F_MORE was handled; the handler may free it then.
 */
struct completion {
	void (*handle)(struct completion *completion, int32_t result, uint32_t flags);
};

/* One shared receive buffer; in the list of the socket that holds it. */
struct receive_buffer {
	uint32_t next;
	uint32_t size_bytes;
};

/*
 * Receive buffers that the kernel hands to whichever socket has data.
 * Invariant: with the kernel or in a completion + held_count = count.
 */
struct receive_pool {
	struct io_uring_buf_ring *kernel_ring; /* NULL: the kernel has no such thing */
	struct receive_buffer *buffers;
	uint8_t *bytes;
	uint32_t count;
	uint32_t buffer_bytes;
	uint32_t held_count; /* by sockets */
};

enum wake_state {
	WAKE_AWAKE,    /* the owner runs */
	WAKE_SLEEPING, /* the owner is about to sleep: only the event descriptor reaches it */
	WAKE_WOKEN,    /* somebody wants the owner's attention */
};

/* How completions come about, best first: what a kernel refuses, the next kind does. */
enum ring_kind {
	RING_DEFERRED,	  /* when the owner asks for them */
	RING_COOPERATIVE, /* when the owner enters the kernel anyway */
	RING_PLAIN,	  /* by interruption */
};

struct os_ring {
	struct io_uring uring;
	struct os *os;
	bool is_enabled;	      /* bound to its thread */
	_Atomic pid_t owner_thread;   /* 0 before it is enabled */
	_Atomic uint64_t enter_count; /* written by the owner alone */
	uint32_t in_flight;	      /* submissions whose last completion is out, cancels too */
	uint32_t cancels_in_flight;   /* of them, cancels */
	struct completion cancelled;
	uint32_t transfer_count; /* prepared in this turn and not handed over */
	uint32_t transfer_batch; /* so many are handed over together; doubles within a turn */

	_Atomic uint32_t wake_state; /* of enum wake_state */
	int wake_fd;
	uint64_t wake_count; /* where the kernel puts the event descriptor's content */
	struct completion woken;

	struct receive_pool receive;
	bool has_multishot_receive;
	bool has_multishot_accept;
	struct list_node overfull; /* sockets that hold more buffers than they may */

	struct iovec fixed[RING_FIXED_COUNT_MAX];
	uint32_t fixed_count;
	bool has_fixed_table;
};

/* os_ring_create() for a kernel that knows no kind better than @best. */
int ring_create(struct os *os, const struct os_ring_options *options, enum ring_kind best,
		struct os_ring **ret_ring) __attribute__((warn_unused_result));

/*
 * A submission whose last completion goes to @completion. Never NULL: a full queue is handed to
 * the kernel first.
 */
struct io_uring_sqe *ring_submission(struct os_ring *ring, struct completion *completion);

/*
 * A transfer of a disk was prepared: the first of a turn is handed to the kernel at once, so that
 * the disk works while the others are prepared, then two together, then four ...
 */
void ring_transfer_prepared(struct os_ring *ring);

/* Asks for the end of what was submitted with @completion, which still completes as usual. */
void ring_cancel(struct os_ring *ring, struct completion *completion);

/* Index of the registered memory in which @iov lies, or -1. */
int ring_fixed_find(const struct os_ring *ring, const struct iovec *iov);

int receive_pool_init(struct os_ring *ring, uint32_t count, uint32_t buffer_bytes)
	__attribute__((warn_unused_result));
void receive_pool_deinit(struct os_ring *ring);
uint8_t *receive_pool_bytes(struct receive_pool *pool, uint32_t index);
/* The kernel filled @index for a socket. */
void receive_pool_take(struct receive_pool *pool, uint32_t index, uint32_t size_bytes);
/* Gives @index back to the kernel. */
void receive_pool_return(struct receive_pool *pool, uint32_t index);

/* Cancels the reception of sockets whose readers left them with too many buffers. */
void socket_settle_overfull(struct os_ring *ring);

#endif
