/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_uring_test.c - files and, where this may attach them, loop devices.
 *
 * The seam is real, but for its calls that the linker wraps: the test can make the next disk
 * operations fail, take the device away from os_disk_info(), count flushes, and let time pass.
 */
#include "block/bdev_test_fixture.h"

#include "base/prng.h"
#include "os/os_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int __real_os_disk_info(struct os_disk *disk, struct os_disk_info *ret_info);
int __wrap_os_disk_info(struct os_disk *disk, struct os_disk_info *ret_info);
void __real_os_disk_submit(struct os_ring *ring, struct os_disk_io *io);
void __wrap_os_disk_submit(struct os_ring *ring, struct os_disk_io *io);
uint64_t __real_os_clock_now_ns(struct os *os);
uint64_t __wrap_os_clock_now_ns(struct os *os);

/* What the wrapped calls do: a test program may have statics, the engine may not. */
static struct seam {
	int info_error; /* 0: the real answer */
	int io_error;	/* for all I/O */
	uint64_t ahead_ns;
	int flush_count;
	int durable_count;
	bool is_held; /* transfers are answered by held_answer() alone */
	struct os_disk_io *held[64];
	uint32_t held_count;
} seam;

int __wrap_os_disk_info(struct os_disk *disk, struct os_disk_info *ret_info)
{
	if (seam.info_error != 0)
		return seam.info_error;
	return __real_os_disk_info(disk, ret_info);
}

void __wrap_os_disk_submit(struct os_ring *ring, struct os_disk_io *io)
{
	seam.flush_count += io->operation == OS_DISK_FLUSH;
	seam.durable_count += io->is_durable;
	if (seam.io_error != 0) {
		io->result = seam.io_error;
		op_done(io->parent);
		return;
	}
	if (seam.is_held && io->operation != OS_DISK_FLUSH) {
		assert_true(seam.held_count < 64);
		seam.held[seam.held_count++] = io;
		return;
	}
	__real_os_disk_submit(ring, io);
}

/* The first @count that are held are answered. */
static void held_answer(uint32_t count)
{
	assert_true(count <= seam.held_count);
	for (uint32_t i = 0; i < count; i++) {
		seam.held[i]->result = 0;
		op_done(seam.held[i]->parent);
	}
	seam.held_count -= count;
	memmove(&seam.held[0], &seam.held[count], seam.held_count * sizeof(seam.held[0]));
}

uint64_t __wrap_os_clock_now_ns(struct os *os)
{
	return __real_os_clock_now_ns(os) + seam.ahead_ns;
}

struct file {
	char path[64];
	char uri[128];
	int fd;
};

/* Time stays ahead: the clock does not go back. */
static void seam_reset(void)
{
	uint64_t ahead_ns = seam.ahead_ns;

	memset(&seam, 0, sizeof(seam));
	seam.ahead_ns = ahead_ns;
}

static void file_make(struct file *file, off_t size_bytes)
{
	seam_reset();
	snprintf(file->path, sizeof(file->path), "/var/tmp/bdev_uring_test.XXXXXX");
	file->fd = mkstemp(file->path);
	assert_true(file->fd >= 0);
	assert_int_equal(ftruncate(file->fd, size_bytes), 0);
	snprintf(file->uri, sizeof(file->uri), "aio://%s", file->path);
}

static void file_remove(struct file *file)
{
	seam_reset();
	close(file->fd);
	unlink(file->path);
}

static uint8_t *pages(size_t size_bytes)
{
	uint8_t *memory = memory_alloc_pages(size_bytes);

	assert_non_null(memory);
	return memory;
}

static void content_reaches_the_file_through_every_scheme(void **state)
{
	static const char *const prefixes[] = {"aio://", "uring://", ""};
	struct fixture *fixture = *state;
	struct file file;
	uint8_t *written = pages(65536), *read_back = pages(65536);
	struct prng prng;

	file_make(&file, 1 << 20);
	prng_init(&prng, 3);
	for (int i = 0; i < 3; i++) {
		struct block_range range = {(uint64_t)i * 128, 128};
		struct bdev_channel *one, *two;
		struct bdev *bdev;
		char uri[128];

		snprintf(uri, sizeof(uri), "%s%s", prefixes[i], file.path);
		bdev = fixture_create(fixture, uri);
		assert_string_equal(bdev->name, file.path);
		assert_string_equal(bdev->uri, uri);
		assert_int_equal(bdev->block_bytes, 512);
		assert_int_equal(bdev->block_count, 2048);
		one = fixture_open(bdev, fixture->main);
		two = fixture_open(bdev, fixture->other);
		prng_fill(&prng, written, 65536);
		assert_int_equal(fixture_io(fixture, one, IO_WRITE, range, written), IO_OK);
		assert_int_equal(fixture_io(fixture, two, IO_READ, range, read_back), IO_OK);
		assert_memory_equal(written, read_back, 65536);
		assert_int_equal(fixture_io(fixture, two, IO_FLUSH, range, NULL), IO_OK);
		memset(read_back, 0, 65536);
		assert_int_equal(pread(file.fd, read_back, 65536, (off_t)i * 65536), 65536);
		assert_memory_equal(written, read_back, 65536);
		bdev_channel_close(one);
		bdev_channel_close(two);
		fixture_destroy(fixture, bdev);
	}
	memory_free_pages(written, 65536);
	memory_free_pages(read_back, 65536);
	file_remove(&file);
}

static void sizes_are_rounded_down_to_whole_blocks(void **state)
{
	struct fixture *fixture = *state;
	struct file file;
	struct bdev *bdev;
	char uri[160];

	file_make(&file, 3 * 4096 + 4095);
	bdev = fixture_create(fixture, file.uri);
	assert_int_equal(bdev->block_count, 31);
	fixture_destroy(fixture, bdev);
	snprintf(uri, sizeof(uri), "%s?blk_size=4096", file.uri);
	bdev = fixture_create(fixture, uri);
	assert_int_equal(bdev->block_bytes, 4096);
	assert_int_equal(bdev->block_count, 3);
	assert_true(bdev->physical_block_bytes >= 4096);
	fixture_destroy(fixture, bdev);
	assert_int_equal(ftruncate(file.fd, 4095), 0);
	assert_int_equal(fixture_try(fixture, uri), -EINVAL);
	assert_non_null(strstr(fixture->create.error, "less than one block"));
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(fixture_try(fixture, file.uri), -EINVAL);
	file_remove(&file);
}

static void a_file_in_use_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct file file;
	struct bdev *bdev;
	char link_path[80];

	file_make(&file, 1 << 20);
	snprintf(link_path, sizeof(link_path), "%s.link", file.path);
	assert_int_equal(symlink(file.path, link_path), 0);
	bdev = fixture_create(fixture, file.uri);
	assert_int_equal(fixture_try(fixture, link_path), -EBUSY);
	assert_non_null(strstr(fixture->create.error, "used by another"));
	assert_int_equal(fixture_try(fixture, file.path), -EEXIST);
	assert_ptr_equal(fixture->create.bdev, bdev);
	fixture_destroy(fixture, bdev);
	bdev = fixture_create(fixture, link_path);
	fixture_destroy(fixture, bdev);
	unlink(link_path);
	file_remove(&file);
}

static void unmap_and_zeroes_read_as_zeroes(void **state)
{
	static const enum io_type types[] = {IO_UNMAP, IO_WRITE_ZEROES};
	struct fixture *fixture = *state;
	struct bdev_channel *channel;
	struct file file;
	struct bdev *bdev;
	uint8_t *bytes = pages(65536);

	file_make(&file, 65536);
	bdev = fixture_create(fixture, file.uri);
	channel = fixture_open(bdev, fixture->main);
	if (!bdev->can_unmap || !bdev->can_write_zeroes)
		skip();
	assert_true(bdev->reads_zero_after_unmap);
	for (int t = 0; t < 2; t++) {
		memset(bytes, 0x5a, 65536);
		fixture_io(fixture, channel, IO_WRITE, (struct block_range){0, 128}, bytes);
		assert_int_equal(
			fixture_io(fixture, channel, types[t], (struct block_range){8, 100}, NULL),
			IO_OK);
		fixture_io(fixture, channel, IO_READ, (struct block_range){0, 128}, bytes);
		for (int i = 0; i < 65536; i++)
			assert_int_equal(bytes[i], i < 8 * 512 || i >= 108 * 512 ? 0x5a : 0);
	}
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
	memory_free_pages(bytes, 65536);
	file_remove(&file);
}

static enum io_status fua_io(struct fixture *fixture, struct bdev_channel *channel,
			     enum io_type type, const struct iovec *iov)
{
	struct waiter waiter;
	struct bdev_io io = {.parent = &waiter.op,
			     .type = type,
			     .is_fua = true,
			     .range = {0, 8},
			     .iov = iov,
			     .iov_count = iov != NULL};

	waiter_init(&waiter, channel->reactor);
	op_wait(&waiter.op);
	bdev_submit(channel, &io);
	fixture_wait(fixture, &waiter);
	return io.status;
}

static void flush_and_fua_reach_the_device(void **state)
{
	struct fixture *fixture = *state;
	struct bdev_channel *channel;
	struct file file;
	struct bdev *bdev;
	uint8_t *bytes = pages(4096);
	struct iovec iov = {bytes, 4096};
	struct uuid boot_id;

	file_make(&file, 65536);
	bdev = fixture_create(fixture, file.uri);
	assert_true(bdev->has_volatile_cache);
	os_boot_id(fixture->os, &boot_id);
	assert_true(uuid_is_equal(&bdev->cache_id, &boot_id)); /* the page cache lives as long */
	channel = fixture_open(bdev, fixture->main);
	assert_int_equal(fixture_io(fixture, channel, IO_FLUSH, (struct block_range){0, 0}, NULL),
			 IO_OK);
	assert_int_equal(seam.flush_count, 1);
	assert_int_equal(fixture_io(fixture, channel, IO_WRITE, (struct block_range){0, 8}, bytes),
			 IO_OK);
	assert_int_equal(seam.durable_count, 0);
	assert_int_equal(fua_io(fixture, channel, IO_WRITE, &iov), IO_OK);
	assert_int_equal(seam.durable_count, 1);
	assert_int_equal(seam.flush_count, 1);
	if (bdev->can_write_zeroes) {
		assert_int_equal(fua_io(fixture, channel, IO_WRITE_ZEROES, NULL), IO_OK);
		assert_int_equal(seam.flush_count, 2);
	}
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
	memory_free_pages(bytes, 4096);
	file_remove(&file);
}

static void an_error_of_a_device_that_is_there_is_passed_on(void **state)
{
	static const struct {
		int error;
		enum io_status status;
	} errors[] = {{-EIO, IO_MEDIUM_ERROR},
		      {-ENOSPC, IO_NO_SPACE},
		      {-EBADE, IO_RESERVATION_CONFLICT},
		      {-ENODEV, IO_DEVICE_GONE},
		      {-EOPNOTSUPP, IO_UNSUPPORTED}};
	struct fixture *fixture = *state;
	struct fixture_listener heard;
	struct bdev_channel *channel;
	struct file file;
	struct bdev *bdev;
	uint8_t *bytes = pages(4096);

	file_make(&file, 65536);
	bdev = fixture_create(fixture, file.uri);
	fixture_listen(&heard, bdev);
	channel = fixture_open(bdev, fixture->other);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		seam.io_error = errors[i].error;
		assert_int_equal(
			fixture_io(fixture, channel, IO_WRITE, (struct block_range){0, 8}, bytes),
			errors[i].status);
	}
	/* A full file system that is also hard to ask is still only full. */
	seam.io_error = -ENOSPC;
	seam.info_error = -EIO;
	assert_int_equal(fixture_io(fixture, channel, IO_WRITE, (struct block_range){0, 8}, bytes),
			 IO_NO_SPACE);
	seam.info_error = 0;
	for (int i = 0; i < 5; i++)
		fixture_turn(fixture);
	assert_int_equal(heard.removed_count, 0);
	seam.io_error = 0;
	assert_int_equal(fixture_io(fixture, channel, IO_WRITE, (struct block_range){0, 8}, bytes),
			 IO_OK);
	bdev_unlisten(&heard.listener);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
	memory_free_pages(bytes, 4096);
	file_remove(&file);
}

static void a_lost_device_is_noticed_by_the_io_that_fails(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_listener heard;
	struct bdev_channel *channel;
	struct file file;
	struct bdev *bdev;
	uint8_t *bytes = pages(4096);

	file_make(&file, 65536);
	bdev = fixture_create(fixture, file.uri);
	fixture_listen(&heard, bdev);
	channel = fixture_open(bdev, fixture->other);
	seam.io_error = -EIO;
	seam.info_error = -ENXIO;
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			fixture_io(fixture, channel, IO_READ, (struct block_range){0, 8}, bytes),
			IO_DEVICE_GONE);
	for (int i = 0; i < 5; i++)
		fixture_turn(fixture);
	assert_int_equal(heard.removed_count, 1);
	assert_true(bdev_is_removed(bdev));
	seam.io_error = 0;
	seam.info_error = 0;
	/* It does not come back by itself. */
	assert_int_equal(fixture_io(fixture, channel, IO_READ, (struct block_range){0, 8}, bytes),
			 IO_DEVICE_GONE);
	bdev_unlisten(&heard.listener);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
	bdev = fixture_create(fixture, file.uri);
	fixture_destroy(fixture, bdev);
	memory_free_pages(bytes, 4096);
	file_remove(&file);
}

static void a_lost_device_is_noticed_without_io(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_listener heard;
	struct file file;
	struct bdev *bdev;

	file_make(&file, 65536);
	bdev = fixture_create(fixture, file.uri);
	fixture_listen(&heard, bdev);
	for (int i = 0; i < 3; i++) {
		seam.ahead_ns += 6ull * 1000 * 1000 * 1000;
		fixture_turn(fixture);
		fixture_turn(fixture);
	}
	assert_int_equal(heard.removed_count, 0);
	assert_int_equal(ftruncate(file.fd, 0), 0);
	fixture_turn(fixture);
	assert_int_equal(heard.removed_count, 0);
	seam.ahead_ns += 6ull * 1000 * 1000 * 1000;
	fixture_turn(fixture);
	fixture_turn(fixture);
	assert_int_equal(heard.removed_count, 1);
	assert_int_equal(fixture_try(fixture, "bdev:///none"), -ENOENT);
	bdev_unlisten(&heard.listener);
	fixture_destroy(fixture, bdev);
	file_remove(&file);
}

static void destroying_waits_for_the_message_to_main(void **state)
{
	struct fixture *fixture = *state;
	struct bdev_channel *channel;
	struct bdev_io io;
	struct waiter waiter;
	struct bdev_destroy destroy = {.parent = &waiter.op};
	struct file file;
	struct bdev *bdev;
	uint8_t *bytes = pages(4096);
	struct iovec iov = {bytes, 4096};

	file_make(&file, 65536);
	bdev = fixture_create(fixture, file.uri);
	channel = fixture_open(bdev, fixture->other);
	seam.io_error = -EIO;
	seam.info_error = -ENODEV;
	waiter_init(&waiter, fixture->other);
	io = (struct bdev_io){.parent = &waiter.op,
			      .type = IO_READ,
			      .range = {0, 8},
			      .iov = &iov,
			      .iov_count = 1};
	op_wait(&waiter.op);
	bdev_submit(channel, &io);
	assert_int_equal(waiter.op.pending, 0);
	assert_int_equal(io.status, IO_DEVICE_GONE);
	bdev_channel_close(channel);
	waiter_init(&waiter, fixture->main);
	destroy.bdev = bdev;
	op_wait(&waiter.op);
	bdev_destroy_submit(fixture->registry, &destroy);
	assert_int_equal(waiter.op.pending, 1);
	reactor_turn(fixture->main, false);
	assert_int_equal(waiter.op.pending, 0);
	assert_int_equal(destroy.result, 0);
	memory_free_pages(bytes, 4096);
	file_remove(&file);
}

static void growth_is_seen_by_rescan_alone(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_listener heard;
	struct bdev_channel *channel;
	struct file file;
	struct bdev *bdev;
	uint8_t *bytes = pages(4096);
	char uri[200];

	file_make(&file, 65536);
	bdev = fixture_create(fixture, file.uri);
	channel = fixture_open(bdev, fixture->other);
	fixture_listen(&heard, bdev);
	assert_int_equal(ftruncate(file.fd, 131072 + 100), 0);
	assert_int_equal(fixture_try(fixture, file.uri), -EEXIST);
	assert_int_equal(bdev->block_count, 128);
	snprintf(uri, sizeof(uri), "%s?rescan=", file.uri);
	assert_ptr_equal(fixture_create(fixture, uri), bdev);
	assert_int_equal(bdev->block_count, 256);
	assert_int_equal(heard.resized_count, 1);
	assert_int_equal(fixture_io(fixture, channel, IO_READ, (struct block_range){248, 8}, bytes),
			 IO_OK);
	assert_ptr_equal(fixture_create(fixture, uri), bdev);
	assert_int_equal(heard.resized_count, 1);
	snprintf(uri, sizeof(uri), "%s?rescan&blk_size=4096", file.uri);
	assert_int_equal(fixture_try(fixture, uri), -EINVAL);
	snprintf(uri, sizeof(uri), "%s?rescan&uuid=3a1f0c9e-6b0a-4d7e-9a55-0d2c1b7e8f40", file.uri);
	assert_int_equal(fixture_try(fixture, uri), -EINVAL);
	assert_int_equal(ftruncate(file.fd, 65536), 0);
	snprintf(uri, sizeof(uri), "%s?rescan", file.uri);
	assert_int_equal(fixture_try(fixture, uri), -EINVAL);
	assert_non_null(strstr(fixture->create.error, "shrunk"));
	assert_int_equal(bdev->block_count, 256);
	/* Behind the end that the file has now nothing can be read. */
	assert_int_equal(fixture_io(fixture, channel, IO_READ, (struct block_range){248, 8}, bytes),
			 IO_MEDIUM_ERROR);
	assert_int_equal(heard.removed_count, 0);
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(fixture_try(fixture, uri), -ENODEV);
	assert_int_equal(heard.removed_count, 1);
	bdev_unlisten(&heard.listener);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
	memory_free_pages(bytes, 4096);
	file_remove(&file);
}

/* A loop device over @file. Return: its descriptor, or -1 when this may not make one. */
static int loop_attach(const struct file *file, char ret_path[64])
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number, fd;

	if (control < 0)
		return -1;
	number = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	if (number < 0)
		return -1;
	snprintf(ret_path, 64, "/dev/loop%d", number);
	fd = open(ret_path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ioctl(fd, LOOP_SET_FD, file->fd) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void a_block_device_grows_and_is_lost(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_listener heard;
	struct bdev_channel *channel;
	struct file file;
	struct bdev *bdev;
	uint8_t *bytes = pages(4096), *back = pages(4096);
	char path[64], uri[128];
	int loop;

	file_make(&file, 1 << 20);
	loop = loop_attach(&file, path);
	if (loop < 0) {
		print_message("no loop device may be attached here\n");
		memory_free_pages(bytes, 4096);
		memory_free_pages(back, 4096);
		file_remove(&file);
		skip();
	}
	snprintf(uri, sizeof(uri), "uring://%s?rescan", path);
	bdev = fixture_create(fixture, uri);
	assert_int_equal(bdev->block_bytes, 512);
	assert_int_equal(bdev->block_count, 2048);
	assert_false(bdev->reads_zero_after_unmap);
	channel = fixture_open(bdev, fixture->other);
	fixture_listen(&heard, bdev);
	memset(bytes, 0x21, 4096);
	assert_int_equal(
		fixture_io(fixture, channel, IO_WRITE, (struct block_range){2040, 8}, bytes),
		IO_OK);
	assert_int_equal(fixture_io(fixture, channel, IO_FLUSH, (struct block_range){0, 0}, NULL),
			 IO_OK);
	assert_int_equal(fixture_io(fixture, channel, IO_READ, (struct block_range){2040, 8}, back),
			 IO_OK);
	assert_memory_equal(bytes, back, 4096);
	if (bdev->can_write_zeroes) {
		assert_int_equal(fixture_io(fixture, channel, IO_WRITE_ZEROES,
					    (struct block_range){2040, 4}, NULL),
				 IO_OK);
		fixture_io(fixture, channel, IO_READ, (struct block_range){2040, 8}, back);
		assert_int_equal(back[0], 0);
		assert_int_equal(back[2048], 0x21);
	}
	assert_int_equal(ftruncate(file.fd, 2 << 20), 0);
	assert_int_equal(ioctl(loop, LOOP_SET_CAPACITY, 0), 0);
	assert_ptr_equal(fixture_create(fixture, uri), bdev);
	assert_int_equal(bdev->block_count, 4096);
	/* The backing is gone; the kernel gives a removed disk the size 0 too. */
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(ioctl(loop, LOOP_SET_CAPACITY, 0), 0);
	assert_int_equal(fixture_io(fixture, channel, IO_READ, (struct block_range){0, 8}, back),
			 IO_DEVICE_GONE);
	for (int i = 0; i < 5; i++)
		fixture_turn(fixture);
	assert_int_equal(heard.removed_count, 1);
	bdev_unlisten(&heard.listener);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
	assert_int_equal(ioctl(loop, LOOP_CLR_FD, 0), 0);
	close(loop);
	memory_free_pages(bytes, 4096);
	memory_free_pages(back, 4096);
	file_remove(&file);
}

/* The kernel says "no space" of writes beyond its end, be it one that shrank or was pulled. */
static void a_block_device_that_became_smaller_is_not_full(void **state)
{
	struct fixture *fixture = *state;
	struct bdev_channel *channel;
	struct block_range last = {2040, 8};
	struct file file;
	struct bdev *bdev;
	uint8_t *bytes = pages(4096);
	char path[64], uri[128];
	int loop;

	file_make(&file, 1 << 20);
	loop = loop_attach(&file, path);
	if (loop < 0) {
		print_message("no loop device may be attached here\n");
		memory_free_pages(bytes, 4096);
		file_remove(&file);
		skip();
	}
	snprintf(uri, sizeof(uri), "uring://%s", path);
	bdev = fixture_create(fixture, uri);
	channel = fixture_open(bdev, fixture->other);
	assert_int_equal(fixture_io(fixture, channel, IO_WRITE, last, bytes), IO_OK);
	seam.io_error = -ENOSPC; /* of a thin device that is there */
	assert_int_equal(fixture_io(fixture, channel, IO_WRITE, last, bytes), IO_NO_SPACE);
	seam.io_error = 0;
	assert_int_equal(ftruncate(file.fd, 512 << 10), 0);
	assert_int_equal(ioctl(loop, LOOP_SET_CAPACITY, 0), 0);
	assert_int_equal(fixture_io(fixture, channel, IO_WRITE, last, bytes), IO_MEDIUM_ERROR);
	assert_false(bdev_is_removed(bdev));
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(ioctl(loop, LOOP_SET_CAPACITY, 0), 0);
	assert_int_equal(fixture_io(fixture, channel, IO_WRITE, last, bytes), IO_DEVICE_GONE);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
	assert_int_equal(ioctl(loop, LOOP_CLR_FD, 0), 0);
	close(loop);
	memory_free_pages(bytes, 4096);
	file_remove(&file);
}

#define DEEP 32

/* A host that always wants DEEP reads, block after block. */
struct deep {
	struct waiter waiter;
	struct bdev_channel *channel;
	struct bdev_io ios[DEEP];
	struct iovec iov;
	uint64_t next_block;
};

static void deep_fill(struct deep *deep)
{
	for (int i = 0; i < DEEP; i++) {
		struct bdev_io *io = &deep->ios[i];

		if (io->channel != NULL)
			continue;
		*io = (struct bdev_io){.parent = &deep->waiter.op,
				       .type = IO_READ,
				       .range = {deep->next_block++ % 2048, 1},
				       .iov = &deep->iov,
				       .iov_count = 1};
		op_wait(&deep->waiter.op);
		bdev_submit(deep->channel, io);
	}
	assert_int_equal(deep->waiter.op.pending, DEEP);
}

static struct deep *deep_make(struct fixture *fixture, struct bdev *bdev, uint8_t *bytes)
{
	struct deep *deep = memory_alloc(sizeof(*deep));

	assert_non_null(deep);
	waiter_init(&deep->waiter, fixture->main);
	deep->channel = fixture_open(bdev, fixture->main);
	deep->iov = (struct iovec){bytes, 512};
	seam.is_held = true;
	fixture_turn(fixture);
	return deep;
}

static void deep_free(struct fixture *fixture, struct deep *deep)
{
	while (deep->waiter.op.pending > 0) {
		held_answer(seam.held_count);
		fixture_turn(fixture);
	}
	assert_int_equal(seam.held_count, 0);
	bdev_channel_close(deep->channel);
	memory_free(deep);
}

static void a_disk_in_lockstep_finds_work_behind_its_answers(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *bytes = pages(4096);
	struct bdev *bdev;
	struct deep *deep;
	struct file file;
	uint64_t oldest;

	file_make(&file, 1 << 20);
	bdev = fixture_create(fixture, file.uri);
	deep = deep_make(fixture, bdev, bytes);
	for (int i = 0; i < 50; i++) {
		deep_fill(deep);
		seam.ahead_ns += 200000;
		held_answer(seam.held_count);
		fixture_turn(fixture);
	}
	deep_fill(deep);
	assert_int_equal(seam.held_count, DEEP - DEEP * 3 / 8);
	/* What waits is not in the way of a flush. */
	assert_int_equal(
		fixture_io(fixture, deep->channel, IO_FLUSH, (struct block_range){0}, NULL), IO_OK);
	/* Each answer lets one go that waited. */
	held_answer(1);
	fixture_turn(fixture);
	assert_int_equal(seam.held_count, DEEP - DEEP * 3 / 8);
	/* When the disk has answered it gets those that waited, oldest first. */
	oldest = seam.held[seam.held_count - 1]->offset_bytes + 512;
	seam.ahead_ns += 200000;
	held_answer(seam.held_count);
	fixture_turn(fixture);
	assert_int_equal(seam.held_count, DEEP * 3 / 8 - 1);
	for (uint32_t i = 0; i < seam.held_count; i++)
		assert_int_equal(seam.held[i]->offset_bytes, (oldest + i * 512) % (2048 * 512));
	deep_free(fixture, deep);
	seam_reset();
	fixture_destroy(fixture, bdev);
	memory_free_pages(bytes, 4096);
	file_remove(&file);
}

static void a_disk_that_answers_one_by_one_has_all_at_once(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *bytes = pages(4096);
	struct bdev *bdev;
	struct deep *deep;
	struct file file;

	file_make(&file, 1 << 20);
	bdev = fixture_create(fixture, file.uri);
	deep = deep_make(fixture, bdev, bytes);
	for (int i = 0; i < 50 * DEEP; i++) {
		deep_fill(deep);
		assert_int_equal(seam.held_count, DEEP);
		seam.ahead_ns += 20000;
		held_answer(1);
		fixture_turn(fixture);
	}
	deep_free(fixture, deep);
	seam_reset();
	fixture_destroy(fixture, bdev);
	memory_free_pages(bytes, 4096);
	file_remove(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(content_reaches_the_file_through_every_scheme),
		RULE(sizes_are_rounded_down_to_whole_blocks),
		RULE(a_file_in_use_is_refused),
		RULE(unmap_and_zeroes_read_as_zeroes),
		RULE(flush_and_fua_reach_the_device),
		RULE(an_error_of_a_device_that_is_there_is_passed_on),
		RULE(a_lost_device_is_noticed_by_the_io_that_fails),
		RULE(a_lost_device_is_noticed_without_io),
		RULE(destroying_waits_for_the_message_to_main),
		RULE(growth_is_seen_by_rescan_alone),
		RULE(a_block_device_grows_and_is_lost),
		RULE(a_block_device_that_became_smaller_is_not_full),
		RULE(a_disk_in_lockstep_finds_work_behind_its_answers),
		RULE(a_disk_that_answers_one_by_one_has_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
