/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_size_test.c - a volume never becomes smaller than its hosts have seen it. */
#include "nexus/nexus_test_fixture.h"

#define RESERVED (10240 + 34) /* blocks beside those of the volume */
#define DISK	 ((uint64_t)VOLUME_DISK_MB * 2048)

/* Both copies, after an end of this kind; the record is in @record. */
static void volume_live_once(struct volume *volume, bool is_clean, struct nexus_record *record)
{
	volume->epoch++;
	volume_create(volume, 2);
	*record = *volume_record(volume);
	volume_destroy(volume);
	if (is_clean)
		*record = *volume_record(volume);
	assert_int_equal(record->is_clean_shutdown, is_clean);
	volume->stored = record;
	volume->epoch++;
}

static void disks_enlarge(struct volume *volume, uint32_t size_mb)
{
	for (uint32_t i = 0; i < 2; i++) {
		char uri[80];

		snprintf(uri, sizeof(uri), "malloc:///m%u?size_mb=%u&resize", i, size_mb);
		assert_int_equal(fixture_try(volume->fixture, uri), 0);
	}
}

static void record_tells_what_hosts_can_use(void **state)
{
	struct volume *volume = volume_begin(state);

	volume_create(volume, 2);
	assert_int_equal(volume_record(volume)->block_count, DISK - RESERVED);
	assert_int_equal(volume_record(volume)->block_count,
			 nexus_bdev(volume->nexus)->block_count);
	assert_int_equal(volume_record(volume)->block_bytes, 512);
	volume_end(volume);
}

static void copy_that_shrank_is_refused_whether_it_is_believed_or_not(void **state)
{
	static const uint32_t shrunk[] = {1, 2, 3}; /* bit by child; the first one is believed */
	struct volume *volume = volume_begin(state);
	struct nexus_record record;

	for (uint32_t i = 0; i < 6; i++) {
		volume->stored = NULL;
		volume_live_once(volume, i % 2 == 0, &record);
		for (uint32_t child = 0; child < 2; child++)
			volume->disks[child]->block_count -= (shrunk[i / 2] >> child) & 1;
		assert_int_equal(volume_try_create(volume, 2), NEXUS_ERROR_INVALID);
		assert_non_null(strstr(volume->create.error, "14335 blocks"));
		assert_non_null(strstr(volume->create.error, "14336 are needed"));
		assert_non_null(
			strstr(volume->create.error, (shrunk[i / 2] & 1) != 0 ? "f0" : "f1"));
		for (uint32_t child = 0; child < 2; child++)
			volume->disks[child]->block_count = DISK;
		volume_create(volume, 2);
		assert_int_equal(nexus_bdev(volume->nexus)->block_count, DISK - RESERVED);
		volume_destroy(volume);
	}
	volume_end(volume);
}

static void copies_that_are_left_serve_when_the_small_one_is_left_out(void **state)
{
	struct volume *volume = volume_begin(state);
	struct nexus_record record;

	volume_live_once(volume, false, &record);
	volume->disks[1]->block_count -= 8;
	volume_create(volume, 1);
	assert_int_equal(nexus_bdev(volume->nexus)->block_count, DISK - RESERVED);
	assert_int_equal(volume_child_call(volume, 1, nexus_child_add_submit), NEXUS_ERROR_INVALID);
	assert_non_null(strstr(volume->request.error, "14328 blocks"));
	assert_non_null(strstr(volume->request.error, "14336 are needed"));
	volume->disks[1]->block_count = DISK;
	assert_int_equal(volume_child_call(volume, 1, nexus_child_add_submit), NEXUS_DONE);
	volume_end(volume);
}

static void record_of_an_older_engine_knows_no_size_and_the_next_one_does(void **state)
{
	struct volume *volume = volume_begin(state);
	struct nexus_record record;

	volume_live_once(volume, false, &record);
	record.block_count = 0;
	record.block_bytes = 0;
	/* What the request asks for it must have, as without a record. */
	disks_enlarge(volume, VOLUME_DISK_MB + 1);
	volume->disks[1]->block_count -= 8;
	volume_create(volume, 2);
	assert_int_equal(volume_record(volume)->block_count, DISK + 2048 - 8 - RESERVED);
	volume_end(volume);
}

static void smaller_size_in_a_request_does_not_take_back_a_resize(void **state)
{
	struct volume *volume = volume_begin(state);
	struct nexus_record record;
	uint64_t blocks;

	volume_create(volume, 2);
	disks_enlarge(volume, 20);
	volume->request = (struct nexus_request){.size_bytes = 16 << 20};
	assert_int_equal(volume_call(volume, nexus_resize_submit), NEXUS_DONE);
	blocks = nexus_bdev(volume->nexus)->block_count;
	assert_true(blocks > VOLUME_SIZE_BYTES / 512);
	record = *volume_record(volume);
	assert_int_equal(record.block_count, blocks);
	volume_destroy(volume);
	volume->stored = &record;
	volume->epoch++;
	volume_create(volume, 2);
	assert_int_equal(nexus_bdev(volume->nexus)->block_count, blocks);
	assert_true(nexus_size_bytes(volume->nexus) > blocks * 512);
	volume_end(volume);
}

static void resize_is_recorded_before_hosts_see_it(void **state)
{
	struct volume *volume = volume_begin(state);
	struct waiter waiter;

	volume_create(volume, 2);
	disks_enlarge(volume, 9);
	volume->recorder.is_held = true;
	waiter_init(&waiter, volume->fixture->main);
	volume->request = (struct nexus_request){.parent = &waiter.op, .size_bytes = 8 << 20};
	op_wait(&waiter.op);
	nexus_resize_submit(volume->nexus, &volume->request);
	volume_turns(volume, 500);
	assert_int_equal(waiter.op.pending, 1);
	assert_int_equal(nexus_bdev(volume->nexus)->block_count, DISK - RESERVED);
	nexus_recorder_memory_release(&volume->recorder);
	fixture_wait(volume->fixture, &waiter);
	assert_int_equal(volume->request.result, NEXUS_DONE);
	assert_int_equal(nexus_bdev(volume->nexus)->block_count, 9 * 2048 - RESERVED);
	assert_int_equal(volume_record(volume)->block_count, 9 * 2048 - RESERVED);
	volume_end(volume);
}

static void resize_that_the_store_did_not_take_is_taken_back(void **state)
{
	struct volume *volume = volume_begin(state);

	volume->record_wait_ns = 20000000;
	volume_create(volume, 2);
	disks_enlarge(volume, 9);
	volume->recorder.answer = NEXUS_RECORD_FAILED;
	volume->recorder.is_stored_in_spite = true;
	volume->request = (struct nexus_request){.size_bytes = 8 << 20};
	assert_int_equal(volume_call(volume, nexus_resize_submit), NEXUS_ERROR_INTERNAL);
	assert_int_equal(nexus_bdev(volume->nexus)->block_count, DISK - RESERVED);
	volume_store_returns(volume);
	for (int i = 0; i < 200000 && volume_record(volume)->block_count != DISK - RESERVED; i++)
		volume_turns(volume, 10);
	assert_int_equal(volume_record(volume)->block_count, DISK - RESERVED);
	assert_int_equal(volume_call(volume, nexus_resize_submit), NEXUS_DONE);
	assert_int_equal(volume_record(volume)->block_count, 9 * 2048 - RESERVED);
	volume_end(volume);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(record_tells_what_hosts_can_use),
		RULE(copy_that_shrank_is_refused_whether_it_is_believed_or_not),
		RULE(copies_that_are_left_serve_when_the_small_one_is_left_out),
		RULE(record_of_an_older_engine_knows_no_size_and_the_next_one_does),
		RULE(smaller_size_in_a_request_does_not_take_back_a_resize),
		RULE(resize_is_recorded_before_hosts_see_it),
		RULE(resize_that_the_store_did_not_take_is_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
