/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_write_test.c - when a write, unmap, zeroing or flush is done, and who loses its place. */
#include "nexus/nexus_test_fixture.h"

#include <errno.h>

#define PLACE ((struct block_range){100, 8})

static void data_begins_at_5_mib_of_every_child_and_the_tail_is_free(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct block_range data;

	volume_create(volume, 3);
	assert_int_equal(nexus_bdev(volume->nexus)->block_count, 14336 - 34 - 10240);
	assert_int_equal(volume_write(volume, io, (struct block_range){0, 1}, 0x5a), IO_OK);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(volume_byte_below(volume, i, 0), 0x5a);
	/* A child with room: the end is exclusive, one block less than asked. */
	assert_int_equal(nexus_layout(1 << 20, 512, 64 << 20, &data), 0);
	assert_int_equal(data.count, (64 << 20) / 512 - 1);
	assert_int_equal(nexus_layout(1 << 20, 4096, 64 << 20, &data), 0);
	assert_int_equal(data.first, 1280);
	assert_int_equal(data.count, (64 << 20) / 4096 - 1);
	assert_int_equal(nexus_layout(100, 512, 101 * 512, &data), -ENOSPC);
	assert_int_equal(nexus_layout(10240 + 34, 512, 1 << 20, &data), -EINVAL);
	assert_int_equal(nexus_layout(UINT64_MAX, 512, 0, &data), -EINVAL);
	test_io_destroy(io);
	volume_end(volume);
}

static void write_is_not_answered_before_loss_is_durable(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 2);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_MEDIUM_ERROR));
	volume->recorder.is_held = true;
	volume_submit(volume, io, IO_WRITE, PLACE);
	volume_turns(volume, 500);
	assert_false(test_io_is_done(io));
	assert_true(volume_is_recorded(volume, 1));
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &io->waiter);
	assert_int_equal(io->io.status, IO_OK);
	assert_false(volume_is_recorded(volume, 1));
	assert_true(volume_is_recorded(volume, 0));
	volume_await_child(volume, 1, NEXUS_CHILD_FAULTED);
	assert_int_equal(volume_child(volume, 1)->reason, NEXUS_REASON_IO_FAILURE);
	assert_int_equal(volume_info(volume)->state, NEXUS_DEGRADED);
	test_io_destroy(io);
	volume_end(volume);
}

static void child_that_missed_a_write_is_not_read_while_that_is_recorded(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct test_io *read = test_io_create();
	int reads;

	volume_create(volume, 2);
	volume_rule(volume, 0, RULE_FAIL(IO_WRITE, IO_MEDIUM_ERROR));
	reads = volume_rule(volume, 0, RULE_COUNT_HITS(IO_READ));
	volume->recorder.is_held = true;
	memset(io->bytes, 0x33, IO_BYTES_MAX);
	volume_submit(volume, io, IO_WRITE, PLACE);
	volume_turns(volume, 500);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(volume_io(volume, read, IO_READ, PLACE), IO_OK);
		assert_int_equal(read->bytes[0], 0x33);
	}
	assert_int_equal(filter_rule_hits(volume_filter(volume, 0), reads), 0);
	assert_false(test_io_is_done(io));
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &io->waiter);
	test_io_destroy(io);
	test_io_destroy(read);
	volume_end(volume);
}

static void writes_that_missed_the_same_child_share_its_record(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *ios[8];
	uint64_t stores;

	volume_create(volume, 3);
	stores = volume->recorder.store_count;
	volume_rule(volume, 2, RULE_FAIL(IO_WRITE, IO_TIMED_OUT));
	volume->recorder.is_held = true;
	for (uint32_t i = 0; i < 8; i++) {
		ios[i] = test_io_create();
		volume_submit(volume, ios[i], IO_WRITE, (struct block_range){i * 1000 / 3, 16});
		volume_turns(volume, 50);
	}
	for (uint32_t i = 0; i < 8; i++)
		assert_false(test_io_is_done(ios[i]));
	nexus_recorder_memory_release(&volume->recorder);
	for (uint32_t i = 0; i < 8; i++) {
		fixture_wait(volume->fixture, &ios[i]->waiter);
		assert_int_equal(ios[i]->io.status, IO_OK);
		test_io_destroy(ios[i]);
	}
	assert_int_equal(volume->recorder.store_count, stores + 1);
	volume_await_child(volume, 2, NEXUS_CHILD_FAULTED);
	assert_int_equal(volume_child(volume, 2)->reason, NEXUS_REASON_TIMED_OUT);
	volume_end(volume);
}

static void two_children_lost_one_after_the_other_are_both_recorded(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *one = test_io_create();
	struct test_io *other = test_io_create();

	volume_create(volume, 3);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_MEDIUM_ERROR));
	volume->recorder.is_held = true;
	volume_submit(volume, one, IO_WRITE, PLACE);
	volume_turns(volume, 100);
	volume_rule(volume, 2, RULE_FAIL(IO_WRITE, IO_MEDIUM_ERROR));
	volume_submit(volume, other, IO_WRITE, (struct block_range){900, 8});
	volume_turns(volume, 100);
	/* The first store knows one of them only; the second write must wait for the next. */
	nexus_recorder_memory_release(&volume->recorder);
	volume->recorder.is_held = true;
	volume_turns(volume, 100);
	assert_true(test_io_is_done(one));
	assert_false(test_io_is_done(other));
	assert_false(volume_is_recorded(volume, 1));
	assert_true(volume_is_recorded(volume, 2));
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &other->waiter);
	assert_false(volume_is_recorded(volume, 2));
	assert_true(volume_is_recorded(volume, 0));
	test_io_destroy(one);
	test_io_destroy(other);
	volume_end(volume);
}

static void last_healthy_child_is_never_retired(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 2);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_DEVICE_GONE));
	assert_int_equal(volume_write(volume, io, PLACE, 1), IO_OK);
	volume_rule(volume, 0, RULE_FAIL_ONCE(IO_WRITE, IO_DEVICE_GONE));
	volume_rule(volume, 0, RULE_FAIL_ONCE(IO_READ, IO_DEVICE_GONE));
	assert_int_equal(volume_write(volume, io, PLACE, 2), IO_DEVICE_GONE);
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_DEVICE_GONE);
	assert_true(volume_is_recorded(volume, 0));
	assert_int_equal(volume_child(volume, 0)->state, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_write(volume, io, PLACE, 3), IO_OK);
	assert_int_equal(volume_action(volume, 0, NEXUS_ACTION_OFFLINE), NEXUS_ERROR_PRECONDITION);
	assert_int_equal(volume_child_call(volume, 0, nexus_child_fault_submit),
			 NEXUS_ERROR_PRECONDITION);
	assert_int_equal(volume_child_call(volume, 0, nexus_child_remove_submit),
			 NEXUS_ERROR_PRECONDITION);
	assert_int_equal(volume_write(volume, io, PLACE, 4), IO_OK);
	test_io_destroy(io);
	volume_end(volume);
}

static void all_children_no_space_retires_nobody(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int rules[3];

	volume_create(volume, 3);
	assert_int_equal(volume_write(volume, io, PLACE, 0x11), IO_OK);
	for (uint32_t i = 0; i < 3; i++)
		rules[i] = volume_rule(volume, i, RULE_FAIL(IO_WRITE, IO_NO_SPACE));
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_NO_SPACE);
	assert_int_equal(volume_info(volume)->state, NEXUS_ONLINE);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(volume_is_recorded(volume, i));
		assert_int_equal(volume_byte_below(volume, i, PLACE.first), 0x11);
		assert_int_equal(filter_rule_remove(volume_filter(volume, i), rules[i]), 0);
	}
	assert_int_equal(volume_write(volume, io, PLACE, 0x33), IO_OK);
	test_io_destroy(io);
	volume_end(volume);
}

static void no_space_on_one_child_retires_it_as_degraded(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 2);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_NO_SPACE));
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_OK);
	volume_await_child(volume, 1, NEXUS_CHILD_DEGRADED);
	assert_int_equal(volume_child(volume, 1)->reason, NEXUS_REASON_NO_SPACE);
	assert_false(volume_is_recorded(volume, 1));
	test_io_destroy(io);
	volume_end(volume);
}

static void write_that_failed_everywhere_leaves_the_children_equal(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 3);
	assert_int_equal(volume_write(volume, io, PLACE, 0x11), IO_OK);
	volume_rule(volume, 0, RULE_FAIL_ONCE(IO_WRITE, IO_MEDIUM_ERROR));
	/* These two have written it, and say they have not. */
	for (uint32_t i = 1; i < 3; i++)
		volume_rule(volume, i,
			    (struct filter_rule){.action = FILTER_FAIL_AFTER,
						 .type_mask = 1 << IO_WRITE,
						 .hits_max = 1,
						 .status = IO_MEDIUM_ERROR});
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_MEDIUM_ERROR);
	assert_int_equal(volume_info(volume)->state, NEXUS_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	assert_true(volume_is_equal(volume, 0, 2));
	test_io_destroy(io);
	volume_end(volume);
}

static void children_that_cannot_be_made_equal_lose_their_place_to_one(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 3);
	volume_rule(volume, 0, RULE_FAIL_ONCE(IO_WRITE, IO_MEDIUM_ERROR));
	for (uint32_t i = 1; i < 3; i++) {
		volume_rule(volume, i,
			    (struct filter_rule){.action = FILTER_FAIL_AFTER,
						 .type_mask = 1 << IO_WRITE,
						 .hits_max = 1,
						 .status = IO_MEDIUM_ERROR});
		volume_rule(volume, i, RULE_FAIL(IO_WRITE, IO_DEVICE_GONE));
	}
	volume->recorder.is_held = true;
	memset(io->bytes, 0x22, IO_BYTES_MAX);
	volume_submit(volume, io, IO_WRITE, PLACE);
	volume_turns(volume, 500);
	assert_false(test_io_is_done(io)); /* also the error waits for the record */
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &io->waiter);
	assert_int_equal(io->io.status, IO_MEDIUM_ERROR);
	assert_true(volume_is_recorded(volume, 0));
	assert_false(volume_is_recorded(volume, 1));
	assert_false(volume_is_recorded(volume, 2));
	test_io_destroy(io);
	volume_end(volume);
}

static void flush_reaches_every_child(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int rules[3];

	volume_create(volume, 3);
	for (uint32_t i = 0; i < 3; i++)
		rules[i] = volume_rule(volume, i, RULE_COUNT_HITS(IO_FLUSH));
	assert_int_equal(volume_io(volume, io, IO_FLUSH, (struct block_range){0, 0}), IO_OK);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(filter_rule_hits(volume_filter(volume, i), rules[i]), 1);
	/* A child that could not flush may lose what was answered: it loses its place. */
	volume_rule(volume, 2, RULE_FAIL(IO_FLUSH, IO_MEDIUM_ERROR));
	filter_rule_remove(volume_filter(volume, 2), rules[2]);
	volume->recorder.is_held = true;
	volume_submit(volume, io, IO_FLUSH, (struct block_range){0, 0});
	volume_turns(volume, 200);
	assert_false(test_io_is_done(io));
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &io->waiter);
	assert_int_equal(io->io.status, IO_OK);
	assert_false(volume_is_recorded(volume, 2));
	test_io_destroy(io);
	volume_end(volume);
}

static void unmapped_and_zeroed_blocks_read_as_zeroes_on_every_child(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 2);
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_OK);
	assert_int_equal(volume_io(volume, io, IO_UNMAP, (struct block_range){100, 4}), IO_OK);
	assert_int_equal(volume_io(volume, io, IO_WRITE_ZEROES, (struct block_range){104, 2}),
			 IO_OK);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(volume_byte_below(volume, i, 100), 0);
		assert_int_equal(volume_byte_below(volume, i, 105), 0);
		assert_int_equal(volume_byte_below(volume, i, 106), 0x22);
	}
	/* A whole volume at once, with a child that misses it. */
	volume_rule(volume, 1, RULE_FAIL(IO_UNMAP, IO_MEDIUM_ERROR));
	assert_int_equal(volume_io(volume, io, IO_UNMAP,
				   (struct block_range){0, volume->nexus->block_count}),
			 IO_OK);
	assert_false(volume_is_recorded(volume, 1));
	test_io_destroy(io);
	volume_end(volume);
}

static void overlapping_writes_reach_all_children_in_one_order(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *one = test_io_create();
	struct test_io *other = test_io_create();
	struct test_io *apart = test_io_create();
	int held;

	volume_create(volume, 2);
	held = volume_rule(volume, 0, RULE_HOLD(IO_WRITE));
	memset(one->bytes, 0x11, IO_BYTES_MAX);
	memset(other->bytes, 0x22, IO_BYTES_MAX);
	volume_submit(volume, one, IO_WRITE, (struct block_range){100, 8});
	volume_submit(volume, other, IO_WRITE, (struct block_range){104, 8});
	volume_turns(volume, 100);
	assert_int_equal(volume_byte_below(volume, 1, 104), 0x11);
	filter_rule_remove(volume_filter(volume, 0), held);
	/* One that only lies near goes through. */
	assert_int_equal(volume_write(volume, apart, (struct block_range){112, 8}, 0x44), IO_OK);
	filter_release(volume_filter(volume, 0));
	fixture_wait(volume->fixture, &one->waiter);
	fixture_wait(volume->fixture, &other->waiter);
	assert_int_equal(volume_byte_below(volume, 0, 104), 0x22);
	assert_int_equal(volume_byte_below(volume, 1, 104), 0x22);
	test_io_destroy(one);
	test_io_destroy(other);
	test_io_destroy(apart);
	volume_end(volume);
}

static void paused_nexus_holds_io(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct test_io *read = test_io_create();

	volume_create(volume, 2);
	assert_int_equal(volume_call(volume, nexus_pause_submit), NEXUS_DONE);
	assert_int_equal(volume_call(volume, nexus_pause_submit), NEXUS_DONE);
	volume_submit(volume, io, IO_WRITE, PLACE);
	volume_submit(volume, read, IO_READ, PLACE);
	assert_int_equal(volume_call(volume, nexus_resume_submit), NEXUS_DONE);
	volume_turns(volume, 100);
	assert_false(test_io_is_done(io));
	assert_false(test_io_is_done(read));
	assert_int_equal(volume_info(volume)->io_waiting, 2);
	assert_int_equal(volume_call(volume, nexus_resume_submit), NEXUS_DONE);
	fixture_wait(volume->fixture, &io->waiter);
	fixture_wait(volume->fixture, &read->waiter);
	assert_int_equal(io->io.status, IO_OK);
	assert_int_equal(volume_call(volume, nexus_resume_submit), NEXUS_ERROR_PRECONDITION);
	test_io_destroy(io);
	test_io_destroy(read);
	volume_end(volume);
}

static void pause_waits_for_io_in_work(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct nexus_request request = {0};
	struct waiter waiter;
	int held;

	volume_create(volume, 2);
	held = volume_rule(volume, 1, RULE_HOLD(IO_WRITE));
	volume_submit(volume, io, IO_WRITE, PLACE);
	volume_turns(volume, 50);
	waiter_init(&waiter, volume->fixture->main);
	request.parent = &waiter.op;
	op_wait(&waiter.op);
	nexus_pause_submit(volume->nexus, &request);
	volume_turns(volume, 100);
	assert_int_equal(waiter.op.pending, 1);
	filter_rule_remove(volume_filter(volume, 1), held);
	filter_release(volume_filter(volume, 1));
	fixture_wait(volume->fixture, &waiter);
	assert_true(test_io_is_done(io));
	assert_int_equal(volume_call(volume, nexus_resume_submit), NEXUS_DONE);
	test_io_destroy(io);
	volume_end(volume);
}

static void more_io_than_slots_waits_in_line(void **state)
{
	struct volume *volume = volume_begin(state);
	uint32_t count = NEXUS_IO_MAX + 100;
	struct test_io **ios = memory_alloc_array(count, sizeof(*ios));
	int held;

	volume_create(volume, 2);
	held = volume_rule(volume, 1, RULE_HOLD(IO_WRITE));
	for (uint32_t i = 0; i < count; i++) {
		ios[i] = test_io_create();
		volume_submit(volume, ios[i], IO_WRITE, (struct block_range){i * 4, 4});
	}
	volume_turns(volume, 50);
	assert_int_equal(volume_info(volume)->io_waiting, 100);
	filter_rule_remove(volume_filter(volume, 1), held);
	filter_release(volume_filter(volume, 1));
	for (uint32_t i = 0; i < count; i++) {
		fixture_wait(volume->fixture, &ios[i]->waiter);
		assert_int_equal(ios[i]->io.status, IO_OK);
		test_io_destroy(ios[i]);
	}
	memory_free(ios);
	volume_end(volume);
}

static void write_fails_when_the_store_stays_away_and_goes_on_after(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct test_io *read = test_io_create();

	volume->record_wait_ns = 150000000;
	volume_create(volume, 2);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_MEDIUM_ERROR));
	volume->recorder.answer = NEXUS_RECORD_FAILED;
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_NOT_RECORDED);
	assert_true(volume_info(volume)->record_waits_since_ns != 0);
	assert_true(volume->info.reason[0] != '\0');
	assert_int_equal(volume_child(volume, 1)->state, NEXUS_CHILD_UNKNOWN);
	assert_int_equal(volume_io(volume, read, IO_READ, PLACE), IO_OK);
	volume_submit(volume, io, IO_WRITE, PLACE);
	volume_turns(volume, 20);
	volume->recorder.answer = NEXUS_RECORD_OK;
	fixture_wait(volume->fixture, &io->waiter);
	volume_await_child(volume, 1, NEXUS_CHILD_FAULTED);
	assert_int_equal(volume_info(volume)->record_waits_since_ns, 0);
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_OK);
	assert_false(volume_is_recorded(volume, 1));
	test_io_destroy(io);
	test_io_destroy(read);
	volume_end(volume);
}

static void nexus_stops_itself_when_the_store_has_a_newer_owner(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 2);
	volume->recorder.records[0].epoch = 2;
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_MEDIUM_ERROR));
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_NOT_READY);
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_NOT_READY);
	assert_true(volume_info(volume)->is_fenced);
	assert_int_equal(volume->info.state, NEXUS_SHUTDOWN);
	volume->request = (struct nexus_request){.uri = volume_uri(volume, 3)};
	assert_int_equal(volume_call(volume, nexus_child_add_submit), NEXUS_ERROR_PRECONDITION);
	volume_destroy(volume);
	assert_int_equal(volume_record(volume)->epoch, 2);
	test_io_destroy(io);
	volume_end(volume);
}

static void nexus_stops_itself_on_a_reservation_conflict_and_blames_no_child(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 2);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_RESERVATION_CONFLICT));
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_NOT_READY);
	assert_true(volume_info(volume)->is_fenced);
	assert_true(volume_is_recorded(volume, 1));
	volume_destroy(volume);
	assert_false(volume_record(volume)->is_clean_shutdown);
	test_io_destroy(io);
	volume_end(volume);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(data_begins_at_5_mib_of_every_child_and_the_tail_is_free),
		RULE(write_is_not_answered_before_loss_is_durable),
		RULE(child_that_missed_a_write_is_not_read_while_that_is_recorded),
		RULE(writes_that_missed_the_same_child_share_its_record),
		RULE(two_children_lost_one_after_the_other_are_both_recorded),
		RULE(last_healthy_child_is_never_retired),
		RULE(all_children_no_space_retires_nobody),
		RULE(no_space_on_one_child_retires_it_as_degraded),
		RULE(write_that_failed_everywhere_leaves_the_children_equal),
		RULE(children_that_cannot_be_made_equal_lose_their_place_to_one),
		RULE(flush_reaches_every_child),
		RULE(unmapped_and_zeroed_blocks_read_as_zeroes_on_every_child),
		RULE(overlapping_writes_reach_all_children_in_one_order),
		RULE(paused_nexus_holds_io),
		RULE(pause_waits_for_io_in_work),
		RULE(more_io_than_slots_waits_in_line),
		RULE(write_fails_when_the_store_stays_away_and_goes_on_after),
		RULE(nexus_stops_itself_when_the_store_has_a_newer_owner),
		RULE(nexus_stops_itself_on_a_reservation_conflict_and_blames_no_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
