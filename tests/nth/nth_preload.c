/* SPDX-License-Identifier: Apache-2.0 */
/* nth_preload.c - loaded before the C library into an engine of the tests, it lets the n-th call
 * fail that can: memory, files, sockets, threads, rings, and the operations put into a ring.
 *
 * NTH_FAIL=n: the n-th call of the process, 0: none. NTH_STICKY=1: and the next ones of its kind,
 * STICKY_RUN_MAX in all. NTH_REPORT=path: a file that is told what failed, and at the end of the
 * process how many calls there were.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRACE_MAX      24
#define STICKY_RUN_MAX 5

enum kind { MEMORY, MAPPING, FILES, SOCKETS, THREADS, RINGS, RING_OPERATIONS, KIND_COUNT };
static const char *const kind_texts[KIND_COUNT] = {"memory", "mapping", "file",		 "socket",
						   "thread", "ring",	"ring operation"};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static _Atomic bool is_counting;
static _Atomic unsigned long call_count;
static unsigned long fail_at;
static bool is_sticky;
static _Atomic int failed_kind = -1;
static _Atomic int failed_count;

static void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void report(const char *format, ...)
{
	const char *path = getenv("NTH_REPORT");
	char text[256];
	va_list arguments;
	int size;
	int fd;

	if (path == NULL)
		return;
	va_start(arguments, format);
	size = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0)
		return;
	(void)!write(fd, text, (size_t)size);
	close(fd);
}

static void trace_write(void)
{
	const char *path = getenv("NTH_REPORT");
	void *trace[TRACE_MAX];
	int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (fd < 0)
		return;
	backtrace_symbols_fd(trace, backtrace(trace, TRACE_MAX), fd);
	close(fd);
}

static bool must_fail(enum kind kind, const char *name)
{
	unsigned long number;

	if (!is_counting)
		return false;
	number = ++call_count;
	if (failed_kind >= 0) {
		if (!is_sticky || failed_kind != (int)kind || failed_count >= STICKY_RUN_MAX)
			return false;
		failed_count++;
		return true;
	}
	if (number != fail_at)
		return false;
	is_counting = false;
	failed_kind = (int)kind;
	failed_count = 1;
	report("failed %lu %s %s\n", number, kind_texts[kind], name);
	trace_write();
	is_counting = true;
	return true;
}

/* ---- begin and end ---- */

__attribute__((constructor)) static void counting_begin(void)
{
	const char *number = getenv("NTH_FAIL");
	void *trace[1];

	(void)backtrace(trace, 1); /* loads what it needs now */
	fail_at = number == NULL ? 0 : strtoul(number, NULL, 10);
	is_sticky = getenv("NTH_STICKY") != NULL;
	is_counting = true;
}

__attribute__((destructor)) static void counting_end(void)
{
	is_counting = false;
	report("calls %lu\n", (unsigned long)call_count);
}

/* ---- memory ---- */

void *malloc(size_t size)
{
	if (must_fail(MEMORY, "malloc")) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	if (must_fail(MEMORY, "calloc")) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	if (must_fail(MEMORY, "realloc")) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(memory, size);
}

/* A call that answers @failure with errno @error when its turn has come. */
#define NEXT(name) ((__typeof__(&name))next_find(#name))

static void *next_find(const char *name)
{
	void *next = dlsym(RTLD_NEXT, name);

	if (next == NULL)
		abort();
	return next;
}

#define FAILING(type, kind, name, parameters, arguments, failure, error) \
	type name parameters                                             \
	{                                                                \
		if (must_fail(kind, #name)) {                            \
			errno = error;                                   \
			return failure;                                  \
		}                                                        \
		return NEXT(name) arguments;                             \
	}

FAILING(void *, MAPPING, mmap64,
	(void *address, size_t size, int protection, int flags, int fd, off64_t offset),
	(address, size, protection, flags, fd, offset), MAP_FAILED, ENOMEM)

/* ---- files ---- */

int open64(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	if (must_fail(FILES, "open")) {
		errno = EMFILE;
		return -1;
	}
	return NEXT(open64)(path, flags, mode);
}

FAILING(int, FILES, mkdir, (const char *path, mode_t mode), (path, mode), -1, ENOSPC)
FAILING(int, FILES, unlink, (const char *path), (path), -1, EIO)
FAILING(int, FILES, fsync, (int fd), (fd), -1, EIO)
FAILING(int, FILES, ftruncate64, (int fd, off64_t size), (fd, size), -1, ENOSPC)
FAILING(int, FILES, fstat64, (int fd, struct stat64 *status), (fd, status), -1, EIO)
FAILING(int, FILES, flock, (int fd, int operation), (fd, operation), -1, ENOLCK)

/* ---- sockets, events, threads ---- */

FAILING(int, SOCKETS, socket, (int domain, int type, int protocol), (domain, type, protocol), -1,
	EMFILE)
FAILING(int, SOCKETS, bind, (int fd, const struct sockaddr *address, socklen_t size),
	(fd, address, size), -1, EADDRINUSE)
FAILING(int, SOCKETS, listen, (int fd, int backlog), (fd, backlog), -1, EADDRINUSE)
FAILING(int, SOCKETS, getsockname, (int fd, struct sockaddr *address, socklen_t *size),
	(fd, address, size), -1, ENOBUFS)
FAILING(int, RINGS, eventfd, (unsigned count, int flags), (count, flags), -1, EMFILE)

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
		   void *argument)
{
	if (must_fail(THREADS, "pthread_create"))
		return EAGAIN;
	return NEXT(pthread_create)(thread, attributes, function, argument);
}

/* ---- rings ---- */

#define FAILING_RING(name, parameters, arguments, error)                        \
	int name parameters                                                     \
	{                                                                       \
		return must_fail(RINGS, #name) ? -error : NEXT(name) arguments; \
	}

FAILING_RING(io_uring_queue_init_params,
	     (unsigned entries, struct io_uring *ring, struct io_uring_params *parameters),
	     (entries, ring, parameters), ENOMEM)
FAILING_RING(io_uring_register_buf_ring,
	     (struct io_uring * ring, struct io_uring_buf_reg *buffers, unsigned flags),
	     (ring, buffers, flags), ENOMEM)
FAILING_RING(io_uring_register_buffers_sparse, (struct io_uring * ring, unsigned count),
	     (ring, count), ENOMEM)
FAILING_RING(io_uring_register_buffers_update_tag,
	     (struct io_uring * ring, unsigned offset, const struct iovec *iov, const __u64 *tags,
	      unsigned count),
	     (ring, offset, iov, tags, count), ENOMEM)
FAILING_RING(io_uring_register_ring_fd, (struct io_uring * ring), (ring), ENOMEM)

static bool can_fail(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_READ: /* of the event that wakes the ring: the kernel does not fail it */
		return sqe->len != sizeof(__u64);
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_WRITE:
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE_FIXED:
	case IORING_OP_FSYNC:
	case IORING_OP_FALLOCATE:
	case IORING_OP_SENDMSG:
	case IORING_OP_SEND:
	case IORING_OP_RECV:
	case IORING_OP_ACCEPT:
	case IORING_OP_CONNECT:
		return true;
	default:
		return false;
	}
}

/* What is prepared and not yet handed over; the n-th is given a descriptor that is none. */
static void operations_look_at(struct io_uring *ring)
{
	struct io_uring_sq *sq = &ring->sq;
	bool is_wide = (ring->flags & IORING_SETUP_SQE128) != 0;

	for (unsigned at = sq->sqe_head; at != sq->sqe_tail; at++) {
		struct io_uring_sqe *sqe = &sq->sqes[(at & sq->ring_mask) << is_wide];

		if (!can_fail(sqe) || !must_fail(RING_OPERATIONS, "operation"))
			continue;
		sqe->fd = -1;
		sqe->flags &= (__u8)~IOSQE_FIXED_FILE;
	}
}

int io_uring_submit(struct io_uring *ring)
{
	operations_look_at(ring);
	return NEXT(io_uring_submit)(ring);
}

int io_uring_submit_and_get_events(struct io_uring *ring)
{
	operations_look_at(ring);
	return NEXT(io_uring_submit_and_get_events)(ring);
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
				     unsigned count, struct __kernel_timespec *timeout,
				     sigset_t *mask)
{
	operations_look_at(ring);
	return NEXT(io_uring_submit_and_wait_timeout)(ring, cqe, count, timeout, mask);
}
