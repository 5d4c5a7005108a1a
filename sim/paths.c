/* SPDX-License-Identifier: Apache-2.0 */
/* paths.c - tries the paths one after the other, in rounds.
 *
 * Invariants:
 *  1. An I/O is below on one path at a time: a path's answer means that the buffers are free again,
 *     so that the repetition may use them. What may still live is the command, not the memory.
 *  2. The time from submission to an error is at least give_up_ns for errors of paths.
 */
#include "sim/paths.h"

#include "base/memory.h"
#include "sim/workload.h"

#include <errno.h>
#include <stdio.h>

#define PATHS_IO_MAX 64 /* of a channel, at a time */
#define PAUSE_NS_MAX (1000ull * 1000 * 1000)

struct paths {
	struct bdev bdev;
	struct paths_options options;
};

struct paths_io {
	struct paths_channel *channel;
	struct bdev_io *upper; /* NULL: free */
	struct bdev_io lower;
	struct op op;
	struct reactor_timer rest;
	uint64_t begun_ns;
	uint32_t path;
	uint32_t failed_count; /* paths, in this round */
	uint64_t pause_ns;     /* before the next round */
};

struct paths_channel {
	struct paths *paths;
	struct bdev_channel *below[HOST_PATHS];
	uint32_t path_next;
	struct paths_io ios[PATHS_IO_MAX];
};

enum verdict {
	VERDICT_ANSWER,
	VERDICT_OTHER_PATH, /* at once */
	VERDICT_LATER,	    /* the controller asks for patience */
};

static enum verdict status_judge(enum io_status status)
{
	switch (status) {
	case IO_DEVICE_GONE:
	case IO_TIMED_OUT:
	case IO_ABORTED:
	case IO_NOT_READY:
		return VERDICT_OTHER_PATH;
	case IO_INTERNAL_ERROR:
	case IO_NOT_RECORDED:
	case IO_INTEGRITY_ERROR:
		return VERDICT_LATER;
	case IO_OK:
	case IO_MEDIUM_ERROR:
	case IO_NO_SPACE:
	case IO_COMPARE_FAILED:
	case IO_RESERVATION_CONFLICT:
	case IO_READ_ONLY:
	case IO_UNSUPPORTED:
	case IO_INVALID:
		return VERDICT_ANSWER;
	}
	ASSERT(!"a status of the list");
}

static bool is_failure(enum io_status status)
{
	return status != IO_OK && status != IO_COMPARE_FAILED && status != IO_RESERVATION_CONFLICT;
}

static void io_answer(struct paths_io *io)
{
	struct bdev_io *upper = io->upper;
	enum io_status status = io->lower.status;

	io->upper = NULL;
	if (is_failure(status))
		io->channel->paths->options.stats->failures++;
	bdev_io_done(upper, status);
}

static void io_send(struct paths_io *io)
{
	struct bdev_io *upper = io->upper;

	io->lower = (struct bdev_io){
		.parent = &io->op,
		.type = upper->type,
		.is_fua = upper->is_fua,
		.range = upper->range,
		.iov = upper->iov,
		.iov_count = upper->iov_count,
	};
	op_wait(&io->op);
	bdev_submit(io->channel->below[io->path], &io->lower);
	if (op_join(&io->op) == OP_NEXT)
		op_wake(&io->op);
}

static void io_again(struct paths_io *io)
{
	io->channel->paths->options.stats->repeats++;
	workload_io_repeated(io->upper);
	io_send(io);
}

static void io_run(struct op *op)
{
	struct paths_io *io = container_of(op, struct paths_io, op);
	const struct paths_options *options = &io->channel->paths->options;
	enum verdict verdict = status_judge(io->lower.status);
	uint64_t waited_ns;

	ASSERT(io->upper != NULL);
	if (verdict == VERDICT_ANSWER) {
		io_answer(io);
		return;
	}
	waited_ns = reactor_now_ns(io->upper->channel->reactor) - io->begun_ns;
	if (waited_ns >= options->give_up_ns) {
		io_answer(io);
		return;
	}
	io->path = (io->path + 1) % HOST_PATHS;
	io->failed_count++;
	if (verdict == VERDICT_OTHER_PATH && io->failed_count < HOST_PATHS) {
		io_again(io);
		return;
	}
	io->failed_count = 0;
	reactor_timer_start(&io->rest, io->pause_ns);
	if (io->pause_ns < PAUSE_NS_MAX)
		io->pause_ns *= 2;
}

static void io_rested(struct reactor_timer *timer)
{
	io_again(container_of(timer, struct paths_io, rest));
}

/* ---- a bdev ---- */

static struct paths *paths_of(struct bdev *bdev)
{
	return container_of(bdev, struct paths, bdev);
}

static void submit(struct bdev_channel *bdev_channel, struct bdev_io *upper)
{
	struct paths_channel *channel = bdev_channel->driver;
	struct paths_io *io = channel->ios;

	while (io->upper != NULL)
		io++;
	ASSERT(io < channel->ios + PATHS_IO_MAX);
	io->upper = upper;
	io->begun_ns = reactor_now_ns(bdev_channel->reactor);
	io->path = channel->path_next;
	io->failed_count = 0;
	io->pause_ns = channel->paths->options.pause_ns;
	if (channel->paths->options.is_round_robin)
		channel->path_next = (channel->path_next + 1) % HOST_PATHS;
	io_send(io);
}

static void channel_free(struct paths_channel *channel)
{
	for (uint32_t i = 0; i < HOST_PATHS; i++)
		bdev_channel_close(channel->below[i]);
	memory_free(channel);
}

static int channel_open(struct bdev_channel *bdev_channel)
{
	struct paths_channel *channel = memory_alloc(sizeof(*channel));

	if (channel == NULL)
		return -ENOMEM;
	channel->paths = paths_of(bdev_channel->bdev);
	for (uint32_t i = 0; i < HOST_PATHS; i++) {
		int rc = bdev_channel_open(channel->paths->options.bdevs[i], bdev_channel->reactor,
					   &channel->below[i]);

		if (rc < 0) {
			channel_free(channel);
			return rc;
		}
	}
	for (uint32_t i = 0; i < PATHS_IO_MAX; i++) {
		struct paths_io *io = &channel->ios[i];

		io->channel = channel;
		op_init(&io->op, reactor_ready(bdev_channel->reactor), io_run);
		reactor_timer_init(&io->rest, bdev_channel->reactor, io_rested);
	}
	bdev_channel->driver = channel;
	return 0;
}

static void channel_close(struct bdev_channel *bdev_channel)
{
	channel_free(bdev_channel->driver);
}

static void destroy(struct bdev *bdev, struct op *parent)
{
	(void)bdev;
	(void)parent;
	ASSERT(!"it is in no registry");
}

static const struct bdev_ops paths_ops = {
	.product_name = "Two paths",
	.channel_open = channel_open,
	.channel_close = channel_close,
	.submit = submit,
	.destroy = destroy,
};

struct paths *paths_create(const struct paths_options *options)
{
	const struct bdev *first = options->bdevs[0];
	struct paths *paths = memory_alloc(sizeof(*paths));

	if (paths == NULL)
		return NULL;
	ASSERT(options->stats != NULL && options->pause_ns > 0);
	paths->options = *options;
	paths->bdev = (struct bdev){
		.ops = &paths_ops,
		.main = first->main,
		.uuid = first->uuid,
		.block_bytes = first->block_bytes,
		.physical_block_bytes = first->physical_block_bytes,
		.memory_alignment = first->memory_alignment,
		.can_unmap = first->can_unmap,
		.can_write_zeroes = first->can_write_zeroes,
		.can_compare = first->can_compare,
		.reads_zero_after_unmap = first->reads_zero_after_unmap,
		.has_volatile_cache = first->has_volatile_cache,
	};
	paths->bdev.block_count = first->block_count;
	(void)snprintf(paths->bdev.name, sizeof(paths->bdev.name), "paths");
	bdev_init(&paths->bdev);
	return paths;
}

void paths_destroy(struct paths *paths)
{
	if (paths == NULL)
		return;
	ASSERT(bdev_channel_count(&paths->bdev) == 0);
	memory_free(paths);
}

struct bdev *paths_bdev(struct paths *paths)
{
	return &paths->bdev;
}

struct bdev_channel *paths_channel(struct bdev_channel *channel, uint32_t path)
{
	struct paths_channel *paths = channel->driver;

	ASSERT(channel->bdev->ops == &paths_ops && path < HOST_PATHS);
	return paths->below[path];
}
