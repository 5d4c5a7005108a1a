/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_memory_test.c - the memory and the null disk: content, geometry, growth. */
#include "block/bdev_test_fixture.h"

#include "base/prng.h"

#include <errno.h>

static void size_mb_and_num_blocks_mean_the_same(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *one = fixture_create(fixture, "malloc:///one?size_mb=4");
	struct bdev *two = fixture_create(fixture, "malloc:///two?num_blocks=8192");
	struct bdev *big = fixture_create(fixture, "malloc:///big?size_mb=4&blk_size=4096");

	assert_int_equal(one->block_bytes, 512);
	assert_int_equal(one->block_count, two->block_count);
	assert_int_equal(bdev_size_bytes(big), 4 << 20);
	assert_int_equal(big->block_count, 1024);
	assert_false(uuid_is_equal(&one->uuid, &two->uuid));
	assert_int_equal(one->uuid.bytes[6] >> 4, 4); /* version 4 */
	fixture_destroy(fixture, one);
	fixture_destroy(fixture, two);
	fixture_destroy(fixture, big);
}

static void what_is_written_is_read_through_another_reactor(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?size_mb=1&blk_size=4096");
	struct bdev_channel *one = fixture_open(bdev, fixture->main);
	struct bdev_channel *two = fixture_open(bdev, fixture->other);
	uint8_t written[8192], read[8192];
	struct prng prng;

	prng_init(&prng, 1);
	prng_fill(&prng, written, sizeof(written));
	assert_int_equal(fixture_io(fixture, two, IO_READ, (struct block_range){254, 2}, read),
			 IO_OK);
	for (size_t i = 0; i < sizeof(read); i++)
		assert_int_equal(read[i], 0);
	assert_int_equal(fixture_io(fixture, one, IO_WRITE, (struct block_range){254, 2}, written),
			 IO_OK);
	assert_int_equal(fixture_io(fixture, two, IO_READ, (struct block_range){254, 2}, read),
			 IO_OK);
	assert_memory_equal(read, written, sizeof(read));
	assert_int_equal(fixture_io(fixture, two, IO_COMPARE, (struct block_range){254, 2}, read),
			 IO_OK);
	read[8191] ^= 1;
	assert_int_equal(fixture_io(fixture, two, IO_COMPARE, (struct block_range){254, 2}, read),
			 IO_COMPARE_FAILED);
	bdev_channel_close(one);
	bdev_channel_close(two);
	fixture_destroy(fixture, bdev);
}

static void unmap_and_zeroes_touch_their_range_alone(void **state)
{
	static const enum io_type types[] = {IO_UNMAP, IO_WRITE_ZEROES};
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?size_mb=1");
	struct bdev_channel *channel = fixture_open(bdev, fixture->main);
	uint8_t *bytes = memory_alloc(1 << 20);

	for (int t = 0; t < 2; t++) {
		memset(bytes, 0x5a, 1 << 20);
		fixture_io(fixture, channel, IO_WRITE, (struct block_range){0, 2048}, bytes);
		/* Longer than one piece, so it takes several turns. */
		assert_int_equal(
			fixture_io(fixture, channel, types[t], (struct block_range){1, 2046}, NULL),
			IO_OK);
		fixture_io(fixture, channel, IO_READ, (struct block_range){0, 2048}, bytes);
		for (size_t i = 0; i < 1 << 20; i++)
			assert_int_equal(bytes[i], i < 512 || i >= (1 << 20) - 512 ? 0x5a : 0);
	}
	memory_free(bytes);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
}

static void a_long_zeroing_does_not_keep_the_reactor(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?size_mb=8");
	struct bdev_channel *channel = fixture_open(bdev, fixture->main);
	struct waiter waiter;
	struct bdev_io io = {
		.parent = &waiter.op, .type = IO_WRITE_ZEROES, .range = {0, bdev->block_count}};
	int turns = 0;

	waiter_init(&waiter, fixture->main);
	op_wait(&waiter.op);
	bdev_submit(channel, &io);
	for (; waiter.op.pending > 0 && turns < 1000; turns++)
		reactor_turn(fixture->main, false);
	assert_in_range(turns, 60, 999);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
}

static void iovecs_may_be_cut_anywhere(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?num_blocks=4");
	struct bdev_channel *channel = fixture_open(bdev, fixture->main);
	uint8_t written[1024], read[1024];
	struct iovec iov[3] = {{written, 1}, {written + 1, 700}, {written + 701, 323}};
	struct waiter waiter;
	struct bdev_io io = {.parent = &waiter.op,
			     .type = IO_WRITE,
			     .range = {1, 2},
			     .iov = iov,
			     .iov_count = 3};

	for (size_t i = 0; i < sizeof(written); i++)
		written[i] = (uint8_t)(i * 7);
	waiter_init(&waiter, fixture->main);
	op_wait(&waiter.op);
	bdev_submit(channel, &io);
	fixture_wait(fixture, &waiter);
	assert_int_equal(fixture_io(fixture, channel, IO_READ, (struct block_range){1, 2}, read),
			 IO_OK);
	assert_memory_equal(read, written, sizeof(read));
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
}

static void growing_keeps_content_and_open_channels(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?num_blocks=3&resize");
	struct bdev_channel *channel = fixture_open(bdev, fixture->other);
	struct fixture_listener heard;
	uint8_t bytes[6 * 512];

	fixture_listen(&heard, bdev);
	memset(bytes, 0x33, sizeof(bytes));
	fixture_io(fixture, channel, IO_WRITE, (struct block_range){0, 3}, bytes);
	assert_ptr_equal(fixture_create(fixture, "malloc:///a?num_blocks=5&resize"), bdev);
	assert_false(fixture->create.is_reference);
	assert_ptr_equal(fixture_create(fixture, "malloc:///a?num_blocks=6&resize=true"), bdev);
	assert_int_equal(heard.resized_count, 2);
	assert_int_equal(bdev->block_count, 6);
	/* Over both seams: old bytes, then fresh zeroes. */
	assert_int_equal(fixture_io(fixture, channel, IO_READ, (struct block_range){0, 6}, bytes),
			 IO_OK);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i < 3 * 512 ? 0x33 : 0);
	memset(bytes, 0x44, sizeof(bytes));
	fixture_io(fixture, channel, IO_WRITE, (struct block_range){0, 6}, bytes);
	memset(bytes, 0, sizeof(bytes));
	fixture_io(fixture, channel, IO_READ, (struct block_range){2, 4}, bytes);
	for (size_t i = 0; i < 4 * 512; i++)
		assert_int_equal(bytes[i], 0x44);
	assert_int_equal(
		fixture_io(fixture, channel, IO_WRITE_ZEROES, (struct block_range){2, 4}, NULL),
		IO_OK);
	fixture_io(fixture, channel, IO_READ, (struct block_range){1, 5}, bytes);
	for (size_t i = 0; i < 5 * 512; i++)
		assert_int_equal(bytes[i], i < 512 ? 0x44 : 0);
	bdev_unlisten(&heard.listener);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
}

static void resize_refuses_what_it_cannot_do(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?num_blocks=10");
	char uri[64];

	assert_int_equal(fixture_try(fixture, "malloc:///a?num_blocks=9&resize"), -EINVAL);
	assert_non_null(strstr(fixture->create.error, "shrink"));
	assert_int_equal(fixture_try(fixture, "malloc:///a?num_blocks=20&resize=false"), -EEXIST);
	assert_int_equal(fixture_try(fixture, "malloc:///a?num_blocks=20&blk_size=4096&resize"),
			 -EINVAL);
	assert_int_equal(fixture_try(fixture, "malloc:///a?num_blocks=20&resize&"
					      "uuid=3a1f0c9e-6b0a-4d7e-9a55-0d2c1b7e8f40"),
			 -EINVAL);
	assert_int_equal(fixture_try(fixture, "malloc:///a?num_blocks=10&resize"), 0);
	assert_int_equal(bdev->block_count, 10);
	for (int i = 11; i < 11 + 63; i++) {
		snprintf(uri, sizeof(uri), "malloc:///a?num_blocks=%d&resize", i);
		assert_int_equal(fixture_try(fixture, uri), 0);
	}
	assert_int_equal(fixture_try(fixture, "malloc:///a?num_blocks=100&resize"), -ENOSPC);
	assert_int_equal(bdev->block_count, 73);
	fixture_destroy(fixture, bdev);
}

static void more_memory_than_there_is_is_refused(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(fixture_try(fixture, "malloc:///a?size_mb=4398046511104"), -ENOMEM);
	assert_null(bdev_find(fixture->registry, "a"));
}

static void null_reads_zeroes_and_forgets_writes(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "null:///n?size_mb=1048576&blk_size=4096");
	struct bdev_channel *channel = fixture_open(bdev, fixture->other);
	struct block_range last = {bdev->block_count - 1, 1};
	uint8_t bytes[4096];

	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(fixture_io(fixture, channel, IO_WRITE, last, bytes), IO_OK);
	assert_int_equal(fixture_io(fixture, channel, IO_READ, last, bytes), IO_OK);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(fixture_io(fixture, channel, IO_UNMAP, last, NULL), IO_OK);
	assert_int_equal(fixture_io(fixture, channel, IO_WRITE_ZEROES, last, NULL), IO_OK);
	assert_int_equal(fixture_io(fixture, channel, IO_FLUSH, last, NULL), IO_OK);
	assert_int_equal(fixture_try(fixture, "null:///n?size_mb=2097152&resize"), 0);
	assert_int_equal(bdev_size_bytes(bdev), 2ull << 40);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(size_mb_and_num_blocks_mean_the_same),
		RULE(what_is_written_is_read_through_another_reactor),
		RULE(unmap_and_zeroes_touch_their_range_alone),
		RULE(a_long_zeroing_does_not_keep_the_reactor),
		RULE(iovecs_may_be_cut_anywhere),
		RULE(growing_keeps_content_and_open_channels),
		RULE(resize_refuses_what_it_cannot_do),
		RULE(more_memory_than_there_is_is_refused),
		RULE(null_reads_zeroes_and_forgets_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
