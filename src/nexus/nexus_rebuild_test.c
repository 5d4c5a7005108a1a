/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_rebuild_test.c - children that come level, with hosts reading and writing meanwhile. */
#include "nexus/nexus_test_fixture.h"

#define PLACE	       ((struct block_range){100, 8})
#define SEGMENT_BLOCKS (REBUILD_SEGMENT_BYTES / 512)
#define ALL(volume)    ((struct block_range){0, (volume)->nexus->block_count})

static void volume_add(struct volume *volume, uint32_t index, bool is_norebuild)
{
	volume->request = (struct nexus_request){.is_norebuild = is_norebuild};
	if (volume_child_call(volume, index, nexus_child_add_submit) != NEXUS_DONE)
		fail_msg("%s", volume->request.error);
}

static struct nexus_history_entry *volume_history(struct volume *volume, uint32_t *ret_count)
{
	struct nexus_history_entry *entries =
		memory_alloc_array(NEXUS_HISTORY_MAX, sizeof(*entries));

	volume->request =
		(struct nexus_request){.history = entries, .history_capacity = NEXUS_HISTORY_MAX};
	assert_int_equal(volume_call(volume, nexus_history_submit), NEXUS_DONE);
	*ret_count = volume->request.history_count;
	return entries;
}

static void added_child_becomes_equal_recorded_and_readable(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct nexus_history_entry *history;
	uint32_t count;

	volume_create(volume, 1);
	volume_write_below(volume, 0, ALL(volume), 0x5a);
	volume_write_below(volume, 1, ALL(volume), 0xee);
	volume_add(volume, 1, false);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	assert_true(volume_is_recorded(volume, 1));
	assert_int_equal(volume_info(volume)->state, NEXUS_ONLINE);
	history = volume_history(volume, &count);
	assert_int_equal(count, 1);
	assert_int_equal(history[0].stats.state, REBUILD_COMPLETED);
	assert_false(history[0].stats.is_partial);
	assert_int_equal(history[0].stats.blocks_transferred, volume->nexus->block_count);
	assert_string_equal(history[0].child_uri, volume_uri(volume, 1));
	assert_string_equal(history[0].source_uri, volume_uri(volume, 0));
	memory_free(history);
	/* Now it carries the volume alone. */
	assert_int_equal(volume_action(volume, 0, NEXUS_ACTION_OFFLINE), NEXUS_DONE);
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	assert_int_equal(io->bytes[0], 0x5a);
	test_io_destroy(io);
	volume_end(volume);
}

static void read_never_goes_to_a_child_that_is_not_in_sync(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int held, reads;

	volume_create(volume, 1);
	volume_write_below(volume, 0, ALL(volume), 0x5a);
	volume_add(volume, 1, true);
	reads = volume_rule(volume, 1, RULE_COUNT_HITS(IO_READ));
	/* The one in sync is slow, so that the other one would be the better choice. */
	volume_rule(volume, 0,
		    (struct filter_rule){.action = FILTER_DELAY,
					 .type_mask = 1 << IO_READ,
					 .range = {10240 + PLACE.first, PLACE.count},
					 .delay_ns = 10000});
	for (int i = 0; i < 200; i++)
		assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	held = volume_rule(volume, 1, RULE_HOLD(IO_WRITE));
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_start_submit), NEXUS_DONE);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
		assert_int_equal(io->bytes[0], 0x5a);
	}
	assert_int_equal(filter_rule_hits(volume_filter(volume, 1), reads), 0);
	/* Copied, but its good news is not durable yet. */
	volume->recorder.is_held = true;
	filter_rule_remove(volume_filter(volume, 1), held);
	filter_release(volume_filter(volume, 1));
	volume_turns(volume, 3000);
	assert_int_equal(volume_info(volume)->rebuild_count, 0);
	for (int i = 0; i < 200; i++)
		assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	assert_int_equal(filter_rule_hits(volume_filter(volume, 1), reads), 0);
	nexus_recorder_memory_release(&volume->recorder);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	test_io_destroy(io);
	volume_end(volume);
}

static void write_that_misses_a_child_whose_good_news_is_on_its_way_waits_for_the_bad(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct test_io *later = test_io_create();

	volume_create(volume, 1);
	volume_write_below(volume, 0, ALL(volume), 0x5a);
	volume_add(volume, 1, true);
	volume->recorder.is_held = true;
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_start_submit), NEXUS_DONE);
	volume_turns(volume, 3000);
	assert_int_equal(volume_info(volume)->rebuild_count, 0);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_MEDIUM_ERROR));
	volume_submit(volume, io, IO_WRITE, PLACE);
	volume_turns(volume, 100);
	assert_false(test_io_is_done(io));
	/* The good news arrives, which is wrong by now. */
	nexus_recorder_memory_release(&volume->recorder);
	volume->recorder.is_held = true;
	volume_turns(volume, 300);
	assert_true(volume_is_recorded(volume, 1));
	assert_false(test_io_is_done(io));
	/* One that begins only now has missed that child as well. */
	volume_submit(volume, later, IO_WRITE, (struct block_range){2000, 8});
	volume_turns(volume, 100);
	assert_false(test_io_is_done(later));
	assert_int_equal(volume_child(volume, 0)->state, NEXUS_CHILD_ONLINE);
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &io->waiter);
	fixture_wait(volume->fixture, &later->waiter);
	assert_int_equal(io->io.status, IO_OK);
	assert_int_equal(later->io.status, IO_OK);
	assert_false(volume_is_recorded(volume, 1));
	test_io_destroy(io);
	test_io_destroy(later);
	volume_end(volume);
}

static void rebuild_and_write_never_leave_older_data(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int held;

	volume_create(volume, 1);
	volume_write_below(volume, 0, ALL(volume), 0x01);
	volume_add(volume, 1, true);
	/* Copies have read the old data, and are about to write it. */
	held = volume_rule(volume, 1, RULE_HOLD(IO_WRITE));
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_start_submit), NEXUS_DONE);
	volume_turns(volume, 200);
	memset(io->bytes, 0x02, IO_BYTES_MAX);
	volume_submit(volume, io, IO_WRITE, PLACE);
	volume_turns(volume, 200);
	assert_false(test_io_is_done(io));
	filter_rule_remove(volume_filter(volume, 1), held);
	filter_release(volume_filter(volume, 1));
	fixture_wait(volume->fixture, &io->waiter);
	assert_int_equal(io->io.status, IO_OK);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_byte_below(volume, 1, PLACE.first), 0x02);
	assert_true(volume_is_equal(volume, 0, 1));
	test_io_destroy(io);
	volume_end(volume);
}

static void child_that_comes_back_is_copied_what_it_missed_and_no_more(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct nexus_history_entry *history;
	uint32_t count;

	volume_create(volume, 2);
	assert_int_equal(volume_write(volume, io, (struct block_range){0, 256}, 0x11), IO_OK);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_TIMED_OUT));
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_OK);
	volume_await_child(volume, 1, NEXUS_CHILD_FAULTED);
	assert_true(volume_child(volume, 1)->has_map);
	assert_int_equal(volume_write(volume, io, (struct block_range){1000, 8}, 0x33), IO_OK);
	assert_int_equal(volume_io(volume, io, IO_WRITE_ZEROES, (struct block_range){2000, 600}),
			 IO_OK);
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	history = volume_history(volume, &count);
	assert_int_equal(count, 1);
	assert_true(history[0].stats.is_partial);
	/* Segments 0, 3 and 7 to 10. */
	assert_int_equal(history[0].stats.blocks_transferred, 6 * SEGMENT_BLOCKS);
	memory_free(history);
	assert_true(volume_is_recorded(volume, 1));
	test_io_destroy(io);
	volume_end(volume);
}

static void what_a_volatile_cache_may_have_lost_is_copied_too(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct nexus_history_entry *history;
	uint32_t count;

	for (uint32_t i = 0; i < 2; i++)
		volume->disks[i]->has_volatile_cache = true;
	volume_create(volume, 2);
	assert_true(nexus_bdev(volume->nexus)->has_volatile_cache);
	assert_int_equal(volume_write(volume, io, (struct block_range){0, 8}, 0x11), IO_OK);
	assert_int_equal(volume_io(volume, io, IO_FLUSH, (struct block_range){0, 0}), IO_OK);
	assert_int_equal(volume_write(volume, io, (struct block_range){1000, 8}, 0x22), IO_OK);
	/* Power is lost: what was not flushed is gone on child 1. */
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_FAULT_IO_ERROR), NEXUS_DONE);
	volume_write_below(volume, 1, (struct block_range){1000, 8}, 0x00);
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	history = volume_history(volume, &count);
	assert_int_equal(history[0].stats.blocks_transferred, SEGMENT_BLOCKS);
	memory_free(history);
	test_io_destroy(io);
	volume_end(volume);
}

static void another_device_behind_the_uri_is_copied_whole(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct nexus_history_entry *history;
	struct bdev *swapped;
	uint32_t count;

	volume_create(volume, 2);
	assert_int_equal(volume_write(volume, io, PLACE, 0x22), IO_OK);
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_OFFLINE), NEXUS_DONE);
	assert_int_equal(volume_child(volume, 1)->state, NEXUS_CHILD_DEGRADED);
	assert_int_equal(volume_child(volume, 1)->reason, NEXUS_REASON_BY_CLIENT);
	/* Same name, another uuid: the device is somebody else. */
	swapped = fixture_create(volume->fixture,
				 "filter:///f1?lower=m1&uuid=00000000-0000-4000-8000-000000000099");
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_ERROR_INTERNAL);
	fixture_destroy(volume->fixture, swapped);
	volume->nexus->children[1].device_uuid.bytes[0] ^= 1;
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	history = volume_history(volume, &count);
	assert_false(history[0].stats.is_partial);
	assert_int_equal(history[0].stats.blocks_transferred, volume->nexus->block_count);
	memory_free(history);
	test_io_destroy(io);
	volume_end(volume);
}

static void write_that_misses_the_target_ends_its_rebuild_without_a_record(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	uint64_t stores;
	int held;

	volume_create(volume, 2);
	volume_write_below(volume, 0, ALL(volume), 0x01);
	volume_write_below(volume, 1, ALL(volume), 0x01);
	volume_add(volume, 2, true);
	held = volume_rule(volume, 2,
			   (struct filter_rule){.action = FILTER_HOLD,
						.type_mask = 1 << IO_WRITE,
						.range = {10240 + 1024, 3000}});
	volume_rule(volume, 2,
		    (struct filter_rule){.action = FILTER_FAIL,
					 .type_mask = 1 << IO_WRITE,
					 .range = {10240 + 100, 8},
					 .skip_hits = 1,
					 .status = IO_MEDIUM_ERROR});
	assert_int_equal(volume_child_call(volume, 2, nexus_rebuild_start_submit), NEXUS_DONE);
	volume_turns(volume, 300);
	stores = volume->recorder.store_count;
	/* Its range is copied already. */
	assert_int_equal(volume_write(volume, io, PLACE, 0x77), IO_OK);
	assert_int_equal(volume->recorder.store_count, stores);
	filter_rule_remove(volume_filter(volume, 2), held);
	filter_release(volume_filter(volume, 2));
	volume_await_child(volume, 2, NEXUS_CHILD_FAULTED);
	assert_int_equal(volume_child(volume, 2)->reason, NEXUS_REASON_REBUILD_FAILED);
	assert_false(volume_is_recorded(volume, 2));
	assert_int_equal(volume_action(volume, 2, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 2, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 2));
	test_io_destroy(io);
	volume_end(volume);
}

static void rebuild_goes_on_from_another_source(void **state)
{
	struct volume *volume = volume_begin(state);
	int held;

	volume_create(volume, 2);
	volume_write_below(volume, 0, ALL(volume), 0x5a);
	volume_write_below(volume, 1, ALL(volume), 0x5a);
	volume_rule(volume, 0,
		    (struct filter_rule){.action = FILTER_FAIL,
					 .type_mask = 1 << IO_READ,
					 .range = {10240 + 1500, 1},
					 .status = IO_MEDIUM_ERROR});
	volume_add(volume, 2, false);
	volume_await_child(volume, 2, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 2));
	/* And when the source is taken away. */
	volume_write_below(volume, 3, ALL(volume), 0xee);
	volume_add(volume, 3, true);
	held = volume_rule(volume, 3, RULE_HOLD(IO_WRITE));
	assert_int_equal(volume_child_call(volume, 3, nexus_rebuild_start_submit), NEXUS_DONE);
	volume_turns(volume, 100);
	volume->request.uri = volume_uri(volume, 0);
	filter_rule_remove(volume_filter(volume, 3), held);
	filter_release(volume_filter(volume, 3));
	assert_int_equal(volume_child_call(volume, 0, nexus_child_remove_submit), NEXUS_DONE);
	volume_await_child(volume, 3, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 1, 3));
	volume_end(volume);
}

static void rebuild_without_any_readable_source_fails_and_blames_no_source(void **state)
{
	struct volume *volume = volume_begin(state);

	volume_create(volume, 1);
	volume_rule(volume, 0,
		    (struct filter_rule){.action = FILTER_FAIL,
					 .type_mask = 1 << IO_READ,
					 .range = {10240 + 1500, 1},
					 .status = IO_MEDIUM_ERROR});
	volume_add(volume, 1, false);
	volume_await_child(volume, 1, NEXUS_CHILD_FAULTED);
	assert_int_equal(volume_child(volume, 1)->reason, NEXUS_REASON_REBUILD_FAILED);
	assert_int_equal(volume_child(volume, 0)->state, NEXUS_CHILD_ONLINE);
	/* What was copied is not copied again. */
	assert_true(volume_child(volume, 1)->has_map);
	volume_end(volume);
}

static void rebuild_can_be_paused_resumed_stopped_and_started(void **state)
{
	struct volume *volume = volume_begin(state);
	struct rebuild_stats stats;
	int held;

	volume_create(volume, 1);
	volume_write_below(volume, 0, ALL(volume), 0x5a);
	volume_add(volume, 1, true);
	assert_int_equal(volume_child(volume, 1)->state, NEXUS_CHILD_DEGRADED);
	assert_int_equal(volume_child(volume, 1)->rebuild_progress, -1);
	volume->request = (struct nexus_request){.stats = &stats};
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_pause_submit),
			 NEXUS_ERROR_NOT_FOUND);
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_stats_submit),
			 NEXUS_ERROR_NOT_FOUND);
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_stop_submit), NEXUS_DONE);
	assert_int_equal(volume_child_call(volume, 0, nexus_rebuild_start_submit),
			 NEXUS_ERROR_INTERNAL);
	held = volume_rule(volume, 1,
			   (struct filter_rule){.action = FILTER_HOLD,
						.type_mask = 1 << IO_WRITE,
						.range = {10240 + 1024, 1}});
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_start_submit), NEXUS_DONE);
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_start_submit),
			 NEXUS_ERROR_INTERNAL);
	volume_turns(volume, 100);
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_resume_submit),
			 NEXUS_ERROR_INTERNAL);
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_pause_submit), NEXUS_DONE);
	filter_rule_remove(volume_filter(volume, 1), held);
	filter_release(volume_filter(volume, 1));
	volume_turns(volume, 200);
	/* All segments fit into what was in flight: it may be over, or rest. */
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_stop_submit), NEXUS_DONE);
	volume_turns(volume, 200);
	if (volume_child(volume, 1)->state == NEXUS_CHILD_DEGRADED)
		assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_start_submit),
				 NEXUS_DONE);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	volume_end(volume);
}

static void unmap_during_a_rebuild_gives_what_it_gives_without(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int held;

	volume_create(volume, 1);
	volume_write_below(volume, 0, ALL(volume), 0x5a);
	volume_write_below(volume, 1, ALL(volume), 0xee);
	volume_add(volume, 1, true);
	held = volume_rule(volume, 1, RULE_HOLD(IO_WRITE));
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_start_submit), NEXUS_DONE);
	volume_turns(volume, 100);
	volume_submit(volume, io, IO_UNMAP, (struct block_range){200, 3000});
	volume_turns(volume, 100);
	filter_rule_remove(volume_filter(volume, 1), held);
	filter_release(volume_filter(volume, 1));
	fixture_wait(volume->fixture, &io->waiter);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_byte_below(volume, 1, 199), 0x5a);
	assert_int_equal(volume_byte_below(volume, 1, 200), 0);
	assert_true(volume_is_equal(volume, 0, 1));
	test_io_destroy(io);
	volume_end(volume);
}

static void write_that_fails_on_all_in_sync_leaves_the_target_equal_too(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int held;

	volume_create(volume, 1);
	volume_write_below(volume, 0, ALL(volume), 0x5a);
	volume_add(volume, 1, true);
	held = volume_rule(volume, 1,
			   (struct filter_rule){.action = FILTER_HOLD,
						.type_mask = 1 << IO_WRITE,
						.range = {10240 + 1024, 1}});
	assert_int_equal(volume_child_call(volume, 1, nexus_rebuild_start_submit), NEXUS_DONE);
	volume_turns(volume, 200);
	/* The target takes it, the only child in sync does not. */
	volume_rule(volume, 0, RULE_FAIL_ONCE(IO_WRITE, IO_NO_SPACE));
	assert_int_equal(volume_write(volume, io, PLACE, 0x77), IO_NO_SPACE);
	filter_rule_remove(volume_filter(volume, 1), held);
	filter_release(volume_filter(volume, 1));
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	test_io_destroy(io);
	volume_end(volume);
}

static void removed_device_leaves_at_once_and_its_return_is_partial(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume_create(volume, 2);
	bdev_notify(volume_filter(volume, 1), BDEV_REMOVED);
	volume_await_child(volume, 1, NEXUS_CHILD_FAULTED);
	assert_null(volume_filter(volume, 1));
	assert_int_equal(volume_write(volume, io, PLACE, 0x44), IO_OK);
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	test_io_destroy(io);
	volume_end(volume);
}

static void interrupted_child_leaves_and_gets_back_what_its_cache_may_have_lost(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	/* Answered and not flushed: the machine of the child loses power, and it is gone. */
	for (uint32_t i = 0; i < 2; i++)
		volume->disks[i]->has_volatile_cache = true;
	volume_create(volume, 2);
	assert_int_equal(volume_write(volume, io, PLACE, 0x44), IO_OK);
	volume_write_below(volume, 1, PLACE, 0x00);
	bdev_notify(volume_filter(volume, 1), BDEV_INTERRUPTED);
	volume_await_child(volume, 1, NEXUS_CHILD_FAULTED);
	assert_false(volume_is_recorded(volume, 1));
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	/* The last one stays, whatever its connection does. */
	assert_int_equal(volume_child_call(volume, 1, nexus_child_remove_submit), NEXUS_DONE);
	bdev_notify(volume_filter(volume, 0), BDEV_INTERRUPTED);
	volume_turns(volume, 100);
	assert_int_equal(volume_child(volume, 0)->state, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	test_io_destroy(io);
	volume_end(volume);
}

/* The copy is under way: its source holds four reads, and has failed the fifth. */
static int rebuild_with_a_failed_source(struct volume *volume)
{
	int held;

	volume_create(volume, 2);
	volume->request = (struct nexus_request){.is_norebuild = true};
	assert_int_equal(volume_child_call(volume, 2, nexus_child_add_submit), NEXUS_DONE);
	volume->request.is_norebuild = false;
	held = volume_rule(volume, 0,
			   (struct filter_rule){.action = FILTER_HOLD,
						.type_mask = 1u << IO_READ,
						.hits_max = 4});
	volume_rule(volume, 0, RULE_FAIL_ONCE(IO_READ, IO_MEDIUM_ERROR));
	assert_int_equal(volume_child_call(volume, 2, nexus_rebuild_start_submit), NEXUS_DONE);
	volume_turns(volume, 50);
	return held;
}

static void stopped_rebuild_does_not_begin_anew_with_another_source(void **state)
{
	void (*const ends[])(struct nexus *, struct nexus_request *) = {
		nexus_rebuild_stop_submit, nexus_child_fault_submit, nexus_child_remove_submit};

	for (uint32_t i = 0; i < 3; i++) {
		struct volume *volume = volume_begin(state);
		int held = rebuild_with_a_failed_source(volume);
		struct waiter waiter;

		waiter_init(&waiter, volume->fixture->main);
		volume->request.parent = &waiter.op;
		op_wait(&waiter.op);
		ends[i](volume->nexus, &volume->request);
		volume_turns(volume, 20);
		filter_rule_remove(volume_filter(volume, 0), held);
		filter_release(volume_filter(volume, 0));
		fixture_wait(volume->fixture, &waiter);
		assert_int_equal(volume->request.result, NEXUS_DONE);
		assert_int_equal(volume_info(volume)->rebuild_count, 0);
		if (i == 0)
			assert_int_equal(volume_child(volume, 2)->state, NEXUS_CHILD_DEGRADED);
		volume_end(volume);
	}
}

/* Main is told that a device went while its nexus is on the way out, home hears of it late. */
static void device_that_goes_while_its_nexus_is_destroyed_is_no_surprise(void **state)
{
	for (int moment = 0; moment < 12; moment++) {
		struct volume *volume = volume_begin(state);
		struct waiter waiter;

		volume_create(volume, 2);
		bdev_channel_close(volume->channel);
		volume->request = (struct nexus_request){.parent = &waiter.op};
		waiter_init(&waiter, volume->fixture->main);
		op_wait(&waiter.op);
		nexus_destroy_submit(volume->nexus, &volume->request);
		for (int i = 0; i < moment; i++) {
			reactor_turn(volume->fixture->main, false);
			reactor_turn(volume->home, false);
		}
		if (volume_filter(volume, 1) != NULL)
			bdev_notify(volume_filter(volume, 1), BDEV_REMOVED);
		/* Home is slow. */
		for (int i = 0; i < 4; i++)
			reactor_turn(volume->fixture->main, false);
		fixture_wait(volume->fixture, &waiter);
		assert_int_equal(volume->request.result, NEXUS_DONE);
		volume->nexus = NULL;
		volume_end(volume);
	}
}

static void last_child_whose_device_went_returns_without_a_rebuild(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct nexus_history_entry *history;
	uint32_t count;

	volume_create(volume, 1);
	assert_int_equal(volume_write(volume, io, PLACE, 0x44), IO_OK);
	bdev_notify(volume_filter(volume, 0), BDEV_REMOVED);
	volume_await_child(volume, 0, NEXUS_CHILD_FAULTED);
	assert_int_equal(volume_info(volume)->state, NEXUS_FAULTED);
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_DEVICE_GONE);
	assert_int_equal(volume_write(volume, io, PLACE, 0x45), IO_DEVICE_GONE);
	volume_turns(volume, 100);
	assert_true(volume_is_recorded(volume, 0));
	assert_int_equal(volume_action(volume, 0, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	assert_int_equal(volume_info(volume)->state, NEXUS_ONLINE);
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_OK);
	assert_int_equal(io->bytes[0], 0x44);
	history = volume_history(volume, &count);
	assert_int_equal(count, 0);
	memory_free(history);
	test_io_destroy(io);
	volume_end(volume);
}

static void gone_child_that_another_one_replaced_is_rebuilt_when_it_is_back(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int held;

	volume_create(volume, 1);
	assert_int_equal(volume_write(volume, io, PLACE, 0x44), IO_OK);
	held = volume_rule(volume, 0, RULE_HOLD(IO_READ));
	assert_int_equal(volume_child_call(volume, 1, nexus_child_add_submit), NEXUS_DONE);
	volume->recorder.is_held = true;
	filter_rule_remove(volume_filter(volume, 0), held);
	filter_release(volume_filter(volume, 0));
	while (list_is_empty(&volume->recorder.held))
		volume_turns(volume, 1);
	/* The other one is complete, but not by the record: the last healthy child goes. */
	bdev_notify(volume_filter(volume, 0), BDEV_REMOVED);
	volume_await_child(volume, 0, NEXUS_CHILD_FAULTED);
	nexus_recorder_memory_release(&volume->recorder);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_action(volume, 0, NEXUS_ACTION_OFFLINE), NEXUS_DONE);
	assert_false(volume_is_recorded(volume, 0));
	assert_int_equal(volume_write(volume, io, PLACE, 0x45), IO_OK);
	assert_int_equal(volume_action(volume, 0, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 0, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_byte_below(volume, 0, PLACE.first), 0x45);
	assert_true(volume_is_equal(volume, 0, 1));
	test_io_destroy(io);
	volume_end(volume);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(added_child_becomes_equal_recorded_and_readable),
		RULE(read_never_goes_to_a_child_that_is_not_in_sync),
		RULE(write_that_misses_a_child_whose_good_news_is_on_its_way_waits_for_the_bad),
		RULE(rebuild_and_write_never_leave_older_data),
		RULE(child_that_comes_back_is_copied_what_it_missed_and_no_more),
		RULE(what_a_volatile_cache_may_have_lost_is_copied_too),
		RULE(another_device_behind_the_uri_is_copied_whole),
		RULE(write_that_misses_the_target_ends_its_rebuild_without_a_record),
		RULE(rebuild_goes_on_from_another_source),
		RULE(rebuild_without_any_readable_source_fails_and_blames_no_source),
		RULE(rebuild_can_be_paused_resumed_stopped_and_started),
		RULE(unmap_during_a_rebuild_gives_what_it_gives_without),
		RULE(write_that_fails_on_all_in_sync_leaves_the_target_equal_too),
		RULE(interrupted_child_leaves_and_gets_back_what_its_cache_may_have_lost),
		RULE(removed_device_leaves_at_once_and_its_return_is_partial),
		RULE(stopped_rebuild_does_not_begin_anew_with_another_source),
		RULE(device_that_goes_while_its_nexus_is_destroyed_is_no_surprise),
		RULE(last_child_whose_device_went_returns_without_a_rebuild),
		RULE(gone_child_that_another_one_replaced_is_rebuilt_when_it_is_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
