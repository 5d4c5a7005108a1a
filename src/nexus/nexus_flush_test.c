/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_flush_test.c - before a copy is given up, those who stay hold durably what was answered. */
#include "nexus/test_cached_disk.h"

#define PLACE ((struct block_range){100, 8})
#define HOLD_A_FLUSH \
	((struct filter_rule){.action = FILTER_HOLD, .type_mask = 1u << IO_FLUSH, .hits_max = 1})

/* Time goes by with every look at the clock: it ends when the test's turns say so. */
static uint64_t test_time_ns = 1000000000;

uint64_t __wrap_os_clock_now_ns(struct os *os);

uint64_t __wrap_os_clock_now_ns(struct os *os)
{
	(void)os;
	test_time_ns += 1000;
	return test_time_ns;
}

struct cluster {
	struct volume *volume;
	struct cached_disk disks[3];
	struct test_io *io;
};

static struct cluster *cluster_begin(void **state, uint32_t child_count, uint64_t record_wait_ns)
{
	struct cluster *cluster = memory_alloc(sizeof(*cluster));

	assert_non_null(cluster);
	cluster->volume = volume_begin(state);
	cluster->volume->record_wait_ns = record_wait_ns;
	cluster->io = test_io_create();
	for (uint32_t i = 0; i < 3; i++)
		cached_disk_init(&cluster->disks[i], cluster->volume, i);
	volume_create(cluster->volume, child_count);
	return cluster;
}

static void cluster_end(struct cluster *cluster)
{
	struct volume *volume = cluster->volume;

	if (volume->nexus != NULL)
		volume_destroy(volume);
	for (uint32_t i = 0; i < 3; i++)
		cached_disk_deinit(&cluster->disks[i]);
	test_io_destroy(cluster->io);
	volume_end(volume);
	memory_free(cluster);
}

static void volume_await_unrecorded(struct volume *volume, uint32_t index)
{
	for (int i = 0; i < 200000 && volume_is_recorded(volume, index); i++)
		volume_turns(volume, 10);
	assert_false(volume_is_recorded(volume, index));
}

/* A link breaks, then the only machine left loses its power: two faults, and nothing is lost. */
static void what_was_answered_survives_a_broken_link_and_then_the_power_of_the_last(void **state)
{
	struct cluster *cluster = cluster_begin(state, 2, 0);
	struct volume *volume = cluster->volume;

	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	bdev_notify(volume_filter(volume, 1), BDEV_INTERRUPTED);
	volume_await_unrecorded(volume, 1);
	volume_lose_power(volume, &cluster->disks[0], 0, NULL);
	assert_int_equal(volume_io(volume, cluster->io, IO_READ, PLACE), IO_OK);
	assert_int_equal(cluster->io->bytes[0], 0x44);
	cluster_end(cluster);
}

static void loss_is_not_recorded_before_those_who_stay_are_flushed(void **state)
{
	struct cluster *cluster = cluster_begin(state, 3, 0);
	struct volume *volume = cluster->volume;

	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	volume_rule(volume, 2, HOLD_A_FLUSH);
	bdev_notify(volume_filter(volume, 1), BDEV_INTERRUPTED);
	volume_turns(volume, 500);
	assert_true(volume_is_recorded(volume, 1));
	assert_int_equal(volume_child(volume, 1)->state, NEXUS_CHILD_UNKNOWN);
	filter_release(volume_filter(volume, 2));
	volume_await_unrecorded(volume, 1);
	assert_false(cluster->disks[0].is_dirty[10240 + PLACE.first]);
	assert_false(cluster->disks[2].is_dirty[10240 + PLACE.first]);
	cluster_end(cluster);
}

/* Submitted to both, answered by both, but one is on its way out: it must not count on it. */
static void write_that_the_leaving_child_has_too_waits_for_the_record(void **state)
{
	struct cluster *cluster = cluster_begin(state, 2, 0);
	struct volume *volume = cluster->volume;
	int held = volume_rule(volume, 0, RULE_HOLD(IO_WRITE));

	memset(cluster->io->bytes, 0x44, IO_BYTES_MAX);
	volume_submit(volume, cluster->io, IO_WRITE, PLACE);
	volume_turns(volume, 100);
	assert_int_equal(volume_byte_below(volume, 1, PLACE.first), 0x44);
	volume->recorder.is_held = true;
	bdev_notify(volume_filter(volume, 1), BDEV_INTERRUPTED);
	volume_turns(volume, 100);
	assert_int_equal(filter_rule_remove(volume_filter(volume, 0), held), 0);
	filter_release(volume_filter(volume, 0));
	volume_turns(volume, 500);
	assert_false(test_io_is_done(cluster->io));
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &cluster->io->waiter);
	assert_int_equal(cluster->io->io.status, IO_OK);
	assert_false(volume_is_recorded(volume, 1));
	cluster_end(cluster);
}

static void one_that_cannot_be_flushed_leaves_too_and_the_next_is_flushed_again(void **state)
{
	struct cluster *cluster = cluster_begin(state, 3, 0);
	struct volume *volume = cluster->volume;
	int flushes;

	flushes = volume_rule(volume, 0, RULE_COUNT_HITS(IO_FLUSH));
	volume_rule(volume, 2, RULE_FAIL(IO_FLUSH, IO_MEDIUM_ERROR));
	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	bdev_notify(volume_filter(volume, 1), BDEV_INTERRUPTED);
	volume_await_unrecorded(volume, 2);
	assert_false(volume_is_recorded(volume, 1));
	assert_true(volume_is_recorded(volume, 0));
	assert_true(filter_rule_hits(volume_filter(volume, 0), flushes) >= 2);
	assert_int_equal(volume_child(volume, 2)->reason, NEXUS_REASON_IO_FAILURE);
	cluster_end(cluster);
}

static void last_one_whose_flush_fails_is_asked_again(void **state)
{
	struct cluster *cluster = cluster_begin(state, 2, 0);
	struct volume *volume = cluster->volume;
	struct filter_rule rule = RULE_FAIL(IO_FLUSH, IO_MEDIUM_ERROR);

	rule.hits_max = 2;
	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	volume_rule(volume, 0, rule);
	bdev_notify(volume_filter(volume, 1), BDEV_INTERRUPTED);
	volume_await_unrecorded(volume, 1);
	assert_true(volume_is_recorded(volume, 0));
	assert_false(cluster->disks[0].is_dirty[10240 + PLACE.first]);
	cluster_end(cluster);
}

/* A flush that never ends must not stop the volume: half of what a write waits, then it goes on. */
static void volume_goes_on_though_the_flush_of_the_last_is_stuck(void **state)
{
	struct cluster *cluster = cluster_begin(state, 2, 40000000);
	struct volume *volume = cluster->volume;

	volume_rule(volume, 0, HOLD_A_FLUSH);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_TIMED_OUT));
	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	assert_false(volume_is_recorded(volume, 1));
	assert_true(volume_is_recorded(volume, 0));
	/* It is not forgotten: who comes back finds the flush made up for. */
	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x45), IO_OK);
	filter_release(volume_filter(volume, 0));
	volume_await_child(volume, 1, NEXUS_CHILD_FAULTED);
	cluster_end(cluster);
}

static void loss_waits_while_the_device_of_the_last_is_gone(void **state)
{
	struct cluster *cluster = cluster_begin(state, 2, 4000000);
	struct volume *volume = cluster->volume;

	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	volume_rule(volume, 0, RULE_FAIL(IO_FLUSH, IO_DEVICE_GONE));
	bdev_notify(volume_filter(volume, 1), BDEV_INTERRUPTED);
	bdev_notify(volume_filter(volume, 0), BDEV_REMOVED);
	for (int i = 0; i < 1000 && volume_filter(volume, 0) != NULL; i++)
		volume_turns(volume, 10);
	assert_null(volume_filter(volume, 0));
	/* A write that fails waits for the record longer than a flush would be waited for. */
	assert_int_not_equal(volume_write(volume, cluster->io, PLACE, 0x45), IO_OK);
	assert_true(volume_is_recorded(volume, 1));
	assert_true(volume_is_recorded(volume, 0));
	assert_int_equal(volume_action(volume, 0, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_unrecorded(volume, 1);
	assert_false(cluster->disks[0].is_dirty[10240 + PLACE.first]);
	cluster_end(cluster);
}

static void child_with_such_a_flush_in_work_is_closed_after_it(void **state)
{
	struct cluster *cluster = cluster_begin(state, 3, 0);
	struct volume *volume = cluster->volume;
	struct waiter waiter;

	volume_rule(volume, 2, HOLD_A_FLUSH);
	bdev_notify(volume_filter(volume, 1), BDEV_INTERRUPTED);
	volume_turns(volume, 200);
	waiter_init(&waiter, volume->fixture->main);
	volume->request = (struct nexus_request){
		.parent = &waiter.op, .uri = volume_uri(volume, 2), .action = NEXUS_ACTION_OFFLINE};
	op_wait(&waiter.op);
	nexus_child_action_submit(volume->nexus, &volume->request);
	volume_turns(volume, 500);
	assert_int_equal(waiter.op.pending, 1);
	assert_non_null(volume_filter(volume, 2));
	/* Nobody waits for it any more but who closes it. */
	assert_false(volume_is_recorded(volume, 2));
	filter_release(volume_filter(volume, 2));
	fixture_wait(volume->fixture, &waiter);
	assert_int_equal(volume->request.result, NEXUS_DONE);
	assert_null(volume_filter(volume, 2));
	cluster_end(cluster);
}

static void nexus_that_is_destroyed_waits_for_such_a_flush(void **state)
{
	struct cluster *cluster = cluster_begin(state, 2, 0);
	struct volume *volume = cluster->volume;
	struct waiter waiter;

	volume_rule(volume, 0, HOLD_A_FLUSH);
	bdev_notify(volume_filter(volume, 1), BDEV_INTERRUPTED);
	volume_turns(volume, 200);
	bdev_channel_close(volume->channel);
	waiter_init(&waiter, volume->fixture->main);
	volume->request = (struct nexus_request){.parent = &waiter.op};
	op_wait(&waiter.op);
	nexus_destroy_submit(volume->nexus, &volume->request);
	volume_turns(volume, 500);
	assert_int_equal(waiter.op.pending, 1);
	for (int i = 0; i < 100 && waiter.op.pending > 0; i++) {
		if (volume_filter(volume, 0) != NULL)
			filter_release(volume_filter(volume, 0));
		volume_turns(volume, 100);
	}
	assert_int_equal(waiter.op.pending, 0);
	volume->nexus = NULL;
	volume->channel = NULL;
	cluster_end(cluster);
}

/* What the source lost its copy must not keep: they would differ. */
static void copy_of_a_source_that_lost_its_power_is_made_again(void **state)
{
	struct cluster *cluster = cluster_begin(state, 1, 0);
	struct volume *volume = cluster->volume;

	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	/* The segment is copied, the last one is not. */
	volume_rule(volume, 0,
		    (struct filter_rule){.action = FILTER_HOLD,
					 .type_mask = 1u << IO_READ,
					 .range = {14000, 1}});
	assert_int_equal(volume_child_call(volume, 1, nexus_child_add_submit), NEXUS_DONE);
	for (int i = 0; i < 1000 && volume_byte_below(volume, 1, PLACE.first) != 0x44; i++)
		volume_turns(volume, 10);
	assert_int_equal(volume_byte_below(volume, 1, PLACE.first), 0x44);
	volume_turns(volume, 100);
	volume_lose_power(volume, &cluster->disks[0], 0, NULL);
	assert_int_equal(volume_byte_below(volume, 0, PLACE.first), 0x00);
	for (int i = 0; i < 1000 && volume_child(volume, 1)->state != NEXUS_CHILD_ONLINE; i++) {
		filter_release(volume_filter(volume, 0));
		volume_turns(volume, 20);
	}
	assert_int_equal(volume_child(volume, 1)->state, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	cluster_end(cluster);
}

/* A write that its copy has not answered yet may be in a cache of the source all the same. */
static void write_in_work_when_the_source_loses_its_power_is_in_its_copy_as_in_the_source(
	void **state)
{
	struct cluster *cluster = cluster_begin(state, 2, 0);
	struct volume *volume = cluster->volume;
	struct block_range missed = {3000, 8};

	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_OFFLINE), NEXUS_DONE);
	assert_int_equal(volume_write(volume, cluster->io, missed, 0x44), IO_OK);
	assert_int_equal(volume_io(volume, cluster->io, IO_FLUSH, (struct block_range){0, 0}),
			 IO_OK);
	/* Its return copies what it missed, and not the place of the write. */
	volume_rule(volume, 0,
		    (struct filter_rule){.action = FILTER_HOLD,
					 .type_mask = 1u << IO_READ,
					 .range = {10240 + 3000, 8}});
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_turns(volume, 100);
	volume_rule(volume, 1, RULE_HOLD(IO_WRITE));
	memset(cluster->io->bytes, 0x55, IO_BYTES_MAX);
	volume_submit(volume, cluster->io, IO_WRITE, PLACE);
	volume_turns(volume, 100);
	assert_int_equal(volume_byte_below(volume, 0, PLACE.first), 0x55);
	volume_lose_power(volume, &cluster->disks[0], 0, NULL);
	assert_int_equal(volume_byte_below(volume, 0, PLACE.first), 0x00);
	assert_false(test_io_is_done(cluster->io));
	for (int i = 0; i < 1000 && volume_child(volume, 1)->state != NEXUS_CHILD_ONLINE; i++) {
		filter_release(volume_filter(volume, 0));
		filter_release(volume_filter(volume, 1));
		volume_turns(volume, 20);
	}
	assert_int_equal(volume_child(volume, 1)->state, NEXUS_CHILD_ONLINE);
	fixture_wait(volume->fixture, &cluster->io->waiter);
	assert_true(volume_is_equal(volume, 0, 1));
	cluster_end(cluster);
}

static void device_without_a_cache_is_not_flushed(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	int flushes;

	volume->disks[1]->has_volatile_cache = true;
	volume_create(volume, 3);
	flushes = volume_rule(volume, 0, RULE_COUNT_HITS(IO_FLUSH));
	assert_int_equal(volume_write(volume, io, PLACE, 0x44), IO_OK);
	bdev_notify(volume_filter(volume, 2), BDEV_INTERRUPTED);
	volume_await_unrecorded(volume, 2);
	assert_int_equal(filter_rule_hits(volume_filter(volume, 0), flushes), 0);
	test_io_destroy(io);
	volume_end(volume);
}

/* An orderly end: whoever could not be flushed is not as good as who was. */

static void end_gives_up_the_copy_that_could_not_be_flushed(void **state)
{
	struct cluster *cluster = cluster_begin(state, 3, 0);
	struct volume *volume = cluster->volume;

	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	volume_rule(volume, 1, RULE_FAIL(IO_FLUSH, IO_MEDIUM_ERROR));
	volume_destroy(volume);
	assert_true(volume_is_recorded(volume, 0));
	assert_false(volume_is_recorded(volume, 1));
	assert_true(volume_is_recorded(volume, 2));
	assert_true(volume_record(volume)->is_clean_shutdown);
	cluster_end(cluster);
}

static void end_where_no_copy_could_be_flushed_gives_nobody_up_and_is_not_clean(void **state)
{
	struct cluster *cluster = cluster_begin(state, 2, 0);
	struct volume *volume = cluster->volume;

	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	volume_rule(volume, 0, RULE_FAIL(IO_FLUSH, IO_TIMED_OUT));
	volume_rule(volume, 1, RULE_FAIL(IO_FLUSH, IO_MEDIUM_ERROR));
	assert_int_equal(volume_call(volume, nexus_shutdown_submit), NEXUS_DONE);
	assert_true(volume_is_recorded(volume, 0));
	assert_true(volume_is_recorded(volume, 1));
	assert_false(volume_record(volume)->is_clean_shutdown);
	cluster_end(cluster);
}

static void end_that_another_owner_has_fenced_off_blames_nobody(void **state)
{
	struct cluster *cluster = cluster_begin(state, 2, 0);
	struct volume *volume = cluster->volume;
	uint64_t stores = volume->recorder.store_count;

	volume_rule(volume, 1, RULE_FAIL(IO_FLUSH, IO_RESERVATION_CONFLICT));
	assert_int_equal(volume_call(volume, nexus_shutdown_submit), NEXUS_DONE);
	assert_int_equal(volume->recorder.store_count, stores);
	assert_true(volume_is_recorded(volume, 1));
	cluster_end(cluster);
}

/* The copy 1 is complete, and only its record is missing. */
static void cluster_record_a_return(struct cluster *cluster)
{
	struct volume *volume = cluster->volume;

	volume_rule(volume, 0,
		    (struct filter_rule){.action = FILTER_HOLD,
					 .type_mask = 1u << IO_READ,
					 .range = {14000, 1}});
	assert_int_equal(volume_child_call(volume, 1, nexus_child_add_submit), NEXUS_DONE);
	volume->recorder.is_held = true;
	for (int i = 0; i < 1000 && volume->nexus->children[1].joined_change == 0; i++) {
		filter_release(volume_filter(volume, 0));
		volume_turns(volume, 20);
	}
	assert_int_not_equal(volume->nexus->children[1].joined_change, 0);
}

/* It is called healthy by the record of the end: so it must hold what the others hold. */
static void end_flushes_also_the_copy_whose_return_is_being_recorded(void **state)
{
	struct cluster *cluster = cluster_begin(state, 1, 0);
	struct volume *volume = cluster->volume;
	struct waiter waiter;

	cluster_record_a_return(cluster);
	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	assert_true(cluster->disks[1].is_dirty[10240 + PLACE.first]);
	waiter_init(&waiter, volume->fixture->main);
	volume->request = (struct nexus_request){.parent = &waiter.op};
	op_wait(&waiter.op);
	nexus_shutdown_submit(volume->nexus, &volume->request);
	volume_turns(volume, 500);
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &waiter);
	assert_true(volume_record(volume)->is_clean_shutdown);
	assert_true(volume_is_recorded(volume, 1));
	assert_false(cluster->disks[0].is_dirty[10240 + PLACE.first]);
	assert_false(cluster->disks[1].is_dirty[10240 + PLACE.first]);
	cluster_end(cluster);
}

/* While the return of a copy is recorded the link of the only other one breaks. */

static void source_that_may_have_lost_writes_stops_the_volume(void **state)
{
	struct cluster *cluster = cluster_begin(state, 1, 0);
	struct volume *volume = cluster->volume;

	cluster_record_a_return(cluster);
	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	volume_lose_power(volume, &cluster->disks[0], 0, NULL);
	volume_turns(volume, 100);
	assert_int_equal(volume_info(volume)->state, NEXUS_SHUTDOWN);
	assert_non_null(strstr(volume->info.reason, "has lost its connection"));
	assert_non_null(strstr(volume->info.reason, "create it anew with all of its copies"));
	assert_int_equal(volume_io(volume, cluster->io, IO_READ, PLACE), IO_NOT_READY);
	nexus_recorder_memory_release(&volume->recorder);
	cluster_end(cluster);
}

static void source_that_had_nothing_to_lose_goes_on(void **state)
{
	struct cluster *cluster = cluster_begin(state, 1, 0);
	struct volume *volume = cluster->volume;

	cluster_record_a_return(cluster);
	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	assert_int_equal(volume_io(volume, cluster->io, IO_FLUSH, (struct block_range){0, 0}),
			 IO_OK);
	volume_lose_power(volume, &cluster->disks[0], 0, NULL);
	volume_turns(volume, 100);
	assert_int_equal(volume_io(volume, cluster->io, IO_READ, PLACE), IO_OK);
	assert_int_equal(cluster->io->bytes[0], 0x44);
	nexus_recorder_memory_release(&volume->recorder);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	cluster_end(cluster);
}

/* As after a kill: nothing was flushed at the end, and the record says that it was not clean. */
static void cluster_activate_again(struct cluster *cluster, struct nexus_record *record)
{
	struct volume *volume = cluster->volume;

	*record = *volume_record(volume);
	assert_false(record->is_clean_shutdown);
	cluster->disks[0].is_flush_void = true;
	volume_destroy(volume);
	cluster->disks[0].is_flush_void = false;
	assert_true(cluster->disks[0].is_dirty[10240 + PLACE.first]);
	volume->stored = record;
	volume->epoch++;
	volume_create(volume, 1);
}

static void what_an_earlier_activation_left_in_the_cache_of_the_only_copy_is_flushed(void **state)
{
	struct cluster *cluster = cluster_begin(state, 1, 0);
	struct nexus_record record;

	assert_int_equal(volume_write(cluster->volume, cluster->io, PLACE, 0x44), IO_OK);
	cluster_activate_again(cluster, &record);
	assert_false(cluster->disks[0].is_dirty[10240 + PLACE.first]);
	assert_true(nexus_recent_is_empty(cluster->volume->nexus));
	cluster_end(cluster);
}

static void only_copy_that_cannot_be_flushed_serves_and_counts_as_not_durable(void **state)
{
	struct cluster *cluster = cluster_begin(state, 1, 0);
	struct volume *volume = cluster->volume;
	struct nexus_record record;

	assert_int_equal(volume_write(volume, cluster->io, PLACE, 0x44), IO_OK);
	cluster->disks[0].flush_status = IO_TIMED_OUT;
	cluster_activate_again(cluster, &record);
	assert_int_equal(volume_io(volume, cluster->io, IO_READ, PLACE), IO_OK);
	assert_int_equal(cluster->io->bytes[0], 0x44);
	cluster->disks[0].flush_status = IO_OK;
	cluster_record_a_return(cluster);
	volume_lose_power(volume, &cluster->disks[0], 0, NULL);
	volume_turns(volume, 100);
	assert_int_equal(volume_info(volume)->state, NEXUS_SHUTDOWN);
	nexus_recorder_memory_release(&volume->recorder);
	cluster_end(cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(what_was_answered_survives_a_broken_link_and_then_the_power_of_the_last),
		RULE(loss_is_not_recorded_before_those_who_stay_are_flushed),
		RULE(write_that_the_leaving_child_has_too_waits_for_the_record),
		RULE(one_that_cannot_be_flushed_leaves_too_and_the_next_is_flushed_again),
		RULE(last_one_whose_flush_fails_is_asked_again),
		RULE(volume_goes_on_though_the_flush_of_the_last_is_stuck),
		RULE(loss_waits_while_the_device_of_the_last_is_gone),
		RULE(child_with_such_a_flush_in_work_is_closed_after_it),
		RULE(nexus_that_is_destroyed_waits_for_such_a_flush),
		RULE(copy_of_a_source_that_lost_its_power_is_made_again),
		RULE(write_in_work_when_the_source_loses_its_power_is_in_its_copy_as_in_the_source),
		RULE(device_without_a_cache_is_not_flushed),
		RULE(end_gives_up_the_copy_that_could_not_be_flushed),
		RULE(end_where_no_copy_could_be_flushed_gives_nobody_up_and_is_not_clean),
		RULE(end_that_another_owner_has_fenced_off_blames_nobody),
		RULE(end_flushes_also_the_copy_whose_return_is_being_recorded),
		RULE(source_that_may_have_lost_writes_stops_the_volume),
		RULE(source_that_had_nothing_to_lose_goes_on),
		RULE(what_an_earlier_activation_left_in_the_cache_of_the_only_copy_is_flushed),
		RULE(only_copy_that_cannot_be_flushed_serves_and_counts_as_not_durable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
