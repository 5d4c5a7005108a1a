/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_uring.c - `aio:///path`, `uring:///path` and bare paths: a file or block device.
 *
 * All three are the same driver over os_disk.h, which takes the device exclusively: a disk that is
 * mounted, or that another engine serves, is refused (-EBUSY).
 *
 * Life of an I/O: TRANSFER, and FLUSH when zeroes must be durable, then REPLY. Reads and writes may
 * wait before TRANSFER is handed over: see disk_pace.h.
 *
 * Invariants:
 *  1. An I/O is answered only after the system answered it; FLUSH always reaches the device.
 *  2. The size is what the device had when it was opened, rounded down to whole blocks. It grows
 *     only when a `rescan` asks for it, and never shrinks.
 *  3. A device is taken for lost when the system no longer tells its size, or tells 0. That is
 *     asked every URING_CHECK_INTERVAL_NS and after each I/O that failed; it is announced once, on
 *     the main reactor.
 *  4. The bdev is freed only while no message to the main reactor is under way.
 *  5. Reads and writes wait in arrival order, and only while others of their channel are in flight;
 *     each of those that is answered lets as many go as there is room for. All else never waits.
 */
#include "base/memory.h"
#include "base/planted.h"
#include "block/bdev_uri_impl.h"
#include "block/disk_pace.h"
#include "os/os_disk.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define URING_CHECK_INTERVAL_NS (5ull * 1000 * 1000 * 1000)

struct uring_bdev {
	struct bdev bdev;
	struct os_disk *disk;
	struct reactor_timer timer;	/* on main */
	struct reactor_message message; /* to main: look at the device now */
	_Atomic bool is_message_sent;
	struct op *destroyer; /* waits for the message to arrive */
};

/* What one reactor has out on the device. */
struct uring_channel {
	struct disk_pace pace;
	struct list_node waiting; /* of struct bdev_io */
};

enum uring_step {
	URING_TRANSFER, /* what was asked for */
	URING_FLUSH,	/* zeroes that must be durable */
	URING_REPLY,
};

/* In bdev_io.driver. */
struct uring_io {
	struct op op;
	struct bdev_io *io;
	enum uring_step step;
	uint64_t started_ns; /* handed over */
	struct os_disk_io disk_io;
};
STATIC_ASSERT(sizeof(struct uring_io) <= BDEV_IO_DRIVER_BYTES);
STATIC_ASSERT(_Alignof(struct uring_io) <= 16);

/* Loss of the device. */

static bool disk_is_lost(struct os_disk *disk)
{
	struct os_disk_info info;

	ASSERT(disk != NULL);
	return os_disk_info(disk, &info) < 0 || info.size_bytes == 0;
}

/* Linux says ENOSPC, too, of writes beyond the end of a block device that became smaller. */
static bool disk_has_shrunk(const struct uring_bdev *uring)
{
	uint64_t size_bytes = uring->bdev.block_count * uring->bdev.block_bytes;
	struct os_disk_info info;

	ASSERT(uring->disk != NULL);
	ASSERT(size_bytes > 0);
	return os_disk_info(uring->disk, &info) == 0 && info.is_block_device &&
	       info.size_bytes < size_bytes;
}

/* Context: main reactor. */
static void uring_check(struct uring_bdev *uring)
{
	ASSERT(uring->destroyer == NULL);
	if (bdev_is_removed(&uring->bdev) || !disk_is_lost(uring->disk))
		return;
	REACHED("uring_device_lost");
	reactor_timer_stop(&uring->timer);
	bdev_notify(&uring->bdev, BDEV_REMOVED);
}

static void uring_timer_expired(struct reactor_timer *timer)
{
	struct uring_bdev *uring = container_of(timer, struct uring_bdev, timer);

	ASSERT(!reactor_timer_is_armed(timer));
	ASSERT(!bdev_is_removed(&uring->bdev));
	ASSERT(uring->destroyer == NULL);
	/* Armed before the check, which stops it for good when the device is lost. */
	reactor_timer_start(timer, URING_CHECK_INTERVAL_NS);
	uring_check(uring);
}

static void uring_free(struct uring_bdev *uring)
{
	ASSERT(bdev_channel_count(&uring->bdev) == 0);
	ASSERT(uring->bdev.reference_count == 0);
	ASSERT(!reactor_timer_is_armed(&uring->timer));
	ASSERT(!atomic_load(&uring->is_message_sent));
	os_disk_close(uring->disk);
	memory_free(uring);
}

static void uring_message_run(struct reactor_message *message)
{
	struct uring_bdev *uring = container_of(message, struct uring_bdev, message);
	struct op *destroyer = uring->destroyer;

	ASSERT(destroyer == NULL || !reactor_timer_is_armed(&uring->timer));
	ASSERT(atomic_load(&uring->is_message_sent));
	atomic_store(&uring->is_message_sent, false);
	if (destroyer != NULL) {
		uring_free(uring);
		op_done(destroyer);
		return;
	}
	uring_check(uring);
}

/* Context: the I/O's reactor, before the I/O is answered, so the bdev is still in use. */
static enum io_status uring_judge_failure(struct uring_bdev *uring, int error)
{
	enum io_status status = io_status_from_errno(error);

	ASSERT(status != IO_OK);
	ASSERT(bdev_channel_count(&uring->bdev) > 0);
	if (status == IO_UNSUPPORTED || (status == IO_NO_SPACE && !disk_has_shrunk(uring)))
		return status;
	if (!disk_is_lost(uring->disk))
		return status == IO_NO_SPACE ? IO_MEDIUM_ERROR : status;
	if (!atomic_exchange(&uring->is_message_sent, true))
		reactor_send(uring->bdev.main, &uring->message);
	return IO_DEVICE_GONE;
}

/* I/O. */

static enum os_disk_op uring_operation(enum io_type type)
{
	switch (type) {
	case IO_READ:
		return OS_DISK_READ;
	case IO_WRITE:
		return OS_DISK_WRITE;
	case IO_FLUSH:
		return OS_DISK_FLUSH;
	case IO_UNMAP:
		return OS_DISK_DISCARD;
	case IO_WRITE_ZEROES:
		return OS_DISK_WRITE_ZEROES;
	case IO_COMPARE:
		break;
	}
	ASSERT(type != IO_COMPARE); /* the gate keeps it away: can_compare is false */
	return OS_DISK_READ;
}

static bool uring_is_paced(const struct bdev_io *io)
{
	ASSERT((unsigned)io->type < IO_TYPE_COUNT);
	ASSERT(io->channel->driver != NULL);
	return io->type == IO_READ || io->type == IO_WRITE;
}

/* The answer was announced by op_wait(). */
static void uring_hand_over(struct uring_io *request)
{
	struct reactor *reactor = request->io->channel->reactor;

	ASSERT(request->disk_io.parent == &request->op);
	ASSERT(request->op.pending == 1);
	request->started_ns = reactor_now_ns(reactor);
	os_disk_submit(reactor_ring(reactor), &request->disk_io);
}

static enum op_flow uring_disk_submit(struct uring_io *request)
{
	struct bdev_io *io = request->io;
	struct uring_channel *channel = io->channel->driver;

	ASSERT(request->disk_io.disk != NULL);
	ASSERT(op_is_idle(&request->op));
	op_wait(&request->op);
	if (!uring_is_paced(io)) {
		uring_hand_over(request);
	} else if (list_is_empty(&channel->waiting) && disk_pace_may_start(&channel->pace)) {
		disk_pace_start(&channel->pace);
		uring_hand_over(request);
	} else {
		disk_pace_hold(&channel->pace);
		list_push_back(&channel->waiting, &io->link);
	}
	return op_join(&request->op);
}

/* One is answered: it counts no more, and others may go. */
static void uring_pace(struct uring_io *request)
{
	struct uring_channel *channel = request->io->channel->driver;
	uint64_t now_ns = reactor_now_ns(request->io->channel->reactor);

	ASSERT(now_ns >= request->started_ns);
	disk_pace_answer(&channel->pace, now_ns, now_ns - request->started_ns);
	while (!list_is_empty(&channel->waiting) && disk_pace_may_start(&channel->pace)) {
		struct list_node *node = list_pop_front(&channel->waiting);
		struct bdev_io *io = list_entry(node, struct bdev_io, link);

		disk_pace_release(&channel->pace);
		uring_hand_over((struct uring_io *)(void *)io->driver);
	}
	ASSERT(list_is_empty(&channel->waiting) || channel->pace.in_flight > 0);
}

static enum op_flow uring_transfer(struct uring_io *request)
{
	struct bdev_io *io = request->io;
	const struct uring_bdev *uring = container_of(io->channel->bdev, struct uring_bdev, bdev);

	ASSERT(request->step == URING_FLUSH);
	ASSERT(op_is_idle(&request->op));
	ASSERT(uring->disk != NULL);
	request->disk_io = (struct os_disk_io){
		.parent = &request->op,
		.disk = uring->disk,
		.operation = uring_operation(io->type),
		.is_durable = io->type == IO_WRITE && io->is_fua,
	};
	if (io->type != IO_FLUSH) {
		request->disk_io.offset_bytes = io->range.first * uring->bdev.block_bytes;
		request->disk_io.size_bytes = io->range.count * uring->bdev.block_bytes;
	}
	if (PLANTED(SHORT_ZEROES) && io->type == IO_WRITE_ZEROES && io->range.count > 1)
		request->disk_io.size_bytes -= uring->bdev.block_bytes;
	if (io->type == IO_READ || io->type == IO_WRITE) {
		request->disk_io.iov = io->iov;
		request->disk_io.iov_count = io->iov_count;
	}
	return uring_disk_submit(request);
}

static bool uring_needs_flush(const struct uring_io *request)
{
	ASSERT(op_is_idle(&request->op));
	ASSERT(request->disk_io.result <= 0);
	return request->io->type == IO_WRITE_ZEROES && request->io->is_fua &&
	       request->disk_io.result == 0;
}

static enum op_flow uring_flush(struct uring_io *request)
{
	struct os_disk *disk = request->disk_io.disk;

	ASSERT(request->io->type == IO_WRITE_ZEROES);
	ASSERT(request->disk_io.result == 0);
	ASSERT(request->io->is_fua);
	ASSERT(request->disk_io.operation == OS_DISK_WRITE_ZEROES);
	request->disk_io = (struct os_disk_io){
		.parent = &request->op,
		.disk = disk,
		.operation = OS_DISK_FLUSH,
	};
	return uring_disk_submit(request);
}

static void uring_reply(struct uring_io *request)
{
	struct bdev_io *io = request->io;
	struct uring_bdev *uring = container_of(io->channel->bdev, struct uring_bdev, bdev);
	enum io_status status = IO_OK;

	ASSERT(request->step == URING_REPLY);
	ASSERT(request->disk_io.result <= 0);
	ASSERT(op_is_idle(&request->op));
	if (__builtin_expect(request->disk_io.result < 0, 0))
		status = uring_judge_failure(uring, request->disk_io.result);
	if (uring_is_paced(io))
		uring_pace(request);
	bdev_io_done(io, status);
}

static void uring_run(struct op *op)
{
	struct uring_io *request = container_of(op, struct uring_io, op);

	for (;;) {
		switch (request->step) {
		case URING_TRANSFER:
			request->step = URING_FLUSH;
			if (uring_transfer(request) == OP_WAIT)
				return;
			break;
		case URING_FLUSH:
			request->step = URING_REPLY;
			if (uring_needs_flush(request) && uring_flush(request) == OP_WAIT)
				return;
			break;
		case URING_REPLY:
			uring_reply(request); /* @request may be reused from here on */
			return;
		}
	}
}

static void uring_submit(struct bdev_channel *channel, struct bdev_io *io)
{
	struct uring_io *request = (struct uring_io *)(void *)io->driver;

	ASSERT(channel->inflight > 0);
	ASSERT(io->channel == channel);
	request->io = io;
	request->step = URING_TRANSFER;
	op_init(&request->op, reactor_ready(channel->reactor), uring_run);
	op_start(&request->op);
}

static int uring_channel_open(struct bdev_channel *channel)
{
	struct uring_channel *uring = memory_alloc(sizeof(*uring));

	ASSERT(reactor_ring(channel->reactor) != NULL);
	if (uring == NULL)
		return -ENOMEM;
	list_init(&uring->waiting);
	channel->driver = uring;
	return 0;
}

static void uring_channel_close(struct bdev_channel *channel)
{
	struct uring_channel *uring = channel->driver;

	ASSERT(channel->inflight == 0);
	ASSERT(list_is_empty(&uring->waiting));
	ASSERT(uring->pace.in_flight == 0);
	memory_free(uring);
}

static void uring_destroy(struct bdev *bdev, struct op *parent)
{
	struct uring_bdev *uring = container_of(bdev, struct uring_bdev, bdev);

	ASSERT(bdev->reference_count == 0);
	ASSERT(bdev->claimed_by[0] == '\0');
	ASSERT(list_is_empty(&bdev->registry_link));
	ASSERT(bdev_channel_count(bdev) == 0);
	ASSERT(uring->destroyer == NULL);
	reactor_timer_stop(&uring->timer);
	if (atomic_load(&uring->is_message_sent)) {
		uring->destroyer = parent;
		return;
	}
	uring_free(uring);
	op_done(parent);
}

static const struct bdev_ops uring_ops = {
	.product_name = "file or block device",
	.channel_open = uring_channel_open,
	.channel_close = uring_channel_close,
	.submit = uring_submit,
	.destroy = uring_destroy,
};

/* Creation. */

static int open_refuse(struct bdev_create *create, int error)
{
	switch (-error) {
	case ENOENT:
	case ENOTDIR:
		return bdev_uri_refuse(create->error, -ENOENT,
				       "device '%.300s' does not exist; check the path",
				       create->name);
	case ENODEV:
	case ENXIO:
	case ENOMEDIUM:
		return bdev_uri_refuse(create->error, -ENODEV,
				       "device '%.300s' has no hardware behind it; attach the disk",
				       create->name);
	case EBUSY:
		return bdev_uri_refuse(
			create->error, -EBUSY,
			"device '%.300s' is mounted or used by another program; stop "
			"using it there",
			create->name);
	case EACCES:
	case EPERM:
	case EROFS:
		return bdev_uri_refuse(create->error, error,
				       "device '%.300s' may not be opened for writing (errno %d); "
				       "grant access",
				       create->name, -error);
	case EMFILE:
	case ENFILE:
		return bdev_uri_refuse(create->error, error,
				       "device '%.300s' cannot be opened: no file descriptor is "
				       "left; raise the limit of open files",
				       create->name);
	case EIO:
		return bdev_uri_refuse(create->error, error,
				       "device '%.300s' answers with an I/O error; check the disk",
				       create->name);
	default:
		return bdev_uri_refuse(
			create->error, error,
			"device '%.300s' cannot be opened (errno %d); name a regular "
			"file or a block device",
			create->name, -error);
	}
}

/* Files have blocks of 512 unless the file system wants more, devices what they say. */
static int uring_geometry(struct bdev_create *create, const struct bdev_uri_options *options,
			  const struct os_disk_info *info, struct bdev *bdev)
{
	uint32_t logical_bytes = BLOCK_BYTES_MIN;

	if (info->is_block_device || info->is_direct)
		logical_bytes = info->logical_block_bytes;
	bdev->block_bytes = logical_bytes;
	if ((options->given & BDEV_URI_BLK_SIZE) != 0)
		bdev->block_bytes = options->block_bytes;
	if (bdev->block_bytes < logical_bytes)
		return bdev_uri_refuse(create->error, -EINVAL,
				       "device '%.300s' has blocks of %u bytes; use blk_size=%u or "
				       "omit it",
				       create->name, logical_bytes, logical_bytes);
	ASSERT(bdev->block_bytes % BLOCK_BYTES_MIN == 0);
	bdev->block_count = info->size_bytes / bdev->block_bytes;
	if (bdev->block_count == 0)
		return bdev_uri_refuse(create->error, -EINVAL,
				       "device '%.300s' has %" PRIu64 " bytes, less than one block "
				       "of %u; make it larger",
				       create->name, info->size_bytes, bdev->block_bytes);
	bdev->physical_block_bytes = info->physical_block_bytes;
	if (bdev->physical_block_bytes < bdev->block_bytes)
		bdev->physical_block_bytes = bdev->block_bytes;
	bdev->memory_alignment = info->is_direct ? logical_bytes : 1;
	return 0;
}

static void uring_fill(struct uring_bdev *uring, struct bdev_create *create,
		       const struct os_disk_info *info)
{
	struct bdev *bdev = &uring->bdev;

	ASSERT(uring->disk != NULL);
	ASSERT(bdev->block_count > 0);
	memcpy(bdev->name, create->name, sizeof(bdev->name));
	bdev->ops = &uring_ops;
	bdev->main = bdev_registry_main(create->registry);
	bdev->can_unmap = info->can_discard;
	bdev->can_write_zeroes = info->can_write_zeroes;
	/* A hole in a file is zero; what a device shows where it discarded is its own choice. */
	bdev->reads_zero_after_unmap = info->can_discard && !info->is_block_device;
	bdev->has_volatile_cache = info->has_volatile_cache;
	bdev->is_local = true;
	/* Drive and page cache live as long as the machine has power. */
	os_boot_id(reactor_os(bdev->main), &bdev->cache_id);
	bdev_init(bdev);
	uring->message.run = uring_message_run;
	atomic_init(&uring->is_message_sent, false);
	reactor_timer_init(&uring->timer, bdev->main, uring_timer_expired);
	reactor_timer_start(&uring->timer, URING_CHECK_INTERVAL_NS);
}

static int uring_make(struct bdev_create *create, const struct bdev_uri_options *options)
{
	struct os *os = reactor_os(bdev_registry_main(create->registry));
	struct uring_bdev *uring = memory_alloc(sizeof(*uring));
	struct os_disk_info info;
	int rc;

	ASSERT(create->bdev == NULL);
	if (uring == NULL)
		return bdev_uri_refuse(create->error, -ENOMEM,
				       "device '%.300s': out of memory; free some", create->name);
	rc = os_disk_open(os, create->name, OS_DISK_EXCLUSIVE, &uring->disk);
	if (rc < 0) {
		rc = open_refuse(create, rc);
		goto fail_memory;
	}
	rc = os_disk_info(uring->disk, &info);
	if (rc < 0) {
		rc = open_refuse(create, rc);
		goto fail_disk;
	}
	rc = uring_geometry(create, options, &info, &uring->bdev);
	if (rc < 0)
		goto fail_disk;
	uring->bdev.uuid = bdev_uri_uuid(create, options);
	uring_fill(uring, create, &info);
	create->bdev = &uring->bdev;
	return 0;

fail_disk:
	os_disk_close(uring->disk);
fail_memory:
	memory_free(uring);
	return rc;
}

/* May @options be asked of the bdev that has the name already? */
static int rescan_judge(struct bdev_create *create, const struct bdev_uri_options *options)
{
	const struct bdev *bdev = create->bdev;

	ASSERT(bdev != NULL);
	if (bdev->ops != &uring_ops || !options->is_rescan)
		return bdev_uri_refuse(
			create->error, -EEXIST,
			"device '%.300s' exists; use it, or add rescan to look at its "
			"size again",
			create->name);
	if ((options->given & BDEV_URI_UUID) != 0 && !uuid_is_equal(&options->uuid, &bdev->uuid))
		return bdev_uri_refuse(
			create->error, -EINVAL,
			"device '%.300s' exists with another uuid; omit uuid=", create->name);
	if ((options->given & BDEV_URI_BLK_SIZE) != 0 && options->block_bytes != bdev->block_bytes)
		return bdev_uri_refuse(
			create->error, -EINVAL,
			"device '%.300s' exists with blocks of %u bytes; omit blk_size=",
			create->name, bdev->block_bytes);
	return 0;
}

static int uring_rescan(struct bdev_create *create, const struct bdev_uri_options *options)
{
	struct bdev *bdev = create->bdev;
	struct uring_bdev *uring;
	struct os_disk_info info;
	uint64_t block_count;
	int rc;

	rc = rescan_judge(create, options);
	if (rc < 0)
		return rc;
	uring = container_of(bdev, struct uring_bdev, bdev);
	ASSERT(uring->destroyer == NULL);
	ASSERT(uring->disk != NULL);
	uring_check(uring);
	if (bdev_is_removed(bdev) || os_disk_info(uring->disk, &info) < 0)
		return bdev_uri_refuse(create->error, -ENODEV,
				       "device '%.300s' is lost; destroy it and create it anew",
				       create->name);
	block_count = info.size_bytes / bdev->block_bytes;
	if (block_count < bdev->block_count)
		return bdev_uri_refuse(create->error, -EINVAL,
				       "device '%.200s' has shrunk from %" PRIu64 " to %" PRIu64
				       " blocks; restore its size",
				       create->name, bdev->block_count, block_count);
	if (block_count > bdev->block_count)
		bdev_grow(bdev, block_count);
	return 0;
}

static void uring_create(struct bdev_create *create)
{
	struct bdev_uri_options options;
	int rc;

	rc = bdev_uri_options(&create->uri, BDEV_URI_BLK_SIZE | BDEV_URI_UUID | BDEV_URI_RESCAN,
			      &options, create->error);
	if (rc == 0)
		rc = create->bdev != NULL ? uring_rescan(create, &options)
					  : uring_make(create, &options);
	create->result = rc;
	ASSERT(create->result <= 0);
	ASSERT(create->result < 0 || create->bdev != NULL);
	op_done(create->parent);
}

static const char *const uring_schemes[] = {"aio", "uring", "", NULL};

int bdev_uring_register(struct bdev_registry *registry)
{
	const struct bdev_driver driver = {
		.schemes = uring_schemes,
		.name = bdev_uri_path_name,
		.create = uring_create,
		.handles_existing = true,
	};

	return bdev_driver_register(registry, &driver);
}
