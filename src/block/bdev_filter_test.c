/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_filter_test.c - each action, matching, order, bounds, and what happens across reactors. */
#include "block/bdev_test_fixture.h"

#include <errno.h>
#include <stdatomic.h>

#define HELD_COUNT (FILTER_INFLIGHT_MAX + 50)
#define RACE_IO	   200000

struct pair {
	struct bdev *lower;
	struct bdev *filter;
	struct bdev_channel *channel; /* to the filter */
	struct bdev_channel *below;   /* past it */
	uint8_t bytes[1024];
};

static void pair_open(struct fixture *fixture, struct pair *pair, struct reactor *reactor)
{
	pair->lower = fixture_create(fixture, "malloc:///a?num_blocks=64");
	pair->filter = fixture_create(fixture, "filter:///f?lower=a");
	pair->channel = fixture_open(pair->filter, reactor);
	pair->below = fixture_open(pair->lower, reactor);
}

static void pair_close(struct fixture *fixture, struct pair *pair)
{
	bdev_channel_close(pair->channel);
	bdev_channel_close(pair->below);
	fixture_destroy(fixture, pair->filter);
	fixture_destroy(fixture, pair->lower);
}

static enum io_status pair_io(struct fixture *fixture, struct pair *pair, enum io_type type,
			      uint64_t first)
{
	return fixture_io(fixture, pair->channel, type, (struct block_range){first, 1},
			  type == IO_READ || type == IO_WRITE ? pair->bytes : NULL);
}

static void without_rules_everything_passes(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair;
	uint8_t read[512];

	pair_open(fixture, &pair, fixture->other);
	assert_int_equal(pair.filter->block_count, 64);
	assert_int_equal(pair.filter->block_bytes, 512);
	memset(pair.bytes, 0x77, sizeof(pair.bytes));
	assert_int_equal(pair_io(fixture, &pair, IO_WRITE, 63), IO_OK);
	assert_int_equal(
		fixture_io(fixture, pair.below, IO_READ, (struct block_range){63, 1}, read), IO_OK);
	assert_memory_equal(read, pair.bytes, 512);
	assert_int_equal(pair_io(fixture, &pair, IO_FLUSH, 0), IO_OK);
	assert_int_equal(pair_io(fixture, &pair, IO_WRITE_ZEROES, 63), IO_OK);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 63), IO_OK);
	assert_int_equal(pair.bytes[0], 0);
	pair_close(fixture, &pair);
}

static void fail_does_not_touch_the_lower_bdev_and_fail_after_does(void **state)
{
	struct fixture *fixture = *state;
	const struct filter_rule before = {.action = FILTER_FAIL,
					   .type_mask = 1 << IO_WRITE,
					   .range = {0, 8},
					   .status = IO_NO_SPACE};
	const struct filter_rule after = {.action = FILTER_FAIL_AFTER,
					  .type_mask = 1 << IO_WRITE,
					  .range = {8, 8},
					  .status = IO_TIMED_OUT};
	struct pair pair;
	uint8_t read[1024];
	int id;

	pair_open(fixture, &pair, fixture->main);
	id = filter_rule_add(pair.filter, &before);
	assert_true(id >= 0);
	assert_true(filter_rule_add(pair.filter, &after) >= 0);
	memset(pair.bytes, 0x11, sizeof(pair.bytes));
	assert_int_equal(pair_io(fixture, &pair, IO_WRITE, 7), IO_NO_SPACE);
	assert_int_equal(pair_io(fixture, &pair, IO_WRITE, 8), IO_TIMED_OUT);
	assert_int_equal(pair_io(fixture, &pair, IO_WRITE, 16), IO_OK);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 0), IO_OK);
	fixture_io(fixture, pair.below, IO_READ, (struct block_range){7, 2}, read);
	assert_int_equal(read[0], 0);
	assert_int_equal(read[512], 0x11);
	assert_int_equal(filter_rule_hits(pair.filter, id), 1);
	assert_int_equal(filter_rule_remove(pair.filter, id), 0);
	assert_int_equal(filter_rule_remove(pair.filter, id), -ENOENT);
	assert_int_equal(filter_rule_hits(pair.filter, id), 0);
	assert_int_equal(pair_io(fixture, &pair, IO_WRITE, 7), IO_OK);
	assert_int_equal(pair_io(fixture, &pair, IO_WRITE, 8), IO_TIMED_OUT);
	pair_close(fixture, &pair);
}

static void skip_and_hits_bound_a_rule(void **state)
{
	static const enum io_status expected[] = {IO_OK,	   IO_OK,	    IO_MEDIUM_ERROR,
						  IO_MEDIUM_ERROR, IO_MEDIUM_ERROR, IO_OK};
	struct fixture *fixture = *state;
	const struct filter_rule rule = {.action = FILTER_FAIL,
					 .type_mask = 1 << IO_READ,
					 .skip_hits = 2,
					 .hits_max = 3,
					 .status = IO_MEDIUM_ERROR};
	struct pair pair;
	int id;

	pair_open(fixture, &pair, fixture->main);
	id = filter_rule_add(pair.filter, &rule);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(pair_io(fixture, &pair, IO_READ, i), expected[i]);
	assert_int_equal(filter_rule_hits(pair.filter, id), 6);
	pair_close(fixture, &pair);
}

static void the_oldest_rule_that_acts_decides(void **state)
{
	struct fixture *fixture = *state;
	struct filter_rule rule = {.action = FILTER_FAIL, .type_mask = 1 << IO_READ};
	struct pair pair;
	int ids[3];

	pair_open(fixture, &pair, fixture->main);
	rule.status = IO_MEDIUM_ERROR;
	ids[0] = filter_rule_add(pair.filter, &rule);
	rule.status = IO_TIMED_OUT;
	ids[1] = filter_rule_add(pair.filter, &rule);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 0), IO_MEDIUM_ERROR);
	assert_int_equal(filter_rule_remove(pair.filter, ids[0]), 0);
	/* Takes the place that became free, but comes after in order. */
	rule.status = IO_NOT_READY;
	ids[2] = filter_rule_add(pair.filter, &rule);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 0), IO_TIMED_OUT);
	assert_int_equal(filter_rule_remove(pair.filter, ids[1]), 0);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 0), IO_NOT_READY);
	assert_int_equal(filter_rule_remove(pair.filter, ids[2]), 0);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 0), IO_OK);
	pair_close(fixture, &pair);
}

static void bad_rules_are_refused(void **state)
{
	struct fixture *fixture = *state;
	const struct filter_rule good = {.action = FILTER_HOLD, .type_mask = 1 << IO_UNMAP};
	struct filter_rule rule;
	struct pair pair;

	pair_open(fixture, &pair, fixture->main);
	assert_int_equal(filter_rule_add(pair.lower, &good), -EINVAL);
	rule = good;
	rule.type_mask = 0;
	assert_int_equal(filter_rule_add(pair.filter, &rule), -EINVAL);
	rule.type_mask = 1 << IO_TYPE_COUNT;
	assert_int_equal(filter_rule_add(pair.filter, &rule), -EINVAL);
	rule = good;
	rule.range = (struct block_range){UINT64_MAX, 2};
	assert_int_equal(filter_rule_add(pair.filter, &rule), -EINVAL);
	rule = good;
	rule.action = FILTER_FAIL; /* with status ok */
	assert_int_equal(filter_rule_add(pair.filter, &rule), -EINVAL);
	rule.action = FILTER_CORRUPT; /* not of a read */
	assert_int_equal(filter_rule_add(pair.filter, &rule), -EINVAL);
	rule.action = FILTER_DELAY;
	rule.delay_ns = FILTER_DELAY_NS_MAX + 1;
	assert_int_equal(filter_rule_add(pair.filter, &rule), -EINVAL);
	for (int i = 0; i < FILTER_RULES_MAX; i++)
		assert_true(filter_rule_add(pair.filter, &good) >= 0);
	assert_int_equal(filter_rule_add(pair.filter, &good), -ENOSPC);
	assert_int_equal(filter_rule_remove(pair.filter, -1), -ENOENT);
	assert_int_equal(filter_rule_remove(pair.lower, 0), -ENOENT);
	pair_close(fixture, &pair);
}

static void delay_takes_at_least_its_time(void **state)
{
	struct fixture *fixture = *state;
	const struct filter_rule rule = {
		.action = FILTER_DELAY, .type_mask = 1 << IO_READ, .delay_ns = 20 * 1000 * 1000};
	struct pair pair;
	uint64_t begin_ns;

	pair_open(fixture, &pair, fixture->other);
	assert_true(filter_rule_add(pair.filter, &rule) >= 0);
	begin_ns = os_clock_now_ns(fixture->os);
	reactor_turn(fixture->other, false);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 0), IO_OK);
	assert_true(os_clock_now_ns(fixture->os) - begin_ns >= rule.delay_ns);
	pair_close(fixture, &pair);
}

static void corrupt_changes_one_byte_of_a_read(void **state)
{
	struct fixture *fixture = *state;
	const struct filter_rule rule = {
		.action = FILTER_CORRUPT, .type_mask = 1 << IO_READ, .hits_max = 1};
	struct pair pair;
	int changed = 0;

	pair_open(fixture, &pair, fixture->main);
	assert_true(filter_rule_add(pair.filter, &rule) >= 0);
	memset(pair.bytes, 0xee, sizeof(pair.bytes));
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 0), IO_OK);
	for (int i = 0; i < 512; i++)
		changed += pair.bytes[i] != 0;
	assert_int_equal(changed, 1);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 0), IO_OK);
	for (int i = 0; i < 512; i++)
		assert_int_equal(pair.bytes[i], 0);
	pair_close(fixture, &pair);
}

static void held_io_waits_for_release_in_order_and_in_bounds(void **state)
{
	struct fixture *fixture = *state;
	const struct filter_rule rule = {
		.action = FILTER_HOLD, .type_mask = 1 << IO_READ, .hits_max = HELD_COUNT};
	struct bdev_io *ios = memory_alloc_array(HELD_COUNT, sizeof(*ios));
	struct waiter waiter;
	struct iovec iov;
	struct pair pair;

	pair_open(fixture, &pair, fixture->other);
	iov = (struct iovec){pair.bytes, 512};
	assert_true(filter_rule_add(pair.filter, &rule) >= 0);
	waiter_init(&waiter, fixture->other);
	for (int i = 0; i < HELD_COUNT; i++) {
		ios[i] = (struct bdev_io){.parent = &waiter.op,
					  .type = IO_READ,
					  .range = {1, 1},
					  .iov = &iov,
					  .iov_count = 1};
		op_wait(&waiter.op);
		bdev_submit(pair.channel, &ios[i]);
	}
	for (int i = 0; i < 10; i++)
		fixture_turn(fixture);
	assert_int_equal(waiter.op.pending, HELD_COUNT);
	/* A write passes, but waits in line for a slot. */
	filter_release(pair.filter);
	for (int i = 0; i < 10; i++)
		fixture_turn(fixture);
	assert_int_equal(waiter.op.pending, HELD_COUNT - FILTER_INFLIGHT_MAX);
	filter_release(pair.filter);
	filter_release(pair.filter);
	for (int i = 0; i < 10; i++)
		fixture_turn(fixture);
	assert_int_equal(waiter.op.pending, 0);
	memory_free(ios);
	pair_close(fixture, &pair);
}

static void a_channel_may_close_while_a_release_is_under_way(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair;

	pair_open(fixture, &pair, fixture->other);
	filter_release(pair.filter);
	pair_close(fixture, &pair);
	fixture_turn(fixture); /* the message arrives now and frees the channel's memory */
}

static void removal_and_growth_pass_through(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_listener heard;
	struct pair pair;

	pair_open(fixture, &pair, fixture->main);
	fixture_listen(&heard, pair.filter);
	assert_int_equal(fixture_try(fixture, "malloc:///a?num_blocks=100&resize"), 0);
	assert_int_equal(heard.resized_count, 1);
	assert_int_equal(pair.filter->block_count, 100);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 99), IO_OK);
	bdev_notify(pair.lower, BDEV_REMOVED);
	assert_int_equal(heard.removed_count, 1);
	assert_int_equal(pair_io(fixture, &pair, IO_READ, 0), IO_DEVICE_GONE);
	bdev_unlisten(&heard.listener);
	pair_close(fixture, &pair);
}

static void the_lower_bdev_is_claimed(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair;

	pair_open(fixture, &pair, fixture->main);
	assert_int_equal(bdev_claim(pair.lower, "pool"), -EBUSY);
	assert_int_equal(fixture_try(fixture, "filter:///g?lower=a"), -EBUSY);
	assert_non_null(strstr(fixture->create.error, "filter f"));
	bdev_channel_close(pair.below);
	assert_int_equal(fixture_try_destroy(fixture, pair.lower, false), -EBUSY);
	pair.below = fixture_open(pair.lower, fixture->main);
	pair_close(fixture, &pair);
}

/* Rules come and go on this thread while another one does I/O. */

struct racer {
	struct fixture *fixture;
	struct bdev_channel *channel;
	_Atomic uint64_t answered[2]; /* reads, writes that failed */
	_Atomic bool is_ended;
	bool is_wrong;
};

static void racer_main(void *argument)
{
	struct racer *racer = argument;
	uint8_t bytes[512];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct waiter waiter;

	waiter_init(&waiter, racer->channel->reactor);
	for (int i = 0; i < RACE_IO; i++) {
		struct bdev_io io = {.parent = &waiter.op,
				     .type = i % 2 == 0 ? IO_READ : IO_WRITE,
				     .range = {0, 1},
				     .iov = &iov,
				     .iov_count = 1};

		op_wait(&waiter.op);
		bdev_submit(racer->channel, &io);
		while (waiter.op.pending > 0)
			reactor_turn(racer->channel->reactor, false);
		/* The write's rule stays all the time; the read's comes and goes, whole or not. */
		if (io.type == IO_WRITE && io.status != IO_NO_SPACE)
			racer->is_wrong = true;
		if (io.type == IO_READ && io.status != IO_OK && io.status != IO_TIMED_OUT)
			racer->is_wrong = true;
		if (io.status != IO_OK)
			atomic_fetch_add(&racer->answered[i % 2], 1);
	}
	atomic_store(&racer->is_ended, true);
}

static void rules_change_under_io_without_hiding_others(void **state)
{
	struct fixture *fixture = *state;
	struct racer racer = {.fixture = fixture};
	struct filter_rule come = {
		.action = FILTER_FAIL, .type_mask = 1 << IO_READ, .status = IO_TIMED_OUT};
	const struct filter_rule stay = {
		.action = FILTER_FAIL, .type_mask = 1 << IO_WRITE, .status = IO_NO_SPACE};
	struct os_thread *thread;
	struct pair pair;
	int first;

	pair_open(fixture, &pair, fixture->other);
	racer.channel = pair.channel;
	first = filter_rule_add(pair.filter, &come);
	assert_true(filter_rule_add(pair.filter, &stay) >= 0);
	assert_int_equal(os_thread_start(fixture->os, -1, racer_main, &racer, &thread), 0);
	while (!atomic_load(&racer.is_ended)) {
		assert_int_equal(filter_rule_remove(pair.filter, first), 0);
		first = filter_rule_add(pair.filter, &come);
		assert_true(first >= 0);
		filter_release(pair.filter);
	}
	os_thread_join(thread);
	assert_false(racer.is_wrong);
	assert_int_equal(racer.answered[1], RACE_IO / 2);
	assert_true(racer.answered[0] > 0);
	fixture_turn(fixture);
	pair_close(fixture, &pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(without_rules_everything_passes),
		RULE(fail_does_not_touch_the_lower_bdev_and_fail_after_does),
		RULE(skip_and_hits_bound_a_rule),
		RULE(the_oldest_rule_that_acts_decides),
		RULE(bad_rules_are_refused),
		RULE(delay_takes_at_least_its_time),
		RULE(corrupt_changes_one_byte_of_a_read),
		RULE(held_io_waits_for_release_in_order_and_in_bounds),
		RULE(a_channel_may_close_while_a_release_is_under_way),
		RULE(removal_and_growth_pass_through),
		RULE(the_lower_bdev_is_claimed),
		RULE(rules_change_under_io_without_hiding_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
