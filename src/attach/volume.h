/* SPDX-License-Identifier: Apache-2.0 */
/* volume.h - a remote volume for threads that are no reactor.
 *
 * One reactor thread owns the connection. Requests are handed to it by message and answered there
 * by calling request->done(); nobody waits on a lock for an I/O.
 *
 * Requests come from a fixed number of slots, each with a buffer: memory is taken at start, and
 * whoever finds no slot waits for one.
 */
#ifndef ATTACH_VOLUME_H
#define ATTACH_VOLUME_H

#include "base/limits.h"
#include "base/log.h"
#include "block/bdev.h"
#include "os/os.h"

#define VOLUME_REQUESTS_MAX 64
#define VOLUME_NQN_BYTES    NQN_BYTES_MAX

struct volume;

struct volume_options {
	const char *uri;
	const char *host_nqn;
	uint32_t loss_timeout_ms;
	struct log *log;
};

struct volume_request {
	/* to be filled */
	enum io_type type;
	uint64_t offset_bytes; /* whole blocks, within the volume */
	uint64_t size_bytes;   /* READ, WRITE: up to IO_BYTES_MAX */
	/* Called once on the reactor's thread; ends with volume_request_release(). */
	void (*done)(struct volume_request *request);
	void *user;
	/* READ, WRITE: the data; IO_BYTES_MAX of memory. Belongs to the volume from submit to done.
	 */
	uint8_t *buffer;
	int result; /* when done: 0 or -errno */
	/* private */
	struct volume *volume;
	struct reactor_message message;
	struct op op;
	struct bdev_io io;
	struct iovec iov;
	uint64_t done_bytes;
	struct list_node link;
};

/**
 * volume_open - connect
 * Blocks until it is connected, or was given up: @ret_error has one sentence then.
 * Return: 0 or -errno.
 */
int volume_open(struct os *os, const struct volume_options *options, struct volume **ret_volume,
		char ret_error[ERROR_TEXT_BYTES]) __attribute__((warn_unused_result));

/** Every request is released. NULL is allowed. */
void volume_close(struct volume *volume);

/** Fixed for its life. */
uint32_t volume_block_bytes(const struct volume *volume);
/** May grow. Context: any thread. */
uint64_t volume_size_bytes(const struct volume *volume);
/** True if the volume can do it. */
bool volume_can(const struct volume *volume, enum io_type type);
/** True if IO_UNMAP leaves zeroes. */
bool volume_unmap_zeroes(const struct volume *volume);

/** A free slot, waiting up to @timeout_ms for one. NULL: there was none. Context: any thread. */
struct volume_request *volume_request_acquire(struct volume *volume, uint32_t timeout_ms);
/** Context: any thread. */
void volume_request_submit(struct volume_request *request);
/** Context: any thread. */
void volume_request_release(struct volume_request *request);

/** Waits until all slots are free. Return: false when some were not in time. */
bool volume_drain(struct volume *volume, uint32_t timeout_ms);

#endif
