/* SPDX-License-Identifier: Apache-2.0 */
/* floor_side.h - one thread of mayastor-floor: a ring, its connections, and nothing between them.
 *
 * Written on liburing alone, beneath the seam and the reactor: what they cost is to be seen when
 * the engine is compared with it.
 */
#ifndef BENCH_FLOOR_SIDE_H
#define BENCH_FLOOR_SIDE_H

#include "bench/histogram.h"

#include <liburing.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FLOOR_DEPTH_MAX	      1024
#define FLOOR_CONNECTIONS_MAX 256
#define FLOOR_SIZE_BYTES_MAX  (128 * 1024)
#define FLOOR_SEND_MESSAGES   64 /* at a time, of a connection */

struct floor_options {
	bool is_write;
	bool is_json;
	uint32_t size_bytes;
	uint32_t depth;
	uint32_t connections;
	uint64_t duration_ns;
	uint64_t spin_ns; /* looks at the ring for so long before it sleeps */
	int server_core;
	int client_core;
};

/* One end of a connection. */
struct floor_peer {
	int fd;
	bool is_sending;
	bool is_receiving;
	bool is_listed; /* among those that owe */
	uint32_t partial_bytes;
	uint32_t owed;	    /* messages to send */
	uint32_t iov_count; /* under way */
	uint32_t iov_first;
	struct msghdr message;
	struct iovec iov[FLOOR_SEND_MESSAGES];
	uint32_t started_first; /* ring of begin times, client only */
	uint32_t started_count;
	uint64_t started_ns[FLOOR_DEPTH_MAX];
};

struct floor_side {
	const struct floor_options *options;
	bool is_client;
	uint32_t in_bytes;  /* of a message that comes */
	uint32_t out_bytes; /* of one that goes */
	uint8_t *message;
	struct io_uring ring;
	struct io_uring_buf_ring *buffer_ring;
	uint8_t *buffers;
	struct floor_peer *peers;
	uint32_t peer_count;
	uint32_t owing[FLOOR_CONNECTIONS_MAX]; /* indices of peers */
	uint32_t owing_count;
	_Atomic bool *is_over; /* told by the client, heard by the server */
	uint32_t out_count;    /* exchanges in flight, client only */
	int error;
	uint64_t begun_ns;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t enter_count; /* system calls */
	struct histogram latency_ns;
};

/** Makes the ring and its buffers. Context: the thread that runs it. Return: 0 or negative errno.
 */
int floor_side_open(struct floor_side *side);
void floor_side_close(struct floor_side *side);

/** Exchanges messages until the time is over (client) or its peers have left (server). */
void floor_side_run(struct floor_side *side);

#endif
