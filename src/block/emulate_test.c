/* SPDX-License-Identifier: Apache-2.0 */
/* emulate_test.c - zeroes by writes and comparison by reads: ranges, ends, failures, bounds. */
#include "block/emulate.h"

#include "base/prng.h"
#include "block/bdev_test_fixture.h"

#define DISK_BLOCKS 1024 /* of 512: four pieces */

struct scene {
	struct bdev *lower;
	struct bdev *filter;
	struct bdev_channel *channel;
	struct bdev_channel *below;
	uint8_t *bytes; /* of the whole disk */
};

static void scene_open(struct fixture *fixture, struct scene *scene)
{
	struct prng prng;

	scene->lower = fixture_create(fixture, "malloc:///a?num_blocks=1024");
	scene->filter = fixture_create(fixture, "filter:///f?lower=a");
	scene->channel = fixture_open(scene->filter, fixture->other);
	scene->below = fixture_open(scene->lower, fixture->other);
	scene->bytes = memory_alloc(DISK_BLOCKS * 512);
	prng_init(&prng, 7);
	prng_fill(&prng, scene->bytes, DISK_BLOCKS * 512);
	fixture_io(fixture, scene->below, IO_WRITE, (struct block_range){0, DISK_BLOCKS},
		   scene->bytes);
}

static void scene_close(struct fixture *fixture, struct scene *scene)
{
	assert_int_equal(buffer_pool_free_count(reactor_buffers(fixture->other), 1, false), 4);
	assert_int_equal(
		buffer_pool_free_count(reactor_buffers(fixture->other), LARGE_BUFFER_BYTES, false),
		4);
	memory_free(scene->bytes);
	bdev_channel_close(scene->channel);
	bdev_channel_close(scene->below);
	fixture_destroy(fixture, scene->filter);
	fixture_destroy(fixture, scene->lower);
}

/* The disk must look like scene->bytes. */
static void scene_check(struct fixture *fixture, struct scene *scene)
{
	assert_int_equal(fixture_io(fixture, scene->below, IO_COMPARE,
				    (struct block_range){0, DISK_BLOCKS}, scene->bytes),
			 IO_OK);
}

static enum io_status zeroes(struct fixture *fixture, struct scene *scene, struct block_range range)
{
	struct waiter waiter;
	struct emulate emulate;

	memset(&emulate, 0xa5, sizeof(emulate));
	waiter_init(&waiter, fixture->other);
	emulate.parent = &waiter.op;
	emulate.channel = scene->channel;
	emulate.range = range;
	emulate.is_fua = true;
	op_wait(&waiter.op);
	emulate_write_zeroes_submit(&emulate);
	fixture_wait(fixture, &waiter);
	return emulate.status;
}

static enum io_status compare(struct fixture *fixture, struct scene *scene,
			      struct block_range range, size_t cut_bytes)
{
	uint8_t *from = scene->bytes + range.first * 512;
	struct iovec iov[3] = {{from, cut_bytes},
			       {from + cut_bytes, 0},
			       {from + cut_bytes, range.count * 512 - cut_bytes}};
	struct waiter waiter;
	struct emulate emulate;

	memset(&emulate, 0xa5, sizeof(emulate));
	waiter_init(&waiter, fixture->other);
	emulate.parent = &waiter.op;
	emulate.channel = scene->channel;
	emulate.range = range;
	emulate.iov = iov;
	emulate.iov_count = 3;
	op_wait(&waiter.op);
	emulate_compare_submit(&emulate);
	fixture_wait(fixture, &waiter);
	return emulate.status;
}

static void zeroes_cover_exactly_the_range(void **state)
{
	static const struct block_range ranges[] = {{0, 1},	{3, 16},    {100, 17}, {200, 255},
						    {500, 256}, {760, 257}, {1023, 1}, {0, 1024}};
	struct fixture *fixture = *state;
	struct scene scene;

	scene_open(fixture, &scene);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		assert_int_equal(zeroes(fixture, &scene, ranges[i]), IO_OK);
		memset(scene.bytes + ranges[i].first * 512, 0, ranges[i].count * 512);
		scene_check(fixture, &scene);
	}
	scene_close(fixture, &scene);
}

static void comparison_finds_any_byte_that_differs(void **state)
{
	static const size_t places[] = {0,	    511,	128 * 1024 - 1,
					128 * 1024, 300 * 1024, 700 * 512 - 1};
	static const size_t cuts[] = {0, 1, 512, 128 * 1024, 128 * 1024 + 13};
	struct fixture *fixture = *state;
	const struct block_range range = {10, 700};
	struct scene scene;

	scene_open(fixture, &scene);
	for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
		assert_int_equal(compare(fixture, &scene, range, cuts[c]), IO_OK);
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			scene.bytes[10 * 512 + places[i]] ^= 4;
			assert_int_equal(compare(fixture, &scene, range, cuts[c]),
					 IO_COMPARE_FAILED);
			scene.bytes[10 * 512 + places[i]] ^= 4;
		}
		/* What lies outside the range does not matter. */
		scene.bytes[10 * 512 - 1] ^= 4;
		scene.bytes[710 * 512] ^= 4;
		assert_int_equal(compare(fixture, &scene, range, cuts[c]), IO_OK);
		scene.bytes[10 * 512 - 1] ^= 4;
		scene.bytes[710 * 512] ^= 4;
	}
	scene_close(fixture, &scene);
}

static void the_first_failure_ends_it(void **state)
{
	struct fixture *fixture = *state;
	const struct filter_rule rule = {.action = FILTER_FAIL,
					 .type_mask = 1 << IO_WRITE | 1 << IO_READ,
					 .range = {300, 1},
					 .status = IO_MEDIUM_ERROR};
	struct scene scene;
	struct bdev_stats stats;

	scene_open(fixture, &scene);
	assert_true(filter_rule_add(scene.filter, &rule) >= 0);
	assert_int_equal(compare(fixture, &scene, (struct block_range){0, 1024}, 0),
			 IO_MEDIUM_ERROR);
	assert_int_equal(zeroes(fixture, &scene, (struct block_range){0, 1024}), IO_MEDIUM_ERROR);
	bdev_stats(scene.filter, &stats);
	assert_int_equal(stats.of[IO_WRITE].operations, 2);
	assert_int_equal(stats.of[IO_READ].operations, 2);
	memset(scene.bytes, 0, 256 * 512); /* the first piece was written, later ones were not */
	scene_check(fixture, &scene);
	scene_close(fixture, &scene);
}

static void cancelling_waits_for_the_piece_in_flight(void **state)
{
	struct fixture *fixture = *state;
	const struct filter_rule rule = {
		.action = FILTER_HOLD, .type_mask = 1 << IO_WRITE, .skip_hits = 1};
	struct waiter waiter;
	struct emulate emulate = {.parent = &waiter.op, .range = {0, 1024}};
	struct scene scene;

	scene_open(fixture, &scene);
	assert_true(filter_rule_add(scene.filter, &rule) >= 0);
	emulate.channel = scene.channel;
	waiter_init(&waiter, fixture->other);
	op_wait(&waiter.op);
	emulate_write_zeroes_submit(&emulate);
	for (int i = 0; i < 20; i++)
		fixture_turn(fixture);
	emulate_cancel(&emulate);
	for (int i = 0; i < 20; i++)
		fixture_turn(fixture);
	assert_int_equal(waiter.op.pending, 1);
	filter_release(scene.filter);
	fixture_wait(fixture, &waiter);
	assert_int_equal(emulate.status, IO_ABORTED);
	memset(scene.bytes, 0, 512 * 512);
	scene_check(fixture, &scene);
	scene_close(fixture, &scene);
}

static void many_at_once_share_the_buffers_in_line(void **state)
{
	struct fixture *fixture = *state;
	struct emulate *emulates = memory_alloc_array(32, sizeof(*emulates));
	struct waiter waiter;
	struct scene scene;

	scene_open(fixture, &scene);
	waiter_init(&waiter, fixture->other);
	for (int i = 0; i < 32; i++) {
		emulates[i].parent = &waiter.op;
		emulates[i].channel = scene.channel;
		emulates[i].range = (struct block_range){(uint64_t)i * 32, 32};
		op_wait(&waiter.op);
		emulate_write_zeroes_submit(&emulates[i]);
	}
	fixture_wait(fixture, &waiter);
	for (int i = 0; i < 32; i++)
		assert_int_equal(emulates[i].status, IO_OK);
	memset(scene.bytes, 0, DISK_BLOCKS * 512);
	scene_check(fixture, &scene);
	memory_free(emulates);
	scene_close(fixture, &scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(zeroes_cover_exactly_the_range),
		RULE(comparison_finds_any_byte_that_differs),
		RULE(the_first_failure_ends_it),
		RULE(cancelling_waits_for_the_piece_in_flight),
		RULE(many_at_once_share_the_buffers_in_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
