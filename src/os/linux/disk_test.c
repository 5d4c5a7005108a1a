/* SPDX-License-Identifier: Apache-2.0 */
/* disk_test.c - files in the build folder's file system, and a loop device where there is one. */
#include "os/linux/test_loop.h"

#include "base/memory.h"
#include "os/os_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK	     4096
#define PATH_BYTES   128
#define ARENA_BYTES  (64 * BLOCK)
#define BUFFER_COUNT 8

struct fixture {
	struct test_loop loop;
	char path[PATH_BYTES];
	uint8_t *arena;
};

static int fixture_setup(void **state)
{
	const enum ring_kind *kind = *state;
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct os *os;
	int fd;

	if (fixture == NULL || os_open(&os) != 0)
		return -1;
	test_loop_open(&fixture->loop, os, *kind, BUFFER_COUNT);
	snprintf(fixture->path, sizeof(fixture->path), "%s", "disk_test_XXXXXX");
	fd = mkstemp(fixture->path);
	if (fd < 0)
		return -1;
	close(fd);
	fixture->arena = memory_alloc_pages(ARENA_BYTES);
	*state = fixture;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	struct os *os = fixture->loop.os;

	unlink(fixture->path);
	test_loop_close(&fixture->loop);
	memory_free_pages(fixture->arena, ARENA_BYTES);
	os_close(os);
	free(fixture);
	return 0;
}

static int disk_run(struct fixture *fixture, struct os_disk_io *io)
{
	struct test_op waiter;

	test_op_init(&waiter, &fixture->loop);
	io->parent = &waiter.op;
	io->result = 1;
	op_wait(&waiter.op);
	os_disk_submit(fixture->loop.ring, io);
	test_loop_until(&fixture->loop, waiter.op.pending == 0);
	assert_true(io->result <= 0);
	return io->result;
}

static int disk_transfer(struct fixture *fixture, struct os_disk *disk, enum os_disk_op operation,
			 uint64_t offset_bytes, struct iovec iov)
{
	struct os_disk_io io = {
		.disk = disk,
		.operation = operation,
		.offset_bytes = offset_bytes,
		.size_bytes = iov.iov_len,
		.iov = &iov,
		.iov_count = 1,
	};

	return disk_run(fixture, &io);
}

static int disk_range(struct fixture *fixture, struct os_disk *disk, enum os_disk_op operation,
		      uint64_t offset_bytes, uint64_t size_bytes)
{
	struct os_disk_io io = {
		.disk = disk,
		.operation = operation,
		.offset_bytes = offset_bytes,
		.size_bytes = size_bytes,
	};

	return disk_run(fixture, &io);
}

static bool is_filled(const uint8_t *bytes, size_t size_bytes, uint8_t value)
{
	for (size_t i = 0; i < size_bytes; i++) {
		if (bytes[i] != value)
			return false;
	}
	return true;
}

static void disk_exercise(struct fixture *fixture, struct os_disk *disk)
{
	uint8_t *out = fixture->arena;
	uint8_t *in = fixture->arena + 16 * BLOCK;
	struct iovec out_iov[4], in_iov[3];
	struct os_disk_io io;

	for (int i = 0; i < 8 * BLOCK; i++)
		out[i] = (uint8_t)(i / 512 + i);
	/* Pieces of unlike size and order, an empty one among them. */
	out_iov[0] = (struct iovec){out, BLOCK};
	out_iov[1] = (struct iovec){out + BLOCK, 0};
	out_iov[2] = (struct iovec){out + BLOCK, 3 * BLOCK};
	out_iov[3] = (struct iovec){out + 4 * BLOCK, 4 * BLOCK};
	io = (struct os_disk_io){.disk = disk,
				 .operation = OS_DISK_WRITE,
				 .offset_bytes = BLOCK,
				 .size_bytes = 8 * BLOCK,
				 .iov = out_iov,
				 .iov_count = 4,
				 .is_durable = true};
	assert_int_equal(disk_run(fixture, &io), 0);
	assert_int_equal(disk_range(fixture, disk, OS_DISK_FLUSH, 0, 0), 0);
	in_iov[0] = (struct iovec){in, 5 * BLOCK};
	in_iov[1] = (struct iovec){in + 5 * BLOCK, BLOCK};
	in_iov[2] = (struct iovec){in + 6 * BLOCK, 2 * BLOCK};
	io = (struct os_disk_io){.disk = disk,
				 .operation = OS_DISK_READ,
				 .offset_bytes = BLOCK,
				 .size_bytes = 8 * BLOCK,
				 .iov = in_iov,
				 .iov_count = 3};
	assert_int_equal(disk_run(fixture, &io), 0);
	assert_memory_equal(out, in, 8 * BLOCK);
	assert_int_equal(out_iov[3].iov_len, 4 * BLOCK);

	assert_int_equal(disk_range(fixture, disk, OS_DISK_WRITE_ZEROES, 2 * BLOCK, 2 * BLOCK), 0);
	assert_int_equal(
		disk_transfer(fixture, disk, OS_DISK_READ, BLOCK, (struct iovec){in, 8 * BLOCK}),
		0);
	assert_memory_equal(out, in, BLOCK);
	assert_true(is_filled(in + BLOCK, 2 * BLOCK, 0));
	assert_memory_equal(out + 3 * BLOCK, in + 3 * BLOCK, 5 * BLOCK);
	assert_int_equal(disk_range(fixture, disk, OS_DISK_DISCARD, 5 * BLOCK, 2 * BLOCK), 0);
	assert_int_equal(disk_transfer(fixture, disk, OS_DISK_READ, 3 * BLOCK,
				       (struct iovec){in, 6 * BLOCK}),
			 0);
	assert_memory_equal(out + 6 * BLOCK, in + 4 * BLOCK, 2 * BLOCK);
}

static void file_keeps_what_was_written(void **state)
{
	struct fixture *fixture = *state;
	const uint32_t variants[] = {0, OS_DISK_BUFFERED, OS_DISK_EXCLUSIVE};
	struct os_disk_info info;
	struct os_disk *disk;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(os_disk_open(fixture->loop.os, fixture->path, variants[i], &disk),
				 0);
		assert_int_equal(os_disk_grow(disk, 16 * BLOCK), 0);
		assert_int_equal(os_disk_info(disk, &info), 0);
		assert_int_equal(info.size_bytes, 16 * BLOCK);
		assert_false(info.is_block_device);
		assert_true(info.has_volatile_cache);
		assert_true(info.logical_block_bytes == 512 || info.logical_block_bytes == 4096);
		if (variants[i] == OS_DISK_BUFFERED)
			assert_false(info.is_direct);
		disk_exercise(fixture, disk);
		os_disk_close(disk);
	}
}

static void registered_memory_gives_the_same_result(void **state)
{
	struct fixture *fixture = *state;
	struct os_disk *disk;

	assert_int_equal(os_disk_open(fixture->loop.os, fixture->path, 0, &disk), 0);
	assert_int_equal(os_disk_grow(disk, 16 * BLOCK), 0);
	/* May be refused by limits of the machine; then the plain way is tested again. */
	if (!os_ring_buffers_register(fixture->loop.ring, fixture->arena, ARENA_BYTES))
		print_message("memory was not registered\n");
	memset(fixture->arena, 0x5a, BLOCK);
	assert_int_equal(disk_transfer(fixture, disk, OS_DISK_WRITE, BLOCK,
				       (struct iovec){fixture->arena, BLOCK}),
			 0);
	assert_int_equal(disk_transfer(fixture, disk, OS_DISK_READ, BLOCK,
				       (struct iovec){fixture->arena + BLOCK, BLOCK}),
			 0);
	assert_true(is_filled(fixture->arena + BLOCK, BLOCK, 0x5a));
	disk_exercise(fixture, disk);
	os_disk_close(disk);
}

static void end_of_file_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	const uint32_t variants[] = {0, OS_DISK_BUFFERED};
	struct os_disk *disk;

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(truncate(fixture->path, 2 * BLOCK + 100), 0);
		assert_int_equal(os_disk_open(fixture->loop.os, fixture->path, variants[i], &disk),
				 0);
		assert_int_equal(disk_transfer(fixture, disk, OS_DISK_READ, 0,
					       (struct iovec){fixture->arena, 2 * BLOCK}),
				 0);
		assert_int_equal(disk_transfer(fixture, disk, OS_DISK_READ, 0,
					       (struct iovec){fixture->arena, 4 * BLOCK}),
				 -EIO);
		assert_int_equal(disk_transfer(fixture, disk, OS_DISK_READ, BLOCK,
					       (struct iovec){fixture->arena, 2 * BLOCK}),
				 -EIO);
		assert_int_equal(disk_transfer(fixture, disk, OS_DISK_READ, 8 * BLOCK,
					       (struct iovec){fixture->arena, BLOCK}),
				 -EIO);
		os_disk_close(disk);
	}
}

static void zeroes_behind_the_end_grow_a_file(void **state)
{
	struct fixture *fixture = *state;
	struct os_disk_info info;
	struct os_disk *disk;

	assert_int_equal(os_disk_open(fixture->loop.os, fixture->path, 0, &disk), 0);
	assert_int_equal(disk_range(fixture, disk, OS_DISK_WRITE_ZEROES, BLOCK, 3 * BLOCK), 0);
	assert_int_equal(os_disk_info(disk, &info), 0);
	assert_int_equal(info.size_bytes, 4 * BLOCK);
	assert_int_equal(disk_range(fixture, disk, OS_DISK_DISCARD, 8 * BLOCK, BLOCK), 0);
	assert_int_equal(os_disk_info(disk, &info), 0);
	assert_int_equal(info.size_bytes, 4 * BLOCK);
	assert_true(info.can_discard);
	os_disk_close(disk);
}

/* A file system without the zeroing of ranges takes the other way. */
static void memory_file_system_works_too(void **state)
{
	struct fixture *fixture = *state;
	char path[] = "/dev/shm/disk_test_XXXXXX";
	struct os_disk *disk;
	int fd = mkstemp(path);

	if (fd < 0) {
		skip();
		return;
	}
	close(fd);
	assert_int_equal(os_disk_open(fixture->loop.os, path, 0, &disk), 0);
	unlink(path);
	assert_int_equal(disk_range(fixture, disk, OS_DISK_WRITE_ZEROES, 0, 16 * BLOCK), 0);
	disk_exercise(fixture, disk);
	os_disk_close(disk);
}

static void opening_tells_why_not(void **state)
{
	struct fixture *fixture = *state;
	struct os *os = fixture->loop.os;
	struct os_disk *disk = NULL, *other = NULL;
	char missing[PATH_BYTES + 8];

	snprintf(missing, sizeof(missing), "%s.none", fixture->path);
	assert_int_equal(os_disk_open(os, missing, 0, &disk), -ENOENT);
	assert_int_equal(os_disk_open(os, "/", 0, &disk), -EISDIR);
	assert_int_equal(os_disk_open(os, "/dev/null", 0, &disk), -ENOTBLK);
	assert_null(disk);
	assert_int_equal(os_disk_open(os, fixture->path, OS_DISK_EXCLUSIVE, &disk), 0);
	assert_int_equal(os_disk_open(os, fixture->path, OS_DISK_EXCLUSIVE, &other), -EBUSY);
	os_disk_close(disk);
	assert_int_equal(os_disk_open(os, fixture->path, OS_DISK_EXCLUSIVE, &disk), 0);
	os_disk_close(disk);
	assert_int_equal(os_disk_open(os, missing, OS_DISK_CREATE, &disk), 0);
	os_disk_close(disk);
	assert_int_equal(os_file_remove(os, missing), 0);
}

static void read_only_disk_refuses_writes(void **state)
{
	struct fixture *fixture = *state;
	struct os_disk_info info;
	struct os_disk *disk;

	assert_int_equal(truncate(fixture->path, 4 * BLOCK), 0);
	assert_int_equal(os_disk_open(fixture->loop.os, fixture->path, OS_DISK_READ_ONLY, &disk),
			 0);
	assert_int_equal(os_disk_info(disk, &info), 0);
	assert_false(info.can_discard || info.can_write_zeroes);
	assert_int_equal(disk_transfer(fixture, disk, OS_DISK_READ, 0,
				       (struct iovec){fixture->arena, BLOCK}),
			 0);
	assert_int_equal(disk_transfer(fixture, disk, OS_DISK_WRITE, 0,
				       (struct iovec){fixture->arena, BLOCK}),
			 -EBADF);
	assert_int_equal(disk_range(fixture, disk, OS_DISK_DISCARD, 0, BLOCK), -EBADF);
	os_disk_close(disk);
}

static void ranges_out_of_bounds_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct os_disk *disk;

	assert_int_equal(os_disk_open(fixture->loop.os, fixture->path, 0, &disk), 0);
	assert_int_equal(disk_range(fixture, disk, OS_DISK_DISCARD, UINT64_MAX - 10, BLOCK),
			 -EINVAL);
	assert_int_equal(disk_range(fixture, disk, OS_DISK_WRITE_ZEROES, 0, UINT64_MAX), -EINVAL);
	assert_int_equal(disk_range(fixture, disk, OS_DISK_DISCARD, 0, 0), 0);
	os_disk_close(disk);
}

/* More than the submission queue holds (64), in one batch. */
static void many_operations_in_flight_all_finish(void **state)
{
	enum { COUNT = 500 };
	struct fixture *fixture = *state;
	struct os_disk_io *ios = calloc(COUNT, sizeof(*ios));
	struct iovec *iovs = calloc(COUNT, sizeof(*iovs));
	struct test_op waiter;
	struct os_disk *disk;

	assert_int_equal(os_disk_open(fixture->loop.os, fixture->path, 0, &disk), 0);
	assert_int_equal(os_disk_grow(disk, COUNT * BLOCK), 0);
	test_op_init(&waiter, &fixture->loop);
	for (int i = 0; i < COUNT; i++) {
		iovs[i] = (struct iovec){fixture->arena + (i % 64) * BLOCK, BLOCK};
		ios[i] = (struct os_disk_io){.parent = &waiter.op,
					     .disk = disk,
					     .operation = i % 2 == 0 ? OS_DISK_WRITE : OS_DISK_READ,
					     .offset_bytes = (uint64_t)i * BLOCK,
					     .size_bytes = BLOCK,
					     .iov = &iovs[i],
					     .iov_count = 1,
					     .result = 1};
		op_wait(&waiter.op);
		os_disk_submit(fixture->loop.ring, &ios[i]);
	}
	assert_int_equal(op_join(&waiter.op), OP_WAIT);
	test_loop_until(&fixture->loop, waiter.runs == 1);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(ios[i].result, 0);
	os_disk_close(disk);
	free(ios);
	free(iovs);
}

/* The disk works while the others are prepared: one, then two, then four together. */
static void the_first_transfers_of_a_turn_are_not_kept_for_its_end(void **state)
{
	enum { COUNT = 8 };
	static const unsigned kept[COUNT] = {0, 1, 0, 1, 2, 3, 0, 1};
	struct fixture *fixture = *state;
	struct os_disk_io ios[COUNT];
	struct iovec iov = {fixture->arena, BLOCK};
	struct test_op waiter;
	struct os_disk *disk;

	assert_int_equal(os_disk_open(fixture->loop.os, fixture->path, 0, &disk), 0);
	assert_int_equal(os_disk_grow(disk, COUNT * BLOCK), 0);
	for (int turn = 0; turn < 2; turn++) {
		test_loop_turn(&fixture->loop, 0);
		test_op_init(&waiter, &fixture->loop);
		for (int i = 0; i < COUNT; i++) {
			ios[i] = (struct os_disk_io){.parent = &waiter.op,
						     .disk = disk,
						     .operation = OS_DISK_READ,
						     .offset_bytes = (uint64_t)i * BLOCK,
						     .size_bytes = BLOCK,
						     .iov = &iov,
						     .iov_count = 1,
						     .result = 1};
			op_wait(&waiter.op);
			os_disk_submit(fixture->loop.ring, &ios[i]);
			assert_int_equal(io_uring_sq_ready(&fixture->loop.ring->uring), kept[i]);
		}
		test_loop_until(&fixture->loop, waiter.op.pending == 0);
		for (int i = 0; i < COUNT; i++)
			assert_int_equal(ios[i].result, 0);
	}
	os_disk_close(disk);
}

/* More iovecs than the kernel takes at once. */
static void very_many_iovecs_are_transferred_in_parts(void **state)
{
	enum { COUNT = 2500 };
	struct fixture *fixture = *state;
	struct iovec *iovs = calloc(COUNT, sizeof(*iovs));
	struct os_disk_io io;
	struct os_disk_info info;
	struct os_disk *disk;

	assert_int_equal(os_disk_open(fixture->loop.os, fixture->path, 0, &disk), 0);
	memset(fixture->arena, 7, BLOCK);
	for (int i = 0; i < COUNT; i++)
		iovs[i] = (struct iovec){fixture->arena, BLOCK};
	io = (struct os_disk_io){.disk = disk,
				 .operation = OS_DISK_WRITE,
				 .size_bytes = COUNT * BLOCK,
				 .iov = iovs,
				 .iov_count = COUNT};
	assert_int_equal(disk_run(fixture, &io), 0);
	assert_int_equal(os_disk_info(disk, &info), 0);
	assert_int_equal(info.size_bytes, COUNT * BLOCK);
	io.operation = OS_DISK_READ;
	assert_int_equal(disk_run(fixture, &io), 0);
	os_disk_close(disk);
	free(iovs);
}

static int loop_device_attach(const char *file, char ret_path[PATH_BYTES])
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing, device, number;

	if (control < 0)
		return -1;
	number = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	if (number < 0)
		return -1;
	snprintf(ret_path, PATH_BYTES, "/dev/loop%d", number);
	device = open(ret_path, O_RDWR | O_CLOEXEC);
	backing = open(file, O_RDWR | O_CLOEXEC);
	if (device < 0 || backing < 0 || ioctl(device, LOOP_SET_FD, backing) < 0) {
		close(device);
		close(backing);
		return -1;
	}
	close(backing);
	return device;
}

static void block_device_behaves_like_a_file(void **state)
{
	struct fixture *fixture = *state;
	struct os *os = fixture->loop.os;
	struct os_disk *disk, *other;
	struct os_disk_info info;
	char path[PATH_BYTES];
	int device;

	assert_int_equal(truncate(fixture->path, 256 * BLOCK), 0);
	device = loop_device_attach(fixture->path, path);
	if (device < 0) {
		skip();
		return;
	}
	assert_int_equal(os_disk_open(os, path, OS_DISK_EXCLUSIVE, &disk), 0);
	assert_int_equal(os_disk_open(os, path, OS_DISK_EXCLUSIVE, &other), -EBUSY);
	assert_int_equal(os_disk_info(disk, &info), 0);
	assert_true(info.is_block_device && info.is_direct);
	assert_true(info.can_discard && info.can_write_zeroes);
	assert_int_equal(info.size_bytes, 256 * BLOCK);
	assert_int_equal(info.logical_block_bytes, 512);
	disk_exercise(fixture, disk);
	assert_int_equal(disk_transfer(fixture, disk, OS_DISK_READ, 255 * BLOCK,
				       (struct iovec){fixture->arena, 2 * BLOCK}),
			 -EIO);
	assert_int_equal(disk_transfer(fixture, disk, OS_DISK_WRITE, 256 * BLOCK,
				       (struct iovec){fixture->arena, BLOCK}),
			 -ENOSPC);
	assert_int_equal(os_disk_grow(disk, 512 * BLOCK), -ENOTSUP);
	/* The size is told anew. */
	assert_int_equal(truncate(fixture->path, 300 * BLOCK), 0);
	assert_int_equal(ioctl(device, LOOP_SET_CAPACITY, 0), 0);
	assert_int_equal(os_disk_info(disk, &info), 0);
	assert_int_equal(info.size_bytes, 300 * BLOCK);
	os_disk_close(disk);
	ioctl(device, LOOP_CLR_FD, 0);
	close(device);
}

#define T(test)                                                                       \
	{                                                                             \
#test, test, fixture_setup, fixture_teardown, (void *)(uintptr_t)kind \
	}

static int kind_run(const enum ring_kind *kind)
{
	const struct CMUnitTest tests[] = {
		T(file_keeps_what_was_written),
		T(registered_memory_gives_the_same_result),
		T(end_of_file_is_an_error),
		T(zeroes_behind_the_end_grow_a_file),
		T(memory_file_system_works_too),
		T(opening_tells_why_not),
		T(read_only_disk_refuses_writes),
		T(ranges_out_of_bounds_are_refused),
		T(many_operations_in_flight_all_finish),
		T(the_first_transfers_of_a_turn_are_not_kept_for_its_end),
		T(very_many_iovecs_are_transferred_in_parts),
		T(block_device_behaves_like_a_file),
	};

	print_message("kind of ring: %d\n", *kind);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	int failures = 0;

	for (size_t i = 0; i < sizeof(test_ring_kinds) / sizeof(test_ring_kinds[0]); i++)
		failures += kind_run(&test_ring_kinds[i]);
	return failures;
}
