/* SPDX-License-Identifier: Apache-2.0 */
/* record_store_test.c - goal: a record is kept or refused, never guessed; method: a real folder. */
#include "engine/record_store.h"

#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct os *os;
	struct reactor *reactor;
	struct record_store *store;
	struct log log;
	struct op op;
	bool is_over;
	char folder[64];
	struct nexus_record_io io;
};

static void line_drop(struct log *log, const char *line)
{
	(void)log;
	(void)line;
}

static void waiter_run(struct op *op)
{
	container_of(op, struct fixture, op)->is_over = true;
}

static int fixture_set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct reactor_options options;

	fixture->log.write = line_drop;
	reactor_options_default(&options);
	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/record_store_test.XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	assert_int_equal(os_open(&fixture->os), 0);
	assert_int_equal(reactor_create(fixture->os, &options, &fixture->reactor), 0);
	assert_int_equal(record_store_create(fixture->reactor, fixture->folder, &fixture->log,
					     &fixture->store),
			 0);
	*state = fixture;
	return 0;
}

static int fixture_tear_down(void **state)
{
	struct fixture *fixture = *state;
	char pattern[128];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*", fixture->folder);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	rmdir(fixture->folder);
	record_store_destroy(fixture->store);
	reactor_destroy(fixture->reactor);
	os_close(fixture->os);
	free(fixture);
	return 0;
}

static enum nexus_record_result ask(struct fixture *fixture, bool is_store)
{
	struct nexus_recorder *recorder = record_store_recorder(fixture->store);

	op_init(&fixture->op, reactor_ready(fixture->reactor), waiter_run);
	list_init(&fixture->io.link);
	fixture->io.parent = &fixture->op;
	fixture->is_over = false;
	op_wait(&fixture->op);
	if (is_store)
		recorder->ops->store(recorder, &fixture->io);
	else
		recorder->ops->load(recorder, &fixture->io);
	if (op_join(&fixture->op) == OP_WAIT) {
		while (!fixture->is_over)
			reactor_turn(fixture->reactor, true);
	}
	return fixture->io.result;
}

static struct nexus_record record_make(uint64_t epoch, uint64_t sequence)
{
	struct nexus_record record = {.epoch = epoch,
				      .sequence = sequence,
				      .block_count = 4062,
				      .block_bytes = 512,
				      .child_count = 2};

	record.children[0].uuid.bytes[0] = 1;
	record.children[0].is_healthy = true;
	record.children[0].cache_id.bytes[5] = 7;
	record.children[1].uuid.bytes[0] = 2;
	return record;
}

static enum nexus_record_result store(struct fixture *fixture, const char *key, uint64_t epoch,
				      uint64_t sequence)
{
	memset(&fixture->io, 0, sizeof(fixture->io));
	snprintf(fixture->io.key, sizeof(fixture->io.key), "%s", key);
	fixture->io.record = record_make(epoch, sequence);
	return ask(fixture, true);
}

static enum nexus_record_result load(struct fixture *fixture, const char *key)
{
	memset(&fixture->io, 0, sizeof(fixture->io));
	snprintf(fixture->io.key, sizeof(fixture->io.key), "%s", key);
	return ask(fixture, false);
}

static void stored_record_is_loaded_whole(void **state)
{
	struct fixture *fixture = *state;
	struct nexus_record wanted = record_make(3, 9);

	assert_int_equal(store(fixture, "/a/key/with/slashes", 3, 9), NEXUS_RECORD_OK);
	assert_int_equal(load(fixture, "/a/key/with/slashes"), NEXUS_RECORD_OK);
	assert_memory_equal(&fixture->io.record, &wanted, sizeof(wanted));
}

static void record_without_ids_of_caches_is_one_where_they_are_unknown(void **state)
{
	static const char text[] =
		"{\"key\":\"k\",\"epoch\":1,\"sequence\":2,\"clean_shutdown\":false,\"children\":"
		"[{\"uuid\":\"01000000-0000-0000-0000-000000000000\",\"healthy\":true}]}";
	struct nexus_record record;

	(void)state;
	assert_int_equal(record_decode(text, strlen(text), "k", &record), 0);
	assert_int_equal(record.child_count, 1);
	assert_true(record.children[0].is_healthy);
	assert_true(uuid_is_nil(&record.children[0].cache_id));
	assert_int_equal(record.block_count, 0);
}

static void record_with_a_damaged_size_is_refused(void **state)
{
	static const char *const sizes[] = {
		"\"block_count\":4062",
		"\"block_bytes\":512",
		"\"block_count\":0,\"block_bytes\":512",
		"\"block_count\":-1,\"block_bytes\":512",
		"\"block_count\":4062,\"block_bytes\":511",
		"\"block_count\":4062,\"block_bytes\":8192",
		"\"block_count\":\"4062\",\"block_bytes\":512",
		"\"block_count\":36028797018963967,\"block_bytes\":512", /* 2^64 bytes with one more
									  */
	};
	struct nexus_record record;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(text, sizeof(text),
			 "{\"key\":\"k\",\"epoch\":1,\"sequence\":2,\"clean_shutdown\":false,%s,"
			 "\"children\":[]}",
			 sizes[i]);
		if (record_decode(text, strlen(text), "k", &record) != -EINVAL)
			fail_msg("taken as a size: %s", sizes[i]);
	}
}

static void record_with_a_damaged_id_of_a_cache_is_refused(void **state)
{
	static const char *const ids[] = {"7", "\"\"", "null",
					  "\"01000000-0000-0000-0000-00000000000\""};
	struct nexus_record record;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		snprintf(text, sizeof(text),
			 "{\"key\":\"k\",\"epoch\":1,\"sequence\":2,\"clean_shutdown\":false,"
			 "\"children\":[{\"uuid\":\"01000000-0000-0000-0000-000000000000\","
			 "\"healthy\":true,\"cache_id\":%s}]}",
			 ids[i]);
		assert_int_equal(record_decode(text, strlen(text), "k", &record), -EINVAL);
	}
}

static void unknown_key_has_no_record(void **state)
{
	assert_int_equal(load(*state, "unknown"), NEXUS_RECORD_NONE);
}

static void lower_epoch_does_not_replace_a_higher_one(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(store(fixture, "key", 5, 1), NEXUS_RECORD_OK);
	assert_int_equal(store(fixture, "key", 4, 100), NEXUS_RECORD_FENCED);
	assert_int_equal(load(fixture, "key"), NEXUS_RECORD_OK);
	assert_int_equal(fixture->io.record.epoch, 5);
	assert_int_equal(store(fixture, "key", 6, 1), NEXUS_RECORD_OK);
}

static void damaged_record_is_a_failure_not_an_absence(void **state)
{
	static const char *const damaged[] = {
		"",
		"{}",
		"not json",
		"{\"key\":\"other\",\"epoch\":1,\"sequence\":1,\"clean_shutdown\":true,"
		"\"children\":[]}",
		"{\"key\":\"key\",\"epoch\":-1,\"sequence\":1,\"clean_shutdown\":true,"
		"\"children\":[]}",
		"{\"key\":\"key\",\"epoch\":1,\"sequence\":1,\"clean_shutdown\":true,"
		"\"children\":[{\"uuid\":\"x\",\"healthy\":true}]}",
		"{\"key\":\"key\",\"epoch\":1,\"sequence\":1,\"clean_shutdown\":true,"
		"\"children\":[{\"uuid\":7}]}",
		"{\"key\":\"key\",\"epoch\":1,\"epoch\":2,\"sequence\":1,"
		"\"clean_shutdown\":true,\"children\":[]}",
	};
	struct nexus_record record;

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		if (record_decode(damaged[i], strlen(damaged[i]), "key", &record) != -EINVAL)
			fail_msg("taken as a record: %s", damaged[i]);
	}
}

static void largest_record_fits(void **state)
{
	struct nexus_record record = {.epoch = INT64_MAX,
				      .sequence = INT64_MAX,
				      .block_count = UINT64_MAX / 512 - 1,
				      .block_bytes = 512};
	struct nexus_record again;
	char key[NAME_BYTES_MAX];
	char text[8000];
	size_t length;

	(void)state;
	memset(key, '"', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	record.child_count = NEXUS_CHILDREN_MAX;
	for (uint32_t i = 0; i < NEXUS_CHILDREN_MAX; i++)
		record.children[i].cache_id.bytes[0] = (uint8_t)(i + 1);
	length = record_encode(key, &record, text, sizeof(text));
	assert_true(length > 0);
	assert_int_equal(record_decode(text, length, key, &again), 0);
	assert_memory_equal(&record, &again, sizeof(record));
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(stored_record_is_loaded_whole),
		WITH_FIXTURE(unknown_key_has_no_record),
		WITH_FIXTURE(lower_epoch_does_not_replace_a_higher_one),
		cmocka_unit_test(damaged_record_is_a_failure_not_an_absence),
		cmocka_unit_test(record_without_ids_of_caches_is_one_where_they_are_unknown),
		cmocka_unit_test(record_with_a_damaged_id_of_a_cache_is_refused),
		cmocka_unit_test(record_with_a_damaged_size_is_refused),
		cmocka_unit_test(largest_record_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
