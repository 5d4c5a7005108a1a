/* SPDX-License-Identifier: Apache-2.0 */
/* volume.c - the reactor thread that owns the connection, and the slots for requests.
 *
 * 1. All but the slots and the size is touched by the reactor's thread alone, while it runs.
 * 2. A slot is free, with a caller, or with the reactor; the lock guards the list of free ones.
 * 3. The connection retries by itself; an error arrives here only when it was given up. From then
 *    on the gate answers every request with an error, and the file stays until it is unmounted.
 */
#include "attach/volume.h"

#include "base/assert.h"
#include "base/memory.h"
#include "block/bdev_registry.h"
#include "initiator/initiator.h"
#include "reactor/reactor_call.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* NVM command set 1.0, section 3.2.8: Write Zeroes counts blocks with 16 bits, from 0. */
#define ZERO_BLOCKS_MAX	     65536
#define RECONNECT_MS_MIN     20
#define RECONNECT_MS_MAX     1000
#define IO_TIMEOUT_MS	     60000
#define RING_ENTRIES	     512
#define RECEIVE_BUFFER_COUNT 256
#define RECEIVE_BUFFER_BYTES 65536

struct volume {
	struct os *os;
	struct log *log;
	struct reactor *reactor;
	struct os_thread *thread;
	struct bdev_registry *registry;
	struct bdev *bdev; /* NULL once it was removed */
	struct bdev_channel *channel;
	struct bdev_listener listener;

	/* opening and closing: one message and one op at a time, on the reactor */
	struct reactor_message message;
	struct op op;
	struct bdev_create create;
	struct bdev_destroy destroy;
	const char *uri;
	int result;
	char error[ERROR_TEXT_BYTES];

	/* fixed once it is open */
	uint32_t block_bytes;
	bool can[IO_TYPE_COUNT];
	bool unmap_zeroes;
	_Atomic uint64_t size_bytes;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_settled; /* opening or closing has ended */
	struct list_node free_requests;
	uint32_t free_count;
	struct volume_request *requests;
	uint8_t *buffers;
};

/* --- the reactor's side: opening and closing ------------------------------------------------ */

static void settle(struct volume *volume)
{
	pthread_mutex_lock(&volume->lock);
	volume->is_settled = true;
	pthread_cond_broadcast(&volume->changed);
	pthread_mutex_unlock(&volume->lock);
}

static void bdev_heard(struct bdev_listener *listener, struct bdev *bdev, enum bdev_event event)
{
	struct volume *volume = container_of(listener, struct volume, listener);

	switch (event) {
	case BDEV_RESIZED:
		volume->size_bytes = bdev_size_bytes(bdev);
		log_info(volume->log, "%s: grown to %llu bytes", bdev->name,
			 (unsigned long long)volume->size_bytes);
		return;
	case BDEV_INTERRUPTED: /* the initiator tries on, and says so */
		return;
	case BDEV_REMOVED:
		log_error(volume->log, "%s: given up, all I/O fails from now on", bdev->name);
		bdev_unlisten(&volume->listener);
		volume->bdev = NULL;
		return;
	}
}

/* What callers may ask without the reactor. */
static void geometry_keep(struct volume *volume)
{
	const struct bdev *bdev = volume->bdev;

	volume->block_bytes = bdev->block_bytes;
	volume->size_bytes = bdev_size_bytes(bdev);
	volume->can[IO_READ] = true;
	volume->can[IO_WRITE] = true;
	volume->can[IO_FLUSH] = true;
	volume->can[IO_UNMAP] = bdev->can_unmap;
	volume->can[IO_WRITE_ZEROES] = bdev->can_write_zeroes;
	volume->unmap_zeroes = bdev->reads_zero_after_unmap;
}

static void open_run(struct op *op)
{
	struct volume *volume = container_of(op, struct volume, op);

	volume->result = volume->create.result;
	if (volume->result != 0) {
		snprintf(volume->error, sizeof(volume->error), "%s", volume->create.error);
		settle(volume);
		return;
	}
	volume->bdev = volume->create.bdev;
	volume->result = bdev_channel_open(volume->bdev, volume->reactor, &volume->channel);
	if (volume->result != 0)
		snprintf(volume->error, sizeof(volume->error), "%.256s cannot be used: %s",
			 volume->bdev->name, strerror(-volume->result));
	else
		geometry_keep(volume);
	volume->listener.event = bdev_heard;
	list_init(&volume->listener.link);
	bdev_listen(volume->bdev, &volume->listener);
	settle(volume);
}

/* Enters @run when @submitted has been answered, at once if it has been. */
static void op_continue(struct volume *volume)
{
	if (op_join(&volume->op) == OP_NEXT)
		op_start(&volume->op);
}

static void open_begin(struct reactor_message *message)
{
	struct volume *volume = container_of(message, struct volume, message);

	op_init(&volume->op, reactor_ready(volume->reactor), open_run);
	volume->create.parent = &volume->op;
	volume->create.registry = volume->registry;
	snprintf(volume->create.uri_text, sizeof(volume->create.uri_text), "%s", volume->uri);
	op_wait(&volume->op);
	bdev_create_submit(&volume->create);
	op_continue(volume);
}

static void close_run(struct op *op)
{
	settle(container_of(op, struct volume, op));
}

static void close_begin(struct reactor_message *message)
{
	struct volume *volume = container_of(message, struct volume, message);

	op_init(&volume->op, reactor_ready(volume->reactor), close_run);
	bdev_channel_close(volume->channel);
	volume->channel = NULL;
	if (volume->bdev != NULL) {
		bdev_unlisten(&volume->listener);
		volume->destroy.parent = &volume->op;
		volume->destroy.bdev = volume->bdev;
		op_wait(&volume->op);
		bdev_destroy_submit(volume->registry, &volume->destroy);
	}
	op_continue(volume);
}

/* --- the reactor's side: requests ------------------------------------------------------------ */

static int errno_of(enum io_status status)
{
	switch (status) {
	case IO_OK:
		return 0;
	case IO_NO_SPACE:
		return -ENOSPC;
	case IO_TIMED_OUT:
		return -ETIMEDOUT;
	case IO_RESERVATION_CONFLICT:
		return -EBADE;
	case IO_READ_ONLY:
		return -EROFS;
	case IO_UNSUPPORTED:
		return -EOPNOTSUPP;
	case IO_INVALID:
		return -EINVAL;
	case IO_MEDIUM_ERROR:
	case IO_INTEGRITY_ERROR:
	case IO_DEVICE_GONE:
	case IO_ABORTED:
	case IO_COMPARE_FAILED:
	case IO_NOT_RECORDED:
	case IO_NOT_READY:
	case IO_INTERNAL_ERROR:
		return -EIO;
	}
	return -EIO;
}

static bool request_is_data(const struct volume_request *request)
{
	return request->type == IO_READ || request->type == IO_WRITE;
}

/* How much of the rest one command takes. */
static uint64_t part_bytes(const struct volume_request *request)
{
	uint64_t rest = request->size_bytes - request->done_bytes;
	uint64_t max = (uint64_t)ZERO_BLOCKS_MAX * request->volume->block_bytes;

	return rest < max ? rest : max;
}

static void part_submit(struct volume_request *request)
{
	struct volume *volume = request->volume;
	struct bdev_io *io = &request->io;

	io->parent = &request->op;
	io->type = request->type;
	io->is_fua = false;
	io->range.first = (request->offset_bytes + request->done_bytes) / volume->block_bytes;
	io->range.count = part_bytes(request) / volume->block_bytes;
	io->iov = NULL;
	io->iov_count = 0;
	if (request_is_data(request)) {
		request->iov = (struct iovec){request->buffer, request->size_bytes};
		io->iov = &request->iov;
		io->iov_count = 1;
	}
	op_wait(&request->op);
	bdev_submit(volume->channel, io);
}

/* Entered once to start and once for each part that was answered. */
static void request_run(struct op *op)
{
	struct volume_request *request = container_of(op, struct volume_request, op);

	for (;;) {
		request->result = errno_of(request->io.status);
		if (request->result != 0 || request->done_bytes >= request->size_bytes) {
			request->done(request);
			return;
		}
		part_submit(request);
		request->done_bytes += part_bytes(request);
		if (op_join(op) == OP_WAIT)
			return;
	}
}

static void request_begin(struct reactor_message *message)
{
	struct volume_request *request = container_of(message, struct volume_request, message);

	ASSERT(request->volume->channel != NULL);
	op_init(&request->op, reactor_ready(request->volume->reactor), request_run);
	request->io.status = IO_OK;
	request->done_bytes = 0;
	/* A flush has no range; it is sent as if it had one block. */
	if (request->type == IO_FLUSH) {
		request->offset_bytes = 0;
		request->size_bytes = request->volume->block_bytes;
	}
	op_start(&request->op);
}

/* --- any thread ------------------------------------------------------------------------------ */

static void deadline_set(struct timespec *ret_deadline, uint32_t timeout_ms)
{
	clock_gettime(CLOCK_MONOTONIC, ret_deadline);
	ret_deadline->tv_sec += timeout_ms / 1000;
	ret_deadline->tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (ret_deadline->tv_nsec >= 1000000000) {
		ret_deadline->tv_sec++;
		ret_deadline->tv_nsec -= 1000000000;
	}
}

struct volume_request *volume_request_acquire(struct volume *volume, uint32_t timeout_ms)
{
	struct volume_request *request = NULL;
	struct timespec deadline;
	struct list_node *node;
	int rc = 0;

	deadline_set(&deadline, timeout_ms);
	pthread_mutex_lock(&volume->lock);
	while (volume->free_count == 0 && rc == 0)
		rc = pthread_cond_timedwait(&volume->changed, &volume->lock, &deadline);
	node = list_pop_front(&volume->free_requests);
	if (node != NULL) {
		volume->free_count--;
		request = list_entry(node, struct volume_request, link);
	}
	pthread_mutex_unlock(&volume->lock);
	return request;
}

void volume_request_release(struct volume_request *request)
{
	struct volume *volume = request->volume;

	pthread_mutex_lock(&volume->lock);
	list_push_front(&volume->free_requests, &request->link);
	volume->free_count++;
	ASSERT(volume->free_count <= VOLUME_REQUESTS_MAX);
	pthread_cond_broadcast(&volume->changed);
	pthread_mutex_unlock(&volume->lock);
}

void volume_request_submit(struct volume_request *request)
{
	struct volume *volume = request->volume;

	ASSERT(volume->can[request->type]);
	ASSERT(request->done != NULL);
	ASSERT(request->offset_bytes % volume->block_bytes == 0);
	ASSERT(request->size_bytes % volume->block_bytes == 0);
	ASSERT(!request_is_data(request) || request->size_bytes <= IO_BYTES_MAX);
	request->message.run = request_begin;
	reactor_send(volume->reactor, &request->message);
}

bool volume_drain(struct volume *volume, uint32_t timeout_ms)
{
	struct timespec deadline;
	bool is_drained;
	int rc = 0;

	deadline_set(&deadline, timeout_ms);
	pthread_mutex_lock(&volume->lock);
	while (volume->free_count < VOLUME_REQUESTS_MAX && rc == 0)
		rc = pthread_cond_timedwait(&volume->changed, &volume->lock, &deadline);
	is_drained = volume->free_count == VOLUME_REQUESTS_MAX;
	pthread_mutex_unlock(&volume->lock);
	return is_drained;
}

uint32_t volume_block_bytes(const struct volume *volume)
{
	return volume->block_bytes;
}

uint64_t volume_size_bytes(const struct volume *volume)
{
	return volume->size_bytes;
}

bool volume_can(const struct volume *volume, enum io_type type)
{
	return volume->can[type];
}

bool volume_unmap_zeroes(const struct volume *volume)
{
	return volume->unmap_zeroes;
}

/* --- life --------------------------------------------------------------------------------------
 */

static void thread_main(void *argument)
{
	reactor_run(argument);
}

/* Has the reactor do @run and waits until it has settled. */
static void settle_await(struct volume *volume, void (*run)(struct reactor_message *message))
{
	volume->is_settled = false;
	volume->message.run = run;
	reactor_send(volume->reactor, &volume->message);
	pthread_mutex_lock(&volume->lock);
	while (!volume->is_settled)
		pthread_cond_wait(&volume->changed, &volume->lock);
	pthread_mutex_unlock(&volume->lock);
}

static int requests_create(struct volume *volume)
{
	volume->requests = memory_alloc_array(VOLUME_REQUESTS_MAX, sizeof(*volume->requests));
	volume->buffers = memory_alloc_pages((size_t)VOLUME_REQUESTS_MAX * IO_BYTES_MAX);
	if (volume->requests == NULL || volume->buffers == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < VOLUME_REQUESTS_MAX; i++) {
		struct volume_request *request = &volume->requests[i];

		request->volume = volume;
		request->buffer = volume->buffers + (size_t)i * IO_BYTES_MAX;
		list_init(&request->link);
		list_push_back(&volume->free_requests, &request->link);
		volume->free_count++;
	}
	return 0;
}

static int registry_fill(struct volume *volume, const struct volume_options *options)
{
	struct initiator_options initiator;
	int rc = bdev_registry_create(volume->reactor, &volume->registry);

	if (rc != 0)
		return rc;
	initiator_options_default(&initiator);
	snprintf(initiator.host_nqn, sizeof(initiator.host_nqn), "%s", options->host_nqn);
	os_entropy_fill(volume->os, initiator.host_id, sizeof(initiator.host_id));
	initiator.is_retrying = true;
	initiator.is_sole = false; /* a volume may be attached here twice */
	initiator.io_timeout_ms = IO_TIMEOUT_MS;
	initiator.reconnect_min_ms = RECONNECT_MS_MIN;
	initiator.reconnect_max_ms = RECONNECT_MS_MAX;
	initiator.ctrl_loss_timeout_ms = options->loss_timeout_ms;
	initiator.fail_fast_ms = options->loss_timeout_ms;
	initiator.log = options->log;
	return initiator_register(volume->registry, &initiator);
}

static int reactor_begin(struct volume *volume)
{
	struct reactor_options options;
	int rc;

	reactor_options_default(&options);
	options.core = -1;
	options.ring_entries = RING_ENTRIES;
	options.receive_buffer_count = RECEIVE_BUFFER_COUNT;
	options.receive_buffer_bytes = RECEIVE_BUFFER_BYTES;
	rc = reactor_create(volume->os, &options, &volume->reactor);
	if (rc != 0)
		snprintf(volume->error, sizeof(volume->error),
			 "io_uring cannot be used: %s; allow it in this container or on this "
			 "machine (sysctl kernel.io_uring_disabled=0)",
			 strerror(-rc));
	return rc;
}

static int volume_prepare(struct volume *volume, struct os *os,
			  const struct volume_options *options)
{
	pthread_condattr_t attributes;
	int rc;

	volume->os = os;
	volume->log = options->log;
	volume->uri = options->uri;
	list_init(&volume->free_requests);
	pthread_mutex_init(&volume->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&volume->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	rc = requests_create(volume);
	if (rc == 0)
		rc = reactor_begin(volume);
	if (rc == 0)
		rc = registry_fill(volume, options);
	if (rc == 0)
		rc = os_thread_start(os, -1, thread_main, volume->reactor, &volume->thread);
	return rc;
}

int volume_open(struct os *os, const struct volume_options *options, struct volume **ret_volume,
		char ret_error[ERROR_TEXT_BYTES])
{
	struct volume *volume = memory_alloc(sizeof(*volume));
	int rc;

	ret_error[0] = '\0';
	if (volume == NULL)
		return -ENOMEM;
	rc = volume_prepare(volume, os, options);
	if (rc == 0) {
		settle_await(volume, open_begin);
		rc = volume->result;
	}
	if (rc == 0) {
		*ret_volume = volume;
		return 0;
	}
	snprintf(ret_error, ERROR_TEXT_BYTES, "%s",
		 volume->error[0] != '\0' ? volume->error : strerror(-rc));
	volume_close(volume);
	return rc;
}

void volume_close(struct volume *volume)
{
	if (volume == NULL)
		return;
	if (volume->thread != NULL) {
		settle_await(volume, close_begin);
		reactor_stop(volume->reactor);
		os_thread_join(volume->thread);
	}
	bdev_registry_destroy(volume->registry);
	reactor_destroy(volume->reactor);
	pthread_cond_destroy(&volume->changed);
	pthread_mutex_destroy(&volume->lock);
	memory_free(volume->requests);
	memory_free_pages(volume->buffers, (size_t)VOLUME_REQUESTS_MAX * IO_BYTES_MAX);
	memory_free(volume);
}
