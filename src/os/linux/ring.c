/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - one io_uring per reactor: submission, completion, sleep and wake.
 *
 * Invariants:
 *  1. The ring is bound to the thread of its first turn (or of a submission that finds the queue
 *     full before it); only that thread enters the kernel for it afterwards.
 *  2. A read of the event descriptor is always armed, so a write to it ends any sleep.
 *  3. The descriptor is written only by whoever finds the owner SLEEPING; every other wake costs
 *     one atomic exchange. Each turn takes the wake, so the owner looks for its cause afterwards.
 *  4. A completion is taken out of the queue before its handler runs, and handlers only prepare
 *     submissions, so a handler that meets a full submission queue, or prepares the first transfer
 *     of a turn, can hand the queue over safely.
 */
#include "base/memory.h"
#include "os/linux/ring_impl.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define CQ_FACTOR     8
#define ENTRIES_MIN   8
#define ENTRIES_MAX   32768
#define NS_PER_SECOND 1000000000ull

/* Set in io_uring.int_flags by liburing while the ring's descriptor is registered. */
#define REGISTERED_RING_FLAG 1

/* Best first; a kernel that refuses one gets the next. */
static const unsigned setup_flags[] = {
	[RING_DEFERRED] = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			  IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
			  IORING_SETUP_R_DISABLED,
	[RING_COOPERATIVE] =
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
	[RING_PLAIN] = 0,
};

static void ring_enable(struct os_ring *ring)
{
	int rc;

	ASSERT(!ring->is_enabled);
	if ((ring->uring.flags & IORING_SETUP_R_DISABLED) != 0) {
		/* liburing 2.3 declares io_uring_enable_rings(), but its library lacks it. */
		rc = io_uring_register((unsigned)ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
				       NULL, 0);
		ASSERT(rc == 0);
	}
	ring->is_enabled = true;
	ring->owner_thread = gettid();
	/* Saves a reference count per system call; everything works without. */
	(void)io_uring_register_ring_fd(&ring->uring);
}

/* What io_uring_enter() may say while the ring is sound; the next turn tries again. */
static bool is_passing_refusal(int rc)
{
	return rc == -EINTR || rc == -ETIME || rc == -EAGAIN || rc == -EBUSY;
}

/* Before each entry into the kernel. */
static void enter_count(struct os_ring *ring)
{
	uint64_t count = atomic_load_explicit(&ring->enter_count, memory_order_relaxed);

	atomic_store_explicit(&ring->enter_count, count + 1, memory_order_relaxed);
}

static unsigned kernel_flags(const struct os_ring *ring)
{
	return IO_URING_READ_ONCE(*ring->uring.sq.kflags);
}

struct io_uring_sqe *ring_submission(struct os_ring *ring, struct completion *completion)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	ASSERT(completion->handle != NULL);
	while (__builtin_expect(sqe == NULL, 0)) {
		int rc;

		REACHED("ring_submission_queue_full");
		if (!ring->is_enabled)
			ring_enable(ring);
		enter_count(ring);
		rc = io_uring_submit(&ring->uring);
		ASSERT(rc >= 0 || is_passing_refusal(rc));
		if (rc < 0)
			sched_yield();
		sqe = io_uring_get_sqe(&ring->uring);
	}
	ring->in_flight++;
	/* The prepare functions leave it alone. */
	io_uring_sqe_set_data(sqe, completion);
	return sqe;
}

void ring_transfer_prepared(struct os_ring *ring)
{
	int rc;

	ASSERT(ring->transfer_count < ring->transfer_batch);
	if (!ring->is_enabled)
		return;
	ring->transfer_count++;
	if (ring->transfer_count < ring->transfer_batch)
		return;
	ring->transfer_count = 0;
	ring->transfer_batch *= 2;
	enter_count(ring);
	rc = io_uring_submit(&ring->uring);
	ASSERT(rc >= 0 || is_passing_refusal(rc));
}

static void cancelled_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_ring *ring = container_of(completion, struct os_ring, cancelled);

	(void)result; /* whatever was to be cancelled tells its own outcome */
	(void)flags;
	ASSERT(ring->cancels_in_flight > 0);
	ring->cancels_in_flight--;
}

void ring_cancel(struct os_ring *ring, struct completion *completion)
{
	struct io_uring_sqe *sqe = ring_submission(ring, &ring->cancelled);

	ASSERT(completion != &ring->cancelled);
	ring->cancels_in_flight++;
	io_uring_prep_cancel(sqe, completion, 0);
}

static void wake_arm(struct os_ring *ring)
{
	struct io_uring_sqe *sqe = ring_submission(ring, &ring->woken);

	io_uring_prep_read(sqe, ring->wake_fd, &ring->wake_count, sizeof(ring->wake_count), 0);
}

static void woken_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_ring *ring = container_of(completion, struct os_ring, woken);

	(void)flags;
	COUNT_IF(result != (int32_t)sizeof(ring->wake_count), "ring_wake_read_odd");
	wake_arm(ring);
}

static int ring_setup(struct os_ring *ring, uint32_t entries, enum ring_kind best)
{
	int rc = -EINVAL;

	for (size_t i = best; i < sizeof(setup_flags) / sizeof(setup_flags[0]); i++) {
		struct io_uring_params params = {
			.flags = setup_flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
			.cq_entries = entries * CQ_FACTOR,
		};

		rc = io_uring_queue_init_params(entries, &ring->uring, &params);
		if (rc != -EINVAL)
			break;
	}
	if (rc < 0)
		return rc;
	/* Without these a sleep costs an operation, and completions could be lost. */
	if ((ring->uring.features & IORING_FEAT_EXT_ARG) == 0 ||
	    (ring->uring.features & IORING_FEAT_NODROP) == 0) {
		io_uring_queue_exit(&ring->uring);
		return -ENOSYS;
	}
	return 0;
}

int ring_create(struct os *os, const struct os_ring_options *options, enum ring_kind best,
		struct os_ring **ret_ring)
{
	struct os_ring *ring;
	int rc;

	ASSERT(os != NULL);
	ASSERT(options->entries >= ENTRIES_MIN && options->entries <= ENTRIES_MAX);
	ring = memory_alloc(sizeof(*ring));
	if (ring == NULL)
		return -ENOMEM;
	ring->os = os;
	ring->cancelled.handle = cancelled_handle;
	ring->woken.handle = woken_handle;
	ring->has_multishot_accept = true;
	ring->transfer_batch = 1;
	list_init(&ring->overfull);
	atomic_init(&ring->wake_state, WAKE_AWAKE);
	/* Blocking on purpose: a non-blocking descriptor would make the armed read fail. */
	ring->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (ring->wake_fd < 0) {
		rc = -errno;
		goto fail_ring;
	}
	rc = ring_setup(ring, options->entries, best);
	if (rc < 0)
		goto fail_wake;
	rc = receive_pool_init(ring, options->receive_buffer_count, options->receive_buffer_bytes);
	if (rc < 0)
		goto fail_uring;
	ring->has_multishot_receive = ring->receive.kernel_ring != NULL;
	ring->has_fixed_table =
		io_uring_register_buffers_sparse(&ring->uring, RING_FIXED_COUNT_MAX) == 0;
	wake_arm(ring);
	*ret_ring = ring;
	return 0;

fail_uring:
	io_uring_queue_exit(&ring->uring);
fail_wake:
	close(ring->wake_fd);
fail_ring:
	memory_free(ring);
	return rc;
}

int os_ring_create(struct os *os, const struct os_ring_options *options, struct os_ring **ret_ring)
{
	return ring_create(os, options, RING_DEFERRED, ret_ring);
}

void os_ring_destroy(struct os_ring *ring)
{
	if (ring == NULL)
		return;
	ASSERT(ring->in_flight == ring->cancels_in_flight + 1); /* the armed wake */
	ASSERT(ring->receive.held_count == 0);
	ASSERT(list_is_empty(&ring->overfull));
	/*
	 * A registered descriptor belongs to the thread that registered it and went with that
	 * thread; here the same slot may be another ring's.
	 */
	if (ring->is_enabled && ring->owner_thread != gettid()) {
		ring->uring.int_flags &= (__u8)~REGISTERED_RING_FLAG;
		ring->uring.enter_ring_fd = ring->uring.ring_fd;
	}
	receive_pool_deinit(ring);
	io_uring_queue_exit(&ring->uring);
	close(ring->wake_fd);
	memory_free(ring);
}

/* Sleeps until something completes, somebody wakes, or the time has come. */
static void ring_sleep(struct os_ring *ring, uint64_t wait_until_ns)
{
	struct __kernel_timespec timeout;
	struct __kernel_timespec *timeout_used = NULL;
	struct io_uring_cqe *cqe;
	uint32_t expected = WAKE_AWAKE;
	unsigned wait_count = 1;
	int rc;

	if (wait_until_ns != OS_WAIT_FOREVER) {
		uint64_t now_ns = os_clock_now_ns(ring->os);
		uint64_t left_ns = wait_until_ns > now_ns ? wait_until_ns - now_ns : 0;

		timeout.tv_sec = (int64_t)(left_ns / NS_PER_SECOND);
		timeout.tv_nsec = (long long)(left_ns % NS_PER_SECOND);
		timeout_used = &timeout;
		if (left_ns == 0)
			wait_count = 0;
	}
	if (!atomic_compare_exchange_strong(&ring->wake_state, &expected, WAKE_SLEEPING))
		wait_count = 0;
	enter_count(ring);
	if (wait_count > 0)
		rc = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, timeout_used, NULL);
	else
		rc = io_uring_submit_and_get_events(&ring->uring);
	ASSERT(rc >= 0 || is_passing_refusal(rc));
}

uint32_t os_ring_turn(struct os_ring *ring, uint64_t wait_until_ns)
{
	uint32_t count = 0;
	unsigned ready;
	int rc;

	if (!ring->is_enabled)
		ring_enable(ring);
	if (!list_is_empty(&ring->overfull))
		socket_settle_overfull(ring);
	if (wait_until_ns != OS_WAIT_NOT && io_uring_cq_ready(&ring->uring) == 0) {
		ring_sleep(ring, wait_until_ns);
	} else if (io_uring_sq_ready(&ring->uring) > 0 ||
		   (kernel_flags(ring) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
		enter_count(ring);
		rc = io_uring_submit_and_get_events(&ring->uring);
		ASSERT(rc >= 0 || is_passing_refusal(rc));
	}
	/* Acquire: whatever the waker did before its wake is seen after this turn. */
	if (atomic_load_explicit(&ring->wake_state, memory_order_relaxed) != WAKE_AWAKE)
		atomic_exchange(&ring->wake_state, WAKE_AWAKE);

	ring->transfer_count = 0;
	ring->transfer_batch = 1;
	/* Only what is there now: handlers may complete more, and the turn shall end. */
	ready = io_uring_cq_ready(&ring->uring);
	for (; count < ready; count++) {
		unsigned head = *ring->uring.cq.khead;
		const struct io_uring_cqe *cqe =
			&ring->uring.cq.cqes[head & ring->uring.cq.ring_mask];
		struct completion *completion = io_uring_cqe_get_data(cqe);
		int32_t result = cqe->res;
		uint32_t flags = cqe->flags;

		io_uring_cq_advance(&ring->uring, 1);
		if ((flags & IORING_CQE_F_MORE) == 0) {
			ASSERT(ring->in_flight > 0);
			ring->in_flight--;
		}
		completion->handle(completion, result, flags);
	}
	return count;
}

bool os_ring_has_completions(const struct os_ring *ring)
{
	return io_uring_cq_ready(&ring->uring) > 0 || io_uring_sq_ready(&ring->uring) > 0 ||
	       (kernel_flags(ring) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0 ||
	       atomic_load_explicit(&ring->wake_state, memory_order_relaxed) == WAKE_WOKEN;
}

void os_ring_wake(struct os_ring *ring)
{
	const uint64_t one = 1;
	int saved_errno = errno;
	ssize_t rc;

	/* Releases what the caller did before; see os_ring_turn(). */
	if (atomic_exchange(&ring->wake_state, WAKE_WOKEN) != WAKE_SLEEPING)
		return;
	do {
		rc = write(ring->wake_fd, &one, sizeof(one));
	} while (rc < 0 && errno == EINTR);
	errno = saved_errno;
}

/* The CPU clock of a thread, by its number: what pthread_getcpuclockid() makes of a pthread_t. */
static clockid_t thread_clock(pid_t thread)
{
	const unsigned of_thread = 4, of_scheduler = 2;

	return (clockid_t)(~(unsigned)thread << 3 | of_thread | of_scheduler);
}

void os_ring_stats(const struct os_ring *ring, struct os_ring_stats *ret_stats)
{
	pid_t thread = atomic_load_explicit(&ring->owner_thread, memory_order_relaxed);
	struct timespec used = {0};

	/* Refused when the thread has ended: nothing is known then. */
	if (thread != 0 && clock_gettime(thread_clock(thread), &used) < 0)
		used = (struct timespec){0};
	*ret_stats = (struct os_ring_stats){
		.enters = atomic_load_explicit(&ring->enter_count, memory_order_relaxed),
		.cpu_ns = (uint64_t)used.tv_sec * NS_PER_SECOND + (uint64_t)used.tv_nsec,
	};
}

bool os_ring_buffers_register(struct os_ring *ring, void *memory, size_t size_bytes)
{
	uint64_t piece_count = (size_bytes + RING_FIXED_BYTES_MAX - 1) / RING_FIXED_BYTES_MAX;
	uint8_t *bytes = memory;
	uint32_t first = ring->fixed_count;

	ASSERT(memory != NULL && size_bytes > 0);
	if (!ring->has_fixed_table || piece_count > RING_FIXED_COUNT_MAX - ring->fixed_count)
		return false;
	for (uint64_t i = 0; i < piece_count; i++) {
		uint64_t offset = i * RING_FIXED_BYTES_MAX;
		uint64_t left = size_bytes - offset;
		struct iovec *fixed = &ring->fixed[first + i];
		__u64 tag = 0;

		fixed->iov_base = bytes + offset;
		fixed->iov_len = left < RING_FIXED_BYTES_MAX ? left : RING_FIXED_BYTES_MAX;
		/* Pieces registered before a refusal stay registered, but unused. */
		if (io_uring_register_buffers_update_tag(&ring->uring, (unsigned)(first + i), fixed,
							 &tag, 1) != 1)
			return false;
	}
	ring->fixed_count += (uint32_t)piece_count;
	return true;
}

int ring_fixed_find(const struct os_ring *ring, const struct iovec *iov)
{
	uintptr_t begin = (uintptr_t)iov->iov_base;

	for (uint32_t i = 0; i < ring->fixed_count; i++) {
		uintptr_t fixed_begin = (uintptr_t)ring->fixed[i].iov_base;

		if (begin >= fixed_begin && begin - fixed_begin <= ring->fixed[i].iov_len &&
		    iov->iov_len <= ring->fixed[i].iov_len - (begin - fixed_begin))
			return (int)i;
	}
	return -1;
}
