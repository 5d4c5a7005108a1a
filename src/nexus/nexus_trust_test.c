/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_trust_test.c - which copy a new activation believes, and what the record keeps for that. */
#include "nexus/nexus_test_fixture.h"

#define PLACE ((struct block_range){100, 8})
#define COUNT 3

struct expectation {
	const char *name;
	bool has_ids;	     /* in the record */
	bool is_same[COUNT]; /* the device still shows the id of the record */
	uint32_t believed;
	bool is_warned;
};

static const struct expectation expectations[] = {
	{"all have kept their power", true, {true, true, true}, 0, false},
	{"the first has lost it", true, {false, true, true}, 1, false},
	{"only the last has kept it", true, {false, false, true}, 2, false},
	{"none has kept it", true, {false, false, false}, 0, true},
	{"a record without ids", false, {true, true, true}, 0, true},
};

static uint32_t warnings;

static void line_count(struct log *log, const char *line)
{
	(void)log;
	warnings += strstr(line, "not known to have kept its power") != NULL &&
		    strstr(line, "filter:///f0") != NULL;
}

static struct uuid id_of(uint8_t byte)
{
	return (struct uuid){.bytes = {byte}};
}

/* As written by a nexus that died with all of them healthy. */
static struct nexus_record record_of(bool has_ids)
{
	struct nexus_record record = {.epoch = 1, .sequence = 5, .child_count = COUNT};
	char text[64];

	for (uint32_t i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "00000000-0000-4000-8000-00000000000%u", i);
		assert_true(uuid_parse(text, &record.children[i].uuid));
		record.children[i].is_healthy = true;
		if (has_ids)
			record.children[i].cache_id = id_of((uint8_t)(i + 1));
	}
	return record;
}

static const struct nexus_record_child *recorded(struct volume *volume, uint32_t index)
{
	struct nexus_record names = record_of(false);

	return nexus_record_find(volume_record(volume), &names.children[index].uuid);
}

static void expectation_run(struct volume *volume, const struct expectation *expected)
{
	struct nexus_record record = record_of(expected->has_ids);

	for (uint32_t i = 0; i < COUNT; i++) {
		volume->disks[i]->cache_id =
			id_of((uint8_t)(expected->is_same[i] ? i + 1 : 0x80 + i));
		volume_write_below(volume, i, PLACE, (int)(0x10 + i));
	}
	warnings = 0;
	volume->stored = &record;
	volume->epoch++;
	volume_create(volume, COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		volume_await_child(volume, i, NEXUS_CHILD_ONLINE);
	for (uint32_t i = 0; i < COUNT; i++) {
		if (volume_byte_below(volume, i, PLACE.first) != 0x10 + expected->believed)
			fail_msg("%s: child %u holds what another one than %u held", expected->name,
				 i, expected->believed);
		assert_true(
			uuid_is_equal(&recorded(volume, i)->cache_id, &volume->disks[i]->cache_id));
	}
	if (warnings != expected->is_warned)
		fail_msg("%s: %u warnings", expected->name, warnings);
	volume_destroy(volume);
}

static void copy_that_kept_its_cache_is_believed_before_the_first_in_order(void **state)
{
	struct volume *volume = volume_begin(state);

	volume->log.write = line_count;
	for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++)
		expectation_run(volume, &expectations[i]);
	volume_end(volume);
}

static void device_that_does_not_say_is_not_taken_for_one_that_has_kept_its_cache(void **state)
{
	struct volume *volume = volume_begin(state);
	struct nexus_record record = record_of(true);

	volume->log.write = line_count;
	warnings = 0;
	/* Unknown on both sides is no match either. */
	record.children[0].cache_id = (struct uuid){{0}};
	volume->disks[0]->cache_id = (struct uuid){{0}};
	volume->disks[1]->cache_id = id_of(2);
	volume_write_below(volume, 0, PLACE, 0x10);
	volume_write_below(volume, 1, PLACE, 0x11);
	volume->stored = &record;
	volume->epoch = 2;
	volume_create(volume, 2);
	volume_await_child(volume, 0, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_byte_below(volume, 0, PLACE.first), 0x11);
	assert_int_equal(warnings, 0);
	volume_end(volume);
}

static void child_that_is_not_recorded_healthy_is_not_believed_whatever_its_cache(void **state)
{
	struct volume *volume = volume_begin(state);
	struct nexus_record record = record_of(true);

	record.children[1].is_healthy = false;
	volume->disks[0]->cache_id = id_of(0x80);
	volume->disks[1]->cache_id = id_of(2);
	volume_write_below(volume, 0, PLACE, 0x10);
	volume_write_below(volume, 1, PLACE, 0x11);
	volume->stored = &record;
	volume->epoch = 2;
	volume_create(volume, 2);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_int_equal(volume_byte_below(volume, 1, PLACE.first), 0x10);
	volume_end(volume);
}

static void after_a_clean_end_all_are_believed_whatever_their_caches(void **state)
{
	struct volume *volume = volume_begin(state);
	struct nexus_record record = record_of(true);

	volume->log.write = line_count;
	warnings = 0;
	record.is_clean_shutdown = true;
	for (uint32_t i = 0; i < COUNT; i++)
		volume->disks[i]->cache_id = id_of((uint8_t)(0x80 + i));
	volume->stored = &record;
	volume->epoch = 2;
	volume_create(volume, COUNT);
	assert_int_equal(volume_info(volume)->state, NEXUS_ONLINE);
	assert_int_equal(warnings, 0);
	volume_end(volume);
}

static void memory_disk_that_was_made_anew_has_another_cache(void **state)
{
	struct volume *volume = volume_begin(state);
	struct uuid first = volume->disks[0]->cache_id;
	struct bdev *made;

	assert_false(uuid_is_nil(&first));
	assert_false(uuid_is_equal(&first, &volume->disks[1]->cache_id));
	bdev_channel_close(volume->below[0]);
	fixture_destroy(volume->fixture, volume->disks[0]);
	made = fixture_create(volume->fixture, "malloc:///m0?size_mb=7");
	assert_false(uuid_is_equal(&first, &made->cache_id));
	volume->disks[0] = made;
	volume->below[0] = fixture_open(made, volume->fixture->main);
	volume_end(volume);
}

/* Created, joined, and back after its machine began another life. */
static void record_keeps_the_cache_of_whoever_is_healthy(void **state)
{
	struct volume *volume = volume_begin(state);
	struct test_io *io = test_io_create();

	for (uint32_t i = 0; i < COUNT; i++)
		volume->disks[i]->cache_id = id_of((uint8_t)(i + 1));
	volume_create(volume, 2);
	assert_true(uuid_is_equal(&recorded(volume, 0)->cache_id, &volume->disks[0]->cache_id));
	assert_true(uuid_is_equal(&recorded(volume, 1)->cache_id, &volume->disks[1]->cache_id));
	assert_int_equal(volume_child_call(volume, 2, nexus_child_add_submit), NEXUS_DONE);
	volume_await_child(volume, 2, NEXUS_CHILD_ONLINE);
	assert_true(uuid_is_equal(&recorded(volume, 2)->cache_id, &volume->disks[2]->cache_id));

	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_OFFLINE), NEXUS_DONE);
	assert_false(recorded(volume, 1)->is_healthy);
	assert_true(uuid_is_nil(&recorded(volume, 1)->cache_id));
	volume->disks[1]->cache_id = id_of(0x77);
	assert_int_equal(volume_write(volume, io, PLACE, 0x33), IO_OK);
	assert_int_equal(volume_action(volume, 1, NEXUS_ACTION_ONLINE), NEXUS_DONE);
	volume_await_child(volume, 1, NEXUS_CHILD_ONLINE);
	assert_true(recorded(volume, 1)->is_healthy);
	assert_true(uuid_is_equal(&recorded(volume, 1)->cache_id, &volume->disks[1]->cache_id));
	test_io_destroy(io);
	volume_end(volume);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(copy_that_kept_its_cache_is_believed_before_the_first_in_order),
		RULE(device_that_does_not_say_is_not_taken_for_one_that_has_kept_its_cache),
		RULE(child_that_is_not_recorded_healthy_is_not_believed_whatever_its_cache),
		RULE(after_a_clean_end_all_are_believed_whatever_their_caches),
		RULE(memory_disk_that_was_made_anew_has_another_cache),
		RULE(record_keeps_the_cache_of_whoever_is_healthy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
