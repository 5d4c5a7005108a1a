/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_manage_test.c - creation, its refusals, children that come and go, size, and the end. */
#include "nexus/nexus_test_fixture.h"

#include <errno.h>

#define PLACE ((struct block_range){100, 8})

static struct nexus_record record_of(uint64_t epoch, bool is_clean, const bool *is_healthy,
				     uint32_t count)
{
	struct nexus_record record = {.epoch = epoch, .is_clean_shutdown = is_clean};

	for (uint32_t i = 0; i < count; i++) {
		char text[64];

		snprintf(text, sizeof(text), "00000000-0000-4000-8000-00000000000%u", i);
		assert_true(uuid_parse(text, &record.children[i].uuid));
		record.children[i].is_healthy = is_healthy[i];
	}
	record.child_count = count;
	return record;
}

static void record_is_durable_before_a_nexus_is_served(void **state)
{
	struct volume *volume = volume_begin(state);
	struct nexus_create *create = &volume->create;
	struct waiter waiter;

	volume_set_create(volume);
	volume->recorder.is_held = true;
	waiter_init(&waiter, volume->fixture->main);
	create->options = (struct nexus_options){.name = "volume",
						 .uuid = {{1, 2, 3}},
						 .size_bytes = VOLUME_SIZE_BYTES,
						 .controller_id_min = 1,
						 .controller_id_max = 1,
						 .child_uris = {volume_uri(volume, 0)},
						 .child_count = 1,
						 .home = volume->home};
	create->parent = &waiter.op;
	op_wait(&waiter.op);
	nexus_create_submit(volume->set, create);
	volume_turns(volume, 500);
	assert_int_equal(waiter.op.pending, 1);
	assert_null(nexus_find(volume->set, "volume"));
	assert_null(bdev_find(volume->fixture->registry, "volume"));
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &waiter);
	assert_int_equal(create->result, NEXUS_DONE);
	volume->nexus = create->nexus;
	assert_ptr_equal(nexus_find(volume->set, "volume"), volume->nexus);
	assert_ptr_equal(nexus_find_by_uuid(volume->set, &create->options.uuid), volume->nexus);
	assert_ptr_equal(bdev_find(volume->fixture->registry, "volume"), nexus_bdev(volume->nexus));
	/* The key is the uuid's text when none is given. */
	assert_non_null(nexus_recorder_memory_find(&volume->recorder,
						   "01020300-0000-0000-0000-000000000000"));
	volume_end(volume);
}

static void creation_that_fails_leaves_nothing(void **state)
{
	struct volume *volume = volume_begin(state);
	struct nexus_options *options = &volume->create.options;
	struct bdev *small = fixture_create(volume->fixture, "malloc:///small?size_mb=1");
	struct bdev *blocks =
		fixture_create(volume->fixture, "malloc:///blocks?size_mb=7&blk_size=4096");
	struct waiter waiter;
	static const char *const bad[] = {
		"",
		"nonsense",
		"nosuchscheme:///x",
		"filter:///f1?lower=missing",
		"bdev:///missing",
		"bdev:///small",
		"bdev:///blocks",
		"filter:///f0?lower=m0&uuid=00000000-0000-4000-8000-000000000000",
		"filter:///f1?lower=m1&uuid=00000000-0000-4000-8000-000000000000",
		"filter:///f1?lower=m1&uuid=zz",
	};

	volume_set_create(volume);
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		waiter_init(&waiter, volume->fixture->main);
		*options = (struct nexus_options){.name = "volume",
						  .uuid = {{1}},
						  .size_bytes = VOLUME_SIZE_BYTES,
						  .controller_id_min = 1,
						  .controller_id_max = 1,
						  .child_uris = {volume_uri(volume, 0), bad[i]},
						  .child_count = 2,
						  .home = volume->home};
		volume->create.parent = &waiter.op;
		op_wait(&waiter.op);
		nexus_create_submit(volume->set, &volume->create);
		fixture_wait(volume->fixture, &waiter);
		assert_int_equal(volume->create.result, NEXUS_ERROR_INVALID);
		assert_true(volume->create.error[0] != '\0');
		assert_null(volume->create.nexus);
		assert_null(volume_filter(volume, 0));
		assert_null(volume_filter(volume, 1));
	}
	assert_string_equal(small->claimed_by, "");
	/* A record that could not be stored. */
	volume->set->options.record_wait_ns = 20000000;
	volume->recorder.answer = NEXUS_RECORD_FAILED;
	assert_int_equal(volume_try_create(volume, 2), NEXUS_ERROR_INTERNAL);
	assert_null(volume_filter(volume, 0));
	volume_store_returns(volume);
	volume_create(volume, 2);
	volume_destroy(volume);
	fixture_destroy(volume->fixture, small);
	fixture_destroy(volume->fixture, blocks);
	volume_end(volume);
}

static void options_out_of_range_are_refused(void **state)
{
	struct volume *volume = volume_begin(state);
	const struct nexus_options good = {.name = "other",
					   .uuid = {{9}},
					   .size_bytes = VOLUME_SIZE_BYTES,
					   .controller_id_min = 1,
					   .controller_id_max = 2,
					   .child_uris = {"bdev:///m5"},
					   .child_count = 1,
					   .home = volume->home};
	struct nexus_options cases[9];
	static const enum nexus_error expected[9] = {
		NEXUS_ERROR_INVALID, NEXUS_ERROR_INVALID,	 NEXUS_ERROR_INVALID,
		NEXUS_ERROR_INVALID, NEXUS_ERROR_INVALID,	 NEXUS_ERROR_INVALID,
		NEXUS_ERROR_INVALID, NEXUS_ERROR_ALREADY_EXISTS, NEXUS_ERROR_INTERNAL};
	struct waiter waiter;

	volume_create(volume, 2);
	for (uint32_t i = 0; i < 9; i++)
		cases[i] = good;
	cases[0].name = "";
	cases[1].controller_id_min = 0;
	cases[2].controller_id_max = 0xfff0;
	cases[3].controller_id_min = 3;
	cases[4].fence.type = 7;
	cases[5].child_count = 0;
	cases[6].size_bytes = 0;
	cases[7].name = "volume";
	cases[8].uuid = *nexus_uuid(volume->nexus);
	for (uint32_t i = 0; i < 9; i++) {
		waiter_init(&waiter, volume->fixture->main);
		volume->create.options = cases[i];
		volume->create.parent = &waiter.op;
		op_wait(&waiter.op);
		nexus_create_submit(volume->set, &volume->create);
		fixture_wait(volume->fixture, &waiter);
		assert_int_equal(volume->create.result, expected[i]);
	}
	volume_end(volume);
}

static void device_that_somebody_else_made_is_not_destroyed_with_the_nexus(void **state)
{
	struct volume *volume = volume_begin(state);
	struct waiter waiter;

	volume_create(volume, 1);
	volume->request = (struct nexus_request){.uri = "bdev:///m4"};
	assert_int_equal(volume_call(volume, nexus_child_add_submit), NEXUS_DONE);
	volume->request = (struct nexus_request){.uri = "malloc:///m5?size_mb=7&resize"};
	assert_int_equal(volume_call(volume, nexus_child_add_submit), NEXUS_DONE);
	assert_string_equal(volume->disks[4]->claimed_by, "volume");
	/* Twice the same, under another name. */
	volume->request = (struct nexus_request){.uri = "loopback:///m4"};
	assert_int_equal(volume_call(volume, nexus_child_add_submit), NEXUS_ERROR_ALREADY_EXISTS);
	assert_string_equal(volume->disks[4]->claimed_by, "volume");
	/* In use by another nexus. */
	waiter_init(&waiter, volume->fixture->main);
	volume->create.options = (struct nexus_options){.name = "other",
							.uuid = {{9}},
							.size_bytes = VOLUME_SIZE_BYTES,
							.controller_id_min = 1,
							.controller_id_max = 2,
							.child_uris = {"bdev:///m4"},
							.child_count = 1,
							.home = volume->home};
	volume->create.parent = &waiter.op;
	op_wait(&waiter.op);
	nexus_create_submit(volume->set, &volume->create);
	fixture_wait(volume->fixture, &waiter);
	assert_int_equal(volume->create.result, NEXUS_ERROR_INVALID);
	assert_string_equal(volume->disks[4]->claimed_by, "volume");
	volume_destroy(volume);
	assert_string_equal(volume->disks[4]->claimed_by, "");
	assert_string_equal(volume->disks[5]->claimed_by, "");
	volume_end(volume);
}

static void child_recorded_unhealthy_is_rebuilt_before_it_is_read(void **state)
{
	struct volume *volume = volume_begin(state);
	const bool is_healthy[] = {false, true, true};
	const struct nexus_record record = record_of(1, true, is_healthy, 3);

	volume->stored = &record;
	volume_write_below(volume, 0, (struct block_range){0, 4062}, 0xee);
	volume_create(volume, 4); /* the fourth is not known to the record */
	volume_await_child(volume, 0, NEXUS_CHILD_ONLINE);
	volume_await_child(volume, 3, NEXUS_CHILD_ONLINE);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(volume_byte_below(volume, i, 50), 0);
	volume_end(volume);
}

static void unclean_end_makes_one_child_the_source_of_all(void **state)
{
	struct volume *volume = volume_begin(state);
	const bool is_healthy[] = {false, true, true};
	const struct nexus_record record = record_of(1, false, is_healthy, 3);

	volume->stored = &record;
	volume->epoch = 2;
	for (uint32_t i = 0; i < 3; i++)
		volume_write_below(volume, i, (struct block_range){0, 4062}, (int)(0x10 + i));
	volume_create(volume, 3);
	assert_true(volume_is_recorded(volume, 1));
	volume_await_child(volume, 0, NEXUS_CHILD_ONLINE);
	volume_await_child(volume, 2, NEXUS_CHILD_ONLINE);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(volume_byte_below(volume, i, 50), 0x11);
	volume_end(volume);
}

static void source_is_flushed_before_the_others_are_given_up(void **state)
{
	struct volume *volume = volume_begin(state);
	const bool is_healthy[] = {true, true};
	const struct nexus_record record = record_of(1, false, is_healthy, 2);
	uint64_t stores = volume->recorder.store_count;
	struct waiter waiter;

	/* What the other holds may be all that is left if the source loses its cache. */
	volume->stored = &record;
	volume->epoch = 2;
	volume_start_create(volume, 2, &waiter);
	while (volume_filter(volume, 0) == NULL)
		reactor_turn(volume->fixture->main, false);
	volume_rule(volume, 0, RULE_FAIL(IO_FLUSH, IO_MEDIUM_ERROR));
	assert_int_equal(volume_end_create(volume, &waiter), NEXUS_ERROR_INTERNAL);
	assert_int_equal(volume->recorder.store_count, stores);
	assert_null(volume_filter(volume, 0));
	volume_create(volume, 2);
	volume_end(volume);
}

static void nexus_without_any_healthy_child_is_refused(void **state)
{
	struct volume *volume = volume_begin(state);
	const bool is_healthy[] = {false, false, true};
	const struct nexus_record record = record_of(1, true, is_healthy, 3);

	volume->stored = &record;
	assert_int_equal(volume_try_create(volume, 2), NEXUS_ERROR_INVALID);
	volume_end(volume);
}

static void older_epoch_cannot_take_over(void **state)
{
	struct volume *volume = volume_begin(state);

	volume->epoch = 5;
	volume_create(volume, 2);
	volume_destroy(volume);
	volume->epoch = 4;
	assert_int_equal(volume_try_create(volume, 2), NEXUS_ERROR_PRECONDITION);
	assert_int_equal(volume_record(volume)->epoch, 5);
	volume_end(volume);
}

static void end_is_recorded_as_clean_after_a_flush_of_every_child(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	uint64_t sequence;

	volume_create(volume, 2);
	sequence = volume_record(volume)->sequence;
	assert_false(volume_record(volume)->is_clean_shutdown);
	assert_int_equal(volume_call(volume, nexus_shutdown_submit), NEXUS_DONE);
	assert_true(volume_record(volume)->is_clean_shutdown);
	assert_true(volume_record(volume)->sequence > sequence);
	assert_true(volume_is_recorded(volume, 0) && volume_is_recorded(volume, 1));
	assert_int_equal(volume_io(volume, io, IO_READ, PLACE), IO_NOT_READY);
	assert_int_equal(volume_info(volume)->state, NEXUS_SHUTDOWN);
	assert_int_equal(volume_child(volume, 0)->reason, NEXUS_REASON_CLOSED);
	assert_null(volume_filter(volume, 0));
	assert_int_equal(volume_call(volume, nexus_shutdown_submit), NEXUS_DONE);
	assert_int_equal(volume_child_call(volume, 2, nexus_child_add_submit),
			 NEXUS_ERROR_PRECONDITION);
	volume_destroy(volume);
	/* Without the flush it is not clean. */
	volume_create(volume, 2);
	volume_rule(volume, 0, RULE_FAIL(IO_FLUSH, IO_MEDIUM_ERROR));
	volume_rule(volume, 1, RULE_FAIL(IO_FLUSH, IO_MEDIUM_ERROR));
	volume_destroy(volume);
	assert_false(volume_record(volume)->is_clean_shutdown);
	test_io_destroy(io);
	volume_end(volume);
}

static void second_shutdown_is_refused_while_the_first_runs(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct nexus_request first = {0};
	struct waiter waiter;
	int held;

	volume_create(volume, 2);
	held = volume_rule(volume, 1, RULE_HOLD(IO_WRITE));
	volume_submit(volume, io, IO_WRITE, PLACE);
	waiter_init(&waiter, volume->fixture->main);
	first.parent = &waiter.op;
	op_wait(&waiter.op);
	nexus_shutdown_submit(volume->nexus, &first);
	volume_turns(volume, 100);
	assert_int_equal(volume_call(volume, nexus_shutdown_submit), NEXUS_ERROR_PRECONDITION);
	assert_int_equal(volume_info(volume)->state, NEXUS_SHUTTING_DOWN);
	filter_rule_remove(volume_filter(volume, 1), held);
	filter_release(volume_filter(volume, 1));
	fixture_wait(volume->fixture, &waiter);
	assert_int_equal(first.result, NEXUS_DONE);
	assert_int_equal(io->io.status, IO_OK);
	test_io_destroy(io);
	volume_end(volume);
}

static void nexus_in_use_is_not_destroyed(void **state)
{
	struct volume *volume = volume_begin(state);

	volume_create(volume, 2);
	assert_int_equal(volume_call(volume, nexus_destroy_submit), NEXUS_ERROR_PRECONDITION);
	assert_non_null(nexus_find(volume->set, "volume"));
	volume_end(volume);
}

static void destruction_through_the_registry_is_the_same(void **state)
{
	struct volume *volume = volume_begin(state);

	volume_create(volume, 2);
	bdev_channel_close(volume->channel);
	fixture_destroy(volume->fixture, nexus_bdev(volume->nexus));
	volume->nexus = NULL;
	assert_null(nexus_find(volume->set, "volume"));
	assert_true(volume_record(volume)->is_clean_shutdown);
	volume_end(volume);
}

static void destruction_does_not_wait_for_a_store_that_is_away(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume->record_wait_ns = 20000000;
	volume_create(volume, 2);
	volume_rule(volume, 1, RULE_FAIL(IO_WRITE, IO_MEDIUM_ERROR));
	volume->recorder.answer = NEXUS_RECORD_FAILED;
	assert_int_equal(volume_write(volume, io, PLACE, 1), IO_NOT_RECORDED);
	volume_destroy(volume);
	test_io_destroy(io);
	volume_end(volume);
}

static void a_removal_that_the_store_did_not_take_is_repeated(void **state)
{
	struct volume *volume = volume_begin(state);

	volume->record_wait_ns = 20000000;
	volume_create(volume, 2);
	volume->recorder.answer = NEXUS_RECORD_FAILED;
	assert_int_equal(volume_child_call(volume, 1, nexus_child_remove_submit),
			 NEXUS_ERROR_INTERNAL);
	assert_int_equal(volume_child_call(volume, 1, nexus_child_remove_submit),
			 NEXUS_ERROR_INTERNAL);
	assert_int_equal(volume_info(volume)->child_count, 2);
	volume_store_returns(volume);
	while (volume_info(volume)->record_waits_since_ns != 0)
		; /* it tries again by itself */
	assert_int_equal(volume_child_call(volume, 1, nexus_child_remove_submit), NEXUS_DONE);
	assert_int_equal(volume_info(volume)->child_count, 1);
	assert_int_equal(volume_record(volume)->child_count, 1);
	volume_destroy(volume);
	volume_end(volume);
}

static void children_are_added_removed_and_refused_as_promised(void **state)
{
	struct volume *volume = volume_begin(state);

	volume_create(volume, 2);
	assert_int_equal(volume_child_call(volume, 1, nexus_child_add_submit),
			 NEXUS_ERROR_ALREADY_EXISTS);
	volume->request = (struct nexus_request){.uri = "bdev:///missing"};
	assert_int_equal(volume_call(volume, nexus_child_add_submit), NEXUS_ERROR_INVALID);
	assert_int_equal(volume_info(volume)->child_count, 2);
	assert_int_equal(volume_child_call(volume, 3, nexus_child_remove_submit), NEXUS_DONE);
	assert_int_equal(volume_child_call(volume, 3, nexus_child_fault_submit),
			 NEXUS_ERROR_NOT_FOUND);
	volume->request = (struct nexus_request){.action = (enum nexus_action)4};
	assert_int_equal(volume_child_call(volume, 1, nexus_child_action_submit),
			 NEXUS_ERROR_INVALID);
	volume->request = (struct nexus_request){.info = &volume->info};
	assert_int_equal(volume_child_call(volume, 0, nexus_child_remove_submit), NEXUS_DONE);
	assert_int_equal(volume->info.child_count, 1);
	assert_int_equal(volume->info.size_bytes, VOLUME_SIZE_BYTES);
	assert_int_equal(volume_record(volume)->child_count, 1);
	assert_null(volume_filter(volume, 0));
	assert_int_equal(volume_child_call(volume, 1, nexus_child_remove_submit),
			 NEXUS_ERROR_PRECONDITION);
	/* For good means until it is removed. */
	volume->request = (struct nexus_request){.parent = NULL};
	assert_int_equal(volume_child_call(volume, 2, nexus_child_add_submit), NEXUS_DONE);
	volume_await_child(volume, 2, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_child_call(volume, 2, nexus_child_fault_submit), NEXUS_DONE);
	assert_int_equal(volume_child(volume, 2)->state, NEXUS_CHILD_FAULTED);
	assert_int_equal(volume_child(volume, 2)->reason, NEXUS_REASON_BY_CLIENT);
	assert_int_equal(volume_action(volume, 2, NEXUS_ACTION_ONLINE), NEXUS_ERROR_INTERNAL);
	assert_int_equal(volume_child_call(volume, 2, nexus_child_remove_submit), NEXUS_DONE);
	assert_int_equal(volume_child_call(volume, 2, nexus_child_add_submit), NEXUS_DONE);
	volume_await_child(volume, 2, NEXUS_CHILD_ONLINE);
	volume_end(volume);
}

static void removal_that_was_not_recorded_in_time_can_be_repeated(void **state)
{
	struct volume *volume = volume_begin(state);

	volume->record_wait_ns = 20000000;
	volume_create(volume, 2);
	volume->recorder.answer = NEXUS_RECORD_FAILED;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(volume_child_call(volume, 1, nexus_child_remove_submit),
				 NEXUS_ERROR_INTERNAL);
		assert_int_equal(volume_info(volume)->child_count, 2);
	}
	assert_true(volume_is_recorded(volume, 1));
	volume_store_returns(volume);
	assert_int_equal(volume_child_call(volume, 1, nexus_child_remove_submit), NEXUS_DONE);
	assert_int_equal(volume_info(volume)->child_count, 1);
	assert_int_equal(volume_record(volume)->child_count, 1);
	volume_end(volume);
}

static void size_only_grows_and_only_when_every_child_has_grown(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();
	struct bdev *bdev;
	uint64_t blocks;

	volume_create(volume, 2);
	bdev = nexus_bdev(volume->nexus);
	blocks = bdev->block_count;
	volume->request = (struct nexus_request){.size_bytes = VOLUME_SIZE_BYTES};
	assert_int_equal(volume_call(volume, nexus_resize_submit), NEXUS_DONE);
	volume->request.size_bytes = 6 << 20;
	assert_int_equal(volume_call(volume, nexus_resize_submit), NEXUS_ERROR_PRECONDITION);
	volume->request.size_bytes = 8 << 20;
	assert_int_equal(volume_call(volume, nexus_resize_submit), NEXUS_ERROR_PRECONDITION);
	assert_int_equal(bdev->block_count, blocks);
	for (uint32_t i = 0; i < 2; i++) {
		char uri[80];

		snprintf(uri, sizeof(uri), "malloc:///m%u?size_mb=9&resize", i);
		assert_int_equal(fixture_try(volume->fixture, uri), 0);
	}
	volume->request.size_bytes = 8 << 20;
	assert_int_equal(volume_call(volume, nexus_resize_submit), NEXUS_DONE);
	assert_int_equal(bdev->block_count, 18432 - 34 - 10240); /* of 9 MiB */
	assert_int_equal(nexus_size_bytes(volume->nexus), 8 << 20);
	assert_int_equal(
		volume_write(volume, io, (struct block_range){bdev->block_count - 8, 8}, 1), IO_OK);
	/* What a child misses in the new part is known, too. */
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_OFFLINE), NEXUS_DONE);
	assert_int_equal(
		volume_write(volume, io, (struct block_range){bdev->block_count - 8, 8}, 2), IO_OK);
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	test_io_destroy(io);
	volume_end(volume);
}

struct test_fence {
	struct nexus_fence fence;
	uint32_t count;
	int result;
	uint64_t key;
};

static void test_fence_acquire(struct nexus_fence *fence, struct nexus_fence_io *io)
{
	struct test_fence *test = container_of(fence, struct test_fence, fence);

	test->count++;
	test->key = io->options.key;
	io->result = test->result;
	assert_false(io->bdev->is_local);
	op_done(io->parent);
}

static void remote_children_are_fenced_before_they_are_used(void **state)
{
	struct volume *volume = volume_begin(state);
	struct nexus_options *options = &volume->create.options;
	struct test_fence fence = {.fence = {.acquire = test_fence_acquire}, .result = -EACCES};
	struct waiter waiter;

	volume->disks[1]->is_local = false;
	volume_set_create(volume);
	volume->set->options.fence = &fence.fence;
	for (int round = 0; round < 2; round++) {
		waiter_init(&waiter, volume->fixture->main);
		*options = (struct nexus_options){
			.name = "volume",
			.uuid = {{1}},
			.size_bytes = VOLUME_SIZE_BYTES,
			.controller_id_min = 1,
			.controller_id_max = 1,
			.fence = {.key = 0x1234, .type = 5},
			.child_uris = {volume_uri(volume, 0), volume_uri(volume, 1)},
			.child_count = 2,
			.home = volume->home};
		volume->create.parent = &waiter.op;
		op_wait(&waiter.op);
		nexus_create_submit(volume->set, &volume->create);
		fixture_wait(volume->fixture, &waiter);
		assert_int_equal(fence.count, round + 1);
		assert_int_equal(fence.key, 0x1234);
		assert_int_equal(volume->create.result,
				 round == 0 ? NEXUS_ERROR_INTERNAL : NEXUS_DONE);
		fence.result = 0;
	}
	volume->nexus = volume->create.nexus;
	volume_end(volume);
}

static void home_on_main_works_as_well(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	volume->home = volume->fixture->main;
	volume_create(volume, 2);
	volume_rule(volume, 1, RULE_FAIL_ONCE(IO_WRITE, IO_MEDIUM_ERROR));
	assert_int_equal(volume_write(volume, io, PLACE, 7), IO_OK);
	volume_await_child(volume, 1, NEXUS_CHILD_FAULTED);
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(volume_is_equal(volume, 0, 1));
	test_io_destroy(io);
	volume_end(volume);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(record_is_durable_before_a_nexus_is_served),
		RULE(creation_that_fails_leaves_nothing),
		RULE(options_out_of_range_are_refused),
		RULE(device_that_somebody_else_made_is_not_destroyed_with_the_nexus),
		RULE(child_recorded_unhealthy_is_rebuilt_before_it_is_read),
		RULE(unclean_end_makes_one_child_the_source_of_all),
		RULE(source_is_flushed_before_the_others_are_given_up),
		RULE(nexus_without_any_healthy_child_is_refused),
		RULE(older_epoch_cannot_take_over),
		RULE(end_is_recorded_as_clean_after_a_flush_of_every_child),
		RULE(second_shutdown_is_refused_while_the_first_runs),
		RULE(nexus_in_use_is_not_destroyed),
		RULE(destruction_through_the_registry_is_the_same),
		RULE(destruction_does_not_wait_for_a_store_that_is_away),
		RULE(a_removal_that_the_store_did_not_take_is_repeated),
		RULE(children_are_added_removed_and_refused_as_promised),
		RULE(removal_that_was_not_recorded_in_time_can_be_repeated),
		RULE(size_only_grows_and_only_when_every_child_has_grown),
		RULE(remote_children_are_fenced_before_they_are_used),
		RULE(home_on_main_works_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
