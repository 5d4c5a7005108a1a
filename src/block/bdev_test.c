/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_test.c - the gate, channels, statistics, claims, listeners, and waiting for disuse, over
 * memory bdevs and two reactors that the test turns itself.
 */
#include "block/bdev_test_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void an_answer_may_come_before_submit_returns(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?num_blocks=8");
	struct bdev_channel *channel = fixture_open(bdev, fixture->main);
	uint8_t bytes[512];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct waiter waiter;
	struct bdev_io io = {.parent = &waiter.op,
			     .type = IO_READ,
			     .range = {7, 1},
			     .iov = &iov,
			     .iov_count = 1};

	waiter_init(&waiter, fixture->main);
	op_wait(&waiter.op);
	bdev_submit(channel, &io);
	assert_int_equal(op_join(&waiter.op), OP_NEXT);
	assert_int_equal(waiter.entered, 0);
	assert_int_equal(io.status, IO_OK);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
}

static void statistics_outlive_their_channels(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?num_blocks=8&blk_size=4096");
	struct bdev_channel *one = fixture_open(bdev, fixture->main);
	struct bdev_channel *two = fixture_open(bdev, fixture->other);
	uint8_t bytes[8192] = {1};
	struct bdev_stats stats;

	assert_int_equal(fixture_io(fixture, one, IO_WRITE, (struct block_range){0, 2}, bytes),
			 IO_OK);
	assert_int_equal(fixture_io(fixture, two, IO_READ, (struct block_range){0, 1}, bytes),
			 IO_OK);
	assert_int_equal(fixture_io(fixture, two, IO_FLUSH, (struct block_range){0, 0}, NULL),
			 IO_OK);
	bdev_channel_close(one);
	bdev_stats(bdev, &stats);
	assert_int_equal(stats.of[IO_WRITE].operations, 1);
	assert_int_equal(stats.of[IO_WRITE].bytes, 8192);
	assert_int_equal(stats.of[IO_READ].operations, 1);
	assert_int_equal(stats.of[IO_READ].bytes, 4096);
	assert_int_equal(stats.of[IO_FLUSH].operations, 1);
	assert_int_equal(stats.of[IO_FLUSH].bytes, 0);
	assert_int_equal(stats.of[IO_READ].failures, 0);
	bdev_channel_close(two);
	bdev_stats(bdev, &stats);
	assert_int_equal(stats.of[IO_READ].operations, 1);
	fixture_destroy(fixture, bdev);
}

static void latency_and_failures_are_counted(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *lower = fixture_create(fixture, "malloc:///a?num_blocks=8");
	struct bdev *bdev = fixture_create(fixture, "filter:///f?lower=a");
	struct bdev_channel *channel = fixture_open(bdev, fixture->main);
	const struct filter_rule delay = {.action = FILTER_DELAY,
					  .type_mask = 1 << IO_READ,
					  .hits_max = 1,
					  .delay_ns = 3 * 1000 * 1000};
	const struct filter_rule failure = {
		.action = FILTER_FAIL, .type_mask = 1 << IO_READ, .status = IO_MEDIUM_ERROR};
	struct bdev_stats stats;
	uint8_t bytes[512];

	assert_true(filter_rule_add(bdev, &delay) >= 0);
	assert_true(filter_rule_add(bdev, &failure) >= 0);
	fixture_io(fixture, channel, IO_READ, (struct block_range){0, 1}, bytes);
	assert_int_equal(fixture_io(fixture, channel, IO_READ, (struct block_range){0, 1}, bytes),
			 IO_MEDIUM_ERROR);
	bdev_stats(bdev, &stats);
	assert_int_equal(stats.of[IO_READ].operations, 2);
	assert_int_equal(stats.of[IO_READ].failures, 1);
	assert_true(stats.of[IO_READ].latency_ns_max >= delay.delay_ns);
	assert_true(stats.of[IO_READ].latency_ns_min < delay.delay_ns);
	assert_true(stats.of[IO_READ].latency_ns_total >= stats.of[IO_READ].latency_ns_max);
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
	fixture_destroy(fixture, lower);
}

static void a_removed_bdev_answers_without_its_driver(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "malloc:///a?num_blocks=8");
	struct bdev_channel *channel = fixture_open(bdev, fixture->main);
	struct bdev_channel *another = NULL;
	struct fixture_listener heard;
	uint8_t bytes[512];

	fixture_listen(&heard, bdev);
	bdev_notify(bdev, BDEV_REMOVED);
	bdev_notify(bdev, BDEV_REMOVED);
	assert_int_equal(heard.removed_count, 1);
	assert_true(bdev_is_removed(bdev));
	assert_int_equal(bdev_channel_open(bdev, fixture->main, &another), -ENODEV);
	assert_null(another);
	assert_int_equal(fixture_io(fixture, channel, IO_READ, (struct block_range){0, 1}, bytes),
			 IO_DEVICE_GONE);
	bdev_channel_close(channel);
	assert_int_equal(bdev_channel_count(bdev), 0);
	bdev_unlisten(&heard.listener);
	fixture_destroy(fixture, bdev);
}

static void channels_open_on_the_home_reactor_only(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "null:///a?num_blocks=8");
	struct bdev_channel *channel = NULL;

	bdev->home = fixture->other;
	assert_int_equal(bdev_channel_open(bdev, fixture->main, &channel), -EXDEV);
	assert_int_equal(bdev_channel_open(bdev, fixture->other, &channel), 0);
	bdev_channel_close(channel);
	bdev_channel_close(NULL);
	fixture_destroy(fixture, bdev);
}

static void a_claim_excludes_other_owners(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "null:///a?num_blocks=8");

	assert_int_equal(bdev_claim(bdev, "pool p"), 0);
	assert_int_equal(bdev_claim(bdev, "pool p"), 0);
	assert_int_equal(bdev_claim(bdev, "nexus n"), -EBUSY);
	assert_string_equal(bdev->claimed_by, "pool p");
	bdev_unclaim(bdev);
	assert_int_equal(bdev_claim(bdev, "nexus n"), 0);
	bdev_unclaim(bdev);
	fixture_destroy(fixture, bdev);
}

struct fickle {
	struct bdev_listener listener;
	struct bdev_listener *other; /* to be stopped too */
	int count;
};

static void fickle_event(struct bdev_listener *listener, struct bdev *bdev, enum bdev_event event)
{
	struct fickle *fickle = container_of(listener, struct fickle, listener);

	(void)bdev;
	(void)event;
	fickle->count++;
	bdev_unlisten(listener);
	if (fickle->other != NULL)
		bdev_unlisten(fickle->other);
}

static void listeners_may_stop_themselves_and_others_when_told(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "null:///a?num_blocks=8");
	struct fixture_listener last;
	struct fickle two = {.listener.event = fickle_event};
	struct fickle one = {.listener.event = fickle_event, .other = &two.listener};

	bdev_listen(bdev, &one.listener);
	bdev_listen(bdev, &two.listener);
	fixture_listen(&last, bdev);
	bdev_grow(bdev, 16);
	bdev_grow(bdev, 32);
	assert_int_equal(one.count, 1);
	assert_int_equal(two.count, 0);
	assert_int_equal(last.resized_count, 2);
	assert_int_equal(bdev->block_count, 32);
	bdev_unlisten(&last.listener);
	bdev_unlisten(&last.listener);
	fixture_destroy(fixture, bdev);
}

static void disuse_is_awaited_for_channels_claims_and_references(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "null:///a?num_blocks=8");
	struct bdev_channel *one = fixture_open(bdev, fixture->main);
	struct bdev_channel *two = fixture_open(bdev, fixture->other);
	struct bdev_channel *late = NULL;
	struct waiter waiter;

	assert_int_equal(bdev_claim(bdev, "somebody"), 0);
	bdev_ref(bdev);
	waiter_init(&waiter, fixture->main);
	op_wait(&waiter.op);
	bdev_wait_unused(bdev, &waiter.op);
	assert_int_equal(bdev_channel_open(bdev, fixture->other, &late), -ENODEV);
	bdev_channel_close(one);
	fixture_turn(fixture);
	bdev_channel_close(two);
	bdev_unclaim(bdev);
	assert_int_equal(waiter.op.pending, 1);
	fixture_turn(fixture);
	fixture_turn(fixture);
	assert_int_equal(waiter.op.pending, 1);
	bdev_unref(bdev);
	assert_int_equal(waiter.op.pending, 0);
	/* An unused one is told at once; and it can be used again. */
	op_wait(&waiter.op);
	bdev_wait_unused(bdev, &waiter.op);
	assert_int_equal(waiter.op.pending, 0);
	bdev_channel_close(fixture_open(bdev, fixture->main));
	fixture_destroy(fixture, bdev);
}

static void the_last_channel_of_another_reactor_ends_the_wait_on_main(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "null:///a?num_blocks=8");
	struct bdev_channel *channel = fixture_open(bdev, fixture->other);
	struct waiter waiter;

	waiter_init(&waiter, fixture->main);
	op_wait(&waiter.op);
	bdev_wait_unused(bdev, &waiter.op);
	bdev_channel_close(channel);
	assert_int_equal(waiter.op.pending, 1); /* this is the other thread: main must say it */
	reactor_turn(fixture->other, false);
	assert_int_equal(waiter.op.pending, 1);
	reactor_turn(fixture->main, false);
	assert_int_equal(waiter.op.pending, 0);
	fixture_destroy(fixture, bdev);
}

/* One thread opens, uses and closes channels while main waits for disuse and frees the bdev. */

#define RACE_ROUNDS	500
#define RACE_ROUNDS_MIN 20
#define RACE_SECONDS \
	5 /* on a busy machine a round takes long: who spins waits for who is not run */

struct user {
	struct bdev *bdev;
	struct reactor *reactor;
	uint64_t opened_count;
	_Atomic bool is_started;
	bool is_wrong;
};

static void user_main(void *argument)
{
	struct user *user = argument;
	struct bdev_channel *first = NULL;
	struct bdev_channel *channel;
	uint8_t bytes[512];
	struct iovec iov = {bytes, sizeof(bytes)};

	user->is_wrong = bdev_channel_open(user->bdev, user->reactor, &first) < 0;
	atomic_store(&user->is_started, true);
	/* While the first channel is open the bdev stays, so others may be tried. */
	while (!user->is_wrong && bdev_channel_open(user->bdev, user->reactor, &channel) == 0) {
		struct bdev_io io = {.type = IO_READ, .range = {0, 1}, .iov = &iov, .iov_count = 1};

		bdev_submit(channel, &io);
		bdev_channel_close(channel);
		user->opened_count++;
	}
	bdev_channel_close(first);
}

static void a_bdev_is_freed_after_its_last_channel_on_any_thread(void **state)
{
	struct fixture *fixture = *state;
	time_t end = time(NULL) + RACE_SECONDS;

	for (int round = 0; round < RACE_ROUNDS_MIN || (round < RACE_ROUNDS && time(NULL) < end);
	     round++) {
		struct bdev *bdev = fixture_create(fixture, "null:///a?num_blocks=8");
		struct user user = {.bdev = bdev, .reactor = fixture->other};
		struct os_thread *thread;
		struct bdev_stats stats;
		struct bdev_destroy destroy;
		struct waiter waiter;

		assert_int_equal(os_thread_start(fixture->os, -1, user_main, &user, &thread), 0);
		while (!atomic_load(&user.is_started))
			bdev_stats(bdev, &stats);
		waiter_init(&waiter, fixture->main);
		op_wait(&waiter.op);
		bdev_wait_unused(bdev, &waiter.op);
		while (waiter.op.pending > 0)
			reactor_turn(fixture->main, false);
		bdev_stats(bdev, &stats);
		assert_int_equal(bdev_channel_count(bdev), 0);
		op_wait(&waiter.op);
		destroy = (struct bdev_destroy){.parent = &waiter.op, .bdev = bdev};
		bdev_destroy_submit(fixture->registry, &destroy);
		assert_int_equal(destroy.result, 0);
		assert_int_equal(op_join(&waiter.op), OP_NEXT);
		os_thread_join(thread);
		assert_false(user.is_wrong);
		assert_int_equal(stats.of[IO_READ].operations, user.opened_count);
	}
}

/* Runs @submit in a child. Return: true if it aborted. */
static bool process_stops(struct bdev_channel *channel, struct bdev_io *io)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		bdev_submit(channel, io);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void the_gate_stops_a_caller_that_breaks_the_contract(void **state)
{
	struct fixture *fixture = *state;
	struct bdev *bdev = fixture_create(fixture, "null:///a?num_blocks=8");
	struct bdev_channel *channel = fixture_open(bdev, fixture->main);
	static uint8_t bytes[4096] __attribute__((aligned(4096)));
	struct iovec iov = {bytes, 512};
	const struct bdev_io good = {.type = IO_READ, .range = {7, 1}, .iov = &iov, .iov_count = 1};
	struct bdev_io io = good;

	assert_false(process_stops(channel, &io));
	io = good;
	io.range.first = 8;
	assert_true(process_stops(channel, &io));
	io = good;
	io.range.first = UINT64_MAX;
	assert_true(process_stops(channel, &io));
	io = good;
	io.range.count = 0;
	assert_true(process_stops(channel, &io));
	io = good;
	iov.iov_len = 1024;
	assert_true(process_stops(channel, &io));
	iov.iov_len = 512;
	io = good;
	io.type = IO_COMPARE; /* which this bdev cannot do */
	assert_true(process_stops(channel, &io));
	bdev->memory_alignment = 512;
	io = good;
	assert_false(process_stops(channel, &io));
	iov.iov_base = bytes + 4;
	assert_true(process_stops(channel, &io));
	bdev_channel_close(channel);
	fixture_destroy(fixture, bdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(an_answer_may_come_before_submit_returns),
		RULE(statistics_outlive_their_channels),
		RULE(latency_and_failures_are_counted),
		RULE(a_removed_bdev_answers_without_its_driver),
		RULE(channels_open_on_the_home_reactor_only),
		RULE(a_claim_excludes_other_owners),
		RULE(listeners_may_stop_themselves_and_others_when_told),
		RULE(disuse_is_awaited_for_channels_claims_and_references),
		RULE(the_last_channel_of_another_reactor_ends_the_wait_on_main),
		RULE(a_bdev_is_freed_after_its_last_channel_on_any_thread),
		RULE(the_gate_stops_a_caller_that_breaks_the_contract),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
