/* SPDX-License-Identifier: Apache-2.0 */
/* floor_side.c - the loop of one side: reap, count messages, send what is owed, wait.
 *
 * Reception is multishot into buffers that the kernel chooses; each connection has one sendmsg
 * out at most; all of a turn's submissions, and the wait, are one system call.
 *
 * Invariants:
 *  1. Messages received times their size, plus the part of the next one, is all that came in.
 *  2. A peer is in the list of those that owe exactly while it owes and sends nothing.
 */
#include "bench/floor_side.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define RING_ENTRIES 1024
#define CQ_ENTRIES   8192
#define BUFFER_COUNT 64
#define BUFFER_BYTES (128 * 1024)
#define GROUP	     0
#define LOOKS	     32 /* at the ring between two at the clock */
#define SEND_BIT     1u /* in user data, beside the peer's index */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void buffer_offer(struct floor_side *side, uint32_t index)
{
	io_uring_buf_ring_add(side->buffer_ring, side->buffers + (size_t)index * BUFFER_BYTES,
			      BUFFER_BYTES, (unsigned short)index,
			      io_uring_buf_ring_mask(BUFFER_COUNT), 0);
	io_uring_buf_ring_advance(side->buffer_ring, 1);
}

static void *pages_map(size_t size_bytes)
{
	void *pages = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

static int buffers_open(struct floor_side *side)
{
	struct io_uring_buf_reg registration = {.ring_entries = BUFFER_COUNT, .bgid = GROUP};
	int rc;

	side->buffer_ring = pages_map(BUFFER_COUNT * sizeof(struct io_uring_buf));
	side->buffers = pages_map((size_t)BUFFER_COUNT * BUFFER_BYTES);
	if (side->buffer_ring == NULL || side->buffers == NULL)
		return -ENOMEM;
	registration.ring_addr = (uintptr_t)side->buffer_ring;
	rc = io_uring_register_buf_ring(&side->ring, &registration, 0);
	if (rc < 0)
		return rc;
	io_uring_buf_ring_init(side->buffer_ring);
	for (uint32_t i = 0; i < BUFFER_COUNT; i++)
		buffer_offer(side, i);
	return 0;
}

int floor_side_open(struct floor_side *side)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	int rc = io_uring_queue_init_params(RING_ENTRIES, &side->ring, &params);

	if (rc < 0)
		return rc;
	(void)io_uring_register_ring_fd(&side->ring);
	rc = buffers_open(side);
	if (rc < 0)
		floor_side_close(side);
	return rc;
}

void floor_side_close(struct floor_side *side)
{
	io_uring_queue_exit(&side->ring);
	if (side->buffer_ring != NULL)
		munmap(side->buffer_ring, BUFFER_COUNT * sizeof(struct io_uring_buf));
	if (side->buffers != NULL)
		munmap(side->buffers, (size_t)BUFFER_COUNT * BUFFER_BYTES);
}

static struct io_uring_sqe *submission(struct floor_side *side)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&side->ring);

	while (sqe == NULL) {
		side->enter_count++;
		io_uring_submit(&side->ring);
		sqe = io_uring_get_sqe(&side->ring);
	}
	return sqe;
}

static void receive_arm(struct floor_side *side, uint32_t index)
{
	struct io_uring_sqe *sqe = submission(side);

	io_uring_prep_recv_multishot(sqe, side->peers[index].fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	io_uring_sqe_set_data64(sqe, (uint64_t)index << 1);
	side->peers[index].is_receiving = true;
}

static void peer_list(struct floor_side *side, uint32_t index)
{
	struct floor_peer *peer = &side->peers[index];

	if (peer->owed == 0 || peer->is_sending || peer->is_listed)
		return;
	peer->is_listed = true;
	side->owing[side->owing_count++] = index;
}

static void send_submit(struct floor_side *side, uint32_t index)
{
	struct floor_peer *peer = &side->peers[index];
	struct io_uring_sqe *sqe = submission(side);

	peer->message.msg_iov = peer->iov + peer->iov_first;
	peer->message.msg_iovlen = peer->iov_count - peer->iov_first;
	io_uring_prep_sendmsg(sqe, peer->fd, &peer->message, MSG_WAITALL | MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, (uint64_t)index << 1 | SEND_BIT);
	peer->is_sending = true;
}

static void peer_send(struct floor_side *side, uint32_t index, uint64_t now_ns)
{
	struct floor_peer *peer = &side->peers[index];
	uint32_t count = peer->owed < FLOOR_SEND_MESSAGES ? peer->owed : FLOOR_SEND_MESSAGES;

	for (uint32_t i = 0; i < count; i++) {
		peer->iov[i] = (struct iovec){side->message, side->out_bytes};
		if (!side->is_client)
			continue;
		peer->started_ns[(peer->started_first + peer->started_count) % FLOOR_DEPTH_MAX] =
			now_ns;
		peer->started_count++;
		side->out_count++;
	}
	peer->owed -= count;
	peer->iov_first = 0;
	peer->iov_count = count;
	send_submit(side, index);
}

static void owed_send(struct floor_side *side, uint64_t now_ns)
{
	for (uint32_t i = 0; i < side->owing_count; i++) {
		side->peers[side->owing[i]].is_listed = false;
		peer_send(side, side->owing[i], now_ns);
	}
	side->owing_count = 0;
}

static void message_came(struct floor_side *side, struct floor_peer *peer, uint64_t now_ns)
{
	if (side->is_client) {
		ASSERT(peer->started_count > 0);
		histogram_record(&side->latency_ns, now_ns - peer->started_ns[peer->started_first]);
		peer->started_first = (peer->started_first + 1) % FLOOR_DEPTH_MAX;
		peer->started_count--;
		side->out_count--;
		if (now_ns - side->begun_ns >= side->options->duration_ns)
			return;
	}
	peer->owed++;
}

static void received(struct floor_side *side, uint32_t index, const struct io_uring_cqe *cqe,
		     uint64_t now_ns)
{
	struct floor_peer *peer = &side->peers[index];
	uint32_t size = cqe->res > 0 ? (uint32_t)cqe->res : 0;

	if ((cqe->flags & IORING_CQE_F_BUFFER) != 0)
		buffer_offer(side, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	for (size += peer->partial_bytes; size >= side->in_bytes; size -= side->in_bytes)
		message_came(side, peer, now_ns);
	peer->partial_bytes = size;
	if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
		peer->is_receiving = false;
		if (cqe->res > 0 || cqe->res == -ENOBUFS)
			receive_arm(side, index);
		else if (side->is_client)
			side->error = cqe->res < 0 ? cqe->res : -ECONNRESET;
	}
	peer_list(side, index);
}

/* Moves on by @size bytes; the rest of a short one goes out at once. */
static void sent(struct floor_side *side, uint32_t index, int32_t result)
{
	struct floor_peer *peer = &side->peers[index];
	size_t size = result > 0 ? (size_t)result : 0;

	if (result < 0)
		side->error = result;
	while (peer->iov_first < peer->iov_count && size >= peer->iov[peer->iov_first].iov_len)
		size -= peer->iov[peer->iov_first++].iov_len;
	peer->is_sending = false;
	if (side->error == 0 && peer->iov_first < peer->iov_count) {
		peer->iov[peer->iov_first].iov_base =
			(uint8_t *)peer->iov[peer->iov_first].iov_base + size;
		peer->iov[peer->iov_first].iov_len -= size;
		send_submit(side, index);
		return;
	}
	peer_list(side, index);
}

static void reap(struct floor_side *side)
{
	uint64_t now_ns = side->is_client ? clock_ns(CLOCK_MONOTONIC) : 0;
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&side->ring, head, cqe)
	{
		uint64_t data = io_uring_cqe_get_data64(cqe);

		count++;
		if ((data & SEND_BIT) != 0)
			sent(side, (uint32_t)(data >> 1), cqe->res);
		else
			received(side, (uint32_t)(data >> 1), cqe, now_ns);
	}
	io_uring_cq_advance(&side->ring, count);
	owed_send(side, now_ns);
}

static bool has_event(struct floor_side *side)
{
	unsigned flags = IO_URING_READ_ONCE(*side->ring.sq.kflags);

	return io_uring_cq_ready(&side->ring) > 0 ||
	       (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* Return: false when the time to look is over and nothing came. */
static bool spin(struct floor_side *side)
{
	uint64_t begun_ns;

	if (has_event(side))
		return true;
	if (side->options->spin_ns == 0)
		return false;
	begun_ns = clock_ns(CLOCK_MONOTONIC);
	do {
		for (int look = 0; look < LOOKS; look++) {
			if (has_event(side))
				return true;
#if defined(__x86_64__)
			__builtin_ia32_pause();
#endif
		}
		if (!side->is_client && atomic_load(side->is_over))
			return true;
	} while (clock_ns(CLOCK_MONOTONIC) - begun_ns < side->options->spin_ns);
	return false;
}

static void turn(struct floor_side *side)
{
	struct __kernel_timespec patience = {.tv_nsec = 100000000};
	struct io_uring_cqe *cqe;

	if (io_uring_sq_ready(&side->ring) > 0 && side->options->spin_ns > 0) {
		side->enter_count++;
		io_uring_submit_and_get_events(&side->ring);
	}
	if (!spin(side)) {
		side->enter_count++;
		io_uring_submit_and_wait_timeout(&side->ring, &cqe, 1, &patience, NULL);
	} else if (io_uring_cq_ready(&side->ring) == 0 || io_uring_sq_ready(&side->ring) > 0) {
		side->enter_count++;
		io_uring_submit_and_get_events(&side->ring);
	}
	reap(side);
}

static bool is_at_end(struct floor_side *side)
{
	if (side->error != 0)
		return true;
	if (!side->is_client)
		return atomic_load(side->is_over);
	return side->out_count == 0 && side->owing_count == 0;
}

void floor_side_run(struct floor_side *side)
{
	uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	side->begun_ns = clock_ns(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < side->peer_count; i++) {
		receive_arm(side, i);
		side->peers[i].owed = side->is_client ? side->options->depth : 0;
		peer_list(side, i);
	}
	owed_send(side, side->begun_ns);
	do
		turn(side);
	while (!is_at_end(side));
	side->wall_ns = clock_ns(CLOCK_MONOTONIC) - side->begun_ns;
	side->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
}
