/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_read_test.c - who is read, and what follows when that fails; comparisons. */
#include "nexus/nexus_test_fixture.h"

#define PLACE ((struct block_range){100, 8})

static void local_child_is_read_before_remote_ones(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int reads[3];

	volume->disks[0]->is_local = false;
	volume->disks[2]->is_local = false;
	volume_create(volume, 3);
	for (uint32_t i = 0; i < 3; i++)
		reads[i] = volume_rule(volume, i, RULE_COUNT_HITS(IO_READ));
	for (int i = 0; i < 300; i++)
		assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	assert_int_equal(filter_rule_hits(volume_filter(volume, 0), reads[0]), 0);
	assert_int_equal(filter_rule_hits(volume_filter(volume, 1), reads[1]), 300);
	assert_int_equal(filter_rule_hits(volume_filter(volume, 2), reads[2]), 0);
	test_io_destroy(io);
	volume_end(volume);
}

static void slow_child_is_read_seldom(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int slow;

	volume_create(volume, 2);
	slow = volume_rule(volume, 0,
			   (struct filter_rule){.action = FILTER_DELAY,
						.type_mask = 1 << IO_READ,
						.delay_ns = 3000000});
	for (int i = 0; i < 400; i++)
		assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	assert_in_range(filter_rule_hits(volume_filter(volume, 0), slow), 1, 20);
	test_io_destroy(io);
	volume_end(volume);
}

static void damaged_blocks_are_read_elsewhere_and_written_back(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int rule;

	volume->disks[1]->is_local = false;
	volume_create(volume, 2);
	assert_int_equal(volume_write(volume, io, PLACE, 0x44), IO_OK);
	volume_write_below(volume, 0, PLACE, 0xbd);
	rule = volume_rule(volume, 0, RULE_FAIL_ONCE(IO_READ, IO_MEDIUM_ERROR));
	memset(io->bytes, 0, IO_BYTES_MAX);
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	assert_int_equal(io->bytes[0], 0x44);
	assert_true(filter_rule_hits(volume_filter(volume, 0), rule) >= 1);
	assert_int_equal(volume_byte_below(volume, 0, PLACE.first), 0x44);
	assert_int_equal(volume_info(volume)->state, NEXUS_ONLINE);
	/* One that cannot be repaired loses its place. */
	volume_rule(volume, 0, RULE_FAIL(IO_READ, IO_MEDIUM_ERROR));
	volume_rule(volume, 0, RULE_FAIL(IO_WRITE, IO_MEDIUM_ERROR));
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	volume_await_child(volume, 0, NEXUS_CHILD_FAULTED);
	assert_false(volume_is_recorded(volume, 0));
	test_io_destroy(io);
	volume_end(volume);
}

static void child_that_cannot_be_reached_loses_its_place_and_the_host_notices_nothing(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 3);
	assert_int_equal(volume_write(volume, io, PLACE, 0x44), IO_OK);
	volume_rule(volume, 0, RULE_FAIL(IO_READ, IO_DEVICE_GONE));
	volume_rule(volume, 1, RULE_FAIL(IO_READ, IO_TIMED_OUT));
	for (int i = 0; i < 200; i++) {
		assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
		assert_int_equal(io->bytes[0], 0x44);
	}
	assert_int_equal(volume_child(volume, 2)->state, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_info(volume)->state, NEXUS_DEGRADED);
	test_io_destroy(io);
	volume_end(volume);
}

static void read_that_no_child_can_serve_fails_and_nobody_is_blamed_for_damage(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 2);
	for (uint32_t i = 0; i < 2; i++)
		volume_rule(volume, i, RULE_FAIL_ONCE(IO_READ, IO_MEDIUM_ERROR));
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_MEDIUM_ERROR);
	assert_int_equal(volume_info(volume)->state, NEXUS_ONLINE);
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	test_io_destroy(io);
	volume_end(volume);
}

static void read_of_blocks_being_written_waits_for_the_write(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *write = test_io_create();
	struct test_io *read = test_io_create();
	struct test_io *other = test_io_create();

	/* One copy has the new data and the other the old: whatever is read must stay true. */
	volume_create(volume, 2);
	assert_int_equal(volume_write(volume, write, PLACE, 0x44), IO_OK);
	volume_rule(volume, 1, RULE_HOLD(IO_WRITE));
	memset(write->bytes, 0x55, IO_BYTES_MAX);
	volume_submit(volume, write, IO_WRITE, PLACE);
	volume_turns(volume, 100);
	assert_int_equal(volume_byte_below(volume, 0, PLACE.first), 0x55);
	assert_int_equal(volume_byte_below(volume, 1, PLACE.first), 0x44);
	volume_submit(volume, read, IO_READ, (struct block_range){PLACE.first + 7, 8});
	assert_int_equal(volume_io(volume, other, IO_READ, (struct block_range){4000, 8}), IO_OK);
	volume_turns(volume, 100);
	assert_false(test_io_is_done(read));
	filter_release(volume_filter(volume, 1));
	fixture_wait(volume->fixture, &write->waiter);
	fixture_wait(volume->fixture, &read->waiter);
	assert_int_equal(read->io.status, IO_OK);
	assert_int_equal(read->bytes[0], 0x55);
	test_io_destroy(write);
	test_io_destroy(read);
	test_io_destroy(other);
	volume_end(volume);
}

/* A write failed on all copies and is on one of them: what is read must not be undone after. */
static void read_behind_a_write_that_failed_everywhere_sees_what_stays(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *first = test_io_create();
	struct test_io *write = test_io_create();
	struct test_io *read = test_io_create();
	int slow;

	volume_create(volume, 2);
	memset(first->bytes, 0x44, IO_BYTES_MAX);
	memset(write->bytes, 0x55, IO_BYTES_MAX);
	/* Reads go to child 1, and child 0 is what the copies are made equal from. */
	slow = volume_rule(volume, 0,
			   (struct filter_rule){.action = FILTER_DELAY,
						.type_mask = 1u << IO_READ,
						.delay_ns = 2000000});
	assert_int_equal(volume_io(volume, read, IO_READ, PLACE), IO_OK);
	filter_rule_remove(volume_filter(volume, 0), slow);
	/* One is in work, so that the other two stand in line behind it. */
	volume_rule(volume, 0,
		    (struct filter_rule){
			    .action = FILTER_HOLD, .type_mask = 1u << IO_WRITE, .hits_max = 1});
	volume_rule(volume, 0, RULE_FAIL_ONCE(IO_WRITE, IO_TIMED_OUT));
	volume_rule(volume, 1,
		    (struct filter_rule){.action = FILTER_FAIL_AFTER,
					 .type_mask = 1u << IO_WRITE,
					 .skip_hits = 1,
					 .hits_max = 1,
					 .status = IO_TIMED_OUT});
	volume_submit(volume, first, IO_WRITE, PLACE);
	volume_submit(volume, write, IO_WRITE, PLACE);
	volume_submit(volume, read, IO_READ, PLACE);
	volume_turns(volume, 50);
	filter_release(volume_filter(volume, 0));
	fixture_wait(volume->fixture, &write->waiter);
	fixture_wait(volume->fixture, &read->waiter);
	assert_int_equal(first->io.status, IO_OK);
	assert_int_equal(write->io.status, IO_TIMED_OUT);
	assert_int_equal(read->io.status, IO_OK);
	assert_int_equal(read->bytes[0], volume_byte_below(volume, 0, PLACE.first));
	assert_true(volume_is_equal(volume, 0, 1));
	test_io_destroy(first);
	test_io_destroy(write);
	test_io_destroy(read);
	volume_end(volume);
}

/* Its link broke while it was read; what it says then may come from after a loss of its power. */
static void answer_of_one_who_left_meanwhile_is_not_passed_on(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 2);
	assert_int_equal(volume_write(volume, io, PLACE, 0x44), IO_OK);
	volume_rule(volume, 0, RULE_HOLD(IO_READ));
	volume_submit(volume, io, IO_READ, PLACE);
	volume_turns(volume, 50);
	assert_false(test_io_is_done(io));
	volume_write_below(volume, 0, PLACE, 0x00);
	bdev_notify(volume_filter(volume, 0), BDEV_INTERRUPTED);
	volume_turns(volume, 50);
	filter_release(volume_filter(volume, 0));
	fixture_wait(volume->fixture, &io->waiter);
	assert_int_equal(io->io.status, IO_OK);
	assert_int_equal(io->bytes[0], 0x44);
	test_io_destroy(io);
	volume_end(volume);
}

/* Each wants what the other has, if they took memory and range in different orders. */
static void comparison_and_repair_of_one_range_do_not_wait_for_each_other(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *ios[6];

	volume_create(volume, 2);
	ios[0] = test_io_create();
	assert_int_equal(volume_write(volume, ios[0], PLACE, 0x44), IO_OK);
	test_io_destroy(ios[0]);
	for (uint32_t i = 0; i < 2; i++) {
		struct filter_rule fail = RULE_FAIL(IO_WRITE, IO_TIMED_OUT);

		fail.hits_max = 2;
		volume_rule(volume, i, fail);
	}
	for (uint32_t i = 0; i < 6; i++) {
		ios[i] = test_io_create();
		memset(ios[i]->bytes, 0x44, IO_BYTES_MAX);
		volume_submit(volume, ios[i], i % 2 == 0 ? IO_WRITE : IO_COMPARE, PLACE);
	}
	for (uint32_t i = 0; i < 6; i++) {
		fixture_wait(volume->fixture, &ios[i]->waiter);
		if (i % 2 != 0)
			assert_int_equal(ios[i]->io.status, IO_OK);
		test_io_destroy(ios[i]);
	}
	volume_end(volume);
}

static void comparison_tells_equal_from_different_and_keeps_writers_out(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct test_io *write = test_io_create();
	int held;

	volume_create(volume, 2);
	assert_int_equal(volume_write(volume, io, PLACE, 0x44), IO_OK);
	assert_int_equal(volume_io(volume, io, IO_COMPARE, PLACE), IO_OK);
	io->bytes[4095] ^= 1;
	assert_int_equal(volume_io(volume, io, IO_COMPARE, PLACE), IO_COMPARE_FAILED);
	io->bytes[4095] ^= 1;
	held = volume_rule(volume, 0, RULE_HOLD(IO_READ));
	volume_rule(volume, 1, RULE_HOLD(IO_READ));
	volume_submit(volume, io, IO_COMPARE, PLACE);
	memset(write->bytes, 0x55, IO_BYTES_MAX);
	volume_submit(volume, write, IO_WRITE, PLACE);
	volume_turns(volume, 100);
	assert_false(test_io_is_done(write));
	assert_int_equal(volume_byte_below(volume, 0, PLACE.first), 0x44);
	filter_rule_remove(volume_filter(volume, 0), held);
	for (uint32_t i = 0; i < 2; i++)
		filter_release(volume_filter(volume, i));
	fixture_wait(volume->fixture, &io->waiter);
	fixture_wait(volume->fixture, &write->waiter);
	assert_int_equal(io->io.status, IO_OK);
	assert_int_equal(volume_byte_below(volume, 0, PLACE.first), 0x55);
	test_io_destroy(io);
	test_io_destroy(write);
	volume_end(volume);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(local_child_is_read_before_remote_ones),
		RULE(slow_child_is_read_seldom),
		RULE(damaged_blocks_are_read_elsewhere_and_written_back),
		RULE(child_that_cannot_be_reached_loses_its_place_and_the_host_notices_nothing),
		RULE(read_that_no_child_can_serve_fails_and_nobody_is_blamed_for_damage),
		RULE(read_of_blocks_being_written_waits_for_the_write),
		RULE(read_behind_a_write_that_failed_everywhere_sees_what_stays),
		RULE(answer_of_one_who_left_meanwhile_is_not_passed_on),
		RULE(comparison_and_repair_of_one_range_do_not_wait_for_each_other),
		RULE(comparison_tells_equal_from_different_and_keeps_writers_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
