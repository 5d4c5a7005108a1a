/* SPDX-License-Identifier: Apache-2.0 */
/* rebuild_test.c - one job between two RAM disks: what is copied, when bits are cleared, and how
 * it ends. Time is the test's, so that bandwidth limits need no waiting. */
#include "rebuild/rebuild.h"

#include "block/bdev_test_fixture.h"

#include <errno.h>

#define BLOCKS	 (REBUILD_SEGMENT_BYTES / 512 * 20 + 100) /* the last segment is short */
#define SEGMENTS 21

static uint64_t test_time_ns = 1000000000;

uint64_t __wrap_os_clock_now_ns(struct os *os);

uint64_t __wrap_os_clock_now_ns(struct os *os)
{
	(void)os;
	test_time_ns += 1000;
	return test_time_ns;
}

struct bench {
	struct fixture *fixture;
	struct bdev *disks[2];
	struct bdev *filters[2]; /* source, target */
	struct bdev_channel *below[2];
	struct bdev_channel *channels[2];
	struct range_locks locks;
	struct bitmap *stale;
	struct rebuild_options options;
	struct rebuild_job *job;
	struct waiter waiter;
};

static void bench_fill(struct bench *bench, uint32_t index, uint8_t byte)
{
	uint8_t *bytes = memory_alloc((size_t)(BLOCKS + 8) * 512);

	assert_non_null(bytes);
	memset(bytes, byte, (size_t)(BLOCKS + 8) * 512);
	assert_int_equal(fixture_io(bench->fixture, bench->below[index], IO_WRITE,
				    (struct block_range){0, BLOCKS + 8}, bytes),
			 IO_OK);
	memory_free(bytes);
}

static uint8_t bench_byte(struct bench *bench, uint32_t index, uint64_t block)
{
	uint8_t bytes[512];

	assert_int_equal(fixture_io(bench->fixture, bench->below[index], IO_READ,
				    (struct block_range){block, 1}, bytes),
			 IO_OK);
	return bytes[0];
}

static struct bench *bench_begin(void **state)
{
	struct bench *bench = memory_alloc(sizeof(*bench));

	assert_non_null(bench);
	bench->fixture = *state;
	for (uint32_t i = 0; i < 2; i++) {
		char uri[80];

		snprintf(uri, sizeof(uri), "malloc:///m%u?num_blocks=%u", i, (unsigned)BLOCKS + 8);
		bench->disks[i] = fixture_create(bench->fixture, uri);
		bench->below[i] = fixture_open(bench->disks[i], bench->fixture->main);
		snprintf(uri, sizeof(uri), "filter:///f%u?lower=m%u", i, i);
		bench->filters[i] = fixture_create(bench->fixture, uri);
		bench->channels[i] = fixture_open(bench->filters[i], bench->fixture->other);
	}
	bench_fill(bench, 0, 0x5a);
	bench_fill(bench, 1, 0xee);
	range_locks_init(&bench->locks);
	assert_int_equal(rebuild_segment_count(BLOCKS, 512), SEGMENTS);
	assert_int_equal(bitmap_create(SEGMENTS, &bench->stale), 0);
	bench->options = (struct rebuild_options){.reactor = bench->fixture->other,
						  .source = bench->channels[0],
						  .target = bench->channels[1],
						  .source_offset_blocks = 8,
						  .target_offset_blocks = 8,
						  .block_count = BLOCKS,
						  .locks = &bench->locks,
						  .stale = bench->stale};
	return bench;
}

static void bench_start(struct bench *bench)
{
	waiter_init(&bench->waiter, bench->fixture->other);
	assert_int_equal(rebuild_job_create(&bench->options, &bench->job), 0);
	op_wait(&bench->waiter.op);
	rebuild_job_start(bench->job, &bench->waiter.op);
}

static struct rebuild_stats bench_finish(struct bench *bench)
{
	struct rebuild_stats stats;

	fixture_wait(bench->fixture, &bench->waiter);
	rebuild_job_stats(bench->job, &stats);
	rebuild_job_destroy(bench->job);
	bench->job = NULL;
	assert_true(range_locks_is_empty(&bench->locks));
	return stats;
}

static void bench_turns(struct bench *bench, int count)
{
	for (int i = 0; i < count; i++)
		fixture_turn(bench->fixture);
}

static int bench_rule(struct bench *bench, uint32_t index, struct filter_rule rule)
{
	int id = filter_rule_add(bench->filters[index], &rule);

	assert_true(id >= 0);
	return id;
}

static void bench_end(struct bench *bench)
{
	bitmap_destroy(bench->stale);
	for (uint32_t i = 0; i < 2; i++) {
		bdev_channel_close(bench->channels[i]);
		bdev_channel_close(bench->below[i]);
		fixture_destroy(bench->fixture, bench->filters[i]);
		fixture_destroy(bench->fixture, bench->disks[i]);
	}
	memory_free(bench);
}

static void whole_device_is_copied_and_nothing_before_the_offset(void **state)
{
	struct bench *bench = bench_begin(state);
	struct rebuild_stats stats;

	bitmap_set_all(bench->stale);
	bench_start(bench);
	stats = bench_finish(bench);
	assert_int_equal(stats.state, REBUILD_COMPLETED);
	assert_int_equal(stats.blocks_transferred, BLOCKS);
	assert_int_equal(stats.blocks_recovered, BLOCKS);
	assert_int_equal(stats.blocks_remaining, 0);
	assert_int_equal(stats.progress, 100);
	assert_true(stats.end_wall_ns >= stats.start_wall_ns);
	assert_int_equal(bitmap_set_count(bench->stale), 0);
	assert_int_equal(bench_byte(bench, 1, 7), 0xee);
	assert_int_equal(bench_byte(bench, 1, 8), 0x5a);
	assert_int_equal(bench_byte(bench, 1, BLOCKS + 7), 0x5a);
	bench_end(bench);
}

static void only_segments_in_the_map_are_copied(void **state)
{
	struct bench *bench = bench_begin(state);
	struct rebuild_stats stats;

	bitmap_set(bench->stale, 3);
	bitmap_set(bench->stale, 20);
	bench_start(bench);
	stats = bench_finish(bench);
	assert_int_equal(stats.state, REBUILD_COMPLETED);
	assert_int_equal(stats.blocks_transferred, 256 + 100);
	assert_int_equal(bench_byte(bench, 1, 8 + 3 * 256 - 1), 0xee);
	assert_int_equal(bench_byte(bench, 1, 8 + 3 * 256), 0x5a);
	assert_int_equal(bench_byte(bench, 1, 8 + 4 * 256), 0xee);
	assert_int_equal(bench_byte(bench, 1, 8 + 20 * 256), 0x5a);
	bench_end(bench);
}

static void bits_are_cleared_only_after_the_flush(void **state)
{
	struct bench *bench = bench_begin(state);
	struct rebuild_stats stats;
	int held;

	bitmap_set_all(bench->stale);
	held = bench_rule(bench, 1,
			  (struct filter_rule){.action = FILTER_HOLD, .type_mask = 1 << IO_FLUSH});
	bench_start(bench);
	bench_turns(bench, 300);
	rebuild_job_stats(bench->job, &stats);
	assert_int_equal(stats.blocks_transferred, BLOCKS);
	assert_int_equal(bitmap_set_count(bench->stale), SEGMENTS);
	filter_rule_remove(bench->filters[1], held);
	filter_release(bench->filters[1]);
	assert_int_equal(bench_finish(bench).state, REBUILD_COMPLETED);
	/* A flush that fails leaves them all. */
	bitmap_set_all(bench->stale);
	bench_rule(bench, 1,
		   (struct filter_rule){.action = FILTER_FAIL,
					.type_mask = 1 << IO_FLUSH,
					.status = IO_MEDIUM_ERROR});
	bench_start(bench);
	stats = bench_finish(bench);
	assert_int_equal(stats.state, REBUILD_FAILED);
	assert_int_equal(stats.culprit, REBUILD_TARGET);
	assert_int_equal(bitmap_set_count(bench->stale), SEGMENTS);
	bench_end(bench);
}

static void failure_names_the_culprit_and_keeps_what_is_done(void **state)
{
	struct bench *bench = bench_begin(state);
	struct rebuild_stats stats;
	int rule;

	bitmap_set_all(bench->stale);
	rule = bench_rule(bench, 0,
			  (struct filter_rule){.action = FILTER_FAIL,
					       .type_mask = 1 << IO_READ,
					       .range = {8 + 19 * 256, 1},
					       .status = IO_TIMED_OUT});
	bench_start(bench);
	stats = bench_finish(bench);
	assert_int_equal(stats.state, REBUILD_FAILED);
	assert_int_equal(stats.culprit, REBUILD_SOURCE);
	assert_int_equal(stats.status, IO_TIMED_OUT);
	assert_true(bitmap_set_count(bench->stale) < SEGMENTS);
	assert_true(bitmap_is_set(bench->stale, 19));
	filter_rule_remove(bench->filters[0], rule);
	bench_rule(bench, 1,
		   (struct filter_rule){.action = FILTER_FAIL,
					.type_mask = 1 << IO_WRITE,
					.hits_max = 1,
					.status = IO_NO_SPACE});
	bench_start(bench);
	stats = bench_finish(bench);
	assert_int_equal(stats.culprit, REBUILD_TARGET);
	assert_int_equal(stats.status, IO_NO_SPACE);
	bench_start(bench);
	stats = bench_finish(bench);
	assert_int_equal(stats.state, REBUILD_COMPLETED);
	assert_true(stats.blocks_transferred < BLOCKS);
	for (uint64_t block = 8; block < BLOCKS + 8; block += 64)
		assert_int_equal(bench_byte(bench, 1, block), 0x5a);
	bench_end(bench);
}

static void zeroes_are_unmapped_on_the_target(void **state)
{
	struct bench *bench = bench_begin(state);
	int writes;

	bench_fill(bench, 0, 0);
	bitmap_set(bench->stale, 1);
	writes = bench_rule(bench, 1,
			    (struct filter_rule){.action = FILTER_FAIL,
						 .type_mask = 1 << IO_WRITE,
						 .status = IO_MEDIUM_ERROR});
	bench_start(bench);
	assert_int_equal(bench_finish(bench).state, REBUILD_COMPLETED);
	assert_int_equal(filter_rule_hits(bench->filters[1], writes), 0);
	assert_int_equal(bench_byte(bench, 1, 8 + 256), 0);
	assert_int_equal(bench_byte(bench, 1, 8 + 255), 0xee);
	bench_end(bench);
}

static void paused_job_rests_and_goes_on(void **state)
{
	struct bench *bench = bench_begin(state);
	struct rebuild_stats stats;

	bitmap_set_all(bench->stale);
	bench->options.task_count = 1;
	bench->options.bytes_per_second = 100 << 20;
	bench_start(bench);
	assert_int_equal(rebuild_job_resume(bench->job), -EINVAL);
	bench_turns(bench, 20);
	assert_int_equal(rebuild_job_pause(bench->job), 0);
	assert_int_equal(rebuild_job_pause(bench->job), -EINVAL);
	bench_turns(bench, 3000);
	rebuild_job_stats(bench->job, &stats);
	assert_int_equal(stats.state, REBUILD_PAUSED);
	assert_int_equal(stats.tasks_active, 0);
	assert_in_range(stats.blocks_remaining, 1, BLOCKS);
	assert_int_equal(stats.blocks_recovered + stats.blocks_remaining, BLOCKS);
	assert_int_equal(rebuild_job_resume(bench->job), 0);
	assert_int_equal(bench_finish(bench).state, REBUILD_COMPLETED);
	/* A job that rests can be stopped. */
	bitmap_set_all(bench->stale);
	bench_start(bench);
	bench_turns(bench, 20);
	assert_int_equal(rebuild_job_pause(bench->job), 0);
	bench_turns(bench, 3000);
	assert_int_equal(rebuild_job_state(bench->job), REBUILD_PAUSED);
	rebuild_job_stop(bench->job);
	stats = bench_finish(bench);
	assert_int_equal(stats.state, REBUILD_STOPPED);
	assert_in_range(bitmap_set_count(bench->stale), 1, SEGMENTS - 1);
	bench_end(bench);
}

static void bandwidth_limit_holds_and_a_stop_does_not_wait_for_it(void **state)
{
	struct bench *bench = bench_begin(state);
	uint64_t begun_ns = test_time_ns;

	bitmap_set_all(bench->stale);
	bench->options.bytes_per_second = REBUILD_SEGMENT_BYTES * 1000; /* a segment each ms */
	bench_start(bench);
	assert_int_equal(bench_finish(bench).state, REBUILD_COMPLETED);
	assert_true(test_time_ns - begun_ns >= (SEGMENTS - 1) * 1000000ull);
	bitmap_set_all(bench->stale);
	bench->options.bytes_per_second = 1;
	bench_start(bench);
	bench_turns(bench, 100);
	begun_ns = test_time_ns;
	rebuild_job_stop(bench->job);
	assert_int_equal(bench_finish(bench).state, REBUILD_STOPPED);
	assert_true(test_time_ns - begun_ns < 1000000000);
	bench_end(bench);
}

/* A write that only the source missed: the lock it held was waited for, the job is stopped. */
static void stopped_job_reads_nothing_more_from_its_source(void **state)
{
	struct bench *bench = bench_begin(state);
	struct range_lock write = {.range = {0, 1}, .is_exclusive = true};
	struct waiter writer;
	struct rebuild_stats stats;
	int reads;

	waiter_init(&writer, bench->fixture->other);
	write.parent = &writer.op;
	range_lock(&bench->locks, &write);
	reads = bench_rule(bench, 0,
			   (struct filter_rule){.action = FILTER_FAIL_AFTER,
						.type_mask = 1 << IO_READ,
						.status = IO_MEDIUM_ERROR});
	bitmap_set(bench->stale, 0);
	bench_start(bench);
	bench_turns(bench, 50);
	rebuild_job_stop(bench->job);
	range_unlock(&bench->locks, &write);
	stats = bench_finish(bench);
	assert_int_equal(stats.state, REBUILD_STOPPED);
	assert_int_equal(filter_rule_hits(bench->filters[0], reads), 0);
	assert_true(bitmap_is_set(bench->stale, 0));
	assert_int_equal(bench_byte(bench, 1, 8), 0xee);
	bench_end(bench);
}

static void abandoned_job_clears_nothing_more(void **state)
{
	struct bench *bench = bench_begin(state);
	struct rebuild_stats stats;
	int held;

	bitmap_set_all(bench->stale);
	held = bench_rule(bench, 1,
			  (struct filter_rule){.action = FILTER_HOLD, .type_mask = 1 << IO_FLUSH});
	bench_start(bench);
	bench_turns(bench, 300);
	rebuild_job_abandon(bench->job, IO_DEVICE_GONE);
	bitmap_set(bench->stale, 5);
	filter_rule_remove(bench->filters[1], held);
	filter_release(bench->filters[1]);
	stats = bench_finish(bench);
	assert_int_equal(stats.state, REBUILD_FAILED);
	assert_int_equal(stats.culprit, REBUILD_TARGET);
	assert_int_equal(bitmap_set_count(bench->stale), SEGMENTS);
	bench_end(bench);
}

static void writer_and_copy_exclude_each_other(void **state)
{
	struct bench *bench = bench_begin(state);
	struct range_lock lock;
	struct waiter writer;

	/* A writer has the range first: the copy waits for it. */
	bitmap_set(bench->stale, 0);
	waiter_init(&writer, bench->fixture->other);
	lock = (struct range_lock){.parent = &writer.op, .range = {10, 5}};
	range_lock(&bench->locks, &lock);
	bench_start(bench);
	bench_turns(bench, 200);
	assert_int_equal(bench_byte(bench, 1, 8), 0xee);
	assert_int_equal(bench->waiter.op.pending, 1);
	range_unlock(&bench->locks, &lock);
	assert_int_equal(bench_finish(bench).state, REBUILD_COMPLETED);
	assert_int_equal(bench_byte(bench, 1, 8), 0x5a);
	bench_end(bench);
}

/* Reads of the source are held until the next step. Return: how many there were in all. */
static uint64_t bench_step(struct bench *bench, int held)
{
	filter_release(bench->filters[0]);
	bench_turns(bench, 100);
	return filter_rule_hits(bench->filters[0], held);
}

static void few_segments_are_copied_at_once_while_hosts_are_at_work(void **state)
{
	struct filter_rule hold = {.action = FILTER_HOLD, .type_mask = 1 << IO_READ};
	struct bench *bench = bench_begin(state);
	uint64_t host_io_count = 7;
	int held;

	bitmap_set_all(bench->stale);
	bench->options.host_io_count = &host_io_count;
	held = bench_rule(bench, 0, hold);
	bench_start(bench);
	host_io_count++;
	assert_int_equal(bench_step(bench, held), REBUILD_TASKS_BESIDE_HOSTS);
	host_io_count++;
	assert_int_equal(bench_step(bench, held), 2 * REBUILD_TASKS_BESIDE_HOSTS);
	/* Those who rest go on after the first copy that ends while hosts are quiet. */
	test_time_ns += REBUILD_HOSTS_QUIET_NS;
	assert_int_equal(bench_step(bench, held),
			 2 * REBUILD_TASKS_BESIDE_HOSTS + REBUILD_TASKS_MAX);
	filter_rule_remove(bench->filters[0], held);
	filter_release(bench->filters[0]);
	assert_int_equal(bench_finish(bench).state, REBUILD_COMPLETED);
	/* A job that is stopped does not wait for those who rest, and they begin nothing. */
	bitmap_set_all(bench->stale);
	held = bench_rule(bench, 0, hold);
	bench_start(bench);
	host_io_count++;
	assert_int_equal(bench_step(bench, held), REBUILD_TASKS_BESIDE_HOSTS);
	rebuild_job_stop(bench->job);
	filter_release(bench->filters[0]);
	assert_int_equal(bench_finish(bench).state, REBUILD_STOPPED);
	assert_int_equal(filter_rule_hits(bench->filters[0], held), REBUILD_TASKS_BESIDE_HOSTS);
	filter_rule_remove(bench->filters[0], held);
	bench_end(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(whole_device_is_copied_and_nothing_before_the_offset),
		RULE(only_segments_in_the_map_are_copied),
		RULE(bits_are_cleared_only_after_the_flush),
		RULE(failure_names_the_culprit_and_keeps_what_is_done),
		RULE(zeroes_are_unmapped_on_the_target),
		RULE(paused_job_rests_and_goes_on),
		RULE(bandwidth_limit_holds_and_a_stop_does_not_wait_for_it),
		RULE(stopped_job_reads_nothing_more_from_its_source),
		RULE(abandoned_job_clears_nothing_more),
		RULE(writer_and_copy_exclude_each_other),
		RULE(few_segments_are_copied_at_once_while_hosts_are_at_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
