/* SPDX-License-Identifier: Apache-2.0 */
/* load_stream_test.c - the loop over devices that are honest, that fail, and that lie. */
#include "bench/load_stream.h"
#include "block/bdev_test_fixture.h"

#include <errno.h>

struct loop {
	struct fixture *fixture;
	struct load_options options;
	struct load_shared shared;
	struct load_stream stream;
	struct waiter waiter;
	struct bdev *lower;
	struct bdev *filter;
};

static void loop_open(struct loop *loop, struct fixture *fixture, struct load_options options)
{
	char error[ERROR_TEXT_BYTES] = "";

	memset(loop, 0, sizeof(*loop));
	loop->fixture = fixture;
	loop->options = options;
	loop->options.connections = 1;
	loop->options.depth = 3; /* the fixture's pool has four buffers of each size */
	loop->options.size_bytes = 4096;
	loop->lower = fixture_create(fixture, "malloc:///lower?size_mb=2");
	loop->filter = fixture_create(fixture, "filter:///f?lower=lower");
	waiter_init(&loop->waiter, fixture->main);
	loop->shared.options = &loop->options;
	loop->shared.reactor = fixture->main;
	loop->shared.parent = &loop->waiter.op;
	loop->stream.shared = &loop->shared;
	loop->stream.uri = "filter:///f";
	loop->stream.slice_count = 1;
	loop->stream.stamp_seed = 7;
	loop->stream.channel = fixture_open(loop->filter, fixture->main);
	assert_int_equal(load_stream_init(&loop->stream, error), 0);
}

static void loop_run(struct loop *loop)
{
	load_stream_start(&loop->stream);
	fixture_wait(loop->fixture, &loop->waiter);
}

static void loop_sweep(struct loop *loop)
{
	load_stream_sweep(&loop->stream);
	fixture_wait(loop->fixture, &loop->waiter);
}

static void loop_close(struct loop *loop)
{
	load_stream_deinit(&loop->stream);
	bdev_channel_close(loop->stream.channel);
	fixture_destroy(loop->fixture, loop->filter);
	fixture_destroy(loop->fixture, loop->lower);
}

static void loop_rule(struct loop *loop, struct filter_rule rule)
{
	assert_true(filter_rule_add(loop->filter, &rule) >= 0);
}

static void honest_device_passes_load_and_sweep(void **state)
{
	struct load_options options = {
		.is_verifying = true, .read_percent = 50, .count = 3000, .flush_every = 10};
	struct loop loop;

	loop_open(&loop, *state, options);
	loop_run(&loop);
	assert_int_equal(loop.shared.result.latency_ns[IO_READ].count +
				 loop.shared.result.latency_ns[IO_WRITE].count +
				 loop.shared.result.latency_ns[IO_FLUSH].count,
			 3000);
	assert_true(loop.shared.result.latency_ns[IO_FLUSH].count > 0);
	assert_true(loop.shared.result.checked_blocks > 0);
	loop_sweep(&loop);
	assert_true(loop.shared.result.swept_units > 100);
	assert_null(loop.shared.result.mismatch.uri);
	assert_int_equal(loop.shared.result.error_count, 0);
	loop_close(&loop);
}

static void flipped_byte_is_a_mismatch_and_ends_the_run(void **state)
{
	struct load_options options = {.is_verifying = true, .read_percent = 50, .count = 100000};
	struct loop loop;

	loop_open(&loop, *state, options);
	loop_rule(&loop, (struct filter_rule){.action = FILTER_CORRUPT,
					      .type_mask = 1 << IO_READ,
					      .skip_hits = 50,
					      .hits_max = 1});
	loop_run(&loop);
	assert_non_null(loop.shared.result.mismatch.uri);
	assert_int_not_equal(loop.shared.result.mismatch.verdict, STAMP_OK);
	assert_true(loop.shared.begun_count < 2000);
	loop_close(&loop);
}

static void lost_write_is_found_by_the_sweep(void **state)
{
	struct load_options options = {
		.is_verifying = true, .read_percent = 0, .is_sequential = true, .count = 512};
	uint8_t zeroes[4096] = {0};
	struct loop loop;

	loop_open(&loop, *state, options);
	loop_run(&loop);
	assert_null(loop.shared.result.mismatch.uri);
	/* The last unit but one loses its content behind our back. */
	assert_int_equal(fixture_io(loop.fixture, loop.stream.channel, IO_WRITE,
				    (struct block_range){510 * 8, 8}, zeroes),
			 IO_OK);
	loop_sweep(&loop);
	assert_non_null(loop.shared.result.mismatch.uri);
	assert_int_equal(loop.shared.result.mismatch.verdict, STAMP_NOT_STAMPED);
	assert_int_equal(loop.shared.result.mismatch.wanted.block, 510 * 8);
	assert_true(loop.shared.result.mismatch.is_in_sweep);
	loop_close(&loop);
}

/* FILTER_FAIL did not write, FILTER_FAIL_AFTER did: both are fine after an error. */
static void either_content_is_accepted_after_a_failed_write(void **state)
{
	struct load_options options = {.is_verifying = true, .read_percent = 50, .count = 6000};
	struct loop loop;

	loop_open(&loop, *state, options);
	loop_rule(&loop, (struct filter_rule){.action = FILTER_FAIL,
					      .type_mask = 1 << IO_WRITE,
					      .skip_hits = 700,
					      .hits_max = 20,
					      .status = IO_MEDIUM_ERROR});
	loop_rule(&loop, (struct filter_rule){.action = FILTER_FAIL_AFTER,
					      .type_mask = 1 << IO_WRITE,
					      .skip_hits = 900,
					      .hits_max = 20,
					      .status = IO_DEVICE_GONE});
	loop_run(&loop);
	loop_sweep(&loop);
	assert_null(loop.shared.result.mismatch.uri);
	assert_int_equal(loop.shared.result.errors[IO_MEDIUM_ERROR], 20);
	assert_int_equal(loop.shared.result.errors[IO_DEVICE_GONE], 20);
	loop_close(&loop);
}

static void unreadable_units_of_the_sweep_are_counted(void **state)
{
	struct load_options options = {
		.is_verifying = true, .read_percent = 0, .is_sequential = true, .count = 512};
	struct loop loop;

	loop_open(&loop, *state, options);
	loop_run(&loop);
	loop_rule(&loop, (struct filter_rule){.action = FILTER_FAIL,
					      .type_mask = 1 << IO_READ,
					      .hits_max = 3,
					      .status = IO_MEDIUM_ERROR});
	loop_sweep(&loop);
	assert_int_equal(loop.shared.result.unread_units, 3);
	assert_int_equal(loop.shared.result.swept_units, 509);
	assert_int_equal(loop.shared.result.error_count, 3);
	loop_close(&loop);
}

static void too_small_device_is_refused_with_the_reason(void **state)
{
	struct load_options options = {.is_verifying = true, .read_percent = 50, .count = 10};
	char error[ERROR_TEXT_BYTES] = "";
	struct loop loop;

	loop_open(&loop, *state, options);
	load_stream_deinit(&loop.stream);
	loop.options.span_bytes = 5 * 4096;
	assert_int_equal(load_stream_init(&loop.stream, error), -EINVAL);
	assert_non_null(strstr(error, "too small"));
	loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(honest_device_passes_load_and_sweep),
		RULE(flipped_byte_is_a_mismatch_and_ends_the_run),
		RULE(lost_write_is_found_by_the_sweep),
		RULE(either_content_is_accepted_after_a_failed_write),
		RULE(unreadable_units_of_the_sweep_are_counted),
		RULE(too_small_device_is_refused_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
