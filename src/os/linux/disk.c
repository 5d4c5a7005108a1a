/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - disk operations on the ring.
 *
 * A transfer is repeated from where it stopped until all is done, so that the owner sees whole
 * or failed:
 *
 *	transfer_prepare -> transfer_handle -> (short, or try again) -> transfer_prepare ...
 *
 * Invariants:
 *  1. One submission per operation is in flight at a time.
 *  2. The owner's iovecs are never changed. After a short transfer that ended inside an iovec, the
 *     rest of that one is transferred alone.
 *  3. Number of repeats without progress is bounded.
 */
#include "base/assert.h"
#include "os/linux/disk_impl.h"
#include "os/linux/ring_impl.h"

#include <errno.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#define RETRIES_MAX	 64
#define SINGLE_BYTES_MAX (1u << 30) /* one transfer stays below the kernel's 2 GiB */

/* Lives in os_disk_io.private_words. */
struct disk_request {
	struct completion completion;
	struct os_ring *ring;
	uint64_t done_bytes;
	uint32_t iov_index;	   /* the iovec that done_bytes has come to */
	uint32_t retry_count;	   /* without progress */
	uint64_t iov_offset_bytes; /* into it */
	int32_t zero_mode;	   /* of WRITE_ZEROES: the fallocate() mode in use */
};

STATIC_ASSERT(sizeof(struct disk_request) <= sizeof(((struct os_disk_io *)0)->private_words));

static struct disk_request *disk_request(struct os_disk_io *io)
{
	return (struct disk_request *)(void *)io->private_words;
}

static struct os_disk_io *disk_request_io(struct completion *completion)
{
	struct disk_request *request = container_of(completion, struct disk_request, completion);

	return container_of(request, struct os_disk_io, private_words);
}

static void disk_finish(struct os_disk_io *io, int result)
{
	io->result = result;
	op_done(io->parent);
}

static void transfer_prepare_single(struct io_uring_sqe *sqe, struct os_disk_io *io,
				    const struct iovec *part)
{
	struct disk_request *request = disk_request(io);
	uint64_t offset_bytes = io->offset_bytes + request->done_bytes;
	unsigned size_bytes =
		part->iov_len < SINGLE_BYTES_MAX ? (unsigned)part->iov_len : SINGLE_BYTES_MAX;
	int fixed = ring_fixed_find(request->ring, part);
	int fd = io->disk->fd;

	if (io->operation == OS_DISK_READ && fixed >= 0)
		io_uring_prep_read_fixed(sqe, fd, part->iov_base, size_bytes, offset_bytes, fixed);
	else if (io->operation == OS_DISK_READ)
		io_uring_prep_read(sqe, fd, part->iov_base, size_bytes, offset_bytes);
	else if (fixed >= 0)
		io_uring_prep_write_fixed(sqe, fd, part->iov_base, size_bytes, offset_bytes, fixed);
	else
		io_uring_prep_write(sqe, fd, part->iov_base, size_bytes, offset_bytes);
}

static void transfer_prepare(struct os_disk_io *io)
{
	struct disk_request *request = disk_request(io);
	struct io_uring_sqe *sqe = ring_submission(request->ring, &request->completion);
	const struct iovec *iov = &io->iov[request->iov_index];
	uint32_t iov_count = io->iov_count - request->iov_index;
	uint64_t offset_bytes = io->offset_bytes + request->done_bytes;

	ASSERT(request->iov_index < io->iov_count);
	ASSERT(request->iov_offset_bytes < iov->iov_len);
	if (iov_count > IOV_MAX)
		iov_count = IOV_MAX;
	if (iov_count == 1 || request->iov_offset_bytes > 0) {
		struct iovec part = {
			.iov_base = (uint8_t *)iov->iov_base + request->iov_offset_bytes,
			.iov_len = iov->iov_len - request->iov_offset_bytes,
		};

		transfer_prepare_single(sqe, io, &part);
	} else if (io->operation == OS_DISK_READ) {
		io_uring_prep_readv(sqe, io->disk->fd, iov, iov_count, offset_bytes);
	} else {
		io_uring_prep_writev(sqe, io->disk->fd, iov, iov_count, offset_bytes);
	}
	if (io->operation == OS_DISK_WRITE && io->is_durable)
		sqe->rw_flags = RWF_DSYNC;
	ring_transfer_prepared(request->ring);
}

/* Moves on by @size_bytes, and over iovecs without bytes. Return: true if something is left. */
static bool transfer_advance(struct os_disk_io *io, uint64_t size_bytes)
{
	struct disk_request *request = disk_request(io);

	request->done_bytes += size_bytes;
	request->iov_offset_bytes += size_bytes;
	while (request->iov_index < io->iov_count &&
	       request->iov_offset_bytes >= io->iov[request->iov_index].iov_len) {
		request->iov_offset_bytes -= io->iov[request->iov_index].iov_len;
		request->iov_index++;
	}
	ASSERT(request->done_bytes <= io->size_bytes);
	ASSERT(request->iov_index < io->iov_count || request->iov_offset_bytes == 0);
	return request->iov_index < io->iov_count;
}

static bool disk_may_retry(struct disk_request *request, int32_t result)
{
	if (result != -EINTR && result != -EAGAIN)
		return false;
	request->retry_count++;
	return request->retry_count <= RETRIES_MAX;
}

static void transfer_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_disk_io *io = disk_request_io(completion);
	struct disk_request *request = disk_request(io);

	(void)flags;
	if (disk_may_retry(request, result)) {
		transfer_prepare(io);
		return;
	}
	if (result <= 0) {
		disk_finish(io, result == 0 ? -EIO : result); /* 0: the end of the file */
		return;
	}
	if (!transfer_advance(io, (uint64_t)result)) {
		disk_finish(io, 0);
		return;
	}
	REACHED("disk_transfer_short");
	/* A direct transfer that stops inside a block has met the end of the file. */
	if (io->disk->info.is_direct &&
	    request->done_bytes % io->disk->info.logical_block_bytes != 0) {
		disk_finish(io, -EIO);
		return;
	}
	request->retry_count = 0;
	transfer_prepare(io);
}

static void flush_prepare(struct os_disk_io *io)
{
	struct disk_request *request = disk_request(io);
	struct io_uring_sqe *sqe = ring_submission(request->ring, &request->completion);

	io_uring_prep_fsync(sqe, io->disk->fd, IORING_FSYNC_DATASYNC);
}

static void flush_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_disk_io *io = disk_request_io(completion);

	(void)flags;
	if (disk_may_retry(disk_request(io), result))
		flush_prepare(io);
	else
		disk_finish(io, result < 0 ? result : 0);
}

/* DISCARD, and WRITE_ZEROES by the mode in turn. */
static void range_prepare(struct os_disk_io *io)
{
	struct disk_request *request = disk_request(io);
	struct io_uring_sqe *sqe = ring_submission(request->ring, &request->completion);

	io_uring_prep_fallocate(sqe, io->disk->fd, request->zero_mode, (off_t)io->offset_bytes,
				(off_t)io->size_bytes);
}

static void discard_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_disk_io *io = disk_request_io(completion);

	(void)flags;
	if (disk_may_retry(disk_request(io), result))
		range_prepare(io);
	else
		disk_finish(io, result < 0 ? result : 0);
}

/*
 * A file system that cannot zero a range makes a hole in it, and then allocates: the bytes behind
 * the old end of the file come into being as zeroes.
 */
static void zeroes_handle(struct completion *completion, int32_t result, uint32_t flags)
{
	struct os_disk_io *io = disk_request_io(completion);
	struct disk_request *request = disk_request(io);

	(void)flags;
	if (disk_may_retry(request, result)) {
		range_prepare(io);
		return;
	}
	if (result == -EOPNOTSUPP && !io->disk->info.is_block_device &&
	    request->zero_mode == FALLOC_FL_ZERO_RANGE) {
		request->zero_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		range_prepare(io);
		return;
	}
	if (result >= 0 && request->zero_mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
		request->zero_mode = 0;
		range_prepare(io);
		return;
	}
	disk_finish(io, result < 0 ? result : 0);
}

static bool range_is_valid(const struct os_disk_io *io)
{
	return io->size_bytes <= INT64_MAX && io->offset_bytes <= INT64_MAX - io->size_bytes;
}

static uint64_t iov_bytes(const struct os_disk_io *io)
{
	uint64_t total_bytes = 0;

	for (uint32_t i = 0; i < io->iov_count; i++)
		total_bytes += io->iov[i].iov_len;
	return total_bytes;
}

void os_disk_submit(struct os_ring *ring, struct os_disk_io *io)
{
	struct disk_request *request = disk_request(io);

	ASSERT(io->disk != NULL);
	*request = (struct disk_request){.ring = ring};
	if (io->operation != OS_DISK_FLUSH && (!range_is_valid(io) || io->size_bytes == 0)) {
		disk_finish(io, io->size_bytes == 0 ? 0 : -EINVAL);
		return;
	}
	switch (io->operation) {
	case OS_DISK_READ:
	case OS_DISK_WRITE:
		ASSERT(io->size_bytes == iov_bytes(io));
		request->completion.handle = transfer_handle;
		if (transfer_advance(io, 0))
			transfer_prepare(io);
		else
			disk_finish(io, 0);
		return;
	case OS_DISK_FLUSH:
		request->completion.handle = flush_handle;
		flush_prepare(io);
		return;
	case OS_DISK_DISCARD:
		request->completion.handle = discard_handle;
		request->zero_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		range_prepare(io);
		return;
	case OS_DISK_WRITE_ZEROES:
		request->completion.handle = zeroes_handle;
		/* A block device has its size, and refuses to be asked for more. */
		request->zero_mode = io->disk->info.is_block_device
					     ? FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE
					     : FALLOC_FL_ZERO_RANGE;
		range_prepare(io);
		return;
	}
	ASSERT(false);
}
